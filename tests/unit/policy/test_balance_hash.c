/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../property.h"
#include "policy/balance_hash.h"

enum { HOSTS = 10, CALLS = 1000000 };

struct bench {
    struct nr_balance_set set;
    struct nr_balance_host hosts[HOSTS];
    struct nr_hash_table table;
    void *memory;
    uint32_t in_flight;
    uint32_t peak[HOSTS];
    uint32_t taken[HOSTS];
};

static void bench_init(struct bench *b, enum nr_hash_kind kind)
{
    struct nr_hash_host hosts[HOSTS];
    struct nr_hash_work work[HOSTS];
    uint32_t size;

    memset(b, 0, sizeof(*b));
    for (uint32_t i = 0; i < HOSTS; i++) {
        b->hosts[i] = (struct nr_balance_host){.weight = 1, .up = true};
        hosts[i] = (struct nr_hash_host){.id = nr_hash_mix(i + 1), .weight = 1, .takes = true};
    }
    nr_balance_init(&b->set, b->hosts, HOSTS);
    size = nr_hash_table_size(kind, hosts, HOSTS);
    b->memory = malloc(nr_hash_table_bytes(kind, size));
    nr_hash_table_build(&b->table, kind, size, b->memory, hosts, HOSTS, work);
}

static uint32_t pick(struct bench *b, uint64_t key, uint64_t skip, uint32_t bound_pct)
{
    return nr_balance_pick_hash(&b->set, &b->table, nr_hash_mix(key), skip, bound_pct,
                                b->in_flight);
}

static void begin(struct bench *b, uint32_t host)
{
    b->hosts[host].in_flight++;
    b->in_flight++;
    b->taken[host]++;
    if (b->hosts[host].in_flight > b->peak[host])
        b->peak[host] = b->hosts[host].in_flight;
}

static void a_key_stays_where_it_is(void **state)
{
    for (uint32_t kind = NR_HASH_MAGLEV; kind <= NR_HASH_RING; kind++) {
        struct bench b;

        bench_init(&b, kind);
        for (uint64_t key = 0; key < 1000; key++) {
            uint32_t home = pick(&b, key, 0, 125), next, third;

            assert_int_equal(pick(&b, key, 0, 125), home);
            next = pick(&b, key, (uint64_t)1 << home, 125); /* a retry goes elsewhere */
            assert_int_not_equal(next, home);
            assert_int_equal(pick(&b, key, (uint64_t)1 << home, 125), next); /* always there */
            third = pick(&b, key, (uint64_t)1 << home | (uint64_t)1 << next, 125);
            assert_true(third != home && third != next);
        }
        assert_true(pick(&b, 1, 1023, 125) == NR_BALANCE_NONE);
        free(b.memory);
    }
}

static void a_million_keys_spread_evenly(void **state)
{
    for (uint32_t kind = NR_HASH_MAGLEV; kind <= NR_HASH_RING; kind++) {
        double slack = kind == NR_HASH_MAGLEV ? 0.02 : 0.10;
        struct bench b;

        bench_init(&b, kind);
        for (uint64_t key = 0; key < CALLS; key++)
            b.taken[pick(&b, key, 0, 0)]++;
        for (uint32_t i = 0; i < HOSTS; i++)
            assert_in_range(b.taken[i], CALLS / HOSTS * (1 - slack), CALLS / HOSTS * (1 + slack));
        free(b.memory);
    }
}

/* 500 calls at a time, half of them for one key: without a bound that key's host carries 250 and
 * more; with one, nobody ever carries more than 125 % of the fair share, which is 63. */
static void a_hot_key_does_not_drown_its_host(void **state)
{
    for (uint32_t kind = NR_HASH_MAGLEV; kind <= NR_HASH_RING; kind++) {
        for (uint32_t bound_pct = 0; bound_pct <= 125; bound_pct += 125) {
            uint32_t on[500], most = 0;
            struct bench b;

            bench_init(&b, kind);
            for (uint32_t i = 0; i < 100000; i++) {
                uint32_t host;

                if (i >= 500) { /* the oldest is over */
                    b.hosts[on[i % 500]].in_flight--;
                    b.in_flight--;
                }
                host = pick(&b, i % 2 ? i : 7, 0, bound_pct);
                begin(&b, host);
                on[i % 500] = host;
            }
            for (uint32_t i = 0; i < HOSTS; i++)
                most = b.peak[i] > most ? b.peak[i] : most;
            if (bound_pct == 0)
                assert_true(most >= 250);
            else
                assert_in_range(most, 50, 63);
            free(b.memory);
        }
    }
}

/* A browser's parallel requests stay on one host: so few calls are no load. */
static void a_few_calls_stay_together(void **state)
{
    uint32_t home;
    struct bench b;

    bench_init(&b, NR_HASH_MAGLEV);
    home = pick(&b, 7, 0, 125);
    for (int i = 0; i < NR_BALANCE_BOUND_FREE; i++) {
        assert_int_equal(pick(&b, 7, 0, 125), home);
        begin(&b, home);
    }
    for (int i = 0; i < NR_BALANCE_BOUND_FREE; i++)
        begin(&b, home);
    assert_int_not_equal(pick(&b, 7, 0, 125), home);
    free(b.memory);
}

