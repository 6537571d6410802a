/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets on epoll.
 *
 * A socket is registered once, edge-triggered, for everything: no epoll_ctl per request. What
 * the kernel said last is kept in flags, and the flags are believed:
 *
 *   READABLE   on by EPOLLIN; off when a read took less than there was room for, or EAGAIN.
 *              Bytes that come after that read raise a new edge, so nothing is missed.
 *              Not off by a short read once FIN or an error was announced: that edge has been
 *              and no other will come, so the end itself has yet to be read.
 *   WRITABLE   on from the start and by EPOLLOUT; off when a write took less than it was given.
 *   FIN        EPOLLRDHUP: the peer has ended, perhaps behind unread data.
 *   BROKEN     EPOLLERR, or an error that a call gave us. The kernel reports an error once; a
 *              read after that returns 0 and would look like an orderly end.
 *
 * A socket that is accepted together with its first bytes (io.h, client_first) is young: it is not
 * registered before it has to be, because most of those that bring one request and go have been
 * answered and closed by then, and registering costs as much as reading. It has to be when a
 * read or a write found nothing to do, and 5 ms after accept, so that a watch hears of a peer that
 * has gone. Being registered edge-triggered reports what is there already, so nothing is
 * missed. Young sockets stand in a ring in the order of their birth; one that finds it full is
 * registered at once.
 *
 * Reading happens in the socket's turn of the ready queue, into a buffer lent at that
 * moment, and the receiver is called back at once: one buffer, warm in the cache, serves
 * all idle connections.
 *
 * Pending operations are on the socket's list (at most a recv, a writable, a watch, or else the
 * connect), so cancelling one is taking it off.
 *
 * Closing gracefully while received data is unread makes the kernel send RST (RFC 9293, 3.10.4
 * and RFC 1122, 4.2.2.13), which can destroy at the peer what we wrote just before: whoever
 * closes early on a peer that still talks has to shut down, read on for a while, then close.
 * On a Unix socket there is no RST: NR_CLOSE_RESET closes it. */
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "io/epoll_engine.h"

enum {
    READABLE = 1 << 0,
    WRITABLE = 1 << 1,
    FIN = 1 << 2,
    BROKEN = 1 << 3,
    CONNECTING = 1 << 4,
    YOUNG = 1 << 5, /* not registered; e->young[young] */
};

static const uint64_t young_ns = 5000000;

/* An idle connection costs this and malloc's header: 96 bytes. */
struct epoll_sock {
    struct nr_sock base;
    struct nr_link ops; /* PENDING ones */
    struct nr_op turn;  /* internal: read */
    int fd;
    uint16_t flags;
    uint16_t port; /* of the peer, as the next three; struct nr_addr is twice as long */
    uint8_t ip[16];
    uint32_t scope;
    uint16_t young;
    uint8_t family;
};

_Static_assert(sizeof(struct epoll_sock) <= 88, "a chunk of 96 bytes with malloc's header");

static struct epoll_sock *of(struct nr_sock *sock)
{
    return (struct epoll_sock *)(void *)sock;
}

static const struct epoll_sock *of_const(const struct nr_sock *sock)
{
    return (const struct epoll_sock *)(const void *)sock;
}

static struct nr_op *find(struct epoll_sock *s, enum nr_op_type type)
{
    for (struct nr_link *link = s->ops.next; link != &s->ops; link = link->next) {
        struct nr_op *op = nr_container_of(link, struct nr_op, link);

        if (op->type == type)
            return op;
    }
    return NULL;
}

static void finish(struct epoll_sock *s, enum nr_op_type type, int32_t result)
{
    struct nr_op *op = find(s, type);

    if (op != NULL)
        nr_engine_ready(s->base.io, op, result);
}

/* ---- making and closing ---- */

static void on_turn(struct nr_op *op);
static const struct nr_op_kind turn_kind = {on_turn, "io.read"};

static struct epoll_sock *sock_new(struct nr_epoll *e, int fd, const struct nr_addr *peer)
{
    struct epoll_sock *s = malloc(sizeof(*s));

    nr_assert(s != NULL);
    s->base.io = &e->base;
    nr_link_init(&s->ops);
    nr_engine_internal_init(&s->turn, &turn_kind);
    s->fd = fd;
    s->flags = WRITABLE;
    s->family = peer->family;
    s->port = peer->port;
    s->scope = peer->scope;
    memcpy(s->ip, peer->ip, sizeof(s->ip));
    return s;
}

