# SPDX-License-Identifier: Apache-2.0
"""Routes over real sockets: what they match, what they change, and naru explain."""

import json

import upstream
from harness import main, run_naru, test


def gateway(t, *routes, **more):
    """naru with these routes before one service that echoes, and the service."""
    up = t.upstream(upstream.echo())
    naru = t.naru(services={"app": {"instances": [up.address]}},
                  gateway={"routes": [dict(route) for route in routes], **more})
    return naru, up


@test("a path is rewritten with its parameters, the query with it")
def _(t):
    naru, up = gateway(t, {"match": "/users/{id}/*", "service": "app",
                           "rewrite": "/v2/{id}?rest={*}",
                           "request": {"query": {"rename": {"q": "search"}, "remove": ["debug"],
                                                 "set": {"from": "naru & {host}"}}}})
    naru.request("GET", "/users/7/a/b?q=1&debug=2&keep=%20")
    t.equal(up.requests[0].target,
            "/v2/7?rest=a/b&search=1&keep=%20&from=naru%20%26%20naru.test")


@test("fields are removed, set and added on both ways")
def _(t):
    naru, up = gateway(t, {"match": "/u/{id}", "service": "app",
                           "request": {"headers": {"remove": ["X-Secret"],
                                                   "set": {"X-User": "{id}", "X-Ip": "{client_ip}",
                                                           "X-None": "{header:Nothing}"},
                                                   "add": {"X-Multi": "b"}}},
                           "response": {"headers": {"set": {"X-Route": "{route}"}}}})
    answer = naru.request("GET", "/u/7", {"X-Secret": "1", "X-Multi": "a", "X-None": "x"})
    seen = up.requests[0]
    t.equal(seen.header("X-Secret"), None)
    t.equal(seen.header("X-User"), "7")
    t.equal(seen.header("X-Ip"), "127.0.0.1")
    t.equal(seen.header("X-None"), None)
    t.equal([value for name, value in seen.fields if name == "X-Multi"], ["a", "b"])
    t.equal(answer.header("X-Route"), "/u/{id}")


@test("no line break gets into a field")
def _(t):
    naru, up = gateway(t, {"match": "/*", "service": "app",
                           "request": {"headers": {"set": {"X-Q": "{query:q}"}}},
                           "response": {"headers": {"set": {"X-Q": "{query:q}"}}}})
    answer = naru.request("GET", "/?q=a%0D%0AX-Evil:%201")
    t.equal(answer.header("X-Evil"), None)
    t.equal(answer.header("X-Q"), None)
    t.equal(up.requests[0].header("X-Q"), None)
    t.equal(naru.request("GET", "/?q=a%20b").header("X-Q"), "a b")


@test("redirects keep the query, and never lead to another host by slashes")
def _(t):
    naru, _ = gateway(t, {"match": "/old/*", "redirect": {"to": "/{*}", "status": 301}},
                      {"match": "/s/*", "redirect": {"https": True, "keep_query": False}},
                      {"match": "/h", "redirect": {"host": "www.example.com", "status": 302}},
                      {"match": "/q", "redirect": {"to": "/r?u={header:X-U}"}})
    for target, fields, status, location in (
            ("/old/a?b=c", {}, 301, "/a?b=c"), ("/old//evil.example/x", {}, 301, "/evil.example/x"),
            ("/s/x?a=b", {}, 308, "https://naru.test/s/x"),
            ("/h?a", {}, 302, "http://www.example.com/h?a"),
            ("/q?z", {"X-U": "a&b=c/../d"}, 308, "/r?u=a%26b%3Dc%2F..%2Fd&z")):
        answer = naru.request("GET", target, fields)
        t.equal((answer.status, answer.header("Location")), (status, location), target)


@test("what a template makes is refused when it is no path")
def _(t):
    naru, up = gateway(t, {"match": "/*", "service": "app", "rewrite": "/x/{header:X-P}/y"})
    t.equal(naru.request("GET", "/", {"X-P": ".."}).json()["reason"], "bad_rewrite")
    t.equal(naru.request("GET", "/", {"X-P": "a/b"}).status, 400)
    t.equal(naru.request("GET", "/", {"X-P": "a b"}).status, 200)
    t.equal([request.target for request in up.requests], ["/x/a%20b/y"])


