/* SPDX-License-Identifier: Apache-2.0 */
/* Shedding, features that are off, and faults on purpose, through the whole gateway in virtual
 * time. */
#include "stage.h"

#define NO_CONTENT "HTTP/1.1 204 No Content\r\n\r\n"

static void send_get(struct peer *client, const char *fields)
{
    char text[256];

    snprintf(text, sizeof(text), "GET /a HTTP/1.1\r\nHost: a\r\n%s\r\n", fields);
    peer_send(client, text);
}

static void expect_problem(struct peer *client, const char *status_line, const char *reason)
{
    char text[128];

    snprintf(text, sizeof(text), "HTTP/1.1 %s\r\n", status_line);
    peer_expect(client, text);
    peer_expect_head(client);
    snprintf(text, sizeof(text), "{*\"reason\":\"%s\"*}\n", reason);
    peer_expect(client, text);
}

/* ---- shedding ---- */

#define SHEDDING                                                                                   \
    "shedding: { capacity: 2, rise: 100ms, fall: 500ms, header: X-Priority, retry_after: 3s }"
#define TRUSTING "trusted_proxies: [\"10.0.2.0/24\"]"

struct hall {
    struct stage *s;
    struct peer *clients[3]; /* each with a request that its instance does not answer yet */
    struct peer *ups[3];
    struct peer *probe;
};

static void fill(struct hall *h, int count, const char *gateway)
{
    h->s = stage_new(&(struct stage_conf){.gateway = gateway, .listen = TRUSTING});
    for (int i = 0; i < count; i++) {
        h->clients[i] = stage_client(h->s);
        send_get(h->clients[i], "X-Priority: critical\r\n");
        h->ups[i] = stage_upstream(h->s);
        peer_expect_head(h->ups[i]);
    }
    h->probe = stage_client(h->s);
}

static void empty(struct hall *h, int count)
{
    for (int i = 0; i < count; i++) {
        peer_send(h->ups[i], NO_CONTENT);
        peer_expect(h->clients[i], "HTTP/1.1 204 No Content\r\n");
        peer_expect_head(h->clients[i]);
        stage_record(h->s, 204, NR_REASON_NONE);
    }
}

static void is_shed(struct hall *h, const char *fields)
{
    send_get(h->probe, fields);
    expect_problem(h->probe, "503 Service Unavailable", "shed");
    stage_record(h->s, 503, NR_REASON_SHED);
}

static void is_served(struct hall *h, struct peer **up, const char *fields)
{
    send_get(h->probe, fields);
    if (*up == NULL)
        *up = stage_upstream(h->s);
    peer_expect_head(*up);
    peer_send(*up, NO_CONTENT);
    peer_expect(h->probe, "HTTP/1.1 204 No Content\r\n");
    peer_expect_head(h->probe);
    stage_record(h->s, 204, NR_REASON_NONE);
}

/* Two of two in flight: the sheddable go, nobody else; and not before it has lasted. When it is
 * over, they are let in again, but not at once. */
static void test_the_least_critical_go_first(void **state)
{
    struct hall h;
    struct peer *up = NULL;

    (void)state;
    fill(&h, 2, SHEDDING);
    is_served(&h, &up, "X-Priority: sheddable\r\n");
    stage_wait_ms(h.s, 150);
    is_shed(&h, "X-Priority: sheddable\r\n");
    is_served(&h, &up, "");
    is_served(&h, &up, "X-Priority: critical\r\n");
    is_served(&h, &up, "X-Priority: nonsense\r\n");
    empty(&h, 2);
    stage_wait_ms(h.s, 300);
    is_shed(&h, "X-Priority: sheddable\r\n");
    stage_wait_ms(h.s, 300);
    up = h.ups[1]; /* the connection that was used last */
    is_served(&h, &up, "X-Priority: sheddable\r\n");
    stage_done(h.s);
}

/* Three of two: step by step, until only the critical are let in. */
static void test_only_the_critical(void **state)
{
    struct hall h;
    struct peer *up = NULL;

    (void)state;
    fill(&h, 3, SHEDDING);
    stage_wait_ms(h.s, 150);
    is_served(&h, &up, "");
    stage_wait_ms(h.s, 150);
    is_shed(&h, "X-Priority: sheddable\r\n");
    is_shed(&h, "");
    is_served(&h, &up, "X-Priority: critical\r\n");
    empty(&h, 3);
    stage_done(h.s);
}

