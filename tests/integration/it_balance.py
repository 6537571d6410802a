#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Who gets which request, over real sockets: by key, by cookie, by tier, in panic."""

from collections import Counter

import upstream
from harness import main, test


def instances(t, count):
    return [t.upstream(upstream.named(chr(ord("a") + i))) for i in range(count)]


# Two failures, so that a machine that stalls for a moment does not decide a test.
FAST = {"path": "/", "interval": "200ms", "timeout": "200ms", "fall": 2, "rise": 1}


def service(ups, **more):
    """Upstreams, or mappings as in the configuration."""
    return {"app": {"instances": [up if isinstance(up, dict) else up.address for up in ups],
                    **more}}


def who(naru, fields=(), target="/"):
    answer = naru.request(target=target, fields=fields)
    assert answer.status == 200, answer.status
    return answer.body.decode().strip()


@test("a key goes to one instance, and keys spread over all")
def _(t):
    naru = t.naru(services=service(instances(t, 3),
                                   balance={"algorithm": "hash", "key": "header:X-User"}))
    home = {user: who(naru, [("X-User", user)]) for user in map(str, range(60))}
    t.equal(len(set(home.values())), 3)
    for user in home:
        t.equal(who(naru, [("x-user", user)]), home[user], f"user {user}")
    t.equal(len(Counter(who(naru) for _ in range(60))), 3, "without the key: anywhere")


@test("each kind of key: cookie, query, path")
def _(t):
    for key, fields, target in (("cookie:uid", lambda v: [("Cookie", f"x=1; uid={v}")], "/"),
                                ("query:uid", lambda v: (), "/?a=1&uid={}"),
                                ("path", lambda v: (), "/{}")):
        for table in "maglev", "ring":
            naru = t.naru(services=service(instances(t, 3), balance={
                "algorithm": "hash", "key": key, "table": table}))
            seen = set()
            for value in range(20):
                homes = {who(naru, fields(value), target.format(value)) for _ in range(3)}
                t.equal(len(homes), 1, f"{key} {value}")
                seen |= homes
            t.true(len(seen) > 1, f"{key}: the keys spread")


@test("ip_hash: one client, one instance; behind a trusted proxy by the client's address")
def _(t):
    ups = instances(t, 3)
    naru = t.naru(services=service(ups, balance="ip_hash"))
    t.equal(len({who(naru) for _ in range(20)}), 1)
    t.equal(len({who(naru, [("X-Forwarded-For", f"9.9.{i}.1")]) for i in range(20)}), 1,
            "a stranger's X-Forwarded-For is not believed")
    naru = t.naru(config_text="gateway:\n  listen: [{ address: '127.0.0.1:{port}', "
                  "trusted_proxies: [127.0.0.1] }]\n"
                  "  routes: [{ match: { path: '/*' }, service: app }]\n"
                  "admin: { listen: '127.0.0.1:{admin_port}' }\n"
                  "services: { app: { balance: ip_hash, instances: ["
                  + ", ".join(f"'{up.address}'" for up in ups) + "] } }\n")
    homes = {i: who(naru, [("X-Forwarded-For", f"6.6.6.6, 9.9.{i}.1")]) for i in range(30)}
    t.equal(len(set(homes.values())), 3)
    for i, home in homes.items():
        t.equal(who(naru, [("X-Forwarded-For", f"1.2.3.4, 9.9.{i}.77, 127.0.0.1")]), home,
                "the same /24, behind two proxies")


@test("an instance that dies takes only its own keys along")
def _(t):
    ups = instances(t, 3)
    naru = t.naru(services=service(
        ups, balance={"algorithm": "hash", "key": "header:X-User"},
        health=FAST))
    users = [str(i) for i in range(60)]
    before = {user: who(naru, [("X-User", user)]) for user in users}
    ups[1].stop()
    after = {user: who(naru, [("X-User", user)]) for user in users}
    for user in users:
        if before[user] != "b":
            t.equal(after[user], before[user], f"user {user}")
        else:
            t.true(after[user] != "b", "b is dead")


def cookie_of(answer):
    value = answer.header("Set-Cookie")
    return value.split(";")[0] if value else None


