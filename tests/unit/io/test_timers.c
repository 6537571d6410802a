/* SPDX-License-Identifier: Apache-2.0 */
/* The wheel against a model that cannot be wrong: an array that is searched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "io/timers.h"

enum { MODEL_TIMERS = 300 };

static const uint64_t ms_ns = NR_TIMERS_TICK_NS;

static void never(struct nr_op *op)
{
    (void)op;
    fail();
}

static const struct nr_op_kind kind = {never, "test.timer"};

struct model {
    struct nr_timers timers;
    struct nr_timer timer[MODEL_TIMERS];
    bool armed[MODEL_TIMERS];
    uint64_t order[MODEL_TIMERS]; /* of arming */
    uint64_t armings;
    uint64_t now_ns;
};

static bool due(uint64_t at_ns, uint64_t now_ns)
{
    uint64_t tick = at_ns / ms_ns + (at_ns % ms_ns != 0);

    return tick <= now_ns / ms_ns;
}

/* The one that must fire next at now_ns, or -1. */
static int model_next(const struct model *m)
{
    int best = -1;

    for (int i = 0; i < MODEL_TIMERS; i++) {
        if (!m->armed[i] || !due(m->timer[i].at_ns, m->now_ns))
            continue;
        if (best < 0 || m->timer[i].at_ns < m->timer[best].at_ns ||
            (m->timer[i].at_ns == m->timer[best].at_ns && m->order[i] < m->order[best]))
            best = i;
    }
    return best;
}

static void expire_and_compare(struct model *m)
{
    struct nr_link expired, *link;

    nr_link_init(&expired);
    nr_timers_expire(&m->timers, m->now_ns, &expired);
    while ((link = nr_list_pop_front(&expired)) != NULL) {
        int expected = model_next(m);

        assert_true(expected >= 0);
        assert_ptr_equal(link, &m->timer[expected].op.link);
        m->armed[expected] = false;
    }
    assert_int_equal(model_next(m), -1);
}

/* nr_timers_next_ns may be early, never late. */
static void check_next(const struct model *m)
{
    uint64_t next = nr_timers_next_ns(&m->timers);
    bool any = false;

    for (int i = 0; i < MODEL_TIMERS; i++) {
        if (!m->armed[i])
            continue;
        any = true;
        assert_true(next <= m->timer[i].at_ns + ms_ns);
    }
    assert_int_equal(next == UINT64_MAX, !any);
}

/* Distances of every level, many of them equal, so that order matters. */
static uint64_t draw_distance(struct nr_random *random)
{
    uint64_t bits = nr_random_below(random, 45);
    uint64_t distance = nr_random_below(random, (1ull << bits) + 1);

    return nr_random_below(random, 3) == 0 ? distance / ms_ns * ms_ns : distance;
}

static void random_step(struct model *m, struct nr_random *random)
{
    int i = (int)nr_random_below(random, MODEL_TIMERS);
    uint64_t next;

    switch (nr_random_below(random, 8)) {
    case 0:
        m->now_ns += draw_distance(random) >> nr_random_below(random, 30);
        expire_and_compare(m);
        break;
    case 1:
        next = nr_timers_next_ns(&m->timers);
        if (next != UINT64_MAX && next > m->now_ns)
            m->now_ns = next;
        expire_and_compare(m);
        break;
    case 2:
        if (m->armed[i])
            nr_timers_remove(&m->timers, &m->timer[i]);
        m->armed[i] = false;
        break;
    default:
        if (m->armed[i])
            nr_timers_remove(&m->timers, &m->timer[i]);
        m->timer[i].at_ns = m->now_ns + draw_distance(random);
        if (nr_random_below(random, 10) == 0)
            m->timer[i].at_ns = m->now_ns / 2; /* long past */
        m->armed[i] = true;
        m->order[i] = m->armings++;
        nr_timers_add(&m->timers, &m->timer[i]);
    }
    check_next(m);
}

static void agrees_with_the_model(void **state)
{
    struct model *m = calloc(1, sizeof(*m));

    assert_non_null(m);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct nr_random random;

        nr_random_init(&random, seed);
        *m = (struct model){.now_ns = nr_random_below(&random, 1ull << 50)};
        nr_timers_init(&m->timers, m->now_ns);
        for (int i = 0; i < MODEL_TIMERS; i++)
            nr_timer_init(&m->timer[i], &kind);
        for (int step = 0; step < 5000; step++)
            random_step(m, &random);
    }
    free(m);
}

/* A request's life: a deadline of seconds, taken back after less than a millisecond. */
static void a_hundred_thousand(void **state)
{
    enum { COUNT = 100 * 1000 };
    static const uint64_t second_ns = 1000 * 1000 * 1000;
    struct nr_timers *timers = malloc(sizeof(*timers));
    struct nr_timer *timer = calloc(COUNT, sizeof(*timer));
    struct nr_link expired;
    uint64_t last_ns = 0;
    int left = 0;

    assert_non_null(timers);
    assert_non_null(timer);
    nr_timers_init(timers, 0);
    nr_link_init(&expired);
    for (int i = 0; i < COUNT; i++) {
        nr_timer_init(&timer[i], &kind);
        timer[i].at_ns = 6 * second_ns + (uint64_t)(COUNT - i) * 7919;
        nr_timers_add(timers, &timer[i]);
    }
    for (int i = 0; i < COUNT; i++)
        if (i % 3 != 0)
            nr_timers_remove(timers, &timer[i]);
    nr_timers_expire(timers, 6 * second_ns, &expired);
    assert_true(nr_list_empty(&expired));
    nr_timers_expire(timers, 8 * second_ns, &expired);
    for (struct nr_link *link = expired.next; link != &expired; link = link->next, left++) {
        uint64_t at_ns = nr_container_of(link, struct nr_timer, op.link)->at_ns;

        assert_true(at_ns >= last_ns);
        last_ns = at_ns;
    }
    assert_int_equal(left, (COUNT + 2) / 3);
    assert_true(nr_timers_next_ns(timers) == UINT64_MAX);
    free(timer);
    free(timers);
}

static void never_early_and_at_most_a_millisecond_late(void **state)
{
    static const struct {
        const char *story;
        uint64_t at_ns, quiet_until_ns, fires_at_ns;
    } cases[] = {
        {"on the millisecond", 5000000, 4999999, 5000000},
        {"just behind one", 5000001, 5999999, 6000000},
        {"across a slot of level 1", 64000000, 63999999, 64000000},
        {"just behind that", 64000001, 64999999, 65000000},
        {"across level 2", 4096000000, 4095999999, 4096000000},
        {"an hour", 3600000000000, 3599999999999, 3600000000000},
    };
    struct nr_timers timers;
    struct nr_timer timer;
    struct nr_link expired;

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        nr_timers_init(&timers, 0);
        nr_link_init(&expired);
        nr_timer_init(&timer, &kind);
        timer.at_ns = cases[i].at_ns;
        nr_timers_add(&timers, &timer);
        nr_timers_expire(&timers, cases[i].quiet_until_ns, &expired);
        if (!nr_list_empty(&expired))
            fail_msg("early: %s", cases[i].story);
        nr_timers_expire(&timers, cases[i].fires_at_ns, &expired);
        if (nr_list_empty(&expired))
            fail_msg("late: %s", cases[i].story);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_model),
        cmocka_unit_test(a_hundred_thousand),
        cmocka_unit_test(never_early_and_at_most_a_millisecond_late),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
