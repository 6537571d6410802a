/* SPDX-License-Identifier: Apache-2.0 */
/* Against upstreams that say what they like, to the byte, over the simulator. */
#include "http/client.h"

#include <stdio.h>

#include "wire.h"

enum { MS = 1000000 };

enum what { END, ASK, POST, SEND, WAIT, FIN, RST };

struct act {
    enum what what;
    const char *text; /* ASK: the method; SEND: bytes of the upstream */
    uint64_t ms;      /* POST: the body's length, without its last byte */
};

struct talk {
    const char *name;
    struct act acts[8];
    const char *log;
    uint32_t connects;
};

struct side {
    struct nr_exchange *x;
    char *log;
    uint64_t left; /* bytes of the body that were not taken at once */
    bool goes_on;  /* send them when it is writable */
    bool open;
};

struct stage {
    struct nr_sim *sim;
    struct nr_client_conf conf;
    struct nr_client *client;
    struct wire wire;
    struct nr_arena arena;
    struct side sides[4];
    uint32_t asked;
    char log[4096];
};

static void note(struct side *side, const char *format, const char *text, int number)
{
    size_t len = strlen(side->log);

    snprintf(side->log + len, 4096 - len, format, text, number);
}

static void on_head(struct nr_exchange *x, struct nr_head *head, bool ended)
{
    note(x->owner, "head%s %d; ", ended ? "." : "", head->status);
}

static void on_body(struct nr_exchange *x, bool ended)
{
    struct nr_span bytes = nr_exchange_pending(x);
    char text[64];

    snprintf(text, sizeof(text), "%.*s%s", (int)bytes.len, bytes.ptr, ended ? "." : "");
    note(x->owner, "%s; ", text, 0);
    nr_exchange_consume(x, bytes.len);
}

static void on_trailers(struct nr_exchange *x, struct nr_head *trailers)
{
    note(x->owner, "trailers%s %d; ", "", trailers->field_count);
}

static uint64_t send_zeros(struct nr_exchange *x, uint64_t bytes, bool ended)
{
    char *body = calloc(1, bytes);
    uint64_t taken = nr_exchange_send_body(x, (struct nr_span){body, bytes}, ended);

    free(body);
    return bytes - taken;
}

static void on_writable(struct nr_exchange *x)
{
    struct side *side = x->owner;

    if (side->goes_on)
        side->left = send_zeros(x, side->left, true);
}

static void on_end(struct nr_exchange *x, enum nr_end end)
{
    struct side *side = x->owner;

    side->open = false;
    note(side, x->reused ? "end %s reused" : "end %s", nr_end_text(end), 0);
    if (x->refusal != NR_H1_OK)
        note(side, " %s", nr_h1_reason_text((enum nr_h1_reason)x->refusal), 0);
    note(side, "; ", "", 0);
}

static const struct nr_exchange_events events = {on_head, on_body, on_trailers, on_writable,
                                                 on_end};

static void ask(struct stage *stage, const char *method, int64_t length, uint64_t send)
{
    struct side *side = &stage->sides[stage->asked++];
    struct nr_head head;

    side->log = stage->log;
    side->open = true;
    side->x = nr_client_open(stage->client, &stage->arena, &events, side, false);
    nr_head_init_request(&head, &stage->arena, nr_span_of(method), NR_SPAN("up"), NR_SPAN("/"));
    head.body_length = length;
    nr_exchange_send_head(side->x, &head, length < 0);
    if (send > 0)
        side->left = send_zeros(side->x, send, false);
}

#define RESP(line, more, body) "HTTP/1.1 " line "\r\n" more "\r\n" body
#define ELEVEN                 P102 P102 P102 P102 P102 P102 P102 P102 P102 P102 P102
#define P102                   RESP("102 Processing", "", "")
#define OK2                    RESP("200 OK", "Content-Length: 2\r\n", "ok")

