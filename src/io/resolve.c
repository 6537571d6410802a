/* SPDX-License-Identifier: Apache-2.0 */
/* Names, by c-ares: one channel per engine, driven by the engine's epoll and timers.
 *
 * c-ares tells through on_fd_wanted which descriptors it wants watched, may call back from inside
 * any of its functions, and cannot take a single query back. So every query is a small record of
 * its own: cancelling cuts the record off its nr_resolve, and c-ares may answer it whenever it
 * likes. Whatever calls into c-ares must end with rearm(), because its next timeout may have moved.
 *
 * /etc/hosts is read first, then the servers are asked (the order "fb"). */
#include <ares.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "base/assert.h"
#include "io/epoll_engine.h"

enum {
    TIMEOUT_MS = 2000, /* per try; c-ares doubles it */
    TRIES = 3,
    NUMERIC_TTL_S = 24 * 3600, /* an address in digits stays what it is */
};

struct nr_resolver {
    struct nr_epoll *engine;
    ares_channel channel;
    struct nr_timer timeout;
    struct nr_link fds;     /* struct wanted_fd */
    struct nr_link queries; /* struct query */
};

struct wanted_fd {
    struct nr_watch watch;
    struct nr_link link;
    struct nr_resolver *resolver;
};

struct query {
    struct nr_link link;
    struct nr_resolver *resolver;
    struct nr_resolve *resolve; /* NULL: cancelled */
};

/* ---- driving c-ares ---- */

static void rearm(struct nr_resolver *r)
{
    struct nr_io *io = &r->engine->base;
    struct timeval tv;

    if (ares_timeout(r->channel, NULL, &tv) == NULL) {
        nr_timer_disarm(io, &r->timeout);
        return;
    }
    nr_timer_arm(io, &r->timeout,
                 io->now_ns + (uint64_t)tv.tv_sec * 1000000000u + (uint64_t)tv.tv_usec * 1000u);
}

static void on_timeout(struct nr_op *op)
{
    struct nr_resolver *r = nr_container_of(op, struct nr_resolver, timeout.op);

    ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    rearm(r);
}

static const struct nr_op_kind timeout_kind = {on_timeout, "io.resolve_timeout"};

static void on_fd(struct nr_op *op)
{
    struct wanted_fd *w = nr_container_of(op, struct wanted_fd, watch.turn);
    struct nr_resolver *r = w->resolver;
    uint32_t events = w->watch.events;
    int fd = w->watch.fd;

    w->watch.events = 0;
    /* w may be gone after this */
    ares_process_fd(r->channel, events & (EPOLLIN | EPOLLERR | EPOLLHUP) ? fd : ARES_SOCKET_BAD,
                    events & (EPOLLOUT | EPOLLERR) ? fd : ARES_SOCKET_BAD);
    rearm(r);
}

static const struct nr_op_kind fd_kind = {on_fd, "io.resolve"};

static struct wanted_fd *find_fd(struct nr_resolver *r, int fd)
{
    for (struct nr_link *link = r->fds.next; link != &r->fds; link = link->next) {
        struct wanted_fd *w = nr_container_of(link, struct wanted_fd, link);

        if (w->watch.fd == fd)
            return w;
    }
    return NULL;
}

static void on_fd_wanted(void *ctx, ares_socket_t fd, int readable, int writable)
{
    struct nr_resolver *r = ctx;
    struct wanted_fd *w = find_fd(r, fd);
    uint32_t events = (readable ? (uint32_t)EPOLLIN : 0) | (writable ? (uint32_t)EPOLLOUT : 0);

    if (events == 0) {
        if (w != NULL) {
            nr_watch_remove(r->engine, &w->watch);
            nr_list_remove(&w->link);
            free(w);
        }
        return;
    }
    if (w != NULL) {
        nr_watch_change(r->engine, &w->watch, events);
        return;
    }
    w = malloc(sizeof(*w));
    nr_assert(w != NULL);
    nr_watch_init(&w->watch, fd, &fd_kind);
    w->resolver = r;
    nr_list_push_back(&r->fds, &w->link);
    /* When epoll has no room for it, the query runs into its timeout. */
    (void)nr_watch_add(r->engine, &w->watch, events);
}

static struct nr_resolver *resolver_new(struct nr_epoll *e)
{
    struct nr_resolver *r = calloc(1, sizeof(*r));
    char lookups[] = "fb";
    struct ares_options options = {
        .timeout = TIMEOUT_MS,
        .tries = TRIES,
        .lookups = lookups,
        .sock_state_cb = on_fd_wanted,
        .sock_state_cb_data = r,
    };

