/* SPDX-License-Identifier: Apache-2.0 */
/* Services that are gone, broken, slow or hostile: what the client gets and when, which instance
 * is asked, what is left of it afterwards, and what the record says. Every link takes 1 ms, so a
 * connection takes 2 and a request is there after 3. */
#include "stage.h"

static void expect_problem(struct peer *client, const char *line, const char *reason)
{
    char text[256];

    peer_expect(client, line);
    peer_expect_head(client);
    snprintf(text, sizeof(text), "{*\"reason\":\"%s\",\"request_id\":\"*\"}\n", reason);
    peer_expect(client, text);
}

static void expect_attempt(const struct stage_record *record, uint32_t index, uint32_t instance,
                           enum nr_attempt_result result, uint16_t status)
{
    assert_int_equal(record->r.attempts[index].instance, instance);
    assert_int_equal(record->r.attempts[index].result, result);
    assert_int_equal(record->r.attempts[index].status, status);
}

/* ---- no connection ---- */

static void test_all_refuse(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){.instances = 2});
    struct peer *client = stage_client(s);
    const struct stage_record *record;

    (void)state;
    stage_refuse(s, 0);
    stage_refuse(s, 1);
    peer_send(client, GET_A);
    expect_problem(client, "HTTP/1.1 502 Bad Gateway\r\n", "connect_refused");
    record = stage_record(s, 502, NR_REASON_CONNECT_REFUSED);
    assert_int_equal(record->r.attempt_count, 2);
    assert_int_equal(record->r.flags, NR_RECORD_RETRY_SPENT);
    expect_attempt(record, 0, 0, NR_ATTEMPT_CONNECT_REFUSED, 0);
    expect_attempt(record, 1, 1, NR_ATTEMPT_CONNECT_REFUSED, 0);
    expect_after(record->r.total_us * STAGE_US, 0, 4);
    peer_expect_silence(client, 10); /* the client's connection is not to blame */
    stage_done(s);
}

/* Nothing was sent, so even a POST may go elsewhere. */
static void test_one_refuses(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){.instances = 2});
    struct peer *client = stage_client(s), *up;
    const struct stage_record *record;

    (void)state;
    stage_refuse(s, 0);
    peer_send(client, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    up = stage_upstream(s);
    assert_int_equal(up->instance, 1);
    peer_expect(up, "POST /a HTTP/1.1\r\nHost: a\r\n" ADDED
                    "X-Request-Attempt: 2\r\nContent-Length: 2\r\n\r\nhi");
    peer_send(up, "HTTP/1.1 204 No Content\r\n\r\n");
    peer_expect(client, "HTTP/1.1 204 No Content\r\n" STAMPED "\r\n");
    record = stage_record(s, 204, NR_REASON_NONE);
    assert_int_equal(record->r.attempt_count, 2);
    expect_attempt(record, 0, 0, NR_ATTEMPT_CONNECT_REFUSED, 0);
    expect_attempt(record, 1, 1, NR_ATTEMPT_ANSWERED, 204);
    stage_done(s);
}

static void test_a_silent_host(void **state)
{
    struct stage *s = stage_new(
        &(struct stage_conf){.service = "timeouts: { connect: 300ms }, retry: { attempts: 1 }"});
    struct peer *client = stage_client(s);
    const struct stage_record *record;
    uint64_t asked_ns = stage_now_ns(s) + STAGE_MS;

    (void)state;
    stage_silence(s, 0, true);
    peer_send(client, GET_A);
    expect_problem(client, "HTTP/1.1 504 Gateway Timeout\r\n", "connect_timeout");
    expect_after(client->at_ns - STAGE_MS, asked_ns, 300);
    record = stage_record(s, 504, NR_REASON_CONNECT_TIMEOUT);
    expect_attempt(record, 0, 0, NR_ATTEMPT_CONNECT_TIMEOUT, 0);
    stage_silence(s, 0, false);
    stage_done(s);
}

/* ---- answers that are none ---- */

struct bad_answer {
    const char *story;
    const char *bytes; /* then FIN, unless `open` */
    bool open;
    void (*leave)(struct peer *p);
    enum nr_reason reason;
    enum nr_attempt_result result;
};

