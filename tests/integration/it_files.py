#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""At the limit of descriptors: new connections wait, established ones do not notice."""

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


@test("established connections do not notice, new ones wait")
def _(t):
    up = t.upstream(upstream.slow(0.05, body=b"ok"))
    naru = limited(t, 80 if sanitized() else 64, up, timeouts={"connect": "30s"})
    t.equal(naru.metrics()["naru_accept_pauses_total"], 0)
    known = [t.connect(naru.port) for _ in range(8)]
    ask_all(t, known)
    strangers = [t.connect(naru.port) for _ in range(120)]     # the kernel's backlog takes them
    t.eventually(lambda: naru.metrics()["naru_accept_paused"] == 1, "accepting pauses")
    t.true(naru.fd_count() < (80 if sanitized() else 64), "not entirely out of them")
    for _round in range(5):     # at once: more than there are descriptors for, so some wait
        ask_all(t, known)
    open_now = int(naru.metrics()["naru_connections_open"])
    t.true(8 < open_now < 60, f"{open_now} are open")
    ask_all(t, known + strangers[:open_now - len(known)])

    before_s = naru.cpu_seconds()
    time.sleep(1)
    t.true(naru.cpu_seconds() - before_s < 0.3, "it waits, it does not spin")

    for stream in strangers[:119]:
        stream.close()
    ask_all(t, known + strangers[119:])
    t.eventually(lambda: naru.metrics()["naru_accept_paused"] == 0, "accepting goes on")
    t.equal(shortage(naru), 1, "lines about it in a minute")
    lines = naru.access_log()
    t.equal({line["status"] for line in lines if line["status"] not in (0, 499)}, {200})


@test("two workers share what there is", timeout_s=90)
def _(t):
    up = t.upstream(upstream.named("a"))
    naru = limited(t, 120 if sanitized() else 100, up, workers=2)
    streams = [t.connect(naru.port) for _ in range(150)]
    t.eventually(lambda: naru.metrics()["naru_accept_paused"] > 0, "accepting pauses")
    while streams:      # each gets its turn as those before it leave
        head, streams = streams[:10], streams[10:]
        for stream in head:
            stream.send(GET)
            t.equal(stream.read_response("GET").status, 200)
            stream.close()
    t.equal(shortage(naru), 1, "lines about it in a minute")


@test("a shortage says nothing of the instances")
def _(t):
    up = t.upstream(upstream.named("a"))
    naru = limited(t, 80 if sanitized() else 64, up,
                   health={"path": "/", "interval": "100ms", "timeout": "100ms",
                           "fall": 1, "rise": 1})
    streams = [t.connect(naru.port) for _ in range(100)]
    t.eventually(lambda: naru.metrics()["naru_accept_paused"] == 1, "accepting pauses")
    ask_all(t, streams[:1])
    seen = len(up.requests)
    t.eventually(lambda: len(up.requests) > seen + 10, "checks go on")
    t.true("checks fail" not in naru.stderr(), "and pass")
    t.equal(naru.metrics()['naru_instance_up{service="app",instance="%s"}' % up.address], 1)


if __name__ == "__main__":
    main()
