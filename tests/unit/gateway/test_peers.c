/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that are slow, gone or broken, and what exactly becomes of them: which bytes they get, at
 * which moment, what their service sees, and what the record says. Every link takes 1 ms. */
#include "stage.h"

/* ---- slow heads ---- */

/* The first head of a connection counts from its opening, whatever trickles in: RFC 9110, 15.5.9
 * names the status. */
static void test_a_slow_head_gets_408_at_its_time(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){.listen = "limits: { header_timeout: 2s }"});
    struct peer *client = stage_client(s);
    const struct stage_record *record;
    uint64_t open_ns = stage_now_ns(s) + STAGE_MS; /* when its ACK is there */

    (void)state;
    stage_wait_ms(s, 500);
    peer_send(client, "GET / HTTP/1.1\r\n");
    for (int i = 0; i < 14; i++) {
        stage_wait_ms(s, 100);
        peer_send(client, "X: y\r\n");
    }
    peer_expect(client,
                "HTTP/1.1 408 Request Timeout\r\nContent-Type: application/problem+json\r\n"
                "Date: *\r\nX-Request-Id: *\r\nConnection: close\r\nContent-Length: *\r\n\r\n"
                "{*\"reason\":\"header_timeout\"*}\n");
    expect_after(client->at_ns - STAGE_MS, open_ns, 2000);
    peer_expect_fin(client);
    record = stage_record(s, 408, NR_REASON_HEADER_TIMEOUT);
    assert_int_equal(record->r.attempt_count, 0);
    assert_in_range(record->r.total_us, 1498000, 1500000); /* from its first byte */
    stage_done(s);
}

/* The head of a second request has its own time, and none of the first's. */
static void test_a_slow_second_head(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){.listen = "limits: { header_timeout: 2s }"});
    struct peer *client = stage_client(s), *up;
    uint64_t first_ns;

    (void)state;
    peer_send(client, GET_A);
    up = stage_upstream(s);
    peer_expect(up, GOT_A);
    peer_send(up, "HTTP/1.1 204 No Content\r\n\r\n");
    peer_expect(client, "HTTP/1.1 204 No Content\r\n" STAMPED "\r\n");
    stage_record(s, 204, NR_REASON_NONE);
    stage_wait_ms(s, 5000);
    peer_send(client, "G");
    first_ns = stage_now_ns(s) + STAGE_MS;
    peer_expect(client, "HTTP/1.1 408 Request Timeout\r\n");
    expect_after(client->at_ns - STAGE_MS, first_ns, 2000);
    peer_expect_head(client);
    peer_expect(client, "{*}\n");
    peer_expect_fin(client);
    stage_record(s, 408, NR_REASON_HEADER_TIMEOUT);
    stage_done(s);
}

/* Nothing was asked, so nothing is answered and nothing recorded. */
static void test_silence_is_closed_in_silence(void **state)
{
    struct stage *s = stage_new(
        &(struct stage_conf){.listen = "limits: { header_timeout: 2s, idle_timeout: 3s }"});
    struct peer *fresh = stage_client(s), *used = stage_client(s), *up;
    uint64_t since_ns = stage_now_ns(s);

    (void)state;
    peer_send(used, GET_A);
    up = stage_upstream(s);
    peer_expect(up, GOT_A);
    peer_send(up, "HTTP/1.1 204 No Content\r\n\r\n");
    peer_expect(used, "HTTP/1.1 204 No Content\r\n" STAMPED "\r\n");
    stage_record(s, 204, NR_REASON_NONE);
    peer_expect_fin(used);
    expect_after(used->end_ns - STAGE_MS, used->at_ns - STAGE_MS, 3000);
    peer_expect_fin(fresh);
    expect_after(fresh->end_ns, since_ns, 2000); /* no request at all: header_timeout */
    stage_done(s);
}

/* ---- slow bodies ---- */

static struct peer *half_a_body(struct stage *s, struct peer *client)
{
    struct peer *up;

