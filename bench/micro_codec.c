/* SPDX-License-Identifier: Apache-2.0 */
/* micro_codec.c - nanoseconds per operation of the HTTP/1.1 codec, alone on a core:
 * the smallest of several rounds, because noise only adds. `meson compile bench-micro-codec`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "codec/h1.h"

enum { ROUNDS = 15, REPEATS = 20000, FIELDS_MAX = 100, ROOM_BYTES = 8192, ARENA_BYTES = 16 * 1024 };

static const char head_8[] = "GET /api/orders/12345?expand=items HTTP/1.1\r\n"
                             "Host: shop.example.com\r\n"
                             "User-Agent: wrk/4.1.0 (x86_64)\r\n"
                             "Accept: application/json\r\n"
                             "Accept-Encoding: gzip, deflate, br\r\n"
                             "Connection: keep-alive\r\n"
                             "Authorization: Bearer 0123456789abcdef0123456789abcdef\r\n"
                             "X-Request-Id: 7b0f8a0e-5e0c-4b4e-9d3a-0d6c2a9b1f11\r\n"
                             "Cookie: session=0123456789abcdef; theme=dark\r\n\r\n";

static const char head_wrk[] = "GET /1k HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

static const char answer[] = "HTTP/1.1 200 OK\r\n"
                             "Server: origin\r\n"
                             "Date: Sat, 21 Nov 2026 00:00:00 GMT\r\n"
                             "Content-Type: text/plain\r\n"
                             "Content-Length: 1024\r\n"
                             "Connection: keep-alive\r\n\r\n";

struct bench {
    const char *text;
    size_t len;
    char bytes[ROOM_BYTES]; /* what is parsed: parsing may rewrite it */
    char room[ROOM_BYTES];  /* what is written */
    char memory[ARENA_BYTES];
    struct nr_field fields[FIELDS_MAX];
    struct nr_head head;
    struct nr_head copy;
};

static double now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void scan(struct bench *bench)
{
    uint32_t scanned = 0, head_bytes;
    enum nr_h1_reason reason;

    must(nr_h1_scan_head((struct nr_span){bench->bytes, bench->len}, &nr_h1_limits_default,
                         &scanned, &head_bytes, &reason) == NR_H1_SCAN_DONE);
}

static void parse_request(struct bench *bench)
{
    must(nr_h1_parse_request(bench->bytes, bench->len, &nr_h1_limits_default, bench->fields,
                             FIELDS_MAX, &bench->head) == NR_H1_OK);
}

static void parse_response(struct bench *bench)
{
    must(nr_h1_parse_response(bench->bytes, bench->len, &nr_h1_limits_default, NR_METHOD_GET,
                              bench->fields, FIELDS_MAX, &bench->head) == NR_H1_OK);
}

static void copy(struct bench *bench)
{
    struct nr_arena arena;

    nr_arena_init(&arena, bench->memory, sizeof(bench->memory));
    nr_head_copy(&bench->copy, &bench->head, &arena);
    nr_arena_done(&arena);
}

static void write_request(struct bench *bench)
{
    static const struct nr_h1_framing framing = {.body_length = NR_BODY_NONE};

    must(nr_h1_write_request(bench->room, ROOM_BYTES, &bench->head, &framing) > 0);
}

static void write_response(struct bench *bench)
{
    static const struct nr_h1_framing framing = {.body_length = 1024};

    must(nr_h1_write_response(bench->room, ROOM_BYTES, &bench->head, &framing) > 0);
}

static void measure(const char *what, struct bench *bench, void (*op)(struct bench *))
{
    double best = 1e18;

    for (int round = 0; round < ROUNDS; round++) {
        double start = now_ns(), took;

        for (int i = 0; i < REPEATS; i++)
            op(bench);
        took = (now_ns() - start) / REPEATS;
        best = took < best ? took : best;
    }
    printf("%-32s %7.1f ns\n", what, best);
}

static void load(struct bench *bench, const char *text)
{
    bench->len = strlen(text);
    memcpy(bench->bytes, text, bench->len);
}

int main(void)
{
    static struct bench bench;

    load(&bench, head_8);
    measure("scan, 8 fields", &bench, scan);
    measure("parse request, 8 fields", &bench, parse_request);
    measure("copy head, 8 fields", &bench, copy);
    measure("write request, 8 fields", &bench, write_request);
    load(&bench, head_wrk);
    measure("scan, 1 field", &bench, scan);
    measure("parse request, 1 field", &bench, parse_request);
    measure("copy head, 1 field", &bench, copy);
    measure("write request, 1 field", &bench, write_request);
    load(&bench, answer);
    measure("scan response, 5 fields", &bench, scan);
    measure("parse response, 5 fields", &bench, parse_response);
    measure("write response, 5 fields", &bench, write_response);
    return 0;
}
