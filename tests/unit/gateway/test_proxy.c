/* SPDX-License-Identifier: Apache-2.0 */
/* What passes through the gateway, byte by byte: heads, interim answers, bodies of every framing,
 * tunnels, and bodies larger than any buffer. */
#include "stage.h"

/* ---- heads ---- */

static void test_heads_gain_and_lose_exactly(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){0});
    struct peer *client = stage_client(s), *up;

    (void)state;
    /* Hop-by-hop fields, and those that Connection names, end here: RFC 9110, 7.6.1. The case of
     * all others is kept, and their order. */
    peer_send(client,
              "GET /a/b?c=d HTTP/1.1\r\nHost: shop.test\r\nConnection: X-Hop, keep-alive\r\n"
              "x-OnE: 1\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nProxy-Connection: keep-alive\r\n"
              "TE: gzip\r\nX-one:  2 \r\nUser-Agent: t\r\n\r\n");
    up = stage_upstream(s);
    peer_expect(up, "GET /a/b?c=d HTTP/1.1\r\nHost: shop.test\r\nx-OnE: 1\r\nX-one: 2\r\n"
                    "User-Agent: t\r\nX-Forwarded-For: 10.0.2.1\r\nX-Forwarded-Proto: http\r\n"
                    "X-Forwarded-Host: shop.test\r\nX-Request-Id: *\r\nVia: 1.1 naru\r\n"
                    "X-Request-Deadline: 5000\r\n\r\n");
    peer_send(up, "HTTP/1.1 200 Fine\r\nServer: it\r\nConnection: X-Hop\r\nX-hOp: 1\r\n"
                  "Keep-Alive: timeout=5\r\nContent-Length: 5\r\nX-tWo: 2\r\n\r\nhello");
    peer_expect(client, "HTTP/1.1 200 Fine\r\nServer: it\r\nX-tWo: 2\r\n"
                        "Date: Thu, 01 Jan 2026 00:00:01 GMT\r\nX-Request-Id: *\r\n"
                        "Via: 1.1 naru\r\nContent-Length: 5\r\n\r\nhello");
    stage_record(s, 200, NR_REASON_NONE);
    stage_done(s);
}

static void test_keep_alive_on_both_sides(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){0});
    struct peer *client = stage_client(s), *up = NULL;

    (void)state;
    for (int i = 0; i < 5; i++) {
        const struct stage_record *record;

        peer_send(client, GET_A);
        if (i == 0)
            up = stage_upstream(s);
        peer_expect(up, GOT_A);
        peer_send(up, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        peer_expect(client, "HTTP/1.1 200 OK\r\n" STAMPED "Content-Length: 2\r\n\r\nok");
        record = stage_record(s, 200, NR_REASON_NONE);
        assert_int_equal(record->r.attempts[0].reused, i > 0);
    }
    assert_int_equal(s->instances[0].accepted, 1);
    peer_expect_silence(client, 10);
    stage_done(s);
}

/* RFC 9112, 9.3.2: answers come in the order of the requests. The second is not read before the
 * first is answered, so it reaches its service only then. */
