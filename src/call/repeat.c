/* SPDX-License-Identifier: Apache-2.0 */
/* repeat.c - what is made of an attempt that has failed: another one, at once or after a pause, or
 * the last word to the owner.
 *
 * Two kinds of failure. An attempt that *ends without a head* can be repeated as soon as it is
 * over. An *answer* that says so itself (503, and what else `on` lists) is looked at before the
 * owner sees it: if there will be another attempt, it is discarded; if not, it is passed on as it
 * is, because what the service has to say is better than anything we could make up. A discarded
 * answer that is complete, or almost, is read to its end, so that its connection can be kept.
 *
 * When. The first repeat goes to another instance, at once: what one instance cannot do, another
 * one often can. If there is none, or two have failed, the service needs time: back-off with
 * jitter. A Retry-After of 429 or 503 is a lower bound of that, if it fits into the deadline; 429
 * without one is never repeated.
 *
 * A pooled connection that had gone stale is no failure of anybody, if the request can go out
 * again: the same attempt goes on over a fresh one, and nothing is paid for that.
 *
 * One layer only. Each layer that makes three attempts triples what reaches the layer behind it.
 * So:
 *
 *   - `X-Naru-Retry: no` in an answer means "overloaded, or repeated below already": it is not
 *     repeated here. We say so ourselves when our own attempts or our budget are spent.
 *   - `X-Request-Attempt: 2` in a request (from a trusted peer) means that the layer above is
 *     repeating: then only a connection that did not come about is repeated here. */
#include "base/assert.h"
#include "call/state.h"
#include "policy/backoff.h"

#define US(ns) ((uint32_t)((ns) / 1000))
#define MS_NS  ((uint64_t)1000000)

enum {
    DISCARD_BYTES_MAX = 64 * 1024,
    DISCARD_WAIT_MS = 20, /* for the rest of a discarded answer; a new connection costs less */
};

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
    case NR_END_POOL_EXHAUSTED:
        return (struct failure){NR_ATTEMPT_POOL_EXHAUSTED, NR_REASON_POOL_EXHAUSTED, ON(CONNECT)};
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

/* ---- the decision ---- */

bool nr_repeat_is_safe(const struct nr_call *c)
{
    return (c->conf->retry.methods >> c->request->method & 1) != 0 ||
           nr_head_find(c->request, NR_FIELD_IDEMPOTENCY_KEY, NULL) != NULL;
}

/* Our own attempts are told to the service in the same field, so it is looked at before. */
static bool came_as_repeat(struct nr_call *c)
{
    if (c->attempts == 1 && !c->attempt.refreshed)
        c->came_as_repeat =
            nr_head_find_name(c->request, NR_SPAN("X-Request-Attempt"), NULL) != NULL;
    return c->came_as_repeat;
}

/* The pause before the next attempt; false if no worthwhile time would be left behind it. */
static bool pause_fits(struct nr_call *c, uint64_t retry_after_ns, uint64_t left_ns,
                       uint64_t *ret_pause_ns)
{
    bool at_once = c->attempts == 1 && nr_service_has_other(c->service, c->tried);
    uint64_t backoff_ns =
        at_once ? 0
                : nr_backoff_ns(&c->conf->retry.backoff.policy, c->pauses + 1, nr_io_random(c->io));

    return nr_backoff_within(backoff_ns, retry_after_ns, left_ns, ret_pause_ns);
}

/* Decide, and if there is another attempt, when. */
static bool decide(struct nr_call *c, struct nr_retry_facts *facts, uint64_t retry_after_ns)
{
    uint64_t now_ns = nr_io_now_ns(c->io), left_ns, pause_ns = 0;
    enum nr_retry_verdict verdict;
    uint16_t flag = 0;

    left_ns = nr_deadline_left_ns(&c->deadline, now_ns);
    facts->attempts = c->attempts;
    facts->attempts_max = c->conf->retry.attempts;
    facts->committed = c->committed;
    facts->body_lost = c->replay.lost;
    facts->left_ns = left_ns;
    if (!pause_fits(c, retry_after_ns, left_ns, &pause_ns))
        facts->left_ns = 0;
    verdict = nr_service_repeat(c->service, facts, now_ns, &flag);
    c->record->flags |= flag;
    if (verdict != NR_RETRY_GO)
        return false;
    if (retry_after_ns > 0)
        c->record->flags |= NR_RECORD_RETRY_AFTER;
    c->resume_at_ns = now_ns + pause_ns;
    return true;
}

/* ---- an attempt without a head ---- */

static bool maybe_processed(const struct nr_exchange *up, enum nr_end end)
{
    if (end == NR_END_RESET && up->times.connected_ns == 0)
        return false; /* our own time limit passed while connecting */
    return nr_end_may_have_processed(end);
}

bool nr_repeat_stale(struct nr_call *c, const struct nr_exchange *up, enum nr_end end)
{
    const struct nr_attempt *a = &c->attempt;

    if (c->over || c->committed || a->timed_out || a->discarded || a->refreshed || c->replay.lost)
        return false;
    if (maybe_processed(up, end) && !nr_repeat_is_safe(c))
        return false;
    if (nr_deadline_left_ns(&c->deadline, nr_io_now_ns(c->io)) < NR_RETRY_LEFT_NS_MIN)
        return false;
    came_as_repeat(c);
    c->record->flags |= NR_RECORD_STALE;
    nr_attempt_again(c);
    return true;
}

