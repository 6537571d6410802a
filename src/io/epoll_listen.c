/* SPDX-License-Identifier: Apache-2.0 */
/* Accepting: one listening socket, shared by engines.
 *
 * Each engine has a slot in the listener, registered with the engine's epoll level-triggered
 * (EPOLLEXCLUSIVE when there are several, so that one connection wakes one engine). Whichever
 * engine wakes accepts, and gives each connection to the engine with the fewest sockets among
 * those that wait; to another one by its mailbox. When nobody waits, the slot leaves its epoll
 * and connections stay in the backlog; the next accept brings it back. With one engine there
 * is neither choice nor mailbox.
 *
 * What threads share of a slot: `accepts` (an engine waits when it is not 0) and `under_way`
 * (connections in its mailbox). The receiving engine may have cancelled its accept by
 * the time the mail arrives; then the connection goes to another engine that waits, or is parked
 * until this one's next accept, or until a look every 100 ms finds another one waiting.
 *
 * EPOLLEXCLUSIVE tells of a connection once: the engine that was told and finds nobody who waits
 * must pass the news on. It sets `left` and then looks once more who waits; who begins to wait says
 * so in `accepts` and then looks at `left`. Both in sequentially consistent order, so at least one
 * sees the other. Who sees `left` takes it and registers anew, for registering looks at the
 * backlog.
 *
 * Short of descriptors (conf.sockets_max): the slot is starved. It leaves its epoll, because a
 * listener that is level-triggered would keep the engine spinning, and comes back when a socket
 * of its engine closes, or after 100 ms, for one of another engine. Connections wait in the
 * backlog. Entirely out of descriptors: the same, and the accept at hand completes with NR_EFILES.
 *
 * A listener's memory is counted: one for each slot still open, one for each connection under way,
 * one while a slot accepts. The last one closes the socket. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/cell.h"
#include "base/compiler.h"
#include "io/epoll_engine.h"

enum {
    ACCEPTS_PER_TURN = 64,
    UNDER_WAY_MAX = 64,
};

static const uint64_t pause_ns = 100u * 1000 * 1000;
static const uint64_t retry_ns = 100u * 1000 * 1000;

struct listener;

struct nr_slot {
    struct nr_watch watch; /* on the listening socket */
    struct nr_link of_engine;
    struct nr_epoll *engine;
    struct listener *listener;
    struct nr_link waiting; /* struct nr_accept, PENDING */
    struct nr_link parked;  /* struct handover that found nobody */
    struct nr_timer pause;  /* armed: short of descriptors */
    struct nr_timer retry;  /* armed while something may be parked */
    struct nr_op closing;   /* posted to the engine when the listener closes */
    bool registered;
    bool closed;
    bool starved; /* pausing; counted in the engine */
    _Atomic uint32_t accepts;
    _Atomic uint32_t under_way;
};

struct listener {
    struct nr_listener base;
    int fd;
    struct nr_addr address;
    char *path;   /* owned copy of a Unix path, or NULL */
    bool created; /* the path's file is ours: remove it at the end */
    _Atomic uint32_t refs;
    _Atomic bool closing;
    _Atomic bool paused;
    _Atomic bool client_first;
    _Atomic bool left; /* connections may be in the backlog that no engine will be told of */
    uint32_t count;
    struct nr_slot slots[];
};

/* An accepted connection on its way to another engine. */
struct handover {
    struct nr_op op;
    struct nr_slot *to;
    int fd;
    struct nr_addr peer;
};

static struct listener *of(struct nr_listener *listener)
{
    return (struct listener *)(void *)listener;
}

static void listener_ref(struct listener *l)
{
    atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
}

static void listener_unref(struct listener *l)
{
    if (atomic_fetch_sub(&l->refs, 1) != 1)
        return;
    close(l->fd);
    if (l->created)
        unlink(l->path);
    free(l->path);
    free(l);
}