static const struct bad_answer bad_answers[] = {
    {"closes without a word", "", false, peer_fin, NR_REASON_UPSTREAM_CLOSED, NR_ATTEMPT_CLOSED},
    {"resets without a word", "", false, peer_reset, NR_REASON_UPSTREAM_RESET, NR_ATTEMPT_RESET},
    {"closes within the head", "HTTP/1.1 200 OK\r\nConte", false, peer_fin,
     NR_REASON_UPSTREAM_CLOSED, NR_ATTEMPT_CLOSED},
    {"closes behind an interim head", "HTTP/1.1 102 Processing\r\n\r\n", false, peer_fin,
     NR_REASON_UPSTREAM_CLOSED, NR_ATTEMPT_CLOSED},
    {"garbage", "SSH-2.0-OpenSSH\r\n\r\n", true, NULL, NR_REASON_UPSTREAM_PROTOCOL,
     NR_ATTEMPT_PROTOCOL},
    {"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", true,
     NULL, NR_REASON_UPSTREAM_PROTOCOL, NR_ATTEMPT_PROTOCOL},
    {"length and chunks",
     "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true,
     NULL, NR_REASON_UPSTREAM_PROTOCOL, NR_ATTEMPT_PROTOCOL},
    {"bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 1\n\nx", true, NULL,
     NR_REASON_UPSTREAM_PROTOCOL, NR_ATTEMPT_PROTOCOL},
    {"a status of two digits", "HTTP/1.1 20 OK\r\n\r\n", true, NULL, NR_REASON_UPSTREAM_PROTOCOL,
     NR_ATTEMPT_PROTOCOL},
    {"another version", "HTTP/2.0 200 OK\r\n\r\n", true, NULL, NR_REASON_UPSTREAM_PROTOCOL,
     NR_ATTEMPT_PROTOCOL},
    {"a switch that nobody asked for",
     "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n", true, NULL,
     NR_REASON_UPSTREAM_PROTOCOL, NR_ATTEMPT_PROTOCOL},
};

/* The client gets 502 and keeps its connection; the service's is gone, whatever it was. */
static void test_answers_that_are_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad_answers) / sizeof(bad_answers[0]); i++) {
        const struct bad_answer *bad = &bad_answers[i];
        struct stage *s = stage_new(&(struct stage_conf){.service = "retry: { attempts: 1 }"});
        struct peer *client = stage_client(s), *up;
        const struct stage_record *record;

        print_message("# %s\n", bad->story);
        peer_send(client, GET_A);
        up = stage_upstream(s);
        peer_expect(up, GOT_A);
        peer_send(up, bad->bytes);
        if (!bad->open)
            bad->leave(up);
        if (strstr(bad->bytes, "102") != NULL)
            peer_expect(client, "HTTP/1.1 102 Processing\r\n\r\n");
        expect_problem(client, "HTTP/1.1 502 Bad Gateway\r\n", nr_reason_name(bad->reason));
        if (bad->open)
            peer_expect_reset(up);
        record = stage_record(s, 502, bad->reason);
        assert_int_equal(record->r.attempt_count, 1);
        expect_attempt(record, 0, 0, bad->result, 0);
        peer_expect_silence(client, 20);
        assert_int_equal(stage_connections(s, 0), 0);
        stage_done(s);
    }
}

static void test_a_head_without_end(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){.service = "retry: { attempts: 1 }"});
    struct peer *client = stage_client(s), *up;

    (void)state;
    peer_send(client, GET_A);
    up = stage_upstream(s);
    peer_send(up, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 1000; i++)
        peer_send(up, "X-Filler: 0123456789012345678901234567890123456789012345678901234567\r\n");
    expect_problem(client, "HTTP/1.1 502 Bad Gateway\r\n", "upstream_protocol");
    stage_record(s, 502, NR_REASON_UPSTREAM_PROTOCOL);
    assert_in_range((uint64_t)s->bufs_peak * NR_BUF_LARGE_BYTES, 1, 1 << 20);
    stage_done(s);
}

/* ---- answers that break off ---- */

static const struct bad_answer truncations[] = {
    {"too few bytes, FIN", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", false, peer_fin, 0,
     0},
    {"too few bytes, RST", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", false, peer_reset,
     0, 0},
    {"no last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", false,
     peer_fin, 0, 0},
    {"within a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello", false,
     peer_fin, 0, 0},
    {"a chunk that is none", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
     true, NULL, 0, 0},
    {"until close, but RST", "HTTP/1.1 200 OK\r\n\r\nhello", false, peer_reset, 0, 0},
};

