/* SPDX-License-Identifier: Apache-2.0 */
/* pattern.h - the path patterns of routes: "/a/b", "/a/{id}/b", and "/a/" followed by '*'.
 *
 * A parameter is a whole segment in braces. The star stands for all the rest and stands only at
 * the end, after '/'; such a pattern also matches without that slash. Pure. */
#ifndef NR_GATEWAY_PATTERN_H
#define NR_GATEWAY_PATTERN_H

#include <stdbool.h>
#include <stdint.h>

#include "naru/err.h"
#include "naru/span.h"

enum { NR_PATTERN_PARAMS_MAX = 16, NR_PATTERN_BYTES_MAX = 4096 };

struct nr_captures {
    struct nr_span params[NR_PATTERN_PARAMS_MAX]; /* in the order of the pattern */
    struct nr_span tail; /* what the star took, without the slash before it; may be empty */
};

/* Is this a pattern that a request can match? Its literal parts must be canonical (codec/uri.h). */
enum nr_code nr_pattern_check(struct nr_span pattern, struct nr_err *err) NR_MUST_USE;

/* How many segments: as many as slashes. */
uint32_t nr_pattern_segments(struct nr_span pattern);

bool nr_pattern_is_prefix(struct nr_span pattern);

/* The parameter of this name; -1: none. */
int nr_pattern_param(struct nr_span pattern, struct nr_span name);

/* What the parameters and the star of the pattern take of a path that it matches; false if it
 * does not match. Spans into path. ret may be NULL. */
bool nr_pattern_match(struct nr_span pattern, struct nr_span path, struct nr_captures *ret);

/* Does every path that `narrow` matches match `wide`, too? */
bool nr_pattern_covers(struct nr_span wide, struct nr_span narrow);

#endif
