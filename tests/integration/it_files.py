#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""At the limit of descriptors: new connections wait, established ones do not notice."""

import select
import time

import upstream
from harness import main, sanitized, test

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def limited(t, files, up, workers=1, **service):
    naru = t.naru_stopped(services={"app": {"instances": [up.address], **service}},
                          workers=workers)
    naru.start(prefix=("/bin/sh", "-c", f'ulimit -n {files}; exec "$@"', "sh"))
    return naru


def ask_all(t, streams):
    for stream in streams:
        stream.send(GET)
    for stream in streams:
        t.equal(stream.read_response("GET").status, 200)


def shortage(naru):
    return naru.stderr().count("out of file descriptors")


def answered(streams, within_s):
    """Those of them that have something to read within that time."""
    ready, _, _ = select.select([s.sock for s in streams], [], [], within_s)
    return [s for s in streams if s.sock in ready]


def crowd(t, naru, count):
    """So many more clients, each with a request."""
    streams = [t.connect(naru.port) for _ in range(count)]     # the kernel's backlog takes them
    for stream in streams:
        stream.send(GET)
    return streams


@test("established connections do not notice, new ones wait")
def _(t):
    limit = 80 if sanitized() else 64
    up = t.upstream(upstream.slow(0.02, body=b"ok"))
    naru = limited(t, limit, up, timeouts={"connect": "30s"})
    t.equal(naru.metrics()["naru_accept_pauses_total"], 0)
    known = [t.connect(naru.port) for _ in range(8)]
    ask_all(t, known)
    waiting = crowd(t, naru, 120)
    t.eventually(lambda: naru.metrics()["naru_accept_paused"] == 1, "accepting pauses")
    while some := answered(waiting, 1):
        for stream in some:
            t.equal(stream.read_response("GET").status, 200)
            waiting.remove(stream)
            known.append(stream)
    t.true(8 < len(known) < 60, f"{len(known)} are served, and stay")
    t.true(naru.fd_count() < limit, "not entirely out of descriptors")
    for _round in range(5):     # all at once: more than there are descriptors for, so some wait
        ask_all(t, known)

    before_s = naru.cpu_seconds()
    time.sleep(1)
    t.true(naru.cpu_seconds() - before_s < 0.3, "it waits, it does not spin")

    for stream in known[8:]:
        stream.close()
    t.true(answered(waiting, 10), "some of the next have their turn")
    for stream in waiting[:-1]:
        stream.close()
    t.equal(waiting[-1].read_response("GET").status, 200)
    ask_all(t, known[:8] + waiting[-1:])
    t.eventually(lambda: naru.metrics()["naru_accept_paused"] == 0, "accepting goes on")
    t.equal(shortage(naru), 1, "lines about it in a minute")
    lines = naru.access_log()
    t.equal({line["status"] for line in lines if line["status"] not in (0, 499)}, {200})


@test("two workers share what there is", timeout_s=90)
def _(t):
    up = t.upstream(upstream.named("a"))
    naru = limited(t, 120 if sanitized() else 100, up, workers=2)
    waiting = crowd(t, naru, 150)
    t.eventually(lambda: naru.metrics()["naru_accept_paused"] > 0, "accepting pauses")
    while waiting:      # each gets its turn as those before it leave
        some = answered(waiting, 20)
        t.true(some, f"{len(waiting)} are never served")
        for stream in some:
            t.equal(stream.read_response("GET").status, 200)
            stream.close()
            waiting.remove(stream)
    t.equal(shortage(naru), 1, "lines about it in a minute")


@test("a shortage says nothing of the instances")
def _(t):
    up = t.upstream(upstream.named("a"))
    naru = limited(t, 80 if sanitized() else 64, up,
                   health={"path": "/", "interval": "200ms", "timeout": "200ms",
                           "fall": 3, "rise": 1})
    known = [t.connect(naru.port)]
    ask_all(t, known)
    crowd(t, naru, 100)
    t.eventually(lambda: naru.metrics()["naru_accept_paused"] == 1, "accepting pauses")
    seen = len(up.requests)
    t.eventually(lambda: len(up.requests) > seen + 10, "checks go on", 30)
    ask_all(t, known)
    t.true("checks fail" not in naru.stderr(), "and pass")


if __name__ == "__main__":
    main()
