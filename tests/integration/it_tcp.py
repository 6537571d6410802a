# SPDX-License-Identifier: Apache-2.0
"""TCP listeners and the PROXY protocol, between real sockets and beside a real HAProxy."""

import hashlib
import socket
import struct
import threading
import time

import upstream
import wire
from harness import Naru, free_port, main, sanitized, test

MIB = 1024 * 1024
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


# ---- raw peers

def echo(peer):
    """Sends back what comes, FIN included."""
    while data := peer.sock.recv(256 * 1024):
        peer.sock.sendall(data)


def collect(into):
    """Reads to the end, then answers with the count of bytes."""
    def behave(peer):
        total = 0
        digest = hashlib.sha256()
        while data := peer.sock.recv(MIB):
            total += len(data)
            digest.update(data)
        into.append((total, digest.hexdigest()))
        peer.send(f"{total}\n")
    return behave


def naming(name):
    def behave(peer):
        peer.send(name)
        peer.sock.recv(1)
    return behave


def tcp(t, *ups, service=None, listen=None, workers=1, **gateway):
    """A naru with one TCP listener in front of these upstreams."""
    port = free_port()
    naru = t.naru(
        workers=workers,
        gateway={"listen": [{"address": f"127.0.0.1:{port}", "tcp": "db", **(listen or {})}],
                 "workers": workers, "routes": [], **gateway},
        services={"db": {"instances": [up.address if hasattr(up, "address") else up for up in ups],
                         **(service or {})}})
    naru.port = port
    return naru


def http(t, up, **listen):
    port = free_port()
    naru = t.naru(gateway={"listen": [{"address": f"127.0.0.1:{port}", **listen}],
                           "routes": [{"match": "/*", "service": "app"}]},
                  services={"app": {"instances": [up.address]}})
    naru.port = port
    return naru


def tcp_line(t, naru, count=1):
    """The access log's lines of connections, once there are that many."""
    return t.eventually(lambda: (lines := [e for e in naru.access_log()
                                           if e.get("protocol") == "tcp"])
                        and len(lines) >= count and lines, "an access log line")[-1]


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def header_v2(source, destination, source_port, destination_port, tlvs=b"", command=0x21):
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    body = (socket.inet_pton(family, source) + socket.inet_pton(family, destination) +
            struct.pack("!HH", source_port, destination_port) + tlvs)
    kind = 0x21 if family == socket.AF_INET6 else 0x11
    return SIGNATURE + struct.pack("!BBH", command, kind, len(body)) + body


def read_header(peer):
    """The PROXY header that an instance gets, read by a parser of our own."""
    first = peer.read_exact(6)
    if first == b"PROXY ":
        words = peer.read_line().decode().split(" ")
        return ("v1", *words)
    rest = first + peer.read_exact(10)
    assert rest[:12] == SIGNATURE, rest
    command, family, length = struct.unpack("!BBH", rest[12:])
    body = peer.read_exact(length)
    if family == 0:
        return ("v2", command, "UNSPEC")
    size = 4 if family == 0x11 else 16
    kind = socket.AF_INET if size == 4 else socket.AF_INET6
    ports = struct.unpack("!HH", body[2 * size:2 * size + 4])
    tlvs = body[2 * size + 4:]
    if tlvs:
        assert tlvs[:3] == b"\x03\0\4", tlvs
        assert struct.unpack("!I", tlvs[3:])[0] == crc32c(rest + body[:-4] + bytes(4)), "CRC32C"
    return ("v2", command, socket.inet_ntop(kind, body[:size]),
            socket.inet_ntop(kind, body[size:2 * size]), *ports)


# ---- the pipe

