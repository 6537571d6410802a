# SPDX-License-Identifier: Apache-2.0
"""Payment is down for a whole minute, over real sockets: the first story of tests/sim/sim_stories.c.
A program of its own, because it mostly waits; the other stories are in it_stories.py."""

import collections
import time

import upstream
import wire
from harness import main, test
from load import Callers, Noise, keeps_its_promise, quantile


class Payment:
    """Two instances that are well, dead, silent or full of errors."""

    def __init__(self, t):
        self.how, self.asked = "well", collections.Counter()
        self.instances = [t.upstream(upstream.each(self._answer)) for _i in range(2)]

    def _answer(self, peer, request):
        self.asked[self.how] += 1
        if self.how == "silent":
            peer.sleep(30)
            return False
        peer.answer(503 if self.how == "failing" else 200, b"charged")

    def turn(self, how):
        for instance in self.instances:
            if how == "dead":
                instance.stop()
            elif self.how in ("dead", "silent"):
                instance.stop()     # those who still wait are let go
                instance.start()
        self.how = how


@test("payment is down for 60 s, in three ways: orders go on, charges are held, and flow again", timeout_s=240)
def _(t):
    payment = Payment(t)

    def order(peer, request):
        charge = wire.request(naru.port, "POST", "/charges", {"Idempotency-Key": "7"}, b"30 EUR")
        peer.answer(201 if charge.status in (200, 202) else 500, str(charge.status).encode())

    orders, catalog = t.upstream(upstream.each(order)), t.upstream(upstream.named("catalog"))
    naru = t.naru(
        workers=2,
        gateway={"deadline": "2s", "routes": [
            {"match": {"path": "/charges"}, "service": "payment"},
            {"match": {"path": "/orders"}, "service": "orders"},
            {"match": {"path": "/products/*"}, "service": "catalog"}]},
        services={
            "payment": {"instances": [up.address for up in payment.instances],
                        "timeouts": {"connect": "100ms", "attempt": "300ms"},
                        "breaker": {"open": "2s", "open_max": "4s"},
                        "bulkhead": {"concurrent": 30, "queue": 30, "wait": "50ms"},
                        "fallback": {"status": 202, "json": {"charge": "held"}}},
            "orders": {"instances": [orders.address]},
            "catalog": {"instances": [catalog.address]}})
    noise = Noise()
    browsing = Callers(t, naru, 20, target="/products/7")
    ordering = Callers(t, naru, 10, "POST", "/orders", body=b"a boat")
    time.sleep(3)
    t.equal(ordering.statuses().keys(), {201})
    t.equal({answer.body for answer in ordering.answers}, {b"200"}, "charged at once")
    for how in ("dead", "silent", "failing"):
        payment.turn(how)
        time.sleep(20)
        t.equal(ordering.answers[-1].body, b"202", f"{how}: held")
        t.true("closed" not in naru.circuits(), f"{how}: both circuits are open, or try again")
    payment.turn("well")
    back_s = time.monotonic()
    t.eventually(lambda: ordering.answers[-1].body == b"200" and naru.circuits() == ["closed"] * 2,
                 "charges flow again", within_s=30)
    flowing_s = time.monotonic() - back_s
    time.sleep(2)
    noise_ms = noise.end()
    browsing.end()
    ordering.end()

    # Nobody has noticed, and in time.
    t.equal((browsing.broken, ordering.broken), ([], []))
    t.equal((browsing.statuses().keys(), ordering.statuses().keys()), ({200}, {201}))
    t.true(len(browsing.answers) > 1000 and len(ordering.answers) > 500, "traffic over a minute")
    lines = t.eventually(lambda: (log := naru.access_log()) and len(log) >= len(browsing.answers) +
                         2 * len(ordering.answers) and log, "the log is complete")
    for who, path in (("who browses", "/products/7"), ("who orders", "/orders"), ("a charge", "/charges")):
        keeps_its_promise(t, [line for line in lines if line["path"] == path], noise_ms, who)
    # Twice the longest pause of a circuit, which is 4.4 s, and what it takes to make three probes.
    t.true(flowing_s < 10 + noise_ms / 1000, f"charges flow again after {flowing_s:.1f} s")

    # Because payment was left alone: the circuits refused, at once and without asking it. (Others
    # were the probes that failed, whose repeat was refused.)
    refused = [line for line in lines if line.get("reason") == "circuit_open" and line["attempts"] == 0]
    t.true(len(refused) > 300, f"{len(refused)} refused by circuits")
    t.true(quantile([line["duration_ms"] for line in refused], 0.5) < 1 + noise_ms, "in no time")
    t.true(payment.asked["failing"] < 100, f"{payment.asked} while some 200 were charged")
    t.true(naru.stderr().count("opened for") >= 2 and naru.stderr().count("closed") >= 2, "told in the log")
    t.true(naru.metrics()['naru_fallbacks_total{service="payment"}'] > 300, "counted")


if __name__ == "__main__":
    main()