static void test_pipelined_requests_are_answered_in_order(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){0});
    struct peer *client = stage_client(s), *up;

    (void)state;
    peer_send(client, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\n"
                      "Content-Length: 3\r\n\r\ntwoGET /3 HTTP/1.1\r\nHost: a\r\n\r\n");
    up = stage_upstream(s);
    peer_expect(up, "GET /1 HTTP/1.1\r\nHost: a\r\n" ADDED "\r\n");
    peer_expect_silence(up, 50);
    peer_send(up, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none");
    peer_expect(up, "POST /2 HTTP/1.1\r\nHost: a\r\n" ADDED "Content-Length: 3\r\n\r\ntwo");
    peer_send(up, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
    peer_expect(up, "GET /3 HTTP/1.1\r\nHost: a\r\n" ADDED "\r\n");
    peer_send(up, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthree");
    peer_expect(client, "HTTP/1.1 200 OK\r\n" STAMPED "Content-Length: 3\r\n\r\none"
                        "HTTP/1.1 201 Created\r\n" STAMPED "Content-Length: 0\r\n\r\n"
                        "HTTP/1.1 200 OK\r\n" STAMPED "Content-Length: 5\r\n\r\nthree");
    stage_record(s, 200, NR_REASON_NONE);
    stage_record(s, 201, NR_REASON_NONE);
    stage_record(s, 200, NR_REASON_NONE);
    stage_done(s);
}

/* ---- interim answers ---- */

static void test_interim_answers_pass_before_the_final_one(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){0});
    struct peer *client = stage_client(s), *up;

    (void)state;
    peer_send(client, GET_A);
    up = stage_upstream(s);
    peer_expect(up, GOT_A);
    peer_send(up, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
    peer_expect(client, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
    peer_expect_silence(client, 5);
    peer_send(up, "HTTP/1.1 102 Processing\r\n\r\n"
                  "HTTP/1.1 204 No Content\r\n\r\n");
    peer_expect(client, "HTTP/1.1 102 Processing\r\n\r\n"
                        "HTTP/1.1 204 No Content\r\n" STAMPED "\r\n");
    stage_record(s, 204, NR_REASON_NONE);
    stage_done(s);
}

/* The client waits, so nothing but the service may let it go on: RFC 9110, 10.1.1. */
static void test_100_continue_comes_from_the_service(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){0});
    struct peer *client = stage_client(s), *up;

    (void)state;
    peer_send(client, "POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                      "Content-Length: 5\r\n\r\n");
    up = stage_upstream(s);
    peer_expect(up, "POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n" ADDED
                    "Content-Length: 5\r\n\r\n");
    peer_expect_silence(client, 50);
    peer_send(up, "HTTP/1.1 100 Continue\r\n\r\n");
    peer_expect(client, "HTTP/1.1 100 Continue\r\n\r\n");
    peer_send(client, "hello");
    peer_expect(up, "hello");
    peer_send(up, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    peer_expect(client, "HTTP/1.1 200 OK\r\n" STAMPED "Content-Length: 2\r\n\r\nok");
    stage_record(s, 200, NR_REASON_NONE);
    stage_done(s);
}

/* Refused without a 100: whether the client sends its body now cannot be known, so the connection
 * ends behind the answer. */
static void test_a_refused_expectation_closes(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){0});
    struct peer *client = stage_client(s), *up;

    (void)state;
    peer_send(client, "POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                      "Content-Length: 5\r\n\r\n");
    up = stage_upstream(s);
    peer_expect(up, "POST /a HTTP/1.1\r\n");
    peer_send(up, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    peer_expect(client, "HTTP/1.1 401 Unauthorized\r\n" STAMPED
                        "Connection: close\r\nContent-Length: 0\r\n\r\n");
    peer_expect_fin(client);
    stage_record(s, 401, NR_REASON_NONE);
    stage_done(s);
}

/* RFC 9110, 15.2: no 1xx to a client of HTTP/1.0. */
static void test_http_1_0_is_served(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){0});
    struct peer *client = stage_client(s), *up;

    (void)state;
    peer_send(client, "GET /a HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
    up = stage_upstream(s);
    peer_expect(up, "GET /a HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.0.2.1\r\n"
                    "X-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\nX-Request-Id: *\r\n"
                    "Via: 1.0 naru\r\nX-Request-Deadline: *\r\n\r\n");
    peer_send(up, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    peer_expect(client, "HTTP/1.1 200 OK\r\n" STAMPED "Connection: keep-alive\r\n"
                        "Content-Length: 2\r\n\r\nok");
    /* Chunks are unwrapped, and the end of the body is the end of the connection. */
    peer_send(client, "GET /a HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
    peer_expect(up, "GET /a HTTP/1.1\r\n");
    peer_send(up, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n"
                  "0\r\nX-Sum: 1\r\n\r\n");
    peer_expect(client, "HTTP/1.1 200 OK\r\n" STAMPED "Connection: close\r\n\r\nabcdef");
    peer_expect_fin(client);
    stage_record(s, 200, NR_REASON_NONE);
    stage_record(s, 200, NR_REASON_NONE);
    stage_done(s);
}

/* ---- framing ---- */

struct framing_case {
    const char *story;
    const char *request;
    const char *answer;
    const char *seen; /* by the client */
    bool closes;      /* the connection ends behind it */
};

/* RFC 9112, 6.3, in the order of its rules. */
static const struct framing_case framings[] = {
    {"HEAD announces what GET would bring", "HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
     "HTTP/1.1 200 OK\r\n" STAMPED "Content-Length: 10\r\n\r\n", false},
    {"HEAD of a chunked answer", "HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\n" STAMPED "\r\n",
     false},
    {"204 has no body and no length", GET_A, "HTTP/1.1 204 No Content\r\n\r\n",
     "HTTP/1.1 204 No Content\r\n" STAMPED "\r\n", false},
    {"304 may say how long the body would be", GET_A,
     "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 10\r\n\r\n",
     "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n" STAMPED "Content-Length: 10\r\n\r\n", false},
    {"an empty body of known length", GET_A, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
     "HTTP/1.1 200 OK\r\n" STAMPED "Content-Length: 0\r\n\r\n", false},
    {"chunks stay chunks; extensions go", GET_A,
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n",
     "HTTP/1.1 200 OK\r\n" STAMPED "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
     false},
    {"trailers pass behind the body", GET_A,
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-suM: 9\r\n\r\n",
     "HTTP/1.1 200 OK\r\n" STAMPED
     "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-suM: 9\r\n\r\n",
     false},
    {"the client asks to close", "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
     "HTTP/1.1 200 OK\r\n" STAMPED "Connection: close\r\nContent-Length: 2\r\n\r\nok", true},
    {"the service asks to close: that is its own connection", GET_A,
     "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
     "HTTP/1.1 200 OK\r\n" STAMPED "Content-Length: 2\r\n\r\nok", false},
};

static void test_framing_of_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(framings) / sizeof(framings[0]); i++) {
        const struct framing_case *c = &framings[i];
        struct stage *s = stage_new(&(struct stage_conf){0});
        struct peer *client = stage_client(s), *up;

        print_message("# %s\n", c->story);
        peer_send(client, c->request);
        up = stage_upstream(s);
        peer_expect(up, "* /a HTTP/1.1\r\nHost: a\r\n" ADDED "\r\n");
        peer_send(up, c->answer);
        peer_expect(client, c->seen);
        if (c->closes)
            peer_expect_fin(client);
        else
            peer_expect_silence(client, 10);
        (void)stage_record_at(s, (uint16_t)atoi(c->answer + 9), NR_REASON_NONE, c->story, 0);
        stage_done(s);
    }
}

/* Its end is its close: towards HTTP/1.1 that becomes chunks, so the client's connection lives. */
static void test_an_answer_until_close_becomes_chunks(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){0});
    struct peer *client = stage_client(s), *up;

    (void)state;
    peer_send(client, GET_A);
    up = stage_upstream(s);
    peer_expect(up, GOT_A);
    peer_send(up, "HTTP/1.0 200 OK\r\n\r\nhello");
    peer_expect(client, "HTTP/1.1 200 OK\r\nDate: *\r\nX-Request-Id: *\r\nVia: 1.0 naru\r\n"
                        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    peer_expect_silence(client, 5);
    peer_fin(up);
    peer_expect(client, "0\r\n\r\n");
    peer_expect_fin(up);
    peer_expect_silence(client, 5);
    stage_record(s, 200, NR_REASON_NONE);
    stage_done(s);
}

