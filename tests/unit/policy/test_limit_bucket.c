/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../property.h"
#include "limit_rows.h"
#include "limit_schedule.h"

/* golang.org/x/time/rate, rate_test.go: 10/s with a burst of 3, in ticks of 100 ms. */
static void x_time_rate(void **state)
{
    static const struct nr_limit_conf conf = {
        .algorithm = NR_LIMIT_TOKEN_BUCKET, .limit = 10, .period_ns = S, .burst = 3};
    static const struct limit_row rows[] = {
        /* clang-format off */
        {"two of three",            0, 2, YES, 1, 200, 0},
        {"two more are too many",   0, 2, NO,  1, 200, 100},
        {"and took nothing",        0, 1, YES, 0, 300, 0},
        {"empty",                   0, 1, NO,  0, 300, 100},
        {"four can never be",     100, 4, NO,  1, 200, NEVER},
        {"two came since",        200, 1, YES, 1, 200, 0},
        {"tick 3",                300, 1, YES, 1, 200, 0},
        {"tick 4",                400, 1, YES, 1, 200, 0},
        {"tick 4 again",          400, 1, YES, 0, 300, 0},
        {"tick 4, once too often", 400, 1, NO, 0, 300, 100},
        {"tick 9: full again",    900, 3, YES, 0, 300, 0},
        /* clang-format on */
    };

    LIMIT_ROWS_HOLD(&conf, rows);
}

/* The same, TestLongRunningQPS: 100/s with a burst of 100, offered some 500/s until 5 s are over.
 * The ideal is the burst plus 100/s; at least 99.9 % of it pass, and at most one more than it. */
static void five_seconds_of_too_much(void **state)
{
    static const struct nr_limit_conf conf = {
        .algorithm = NR_LIMIT_TOKEN_BUCKET, .limit = 100, .period_ns = S, .burst = 100};
    union nr_limit_state s = {0};
    struct nr_limit_verdict v;
    uint32_t admitted = 0;

    for (uint64_t now_ns = 0; now_ns <= 5 * S + 2 * MS; now_ns += 2 * MS)
        admitted += nr_limit_take(&s, &conf, now_ns, 1, &v);
    assert_in_range(admitted, 600, 601); /* 0.999 × 600 to 601 */
}

/* A million requests at random moments, a hundred times too many: nothing leaks by rounding. */
static void no_drift(void **state)
{
    static const struct nr_limit_conf conf = {
        .algorithm = NR_LIMIT_TOKEN_BUCKET, .limit = 7, .period_ns = 3 * S, .burst = 1};
    union nr_limit_state s = {0};
    struct nr_limit_verdict v;
    struct nr_random random;
    uint64_t now_ns = S, start_ns = S, admitted = 0;

    nr_random_init(&random, 1);
    for (int i = 0; i < 1000000; i++) {
        now_ns += nr_random_below(&random, 8 * MS);
        admitted += nr_limit_take(&s, &conf, now_ns, 1, &v);
    }
    /* Each token is taken 4 ms late on average, of 428 ms: 1 % below the ideal is expected. */
    assert_true(admitted <= 1 + (now_ns - start_ns) * 7 / (3 * S));
    assert_true(admitted >= (now_ns - start_ns) * 7 / (3 * S) * 985 / 1000);
}

static void a_change_of_tier_keeps_the_debt(void **state)
{
    static const struct nr_limit_conf free_tier = {
        .algorithm = NR_LIMIT_TOKEN_BUCKET, .limit = 100, .period_ns = 60 * S, .burst = 100};
    static const struct nr_limit_conf paid_tier = {
        .algorithm = NR_LIMIT_TOKEN_BUCKET, .limit = 1000, .period_ns = 60 * S, .burst = 1000};
    union nr_limit_state s = {0};
    struct nr_limit_verdict v;

    nr_limit_take(&s, &free_tier, 0, 30, &v);
    nr_limit_take(&s, &paid_tier, 0, 0, &v);
    assert_int_equal(v.remaining, 970);
    nr_limit_take(&s, &paid_tier, 0, 170, &v);
    nr_limit_check(&s, &free_tier, 0, 1, &v); /* 200 are missing of 100 */
    assert_false(v.allowed);
    assert_int_equal(v.remaining, 0);
    assert_int_equal(v.retry_ns, 60600 * MS);
}

static void any_schedule(void **state)
{
    limit_holds_in_any_schedule(NR_LIMIT_TOKEN_BUCKET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(x_time_rate), cmocka_unit_test(five_seconds_of_too_much),
        cmocka_unit_test(no_drift),    cmocka_unit_test(a_change_of_tier_keeps_the_debt),
        property_test(any_schedule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
