# SPDX-License-Identifier: Apache-2.0
"""What happens to calls when a service fails: the stories over real sockets."""

import signal
import threading
import time

import upstream
from harness import main, run_naru, test


def app(*ups, **more):
    return {"app": {"instances": [up.address for up in ups], **more}}


def record(naru, answer):
    return naru.record(answer.header("X-Request-Id"))


def reload(t, naru, services):
    applied = naru.stderr().count("configuration applied")
    naru.write_config(sections={"services": services})
    naru.signal(signal.SIGHUP)
    t.eventually(lambda: naru.stderr().count("configuration applied") > applied, naru.stderr())


@test("a 503 is made good on another instance, and the client never sees it")
def _(t):
    bad = t.upstream(upstream.fixed(503, b"not now"))
    good = t.upstream(upstream.echo())
    naru = t.naru(services=app(bad, good, balance="round_robin"))
    for _i in range(4):
        answer = naru.request("PUT", "/", body=b"again" * 1000)
        t.equal((answer.status, answer.body), (200, b"again" * 1000))
    t.true(bad.requests, "the bad one was tried at all")
    t.true(naru.policies()["retries"]["made"] >= 1, "and that is counted")


@test("when all fail, the last answer is passed on as it is, and says that repeating is no use")
def _(t):
    up = t.upstream(upstream.fixed(503, b"closed for today"))
    naru = t.naru(services=app(up, retry={"attempts": 3}))
    answer = naru.request("GET", "/")
    t.equal((answer.status, answer.body), (503, b"closed for today"))
    t.equal(answer.header("X-Naru-Retry"), "no")
    t.equal(len(up.requests), 3)
    seen = record(naru, answer)
    t.equal([a["status"] for a in seen["attempts"]], [503, 503, 503])
    t.true(seen["ledger"]["backoff_ms"] > 0, "the ledger has the pauses")


@test("a circuit opens, refuses without asking, probes and closes")
def _(t):
    state = {"status": 500}
    up = t.upstream(upstream.each(lambda peer, request: peer.answer(state["status"], b"x")))
    naru = t.naru(workers=2, services=app(
        up, retry={"attempts": 1},
        breaker={"open": "1s", "jitter": "0%", "open_factor": 1, "probes": 2}))
    for _i in range(5):
        t.equal(naru.request("GET", "/").status, 500)
    refused = naru.request("GET", "/")
    t.equal((refused.status, refused.json()["reason"]), (503, "circuit_open"))
    t.equal(refused.header("Retry-After"), "1")
    t.equal(len(up.requests), 5)
    t.equal(record(naru, refused)["attempts"], [], "nobody was asked")
    naru.circuits_become(t, ["open"], "it opens")
    state["status"] = 200
    t.eventually(lambda: naru.request("GET", "/").status == 200, "probes pass")
    t.eventually(lambda: naru.request("GET", "/").status == 200 and
                 naru.circuits() == ["closed"], "it closes")
    t.eventually(lambda: "circuit of instance" in naru.stderr(), "the log tells")


@test("one dead instance of three never opens the circuit of all")
def _(t):
    bad = t.upstream(upstream.fixed(500, b"broken"))
    good = [t.upstream(upstream.named(f"good-{i}")) for i in range(2)]
    naru = t.naru(services=app(bad, *good, balance="round_robin", retry={"attempts": 1}, breaker={}))
    answers = [naru.request("GET", "/").status for _i in range(60)]
    t.equal(answers.count(500), 5)
    t.equal(answers.count(200), 55)


@test("a slow service is entered by so many at once, the next wait, the others are refused", timeout_s=120)
def _(t):
    gate = threading.Event()

    def hold(peer, request):
        gate.wait(30)
        peer.answer(200, b"done")

    up = t.upstream(upstream.each(hold))
    quick = t.upstream(upstream.named("quick"))
    naru = t.naru(workers=2,
                  gateway={"routes": [{"match": {"path": "/slow"}, "service": "app"},
                                      {"match": {"path": "/quick"}, "service": "quick"}]},
                  services={"app": {"instances": [up.address], "retry": {"attempts": 1},
                                    "bulkhead": {"concurrent": 2, "queue": 2, "wait": "20s"}},
                            "quick": {"instances": [quick.address]}})
    answers = []

    def ask():
        answers.append(naru.request("GET", "/slow", wait_s=40))

    callers = [threading.Thread(target=ask) for _i in range(4)]
    for caller in callers:
        caller.start()
    t.eventually(lambda: naru.policies()["bulkhead"]["queued"] == 2, "two are inside, two wait")
    t.equal(naru.policies()["bulkhead"]["in_flight"], 2)
    full = naru.request("GET", "/slow")
    t.equal((full.status, full.json()["reason"]), (503, "bulkhead_full"))
    t.equal(naru.request("GET", "/quick").status, 200, "nobody else is touched")
    gate.set()
    for caller in callers:
        caller.join(30)
    t.equal([a.status for a in answers], [200] * 4)
    t.eventually(lambda: naru.policies()["bulkhead"]["in_flight"] == 0, "all permits are back")


