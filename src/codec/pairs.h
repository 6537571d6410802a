/* SPDX-License-Identifier: Apache-2.0 */
/* pairs.h - names and values in a query and in a Cookie field, and percent-encoding both ways.
 *
 * Pure; nothing is copied until it is asked for. A query is taken as forms write it
 * (application/x-www-form-urlencoded): pairs between '&', '+' for a space, escapes. Malformed
 * escapes stand for themselves. Cookies are pairs between ';', values as they are, quotes
 * included: RFC 6265, 4.2.1. */
#ifndef NR_CODEC_PAIRS_H
#define NR_CODEC_PAIRS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "codec/head.h"
#include "naru/span.h"

struct nr_pair {
    struct nr_span name; /* as written */
    struct nr_span value;
    bool has_value; /* "a=" has an empty one, "a" has none */
};

/* Take the next pair off the front of *rest; false when there is none. Empty pairs ("&&") are
 * skipped. */
bool nr_query_next(struct nr_span *rest, struct nr_pair *ret_pair);
bool nr_cookie_next(struct nr_span *rest, struct nr_pair *ret_pair);

/* The first pair after *rest whose decoded name is `name`; *rest goes on behind it. */
bool nr_query_find(struct nr_span *rest, struct nr_span name, struct nr_pair *ret_pair);

/* The value of the first cookie of that name in any Cookie field; ptr NULL when there is none. */
struct nr_span nr_cookie_get(const struct nr_head *head, struct nr_span name);

/* Does escaped text, decoded, equal or begin with `plain`? */
bool nr_query_text_eq(struct nr_span escaped, struct nr_span plain);
bool nr_query_text_starts_with(struct nr_span escaped, struct nr_span plain);

/* Decode into `to`, which has room for escaped.len bytes; returns how many were written. */
size_t nr_query_decode(struct nr_span escaped, char *to);

/* The same for a path, in which '+' stands for itself. */
size_t nr_percent_decode(struct nr_span escaped, char *to);

/* Everything but unreserved characters as escapes (RFC 3986, 2.3); in the arena, or the span
 * itself when nothing had to change. */
struct nr_span nr_percent_encode(struct nr_span plain, struct nr_arena *arena);

#endif
