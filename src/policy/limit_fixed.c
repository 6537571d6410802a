/* SPDX-License-Identifier: Apache-2.0 */
/* limit_fixed.c - the fixed window: count, and forget the count when the window ends.
 *
 * A window starts with the first unit that finds none open, and lasts one period. So windows
 * belong to keys, not to the clock: a thousand clients that were refused do not all come
 * back in the same instant, at the full minute. It is the algorithm that is easiest to explain
 * ("100 an hour, 37 left, starts anew in 12 minutes") and to keep in any store (a counter that
 * expires), and it is right for quotas.
 *
 * What it does not promise: the end of one window and the start of the next may both be used up
 * within a moment, so any stretch as long as a period may see up to twice the limit. Whoever cannot
 * bear that takes a sliding window. */
#include "policy/limit_algorithm.h"

static bool is_open(const union nr_limit_state *state, uint64_t period_ns, uint64_t now_ns)
{
    return state->fixed.used > 0 && nr_limit_since(state->fixed.start_ns, now_ns) < period_ns;
}

void nr_limit_fixed_check(const union nr_limit_state *state, const struct nr_limit_conf *conf,
                          uint64_t now_ns, uint32_t cost, struct nr_limit_verdict *ret_verdict)
{
    bool open = is_open(state, conf->period_ns, now_ns);
    uint32_t used = open ? state->fixed.used : 0;
    uint32_t left = used < conf->limit ? conf->limit - used : 0;
    uint64_t until_end_ns =
        open ? conf->period_ns - nr_limit_since(state->fixed.start_ns, now_ns) : 0;

    ret_verdict->limit = conf->limit;
    ret_verdict->allowed = cost <= left;
    ret_verdict->remaining = ret_verdict->allowed ? left - cost : left;
    ret_verdict->reset_ns = until_end_ns;
    if (!ret_verdict->allowed)
        ret_verdict->retry_ns = cost <= conf->limit ? until_end_ns : NR_LIMIT_NEVER;
    else if (!open && cost > 0)
        ret_verdict->reset_ns = conf->period_ns;
}

void nr_limit_fixed_consume(union nr_limit_state *state, const struct nr_limit_conf *conf,
                            uint64_t now_ns, uint32_t cost)
{
    if (!is_open(state, conf->period_ns, now_ns)) {
        state->fixed.start_ns = now_ns;
        state->fixed.used = 0;
    }
    state->fixed.used += cost;
}
