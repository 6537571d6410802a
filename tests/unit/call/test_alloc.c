/* SPDX-License-Identifier: Apache-2.0 */
/* A call through the whole chain allocates nothing: three levels of limits, bulkhead, breaker,
 * balancer, ejection, retry budget, deadline and record, with everything that can happen to it on a
 * steady day: it passes, waits for a permit, is repeated, times out, is refused, loses its client.
 *
 * The linker leads the allocator's functions through those of this file (--wrap in meson.build);
 * the fake client's own do not count. The whole gateway: integration/alloc. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- counting */

static volatile uint64_t allocations; /* compilers know that malloc changes no variable */

void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);
void *__real_aligned_alloc(size_t align, size_t bytes);
void *__wrap_aligned_alloc(size_t align, size_t bytes);
char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t bytes)
{
    allocations++;
    return __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    allocations++;
    return __real_calloc(count, bytes);
}

void *__wrap_realloc(void *memory, size_t bytes)
{
    allocations++;
    return __real_realloc(memory, bytes);
}

void *__wrap_aligned_alloc(size_t align, size_t bytes)
{
    allocations++;
    return __real_aligned_alloc(align, bytes);
}

char *__wrap_strdup(const char *text)
{
    allocations++;
    return __real_strdup(text);
}

#define malloc         __real_malloc
#define calloc         __real_calloc
#define FAKE_OPENS_MAX 64
#define FAKE_BODY_MAX  4096
#include "fake_client.h"
#undef malloc
#undef calloc

#include "base/compiler.h"
#include "call/call.h"
#include "policy/limit_table.h"
#include "service/service_conf.h"

#define S      (1000 * MS)
#define BIT(n) ((uint64_t)1 << (n))

enum { INSTANCES = 3, CALLERS = 4, WARM_UP = 200, CALLS = 2000, LEVELS = 3, KEYS = 1000 };

struct caller {
    struct hall *hall;
    _Alignas(8) char memory[32 * 1024]; /* the gateway gives a call memory that it uses again */
    struct nr_arena arena;
    struct nr_head head;
    struct nr_record record;
    struct nr_exchange *call; /* NULL: at rest */
    struct nr_timer leaves;
    struct nr_span body;
    uint32_t calls;
};

struct hall {
    struct nr_sim *sim;
    struct nr_io *io;
    struct fake_world world;
    struct nr_instance_conf instances[INSTANCES];
    char addresses[INSTANCES][24];
    struct nr_service_breaker_conf breaker;
    struct nr_service_bulkhead_conf bulkhead;
    struct nr_service_eject_conf eject;
    struct nr_service_conf conf;
    struct nr_service *service;
    struct nr_service_pools *pools;
    struct nr_call_budget budget;
    struct nr_limit_table limits[LEVELS];
    void *memory[LEVELS];
    struct caller callers[CALLERS];
    const char *method;
    uint64_t limit_ms;
    uint64_t leave_ms; /* 0: nobody leaves */
    uint32_t answered, refused, repeats, waited, failed, limited;
};

static const struct nr_limit_conf levels[LEVELS] = {
    {.algorithm = NR_LIMIT_FIXED_WINDOW, .limit = 1000000, .period_ns = 60 * S},
    {.algorithm = NR_LIMIT_SLIDING_WINDOW, .limit = 10000, .period_ns = 60 * S},
    {.algorithm = NR_LIMIT_GCRA, .limit = 300, .burst = 20, .period_ns = S},
};

/* ---- a caller, again and again */

static void send_on(struct caller *c)
{
    size_t taken;

    if (c->body.ptr == NULL)
        return;
    taken = nr_exchange_send_body(c->call, c->body, true);
    c->body = nr_span_from(c->body, taken);
    if (c->body.len == 0)
        c->body.ptr = NULL;
}

static void on_head(struct nr_exchange *x, struct nr_head *head, bool ended)
{
    struct caller *c = x->owner;

    (void)ended;
    c->hall->answered += head->status == 200;
}

static void on_body(struct nr_exchange *x, bool ended)
{
    (void)ended;
    nr_exchange_consume(x, nr_exchange_pending(x).len);
}

static void on_trailers(struct nr_exchange *x, struct nr_head *trailers)
{
    (void)x;
    (void)trailers;
}

static void on_writable(struct nr_exchange *x)
{
    send_on(x->owner);
}

static void on_end(struct nr_exchange *x, enum nr_end end)
{
    struct caller *c = x->owner;
    enum nr_reason reason = nr_call_reason(x);

    (void)end;
    c->hall->repeats += c->record.attempt_count > 1;
    c->hall->waited += c->record.queue_us > 0;
    c->hall->refused += c->record.attempt_count == 0;
    c->hall->failed += reason != NR_REASON_NONE && c->record.attempt_count > 0;
    nr_timer_disarm(c->hall->io, &c->leaves);
    nr_arena_reset(&c->arena);
    c->call = NULL;
}

