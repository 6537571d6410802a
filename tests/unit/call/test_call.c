/* SPDX-License-Identifier: Apache-2.0 */
/* Calls against scripted exchanges: every failure at an exact time. The same over real connections
 * of the simulator: test_call_h1.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "call/call.h"
#include "fake_client.h"
#include "service/service_conf.h"

enum { INSTANCES = 3, ARENA_BYTES = 8192, EVENTS_MAX = 64 };

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

static void bench_init(struct bench *b, uint32_t instances)
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
        .balance = NR_BALANCE_ROUND_ROBIN,
        .retry = {.attempts = 2,
                  .on = BIT(NR_RETRY_ON_CONNECT) | BIT(NR_RETRY_ON_RESET),
                  .methods = BIT(NR_METHOD_GET) | BIT(NR_METHOD_HEAD) | BIT(NR_METHOD_PUT)},
    };
    b->budget.replay_bytes_max = 1024 * 1024;
    nr_timer_init(&b->reset_timer, &reset_kind);
    nr_timer_init(&b->push_timer, &push_kind);
}

static void script(struct bench *b, uint32_t n, struct fake_script s)
{
    b->world.scripts[n] = s;
}

static void open_service(struct bench *b)
{
    if (b->service != NULL)
        return;
    assert_int_equal(nr_service_new(&b->conf, 7, &b->service, NULL), NR_OK);
    b->pools = nr_service_pools_new(b->service, b->io);
}

/* Open a call now. body NULL: none. */
static void open_call(struct bench *b, const char *method, struct nr_span body, uint64_t limit_ms)
{
    open_service(b);
    nr_arena_init(&b->arena, NULL, 0);
    nr_head_init_request(&b->head, &b->arena, nr_span_of(method), NR_SPAN("shop"), NR_SPAN("/a"));
    if (body.ptr != NULL)
        b->head.body_length = b->chunked ? NR_BODY_CHUNKED : (int64_t)body.len;
    b->event_count = 0;
    memset(b->events, 0, sizeof(b->events));
    b->answer_bytes = 0;
    b->status = 0;
    b->record = (struct nr_record){.start_ns = nr_io_now_ns(b->io)};
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

static void run(struct bench *b)
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

static void call(struct bench *b, const char *method, struct nr_span body, uint64_t limit_ms)
{
    open_call(b, method, body, limit_ms);
    run(b);
}

static void bench_done(struct bench *b)
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

/* ---- one attempt ---- */

static void a_plain_get(void **state)
{
    struct bench b;

    bench_init(&b, 3);
    script(&b, 0, answers_200);
    call(&b, "GET", no_body, 6000);
    assert_string_equal(b.events, "hbE");
    assert_int_equal(b.status, 200);
    assert_memory_equal(b.answer, "hello", 5);
    assert_int_equal(b.end, NR_END_DONE);
    assert_int_equal(b.reason, NR_REASON_NONE);
    assert_int_equal(b.world.open_count, 1);
    assert_string_equal(b.world.opens[0].deadline, "6000");
    assert_string_equal(b.world.opens[0].attempt, "");
    assert_int_equal(b.record.service, 7);
    assert_int_equal(b.record.attempt_count, 1);
    assert_int_equal(b.record.attempts[0].instance, 0);
    assert_int_equal(b.record.attempts[0].result, NR_ATTEMPT_ANSWERED);
    assert_int_equal(b.record.attempts[0].status, 200);
    assert_in_range(b.record.attempts[0].took_us, 5000, 6000);
    assert_int_equal(b.record.upstream_us, b.record.attempts[0].took_us);
    assert_int_equal(b.record.flags, 0);
    bench_done(&b);
}

static void without_a_deadline_no_field_is_sent(void **state)
{
    struct bench b;

    bench_init(&b, 1);
    script(&b, 0, answers_200);
    call(&b, "GET", no_body, 0);
    assert_string_equal(b.world.opens[0].deadline, "");
    bench_done(&b);
}

static void interim_heads_pass_through(void **state)
{
    struct bench b;

    bench_init(&b, 1);
    script(&b, 0, answers_200);
    b.world.scripts[0].interim = true;
    call(&b, "GET", no_body, 100);
    assert_string_equal(b.events, "ihbE");
    bench_done(&b);
}

static void an_early_answer_lets_the_body_go_on(void **state)
{
    struct bench b;

    bench_init(&b, 1);
    script(&b, 0,
           (struct fake_script){.does = FAKE_ANSWERS,
                                .early = true,
                                .after_ms = 2,
                                .status = 200,
                                .body = "early",
                                .step_bytes = 3});
    call(&b, "PUT", NR_SPAN("0123456789abcdefghij"), 6000);
    assert_int_equal(b.end, NR_END_DONE);
    assert_int_equal(b.reason, NR_REASON_NONE);
    assert_int_equal(b.world.opens[0].body_bytes, 20);
    assert_memory_equal(b.world.opens[0].body, "0123456789abcdefghij", 20);
    assert_non_null(strchr(strchr(b.events, 'h'), 'w')); /* still sending behind the head */
    bench_done(&b);
}

/* A 413 before the body is through, and the owner does not go on: that is an answer, not an error.
 */
static void a_complete_answer_stands_whatever_follows(void **state)
{
    struct bench b;

    bench_init(&b, 1);
    script(&b, 0,
           (struct fake_script){
               .does = FAKE_ANSWERS, .early = true, .after_ms = 2, .status = 413, .step_bytes = 1});
    b.reset_at_ms = 5;
    call(&b, "PUT", NR_SPAN("0123456789abcdefghij"), 6000);
    assert_int_equal(b.end, NR_END_RESET);
    assert_int_equal(b.reason, NR_REASON_NONE);
    assert_int_equal(b.record.attempts[0].status, 413);
    bench_done(&b);
}

static void no_instance_and_none_up(void **state)
{
    struct bench b;

    bench_init(&b, 0);
    call(&b, "GET", no_body, 6000);
    assert_string_equal(b.events, "E");
    assert_int_equal(b.reason, NR_REASON_NO_INSTANCE);
    assert_int_equal(b.record.attempt_count, 0);
    bench_done(&b);

    bench_init(&b, 1);
    b.instances[0].address.kind = NR_CONFIG_ADDRESS_NAME; /* never resolved */
    b.instances[0].address.host = NR_SPAN("orders.test");
    call(&b, "PUT", NR_SPAN("body"), 6000);
    assert_string_equal(b.events, "E");
    assert_int_equal(b.reason, NR_REASON_NO_HEALTHY);
    bench_done(&b);
}

static void a_deadline_that_has_passed_starts_nothing(void **state)
{
    struct bench b;

    bench_init(&b, 1);
    open_service(&b);
    nr_arena_init(&b.arena, NULL, 0);
    nr_head_init_request(&b.head, &b.arena, NR_SPAN("GET"), NR_SPAN("shop"), NR_SPAN("/a"));
    b.call = nr_call_open(b.io, &(struct nr_call_conf){.pools = b.pools,
                                                       .head = &b.head,
                                                       .arena = &b.arena,
                                                       .deadline = {.at_ns = nr_io_now_ns(b.io)},
                                                       .record = &b.record,
                                                       .budget = &b.budget,
                                                       .events = &owner_events,
                                                       .owner = &b,
                                                       .ended = true});
    run(&b);
    assert_string_equal(b.events, "E");
    assert_int_equal(b.reason, NR_REASON_DEADLINE);
    assert_int_equal(b.world.open_count, 0);
    bench_done(&b);
}

/* ---- failures: what they are called, and whether they are repeated ---- */

static const struct failure_case {
    const char *name;
    const char *method;
    const char *body;
    struct fake_script script;
    bool repeated;
    enum nr_attempt_result result;
    enum nr_reason reason; /* when not repeated */
    uint16_t flag;
} failures[] = {
    /* clang-format off */
    {"GET refused", "GET", NULL, {.does = FAKE_FAILS, .end = NR_END_CONNECT_REFUSED},
     true, NR_ATTEMPT_CONNECT_REFUSED, 0, 0},
    {"POST refused: nobody has seen it", "POST", "pay", {.does = FAKE_FAILS, .connect_ms = 9, .end = NR_END_CONNECT_REFUSED},
     true, NR_ATTEMPT_CONNECT_REFUSED, 0, 0},
    {"GET unreachable", "GET", NULL, {.does = FAKE_FAILS, .end = NR_END_CONNECT_FAILED},
     true, NR_ATTEMPT_CONNECT_FAILED, 0, 0},
    {"POST connect timeout", "POST", "pay", {.does = FAKE_FAILS, .connect_ms = 9, .after_ms = 3, .end = NR_END_CONNECT_TIMEOUT},
     true, NR_ATTEMPT_CONNECT_TIMEOUT, 0, 0},
    {"GET reset", "GET", NULL, {.does = FAKE_FAILS, .after_ms = 3, .end = NR_END_PEER_RESET},
     true, NR_ATTEMPT_RESET, 0, 0},
    {"PUT reset, body sent", "PUT", "put", {.does = FAKE_FAILS, .after_ms = 3, .end = NR_END_PEER_RESET},
     true, NR_ATTEMPT_RESET, 0, 0},
    {"POST reset: RFC 9110, 9.2.2", "POST", "pay", {.does = FAKE_FAILS, .after_ms = 3, .end = NR_END_PEER_RESET},
     false, NR_ATTEMPT_RESET, NR_REASON_UPSTREAM_RESET, NR_RECORD_RETRY_UNSAFE},
    {"POST closed", "POST", NULL, {.does = FAKE_FAILS, .after_ms = 3, .end = NR_END_PEER_CLOSED},
     false, NR_ATTEMPT_CLOSED, NR_REASON_UPSTREAM_CLOSED, NR_RECORD_RETRY_UNSAFE},
    {"POST over a stale connection, nothing written", "POST", NULL, {.does = FAKE_FAILS, .reused = true, .end = NR_END_UNPROCESSED},
     true, NR_ATTEMPT_CLOSED, 0, 0},
    {"POST over a stale connection, written", "POST", NULL, {.does = FAKE_FAILS, .reused = true, .end = NR_END_PEER_CLOSED},
     false, NR_ATTEMPT_CLOSED, NR_REASON_UPSTREAM_CLOSED, NR_RECORD_RETRY_UNSAFE},
    {"POST not processed, but its body went out", "POST", "pay", {.does = FAKE_FAILS, .after_ms = 3, .end = NR_END_UNPROCESSED},
     false, NR_ATTEMPT_CLOSED, NR_REASON_UPSTREAM_CLOSED, NR_RECORD_RETRY_NO_BODY},
    {"GET answered with garbage", "GET", NULL, {.does = FAKE_FAILS, .after_ms = 3, .end = NR_END_PROTOCOL},
     true, NR_ATTEMPT_PROTOCOL, 0, 0},
    {"GET, upstream takes no bytes: not listed in `on`", "GET", NULL, {.does = FAKE_FAILS, .after_ms = 3, .end = NR_END_WRITE_TIMEOUT},
     false, NR_ATTEMPT_TIMEOUT, NR_REASON_ATTEMPT_TIMEOUT, 0},
    {"GET while we shut down", "GET", NULL, {.does = FAKE_FAILS, .after_ms = 3, .end = NR_END_SHUTDOWN},
     false, NR_ATTEMPT_CANCELED, NR_REASON_DRAINING, 0},
    /* clang-format on */
};

static void failures_by_table(void **state)
{
    for (size_t i = 0; i < NR_COUNT(failures); i++) {
        const struct failure_case *f = &failures[i];
        struct bench b;

        print_message("# %s\n", f->name);
        bench_init(&b, 3);
        script(&b, 0, f->script);
        script(&b, 1, answers_200);
        call(&b, f->method, f->body != NULL ? nr_span_of(f->body) : no_body, 6000);
        assert_int_equal(b.record.attempts[0].result, f->result);
        assert_int_equal(b.record.attempts[0].status, 0);
        assert_int_equal(b.record.flags, f->flag);
        assert_int_equal(b.world.open_count, f->repeated ? 2 : 1);
        if (f->repeated) {
            assert_int_equal(b.status, 200);
            assert_int_equal(b.end, NR_END_DONE);
            assert_int_equal(b.reason, NR_REASON_NONE);
            assert_int_not_equal(b.world.opens[0].port, b.world.opens[1].port);
            assert_string_equal(b.world.opens[1].attempt, "2");
            assert_int_equal(b.world.opens[1].fresh, f->script.reused);
            assert_int_equal(b.record.attempt_count, 2);
            assert_int_equal(b.record.attempts[1].result, NR_ATTEMPT_ANSWERED);
            assert_int_equal(b.record.attempts[0].reused, f->script.reused);
            if (f->body != NULL)
                assert_memory_equal(b.world.opens[1].body, f->body, strlen(f->body));
        } else {
            assert_string_equal(strpbrk(b.events, "ihbtE"), "E"); /* no head reached the owner */
            assert_int_equal(b.reason, f->reason);
            assert_int_equal(b.end, f->script.end);
        }
        bench_done(&b);
    }
}

static void both_attempts_fail(void **state)
{
    struct bench b;

    bench_init(&b, 3);
    script(&b, 0,
           (struct fake_script){.does = FAKE_FAILS, .end = NR_END_PEER_RESET, .after_ms = 2});
    script(&b, 1, (struct fake_script){.does = FAKE_FAILS, .end = NR_END_CONNECT_REFUSED});
    call(&b, "GET", no_body, 6000);
    assert_string_equal(b.events, "E");
    assert_int_equal(b.reason, NR_REASON_CONNECT_REFUSED); /* the last one's */
    assert_int_equal(b.record.attempt_count, 2);
    assert_int_equal(b.record.flags, NR_RECORD_RETRY_SPENT);
    bench_done(&b);
}

static void with_one_instance_the_same_is_asked_again(void **state)
{
    struct bench b;

    bench_init(&b, 1);
    script(&b, 0,
           (struct fake_script){.does = FAKE_FAILS, .reused = true, .end = NR_END_PEER_CLOSED});
    script(&b, 1, answers_200);
    call(&b, "GET", no_body, 6000);
    assert_int_equal(b.status, 200);
    assert_true(b.world.opens[1].fresh); /* not over another stale connection */
    assert_int_equal(b.world.opens[1].port, b.world.opens[0].port);
    bench_done(&b);
}

static void attempts_1_means_no_retry(void **state)
{
    struct bench b;

    bench_init(&b, 3);
    b.conf.retry.attempts = 1;
    script(&b, 0, (struct fake_script){.does = FAKE_FAILS, .end = NR_END_CONNECT_REFUSED});
    call(&b, "GET", no_body, 6000);
    assert_int_equal(b.world.open_count, 1);
    assert_int_equal(b.record.flags, NR_RECORD_RETRY_SPENT);
    bench_done(&b);
}

static void more_attempts_than_the_record_has_room_for(void **state)
{
    struct bench b;

    bench_init(&b, 3);
    b.conf.retry.attempts = 6;
    for (uint32_t i = 0; i < 5; i++)
        script(&b, i,
               (struct fake_script){.does = FAKE_FAILS, .after_ms = 1, .end = NR_END_PEER_RESET});
    script(&b, 5, answers_200);
    call(&b, "GET", no_body, 6000);
    assert_int_equal(b.record.attempt_count, 6);
    assert_int_equal(b.record.attempts[NR_RECORD_ATTEMPTS - 2].result, NR_ATTEMPT_RESET);
    assert_int_equal(b.record.attempts[NR_RECORD_ATTEMPTS - 1].result, NR_ATTEMPT_ANSWERED);
    assert_string_equal(b.world.opens[5].attempt, "6");
    bench_done(&b);
}

static void an_answer_that_breaks_off_is_not_repeated(void **state)
{
    struct bench b;

    bench_init(&b, 3);
    script(&b, 0,
           (struct fake_script){.does = FAKE_TRUNCATES,
                                .after_ms = 2,
                                .status = 200,
                                .body = "0123456789",
                                .end = NR_END_PEER_CLOSED});
    call(&b, "GET", no_body, 6000);
    assert_string_equal(b.events, "hbE");
    assert_int_equal(b.answer_bytes, 5);
    assert_int_equal(b.end, NR_END_PEER_CLOSED);
    assert_int_equal(b.reason, NR_REASON_UPSTREAM_TRUNCATED);
    assert_int_equal(b.record.flags, NR_RECORD_RETRY_COMMITTED);
    assert_int_equal(b.record.attempt_count, 1);
    bench_done(&b);
}

/* ---- time ---- */

static void the_attempt_has_its_time(void **state)
{
    struct bench b;

    bench_init(&b, 3);
    b.conf.timeouts.attempt_ns = 100 * MS;
    script(&b, 0, (struct fake_script){.does = FAKE_HANGS});
    call(&b, "GET", no_body, 6000);
    assert_string_equal(b.events, "E");
    assert_int_equal(b.reason, NR_REASON_ATTEMPT_TIMEOUT);
    assert_int_equal(nr_reason_status(b.reason), 504);
    assert_true(b.world.opens[0].reset);
    assert_int_equal(b.record.attempts[0].result, NR_ATTEMPT_TIMEOUT);
    assert_in_range(b.end_ns, 100 * MS, 102 * MS);
    bench_done(&b);
}

static void a_timeout_is_repeated_where_it_is_listed(void **state)
{
    struct bench b;

    bench_init(&b, 3);
    b.conf.timeouts.attempt_ns = 100 * MS;
    b.conf.retry.on |= BIT(NR_RETRY_ON_TIMEOUT);
    script(&b, 0, (struct fake_script){.does = FAKE_HANGS});
    script(&b, 1, answers_200);
    call(&b, "GET", no_body, 6000);
    assert_int_equal(b.status, 200);
    assert_int_equal(b.record.attempts[0].result, NR_ATTEMPT_TIMEOUT);
    assert_in_range(strtoul(b.world.opens[1].deadline, NULL, 10), 5890, 5900); /* what is left */
    bench_done(&b);
}

/* Two attempts of 400 ms in 600 ms: the second one has what is left, and not a moment more. */
static void the_deadline_is_shared_by_all_attempts(void **state)
{
    struct bench b;

    bench_init(&b, 3);
    b.conf.timeouts.attempt_ns = 400 * MS;
    b.conf.retry.on |= BIT(NR_RETRY_ON_TIMEOUT);
    script(&b, 0, (struct fake_script){.does = FAKE_HANGS});
    script(&b, 1, (struct fake_script){.does = FAKE_HANGS});
    call(&b, "GET", no_body, 600);
    assert_string_equal(b.events, "E");
    assert_int_equal(b.reason, NR_REASON_DEADLINE);
    assert_in_range(b.end_ns, 600 * MS, 602 * MS);
    assert_int_equal(b.record.attempt_count, 2);
    assert_int_equal(b.record.attempts[1].result, NR_ATTEMPT_TIMEOUT);
    assert_true(b.record.flags & NR_RECORD_RETRY_NO_TIME);
    bench_done(&b);
}

static void a_failure_just_before_the_deadline_is_not_repeated(void **state)
{
    struct bench b;

    bench_init(&b, 3);
    script(&b, 0,
           (struct fake_script){.does = FAKE_FAILS, .after_ms = 50, .end = NR_END_PEER_RESET});
    call(&b, "GET", no_body, 50);
    assert_string_equal(b.events, "E");
    assert_int_equal(b.world.open_count, 1);
    assert_true(b.record.flags & NR_RECORD_RETRY_NO_TIME);
    bench_done(&b);
}

static void the_deadline_holds_for_the_answers_body_too(void **state)
{
    struct bench b;

    bench_init(&b, 3);
    b.conf.timeouts.attempt_ns = 100 * MS;
    script(&b, 0, answers_200);
    b.hold_answer = true; /* the owner's client is slow */
    call(&b, "GET", no_body, 300);
    assert_string_equal(b.events, "hbE");
    assert_int_equal(b.end, NR_END_RESET);
    assert_int_equal(b.reason, NR_REASON_DEADLINE);
    assert_int_equal(b.record.attempts[0].result, NR_ATTEMPT_ANSWERED);
    assert_in_range(b.end_ns, 300 * MS, 302 * MS);
    bench_done(&b);
}

static void the_first_byte_is_due_after_the_request(void **state)
{
    struct bench b;

    bench_init(&b, 3);
    b.conf.timeouts.attempt_ns = 1000 * MS;
    b.conf.timeouts.first_byte_ns = 50 * MS;
    script(&b, 0, (struct fake_script){.does = FAKE_HANGS, .step_bytes = 1});
    call(&b, "POST", NR_SPAN("01234567890123456789"), 6000); /* takes 20 ms to send */
    assert_int_equal(b.reason, NR_REASON_ATTEMPT_TIMEOUT);
    assert_in_range(b.end_ns, 69 * MS, 75 * MS);
    bench_done(&b);

    /* A 103 is a first byte; the attempt's own time still holds. */
    bench_init(&b, 3);
    b.conf.timeouts.attempt_ns = 1000 * MS;
    b.conf.timeouts.first_byte_ns = 50 * MS;
    script(&b, 0, answers_200);
    b.world.scripts[0].interim = true;
    b.world.scripts[0].after_ms = 80;
    call(&b, "GET", no_body, 6000);
    assert_string_equal(b.events, "ihbE");
    bench_done(&b);
}

static void a_tunnel_outlives_deadline_and_attempt(void **state)
{
    struct bench b;

    bench_init(&b, 3);
    b.conf.timeouts.attempt_ns = 100 * MS;
    script(&b, 0, (struct fake_script){.does = FAKE_TUNNELS, .after_ms = 5});
    b.reset_at_ms = 60000;
    call(&b, "GET", no_body, 300);
    assert_string_equal(b.events, "hE");
    assert_int_equal(b.status, 101);
    assert_in_range(b.end_ns, 60000 * MS, 60002 * MS);
    assert_true(b.record.flags & NR_RECORD_TUNNEL);
    bench_done(&b);
}

/* ---- the owner leaves ---- */

static void when_the_owner_leaves_the_upstream_is_cancelled(void **state)
{
    static const struct {
        struct fake_script script;
        const char *events;
    } cases[] = {
        {{.does = FAKE_HANGS, .connect_ms = 100}, "E"}, /* still connecting */
        {{.does = FAKE_HANGS}, "E"},                    /* before the head */
        {{.does = FAKE_FAILS, .after_ms = 40, .end = NR_END_PEER_RESET}, "E"},
    };

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        struct nr_instance_view view;
        struct bench b;

        bench_init(&b, 3);
        script(&b, 0, cases[i].script);
        b.reset_at_ms = 20;
        call(&b, "GET", no_body, 6000);
        assert_string_equal(b.events, cases[i].events);
        assert_true(b.world.opens[0].reset);
        assert_int_equal(b.world.open_count, 1);
        assert_int_equal(b.end, NR_END_RESET);
        assert_int_equal(b.reason, NR_REASON_CLIENT_CLOSED);
        assert_int_equal(b.record.attempts[0].result, NR_ATTEMPT_CANCELED);
        assert_in_range(b.end_ns, 20 * MS, 22 * MS);
        nr_service_instance(b.service, 0, &view);
        assert_int_equal(view.failures, 0); /* no fault of the instance */
        bench_done(&b);
    }
}

