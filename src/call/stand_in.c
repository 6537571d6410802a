/* SPDX-License-Identifier: Apache-2.0 */
/* stand_in.c - another service in place of one that has no answer (`fallback: { service: … }`).
 *
 * The call stays the same, with its deadline, its body and its owner; only whom it asks changes,
 * and that service's own bulkhead, circuits, attempts and retries hold from there on. Who stands in
 * may be stood in for, too; the configuration has no circles, and at most NR_RECORD_HOPS follow
 * each other. If nobody has an answer, the first one's reason is the call's.
 *
 * The request is sent to somebody else, and the first one may have acted on it. So the rule is that
 * of a retry: only if twice is as good as once, or it was certainly not acted on, and all of its
 * body is still at hand. */
#include "base/assert.h"
#include "call/state.h"

/* Not when the client is to blame, or when it is we who are going; and not for a fault's answer
 * that nobody would have repeated either. */
static bool is_wanted(const struct nr_call *c)
{
    return nr_reason_status(c->reason) >= 500 && c->reason != NR_REASON_DRAINING &&
           c->reason != NR_REASON_FAULT_ABORT;
}

bool nr_stand_in_may(struct nr_call *c)
{
    uint32_t why = 0;

    if (c->stand_in == NULL || c->hop == NR_RECORD_HOPS)
        return false;
    if (c->processed && !nr_repeat_is_safe(c))
        why = NR_RECORD_RETRY_UNSAFE;
    else if (c->replay.lost)
        why = NR_RECORD_RETRY_NO_BODY;
    else if (nr_deadline_left_ns(&c->deadline, nr_io_now_ns(c->io)) < NR_RETRY_LEFT_NS_MIN)
        why = NR_RECORD_RETRY_NO_TIME;
    else
        return true;
    c->record->flags |= why | NR_RECORD_NO_STAND_IN;
    return false;
}

/* To the other service nothing of this is a repeat, unless it came to us as one. */
static void forget_attempts(struct nr_call *c)
{
    if (c->attempts > 0 && !c->came_as_repeat)
        nr_head_remove(c->request, NR_FIELD_X_REQUEST_ATTEMPT);
    c->attempt = (struct nr_attempt){.instance = 0};
    c->attempts = 0;
    c->pauses = 0;
    c->tried = 0;
    c->fresh = false;
    c->gives_up = false;
}

static void move_to(struct nr_call *c, const struct nr_call_next *next)
{
    nr_assert(c->permit.node.place == NR_BULKHEAD_OUTSIDE);
    if (c->first_reason == NR_REASON_NONE) {
        c->first_reason = c->reason;
        c->first_wait_ns = c->wait_ns;
    }
    forget_attempts(c);
    c->hop = next->hop;
    c->pools = next->pools;
    c->service = nr_service_of(next->pools);
    c->conf = nr_service_conf(c->service);
    c->key = next->key;
    c->has_key = next->has_key;
    c->no_fallback = next->no_fallback;
    c->reason = NR_REASON_NONE;
    nr_queue_init(c);
}

bool nr_stand_in_ask(struct nr_call *c)
{
    while (nr_stand_in_is_there(c) && is_wanted(c) && nr_stand_in_may(c)) {
        struct nr_call_next next = {.pools = NULL};
        int reason = NR_REASON_INTERNAL;

        if (!c->stand_in(&c->x, c->reason, &next))
            return false;
        move_to(c, &next);
        switch (nr_attempt_start(c, &reason)) {
        case NR_ATTEMPT_STARTED: nr_attempt_pass_on(c); return true;
        case NR_ATTEMPT_QUEUED: return true;
        case NR_ATTEMPT_NOT: c->reason = (enum nr_reason)reason; break;
        }
    }
    return false;
}
