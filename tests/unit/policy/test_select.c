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
#include "policy/select.h"

enum { HOSTS = 12 };

/* A host per letter: tier 0 'a', tier 1 'b', tier 2 'c'; capital: down; the mark behind it:
 * '!' taken out, '~' another zone. The result in the same order: share in percent, '.' for none. */
struct story {
    const char *name;
    const char *hosts;
    struct nr_select_rule rule;
    const char *shares;
    bool panic, standby, zone;
};

static uint32_t parse(const char *text, struct nr_select_host *hosts)
{
    uint32_t count = 0;

    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '!')
            hosts[count - 1].usable = false;
        else if (*c == '~')
            hosts[count - 1].local = false;
        else
            hosts[count++] = (struct nr_select_host){.weight = 1000,
                                                     .priority = (uint8_t)((*c | 32) - 'a'),
                                                     .usable = true,
                                                     .healthy = *c >= 'a',
                                                     .local = true};
    }
    return count;
}

#define ENVOY                                                                                      \
    {                                                                                              \
        .over_pct = 140, .panic_pct = 50                                                           \
    }
#define STRICT                                                                                     \
    {                                                                                              \
        .over_pct = 0                                                                              \
    }
#define ZONES                                                                                      \
    {                                                                                              \
        .over_pct = 140, .zone_pct = 70, .zones = true                                             \
    }

static const struct story stories[] = {
    /* clang-format off */
    {"all well", "aaa", ENVOY, "100 100 100", 0, 0, 0},
    {"one of three is down", "aAa", ENVOY, "100 . 100", 0, 0, 0},
    {"two of three: the last one panics with them", "AAa", ENVOY, "100 100 100", 1, 0, 0},
    {"half is not below half", "AaAa", ENVOY, ". 100 . 100", 0, 0, 0},
    {"none lives: all are tried", "AAA", ENVOY, "100 100 100", 1, 0, 0},
    {"none lives, and panic is off", "AAA", {.over_pct = 140}, ". . .", 0, 0, 0},
    {"panic spares what was taken out", "AAa!", ENVOY, "100 100 .", 1, 0, 0},
    {"all taken out", "a!a!", ENVOY, ". .", 0, 0, 0},
    /* Envoy's table of priority levels: 100 % to P0 while 72 % of it is healthy. */
    {"the standby waits", "aabb", ENVOY, "100 100 . .", 0, 0, 0},
    {"… also at 8 of 10", "aaaaaaaaAAbb", ENVOY, "100 100 100 100 100 100 100 100 . . . .", 0, 0, 0},
    {"half of the first: 70 to 30", "aAbb", ENVOY, "100 . 21 21", 0, 1, 0},
    {"a quarter: 35 to 65", "aAAAbbbb", ENVOY, "100 . . . 46 46 46 46", 0, 1, 0},
    {"the first is gone", "AAbb", ENVOY, ". . 100 100", 0, 1, 0},
    {"both are gone, the third serves", "ABcc", ENVOY, ". . 100 100", 0, 1, 0},
    {"the first is taken out", "a!a!b", ENVOY, ". . 100", 0, 1, 0},
    {"all are gone: the first panics", "AABB", ENVOY, "100 100 . .", 1, 0, 0},
    {"too little of both: only the tier that is nearly gone panics", "aAAAAAAAbB", ENVOY, "3 3 3 3 3 3 3 3 100 .", 1, 1, 0},
    {"strict: one of the first is enough", "aAAb", STRICT, "100 . . .", 0, 0, 0},
    {"strict: the first is gone", "AAAb", STRICT, ". . . 100", 0, 1, 0},
    {"our zone first", "aaa~a~", ZONES, "100 100 . .", 0, 0, 1},
    {"three of four here are enough", "aaaAa~", ZONES, "100 100 100 . .", 0, 0, 1},
    {"one of two is not", "aAa~a~", ZONES, "100 . 100 100", 0, 0, 0},
    {"we have nobody here", "a~a~", ZONES, "100 100", 0, 0, 0},
    {"everybody is here", "aaa", ZONES, "100 100 100", 0, 0, 0},
    {"we do not know our zone", "aa~", ENVOY, "100 100", 0, 0, 0},
    {"the zone is down, the other tier stands by", "AAa~a~b", ZONES, ". . 100 100 86", 0, 1, 0},
    /* clang-format on */
};

