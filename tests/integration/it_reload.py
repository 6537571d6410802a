# SPDX-License-Identifier: Apache-2.0
"""Another configuration for a naru that runs: nothing that has begun is lost, a bad file changes
nothing, and what did not change is not touched."""

import contextlib
import fcntl
import os
import re
import signal
import socket
import threading
import time

import upstream
import wire
from harness import free_port, main, sanitized, test
from load import Load, loads, no_failures


def services(**named):
    return {name: {"instances": [up.address] if not isinstance(up, list) else
                   [one.address for one in up]} for name, up in named.items()}


def config(naru, services, routes, gateway=None, **sections):
    naru.write_config(sections={
        "gateway": {"routes": [{"match": {"path": path}, "service": service}
                               for path, service in routes], **(gateway or {})},
        "services": services, **sections})


def versions(naru):
    return len(re.findall(r"configuration applied", naru.stderr()))


def refusals(naru):
    return len(re.findall(r"configuration refused", naru.stderr()))


def reload(t, naru):
    before = versions(naru)
    naru.signal(signal.SIGHUP)
    t.eventually(lambda: versions(naru) > before, f"applied: {naru.stderr()[-2000:]}")


def naming(name):
    return upstream.fixed(200, name.encode())


# ---- what changes

@test("a changed route, on a connection that stays")
def _(t):
    a, b = t.upstream(naming("a")), t.upstream(naming("b"))
    naru = t.naru(services=services(a=a, b=b), gateway={
        "routes": [{"match": {"path": "/*"}, "service": "a"}]})
    with naru.connect() as client:
        for number, (route, want) in enumerate([("b", b"b"), ("a", b"a"), ("b", b"b")]):
            config(naru, services(a=a, b=b), [("/*", route)])
            reload(t, naru)
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            t.equal(client.read_response("GET").body, want, f"reload {number}")


@test("a bad file changes nothing, and one line says where it is bad")
def _(t):
    up = t.upstream(naming("a"))
    naru = t.naru(services=services(a=up))
    naru.write_config("gateway:\n  listen: [{address: \"127.0.0.1:{port}\"}]\n"
                      "  routes:\n    - {match: {path: \"/*\"}, service: b}\n")
    naru.signal(signal.SIGHUP)
    t.eventually(lambda: refusals(naru) == 1, "refused")
    line = [l for l in naru.stderr().splitlines() if "refused" in l]
    t.equal(len(line), 1)
    t.matches(line[0], r'"level":"error".*old one stays: [^"]*naru.yaml:4:\d+: unknown service')
    t.equal(naru.request().body, b"a")
    naru.write_config("gateway: [\n")
    naru.signal(signal.SIGHUP)
    t.eventually(lambda: refusals(naru) == 2, "refused again")
    t.equal(naru.request().body, b"a")


@test("services come and go, instances change")
def _(t):
    a, b, c = (t.upstream(naming(name)) for name in "abc")
    naru = t.naru(services=services(a=a))
    config(naru, services(a=a, b=b), [("/b", "b"), ("/*", "a")])
    reload(t, naru)
    t.equal(naru.request("GET", "/b").body, b"b")
    config(naru, services(a=[a, c]), [("/*", "a")])
    reload(t, naru)
    t.equal({naru.request("GET", "/b").body for _ in range(60)}, {b"a", b"c"})
    names = [s["name"] for s in naru.admin("/v1/services").json()["services"]]
    t.equal(names, ["a"])
    config(naru, services(a=c), [("/*", "a")])
    reload(t, naru)
    t.equal({naru.request("GET", "/b").body for _ in range(20)}, {b"c"})


@test("a service that did not change keeps its connections")
def _(t):
    a, b = t.upstream(naming("a")), t.upstream(naming("b"))
    naru = t.naru(services=services(a=a, b=b))
    naru.request()
    for route in ("/x", "/y", "/z"):
        config(naru, services(a=a, b=b), [(route, "b"), ("/*", "a")])
        reload(t, naru)
        t.equal(naru.request().body, b"a")
    t.equal(a.connections_total, 1)


