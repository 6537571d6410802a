/* SPDX-License-Identifier: Apache-2.0 */
/* fault.c - an attempt on which faults strike, on purpose.
 *
 * The attempt has passed bulkhead, breaker and balancer and has its instance. Instead of a
 * connection it gets an exchange of ours that behaves as a bad instance would:
 *
 *     delay    nothing for so long; then the request goes to the instance after all
 *     abort    an answer with this status and nothing else, without asking the instance
 *     reset    the connection breaks
 *
 * Delays of several faults add up, and an abort or a reset comes behind them. All the rest of the
 * call sees an exchange like any other: its time is bounded, its failure reported, it is repeated,
 * or not, as if the instance may have seen the request. The one difference: no byte of a body goes
 * to such an exchange, so that none is lost on it.
 *
 * A bandwidth is only told to the owner, who passes the answer on. */
#include "base/assert.h"
#include "base/cell.h"
#include "call/state.h"

struct nr_struck {
    struct nr_exchange x;
    struct nr_timer timer;
    enum nr_attempt_fault what; /* NO_FAULT: late, nothing else */
    uint16_t status;            /* with ABORTED */
    bool over;                  /* the call has reset it */
};

/* ---- the exchange ---- */

static struct nr_struck *struck_of(const struct nr_exchange *x)
{
    return nr_container_of((struct nr_exchange *)(uintptr_t)x, struct nr_struck, x);
}

static void send_head(struct nr_exchange *x, const struct nr_head *head, bool ended)
{
    (void)x;
    (void)head;
    (void)ended;
    nr_assert(!"nothing is sent to a fault");
}

static size_t send_body(struct nr_exchange *x, struct nr_span bytes, bool ended)
{
    (void)x;
    (void)bytes;
    (void)ended;
    nr_assert(!"nothing is sent to a fault");
    return 0;
}

static void send_trailers(struct nr_exchange *x, const struct nr_head *trailers)
{
    (void)x;
    (void)trailers;
    nr_assert(!"nothing is sent to a fault");
}

static struct nr_span pending(const struct nr_exchange *x)
{
    (void)x;
    return (struct nr_span){NULL, 0};
}

static void consume(struct nr_exchange *x, size_t bytes)
{
    (void)x;
    (void)bytes;
}

static void reset(struct nr_exchange *x)
{
    struct nr_struck *struck = struck_of(x);
    struct nr_call *c = x->owner;

    if (struck->over)
        return;
    struck->over = true;
    nr_timer_arm(c->io, &struck->timer, nr_io_now_ns(c->io)); /* `end` comes from the queue */
}

static void release(struct nr_exchange *x)
{
    (void)x;
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

/* Late enough: the instance is asked after all. */
static void ask_instance(struct nr_call *c)
{
    c->attempt.up = NULL;
    c->attempt.struck = false;
    nr_attempt_go(c, c->fresh);
    nr_attempt_pass_on(c);
}

static void happens(struct nr_op *op)
{
    struct nr_struck *struck = nr_container_of(op, struct nr_struck, timer.op);
    struct nr_call *c = struck->x.owner;

    if (struck->over) {
        nr_attempt_ended(&struck->x, NR_END_RESET);
        return;
    }
    switch (struck->what) {
    case NR_ATTEMPT_NO_FAULT: ask_instance(c); return;
    case NR_ATTEMPT_BROKEN: nr_attempt_ended(&struck->x, NR_END_PEER_RESET); return;
    case NR_ATTEMPT_ABORTED:
        nr_repeat_aborted(c, struck->status);
        nr_timer_disarm(c->io, &struck->timer); /* reset, for a request that is not through */
        nr_attempt_ended(&struck->x, NR_END_DONE);
        return;
    }
}

static const struct nr_op_kind struck_kind = {happens, "call.fault"};

/* ---- chance ---- */

struct strike {
    uint64_t delay_ns;
    const struct nr_rate *bandwidth; /* NULL: as fast as it comes */
    enum nr_attempt_fault what;
    uint16_t status;
    bool by_hand;
};

static bool strikes(struct nr_call *c, const struct nr_call_fault *fault)
{
    if (fault->service == NULL ? c->hop > 0 : fault->service != c->service)
        return false;
    return fault->conf->share >= 1 || nr_random_unit(nr_io_random(c->io)) < fault->conf->share;
}

/* In the order written, up to the first that ends the attempt. */
static struct strike draw(struct nr_call *c)
{
    const struct nr_call_faults *faults = c->faults;
    struct strike strike = {.what = NR_ATTEMPT_NO_FAULT};

    for (uint32_t i = 0; i < faults->count && strike.what == NR_ATTEMPT_NO_FAULT; i++) {
        const struct nr_fault_conf *conf = faults->items[i].conf;
        enum nr_fault_kind kind = nr_fault_kind_of(conf);

        if (!strikes(c, &faults->items[i]))
            continue;
        nr_cell_add(&faults->struck[kind], 1);
        strike.by_hand |= faults->items[i].by_hand;
        switch (kind) {
        case NR_FAULT_DELAY: strike.delay_ns += conf->delay_ns; break;
        case NR_FAULT_ABORT:
            strike.what = NR_ATTEMPT_ABORTED;
            strike.status = (uint16_t)conf->abort;
            break;
        case NR_FAULT_RESET: strike.what = NR_ATTEMPT_BROKEN; break;
        default: strike.bandwidth = &conf->bandwidth;
        }
    }
    return strike;
}

bool nr_fault_strikes(struct nr_call *c)
{
    struct strike strike = draw(c);
    struct nr_attempt *a = &c->attempt;
    struct nr_record_attempt *slot = nr_attempt_slot(c);
    uint64_t first_byte_ns = c->conf->timeouts.first_byte_ns;
    struct nr_struck *struck;

    if (strike.by_hand)
        c->record->flags |= NR_RECORD_BY_HAND;
    c->faults->slow(c->faults, strike.what == NR_ATTEMPT_NO_FAULT ? strike.bandwidth : NULL);
    if (strike.delay_ns == 0 && strike.what == NR_ATTEMPT_NO_FAULT)
        return false;
    slot->late = strike.delay_ns > 0;
    slot->fault = (unsigned)strike.what & 3u;
    c->record->flags |= NR_RECORD_FAULT_ATTEMPT;
    struck = nr_arena_zalloc(c->x.arena, sizeof(*struck));
    struck->x.verbs = &verbs;
    struck->x.owner = c;
    struck->x.arena = c->x.arena;
    struck->x.times.started_ns = a->started_ns;
    struck->x.times.connected_ns = a->started_ns; /* for all that anybody knows, it was sent */
    struck->what = strike.what;
    struck->status = strike.status;
    nr_timer_init(&struck->timer, &struck_kind);
    nr_timer_arm(c->io, &struck->timer, a->started_ns + strike.delay_ns);
    a->up = &struck->x;
    a->struck = true;
    a->first_byte_ns = first_byte_ns > 0 ? a->started_ns + first_byte_ns : NR_TIME_NEVER;
    nr_call_bound(c);
    return true;
}
