/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "../property.h"
#include "base/random.h"
#include "policy/deadline.h"
#include "policy/hedge.h"

#define MS ((uint64_t)1000000)
#define S  (1000 * MS)

static void decisions(void **state)
{
    static const struct nr_retry_budget_conf rich = {.ratio = 1, .min_per_s = 10};
    static const struct nr_retry_budget_conf poor = {.ratio = 0, .min_per_s = 0};
    static const struct {
        const char *name;
        uint64_t after_ms; /* 0: not known */
        struct nr_hedge_facts facts;
        const struct nr_retry_budget_conf *budget;
        enum nr_hedge_verdict verdict;
    } rows[] = {
        {"late", 50, {50 * MS, S, 1, 3, true, false, true, true}, &rich, NR_HEDGE_GO},
        {"not late yet",
         50,
         {50 * MS - 1, S, 1, 3, true, false, true, true},
         &rich,
         NR_HEDGE_EARLY},
        {"who knows what late is", 0, {S, S, 1, 3, true, false, true, true}, &rich, NR_HEDGE_EARLY},
        {"a POST", 50, {50 * MS, S, 1, 3, false, false, true, true}, &rich, NR_HEDGE_NOT},
        {"the answer has begun",
         50,
         {50 * MS, S, 1, 3, true, true, true, true},
         &rich,
         NR_HEDGE_NOT},
        {"the body is gone", 50, {50 * MS, S, 1, 3, true, false, false, true}, &rich, NR_HEDGE_NOT},
        {"a single instance",
         50,
         {50 * MS, S, 1, 3, true, false, true, false},
         &rich,
         NR_HEDGE_NOT},
        {"attempts used up", 50, {50 * MS, S, 3, 3, true, false, true, true}, &rich, NR_HEDGE_NOT},
        {"no time", 50, {50 * MS, MS - 1, 1, 3, true, false, true, true}, &rich, NR_HEDGE_NO_TIME},
        {"everything is late",
         50,
         {50 * MS, S, 1, 3, true, false, true, true},
         &poor,
         NR_HEDGE_NO_BUDGET},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct nr_retry_budget budget;
        struct nr_hedge hedge;
        uint64_t left;

        print_message("# %s\n", rows[i].name);
        nr_hedge_init(&hedge);
        if (rows[i].after_ms > 0)
            hedge.after_ns = rows[i].after_ms * MS;
        nr_retry_budget_init(&budget, rows[i].budget, S);
        left = nr_retry_budget_left(&budget, rows[i].budget, S);
        assert_int_equal(nr_hedge_decide(&hedge, &rows[i].facts, &budget, rows[i].budget, S),
                         rows[i].verdict);
        assert_int_equal(nr_retry_budget_left(&budget, rows[i].budget, S),
                         left - (rows[i].verdict == NR_HEDGE_GO));
    }
}

static void what_is_late_follows_the_service(void **state)
{
    const struct nr_hedge_conf *conf = &nr_hedge_conf_default;
    struct nr_hedge hedge;

    nr_hedge_init(&hedge);
    for (int i = 0; i < 99; i++)
        nr_hedge_observe(&hedge, conf, 10 * MS);
    assert_int_equal(nr_hedge_after_ns(&hedge), NR_TIME_NEVER);
    nr_hedge_observe(&hedge, conf, 10 * MS);
    assert_in_range(nr_hedge_after_ns(&hedge), 10 * MS, 12500000);
    for (int i = 0; i < 3000; i++) /* one in ten is slow: the 95th percentile is one of them */
        nr_hedge_observe(&hedge, conf, i % 10 == 0 ? 300 * MS : 10 * MS);
    assert_in_range(nr_hedge_after_ns(&hedge), 300 * MS, 375 * MS);
    for (int i = 0; i < 3000; i++)
        nr_hedge_observe(&hedge, conf, 1000);
    assert_int_equal(nr_hedge_after_ns(&hedge), MS); /* not earlier */
    for (int i = 0; i < 3000; i++)
        nr_hedge_observe(&hedge, conf, UINT64_MAX);
    assert_true(nr_hedge_after_ns(&hedge) >= 4000 * S);
}

static void the_median_of_two_is_the_first(void **state)
{
    struct nr_hedge_conf conf = {.quantile = 0.5, .minimum = 2, .window = 10};
    struct nr_hedge hedge;

    nr_hedge_init(&hedge);
    nr_hedge_observe(&hedge, &conf, 100 * MS);
    nr_hedge_observe(&hedge, &conf, 10 * MS);
    assert_in_range(nr_hedge_after_ns(&hedge), 10 * MS, 12500000);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Any latencies: the moment is at or after the true quantile, and at most 25 % (and 1 µs) after. */
static void never_earlier_than_the_quantile(void **state)
{
    PROPERTY_FOR_ANY (seed) {
        struct nr_hedge_conf conf = {.least_ns = 0, .minimum = 64, .window = 1000};
        struct nr_random random;
        struct nr_hedge hedge;
        uint64_t took[64], exact, after;
        size_t rank;

        nr_random_init(&random, seed);
        nr_hedge_init(&hedge);
        conf.quantile = nr_random_unit(&random);
        for (int i = 0; i < 64; i++) {
            took[i] = nr_random_u64(&random) >> (23 + nr_random_below(&random, 41));
            nr_hedge_observe(&hedge, &conf, took[i]);
        }
        qsort(took, 64, sizeof(took[0]), compare);
        rank = (size_t)(conf.quantile * 64);
        rank += (double)rank < conf.quantile * 64;
        exact = took[rank > 0 ? rank - 1 : 0];
        after = nr_hedge_after_ns(&hedge);
        assert_true(after >= exact || rank == 0);
        assert_true(after <= exact + exact / 4 + 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decisions),
        cmocka_unit_test(what_is_late_follows_the_service),
        cmocka_unit_test(the_median_of_two_is_the_first),
        property_test(never_earlier_than_the_quantile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