/* Who is refused is told when to come back, and not all the same. */
static void test_when_to_come_back(void **state)
{
    struct hall h;
    bool seen[7] = {false};
    uint32_t different = 0;

    (void)state;
    fill(&h, 2, SHEDDING);
    stage_wait_ms(h.s, 150);
    for (int i = 0; i < 20; i++) {
        const char *after;

        send_get(h.probe, "X-Priority: sheddable\r\n");
        stage_wait_ms(h.s, 5);
        after = strstr(h.probe->in, "Retry-After: ");
        assert_non_null(after);
        assert_in_range(atoi(after + 13), 3, 6);
        seen[atoi(after + 13)] = true;
        expect_problem(h.probe, "503 Service Unavailable", "shed");
        stage_record(h.s, 503, NR_REASON_SHED);
    }
    for (int i = 0; i < 7; i++)
        different += seen[i];
    assert_true(different > 1);
    empty(&h, 2);
    stage_done(h.s);
}

static void test_a_stranger_has_no_say(void **state)
{
    struct stage *s =
        stage_new(&(struct stage_conf){.gateway = SHEDDING, .route = "priority: sheddable"});
    struct peer *clients[2], *ups[2], *probe = stage_client(s);

    (void)state;
    for (int i = 0; i < 2; i++) {
        clients[i] = stage_client(s);
        send_get(clients[i], "");
        ups[i] = stage_upstream(s);
        peer_expect_head(ups[i]);
    }
    stage_wait_ms(s, 150);
    send_get(probe, "X-Priority: critical\r\n");
    expect_problem(probe, "503 Service Unavailable", "shed");
    stage_record(s, 503, NR_REASON_SHED);
    for (int i = 0; i < 2; i++) {
        peer_send(ups[i], NO_CONTENT);
        peer_expect_head(clients[i]);
        stage_record(s, 204, NR_REASON_NONE);
    }
    stage_done(s);
}

static void test_shedding_that_observes(void **state)
{
    struct hall h;
    struct peer *up = NULL;
    const struct stage_record *record;

    (void)state;
    fill(&h, 2, "shedding: { capacity: 2, rise: 100ms, header: X-Priority, observe_only: true }");
    stage_wait_ms(h.s, 150);
    send_get(h.probe, "X-Priority: sheddable\r\n");
    up = stage_upstream(h.s);
    peer_expect_head(up);
    peer_send(up, NO_CONTENT);
    peer_expect_head(h.probe);
    record = stage_record(h.s, 204, NR_REASON_NONE);
    assert_int_equal(record->r.flags, NR_RECORD_WOULD_SHED);
    empty(&h, 2);
    stage_done(h.s);
}

/* A level by hand holds at once, in an idle gateway too, and back. */
static void test_shedding_by_hand(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){.gateway = "shedding: { capacity: 100 }"});
    struct peer *client = stage_client(s), *up = NULL;
    struct nr_gateway_guards guards;
    struct nr_err err = {0};

    (void)state;
    assert_int_equal(nr_gateway_shed_force(s->gateway, 2, &err), NR_OK);
    for (int i = 0; i < 3; i++) { /* the readings have no say */
        send_get(client, "");
        expect_problem(client, "503 Service Unavailable", "shed");
        assert_int_equal(stage_record(s, 503, NR_REASON_SHED)->r.flags, NR_RECORD_BY_HAND);
        stage_wait_ms(s, 3000);
    }
    nr_gateway_guards(s->gateway, &guards);
    assert_int_equal(guards.level, 2);
    assert_int_equal(guards.forced, 2);
    assert_int_equal(nr_gateway_shed_force(s->gateway, NR_SHED_AUTO, &err), NR_OK);
    nr_gateway_guards(s->gateway, &guards);
    assert_int_equal(guards.level, 0);
    assert_int_equal(guards.forced, NR_SHED_AUTO);
    send_get(client, "");
    up = stage_upstream(s);
    peer_expect_head(up);
    peer_send(up, NO_CONTENT);
    peer_expect_head(client);
    assert_int_equal(stage_record(s, 204, NR_REASON_NONE)->r.flags, 0);
    stage_done(s);
}

static void test_no_shedding_to_force(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){0});
    struct nr_err err = {0};

    (void)state;
    assert_int_equal(nr_gateway_shed_force(s->gateway, 1, &err), NR_EINVAL);
    stage_done(s);
}

/* ---- off ---- */

static void test_a_feature_that_is_off(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){.route = "enabled: false"});
    struct peer *client = stage_client(s);

    (void)state;
    send_get(client, "");
    expect_problem(client, "503 Service Unavailable", "feature_off");
    stage_record(s, 503, NR_REASON_FEATURE_OFF);
    stage_done(s);
}

