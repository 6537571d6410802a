/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../property.h"
#include "base/random.h"
#include "policy/retry_budget.h"

#define MS ((uint64_t)1000000)
#define S  (1000 * MS)

enum op { REQUESTS, WANT }; /* so many requests arrive; so many repeats are wanted */

static void stories(void **state)
{
    static const struct nr_retry_budget_conf both = {.ratio = 0.2, .min_per_s = 10};
    static const struct nr_retry_budget_conf earned = {.ratio = 0.2, .min_per_s = 0};
    static const struct nr_retry_budget_conf free_only = {.ratio = 0, .min_per_s = 10};
    static const struct {
        const char *name; /* begins a story */
        const struct nr_retry_budget_conf *conf;
        uint32_t at_ms;
        enum op op;
        uint32_t n, granted;
    } steps[] = {
        {"a rare request has its repeat", &both, 0, WANT, 3, 3},
        {"the free part is a second's worth", &free_only, 0, WANT, 100, 10},
        {NULL, &free_only, 99, WANT, 100, 0},
        {NULL, &free_only, 100, WANT, 100, 1},
        {NULL, &free_only, 500, WANT, 100, 4},
        {"a quiet hour saves up no more", &free_only, 3600000, WANT, 100, 10},
        {"five requests earn one repeat", &earned, 0, WANT, 1, 0},
        {NULL, &earned, 0, REQUESTS, 4, 0},
        {NULL, &earned, 0, WANT, 1, 0},
        {NULL, &earned, 0, REQUESTS, 1, 0},
        {NULL, &earned, 0, WANT, 2, 1},
        {"what was earned is gone after 10 s", &earned, 0, REQUESTS, 100, 0},
        {NULL, &earned, 9999, WANT, 1, 1},
        {NULL, &earned, 10000, WANT, 1, 0},
        {"1,000 fail at once: 200 + 10", &both, 0, REQUESTS, 1000, 0},
        {NULL, &both, 1, WANT, 1000, 210},
    };
    struct nr_retry_budget budget;

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        uint64_t now_ns = 100 * S + steps[i].at_ms * MS;
        uint32_t granted = 0;

        if (steps[i].name != NULL) {
            print_message("# %s\n", steps[i].name);
            nr_retry_budget_init(&budget, steps[i].conf, 100 * S);
        }
        for (uint32_t n = 0; n < steps[i].n; n++) {
            if (steps[i].op == REQUESTS)
                nr_retry_budget_request(&budget, steps[i].conf, now_ns);
            else
                granted += nr_retry_budget_take(&budget, steps[i].conf, now_ns);
        }
        assert_int_equal(granted, steps[i].granted);
    }
}

enum { STEPS = 150 };

/* The bound of the essay, for every stretch of every schedule. */
static void check_bound(const struct nr_retry_budget_conf *conf, const uint64_t *at_ns,
                        const uint32_t *requests, const uint32_t *repeats)
{
    for (int from = 0; from < STEPS; from += 7) {
        uint64_t spent = 0, asked = 0, earn = (uint64_t)(conf->ratio * NR_RETRY_BUDGET_TOKEN + 0.5);

        for (int i = 0; i < from; i++)
            asked += at_ns[i] + 10 * S >= at_ns[from] ? requests[i] : 0;
        for (int to = from; to < STEPS; to++) {
            uint64_t us = (at_ns[to] - at_ns[from] + 999) / 1000;

            spent += repeats[to];
            asked += requests[to];
            assert_true(spent * NR_RETRY_BUDGET_TOKEN <=
                        asked * earn + conf->min_per_s * (us + NR_RETRY_BUDGET_TOKEN + 1));
        }
    }
}

