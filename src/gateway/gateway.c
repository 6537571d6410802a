/* SPDX-License-Identifier: Apache-2.0 */
/* gateway.c - what the workers share: its life, its listeners and its health checks. */
#include "gateway/gateway.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "gateway/living.h"

/* Names that no configuration mentions any more, but that counters and records still may. */
enum {
    ROUTES_RETIRED_MAX = 1024,
    SERVICES_RETIRED_MAX = 256,
    LISTENERS_RETIRED_MAX = 64,
    LIMITS_RETIRED_MAX = 256
};

static void close_all(struct nr_gateway_snapshot *snapshot)
{
    for (uint32_t i = 0; i < snapshot->conf->listen_count; i++) {
        struct nr_gateway_listener *listener = snapshot->listeners[i];

        if (listener != NULL && listener->listener != NULL)
            nr_listener_close(listener->listener);
        if (listener != NULL)
            listener->listener = NULL;
    }
}

enum nr_code nr_gateway_new(struct nr_config *config, struct nr_gateway **ret_gateway,
                            struct nr_err *err)
{
    struct nr_gateway *gateway = calloc(1, sizeof(*gateway));
    struct nr_gateway_changes changes;
    enum nr_code code;

    nr_assert(gateway != NULL);
    nr_spinlock_init(&gateway->shedder.lock);
    nr_shed_init(&gateway->shedder.shed);
    gateway->ids.routes = nr_intern_new(ROUTES_RETIRED_MAX);
    gateway->ids.services = nr_intern_new(SERVICES_RETIRED_MAX);
    gateway->ids.listeners = nr_intern_new(LISTENERS_RETIRED_MAX);
    gateway->ids.limits = nr_intern_new(LIMITS_RETIRED_MAX);
    code = nr_snapshot_new(config, NULL, &gateway->current, &changes, err);
    if (code != NR_OK) {
        nr_gateway_free(gateway);
        return code;
    }
    nr_snapshot_publish(gateway->current, &gateway->ids);
    *ret_gateway = gateway;
    return NR_OK;
}

void nr_gateway_free(struct nr_gateway *gateway)
{
    if (gateway == NULL)
        return;
    nr_assert(gateway->plan == NULL);
    if (gateway->current != NULL)
        close_all(gateway->current);
    nr_snapshot_unref(gateway->current);
    nr_hands_free(gateway);
    for (uint32_t i = 0; i < gateway->ids.instances_cap; i++)
        nr_roster_unref(gateway->ids.instances[i]);
    free(gateway->ids.instances);
    nr_intern_free(gateway->ids.routes);
    nr_intern_free(gateway->ids.services);
    nr_intern_free(gateway->ids.listeners);
    nr_intern_free(gateway->ids.limits);
    free(gateway->engines);
    free(gateway->workers);
    free(gateway);
}

void nr_gateway_add_worker(struct nr_gateway *gateway, struct nr_gateway_worker *worker)
{
    gateway->workers =
        realloc(gateway->workers, (gateway->worker_count + 1) * sizeof(struct nr_gateway_worker *));
    nr_assert(gateway->workers != NULL);
    gateway->workers[gateway->worker_count++] = worker;
}

/* ---- listeners ---- */

static enum nr_code listener_open(struct nr_gateway *gateway,
                                  const struct nr_gateway_listen_conf *conf,
                                  struct nr_inherited *inherited, uint32_t count,
                                  struct nr_gateway_listener **ret_listener, struct nr_err *err)
{
    struct nr_gateway_listener *listener = calloc(1, sizeof(*listener));
    struct nr_listen_conf listen = {.unix_mode = conf->unix_mode};
    enum nr_code code;

    nr_assert(listener != NULL);
    atomic_init(&listener->refs, 1);
    listener->text = strdup(conf->address.text.ptr);
    nr_assert(listener->text != NULL);
    code = nr_addr_parse(listener->text, &listen.address, err);
    if (code != NR_OK) {
        code = nr_err_wrap(err, "listen address '%s'", listener->text);
    } else {
        listen.inherited_fd = nr_inherited_take(inherited, count, &listen.address);
        code = nr_listener_open(gateway->engines, gateway->engine_count, &listen,
                                &listener->listener, err);
    }
    if (code != NR_OK) {
        nr_gateway_listener_unref(listener);
        return code;
    }
    listener->crowd = nr_crowd_new(gateway->secret);
    listener->address = nr_listener_address(listener->listener);
    if (listener->address.path != NULL)
        listener->address.path = listen.address.path;
    *ret_listener = listener;
    return NR_OK;
}

