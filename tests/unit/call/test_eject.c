/* SPDX-License-Identifier: Apache-2.0 */
/* Ejection in the chain: who is left out, and for how long. The policy by itself:
 * policy/test_eject.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "call_bench.h"

#define SECOND_NS (1000 * MS)

static const struct fake_script says_500 = {
    .does = FAKE_ANSWERS, .after_ms = 2, .status = 500, .body = "broken"};

struct eject_bench {
    struct bench b;
    struct nr_service_eject_conf conf;
    struct nr_health_checker *checker; /* runs the ticks */
    bool stopped;
    char news[256];
};

static void on_news(void *ctx, struct nr_service *service, bool bad, const char *text)
{
    struct eject_bench *e = ctx;

    (void)service;
    (void)bad;
    snprintf(e->news, sizeof(e->news), "%s", text);
}

static void init(struct eject_bench *e, uint32_t instances)
{
    *e = (struct eject_bench){0};
    bench_init(&e->b, instances);
    e->conf = (struct nr_service_eject_conf){.interval_ns = 10 * SECOND_NS,
                                             .policy = nr_eject_conf_default};
    e->conf.policy.jitter = 0;
    e->b.conf.eject = &e->conf;
    e->b.conf.retry.attempts = 1;
    e->b.world.first_port = 8000;
    for (uint32_t i = 0; i < instances; i++)
        script(&e->b, i, answers_200);
}

static void start(struct eject_bench *e)
{
    open_service(&e->b);
    nr_service_on_news(e->b.service, on_news, e);
    e->checker = nr_health_start(e->b.service, e->b.io);
}

static void stopped(void *ctx)
{
    ((struct eject_bench *)ctx)->stopped = true;
}

static void done(struct eject_bench *e)
{
    nr_health_stop(e->checker, stopped, e);
    nr_sim_run(e->b.sim, UINT64_MAX);
    assert_true(e->stopped);
    bench_done(&e->b);
}

/* The checker's tick never ends, so only as far as the call goes. */
static uint16_t get(struct eject_bench *e)
{
    open_call(&e->b, "GET", no_body, 6000);
    while (e->b.call != NULL)
        assert_true(nr_sim_step(e->b.sim));
    return e->b.status;
}

static bool ejected(struct eject_bench *e, uint32_t instance)
{
    struct nr_instance_view view;

    nr_service_instance(e->b.service, instance, &view);
    assert_int_equal(view.takes, !view.ejected || e->conf.observe_only);
    return view.ejected;
}

static void five_in_a_row(void **state)
{
    struct nr_service_view view;
    struct eject_bench e;
    int failed = 0;

    init(&e, 3);
    start(&e);
    script(&e.b, 1, says_500);
    for (int i = 0; i < 60; i++)
        failed += get(&e) == 500;
    assert_int_equal(failed, 5);
    assert_true(ejected(&e, 1));
    assert_non_null(strstr(e.news, "10.0.1.2:8001 is ejected: 5xx in a row"));

    /* It comes back at the first tick after 30 s, and goes again for twice as long. */
    nr_sim_run(e.b.sim, nr_sim_now_ns(e.b.sim) + 41 * SECOND_NS);
    assert_false(ejected(&e, 1));
    assert_non_null(strstr(e.news, "let back"));
    for (int i = 0; i < 60; i++)
        failed += get(&e) == 500;
    assert_int_equal(failed, 10);
    nr_sim_run(e.b.sim, nr_sim_now_ns(e.b.sim) + 41 * SECOND_NS);
    assert_true(ejected(&e, 1));
    nr_service_look(e.b.service, 0, &view);
    assert_int_equal(view.ejections, 2);
    done(&e);
}

/* Everything fails: one may go, the others must bear it. With one instance, nobody goes. */
static void never_the_last(void **state)
{
    struct eject_bench e;

    init(&e, 2);
    start(&e);
    script(&e.b, 0, says_500);
    script(&e.b, 1, says_500);
    for (int i = 0; i < 40; i++)
        assert_int_equal(get(&e), 500);
    assert_true(ejected(&e, 0) != ejected(&e, 1));
    done(&e);

    init(&e, 1);
    start(&e);
    script(&e.b, 0, says_500);
    for (int i = 0; i < 40; i++)
        assert_int_equal(get(&e), 500);
    assert_false(ejected(&e, 0));
    done(&e);
}

/* A good answer begins the row anew, and so a 404 does. */
static void rows_are_broken(void **state)
{
    struct eject_bench e;

    init(&e, 3);
    start(&e);
    for (int i = 0; i < 60; i++) {
        script(&e.b, 1, says_500);
        if (i % 12 > 8)
            e.b.world.scripts[1].status = 404;
        get(&e);
    }
    assert_false(ejected(&e, 1));
    done(&e);
}

static void observed_only(void **state)
{
    struct eject_bench e;
    int marked = 0, failed = 0;

    init(&e, 3);
    e.conf.observe_only = true;
    start(&e);
    script(&e.b, 1, says_500);
    for (int i = 0; i < 60; i++) {
        failed += get(&e) == 500;
        marked += (e.b.record.flags & NR_RECORD_WOULD_EJECT) != 0;
    }
    assert_int_equal(failed, 20);
    assert_int_equal(marked, 15);
    assert_true(ejected(&e, 1));
    done(&e);
}

/* Who is slower than the others goes at the end of an interval. */
static void a_slow_one(void **state)
{
    struct eject_bench e;

    init(&e, 3);
    e.conf.policy.hosts_min = 3;
    e.conf.policy.calls_min = 10;
    start(&e);
    script(&e.b, 2, answers_200);
    e.b.world.scripts[2].after_ms = 400;
    for (int i = 0; i < 36; i++)
        get(&e);
    assert_false(ejected(&e, 2));
    nr_sim_run(e.b.sim, 11 * SECOND_NS);
    assert_true(ejected(&e, 2));
    assert_non_null(strstr(e.news, "slower than the others"));
    done(&e);
}

static void a_successor_knows(void **state)
{
    struct nr_instance_view view;
    struct nr_service *next;
    struct eject_bench e;

    init(&e, 3);
    start(&e);
    script(&e.b, 1, says_500);
    for (int i = 0; i < 30; i++)
        get(&e);
    assert_true(ejected(&e, 1));
    assert_int_equal(nr_service_new(&e.b.conf, 7, &next, NULL), NR_OK);
    nr_service_inherit(next, e.b.service);
    nr_service_instance(next, 1, &view);
    assert_true(view.ejected);
    assert_false(view.takes);
    nr_service_free(next);
    done(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_in_a_row),   cmocka_unit_test(never_the_last),
        cmocka_unit_test(rows_are_broken), cmocka_unit_test(observed_only),
        cmocka_unit_test(a_slow_one),      cmocka_unit_test(a_successor_knows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
