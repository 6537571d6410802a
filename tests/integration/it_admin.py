# SPDX-License-Identifier: Apache-2.0
"""The admin API: who may speak, what may be asked and changed, and that what the OpenAPI document
says of it is what it does."""

import json
import os
import re
import signal
import subprocess
import threading
import urllib.parse

import upstream
import wire
from harness import NARU, free_port, main, run_naru, test, to_yaml
from load import loads, no_failures

TOKEN = "a-token-of-some-length"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
JSON = {"Content-Type": "application/json"}


def naming(name):
    return upstream.fixed(200, name.encode())


def patch(naru, address, change, service="app", fields=None):
    return naru.admin(f"/v1/services/{service}/instances/{address}", "PATCH",
                      fields={**JSON, **(fields or {})}, body=json.dumps(change).encode())


def audits(naru):
    return [json.loads(line) for line in naru.stderr().splitlines() if '"audit":' in line]


def one_app(t, count=1, **more):
    ups = [t.upstream(naming(chr(ord("a") + i))) for i in range(count)]
    naru = t.naru(services={"app": {"instances": [up.address for up in ups],
                                    "balance": "round_robin"}}, **more)
    return (naru, *ups)


def with_token(naru_port=None, **more):
    return {"admin": {"listen": f"127.0.0.1:{naru_port}", "token": TOKEN, **more}}


# ---- the document

def resolve(document, schema):
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict,
         "array": list, "null": type(None)}


def violations(document, schema, value, where="$"):
    """As much of JSON Schema as the document uses."""
    schema = resolve(document, schema)
    types = schema.get("type", [])
    types = types if isinstance(types, list) else [types]
    if types and not any(isinstance(value, TYPES[kind]) and
                         (kind == "boolean" or not isinstance(value, bool)) for kind in types):
        return [f"{where}: {value!r} is no {types}"]
    found = []
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where}: {value!r} is none of {schema['enum']}")
    if isinstance(value, dict):
        known = schema.get("properties", {})
        found += [f"{where}.{name} is missing" for name in schema.get("required", [])
                  if name not in value]
        for name, member in value.items():
            if name in known:
                found += violations(document, known[name], member, f"{where}.{name}")
            elif schema.get("additionalProperties") is False:
                found.append(f"{where}.{name} is not in the document")
    if isinstance(value, list):
        for number, item in enumerate(value):
            found += violations(document, schema["items"], item, f"{where}[{number}]")
    return found


@test("every path of the OpenAPI document answers as it says, and knows no other method")
def _(t):
    naru, up = one_app(t)
    answer = naru.request()
    document = naru.admin("/v1/openapi.json").json()
    t.equal(document["openapi"], "3.1.0")
    values = {"service": "app", "address": up.address, "id": answer.header("X-Request-Id"),
              "version": "1"}
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


# ---- the configuration

YAML = {"Content-Type": "application/yaml"}


def config_text(naru, services, routes=None, admin=None, **more):
    return to_yaml({
        "gateway": {"workers": 1, "listen": [{"address": naru.address}],
                    "routes": routes or [{"match": {"path": "/*"}, "service": next(iter(services))}]},
        "services": {name: {"instances": [up.address]} for name, up in services.items()},
        "admin": admin or {"listen": f"127.0.0.1:{naru.admin_port}"}, **more})


def post(naru, text, target="/v1/config", fields=None, **more):
    return naru.admin(target, "POST", fields={**YAML, **(fields or {})}, body=text.encode(), **more)


def rollback(naru, version, query="", fields=None):
    return naru.admin(f"/v1/config/rollback{query}", "POST", fields={**JSON, **(fields or {})},
                      body=json.dumps({"version": version}).encode())


def conforms(t, naru, answer, operation):
    document = naru.admin("/v1/openapi.json").json()
    known = [o for item in document["paths"].values() for o in item.values()
             if o["operationId"] == operation][0]["responses"]
    t.true(str(answer.status) in known, f"{operation} answers {answer.status}: {answer.body}")
    content = known[str(answer.status)]["content"]
    kind = answer.header("Content-Type")
    t.equal(violations(document, content[kind]["schema"], answer.json()), [])
    return answer.json()


