/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "../property.h"
#include "policy/balance.h"

enum { HOSTS = 6 };

#define MS ((uint64_t)1000000)
#define S  (1000 * MS)

struct bench {
    struct nr_balance_set set;
    struct nr_balance_host hosts[HOSTS];
    struct nr_random random;
    uint64_t now_ns;
    uint32_t taken[HOSTS];
};

static void bench_init(struct bench *b, const uint32_t *weights, uint32_t count)
{
    memset(b, 0, sizeof(*b));
    for (uint32_t i = 0; i < count; i++)
        b->hosts[i] = (struct nr_balance_host){.weight = weights[i], .up = true};
    nr_balance_init(&b->set, b->hosts, count);
    nr_random_init(&b->random, 42);
    b->now_ns = S;
}

static uint32_t pick(struct bench *b, uint64_t skip)
{
    return nr_balance_pick_p2c(&b->set, skip, &b->random, b->now_ns);
}

/* One call after the other, each host with its own time and success. */
static void run_calls(struct bench *b, int calls, const uint64_t *latency_ns, const bool *ok)
{
    memset(b->taken, 0, sizeof(b->taken));
    for (int i = 0; i < calls; i++) {
        uint32_t host = pick(b, 0);

        b->taken[host]++;
        b->now_ns += latency_ns[host];
        nr_balance_observe(&b->hosts[host], b->now_ns, latency_ns[host], ok[host]);
    }
}

static void nobody_one_and_two(void **state)
{
    struct bench b;

    bench_init(&b, (uint32_t[]){1, 1, 1}, 0);
    assert_true(pick(&b, 0) == NR_BALANCE_NONE);
    bench_init(&b, (uint32_t[]){1, 1, 1}, 3);
    assert_true(pick(&b, 7) == NR_BALANCE_NONE);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(pick(&b, 5), 1);
        assert_int_not_equal(pick(&b, 4), 2);
    }
    nr_balance_mark(&b.set, 0, false);
    nr_balance_mark(&b.set, 2, false);
    assert_int_equal(pick(&b, 0), 1);
}

static void equals_share_equally_and_by_weight(void **state)
{
    static const struct {
        uint32_t weights[3];
        uint32_t share_pct[3];
    } cases[] = {
        {{1, 1, 1}, {33, 33, 33}},
        {{2, 2, 2}, {33, 33, 33}},
        {{2, 1, 1}, {50, 25, 25}},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bench b;
        uint32_t taken[3] = {0};

        bench_init(&b, cases[i].weights, 3);
        for (int n = 0; n < 30000; n++)
            taken[pick(&b, 0)]++;
        for (int h = 0; h < 3; h++) {
            assert_in_range(taken[h], cases[i].share_pct[h] * 300 - 700,
                            cases[i].share_pct[h] * 300 + 900);
        }
    }
}

/* With two hosts both are always drawn: the cheaper one must be taken every time. */
static void the_cheaper_of_two(void **state)
{
    struct bench b;

    bench_init(&b, (uint32_t[]){1, 1}, 2);
    nr_balance_observe(&b.hosts[0], b.now_ns, 10 * MS, true);
    nr_balance_observe(&b.hosts[1], b.now_ns, 30 * MS, true);
    assert_int_equal(pick(&b, 0), 0);
    b.hosts[0].in_flight = 1; /* 20 against 30 */
    assert_int_equal(pick(&b, 0), 0);
    b.hosts[0].in_flight = 3; /* 40 against 30 */
    assert_int_equal(pick(&b, 0), 1);
    b.hosts[1].in_flight = 1; /* 40 against 60 */
    assert_int_equal(pick(&b, 0), 0);
}

/* Linkerd's peak EWMA: bad news at once, good news slowly, and no news fades. */
static void latency_rises_at_once_and_falls_with_time(void **state)
{
    struct bench b;
    float cost;

    bench_init(&b, (uint32_t[]){1}, 1);
    nr_balance_observe(&b.hosts[0], b.now_ns, 10 * MS, true);
    assert_true(nr_balance_cost(&b.hosts[0], b.now_ns) == 10e6f);
    b.now_ns += 10 * MS;
    nr_balance_observe(&b.hosts[0], b.now_ns, 500 * MS, true);
    assert_true(nr_balance_cost(&b.hosts[0], b.now_ns) == 500e6f);
    b.now_ns += 10 * MS;
    nr_balance_observe(&b.hosts[0], b.now_ns, 10 * MS, true);
    assert_true(nr_balance_cost(&b.hosts[0], b.now_ns) > 490e6f);
    for (int i = 0; i < 400; i++) { /* 40 s of good answers */
        b.now_ns += 100 * MS;
        nr_balance_observe(&b.hosts[0], b.now_ns, 10 * MS, true);
    }
    cost = nr_balance_cost(&b.hosts[0], b.now_ns);
    assert_true(cost >= 10e6f && cost < 25e6f);
    b.now_ns += 30 * S; /* silence */
    assert_true(nr_balance_cost(&b.hosts[0], b.now_ns) < cost / 10);
}

/* Source: Linkerd's load (tower, peak_ewma.rs, default_decay and compound_decay), whose second of
 * decay is ten here: 10 ms are between 9 and 10 after a tenth of it, between 8 and 9 after two; an
 * answer slower than the average replaces it, times one more than what is in flight; afterwards it
 * fades. */