    nr_assert(r != NULL);
    r->engine = e;
    nr_link_init(&r->fds);
    nr_link_init(&r->queries);
    nr_engine_internal_timer_init(&r->timeout, &timeout_kind);
    if (ares_init_options(&r->channel, &options,
                          ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
                              ARES_OPT_SOCK_STATE_CB) != ARES_SUCCESS) {
        free(r);
        return NULL;
    }
    if (e->dns_servers != NULL &&
        ares_set_servers_ports_csv(r->channel, e->dns_servers) != ARES_SUCCESS) {
        ares_destroy(r->channel);
        free(r);
        return NULL;
    }
    return r;
}

void nr_resolver_free(struct nr_resolver *resolver)
{
    if (resolver == NULL)
        return;
    ares_destroy(resolver->channel); /* answers what is left, and gives up its descriptors */
    nr_timer_disarm(&resolver->engine->base, &resolver->timeout);
    nr_assert(nr_list_empty(&resolver->queries));
    nr_assert(nr_list_empty(&resolver->fds));
    free(resolver);
}

/* ---- queries ---- */

static enum nr_code code_of(int status)
{
    switch (status) {
    case ARES_SUCCESS: return NR_OK;
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
    case ARES_EBADNAME: return NR_ENAME;
    case ARES_ETIMEOUT:
    /* None could be reached, or each said SERVFAIL or REFUSED: c-ares then tries the next. */
    case ARES_ECONNREFUSED: return NR_ETIMEOUT;
    case ARES_ENOMEM: return NR_ENOMEM;
    case ARES_ECANCELLED:
    case ARES_EDESTRUCTION: return NR_ECANCELED;
    default: return NR_EIO; /* an answer, but nonsense */
    }
}

static void collect(struct nr_resolve *resolve, const struct ares_addrinfo *info)
{
    uint32_t ttl_s = UINT32_MAX;

    for (const struct ares_addrinfo_cname *c = info->cnames; c != NULL; c = c->next)
        if ((uint32_t)c->ttl < ttl_s)
            ttl_s = (uint32_t)c->ttl;
    for (const struct ares_addrinfo_node *node = info->nodes;
         node != NULL && resolve->count < NR_RESOLVE_ADDRS_MAX; node = node->ai_next) {
        struct nr_addr addr = nr_sockaddr_to(node->ai_addr);

        if (addr.family == NR_ADDR_NONE)
            continue;
        addr.port = resolve->port;
        resolve->addrs[resolve->count++] = addr;
        if ((uint32_t)node->ai_ttl < ttl_s)
            ttl_s = (uint32_t)node->ai_ttl;
    }
    resolve->ttl_s = ttl_s;
}

static void on_answer(void *ctx, int status, int timeouts, struct ares_addrinfo *info)
{
    struct query *query = ctx;
    struct nr_resolve *resolve = query->resolve;
    struct nr_io *io = &query->resolver->engine->base;

    nr_list_remove(&query->link);
    free(query);
    if (resolve != NULL) {
        enum nr_code code = code_of(status);

        if (code == NR_OK) {
            collect(resolve, info);
            code = resolve->count > 0 ? NR_OK : NR_ENAME;
        }
        nr_engine_ready(io, &resolve->op, code);
    }
    ares_freeaddrinfo(info);
}

static bool numeric(struct nr_resolve *resolve)
{
    struct nr_addr addr = {.port = resolve->port};

    if (inet_pton(AF_INET, resolve->name, addr.ip) == 1)
        addr.family = NR_ADDR_V4;
    else if (inet_pton(AF_INET6, resolve->name, addr.ip) == 1)
        addr.family = NR_ADDR_V6;
    else
        return false;
    resolve->addrs[0] = addr;
    resolve->count = 1;
    resolve->ttl_s = NUMERIC_TTL_S;
    return true;
}

void nr_resolve_submit(struct nr_io *io, struct nr_resolve *resolve)
{
    static const struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC,
                                                     .ai_socktype = SOCK_STREAM};
    struct nr_epoll *e = nr_epoll_of(io);
    struct query *query;

    if (numeric(resolve)) {
        nr_engine_ready(io, &resolve->op, NR_OK);
        return;
    }
    if (e->resolver == NULL)
        e->resolver = resolver_new(e);
    if (e->resolver == NULL) {
        nr_engine_ready(io, &resolve->op, NR_EIO);
        return;
    }
    query = malloc(sizeof(*query));
    nr_assert(query != NULL);
    query->resolver = e->resolver;
    query->resolve = resolve;
    nr_list_push_back(&e->resolver->queries, &query->link);
    ares_getaddrinfo(e->resolver->channel, resolve->name, NULL, &hints, on_answer, query);
    rearm(e->resolver);
}

void nr_resolve_cancel(struct nr_epoll *e, struct nr_resolve *resolve)
{
    struct nr_link *queries = &e->resolver->queries;

    for (struct nr_link *link = queries->next; link != queries; link = link->next) {
        struct query *query = nr_container_of(link, struct query, link);

        if (query->resolve == resolve)
            query->resolve = NULL;
    }
    nr_engine_ready(&e->base, &resolve->op, NR_ECANCELED);
}
