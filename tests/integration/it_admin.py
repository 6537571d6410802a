# SPDX-License-Identifier: Apache-2.0
"""The admin API: who may speak, what may be asked and changed, and that what the OpenAPI document
says of it is what it does."""

import json
import os
import re
import signal
import threading
import urllib.parse

import wire
from admin_api import (BEARER, JSON, TOKEN, audits, config_text, naming, one_app, parse_metrics, patch,
                       post, violations, with_token)
from harness import free_port, main, run_naru, test


@test("every path of the OpenAPI document answers as it says, and knows no other method")
def _(t):
    naru, up = one_app(t, limits={"per_ip": {"rate": "100/s", "meter": 10}})
    answer = naru.request()
    document = naru.admin("/v1/openapi.json").json()
    t.equal(document["openapi"], "3.1.0")
    values = {"service": "app", "address": up.address, "id": answer.header("X-Request-Id"),
              "version": "1", "limit": "per_ip", "route": "/*"}
    queries = {"explainRoute": "request=GET+http://a/"}
    operations = 0
    for path, item in document["paths"].items():
        target = re.sub(r"\{(\w+)\}", lambda m: values[m[1]], path)
        methods = {method.upper() for method in item}
        for method, operation in item.items():
            operations += 1
            if method != "get":
                continue
            query = queries.get(operation["operationId"])
            answer = naru.admin(f"{target}?{query}" if query else target)
            good = operation["responses"]["200"]["content"]
            t.equal((path, answer.status), (path, 200))
            kind = answer.header("Content-Type").partition(";")[0]
            t.true(kind in good, f"{path} answers {kind}, not {list(good)}")
            if kind == "application/json" and path != "/v1/openapi.json":
                t.equal(violations(document, good[kind]["schema"], answer.json(), path), [])
        answer = naru.admin(target, "DELETE")
        t.equal((path, answer.status), (path, 405))
        t.equal(set(answer.header("Allow").split(", ")) - {"HEAD"}, methods)
    t.true(operations >= 12, f"{operations} operations")
    ids = [o["operationId"] for item in document["paths"].values() for o in item.values()]
    t.equal(len(ids), len(set(ids)))
    for name in re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)):
        t.true(name in document["components"]["schemas"], f"no schema {name}")


@test("unknown paths are 404, whole bodies of problem+json with an id")
def _(t):
    naru, _up = one_app(t)
    for target in ("/nothing", "/v1", "/v1/services/app/instances", "/v1/services/app/x", "/v1/services/",
                   "/v2/services", "/v1/services/none", "/v1/services/app/instances/1.2.3.4:5"):
        answer = naru.admin(target)
        t.equal((target, answer.status), (target, 404))
        t.equal(answer.header("Content-Type"), "application/problem+json")
        t.equal(answer.json()["request_id"], answer.header("X-Request-Id"))
    t.equal(naru.admin("/v1/services", "HEAD").status, 200)


@test("a parameter that is not known, or not sound, is refused with what was meant")
def _(t):
    naru, _up = one_app(t)
    for target, detail in (
            ("/v1/requests?limt=3", "unknown parameter 'limt', did you mean 'limit'?"),
            ("/v1/requests?limit=0", "'limit' must be a whole number from 1 to 1000"),
            ("/v1/requests?failed=perhaps", "'failed' must be true or false"),
            ("/v1/services?x", "unknown parameter 'x'")):
        answer = naru.admin(target)
        t.equal((target, answer.status), (target, 400))
        t.true(detail in answer.json()["detail"], answer.json()["detail"])


