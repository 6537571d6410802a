/* SPDX-License-Identifier: Apache-2.0 */
/* queue.c - waiting for a permit of the service's bulkhead, before the first attempt.
 *
 * The wait ends in one of three ways: the permit's operation comes (granted, or taken out of the
 * queue), the timer fires, or the owner resets. The latter two must ask under the service's
 * lock whether the call is still waiting; if not, the operation is on its way, and only it may end
 * the call. */
#include "base/assert.h"
#include "call/state.h"

static void note(struct nr_call *c)
{
    c->record->queue_us += (uint32_t)((nr_io_now_ns(c->io) - c->permit.node.since_ns) / 1000);
}

/* From the queue's own events, never from inside a verb. */
static void fail(struct nr_call *c, enum nr_reason reason, enum nr_end end)
{
    c->reason = reason;
    nr_call_fail(c, end);
}

static void decided(struct nr_op *op)
{
    struct nr_call *c = nr_container_of(op, struct nr_call, permit.op);
    bool granted = c->permit.node.place == NR_BULKHEAD_INSIDE;
    int reason;

    note(c);
    if (c->over) { /* the owner has left meanwhile */
        if (granted)
            nr_permit_give_back(&c->permit);
        nr_call_finish(c, NR_END_RESET);
    } else if (!granted) {
        fail(c, (enum nr_reason)c->permit.reason, NR_END_UNPROCESSED);
    } else if (nr_attempt_start(c, &reason) != NR_ATTEMPT_STARTED) {
        fail(c, (enum nr_reason)reason, NR_END_UNPROCESSED);
    } else {
        nr_attempt_pass_on(c);
    }
}

static const struct nr_op_kind decided_kind = {decided, "call.permit"};

void nr_queue_init(struct nr_call *c)
{
    nr_permit_init(&c->permit, c->service, c->io, &decided_kind);
}

void nr_queue_expired(struct nr_call *c)
{
    bool late = c->permit.node.expires_ns + 2 * NR_RETRY_LEFT_NS_MIN >= c->deadline.at_ns;

    if (!nr_permit_cancel(&c->permit, true))
        return;
    note(c);
    fail(c, late ? NR_REASON_DEADLINE : NR_REASON_QUEUE_TIMEOUT, NR_END_UNPROCESSED);
}

bool nr_queue_leave(struct nr_call *c)
{
    if (!nr_permit_cancel(&c->permit, false))
        return false;
    note(c);
    return true;
}
