/* SPDX-License-Identifier: Apache-2.0 */
/* From the text of a configuration to the route of a request: every kind of match, and which of
 * several wins. Requests are parsed by the codec, as on the wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "codec/h1.h"
#include "gateway/routes.h"

static const struct nr_schema_root *const roots[] = {&nr_gateway_conf_root, &nr_callers_conf_root,
                                                     &nr_services_conf_root, &nr_dns_conf_root};

static const char config_text[] =
    "gateway:\n"
    "  listen: [':80']\n"
    "  api_version: {header: X-Api-Version, default: v1}\n"
    "  routes:\n"
    "  - {name: all, match: /*, service: s}\n"
    "  - {name: user, match: '/users/{id}', service: s}\n"
    "  - {name: me, match: /users/me, service: s}\n"
    "  - {name: user-rest, match: '/users/{id}/*', service: s}\n"
    "  - {name: user-orders, match: '/users/{id}/orders', service: s}\n"
    "  - {name: me-rest, match: /users/me/*, service: s}\n"
    "  - {name: user-order, match: '/users/{id}/orders/{order}', service: s}\n"
    "  - {name: user-delete, match: {path: '/users/{id}', methods: DELETE}, service: s}\n"
    "  - {name: h-any, match: {path: /h, headers: {X-A: {present: true}}}, service: s}\n"
    "  - {name: h-one, match: {path: /h, headers: {X-A: '1', X-B: '2'}}, service: s}\n"
    "  - {name: h-prefix, match: {path: /hp, headers: {X-A: {prefix: ab}}}, service: s}\n"
    "  - {name: h-regex, match: {path: /hr, headers: {X-A: {regex: '[0-9]+'}}}, service: s}\n"
    "  - {name: h-absent, match: {path: /ha, headers: {X-A: {present: false}}}, service: s}\n"
    "  - {name: h-empty, match: {path: /he, headers: {X-A: ''}}, service: s}\n"
    "  - {name: q-exact, match: {path: /q, query: {a: 'x y'}}, service: s}\n"
    "  - {name: q-prefix, match: {path: /qp, query: {a: {prefix: 'x&'}}}, service: s}\n"
    "  - {name: q-regex, match: {path: /qr, query: {a: {regex: 'x|y'}}}, service: s}\n"
    "  - {name: q-present, match: {path: /qq, query: {a: {present: true}}}, service: s}\n"
    "  - {name: q-absent, match: {path: /qa, query: {a: {present: false}}}, service: s}\n"
    "  - {name: c-exact, match: {path: /c, cookies: {id: '7'}}, service: s}\n"
    "  - {name: c-prefix, match: {path: /cp, cookies: {id: {prefix: ab}}}, service: s}\n"
    "  - {name: c-regex, match: {path: /cr, cookies: {id: {regex: '[a-f]{3}'}}}, service: s}\n"
    "  - {name: c-present, match: {path: /cq, cookies: {id: {present: true}}}, service: s}\n"
    "  - {name: c-absent, match: {path: /ca, cookies: {id: {present: false}}}, service: s}\n"
    "  - {name: v1, match: {path: /v, version: '1'}, service: s}\n"
    "  - {name: v2, match: {path: /v, version: v2}, service: s}\n"
    "  - {name: v2.1, match: {path: /v, version: '2.1'}, service: s}\n"
    "  - {name: regex, match: {path_regex: '/f/[0-9]+'}, service: s}\n"
    "  - {name: regex-in, match: {path: /g/*, path_regex: '/g/(a|b)/.*'}, service: s}\n"
    "  - {name: evil, match: {path: /evil/*, path_regex: '/evil/(a+)+b'}, service: s}\n"
    "  - {name: get-only, match: {path: /m, methods: GET}, service: s}\n"
    "  - {name: m-any, match: /m2, service: s}\n"
    "  - {name: m-post, match: {path: /m2, methods: POST}, service: s}\n"
    "  - {name: shop, match: {host: shop.example, path: /*}, service: s}\n"
    "  - {name: wild, match: {host: '*.example', path: /w}, service: s}\n"
    "  - {name: wild-deep, match: {host: '*.eu.example', path: '/w'}, service: s}\n"
    "  - {name: wild-param, match: {host: '*.eu.example', path: '/{x}'}, service: s}\n"
    "  - {name: lit-first, match: /t/a/*, service: s}\n"
    "  - {name: param-first, match: '/t/{x}/b', service: s}\n"
    "  - {name: caf, match: /caf%C3%A9, service: s}\n"
    "  - {name: order-1, match: {path: /o, headers: {X-A: '1'}}, service: s}\n"
    "  - {name: order-2, match: {path: /o, headers: {X-B: '1'}}, service: s}\n"
    "services: {s: {instances: ['a:1']}}\n";

/* clang-format off */
static const struct {
    const char *request; /* method, target, then fields */
    const char *route;   /* NULL: none; "405": not with this method */
} cases[] = {
    /* paths: literal before parameter before star */
    {"GET / ", "all"}, {"GET /x ", "all"}, {"GET /users ", "all"}, {"GET /users/ ", "all"},
    {"GET /users/7 ", "user"}, {"GET /users/me ", "me"}, {"GET /users/mee ", "user"},
    {"GET /users/m ", "user"}, {"GET /users/7/ ", "user-rest"}, {"GET /users/7/x ", "user-rest"},
    {"GET /users/7/orders ", "user-orders"}, {"GET /users/7/orders/ ", "user-rest"},
    {"GET /users/7/orders/9 ", "user-order"}, {"GET /users/7/orders/9/z ", "user-rest"},
    {"GET /users/me/orders ", "me-rest"}, {"GET /users/me/ ", "me-rest"},
    {"GET /users/me/orders/9 ", "me-rest"}, {"GET /users//x ", "all"},
    {"GET /users/%7E ", "user"}, {"GET /users/%6De ", "me"}, {"GET /users/me%20 ", "user"},
    {"GET /t/a/b ", "lit-first"}, {"GET /t/c/b ", "param-first"}, {"GET /t/c/d ", "all"},
    {"GET /t/a ", "lit-first"}, {"GET /caf%c3%a9 ", "caf"}, {"GET /Users/7 ", "all"},
    {"GET /users/a.b ", "user"}, {"GET /users/a;b ", "user"}, {"GET /users/{id} ", "400"},
    /* methods */
    {"DELETE /users/7 ", "user-delete"}, {"DELETE /users/me ", "me"}, {"PUT /users/7 ", "user"},
    {"GET /m ", "get-only"}, {"HEAD /m ", "get-only"}, {"POST /m ", "all"},
    {"GET /m2 ", "m-any"}, {"POST /m2 ", "m-post"}, {"BREW /m2 ", "m-any"},
    /* fields */
    {"GET /h ", "all"}, {"GET /h X-A: 5", "h-any"}, {"GET /h x-a: 1", "h-any"},
    {"GET /h X-A: 1|X-B: 2", "h-one"}, {"GET /h X-B: 2", "all"}, {"GET /h X-A: 1|X-B: 3", "h-any"},
    {"GET /h X-A: 0|X-A: 1|X-B: 2", "h-one"}, {"GET /hp X-A: abc", "h-prefix"},
    {"GET /hp X-A: ab", "h-prefix"}, {"GET /hp X-A: a", "all"}, {"GET /hp X-A: Ab", "all"},
    {"GET /hr X-A: 123", "h-regex"}, {"GET /hr X-A: 123a", "all"}, {"GET /hr X-A: a123", "all"},
    {"GET /hr ", "all"}, {"GET /ha ", "h-absent"}, {"GET /ha X-A: 1", "all"},
    {"GET /ha X-A:", "all"}, {"GET /he X-A:", "h-empty"}, {"GET /he X-A: 1", "all"}, {"GET /he ", "all"},
    /* order between equals, and the number of conditions */
    {"GET /o X-A: 1|X-B: 1", "order-1"}, {"GET /o X-B: 1", "order-2"}, {"GET /o ", "all"},
    /* the query, decoded */
    {"GET /q?a=x%20y ", "q-exact"}, {"GET /q?a=x+y ", "q-exact"}, {"GET /q?b=1&a=x+y ", "q-exact"},
    {"GET /q?a=1&a=x+y ", "q-exact"}, {"GET /q?%61=x+y ", "q-exact"}, {"GET /q?a=xy ", "all"},
    {"GET /q?a=x+yz ", "all"}, {"GET /q?A=x+y ", "all"}, {"GET /q ", "all"}, {"GET /q? ", "all"},
    {"GET /q?aa=x+y ", "all"}, {"GET /qp?a=x%26z ", "q-prefix"}, {"GET /qp?a=x&z ", "all"},
    {"GET /qr?a=x ", "q-regex"}, {"GET /qr?a=%78 ", "q-regex"}, {"GET /qr?a=xy ", "all"},
    {"GET /qq?a ", "q-present"}, {"GET /qq?a= ", "q-present"}, {"GET /qq?b=a ", "all"},
    {"GET /qa?b ", "q-absent"}, {"GET /qa ", "q-absent"}, {"GET /qa?a ", "all"},
    /* cookies */
    {"GET /c Cookie: id=7", "c-exact"}, {"GET /c Cookie: a=b; id=7", "c-exact"},
    {"GET /c Cookie: a=b|Cookie: id=7", "c-exact"}, {"GET /c Cookie: id=77", "all"},
    {"GET /c Cookie: xid=7", "all"}, {"GET /c Cookie: ID=7", "all"}, {"GET /c Cookie: id", "all"},
    {"GET /c ", "all"}, {"GET /cp Cookie: id=abz", "c-prefix"}, {"GET /cp Cookie: id=a", "all"},
    {"GET /cr Cookie: id=abc", "c-regex"}, {"GET /cr Cookie: id=abcd", "all"},
    {"GET /cq Cookie: id=", "c-present"}, {"GET /cq Cookie: x=id", "all"},
    {"GET /ca Cookie: x=1", "c-absent"}, {"GET /ca Cookie: id=1", "all"},
    /* versions: the query before the field before Accept */
    {"GET /v ", "v1"}, {"GET /v?version=2 ", "v2"}, {"GET /v?version=v2 ", "v2"},
    {"GET /v?version=9 ", "all"}, {"GET /v X-Api-Version: 2", "v2"},
    {"GET /v Accept: application/vnd.shop.v2+json", "v2"},
    {"GET /v Accept: application/vnd.v2+json", "v2"},
    {"GET /v Accept: application/vnd.shop.v2.1+json", "v2.1"},
    {"GET /v Accept: application/json;version=2", "v2"},
    {"GET /v Accept: application/json; q=0.5; version=\"2\"", "v2"},
    {"GET /v Accept: text/html, application/json;version=2", "v2"},
    {"GET /v Accept: application/vnd.video+json", "v1"}, {"GET /v Accept: */*", "v1"},
    {"GET /v?version=1 Accept: application/json;version=2", "v1"},
    {"GET /v X-Api-Version: 2|Accept: application/json;version=1", "v2"},
    /* regular expressions: the last resort, and never only a part */
    {"GET /f/12 ", "regex"}, {"GET /f/12x ", "all"}, {"GET /x/f/12 ", "all"}, {"GET /f/ ", "all"},
    {"GET /g/a/b ", "regex-in"}, {"GET /g/c/b ", "all"}, {"GET /g/b/ ", "regex-in"},
    {"GET /evil/aab ", "evil"}, {"GET /evil/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac ", "all"},
    /* hosts */
    {"GET /w Host: shop.example", "shop"}, {"GET /users/7 Host: SHOP.example:81", "shop"},
    {"GET /w Host: a.example", "wild"}, {"GET /w Host: a.eu.example", "wild-deep"},
    {"GET /z Host: a.eu.example", "wild-param"}, {"GET /users/7 Host: a.eu.example", "user"},
    {"GET /w Host: example", "all"}, {"GET /w Host: eu.example.", "wild"},
    {"GET /w Host: b.shop.example", "wild"}, {"GET /w Host: [::1]:80", "all"},
    {"OPTIONS * ", NULL},
};
/* clang-format on */

