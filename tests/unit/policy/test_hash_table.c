/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/hash_table.h"

enum { KEYS = 1000000, HOSTS = 64 };

struct bench {
    struct nr_hash_host hosts[HOSTS];
    struct nr_hash_work work[HOSTS];
    struct nr_hash_table table;
    void *memory;
};

static uint64_t id_of(uint32_t host)
{
    char name[32];

    snprintf(name, sizeof(name), "10.0.%u.%u:8080", host / 200, host % 200);
    return nr_hash_bytes(nr_span_of(name));
}

static void build(struct bench *b, enum nr_hash_kind kind, uint32_t count)
{
    uint32_t size = nr_hash_table_size(kind, b->hosts, count);

    free(b->memory);
    b->memory = malloc(nr_hash_table_bytes(kind, size));
    nr_hash_table_build(&b->table, kind, size, b->memory, b->hosts, count, b->work);
}

static void bench_init(struct bench *b, uint32_t count)
{
    memset(b, 0, sizeof(*b));
    for (uint32_t i = 0; i < count; i++)
        b->hosts[i] = (struct nr_hash_host){.id = id_of(i), .weight = 1, .takes = true};
}

/* The id of the host that a key belongs to. */
static uint64_t owner(const struct bench *b, uint64_t key)
{
    uint32_t place = nr_hash_table_start(&b->table, nr_hash_mix(key));

    while (!b->hosts[nr_hash_table_at(&b->table, place)].takes)
        place = (place + 1) % b->table.size;
    return b->hosts[nr_hash_table_at(&b->table, place)].id;
}

static uint64_t *owners(const struct bench *b)
{
    uint64_t *of = malloc(KEYS * sizeof(*of));

    for (uint64_t key = 0; key < KEYS; key++)
        of[key] = owner(b, key);
    return of;
}

static uint32_t moved(const uint64_t *before, const uint64_t *after, uint64_t gone)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < KEYS; i++) {
        if (before[i] == after[i])
            continue;
        count++;
        if (gone != 0)
            assert_true(before[i] == gone || after[i] == gone);
    }
    return count;
}

static void slots(const struct bench *b, uint32_t *per_host)
{
    memset(per_host, 0, HOSTS * sizeof(*per_host));
    for (uint32_t i = 0; i < b->table.size; i++)
        per_host[b->table.slots[i]]++;
}

/* Source: the Maglev paper, 3.4, and its Table 1: every host has the mean or one more. */
static void equal_hosts_have_equal_slots(void **state)
{
    for (uint32_t count = 1; count <= HOSTS; count++) {
        uint32_t per_host[HOSTS];
        struct bench b;

        bench_init(&b, count);
        build(&b, NR_HASH_MAGLEV, count);
        slots(&b, per_host);
        for (uint32_t i = 0; i < count; i++)
            assert_in_range(per_host[i], b.table.size / count, b.table.size / count + 1);
        for (uint32_t i = 0; i < count - 1; i++) /* some are down: still even among the rest */
            b.hosts[i].takes = i % 3 == 1;
        build(&b, NR_HASH_MAGLEV, count);
        slots(&b, per_host);
        for (uint32_t i = 0, up = 0; i < count; i++) {
            up = 0;
            for (uint32_t h = 0; h < count; h++)
                up += b.hosts[h].takes;
            if (b.hosts[i].takes)
                assert_in_range(per_host[i], b.table.size / up, b.table.size / up + 1);
            else
                assert_int_equal(per_host[i], 0);
        }
        free(b.memory);
    }
}

static void shares_follow_weights(void **state)
{
    static const struct {
        uint32_t weights[4];
        uint32_t count;
    } cases[] = {
        {{1, 1, 1, 1}, 4},      {{2, 1, 1}, 3}, {{5, 1, 1}, 3},
        {{100, 50, 25, 25}, 4}, {{1000, 1}, 2}, {{7}, 1},
    };

    for (uint32_t kind = NR_HASH_MAGLEV; kind <= NR_HASH_RING; kind++) {
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            uint32_t taken[4] = {0}, total = 0;
            struct bench b;

            bench_init(&b, cases[i].count);
            for (uint32_t h = 0; h < cases[i].count; h++)
                total += b.hosts[h].weight = cases[i].weights[h];
            build(&b, kind, cases[i].count);
            for (uint64_t key = 0; key < KEYS; key++)
                taken[nr_hash_table_at(&b.table, nr_hash_table_start(&b.table, key))]++;
            for (uint32_t h = 0; h < cases[i].count; h++) {
                double want = (double)KEYS * cases[i].weights[h] / total;
                double slack = kind == NR_HASH_MAGLEV ? 0.03 : 0.12;

                if (want < KEYS / 100) /* the lightest is there, though not exactly */
                    assert_in_range(taken[h], 1, KEYS / 25);
                else
                    assert_in_range(taken[h], (uint32_t)(want * (1 - slack)),
                                    (uint32_t)(want * (1 + slack)));
            }
            free(b.memory);
        }
    }
}

/* A host that is down for a while: its keys move and no others, at most 1.1/n of all; and with its
 * return all is as it was. */
