/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../property.h"
#include "base/random.h"
#include "policy/deadline.h"

enum { MS = 1000000 };

static void the_least_of_all_parties_wins(void **state)
{
    static const struct {
        const char *name;
        uint64_t route_ms, client_ms, listener_ms, at_ms;
    } cases[] = {
        {"only the route", 6000, 0, 0, 7000},
        {"the client is in a hurry", 6000, 500, 0, 1500},
        {"the client cannot have more than the route gives", 6000, 60000, 0, 7000},
        {"the listener is the strictest", 6000, 5000, 100, 1100},
        {"only the client", 0, 250, 0, 1250},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct nr_deadline d = nr_deadline_start(1000 * (uint64_t)MS, cases[i].route_ms * MS);

        nr_deadline_tighten(&d, cases[i].client_ms * MS);
        nr_deadline_tighten(&d, cases[i].listener_ms * MS);
        assert_int_equal(d.at_ns, cases[i].at_ms * MS);
        assert_int_equal(d.start_ns, 1000 * (uint64_t)MS);
    }
}

static void without_any_limit_it_never_comes(void **state)
{
    struct nr_deadline d = nr_deadline_start(5, 0);

    assert_true(d.at_ns == NR_TIME_NEVER);
    assert_true(nr_deadline_left_ns(&d, 100) >= (uint64_t)1 << 62);
    assert_true(nr_deadline_bound_ns(&d, 100, 0) == NR_TIME_NEVER);
    assert_int_equal(nr_deadline_bound_ns(&d, 100, 7), 107);
    nr_deadline_tighten(&d, UINT64_MAX); /* a hostile X-Request-Deadline does not overflow */
    assert_true(d.at_ns == NR_TIME_NEVER);
    nr_deadline_tighten(&d, NR_TIME_NEVER - 1);
    assert_true(d.at_ns <= NR_TIME_NEVER);
}

static void one_request_spends_its_time(void **state)
{
    struct nr_deadline d = nr_deadline_start(100, 1000);

    assert_int_equal(nr_deadline_left_ns(&d, 100), 1000);
    assert_int_equal(nr_deadline_bound_ns(&d, 100, 400), 500); /* first attempt */
    assert_int_equal(nr_deadline_left_ns(&d, 500), 600);
    assert_int_equal(nr_deadline_bound_ns(&d, 500, 400), 900);  /* second */
    assert_int_equal(nr_deadline_bound_ns(&d, 900, 400), 1100); /* third: only what is left */
    assert_int_equal(nr_deadline_left_ns(&d, 1099), 1);
    assert_int_equal(nr_deadline_left_ns(&d, 1100), 0);
    assert_int_equal(nr_deadline_left_ns(&d, 99999), 0);
    assert_int_equal(nr_deadline_bound_ns(&d, 99999, 1), 1100);
}

static void whatever_is_asked_nothing_runs_past_it(void **state)
{
    PROPERTY_FOR_ANY (seed) {
        uint64_t i = seed, now, before;
        struct nr_random random;
        struct nr_deadline d;

        nr_random_init(&random, seed);
        now = nr_random_u64(&random) >> 1;
        d = nr_deadline_start(now, nr_random_u64(&random) >> (i % 64));
        before = d.at_ns;
        nr_deadline_tighten(&d, nr_random_u64(&random) >> (i % 63));
        assert_true(d.at_ns <= before);
        for (int j = 0; j < 4; j++) {
            uint64_t then = now + (nr_random_u64(&random) >> (1 + i % 63)) / 2;
            uint64_t bound = nr_deadline_bound_ns(&d, then, nr_random_u64(&random) >> (i % 64));
            uint64_t left = nr_deadline_left_ns(&d, then);

            assert_true(bound <= d.at_ns);
            assert_true(left == 0 ? then >= d.at_ns : then + left == d.at_ns);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_of_all_parties_wins),
        cmocka_unit_test(without_any_limit_it_never_comes),
        cmocka_unit_test(one_request_spends_its_time),
        property_test(whatever_is_asked_nothing_runs_past_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
