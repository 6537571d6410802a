/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../property.h"
#include "base/random.h"
#include "policy/shed.h"

#define MS ((uint64_t)1000000)

/* Defaults: queue 50/200 ms, use 0.9/1.1, CPU 0.85/0.95; ends below 10/50, 0.7/1.0, 0.7/0.85; held
 * for 200 ms and 2 s. */
static void a_sale_begins_and_ends(void **state)
{
    enum { C = NR_SHED_CALM, S = NR_SHED_SHEDDABLE, N = NR_SHED_NORMAL };
    static const struct {
        const char *name;
        uint64_t at_ms;
        struct nr_shed_input input;
        int level;
    } rows[] = {
        {"an ordinary day", 0, {1, 0.3, 0.2}, C},
        {"the queue grows", 100, {60, 0.8, 0.5}, C},
        {"not for long enough", 299, {60, 0.8, 0.5}, C},
        {"200 ms", 300, {60, 0.8, 0.5}, S},
        {"it works: between the marks nothing moves", 5000, {20, 0.8, 0.5}, S},
        {"for ever", 60000, {20, 0.8, 0.5}, S},
        {"the CPU alone", 60100, {5, 0.5, 0.96}, S},
        {"after another 200 ms", 60300, {5, 0.5, 0.96}, N},
        {"good", 61000, {5, 0.5, 0.3}, N},
        {"a break: 2 s begin again", 62000, {60, 0.5, 0.3}, N},
        {NULL, 62100, {5, 0.5, 0.3}, N},
        {NULL, 64099, {5, 0.5, 0.3}, N},
        {"one step down", 64100, {5, 0.5, 0.3}, S},
        {"bad for a moment", 65000, {60, 0.5, 0.3}, S},
        {"the moment is over: neither", 65100, {20, 0.5, 0.3}, S},
        {"good, and unknown readings have no say", 65200, {-1, -1, 0.3}, S},
        {NULL, 67199, {-1, -1, 0.3}, S},
        {"calm", 67200, {-1, -1, -1}, C},
        {"and stays so", 99000, {-1, -1, -1}, C},
    };
    struct nr_shed shed;

    nr_shed_init(&shed);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum nr_shed_level before = shed.level;
        bool changed = nr_shed_update(&shed, &nr_shed_conf_default, (1000 + rows[i].at_ms) * MS,
                                      &rows[i].input);

        if (rows[i].name != NULL)
            print_message("# %s\n", rows[i].name);
        assert_int_equal(shed.level, rows[i].level);
        assert_int_equal(changed, shed.level != before);
    }
}

static void who_is_let_in(void **state)
{
    static const bool admits[NR_SHED_LEVELS][NR_CRITICALITIES] = {
        [NR_SHED_CALM] = {true, true, true},
        [NR_SHED_SHEDDABLE] = {false, true, true},
        [NR_SHED_NORMAL] = {false, false, true},
    };

    for (int level = 0; level < NR_SHED_LEVELS; level++) {
        struct nr_shed shed = {.level = (enum nr_shed_level)level};

        for (int c = 0; c < NR_CRITICALITIES; c++)
            assert_int_equal(nr_shed_admits(&shed, (enum nr_criticality)c), admits[level][c]);
    }
}

/* A clock that is a turn behind is no long time. */
static void an_older_moment_changes_nothing(void **state)
{
    struct nr_shed_input bad = {.queue_ms = 1000};
    struct nr_shed shed;

    nr_shed_init(&shed);
    assert_false(nr_shed_update(&shed, &nr_shed_conf_default, 1000 * MS, &bad));
    assert_false(nr_shed_update(&shed, &nr_shed_conf_default, 999 * MS, &bad));
    assert_int_equal(shed.level, NR_SHED_CALM);
}

/* Any readings: one step at a time, never up before rise_ns of them were bad, never down before
 * fall_ns were good, so never more than two changes per fall_ns + rise_ns. */
static void any_schedule(void **state)
{
    const struct nr_shed_conf *conf = &nr_shed_conf_default;

    PROPERTY_FOR_ANY (seed) {
        struct nr_random random;
        struct nr_shed shed;
        uint64_t now_ns = 0, changed_ns = 0;
        double load = 0;

        nr_random_init(&random, seed);
        nr_shed_init(&shed);
        for (int i = 0; i < 200; i++) {
            enum nr_shed_level before = shed.level;
            struct nr_shed_input input;

            if (nr_random_below(&random, 20) == 0)
                load = nr_random_unit(&random);
            input = (struct nr_shed_input){.queue_ms = 300 * load * nr_random_unit(&random),
                                           .limit_use = load,
                                           .cpu = nr_random_unit(&random) - 0.1};
            now_ns += nr_random_below(&random, 300 * MS);
            if (!nr_shed_update(&shed, conf, now_ns, &input)) {
                assert_int_equal(shed.level, before);
                continue;
            }
            assert_true(shed.level == before + 1 || shed.level + 1 == before);
            assert_true(now_ns - changed_ns >=
                        (shed.level > before ? conf->rise_ns : conf->fall_ns));
            if (shed.level < before)
                assert_true(input.queue_ms < conf->leave[before].queue_ms &&
                            input.limit_use < conf->leave[before].limit_use &&
                            input.cpu < conf->leave[before].cpu);
            changed_ns = now_ns;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sale_begins_and_ends),
        cmocka_unit_test(who_is_let_in),
        cmocka_unit_test(an_older_moment_changes_nothing),
        property_test(any_schedule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
