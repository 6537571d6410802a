# SPDX-License-Identifier: Apache-2.0
"""What operators set by hand while naru runs: it holds at once and for all workers, is listed, told
in metrics, records and the audit log, survives reloads as documented, and can be taken back."""

import itertools
import threading

import upstream
import wire
from admin_api import audits, change, conforms, overrides, reload
from harness import main, run_naru, test


def app(t, handler=None, **more):
    up = t.upstream(handler or upstream.named("app"))
    return {"app": {"instances": [up.address], **more}}


def route(path="/*", **more):
    return {"match": {"path": path}, "service": "app", **more}


def record(naru, answer):
    return naru.record(answer.header("X-Request-Id"))


def audited(t, naru, name, body):
    t.eventually(lambda: [(a["audit"], a["change"], a["result"]) for a in audits(naru)][-1:] ==
                 [(name, body, "done")], f"the audit log tells of {body}")


def refusals(t, naru, target, cases):
    """(body, status, reason, part of the detail): each refused, and nothing is set afterwards."""
    for body, status, reason, detail in cases:
        answer = change(naru, target, body)
        t.equal((body, answer.status), (body, status))
        told = answer.json()
        t.equal((body, told["reason"]), (body, reason))
        t.true(detail in told["detail"], told["detail"])
    t.equal(overrides(naru), {})


# ---- rate limits

TIERED = {"rate": "2/h", "tiers": {"paid": "3/h"}, "tier_key": "header:X-Tier"}


@test("a limit gets another rate at once, and has its own back")
def _(t):
    naru = t.naru(workers=2, services=app(t), limits={"u": "1/h"},
                  gateway={"routes": [route(limits=["u"])]})
    t.equal([naru.request().status for _ in range(2)], [200, 429])
    state = conforms(t, naru, change(naru, "/v1/limits/u", {"rate": "3/h"}), "changeLimit")
    t.equal((state["by_hand"], state["tiers"][0]["rate"], state["tiers"][0]["by_hand"]),
            (True, "3/h", True))
    answers = [naru.request() for _ in range(3)]
    t.equal([a.status for a in answers], [200, 200, 429])
    t.true(any("by hand" in note for note in record(naru, answers[2])["notes"]), "the record says it")
    t.equal(overrides(naru), {("limit", "u", ""): "3/h"})
    t.true("naru_override{" in naru.admin("/metrics").body.decode(), "the metric is there")
    audited(t, naru, "changeLimit", '{"rate":"3/h"}')
    state = change(naru, "/v1/limits/u", {"rate": None}).json()
    t.equal((state["by_hand"], state["tiers"][0]["rate"]), (False, "1/h"))
    answer = naru.request()
    t.equal((answer.status, record(naru, answer)["notes"]), (429, []))
    t.equal(overrides(naru), {})
    t.equal(conforms(t, naru, naru.admin("/v1/limits/u"), "getLimit")["allowed"], 3)


@test("a tier, a burst, and a limit that only observes")
def _(t):
    naru = t.naru(services=app(t), limits={"u": TIERED, "b": {"rate": "1/h", "algorithm": "token_bucket"}},
                  gateway={"routes": [route(limits=["u", "b"])]})
    state = change(naru, "/v1/limits/u", {"rate": "30/h", "tier": "paid"}).json()
    t.equal([(tier["rate"], tier["by_hand"]) for tier in state["tiers"]],
            [("2/h", False), ("30/h", True)])
    state = change(naru, "/v1/limits/b", {"rate": "5/h", "burst": 2}).json()
    t.equal((state["tiers"][0]["limit"], state["tiers"][0]["burst"]), (5, 2))
    state = change(naru, "/v1/limits/b", {"observe_only": True}).json()
    t.equal((state["observe_only"], state["by_hand"]), (True, True))
    t.equal(overrides(naru), {("limit", "u", "paid"): "30/h", ("limit", "b", ""): "5/h, burst 2",
                              ("limit_observe_only", "b", ""): "true"})
    t.equal([naru.request().status for _ in range(3)], [200, 200, 429])
    change(naru, "/v1/limits/u", {"rate": None, "tier": "paid"})
    change(naru, "/v1/limits/b", {"rate": None, "observe_only": None})
    t.equal(overrides(naru), {})


