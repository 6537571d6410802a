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

static double tail(double p)
{
    double q = sqrt(-2.0 * log(p));
    double top = -7.784894002430293e-03;
    double bottom = 7.784695709041462e-03;

    top = top * q - 3.223964580411365e-01;
    top = top * q - 2.400758277161838e+00;
    top = top * q - 2.549732539343734e+00;
    top = top * q + 4.374664141464968e+00;
    top = top * q + 2.938163982698783e+00;
    bottom = bottom * q + 3.224671290700398e-01;
    bottom = bottom * q + 2.445134137142996e+00;
    bottom = bottom * q + 3.754408661907416e+00;
    return top / (bottom * q + 1.0);
}

/* A normal deviate out of a uniform one: the inverse of the normal distribution by two rational
 * approximations (P. J. Acklam, 2003), off by 1.2e-9 at most, far less work than Box and Muller's
 * logarithm, root and cosine. */
static double normal(struct nr_random *random)
{
    const double low = 0.02425;
    double p = unit(random), q = p - 0.5, r = q * q;
    double top = -3.969683028665376e+01, bottom = -5.447609879822406e+01;

    if (p < low)
        return tail(p);
    if (p > 1.0 - low)
        return p < 1.0 ? -tail(1.0 - p) : 0;
    top = top * r + 2.209460984245205e+02;
    top = top * r - 2.759285104469687e+02;
    top = top * r + 1.383577518672690e+02;
    top = top * r - 3.066479806614716e+01;
    top = top * r + 2.506628277459239e+00;
    bottom = bottom * r + 1.615858368580409e+02;
    bottom = bottom * r - 1.556989798598866e+02;
    bottom = bottom * r + 6.680131188771972e+01;
    bottom = bottom * r - 1.328068155288572e+01;
    return q * top / (bottom * r + 1.0);
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
