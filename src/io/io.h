/* SPDX-License-Identifier: Apache-2.0 */
/* io.h - the engine: the only door to time, randomness, network, names, files, threads.
 *
 * One engine (struct nr_io) per worker thread. Two back ends stand behind the same
 * functions: epoll (the real world) and sim (a virtual world, by seed), and nothing
 * above this header can tell which one it runs on.
 *
 * Operations. The caller embeds a struct nr_op in its own memory and submits it.
 *
 *   IDLE --submit--> PENDING --something happened--> READY --callback--> IDLE
 *                       '------------cancel-----------^
 *
 *   1. Submitting never calls back. Neither does cancel, close or any other function here.
 *   2. Every submitted operation calls back exactly once, also when it was cancelled
 *      (NR_ECANCELED) or its socket was closed (likewise). Until then its memory belongs
 *      to the engine. Inside the callback it is IDLE again: it may be submitted anew or freed.
 *   3. Completions drain from one queue per engine, in the order in which they became
 *      ready, with a budget per turn.
 *   4. Everything here is for the engine's own thread, but nr_io_post and nr_io_stop.
 *
 * Owners count their outstanding operations and free themselves at zero.
 *
 * A timer is not an operation: disarming it is synchronous and after it the timer
 * will not fire, because timers are armed and disarmed on every request.
 *
 * Writing is not an operation either: nr_sock_write takes at once what the kernel takes
 * and says how much that was; the rest stays with the caller, who waits with
 * nr_sock_when_writable. So no buffer ever changes hands to be sent. */
#ifndef NR_IO_IO_H
#define NR_IO_IO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/random.h"
#include "io/addr.h"
#include "naru/err.h"

struct nr_io;
struct nr_op;
struct nr_sock;
struct nr_listener;

/* ---- operations ---- */

/* What an operation does when it completes, and what the watchdog and the simulator's
 * trace call it. One static const per kind: {on_recv, "http1.recv"}. */
struct nr_op_kind {
    void (*done)(struct nr_op *op);
    const char *name;
};

enum nr_op_state { NR_OP_IDLE, NR_OP_PENDING, NR_OP_READY };

struct nr_op {
    struct nr_link link; /* the engine's */
    const struct nr_op_kind *kind;
    int32_t result; /* valid in the callback: NR_OK or a byte count, or a negative enum nr_code */
    uint8_t state;  /* enum nr_op_state */
    uint8_t type;   /* the back end's */
    uint16_t flags; /* the back end's */
};

static inline void nr_op_init(struct nr_op *op, const struct nr_op_kind *kind)
{
    nr_link_init(&op->link);
    op->kind = kind;
    op->result = NR_OK;
    op->state = NR_OP_IDLE;
    op->type = 0;
    op->flags = 0;
}

static inline bool nr_op_idle(const struct nr_op *op)
{
    return op->state == NR_OP_IDLE;
}

/* Complete a pending operation with NR_ECANCELED, through the queue. An idle one is left
 * alone; one that is READY already keeps its result, for what happened has happened.
 * Work that already runs on a pool thread is not stopped: its result becomes NR_ECANCELED
 * but the callback waits for it to finish. */
void nr_op_cancel(struct nr_io *io, struct nr_op *op);

/* Queue op to call back in this engine with result NR_OK, behind what is ready already. */
void nr_io_defer(struct nr_io *io, struct nr_op *op);

/* The same from any thread; the order of one thread's posts is kept. */
void nr_io_post(struct nr_io *io, struct nr_op *op);

/* ---- time ---- */

/* Monotonic; read once per turn, so it stands still within a callback. */
uint64_t nr_io_now_ns(const struct nr_io *io);

/* Wall clock since the epoch, UTC, of the same instant. */
uint64_t nr_io_wall_ns(const struct nr_io *io);

/* The clock itself, for measuring inside one turn; the simulator's stands still. */
uint64_t nr_io_clock_ns(struct nr_io *io);

/* The engine's random numbers: seeded from the system, or by the simulation's seed. */
struct nr_random *nr_io_random(struct nr_io *io);

/* Unpredictable bytes for identifiers and keys. In the simulator: from its seed. */
void nr_io_entropy(struct nr_io *io, void *to, size_t bytes);

struct nr_timer {
    struct nr_op op;
    uint64_t at_ns;
};