static void never_beyond_the_bound(void **state)
{
    PROPERTY_FOR_ANY (seed) {
        struct nr_retry_budget_conf conf;
        struct nr_retry_budget budget;
        struct nr_random random;
        uint64_t now_ns, at_ns[STEPS];
        uint32_t requests[STEPS], repeats[STEPS];

        nr_random_init(&random, seed);
        conf.ratio = nr_random_unit(&random);
        conf.min_per_s = (uint32_t)nr_random_below(&random, 12);
        now_ns = nr_random_below(&random, 100 * S);
        nr_retry_budget_init(&budget, &conf, now_ns);
        for (int i = 0; i < STEPS; i++) {
            uint64_t left;

            now_ns += nr_random_below(&random, nr_random_below(&random, 10) == 0 ? 5 * S : S / 20);
            at_ns[i] = now_ns;
            requests[i] = (uint32_t)nr_random_below(&random, 6);
            repeats[i] = 0;
            for (uint32_t n = 0; n < requests[i]; n++)
                nr_retry_budget_request(&budget, &conf, now_ns);
            left = nr_retry_budget_left(&budget, &conf, now_ns);
            for (uint64_t n = nr_random_below(&random, 8); n > 0; n--)
                repeats[i] += nr_retry_budget_take(&budget, &conf, now_ns);
            assert_true(repeats[i] <= left);
            assert_int_equal(nr_retry_budget_left(&budget, &conf, now_ns), left - repeats[i]);
        }
        check_bound(&conf, at_ns, requests, repeats);
    }
}

/* 1,000 requests/s for 30 s, all of them failing and each wanting two repeats: under 1.2 times the
 * load and the free part. */
static void a_storm_is_bounded(void **state)
{
    struct nr_retry_budget_conf conf = nr_retry_budget_conf_default;
    struct nr_retry_budget budget;
    uint32_t repeats = 0;

    nr_retry_budget_init(&budget, &conf, 0);
    for (uint64_t ms = 0; ms < 30000; ms++) {
        nr_retry_budget_request(&budget, &conf, ms * MS);
        repeats += nr_retry_budget_take(&budget, &conf, ms * MS);
        repeats += nr_retry_budget_take(&budget, &conf, ms * MS);
    }
    assert_in_range(repeats, 6300 - 10, 6310);
}

/* Source: Finagle, RetryBudgetTest: 10,000 requests in one instant, each of which wants a repeat:
 * their share of it, give or take one, and what is free. A second of the free part stands here for
 * Finagle's reserve of its whole time. */
static void shares_as_published(void **state)
{
    static const struct nr_retry_budget_conf rows[] = {
        {0.1, 0},  {0.5, 0},   {0.25, 0},   {0.75, 0}, {0.99, 0}, {0.999, 0}, {0.9999, 0},
        {0.01, 0}, {0.001, 0}, {0.0001, 0}, {0, 10},   {0, 5},    {0.1, 10},  {0.5, 5},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        double expected = 10000 * rows[i].ratio + rows[i].min_per_s;
        struct nr_retry_budget budget;
        uint32_t repeats = 0;

        nr_retry_budget_init(&budget, &rows[i], 50 * S);
        assert_int_equal(nr_retry_budget_left(&budget, &rows[i], 50 * S), rows[i].min_per_s);
        for (int n = 0; n < 10000; n++) {
            nr_retry_budget_request(&budget, &rows[i], 50 * S);
            if (nr_retry_budget_take(&budget, &rows[i], 50 * S))
                repeats++;
            else
                assert_int_equal(nr_retry_budget_left(&budget, &rows[i], 50 * S), 0);
        }
        assert_true(repeats >= expected - 1 && repeats <= expected + 1);
    }
}

static void two_for_each_request(void **state)
{
    static const struct nr_retry_budget_conf conf = {.ratio = 2, .min_per_s = 0};
    struct nr_retry_budget budget;

    nr_retry_budget_init(&budget, &conf, S);
    assert_false(nr_retry_budget_take(&budget, &conf, S));
    for (int n = 0; n < 10000; n++)
        nr_retry_budget_request(&budget, &conf, S);
    assert_int_equal(nr_retry_budget_left(&budget, &conf, S), 20000);
}

static void a_reload_may_shrink_it(void **state)
{
    struct nr_retry_budget_conf big = {.ratio = 0, .min_per_s = 1000};
    struct nr_retry_budget_conf none = {.ratio = 0, .min_per_s = 0};
    struct nr_retry_budget budget;

    nr_retry_budget_init(&budget, &big, 5);
    assert_true(nr_retry_budget_take(&budget, &big, 5));
    assert_int_equal(nr_retry_budget_left(&budget, &big, 6), 999);
    assert_false(nr_retry_budget_take(&budget, &none, 6));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stories),
        property_test(never_beyond_the_bound),
        cmocka_unit_test(a_storm_is_bounded),
        cmocka_unit_test(shares_as_published),
        cmocka_unit_test(two_for_each_request),
        cmocka_unit_test(a_reload_may_shrink_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
