/* SPDX-License-Identifier: Apache-2.0 */
/* Every finding of `naru check`: a configuration that has it, one that only just has not, and the
 * essay's example, which is what people copy. */
#include "foresight/review.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "cli/sections.h"

struct world {
    struct nr_arena arena;
    struct nr_diags diags;
    struct nr_config *config;
};

static const char *environment(void *arg, const char *name)
{
    return strcmp(name, "STICKY_SECRET") == 0 || strcmp(name, "SECRET") == 0
               ? "correct horse battery"
               : NULL;
}

static void review(struct world *w, const char *text)
{
    static const struct nr_config_source source = {.getenv = environment};
    enum nr_code code;

    memset(w, 0, sizeof(*w));
    nr_arena_init(&w->arena, NULL, 0);
    nr_diags_init(&w->diags, &w->arena, 100);
    code = nr_config_load_bytes(nr_section_roots, NR_SECTION_COUNT, &source, "naru.yaml",
                                nr_span_of(text), &w->diags, &w->config);
    if (code != NR_OK)
        fail_msg("%s\n%s", w->diags.items[0].text, text);
    nr_review(w->config, &w->diags);
}

static void done(struct world *w)
{
    nr_config_unref(w->config);
    nr_arena_done(&w->arena);
}

static const struct nr_diag *find(const struct world *w, const char *code)
{
    for (uint32_t i = 0; i < w->diags.count; i++)
        if (strcmp(w->diags.items[i].code, code) == 0)
            return &w->diags.items[i];
    return NULL;
}

/* ---- cases ---- */

#define ROUTE "gateway: {listen: [':1'], routes: [{service: s}]}\n"
#define WITHIN(deadline)                                                                           \
    "gateway: {listen: [':1'], deadline: " deadline ", routes: [{service: s}]}\n"
#define ROUTED(limit)      "gateway: {listen: [':1'], routes: [{service: s, limits: [" limit "]}]}\n"
#define TWO                "instances: ['a:1', 'b:1'], health: /h"
#define S(more)            ROUTE "services: {s: {" TWO more "}}"
#define IN(deadline, more) WITHIN(deadline) "services: {s: {" TWO more "}}"
#define RSA                "-----BEGIN RSA PRIVATE KEY-----"

