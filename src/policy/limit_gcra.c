/* SPDX-License-Identifier: Apache-2.0 */
/* limit_gcra.c - the generic cell rate algorithm (ITU-T I.371, annex A; virtual scheduling).
 *
 * All that is remembered of a key is one time: the theoretical arrival time of its next unit, if
 * units came evenly spaced. A unit that comes earlier than that is early by so much, and burst
 * intervals of earliness are tolerated:
 *
 *      now           TAT                 now + burst × interval
 *       |-------------|---------------------|
 *         units spent        units left
 *
 * Each unit moves TAT by one interval; time moves `now` towards it. A key that was silent long
 * enough has TAT behind now, which counts as now: nothing is saved up beyond the burst. In
 * another picture this is a leaky bucket as a meter, and in a third a token bucket whose
 * refill is computed only when somebody looks. The words of redis-cell and redis_rate are kept:
 * `reset` is TAT - now, `retry` is until TAT - tolerance + cost, and a cost above the burst is
 * never allowed, so it gets no time to come back at.
 *
 * Where it differs from limit_bucket.c: one word of state instead of two, whole nanoseconds
 * instead of 2^-32 units, and under a changed rate the debt is kept as time, not as units. */
#include "policy/limit_algorithm.h"

void nr_limit_gcra_check(const union nr_limit_state *state, const struct nr_limit_conf *conf,
                         uint64_t now_ns, uint32_t cost, struct nr_limit_verdict *ret_verdict)
{
    uint64_t interval_ns = nr_limit_interval_ns(conf);
    uint64_t tolerance_ns = interval_ns * conf->burst;
    uint64_t ahead_ns = nr_limit_since(now_ns, state->gcra.tat_ns);
    uint64_t after_ns = ahead_ns + interval_ns * (cost <= conf->burst ? cost : 0);

    ret_verdict->limit = conf->burst;
    ret_verdict->allowed = cost == 0 || (cost <= conf->burst && after_ns <= tolerance_ns);
    if (!ret_verdict->allowed) {
        ret_verdict->retry_ns = cost <= conf->burst ? after_ns - tolerance_ns : NR_LIMIT_NEVER;
        after_ns = ahead_ns;
    }
    if (after_ns < tolerance_ns)
        ret_verdict->remaining = (uint32_t)((tolerance_ns - after_ns) / interval_ns);
    ret_verdict->reset_ns = after_ns;
}

void nr_limit_gcra_consume(union nr_limit_state *state, const struct nr_limit_conf *conf,
                           uint64_t now_ns, uint32_t cost)
{
    uint64_t from_ns = state->gcra.tat_ns > now_ns ? state->gcra.tat_ns : now_ns;

    state->gcra.tat_ns = from_ns + nr_limit_interval_ns(conf) * cost;
}