@test("requests are chosen by what is asked for")
def _(t):
    naru, _up = one_app(t, gateway={"routes": [{"match": {"path": "/a/*"}, "service": "app"}]})
    for path in ("/a/1", "/b", "/a/2"):
        naru.request("GET", path)
    t.eventually(lambda: len(naru.admin("/v1/requests").json()["requests"]) == 3, "three records")

    def paths(query):
        return [r["path"] for r in naru.admin(f"/v1/requests?{query}").json()["requests"]]
    t.equal(paths("limit=2"), ["/a/2", "/b"])
    t.equal(paths("status=4xx"), ["/b"])
    t.equal(paths("reason=no_route&failed=true"), ["/b"])
    t.equal(paths("service=app"), ["/a/2", "/a/1"])
    t.equal(paths("route=%2Fa%2F*&limit=1"), ["/a/2"])
    t.equal(paths("since=10m"), ["/a/2", "/b", "/a/1"])
    t.equal(paths("since=2020-01-31T12:00:00Z&service=app"), ["/a/2", "/a/1"])
    t.equal(paths("since=2999-01-01"), [])
    for wrong in ("since=yesterday", "since=", "since=2020-01-31%00", "status=9xx",
                  f"route={'x' * 300}"):
        t.equal((wrong, naru.admin(f"/v1/requests?{wrong}").json()["reason"]),
                (wrong, "bad_filter"))


# ---- instances

@test("an instance is drained, weighed and forced, and answers its new state")
def _(t):
    naru, a, b = one_app(t, 2)

    def seen(count=12):
        return {naru.request().body for _ in range(count)}
    t.equal(seen(), {b"a", b"b"})
    answer = patch(naru, a.address, {"draining": True})
    t.equal(answer.status, 200)
    state = answer.json()
    t.equal((state["draining"], state["takes"], state["force"]), (True, False, "auto"))
    t.equal(seen(), {b"b"})
    state = patch(naru, a.address, {"draining": False, "force": "down"}).json()
    t.equal((state["draining"], state["takes"], state["force"]), (False, False, "down"))
    t.equal(seen(), {b"b"})
    state = patch(naru, a.address, {"force": "auto", "weight": 7}).json()
    t.equal((state["takes"], state["weight"], state["configured_weight"]), (True, 7, 1))
    t.equal(seen(40), {b"a", b"b"})
    t.equal(patch(naru, a.address, {"weight": 0}).json()["takes"], False)
    state = patch(naru, a.address, {"weight": None}).json()
    t.equal((state["takes"], state["weight"]), (True, 1))
    t.equal(naru.admin(f"/v1/services/app/instances/{a.address}").json()["weight"], 1)
    both = naru.admin("/v1/services/app").json()["instances"]
    t.equal([i["address"] for i in both], [a.address, b.address])


@test("what metrics say of an operator's word")
def _(t):
    naru, a, b = one_app(t, 2)
    label = f'service="app",instance="{a.address}"'
    t.equal(naru.metrics()[f"naru_instance_takes{{{label}}}"], 1)
    patch(naru, a.address, {"draining": True})
    values = naru.metrics()
    t.equal(values[f"naru_instance_takes{{{label}}}"], 0)
    t.equal(values[f'naru_instance_steered{{{label},by="drain"}}'], 1)
    t.equal([n for n in values if "steered" in n and b.address in n], [])
    patch(naru, a.address, {"draining": False, "force": "up", "weight": 3})
    values = naru.metrics()
    t.equal(sorted(n for n in values if "steered" in n),
            [f'naru_instance_steered{{{label},by="force_up"}}',
             f'naru_instance_steered{{{label},by="weight"}}'])


@test("what an operator said survives reloads, the service's change included")
def _(t):
    naru, a, b = one_app(t, 2)
    patch(naru, a.address, {"draining": True})
    patch(naru, b.address, {"weight": 5, "force": "up"})
    instances = [b.address, {"address": a.address, "weight": 3}]
    naru.write_config(sections={"services": {"app": {"instances": instances,
                                                     "balance": "least_requests"}}})
    naru.signal(signal.SIGHUP)
    t.eventually(lambda: "configuration applied" in naru.stderr(), "reloaded")
    state = {i["address"]: i for i in naru.admin("/v1/services/app").json()["instances"]}
    t.equal((state[a.address]["draining"], state[a.address]["configured_weight"]), (True, 3))
    t.equal((state[b.address]["weight"], state[b.address]["force"]), (5, "up"))
    t.equal({naru.request().body for _ in range(10)}, {b"b"})