void nr_gateway_listener_unref(struct nr_gateway_listener *listener)
{
    if (listener == NULL ||
        atomic_fetch_sub_explicit(&listener->refs, 1, memory_order_acq_rel) != 1)
        return;
    nr_crowd_free(listener->crowd);
    free(listener->text);
    free(listener);
}

enum nr_code nr_gateway_open_listeners(struct nr_gateway *gateway,
                                       struct nr_gateway_snapshot *snapshot,
                                       struct nr_inherited *inherited, uint32_t count,
                                       struct nr_err *err)
{
    for (uint32_t i = 0; i < snapshot->conf->listen_count; i++)
        if (snapshot->listeners[i] == NULL &&
            listener_open(gateway, &snapshot->conf->listen[i], inherited, count,
                          &snapshot->listeners[i], err) != NR_OK)
            return err->code;
    return NR_OK;
}

enum nr_code nr_gateway_listen(struct nr_gateway *gateway, struct nr_io *const *engines,
                               uint32_t count, struct nr_inherited *inherited,
                               uint32_t inherited_count, struct nr_err *err)
{
    enum nr_code code;

    gateway->engines = calloc(count, sizeof(struct nr_io *));
    nr_assert(gateway->engines != NULL);
    memcpy(gateway->engines, engines, count * sizeof(struct nr_io *));
    gateway->engine_count = count;
    nr_io_entropy(engines[0], gateway->secret, sizeof(gateway->secret));
    code = nr_gateway_open_listeners(gateway, gateway->current, inherited, inherited_count, err);
    if (code != NR_OK)
        close_all(gateway->current);
    return code;
}

void nr_gateway_close_listeners(struct nr_gateway *gateway)
{
    close_all(gateway->current);
}

/* ---- names ---- */

struct resolving {
    void (*done)(void *ctx, const struct nr_err *err);
    void *ctx;
    struct nr_op op; /* when there is nothing to resolve */
    uint32_t waiting;
    struct nr_err err; /* the first failure */
};

static void resolving_over(struct resolving *resolving)
{
    resolving->done(resolving->ctx, resolving->err.code == NR_OK ? NULL : &resolving->err);
    free(resolving);
}

static void resolved(void *ctx, const struct nr_err *err)
{
    struct resolving *resolving = ctx;

    if (err != NULL && resolving->err.code == NR_OK)
        resolving->err = *err;
    if (--resolving->waiting == 0)
        resolving_over(resolving);
}

static void nothing_to_resolve(struct nr_op *op)
{
    resolving_over(nr_container_of(op, struct resolving, op));
}

static const struct nr_op_kind nothing_kind = {nothing_to_resolve, "gateway.resolved"};

void nr_gateway_resolve_snapshot(struct nr_gateway_snapshot *snapshot,
                                 const struct nr_gateway_snapshot *before, struct nr_io *io,
                                 void (*done)(void *ctx, const struct nr_err *err), void *ctx)
{
    struct resolving *resolving = calloc(1, sizeof(*resolving));

    nr_assert(resolving != NULL);
    resolving->done = done;
    resolving->ctx = ctx;
    for (uint32_t i = 0; i < snapshot->service_count; i++) {
        if (nr_snapshot_uses(before, snapshot->services[i]))
            continue;
        resolving->waiting++;
        nr_service_resolve(snapshot->services[i]->service, io, resolved, resolving);
    }
    if (resolving->waiting > 0)
        return;
    nr_op_init(&resolving->op, &nothing_kind);
    nr_io_defer(io, &resolving->op);
}

void nr_gateway_resolve(struct nr_gateway *gateway, struct nr_io *control,
                        void (*done)(void *ctx, const struct nr_err *err), void *ctx)
{
    nr_gateway_resolve_snapshot(gateway->current, NULL, control, done, ctx);
}

/* ---- health ---- */

static void report_stopped(struct nr_op *op)
{
    struct nr_gateway *gateway = nr_container_of(op, struct nr_gateway, stopped_op);

    gateway->stopped(gateway->stopped_ctx);
}

static const struct nr_op_kind stopped_kind = {report_stopped, "gateway.stopped"};

struct stopping {
    struct nr_gateway *gateway;
    struct nr_gateway_service *service; /* our reference */
};