static void reset_at_once_still_ends_once(void **state)
{
    struct bench b;

    bench_init(&b, 1);
    script(&b, 0, answers_200);
    open_call(&b, "GET", no_body, 6000);
    nr_exchange_reset(b.call);
    assert_int_equal(b.event_count, 0);
    run(&b);
    assert_string_equal(b.events, "E");
    bench_done(&b);

    bench_init(&b, 0); /* and when it had failed at once */
    open_call(&b, "GET", no_body, 6000);
    nr_exchange_reset(b.call);
    run(&b);
    assert_string_equal(b.events, "E");
    assert_int_equal(b.reason, NR_REASON_NO_INSTANCE);
    bench_done(&b);
}

/* ---- the body, twice ---- */

static struct nr_span some_bytes(size_t len)
{
    char *bytes = malloc(len + 1);

    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)('a' + i * 7 % 26 + i / 1000 % 5);
    return (struct nr_span){bytes, len};
}

/* Sizes around every border, steps that leave the first attempt anywhere, and a second one that
 * takes them in other steps. The second instance sees exactly what the owner sent. */
static void the_second_attempt_sees_every_byte(void **state)
{
    static const size_t sizes[] = {0, 1, 100, 16000, 16384, 20000, 65535, 65536};
    static const struct {
        size_t first_step, second_step;
        bool chunked, trailers;
    } ways[] = {
        {0, 0, false, false},      {700, 0, false, false},   {0, 700, false, false},
        {20000, 999, true, false}, {999, 20000, true, true}, {0, 0, true, true},
    };

    for (size_t s = 0; s < NR_COUNT(sizes); s++) {
        for (size_t w = 0; w < NR_COUNT(ways); w++) {
            struct nr_span body = some_bytes(sizes[s]);
            struct bench b;

            bench_init(&b, 3);
            b.trailers = ways[w].trailers;
            script(&b, 0,
                   (struct fake_script){.does = FAKE_FAILS,
                                        .after_ms = 20,
                                        .end = NR_END_PEER_RESET,
                                        .step_bytes = ways[w].first_step});
            script(&b, 1, answers_200);
            b.world.scripts[1].connect_ms = 2;
            b.world.scripts[1].step_bytes = ways[w].second_step;
            b.chunked = ways[w].chunked;
            b.pushes = w % 2 == 1;
            call(&b, "PUT", body, 600000);
            assert_int_equal(b.status, 200);
            assert_int_equal(b.world.opens[1].body_bytes, body.len);
            assert_memory_equal(b.world.opens[1].body, body.ptr, body.len);
            assert_true(b.world.opens[1].ended);
            assert_int_equal(b.world.opens[1].trailers, ways[w].trailers);
            assert_int_equal(b.record.flags, 0);
            bench_done(&b);
            free((void *)(uintptr_t)body.ptr);
        }
    }
}

