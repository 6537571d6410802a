/* SPDX-License-Identifier: Apache-2.0 */
/* record.h - the decision record: one per request, fixed size, no pointers.
 *
 * Access log, metrics, traces and `naru explain` are all made from it, so they never
 * disagree. Names are interned: the ids are those of the configuration's tables (route, service),
 * and of the service's roster (instance). A ring per worker keeps the latest; failures have a ring
 * of their own, so that success does not wash them away. Written by the worker, read by others
 * through a copy under a sequence check (nr_record_ring_read). */
#ifndef NR_BASE_RECORD_H
#define NR_BASE_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "naru/span.h"

enum {
    NR_RECORD_ATTEMPTS = 4,
    NR_RECORD_HOPS = 2,
    NR_RECORD_PATH_BYTES = 64,
    NR_ID_NONE = 0xffffffff
};

enum nr_attempt_result {
    NR_ATTEMPT_NONE,
    NR_ATTEMPT_ANSWERED, /* a complete head came; its status says how good it was */
    NR_ATTEMPT_CONNECT_REFUSED,
    NR_ATTEMPT_CONNECT_FAILED,
    NR_ATTEMPT_CONNECT_TIMEOUT,
    NR_ATTEMPT_CLOSED,
    NR_ATTEMPT_RESET,
    NR_ATTEMPT_PROTOCOL,
    NR_ATTEMPT_TIMEOUT,
    NR_ATTEMPT_CANCELED,
    NR_ATTEMPT_POOL_EXHAUSTED, /* no connection came free */
    NR_ATTEMPT_CONNECTED,      /* of a TCP stream: what came of it is for its users to say */
};

struct nr_record_attempt {
    uint32_t instance; /* who it was, within the service: an id of its roster (roster.h) */
    uint32_t start_us; /* since the record's start */
    uint32_t took_us;  /* to the head or the failure */
    uint16_t status;
    uint8_t result;     /* enum nr_attempt_result */
    uint8_t reused : 1; /* over a pooled connection */
    uint8_t late : 1;   /* a fault on purpose held it back */
    uint8_t fault : 2;  /* enum nr_attempt_fault: it came about without the instance */
    uint8_t hop : 2;    /* 0: the record's service; n: fallbacks[n - 1], which stood in for it */
};

enum nr_attempt_fault { NR_ATTEMPT_NO_FAULT, NR_ATTEMPT_ABORTED, NR_ATTEMPT_BROKEN };

enum nr_record_flag {
    NR_RECORD_TUNNEL = 1,
    NR_RECORD_RETRY_UNSAFE = 2,        /* not retried: method not idempotent and maybe processed */
    NR_RECORD_RETRY_NO_BODY = 4,       /* not retried: the body was no longer replayable */
    NR_RECORD_RETRY_OVERLOADED = 4096, /* not retried: the service said that it is overloaded */
    NR_RECORD_RETRY_BUDGET = 8192,     /* not retried: the service's retry budget is used up */
    NR_RECORD_RETRY_NO_TIME = 8,       /* not retried: no time left */
    NR_RECORD_RETRY_COMMITTED = 16,    /* not retried: the answer had begun */
    NR_RECORD_RETRY_SPENT = 32,        /* not retried: attempts used up */
    NR_RECORD_PATH_CUT = 64,
    NR_RECORD_FIELD_DROPPED = 128, /* a transform's value could not stand in a field */
    NR_RECORD_PANIC = 256,         /* too few instances were healthy: health was ignored */
    NR_RECORD_STANDBY = 512,       /* instances of a lower priority took part */
    NR_RECORD_TCP = 1024,          /* a connection passed on as bytes: no method, path or status */
    NR_RECORD_CHARGED = 16384,     /* beyond a limit that charges for more */
    /* From here on beyond 16 bits: policies that have decided something about the call. */
    NR_RECORD_RETRY_AFTER = 1 << 16,   /* waited for as long as the service's Retry-After said */
    NR_RECORD_PROBE = 1 << 17,         /* an attempt was a probe of a half-open breaker */
    NR_RECORD_FALLBACK = 1 << 18,      /* answered by the service's fallback */
    NR_RECORD_STALE = 1 << 22,         /* a pooled connection had gone stale, and was replaced */
    NR_RECORD_WOULD_OPEN = 1 << 19,    /* observe only: the breaker would have refused */
    NR_RECORD_WOULD_QUEUE = 1 << 20,   /* observe only: no permit of the bulkhead was free */
    NR_RECORD_WOULD_EJECT = 1 << 21,   /* observe only: sent to an instance that would be ejected */
    NR_RECORD_WOULD_LIMIT = 1 << 23,   /* observe only: a rate limit would have refused it */
    NR_RECORD_WOULD_SHED = 1 << 24,    /* observe only: it would have been shed */
    NR_RECORD_FAULT_DELAY = 1 << 25,   /* held on purpose */
    NR_RECORD_FAULT_SLOW = 1 << 26,    /* answered slowly on purpose */
    NR_RECORD_FAULT_ATTEMPT = 1 << 27, /* attempts failed or were late on purpose: see there */
    NR_RECORD_STOOD_IN = 1 << 28,      /* with FALLBACK: the answer of another service */
    NR_RECORD_NO_STAND_IN = 1 << 29,   /* the fallback's service was not asked: see RETRY_… */
    NR_RECORD_BY_HAND = 1 << 30,       /* what an operator had set by hand decided */
};

