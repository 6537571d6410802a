/* SPDX-License-Identifier: Apache-2.0 */
/* limit_leaky.c - the leaky bucket as a queue: what comes out is smooth.
 *
 * A bucket leaks one unit per interval. A unit that finds it empty passes at once; `burst` more
 * may stand in line behind the one that is leaving; what finds the line full is refused. The
 * state is the time at which the bucket runs empty if nothing more comes.
 *
 *      now        now + interval × smooth_after         empty_at            full
 *       |--------------------|-----------------------------|------------------|
 *         pass at once          wait for their turn            still room
 *
 * Waiting. A request's turn comes when everything before it has leaked, so wait = empty_at - now.
 * The caller holds the request that long (or refuses it, when its deadline is sooner) and the
 * service sees an even stream: 1 + window / interval requests in any window. `smooth_after` lets
 * the first few of the line through at once, since a page with its six pictures is no flood;
 * with smooth_after >= burst nothing ever waits, and the bucket only rejects.
 *
 * These are the semantics of nginx's limit_req: burst = burst, delay = smooth_after, nodelay =
 * smooth_after at burst. A cost of n takes n places in line. A request that leaves the line early
 * (its client is gone) does not give its place back: its successors have been told their time. */
#include "policy/limit_algorithm.h"

void nr_limit_leaky_check(const union nr_limit_state *state, const struct nr_limit_conf *conf,
                          uint64_t now_ns, uint32_t cost, struct nr_limit_verdict *ret_verdict)
{
    uint64_t interval_ns = nr_limit_interval_ns(conf);
    uint32_t places = conf->burst + 1;
    uint64_t full_ns = interval_ns * places;
    uint64_t level_ns = nr_limit_since(now_ns, state->leaky.empty_at_ns);
    uint64_t after_ns = level_ns + interval_ns * (cost <= places ? cost : 0);

    ret_verdict->limit = places;
    ret_verdict->allowed = cost == 0 || (cost <= places && after_ns <= full_ns);
    if (ret_verdict->allowed && cost > 0) {
        uint64_t at_once_ns =
            interval_ns * (conf->smooth_after < conf->burst ? conf->smooth_after : places);

        ret_verdict->wait_ns = nr_limit_since(at_once_ns, level_ns);
    }
    if (!ret_verdict->allowed) {
        ret_verdict->retry_ns = cost <= places ? after_ns - full_ns : NR_LIMIT_NEVER;
        after_ns = level_ns;
    }
    if (after_ns < full_ns)
        ret_verdict->remaining = (uint32_t)((full_ns - after_ns) / interval_ns);
    ret_verdict->reset_ns = after_ns;
}

void nr_limit_leaky_consume(union nr_limit_state *state, const struct nr_limit_conf *conf,
                            uint64_t now_ns, uint32_t cost)
{
    uint64_t from_ns = state->leaky.empty_at_ns > now_ns ? state->leaky.empty_at_ns : now_ns;

    state->leaky.empty_at_ns = from_ns + nr_limit_interval_ns(conf) * cost;
}
