# SPDX-License-Identifier: Apache-2.0
"""Peers that are slow, gone, broken or hostile, and what exactly becomes of them."""

import os
import socket
import subprocess
import threading
import time

import upstream
import wire
from harness import NARU, free_port, main, sanitized, test

MIB = 1024 * 1024


def app(*ups, **more):
    return {"app": {"instances": [getattr(up, "address", up) for up in ups], **more}}


def naru_with_limits(t, services, listener_limits, **more):
    port = free_port()
    naru = t.naru(gateway={"listen": [{"address": f"127.0.0.1:{port}", "limits": listener_limits, **more}]},
                  services=services)
    naru.port = port
    naru.address = f"127.0.0.1:{port}"
    return naru


def never_answers(peer):
    """Reads one request and waits for the connection's end, so that a close shows."""
    peer.next()
    peer.expect_close(60, allow_reset=True)


def reason(answer):
    return (answer.status, answer.json()["reason"])


# ---- instances that die

@test("an instance that refuses is passed over, whatever the method")
def _(t):
    up = t.upstream(upstream.named("alive"))
    naru = t.naru(services=app(f"127.0.0.1:{free_port()}", up, balance="round_robin"))
    for method in ("GET", "POST") * 5:
        body = b"x" if method == "POST" else None
        t.equal(naru.request(method, "/", body=body).body, b"alive\n")


@test("an instance that dies over a request: idempotent ones are repeated elsewhere, with their body")
def _(t):
    bad = t.upstream(upstream.reset_after_request())
    good = t.upstream(upstream.echo())
    naru = t.naru(services=app(bad, good, balance="round_robin"))
    for _i in range(4):
        t.equal(naru.request("GET", "/").status, 200)
        t.equal(naru.request("PUT", "/", body=b"again" * 1000).body, b"again" * 1000)
    t.true(bad.requests, "the bad one was tried at all")


@test("a request that may have been processed and is not idempotent is not repeated")
def _(t):
    bad, good = t.upstream(upstream.close_after_request()), t.upstream(upstream.echo())
    naru = t.naru(services=app(bad, good, balance="round_robin"))
    answers = [naru.request("POST", "/", body=b"charge") for _i in range(6)]
    failed = [a for a in answers if a.status != 200]
    t.equal(len(failed), len(bad.requests), "each of the bad one's was told to its client")
    for answer in failed:
        t.equal(reason(answer), (502, "upstream_closed"))


