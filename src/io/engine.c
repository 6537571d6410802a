/* SPDX-License-Identifier: Apache-2.0 */
/* The part of io.h that does not depend on the world.
 *
 * Invariants:
 *
 *   1. An op is counted in `outstanding` exactly while it is PENDING or READY (one that was posted
 *      from another thread: in `posted` until the engine takes it in).
 *   2. A READY op's link is on the ready queue (or in the mailbox). A PENDING one's belongs to the
 *      back end, a PENDING timer's to the wheel.
 *   3. Callbacks are made by run() and nowhere else, and run() is reached from the drain of the
 *      queue only. */
#include "io/engine.h"

#include <string.h>

#include "base/assert.h"
#include "base/cell.h"
#include "base/compiler.h"

/* ---- descriptors ---- */

static void on_shortage(struct nr_op *op)
{
    struct nr_io *io = nr_container_of(op, struct nr_io, shortage);

    for (struct nr_link *link = io->shortages.next; link != &io->shortages; link = link->next) {
        struct nr_shortage *shortage = nr_container_of(link, struct nr_shortage, link);

        shortage->asked(shortage);
    }
}

static const struct nr_op_kind shortage_kind = {on_shortage, "io.shortage"};

void nr_shortage_watch(struct nr_io *io, struct nr_shortage *shortage)
{
    nr_list_push_back(&io->shortages, &shortage->link);
}

void nr_shortage_unwatch(struct nr_shortage *shortage)
{
    nr_list_remove(&shortage->link);
}

void nr_io_short_of_files(struct nr_io *io)
{
    nr_engine_kick(io, &io->shortage);
}

/* ---- life ---- */

void nr_engine_init(struct nr_io *io, const struct nr_io_backend *backend, uint64_t now_ns,
                    uint64_t wall_ns, uint64_t seed)
{
    memset(io, 0, sizeof(*io));
    io->backend = backend;
    io->now_ns = now_ns;
    io->wall_ns = wall_ns;
    nr_link_init(&io->ready);
    nr_link_init(&io->shortages);
    nr_engine_internal_init(&io->shortage, &shortage_kind);
    nr_random_init(&io->random, seed);
    nr_buf_pool_init(&io->bufs);
    nr_timers_init(&io->timers, now_ns);
}

void nr_engine_done(struct nr_io *io)
{
    nr_assert(nr_io_outstanding(io) == 0);
    nr_assert(io->bufs.live == 0);
    nr_buf_pool_done(&io->bufs);
}

/* ---- the life of an operation ---- */

static void submit(struct nr_io *io, struct nr_op *op, enum nr_op_type type)
{
    nr_assert(op->state == NR_OP_IDLE && op->kind != NULL);
    op->state = NR_OP_PENDING;
    op->type = (uint8_t)type;
    op->flags = 0;
    nr_link_init(&op->link);
    io->outstanding++;
}

void nr_engine_ready(struct nr_io *io, struct nr_op *op, int32_t result)
{
    nr_assert(op->state == NR_OP_PENDING);
    nr_list_remove(&op->link);
    op->state = NR_OP_READY;
    op->result = result;
    nr_list_push_back(&io->ready, &op->link);
}

