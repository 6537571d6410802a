/* SPDX-License-Identifier: Apache-2.0 */
/* The bulkhead in the chain: many calls on two workers, who share a service of scripted instances.
 * The bulkhead by itself: policy/test_bulkhead.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "call/call.h"
#define FAKE_OPENS_MAX 10240
#define FAKE_BODY_MAX  64
#include "fake_client.h"
#include "service/service_conf.h"

enum { CALLERS = 9300, WORKERS = 2 };

struct caller {
    struct hall *hall;
    struct nr_io *io;
    struct nr_arena arena;
    struct nr_head head;
    struct nr_record record;
    struct nr_exchange *call;
    struct nr_timer leaves;
    uint16_t status;
    enum nr_end end;
    enum nr_reason reason;
    uint64_t end_ns; /* since its start */
    bool over;
};

/* One service; two workers, each with its own connections. */
struct hall {
    struct nr_sim *sim;
    struct nr_io *io[WORKERS];
    struct fake_world world;
    struct nr_instance_conf instance;
    struct nr_service_bulkhead_conf bulkhead;
    struct nr_service_adaptive_conf adaptive;
    struct nr_service_conf conf;
    struct nr_service *service;
    struct nr_service_pools *pools[WORKERS];
    struct nr_call_budget budget;
    uint32_t in_flight_max;
    struct caller callers[CALLERS];
    uint32_t count;
};

static struct nr_service_view look(struct hall *h)
{
    struct nr_service_view view;

    nr_service_look(h->service, 0, &view);
    return view;
}

static void on_head(struct nr_exchange *x, struct nr_head *head, bool ended)
{
    struct caller *c = x->owner;
    uint64_t now = look(c->hall).in_flight;

    (void)ended;
    c->status = head->status;
    if (now > c->hall->in_flight_max)
        c->hall->in_flight_max = (uint32_t)now;
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
    (void)x;
}

static void on_end(struct nr_exchange *x, enum nr_end end)
{
    struct caller *c = x->owner;

    assert_false(c->over);
    c->over = true;
    c->end = end;
    c->reason = nr_call_reason(x);
    c->end_ns = nr_io_now_ns(c->io) - c->record.start_ns;
    nr_timer_disarm(c->io, &c->leaves);
    nr_arena_done(&c->arena);
}

static const struct nr_exchange_events events = {on_head, on_body, on_trailers, on_writable,
                                                 on_end};

static void leave(struct nr_op *op)
{
    struct caller *c = nr_container_of(op, struct caller, leaves.op);

    nr_exchange_reset(c->call);
}

static const struct nr_op_kind leave_kind = {leave, "test.leave"};

static struct hall *hall_new(uint32_t concurrent, uint32_t queue, uint64_t wait_ms)
{
    struct hall *h = calloc(1, sizeof(*h));

    fake = &h->world;
    h->world.first_port = 8000;
    h->world.scripts[0] =
        (struct fake_script){.does = FAKE_ANSWERS, .after_ms = 100, .status = 200, .body = "ok"};
    h->sim = nr_sim_new(&(struct nr_sim_conf){.seed = 1});
    h->instance.weight = 1;
    h->instance.address.kind = NR_CONFIG_ADDRESS_IP;
    h->instance.address.text = NR_SPAN("10.0.1.1:8000");
    h->bulkhead.policy = (struct nr_bulkhead_conf){
        .concurrent = concurrent, .queue = queue, .wait_ns = wait_ms * MS, .useful_ns = MS};
    h->conf = (struct nr_service_conf){.name = NR_SPAN("orders"),
                                       .instances = &h->instance,
                                       .instance_count = 1,
                                       .balance = {.algorithm = NR_BALANCE_P2C},
                                       .retry = {.attempts = 1},
                                       .bulkhead = &h->bulkhead};
    for (int i = 0; i < WORKERS; i++)
        h->io[i] = nr_sim_engine(h->sim, "10.0.0.1");
    return h;
}

static struct caller *enter(struct hall *h, uint32_t worker, uint64_t limit_ms)
{
    struct caller *c = &h->callers[h->count++];
    uint64_t now_ns = nr_io_now_ns(h->io[worker]);

    if (h->service == NULL) {
        assert_int_equal(nr_service_new(&h->conf, 7, &h->service, NULL), NR_OK);
        for (int i = 0; i < WORKERS; i++)
            h->pools[i] = nr_service_pools_new(h->service, h->io[i]);
    }
    c->hall = h;
    c->io = h->io[worker];
    nr_timer_init(&c->leaves, &leave_kind);
    nr_arena_init(&c->arena, NULL, 0);
    nr_head_init_request(&c->head, &c->arena, NR_SPAN("GET"), NR_SPAN("shop"), NR_SPAN("/a"));
    c->record = (struct nr_record){.start_ns = now_ns};
    c->call = nr_call_open(
        c->io, &(struct nr_call_conf){.pools = h->pools[worker],
                                      .head = &c->head,
                                      .arena = &c->arena,
                                      .deadline = nr_deadline_start(now_ns, limit_ms * MS),
                                      .record = &c->record,
                                      .budget = &h->budget,
                                      .events = &events,
                                      .owner = c,
                                      .ended = true});
    return c;
}