@test("a body that is not as it should be is refused, and nothing changes")
def _(t):
    naru, a = one_app(t)
    for body, detail in (
            ({"drainig": True}, "unknown field 'drainig', did you mean 'draining'?"),
            ({"weight": 1001}, "'weight' must be a whole number from 0 to 1000, or null"),
            ({"weight": 1.5}, "'weight' must be"), ({"weight": "5"}, "'weight' must be"),
            ({"draining": 1}, "'draining' must be true or false"),
            ({"draining": None}, "'draining' must be true or false"),
            ({"force": "sideways"}, "'force' must be one of auto, up, down"),
            ({"draining": True, "x": 1}, "unknown field 'x'"),
            ([], "a JSON object"), (1, "a JSON object")):
        answer = patch(naru, a.address, body)
        t.equal((body, answer.status), (body, 400))
        t.true(detail in answer.json()["detail"], answer.json()["detail"])
    path = f"/v1/services/app/instances/{a.address}"
    for body in (b"", b"{", b'{"draining":true,"draining":false}', b"\xff"):
        answer = naru.admin(path, "PATCH", fields=JSON, body=body)
        t.equal((body, answer.status), (body, 400))
    t.equal(naru.admin(path, "PATCH", fields=JSON, body=b" " * 65_537).status, 413)
    t.equal(naru.admin(path, "PATCH", fields=JSON, body=[b" " * 40_000] * 2,
                       chunked=True).status, 413)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None):
        fields = {"Content-Type": kind} if kind else {}
        t.equal(naru.admin(path, "PATCH", fields=fields, body=b"{}").status, 415)
    t.equal(patch(naru, "1.2.3.4:5", {}).json()["reason"], "unknown_instance")
    t.equal(patch(naru, a.address, {}, service="none").json()["reason"], "unknown_service")
    state = naru.admin(path).json()
    t.equal((state["draining"], state["force"], state["weight"]), (False, "auto", 1))


@test("addresses that a path must escape, and Unix sockets")
def _(t):
    path = t.path("app.sock")
    naru = t.naru(services={"app": {"instances": [f"unix:{path}", "[::1]:7999"]}})
    t.equal(patch(naru, f"unix:{path}", {"draining": True}).json()["address"], f"unix:{path}")
    t.equal(patch(naru, urllib.parse.quote("[::1]:7999"), {"weight": 2}).json()["weight"], 2)


@test("a body may wait for 100-continue")
def _(t):
    naru, a = one_app(t)
    with t.connect(naru.admin_port) as stream:
        stream.send(f"PATCH /v1/services/app/instances/{a.address} HTTP/1.1\r\nHost: localhost\r\n"
                    "Content-Type: application/json\r\nContent-Length: 14\r\n"
                    "Expect: 100-continue\r\n\r\n")
        t.equal(stream.read_line(), b"HTTP/1.1 100 Continue")
        t.equal(stream.read_line(), b"")
        stream.send(b'{"weight": 4} ')
        t.equal(stream.read_response("PATCH").json()["weight"], 4)


# ---- routes

@test("routes are listed in the order in which they are asked")
def _(t):
    naru, a = one_app(t, gateway={"routes": [
        {"name": "all", "match": {"path": "/*"}, "service": "app"},
        {"name": "beta", "match": {"path": "/a", "methods": ["GET", "POST"],
                                   "headers": {"X-Beta": "1"}}, "service": "app"},
        {"name": "old", "match": {"path": "/a", "host": ["*.x.org", "a.y.org"]},
         "redirect": {"to": "/b", "status": 308}}]})
    answer = naru.admin("/v1/routes").json()
    t.equal([l["address"] for l in answer["listeners"]], [naru.address])
    t.equal([(r["route"], r.get("host")) for r in answer["routes"]],
            [("old", "a.y.org"), ("old", "*.x.org"), ("beta", None), ("all", None)])
    beta = answer["routes"][2]
    t.equal((beta["methods"], beta["conditions"], beta["answer"], beta["index"]),
            ("GET, POST", ["header X-Beta is '1'"], "service app", 1))
    t.equal(answer["routes"][0]["answer"], "redirect with 308")
    some = naru.admin("/v1/routes?service=app&limit=1&offset=1").json()
    t.equal((some["total"], [r["route"] for r in some["routes"]]), (2, ["all"]))
    post(naru, config_text(naru, {"app": a}))
    t.equal([r["route"] for r in naru.admin("/v1/routes").json()["routes"]], ["/*"])


