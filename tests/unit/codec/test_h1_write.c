/* SPDX-License-Identifier: Apache-2.0 */
/* Writing heads: exact bytes in tables, and any head that is written reads back as itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "codec/h1.h"

enum { ROOM_BYTES = 64 * 1024, FIELDS_MAX = 64 };

static void parse(const char *text, char *bytes, struct nr_field *fields, struct nr_head *head)
{
    strcpy(bytes, text);
    assert_int_equal(
        nr_h1_parse_request(bytes, strlen(text), &nr_h1_limits_default, fields, FIELDS_MAX, head),
        NR_H1_OK);
}

/* clang-format off */
static const struct {
    const char *why;
    const char *text;
    struct nr_h1_framing framing;
    const char *want;
} requests[] = {
    {"as it came", "GET /a?b HTTP/1.1\r\nHost: a\r\nX-A: b\r\nx-b: c\r\n\r\n", {.body_length = NR_BODY_NONE},
     "GET /a?b HTTP/1.1\r\nHost: a\r\nX-A: b\r\nx-b: c\r\n\r\n"},
    {"9112 3.2: Host comes first", "GET / HTTP/1.1\r\nX-A: b\r\nhOST: a\r\nX-B: c\r\n\r\n", {.body_length = NR_BODY_NONE},
     "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\nX-B: c\r\n\r\n"},
    {"9112 3.2.2: Host is replaced", "GET http://b:1/c?d HTTP/1.1\r\nHost: a\r\n\r\n", {.body_length = NR_BODY_NONE},
     "GET /c?d HTTP/1.1\r\nHost: b:1\r\n\r\n"},
    {"9112 3.2.4", "OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n", {.body_length = NR_BODY_NONE},
     "OPTIONS * HTTP/1.1\r\nHost: b\r\n\r\n"},
    {"white space made canonical", "GET / HTTP/1.1\r\nHost: a\r\nA:b\r\nC: \td \r\nE:\tf\r\nG: h\t\r\nI:\r\nJ: k\r\n\r\n", {.body_length = NR_BODY_NONE},
     "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nC: d\r\nE: f\r\nG: h\r\nI: \r\nJ: k\r\n\r\n"},
    {"the canonical path is sent", "GET /%61%2d%c3?%61 HTTP/1.1\r\nHost: a\r\n\r\n", {.body_length = NR_BODY_NONE},
     "GET /a-%C3?%61 HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"an empty query is kept", "GET /%61? HTTP/1.1\r\nHost: a\r\n\r\n", {.body_length = NR_BODY_NONE},
     "GET /a? HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"9110 7.6.1: what is for this hop stays", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-A\r\nX-A: b\r\nKeep-Alive: x\r\nX-C: d\r\nProxy-Connection: e\r\nTrailer: f\r\nUpgrade: g\r\n\r\n", {.body_length = NR_BODY_NONE},
     "GET / HTTP/1.1\r\nHost: a\r\nX-C: d\r\n\r\n"},
    {"9112 6.2", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 007\r\nX-A: b\r\n\r\n", {.body_length = 7},
     "POST / HTTP/1.1\r\nHost: a\r\nX-A: b\r\nContent-Length: 7\r\n\r\n"},
    {"chunked in, length out", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", {.body_length = 0},
     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"},
    {"length in, chunked out", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", {.body_length = NR_BODY_CHUNKED},
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {"largest length", "POST / HTTP/1.1\r\nHost: a\r\n\r\n", {.body_length = INT64_MAX},
     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807\r\n\r\n"},
    {"9112 9.6", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", {.body_length = NR_BODY_NONE, .close = true},
     "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"},
    {"9110 7.8", "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nX-A: b\r\n\r\n", {.body_length = NR_BODY_NONE, .upgrade = true},
     "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"},
    {"9110 10.1.4", "GET / HTTP/1.1\r\nHost: a\r\nTE: gzip, trailers\r\nConnection: te\r\n\r\n", {.body_length = NR_BODY_NONE, .close = true},
     "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, TE\r\nTE: trailers\r\n\r\n"},
};

static const struct {
    const char *why;
    uint16_t status;
    struct nr_h1_framing framing;
    const char *want;
} responses[] = {
    {"9112 4", 200, {.body_length = 5}, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"},
    {"unregistered", 599, {.body_length = 0}, "HTTP/1.1 599 \r\nContent-Length: 0\r\n\r\n"},
    {"no body must be said", 404, {.body_length = NR_BODY_NONE}, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"},
    {"chunked", 200, {.body_length = NR_BODY_CHUNKED}, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {"until close", 200, {.body_length = NR_BODY_CLOSE, .close = true}, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"},
    {"9112 C.2.2", 200, {.body_length = 1, .keep_alive_10 = true}, "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n"},
    {"to HEAD", 200, {.body_length = 5}, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"},
    {"to HEAD, unknown", 200, {.body_length = NR_BODY_NONE, .omit_length = true}, "HTTP/1.1 200 OK\r\n\r\n"},
    {"9110 8.6: never in 204", 204, {.body_length = 0}, "HTTP/1.1 204 No Content\r\n\r\n"},
    {"9112 6.1: never in 204", 204, {.body_length = NR_BODY_CHUNKED}, "HTTP/1.1 204 No Content\r\n\r\n"},
    {"9110 8.6: never in 1xx", 103, {.body_length = 0}, "HTTP/1.1 103 Early Hints\r\n\r\n"},
    {"304 without", 304, {.body_length = NR_BODY_NONE}, "HTTP/1.1 304 Not Modified\r\n\r\n"},
    {"304 with", 304, {.body_length = 5}, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"},
    {"101", 101, {.body_length = NR_BODY_TUNNEL, .upgrade = true}, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\n"},
};
/* clang-format on */

static void requests_to_the_byte(void **state)
{
    static char bytes[4096], room[ROOM_BYTES];
    struct nr_field fields[FIELDS_MAX];
    struct nr_head head;

    (void)state;
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        size_t most, len;

        parse(requests[i].text, bytes, fields, &head);
        most = nr_h1_head_bytes(&head);
        len = nr_h1_write_request(room, most, &head, &requests[i].framing);
        assert_true(len <= most);
        room[len] = '\0';
        if (strcmp(room, requests[i].want) != 0)
            fail_msg("%s\n  want %s\n  got  %s", requests[i].why, requests[i].want, room);
    }
}

static void responses_to_the_byte(void **state)
{
    static char room[ROOM_BYTES];
    struct nr_arena arena;
    struct nr_head head;

    (void)state;
    nr_arena_init(&arena, NULL, 0);
    for (size_t i = 0; i < sizeof(responses) / sizeof(responses[0]); i++) {
        size_t len;

        nr_head_init_response(&head, &arena, responses[i].status);
        len = nr_h1_write_response(room, nr_h1_head_bytes(&head), &head, &responses[i].framing);
        room[len] = '\0';
        if (strcmp(room, responses[i].want) != 0)
            fail_msg("%s\n  want %s\n  got  %s", responses[i].why, responses[i].want, room);
    }
    nr_arena_done(&arena);
}

/* A handler cannot frame: its Content-Length or Connection is not written, whatever it says. */
static void added_framing_fields_are_not_written(void **state)
{
    static const struct nr_h1_framing framing = {.body_length = 1};
    char room[1024];
    struct nr_arena arena;
    struct nr_head head;
    size_t len;

    (void)state;
    nr_arena_init(&arena, NULL, 0);
    nr_head_init_response(&head, &arena, 200);
    nr_head_add(&head, &arena, NR_SPAN("X-A"), NR_SPAN("b"));
    nr_head_add(&head, &arena, NR_SPAN("content-length"), NR_SPAN("99"));
    nr_head_add(&head, &arena, NR_SPAN("Connection"), NR_SPAN("close"));
    nr_head_add(&head, &arena, NR_SPAN("Transfer-Encoding"), NR_SPAN("chunked"));
    nr_head_add(&head, &arena, NR_SPAN("X-C"), NR_SPAN(""));
    len = nr_h1_write_response(room, sizeof(room), &head, &framing);
    room[len] = '\0';
    assert_string_equal(room, "HTTP/1.1 200 OK\r\nX-A: b\r\nX-C: \r\nContent-Length: 1\r\n\r\n");
    nr_arena_done(&arena);
}

static void trailers_to_the_byte(void **state)
{
    char bytes[] = "grpc-status:0\r\nX:  y\r\nZ: a\r\n\r\n", room[1024];
    struct nr_field fields[4];
    struct nr_head head;
    size_t len;

    (void)state;
    assert_int_equal(
        nr_h1_parse_trailers(bytes, sizeof(bytes) - 1, &nr_h1_limits_default, fields, 4, &head),
        NR_H1_OK);
    len = nr_h1_write_trailers(room, sizeof(room), &head);
    room[len] = '\0';
    assert_string_equal(room, "grpc-status: 0\r\nX: y\r\nZ: a\r\n\r\n");
}

static void chunk_lines(void **state)
{
    static const struct {
        uint64_t size;
        const char *want;
    } rows[] = {
        {0, "0\r\n"},        {1, "1\r\n"},
        {15, "f\r\n"},       {16, "10\r\n"},
        {500, "1f4\r\n"},    {0x10000, "10000\r\n"},
        {65535, "ffff\r\n"}, {UINT64_MAX, "ffffffffffffffff\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char room[NR_H1_CHUNK_LINE_BYTES + 1];
        size_t len = nr_h1_write_chunk_line(room, rows[i].size);

        assert_true(len <= NR_H1_CHUNK_LINE_BYTES);
        room[len] = '\0';
        assert_string_equal(room, rows[i].want);
    }
}

/* ---- any head reads back as itself ---- */

static const char name_chars[] = "!#$%&'*+-.^_`|~0123456789abcdefXYZ";
static const char value_chars[] = "abc \t:;,=\"\\/?[]{}\x80\xff";

/* At most max bytes; white space neither first nor last. */
static struct nr_span any(struct nr_random *random, const char *from, size_t max, char *to)
{
    size_t len = nr_random_below(random, max + 1);

    for (size_t i = 0; i < len; i++)
        to[i] = from[nr_random_below(random, strlen(from))];
    return nr_span_trim((struct nr_span){to, len});
}

static struct nr_span any_name(struct nr_random *random, char *to)
{
    static const struct nr_span known[] = {
        {"Accept", 6}, {"x-request-id", 12}, {"Via", 3}, {"AUTHORIZATION", 13}, {"Cookie", 6}};
    struct nr_span name;

    if (nr_random_below(random, 3) == 0)
        return known[nr_random_below(random, sizeof(known) / sizeof(known[0]))];
    to[0] = 'x'; /* never a name that means something */
    name = any(random, name_chars, 20, to + 1);
    return (struct nr_span){to, name.len + 1};
}

static void make(struct nr_random *random, struct nr_head *head, struct nr_arena *arena)
{
    static const struct nr_span targets[] = {
        {"/", 1}, {"/a/b.c;d", 8}, {"/%C3%A9?", 8}, {"/a?b=%2f", 8}};
    size_t fields = nr_random_below(random, 30);
    char name[64], value[256];

    nr_head_init_request(head, arena, NR_SPAN("PATCH"), NR_SPAN("a.example:81"),
                         targets[nr_random_below(random, 4)]);
    for (size_t i = 0; i < fields; i++)
        nr_head_add(head, arena, any_name(random, name), any(random, value_chars, 200, value));
    if (fields > 4) {
        head->fields[nr_random_below(random, fields)].flags |= NR_FIELD_REMOVED;
        nr_head_remove(head, NR_FIELD_COOKIE);
    }
}

static void same(const struct nr_head *a, const struct nr_head *b)
{
    uint16_t live = 0;

    assert_true(nr_span_eq(nr_head_text(a, a->path), nr_head_text(b, b->path)));
    assert_true(nr_span_eq(nr_head_text(a, a->query), nr_head_text(b, b->query)));
    assert_true(nr_span_eq(nr_head_text(a, a->authority), nr_head_text(b, b->authority)));
    assert_int_equal(a->has_query, b->has_query);
    for (uint16_t i = 0; i < a->field_count; i++) {
        const struct nr_field *x = &a->fields[i], *y = &b->fields[live + 1]; /* after Host */

        if (!nr_field_goes_on(x))
            continue;
        assert_true(++live < b->field_count);
        assert_int_equal(x->id, y->id);
        assert_true(nr_span_eq(nr_head_name(a, x), nr_head_name(b, y)));
        assert_true(nr_span_eq(nr_head_value(a, x), nr_head_value(b, y)));
    }
    assert_int_equal(live + 1, b->field_count);
}

static void any_head_reads_back_as_itself(void **state)
{
    static const struct nr_h1_framing framing = {.body_length = NR_BODY_NONE};
    static char room[ROOM_BYTES];

    (void)state;
    for (uint64_t seed = 0; seed < 2000; seed++) {
        struct nr_field fields[FIELDS_MAX];
        struct nr_head head, copy, again;
        struct nr_random random;
        struct nr_arena arena;
        size_t len;

        nr_random_init(&random, seed);
        nr_arena_init(&arena, NULL, 0);
        make(&random, &head, &arena);
        nr_head_copy(&copy, &head, &arena);
        len = nr_h1_write_request(room, nr_h1_head_bytes(&copy), &copy, &framing);
        assert_int_equal(
            nr_h1_parse_request(room, len, &nr_h1_limits_default, fields, FIELDS_MAX, &again),
            NR_H1_OK);
        same(&head, &again);
        nr_arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_to_the_byte),
        cmocka_unit_test(responses_to_the_byte),
        cmocka_unit_test(added_framing_fields_are_not_written),
        cmocka_unit_test(trailers_to_the_byte),
        cmocka_unit_test(chunk_lines),
        cmocka_unit_test(any_head_reads_back_as_itself),
    };

    return cmocka_run_group_tests_name("h1_write", tests, NULL, NULL);
}
