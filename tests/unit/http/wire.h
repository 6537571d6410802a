/* SPDX-License-Identifier: Apache-2.0 */
/* wire.h - a peer that speaks raw bytes in the simulator, to say what no HTTP library would. */
#ifndef TESTS_HTTP_WIRE_H
#define TESTS_HTTP_WIRE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "io/sim.h"

enum { WIRE_BYTES_MAX = 4 * 1024 * 1024 };

struct wire {
    struct nr_io *io;
    struct nr_sock *sock;
    struct nr_connect connect;
    struct nr_accept accept;
    struct nr_listener *listener;
    struct nr_recv recv;
    char *got; /* all that came, NUL-terminated */
    size_t len;
    uint32_t accepted;
    bool deaf; /* do not read */
    bool fin;
    bool rst;
};

static void wire_read(struct wire *wire)
{
    if (wire->sock == NULL || wire->deaf || !nr_op_idle(&wire->recv.op))
        return;
    wire->recv.buf = NULL;
    wire->recv.want = 0;
    nr_sock_recv(wire->sock, &wire->recv);
}

static void wire_on_recv(struct nr_op *op)
{
    struct wire *wire = nr_container_of(op, struct wire, recv.op);

    if (op->result == NR_ECANCELED)
        return;
    wire->fin = op->result == 0;
    wire->rst = op->result < 0;
    if (op->result <= 0)
        return;
    assert_true(wire->len + (size_t)op->result < WIRE_BYTES_MAX);
    memcpy(wire->got + wire->len, nr_buf_span(wire->recv.buf).ptr, (size_t)op->result);
    wire->len += (size_t)op->result;
    wire->got[wire->len] = '\0';
    nr_buf_put(nr_io_bufs(wire->io), wire->recv.buf);
    wire_read(wire);
}

static void wire_on_connect(struct nr_op *op)
{
    struct wire *wire = nr_container_of(op, struct wire, connect.op);

    assert_int_equal(op->result, NR_OK);
    wire->sock = wire->connect.sock;
    wire_read(wire);
}

/* One connection at a time: the next one takes the place of the one before. */
static void wire_on_accept(struct nr_op *op)
{
    struct wire *wire = nr_container_of(op, struct wire, accept.op);

    if (op->result != NR_OK)
        return;
    if (wire->sock != NULL)
        nr_sock_close(wire->sock, NR_CLOSE_GRACEFUL);
    wire->sock = wire->accept.sock;
    wire->fin = wire->rst = false;
    wire->accepted++;
    nr_listener_accept(wire->listener, wire->io, &wire->accept);
    wire_read(wire);
}

static const struct nr_op_kind wire_recv_kind = {wire_on_recv, "wire.recv"};
static const struct nr_op_kind wire_connect_kind = {wire_on_connect, "wire.connect"};
static const struct nr_op_kind wire_accept_kind = {wire_on_accept, "wire.accept"};

static inline void wire_init(struct wire *wire, struct nr_io *io)
{
    *wire = (struct wire){.io = io, .got = calloc(1, WIRE_BYTES_MAX)};
    assert_non_null(wire->got);
    nr_op_init(&wire->recv.op, &wire_recv_kind);
    nr_op_init(&wire->connect.op, &wire_connect_kind);
    nr_op_init(&wire->accept.op, &wire_accept_kind);
}

static inline void wire_connect(struct wire *wire, const struct nr_addr *to)
{
    wire->connect.to = *to;
    nr_sock_connect(wire->io, &wire->connect);
}

static inline struct nr_addr wire_listen(struct wire *wire, const char *address)
{
    struct nr_listen_conf conf = {.inherited_fd = -1};

    assert_int_equal(nr_addr_parse(address, &conf.address, NULL), NR_OK);
    assert_int_equal(nr_listener_open(&wire->io, 1, &conf, &wire->listener, NULL), NR_OK);
    nr_listener_accept(wire->listener, wire->io, &wire->accept);
    return nr_listener_address(wire->listener);
}

/* Returns false when the peer has gone. The tests send no more than goes at once. */
static inline bool wire_send(struct wire *wire, struct nr_span bytes)
{
    struct iovec part = {(void *)(uintptr_t)bytes.ptr, bytes.len};

    return wire->sock != NULL && nr_sock_write(wire->sock, &part, 1) == (int64_t)bytes.len;
}

static inline void wire_close(struct wire *wire, enum nr_close how)
{
    nr_sock_close(wire->sock, how);
    wire->sock = NULL;
}

static inline void wire_done(struct wire *wire)
{
    nr_sock_close(wire->sock, NR_CLOSE_RESET);
    wire->sock = NULL;
    if (wire->listener != NULL)
        nr_listener_close(wire->listener);
    free(wire->got);
}

#endif
