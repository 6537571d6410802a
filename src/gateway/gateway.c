/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/gateway.h"

#include <stdlib.h>

#include "base/assert.h"
#include "gateway/request.h"
#include "service/service_conf.h"

enum { REPLAY_BYTES_MAX = 64 * 1024 * 1024 }; /* request bodies kept for a retry, per worker */

/* ---- what the workers share ---- */

static enum nr_code make_services(struct nr_gateway *gateway, struct nr_err *err)
{
    const struct nr_services_conf *conf = nr_services_conf_of(gateway->config);

    gateway->services = calloc(conf->count + 1, sizeof(struct nr_service *));
    nr_assert(gateway->services != NULL);
    for (uint32_t i = 0; i < conf->count; i++) {
        if (nr_service_new(&conf->items[i], i, &gateway->services[i], err) != NR_OK)
            return nr_err_wrap(err, "service '%s'", conf->items[i].name.ptr);
        gateway->service_count++;
    }
    return NR_OK;
}

/* Who serves GET serves HEAD: RFC 9110, 9.3.2. */
static uint64_t with_head(uint64_t methods)
{
    return methods & ((uint64_t)1 << NR_METHOD_GET) ? methods | (uint64_t)1 << NR_METHOD_HEAD
                                                    : methods;
}

static void make_routes(struct nr_gateway *gateway)
{
    const struct nr_gateway_conf *conf = gateway->conf;
    const struct nr_services_conf *services = nr_services_conf_of(gateway->config);
    struct nr_router_rule *rules = calloc(conf->route_count + 1, sizeof(*rules));

    gateway->routes = calloc(conf->route_count + 1, sizeof(*gateway->routes));
    nr_assert(rules != NULL && gateway->routes != NULL);
    for (uint32_t i = 0; i < conf->route_count; i++) {
        const struct nr_route_conf *route = &conf->routes[i];
        const struct nr_service_conf *service = nr_service_conf_find(services, route->service);

        nr_assert(service != NULL); /* the loader checked it */
        gateway->routes[i] = (struct nr_gateway_route){
            .conf = route, .service = (uint32_t)(service - services->items)};
        rules[i] = (struct nr_router_rule){
            .hosts = route->match.hosts,
            .host_count = route->match.host_count,
            .path = route->match.path,
            .methods = with_head(route->match.methods),
        };
    }
    gateway->router = nr_router_new(rules, conf->route_count);
    free(rules);
}

enum nr_code nr_gateway_new(struct nr_config *config, struct nr_gateway **ret_gateway,
                            struct nr_err *err)
{
    struct nr_gateway *gateway = calloc(1, sizeof(*gateway));
    enum nr_code code;

    nr_assert(gateway != NULL);
    gateway->config = nr_config_ref(config);
    gateway->conf = nr_gateway_conf_of(config);
    code = make_services(gateway, err);
    if (code != NR_OK) {
        nr_gateway_free(gateway);
        return code;
    }
    make_routes(gateway);
    *ret_gateway = gateway;
    return NR_OK;
}

void nr_gateway_free(struct nr_gateway *gateway)
{
    if (gateway == NULL)
        return;
    nr_gateway_close_listeners(gateway);
    for (uint32_t i = 0; i < gateway->service_count; i++)
        nr_service_free(gateway->services[i]);
    free(gateway->services);
    free(gateway->routes);
    free(gateway->listeners);
    nr_router_free(gateway->router);
    nr_config_unref(gateway->config);
    free(gateway);
}

static enum nr_code open_listener(struct nr_gateway *gateway, struct nr_io *const *engines,
                                  uint32_t count, const struct nr_gateway_listen_conf *conf,
                                  struct nr_err *err)
{
    struct nr_listen_conf listen = {.unix_mode = conf->unix_mode, .inherited_fd = -1};

