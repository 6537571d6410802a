# SPDX-License-Identifier: Apache-2.0
"""The gateway over real sockets: what passes, what changes on the way, what is refused."""

import json
import os
import re
import socket
import threading
import time

import upstream
import wire
from harness import free_port, main, test


def service(*ups, **more):
    return {"instances": [up.address for up in ups], **more}


def one(t, behave=None, gateway=None, observe=None, **more):
    """naru before one upstream, on a route for all."""
    up = t.upstream(behave)
    sections = {"services": {"app": service(up, **more)}}
    if gateway:
        sections["gateway"] = gateway
    if observe:
        sections["observe"] = observe
    return t.naru(**sections), up


# ---- what passes

@test("a request and its answer pass whole")
def _(t):
    naru, up = one(t, upstream.echo())
    answer = naru.request("POST", "/a/b?c=d", {"X-One": "1"}, b"x" * 100_000)
    t.equal(answer.status, 200)
    t.equal(answer.body, b"x" * 100_000)
    t.equal(answer.header("X-Target"), "/a/b?c=d")
    t.equal(up.requests[0].header("X-One"), "1")


@test("keep-alive on both sides: many requests, one connection each")
def _(t):
    naru, up = one(t, upstream.echo())
    with naru.connect() as client:
        for i in range(50):
            client.send(wire.request_bytes("GET", f"/{i}"))
            t.equal(client.read_response().header("X-Target"), f"/{i}")
    t.equal(up.connections_total, 1)


@test("pipelined requests are answered in order")
def _(t):
    naru, _ = one(t, upstream.echo())
    with naru.connect() as client:
        client.send(b"".join(wire.request_bytes("GET", f"/{i}") for i in range(20)))
        for i in range(20):
            t.equal(client.read_response().header("X-Target"), f"/{i}")


@test("a chunked body in pieces passes whole, trailers and all")
def _(t):
    naru, up = one(t, upstream.chunked([b"one", b"two" * 1000, b"three"], [("X-Sum", "9")], 0.01))
    with naru.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n")
        for part in (b"a" * 10, b"b" * 50_000, b"c"):
            client.send(wire.chunk(part))
            time.sleep(0.02)
        client.send("0\r\nX-After: yes\r\n\r\n")
        answer = client.read_response()
    t.equal(answer.body, b"one" + b"two" * 1000 + b"three")
    t.equal(list(answer.trailers), [("X-Sum", "9")])
    t.equal(up.requests[0].body, b"a" * 10 + b"b" * 50_000 + b"c")
    t.equal(list(up.requests[0].trailers), [("X-After", "yes")])


@test("HEAD, 204 and 304 have no body, whatever they announce")
def _(t):
    def answer(peer, request):
        if request.target == "/204":
            peer.send("HTTP/1.1 204 No Content\r\n\r\n")
        elif request.target == "/304":
            peer.send("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 10\r\n\r\n")
        else:
            peer.answer(200, b"0123456789", method=request.method)
    naru, _ = one(t, upstream.each(answer))
    with naru.connect() as client:
        client.send(wire.request_bytes("HEAD", "/"))
        head = client.read_response("HEAD")
        t.equal(head.header("Content-Length"), "10")
        for target, status in (("/204", 204), ("/304", 304), ("/", 200)):
            client.send(wire.request_bytes("GET", target))
            t.equal(client.read_response().status, status)


@test("100 Continue comes from the service, and the body after it")
def _(t):
    def behave(peer):
        request = peer.next(body=False)
        t.equal(request.header("Expect"), "100-continue")
        peer.send("HTTP/1.1 100 Continue\r\n\r\n")
        peer.read_body(request)
        peer.answer(200, request.body)
    naru, _ = one(t, behave)
    with naru.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        t.equal(client.read_head().status, 100)
        client.send("hello")
        t.equal(client.read_response().body, b"hello")


