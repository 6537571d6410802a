/* SPDX-License-Identifier: Apache-2.0 */
/* span.h - a borrowed run of bytes.
 *
 * A span owns nothing and is not NUL-terminated. Whoever hands one out says how
 * long its bytes stay valid. */
#ifndef NARU_SPAN_H
#define NARU_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct nr_span {
    const char *ptr;
    size_t len;
};

/* A span over a string literal, without its NUL. */
#define NR_SPAN(literal) ((struct nr_span){(literal), sizeof(literal) - 1})

static inline struct nr_span nr_span_of(const char *cstr)
{
    return (struct nr_span){cstr, strlen(cstr)};
}

static inline bool nr_span_eq(struct nr_span a, struct nr_span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* ASCII only, whatever the locale: field names and tokens, never human text. */
static inline char nr_ascii_lower(char c)
{
    return (c >= 'A' && c <= 'Z') ? (char)(c + ('a' - 'A')) : c;
}

static inline bool nr_span_eq_nocase(struct nr_span a, struct nr_span b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (nr_ascii_lower(a.ptr[i]) != nr_ascii_lower(b.ptr[i]))
            return false;
    return true;
}

static inline bool nr_span_starts_with(struct nr_span s, struct nr_span prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

/* The rest of the span from byte `at` on; at <= s.len. */
static inline struct nr_span nr_span_from(struct nr_span s, size_t at)
{
    return (struct nr_span){s.ptr + at, s.len - at};
}

/* Without the optional white space (SP, HTAB) at both ends: RFC 9110, 5.6.3. */
static inline struct nr_span nr_span_trim(struct nr_span s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

#endif