static void leaves_at(struct caller *c, uint64_t ms)
{
    nr_timer_arm(c->io, &c->leaves, nr_io_now_ns(c->io) + ms * MS);
}

static void run_ms(struct hall *h, uint64_t ms)
{
    nr_sim_run(h->sim, nr_sim_now_ns(h->sim) + ms * MS);
}

static void hall_done(struct hall *h)
{
    nr_sim_run(h->sim, UINT64_MAX);
    for (uint32_t i = 0; i < h->count; i++)
        assert_true(h->callers[i].over);
    assert_int_equal(look(h).in_flight, 0);
    assert_int_equal(look(h).queued, 0);
    fake_done();
    for (int i = 0; i < WORKERS; i++)
        nr_service_pools_free(h->pools[i]);
    nr_sim_run(h->sim, UINT64_MAX);
    nr_service_free(h->service);
    nr_sim_free(h->sim);
    free(h);
}

/* A permit that comes free on one worker goes to the head of the queue, whosever that is. */
static void the_queue_crosses_workers(void **state)
{
    struct hall *h = hall_new(1, 10, 5000);
    struct caller *first = enter(h, 0, 6000), *second = enter(h, 1, 6000);
    struct caller *third = enter(h, 0, 6000);

    assert_int_equal(look(h).in_flight, 1);
    assert_int_equal(look(h).queued, 2);
    run_ms(h, 1000);
    assert_int_equal(first->status, 200);
    assert_int_equal(second->status, 200);
    assert_int_equal(third->status, 200);
    assert_int_equal(first->record.queue_us, 0);
    assert_in_range(second->record.queue_us, 99000, 102000);
    assert_in_range(third->record.queue_us, 199000, 204000);
    assert_in_range(third->end_ns, 300 * MS, 306 * MS);
    hall_done(h);
}

static void refusals(void **state)
{
    struct hall *h = hall_new(1, 1, 50);
    struct caller *inside = enter(h, 0, 6000), *waits = enter(h, 1, 6000);
    struct caller *full = enter(h, 0, 6000);

    run_ms(h, 1);
    assert_true(full->over);
    assert_int_equal(full->reason, NR_REASON_BULKHEAD_FULL);
    assert_int_equal(full->end, NR_END_UNPROCESSED);
    assert_int_equal(full->record.attempt_count, 0);
    run_ms(h, 60);
    assert_true(waits->over);
    assert_int_equal(waits->reason, NR_REASON_QUEUE_TIMEOUT);
    assert_in_range(waits->record.queue_us, 50000, 52000);
    assert_false(inside->over);
    run_ms(h, 100);
    assert_int_equal(inside->status, 200);
    assert_int_equal(look(h).refused[NR_PERMIT_FULL], 1);
    assert_int_equal(look(h).refused[NR_PERMIT_TIMEOUT], 1);
    hall_done(h);
}

/* Nothing that has no time left is held: 504 at the deadline, not a wait beyond it. */
static void a_wait_ends_with_the_deadline(void **state)
{
    struct hall *h = hall_new(1, 10, 5000);
    struct caller *inside = enter(h, 0, 6000), *waits = enter(h, 0, 40);

    run_ms(h, 45);
    assert_true(waits->over);
    assert_int_equal(waits->reason, NR_REASON_DEADLINE);
    assert_true(waits->end_ns <= 41 * MS);
    run_ms(h, 100);
    assert_int_equal(inside->status, 200);
    hall_done(h);
}

static void a_client_that_leaves_the_queue(void **state)
{
    struct hall *h = hall_new(1, 10, 5000);
    struct caller *inside = enter(h, 0, 6000), *waits = enter(h, 1, 6000);
    struct caller *behind = enter(h, 1, 6000);

    leaves_at(waits, 20);
    run_ms(h, 30);
    assert_true(waits->over);
    assert_int_equal(waits->reason, NR_REASON_CLIENT_CLOSED);
    assert_int_equal(waits->end, NR_END_RESET);
    assert_int_equal(look(h).queued, 1);
    run_ms(h, 300);
    assert_int_equal(inside->status, 200);
    assert_in_range(behind->record.queue_us, 99000, 102000);
    hall_done(h);
}

/* The race: the permit is granted by one worker at the moment at which its owner, on another,
 * leaves. Whatever comes first, the permit is neither lost nor granted twice. */
