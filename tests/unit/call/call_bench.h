/* SPDX-License-Identifier: Apache-2.0 */
/* call_bench.h - a service of up to three scripted instances, one call, and an owner that writes
 * down every event. Include cmocka and what it needs before. */
#ifndef NR_TEST_CALL_BENCH_H
#define NR_TEST_CALL_BENCH_H

#include <stdio.h>

#include "call/call.h"
#include "fake_client.h"
#include "service/service_conf.h"

enum { INSTANCES = 3, EVENTS_MAX = 64 };

struct bench {
    struct nr_sim *sim;
    struct nr_io *io;
    struct fake_world world;
    struct nr_instance_conf instances[INSTANCES];
    char addresses[INSTANCES][24];
    struct nr_service_conf conf;
    struct nr_service *service;
    struct nr_service_pools *pools;
    struct nr_call_budget budget;

    /* one call and its owner */
    struct nr_arena arena;
    struct nr_head head;
    struct nr_record record;
    struct nr_exchange *call;
    struct nr_span body;  /* not yet sent */
    bool trailers;        /* behind the body */
    bool hold_answer;     /* consume nothing */
    bool chunked;         /* its length is not announced */
    struct nr_span later; /* a second part of the body, offered once at push_at_ms */
    uint64_t push_at_ms;
    bool pushes; /* offers its body every 0.7 ms, not only on `writable` */
    uint64_t reset_at_ms;
    struct nr_timer reset_timer;
    struct nr_timer push_timer;
    char events[EVENTS_MAX]; /* i 1xx, h head, b body, t trailers, w writable, E end */
    uint32_t event_count;
    uint16_t status;
    bool told_not_to_repeat; /* X-Naru-Retry: no */
    uint32_t route;
    const char *field; /* one more field of the request; NULL: none */
    const char *value;
    char answer[128];
    size_t answer_bytes;
    enum nr_end end;
    enum nr_reason reason;
    uint64_t end_ns; /* since the call's start */
};

/* ---- the owner ---- */

static void event(struct bench *b, char what)
{
    if (what == 'w' && b->event_count > 0 && b->events[b->event_count - 1] == 'w')
        return;
    if (b->event_count < EVENTS_MAX - 1)
        b->events[b->event_count++] = what;
}

static void send_on(struct bench *b)
{
    size_t taken;

    if (b->body.ptr == NULL)
        return;
    taken = nr_exchange_send_body(b->call, b->body, !b->trailers && b->later.ptr == NULL);
    b->body = nr_span_from(b->body, taken);
    if (b->body.len > 0)
        return;
    b->body.ptr = NULL;
    if (b->trailers) {
        struct nr_head trailers;

        nr_head_init_response(&trailers, &b->arena, 200);
        nr_head_add(&trailers, &b->arena, NR_SPAN("X-Sum"), NR_SPAN("42"));
        nr_exchange_send_trailers(b->call, &trailers);
    }
}

static void on_head(struct nr_exchange *x, struct nr_head *head, bool ended)
{
    struct bench *b = x->owner;

    (void)ended;
    assert_ptr_equal(x, b->call);
    event(b, head->status < 200 && head->status != 101 ? 'i' : 'h');
    b->status = head->status;
    b->told_not_to_repeat = nr_head_find_name(head, NR_SPAN("X-Naru-Retry"), NULL) != NULL;
}

static void on_body(struct nr_exchange *x, bool ended)
{
    struct bench *b = x->owner;
    struct nr_span bytes = nr_exchange_pending(x);

    (void)ended;
    event(b, 'b');
    if (b->hold_answer)
        return;
    assert_true(b->answer_bytes + bytes.len < sizeof(b->answer));
    memcpy(b->answer + b->answer_bytes, bytes.ptr, bytes.len);
    b->answer_bytes += bytes.len;
    nr_exchange_consume(x, bytes.len);
}

static void on_trailers(struct nr_exchange *x, struct nr_head *trailers)
{
    (void)trailers;
    event(x->owner, 't');
}

static void on_writable(struct nr_exchange *x)
{
    event(x->owner, 'w');
    send_on(x->owner);
}

static void on_end(struct nr_exchange *x, enum nr_end end)
{
    struct bench *b = x->owner;

    assert_ptr_equal(x, b->call);
    assert_int_equal(nr_exchange_pending(x).len, 0);
    event(b, 'E');
    b->end = end;
    b->reason = nr_call_reason(x);
    b->end_ns = nr_io_now_ns(b->io) - b->record.start_ns;
    nr_timer_disarm(b->io, &b->reset_timer);
    nr_timer_disarm(b->io, &b->push_timer);
    /* The owner may give back the memory at once. */
    nr_arena_done(&b->arena);
    b->call = NULL;
}

static const struct nr_exchange_events owner_events = {
    .head = on_head,
    .body = on_body,
    .trailers = on_trailers,
    .writable = on_writable,
    .end = on_end,
};

static void on_reset_timer(struct nr_op *op)
{
    struct bench *b = nr_container_of(op, struct bench, reset_timer.op);

    nr_exchange_reset(b->call);
    nr_exchange_reset(b->call); /* harmless */
}

/* A client's bytes come when they come. */
static void on_push_timer(struct nr_op *op)
{
    struct bench *b = nr_container_of(op, struct bench, push_timer.op);

    if (b->later.ptr != NULL) {
        b->body = b->later;
        b->later.ptr = NULL;
    }
    send_on(b);
    if (b->body.ptr != NULL && b->pushes)
        nr_timer_arm(b->io, &b->push_timer, nr_io_now_ns(b->io) + 700000);
}

