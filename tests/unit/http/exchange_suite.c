/* SPDX-License-Identifier: Apache-2.0 */
/* What every carrier of exchanges must do: stories, told on each by seed.
 *
 * Both sides are actors. An actor follows its plan (what to send, when, how), writes down what it
 * is told, and checks the order of events as they come: heads, body, trailers, one end,
 * nothing after it, and never an event from inside a verb. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "carrier.h"

enum { STEPS_MAX = 20000000, EXCHANGES_MAX = 100 };

enum when { NEVER, AT_HEAD, AT_BODY, AT_WRITABLE, AT_ENDED };

struct plan {
    uint16_t status;
    int interims;
    int64_t announced; /* body_length of the head; NR_BODY_CHUNKED: send_bytes all the same */
    uint64_t send_bytes;
    bool echo; /* send what comes in */
    bool trailers;
    bool after_body; /* answer only when the request is complete */
    bool deaf;       /* consume nothing until told to */
    enum when reset;
    const char *method;
};

struct story {
    const char *name;
    struct plan client, server;
    unsigned client_end, server_end; /* bit sets of enum nr_end; 0: DONE */
    int count;                       /* exchanges, all at once; 0: 1 */
};

struct actor {
    const struct plan *plan;
    struct nr_exchange *x;
    struct nr_arena *arena;
    bool serving, head_sent, out_done, in_ended, ended, in_verb, got_trailers;
    int interims, status;
    uint64_t sent, got;
    uint8_t salt;
    enum nr_end end;
};

struct stage {
    struct nr_handler handler;
    struct carrier *carrier;
    const struct story *story;
    struct actor clients[EXCHANGES_MAX], servers[EXCHANGES_MAX];
    struct nr_arena arenas[EXCHANGES_MAX];
    int served, over;
};

static uint8_t content(uint64_t at)
{
    return (uint8_t)(at * 131 + (at >> 8) * 17);
}

/* ---- sending ---- */

static void finish_out(struct actor *a)
{
    struct nr_head trailers;

    a->out_done = true;
    if (!a->plan->trailers)
        return;
    nr_head_init_response(&trailers, a->arena, 200);
    nr_head_add(&trailers, a->arena, NR_SPAN("X-Sum"), NR_SPAN("42"));
    nr_exchange_send_trailers(a->x, &trailers);
}

static void echo(struct actor *a)
{
    struct nr_span bytes = nr_exchange_pending(a->x);
    bool ended = a->in_ended;
    size_t taken = bytes.len > 0 || ended
                       ? nr_exchange_send_body(a->x, bytes, ended && !a->plan->trailers)
                       : 0;

    a->sent += taken;
    a->got += taken;
    nr_exchange_consume(a->x, taken);
    if (taken == bytes.len && ended)
        finish_out(a);
}

static void pump(struct actor *a)
{
    char bytes[5000];

    a->in_verb = true;
    if (a->head_sent && !a->out_done && a->plan->echo) {
        echo(a);
    } else {
        while (a->head_sent && !a->out_done) {
            uint64_t left = a->plan->send_bytes - a->sent;
            size_t len = left < sizeof(bytes) ? (size_t)left : sizeof(bytes), taken;
            bool last = len == left;

            for (size_t i = 0; i < len; i++)
                bytes[i] = (char)content(a->sent + i);
            taken = nr_exchange_send_body(a->x, (struct nr_span){bytes, len},
                                          last && !a->plan->trailers);
            a->sent += taken;
            if (taken < len)
                break;
            if (last)
                finish_out(a);
        }
    }
    a->in_verb = false;
}

static bool bodyless(const struct plan *plan)
{
    return plan->send_bytes == 0 && !plan->echo && !plan->trailers;
}

static void send_head(struct actor *a)
{
    struct nr_head head;
    bool ended = a->plan->status == 101 ? !a->serving : bodyless(a->plan);

    a->in_verb = true;
    for (int i = 0; a->serving && i < a->plan->interims; i++) {
        nr_head_init_response(&head, a->arena, 103);
        nr_head_add(&head, a->arena, NR_SPAN("Link"), NR_SPAN("</style.css>"));
        nr_exchange_send_head(a->x, &head, false);
    }
    if (a->serving) {
        nr_head_init_response(&head, a->arena, a->plan->status);
    } else {
        nr_head_init_request(&head, a->arena,
                             nr_span_of(a->plan->method != NULL ? a->plan->method : "POST"),
                             NR_SPAN("host"), NR_SPAN("/a?b"));
    }
    if (a->plan->status == 101) {
        nr_head_add(&head, a->arena, NR_SPAN("Upgrade"), NR_SPAN("bytes"));
        head.upgrade = true;
    }
    head.body_length = a->plan->announced;
    a->head_sent = true;
    a->out_done = ended;
    nr_exchange_send_head(a->x, &head, ended);
    a->in_verb = false;
    if (a->serving || a->plan->status != 101)
        pump(a);
}

