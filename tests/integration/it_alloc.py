#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A request through the whole gateway allocates nothing: connections, requests, calls and buffers
use memory again. Counted by a library that is preloaded (count_alloc.c)."""

import mmap
import os
import struct

import upstream
import wire
from harness import main, test

WARM_UP, COUNTED = 60, 300
BODY = b"x" * 1024

ALL_POLICIES = {
    "breaker": {"window": 10, "minimum": 5, "failure_rate": 0.5},
    "bulkhead": {"concurrent": 20, "queue": 10},
    "eject": {"consecutive_5xx": 5},
    "retry": {"attempts": 3, "budget": {"ratio": 1.0, "min": "100/s"}},
}


class Counter:
    """A naru whose allocations are counted."""

    def __init__(self, t, **config):
        library = os.environ.get("COUNT_ALLOC")
        if not library:
            t.skip("a sanitizer has an allocator of its own, which cannot be counted from outside")
        path = t.path("counts", "\0" * 16)
        with open(path, "r+b") as file:
            self.counts = mmap.mmap(file.fileno(), 16)
        self.naru = t.naru(env={"LD_PRELOAD": library, "NARU_COUNT_ALLOC": path}, **config)
        t.true(self.now() > 100, "the library counts: a start takes many allocations")

    def now(self):
        return struct.unpack_from("=Q", self.counts)[0]


def counted(t, naru, ask, what, most=0):
    """So many allocations in all while `ask` is done COUNTED times, after WARM_UP of them."""
    for _ in range(WARM_UP):
        ask()
    before = naru.now()
    for _ in range(COUNTED):
        ask()
    took = naru.now() - before
    print(f"# {what}: {took} allocations in {COUNTED} requests", flush=True)
    t.true(took <= most, f"{what}: {took} allocations in {COUNTED} requests, not {most}")


def asker(t, naru, method="GET", target="/", fields=(), body=None, status=200):
    stream = t.connect(naru.naru.port)

    def ask():
        stream.send(wire.request_bytes(method, target, [("Host", "a"), *fields], body))
        t.equal(stream.read_response(method).status, status)
    return ask


def app(t, behave=None, **more):
    behave = behave or upstream.named("app")
    return {"app": {"instances": [t.upstream(behave).address for _ in range(3)], **more}}


def limits():
    return {"limits": {"all": {"key": "global", "rate": "1000000/min"},
                       "user": {"key": "header:X-User", "rate": "100000/min"},
                       "ip": {"key": "ip", "rate": "100000/min", "algorithm": "gcra"}}}


@test("a plain request")
def _(t):
    naru = Counter(t, services=app(t))
    counted(t, naru, asker(t, naru), "GET")


@test("with every policy, limits on three levels and the access log")
def _(t):
    naru = Counter(t, services=app(t, **ALL_POLICIES), **limits(), gateway={
        "deadline": "2s", "limits": ["all"],
        "routes": [{"match": {"path": "/*"}, "service": "app", "limits": ["user", "ip"]}]})
    fields = [("X-User", "ann"), ("Accept", "*/*"), ("User-Agent", "test")]
    counted(t, naru, asker(t, naru, fields=fields), "GET")
    counted(t, naru, asker(t, naru, "POST", "/orders", fields, BODY), "POST of 1 KiB")
    counted(t, naru, asker(t, naru, "PUT", "/orders/1", fields, BODY * 40), "PUT of 40 KiB")


@test("a request that is refused")
def _(t):
    naru = Counter(t, services=app(t), gateway={"routes": [
        {"match": {"path": "/app"}, "service": "app"},
        {"match": {"path": "/once"}, "service": "app", "limits": ["1/h"]}]})
    counted(t, naru, asker(t, naru, target="/nowhere", status=404), "404")
    naru.naru.request("GET", "/once")
    counted(t, naru, asker(t, naru, target="/once", status=429), "429")


@test("a request that is repeated")
def _(t):
    ill = t.upstream(upstream.fixed(503, b"ill")).address
    well = t.upstream(upstream.named("app")).address
    naru = Counter(t, services={"app": {
        "instances": [ill, well], "retry": ALL_POLICIES["retry"],
        "balance": "round_robin"}})
    counted(t, naru, asker(t, naru), "GET")
    metrics = naru.naru.metrics()
    t.true(metrics['naru_retries_total{service="app"}'] >= COUNTED / 3, "many were repeated")


@test("a connection costs a few, whatever it carries")
def _(t):
    naru = Counter(t, services=app(t))
    counted(t, naru, lambda: naru.naru.request("GET", "/"), "GET on a new connection",
            most=4 * COUNTED)


if __name__ == "__main__":
    main()