@test("listeners come and go; the removed one lets its clients finish")
def _(t):
    slow = threading.Event()

    def behave(peer):
        while (request := peer.next()) is not None:
            if request.target == "/slow":
                slow.set()
                peer.sleep(1.0)
            peer.answer(200, b"ok")
    up = t.upstream(behave)
    other = free_port()
    naru = t.naru(services=services(a=up))
    both = {"listen": [{"address": naru.address}, {"address": f"127.0.0.1:{other}"}]}
    config(naru, services(a=up), [("/*", "a")], both)
    reload(t, naru)
    t.equal(wire.request(other, "GET", "/").body, b"ok")
    with wire.connect(other) as client:
        client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        t.true(slow.wait(10), "the slow request arrived")
        config(naru, services(a=up), [("/*", "a")])
        reload(t, naru)
        t.raises(OSError, socket.create_connection, ("127.0.0.1", other), 2)
        answer = client.read_response("GET")
        t.equal((answer.body, answer.header("Connection")), (b"ok", "close"))
    t.equal(naru.request().body, b"ok")
    config(naru, services(a=up), [("/*", "a")], both)
    reload(t, naru)
    t.equal(wire.request(other, "GET", "/").body, b"ok")


@test("a listener that cannot be bound refuses the whole configuration")
def _(t):
    up = t.upstream(naming("a"))
    naru = t.naru(services=services(a=up))
    taken = socket.create_server(("127.0.0.1", 0))
    t.stack.callback(taken.close)
    address = f"127.0.0.1:{taken.getsockname()[1]}"
    new = free_port()
    config(naru, services(a=up), [("/*", "a")],
           {"listen": [{"address": f"127.0.0.1:{new}"}, {"address": address}]})
    naru.signal(signal.SIGHUP)
    t.eventually(lambda: refusals(naru) == 1, "refused")
    t.matches(naru.stderr(), r"cannot listen on 127.0.0.1:\d+: address in use")
    t.equal(naru.request().body, b"a")
    t.raises(OSError, socket.create_connection, ("127.0.0.1", new), 2)


@test("limits of a listener change under its connections")
def _(t):
    up = t.upstream(upstream.echo())
    naru = t.naru(services=services(a=up))
    with naru.connect() as client:
        send = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n123456789"
        client.send(send)
        t.equal(client.read_response("POST").status, 200)
        config(naru, services(a=up), [("/*", "a")],
               {"listen": [{"address": naru.address, "limits": {"max_body": 4}}]})
        reload(t, naru)
        client.send(send)
        t.equal(client.read_response("POST").status, 413)


# ---- what stays

@test("a WebSocket lives through ten reloads, its service's end included")
def _(t):
    def behave(peer):
        if peer.next() is None:
            return
        peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n")
        for _ in range(10):
            peer.send(peer.read_exact(1))
        peer.expect_close()
    up, other = t.upstream(behave), t.upstream(naming("other"))
    naru = t.naru(services=services(a=up))
    with naru.connect() as client:
        client.send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n")
        t.equal(client.read_response("GET").status, 101)
        for number in range(10):
            if number < 5:
                config(naru, services(a=up, b=other), [(f"/{number}", "b"), ("/*", "a")])
            else:
                config(naru, services(b=other), [(f"/{number}", "b")])
            reload(t, naru)
            client.send(b"%d" % number)
            t.equal(client.read_exact(1), b"%d" % number)


