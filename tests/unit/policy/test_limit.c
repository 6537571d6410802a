/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../property.h"
#include "base/compiler.h"
#include "limit_schedule.h"

enum { API, USER, ENDPOINT, LEVELS };

/* 10,000 a minute for the API, 100 for a user, 10 for an endpoint. */
static const struct nr_limit_conf levels[LEVELS] = {
    [API] = {.algorithm = NR_LIMIT_FIXED_WINDOW, .limit = 10000, .period_ns = 60 * S},
    [USER] = {.algorithm = NR_LIMIT_SLIDING_WINDOW, .limit = 100, .period_ns = 60 * S},
    [ENDPOINT] = {.algorithm = NR_LIMIT_GCRA, .limit = 10, .burst = 10, .period_ns = 60 * S},
};

struct world {
    union nr_limit_state state[LEVELS];
    struct nr_limit_part parts[LEVELS];
    size_t tightest;
};

static bool take(struct world *w, uint64_t now_ns, uint32_t cost)
{
    for (size_t i = 0; i < LEVELS; i++)
        w->parts[i] =
            (struct nr_limit_part){.state = &w->state[i], .conf = &levels[i], .cost = cost};
    return nr_limit_take_all(w->parts, LEVELS, now_ns, &w->tightest);
}

static uint32_t left(const struct world *w, int level, uint64_t now_ns)
{
    struct nr_limit_verdict v;

    nr_limit_check(&w->state[level], &levels[level], now_ns, 0, &v);
    return v.remaining;
}

static void a_refusal_by_one_costs_nothing_elsewhere(void **state)
{
    struct world w = {0};

    for (int i = 0; i < 10; i++) {
        assert_true(take(&w, S, 1));
        assert_int_equal(w.tightest, ENDPOINT); /* the smallest share left */
    }
    assert_int_equal(w.parts[USER].verdict.remaining, 90);
    for (int i = 0; i < 1000; i++) {
        assert_false(take(&w, S, 1));
        assert_int_equal(w.tightest, ENDPOINT);
    }
    assert_int_equal(left(&w, API, S), 9990);
    assert_int_equal(left(&w, USER, S), 90);
    memset(&w.state[ENDPOINT], 0, sizeof(w.state[ENDPOINT])); /* another endpoint */
    assert_true(take(&w, S, 1));
}

static void of_several_refusals_the_longest_is_told(void **state)
{
    struct world w = {0};

    for (int i = 0; i < 10; i++) { /* the user is busy on ten endpoints */
        memset(&w.state[ENDPOINT], 0, sizeof(w.state[ENDPOINT]));
        assert_true(take(&w, S, 10));
    }
    assert_false(take(&w, S, 1));
    assert_false(w.parts[USER].verdict.allowed);
    assert_false(w.parts[ENDPOINT].verdict.allowed);
    assert_true(w.parts[API].verdict.allowed);
    assert_int_equal(w.parts[ENDPOINT].verdict.retry_ns, 6 * S);
    assert_int_equal(w.parts[USER].verdict.retry_ns, 60 * S + 600 * MS);
    assert_int_equal(w.tightest, USER);
    assert_false(take(&w, S, 11));
    assert_int_equal(w.tightest, ENDPOINT); /* never is longer than a minute */
}

static void a_cost_per_level(void **state)
{
    struct world w = {0};

    for (size_t i = 0; i < LEVELS; i++)
        w.parts[i] = (struct nr_limit_part){
            .state = &w.state[i], .conf = &levels[i], .cost = i == USER ? 25 : 1};
    for (int i = 0; i < 4; i++)
        assert_true(nr_limit_take_all(w.parts, LEVELS, S, &w.tightest));
    assert_false(nr_limit_take_all(w.parts, LEVELS, S, &w.tightest));
    assert_int_equal(w.tightest, USER);
    assert_int_equal(left(&w, API, S), 9996);
    assert_int_equal(left(&w, ENDPOINT, S), 6);
}

/* Whatever comes: the whole is allowed exactly if each alone would allow it, a refusal changes no
 * byte, and what is left of each falls by its cost. */
static void all_or_nothing_in_any_schedule(void **state)
{
    PROPERTY_FOR_ANY (seed) {
        struct nr_random random;
        struct world w = {0};
        uint64_t now_ns = S;

        nr_random_init(&random, seed);
        for (int i = 0; i < 30; i++) {
            uint32_t cost = 1 + (uint32_t)nr_random_below(&random, 4);
            struct world before = w;
            bool alone = true, allowed;

            now_ns += nr_random_below(&random, 5 * S);
            for (int level = 0; level < LEVELS; level++)
                alone = alone && left(&w, level, now_ns) >= cost;
            allowed = take(&w, now_ns, cost);
            assert_int_equal(allowed, alone);
            if (!allowed)
                assert_memory_equal(before.state, w.state, sizeof(w.state));
            for (int level = 0; level < LEVELS && allowed; level++) {
                assert_int_equal(left(&w, level, now_ns), w.parts[level].verdict.remaining);
                assert_int_equal(left(&before, level, now_ns), left(&w, level, now_ns) + cost);
            }
        }
    }
}