static const struct nr_exchange_events events = {on_head, on_body, on_trailers, on_writable,
                                                 on_end};

static void on_leave(struct nr_op *op)
{
    nr_exchange_reset(nr_container_of(op, struct caller, leaves.op)->call);
}

static bool may_pass(struct hall *h, uint32_t user, uint64_t now_ns)
{
    struct nr_limit_use uses[LEVELS], *all[LEVELS];
    size_t tightest;

    for (uint32_t i = 0; i < LEVELS; i++) {
        all[i] = &uses[i];
        uses[i] = (struct nr_limit_use){
            .table = &h->limits[i],
            .key = {i == 0 ? 1 : user * 0x9e3779b97f4a7c15u, user * 0xbf58476d1ce4e5b9u},
            .tiers = &levels[i],
            .tier_count = 1,
            .cost = 1};
        nr_limit_table_aim(&uses[i]);
    }
    return nr_limit_table_take_all(all, LEVELS, now_ns, &tightest);
}

static void call(struct caller *c)
{
    struct hall *h = c->hall;
    uint64_t now_ns = nr_io_now_ns(h->io);
    struct nr_span body = {NULL, 0};

    if (!may_pass(h, c->calls++ % 50 == 0 ? c->calls : 7, now_ns)) {
        h->limited++;
        return;
    }
    nr_head_init_request(&c->head, &c->arena, nr_span_of(h->method), NR_SPAN("shop"),
                         NR_SPAN("/orders/17"));
    nr_head_add(&c->head, &c->arena, NR_SPAN("Accept"), NR_SPAN("*/*"));
    if (h->method[0] == 'P') {
        body = NR_SPAN("an order of some length, kept until the answer is there");
        c->head.body_length = (int64_t)body.len;
    }
    c->record = (struct nr_record){.start_ns = now_ns, .route = c->calls % 3};
    c->call = nr_call_open(
        h->io, &(struct nr_call_conf){.pools = h->pools,
                                      .head = &c->head,
                                      .arena = &c->arena,
                                      .deadline = nr_deadline_start(now_ns, h->limit_ms * MS),
                                      .record = &c->record,
                                      .budget = &h->budget,
                                      .events = &events,
                                      .owner = c,
                                      .ended = body.ptr == NULL});
    c->body = body;
    send_on(c);
    if (h->leave_ms > 0)
        nr_timer_arm(h->io, &c->leaves, now_ns + h->leave_ms * MS);
}

static void calls(struct hall *h, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t c = 0; c < CALLERS; c++)
            if (h->callers[c].call == NULL)
                call(&h->callers[c]);
        nr_sim_run(h->sim, nr_sim_now_ns(h->sim) + 10 * MS);
    }
}

/* ---- the hall */

static void hall_init(struct hall *h, uint32_t scope)
{
    static const struct nr_op_kind leave_kind = {on_leave, "test.leave"};

    memset(h, 0, sizeof(*h));
    fake = &h->world;
    h->world.first_port = 8000;
    h->sim = nr_sim_new(&(struct nr_sim_conf){.seed = 1});
    h->io = nr_sim_engine(h->sim, "10.0.0.1");
    for (uint32_t i = 0; i < INSTANCES; i++) {
        snprintf(h->addresses[i], sizeof(h->addresses[i]), "10.0.1.%u:%u", i + 1, 8000 + i);
        h->instances[i].weight = 1;
        h->instances[i].address.kind = NR_CONFIG_ADDRESS_IP;
        h->instances[i].address.text = nr_span_of(h->addresses[i]);
        h->world.scripts[i] = (struct fake_script){
            .does = FAKE_ANSWERS, .after_ms = 5, .status = 200, .body = "hello"};
    }
    h->breaker =
        (struct nr_service_breaker_conf){.scope = scope, .policy = nr_breaker_conf_default};
    h->bulkhead = (struct nr_service_bulkhead_conf){.policy = nr_bulkhead_conf_default};
    h->bulkhead.policy.concurrent = 3;
    h->eject =
        (struct nr_service_eject_conf){.interval_ns = 10 * S, .policy = nr_eject_conf_default};
    h->conf = (struct nr_service_conf){
        .name = NR_SPAN("orders"),
        .instances = h->instances,
        .instance_count = INSTANCES,
        .balance = {.algorithm = NR_BALANCE_P2C},
        .retry = {.attempts = 3,
                  .on = BIT(NR_RETRY_ON_CONNECT) | BIT(NR_RETRY_ON_RESET) | BIT(NR_RETRY_ON_503),
                  .methods = BIT(NR_METHOD_GET) | BIT(NR_METHOD_PUT),
                  .backoff = {.policy = {5 * MS, 2, 50 * MS, NR_BACKOFF_FULL}},
                  .budget = {.policy = {1, 100}}},
        .timeouts = {.attempt_ns = 50 * MS},
        .breaker = &h->breaker,
        .bulkhead = &h->bulkhead,
        .eject = &h->eject,
    };
    h->method = "GET";
    h->limit_ms = 200;
    h->budget.replay_bytes_max = 1024 * 1024;
    for (uint32_t i = 0; i < LEVELS; i++) {
        size_t bytes = nr_limit_table_bytes(KEYS, 0);

        h->memory[i] = aligned_alloc(NR_CACHE_LINE_BYTES, (bytes + 63) / 64 * 64);
        memset(h->memory[i], 0, bytes);
        nr_limit_table_init(&h->limits[i], h->memory[i], bytes, 0);
    }
    for (uint32_t i = 0; i < CALLERS; i++) {
        h->callers[i].hall = h;
        nr_timer_init(&h->callers[i].leaves, &leave_kind);
        nr_arena_init(&h->callers[i].arena, h->callers[i].memory, sizeof(h->callers[i].memory));
    }
    allocations = 0;
    assert_int_equal(nr_service_new(&h->conf, 7, &h->service, NULL), NR_OK);
    assert_true(allocations > 0); /* the library's own are counted */
    h->pools = nr_service_pools_new(h->service, h->io);
}

