/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../property.h"
#include "limit_rows.h"
#include "limit_schedule.h"

/* nginx-tests, limit_req.t: 2r/s burst=1 nodelay, three at once: 200, 200, 503; then again two
 * after the line is empty. */
static void nginx_nodelay(void **state)
{
    static const struct nr_limit_conf conf = {.algorithm = NR_LIMIT_LEAKY_BUCKET,
                                              .limit = 2,
                                              .period_ns = S,
                                              .burst = 1,
                                              .smooth_after = 1};
    static const struct limit_row rows[] = {
        /* clang-format off */
        {"first",                     0, 1, YES, 1,  500, 0},
        {"second, in line",           0, 1, YES, 0, 1000, 0},
        {"third: the line is full",   0, 1, NO,  0, 1000, 500},
        {"one place after 500 ms",  500, 1, YES, 0, 1000, 0},
        {"and only one",            500, 1, NO,  0, 1000, 500},
        {"three can never be",      900, 3, NO,  0,  600, NEVER},
        {"empty again",            2000, 2, YES, 0, 1000, 0},
        /* clang-format on */
    };

    LIMIT_ROWS_HOLD(&conf, rows);
}

/* nginx, limit_req burst= with delay= and without: who waits, and how long. */
static void who_waits(void **state)
{
    static const struct {
        const char *name;
        uint32_t smooth_after;
        int64_t wait_ms[6]; /* NEVER: refused */
    } cases[] = {
        /* clang-format off */
        {"burst=4: one by one",                 0, {0, 500, 1000, 1500, 2000, NEVER}},
        {"burst=4 delay=2: two pass at once",   2, {0,   0,    0,  500, 1000, NEVER}},
        {"burst=4 nodelay: nobody waits",       4, {0,   0,    0,    0,    0, NEVER}},
        {"more than the burst is nodelay too", 99, {0,   0,    0,    0,    0, NEVER}},
        /* clang-format on */
    };

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        struct nr_limit_conf conf = {.algorithm = NR_LIMIT_LEAKY_BUCKET,
                                     .limit = 2,
                                     .period_ns = S,
                                     .burst = 4,
                                     .smooth_after = cases[i].smooth_after};
        union nr_limit_state s = {0};
        struct nr_limit_verdict v;

        print_message("# %s\n", cases[i].name);
        for (size_t n = 0; n < 6; n++) {
            bool allowed = nr_limit_take(&s, &conf, 7 * S, 1, &v);

            assert_int_equal(allowed, cases[i].wait_ms[n] != NEVER);
            if (allowed)
                assert_int_equal(v.wait_ns, cases[i].wait_ms[n] * (int64_t)MS);
        }
    }
}

/* burst 0: nothing may stand in line, so requests are evenly spaced or refused. */
static void no_line(void **state)
{
    static const struct nr_limit_conf conf = {
        .algorithm = NR_LIMIT_LEAKY_BUCKET, .limit = 10, .period_ns = S};
    static const struct limit_row rows[] = {
        /* clang-format off */
        {"one",                   0, 1, YES, 0, 100, 0},
        {"no other for 100 ms",  99, 1, NO,  0,   1, 1},
        {"one",                 100, 1, YES, 0, 100, 0},
        {"a cost of two never", 300, 2, NO,  1,   0, NEVER},
        /* clang-format on */
    };

    LIMIT_ROWS_HOLD(&conf, rows);
}

/* Whatever comes in: with smooth_after 0 requests leave at least one interval apart, in order. */
static void what_comes_out_is_smooth(void **state)
{
    PROPERTY_FOR_ANY (seed) {
        struct nr_random random;
        struct nr_limit_conf conf;
        union nr_limit_state s = {0};
        uint64_t now_ns = S, leaves_ns = 0, interval_ns;

        nr_random_init(&random, seed);
        conf = limit_conf_random(&random, NR_LIMIT_LEAKY_BUCKET);
        interval_ns = conf.period_ns / conf.limit;
        conf.smooth_after = 0;
        for (int i = 0; i < 50; i++) {
            struct nr_limit_verdict v;

            now_ns += nr_random_below(&random, 2) * nr_random_below(&random, 4 * interval_ns + 1);
            if (!nr_limit_take(&s, &conf, now_ns, 1, &v))
                continue;
            assert_true(leaves_ns == 0 || now_ns + v.wait_ns >= leaves_ns + interval_ns);
            assert_true(v.wait_ns <= conf.burst * (interval_ns + 1));
            leaves_ns = now_ns + v.wait_ns;
        }
    }
}

static void any_schedule(void **state)
{
    limit_holds_in_any_schedule(NR_LIMIT_LEAKY_BUCKET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nginx_nodelay), cmocka_unit_test(who_waits),
        cmocka_unit_test(no_line),       property_test(what_comes_out_is_smooth),
        property_test(any_schedule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
