/* SPDX-License-Identifier: Apache-2.0 */
/* Rate limits through the whole gateway, in virtual time: who is let in when, what he is told, and
 * what the record says. */
#include "stage.h"

/* One request on the client's connection and the head of its answer; the instance answers 204 at
 * once when it is asked. */
static void ask(struct stage *s, struct peer *client, struct peer **up, const char *fields,
                const char *answer)
{
    char text[512];

    snprintf(text, sizeof(text), "GET /a HTTP/1.1\r\nHost: a\r\n%s\r\n", fields);
    peer_send(client, text);
    if (strncmp(answer, "204", 3) == 0) {
        if (*up == NULL)
            *up = stage_upstream(s);
        peer_expect_head(*up);
        peer_send(*up, "HTTP/1.1 204 No Content\r\n\r\n");
    }
    snprintf(text, sizeof(text), "HTTP/1.1 %s\r\n", answer);
    peer_expect(client, text);
}

#define PASSED  "204 No Content"
#define LIMITED "429 Too Many Requests"

static void pass(struct stage *s, struct peer *client, struct peer **up, const char *fields)
{
    ask(s, client, up, fields, PASSED);
    peer_expect_head(client);
    stage_record(s, 204, NR_REASON_NONE);
}

static const struct stage_record *refuse(struct stage *s, struct peer *client, const char *fields)
{
    ask(s, client, NULL, fields, LIMITED);
    peer_expect_head(client);
    peer_expect(client, "{*\"reason\":\"rate_limited\"*}\n");
    return stage_record(s, 429, NR_REASON_RATE_LIMITED);
}

/* nginx-tests, limit_req.t: 2r/s burst=1 nodelay, three at once: pass, pass, refused. */
static void test_nginx_nodelay(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){
        .route = "limits: [{ algorithm: leaky_bucket, rate: 2/s, burst: 1, mode: reject }]"});
    struct peer *client = stage_client(s), *up = NULL;

    (void)state;
    pass(s, client, &up, "");
    pass(s, client, &up, "");
    refuse(s, client, "");
    stage_wait_ms(s, 1000);
    pass(s, client, &up, "");
    pass(s, client, &up, "");
    refuse(s, client, "");
    stage_done(s);
}

/* What a client is told: the three fields that most know, and those of
 * draft-ietf-httpapi-ratelimit-headers-10. Retry-After and `t` name the same moment (its section
 * 6). */
static void test_what_is_told(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){
        .route = "limits: [mine]", .limits = "mine: { rate: 2/min, algorithm: fixed_window }"});
    struct peer *client = stage_client(s), *up = NULL;
    const struct stage_record *record;

    (void)state;
    ask(s, client, &up, "", PASSED);
    peer_expect(client, STAMPED
                "X-RateLimit-Limit: 2\r\nX-RateLimit-Remaining: 1\r\nX-RateLimit-Reset: 60\r\n"
                "RateLimit-Policy: \"mine\";q=2;w=60\r\nRateLimit: \"mine\";r=1;t=60\r\n\r\n");
    record = stage_record(s, 204, NR_REASON_NONE);
    assert_int_equal(record->r.limit, 1);
    assert_int_equal(record->r.limit_left, 1);
    stage_wait_ms(s, 20000);
    ask(s, client, &up, "", PASSED);
    peer_expect(client, STAMPED
                "X-RateLimit-Limit: 2\r\nX-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 40\r\n"
                "RateLimit-Policy: \"mine\";q=2;w=60\r\nRateLimit: \"mine\";r=0;t=40\r\n\r\n");
    stage_record(s, 204, NR_REASON_NONE);
    ask(s, client, &up, "", LIMITED);
    peer_expect(client, "Content-Type: application/problem+json\r\nDate: *\r\nX-Request-Id: *\r\n"
                        "Retry-After: 40\r\n"
                        "X-RateLimit-Limit: 2\r\nX-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: "
                        "40\r\nRateLimit-Policy: \"mine\";q=2;w=60\r\n"
                        "RateLimit: \"mine\";r=0;t=40\r\nContent-Length: *\r\n\r\n"
                        "{*\"detail\":\"The limit 'mine' is used up; try again in 40 s.\"*}\n");
    record = stage_record(s, 429, NR_REASON_RATE_LIMITED);
    assert_int_equal(record->r.limit, 1);
    stage_wait_ms(s, 40000);
    pass(s, client, &up, "");
    stage_done(s);
}

