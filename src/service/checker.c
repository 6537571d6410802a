/* SPDX-License-Identifier: Apache-2.0 */
/* checker.c - active health checks: one small loop per instance.
 *
 *      WAITING --interval is over--> CHECKING --verdict--> WAITING …
 *
 * One timer serves both states: the pause before a check, and the check's time limit. A check
 * opens a connection of its own, unless `reuse` is set: a pooled one says that the instance lived a
 * while ago, a new one that it takes work now. A pooled one that had gone stale says nothing, and
 * the check goes on over a new one.
 *
 * The pause is `interval`, `unhealthy_interval` for an instance that is down, and a fraction of it
 * while a failed check (or a failed call: nr_service_doubt) wants to be confirmed.
 *
 * HTTP: healthy when the status is one of the expected, the body contains what it should, and it
 * ends within the time limit too. A body that goes on beyond 64 KiB is cut off without prejudice.
 * TCP (check_tcp.c): a connection that opens, and what comes back over it if anything should. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "codec/head.h"
#include "service/check.h"

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
        checker->discovery == NULL && !checker->listening)
        nr_io_defer(checker->io, &checker->stop_op);
}

/* While it is open whether an instance is dead, checks come faster: all that `fall` asks for fit
 * into half of an interval. */
static uint64_t hurry_ns(const struct nr_health_checker *checker)
{
    return checker->conf->interval_ns / (2 * (uint64_t)(checker->conf->fall + 1));
}

static uint64_t pause_ns(const struct check *check)
{
    const struct nr_health_checker *checker = check->checker;
    struct nr_health_rule rule = checker->rule;
    bool down = nr_service_slot(checker->service, check->instance).health == NR_HEALTH_DOWN;

    if (down && checker->conf->unhealthy_interval_ns > 0)
        rule.interval_ns = checker->conf->unhealthy_interval_ns;
    else if (!down && !check->ok && !check->unknown)
        rule.interval_ns = hurry_ns(checker);
    return nr_health_pause_ns(&rule, nr_io_random(checker->io));
}

/* Tell the service, and plan the next. */
void nr_check_conclude(struct check *check)
{
    struct nr_health_checker *checker = check->checker;
    uint64_t next_ns, now_ns = nr_io_now_ns(checker->io);

    checker->running--;
    if (checker->stopped != NULL) {
        stop_if_over(checker);
        return;
    }
    if (check->leaving) {
        check_free(check);
        return;
    }
    if (!check->unknown &&
        nr_service_slot(checker->service, check->instance).generation == check->generation) {
        nr_service_check_note(checker->service, check->instance, check->verdict, check->status);
        nr_service_check_result(checker->service, check->instance, &checker->rule, check->ok);
    }
    if (checker->stopped != NULL) /* by whoever was told */
        return;
    next_ns = check->started_ns + pause_ns(check);
    nr_timer_arm(checker->io, &check->timer, next_ns > now_ns ? next_ns : now_ns);
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
    if (head->status < 200)
        return;
    check->status = head->status;
    check->ok = expected(check->checker->conf, head->status);
    check->verdict = check->ok ? "passed" : "its status is none of the expected";
}

