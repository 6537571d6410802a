/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "base/random.h"
#include "gateway/router.h"
#include "naive_router.h"

#define GET_BIT  (1u << NR_METHOD_GET)
#define POST_BIT (1u << NR_METHOD_POST)

static const struct nr_span api_hosts[] = {{"api.example.com", 15}};
static const struct nr_span wild_hosts[] = {{"*.example.com", 13}};
static const struct nr_span deep_hosts[] = {{"*.eu.example.com", 16}, {"shop.example.org", 16}};

/* clang-format off */
static const struct nr_router_rule rules[] = {
    [0] = {.path = NR_SPAN("/*")},
    [1] = {.path = NR_SPAN("/api/*")},
    [2] = {.path = NR_SPAN("/api/orders/*"), .methods = GET_BIT | POST_BIT},
    [3] = {.path = NR_SPAN("/api/orders")},
    [4] = {.path = NR_SPAN("/api/or")},
    [5] = {.path = NR_SPAN("/api/orders/new"), .methods = POST_BIT},
    [6] = {.path = NR_SPAN("/*"), .hosts = api_hosts, .host_count = 1},
    [7] = {.path = NR_SPAN("/only"), .hosts = wild_hosts, .host_count = 1},
    [8] = {.path = NR_SPAN("/only"), .hosts = deep_hosts, .host_count = 2},
    [9] = {.path = NR_SPAN("/api/orders/*"), .methods = GET_BIT}, /* shadowed by 2 */
};

static const struct {
    const char *story;
    const char *host;
    const char *path;
    enum nr_method method;
    int rule; /* -1: no route */
} cases[] = {
    {"the root",                            "x",                   "/",                NR_METHOD_GET,    0},
    {"anything below it",                   "x",                   "/zzz",             NR_METHOD_GET,    0},
    {"a prefix matches itself",             "x",                   "/api",             NR_METHOD_GET,    1},
    {"and its slash",                       "x",                   "/api/",            NR_METHOD_GET,    1},
    {"but not a longer name",               "x",                   "/apis",            NR_METHOD_GET,    0},
    {"exact before prefix",                 "x",                   "/api/orders",      NR_METHOD_GET,    3},
    {"the longer prefix wins",              "x",                   "/api/orders/7",    NR_METHOD_GET,    2},
    {"a method falls back to the shorter",  "x",                   "/api/orders/7",    NR_METHOD_DELETE, 1},
    {"a label inside another",              "x",                   "/api/or",          NR_METHOD_GET,    4},
    {"half a label is nothing exact",       "x",                   "/api/orde",        NR_METHOD_GET,    1},
    {"exact with method",                   "x",                   "/api/orders/new",  NR_METHOD_POST,   5},
    {"exact without it: the prefix",        "x",                   "/api/orders/new",  NR_METHOD_GET,    2},
    {"a host of its own",                   "api.example.com",     "/api/orders",      NR_METHOD_GET,    6},
    {"with a port",                         "api.example.com:81",  "/q",               NR_METHOD_GET,    6},
    {"in any case, with a final dot",       "API.Example.com.",    "/q",               NR_METHOD_GET,    6},
    {"a wildcard",                          "a.example.com",       "/only",            NR_METHOD_GET,    7},
    {"the longer wildcard first",           "a.eu.example.com",    "/only",            NR_METHOD_GET,    8},
    {"a wildcard needs a label",            "example.com",         "/only",            NR_METHOD_GET,    0},
    {"the second host of a route",          "shop.example.org",    "/only",            NR_METHOD_GET,    8},
    {"a host without the path: any host",   "shop.example.org",    "/api",             NR_METHOD_GET,    1},
    {"IPv6 literal is no surprise",         "[::1]:8080",          "/api",             NR_METHOD_GET,    1},
};
/* clang-format on */

