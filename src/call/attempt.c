/* SPDX-License-Identifier: Apache-2.0 */
/* attempt.c - one try on one instance, and what to make of its end.
 *
 * Upstream's events pass through to the owner once the final head is there; before that only
 * interim (1xx) heads do. An attempt that ends without a final head has failed: it is written into
 * the record, reported to the service, and repeated if policy/retry.h says so. */
#include "base/assert.h"
#include "base/compiler.h"
#include "call/state.h"
#include "policy/retry.h"

#define US(ns) ((uint32_t)((ns) / 1000))

/* ---- what a failure is called ---- */

struct failure {
    enum nr_attempt_result result;
    enum nr_reason reason;
    uint32_t on; /* bits 1 << enum nr_retry_on: any of these words in `on` allows a retry */
};

#define ON(word) (1u << NR_RETRY_ON_##word)

static struct failure failure_of(enum nr_end end)
{
    switch (end) {
    case NR_END_CONNECT_REFUSED:
        return (struct failure){NR_ATTEMPT_CONNECT_REFUSED, NR_REASON_CONNECT_REFUSED, ON(CONNECT)};
    case NR_END_CONNECT_FAILED:
        return (struct failure){NR_ATTEMPT_CONNECT_FAILED, NR_REASON_CONNECT_FAILED, ON(CONNECT)};
    case NR_END_CONNECT_TIMEOUT:
        return (struct failure){NR_ATTEMPT_CONNECT_TIMEOUT, NR_REASON_CONNECT_TIMEOUT, ON(CONNECT)};
    case NR_END_UNPROCESSED:
        return (struct failure){NR_ATTEMPT_CLOSED, NR_REASON_UPSTREAM_CLOSED,
                                ON(CONNECT) | ON(RESET)};
    case NR_END_PEER_CLOSED:
        return (struct failure){NR_ATTEMPT_CLOSED, NR_REASON_UPSTREAM_CLOSED, ON(RESET)};
    case NR_END_PROTOCOL:
        return (struct failure){NR_ATTEMPT_PROTOCOL, NR_REASON_UPSTREAM_PROTOCOL, ON(RESET)};
    case NR_END_RESET: /* our own: the attempt's time is over */
    case NR_END_HEAD_TIMEOUT:
    case NR_END_BODY_TIMEOUT:
    case NR_END_WRITE_TIMEOUT:
    case NR_END_IDLE_TIMEOUT:
        return (struct failure){NR_ATTEMPT_TIMEOUT, NR_REASON_ATTEMPT_TIMEOUT, ON(TIMEOUT)};
    case NR_END_SHUTDOWN: return (struct failure){NR_ATTEMPT_CANCELED, NR_REASON_DRAINING, 0};
    default: return (struct failure){NR_ATTEMPT_RESET, NR_REASON_UPSTREAM_RESET, ON(RESET)};
    }
}

/* ---- the record and the service ---- */

/* The attempt's place in the record; beyond the last the latest overwrites. */
static struct nr_record_attempt *slot_of(struct nr_call *c)
{
    uint32_t index = c->attempts - 1;

    return &c->record->attempts[index < NR_RECORD_ATTEMPTS ? index : NR_RECORD_ATTEMPTS - 1];
}

static void note_start(struct nr_call *c)
{
    struct nr_attempt *a = &c->attempt;

    c->record->service = nr_service_id(c->service);
    if (c->record->attempt_count < UINT8_MAX)
        c->record->attempt_count++;
    *slot_of(c) = (struct nr_record_attempt){.instance = a->instance,
                                             .start_us = US(a->started_ns - c->record->start_ns)};
}

static void note_result(struct nr_call *c, enum nr_attempt_result result)
{
    struct nr_record_attempt *slot = slot_of(c);
    uint64_t now_ns = nr_io_now_ns(c->io);

    slot->took_us = US(now_ns - c->attempt.started_ns);
    slot->status = c->attempt.status;
    slot->result = (uint8_t)result;
    slot->reused = c->attempt.up != NULL && c->attempt.up->reused;
    c->record->upstream_us = US(now_ns - c->first_start_ns);
}

void nr_attempt_note_given_up(struct nr_call *c, enum nr_attempt_result result)
{
    if (!c->committed)
        note_result(c, result);
}

/* A pooled connection that broke before any byte of the answer had gone stale while it was
 * idle. That is how keep-alive works, and says nothing of the instance. */
static bool was_stale(const struct nr_exchange *up, enum nr_end end)
{
    return up->reused &&
           (end == NR_END_PEER_CLOSED || end == NR_END_PEER_RESET || end == NR_END_UNPROCESSED);
}

/* Tell the service, once per attempt. A final head sets the latency; without one the time until
 * the failure counts. The owner's leaving before that says nothing. */
