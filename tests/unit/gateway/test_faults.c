/* SPDX-License-Identifier: Apache-2.0 */
/* Faults on purpose that strike attempts, through the whole gateway in virtual time: clients,
 * retries, breakers and fallbacks meet them as they would meet a bad instance, and the record tells
 * the difference. */
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

static void expect_attempt(const struct stage_record *record, uint32_t index,
                           enum nr_attempt_result result, uint16_t status,
                           enum nr_attempt_fault fault)
{
    const struct nr_record_attempt *attempt = &record->r.attempts[index];

    assert_int_equal(attempt->result, result);
    assert_int_equal(attempt->status, status);
    assert_int_equal(attempt->fault, fault);
}

static uint64_t struck(const struct stage *s, enum nr_fault_kind kind)
{
    struct nr_gateway_guards guards;

    nr_gateway_guards(s->gateway, &guards);
    assert_true(guards.faults);
    return guards.struck[kind];
}

/* ---- abort ---- */

/* Two of two attempts: nobody is asked, and the last word is naru's own. */
static void test_an_abort_is_an_answer(void **state)
{
    struct stage *s =
        stage_new(&(struct stage_conf){.instances = 2, .route = "faults: [{ abort: 503 }]"});
    struct peer *client = stage_client(s);
    const struct stage_record *record;

    (void)state;
    send_get(client, "");
    expect_problem(client, "503 Service Unavailable", "fault_abort");
    record = stage_record(s, 503, NR_REASON_FAULT_ABORT);
    assert_int_equal(record->r.attempt_count, 2);
    assert_int_equal(record->r.flags, NR_RECORD_FAULT_ATTEMPT | NR_RECORD_RETRY_SPENT);
    expect_attempt(record, 0, NR_ATTEMPT_ANSWERED, 503, NR_ATTEMPT_ABORTED);
    expect_attempt(record, 1, NR_ATTEMPT_ANSWERED, 503, NR_ATTEMPT_ABORTED);
    assert_true(record->r.attempts[0].instance != record->r.attempts[1].instance);
    assert_int_equal(s->instances[0].accepted + s->instances[1].accepted, 0);
    assert_int_equal(struck(s, NR_FAULT_ABORT), 2);
    stage_done(s);
}

/* A status that nobody repeats is passed on at once; a fallback is for what would be repeated. */
static void test_an_abort_that_is_not_repeated(void **state)
{
    struct stage *s =
        stage_new(&(struct stage_conf){.route = "faults: [{ abort: 418 }]",
                                       .service = "fallback: { status: 200, body: instead }"});
    struct peer *client = stage_client(s);
    const struct stage_record *record;

    (void)state;
    send_get(client, "");
    peer_expect(client, "HTTP/1.1 418 *\r\n");
    peer_expect_head(client);
    peer_expect(client, "{*\"status\":418,*\"reason\":\"fault_abort\"*}\n");
    record = stage_record(s, 418, NR_REASON_FAULT_ABORT);
    assert_int_equal(record->r.attempt_count, 1);
    expect_attempt(record, 0, NR_ATTEMPT_ANSWERED, 418, NR_ATTEMPT_ABORTED);
    stage_done(s);
}

static void test_a_fallback_answers_for_an_abort(void **state)
{
    struct stage *s =
        stage_new(&(struct stage_conf){.service = "faults: [{ abort: 503 }], "
                                                  "fallback: { status: 200, body: instead }"});
    struct peer *client = stage_client(s);

    (void)state;
    send_get(client, "");
    peer_expect(client, "HTTP/1.1 200 OK\r\n*\r\nX-Naru-Fallback: upstream_error\r\n");
    peer_expect_head(client);
    peer_expect(client, "instead");
    stage_record(s, 200, NR_REASON_UPSTREAM_ERROR);
    stage_done(s);
}