/* A route that nothing guards is switched off and on; its record says who did it. */
static void test_off_by_hand(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){0});
    struct peer *client = stage_client(s), *up = NULL;
    struct nr_gateway_route_view view;
    struct nr_err err = {0};

    (void)state;
    assert_int_equal(nr_gateway_route_enable(s->gateway, NR_SPAN("/*"), NR_SAID_NO, &err), NR_OK);
    send_get(client, "");
    expect_problem(client, "503 Service Unavailable", "feature_off");
    assert_int_equal(stage_record(s, 503, NR_REASON_FEATURE_OFF)->r.flags, NR_RECORD_BY_HAND);
    assert_true(nr_gateway_route(s->gateway, NR_SPAN("/*"), stage_now_ns(s), &view));
    assert_false(view.enabled);
    for (int i = 0; i < 2; i++) {
        enum nr_said said = i == 0 ? NR_SAID_NOTHING : NR_SAID_YES;

        assert_int_equal(nr_gateway_route_enable(s->gateway, NR_SPAN("/*"), said, &err), NR_OK);
        send_get(client, "");
        if (up == NULL)
            up = stage_upstream(s);
        peer_expect_head(up);
        peer_send(up, NO_CONTENT);
        peer_expect_head(client);
        assert_int_equal(stage_record(s, 204, NR_REASON_NONE)->r.flags, 0);
    }
    assert_int_equal(nr_gateway_route_hand_count(s->gateway), 1);
    assert_int_equal(nr_gateway_route_enable(s->gateway, NR_SPAN("/b"), NR_SAID_NO, &err),
                     NR_ENOENT);
    stage_done(s);
}

static void test_on_by_hand(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){.route = "enabled: false"});
    struct peer *client = stage_client(s), *up;
    struct nr_err err = {0};

    (void)state;
    assert_int_equal(nr_gateway_route_enable(s->gateway, NR_SPAN("/*"), NR_SAID_YES, &err), NR_OK);
    send_get(client, "");
    up = stage_upstream(s);
    peer_expect_head(up);
    peer_send(up, NO_CONTENT);
    peer_expect_head(client);
    stage_record(s, 204, NR_REASON_NONE);
    stage_done(s);
}

/* ---- faults at the request; those at the attempt: test_faults.c ---- */

static void test_a_delay(void **state)
{
    struct stage *s =
        stage_new(&(struct stage_conf){.route = "faults: [{ at: request, delay: 2s }]"});
    struct peer *client = stage_client(s), *up;
    const struct stage_record *record;
    uint64_t asked_ns = stage_now_ns(s) + STAGE_MS;

    (void)state;
    send_get(client, "");
    up = stage_upstream(s);
    peer_expect_head(up);
    expect_after(up->at_ns - 3 * STAGE_MS, asked_ns, 2000); /* connecting takes 2 ms */
    peer_send(up, NO_CONTENT);
    peer_expect_head(client);
    record = stage_record(s, 204, NR_REASON_NONE);
    assert_true((record->r.flags & NR_RECORD_FAULT_DELAY) != 0);
    assert_in_range(record->r.queue_us, 2000000, 2001000);
    stage_done(s);
}

/* A delay never outlives the request's deadline, and delays add up. */
static void test_delays_and_deadline(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){
        .gateway = "deadline: 300ms",
        .route = "faults: [{ at: request, delay: 200ms }, { at: request, delay: 200ms }]"});
    struct peer *client = stage_client(s);
    uint64_t asked_ns = stage_now_ns(s) + STAGE_MS;

    (void)state;
    send_get(client, "");
    expect_problem(client, "504 Gateway Timeout", "deadline");
    expect_after(client->at_ns - STAGE_MS, asked_ns, 300);
    stage_record(s, 504, NR_REASON_DEADLINE);
    stage_done(s);
}

static void test_leaving_a_delay(void **state)
{
    struct stage *s =
        stage_new(&(struct stage_conf){.route = "faults: [{ at: request, delay: 2s }]"});
    struct peer *client = stage_client(s);

    (void)state;
    send_get(client, "");
    stage_wait_ms(s, 100);
    peer_reset(client);
    stage_record(s, 499, NR_REASON_CLIENT_CLOSED);
    stage_done(s);
}