/* A service that speaks of its own limits keeps the word; and who does not want the fields has
 * none, but a refused client is told when to come back. */
static void test_whose_word_it_is(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){.route = "limits: [{ rate: 5/min }]"});
    struct peer *client = stage_client(s), *up;

    (void)state;
    peer_send(client, GET_A);
    up = stage_upstream(s);
    peer_expect_head(up);
    peer_send(up, "HTTP/1.1 204 No Content\r\nx-ratelimit-limit: 9\r\n\r\n");
    peer_expect(client, "HTTP/1.1 204 No Content\r\nx-ratelimit-limit: 9\r\n" STAMPED "\r\n");
    stage_record(s, 204, NR_REASON_NONE);
    stage_done(s);

    s = stage_new(&(struct stage_conf){
        .route = "limits: [{ rate: 1/min, headers: false, algorithm: gcra }]"});
    client = stage_client(s);
    up = NULL;
    ask(s, client, &up, "", PASSED);
    peer_expect(client, STAMPED "\r\n");
    stage_record(s, 204, NR_REASON_NONE);
    ask(s, client, &up, "", LIMITED);
    peer_expect(client, "Content-Type: application/problem+json\r\nDate: *\r\nX-Request-Id: *\r\n"
                        "Retry-After: 60\r\nContent-Length: *\r\n\r\n{*}\n");
    stage_record(s, 429, NR_REASON_RATE_LIMITED);
    stage_done(s);
}

/* ---- keys ---- */

/* clang-format off */
static const struct key_case {
    const char *story;
    const char *key;    /* of a limit of one a minute */
    const char *first;  /* fields of the first request … */
    const char *second; /* … and of the second */
    bool same;          /* one key: the second is refused */
} key_cases[] = {
    {"one user", "\"header:X-User\"", "X-User: ann\r\n", "x-user: ann\r\n", true},
    {"two users", "\"header:X-User\"", "X-User: ann\r\n", "X-User: bob\r\n", false},
    {"case counts in values", "\"header:X-User\"", "X-User: ann\r\n", "X-User: Ann\r\n", false},
    {"who leaves it out is his address", "\"header:X-User\"", "", "X-User:\r\n", true},
    {"and that is nobody's name", "\"header:X-User\"", "", "X-User: 10.0.2.1\r\n", false},
    {"a stranger's X-Forwarded-For is not believed", "ip", "", "X-Forwarded-For: 9.9.9.9\r\n", true},
    {"a cookie", "\"cookie:id\"", "Cookie: a=1; id=7\r\n", "Cookie: id=7; b=2\r\n", true},
    {"another cookie", "\"cookie:id\"", "Cookie: id=7\r\n", "Cookie: id=8\r\n", false},
    {"several parts", "[\"header:X-User\", \"header:X-Org\"]", "X-User: a\r\nX-Org: b\r\n", "X-Org: b\r\nX-User: a\r\n", true},
    {"that do not run together", "[\"header:X-User\", \"header:X-Org\"]", "X-User: ab\r\nX-Org: c\r\n", "X-User: a\r\nX-Org: bc\r\n", false},
    {"everybody", "global", "X-User: a\r\n", "X-User: b\r\n", true},
    {"the route", "route", "X-User: a\r\n", "X-User: b\r\n", true},
    {"path and host and method", "[path, host, method]", "", "X-User: b\r\n", true},
};
/* clang-format on */

