/* SPDX-License-Identifier: Apache-2.0 */
/* The sections of gateway and service together, since routes name services: what loads, what is
 * refused, and what `naru check` finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "codec/head.h"
#include "gateway/gateway_conf.h"
#include "service/service_conf.h"

static const struct nr_schema_root *const roots[] = {&nr_gateway_conf_root, &nr_callers_conf_root,
                                                     &nr_services_conf_root, &nr_dns_conf_root};

struct world {
    struct nr_arena arena;
    struct nr_diags diags;
    struct nr_config *config;
    enum nr_code code;
};

static void load(struct world *w, const char *text)
{
    *w = (struct world){0};
    nr_arena_init(&w->arena, NULL, 0);
    nr_diags_init(&w->diags, &w->arena, 0);
    w->code = nr_config_load_bytes(roots, NR_COUNT(roots), NULL, "naru.yaml", nr_span_of(text),
                                   &w->diags, &w->config);
}

static void done(struct world *w)
{
    nr_config_unref(w->config);
    nr_arena_done(&w->arena);
}

static void assert_diags(const struct world *w, const char *expected)
{
    char all[4096] = "", line[512];

    for (uint32_t i = 0; i < w->diags.count; i++) {
        nr_diag_format(&w->diags.items[i], line, sizeof(line));
        snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i == 0 ? "" : "\n", line);
    }
    assert_string_equal(all, expected);
}

/* The example that users see first. Sections of later features stay out. */
static const char example[] =
    "gateway:\n"
    "  workers: auto                       # a number, or auto = cores\n"
    "  listen:\n"
    "    - address: \"0.0.0.0:8080\"\n"
    "  deadline: 6s\n"
    "  routes:\n"
    "    - match: { path: \"/api/orders/*\", methods: [GET, POST] }\n"
    "      service: orders\n"
    "      strip_prefix: /api\n"
    "callers:  { timeout: 3s }\n"
    "services:\n"
    "  orders:\n"
    "    instances: [\"127.0.0.1:7003\", { address: \"127.0.0.1:7013\", weight: 2, zone: b }]\n"
    "    own_timeout: 15s\n"
    "    balance: p2c\n"
    "    health:   { path: /healthz, interval: 2s, rise: 2, fall: 3 }\n"
    "    timeouts: { connect: 500ms, attempt: 2500ms, idle: 60s }\n"
    "    retry:    { attempts: 2, on: [connect, reset] }\n"
    "dns:     { servers: [\"127.0.0.53\"] }\n";

static void test_the_example_loads(void **state)
{
    const struct nr_gateway_conf *gateway;
    const struct nr_service_conf *orders;
    struct world w;

    load(&w, example);
    assert_diags(&w, "");
    gateway = nr_gateway_conf_of(w.config);
    assert_int_equal(gateway->workers, 0);
    assert_string_equal(gateway->listen[0].address.text.ptr, "0.0.0.0:8080");
    assert_int_equal(gateway->listen[0].limits.max_head_bytes, 16384);
    assert_true(gateway->listen[0].limits.max_body_bytes == NR_CONF_NONE);
    assert_int_equal(gateway->route_count, 1);
    assert_string_equal(gateway->routes[0].name.ptr, "/api/orders/*");
    assert_string_equal(gateway->routes[0].strip_prefix.ptr, "/api");
    assert_int_equal(gateway->routes[0].match.methods, 1 << NR_METHOD_GET | 1 << NR_METHOD_POST);
    assert_true(gateway->routes[0].deadline_ns == 6000000000u); /* the gateway's */
    assert_true(nr_callers_conf_of(w.config)->timeout_ns == 3000000000u);
    orders = nr_service_conf_find(nr_services_conf_of(w.config), NR_SPAN("orders"));
    assert_non_null(orders);
    assert_int_equal(orders->instance_count, 2);
    assert_int_equal(orders->instances[1].weight, 2);
    assert_string_equal(orders->instances[1].zone.ptr, "b");
    assert_int_equal(orders->balance.algorithm, NR_BALANCE_P2C);
    assert_string_equal(orders->health->path.ptr, "/healthz");
    assert_int_equal(orders->health->expect[0].first, 200);
    assert_int_equal(orders->health->expect[0].last, 299);
    assert_int_equal(orders->timeouts.connect_ns, 500000000);
    assert_true(orders->timeouts.write_ns == 5000000000u);
    assert_int_equal(orders->timeouts.first_byte_ns, 0);
    assert_int_equal(orders->retry.on, 1 << NR_RETRY_ON_CONNECT | 1 << NR_RETRY_ON_RESET);
    assert_int_equal(orders->retry.methods >> NR_METHOD_POST & 1, 0);
    assert_string_equal(nr_dns_conf_of(w.config)->servers[0].text.ptr, "127.0.0.53:53");
    done(&w);
}