static void leave_the_young(struct epoll_sock *s)
{
    nr_epoll_of(s->base.io)->young[s->young].sock = NULL;
    s->flags &= (uint16_t)~YOUNG;
}

static void sock_free(struct epoll_sock *s)
{
    struct nr_epoll *e = nr_epoll_of(s->base.io);

    nr_list_remove(&s->turn.link);
    if (s->flags & YOUNG)
        leave_the_young(s);
    close(s->fd); /* also takes it out of epoll: nobody else holds this description */
    atomic_fetch_sub_explicit(&e->base.sockets, 1, memory_order_relaxed);
    free(s);
    if (nr_unlikely(e->base.accept_paused > 0))
        nr_epoll_accept_again(e);
}

static bool watch(struct nr_epoll *e, struct epoll_sock *s)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.ptr = &s->base};

    return epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, s->fd, &event) == 0;
}

/* ---- youth ---- */

static struct nr_epoll_young *young_at(struct nr_epoll *e, uint32_t at)
{
    return &e->young[at % NR_EPOLL_YOUNG_MAX];
}

/* The kernel will tell of s from now on. When it has no room for that (fs.epoll.max_user_watches),
 * the socket is as good as broken. */
static void grow_up(struct epoll_sock *s)
{
    leave_the_young(s);
    if (watch(nr_epoll_of(s->base.io), s))
        return;
    s->flags |= BROKEN | FIN | READABLE | WRITABLE;
    finish(s, NR_OP_WATCH, NR_ERESET);
    finish(s, NR_OP_WRITABLE, NR_ERESET);
    if (find(s, NR_OP_RECV) != NULL)
        nr_engine_kick(s->base.io, &s->turn);
}

/* Somebody waits for what only the kernel can tell. */
static inline void need_news(struct epoll_sock *s)
{
    if (nr_unlikely(s->flags & YOUNG))
        grow_up(s);
}

uint64_t nr_epoll_sock_young_until_ns(struct nr_epoll *e)
{
    while (e->young_first != e->young_end && young_at(e, e->young_first)->sock == NULL)
        e->young_first++;
    return e->young_first == e->young_end ? UINT64_MAX : young_at(e, e->young_first)->until_ns;
}

void nr_epoll_sock_grow_up(struct nr_epoll *e)
{
    while (nr_epoll_sock_young_until_ns(e) <= e->base.now_ns)
        grow_up(of(young_at(e, e->young_first)->sock));
}

struct nr_sock *nr_epoll_sock_adopt(struct nr_epoll *e, int fd, const struct nr_addr *peer,
                                    bool spoke)
{
    struct epoll_sock *s = sock_new(e, fd, peer);

    if (spoke && e->young_end - e->young_first < NR_EPOLL_YOUNG_MAX) {
        s->flags |= YOUNG | READABLE;
        s->young = (uint16_t)(e->young_end % NR_EPOLL_YOUNG_MAX);
        *young_at(e, e->young_end++) = (struct nr_epoll_young){&s->base, e->base.now_ns + young_ns};
    } else if (!watch(e, s)) {
        sock_free(s);
        return NULL;
    }
    return &s->base;
}

void nr_epoll_close(struct nr_sock *sock, enum nr_close how)
{
    struct epoll_sock *s = of(sock);

    while (!nr_list_empty(&s->ops))
        nr_engine_ready(sock->io, nr_container_of(s->ops.next, struct nr_op, link), NR_ECANCELED);
    if (how == NR_CLOSE_RESET) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};

        setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    }
    sock_free(s);
}

/* ---- connecting ---- */

static enum nr_code connect_code(int error)
{
    switch (error) {
    case 0: return NR_OK;
    case ECONNREFUSED:
    case ENOENT: /* no such Unix socket */
    case EAGAIN: /* a Unix listener's backlog is full */ return NR_EREFUSED;
    case ECONNRESET: return NR_ERESET;
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ENETDOWN:
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT: return NR_EUNREACHABLE;
    case EMFILE:
    case ENFILE: return NR_EFILES;
    case EACCES:
    case EPERM: return NR_EACCESS;
    default: return NR_EIO;
    }
}

/* Frees s when there was an error. */
static void connect_end(struct epoll_sock *s, int error)
{
    struct nr_op *op = find(s, NR_OP_CONNECT);

    nr_assert(op != NULL);
    s->flags &= (uint16_t)~CONNECTING;
    nr_engine_ready(s->base.io, op, connect_code(error));
    if (error != 0) {
        nr_container_of(op, struct nr_connect, op)->sock = NULL;
        sock_free(s);
    }
}