static void test_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < NR_COUNT(key_cases); i++) {
        const struct key_case *c = &key_cases[i];
        char route[256];
        struct stage *s;
        struct peer *client, *up = NULL;

        print_message("# %s\n", c->story);
        snprintf(route, sizeof(route), "limits: [{ key: %s, rate: 1/min }]", c->key);
        s = stage_new(&(struct stage_conf){.route = route});
        client = stage_client(s);
        pass(s, client, &up, c->first);
        if (c->same)
            refuse(s, client, c->second);
        else
            pass(s, client, &up, c->second);
        stage_done(s);
    }
}

static void send_get(struct peer *client, const char *target, const char *host)
{
    char text[256];

    snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, host);
    peer_send(client, text);
}

/* What means the same to the service has one allowance, however it is spelt. */
static void test_spellings(void **state)
{
    static const struct {
        const char *key;
        const char *first[2];
        const char *second[2];
        bool same;
    } cases[] = {
        {"\"query:k\"", {"/u/1?k=a%20b", "a"}, {"/u/1?x=1&k=a+b", "a"}, true},
        {"\"query:k\"", {"/u/1?k=a", "a"}, {"/u/1?k=b", "a"}, false},
        {"host", {"/u/1", "Shop.example"}, {"/u/2", "shop.EXAMPLE"}, true},
        {"\"param:id\"", {"/u/1", "a"}, {"/u/1?x", "a"}, true},
        {"\"param:id\"", {"/u/1", "a"}, {"/u/2", "a"}, false},
        {"path", {"/u/1", "a"}, {"/u/%31", "a"}, true},
    };

    (void)state;
    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        char route[256];
        struct stage *s;
        struct peer *client;

        print_message("# %s: %s, %s\n", cases[i].key, cases[i].first[0], cases[i].second[0]);
        snprintf(route, sizeof(route), "limits: [{ key: %s, rate: 1/min }]", cases[i].key);
        s = stage_new(&(struct stage_conf){.route = route, .match = "path: \"/u/{id}\""});
        client = stage_client(s);
        stage_refuse(s, 0);
        send_get(client, cases[i].first[0], cases[i].first[1]);
        peer_expect_head(client);
        peer_expect(client, "{*\"connect_refused\"*}\n");
        stage_record(s, 502, NR_REASON_CONNECT_REFUSED);
        send_get(client, cases[i].second[0], cases[i].second[1]);
        peer_expect_head(client);
        peer_expect(client, cases[i].same ? "{*\"rate_limited\"*}\n" : "{*\"connect_refused\"*}\n");
        stage_record(s, cases[i].same ? 429 : 502,
                     cases[i].same ? NR_REASON_RATE_LIMITED : NR_REASON_CONNECT_REFUSED);
        stage_done(s);
    }
}

static void test_missing(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){
        .route = "limits: [{ key: \"header:X-User\", rate: 1/min, missing: allow }]"});
    struct peer *client = stage_client(s), *up = NULL;

    (void)state;
    pass(s, client, &up, "");
    pass(s, client, &up, "");
    pass(s, client, &up, "X-User: a\r\n");
    refuse(s, client, "X-User: a\r\n");
    stage_done(s);

    s = stage_new(&(struct stage_conf){
        .route = "limits: [{ key: \"header:X-User\", rate: 1/min, missing: deny }]"});
    client = stage_client(s);
    ask(s, client, NULL, "", "400 Bad Request");
    peer_expect_head(client);
    peer_expect(client, "{*\"reason\":\"limit_key_missing\"*}\n");
    stage_record(s, 400, NR_REASON_LIMIT_KEY_MISSING);
    stage_done(s);
}

