/* SPDX-License-Identifier: Apache-2.0 */
#include "base/reason.h"

#include "base/assert.h"
#include "base/compiler.h"

struct reason_row {
    const char *name;
    uint16_t status;
    const char *detail;
};

/* 499 is nginx's word for "the client left": no answer is sent, but a record needs a status. */
static const struct reason_row rows[] = {
    [NR_REASON_NONE] = {"none", 0, "The answer is the service's own."},
    [NR_REASON_BAD_REQUEST] = {"bad_request", 400, "The request is not valid HTTP."},
    [NR_REASON_NO_ROUTE] = {"no_route", 404, "No route matches this host and path."},
    [NR_REASON_METHOD_NOT_ALLOWED] = {"method_not_allowed", 405,
                                      "This path has routes, but none for this method."},
    [NR_REASON_HEADER_TIMEOUT] = {"header_timeout", 408,
                                  "The request's head did not arrive in time."},
    [NR_REASON_BODY_TIMEOUT] = {"body_timeout", 408, "The request's body did not arrive in time."},
    [NR_REASON_BODY_TOO_LARGE] = {"body_too_large", 413,
                                  "The request's body is larger than is allowed here."},
    [NR_REASON_NO_INSTANCE] = {"no_instance", 503, "The service has no instances."},
    [NR_REASON_NO_HEALTHY] = {"no_healthy", 503, "No instance of the service is healthy."},
    [NR_REASON_OVERLOADED] = {"overloaded", 503, "The service has too many calls in progress."},
    [NR_REASON_CONNECT_REFUSED] = {"connect_refused", 502,
                                   "The service's instance refused the connection."},
    [NR_REASON_CONNECT_FAILED] = {"connect_failed", 502,
                                  "No connection to the service's instance came about."},
    [NR_REASON_CONNECT_TIMEOUT] = {"connect_timeout", 504,
                                   "Connecting to the service's instance took too long."},
    [NR_REASON_UPSTREAM_CLOSED] = {"upstream_closed", 502,
                                   "The service closed the connection before it answered."},
    [NR_REASON_UPSTREAM_RESET] = {"upstream_reset", 502,
                                  "The connection to the service broke before it answered."},
    [NR_REASON_UPSTREAM_PROTOCOL] = {"upstream_protocol", 502,
                                     "The service's answer is not valid HTTP."},
    [NR_REASON_UPSTREAM_TRUNCATED] = {"upstream_truncated", 502, "The service's answer broke off."},
    [NR_REASON_ATTEMPT_TIMEOUT] = {"attempt_timeout", 504,
                                   "The service did not answer within the time of one attempt."},
    [NR_REASON_DEADLINE] = {"deadline", 504, "The request's deadline passed."},
    [NR_REASON_CLIENT_CLOSED] = {"client_closed", 499, "The client left before it was answered."},
    [NR_REASON_CLIENT_SLOW] = {"client_slow", 499, "The client took no bytes for too long."},
    [NR_REASON_LOOP] = {"loop", 508, "The request has passed through this gateway before."},
    [NR_REASON_DRAINING] = {"draining", 503, "This gateway is shutting down."},
    [NR_REASON_INTERNAL] = {"internal", 500, "An error inside the gateway."},
    [NR_REASON_BAD_REWRITE] = {"bad_rewrite", 400,
                               "With what the request holds, its route's template makes no valid "
                               "path, host or URL."},
    [NR_REASON_PROXY_HEADER] = {"proxy_header", 400,
                                "The PROXY header is missing, malformed or not to be trusted."},
    [NR_REASON_TOO_MANY_CONNECTIONS] = {"too_many_connections", 429,
                                        "The client's address has too many connections."},
    [NR_REASON_RATE_LIMITED] = {"rate_limited", 429, "A rate limit is used up."},
    [NR_REASON_LIMIT_KEY_MISSING] = {"limit_key_missing", 400,
                                     "The request lacks what one of its limits counts by."},
    [NR_REASON_SHED] = {"shed", 503,
                        "There is more to do than can be done, and other requests matter more."},
    [NR_REASON_FEATURE_OFF] = {"feature_off", 503, "This feature is switched off at the moment."},
    [NR_REASON_FAULT_ABORT] = {"fault_abort", 503, "A fault was put in on purpose."},
    [NR_REASON_FAULT_RESET] = {"fault_reset", 502, "The connection was broken on purpose."},
    [NR_REASON_IDLE] = {"idle", 408, "The connection carried no byte either way for too long."},
    [NR_REASON_POOL_EXHAUSTED] =
        {"pool_exhausted", 503,
         "All connections that may be open to the service's instance were in "
         "use, and none came free in time."},
    [NR_REASON_CIRCUIT_OPEN] = {"circuit_open", 503,
                                "The service has failed too often and is not called for a while."},
    [NR_REASON_BULKHEAD_FULL] = {"bulkhead_full", 503,
                                 "As many calls to the service as are allowed are under way or "
                                 "waiting."},
    [NR_REASON_QUEUE_TIMEOUT] = {"queue_timeout", 503,
                                 "No call to the service came free while this one was waiting."},
    [NR_REASON_QUEUE_SHED] = {"queue_shed", 503,
                              "The queue before the service does not get shorter, and those who "
                              "wait longest are refused."},
    [NR_REASON_UPSTREAM_ERROR] = {"upstream_error", 502,
                                  "Every attempt was answered with an error."},
};

_Static_assert(NR_COUNT(rows) == NR_REASONS, "every reason has its row");

static const struct reason_row *row_of(enum nr_reason reason)
{
    nr_assert((unsigned)reason < NR_REASONS);
    return &rows[reason];
}

const char *nr_reason_name(enum nr_reason reason)
{
    return row_of(reason)->name;
}

uint16_t nr_reason_status(enum nr_reason reason)
{
    return row_of(reason)->status;
}

const char *nr_reason_detail(enum nr_reason reason)
{
    return row_of(reason)->detail;
}