@test("metrics go on counting, records stay readable")
def _(t):
    a, b = t.upstream(naming("a")), t.upstream(naming("b"))
    naru = t.naru(services=services(a=a))
    first = naru.request()
    config(naru, services(b=b, a=[b, a]), [("/new", "b"), ("/*", "a")])
    reload(t, naru)
    for _ in range(9):
        naru.request()
    t.eventually(lambda: naru.metrics()['naru_requests_total{route="/*",method="GET",class="2xx"}'] == 10,
                 "all ten are counted, the first too")
    record = naru.record(first.header("X-Request-Id"))
    t.equal((record["route"], record["service"], record["attempts"][0]["instance"]),
            ("/*", "a", a.address))
    counted = [naru.metrics().get(f'naru_upstream_attempts_total{{service="a",instance="{up.address}",'
                                  'result="answered",class="2xx"}', 0) for up in (a, b)]
    t.equal(sum(counted), 10)
    t.equal(a.connections_total + b.connections_total <= 3, True)


@test("the health of an instance survives a change of its service")
def _(t):
    up = t.upstream(naming("a"))
    dead = f"127.0.0.1:{free_port()}"
    section = {"a": {"instances": [up.address, dead], "health": {"path": "/", "interval": "1h"}}}
    naru = t.naru(services=section)

    def healths():
        return {i["address"]: i["health"] for s in naru.admin("/v1/services").json()["services"]
                for i in s["instances"]}
    t.eventually(lambda: healths() == {up.address: "up", dead: "down"}, "checked")
    section["a"]["timeouts"] = {"connect": "123ms"}
    config(naru, section, [("/*", "a")])
    reload(t, naru)
    t.equal(healths(), {up.address: "up", dead: "down"})


@test("the file is watched when the configuration says so")
def _(t):
    a, b = t.upstream(naming("a")), t.upstream(naming("b"))
    naru = t.naru(services=services(a=a, b=b), gateway={"reload": "on_change"})
    t.equal(naru.request().body, b"a")
    config(naru, services(a=a, b=b), [("/*", "b")], {"reload": "on_change"})
    t.eventually(lambda: naru.request().body == b"b", "the change is seen")
    naru.write_config("gateway: [\n")
    t.eventually(lambda: refusals(naru) == 1, "the bad file is seen")
    time.sleep(1.2)
    t.equal(refusals(naru), 1, "and told once")
    t.equal(naru.request().body, b"b")


# ---- under load

GROWTH_BYTES_MAX = 1024 * 1024
UNTOUCHED = {"MALLOC_PERTURB_": "0"}    # Meson has all that is allocated filled


def echoing(name):
    """Answers with its name; upgraded, it sends everything back."""
    def behave(peer):
        while (request := peer.next()) is not None:
            if request.header("Upgrade") is None:
                peer.answer(200, name.encode())
                continue
            peer.send("HTTP/1.1 101 Switching Protocols\r\n"
                      "Connection: upgrade\r\nUpgrade: chat\r\n\r\n")
            while byte := peer.sock.recv(1):
                peer.send(byte)
            return
    return behave


def tunnel(t, naru):
    client = t.connect(naru.port)
    client.send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n")
    t.equal(client.read_response("GET").status, 101)
    return client


def echoes(t, client, byte):
    client.send(byte)
    t.equal(client.read_exact(1), byte)


def asks(t, client):
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    t.equal(client.read_response("GET").status, 200)


def warm(t, naru):
    """Records are kept of so many requests, and their memory comes with the first of them."""
    seen = [0]

    def stands_still():
        time.sleep(1)
        seen.append(naru.anonymous_bytes())
        return seen[-1] < seen[-2] + 32768
    t.eventually(stands_still, "memory stands still", 60)


@test("fifty reloads under load: no failure, nothing is dropped, and the memory goes back",
      timeout_s=120)