static void a_body_over_64_kib_is_not_kept(void **state)
{
    struct nr_span body = some_bytes(65537);
    struct bench b;

    for (int chunked = 0; chunked < 2; chunked++) {
        bench_init(&b, 3);
        script(
            &b, 0,
            (struct fake_script){
                .does = FAKE_FAILS, .after_ms = 40, .end = NR_END_PEER_RESET, .step_bytes = 4000});
        b.chunked = chunked;
        call(&b, "PUT", body, 6000);
        assert_int_equal(b.reason, NR_REASON_UPSTREAM_RESET);
        assert_int_equal(b.record.flags, NR_RECORD_RETRY_NO_BODY);
        assert_int_equal(b.world.opens[0].body_bytes, 65537);
        bench_done(&b);
    }

    /* Refused before a byte went out: nothing is lost, however large it is. */
    bench_init(&b, 3);
    script(
        &b, 0,
        (struct fake_script){.does = FAKE_FAILS, .connect_ms = 5, .end = NR_END_CONNECT_REFUSED});
    script(&b, 1, answers_200);
    call(&b, "PUT", body, 6000);
    assert_int_equal(b.status, 200);
    assert_memory_equal(b.world.opens[1].body, body.ptr, body.len);
    bench_done(&b);
    free((void *)(uintptr_t)body.ptr);
}

