# SPDX-License-Identifier: Apache-2.0
"""What naru promises of a bad day, over real sockets: the stories of tests/sim/sim_stories.c. The
one that takes a minute is in it_outage.py."""

import collections
import time

import upstream
import wire
from harness import main, test
from load import Callers, Noise, at_once, quantile


# ---- a slow service

@test("a slow service touches nobody else: its bulkhead fills, the others' times and errors stay", timeout_s=120)
def _(t):
    state = {"pause_s": 0.0}

    def slow(peer, request):
        peer.sleep(state["pause_s"])
        peer.answer(200, b"ok")

    ideas, orders = t.upstream(upstream.each(slow)), t.upstream(upstream.named("orders"))
    naru = t.naru(workers=2, gateway={"routes": [{"match": {"path": "/ideas"}, "service": "ideas"},
                                                 {"match": {"path": "/orders"}, "service": "orders"}]},
                  services={"ideas": {"instances": [ideas.address], "retry": {"attempts": 1},
                                      "bulkhead": {"concurrent": 4, "queue": 4, "wait": "100ms"}},
                            "orders": {"instances": [orders.address]}})
    ordering = Callers(t, naru, 40, target="/orders")
    asking = Callers(t, naru, 40, target="/ideas", threads=24)

    def tell(seconds):
        """Times of the orders, and reasons of the ideas, in this while."""
        noise, before = Noise(), len(naru.access_log())
        time.sleep(seconds)
        lines, noise_ms = naru.access_log()[before:], noise.end()
        return ([line["duration_ms"] for line in lines if line["path"] == "/orders"],
                collections.Counter(line.get("reason", "none") for line in lines if line["path"] == "/ideas"),
                noise_ms)

    calm_ms, reasons, calm_noise_ms = tell(4)
    t.true(reasons["none"] >= 0.8 * sum(reasons.values()), f"a calm day, as far as the machine allows: {reasons}")
    state["pause_s"] = 0.8
    storm_ms, reasons, noise_ms = tell(6)
    t.true(sum(reasons[one] for one in ("bulkhead_full", "queue_timeout", "queue_shed")) > 50, reasons)
    state["pause_s"] = 0.0
    t.eventually(lambda: naru.policies()["bulkhead"]["queued"] == 0 and
                 naru.request(target="/ideas").status == 200, "it is quick again")
    t.equal((ordering.end() and ordering.statuses().keys(), ordering.broken), ({200}, []))
    asking.end()
    t.true(quantile(storm_ms, 0.99) <= quantile(calm_ms, 0.99) + 50 + noise_ms + calm_noise_ms,
           f"p99 of orders: {quantile(calm_ms, 0.99)} ms, then {quantile(storm_ms, 0.99)} ms")
    t.eventually(lambda: naru.policies()["bulkhead"]["in_flight"] == 0, "all permits are back")


# ---- retries

@test("1,000 clients retrying: the failing service gets at most 1.2 times what naru is asked", timeout_s=120)
def _(t):
    up = t.upstream(upstream.fixed(503, b"down"))
    naru = t.naru(workers=2, services={"app": {"instances": [up.address], "retry": {
        "attempts": 3, "backoff": "5ms", "budget": {"ratio": "20%", "min": "1/s"}}}})

    def client(stubborn):
        """Three tries, unless it is told that there is no use."""
        for tries in range(1, 4):
            answer = naru.request("GET", "/", wait_s=30)
            assert answer.status == 503, answer
            if answer.header("X-Naru-Retry") == "no" and not stubborn:
                break
        return tries

    for stubborn, want in ((True, 3000), (False, 1000)):
        before, began_s = len(up.requests), time.monotonic()
        asked = sum(at_once(20, lambda i: sum(client(stubborn) for _i in range(50))))
        arrived, took_s = len(up.requests) - before, time.monotonic() - began_s
        t.equal(asked, want)
        # What was earned in the ten seconds before may be spent, too: see policy/retry_budget.c.
        earned = 0 if stubborn else 0.2 * 3000
        t.true(asked < arrived <= 1.2 * asked + earned + took_s + 2, f"{arrived} arrived of {asked}")
    t.true(naru.metrics()['naru_retries_unpaid_total{service="app"}'] > 1000, "the budget was spent")


# ---- one breaker

@test("a breaker opens at 50 % of 10 calls, refuses without asking, probes with 3, and closes")
def _(t):
    state = {"status": 200}
    up = t.upstream(upstream.each(lambda peer, request: peer.answer(state["status"], b"x")))
    naru = t.naru(services={"app": {"instances": [up.address], "retry": {"attempts": 1}, "breaker": {
        "window": 10, "minimum": 10, "failure_rate": "50%", "probes": 3, "open": "1s", "jitter": "0%",
        "open_factor": 1}}})

    def ask(count):
        return [naru.request("GET", "/").status for _i in range(count)]

    t.equal(ask(5), [200] * 5)
    state["status"] = 500
    t.equal(ask(4), [500] * 4)
    naru.circuits_become(t, ["closed"], "4 of 9 have failed")
    t.equal(ask(1), [500], "the tenth is an answer, too")
    naru.circuits_become(t, ["open"], "5 of 10 have failed")
    refused = [naru.request("GET", "/") for _i in range(5)]
    t.equal({(answer.status, answer.json()["reason"]) for answer in refused}, {(503, "circuit_open")})
    record = naru.record(refused[-1].header("X-Request-Id"))
    t.equal((record["attempt_count"], record["attempts"], record["ledger"]["upstream_ms"]), (0, [], 0))
    t.equal(len(up.requests), 10, "the service has seen none of it")
    state["status"] = 200
    t.eventually(lambda: ask(1) == [200], "the first probe")
    t.equal(ask(1), [200], "the second")
    naru.circuits_become(t, ["half_open"], "two of three")
    t.equal(ask(1), [200], "the third")
    naru.circuits_become(t, ["closed"], "which closes it")
    t.equal(len(up.requests), 13)


