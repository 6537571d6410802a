/* SPDX-License-Identifier: Apache-2.0 */
/* reload.c - from one configuration to the next, while requests run.
 *
 *   prepare   a snapshot is made beside the one that serves, names of new services are looked up,
 *             new listeners bound. Whatever fails, fails here, and leaves no trace.
 *   publish   what it names gets its ids: the names of records and metrics can be made ready.
 *   switch    the gateway takes it as its own and posts it to each worker. A worker goes over in
 *             one callback: requests before it have the old view, those behind it the new one.
 *
 * Removed listeners drain on each worker, and are closed by the last that begins to. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "gateway/living.h"

struct nr_gateway_plan {
    struct nr_gateway *gateway;
    struct nr_gateway_snapshot *snapshot;
    struct nr_gateway_snapshot *before; /* what it was made from; our reference */
    struct nr_gateway_changes changes;
    bool published;
    nr_gateway_prepared_fn prepared;
    void *prepared_ctx;
    void (*done)(void *ctx);
    void *done_ctx;
    struct nr_op op;
    struct nr_err err;
};

/* ---- prepare ---- */

static bool listened_before(const struct nr_gateway_plan *plan,
                            const struct nr_gateway_listener *listener)
{
    for (uint32_t i = 0; i < plan->before->conf->listen_count; i++)
        if (plan->before->listeners[i] == listener)
            return true;
    return false;
}

/* Those that were opened for this plan go with it. */
static void close_new_listeners(struct nr_gateway_plan *plan)
{
    for (uint32_t i = 0; i < plan->snapshot->conf->listen_count; i++) {
        struct nr_gateway_listener *listener = plan->snapshot->listeners[i];

        if (listener != NULL && !listened_before(plan, listener))
            nr_listener_close(listener->listener);
    }
}

void nr_gateway_plan_free(struct nr_gateway_plan *plan)
{
    if (plan == NULL)
        return;
    if (plan->snapshot != NULL) {
        close_new_listeners(plan);
        nr_snapshot_unref(plan->snapshot);
    }
    nr_snapshot_unref(plan->before);
    free(plan);
}

static void refuse(struct nr_gateway_plan *plan)
{
    struct nr_err err = plan->err;
    nr_gateway_prepared_fn prepared = plan->prepared;
    void *ctx = plan->prepared_ctx;

    nr_gateway_plan_free(plan);
    prepared(ctx, NULL, &err);
}

static void refused(struct nr_op *op)
{
    refuse(nr_container_of(op, struct nr_gateway_plan, op));
}

static const struct nr_op_kind refused_kind = {refused, "gateway.plan_refused"};

/* Listeners come last: only now may clients notice that something is prepared. */
static void names_resolved(void *ctx, const struct nr_err *err)
{
    struct nr_gateway_plan *plan = ctx;

    if (err != NULL)
        plan->err = *err;
    else if (plan->gateway->ending)
        (void)nr_err_set(&plan->err, NR_ECANCELED, "naru is stopping");
    else if (nr_gateway_open_listeners(plan->gateway, plan->snapshot, NULL, 0, &plan->err) == NR_OK)
        plan->err.code = NR_OK;
    if (plan->err.code != NR_OK)
        refuse(plan);
    else
        plan->prepared(plan->prepared_ctx, plan, NULL);
}

void nr_gateway_prepare(struct nr_gateway *gateway, struct nr_config *config,
                        nr_gateway_prepared_fn prepared, void *ctx)
{
    struct nr_gateway_plan *plan = calloc(1, sizeof(*plan));

    nr_assert(plan != NULL && gateway->control != NULL);
    plan->gateway = gateway;
    plan->prepared = prepared;
    plan->prepared_ctx = ctx;
    plan->before = nr_snapshot_ref(gateway->current);
    if (nr_snapshot_new(config, plan->before, &plan->snapshot, &plan->changes, &plan->err) ==
        NR_OK) {
        nr_gateway_resolve_snapshot(plan->snapshot, plan->before, gateway->control, names_resolved,
                                    plan);
        return;
    }
    nr_op_init(&plan->op, &refused_kind);
    nr_io_defer(gateway->control, &plan->op);
}

