/* SPDX-License-Identifier: Apache-2.0 */
/* Service times drawn from what a scenario says of them. */
#include <math.h>

#include "foresight/model.h"

enum { HOUR_S = 3600 };

/* In (0, 1]: its logarithm exists. */
static double unit(struct nr_random *random)
{
    return 1.0 - nr_random_unit(random);
}

/* Box and Muller: one normal deviate out of two uniform ones. */
static double normal(struct nr_random *random)
{
    double radius = sqrt(-2.0 * log(unit(random)));

    return radius * cos(2.0 * 3.14159265358979323846 * nr_random_unit(random));
}

/* ln X is normal: its middle is ln p50, and 2.3263 deviations above it 1 % are left. */
static double lognormal_ns(const struct nr_latency_conf *conf, struct nr_random *random)
{
    double p50 = (double)conf->p50_ns;
    double sigma = log((double)conf->p99_ns / p50) / 2.3263478740408408;

    return p50 * exp(sigma * normal(random));
}

/* On the polygon through the points, from (0, min of the first). */
static double measured_ns(const struct nr_latency_conf *conf, struct nr_random *random)
{
    const struct nr_percentile_conf *points = conf->percentiles;
    double share = nr_random_unit(random), before = 0;
    double from_ns = 0;

    for (uint32_t i = 0; i < conf->percentile_count; i++) {
        double to_ns = (double)points[i].within_ns;

        if (share < points[i].share)
            return from_ns + (to_ns - from_ns) * (share - before) / (points[i].share - before);
        before = points[i].share;
        from_ns = to_ns;
    }
    return from_ns;
}

uint64_t nr_model_latency_ns(const struct nr_latency_conf *conf, struct nr_random *random)
{
    double ns = (double)conf->fixed_ns;

    if (conf->p50_ns > 0)
        ns = lognormal_ns(conf, random);
    else if (conf->percentile_count > 0)
        ns = measured_ns(conf, random);
    else if (conf->mean_ns > 0)
        ns = -(double)conf->mean_ns * log(unit(random));
    else if (conf->max_ns > 0)
        ns = (double)(conf->min_ns + nr_random_below(random, conf->max_ns - conf->min_ns + 1));
    return ns > HOUR_S * 1e9 ? HOUR_S * UINT64_C(1000000000) : (uint64_t)ns;
}
