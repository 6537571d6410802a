/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../property.h"
#include "policy/backoff.h"

#define MS ((uint64_t)1000000)
#define S  (1000 * MS)

/* Each row: the least and the most that may be drawn before the n-th repeat. */
static void the_pause_lies_between(void **state)
{
    static const struct {
        const char *name;
        struct nr_backoff_conf conf;
        uint32_t n;
        uint64_t least_ms, most_ms;
    } rows[] = {
        /* Envoy, router filter, x-envoy-max-retries: "if we have a base interval B and retry number
         * N, the back-off for the retry is in the range [0, (2^N-1)B)": 0-24, 0-74, 0-174 ms … */
        {"Envoy's first", {25 * MS, 2, 250 * MS, NR_BACKOFF_FULL}, 1, 0, 25},
        {"Envoy's second", {25 * MS, 2, 250 * MS, NR_BACKOFF_FULL}, 2, 0, 75},
        {"Envoy's third", {25 * MS, 2, 250 * MS, NR_BACKOFF_FULL}, 3, 0, 175},
        {"Envoy's maximum, 10 x base", {25 * MS, 2, 250 * MS, NR_BACKOFF_FULL}, 4, 0, 250},
        {"and for ever", {25 * MS, 2, 250 * MS, NR_BACKOFF_FULL}, UINT32_MAX, 0, 250},
        {"another instance, at once", {25 * MS, 2, 0, NR_BACKOFF_FULL}, 0, 0, 0},
        {"deliveries: 1 s", {S, 2, 30 * S, NR_BACKOFF_ADDITIVE}, 1, 1000, 2000},
        {"2 s", {S, 2, 30 * S, NR_BACKOFF_ADDITIVE}, 2, 2000, 4000},
        {"4 s", {S, 2, 30 * S, NR_BACKOFF_ADDITIVE}, 3, 4000, 8000},
        {"at most 30 s, and its jitter", {S, 2, 30 * S, NR_BACKOFF_ADDITIVE}, 9, 30000, 60000},
        {"a factor of 3", {S, 3, 0, NR_BACKOFF_FULL}, 3, 0, 13000},
        {"a constant step", {S, 1, 0, NR_BACKOFF_ADDITIVE}, 1000000, 1000, 2000},
        {"a factor below 1 is 1", {S, 0.1, 30 * S, NR_BACKOFF_FULL}, 3, 0, 3000},
        {"no base, no pause, however often", {0, 2, 30 * S, NR_BACKOFF_FULL}, UINT32_MAX, 0, 0},
        {"exact", {S, 2, 30 * S, NR_BACKOFF_EXACT}, 4, 8000, 8000},
    };
    struct nr_random random;

    nr_random_init(&random, 1);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t least = UINT64_MAX, most = 0, span = (rows[i].most_ms - rows[i].least_ms) * MS;

        print_message("# %s\n", rows[i].name);
        for (int draw = 0; draw < 3000; draw++) {
            uint64_t pause = nr_backoff_ns(&rows[i].conf, rows[i].n, &random);

            least = pause < least ? pause : least;
            most = pause > most ? pause : most;
        }
        assert_in_range(least, rows[i].least_ms * MS, rows[i].least_ms * MS + span / 100);
        assert_in_range(most, rows[i].most_ms * MS - span / 100, rows[i].most_ms * MS);
    }
}

/* RFC 9110, 10.2.3: delay-seconds = 1*DIGIT. */
static void retry_after_is_digits(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        uint64_t ms;
    } rows[] = {
        {"0", true, 0},
        {"120", true, 120000},
        {"007", true, 7000},
        {"86400", true, 86400000},
        {"86401", true, 86400000},
        {"99999999999999999999999999999999999999", true, 86400000},
        {"", false, 7},
        {"-1", false, 7},
        {"+1", false, 7},
        {" 1", false, 7},
        {"1.5", false, 7},
        {"99999999999999999999999999999999999999x", false, 7},
        {"Fri, 31 Dec 1999 23:59:59 GMT", false, 7},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t ms = 7;

        print_message("# '%s'\n", rows[i].text);
        assert_int_equal(nr_retry_after_parse(nr_span_of(rows[i].text), &ms), rows[i].ok);
        assert_int_equal(ms, rows[i].ms);
    }
}

static void a_pause_fits_or_is_not_begun(void **state)
{
    static const struct {
        const char *name;
        uint64_t backoff_ms, after_ms, left_ms;
        bool ok;
        uint64_t pause_ms;
    } rows[] = {
        {"our own", 10, 0, 100, true, 10},
        {"the service wants longer", 10, 50, 100, true, 50},
        {"the service would take it sooner, we do not", 50, 10, 100, true, 50},
        {"to the last useful millisecond", 10, 99, 100, true, 99},
        {"beyond", 10, 100, 100, false, 7},
        {"a day", 10, 86400000, 100, false, 7},
        {"at once, but too late", 0, 0, 0, false, 7},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t pause = 7 * MS;

        print_message("# %s\n", rows[i].name);
        assert_int_equal(nr_backoff_within(rows[i].backoff_ms * MS, rows[i].after_ms * MS,
                                           rows[i].left_ms * MS, &pause),
                         rows[i].ok);
        assert_int_equal(pause, rows[i].pause_ms * MS);
    }
}

/* Any configuration: a pause is finite, bounded by twice the maximum, and whatever fits leaves
 * time. */
static void any_configuration(void **state)
{
    PROPERTY_FOR_ANY (seed) {
        uint64_t left_ns, pause_ns, backoff_ns, after_ns;
        struct nr_backoff_conf conf;
        struct nr_random random;
        uint32_t n;

        nr_random_init(&random, seed);
        conf = (struct nr_backoff_conf){
            .base_ns = nr_random_u64(&random) >> (3 + nr_random_below(&random, 60)),
            .factor = 20 * nr_random_unit(&random),
            .max_ns = 1 + (nr_random_u64(&random) >> (3 + nr_random_below(&random, 60))),
            .jitter = (enum nr_backoff_jitter)nr_random_below(&random, 3),
        };
        n = (uint32_t)nr_random_u64(&random) >> nr_random_below(&random, 32);
        left_ns = nr_random_u64(&random) >> nr_random_below(&random, 64);
        after_ns = nr_random_below(&random, 2) * nr_random_below(&random, S);
        backoff_ns = nr_backoff_ns(&conf, n, &random);
        assert_true(backoff_ns <= 2 * conf.max_ns);
        if (!nr_backoff_within(backoff_ns, after_ns, left_ns, &pause_ns))
            continue;
        assert_true(pause_ns >= after_ns && pause_ns >= backoff_ns);
        assert_true(left_ns - pause_ns >= MS && pause_ns <= left_ns);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_pause_lies_between),
        cmocka_unit_test(retry_after_is_digits),
        cmocka_unit_test(a_pause_fits_or_is_not_begun),
        property_test(any_configuration),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