static void the_budget_of_all_calls_is_kept(void **state)
{
    struct nr_span body = some_bytes(40000);
    struct bench b;

    bench_init(&b, 3);
    b.budget.replay_bytes_max = 30000;
    script(&b, 0,
           (struct fake_script){.does = FAKE_FAILS, .after_ms = 20, .end = NR_END_PEER_RESET});
    call(&b, "PUT", body, 6000);
    assert_int_equal(b.record.flags, NR_RECORD_RETRY_NO_BODY);
    bench_done(&b);
    free((void *)(uintptr_t)body.ptr);
}

/* The first attempt has been given up and has not ended yet: what the client sends then waits, and
 * its sender is called when it may go on. Likewise while the second one is still connecting. */
static void bytes_that_come_between_two_attempts(void **state)
{
    static const uint64_t at_ms[] = {90, 105, 112, 125};

    for (size_t i = 0; i < NR_COUNT(at_ms); i++) {
        struct bench b;

        bench_init(&b, 3);
        b.conf.timeouts.attempt_ns = 100 * MS;
        b.conf.retry.on |= BIT(NR_RETRY_ON_TIMEOUT);
        b.chunked = true;
        b.later = NR_SPAN("the second half");
        b.push_at_ms = at_ms[i];
        script(&b, 0, (struct fake_script){.does = FAKE_HANGS, .linger_ms = 10});
        script(&b, 1, answers_200);
        b.world.scripts[1].connect_ms = 10;
        call(&b, "PUT", NR_SPAN("the first half, "), 6000);
        assert_int_equal(b.status, 200);
        assert_int_equal(b.world.opens[0].body_bytes, at_ms[i] == 90 ? 31 : 16);
        assert_int_equal(b.world.opens[1].body_bytes, 31);
        assert_memory_equal(b.world.opens[1].body, "the first half, the second half", 31);
        bench_done(&b);
    }
}

