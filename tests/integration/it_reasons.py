# SPDX-License-Identifier: Apache-2.0
"""Every reason that naru can give is given: by the answer, by the record, and by `naru explain`, which
says what to do. Those that take more than one request are provoked by the tests that are named here."""

import os
import re
import socket
import threading
import time

import upstream
import wire
from harness import ROOT, free_port, main, run_naru, test

ELSEWHERE = {
    "overloaded": "call/queue: and_the_net_has_an_end",
    "queue_shed": "call/queue: overload",
    "shed": "integration/limits: under pressure the critical pass",
    "draining": "integration/cli, integration/proxy",
    "bad_rewrite": "integration/routes",
    "proxy_header": "integration/tcp",
    "idle": "integration/tcp",
    "too_many_connections": "integration/tcp",
    "internal": "no way to it is known",
}


def hang(peer):
    peer.next()
    peer.expect_close(60, allow_reset=True)


def full_backlog(t):
    """An address where connections hang: nobody accepts, and the queue is full."""
    listener = t.stack.enter_context(socket.socket())
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    for _i in range(4):
        client = t.stack.enter_context(socket.socket())
        client.setblocking(False)
        client.connect_ex(listener.getsockname())
    return "127.0.0.1:%d" % listener.getsockname()[1]


def start(t):
    """A service for each failure, called after it."""
    def up(behave):
        return t.upstream(behave).address

    hanging, nobody = up(hang), f"127.0.0.1:{free_port()}"
    services = {
        "connect_refused": {"instances": [nobody]},
        "connect_failed": {"instances": ["unix:" + t.path("no-folder", "") + "/socket"]},
        "connect_timeout": {"instances": [full_backlog(t)], "timeouts": {"connect": "150ms"}},
        "upstream_closed": {"instances": [up(upstream.close_after_request())]},
        "upstream_reset": {"instances": [up(upstream.reset_after_request())]},
        "upstream_protocol": {"instances": [up(upstream.garbage())]},
        "upstream_truncated": {"instances": [up(upstream.truncated(1000, 400))]},
        "upstream_error": {"instances": [up(upstream.fixed(503))], "fallback": {"status": 203, "json": {}}},
        "attempt_timeout": {"instances": [hanging], "timeouts": {"attempt": "150ms"}},
        "deadline": {"instances": [hanging]},
        "client_closed": {"instances": [hanging]},
        "client_slow": {"instances": [up(upstream.big(50 * 1024 * 1024))]},
        "no_instance": {"instances": {"file": t.path("nobody.yaml", "")}},
        "no_healthy": {"instances": [nobody], "health": {"tcp": True, "interval": "100ms", "timeout": "100ms", "fall": 1}},
        "circuit_open": {"instances": [nobody], "breaker": {"consecutive": 1}},
        "bulkhead_full": {"instances": [hanging], "bulkhead": {"concurrent": 1, "queue": 0}},
        "queue_timeout": {"instances": [hanging], "bulkhead": {"concurrent": 1, "queue": 1, "wait": "100ms"}},
        "pool_exhausted": {"instances": [hanging], "timeouts": {"connect": "100ms"},
                           "pool": {"max_connections": 1, "max_idle": 1}},
        "well": {"instances": [up(upstream.named("well"))]},
    }
    for service in services.values():
        service.setdefault("retry", {"attempts": 1})
    routes = [{"match": {"path": f"/{name}"}, "service": name} for name in services]
    routes += [{"match": {"path": "/method_not_allowed", "methods": ["PUT"]}, "service": "well"},
               {"match": {"path": "/rate_limited"}, "service": "well", "limits": [{"rate": "1/h"}]},
               {"match": {"path": "/limit_key_missing"}, "service": "well",
                "limits": [{"rate": "1/h", "key": "header:X-User", "missing": "deny"}]},
               {"match": {"path": "/feature_off"}, "service": "well", "enabled": False},
               {"match": {"path": "/fault_abort"}, "service": "well", "faults": [{"abort": 503}]},
               {"match": {"path": "/fault_reset"}, "service": "well", "faults": [{"at": "request", "reset": True}]}]
    port = free_port()
    naru = t.naru(gateway={"deadline": "1s", "routes": routes, "listen": [{
        "address": f"127.0.0.1:{port}", "limits": {"header_timeout": "500ms", "body_timeout": "500ms", "max_body": "1KiB"}}]},
        services=services)
    naru.port = port
    return naru