static void test_a_chunked_request_with_trailers(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){0});
    struct peer *client = stage_client(s), *up;
    const struct stage_record *record;

    (void)state;
    peer_send(client, "POST /a HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n"
                      "Transfer-Encoding: chunked\r\n\r\n");
    up = stage_upstream(s);
    peer_expect(up, "POST /a HTTP/1.1\r\nHost: a\r\n" ADDED "Connection: TE\r\nTE: trailers\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n");
    peer_send(client, "003;x=y\r\none\r\n");
    peer_expect(up, "3\r\none\r\n");
    peer_send(client, "A\r\n0123456789\r\n0\r\nX-afTer: yes\r\n\r\n");
    peer_expect(up, "a\r\n0123456789\r\n0\r\nX-afTer: yes\r\n\r\n");
    peer_send(up, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    peer_expect(client, "HTTP/1.1 200 OK\r\n" STAMPED "Content-Length: 2\r\n\r\nok");
    record = stage_record(s, 200, NR_REASON_NONE);
    assert_int_equal(record->r.received_bytes, 13);
    assert_int_equal(record->r.sent_bytes, 2);
    stage_done(s);
}

/* ---- early answers ---- */

/* What is left of the body is small: it is read away, and the client's connection lives. The
 * service's does not, because half a request stands on it. */
