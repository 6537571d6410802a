/* SPDX-License-Identifier: Apache-2.0 */
/* Limits that four workers share: whatever they do at once, each limit lets through exactly what it
 * has, and a refusal by one costs nothing with the others. Run it under ThreadSanitizer, too. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "gateway/limiter.h"

#define S ((uint64_t)1000000000)

enum { THREADS = 4, TRIES = 5000, USERS = 7, PHASES = 8 };

static struct nr_limiter *limiter_of(uint32_t algorithm, uint32_t keys, uint64_t rate,
                                     uint32_t order)
{
    struct nr_rate_limit_conf conf = {.algorithm = algorithm,
                                      .rate = {rate, 60 * S},
                                      .burst = NR_LIMIT_AUTO,
                                      .keys = keys,
                                      .mode = NR_LIMIT_MODE_REJECT};

    return nr_limiter_new(nr_limiter_identity(NR_SPAN("test"), &conf), &conf, order);
}

static struct nr_limit_conf conf_of(enum nr_limit_algorithm algorithm, uint32_t rate)
{
    bool log = algorithm == NR_LIMIT_SLIDING_LOG;

    return (struct nr_limit_conf){
        .algorithm = algorithm,
        .limit = rate,
        .burst = rate,
        .smooth_after = rate,
        .log_units = log ? rate : 0,
        .period_ns = 60 * S,
    };
}

static struct nr_hash128 key_of(uint64_t n)
{
    return (struct nr_hash128){(n + 1) * 0x9e3779b97f4a7c15u, ~(n + 1) * 0xbf58476d1ce4e5b9u};
}

static bool take_one(struct nr_limiter_use *use, uint64_t now_ns)
{
    size_t tightest;

    return nr_limiter_take_all(&use, 1, now_ns, NR_LIMITER_REFUSED, &tightest);
}

/* ---- one limit ---- */

struct crowd {
    struct nr_limiter *limiter;
    struct nr_limit_conf conf;
    pthread_barrier_t barrier;
    _Atomic uint32_t admitted[PHASES];
};

/* Each phase is 15 s behind the one before. */
static void *push(void *ctx)
{
    struct crowd *crowd = ctx;

    for (uint64_t phase = 0; phase < PHASES; phase++) {
        (void)pthread_barrier_wait(&crowd->barrier);
        for (int i = 0; i < TRIES / PHASES; i++) {
            struct nr_limiter_use use;

            nr_limiter_use(&use, crowd->limiter, key_of(1), &crowd->conf, 1, 0, 1, 0);
            if (take_one(&use, (100 + 15 * phase) * S))
                atomic_fetch_add(&crowd->admitted[phase], 1);
        }
    }
    return NULL;
}

static void run_crowd(struct crowd *crowd)
{
    pthread_t threads[THREADS];

    assert_int_equal(pthread_barrier_init(&crowd->barrier, NULL, THREADS), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, push, crowd), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    pthread_barrier_destroy(&crowd->barrier);
}

/* 100 a minute and every algorithm: at 0, 15, … 105 s four workers ask for far more than that, and
 * get together exactly what one alone would get. */
static void test_every_algorithm_is_exact(void **state)
{
    static const struct {
        const char *name;
        enum nr_limit_algorithm algorithm;
        uint32_t admitted[PHASES];
    } rows[] = {
        /* clang-format off */
        {"log: exactly 100 in any minute", NR_LIMIT_SLIDING_LOG,    {100, 0, 0, 0, 100, 0, 0, 0}},
        {"bucket: 100, and 25 in 15 s",    NR_LIMIT_TOKEN_BUCKET,   {100, 25, 25, 25, 25, 25, 25, 25}},
        {"GCRA: the same",                 NR_LIMIT_GCRA,           {100, 25, 25, 25, 25, 25, 25, 25}},
        {"leaky: one leaves, 100 in line", NR_LIMIT_LEAKY_BUCKET,   {101, 25, 25, 25, 25, 25, 25, 25}},
        {"fixed: 100 from the minute on",  NR_LIMIT_FIXED_WINDOW,   {100, 0, 0, 0, 100, 0, 0, 0}},
        {"two counters: the 100 fade",     NR_LIMIT_SLIDING_WINDOW, {100, 0, 0, 0, 0, 25, 25, 25}},
        /* clang-format on */
    };

    (void)state;
    for (size_t i = 0; i < NR_COUNT(rows); i++) {
        struct crowd crowd = {.conf = conf_of(rows[i].algorithm, 100)};
        struct nr_limiter_counts counts;
        uint64_t all = 0;

        print_message("# %s\n", rows[i].name);
        crowd.limiter = limiter_of(rows[i].algorithm, 1000, 100, 0);
        run_crowd(&crowd);
        for (int phase = 0; phase < PHASES; phase++) {
            assert_int_equal(crowd.admitted[phase], rows[i].admitted[phase]);
            all += crowd.admitted[phase];
        }
        counts = nr_limiter_counts(crowd.limiter);
        assert_int_equal(counts.allowed, all);
        assert_int_equal(counts.allowed + counts.refused, THREADS * (TRIES / PHASES) * PHASES);
        assert_int_equal(counts.keys, 1);
        nr_limiter_unref(crowd.limiter);
    }
}