/* The answer has begun while the second attempt is still being given what the first had seen. */
static void an_early_answer_in_the_middle_of_a_replay(void **state)
{
    struct nr_span body = some_bytes(30000);
    struct bench b;

    bench_init(&b, 3);
    script(&b, 0,
           (struct fake_script){.does = FAKE_FAILS, .after_ms = 20, .end = NR_END_PEER_RESET});
    script(&b, 1,
           (struct fake_script){.does = FAKE_ANSWERS,
                                .early = true,
                                .after_ms = 3,
                                .status = 200,
                                .body = "early",
                                .step_bytes = 2000});
    call(&b, "PUT", body, 6000);
    assert_int_equal(b.end, NR_END_DONE);
    assert_int_equal(b.world.opens[1].body_bytes, body.len);
    assert_memory_equal(b.world.opens[1].body, body.ptr, body.len);
    bench_done(&b);
    free((void *)(uintptr_t)body.ptr);
}

/* ---- anything ---- */

static struct fake_script random_script(struct nr_random *random)
{
    static const enum nr_end ends[] = {NR_END_CONNECT_REFUSED, NR_END_CONNECT_TIMEOUT,
                                       NR_END_UNPROCESSED,     NR_END_PEER_CLOSED,
                                       NR_END_PEER_RESET,      NR_END_PROTOCOL};
    struct fake_script s = {
        .does = (enum fake_does)nr_random_below(random, 5),
        .connect_ms = nr_random_below(random, 3) * 4,
        .after_ms = nr_random_below(random, 60),
        .status = nr_random_below(random, 4) == 0 ? 503 : 200,
        .body = nr_random_below(random, 3) == 0 ? NULL : "0123456789",
        .end = ends[nr_random_below(random, NR_COUNT(ends))],
        .early = nr_random_below(random, 3) == 0,
        .reused = nr_random_below(random, 2) == 0,
        .interim = nr_random_below(random, 4) == 0,
        .step_bytes = nr_random_below(random, 3) == 0 ? 0 : 100 + nr_random_below(random, 2000),
    };