@test("103 Early Hints are passed on before the answer")
def _(t):
    naru, _ = one(t, upstream.raw(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    answer = naru.request()
    t.equal([i.status for i in answer.interim], [103])
    t.equal(answer.interim[0].header("Link"), "</a.css>")
    t.equal(answer.body, b"ok")


@test("a WebSocket-like upgrade becomes a tunnel both ways, and ends with either side")
def _(t):
    def behave(peer):
        request = peer.next()
        t.equal(request.header("Upgrade"), "chat")
        peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\nhello ")
        while True:
            data = peer.read_exact(4)
            peer.send(data.upper())
            if data == b"quit":
                return
    naru, _ = one(t, behave)
    with naru.connect() as client:
        client.send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n")
        head = client.read_head()
        t.equal((head.status, head.header("Upgrade")), (101, "chat"))
        t.equal(client.read_exact(6), b"hello ")
        for word in (b"ping", b"pong", b"quit"):
            client.send(word)
            t.equal(client.read_exact(4), word.upper())
        client.expect_close(5)


@test("a real WebSocket client and server talk through it")
def _(t):
    try:
        import asyncio
        import websockets
    except ImportError:
        t.skip("python3-websockets is not installed")

    async def talk():
        async def handler(socket, *_):
            async for message in socket:
                await socket.send(message[::-1])
        async with websockets.serve(handler, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            naru = t.naru(services={"app": {"instances": [f"127.0.0.1:{port}"]}})
            async with websockets.connect(f"ws://{naru.address}/chat") as socket:
                for message in ("naru", "x" * 200_000):
                    await socket.send(message)
                    t.equal(await socket.recv(), message[::-1])
    asyncio.run(talk())


@test("an HTTP/1.0 client is served: with keep-alive if it asks, chunks unwrapped")
def _(t):
    naru, _ = one(t, upstream.chunked([b"abc", b"def"]))
    with naru.connect() as client:
        client.send("GET / HTTP/1.0\r\n\r\n")
        answer = client.read_response()
        t.equal(answer.body, b"abcdef")
        t.equal(answer.header("Transfer-Encoding"), None)
    naru, _ = one(t)
    with naru.connect() as client:
        for _i in range(2):
            client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            t.equal(client.read_response().header("Connection"), "keep-alive")


@test("Unix sockets on both sides")
def _(t):
    up = t.upstream(upstream.named("u"), path=t.path("app.sock"))
    listen = t.path("naru.sock")
    naru = t.naru(gateway={"listen": [{"address": f"unix:{listen}"}]},
                  services={"app": service(up)})
    t.equal(wire.request(f"unix:{listen}").body, b"u\n")
    naru.stop()
    t.true(not os.path.exists(listen), "the socket's file goes with naru")


@test("IPv6 on both sides, HTTP and TCP, and several listeners each with limits of its own")
def _(t):
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        t.skip("no IPv6 on loopback")
    up = t.upstream(upstream.echo())
    six, narrow, front, raw = (free_port() for _ in range(4))
    first = t.naru(services={"app": service(up)}, gateway={"listen": [
        {"address": f"[::1]:{six}"},
        {"address": f"[::1]:{narrow}", "limits": {"max_body": 3}}]})
    second = t.naru(services={"app": {"instances": [f"[::1]:{six}"]}}, gateway={
        "listen": [f"[::1]:{front}", {"address": f"[::1]:{raw}", "tcp": "app"}],
        "routes": [{"match": "/*", "service": "app"}]})
    answer = wire.request(f"[::1]:{front}", "POST", "/x", body=b"12345")
    t.equal((answer.status, answer.body), (200, b"12345"))
    t.equal(up.requests[-1].header("X-Forwarded-For"), "::1")
    line = t.eventually(second.access_log, "a line")[0]
    t.equal((line["ip"], line["instance"]), ("::1", f"[::1]:{six}"))
    t.equal(wire.request(f"[::1]:{raw}", "POST", "/x", body=b"12345").body, b"12345")
    line = t.eventually(lambda: second.access_log()[1:], "a line of the TCP connection")[0]
    t.equal((line["protocol"], line["ip"], line["instance"]), ("tcp", "::1", f"[::1]:{six}"))
    t.equal(wire.request(f"[::1]:{narrow}", "POST", "/x", body=b"123").status, 200)
    t.equal(wire.request(f"[::1]:{narrow}", "POST", "/x", body=b"12345").status, 413)
    t.equal(wire.request(f"[::1]:{six}", "POST", "/x", body=b"12345").status, 200)


# ---- what changes on the way

@test("the service sees who asked; what a stranger claims is replaced")
def _(t):
    naru, up = one(t)
    answer = naru.request("GET", "/", {
        "X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil",
        "Forwarded": "for=6.6.6.6", "X-Request-Id": "mine", "X-Request-Deadline": "1"})
    seen = up.requests[0]
    t.equal(seen.fields.all("X-Forwarded-For"), ["127.0.0.1"])
    t.equal(seen.fields.all("X-Forwarded-Proto"), ["http"])
    t.equal(seen.fields.all("X-Forwarded-Host"), ["naru.test"])
    t.equal(seen.header("Forwarded"), None)
    t.equal(seen.header("Via"), "1.1 naru")
    t.matches(seen.header("X-Request-Id"), r"^[0-9a-f]{32}$")
    t.equal(answer.header("X-Request-Id"), seen.header("X-Request-Id"))
    t.matches(answer.header("Date"), r"^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$")
    t.equal(answer.header("Via"), "1.1 naru")


@test("a trusted proxy is believed")
def _(t):
    up = t.upstream()
    naru = t.naru(services={"app": service(up)})
    naru.stop()
    naru.write_config(sections={"services": {"app": service(up)}, "gateway": {"listen": [
        {"address": naru.address, "trusted_proxies": ["127.0.0.0/8"]}]}})
    naru.start()
    naru.request("GET", "/", {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https",
                              "X-Request-Id": "abc-1"})
    t.equal(up.requests[-1].header("X-Forwarded-For"), "6.6.6.6, 127.0.0.1")
    t.equal(up.requests[-1].header("X-Forwarded-Proto"), "https")
    t.equal(up.requests[-1].header("X-Request-Id"), "abc-1")


@test("hop-by-hop fields stay on their hop; the case of names is kept")
def _(t):
    naru, up = one(t, upstream.fixed(200, b"", {"x-MiXeD-CaSe": "Kept", "Connection": "X-Hop",
                                                "X-Hop": "1", "Keep-Alive": "timeout=5"}))
    with naru.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Secret-Hop, keep-alive\r\nX-Secret-Hop: 1\r\n"
                    "Keep-Alive: 1\r\nProxy-Connection: keep-alive\r\nTE: gzip\r\nX-ODD-case: Yes\r\n\r\n")
        answer = client.read_response()
    names = up.requests[0].fields.names()
    for name in ("X-Secret-Hop", "Keep-Alive", "Proxy-Connection", "TE"):
        t.true(name.lower() not in [n.lower() for n in names], f"{name} was forwarded")
    t.true("X-ODD-case" in names, "the case of a request's field")
    t.true("x-MiXeD-CaSe" in answer.fields.names(), "the case of an answer's field")
    for name in ("X-Hop", "Keep-Alive"):
        t.equal(answer.header(name), None)


@test("a prefix is stripped, the path is canonical, the query is left alone")
def _(t):
    up = t.upstream(upstream.echo())
    naru = t.naru(gateway={"routes": [{"match": {"path": "/api/*"}, "service": "app",
                                       "strip_prefix": "/api"}]},
                  services={"app": service(up)})
    for target, seen in (("/api/orders", "/orders"), ("/api", "/"), ("/api/?q=%2e%2E", "/?q=%2e%2E"),
                         ("/api/%41%7e", "/A~"), ("/api/%e2%82%ac", "/%E2%82%AC")):
        t.equal(naru.request("GET", target).header("X-Target"), seen)


@test("the remaining time and nothing more is passed to the service")
def _(t):
    naru, up = one(t, gateway={"deadline": "4s"})
    naru.request()
    left_ms = int(up.requests[0].header("X-Request-Deadline"))
    t.true(3000 < left_ms <= 4000, f"{left_ms} ms left of 4 s")


# ---- routing and balancing

@test("host, path and method choose the service; what fits nothing is told why")
def _(t):
    a, b, c = (t.upstream(upstream.named(n)) for n in "abc")
    naru = t.naru(
        gateway={"routes": [
            {"match": {"path": "/*"}, "service": "a"},
            {"match": {"path": "/items/*", "methods": ["GET"]}, "service": "b"},
            {"match": {"path": "/*", "host": "*.shop.test"}, "service": "c"}]},
        services={"a": service(a), "b": service(b), "c": service(c)})
    def who(method, target, host="naru.test"):
        return naru.request(method, target, host=host).header("X-Instance")
    t.equal(who("GET", "/x"), "a")
    t.equal(who("GET", "/items/1"), "b")
    t.equal(who("POST", "/items/1"), "a")
    t.equal(who("GET", "/items/1", "eu.shop.test:80"), "c")


@test("no route is 404, a route without the method is 405 with Allow")
def _(t):
    up = t.upstream()
    naru = t.naru(gateway={"routes": [{"match": {"path": "/a", "methods": ["GET", "PUT"]}, "service": "app"}]},
                  services={"app": service(up)})
    answer = naru.request("GET", "/b")
    t.equal((answer.status, answer.json()["reason"]), (404, "no_route"))
    t.equal(answer.header("Content-Type"), "application/problem+json")
    t.equal(answer.json()["status"], 404)
    t.equal(answer.json()["request_id"], answer.header("X-Request-Id"))
    answer = naru.request("DELETE", "/a", body=b"ignored")
    t.equal((answer.status, answer.json()["reason"]), (405, "method_not_allowed"))
    t.equal(sorted(answer.header("Allow").split(", ")), ["GET", "HEAD", "PUT"])


@test("three instances share the work under each balancer")
def _(t):
    for balance in ("round_robin", "least_requests", "p2c"):
        ups = [t.upstream(upstream.named(str(i))) for i in range(3)]
        naru = t.naru(services={"app": service(*ups, balance=balance)})
        for _i in range(60):
            t.equal(naru.request().status, 200)
        counts = [len(up.requests) for up in ups]
        t.equal(sum(counts), 60)
        if balance == "round_robin":
            t.equal(counts, [20, 20, 20])
        t.true(min(counts) >= 1, f"{balance}: {counts}")    # p2c prefers who answers faster


@test("health checks take an instance out and back in; no request meets the dead one")
def _(t):
    def behave(healthy):
        def answer(peer, request):
            peer.answer(200 if request.target != "/healthz" or healthy.is_set() else 503, b"")
        return upstream.each(answer)
    sick = threading.Event()
    well = threading.Event()
    well.set()
    sick.set()
    a, b = t.upstream(behave(well)), t.upstream(behave(sick))
    naru = t.naru(services={"app": service(a, b, balance="round_robin", health={
        "path": "/healthz", "interval": "100ms", "timeout": "100ms", "rise": 2, "fall": 2})})
    def served(up):
        return sum(r.target == "/work" for r in up.requests)
    def both():
        naru.request("GET", "/work")
        return served(a) and served(b)
    t.eventually(both, "both instances serve")
    sick.clear()
    time.sleep(0.6)
    before = served(b)
    for _i in range(20):
        t.equal(naru.request("GET", "/work").status, 200)
    t.equal(served(b), before, "requests to the sick one")
    sick.set()
    def back():
        naru.request("GET", "/work")
        return served(b) > before
    t.eventually(back, "the instance is back")


@test("nobody healthy: a fast 503 with its reason")
def _(t):
    naru, _ = one(t, upstream.fixed(500), health={"path": "/h", "interval": "100ms", "timeout": "100ms", "fall": 1})
    def refused():
        answer = naru.request()
        return answer.status == 503 and answer.json()["reason"] == "no_healthy"
    t.eventually(refused, "503 no_healthy")


# ---- what naru itself shows

@test("each request leaves an access log line, a metric and a record that agree")
def _(t):
    naru, _ = one(t, upstream.fixed(201, b"made\n"), observe={"access_log": True})
    answer = naru.request("PUT", "/things/7?x=1", {"User-Agent": 'te"st\\'}, b"12345")
    request_id = answer.header("X-Request-Id")
    line = t.eventually(lambda: [entry for entry in naru.access_log()
                                 if entry.get("request_id") == request_id], "a line")[0]
    t.equal((line["method"], line["path"], line["status"]), ("PUT", "/things/7", 201))
    t.equal((line["user_agent"], line["ip"]), ('te"st\\', "127.0.0.1"))
    t.true(line["duration_ms"] >= 0, "a duration")
    t.matches(line["timestamp"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$")
    record = naru.record(request_id)
    t.equal((record["status"], record["path"]), (201, "/things/7"))
    total = sum(v for k, v in naru.metrics().items() if k.startswith("naru_requests_total"))
    t.equal(total, 1)


@test("health, readiness and draining: nothing in flight is lost on SIGTERM")
def _(t):
    naru, _ = one(t, upstream.slow(1.0, body=b"done\n"))
    t.equal(naru.admin("/health").status, 200)
    t.equal(naru.admin("/ready").status, 200)
    with naru.connect() as busy, naru.connect() as idle:
        idle.send(wire.request_bytes("GET", "/"))
        t.equal(idle.read_response().status, 200)
        busy.send(wire.request_bytes("GET", "/"))
        time.sleep(0.2)
        naru.signal(15)
        answer = busy.read_response()
        t.equal((answer.status, answer.body), (200, b"done\n"))
        t.equal(answer.header("Connection"), "close")
        busy.expect_close(5)
        idle.expect_close(5)
    t.equal(naru.process.wait(10), 0)


if __name__ == "__main__":
    main()