static void test_an_abort_for_some(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){
        .route = "faults: [{ at: request, abort: 503, header: \"X-Chaos: yes\" }]"});
    struct peer *client = stage_client(s), *up;

    (void)state;
    send_get(client, "X-Chaos: yes\r\n");
    expect_problem(client, "503 Service Unavailable", "fault_abort");
    stage_record(s, 503, NR_REASON_FAULT_ABORT);
    send_get(client, "X-Chaos: no\r\n");
    up = stage_upstream(s);
    peer_expect_head(up);
    peer_send(up, NO_CONTENT);
    peer_expect_head(client);
    stage_record(s, 204, NR_REASON_NONE);
    stage_done(s);
}

static void test_a_reset(void **state)
{
    struct stage *s =
        stage_new(&(struct stage_conf){.route = "faults: [{ at: request, reset: true }]"});
    struct peer *client = stage_client(s);

    (void)state;
    send_get(client, "");
    peer_expect_reset(client);
    stage_record(s, 502, NR_REASON_FAULT_RESET);
    stage_done(s);
}

/* 1000 bytes at 1000 B/s take a second, whatever the service does. */
static void test_bandwidth(void **state)
{
    struct stage *s =
        stage_new(&(struct stage_conf){.route = "faults: [{ at: request, bandwidth: 1000B/s }]"});
    struct peer *client = stage_client(s), *up;
    const struct stage_record *record;
    uint64_t answered_ns;

    (void)state;
    send_get(client, "");
    up = stage_upstream(s);
    peer_expect_head(up);
    answered_ns = stage_now_ns(s);
    peer_send(up, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    peer_send_pattern(up, 1000);
    peer_expect_head(client);
    peer_expect_pattern(client, 1000);
    assert_in_range(client->at_ns - answered_ns, 900 * STAGE_MS, 1100 * STAGE_MS);
    record = stage_record(s, 200, NR_REASON_NONE);
    assert_true((record->r.flags & NR_RECORD_FAULT_SLOW) != 0);
    stage_done(s);
}

/* Chance is the engine's: the same seed strikes the same requests. */
static uint64_t who_is_struck(uint64_t seed)
{
    struct stage *s = stage_new(&(struct stage_conf){
        .route = "faults: [{ at: request, abort: 500, percent: 25% }]", .seed = seed});
    struct peer *client = stage_client(s);
    uint64_t struck = 0;

    stage_refuse(s, 0);
    for (int i = 0; i < 60; i++) {
        bool fault;

        send_get(client, "");
        stage_wait_ms(s, 50);
        fault = strstr(client->in, "fault_abort") != NULL;
        struck |= (uint64_t)fault << i;
        peer_expect_head(client);
        peer_expect(client, "{*}\n");
        if (fault)
            stage_record(s, 500, NR_REASON_FAULT_ABORT);
        else
            stage_record(s, 502, NR_REASON_CONNECT_REFUSED);
    }
    stage_done(s);
    return struck;
}

static void test_chance(void **state)
{
    uint64_t struck = who_is_struck(1);

    (void)state;
    assert_in_range(__builtin_popcountll(struck), 5, 28);
    assert_true(who_is_struck(1) == struck);
    assert_true(who_is_struck(2) != struck);
}

/* Faults by hand stand in for the configured ones, strike at the request or the attempt, say so in
 * the record, and end by themselves. */
static void test_faults_by_hand(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){
        .service = "retry: { attempts: 1 }", .route = "faults: [{ abort: 503, at: request }]"});
    struct peer *client = stage_client(s), *up;
    struct nr_gateway_route_view view;
    struct nr_err err = {0};
    const struct nr_span route = NR_SPAN("/*");
    const uint64_t until_ns = stage_now_ns(s) + 10000 * STAGE_MS;

    (void)state;
    send_get(client, "");
    expect_problem(client, "503 Service Unavailable", "fault_abort");
    assert_int_equal(stage_record(s, 503, NR_REASON_FAULT_ABORT)->r.flags & NR_RECORD_BY_HAND, 0);
    assert_int_equal(nr_gateway_route_fault(s->gateway, route,
                                            NR_SPAN("[{\"abort\":501,\"at\":\"request\"}]"),
                                            until_ns, &err),
                     NR_OK);
    send_get(client, "");
    expect_problem(client, "501 Not Implemented", "fault_abort");
    assert_true((stage_record(s, 501, NR_REASON_FAULT_ABORT)->r.flags & NR_RECORD_BY_HAND) != 0);
    assert_int_equal(
        nr_gateway_route_fault(s->gateway, route, NR_SPAN("[{\"abort\":500}]"), until_ns, &err),
        NR_OK);
    send_get(client, "");
    expect_problem(client, "500 Internal Server Error", "fault_abort");
    assert_true((stage_record(s, 500, NR_REASON_FAULT_ABORT)->r.flags & NR_RECORD_BY_HAND) != 0);
    assert_int_equal(nr_gateway_route_fault(s->gateway, route,
                                            NR_SPAN("[{\"reset\":true,\"header\":\"X-A: b\"}]"),
                                            until_ns, &err),
                     NR_OK);
    send_get(client, "");
    up = stage_upstream(s);
    peer_expect_head(up);
    peer_send(up, NO_CONTENT);
    peer_expect_head(client);
    assert_int_equal(stage_record(s, 204, NR_REASON_NONE)->r.flags, 0);
    assert_true(nr_gateway_route(s->gateway, route, stage_now_ns(s), &view));
    assert_int_equal(view.faults_until_ns, until_ns);
    stage_wait_ms(s, 10000);
    assert_true(nr_gateway_route(s->gateway, route, stage_now_ns(s), &view));
    assert_int_equal(view.faults.len, 0);
    send_get(client, "X-A: b\r\n");
    expect_problem(client, "503 Service Unavailable", "fault_abort"); /* as configured */
    stage_record(s, 503, NR_REASON_FAULT_ABORT);
    stage_done(s);
}

