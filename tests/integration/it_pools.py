#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Connections to services over real sockets: how many, who waits for them, what is kept, and
upstreams that close at awkward moments."""

import threading

import upstream
from harness import main, test
from wire import response_bytes

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def service(up, pool=None, **more):
    section = {"instances": [up.address], **more}
    if pool is not None:
        section["pool"] = pool
    return {"app": section}


def asks(t, naru, count):
    """So many requests at once, each over a connection of its own."""
    streams = [t.connect(naru.port) for _ in range(count)]
    for stream in streams:
        stream.send(GET)
    return streams


class Gate:
    """Answers when it is let."""

    def __init__(self):
        self.open = threading.Event()

    def __call__(self, peer):
        while peer.next() is not None:
            self.open.wait(30)
            peer.answer(200, b"ok")


@test("no more connections than allowed; the rest waits its turn")
def _(t):
    gate = Gate()
    up = t.upstream(gate)
    naru = t.naru(services=service(up, {"max_connections": 2, "max_idle": 2},
                                   timeouts={"connect": "30s"}))
    streams = asks(t, naru, 8)
    t.eventually(lambda: naru.metrics()['naru_pool_waiting{service="app"}'] == 6, "six wait")
    up.wait_requests(2)
    t.equal(naru.metrics()['naru_pool_connections{service="app",state="busy"}'], 2)
    gate.open.set()
    for stream in streams:
        t.equal(stream.read_response("GET").status, 200)
    t.equal(up.connections_total, 2)
    t.eventually(lambda: naru.metrics()['naru_pool_connections{service="app",state="idle"}'] == 2,
                 "both are idle")
    t.equal(naru.metrics()['naru_pool_waits_total{service="app"}'], 6)
    t.equal(naru.metrics()['naru_pool_waiting{service="app"}'], 0)


@test("who waits too long, or behind too many, is told")
def _(t):
    gate = Gate()
    up = t.upstream(gate)
    naru = t.naru(services=service(up, {"max_connections": 1, "max_waiting": 1, "max_idle": 1},
                                   timeouts={"connect": "300ms"}))
    streams = asks(t, naru, 1)
    up.wait_requests(1)
    streams += asks(t, naru, 2)
    for stream in streams[1:]:
        answer = stream.read_response("GET")
        t.equal(answer.status, 503)
        t.matches(answer.body.decode(), "pool_exhausted")
    gate.open.set()
    t.equal(streams[0].read_response("GET").status, 200)
    t.eventually(lambda: naru.metrics()['naru_reasons_total{reason="pool_exhausted"}'] == 2,
                 "two are counted")
    t.true(naru.metrics()['naru_pool_exhausted_total{service="app"}'] >= 2, "also by service")


@test("a connection that was closed while a request came is no failure")
def _(t):
    def closes_on_the_second(peer):
        if peer.next() is not None:
            peer.answer(200, b"ok")
            peer.next()     # and it closes, without a word
    up = t.upstream(closes_on_the_second)
    naru = t.naru(services=service(up, retry={"attempts": 1}))
    for _i in range(20):
        t.equal(naru.request().status, 200)
        t.equal(naru.request("PUT", body=b"x" * 3000).status, 200)
    puts = [r for r in up.requests if r.method == "PUT"]
    t.true(all(r.body == b"x" * 3000 for r in puts), "each body is whole")
    stale = naru.metrics()['naru_pool_stale_total{service="app"}']
    t.true(stale >= 20, f"most met a closed connection ({stale})")
    lines = t.eventually(lambda: len(naru.access_log()) >= 40 and naru.access_log(), "the log")
    t.equal({line.get("attempts", 1) for line in lines}, {1}, "attempts")


@test("but not for what must not be sent twice")
def _(t):
    def closes_on_the_second(peer):
        if peer.next() is not None:
            peer.answer(200, b"ok")
            peer.next()
    up = t.upstream(closes_on_the_second)
    naru = t.naru(services=service(up))
    t.equal(naru.request().status, 200)
    answer = naru.request("POST", body=b"pay")
    t.equal(answer.status, 502)
    t.matches(answer.body.decode(), "upstream_closed")
    t.equal(len([r for r in up.requests if r.method == "POST"]), 1)


@test("an upstream that closes behind its answers without saying so")
def _(t):
    pauses = [0, 0, 0.0003, 0.001, 0.003]

    def closes_soon(peer):
        for n in range(2):
            if peer.next() is None:
                return
            peer.answer(200, b"ok")
        peer.sleep(pauses[peer.number % len(pauses)])
    up = t.upstream(closes_soon)
    naru = t.naru(services=service(up))
    with naru.connect() as stream:
        for _i in range(300):
            stream.send(GET)
            t.equal(stream.read_response("GET").status, 200)


@test("closed a second before the upstream would")
def _(t):
    ends = []

    def says_so(peer):
        while True:
            if peer.next() is None:
                ends.append("by naru")
                return
            peer.send(response_bytes(200, b"ok", {"Keep-Alive": "timeout=2"}))
    up = t.upstream(says_so)
    naru = t.naru(services=service(up, {"idle_timeout": "10m"}))
    t.equal(naru.request().status, 200)
    t.eventually(lambda: ends, "naru closes it", 20)
    t.equal(naru.request().status, 200)
    t.equal(up.connections_total, 2)
    t.equal(naru.metrics()['naru_pool_stale_total{service="app"}'], 0)


@test("prewarmed at the start, and when the instance is back")
def _(t):
    up = t.upstream(upstream.named("a"))
    naru = t.naru(services=service(up, {"prewarm": 3},
                                   health={"path": "/", "interval": "200ms", "timeout": "200ms",
                                           "fall": 1, "rise": 1}))

    def idle():
        return naru.metrics()['naru_pool_connections{service="app",state="idle"}']
    t.eventually(lambda: idle() == 3, "three are ready")
    t.equal(naru.request().status, 200)
    t.eventually(lambda: idle() == 3, "the one used is back")
    up.stop()
    t.eventually(lambda: idle() == 0 and "checks fail" in naru.stderr(), "it is down")
    up.start()
    t.eventually(lambda: idle() == 3, "three again")


@test("mistakes are told with their place")
def _(t):
    from harness import run_naru
    path = t.path("bad.yaml", """\
gateway: { listen: [{ address: "127.0.0.1:1" }], routes: [{ match: { path: /a }, service: app }] }
services:
  app:
    instances: ["127.0.0.1:2"]
    pool: { prewarm: 5, max_connections: 4 }
""")
    result = run_naru("check", "-c", path)
    t.true(result.returncode != 0, "refused")
    t.matches(result.stdout + result.stderr,
              r"bad.yaml:5:\d+: 'prewarm' must not be greater than 'max_connections' \(4\)")


if __name__ == "__main__":
    main()
