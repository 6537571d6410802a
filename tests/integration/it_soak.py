# SPDX-License-Identifier: Apache-2.0
"""Minutes of load: nothing is lost, nothing stays behind, and no client sees an instance die.

The load generators count what they were answered, naru counts what it answered; the two must
agree to the last request. After it, naru must be as small as it was after its warm-up.

NARU_SOAK_REQUESTS and NARU_SOAK_CRASH_SECONDS shorten it for a try by hand."""

import os
import random
import re
import socket
import subprocess
import threading
import time

import wire
from harness import free_port, main, spawn, reap, test

BUILD = os.environ.get("BUILD", "build")
REQUESTS = int(os.environ.get("NARU_SOAK_REQUESTS", "5000000"))
CRASH_SECONDS = int(os.environ.get("NARU_SOAK_CRASH_SECONDS", "180"))
CONNECTIONS = 64
# What an allocator may keep for itself after so many requests: 0.2 bytes a request is no leak.
GROWTH_BYTES_MAX = 1024 * 1024

BAD = [
    b"GET / HTTP/1.1\r\n\r\n",                                              # no Host
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n",
    b"NONSENSE\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
]


def program(t, *parts):
    path = os.path.join(BUILD, *parts)
    if not os.path.exists(path):
        t.skip(f"{path} is not built")
    return path


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def read_and_wait(peer):
    """An upstream that never answers, and goes when naru goes."""
    peer.next()
    peer.read_to_end()


class Tally:
    """What clients saw, by answer."""

    def __init__(self):
        self.lock = threading.Lock()
        self.counts = {}

    def add(self, what, count=1):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + count

    def __getitem__(self, what):
        return self.counts.get(what, 0)


def h2load(t, program_path, port, requests, connections, tally):
    """Exactly so many GETs; all of them must be answered with 200."""
    done = subprocess.run([program_path, "--h1", "-t1", f"-n{requests}", f"-c{connections}",
                           f"http://127.0.0.1:{port}/1024"],
                          capture_output=True, text=True, check=False)
    told = re.search(r"requests: \d+ total, \d+ started, \d+ done, (\d+) succeeded, (\d+) failed, "
                     r"(\d+) errored, (\d+) timeout", done.stdout)
    t.true(told, done.stdout + done.stderr)
    succeeded, *others = (int(n) for n in told.groups())
    tally.add("ok", succeeded)
    if succeeded != requests or any(others):
        tally.add("lost", requests - succeeded)


def send_bad(port, tally):
    with wire.connect(port) as stream:
        stream.send(random.choice(BAD))
        answer = stream.read_response()
        tally.add("refused" if answer.status == 400 else f"bad: {answer.status}")
        stream.expect_close()


def leave(port, tally):
    """A whole request to somebody who never answers, then FIN: a cancelled request."""
    with wire.connect(port) as stream:
        stream.send(wire.request_bytes("GET", "/silent"))
        time.sleep(random.random() * 0.02)
    tally.add("left")


def repeat(stop, tally, what, *args):
    while not stop.is_set():
        try:
            what(*args)
        except Exception as error:      # told at the end, with how often
            tally.add(f"error: {error!r}"[:200])
            time.sleep(0.1)


def storm(t, loader, naru, requests):
    """The mix: keep-alive connections carry most; beside them many short ones, some that talk
    nonsense and some that leave."""
    tally, stop = Tally(), threading.Event()
    beside = [(h2load, t, loader, naru.port, 500, 100, tally), (send_bad, naru.port, tally),
              (leave, naru.port, tally)]
    threads = [threading.Thread(target=repeat, args=(stop, tally, *words), daemon=True)
               for words in beside]
    for thread in threads:
        thread.start()
    while tally["ok"] < requests:
        h2load(t, loader, naru.port, min(250000, requests), CONNECTIONS, tally)
    stop.set()
    for thread in threads:
        thread.join()
    return tally


def counted(naru):
    """naru's own count of what storm() caused: answers by class, what was refused, what left."""
    metrics = naru.metrics()

    def total(name, *labels):
        return int(sum(value for key, value in metrics.items() if key.startswith(name)
                       and all(label in key for label in labels)))

    return {"ok": total("naru_requests_total", 'class="2xx"'),
            "refused": total("naru_bad_requests_total"),
            "left": total("naru_reasons_total", 'reason="client_closed"'),
            "all": total("naru_requests_total"),
            "attempts": total("naru_upstream_attempts_total", 'service="app"')}


