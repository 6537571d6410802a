/* SPDX-License-Identifier: Apache-2.0 */
/* The real engine: one turn after the other.
 *
 *   wait     epoll_wait, until the next timer; without waiting when something is ready
 *   clock    once
 *   look     events only set flags and queue work: no callback runs, so nothing that a later
 *            event of the same batch points at can be freed
 *   mail     what other threads posted
 *   timers   those due
 *   drain    the ready queue, in order, at most BUDGET of it; what is left waits behind a
 *            look at the network and the clock, so a busy socket starves nobody
 *
 * An event's pointer is a socket, or, with its lowest bit set, a struct nr_watch: sockets need
 * no dispatch word of their own.
 *
 * Sleeping and waking. A poster pushes, then looks whether the engine sleeps; the engine says that
 * it sleeps, then looks whether there is mail. Both in sequentially consistent order, so at
 * least one sees the other, and the wake-up descriptor is written only when it is needed. It is
 * registered edge-triggered and never read: each write is an edge. */
#include "io/epoll_engine.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"

enum { BUDGET = 256, TAG_WATCH = 1 };

static const uint64_t wall_refresh_ns = 1000 * 1000;
static const uint64_t probe_every_ns = 250u * 1000 * 1000;

/* ---- clocks ---- */

static uint64_t read_clock(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t nr_epoll_clock_ns(struct nr_io *io)
{
    return read_clock(CLOCK_MONOTONIC);
}

/* The wall clock is looked at at most once a millisecond: in between it runs with the monotonic
 * one. */
static void update_clock(struct nr_epoll *e)
{
    uint64_t now = read_clock(CLOCK_MONOTONIC);

    e->base.now_ns = now;
    if (now - e->wall_read_ns >= wall_refresh_ns) {
        e->wall_read_ns = now;
        e->wall_offset_ns = read_clock(CLOCK_REALTIME) - now;
    }
    e->base.wall_ns = now + e->wall_offset_ns;
}

static void entropy(struct nr_io *io, void *to, size_t bytes)
{
    char *at = to;

    while (bytes > 0) {
        ssize_t n = getrandom(at, bytes < 256 ? bytes : 256, 0);

        nr_assert(n > 0 || errno == EINTR);
        if (n > 0) {
            at += n;
            bytes -= (size_t)n;
        }
    }
}

/* ---- mailbox ---- */

static void wake(struct nr_epoll *e)
{
    const uint64_t one = 1;

    if (atomic_load(&e->sleeping) && atomic_exchange(&e->sleeping, false)) {
        /* Fails only when the counter is full, and then a wake-up is under way. */
        ssize_t ignored = write(e->wake_fd, &one, sizeof(one));

        (void)ignored;
    }
}

void nr_epoll_post(struct nr_io *io, struct nr_op *op)
{
    struct nr_epoll *e = nr_epoll_of(io);
    struct nr_link *head = atomic_load_explicit(&e->mailbox, memory_order_relaxed);

    do
        op->link.next = head;
    while (!atomic_compare_exchange_weak(&e->mailbox, &head, &op->link));
    wake(e);
}

static bool has_mail(struct nr_epoll *e)
{
    return atomic_load(&e->mailbox) != NULL;
}

static void take_mail(struct nr_epoll *e)
{
    struct nr_link *newest, *oldest = NULL;

    if (atomic_load_explicit(&e->mailbox, memory_order_relaxed) == NULL)
        return;
    newest = atomic_exchange(&e->mailbox, NULL);
    while (newest != NULL) { /* turn the pile over: each thread's posts in their order */
        struct nr_link *next = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        struct nr_op *op = nr_container_of(oldest, struct nr_op, link);

        oldest = oldest->next;
        nr_link_init(&op->link);
        if (op->type == NR_OP_WORK)
            nr_workpool_arrived(e, op);
        else
            nr_engine_arrived(&e->base, op);
    }
}

/* ---- watches ---- */

void nr_watch_init(struct nr_watch *watch, int fd, const struct nr_op_kind *kind)
{
    nr_engine_internal_init(&watch->turn, kind);
    watch->events = 0;
    watch->fd = fd;
}

static int control(struct nr_epoll *e, struct nr_watch *watch, int verb, uint32_t events)
{
    struct epoll_event event = {.events = events};

    event.data.u64 = (uint64_t)(uintptr_t)watch | TAG_WATCH;
    return epoll_ctl(e->epoll_fd, verb, watch->fd, &event) == 0 ? 0 : errno;
}

int nr_watch_add(struct nr_epoll *e, struct nr_watch *watch, uint32_t events)
{
    return control(e, watch, EPOLL_CTL_ADD, events);
}

int nr_watch_change(struct nr_epoll *e, struct nr_watch *watch, uint32_t events)
{
    return control(e, watch, EPOLL_CTL_MOD, events);
}

void nr_watch_remove(struct nr_epoll *e, struct nr_watch *watch)
{
    control(e, watch, EPOLL_CTL_DEL, 0);
    nr_list_remove(&watch->turn.link);
    watch->events = 0;
}

/* ---- the turn ---- */

/* How long epoll_wait may sleep. Rounded up, or the engine would spin through the last
 * fraction of a millisecond. */
static int wait_ms(struct nr_epoll *e, uint64_t wait_max_ns)
{
    uint64_t next = nr_timers_next_ns(&e->base.timers);
    uint64_t young_ns = nr_epoll_sock_young_until_ns(e);
    uint64_t wait_ns = wait_max_ns;
    uint64_t ms;

    if (!nr_list_empty(&e->base.ready) || wait_max_ns == 0 || next == 0)
        return 0;
    if (young_ns < next)
        next = young_ns;
    if (next != UINT64_MAX) {
        uint64_t now = read_clock(CLOCK_MONOTONIC);

        if (next <= now)
            return 0;
        if (next - now < wait_ns)
            wait_ns = next - now;
    }
    if (wait_ns == UINT64_MAX)
        return -1;
    ms = wait_ns / 1000000u + (wait_ns % 1000000u != 0);
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

static void look(struct nr_epoll *e, int count)
{
    for (int i = 0; i < count; i++) {
        uint64_t tagged = e->events[i].data.u64;

        if (tagged & TAG_WATCH) {
            struct nr_watch *watch = (struct nr_watch *)(uintptr_t)(tagged & ~(uint64_t)TAG_WATCH);

            watch->events |= e->events[i].events;
            nr_engine_kick(&e->base, &watch->turn);
        } else {
            nr_epoll_sock_event((struct nr_sock *)e->events[i].data.ptr, e->events[i].events);
        }
    }
}

void nr_epoll_turn(struct nr_io *io, uint64_t wait_max_ns)
{
    struct nr_epoll *e = nr_epoll_of(io);
    int timeout_ms = wait_ms(e, wait_max_ns);
    int count;

    if (timeout_ms != 0) {
        atomic_store(&e->sleeping, true);
        if (has_mail(e) || atomic_load(&e->stopping))
            timeout_ms = 0;
    }
    count = epoll_wait(e->epoll_fd, e->events, NR_EPOLL_EVENTS, timeout_ms);
    nr_assert(count >= 0 || errno == EINTR);
    atomic_store_explicit(&e->sleeping, false, memory_order_relaxed);
    update_clock(e);
    look(e, count);
    nr_epoll_sock_grow_up(e);
    take_mail(e);
    nr_engine_expire(&e->base);
    nr_engine_drain(&e->base, BUDGET);
}

/* How late a timer is tells how late everything else in this turn is. It is due at a tick, since
 * the wheel would round it up to one. */
static void arm_probe(struct nr_epoll *e)
{
    uint64_t at_ns = e->base.now_ns + probe_every_ns;

    nr_timer_arm(&e->base, &e->probe, at_ns - at_ns % NR_TIMERS_TICK_NS);
}

static void on_probe(struct nr_op *op)
{
    struct nr_epoll *e = nr_container_of(op, struct nr_epoll, probe.op);
    uint64_t due_ns = e->probe.at_ns;

    nr_hist_add(&e->base.lag_us, e->base.now_ns > due_ns ? (e->base.now_ns - due_ns) / 1000 : 0);
    arm_probe(e);
}

static const struct nr_op_kind probe_kind = {on_probe, "io.probe"};

/* The clock of the thread that runs the engine may be read by others as long as it lives. */
static void run(struct nr_io *io)
{
    struct nr_epoll *e = nr_epoll_of(io);
    struct nr_watchdog *watchdog = e->conf.stalled != NULL ? nr_watchdog_new(e) : NULL;
    clockid_t clock;

    if (pthread_getcpuclockid(pthread_self(), &clock) == 0)
        atomic_store(&e->cpu_clock, clock);
    update_clock(e);
    arm_probe(e);
    while (!atomic_load_explicit(&e->stopping, memory_order_relaxed))
        nr_epoll_turn(io, UINT64_MAX);
    atomic_store(&e->stopping, false); /* it may be run anew */
    atomic_store(&e->cpu_clock, 0);
    nr_timer_disarm(&e->base, &e->probe);
    nr_watchdog_free(watchdog);
}

static void stop(struct nr_io *io)
{
    struct nr_epoll *e = nr_epoll_of(io);

    atomic_store(&e->stopping, true);
    wake(e);
}

static uint64_t cpu_ns(const struct nr_io *io)
{
    const struct nr_epoll *e = nr_container_of(io, const struct nr_epoll, base);
    clockid_t clock = atomic_load(&e->cpu_clock);
    struct timespec t;

    if (clock == 0 || clock_gettime(clock, &t) != 0) /* the thread may have ended */
        return 0;
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void cancel(struct nr_io *io, struct nr_op *op)
{
    struct nr_epoll *e = nr_epoll_of(io);

    switch (op->type) {
    case NR_OP_CONNECT:
        nr_epoll_connect_cancel(io, nr_container_of(op, struct nr_connect, op));
        break;
    case NR_OP_ACCEPT: nr_epoll_accept_cancel(e, op); break;
    case NR_OP_RESOLVE: nr_resolve_cancel(e, nr_container_of(op, struct nr_resolve, op)); break;
    case NR_OP_WORK: nr_workpool_cancel(e, nr_container_of(op, struct nr_work, op)); break;
    case NR_OP_SIGNAL: nr_epoll_signal_cancel(e, op); break;
    default:
        /* Those of a socket are on its list and nowhere else. */
        nr_engine_ready(io, op, NR_ECANCELED);
    }
}

static const struct nr_io_backend backend = {
    .clock_ns = nr_epoll_clock_ns,
    .entropy = entropy,
    .cancel = cancel,
    .post = nr_epoll_post,
    .connect = nr_epoll_connect,
    .recv = nr_epoll_recv,
    .write = nr_epoll_write,
    .when_writable = nr_epoll_when_writable,
    .watch_close = nr_epoll_watch_close,
    .shutdown = nr_epoll_shutdown,
    .close = nr_epoll_close,
    .peer = nr_epoll_peer,
    .local = nr_epoll_local,
    .listener_open = nr_epoll_listener_open,
    .listener_address = nr_epoll_listener_address,
    .accept = nr_epoll_accept,
    .listener_close = nr_epoll_listener_close,
    .listener_client_first = nr_epoll_listener_client_first,
    .resolve = nr_resolve_submit,
    .work = nr_workpool_submit,
    .read_file = nr_file_read,
    .signal = nr_epoll_signal,
    .run = run,
    .stop = stop,
    .cpu_ns = cpu_ns,
};

/* ---- birth and death ---- */

static void on_wake(struct nr_op *op)
{
    (void)op; /* the mailbox was looked at already */
}

static const struct nr_op_kind wake_kind = {on_wake, "io.wake"};

enum nr_code nr_io_new_epoll(const struct nr_epoll_conf *conf, struct nr_io **ret_io,
                             struct nr_err *err)
{
    struct nr_epoll *e = aligned_alloc(_Alignof(struct nr_epoll), sizeof(*e));
    uint64_t seed;

    nr_assert(e != NULL);
    memset(e, 0, sizeof(*e));
    e->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    e->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    nr_watch_init(&e->wake, e->wake_fd, &wake_kind);
    if (e->epoll_fd < 0 || e->wake_fd < 0 || nr_watch_add(e, &e->wake, EPOLLIN | EPOLLET) != 0) {
        enum nr_code code = errno == EMFILE || errno == ENFILE ? NR_EFILES : NR_EIO;

        nr_err_set(err, code, "cannot make an event loop: %s", strerror(errno));
        if (e->epoll_fd >= 0)
            close(e->epoll_fd);
        if (e->wake_fd >= 0)
            close(e->wake_fd);
        free(e);
        return code;
    }
    entropy(NULL, &seed, sizeof(seed));
    nr_engine_init(&e->base, &backend, 0, 0, seed);
    update_clock(e);
    nr_timers_init(&e->base.timers, e->base.now_ns);
    e->conf = *conf;
    if (conf->dns_servers != NULL) {
        e->dns_servers = strdup(conf->dns_servers);
        nr_assert(e->dns_servers != NULL);
    }
    nr_link_init(&e->slots);
    nr_epoll_signal_init(e);
    nr_engine_internal_timer_init(&e->probe, &probe_kind);
    *ret_io = &e->base;
    return NR_OK;
}

void nr_io_free(struct nr_io *io)
{
    struct nr_epoll *e = nr_epoll_of(io);

    if (io == NULL)
        return;
    nr_assert(nr_io_outstanding(io) == 0);
    take_mail(e); /* listeners that were closed meanwhile, connections handed over too late */
    nr_engine_drain(io, UINT32_MAX);
    nr_assert(nr_list_empty(&e->slots)); /* a listener is still open */
    nr_resolver_free(e->resolver);
    nr_workpool_free(e->pool);
    nr_epoll_signal_done(e);
    nr_engine_done(io);
    nr_assert(nr_io_socket_count(io) == 0);
    close(e->wake_fd);
    close(e->epoll_fd);
    free(e->dns_servers);
    free(e);
}

/* The signals that engines may wait for. The others keep their effect: a crash is a crash. */
void nr_io_block_signals(void)
{
    static const int blocked[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < NR_COUNT(blocked); i++)
        sigaddset(&set, blocked[i]);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}