static void test_listeners(void **state)
{
    const struct nr_gateway_conf *gateway;
    struct world w;

    load(&w,
         "gateway: {deadline: none, listen: [':0', 'unix:/run/n.sock', {address: 'unix:/run/m', "
         "mode: 0600, half_close: allow, trusted_proxies: 10.0.0.0/8}]}");
    assert_diags(&w, "");
    gateway = nr_gateway_conf_of(w.config);
    assert_int_equal(gateway->listen[0].address.kind, NR_CONFIG_ADDRESS_ANY);
    assert_int_equal(gateway->listen[1].unix_mode, 0660);
    assert_int_equal(gateway->listen[2].unix_mode, 0600);
    assert_int_equal(gateway->listen[2].half_close, NR_HALF_CLOSE_ALLOW);
    assert_int_equal(gateway->listen[2].trusted_proxy_count, 1);
    assert_true(gateway->deadline_ns == NR_CONF_NONE);
    done(&w);
}

static void test_routes_fold_and_inherit(void **state)
{
    const struct nr_route_conf *routes;
    struct world w;

    load(
        &w,
        "gateway:\n"
        "  listen: [':80']\n"
        "  routes:\n"
        "    - {name: a, match: {host: [API.Example.com, '*.Shop.kr']}, service: s, deadline: 1s}\n"
        "    - {match: /x/*, service: s, strip_prefix: /x/}\n"
        "services: {s: {instances: ['a:1']}}\n");
    assert_diags(&w, "");
    routes = nr_gateway_conf_of(w.config)->routes;
    assert_string_equal(routes[0].name.ptr, "a");
    assert_string_equal(routes[0].match.hosts[0].ptr, "api.example.com");
    assert_string_equal(routes[0].match.hosts[1].ptr, "*.shop.kr");
    assert_string_equal(routes[0].match.path.ptr, "/*");
    assert_true(routes[0].deadline_ns == 1000000000u);
    assert_true(routes[1].deadline_ns == 5000000000u);
    assert_string_equal(routes[1].strip_prefix.ptr, "/x");
    done(&w);
}

#define SERVICE     "services: {orders: {instances: ['a:1']}}\n"
#define ROUTE(text) "gateway:\n  listen: [':80']\n  routes:\n    - " text "\n" SERVICE

