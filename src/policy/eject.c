/* SPDX-License-Identifier: Apache-2.0 */
/* eject.c - outliers.
 *
 *              a row of failures, or an outlier of the interval; if the share allows
 *     IN ------------------------------------------------------------------> EJECTED
 *      ^----------------------- at the first tick after until_ns ----------------'
 *
 * Active checks ask a health page; this looks at the answers that clients get. Four ways out:
 *
 *  - so many 5xx, or so many gateway failures, in a row: at once;
 *  - once per interval, success rate: mean - 1.9 σ over the hosts. Both are over all hosts that had
 *    enough calls, so when everybody fails alike, nobody is an outlier: then it is not the host;
 *  - once per interval, latency: the mean of the good answers above a factor of the median of
 *    those means. The median, because one host of five that takes 10 s moves a mean beyond any
 *    factor; and an absolute floor, because three times 200 µs is no illness.
 *
 * Comparing needs hosts_min hosts with calls_min calls: of fewer, chance makes outliers.
 *
 * An ejection lasts base × times, at most max, stretched by jitter so that hosts ejected together
 * do not come back together. Each interval that a host is in forgives one of its times.
 *
 * At most `share` of all hosts are out at once, but at least one may be, and never the last:
 * sending everything to a few good hosts is how one illness becomes an outage. Who may not be
 * ejected keeps its row of failures, and goes as soon as somebody else has come back and it fails
 * again.
 *
 * Sources: Envoy's outlier detection (5 in a row, 30 s × count up to 300 s, 10 %, 5 hosts × 100
 * requests, 1.9). Latency and a jitter on by default are not in Envoy. */
#include "policy/eject.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"

#define MS_NS ((uint64_t)1000000)

enum { MEDIAN_STEPS = 40 }; /* halvings of a range of up to 2^40 µs */

const struct nr_eject_conf nr_eject_conf_default = {
    .consecutive_5xx = 5,
    .consecutive_gateway = 5,
    .rate_sigmas = 1.9,
    .latency_factor = 3,
    .latency_least_ns = 50 * MS_NS,
    .hosts_min = 5,
    .calls_min = 100,
    .base_ns = 30000 * MS_NS,
    .max_ns = 300000 * MS_NS,
    .jitter = 0.1,
    .share = 0.1,
};

void nr_eject_init(struct nr_eject *e, struct nr_eject_host *hosts, uint32_t count)
{
    memset(hosts, 0, sizeof(hosts[0]) * count);
    *e = (struct nr_eject){.hosts = hosts, .count = count};
}

static bool may_eject(const struct nr_eject *e, const struct nr_eject_conf *conf)
{
    uint32_t most = (uint32_t)(conf->share * (double)e->count + 1e-9);

    if (most < 1)
        most = 1;
    return e->ejected < most && e->ejected + 1 < e->count;
}

static bool eject(struct nr_eject *e, const struct nr_eject_conf *conf, struct nr_eject_host *host,
                  uint64_t now_ns, struct nr_random *random, enum nr_eject_why why)
{
    double lasts_ns;

    if (!may_eject(e, conf))
        return false;
    host->times++;
    lasts_ns = (double)conf->base_ns * (double)host->times;
    if (lasts_ns > (double)conf->max_ns)
        lasts_ns = (double)conf->max_ns;
    lasts_ns *= 1 + conf->jitter * nr_random_unit(random);
    host->ejected = true;
    host->why = (uint8_t)why;
    host->until_ns = now_ns + (uint64_t)lasts_ns;
    e->ejected++;
    return true;
}

static void let_back(struct nr_eject *e, struct nr_eject_host *host)
{
    host->ejected = false;
    host->run_5xx = 0;
    host->run_gateway = 0;
    e->ejected--;
}

bool nr_eject_report(struct nr_eject *e, const struct nr_eject_conf *conf, uint32_t host_index,
                     uint64_t now_ns, struct nr_random *random, enum nr_eject_result result,
                     uint64_t latency_ns)
{
    struct nr_eject_host *host = &e->hosts[host_index];

    nr_assert(host_index < e->count);
    if (host->ejected)
        return false;
    host->calls++;
    if (result == NR_EJECT_OK) {
        host->good++;
        host->good_us += latency_ns / 1000;
        host->run_5xx = 0;
        host->run_gateway = 0;
        return false;
    }
    host->run_5xx++;
    host->run_gateway = result == NR_EJECT_GATEWAY ? host->run_gateway + 1 : 0;
    if (conf->consecutive_gateway > 0 && host->run_gateway >= conf->consecutive_gateway)
        return eject(e, conf, host, now_ns, random, NR_EJECT_BY_GATEWAY);
    if (conf->consecutive_5xx > 0 && host->run_5xx >= conf->consecutive_5xx)
        return eject(e, conf, host, now_ns, random, NR_EJECT_BY_5XX);
    return false;
}

/* ---- once per interval */