/* Behind a trusted proxy: the client's own address, and the tier that the proxy tells. */
static void test_behind_a_proxy(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){
        .listen = "trusted_proxies: [\"10.0.2.0/24\"]",
        .route = "limits: [{ rate: 1/min, tiers: { paid: 2/min }, tier_key: \"header:X-Tier\" }]"});
    struct peer *client = stage_client(s), *up = NULL;

    (void)state;
    pass(s, client, &up, "X-Forwarded-For: 9.9.9.1\r\n");
    refuse(s, client, "X-Forwarded-For: 6.6.6.6, 9.9.9.1\r\n");
    pass(s, client, &up, "X-Forwarded-For: 9.9.9.2\r\nX-Tier: paid\r\n");
    pass(s, client, &up, "X-Forwarded-For: 9.9.9.2\r\nX-Tier: paid\r\n");
    refuse(s, client, "X-Forwarded-For: 9.9.9.2\r\nX-Tier: paid\r\n");
    pass(s, client, &up, "X-Forwarded-For: 2001:db8::1\r\n");
    refuse(s, client, "X-Forwarded-For: 2001:db8::ffff\r\n"); /* one /64 */
    pass(s, client, &up, "X-Forwarded-For: 2001:db8:0:1::1\r\n");
    stage_done(s);
}

static void test_a_stranger_has_no_tier(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){
        .route = "limits: [{ rate: 1/min, tiers: { paid: 2/min }, tier_key: \"header:X-Tier\" }]"});
    struct peer *client = stage_client(s), *up = NULL;

    (void)state;
    pass(s, client, &up, "X-Tier: paid\r\n");
    refuse(s, client, "X-Tier: paid\r\n");
    stage_done(s);
}

/* ---- several at once ---- */

/* "User 2/min and everybody 3/min": what the one refuses costs nothing with the other. */
static void test_all_or_nothing(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){
        .gateway = "limits: [all]",
        .route = "limits: [user]",
        .limits =
            "user: { key: \"header:X-User\", rate: 2/min }, all: { key: global, rate: 3/min }"});
    struct peer *client = stage_client(s), *up = NULL;

    (void)state;
    pass(s, client, &up, "X-User: a\r\n");
    pass(s, client, &up, "X-User: a\r\n");
    for (int i = 0; i < 5; i++)
        refuse(s, client, "X-User: a\r\n"); /* nothing of `all` */
    pass(s, client, &up, "X-User: b\r\n");
    ask(s, client, &up, "X-User: b\r\n", LIMITED);
    peer_expect_head(client);
    peer_expect(client, "{*\"detail\":\"The limit 'all' *}\n");
    stage_record(s, 429, NR_REASON_RATE_LIMITED);
    stage_done(s);
}

static void test_costs(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){.route = "limits: [{ use: a, cost: 3 }]",
                                                     .limits = "a: { rate: 7/min, cost: 2 }"});
    struct peer *client = stage_client(s), *up = NULL;

    (void)state;
    pass(s, client, &up, "");
    pass(s, client, &up, "");
    refuse(s, client, "");
    stage_done(s);
}

/* It counts, it records, and it lets pass; and it is not told of. */
static void test_observe_only(void **state)
{
    struct stage *s =
        stage_new(&(struct stage_conf){.route = "limits: [{ rate: 1/min, observe_only: true }]"});
    struct peer *client = stage_client(s), *up = NULL;

    (void)state;
    for (int i = 0; i < 3; i++) {
        const struct stage_record *record;

        ask(s, client, &up, "", PASSED);
        peer_expect(client, STAMPED "\r\n");
        record = stage_record(s, 204, NR_REASON_NONE);
        assert_int_equal(record->r.flags, i == 0 ? 0 : NR_RECORD_WOULD_LIMIT);
        assert_int_equal(record->r.limit, i == 0 ? 0 : 1);
    }
    stage_done(s);
}

/* ---- more than the rate ---- */

static void pays(struct stage *s, struct peer *client, struct peer **up, const char *fields,
                 bool charged)
{
    const struct stage_record *record;

    ask(s, client, up, fields, PASSED);
    peer_expect_head(client);
    record = stage_record(s, 204, NR_REASON_NONE);
    assert_int_equal(record->r.flags, charged ? NR_RECORD_CHARGED : 0);
    if (charged)
        assert_int_equal(record->r.limit, 1);
}

