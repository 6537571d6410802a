/* SPDX-License-Identifier: Apache-2.0 */
/* call.c - the life of a call as its owner sees it: verbs in, one `end` out. See state.h for the
 * states, attempt.c for what happens upstream. */
#include "call/call.h"

#include "base/assert.h"
#include "call/state.h"

static struct nr_call *call_of(const struct nr_exchange *x)
{
    return nr_container_of((struct nr_exchange *)(uintptr_t)x, struct nr_call, x);
}

/* ---- the end ---- */

void nr_call_finish(struct nr_call *c, enum nr_end end)
{
    nr_assert(c->attempt.up == NULL);
    nr_timer_disarm(c->io, &c->timer);
    nr_replay_drop(&c->replay, c->io, c->budget);
    c->x.events->end(&c->x, end);
}

void nr_call_fail(struct nr_call *c, enum nr_end end)
{
    if (nr_unlikely(nr_stand_in_is_there(c)) && nr_stand_in_ask(c))
        return;
    if (c->first_reason != NR_REASON_NONE) { /* nobody else's failure is more to the point */
        c->reason = c->first_reason;
        c->wait_ns = c->first_wait_ns;
    }
    nr_call_finish(c, end);
}

static void end_now(struct nr_op *op)
{
    struct nr_call *c = nr_container_of(op, struct nr_call, end_op);

    if (c->over)
        nr_call_finish(c, c->end);
    else
        nr_call_fail(c, c->end);
}

static const struct nr_op_kind end_kind = {end_now, "call.end"};

/* From inside a verb: `end` comes from the queue. */
static void finish_soon(struct nr_call *c, enum nr_reason reason, enum nr_end end)
{
    c->stage = NR_CALL_ENDING;
    c->reason = reason;
    c->end = end;
    nr_timer_disarm(c->io, &c->timer);
    nr_io_defer(c->io, &c->end_op);
}

/* ---- time ---- */

/* The moment at which something must have happened; NR_TIME_NEVER: none. */
static uint64_t bound_of(const struct nr_call *c)
{
    if (c->tunnel || c->over)
        return NR_TIME_NEVER;
    if (c->stage == NR_CALL_PAUSED)
        return c->resume_at_ns;
    if (c->stage == NR_CALL_QUEUED)
        return c->permit.node.expires_ns;
    if (c->attempt.timed_out)
        return NR_TIME_NEVER;
    if (c->committed)
        return c->deadline.at_ns;
    return c->attempt.until_ns < c->attempt.first_byte_ns ? c->attempt.until_ns
                                                          : c->attempt.first_byte_ns;
}

void nr_call_bound(struct nr_call *c)
{
    uint64_t at_ns = bound_of(c);

    if (at_ns != NR_TIME_NEVER && (!nr_timer_armed(&c->timer) || at_ns < c->timer.at_ns))
        nr_timer_arm(c->io, &c->timer, at_ns);
}

static void timer_fired(struct nr_op *op)
{
    struct nr_call *c = nr_container_of(op, struct nr_call, timer.op);
    uint64_t now_ns = nr_io_now_ns(c->io);

    if (now_ns < bound_of(c)) { /* armed for a bound that has moved since */
        nr_call_bound(c);
        return;
    }
    if (c->stage == NR_CALL_PAUSED) {
        nr_repeat_resume(c);
        return;
    }
    if (c->stage == NR_CALL_QUEUED) {
        nr_queue_expired(c);
        return;
    }
    if (now_ns >= c->deadline.at_ns) {
        c->over = true;
        c->reason = NR_REASON_DEADLINE;
        nr_attempt_note_given_up(c, NR_ATTEMPT_TIMEOUT);
        if (!c->committed)
            c->record->flags |= NR_RECORD_RETRY_NO_TIME;
    } else {
        c->attempt.timed_out = true;
    }
    nr_exchange_reset(c->attempt.up);
}

static const struct nr_op_kind timer_kind = {timer_fired, "call.timer"};

/* ---- verbs ---- */

static void send_head(struct nr_exchange *x, const struct nr_head *head, bool ended)
{
    (void)x;
    (void)head;
    (void)ended;
    nr_assert(!"a call is opened with its head");
}

/* Can bytes go upstream now? Before and between attempts they wait, so that their order stays. */
static bool takes_body(const struct nr_call *c)
{
    return c->attempt.up != NULL && !c->attempt.timed_out && !c->attempt.discarded &&
           !c->attempt.struck && c->replay.at == NULL;
}

static size_t send_body(struct nr_exchange *x, struct nr_span bytes, bool ended)
{
    struct nr_call *c = call_of(x);
    size_t taken;

    if (c->over)
        return bytes.len;
    if (!takes_body(c)) {
        if (bytes.len == 0 && ended)
            c->replay.ended = true; /* flushed behind the rest */
        c->owner_waits = bytes.len > 0;
        return 0;
    }
    taken = nr_exchange_send_body(c->attempt.up, bytes, ended);
    if (!c->committed)
        nr_replay_sent(&c->replay, c->io, c->budget, (struct nr_span){bytes.ptr, taken});
    c->owner_waits = taken < bytes.len;
    c->x.sent_bytes = c->attempt.up->sent_bytes;
    if (taken == bytes.len && ended) {
        c->replay.ended = true;
        c->replay.end_sent = true;
        nr_attempt_request_sent(c);
    }
    return taken;
}

