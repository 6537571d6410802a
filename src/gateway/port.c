/* SPDX-License-Identifier: Apache-2.0 */
/* port.c - what a port carries: HTTP for the routes, or TCP for one service. */
#include "base/assert.h"
#include "base/compiler.h"
#include "gateway/request.h"

static uint32_t worker_share(uint32_t whole, uint32_t workers)
{
    return workers > 1 ? (whole + workers - 1) / workers : whole;
}

static struct nr_proxy_in_conf proxy_in(const struct nr_gateway_listen_conf *listen)
{
    return (struct nr_proxy_in_conf){(enum nr_proxy_in_mode)listen->proxy_protocol,
                                     listen->trusted_proxy_count, listen->trusted_proxies};
}

enum { CLIENT_CONNECTIONS_LEAST = 1024 }; /* auto: a few are nobody's flood */

/* Of all workers together: they share the crowd. */
static uint32_t client_connections_max(const struct nr_listen_limits_conf *limits)
{
    uint32_t half = limits->max_connections / 2;

    if (limits->max_client_connections > 0)
        return limits->max_client_connections;
    return half > CLIENT_CONNECTIONS_LEAST ? half : CLIENT_CONNECTIONS_LEAST;
}

static struct nr_server_conf server_conf(const struct nr_gateway_listen_conf *listen,
                                         struct nr_crowd *crowd, uint32_t workers)
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
    conf.proxy_in = proxy_in(listen);
    conf.crowd = crowd;
    conf.client_connections_max = client_connections_max(limits);
    return conf;
}

static struct nr_tcp_conf tcp_conf(const struct nr_gateway_listen_conf *listen,
                                   struct nr_crowd *crowd, uint32_t workers)
{
    uint64_t idle_ns = listen->tcp->idle_timeout_ns;

    return (struct nr_tcp_conf){
        .connections_max = worker_share(listen->limits.max_connections, workers),
        .idle_timeout_ns = idle_ns == NR_CONF_NONE ? 0 : idle_ns,
        .header_timeout_ns = listen->limits.header_timeout_ns,
        .proxy_in = proxy_in(listen),
        .crowd = crowd,
        .client_connections_max = client_connections_max(&listen->limits),
    };
}

/* ---- TCP: a stream holds the pools of its service, and no configuration ---- */

static struct nr_service *tcp_lend(struct nr_tcp_owner *owner, void **ret_lease)
{
    const struct nr_gateway_port *port = nr_container_of(owner, struct nr_gateway_port, tcp_owner);
    struct nr_gateway_pools *pools = port->worker->view->pools[port->tcp_service];

    pools->refs++;
    *ret_lease = pools;
    return pools->service->service;
}

static void tcp_over(struct nr_tcp_owner *owner, void *lease, struct nr_record *record,
                     const struct nr_record_view *view)
{
    const struct nr_gateway_port *port = nr_container_of(owner, struct nr_gateway_port, tcp_owner);
    struct nr_gateway_pools *pools = lease;

    record->listener = port->id;
    record->service = pools->service->id;
    port->worker->sink->done(port->worker->sink, record, view);
    nr_pools_release(pools);
}

static uint32_t service_named(const struct nr_gateway_snapshot *snapshot, struct nr_span name)
{
    uint32_t i = 0;

    while (i < snapshot->service_count && !nr_span_eq(snapshot->services[i]->conf->name, name))
        i++;
    nr_assert(i < snapshot->service_count); /* the loader has seen it */
    return i;
}

static void serve_tcp(struct nr_gateway_port *port)
{
    struct nr_gateway_worker *worker = port->worker;

    port->tcp_service = service_named(worker->view->snapshot, port->conf->tcp->service);
    port->tcp_owner = (struct nr_tcp_owner){tcp_lend, tcp_over};
    port->tcp_conf = tcp_conf(port->conf, port->listener->crowd, worker->share);
    if (port->tcp != NULL) {
        nr_tcp_reconfigure(port->tcp);
        return;
    }
    port->tcp = nr_tcp_new(worker->io, port->listener->listener, &port->tcp_conf, &port->tcp_owner);
    __atomic_store_n(&port->counts, nr_tcp_counts(port->tcp), __ATOMIC_RELEASE);
}

/* ---- either ---- */

static void serve_http(struct nr_gateway_port *port)
{
    struct nr_gateway_worker *worker = port->worker;

    port->handler = (struct nr_handler){nr_proxy_request, nr_proxy_refused};
    port->server_conf = server_conf(port->conf, port->listener->crowd, worker->share);
    if (port->server != NULL) {
        nr_server_reconfigure(port->server);
        return;
    }
    port->server =
        nr_server_new(worker->io, port->listener->listener, &port->server_conf, &port->handler);
    __atomic_store_n(&port->counts, nr_server_counts(port->server), __ATOMIC_RELEASE);
}

bool nr_port_serve(struct nr_gateway_port *port, const struct nr_gateway_listen_conf *conf,
                   uint32_t number)
{
    bool fresh = port->server == NULL && port->tcp == NULL;

    nr_assert(port->is_tcp == (conf->tcp != NULL));
    port->conf = conf;
    port->number = number;
    if (port->is_tcp)
        serve_tcp(port);
    else
        serve_http(port);
    return fresh;
}

void nr_port_drain(struct nr_gateway_port *port, bool gently, void (*drained)(void *ctx), void *ctx)
{
    if (port->is_tcp) {
        nr_tcp_on_drained(port->tcp, drained, ctx);
        nr_tcp_drain(port->tcp);
        return;
    }
    nr_server_on_drained(port->server, drained, ctx);
    if (gently)
        nr_server_drain_gently(port->server);
    else
        nr_server_drain(port->server);
}

void nr_port_abort(struct nr_gateway_port *port)
{
    if (port->is_tcp)
        nr_tcp_abort(port->tcp);
    else
        nr_server_abort(port->server);
}

void nr_port_done(struct nr_gateway_port *port)
{
    nr_server_free(port->server);
    nr_tcp_free(port->tcp);
}