/* ---- at any time, for any cost ---- */

enum { RUSHES = 20, RUSH_TRIES = 400, RUSH_KEYS = 3 };

struct admission {
    uint64_t at_ns;
    uint32_t key;
    uint32_t units;
};

/* Workers whose clocks differ: each asks at the moment that it has read, some time later. */
struct rush {
    struct nr_limiter *limiter;
    struct nr_limit_conf conf;
    _Atomic uint64_t clock_ns;
    _Atomic uint64_t late_ns; /* the most that somebody was behind */
    _Atomic uint32_t started;
    uint64_t seed;
    struct admission admitted[THREADS][RUSH_TRIES];
    uint32_t count[THREADS];
};

static void *hurry(void *ctx)
{
    struct rush *rush = ctx;
    uint32_t me = atomic_fetch_add(&rush->started, 1);
    struct nr_random random;

    nr_random_init(&random, rush->seed * THREADS + me);
    for (int i = 0; i < RUSH_TRIES; i++) {
        uint32_t key = (uint32_t)nr_random_below(&random, RUSH_KEYS);
        uint32_t cost = 1 + (uint32_t)nr_random_below(&random, 3);
        uint64_t step_ns = nr_random_below(&random, 2) * nr_random_below(&random, S / 2);
        uint64_t now_ns = atomic_fetch_add(&rush->clock_ns, step_ns) + step_ns, late_ns, most;
        struct nr_limiter_use use;

        nr_limiter_use(&use, rush->limiter, key_of(key), &rush->conf, 1, 0, cost, 0);
        if (take_one(&use, now_ns))
            rush->admitted[me][rush->count[me]++] = (struct admission){now_ns, key, cost};
        late_ns = atomic_load(&rush->clock_ns) - now_ns;
        most = atomic_load(&rush->late_ns);
        while (late_ns > most && !atomic_compare_exchange_weak(&rush->late_ns, &most, late_ns))
            ;
    }
    return NULL;
}

static int by_time(const void *a, const void *b)
{
    const struct admission *x = a, *y = b;

    return (x->at_ns > y->at_ns) - (x->at_ns < y->at_ns);
}

/* Whatever the windows: they hold no more than the bound of one that is longer by how much clocks
 * differed. */
static void windows_hold(struct rush *rush, uint32_t key)
{
    static struct admission all[THREADS * RUSH_TRIES];
    uint32_t count = 0;

    for (int t = 0; t < THREADS; t++)
        for (uint32_t i = 0; i < rush->count[t]; i++)
            if (rush->admitted[t][i].key == key)
                all[count++] = rush->admitted[t][i];
    qsort(all, count, sizeof(all[0]), by_time);
    for (uint32_t last = 0; last < count; last++) {
        uint64_t sum = 0;

        for (uint32_t first = last + 1; first-- > 0;) {
            uint64_t window_ns = all[last].at_ns - all[first].at_ns + 1;

            sum += all[first].units;
            assert_true(sum <= nr_limit_bound(&rush->conf, window_ns + rush->late_ns));
        }
    }
}

static void test_no_window_holds_more_than_the_bound(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < RUSHES * 6; round++) {
        enum nr_limit_algorithm algorithm = (enum nr_limit_algorithm)(round % 6);
        static struct rush rush;
        pthread_t threads[THREADS];

        memset(&rush, 0, sizeof(rush));
        rush.seed = round;
        rush.clock_ns = 100 * S;
        rush.conf = conf_of(algorithm, 20 + round % 50);
        rush.limiter = limiter_of(algorithm, 1000, rush.conf.limit, 0);
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, hurry, &rush), 0);
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        for (uint32_t key = 0; key < RUSH_KEYS; key++)
            windows_hold(&rush, key);
        nr_limiter_unref(rush.limiter);
    }
}

/* ---- a hierarchy ---- */

