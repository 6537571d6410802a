/* SPDX-License-Identifier: Apache-2.0 */
/* review_rules.h - the rules between modules, a file for each matter. Internal to src/foresight. */
#ifndef NR_FORESIGHT_REVIEW_RULES_H
#define NR_FORESIGHT_REVIEW_RULES_H

#include "config/check.h"
#include "gateway/gateway_conf.h"
#include "service/service_conf.h"

extern const struct nr_check_rules nr_review_time_rules;    /* review_times.c */
extern const struct nr_check_rules nr_review_retry_rules;   /* review_retries.c */
extern const struct nr_check_rules nr_review_failure_rules; /* review_failures.c */
extern const struct nr_check_rules nr_review_size_rules;    /* review_sizes.c */
extern const struct nr_check_rules nr_review_limit_rules;   /* review_limits.c */
extern const struct nr_check_rules nr_review_policy_rules;  /* review_policies.c */
extern const struct nr_check_rules nr_review_secret_rules;  /* review_secrets.c */

static inline double nr_review_per_s(struct nr_rate rate)
{
    return (double)rate.count * 1e9 / (double)rate.per_ns;
}

static inline unsigned long long nr_review_ms(uint64_t ns)
{
    return ns / 1000000;
}

/* A span for %.*s. */
#define NR_REVIEW_SPAN(span) (int)(span).len, (span).ptr

#endif