static void test_an_early_answer_with_little_left(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){0});
    struct peer *client = stage_client(s), *up;

    (void)state;
    peer_send(client, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    up = stage_upstream(s);
    peer_expect(up, "POST /a HTTP/1.1\r\nHost: a\r\n" ADDED "Content-Length: 10\r\n\r\nabc");
    peer_send(up, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    peer_expect(client, "HTTP/1.1 403 Forbidden\r\n" STAMPED "Content-Length: 2\r\n\r\nno");
    peer_expect_reset(up);
    stage_record(s, 403, NR_REASON_NONE);
    peer_send(client, "defghij" GET_A);
    up = stage_upstream(s);
    peer_expect(up, GOT_A);
    peer_send(up, "HTTP/1.1 204 No Content\r\n\r\n");
    peer_expect(client, "HTTP/1.1 204 No Content\r\n" STAMPED "\r\n");
    stage_record(s, 204, NR_REASON_NONE);
    stage_done(s);
}

/* 100 MB are left: the answer, FIN, and what still comes is dropped. RFC 9112, 9.6. */
static void test_an_early_answer_with_much_left(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){0});
    struct peer *client = stage_client(s), *up;

    (void)state;
    peer_send(client, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n");
    peer_send_pattern(client, 1000000);
    up = stage_upstream(s);
    peer_expect(up, "POST /a HTTP/1.1\r\nHost: a\r\n" ADDED "Content-Length: 100000000\r\n\r\n");
    peer_stop_reading(up);
    stage_wait_ms(s, 20);
    peer_send(up, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n");
    peer_expect(client, "HTTP/1.1 413 Content Too Large\r\n" STAMPED "Content-Length: 0\r\n\r\n");
    peer_expect_fin(client);
    stage_record(s, 413, NR_REASON_NONE);
    stage_wait_ms(s, 20);
    assert_int_equal(stage_connections(s, 0), 0);
    stage_done(s);
}

/* The answer begins while the body is still on its way, and both go on: gRPC lives on this. */
static void test_both_directions_at_once(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){0});
    struct peer *client = stage_client(s), *up;

    (void)state;
    peer_send(client, "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    up = stage_upstream(s);
    peer_expect(up, "POST /a HTTP/1.1\r\nHost: a\r\n" ADDED "Transfer-Encoding: chunked\r\n\r\n");
    peer_send(up, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    peer_expect(client, "HTTP/1.1 200 OK\r\n" STAMPED "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 3; i++) {
        peer_send(client, "4\r\nping\r\n");
        peer_expect(up, "4\r\nping\r\n");
        peer_send(up, "4\r\npong\r\n");
        peer_expect(client, "4\r\npong\r\n");
    }
    peer_send(client, "0\r\n\r\n");
    peer_expect(up, "0\r\n\r\n");
    peer_send(up, "0\r\n\r\n");
    peer_expect(client, "0\r\n\r\n");
    peer_expect_silence(up, 5);
    stage_record(s, 200, NR_REASON_NONE);
    stage_done(s);
}

/* ---- tunnels ---- */

static void start_tunnel(struct stage *s, struct peer *client, struct peer **ret_up)
{
    struct peer *up;

    peer_send(client, "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n"
                      "Upgrade: chat\r\nSec-WebSocket-Key: k\r\n\r\n");
    up = stage_upstream(s);
    peer_expect(up, "GET /ws HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: k\r\n" ADDED
                    "Connection: upgrade\r\nUpgrade: chat\r\n\r\n");
    peer_send(up, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n"
                  "Sec-WebSocket-Accept: k\r\n\r\nhello");
    peer_expect(client, "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: k\r\n" STAMPED
                        "Connection: upgrade\r\nUpgrade: chat\r\n\r\nhello");
    peer_send(client, "ping");
    peer_expect(up, "ping");
    peer_send(up, "pong");
    peer_expect(client, "pong");
    *ret_up = up;
}

/* FIN of one side passes as FIN, and the other side may go on: half a tunnel is a tunnel. */
static void test_a_tunnel_closes_half_by_half(void **state)
{
    (void)state;
    for (int client_first = 0; client_first < 2; client_first++) {
        struct stage *s = stage_new(&(struct stage_conf){0});
        struct peer *client = stage_client(s), *up, *first, *second;
        const struct stage_record *record;

        start_tunnel(s, client, &up);
        first = client_first ? client : up;
        second = client_first ? up : client;
        peer_send(first, "last words");
        peer_fin(first);
        peer_expect(second, "last words");
        peer_expect_fin(second);
        peer_send(second, "and mine");
        peer_expect(first, "and mine");
        peer_fin(second);
        peer_expect_fin(first);
        record = stage_record(s, 101, NR_REASON_NONE);
        assert_true(record->r.flags & NR_RECORD_TUNNEL);
        assert_int_equal(record->r.received_bytes, 4 + (client_first ? 10 : 8));
        assert_int_equal(record->r.sent_bytes, 9 + (client_first ? 8 : 10));
        stage_done(s);
    }
}

static void test_a_tunnel_that_breaks_is_broken_on_both_sides(void **state)
{
    (void)state;
    for (int client_first = 0; client_first < 2; client_first++) {
        struct stage *s = stage_new(&(struct stage_conf){0});
        struct peer *client = stage_client(s), *up;

        start_tunnel(s, client, &up);
        peer_reset(client_first ? client : up);
        peer_expect_reset(client_first ? up : client);
        stage_record(s, 101, NR_REASON_NONE);
        stage_done(s);
    }
}

/* A deadline bounds requests, not conversations. */
static void test_a_tunnel_outlives_the_deadline(void **state)
{
    struct stage *s = stage_new(
        &(struct stage_conf){.gateway = "deadline: 1s", .service = "timeouts: { idle: 30s }"});
    struct peer *client = stage_client(s), *up;

    (void)state;
    start_tunnel(s, client, &up);
    peer_expect_silence(client, 20000);
    peer_send(up, "still here");
    peer_expect(client, "still here");
    peer_send_pattern(client, 300000);
    peer_expect_pattern(up, 300000);
    peer_close(client);
    peer_expect_fin(up);
    peer_close(up);
    stage_record(s, 101, NR_REASON_NONE);
    stage_done(s);
}

/* A service that says no to the upgrade answers like any other. */
static void test_an_upgrade_that_is_not_granted(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){0});
    struct peer *client = stage_client(s), *up;

    (void)state;
    peer_send(client,
              "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n");
    up = stage_upstream(s);
    peer_expect(up, "GET /ws HTTP/1.1\r\nHost: a\r\n" ADDED
                    "Connection: upgrade\r\nUpgrade: chat\r\n\r\n");
    peer_send(up, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno");
    peer_expect(client, "HTTP/1.1 200 OK\r\n" STAMPED "Content-Length: 2\r\n\r\nno");
    peer_send(client, GET_A);
    peer_expect(up, GOT_A);
    peer_send(up, "HTTP/1.1 204 No Content\r\n\r\n");
    peer_expect(client, "HTTP/1.1 204 No Content\r\n" STAMPED "\r\n");
    stage_record(s, 200, NR_REASON_NONE);
    stage_record(s, 204, NR_REASON_NONE);
    stage_done(s);
}