static void drop(struct nr_epoll *e, int fd)
{
    close(fd);
    atomic_fetch_sub_explicit(&e->base.sockets, 1, memory_order_relaxed);
}

/* ---- registration ---- */

static void enlist(struct nr_slot *slot)
{
    uint32_t events = EPOLLIN | (slot->listener->count > 1 ? (uint32_t)EPOLLEXCLUSIVE : 0);

    if (slot->registered || nr_timer_armed(&slot->pause) || atomic_load(&slot->listener->paused))
        return;
    slot->registered = nr_watch_add(slot->engine, &slot->watch, events) == 0;
    if (!slot->registered) /* no memory, or fs.epoll.max_user_watches: try again later */
        nr_timer_arm(&slot->engine->base, &slot->pause, slot->engine->base.now_ns + pause_ns);
}

static void delist(struct nr_slot *slot)
{
    if (slot->registered)
        nr_watch_remove(slot->engine, &slot->watch);
    slot->registered = false;
}

static void pause_over(struct nr_slot *slot)
{
    if (!slot->starved)
        return;
    nr_timer_disarm(&slot->engine->base, &slot->pause);
    slot->starved = false;
    nr_cell32_add(&slot->engine->base.accept_paused, -1);
}

static void starve(struct nr_slot *slot)
{
    struct nr_epoll *e = slot->engine;

    nr_assert(!slot->starved);
    delist(slot);
    slot->starved = true;
    nr_timer_arm(&e->base, &slot->pause, e->base.now_ns + pause_ns);
    nr_cell32_add(&e->base.accept_paused, 1);
    nr_cell_add(&e->base.accept_pauses, 1);
    nr_io_short_of_files(&e->base);
    if (e->conf.starved != NULL)
        e->conf.starved(e->conf.starved_ctx);
}

void nr_epoll_accept_again(struct nr_epoll *e)
{
    for (struct nr_link *link = e->slots.next; link != &e->slots; link = link->next) {
        struct nr_slot *slot = nr_container_of(link, struct nr_slot, of_engine);

        if (!slot->starved)
            continue;
        pause_over(slot);
        enlist(slot);
    }
}

/* Also when nobody waits here any more: this slot may be the only one that was told. */
static void on_pause_over(struct nr_op *op)
{
    struct nr_slot *slot = nr_container_of(op, struct nr_slot, pause.op);

    pause_over(slot);
    enlist(slot);
}

static const struct nr_op_kind pause_kind = {on_pause_over, "io.accept_pause"};

/* ---- giving a connection to somebody ---- */

static struct nr_accept *take_waiting(struct nr_slot *slot)
{
    struct nr_link *link = nr_list_pop_front(&slot->waiting);

    if (link == NULL)
        return NULL;
    atomic_fetch_sub_explicit(&slot->accepts, 1, memory_order_relaxed);
    return nr_container_of(link, struct nr_accept, op.link);
}

/* Make the socket in its engine's thread, where an accept waits. */
static int32_t settle(struct nr_slot *slot, struct nr_accept *accept, int fd,
                      const struct nr_addr *peer)
{
    accept->sock = nr_epoll_sock_adopt(
        slot->engine, fd, peer,
        atomic_load_explicit(&slot->listener->client_first, memory_order_relaxed));
    accept->peer = *peer;
    return accept->sock != NULL ? NR_OK : NR_EFILES;
}

/* Who gets the next connection; NULL: nobody waits. */
static struct nr_slot *choose(struct nr_slot *self)
{
    struct listener *l = self->listener;
    struct nr_slot *best = nr_list_empty(&self->waiting) ? NULL : self;
    uint32_t best_sockets = best != NULL ? nr_io_socket_count(&best->engine->base) : UINT32_MAX;

    for (uint32_t i = 0; i < l->count; i++) {
        struct nr_slot *slot = &l->slots[i];
        uint32_t sockets = nr_io_socket_count(&slot->engine->base);

        if (slot == self || sockets >= best_sockets || atomic_load(&slot->accepts) == 0 ||
            atomic_load_explicit(&slot->under_way, memory_order_relaxed) >= UNDER_WAY_MAX)
            continue;
        best = slot;
        best_sockets = sockets;
    }
    return best;
}