    return s;
}

/* Whatever upstream and owner do: one `end`, nothing after the deadline, nothing left over, and a
 * POST is seen at most by one instance that may have acted on it. */
static void any_schedule_keeps_the_promises(void **state)
{
    static const char *const methods[] = {"GET", "PUT", "POST"};
    struct nr_random random;

    nr_random_init(&random, 2026);
    for (int round = 0; round < 3000; round++) {
        const char *method = methods[nr_random_below(&random, 3)];
        uint64_t limit_ms = 1 + nr_random_below(&random, 100);
        bool with_body = strcmp(method, "GET") != 0;
        struct nr_span body = with_body ? some_bytes(nr_random_below(&random, 20000)) : no_body;
        bool tunnel, last_acted;
        struct bench b;

        bench_init(&b, 1 + (uint32_t)nr_random_below(&random, 3));
        b.conf.retry.attempts = 1 + (uint32_t)nr_random_below(&random, 3);
        if (nr_random_below(&random, 2) == 0)
            b.conf.retry.on |= BIT(NR_RETRY_ON_TIMEOUT);
        b.conf.timeouts.attempt_ns = nr_random_below(&random, 3) * 20 * MS;
        b.conf.timeouts.first_byte_ns = nr_random_below(&random, 3) * 10 * MS;
        b.budget.replay_bytes_max = nr_random_below(&random, 3) * 40000;
        b.chunked = nr_random_below(&random, 2) == 0;
        b.pushes = nr_random_below(&random, 2) == 0;
        b.trailers = b.chunked && nr_random_below(&random, 2) == 0;
        b.reset_at_ms = nr_random_below(&random, 2) == 0 ? 200 : 1 + nr_random_below(&random, 60);
        for (uint32_t i = 0; i < 4; i++)
            script(&b, i, random_script(&random));
        call(&b, method, body, limit_ms);
        tunnel = (b.record.flags & NR_RECORD_TUNNEL) != 0;
        assert_true(tunnel || b.end_ns <= (limit_ms + 2) * MS);
        assert_true(b.world.open_count <= b.conf.retry.attempts);
        for (uint32_t i = 0; i < b.world.open_count; i++) {
            const struct fake_script *s = &b.world.scripts[i];

            assert_memory_equal(b.world.opens[i].body, body.ptr, b.world.opens[i].body_bytes);
            last_acted = s->does != FAKE_FAILS || nr_end_may_have_processed(s->end);
            if (strcmp(method, "POST") == 0 && i + 1 < b.world.open_count &&
                b.world.opens[i].body_bytes > 0)
                assert_false(last_acted);
        }
        if (b.end == NR_END_DONE)
            assert_int_equal(b.reason, NR_REASON_NONE);
        bench_done(&b);
        free((void *)(uintptr_t)body.ptr);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_get),
        cmocka_unit_test(without_a_deadline_no_field_is_sent),
        cmocka_unit_test(interim_heads_pass_through),
        cmocka_unit_test(an_early_answer_lets_the_body_go_on),
        cmocka_unit_test(a_complete_answer_stands_whatever_follows),
        cmocka_unit_test(no_instance_and_none_up),
        cmocka_unit_test(a_deadline_that_has_passed_starts_nothing),
        cmocka_unit_test(failures_by_table),
        cmocka_unit_test(both_attempts_fail),
        cmocka_unit_test(with_one_instance_the_same_is_asked_again),
        cmocka_unit_test(attempts_1_means_no_retry),
        cmocka_unit_test(more_attempts_than_the_record_has_room_for),
        cmocka_unit_test(an_answer_that_breaks_off_is_not_repeated),
        cmocka_unit_test(the_attempt_has_its_time),
        cmocka_unit_test(a_timeout_is_repeated_where_it_is_listed),
        cmocka_unit_test(the_deadline_is_shared_by_all_attempts),
        cmocka_unit_test(a_failure_just_before_the_deadline_is_not_repeated),
        cmocka_unit_test(the_deadline_holds_for_the_answers_body_too),
        cmocka_unit_test(the_first_byte_is_due_after_the_request),
        cmocka_unit_test(a_tunnel_outlives_deadline_and_attempt),
        cmocka_unit_test(when_the_owner_leaves_the_upstream_is_cancelled),
        cmocka_unit_test(reset_at_once_still_ends_once),
        cmocka_unit_test(the_second_attempt_sees_every_byte),
        cmocka_unit_test(a_body_over_64_kib_is_not_kept),
        cmocka_unit_test(the_budget_of_all_calls_is_kept),
        cmocka_unit_test(bytes_that_come_between_two_attempts),
        cmocka_unit_test(an_early_answer_in_the_middle_of_a_replay),
        cmocka_unit_test(any_schedule_keeps_the_promises),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
