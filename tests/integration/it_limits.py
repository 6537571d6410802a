#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Rate limits over real sockets with several workers: exactly so many, across reloads, told and
counted; overload and faults; and every example of their pages loads."""

import os
import re
import signal
import threading
import time

import admin_api
import upstream
import wire
from harness import main, run_naru, test

DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs")


def app(t):
    return {"app": {"instances": [t.upstream(upstream.named("app")).address]}}


def route(*limits, path="/*", **more):
    return {"match": {"path": path}, "service": "app", "limits": list(limits), **more}


def rush(naru, connections, each, fields=()):
    """Statuses of that many connections at once, `each` requests on every one."""
    statuses, errors = [], []

    def go():
        try:
            with naru.connect() as stream:
                for _ in range(each):
                    stream.send(wire.request_bytes("GET", "/", [("Host", "a"), *fields]))
                    statuses.append(stream.read_response("GET").status)
        except Exception as error:      # the test says which
            errors.append(error)

    threads = [threading.Thread(target=go) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors
    return statuses


@test("a log of 100/min admits exactly 100 on four workers")
def _(t):
    naru = t.naru(workers=4, services=app(t), gateway={"routes": [
        route({"name": "exact", "rate": "100/min", "algorithm": "sliding_log"})]})
    began = time.monotonic()
    statuses = rush(naru, 16, 25)
    t.true(time.monotonic() - began < 55, "all of it within one minute")
    t.equal(len(statuses), 400)
    t.equal(statuses.count(200), 100)
    t.equal(statuses.count(429), 300)
    metrics = naru.metrics()
    t.equal(metrics['naru_limit_decisions_total{limit="exact",verdict="allowed"}'], 100)
    t.equal(metrics['naru_limit_decisions_total{limit="exact",verdict="refused"}'], 300)
    t.equal(metrics['naru_limit_keys{limit="exact"}'], 1)
    t.equal(metrics['naru_reasons_total{reason="rate_limited"}'], 300)


@test("a user and everybody: each limit holds on its own, and a refusal costs nothing elsewhere")
def _(t):
    naru = t.naru(workers=2, services=app(t), limits={
        "user": {"key": "header:X-User", "rate": "20/h"}, "all": {"key": "global", "rate": "50/h"}},
        gateway={"limits": ["all"], "routes": [route("user")]})
    for user, want in (("a", 20), ("b", 20), ("c", 10)):
        statuses = rush(naru, 4, 10, [("X-User", user)])
        t.equal(statuses.count(200), want, user)
    metrics = naru.metrics()
    t.equal(metrics['naru_limit_decisions_total{limit="all",verdict="allowed"}'], 50)
    t.equal(metrics['naru_limit_decisions_total{limit="user",verdict="allowed"}'], 50)
    limits = naru.admin("/v1/limits").json()["limits"]
    t.equal([(one["name"], one["key"], one["allowed"], one["keys"]) for one in limits],
            [("user", ["header:X-User"], 50, 3), ("all", ["global"], 50, 1)])
    t.equal(limits[0]["tiers"], [{"rate": "20/h", "by_hand": False, "limit": 20, "period_ms": 3600000.0, "burst": 0}])


@test("429 says which limit and when to come back; record and log name it")
def _(t):
    naru = t.naru(services=app(t), limits={"one": "1/h"}, gateway={"routes": [route("one")]})
    first = naru.request()
    t.equal(first.header("X-RateLimit-Remaining"), "0")
    t.equal(first.header("RateLimit-Policy"), '"one";q=1;w=3600')
    answer = naru.request()
    t.equal(answer.status, 429)
    t.equal(answer.header("Content-Type"), "application/problem+json")
    t.equal(answer.json()["reason"], "rate_limited")
    t.true("'one'" in answer.json()["detail"], "the detail names the limit")
    t.true(0 < int(answer.header("Retry-After")) <= 7200, "Retry-After")
    t.equal(int(re.search(r"t=(\d+)$", answer.header("RateLimit"))[1]),
            int(answer.header("Retry-After")), "t and Retry-After name one moment")
    record = naru.record(answer.header("X-Request-Id"))
    t.equal(record["limits"], [{"name": "one", "left": 0}])
    t.eventually(lambda: any(line.get("limit") == "one" for line in naru.access_log()),
                 "the access log names it")


@test("a metered limit keeps what each key has used, by name, also across a reload")
def _(t):
    limit = {"key": "header:X-User", "rate": "3/h", "over": "charge", "meter": 100}
    sections = {"services": app(t), "limits": {"plan": limit, "plain": "100/s"},
                "gateway": {"routes": [route({"use": "plan", "cost": 2}, "plain")]}}
    naru = t.naru(workers=2, **sections)
    for user, times in (("ann", 3), ("bob/x", 1)):
        for _i in range(times):
            t.equal(naru.request(fields=[("X-User", user)]).status, 200)
    naru.request()      # by its address

    def usage(query=""):
        return naru.admin(f"/v1/usage/plan{query}").json()
    t.equal([(k["key"], k["used"], k["charged"], k["refused"]) for k in usage()["keys"]],
            [("ann", 2, 4, 0), ("bob/x", 2, 0, 0), ("127.0.0.1", 2, 0, 0)])
    t.equal(usage()["rest"], {"used": 0, "charged": 0, "refused": 0})
    t.equal([k["key"] for k in usage("?limit=1&offset=1")["keys"]], ["bob/x"])
    sections["limits"]["plan"]["rate"] = "4/h"
    admin_api.reload(t, naru, **sections)
    naru.request(fields=[("X-User", "ann")])
    t.equal((usage()["keys"][0]["used"], usage()["keys"][0]["charged"]), (4, 4))
    t.equal(naru.admin("/v1/usage/plain").json()["reason"], "not_metered")
    t.equal(naru.admin("/v1/usage/plam").json()["reason"], "unknown_limit")


@test("usage survives a reload, also with another rate; another key begins anew")
def _(t):
    services = app(t)
    routes = {"routes": [route("u")]}
    naru = t.naru(services=services, limits={"u": "3/h"}, gateway=routes)

    def reload(limit):
        before = naru.stderr().count("configuration applied")
        naru.write_config(sections={"services": services, "limits": {"u": limit},
                                    "gateway": routes})
        naru.signal(signal.SIGHUP)
        t.eventually(lambda: naru.stderr().count("configuration applied") > before, "applied")

    t.equal([naru.request().status for _ in range(4)], [200, 200, 200, 429])
    reload("5/h")
    t.equal([naru.request().status for _ in range(3)], [200, 200, 429])
    reload({"rate": "5/h", "tiers": {"paid": "9/h"}, "tier_key": "header:X-Tier"})
    t.equal(naru.request().status, 429)
    t.equal(naru.metrics()['naru_limit_decisions_total{limit="u",verdict="allowed"}'], 5)
    reload({"rate": "5/h", "key": "host"})
    t.equal(naru.request().status, 200)


@test("under pressure the critical pass, the rest gets 503, and it ends")
def _(t):
    gate = threading.Event()

    def slow(peer):
        while (request := peer.next()) is not None:
            if request.target == "/slow":
                gate.wait(30)
            peer.send(wire.response_bytes(200, b"ok"))

    naru = t.naru(workers=2, services={"app": {"instances": [t.upstream(slow).address]}}, gateway={
        "shedding": {"capacity": 4, "rise": "50ms", "fall": "300ms"},
        "routes": [route(path="/slow", priority="critical"), route(path="/vital", priority="critical"),
                   route(path="/*", priority="sheddable")]})
    held = [threading.Thread(target=naru.request, args=("GET", "/slow")) for _ in range(4)]
    for thread in held:
        thread.start()
    t.eventually(lambda: naru.request(target="/any").status == 503, "the sheddable are shed")
    answer = naru.request(target="/any")
    t.equal(answer.json()["reason"], "shed")
    t.true(5 <= int(answer.header("Retry-After")) <= 10, "Retry-After")
    t.equal(naru.request(target="/vital").status, 200)
    t.true(naru.metrics()["naru_shed_level"] >= 1, "the level shows")
    gate.set()
    for thread in held:
        thread.join()
    t.eventually(lambda: naru.request(target="/any").status == 200, "it ends")
    t.true(naru.metrics()['naru_shed_total{priority="sheddable"}'] >= 2, "it was counted")
    t.equal(naru.metrics()['naru_shed_total{priority="critical"}'], 0)


@test("faults on purpose: seen by clients, named in records, counted")
def _(t):
    naru = t.naru(services=app(t), gateway={"routes": [
        route(path="/*", faults=[{"abort": 503, "header": "X-Chaos: abort"},
                                 {"at": "request", "reset": True, "header": "X-Chaos: reset"},
                                 {"delay": "300ms", "header": "X-Chaos: delay"}])]})
    t.equal(naru.request().status, 200)
    answer = naru.request(fields=[("X-Chaos", "abort")])
    t.equal((answer.status, answer.json()["reason"]), (503, "fault_abort"))
    began = time.monotonic()
    answer = naru.request(fields=[("X-Chaos", "delay")])
    t.equal(answer.status, 200)
    t.true(time.monotonic() - began >= 0.3, "it was held")
    record = naru.record(answer.header("X-Request-Id"))
    t.true(any("on purpose" in note for note in record["notes"]), str(record["notes"]))
    t.raises((wire.Closed, OSError), naru.request, fields=[("X-Chaos", "reset")])
    t.eventually(lambda: naru.metrics()['naru_faults_total{kind="reset"}'] == 1, "counted")


def examples():
    """The YAML blocks of the pages, and the one-liners of docs/limits.md as a route's limits."""
    for page in "overload.md", "limits.md":
        with open(os.path.join(DOCS, page), encoding="utf-8") as file:
            text = file.read()
        yield from re.findall(r"```yaml\n(.*?)```", text, re.S)
    lines = re.findall(r"^\| [^|]+ \| `(limits: \[.*\])` \|$", text, re.M)
    assert len(lines) >= 7, lines
    for line in lines:
        yield ("gateway: { listen: [':8080'], routes: [{ match: '/login/{name}', service: app, "
               + line + " }] }\nlimits: { per_user: { key: 'header:X-User', rate: 100/min } }\n"
               "services: { app: { instances: ['127.0.0.1:3000', '127.0.0.1:3001'], "
               "health: { path: /health } } }\n")


@test("every example of docs/limits.md and docs/overload.md loads")
def _(t):
    for example in examples():
        done = run_naru("config", "print", "-c", "/dev/stdin", input=example)
        t.equal(done.returncode, 0, example + done.stderr)


if __name__ == "__main__":
    main()