@test("what a reload keeps of a limit's rate, and what it drops")
def _(t):
    services, routes = app(t), {"routes": [route(limits=["u", "v"])]}
    naru = t.naru(services=services, gateway=routes, limits={"u": "1/h", "v": "1/h"})
    for name in "u", "v":
        change(naru, f"/v1/limits/{name}", {"rate": "7/h", "observe_only": True})
    reload(t, naru, services=services, gateway=routes, limits={"u": "1/h", "v": "2/h", "w": "3/h"})
    t.equal(overrides(naru), {("limit", "u", ""): "7/h", ("limit_observe_only", "u", ""): "true",
                              ("limit_observe_only", "v", ""): "true"})
    t.equal(naru.admin("/v1/limits/v").json()["tiers"][0]["rate"], "2/h")
    reload(t, naru, services=services, gateway=routes,
           limits={"u": {"rate": "1/h", "key": "global"},
                   "v": {"rate": "2/h", "observe_only": True}})
    t.equal(overrides(naru), {})


@test("a limit is refused what it cannot keep, with what was meant")
def _(t):
    naru = t.naru(services=app(t), limits={"user": TIERED, "log": {"rate": "5/h", "algorithm": "sliding_log"}},
                  gateway={"routes": [route("/a/*", limits=["user", "9/h"])]})
    refusals(t, naru, "/v1/limits/user", (
        ({"rate": "200/mn"}, 400, "bad_request", "'rate' must be a number in a time, such as 200/min"),
        ({"rate": 5}, 400, "bad_request", "field 'rate' must be a text, or null"),
        ({"rat": "5/s"}, 400, "bad_request", "unknown field 'rat', did you mean 'rate'?"),
        ({"burst": 5}, 400, "bad_request", "go with 'rate'"),
        ({"rate": "5/s", "tier": "payed"}, 422, "unknown_tier", "no tier 'payed', did you mean 'paid'?"),
        ({"rate": "5000000000/s"}, 422, "impossible_rate", "a rate is at most"),
        ({"observe_only": "yes"}, 400, "bad_request", "must be true or false, or null")))
    refusals(t, naru, "/v1/limits/log", (
        ({"rate": "6/h"}, 422, "impossible_rate", "room for 5 only"),))
    refusals(t, naru, "/v1/limits/usr", (
        ({"rate": "6/h"}, 404, "unknown_limit", "no limit is called 'usr', did you mean 'user'?"),))
    t.equal(change(naru, "/v1/limits//a/*", {"rate": "6/h"}).json()["name"], "/a/*")
    t.equal(naru.admin("/v1/limits/none").json()["reason"], "unknown_limit")


# ---- circuit breakers

CIRCUITS = "/v1/services/app/circuits"


def several(t, count, **more):
    ups = [t.upstream(upstream.named(chr(ord("a") + i))) for i in range(count)]
    return ups, {"app": {"instances": [up.address for up in ups], "balance": "round_robin", **more}}