/* The body waits for the instance that takes it: none of it is lost on a fault. */
static void test_a_body_survives_faults(void **state)
{
    struct stage *s = stage_new(
        &(struct stage_conf){.service = "retry: { attempts: 3, backoff: { base: 1ms, max: 1ms } }",
                             .route = "faults: [{ reset: true, header: \"X-Request-Attempt\" }, "
                                      "{ abort: 503, percent: 60% }]",
                             .seed = 5});
    struct peer *client = stage_client(s), *up = NULL;
    uint32_t repeated = 0;

    (void)state;
    for (int i = 0; i < 12; i++) {
        const struct stage_record *record;

        peer_send(client, "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n");
        peer_send_pattern(client, 70000);
        stage_wait_ms(s, 200);
        if (s->record_count > s->record_taken) { /* all three were struck */
            stage_record(s, 503, NR_REASON_FAULT_ABORT);
            peer_expect_fin(client);
            client = stage_client(s);
            continue;
        }
        if (up == NULL)
            up = stage_upstream(s);
        peer_expect_head(up);
        peer_expect_pattern(up, 70000);
        peer_send(up, NO_CONTENT);
        peer_expect_head(client);
        record = stage_record(s, 204, NR_REASON_NONE);
        repeated += record->r.attempt_count > 1;
        client->pattern_out = 0;
        peer_close(client);
        client = stage_client(s);
        up->pattern_in = 0;
    }
    assert_true(repeated > 2);
    stage_done(s);
}

/* ---- reset ---- */

static void test_a_reset_is_a_broken_connection(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){.route = "faults: [{ reset: true }]",
                                                     .service = "retry: { attempts: 1 }"});
    struct peer *client = stage_client(s);
    const struct stage_record *record;

    (void)state;
    send_get(client, "");
    expect_problem(client, "502 Bad Gateway", "upstream_reset");
    record = stage_record(s, 502, NR_REASON_UPSTREAM_RESET);
    expect_attempt(record, 0, NR_ATTEMPT_RESET, 0, NR_ATTEMPT_BROKEN);
    stage_done(s);
}

/* As with a real one, nobody knows whether the instance has acted on it. */
static void test_a_reset_is_not_safe_to_repeat(void **state)
{
    struct stage *s = stage_new(
        &(struct stage_conf){.instances = 2, .route = "faults: [{ reset: true, percent: 99% }]"});
    struct peer *client = stage_client(s);
    const struct stage_record *record;

    (void)state;
    peer_send(client, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    expect_problem(client, "502 Bad Gateway", "upstream_reset");
    record = stage_record(s, 502, NR_REASON_UPSTREAM_RESET);
    assert_int_equal(record->r.attempt_count, 1);
    assert_int_equal(record->r.flags, NR_RECORD_FAULT_ATTEMPT | NR_RECORD_RETRY_UNSAFE);
    stage_done(s);
}

/* ---- delay ---- */

static void test_a_delay_is_a_late_answer(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){.route = "faults: [{ delay: 300ms }]"});
    struct peer *client = stage_client(s), *up;
    const struct stage_record *record;
    uint64_t asked_ns = stage_now_ns(s) + STAGE_MS;

    (void)state;
    peer_send(client, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    up = stage_upstream(s);
    peer_expect_head(up);
    peer_expect(up, "hi");
    expect_after(up->at_ns - 3 * STAGE_MS, asked_ns, 300);
    peer_send(up, NO_CONTENT);
    peer_expect_head(client);
    record = stage_record(s, 204, NR_REASON_NONE);
    assert_int_equal(record->r.flags, NR_RECORD_FAULT_ATTEMPT);
    assert_true(record->r.attempts[0].late);
    assert_in_range(record->r.attempts[0].took_us, 304000, 306000);
    assert_int_equal(record->r.queue_us, 0);
    stage_done(s);
}

/* It spends the attempt's time, and the second attempt may be luckier. */
static void test_a_delay_against_the_attempt(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){
        .instances = 2,
        .service = "timeouts: { attempt: 100ms }, retry: { attempts: 2, on: [timeout] }",
        .route = "faults: [{ delay: 2s }]"});
    struct peer *client = stage_client(s);
    const struct stage_record *record;
    uint64_t asked_ns = stage_now_ns(s) + STAGE_MS;

    (void)state;
    send_get(client, "");
    expect_problem(client, "504 Gateway Timeout", "attempt_timeout");
    expect_after(client->at_ns - STAGE_MS, asked_ns, 200);
    record = stage_record(s, 504, NR_REASON_ATTEMPT_TIMEOUT);
    assert_int_equal(record->r.attempt_count, 2);
    expect_attempt(record, 1, NR_ATTEMPT_TIMEOUT, 0, NR_ATTEMPT_NO_FAULT);
    assert_true(record->r.attempts[1].late);
    stage_done(s);
}

