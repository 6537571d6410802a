/* SPDX-License-Identifier: Apache-2.0 */
/* What may be said of rate limits, and what is refused, with its words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/gateway_conf.h"
#include "gateway/limits.h"
#include "service/service_conf.h"

static const struct nr_schema_root *const roots[] = {&nr_gateway_conf_root, &nr_callers_conf_root,
                                                     &nr_services_conf_root, &nr_limits_conf_root};

#define S ((uint64_t)1000000000)

struct world {
    struct nr_arena arena;
    struct nr_diags diags;
    struct nr_config *config;
};

static bool load(struct world *w, const char *route, const char *limits)
{
    char text[2048];

    *w = (struct world){0};
    snprintf(
        text, sizeof(text),
        "gateway: { listen: [\":8080\"], routes: [{ match: \"/a/{id}\", respond: 200%s%s }] }\n"
        "limits: { %s }\n",
        route[0] != '\0' ? ", limits: " : "", route, limits);
    nr_arena_init(&w->arena, NULL, 0);
    nr_diags_init(&w->diags, &w->arena, 0);
    return nr_config_load_bytes(roots, NR_COUNT(roots), NULL, "naru.yaml", nr_span_of(text),
                                &w->diags, &w->config) == NR_OK;
}

static void done(struct world *w)
{
    nr_config_unref(w->config);
    nr_arena_done(&w->arena);
}

/* clang-format off */
static const struct {
    const char *route;
    const char *limits;
    const char *error; /* what the first one contains */
} wrong[] = {
    {"[per_usr]", "per_user: 100/min", "unknown limit 'per_usr', did you mean 'per_user'?"},
    {"[x]", "", "unknown limit 'x'"},
    {"[100/fortnight]", "", "expected the name of a limit or a rate, got '100/fortnight'"},
    {"[a, a]", "a: 1/s", "limit 'a' is listed twice"},
    {"[{ use: a, rate: 5/s }]", "a: 1/s", "'rate' is not said beside 'use'"},
    {"[{ use: a, key: host }]", "a: 1/s", "'key' is not said beside 'use'"},
    {"[{ key: ip }]", "", "expected the name of a limit, or a limit with its 'rate'"},
    {"[{ rate: 1/s, key: \"param:nr\" }]", "", "there is no such parameter in the path '/a/{id}'"},
    {"[a]", "a: { rate: 1/s, key: \"param:nr\" }", "limit 'a' counts by 'param:nr'"},
    {"", "a: { key: ip }", "missing field 'rate'"},
    {"", "a: { rate: 1/s, key: user }", "a key is made from global, ip, route"},
    {"", "a: { rate: 1/s, key: \"header:\" }", "a key is made from"},
    {"", "a: { rate: 1/s, key: \"header:X User\" }", "a key is made from"},
    {"", "a: { rate: 1/s, key: jwt.sub }", "'jwt.sub' needs tokens to be checked"},
    {"", "a: { rate: 1/s, key: [ip, ip] }", "'ip' is listed twice"},
    {"", "a: { rate: 1/s, key: [global, ip] }", "so it stands alone"},
    {"", "a: { rate: 1/s, key: global, keys: 7 }", "a 'global' limit has one key"},
    {"", "a: { rate: 1/s, tiers: { paid: 2/s } }", "'tiers' needs a 'tier_key'"},
    {"", "a: { rate: 1/s, tier_key: \"header:X\" }", "'tier_key' is for 'tiers'"},
    {"", "a: { rate: 1/s, tiers: { paid: 2/s }, tier_key: ip }", "no tier is called after"},
    {"[{ use: a, over: charge }]", "a: 1/s", "'over' is not said beside 'use'"},
    {"", "a: { rate: 1/s, over: pay }", "expected one of"},
    {"", "a: { rate: 1/s, under_pressure: 0% }", "must be between 1% and 100%"},
    {"[a]", "a: { rate: 1/s, under_pressure: 50% }", "there is no gateway.shedding"},
    {"[{ rate: 1/s, under_pressure: 50% }]", "", "limit 'of its own' has a rate for times of pressure"},
    {"", "a: { rate: 1/s, mode: reject }", "'mode' is for leaky_bucket"},
    {"", "a: { rate: 1/s, smooth_after: 3 }", "'smooth_after' is for leaky_bucket"},
    {"", "a: { rate: 1/s, algorithm: token_bucket, burst: 0 }", "this rate cannot be kept"},
    {"", "a: { rate: 1/367d }", "this rate cannot be kept"},
    {"", "a: { rate: 5000000000/s }", "a rate is at most 4294967295"},
    {"", "a: { rate: 100000/s, algorithm: sliding_log, keys: 1000000 }", "would take"},
};
/* clang-format on */

