#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Health checks over real sockets: what is asked, what counts, and what is said about it."""

import socket
import threading

import upstream
from harness import main, test

FAST = {"interval": "200ms", "timeout": "200ms", "fall": 1, "rise": 1, "jitter": "0%"}


def start(t, up, **health):
    address = up if isinstance(up, str) else up.address
    return t.naru(services={"app": {"instances": [address], "health": dict(FAST, **health)}})


def is_down(naru):
    return "its health checks fail" in naru.stderr()


@test("method, host and headers are as configured")
def _(t):
    up = t.upstream(upstream.named("a"))
    start(t, up, path="/healthz?full=1", method="OPTIONS", host="app.internal",
          headers=["X-Check: naru: yes", "User-Agent: probe"])
    t.eventually(lambda: up.requests, "a check")
    check = up.requests[0]
    t.equal((check.method, check.target), ("OPTIONS", "/healthz?full=1"))
    t.equal(check.header("Host"), "app.internal")
    t.equal(check.header("X-Check"), "naru: yes")
    t.equal(check.header("User-Agent"), "probe")


@test("the body must say so")
def _(t):
    good = start(t, t.upstream(upstream.fixed(200, b"x" * 50_000 + b"state=ready")), path="/",
                 expect_body="state=ready")
    bad = start(t, t.upstream(upstream.fixed(200, b"state=starting")), path="/",
                expect_body="state=ready")
    t.eventually(lambda: is_down(bad), "the check fails")
    t.matches(bad.stderr(), "its body lacks what is expected; status 200")
    t.equal(good.request().status, 200)
    t.equal(bad.request().status, 503)


@test("one connection for all checks, when asked for; a stale one is no failure")
def _(t):
    up = t.upstream(upstream.named("a"))
    start(t, up, path="/", reuse=True)
    t.eventually(lambda: len(up.requests) >= 5, "five checks")
    t.equal(up.connections_total, 1)
    fickle = t.upstream(upstream.named("b"))
    naru = start(t, fickle, path="/", reuse=True)
    t.eventually(lambda: len(fickle.requests) >= 2, "two checks")
    fickle.stop()
    fickle.start()
    t.eventually(lambda: len(fickle.requests) >= 6, "checks go on")
    t.equal(naru.request().status, 200)


def redis(t, answer):
    listener = socket.create_server(("127.0.0.1", 0))
    t.stack.callback(listener.close)

    def serve():
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with sock:
                sock.settimeout(5)
                try:
                    if sock.recv(100) == b"PING\r\n":
                        sock.sendall(answer)
                        sock.recv(1)
                except OSError:
                    pass

    threading.Thread(target=serve, daemon=True).start()
    return f"127.0.0.1:{listener.getsockname()[1]}"


@test("TCP: what is sent, and what must come back")
def _(t):
    good = start(t, redis(t, b"+PONG\r\n"), tcp=True, send="PING\r\n", receive="+PONG")
    bad = start(t, redis(t, b"-LOADING\r\n"), tcp=True, send="PING\r\n", receive="+PONG")
    t.eventually(lambda: is_down(bad), "the check fails")
    t.matches(bad.stderr(), "timeout|did not come")
    t.true(not is_down(good), "PONG is enough")


@test("an instance waits for its first check when told so")
def _(t):
    up = t.upstream(upstream.fixed(503))
    naru = start(t, up, path="/", initial="down")
    t.equal(naru.request().status, 503)
    t.matches(naru.request().body.decode(), "no_healthy")
    up.behave = upstream.named("a")
    t.eventually(lambda: naru.request().status == 200, "the check passes")


if __name__ == "__main__":
    main()
