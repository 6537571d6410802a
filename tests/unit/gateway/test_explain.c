/* SPDX-License-Identifier: Apache-2.0 */
/* What people are told of routes is what the router does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "gateway/explain.h"

static const struct nr_schema_root *const roots[] = {&nr_gateway_conf_root, &nr_callers_conf_root,
                                                     &nr_services_conf_root, &nr_dns_conf_root};

struct world {
    struct nr_config *config;
    struct nr_routes *routes;
    struct nr_route_place *places;
    uint32_t count;
};

static void world_init(struct world *world, const char *text)
{
    struct nr_arena arena;
    struct nr_diags diags;

    nr_arena_init(&arena, NULL, 0);
    nr_diags_init(&diags, &arena, 0);
    assert_int_equal(nr_config_load_bytes(roots, NR_COUNT(roots), NULL, "n", nr_span_of(text),
                                          &diags, &world->config),
                     NR_OK);
    world->routes = nr_routes_new(world->config);
    world->places = nr_routes_order(world->routes, &world->count);
    nr_arena_done(&arena);
}

static void world_done(struct world *world)
{
    free(world->places);
    nr_routes_free(world->routes);
    nr_config_unref(world->config);
}

static struct nr_json *explain(const struct world *world, const char *request)
{
    struct nr_json *json = NULL;
    struct nr_err err = {0};

    assert_int_equal(nr_routes_explain(world->routes, request, NULL, 0, &json, &err), NR_OK);
    return json;
}

static void test_the_order_is_written_out(void **state)
{
    static const char text[] =
        "gateway:\n"
        "  listen: [':80']\n"
        "  routes:\n"
        "  - {name: all, match: /*, respond: 200}\n"
        "  - {name: param, match: '/a/{x}', respond: 200}\n"
        "  - {name: exact, match: /a/b, respond: 200}\n"
        "  - {name: prefix, match: /a/b/*, respond: 200}\n"
        "  - {name: beta, match: {path: /a/b, headers: {X: '1'}}, respond: 200}\n"
        "  - {name: wild, match: {path: /*, host: '*.x.org'}, respond: 200}\n"
        "  - {name: deep, match: {path: /*, host: ['*.y.x.org', a.x.org]}, respond: 200}\n";
    static const char *const order[] = {"deep",  "deep",   "wild",  "beta",
                                        "exact", "prefix", "param", "all"};
    struct world world;

    world_init(&world, text);
    assert_int_equal(world.count, NR_COUNT(order));
    for (uint32_t i = 0; i < world.count; i++)
        assert_string_equal(world.routes->items[world.places[i].route].conf->name.ptr, order[i]);
    assert_true(nr_span_eq(world.places[0].host, NR_SPAN("a.x.org")));
    assert_true(nr_span_eq(world.places[1].host, NR_SPAN("*.y.x.org")));
    assert_int_equal(world.places[7].host.len, 0);
    world_done(&world);
}

/* Candidates that a request meets stand in the list in the same order. A route may be met under
 * one host only, so the list is searched onward from the last. */
static void check_order(const struct world *world, const char *request)
{
    struct nr_json *json = explain(world, request);
    const struct nr_json *candidates = nr_json_get(json, "candidates");
    uint32_t at = 0;

    for (size_t i = 0; i < nr_json_count(candidates); i++) {
        int64_t index = nr_json_integer_value(nr_json_get(nr_json_at(candidates, i), "index"));

        while (at < world->count && world->places[at].route != (uint32_t)index)
            at++;
        assert_true(at < world->count);
        at++;
    }
    nr_json_free(json);
}

/* Routes and requests over a small alphabet, so that they meet often. */
static void test_the_router_asks_in_that_order(void **state)
{
    static const char *const segments[] = {"a", "b", "{x}"};
    static const char *const hosts[] = {"", "", "h.x", "'*.x'", "i.y.x", "'*.y.x'"};
    static const char *const asked_hosts[] = {"h.x", "g.x", "i.y.x", "j.y.x", "z"};
    struct nr_random random;

    nr_random_init(&random, 7);
    for (int round = 0; round < 200; round++) {
        struct nr_strbuf text = {0};
        struct world world;

        NR_STRBUF_LIT(&text, "gateway:\n  listen: [':80']\n  routes:\n");
        for (int i = 0; i < 12; i++) {
            const char *host = hosts[nr_random_below(&random, NR_COUNT(hosts))];

            nr_strbuf_printf(&text, "  - {name: r%d, respond: 200, match: {", i);
            if (host[0] != '\0')
                nr_strbuf_printf(&text, "host: %s, ", host);
            if (nr_random_below(&random, 3) == 0)
                NR_STRBUF_LIT(&text, "methods: GET, ");
            if (nr_random_below(&random, 3) == 0)
                NR_STRBUF_LIT(&text, "headers: {X: {present: false}}, ");
            NR_STRBUF_LIT(&text, "path: '");
            for (uint64_t k = nr_random_below(&random, 3), x = 0; k > 0; k--) {
                uint64_t which = nr_random_below(&random, 3 - x); /* one parameter at most */

                x += which == 2;
                nr_strbuf_printf(&text, "/%s", segments[which]);
            }
            nr_strbuf_printf(&text, "%s'}}\n", nr_random_below(&random, 2) == 0 ? "/*" : "/e");
        }
        world_init(&world, text.ptr);
        for (int i = 0; i < 20; i++) {
            char request[128];

            snprintf(request, sizeof(request), "GET http://%s/%s/%s%s",
                     asked_hosts[nr_random_below(&random, NR_COUNT(asked_hosts))],
                     segments[nr_random_below(&random, 2)], segments[nr_random_below(&random, 2)],
                     nr_random_below(&random, 2) == 0 ? "/e" : "");
            check_order(&world, request);
        }
        world_done(&world);
        nr_strbuf_done(&text);
    }
}

static void test_what_is_no_request(void **state)
{
    static const struct {
        const char *request;
        struct nr_span field; /* len 0: none */
        const char *error;
    } cases[] = {
        {"nonsense", {NULL, 0}, "expected a method and a URL: 'nonsense'"},
        {"GET /\r\nX: 1", {NULL, 0}, "expected a method and a URL: 'GET /\r\nX: 1'"},
        {"GET /", NR_SPAN("nonsense"), "expected 'Name: value': 'nonsense'"},
        {"GET /", NR_SPAN("A: b\r\nC: d"), "expected 'Name: value': 'A: b\r\nC: d'"},
        {"GET /a/../b", {NULL, 0}, "the gateway refuses this request: 'bad_path'"},
    };
    struct world world;

    world_init(&world, "gateway: {listen: [':80'], routes: [{match: /*, respond: 200}]}");
    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        struct nr_json *json = NULL;
        struct nr_err err = {0};

        assert_int_equal(nr_routes_explain(world.routes, cases[i].request, &cases[i].field,
                                           cases[i].field.len > 0, &json, &err),
                         NR_EINVAL);
        assert_string_equal(err.text, cases[i].error);
        assert_null(json);
    }
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_order_is_written_out),
        cmocka_unit_test(test_the_router_asks_in_that_order),
        cmocka_unit_test(test_what_is_no_request),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