/* The head has gone out, so the break is passed on as a break: RFC 9112, 8. */
static void test_answers_that_break_off(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(truncations) / sizeof(truncations[0]); i++) {
        const struct bad_answer *bad = &truncations[i];
        struct stage *s = stage_new(&(struct stage_conf){0});
        struct peer *client = stage_client(s), *up;
        const struct stage_record *record;

        print_message("# %s\n", bad->story);
        peer_send(client, GET_A);
        up = stage_upstream(s);
        peer_expect(up, GOT_A);
        peer_send(up, bad->bytes);
        stage_wait_ms(s, 5);
        peer_send(up, bad->open ? "zz\r\n" : "");
        if (!bad->open)
            bad->leave(up);
        peer_expect_head(client);
        while (client->end == PEER_OPEN)
            stage_wait_ms(s, 1);
        assert_int_equal(client->end, PEER_RESET);
        assert_true(client->in_len < 5 || strstr(client->in, "0\r\n\r\n") == NULL);
        record = stage_record(s, 200, NR_REASON_UPSTREAM_TRUNCATED);
        expect_attempt(record, 0, 0, NR_ATTEMPT_ANSWERED, 200);
        assert_true(record->r.flags & NR_RECORD_RETRY_COMMITTED);
        assert_int_equal(record->r.sent_bytes, 5);
        stage_done(s);
    }
}

/* Too much: what follows an answer belongs to nobody, least of all to the next request. */
static void test_surplus_is_never_an_answer(void **state)
{
    static const char mine[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine";
    static const char more[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother";

    (void)state;
    for (int together = 0; together < 2; together++) {
        struct stage *s = stage_new(&(struct stage_conf){0});
        struct peer *client = stage_client(s), *up;

        for (int i = 0; i < 2; i++) {
            peer_send(client, GET_A);
            up = stage_upstream(s);
            peer_expect(up, GOT_A);
            peer_send(up, mine);
            if (together)
                peer_send(up, more);
            peer_expect(client, "HTTP/1.1 200 OK\r\n" STAMPED "Content-Length: 4\r\n\r\nmine");
            if (!together)
                peer_send(up, more); /* while it idles in the pool */
            while (up->end == PEER_OPEN)
                stage_wait_ms(s, 1);
            peer_expect_silence(client, 10);
            stage_record(s, 200, NR_REASON_NONE);
        }
        stage_done(s);
    }
}

/* ---- slow services ---- */

/* P1: 504 at the deadline, counted from the request's first byte, and nothing upstream remains. */
static void test_the_deadline(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){.gateway = "deadline: 700ms", .instances = 3});
    struct peer *client = stage_client(s), *up;
    const struct stage_record *record;
    uint64_t asked_ns = stage_now_ns(s) + STAGE_MS;

    (void)state;
    peer_send(client, GET_A);
    up = stage_upstream(s);
    peer_expect(up, GOT_A);
    expect_problem(client, "HTTP/1.1 504 Gateway Timeout\r\n", "deadline");
    expect_after(client->at_ns - STAGE_MS, asked_ns, 700);
    peer_expect_reset(up);
    expect_after(up->end_ns - STAGE_MS, asked_ns, 700);
    record = stage_record(s, 504, NR_REASON_DEADLINE);
    expect_after(record->r.total_us * STAGE_US, 0, 700);
    assert_int_equal(record->r.deadline_ms, 700);
    assert_int_equal(record->r.flags, NR_RECORD_RETRY_NO_TIME);
    expect_attempt(record, 0, 0, NR_ATTEMPT_TIMEOUT, 0);
    stage_wait_ms(s, 10);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(stage_connections(s, i), 0);
    assert_int_equal(s->instances[1].accepted + s->instances[2].accepted, 0);
    peer_expect_silence(client, 10);
    stage_done(s);
}

/* The time is up within the answer: it breaks off. */
static void test_the_deadline_within_the_answer(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){.gateway = "deadline: 700ms"});
    struct peer *client = stage_client(s), *up;
    uint64_t asked_ns = stage_now_ns(s) + STAGE_MS;

    (void)state;
    peer_send(client, GET_A);
    up = stage_upstream(s);
    peer_expect(up, GOT_A);
    peer_send(up, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    peer_expect(client, "HTTP/1.1 200 OK\r\n" STAMPED "Content-Length: 10\r\n\r\nhello");
    peer_expect_reset(client);
    expect_after(client->end_ns - STAGE_MS, asked_ns, 700);
    peer_expect_reset(up);
    stage_record(s, 200, NR_REASON_DEADLINE);
    stage_done(s);
}

