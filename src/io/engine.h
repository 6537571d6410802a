/* SPDX-License-Identifier: Apache-2.0 */
/* engine.h - what the two back ends share. Internal to io.
 *
 * A back end embeds struct nr_io as the first member of its own engine, fills in a table of
 * functions and drains the ready queue. engine.c does the rest of io.h: it checks the callers,
 * keeps the count of what is outstanding, owns timers, buffers and random numbers.
 *
 * The life of an operation, seen from a back end:
 *
 *   submit   engine.c has made it PENDING and counted it; then the back end's function runs. The
 *            link is the back end's: typically on a list of the socket.
 *   finish   nr_engine_ready(io, op, result): off whatever list it is on, READY, at the end of the
 *            queue. Never a callback. Or, from inside an internal op only, nr_engine_complete():
 *            calls back at once, so that what was read is still in the cache.
 *   cancel   only for PENDING operations; the back end forgets it and makes it READY with
 *            NR_ECANCELED, at once or (blocking work) when it can.
 *
 * Internal operations (nr_engine_internal_init) ride the same queue in order to do something in
 * their turn, such as reading a socket; they are not counted and not traced, and may be taken off
 * with nr_list_remove. */
#ifndef NR_IO_ENGINE_H
#define NR_IO_ENGINE_H

#include <stdatomic.h>

#include "base/hist.h"
#include "io/io.h"
#include "io/timers.h"

enum nr_op_type {
    NR_OP_NONE,
    NR_OP_DEFER,
    NR_OP_POST,
    NR_OP_TIMER,
    NR_OP_CONNECT,
    NR_OP_RECV,
    NR_OP_WRITABLE,
    NR_OP_WATCH,
    NR_OP_ACCEPT,
    NR_OP_RESOLVE,
    NR_OP_WORK,
    NR_OP_SIGNAL,
    NR_OP_INTERNAL, /* the back end's own: not counted, not traced */
};

/* What a back end does. Operations arrive PENDING; of the io.h rules about them only the effect
 * is left to do. */
struct nr_io_backend {
    uint64_t (*clock_ns)(struct nr_io *io);
    void (*entropy)(struct nr_io *io, void *to, size_t bytes);
    void (*cancel)(struct nr_io *io, struct nr_op *op); /* op is PENDING */
    void (*post)(struct nr_io *io, struct nr_op *op); /* op is READY; from any thread; see below */

    void (*connect)(struct nr_io *io, struct nr_connect *connect); /* connect->sock is NULL */
    void (*recv)(struct nr_sock *sock, struct nr_recv *recv);
    int64_t (*write)(struct nr_sock *sock, const struct iovec *parts, int count);
    void (*when_writable)(struct nr_sock *sock, struct nr_op *op);
    void (*watch_close)(struct nr_sock *sock, struct nr_op *op);
    void (*shutdown)(struct nr_sock *sock);
    void (*close)(struct nr_sock *sock, enum nr_close how);
    struct nr_addr (*peer)(const struct nr_sock *sock);
    struct nr_addr (*local)(const struct nr_sock *sock);

    enum nr_code (*listener_open)(struct nr_io *const *engines, uint32_t count,
                                  const struct nr_listen_conf *conf,
                                  struct nr_listener **ret_listener, struct nr_err *err);
    struct nr_addr (*listener_address)(const struct nr_listener *listener);
    void (*accept)(struct nr_listener *listener, struct nr_io *io, struct nr_accept *accept);
    void (*listener_close)(struct nr_listener *listener);
    void (*listener_client_first)(struct nr_listener *listener, bool on);

    void (*resolve)(struct nr_io *io, struct nr_resolve *resolve);
    void (*work)(struct nr_io *io, struct nr_work *work);
    enum nr_code (*read_file)(struct nr_io *io, const char *path, size_t bytes_max,
                              char **ret_bytes, size_t *ret_len, struct nr_err *err);
    void (*signal)(struct nr_io *io, struct nr_signal *signal);
    void (*run)(struct nr_io *io);
    void (*stop)(struct nr_io *io);             /* from any thread */
    uint64_t (*cpu_ns)(const struct nr_io *io); /* from any thread; NULL: not known */
};

struct nr_io {
    const struct nr_io_backend *backend;
    uint64_t now_ns;         /* the back end sets it at the start of a turn */
    uint64_t wall_ns;        /* the same instant */
    struct nr_link ready;    /* of struct nr_op: READY, or internal */
    uint32_t outstanding;    /* PENDING and READY operations, armed timers */
    _Atomic uint32_t posted; /* posted from other threads, not yet taken into `outstanding` */
    _Atomic uint32_t sockets;
    struct nr_link shortages; /* struct nr_shortage */
    struct nr_op shortage;    /* internal: asks them */
    uint64_t accept_pauses;   /* cells */
    uint32_t accept_paused;
    struct nr_hist lag_us; /* cells; filled by back ends that look */
    /* For the watchdog: what runs now (NULL: nothing), and a number that changes with each. */
    _Atomic(const struct nr_op_kind *) running;
    _Atomic uint32_t runs;
    /* Each completed operation, before its callback; NULL: none. */
    void (*trace)(struct nr_io *io, const struct nr_op *op);
    struct nr_random random;
    struct nr_buf_pool bufs;
    struct nr_timers timers;
};

/* The common part of a socket and of a listener: the first member of the back end's. */
struct nr_sock {
    struct nr_io *io;
};

struct nr_listener {
    const struct nr_io_backend *backend;
};

void nr_engine_init(struct nr_io *io, const struct nr_io_backend *backend, uint64_t now_ns,
                    uint64_t wall_ns, uint64_t seed);

/* Asserts that nothing is outstanding and no buffer is lent. */
void nr_engine_done(struct nr_io *io);

/* PENDING -> READY. Takes the op off the list it is on. */
void nr_engine_ready(struct nr_io *io, struct nr_op *op, int32_t result);

/* PENDING -> IDLE with its callback, now. Only from an internal op's turn. Afterwards anything may
 * have been closed or freed by the callback: touch nothing that belongs to the op. */
void nr_engine_complete(struct nr_io *io, struct nr_op *op, int32_t result);

/* Take over an op that was posted (READY, counted in `posted`) on the engine's own thread. */
void nr_engine_arrived(struct nr_io *io, struct nr_op *op);

/* An internal op: `kind->done` is called in its turn. */
void nr_engine_internal_init(struct nr_op *op, const struct nr_op_kind *kind);

/* Queue an internal op, if it is not queued already. */
void nr_engine_kick(struct nr_io *io, struct nr_op *op);

/* A timer that the back end uses for itself: neither counted nor traced. Arm and disarm as usual.
 */
void nr_engine_internal_timer_init(struct nr_timer *timer, const struct nr_op_kind *kind);

/* Move the timers that are due at io->now_ns to the ready queue. */
void nr_engine_expire(struct nr_io *io);

/* Run the first op of the ready queue. False: it is empty. */
bool nr_engine_run_one(struct nr_io *io);

/* Run at most `budget` ops of the ready queue. */
void nr_engine_drain(struct nr_io *io, uint32_t budget);

#endif