struct world {
    struct nr_arena arena;
    struct nr_diags diags;
    struct nr_config *config;
    struct nr_routes *routes;
};

static void load(struct world *w, const char *text)
{
    *w = (struct world){0};
    nr_arena_init(&w->arena, NULL, 0);
    nr_diags_init(&w->diags, &w->arena, 0);
    if (nr_config_load_bytes(roots, NR_COUNT(roots), NULL, "naru.yaml", nr_span_of(text), &w->diags,
                             &w->config) != NR_OK)
        fail_msg("%s", w->diags.items[0].text);
    w->routes = nr_routes_new(w->config);
}

static void done(struct world *w)
{
    nr_routes_free(w->routes);
    nr_config_unref(w->config);
    nr_arena_done(&w->arena);
}

/* "GET /a X-A: 1|X-B: 2" as it comes over the wire. */
static size_t wire_bytes(const char *request, char *to, size_t room)
{
    const char *target = strchr(request, ' ') + 1;
    const char *fields = strchr(target, ' ') + 1;
    int len = snprintf(to, room, "%.*sHTTP/1.1\r\n%s", (int)(fields - request), request,
                       strstr(fields, "Host:") == NULL ? "Host: h\r\n" : "");

    while (*fields != '\0') {
        size_t field = strcspn(fields, "|");

        len += snprintf(to + len, room - (size_t)len, "%.*s\r\n", (int)field, fields);
        fields += field + (fields[field] == '|');
    }
    len += snprintf(to + len, room - (size_t)len, "\r\n");
    return (size_t)len;
}

