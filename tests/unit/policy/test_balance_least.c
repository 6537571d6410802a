/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "../property.h"
#include "policy/balance.h"

enum { HOSTS = 6 };

struct bench {
    struct nr_balance_set set;
    struct nr_balance_host hosts[HOSTS];
};

static void bench_init(struct bench *b, const uint32_t *weights, uint32_t count)
{
    memset(b, 0, sizeof(*b));
    for (uint32_t i = 0; i < count; i++)
        b->hosts[i] = (struct nr_balance_host){.weight = weights[i], .up = true};
    nr_balance_init(&b->set, b->hosts, count);
}

static void the_least_loaded_for_its_weight(void **state)
{
    static const struct {
        const char *name;
        uint32_t weights[3], in_flight[3];
        uint64_t skip;
        uint32_t expected;
    } cases[] = {
        {"fewest", {1, 1, 1}, {3, 1, 2}, 0, 1},
        {"the first of equals begins", {1, 1, 1}, {2, 2, 2}, 0, 0},
        {"twice the weight bears twice the calls", {1, 2, 1}, {3, 5, 3}, 0, 1},
        {"but not more", {1, 2, 1}, {2, 5, 3}, 0, 0},
        {"the tried one is skipped", {1, 1, 1}, {3, 1, 2}, 2, 2},
        {"all skipped", {1, 1, 1}, {3, 1, 2}, 7, NR_BALANCE_NONE},
        {"large numbers do not overflow",
         {1000000, 1000000, 1},
         {4000000000u, 3999999999u, 4000000000u},
         0,
         1},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bench b;

        bench_init(&b, cases[i].weights, 3);
        for (uint32_t h = 0; h < 3; h++)
            b.hosts[h].in_flight = cases[i].in_flight[h];
        assert_true(nr_balance_pick_least(&b.set, cases[i].skip) == cases[i].expected);
    }
}

/* Calls that end before the next begins leave all hosts equal: they still all take part. */
static void an_idle_service_spreads_by_weight(void **state)
{
    struct bench b;
    uint32_t taken[HOSTS] = {0};

    bench_init(&b, (uint32_t[]){3, 1, 2}, 3);
    for (int i = 0; i < 600; i++)
        taken[nr_balance_pick_least(&b.set, 0)]++;
    assert_int_equal(taken[0], 300);
    assert_int_equal(taken[1], 100);
    assert_int_equal(taken[2], 200);
}

/* Any schedule of begins and ends: the one taken has the least load of those that may be taken. */
static void never_a_busier_one(void **state)
{
    PROPERTY_FOR_ANY (seed) {
        uint32_t weights[HOSTS];
        struct nr_random random;
        struct bench b;

        nr_random_init(&random, seed);
        for (int i = 0; i < HOSTS; i++)
            weights[i] = 1 + (uint32_t)nr_random_below(&random, 4);
        bench_init(&b, weights, HOSTS);
        for (int step = 0; step < 20; step++) {
            uint32_t other = (uint32_t)nr_random_below(&random, HOSTS);
            uint64_t skip = nr_random_u64(&random) & nr_random_u64(&random);
            uint32_t host;

            if (step % 7 == 3)
                nr_balance_mark(&b.set, other, !b.hosts[other].up);
            host = nr_balance_pick_least(&b.set, skip);
            for (uint32_t h = 0; h < HOSTS; h++) {
                if (!nr_balance_takes(&b.hosts[h], h, skip))
                    continue;
                assert_true(host != NR_BALANCE_NONE);
                assert_true((uint64_t)b.hosts[host].in_flight * b.hosts[h].weight <=
                            (uint64_t)b.hosts[h].in_flight * b.hosts[host].weight);
            }
            if (host == NR_BALANCE_NONE)
                continue;
            assert_true(nr_balance_takes(&b.hosts[host], host, skip));
            b.hosts[host].in_flight++;
            if (b.hosts[other].in_flight > 0 && step % 2 == 0)
                b.hosts[other].in_flight--;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_loaded_for_its_weight),
        cmocka_unit_test(an_idle_service_spreads_by_weight),
        property_test(never_a_busier_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