@test("a request is explained as naru explain does")
def _(t):
    naru, _a = one_app(t, gateway={"routes": [
        {"name": "all", "match": {"path": "/*", "methods": "GET"}, "service": "app"},
        {"name": "beta", "match": {"path": "/a", "headers": {"X-Beta": "1"}}, "service": "app"}]})
    for request, headers in (("GET http://x/a", []), ("/a", ["X-Beta: 1"]), ("PUT http://x/b", []),
                             ("GET http://x/a?b=%20#c", ["X-Beta: 1", "Accept: */*"])):
        query = urllib.parse.urlencode([("request", request)] + [("header", h) for h in headers])
        answer = naru.admin(f"/v1/routes/explain?{query}")
        t.equal((request, answer.status), (request, 200))
        words = [word for h in headers for word in ("-H", h)]
        told = run_naru("explain", "--route", request, *words, "--json", "-c", naru.config_path)
        t.equal(answer.json(), json.loads(told.stdout))
    for query, detail in (("", "'request' is needed"), ("request=nonsense", "expected a method"),
                          ("request=/%00", "no NUL"), ("request=/&header=x", "expected 'Name: value'"),
                          ("request=/a/../b", "the gateway refuses this request: 'bad_path'")):
        answer = naru.admin(f"/v1/routes/explain?{query}")
        t.equal((query, answer.status), (query, 400))
        t.true(detail in answer.json()["detail"], answer.json()["detail"])


# ---- the end

@test("a drain that is asked for lets a request finish, and ends the process")
def _(t):
    asked = threading.Event()

    def slow(peer):
        while peer.next() is not None:
            asked.wait(30)
            peer.answer(200, b"late")
    up = t.upstream(slow)
    naru = t.naru(services={"app": {"instances": [up.address]}})
    with naru.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        t.eventually(lambda: naru.metrics()["naru_requests_active"] == 1, "the request is under way")
        answer = naru.admin("/v1/drain", "POST")
        t.equal((answer.status, answer.json()["status"]), (202, "draining"))
        t.equal(naru.admin("/ready").json()["reason"], "draining")
        t.equal(naru.admin("/v1/drain", "POST").status, 202)
        t.equal(post(naru, "gateway: {}\n").json()["reason"], "draining")
        asked.set()
        t.equal(client.read_response("GET").body, b"late")
    t.equal(naru.process.wait(20), 0)


# ---- who may speak