static void send_trailers(struct nr_exchange *x, const struct nr_head *trailers)
{
    struct nr_call *c = call_of(x);

    if (c->over)
        return;
    c->replay.trailers = nr_head_dup(trailers, c->x.arena);
    c->replay.ended = true;
    if (!takes_body(c))
        return;
    nr_exchange_send_trailers(c->attempt.up, c->replay.trailers);
    c->replay.end_sent = true;
    nr_attempt_request_sent(c);
}

static bool has_answer(const struct nr_call *c)
{
    return c->committed && !c->over && c->attempt.up != NULL;
}

static struct nr_span pending(const struct nr_exchange *x)
{
    const struct nr_call *c = call_of(x);

    return has_answer(c) ? nr_exchange_pending(c->attempt.up) : (struct nr_span){NULL, 0};
}

static void consume(struct nr_exchange *x, size_t bytes)
{
    struct nr_call *c = call_of(x);

    if (has_answer(c))
        nr_exchange_consume(c->attempt.up, bytes);
}

static void reset(struct nr_exchange *x)
{
    struct nr_call *c = call_of(x);

    if (c->over)
        return;
    c->over = true;
    if (c->stage == NR_CALL_ENDING)
        return; /* `end` is on its way, with its reason */
    if (c->stage == NR_CALL_QUEUED && !nr_queue_leave(c)) {
        c->reason = NR_REASON_CLIENT_CLOSED;
        nr_timer_disarm(c->io, &c->timer);
        return;
    }
    if (c->attempt.up == NULL) {
        nr_repeat_note_pause(c);
        finish_soon(c, NR_REASON_CLIENT_CLOSED, NR_END_RESET);
        return;
    }
    if (!c->answered)
        c->reason = NR_REASON_CLIENT_CLOSED;
    nr_attempt_note_given_up(c, NR_ATTEMPT_CANCELED);
    nr_exchange_reset(c->attempt.up);
}

static void release(struct nr_exchange *x)
{
    (void)x;
    nr_assert(!"a call lives in its opener's arena");
}

static const struct nr_exchange_verbs verbs = {
    .send_head = send_head,
    .send_body = send_body,
    .send_trailers = send_trailers,
    .pending = pending,
    .consume = consume,
    .reset = reset,
    .release = release,
};

/* ---- the beginning ---- */

/* Only what may be sent twice can need its body twice: whatever has taken a byte of a body may also
 * have acted on it. */
static bool may_need_body_again(const struct nr_call *c)
{
    return !c->ended_at_open && nr_repeat_is_safe(c);
}

/* Without retries, and without another service, only a connection that had gone stale is made up
 * for. */
static void keep_no_more_than_needed(struct nr_call *c)
{
    if (c->conf->retry.attempts <= 1 && !c->attempt.up->reused && !c->attempt.struck &&
        !nr_stand_in_is_there(c))
        c->replay.keep = false;
}

static void begin(struct nr_call *c)
{
    int reason = NR_REASON_INTERNAL;

    switch (nr_attempt_start(c, &reason)) {
    case NR_ATTEMPT_STARTED: keep_no_more_than_needed(c); return;
    case NR_ATTEMPT_QUEUED: return;
    case NR_ATTEMPT_NOT: finish_soon(c, (enum nr_reason)reason, NR_END_UNPROCESSED); return;
    }
}

struct nr_exchange *nr_call_open(struct nr_io *io, const struct nr_call_conf *conf)
{
    struct nr_call *c = nr_arena_zalloc(conf->arena, sizeof(*c));
    uint64_t now_ns = nr_io_now_ns(io);

    c->x.verbs = &verbs;
    c->x.events = conf->events;
    c->x.owner = conf->owner;
    c->x.arena = conf->arena;
    c->x.times.started_ns = now_ns;
    c->io = io;
    c->pools = conf->pools;
    c->service = nr_service_of(conf->pools);
    c->conf = nr_service_conf(c->service);
    c->request = conf->head;
    c->record = conf->record;
    c->budget = conf->budget;
    c->faults = conf->faults;
    c->stand_in = conf->stand_in;
    c->deadline = conf->deadline;
    c->key = conf->key;
    c->has_key = conf->has_key;
    c->ended_at_open = conf->ended;
    c->no_fallback = conf->no_fallback;
    c->hop = conf->hop;
    nr_timer_init(&c->timer, &timer_kind);
    nr_op_init(&c->end_op, &end_kind);
    nr_queue_init(c);
    nr_replay_init(&c->replay, may_need_body_again(c), c->request->body_length);
    if (nr_deadline_left_ns(&c->deadline, now_ns) == 0)
        finish_soon(c, NR_REASON_DEADLINE, NR_END_UNPROCESSED);
    else
        begin(c);
    return &c->x;
}

uint32_t nr_call_instance(const struct nr_exchange *call)
{
    return call_of(call)->attempt.instance;
}

uint16_t nr_call_abort_status(const struct nr_exchange *call)
{
    return call_of(call)->attempt.status;
}

uint64_t nr_call_wait_ns(const struct nr_exchange *call)
{
    return call_of(call)->wait_ns;
}

enum nr_reason nr_call_reason(const struct nr_exchange *call)
{
    return call_of(call)->reason;
}