    peer_send(client, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nfew");
    up = stage_upstream(s);
    peer_expect(
        up,
        "POST /a HTTP/1.1\r\n*\r\n*\r\n*\r\n*\r\n*\r\n*\r\n*\r\nContent-Length: 100\r\n\r\nfew");
    return up;
}

/* The time counts from the last byte; the service hears of it within the link's latency. */
static void test_a_slow_body_gets_408_and_its_service_a_reset(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){
        .gateway = "deadline: 60s", .listen = "limits: { body_timeout: 2s, min_rate: 1B/s }"});
    struct peer *client = stage_client(s), *up = half_a_body(s, client);
    const struct stage_record *record;
    uint64_t last_ns;

    (void)state;
    stage_wait_ms(s, 1500);
    peer_send(client, "er");
    last_ns = stage_now_ns(s) + STAGE_MS;
    peer_expect(up, "er");
    peer_expect(client, "HTTP/1.1 408 Request Timeout\r\n");
    expect_after(client->at_ns - STAGE_MS, last_ns, 2000);
    peer_expect_head(client);
    peer_expect(client, "{*\"reason\":\"body_timeout\",\"request_id\":\"*\"}\n");
    peer_expect_fin(client);
    peer_expect_reset(up);
    expect_after(up->end_ns - STAGE_MS, last_ns, 2000);
    record = stage_record(s, 408, NR_REASON_BODY_TIMEOUT);
    assert_int_equal(record->r.attempt_count, 1);
    assert_int_equal(record->r.attempts[0].result, NR_ATTEMPT_CANCELED);
    assert_int_equal(record->r.received_bytes, 5);
    stage_done(s);
}

/* Bytes keep coming, but fewer than min_rate: cut off once body_timeout has passed and the average
 * falls behind. 10 B/s are asked, 5 B/s come: behind at once, so at body_timeout plus what was
 * earned. */
static void test_a_body_below_the_least_rate(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){
        .gateway = "deadline: 60s", .listen = "limits: { body_timeout: 2s, min_rate: 10B/s }"});
    struct peer *client = stage_client(s), *up;
    uint64_t head_ns;

    (void)state;
    peer_send(client, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
    head_ns = stage_now_ns(s) + STAGE_MS;
    up = stage_upstream(s);
    for (int i = 0; i < 100 && client->end == PEER_OPEN && client->in_len == 0; i++) {
        peer_send(client, "x");
        stage_wait_ms(s, 200);
    }
    /* t = 2 s + bytes(t)/10, bytes(t) = 5t: t = 4 s, less the granularity of a byte */
    assert_in_range(client->at_ns - STAGE_MS - head_ns, 3800 * STAGE_MS, 4100 * STAGE_MS);
    peer_expect(client, "HTTP/1.1 408 Request Timeout\r\n");
    peer_expect_head(client);
    peer_expect(client, "{*\"reason\":\"body_timeout\",*}\n");
    peer_expect_head(up);
    while (up->end == PEER_OPEN)
        stage_wait_ms(s, 1);
    assert_int_equal(up->end, PEER_RESET);
    stage_record(s, 408, NR_REASON_BODY_TIMEOUT);
    stage_done(s);
}