def provoke(t, naru):
    """Of those that need more than a request of their name."""
    def held(target):
        """One that hangs at the service takes the only place."""
        stream = t.connect(naru.port)
        stream.send(wire.request_bytes("GET", target))
        t.eventually(lambda: any(instance["in_flight"] for service in naru.admin("/v1/services").json()["services"]
                                 if service["name"] == target[1:] for instance in service["instances"]), target)

    def raw(data, then=None):
        with naru.connect() as stream:
            stream.send(data)
            return then(stream) if then else stream.read_response()

    raw(b"GET / HTTP/1.1\r\n\r\n")                                             # bad_request
    raw(b"GET / HTTP/1.1\r\nHost:")                                            # header_timeout
    raw(b"POST /well HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nfew")     # body_timeout
    raw(b"POST /well HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n")     # body_too_large
    naru.request("GET", "/well", [("Via", "1.1 naru")] * 20)                   # loop
    raw(wire.request_bytes("GET", "/client_closed"), lambda stream: time.sleep(0.2))
    with naru.connect(receive_buffer_bytes=4096) as stream:
        stream.send(wire.request_bytes("GET", "/client_slow"))
        stream.read_exact(1000)
        t.eventually(lambda: naru.metrics().get('naru_reasons_total{reason="client_slow"}'), "cut off")
    for reason in ("bulkhead_full", "queue_timeout", "pool_exhausted"):
        held(f"/{reason}")
    for name in ("rate_limited", "circuit_open"):
        naru.request("GET", f"/{name}")


@test("every reason has a way to it, its word in answer, record and metrics, and advice", timeout_s=120)
def _(t):
    with open(os.path.join(ROOT, "docs", "reference", "reasons.md"), encoding="utf-8") as file:
        reasons = re.findall(r"^\| `(\w+)` \| (\d+) \| [^|]+ \| [^|]+ \|$", file.read(), re.M)
    t.true(len(reasons) >= 35, reasons)
    naru = start(t)
    t.eventually(lambda: "checks fail" in naru.stderr() or naru.request("GET", "/no_healthy").status == 503, "down")
    provoke(t, naru)

    def go(reason):
        try:
            naru.request("GET", f"/{reason}")
        except (wire.WireError, OSError):
            pass    # some break the connection

    threads = [threading.Thread(target=go, args=(reason,)) for reason, _status in reasons
               if reason not in ELSEWHERE and not reason.startswith("client_")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    def records_of(reason):
        return naru.admin(f"/v1/requests?limit=1&reason={reason}").json()["requests"]

    for reason, status in reasons:
        if reason in ELSEWHERE:
            continue
        word = "missing_host" if reason == "bad_request" else reason
        record = t.eventually(lambda: records_of(word), f"a record of {word}")[0]
        if record["status"] != int(status):     # its answer had begun, or the fallback gave it
            t.true(reason in ("upstream_truncated", "client_slow", "upstream_error"), f"{reason}: {record['status']}")
        t.true(naru.metrics()[f'naru_reasons_total{{reason="{reason}"}}'] >= 1, reason)
        text = run_naru("explain", "-c", naru.config_path, record["request_id"]).stdout
        t.matches(text, rf"\[{word}\]\nWhat to do: \w.{{20}}")
        t.matches(text, r"Where the time went\n")


if __name__ == "__main__":
    main()