@test("bytes go both ways, and FIN behind them")
def _(t):
    naru = tcp(t, t.upstream(echo))
    with naru.connect() as client:
        for word in (b"hello", b"x" * 100_000, b"bye"):
            client.send(word)
            t.equal(client.read_exact(len(word)), word)
        client.half_close()
        t.equal(client.read_to_end(), b"")
    line = tcp_line(t, naru)
    t.equal((line["bytes_in"], line["bytes_out"]), (100_008, 100_008))
    t.equal((line["upstream"], line["ip"], line["level"]), ("db", "127.0.0.1", "info"))
    t.true("status" not in line and "method" not in line, "no word of HTTP")
    record = naru.record(line["request_id"])
    t.equal((record["protocol"], record["bytes_in"], record["tunnel"]), ("tcp", 100_008, True))
    t.equal(record["attempts"][0]["result"], "connected")
    metrics = naru.metrics()
    t.equal(metrics['naru_tcp_connections_total{service="db"}'], 1)
    t.equal(metrics['naru_tcp_received_bytes_total{service="db"}'], 100_008)
    t.equal(sum(v for k, v in metrics.items() if k.startswith("naru_requests_total")), 0)


@test("the service speaks first")
def _(t):
    naru = tcp(t, t.upstream(naming("220 ready\r\n")))
    with naru.connect() as client:
        t.equal(client.read_exact(11), b"220 ready\r\n")


@test("a half-closed connection carries the rest")
def _(t):
    got = []
    naru = tcp(t, t.upstream(collect(got)))
    with naru.connect() as client:
        client.send(b"y" * 300_000)
        client.half_close()
        t.equal(client.read_to_end(), b"300000\n")
    t.equal(got[0][0], 300_000)


@test("the service's FIN leaves the other direction open")
def _(t):
    got = []

    def behave(peer):
        peer.send("all I have")
        peer.half_close()
        got.append(peer.read_to_end())
    naru = tcp(t, t.upstream(behave))
    with naru.connect() as client:
        t.equal(client.read_to_end(), b"all I have")
        client.send("and this is mine")
        client.half_close()
        t.eventually(lambda: got, "the rest arrives")
    t.equal(got, [b"and this is mine"])


@test("a RST is passed on as a RST, both ways")
def _(t):
    ends = []

    def behave(peer):
        try:
            ends.append(peer.read_to_end())
        except wire.Closed as error:
            ends.append("reset" if error.reset else "closed")
    naru = tcp(t, t.upstream(behave))
    client = naru.connect()
    client.send("x")
    time.sleep(0.2)
    client.reset()
    t.eventually(lambda: ends, "the service sees it")
    t.equal(ends, ["reset"])
    t.equal(tcp_line(t, naru)["reason"], "client_closed")

    def rude(peer):
        peer.read_exact(1)
        peer.reset()
    naru = tcp(t, t.upstream(rude))
    with naru.connect() as client:
        client.send("x")
        t.true(t.raises(wire.Closed, client.read_exact, 1).reset, "a RST, not a FIN")
    line = tcp_line(t, naru)
    t.equal((line["reason"], line["level"]), ("upstream_reset", "error"))


@test("100 MiB each way at once, every byte right", timeout_s=120)
def _(t):
    naru = tcp(t, t.upstream(echo))
    block = bytes(range(256)) * 4096        # 1 MiB
    sent = hashlib.sha256()
    with naru.connect() as client:
        def send():
            for i in range(100):
                piece = block[i:] + block[:i]
                sent.update(piece)
                client.sock.sendall(piece)
            client.half_close()
        client.sock.settimeout(60)
        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        got, total = hashlib.sha256(), 0
        while data := client.sock.recv(MIB):
            got.update(data)
            total += len(data)
        thread.join(10)
    t.equal(total, 100 * MIB)
    t.equal(got.hexdigest(), sent.hexdigest())
    t.equal(tcp_line(t, naru)["bytes_in"], 100 * MIB)


@test("who does not read is not read for: memory stays, and nothing is lost")
def _(t):
    go = threading.Event()
    got = []

    def behave(peer):
        go.wait(30)
        collect(got)(peer)
    naru = tcp(t, t.upstream(behave))
    with naru.connect() as client:
        before = naru.rss_bytes()
        client.sock.settimeout(1.0)
        sent = 0
        try:
            while sent < 200 * MIB:
                sent += client.sock.send(b"z" * MIB)
        except TimeoutError:
            pass
        t.true(sent < 40 * MIB, f"{sent} bytes were taken for a service that reads none")
        t.true(naru.rss_bytes() - before < 2 * MIB, "no byte is kept beyond one buffer")
        go.set()
        client.half_close()
        t.equal(client.read_to_end(), f"{sent}\n".encode())