static void told_as_stories(void **state)
{
    for (size_t i = 0; i < sizeof(stories) / sizeof(stories[0]); i++) {
        const struct story *story = &stories[i];
        struct nr_select_host hosts[HOSTS];
        uint32_t count = parse(story->hosts, hosts);
        struct nr_select_result result = nr_select(hosts, count, &story->rule);
        char shares[128] = "";

        for (uint32_t h = 0; h < count; h++) {
            size_t len = strlen(shares);

            if (hosts[h].takes)
                snprintf(shares + len, sizeof(shares) - len, "%s%u", h > 0 ? " " : "",
                         (hosts[h].share + 5) / 10);
            else
                snprintf(shares + len, sizeof(shares) - len, "%s.", h > 0 ? " " : "");
        }
        print_message("# %s: %s\n", story->name, shares);
        assert_string_equal(shares, story->shares);
        assert_int_equal(result.panic, story->panic);
        assert_int_equal(result.standby, story->standby);
        assert_int_equal(result.zone, story->zone);
    }
}

static void weights_count_not_heads(void **state)
{
    struct nr_select_host hosts[HOSTS];
    const struct nr_select_rule rule = ENVOY;

    (void)parse("aAb", hosts);
    hosts[0].weight = 9000; /* nine tenths of the tier */
    assert_false(nr_select(hosts, 3, &rule).standby);
    hosts[0].weight = 100;
    hosts[2].weight = 0; /* an operator's zero is out */
    assert_true(nr_select(hosts, 3, &rule).panic);
    assert_false(hosts[2].takes);
}

/* Whatever the hosts are: who is taken out never takes; without panic nobody unhealthy does; if
 * anybody healthy may be used, somebody takes; and with one tier all shares are whole. */
static void sound_for_any_hosts(void **state)
{
    PROPERTY_FOR_ANY (seed) {
        struct nr_select_rule rule = {.zones = seed % 2 == 0};
        struct nr_random random;
        uint32_t count;
        uint64_t tiers;
        bool some_healthy = false, some_take = false;
        struct nr_select_host hosts[HOSTS];
        struct nr_select_result result;

        nr_random_init(&random, seed);
        rule.over_pct = seed % 5 == 0 ? 0 : 100 + (uint32_t)nr_random_below(&random, 100);
        rule.panic_pct = (uint32_t)nr_random_below(&random, 101);
        rule.zone_pct = (uint32_t)nr_random_below(&random, 101);
        count = 1 + (uint32_t)nr_random_below(&random, HOSTS);
        tiers = 1 + nr_random_below(&random, NR_TIERS_MAX);
        for (uint32_t h = 0; h < count; h++) {
            hosts[h] =
                (struct nr_select_host){.weight = (uint32_t)nr_random_below(&random, 4) * 500,
                                        .priority = (uint8_t)nr_random_below(&random, tiers),
                                        .usable = nr_random_below(&random, 4) != 0,
                                        .healthy = nr_random_below(&random, 2) != 0,
                                        .local = nr_random_below(&random, 2) != 0};
            some_healthy |= hosts[h].weight > 0 && hosts[h].usable && hosts[h].healthy;
        }
        result = nr_select(hosts, count, &rule);
        for (uint32_t h = 0; h < count; h++) {
            some_take |= hosts[h].takes;
            if (!hosts[h].takes)
                continue;
            assert_true(hosts[h].usable && hosts[h].weight > 0);
            assert_true(hosts[h].healthy || result.panic);
            assert_in_range(hosts[h].share, 1, NR_SELECT_WHOLE);
            if (tiers == 1)
                assert_int_equal(hosts[h].share, NR_SELECT_WHOLE);
        }
        assert_true(some_take || !some_healthy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(told_as_stories),
        cmocka_unit_test(weights_count_not_heads),
        property_test(sound_for_any_hosts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
