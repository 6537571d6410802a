/* SPDX-License-Identifier: Apache-2.0 */
/* Listeners: a backlog of connections on one side, the accepts of the engines on the other. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "io/sim_world.h"

enum {
    BACKLOG_MAX = 4096, /* Linux: net.core.somaxconn */
    RETRY_NS = 100 * 1000 * 1000,
};

static struct sim_listener *listener_of(struct nr_listener *base)
{
    return nr_container_of(base, struct sim_listener, base);
}

static bool serves(const struct sim_listener *listener, const struct nr_addr *to)
{
    if (to->family == NR_ADDR_UNIX)
        return listener->address.family == NR_ADDR_UNIX &&
               strcmp(listener->address.path, to->path) == 0;
    return listener->address.family != NR_ADDR_UNIX && listener->address.port == to->port;
}

/* On one host a port is taken whatever the address in front of it: loopback and the host's own
 * address reach the same listeners. */
struct sim_listener *sim_listener_find(struct sim_host *host, const struct nr_addr *to)
{
    for (struct nr_link *at = host->listeners.next; at != &host->listeners; at = at->next) {
        struct sim_listener *listener = nr_container_of(at, struct sim_listener, link);

        if (serves(listener, to))
            return listener;
    }
    return NULL;
}

/* ---- matching ---- */

/* The desk with somebody waiting whose engine has the fewest sockets; the first of equals. */
static struct sim_desk *least_loaded(struct sim_listener *listener)
{
    struct sim_desk *best = NULL;
    uint32_t best_sockets = 0;

    for (uint32_t i = 0; i < listener->desk_count; i++) {
        struct sim_desk *desk = &listener->desks[i];
        uint32_t sockets = nr_io_socket_count(&desk->engine->io);

        if (nr_list_empty(&desk->accepts) || (best != NULL && sockets >= best_sockets))
            continue;
        best = desk;
        best_sockets = sockets;
    }
    return best;
}

static void hand_over(struct sim_listener *listener, struct sim_desk *desk)
{
    struct nr_accept *accept = nr_container_of(desk->accepts.next, struct nr_accept, op.link);
    struct nr_link *first = nr_list_pop_front(&listener->backlog);
    struct sim_conn *conn = nr_container_of(first, struct sim_conn, waiting);

    listener->backlog_count--;
    accept->sock = &sim_sock_new(desk->engine, conn, 1)->base;
    accept->peer = conn->end[0].address;
    nr_engine_ready(&desk->engine->io, &accept->op, NR_OK);
}

static void match(struct sim_listener *listener)
{
    while (!nr_list_empty(&listener->backlog) && !nr_sim_scheduled(&listener->retry)) {
        struct sim_desk *desk = least_loaded(listener);

        if (desk == NULL)
            return;
        if (!sim_host_has_file_left(listener->host)) {
            nr_engine_ready(&desk->engine->io,
                            nr_container_of(desk->accepts.next, struct nr_op, link), NR_EFILES);
            nr_sim_at(listener->host->sim, &listener->retry,
                      listener->host->sim->now_ns + RETRY_NS);
            return;
        }
        hand_over(listener, desk);
    }
}

static void retry(struct nr_sim *sim, struct nr_sim_event *event)
{
    match(nr_container_of(event, struct sim_listener, retry));
}

void sim_listener_enqueue(struct sim_listener *listener, struct sim_conn *conn)
{
    nr_list_push_back(&listener->backlog, &conn->waiting);
    listener->backlog_count++;
    match(listener);
}

void sim_listener_accept(struct nr_listener *base, struct nr_io *io, struct nr_accept *accept)
{
    struct sim_listener *listener = listener_of(base);

    for (uint32_t i = 0; i < listener->desk_count; i++)
        if (&listener->desks[i].engine->io == io) {
            nr_list_push_back(&listener->desks[i].accepts, &accept->op.link);
            match(listener);
            return;
        }
    nr_assert_failed("the listener was opened for this engine", __FILE__, __LINE__);
}

/* ---- opening ---- */

static enum nr_code check(struct sim_host *host, const struct nr_addr *addr, struct nr_err *err)
{
    char text[NR_ADDR_TEXT_BYTES];
    uint32_t ip;