/* clang-format off */
static const struct {
    const char *code;
    const char *text;
    const char *expected; /* "line:column reason"; NULL: it is not found */
} cases[] = {
    /* Tiers that nobody can be in, exercises that go on. */
    {"limit-tier-untold", "gateway: {listen: [':1'], limits: [a], routes: [{service: s}]}\nservices: {s: {" TWO "}}\n"
     "limits: {a: {rate: 1/s, tiers: {x: 2/s}, tier_key: 'header:X'}}",
     "3:52 no tier will ever be used: 'header:X' is believed from trusted_proxies only, and there are none"},
    {"limit-tier-untold", "gateway: {listen: [{address: ':1', trusted_proxies: [10.0.0.1]}], limits: [a], routes: [{service: s}]}\n"
     "services: {s: {" TWO "}}\nlimits: {a: {rate: 1/s, tiers: {x: 2/s}, tier_key: 'header:X'}}", NULL},
    {"faults-on", "gateway: {listen: [':1'], routes: [{service: s, faults: [{delay: 1s}]}]}\nservices: {s: {" TWO "}}",
     "1:57 route '/*' makes requests fail on purpose"},
    {"faults-on", S(", faults: [{abort: 503}]"), "2:63 service 's' is made to fail on purpose"},
    {"faults-on", S(""), NULL},
    {"fallback-without-time", WITHIN("2s") "services: {s: {" TWO ", fallback: {service: t}}, t: {" TWO "}}",
     "2:75 when service 's' is slow, its attempts take all of the deadline of route '/*', 2000ms, and 't' is never asked"},
    {"fallback-without-time", WITHIN("2s") "services: {s: {" TWO ", timeouts: {attempt: 1s}, fallback: {service: t}}, t: {" TWO "}}",
     "2:100 when service 's' is slow, its attempts take all of the deadline of route '/*', 2000ms, and 't' is never asked"},
    {"fallback-without-time", WITHIN("2s") "services: {s: {" TWO ", timeouts: {attempt: 500ms}, fallback: {service: t}}, t: {" TWO "}}", NULL},
    {"service-unused", S(", fallback: {service: t}}, t: {instances: ['a:2']"), NULL},
    /* P2: client 3 s < gateway 5 s < service 15 s < database 20 s */
    {"timeouts-inverted", WITHIN("5s") "callers: {timeout: 3s}\nservices: {s: {own_timeout: 15s, " TWO "}}", NULL},
    {"timeouts-inverted", WITHIN("5s") "callers: {timeout: 6s}\nservices: {s: {" TWO "}}",
     "1:37 timeouts are inverted: clients wait 6000ms, the gateway only 5000ms"},
    {"timeouts-inverted", "gateway: {listen: [':1'], routes: [{service: s, deadline: 2s}]}\ncallers: {timeout: 2s}\nservices: {s: {" TWO "}}",
     "1:59 timeouts are inverted: clients wait 2000ms, the gateway only 2000ms"},
    {"timeouts-inverted", S(", own_timeout: 4s"),
     "2:68 timeouts are inverted: route '/*' waits 5000ms, service 's' gives up after 4000ms"},
    {"timeouts-inverted", IN("none", ", own_timeout: 4s"),
     "2:68 timeouts are inverted: route '/*' waits beyond 4000ms, service 's' gives up after 4000ms"},
    {"timeouts-inverted", ROUTE "services:\n s: {own_timeout: 15s, calls: db, " TWO "}\n db: {own_timeout: 20s, " TWO "}", NULL},
    {"timeouts-inverted", ROUTE "services:\n s: {own_timeout: 15s, calls: db, " TWO "}\n db: {own_timeout: 10s, " TWO "}",
     "4:20 timeouts are inverted: service 's' waits 15000ms, service 'db', which it calls, gives up after 10000ms"},

    {"attempts-beyond-deadline", IN("5s", ", timeouts: {attempt: 2500ms}"), NULL},
    {"attempts-beyond-deadline", IN("5s", ", timeouts: {attempt: 2501ms}"),
     "2:75 2 attempts of 2501ms with 0ms of back-off on service 's' can't fit into the deadline of route '/*', 5000ms: 1 fits"},
    {"attempts-beyond-deadline", IN("6s", ", timeouts: {attempt: 1990ms}, retry: {attempts: 3}"), NULL},
    {"attempts-beyond-deadline", IN("6s", ", timeouts: {attempt: 1992ms}, retry: {attempts: 3}"),
     "2:75 3 attempts of 1992ms with 25ms of back-off on service 's' can't fit into the deadline of route '/*', 6000ms: 2 fit"},
    {"attempts-beyond-deadline", IN("1s", ", timeouts: {attempt: 400ms}, retry: {attempts: 3, backoff: {base: 100ms, jitter: additive}}"),
     "2:75 3 attempts of 400ms with 200ms of back-off on service 's' can't fit into the deadline of route '/*', 1000ms: 2 fit"},
    /* With one instance the first repeat waits, too: 10 + 20 ms. */
    {"attempts-beyond-deadline", WITHIN("1s") "services: {s: {instances: ['a:1'], timeouts: {attempt: 330ms}, retry: {attempts: 3, backoff: 10ms}}}",
     "2:56 3 attempts of 330ms with 30ms of back-off on service 's' can't fit into the deadline of route '/*', 1000ms: 2 fit"},
    {"attempts-beyond-deadline", WITHIN("1s") "services: {s: {instances: ['a:1'], timeouts: {attempt: 320ms}, retry: {attempts: 3, backoff: 10ms}}}", NULL},

    {"idle-outlives-service", S(", own_idle_timeout: 51s"), NULL},
    {"idle-outlives-service", S(", own_idle_timeout: 50s"),
     "2:73 idle connections to service 's' are kept 50000ms, but it closes them after 50000ms: a request may meet the close"},
    {"idle-outlives-service", S(", own_idle_timeout: 5s, pool: {idle_timeout: 6s}"),
     "2:98 idle connections to service 's' are kept 6000ms, but it closes them after 5000ms: a request may meet the close"},

    {"retries-multiply", ROUTE "services:\n s: {calls: a, " TWO "}\n a: {" TWO "}", NULL},
    {"retries-multiply", ROUTE "callers: {attempts: 3}\nservices: {s: {" TWO "}}",
     "3:15 one request may become 6 (clients x3, s x2)"},
    {"retries-multiply", ROUTE "services:\n s: {calls: [b, a], " TWO "}\n a: {retry: {attempts: 3}, " TWO "}\n b: {" TWO "}",
     "3:5 one request may become 6 (clients x1, s x2, a x3)"},
    {"retries-multiply", ROUTE "services:\n s: {calls: a, " TWO "}\n a: {calls: b, " TWO "}\n b: {calls: c, " TWO "}\n c: {retry: {attempts: 1}, " TWO "}",
     "3:5 one request may become 8 (clients x1, s x2, a x2, b x2, c x1)"},

    {"calls-in-circle", ROUTE "services:\n s: {calls: a, " TWO "}\n a: {calls: b, " TWO "}\n b: {" TWO "}", NULL},
    {"calls-in-circle", ROUTE "services:\n s: {calls: a, " TWO "}\n a: {calls: s, " TWO "}",
     "4:13 services call each other in a circle: 'a' calls 's'"},
    {"calls-in-circle", ROUTE "services: {s: {calls: s, " TWO "}}",
     "2:23 services call each other in a circle: 's' calls 's'"},

    {"retry-unsafe", S(", retry: {methods: [GET, PUT]}"), NULL},
    {"retry-unsafe", S(", retry: {methods: [POST], attempts: 1}"), NULL},
    {"retry-unsafe", S(", retry: {methods: [GET, PATCH]}"), "2:72 service 's' may be sent a POST or PATCH twice"},

    {"retry-without-time", S(""), NULL},
    {"retry-without-time", S(", retry: {on: [timeout]}, timeouts: {attempt: 2s}"), NULL},
    {"retry-without-time", S(", retry: {on: [timeout]}"),
     "2:67 service 's' is to be asked again after a timeout, but its first attempt may take all of the deadline"},

    {"retry-in-lockstep", S(", retry: {backoff: {jitter: additive}}"), NULL},
    {"retry-in-lockstep", S(", retry: {backoff: {jitter: none}}"), "2:81 calls of service 's' that fail together come back together"},

    {"retry-budget-wide", S(", retry: {budget: {ratio: 50%}}"), NULL},
    {"retry-budget-wide", S(", retry: {budget: {ratio: 80%}}"), "2:79 repeats may add 80% to the load of service 's' when it is down"},

    {"single-zone", ROUTE "services: {s: {instances: [{address: 'a:1', zone: x}, {address: 'b:1', zone: y}]}}", NULL},
    {"single-zone", ROUTE "services: {s: {instances: [{address: 'a:1', zone: x}, {address: 'b:1', zone: x}]}}",
     "2:27 all 2 instances of service 's' stand in zone 'x' and fail with it"},

    {"single-host", S(""), NULL},
    {"single-host", ROUTE "services: {s: {instances: ['127.0.0.1:1', '127.0.0.1:2']}}", NULL},
    {"single-host", ROUTE "services: {s: {instances: ['10.0.0.1:1', '10.0.0.1:2']}}",
     "2:27 all 2 instances of service 's' are on 10.0.0.1 and fail with it"},

    {"health-slow", ROUTE "services: {s: {instances: ['a:1', 'b:1'], health: {path: /h, interval: 4s, fall: 3, timeout: 3s}}}", NULL},
    {"health-slow", ROUTE "services: {s: {instances: ['a:1', 'b:1'], health: {path: /h, interval: 10s, fall: 3, timeout: 2s}}}",
     "2:72 an instance of service 's' that dies is asked for up to 16s more: a check every 10000ms, then 3 that may take 2000ms each"},

    {"no-second-chance", S(", retry: {attempts: 2}"), NULL},
    {"no-second-chance", ROUTE "services:\n s: {calls: a, " TWO "}\n a: {retry: {attempts: 1}, " TWO "}", NULL},
    {"no-second-chance", S(", retry: {attempts: 1}"),
     "2:73 service 's' has 2 instances, but a request that meets a dead one fails"},

    {"deadline-off", "gateway: {listen: [':1'], routes: [{service: s, deadline: none}]}\nservices: {s: {" TWO "}}", NULL},
    {"deadline-off", IN("none", ""), "1:37 no route has a deadline: a service that hangs keeps its requests for ever"},

    {"heads-slow", "gateway: {listen: [{address: ':1', limits: {header_timeout: 60s}}]}", NULL},
    {"heads-slow", "gateway: {listen: [{address: ':1', limits: {header_timeout: 5m}}]}",
     "1:61 a client may take 300s for the head of a request: a few thousand such clients hold all connections of :1"},

    {"workers-above-cores", "gateway: {listen: [':1'], workers: 1}", NULL},

    {"no-health-check", S(""), NULL},
    {"no-health-check", ROUTE "services: {s: {instances: ['a:1', 'b:1']}}",
     "2:15 service 's' has no health check: a dead instance is found by the requests that fail on it"},
    {"single-instance", S(""), NULL},
    {"single-instance", ROUTE "services: {s: {instances: ['a:1']}}", "2:27 service 's' has one instance, a single point of failure"},
    {"instance-repeated", S(""), NULL},
    {"instance-repeated", ROUTE "services: {s: {instances: ['a:1', 'a:1']}}", "2:35 instance a:1 of service 's' is listed twice"},
    {"balance-idle", S(", balance: ip_hash"), NULL},
    {"balance-idle", ROUTE "services: {s: {instances: ['a:1'], balance: ip_hash}}", "2:45 service 's' has one instance: every key goes there"},
    {"sticky-without-secret", S(", balance: {algorithm: sticky, cookie: {secret: '${SECRET}'}}"), NULL},
    {"sticky-without-secret", S(", balance: sticky"),
     "2:64 the sticky cookies of service 's' have no secret: they end with this process, and other gateways do not know them"},
    {"service-unused", ROUTE "services: {s: {calls: t, " TWO "}, t: {" TWO "}}", NULL},
    {"service-unused", ROUTE "services: {s: {" TWO "}, t: {" TWO "}}", "2:59 service 't' is in no route"},
    {"route-unreachable", "gateway: {listen: [':1'], routes: [{match: /a, service: s}, {match: /b, service: s}]}\nservices: {s: {" TWO "}}", NULL},
    {"route-unreachable", "gateway: {listen: [':1'], routes: [{match: /a, service: s},\n {match: /a, service: s}]}\nservices: {s: {" TWO "}}",
     "2:10 route '/a' is never reached: the one at line 1 takes all of its requests"},
    {"regex-unneeded", "gateway: {listen: [':1'], routes: [{match: {path: '/a/*', path_regex: '/a/[0-9]+'}, service: s}]}\nservices: {s: {" TWO "}}", NULL},
    {"regex-unneeded", "gateway: {listen: [':1'], routes: [{match: {path_regex: '/a/[0-9]+'}, service: s}]}\nservices: {s: {" TWO "}}",
     "1:57 path_regex '/a/[0-9]+' is asked about every request that no other route takes"},

    {"limit-above-capacity", ROUTED("all") "limits: {all: {key: global, rate: 400/s}}\nservices: {s: {capacity: 200/s, " TWO "}}", NULL},
    {"limit-above-capacity", ROUTED("all") "limits: {all: {key: global, rate: 401/s}}\nservices: {s: {capacity: 200/s, " TWO "}}",
     "1:58 limit all lets all clients together send 401 requests/s to route '/*', service 's' bears 400/s: 2 x 200/s"},
    {"limit-above-capacity", ROUTED("{use: one, cost: 2}") "limits: {one: {rate: 60/min, tier_key: 'header:X-Tier', tiers: {paid: 3000/min}}}\nservices: {s: {capacity: 10/s, " TWO "}}",
     "1:58 limit one lets a single client send 25 requests/s to route '/*', service 's' bears 20/s: 2 x 10/s"},
    {"limit-above-capacity", ROUTED("100/s") "services: {s: {capacity: 10/s, " TWO "}}",
     "1:58 limit gateway.routes[0].limits[0] lets a single client send 100 requests/s to route '/*', service 's' bears 20/s: 2 x 10/s"},
    {"limit-unused", ROUTED("one") "limits: {one: {rate: 60/min}}\nservices: {s: {" TWO "}}", NULL},
    {"limit-unused", "gateway: {listen: [{address: ':1', limits: {rates: [one]}}], limits: [two]}\nlimits: {one: {rate: 60/min}, two: {rate: 1/s}}", NULL},
    {"limit-unused", S("") "\nlimits: {one: {rate: 60/min}}", "3:15 limit 'one' limits nothing: no list of limits names it"},
    {"observe-only", ROUTED("one") "limits: {one: {rate: 60/min}}\nservices: {s: {" TWO "}}", NULL},
    {"observe-only", ROUTED("one") "limits: {one: {rate: 60/min, observe_only: true}}\nservices: {s: {" TWO "}}",
     "2:44 limit 'one' decides, and lets pass all the same"},

    {"observe-only", S(", breaker: {observe_only: true}"), "2:79 the breaker of 's' decides, and lets pass all the same"},
    {"observe-only", S(", bulkhead: {observe_only: true}"), "2:80 the bulkhead of 's' decides, and lets pass all the same"},
    /* Little: 2 x 10/s, 1 s each: 20 calls in progress. */
    {"bulkhead-above-capacity", S(", capacity: 10/s, timeouts: {attempt: 1s}, bulkhead: {concurrent: 20}"), NULL},
    {"bulkhead-above-capacity", S(", capacity: 10/s, timeouts: {attempt: 1s}, bulkhead: {concurrent: 21}"),
     "2:119 21 concurrent calls at 20/s, which service 's' bears, take 1050ms each, but calls end after 1000ms: the bulkhead is never full in time"},
    {"bulkhead-above-capacity", S(", capacity: 10/s, bulkhead: {concurrent: 101}"),
     "2:94 101 concurrent calls at 20/s, which service 's' bears, take 5050ms each, but calls end after 5000ms: the bulkhead is never full in time"},
    {"bulkhead-below-instances", S(", bulkhead: {concurrent: 2}"), NULL},
    {"bulkhead-below-instances", S(", bulkhead: {concurrent: 1}"), "2:78 1 concurrent call for 2 instances of service 's': some always idle"},
    {"pool-below-bulkhead", "gateway: {listen: [':1'], workers: 1, routes: [{service: s}]}\nservices: {s: {pool: {max_connections: 15}, bulkhead: {concurrent: 30}, " TWO "}}", NULL},
    {"pool-below-bulkhead", "gateway: {listen: [':1'], workers: 1, routes: [{service: s}]}\nservices: {s: {pool: {max_connections: 14}, bulkhead: {concurrent: 30}, " TWO "}}",
     "2:40 30 calls may be in progress to service 's', but there are 28 connections: 2 instances x 1 worker x 14"},
    {"queue-beyond-deadline", IN("1s", ", bulkhead: {queue: 10, wait: 999ms}"), NULL},
    {"queue-beyond-deadline", IN("1s", ", bulkhead: {queue: 10, wait: 1s}"),
     "2:83 calls of service 's' may wait 1000ms for a permit, the deadline of route '/*' is 1000ms"},
    {"breaker-opens-all", S(", breaker: {scope: instance}"), NULL},
    {"breaker-opens-all", S(", breaker: {scope: service, failure_rate: 60%}"), NULL},
    {"breaker-opens-all", S(", breaker: {scope: service}"),
     "2:72 one dead instance of 2 fails 50% of the calls and opens the circuit of service 's' for all"},
    {"breaker-slow-unseen", S(", breaker: {slow: 1s}, timeouts: {attempt: 2s}"), NULL},
    {"breaker-slow-unseen", S(", breaker: {slow: 3s}, timeouts: {attempt: 2s}"),
     "2:71 no call of service 's' is ever slow: that begins at 3000ms, and attempts end after 2000ms"},
    {"admin-open", "gateway: {listen: [':1']}\nadmin: {listen: 'unix:/x'}", NULL},
    {"admin-open", "gateway: {listen: [':1']}\nadmin: {listen: ':9900', token: '${SECRET}'}",
     "2:17 the admin listener on :9900 can be reached from other machines, and its token travels in clear"},
    {"secret-in-clear", "gateway: {listen: [':1']}\nadmin: {token: abcdefghijklmnop}",
     "2:16 admin.token looks like a secret in clear: whoever reads this file has it"},
    {"secret-in-clear", "gateway: {listen: [':1']}\nadmin: {token_file: /run/secrets/abcdef}", NULL},
    {"secret-in-clear", S(", balance: {algorithm: sticky, cookie: {secret: '${SECRET}'}}"), NULL},
    {"secret-in-clear", S(", balance: {algorithm: sticky, cookie: {secret: 'hunter22hunter22'}}"),
     "2:101 services.s.balance.cookie.secret looks like a secret in clear: whoever reads this file has it"},
    {"secret-in-clear", S(", balance: {algorithm: sticky, cookie: {secret: '${NONE:-hunter22hunter22}'}}"),
     "2:101 services.s.balance.cookie.secret looks like a secret in clear: whoever reads this file has it"},
    {"secret-in-clear", "gateway: {listen: [':1'], routes: [{service: s, request: {headers: {set: {Authorization: '{header:x-token}'}}}}]}\nservices: {s: {" TWO "}}", NULL},
    {"secret-in-clear", "gateway: {listen: [':1'], routes: [{service: s, request: {headers: {set: {X-Api-Key: 'abcdef123'}}}}]}\nservices: {s: {" TWO "}}",
     "1:86 gateway.routes[0].request.headers.set.X-Api-Key looks like a secret in clear: whoever reads this file has it"},
    {"secret-in-clear", "gateway: {listen: [':1'], routes: [{match: {path: /, headers: {X-Token: {exact: abcdef}}}, service: s}]}\nservices: {s: {" TWO "}}",
     "1:81 gateway.routes[0].match.headers.X-Token.exact looks like a secret in clear: whoever reads this file has it"},
    {"secret-in-clear", ROUTE "services: {s: {instances: ['a:1', 'b:1'], health: {path: /h, headers: ['Authorization: Bearer abc']}}}",
     "2:72 services.s.health.headers[0] looks like a secret in clear: whoever reads this file has it"},
    {"secret-in-clear", ROUTE "services: {s: {instances: ['a:1', 'b:1'], health: {path: /h, headers: ['Authorization: Bearer ${SECRET}']}}}", NULL},
    {"secret-in-clear", "gateway: {listen: [':1'], routes: [{redirect: {to: 'https://me:pw@x/'}}]}",
     "1:52 gateway.routes[0].redirect.to looks like a secret in clear: whoever reads this file has it"},
    {"secret-in-clear", "gateway: {listen: [':1'], routes: [{respond: {body: '" RSA "'}}]}",
     "1:53 gateway.routes[0].respond.body looks like a secret in clear: whoever reads this file has it"},
    {"secret-in-clear", "gateway: {listen: [':1'], routes: [{match: /token/password, respond: {body: 'the secret token is AKIA'}}]}", NULL},
};
/* clang-format on */