static void test_refusals(void **state)
{
    static const struct {
        const char *text;
        const char *expected;
    } cases[] = {
        {"gateway: {}", "naru.yaml:1:10: missing field 'listen'"},
        {"gateway: {listen: []}", "naru.yaml:1:10: 'listen' must not be empty"},
        {"gateway: {listen: ['localhost:80']}",
         "naru.yaml:1:20: a listener needs an IP address, not the name 'localhost'"},
        {"gateway: {listen: [{address: ':80', mode: 0600}]}",
         "naru.yaml:1:43: 'mode' is for Unix sockets only"},
        {ROUTE("{service: ordres}"),
         "naru.yaml:4:17: unknown service 'ordres', did you mean 'orders'?"},
        {ROUTE("{service: x}"), "naru.yaml:4:17: unknown service 'x'"},
        {ROUTE("{match: /}"), "naru.yaml:4:7: missing field 'service'"},
        {ROUTE("{match: api, service: orders}"),
         "naru.yaml:4:15: a path starts with '/', got 'api'"},
        {ROUTE("{match: /a*, service: orders}"),
         "naru.yaml:4:15: '*' stands only at the end, after '/', got '/a*'"},
        {ROUTE("{match: /*/b, service: orders}"),
         "naru.yaml:4:15: '*' stands only at the end, after '/', got '/*/b'"},
        {ROUTE("{match: '/a?b', service: orders}"),
         "naru.yaml:4:15: a path has no '?' and no '#', got '/a?b'"},
        {ROUTE("{match: {host: 'a.*'}, service: orders}"),
         "naru.yaml:4:22: expected a host such as example.com or *.example.com, got 'a.*'"},
        {ROUTE("{match: {host: 'a:80'}, service: orders}"),
         "naru.yaml:4:22: expected a host such as example.com or *.example.com, got 'a:80'"},
        {ROUTE("{match: /ab/*, service: orders, strip_prefix: /a}"),
         "naru.yaml:4:53: 'strip_prefix' must begin the path of the match, '/ab/*'"},
        {"services: {s: {instances: ['a:1'], faults: [{at: request, abort: 500}]}}",
         "naru.yaml:1:50: a service's faults strike its attempts; 'at: request' is for routes"},
        {ROUTE("{service: orders, faults: [{at: request, delay: 1s, reset: true}]}"),
         "naru.yaml:4:34: a fault is one of delay, abort, reset and bandwidth"},
        {"services: {s: {instances: ['a:1'], fallback: {service: spares}}, spare: {instances: "
         "['a:1']}}",
         "naru.yaml:1:56: unknown service 'spares', did you mean 'spare'?"},
        {"services: {s: {instances: ['a:1'], fallback: {service: s}}}",
         "naru.yaml:1:56: services stand in for each other in a circle: s -> s"},
        {"services: {s: {instances: ['a:1'], fallback: {service: t, status: 200}}, t: {instances: "
         "['a:1']}}",
         "naru.yaml:1:67: 'service' and 'status' exclude each other: the other service answers"},
        {"services: {a: {instances: ['a:1'], fallback: {service: b}}, b: {instances: ['a:1'], "
         "fallback: {service: c}}, c: {instances: ['a:1'], fallback: {service: d}}, d: {instances: "
         "['a:1']}}",
         "naru.yaml:1:56: too many services stand in one after the other: a -> b -> c -> d"},
        /* what later features will bring is refused until it works */
        {ROUTE("{match: /, service: orders, auth: {jwt: main}}"),
         "naru.yaml:4:35: unknown field 'auth'"},
        {"limits: {}", "naru.yaml:1:1: unknown section 'limits'"},
        {"services: {a: {instances: ['a:1'], xyzzy: {}}}", "naru.yaml:1:36: unknown field 'xyzzy'"},
        {"services: {a: {}}", "naru.yaml:1:15: missing field 'instances'"},
        {"services: {a: {instances: ['a:1'], retry: {attempts: 4}}}",
         "naru.yaml:1:54: must be between 1 and 3, got '4'"},
        {"services: {a: {instances: ['a:1'], retry: {on: [never]}}}",
         "naru.yaml:1:49: expected one of connect, reset, timeout, 429, 500, 501, 502, 503, 504, "
         "got "
         "'never'"},
        {"services: {a: {instances: ['a:1'], health: {rise: 3}}}",
         "naru.yaml:1:44: a health check needs a 'path', or 'tcp: true'"},
        {"services: {a: {instances: ['a:1'], health: {path: /, tcp: true}}}",
         "naru.yaml:1:44: 'path' and 'tcp' exclude each other"},
        {"services: {a: {instances: ['a:1'], health: healthz}}",
         "naru.yaml:1:44: a path starts with '/', got 'healthz'"},
        {"services: {a: {instances: ['a:1'], health: {tcp: true, timeout: 3s}}}",
         "naru.yaml:1:65: 'timeout' must not be longer than 'interval'"},
        {"services: {a: {instances: ['a:1'], health: {path: /, expect: []}}}",
         "naru.yaml:1:62: 'expect' must not be empty"},
        {"dns: {servers: [ns.example]}",
         "naru.yaml:1:16: a name server is given by its IP address, got 'ns.example:53'"},
    };

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        struct world w;

        load(&w, cases[i].text);
        assert_int_equal(w.code, NR_ECONFIG);
        assert_diags(&w, cases[i].expected);
        done(&w);
    }
}