def quiet(t, naru):
    """Until no connection of the load is left; the number of descriptors then."""
    def is_quiet():
        metrics = naru.metrics()
        # The one that asks is a connection of the admin listener.
        return sum(v for k, v in metrics.items() if k.startswith("naru_sockets_open")) <= 1
    t.eventually(is_quiet, "every connection is closed", within_s=30)
    time.sleep(0.5)     # for the one that asked
    return naru.fd_count()


@test("millions of requests: none is lost, nothing stays behind", timeout_s=3000)
def _(t):
    loader = t.need("h2load")
    port = free_port()
    t.spawn([program(t, "bench", "bench-origin"), port])
    t.eventually(lambda: listens(port), "the origin")
    silent = t.upstream(read_and_wait)
    naru = t.naru(
        workers=2,
        gateway={"routes": [{"match": "/silent", "service": "silent"},
                            {"match": "/*", "service": "app"}]},
        services={"app": {"instances": [f"127.0.0.1:{port}"], "pool": {"idle_timeout": "1s"}},
                  "silent": {"instances": [silent.address], "pool": {"idle_timeout": "1s"}}},
        observe={"access_log": False})
    storm(t, loader, naru, REQUESTS // 10)
    files, bytes_before, before = quiet(t, naru), naru.rss_bytes(), counted(naru)

    began = time.monotonic()
    tally = storm(t, loader, naru, REQUESTS)
    seconds = time.monotonic() - began
    t.equal(quiet(t, naru), files, "descriptors")
    after = counted(naru)
    grown = naru.rss_bytes() - bytes_before
    print(f"# {tally.counts} in {seconds:.0f} s; {files} descriptors; {bytes_before // 1024} KiB "
          f"and {grown // 1024} more", flush=True)

    t.equal(set(tally.counts), {"ok", "refused", "left"}, tally.counts)
    have = {what: after[what] - before[what] for what in before}
    t.equal(have, {**tally.counts, "all": sum(tally.counts.values()), "attempts": tally["ok"]},
            "naru's counts")
    t.true(grown <= GROWTH_BYTES_MAX, f"{grown} bytes more than before, {seconds:.0f} s later")


def wrk_failures(said):
    lines = [line.strip() for line in said.splitlines()]
    return [line for line in lines if line.startswith(("Socket errors", "Non-2xx"))]


@test("instances die and come back for minutes under load: no client sees an error",
      timeout_s=CRASH_SECONDS + 300)
def _(t):
    loader = t.need("wrk")
    hello = program(t, "examples", "hello", "hello")
    ports = [free_port() for _i in range(3)]

    def start(i):
        process = spawn([hello, "--port", ports[i], "--name", f"hello-{i}"],
                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        t.stack.callback(reap, process)
        t.eventually(lambda: listens(ports[i]), "an instance")
        return process

    instances = [start(i) for i in range(3)]
    naru = t.naru(
        workers=2,
        services={"app": {"instances": [f"127.0.0.1:{port}" for port in ports], "balance": "p2c",
                          "health": {"path": "/healthz", "interval": "500ms", "timeout": "500ms"}}},
        observe={"access_log": False})
    load = t.spawn([loader, "-t1", "-c32", f"-d{CRASH_SECONDS}s", "--timeout", "10s",
                    f"http://{naru.address}/hello"], stdout=subprocess.PIPE, text=True)
    ends, deaths = time.monotonic() + CRASH_SECONDS, 0
    while time.monotonic() < ends - 2:
        i = random.randrange(3)
        instances[i].kill()
        instances[i].wait()
        deaths += 1
        time.sleep(random.random())
        instances[i] = start(i)
        time.sleep(random.random())
    said = load.communicate(timeout=60)[0]
    retries = sum(v for k, v in naru.metrics().items() if k.startswith("naru_upstream_retries"))
    requests = int(re.search(r"(\d+) requests in", said)[1])
    print(f"# {requests} requests, {deaths} deaths, {retries:.0f} retries", flush=True)
    t.true(deaths > CRASH_SECONDS / 10 and requests > 0 and retries > 0, f"{deaths}, {retries}")
    t.equal(wrk_failures(said), [], said)


if __name__ == "__main__":
    main()
