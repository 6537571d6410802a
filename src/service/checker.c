/* SPDX-License-Identifier: Apache-2.0 */
/* checker.c - active health checks: one small loop per instance.
 *
 *      WAITING --interval is over--> CHECKING --verdict--> WAITING …
 *
 * One timer serves both states: the pause before a check, and the check's time limit. A check
 * always opens a connection of its own: a pooled one says that the instance lived a while ago, a
 * new one that it takes work now.
 *
 * HTTP: GET path; healthy when the status is one of the expected and the body (of which nobody
 * wants a byte) ends within the time limit too. A body that goes on beyond 64 KiB is cut off
 * without prejudice. TCP: a connection that opens is proof enough. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "codec/head.h"
#include "codec/proxy_protocol.h"
#include "service/state.h"

enum {
    CHECK_ARENA_BYTES = 1536, /* both heads, of a usual size */
    CHECK_BODY_BYTES_MAX = 64 * 1024,
};

struct check {
    struct nr_link link; /* checker->checks */
    struct nr_health_checker *checker;
    uint32_t instance;
    uint32_t generation; /* of the instance's slot */
    bool leaving;        /* its instance is gone: to be freed with its verdict */
    struct nr_timer timer;
    struct nr_client *client; /* HTTP; NULL until the address is known */
    struct nr_exchange *x;    /* HTTP, while checking */
    struct nr_connect connect;
    uint64_t started_ns;
    bool ok;
    struct nr_arena arena; /* while checking */
    char memory[CHECK_ARENA_BYTES];
};

struct nr_health_checker {
    struct nr_service *service;
    struct nr_io *io;
    const struct nr_health_conf *conf; /* NULL: nothing to check */
    struct nr_health_rule rule;
    struct nr_link checks; /* struct check: one per instance, and those that are leaving */
    struct nr_service_watch watch;
    bool watching;
    struct nr_discovery *discovery; /* NULL: stopped */
    uint32_t running;               /* checks in state CHECKING */
    void (*stopped)(void *ctx);     /* not NULL: stopping */
    void *stopped_ctx;
    struct nr_op stop_op;
};

static void check_free(struct check *check)
{
    nr_timer_disarm(check->checker->io, &check->timer);
    nr_list_remove(&check->link);
    nr_client_close(check->client);
    free(check);
}

static void checker_free(struct nr_op *op)
{
    struct nr_health_checker *checker = nr_container_of(op, struct nr_health_checker, stop_op);
    void (*stopped)(void *ctx) = checker->stopped;
    void *ctx = checker->stopped_ctx;

    while (!nr_list_empty(&checker->checks))
        check_free(nr_container_of(checker->checks.next, struct check, link));
    free(checker);
    stopped(ctx);
}

static const struct nr_op_kind stop_kind = {checker_free, "health.stop"};

/* Stopping, is anything still outstanding? */
static void stop_if_over(struct nr_health_checker *checker)
{
    if (checker->stopped != NULL && checker->running == 0 && !checker->watching &&
        checker->discovery == NULL)
        nr_io_defer(checker->io, &checker->stop_op);
}

/* The check has its verdict in check->ok: tell the service, and plan the next. */
static void conclude(struct check *check)
{
    struct nr_health_checker *checker = check->checker;
    uint64_t pause_ns;

    checker->running--;
    if (checker->stopped != NULL) {
        stop_if_over(checker);
        return;
    }
    if (check->leaving) {
        check_free(check);
        return;
    }
    pause_ns = nr_health_pause_ns(&checker->rule, nr_io_random(checker->io));
    nr_timer_arm(checker->io, &check->timer, check->started_ns + pause_ns);
    if (nr_service_slot(checker->service, check->instance).generation == check->generation)
        nr_service_check_result(checker->service, check->instance, &checker->rule, check->ok);
}

/* ---- HTTP ---- */

static bool expected(const struct nr_health_conf *conf, uint16_t status)
{
    for (uint32_t i = 0; i < conf->expect_count; i++)
        if (status >= conf->expect[i].first && status <= conf->expect[i].last)
            return true;
    return false;
}

static void http_head(struct nr_exchange *x, struct nr_head *head, bool ended)
{
    struct check *check = x->owner;

    (void)ended;
    if (head->status >= 200)
        check->ok = expected(check->checker->conf, head->status);
}

