# SPDX-License-Identifier: Apache-2.0
"""The harness against itself: a tool that forgives would prove nothing about naru."""

import contextlib
import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import harness
import upstream
import wire
from harness import main, test

HERE = os.path.dirname(os.path.abspath(__file__))


def reader_of(data, reset=False):
    """A Stream over these bytes, then FIN (or RST)."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        sock, _ = listener.accept()
        peer = wire.Stream(sock)
        peer.send(data)
        if reset:
            time.sleep(0.05)
            peer.reset()
        else:
            peer.close()
        listener.close()

    threading.Thread(target=serve, daemon=True).start()
    return wire.connect(listener.getsockname(), wait_s=5)


def response_of(data, method="GET"):
    with reader_of(data) as stream:
        return stream.read_response(method)


GOOD = [
    ("a length", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", b"abc"),
    ("until close", b"HTTP/1.1 200 OK\r\n\r\nabc", b"abc"),
    ("no reason phrase", b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", b""),
    ("chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
               b"3;a=b\r\nabc\r\n0\r\nT: 1\r\n\r\n", b"abc"),
    ("no body on 304", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", b""),
    ("after 103", b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
                  b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", b"x"),
]

BAD = [
    ("bare LF", b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n"),
    ("wrong version", b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("four digits", b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"),
    ("space before colon", b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n"),
    ("folded field", b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n"),
    ("NUL in a value", b"HTTP/1.1 200 OK\r\nA: b\0c\r\nContent-Length: 0\r\n\r\n"),
    ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n"),
    ("length and chunked", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
                           b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("signed length", b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx"),
    ("body cut", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"),
    ("no last chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
    ("chunk too long", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                       b"3\r\nabcd\r\n0\r\n\r\n"),
    ("length on 204", b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"),
]


@test("good responses are read whole")
def _(t):
    for name, data, body in GOOD:
        t.equal(response_of(data).body, body, name)


@test("chunk sizes, trailers and interim responses are kept")
def _(t):
    chunked = response_of(GOOD[3][1])
    t.equal((chunked.chunks, chunked.trailers), ([3], [("T", "1")]))
    t.equal([r.status for r in response_of(GOOD[5][1]).interim], [103])


@test("bad responses are refused")
def _(t):
    for name, data in BAD:
        try:
            answer = response_of(data)
        except wire.WireError:
            continue
        raise AssertionError(f"{name} was read as {answer}")


@test("a reset, a close and silence are told apart")
def _(t):
    with reader_of(b"", reset=True) as stream:
        t.true(t.raises(wire.Closed, stream.read_line).reset, "a reset")
    with reader_of(b"") as stream:
        t.true(not t.raises(wire.Closed, stream.read_line).reset, "a close")
    with reader_of(b"") as stream:
        stream.expect_close()
    with reader_of(b"x") as stream:
        t.raises(wire.WireError, stream.expect_close)
    with reader_of(b"x") as stream:
        t.raises(wire.WireError, stream.expect_silence, 1)
    quiet = t.upstream(lambda peer: peer.sleep(10))
    with wire.connect(quiet.address) as stream:
        stream.expect_silence(0.1)
        stream.wait_s = 0.1
        t.raises(wire.WireError, stream.read_line)


@test("upstreams answer, remember, stop and come back")
def _(t):
    up = t.upstream(upstream.echo())
    with t.connect(up.address) as stream:
        for n in range(3):
            stream.send(wire.request_bytes("POST", f"/{n}", body=b"abc" * n))
            answer = stream.read_response()
            t.equal((answer.body, answer.header("x-target")), (b"abc" * n, f"/{n}"))
        stream.send(wire.request_bytes("POST", "/c", body=[b"12", b"345"], chunked=True))
        t.equal(stream.read_response().body, b"12345")
    t.equal([r.target for r in up.wait_requests(4)], ["/0", "/1", "/2", "/c"])
    up.stop()
    t.raises(ConnectionRefusedError, wire.connect, up.address)
    up.start()
    t.equal(wire.request(up.address).status, 200)
    up.wait_idle()
    t.equal(up.connections_total, 2)


@test("an upstream on a Unix socket")
def _(t):
    up = t.upstream(upstream.named("u"), path=t.path("u.sock"))
    t.equal(wire.request(up.address).body, b"u\n")


@test("upstreams misbehave as told")
def _(t):
    for behave, kind in [(upstream.garbage(), wire.WireError),
                         (upstream.close_at_once(), wire.Closed),
                         (upstream.close_after_request(), wire.Closed),
                         (upstream.reset_after_request(), wire.Closed),
                         (upstream.truncated(10, 4), wire.Closed)]:
        try:
            t.raises(kind, wire.request, t.upstream(behave).address)
        except (BrokenPipeError, ConnectionResetError):
            pass    # closed before the request was out
    up = t.upstream(upstream.chunked([b"ab", b"c"], [("T", "1")]))
    answer = wire.request(up.address)
    t.equal((answer.body, answer.chunks, answer.trailers), (b"abc", [2, 1], [("T", "1")]))
    answer = wire.request(t.upstream(upstream.big(300_000)).address)
    t.true(answer.body == upstream.pattern(0, 300_000), "the pattern comes whole")
    t.true(upstream.pattern(250, 3) == bytes([250, 0, 1]), "the pattern repeats after 251")


@test("what is not HTTP towards an upstream fails the test")
def _(t):
    inner = harness.Test("inner")
    up = inner.upstream(upstream.echo())
    with wire.connect(up.address) as stream:
        stream.send(b"GET / HTTP/1.1\nHost: x\r\n\r\n")
        stream.expect_close(allow_reset=True)
    t.raises(AssertionError, inner.finish)


@test("ports are free and given once")
def _(t):
    ports = [harness.free_port() for _ in range(50)]
    t.equal(len(set(ports)), 50)
    for port in ports[:5]:
        socket.create_server(("127.0.0.1", port)).close()
    other = subprocess.run(
        [sys.executable, "-c", "import sys, random; sys.path.insert(0, sys.argv[1]);"
         "import harness; random.randrange = lambda *_: int(sys.argv[2]);"
         "harness.free_port()", HERE, str(ports[0])], capture_output=True, text=True, check=False)
    t.matches(other.stderr, "no free port")


@test("children die with a harness that is killed")
def _(t):
    runner = t.spawn([sys.executable, "-c",
                      "import sys, time; sys.path.insert(0, sys.argv[1]); import harness;"
                      "print(harness.spawn(['sleep', '600']).pid, flush=True); time.sleep(600)",
                      HERE], stdout=subprocess.PIPE, text=True)
    child = int(runner.stdout.readline())
    t.true(os.path.exists(f"/proc/{child}"), "the child runs")
    runner.send_signal(signal.SIGKILL)
    runner.wait()

    def gone():
        try:
            with open(f"/proc/{child}/stat", encoding="ascii") as file:
                return ") Z " in file.read()
        except FileNotFoundError:
            return True
    t.eventually(gone, "the child is gone")


@test("a naru that ends instead of getting ready is an error with its words")
def _(t):
    fake = t.path("fake", "#!/bin/sh\necho 'no such thing' >&2\nexit 3\n")
    os.chmod(fake, 0o755)
    real, harness.NARU = harness.NARU, fake
    try:
        error = t.raises(AssertionError, harness.Test("inner").naru)
    finally:
        harness.NARU = real
    t.matches(str(error), "(?s)exited with 3.*no such thing")


@test("a sanitizer's report and a bad exit code fail the test")
def _(t):
    for script, pattern in [("echo 'WARNING: ThreadSanitizer: data race' >&2", "ThreadSanitizer"),
                            ("exit 7", "ended with 7")]:
        fake = t.path("fake", f"#!/bin/sh\n{script}\n")
        os.chmod(fake, 0o755)
        real, harness.NARU = harness.NARU, fake
        try:
            naru = harness.Naru(t.folder)
            naru.start(wait=False)
            naru.process.wait()
            t.matches(str(t.raises(AssertionError, naru.finish)), pattern)
        finally:
            harness.NARU = real


@test("TAP tells pass, failure and skip")
def _(t):
    def passes(_):
        pass

    def fails(t):
        t.equal(1, 2, "one")

    def skips(t):
        t.need("no-such-program")

    def leaks(t):
        t.stack.callback(fails, t)

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = t.raises(SystemExit, main, [(f.__name__, f, 5)
                                           for f in (passes, fails, skips, leaks)]).code
    lines = [line for line in out.getvalue().splitlines() if not line.startswith("#")]
    t.equal(lines, ["1..4", "ok 1 - passes", "not ok 2 - fails",
                    "ok 3 - skips # SKIP no-such-program is not installed", "not ok 4 - leaks"])
    t.equal(code, 1)
    t.matches(out.getvalue(), "# AssertionError: one: 1, want 2")


@test("configuration is written as YAML that says the same")
def _(t):
    try:
        import yaml
    except ImportError:
        t.skip("python3-yaml is not installed")
    value = {"gateway": {"workers": 1, "listen": [{"address": "127.0.0.1:80", "x": {"a": "b"}}],
                         "routes": [{"match": {"path": "/*", "methods": ["GET"]}}]},
             "odd": {"empty": {}, "none": [], "no": "no", "text": "a: b # c", "on": True,
                     "wait": "250ms", "nested": [["x", "y"], {"k": [1, 2]}]}}
    t.equal(yaml.safe_load(harness.to_yaml(value)), value)


if __name__ == "__main__":
    main()
