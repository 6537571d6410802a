# SPDX-License-Identifier: Apache-2.0
"""What naru tells of requests and of itself: the access log's members, what it leaves out, metrics."""

import os
import signal
import time

import upstream
import wire
from harness import free_port, main, test

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
    name = 'naru_requests_total{route="/*",method="GET",class="2xx"}'
    t.eventually(lambda: naru.metrics()[name] == 51, "all are counted")


def families(t, text, open_metrics):
    """{name: {labels: value}} as the reference parser of the format reads it."""
    try:
        from prometheus_client.openmetrics import parser as strict
        from prometheus_client import parser as plain
    except ImportError:
        t.skip("python3-prometheus-client is not installed")
    parse = strict if open_metrics else plain
    values = {}
    for family in parse.text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(sorted(sample.labels.items()))
            rows = values.setdefault(sample.name, {})
            t.true(labels not in rows, f"{sample.name}{labels} comes once")
            rows[labels] = sample.value
    return values


@test("metrics are OpenMetrics by its reference parser, with everything switched on")
def _(t):
    up = t.upstream(upstream.fixed(200, b"ok\n"))
    http, tcp = free_port(), free_port()
    services = {
        "app": {"instances": [up.address, "127.0.0.1:1"], "health": {"tcp": True}, "breaker": {}, "bulkhead": {},
                "eject": {}, "retry": {"attempts": 2}},
        "raw": {"instances": [up.address]},
        "found": {"instances": {"file": t.path("found.yaml", f"- {up.address}\n")}}}
    naru = t.naru(workers=2, services=services, limits={"few": "3/min"}, gateway={
        "listen": [f"127.0.0.1:{http}", {"address": f"127.0.0.1:{tcp}", "tcp": "raw"}],
        "shedding": {"capacity": 1000},
        "routes": [
            {"match": "/*", "service": "app", "faults": [{"abort": 503, "percent": "0%"}]},
            {"name": 'a "quoted\\ name', "match": "/q", "service": "found", "limits": ["few"]}]})
    for path in ("/", "/q", "/q", "/q", "/q", "/none%2f"):
        wire.request(http, "GET", path)
    wire.request(tcp, "GET", "/")
    t.eventually(lambda: any("naru_tcp_connections_total" in name for name in naru.metrics()), "all is counted")
    for accept, is_open in (("application/openmetrics-text;version=1.0.0", True), ("text/plain", False)):
        answer = naru.admin("/metrics", fields=[("Accept", accept)])
        t.true(accept.split(";")[0] in answer.header("Content-Type"), "the dialect that was asked for")
        values = families(t, answer.body.decode(), is_open)
        t.equal(values["naru_requests_total"][(("class", "4xx"), ("method", "GET"), ("route", 'a "quoted\\ name'))], 1)
        t.true(any(dict(k).get("service") == "found" for k in values["naru_upstream_attempts_total"]), "found ones, too")


@test("rate, errors and duration of a service count requests, not attempts")
def _(t):
    up = t.upstream(upstream.fixed(200, b"ok\n"))
    naru = t.naru(services={"app": {"instances": ["127.0.0.1:1", up.address], "balance": "round_robin",
                                    "retry": {"attempts": 2}}})
    for _ in range(10):
        t.equal(naru.request("GET", "/").status, 200)
    up.stop()
    t.equal(naru.request("GET", "/").status, 502)
    name = 'naru_service_requests_total{service="app",class="5xx"}'
    values = t.eventually(lambda: (m := naru.metrics()).get(name) == 1 and m, "the failure is counted")
    t.equal(values['naru_service_requests_total{service="app",class="2xx"}'], 10)
    t.equal(values['naru_service_request_duration_seconds_count{service="app"}'], 11)
    t.true(values["naru_upstream_retries_total"] >= 2, "there were repeats")


@test("utilisation and saturation of the machine, the process and each worker")
def _(t):
    up = t.upstream(upstream.fixed(200, b"ok\n"))
    naru = t.naru(workers=2, services={"app": {"instances": [up.address]}})
    first = naru.metrics()
    for worker in "01":
        t.true(f'naru_worker_cpu_seconds_total{{worker="{worker}"}}' in first, "each worker's CPU time")
    for name in ("naru_machine_cpus", "naru_machine_memory_bytes", "naru_machine_memory_available_bytes",
                 'naru_machine_cpu_seconds_total{mode="idle"}', "process_resident_memory_bytes", "process_open_fds"):
        t.true(first[name] > 0, name)
    t.true(first["naru_machine_memory_available_bytes"] < first["naru_machine_memory_bytes"], "less than all")
    for _ in range(300):
        naru.request("GET", "/")
    def looks():
        now = naru.metrics()
        return all(now.get(f'naru_loop_lag_seconds_count{{worker="{w}"}}', 0) >= 3 for w in "01") and now
    later = t.eventually(looks, "the loops look at themselves")
    busy = sum(later[f'naru_worker_cpu_seconds_total{{worker="{w}"}}'] -
               first[f'naru_worker_cpu_seconds_total{{worker="{w}"}}'] for w in "01")
    t.true(0 < busy <= later["process_cpu_seconds_total"], "the workers have worked, and no more than the process")


@test("a loop that is held is late, and its lag says so")
def _(t):
    up = t.upstream(upstream.fixed(200, b"ok\n"))
    naru = t.naru(services={"app": {"instances": [up.address]}})
    name = 'naru_loop_lag_seconds_bucket{worker="0",le="%s"}'
    t.eventually(lambda: naru.metrics().get(name % "+Inf", 0) >= 1, "it looks at itself")
    os.kill(naru.pid, signal.SIGSTOP)  # as if somebody else had all the CPU
    time.sleep(1)
    os.kill(naru.pid, signal.SIGCONT)
    t.eventually(lambda: (m := naru.metrics())[name % "+Inf"] > m[name % "0.25"], "one look was a quarter of a second late")


if __name__ == "__main__":
    main()
