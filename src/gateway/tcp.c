/* SPDX-License-Identifier: Apache-2.0 */
/* tcp.c - accepting streams, counting them and seeing them off. */
#include "gateway/tcp.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/cell.h"
#include "base/compiler.h"
#include "gateway/tcp_stream.h"

/* ---- accepting ---- */

static void accept_more(struct nr_tcp *tcp)
{
    if (!tcp->draining && tcp->counts.open < tcp->conf->connections_max &&
        nr_op_idle(&tcp->accept.op))
        nr_listener_accept(tcp->listener, tcp->io, &tcp->accept);
}

static void drain_check(struct nr_tcp *tcp)
{
    if (tcp->draining && !tcp->told_drained && tcp->counts.open == 0 &&
        nr_op_idle(&tcp->accept.op) && nr_op_idle(&tcp->drained_op))
        nr_io_defer(tcp->io, &tcp->drained_op);
}

static void on_accept(struct nr_op *op)
{
    struct nr_tcp *tcp = nr_container_of(op, struct nr_tcp, accept.op);

    if (op->result == NR_OK) {
        nr_cell_add(&tcp->counts.accepted, 1);
        nr_cell32_add(&tcp->counts.open, 1);
        nr_tcp_stream_open(tcp, tcp->accept.sock, &tcp->accept.peer);
    }
    if (op->result != NR_ECANCELED) /* out of descriptors: the engine paces the next try */
        accept_more(tcp);
    drain_check(tcp);
}

void nr_tcp_stream_gone(struct nr_tcp *tcp)
{
    nr_cell32_add(&tcp->counts.open, -1);
    accept_more(tcp);
    drain_check(tcp);
}

/* ---- draining ---- */

static void on_drained(struct nr_op *op)
{
    struct nr_tcp *tcp = nr_container_of(op, struct nr_tcp, drained_op);

    tcp->told_drained = true;
    if (tcp->drained != NULL)
        tcp->drained(tcp->drained_ctx); /* may free us */
}

void nr_tcp_drain(struct nr_tcp *tcp)
{
    if (tcp->draining)
        return;
    tcp->draining = true;
    nr_op_cancel(tcp->io, &tcp->accept.op);
    drain_check(tcp);
}

void nr_tcp_abort(struct nr_tcp *tcp)
{
    nr_tcp_drain(tcp);
    /* Ending frees through the queue, so the list stays. */
    for (struct nr_link *link = tcp->streams.next; link != &tcp->streams; link = link->next)
        nr_tcp_stream_end(nr_container_of(link, struct nr_tcp_stream, link), NR_REASON_DRAINING,
                          NR_CLOSE_RESET);
}

void nr_tcp_reconfigure(struct nr_tcp *tcp)
{
    accept_more(tcp);
}

void nr_tcp_on_drained(struct nr_tcp *tcp, void (*drained)(void *ctx), void *ctx)
{
    tcp->drained = drained;
    tcp->drained_ctx = ctx;
}

/* ---- life ---- */

struct nr_tcp *nr_tcp_new(struct nr_io *io, struct nr_listener *listener,
                          const struct nr_tcp_conf *conf, struct nr_tcp_owner *owner)
{
    static const struct nr_op_kind accept_kind = {on_accept, "tcp.accept"};
    static const struct nr_op_kind drained_kind = {on_drained, "tcp.drained"};
    struct nr_tcp *tcp = malloc(sizeof(*tcp));

    nr_assert(tcp != NULL && conf->connections_max > 0);
    *tcp = (struct nr_tcp){.io = io, .listener = listener, .conf = conf, .owner = owner};
    nr_link_init(&tcp->streams);
    nr_op_init(&tcp->accept.op, &accept_kind);
    nr_op_init(&tcp->drained_op, &drained_kind);
    nr_listener_client_first(listener, false); /* it may have carried HTTP before a reload */
    accept_more(tcp);
    return tcp;
}

void nr_tcp_free(struct nr_tcp *tcp)
{
    if (tcp == NULL)
        return;
    nr_assert(tcp->draining && tcp->counts.open == 0);
    nr_assert(nr_op_idle(&tcp->accept.op) && nr_op_idle(&tcp->drained_op));
    free(tcp);
}

const struct nr_server_counts *nr_tcp_counts(const struct nr_tcp *tcp)
{
    return &tcp->counts;
}
