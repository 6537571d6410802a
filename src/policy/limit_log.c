/* SPDX-License-Identifier: Apache-2.0 */
/* limit_log.c - the sliding window, exactly: a log of when each unit was used.
 *
 * A cost of n is allowed if, with it, no more than `limit` units lie in (now - period, now]. So
 * in any stretch as long as a period, wherever it starts, exactly the limit is kept: the only
 * algorithm here of which that is true, and the only one that pays for it with memory, eight bytes
 * per unit. For limits of a few hundred that somebody will check with a stop-watch.
 *
 * The stamps are a ring behind the state, oldest first, in order because time that runs
 * backwards is taken as standing still. Never more than `limit` of them are alive, and none is
 * written that was not allowed, so the ring cannot overflow. A decision looks at one stamp: if k
 * units are too many, the k-th oldest must have expired. What remains (and what has expired) is
 * found by bisection, since a refusal under attack must not cost a walk over the log.
 *
 * A tier with a larger limit than the ring has room for gets what the ring has room for. */
#include "policy/limit_algorithm.h"

static uint32_t effective_limit(const struct nr_limit_conf *conf)
{
    return conf->limit < conf->log_units ? conf->limit : conf->log_units;
}

static uint64_t stamp(const union nr_limit_state *state, uint32_t units, uint32_t at)
{
    const uint64_t *stamps = (const uint64_t *)(state + 1);
    uint64_t index = (uint64_t)state->log.oldest + at;

    return stamps[index < units ? index : index - units];
}

static uint64_t clamped(const union nr_limit_state *state, uint64_t now_ns)
{
    return now_ns > state->log.newest_ns ? now_ns : state->log.newest_ns;
}

/* How many of the oldest stamps do not count any more. */
static uint32_t expired(const union nr_limit_state *state, const struct nr_limit_conf *conf,
                        uint64_t now_ns)
{
    uint32_t low = 0, high = state->log.count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (stamp(state, conf->log_units, middle) + conf->period_ns <= now_ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void nr_limit_log_check(const union nr_limit_state *state, const struct nr_limit_conf *conf,
                        uint64_t now_ns, uint32_t cost, struct nr_limit_verdict *ret_verdict)
{
    uint64_t at_ns = clamped(state, now_ns);
    uint32_t limit = effective_limit(conf);
    uint32_t gone = expired(state, conf, at_ns);
    uint32_t used = state->log.count - gone;
    uint32_t left = used < limit ? limit - used : 0;

    ret_verdict->limit = limit;
    ret_verdict->allowed = cost <= left;
    ret_verdict->remaining = ret_verdict->allowed ? left - cost : left;
    if (ret_verdict->allowed && cost > 0)
        ret_verdict->reset_ns = conf->period_ns;
    else if (used > 0)
        ret_verdict->reset_ns = state->log.newest_ns + conf->period_ns - at_ns;
    if (ret_verdict->allowed)
        return;
    ret_verdict->retry_ns = NR_LIMIT_NEVER;
    if (cost <= limit) {
        uint32_t last_to_go = gone + (used - (limit - cost)) - 1;

        ret_verdict->retry_ns = stamp(state, conf->log_units, last_to_go) + conf->period_ns - at_ns;
    }
}

void nr_limit_log_consume(union nr_limit_state *state, const struct nr_limit_conf *conf,
                          uint64_t now_ns, uint32_t cost)
{
    uint64_t *stamps = (uint64_t *)(state + 1);
    uint64_t at_ns = clamped(state, now_ns);
    uint32_t units = conf->log_units;
    uint32_t gone = expired(state, conf, at_ns);

    state->log.oldest = (uint32_t)(((uint64_t)state->log.oldest + gone) % units);
    state->log.count -= gone;
    for (uint32_t i = 0; i < cost && state->log.count < units; i++) {
        uint64_t index = (uint64_t)state->log.oldest + state->log.count++;

        stamps[index < units ? index : index - units] = at_ns;
    }
    state->log.newest_ns = at_ns;
}
