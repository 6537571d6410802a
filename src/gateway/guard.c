/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/guard.h"

#include <stdlib.h>

#include "base/assert.h"
#include "gateway/fault_filter.h"
#include "gateway/request.h"
#include "gateway/shed_filter.h"

/* ---- of a configuration ---- */

static bool is_guarded(const struct nr_guards *guards, const struct nr_gateway_conf *gateway,
                       uint32_t route)
{
    return guards->limits->by_listener || guards->limits->routes[route].count > 0 ||
           gateway->shedding != NULL || !gateway->routes[route].enabled ||
           guards->routes[route].fault_count > 0;
}

struct nr_guards *nr_guards_new(const struct nr_gateway_snapshot *snapshot,
                                const struct nr_guards *before)
{
    const struct nr_gateway_conf *gateway = snapshot->conf;
    struct nr_guards *guards = calloc(1, sizeof(*guards));
    bool of_services = nr_faults_of_services(snapshot);

    nr_assert(guards != NULL);
    nr_arena_init(&guards->memory, NULL, 0);
    guards->limits = nr_limits_new(snapshot->config, before != NULL ? before->limits : NULL);
    guards->routes = calloc(gateway->route_count + 1u, sizeof(*guards->routes));
    guards->guarded = calloc(gateway->route_count + 1u, sizeof(*guards->guarded));
    nr_assert(guards->routes != NULL && guards->guarded != NULL);
    guards->route_count = gateway->route_count;
    for (uint32_t i = 0; i < gateway->route_count; i++) {
        guards->routes[i].limits = guards->limits->routes[i];
        guards->routes[i].faults = nr_faults_of_route(snapshot, i, of_services, &guards->memory,
                                                      &guards->routes[i].fault_count);
        guards->guarded[i] = is_guarded(guards, gateway, i);
    }
    return guards;
}

void nr_guards_free(struct nr_guards *guards)
{
    if (guards == NULL)
        return;
    for (uint32_t i = 0; i < guards->route_count; i++)
        nr_route_hand_unref(atomic_load_explicit(&guards->routes[i].hand, memory_order_relaxed));
    nr_limits_free(guards->limits);
    free(guards->routes);
    free(guards->guarded);
    nr_arena_done(&guards->memory);
    free(guards);
}

const struct nr_guard *nr_guards_of(const struct nr_guards *guards, uint32_t route)
{
    return guards->guarded[route] ? &guards->routes[route] : NULL;
}

/* ---- holding ---- */

/* The filters in their order. Two of them may hold a request; behind such a wait it goes on with
 * the next. */
enum stage { AT_SWITCH, AT_LIMITS, AT_SHEDDING, AT_FAULTS };

struct nr_hold {
    struct nr_timer timer;
    struct nr_request *request;
    uint64_t since_ns;
    enum stage next;
    uint32_t fault; /* with AT_FAULTS: from which on */
};

static bool run(struct nr_request *request, const struct nr_peer *peer, enum stage stage,
                uint32_t fault);

static struct nr_io *io_of(const struct nr_request *request)
{
    return request->port->worker->io;
}

static void note_held(struct nr_request *request)
{
    uint64_t held_ns = nr_io_now_ns(io_of(request)) - request->hold->since_ns;

    request->record.queue_us += (uint32_t)(held_ns / 1000);
    request->hold = NULL;
}

static void held_long_enough(struct nr_op *op)
{
    struct nr_hold *held = nr_container_of(op, struct nr_hold, timer.op);
    struct nr_request *request = held->request;

    note_held(request);
    if (run(request, nr_exchange_peer(request->down), held->next, held->fault))
        nr_proxy_resume(request);
}

static const struct nr_op_kind hold_kind = {held_long_enough, "gateway.hold"};

static void hold(struct nr_request *request, uint64_t wait_ns, enum stage next, uint32_t fault)
{
    struct nr_hold *held = nr_arena_zalloc(request->down->arena, sizeof(*held));

    held->request = request;
    held->since_ns = nr_io_now_ns(io_of(request));
    held->next = next;
    held->fault = fault;
    nr_timer_init(&held->timer, &hold_kind);
    nr_timer_arm(io_of(request), &held->timer, held->since_ns + wait_ns);
    request->hold = held;
}

void nr_guard_let_go(struct nr_request *request)
{
    nr_timer_disarm(io_of(request), &request->hold->timer);
    note_held(request);
}

/* ---- the filters ---- */

static bool ask_limits(struct nr_request *request, const struct nr_peer *peer)
{
    const struct nr_guards *guards = request->view->snapshot->guards;
    uint64_t wait_ns = 0;

    switch (nr_limit_filter(request, peer, nr_route_guard(request->route)->limits,
                            guards->limits->listeners[request->port->number], &wait_ns)) {
    case NR_LIMIT_PASS: return true;
    case NR_LIMIT_HOLD: hold(request, wait_ns, AT_SHEDDING, 0); return false;
    case NR_LIMIT_ANSWERED: return false;
    }
    return false;
}

/* Is the feature on? By hand or as configured. */
static bool is_enabled(struct nr_request *request)
{
    const struct nr_route_hand *hand =
        atomic_load_explicit(&nr_route_guard(request->route)->hand, memory_order_acquire);
    enum nr_said said = nr_unlikely(hand != NULL) ? nr_route_hand_enabled(hand) : NR_SAID_NOTHING;

    if (nr_likely(said == NR_SAID_NOTHING))
        return request->route->conf->enabled;
    if (said == NR_SAID_NO)
        request->record.flags |= NR_RECORD_BY_HAND;
    return said == NR_SAID_YES;
}

static bool put_in_faults(struct nr_request *request, uint32_t from)
{
    uint64_t wait_ns = 0;
    uint32_t next = 0;

    switch (nr_fault_filter(request, from, &next, &wait_ns)) {
    case NR_FAULT_PASS: return true;
    case NR_FAULT_HOLD: hold(request, wait_ns, AT_FAULTS, next); return false;
    case NR_FAULT_DONE: return false;
    }
    return false;
}

/* Are there any, by hand or as configured? */
static bool has_faults(const struct nr_request *request)
{
    const struct nr_guard *guard = nr_route_guard(request->route);
    const struct nr_route_hand *hand = atomic_load_explicit(&guard->hand, memory_order_acquire);

    return guard->fault_count > 0 || (hand != NULL && nr_route_hand_faulty(hand)) ||
           request->live != NULL;
}

/* From this stage on; false when it was answered, or is held. */
static bool run(struct nr_request *request, const struct nr_peer *peer, enum stage stage,
                uint32_t fault)
{
    if (stage <= AT_SWITCH && nr_unlikely(!is_enabled(request))) {
        nr_problem_reason(request, NR_REASON_FEATURE_OFF);
        return false;
    }
    if (stage <= AT_LIMITS && !ask_limits(request, peer))
        return false;
    if (stage <= AT_SHEDDING && !nr_shed_filter(request, peer))
        return false;
    return !has_faults(request) || put_in_faults(request, fault);
}

void nr_guard_aim(struct nr_request *request, const struct nr_peer *peer)
{
    nr_limit_aim(request, peer, nr_route_guard(request->route)->limits);
}

bool nr_guard_admit(struct nr_request *request, const struct nr_peer *peer)
{
    return run(request, peer, AT_SWITCH, 0);
}