@test("circuits are forced open, and the record says that a hand did it")
def _(t):
    (a, b), services = several(t, 2, breaker={}, retry={"attempts": 1})
    naru = t.naru(workers=2, services=services)
    state = conforms(t, naru, change(naru, CIRCUITS, {"force": "open", "instance": a.address}),
                     "forceCircuits")
    t.equal((state["scope"], state["force"]), ("instance", "auto"))
    t.equal([(c["instance"], c["state"], c["force"], c["mode"]) for c in state["circuits"]],
            [(a.address, "open", "open", "forced_open"), (b.address, "closed", "auto", "auto")])
    t.equal({naru.request().body for _ in range(6)}, {b"b\n"})
    t.equal(overrides(naru), {("circuit", "app", a.address): "open"})
    t.equal(naru.metrics()[f'naru_breaker_state{{service="app",instance="{a.address}"}}'], 1)
    state = change(naru, CIRCUITS, {"force": "open"}).json()
    t.equal((state["force"], [c["state"] for c in state["circuits"]]), ("open", ["open", "open"]))
    answer = naru.request()
    t.equal((answer.status, answer.json()["reason"]), (503, "circuit_open"))
    t.true(any("by hand" in note for note in record(naru, answer)["notes"]), "the record says it")
    told = run_naru("explain", "-c", naru.config_path, answer.header("X-Request-Id")).stdout
    t.matches(told, r"notes +by hand: what an operator has set while naru runs decided")
    t.equal(overrides(naru), {("circuit", "app", ""): "open"})
    audited(t, naru, "forceCircuits", '{"force":"open"}')
    t.eventually(lambda: "all circuits are forced open by hand" in naru.stderr(), "the log says it")
    state = change(naru, CIRCUITS, {"force": "auto"}).json()
    t.equal((state["force"], [c["force"] for c in state["circuits"]]), ("auto", ["auto", "auto"]))
    t.equal({naru.request().body for _ in range(6)}, {b"a\n", b"b\n"})
    t.equal(overrides(naru), {})


@test("a circuit that is forced closed or disabled never opens")
def _(t):
    bad = upstream.fixed(500, b"broken")
    naru = t.naru(services=app(t, bad, breaker={"scope": "service"}, retry={"attempts": 1}))
    for force, failed in ("closed", 10), ("disabled", 0):
        change(naru, CIRCUITS, {"force": force})
        t.equal([naru.request().status for _ in range(12)], [500] * 12)
        state = naru.admin(CIRCUITS).json()["circuits"][0]
        t.equal((state["force"], state["state"], state["failed"]), (force, "closed", failed))
    change(naru, CIRCUITS, {"force": "auto"})
    t.equal([naru.request().status for _ in range(6)], [500] * 5 + [503])


@test("what is said of all circuits holds for those to come, through reloads, until the scope changes")
def _(t):
    (a, b, c), services = several(t, 3, breaker={"scope": "route"})
    gateway = {"routes": [route("/a/*"), route("/b/*")]}
    naru = t.naru(services=services, gateway=gateway)
    t.equal(naru.request("GET", "/a/").status, 200)
    change(naru, CIRCUITS, {"force": "open"})
    t.equal([naru.request("GET", path).status for path in ("/a/", "/b/")], [503, 503])
    services["app"]["breaker"]["open"] = "5s"
    services["app"]["instances"] = [c.address]
    gateway["routes"].insert(0, route("/c/*"))
    reload(t, naru, services=services, gateway=gateway)
    t.equal([naru.request("GET", path).status for path in ("/a/", "/b/", "/c/")], [503] * 3)
    state = change(naru, CIRCUITS, {"force": "auto", "route": "/c/*"}).json()
    t.equal({c["route"]: c["force"] for c in state["circuits"]},
            {"/a/*": "open", "/b/*": "open", "/c/*": "auto"})
    t.equal([naru.request("GET", path).status for path in ("/a/", "/b/", "/c/")], [503, 503, 200])
    t.equal(overrides(naru), {("circuit", "app", "/a/*"): "open", ("circuit", "app", "/b/*"): "open"})
    services["app"]["breaker"]["scope"] = "instance"
    reload(t, naru, services=services, gateway=gateway)
    t.equal(overrides(naru), {})
    t.equal(naru.request("GET", "/a/").status, 200)