static void what_a_configuration_may_be(void **state)
{
    static const struct {
        const char *name;
        struct nr_limit_conf conf;
        bool ok;
    } cases[] = {
        /* clang-format off */
        {"100/min",          {NR_LIMIT_GCRA, 100, 100, 0, 0, 60 * S}, true},
        {"no limit",         {NR_LIMIT_GCRA, 0, 100, 0, 0, 60 * S}, false},
        {"no period",        {NR_LIMIT_GCRA, 100, 100, 0, 0, 0}, false},
        {"no burst",         {NR_LIMIT_GCRA, 100, 0, 0, 0, 60 * S}, false},
        {"no burst",         {NR_LIMIT_TOKEN_BUCKET, 100, 0, 0, 0, 60 * S}, false},
        {"no line",          {NR_LIMIT_LEAKY_BUCKET, 100, 0, 0, 0, 60 * S}, true},
        {"a year",           {NR_LIMIT_FIXED_WINDOW, 1, 0, 0, 0, NR_LIMIT_PERIOD_NS_MAX}, true},
        {"more",             {NR_LIMIT_FIXED_WINDOW, 1, 0, 0, 0, NR_LIMIT_PERIOD_NS_MAX + 1}, false},
        {"1,000 years",      {NR_LIMIT_GCRA, 1, 1000, 0, 0, NR_LIMIT_PERIOD_NS_MAX}, false},
        {"1,000 years",      {NR_LIMIT_TOKEN_BUCKET, 1, 1000, 0, 0, NR_LIMIT_PERIOD_NS_MAX}, false},
        {"a line too long",  {NR_LIMIT_LEAKY_BUCKET, 100, UINT32_MAX, 0, 0, 1}, false},
        {"a log too short",  {NR_LIMIT_SLIDING_LOG, 100, 0, 0, 99, S}, false},
        {"a log that fits",  {NR_LIMIT_SLIDING_LOG, 100, 0, 0, 100, S}, true},
        {"as fast as it goes", {NR_LIMIT_TOKEN_BUCKET, UINT32_MAX, UINT32_MAX, 0, 0, 1}, true},
        /* clang-format on */
    };

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        print_message("# %s\n", cases[i].name);
        assert_int_equal(nr_limit_conf_ok(&cases[i].conf), cases[i].ok);
    }
    assert_true(sizeof(union nr_limit_state) == 16);
}

/* The largest numbers that a configuration may have: nothing overflows (run under UBSan). */
static void at_the_edges(void **state)
{
    static const uint64_t ends_ns[] = {0, 1, NR_LIMIT_PERIOD_NS_MAX, (uint64_t)1 << 62};
    static const struct nr_limit_conf confs[] = {
        {NR_LIMIT_TOKEN_BUCKET, UINT32_MAX, UINT32_MAX, 0, 0, 1},
        {NR_LIMIT_TOKEN_BUCKET, UINT32_MAX, UINT32_MAX, 0, 0, NR_LIMIT_PERIOD_NS_MAX},
        {NR_LIMIT_TOKEN_BUCKET, 1, 100, 0, 0, NR_LIMIT_PERIOD_NS_MAX},
        {NR_LIMIT_GCRA, UINT32_MAX, UINT32_MAX, 0, 0, NR_LIMIT_PERIOD_NS_MAX},
        {NR_LIMIT_GCRA, 1, 100, 0, 0, NR_LIMIT_PERIOD_NS_MAX},
        {NR_LIMIT_LEAKY_BUCKET, 1, 100, 0, 0, NR_LIMIT_PERIOD_NS_MAX},
        {NR_LIMIT_FIXED_WINDOW, UINT32_MAX, 0, 0, 0, NR_LIMIT_PERIOD_NS_MAX},
        {NR_LIMIT_SLIDING_WINDOW, UINT32_MAX, 0, 0, 0, NR_LIMIT_PERIOD_NS_MAX},
        {NR_LIMIT_SLIDING_LOG, LIMIT_UNITS, 0, 0, LIMIT_UNITS, NR_LIMIT_PERIOD_NS_MAX},
    };

    for (size_t i = 0; i < NR_COUNT(confs); i++) {
        struct limit_room room = {0};

        assert_true(nr_limit_conf_ok(&confs[i]));
        for (size_t t = 0; t < NR_COUNT(ends_ns); t++) {
            struct nr_limit_verdict v, all;

            nr_limit_check(&room.state, &confs[i], ends_ns[t], 0, &all);
            assert_true(nr_limit_take(&room.state, &confs[i], ends_ns[t], all.remaining, &v));
            assert_int_equal(v.remaining, 0);
            assert_true(v.reset_ns < NR_LIMIT_NEVER);
            assert_false(nr_limit_take(&room.state, &confs[i], ends_ns[t], UINT32_MAX, &v));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refusal_by_one_costs_nothing_elsewhere),
        cmocka_unit_test(of_several_refusals_the_longest_is_told),
        cmocka_unit_test(a_cost_per_level),
        property_test(all_or_nothing_in_any_schedule),
        cmocka_unit_test(what_a_configuration_may_be),
        cmocka_unit_test(at_the_edges),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