/* The last attempt had its time: a 504 of its own name. On `timeout` another instance is asked. */
static void test_attempts_have_their_time(void **state)
{
    struct stage *s = stage_new(
        &(struct stage_conf){.gateway = "deadline: 10s",
                             .instances = 2,
                             .service = "timeouts: { attempt: 400ms }, retry: { on: [timeout] }"});
    struct peer *client = stage_client(s), *first, *second;
    const struct stage_record *record;
    uint64_t asked_ns = stage_now_ns(s) + STAGE_MS;

    (void)state;
    peer_send(client, GET_A);
    first = stage_upstream(s);
    peer_expect(first, GOT_A);
    peer_expect_reset(first);
    expect_after(first->end_ns - STAGE_MS, asked_ns, 400);
    second = stage_upstream(s);
    peer_expect(second,
                "GET /a HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: *\r\nX-Forwarded-Proto: *\r\n"
                "X-Forwarded-Host: *\r\nX-Request-Id: *\r\nVia: *\r\n"
                "X-Request-Deadline: 9600\r\nX-Request-Attempt: 2\r\n\r\n");
    expect_problem(client, "HTTP/1.1 504 Gateway Timeout\r\n", "attempt_timeout");
    expect_after(client->at_ns - STAGE_MS, asked_ns, 800);
    peer_expect_reset(second);
    record = stage_record(s, 504, NR_REASON_ATTEMPT_TIMEOUT);
    assert_int_equal(record->r.attempt_count, 2);
    expect_attempt(record, 0, 0, NR_ATTEMPT_TIMEOUT, 0);
    expect_attempt(record, 1, 1, NR_ATTEMPT_TIMEOUT, 0);
    expect_after(record->r.attempts[0].took_us * STAGE_US, 0, 400);
    expect_after(record->r.attempts[1].start_us * STAGE_US, 0, 400);
    expect_after(record->r.upstream_us * STAGE_US, 0, 800);
    stage_done(s);
}

static void test_an_answer_that_stalls(void **state)
{
    struct stage *s = stage_new(
        &(struct stage_conf){.gateway = "deadline: 60s", .service = "timeouts: { idle: 500ms }"});
    struct peer *client = stage_client(s), *up;
    uint64_t last_ns;

    (void)state;
    peer_send(client, GET_A);
    up = stage_upstream(s);
    peer_expect(up, GOT_A);
    stage_wait_ms(s, 3000); /* for the head there is the deadline */
    peer_send(up, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhell");
    stage_wait_ms(s, 400);
    last_ns = stage_now_ns(s) + STAGE_MS;
    peer_send(up, "o");
    peer_expect(client, "HTTP/1.1 200 OK\r\n" STAMPED "Content-Length: 10\r\n\r\nhello");
    peer_expect_reset(client);
    expect_after(client->end_ns - STAGE_MS, last_ns, 500);
    peer_expect_reset(up);
    stage_record(s, 200, NR_REASON_UPSTREAM_TRUNCATED);
    stage_done(s);
}

/* ---- repetition ---- */

struct retry_case {
    const char *story;
    const char *request;
    const char *service;
    bool repeated;
    uint16_t flag; /* why not */
};

static const struct retry_case retries[] = {
    {"GET is repeated", GET_A, NULL, true, 0},
    {"PUT with its body", "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", NULL, true,
     0},
    {"DELETE", "DELETE /a HTTP/1.1\r\nHost: a\r\n\r\n", NULL, true, 0},
    {"POST may have been processed", "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
     NULL, false, NR_RECORD_RETRY_UNSAFE},
    {"POST where the service bears it",
     "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", "retry: { methods: [POST] }",
     true, 0},
    {"one attempt is one attempt", GET_A, "retry: { attempts: 1 }", false, NR_RECORD_RETRY_SPENT},
    {"not on this failure", GET_A, "retry: { on: [connect] }", false, 0},
};

static void test_a_reset_before_the_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(retries) / sizeof(retries[0]); i++) {
        const struct retry_case *c = &retries[i];
        struct stage *s = stage_new(&(struct stage_conf){.instances = 2, .service = c->service});
        struct peer *client = stage_client(s), *up;
        const struct stage_record *record;
        const char *body = strstr(c->request, "\r\n\r\n") + 4;

        print_message("# %s\n", c->story);
        peer_send(client, c->request);
        up = stage_upstream(s);
        peer_expect_head(up);
        peer_expect(up, body);
        peer_reset(up);
        if (c->repeated) {
            up = stage_upstream(s);
            assert_int_equal(up->instance, 1);
            peer_expect_head(up);
            peer_expect(up, body);
            peer_send(up, "HTTP/1.1 204 No Content\r\n\r\n");
            peer_expect(client, "HTTP/1.1 204 No Content\r\n" STAMPED "\r\n");
            record = stage_record(s, 204, NR_REASON_NONE);
            expect_attempt(record, 1, 1, NR_ATTEMPT_ANSWERED, 204);
        } else {
            expect_problem(client, "HTTP/1.1 502 Bad Gateway\r\n", "upstream_reset");
            record = stage_record(s, 502, NR_REASON_UPSTREAM_RESET);
            assert_int_equal(s->instances[1].accepted, 0);
        }
        assert_int_equal(record->r.flags, c->flag);
        assert_int_equal(record->r.attempt_count, c->repeated ? 2 : 1);
        expect_attempt(record, 0, 0, NR_ATTEMPT_RESET, 0);
        stage_done(s);
    }
}