static bool compares(const struct nr_eject_host *host, const struct nr_eject_conf *conf)
{
    return host->calls > 0 && host->calls >= conf->calls_min;
}

static double rate_of(const struct nr_eject_host *host)
{
    return (double)host->good / (double)host->calls;
}

/* Below which success rate a host is an outlier; -1: nobody is. */
static double rate_limit(const struct nr_eject *e, const struct nr_eject_conf *conf)
{
    double sum = 0, squares = 0, mean;
    uint32_t n = 0;

    for (uint32_t i = 0; i < e->count; i++) {
        if (!compares(&e->hosts[i], conf))
            continue;
        n++;
        sum += rate_of(&e->hosts[i]);
    }
    if (n == 0 || n < conf->hosts_min || conf->rate_sigmas <= 0)
        return -1;
    mean = sum / n;
    for (uint32_t i = 0; i < e->count; i++)
        if (compares(&e->hosts[i], conf))
            squares += (rate_of(&e->hosts[i]) - mean) * (rate_of(&e->hosts[i]) - mean);
    return mean - conf->rate_sigmas * sqrt(squares / n);
}

/* The mean latency of a host that has enough good answers, else 0. */
static uint64_t latency_us_of(const struct nr_eject_host *host, const struct nr_eject_conf *conf)
{
    if (host->good == 0 || host->good < conf->calls_min)
        return 0;
    return host->good_us / host->good + 1;
}

/* The median by halving the range: some forty passes over the hosts once per interval, and neither
 * memory nor another order of the hosts is needed. */
static uint64_t median_us(const struct nr_eject *e, const struct nr_eject_conf *conf, uint32_t n)
{
    uint64_t low = 0, high = (uint64_t)1 << MEDIAN_STEPS;

    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        uint32_t below = 0;

        for (uint32_t i = 0; i < e->count; i++) {
            uint64_t us = latency_us_of(&e->hosts[i], conf);

            below += us > 0 && us < middle;
        }
        if (below > (n - 1) / 2)
            high = middle;
        else
            low = middle;
    }
    return low;
}

/* Above which mean latency a host is an outlier; UINT64_MAX: nobody is. */
static uint64_t latency_limit_us(const struct nr_eject *e, const struct nr_eject_conf *conf)
{
    uint32_t n = 0;
    double limit_us;

    for (uint32_t i = 0; i < e->count; i++)
        n += latency_us_of(&e->hosts[i], conf) > 0;
    if (n == 0 || n < conf->hosts_min || conf->latency_factor <= 0)
        return UINT64_MAX;
    limit_us = conf->latency_factor * (double)median_us(e, conf, n);
    if (limit_us < (double)conf->latency_least_ns / 1000)
        limit_us = (double)conf->latency_least_ns / 1000;
    return (uint64_t)limit_us;
}

static uint32_t settle_host(struct nr_eject *e, struct nr_eject_host *host, uint64_t now_ns)
{
    if (!host->ejected) {
        host->times -= host->times > 0;
        return 0;
    }
    if (now_ns < host->until_ns)
        return 0;
    let_back(e, host);
    return 1;
}

/* The worse of two goes first when not all may: the loop calls this until nobody is found. */
static struct nr_eject_host *worst(struct nr_eject *e, const struct nr_eject_conf *conf,
                                   double rate_min, uint64_t us_max, enum nr_eject_why *ret_why)
{
    struct nr_eject_host *found = NULL, *slow = NULL;

    for (uint32_t i = 0; i < e->count; i++) {
        struct nr_eject_host *host = &e->hosts[i];

        if (host->ejected)
            continue;
        if (compares(host, conf) && rate_of(host) < rate_min &&
            (found == NULL || rate_of(host) < rate_of(found)))
            found = host;
        if (latency_us_of(host, conf) > us_max &&
            (slow == NULL || latency_us_of(host, conf) > latency_us_of(slow, conf)))
            slow = host;
    }
    *ret_why = found != NULL ? NR_EJECT_BY_RATE : NR_EJECT_BY_LATENCY;
    return found != NULL ? found : slow;
}

uint32_t nr_eject_tick(struct nr_eject *e, const struct nr_eject_conf *conf, uint64_t now_ns,
                       struct nr_random *random)
{
    double rate_min = rate_limit(e, conf);
    uint64_t us_max = latency_limit_us(e, conf);
    uint32_t changed = 0;
    struct nr_eject_host *host;
    enum nr_eject_why why;

    for (uint32_t i = 0; i < e->count; i++)
        changed += settle_host(e, &e->hosts[i], now_ns);
    while ((host = worst(e, conf, rate_min, us_max, &why)) != NULL &&
           eject(e, conf, host, now_ns, random, why))
        changed++;
    for (uint32_t i = 0; i < e->count; i++) {
        e->hosts[i].calls = 0;
        e->hosts[i].good = 0;
        e->hosts[i].good_us = 0;
    }
    return changed;
}