/* ---- bodies larger than any buffer ---- */

#define MIB ((uint64_t)1024 * 1024)

/* At most this much of both bodies is in the gateway at any moment: all buffers taken as large. */
static void expect_bounded(const struct stage *s)
{
    assert_in_range((uint64_t)s->bufs_peak * NR_BUF_LARGE_BYTES, 1, MIB);
}

static void test_a_reader_that_stalls_holds_the_service_back(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){.gateway = "deadline: none",
                                                     .listen = "limits: { body_timeout: 1h }",
                                                     .service = "timeouts: { idle: 1h }"});
    struct peer *client = stage_client(s), *up;
    uint64_t sent;

    (void)state;
    peer_send(client, GET_A);
    up = stage_upstream(s);
    peer_expect(up, "GET /a HTTP/1.1\r\n");
    peer_stop_reading(client);
    peer_send(up, "HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n");
    peer_send_pattern(up, 50000000);
    stage_wait_ms(s, 60000);
    sent = up->pattern_out;
    assert_in_range(sent, 64 * 1024, 300 * 1024); /* two links' windows and what we hold */
    expect_bounded(s);
    stage_wait_ms(s, 60000);
    assert_int_equal(up->pattern_out, sent);
    peer_read_on(client);
    peer_expect(client, "HTTP/1.1 200 OK\r\n" STAMPED "Content-Length: 50000000\r\n\r\n");
    peer_expect_pattern(client, 50000000);
    expect_bounded(s);
    stage_record(s, 200, NR_REASON_NONE);
    stage_done(s);
}