static void report(struct nr_call *c, const struct nr_exchange *up, enum nr_end end)
{
    const struct nr_attempt *a = &c->attempt;
    uint64_t now_ns = nr_io_now_ns(c->io);
    uint64_t took_ns = now_ns > a->started_ns ? now_ns - a->started_ns : 1;
    bool whole = c->answered || c->tunnel || c->over;

    if (a->head_latency_ns != 0)
        nr_service_report(c->service, a->instance, now_ns, a->head_latency_ns,
                          a->status < 500 && whole);
    else if ((c->over && c->reason == NR_REASON_CLIENT_CLOSED) || was_stale(up, end))
        nr_service_report(c->service, a->instance, now_ns, 0, true);
    else
        nr_service_report(c->service, a->instance, now_ns, took_ns, false);
}

/* ---- upstream's events ---- */

static void commit(struct nr_call *c, const struct nr_head *head)
{
    struct nr_attempt *a = &c->attempt;
    uint64_t now_ns = nr_io_now_ns(c->io);

    c->committed = true;
    a->status = head->status;
    a->head_latency_ns = now_ns > a->started_ns ? now_ns - a->started_ns : 1;
    note_result(c, NR_ATTEMPT_ANSWERED);
    c->x.times = a->up->times;
    c->x.reused = a->up->reused;
    nr_replay_commit(&c->replay, c->io, c->budget);
    if (head->status != 101)
        return;
    c->tunnel = true;
    c->record->flags |= NR_RECORD_TUNNEL;
    nr_timer_disarm(c->io, &c->timer); /* a tunnel lives as long as it is used */
}

static bool is_deaf(const struct nr_call *c)
{
    return c->over || c->attempt.timed_out;
}

static void up_head(struct nr_exchange *up, struct nr_head *head, bool ended)
{
    struct nr_call *c = up->owner;

    if (is_deaf(c))
        return;
    c->attempt.first_byte_ns = NR_TIME_NEVER;
    if (head->status >= 200 || head->status == 101) {
        c->answered = ended;
        commit(c, head);
    }
    c->x.events->head(&c->x, head, ended);
}

static void up_body(struct nr_exchange *up, bool ended)
{
    struct nr_call *c = up->owner;

    if (is_deaf(c))
        return;
    c->answered = ended;
    c->x.received_bytes = up->received_bytes;
    c->x.events->body(&c->x, ended);
}

static void up_trailers(struct nr_exchange *up, struct nr_head *trailers)
{
    struct nr_call *c = up->owner;

    if (is_deaf(c))
        return;
    c->answered = true;
    c->x.events->trailers(&c->x, trailers);
}

/* First what earlier attempts have seen already, then the owner's turn. */
static void pass_on(struct nr_call *c)
{
    if (!nr_replay_flushed(&c->replay)) {
        nr_replay_flush(&c->replay, c->attempt.up);
        if (!nr_replay_flushed(&c->replay))
            return;
        if (c->replay.end_sent)
            nr_attempt_request_sent(c);
        if (c->committed)
            nr_replay_commit(&c->replay, c->io, c->budget);
    }
    if (!c->owner_waits)
        return;
    c->owner_waits = false;
    c->x.events->writable(&c->x);
}

static void up_writable(struct nr_exchange *up)
{
    struct nr_call *c = up->owner;

    if (!is_deaf(c))
        pass_on(c);
}

/* ---- its end ---- */

static bool maybe_processed(const struct nr_exchange *up, enum nr_end end)
{
    if (end == NR_END_RESET && up->times.connected_ns == 0)
        return false; /* our own time limit passed while connecting */
    return nr_end_may_have_processed(end);
}

static bool should_repeat(struct nr_call *c, const struct nr_exchange *up, enum nr_end end,
                          const struct failure *failure)
{
    const struct nr_retry_conf *retry = &c->conf->retry;
    const struct nr_retry_facts facts = {
        .attempts = c->attempts,
        .attempts_max = retry->attempts,
        .left_ns = nr_deadline_left_ns(&c->deadline, nr_io_now_ns(c->io)),
        .listed = (retry->on & failure->on) != 0,
        .idempotent = (retry->methods >> c->request->method & 1) != 0,
        .maybe_processed = maybe_processed(up, end),
        .committed = c->committed,
        .body_lost = c->replay.lost,
    };
    uint16_t flag = 0;
    enum nr_retry_verdict verdict = nr_retry_decide(&facts, &flag);

    c->record->flags |= flag;
    return verdict == NR_RETRY_GO;
}

static void failed(struct nr_call *c, struct nr_exchange *up, enum nr_end end)
{
    struct failure failure = failure_of(end);
    bool fresh = up->reused;
    int reason;

    note_result(c, failure.result);
    c->attempt.up = NULL;
    c->reason = failure.reason;
    if (!should_repeat(c, up, end, &failure) || !nr_attempt_start(c, fresh, &reason)) {
        nr_call_finish(c, end);
        return;
    }
    c->reason = NR_REASON_NONE;
    pass_on(c);
}

