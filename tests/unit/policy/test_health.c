/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "../property.h"
#include "policy/health.h"

static const struct nr_health_rule rule = {
    .rise = 2, .fall = 3, .interval_ns = 2000000000, .jitter = 0.1};

/* Results in, states out: '.' ok, 'x' failure; U up, D down. */
static void rise_2_fall_3(void **state)
{
    static const struct {
        const char *name, *results, *states;
    } cases[] = {
        {"the first result decides: up", ".", "U"},
        {"the first result decides: down", "x", "D"},
        {"two failures are forgiven", ".xx.xx.", "UUUUUUU"},
        {"the third in a row is not", ".xxx", "UUUD"},
        {"and stays down until two successes in a row", ".xxx.x..", "UUUDDDDU"},
        {"down at the start, up after rise", "x..", "DDU"},
        {"flapping stays where it is: up", "..x.x.x.", "UUUUUUUU"},
        {"flapping stays where it is: down", "xx.x.x.x", "DDDDDDDD"},
        {"a full life", "..xxx....xxx..", "UUUUDDUUUUUDDU"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct nr_health_track track;

        print_message("# %s\n", cases[i].name);
        nr_health_track_init(&track);
        assert_int_equal(track.state, NR_HEALTH_UNKNOWN);
        for (size_t r = 0; cases[i].results[r] != '\0'; r++) {
            enum nr_health before = track.state;
            bool changed = nr_health_track_result(&track, &rule, cases[i].results[r] == '.');

            assert_int_equal(track.state,
                             cases[i].states[r] == 'U' ? NR_HEALTH_UP : NR_HEALTH_DOWN);
            assert_int_equal(changed, track.state != before);
        }
    }
}

/* Any results: the state differs from a result's verdict only while a streak is too short. */
static void changes_need_exactly_the_streak(void **state)
{
    PROPERTY_FOR_ANY (seed) {
        struct nr_health_track track;
        struct nr_health_rule r = {0};
        struct nr_random random;
        uint32_t run = 0;
        bool last = false;

        nr_random_init(&random, seed);
        r.rise = (uint32_t)nr_random_below(&random, 5);
        r.fall = (uint32_t)nr_random_below(&random, 5);
        nr_health_track_init(&track);
        for (int i = 0; i < 30; i++) {
            bool ok = nr_random_below(&random, 3) > 0;
            uint32_t need = (ok ? r.rise : r.fall) > 0 ? (ok ? r.rise : r.fall) : 1;
            enum nr_health before = track.state;
            enum nr_health says = ok ? NR_HEALTH_UP : NR_HEALTH_DOWN;

            run = i > 0 && ok == last ? run + 1 : 1;
            last = ok;
            nr_health_track_result(&track, &r, ok);
            if (i == 0 || run >= need)
                assert_int_equal(track.state, says);
            else
                assert_int_equal(track.state, before);
        }
    }
}

static void pauses_are_spread_over_the_jitter(void **state)
{
    struct nr_random random;
    uint64_t sum = 0, least = UINT64_MAX, most = 0;
    struct nr_health_rule exact = {.interval_ns = 7, .jitter = 0};
    struct nr_health_rule wild = {.interval_ns = 1, .jitter = 1};

    nr_random_init(&random, 9);
    for (int i = 0; i < 10000; i++) {
        uint64_t pause = nr_health_pause_ns(&rule, &random);

        sum += pause;
        least = pause < least ? pause : least;
        most = pause > most ? pause : most;
        assert_int_equal(nr_health_pause_ns(&exact, &random), 7);
        assert_true(nr_health_pause_ns(&wild, &random) >= 1); /* never a busy loop of zero */
    }
    assert_in_range(least, 1800000000, 1802000000);
    assert_in_range(most, 2198000000, 2200000000);
    assert_in_range(sum / 10000, 1990000000, 2010000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rise_2_fall_3),
        property_test(changes_need_exactly_the_streak),
        cmocka_unit_test(pauses_are_spread_over_the_jitter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
