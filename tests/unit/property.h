/* SPDX-License-Identifier: Apache-2.0 */
/* property.h - what must hold of any schedule: one seed is one random schedule.
 *
 *     static void any_schedule(void **state)
 *     {
 *         PROPERTY_FOR_ANY(seed)
 *         {
 *             nr_random_init(&random, seed);
 *             …
 *         }
 *     }
 *     …
 *     property_test(any_schedule),
 *
 * 10,000 seeds, 1,000 under a sanitizer. A failure says which one it was, and how to see that one
 * again: NARU_SEED=N plays it alone, NARU_SEEDS=N plays the first N. */
#ifndef NR_TESTS_PROPERTY_H
#define NR_TESTS_PROPERTY_H

#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "sanitized.h"

struct property {
    uint64_t end;   /* the first one not to be played */
    uint64_t count; /* how many are */
    char text[128]; /* what to say of this one */
    size_t text_len;
    bool running; /* a test that has failed never comes to its end */
};

static struct property property;

static inline uint64_t property_number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    char *end;
    uint64_t number;

    if (text == NULL || *text == '\0')
        return otherwise;
    number = strtoull(text, &end, 0);
    if (*end != '\0') {
        print_error("%s=%s is not a number\n", name, text);
        exit(2);
    }
    return number;
}

static inline int property_told(void **state)
{
    (void)state;
    if (property.running)
        print_error("%s", property.text);
    property.running = false;
    return 0;
}

/* An assertion in what is tested ends the program. */
static inline void property_aborted(int number)
{
    ssize_t written = write(STDERR_FILENO, property.text, property.text_len);

    (void)written;
    signal(number, SIG_DFL);
    raise(number);
}

static inline uint64_t property_first(void)
{
    uint64_t alone = property_number("NARU_SEED", UINT64_MAX);

    property.count = property_number("NARU_SEEDS", SANITIZED ? 1000 : 10000);
    property.end = property.count;
    signal(SIGABRT, property_aborted);
    if (alone == UINT64_MAX)
        return 0;
    property.count = 1;
    property.end = alone + 1;
    return alone;
}

static inline bool property_goes_on(uint64_t seed)
{
    property.running = seed < property.end;
    if (property.running)
        property.text_len = (size_t)snprintf(property.text, sizeof(property.text),
                                             "the schedule of seed %" PRIu64
                                             "; that one alone: NARU_SEED=%" PRIu64 "\n",
                                             seed, seed);
    else
        signal(SIGABRT, SIG_DFL);
    return property.running;
}

#define PROPERTY_FOR_ANY(seed)                                                                     \
    for (uint64_t seed = property_first(); property_goes_on(seed); seed++)

/* Behind the loop: it has met at least that much in each thousand schedules. What no schedule
 * reaches is not tested by them. */
static inline void property_covers(uint64_t met, uint64_t per_thousand)
{
    assert_true(met >= per_thousand * (property.count / 1000));
}

#define property_test(test) cmocka_unit_test_teardown(test, property_told)

#endif