static void most_specific_wins(void **state)
{
    struct nr_router *router = nr_router_new(rules, NR_COUNT(rules));

    (void)state;
    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        uint32_t rule = 999;
        uint64_t methods = 0;
        enum nr_router_verdict verdict =
            nr_router_find(router, nr_span_of(cases[i].host), nr_span_of(cases[i].path),
                           cases[i].method, NULL, &rule, &methods);

        if (verdict != NR_ROUTER_FOUND || (int)rule != cases[i].rule)
            fail_msg("%s: got %u", cases[i].story, rule);
    }
    nr_router_free(router);
}

static void says_which_methods_a_path_has(void **state)
{
    const struct nr_router_rule two[] = {
        {.path = NR_SPAN("/a"), .methods = GET_BIT},
        {.path = NR_SPAN("/a"), .methods = POST_BIT},
    };
    struct nr_router *router = nr_router_new(two, 2);
    uint32_t rule;
    uint64_t methods = 0;

    (void)state;
    assert_int_equal(
        nr_router_find(router, NR_SPAN("h"), NR_SPAN("/a"), NR_METHOD_PUT, NULL, &rule, &methods),
        NR_ROUTER_NO_METHOD);
    assert_int_equal(methods, GET_BIT | POST_BIT);
    assert_int_equal(
        nr_router_find(router, NR_SPAN("h"), NR_SPAN("/b"), NR_METHOD_PUT, NULL, &rule, &methods),
        NR_ROUTER_NO_ROUTE);
    nr_router_free(router);
}

static void empty_router_finds_nothing(void **state)
{
    struct nr_router *router = nr_router_new(NULL, 0);
    uint32_t rule;
    uint64_t methods;

    (void)state;
    assert_int_equal(
        nr_router_find(router, NR_SPAN(""), NR_SPAN("/"), NR_METHOD_GET, NULL, &rule, &methods),
        NR_ROUTER_NO_ROUTE);
    nr_router_free(router);
    nr_router_free(NULL);
}

enum { RANDOM_RULES = 60, OTHERS_MAX = 4000, RANDOM_PATH_BYTES = 64 };

/* params: a bit for each segment that is a parameter in every pattern. */
static struct nr_span random_path(struct nr_random *random, bool pattern, uint32_t params, char *to)
{
    static const char *const segments[] = {"/a", "/b", "/ab", "/", "/{x}", "/{y}"};
    uint64_t count = 1 + nr_random_below(random, 4);
    size_t len = 0;

    for (uint64_t i = 0; i < count; i++) {
        uint64_t which = nr_random_below(random, pattern ? 6 : 4);
        const char *segment = segments[pattern && (params >> i & 1) != 0 ? 4 + which % 2 : which];

        memcpy(to + len, segment, strlen(segment));
        len += strlen(segment);
    }
    if (pattern && nr_random_below(random, 3) == 0) {
        memcpy(to + len, "/*", 2);
        len += 2;
    }
    return (struct nr_span){to, len};
}

static struct nr_router_rule random_rule(struct nr_random *random, uint32_t params, char *text)
{
    static const struct nr_span hosts[][2] = {
        {{"a.b.c", 5}, {"*.c", 3}}, {{"*.b.c", 5}, {"c", 1}}, {{"*.c", 3}, {"b.c", 3}}};
    static const struct nr_condition has_x[] = {
        {.source = NR_CONDITION_QUERY, .kind = NR_CONDITION_PRESENT, .name = {"x", 1}}};
    static const struct nr_condition x_is_1[] = {
        {.source = NR_CONDITION_QUERY,
         .kind = NR_CONDITION_EXACT,
         .name = {"x", 1},
         .value = {"1", 1}},
        {.source = NR_CONDITION_QUERY, .kind = NR_CONDITION_ABSENT, .name = {"y", 1}}};
    static const struct nr_match matches[] = {{.conditions = has_x, .count = 1},
                                              {.conditions = x_is_1, .count = 2}};
    uint64_t host = nr_random_below(random, 5), match = nr_random_below(random, 4);