/* Where the service is the one that does not read, the client is not to blame. */
static void test_a_service_that_does_not_read_is_no_fault_of_the_client(void **state)
{
    struct stage *s =
        stage_new(&(struct stage_conf){.gateway = "deadline: 60s",
                                       .listen = "limits: { body_timeout: 2s, min_rate: 1MiB/s }",
                                       .service = "timeouts: { write: 1m }"});
    struct peer *client = stage_client(s), *up;

    (void)state;
    peer_send(client, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n");
    peer_send_pattern(client, 500000);
    up = stage_upstream(s);
    peer_stop_reading(up);
    stage_wait_ms(s, 30000);
    peer_read_on(up);
    peer_expect_head(up);
    peer_expect_pattern(up, 500000);
    peer_send(up, "HTTP/1.1 204 No Content\r\n\r\n");
    peer_expect(client, "HTTP/1.1 204 No Content\r\n" STAMPED "\r\n");
    stage_record(s, 204, NR_REASON_NONE);
    stage_done(s);
}

/* ---- slow readers ---- */

static void test_a_reader_that_stalls_is_cut_off(void **state)
{
    struct stage *s = stage_new(
        &(struct stage_conf){.gateway = "deadline: 60s", .listen = "limits: { body_timeout: 3s }"});
    struct peer *client = stage_client(s), *up;
    const struct stage_record *record;
    uint64_t since_ns;

    (void)state;
    peer_send(client, GET_A);
    up = stage_upstream(s);
    peer_expect(up, GOT_A);
    peer_stop_reading(client);
    since_ns = stage_now_ns(s);
    peer_send(up, "HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n");
    peer_send_pattern(up, 10000000);
    record = stage_record(s, 200, NR_REASON_CLIENT_SLOW);
    assert_in_range(stage_now_ns(s) - since_ns, 3000 * STAGE_MS, 3010 * STAGE_MS);
    assert_in_range(record->r.sent_bytes, 1, 200000);
    since_ns = stage_now_ns(s);
    peer_expect_reset(up);
    expect_after(up->end_ns, since_ns, 1);
    peer_read_on(client);
    while (client->end == PEER_OPEN)
        stage_wait_ms(s, 1);
    assert_int_equal(client->end, PEER_RESET); /* a part must not look like the whole */
    stage_done(s);
}

/* A reader that takes a little now and then has progress, and keeps it. */
static void test_a_slow_reader_is_served(void **state)
{
    struct stage *s = stage_new(
        &(struct stage_conf){.gateway = "deadline: 10m", .listen = "limits: { body_timeout: 3s }"});
    struct peer *client = stage_client(s), *up;

    (void)state;
    peer_send(client, GET_A);
    up = stage_upstream(s);
    peer_expect(up, GOT_A);
    peer_send(up, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    peer_send_pattern(up, 1000000);
    peer_expect_head(client);
    peer_takes_pattern(client, 1000000);
    while (client->takes_pattern) {
        peer_stop_reading(client);
        stage_wait_ms(s, 2500);
        peer_read_on(client);
        stage_wait_ms(s, 3);
        assert_int_equal(client->end, PEER_OPEN);
    }
    stage_record(s, 200, NR_REASON_NONE);
    stage_done(s);
}

/* ---- clients that leave ---- */

struct leaving {
    const char *story;
    void (*leave)(struct peer *p);
    const char *listen;
};

static const struct leaving leavings[] = {
    {"closes", peer_close, NULL},
    {"resets", peer_reset, NULL},
    {"half-closes: for us it has left", peer_fin, NULL},
    {"resets, where half_close is allowed", peer_reset, "half_close: allow"},
};

/* The service learns of it as fast as light allows, from the client to us and from us to it. */
static void test_a_client_that_leaves_cancels(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(leavings) / sizeof(leavings[0]); i++) {
        struct stage *s = stage_new(&(struct stage_conf){.listen = leavings[i].listen});
        struct peer *client = stage_client(s), *up;
        const struct stage_record *record;
        uint64_t left_ns;

        print_message("# %s\n", leavings[i].story);
        peer_send(client, GET_A);
        up = stage_upstream(s);
        peer_expect(up, GOT_A);
        stage_wait_ms(s, 100);
        left_ns = stage_now_ns(s);
        leavings[i].leave(client);
        peer_expect_reset(up);
        expect_after(up->end_ns, left_ns, 2);
        record = stage_record(s, 499, NR_REASON_CLIENT_CLOSED);
        assert_int_equal(record->r.attempt_count, 1);
        assert_int_equal(record->r.attempts[0].result, NR_ATTEMPT_CANCELED);
        assert_int_equal(record->r.attempts[0].status, 0);
        /* 1 ms to connect and 1 ms back, 1 ms there; then 100 ms; then 1 ms to us */
        assert_in_range(record->r.total_us, 103000, 105000);
        stage_done(s);
    }
}

static void test_a_client_that_leaves_within_the_answer(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){0});
    struct peer *client = stage_client(s), *up;
    const struct stage_record *record;
    uint64_t left_ns;

    (void)state;
    peer_send(client, GET_A);
    up = stage_upstream(s);
    peer_expect(up, GOT_A);
    peer_send(up, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
    peer_expect(client, "HTTP/1.1 200 OK\r\n" STAMPED "Content-Length: 100\r\n\r\nhello");
    left_ns = stage_now_ns(s);
    peer_reset(client);
    peer_expect_reset(up);
    expect_after(up->end_ns, left_ns, 2);
    record = stage_record(s, 200, NR_REASON_CLIENT_CLOSED);
    assert_int_equal(record->r.sent_bytes, 5);
    assert_int_equal(record->r.attempts[0].result, NR_ATTEMPT_ANSWERED);
    assert_int_equal(record->r.attempts[0].status, 200);
    stage_done(s);
}

static void test_half_close_may_be_allowed(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){.listen = "half_close: allow"});
    struct peer *client = stage_client(s), *up;

    (void)state;
    peer_send(client, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    peer_fin(client);
    up = stage_upstream(s);
    peer_expect(up, "POST /a HTTP/1.1\r\nHost: a\r\n" ADDED "Content-Length: 2\r\n\r\nhi");
    peer_expect_silence(up, 500);
    peer_send(up, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    peer_expect(client,
                "HTTP/1.1 200 OK\r\n" STAMPED "Connection: close\r\nContent-Length: 2\r\n\r\nok");
    peer_expect_fin(client);
    stage_record(s, 200, NR_REASON_NONE);
    stage_done(s);
}

/* FIN within the body: half a request is none, whatever is allowed. */
static void test_a_body_that_breaks_off(void **state)
{
    static const char *const listens[] = {NULL, "half_close: allow"};

    (void)state;
    for (int i = 0; i < 4; i++) {
        struct stage *s = stage_new(&(struct stage_conf){.listen = listens[i % 2]});
        struct peer *client = stage_client(s), *up = half_a_body(s, client);
        uint64_t left_ns = stage_now_ns(s);

        (i < 2 ? peer_fin : peer_reset)(client);
        peer_expect_reset(up);
        expect_after(up->end_ns, left_ns, 2);
        stage_record(s, 499, NR_REASON_CLIENT_CLOSED);
        if (i < 2)
            peer_expect_reset(client);
        stage_done(s);
    }
}

/* Silence for ever is bounded by the deadline alone: a client that has vanished looks like one that
 * waits. */
static void test_a_client_that_vanishes(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){.gateway = "deadline: 2s"});
    struct peer *client = stage_client(s), *up;
    const struct stage_record *record;

    (void)state;
    peer_send(client, GET_A);
    up = stage_upstream(s);
    peer_expect(up, GOT_A);
    stage_silence_client(s, true);
    peer_expect_reset(up);
    record = stage_record(s, 504, NR_REASON_DEADLINE);
    expect_after(record->r.total_us * STAGE_US, 0, 2000);
    stage_wait_ms(s, 70000); /* idle_timeout */
    assert_int_equal(nr_gateway_worker_counts(s->worker).open, 0);
    stage_silence_client(s, false);
    stage_done(s);
}

