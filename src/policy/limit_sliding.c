/* SPDX-License-Identifier: Apache-2.0 */
/* limit_sliding.c - the sliding window from two counters.
 *
 * The key's time is cut into windows of one period. Two counters are kept, for the window that
 * runs and for the one before it, and the one before counts by the share of it that the sliding
 * window still covers, as if its units had come evenly:
 *
 *      |------ before ------|------ running ------|
 *                 |==== the last period ====|now
 *                  \ share /
 *
 *      estimate = before × (1 - elapsed / period) + used
 *
 * 16 bytes for any limit, against eight bytes per unit for the exact log. The first window starts
 * with the key's first unit, and a key that was silent for a whole window starts anew, so keys do
 * not turn over in step. The share is computed in whole numbers and rounded against the client.
 *
 * Accuracy, measured by bench/micro_limit.c: 100 a minute, a million requests, in % of them.
 *
 *      offered                     allowed   by the exact log   over 100   most in a minute
 *      half the limit              100.0     100.0              0          87
 *      90 % of it                   98.0      97.3              5.2        117
 *      the limit                    93.5      92.5              10.7       117
 *      twice the limit              49.4      49.6              3.7        106
 *      ten times the limit           9.9      10.0              0.001      101
 *      half, in bursts of 20        94.1      93.2              3.2        150
 *      twice, in bursts of 80       34.5      34.5              5.9        190
 *
 * (Poisson arrivals. "over 100" are allowed requests that made the minute before them hold more
 * than 100.) So over time both allow nearly the same number, even traffic is kept within 17 %, and
 * who uses his minute in bursts may get nearly twice the limit in the worst minute; that is
 * the bound, too. Who can't bear it takes the exact log. */
#include "policy/limit_algorithm.h"

struct window {
    uint64_t start_ns;
    uint64_t elapsed_ns; /* < period */
    uint32_t used;
    uint32_t before;
};

/* The two counters as they stand at now_ns. */
static struct window roll(const union nr_limit_state *state, uint64_t period_ns, uint64_t now_ns)
{
    uint64_t elapsed_ns = nr_limit_since(state->sliding.start_ns, now_ns);

    if (state->sliding.used == 0 && state->sliding.used_before == 0)
        return (struct window){.start_ns = now_ns};
    if (elapsed_ns < period_ns)
        return (struct window){state->sliding.start_ns, elapsed_ns, state->sliding.used,
                               state->sliding.used_before};
    if (elapsed_ns < 2 * period_ns)
        return (struct window){state->sliding.start_ns + period_ns, elapsed_ns - period_ns, 0,
                               state->sliding.used};
    return (struct window){.start_ns = now_ns};
}

/* The first moment, counted from the start of a window, at which no more than `room` of the
 * `before` units still count. */
static uint64_t faded_ns(uint32_t before, uint32_t room, uint64_t period_ns)
{
    return room >= before ? 0 : nr_limit_scale_up(period_ns, before - room, before);
}

static uint64_t retry_ns(const struct window *w, const struct nr_limit_conf *conf, uint32_t cost)
{
    uint32_t room = conf->limit - cost;

    if (cost > conf->limit)
        return NR_LIMIT_NEVER;
    if (w->used <= room)
        return faded_ns(w->before, room - w->used, conf->period_ns) - w->elapsed_ns;
    return conf->period_ns - w->elapsed_ns + faded_ns(w->used, room, conf->period_ns);
}

void nr_limit_sliding_check(const union nr_limit_state *state, const struct nr_limit_conf *conf,
                            uint64_t now_ns, uint32_t cost, struct nr_limit_verdict *ret_verdict)
{
    struct window w = roll(state, conf->period_ns, now_ns);
    uint64_t covered_ns = conf->period_ns - w.elapsed_ns;
    uint64_t estimate = w.used;
    uint32_t left;

    if (w.before > 0)
        estimate += nr_limit_scale_up(w.before, covered_ns, conf->period_ns);
    left = estimate < conf->limit ? conf->limit - (uint32_t)estimate : 0;
    ret_verdict->limit = conf->limit;
    ret_verdict->allowed = cost <= left;
    ret_verdict->remaining = left;
    if (ret_verdict->allowed) {
        ret_verdict->remaining -= cost;
        w.used += cost;
    } else {
        ret_verdict->retry_ns = retry_ns(&w, conf, cost);
    }
    if (w.used > 0)
        ret_verdict->reset_ns = covered_ns + conf->period_ns;
    else if (w.before > 0)
        ret_verdict->reset_ns = covered_ns;
}

void nr_limit_sliding_consume(union nr_limit_state *state, const struct nr_limit_conf *conf,
                              uint64_t now_ns, uint32_t cost)
{
    struct window w = roll(state, conf->period_ns, now_ns);

    state->sliding.start_ns = w.start_ns;
    state->sliding.used = w.used + cost;
    state->sliding.used_before = w.before;
}
