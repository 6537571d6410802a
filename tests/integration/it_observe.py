# SPDX-License-Identifier: Apache-2.0
"""What naru tells of requests and of itself: the access log's members, what it leaves out, metrics."""

import signal

import upstream
from harness import main, test

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def line_of(t, naru, target, fields=(), status=200, **more):
    """The access log's line of one request."""
    answer = naru.request("GET", target, fields=fields, **more)
    t.equal(answer.status, status)
    ident = answer.header("X-Request-Id")
    return t.eventually(lambda: [x for x in naru.access_log() if x.get("request_id") == ident], "a line")[0]


@test("a line has the members that a log store expects, for an answer and for a failure")
def _(t):
    up = t.upstream(upstream.fixed(200, b"ok\n"))
    naru = t.naru(services={"app": {"instances": [up.address]}}, observe={"access_log": {"user": "X-User-Id"}})
    line = line_of(t, naru, "/a", [("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01"), ("User-Agent", "curl/8"),
                                   ("X-User-Id", "u-17")])
    t.equal({k: line[k] for k in ("level", "service", "message", "trace_id", "user_id", "method", "path", "status",
                                  "ip", "user_agent")},
            {"level": "info", "service": "naru", "message": "answered", "trace_id": TRACE, "user_id": "u-17",
             "method": "GET", "path": "/a", "status": 200, "ip": "127.0.0.1", "user_agent": "curl/8"})
    t.true(line["duration_ms"] > 0 and line["timestamp"].endswith("Z"), "when, and for how long")
    t.true("error" not in line and "reason" not in line, "nothing went wrong")
    up.stop()
    line = line_of(t, naru, "/b", status=502)
    t.equal((line["level"], line["reason"]), ("error", "connect_refused"))
    t.equal(line["error"], f"{up.address}: connect_refused")
    t.true("trace_id" not in line and "user_id" not in line, "nobody said so")


@test("secrets in the query are not written, nowhere")
def _(t):
    up = t.upstream(upstream.fixed(200, b"ok\n"))
    services = {"app": {"instances": [up.address]}}
    target = "/a?id=7&access_token=TOPSECRET&Signature=TOPSECRET"
    silent = line_of(t, t.naru(services=services), target)
    t.true("query" not in silent and silent["path"] == "/a", "no query unless it is asked for")
    naru = t.naru(services=services, observe={"access_log": {"query": True}})
    line = line_of(t, naru, target)
    t.equal((line["path"], line["query"]), ("/a", "id=7&access_token=***&Signature=***"))
    t.true("TOPSECRET" not in naru.admin("/v1/requests").body.decode(), "records have no query at all")
    t.true(any("TOPSECRET" in r.target for r in up.requests), "the service gets it as it was")
    naru.stop()
    t.true("TOPSECRET" not in naru.stderr(), "nor does the program's log have it")


@test("what is redacted and sampled changes with a reload; failures always have a line")
def _(t):
    up = t.upstream(upstream.fixed(200, b"ok\n"))
    services = {"app": {"instances": [up.address]}}
    naru = t.naru(workers=2, services=services)
    line_of(t, naru, "/a?session=1&token=2")
    naru.write_config(workers=2, sections={"services": services, "observe": {"access_log": {
        "sample": "0%", "query": True, "redact": ["session"], "slow": "none"}}})
    naru.signal(signal.SIGHUP)
    t.eventually(lambda: "configuration applied" in naru.stderr(), "it is applied")
    t.true("restart" not in naru.stderr(), "without a restart")
    before = len(naru.access_log())
    for _ in range(50):
        t.equal(naru.request("GET", "/quiet").status, 200)
    up.stop()
    line = line_of(t, naru, "/loud?session=1&token=2", status=502)
    t.equal(line["query"], "session=***&token=2")
    t.equal(len(naru.access_log()), before + 1)
    t.equal(naru.metrics()['naru_requests_total{route="/*",method="GET",class="2xx"}'], 51)


if __name__ == "__main__":
    main()