static void up_end(struct nr_exchange *up, enum nr_end end)
{
    struct nr_call *c = up->owner;

    c->x.times = up->times;
    c->x.received_bytes = up->received_bytes;
    c->x.sent_bytes = up->sent_bytes;
    c->x.refusal = up->refusal;
    c->x.reused = up->reused;
    report(c, up, end);
    if (!c->over && !c->committed) {
        failed(c, up, end);
        return;
    }
    c->attempt.up = NULL;
    if (!c->over && !c->answered && !c->tunnel) {
        c->reason = NR_REASON_UPSTREAM_TRUNCATED;
        c->record->flags |= NR_RECORD_RETRY_COMMITTED;
    }
    nr_call_finish(c, c->over ? NR_END_RESET : end);
}

static const struct nr_exchange_events up_events = {
    .head = up_head,
    .body = up_body,
    .trailers = up_trailers,
    .writable = up_writable,
    .end = up_end,
};

/* ---- its start ---- */

enum { GRPC_TIMEOUT_MAX = 99999999 };

static struct nr_span decimal(char *room, uint64_t value)
{
    char *at = room + 20;

    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return (struct nr_span){at, (size_t)(room + 20 - at)};
}

/* What a gRPC client gave us is passed on as what is left of it: at most 8 digits and a unit. */
static void tell_grpc(struct nr_call *c, uint64_t left_ms)
{
    char room[21];
    struct nr_span text = decimal(room, left_ms < GRPC_TIMEOUT_MAX ? left_ms : GRPC_TIMEOUT_MAX);

    room[20] = 'm';
    text.len++;
    nr_head_remove(c->request, NR_FIELD_GRPC_TIMEOUT);
    nr_head_add_own(c->request, c->x.arena, NR_FIELD_GRPC_TIMEOUT, NR_SPAN("grpc-timeout"), text);
}

/* What the service should know: how much time it has, and whether it may have seen this before. */
static void tell_upstream(struct nr_call *c, uint64_t now_ns)
{
    char room[20];

    if (c->deadline.at_ns != NR_TIME_NEVER) {
        uint64_t left_ms = nr_deadline_left_ns(&c->deadline, now_ns) / 1000000;

        nr_head_remove(c->request, NR_FIELD_X_REQUEST_DEADLINE);
        nr_head_add_own(c->request, c->x.arena, NR_FIELD_X_REQUEST_DEADLINE,
                        NR_SPAN("X-Request-Deadline"), decimal(room, left_ms));
        if (nr_unlikely(nr_head_find(c->request, NR_FIELD_GRPC_TIMEOUT, NULL) != NULL))
            tell_grpc(c, left_ms);
    }
    if (c->attempts > 1)
        nr_head_set(c->request, c->x.arena, NR_SPAN("X-Request-Attempt"),
                    decimal(room, c->attempts));
}

void nr_attempt_request_sent(struct nr_call *c)
{
    uint64_t within_ns = c->conf->timeouts.first_byte_ns;

    if (within_ns == 0 || c->committed)
        return;
    c->attempt.first_byte_ns = nr_io_now_ns(c->io) + within_ns;
    nr_call_bound(c);
}

bool nr_attempt_start(struct nr_call *c, bool fresh, int *ret_reason)
{
    struct nr_attempt *a = &c->attempt;
    uint64_t now_ns = nr_io_now_ns(c->io);
    struct nr_pick pick = {
        .now_ns = now_ns, .tried = c->tried, .key = c->key, .has_key = c->has_key};
    uint32_t instance = nr_service_pick_by(c->service, nr_io_random(c->io), &pick);

    if (instance == NR_INSTANCE_NONE) {
        *ret_reason = pick.reason;
        return false;
    }
    c->record->flags |= pick.flags;
    c->attempts++;
    if (c->attempts == 1)
        c->first_start_ns = now_ns;
    if (instance < 64)
        c->tried |= (uint64_t)1 << instance;
    *a = (struct nr_attempt){
        .instance = instance,
        .started_ns = now_ns,
        .until_ns = nr_deadline_bound_ns(&c->deadline, now_ns, c->conf->timeouts.attempt_ns),
        .first_byte_ns = NR_TIME_NEVER,
    };
    note_start(c);
    tell_upstream(c, now_ns);
    a->up = nr_client_open(nr_service_client(c->pools, instance), c->x.arena, &up_events, c, fresh);
    nr_exchange_send_head(a->up, c->request, c->ended_at_open);
    if (c->ended_at_open)
        nr_attempt_request_sent(c);
    else
        nr_replay_rewind(&c->replay);
    nr_call_bound(c);
    return true;
}
