/* SPDX-License-Identifier: Apache-2.0 */
/* regex.h - regular expressions with bounded cost, for what no plainer match can say.
 *
 * PCRE2, compiled to machine code where the system allows it. A pattern always matches the whole
 * text. A match that takes more than NR_REGEX_STEPS_MAX steps is given up and counts as none, so
 * that no request makes a pattern run away. An nr_regex is immutable; any thread may match.
 *
 * Matching allocates nothing once each thread that matches at the same time has done so once. */
#ifndef NR_GATEWAY_REGEX_H
#define NR_GATEWAY_REGEX_H

#include <stdbool.h>
#include <stdint.h>

#include "naru/err.h"
#include "naru/span.h"

enum {
    NR_REGEX_BYTES_MAX = 1024,
    NR_REGEX_GROUPS_MAX = 16, /* the whole match, "0", included */
    NR_REGEX_STEPS_MAX = 20000,
};

struct nr_regex;

/* The error says what is wrong and where in the pattern. */
enum nr_code nr_regex_new(struct nr_span pattern, struct nr_regex **ret_regex,
                          struct nr_err *err) NR_MUST_USE;
void nr_regex_free(struct nr_regex *regex); /* NULL is fine */

/* Does all of text match? groups may be NULL, or have room for NR_REGEX_GROUPS_MAX spans into text;
 * ptr is NULL for those that took no part. */
bool nr_regex_match(const struct nr_regex *regex, struct nr_span text, struct nr_span *groups);

/* The group of this name ("id") or number ("1"); -1: none. */
int nr_regex_group(const struct nr_regex *regex, struct nr_span name);

/* What the pattern could be written as without a regular expression: "/a/b" for a literal, "/a" and
 * a star for a literal and ".*" behind it. Empty: nothing plainer. Writes to `to`,
 * NUL-terminated. */
void nr_regex_plainer(struct nr_span pattern, char *to, size_t room);

#endif