static void http_body(struct nr_exchange *x, bool ended)
{
    nr_exchange_consume(x, nr_exchange_pending(x).len);
    if (!ended && x->received_bytes > CHECK_BODY_BYTES_MAX)
        nr_exchange_reset(x);
}

static void http_trailers(struct nr_exchange *x, struct nr_head *trailers)
{
    (void)x;
    (void)trailers;
}

static void http_writable(struct nr_exchange *x)
{
    (void)x;
}

static void http_end(struct nr_exchange *x, enum nr_end end)
{
    struct check *check = x->owner;

    if (end != NR_END_DONE && end != NR_END_RESET)
        check->ok = false;
    check->x = NULL;
    nr_timer_disarm(check->checker->io, &check->timer);
    nr_arena_done(&check->arena);
    conclude(check);
}

static const struct nr_exchange_events http_events = {
    .head = http_head,
    .body = http_body,
    .trailers = http_trailers,
    .writable = http_writable,
    .end = http_end,
};

static void http_start(struct check *check, const struct nr_addr *addr)
{
    struct nr_health_checker *checker = check->checker;
    struct nr_service *service = checker->service;
    /* This is the thread that changes texts, so it may read them. */
    struct nr_span authority = nr_span_of(service->instances[check->instance].text);
    struct nr_head head;

    if (addr->family == NR_ADDR_UNIX)
        authority = NR_SPAN("localhost");
    if (check->client == NULL)
        check->client = nr_client_new(checker->io, addr, &service->check_conf);
    nr_arena_init(&check->arena, check->memory, sizeof(check->memory));
    nr_head_init_request(&head, &check->arena, NR_SPAN("GET"), authority, checker->conf->path);
    nr_head_add(&head, &check->arena, NR_SPAN("User-Agent"), NR_SPAN("naru-health"));
    check->x = nr_client_open(check->client, &check->arena, &http_events, check, true);
    nr_exchange_send_head(check->x, &head, true);
}

/* ---- TCP ---- */

/* An instance that waits for a PROXY header gets one that names nobody, or it would call us a
 * broken proxy. Whether it takes it is not the question: its kernel has answered. */
static void send_proxy_header(struct check *check)
{
    uint32_t mode = check->checker->service->conf->proxy_protocol;
    struct nr_proxy_header header = {.version = mode == NR_PROXY_OUT_V1 ? 1 : 2, .local = true};
    char bytes[NR_PROXY_WRITE_BYTES_MAX];
    struct iovec part = {bytes, 0};

    if (mode == NR_PROXY_OUT_OFF)
        return;
    part.iov_len = nr_proxy_write(bytes, &header);
    (void)nr_sock_write(check->connect.sock, &part, 1);
}

static void tcp_connected(struct nr_op *op)
{
    struct check *check = nr_container_of(op, struct check, connect.op);

    check->ok = op->result == NR_OK;
    if (check->ok)
        send_proxy_header(check);
    if (check->ok)
        nr_sock_close(check->connect.sock, NR_CLOSE_GRACEFUL);
    nr_timer_disarm(check->checker->io, &check->timer);
    conclude(check);
}

static const struct nr_op_kind connect_kind = {tcp_connected, "health.connect"};

static void tcp_start(struct check *check, const struct nr_addr *addr)
{
    nr_op_init(&check->connect.op, &connect_kind);
    check->connect.to = *addr;
    check->connect.sock = NULL;
    nr_sock_connect(check->checker->io, &check->connect);
}

/* ---- the loop ---- */

static bool is_checking(const struct check *check)
{
    return check->x != NULL || !nr_op_idle(&check->connect.op);
}

static void give_up(struct check *check)
{
    check->ok = false;
    if (check->x != NULL)
        nr_exchange_reset(check->x);
    else
        nr_op_cancel(check->checker->io, &check->connect.op);
}

static void start(struct check *check)
{
    struct nr_health_checker *checker = check->checker;
    uint64_t now_ns = nr_io_now_ns(checker->io);
    struct nr_addr addr;

    check->started_ns = now_ns;
    check->ok = false;
    if (nr_service_slot(checker->service, check->instance).generation != check->generation)
        return; /* its instance is gone; we are about to be told */
    if (!nr_service_address(checker->service, check->instance, &addr)) {
        nr_timer_arm(checker->io, &check->timer, now_ns + checker->rule.interval_ns);
        return;
    }
    checker->running++;
    nr_timer_arm(checker->io, &check->timer, now_ns + checker->conf->timeout_ns);
    if (checker->conf->tcp)
        tcp_start(check, &addr);
    else
        http_start(check, &addr);
}