static void checker_stopped(void *ctx)
{
    struct stopping *stopping = ctx;
    struct nr_gateway *gateway = stopping->gateway;

    nr_gateway_service_unref(stopping->service);
    free(stopping);
    if (--gateway->checkers == 0 && gateway->stopped != NULL)
        nr_io_defer(gateway->control, &gateway->stopped_op);
}

static void stop_checker(struct nr_gateway *gateway, struct nr_gateway_service *service)
{
    struct stopping *stopping = malloc(sizeof(*stopping));

    nr_assert(stopping != NULL);
    *stopping = (struct stopping){gateway, nr_gateway_service_ref(service)};
    nr_health_stop(service->checker, checker_stopped, stopping);
    service->checker = NULL;
}

void nr_gateway_move_health(struct nr_gateway *gateway, const struct nr_gateway_snapshot *from,
                            const struct nr_gateway_snapshot *to)
{
    for (uint32_t i = 0; from != NULL && i < from->service_count; i++)
        if (!nr_snapshot_uses(to, from->services[i]))
            stop_checker(gateway, from->services[i]);
    for (uint32_t i = 0; to != NULL && i < to->service_count; i++) {
        struct nr_gateway_service *service = to->services[i];

        if (service->checker != NULL)
            continue;
        if (gateway->health_changed != NULL)
            nr_service_on_change(service->service, gateway->health_changed, gateway->health_ctx);
        nr_service_on_news(service->service, gateway->news, gateway->news_ctx);
        service->checker = nr_health_start(service->service, gateway->control);
        gateway->checkers++;
    }
}

void nr_gateway_on_news(struct nr_gateway *gateway, nr_service_news_fn news, void *ctx)
{
    gateway->news = news;
    gateway->news_ctx = ctx;
}

void nr_gateway_start(struct nr_gateway *gateway, struct nr_io *control,
                      nr_service_change_fn changed, void *ctx)
{
    gateway->control = control;
    gateway->health_changed = changed;
    gateway->health_ctx = ctx;
    nr_gateway_move_health(gateway, NULL, gateway->current);
}

void nr_gateway_stop(struct nr_gateway *gateway, void (*stopped)(void *ctx), void *ctx)
{
    nr_assert(gateway->stopped == NULL && gateway->plan == NULL);
    gateway->stopped = stopped;
    gateway->stopped_ctx = ctx;
    nr_op_init(&gateway->stopped_op, &stopped_kind);
    nr_gateway_move_health(gateway, gateway->current, NULL);
    if (gateway->checkers == 0)
        nr_io_defer(gateway->control, &gateway->stopped_op);
}

void nr_gateway_carry_by(struct nr_gateway *gateway, struct nr_transport *transport)
{
    nr_assert(gateway->worker_count == 0);
    for (uint32_t i = 0; i < gateway->current->service_count; i++)
        nr_service_carry_by(gateway->current->services[i]->service, transport);
}

/* ---- what there is ---- */

struct nr_config *nr_gateway_config(const struct nr_gateway *gateway)
{
    return gateway->current->config;
}

uint32_t nr_gateway_service_count(const struct nr_gateway *gateway)
{
    return gateway->current->service_count;
}

struct nr_service *nr_gateway_service(const struct nr_gateway *gateway, uint32_t service)
{
    nr_assert(service < gateway->current->service_count);
    return gateway->current->services[service]->service;
}

struct nr_span nr_gateway_service_name(const struct nr_gateway *gateway, uint32_t service)
{
    if (service >= gateway->current->service_count)
        return NR_SPAN("");
    return gateway->current->services[service]->conf->name;
}

uint32_t nr_gateway_listener_count(const struct nr_gateway *gateway)
{
    return gateway->current->conf->listen_count;
}

struct nr_listener *nr_gateway_listener(const struct nr_gateway *gateway, uint32_t listener)
{
    nr_assert(listener < gateway->current->conf->listen_count);
    return gateway->current->listeners[listener]->listener;
}

struct nr_addr nr_gateway_listener_address(const struct nr_gateway *gateway, uint32_t listener)
{
    nr_assert(listener < gateway->current->conf->listen_count);
    return gateway->current->listeners[listener]->address;
}

const struct nr_routes *nr_gateway_routes(const struct nr_gateway *gateway)
{
    return gateway->current->table;
}

struct nr_gateway_names nr_gateway_names(const struct nr_gateway *gateway)
{
    return (struct nr_gateway_names){.routes = gateway->ids.routes,
                                     .services = gateway->ids.services,
                                     .limits = gateway->ids.limits,
                                     .instances = gateway->ids.instances};
}
