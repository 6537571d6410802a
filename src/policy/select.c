/* SPDX-License-Identifier: Apache-2.0 */
/* select.c - tiers, panic, zones.
 *
 * Tiers. The capacity of a tier is min(100 %, healthy / all × overprovisioning), by weight. The
 * first tier takes what it can, the next what is left, and so on: with 140 % a tier of ten serves
 * everything as long as eight are healthy, and with five 70 %, while the next takes 30 %. When the
 * first recovers it takes everything back. Overprovisioning 0 means: a tier serves everything while
 * any of its hosts lives, which is active/standby in the strict sense.
 *
 * Panic. If all tiers together cannot carry 100 %, then in those of which less than `panic` is
 * healthy, health is ignored: when most hosts seem dead, either the checks are wrong, or the few
 * that live would be run over by the load of all. What an operator has taken out stays out.
 *
 * Zones. Within a tier that is not in panic, our own zone serves alone while at least `zone` of its
 * weight is healthy: calls across zones are slow and cost money. Below, everybody serves.
 *
 * A tier's share reaches the balancers as a factor on the weights of its hosts: of tiers that serve
 * L1 and L2 percent with H1 and H2 of healthy weight, weights stand as L1/H1 to L2/H2.
 *
 * Sources: Envoy, "Priority levels" and "Panic threshold", for the two formulas. */
#include "policy/select.h"

#include <math.h>

#include "base/assert.h"

struct tier {
    uint64_t all;
    uint64_t healthy;
    uint64_t usable;
    uint64_t local;
    uint64_t local_healthy;
    double load; /* share of all calls, 0 to 1 */
    uint64_t serving;
    bool panic;
    bool local_only;
};

static void add_up(struct tier *tiers, const struct nr_select_host *hosts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct nr_select_host *host = &hosts[i];
        struct tier *tier = &tiers[host->priority];
        bool healthy = host->usable && host->healthy;

        nr_assert(host->priority < NR_TIERS_MAX);
        tier->all += host->weight;
        tier->usable += host->usable ? host->weight : 0;
        tier->healthy += healthy ? host->weight : 0;
        tier->local += host->local ? host->weight : 0;
        tier->local_healthy += host->local && healthy ? host->weight : 0;
    }
}

static double capacity(const struct tier *tier, const struct nr_select_rule *rule)
{
    double share;

    if (tier->healthy == 0)
        return 0;
    if (rule->over_pct == 0)
        return 1;
    share = (double)tier->healthy / (double)tier->all * (double)rule->over_pct / 100;
    return share < 1 ? share : 1;
}

/* First come, first served; what cannot be carried is spread over all in proportion. */
static void spread_load(struct tier *tiers, const struct nr_select_rule *rule)
{
    double total = 0, left = 1;

    for (uint32_t t = 0; t < NR_TIERS_MAX; t++)
        total += capacity(&tiers[t], rule);
    for (uint32_t t = 0; t < NR_TIERS_MAX; t++) {
        double takes = capacity(&tiers[t], rule);

        takes = total < 1 && total > 0 ? takes / total : takes;
        tiers[t].load = takes < left ? takes : left;
        left -= tiers[t].load;
        left = left > 1e-9 ? left : 0; /* rounding is no load */
        if (total < 1)
            tiers[t].panic =
                tiers[t].usable > 0 && tiers[t].healthy * 100 < tiers[t].all * rule->panic_pct;
    }
    for (uint32_t t = 0; t < NR_TIERS_MAX && total <= 0; t++) {
        if (!tiers[t].panic)
            continue;
        tiers[t].load = 1; /* nobody lives: the first tier that may be used at all */
        break;
    }
}

/* What is panicked or in another zone is decided per tier; then how much weight that leaves. */
static void settle(struct tier *tier, const struct nr_select_rule *rule)
{
    tier->local_only = rule->zones && !tier->panic && tier->local_healthy > 0 &&
                       tier->local_healthy * 100 >= tier->local * rule->zone_pct;
    tier->serving = tier->panic        ? tier->usable
                    : tier->local_only ? tier->local_healthy
                                       : tier->healthy;
}

static bool takes(const struct nr_select_host *host, const struct tier *tier)
{
    if (!host->usable || host->weight == 0 || tier->load <= 0)
        return false;
    if (tier->panic)
        return true;
    return host->healthy && (host->local || !tier->local_only);
}

static uint16_t share_of(const struct tier *tier, double most)
{
    double share = tier->load / (double)tier->serving / most * NR_SELECT_WHOLE;

    return share > 1 ? (uint16_t)lround(share) : 1;
}

struct nr_select_result nr_select(struct nr_select_host *hosts, uint32_t count,
                                  const struct nr_select_rule *rule)
{
    struct tier tiers[NR_TIERS_MAX] = {0};
    struct nr_select_result result = {false, false, false};
    double most = 0; /* the heaviest factor */

    add_up(tiers, hosts, count);
    spread_load(tiers, rule);
    for (uint32_t t = 0; t < NR_TIERS_MAX; t++) {
        settle(&tiers[t], rule);
        if (tiers[t].load > 0 && tiers[t].load / (double)tiers[t].serving > most)
            most = tiers[t].load / (double)tiers[t].serving;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct tier *tier = &tiers[hosts[i].priority];

        hosts[i].takes = takes(&hosts[i], tier);
        hosts[i].share = hosts[i].takes ? share_of(tier, most) : NR_SELECT_WHOLE;
        if (!hosts[i].takes)
            continue;
        result.panic |= tier->panic && !hosts[i].healthy;
        result.standby |= hosts[i].priority > 0;
        result.zone |= tier->local_only && tier->healthy > tier->local_healthy;
    }
    return result;
}