@test("with a token all but /health and /ready ask for it")
def _(t):
    port = free_port()
    naru = t.naru_stopped(services={"app": {"instances": ["127.0.0.1:1"]}}, **with_token(port))
    naru.admin_port = port
    naru.start()
    t.equal(naru.admin("/health").status, 200)
    t.equal(naru.admin("/ready").status, 200)
    target = "/v1/services/app/instances/127.0.0.1:1"
    for fields in ({}, {"Authorization": "Bearer wrong-token-of-this-l"},
                   {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": f"Bearer {TOKEN[:-1]}"},
                   {"Authorization": f"Basic {TOKEN}"}, {"Authorization": TOKEN},
                   {"Authorization": "Bearer "}, {"Authorization": ""}):
        for path in ("/", "/metrics", "/v1/services", "/v1/config", "/nothing", "/v1/openapi.json"):
            answer = naru.admin(path, fields=fields)
            t.equal((path, answer.status), (path, 401))
            t.equal(answer.header("WWW-Authenticate"), 'Bearer realm="naru"')
        t.equal(naru.admin(target, "PATCH", fields={**JSON, **fields}, body=b"{}").status, 401)
    for fields in (BEARER, {"Authorization": f"bearer  {TOKEN}"}):
        t.equal(naru.admin("/v1/services", fields=fields).status, 200)
    t.equal(naru.admin("/nothing", fields=BEARER).status, 404)
    # Who knows the token is no web page that had its name resolve to us.
    t.equal(wire.request(naru.admin_port, target="/v1/services", fields=BEARER,
                         host="naru.internal").status, 200)
    t.true(TOKEN not in naru.stderr(), "the token is in the log")
    t.true(TOKEN not in naru.admin("/v1/config", fields=BEARER).body.decode(), "and in the config")


@test("a listener that others reach needs a token, and says so")
def _(t):
    def check(admin):
        path = t.path("bad.yaml", "gateway: {listen: [{address: '127.0.0.1:1'}], routes: []}\n"
                                  f"admin: {admin}\n")
        return run_naru("serve", "-c", path)
    for admin in ("{listen: '0.0.0.0:0'}", "{listen: ':0'}", "{listen: '[::]:0'}"):
        done = check(admin)
        t.equal(done.returncode, 3)
        t.matches(done.stderr, r"bad.yaml:2:\d+: other machines can reach the admin listener.*"
                               r'add a token, such as token: "\$\{ADMIN_TOKEN\}"')
    done = check("{listen: '0.0.0.0:0', token: too-short}")
    t.matches(done.stderr, r"must be between 16 and 512 bytes long, and has 9\n")
    t.true("too-short" not in done.stderr, "the secret is printed")
    done = check(f"{{token: {TOKEN}, token_file: /x}}")
    t.matches(done.stderr, "exclude each other")
    done = check("{listen: '0.0.0.0:0', token_file: /does/not/exist}")
    t.equal(done.returncode, 3)
    t.matches(done.stderr, "admin.token_file '/does/not/exist': no such file")
    naru = t.naru_stopped(services={"app": {"instances": ["127.0.0.1:1"]}}, env={"SECRET": TOKEN})
    naru.write_config(sections={"admin": {"listen": f"0.0.0.0:{naru.admin_port}",
                                          "token": "${SECRET}"},
                                "services": {"app": {"instances": ["127.0.0.1:1"]}}})
    naru.start()
    t.equal(naru.admin("/v1/services").status, 401)
    t.equal(naru.admin("/v1/services", fields=BEARER).status, 200)


@test("a token from a file changes with a reload")
def _(t):
    path = t.path("token", TOKEN + "\n")
    naru = t.naru_stopped(services={"app": {"instances": ["127.0.0.1:1"]}})
    naru.write_config(sections={"admin": {"listen": f"127.0.0.1:{naru.admin_port}",
                                          "token_file": path},
                                "services": {"app": {"instances": ["127.0.0.1:1"]}}})
    naru.start()
    t.equal(naru.admin("/v1/services", fields=BEARER).status, 200)
    t.path("token", "another-token-than-before\n")
    naru.signal(signal.SIGHUP)
    t.eventually(lambda: "configuration applied" in naru.stderr(), "reloaded")
    t.equal(naru.admin("/v1/services", fields=BEARER).status, 401)
    new = {"Authorization": "Bearer another-token-than-before"}
    t.equal(naru.admin("/v1/services", fields=new).status, 200)
    os.unlink(path)
    naru.signal(signal.SIGHUP)
    t.eventually(lambda: "configuration refused" in naru.stderr(), "refused")
    t.matches(naru.stderr(), r"old one stays: admin.token_file '[^']*/token': no such file")
    t.equal(naru.admin("/v1/services", fields=new).status, 200)


@test("a listener that others reach keeps its token when a reload takes it away")
def _(t):
    naru = t.naru_stopped(services={"app": {"instances": ["127.0.0.1:1"]}})
    services = {"app": {"instances": ["127.0.0.1:1"]}}
    naru.write_config(sections={"admin": {"listen": f"0.0.0.0:{naru.admin_port}", "token": TOKEN},
                                "services": services})
    naru.start()
    naru.write_config(sections={"admin": {"listen": f"127.0.0.1:{naru.admin_port}"},
                                "services": services})
    naru.signal(signal.SIGHUP)
    t.eventually(lambda: "configuration applied" in naru.stderr(), "reloaded")
    t.equal(naru.admin("/v1/services").status, 401)
    t.equal(naru.admin("/v1/services", fields=BEARER).status, 200)
    t.matches(naru.stderr(), "the token before stays")


@test("web pages: a foreign Host or Origin is refused")
def _(t):
    naru, a = one_app(t)
    port = naru.admin_port

    def status(host, fields=(), method="GET", body=None):
        return wire.request(port, method, f"/v1/services/app/instances/{a.address}", fields, body,
                            host=host).status
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil"):
        t.equal((host, status(host)), (host, 421))
    for host in (f"127.0.0.1:{port}", "localhost", f"LOCALHOST:{port}", "[::1]", "10.1.2.3"):
        t.equal((host, status(host)), (host, 200))
    here = f"localhost:{port}"
    for origin in ("http://evil.example", "null", "https://evil.example:443", f"http://{here}.evil",
                   "http://localhost:1", "", here, "file://"):
        t.equal((origin, status(here, {"Origin": origin})), (origin, 403))
        t.equal(status(here, {"Origin": origin, **JSON}, "PATCH", b'{"draining": true}'), 403)
    t.equal(status(here, {"Origin": f"http://{here}"}), 200)
    t.equal(status(here, {"Origin": f"http://{here}", **JSON}, "PATCH", b'{"weight": 2}'), 200)
    t.equal(naru.admin(f"/v1/services/app/instances/{a.address}").json()["draining"], False)
    t.equal(wire.request(port, target="/health", host="evil.example").status, 421)


@test("a name in admin.hosts is answered")
def _(t):
    naru = t.naru_stopped(services={"app": {"instances": ["127.0.0.1:1"]}})
    naru.write_config(sections={"admin": {"listen": f"127.0.0.1:{naru.admin_port}",
                                          "hosts": ["naru.internal"]},
                                "services": {"app": {"instances": ["127.0.0.1:1"]}}})
    naru.start()
    for host, status in (("naru.internal", 200), ("NARU.internal:9900", 200), ("naru.external", 421)):
        t.equal(wire.request(naru.admin_port, target="/v1/services", host=host).status, status)


# ---- who did what

@test("each change leaves one line, and so does each that was refused")
def _(t):
    port = free_port()
    up = t.upstream(naming("a"))
    naru = t.naru_stopped(services={"app": {"instances": [up.address]}},
                          observe={"log_level": "error"}, **with_token(port))
    naru.admin_port = port
    naru.start()
    good = patch(naru, up.address, {"draining": True}, fields=BEARER)
    patch(naru, up.address, {"draining": False})
    patch(naru, up.address, {"nonsense": 1}, fields=BEARER)
    patch(naru, "1.2.3.4:5", {"weight": 1}, fields=BEARER)
    naru.admin("/v1/services", fields=BEARER)
    lines = t.eventually(lambda: len(audits(naru)) >= 4 and audits(naru), "four lines")
    t.equal(len(lines), 4)
    first = lines[0]
    t.equal((first["audit"], first["result"], first["status"], first["version"]),
            ("changeInstance", "done", 200, 1))
    t.equal(first["change"], '{"draining":true}')
    t.equal(first["request_id"], good.header("X-Request-Id"))
    t.matches(first["actor"], r"^token [0-9a-f]{8}$")
    t.matches(first["ip"], r"^127\.0\.0\.1:\d+$")
    t.equal(first["path"], f"/v1/services/app/instances/{up.address}")
    t.equal([(l["result"], l["reason"], l["actor"] == first["actor"]) for l in lines[1:]],
            [("refused", "unauthorized", False), ("refused", "bad_request", True),
             ("refused", "unknown_instance", True)])
    t.true(TOKEN not in naru.stderr(), "the token is in the log")


@test("who knocks a hundred times does not wash the log away")
def _(t):
    port = free_port()
    naru = t.naru_stopped(services={"app": {"instances": ["127.0.0.1:1"]}}, **with_token(port))
    naru.admin_port = port
    naru.start()
    with t.connect(port) as stream:
        for _ in range(300):
            stream.send("POST /v1/drain HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
            t.equal(stream.read_response("POST").status, 401)
    patch(naru, "127.0.0.1:1", {"weight": 2}, fields=BEARER)
    lines = t.eventually(lambda: audits(naru) if any(l["result"] == "done" for l in audits(naru))
                         else None, "the change")
    t.equal(len(lines) + sum(l.get("left_out", 0) for l in lines), 301)
    values = {n: v for n, v in parse_metrics(naru.admin("/metrics", fields=BEARER)).items()}
    t.equal((values['naru_admin_changes_total{result="done"}'],
             values['naru_admin_changes_total{result="refused"}'], values["naru_config_version"]),
            (1, 300, 1))


if __name__ == "__main__":
    main()