@test("a real HTTP exchange through TCP: nobody looks into it")
def _(t):
    up = t.upstream()
    naru = tcp(t, up)
    answer = naru.request("GET", "/odd path?".replace(" ", "%20"))
    t.equal((answer.status, answer.body), (200, b"hello\n"))
    t.equal(up.requests[0].header("Via"), None)
    t.equal(up.requests[0].header("X-Forwarded-For"), None)


@test("Unix sockets on both sides")
def _(t):
    up = t.upstream(echo, path=t.path("db.sock"))
    listen = t.path("naru.sock")
    naru = t.naru(gateway={"listen": [{"address": f"unix:{listen}", "tcp": {"service": "db"}}],
                           "routes": []},
                  services={"db": {"instances": [up.address]}})
    with wire.connect(f"unix:{listen}") as client:
        client.send("ping")
        t.equal(client.read_exact(4), b"ping")
        client.half_close()
        t.equal(client.read_to_end(), b"")
    t.equal(tcp_line(t, naru)["ip"], "unix")


# ---- instances

@test("connections go to who has the fewest")
def _(t):
    ups = [t.upstream(naming(name)) for name in "abc"]
    naru = tcp(t, *ups)
    clients = [naru.connect() for _ in range(30)]
    names = [client.read_exact(1) for client in clients]
    t.equal(sorted(names.count(n) for n in (b"a", b"b", b"c")), [10, 10, 10])
    in_flight = {k: v for k, v in naru.metrics().items() if k.startswith("naru_instance_in_flight")}
    t.equal(sorted(in_flight.values()), [10, 10, 10])
    for client, name in zip(clients, names):
        if name == b"b":
            client.close()
    t.eventually(lambda: sum(v for k, v in naru.metrics().items()
                             if k.startswith("naru_instance_in_flight")) == 20, "ten have gone")
    clients += (more := [naru.connect() for _ in range(10)])
    t.equal([client.read_exact(1) for client in more], [b"b"] * 10)
    t.equal(naru.metrics()["naru_connections_open"], 30)


@test("a dead instance costs nothing but another attempt")
def _(t):
    alive, dead = t.upstream(naming("A")), t.upstream(naming("B"))
    naru = tcp(t, alive, dead)
    dead.stop()
    for _i in range(6):
        with naru.connect() as client:
            t.equal(client.read_exact(1), b"A")
    t.eventually(lambda: any(e["attempts"] == 2 for e in naru.access_log()
                             if e.get("protocol") == "tcp"), "a second attempt")


@test("nobody there: the client is reset, and the log says why")
def _(t):
    naru = tcp(t, f"127.0.0.1:{free_port()}")

    def look():
        try:
            with naru.connect() as client:
                client.read_exact(1)
        except ConnectionResetError:        # so fast that connect() sees it
            return True
        except wire.Closed as error:
            return error.reset
    t.true(look(), "a RST")
    line = tcp_line(t, naru)
    t.equal((line["reason"], line["level"], line["attempts"]), ("connect_refused", "error", 2))
    failed = naru.metrics()['naru_tcp_connections_failed_total{service="db"}']
    t.equal(failed, 1)


@test("health checks by connecting take an instance out and back in")
def _(t):
    alive, dead = t.upstream(naming("A")), t.upstream(naming("B"))
    naru = tcp(t, alive, dead, service={
        "balance": "round_robin", "retry": {"attempts": 1},
        "health": {"tcp": True, "interval": "100ms", "timeout": "100ms", "rise": 1, "fall": 1}})
    dead.stop()
    t.eventually(lambda: any(v == 0 for k, v in naru.metrics().items()
                             if k.startswith("naru_instance_up")), "it counts as down")
    for _i in range(6):
        with naru.connect() as client:
            t.equal(client.read_exact(1), b"A")
    dead.start()

    def back():
        with naru.connect() as client:
            return client.read_exact(1) == b"B"
    t.eventually(back, "it is back")


@test("killing an instance resets its streams, and no others")
def _(t):
    ups = [t.upstream(echo), t.upstream(echo)]
    naru = tcp(t, *ups)
    clients = [naru.connect() for _ in range(8)]
    for client in clients:
        client.send("a")
        client.read_exact(1)
    ups[0].stop(reset=True)
    alive = 0
    for client in clients:
        try:
            client.send("b")
            alive += client.read_exact(1) == b"b"
        except (wire.Closed, OSError):
            pass
    t.equal(alive, 4)