/* Whoever has begun keeps the faults that it met, though they are taken back meanwhile. */
static void test_faults_that_go_while_a_request_is_held(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){0});
    struct peer *client = stage_client(s);
    struct nr_err err = {0};

    (void)state;
    assert_int_equal(
        nr_gateway_route_fault(s->gateway, NR_SPAN("/*"),
                               NR_SPAN("[{\"delay\":\"1s\",\"at\":\"request\"},{\"abort\":500}]"),
                               stage_now_ns(s) + 10000 * STAGE_MS, &err),
        NR_OK);
    send_get(client, "");
    stage_wait_ms(s, 500);
    assert_int_equal(
        nr_gateway_route_fault(s->gateway, NR_SPAN("/*"), (struct nr_span){"", 0}, 0, &err), NR_OK);
    expect_problem(client, "500 Internal Server Error", "fault_abort");
    stage_record(s, 500, NR_REASON_FAULT_ABORT);
    stage_done(s);
}

static void test_faults_that_are_none(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"[{\"abrt\":500}]", "did you mean 'abort'?"},
        {"[{\"abort\":200}]", "abort"},
        {"[{\"abort\":500,\"delay\":\"1s\"}]", "a fault is one of delay, abort, reset"},
        {"[{}]", "a fault is one of"},
        {"[5]", ""},
        {"[{\"delay\":\"${HOME}\"}]", ""},
    };
    struct stage *s = stage_new(&(struct stage_conf){0});
    struct nr_err err = {0};

    (void)state;
    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        assert_int_equal(nr_gateway_route_fault(s->gateway, NR_SPAN("/*"),
                                                nr_span_of(cases[i].text), UINT64_MAX, &err),
                         NR_EINVAL);
        assert_non_null(strstr(err.text, cases[i].why));
    }
    assert_int_equal(nr_gateway_route_fault(s->gateway, NR_SPAN("/b"),
                                            NR_SPAN("[{\"reset\":true}]"), UINT64_MAX, &err),
                     NR_ENOENT);
    stage_done(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_least_critical_go_first),
        cmocka_unit_test(test_only_the_critical),
        cmocka_unit_test(test_when_to_come_back),
        cmocka_unit_test(test_a_stranger_has_no_say),
        cmocka_unit_test(test_shedding_that_observes),
        cmocka_unit_test(test_shedding_by_hand),
        cmocka_unit_test(test_no_shedding_to_force),
        cmocka_unit_test(test_a_feature_that_is_off),
        cmocka_unit_test(test_off_by_hand),
        cmocka_unit_test(test_on_by_hand),
        cmocka_unit_test(test_a_delay),
        cmocka_unit_test(test_delays_and_deadline),
        cmocka_unit_test(test_leaving_a_delay),
        cmocka_unit_test(test_an_abort_for_some),
        cmocka_unit_test(test_a_reset),
        cmocka_unit_test(test_bandwidth),
        cmocka_unit_test(test_chance),
        cmocka_unit_test(test_faults_by_hand),
        cmocka_unit_test(test_faults_that_go_while_a_request_is_held),
        cmocka_unit_test(test_faults_that_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
