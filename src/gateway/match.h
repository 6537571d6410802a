/* SPDX-License-Identifier: Apache-2.0 */
/* match.h - conditions of a route beyond host, path and method: header fields, parameters of the
 * query, cookies, the API version, and a regular expression over the path.
 *
 * All conditions of a match must hold. Where a name comes several times (a repeated field), one
 * of its values must fit; `absent` means that there is none. Values of the query are compared
 * decoded; all comparisons mind case, save field names. Immutable; any thread may ask; nothing is
 * allocated. */
#ifndef NR_GATEWAY_MATCH_H
#define NR_GATEWAY_MATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "codec/head.h"
#include "gateway/regex.h"
#include "naru/span.h"

enum nr_condition_source {
    NR_CONDITION_HEADER,
    NR_CONDITION_QUERY,
    NR_CONDITION_COOKIE,
    NR_CONDITION_VERSION, /* exact only */
    NR_CONDITION_PATH,    /* regex only */
};

enum nr_condition_kind {
    NR_CONDITION_EXACT,
    NR_CONDITION_PREFIX,
    NR_CONDITION_REGEX,
    NR_CONDITION_PRESENT,
    NR_CONDITION_ABSENT,
};

/* How a request may name the version of the API that it wants; the first that does counts, in this
 * order. Without any it wants `fallback`, which may be empty. */
struct nr_version_rules {
    struct nr_span query;  /* a parameter: ?version=2; empty: not looked at */
    struct nr_span header; /* a field: X-Api-Version: 2; empty: not looked at */
    bool accept;           /* application/vnd.shop.v2+json, or ;version=2 */
    struct nr_span fallback;
};

struct nr_condition {
    uint8_t source;         /* enum nr_condition_source */
    uint8_t kind;           /* enum nr_condition_kind */
    struct nr_span name;    /* of the field, parameter or cookie */
    struct nr_span value;   /* or the text of the regex */
    struct nr_regex *regex; /* borrowed */
};

struct nr_match {
    const struct nr_condition *conditions;
    uint32_t count;
    const struct nr_version_rules *versions; /* for NR_CONDITION_VERSION */
};

/* The first condition that does not hold; NULL when all do. head NULL: nothing is there but the
 * path. */
const struct nr_condition *nr_match_failed(const struct nr_match *match, const struct nr_head *head,
                                           struct nr_span path);

/* The version that a request names, without a leading 'v'; empty: none. Into head or rules. */
struct nr_span nr_match_version(const struct nr_version_rules *rules, const struct nr_head *head);

/* "header X-Beta is '1'" for people; NUL-terminated, cut to room. */
void nr_condition_text(const struct nr_condition *condition, char *to, size_t room);

#endif
