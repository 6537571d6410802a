/* SPDX-License-Identifier: Apache-2.0 */
/* backoff.c - exponential delay with jitter.
 *
 * Those who failed together must not come back together. Full jitter draws the pause anew from
 * all of [0, delay): that spreads best, and a short pause hurts nobody as long as the mean grows.
 * Its delay before the n-th repeat is the sum of all steps so far,
 *
 *     (2^n - 1) × base            25, 75, 175 ms … for a base of 25 ms
 *
 * as Envoy does it (its "fully jittered exponential back-off"), in general base × (f^n - 1) / (f -
 * 1). Additive jitter is for deliveries and saga steps, where somebody reads "1 s, 2 s, 4 s" in a
 * configuration and expects never to see less: delay = base × f^(n-1), the pause is in
 * [delay, 2 × delay).
 *
 * Retry-After is the service's own word and therefore a lower bound. If it does not fit into the
 * deadline, there is no point in waiting at all: the caller answers now, with the upstream's
 * answer, instead of later with a timeout. */
#include "policy/backoff.h"

#include "policy/retry.h"

#define MS_NS ((uint64_t)1000000)

enum { GROWS_MAX = 1000 }; /* steps: what has not reached its maximum by then grows no more */

static const uint64_t retry_after_ms_max = 24 * 3600 * 1000;

const struct nr_backoff_conf nr_backoff_conf_default = {
    .base_ns = 25 * MS_NS, .factor = 2, .max_ns = 30000 * MS_NS, .jitter = NR_BACKOFF_FULL};

static double delay_of(const struct nr_backoff_conf *conf, uint32_t n)
{
    double most = conf->max_ns > 0 ? (double)conf->max_ns : 0x1p61;
    double step = (double)conf->base_ns, sum = step;

    if (conf->factor <= 1) /* always the same step */
        sum = step * (double)n;
    for (uint32_t i = 1; i < n && i < GROWS_MAX && conf->factor > 1 && step < most; i++) {
        step *= conf->factor;
        sum += step;
    }
    if (conf->jitter != NR_BACKOFF_FULL)
        sum = step;
    return sum < most ? sum : most;
}

uint64_t nr_backoff_ns(const struct nr_backoff_conf *conf, uint32_t n, struct nr_random *random)
{
    double delay_ns;

    if (n == 0)
        return 0;
    delay_ns = delay_of(conf, n);
    switch (conf->jitter) {
    case NR_BACKOFF_FULL: return (uint64_t)(delay_ns * nr_random_unit(random));
    case NR_BACKOFF_ADDITIVE: return (uint64_t)(delay_ns * (1 + nr_random_unit(random)));
    case NR_BACKOFF_EXACT: break;
    }
    return (uint64_t)delay_ns;
}

bool nr_retry_after_parse(struct nr_span text, uint64_t *ret_delay_ms)
{
    uint64_t seconds = 0;

    if (text.len == 0)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        seconds = seconds * 10 + (uint64_t)(text.ptr[i] - '0');
        if (seconds > retry_after_ms_max) /* still to be looked at for strange bytes */
            seconds = retry_after_ms_max;
    }
    *ret_delay_ms = seconds * 1000 < retry_after_ms_max ? seconds * 1000 : retry_after_ms_max;
    return true;
}

bool nr_backoff_within(uint64_t backoff_ns, uint64_t retry_after_ns, uint64_t left_ns,
                       uint64_t *ret_pause_ns)
{
    uint64_t pause_ns = backoff_ns > retry_after_ns ? backoff_ns : retry_after_ns;

    if (left_ns < NR_RETRY_LEFT_NS_MIN || pause_ns > left_ns - NR_RETRY_LEFT_NS_MIN)
        return false;
    *ret_pause_ns = pause_ns;
    return true;
}
