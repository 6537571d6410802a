/* SPDX-License-Identifier: Apache-2.0 */
/* eject.h - passive health: who answers worse than the others is left out for a while.
 *
 * Pure: time and randomness are arguments, nothing is allocated. Not thread-safe: the service that
 * embeds it holds its lock. The configuration is passed per call, because state outlives a reload.
 * Who is ejected stands in hosts[].ejected; who asks passes that to the balancer. */
#ifndef NR_POLICY_EJECT_H
#define NR_POLICY_EJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"

enum nr_eject_result {
    NR_EJECT_OK,      /* answered, and not with a 5xx */
    NR_EJECT_5XX,     /* answered with another 5xx than these: */
    NR_EJECT_GATEWAY, /* 502, 503, 504, or not answered at all: refused, reset, timed out */
};

enum nr_eject_why {
    NR_EJECT_NOT,
    NR_EJECT_BY_5XX,
    NR_EJECT_BY_GATEWAY,
    NR_EJECT_BY_RATE,
    NR_EJECT_BY_LATENCY,
};

struct nr_eject_conf {
    uint32_t consecutive_5xx;     /* 5xx and gateway failures in a row; 0: off */
    uint32_t consecutive_gateway; /* gateway failures in a row; 0: off */
    double rate_sigmas;           /* success rate below mean - this × deviation; 0: off */
    double latency_factor;        /* mean latency above this × the median host's; 0: off */
    uint64_t latency_least_ns;    /* below it nobody is slow */
    uint32_t hosts_min;           /* with so many calls in the interval, to compare at all */
    uint32_t calls_min;
    uint64_t base_ns; /* the n-th ejection lasts n × base_ns … */
    uint64_t max_ns;  /* … at most, and … */
    double jitter;    /* … stretched by up to this share of itself */
    double share;     /* of the hosts that may be ejected at once, but always one of several */
};

extern const struct nr_eject_conf nr_eject_conf_default;

struct nr_eject_host {
    bool ejected;
    uint8_t why;    /* enum nr_eject_why, of this ejection or the latest */
    uint32_t times; /* ejections, less one for each calm interval since */
    uint32_t run_5xx;
    uint32_t run_gateway;
    uint32_t calls; /* of this interval */
    uint32_t good;
    uint64_t good_us;  /* sum of latencies of the good ones */
    uint64_t until_ns; /* while ejected */
};

struct nr_eject {
    struct nr_eject_host *hosts; /* borrowed */
    uint32_t count;
    uint32_t ejected;
};

/* Zeroes the hosts. */
void nr_eject_init(struct nr_eject *e, struct nr_eject_host *hosts, uint32_t count);

/* An attempt on this host is over (cancelled ones are not reported). What comes from an ejected
 * host is old news and ignored. True when this has ejected it. */
bool nr_eject_report(struct nr_eject *e, const struct nr_eject_conf *conf, uint32_t host,
                     uint64_t now_ns, struct nr_random *random, enum nr_eject_result result,
                     uint64_t latency_ns);

/* Once per interval (10 s): let back whose time is over, compare the others, begin a new interval.
 * Returns how many hosts have changed. */
uint32_t nr_eject_tick(struct nr_eject *e, const struct nr_eject_conf *conf, uint64_t now_ns,
                       struct nr_random *random);

#endif
