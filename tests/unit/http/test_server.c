/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes in, bytes out: what one connection of the server does, to the byte, over the simulator.
 * Every conversation is told whole, byte by byte, and cut at random. */
#include "http/server.h"

#include <stdio.h>

#include "http/date.h"
#include "http/h1_server.h"
#include "wire.h"

enum { MS = 1000000 };

/* ---- a handler whose answers depend on the path ---- */

struct site {
    struct nr_handler handler;
    struct nr_io *io;
    struct nr_exchange *held;
    char log[4096]; /* "request /a; end done; " */
};

struct visit {
    struct site *site;
    struct nr_exchange *x;
    struct nr_timer timer;
    uint64_t to_send;
    bool echo, ended, answered, expecting;
};

static void note(struct site *site, const char *what, struct nr_span text)
{
    size_t len = strlen(site->log);

    snprintf(site->log + len, sizeof(site->log) - len, "%s %.*s; ", what, (int)text.len, text.ptr);
}

static void answer(struct nr_exchange *x, uint16_t status, int64_t length, const char *body)
{
    struct nr_head head;

    nr_head_init_response(&head, x->arena, status);
    head.body_length = length;
    nr_exchange_send_head(x, &head, body == NULL);
    if (body != NULL)
        nr_exchange_send_body(x, nr_span_of(body), true);
}

static void on_later(struct nr_op *op)
{
    struct visit *visit = nr_container_of(op, struct visit, timer.op);

    answer(visit->x, 200, 5, "later");
}

static const struct nr_op_kind later_kind = {on_later, "test.later"};

static void pour(struct visit *visit)
{
    static char zeros[16384];

    while (visit->to_send > 0) {
        size_t len = visit->to_send < sizeof(zeros) ? (size_t)visit->to_send : sizeof(zeros);
        size_t taken =
            nr_exchange_send_body(visit->x, (struct nr_span){zeros, len}, len == visit->to_send);

        visit->to_send -= taken;
        if (taken < len)
            return;
    }
}

static void flow(struct visit *visit)
{
    struct nr_span bytes = nr_exchange_pending(visit->x);
    size_t taken = bytes.len;

    if (visit->echo && (bytes.len > 0 || visit->ended))
        taken = nr_exchange_send_body(visit->x, bytes, visit->ended);
    nr_exchange_consume(visit->x, taken);
}

static void on_body(struct nr_exchange *x, bool ended)
{
    struct visit *visit = x->owner;

    visit->ended = ended;
    flow(visit);
}

static void on_trailers(struct nr_exchange *x, struct nr_head *trailers)
{
    on_body(x, true);
}

static void on_writable(struct nr_exchange *x)
{
    struct visit *visit = x->owner;

    if (visit->to_send > 0)
        pour(visit);
    else
        flow(visit);
}

static void on_end(struct nr_exchange *x, enum nr_end end)
{
    struct visit *visit = x->owner;

    nr_timer_disarm(visit->site->io, &visit->timer);
    note(visit->site, "end", nr_span_of(nr_end_text(end)));
}

static const struct nr_exchange_events events = {
    .body = on_body, .trailers = on_trailers, .writable = on_writable, .end = on_end};

static struct visit *begin(struct nr_handler *handler, struct nr_exchange *x)
{
    struct visit *visit = nr_arena_zalloc(x->arena, sizeof(*visit));

    visit->site = nr_container_of(handler, struct site, handler);
    visit->x = x;
    nr_timer_init(&visit->timer, &later_kind);
    x->events = &events;
    x->owner = visit;
    return visit;
}

