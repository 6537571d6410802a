/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../property.h"
#include "base/random.h"
#include "policy/adaptive.h"

#define MS ((uint64_t)1000000)
#define S  (1000 * MS)

/* Each sample counts alone, as in Gradient2Limit without its windowing wrapper. */
static struct nr_adaptive_conf bare(void)
{
    struct nr_adaptive_conf conf = nr_adaptive_conf_default;

    conf.window_ns = 0;
    conf.window_min = 1;
    return conf;
}

/* Source: Netflix concurrency-limits, Gradient2Limit: by its formula, worked out by hand. */
static void one_step_of_gradient2(void **state)
{
    static const struct {
        const char *name;
        double limit, long_ms;
        uint64_t took_ms;
        uint32_t in_flight;
        double want;
    } rows[] = {
        /* calm: 100 × 0.8 + (100 + 4) × 0.2 */
        {"grows by queue x smoothing", 100, 10, 10, 100, 100.8},
        /* 1.5 tolerated */
        {"half as slow again is calm", 100, 10, 15, 100, 100.8},
        /* long 10 + 20 × 2 / 601 = 10.0666; gradient 1.5 × 10.0666 / 30 = 0.50333 */
        {"three times as slow", 100, 10, 30, 100, 90.8666},
        {"never below a gradient of a half", 100, 10, 1000, 100, 90.8},
        {"not used: no growth", 100, 10, 10, 49, 100},
        {"half used: growth", 100, 10, 10, 50, 100.8},
        {"not used: no decline either", 100, 10, 1000, 49, 100},
        {"the ceiling", 200, 10, 10, 200, 200},
        {"the floor", 20, 10, 1000, 20, 20},
    };
    struct nr_adaptive_conf conf = bare();

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct nr_adaptive a;

        print_message("# %s\n", rows[i].name);
        nr_adaptive_init(&a, &conf, 0);
        a.limit = rows[i].limit;
        a.long_ns = rows[i].long_ms * (double)MS;
        a.warm = 10;
        nr_adaptive_report(&a, &conf, S, rows[i].took_ms * MS, rows[i].in_flight, false);
        assert_true(a.limit > rows[i].want - 0.001 && a.limit < rows[i].want + 0.001);
    }
}

static void errors_are_one_event_per_window(void **state)
{
    struct nr_adaptive_conf conf = nr_adaptive_conf_default;
    struct nr_adaptive a;

    conf.start = 100;
    nr_adaptive_init(&a, &conf, 0);
    for (int i = 0; i < 1000; i++)
        assert_false(nr_adaptive_report(&a, &conf, 50 * MS, 0, 100, true));
    assert_true(nr_adaptive_report(&a, &conf, 100 * MS, 0, 100, true));
    assert_int_equal(nr_adaptive_limit(&a, &conf), 90);
    assert_false(nr_adaptive_report(&a, &conf, 199 * MS, 0, 100, true));
    assert_true(nr_adaptive_report(&a, &conf, 200 * MS, 10 * MS, 100, false));
    assert_int_equal(nr_adaptive_limit(&a, &conf), 81); /* a good one beside it does not undo it */
    for (uint64_t ms = 300; ms < 10000; ms += 100)
        nr_adaptive_report(&a, &conf, ms * MS, 0, 100, true);
    assert_int_equal(nr_adaptive_limit(&a, &conf), 20); /* the floor */
}

/* A service that works on `capacity` calls at once for 10 ms and queues the others, driven at its
 * limit: the mean limit of the last tenth. */
static double settle(struct nr_adaptive *a, const struct nr_adaptive_conf *conf, uint64_t *now_ns,
                     double capacity, int calls)
{
    double sum = 0;

    for (int i = 0; i < calls; i++) {
        uint32_t in_flight = nr_adaptive_limit(a, conf);
        double queued = in_flight > capacity ? (double)in_flight / capacity : 1;

        *now_ns += (uint64_t)(10e6 / capacity);
        nr_adaptive_report(a, conf, *now_ns, (uint64_t)(10e6 * queued), in_flight, false);
        sum += i >= calls - calls / 10 ? in_flight : 0;
    }
    return sum * 10 / calls;
}