/* A slow start lowers the host's bound, not its place in the table. */
static void a_light_host_overflows_sooner(void **state)
{
    uint32_t home;
    struct bench b;

    bench_init(&b, NR_HASH_MAGLEV);
    for (uint32_t i = 0; i < HOSTS; i++)
        b.hosts[i].weight = 1000;
    home = pick(&b, 7, 0, 125);
    b.hosts[home].weight = 100;
    nr_balance_settle(&b.set, false);
    for (int i = 0; i < 100; i++) {
        uint32_t host = pick(&b, 7, 0, 125);

        assert_int_not_equal(host, NR_BALANCE_NONE);
        begin(&b, host);
    }
    assert_in_range(b.hosts[home].in_flight, 1, 2);
    free(b.memory);
}

static void hosts_that_are_down_are_passed(void **state)
{
    for (uint32_t kind = NR_HASH_MAGLEV; kind <= NR_HASH_RING; kind++) {
        struct bench b;

        bench_init(&b, kind); /* the table still names them */
        for (uint32_t i = 1; i < HOSTS; i++)
            nr_balance_mark(&b.set, i, false);
        for (uint64_t key = 0; key < 1000; key++)
            assert_int_equal(pick(&b, key, 0, 125), 0);
        nr_balance_mark(&b.set, 0, false);
        assert_true(pick(&b, 1, 0, 125) == NR_BALANCE_NONE);
        free(b.memory);
    }
}

/* Any comings, goings, weights, calls and skips, over both tables: who is taken may be taken;
 * nobody carries more than his share of the bound, unless all have reached theirs; and while
 * nothing changes, a key has one place. */
static void any_schedule(void **state)
{
    struct bench benches[2];
    uint64_t overflows = 0;

    bench_init(&benches[0], NR_HASH_MAGLEV);
    bench_init(&benches[1], NR_HASH_RING);
    PROPERTY_FOR_ANY (seed) {
        struct bench *b = &benches[seed % 2];
        uint32_t bound_pct = seed % 3 == 0 ? 0 : 100 + (uint32_t)(seed % 100);
        struct nr_random random;

        nr_random_init(&random, seed);
        b->in_flight = 0;
        for (uint32_t i = 0; i < HOSTS; i++)
            b->hosts[i] = (struct nr_balance_host){
                .weight = 1 + (uint32_t)nr_random_below(&random, seed % 5 ? 1 : 1000),
                .up = nr_random_below(&random, 4) > 0};
        nr_balance_init(&b->set, b->hosts, HOSTS);
        for (int step = 0; step < 100; step++) {
            uint64_t key = nr_random_below(&random, 2) * nr_random_below(&random, 5);
            uint64_t skip = step % 4 ? 0 : nr_random_u64(&random) & nr_random_u64(&random);
            uint32_t host = pick(b, key, skip, bound_pct), other, may = 0;
            uint64_t calls = (uint64_t)b->in_flight + 1, few = NR_BALANCE_BOUND_FREE * HOSTS;

            calls = calls > few ? calls : few;
            for (uint32_t i = 0; i < HOSTS; i++)
                may += nr_balance_takes(&b->hosts[i], i, skip);
            assert_int_equal(host != NR_BALANCE_NONE, may > 0);
            assert_int_equal(pick(b, key, skip, 0) != NR_BALANCE_NONE, may > 0);
            if (host == NR_BALANCE_NONE)
                continue;
            assert_true(nr_balance_takes(&b->hosts[host], host, skip));
            if (bound_pct > 0 && skip == 0) {
                /* ceil(bound × calls × weight / all) */
                uint64_t part = bound_pct * calls * b->hosts[host].weight;
                uint64_t whole = 100 * b->set.weight_up;

                assert_true(b->hosts[host].in_flight + 1u <= (part + whole - 1) / whole);
                overflows += host != pick(b, key, 0, 0);
            } else if (bound_pct == 0) {
                assert_int_equal(pick(b, key, skip, 0), host);
            }
            begin(b, host);
            other = (uint32_t)nr_random_below(&random, HOSTS);
            if (step % 2 == 0 && b->hosts[other].in_flight > 0) {
                b->hosts[other].in_flight--;
                b->in_flight--;
            }
            if (step % 30 == 29)
                nr_balance_mark(&b->set, other, !b->hosts[other].up);
        }
    }
    property_covers(overflows, 1000);
    free(benches[0].memory);
    free(benches[1].memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_stays_where_it_is),
        cmocka_unit_test(a_million_keys_spread_evenly),
        cmocka_unit_test(a_hot_key_does_not_drown_its_host),
        cmocka_unit_test(a_few_calls_stay_together),
        cmocka_unit_test(a_light_host_overflows_sooner),
        cmocka_unit_test(hosts_that_are_down_are_passed),
        property_test(any_schedule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