def _(t):
    a, b, c = (t.upstream(echoing(name)) for name in "abc")
    many = [(f"/r{i}/*", "b") for i in range(1000)]
    extra = {"listen": None}

    def one(number):
        changes = number % 2 == 0   # else the file is written anew, as it was
        number //= 2
        if changes:
            config(naru, services(a=[a, c] if number % 3 else a, b=b),
                   many[number % 7:] + [("/*", "a")], extra if number % 2 else None)
        reload(t, naru)
        echoes(t, tunnels[number % len(tunnels)], b"%d" % (number % 10))
    naru = t.naru(services=services(a=a, b=b), workers=2, env=UNTOUCHED)
    extra["listen"] = [{"address": naru.address}, {"address": f"127.0.0.1:{free_port()}"}]
    tunnels = [tunnel(t, naru) for _ in range(10)]
    kept = [t.connect(naru.port) for _ in range(20)]
    for client in kept:
        asks(t, client)
    running = loads(t, naru)
    if not sanitized():
        warm(t, naru)
    one(0)
    time.sleep(0.5)
    before = naru.anonymous_bytes()
    for number in range(1, 51):
        one(number)
    if not sanitized():     # which keeps what was freed in quarantine
        t.eventually(lambda: naru.anonymous_bytes() < before + GROWTH_BYTES_MAX,
                     f"{before} bytes after the first reload, {naru.anonymous_bytes()} after 50",
                     within_s=20)
        print(f"# {before // 1024} KiB, {naru.anonymous_bytes() // 1024} KiB after 50 reloads")
    for client in tunnels:
        echoes(t, client, b"x")
    for client in kept:
        asks(t, client)
    no_failures(t, running)
    t.equal([load.connections for load in running if load.keep], [1, 1], "none was closed")
    t.eventually(lambda: naru.fd_count() < 120, "descriptors are given back")


@test("a request that lasts keeps its configuration, and gives it back at its end")
def _(t):
    go_on = threading.Event()

    def behave(peer):
        while (request := peer.next()) is not None:
            if request.target == "/slow":
                go_on.wait(20)
            peer.answer(200, b"a")
    up = t.upstream(behave)
    many = [(f"/r{i}/*", "a") for i in range(5000)]
    naru = t.naru(services=services(a=up), env=UNTOUCHED)
    config(naru, services(a=up), many + [("/*", "a")])
    reload(t, naru)
    client = t.connect(naru.port)
    client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    up.wait_requests(1)
    config(naru, services(a=up), [("/*", "a")])
    reload(t, naru)
    time.sleep(0.3)
    held = naru.anonymous_bytes()
    go_on.set()
    t.equal(client.read_response("GET").status, 200)
    if not sanitized():
        t.eventually(lambda: naru.anonymous_bytes() < held - 2_000_000,
                     f"{held} bytes with it, {naru.anonymous_bytes()} after it")


@test("fifty reloads in a row: WebSockets and kept connections live on, and nothing is lost", timeout_s=120)
def _(t):
    def chat(peer):
        while (request := peer.next()) is not None:
            if request.header("Upgrade") is None:
                peer.answer(200, b"a", method=request.method)
                continue
            peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n")
            while True:
                peer.send(peer.read_exact(1))
    a, b = t.upstream(chat), t.upstream(naming("b"))
    naru = t.naru(services=services(a=a, b=b), workers=2)
    chats = [t.stack.enter_context(naru.connect()) for _ in range(20)]
    kept = [t.stack.enter_context(naru.connect()) for _ in range(20)]
    for client in chats:
        client.send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n")
        t.equal(client.read_response("GET").status, 101)
    running = loads(t, naru)
    for number in range(50):
        config(naru, services(a=a, b=b) if number % 2 else services(a=[a, b], b=b),
               [(f"/{number}", "b"), ("/*", "a")])
        reload(t, naru)
        for client in chats:
            client.send(b"%d" % (number % 10))
            t.equal(client.read_exact(1), b"%d" % (number % 10))
        for client in kept:     # the same connections all the time
            client.send("GET /kept HTTP/1.1\r\nHost: a\r\n\r\n")
            t.equal(client.read_response("GET").status, 200)
    no_failures(t, running)


# ---- another binary

def successor(t, naru):
    """Upgrade; returns the new process's id, which ends with the test."""
    naru.signal(signal.SIGUSR2)
    t.eventually(lambda: "the new process serves" in naru.stderr(), "upgraded", 20)
    pid = int(re.search(r'"pid":(\d+)', naru.stderr())[1])
    t.stack.callback(end, pid)
    return pid