    nr_addr_format(addr, text, sizeof(text));
    if (!host->up)
        return nr_err_set(err, NR_EIO, "listen on %s: host %s is down", text, host->name);
    if (addr->family != NR_ADDR_UNIX &&
        (!sim_addr_ip4(addr, &ip) || sim_host_find(host->sim, host, addr) != host))
        return nr_err_set(err, NR_EINVAL, "listen on %s: not an address of host %s", text,
                          host->name);
    if ((addr->family == NR_ADDR_UNIX || addr->port != 0) && sim_listener_find(host, addr) != NULL)
        return nr_err_set(err, NR_EADDRINUSE, "cannot listen on %s: address in use on host %s",
                          text, host->name);
    if (!sim_host_has_file_left(host))
        return nr_err_set(err, NR_EFILES, "listen on %s: host %s is out of descriptors (%u)", text,
                          host->name, host->files_max);
    return NR_OK;
}

static void choose_port(struct sim_host *host, struct nr_addr *addr)
{
    if (addr->family == NR_ADDR_UNIX)
        return;
    while (addr->port == 0 || sim_listener_find(host, addr) != NULL)
        addr->port = sim_host_port(host);
}

enum nr_code sim_listener_open(struct nr_io *const *engines, uint32_t count,
                               const struct nr_listen_conf *conf, struct nr_listener **ret_listener,
                               struct nr_err *err)
{
    struct sim_host *host = sim_engine_of(engines[0])->host;
    struct nr_addr address = conf->address;
    enum nr_code code = check(host, &address, err);
    struct sim_listener *listener;

    if (code != NR_OK)
        return code;
    if (conf->inherited_fd >= 0)
        return nr_err_set(err, NR_EUNSUPPORTED, "a simulated host inherits no descriptors");
    if (address.port == 0)
        choose_port(host, &address);
    listener = sim_zalloc(sizeof(*listener) + count * sizeof(listener->desks[0]));
    listener->base.backend = engines[0]->backend;
    listener->host = host;
    if (address.family == NR_ADDR_UNIX)
        address.path = sim_intern(host->sim, address.path);
    listener->address = address;
    listener->backlog_max = conf->backlog > 0 ? (uint32_t)conf->backlog : BACKLOG_MAX;
    listener->retry.fire = retry;
    listener->desk_count = count;
    for (uint32_t i = 0; i < count; i++) {
        listener->desks[i].engine = sim_engine_of(engines[i]);
        nr_assert(listener->desks[i].engine->host == host);
        nr_link_init(&listener->desks[i].accepts);
    }
    nr_link_init(&listener->backlog);
    listener->holds_file = true;
    host->files++;
    nr_list_push_back(&host->listeners, &listener->link);
    nr_list_push_back(&host->sim->listeners, &listener->all);
    *ret_listener = &listener->base;
    return NR_OK;
}

struct nr_addr sim_listener_address(const struct nr_listener *base)
{
    return nr_container_of(base, const struct sim_listener, base)->address;
}

/* ---- closing ---- */

void sim_listener_kill(struct sim_listener *listener)
{
    struct nr_link *at;

    nr_list_remove(&listener->link);
    nr_sim_cancel(listener->host->sim, &listener->retry);
    while ((at = nr_list_pop_front(&listener->backlog)) != NULL) {
        struct sim_conn *conn = nr_container_of(at, struct sim_conn, waiting);

        sim_conn_send_rst(conn, 0);
        sim_conn_detach(conn, 1);
    }
    listener->backlog_count = 0;
    if (listener->holds_file)
        listener->host->files--;
    listener->holds_file = false;
}

/* A virtual connection is accepted as soon as it stands: an order that every server must bear. */
void sim_listener_client_first(struct nr_listener *listener, bool on)
{
    (void)listener;
    (void)on;
}

void sim_listener_close(struct nr_listener *base)
{
    struct sim_listener *listener = listener_of(base);

    sim_listener_kill(listener);
    for (uint32_t i = 0; i < listener->desk_count; i++) {
        struct sim_desk *desk = &listener->desks[i];

        while (!nr_list_empty(&desk->accepts))
            nr_engine_ready(&desk->engine->io,
                            nr_container_of(desk->accepts.next, struct nr_op, link), NR_ECANCELED);
    }
    nr_list_remove(&listener->all);
    free(listener);
}