/* Beyond the rate it is charged, and the client is told that nothing is left. */
static void test_charged_for_more(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){
        .route = "limits: [mine]",
        .limits = "mine: { rate: 2/20s, algorithm: fixed_window, over: charge }"});
    struct peer *client = stage_client(s), *up = NULL;

    (void)state;
    pays(s, client, &up, "", false);
    pays(s, client, &up, "", false);
    ask(s, client, &up, "", PASSED);
    peer_expect(client, STAMPED
                "X-RateLimit-Limit: 2\r\nX-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 20\r\n"
                "RateLimit-Policy: \"mine\";q=2;w=20\r\nRateLimit: \"mine\";r=0;t=20\r\n\r\n");
    assert_int_equal(stage_record(s, 204, NR_REASON_NONE)->r.flags, NR_RECORD_CHARGED);
    stage_wait_ms(s, 20000);
    pays(s, client, &up, "", false);
    stage_done(s);
}

/* Of two tiers one is charged, the other blocked; and who is refused by another limit has used, and
 * pays, nothing. */
static void test_who_is_charged(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){
        .listen = "trusted_proxies: [\"10.0.2.0/24\"]",
        .route = "limits: [plan, all]",
        .limits =
            "plan: { key: \"header:X-User\", rate: 1/min, tiers: { paid: { rate: 2/min, over: "
            "charge } }, tier_key: \"header:X-Tier\" }, all: { key: global, rate: 5/10s }"});
    struct peer *client = stage_client(s), *up = NULL;

    (void)state;
    pass(s, client, &up, "X-User: free\r\n");
    refuse(s, client, "X-User: free\r\n");
    for (int i = 0; i < 4; i++) {
        const struct stage_record *record;

        ask(s, client, &up, "X-User: rich\r\nX-Tier: paid\r\n", PASSED);
        peer_expect_head(client);
        record = stage_record(s, 204, NR_REASON_NONE);
        assert_int_equal(record->r.flags, i < 2 ? 0 : NR_RECORD_CHARGED);
    }
    refuse(s, client, "X-User: other\r\nX-Tier: paid\r\n"); /* by all */
    stage_wait_ms(s, 20000);
    pays(s, client, &up, "X-User: other\r\nX-Tier: paid\r\n", false);
    pays(s, client, &up, "X-User: other\r\nX-Tier: paid\r\n", false);
    pays(s, client, &up, "X-User: other\r\nX-Tier: paid\r\n", true);
    stage_done(s);
}

/* Half the rate while there is pressure, half of that when there is more; all of it afterwards, and
 * what was used stays used. */
static void test_tighter_under_pressure(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){
        .gateway = "shedding: { capacity: 2, rise: 100ms, fall: 500ms }",
        .route =
            "priority: critical, limits: [{ key: \"header:X-Key\", rate: 8/min, under_pressure: "
            "50%, algorithm: fixed_window }]"});
    struct peer *held[3], *ups[3], *client, *up = NULL;

    (void)state;
    for (int i = 0; i < 3; i++) {
        held[i] = stage_client(s);
        peer_send(held[i], "GET /a HTTP/1.1\r\nHost: a\r\nX-Key: held\r\n\r\n");
        ups[i] = stage_upstream(s);
        peer_expect_head(ups[i]);
    }
    client = stage_client(s);
    stage_wait_ms(s, 150); /* three of two: the first level, soon the second */
    for (int i = 0; i < 4; i++)
        pass(s, client, &up, "X-Key: a\r\n");
    refuse(s, client, "X-Key: a\r\n");
    stage_wait_ms(s, 150);
    for (int i = 0; i < 2; i++)
        pass(s, client, &up, "X-Key: b\r\n");
    refuse(s, client, "X-Key: b\r\n");
    for (int i = 0; i < 3; i++) {
        peer_send(ups[i], "HTTP/1.1 204 No Content\r\n\r\n");
        peer_expect(held[i], "HTTP/1.1 204 No Content\r\n");
        peer_expect_head(held[i]);
        stage_record(s, 204, NR_REASON_NONE);
    }
    stage_wait_ms(s, 2000);
    up = ups[2]; /* the connection that was used last */
    for (int i = 0; i < 4; i++)
        pass(s, client, &up, "X-Key: a\r\n");
    refuse(s, client, "X-Key: a\r\n");
    stage_done(s);
}