@test("one dead instance of three never opens the circuit of all, and nobody notices")
def _(t):
    ups = [t.upstream(upstream.named(f"app-{i}")) for i in range(3)]
    naru = t.naru(workers=2, services={"app": {"instances": [up.address for up in ups],
                                               "balance": "round_robin", "breaker": {"open": "60s"}}})
    t.equal({naru.request("POST", "/", body=b"x").body for _i in range(9)}, {b"app-0\n", b"app-1\n", b"app-2\n"})
    ups[1].stop()
    for _i in range(60):
        t.equal(naru.request("POST", "/", body=b"x").status, 200)
    naru.circuits_become(t, ["closed", "open", "closed"], "one of three")
    t.equal([line for line in naru.access_log() if line.get("reason")], [])


# ---- clients leave

@test("a client that leaves takes everything along: the attempt, its place in the queue, its back-off")
def _(t):
    def never(peer):
        peer.next()
        peer.expect_close(60, allow_reset=True)

    up, down = t.upstream(never), t.upstream(upstream.fixed(503))
    naru = t.naru(workers=2, gateway={"deadline": "60s", "routes": [
        {"match": {"path": "/hang"}, "service": "hangs"}, {"match": {"path": "/fail"}, "service": "fails"}]},
        services={"hangs": {"instances": [up.address], "retry": {"attempts": 1},
                            "bulkhead": {"concurrent": 6, "queue": 6, "wait": "60s"}},
                  "fails": {"instances": [down.address],
                            "retry": {"attempts": 2, "backoff": {"base": "30s", "max": "30s",
                                                                  "jitter": "additive"}}}})
    clients = [naru.connect() for _i in range(15)]
    for i, client in enumerate(clients):
        client.send(wire.request_bytes("GET", "/hang" if i < 12 else "/fail"))
    bulkhead = t.eventually(lambda: (b := naru.policies()["bulkhead"])["queued"] == 6 and b, "six wait")
    t.equal(bulkhead["in_flight"], 6)
    t.eventually(lambda: up.connections_open == 6 and len(down.requests) == 3, "six hang, three back off")
    for i, client in enumerate(clients):
        (client.close, client.reset, client.half_close)[i % 3]()
    t.eventually(lambda: up.connections_open == 0, "the service sees that nobody waits any more")
    lines = t.eventually(lambda: len(naru.access_log()) == 15 and naru.access_log(), "fifteen records")
    t.equal({(line["status"], line["reason"]) for line in lines}, {(499, "client_closed")})
    t.equal([naru.policies(i)["bulkhead"][what] for i in range(2) for what in ("in_flight", "queued")], [0] * 4)
    metrics = naru.metrics()
    t.equal([metrics[f'naru_pool_connections{{service="{s}",state="busy"}}'] for s in ("hangs", "fails")], [0, 0])
    t.equal(len(down.requests), 3, "nobody repeats for nobody")
    for client in clients:
        client.close()


# ---- deadlines

@test("nothing runs past its deadline and 10 ms: not an attempt, not a wait, not a back-off", timeout_s=120)
def _(t):
    pauses_s = [0, 0.05, 0.15, 0.3, 0.45, 2]

    def answer(peer, request):
        number = int(request.target.rpartition("/")[2])
        peer.sleep(pauses_s[number % len(pauses_s)])
        peer.answer(503 if number % 4 == 3 else 200, b"ok")

    ups = [t.upstream(upstream.each(answer)) for _i in range(3)]
    naru = t.naru(workers=2, gateway={"deadline": "500ms"}, services={"app": {
        "instances": [up.address for up in ups], "timeouts": {"attempt": "200ms"},
        "bulkhead": {"concurrent": 8, "queue": 16, "wait": "1s", "target": "0s"},
        "retry": {"attempts": 3, "on": ["connect", "reset", "timeout", 503], "budget": {"ratio": 1}}}})
    noise = Noise()
    answers = at_once(12, lambda i: [naru.request("GET", f"/{i * 12 + j}") for j in range(12)])
    noise_ms = noise.end()
    answers = [answer for some in answers for answer in some]
    t.true({200, 504} <= {answer.status for answer in answers}, "some are served, some meet it")
    for answer in answers:
        record = naru.record(answer.header("X-Request-Id"))
        last_ms = max([record["ledger"]["total_ms"]] +
                      [attempt["start_ms"] + attempt["took_ms"] for attempt in record["attempts"]])
        t.true(last_ms <= 510 + noise_ms, f"{last_ms} ms ({noise_ms:.0f} ms late): {record}")


if __name__ == "__main__":
    main()