static void send_over(struct handover *h, struct nr_slot *to)
{
    h->to = to;
    listener_ref(to->listener);
    atomic_fetch_add_explicit(&to->under_way, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&to->engine->base.sockets, 1, memory_order_relaxed);
    nr_io_post(&to->engine->base, &h->op);
}

static void pass_on(struct handover *h, struct nr_slot *to)
{
    atomic_fetch_sub_explicit(&h->to->engine->base.sockets, 1, memory_order_relaxed);
    send_over(h, to);
}

static void park(struct nr_slot *slot, struct handover *h)
{
    struct nr_io *io = &slot->engine->base;

    nr_list_push_back(&slot->parked, &h->op.link);
    if (!nr_timer_armed(&slot->retry))
        nr_timer_arm(io, &slot->retry, io->now_ns + retry_ns);
}

/* An engine that may be full for hours must not keep what another could take. */
static void on_retry(struct nr_op *op)
{
    struct nr_slot *slot = nr_container_of(op, struct nr_slot, retry.op), *other;

    while (!nr_list_empty(&slot->parked) && (other = choose(slot)) != NULL)
        pass_on(nr_container_of(nr_list_pop_front(&slot->parked), struct handover, op.link), other);
    if (!nr_list_empty(&slot->parked))
        nr_timer_arm(&slot->engine->base, &slot->retry, slot->engine->base.now_ns + retry_ns);
}

static const struct nr_op_kind retry_kind = {on_retry, "io.handover_retry"};

static void on_handover(struct nr_op *op)
{
    struct handover *h = nr_container_of(op, struct handover, op);
    struct nr_slot *slot = h->to, *other;
    struct listener *l = slot->listener;
    struct nr_accept *accept = take_waiting(slot);

    atomic_fetch_sub_explicit(&slot->under_way, 1, memory_order_relaxed);
    if (accept != NULL) {
        int32_t result = settle(slot, accept, h->fd, &h->peer);

        free(h);
        nr_engine_complete(&slot->engine->base, &accept->op, result);
    } else if (slot->closed) {
        drop(slot->engine, h->fd);
        free(h);
    } else if ((other = choose(slot)) != NULL) {
        pass_on(h, other);
    } else {
        park(slot, h);
    }
    listener_unref(l);
}

static const struct nr_op_kind handover_kind = {on_handover, "io.handover"};

static void give(struct nr_slot *self, struct nr_slot *to, int fd, const struct nr_addr *peer)
{
    struct handover *h;

    if (to == self) {
        struct nr_accept *accept = take_waiting(self);
        struct nr_io *io = &self->engine->base;

        atomic_fetch_add_explicit(&io->sockets, 1, memory_order_relaxed);
        nr_engine_complete(io, &accept->op, settle(self, accept, fd, peer));
        return;
    }
    h = malloc(sizeof(*h));
    nr_assert(h != NULL);
    nr_engine_internal_init(&h->op, &handover_kind);
    h->fd = fd;
    h->peer = *peer;
    send_over(h, to);
}

/* ---- accepting ---- */

/* Nobody waits, so the connections stay in the backlog, and whoever begins to wait must know. */
static void leave(struct nr_slot *slot)
{
    delist(slot);
    atomic_store(&slot->listener->left, true);
    if (choose(slot) != NULL) /* somebody began meanwhile, perhaps before `left` was to be seen */
        enlist(slot);
}

/* True: try again for the next connection. */
static bool accept_failed(struct nr_slot *slot, int error)
{
    struct nr_accept *accept;

    switch (error) {
    case EAGAIN: return false;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        starve(slot);
        accept = take_waiting(slot);
        if (accept != NULL)
            nr_engine_ready(&slot->engine->base, &accept->op, NR_EFILES);
        return false;
    default:
        /* The connection was gone before we came (ECONNABORTED), or an error of its network was
         * passed on: accept(2) says to treat these like EAGAIN and try the next. */
        return true;
    }
}

