/* SPDX-License-Identifier: Apache-2.0 */
/* retry.c - the order of the questions.
 *
 * Repeating a request is safe only when nobody can tell the difference. So, in this order:
 *
 *   1. Has the answer begun to reach the asker? Then there is no way back.
 *   2. Is the failure of a kind that another instance could make good?
 *   3. Might the service have acted, and would acting twice be wrong? RFC 9110, 9.2.2: "A proxy
 *      MUST NOT automatically retry non-idempotent requests", unless it knows that the
 *      request was never applied.
 *   4. Is all of the body still at hand?
 *   5. Has the service, or a layer below us, said that it is overloaded and that repeating only
 *      makes it worse? Then only one layer has retried, the one that knew most.
 *   6. Is an attempt left? 7. Is time left?
 *   8. Does the service's budget bear it? Last, because only a repeat that would really be made may
 *      be paid for. */
#include "policy/retry.h"

static enum nr_retry_verdict no(enum nr_record_flag flag, uint16_t *ret_flag)
{
    *ret_flag = (uint16_t)flag;
    return NR_RETRY_NO;
}

enum nr_retry_verdict nr_retry_decide(const struct nr_retry_facts *facts, uint16_t *ret_flag)
{
    if (facts->committed)
        return no(NR_RECORD_RETRY_COMMITTED, ret_flag);
    if (!facts->listed)
        return NR_RETRY_NOT_LISTED;
    if (facts->maybe_processed && !facts->idempotent)
        return no(NR_RECORD_RETRY_UNSAFE, ret_flag);
    if (facts->body_lost)
        return no(NR_RECORD_RETRY_NO_BODY, ret_flag);
    if (facts->overloaded)
        return no(NR_RECORD_RETRY_OVERLOADED, ret_flag);
    if (facts->attempts >= facts->attempts_max)
        return no(NR_RECORD_RETRY_SPENT, ret_flag);
    if (facts->left_ns < NR_RETRY_LEFT_NS_MIN)
        return no(NR_RECORD_RETRY_NO_TIME, ret_flag);
    if (facts->budget_spent)
        return no(NR_RECORD_RETRY_BUDGET, ret_flag);
    return NR_RETRY_GO;
}
