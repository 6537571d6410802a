/* SPDX-License-Identifier: Apache-2.0 */
/* A table that is far too small for its keys, against a model that has a limiter for each of them.
 * Whatever comes, a key stands as if it were alone, but for those who had to make room; and who
 * makes room is always the one who loses least by it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "../property.h"
#include "base/compiler.h"
#include "base/random.h"
#include "policy/limit_table.h"

#define S ((uint64_t)1000000000)

enum { KEYS = 48, SETS_MAX = 2, WAYS = 16, UNITS = 8, STEPS = 80, TIERS = 2 };

struct alone {
    union nr_limit_state state;
    uint64_t stamps[UNITS];
};

struct world {
    struct nr_limit_table table;
    struct nr_limit_conf tiers[TIERS];
    struct nr_random random;
    uint64_t now_ns;
    struct alone keys[KEYS];
    uint32_t used[SETS_MAX]; /* slots that were ever taken */
    uint32_t evictions;
};

static _Alignas(NR_CACHE_LINE_BYTES) unsigned char memory[SETS_MAX * WAYS * (32 + 8 * UNITS)];

static const struct alone fresh;

static struct nr_hash128 key_of(uint32_t n)
{
    uint64_t lo = (n + 1) * 0x9e3779b97f4a7c15u, hi = (n + 7) * 0xbf58476d1ce4e5b9u;

    return (struct nr_hash128){lo ^ lo << 29, hi ^ hi >> 31};
}

static void begin(struct world *w, uint64_t seed)
{
    uint32_t log_units, keys;

    memset(w, 0, sizeof(*w));
    nr_random_init(&w->random, seed);
    w->now_ns = 100 * S;
    log_units = seed % 6 == NR_LIMIT_SLIDING_LOG ? UNITS : 0;
    for (int i = 0; i < TIERS; i++)
        w->tiers[i] = (struct nr_limit_conf){
            .algorithm = (enum nr_limit_algorithm)(seed % 6),
            .limit = 1 + (uint32_t)nr_random_below(&w->random, UNITS),
            .burst = 1 + (uint32_t)nr_random_below(&w->random, UNITS),
            .log_units = log_units,
            .period_ns = 1 + nr_random_below(&w->random, 100 * S),
        };
    keys = nr_random_below(&w->random, 2) == 0 ? WAYS / 2 : WAYS;
    memset(memory, 0, sizeof(memory));
    nr_limit_table_init(&w->table, memory, nr_limit_table_bytes(keys, log_units), log_units);
    assert_true(w->table.sets <= SETS_MAX);
}

static struct nr_limit_use use_of(struct world *w, uint32_t n)
{
    struct nr_limit_use use = {.table = &w->table,
                               .key = key_of(n),
                               .tiers = w->tiers,
                               .tier_count = TIERS,
                               .tier = (uint8_t)(n % TIERS)};

    nr_limit_table_aim(&use);
    return use;
}

static uint32_t set_of(struct world *w, uint32_t n)
{
    return use_of(w, n).set;
}

/* Each key has a tier and keeps it. */
static struct nr_limit_verdict stands(const struct world *w, uint32_t n)
{
    struct nr_limit_verdict v;

    nr_limit_check(&w->keys[n].state, &w->tiers[n % TIERS], w->now_ns, 0, &v);
    return v;
}

/* Does the table say of the key what the model says? */
static bool agrees(struct world *w, uint32_t n)
{
    struct nr_limit_use use = use_of(w, n);
    struct nr_limit_verdict here, there = stands(w, n);

    nr_limit_table_look(&use, w->now_ns, &here);
    return memcmp(&here, &there, sizeof(here)) == 0;
}

/* Has the key anything to be remembered? Who has not may have lost his slot without noticing. */
static bool is_live(const struct world *w, uint32_t n)
{
    return stands(w, n).reset_ns > 0;
}

static uint32_t live_in(struct world *w, uint32_t set)
{
    uint32_t count = 0;

    for (uint32_t n = 0; n < KEYS; n++)
        count += set_of(w, n) == set && is_live(w, n);
    return count;
}

/* Somebody has lost his history: exactly one, and nobody who is there had a larger share. */
static void one_has_gone(struct world *w, uint32_t newcomer, uint32_t set)
{
    struct nr_limit_verdict gone;
    uint32_t victim = KEYS;

    for (uint32_t n = 0; n < KEYS; n++) {
        if (n == newcomer || agrees(w, n))
            continue;
        assert_int_equal(victim, KEYS);
        assert_true(is_live(w, n) && set_of(w, n) == set);
        victim = n;
    }
    assert_true(victim < KEYS);
    gone = stands(w, victim);
    for (uint32_t n = 0; n < KEYS; n++) {
        struct nr_limit_verdict v = stands(w, n);

        if (is_live(w, n) && set_of(w, n) == set && n != newcomer)
            assert_true((double)v.remaining / v.limit <=
                        (double)gone.remaining / gone.limit + 1e-12);
    }
    w->keys[victim] = fresh;
    w->evictions++;
}

static void charge(struct world *w, uint32_t n, const struct nr_limit_use *use)
{
    struct alone *key = &w->keys[n];
    uint32_t set = set_of(w, n);

    if (!is_live(w, n)) {
        /* Somebody has to go only if every slot is taken by one who has something to remember. */
        assert_int_equal(use->evicted, use->cost > 0 && live_in(w, set) == WAYS);
        assert_true(!use->settled || (use->cost > 0 && w->used[set] < WAYS));
        w->used[set] += use->settled;
        if (use->evicted)
            one_has_gone(w, n, set);
        *key = fresh;
    } else {
        assert_false(use->evicted || use->settled);
    }
    nr_limit_consume(&key->state, &w->tiers[use->tier], w->now_ns, use->cost);
}

static void take(struct world *w)
{
    uint32_t n = (uint32_t)nr_random_below(&w->random, KEYS);
    struct nr_limit_use use = use_of(w, n);
    struct nr_limit_use *const uses[] = {&use};
    struct nr_limit_verdict v;
    size_t tightest;
    bool allowed;

    use.cost = (uint32_t)nr_random_below(&w->random, w->tiers[use.tier].limit + 2);
    nr_limit_check(&w->keys[n].state, &w->tiers[use.tier], w->now_ns, use.cost, &v);
    allowed = nr_limit_table_take_all(uses, 1, w->now_ns, &tightest);
    assert_memory_equal(&use.verdict, &v, sizeof(v));
    assert_int_equal(allowed, v.allowed);
    if (allowed)
        charge(w, n, &use);
    else
        assert_false(use.evicted || use.settled);
}

static void any_schedule(void **state)
{
    uint64_t evictions = 0;

    PROPERTY_FOR_ANY (seed) {
        static struct world w;

        begin(&w, seed);
        for (int i = 0; i < STEPS; i++) {
            if (nr_random_below(&w.random, 3) == 0)
                w.now_ns += nr_random_below(&w.random, w.tiers[0].period_ns / 4 + 1);
            take(&w);
            if (nr_random_below(&w.random, 20) == 0) {
                uint32_t n = (uint32_t)nr_random_below(&w.random, KEYS);

                nr_limit_table_forget(&w.table, key_of(n));
                w.keys[n].state = fresh.state;
            }
        }
        for (uint32_t n = 0; n < KEYS; n++)
            assert_true(agrees(&w, n));
        evictions += w.evictions;
    }
    property_covers(evictions, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        property_test(any_schedule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
