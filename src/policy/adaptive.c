/* SPDX-License-Identifier: Apache-2.0 */
/* adaptive.c - a concurrency limit by the gradient of latency.
 *
 * Little's law: a service bears limit = throughput × latency. While its latency stays at what it
 * usually is, more concurrency is more throughput; when latency rises, the rest only queues in the
 * service. So after each window of samples (Netflix, concurrency-limits, Gradient2Limit)
 *
 *     gradient = clamp(tolerance × long / short, 0.5, 1)
 *     wanted   = limit × gradient + queue
 *     limit    = limit × (1 - smoothing) + wanted × smoothing,   between min and max
 *
 * where `short` is the window's mean and `long` an exponential average over some 600 samples (a
 * plain mean for the first ten). The limit grows by queue × smoothing per window while latency is
 * calm, and at worst loses half × smoothing in one.
 *
 * Recovery. After an overload the long average has learnt the bad latency. When it is more than
 * twice the short one, it forgets 5 % per window, so it finds back quickly, without a pause for
 * measuring: Envoy's variant pins concurrency to 3 to find the least latency, and refuses
 * traffic meanwhile.
 *
 * Proof. A limit that is not used says nothing: with fewer than half of it in flight it
 * does not move up, or a quiet night would end with a limit of 200 that nobody has tried. It does
 * not move down either: slow answers at low load are not ours to cure by refusing.
 *
 * Errors. A refused or timed-out call has no latency to measure (refusals are fast, and would pull
 * the short average down), so errors are AIMD's business: a window that has any multiplies the
 * limit by `shrink` (once, because a hundred calls that time out together are one event), and does
 * not grow it. The floor holds in any case: with a limit of 1 nothing would be learnt any more. */
#include "policy/adaptive.h"

#define MS_NS ((uint64_t)1000000)

enum { WARM_SAMPLES = 10 };

static const double gradient_min = 0.5;
static const double drift = 2.0; /* long beyond so many times short has to be forgotten */
static const double drift_keeps = 0.95;

const struct nr_adaptive_conf nr_adaptive_conf_default = {
    .start = 20,
    .min = 20,
    .max = 200,
    .tolerance = 1.5,
    .smoothing = 0.2,
    .long_window = 600,
    .queue = 4,
    .shrink = 0.9,
    .window_ns = 100 * MS_NS,
    .window_min = 10,
};

static double clamp(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

static double bounded(double limit, const struct nr_adaptive_conf *conf)
{
    double low = conf->min > 0 ? (double)conf->min : 1.0;

    return clamp(limit, low, (double)conf->max > low ? (double)conf->max : low);
}

static void begin_window(struct nr_adaptive *a, uint64_t now_ns)
{
    a->samples = 0;
    a->in_flight = 0;
    a->errors = false;
    a->sum_ns = 0;
    a->window_at_ns = now_ns;
}

void nr_adaptive_init(struct nr_adaptive *a, const struct nr_adaptive_conf *conf, uint64_t now_ns)
{
    *a = (struct nr_adaptive){.limit = bounded(conf->start, conf)};
    begin_window(a, now_ns);
}

static void learn(struct nr_adaptive *a, const struct nr_adaptive_conf *conf, double short_ns)
{
    double window = conf->long_window > 1 ? (double)conf->long_window : 1.0;

    if (a->warm < WARM_SAMPLES) {
        a->warm++;
        a->long_ns += (short_ns - a->long_ns) / (double)a->warm;
    } else {
        a->long_ns += (short_ns - a->long_ns) * 2.0 / (window + 1.0);
    }
    if (a->long_ns > drift * short_ns)
        a->long_ns *= drift_keeps;
}

static void follow_gradient(struct nr_adaptive *a, const struct nr_adaptive_conf *conf)
{
    double short_ns = a->sum_ns / (double)a->samples, gradient, wanted;

    learn(a, conf, short_ns);
    if ((double)a->in_flight < a->limit / 2)
        return;
    gradient = clamp(conf->tolerance * a->long_ns / short_ns, gradient_min, 1.0);
    wanted = a->limit * gradient + (double)conf->queue;
    a->limit = a->limit * (1 - conf->smoothing) + wanted * conf->smoothing;
}

bool nr_adaptive_report(struct nr_adaptive *a, const struct nr_adaptive_conf *conf, uint64_t now_ns,
                        uint64_t latency_ns, uint32_t in_flight, bool overload)
{
    uint32_t before = nr_adaptive_limit(a, conf);

    a->in_flight = in_flight > a->in_flight ? in_flight : a->in_flight;
    if (overload) {
        a->errors = true;
    } else {
        a->samples++;
        a->sum_ns += (double)(latency_ns > 0 ? latency_ns : 1);
    }
    if (now_ns < a->window_at_ns + conf->window_ns)
        return false;
    if (a->errors) /* needs no company: a service that answers nothing gives no samples */
        a->limit *= conf->shrink;
    else if (a->samples < conf->window_min)
        return false;
    else
        follow_gradient(a, conf);
    a->limit = bounded(a->limit, conf);
    begin_window(a, now_ns);
    return nr_adaptive_limit(a, conf) != before;
}

uint32_t nr_adaptive_limit(const struct nr_adaptive *a, const struct nr_adaptive_conf *conf)
{
    return (uint32_t)bounded(a->limit, conf);
}
