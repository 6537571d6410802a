/* SPDX-License-Identifier: Apache-2.0 */
/* adaptive.h - how many concurrent calls a service bears, learnt from its answers.
 *
 * Pure: the time is an argument, nothing is allocated. Not thread-safe: the service that embeds it
 * holds its lock. The configuration is passed per call, because state outlives a reload. The limit
 * goes into the bulkhead's `concurrent`. */
#ifndef NR_POLICY_ADAPTIVE_H
#define NR_POLICY_ADAPTIVE_H

#include <stdbool.h>
#include <stdint.h>

struct nr_adaptive_conf {
    uint32_t start;
    uint32_t min; /* the floor: never below, whatever happens; 0 is 1 */
    uint32_t max;
    double tolerance;     /* latency may be so many times its long average before it matters */
    double smoothing;     /* how much of each new limit is taken over, 0 to 1 */
    uint32_t long_window; /* samples of the long average */
    uint32_t queue;       /* calls that may queue at the service: what lets the limit grow */
    double shrink;        /* each window with errors multiplies the limit by this, 0 to 1 */
    uint64_t window_ns;   /* samples are averaged for so long; 0: each counts alone */
    uint32_t window_min;  /* and until there are so many */
};

/* Gradient2's numbers: 20, at least 20, at most 200, smoothing 0.2, window 600; errors: 0.9. */
extern const struct nr_adaptive_conf nr_adaptive_conf_default;

struct nr_adaptive {
    double limit;
    double long_ns;        /* exponential average of latency; 0: nothing known */
    uint32_t warm;         /* samples in long_ns, up to the first ten */
    uint32_t samples;      /* of this window */
    uint32_t in_flight;    /* the most that were in flight in it */
    bool errors;           /* one of its calls failed for overload */
    double sum_ns;         /* of its latencies */
    uint64_t window_at_ns; /* when it began */
};

void nr_adaptive_init(struct nr_adaptive *a, const struct nr_adaptive_conf *conf, uint64_t now_ns);

/* A call is over. in_flight: how many there were when it ended, itself included. overload: it timed
 * out, was refused or reset, or the service said that it is overloaded; latency_ns is then ignored.
 * Cancelled calls are not reported. True when the limit has changed. */
bool nr_adaptive_report(struct nr_adaptive *a, const struct nr_adaptive_conf *conf, uint64_t now_ns,
                        uint64_t latency_ns, uint32_t in_flight, bool overload);

/* Between min and max. */
uint32_t nr_adaptive_limit(const struct nr_adaptive *a, const struct nr_adaptive_conf *conf);

#endif