/* As many sockets as may be, on all engines of the listener together? */
static bool is_short(const struct nr_slot *slot)
{
    const struct listener *l = slot->listener;
    uint32_t max = slot->engine->conf.sockets_max, sockets = 0;

    for (uint32_t i = 0; max > 0 && i < l->count; i++)
        sockets += nr_io_socket_count(&l->slots[i].engine->base);
    return max > 0 && sockets >= max;
}

static void on_connections(struct nr_op *op)
{
    struct nr_slot *slot = nr_container_of(op, struct nr_slot, watch.turn);
    struct listener *l = slot->listener;

    listener_ref(l); /* a callback may close the listener */
    for (int i = 0; i < ACCEPTS_PER_TURN && !slot->closed; i++) {
        struct nr_slot *to = choose(slot);
        struct sockaddr_storage sa;
        socklen_t len = sizeof(sa);
        struct nr_addr peer;
        int fd;

        if (atomic_load_explicit(&l->paused, memory_order_relaxed)) {
            delist(slot);
            break;
        }
        if (to == NULL) {
            leave(slot);
            break;
        }
        if (nr_unlikely(is_short(slot))) {
            starve(slot);
            break;
        }
        fd = accept4(l->fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (!accept_failed(slot, errno))
                break;
            continue;
        }
        peer = nr_sockaddr_to((const struct sockaddr *)&sa);
        give(slot, to, fd, &peer);
    }
    listener_unref(l);
}

static const struct nr_op_kind connections_kind = {on_connections, "io.accept"};

void nr_epoll_accept(struct nr_listener *listener, struct nr_io *io, struct nr_accept *accept)
{
    struct listener *l = of(listener);
    struct nr_slot *slot;
    struct nr_link *link;
    uint32_t at = 0;

    while (at < l->count && &l->slots[at].engine->base != io)
        at++;
    nr_assert(at < l->count); /* the listener was opened for this engine too */
    slot = &l->slots[at];
    if (slot->closed || atomic_load(&l->closing)) {
        nr_engine_ready(io, &accept->op, NR_ECANCELED);
        return;
    }
    if (!nr_link_linked(&slot->of_engine))
        nr_list_push_back(&slot->engine->slots, &slot->of_engine);
    link = nr_list_pop_front(&slot->parked);
    if (link != NULL) {
        struct handover *h = nr_container_of(link, struct handover, op.link);

        nr_engine_ready(io, &accept->op, settle(slot, accept, h->fd, &h->peer));
        free(h);
        return;
    }
    nr_list_push_back(&slot->waiting, &accept->op.link);
    atomic_fetch_add(&slot->accepts, 1);
    if (!nr_timer_armed(&slot->pause) && atomic_load(&l->left) && atomic_exchange(&l->left, false))
        delist(slot);
    enlist(slot);
}

void nr_epoll_accept_cancel(struct nr_epoll *e, struct nr_op *op)
{
    for (struct nr_link *s = e->slots.next; s != &e->slots; s = s->next) {
        struct nr_slot *slot = nr_container_of(s, struct nr_slot, of_engine);

        for (struct nr_link *w = slot->waiting.next; w != &slot->waiting; w = w->next)
            if (w == &op->link) {
                atomic_fetch_sub_explicit(&slot->accepts, 1, memory_order_relaxed);
                nr_engine_ready(&e->base, op, NR_ECANCELED);
                return;
            }
    }
}

/* ---- opening and closing ---- */

static void close_slot(struct nr_slot *slot)
{
    struct nr_accept *accept;
    struct nr_link *link;

    delist(slot);
    pause_over(slot);
    slot->closed = true;
    nr_timer_disarm(&slot->engine->base, &slot->pause);
    nr_timer_disarm(&slot->engine->base, &slot->retry);
    nr_list_remove(&slot->of_engine);
    while ((accept = take_waiting(slot)) != NULL)
        nr_engine_ready(&slot->engine->base, &accept->op, NR_ECANCELED);
    while ((link = nr_list_pop_front(&slot->parked)) != NULL) {
        struct handover *h = nr_container_of(link, struct handover, op.link);

        drop(slot->engine, h->fd);
        free(h);
    }
    listener_unref(slot->listener);
}