static inline void nr_timer_init(struct nr_timer *timer, const struct nr_op_kind *kind)
{
    nr_op_init(&timer->op, kind);
    timer->at_ns = 0;
}

static inline bool nr_timer_armed(const struct nr_timer *timer)
{
    return timer->op.state != NR_OP_IDLE;
}

/* Fire at (or within a millisecond after) at_ns of nr_io_now_ns; a time in the past fires in
 * the next turn. An armed timer is moved. Cheap: no system call, O(1). */
void nr_timer_arm(struct nr_io *io, struct nr_timer *timer, uint64_t at_ns);

/* It will not fire any more, even if it was due in this very turn. */
void nr_timer_disarm(struct nr_io *io, struct nr_timer *timer);

/* ---- sockets ---- */

struct nr_connect {
    struct nr_op op;
    struct nr_addr to;
    struct nr_sock *sock; /* set when op.result == NR_OK: owned by the caller */
};

/* Open a stream connection. Bounding its time is the caller's: arm a timer and cancel. */
void nr_sock_connect(struct nr_io *io, struct nr_connect *connect);

struct nr_recv {
    struct nr_op op;
    struct nr_buf
        *buf; /* NULL: the engine lends one when there is data. Else: append to it; it has room */
    uint32_t want; /* hint: bytes expected; from 16 KiB up a large buffer is lent */
};

/* op.result: > 0 bytes received, at the end of recv->buf; 0 the peer's FIN; negative an error
 * (NR_ERESET …). Only with > 0 is a buffer lent; it is then the caller's, to be put back with
 * nr_buf_put(nr_io_bufs(io), buf). At most one recv per socket at a time. */
void nr_sock_recv(struct nr_sock *sock, struct nr_recv *recv);

/* Write now what goes. Returns the bytes taken (0: none at the moment) or a negative enum
 * nr_code. Never raises SIGPIPE. */
int64_t nr_sock_write(struct nr_sock *sock, const struct iovec *parts, int count);

/* Completes with NR_OK once a write would take bytes again, or with the socket's error. */
void nr_sock_when_writable(struct nr_sock *sock, struct nr_op *op);

/* Completes when the peer closes (NR_ECLOSED: FIN, perhaps behind unread data) or
 * resets (NR_ERESET). Reads nothing. */
void nr_sock_watch_close(struct nr_sock *sock, struct nr_op *op);

/* Send FIN; reading goes on. */
void nr_sock_shutdown(struct nr_sock *sock);

enum nr_close {
    NR_CLOSE_GRACEFUL, /* what was written still goes out */
    NR_CLOSE_RESET,    /* RST: the peer must not take it for an orderly end */
};

/* Close. Pending operations on the socket complete with NR_ECANCELED; the handle is
 * invalid at once. NULL is fine. */
void nr_sock_close(struct nr_sock *sock, enum nr_close how);

struct nr_addr nr_sock_peer(const struct nr_sock *sock);
struct nr_addr nr_sock_local(const struct nr_sock *sock);
struct nr_io *nr_sock_io(const struct nr_sock *sock);

/* ---- listening ---- */

struct nr_listen_conf {
    struct nr_addr address;
    int backlog;        /* 0: the system's maximum */
    uint32_t unix_mode; /* permission bits of a Unix socket; 0: 0660 */
    int inherited_fd;   /* >= 0: listen on this instead of binding; -1 otherwise */
};

/* Open a listener that the given engines share. Fails with NR_EADDRINUSE, NR_EACCESS,
 * NR_EFILES … and a line that says what to do. Any thread, also while the engines run. */
enum nr_code nr_listener_open(struct nr_io *const *engines, uint32_t count,
                              const struct nr_listen_conf *conf, struct nr_listener **ret_listener,
                              struct nr_err *err) NR_MUST_USE;

/* The address bound (with the port chosen, when 0 was asked for). */
struct nr_addr nr_listener_address(const struct nr_listener *listener);

/* Do clients speak first, as in HTTP? If so, where the system can (TCP), a connection is accepted
 * together with its first bytes, or a second after it stands without any: one wake-up instead of
 * two. Until then it waits in the system's queue. Off at first; any thread, at any time. */
void nr_listener_client_first(struct nr_listener *listener, bool on);

struct nr_accept {
    struct nr_op op;
    struct nr_sock *sock; /* set when op.result == NR_OK */
    struct nr_addr peer;
};

