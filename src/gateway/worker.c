/* SPDX-License-Identifier: Apache-2.0 */
/* worker.c - what of the gateway belongs to one engine's thread, and how it goes from one
 * configuration to the next: see living.h. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "gateway/request.h"

enum { REPLAY_BYTES_MAX = 64 * 1024 * 1024 }; /* request bodies kept for a retry, per worker */

static void *zeroed(size_t count, size_t bytes)
{
    void *memory = calloc(count > 0 ? count : 1, bytes);

    nr_assert(memory != NULL);
    return memory;
}

/* ---- pools ---- */

/* The last connections were closed before this was queued, so they have all called back. */
static void pools_gone(struct nr_op *op)
{
    struct nr_gateway_pools *pools = nr_container_of(op, struct nr_gateway_pools, op);

    nr_gateway_service_unref(pools->service);
    free(pools);
}

static const struct nr_op_kind pools_kind = {pools_gone, "gateway.pools_gone"};

static struct nr_gateway_pools *pools_new(struct nr_gateway_worker *worker,
                                          struct nr_gateway_service *service)
{
    struct nr_gateway_pools *pools = zeroed(1, sizeof(*pools));

    pools->io = worker->io;
    pools->service = nr_gateway_service_ref(service);
    pools->pools = nr_service_pools_new(service->service, worker->io);
    pools->refs = 1;
    nr_op_init(&pools->op, &pools_kind);
    return pools;
}

void nr_pools_release(struct nr_gateway_pools *pools)
{
    nr_assert(pools->refs > 0);
    if (--pools->refs > 0)
        return;
    nr_service_pools_free(pools->pools);
    nr_io_defer(pools->io, &pools->op);
}

/* ---- views ---- */

static void view_free(struct nr_op *op)
{
    struct nr_gateway_view *view = nr_container_of(op, struct nr_gateway_view, op);

    for (uint32_t i = 0; i < view->snapshot->service_count; i++)
        nr_pools_release(view->pools[i]);
    nr_snapshot_unref(view->snapshot);
    free(view);
}

static const struct nr_op_kind view_kind = {view_free, "gateway.view_free"};

static struct nr_gateway_pools *pools_of(const struct nr_gateway_view *view,
                                         const struct nr_gateway_service *service, uint32_t index)
{
    uint32_t count = view != NULL ? view->snapshot->service_count : 0;

    if (index < count && view->pools[index]->service == service)
        return view->pools[index];
    for (uint32_t i = 0; i < count; i++)
        if (view->pools[i]->service == service)
            return view->pools[i];
    return NULL;
}

/* Takes the reference to the snapshot over. */
static struct nr_gateway_view *view_new(struct nr_gateway_worker *worker,
                                        struct nr_gateway_snapshot *snapshot)
{
    uint32_t count = snapshot->service_count;
    struct nr_gateway_view *view = zeroed(1, sizeof(*view) + count * sizeof(view->pools[0]));

    view->io = worker->io;
    view->snapshot = snapshot;
    view->refs = 1;
    nr_op_init(&view->op, &view_kind);
    for (uint32_t i = 0; i < count; i++) {
        view->pools[i] = pools_of(worker->view, snapshot->services[i], i);
        if (view->pools[i] != NULL)
            view->pools[i]->refs++;
        else
            view->pools[i] = pools_new(worker, snapshot->services[i]);
    }
    return view;
}

void nr_view_release(struct nr_gateway_view *view)
{
    nr_assert(view->refs > 0);
    if (nr_unlikely(--view->refs == 0))
        nr_io_defer(view->io, &view->op);
}

/* ---- ports ---- */

static void add_counts(struct nr_server_counts *sum, const struct nr_server_counts *counts)
{
    sum->accepted += __atomic_load_n(&counts->accepted, __ATOMIC_RELAXED);
    sum->requests += __atomic_load_n(&counts->requests, __ATOMIC_RELAXED);
    sum->refused += __atomic_load_n(&counts->refused, __ATOMIC_RELAXED);
    sum->proxy_refused += __atomic_load_n(&counts->proxy_refused, __ATOMIC_RELAXED);
    sum->crowded += __atomic_load_n(&counts->crowded, __ATOMIC_RELAXED);
    sum->open += __atomic_load_n(&counts->open, __ATOMIC_RELAXED);
    sum->active += __atomic_load_n(&counts->active, __ATOMIC_RELAXED);
}

