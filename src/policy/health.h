/* SPDX-License-Identifier: Apache-2.0 */
/* health.h - from single check results to up and down, and when to check next.
 *
 * Pure; not thread-safe. Configuration is passed per call, because state outlives a reload. */
#ifndef NR_POLICY_HEALTH_H
#define NR_POLICY_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"

/* UNKNOWN counts as up: a gateway that has just started must not refuse everything until its first
 * checks are through. */
enum nr_health { NR_HEALTH_UNKNOWN, NR_HEALTH_UP, NR_HEALTH_DOWN };

struct nr_health_rule {
    uint32_t rise; /* successes in a row from down to up; 0 counts as 1 */
    uint32_t fall; /* failures in a row from up to down; 0 counts as 1 */
    uint64_t interval_ns;
    double jitter; /* share of the interval, 0 to 1 */
};

struct nr_health_track {
    enum nr_health state;
    uint32_t streak; /* results in a row that speak against the state */
};

void nr_health_track_init(struct nr_health_track *track);

/* A check has ended. True when the state has changed. The first result decides at once. */
bool nr_health_track_result(struct nr_health_track *track, const struct nr_health_rule *rule,
                            bool ok);

/* From the start of one check to the start of the next: interval ± jitter, drawn anew each time. */
uint64_t nr_health_pause_ns(const struct nr_health_rule *rule, struct nr_random *random);

#endif