@test("a configuration is put in force, tried, listed and taken back")
def _(t):
    naru, a = one_app(t)
    b = t.upstream(naming("b"))
    text = config_text(naru, {"app": b, "other": a})
    answer = post(naru, text, "/v1/config?dry_run=true")
    t.equal(answer.status, 200)
    told = conforms(t, naru, answer, "putConfig")
    t.equal((told["version"], told["dry_run"], answer.header("ETag")), (1, True, '"1"'))
    t.equal(told["changes"]["services"], {"added": ["other"], "changed": ["app"], "removed": []})
    t.equal(told["changes"]["routes"], {"added": [], "changed": [], "removed": []})
    t.equal(told["changes"]["sections"], ["services"])
    t.equal(naru.request().body, b"a")
    t.equal(naru.admin("/v1/config/versions").json()["versions"][0]["version"], 1)

    answer = post(naru, text)
    told = conforms(t, naru, answer, "putConfig")
    t.equal((answer.status, told["version"], told["dry_run"]), (200, 2, False))
    t.equal(answer.header("ETag"), '"2"')
    t.equal(naru.request().body, b"b")
    t.matches(naru.admin("/v1/config").body.decode(), '"?other"?:')
    t.equal(naru.admin("/v1/config").header("ETag"), '"2"')
    listed = naru.admin("/v1/config/versions").json()["versions"]
    t.equal([(v["version"], v["source"], v["in_force"]) for v in listed],
            [(2, "api", True), (1, "start", False)])
    old = naru.admin("/v1/config/versions/1")
    t.true("other" not in old.body.decode() and a.address in old.body.decode(), "version 1")

    answer = rollback(naru, 1)
    told = conforms(t, naru, answer, "rollbackConfig")
    t.equal((answer.status, told["version"], told["changes"]["services"]["removed"]),
            (200, 3, ["other"]))
    t.equal(naru.request().body, b"a")
    for version in ("9", "0", "x", "01"):
        t.equal(naru.admin(f"/v1/config/versions/{version}").json()["reason"], "unknown_version")
    t.equal(conforms(t, naru, rollback(naru, 77), "rollbackConfig")["reason"], "unknown_version")
    answer = naru.admin("/v1/config/reload", "POST")
    t.equal(conforms(t, naru, answer, "reloadConfig")["summary"], "nothing")


@test("a dry run says what naru check says")
def _(t):
    naru, a = one_app(t)
    text = config_text(naru, {"app": a}, callers={"timeout": "1s"})
    told = post(naru, text, "/v1/config?dry_run=true").json()
    checked = run_naru("check", "-c", t.path("same.yaml", text)).stderr
    t.true(len(told["findings"]) > 0, "findings")
    for finding in told["findings"]:
        t.true(finding["message"] in checked, f"{finding} is not in:\n{checked}")
    t.true("findings" not in post(naru, text).json(), "only a dry run looks for them")


@test("what /v1/config shows can be put in force again")
def _(t):
    naru, _a = one_app(t)
    shown = naru.admin("/v1/config").body.decode()
    told = post(naru, shown).json()
    t.equal((told["summary"], told["changes"]["sections"]), ("nothing", []))


