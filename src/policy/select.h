/* SPDX-License-Identifier: Apache-2.0 */
/* select.h - which hosts take calls at all: health, priority tiers, zones, panic.
 *
 * Pure. Worked out when something about a host changes, never for a pick: balancers then only see
 * hosts that are up. */
#ifndef NR_POLICY_SELECT_H
#define NR_POLICY_SELECT_H

#include <stdbool.h>
#include <stdint.h>

enum { NR_TIERS_MAX = 16, NR_SELECT_WHOLE = 1000 };

struct nr_select_host {
    uint32_t weight;  /* 0: as if it were not there */
    uint8_t priority; /* its tier, 0 first */
    bool usable;      /* may be called: it has an address, and nobody has taken it out */
    bool healthy;     /* … and answers, as far as is known */
    bool local;       /* in our own zone */
    /* Written by nr_select: */
    bool takes;
    uint16_t share; /* thousandths of its weight, because of its tier */
};

struct nr_select_rule {
    uint32_t over_pct;  /* a tier serves all while healthy × this / 100 is enough; 0: any is */
    uint32_t panic_pct; /* below this share of healthy hosts all are used; 0: never */
    uint32_t zone_pct;  /* our zone serves alone while this share of it is healthy */
    bool zones;         /* we know our zone */
};

struct nr_select_result {
    bool panic;   /* hosts take calls that are not healthy */
    bool standby; /* a tier behind the first takes calls */
    bool zone;    /* only our zone does, though there are others */
};

struct nr_select_result nr_select(struct nr_select_host *hosts, uint32_t count,
                                  const struct nr_select_rule *rule);

#endif
