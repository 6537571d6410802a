/* SPDX-License-Identifier: Apache-2.0 */
/* reason.h - why a request was answered as it was, as stable words.
 *
 * A reason is part of the contract: it appears in problem+json, the access log, metrics and the
 * decision record, and the reference page lists each with what to do. Names are never
 * changed, only added. A message that breaks HTTP has the codec's reason names (nr_h1_reason_text)
 * under NR_REASON_BAD_REQUEST. */
#ifndef NR_BASE_REASON_H
#define NR_BASE_REASON_H

#include <stdbool.h>
#include <stdint.h>

#include "naru/span.h"

enum nr_reason {
    NR_REASON_NONE,               /* an upstream's or a handler's own answer */
    NR_REASON_BAD_REQUEST,        /* 4xx/5xx: see the codec's reason beside it */
    NR_REASON_NO_ROUTE,           /* 404 */
    NR_REASON_METHOD_NOT_ALLOWED, /* 405: the path has routes, none for this method */
    NR_REASON_HEADER_TIMEOUT,     /* 408 */
    NR_REASON_BODY_TIMEOUT,       /* 408 */
    NR_REASON_BODY_TOO_LARGE,     /* 413 */
    NR_REASON_NO_INSTANCE,        /* 503: the service has none */
    NR_REASON_NO_HEALTHY,         /* 503: none is healthy */
    NR_REASON_OVERLOADED,         /* 503: the safety net of concurrent calls is full */
    NR_REASON_CONNECT_REFUSED,    /* 502 */
    NR_REASON_CONNECT_FAILED,     /* 502 */
    NR_REASON_CONNECT_TIMEOUT,    /* 504 */
    NR_REASON_UPSTREAM_CLOSED,    /* 502: before a complete answer head */
    NR_REASON_UPSTREAM_RESET,     /* 502 */
    NR_REASON_UPSTREAM_PROTOCOL,  /* 502: it sent what is not HTTP */
    NR_REASON_UPSTREAM_TRUNCATED, /* after the head: the answer broke off; the client's connection
                                     is broken too */
    NR_REASON_ATTEMPT_TIMEOUT,    /* 504: the last attempt had its time */
    NR_REASON_DEADLINE,           /* 504: the request had its time */
    NR_REASON_CLIENT_CLOSED,      /* 499 in records: the client left */
    NR_REASON_CLIENT_SLOW,        /* 499: the client took no bytes */
    NR_REASON_LOOP,               /* 508: our own Via is in the request */
    NR_REASON_DRAINING,           /* 503 */
    NR_REASON_INTERNAL,           /* 500 */
    NR_REASON_BAD_REWRITE,        /* 400: what the route makes of the request is no valid URI */
    NR_REASON_PROXY_HEADER,       /* 400: a TCP connection's PROXY header */
    NR_REASON_IDLE,               /* 408: a TCP connection without a byte either way */
    NR_REASON_POOL_EXHAUSTED,     /* 503: all connections that the pool may have are in use */
    NR_REASON_RATE_LIMITED,       /* 429: a rate limit is used up */
    NR_REASON_LIMIT_KEY_MISSING,  /* 400: the request lacks what a limit counts by */
    NR_REASON_CIRCUIT_OPEN,       /* 503: the circuit breaker lets nothing through */
    NR_REASON_SHED,               /* 503: too much to do, and others matter more */
    NR_REASON_FEATURE_OFF,        /* 503: the route is switched off */
    NR_REASON_FAULT_ABORT,        /* the fault's status: on purpose */
    NR_REASON_FAULT_RESET,        /* 502 in records: no answer, on purpose */
    NR_REASON_BULKHEAD_FULL,      /* 503: no permit is free, and the queue is full */
    NR_REASON_QUEUE_TIMEOUT,      /* 503: waited for a permit for as long as is allowed */
    NR_REASON_QUEUE_SHED,         /* 503: the queue does not get shorter; the oldest are cut off */
    NR_REASON_UPSTREAM_ERROR,     /* 502: all answers were errors, and there is a fallback */
    NR_REASON_TOO_MANY_CONNECTIONS, /* 429: a TCP connection of a client that has too many */
    NR_REASONS
};

/* "no_route" */
const char *nr_reason_name(enum nr_reason reason);

/* The status naru answers with (499 for those that get no answer; 0 for NONE). */
uint16_t nr_reason_status(enum nr_reason reason);

/* One sentence for `detail`. */
const char *nr_reason_detail(enum nr_reason reason);

/* What an operator does about it, in a sentence or two (reason_advice.c). */
const char *nr_reason_advice(enum nr_reason reason);

/* By name; false: there is none, and *ret_reason stays. */
bool nr_reason_of(struct nr_span name, enum nr_reason *ret_reason);

#endif