@test("circuits of instances by a reload: who stays keeps its force, who is new is as all are")
def _(t):
    (a, b, c), services = several(t, 3, breaker={})
    services["app"]["instances"] = [a.address, b.address]
    naru = t.naru(services=services)
    change(naru, CIRCUITS, {"force": "disabled", "instance": a.address})
    services["app"]["instances"] = [c.address, a.address]
    reload(t, naru, services=services)
    t.equal(overrides(naru), {("circuit", "app", a.address): "disabled"})
    change(naru, CIRCUITS, {"force": "open"})
    services["app"]["instances"].append(b.address)
    reload(t, naru, services=services)
    t.equal({c["force"] for c in naru.admin(CIRCUITS).json()["circuits"]}, {"open"})
    t.equal(naru.request().status, 503)


@test("circuits that are not there are refused, with what was meant")
def _(t):
    services = {**app(t, breaker={}), "plain": app(t)["app"],
                "byroute": app(t, breaker={"scope": "route"})["app"]}
    address = services["app"]["instances"][0]
    naru = t.naru(services=services, gateway={"routes": [
        route("/app"), {"match": {"path": "/by"}, "service": "byroute", "name": "orders"}]})
    refusals(t, naru, CIRCUITS, (
        ({}, 400, "bad_request", "field 'force' is needed"),
        ({"force": "opened"}, 400, "bad_request", "must be one of open, closed, disabled, auto"),
        ({"force": "open", "instance": address + "0"}, 404, "unknown_instance", f"did you mean '{address}'?"),
        ({"force": "open", "route": "/app"}, 422, "wrong_scope", "are by instance: leave 'route' out")))
    refusals(t, naru, "/v1/services/byroute/circuits", (
        ({"force": "open", "route": "oders"}, 404, "unknown_route", "did you mean 'orders'?"),
        ({"force": "open", "route": "/app"}, 422, "wrong_route", "does not lead to service 'byroute'"),
        ({"force": "open", "instance": address}, 422, "wrong_scope", "are by route: leave 'instance' out")))
    refusals(t, naru, "/v1/services/plain/circuits", (
        ({"force": "open"}, 422, "no_breaker", "give it a section 'breaker'"),))
    refusals(t, naru, "/v1/services/plane/circuits", (
        ({"force": "open"}, 404, "unknown_service", "did you mean 'plain'?"),))
    state = conforms(t, naru, naru.admin("/v1/services/plain/circuits"), "listCircuits")
    t.equal((state["scope"], state["circuits"]), (None, []))


# ---- routes and shedding

@test("a route is switched off and on at once, for all workers, and on two connections of before")
def _(t):
    naru = t.naru(workers=2, services=app(t), gateway={"routes": [
        route("/api/orders/*"), route("/ideas", enabled=False), route("/*")]})

    def statuses(path):
        return {naru.request("GET", path).status for _ in range(8)}
    with naru.connect() as first, naru.connect() as second:
        for stream, want in ((first, 200), (second, 200), (first, 503), (second, 503)):
            if want == 503:
                change(naru, "/v1/routes//api/orders/*", {"enabled": False})
            stream.send(wire.request_bytes("GET", "/api/orders/1", [("Host", "a")]))
            t.equal(stream.read_response("GET").status, want)
    t.equal((statuses("/api/orders/1"), statuses("/other")), ({503}, {200}))
    answer = naru.request("GET", "/api/orders/1")
    t.equal(answer.json()["reason"], "feature_off")
    t.true(any("by hand" in note for note in record(naru, answer)["notes"]), "the record says it")
    state = conforms(t, naru, naru.admin("/v1/routes//api/orders/*"), "getRoute")
    t.equal((state["enabled"], state["configured_enabled"], state["by_hand"]), (False, True, True))
    audited(t, naru, "changeRoute", '{"enabled":false}')
    t.equal(statuses("/ideas"), {503})
    change(naru, "/v1/routes//ideas", {"enabled": True})
    t.equal(statuses("/ideas"), {200})
    t.equal(overrides(naru), {("route_enabled", "/api/orders/*", ""): "false",
                              ("route_enabled", "/ideas", ""): "true"})
    change(naru, "/v1/routes//api/orders/*", {"enabled": None})
    change(naru, "/v1/routes//ideas", {"enabled": None})
    t.equal((statuses("/api/orders/1"), statuses("/ideas")), ({200}, {503}))
    t.equal(overrides(naru), {})