def end(pid):
    """SIGTERM and wait for a process that is not our child."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for _ in range(1000 if number == signal.SIGTERM else 100):
            try:
                os.kill(pid, 0 if _ else number)
            except ProcessLookupError:
                return
            time.sleep(0.01)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)     # it may have been given to us


@test("an upgrade under load: nothing fails, the old process ends", timeout_s=90)
def _(t):
    up = t.upstream(naming("a"))
    naru = t.naru(services=services(a=up), workers=2)
    running = loads(t, naru)
    time.sleep(0.3)
    pid = successor(t, naru)
    t.equal(naru.process.wait(20), 0)
    time.sleep(0.3)
    no_failures(t, running)
    t.true(pid != naru.process.pid, "another process")
    t.equal(naru.request().body, b"a")
    t.equal(naru.admin("/ready").status, 200)


@test("an upgrade to a program that does not start leaves everything as it is")
def _(t):
    up = t.upstream(naming("a"))
    naru = t.naru(services=services(a=up))
    naru.write_config("gateway: [\n")
    naru.signal(signal.SIGUSR2)
    t.eventually(lambda: "upgrade failed" in naru.stderr(), "refused", 20)
    t.matches(naru.stderr(), r"upgrade failed, this process goes on: it ended with exit code 3")
    t.equal(naru.request().body, b"a")
    t.equal(naru.admin("/ready").status, 200)


@test("a listener on a Unix socket is handed over with its file")
def _(t):
    up = t.upstream(naming("a"))
    path = t.path("s")
    naru = t.naru(services=services(a=up), gateway={
        "listen": [{"address": f"unix:{path}"}]})
    t.equal(wire.request(f"unix:{path}", "GET", "/").body, b"a")
    successor(t, naru)
    t.equal(naru.process.wait(20), 0)
    t.equal(wire.request(f"unix:{path}", "GET", "/").body, b"a")


# ---- the service manager

@test("systemd's sockets are taken, and it is told how we are")
def _(t):
    up = t.upstream(naming("a"))
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    t.stack.callback(notify.close)
    notify.bind(t.path("notify"))
    notify.settimeout(20)

    def heard(what):
        while what not in (text := notify.recv(4096).decode()).splitlines():
            pass
        return text
    listener = socket.create_server(("127.0.0.1", 0))
    stray = socket.create_server(("127.0.0.1", 0))
    t.stack.callback(listener.close)
    t.stack.callback(stray.close)
    naru = t.naru_stopped(services=services(a=up))
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    config(naru, services(a=up), [("/*", "a")], {"listen": [{"address": address}]})
    # What systemd does before it runs the program: sockets from 3 up, and for whom they are.
    high = [fcntl.fcntl(s.fileno(), fcntl.F_DUPFD, 30) for s in (listener, stray)]
    for fd in high:
        t.stack.callback(os.close, fd)
    naru.start(prefix=["/bin/bash", "-c", f"exec 3<&{high[0]} 4<&{high[1]}; "
                       'LISTEN_PID=$$ LISTEN_FDS=2 exec "$@"', "bash"], pass_fds=high,
               env={"NOTIFY_SOCKET": t.path("notify")})
    heard("READY=1")
    t.matches(naru.stderr(), "inherited socket on .* is closed")
    t.equal(wire.request(address, "GET", "/").body, b"a")
    naru.signal(signal.SIGHUP)
    t.matches(heard("RELOADING=1"), r"(?m)^MONOTONIC_USEC=\d+$")
    heard("READY=1")
    pid = successor(t, naru)
    heard(f"MAINPID={pid}")
    t.equal(naru.process.wait(20), 0)
    t.equal(wire.request(address, "GET", "/").body, b"a")
    os.kill(pid, signal.SIGTERM)
    heard("STOPPING=1")


if __name__ == "__main__":
    main()
