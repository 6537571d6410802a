/* SPDX-License-Identifier: Apache-2.0 */
/* shed.h - under pressure the least critical requests go first.
 *
 * Pure: the time is an argument. Not thread-safe: its owner holds the lock. The configuration is
 * passed per call, because state outlives a reload. */
#ifndef NR_POLICY_SHED_H
#define NR_POLICY_SHED_H

#include <stdbool.h>
#include <stdint.h>

enum nr_criticality { NR_SHEDDABLE, NR_NORMAL, NR_CRITICAL, NR_CRITICALITIES };

enum nr_shed_level {
    NR_SHED_CALM,      /* everybody is let in */
    NR_SHED_SHEDDABLE, /* the sheddable are not */
    NR_SHED_NORMAL,    /* only the critical are */
    NR_SHED_LEVELS
};

/* One moment's readings; a negative one is not known and has no say. */
struct nr_shed_input {
    double queue_ms;  /* how long the oldest waits */
    double limit_use; /* calls in flight and waiting by permits; may exceed 1 */
    double cpu;       /* of what this process may use, 0 to 1 */
};

struct nr_shed_conf {
    struct nr_shed_input enter[NR_SHED_LEVELS]; /* a level begins when one reading reaches this … */
    struct nr_shed_input leave[NR_SHED_LEVELS]; /* … and may end when all are below this */
    uint64_t rise_ns; /* for how long it must be bad before a level begins */
    uint64_t fall_ns; /* for how long it must be good before a level ends */
};

extern const struct nr_shed_conf nr_shed_conf_default;

struct nr_shed {
    enum nr_shed_level level;
    bool worse;        /* the readings have called for a higher level since … */
    bool better;       /* … or for a lower one, since … */
    uint64_t since_ns; /* … this moment */
};

void nr_shed_init(struct nr_shed *shed);

/* Take the readings, often: some ten times per rise_ns. True when the level has changed. */
bool nr_shed_update(struct nr_shed *shed, const struct nr_shed_conf *conf, uint64_t now_ns,
                    const struct nr_shed_input *input);

/* Per request. The critical are never shed here: the bulkhead's limit is for them too. */
static inline bool nr_shed_admits(const struct nr_shed *shed, enum nr_criticality criticality)
{
    return (int)criticality >= (int)shed->level;
}

#endif