static void a_grant_and_a_leave_that_cross(void **state)
{
    for (uint64_t us = 99000; us < 102000; us += 20) {
        struct hall *h = hall_new(1, 10, 5000);
        struct caller *waits, *behind;

        enter(h, 0, 6000);
        waits = enter(h, 1, 6000);
        behind = enter(h, 0, 6000);
        nr_timer_arm(waits->io, &waits->leaves, us * 1000);
        run_ms(h, 1000);
        assert_true(waits->over);
        assert_int_equal(waits->reason, NR_REASON_CLIENT_CLOSED);
        assert_int_equal(behind->status, 200);
        assert_int_equal(h->world.open_count <= 3, true);
        hall_done(h);
    }
}

static void and_the_net_has_an_end(void **state)
{
    struct hall *h = hall_new(1, 1, 50);

    h->conf.bulkhead = NULL;
    h->world.scripts[0].after_ms = 10;
    for (uint32_t i = 0; i < 1024 + 8192 + 3; i++)
        enter(h, i % WORKERS, 6000);
    nr_sim_run(h->sim, UINT64_MAX);
    for (uint32_t i = 1024 + 8192; i < h->count; i++) {
        assert_int_equal(h->callers[i].reason, NR_REASON_OVERLOADED);
        assert_int_equal(h->callers[i].end_ns, 0);
    }
    assert_int_equal(look(h).refused[NR_PERMIT_FULL], 3);
    hall_done(h);
}

static void without_a_section_there_is_a_net(void **state)
{
    struct hall *h = hall_new(1, 1, 50);

    h->conf.bulkhead = NULL;
    h->world.scripts[0].after_ms = 10;
    for (uint32_t i = 0; i < 1500; i++)
        enter(h, i % WORKERS, 6000);
    assert_int_equal(look(h).in_flight, 1024);
    assert_int_equal(look(h).queued, 476);
    nr_sim_run(h->sim, UINT64_MAX);
    for (uint32_t i = 0; i < h->count; i++)
        assert_int_equal(h->callers[i].status, 200);
    hall_done(h);
}

static void observed_only(void **state)
{
    struct hall *h = hall_new(1, 0, 50);
    struct caller *first, *second;

    h->bulkhead.observe_only = true;
    first = enter(h, 0, 6000);
    second = enter(h, 1, 6000);
    run_ms(h, 200);
    assert_int_equal(first->record.flags, 0);
    assert_int_equal(second->record.flags, NR_RECORD_WOULD_QUEUE);
    assert_int_equal(second->status, 200);
    hall_done(h);
}

/* Twice what the service bears, for two seconds: never more than `concurrent`, most are either
 * served soon or refused, and nobody waits longer than he may. */
static void overload(void **state)
{
    struct hall *h = hall_new(10, 100, 500);
    uint32_t served = 0, shed = 0;

    h->bulkhead.policy.codel_target_ns = 5 * MS;
    h->bulkhead.policy.codel_interval_ns = 100 * MS;
    for (uint32_t i = 0; i < 400; i++) {
        enter(h, i % WORKERS, 6000);
        run_ms(h, 5);
    }
    nr_sim_run(h->sim, UINT64_MAX);
    for (uint32_t i = 0; i < h->count; i++) {
        served += h->callers[i].status == 200;
        shed += h->callers[i].reason == NR_REASON_QUEUE_SHED;
        assert_true(h->callers[i].record.queue_us <= 502000);
    }
    assert_true(h->in_flight_max <= 10);
    assert_in_range(served, 190, 260); /* all that the service bears */
    assert_true(shed > 0);
    hall_done(h);
}

/* The limit is learnt: a service that becomes slow under load gets fewer calls. */
static void adaptive(void **state)
{
    struct hall *h = hall_new(30, 1000, 5000);
    uint64_t calm;

    h->adaptive =
        (struct nr_service_adaptive_conf){.enabled = true, .start = 20, .min = 5, .max = 100};
    h->bulkhead.adaptive = &h->adaptive;
    h->world.scripts[0].after_ms = 10;
    for (uint32_t i = 0; i < 1000; i++) {
        enter(h, i % WORKERS, 6000);
        if (i % 30 == 29)
            run_ms(h, 15);
    }
    calm = look(h).limit;
    assert_true(calm > 20);
    h->world.scripts[0].after_ms = 200;
    for (uint32_t i = 0; i < 900; i++) {
        enter(h, i % WORKERS, 6000);
        if (i % 30 == 29)
            run_ms(h, 100);
    }
    assert_true(look(h).limit < calm);
    assert_true(look(h).limit >= 5);
    hall_done(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_queue_crosses_workers),
        cmocka_unit_test(refusals),
        cmocka_unit_test(a_wait_ends_with_the_deadline),
        cmocka_unit_test(a_client_that_leaves_the_queue),
        cmocka_unit_test(a_grant_and_a_leave_that_cross),
        cmocka_unit_test(without_a_section_there_is_a_net),
        cmocka_unit_test(and_the_net_has_an_end),
        cmocka_unit_test(observed_only),
        cmocka_unit_test(overload),
        cmocka_unit_test(adaptive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