@test("direct answers, to HEAD without a body")
def _(t):
    naru, up = gateway(t, {"match": "/ping", "respond": {"status": 203, "body": "pong\n",
                                                         "headers": {"X-Method": "{method}"}}},
                       {"match": "/json", "respond": {"json": {"ok": True, "n": [1, 2]}}},
                       {"match": "/gone", "respond": {"status": 410}})
    answer = naru.request("GET", "/ping")
    t.equal((answer.status, answer.body, answer.header("X-Method")), (203, b"pong\n", "GET"))
    t.equal(naru.request("HEAD", "/ping").header("Content-Length"), "5")
    t.equal(naru.request("POST", "/json", {}, b"x" * 100_000).json(), {"ok": True, "n": [1, 2]})
    t.equal(naru.request("GET", "/gone").status, 410)
    t.equal(up.requests, [])


@test("weights share the requests, a cookie keeps its service")
def _(t):
    old, new = (t.upstream(upstream.fixed(200, name)) for name in (b"old", b"new"))
    naru = t.naru(services={"old": {"instances": [old.address]},
                            "new": {"instances": [new.address]}},
                  gateway={"routes": [
                      {"match": "/*", "services": [{"name": "old", "weight": 50},
                                                   {"name": "new", "weight": 50}],
                       "split": {"cookie": "user"}}]})
    chance = {naru.request("GET", "/").body for _ in range(60)}
    t.equal(chance, {b"old", b"new"})
    for user in range(20):
        seen = {naru.request("GET", "/", {"Cookie": f"user={user}"}).body for _ in range(3)}
        t.equal(len(seen), 1)


@test("versions by query and Accept; deprecated ones say so")
def _(t):
    naru, _ = gateway(t, {"match": {"path": "/o", "version": "1"}, "respond": {"body": "one"},
                          "deprecated": {"since": "2026-01-31", "sunset": "2026-12-31",
                                         "link": "https://example.com/v2"}},
                      {"match": {"path": "/o", "version": "2"}, "respond": {"body": "two"}},
                      api_version={"default": "1"})
    old = naru.request("GET", "/o")
    t.equal(old.body, b"one")
    t.equal(old.header("Deprecation"), "@1769817600")
    t.equal(old.header("Sunset"), "Thu, 31 Dec 2026 00:00:00 GMT")
    t.equal(old.header("Link"), '<https://example.com/v2>; rel="deprecation"')
    t.equal(old.header("Vary"), "Accept")
    for target, fields in (("/o?version=2", {}), ("/o", {"Accept": "application/vnd.x.v2+json"}),
                           ("/o", {"Accept": "application/json;version=2"})):
        answer = naru.request("GET", target, fields)
        t.equal((answer.body, answer.header("Deprecation")), (b"two", None))


@test("naru explain names the winner and why the others lost")
def _(t):
    path = t.path("naru.yaml", """
gateway:
  listen: ["127.0.0.1:1"]
  routes:
    - {name: beta, match: {path: "/u/{id}", headers: {X-Beta: "1"}}, respond: 200}
    - {name: user, match: "/u/{id}", respond: 200}
    - {name: post, match: {path: /p, methods: POST}, respond: 200}
""")
    text = run_naru("explain", "--route", "GET http://h/u/7", "-c", path)
    t.equal(text.returncode, 0)
    t.matches(text.stdout, r"route 'user' .*naru.yaml:6.*answered with 200")
    t.matches(text.stdout, r"'beta' \(line 5\): does not hold: header X-Beta is '1'")
    beta = json.loads(run_naru("explain", "--route", "GET http://h/u/7", "-H", "X-Beta: 1",
                               "-H", "Accept: */*", "--json", "-c", path).stdout)
    t.equal((beta["route"], beta["candidates"][1]["outcome"]), ("beta", "conditions"))
    none = run_naru("explain", "--route", "GET http://h/p", "-c", path)
    t.equal(none.returncode, 1)
    t.matches(none.stdout, "405, Allow: POST")
    t.equal(run_naru("explain", "--route", "nonsense", "-c", path).returncode, 2)


main()