@test("a bad configuration is 422 with every diagnostic, and the one before stays")
def _(t):
    naru, a = one_app(t)
    text = config_text(naru, {"app": a}).replace("instances:", "instanes:") + "bogus: 1\n"
    for query in ("", "?dry_run=1"):
        answer = post(naru, text, "/v1/config" + query)
        t.equal(answer.status, 422)
        told = conforms(t, naru, answer, "putConfig")
        t.equal((told["reason"], told["version"]), ("bad_config", 1))
        t.equal(answer.header("Content-Type"), "application/problem+json")
        by_line = [d for d in told["diagnostics"] if d["message"].startswith("unknown")]
        t.matches(by_line[0]["text"], r"^configuration:\d+:\d+: unknown field 'instanes', did you mean "
                                      r"'instances'\?")
        t.equal(by_line[0]["path"], "services.app")
        t.matches(told["detail"], r"errors, and version 1 stays in force: configuration:\d+:\d+: ")
        lines = text.splitlines()
        t.true("instanes" in lines[by_line[0]["line"] - 1], by_line[0])
        t.true("bogus" in lines[by_line[-1]["line"] - 1], by_line[-1])
    t.equal(post(naru, "").status, 400)
    for body in ("[", "a: &x 1\nb: *x\n", "\x01", "gateway: {}\ngateway: {}\n"):
        t.equal((body, post(naru, body).status), (body, 422))
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json", ""):
        answer = post(naru, text, fields={"Content-Type": kind})
        t.equal((kind, answer.status), (kind, 415))
    taken = config_text(naru, {"app": a}).replace(naru.address, "192.0.2.1:1")
    answer = post(naru, taken)
    t.equal(answer.status, 422)
    t.matches(answer.json()["diagnostics"][0]["text"], "cannot listen on 192.0.2.1:1")
    t.equal(naru.request().body, b"a")
    t.equal([v["version"] for v in naru.admin("/v1/config/versions").json()["versions"]], [1])


@test("a configuration that is too large is refused without being read")
def _(t):
    naru, a = one_app(t)
    text = config_text(naru, {"app": a})
    with naru.connect() as _, t.connect(naru.admin_port) as stream:
        stream.send("POST /v1/config HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/yaml"
                    f"\r\nContent-Length: {16 * 1024 * 1024 + 1}\r\n\r\n")
        t.equal(stream.read_response("POST").status, 413)
    padding = "#" * 1000 + "\n"
    t.equal(post(naru, text + padding * 2000).status, 200)


@test("If-Match keeps two operators from undoing each other's work")
def _(t):
    naru, a = one_app(t)
    b = t.upstream(naming("b"))
    tag = naru.admin("/v1/config").header("ETag")
    answer = post(naru, config_text(naru, {"app": b}), fields={"If-Match": tag})
    t.equal((answer.status, answer.header("ETag")), (200, '"2"'))
    answer = post(naru, config_text(naru, {"app": a}), fields={"If-Match": tag})
    t.equal(answer.status, 412)
    told = conforms(t, naru, answer, "putConfig")
    t.equal((told["reason"], told["version"]), ("stale_version", 2))
    t.equal(rollback(naru, 1, fields={"If-Match": '"1"'}).status, 412)
    t.equal(naru.request().body, b"b")
    for good in ('"2"', "2", "*"):
        t.equal(rollback(naru, 1, "?dry_run=1", {"If-Match": good}).status, 200)
    for bad in ("", "x", '"1", "2"', 'W/"2"', '"0"', '"99999999999"', '"'):
        t.equal((bad, rollback(naru, 1, fields={"If-Match": bad}).status), (bad, 400))


@test("changes under traffic, and what is said of instances meanwhile: no request fails")
def _(t):
    naru, a = one_app(t, workers=2)
    b = t.upstream(naming("b"))
    texts = [config_text(naru, {"app": a, "more": b}), config_text(naru, {"app": b}),
             config_text(naru, {"app": a}, observe={"log_level": "warn"})]
    running = loads(t, naru)
    for number in range(18):
        answer = post(naru, texts[number % 3])
        t.equal((number, answer.status), (number, 200))
        address = (a, b, a)[number % 3].address
        t.equal(patch(naru, address, {"weight": number + 1}).json()["weight"], number + 1)
        if number % 6 == 5:
            t.equal(rollback(naru, answer.json()["version"] - 1).status, 200)
    no_failures(t, running)
    t.equal(len(naru.admin("/v1/config/versions").json()["versions"]), 10)