static bool due(struct actor *a, enum when when)
{
    if (a->plan->reset != when)
        return false;
    nr_exchange_reset(a->x);
    nr_exchange_reset(a->x); /* harmless */
    return true;
}

/* ---- events ---- */

static void take(struct actor *a)
{
    struct nr_span bytes = nr_exchange_pending(a->x);

    if (a->plan->echo) {
        pump(a);
        return;
    }
    if (a->plan->deaf)
        return;
    while (bytes.len > 0) { /* in two pieces, because one may */
        size_t half = (bytes.len + 1) / 2;

        for (size_t i = 0; i < half; i++)
            if ((uint8_t)bytes.ptr[i] != content(a->got + i))
                fail_msg("byte %llu is wrong", (unsigned long long)(a->got + i));
        a->got += half;
        nr_exchange_consume(a->x, half);
        bytes = nr_exchange_pending(a->x);
    }
}

static void on_ended(struct actor *a)
{
    assert_false(a->in_ended);
    a->in_ended = true;
    if (due(a, AT_ENDED))
        return;
    if (a->serving && !a->head_sent)
        send_head(a);
}

static void on_body(struct nr_exchange *x, bool ended)
{
    struct actor *a = x->owner;

    assert_false(a->in_verb || a->ended || a->in_ended);
    if (due(a, AT_BODY))
        return;
    if (ended)
        on_ended(a);
    take(a);
}

static void on_trailers(struct nr_exchange *x, struct nr_head *trailers)
{
    struct actor *a = x->owner;

    assert_false(a->in_verb || a->ended || a->got_trailers);
    assert_int_equal(nr_exchange_pending(x).len, 0);
    assert_non_null(nr_head_find_name(trailers, NR_SPAN("x-sum"), NULL));
    a->got_trailers = true;
    on_ended(a);
    take(a);
}

static void on_writable(struct nr_exchange *x)
{
    struct actor *a = x->owner;

    assert_false(a->in_verb || a->ended);
    if (due(a, AT_WRITABLE))
        return;
    pump(a);
}

static void on_end(struct nr_exchange *x, enum nr_end end)
{
    struct actor *a = x->owner;

    assert_false(a->in_verb || a->ended);
    a->ended = true;
    a->end = end;
}

static void on_head(struct nr_exchange *x, struct nr_head *head, bool ended)
{
    struct actor *a = x->owner;

    assert_false(a->in_verb || a->ended);
    assert_int_equal(a->status, 0);
    if (head->status < 200 && head->status != 101) {
        assert_int_equal(head->status, 103);
        assert_false(ended);
        a->interims++;
        return;
    }
    a->status = head->status;
    if (due(a, AT_HEAD))
        return;
    if (head->status == 101) {
        a->out_done = false;
        pump(a);
    }
    if (ended)
        on_ended(a);
}

static const struct nr_exchange_events events = {on_head, on_body, on_trailers, on_writable,
                                                 on_end};

static void on_request(struct nr_handler *handler, struct nr_exchange *x, struct nr_head *head,
                       bool ended)
{
    struct stage *stage = (struct stage *)handler;
    struct actor *a = &stage->servers[stage->served++];

    assert_true(stage->served <= EXCHANGES_MAX);
    assert_true(nr_span_eq(nr_head_text(head, head->path), NR_SPAN("/a")));
    assert_true(nr_span_eq(nr_head_text(head, head->query), NR_SPAN("b")));
    *a = (struct actor){.plan = &stage->story->server, .x = x, .arena = x->arena, .serving = true};
    x->owner = a;
    x->events = &events;
    if (due(a, AT_HEAD))
        return;
    if (ended && a->plan->status != 101)
        a->in_ended = true;
    if (ended && due(a, AT_ENDED))
        return;
    if (ended || !a->plan->after_body)
        send_head(a);
}

static void on_refused(struct nr_handler *handler, struct nr_exchange *x, struct nr_head *head,
                       uint16_t status, const char *reason)
{
    fail_msg("refused: %u %s", status, reason);
}

/* ---- telling a story ---- */