static void finds_the_capacity_and_comes_back(void **state)
{
    struct nr_adaptive_conf conf = nr_adaptive_conf_default;
    struct nr_adaptive a;
    uint64_t now_ns = 0;
    double limit;

    conf.min = 10;
    nr_adaptive_init(&a, &conf, now_ns);
    limit = settle(&a, &conf, &now_ns, 60, 60000);
    print_message("# capacity 60: limit %.0f\n", limit);
    assert_true(limit >= 60 && limit <= 160); /* full use, and a bounded queue */
    for (int i = 0; i < 100; i++)             /* ten seconds of timeouts */
        nr_adaptive_report(&a, &conf, now_ns += 100 * MS, 0, 50, true);
    assert_int_equal(nr_adaptive_limit(&a, &conf), 10);
    limit = settle(&a, &conf, &now_ns, 60, 60000);
    print_message("# after the outage: limit %.0f\n", limit);
    assert_true(limit >= 60);
}

/* The long average has learnt a bad hour; within so many windows it believes in good times again.
 */
static void forgets_bad_latency(void **state)
{
    struct nr_adaptive_conf conf = bare();
    struct nr_adaptive a;
    int windows = 0;

    nr_adaptive_init(&a, &conf, 0);
    a.warm = 10;
    a.long_ns = 100.0 * (double)MS;
    for (; a.long_ns > 2.05 * 10.0 * (double)MS; windows++)
        nr_adaptive_report(&a, &conf, S + (uint64_t)windows, 10 * MS, 20, false);
    assert_in_range(windows, 20, 40); /* by averaging alone it would take some 650 */
}

static void any_schedule(void **state)
{
    PROPERTY_FOR_ANY (seed) {
        struct nr_random random;
        struct nr_adaptive_conf conf = nr_adaptive_conf_default;
        struct nr_adaptive a;
        uint64_t now_ns = 0;

        nr_random_init(&random, seed);
        conf.start = (uint32_t)nr_random_below(&random, 300);
        conf.min = (uint32_t)nr_random_below(&random, 50);
        conf.max = (uint32_t)nr_random_below(&random, 300);
        conf.smoothing = nr_random_unit(&random);
        conf.shrink = nr_random_unit(&random);
        conf.window_ns = nr_random_below(&random, 100 * MS);
        conf.window_min = (uint32_t)nr_random_below(&random, 5);
        conf.window_min += conf.window_min == 0;
        nr_adaptive_init(&a, &conf, now_ns);
        for (int i = 0; i < 200; i++) {
            uint32_t before = nr_adaptive_limit(&a, &conf), after;
            uint32_t low = conf.min > 0 ? conf.min : 1, in_flight;
            bool overload = nr_random_below(&random, 10) == 0, changed;
            double exact = a.limit;

            in_flight = (uint32_t)nr_random_below(&random, before + 1);
            in_flight = in_flight > a.in_flight ? in_flight : a.in_flight;
            now_ns += nr_random_below(&random, 50 * MS);
            changed = nr_adaptive_report(
                &a, &conf, now_ns, nr_random_u64(&random) >> (20 + nr_random_below(&random, 44)),
                in_flight, overload);
            after = nr_adaptive_limit(&a, &conf);
            assert_int_equal(changed, before != after);
            assert_in_range(after, low, conf.max > low ? conf.max : low);
            assert_true(a.limit <= exact || (!overload && in_flight * 2.0 >= exact));
            assert_true(a.limit <= exact + conf.queue * conf.smoothing + 1e-6);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_step_of_gradient2),
        cmocka_unit_test(errors_are_one_event_per_window),
        cmocka_unit_test(finds_the_capacity_and_comes_back),
        cmocka_unit_test(forgets_bad_latency),
        property_test(any_schedule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