static void test_what_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < NR_COUNT(wrong); i++) {
        struct world w;

        print_message("# %s %s\n", wrong[i].route, wrong[i].limits);
        assert_false(load(&w, wrong[i].route, wrong[i].limits));
        if (strstr(w.diags.items[0].text, wrong[i].error) == NULL)
            fail_msg("%s", w.diags.items[0].text);
        done(&w);
    }
}

/* clang-format off */
static const struct {
    const char *limit;
    struct nr_limit_conf conf;
    uint32_t keys;
} right[] = {
    {"100/min", {NR_LIMIT_SLIDING_WINDOW, 100, 0, 0, 0, 60 * S}, 100000},
    {"{ rate: 100/15min, burst: 20 }", {NR_LIMIT_SLIDING_WINDOW, 120, 0, 0, 0, 900 * S}, 100000},
    {"{ rate: 10/s, algorithm: token_bucket }", {NR_LIMIT_TOKEN_BUCKET, 10, 10, 10 * 0, 0, S}, 100000},
    {"{ rate: 10/s, algorithm: gcra, burst: 3, keys: 50 }", {NR_LIMIT_GCRA, 10, 3, 0, 0, S}, 50},
    {"{ rate: 2/s, algorithm: leaky_bucket, burst: 1, mode: reject }", {NR_LIMIT_LEAKY_BUCKET, 2, 1, 1, 0, S}, 100000},
    {"{ rate: 2/s, algorithm: leaky_bucket, burst: 0 }", {NR_LIMIT_LEAKY_BUCKET, 2, 0, 0, 0, S}, 100000},
    {"{ rate: 5/s, algorithm: leaky_bucket, smooth_after: 2 }", {NR_LIMIT_LEAKY_BUCKET, 5, 5, 2, 0, S}, 100000},
    {"{ rate: 100/min, algorithm: sliding_log, keys: 10 }", {NR_LIMIT_SLIDING_LOG, 100, 0, 0, 100, 60 * S}, 10},
    {"{ rate: 10000/min, key: global }", {NR_LIMIT_SLIDING_WINDOW, 10000, 0, 0, 0, 60 * S}, 1},
};
/* clang-format on */

static void test_what_it_means(void **state)
{
    (void)state;
    for (size_t i = 0; i < NR_COUNT(right); i++) {
        char text[256];
        struct world w;
        struct nr_limit_conf conf;

        print_message("# %s\n", right[i].limit);
        snprintf(text, sizeof(text), "a: %s", right[i].limit);
        assert_true(load(&w, "[a]", text));
        nr_limit_conf_tiers(&nr_limits_conf_of(w.config)->items[0], &conf);
        assert_int_equal(conf.algorithm, right[i].conf.algorithm);
        assert_int_equal(conf.limit, right[i].conf.limit);
        assert_int_equal(conf.burst, right[i].conf.burst);
        assert_int_equal(conf.smooth_after, right[i].conf.smooth_after);
        assert_int_equal(conf.log_units, right[i].conf.log_units);
        assert_true(conf.period_ns == right[i].conf.period_ns);
        assert_int_equal(nr_limit_conf_keys(&nr_limits_conf_of(w.config)->items[0]), right[i].keys);
        done(&w);
    }
}