static void test_a_delay_against_the_deadline(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){
        .gateway = "deadline: 300ms",
        .route = "faults: [{ delay: 200ms }, { delay: 200ms }, { abort: 500 }]"});
    struct peer *client = stage_client(s);
    uint64_t asked_ns = stage_now_ns(s) + STAGE_MS;

    (void)state;
    send_get(client, "");
    expect_problem(client, "504 Gateway Timeout", "deadline");
    expect_after(client->at_ns - STAGE_MS, asked_ns, 300);
    stage_record(s, 504, NR_REASON_DEADLINE);
    stage_done(s);
}

/* Delays add up, and the abort comes behind them. */
static void test_a_late_abort(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){
        .service = "faults: [{ delay: 200ms }, { delay: 200ms }, { abort: 500 }]"});
    struct peer *client = stage_client(s);
    const struct stage_record *record;
    uint64_t asked_ns = stage_now_ns(s) + STAGE_MS;

    (void)state;
    send_get(client, "");
    expect_problem(client, "500 Internal Server Error", "fault_abort");
    expect_after(client->at_ns - STAGE_MS, asked_ns, 400);
    record = stage_record(s, 500, NR_REASON_FAULT_ABORT);
    expect_attempt(record, 0, NR_ATTEMPT_ANSWERED, 500, NR_ATTEMPT_ABORTED);
    assert_true(record->r.attempts[0].late);
    stage_done(s);
}

static void test_leaving_a_delay(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){.route = "faults: [{ delay: 2s }]"});
    struct peer *client = stage_client(s);
    const struct stage_record *record;

    (void)state;
    send_get(client, "");
    stage_wait_ms(s, 100);
    peer_reset(client);
    record = stage_record(s, 499, NR_REASON_CLIENT_CLOSED);
    expect_attempt(record, 0, NR_ATTEMPT_CANCELED, 0, NR_ATTEMPT_NO_FAULT);
    stage_done(s);
}

/* ---- bandwidth ---- */

static void test_bandwidth(void **state)
{
    struct stage *s =
        stage_new(&(struct stage_conf){.service = "faults: [{ bandwidth: 1000B/s }]"});
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
    assert_int_equal(record->r.flags, NR_RECORD_FAULT_SLOW);
    assert_int_equal(struck(s, NR_FAULT_BANDWIDTH), 1);
    stage_done(s);
}

/* ---- who is struck ---- */

/* The client's header decides, also when the route takes it away before the service sees it. */
static void test_a_header_that_is_not_passed_on(void **state)
{
    struct stage *s = stage_new(
        &(struct stage_conf){.route = "request: { headers: { remove: [X-Chaos] } }, "
                                      "faults: [{ abort: 500, header: \"X-Chaos: yes\" }]"});
    struct peer *client = stage_client(s), *up;

    (void)state;
    send_get(client, "X-Chaos: yes\r\n");
    expect_problem(client, "500 Internal Server Error", "fault_abort");
    stage_record(s, 500, NR_REASON_FAULT_ABORT);
    send_get(client, "X-Chaos: no\r\n");
    up = stage_upstream(s);
    peer_expect(up, GOT_A);
    peer_send(up, NO_CONTENT);
    peer_expect_head(client);
    assert_int_equal(stage_record(s, 204, NR_REASON_NONE)->r.flags, 0);
    stage_done(s);
}

/* ---- what policies see ---- */

