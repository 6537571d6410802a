/* SPDX-License-Identifier: Apache-2.0 */
/* h1_cases.h - a table row for a head: its bytes, and in one line what must come of them.
 *
 * An accepted head is described as "GET /path?query @authority body=none …", a refused one as
 * "!" and its reason, one whose end has not come as "…". */
#ifndef NR_TESTS_H1_CASES_H
#define NR_TESTS_H1_CASES_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec/h1.h"

#define BYTES(text) (text), sizeof(text) - 1
#define ROWS(array) (sizeof(array) / sizeof((array)[0]))

struct h1_case {
    const char *why; /* the clause, or the attack */
    const char *text;
    size_t len;
    const char *want;
};

enum { FIELDS_MAX = 128, TOLD_BYTES = 512 };

/* Describe what a parser made of an exact copy of the head. method < 0: it is a request. */
typedef void (*describe_fn)(char *head, size_t len, const struct nr_h1_limits *limits, char *told);

static inline void say(char *told, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline void say(char *told, const char *format, ...)
{
    size_t len = strlen(told);
    va_list args;

    va_start(args, format);
    vsnprintf(told + len, TOLD_BYTES - len, format, args);
    va_end(args);
}

static inline void say_text(char *told, const struct nr_head *head, struct nr_text text)
{
    say(told, "%.*s", (int)text.len, head->text + text.at);
}

static inline void say_body(char *told, int64_t body_length)
{
    static const char *const names[] = {"none", "chunked", "close", "tunnel"};

    if (body_length < 0)
        say(told, " body=%s", names[-body_length - 1]);
    else
        say(told, " body=%" PRId64, body_length);
}

/* Live end-to-end fields, as they would be forwarded. */
static inline void say_fields(char *told, const struct nr_head *head)
{
    for (uint16_t i = 0; i < head->field_count; i++) {
        const struct nr_field *field = &head->fields[i];
        struct nr_span name = nr_head_name(head, field);
        struct nr_span value = nr_head_value(head, field);

        if (nr_field_goes_on(field) && field->id != NR_FIELD_HOST)
            say(told, " [%.*s=%.*s]", (int)name.len, name.ptr, (int)value.len, value.ptr);
    }
}

/* Scan a buffer that grows from `pieces` cuts, parse when complete. The buffer is exactly as
 * large as what has arrived, so that a sanitizer sees any read beyond. */
static inline void tell_in_pieces(const struct h1_case *row, const size_t *cuts, size_t cut_count,
                                  describe_fn describe, char *told)
{
    uint32_t scanned = 0, head_bytes = 0;
    enum nr_h1_reason reason = NR_H1_OK;
    enum nr_h1_scan scan = NR_H1_SCAN_MORE;

    told[0] = '\0';
    for (size_t i = 0; i <= cut_count && scan == NR_H1_SCAN_MORE; i++) {
        size_t len = i < cut_count ? cuts[i] : row->len;
        char *bytes = malloc(len + 1); /* one spare that malloc(0) is not NULL */

        assert_non_null(bytes);
        memcpy(bytes, row->text, len);
        scan = nr_h1_scan_head((struct nr_span){bytes, len}, &nr_h1_limits_default, &scanned,
                               &head_bytes, &reason);
        free(bytes);
    }
    if (scan == NR_H1_SCAN_MORE) {
        say(told, "…");
    } else if (scan == NR_H1_SCAN_BAD) {
        say(told, "!%s", nr_h1_reason_text(reason));
    } else {
        char *head = malloc(head_bytes);

        assert_non_null(head);
        memcpy(head, row->text, head_bytes);
        describe(head, head_bytes, &nr_h1_limits_default, told);
        free(head);
    }
}

/* The row as a whole, cut in two at every byte, and byte by byte. */
static inline void check_case(const struct h1_case *row, describe_fn describe)
{
    char told[TOLD_BYTES];
    size_t *every = malloc((row->len + 1) * sizeof(*every));

    assert_non_null(every);
    tell_in_pieces(row, NULL, 0, describe, told);
    if (strcmp(told, row->want) != 0)
        fail_msg("%s: %s\n  want %s\n  got  %s", row->why, row->text, row->want, told);
    for (size_t cut = 0; cut <= row->len; cut++) {
        every[cut] = cut;
        tell_in_pieces(row, &cut, 1, describe, told);
        if (strcmp(told, row->want) != 0)
            fail_msg("%s, cut at %zu\n  want %s\n  got  %s", row->why, cut, row->want, told);
    }
    tell_in_pieces(row, every, row->len + 1, describe, told);
    assert_string_equal(told, row->want);
    free(every);
}

static inline void check_cases(const struct h1_case *rows, size_t count, describe_fn describe)
{
    for (size_t i = 0; i < count; i++)
        check_case(&rows[i], describe);
}

#endif
