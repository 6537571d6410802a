/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/guard.h"

#include <stdlib.h>

#include "base/assert.h"
#include "gateway/request.h"

/* ---- of a configuration ---- */

struct nr_guards *nr_guards_new(const struct nr_config *config, const struct nr_guards *before)
{
    const struct nr_gateway_conf *gateway = nr_gateway_conf_of(config);
    struct nr_guards *guards = calloc(1, sizeof(*guards));

    nr_assert(guards != NULL);
    guards->limits = nr_limits_new(config, before != NULL ? before->limits : NULL);
    guards->routes = calloc(gateway->route_count + 1u, sizeof(*guards->routes));
    guards->guarded = calloc(gateway->route_count + 1u, sizeof(*guards->guarded));
    nr_assert(guards->routes != NULL && guards->guarded != NULL);
    for (uint32_t i = 0; i < gateway->route_count; i++) {
        guards->routes[i].limits = guards->limits->routes[i];
        guards->guarded[i] = guards->limits->by_listener || guards->routes[i].limits.count > 0;
    }
    return guards;
}

void nr_guards_free(struct nr_guards *guards)
{
    if (guards == NULL)
        return;
    nr_limits_free(guards->limits);
    free(guards->routes);
    free(guards->guarded);
    free(guards);
}

const struct nr_guard *nr_guards_of(const struct nr_guards *guards, uint32_t route)
{
    return guards->guarded[route] ? &guards->routes[route] : NULL;
}

/* ---- holding ---- */

struct nr_hold {
    struct nr_timer timer;
    struct nr_request *request;
    uint64_t since_ns;
};

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
    struct nr_request *request = nr_container_of(op, struct nr_hold, timer.op)->request;

    note_held(request);
    nr_proxy_resume(request);
}

static const struct nr_op_kind hold_kind = {held_long_enough, "gateway.hold"};

static void hold(struct nr_request *request, uint64_t wait_ns)
{
    struct nr_hold *held = nr_arena_zalloc(request->down->arena, sizeof(*held));

    held->request = request;
    held->since_ns = nr_io_now_ns(io_of(request));
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

bool nr_guard_admit(struct nr_request *request, const struct nr_peer *peer)
{
    const struct nr_gateway_snapshot *snapshot = request->view->snapshot;
    const struct nr_guard *guard = request->route->guard;
    uint64_t wait_ns = 0;

    switch (nr_limit_filter(request, peer, guard->limits,
                            snapshot->guards->limits->listeners[request->port->number], &wait_ns)) {
    case NR_LIMIT_PASS: break;
    case NR_LIMIT_HOLD: hold(request, wait_ns); return false;
    case NR_LIMIT_ANSWERED: return false;
    }
    return true;
}
