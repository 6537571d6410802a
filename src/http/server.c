/* SPDX-License-Identifier: Apache-2.0 */
#include "http/server.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/cell.h"
#include "base/compiler.h"
#include "http/h1_server.h"

enum {
    FREE_EXCHANGES_MAX = 256,
    HEAD_BYTES_MAX = 56 * 1024, /* a large buffer holds any head */
};

/* A connection that has not sent its first request when a drain begins has this long to do it. */
static const uint64_t drain_fresh_ns = 1000000000u;

const struct nr_server_conf nr_server_conf_default = {
    .limits = {.head_bytes_max = 32 * 1024,
               .target_bytes_max = 8 * 1024,
               .fields_max = 100,
               .trailer_bytes_max = 8 * 1024},
    .connections_max = 10000,
    .requests_max = 0,
    .header_timeout_ns = 10000000000u,
    .body_timeout_ns = 30000000000u,
    .body_bytes_per_s_min = 0,
    .write_timeout_ns = 5000000000u,
    .idle_timeout_ns = 75000000000u,
    .tunnel_timeout_ns = 3600000000000u,
    .half_close = false,
};

/* ---- exchanges ---- */

struct nr_server_exchange *nr_server_exchange_get(struct nr_server *server)
{
    struct nr_server_exchange *sx = server->free;

    if (sx != NULL) {
        server->free = sx->next_free;
        server->free_count--;
    } else {
        sx = malloc(sizeof(*sx));
        nr_assert(sx != NULL);
        nr_arena_init(&sx->arena, sx->block, sizeof(sx->block));
    }
    sx->m = (struct nr_h1_msg){0};
    sx->server = server;
    nr_cell32_add(&server->counts.active, 1);
    server->held++;
    return sx;
}

static void put(struct nr_server_exchange *sx)
{
    struct nr_server *server = sx->server;

    server->held--;
    if (server->free_count >= FREE_EXCHANGES_MAX) {
        nr_arena_done(&sx->arena);
        free(sx);
        return;
    }
    nr_arena_reset(&sx->arena);
    sx->next_free = server->free;
    server->free = sx;
    server->free_count++;
}

static void drain_check(struct nr_server *server);

void nr_server_exchange_drop(struct nr_server_exchange *sx)
{
    nr_assert(sx->m.told);
    sx->m.conn = NULL;
    if (sx->m.x.holds == 0)
        put(sx);
}

void nr_server_exchange_release(struct nr_exchange *x)
{
    struct nr_server_exchange *sx = (struct nr_server_exchange *)x;
    struct nr_server *server = sx->server;

    nr_assert(x->holds > 0);
    x->holds--;
    if (x->holds == 0 && sx->m.told && sx->m.conn == NULL) {
        put(sx);
        drain_check(server);
    }
}

/* ---- accepting ---- */

static void accept_more(struct nr_server *server)
{
    if (!server->draining && server->counts.open < server->conf->connections_max &&
        nr_op_idle(&server->accept.op))
        nr_listener_accept(server->listener, server->io, &server->accept);
}

static void on_accept(struct nr_op *op)
{
    struct nr_server *server = nr_container_of(op, struct nr_server, accept.op);

    if (op->result == NR_OK)
        nr_server_conn_open(server, server->accept.sock, &server->accept.peer);
    if (op->result != NR_ECANCELED) /* out of descriptors: the engine paces the next try */
        accept_more(server);
    drain_check(server);
}

static const struct nr_op_kind accept_kind = {on_accept, "server.accept"};

void nr_server_conn_gone(struct nr_server_conn *sc)
{
    struct nr_server *server = sc->server;

    nr_list_remove(&sc->link);
    nr_cell32_add(&server->counts.open, -1);
    accept_more(server);
    drain_check(server);
}

/* ---- draining ---- */

static void on_drained(struct nr_op *op)
{
    struct nr_server *server = nr_container_of(op, struct nr_server, drained_op);

    server->told_drained = true;
    if (server->drained != NULL)
        server->drained(server->drained_ctx); /* may free the server */
}

static const struct nr_op_kind drained_kind = {on_drained, "server.drained"};

static void drain_check(struct nr_server *server)
{
    if (server->draining && !server->told_drained && server->counts.open == 0 &&
        server->held == 0 && nr_op_idle(&server->accept.op) && nr_op_idle(&server->drained_op))
        nr_io_defer(server->io, &server->drained_op);
}