/* A listener's rates, and a limit that is listed at both places and counts once. */
static void test_listener(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){.listen = "limits: { rates: [a] }",
                                                     .route = "limits: [{ use: a, cost: 2 }]",
                                                     .limits = "a: { rate: 4/min }"});
    struct peer *client = stage_client(s), *up = NULL;

    (void)state;
    pass(s, client, &up, "");
    pass(s, client, &up, "");
    refuse(s, client, "");
    stage_done(s);
}

/* A rate that an operator sets holds from the next request on; what was used stays used. */
static void test_a_rate_by_hand(void **state)
{
    const struct nr_rate three = {3, 3600 * 1000 * STAGE_MS}, none = {0, 3600 * 1000 * STAGE_MS};
    struct stage *s =
        stage_new(&(struct stage_conf){.route = "limits: [a]", .limits = "a: { rate: 1/h }"});
    struct peer *client = stage_client(s), *up = NULL;
    struct nr_gateway_limit limit;
    struct nr_err err = {0};

    (void)state;
    pass(s, client, &up, "");
    refuse(s, client, "");
    assert_int_equal(
        nr_gateway_limit_set_rate(s->gateway, NR_SPAN("a"), 0, three, NR_LIMIT_AUTO, &err), NR_OK);
    nr_gateway_limit(s->gateway, 0, &limit);
    assert_true(limit.by_hand);
    assert_int_equal(limit.tiers[0].limit, 3);
    pass(s, client, &up, "");
    pass(s, client, &up, "");
    refuse(s, client, "");
    assert_int_equal(
        nr_gateway_limit_set_rate(s->gateway, NR_SPAN("b"), 0, three, NR_LIMIT_AUTO, &err),
        NR_ENOENT);
    assert_int_equal(
        nr_gateway_limit_set_rate(s->gateway, NR_SPAN("a"), 1, three, NR_LIMIT_AUTO, &err),
        NR_ENOENT);
    assert_int_equal(
        nr_gateway_limit_set_rate(s->gateway, NR_SPAN("a"), 0, none, NR_LIMIT_AUTO, &err),
        NR_EINVAL);
    assert_int_equal(nr_gateway_limit_restore(s->gateway, NR_SPAN("a"), 0, &err), NR_OK);
    nr_gateway_limit(s->gateway, 0, &limit);
    assert_false(limit.by_hand);
    assert_int_equal(limit.tiers[0].limit, 1);
    assert_int_equal(limit.counts.allowed, 3);
    assert_int_equal(limit.counts.refused, 2);
    stage_done(s);
}

/* The record says when it was a rate set by hand that refused, and only then. */
static void test_whose_rate_refused(void **state)
{
    const struct nr_rate two = {2, 3600 * 1000 * STAGE_MS};
    struct stage *s = stage_new(&(struct stage_conf){
        .route = "limits: [a]",
        .listen = "trusted_proxies: [\"10.0.2.0/24\"]",
        .limits = "a: { rate: 1/h, tiers: { paid: 3/h }, tier_key: \"header:X-Tier\" }"});
    struct peer *client = stage_client(s), *up = NULL;
    struct nr_gateway_limit limit;
    struct nr_err err = {0};

    (void)state;
    assert_int_equal(
        nr_gateway_limit_set_rate(s->gateway, NR_SPAN("a"), 1, two, NR_LIMIT_AUTO, &err), NR_OK);
    nr_gateway_limit(s->gateway, 0, &limit);
    assert_int_equal(limit.by_hand, 2);
    pass(s, client, &up, "");
    assert_int_equal(refuse(s, client, "")->r.flags, 0);
    pass(s, client, &up, "X-Tier: paid\r\n");
    assert_int_equal(refuse(s, client, "X-Tier: paid\r\n")->r.flags, NR_RECORD_BY_HAND);
    assert_int_equal(nr_gateway_limit_restore(s->gateway, NR_SPAN("a"), 2, &err), NR_ENOENT);
    assert_int_equal(nr_gateway_limit_restore(s->gateway, NR_SPAN("a"), 1, &err), NR_OK);
    pass(s, client, &up, "X-Tier: paid\r\n");
    assert_int_equal(refuse(s, client, "X-Tier: paid\r\n")->r.flags, 0);
    stage_done(s);
}

