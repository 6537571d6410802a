/* SPDX-License-Identifier: Apache-2.0 */
/* attempt.c - one try on one instance.
 *
 * Upstream's events pass through to the owner once the final head is there; before that only
 * interim (1xx) heads do. An attempt that ends without a final head has failed: it is written into
 * the record and reported to the service. What is made of it is repeat.c's business. */
#include "base/assert.h"
#include "base/compiler.h"
#include "base/copy.h"
#include "call/state.h"

#define US(ns) ((uint32_t)((ns) / 1000))

/* ---- the record and the service ---- */

/* The attempt's place in the record; beyond the last the latest overwrites. */
struct nr_record_attempt *nr_attempt_slot(struct nr_call *c)
{
    uint32_t index = c->record->attempt_count - 1u;

    return &c->record->attempts[index < NR_RECORD_ATTEMPTS ? index : NR_RECORD_ATTEMPTS - 1];
}

static void note_start(struct nr_call *c)
{
    struct nr_attempt *a = &c->attempt;

    if (nr_likely(c->hop == 0))
        c->record->service = nr_service_id(c->service);
    if (c->record->attempt_count == 0)
        c->first_start_ns = a->started_ns;
    if (c->record->attempt_count < UINT8_MAX)
        c->record->attempt_count++;
    *nr_attempt_slot(c) =
        (struct nr_record_attempt){.instance = a->name,
                                   .start_us = US(a->started_ns - c->record->start_ns),
                                   .hop = c->hop & 3u};
}

void nr_attempt_note(struct nr_call *c, enum nr_attempt_result result)
{
    struct nr_record_attempt *slot = nr_attempt_slot(c);
    uint64_t now_ns = nr_io_now_ns(c->io);

    slot->took_us = US(now_ns - c->attempt.started_ns);
    slot->status = c->attempt.status;
    slot->result = (uint8_t)result;
    slot->reused = c->attempt.up != NULL && c->attempt.up->reused;
    c->record->upstream_us = US(now_ns - c->first_start_ns);
    if (c->attempt.up != NULL)
        c->record->queue_us += US(c->attempt.up->times.waited_ns);
}

void nr_attempt_note_given_up(struct nr_call *c, enum nr_attempt_result result)
{
    if (!c->committed && !c->attempt.discarded)
        nr_attempt_note(c, result);
}

/* Tell the service, once per attempt. A final head sets the latency; without one the time until
 * the failure counts. The owner's leaving before that says nothing. */
static void report(struct nr_call *c, const struct nr_exchange *up, enum nr_end end)
{
    const struct nr_attempt *a = &c->attempt;
    uint64_t now_ns = nr_io_now_ns(c->io);
    uint64_t took_ns = now_ns > a->started_ns ? now_ns - a->started_ns : 1;
    bool whole = c->answered || c->tunnel || c->over || a->discarded;
    struct nr_outcome report = {
        .instance = a->instance,
        .ticket = a->ticket,
        .route = c->record->route,
        .status = a->status,
        .now_ns = now_ns,
        .latency_ns = took_ns,
        .permit = c->permit.node.place == NR_BULKHEAD_INSIDE ? &c->permit : NULL,
    };

    if (a->head_latency_ns != 0) {
        report.latency_ns = a->head_latency_ns;
        report.ok = a->status < 500 && whole;
    } else if ((c->over && c->reason == NR_REASON_CLIENT_CLOSED) || end == NR_END_SHUTDOWN ||
               end == NR_END_POOL_EXHAUSTED || up->no_files || nr_attempt_was_stale(up, end)) {
        report.latency_ns = 0;
    } else {
        nr_service_doubt(c->service, a->instance);
    }
    nr_service_report_by(c->service, nr_io_random(c->io), &report);
}

/* ---- upstream's events ---- */

static void commit(struct nr_call *c, const struct nr_head *head)
{
    struct nr_attempt *a = &c->attempt;
    uint64_t now_ns = nr_io_now_ns(c->io);

    c->committed = true;
    a->status = head->status;
    a->head_latency_ns = now_ns > a->started_ns ? now_ns - a->started_ns : 1;
    nr_attempt_note(c, NR_ATTEMPT_ANSWERED);
    c->x.times = a->up->times;
    c->x.reused = a->up->reused;
    nr_replay_commit(&c->replay, c->io, c->budget);
    if (head->status != 101)
        return;
    c->tunnel = true;
    c->record->flags |= NR_RECORD_TUNNEL;
    nr_permit_give_back(&c->permit);   /* it may live for days, and mostly idle */
    nr_timer_disarm(c->io, &c->timer); /* a tunnel lives as long as it is used */
}

static bool is_deaf(const struct nr_call *c)
{
    return c->over || c->attempt.timed_out || c->attempt.discarded;
}

static void up_head(struct nr_exchange *up, struct nr_head *head, bool ended)
{
    struct nr_call *c = up->owner;

    if (is_deaf(c))
        return;
    c->attempt.first_byte_ns = NR_TIME_NEVER;
    if (head->status >= 200 || head->status == 101) {
        if (nr_unlikely(head->status >= 429) && nr_repeat_instead_of(c, head, ended))
            return;
        c->answered = ended;
        commit(c, head);
    }
    c->x.events->head(&c->x, head, ended);
}

