/* SPDX-License-Identifier: Apache-2.0 */
/* shed_filter.c - who is let in while there is too much, and how that is found out.
 *
 * A worker that gets a request starts to watch, unless it does: a timer fires every 20 ms, takes
 * its readings, and whichever worker comes next puts all of them together: of the loops' delays
 * the greatest, of the requests in flight the sum. The watch ends when the worker has nothing to
 * do and all is calm, so an idle gateway sleeps.
 *
 * The delay of a loop is how late the timer is. That is what every request in it suffers, whatever
 * the cause: too many of them, a slow filter, too little CPU. */
#include "gateway/shed_filter.h"

#include <string.h>

#include "base/cell.h"
#include "gateway/client.h"
#include "gateway/request.h"

#define MS_NS ((uint64_t)1000000)

static const uint64_t look_every_ns = 20 * MS_NS, reading_ns_max = 500 * MS_NS;

/* ---- readings ---- */

static struct nr_shed_input together(const struct nr_gateway *gateway, uint32_t capacity,
                                     uint64_t now_ns)
{
    uint64_t delay_ns = 0, in_flight = 0;

    for (uint32_t i = 0; i < gateway->worker_count; i++) {
        const struct nr_shed_reading *reading = &gateway->workers[i]->watch.reading;
        uint64_t at_ns = nr_cell_get(&reading->at_ns), delay = nr_cell_get(&reading->delay_ns);

        in_flight += nr_cell_get(&reading->in_flight);
        if (now_ns < at_ns + reading_ns_max && delay > delay_ns)
            delay_ns = delay;
    }
    return (struct nr_shed_input){
        .queue_ms = (double)delay_ns / 1e6,
        .limit_use = capacity > 0 ? (double)in_flight / capacity : -1,
        .cpu = -1,
    };
}

static void put(uint64_t *cell, uint64_t value)
{
    __atomic_store_n(cell, value, __ATOMIC_RELAXED);
}

static void arm(struct nr_gateway_worker *worker)
{
    nr_timer_arm(worker->io, &worker->watch.timer, nr_io_now_ns(worker->io) + look_every_ns);
}

/* With the lock held: what requests are decided by. */
static void publish(struct nr_shedder *shedder)
{
    uint8_t forced = atomic_load_explicit(&shedder->forced, memory_order_relaxed);
    uint8_t level = forced > 0 ? (uint8_t)(forced - 1) : (uint8_t)shedder->shed.level;

    atomic_store_explicit(&shedder->level, level, memory_order_relaxed);
}

void nr_shedder_force(struct nr_shedder *shedder, int level)
{
    nr_spinlock_lock(&shedder->lock);
    atomic_store_explicit(&shedder->forced, (uint8_t)(level + 1), memory_order_relaxed);
    publish(shedder);
    nr_spinlock_unlock(&shedder->lock);
}

static void look(struct nr_op *op)
{
    struct nr_gateway_worker *worker =
        nr_container_of(op, struct nr_gateway_worker, watch.timer.op);
    const struct nr_shedding_conf *conf = worker->view->snapshot->conf->shedding;
    struct nr_shedder *shedder = &worker->gateway->shedder;
    uint64_t now_ns = nr_io_now_ns(worker->io);
    uint64_t due_ns = worker->watch.timer.at_ns;
    struct nr_shed_conf policy;
    struct nr_shed_input input;
    enum nr_shed_level level;

    put(&worker->watch.reading.delay_ns, now_ns > due_ns ? now_ns - due_ns : 0);
    put(&worker->watch.reading.in_flight, worker->in_flight);
    put(&worker->watch.reading.at_ns, now_ns);
    if (conf != NULL) {
        policy = nr_shedding_policy(conf);
        input = together(worker->gateway, conf->capacity, now_ns);
    }
    nr_spinlock_lock(&shedder->lock);
    if (conf != NULL)
        (void)nr_shed_update(&shedder->shed, &policy, now_ns, &input);
    else
        nr_shed_init(&shedder->shed); /* a reload has taken it away */
    level = shedder->shed.level;
    publish(shedder);
    nr_spinlock_unlock(&shedder->lock);
    if (conf != NULL && (worker->in_flight > 0 || level != NR_SHED_CALM))
        arm(worker);
}

void nr_shed_watch_init(struct nr_shed_watch *watch)
{
    static const struct nr_op_kind kind = {look, "gateway.shed_look"};

    nr_timer_init(&watch->timer, &kind);
}

void nr_shed_watch_done(struct nr_shed_watch *watch, struct nr_io *io)
{
    nr_timer_disarm(io, &watch->timer);
}

/* ---- requests ---- */

static enum nr_criticality criticality_of(const struct nr_request *request,
                                          const struct nr_peer *peer,
                                          const struct nr_shedding_conf *conf)
{
    enum nr_criticality own = (enum nr_criticality)request->route->conf->priority;
    struct nr_span said;

    if (conf->header.len == 0 || !nr_client_trusted(request, &peer->addr))
        return own;
    said = nr_client_header(request->head, conf->header);
    for (const struct nr_schema_word *word = nr_priority_words; word->name != NULL; word++)
        if (nr_span_eq(said, nr_span_of(word->name)))
            return (enum nr_criticality)word->value;
    return own;
}

/* By chance, or all of them come back in the same second. */
static void refuse(struct nr_request *request, const struct nr_shedding_conf *conf)
{
    const enum nr_reason reason = NR_REASON_SHED;
    uint64_t least_s = conf->retry_after_ns / 1000000000;
    uint64_t after_s =
        least_s + nr_random_below(nr_io_random(request->port->worker->io), least_s + 1);
    struct nr_span text =
        nr_arena_printf(request->down->arena, "%llu", (unsigned long long)after_s);

    request->record.reason = reason;
    nr_problem_answer(request, &(struct nr_problem){.status = nr_reason_status(reason),
                                                    .reason = nr_reason_name(reason),
                                                    .detail = nr_reason_detail(reason),
                                                    .extra_name = NR_SPAN("Retry-After"),
                                                    .extra_value = text});
}

bool nr_shed_filter(struct nr_request *request, const struct nr_peer *peer)
{
    struct nr_gateway_worker *worker = request->port->worker;
    const struct nr_shedding_conf *conf = request->view->snapshot->conf->shedding;
    struct nr_shed now;
    enum nr_criticality criticality;

    if (conf == NULL)
        return true;
    if (!nr_timer_armed(&worker->watch.timer))
        arm(worker);
    now.level = nr_shed_level_of(&worker->gateway->shedder);
    if (nr_likely(now.level == NR_SHED_CALM))
        return true;
    criticality = criticality_of(request, peer, conf);
    if (nr_shed_admits(&now, criticality))
        return true;
    if (atomic_load_explicit(&worker->gateway->shedder.forced, memory_order_relaxed) > 0)
        request->record.flags |= NR_RECORD_BY_HAND;
    if (conf->observe_only) {
        nr_cell_add(&worker->watch.would_shed[criticality], 1);
        request->record.flags |= NR_RECORD_WOULD_SHED;
        return true;
    }
    nr_cell_add(&worker->watch.shed[criticality], 1);
    refuse(request, conf);
    return false;
}
