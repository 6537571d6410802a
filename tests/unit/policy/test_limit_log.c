/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../property.h"
#include "limit_rows.h"
#include "limit_schedule.h"

/* 100 a minute, checked with a stop-watch. */
static void exactly_a_hundred_in_any_minute(void **state)
{
    static const struct nr_limit_conf conf = {
        .algorithm = NR_LIMIT_SLIDING_LOG, .limit = 100, .period_ns = 60 * S, .log_units = 100};
    static const struct limit_row rows[] = {
        /* clang-format off */
        {"forty",                          0,  40, YES, 60, 60000, 0},
        {"sixty half a minute on",     30000,  60, YES,  0, 60000, 0},
        {"no more",                    30000,   1, NO,   0, 60000, 30000},
        {"to the last moment",         59999,   1, NO,   0, 30001, 1},
        {"the first forty have gone",  60000,  40, YES,  0, 60000, 0},
        {"no turn at which all begins anew", 60000, 1, NO, 0, 60000, 30000},
        {"61 need the next forty too", 60000,  61, NO,   0, 60000, 60000},
        {"101 can never be",           60000, 101, NO,   0, 60000, NEVER},
        {"the sixty have gone",        90000,   0, YES, 60, 30000, 0},
        {"all has gone",              120000,   0, YES, 100,    0, 0},
        /* clang-format on */
    };

    LIMIT_ROWS_HOLD(&conf, rows);
}

/* A ring smaller than the limit: the limit is the ring's. Larger, and shared by tiers: the tier's.
 */
static void the_ring_and_the_tiers(void **state)
{
    struct nr_limit_conf small = {
        .algorithm = NR_LIMIT_SLIDING_LOG, .limit = 10, .period_ns = S, .log_units = 4};
    struct nr_limit_conf lower = {
        .algorithm = NR_LIMIT_SLIDING_LOG, .limit = 2, .period_ns = S, .log_units = 4};
    struct limit_room room = {0};
    struct nr_limit_verdict v;

    assert_false(nr_limit_conf_ok(&small));
    assert_int_equal(nr_limit_state_bytes(&small), 16 + 4 * 8);
    assert_true(nr_limit_take(&room.state, &small, 1, 4, &v));
    assert_int_equal(v.limit, 4);
    assert_false(nr_limit_take(&room.state, &small, 1, 1, &v));
    assert_false(nr_limit_take(&room.state, &lower, S, 1, &v)); /* more in the log than allowed */
    assert_int_equal(v.remaining, 0);
    assert_int_equal(v.retry_ns, 1);
    assert_true(nr_limit_take(&room.state, &lower, S + 1, 2, &v));
    assert_int_equal(room.stamps[LIMIT_UNITS - 1], 0);
}

/* The log against the simplest thing that is right: all admissions kept and counted. */
static void as_counted_by_hand(void **state)
{
    static const struct nr_limit_conf conf = {
        .algorithm = NR_LIMIT_SLIDING_LOG, .limit = 5, .period_ns = 100, .log_units = 5};

    PROPERTY_FOR_ANY (seed) {
        struct nr_random random;
        struct limit_room room = {0};
        uint64_t used_at[60];
        uint32_t used = 0;
        uint64_t now_ns = 1000;

        nr_random_init(&random, seed);
        for (int i = 0; i < 60; i++) {
            struct nr_limit_verdict v;
            uint32_t alive = 0;

            now_ns += nr_random_below(&random, 40);
            for (uint32_t u = 0; u < used; u++)
                alive += used_at[u] + conf.period_ns > now_ns;
            assert_int_equal(nr_limit_take(&room.state, &conf, now_ns, 1, &v), alive < 5);
            if (v.allowed)
                used_at[used++] = now_ns;
        }
    }
}

static void any_schedule(void **state)
{
    limit_holds_in_any_schedule(NR_LIMIT_SLIDING_LOG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exactly_a_hundred_in_any_minute),
        cmocka_unit_test(the_ring_and_the_tiers),
        property_test(as_counted_by_hand),
        property_test(any_schedule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