#define TWO "instances: ['a:1', 'b:1'], health: /h"

static void test_findings(void **state)
{
    static const struct {
        const char *text;
        const char *code;
        const char *expected; /* NULL: none */
        enum nr_diag_level level;
    } cases[] = {
        {"gateway: {listen: [':1'], routes: [{service: s}]}\nservices: {s: {" TWO "}}", NULL, NULL,
         NR_DIAG_ERROR},
        {"gateway: {listen: [':1'], routes: [{service: s}]}\nservices: {s: {instances: ['a:1', "
         "'b:1']}}",
         "no-health-check",
         "naru.yaml:2:15: service 's' has no health check: a dead instance is found by the "
         "requests "
         "that fail on it",
         NR_DIAG_WARNING},
        {"gateway: {listen: [':1'], routes: [{service: s}]}\nservices: {s: {instances: ['a:1'], "
         "health: /h}}",
         "single-instance",
         "naru.yaml:2:27: service 's' has one instance, a single point of failure",
         NR_DIAG_WARNING},
        {"gateway: {listen: [':1'], routes: [{service: s}]}\nservices: {s: {instances: ['a:1', "
         "'b:1', 'a:1'], health: /h}}",
         "instance-repeated", "naru.yaml:2:42: instance a:1 of service 's' is listed twice",
         NR_DIAG_WARNING},
        {"gateway: {listen: [':1'], routes: [{match: /a, service: s},\n {match: /a, service: "
         "s}]}\nservices: {s: {" TWO "}}",
         "route-unreachable",
         "naru.yaml:2:10: route '/a' is never reached: the one at line 1 takes all of its requests",
         NR_DIAG_ERROR},
        {"gateway: {listen: [':1'], routes: [{match: {path: /a, methods: GET}, service: s},\n "
         "{match: "
         "{path: /a, methods: HEAD}, service: s}]}\nservices: {s: {" TWO "}}",
         "route-unreachable",
         "naru.yaml:2:10: route '/a' is never reached: the one at line 1 takes all of its requests",
         NR_DIAG_ERROR},
        {"gateway: {listen: [':1'], routes: [{match: {path: /a, methods: GET}, service: s},\n "
         "{match: "
         "/a, service: s}]}\nservices: {s: {" TWO "}}",
         NULL, NULL, NR_DIAG_ERROR},
        {"gateway: {listen: [':1'], routes: [{match: {host: a, path: /a}, service: s},\n {match: "
         "{host: b, path: /a}, service: s}]}\nservices: {s: {" TWO "}}",
         NULL, NULL, NR_DIAG_ERROR},
        {"gateway: {listen: [':1']}\nservices: {s: {" TWO "}}", "service-unused",
         "naru.yaml:2:15: service 's' is in no route", NR_DIAG_WARNING},
    };
    const struct nr_check_rules sets[] = {nr_service_check_rules, nr_gateway_check_rules,
                                          nr_gateway_shadow_rules};

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        struct world w;

        load(&w, cases[i].text);
        assert_diags(&w, "");
        nr_check_run(w.config, sets, NR_COUNT(sets), &w.diags);
        assert_diags(&w, cases[i].expected == NULL ? "" : cases[i].expected);
        if (cases[i].expected != NULL) {
            assert_string_equal(w.diags.items[0].code, cases[i].code);
            assert_int_equal(w.diags.items[0].level, cases[i].level);
            assert_non_null(w.diags.items[0].fix);
        }
        done(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_example_loads),
        cmocka_unit_test(test_listeners),
        cmocka_unit_test(test_routes_fold_and_inherit),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_findings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