static void loads_as_published(void **state)
{
    struct bench b;
    float cost;

    bench_init(&b, (uint32_t[]){1}, 1);
    nr_balance_observe(&b.hosts[0], b.now_ns, 10 * MS, true);
    assert_true(nr_balance_cost(&b.hosts[0], b.now_ns) == 10e6f);
    cost = nr_balance_cost(&b.hosts[0], b.now_ns + S);
    assert_true(9e6f < cost && cost < 10e6f);
    cost = nr_balance_cost(&b.hosts[0], b.now_ns + 2 * S);
    assert_true(8e6f < cost && cost < 9e6f);

    bench_init(&b, (uint32_t[]){1}, 1);
    nr_balance_observe(&b.hosts[0], b.now_ns, 20 * MS, true);
    b.now_ns += S;
    b.hosts[0].in_flight = 1;
    assert_true(nr_balance_cost(&b.hosts[0], b.now_ns) > 20e6f);
    b.now_ns += S;
    b.hosts[0].in_flight = 2;
    assert_true(nr_balance_cost(&b.hosts[0], b.now_ns) > 40e6f);
    b.now_ns += S; /* the first was slow, the second is still out */
    b.hosts[0].in_flight = 1;
    nr_balance_observe(&b.hosts[0], b.now_ns, 2 * S, true);
    assert_true(nr_balance_cost(&b.hosts[0], b.now_ns) == 4e9f);
    b.now_ns += S; /* as slow as the first */
    b.hosts[0].in_flight = 0;
    nr_balance_observe(&b.hosts[0], b.now_ns, 2 * S, true);
    assert_true(nr_balance_cost(&b.hosts[0], b.now_ns) == 2e9f);
    assert_true(nr_balance_cost(&b.hosts[0], b.now_ns + 10 * S) < 1e9f);
    assert_true(nr_balance_cost(&b.hosts[0], b.now_ns + 110 * S) < 10e6f); /* there: 1 */
}

/* The failure that Linkerd's users met: an instance that answers errors within 100 µs looks like
 * the best of all to a balancer that only knows latency and in-flight. */
static void fast_errors_attract_nothing(void **state)
{
    struct bench b;

    bench_init(&b, (uint32_t[]){1, 1, 1}, 3);
    run_calls(&b, 1000, (uint64_t[]){20 * MS, 20 * MS, MS / 10}, (bool[]){true, true, false});
    assert_true(b.taken[2] <= 20); /* 20 s: tried again now and then */
    assert_true(b.taken[0] > 300);
    assert_true(b.taken[1] > 300);
}

static void an_instance_that_was_good_and_now_fails_is_left(void **state)
{
    const uint64_t latency_ns[] = {20 * MS, 20 * MS, 20 * MS};
    struct bench b;

    bench_init(&b, (uint32_t[]){1, 1, 1}, 3);
    run_calls(&b, 300, latency_ns, (bool[]){true, true, true});
    assert_true(b.taken[2] > 50);
    run_calls(&b, 300, (uint64_t[]){20 * MS, 20 * MS, MS / 10}, (bool[]){true, true, false});
    assert_true(b.taken[2] < 15);
    run_calls(&b, 3000, latency_ns, (bool[]){true, true, true}); /* and it comes back */
    assert_true(b.taken[2] > 500);
}

/* With one call at a time an unknown host is asked at once; a flood of calls does not all go there.
 */
static void a_new_host_is_tried_but_not_flooded(void **state)
{
    struct bench b;

    bench_init(&b, (uint32_t[]){1, 1}, 2);
    nr_balance_observe(&b.hosts[0], b.now_ns, 5 * MS, true);
    assert_int_equal(pick(&b, 0), 1);
    b.hosts[1].in_flight = 1;
    b.hosts[0].in_flight = 50;
    assert_int_equal(pick(&b, 0), 0);
}

static void nothing_overflows_and_only_takable_hosts_are_taken(void **state)
{
    PROPERTY_FOR_ANY (seed) {
        uint32_t weights[HOSTS], count;
        struct nr_random random;
        struct bench b;

        nr_random_init(&random, seed);
        count = 1 + (uint32_t)nr_random_below(&random, HOSTS);
        for (uint32_t i = 0; i < count; i++)
            weights[i] = seed % 2 ? 1 : 1 + (uint32_t)nr_random_below(&random, 100);
        bench_init(&b, weights, count);
        for (int step = 0; step < 20; step++) {
            uint64_t skip = step % 3 ? 0 : nr_random_u64(&random);
            uint32_t host;

            b.now_ns += nr_random_u64(&random) >> (8 + nr_random_below(&random, 55));
            if (step % 5 == 4) {
                uint32_t flap = (uint32_t)nr_random_below(&random, count);

                nr_balance_mark(&b.set, flap, !b.hosts[flap].up);
            }
            host = pick(&b, skip);
            for (uint32_t h = 0; h < count && host == NR_BALANCE_NONE; h++)
                assert_false(nr_balance_takes(&b.hosts[h], h, skip));
            if (host == NR_BALANCE_NONE)
                continue;
            assert_true(nr_balance_takes(&b.hosts[host], host, skip));
            nr_balance_observe(&b.hosts[host], b.now_ns,
                               nr_random_u64(&random) >> nr_random_below(&random, 64),
                               nr_random_below(&random, 2) == 0);
            assert_true(nr_balance_cost(&b.hosts[host], b.now_ns) > 0);
            assert_true(nr_balance_cost(&b.hosts[host], UINT64_MAX) >= 0);
            assert_true(b.hosts[host].penalty >= 1 && b.hosts[host].penalty <= 256);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_one_and_two),
        cmocka_unit_test(equals_share_equally_and_by_weight),
        cmocka_unit_test(the_cheaper_of_two),
        cmocka_unit_test(latency_rises_at_once_and_falls_with_time),
        cmocka_unit_test(loads_as_published),
        cmocka_unit_test(fast_errors_attract_nothing),
        cmocka_unit_test(an_instance_that_was_good_and_now_fails_is_left),
        cmocka_unit_test(a_new_host_is_tried_but_not_flooded),
        property_test(nothing_overflows_and_only_takable_hosts_are_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