@test("a switched route by a reload: kept, until the file says something else or forgets it")
def _(t):
    services = app(t)
    routes = [route("/a", name="a"), route("/b", name="b"), route("/c", name="c", enabled=False), route()]
    naru = t.naru(workers=2, services=services, gateway={"routes": routes})
    for name, enabled in ("a", False), ("b", False), ("c", True):
        change(naru, f"/v1/routes/{name}", {"enabled": enabled})
    routes[0]["deadline"] = "3s"
    reload(t, naru, services=services, gateway={"routes": [routes[1], routes[0], *routes[2:]]})
    t.equal([naru.request("GET", path).status for path in ("/a", "/b", "/c")], [503, 503, 200])
    routes[1]["enabled"] = False
    routes[2]["enabled"] = True
    del routes[0]
    reload(t, naru, services=services, gateway={"routes": routes})
    t.equal(overrides(naru), {})
    t.equal([naru.request("GET", path).status for path in ("/a", "/b", "/c")], [200, 503, 200])


@test("the level of shedding is forced and taken back")
def _(t):
    services, shedding = app(t), {"capacity": 1000}
    gateway = {"shedding": shedding, "routes": [
        route("/pay", priority="critical"), route("/ideas", priority="sheddable"), route()]}
    naru = t.naru(workers=2, services=services, gateway=gateway)

    def statuses():
        return [naru.request("GET", path).status for path in ("/pay", "/shop", "/ideas")]
    for level, want in (0, [200, 200, 200]), (1, [200, 200, 503]), (2, [200, 503, 503]):
        state = conforms(t, naru, change(naru, "/v1/shedding", {"level": level}), "forceShedding")
        t.equal((state["level"], state["by_hand"]), (level, True))
        t.equal(statuses(), want)
        t.equal(overrides(naru), {("shedding", "", ""): f"level {level}"})
    t.equal(naru.metrics()["naru_shed_level"], 2)
    answer = naru.request("GET", "/shop")
    t.true(any("by hand" in note for note in record(naru, answer)["notes"]), "the record says it")
    audited(t, naru, "forceShedding", '{"level":2}')
    shedding["capacity"] = 500
    reload(t, naru, services=services, gateway=gateway)
    t.equal(statuses(), [200, 503, 503])
    t.equal(change(naru, "/v1/shedding", {"level": None}).json()["by_hand"], False)
    t.equal(statuses(), [200, 200, 200])
    change(naru, "/v1/shedding", {"level": 2})
    del gateway["shedding"]
    reload(t, naru, services=services, gateway=gateway)
    t.equal((statuses(), overrides(naru)), ([200, 200, 200], {}))
    gateway["shedding"] = shedding
    reload(t, naru, services=services, gateway=gateway)
    t.equal((statuses(), overrides(naru)), ([200, 200, 200], {}))


@test("routes and levels that are not there are refused, with what was meant")
def _(t):
    naru = t.naru(services=app(t), gateway={"routes": [route("/a/*", name="orders"), route()]})
    refusals(t, naru, "/v1/routes/oders", (
        ({"enabled": False}, 404, "unknown_route", "no route is called 'oders', did you mean 'orders'?"),
        ({}, 404, "unknown_route", "did you mean"),))
    refusals(t, naru, "/v1/routes/orders", (
        ({"enabled": "off"}, 400, "bad_request", "field 'enabled' must be true or false, or null"),
        ({"enable": False}, 400, "bad_request", "unknown field 'enable', did you mean 'enabled'?")))
    refusals(t, naru, "/v1/shedding", (
        ({"level": 3}, 400, "bad_request", "must be a whole number from 0 to 2, or null"),
        ({}, 400, "bad_request", "field 'level' is needed"),
        ({"level": 1}, 422, "no_shedding", "add a section 'shedding'")))
    t.equal(conforms(t, naru, naru.admin("/v1/shedding"), "getShedding")["configured"], False)