static void port_free(struct nr_gateway_port *port)
{
    nr_list_remove(&port->of_control);
    nr_port_done(port);
    nr_gateway_listener_unref(port->listener);
    free(port);
}

/* On control: a removed listener's last connection on that worker is over. */
static void port_gone(struct nr_op *op)
{
    struct nr_gateway_port *port = nr_container_of(op, struct nr_gateway_port, gone);

    add_counts(&port->worker->gone_counts, port->counts);
    port_free(port);
}

static const struct nr_op_kind gone_kind = {port_gone, "gateway.port_gone"};

/* On the worker: tunnels and slow readers of a removed listener have had their time. */
static void limit_passed(struct nr_op *op)
{
    nr_port_abort(nr_container_of(op, struct nr_gateway_port, limit.op));
}

static const struct nr_op_kind limit_kind = {limit_passed, "gateway.port_limit"};

static struct nr_gateway_port *port_new(struct nr_gateway_worker *worker,
                                        struct nr_gateway_listener *listener, bool is_tcp)
{
    struct nr_gateway_port *port = zeroed(1, sizeof(*port));

    port->worker = worker;
    port->is_tcp = is_tcp;
    port->listener = listener;
    atomic_fetch_add_explicit(&listener->refs, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&listener->accepting, 1, memory_order_relaxed);
    port->id = listener->id;
    nr_op_init(&port->gone, &gone_kind);
    nr_link_init(&port->of_worker);
    nr_timer_init(&port->limit, &limit_kind);
    nr_list_push_back(&worker->all_ports, &port->of_control);
    return port;
}

/* A listener that turns from HTTP to TCP keeps its socket, but gets another port. */
static struct nr_gateway_port *port_on(struct nr_gateway_worker *worker,
                                       const struct nr_gateway_listener *listener, bool is_tcp)
{
    for (struct nr_link *at = worker->all_ports.next; at != &worker->all_ports; at = at->next) {
        struct nr_gateway_port *port = nr_container_of(at, struct nr_gateway_port, of_control);

        if (port->listener == listener && port->is_tcp == is_tcp && !port->removed)
            return port;
    }
    return NULL;
}

struct nr_gateway_port **nr_worker_plan_ports(struct nr_gateway_worker *worker,
                                              const struct nr_gateway_snapshot *snapshot)
{
    uint32_t count = snapshot->conf->listen_count;
    struct nr_gateway_port **ports = zeroed(count, sizeof(struct nr_gateway_port *));

    for (uint32_t i = 0; i < count; i++) {
        bool is_tcp = snapshot->conf->listen[i].tcp != NULL;

        ports[i] = port_on(worker, snapshot->listeners[i], is_tcp);
        if (ports[i] == NULL)
            ports[i] = port_new(worker, snapshot->listeners[i], is_tcp);
    }
    return ports;
}

/* ---- draining ---- */

static void note_drained(struct nr_gateway_worker *worker)
{
    nr_assert(worker->undrained > 0);
    if (--worker->undrained == 0 && worker->draining)
        worker->drained(worker->drained_ctx);
}

static void port_drained(void *ctx)
{
    note_drained(((struct nr_gateway_port *)ctx)->worker);
}

/* A listener that was removed: nobody asks this port for anything any more. */
static void removed_port_drained(void *ctx)
{
    struct nr_gateway_port *port = ctx;
    struct nr_gateway_worker *worker = port->worker;

    nr_list_remove(&port->of_worker);
    nr_timer_disarm(worker->io, &port->limit);
    nr_io_post(worker->gateway->control, &port->gone); /* control may free it from here on */
    note_drained(worker);
}

static void remove_port(struct nr_gateway_port *port)
{
    struct nr_gateway_worker *worker = port->worker;
    uint64_t limit_ns = worker->view->snapshot->conf->drain_timeout_ns;

    port->removed = true;
    nr_list_push_back(&worker->removed, &port->of_worker);
    nr_timer_arm(worker->io, &port->limit, nr_io_now_ns(worker->io) + limit_ns);
    nr_port_drain(port, true, removed_port_drained, port);
    if (atomic_fetch_sub(&port->listener->accepting, 1) == 1)
        nr_listener_close(port->listener->listener);
}

static void no_ports_drained(struct nr_op *op)
{
    struct nr_gateway_worker *worker = nr_container_of(op, struct nr_gateway_worker, drained_op);

    worker->drained(worker->drained_ctx);
}

static const struct nr_op_kind no_ports_kind = {no_ports_drained, "gateway.drained"};