void nr_repeat_failed(struct nr_call *c, struct nr_exchange *up, enum nr_end end)
{
    struct failure failure = failure_of(end);
    bool processed = maybe_processed(up, end);
    struct nr_retry_facts facts = {
        .listed = (c->conf->retry.on & failure.on) != 0,
        .maybe_processed = processed,
        .idempotent = !processed || nr_repeat_is_safe(c),
        .overloaded = came_as_repeat(c) && processed,
    };

    nr_attempt_note(c, failure.result);
    c->attempt.up = NULL;
    c->reason = failure.reason;
    c->fresh = up->reused;
    c->processed |= processed;
    if (decide(c, &facts, 0))
        nr_repeat_go_on(c, end);
    else
        nr_call_fail(c, end);
}

/* ---- an answer ---- */

static uint64_t retry_after_ns(const struct nr_head *head)
{
    uint64_t ms;

    if (head->status != 429 && head->status != 503)
        return 0;
    return nr_retry_after_parse(nr_head_get(head, NR_FIELD_RETRY_AFTER), &ms) ? ms * MS_NS : 0;
}

static bool says_no(const struct nr_head *head)
{
    const struct nr_field *field = nr_head_find_name(head, NR_SPAN("X-Naru-Retry"), NULL);

    return field != NULL && nr_span_eq_nocase(nr_head_value(head, field), NR_SPAN("no"));
}

static void discard(struct nr_call *c, uint16_t status, bool ended)
{
    struct nr_attempt *a = &c->attempt;
    uint64_t now_ns = nr_io_now_ns(c->io);

    a->discarded = true;
    a->status = status;
    a->head_latency_ns = now_ns > a->started_ns ? now_ns - a->started_ns : 1;
    nr_attempt_note(c, NR_ATTEMPT_ANSWERED);
    c->fresh = false;
    if (!c->ended_at_open && !c->replay.end_sent) {
        nr_exchange_reset(a->up); /* its request is not through, and nobody wants it to be */
        return;
    }
    if (ended)
        return;
    a->until_ns = nr_deadline_bound_ns(&c->deadline, now_ns, DISCARD_WAIT_MS * MS_NS);
    a->first_byte_ns = NR_TIME_NEVER;
    nr_call_bound(c);
}

/* Something better than this last answer? */
static bool fallback_waits(struct nr_call *c)
{
    if (c->conf->fallback == NULL || c->no_fallback)
        return false;
    return !nr_stand_in_is_there(c) || nr_stand_in_may(c);
}

bool nr_repeat_instead_of(struct nr_call *c, struct nr_head *head, bool ended)
{
    uint64_t on = c->conf->retry.on & nr_retry_on_status(head->status);
    uint64_t after_ns;
    struct nr_retry_facts facts = {.listed = on != 0, .maybe_processed = true};

    if (on == 0)
        return false;
    after_ns = retry_after_ns(head);
    facts.listed = head->status != 429 || after_ns > 0;
    facts.idempotent = nr_repeat_is_safe(c);
    facts.overloaded = came_as_repeat(c) || says_no(head);
    if (decide(c, &facts, after_ns)) {
        discard(c, head->status, ended);
        return true;
    }
    c->processed = true;
    if (head->status >= 500 && fallback_waits(c)) {
        c->gives_up = true;
        c->reason = NR_REASON_UPSTREAM_ERROR;
        discard(c, head->status, ended);
        return true;
    }
    if (c->attempts > 1 || (c->record->flags & NR_RECORD_RETRY_BUDGET) != 0)
        nr_head_set(head, c->x.arena, NR_SPAN("X-Naru-Retry"), NR_SPAN("no"));
    return false;
}

void nr_repeat_aborted(struct nr_call *c, uint16_t status)
{
    struct nr_head head;

    nr_head_init_response(&head, c->x.arena, status);
    if (status >= 429 && nr_repeat_instead_of(c, &head, true))
        return;
    c->gives_up = true;
    c->reason = NR_REASON_FAULT_ABORT;
    discard(c, status, true);
}

void nr_repeat_drop_body(struct nr_call *c, struct nr_exchange *up)
{
    nr_exchange_consume(up, nr_exchange_pending(up).len);
    if (up->received_bytes > DISCARD_BYTES_MAX && !c->over)
        nr_exchange_reset(up);
}

/* ---- and on ---- */

void nr_repeat_note_pause(struct nr_call *c)
{
    if (c->stage == NR_CALL_PAUSED)
        c->record->backoff_us += US(nr_io_now_ns(c->io) - c->paused_ns);
}

/* If nobody can be asked any more, the failure that was to be made good is the reason; where it was
 * an answer, which has none, the reason is why nobody can be asked. */
static void start(struct nr_call *c, enum nr_end end)
{
    int reason;

    if (nr_attempt_start(c, &reason) == NR_ATTEMPT_STARTED) {
        c->reason = NR_REASON_NONE;
        nr_attempt_pass_on(c);
        return;
    }
    if (c->reason == NR_REASON_NONE)
        c->reason = (enum nr_reason)reason;
    nr_call_fail(c, end);
}

void nr_repeat_go_on(struct nr_call *c, enum nr_end end)
{
    uint64_t now_ns = nr_io_now_ns(c->io);

    c->attempt.up = NULL;
    if (c->gives_up) {
        nr_call_fail(c, end);
        return;
    }
    if (now_ns >= c->resume_at_ns) {
        start(c, end);
        return;
    }
    c->stage = NR_CALL_PAUSED;
    c->pauses++;
    c->paused_ns = now_ns;
    c->end = end;
    nr_call_bound(c);
}

void nr_repeat_resume(struct nr_call *c)
{
    nr_repeat_note_pause(c);
    start(c, c->end);
}