@test("permits cross workers under load, and none is lost", timeout_s=120)
def _(t):
    up = t.upstream(upstream.slow(0.002, 200, b"ok"))
    naru = t.naru(workers=2, services=app(
        up, retry={"attempts": 1},
        bulkhead={"concurrent": 3, "queue": 1000, "wait": "30s", "target": "0s"}))
    wrong = []

    def ask():
        for _i in range(10):
            answer = naru.request("GET", "/", wait_s=40)
            if answer.status != 200:
                wrong.append(answer.status)

    callers = [threading.Thread(target=ask) for _i in range(16)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    t.equal(wrong, [])
    t.eventually(lambda: naru.policies()["bulkhead"]["in_flight"] == 0, "all permits are back")


@test("payment is down: orders are answered by the fallback, and by the service when it is back")
def _(t):
    state = {"status": 503}
    up = t.upstream(upstream.each(lambda peer, request: peer.answer(state["status"], b"paid")))
    naru = t.naru(services=app(up, breaker={"open": "300ms", "jitter": "0%", "open_factor": 1},
                               fallback={"status": 200, "json": {"orders": [], "degraded": True}}))
    reasons = set()
    for _i in range(12):
        answer = naru.request("GET", "/")
        t.equal((answer.status, answer.json()), (200, {"orders": [], "degraded": True}))
        t.equal(answer.header("Content-Type"), "application/json")
        reasons.add(answer.header("X-Naru-Fallback"))
    t.equal(reasons, {"upstream_error", "circuit_open"})
    t.true(len(up.requests) < 12, "the service is left alone")
    t.equal(record(naru, answer)["reason"], "circuit_open")
    state["status"] = 200
    t.eventually(lambda: naru.request("GET", "/").body == b"paid", "the service again")


@test("an exercise: faults open the circuit, the fallback's service answers, a reload takes them out and it closes")
def _(t):
    up = t.upstream(upstream.named("orders"))
    spare = t.upstream(upstream.named("archive"))

    def services(*faults):
        return {"app": {"instances": [up.address], "retry": {"attempts": 2}, "faults": list(faults),
                        "breaker": {"open": "300ms", "open_max": "300ms", "jitter": "0%"},
                        "timeouts": {"attempt": "1s"}, "fallback": {"service": "spare"}},
                "spare": {"instances": [spare.address]}}

    naru = t.naru(services=services({"abort": 503, "header": "X-Chaos"}))
    t.equal(naru.request("GET", "/").body, b"orders\n", "only those that ask for it")
    reload(t, naru, services({"abort": 503}))
    reasons = []
    for _i in range(12):
        answer = naru.request("PUT", "/", body=b"x" * 5000)
        t.equal((answer.status, answer.body), (200, b"archive\n"))
        reasons.append(answer.header("X-Naru-Fallback"))
    t.equal(sorted(set(reasons)), ["circuit_open", "upstream_error"])
    t.equal(len(up.requests), 1, "nobody was asked")
    t.equal(naru.policies()["circuits"][0]["state"], "open")
    seen = record(naru, answer)
    t.equal((seen["reason"], seen["service"]), ("circuit_open", "app"))
    t.equal(seen["stand_ins"], {"services": ["spare"], "answered": True})
    t.equal([(a["service"], a["instance"]) for a in seen["attempts"]], [("spare", spare.address)])
    story = run_naru("explain", "-c", naru.config_path, answer.header("X-Request-Id")).stdout
    t.true("Service 'spare' answered 200 in place of 'app'" in story, story)
    metrics = naru.metrics()
    t.equal(metrics['naru_fallbacks_total{service="app"}'], 12)
    t.true(metrics['naru_faults_total{kind="abort"}'] == 4, "with the first answer five, and it opens")
    reload(t, naru, services())
    t.eventually(lambda: naru.request("GET", "/").body == b"orders\n", "probes find it well")
    t.eventually(lambda: naru.request("GET", "/").body == b"orders\n" and
                 naru.policies()["circuits"][0]["state"] == "closed", "it closes")


@test("retries heal a tenth of aborts, and late answers open the circuit by their slowness")
def _(t):
    up = t.upstream(upstream.named("orders"))
    naru = t.naru(
        gateway={"routes": [
            {"match": {"path": "/abort"}, "service": "app",
             "faults": [{"abort": 503, "percent": "10%"}]},
            {"match": {"path": "/late"}, "service": "late", "faults": [{"delay": "60ms"}]}]},
        services={"app": {"instances": [up.address],
                          "retry": {"attempts": 3, "backoff": {"base": "1ms"},
                                    "budget": {"ratio": "100%", "min": "100/s"}}},
                  "late": {"instances": [up.address], "breaker": {"slow": "50ms"}}})
    answers = [naru.request("GET", "/abort").status for _i in range(200)]
    t.true(answers.count(200) >= 195, str(answers))
    t.true(naru.metrics()['naru_retries_total{service="app"}'] >= 5, "and that was work")
    for _i in range(5):
        t.equal(naru.request("GET", "/late").status, 200)
    refused = naru.request("GET", "/late")
    t.equal((refused.status, refused.json()["reason"]), (503, "circuit_open"))


if __name__ == "__main__":
    main()