static const char *route_of(const struct nr_routes *routes, const char *request)
{
    struct nr_field fields[20];
    struct nr_head head;
    char bytes[1024];
    size_t len = wire_bytes(request, bytes, sizeof(bytes));
    uint32_t rule = 0;
    uint64_t methods = 0;

    if (nr_h1_parse_request(bytes, len, &nr_h1_limits_default, fields, 20, &head) != NR_H1_OK)
        return "400";
    switch (nr_router_find(routes->router, nr_head_text(&head, head.authority),
                           nr_head_text(&head, head.path), head.method, &head, &rule, &methods)) {
    case NR_ROUTER_FOUND: return routes->items[rule].conf->name.ptr;
    case NR_ROUTER_NO_METHOD: return "405";
    default: return NULL;
    }
}

static void test_each_request_takes_its_route(void **state)
{
    struct world w;

    load(&w, config_text);
    assert_true(NR_COUNT(cases) >= 120);
    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        const char *have = route_of(w.routes, cases[i].request);

        if ((have == NULL) != (cases[i].route == NULL) ||
            (have != NULL && strcmp(have, cases[i].route) != 0))
            fail_msg("'%s' took %s, not %s", cases[i].request, have == NULL ? "none" : have,
                     cases[i].route == NULL ? "none" : cases[i].route);
    }
    done(&w);
}