static void hurry(struct nr_server_conn *sc, uint64_t until_ns)
{
    if (sc->h.read_deadline_ns == 0 || sc->h.read_deadline_ns > until_ns)
        nr_h1_read_deadline(&sc->h, until_ns);
}

static void drain(struct nr_server *server, bool gently)
{
    struct nr_link *link, *next;
    uint64_t now_ns = nr_io_now_ns(server->io);

    if (server->draining)
        return;
    server->draining = true;
    server->gently = gently;
    if (!nr_op_idle(&server->accept.op))
        nr_op_cancel(server->io, &server->accept.op);
    for (link = server->conns.next; link != &server->conns; link = next) {
        struct nr_server_conn *sc = nr_container_of(link, struct nr_server_conn, link);

        next = link->next; /* closing frees through the queue, so the list stays */
        if (!nr_server_conn_idle(sc))
            continue;
        if (sc->requests == 0)
            hurry(sc, now_ns + drain_fresh_ns);
        else if (gently)
            hurry(sc, now_ns + NR_SERVER_GENTLY_NS);
        else
            nr_server_conn_shut(sc, NR_CLOSE_GRACEFUL);
    }
    drain_check(server);
}

void nr_server_drain(struct nr_server *server)
{
    drain(server, false);
}

void nr_server_drain_gently(struct nr_server *server)
{
    drain(server, true);
}

void nr_server_abort(struct nr_server *server)
{
    struct nr_link *link, *next;

    nr_server_drain(server);
    for (link = server->conns.next; link != &server->conns; link = next) {
        struct nr_server_conn *sc = nr_container_of(link, struct nr_server_conn, link);

        next = link->next;
        if (sc->h.closed)
            continue;
        if (sc->h.m != NULL && !sc->h.m->told)
            nr_h1_end(sc->h.m, NR_END_SHUTDOWN);
        else
            nr_server_conn_shut(sc, NR_CLOSE_RESET);
    }
}

void nr_server_on_drained(struct nr_server *server, void (*drained)(void *ctx), void *ctx)
{
    server->drained = drained;
    server->drained_ctx = ctx;
}

/* ---- life ---- */

/* What every connection looks at. */
static struct nr_h1_common common_of(const struct nr_server_conf *conf)
{
    return (struct nr_h1_common){.limits = &conf->limits,
                                 .body_timeout_ns = conf->body_timeout_ns,
                                 .body_bytes_per_s_min = conf->body_bytes_per_s_min,
                                 .write_timeout_ns = conf->write_timeout_ns,
                                 .tunnel_timeout_ns = conf->tunnel_timeout_ns};
}

void nr_server_reconfigure(struct nr_server *server)
{
    nr_assert(server->conf->connections_max > 0);
    nr_assert(server->conf->limits.head_bytes_max <= HEAD_BYTES_MAX);
    server->common = common_of(server->conf);
    accept_more(server);
}

struct nr_server *nr_server_new(struct nr_io *io, struct nr_listener *listener,
                                const struct nr_server_conf *conf, struct nr_handler *handler)
{
    struct nr_server *server = malloc(sizeof(*server));

    nr_assert(server != NULL && conf->connections_max > 0);
    nr_assert(conf->limits.head_bytes_max <= HEAD_BYTES_MAX);
    nr_assert(conf->limits.trailer_bytes_max <= HEAD_BYTES_MAX);
    *server = (struct nr_server){
        .io = io,
        .listener = listener,
        .conf = conf,
        .handler = handler,
        .local = nr_listener_address(listener),
        .common = common_of(conf),
        .id_base = nr_random_u64(nr_io_random(io)) << 32,
    };
    server->local.path = server->local.path != NULL ? "" : NULL; /* the listener's own */
    nr_link_init(&server->conns);
    nr_op_init(&server->accept.op, &accept_kind);
    nr_op_init(&server->drained_op, &drained_kind);
    nr_listener_client_first(listener, true);
    accept_more(server);
    return server;
}

void nr_server_free(struct nr_server *server)
{
    if (server == NULL)
        return;
    nr_assert(server->draining && server->counts.open == 0 && server->held == 0);
    nr_assert(nr_op_idle(&server->accept.op) && nr_op_idle(&server->drained_op));
    while (server->free != NULL) {
        struct nr_server_exchange *sx = server->free;

        server->free = sx->next_free;
        nr_arena_done(&sx->arena);
        free(sx);
    }
    free(server);
}

const struct nr_server_counts *nr_server_counts(const struct nr_server *server)
{
    return &server->counts;
}