/* 64 KiB are kept for a repetition; beyond it the record says why there was none. */
static void test_a_body_too_long_to_repeat(void **state)
{
    (void)state;
    for (int longer = 0; longer < 2; longer++) {
        struct stage *s = stage_new(&(struct stage_conf){.instances = 2});
        struct peer *client = stage_client(s), *up;
        const struct stage_record *record;
        uint64_t bytes = 65536 + (longer ? 1 : 0);
        char text[128];

        snprintf(text, sizeof(text), "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: %u\r\n\r\n",
                 (unsigned)bytes);
        peer_send(client, text);
        peer_send_pattern(client, bytes);
        up = stage_upstream(s);
        peer_expect_head(up);
        peer_expect_pattern(up, bytes);
        peer_reset(up);
        if (longer) {
            expect_problem(client, "HTTP/1.1 502 Bad Gateway\r\n", "upstream_reset");
            record = stage_record(s, 502, NR_REASON_UPSTREAM_RESET);
            assert_int_equal(record->r.flags, NR_RECORD_RETRY_NO_BODY);
        } else {
            up = stage_upstream(s);
            peer_expect_head(up);
            peer_expect_pattern(up, bytes);
            peer_send(up, "HTTP/1.1 204 No Content\r\n\r\n");
            peer_expect(client, "HTTP/1.1 204 No Content\r\n" STAMPED "\r\n");
            stage_record(s, 204, NR_REASON_NONE);
        }
        stage_done(s);
    }
}

/* The ledger of a plain request: 1 ms each way, so 2 to connect, 2 for question and answer. */
static void test_the_ledger(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){0});
    struct peer *client = stage_client(s), *up;
    const struct stage_record *record;

    (void)state;
    peer_send(client, "GET /a/%41?q=1 HTTP/1.1\r\nHost: a\r\n");
    stage_wait_ms(s, 30);
    peer_send(client, "User-Agent: curl/8\r\n\r\n");
    up = stage_upstream(s);
    peer_expect_head(up);
    stage_wait_ms(s, 50);
    peer_send(up, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    peer_expect_head(client);
    peer_expect(client, "ok");
    record = stage_record(s, 200, NR_REASON_NONE);
    assert_string_equal(record->path, "/a/A");
    assert_string_equal(record->method, "GET");
    assert_string_equal(record->host, "a");
    assert_string_equal(record->user_agent, "curl/8");
    assert_int_equal(strlen(record->request_id), 32);
    assert_int_equal(record->r.route, 0);
    assert_int_equal(record->r.service, 0);
    assert_int_equal(record->r.version, 11);
    expect_after(record->r.head_us * STAGE_US, 0, 30);
    assert_int_equal(record->r.queue_us, 0);
    expect_after(record->r.upstream_us * STAGE_US, 0, 54);
    expect_after(record->r.total_us * STAGE_US, 0, 84);
    assert_int_equal(record->r.attempts[0].start_us, record->r.head_us);
    assert_int_equal(record->r.attempts[0].took_us, record->r.upstream_us);
    stage_done(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_refuse),
        cmocka_unit_test(test_one_refuses),
        cmocka_unit_test(test_a_silent_host),
        cmocka_unit_test(test_answers_that_are_none),
        cmocka_unit_test(test_a_head_without_end),
        cmocka_unit_test(test_answers_that_break_off),
        cmocka_unit_test(test_surplus_is_never_an_answer),
        cmocka_unit_test(test_the_deadline),
        cmocka_unit_test(test_the_deadline_within_the_answer),
        cmocka_unit_test(test_attempts_have_their_time),
        cmocka_unit_test(test_an_answer_that_stalls),
        cmocka_unit_test(test_a_reset_before_the_answer),
        cmocka_unit_test(test_a_body_too_long_to_repeat),
        cmocka_unit_test(test_the_ledger),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
