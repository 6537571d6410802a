/* SPDX-License-Identifier: Apache-2.0 */
/* log_rules.h - which requests have a line in the access log, and what it does not show.
 *
 * Made from observe.access_log by nr_log_rules_new, immutable, shared by all workers. Rules of
 * zeros write every line as it is. */
#ifndef NR_OBSERVE_LOG_RULES_H
#define NR_OBSERVE_LOG_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/record.h"
#include "naru/span.h"

struct nr_access_log_conf;

struct nr_log_rules {
    uint32_t left_out;   /* of 2^32 requests that went well, so many have no line */
    uint64_t slow_us;    /* … unless they took this long; 0: no time is slow */
    bool query;          /* is written at all */
    struct nr_span user; /* the field that says who asks; empty: none */
    uint32_t redact_count;
    const struct nr_span *redact; /* parameters of the query whose values are not shown */
};

/* A copy that depends on nothing; free() frees it. */
struct nr_log_rules *nr_log_rules_new(const struct nr_access_log_conf *conf);

bool nr_log_rules_equal(const struct nr_log_rules *a, const struct nr_log_rules *b);

/* Decided by the request's id, so that several narus that carry a request agree. What failed is
 * never left out. */
bool nr_log_rules_want(const struct nr_log_rules *rules, const struct nr_record *record);

/* The query with "***" for each value that is not to be shown: itself if there is none, else a copy
 * in `to`. What has no room there is left away. */
struct nr_span nr_log_rules_query(const struct nr_log_rules *rules, struct nr_span query, char *to,
                                  size_t bytes);

#endif