struct nr_record {
    uint64_t id[2];          /* the request id, 128 bits */
    uint64_t wall_ns;        /* start, since the epoch */
    uint64_t start_ns;       /* start, monotonic */
    uint64_t received_bytes; /* request body */
    uint64_t sent_bytes;     /* response body */
    uint32_t total_us;
    uint32_t head_us;     /* the ledger: receiving the request's head */
    uint32_t queue_us;    /* waiting for a permit or an instance */
    uint32_t backoff_us;  /* waiting before repeats */
    uint32_t upstream_us; /* from the first attempt's start to the answer's head */
    uint32_t deadline_ms; /* what the request was given */
    uint32_t route;
    uint32_t service;
    uint32_t listener;
    uint16_t status;
    uint16_t reason; /* enum nr_reason */
    uint8_t refusal; /* enum nr_h1_reason, for NR_REASON_BAD_REQUEST */
    uint8_t method;  /* enum nr_method */
    uint8_t version;
    uint8_t attempt_count; /* may exceed NR_RECORD_ATTEMPTS: the last slot is then the latest */
    uint32_t flags;        /* enum nr_record_flag */
    uint8_t path_len;
    uint8_t client_family;
    uint16_t limit;      /* 1 + the id of the tightest rate limit; 0: it was under none */
    uint32_t limit_left; /* … and what was left of it behind this request */
    uint8_t client_ip[16];
    uint32_t fallbacks[NR_RECORD_HOPS]; /* 1 + the id of the service that stood in; 0: none */
    struct nr_record_attempt attempts[NR_RECORD_ATTEMPTS];
    char path[NR_RECORD_PATH_BYTES]; /* canonical, without query */
};

_Static_assert(sizeof(struct nr_record) == 256, "four cache lines");

/* Whose instance an attempt was made on. */
static inline uint32_t nr_record_service_of(const struct nr_record *record,
                                            const struct nr_record_attempt *attempt)
{
    return attempt->hop == 0 || attempt->hop > NR_RECORD_HOPS
               ? record->service
               : record->fallbacks[attempt->hop - 1] - 1;
}

/* What only lives as long as the request, for those who format it now (the access log). */
struct nr_head;
struct nr_record_view {
    const struct nr_head *head; /* of the request, for whatever else it says; NULL: none was read */
    struct nr_span method;
    struct nr_span path; /* whole */
    struct nr_span host;
    struct nr_span user_agent;
    struct nr_span request_id; /* as text: the client's own if it sent a valid one, else the hex of
                                  record.id */
};

/* The id for a request id that came as text: its value if it is 32 hexadecimal digits, else a hash.
 */
void nr_record_id_of(struct nr_span text, uint64_t ret_id[2]);

/* Who wants finished records; called on the worker, once per request, before its memory goes. */
struct nr_record_sink {
    void (*done)(struct nr_record_sink *sink, const struct nr_record *record,
                 const struct nr_record_view *view);
    /* From now on records may carry ids of the latest configuration; may be NULL. */
    void (*renamed)(struct nr_record_sink *sink);
};

/* A ring of the latest records of one worker. One writer, any readers. */
struct nr_record_ring;

struct nr_record_ring *nr_record_ring_new(uint32_t capacity);
void nr_record_ring_free(struct nr_record_ring *ring);
void nr_record_ring_put(struct nr_record_ring *ring, const struct nr_record *record);

/* Copy the record with this id; false when it is no longer there. Any thread. */
bool nr_record_ring_find(const struct nr_record_ring *ring, const uint64_t id[2],
                         struct nr_record *ret_record);

/* Copy up to `max` latest, newest first; returns how many. Any thread. */
uint32_t nr_record_ring_latest(const struct nr_record_ring *ring, struct nr_record *to,
                               uint32_t max);

#endif