static void on_closing(struct nr_op *op)
{
    close_slot(nr_container_of(op, struct nr_slot, closing));
}

static const struct nr_op_kind closing_kind = {on_closing, "io.listener_close"};

static void slot_init(struct nr_slot *slot, struct listener *l, struct nr_io *io)
{
    slot->engine = nr_epoll_of(io);
    slot->listener = l;
    nr_watch_init(&slot->watch, l->fd, &connections_kind);
    nr_link_init(&slot->waiting);
    nr_link_init(&slot->parked);
    nr_engine_internal_timer_init(&slot->pause, &pause_kind);
    nr_engine_internal_timer_init(&slot->retry, &retry_kind);
    nr_engine_internal_init(&slot->closing, &closing_kind);
    nr_link_init(&slot->of_engine); /* joins the engine's list on the engine's own thread */
}

enum nr_code nr_epoll_listener_open(struct nr_io *const *engines, uint32_t count,
                                    const struct nr_listen_conf *conf,
                                    struct nr_listener **ret_listener, struct nr_err *err)
{
    struct listener *l;
    enum nr_code code;

    l = calloc(1, sizeof(*l) + count * sizeof(l->slots[0]));
    nr_assert(l != NULL);
    code = nr_epoll_bind(conf, &l->fd, &l->address, &l->created, err);
    if (code != NR_OK) {
        free(l);
        return code;
    }
    l->base.backend = engines[0]->backend;
    l->count = count;
    atomic_store(&l->refs, count);
    if (l->address.path != NULL) { /* the caller's text need not outlive this call */
        l->path = strdup(l->address.path);
        nr_assert(l->path != NULL);
        l->address.path = l->path;
    }
    for (uint32_t i = 0; i < count; i++)
        slot_init(&l->slots[i], l, engines[i]);
    *ret_listener = &l->base;
    return NR_OK;
}

struct nr_addr nr_epoll_listener_address(const struct nr_listener *listener)
{
    return ((const struct listener *)(const void *)listener)->address;
}

/* TCP_DEFER_ACCEPT counts in seconds, at least one. The price: a connection whose client has not
 * spoken when the listener closes is reset by the kernel, as those in the backlog are. */
void nr_epoll_listener_client_first(struct nr_listener *listener, bool on)
{
    struct listener *l = of(listener);
    const int wait_s = on;

    if (atomic_load_explicit(&l->client_first, memory_order_relaxed) == on)
        return;
    on = setsockopt(l->fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &wait_s, sizeof(wait_s)) == 0 && on;
    atomic_store_explicit(&l->client_first, on, memory_order_relaxed);
}

int nr_listener_fd(const struct nr_listener *listener)
{
    return ((const struct listener *)(const void *)listener)->fd;
}

void nr_listener_keep_file(struct nr_listener *listener)
{
    of(listener)->created = false;
}

void nr_listener_pause(struct nr_listener *listener)
{
    atomic_store(&of(listener)->paused, true);
}

/* Each slot ends in its own engine's thread. With one engine that is this thread. */
void nr_epoll_listener_close(struct nr_listener *listener)
{
    struct listener *l = of(listener);
    uint32_t count = l->count;
    bool closing_already = atomic_exchange(&l->closing, true);

    nr_assert(!closing_already);
    if (count == 1) {
        close_slot(&l->slots[0]);
        return;
    }
    listener_ref(l); /* or the last slot could free it before the loop has ended */
    for (uint32_t i = 0; i < count; i++)
        nr_io_post(&l->slots[i].engine->base, &l->slots[i].closing);
    listener_unref(l);
}