static void run(struct nr_io *io, struct nr_op *op)
{
    op->state = NR_OP_IDLE;
    if (op->type != NR_OP_INTERNAL) {
        io->outstanding--;
        if (io->trace != NULL)
            io->trace(io, op);
    }
    atomic_store_explicit(&io->running, op->kind, memory_order_relaxed);
    atomic_store_explicit(&io->runs, atomic_load_explicit(&io->runs, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    op->kind->done(op); /* op may be gone after this */
}

void nr_engine_complete(struct nr_io *io, struct nr_op *op, int32_t result)
{
    nr_assert(op->state == NR_OP_PENDING);
    nr_list_remove(&op->link);
    op->result = result;
    run(io, op);
}

void nr_engine_arrived(struct nr_io *io, struct nr_op *op)
{
    if (op->type != NR_OP_INTERNAL) {
        atomic_fetch_sub_explicit(&io->posted, 1, memory_order_relaxed);
        io->outstanding++;
    }
    nr_list_push_back(&io->ready, &op->link);
}

void nr_engine_internal_init(struct nr_op *op, const struct nr_op_kind *kind)
{
    nr_op_init(op, kind);
    op->type = NR_OP_INTERNAL;
}

void nr_engine_kick(struct nr_io *io, struct nr_op *op)
{
    nr_assert(op->type == NR_OP_INTERNAL);
    if (nr_link_linked(&op->link))
        return;
    op->state = NR_OP_READY;
    nr_list_push_back(&io->ready, &op->link);
}

bool nr_engine_run_one(struct nr_io *io)
{
    struct nr_link *link = nr_list_pop_front(&io->ready);

    if (link == NULL)
        return false;
    run(io, nr_container_of(link, struct nr_op, link));
    return true;
}

void nr_engine_drain(struct nr_io *io, uint32_t budget)
{
    while (budget-- > 0 && nr_engine_run_one(io))
        ;
    atomic_store_explicit(&io->running, NULL, memory_order_relaxed);
}

void nr_op_cancel(struct nr_io *io, struct nr_op *op)
{
    nr_assert(op->type != NR_OP_TIMER || op->state == NR_OP_IDLE); /* disarm it instead */
    if (op->state == NR_OP_PENDING)
        io->backend->cancel(io, op);
}

void nr_io_defer(struct nr_io *io, struct nr_op *op)
{
    submit(io, op, NR_OP_DEFER);
    nr_engine_ready(io, op, NR_OK);
}

/* What was posted has happened: READY at once, so that a cancel cannot race with its way. */
void nr_io_post(struct nr_io *io, struct nr_op *op)
{
    nr_assert(op->state == NR_OP_IDLE);
    op->state = NR_OP_READY;
    op->type = op->type == NR_OP_INTERNAL ? NR_OP_INTERNAL : NR_OP_POST;
    op->result = NR_OK;
    if (op->type != NR_OP_INTERNAL)
        atomic_fetch_add_explicit(&io->posted, 1, memory_order_relaxed);
    io->backend->post(io, op);
}

/* ---- time, randomness ---- */

uint64_t nr_io_now_ns(const struct nr_io *io)
{
    return io->now_ns;
}

uint64_t nr_io_wall_ns(const struct nr_io *io)
{
    return io->wall_ns;
}

uint64_t nr_io_clock_ns(struct nr_io *io)
{
    return io->backend->clock_ns(io);
}

struct nr_random *nr_io_random(struct nr_io *io)
{
    return &io->random;
}

void nr_io_entropy(struct nr_io *io, void *to, size_t bytes)
{
    io->backend->entropy(io, to, bytes);
}

void nr_engine_internal_timer_init(struct nr_timer *timer, const struct nr_op_kind *kind)
{
    nr_timer_init(timer, kind);
    timer->op.type = NR_OP_INTERNAL;
}

void nr_timer_arm(struct nr_io *io, struct nr_timer *timer, uint64_t at_ns)
{
    nr_timer_disarm(io, timer);
    timer->at_ns = at_ns;
    timer->op.state = NR_OP_PENDING;
    timer->op.result = NR_OK;
    if (timer->op.type != NR_OP_INTERNAL) {
        timer->op.type = NR_OP_TIMER;
        io->outstanding++;
    }
    nr_timers_add(&io->timers, timer);
}

void nr_timer_disarm(struct nr_io *io, struct nr_timer *timer)
{
    if (timer->op.state == NR_OP_IDLE)
        return;
    if (timer->op.state == NR_OP_PENDING)
        nr_timers_remove(&io->timers, timer);
    else
        nr_list_remove(&timer->op.link); /* due in this very turn: off the ready queue */
    timer->op.state = NR_OP_IDLE;
    if (timer->op.type != NR_OP_INTERNAL)
        io->outstanding--;
}

void nr_engine_expire(struct nr_io *io)
{
    struct nr_link expired;

    nr_link_init(&expired);
    nr_timers_expire(&io->timers, io->now_ns, &expired);
    for (struct nr_link *link = expired.next; link != &expired; link = link->next)
        nr_container_of(link, struct nr_op, link)->state = NR_OP_READY;
    nr_list_splice_back(&io->ready, &expired);
}

/* ---- sockets ---- */

void nr_sock_connect(struct nr_io *io, struct nr_connect *connect)
{
    submit(io, &connect->op, NR_OP_CONNECT);
    connect->sock = NULL;
    io->backend->connect(io, connect);
}

void nr_sock_recv(struct nr_sock *sock, struct nr_recv *recv)
{
    nr_assert(recv->buf == NULL || nr_buf_room(recv->buf) > 0);
    submit(sock->io, &recv->op, NR_OP_RECV);
    sock->io->backend->recv(sock, recv);
}

int64_t nr_sock_write(struct nr_sock *sock, const struct iovec *parts, int count)
{
    return sock->io->backend->write(sock, parts, count);
}

void nr_sock_when_writable(struct nr_sock *sock, struct nr_op *op)
{
    submit(sock->io, op, NR_OP_WRITABLE);
    sock->io->backend->when_writable(sock, op);
}

void nr_sock_watch_close(struct nr_sock *sock, struct nr_op *op)
{
    submit(sock->io, op, NR_OP_WATCH);
    sock->io->backend->watch_close(sock, op);
}

void nr_sock_shutdown(struct nr_sock *sock)
{
    sock->io->backend->shutdown(sock);
}

void nr_sock_close(struct nr_sock *sock, enum nr_close how)
{
    if (sock != NULL)
        sock->io->backend->close(sock, how);
}

struct nr_addr nr_sock_peer(const struct nr_sock *sock)
{
    return sock->io->backend->peer(sock);
}

struct nr_addr nr_sock_local(const struct nr_sock *sock)
{
    return sock->io->backend->local(sock);
}

struct nr_io *nr_sock_io(const struct nr_sock *sock)
{
    return sock->io;
}

/* ---- listening ---- */

enum nr_code nr_listener_open(struct nr_io *const *engines, uint32_t count,
                              const struct nr_listen_conf *conf, struct nr_listener **ret_listener,
                              struct nr_err *err)
{
    nr_assert(count > 0);
    return engines[0]->backend->listener_open(engines, count, conf, ret_listener, err);
}

struct nr_addr nr_listener_address(const struct nr_listener *listener)
{
    return listener->backend->listener_address(listener);
}

void nr_listener_accept(struct nr_listener *listener, struct nr_io *io, struct nr_accept *accept)
{
    submit(io, &accept->op, NR_OP_ACCEPT);
    accept->sock = NULL;
    accept->peer = (struct nr_addr){.family = NR_ADDR_NONE};
    listener->backend->accept(listener, io, accept);
}

void nr_listener_client_first(struct nr_listener *listener, bool on)
{
    listener->backend->listener_client_first(listener, on);
}

void nr_listener_close(struct nr_listener *listener)
{
    if (listener != NULL)
        listener->backend->listener_close(listener);
}

/* ---- names, work, files, signals ---- */

void nr_io_resolve(struct nr_io *io, struct nr_resolve *resolve)
{
    submit(io, &resolve->op, NR_OP_RESOLVE);
    resolve->count = 0;
    resolve->ttl_s = 0;
    io->backend->resolve(io, resolve);
}

void nr_io_work(struct nr_io *io, struct nr_work *work)
{
    submit(io, &work->op, NR_OP_WORK);
    io->backend->work(io, work);
}

enum nr_code nr_io_read_file(struct nr_io *io, const char *path, size_t bytes_max, char **ret_bytes,
                             size_t *ret_len, struct nr_err *err)
{
    return io->backend->read_file(io, path, bytes_max, ret_bytes, ret_len, err);
}

void nr_io_signal(struct nr_io *io, struct nr_signal *signal)
{
    submit(io, &signal->op, NR_OP_SIGNAL);
    io->backend->signal(io, signal);
}

/* ---- running ---- */

void nr_io_run(struct nr_io *io)
{
    io->backend->run(io);
}

void nr_io_stop(struct nr_io *io)
{
    io->backend->stop(io);
}

struct nr_buf_pool *nr_io_bufs(struct nr_io *io)
{
    return &io->bufs;
}

uint32_t nr_io_socket_count(const struct nr_io *io)
{
    return atomic_load_explicit(&io->sockets, memory_order_relaxed);
}

uint64_t nr_io_accept_pauses(const struct nr_io *io)
{
    return nr_cell_get(&io->accept_pauses);
}

uint32_t nr_io_accept_paused(const struct nr_io *io)
{
    return nr_cell32_get(&io->accept_paused);
}

void nr_io_lag(const struct nr_io *io, struct nr_hist *to)
{
    nr_hist_merge(to, &io->lag_us);
}

uint64_t nr_io_cpu_ns(const struct nr_io *io)
{
    return io->backend->cpu_ns != NULL ? io->backend->cpu_ns(io) : 0;
}

uint32_t nr_io_outstanding(const struct nr_io *io)
{
    return io->outstanding + atomic_load_explicit(&io->posted, memory_order_relaxed);
}
