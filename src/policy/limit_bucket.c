/* SPDX-License-Identifier: Apache-2.0 */
/* limit_bucket.c - the token bucket.
 *
 * A bucket holds `burst` tokens at most and gains limit / period of them all the time; a request
 * takes its cost or is refused. Nothing refills it in the background: what it has gained since the
 * stamp is computed when somebody looks. As in golang.org/x/time/rate a refusal takes nothing.
 *
 * What is kept is what is missing, not what is there, so that zero bytes are a full bucket and
 * a key in a table needs no set-up. It is kept as a 32.32 fixed-point number: exact where floating
 * point drifts (0.1 + 0.2 tokens), the same on every machine, and always rounded against the
 * client. Only consuming writes, and it rounds once, so the error is below 2^-32 units per
 * request however often others ask in between.
 *
 * A new rate or burst takes effect at once and keeps the debt in units: whoever had spent 30 of
 * 100 has 970 left of 1,000, and a burst that shrank below the debt leaves nothing until the
 * bucket has gained the difference. */
#include "policy/limit_algorithm.h"

typedef unsigned __int128 u128;

/* Time from the stamp until `units_q32` have been gained; rounded up. */
static uint64_t gain_ns(const struct nr_limit_conf *conf, uint64_t units_q32)
{
    uint64_t per_period_q32 = (uint64_t)conf->limit << 32;

    return nr_limit_scale_up(units_q32, conf->period_ns, per_period_q32);
}

/* What is missing after `since_ns` of gaining. */
static uint64_t spent_after(const union nr_limit_state *state, const struct nr_limit_conf *conf,
                            uint64_t since_ns)
{
    u128 gained_q32;

    if (state->bucket.spent_q32 == 0)
        return 0;
    /* Below 2^32 ns (4 s) and 1,000 million units it is one 64-bit division. */
    gained_q32 = (u128)since_ns * conf->limit << 32;
    if (gained_q32 >= (u128)state->bucket.spent_q32 * conf->period_ns)
        return 0;
    return state->bucket.spent_q32 - (uint64_t)(gained_q32 / conf->period_ns);
}

void nr_limit_bucket_check(const union nr_limit_state *state, const struct nr_limit_conf *conf,
                           uint64_t now_ns, uint32_t cost, struct nr_limit_verdict *ret_verdict)
{
    uint64_t since_ns = nr_limit_since(state->bucket.stamp_ns, now_ns);
    uint64_t spent_q32 = spent_after(state, conf, since_ns);
    uint64_t room_q32 = (uint64_t)conf->burst << 32;
    uint64_t cost_q32 = (uint64_t)cost << 32;
    uint64_t free_q32 = spent_q32 < room_q32 ? room_q32 - spent_q32 : 0;

    ret_verdict->limit = conf->burst;
    ret_verdict->allowed = cost_q32 <= free_q32;
    if (ret_verdict->allowed) {
        ret_verdict->remaining = (uint32_t)((free_q32 - cost_q32) >> 32);
        ret_verdict->reset_ns = gain_ns(conf, spent_q32 + cost_q32);
        return;
    }
    ret_verdict->remaining = (uint32_t)(free_q32 >> 32);
    ret_verdict->reset_ns = gain_ns(conf, spent_q32);
    if (cost > conf->burst) {
        ret_verdict->retry_ns = NR_LIMIT_NEVER;
    } else {
        /* Counted from the stamp, like the gain itself, or two roundings could miss each other. */
        uint64_t needed_q32 = state->bucket.spent_q32 - (room_q32 - cost_q32);

        ret_verdict->retry_ns = gain_ns(conf, needed_q32) - since_ns;
    }
}

void nr_limit_bucket_consume(union nr_limit_state *state, const struct nr_limit_conf *conf,
                             uint64_t now_ns, uint32_t cost)
{
    uint64_t since_ns = nr_limit_since(state->bucket.stamp_ns, now_ns);

    state->bucket.spent_q32 = spent_after(state, conf, since_ns) + ((uint64_t)cost << 32);
    if (now_ns > state->bucket.stamp_ns)
        state->bucket.stamp_ns = now_ns;
}
