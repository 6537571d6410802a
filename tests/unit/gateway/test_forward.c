/* SPDX-License-Identifier: Apache-2.0 */
/* What a head gains and loses between client and service: who asked, under which id, through whom,
 * and how much time is left. The client is 10.0.2.1. */
#include "stage.h"

#define TRUSTING "trusted_proxies: [\"10.0.2.0/24\"]"

struct forward_case {
    const char *story;
    const char *listen;
    const char *fields;    /* of the request, behind its Host: a */
    const char *forwarded; /* all of them, behind "GET /a HTTP/1.1\r\nHost: a\r\n" */
    uint64_t deadline_ms;
};

#define FIRST  "X-Forwarded-For: 10.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n"
#define SECOND "X-Request-Id: *\r\nVia: 1.1 naru\r\n"

/* clang-format off */
static const struct forward_case cases[] = {
    {"the plain case", NULL, "", FIRST SECOND "X-Request-Deadline: 5000\r\n", 5000},
    {"what a stranger says of himself is replaced", NULL,
     "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nForwarded: for=6.6.6.6\r\n",
     FIRST SECOND "X-Request-Deadline: 5000\r\n", 5000},
    {"however often he says it", NULL, "X-Forwarded-For: 6.6.6.6\r\nx-forwarded-for: 7.7.7.7\r\n",
     FIRST SECOND "X-Request-Deadline: 5000\r\n", 5000},
    {"a trusted proxy is believed, and we join its list", TRUSTING,
     "X-Forwarded-For: 6.6.6.6, 7.7.7.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop\r\nForwarded: for=6.6.6.6\r\n",
     "X-Forwarded-Proto: https\r\nX-Forwarded-Host: shop\r\nForwarded: for=6.6.6.6\r\n"
     "X-Forwarded-For: 6.6.6.6, 7.7.7.7, 10.0.2.1\r\n" SECOND "X-Request-Deadline: 5000\r\n", 5000},
    {"a list in several lines is one list (RFC 9110, 5.3)", TRUSTING,
     "X-Forwarded-For: 6.6.6.6\r\nX-A: b\r\nX-Forwarded-For:\r\nX-Forwarded-For: 7.7.7.7\r\n",
     "X-A: b\r\nX-Forwarded-For: 6.6.6.6, 7.7.7.7, 10.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n"
     SECOND "X-Request-Deadline: 5000\r\n", 5000},
    {"a trusted network that is another's", "trusted_proxies: [\"10.0.3.0/24\"]", "X-Forwarded-For: 6.6.6.6\r\n",
     FIRST SECOND "X-Request-Deadline: 5000\r\n", 5000},
    {"a stranger's id is replaced", NULL, "X-Request-Id: mine\r\n",
     FIRST SECOND "X-Request-Deadline: 5000\r\n", 5000},
    {"a trusted one's is kept", TRUSTING, "X-Request-Id: abc-1_2.3\r\n",
     FIRST "X-Request-Id: abc-1_2.3\r\nVia: 1.1 naru\r\nX-Request-Deadline: 5000\r\n", 5000},
    {"who came before stays in Via (RFC 9110, 7.6.3)", NULL, "Via: 1.0 fred\r\n",
     "Via: 1.0 fred\r\n" FIRST SECOND "X-Request-Deadline: 5000\r\n", 5000},
    {"a stranger does not set our deadline", NULL,
     "X-Request-Deadline: 100\r\nX-Envoy-Expected-Rq-Timeout-Ms: 100\r\n",
     FIRST SECOND "X-Request-Deadline: 5000\r\n", 5000},
    {"a trusted one does, downwards", TRUSTING, "X-Request-Deadline: 300\r\n",
     FIRST SECOND "X-Request-Deadline: 300\r\n", 300},
    {"and not upwards", TRUSTING, "X-Request-Deadline: 9000\r\n",
     FIRST SECOND "X-Request-Deadline: 5000\r\n", 5000},
    {"what is no number is none", TRUSTING, "X-Request-Deadline: soon\r\n",
     FIRST SECOND "X-Request-Deadline: 5000\r\n", 5000},
    {"Envoy's word for it is ours from here on", TRUSTING, "X-Envoy-Expected-Rq-Timeout-Ms: 250\r\n",
     FIRST SECOND "X-Request-Deadline: 250\r\n", 250},
    {"the least of all holds", TRUSTING, "X-Envoy-Expected-Rq-Timeout-Ms: 250\r\ngrpc-timeout: 200m\r\nX-Request-Deadline: 300\r\n",
     FIRST SECOND "X-Request-Deadline: 200\r\ngrpc-timeout: 200m\r\n", 200},
    {"gRPC's may come from anyone", NULL, "grpc-timeout: 2S\r\n",
     FIRST SECOND "X-Request-Deadline: 2000\r\ngrpc-timeout: 2000m\r\n", 2000},
    {"in microseconds", NULL, "grpc-timeout: 150000u\r\n",
     FIRST SECOND "X-Request-Deadline: 150\r\ngrpc-timeout: 150m\r\n", 150},
    {"an hour is more than we give", NULL, "grpc-timeout: 1H\r\n",
     FIRST SECOND "X-Request-Deadline: 5000\r\ngrpc-timeout: 5000m\r\n", 5000},
    {"an unknown unit", NULL, "grpc-timeout: 1D\r\n",
     FIRST SECOND "X-Request-Deadline: 5000\r\ngrpc-timeout: 5000m\r\n", 5000},
};
/* clang-format on */

