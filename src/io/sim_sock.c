/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets: a connection's end as its engine sees it. What has arrived before a FIN or a RST can
 * still be read, as on Linux; after that the end of the stream, or the error, stays. */
#include <stdlib.h>

#include "base/assert.h"
#include "io/sim_world.h"

static struct sim_end *end_of(const struct sim_sock *sock)
{
    return &sock->conn->end[sock->side];
}

static struct sim_pipe *incoming(const struct sim_sock *sock)
{
    return &sock->conn->pipe[1 - sock->side];
}

static struct sim_pipe *outgoing(const struct sim_sock *sock)
{
    return &sock->conn->pipe[sock->side];
}

static void on_turn(struct nr_op *op);
static const struct nr_op_kind turn_kind = {on_turn, "sim.read"};

static void count(struct nr_io *io, int by)
{
    uint32_t sockets = atomic_load_explicit(&io->sockets, memory_order_relaxed);

    atomic_store_explicit(&io->sockets, sockets + (uint32_t)by, memory_order_relaxed);
}

struct sim_sock *sim_sock_new(struct sim_engine *engine, struct sim_conn *conn, int side)
{
    struct sim_sock *sock = sim_zalloc(sizeof(*sock));
    struct sim_end *end = &conn->end[side];

    sock->base.io = &engine->io;
    sock->engine = engine;
    sock->conn = conn;
    sock->side = side;
    nr_engine_internal_init(&sock->turn, &turn_kind);
    nr_link_init(&sock->recv);
    nr_link_init(&sock->writable);
    nr_link_init(&sock->watch);
    nr_list_push_back(&engine->socks, &sock->link);
    count(&engine->io, 1);
    if (!end->holds_file && end->host->up) {
        end->holds_file = true;
        end->host->files++;
    }
    end->sock = sock;
    return sock;
}

/* ---- reading ---- */

static void complete_all(struct sim_sock *sock, struct nr_link *waiting, int32_t result)
{
    while (!nr_list_empty(waiting))
        nr_engine_ready(&sock->engine->io, nr_container_of(waiting->next, struct nr_op, link),
                        result);
}

/* The receiver's turn. Bytes are taken out of the pipe now and not when they arrived, so that one
 * buffer serves all idle connections and a receive that is cancelled in between loses nothing. */
static void on_turn(struct nr_op *op)
{
    struct sim_sock *sock = nr_container_of(op, struct sim_sock, turn);
    struct nr_io *io = &sock->engine->io;
    struct nr_recv *recv;
    uint32_t bytes;

    if (nr_list_empty(&sock->recv))
        return; /* cancelled in the meantime */
    recv = nr_container_of(sock->recv.next, struct nr_recv, op.link);
    if (incoming(sock)->arrived == 0) {
        nr_engine_complete(io, &recv->op, end_of(sock)->error); /* NR_OK is 0: the end */
        return;
    }

    if (recv->buf == NULL)
        recv->buf = nr_buf_get(&io->bufs, recv->want);
    bytes = sim_pipe_read(sock->engine->sim, incoming(sock), recv->buf->data + recv->buf->end,
                          (uint32_t)nr_buf_room(recv->buf));
    recv->buf->end += bytes;
    nr_engine_complete(io, &recv->op, (int32_t)bytes); /* sock may be closed now */
}

void sim_sock_stir(struct sim_sock *sock)
{
    const struct sim_pipe *in = incoming(sock);
    int32_t error = end_of(sock)->error;

    if (!nr_list_empty(&sock->recv) && (in->arrived > 0 || in->fin_arrived || error != NR_OK))
        nr_engine_kick(&sock->engine->io, &sock->turn);
    if (error != NR_OK)
        complete_all(sock, &sock->watch, error);
    else if (in->fin_arrived)
        complete_all(sock, &sock->watch, NR_ECLOSED);
}

void sim_sock_recv(struct nr_sock *base, struct nr_recv *recv)
{
    struct sim_sock *sock = sim_sock_of(base);

    nr_assert(nr_list_empty(&sock->recv));
    nr_list_push_back(&sock->recv, &recv->op.link);
    sim_sock_stir(sock);
}

void sim_sock_watch_close(struct nr_sock *base, struct nr_op *op)
{
    struct sim_sock *sock = sim_sock_of(base);

    nr_list_push_back(&sock->watch, &op->link);
    sim_sock_stir(sock);
}

/* ---- writing ---- */

int64_t sim_sock_write(struct nr_sock *base, const struct iovec *parts, int part_count)
{
    struct sim_sock *sock = sim_sock_of(base);
    struct sim_pipe *out = outgoing(sock);

    if (end_of(sock)->error != NR_OK)
        return end_of(sock)->error;
    if (out->fin_sent)
        return NR_ERESET; /* as a socket says EPIPE */
    return sim_pipe_write(sock->engine->sim, out, parts, part_count);
}

void sim_sock_stir_writer(struct sim_sock *sock)
{
    struct nr_sim *sim = sock->engine->sim;
    struct sim_pipe *out = outgoing(sock);

    if (nr_list_empty(&sock->writable))
        return;
    if (end_of(sock)->error != NR_OK)
        complete_all(sock, &sock->writable, end_of(sock)->error);
    else if (out->fin_sent || sim_pipe_room(sim, out) > 0)
        complete_all(sock, &sock->writable, NR_OK);
    else
        sim_pipe_want_room(sim, out);
}

void sim_sock_when_writable(struct nr_sock *base, struct nr_op *op)
{
    struct sim_sock *sock = sim_sock_of(base);

    nr_list_push_back(&sock->writable, &op->link);
    sim_sock_stir_writer(sock);
}

/* ---- the end ---- */

void sim_sock_shutdown(struct nr_sock *base)
{
    struct sim_sock *sock = sim_sock_of(base);

    if (end_of(sock)->error == NR_OK)
        sim_pipe_send_fin(sock->engine->sim, outgoing(sock));
}

/* Closing over unread bytes resets, whatever the caller wished: the peer has sent what nobody
 * will ever read (RFC 1122, 4.2.2.13). A Unix socket has no other way to reset. */
void sim_sock_close(struct nr_sock *base, enum nr_close how)
{
    struct sim_sock *sock = sim_sock_of(base);
    struct sim_conn *conn = sock->conn;
    int side = sock->side;
    bool abort = how == NR_CLOSE_RESET && end_of(sock)->address.family != NR_ADDR_UNIX;

    complete_all(sock, &sock->recv, NR_ECANCELED);
    complete_all(sock, &sock->writable, NR_ECANCELED);
    complete_all(sock, &sock->watch, NR_ECANCELED);
    if (end_of(sock)->error == NR_OK) {
        if (abort || incoming(sock)->arrived > 0)
            sim_conn_send_rst(conn, 1 - side);
        else
            sim_pipe_send_fin(sock->engine->sim, outgoing(sock));
    }
    nr_list_remove(&sock->link);
    nr_list_remove(&sock->turn.link);
    count(&sock->engine->io, -1);
    free(sock);
    sim_conn_detach(conn, side);
}

struct nr_addr sim_sock_peer(const struct nr_sock *base)
{
    const struct sim_sock *sock = nr_container_of(base, const struct sim_sock, base);

    return sock->conn->end[1 - sock->side].address;
}

struct nr_addr sim_sock_local(const struct nr_sock *base)
{
    const struct sim_sock *sock = nr_container_of(base, const struct sim_sock, base);

    return end_of(sock)->address;
}