static void test_plain_routes_have_no_plan(void **state)
{
    struct world w;

    load(&w, config_text);
    for (uint32_t i = 0; i < w.routes->count; i++)
        assert_int_equal(w.routes->items[i].plan != NULL,
                         w.routes->items[i].conf->match.version.len > 0);
    done(&w);
}

#define SPLIT(old, new)                                                                            \
    "gateway: {listen: [':80'], routes: [{name: r, split: {header: X-User}, services: "            \
    "[{name: old, weight: " old                                                                    \
    "}, {name: new, weight: " new "}]}]}\n"                                                        \
                                  "services: {old: {instances: ['a:1']}, new: {instances: "        \
                                  "['a:1']}}\n"

static uint32_t pick(const struct world *w, uint32_t user, struct nr_random *random,
                     struct nr_arena *arena)
{
    char name[16];
    struct nr_head head;

    nr_head_init_request(&head, arena, NR_SPAN("GET"), NR_SPAN("h"), NR_SPAN("/"));
    snprintf(name, sizeof(name), "user-%u", user);
    nr_head_add(&head, arena, NR_SPAN("X-User"), nr_span_of(name));
    return nr_split_pick(w->routes->items[0].plan, &head, random);
}

/* A canary grows from 10 to 25 %: who had it keeps it. */
static void test_a_split_is_stable(void **state)
{
    enum { USERS = 20000 };
    struct world small, large;
    struct nr_random random;
    uint32_t counts[2] = {0};

    nr_random_init(&random, 3);
    load(&small, SPLIT("90", "10"));
    load(&large, SPLIT("75", "25"));
    for (uint32_t i = 0; i < USERS; i++) {
        struct nr_arena arena;
        uint32_t before, after;

        nr_arena_init(&arena, NULL, 0);
        before = pick(&small, i, &random, &arena);
        after = pick(&large, i, &random, &arena);
        assert_int_equal(before, pick(&small, i, &random, &arena));
        assert_true(before == 0 || after == 1);
        counts[0] += before;
        counts[1] += after;
        nr_arena_done(&arena);
    }
    assert_in_range(counts[0], USERS * 9 / 100, USERS * 11 / 100);
    assert_in_range(counts[1], USERS * 24 / 100, USERS * 26 / 100);
    done(&small);
    done(&large);
}