static void on_request(struct nr_handler *handler, struct nr_exchange *x, struct nr_head *head,
                       bool ended)
{
    struct visit *visit = begin(handler, x);
    struct nr_span path = nr_head_text(head, head->path);

    note(visit->site, "request", path);
    visit->ended = ended;
    if (nr_span_eq(path, NR_SPAN("/later"))) {
        nr_timer_arm(visit->site->io, &visit->timer, nr_io_now_ns(visit->site->io) + 50 * MS);
    } else if (nr_span_eq(path, NR_SPAN("/never"))) {
        return;
    } else if (nr_span_eq(path, NR_SPAN("/hold"))) {
        visit->site->held = x;
        nr_exchange_hold(x);
    } else if (nr_span_eq(path, NR_SPAN("/unknown"))) {
        answer(x, 200, NR_BODY_CHUNKED, "abc");
    } else if (nr_span_eq(path, NR_SPAN("/short"))) {
        answer(x, 200, 10, "short");
    } else if (nr_span_eq(path, NR_SPAN("/none"))) {
        answer(x, 204, NR_BODY_NONE, NULL);
    } else if (nr_span_eq(path, NR_SPAN("/big"))) {
        struct nr_head big;

        nr_head_init_response(&big, x->arena, 200);
        visit->to_send = 1000000;
        big.body_length = 1000000;
        nr_exchange_send_head(x, &big, false);
        pour(visit);
    } else if (nr_span_eq(path, NR_SPAN("/echo")) || nr_span_eq(path, NR_SPAN("/continue")) ||
               nr_span_eq(path, NR_SPAN("/ws"))) {
        struct nr_head start;

        if (path.len == 9)
            answer(x, 100, NR_BODY_NONE, NULL);
        visit->echo = true;
        nr_head_init_response(&start, x->arena, path.len == 3 ? 101 : 200);
        start.body_length = path.len == 3 ? NR_BODY_TUNNEL : NR_BODY_CHUNKED;
        if (path.len == 3)
            nr_head_add(&start, x->arena, NR_SPAN("Upgrade"), NR_SPAN("ws"));
        nr_exchange_send_head(x, &start, false);
        if (ended && path.len != 3)
            flow(visit);
    } else {
        answer(x, 200, 2, "ok");
    }
}

static void on_refused(struct nr_handler *handler, struct nr_exchange *x, struct nr_head *head,
                       uint16_t status, const char *reason)
{
    begin(handler, x);
    answer(x, status, (int64_t)strlen(reason), reason);
}

/* ---- conversations ---- */

enum what { END, SEND, WAIT, FIN, RST, REPEAT };
enum left { OPEN, CLOSED, BROKEN };

struct act {
    enum what what;
    const char *text;
    uint64_t ms; /* WAIT; REPEAT: how many times text is sent */
};

struct talk {
    const char *name;
    struct act acts[8];
    const char *expected; /* all that came back */
    enum left left;
    const char *log;
    bool half_close;
};

#define GET(path)        "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK2              "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define OK2_CLOSE        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
#define LATER            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nlater"
#define CHUNKED          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
#define POST(path, more) "POST " path " HTTP/1.1\r\nHost: a\r\n" more "\r\n"
/* The request broke when its owner could no longer answer. */
#define BROKEN_BODY(line, length, status, title, detail, reason)                                   \
    "HTTP/1.1 " line "\r\nContent-Type: application/problem+json\r\nConnection: close\r\n"         \
    "Content-Length: " length "\r\n\r\n{\"type\":\"about:blank\",\"title\":\"" title               \
    "\",\"status\":" status ",\"detail\":\"The request's body " detail ".\",\"reason\":\"" reason  \
    "\",\"request_id\":\"\"}\n"
#define REFUSED(line, length, reason)                                                              \
    "HTTP/1.1 " line "\r\nConnection: close\r\nContent-Length: " length "\r\n\r\n" reason

