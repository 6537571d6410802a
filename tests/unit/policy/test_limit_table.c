/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/random.h"
#include "policy/limit_table.h"

#define S ((uint64_t)1000000000)

static const struct nr_limit_conf tiers[] = {
    {.algorithm = NR_LIMIT_GCRA, .limit = 100, .burst = 100, .period_ns = 60 * S},   /* free */
    {.algorithm = NR_LIMIT_GCRA, .limit = 1000, .burst = 1000, .period_ns = 60 * S}, /* paid */
};
static const struct nr_limit_conf log_tier = {
    .algorithm = NR_LIMIT_SLIDING_LOG, .limit = 5, .period_ns = 60 * S, .log_units = 5};

struct bench {
    struct nr_limit_table table;
    void *memory;
    size_t bytes;
};

static void bench_init(struct bench *b, uint32_t keys, uint32_t log_units)
{
    b->bytes = nr_limit_table_bytes(keys, log_units);
    b->memory = aligned_alloc(NR_CACHE_LINE_BYTES, (b->bytes + 63) / 64 * 64);
    assert_non_null(b->memory);
    memset(b->memory, 0, b->bytes);
    nr_limit_table_init(&b->table, b->memory, b->bytes, log_units);
}

static void bench_done(struct bench *b)
{
    free(b->memory);
}

/* The n-th key, as a hash would make it. */
static struct nr_hash128 key_of(uint64_t n)
{
    struct nr_random random;
    struct nr_hash128 key;

    nr_random_init(&random, n);
    key.lo = nr_random_u64(&random);
    key.hi = nr_random_u64(&random);
    return key;
}

static struct nr_limit_use use_of(struct bench *b, uint64_t n, uint32_t cost)
{
    struct nr_limit_use use = {
        .table = &b->table, .key = key_of(n), .tiers = tiers, .tier_count = 2, .cost = cost};

    nr_limit_table_aim(&use);
    return use;
}

static bool take(struct nr_limit_use *use, uint64_t now_ns)
{
    size_t tightest;

    return nr_limit_table_take_all(&use, 1, now_ns, &tightest);
}

static bool take_two(struct nr_limit_use uses[2], uint64_t now_ns, size_t *ret_tightest)
{
    return nr_limit_table_take_all((struct nr_limit_use *[]){&uses[0], &uses[1]}, 2, now_ns,
                                   ret_tightest);
}

static uint32_t left(struct bench *b, uint64_t n, uint64_t now_ns)
{
    struct nr_limit_use use = use_of(b, n, 0);
    struct nr_limit_verdict v;

    nr_limit_table_look(&use, now_ns, &v);
    return v.remaining;
}

static void sizes(void **state)
{
    assert_true(nr_limit_table_bytes(1000000, 0) <= 64 * (size_t)1000000);
    assert_true(nr_limit_table_bytes(0, 0) > 0);
    assert_int_equal(nr_limit_table_bytes(8, 100), 16 * (32 + 800));
}

/* Thousands of keys in one table behave as if each had a limiter of its own. */
static void keys_do_not_meet(void **state)
{
    enum { KEYS = 5000 };
    static union nr_limit_state alone[KEYS];
    struct nr_random random;
    struct bench b;
    uint64_t now_ns = S;

    bench_init(&b, 2 * KEYS, 0); /* room enough that no set overflows */
    nr_random_init(&random, 1);
    memset(alone, 0, sizeof(alone));
    for (int i = 0; i < 200000; i++) {
        uint64_t n = nr_random_below(&random, KEYS);
        struct nr_limit_use use = use_of(&b, n, 1 + (uint32_t)nr_random_below(&random, 60));
        struct nr_limit_verdict v;

        now_ns += nr_random_below(&random, S / 100);
        take(&use, now_ns);
        assert_false(use.evicted);
        nr_limit_take(&alone[n], &tiers[0], now_ns, use.cost, &v);
        assert_memory_equal(&use.verdict, &v, sizeof(v));
    }
    bench_done(&b);
}

/* The ring behind a slot belongs to that slot. */
static void logs_do_not_meet(void **state)
{
    enum { KEYS = 300 };
    static struct {
        union nr_limit_state state;
        uint64_t stamps[5];
    } alone[KEYS];
    struct nr_random random;
    struct bench b;
    uint64_t now_ns = S;

    bench_init(&b, 2 * KEYS, 5);
    memset(alone, 0, sizeof(alone));
    nr_random_init(&random, 2);
    for (int i = 0; i < 50000; i++) {
        uint64_t n = nr_random_below(&random, KEYS);
        struct nr_limit_use use = {.table = &b.table,
                                   .key = key_of(n),
                                   .tiers = &log_tier,
                                   .tier_count = 1,
                                   .cost = (uint32_t)nr_random_below(&random, 3)};
        struct nr_limit_verdict v;

        now_ns += nr_random_below(&random, S / 10);
        nr_limit_table_aim(&use);
        take(&use, now_ns);
        assert_false(use.evicted);
        nr_limit_take(&alone[n].state, &log_tier, now_ns, use.cost, &v);
        assert_memory_equal(&use.verdict, &v, sizeof(v));
    }
    bench_done(&b);
}