static void test_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct forward_case *c = &cases[i];
        struct stage *s = stage_new(&(struct stage_conf){.listen = c->listen});
        struct peer *client = stage_client(s), *up;
        const struct stage_record *record;
        char text[1024];

        print_message("# %s\n", c->story);
        snprintf(text, sizeof(text), "GET /a HTTP/1.1\r\nHost: a\r\n%s\r\n", c->fields);
        peer_send(client, text);
        up = stage_upstream(s);
        snprintf(text, sizeof(text), "GET /a HTTP/1.1\r\nHost: a\r\n%s\r\n", c->forwarded);
        peer_expect(up, text);
        peer_send(up, "HTTP/1.1 204 No Content\r\n\r\n");
        peer_expect(client, "HTTP/1.1 204 No Content\r\n" STAMPED "\r\n");
        record = stage_record(s, 204, NR_REASON_NONE);
        assert_int_equal(record->r.deadline_ms, c->deadline_ms);
        if (strstr(c->forwarded, "abc-1") != NULL)
            assert_string_equal(record->request_id, "abc-1_2.3");
        stage_done(s);
    }
}

/* Without a deadline of ours, what a stranger claims must not reach the service as ours. */
static void test_no_deadline(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){.gateway = "deadline: none"});
    struct peer *client = stage_client(s), *up;

    (void)state;
    peer_send(client, "GET /a HTTP/1.1\r\nHost: a\r\nX-Request-Deadline: 1\r\n"
                      "X-Request-Attempt: 7\r\n\r\n");
    up = stage_upstream(s);
    peer_expect(up, "GET /a HTTP/1.1\r\nHost: a\r\n" FIRST SECOND "\r\n");
    peer_send(up, "HTTP/1.1 204 No Content\r\n\r\n");
    peer_expect(client, "HTTP/1.1 204 No Content\r\n" STAMPED "\r\n");
    assert_int_equal(stage_record(s, 204, NR_REASON_NONE)->r.deadline_ms, 0);
    stage_done(s);
}

/* The client's own limit ends the request as ours would, at its very time. */
static void test_grpc_timeout_is_the_deadline(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){0});
    struct peer *client = stage_client(s), *up;
    const struct stage_record *record;
    uint64_t asked_ns = stage_now_ns(s) + STAGE_MS;

    (void)state;
    peer_send(client, "GET /a HTTP/1.1\r\nHost: a\r\ngrpc-timeout: 120m\r\n\r\n");
    up = stage_upstream(s);
    peer_expect(client, "HTTP/1.1 504 Gateway Timeout\r\n");
    expect_after(client->at_ns - STAGE_MS, asked_ns, 120);
    peer_expect_head(client);
    peer_expect(client, "{*\"reason\":\"deadline\"*}\n");
    peer_expect_head(up);
    peer_expect_reset(up);
    record = stage_record(s, 504, NR_REASON_DEADLINE);
    assert_int_equal(record->r.deadline_ms, 120);
    stage_done(s);
}