@test("a sticky cookie: set once, obeyed, opaque, and renewed when its instance dies")
def _(t):
    ups = instances(t, 3)
    naru = t.naru(services=service(
        ups, balance={"algorithm": "sticky", "cookie": {
            "name": "srv", "ttl": "1h", "secure": True, "same_site": "strict",
            "secret": "correct horse battery staple"}},
        health=FAST))
    first = naru.request()
    t.matches(first.header("Set-Cookie"), r"^srv=[0-9a-f]{16}; Path=/; Max-Age=3600; HttpOnly; "
              r"Secure; SameSite=Strict$")
    mine, home = cookie_of(first), first.body
    for _ in range(20):
        answer = naru.request(fields=[("Cookie", mine)])
        t.equal(answer.body, home)
        t.equal(answer.header("Set-Cookie"), None, "a good cookie is not set again")
    for forged in "srv=0000000000000001", "srv=x", "srv=" + mine[4:].upper()[:-1] + "g", "srv=":
        t.true(naru.request(fields=[("Cookie", forged)]).header("Set-Cookie") is not None, forged)
    cookies = {cookie_of(naru.request()) for _ in range(60)}
    t.equal(len(cookies), 3, "one value per instance")

    other = t.naru(services=service(ups, balance={"algorithm": "sticky", "cookie": {
        "name": "srv", "secret": "correct horse battery staple"}}))
    t.equal(other.request(fields=[("Cookie", mine)]).body, home, "a second gateway agrees")
    stranger = t.naru(services=service(ups, balance={"algorithm": "sticky", "cookie": "srv"}))
    t.true(stranger.request(fields=[("Cookie", mine)]).header("Set-Cookie") is not None,
           "with another key it means nothing")

    ups[home[0] - ord("a")].stop()
    moved = naru.request(fields=[("Cookie", mine)])
    t.equal(moved.status, 200)
    t.true(moved.body != home and cookie_of(moved) not in (None, mine), "moved, with a new cookie")
    for _ in range(10):
        t.equal(naru.request(fields=[("Cookie", cookie_of(moved))]).body, moved.body)


@test("the standby serves while the first is down, and gives back")
def _(t):
    active, standby = instances(t, 2)
    naru = t.naru(services=service(
        [{"address": active.address}, {"address": standby.address, "priority": 1}], health=FAST))
    t.equal(Counter(who(naru) for _ in range(20)), Counter(a=20))
    address = active.address
    active.stop()
    t.equal(who(naru), "b", "at once: the retry goes to the standby")
    t.eventually(lambda: "down" in naru.stderr(), "the check sees it")
    t.equal(Counter(who(naru) for _ in range(20)), Counter(b=20))
    t.upstream(upstream.named("c"), port=int(address.rpartition(":")[2]))
    t.eventually(lambda: who(naru) == "c", "the first is back")
    t.equal(Counter(who(naru) for _ in range(20)), Counter(c=20))


@test("in panic all are used, and the record says so")
def _(t):
    ups = instances(t, 3)
    # Their checks fail (no such answer as 204), yet they serve.
    checks = dict(FAST, expect=[204])
    panic = t.naru(services=service(ups, health=checks, balance={"panic": "50%"}))
    calm = t.naru(services=service(ups, health=checks))
    t.eventually(lambda: calm.request().status == 503, "without panic nobody is healthy")
    t.eventually(lambda: panic.stderr().count("down") >= 3, "all are down")
    t.equal(len(Counter(who(panic) for _ in range(60))), 3)
    request_id = panic.request().header("X-Request-Id")
    t.true("panic" in str(panic.record(request_id)), "recorded")


@test("our own zone first, the other when it is gone")
def _(t):
    here, there = instances(t, 2)
    naru = t.naru(services=service([{"address": here.address, "zone": "a"},
                                    {"address": there.address, "zone": "b"}],
                                   balance={"zone": "a"}, health=FAST))
    t.equal(Counter(who(naru) for _ in range(20)), Counter(a=20))
    here.stop()
    t.equal(Counter(who(naru) for _ in range(20)), Counter(b=20))


if __name__ == "__main__":
    main()