#define END(name) (1u << NR_END_##name)
#define BROKEN    (END(PEER_CLOSED) | END(PEER_RESET))
#define KIB       1024u
#define CHUNKS    NR_BODY_CHUNKED
#define FLOOD     (32 * 1024 * KIB) /* more than any pair of socket buffers holds */
#define NOTHING   NR_BODY_NONE

/* clang-format off */
static const struct story stories[] = {
    {"a question and an answer",
     {.announced = NOTHING, .method = "GET"}, {.status = 200, .announced = 5, .send_bytes = 5}, 0, 0, 0},
    {"no body either way",
     {.announced = NOTHING, .method = "GET"}, {.status = 204, .announced = NOTHING}, 0, 0, 0},
    {"an empty body of known length",
     {.announced = 0}, {.status = 200, .announced = 0}, 0, 0, 0},
    {"HEAD is told the length and gets no body",
     {.announced = NOTHING, .method = "HEAD"}, {.status = 200, .announced = 1234}, 0, 0, 0},
    {"early hints",
     {.announced = NOTHING, .method = "GET"}, {.status = 200, .interims = 3, .announced = 10, .send_bytes = 10}, 0, 0, 0},
    {"echo of one byte",
     {.announced = 1, .send_bytes = 1}, {.status = 200, .announced = CHUNKS, .echo = true}, 0, 0, 0},
    {"echo, length known",
     {.announced = 20000, .send_bytes = 20000}, {.status = 200, .announced = 20000, .echo = true}, 0, 0, 0},
    {"echo, length unknown",
     {.announced = CHUNKS, .send_bytes = 20000}, {.status = 200, .announced = CHUNKS, .echo = true}, 0, 0, 0},
    {"echo behind the request's end",
     {.announced = CHUNKS, .send_bytes = 9000}, {.status = 200, .announced = CHUNKS, .send_bytes = 3000, .after_body = true}, 0, 0, 0},
    {"trailers both ways",
     {.announced = CHUNKS, .send_bytes = 3000, .trailers = true},
     {.status = 200, .announced = CHUNKS, .echo = true, .trailers = true}, 0, 0, 0},
    {"trailers without a body",
     {.announced = CHUNKS, .trailers = true}, {.status = 200, .announced = CHUNKS, .trailers = true, .after_body = true}, 0, 0, 0},
    {"a big answer",
     {.announced = NOTHING, .method = "GET"}, {.status = 200, .announced = 300 * KIB, .send_bytes = 300 * KIB}, 0, 0, 0},
    {"a big request",
     {.announced = 300 * KIB, .send_bytes = 300 * KIB}, {.status = 200, .announced = 3, .send_bytes = 3, .after_body = true}, 0, 0, 0},
    {"an early answer, and the rest of the request given up",
     {.announced = FLOOD, .send_bytes = FLOOD, .reset = AT_ENDED},
     {.status = 413, .announced = 5, .send_bytes = 5, .deaf = true}, END(RESET), 0, 0},
    {"an early answer, and the request sent all the same",
     {.announced = CHUNKS, .send_bytes = 9000},
     {.status = 200, .announced = CHUNKS, .send_bytes = 5000, .deaf = true}, END(DONE), END(DONE), 0},
    {"an upgrade becomes bytes both ways",
     {.status = 101, .announced = NOTHING, .method = "GET", .send_bytes = 6000},
     {.status = 101, .announced = NR_BODY_TUNNEL, .send_bytes = 9000}, 0, 0, 0},
    {"the client resets at the answer's head",
     {.announced = NOTHING, .method = "GET", .reset = AT_HEAD},
     {.status = 200, .announced = FLOOD, .send_bytes = FLOOD}, END(RESET), BROKEN, 0},
    {"the client resets within the answer's body",
     {.announced = NOTHING, .method = "GET", .reset = AT_BODY},
     {.status = 200, .announced = FLOOD, .send_bytes = FLOOD}, END(RESET), BROKEN, 0},
    {"the client resets while it sends",
     {.announced = FLOOD, .send_bytes = FLOOD, .reset = AT_WRITABLE},
     {.status = 200, .announced = 3, .send_bytes = 3, .after_body = true}, END(RESET), BROKEN, 0},
    {"the server resets at the head",
     {.announced = NOTHING, .method = "GET"}, {.status = 200, .reset = AT_HEAD}, BROKEN, END(RESET), 0},
    {"the server resets within the request's body",
     {.announced = FLOOD, .send_bytes = FLOOD},
     {.status = 200, .announced = 5, .send_bytes = 5, .after_body = true, .reset = AT_BODY}, BROKEN, END(RESET), 0},
    {"the server resets while it answers",
     {.announced = NOTHING, .method = "GET"},
     {.status = 200, .announced = FLOOD, .send_bytes = FLOOD, .reset = AT_WRITABLE}, BROKEN, END(RESET), 0},
    {"an answer shorter than announced is never taken for the whole",
     {.announced = NOTHING, .method = "GET"}, {.status = 200, .announced = 100, .send_bytes = 50}, BROKEN, END(RESET), 0},
    {"a hundred at once, length known",
     {.announced = 2000, .send_bytes = 2000}, {.status = 200, .announced = 2000, .echo = true}, 0, 0, EXCHANGES_MAX},
    {"a hundred at once, with trailers and early hints",
     {.announced = CHUNKS, .send_bytes = 3000, .trailers = true},
     {.status = 200, .interims = 1, .announced = CHUNKS, .echo = true, .trailers = true}, 0, 0, EXCHANGES_MAX},
};
/* clang-format on */

