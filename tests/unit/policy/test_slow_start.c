/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../property.h"
#include "base/random.h"
#include "policy/slow_start.h"

#define S ((uint64_t)1000000000)

static void a_share_grows_over_the_window(void **state)
{
    static const struct {
        uint64_t from_s, now_s;
        uint32_t weight, want;
    } cases[] = {
        {100, 100, 1000, 100},
        {100, 101, 1000, 100},
        {100, 103, 1000, 100},
        {100, 106, 1000, 200},
        {100, 115, 1000, 500},
        {100, 129, 1000, 966},
        {100, 130, 1000, 1000},
        {100, 999, 1000, 1000},
        {100, 99, 1000, 100},
        {100, 100, 1, 1},
        {100, 115, 4294967295, 2147483647},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(
            nr_slow_start_weight(cases[i].weight, cases[i].from_s * S, cases[i].now_s * S, 30 * S),
            cases[i].want);
    assert_int_equal(nr_slow_start_weight(1000, 0, 0, 0), 1000);
    assert_false(nr_slow_start_over(100, 99, 10));
    assert_false(nr_slow_start_over(100, 109, 10));
    assert_true(nr_slow_start_over(100, 110, 10));
}

static void it_never_shrinks(void **state)
{
    uint32_t before = 0;

    for (uint64_t now = 0; now <= 31 * S; now += S / 100) {
        uint32_t weight = nr_slow_start_weight(1000, 0, now, 30 * S);

        assert_true(weight >= before && weight >= 100 && weight <= 1000);
        before = weight;
    }
    assert_int_equal(before, 1000);
}

/* Any weight, window and moments: a share between a tenth and the whole, close to the line, that
 * never shrinks while time goes on. */
static void any_window(void **state)
{
    PROPERTY_FOR_ANY (seed) {
        uint64_t from_ns, window_ns, now_ns = 0;
        struct nr_random random;
        uint32_t weight, before = 0;

        nr_random_init(&random, seed);
        weight = 1 + (uint32_t)(nr_random_u64(&random) >> (32 + nr_random_below(&random, 32)));
        window_ns = nr_random_below(&random, 3600 * S);
        from_ns = nr_random_below(&random, 100 * S);
        for (int i = 0; i < 40; i++) {
            uint32_t now = nr_slow_start_weight(weight, from_ns, now_ns, window_ns);
            double since = now_ns > from_ns ? (double)(now_ns - from_ns) : 0;
            double line =
                weight * (since < 0.1 * (double)window_ns ? 0.1 : since / (double)window_ns);

            if (nr_slow_start_over(from_ns, now_ns, window_ns))
                line = weight;
            assert_true(now >= 1 && now >= before && now <= weight);
            assert_true(now <= line + 1 && now + 1 + weight / 1e6 >= line);
            before = now;
            now_ns += nr_random_below(&random, window_ns / 16 + 10 * S);
        }
        assert_int_equal(nr_slow_start_weight(weight, from_ns, from_ns + window_ns, window_ns),
                         weight);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_share_grows_over_the_window),
        cmocka_unit_test(it_never_shrinks),
        property_test(any_window),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