/* ---- broken requests ---- */

static void test_a_malformed_body_is_refused_and_its_service_sees_no_end(void **state)
{
    static const char *const chunks[] = {
        "x\r\n",     "5;\n",     "-1\r\n",       "ffffffffffffffff1\r\n",
        "3\r\nabcX", "1\nx\r\n", " 3\r\nabc\r\n"};

    (void)state;
    for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
        struct stage *s = stage_new(&(struct stage_conf){0});
        struct peer *client = stage_client(s), *up;
        const struct stage_record *record;

        print_message("# %zu\n", i);
        peer_send(client, "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                          "2\r\nok\r\n");
        up = stage_upstream(s);
        peer_expect(up, "POST /a HTTP/1.1\r\nHost: a\r\n" ADDED
                        "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n");
        peer_send(client, chunks[i]);
        peer_expect(client, "HTTP/1.1 400 Bad Request\r\n");
        peer_expect_head(client);
        peer_expect(client, "{*}\n");
        peer_expect_fin(client);
        while (up->end == PEER_OPEN)
            stage_wait_ms(s, 1);
        assert_int_equal(up->end, PEER_RESET);
        assert_true(up->in_len == 0 || strstr(up->in, "0\r\n\r\n") == NULL);
        record = stage_record(s, 400, NR_REASON_BAD_REQUEST);
        assert_true(record->r.refusal != 0);
        stage_done(s);
    }
}

static void test_a_body_over_its_limit(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){.listen = "limits: { max_body: 1KiB }"});
    struct peer *announced = stage_client(s), *grown = stage_client(s), *up;

    (void)state;
    peer_send(announced, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\n\r\n");
    peer_expect(announced, "HTTP/1.1 413 Content Too Large\r\n");
    peer_expect_head(announced);
    peer_expect(announced, "{*\"reason\":\"body_too_large\"*}\n");
    stage_record(s, 413, NR_REASON_BODY_TOO_LARGE);
    assert_int_equal(s->instances[0].accepted, 0);
    peer_send(grown, "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n");
    peer_send_pattern(grown, 1024);
    up = stage_upstream(s);
    peer_expect_head(up);
    peer_expect(up, "400\r\n");
    peer_expect_pattern(up, 1024);
    peer_expect(up, "\r\n");
    peer_expect_silence(grown, 100);
    peer_send(grown, "\r\n1\r\nx\r\n");
    peer_expect(grown, "HTTP/1.1 413 Content Too Large\r\n");
    peer_expect_head(grown);
    peer_expect(grown, "{*\"reason\":\"body_too_large\"*}\n");
    peer_expect_reset(up);
    stage_record(s, 413, NR_REASON_BODY_TOO_LARGE);
    stage_done(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_slow_head_gets_408_at_its_time),
        cmocka_unit_test(test_a_slow_second_head),
        cmocka_unit_test(test_silence_is_closed_in_silence),
        cmocka_unit_test(test_a_slow_body_gets_408_and_its_service_a_reset),
        cmocka_unit_test(test_a_body_below_the_least_rate),
        cmocka_unit_test(test_a_service_that_does_not_read_is_no_fault_of_the_client),
        cmocka_unit_test(test_a_reader_that_stalls_is_cut_off),
        cmocka_unit_test(test_a_slow_reader_is_served),
        cmocka_unit_test(test_a_client_that_leaves_cancels),
        cmocka_unit_test(test_a_client_that_leaves_within_the_answer),
        cmocka_unit_test(test_half_close_may_be_allowed),
        cmocka_unit_test(test_a_body_that_breaks_off),
        cmocka_unit_test(test_a_client_that_vanishes),
        cmocka_unit_test(test_a_malformed_body_is_refused_and_its_service_sees_no_end),
        cmocka_unit_test(test_a_body_over_its_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