/* Until it is through, request->sock is the engine's note of the socket under way. */
void nr_epoll_connect(struct nr_io *io, struct nr_connect *request)
{
    struct sockaddr_storage sa;
    struct epoll_sock *s;
    socklen_t len;
    const int on = 1;
    int fd, error;

    nr_sockaddr_from(&request->to, &sa, &len);
    fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        nr_engine_ready(io, &request->op, connect_code(errno));
        return;
    }
    atomic_fetch_add_explicit(&io->sockets, 1, memory_order_relaxed);
    s = sock_new(nr_epoll_of(io), fd, &request->to);
    s->flags |= CONNECTING;
    request->sock = &s->base;
    nr_list_push_back(&s->ops, &request->op.link);
    if (sa.ss_family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    error = connect(fd, (struct sockaddr *)&sa, len) == 0 ? 0 : errno;
    /* Registered after connect: an unconnected socket would report a hang-up. */
    if ((error == 0 || error == EINPROGRESS) && !watch(nr_epoll_of(io), s))
        error = EMFILE; /* ENOSPC, fs.epoll.max_user_watches: a limit on descriptors as well */
    if (error != EINPROGRESS)
        connect_end(s, error);
}

void nr_epoll_connect_cancel(struct nr_io *io, struct nr_connect *connect)
{
    struct epoll_sock *s = of(connect->sock);

    connect->sock = NULL;
    nr_engine_ready(io, &connect->op, NR_ECANCELED);
    sock_free(s);
}

/* True when the connection stands. False: not yet, or s is gone. */
static bool connect_event(struct epoll_sock *s, uint32_t events)
{
    int error = 0;
    socklen_t len = sizeof(error);

    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0)
        return false;
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    connect_end(s, error);
    return error == 0;
}

/* ---- the two system calls of which a request needs two each ----
 *
 * recv() and send() of the C library are cancellation points: in a program with threads each of
 * them is bracketed by two locked instructions. Nobody cancels our threads. */

static ssize_t receive(int fd, void *to, size_t room)
{
    return syscall(SYS_recvfrom, fd, to, room, 0, NULL, NULL);
}

static ssize_t transmit(int fd, const void *from, size_t len)
{
    return syscall(SYS_sendto, fd, from, len, MSG_NOSIGNAL, NULL, 0);
}

/* ---- reading ---- */

static enum nr_code broken_code(int error)
{
    switch (error) {
    case ECONNRESET:
    case EPIPE:
    case ETIMEDOUT: /* keep-alive or retransmission gave up */
    case EHOSTUNREACH:
    case ENETUNREACH: return NR_ERESET;
    default: return NR_EIO;
    }
}

/* Look for news for whoever waits, without a system call. */
void nr_epoll_sock_event(struct nr_sock *sock, uint32_t events)
{
    struct epoll_sock *s = of(sock);

    if ((s->flags & CONNECTING) != 0 && !connect_event(s, events))
        return;
    if (events & EPOLLERR)
        s->flags |= BROKEN;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        s->flags |= FIN | READABLE;
        finish(s, NR_OP_WATCH, s->flags & BROKEN ? NR_ERESET : NR_ECLOSED);
    }
    if ((events & (EPOLLHUP | EPOLLERR)) || ((events & EPOLLOUT) && !(s->flags & WRITABLE))) {
        s->flags |= WRITABLE; /* while it is on, nobody waits for it */
        finish(s, NR_OP_WRITABLE, s->flags & BROKEN ? NR_ERESET : NR_OK);
    }
    if (events & EPOLLIN)
        s->flags |= READABLE;
    if ((s->flags & READABLE) != 0 && find(s, NR_OP_RECV) != NULL)
        nr_engine_kick(sock->io, &s->turn);
}

void nr_epoll_recv(struct nr_sock *sock, struct nr_recv *recv)
{
    struct epoll_sock *s = of(sock);

    nr_assert(find(s, NR_OP_RECV) == NULL);
    nr_list_push_front(&s->ops, &recv->op.link); /* the one that is looked for most */
    if (s->flags & READABLE)
        nr_engine_kick(sock->io, &s->turn);
    else
        need_news(s);
}

/* What a read that was not plain success means for the receiver. */
static int32_t read_end(struct epoll_sock *s, ssize_t n, int error)
{
    if (n == 0)
        return s->flags & BROKEN ? NR_ERESET : 0;
    s->flags |= BROKEN;
    return broken_code(error);
}