# ---- limits and the end

@test("silence both ways ends a connection")
def _(t):
    naru = tcp(t, t.upstream(echo), listen={"tcp": {"service": "db", "idle_timeout": "300ms"}})
    with naru.connect() as client:
        for _i in range(4):     # longer than the limit in all, never silent for as long
            time.sleep(0.15)
            client.send("x")
            client.read_exact(1)
        t.true(t.raises(wire.Closed, client.read_exact, 1).reset, "a RST")
    t.equal(tcp_line(t, naru)["reason"], "idle")


@test("max_connections: further ones wait until one has gone")
def _(t):
    naru = tcp(t, t.upstream(naming("!")), listen={"limits": {"max_connections": 2}})
    first, second = naru.connect(), naru.connect()
    first.read_exact(1), second.read_exact(1)
    with naru.connect() as third:
        third.expect_silence(0.3)
        first.close()
        t.equal(third.read_exact(1), b"!")


@test("max_client_connections: the next one of the same address is reset, and its record says why")
def _(t):
    naru = tcp(t, t.upstream(naming("!")), listen={"limits": {"max_client_connections": 1}})
    first = naru.connect()
    first.read_exact(1)
    try:
        with naru.connect() as second:
            second.expect_close(5, allow_reset=True)
    except ConnectionResetError:            # before connect() was back
        pass
    t.equal(tcp_line(t, naru)["reason"], "too_many_connections")
    t.equal(naru.metrics()["naru_connections_crowded_total"], 1)
    first.close()
    t.eventually(lambda: naru.metrics()["naru_connections_open"] == 0, "it has gone")
    with naru.connect() as third:
        t.equal(third.read_exact(1), b"!")


@test("SIGTERM: streams go on and may finish; the drain timeout ends the rest")
def _(t):
    naru = tcp(t, t.upstream(echo), drain_timeout="1s")
    with naru.connect() as busy, naru.connect() as stubborn:
        busy.send("a")
        busy.read_exact(1)
        stubborn.send("a")
        stubborn.read_exact(1)
        naru.signal(15)
        time.sleep(0.3)
        busy.send("still")
        t.equal(busy.read_exact(5), b"still")
        busy.half_close()
        t.equal(busy.read_to_end(), b"")
        t.true(t.raises(wire.Closed, stubborn.read_exact, 1).reset, "broken off")
    t.equal(naru.process.wait(10), 0)
    reasons = [e.get("reason") for e in naru.access_log() if e.get("protocol") == "tcp"]
    t.equal(reasons, [None, "draining"])


@test("an idle connection costs less than 2 KiB, both sides of it", timeout_s=120)
def _(t):
    up = t.upstream(lambda peer: peer.sock.recv(1), backlog=4096)
    naru = tcp(t, up)
    warm = [naru.connect() for _ in range(50)]
    t.eventually(lambda: up.connections_open == 50, "50 are through")
    before = naru.rss_bytes()
    clients = [naru.connect() for _ in range(400)]
    t.eventually(lambda: up.connections_open == 450, "450 are through")
    each = (naru.rss_bytes() - before) / len(clients)
    t.true(sanitized() or each < 2048, f"{each:.0f} bytes each")
    for client in warm + clients:
        client.close()


# ---- PROXY in

V1 = b"PROXY TCP4 203.0.113.7 198.51.100.1 40000 443\r\n"
V2 = header_v2("203.0.113.7", "198.51.100.1", 40000, 443)
TRUSTED = {"trusted_proxies": ["127.0.0.0/8"]}


def with_crc(source):
    data = header_v2(source, source, 1, 2, b"\x03\0\4\0\0\0\0")
    return data[:-4] + struct.pack("!I", crc32c(data))


