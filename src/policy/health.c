/* SPDX-License-Identifier: Apache-2.0 */
/* health.c - rise and fall.
 *
 *             first ok                    first failure
 *      UP <------------- UNKNOWN -----------------------> DOWN
 *       '--- fall failures in a row -----------------------^ |
 *       ^--- rise successes in a row -------------------------'
 *
 * A single result that agrees with the state clears the streak against it, so a flapping
 * instance stays where it is until it makes up its mind. The first result decides alone: before it
 * there is no state that it could disturb, and an instance that is down at our start must be
 * found out after one check, not after `fall`.
 *
 * The pause is drawn anew for each check, uniform in interval × [1 - jitter, 1 + jitter], so the
 * checks of many gateways drift apart instead of beating on one instance in step. */
#include "policy/health.h"

void nr_health_track_init(struct nr_health_track *track)
{
    *track = (struct nr_health_track){.state = NR_HEALTH_UNKNOWN};
}

static uint32_t at_least_one(uint32_t n)
{
    return n > 0 ? n : 1;
}

static bool move(struct nr_health_track *track, enum nr_health next)
{
    track->state = next;
    track->streak = 0;
    return true;
}

bool nr_health_track_result(struct nr_health_track *track, const struct nr_health_rule *rule,
                            bool ok)
{
    enum nr_health says = ok ? NR_HEALTH_UP : NR_HEALTH_DOWN;

    if (track->state == NR_HEALTH_UNKNOWN)
        return move(track, says);
    if (track->state == says) {
        track->streak = 0;
        return false;
    }
    track->streak++;
    if (track->streak < at_least_one(ok ? rule->rise : rule->fall))
        return false;
    return move(track, says);
}

uint64_t nr_health_pause_ns(const struct nr_health_rule *rule, struct nr_random *random)
{
    double spread = (2.0 * nr_random_unit(random) - 1.0) * rule->jitter;
    double pause_ns = (double)rule->interval_ns * (1.0 + spread);

    return pause_ns >= 1.0 ? (uint64_t)pause_ns : 1;
}