static void on_turn(struct nr_op *op)
{
    struct epoll_sock *s = nr_container_of(op, struct epoll_sock, turn);
    struct nr_io *io = s->base.io;
    struct nr_op *recv_op = find(s, NR_OP_RECV);
    struct nr_recv *r;
    struct nr_buf *buf;
    size_t room;
    ssize_t n;
    int error;

    if (recv_op == NULL)
        return; /* cancelled in the meantime */
    r = nr_container_of(recv_op, struct nr_recv, op);
    buf = r->buf != NULL ? r->buf : nr_buf_get(&io->bufs, r->want);
    room = nr_buf_room(buf);
    do
        n = receive(s->fd, buf->data + buf->end, room);
    while (n < 0 && errno == EINTR);
    error = errno;
    if (n > 0) {
        buf->end += (uint32_t)n;
        r->buf = buf;
        if ((size_t)n < room && (s->flags & (FIN | BROKEN)) == 0)
            s->flags &= (uint16_t)~READABLE;
        nr_engine_complete(io, recv_op, (int32_t)n); /* s may be closed now */
        return;
    }
    if (r->buf == NULL)
        nr_buf_put(&io->bufs, buf);
    if (n < 0 && error == EAGAIN && (s->flags & BROKEN) == 0) {
        s->flags &= (uint16_t)~READABLE;
        need_news(s);
        return;
    }
    nr_engine_complete(io, recv_op, read_end(s, n, error));
}

void nr_epoll_watch_close(struct nr_sock *sock, struct nr_op *op)
{
    struct epoll_sock *s = of(sock);

    nr_assert(find(s, NR_OP_WATCH) == NULL);
    nr_list_push_back(&s->ops, &op->link);
    if (s->flags & (FIN | BROKEN))
        nr_engine_ready(sock->io, op, s->flags & BROKEN ? NR_ERESET : NR_ECLOSED);
}

/* ---- writing ---- */

/* One attempt; *ret_bytes is what there is to write. */
static ssize_t write_some(int fd, const struct iovec *parts, int count, size_t *ret_bytes)
{
    struct msghdr message;

    *ret_bytes = parts->iov_len;
    if (count == 1)
        return parts->iov_len == 0 ? 0 : transmit(fd, parts->iov_base, parts->iov_len);
    for (int i = 1; i < count; i++)
        *ret_bytes += parts[i].iov_len;
    message = (struct msghdr){.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count};
    return *ret_bytes == 0 ? 0 : sendmsg(fd, &message, MSG_NOSIGNAL);
}

int64_t nr_epoll_write(struct nr_sock *sock, const struct iovec *parts, int count)
{
    struct epoll_sock *s = of(sock);
    size_t bytes;
    ssize_t n;

    if (count <= 0 || (s->flags & WRITABLE) == 0)
        return 0; /* nothing, or full when we last looked, and no edge since */
    do
        n = write_some(s->fd, parts, count < IOV_MAX ? count : IOV_MAX, &bytes);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno != EAGAIN) {
        /* EPIPE is what is left of an error reported before, or of a reset behind a FIN: what the
         * peer sent before its FIN can still be read, so the socket is not BROKEN by it. */
        if (errno != EPIPE)
            s->flags |= BROKEN | READABLE;
        return broken_code(errno);
    }
    if (n < (ssize_t)bytes) {
        s->flags &= (uint16_t)~WRITABLE;
        need_news(s);
    }
    return n < 0 ? 0 : n;
}

void nr_epoll_when_writable(struct nr_sock *sock, struct nr_op *op)
{
    struct epoll_sock *s = of(sock);

    nr_assert(find(s, NR_OP_WRITABLE) == NULL);
    nr_list_push_back(&s->ops, &op->link);
    if (s->flags & (WRITABLE | BROKEN))
        nr_engine_ready(sock->io, op, s->flags & BROKEN ? NR_ERESET : NR_OK);
}

void nr_epoll_shutdown(struct nr_sock *sock)
{
    shutdown(of(sock)->fd, SHUT_WR); /* fails only when the connection is gone, as reading tells */
}

/* ---- addresses ---- */

struct nr_addr nr_epoll_peer(const struct nr_sock *sock)
{
    const struct epoll_sock *s = of_const(sock);
    struct nr_addr addr = {.family = s->family, .port = s->port, .scope = s->scope};

    memcpy(addr.ip, s->ip, sizeof(s->ip));
    return addr;
}

struct nr_addr nr_epoll_local(const struct nr_sock *sock)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);

    if (getsockname(of_const(sock)->fd, (struct sockaddr *)&sa, &len) != 0)
        return (struct nr_addr){.family = NR_ADDR_NONE};
    return nr_sockaddr_to((const struct sockaddr *)&sa);
}