/* clang-format off */
static const struct talk talks[] = {
    {"an answer", {{ASK, "GET", 0}, {SEND, OK2, 0}}, "head 200; ok.; end done; ", 1},
    {"the connection is used again", {{ASK, "GET", 0}, {SEND, OK2, 0}, {ASK, "GET", 0}, {SEND, OK2, 0}},
     "head 200; ok.; end done; head 200; ok.; end done reused; ", 1},
    {"an empty body ends with the head", {{ASK, "GET", 0}, {SEND, RESP("200 OK", "Content-Length: 0\r\n", ""), 0}},
     "head. 200; end done; ", 1},
    {"HEAD has no body whatever it announces (RFC 9112, 6.3)",
     {{ASK, "HEAD", 0}, {SEND, RESP("200 OK", "Content-Length: 9\r\n", ""), 0}}, "head. 200; end done; ", 1},
    {"304 neither", {{ASK, "GET", 0}, {SEND, RESP("304 Not Modified", "Content-Length: 9\r\n", ""), 0}}, "head. 304; end done; ", 1},
    {"interim heads", {{ASK, "GET", 0}, {SEND, RESP("100 Continue", "", "") RESP("103 Early Hints", "Link: a\r\n", ""), 0}, {WAIT, NULL, 5}, {SEND, OK2, 0}},
     "head 100; head 103; head 200; ok.; end done; ", 1},
    {"chunked with trailers", {{ASK, "GET", 0}, {SEND, RESP("200 OK", "Transfer-Encoding: chunked\r\n", "2\r\nok\r\n0\r\nA: b\r\n\r\n"), 0}},
     NULL, 1},
    {"the last chunk by itself is no surplus",
     {{ASK, "GET", 0}, {SEND, RESP("200 OK", "Transfer-Encoding: chunked\r\n", "2\r\nok\r\n"), 0}, {WAIT, NULL, 5}, {SEND, "0\r\n\r\n", 0},
      {ASK, "GET", 0}, {SEND, OK2, 0}}, "head 200; ok; .; end done; head 200; ok.; end done reused; ", 1},
    {"until close", {{ASK, "GET", 0}, {SEND, RESP("200 OK", "", "ok"), 0}, {WAIT, NULL, 5}, {FIN, NULL, 0}},
     "head 200; ok; .; end done; ", 1},
    {"until close, but broken", {{ASK, "GET", 0}, {SEND, RESP("200 OK", "", "ok"), 0}, {WAIT, NULL, 5}, {RST, NULL, 0}},
     "head 200; ok; end peer_reset; ", 1},
    {"truncated", {{ASK, "GET", 0}, {SEND, RESP("200 OK", "Content-Length: 9\r\n", "ok"), 0}, {WAIT, NULL, 5}, {FIN, NULL, 0}},
     "head 200; ok; end peer_closed; ", 1},
    {"closed without an answer", {{ASK, "GET", 0}, {WAIT, NULL, 5}, {FIN, NULL, 0}}, "end peer_closed; ", 1},
    {"reset without an answer", {{ASK, "GET", 0}, {WAIT, NULL, 5}, {RST, NULL, 0}}, "end peer_reset; ", 1},
    {"closed on a request over a pooled connection: the caller may repeat it",
     {{ASK, "GET", 0}, {SEND, OK2, 0}, {ASK, "GET", 0}, {FIN, NULL, 0}},
     "head 200; ok.; end done; end peer_closed reused; ", 1},
    {"a pooled connection that was closed is not used", {{ASK, "GET", 0}, {SEND, OK2, 0}, {FIN, NULL, 0}, {WAIT, NULL, 5}, {ASK, "GET", 0}, {SEND, OK2, 0}},
     "head 200; ok.; end done; head 200; ok.; end done; ", 2},
    {"nor one on which bytes came that nobody asked for",
     {{ASK, "GET", 0}, {SEND, OK2, 0}, {SEND, "HTTP/1.1 408 Too Late\r\n\r\n", 0}, {WAIT, NULL, 5}, {ASK, "GET", 0}, {SEND, OK2, 0}},
     "head 200; ok.; end done; head 200; ok.; end done; ", 2},
    {"nor after too much", {{ASK, "GET", 0}, {SEND, OK2 "surplus", 0}, {ASK, "GET", 0}, {SEND, OK2, 0}}, NULL, 2},
    {"nor after Connection: close", {{ASK, "GET", 0}, {SEND, RESP("200 OK", "Content-Length: 2\r\nConnection: close\r\n", "ok"), 0}, {ASK, "GET", 0}, {SEND, OK2, 0}},
     "head 200; ok.; end done; head 200; ok.; end done; ", 2},
    {"nor after idling for 60 s", {{ASK, "GET", 0}, {SEND, OK2, 0}, {WAIT, NULL, 60100}, {ASK, "GET", 0}, {SEND, OK2, 0}},
     "head 200; ok.; end done; head 200; ok.; end done; ", 2},
    {"garbage", {{ASK, "GET", 0}, {SEND, "SSH-2.0-OpenSSH\r\n\r\n", 0}}, "end protocol bad_status_line; ", 1},
    {"length and coding (RFC 9112, 6.1)", {{ASK, "GET", 0}, {SEND, RESP("200 OK", "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 0}},
     "end protocol length_with_transfer_encoding; ", 1},
    {"a bad chunk", {{ASK, "GET", 0}, {SEND, RESP("200 OK", "Transfer-Encoding: chunked\r\n", "zz\r\n"), 0}}, NULL, 1},
    {"101 that nobody asked for", {{ASK, "GET", 0}, {SEND, RESP("101 S", "Connection: upgrade\r\nUpgrade: x\r\n", ""), 0}},
     "end protocol bad_status_line; ", 1},
    {"answered before the request was sent, and closed: the answer is read",
     {{POST, NULL, 100}, {SEND, RESP("413 Too Large", "Content-Length: 2\r\nConnection: close\r\n", "no"), 0}, {FIN, NULL, 0}},
     "head 413; no.; ", 1},
    {"a body that stops for 30 s", {{ASK, "GET", 0}, {SEND, RESP("200 OK", "Content-Length: 9\r\n", "ok"), 0}, {WAIT, NULL, 30200}},
     "head 200; ok; end body_timeout; ", 1},
};
/* clang-format on */

static void stage_open(struct stage *stage, uint64_t seed)
{
    struct nr_sim_conf sim = {.seed = seed,
                              .link = {.latency_min_ns = 100000, .latency_max_ns = 200000}};
    struct nr_addr address;

    memset(stage, 0, sizeof(*stage));
    stage->conf = nr_client_conf_default;
    stage->sim = nr_sim_new(&sim);
    nr_arena_init(&stage->arena, NULL, 0);
    wire_init(&stage->wire, nr_sim_engine(stage->sim, "10.0.0.2"));
    address = wire_listen(&stage->wire, "10.0.0.2:80");
    stage->client = nr_client_new(nr_sim_engine(stage->sim, "10.0.0.1"), &address, &stage->conf);
}

static void stage_wait(struct stage *stage, uint64_t ms)
{
    nr_sim_run(stage->sim, nr_sim_now_ns(stage->sim) + ms * MS);
}

static void stage_close(struct stage *stage)
{
    for (uint32_t i = 0; i < stage->asked; i++)
        if (stage->sides[i].open)
            nr_exchange_reset(stage->sides[i].x);
    nr_client_close(stage->client);
    wire_done(&stage->wire);
    while (nr_sim_step(stage->sim))
        ;
    for (uint32_t i = 0; i < stage->asked; i++)
        assert_false(stage->sides[i].open);
    nr_arena_done(&stage->arena);
    nr_sim_free(stage->sim);
}

static void act(struct stage *stage, const struct act *act)
{
    switch (act->what) {
    case ASK: ask(stage, act->text, NR_BODY_NONE, 0); break;
    case POST: ask(stage, "POST", (int64_t)act->ms + 1, act->ms); break;
    case SEND: wire_send(&stage->wire, nr_span_of(act->text)); break;
    case WAIT: stage_wait(stage, act->ms); break;
    case FIN: nr_sock_shutdown(stage->wire.sock); break;
    case RST: wire_close(&stage->wire, NR_CLOSE_RESET); break;
    case END: break;
    }
}

static void test_talk(void **state)
{
    const struct talk *talk = *state;

    for (uint64_t seed = 0; seed < 8; seed++) {
        struct stage stage;

        stage_open(&stage, seed);
        for (const struct act *next = talk->acts; next->what != END; next++) {
            act(&stage, next);
            if (next->what == ASK || next->what == POST ||
                (next->what == SEND && next[1].what == ASK))
                stage_wait(&stage, 3);
        }
        stage_wait(&stage, 5);
        if (talk->log != NULL)
            assert_string_equal(stage.log, talk->log);
        assert_int_equal(nr_client_counts(stage.client)->connects, talk->connects);
        stage_close(&stage);
    }
}

/* ---- before there is a connection ---- */

static void test_refused(void **state)
{
    struct stage stage;

    stage_open(&stage, 1);
    nr_sim_kill(stage.sim, "10.0.0.2");
    ask(&stage, "GET", NR_BODY_NONE, 0);
    assert_string_equal(stage.log, ""); /* never from inside a verb */
    stage_wait(&stage, 5);
    assert_string_equal(stage.log, "end connect_refused; ");
    nr_sim_revive(stage.sim, "10.0.0.2");
    stage_close(&stage);
}

static void test_connect_timeout(void **state)
{
    struct stage stage;

    stage_open(&stage, 1);
    nr_sim_partition(stage.sim, "10.0.0.1", "10.0.0.2", true);
    ask(&stage, "POST", 3, 2);
    stage_wait(&stage, 990);
    assert_string_equal(stage.log, "");
    stage_wait(&stage, 20);
    assert_string_equal(stage.log, "end connect_timeout; ");
    nr_sim_partition(stage.sim, "10.0.0.1", "10.0.0.2", false);
    stage_close(&stage);
}

static void test_reset_while_connecting(void **state)
{
    struct stage stage;

    stage_open(&stage, 1);
    ask(&stage, "GET", NR_BODY_NONE, 0);
    nr_exchange_reset(stage.sides[0].x);
    assert_string_equal(stage.log, "");
    stage_wait(&stage, 5);
    assert_string_equal(stage.log, "end reset; ");
    assert_int_equal(nr_client_counts(stage.client)->open, 0);
    stage_close(&stage);
}

static void test_pool_is_last_in_first_out(void **state)
{
    struct stage stage;

    stage_open(&stage, 1);
    ask(&stage, "GET", NR_BODY_NONE, 0);
    stage_wait(&stage, 3);
    wire_send(&stage.wire, NR_SPAN(OK2));
    stage_wait(&stage, 3);
    assert_int_equal(nr_client_counts(stage.client)->idle, 1);
    assert_int_equal(nr_io_bufs(nr_sim_engine(stage.sim, "10.0.0.1"))->live, 0);
    nr_client_close(stage.client); /* idle ones close at once */
    stage_wait(&stage, 3);
    assert_true(stage.wire.fin);
    wire_done(&stage.wire);
    while (nr_sim_step(stage.sim))
        ;
    nr_arena_done(&stage.arena);
    nr_sim_free(stage.sim);
}

/* An upstream that reads nothing answers, closes, and resets what still comes: the answer is whole,
 * the rest of the request has nobody to go to, and the exchange must end. */
static void test_early_answer_to_who_still_sends(void **state)
{
    struct stage stage;

    stage_open(&stage, 1);
    stage.wire.deaf = true;
    ask(&stage, "POST", 1 << 20, 1 << 20);
    stage.sides[0].goes_on = true;
    stage_wait(&stage, 20);
    assert_true(stage.sides[0].left > 0 && stage.sides[0].left < 1 << 20);
    wire_send(&stage.wire,
              NR_SPAN(RESP("413 Too Large", "Content-Length: 2\r\nConnection: close\r\n", "no")));
    nr_sock_shutdown(stage.wire.sock);
    stage_wait(&stage, 7);
    assert_string_equal(stage.log, "head 413; no.; ");
    wire_close(&stage.wire, NR_CLOSE_RESET);
    stage_wait(&stage, 20);
    assert_string_equal(stage.log, "head 413; no.; end done; ");
    assert_int_equal(nr_client_counts(stage.client)->open, 0);
    stage_close(&stage);
}

static void test_interims_are_bounded(void **state)
{
    struct stage stage;

    stage_open(&stage, 1);
    ask(&stage, "GET", NR_BODY_NONE, 0);
    stage_wait(&stage, 3);
    wire_send(&stage.wire, NR_SPAN(ELEVEN ELEVEN ELEVEN));
    stage_wait(&stage, 3);
    assert_non_null(strstr(stage.log, "head 102; end protocol head_too_large; "));
    stage_close(&stage);
}

int main(void)
{
    struct CMUnitTest tests[NR_COUNT(talks) + 6] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_connect_timeout),
        cmocka_unit_test(test_reset_while_connecting),
        cmocka_unit_test(test_pool_is_last_in_first_out),
        cmocka_unit_test(test_interims_are_bounded),
        cmocka_unit_test(test_early_answer_to_who_still_sends),
    };

    for (size_t i = 0; i < NR_COUNT(talks); i++)
        tests[i + 6] = (struct CMUnitTest){.name = talks[i].name,
                                           .test_func = test_talk,
                                           .initial_state = (void *)(uintptr_t)&talks[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