static void finds_what_hurts(void **state)
{
    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        const struct nr_diag *diag;
        struct world w;
        char text[600];

        review(&w, cases[i].text);
        diag = find(&w, cases[i].code);
        if (diag == NULL && cases[i].expected != NULL)
            fail_msg("%s: not found in\n%s", cases[i].code, cases[i].text);
        if (diag != NULL) {
            snprintf(text, sizeof(text), "%u:%u %s", diag->place.line, diag->place.column,
                     diag->text);
            if (cases[i].expected == NULL)
                fail_msg("%s: found in\n%s", text, cases[i].text);
            assert_string_equal(text, cases[i].expected);
            assert_int_equal(diag->level, nr_review_rule_find(diag->code)->level);
            if (diag->fix == NULL || strlen(diag->fix) < 5)
                fail_msg("%s without a fix", diag->code);
        }
        done(&w);
    }
}

/* A plain, sound configuration has nothing to be said about it, not even a hint. */
static void leaves_good_ones_alone(void **state)
{
    struct world w;

    review(&w, "gateway:\n  listen: [':8080']\n  deadline: 5s\n  routes: [{match: '/api/*', "
               "service: orders}]\ncallers: {timeout: 3s}\nservices:\n  orders:\n    instances: "
               "['10.0.0.1:80', '10.0.1.1:80']\n    own_timeout: 15s\n    health: /healthz\n    "
               "timeouts: {attempt: 2s}\n");
    assert_int_equal(w.diags.count, 0);
    done(&w);
}

