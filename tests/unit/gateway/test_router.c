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

/* The rule by plain comparison of all of them: the definition that the trie must agree with. */
static int naive(const struct nr_router_rule *all, uint32_t count, struct nr_span path,
                 enum nr_method method)
{
    int best = -1;
    size_t best_rank = 0;

    for (uint32_t i = 0; i < count; i++) {
        struct nr_span p = all[i].path;
        bool prefix = p.len >= 2 && p.ptr[p.len - 1] == '*';
        size_t rank;

        if (all[i].methods != 0 && !(all[i].methods & (1u << method)))
            continue;
        if (prefix) {
            p.len -= 2;
            if (!nr_span_starts_with(path, p) || (path.len > p.len && path.ptr[p.len] != '/'))
                continue;
            rank = p.len + 1;
        } else {
            if (!nr_span_eq(p, path))
                continue;
            rank = 1000;
        }
        rank = rank * 2 + (all[i].methods != 0); /* a list of methods is a condition */
        if (rank > best_rank) {
            best = (int)i;
            best_rank = rank;
        }
    }
    return best;
}

enum { RANDOM_RULES = 60, RANDOM_PATH_BYTES = 16 };

static struct nr_span random_path(struct nr_random *random, char *to)
{
    size_t len = 1 + nr_random_below(random, 7);

    to[0] = '/';
    for (size_t i = 1; i < len; i++)
        to[i] = "ab/"[nr_random_below(random, 3)];
    return (struct nr_span){to, len};
}

static void agrees_with_the_definition(void **state)
{
    static char texts[RANDOM_RULES][RANDOM_PATH_BYTES];
    struct nr_router_rule all[RANDOM_RULES];
    struct nr_random random;

    (void)state;
    nr_random_init(&random, 7);
    for (int round = 0; round < 200; round++) {
        struct nr_router *router;

        for (int i = 0; i < RANDOM_RULES; i++) {
            struct nr_span path = random_path(&random, texts[i]);

            if (nr_random_below(&random, 2) == 0) {
                memcpy(texts[i] + path.len, "/*", 2);
                path.len += 2;
            }
            all[i] = (struct nr_router_rule){
                .path = path, .methods = nr_random_below(&random, 3) == 0 ? GET_BIT : 0};
        }
        router = nr_router_new(all, RANDOM_RULES);
        for (int i = 0; i < 200; i++) {
            char text[RANDOM_PATH_BYTES];
            struct nr_span path = random_path(&random, text);
            enum nr_method method = i & 1 ? NR_METHOD_GET : NR_METHOD_POST;
            uint32_t rule = 0;
            uint64_t methods;
            bool found = nr_router_find(router, NR_SPAN("h"), path, method, NULL, &rule,
                                        &methods) == NR_ROUTER_FOUND;

            assert_int_equal(found ? (int)rule : -1, naive(all, RANDOM_RULES, path, method));
        }
        nr_router_free(router);
    }
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