void nr_gateway_no_more_plans(struct nr_gateway *gateway)
{
    gateway->ending = true;
}

struct nr_gateway_changes nr_gateway_plan_changes(const struct nr_gateway_plan *plan)
{
    return plan->changes;
}

bool nr_gateway_plan_current(const struct nr_gateway_plan *plan)
{
    return plan->before == plan->gateway->current;
}

void nr_gateway_publish(struct nr_gateway_plan *plan)
{
    nr_snapshot_publish(plan->snapshot, &plan->gateway->ids);
    plan->published = true;
}

/* ---- switch ---- */

static void all_switched(struct nr_gateway *gateway)
{
    struct nr_gateway_plan *plan = gateway->plan;
    void (*done)(void *ctx) = plan->done;
    void *ctx = plan->done_ctx;

    gateway->plan = NULL;
    nr_snapshot_unref(plan->before);
    free(plan);
    done(ctx);
}

static void worker_switched(struct nr_op *op)
{
    struct nr_gateway_worker *worker = nr_container_of(op, struct nr_gateway_worker, switched_op);

    if (--worker->gateway->switching == 0)
        all_switched(worker->gateway);
}

/* On the worker. */
static void worker_switch(struct nr_op *op)
{
    struct nr_gateway_worker *worker = nr_container_of(op, struct nr_gateway_worker, switch_op);

    nr_worker_switch(worker, worker->next, worker->next_ports);
    worker->next = NULL;
    worker->next_ports = NULL;
    nr_io_post(worker->gateway->control, &worker->switched_op);
}

static void inherit_service(struct nr_gateway_service *to, const struct nr_gateway_service *from)
{
    nr_service_inherit(to->service, from->service);
    if (to->conf->fallback != NULL)
        atomic_store_explicit(&to->fallback_said, (uint8_t)nr_fallback_said(from),
                              memory_order_relaxed);
}

/* What is known of instances that stay goes on in the new service. */
static void inherit(const struct nr_gateway_snapshot *from, const struct nr_gateway_snapshot *to)
{
    for (uint32_t i = 0; i < to->service_count; i++) {
        struct nr_gateway_service *service = to->services[i];

        for (uint32_t k = 0; k < from->service_count; k++)
            if (from->services[k] != service && from->services[k]->id == service->id)
                inherit_service(service, from->services[k]);
    }
}

void nr_gateway_switch(struct nr_gateway_plan *plan, void (*done)(void *ctx), void *ctx)
{
    static const struct nr_op_kind switch_kind = {worker_switch, "gateway.switch"};
    static const struct nr_op_kind switched_kind = {worker_switched, "gateway.switched"};
    struct nr_gateway *gateway = plan->gateway;

    nr_assert(gateway->plan == NULL && plan->published && nr_gateway_plan_current(plan));
    nr_assert(gateway->worker_count > 0);
    gateway->plan = plan;
    plan->done = done;
    plan->done_ctx = ctx;
    inherit(plan->before, plan->snapshot);
    nr_hands_adopt(gateway, plan->snapshot, plan->before);
    if (plan->snapshot->conf->shedding == NULL)
        nr_shedder_force(&gateway->shedder, NR_SHED_AUTO);
    nr_limits_adopt(plan->snapshot->guards->limits, plan->before->guards->limits);
    nr_gateway_move_health(gateway, plan->before, plan->snapshot);
    nr_snapshot_unref(gateway->current);
    gateway->current = plan->snapshot;
    gateway->switching = gateway->worker_count;
    for (uint32_t i = 0; i < gateway->worker_count; i++) {
        struct nr_gateway_worker *worker = gateway->workers[i];

        worker->next = nr_snapshot_ref(plan->snapshot);
        worker->next_ports = nr_worker_plan_ports(worker, plan->snapshot);
        nr_op_init(&worker->switch_op, &switch_kind);
        nr_op_init(&worker->switched_op, &switched_kind);
        nr_io_post(worker->io, &worker->switch_op);
    }
}