/* All rules are tested both ways, but the one that depends on the machine. */
static void every_rule_has_its_cases(void **state)
{
    const struct nr_check_rule *rule;

    for (uint32_t i = 0; (rule = nr_review_rule(i)) != NULL; i++) {
        bool has = strcmp(rule->code, "workers-above-cores") == 0, has_not = false;

        for (size_t j = 0; j < NR_COUNT(cases); j++)
            if (strcmp(cases[j].code, rule->code) == 0) {
                has |= cases[j].expected != NULL;
                has_not |= cases[j].expected == NULL;
            }
        if (!has || !has_not)
            fail_msg("'%s' needs a case with it and one without it", rule->code);
        assert_ptr_equal(nr_review_rule_find(rule->code), rule); /* no code stands for two */
    }
    assert_null(nr_review_rule_find("moon"));
}

static void more_workers_than_cores(void **state)
{
    struct world w;

    review(&w, "gateway: {listen: [':1'], workers: 256}");
    assert_non_null(find(&w, "workers-above-cores"));
    done(&w);
}

/* What people copy is sound, and free of what it is about. */
static void every_rule_has_its_essay(void **state)
{
    const struct nr_check_rule *rule;

    for (uint32_t i = 0; (rule = nr_review_rule(i)) != NULL; i++) {
        const struct nr_review_essay *essay = nr_review_essay(rule->code);
        struct nr_strbuf text = {0};
        struct world w;

        if (essay == NULL)
            fail_msg("'%s' has no essay: src/foresight/essays.c", rule->code);
        review(&w, essay->example);
        for (uint32_t j = 0; j < w.diags.count; j++)
            if (w.diags.items[j].level != NR_DIAG_HINT &&
                (w.diags.items[j].level == NR_DIAG_ERROR ||
                 strcmp(w.diags.items[j].code, rule->code) == 0))
                fail_msg("the example of '%s': %s", rule->code, w.diags.items[j].text);
        nr_review_explain(rule, &text);
        assert_non_null(strstr(text.ptr, "Why it hurts"));
        nr_strbuf_done(&text);
        done(&w);
    }
}