static void timer_fired(struct nr_op *op)
{
    struct check *check = nr_container_of(op, struct check, timer.op);

    if (is_checking(check))
        give_up(check);
    else
        start(check);
}

static const struct nr_op_kind timer_kind = {timer_fired, "health.timer"};

/* ---- the instances ---- */

static void check_add(struct nr_health_checker *checker, uint32_t instance, uint32_t generation)
{
    struct check *check = calloc(1, sizeof(*check));

    nr_assert(check != NULL);
    check->checker = checker;
    check->instance = instance;
    check->generation = generation;
    nr_timer_init(&check->timer, &timer_kind);
    nr_op_init(&check->connect.op, &connect_kind);
    nr_list_push_back(&checker->checks, &check->link);
    nr_timer_arm(checker->io, &check->timer, nr_io_now_ns(checker->io));
}

static void check_remove(struct check *check)
{
    nr_timer_disarm(check->checker->io, &check->timer);
    check->leaving = true;
    if (is_checking(check))
        give_up(check);
    else
        check_free(check);
}

/* Instances have come or gone: one check for each that is there. */
static void follow(struct nr_health_checker *checker)
{
    uint32_t count = nr_service_instance_count(checker->service);
    bool *checked = calloc(count + 1, sizeof(*checked));
    struct nr_link *next;

    nr_assert(checked != NULL);
    for (struct nr_link *link = checker->checks.next; link != &checker->checks; link = next) {
        struct check *check = nr_container_of(link, struct check, link);
        struct nr_slot slot = nr_service_slot(checker->service, check->instance);

        next = link->next;
        if (check->leaving)
            continue;
        if (slot.present && slot.generation == check->generation)
            checked[check->instance] = true;
        else
            check_remove(check);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct nr_slot slot = nr_service_slot(checker->service, i);

        if (slot.present && !checked[i])
            check_add(checker, i, slot.generation);
    }
    free(checked);
}

static void set_changed(struct nr_service_watch *watch)
{
    struct nr_health_checker *checker = nr_container_of(watch, struct nr_health_checker, watch);

    if (checker->stopped == NULL)
        follow(checker);
}

static void discovery_stopped(void *ctx)
{
    struct nr_health_checker *checker = ctx;

    checker->discovery = NULL;
    stop_if_over(checker);
}

static void unwatched(struct nr_service_watch *watch)
{
    struct nr_health_checker *checker = nr_container_of(watch, struct nr_health_checker, watch);

    checker->watching = false;
    stop_if_over(checker);
}

struct nr_health_checker *nr_health_start(struct nr_service *service, struct nr_io *io)
{
    const struct nr_health_conf *conf = service->conf->health;
    struct nr_health_checker *checker = calloc(1, sizeof(*checker));

    nr_assert(checker != NULL);
    checker->service = service;
    checker->io = io;
    checker->conf = conf;
    nr_link_init(&checker->checks);
    nr_op_init(&checker->stop_op, &stop_kind);
    checker->discovery = nr_discovery_start(service, io);
    if (conf == NULL)
        return checker;
    checker->rule = (struct nr_health_rule){.rise = conf->rise,
                                            .fall = conf->fall,
                                            .interval_ns = conf->interval_ns,
                                            .jitter = conf->jitter};
    checker->watch.changed = set_changed;
    checker->watch.removed = unwatched;
    checker->watching = true;
    nr_service_watch(service, io, &checker->watch);
    follow(checker);
    return checker;
}

void nr_health_stop(struct nr_health_checker *checker, void (*stopped)(void *ctx), void *ctx)
{
    nr_assert(checker->stopped == NULL && stopped != NULL);
    checker->stopped = stopped;
    checker->stopped_ctx = ctx;
    for (struct nr_link *link = checker->checks.next; link != &checker->checks; link = link->next) {
        struct check *check = nr_container_of(link, struct check, link);

        nr_timer_disarm(checker->io, &check->timer);
        if (is_checking(check))
            give_up(check);
    }
    if (checker->watching)
        nr_service_unwatch(&checker->watch);
    nr_discovery_stop(checker->discovery, discovery_stopped, checker);
}