static void test_observing_by_hand(void **state)
{
    struct stage *s =
        stage_new(&(struct stage_conf){.route = "limits: [a]", .limits = "a: { rate: 1/h }"});
    struct peer *client = stage_client(s), *up = NULL;
    struct nr_gateway_limit limit;
    struct nr_err err = {0};

    (void)state;
    pass(s, client, &up, "");
    refuse(s, client, "");
    assert_int_equal(nr_gateway_limit_observe(s->gateway, NR_SPAN("a"), NR_SAID_YES, &err), NR_OK);
    nr_gateway_limit(s->gateway, 0, &limit);
    assert_true(limit.observe_only && limit.observe_by_hand);
    ask(s, client, &up, "", PASSED);
    peer_expect_head(client);
    assert_int_equal(stage_record(s, 204, NR_REASON_NONE)->r.flags, NR_RECORD_WOULD_LIMIT);
    assert_int_equal(nr_gateway_limit_observe(s->gateway, NR_SPAN("a"), NR_SAID_NO, &err), NR_OK);
    refuse(s, client, "");
    assert_int_equal(nr_gateway_limit_observe(s->gateway, NR_SPAN("a"), NR_SAID_NOTHING, &err),
                     NR_OK);
    nr_gateway_limit(s->gateway, 0, &limit);
    assert_false(limit.observe_only || limit.observe_by_hand);
    assert_int_equal(nr_gateway_limit_observe(s->gateway, NR_SPAN("b"), NR_SAID_NO, &err),
                     NR_ENOENT);
    stage_done(s);
}

/* ---- waiting ---- */

#define QUEUE "limits: [{ algorithm: leaky_bucket, rate: 10/s, burst: 20 }]"

/* A leaky bucket sends them on one by one: the second of two at once has to wait 100 ms, and its
 * body waits with it. */
static void test_a_queue(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){.route = QUEUE});
    struct peer *first = stage_client(s), *second = stage_client(s), *up;
    const struct stage_record *record;
    uint64_t asked_ns = stage_now_ns(s) + STAGE_MS;

    (void)state;
    peer_send(first, GET_A);
    peer_send(second, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    up = stage_upstream(s);
    peer_expect_head(up);
    peer_send(up, "HTTP/1.1 204 No Content\r\n\r\n");
    peer_expect(first, "HTTP/1.1 204 No Content\r\n");
    peer_expect_head(first);
    stage_record(s, 204, NR_REASON_NONE);
    peer_expect(up, "POST /a HTTP/1.1\r\n");
    expect_after(up->at_ns - STAGE_MS, asked_ns, 100);
    peer_expect_head(up);
    peer_expect(up, "abc");
    peer_send(up, "HTTP/1.1 204 No Content\r\n\r\n");
    peer_expect(second, "HTTP/1.1 204 No Content\r\n");
    peer_expect_head(second);
    record = stage_record(s, 204, NR_REASON_NONE);
    assert_in_range(record->r.queue_us, 100000, 101000);
    stage_done(s);
}

