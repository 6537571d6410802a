/* SPDX-License-Identifier: Apache-2.0 */
/* permit.c - the bulkhead of a service: who may call now, who waits, and how a permit that is given
 * back finds the next one in the queue.
 *
 * A permit that is waited for has an owner on some worker. Who gives one back takes the fates of
 * those that this decides off the queue under the lock, and tells their owners afterwards, by a
 * post to their engines. Between the two the owner cannot get away: nr_permit_cancel says, under
 * the same lock, whether it is still waiting (then nobody will post) or its fate is on the way
 * (then it must be awaited, even if nobody wants it any more). So a permit is never lost and never
 * granted twice.
 *
 * Without a section the same bulkhead is a safety net: 1,024 calls at once and 8,192 waiting, which
 * only a service that hangs reaches. */
#include <string.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "base/reason.h"
#include "service/state.h"

#define NOTICE_PAUSE_NS ((uint64_t)10 * 1000000000)

static uint32_t configured(const struct nr_service *service)
{
    const struct nr_service_bulkhead_conf *conf = service->conf->bulkhead;

    return conf != NULL ? conf->policy.concurrent : nr_bulkhead_net.concurrent;
}

/* With the lock held: how many permits there are, by hand, as learnt, or as configured. */
static void settle(struct nr_service *service)
{
    struct nr_permits *permits = &service->permits;

    if (nr_unlikely(permits->own > 0))
        permits->conf.concurrent = permits->own;
    else if (service->adaptive)
        permits->conf.concurrent = nr_adaptive_limit(&permits->adaptive, &permits->adaptive_conf);
    else
        permits->conf.concurrent = configured(service);
}

void nr_permits_init(struct nr_service *service)
{
    const struct nr_service_bulkhead_conf *conf = service->conf->bulkhead;
    struct nr_permits *permits = &service->permits;

    nr_bulkhead_init(&permits->bulkhead);
    permits->conf = conf != NULL ? conf->policy : nr_bulkhead_net;
    if (!nr_bulkhead_is_adaptive(conf))
        return;
    permits->adaptive_conf = nr_bulkhead_adaptive(conf->adaptive);
    nr_adaptive_init(&permits->adaptive, &permits->adaptive_conf, 0);
    settle(service);
}

void nr_permit_init(struct nr_permit *permit, struct nr_service *service, struct nr_io *io,
                    const struct nr_op_kind *kind)
{
    nr_bulkhead_node_init(&permit->node);
    nr_op_init(&permit->op, kind);
    permit->service = service;
    permit->io = io;
    permit->next = NULL;
}

/* ---- getting in, with the lock held ---- */

static int reason_of(const struct nr_service *service, enum nr_bulkhead_verdict verdict)
{
    switch (verdict) {
    case NR_BULKHEAD_NO_TIME: return NR_REASON_DEADLINE;
    case NR_BULKHEAD_EXPIRED: return NR_REASON_QUEUE_TIMEOUT;
    case NR_BULKHEAD_SHED: return NR_REASON_QUEUE_SHED;
    default:
        return service->conf->bulkhead != NULL ? NR_REASON_BULKHEAD_FULL : NR_REASON_OVERLOADED;
    }
}

/* A line in the log at most every ten seconds: under overload there would be thousands. */
static void count_refusal(struct nr_service *service, enum nr_bulkhead_verdict verdict,
                          uint64_t now_ns)
{
    struct nr_permits *permits = &service->permits;

    if (verdict == NR_BULKHEAD_NO_TIME)
        return;
    permits->refused[verdict == NR_BULKHEAD_FULL      ? NR_PERMIT_FULL
                     : verdict == NR_BULKHEAD_EXPIRED ? NR_PERMIT_TIMEOUT
                                                      : NR_PERMIT_SHED]++;
    if (permits->told_ns != 0 && now_ns < permits->told_ns + NOTICE_PAUSE_NS)
        return;
    permits->told_ns = now_ns > 0 ? now_ns : 1;
    nr_service_notice(service, &(struct nr_notice){.kind = NR_NOTICE_FULL,
                                                   .instance = permits->bulkhead.in_flight,
                                                   .route = permits->bulkhead.queued});
}

bool nr_permit_enter(struct nr_service *service, struct nr_pick *pick)
{
    struct nr_permits *permits = &service->permits;
    const struct nr_service_bulkhead_conf *section = service->conf->bulkhead;
    struct nr_bulkhead_conf conf;
    enum nr_bulkhead_verdict verdict;

    if (pick->permit->node.place == NR_BULKHEAD_INSIDE)
        return true; /* it has waited */
    if (nr_unlikely(section != NULL && section->observe_only)) {
        conf = permits->conf;
        if (permits->bulkhead.in_flight >= conf.concurrent)
            pick->flags |= NR_RECORD_WOULD_QUEUE;
        conf.concurrent = UINT32_MAX;
        verdict = nr_bulkhead_enter(&permits->bulkhead, &conf, &pick->permit->node, pick->now_ns,
                                    pick->deadline_ns, false);
    } else {
        verdict = nr_bulkhead_enter(&permits->bulkhead, &permits->conf, &pick->permit->node,
                                    pick->now_ns, pick->deadline_ns, !pick->repeat);
    }
    if (nr_likely(verdict == NR_BULKHEAD_GRANTED))
        return true;
    pick->queued = verdict == NR_BULKHEAD_QUEUED;
    if (!pick->queued) {
        pick->reason = (int)reason_of(service, verdict);
        count_refusal(service, verdict, pick->now_ns);
    }
    return false;
}