/* clang-format off */
static const struct talk talks[] = {
    {"a request", {{SEND, GET("/"), 0}}, OK2, OPEN, "request /; end done; ", false},
    {"keep-alive", {{SEND, GET("/"), 0}, {WAIT, NULL, 100}, {SEND, GET("/b"), 0}}, OK2 OK2, OPEN,
     "request /; end done; request /b; end done; ", false},
    {"pipelining: answers in the order of the requests, one at a time (RFC 9112, 9.3.2)",
     {{SEND, GET("/later") GET("/") GET("/later"), 0}}, LATER OK2 LATER, OPEN,
     "request /later; end done; request /; end done; request /later; end done; ", false},
    {"an empty line before a request (RFC 9112, 2.2)", {{SEND, "\r\n\r\n" GET("/"), 0}}, OK2, OPEN, NULL, false},
    {"Connection: close", {{SEND, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 0}},
     OK2_CLOSE, CLOSED, NULL, false},
    {"HTTP/1.0 closes", {{SEND, "GET / HTTP/1.0\r\n\r\n", 0}}, OK2_CLOSE, CLOSED, NULL, false},
    {"HTTP/1.0 keep-alive", {{SEND, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 0}},
     "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", OPEN, NULL, false},
    {"unknown length is chunked", {{SEND, GET("/unknown"), 0}}, CHUNKED "3\r\nabc\r\n0\r\n\r\n", OPEN, NULL, false},
    {"and ends with the connection for HTTP/1.0 (RFC 9112, 6.3)",
     {{SEND, "GET /unknown HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 0}},
     "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc", CLOSED, NULL, false},
    {"HEAD has the head of GET", {{SEND, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" GET("/"), 0}},
     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" OK2, OPEN, NULL, false},
    {"204 has no length (RFC 9110, 8.6)", {{SEND, GET("/none"), 0}}, "HTTP/1.1 204 No Content\r\n\r\n", OPEN, NULL, false},
    {"echo of a known length", {{SEND, POST("/echo", "Content-Length: 3\r\n") "abc", 0}},
     NULL, OPEN, "request /echo; end done; ", false},
    {"a body in pieces", {{SEND, POST("/x", "Content-Length: 6\r\n") "abc", 0}, {WAIT, NULL, 1000}, {SEND, "def" GET("/"), 0}},
     OK2 OK2, OPEN, NULL, false},
    {"a chunked body with extension and trailers, then another request",
     {{SEND, POST("/", "Transfer-Encoding: chunked\r\n") "3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n" GET("/"), 0}},
     OK2 OK2, OPEN, NULL, false},
    {"100-continue", {{SEND, POST("/continue", "Content-Length: 3\r\nExpect: 100-continue\r\n"), 0}, {WAIT, NULL, 100}, {SEND, "abc", 0}},
     NULL, OPEN, "request /continue; end done; ", false},
    {"refused without reading: the expected body may come or not, so the connection ends (RFC 9110, 10.1.1)",
     {{SEND, POST("/", "Content-Length: 3\r\nExpect: 100-continue\r\n"), 0}}, OK2_CLOSE, CLOSED, NULL, false},
    {"answered early: a small rest is read and dropped",
     {{SEND, POST("/", "Content-Length: 6\r\n"), 0}, {WAIT, NULL, 100}, {SEND, "abcdef" GET("/"), 0}},
     OK2 OK2, OPEN, "request /; end done; request /; end done; ", false},
    {"answered early: a big rest is not worth it",
     {{SEND, POST("/", "Content-Length: 1000000\r\n"), 0}, {WAIT, NULL, 100}, {REPEAT, "0123456789", 2000}},
     OK2, CLOSED, "request /; end done; ", false},
    {"garbage", {{SEND, "NONSENSE\r\n\r\n", 0}}, REFUSED("400 Bad Request", "16", "bad_request_line"), CLOSED, "end done; ", false},
    {"no Host (RFC 9112, 3.2)", {{SEND, "GET / HTTP/1.1\r\n\r\n", 0}},
     REFUSED("400 Bad Request", "12", "missing_host"), CLOSED, NULL, false},
    {"length and coding (RFC 9112, 6.1)",
     {{SEND, POST("/", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n") "0\r\n\r\n" GET("/secret"), 0}},
     REFUSED("400 Bad Request", "29", "length_with_transfer_encoding"), CLOSED, "end done; ", false},
    {"garbage behind a good request", {{SEND, GET("/") "\x01\x02\r\n\r\n", 0}},
     OK2 REFUSED("400 Bad Request", "10", "bad_method"), CLOSED, NULL, false},
    {"a bad chunk before the answer", {{SEND, POST("/never", "Transfer-Encoding: chunked\r\n") "zz\r\n", 0}},
     BROKEN_BODY("400 Bad Request", "149", "400", "Bad Request", "is not valid HTTP", "bad_chunk_size"), CLOSED, "request /never; end protocol; ", false},
    {"nothing for 10 s: closed without a word", {{WAIT, NULL, 10500}}, "", CLOSED, "", false},
    {"half a head for 10 s", {{SEND, "GET / HT", 0}, {WAIT, NULL, 10500}},
     REFUSED("408 Request Timeout", "14", "header_timeout"), CLOSED, "end done; ", false},
    {"a head that trickles is bounded by the same 10 s",
     {{SEND, "GET / HTTP/1.1\r\n", 0}, {WAIT, NULL, 4000}, {SEND, "A: b\r\n", 0}, {WAIT, NULL, 4000}, {SEND, "C: d\r\n", 0}, {WAIT, NULL, 2500}},
     REFUSED("408 Request Timeout", "14", "header_timeout"), CLOSED, NULL, false},
    {"idle for 75 s", {{SEND, GET("/"), 0}, {WAIT, NULL, 76000}}, OK2, CLOSED, NULL, false},
    {"not yet at 74 s", {{SEND, GET("/"), 0}, {WAIT, NULL, 73900}}, OK2, OPEN, NULL, false},
    {"a body that stops for 30 s", {{SEND, POST("/never", "Content-Length: 9\r\n") "abc", 0}, {WAIT, NULL, 31000}},
     BROKEN_BODY("408 Request Timeout", "156", "408", "Request Timeout", "did not arrive in time", "body_timeout"), CLOSED, "request /never; end body_timeout; ", false},
    {"FIN before the answer cancels", {{SEND, GET("/later"), 0}, {WAIT, NULL, 10}, {FIN, NULL, 0}}, "", BROKEN,
     "request /later; end peer_closed; ", false},
    {"FIN directly behind a request: what is answered at once goes out", {{SEND, GET("/") GET("/b"), 0}, {FIN, NULL, 0}},
     NULL, CLOSED, "request /; end done; request /b; end done; ", false},
    {"half_close: the answer comes all the same", {{SEND, GET("/later"), 0}, {FIN, NULL, 0}}, NULL, CLOSED,
     "request /later; end done; ", true},
    {"half_close: a truncated body is no request", {{SEND, POST("/never", "Content-Length: 9\r\n") "abc", 0}, {FIN, NULL, 0}}, "", BROKEN,
     "request /never; end peer_closed; ", true},
    {"RST cancels, half_close or not", {{SEND, GET("/later"), 0}, {WAIT, NULL, 10}, {RST, NULL, 0}}, "", BROKEN,
     "request /later; end peer_reset; ", true},
    {"fewer bytes than announced: broken off", {{SEND, GET("/short"), 0}}, NULL, BROKEN, "request /short; end reset; ", false},
    {"an upgrade, bytes behind the head, and the end by FIN",
     {{SEND, "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: ws\r\n\r\nabc", 0}, {WAIT, NULL, 10}, {SEND, "def", 0}, {WAIT, NULL, 10}, {FIN, NULL, 0}},
     "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: ws\r\n\r\nabcdef", CLOSED, "request /ws; end done; ", false},
    {"101 to who did not ask", {{SEND, GET("/ws"), 0}}, NULL, BROKEN, "request /ws; end reset; ", false},
};
/* clang-format on */

struct stage {
    struct nr_sim *sim;
    struct site site;
    struct nr_server_conf conf;
    struct nr_listener *listener;
    struct nr_server *server;
    struct wire wire;
};

static void stage_open(struct stage *stage, uint64_t seed, bool half_close)
{
    struct nr_sim_conf sim = {.seed = seed,
                              .link = {.latency_min_ns = 100000,
                                       .latency_max_ns = 200000,
                                       .segment_bytes = seed % 3 == 1 ? 1 : 1460,
                                       .split_randomly = seed % 3 == 2}};
    struct nr_listen_conf listen = {.inherited_fd = -1};
    struct nr_addr address;

    *stage = (struct stage){.conf = nr_server_conf_default};
    stage->conf.half_close = half_close;
    stage->sim = nr_sim_new(&sim);
    stage->site.handler = (struct nr_handler){on_request, on_refused};
    stage->site.io = nr_sim_engine(stage->sim, "10.0.0.2");
    assert_int_equal(nr_addr_parse("10.0.0.2:80", &listen.address, NULL), NR_OK);
    assert_int_equal(nr_listener_open(&stage->site.io, 1, &listen, &stage->listener, NULL), NR_OK);
    stage->server =
        nr_server_new(stage->site.io, stage->listener, &stage->conf, &stage->site.handler);
    address = nr_listener_address(stage->listener);
    wire_init(&stage->wire, nr_sim_engine(stage->sim, "10.0.0.1"));
    wire_connect(&stage->wire, &address);
}

static void stage_wait(struct stage *stage, uint64_t ms)
{
    nr_sim_run(stage->sim, nr_sim_now_ns(stage->sim) + ms * MS);
}

static void stage_close(struct stage *stage)
{
    wire_done(&stage->wire);
    nr_server_drain(stage->server);
    nr_listener_close(stage->listener);
    nr_server_abort(stage->server);
    while (nr_sim_step(stage->sim))
        ;
    assert_int_equal(nr_server_counts(stage->server)->open, 0);
    assert_int_equal(nr_server_counts(stage->server)->active, 0);
    nr_server_free(stage->server);
    nr_sim_free(stage->sim); /* aborts on leaks */
}

static void act(struct stage *stage, const struct act *act)
{
    switch (act->what) {
    case SEND: wire_send(&stage->wire, nr_span_of(act->text)); break;
    case REPEAT:
        for (uint64_t i = 0; i < act->ms; i++)
            wire_send(&stage->wire, nr_span_of(act->text));
        break;
    case WAIT: stage_wait(stage, act->ms); break;
    case FIN: nr_sock_shutdown(stage->wire.sock); break;
    case RST: wire_close(&stage->wire, NR_CLOSE_RESET); break;
    case END: break;
    }
}

static void test_talk(void **state)
{
    const struct talk *talk = *state;

    for (uint64_t seed = 0; seed < 12; seed++) {
        struct stage stage;
        enum left left;

        print_message("# %s, seed %u\n", talk->name, (unsigned)seed);
        stage_open(&stage, seed, talk->half_close);
        stage_wait(&stage, 5);
        for (const struct act *next = talk->acts; next->what != END; next++)
            act(&stage, next);
        stage_wait(&stage, 120);
        if (talk->expected != NULL)
            assert_string_equal(stage.wire.got, talk->expected);
        left = stage.wire.rst || stage.wire.sock == NULL ? BROKEN : stage.wire.fin ? CLOSED : OPEN;
        assert_int_equal(left, talk->left);
        if (talk->log != NULL)
            assert_string_equal(stage.site.log, talk->log);
        stage_close(&stage);
    }
}

/* ---- stories that need more than bytes ---- */

static void test_slow_reader(void **state)
{
    struct stage stage;

    stage_open(&stage, 0, false);
    stage_wait(&stage, 5);
    stage.wire.deaf = true; /* the receive under way takes one buffer, then nothing is read */
    wire_send(&stage.wire, NR_SPAN(GET("/big")));
    stage_wait(&stage, 4000);
    assert_string_equal(stage.site.log, "request /big; ");
    assert_true(nr_io_bufs(stage.site.io)->live <= 1);
    stage_wait(&stage, 2000);
    assert_string_equal(stage.site.log, "request /big; end write_timeout; ");
    stage_close(&stage);
}

static void test_vanished_while_idle(void **state)
{
    struct stage stage;

    stage_open(&stage, 0, false);
    stage_wait(&stage, 5);
    wire_send(&stage.wire, NR_SPAN(GET("/")));
    stage_wait(&stage, 50);
    nr_sim_silence(stage.sim, "10.0.0.1", true);
    assert_int_equal(nr_server_counts(stage.server)->open, 1);
    assert_int_equal(nr_io_bufs(stage.site.io)->live, 0); /* idle: no buffer */
    assert_int_equal(nr_server_counts(stage.server)->active, 0);
    stage_wait(&stage, 76000);
    assert_int_equal(nr_server_counts(stage.server)->open, 0);
    nr_sim_silence(stage.sim, "10.0.0.1", false);
    stage_close(&stage);
}

static void test_minimum_rate(void **state)
{
    struct stage stage;

    stage_open(&stage, 0, false);
    stage.server->common.body_bytes_per_s_min = 100;
    stage_wait(&stage, 5);
    wire_send(&stage.wire, NR_SPAN(POST("/never", "Content-Length: 100000\r\n")));
    for (int s = 0; s < 29; s++) { /* 10 bytes a second: alive, but too slow */
        wire_send(&stage.wire, NR_SPAN("0123456789"));
        stage_wait(&stage, 1000);
    }
    assert_string_equal(stage.site.log, "request /never; "); /* within the grace */
    for (int s = 0; s < 6; s++) {
        wire_send(&stage.wire, NR_SPAN("0123456789"));
        stage_wait(&stage, 1000);
    }
    assert_string_equal(stage.site.log, "request /never; end body_timeout; ");
    stage_close(&stage);
}

static void test_drain(void **state)
{
    struct stage stage;

    stage_open(&stage, 0, false);
    stage_wait(&stage, 5);
    wire_send(&stage.wire, NR_SPAN(GET("/later")));
    stage_wait(&stage, 10);
    nr_server_drain(stage.server);
    stage_wait(&stage, 200);
    assert_string_equal(stage.wire.got,
                        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nlater");
    assert_true(stage.wire.fin);
    stage_close(&stage);

    stage_open(&stage, 0, false); /* an idle one closes at once */
    stage_wait(&stage, 5);
    wire_send(&stage.wire, NR_SPAN(GET("/")));
    stage_wait(&stage, 10);
    nr_server_drain(stage.server);
    stage_wait(&stage, 10);
    assert_true(stage.wire.fin);
    stage_close(&stage);
}

static void test_abort(void **state)
{
    struct stage stage;

    stage_open(&stage, 0, false);
    stage_wait(&stage, 5);
    wire_send(&stage.wire, NR_SPAN(GET("/never")));
    stage_wait(&stage, 10);
    nr_server_abort(stage.server);
    stage_wait(&stage, 10);
    assert_string_equal(stage.site.log, "request /never; end shutdown; ");
    assert_true(stage.wire.rst);
    stage_close(&stage);
}

static void on_drained(void *ctx)
{
    *(bool *)ctx = true;
}

/* A call that is still being cancelled points into the request's arena after the client has left.
 */
static void test_memory_outlives_the_exchange(void **state)
{
    struct stage stage;
    bool drained = false;

    stage_open(&stage, 0, false);
    stage_wait(&stage, 5);
    wire_send(&stage.wire, NR_SPAN(GET("/hold")));
    stage_wait(&stage, 5);
    wire_close(&stage.wire, NR_CLOSE_RESET);
    stage_wait(&stage, 5);
    assert_string_equal(stage.site.log, "request /hold; end peer_reset; ");
    nr_server_on_drained(stage.server, on_drained, &drained);
    nr_server_drain(stage.server);
    stage_wait(&stage, 5);
    assert_int_equal(nr_server_counts(stage.server)->open, 0);
    assert_false(drained);
    memset(nr_arena_alloc(stage.site.held->arena, 4000), 1, 4000);
    assert_int_equal(nr_exchange_pending(stage.site.held).len, 0);
    assert_int_equal(nr_exchange_send_body(stage.site.held, NR_SPAN("late"), true), 4);
    nr_exchange_release(stage.site.held);
    stage_wait(&stage, 5);
    assert_true(drained);
    stage_close(&stage);
}

static void test_requests_max(void **state)
{
    struct stage stage;

    stage_open(&stage, 0, false);
    stage.conf.requests_max = 2;
    stage_wait(&stage, 5);
    wire_send(&stage.wire, NR_SPAN(GET("/") GET("/") GET("/")));
    stage_wait(&stage, 50);
    assert_string_equal(stage.wire.got, OK2 OK2_CLOSE);
    assert_true(stage.wire.fin);
    stage_close(&stage);
}

static void test_date(void **state)
{
    static const struct {
        uint64_t second;
        const char *text;
    } cases[] = {
        {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"}, /* RFC 9110, 5.6.7 */
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
        {1709251199, "Thu, 29 Feb 2024 23:59:59 GMT"},
        {4107542400, "Mon, 01 Mar 2100 00:00:00 GMT"},
    };
    struct nr_date date = {0};

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        struct nr_span text = nr_date_text(&date, cases[i].second * 1000000000u + 5);

        assert_true(nr_span_eq(text, nr_span_of(cases[i].text)));
    }
}

int main(void)
{
    struct CMUnitTest tests[NR_COUNT(talks) + 8] = {
        cmocka_unit_test(test_slow_reader),  cmocka_unit_test(test_vanished_while_idle),
        cmocka_unit_test(test_minimum_rate), cmocka_unit_test(test_drain),
        cmocka_unit_test(test_abort),        cmocka_unit_test(test_requests_max),
        cmocka_unit_test(test_date),         cmocka_unit_test(test_memory_outlives_the_exchange),
    };

    for (size_t i = 0; i < NR_COUNT(talks); i++)
        tests[i + 8] = (struct CMUnitTest){.name = talks[i].name,
                                           .test_func = test_talk,
                                           .initial_state = (void *)(uintptr_t)&talks[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