/* Whose turn comes behind its deadline is told so at once, and takes no place in line. */
static void test_no_time_to_wait(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){.gateway = "deadline: 150ms", .route = QUEUE});
    struct peer *clients[3] = {stage_client(s), stage_client(s), stage_client(s)}, *up;
    uint64_t asked_ns = stage_now_ns(s) + STAGE_MS;

    (void)state;
    for (int i = 0; i < 3; i++)
        peer_send(clients[i], GET_A);
    peer_expect(clients[2], "HTTP/1.1 429 Too Many Requests\r\n");
    expect_after(clients[2]->at_ns - STAGE_MS, asked_ns, 0);
    peer_expect_head(clients[2]);
    peer_expect(clients[2], "{*\"rate_limited\"*}\n");
    stage_record(s, 429, NR_REASON_RATE_LIMITED);
    up = stage_upstream(s);
    for (int i = 0; i < 2; i++) {
        peer_expect_head(up);
        peer_send(up, "HTTP/1.1 204 No Content\r\n\r\n");
        peer_expect(clients[i], "HTTP/1.1 204 No Content\r\n");
        peer_expect_head(clients[i]);
        stage_record(s, 204, NR_REASON_NONE);
    }
    stage_done(s);
}

/* Who leaves while he waits is never sent on. */
static void test_leaving_the_queue(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){.route = QUEUE});
    struct peer *first = stage_client(s), *second = stage_client(s), *up;

    (void)state;
    peer_send(first, GET_A);
    peer_send(second, GET_A);
    up = stage_upstream(s);
    peer_expect_head(up);
    peer_send(up, "HTTP/1.1 204 No Content\r\n\r\n");
    peer_expect(first, "HTTP/1.1 204 No Content\r\n");
    peer_expect_head(first);
    stage_record(s, 204, NR_REASON_NONE);
    peer_reset(second);
    stage_record(s, 499, NR_REASON_CLIENT_CLOSED);
    peer_expect_silence(up, 300);
    stage_done(s);
}

/* A body that is too long ends a request while it waits. */
static void test_too_long_a_body_in_the_queue(void **state)
{
    struct stage *s =
        stage_new(&(struct stage_conf){.route = QUEUE, .listen = "limits: { max_body: 4B }"});
    struct peer *first = stage_client(s), *second = stage_client(s), *up;

    (void)state;
    peer_send(first, GET_A);
    peer_send(second, "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "8\r\n12345678\r\n0\r\n\r\n");
    peer_expect(second, "HTTP/1.1 413 *\r\n");
    peer_expect_head(second);
    peer_expect(second, "{*\"body_too_large\"*}\n");
    stage_record(s, 413, NR_REASON_BODY_TOO_LARGE);
    up = stage_upstream(s);
    peer_expect_head(up);
    peer_send(up, "HTTP/1.1 204 No Content\r\n\r\n");
    peer_expect(first, "HTTP/1.1 204 No Content\r\n");
    peer_expect_head(first);
    stage_record(s, 204, NR_REASON_NONE);
    peer_expect_silence(up, 300);
    stage_done(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nginx_nodelay),
        cmocka_unit_test(test_what_is_told),
        cmocka_unit_test(test_whose_word_it_is),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_behind_a_proxy),
        cmocka_unit_test(test_a_stranger_has_no_tier),
        cmocka_unit_test(test_all_or_nothing),
        cmocka_unit_test(test_costs),
        cmocka_unit_test(test_observe_only),
        cmocka_unit_test(test_charged_for_more),
        cmocka_unit_test(test_who_is_charged),
        cmocka_unit_test(test_tighter_under_pressure),
        cmocka_unit_test(test_listener),
        cmocka_unit_test(test_a_rate_by_hand),
        cmocka_unit_test(test_whose_rate_refused),
        cmocka_unit_test(test_observing_by_hand),
        cmocka_unit_test(test_a_queue),
        cmocka_unit_test(test_no_time_to_wait),
        cmocka_unit_test(test_leaving_the_queue),
        cmocka_unit_test(test_too_long_a_body_in_the_queue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
