/* SPDX-License-Identifier: Apache-2.0 */
/* Another service in place of one that has no answer, through the whole gateway in virtual time.
 * `app` is instance 0, `other` that stands in for it is instance 1, `third` is instance 2. */
#include "stage.h"

#define NO_CONTENT "HTTP/1.1 204 No Content\r\n\r\n"
#define OTHER(app, other)                                                                          \
    "fallback: { service: other }, retry: { attempts: 2 }" app                                     \
    " }, other: { instances: [\"10.0.1.2:7000\"]" other
#define STOOD_IN      (NR_RECORD_FALLBACK | NR_RECORD_STOOD_IN)
#define PUT_A(length) "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: " length "\r\n\r\n"

static struct stage *stage_of(const char *service)
{
    return stage_new(&(struct stage_conf){.service = service});
}

static struct stage *refusing(const char *service)
{
    struct stage *s = stage_of(service);

    stage_refuse(s, 0);
    return s;
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

static struct peer *other_is_asked(struct stage *s, const char *text)
{
    struct peer *up = stage_upstream(s);

    assert_int_equal(up->instance, 1);
    peer_expect(up, text);
    return up;
}

static void expect_attempts(const struct stage_record *record, uint32_t first, uint32_t standing_in)
{
    assert_int_equal(record->r.attempt_count, first + standing_in);
    assert_int_equal(record->r.service, 0);
    for (uint32_t i = 0; i < first + standing_in; i++) {
        const struct nr_record_attempt *attempt = &record->r.attempts[i];

        assert_int_equal(attempt->hop, i >= first);
        assert_int_equal(attempt->instance, 0); /* of its own service */
        assert_int_equal(nr_record_service_of(&record->r, attempt), i >= first);
    }
    assert_int_equal(record->r.fallbacks[0], standing_in > 0 ? 2 : 0);
    assert_int_equal(record->r.fallbacks[1], 0);
}

static uint64_t fallbacks_of(struct stage *s, uint32_t service)
{
    struct nr_service_view view;

    nr_service_look(nr_gateway_service(s->gateway, service), stage_now_ns(s), &view);
    return view.fallbacks;
}

/* ---- it answers ---- */

/* Two attempts in vain, then the other one gets the request as if it were the first to. */
static void test_another_answers(void **state)
{
    struct stage *s = refusing(OTHER("", ""));
    struct peer *client = stage_client(s), *up;
    const struct stage_record *record;

    (void)state;
    peer_send(client, GET_A);
    up = other_is_asked(s, GOT_A);
    peer_send(up, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    peer_expect(client, "HTTP/1.1 200 OK\r\nX-Naru-Fallback: connect_refused\r\n" STAMPED
                        "Content-Length: 5\r\n\r\nhello");
    record = stage_record(s, 200, NR_REASON_CONNECT_REFUSED);
    expect_attempts(record, 2, 1);
    assert_int_equal(record->r.flags, STOOD_IN | NR_RECORD_RETRY_SPENT);
    assert_int_equal(record->r.attempts[2].status, 200);
    assert_int_equal(fallbacks_of(s, 0), 1);
    assert_int_equal(fallbacks_of(s, 1), 0);
    stage_done(s);
}

/* What it answers is its own affair. */
static void test_another_answers_with_an_error(void **state)
{
    struct stage *s = refusing(OTHER("", ", retry: { attempts: 1 }"));
    struct peer *client = stage_client(s), *up;

    (void)state;
    peer_send(client, GET_A);
    up = other_is_asked(s, GOT_A);
    peer_send(up, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    peer_expect(client, "HTTP/1.1 503 Service Unavailable\r\n");
    peer_expect_head(client);
    stage_record(s, 503, NR_REASON_CONNECT_REFUSED);
    stage_done(s);
}

/* An open circuit: no attempt, and so even a POST may go elsewhere, with all of its body. */
static void test_an_open_circuit(void **state)
{
    struct stage *s = refusing(OTHER(", breaker: { minimum: 1, consecutive: 1 }", ""));
    struct peer *client = stage_client(s), *up;

    (void)state;
    peer_send(client, GET_A);
    up = other_is_asked(s, GOT_A);
    peer_send(up, NO_CONTENT);
    peer_expect_head(client);
    stage_record(s, 204, NR_REASON_CONNECT_REFUSED);
    peer_send(client, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    peer_send_pattern(client, 100000);
    peer_expect_head(up);
    peer_expect_pattern(up, 100000);
    peer_send(up, NO_CONTENT);
    peer_expect(client, "HTTP/1.1 204 No Content\r\nX-Naru-Fallback: circuit_open\r\n");
    peer_expect_head(client);
    expect_attempts(stage_record(s, 204, NR_REASON_CIRCUIT_OPEN), 0, 1);
    stage_done(s);
}

/* A body that was sent and is still at hand goes out again. */
static void test_a_body_goes_along(void **state)
{
    struct stage *s = stage_of(OTHER("", ""));
    struct peer *client = stage_client(s), *first, *up;
    const struct stage_record *record;

    (void)state;
    peer_send(client, PUT_A("5000"));
    peer_send_pattern(client, 5000);
    first = stage_upstream(s);
    for (int i = 0; i < 2; i++) {
        peer_expect_head(first);
        peer_expect_pattern(first, 5000);
        first->pattern_in = 0;
        peer_send(first, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    }
    up = other_is_asked(s, "PUT /a HTTP/1.1\r\nHost: a\r\n" ADDED "Content-Length: 5000\r\n\r\n");
    peer_expect_pattern(up, 5000);
    peer_send(up, NO_CONTENT);
    peer_expect_head(client);
    record = stage_record(s, 204, NR_REASON_UPSTREAM_ERROR);
    expect_attempts(record, 2, 1);
    stage_done(s);
}

/* It has a queue of its own, and waiting there is waiting of this request. */
static void test_another_is_busy(void **state)
{
    struct stage *s =
        refusing(OTHER(", breaker: { minimum: 1, consecutive: 1 }",
                       ", bulkhead: { concurrent: 1, queue: 1, wait: 1s, target: 0s }"));
    struct peer *clients[3], *up;
    const struct stage_record *record;

    (void)state;
    for (int i = 0; i < 3; i++) {
        clients[i] = stage_client(s);
        peer_send(clients[i], GET_A);
        stage_wait_ms(s, 50);
    }
    up = other_is_asked(s, GOT_A);
    expect_problem(clients[2], "503 Service Unavailable", "circuit_open");
    record = stage_record(s, 503, NR_REASON_CIRCUIT_OPEN);
    assert_int_equal(record->r.fallbacks[0], 2);
    peer_send(up, NO_CONTENT);
    peer_expect_head(clients[0]);
    stage_record(s, 204, NR_REASON_CONNECT_REFUSED);
    peer_expect(up, GOT_A);
    peer_send(up, NO_CONTENT);
    peer_expect_head(clients[1]);
    record = stage_record(s, 204, NR_REASON_CIRCUIT_OPEN);
    assert_in_range(record->r.queue_us, 50000, 200000);
    stage_done(s);
}

/* A cookie binds to an instance of the service that answered. */
static void test_another_is_sticky(void **state)
{
    struct stage *s =
        refusing(OTHER("", ", balance: { algorithm: sticky, cookie: { name: seat } }"));
    struct peer *client = stage_client(s), *up;

    (void)state;
    peer_send(client, GET_A);
    up = other_is_asked(s, GOT_A);
    peer_send(up, NO_CONTENT);
    peer_expect(client, "HTTP/1.1 204 No Content\r\nX-Naru-Fallback: *\r\nDate: *\r\n"
                        "X-Request-Id: *\r\nVia: 1.1 naru\r\nSet-Cookie: seat=*\r\n\r\n");
    stage_record(s, 204, NR_REASON_CONNECT_REFUSED);
    stage_done(s);
}

static void test_a_tunnel_to_another(void **state)
{
    struct stage *s = refusing(OTHER("", ""));
    struct peer *client = stage_client(s), *up;
    const struct stage_record *record;

    (void)state;
    peer_send(client, "GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
    up = stage_upstream(s);
    peer_expect_head(up);
    peer_send(up, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
    peer_expect_head(client);
    peer_send(client, "ping");
    peer_expect(up, "ping");
    peer_send(up, "pong");
    peer_expect(client, "pong");
    peer_fin(up);
    peer_fin(client);
    record = stage_record(s, 101, NR_REASON_CONNECT_REFUSED);
    expect_attempts(record, 2, 1);
    stage_done(s);
}

/* ---- it is not asked ---- */

/* Nobody knows whether the first has acted on it: its own answer is the last word. */
static void test_what_may_have_been_done(void **state)
{
    struct stage *s = stage_of(OTHER("", ""));
    struct peer *client = stage_client(s), *up;
    const struct stage_record *record;

    (void)state;
    peer_send(client, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    up = stage_upstream(s);
    peer_expect_head(up);
    peer_expect(up, "hi");
    peer_send(up, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno");
    peer_expect(client, "HTTP/1.1 503 Service Unavailable\r\n");
    peer_expect_head(client);
    peer_expect(client, "no");
    record = stage_record(s, 503, NR_REASON_NONE);
    expect_attempts(record, 1, 0);
    assert_int_equal(record->r.flags, NR_RECORD_RETRY_UNSAFE | NR_RECORD_NO_STAND_IN);
    stage_done(s);
}

static void test_a_body_that_is_gone(void **state)
{
    struct stage *s = stage_of(OTHER("", ""));
    struct peer *client = stage_client(s), *up;
    const struct stage_record *record;

    (void)state;
    peer_send(client, PUT_A("100000"));
    peer_send_pattern(client, 100000);
    up = stage_upstream(s);
    peer_expect_head(up);
    peer_expect_pattern(up, 100000);
    peer_reset(up);
    expect_problem(client, "502 Bad Gateway", "upstream_reset");
    record = stage_record(s, 502, NR_REASON_UPSTREAM_RESET);
    assert_int_equal(record->r.flags, NR_RECORD_RETRY_NO_BODY | NR_RECORD_NO_STAND_IN);
    stage_done(s);
}

/* ---- it fails, too ---- */

static void test_the_first_reason_stands(void **state)
{
    struct stage *s = refusing(OTHER("", ", retry: { attempts: 1 }"));
    struct peer *client = stage_client(s), *up;
    const struct stage_record *record;

    (void)state;
    peer_send(client, GET_A);
    up = other_is_asked(s, GOT_A);
    peer_reset(up);
    expect_problem(client, "502 Bad Gateway", "connect_refused");
    record = stage_record(s, 502, NR_REASON_CONNECT_REFUSED);
    expect_attempts(record, 2, 1);
    assert_int_equal(record->r.flags, NR_RECORD_RETRY_SPENT);
    assert_int_equal(fallbacks_of(s, 0), 0);
    stage_done(s);
}

static void test_its_own_answer_is_left(void **state)
{
    struct stage *s = refusing(OTHER("", ", fallback: { status: 200, body: instead }"));
    struct peer *client = stage_client(s);
    const struct stage_record *record;

    (void)state;
    stage_refuse(s, 1);
    peer_send(client, GET_A);
    peer_expect(client, "HTTP/1.1 200 OK\r\n*\r\nX-Naru-Fallback: connect_refused\r\n");
    peer_expect_head(client);
    peer_expect(client, "instead");
    record = stage_record(s, 200, NR_REASON_CONNECT_REFUSED);
    expect_attempts(record, 2, 2);
    assert_int_equal(record->r.flags, NR_RECORD_FALLBACK | NR_RECORD_RETRY_SPENT);
    assert_int_equal(fallbacks_of(s, 0), 1);
    assert_int_equal(fallbacks_of(s, 1), 1);
    stage_done(s);
}

/* Two stand in, one after the other; the record has no room for all attempts, and says so. */
static void test_a_chain(void **state)
{
    struct stage *s = refusing(
        OTHER("", ", fallback: { service: third } }, third: { instances: [\"10.0.1.3:7000\"]"));
    struct peer *client = stage_client(s), *up;
    const struct stage_record *record;

    (void)state;
    stage_refuse(s, 1);
    peer_send(client, GET_A);
    up = stage_upstream(s);
    assert_int_equal(up->instance, 2);
    peer_expect(up, GOT_A);
    peer_send(up, NO_CONTENT);
    peer_expect_head(client);
    record = stage_record(s, 204, NR_REASON_CONNECT_REFUSED);
    assert_int_equal(record->r.attempt_count, 5);
    assert_int_equal(record->r.fallbacks[0], 2);
    assert_int_equal(record->r.fallbacks[1], 3);
    assert_int_equal(record->r.attempts[2].hop, 1);
    assert_int_equal(record->r.attempts[3].hop, 2);
    assert_int_equal(record->r.attempts[3].status, 204);
    assert_int_equal(fallbacks_of(s, 0), 1);
    assert_int_equal(fallbacks_of(s, 1), 1);
    assert_int_equal(fallbacks_of(s, 2), 0);
    stage_done(s);
}

/* Both together have one deadline. */
static void test_one_deadline(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){
        .gateway = "deadline: 300ms",
        .service = "fallback: { service: other }, retry: { attempts: 1 }, "
                   "timeouts: { attempt: 200ms } }, other: { instances: [\"10.0.1.2:7000\"]"});
    struct peer *client = stage_client(s), *first, *up;
    uint64_t asked_ns = stage_now_ns(s) + STAGE_MS;
    const struct stage_record *record;

    (void)state;
    peer_send(client, GET_A);
    first = stage_upstream(s);
    peer_expect(first, GOT_A);
    up = other_is_asked(s, GOT_A);
    expect_after(up->at_ns - 3 * STAGE_MS, asked_ns, 200);
    expect_problem(client, "504 Gateway Timeout", "deadline");
    expect_after(client->at_ns - STAGE_MS, asked_ns, 300);
    record = stage_record(s, 504, NR_REASON_DEADLINE);
    expect_attempts(record, 1, 1);
    stage_done(s);
}

static void test_the_client_leaves(void **state)
{
    struct stage *s = refusing(OTHER("", ""));
    struct peer *client = stage_client(s), *up;
    const struct stage_record *record;

    (void)state;
    peer_send(client, GET_A);
    up = other_is_asked(s, GOT_A);
    peer_reset(client);
    record = stage_record(s, 499, NR_REASON_CLIENT_CLOSED);
    expect_attempts(record, 2, 1);
    assert_int_equal(record->r.attempts[2].result, NR_ATTEMPT_CANCELED);
    peer_expect_reset(up);
    stage_done(s);
}

/* ---- and faults ---- */

/* A route's faults strike the service that it leads to; who stands in has its own. */
static void test_faults_of_both(void **state)
{
    struct stage *s = stage_new(
        &(struct stage_conf){.route = "faults: [{ abort: 503 }]",
                             .service = OTHER("", ", faults: [{ delay: 100ms, header: X-Late }]")});
    struct peer *client = stage_client(s), *up;
    const struct stage_record *record;

    (void)state;
    peer_send(client, GET_A);
    up = other_is_asked(s, GOT_A);
    peer_send(up, NO_CONTENT);
    peer_expect_head(client);
    record = stage_record(s, 204, NR_REASON_UPSTREAM_ERROR);
    expect_attempts(record, 2, 1);
    assert_int_equal(record->r.attempts[1].fault, NR_ATTEMPT_ABORTED);
    assert_int_equal(record->r.attempts[2].fault, NR_ATTEMPT_NO_FAULT);
    assert_false(record->r.attempts[2].late);
    peer_send(client, "GET /a HTTP/1.1\r\nHost: a\r\nX-Late: 1\r\n\r\n");
    peer_expect_head(up);
    peer_send(up, NO_CONTENT);
    peer_expect_head(client);
    record = stage_record(s, 204, NR_REASON_UPSTREAM_ERROR);
    assert_true(record->r.attempts[2].late);
    stage_done(s);
}

/* ---- by hand ---- */

static void say(struct stage *s, uint32_t service, enum nr_said said)
{
    struct nr_err err = {0};

    assert_int_equal(nr_gateway_fallback_force(s->gateway, service, said, &err), NR_OK);
}

/* The service is well and not asked; then it is ill, and the other one is not asked. */
static void test_by_hand(void **state)
{
    struct stage *s = stage_of(OTHER("", ", fallback: { status: 203, body: instead }"));
    struct peer *client = stage_client(s), *up;
    const struct stage_record *record;

    (void)state;
    say(s, 0, NR_SAID_YES);
    peer_send(client, GET_A);
    up = other_is_asked(s, GOT_A);
    peer_send(up, NO_CONTENT);
    peer_expect(client, "HTTP/1.1 204 No Content\r\nX-Naru-Fallback: by_hand\r\n");
    peer_expect_head(client);
    record = stage_record(s, 204, NR_REASON_NONE);
    expect_attempts(record, 0, 1);
    assert_int_equal(record->r.flags, STOOD_IN | NR_RECORD_BY_HAND);
    say(s, 1, NR_SAID_YES); /* both: neither is asked */
    peer_send(client, GET_A);
    peer_expect(client, "HTTP/1.1 203 *\r\n*\r\nX-Naru-Fallback: by_hand\r\n");
    peer_expect_head(client);
    peer_expect(client, "instead");
    record = stage_record(s, 203, NR_REASON_NONE);
    assert_int_equal(record->r.attempt_count, 0);
    assert_int_equal(record->r.fallbacks[0], 2);
    say(s, 0, NR_SAID_NO);
    stage_refuse(s, 0);
    peer_send(client, GET_A);
    expect_problem(client, "502 Bad Gateway", "connect_refused");
    record = stage_record(s, 502, NR_REASON_CONNECT_REFUSED);
    expect_attempts(record, 2, 0);
    say(s, 0, NR_SAID_NOTHING); /* the other one's is still on */
    peer_send(client, GET_A);
    peer_expect(client, "HTTP/1.1 203 *\r\n*\r\nX-Naru-Fallback: connect_refused\r\n");
    peer_expect_head(client);
    peer_expect(client, "instead");
    record = stage_record(s, 203, NR_REASON_CONNECT_REFUSED);
    assert_int_equal(record->r.attempt_count, 2);
    stage_done(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_another_answers),
        cmocka_unit_test(test_another_answers_with_an_error),
        cmocka_unit_test(test_an_open_circuit),
        cmocka_unit_test(test_a_body_goes_along),
        cmocka_unit_test(test_another_is_busy),
        cmocka_unit_test(test_another_is_sticky),
        cmocka_unit_test(test_a_tunnel_to_another),
        cmocka_unit_test(test_what_may_have_been_done),
        cmocka_unit_test(test_a_body_that_is_gone),
        cmocka_unit_test(test_the_first_reason_stands),
        cmocka_unit_test(test_its_own_answer_is_left),
        cmocka_unit_test(test_a_chain),
        cmocka_unit_test(test_one_deadline),
        cmocka_unit_test(test_the_client_leaves),
        cmocka_unit_test(test_faults_of_both),
        cmocka_unit_test(test_by_hand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