static void test_a_weight_of_zero_gets_nothing(void **state)
{
    struct world w;
    struct nr_random random;
    struct nr_head head;

    nr_random_init(&random, 3);
    load(&w, SPLIT("0", "1"));
    nr_head_init_request(&head, &w.arena, NR_SPAN("GET"), NR_SPAN("h"), NR_SPAN("/"));
    for (int i = 0; i < 1000; i++)
        assert_int_equal(nr_split_pick(w.routes->items[0].plan, &head, &random), 1);
    done(&w);
}

/* A pattern that would run for years is given up, and soon. */
static void test_a_regex_is_bounded(void **state)
{
    struct nr_regex *regex = NULL;
    struct nr_err err = {0};
    struct nr_span groups[NR_REGEX_GROUPS_MAX];

    assert_int_equal(nr_regex_new(NR_SPAN("(a+)+(?<tail>b)"), &regex, &err), NR_OK);
    assert_false(
        nr_regex_match(regex, NR_SPAN("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac"), NULL));
    assert_true(nr_regex_match(regex, NR_SPAN("aab"), groups));
    assert_int_equal(nr_regex_group(regex, NR_SPAN("tail")), 2);
    assert_true(nr_span_eq(groups[2], NR_SPAN("b")));
    nr_regex_free(regex);
    assert_int_equal(nr_regex_new(NR_SPAN("(a"), &regex, &err), NR_EINVAL);
    assert_non_null(strstr(err.text, "at character"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_request_takes_its_route),
        cmocka_unit_test(test_plain_routes_have_no_plan),
        cmocka_unit_test(test_a_split_is_stable),
        cmocka_unit_test(test_a_weight_of_zero_gets_nothing),
        cmocka_unit_test(test_a_regex_is_bounded),
    };

    return cmocka_run_group_tests_name("gateway/routing", tests, NULL, NULL);
}
