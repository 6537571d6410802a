/* SPDX-License-Identifier: Apache-2.0 */
/* balance_least.c - the fewest calls in flight.
 *
 * Load is in_flight / weight, compared by cross multiplication. Hosts of equal load take turns by
 * smooth weighted round robin among themselves; without that an idle service would send
 * everything to its first host, and hosts that answer fast would starve the rest. */
#include "policy/balance.h"

/* < 0: a carries less for its weight. */
static int compare_load(const struct nr_balance_host *a, const struct nr_balance_host *b)
{
    uint64_t load_a = (uint64_t)a->in_flight * b->weight;
    uint64_t load_b = (uint64_t)b->in_flight * a->weight;

    return (load_a > load_b) - (load_a < load_b);
}

static uint32_t least_loaded(const struct nr_balance_set *b, uint64_t skip)
{
    uint32_t least = NR_BALANCE_NONE;

    for (uint32_t i = 0; i < b->count; i++) {
        if (!nr_balance_takes(b, i, skip))
            continue;
        if (least == NR_BALANCE_NONE || compare_load(&b->hosts[i], &b->hosts[least]) < 0)
            least = i;
    }
    return least;
}

uint32_t nr_balance_pick_least(struct nr_balance_set *b, uint64_t skip)
{
    uint32_t least = least_loaded(b, skip);
    uint32_t best = NR_BALANCE_NONE;
    int64_t total = 0;

    if (least == NR_BALANCE_NONE)
        return NR_BALANCE_NONE;
    for (uint32_t i = least; i < b->count; i++) { /* none before it is as good */
        struct nr_balance_host *host = &b->hosts[i];

        if (!nr_balance_takes(b, i, skip) || compare_load(host, &b->hosts[least]) != 0)
            continue;
        host->turn += host->weight;
        total += host->weight;
        if (best == NR_BALANCE_NONE || host->turn > b->hosts[best].turn)
            best = i;
    }
    b->hosts[best].turn -= total;
    return best;
}