static void drain(struct nr_gateway_worker *worker, bool gently, void (*drained)(void *ctx),
                  void *ctx)
{
    worker->drained = drained;
    worker->drained_ctx = ctx;
    worker->draining = true;
    for (uint32_t i = 0; i < worker->port_count; i++)
        nr_port_drain(worker->ports[i], gently, port_drained, worker->ports[i]);
    if (worker->undrained > 0)
        return;
    nr_op_init(&worker->drained_op, &no_ports_kind);
    nr_io_defer(worker->io, &worker->drained_op);
}

void nr_gateway_worker_drain(struct nr_gateway_worker *worker, void (*drained)(void *ctx),
                             void *ctx)
{
    drain(worker, false, drained, ctx);
}

void nr_gateway_worker_drain_gently(struct nr_gateway_worker *worker, void (*drained)(void *ctx),
                                    void *ctx)
{
    drain(worker, true, drained, ctx);
}

void nr_gateway_worker_abort(struct nr_gateway_worker *worker)
{
    for (uint32_t i = 0; i < worker->port_count; i++)
        nr_port_abort(worker->ports[i]);
    for (struct nr_link *at = worker->removed.next; at != &worker->removed; at = at->next)
        nr_port_abort(nr_container_of(at, struct nr_gateway_port, of_worker));
}

/* ---- switching ---- */

void nr_worker_switch(struct nr_gateway_worker *worker, struct nr_gateway_snapshot *snapshot,
                      struct nr_gateway_port **ports)
{
    struct nr_gateway_view *before = worker->view;

    worker->view = view_new(worker, snapshot);
    for (uint32_t i = 0; i < snapshot->conf->listen_count; i++) {
        nr_assert(ports[i] != NULL); /* planned for this very snapshot */
        ports[i]->stays = true;
        worker->undrained += nr_port_serve(ports[i], &snapshot->conf->listen[i], i);
    }
    for (uint32_t i = 0; i < worker->port_count; i++)
        if (!worker->ports[i]->stays)
            remove_port(worker->ports[i]);
    free(worker->ports);
    worker->ports = ports;
    worker->port_count = snapshot->conf->listen_count;
    for (uint32_t i = 0; i < worker->port_count; i++)
        ports[i]->stays = false;
    if (worker->sink->renamed != NULL)
        worker->sink->renamed(worker->sink);
    if (before != NULL)
        nr_view_release(before);
}

/* ---- life ---- */

struct nr_gateway_worker *nr_gateway_worker_new(struct nr_gateway *gateway, struct nr_io *io,
                                                struct nr_record_sink *sink, uint32_t workers)
{
    struct nr_gateway_worker *worker = zeroed(1, sizeof(*worker));

    worker->gateway = gateway;
    worker->io = io;
    worker->sink = sink;
    worker->share = workers;
    worker->budget.replay_bytes_max = REPLAY_BYTES_MAX;
    nr_shed_watch_init(&worker->watch);
    nr_link_init(&worker->all_ports);
    nr_link_init(&worker->removed);
    nr_gateway_add_worker(gateway, worker);
    nr_worker_switch(worker, nr_snapshot_ref(gateway->current),
                     nr_worker_plan_ports(worker, gateway->current));
    return worker;
}

void nr_gateway_worker_free(struct nr_gateway_worker *worker)
{
    if (worker == NULL)
        return;
    nr_assert(worker->view->refs == 1);
    nr_shed_watch_done(&worker->watch, worker->io);
    for (uint32_t i = 0; i < worker->port_count; i++)
        port_free(worker->ports[i]);
    nr_assert(nr_list_empty(&worker->all_ports));
    view_free(&worker->view->op);
    free(worker->ports);
    free(worker);
}

struct nr_handler *nr_gateway_worker_handler(struct nr_gateway_worker *worker, uint32_t listener)
{
    nr_assert(listener < worker->port_count && !worker->ports[listener]->is_tcp);
    return &worker->ports[listener]->handler;
}

struct nr_server_counts nr_gateway_worker_counts(const struct nr_gateway_worker *worker)
{
    struct nr_server_counts sum = worker->gone_counts;

    for (struct nr_link *at = worker->all_ports.next; at != &worker->all_ports; at = at->next) {
        const struct nr_gateway_port *port =
            nr_container_of(at, struct nr_gateway_port, of_control);
        const struct nr_server_counts *counts = __atomic_load_n(&port->counts, __ATOMIC_ACQUIRE);

        if (counts != NULL)
            add_counts(&sum, counts);
    }
    return sum;
}