@test("HTTP: the client's address comes from the PROXY header, for good and all")
def _(t):
    up = t.upstream()
    naru = http(t, up, proxy_protocol="require", **TRUSTED)
    seen = 0
    for header, ip in ((V1, "203.0.113.7"), (V2, "203.0.113.7"),
                       (with_crc("2001:db8::9"), "2001:db8::9"),
                       (b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n", "2001:db8::1"),
                       (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
                       (SIGNATURE + b"\x20\0\0\0", "127.0.0.1")):
        with naru.connect() as client:
            client.send(header + wire.request_bytes("GET", "/"))
            t.equal(client.read_response().status, 200)
            client.send(wire.request_bytes("GET", "/again"))
            t.equal(client.read_response().status, 200)
        t.equal([r.header("X-Forwarded-For") for r in up.requests[-2:]], [ip, ip])
        seen += 2
        lines = t.eventually(lambda: len(naru.access_log()) == seen and naru.access_log(), "lines")
        t.equal(lines[-1]["ip"], ip)
    # The header's client is not trusted, whoever brought it is: what it claims is replaced.
    with naru.connect() as client:
        client.send(V1 + wire.request_bytes("GET", "/", {"X-Forwarded-For": "6.6.6.6"}))
        client.read_response()
    t.equal(up.requests[-1].header("X-Forwarded-For"), "203.0.113.7")


@test("HTTP: a header in single bytes")
def _(t):
    up = t.upstream()
    naru = http(t, up, proxy_protocol="accept", **TRUSTED)
    for header in (V1, V2):
        with naru.connect() as client:
            client.send_slowly(header + wire.request_bytes("GET", "/"), pause_s=0.002)
            t.equal(client.read_response().status, 200)
        t.equal(up.requests[-1].header("X-Forwarded-For"), "203.0.113.7")
    t.equal(naru.request().status, 200)     # accept: without one, too
    t.equal(up.requests[-1].header("X-Forwarded-For"), "127.0.0.1")


@test("HTTP: what is malformed, missing or late closes the connection and is counted")
def _(t):
    naru = http(t, t.upstream(), proxy_protocol="require", limits={"header_timeout": "300ms"},
                **TRUSTED)
    get = wire.request_bytes("GET", "/")
    bad = (get, b"PROXY TCP4 1.2.3.4\r\n" + get, with_crc("1.2.3.4")[:-1] + b"\0",
           b"PROXY TCP4 " + b"1" * 200, V2[:14])
    for data in bad:
        with naru.connect() as client:
            client.send(data)
            client.expect_close(5, allow_reset=True)
    t.equal(naru.metrics()["naru_proxy_headers_refused_total"], len(bad))
    with naru.connect() as client:          # a look whether we live
        client.half_close()
        client.expect_close(5)
    t.equal(naru.metrics()["naru_proxy_headers_refused_total"], len(bad))


@test("HTTP: a stranger's header is no header")
def _(t):
    up = t.upstream()
    naru = http(t, up, proxy_protocol="accept", trusted_proxies=["192.0.2.0/24"])
    with naru.connect() as client:
        client.send(V1 + wire.request_bytes("GET", "/"))
        t.equal(client.read_response().status, 400)
    t.equal(naru.request().status, 200)
    naru = http(t, up, proxy_protocol="require", trusted_proxies=["192.0.2.0/24"])
    with naru.connect() as client:
        client.expect_close(5, allow_reset=True)
    t.equal(len(up.requests), 1)


@test("TCP: the header is taken off, and what follows in the same bytes is not")
def _(t):
    got = []
    naru = tcp(t, t.upstream(collect(got)), listen={"proxy_protocol": "require", **TRUSTED})
    for header in (V1, V2):
        with naru.connect() as client:
            client.send(header + b"payload")
            client.half_close()
            t.equal(client.read_to_end(), b"7\n")
        line = tcp_line(t, naru, len(got))
        t.equal((line["ip"], line["bytes_in"]), ("203.0.113.7", 7))
    with naru.connect() as client:
        client.send("payload")
        client.expect_close(5, allow_reset=True)
    t.equal(tcp_line(t, naru, 3)["reason"], "proxy_header")
    t.equal(len(got), 2)


# ---- PROXY out

@test("TCP: the service is told who the client is, first of all")
def _(t):
    for version in ("v1", "v2"):
        got = []

        def behave(peer):
            got.append(read_header(peer))
            got.append(peer.read_to_end())
        naru = tcp(t, t.upstream(behave), service={"proxy_protocol": version})
        with naru.connect() as client:
            mine = client.sock.getsockname()[1]
            t.eventually(lambda: got, "the header, before a byte of ours")
            client.send("data")
            client.half_close()
            t.eventually(lambda: len(got) == 2, "the data")
        if version == "v1":
            t.equal(got[0], ("v1", "TCP4", "127.0.0.1", "127.0.0.1", str(mine), str(naru.port)))
        else:
            t.equal(got[0], ("v2", 0x21, "127.0.0.1", "127.0.0.1", mine, naru.port))
        t.equal(got[1], b"data")
        t.equal(tcp_line(t, naru)["bytes_in"], 4)


@test("TCP: a header that came in goes on, in the other version too")
def _(t):
    got = []
    naru = tcp(t, t.upstream(lambda peer: got.append((read_header(peer), peer.read_to_end()))),
               service={"proxy_protocol": "v2"},
               listen={"proxy_protocol": "require", **TRUSTED})
    for header, source, port in ((V1, "203.0.113.7", 40000),
                                 (b"PROXY TCP6 2001:db8::1 ::1 7 8\r\n", "2001:db8::1", 7)):
        with naru.connect() as client:
            client.send(header + b"rest")
            client.half_close()
            t.eventually(lambda: got, "it arrives")
        (seen, rest) = got.pop()
        t.equal((seen[2], seen[4], rest), (source, port, b"rest"))


@test("a service of a route cannot have it, and is told why")
def _(t):
    naru = Naru(t.folder, gateway={"routes": [{"match": "/*", "service": "app"}]},
                services={"app": {"instances": ["127.0.0.1:1"], "proxy_protocol": "v2"}})
    naru.start(wait=False)
    t.true(naru.process.wait(10) != 0, "refused")
    t.matches(naru.stderr(), "which is for TCP listeners: requests of different clients share")


# ---- a real HAProxy on either side

def haproxy(t, text):
    program = t.need("haproxy")
    conf = t.path("haproxy.cfg", "defaults\n  mode tcp\n  timeout connect 5s\n"
                  "  timeout client 30s\n  timeout server 30s\n" + text)
    return t.spawn([program, "-db", "-f", conf])


def reach(t, port):
    def look():
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            return False
    t.eventually(look, "haproxy listens")


@test("HAProxy sends, v1 and v2, with its checks: naru takes them")
def _(t):
    for word in ("send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"):
        up = t.upstream()
        naru = http(t, up, proxy_protocol="require", **TRUSTED)
        front = free_port()
        running = haproxy(t, f"listen a\n  bind 127.0.0.1:{front}\n  option httpchk GET /check\n"
                             f"  server s 127.0.0.1:{naru.port} {word} check inter 100ms "
                             f"check-send-proxy\n")
        reach(t, front)
        answer = wire.request(front, "GET", "/through")
        t.equal(answer.status, 200, word)
        line = t.eventually(lambda: [e for e in naru.access_log() if e["path"] == "/through"],
                            "its line")[0]
        t.equal(line["ip"], "127.0.0.1")
        t.eventually(lambda: any(r.target == "/check" for r in up.requests), "a check of its own")
        t.equal(naru.metrics()["naru_proxy_headers_refused_total"], 0)
        running.kill()


@test("HAProxy accepts: naru's headers are good enough for it")
def _(t):
    for version in ("v1", "v2"):
        seen = t.upstream(upstream.fixed(200, b"ok\n"))
        behind = free_port()
        running = haproxy(t, f"frontend a\n  mode http\n  bind 127.0.0.1:{behind} accept-proxy\n"
                             f"  option forwardfor\n  default_backend b\n"
                             f"backend b\n  mode http\n  server s {seen.address}\n")
        reach(t, behind)
        naru = tcp(t, f"127.0.0.1:{behind}", service={"proxy_protocol": version},
                   listen={"proxy_protocol": "require", **TRUSTED})
        with naru.connect() as client:
            client.send(b"PROXY TCP4 203.0.113.99 198.51.100.1 40000 443\r\n" +
                        wire.request_bytes("GET", "/"))
            t.equal(client.read_response().status, 200)
        t.equal(seen.requests[-1].header("X-Forwarded-For"), "203.0.113.99")
        running.kill()


if __name__ == "__main__":
    main()