/* The least counts: of the listener, the route and the client. */
static void test_the_least_deadline(void **state)
{
    static const struct {
        const char *listen, *route, *field;
        uint32_t deadline_ms;
    } rows[] = {
        {"deadline: 300ms", "deadline: 500ms", "", 300},
        {"deadline: 300ms", "deadline: none", "", 300},
        {"deadline: 300ms", "deadline: 200ms", "", 200},
        {"deadline: 300ms", "deadline: 500ms", "grpc-timeout: 250m\r\n", 250},
        {"deadline: 300ms", "deadline: 500ms", "grpc-timeout: 400m\r\n", 300},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct stage *s =
            stage_new(&(struct stage_conf){.listen = rows[i].listen, .route = rows[i].route});
        struct peer *client = stage_client(s);
        uint64_t asked_ns = stage_now_ns(s) + STAGE_MS;
        char text[128];

        snprintf(text, sizeof(text), "GET /a HTTP/1.1\r\nHost: a\r\n%s\r\n", rows[i].field);
        peer_send(client, text);
        peer_expect(client, "HTTP/1.1 504 Gateway Timeout\r\n");
        expect_after(client->at_ns - STAGE_MS, asked_ns, rows[i].deadline_ms);
        peer_expect_head(client);
        peer_expect(client, "{*\"reason\":\"deadline\"*}\n");
        peer_expect_head(stage_upstream(s));
        assert_int_equal(stage_record(s, 504, NR_REASON_DEADLINE)->r.deadline_ms,
                         rows[i].deadline_ms);
        stage_done(s);
    }
}

/* What was spent before is not given away again: the head took 400 of 700 ms. */
static void test_only_the_rest_is_passed_on(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){.gateway = "deadline: 700ms"});
    struct peer *client = stage_client(s), *up;

    (void)state;
    peer_send(client, "GET /a HTTP/1.1\r\n");
    stage_wait_ms(s, 400);
    peer_send(client, "Host: a\r\n\r\n");
    up = stage_upstream(s);
    peer_expect(up,
                "GET /a HTTP/1.1\r\nHost: a\r\n" FIRST SECOND "X-Request-Deadline: 300\r\n\r\n");
    peer_send(up, "HTTP/1.1 204 No Content\r\n\r\n");
    peer_expect(client, "HTTP/1.1 204 No Content\r\n" STAMPED "\r\n");
    stage_record(s, 204, NR_REASON_NONE);
    stage_done(s);
}

static void test_a_prefix_is_stripped(void **state)
{
    static const char *const targets[][2] = {
        {"/api/orders", "/orders"}, {"/api", "/"},         {"/api/?q=%2e%2E", "/?q=%2e%2E"},
        {"/api/%41%7e", "/A~"},     {"/api?q=1", "/?q=1"}, {"/api/%e2%82%ac", "/%E2%82%AC"}};

    (void)state;
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        struct stage *s = stage_new(
            &(struct stage_conf){.match = "path: \"/api/*\"", .route = "strip_prefix: /api"});
        struct peer *client = stage_client(s), *up;
        char text[256];

        snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", targets[i][0]);
        peer_send(client, text);
        up = stage_upstream(s);
        snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a\r\n" ADDED "\r\n", targets[i][1]);
        peer_expect(up, text);
        peer_send(up, "HTTP/1.1 204 No Content\r\n\r\n");
        peer_expect(client, "HTTP/1.1 204 No Content\r\n" STAMPED "\r\n");
        assert_memory_equal(stage_record(s, 204, NR_REASON_NONE)->path, "/api", 4);
        stage_done(s);
    }
}

/* Answers: a Date only if there is none (RFC 9110, 6.6.1), our id over the service's, Via added. */
static void test_answers(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){.listen = TRUSTING});
    struct peer *client = stage_client(s), *up;

    (void)state;
    peer_send(client, "GET /a HTTP/1.1\r\nHost: a\r\nX-Request-Id: one\r\n\r\n");
    up = stage_upstream(s);
    peer_expect_head(up);
    peer_send(up, "HTTP/1.1 204 No Content\r\nDate: Fri, 02 Jan 2026 00:00:00 GMT\r\n"
                  "X-Request-Id: another\r\nVia: 1.1 cache\r\n\r\n");
    peer_expect(client, "HTTP/1.1 204 No Content\r\nDate: Fri, 02 Jan 2026 00:00:00 GMT\r\n"
                        "Via: 1.1 cache\r\nX-Request-Id: one\r\nVia: 1.1 naru\r\n\r\n");
    stage_record(s, 204, NR_REASON_NONE);
    stage_done(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_no_deadline),
        cmocka_unit_test(test_grpc_timeout_is_the_deadline),
        cmocka_unit_test(test_the_least_deadline),
        cmocka_unit_test(test_only_the_rest_is_passed_on),
        cmocka_unit_test(test_a_prefix_is_stripped),
        cmocka_unit_test(test_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