struct shop {
    struct nr_limiter *users;
    struct nr_limiter *whole;
    struct nr_limit_conf per_user;
    struct nr_limit_conf in_all;
    _Atomic uint32_t admitted[USERS];
    _Atomic uint32_t started;
};

static void *visit(void *ctx)
{
    struct shop *shop = ctx;
    struct nr_random random;

    nr_random_init(&random, 1 + atomic_fetch_add(&shop->started, 1));
    for (int i = 0; i < TRIES; i++) {
        uint32_t user = (uint32_t)nr_random_below(&random, USERS);
        bool swapped = nr_random_below(&random, 2) != 0; /* whatever order a route lists them in */
        struct nr_limiter_use uses[2], *both[] = {&uses[0], &uses[1]};
        size_t tightest;

        nr_limiter_use(&uses[swapped], shop->users, key_of(user), &shop->per_user, 1, 0, 1, 0);
        nr_limiter_use(&uses[!swapped], shop->whole, key_of(99), &shop->in_all, 1, 0, 1, 0);
        if (nr_limiter_take_all(both, 2, 100 * S, NR_LIMITER_REFUSED, &tightest))
            atomic_fetch_add(&shop->admitted[user], 1);
    }
    return NULL;
}

static uint32_t left_of(struct nr_limiter *limiter, uint64_t key, const struct nr_limit_conf *conf)
{
    struct nr_limiter_use use;

    nr_limiter_use(&use, limiter, key_of(key), conf, 1, 0, 0, 0);
    assert_true(take_one(&use, 100 * S));
    return use.use.verdict.remaining;
}

static void test_a_hierarchy_is_exact(void **state)
{
    static const uint32_t totals[] = {333, 5000}; /* the whole ends first, or each user does */

    (void)state;
    for (size_t t = 0; t < NR_COUNT(totals); t++) {
        struct shop shop = {.per_user = conf_of(NR_LIMIT_SLIDING_LOG, 100),
                            .in_all = conf_of(NR_LIMIT_SLIDING_LOG, totals[t])};
        uint32_t sum = 0;
        pthread_t threads[THREADS];

        shop.users = limiter_of(NR_LIMIT_SLIDING_LOG, 1000, 100, 0);
        shop.whole = limiter_of(NR_LIMIT_SLIDING_LOG, 16, totals[t], 1);
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, visit, &shop), 0);
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        for (uint32_t i = 0; i < USERS; i++) {
            assert_in_range(shop.admitted[i], 1, 100);
            assert_int_equal(left_of(shop.users, i, &shop.per_user), 100 - shop.admitted[i]);
            sum += shop.admitted[i];
        }
        assert_int_equal(sum, totals[t] < USERS * 100 ? totals[t] : USERS * 100);
        assert_int_equal(left_of(shop.whole, 99, &shop.in_all), totals[t] - sum);
        nr_limiter_unref(shop.users);
        nr_limiter_unref(shop.whole);
    }
}

/* ---- rates by hand ---- */

static bool take(struct nr_limiter *limiter, const struct nr_limit_conf *conf)
{
    struct nr_limiter_use use;

    nr_limiter_use(&use, limiter, key_of(1), conf, 1, 0, 1, 0);
    return take_one(&use, 100 * S);
}

static void test_a_rate_set_by_hand_holds_at_once(void **state)
{
    struct nr_limit_conf conf = conf_of(NR_LIMIT_SLIDING_WINDOW, 3), more = conf;
    struct nr_limit_conf now[NR_LIMIT_CONF_TIERS_MAX + 1];
    struct nr_limiter *limiter = limiter_of(NR_LIMIT_SLIDING_WINDOW, 1000, 3, 0);

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_true(take(limiter, &conf));
    assert_false(take(limiter, &conf));
    more.limit = 5;
    nr_limiter_force(limiter, &more, 1);
    assert_int_equal(nr_limiter_forced(limiter, now), 1);
    assert_int_equal(now[0].limit, 5);
    assert_true(take(limiter, &conf));
    assert_true(take(limiter, &conf));
    assert_false(take(limiter, &conf));
    nr_limiter_force(limiter, NULL, 0);
    assert_int_equal(nr_limiter_forced(limiter, now), 0);
    assert_false(take(limiter, &conf)); /* what was used stays used */
    nr_limiter_unref(limiter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_algorithm_is_exact),
        cmocka_unit_test(test_no_window_holds_more_than_the_bound),
        cmocka_unit_test(test_a_hierarchy_is_exact),
        cmocka_unit_test(test_a_rate_set_by_hand_holds_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