/* Wait for one connection for this engine. Whichever engine's thread accepts, the connection goes
 * to the engine with the fewest open sockets among those that wait in nr_listener_accept.
 * NR_EFILES: out of descriptors; the engine backs off by itself, just submit again. When no engine
 * waits, connections stay in the backlog. */
void nr_listener_accept(struct nr_listener *listener, struct nr_io *io, struct nr_accept *accept);

/* Stop listening; pending accepts complete with NR_ECANCELED, each in its own engine. Once, on the
 * thread of one of its engines, when nobody will call nr_listener_accept any more: the memory goes
 * when the last accept has called back. A Unix socket's file is removed. One that nobody ever
 * accepted from may be closed on any thread. */
void nr_listener_close(struct nr_listener *listener);

/* ---- names ---- */

enum { NR_RESOLVE_ADDRS_MAX = 128 };

struct nr_resolve {
    struct nr_op op;
    const char *name; /* borrowed until the callback; numeric addresses are answered too */
    uint16_t port;    /* put into every address */
    uint32_t count;   /* op.result NR_OK: at least 1 */
    uint32_t ttl_s;   /* the least of the records' */
    struct nr_addr addrs[NR_RESOLVE_ADDRS_MAX];
};

/* A and AAAA. NR_ENAME: no such name; NR_ETIMEOUT: no server answered. */
void nr_io_resolve(struct nr_io *io, struct nr_resolve *resolve);

/* ---- blocking work ---- */

struct nr_work {
    struct nr_op op;
    void (*run)(struct nr_work *work); /* on a pool thread: may block, touches only *work's owner */
};

/* Run on the pool, then call back in this engine. NR_ELIMIT when the pool's queue is full. */
void nr_io_work(struct nr_io *io, struct nr_work *work);

/* ---- files: blocking, so only at start, or inside nr_work.run ---- */

/* Read a whole file into malloc'ed *ret_bytes (NUL behind it). At most bytes_max. */
enum nr_code nr_io_read_file(struct nr_io *io, const char *path, size_t bytes_max, char **ret_bytes,
                             size_t *ret_len, struct nr_err *err) NR_MUST_USE;

/* ---- signals ---- */

struct nr_signal {
    struct nr_op op;
    int signo;
};

/* Completes once when the process gets the signal (blocked in all threads by
 * nr_io_block_signals). In the simulator: when the test raises it. */
void nr_io_signal(struct nr_io *io, struct nr_signal *signal);

/* ---- running ---- */

/* Turn until nr_io_stop. Real engines only; the simulation steps its own. */
void nr_io_run(struct nr_io *io);

/* From any thread: nr_io_run returns after the present turn. */
void nr_io_stop(struct nr_io *io);

struct nr_buf_pool *nr_io_bufs(struct nr_io *io);

/* Open sockets of this engine (accepted and connected). May be read from any thread. */
uint32_t nr_io_socket_count(const struct nr_io *io);

/* Who holds descriptors that it can do without (idle connections) is asked to close some when they
 * are short: in a turn of its own, and again as long as they are. `asked` neither adds nor removes.
 */
struct nr_shortage {
    struct nr_link link;
    void (*asked)(struct nr_shortage *shortage);
};
void nr_shortage_watch(struct nr_io *io, struct nr_shortage *shortage);
void nr_shortage_unwatch(struct nr_shortage *shortage);

/* There was none when one was needed: ask. */
void nr_io_short_of_files(struct nr_io *io);

/* How often accepting has paused on this engine for want of descriptors, and on how many listeners
 * it does now. Any thread. */
uint64_t nr_io_accept_pauses(const struct nr_io *io);
uint32_t nr_io_accept_paused(const struct nr_io *io);

/* How late the loop was, whenever it looked (four times a second while it runs): what any event had
 * to wait for its callback. Added to `to`, which is the caller's alone. Any thread. */
struct nr_hist;
void nr_io_lag(const struct nr_io *io, struct nr_hist *to);

/* CPU time of the thread that runs it; 0: not known, or it does not run. Any thread. */
uint64_t nr_io_cpu_ns(const struct nr_io *io);

/* Operations and timers outstanding: 0 before nr_io_free, or something leaked. */
uint32_t nr_io_outstanding(const struct nr_io *io);

#endif
