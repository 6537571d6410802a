/* SPDX-License-Identifier: Apache-2.0 */
/* call.h - one outbound call under the chain of policies, with its record.
 *
 * A call is itself an exchange (calling side): whoever asks speaks the same verbs and gets the same
 * events as from a single connection, while the call picks instances, bounds each attempt, and
 * repeats an attempt that failed before the answer began, on another instance, when the request is
 * idempotent or certainly unprocessed, its body is still at hand and time is left. `call` does not
 * know who asks.
 *
 * The service is told how much time it has (`X-Request-Deadline: <milliseconds left>`, and a
 * `grpc-timeout` that came, when there is a deadline; it replaces what the request carried) and,
 * from the second attempt on, that it may have seen this request before (`X-Request-Attempt: 2`).
 * A pooled connection that proves stale (closed before any byte of an answer came back) is no
 * attempt: if the request is idempotent or certainly unprocessed, and its body at hand, it goes out
 * again at once on a fresh connection to the same instance, once per attempt (NR_RECORD_STALE). The
 * deadline bounds everything, the answer's body included, but a tunnel: after a 101 only silence
 * ends it.
 *
 * `end` carries what the last attempt's exchange ended with; NR_END_RESET when the owner or the
 * deadline took it away, NR_END_UNPROCESSED when there was no attempt. Why is in nr_call_reason. A
 * failure of an attempt costs the instance its good name (nr_service_report), but for a pooled
 * connection that had gone stale and a client that left.
 *
 * Faults on purpose strike attempts behind breaker and balancer, as if the chosen instance behaved
 * so (fault.c): the policies see no difference, and the record tells it.
 *
 * A service whose fallback is another service is stood in for by it when it has no answer
 * (stand_in.c): with a chain, attempts and circuits of its own, within the same deadline.
 *
 * Events reach the owner only from the attempt that is answered: 1xx heads are passed on as they
 * come, and the first final head commits the call. */
#ifndef NR_CALL_CALL_H
#define NR_CALL_CALL_H

#include "base/reason.h"
#include "base/record.h"
#include "http/exchange.h"
#include "policy/deadline.h"
#include "service/fault_conf.h"
#include "service/service.h"

/* Bytes of request bodies kept for replay on one engine, all calls together. */
struct nr_call_budget {
    uint64_t replay_bytes_max;
    uint64_t replay_bytes;
};

/* A fault on purpose, and on which service it strikes; NULL: on the one that the call was opened
 * for, but on none that stands in. */
struct nr_call_fault {
    const struct nr_fault_conf *conf;
    const struct nr_service *service;
    bool by_hand; /* an operator's, not the configuration's */
};

/* The faults that may strike a call's attempts. Each attempt draws anew for each of them. */
struct nr_call_faults {
    struct nr_call_fault *items;
    uint32_t count;
    uint64_t *struck; /* per enum nr_fault_kind; cells of the engine's thread */
    /* A new attempt: its answer is to be passed on no faster than this; NULL: as it comes. */
    void (*slow)(struct nr_call_faults *faults, const struct nr_rate *bandwidth);
};

/* Another service that is asked in place of one that has no answer. */
struct nr_call_next {
    struct nr_service_pools *pools;
    uint64_t key; /* this and the next ones as in nr_call_conf, for that service */
    bool has_key;
    bool no_fallback;
    uint8_t hop;
};

struct nr_call_conf {
    struct nr_service_pools *pools;
    struct nr_head *head;   /* the request to send; the call may set deadline and attempt fields in
                               it. Lives as long as the call */
    struct nr_arena *arena; /* for response heads */
    struct nr_deadline deadline;
    struct nr_record *record;      /* attempts and ledger are written here */
    struct nr_call_budget *budget; /* NULL: no body is kept */
    const struct nr_exchange_events *events;
    void *owner;
    struct nr_call_faults *faults; /* lives as long as the call; NULL: none */
    /* The service has no answer, for this reason, and its fallback is another one: which? Called
     * outside of verbs, at most NR_RECORD_HOPS times; false: none, after all. NULL: never asked. */
    bool (*stand_in)(struct nr_exchange *call, enum nr_reason reason,
                     struct nr_call_next *ret_next);
    uint64_t key; /* for services that balance by one: see struct nr_pick */
    bool has_key;
    bool ended;       /* no request body follows */
    bool no_fallback; /* the last answer is passed on, though the service has a fallback */
    uint8_t hop;      /* the service stands in, as which one: see struct nr_record_attempt */
};

struct nr_call; /* allocated from conf->arena; everything inside it ends before the call's `end` */

/* Start. Returns the exchange to speak to. Events come later, also the failure to find any
 * instance: `end` without a final head, nr_call_reason saying why. */
struct nr_exchange *nr_call_open(struct nr_io *io, const struct nr_call_conf *conf);

/* From its final head on: the instance that answers. */
uint32_t nr_call_instance(const struct nr_exchange *call);

/* In and after `end`'s start: why there is no (complete) answer; NR_REASON_NONE if there is. */
enum nr_reason nr_call_reason(const struct nr_exchange *call);

/* … and when that is fault_abort: the status that the fault answers with. */
uint16_t nr_call_abort_status(const struct nr_exchange *call);

/* … and when that is circuit_open: for how long it is certain to last; 0: not known. */
uint64_t nr_call_wait_ns(const struct nr_exchange *call);

#endif
