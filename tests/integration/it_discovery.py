# SPDX-License-Identifier: Apache-2.0
"""Instances that come and go without a reload: in a file, and in DNS."""

import os
import signal
import socket
import struct
import threading
import time

import upstream
from harness import main, run_naru, test


class NameServer:
    """Answers A queries over UDP with the addresses of the moment; NXDOMAIN when there are none."""

    def __init__(self, ttl_s=1):
        self.ttl_s = ttl_s
        self.addresses = []
        self.queries = 0
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.sock.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                query, peer = self.sock.recvfrom(512)
            except OSError:
                return
            end = query.index(b"\0", 12) + 5
            kind = struct.unpack("!H", query[end - 4:end - 2])[0]
            self.queries += 1
            found = self.addresses if kind == 1 else []
            flags = 0x8180 if self.addresses else 0x8183
            answer = query[:2] + struct.pack("!HHHHH", flags, 1, len(found), 0, 0) + query[12:end]
            for address in found:
                answer += struct.pack("!HHHIH", 0xC00C, 1, 1, self.ttl_s, 4) + socket.inet_aton(address)
            self.sock.sendto(answer, peer)

    def stop(self):
        self.sock.close()


class Load:
    """Asks as fast as it can until it is told to stop, and keeps what was not a 200."""

    def __init__(self, naru):
        self.failed, self.answers, self.stopping = [], {}, False
        self.thread = threading.Thread(target=self._run, args=(naru,), daemon=True)
        self.thread.start()

    def _run(self, naru):
        while not self.stopping:
            try:
                answer = naru.request("GET", "/")
                if answer.status != 200:
                    self.failed.append(answer.status)
                self.answers[answer.body] = self.answers.get(answer.body, 0) + 1
            except Exception as error:  # whatever it is, a client has seen it
                self.failed.append(repr(error))

    def stop(self):
        self.stopping = True
        self.thread.join(10)
        return self.failed


def addresses(naru):
    services = naru.admin("/v1/services").json()["services"]
    return sorted(i["address"] for i in services[0]["instances"] if not i.get("leaving"))


def write(path, text):
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(path + ".new", path)


@test("a file of instances that changes under load: nobody notices", timeout_s=90)
def _(t):
    ups = [t.upstream(upstream.named(name)) for name in ("one", "two", "three")]
    path = t.path("instances.yaml", f"- {ups[0].address}\n")
    naru = t.naru(services={"app": {"instances": {"file": path}}})
    t.equal(naru.request("GET", "/").body, b"one\n")
    load = Load(naru)
    for wanted in ([0, 1], [0, 1, 2], [2], [1, 2], [0]):
        write(path, "".join(f"- {ups[i].address}\n" for i in wanted))
        want = sorted(ups[i].address for i in wanted)
        t.eventually(lambda: addresses(naru) == want, f"the set becomes {wanted}")
        time.sleep(0.2)
    t.equal(load.stop(), [])
    t.equal(sorted(load.answers), [b"one\n", b"three\n", b"two\n"])
    t.eventually(lambda: ups[1].connections_open == 0, "connections to who has left are closed")
    write(path, "- { addres: 127.0.0.1:1 }\n")
    t.eventually(lambda: "addres" in naru.stderr(), "what is wrong is said")
    t.equal(naru.request("GET", "/").body, b"one\n")


@test("DNS: the set follows the answers; without answers the last one holds", timeout_s=90)
def _(t):
    one = t.upstream(upstream.named("one"))
    port = int(one.address.rsplit(":", 1)[1])
    names = NameServer()
    names.addresses = ["127.0.0.1"]
    naru = t.naru(services={"app": {"instances": {"dns": f"app.example:{port}"}}},
                  dns={"servers": [names.address]})
    load = Load(naru)
    t.equal(addresses(naru), [f"127.0.0.1:{port}"])
    names.addresses = ["127.0.0.1", "127.0.0.2"]  # nobody listens on the second: retried on the first
    t.eventually(lambda: len(addresses(naru)) == 2, "a second one comes")
    names.addresses = []
    asked = names.queries
    t.eventually(lambda: names.queries > asked + 1, "it goes on asking")
    t.eventually(lambda: "does not resolve" in naru.stderr(), "and says that it fails")
    t.equal(len(addresses(naru)), 2)
    names.addresses = ["127.0.0.1"]
    t.eventually(lambda: len(addresses(naru)) == 1, "and recovers")
    t.equal(load.stop(), [])
    names.stop()


def named_everywhere(t, naru, address):
    """A request, and how its instance is called in the four places that tell of it."""
    answer = naru.request("GET", "/")
    t.equal(answer.status, 200)
    ident = answer.header("X-Request-Id")
    t.equal([a["instance"] for a in naru.record(ident)["attempts"]], [address])
    latest = naru.admin("/v1/requests?limit=1").json()["requests"][0]
    t.equal((latest["request_id"], latest["attempts"][0]["instance"]), (ident, address))
    t.matches(run_naru("explain", ident, "--admin", f"127.0.0.1:{naru.admin_port}").stdout, f"attempt 1 +{address} answered")
    t.eventually(lambda: [line for line in naru.access_log() if line["request_id"] == ident], "its line is written")
    t.equal([line["instance"] for line in naru.access_log() if line["request_id"] == ident], [address])
    t.true(counted(naru, address) >= 1, f"it is counted for {address}")
    return ident


def counted(naru, address):
    return naru.metrics().get(f'naru_upstream_attempts_total{{service="app",instance="{address}",'
                              'result="answered",class="2xx"}', 0)


@test("instances of a file are named in records, log and metrics, and keep their names when they are gone", timeout_s=120)
def _(t):
    ups = [t.upstream(upstream.named(name)) for name in ("one", "two")]
    path = t.path("instances.yaml", f"- {ups[0].address}\n")
    naru = t.naru(workers=2, services={"app": {"instances": {"file": path}}})
    old = named_everywhere(t, naru, ups[0].address)
    write(path, f"- {ups[1].address}\n")
    t.eventually(lambda: addresses(naru) == [ups[1].address], "the other takes its number")
    named_everywhere(t, naru, ups[1].address)
    t.equal([a["instance"] for a in naru.record(old)["attempts"]], [ups[0].address])
    before = counted(naru, ups[0].address)
    naru.signal(signal.SIGHUP)  # names live on
    t.eventually(lambda: "configuration" in naru.stderr(), "reloaded")
    named_everywhere(t, naru, ups[1].address)
    t.equal([a["instance"] for a in naru.record(old)["attempts"]], [ups[0].address])
    write(path, f"- {ups[0].address}\n")
    t.eventually(lambda: addresses(naru) == [ups[0].address], "the first is back")
    named_everywhere(t, naru, ups[0].address)
    t.equal(counted(naru, ups[0].address), before + 1)


@test("instances of DNS are named in records, log and metrics")
def _(t):
    one = t.upstream(upstream.named("one"))
    port = int(one.address.rsplit(":", 1)[1])
    names = NameServer()
    names.addresses = ["127.0.0.1"]
    naru = t.naru(services={"app": {"instances": {"dns": f"app.example:{port}"}}},
                  dns={"servers": [names.address]})
    named_everywhere(t, naru, f"127.0.0.1:{port}")
    names.stop()


if __name__ == "__main__":
    main()
