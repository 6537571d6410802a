/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../property.h"
#include "policy/balance.h"

enum { HOSTS = 6, PICKS = 1000000 };

struct bench {
    struct nr_balance_set set;
    struct nr_balance_host hosts[HOSTS];
    struct nr_random random;
};

static void bench_init(struct bench *b, const uint32_t *weights, uint32_t count)
{
    memset(b, 0, sizeof(*b));
    for (uint32_t i = 0; i < count; i++)
        b->hosts[i] = (struct nr_balance_host){.weight = weights[i], .up = true};
    nr_balance_init(&b->set, b->hosts, count);
    nr_random_init(&b->random, 3);
}

/* Shares after a million picks, within four standard deviations: sqrt(n p (1 - p)) <= 500. */
static void a_million_picks_follow_the_weights(void **state)
{
    static const struct {
        uint32_t weights[HOSTS];
        uint32_t count;
        uint64_t skip;
        uint32_t down; /* bits */
    } cases[] = {
        {{1, 1, 1}, 3, 0, 0},          {{5, 1, 1}, 3, 0, 0},    {{1, 2, 3, 4, 5, 6}, 6, 0, 0},
        {{1, 1, 1, 1}, 4, 2, 0},       {{3, 2, 1, 1}, 4, 1, 4}, {{1000, 1}, 2, 0, 0},
        {{9, 9, 9, 9, 9, 9}, 6, 0, 7}, {{4}, 1, 0, 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t taken[HOSTS] = {0}, total = 0;
        uint32_t out = (uint32_t)cases[i].skip | cases[i].down;
        struct bench b;

        bench_init(&b, cases[i].weights, cases[i].count);
        for (uint32_t h = 0; h < cases[i].count; h++) {
            if (cases[i].down >> h & 1)
                nr_balance_mark(&b.set, h, false);
            total += out >> h & 1 ? 0 : cases[i].weights[h];
        }
        for (int n = 0; n < PICKS; n++)
            taken[nr_balance_pick_random(&b.set, cases[i].skip, &b.random)]++;
        for (uint32_t h = 0; h < cases[i].count; h++) {
            int want = out >> h & 1 ? 0 : (int)((uint64_t)PICKS * cases[i].weights[h] / total);

            assert_true(abs((int)taken[h] - want) <= (want > 0 ? 2000 : 0));
        }
    }
}

static void nobody_to_take(void **state)
{
    struct bench b;

    bench_init(&b, (uint32_t[]){1, 1}, 0);
    assert_true(nr_balance_pick_random(&b.set, 0, &b.random) == NR_BALANCE_NONE);
    bench_init(&b, (uint32_t[]){1, 1}, 2);
    assert_true(nr_balance_pick_random(&b.set, 3, &b.random) == NR_BALANCE_NONE);
    nr_balance_mark(&b.set, 0, false);
    nr_balance_mark(&b.set, 1, false);
    assert_true(nr_balance_pick_random(&b.set, 0, &b.random) == NR_BALANCE_NONE);
}

/* Any weights, comings, goings and skips: somebody is taken exactly if somebody may be, never who
 * is down, skipped or excepted. */
static void any_schedule(void **state)
{
    PROPERTY_FOR_ANY (seed) {
        uint32_t weights[HOSTS], count;
        struct bench b;

        nr_random_init(&b.random, seed);
        count = 1 + (uint32_t)nr_random_below(&b.random, HOSTS);
        for (uint32_t i = 0; i < count; i++)
            weights[i] = 1 + (uint32_t)nr_random_below(&b.random, seed % 2 ? 1 : 1000);
        bench_init(&b, weights, count);
        nr_random_init(&b.random, ~seed);
        for (int step = 0; step < 30; step++) {
            uint64_t skip = step % 3 ? 0 : nr_random_u64(&b.random) & nr_random_u64(&b.random);
            uint32_t except = (uint32_t)nr_random_below(&b.random, count), host, may = 0,
                     others = 0;

            if (step % 5 == 4)
                nr_balance_mark(&b.set, except, !b.hosts[except].up);
            for (uint32_t i = 0; i < count; i++) {
                may += nr_balance_takes(&b.hosts[i], i, skip);
                others += nr_balance_takes(&b.hosts[i], i, skip) && i != except;
            }
            host = nr_balance_pick_random(&b.set, skip, &b.random);
            assert_int_equal(host != NR_BALANCE_NONE, may > 0);
            assert_true(may == 0 || nr_balance_takes(&b.hosts[host], host, skip));
            host = nr_balance_draw(&b.set, skip, except, &b.random);
            assert_int_equal(host != NR_BALANCE_NONE, others > 0);
            assert_true(others == 0 ||
                        (host != except && nr_balance_takes(&b.hosts[host], host, skip)));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_million_picks_follow_the_weights),
        cmocka_unit_test(nobody_to_take),
        property_test(any_schedule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