    return (struct nr_router_rule){
        .path = random_path(random, true, params, text),
        .hosts = host < 3 ? hosts[host] : NULL,
        .host_count = host < 3 ? 1 + (uint32_t)nr_random_below(random, 2) : 0,
        .methods = nr_random_below(random, 3) == 0 ? GET_BIT : 0,
        .match = match < 2 ? &matches[match] : NULL,
    };
}

static const char *const random_hosts[] = {"a.b.c", "x.b.c", "b.c", "c", "q", ".c"};
static const char *const random_queries[] = {"/", "/?x", "/?x=1", "/?x=1&y", "/?y=2"};

/* One request, asked of both; the explanation must name the same winner. */
static void compare_once(const struct nr_router *router, const struct nr_router_rule *all,
                         struct nr_random *random, struct nr_arena *arena)
{
    struct nr_router_candidate candidates[RANDOM_RULES * 2];
    char text[RANDOM_PATH_BYTES];
    struct nr_span path = random_path(random, false, 0, text);
    struct nr_span host = nr_span_of(random_hosts[nr_random_below(random, 6)]);
    enum nr_method method = nr_random_below(random, 2) ? NR_METHOD_GET : NR_METHOD_POST;
    struct nr_head head;
    uint32_t rule = 0, count;
    uint64_t methods = 0;
    int have, explained = -1;

    nr_head_init_request(&head, arena, NR_SPAN("GET"), host,
                         nr_span_of(random_queries[nr_random_below(random, 5)]));
    switch (nr_router_find(router, host, path, method, &head, &rule, &methods)) {
    case NR_ROUTER_FOUND: have = (int)rule; break;
    case NR_ROUTER_NO_METHOD: have = -2; break;
    default: have = -1; break;
    }
    assert_int_equal(have, naive_find(all, RANDOM_RULES, host, path, method, &head));
    count = nr_router_explain(router, host, path, method, &head, candidates, NR_COUNT(candidates));
    assert_true(count <= NR_COUNT(candidates));
    for (uint32_t i = 0; i < count; i++) {
        if (candidates[i].outcome != NR_ROUTER_WON)
            continue;
        assert_int_equal(explained, -1);
        explained = (int)candidates[i].rule;
    }
    assert_int_equal(explained, have < 0 ? -1 : have);
}

/* How many rules of a path of their own stand beside the random ones: with many the search looks
 * ahead in a table that is larger than the caches. */
static void compare(uint32_t others, uint32_t params, int rounds)
{
    static char texts[RANDOM_RULES + OTHERS_MAX][RANDOM_PATH_BYTES];
    static struct nr_router_rule all[RANDOM_RULES + OTHERS_MAX];
    struct nr_random random;

    nr_random_init(&random, 7);
    for (uint32_t i = RANDOM_RULES; i < RANDOM_RULES + others; i++) {
        snprintf(texts[i], sizeof(texts[i]), "/other-%u", i);
        all[i] = (struct nr_router_rule){.path = nr_span_of(texts[i])};
    }
    for (int round = 0; round < rounds; round++) {
        struct nr_router *router;
        struct nr_arena arena;

        nr_arena_init(&arena, NULL, 0);
        for (int i = 0; i < RANDOM_RULES; i++)
            all[i] = random_rule(&random, params, texts[i]);
        router = nr_router_new(all, RANDOM_RULES + others);
        for (int i = 0; i < 200; i++)
            compare_once(router, all, &random, &arena);
        nr_router_free(router);
        nr_arena_done(&arena);
    }
}

static void agrees_with_the_definition(void **state)
{
    (void)state;
    compare(0, 0, 200);
    for (uint32_t params = 0; params < 16; params++)
        compare(OTHERS_MAX, params, 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(most_specific_wins),
        cmocka_unit_test(says_which_methods_a_path_has),
        cmocka_unit_test(empty_router_finds_nothing),
        cmocka_unit_test(agrees_with_the_definition),
    };

    return cmocka_run_group_tests_name("gateway/router", tests, NULL, NULL);
}