static void test_a_service_that_stalls_holds_the_client_back(void **state)
{
    struct stage *s =
        stage_new(&(struct stage_conf){.gateway = "deadline: none",
                                       .listen = "limits: { body_timeout: 1h }",
                                       .service = "timeouts: { idle: 1h, write: 1h }"});
    struct peer *client = stage_client(s), *up;
    uint64_t sent;

    (void)state;
    peer_send(client, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n");
    peer_send_pattern(client, 50000000);
    up = stage_upstream(s);
    peer_stop_reading(up);
    stage_wait_ms(s, 60000);
    sent = client->pattern_out;
    assert_in_range(sent, 64 * 1024, 300 * 1024);
    stage_wait_ms(s, 60000);
    assert_int_equal(client->pattern_out, sent);
    peer_read_on(up);
    peer_expect(up,
                "POST /a HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: *\r\nX-Forwarded-Proto: http\r\n"
                "X-Forwarded-Host: a\r\nX-Request-Id: *\r\nVia: *\r\n"
                "Content-Length: 50000000\r\n\r\n");
    peer_expect_pattern(up, 50000000);
    expect_bounded(s);
    peer_send(up, "HTTP/1.1 204 No Content\r\n\r\n");
    peer_expect(client, "HTTP/1.1 204 No Content\r\n" STAMPED "\r\n");
    stage_record(s, 204, NR_REASON_NONE);
    stage_done(s);
}

struct flow_case {
    const char *story;
    uint64_t bytes;
    struct nr_sim_link link;
};

static const struct flow_case flows[] = {
    {"100 MB in large segments",
     100000000,
     {50000, 50000, .segment_bytes = 65536, .window_bytes = 262144}},
    {"10 MB as Ethernet cuts them", 10000000, {100000, 900000, .segment_bytes = 1460}},
    {"2 MB in pieces of any size",
     2000000,
     {10000, 500000, .segment_bytes = 9000, .split_randomly = true}},
    {"1 MB through a narrow window",
     1000000,
     {10000, 100000, .segment_bytes = 700, .window_bytes = 2048}},
    {"60 kB byte by byte", 60000, {1000, 2000, .segment_bytes = 1}},
    {"3 MB with loss",
     3000000,
     {100000, 400000, .loss_ppm = 2000, .rto_ns = 20000000, .segment_bytes = 1460}},
};

static void flow(const struct flow_case *c, uint64_t seed)
{
    struct stage *s =
        stage_new(&(struct stage_conf){.gateway = "deadline: none", .link = c->link, .seed = seed});
    struct peer *client = stage_client(s), *up;
    const struct stage_record *record;
    char text[256];

    print_message("# %s\n", c->story);
    snprintf(text, sizeof(text), "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: %llu\r\n\r\n",
             (unsigned long long)c->bytes);
    peer_send(client, text);
    peer_send_pattern(client, c->bytes);
    up = stage_upstream(s);
    snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\n\r\n",
             (unsigned long long)c->bytes);
    peer_send(up, text);
    peer_send_pattern(up, c->bytes);
    peer_expect_head(up);
    peer_takes_pattern(up, c->bytes);
    peer_expect_head(client);
    peer_expect_pattern(client, c->bytes);
    peer_expect_pattern(up, 0);
    expect_bounded(s);
    record = stage_record(s, 200, NR_REASON_NONE);
    assert_int_equal(record->r.received_bytes, c->bytes);
    assert_int_equal(record->r.sent_bytes, c->bytes);
    stage_done(s);
}

static void test_large_bodies_both_ways_at_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(flows) / sizeof(flows[0]); i++)
        flow(&flows[i], i + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads_gain_and_lose_exactly),
        cmocka_unit_test(test_keep_alive_on_both_sides),
        cmocka_unit_test(test_pipelined_requests_are_answered_in_order),
        cmocka_unit_test(test_interim_answers_pass_before_the_final_one),
        cmocka_unit_test(test_100_continue_comes_from_the_service),
        cmocka_unit_test(test_a_refused_expectation_closes),
        cmocka_unit_test(test_http_1_0_is_served),
        cmocka_unit_test(test_framing_of_answers),
        cmocka_unit_test(test_an_answer_until_close_becomes_chunks),
        cmocka_unit_test(test_a_chunked_request_with_trailers),
        cmocka_unit_test(test_an_early_answer_with_little_left),
        cmocka_unit_test(test_an_early_answer_with_much_left),
        cmocka_unit_test(test_both_directions_at_once),
        cmocka_unit_test(test_a_tunnel_closes_half_by_half),
        cmocka_unit_test(test_a_tunnel_that_breaks_is_broken_on_both_sides),
        cmocka_unit_test(test_a_tunnel_outlives_the_deadline),
        cmocka_unit_test(test_an_upgrade_that_is_not_granted),
        cmocka_unit_test(test_a_reader_that_stalls_holds_the_service_back),
        cmocka_unit_test(test_a_service_that_stalls_holds_the_client_back),
        cmocka_unit_test(test_large_bodies_both_ways_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