static void speaks_to_programs(void **state)
{
    struct nr_json *json;
    const struct nr_json *first;
    struct world w;

    review(&w, ROUTE "services: {s: {instances: ['a:1'], health: /h}}");
    json = nr_review_json("naru.yaml", &w.diags);
    first = nr_json_at(nr_json_get(json, "findings"), 0);
    assert_int_equal(nr_json_integer_value(nr_json_get(json, "warnings")), 1);
    assert_int_equal(nr_json_integer_value(nr_json_get(json, "errors")), 0);
    assert_int_equal(nr_json_integer_value(nr_json_get(first, "line")), 2);
    assert_true(nr_span_eq(nr_json_text(nr_json_get(first, "code")), NR_SPAN("single-instance")));
    assert_true(nr_span_eq(nr_json_text(nr_json_get(first, "path")), NR_SPAN("services.s")));
    assert_true(nr_json_text(nr_json_get(first, "fix")).len > 0);
    nr_json_free(json);
    done(&w);
}

/* Declared chains of any shape end: wide, deep, all with all. */
static void follows_chains_of_any_shape(void **state)
{
    struct nr_strbuf text = {0};
    struct world w;

    nr_strbuf_printf(&text, "gateway: {listen: [':1'], routes: [{service: s0}]}\nservices:\n");
    for (int i = 0; i < 60; i++) {
        nr_strbuf_printf(&text, "  s%d: {instances: ['a:1', 'b:1'], calls: [", i);
        for (int j = 0; j < 60; j++)
            nr_strbuf_printf(&text, "%ss%d", j == 0 ? "" : ", ", j);
        NR_STRBUF_LIT(&text, "]}\n");
    }
    review(&w, text.ptr);
    assert_non_null(find(&w, "calls-in-circle"));
    assert_non_null(find(&w, "retries-multiply"));
    done(&w);
    nr_strbuf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_hurts),
        cmocka_unit_test(leaves_good_ones_alone),
        cmocka_unit_test(every_rule_has_its_cases),
        cmocka_unit_test(more_workers_than_cores),
        cmocka_unit_test(every_rule_has_its_essay),
        cmocka_unit_test(speaks_to_programs),
        cmocka_unit_test(follows_chains_of_any_shape),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
