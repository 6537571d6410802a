# SPDX-License-Identifier: Apache-2.0
"""A service written on include/naru/service.h: the hello example, over real sockets."""

import os
import signal
import socket
import subprocess
import time

import wire
from harness import free_port, main, reap, spawn, test

HELLO = os.path.join(os.environ.get("BUILD", "build"), "examples/hello/hello")


class Hello:
    def __init__(self, t, *more):
        self.port = free_port()
        self.err = open(t.path(f"hello-{self.port}"), "w+", encoding="utf-8")
        self.process = spawn([HELLO, "--port", self.port, "--name", 'h"1', *more], stderr=self.err)
        t.stack.callback(self.finish)
        t.eventually(self.answers, "the service answers", 20)

    def answers(self):
        try:
            return wire.request(self.port, "GET", "/healthz").status == 200
        except OSError:
            return False

    def finish(self):
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(30)
        reap(self.process)
        self.err.seek(0)
        said = self.err.read()
        self.err.close()
        if code != 0 or said:
            raise AssertionError(f"hello ended with {code}: {said}")


@test("routes, parameters, HEAD, 404 and 405")
def _(t):
    hello = Hello(t)
    answer = wire.request(hello.port, "GET", "/hello?x=1")
    t.equal(answer.json(), {"message": "hello", "instance": 'h"1', "path": "/hello"})
    head = wire.request(hello.port, "HEAD", "/hello")
    t.equal((head.status, head.body, head.header("Content-Length")),
            (200, b"", answer.header("Content-Length")))
    t.equal(wire.request(hello.port, "GET", "/status/418").status, 418)
    t.equal(wire.request(hello.port, "GET", "/nope").json()["reason"], "no_route")
    wrong = wire.request(hello.port, "DELETE", "/echo")
    t.equal((wrong.status, wrong.header("Allow")), (405, "POST"))


@test("bodies come whole, with 100-continue when the client waits, 413 when too large")
def _(t):
    hello = Hello(t)
    body = os.urandom(700_000)
    t.equal(wire.request(hello.port, "POST", "/echo", body=body).body, body)
    with wire.connect(hello.port) as stream:
        stream.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
                    b"Expect: 100-continue\r\n\r\n")
        t.matches(stream.read_line().decode(), "^HTTP/1.1 100 ")
        t.equal(stream.read_line(), b"")
        stream.send(b"12345")
        t.equal(stream.read_response().body, b"12345")
    with wire.connect(hello.port) as stream:
        stream.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n"
                    b"Expect: 100-continue\r\n\r\n")
        t.equal(stream.read_response().status, 413)


@test("a client that leaves while its handler runs")
def _(t):
    hello = Hello(t)
    for _ in range(20):
        with wire.connect(hello.port) as stream:
            stream.send(wire.request_bytes("GET", "/slow?ms=100"))
            time.sleep(0.01)
            stream.reset()
    t.equal(wire.request(hello.port, "GET", "/").status, 200)


@test("a drain finishes what is in flight")
def _(t):
    hello = Hello(t)
    with wire.connect(hello.port) as stream:
        stream.send(wire.request_bytes("GET", "/slow?ms=500"))
        time.sleep(0.1)
        hello.process.send_signal(signal.SIGTERM)
        t.equal(stream.read_response().status, 200)
    t.equal(hello.process.wait(20), 0)


@test("a busy port")
def _(t):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = subprocess.run([HELLO, "--port", str(taken.getsockname()[1])], capture_output=True,
                              text=True, timeout=30, check=False)
    t.equal(done.returncode, 1)
    t.matches(done.stderr, "address in use")


if __name__ == "__main__":
    main()