static void hall_done(struct hall *h)
{
    nr_sim_run(h->sim, UINT64_MAX);
    fake_done();
    nr_service_pools_free(h->pools);
    nr_sim_run(h->sim, UINT64_MAX);
    nr_service_free(h->service);
    nr_sim_free(h->sim);
    for (uint32_t i = 0; i < CALLERS; i++)
        nr_arena_done(&h->callers[i].arena);
    for (uint32_t i = 0; i < LEVELS; i++)
        free(h->memory[i]);
}

/* The same day before and while it is counted. */
static void counts_nothing(struct hall *h)
{
    uint64_t before;

    calls(h, WARM_UP);
    h->answered = h->refused = h->repeats = h->waited = h->failed = h->limited = 0;
    before = allocations;
    calls(h, CALLS);
    print_message("# %u answered, %u waited, %u repeated, %u failed, %u refused, %u over a limit: "
                  "%llu allocations\n",
                  h->answered, h->waited, h->repeats, h->failed, h->refused, h->limited,
                  (unsigned long long)(allocations - before));
    assert_int_equal(allocations, before);
}

static struct hall hall;

static void a_good_day(void **state)
{
    for (uint32_t scope = NR_BREAKER_PER_INSTANCE; scope <= NR_BREAKER_PER_ROUTE; scope++) {
        hall_init(&hall, scope);
        counts_nothing(&hall);
        assert_true(hall.answered > 500 && hall.waited > 100 && hall.limited > 100);
        assert_int_equal(hall.failed, 0);
        hall_done(&hall);
    }
}

static void with_bodies(void **state)
{
    hall_init(&hall, NR_BREAKER_PER_INSTANCE);
    hall.method = "PUT";
    counts_nothing(&hall);
    assert_true(hall.answered > 500);
    hall_done(&hall);
}

/* One of three instances says 503 to all: who meets it is repeated elsewhere, its breaker opens,
 * probes and opens again. */
static void one_instance_is_ill(void **state)
{
    hall_init(&hall, NR_BREAKER_PER_INSTANCE);
    hall.conf.balance.algorithm = NR_BALANCE_ROUND_ROBIN;
    hall.eject.policy.consecutive_gateway = hall.eject.policy.consecutive_5xx = 0;
    hall.world.scripts[1].status = 503;
    hall.method = "PUT";
    hall.breaker.policy.open_ns = S;
    hall.breaker.policy.open_max_ns = S;
    counts_nothing(&hall);
    assert_true(hall.answered > 500 && hall.repeats > 10);
    hall_done(&hall);
}

static void all_hang_and_clients_leave(void **state)
{
    hall_init(&hall, NR_BREAKER_PER_SERVICE);
    hall.breaker.policy.open_ns = S;
    hall.breaker.policy.open_max_ns = S;
    for (uint32_t i = 0; i < INSTANCES; i++)
        hall.world.scripts[i].does = FAKE_HANGS;
    counts_nothing(&hall);
    assert_true(hall.failed > 10 && hall.refused > 100);
    hall.leave_ms = 20;
    hall.breaker.policy.failure_rate = 0;
    counts_nothing(&hall);
    hall_done(&hall);
}

/* What is not counted would be nothing, too. */
static void counting_counts(void **state)
{
    uint64_t before = allocations;
    void *volatile memory; /* or the compiler sees that nobody wants it */

    memory = strdup("a");
    free(memory);
    memory = aligned_alloc(64, 64);
    free(memory);
    memory = malloc(1);
    memory = realloc(memory, 2);
    free(memory);
    assert_int_equal(allocations - before, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counting_counts),
        cmocka_unit_test(a_good_day),
        cmocka_unit_test(with_bodies),
        cmocka_unit_test(one_instance_is_ill),
        cmocka_unit_test(all_hang_and_clients_leave),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