/* ---- getting out ---- */

struct nr_permit *nr_permit_leave(struct nr_service *service, struct nr_permit *permit,
                                  uint64_t now_ns)
{
    struct nr_permits *permits = &service->permits;
    struct nr_permit *first = NULL, **last = &first;
    struct nr_bulkhead_node *node;
    enum nr_bulkhead_verdict verdict;

    if (permit != NULL)
        nr_bulkhead_leave(&permits->bulkhead, &permit->node);
    if (nr_likely(permits->bulkhead.queued == 0 && permits->conf.codel_target_ns == 0))
        return NULL;
    while ((node = nr_bulkhead_next(&permits->bulkhead, &permits->conf, now_ns, &verdict)) !=
           NULL) {
        struct nr_permit *next = nr_container_of(node, struct nr_permit, node);

        next->reason = NR_REASON_NONE;
        if (verdict != NR_BULKHEAD_GRANTED) {
            next->reason = (int)reason_of(service, verdict);
            count_refusal(service, verdict, now_ns);
        }
        next->next = NULL;
        *last = next;
        last = &next->next;
    }
    return first;
}

void nr_permit_tell(struct nr_permit *first, const struct nr_io *own)
{
    while (nr_unlikely(first != NULL)) {
        struct nr_permit *next = first->next; /* once told, it is its owner's */

        if (first->io == own)
            nr_io_defer(first->io, &first->op);
        else
            nr_io_post(first->io, &first->op);
        first = next;
    }
}

bool nr_permit_cancel(struct nr_permit *permit, bool timeout)
{
    struct nr_service *service = permit->service;
    struct nr_io *bell = NULL;
    bool waited;

    nr_spinlock_lock(&service->lock);
    waited = nr_bulkhead_cancel(&service->permits.bulkhead, &permit->node);
    if (waited && timeout) {
        count_refusal(service, NR_BULKHEAD_EXPIRED, nr_io_now_ns(permit->io));
        bell = nr_service_bell(service);
    }
    nr_spinlock_unlock(&service->lock);
    nr_service_ring(service, bell);
    return waited;
}

void nr_permit_give_back(struct nr_permit *permit)
{
    struct nr_service *service = permit->service;
    struct nr_permit *told;

    nr_spinlock_lock(&service->lock);
    told = nr_permit_leave(service, permit, nr_io_now_ns(permit->io));
    nr_spinlock_unlock(&service->lock);
    nr_permit_tell(told, permit->io);
}

/* ---- learning ---- */

/* What says that the service has too much to do: it does not answer, or says so. */
static bool is_overload(const struct nr_outcome *outcome)
{
    return !outcome->ok && (outcome->status == 0 || outcome->status == 503 ||
                            outcome->status == 504 || outcome->status == 429);
}

void nr_permit_learn(struct nr_service *service, const struct nr_outcome *outcome)
{
    struct nr_permits *permits = &service->permits;

    if (outcome->latency_ns > 0 &&
        nr_adaptive_report(&permits->adaptive, &permits->adaptive_conf, outcome->now_ns,
                           outcome->latency_ns, permits->bulkhead.in_flight, is_overload(outcome)))
        settle(service);
}

/* ---- by hand ---- */

void nr_service_set_concurrent(struct nr_service *service, uint32_t concurrent, struct nr_io *io)
{
    struct nr_permit *told;

    nr_spinlock_lock(&service->lock);
    service->permits.own = concurrent;
    settle(service);
    told = nr_permit_leave(service, NULL, nr_io_now_ns(io));
    nr_spinlock_unlock(&service->lock);
    nr_permit_tell(told, io);
}

void nr_permits_inherit(struct nr_service *to, struct nr_service *from)
{
    struct nr_adaptive adaptive;
    uint64_t refused[NR_PERMIT_REFUSALS];
    uint32_t own;

    nr_spinlock_lock(&from->lock);
    adaptive = from->permits.adaptive;
    own = from->permits.own;
    memcpy(refused, from->permits.refused, sizeof(refused));
    nr_spinlock_unlock(&from->lock);
    nr_spinlock_lock(&to->lock);
    for (int i = 0; i < NR_PERMIT_REFUSALS; i++)
        to->permits.refused[i] += refused[i];
    if (to->adaptive && from->adaptive)
        to->permits.adaptive = adaptive;
    if (to->adaptive == from->adaptive && configured(to) == configured(from))
        to->permits.own = own;
    settle(to);
    nr_spinlock_unlock(&to->lock);
}
