/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "../property.h"
#include "policy/balance.h"
#include "policy/breaker.h"

enum { HOSTS = 8 };

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

/* Sources: nginx, upstream round robin, commit of May 2012 ({5,1,1}); the others by hand. */
static void orders_as_published(void **state)
{
    static const struct {
        uint32_t weights[HOSTS];
        uint32_t count;
        const char *order;
    } cases[] = {
        {{5, 1, 1}, 3, "aabacaaaabacaa"},
        {{1, 1, 1}, 3, "abcabcabc"},
        {{1}, 1, "aaaa"},
        {{1, 2}, 2, "babbab"},
        {{4, 2, 1}, 3, "abacabaabacaba"},
        {{7, 7}, 2, "abab"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bench b;

        bench_init(&b, cases[i].weights, cases[i].count);
        for (const char *c = cases[i].order; *c != '\0'; c++)
            assert_int_equal('a' + (int)nr_balance_pick_rr(&b.set, 0), *c);
    }
}

static void nobody_to_take(void **state)
{
    struct bench b;

    bench_init(&b, (uint32_t[]){1, 1}, 0);
    assert_true(nr_balance_pick_rr(&b.set, 0) == NR_BALANCE_NONE);
    bench_init(&b, (uint32_t[]){1, 1}, 2);
    assert_true(nr_balance_pick_rr(&b.set, 3) == NR_BALANCE_NONE);
    nr_balance_mark(&b.set, 0, false);
    assert_int_equal(b.set.up, 1);
    assert_int_equal(nr_balance_pick_rr(&b.set, 0), 1);
    assert_int_equal(nr_balance_pick_rr(&b.set, 0), 1);
    nr_balance_mark(&b.set, 1, false);
    assert_true(nr_balance_pick_rr(&b.set, 0) == NR_BALANCE_NONE);
    assert_int_equal(b.set.up, 0);
}

/* Source: nginx-tests, upstream.t: 30 requests on two peers are answered 15 to 15; when each third
 * request to the first breaks and is repeated on the other, and 3 failures within 10 s take a peer
 * out for 10 s, 6 to 24. Here a breaker per instance takes it out. */
static void two_peers_as_published(void **state)
{
    static const struct nr_breaker_conf three_in_ten_s = {.window = NR_BREAKER_BY_TIME,
                                                          .size = 10,
                                                          .failures = 3,
                                                          .open_ns = 10000000000,
                                                          .slow_ns = 1000000000};
    static const uint32_t expected[][2] = {{15, 15}, {6, 24}};

    for (uint32_t flaky = 0; flaky < 2; flaky++) {
        uint32_t answered[2] = {0}, asked = 0;
        struct nr_breaker breakers[2];
        struct nr_random random;
        struct bench b;

        nr_random_init(&random, 1);
        bench_init(&b, (uint32_t[]){1, 1}, 2);
        for (int i = 0; i < 2; i++)
            nr_breaker_init(&breakers[i], 1);
        for (int request = 0; request < 30; request++) {
            uint64_t skip = 0;
            bool done = false;

            while (!done) {
                uint32_t host = nr_balance_pick_rr(&b.set, skip), ticket;

                assert_int_not_equal(host, NR_BALANCE_NONE);
                skip |= (uint64_t)1 << host;
                if (nr_breaker_allow(&breakers[host], &three_in_ten_s, 1, &random, &ticket) !=
                    NR_BREAKER_PASS)
                    continue;
                done = flaky == 0 || host != 0 || ++asked % 3 != 0;
                nr_breaker_report(&breakers[host], &three_in_ten_s, ticket, 1, &random,
                                  done ? NR_BREAKER_OK : NR_BREAKER_FAILED, 0);
                answered[host] += done;
            }
        }
        assert_memory_equal(answered, expected[flaky], sizeof(answered));
    }
}

/* A host that comes back is neither flooded nor kept waiting. */
static void a_host_that_returns_takes_its_share_at_once(void **state)
{
    struct bench b;
    uint32_t taken[HOSTS] = {0};

    bench_init(&b, (uint32_t[]){2, 1, 1}, 3);
    for (int flap = 0; flap < 1000; flap++) { /* go down right after being served */
        while (nr_balance_pick_rr(&b.set, 0) != 1)
            ;
        nr_balance_mark(&b.set, 1, false);
        for (int i = 0; i < 7; i++)
            assert_int_not_equal(nr_balance_pick_rr(&b.set, 0), 1);
        nr_balance_mark(&b.set, 1, true);
    }
    for (int i = 0; i < 4; i++)
        taken[nr_balance_pick_rr(&b.set, 0)]++;
    assert_int_equal(taken[0], 2);
    assert_int_equal(taken[1], 1);
    assert_int_equal(taken[2], 1);
}

/* Any weights: one cycle takes each exactly as often as its weight, with the credits back at zero;
 * and skipping or losing hosts on the way never takes a wrong one or lets credits run away. */
static void shares_are_exact_for_any_weights(void **state)
{
    PROPERTY_FOR_ANY (seed) {
        uint32_t weights[HOSTS], taken[HOSTS] = {0}, total = 0, count;
        struct nr_random random;
        struct bench b;

        nr_random_init(&random, seed);
        count = 1 + (uint32_t)nr_random_below(&random, HOSTS);
        for (uint32_t i = 0; i < count; i++)
            total += weights[i] = 1 + (uint32_t)nr_random_below(&random, 9);
        bench_init(&b, weights, count);
        for (uint32_t i = 0; i < total; i++)
            taken[nr_balance_pick_rr(&b.set, 0)]++;
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(taken[i], weights[i]);
            assert_int_equal(b.hosts[i].turn, 0);
        }
        for (int i = 0; i < 30; i++) {
            uint64_t skip = nr_random_u64(&random) & nr_random_u64(&random);
            uint32_t flap = (uint32_t)nr_random_below(&random, count);
            uint32_t host;
            int64_t sum = 0;

            if (i % 10 == 0)
                nr_balance_mark(&b.set, flap, !b.hosts[flap].up);
            host = nr_balance_pick_rr(&b.set, skip);
            if (host != NR_BALANCE_NONE)
                assert_true(nr_balance_takes(&b.hosts[host], host, skip));
            for (uint32_t h = 0; h < count; h++) {
                sum += b.hosts[h].turn;
                assert_true(llabs(b.hosts[h].turn) <= 2 * (int64_t)total);
            }
            assert_int_equal(sum, 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_as_published),
        cmocka_unit_test(two_peers_as_published),
        cmocka_unit_test(nobody_to_take),
        cmocka_unit_test(a_host_that_returns_takes_its_share_at_once),
        property_test(shares_are_exact_for_any_weights),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
