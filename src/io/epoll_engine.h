/* SPDX-License-Identifier: Apache-2.0 */
/* epoll_engine.h - what the files of the epoll back end share. Internal to io.
 *
 * epoll.c        the turn: wait, look at events, timers, mailbox, drain
 * epoll_sock.c   sockets            epoll_bind.c    opening a listener, its error texts
 * epoll_listen.c accepting          epoll_signal.c  signals
 * resolve.c      names (c-ares)     workpool.c      blocking work
 * watchdog.c     who holds the loop */
#ifndef NR_IO_EPOLL_ENGINE_H
#define NR_IO_EPOLL_ENGINE_H

#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/compiler.h"
#include "io/engine.h"
#include "io/epoll.h"

struct nr_resolver;
struct nr_watchdog;
struct nr_workpool;

enum {
    NR_EPOLL_EVENTS = 256,
    NR_EPOLL_YOUNG_MAX = 256,
};

/* A descriptor that is not a socket of the user's. What epoll reports is gathered in `events`; in
 * its turn `turn` runs and takes them. */
struct nr_watch {
    struct nr_op turn;
    uint32_t events;
    int fd;
};

/* A socket that was accepted and not registered yet. */
struct nr_epoll_young {
    struct nr_sock *sock; /* NULL: it has been registered, or closed */
    uint64_t until_ns;
};

/* What other threads write stands apart on purpose. */
/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding) */
struct nr_epoll {
    struct nr_io base;
    int epoll_fd;
    int wake_fd;
    uint64_t wall_read_ns; /* monotonic time at which the wall clock was last looked at */
    uint64_t wall_offset_ns;
    struct nr_epoll_conf conf;
    char *dns_servers;            /* owned copy, or NULL */
    struct nr_link slots;         /* our part of each listener: struct nr_slot.of_engine */
    struct nr_resolver *resolver; /* made when first needed, as the next two */
    struct nr_workpool *pool;
    struct nr_link signals; /* struct nr_signal that wait */
    struct nr_watch signal_watch;
    struct nr_timer probe; /* internal: how late are we? */
    struct nr_watch wake;  /* of the wake-up descriptor: has nothing to do */
    struct nr_epoll_young young[NR_EPOLL_YOUNG_MAX]; /* a ring; see epoll_sock.c */
    uint32_t young_first;                            /* the oldest; modulo its size the index */
    uint32_t young_end;

    /* Written by other threads: away from what the engine's thread writes. */
    _Alignas(NR_CACHE_LINE_BYTES) _Atomic(struct nr_link *) mailbox; /* newest first */
    _Atomic bool sleeping;
    _Atomic bool stopping;
    _Atomic clockid_t cpu_clock; /* of the thread that runs it; 0: none does */

    _Alignas(NR_CACHE_LINE_BYTES) struct epoll_event events[NR_EPOLL_EVENTS];
};

static inline struct nr_epoll *nr_epoll_of(struct nr_io *io)
{
    return (struct nr_epoll *)(void *)io;
}

/* One turn that waits at most wait_max_ns. For tests that step engines in one thread. */
void nr_epoll_turn(struct nr_io *io, uint64_t wait_max_ns);

uint64_t nr_epoll_clock_ns(struct nr_io *io);

/* Put an op into the engine's mailbox, from any thread; wakes the engine if it sleeps. */
void nr_epoll_post(struct nr_io *io, struct nr_op *op);

/* ---- watches ---- */

void nr_watch_init(struct nr_watch *watch, int fd, const struct nr_op_kind *kind);

/* Level-triggered unless events say otherwise. 0 or an errno. */
int nr_watch_add(struct nr_epoll *e, struct nr_watch *watch, uint32_t events);
int nr_watch_change(struct nr_epoll *e, struct nr_watch *watch, uint32_t events);

/* No turn comes any more, even if it is queued. */
void nr_watch_remove(struct nr_epoll *e, struct nr_watch *watch);

/* ---- epoll_sock.c ---- */

/* What epoll reported about a socket; `tagged` is its event's pointer. */
void nr_epoll_sock_event(struct nr_sock *sock, uint32_t events);

/* Register the young sockets whose time has come. */
void nr_epoll_sock_grow_up(struct nr_epoll *e);