@test("kill -9 of one of three under load: no client sees an error", timeout_s=120)
def _(t):
    hello = os.path.join(os.environ.get("BUILD", "build"), "examples", "hello", "hello")
    if not os.path.exists(hello):
        t.skip("the example service is not built")
    ports = [free_port() for _i in range(3)]
    def start(i):
        return t.spawn([hello, "--port", ports[i], "--name", f"hello-{i}"],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    instances = [start(i) for i in range(3)]
    def up(port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0
    t.eventually(lambda: all(up(port) for port in ports), "three instances")
    naru = t.naru(workers=2, services=app(*[f"127.0.0.1:{port}" for port in ports],
                                          health={"path": "/healthz", "interval": "500ms", "timeout": "400ms"}))
    stop, failures, done = threading.Event(), [], [0]
    def client():
        with naru.connect() as stream:
            while not stop.is_set():
                stream.send(wire.request_bytes("GET", "/hello"))
                answer = stream.read_response()
                done[0] += 1
                if answer.status != 200:
                    failures.append((answer.status, answer.body))
    def guarded():
        try:
            client()
        except Exception as error:
            failures.append(repr(error))
    clients = [threading.Thread(target=guarded, daemon=True) for _i in range(16)]
    for thread in clients:
        thread.start()
    for i in range(3):
        time.sleep(0.5)
        instances[i].kill()
        instances[i].wait()
        time.sleep(1.0)
        instances[i] = start(i)
        t.eventually(lambda: up(ports[i]), "the instance is back")
        time.sleep(1.5)
    stop.set()
    for thread in clients:
        thread.join(10)
    t.equal(failures[:3], [], f"failures among {done[0]} requests")
    t.true(done[0] > 500, f"only {done[0]} requests")


@test("all instances gone: 502 with the reason")
def _(t):
    naru = t.naru(services=app(f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"))
    t.equal(reason(naru.request()), (502, "connect_refused"))


# ---- services that break HTTP

@test("an upstream that sends garbage: 502, and the connection is not used again")
def _(t):
    up = t.upstream(upstream.garbage())
    naru = t.naru(services=app(up, retry={"attempts": 1}))
    for _i in range(2):
        t.equal(reason(naru.request("POST", "/", body=b"x")), (502, "upstream_protocol"))
    t.equal(up.connections_total, 2)


BAD_ANSWERS = [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "two lengths"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "length and chunked"),
    (b"HTTP/1.1 200 OK\nContent-Length: 1\n\nx", "bare LF"),
    (b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n", "a status of two digits"),
    (b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", "another version"),
    (b"HTTP/1.1 200 OK\r\nBad Name: 1\r\n\r\n", "a space in a name"),
    (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", "a head without end"),
]


@test("answers that two parsers could read in two ways are refused: 502 upstream_protocol")
def _(t):
    for data, story in BAD_ANSWERS:
        up = t.upstream(upstream.raw(data))
        naru = t.naru(services=app(up, retry={"attempts": 1}))
        t.equal(reason(naru.request()), (502, "upstream_protocol"), story)
        naru.stop()


@test("an upstream that closes early: the client's connection breaks, a part is never taken for the whole")
def _(t):
    naru = t.naru(services=app(t.upstream(upstream.truncated(1000, 400))))
    with naru.connect() as client:
        client.send(wire.request_bytes())
        t.equal(client.read_head().status, 200)
        t.raises(wire.Closed, client.read_exact, 1000)
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nwo"
    naru = t.naru(services=app(t.upstream(upstream.raw(chunked))))
    with naru.connect() as client:
        client.send(wire.request_bytes())
        t.raises(wire.Closed, client.read_response)


@test("too much: what follows an answer is not taken for the next one")
def _(t):
    answers = wire.response_bytes(200, b"mine") + wire.response_bytes(200, b"smuggled")
    up = t.upstream(upstream.raw(answers, close=False))
    naru = t.naru(services=app(up))
    for _i in range(3):
        t.equal(naru.request().body, b"mine")
    t.equal(up.connections_total, 3, "a connection with leftovers is closed")


@test("an early answer reaches the client, and the upload stops")
def _(t):
    up = t.upstream(upstream.early(413))
    naru = t.naru(services=app(up))
    with naru.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
        client.send(b"x" * 1000)
        t.equal(client.read_response().status, 413)
    t.eventually(lambda: up.connections_open == 0, "the upstream connection is closed")


# ---- services that are slow

@test("the deadline: 504 at its time, and the service is told by a close")
def _(t):
    up = t.upstream(never_answers)
    naru = t.naru(gateway={"deadline": "700ms"}, services=app(up))
    start_s = time.monotonic()
    t.equal(reason(naru.request()), (504, "deadline"))
    took_s = time.monotonic() - start_s
    t.true(0.6 < took_s < 2.0, f"after {took_s:.2f} s")
    t.eventually(lambda: up.connections_open == 0, "the attempt's connection is closed")


@test("an attempt that takes too long ends in 504, within the attempt's time")
def _(t):
    naru = t.naru(gateway={"deadline": "10s"},
                  services=app(t.upstream(never_answers), timeouts={"attempt": "400ms"}, retry={"attempts": 1}))
    start_s = time.monotonic()
    t.equal(reason(naru.request()), (504, "attempt_timeout"))
    t.true(time.monotonic() - start_s < 3.0, "in its time")


@test("an answer whose body stalls is broken off")
def _(t):
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
    naru = t.naru(gateway={"deadline": "30s"},
                  services=app(t.upstream(upstream.raw(data, close=False)), timeouts={"idle": "500ms"}))
    with naru.connect() as client:
        client.send(wire.request_bytes())
        t.equal(client.read_head().status, 200)
        t.raises(wire.Closed, client.read_exact, 100)


# ---- clients that are slow or gone

@test("a slow head: 408 at the header timeout, however many bytes trickle in")
def _(t):
    naru = naru_with_limits(t, app(t.upstream()), {"header_timeout": "600ms"})
    with naru.connect() as client:
        start_s = time.monotonic()
        client.send("GET / HTTP/1.1\r\n")
        def trickle():
            try:
                for _i in range(100):
                    client.send("X: y\r\n")
                    time.sleep(0.05)
            except OSError:
                pass
        thread = threading.Thread(target=trickle, daemon=True)
        thread.start()
        answer = client.read_response()
        took_s = time.monotonic() - start_s
        t.equal(reason(answer), (408, "header_timeout"))
        t.true(0.5 < took_s < 2.5, f"after {took_s:.2f} s")
        thread.join()


@test("a connection that says nothing is closed in silence")
def _(t):
    naru = naru_with_limits(t, app(t.upstream()), {"header_timeout": "500ms", "idle_timeout": "500ms"})
    with naru.connect() as client:
        t.equal(client.read_to_end(), b"")


@test("a slow body: 408 at the body timeout, and the service is told by a close")
def _(t):
    up = t.upstream(lambda peer: peer.next())
    naru = naru_with_limits(t, app(up), {"body_timeout": "500ms"})
    with naru.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nfew")
        t.equal(client.read_response().status, 408)
        client.expect_close(5, allow_reset=True)
    t.eventually(lambda: up.connections_open == 0, "the upstream connection is closed")


@test("a body below the minimum rate is broken off although bytes keep coming")
def _(t):
    naru = naru_with_limits(t, app(t.upstream()), {"min_rate": "10KiB/s", "body_timeout": "500ms"})
    with naru.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
        start_s = time.monotonic()
        def trickle():
            while time.monotonic() - start_s < 20:
                client.send(b"x")
                time.sleep(0.1)
        t.raises(OSError, trickle)
        t.true(time.monotonic() - start_s < 15, "in time")


@test("a client that leaves cancels the request at the service")
def _(t):
    up = t.upstream(never_answers)
    naru = t.naru(gateway={"deadline": "30s"}, services=app(up), observe={"access_log": True})
    for leave in ("close", "reset", "half_close"):
        with naru.connect() as client:
            client.send(wire.request_bytes("GET", f"/{leave}"))
            t.eventually(lambda: up.connections_open == 1, "the request is at the service")
            getattr(client, leave)()
            t.eventually(lambda: up.connections_open == 0, f"{leave} reached the service")
    lines = t.eventually(lambda: len(naru.access_log()) == 3 and naru.access_log(), "three lines")
    t.equal({(line["status"], line["reason"]) for line in lines}, {(499, "client_closed")})


@test("half_close: allow answers a client that has only finished sending")
def _(t):
    naru = naru_with_limits(t, app(t.upstream(upstream.slow(0.3))), {}, half_close="allow")
    with naru.connect() as client:
        client.send(wire.request_bytes())
        client.half_close()
        t.equal(client.read_response().body, b"late\n")


@test("a reader that stops holds its service back and no memory; then it is cut off", timeout_s=90)
def _(t):
    up = t.upstream(upstream.big(200 * MIB))
    naru = naru_with_limits(t, app(up), {"body_timeout": "2s"})
    before = naru.rss_bytes()
    with naru.connect(receive_buffer_bytes=16 * 1024) as client:
        client.send(wire.request_bytes())
        client.read_exact(64 * 1024)
        time.sleep(1.0)
        grown = naru.rss_bytes() - before
        t.true(sanitized() or grown < 1 * MIB, f"{grown} bytes for one stalled reader")
        t.eventually(lambda: up.connections_open == 0, "the stalled reader was cut off", within_s=15)


@test("100 MB both ways at once, memory bounded under 1 MB a connection", timeout_s=180)
def _(t):
    total, connections = 100 * 1000 * 1000, 2
    def behave(peer):
        request = peer.next(body=False)
        length = int(request.header("Content-Length"))
        # It ends with this one; unannounced, the next POST could meet the FIN, and is not repeated.
        peer.send(wire.response_bytes(200, b"", {"Content-Length": str(length), "Connection": "close"}))
        left = length
        while left:
            data = peer.read_exact(min(left, 256 * 1024))
            peer.send(data)
            left -= len(data)
    naru = t.naru(gateway={"deadline": "150s"}, services=app(t.upstream(behave), timeouts={"attempt": "150s"}))
    naru.request("POST", "/", body=b"warm")
    before, peak, wrong = naru.rss_bytes(), [0], []
    piece = upstream.pattern(0, 251 * 1000)
    def client():
        with naru.connect(wait_s=120) as stream:
            stream.send(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {total}\r\n\r\n")
            def feed():
                sent = 0
                while sent < total:
                    part = piece[:total - sent]
                    stream.sock.sendall(part)
                    sent += len(part)
            feeder = threading.Thread(target=feed, daemon=True)
            feeder.start()
            if stream.read_head().status != 200:
                wrong.append("status")
            got = 0
            while got < total:
                data = stream.read_exact(min(total - got, len(piece)))
                if data != piece[:len(data)]:
                    wrong.append(f"bytes differ near {got}")
                    return
                got += len(data)
                peak[0] = max(peak[0], naru.rss_bytes() - before)
            feeder.join()
    threads = [threading.Thread(target=client, daemon=True) for _i in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(170)
    t.equal(wrong, [])
    t.true(not any(thread.is_alive() for thread in threads), "both transfers ended")
    t.true(sanitized() or peak[0] < connections * MIB, f"{peak[0]} bytes for {connections} connections")


@test("a body over the limit is refused: announced ones at once, others when they grow over it")
def _(t):
    naru = naru_with_limits(t, app(t.upstream(upstream.echo())), {"max_body": "10KiB"})
    answer = naru.exchange(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n")
    t.equal(reason(answer), (413, "body_too_large"))
    with naru.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(wire.chunk(b"x" * 20_000))
        t.equal(reason(client.read_response()), (413, "body_too_large"))


@test("the rest of a refused body is read, and the connection serves the next request")
def _(t):
    naru = naru_with_limits(t, app(t.upstream(upstream.echo())), {"max_body": "10KiB"})
    with naru.connect() as client:
        for _i in range(3):
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12000\r\n\r\n" + b"x" * 12_000)
            t.equal(reason(client.read_response()), (413, "body_too_large"))
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        t.equal(client.read_response().status, 200)


# ---- requests that are no HTTP

REFUSED = [
    (b"GET / HTTP/1.1\r\n\r\n", 400, "missing_host"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "duplicate_host"),
    (b"GET / HTTP/1.1\nHost: a\n\n", 400, "bare_lf"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400, "bare_cr"),
    (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, "bad_field_name"),
    (b"GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", 400, "bad_field_name"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n\r\n", 400, "obs_fold"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", 400, "bad_field_value"),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
     "length_with_transfer_encoding"),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400,
     "duplicate_content_length"),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", 400, "bad_content_length"),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 400, "bad_transfer_encoding"),
    (b"GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_path"),
    (b"GET /a%2fb HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_path"),
    (b"GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_path"),
    (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505, "unsupported_version"),
    (b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 501, "method_refused"),
    (b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 501, "method_refused"),
    (b"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_method"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nExpect: magic\r\n\r\n", 417, "bad_expectation"),
    (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, "target_too_long"),
    (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431, "too_many_fields"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", 431, "head_too_large"),
]


@test("what is not HTTP is refused with its reason, and never reaches a service")
def _(t):
    up = t.upstream()
    naru = t.naru(services=app(up), observe={"access_log": True})
    for data, status, why in REFUSED:
        with naru.connect() as client:
            client.send(data)
            answer = client.read_response()
            t.equal(reason(answer), (status, why), repr(data[:60]))
            t.equal(answer.header("Connection"), "close")
            client.expect_close(5, allow_reset=True)
    t.equal(up.requests, [])
    lines = t.eventually(lambda: len(naru.access_log()) == len(REFUSED) and naru.access_log(), "a line each")
    t.true(all(line["status"] >= 400 for line in lines), "statuses in the log")


BAD_CHUNKS = [b"x\r\n", b"5;\n", b"-1\r\n", b"ffffffffffffffff1\r\n", b"3\r\nabcX", b"1\nx\r\n", b" 3\r\nabc\r\n"]


@test("a malformed chunk breaks the request, and the service sees no end of it")
def _(t):
    seen = []
    def behave(peer):
        request = peer.next(body=False)
        if request is None:
            return
        try:
            peer.read_body(request)
            seen.append(request.body)
        except wire.Closed:
            pass
    naru = t.naru(services=app(t.upstream(behave)))
    for data in BAD_CHUNKS:
        with naru.connect() as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + data)
            try:
                answer = client.read_response()
                t.true(answer.status >= 400, f"{data!r} got {answer.status}")
            except wire.Closed:
                pass
    t.equal(seen, [])


# ---- limits of the machine

@test("at the connection limit new clients wait; those served do not notice; leaving makes room")
def _(t):
    naru = naru_with_limits(t, app(t.upstream(upstream.echo())), {"max_connections": 3})
    held = [naru.connect() for _i in range(3)]
    for client in held:
        client.send(wire.request_bytes("GET", "/held"))
        t.equal(client.read_response().status, 200)
    with naru.connect(wait_s=10) as late:
        late.send(wire.request_bytes("GET", "/late"))
        late.expect_silence(0.3)
        for client in held:
            client.send(wire.request_bytes("GET", "/again"))
            t.equal(client.read_response().status, 200)
        held[0].close()
        t.equal(late.read_response().header("X-Target"), "/late")
    for client in held:
        client.close()


def get(client, target="/"):
    client.send(wire.request_bytes("GET", target))
    return client.read_response()


@test("one address has only so many connections; further ones are closed, others do not notice")
def _(t):
    limits = {"max_client_connections": 2}
    naru = naru_with_limits(t, app(t.upstream(upstream.echo())), limits)
    held = [naru.connect() for _i in range(2)]
    for client in held:
        t.equal(get(client).status, 200)
    for number in range(3):
        with naru.connect() as late:
            late.send(wire.request_bytes("GET", "/"))
            late.expect_close(5, allow_reset=True)
        t.equal(naru.metrics()["naru_connections_crowded_total"], number + 1)
    elsewhere = socket.create_connection(("127.0.0.1", naru.port), 5, source_address=("127.0.0.9", 0))
    t.equal(get(wire.Stream(elsewhere)).status, 200)
    elsewhere.close()
    for client in held:
        t.equal(get(client).status, 200)
    held[0].close()
    t.eventually(lambda: naru.metrics()["naru_connections_open"] == 1, "one has gone")
    with naru.connect() as again:
        t.equal(get(again).status, 200)
    held[1].close()


@test("behind a trusted proxy each client is counted by its PROXY header, and the proxy itself is not")
def _(t):
    up = t.upstream(upstream.echo())
    port = free_port()
    naru = t.naru(services=app(up), gateway={
        "listen": [{"address": f"127.0.0.1:{port}", "proxy_protocol": "accept", "trusted_proxies": ["127.0.0.1/32"],
                    "limits": {"max_client_connections": 1}}],
        "routes": [{"match": "/*", "service": "app"}]})
    naru.port = port
    clients = [naru.connect() for _i in range(5)]
    for number, client in enumerate(clients):
        client.send(f"PROXY TCP4 203.0.113.{number} 192.0.2.1 1 2\r\n" if number < 3 else b"")
        t.equal(get(client).status, 200)
    with naru.connect() as second:
        second.send(b"PROXY TCP4 203.0.113.1 192.0.2.1 1 2\r\n" + wire.request_bytes("GET", "/"))
        second.expect_close(5, allow_reset=True)
    t.equal(naru.metrics()["naru_connections_crowded_total"], 1)
    for client in clients:
        client.close()


@test("nothing leaks: descriptors and memory after thousands of good and bad connections")
def _(t):
    naru = t.naru(services=app(t.upstream(upstream.echo())))
    def batch():
        for i in range(150):
            naru.request("POST", "/", body=b"x" * 1000)
            with naru.connect() as client:
                client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc" if i % 2 else b"bad\r\n\r\n")
                if i % 3:
                    client.reset()
    batch()
    time.sleep(0.3)
    files, memory = naru.fd_count(), naru.rss_bytes()
    for _i in range(4):
        batch()
    time.sleep(0.3)
    t.true(naru.fd_count() <= files + 4, f"{files} descriptors before, {naru.fd_count()} after")
    if not sanitized():     # which keeps what was freed in quarantine
        t.true(naru.rss_bytes() - memory < 2 * MIB, f"{naru.rss_bytes() - memory} bytes more")


if __name__ == "__main__":
    main()