/* A tenth of the attempts fails; retries bring the failures down to nearly a hundredth. */
static void test_retries_heal(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){
        .service = "retry: { attempts: 3, budget: { ratio: 100%, min: 100/s }, "
                   "backoff: { base: 1ms, max: 1ms } }",
        .route = "faults: [{ abort: 503, percent: 10% }]"});
    struct peer *client = stage_client(s), *up = NULL;
    uint32_t repeated = 0, failed = 0;

    (void)state;
    for (int i = 0; i < 300; i++) {
        send_get(client, "");
        stage_wait_ms(s, 20);
        if (s->record_count > s->record_taken) {
            expect_problem(client, "503 Service Unavailable", "fault_abort");
            stage_record(s, 503, NR_REASON_FAULT_ABORT);
            failed++;
            continue;
        }
        if (up == NULL)
            up = stage_upstream(s);
        peer_expect_head(up);
        peer_send(up, NO_CONTENT);
        peer_expect_head(client);
        repeated += stage_record(s, 204, NR_REASON_NONE)->r.attempt_count > 1;
    }
    assert_in_range(repeated, 15, 50);
    assert_in_range(failed, 0, 2);
    stage_done(s);
}

/* 50 % of ten calls: it opens, and then refuses without an attempt. */
static void test_the_breaker_opens(void **state)
{
    struct stage *s =
        stage_new(&(struct stage_conf){.service = "retry: { attempts: 1 }, breaker: { jitter: 0% }",
                                       .route = "faults: [{ abort: 500, header: X-Chaos }]"});
    struct peer *client = stage_client(s), *up = NULL;

    (void)state;
    for (int i = 0; i < 5; i++) {
        send_get(client, "");
        if (up == NULL)
            up = stage_upstream(s);
        peer_expect_head(up);
        peer_send(up, NO_CONTENT);
        peer_expect_head(client);
        stage_record(s, 204, NR_REASON_NONE);
    }
    for (int i = 0; i < 5; i++) {
        send_get(client, "X-Chaos: x\r\n");
        expect_problem(client, "500 Internal Server Error", "fault_abort");
        stage_record(s, 500, NR_REASON_FAULT_ABORT);
    }
    send_get(client, "");
    expect_problem(client, "503 Service Unavailable", "circuit_open");
    assert_int_equal(stage_record(s, 503, NR_REASON_CIRCUIT_OPEN)->r.attempt_count, 0);
    stage_wait_ms(s, 30000); /* then probes find a sound instance */
    for (int i = 0; i < 4; i++) {
        send_get(client, "");
        peer_expect_head(up);
        peer_send(up, NO_CONTENT);
        peer_expect_head(client);
        assert_int_equal(stage_record(s, 204, NR_REASON_NONE)->r.flags,
                         i < 3 ? NR_RECORD_PROBE : 0);
    }
    stage_done(s);
}

/* Late answers are good answers, but four fifths of them are too slow. */
static void test_slowness_opens(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){
        .service = "breaker: { slow: 100ms, jitter: 0% }", .route = "faults: [{ delay: 150ms }]"});
    struct peer *client = stage_client(s), *up = NULL;

    (void)state;
    for (int i = 0; i < 5; i++) {
        send_get(client, "");
        if (up == NULL)
            up = stage_upstream(s);
        peer_expect_head(up);
        peer_send(up, NO_CONTENT);
        peer_expect_head(client);
        stage_record(s, 204, NR_REASON_NONE);
    }
    send_get(client, "");
    expect_problem(client, "503 Service Unavailable", "circuit_open");
    stage_record(s, 503, NR_REASON_CIRCUIT_OPEN);
    stage_done(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_abort_is_an_answer),
        cmocka_unit_test(test_an_abort_that_is_not_repeated),
        cmocka_unit_test(test_a_fallback_answers_for_an_abort),
        cmocka_unit_test(test_a_body_survives_faults),
        cmocka_unit_test(test_a_reset_is_a_broken_connection),
        cmocka_unit_test(test_a_reset_is_not_safe_to_repeat),
        cmocka_unit_test(test_a_delay_is_a_late_answer),
        cmocka_unit_test(test_a_delay_against_the_attempt),
        cmocka_unit_test(test_a_delay_against_the_deadline),
        cmocka_unit_test(test_a_late_abort),
        cmocka_unit_test(test_leaving_a_delay),
        cmocka_unit_test(test_bandwidth),
        cmocka_unit_test(test_a_header_that_is_not_passed_on),
        cmocka_unit_test(test_retries_heal),
        cmocka_unit_test(test_the_breaker_opens),
        cmocka_unit_test(test_slowness_opens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