@test("a client that leaves before its change is done does no harm")
def _(t):
    naru, a = one_app(t)
    text = config_text(naru, {"app": a, "named": a}).replace(
        f"instances:\n      - {a.address}", f"instances:\n      - {a.address}", 1)
    body = text.encode()
    for _ in range(10):
        with t.connect(naru.admin_port) as stream:
            stream.send(b"POST /v1/config HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/yaml"
                        b"\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            stream.reset()
    t.eventually(lambda: len(audits(naru)) >= 1, "an audit line")
    t.equal(naru.request().body, b"a")
    t.equal(post(naru, text).status, 200)


@test("a change that waits when naru ends is over with it")
def _(t):
    naru, a = one_app(t)
    body = config_text(naru, {"app": a}).encode()
    streams = [t.connect(naru.admin_port) for _ in range(4)]
    for stream in streams:
        stream.send(b"POST /v1/config HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/yaml"
                    b"\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    naru.signal(signal.SIGTERM)
    t.equal(naru.stop(), 0)


@test("the token can be changed by the API, not taken away")
def _(t):
    port = free_port()
    up = t.upstream(naming("a"))
    naru = t.naru_stopped(services={"app": {"instances": [up.address]}}, **with_token(port))
    naru.admin_port = port
    naru.start()
    answer = post(naru, config_text(naru, {"app": up}), fields=BEARER)
    t.equal(answer.status, 422)
    t.matches(answer.json()["detail"], "the admin token would be gone")
    other = "quite-another-token"
    admin = {"listen": f"127.0.0.1:{port}", "token": other}
    answer = post(naru, config_text(naru, {"app": up}, admin=admin),
                  fields={**BEARER, "Content-Type": "text/plain"})
    t.equal(answer.status, 200)
    t.equal(naru.admin("/v1/services", fields=BEARER).status, 401)
    new = {"Authorization": f"Bearer {other}"}
    t.equal(rollback(naru, 1, fields=new).status, 200)
    t.equal(naru.admin("/v1/services", fields=BEARER).status, 200)
    t.equal(naru.admin("/v1/config/reload", "POST").status, 401)
    lines = t.eventually(lambda: len(audits(naru)) >= 4 and audits(naru), "four lines")
    t.true(other not in naru.stderr() and TOKEN not in naru.stderr(), "a token is in the log")
    t.equal([(l["audit"], l["status"], l["version"]) for l in lines],
            [("putConfig", 422, 1), ("putConfig", 200, 2), ("rollbackConfig", 200, 3),
             ("reloadConfig", 401, 3)])


@test("what takes effect with a restart only is said")
def _(t):
    naru, a = one_app(t)
    text = config_text(naru, {"app": a}).replace("workers: 1", "workers: 2")
    told = post(naru, text, "/v1/config?dry_run=true").json()
    t.equal([w["code"] for w in told["warnings"]], ["restart"])
    t.matches(told["warnings"][0]["text"], r"^configuration:2:\d+: gateway.workers has changed")
    told = post(naru, text).json()
    t.equal(len(told["warnings"]), 1)
    t.eventually(lambda: "gateway.workers has changed: that takes effect" in naru.stderr(), "logged")


@test("a naru from the command line has no file to read again")
def _(t):
    up = t.upstream(naming("a"))
    naru = t.naru_stopped(services={})
    done = t.spawn([NARU, "serve", "--to", up.address, "--listen", naru.address,
                    "--admin", f"127.0.0.1:{naru.admin_port}"],
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def ready():
        try:
            return naru.admin("/ready").status == 200
        except (OSError, wire.Closed):
            return False
    t.eventually(ready, "ready", 20)
    answer = naru.admin("/v1/config/reload", "POST")
    t.equal((answer.status, answer.json()["reason"]), (409, "no_file"))
    t.equal(post(naru, naru.admin("/v1/config").body.decode()).status, 200)
    done.send_signal(signal.SIGTERM)
    t.equal(done.wait(20), 0)


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


if __name__ == "__main__":
    main()