# ---- faults

@test("faults are put on a route for a while, told, and taken back")
def _(t):
    naru = t.naru(workers=2, services=app(t, retry={"attempts": 1}),
                  gateway={"routes": [route("/a"), route()]})
    state = conforms(t, naru, change(naru, "/v1/routes//a", {"faults": [{"abort": 418}]}), "changeRoute")
    t.equal((state["faults"], state["configured_faults"], state["by_hand"]), ([{"abort": 418}], 0, True))
    t.true(590_000 < state["faults_end_in_ms"] <= 600_000, "ten minutes unless said")
    t.equal([naru.request("GET", path).status for path in ("/a", "/b")], [418, 200])
    answer = naru.request("GET", "/a")
    notes = record(naru, answer)["notes"]
    t.true(any("by hand" in note for note in notes), str(notes))
    t.equal(overrides(naru), {("route_faults", "/a", ""): '[{"abort":418}]'})
    t.true(naru.metrics()['naru_faults_total{kind="abort"}'] >= 2, "counted")
    change(naru, "/v1/routes//a", {"faults": [{"delay": "20ms", "at": "request"},
                                              {"abort": 500, "header": "X-Chaos"}], "for": "1h"})
    t.equal(naru.request("GET", "/a").status, 200)
    t.equal(naru.request("GET", "/a", fields=[("X-Chaos", "1")]).status, 500)
    audited(t, naru, "changeRoute", '{"faults":[{"delay":"20ms","at":"request"},'
            '{"abort":500,"header":"X-Chaos"}],"for":"1h"}')
    for none in None, []:
        change(naru, "/v1/routes//a", {"faults": [{"abort": 418}]})
        state = change(naru, "/v1/routes//a", {"faults": none}).json()
        t.equal((state["by_hand"], "faults" in state), (False, False))
        t.equal(naru.request("GET", "/a").status, 200)
    t.equal(overrides(naru), {})


@test("faults end by themselves, and a reload keeps them unless the file says something of faults")
def _(t):
    services = app(t, retry={"attempts": 1})
    routes = [route("/a", faults=[{"abort": 500}]), route("/b"), route()]
    naru = t.naru(services=services, gateway={"routes": routes})
    for name in "/a", "/b":
        change(naru, f"/v1/routes/{name}", {"faults": [{"abort": 418}]})
    change(naru, "/v1/routes//*", {"faults": [{"abort": 418}], "for": "1s"})
    t.equal([naru.request("GET", path).status for path in ("/a", "/b", "/c")], [418] * 3)
    t.eventually(lambda: naru.request("GET", "/c").status == 200, "they end")
    routes[0]["deadline"] = "5s"
    routes[1]["faults"] = [{"abort": 501}]
    reload(t, naru, services=services, gateway={"routes": routes})
    t.equal([naru.request("GET", path).status for path in ("/a", "/b", "/c")], [418, 501, 200])
    t.equal(overrides(naru), {("route_faults", "/a", ""): '[{"abort":418}]'})
    change(naru, "/v1/routes//a", {"faults": None})
    t.equal(naru.request("GET", "/a").status, 500)


@test("faults that are none are refused, with what was meant")
def _(t):
    naru = t.naru(services=app(t), gateway={"routes": [route("/*", name="all")]})
    refusals(t, naru, "/v1/routes/all", (
        ({"faults": [{"abrt": 500}]}, 422, "bad_faults", "did you mean 'abort'?"),
        ({"faults": [{"abort": 500}, {"abort": 200}]}, 422, "bad_faults", "faults[1].abort"),
        ({"faults": [{"abort": 500, "reset": True}]}, 422, "bad_faults", "one of delay, abort, reset"),
        ({"faults": {"abort": 500}}, 400, "bad_request", "field 'faults' must be a list, or null"),
        ({"faults": [{"abort": 500}], "for": "5"}, 400, "bad_request", "a time from 1s to 24h"),
        ({"faults": [{"abort": 500}], "for": "2d"}, 400, "bad_request", "a time from 1s to 24h"),
        ({"for": "5s"}, 400, "bad_request", "'for' goes with 'faults'")))


