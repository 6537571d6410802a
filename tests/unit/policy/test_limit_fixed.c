/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../property.h"
#include "limit_rows.h"
#include "limit_schedule.h"

/* 100 per 15 minutes. */
static void a_quota(void **state)
{
    static const struct nr_limit_conf conf = {
        .algorithm = NR_LIMIT_FIXED_WINDOW, .limit = 100, .period_ns = 900 * S};
    static const struct limit_row rows[] = {
        /* clang-format off */
        {"nothing used, no window",     5000,   0, YES, 100,      0, 0},
        {"the window starts here",     10000,   1, YES,  99, 900000, 0},
        {"much at once",              300000,  98, YES,   1, 610000, 0},
        {"two are too many",          300000,   2, NO,    1, 610000, 610000},
        {"the last",                  300000,   1, YES,   0, 610000, 0},
        {"101 can never be",          300000, 101, NO,    0, 610000, NEVER},
        {"to the last moment",        909999,   1, NO,    0,      1, 1},
        {"a new window",              910000, 100, YES,   0, 900000, 0},
        {"and it does not end early", 1000000,  1, NO,    0, 810000, 810000},
        /* clang-format on */
    };

    LIMIT_ROWS_HOLD(&conf, rows);
}

/* The known weakness, shown rather than hidden: twice the limit around the turn. */
static void twice_the_limit_at_the_turn(void **state)
{
    static const struct nr_limit_conf conf = {
        .algorithm = NR_LIMIT_FIXED_WINDOW, .limit = 10, .period_ns = S};
    static const struct limit_row rows[] = {
        /* clang-format off */
        {"the window starts",    0,  1, YES, 9, 1000, 0},
        {"nine at its end",    999,  9, YES, 0,    1, 0},
        {"ten a moment later", 1000, 10, YES, 0, 1000, 0},
        /* clang-format on */
    };

    LIMIT_ROWS_HOLD(&conf, rows);
    assert_int_equal(nr_limit_bound(&conf, S), 20);
}

static void any_schedule(void **state)
{
    limit_holds_in_any_schedule(NR_LIMIT_FIXED_WINDOW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quota),
        cmocka_unit_test(twice_the_limit_at_the_turn),
        property_test(any_schedule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