static void check_end(const struct story *story, const struct actor *a, unsigned allowed)
{
    if (!a->ended)
        fail_msg("%s: the %s saw no end", story->name, a->serving ? "server" : "client");
    if (!((allowed != 0 ? allowed : END(DONE)) & (1u << a->end)))
        fail_msg("%s: the %s's end is %s", story->name, a->serving ? "server" : "client",
                 nr_end_text(a->end));
}

static void check(const struct stage *stage, const struct actor *client, const struct actor *server)
{
    const struct story *story = stage->story;
    bool head = story->client.method != NULL && strcmp(story->client.method, "HEAD") == 0;

    check_end(story, client, story->client_end);
    if (server->x != NULL)
        check_end(story, server, story->server_end);
    if (story->client_end != 0 || story->server_end != 0)
        return;
    assert_int_equal(client->status, story->server.status);
    assert_int_equal(client->interims, story->server.interims);
    assert_true(client->in_ended);
    assert_int_equal(server->got, story->client.send_bytes);
    assert_int_equal(client->got, head                 ? 0
                                  : story->server.echo ? story->client.send_bytes
                                                       : story->server.send_bytes);
    assert_int_equal(client->got_trailers, story->server.trailers);
    assert_int_equal(server->got_trailers, story->client.trailers);
    assert_int_equal(client->sent, story->client.send_bytes);
}

static void tell(const struct story *story, uint64_t seed)
{
    struct stage *stage = calloc(1, sizeof(*stage));
    int count = story->count > 0 ? story->count : 1;

    assert_non_null(stage);
    stage->story = story;
    stage->handler = (struct nr_handler){on_request, on_refused};
    stage->carrier = carrier_new(seed, &stage->handler);
    for (int i = 0; i < count; i++) {
        struct actor *a = &stage->clients[i];

        nr_arena_init(&stage->arenas[i], NULL, 0);
        *a = (struct actor){.plan = &story->client, .arena = &stage->arenas[i]};
        a->x = stage->carrier->open(stage->carrier, a->arena, &events, a);
        send_head(a);
    }
    for (int steps = 0; steps < STEPS_MAX && stage->carrier->step(stage->carrier); steps++) {
        bool over = stage->served == count || stage->clients[0].end == NR_END_RESET;

        for (int i = 0; over && i < count; i++)
            over = stage->clients[i].ended && (stage->servers[i].ended || i >= stage->served);
        if (over)
            break;
    }
    if (!(story->client_end & END(RESET))) /* a request that is reset may never arrive */
        assert_int_equal(stage->served, count);
    for (int i = 0; i < count; i++)
        check(stage, &stage->clients[i], &stage->servers[i]);
    stage->carrier->free(stage->carrier);
    for (int i = 0; i < count; i++)
        nr_arena_done(&stage->arenas[i]);
    free(stage);
}

static void test_story(void **state)
{
    const struct story *story = *state;
    struct nr_handler none = {on_request, on_refused};
    struct carrier *carrier = carrier_new(0, &none);
    uint32_t runs = carrier->runs;

    carrier->free(carrier);
    for (uint32_t seed = 0; seed < runs; seed++) {
        print_message("# %s, seed %u\n", story->name, seed);
        tell(story, seed);
    }
}

int main(void)
{
    struct CMUnitTest tests[sizeof(stories) / sizeof(stories[0])];

    for (size_t i = 0; i < sizeof(stories) / sizeof(stories[0]); i++)
        tests[i] = (struct CMUnitTest){.name = stories[i].name,
                                       .test_func = test_story,
                                       .initial_state = (void *)(uintptr_t)&stories[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