static void only_the_keys_of_one_that_is_down_move(void **state)
{
    static const uint32_t counts[] = {2, 3, 5, 10, 20};

    for (uint32_t kind = NR_HASH_MAGLEV; kind <= NR_HASH_RING; kind++) {
        for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
            uint32_t count = counts[i];
            uint64_t *before, *after, *again;
            struct bench b;

            bench_init(&b, count);
            build(&b, kind, count);
            before = owners(&b);
            b.hosts[count / 2].takes = false;
            build(&b, kind, count);
            after = owners(&b);
            assert_in_range(moved(before, after, b.hosts[count / 2].id), KEYS * 0.9 / count,
                            KEYS * 1.1 / count);
            b.hosts[count / 2].takes = true;
            build(&b, kind, count);
            again = owners(&b);
            assert_int_equal(moved(before, again, 0), 0);
            free(before);
            free(after);
            free(again);
            free(b.memory);
        }
    }
}

/* A host that is taken out of the list (and one that is added, seen backwards). The ring moves its
 * keys alone; Maglev's method a few more. */
static void few_keys_move_when_the_list_changes(void **state)
{
    static const uint32_t counts[] = {3, 5, 10, 20};

    for (uint32_t kind = NR_HASH_MAGLEV; kind <= NR_HASH_RING; kind++) {
        for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
            uint32_t count = counts[i], out = count / 2, n;
            uint64_t *before, *after, gone;
            struct bench b;

            bench_init(&b, count);
            gone = b.hosts[out].id;
            build(&b, kind, count);
            before = owners(&b);
            memmove(&b.hosts[out], &b.hosts[out + 1], (count - out - 1) * sizeof(b.hosts[0]));
            build(&b, kind, count - 1);
            after = owners(&b);
            n = moved(before, after, kind == NR_HASH_RING ? gone : 0);
            print_message("# %s, %u hosts: %.3f / n of the keys move\n",
                          kind == NR_HASH_RING ? "ring" : "maglev", count,
                          (double)n * count / KEYS);
            assert_true(n <= 1.1 * KEYS / count);
            free(before);
            free(after);
            free(b.memory);
        }
    }
}

/* Two gateways whose name servers list the same hosts in other orders must agree. */
static void the_order_of_listing_does_not_matter(void **state)
{
    for (uint32_t kind = NR_HASH_MAGLEV; kind <= NR_HASH_RING; kind++) {
        uint64_t *one, *other;
        struct bench b;

        bench_init(&b, 7);
        b.hosts[3].takes = false;
        build(&b, kind, 7);
        one = owners(&b);
        for (uint32_t i = 0; i < 3; i++) {
            struct nr_hash_host swap = b.hosts[i];

            b.hosts[i] = b.hosts[6 - i];
            b.hosts[6 - i] = swap;
        }
        build(&b, kind, 7);
        other = owners(&b);
        assert_int_equal(moved(one, other, 0), 0);
        free(one);
        free(other);
        free(b.memory);
    }
}

/* nginx, ip_hash: 30 requests from addresses that are spread over three hosts, 10 each. */
static void addresses_spread(void **state)
{
    uint32_t taken[3] = {0};
    struct bench b;

    bench_init(&b, 3);
    build(&b, NR_HASH_MAGLEV, 3);
    for (uint32_t i = 0; i < 30000; i++) {
        char ip[3] = {(char)(i >> 12), (char)(i >> 6), (char)(i & 63)};

        taken[nr_hash_table_at(
            &b.table, nr_hash_table_start(&b.table, nr_hash_bytes((struct nr_span){ip, 3})))]++;
    }
    for (uint32_t i = 0; i < 3; i++)
        assert_in_range(taken[i], 9600, 10400);
    free(b.memory);
}

/* Any hosts, weights and states: every slot belongs to one that takes, the ring is sorted, and its
 * buckets lead to the right point. */
static void any_table_is_sound(void **state)
{
    struct nr_random {
        uint64_t x;
    } random = {1};

    for (uint32_t round = 0; round < 100; round++) {
        enum nr_hash_kind kind = round % 2 ? NR_HASH_RING : NR_HASH_MAGLEV;
        uint32_t count = 1 + (uint32_t)(nr_hash_mix(random.x++) % HOSTS);
        struct bench b;

        bench_init(&b, count);
        for (uint32_t i = 0; i < count; i++) {
            b.hosts[i].weight = 1 + (uint32_t)(nr_hash_mix(random.x++) % (round % 7 ? 10 : 1000));
            b.hosts[i].takes = nr_hash_mix(random.x++) % 3 != 0;
            if (round % 11 == 0)
                b.hosts[i].id = 42; /* the same place many times */
        }
        b.hosts[count / 3].takes = true;
        build(&b, kind, count);
        for (uint32_t i = 0; i < b.table.size; i++) {
            assert_true(nr_hash_table_at(&b.table, i) < count);
            if (kind == NR_HASH_MAGLEV)
                assert_true(b.hosts[b.table.slots[i]].takes);
            else if (i > 0)
                assert_true(b.table.points[i].at >= b.table.points[i - 1].at);
        }
        for (uint64_t key = 0; key < 1000; key++) {
            uint32_t start = nr_hash_table_start(&b.table, key);
            uint32_t at = (uint32_t)(nr_hash_mix(key) >> 32);

            assert_true(start < b.table.size);
            if (kind == NR_HASH_RING && start > 0)
                assert_true(b.table.points[start].at >= at && b.table.points[start - 1].at < at);
        }
        free(b.memory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_hosts_have_equal_slots),
        cmocka_unit_test(shares_follow_weights),
        cmocka_unit_test(only_the_keys_of_one_that_is_down_move),
        cmocka_unit_test(few_keys_move_when_the_list_changes),
        cmocka_unit_test(the_order_of_listing_does_not_matter),
        cmocka_unit_test(addresses_spread),
        cmocka_unit_test(any_table_is_sound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