static void http_body(struct nr_exchange *x, bool ended)
{
    struct check *check = x->owner;
    struct nr_span bytes = nr_exchange_pending(x);

    nr_needle_see(&check->needle, bytes);
    nr_exchange_consume(x, bytes.len);
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

static const char *verdict_of(enum nr_end end)
{
    switch (end) {
    case NR_END_CONNECT_REFUSED: return "connection refused";
    case NR_END_CONNECT_FAILED: return "no connection";
    case NR_END_CONNECT_TIMEOUT: return "timeout while connecting";
    case NR_END_PROTOCOL: return "its answer is not valid HTTP";
    case NR_END_PEER_CLOSED:
    case NR_END_PEER_RESET: return "the connection broke";
    default: return "no complete answer";
    }
}

/* A kept connection that broke before any answer had gone stale. */
static bool was_stale(const struct check *check, enum nr_end end)
{
    return check->x->reused && check->status == 0 && !check->gave_up &&
           (end == NR_END_PEER_CLOSED || end == NR_END_PEER_RESET || end == NR_END_UNPROCESSED);
}

static void http_open(struct check *check, bool fresh);

static void http_end(struct nr_exchange *x, enum nr_end end)
{
    struct check *check = x->owner;
    bool again = was_stale(check, end);

    check->x = NULL;
    check->unknown = x->no_files;
    nr_arena_done(&check->arena);
    if (again) {
        http_open(check, true);
        return;
    }
    if (end != NR_END_DONE && end != NR_END_RESET) {
        check->ok = false;
        check->verdict = verdict_of(end);
    } else if (check->ok && !check->needle.found) {
        check->ok = false;
        check->verdict = "its body lacks what is expected";
    }
    nr_timer_disarm(check->checker->io, &check->timer);
    nr_check_conclude(check);
}

static const struct nr_exchange_events http_events = {
    .head = http_head,
    .body = http_body,
    .trailers = http_trailers,
    .writable = http_writable,
    .end = http_end,
};

static void add_fields(struct check *check, struct nr_head *head)
{
    const struct nr_health_conf *conf = check->checker->conf;
    bool named = false;

    for (uint32_t i = 0; i < conf->header_count; i++) {
        struct nr_span name, value;

        if (!nr_health_header(conf->headers[i], &name, &value))
            continue;
        named |= nr_field_id_of(name) == NR_FIELD_USER_AGENT;
        nr_head_add(head, &check->arena, name, value);
    }
    if (!named)
        nr_head_add(head, &check->arena, NR_SPAN("User-Agent"), NR_SPAN("naru-health"));
}

static struct nr_span authority_of(const struct check *check)
{
    const struct nr_service *service = check->checker->service;
    /* This is the thread that changes texts, so it may read them. */
    const struct nr_instance *instance = &service->instances[check->instance];

    if (check->checker->conf->host.len > 0)
        return check->checker->conf->host;
    if (instance->addr.family == NR_ADDR_UNIX)
        return NR_SPAN("localhost");
    return nr_span_of(instance->text);
}

static void http_open(struct check *check, bool fresh)
{
    const struct nr_health_conf *conf = check->checker->conf;
    struct nr_span method = conf->method.len > 0 ? conf->method : NR_SPAN("GET");
    struct nr_head head;

    check->status = 0;
    nr_needle_init(&check->needle, conf->expect_body);
    nr_arena_init(&check->arena, check->memory, sizeof(check->memory));
    nr_head_init_request(&head, &check->arena, method, authority_of(check), conf->path);
    add_fields(check, &head);
    check->x = nr_client_open(check->client, &check->arena, &http_events, check, fresh);
    nr_exchange_send_head(check->x, &head, true);
}

static void http_start(struct check *check, const struct nr_addr *addr)
{
    struct nr_health_checker *checker = check->checker;

    if (check->client == NULL)
        check->client = nr_client_new(checker->io, addr, &checker->service->check_conf);
    http_open(check, !checker->conf->reuse);
}

/* ---- the loop ---- */

static bool is_checking(const struct check *check)
{
    return check->x != NULL || nr_check_tcp_busy(check);
}

static void give_up(struct check *check)
{
    check->ok = false;
    check->verdict = "timeout";
    check->gave_up = true;
    if (check->x != NULL)
        nr_exchange_reset(check->x);
    else
        nr_check_tcp_give_up(check);
}

static void start(struct check *check)
{
    struct nr_health_checker *checker = check->checker;
    uint64_t now_ns = nr_io_now_ns(checker->io);
    struct nr_addr addr;

    check->started_ns = now_ns;
    check->ok = false;
    check->verdict = "no complete answer";
    check->status = 0;
    check->gave_up = false;
    check->unknown = false;
    if (nr_service_slot(checker->service, check->instance).generation != check->generation)
        return; /* its instance is gone; we are about to be told */
    if (!nr_service_address(checker->service, check->instance, &addr)) {
        nr_timer_arm(checker->io, &check->timer, now_ns + checker->rule.interval_ns);
        return;
    }
    checker->running++;
    nr_timer_arm(checker->io, &check->timer, now_ns + checker->conf->timeout_ns);
    if (checker->conf->tcp)
        nr_check_tcp_start(check, &addr);
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

/* A call has failed: do not wait for the next check's time. */
static void hasten(struct check *check)
{
    struct nr_health_checker *checker = check->checker;
    uint64_t now_ns = nr_io_now_ns(checker->io);
    uint64_t at_ns = check->started_ns + hurry_ns(checker);

    if (at_ns < now_ns)
        at_ns = now_ns;
    if (!is_checking(check) && nr_timer_armed(&check->timer) && check->timer.at_ns > at_ns)
        nr_timer_arm(checker->io, &check->timer, at_ns);
}

/* ---- the instances ---- */

static void check_add(struct nr_health_checker *checker, uint32_t instance, uint32_t generation)
{
    struct check *check = calloc(1, sizeof(*check));

    nr_assert(check != NULL);
    check->checker = checker;
    check->instance = instance;
    check->generation = generation;
    nr_timer_init(&check->timer, &timer_kind);
    nr_check_tcp_init(check);
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

/* Instances have come or gone, or are in doubt: one check for each that is there. */
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
        if (!slot.present || slot.generation != check->generation) {
            check_remove(check);
            continue;
        }
        checked[check->instance] = true;
        if (slot.doubted)
            hasten(check);
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

static void tick(struct nr_op *op)
{
    struct nr_health_checker *checker = nr_container_of(op, struct nr_health_checker, tick.op);
    uint64_t now_ns = nr_io_now_ns(checker->io);

    nr_outlier_tick(checker->service, now_ns, nr_io_random(checker->io));
    nr_timer_arm(checker->io, &checker->tick, now_ns + checker->service->conf->eject->interval_ns);
}

static const struct nr_op_kind tick_kind = {tick, "health.eject"};

static void silenced(void *ctx)
{
    struct nr_health_checker *checker = ctx;

    checker->listening = false;
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
    nr_timer_init(&checker->tick, &tick_kind);
    if (service->conf->eject != NULL)
        nr_timer_arm(io, &checker->tick, nr_io_now_ns(io) + service->conf->eject->interval_ns);
    checker->listening = true;
    nr_notices_listen(service, io);
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
    nr_service_set_checker(service, &checker->watch);
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
    if (checker->watching) {
        nr_service_set_checker(checker->service, NULL);
        nr_service_unwatch(&checker->watch);
    }
    nr_timer_disarm(checker->io, &checker->tick);
    checker->listening = !nr_notices_silence(checker->service, silenced, checker);
    nr_discovery_stop(checker->discovery, discovery_stopped, checker);
}
