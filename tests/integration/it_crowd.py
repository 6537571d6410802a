#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Thousands of connections at once: 9,000 requests under way beside 18,000 idle connections, or as
many of them as the machine's limit of descriptors allows."""

import json
import os
import re
import resource
import subprocess
import time

import wire
from harness import free_port, main, sanitized, test

BUILD = os.environ.get("BUILD", "build")
BUSY_MAX, IDLE_PER_BUSY = 9000, 2
# Of naru: two for each that is busy and one for each that is idle, and what it keeps for itself.
FILES_PER_BUSY, FILES_BESIDES = 2 + IDLE_PER_BUSY, 1500
IDLE_BYTES_MAX, BUSY_BYTES_MAX = 600, 6 * 1024
SERVED_A_SECOND = 8000  # docs/resilience.md: 6,000 and more


def program(t, name):
    path = os.path.join(BUILD, "bench", name)
    if not os.path.exists(path):
        t.skip(f"{path} is not built")
    return path


def origin(t):
    port = free_port()
    t.spawn([program(t, "bench-origin"), port])

    def listens():
        try:
            return wire.request(port, "GET", "/1").status == 200
        except OSError:
            return False
    t.eventually(listens, "the origin")
    return port


def crowd(t, naru, idle, busy):
    """The clients, when all their requests are out."""
    clients = t.spawn([program(t, "bench-crowd"), naru.port, idle, busy],
                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    t.equal(clients.stdout.readline(), f"idle {idle}\n")
    return clients


def h2load(t, naru, requests, clients):
    done = subprocess.run([t.need("h2load"), "--h1", "-t1", f"-n{requests}", f"-c{clients}",
                           f"http://127.0.0.1:{naru.port}/64"],
                          capture_output=True, text=True, check=False)
    t.matches(done.stdout, rf"{requests} done, \d+ succeeded, \d+ failed, 0 errored, 0 timeout")
    return done.stdout


def in_flight(naru):
    return naru.metrics().get('naru_bulkhead_in_flight{service="app"}', 0)


def release(t, port, clients, held):
    t.equal(int(wire.request(port, "GET", "/release").body), held, "requests that the origin has")
    clients.stdin.write("\n")
    clients.stdin.flush()


def told(clients):
    return json.loads(clients.stdout.readline())


@test("requests under way beside idle connections, as many as there are descriptors for",
      timeout_s=180)
def _(t):
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    busy = min((limit - FILES_BESIDES) // FILES_PER_BUSY, 500 if sanitized() else BUSY_MAX)
    if busy < 100:
        t.skip(f"a limit of {limit} descriptors is no crowd")
    idle = busy * IDLE_PER_BUSY
    port = origin(t)
    naru = t.naru(
        workers=2, env={"MALLOC_PERTURB_": "0"},
        gateway={"deadline": "120s"}, observe={"access_log": False},
        services={"app": {"instances": [f"127.0.0.1:{port}"],
                          "bulkhead": {"concurrent": busy + 100},
                          "pool": {"max_connections": busy + 100},
                          "timeouts": {"attempt": "100s", "connect": "10s"}}})
    h2load(t, naru, 20000, 16)      # records are kept of the latest, and take memory once
    empty = naru.anonymous_bytes()
    clients = crowd(t, naru, idle, busy)
    with_idle = naru.anonymous_bytes()
    t.equal(clients.stdout.readline(), f"busy {busy}\n")
    t.eventually(lambda: in_flight(naru) == busy, "all are under way", 30)
    with_busy, files = naru.anonymous_bytes(), naru.fd_count()
    release(t, port, clients, busy)
    t.equal(told(clients), {"opened": idle + busy, "answered": busy, "alive": idle + busy, "lost": 0})
    t.eventually(lambda: naru.metrics()['naru_requests_total{route="/*",method="GET",class="2xx"}']
                 == 20000 + 2 * (idle + busy), "naru counts as many")
    t.equal(naru.metrics()["naru_accept_pauses_total"], 0)
    each_idle, each_busy = (with_idle - empty) // idle, (with_busy - with_idle) // busy
    print(f"# {busy} requests under way, {idle} idle connections, {files} descriptors; bytes: "
          f"{each_idle} an idle connection, {each_busy} a request under way, its two connections included")
    if not sanitized():
        t.true(each_idle <= IDLE_BYTES_MAX, f"{each_idle} bytes an idle connection")
        t.true(each_busy <= BUSY_BYTES_MAX, f"{each_busy} bytes a request under way")


@test("with defaults 4,096 busy connections are all served, and connections to the service kept",
      timeout_s=120)
def _(t):
    clients = 256 if sanitized() else 4096
    port = origin(t)
    naru = t.naru(services={"app": {"instances": [f"127.0.0.1:{port}"]}},
                  observe={"access_log": False})
    said = h2load(t, naru, clients * 10, clients)
    connects = naru.metrics()['naru_pool_connects_total{service="app"}']
    t.true(connects <= 1500, f"{connects} connections to the service for {clients * 10} requests")
    a_second = float(re.search(r"([\d.]+) req/s", said)[1])
    if a_second < SERVED_A_SECOND and not sanitized():
        t.skip(f"{a_second} requests a second: too slow a machine to say")
    t.matches(said, rf"status codes: {clients * 10} 2xx, 0 3xx, 0 4xx, 0 5xx")


@test("thousands beyond the limit of descriptors wait, and those inside do not notice",
      timeout_s=120)
def _(t):
    limit, idle = 3000, 1000    # two crowds fit, three do not
    port = origin(t)
    naru = t.naru_stopped(services={"app": {"instances": [f"127.0.0.1:{port}"]}},
                          observe={"access_log": False})
    naru.start(prefix=("/bin/sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh"))
    inside = crowd(t, naru, idle, 0)
    t.equal(inside.stdout.readline(), "busy 0\n")
    outside = [t.spawn([program(t, "bench-crowd"), naru.port, idle, 0],
                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    t.eventually(lambda: naru.metrics()["naru_accept_paused"] == 1, "accepting pauses", 30)
    t.true(naru.fd_count() < limit, "not entirely out of descriptors")
    before_s = naru.cpu_seconds()
    time.sleep(1)
    t.true(naru.cpu_seconds() - before_s < 0.3, "it waits, it does not spin")
    inside.stdin.write("\n")
    inside.stdin.flush()
    t.equal(told(inside), {"opened": idle, "answered": 0, "alive": idle, "lost": 0})
    for clients in outside:     # as those before them leave, all have their turn
        clients.stdin.write("\n")
        clients.stdin.close()
    for clients in outside:
        t.equal(clients.stdout.readline(), f"idle {idle}\n")
        t.equal(clients.stdout.readline(), "busy 0\n")
        t.equal(told(clients)["lost"], 0)


if __name__ == "__main__":
    main()
