/* SPDX-License-Identifier: Apache-2.0 */
/* reason_advice.c - what to do about each reason: for the reference page and `naru explain`. */
#include "base/assert.h"
#include "base/compiler.h"
#include "base/reason.h"

static const char *const advice[NR_REASONS] = {
    [NR_REASON_NONE] = "Ask the service: its log has the same request id.",
    [NR_REASON_BAD_REQUEST] = "The client, or something in front of naru, sends what is not "
                              "HTTP/1.1; the reason in the record names the clause that it broke.",
    [NR_REASON_NO_ROUTE] = "Ask `naru explain --route 'GET http://HOST/PATH'` which routes come "
                           "near; add one, or correct the client's host or path.",
    [NR_REASON_METHOD_NOT_ALLOWED] =
        "Add the method to the route's match, or correct the client; Allow in the answer lists "
        "what there is.",
    [NR_REASON_HEADER_TIMEOUT] =
        "A slow or hostile client; raise the listener's limits.header_timeout only if honest ones "
        "are that slow.",
    [NR_REASON_BODY_TIMEOUT] = "The upload stalled or was slower than limits.min_rate; raise "
                               "limits.body_timeout for clients on bad networks.",
    [NR_REASON_BODY_TOO_LARGE] = "Raise the listener's limits.max_body if such uploads are wanted.",
    [NR_REASON_NO_INSTANCE] = "Look at where the instances come from: DNS answers nothing or the "
                              "file is empty. /v1/services shows what naru knows.",
    [NR_REASON_NO_HEALTHY] = "All instances fail their health checks: look at the service itself, "
                             "then at health.path. balance.panic would use them all the same.",
    [NR_REASON_OVERLOADED] = "More calls are in progress than the safety net holds: the service is "
                             "slow or too small. Look at its latency first, then add instances.",
    [NR_REASON_POOL_EXHAUSTED] =
        "All pool.max_connections to the instance are in use: is it slow (naru_pool_waiting, its "
        "latency)? Else raise pool.max_connections if it bears more, or add instances.",
    [NR_REASON_RATE_LIMITED] =
        "The limit named in the answer works as configured; raise its rate (docs/limits.md) or "
        "give this client a tier, if such traffic is wanted.",
    [NR_REASON_LIMIT_KEY_MISSING] =
        "The client must send what the limit's key names, or the limit must not say missing: deny.",
    [NR_REASON_SHED] =
        "Look at naru_shed_level and its readings: is the service slow (then more is in flight), "
        "the traffic too much, or gateway.shedding.capacity too low? Routes that must stay up get "
        "priority: critical.",
    [NR_REASON_FEATURE_OFF] = "The route says enabled: false; set it to true and reload.",
    [NR_REASON_FAULT_ABORT] =
        "An exercise: `faults` of the route or the service say so. Remove them when it is over.",
    [NR_REASON_FAULT_RESET] =
        "An exercise: the route's faults say so. Remove them when it is over.",
    [NR_REASON_CONNECT_REFUSED] = "Nothing listens at the instance's address: is it running, on "
                                  "this port? Health checks keep requests away from it meanwhile.",
    [NR_REASON_CONNECT_FAILED] = "Look at routes and firewalls between naru and the instance, and "
                                 "at naru's open files (process_open_fds).",
    [NR_REASON_CONNECT_TIMEOUT] = "Packets are dropped on the way, or the instance's backlog is "
                                  "full: look at firewall and instance.",
    [NR_REASON_UPSTREAM_CLOSED] = "The instance crashed, restarted, or closes idle connections "
                                  "early: keep pool.idle_timeout below its keep-alive limit.",
    [NR_REASON_UPSTREAM_RESET] =
        "The instance or something before it broke the connection: look for a crash or a restart "
        "at this time in its log.",
    [NR_REASON_UPSTREAM_PROTOCOL] = "Ask the instance directly with curl -v; is it the right port, "
                                    "does it speak TLS?",
    [NR_REASON_UPSTREAM_TRUNCATED] = "The instance died or gave up in the middle of its answer: "
                                     "look into its log at this time.",
    [NR_REASON_ATTEMPT_TIMEOUT] = "The service is slower than timeouts.attempt: find out what it "
                                  "waits for; raise the limit only if the deadline has room.",
    [NR_REASON_DEADLINE] = "The ledger of `naru explain` shows where the time went; make that part "
                           "faster, or raise the route's deadline if callers wait that long.",
    [NR_REASON_CLIENT_CLOSED] = "Clients give up before naru does: declare callers.timeout and run "
                                "`naru check`; a single one is a closed browser tab.",
    [NR_REASON_CLIENT_SLOW] = "The client's network stalled; raise limits.body_timeout only if "
                              "honest clients are that slow.",
    [NR_REASON_LOOP] = "A service or DNS name leads back to this gateway: correct the instance's "
                       "address.",
    [NR_REASON_DRAINING] = "The balancer in front must stop sending when /ready fails; repeat the "
                           "request elsewhere.",
    [NR_REASON_INTERNAL] = "A fault of naru: please report it with this record and the log.",
    [NR_REASON_BAD_REWRITE] = "Correct the route's template, or narrow its match so that such "
                              "requests do not get there.",
    [NR_REASON_PROXY_HEADER] = "Who connects must send a PROXY header and be in trusted_proxies; "
                               "or set proxy_protocol: off.",
    [NR_REASON_TOO_MANY_CONNECTIONS] =
        "One address holds limits.max_client_connections: an attack, a client that leaks, or many "
        "behind "
        "one address (raise it, or name the proxy in trusted_proxies).",
    [NR_REASON_BULKHEAD_FULL] = "The service is slower than its load: find out why (latency in "
                                "`/metrics`), add instances, or raise bulkhead.concurrent if it "
                                "bears more.",
    [NR_REASON_QUEUE_TIMEOUT] = "All permits were in use for longer than bulkhead.wait: as "
                                "bulkhead_full.",
    [NR_REASON_QUEUE_SHED] = "The wait was above bulkhead.target for a whole interval: as "
                             "bulkhead_full; waiting longer would not help.",
    [NR_REASON_UPSTREAM_ERROR] =
        "The service answers with errors, and its fallback hides them from "
        "clients: look into its log at this time.",
    [NR_REASON_CIRCUIT_OPEN] =
        "Calls to the service failed or were slow: `/v1/services` shows which "
        "circuit and until when, the log why it opened; repair the service, "
        "the circuit closes by itself.",
    [NR_REASON_IDLE] = "Raise tcp.idle_timeout, or let client or service send keep-alives.",
};

const char *nr_reason_advice(enum nr_reason reason)
{
    nr_assert((unsigned)reason < NR_REASONS);
    return advice[reason] != NULL ? advice[reason] : "";
}

bool nr_reason_of(struct nr_span name, enum nr_reason *ret_reason)
{
    for (int i = 0; i < NR_REASONS; i++)
        if (nr_span_eq(name, nr_span_of(nr_reason_name((enum nr_reason)i)))) {
            *ret_reason = (enum nr_reason)i;
            return true;
        }
    return false;
}