static void up_body(struct nr_exchange *up, bool ended)
{
    struct nr_call *c = up->owner;

    if (nr_unlikely(is_deaf(c))) {
        if (c->attempt.discarded)
            nr_repeat_drop_body(c, up);
        return;
    }
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

void nr_attempt_pass_on(struct nr_call *c)
{
    if (nr_unlikely(c->attempt.struck))
        return;
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
        nr_attempt_pass_on(c);
}

/* ---- its end ---- */

void nr_attempt_ended(struct nr_exchange *up, enum nr_end end)
{
    struct nr_call *c = up->owner;

    if (nr_unlikely(nr_attempt_was_stale(up, end)) && nr_repeat_stale(c, up, end))
        return;
    c->x.times = up->times;
    c->x.received_bytes = up->received_bytes;
    c->x.sent_bytes = up->sent_bytes;
    c->x.refusal = up->refusal;
    c->x.reused = up->reused;
    report(c, up, end);
    if (!c->over && !c->committed) {
        if (c->attempt.discarded)
            nr_repeat_go_on(c, end);
        else
            nr_repeat_failed(c, up, end);
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
    .end = nr_attempt_ended,
};

/* ---- its start ---- */

enum { GRPC_TIMEOUT_MAX = 99999999 };

/* What a gRPC client gave us is passed on as what is left of it: at most 8 digits and a unit. */
static void tell_grpc(struct nr_call *c, uint64_t left_ms)
{
    char room[NR_DECIMAL_BYTES + 1];
    struct nr_span text = nr_decimal(room, left_ms < GRPC_TIMEOUT_MAX ? left_ms : GRPC_TIMEOUT_MAX);

    room[text.len++] = 'm';
    nr_head_remove(c->request, NR_FIELD_GRPC_TIMEOUT);
    nr_head_add_own(c->request, c->x.arena, NR_FIELD_GRPC_TIMEOUT, NR_SPAN("grpc-timeout"), text);
}

/* What the service should know: how much time it has, and whether it may have seen this before. */
static void tell_upstream(struct nr_call *c, uint64_t now_ns)
{
    char room[NR_DECIMAL_BYTES];

    if (c->deadline.at_ns != NR_TIME_NEVER) {
        uint64_t left_ms = nr_deadline_left_ns(&c->deadline, now_ns) / 1000000;

        nr_head_remove(c->request, NR_FIELD_X_REQUEST_DEADLINE);
        nr_head_add_own(c->request, c->x.arena, NR_FIELD_X_REQUEST_DEADLINE,
                        NR_SPAN("X-Request-Deadline"), nr_decimal(room, left_ms));
        if (nr_unlikely(nr_head_find(c->request, NR_FIELD_GRPC_TIMEOUT, NULL) != NULL))
            tell_grpc(c, left_ms);
    }
    if (c->attempts > 1 || c->attempt.refreshed)
        nr_head_set(c->request, c->x.arena, NR_SPAN("X-Request-Attempt"),
                    nr_decimal(room, c->attempts + c->attempt.refreshed));
}

void nr_attempt_request_sent(struct nr_call *c)
{
    uint64_t within_ns = c->conf->timeouts.first_byte_ns;

    if (within_ns == 0 || c->committed)
        return;
    c->attempt.first_byte_ns = nr_io_now_ns(c->io) + within_ns;
    nr_call_bound(c);
}

void nr_attempt_go(struct nr_call *c, bool fresh)
{
    struct nr_attempt *a = &c->attempt;
    struct nr_client *client = nr_service_client(c->pools, a->instance);

    tell_upstream(c, nr_io_now_ns(c->io));
    a->up = nr_client_open(client, c->x.arena, &up_events, c, fresh);
    a->first_byte_ns = NR_TIME_NEVER;
    nr_exchange_send_head(a->up, c->request, c->ended_at_open);
    if (c->ended_at_open)
        nr_attempt_request_sent(c);
    else
        nr_replay_rewind(&c->replay);
    nr_call_bound(c);
}

void nr_attempt_again(struct nr_call *c)
{
    c->attempt.refreshed = true;
    nr_attempt_go(c, true);
    nr_attempt_pass_on(c);
}

enum nr_attempt_start nr_attempt_start(struct nr_call *c, int *ret_reason)
{
    struct nr_attempt *a = &c->attempt;
    uint64_t now_ns = nr_io_now_ns(c->io);
    struct nr_pick pick = {.now_ns = now_ns,
                           .tried = c->tried,
                           .key = c->key,
                           .has_key = c->has_key,
                           .route = c->record->route,
                           .permit = &c->permit,
                           .deadline_ns = c->deadline.at_ns,
                           .repeat = c->attempts > 0};
    uint32_t instance = nr_service_pick_by(c->service, nr_io_random(c->io), &pick);

    if (nr_unlikely(pick.queued)) {
        c->stage = NR_CALL_QUEUED;
        nr_call_bound(c);
        return NR_ATTEMPT_QUEUED;
    }
    c->record->flags |= pick.flags;
    if (instance == NR_INSTANCE_NONE) {
        *ret_reason = pick.reason;
        c->wait_ns = pick.wait_ns;
        return NR_ATTEMPT_NOT;
    }
    c->stage = NR_CALL_ATTEMPT;
    c->attempts++;
    if (instance < 64)
        c->tried |= (uint64_t)1 << instance;
    *a = (struct nr_attempt){
        .instance = instance,
        .name = pick.name,
        .ticket = pick.ticket,
        .started_ns = now_ns,
        .until_ns = nr_deadline_bound_ns(&c->deadline, now_ns, c->conf->timeouts.attempt_ns),
    };
    note_start(c);
    if (nr_unlikely(c->faults != NULL) && nr_fault_strikes(c))
        return NR_ATTEMPT_STARTED;
    nr_attempt_go(c, c->fresh);
    return NR_ATTEMPT_STARTED;
}
