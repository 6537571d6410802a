/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../property.h"
#include "limit_rows.h"
#include "limit_schedule.h"

/* Cloudflare's example ("How we built rate limiting capable of scaling to millions of domains",
 * 2017): 50 a minute, 42 in the minute before, 18 in this one, a quarter of it gone: 42 × 0.75 + 18
 * = 49.5, so not a whole one is left. */
static void the_share_of_the_window_before(void **state)
{
    static const struct nr_limit_conf conf = {
        .algorithm = NR_LIMIT_SLIDING_WINDOW, .limit = 50, .period_ns = 60 * S};
    static const struct limit_row rows[] = {
        /* clang-format off */
        {"42 in the first minute",      0, 42, YES,  8, 120000, 0},
        {"18 in the second",        75000, 18, YES,  0, 105000, 0},
        {"49.5 are counted",        75000,  1, NO,   0, 105000, ANY},
        {"nine: 41 may be left",    75000,  9, NO,   0, 105000, ANY},
        {"51 can never be",         75000, 51, NO,   0, 105000, NEVER},
        {"the third: 18 fade",     120000,  0, YES, 32,  60000, 0},
        {"half of them",           150000,  0, YES, 41,  30000, 0},
        {"forgotten",              180000,  0, YES, 50,      0, 0},
        /* clang-format on */
    };

    LIMIT_ROWS_HOLD(&conf, rows);
}

/* One must have faded: 42 × (1 - e / 60 s) <= 31, so e = 11/42 of 60 s, and 15 s of it are over. */
static void until_one_has_faded(void **state)
{
    static const struct nr_limit_conf conf = {
        .algorithm = NR_LIMIT_SLIDING_WINDOW, .limit = 50, .period_ns = 60 * S};
    union nr_limit_state s = {0};
    struct nr_limit_verdict v;

    nr_limit_take(&s, &conf, 0, 42, &v);
    nr_limit_take(&s, &conf, 75 * S, 18, &v);
    assert_false(nr_limit_take(&s, &conf, 75 * S, 1, &v));
    assert_int_equal(v.retry_ns, 714285715);
}

/* Silence for a whole window starts a new one at the next unit; less moves the counters on. */
static void turning_over(void **state)
{
    static const struct nr_limit_conf conf = {
        .algorithm = NR_LIMIT_SLIDING_WINDOW, .limit = 10, .period_ns = 10 * S};
    static const struct limit_row rows[] = {
        /* clang-format off */
        {"ten at 3 s",               3000, 10, YES,  0, 20000, 0},
        {"none in this window",     12999,  1, NO,   0, 10001, 1001},
        {"at the turn all count",   13000,  1, NO,   0, 10000, 1000},
        {"one has faded",           14000,  1, YES,  0, 19000, 0},
        {"silence, then a new one", 40000, 10, YES,  0, 20000, 0},
        {"which starts at 40 s",    51000,  1, YES,  0, 19000, 0},
        /* clang-format on */
    };

    LIMIT_ROWS_HOLD(&conf, rows);
}

static void any_schedule(void **state)
{
    limit_holds_in_any_schedule(NR_LIMIT_SLIDING_WINDOW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_share_of_the_window_before),
        cmocka_unit_test(until_one_has_faded),
        cmocka_unit_test(turning_over),
        property_test(any_schedule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