# ---- bulkheads and fallbacks

@test("a bulkhead gets more permits, and who waits gets one at once; and fewer")
def _(t):
    gate, state = threading.Event(), {"in": 0, "most": 0}
    lock = threading.Lock()

    def slow(peer):
        while peer.next() is not None:
            with lock:
                state["in"] += 1
                state["most"] = max(state["most"], state["in"])
            gate.wait(30)
            with lock:
                state["in"] -= 1
            peer.answer(200, b"ok")
    services = app(t, slow, bulkhead={"concurrent": 2, "queue": 10, "wait": "20s"})
    naru = t.naru(workers=2, services=services)
    statuses = []
    threads = [threading.Thread(target=lambda: statuses.append(naru.request().status))
               for _ in range(6)]
    for thread in threads:
        thread.start()
    t.eventually(lambda: naru.metrics()['naru_bulkhead_queue{service="app"}'] == 4, "four wait")
    t.eventually(lambda: state["in"] == 2, "and two are there")
    t.equal(state["most"], 2)
    answer = change(naru, "/v1/services/app", {"bulkhead": {"concurrent": 5}})
    policies = conforms(t, naru, answer, "changeService")["policies"]["bulkhead"]
    t.equal((policies["limit"], policies["limit_by_hand"]), (5, True))
    t.eventually(lambda: state["in"] == 5, "three more are let in")
    t.equal(overrides(naru), {("bulkhead", "app", ""): "concurrent 5"})
    change(naru, "/v1/services/app", {"bulkhead": {"concurrent": 1}})
    gate.set()
    for thread in threads:
        thread.join()
    t.equal((statuses, state["most"]), ([200] * 6, 5))
    services["app"]["bulkhead"]["queue"] = 20
    reload(t, naru, services=services)
    t.equal(overrides(naru), {("bulkhead", "app", ""): "concurrent 1"})
    change(naru, "/v1/services/app", {"bulkhead": {"concurrent": None}})
    t.equal(naru.metrics()['naru_bulkhead_limit{service="app"}'], 2)
    change(naru, "/v1/services/app", {"bulkhead": {"concurrent": 7}})
    services["app"]["bulkhead"]["concurrent"] = 3
    reload(t, naru, services=services)
    t.equal((overrides(naru), naru.metrics()['naru_bulkhead_limit{service="app"}']), ({}, 3))


@test("a fallback is forced on and off, by reloads too, as long as there is one")
def _(t):
    up = {"status": 200}
    services = app(t, upstream.each(lambda peer, request: peer.answer(up["status"], b"real")),
                   fallback={"status": 200, "json": {"orders": []}}, retry={"attempts": 1})
    naru = t.naru(workers=2, services=services)
    t.equal(change(naru, "/v1/services/app", {"fallback": "on"}).json()["fallback"], "on")
    answers = [naru.request("POST", "/", body=b"x" * 100_000) for _ in range(4)]
    t.equal([(a.status, a.json()) for a in answers], [(200, {"orders": []})] * 4)
    t.equal(answers[0].header("X-Naru-Fallback"), "by_hand")
    seen = record(naru, answers[0])
    t.equal(seen["attempts"], [])
    t.true(any("by hand" in n for n in seen["notes"]) and any("fallback" in n for n in seen["notes"]),
           str(seen["notes"]))
    t.equal(overrides(naru), {("fallback", "app", ""): "on"})
    audited(t, naru, "changeService", '{"fallback":"on"}')
    services["app"]["timeouts"] = {"connect": "3s"}
    reload(t, naru, services=services)
    t.equal(naru.request().json(), {"orders": []})
    change(naru, "/v1/services/app", {"fallback": "off"})
    t.equal(naru.request().body, b"real")
    up["status"] = 503
    answer = naru.request()
    t.equal((answer.status, answer.header("X-Naru-Fallback")), (503, None))
    change(naru, "/v1/services/app", {"fallback": "auto"})
    t.equal(naru.request().json(), {"orders": []})
    change(naru, "/v1/services/app", {"fallback": "on"})
    fallback = services["app"].pop("fallback")
    reload(t, naru, services=services)
    t.equal((naru.request().status, overrides(naru)), (503, {}))
    services["app"]["fallback"] = fallback
    reload(t, naru, services=services)
    t.equal(overrides(naru), {})