static void test_a_share_of_it(void **state)
{
    static const struct {
        struct nr_limit_conf conf;
        double share;
        uint32_t limit, burst, smooth_after;
    } rows[] = {
        {{NR_LIMIT_SLIDING_WINDOW, 100, 0, 0, 0, S}, 0.5, 50, 0, 0},
        {{NR_LIMIT_TOKEN_BUCKET, 10, 4, 0, 0, S}, 0.25, 2, 1, 0},
        {{NR_LIMIT_GCRA, 1, 1, 0, 0, S}, 0.01, 1, 1, 0}, /* never nothing */
        {{NR_LIMIT_LEAKY_BUCKET, 10, 8, 2, 0, S}, 0.5, 5, 4, 2},
        {{NR_LIMIT_LEAKY_BUCKET, 10, 8, 6, 0, S}, 0.5, 5, 4, 4},
        {{NR_LIMIT_LEAKY_BUCKET, 10, 8, 8, 0, S}, 0.5, 5, 4, 4}, /* still rejects only */
        {{NR_LIMIT_LEAKY_BUCKET, 10, 0, 0, 0, S}, 0.5, 5, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < NR_COUNT(rows); i++) {
        struct nr_limit_conf conf = nr_limit_conf_share(rows[i].conf, rows[i].share);

        assert_int_equal(conf.limit, rows[i].limit);
        assert_int_equal(conf.burst, rows[i].burst);
        assert_int_equal(conf.smooth_after, rows[i].smooth_after);
        assert_true(nr_limit_conf_ok(&conf));
    }
}

/* An exact log with `keys: auto` takes as many keys as fit, whatever its rate. */
static void test_logs_are_bounded(void **state)
{
    struct world w;
    const struct nr_rate_limit_conf *limit;

    (void)state;
    assert_true(load(&w, "[a]", "a: { rate: 1000/min, algorithm: sliding_log }"));
    limit = &nr_limits_conf_of(w.config)->items[0];
    assert_in_range(nr_limit_conf_keys(limit), 2000, 6000);
    done(&w);
}

/* ---- names and reloads ---- */

static void test_names_and_costs(void **state)
{
    struct world w;
    struct nr_limits *limits;

    (void)state;
    assert_true(load(&w, "[5/s, { use: a, cost: 7 }, 9/s, { name: mine, rate: 1/s }, b]",
                     "a: 1/s, b: { rate: 1/s, cost: 3 }, c: 1/s"));
    limits = nr_limits_new(w.config, NULL);
    assert_int_equal(limits->rule_count, 6);
    assert_int_equal(limits->routes[0].count, 5);
    assert_string_equal(limits->routes[0].items[0].rule->name.ptr, "/a/{id}");
    assert_string_equal(limits->routes[0].items[1].rule->name.ptr, "a");
    assert_int_equal(limits->routes[0].items[1].cost, 7);
    assert_string_equal(limits->routes[0].items[2].rule->name.ptr, "/a/{id}#2");
    assert_int_equal(limits->routes[0].items[2].cost, 1);
    assert_string_equal(limits->routes[0].items[3].rule->name.ptr, "mine");
    assert_int_equal(limits->routes[0].items[4].cost, 3);
    nr_limits_free(limits);
    done(&w);
}

/* clang-format off */
static const struct {
    const char *change;
    const char *limit;
    bool kept;
} changes[] = {
    {"the same", "a: { rate: 100/min, key: host }", true},
    {"another rate", "a: { rate: 7/h, key: host }", true},
    {"a tier", "a: { rate: 100/min, key: host, tiers: { x: 1/s }, tier_key: route }", true},
    {"beside another", "b: 1/s, a: { rate: 100/min, key: host }", true},
    {"another key", "a: { rate: 100/min, key: ip }", false},
    {"another algorithm", "a: { rate: 100/min, key: host, algorithm: gcra }", false},
    {"another size", "a: { rate: 100/min, key: host, keys: 5 }", false},
};
/* clang-format on */

static void test_what_a_reload_keeps(void **state)
{
    struct world w;
    struct nr_limits *limits;

    (void)state;
    assert_true(load(&w, "[a]", "a: { rate: 100/min, key: host }"));
    limits = nr_limits_new(w.config, NULL);
    for (size_t i = 0; i < NR_COUNT(changes); i++) {
        struct world later;
        struct nr_limits *next;

        print_message("# %s\n", changes[i].change);
        assert_true(load(&later, "[a]", changes[i].limit));
        next = nr_limits_new(later.config, limits);
        assert_int_equal(nr_limits_find(next, NR_SPAN("a"))->limiter == limits->rules[0].limiter,
                         changes[i].kept);
        nr_limits_free(next);
        done(&later);
    }
    nr_limits_free(limits);
    done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_refused), cmocka_unit_test(test_what_it_means),
        cmocka_unit_test(test_a_share_of_it),   cmocka_unit_test(test_logs_are_bounded),
        cmocka_unit_test(test_names_and_costs), cmocka_unit_test(test_what_a_reload_keeps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
