/* SPDX-License-Identifier: Apache-2.0 */
/* pair.h - two connected sockets in a simulated world, a source that writes a pattern, and a sink
 * that reads it and checks every byte. */
#ifndef TESTS_IO_PAIR_H
#define TESTS_IO_PAIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "io/sim.h"

#define CLIENT "10.0.0.1"
#define SERVER "10.0.0.2"
#define MS     ((uint64_t)1000 * 1000)
#define S      (1000 * MS)

/* ---- a pair of connected sockets in a world ---- */

struct pair {
    struct nr_sim *sim;
    struct nr_io *client_io;
    struct nr_io *server_io;
    struct nr_listener *listener;
    struct nr_addr address;
    struct nr_connect connect;
    struct nr_accept accept;
    struct nr_sock *client;
    struct nr_sock *server;
};

static inline void ignore(struct nr_op *op)
{
}

static const struct nr_op_kind connect_kind = {ignore, "test.connect"};
static const struct nr_op_kind accept_kind = {ignore, "test.accept"};
static const struct nr_op_kind op_kind = {ignore, "test.op"};

static inline struct nr_listener *listen_on(struct nr_io *io, const char *text,
                                            struct nr_addr *ret_addr)
{
    struct nr_listen_conf conf = {.inherited_fd = -1};
    struct nr_listener *listener = NULL;

    assert_int_equal(nr_addr_parse(text, &conf.address, NULL), NR_OK);
    assert_int_equal(nr_listener_open(&io, 1, &conf, &listener, NULL), NR_OK);
    *ret_addr = nr_listener_address(listener);
    return listener;
}

static inline void pair_world(struct pair *p, const struct nr_sim_conf *conf)
{
    *p = (struct pair){.sim = nr_sim_new(conf)};
    p->client_io = nr_sim_engine(p->sim, CLIENT);
    p->server_io = nr_sim_engine(p->sim, SERVER);
    p->listener = listen_on(p->server_io, SERVER ":0", &p->address);
    nr_op_init(&p->connect.op, &connect_kind);
    nr_op_init(&p->accept.op, &accept_kind);
    p->connect.to = p->address;
}

static inline void pair_connect(struct pair *p)
{
    nr_sock_connect(p->client_io, &p->connect);
    nr_listener_accept(p->listener, p->server_io, &p->accept);
    while (!nr_op_idle(&p->connect.op) || !nr_op_idle(&p->accept.op))
        assert_true(nr_sim_step(p->sim));
    assert_int_equal(p->connect.op.result, NR_OK);
    assert_int_equal(p->accept.op.result, NR_OK);
    p->client = p->connect.sock;
    p->server = p->accept.sock;
}

static inline void pair_open(struct pair *p, const struct nr_sim_conf *conf)
{
    pair_world(p, conf);
    pair_connect(p);
}

static inline void pair_close(struct pair *p)
{
    nr_sock_close(p->client, NR_CLOSE_GRACEFUL);
    nr_sock_close(p->server, NR_CLOSE_GRACEFUL);
    nr_listener_close(p->listener);
    nr_sim_run(p->sim, UINT64_MAX);
    nr_sim_free(p->sim);
}

static inline int64_t write_bytes(struct nr_sock *sock, const char *bytes, size_t len)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};

    return nr_sock_write(sock, &part, 1);
}

/* ---- a source writes a pattern, a sink reads and checks it ---- */

static inline char pattern(uint64_t at)
{
    return (char)(at * 31 + (at >> 8));
}

struct source {
    struct nr_op writable;
    struct nr_sock *sock;
    uint64_t sent;
    uint64_t total;
    uint32_t piece_max; /* random pieces up to this */
    struct nr_random *random;
};

static inline void source_go(struct source *source)
{
    static char bytes[65536];

    while (source->sent < source->total) {
        uint64_t piece = 1 + nr_random_below(source->random, source->piece_max);
        int64_t taken;

        if (piece > source->total - source->sent)
            piece = source->total - source->sent;
        for (uint64_t i = 0; i < piece; i++)
            bytes[i] = pattern(source->sent + i);
        taken = write_bytes(source->sock, bytes, piece);
        assert_true(taken >= 0 && taken <= (int64_t)piece);
        source->sent += (uint64_t)taken;
        if (taken < (int64_t)piece) {
            nr_sock_when_writable(source->sock, &source->writable);
            return;
        }
    }
    nr_sock_shutdown(source->sock);
}

static inline void on_writable(struct nr_op *op)
{
    assert_int_equal(op->result, NR_OK);
    source_go(nr_container_of(op, struct source, writable));
}

static const struct nr_op_kind writable_kind = {on_writable, "source.writable"};

static inline void source_start(struct source *source, struct nr_sock *sock, uint64_t total,
                                uint32_t piece_max, struct nr_random *random)
{
    *source =
        (struct source){.sock = sock, .total = total, .piece_max = piece_max, .random = random};
    nr_op_init(&source->writable, &writable_kind);
    source_go(source);
}

struct sink {
    struct nr_recv recv;
    struct nr_sock *sock;
    uint64_t got;
    uint32_t largest;
    uint64_t first_ns;
    uint64_t last_ns;
    bool ended;
    int32_t end; /* 0: FIN */
};

static inline void on_recv(struct nr_op *op)
{
    struct sink *sink = nr_container_of(op, struct sink, recv.op);
    struct nr_buf *buf = sink->recv.buf;
    struct nr_io *io;

    if (op->result <= 0) {
        sink->ended = true;
        sink->end = op->result;
        return; /* the socket may be closed */
    }
    io = nr_sock_io(sink->sock);
    for (uint32_t i = buf->begin; i < buf->end; i++)
        assert_int_equal(buf->data[i], pattern(sink->got++));
    if (sink->first_ns == 0)
        sink->first_ns = nr_io_now_ns(io);
    sink->last_ns = nr_io_now_ns(io);
    if ((uint32_t)op->result > sink->largest)
        sink->largest = (uint32_t)op->result;
    nr_buf_put(nr_io_bufs(io), buf);
    sink->recv.buf = NULL;
    nr_sock_recv(sink->sock, &sink->recv);
}

static const struct nr_op_kind recv_kind = {on_recv, "sink.recv"};

static inline void sink_start(struct sink *sink, struct nr_sock *sock)
{
    *sink = (struct sink){.sock = sock};
    nr_op_init(&sink->recv.op, &recv_kind);
    nr_sock_recv(sock, &sink->recv);
}

#endif