/* One set, sixteen keys that all owe something: the one with the fullest allowance goes. */
static void the_fullest_goes(void **state)
{
    struct bench b;
    struct nr_limit_use use;

    bench_init(&b, 8, 0);
    assert_int_equal(b.table.sets, 1);
    for (uint32_t n = 0; n < 16; n++) {
        use = use_of(&b, n, n == 7 ? 10 : 50 + n);
        assert_true(take(&use, S));
        assert_false(use.evicted);
    }
    use = use_of(&b, 99, 100); /* blocked from now on */
    assert_true(take(&use, S));
    assert_true(use.evicted);
    assert_int_equal(left(&b, 7, S), 100); /* forgotten: it had used ten */
    assert_int_equal(left(&b, 99, S), 0);
    for (uint32_t n = 0; n < 16; n++)
        if (n != 7)
            assert_int_equal(left(&b, n, S), 50 - n);
    for (uint64_t n = 1000; n < 3000; n++) { /* a flood of made-up keys frees nobody */
        use = use_of(&b, n, 1);
        assert_true(take(&use, S));
        assert_true(use.evicted);
        assert_int_equal(left(&b, 99, S), 0);
    }
    assert_int_equal(left(&b, 15, S), 35); /* only one slot was ever passed from hand to hand */
    bench_done(&b);
}

/* A share is measured by the key's own tier: 60 left of 100 are more than 500 of 1,000. */
static void shares_by_tier(void **state)
{
    struct bench b;
    struct nr_limit_use use;

    bench_init(&b, 8, 0);
    for (uint32_t n = 0; n < 16; n++) {
        use = use_of(&b, n, 500);
        use.tier = 1;
        if (n == 3) {
            use.tier = 0;
            use.cost = 40;
        }
        assert_true(take(&use, S));
    }
    use = use_of(&b, 50, 90);
    assert_true(take(&use, S));
    assert_true(use.evicted);
    assert_int_equal(left(&b, 3, S), 100);
    bench_done(&b);
}

/* Who has nothing to remember makes room at once, and nobody is evicted. */
static void the_forgotten_make_room(void **state)
{
    struct bench b;
    struct nr_limit_use use;

    bench_init(&b, 8, 0);
    for (uint32_t n = 0; n < 16; n++) {
        use = use_of(&b, n, n == 5 ? 1 : 100);
        assert_true(take(&use, S));
    }
    for (uint64_t n = 100; n < 110; n++) {
        use = use_of(&b, n, 1);
        assert_true(take(&use, 2 * S + (n - 100) * S)); /* one unit comes back in 0.6 s */
        assert_false(use.evicted);
    }
    bench_done(&b);
}

static void a_refusal_or_a_look_makes_no_key(void **state)
{
    struct bench b;
    struct nr_limit_use uses[2];
    size_t tightest;
    void *before;

    bench_init(&b, 64, 0);
    before = calloc(1, b.bytes);
    assert_non_null(before);
    uses[0] = use_of(&b, 1, 101);
    assert_false(take(&uses[0], S));
    assert_true(uses[0].verdict.retry_ns == NR_LIMIT_NEVER);
    uses[0] = use_of(&b, 1, 0);
    assert_true(take(&uses[0], S));
    uses[0] = use_of(&b, 1, 1);
    uses[1] = use_of(&b, 2, 101);
    assert_false(take_two(uses, S, &tightest));
    assert_int_equal(tightest, 1);
    assert_memory_equal(before, b.memory, b.bytes);
    uses[1].cost = 2;
    assert_true(take_two(uses, S, &tightest));
    assert_int_equal(left(&b, 1, S), 99);
    assert_int_equal(left(&b, 2, S), 98);
    nr_limit_table_forget(&b.table, key_of(2));
    nr_limit_table_forget(&b.table, key_of(3));
    assert_int_equal(left(&b, 1, S), 99);
    assert_int_equal(left(&b, 2, S), 100);
    free(before);
    bench_done(&b);
}

/* Levels whose keys share one full set: the new key evicts neither the wrong slot nor mixes
 * states, whatever the order of the levels. */
static void levels_that_share_a_set(void **state)
{
    for (int order = 0; order < 2; order++) {
        struct bench b;
        struct nr_limit_use uses[2];
        size_t tightest;

        bench_init(&b, 8, 0);
        for (uint32_t n = 0; n < 16; n++) {
            uses[0] = use_of(&b, n, n == 4 ? 10 : 50);
            assert_true(take(&uses[0], S));
        }
        uses[order] = use_of(&b, 4, 70); /* the fullest, until it is charged */
        uses[1 - order] = use_of(&b, 77, 60);
        assert_true(take_two(uses, S, &tightest));
        assert_true(uses[1 - order].evicted);
        assert_int_equal(left(&b, 4, S), 20);
        assert_int_equal(left(&b, 77, S), 40);
        bench_done(&b);
    }
}

/* A table asked for n keys holds n keys: sets that overflow are one key in a thousand. */
static void overflow_is_rare(void **state)
{
    enum { KEYS = 100000 };
    uint32_t evicted = 0;
    struct bench b;

    bench_init(&b, KEYS, 0);
    for (uint64_t n = 0; n < KEYS; n++) {
        struct nr_limit_use use = use_of(&b, n, 1);

        assert_true(take(&use, S));
        evicted += use.evicted;
    }
    print_message("# %u of %d keys evicted another\n", evicted, KEYS);
    assert_true(evicted < KEYS / 1000);
    bench_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(keys_do_not_meet),
        cmocka_unit_test(logs_do_not_meet),
        cmocka_unit_test(the_fullest_goes),
        cmocka_unit_test(shares_by_tier),
        cmocka_unit_test(the_forgotten_make_room),
        cmocka_unit_test(a_refusal_or_a_look_makes_no_key),
        cmocka_unit_test(levels_that_share_a_set),
        cmocka_unit_test(overflow_is_rare),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
