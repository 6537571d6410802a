/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h1_conn.h"

#include "base/assert.h"
#include "base/compiler.h"

static void on_recv(struct nr_op *op)
{
    struct nr_h1_conn *c = nr_container_of(op, struct nr_h1_conn, recv.op);

    nr_h1_enter(c);
    if (op->result > 0) {
        c->in = c->recv.buf; /* lent just now, or the one that we gave */
        c->big = c->big || nr_buf_room(c->in) == 0;
    }
    c->recv.buf = NULL;
    if (c->closed) {
        nr_buf_put(nr_io_bufs(c->io), c->in);
        c->in = NULL;
    } else if (op->result != NR_ECANCELED) {
        c->role->received(c, op->result);
    } else if (c->m == NULL) {
        nr_h1_in_release(c); /* taken back because its buffer is empty; else settle does this */
    }
    nr_h1_leave(c);
}

static void on_writable(struct nr_op *op)
{
    struct nr_h1_conn *c = nr_container_of(op, struct nr_h1_conn, writable);

    nr_h1_enter(c);
    if (!c->closed) {
        c->blocked = false;
        if (op->result == NR_OK) {
            nr_h1_out_flush(c);
        } else if (!c->out_failed) {
            nr_h1_out_fail(c);
        }
        if (!c->blocked)
            c->write_deadline_ns = 0;
    }
    nr_h1_leave(c);
}

static void on_turn(struct nr_op *op)
{
    struct nr_h1_conn *c = nr_container_of(op, struct nr_h1_conn, turn);

    nr_h1_enter(c);
    nr_h1_leave(c);
}

static void on_timer(struct nr_op *op)
{
    struct nr_h1_conn *c = nr_container_of(op, struct nr_h1_conn, timer.op);
    uint64_t now_ns = nr_io_now_ns(c->io);

    nr_h1_enter(c);
    if (c->write_deadline_ns != 0 && now_ns >= c->write_deadline_ns) {
        c->write_deadline_ns = 0;
        c->role->expired(c, true);
    } else if (c->read_deadline_ns != 0 && now_ns >= c->read_deadline_ns) {
        c->read_deadline_ns = 0;
        c->role->expired(c, false);
    }
    if (!c->closed)
        nr_h1_deadlines(c);
    nr_h1_leave(c);
}

static const struct nr_op_kind recv_kind = {on_recv, "h1.recv"};
static const struct nr_op_kind writable_kind = {on_writable, "h1.writable"};
static const struct nr_op_kind turn_kind = {on_turn, "h1.turn"};
static const struct nr_op_kind timer_kind = {on_timer, "h1.timer"};

void nr_h1_conn_init(struct nr_h1_conn *c, struct nr_io *io, const struct nr_h1_role *role,
                     const struct nr_h1_common *common)
{
    *c = (struct nr_h1_conn){.role = role, .common = common, .io = io};
    nr_op_init(&c->recv.op, &recv_kind);
    nr_op_init(&c->writable, &writable_kind);
    nr_op_init(&c->turn, &turn_kind);
    nr_timer_init(&c->timer, &timer_kind);
}

void nr_h1_enter(struct nr_h1_conn *c)
{
    nr_assert(!c->busy);
    c->busy = true;
}

void nr_h1_leave(struct nr_h1_conn *c)
{
    do {
        c->again = false;
        if (c->closed)
            break;
        c->role->settle(c);
    } while (c->again);
    c->busy = false;
    if (c->closed && c->m == NULL && nr_op_idle(&c->recv.op) && nr_op_idle(&c->writable) &&
        nr_op_idle(&c->turn) && c->role->idle(c))
        c->role->free(c);
}

void nr_h1_kick(struct nr_h1_conn *c)
{
    if (c->busy)
        c->again = true;
    else if (nr_op_idle(&c->turn))
        nr_io_defer(c->io, &c->turn);
}

void nr_h1_end(struct nr_h1_msg *m, enum nr_end end)
{
    if (m->ending)
        return;
    m->ending = true;
    m->end = (uint8_t)end;
    nr_h1_kick(m->conn);
}

void nr_h1_close(struct nr_h1_conn *c, enum nr_close how)
{
    nr_assert(c->busy); /* so that leave frees it */
    if (c->closed)
        return;
    c->closed = true;
    nr_sock_close(c->sock, how);
    c->sock = NULL;
    nr_timer_disarm(c->io, &c->timer);
    nr_buf_put(nr_io_bufs(c->io), c->out);
    c->out = NULL;
    if (nr_op_idle(&c->recv.op)) { /* else its callback does this */
        nr_buf_put(nr_io_bufs(c->io), c->in);
        c->in = NULL;
    }
}

void nr_h1_recv(struct nr_h1_conn *c, uint64_t want)
{
    if (!nr_op_idle(&c->recv.op))
        return;
    if (c->big && want < NR_BUF_SMALL_BYTES)
        want = NR_BUF_SMALL_BYTES;
    c->recv.buf = c->in;
    c->recv.want = want > UINT32_MAX ? UINT32_MAX : (uint32_t)want;
    nr_sock_recv(c->sock, &c->recv);
}

void nr_h1_deadlines(struct nr_h1_conn *c)
{
    uint64_t at_ns = c->read_deadline_ns;

    if (c->write_deadline_ns != 0 && (at_ns == 0 || c->write_deadline_ns < at_ns))
        at_ns = c->write_deadline_ns;
    if (at_ns != 0 && (!nr_timer_armed(&c->timer) || c->timer.at_ns > at_ns))
        nr_timer_arm(c->io, &c->timer, at_ns);
}

void nr_h1_read_deadline(struct nr_h1_conn *c, uint64_t at_ns)
{
    c->read_deadline_ns = at_ns;
    if (at_ns != 0)
        nr_h1_deadlines(c);
}