@test("a service is refused what it has not, with what was meant")
def _(t):
    naru = t.naru(services=app(t))
    refusals(t, naru, "/v1/services/app", (
        ({"bulkhead": {"concurrent": 0}}, 400, "bad_request", "a whole number from 1 to 1000000, or null"),
        ({"bulkhead": {"concurent": 5}}, 400, "bad_request", "unknown field 'concurent', did you mean 'concurrent'?"),
        ({"bulkhead": 5}, 400, "bad_request", "field 'bulkhead' must be an object"),
        ({"fallback": "of"}, 400, "bad_request", "must be one of auto, on, off"),
        ({"fallback": "on"}, 422, "no_fallback", "give it a section 'fallback'"),
        ({"fallback": "on", "bulkhead": {"concurrent": 9}}, 422, "no_fallback", "has no fallback")))
    refusals(t, naru, "/v1/services/orders", (({}, 404, "unknown_service", "'orders'"),))


# ---- all at once

@test("everything is turned back and forth while requests run on all workers: none is lost")
def _(t):
    services = app(t, breaker={}, bulkhead={"concurrent": 50}, fallback={"json": {"stands": "in"}})
    naru = t.naru(workers=4, services=services, limits={"u": "1000000/s"}, gateway={
        "shedding": {"capacity": 1000}, "routes": [route(limits=["u"])]})
    turns = (("/v1/limits/u", {"rate": "1/h"}, {"rate": None}),
             ("/v1/limits/u", {"observe_only": True}, {"observe_only": None}),
             (CIRCUITS, {"force": "open"}, {"force": "auto"}),
             ("/v1/routes//*", {"enabled": False}, {"enabled": None}),
             ("/v1/routes//*", {"faults": [{"abort": 418, "percent": "50%"},
                                           {"abort": 418, "at": "request", "percent": "50%"},
                                           {"delay": "1ms", "header": "X-A: b"}]}, {"faults": None}),
             ("/v1/shedding", {"level": 2}, {"level": None}),
             ("/v1/services/app", {"bulkhead": {"concurrent": 1}}, {"bulkhead": {"concurrent": None}}),
             ("/v1/services/app", {"fallback": "on"}, {"fallback": "auto"}))
    over, seen, errors, answers = threading.Event(), set(), [], itertools.count()

    def ask():
        try:
            with naru.connect() as stream:
                while not over.is_set():
                    stream.send(wire.request_bytes("GET", "/", [("Host", "a"), ("X-A", "b")]))
                    seen.add(stream.read_response("GET").status)
                    next(answers)
        except Exception as error:      # the test says which
            errors.append(error)

    def a_few_more():
        begun = next(answers)
        t.eventually(lambda: errors or next(answers) > begun + 40, "requests go on")
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(6):
        for target, there, back in turns:
            t.equal(change(naru, target, there).status, 200)
            a_few_more()
            naru.metrics()
            t.equal(change(naru, target, back).status, 200)
    over.set()
    for thread in threads:
        thread.join()
    t.equal((errors, overrides(naru)), ([], {}))
    t.equal(naru.request().status, 200)
    t.true(seen <= {200, 418, 429, 503} and len(seen) > 1, str(seen))


if __name__ == "__main__":
    main()