static const struct nr_op_kind push_kind = {on_push_timer, "test.push"};
static const struct nr_op_kind reset_kind = {on_reset_timer, "test.reset"};

/* ---- the bench ---- */

#define BIT(n) ((uint64_t)1 << (n))

static inline void bench_init(struct bench *b, uint32_t instances)
{
    memset(b, 0, sizeof(*b));
    fake = &b->world;
    b->sim = nr_sim_new(&(struct nr_sim_conf){.seed = 1});
    b->io = nr_sim_engine(b->sim, "10.0.0.1");
    for (uint32_t i = 0; i < instances; i++) {
        snprintf(b->addresses[i], sizeof(b->addresses[i]), "10.0.1.%u:%u", i + 1, 8000 + i);
        b->instances[i].weight = 1;
        b->instances[i].address.kind = NR_CONFIG_ADDRESS_IP;
        b->instances[i].address.text = nr_span_of(b->addresses[i]);
    }
    b->conf = (struct nr_service_conf){
        .name = NR_SPAN("orders"),
        .instances = b->instances,
        .instance_count = instances,
        .balance = {.algorithm = NR_BALANCE_ROUND_ROBIN},
        .retry = {.attempts = 2,
                  .on = BIT(NR_RETRY_ON_CONNECT) | BIT(NR_RETRY_ON_RESET),
                  .methods = BIT(NR_METHOD_GET) | BIT(NR_METHOD_HEAD) | BIT(NR_METHOD_PUT),
                  .backoff = {.policy = {25 * MS, 2, 1000 * MS, NR_BACKOFF_FULL}},
                  .budget = {.policy = {0.2, 10}}},
    };
    b->budget.replay_bytes_max = 1024 * 1024;
    nr_timer_init(&b->reset_timer, &reset_kind);
    nr_timer_init(&b->push_timer, &push_kind);
}

static inline void script(struct bench *b, uint32_t n, struct fake_script s)
{
    b->world.scripts[n] = s;
}

static inline void open_service(struct bench *b)
{
    if (b->service != NULL)
        return;
    assert_int_equal(nr_service_new(&b->conf, 7, &b->service, NULL), NR_OK);
    b->pools = nr_service_pools_new(b->service, b->io);
}

/* Open a call now. body NULL: none. */
static inline void open_call(struct bench *b, const char *method, struct nr_span body,
                             uint64_t limit_ms)
{
    open_service(b);
    nr_arena_init(&b->arena, NULL, 0);
    nr_head_init_request(&b->head, &b->arena, nr_span_of(method), NR_SPAN("shop"), NR_SPAN("/a"));
    if (body.ptr != NULL)
        b->head.body_length = b->chunked ? NR_BODY_CHUNKED : (int64_t)body.len;
    if (b->field != NULL)
        nr_head_add(&b->head, &b->arena, nr_span_of(b->field), nr_span_of(b->value));
    b->event_count = 0;
    memset(b->events, 0, sizeof(b->events));
    b->answer_bytes = 0;
    b->status = 0;
    b->record = (struct nr_record){.start_ns = nr_io_now_ns(b->io), .route = b->route};
    b->call =
        nr_call_open(b->io, &(struct nr_call_conf){
                                .pools = b->pools,
                                .head = &b->head,
                                .arena = &b->arena,
                                .deadline = nr_deadline_start(nr_io_now_ns(b->io), limit_ms * MS),
                                .record = &b->record,
                                .budget = &b->budget,
                                .events = &owner_events,
                                .owner = b,
                                .ended = body.ptr == NULL,
                            });
    assert_int_equal(b->event_count, 0); /* never from inside a verb */
    b->body = body;
    send_on(b);
    assert_int_equal(b->event_count, 0);
    if (b->pushes || b->push_at_ms > 0)
        nr_timer_arm(b->io, &b->push_timer, nr_io_now_ns(b->io) + b->push_at_ms * MS);
    if (b->reset_at_ms > 0)
        nr_timer_arm(b->io, &b->reset_timer, nr_io_now_ns(b->io) + b->reset_at_ms * MS);
}

static inline void run(struct bench *b)
{
    nr_sim_run(b->sim, UINT64_MAX);
    assert_null(b->call);
    assert_int_equal(b->events[b->event_count - 1], 'E');
    assert_null(memchr(b->events, 'E', b->event_count - 1)); /* once, last */
    assert_int_equal(b->budget.replay_bytes, 0);
    for (uint32_t i = 0; i < b->conf.instance_count; i++) {
        struct nr_instance_view view;

        nr_service_instance(b->service, i, &view);
        assert_int_equal(view.in_flight, 0);
    }
}

static inline void call(struct bench *b, const char *method, struct nr_span body, uint64_t limit_ms)
{
    open_call(b, method, body, limit_ms);
    run(b);
}

static inline void bench_done(struct bench *b)
{
    fake_done();
    nr_service_pools_free(b->pools);
    assert_int_equal(b->world.clients, 0);
    nr_service_free(b->service);
    nr_sim_free(b->sim); /* aborts when an operation, timer or buffer is left */
}

static const struct nr_span no_body = {NULL, 0};

static const struct fake_script answers_200 = {
    .does = FAKE_ANSWERS, .after_ms = 5, .status = 200, .body = "hello"};

#endif