    if (nr_addr_parse(conf->address.text.ptr, &listen.address, err) != NR_OK)
        return nr_err_wrap(err, "listen address '%s'", conf->address.text.ptr);
    if (nr_listener_open(engines, count, &listen, &gateway->listeners[gateway->listener_count],
                         err) != NR_OK)
        return err->code;
    gateway->listener_count++;
    return NR_OK;
}

enum nr_code nr_gateway_listen(struct nr_gateway *gateway, struct nr_io *const *engines,
                               uint32_t count, struct nr_err *err)
{
    const struct nr_gateway_conf *conf = gateway->conf;

    gateway->listeners = calloc(conf->listen_count + 1, sizeof(struct nr_listener *));
    nr_assert(gateway->listeners != NULL);
    for (uint32_t i = 0; i < conf->listen_count; i++) {
        if (open_listener(gateway, engines, count, &conf->listen[i], err) == NR_OK)
            continue;
        nr_gateway_close_listeners(gateway);
        return err->code;
    }
    return NR_OK;
}

void nr_gateway_close_listeners(struct nr_gateway *gateway)
{
    for (uint32_t i = 0; i < gateway->listener_count; i++)
        nr_listener_close(gateway->listeners[i]);
    gateway->listener_count = 0;
}

uint32_t nr_gateway_service_count(const struct nr_gateway *gateway)
{
    return gateway->service_count;
}

struct nr_service *nr_gateway_service(const struct nr_gateway *gateway, uint32_t service)
{
    nr_assert(service < gateway->service_count);
    return gateway->services[service];
}

uint32_t nr_gateway_route_count(const struct nr_gateway *gateway)
{
    return gateway->conf->route_count;
}

struct nr_span nr_gateway_route_name(const struct nr_gateway *gateway, uint32_t route)
{
    if (route >= gateway->conf->route_count)
        return NR_SPAN("");
    return gateway->conf->routes[route].name;
}

struct nr_span nr_gateway_service_name(const struct nr_gateway *gateway, uint32_t service)
{
    if (service >= gateway->service_count)
        return NR_SPAN("");
    return nr_service_conf(gateway->services[service])->name;
}

uint32_t nr_gateway_listener_count(const struct nr_gateway *gateway)
{
    return gateway->listener_count;
}

struct nr_addr nr_gateway_listener_address(const struct nr_gateway *gateway, uint32_t listener)
{
    nr_assert(listener < gateway->listener_count);
    return nr_listener_address(gateway->listeners[listener]);
}

/* ---- one worker ---- */

static uint32_t worker_share(uint32_t whole, uint32_t workers)
{
    return workers > 1 ? (whole + workers - 1) / workers : whole;
}

static struct nr_server_conf server_conf(const struct nr_gateway_listen_conf *listen,
                                         uint32_t workers)
{
    const struct nr_listen_limits_conf *limits = &listen->limits;
    struct nr_server_conf conf = nr_server_conf_default;

    conf.limits.head_bytes_max = (uint32_t)limits->max_head_bytes;
    conf.limits.fields_max = limits->max_fields;
    if (conf.limits.target_bytes_max > conf.limits.head_bytes_max)
        conf.limits.target_bytes_max = conf.limits.head_bytes_max;
    conf.connections_max = worker_share(limits->max_connections, workers);
    conf.header_timeout_ns = limits->header_timeout_ns;
    conf.body_timeout_ns = limits->body_timeout_ns;
    conf.write_timeout_ns = limits->body_timeout_ns;
    conf.idle_timeout_ns = limits->idle_timeout_ns;
    if (limits->min_rate.count > 0)
        conf.body_bytes_per_s_min =
            (uint64_t)((double)limits->min_rate.count * 1e9 / (double)limits->min_rate.per_ns);
    conf.half_close = listen->half_close == NR_HALF_CLOSE_ALLOW;
    return conf;
}

