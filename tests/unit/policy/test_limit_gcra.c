/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../property.h"
#include "limit_rows.h"
#include "limit_schedule.h"

/* redis-cell, src/cell/mod.rs, it_rate_limits: burst 5, one per second, all fifteen rows. */
static void redis_cell(void **state)
{
    static const struct nr_limit_conf conf = {
        .algorithm = NR_LIMIT_GCRA, .limit = 1, .period_ns = S, .burst = 5};
    static const struct limit_row rows[] = {
        /* clang-format off */
        {"more than can ever be",     0, 6, NO,  5,    0, NEVER},
        {"five at once: first",       0, 1, YES, 4, 1000, 0},
        {"second",                    0, 1, YES, 3, 2000, 0},
        {"third",                     0, 1, YES, 2, 3000, 0},
        {"fourth",                    0, 1, YES, 1, 4000, 0},
        {"fifth",                     0, 1, YES, 0, 5000, 0},
        {"the sixth must wait 1 s",   0, 1, NO,  0, 5000, 1000},
        {"after 3 s",              3000, 1, YES, 2, 3000, 0},
        {"100 ms on",              3100, 1, YES, 1, 3900, 0},
        {"900 ms on",              4000, 1, YES, 1, 4000, 0},
        {"4 s on",                 8000, 1, YES, 4, 1000, 0},
        {"1.5 s on: all is back",  9500, 1, YES, 4, 1000, 0},
        {"0 asks only",            9500, 0, YES, 4, 1000, 0},
        {"two at once",            9500, 2, YES, 2, 3000, 0},
        {"five are too many now",  9500, 5, NO,  2, 3000, 3000},
        /* clang-format on */
    };

    LIMIT_ROWS_HOLD(&conf, rows);
}

/* redis_rate (go-redis), rate_test.go, PerSecond(10). There 1,000 at once are told to come back in
 * 99 s, when they would be refused again; here they are told never. */
static void redis_rate(void **state)
{
    static const struct nr_limit_conf conf = {
        .algorithm = NR_LIMIT_GCRA, .limit = 10, .period_ns = S, .burst = 10};
    static const struct limit_row rows[] = {
        /* clang-format off */
        {"one",                  0,    1, YES, 9,  100, 0},
        {"two more",             0,    2, YES, 7,  300, 0},
        {"the other seven",      0,    7, YES, 0, 1000, 0},
        {"1 ms later, 999 left", 1,    0, YES, 0,  999, 0},
        {"a thousand",           1, 1000, NO,  0,  999, NEVER},
        /* clang-format on */
    };

    LIMIT_ROWS_HOLD(&conf, rows);
}

/* The interval is rounded up to whole nanoseconds, the burst is not rounded away. */
static void a_rate_that_does_not_divide(void **state)
{
    static const struct nr_limit_conf conf = {
        .algorithm = NR_LIMIT_GCRA, .limit = 3, .period_ns = S, .burst = 3};
    union nr_limit_state s = {0};
    struct nr_limit_verdict v;

    for (int i = 0; i < 3; i++)
        assert_true(nr_limit_take(&s, &conf, S, 1, &v));
    assert_int_equal(v.remaining, 0);
    assert_int_equal(v.reset_ns, S + 2);
    assert_false(nr_limit_take(&s, &conf, S, 1, &v));
    assert_int_equal(v.retry_ns, 333333334);
}

/* A tier is another configuration: who moves from 100 to 1,000 keeps what is owed. */
static void a_change_of_tier(void **state)
{
    static const struct nr_limit_conf free_tier = {
        .algorithm = NR_LIMIT_GCRA, .limit = 100, .period_ns = 60 * S, .burst = 100};
    static const struct nr_limit_conf paid_tier = {
        .algorithm = NR_LIMIT_GCRA, .limit = 1000, .period_ns = 60 * S, .burst = 1000};
    union nr_limit_state s = {0};
    struct nr_limit_verdict v;

    nr_limit_take(&s, &free_tier, 0, 50, &v); /* half a minute's worth */
    nr_limit_check(&s, &paid_tier, 0, 0, &v);
    assert_int_equal(v.limit, 1000);
    assert_int_equal(v.remaining, 500); /* as time: half a minute is 500 of the new rate */
    nr_limit_take(&s, &paid_tier, 0, 500, &v);
    assert_int_equal(v.remaining, 0);
    nr_limit_check(&s, &free_tier, 0, 1, &v);
    assert_false(v.allowed);
}

static void any_schedule(void **state)
{
    limit_holds_in_any_schedule(NR_LIMIT_GCRA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(redis_cell),
        cmocka_unit_test(redis_rate),
        cmocka_unit_test(a_rate_that_does_not_divide),
        cmocka_unit_test(a_change_of_tier),
        property_test(any_schedule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