/* When that will next be; UINT64_MAX: there are none. */
uint64_t nr_epoll_sock_young_until_ns(struct nr_epoll *e);

/* Take over fd. The caller has counted it in io->sockets. NULL with fd closed and the count undone:
 * the kernel has no room for it. spoke: there is something to read already, as a rule. */
struct nr_sock *nr_epoll_sock_adopt(struct nr_epoll *e, int fd, const struct nr_addr *peer,
                                    bool spoke);

void nr_epoll_connect(struct nr_io *io, struct nr_connect *connect);
void nr_epoll_connect_cancel(struct nr_io *io, struct nr_connect *connect);
void nr_epoll_recv(struct nr_sock *sock, struct nr_recv *recv);
int64_t nr_epoll_write(struct nr_sock *sock, const struct iovec *parts, int count);
void nr_epoll_when_writable(struct nr_sock *sock, struct nr_op *op);
void nr_epoll_watch_close(struct nr_sock *sock, struct nr_op *op);
void nr_epoll_shutdown(struct nr_sock *sock);
void nr_epoll_close(struct nr_sock *sock, enum nr_close how);
struct nr_addr nr_epoll_peer(const struct nr_sock *sock);
struct nr_addr nr_epoll_local(const struct nr_sock *sock);

/* A socket has closed while a listener is paused. */
void nr_epoll_accept_again(struct nr_epoll *e);

/* ---- sockaddr.c ---- */

/* addr must be v4, v6 or unix. */
void nr_sockaddr_from(const struct nr_addr *addr, struct sockaddr_storage *ret_sa,
                      socklen_t *ret_len);

/* v4-mapped v6 becomes v4. A Unix address comes without its path. */
struct nr_addr nr_sockaddr_to(const struct sockaddr *sa);

/* ---- epoll_listen.c, epoll_bind.c ---- */

/* A bound, listening, non-blocking socket. *ret_created: a Unix socket's file was made by us. */
enum nr_code nr_epoll_bind(const struct nr_listen_conf *conf, int *ret_fd,
                           struct nr_addr *ret_address, bool *ret_created, struct nr_err *err);

enum nr_code nr_epoll_listener_open(struct nr_io *const *engines, uint32_t count,
                                    const struct nr_listen_conf *conf,
                                    struct nr_listener **ret_listener, struct nr_err *err);
struct nr_addr nr_epoll_listener_address(const struct nr_listener *listener);
void nr_epoll_accept(struct nr_listener *listener, struct nr_io *io, struct nr_accept *accept);
void nr_epoll_accept_cancel(struct nr_epoll *e, struct nr_op *op);
void nr_epoll_listener_close(struct nr_listener *listener);
void nr_epoll_listener_client_first(struct nr_listener *listener, bool on);

/* ---- names, work, files, signals ---- */

void nr_resolve_submit(struct nr_io *io, struct nr_resolve *resolve);
void nr_resolve_cancel(struct nr_epoll *e, struct nr_resolve *resolve);
void nr_resolver_free(struct nr_resolver *resolver);

void nr_workpool_submit(struct nr_io *io, struct nr_work *work);
void nr_workpool_cancel(struct nr_epoll *e, struct nr_work *work);
/* A work op that came through the mailbox. */
void nr_workpool_arrived(struct nr_epoll *e, struct nr_op *op);
void nr_workpool_free(struct nr_workpool *pool);

enum nr_code nr_file_read(struct nr_io *io, const char *path, size_t bytes_max, char **ret_bytes,
                          size_t *ret_len, struct nr_err *err);

void nr_epoll_signal_init(struct nr_epoll *e);
void nr_epoll_signal(struct nr_io *io, struct nr_signal *signal);
void nr_epoll_signal_cancel(struct nr_epoll *e, struct nr_op *op);
void nr_epoll_signal_done(struct nr_epoll *e);

/* ---- watchdog.c ---- */

/* Watches e's `running` and `runs` from a thread of its own until freed. NULL: no thread could be
 * had, and there is no watchdog. */
struct nr_watchdog *nr_watchdog_new(struct nr_epoll *e);
void nr_watchdog_free(struct nr_watchdog *watchdog);

#endif
