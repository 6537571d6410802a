/* SPDX-License-Identifier: Apache-2.0 */
/* retry.h - may a failed attempt be repeated, and if not, why not.
 *
 * Pure. The answer is one of enum nr_record_flag, so the decision record says in the same
 * word what was decided here. */
#ifndef NR_POLICY_RETRY_H
#define NR_POLICY_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/record.h"

struct nr_retry_facts {
    uint32_t attempts;     /* made so far, the failed one included */
    uint32_t attempts_max; /* in all; 0 counts as 1 */
    uint64_t left_ns; /* until the deadline, after the pause before the repeat if there is one */
    bool listed;      /* this kind of failure is one that is retried at all */
    bool idempotent;  /* doing it twice is as good as once */
    bool maybe_processed; /* the service may have acted on the request */
    bool committed;       /* a part of the answer has reached whoever asked */
    bool body_lost;       /* a part of the request's body has gone out and was not kept */
    bool overloaded;      /* the answer said "overloaded, do not retry": a layer below has tried */
    bool budget_spent;    /* nr_retry_budget_left is 0; who gets NR_RETRY_GO takes from it then */
};

/* Less than this is not worth an attempt: an upstream is told its time in whole milliseconds. */
enum { NR_RETRY_LEFT_NS_MIN = 1000000 };

enum nr_retry_verdict {
    NR_RETRY_GO,
    NR_RETRY_NOT_LISTED, /* a failure that is never repeated: nothing to explain */
    NR_RETRY_NO,         /* *ret_flag says why */
};

/* *ret_flag (enum nr_record_flag) is written with NR_RETRY_NO only. Of several reasons the one
 * that no configuration could change comes first. */
enum nr_retry_verdict nr_retry_decide(const struct nr_retry_facts *facts, uint16_t *ret_flag);

#endif