struct nr_gateway_worker *nr_gateway_worker_new(struct nr_gateway *gateway, struct nr_io *io,
                                                struct nr_record_sink *sink, uint32_t workers)
{
    struct nr_gateway_worker *worker = calloc(1, sizeof(*worker));

    nr_assert(worker != NULL);
    worker->gateway = gateway;
    worker->io = io;
    worker->sink = sink;
    worker->budget.replay_bytes_max = REPLAY_BYTES_MAX;
    worker->pools = calloc(gateway->service_count + 1, sizeof(struct nr_service_pools *));
    worker->ports = calloc(gateway->listener_count + 1, sizeof(*worker->ports));
    worker->port_count = gateway->listener_count;
    nr_assert(worker->pools != NULL && worker->ports != NULL);
    for (uint32_t i = 0; i < gateway->service_count; i++)
        worker->pools[i] = nr_service_pools_new(gateway->services[i], io);
    for (uint32_t i = 0; i < worker->port_count; i++) {
        struct nr_gateway_port *port = &worker->ports[i];

        port->handler = (struct nr_handler){nr_proxy_request, nr_proxy_refused};
        port->worker = worker;
        port->conf = &gateway->conf->listen[i];
        port->id = i;
        port->server_conf = server_conf(port->conf, workers);
        port->server = nr_server_new(io, gateway->listeners[i], &port->server_conf, &port->handler);
    }
    return worker;
}

static void port_drained(void *ctx)
{
    struct nr_gateway_worker *worker = ctx;

    nr_assert(worker->draining_ports > 0);
    if (--worker->draining_ports == 0)
        worker->drained(worker->drained_ctx);
}

static void no_ports_drained(struct nr_op *op)
{
    struct nr_gateway_worker *worker = nr_container_of(op, struct nr_gateway_worker, drained_op);

    worker->drained(worker->drained_ctx);
}

static const struct nr_op_kind no_ports_kind = {no_ports_drained, "gateway.drained"};

void nr_gateway_worker_drain(struct nr_gateway_worker *worker, void (*drained)(void *ctx),
                             void *ctx)
{
    worker->drained = drained;
    worker->drained_ctx = ctx;
    worker->draining_ports = worker->port_count;
    for (uint32_t i = 0; i < worker->port_count; i++) {
        nr_server_on_drained(worker->ports[i].server, port_drained, worker);
        nr_server_drain(worker->ports[i].server);
    }
    if (worker->port_count > 0)
        return;
    nr_op_init(&worker->drained_op, &no_ports_kind);
    nr_io_defer(worker->io, &worker->drained_op);
}

void nr_gateway_worker_abort(struct nr_gateway_worker *worker)
{
    for (uint32_t i = 0; i < worker->port_count; i++)
        nr_server_abort(worker->ports[i].server);
}

void nr_gateway_worker_free(struct nr_gateway_worker *worker)
{
    if (worker == NULL)
        return;
    for (uint32_t i = 0; i < worker->port_count; i++)
        nr_server_free(worker->ports[i].server);
    for (uint32_t i = 0; i < worker->gateway->service_count; i++)
        nr_service_pools_free(worker->pools[i]);
    free(worker->ports);
    free(worker->pools);
    free(worker);
}

struct nr_server_counts nr_gateway_worker_counts(const struct nr_gateway_worker *worker)
{
    struct nr_server_counts sum = {0};

    for (uint32_t i = 0; i < worker->port_count; i++) {
        const struct nr_server_counts *counts = nr_server_counts(worker->ports[i].server);

        sum.accepted += __atomic_load_n(&counts->accepted, __ATOMIC_RELAXED);
        sum.requests += __atomic_load_n(&counts->requests, __ATOMIC_RELAXED);
        sum.refused += __atomic_load_n(&counts->refused, __ATOMIC_RELAXED);
        sum.open += __atomic_load_n(&counts->open, __ATOMIC_RELAXED);
        sum.active += __atomic_load_n(&counts->active, __ATOMIC_RELAXED);
    }
    return sum;
}
