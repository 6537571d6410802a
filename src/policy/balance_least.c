/* SPDX-License-Identifier: Apache-2.0 */
/* balance_least.c - the fewest calls in flight.
 *
 * Load is in_flight / weight, compared by cross multiplication. Hosts of equal load take turns by
 * smooth weighted round robin among themselves; without that an idle service would send
 * everything to its first host, and hosts that answer fast would starve the rest. */
#include "policy/balance.h"

/* Does a carry less for its weight? */
static bool is_less(const struct nr_balance_host *a, uint64_t in_flight, uint64_t weight)
{
    return a->in_flight * weight < in_flight * a->weight;
}

static bool is_equal(const struct nr_balance_host *a, uint64_t in_flight, uint64_t weight)
{
    return a->in_flight * weight == in_flight * a->weight;
}

static uint32_t least_loaded(const struct nr_balance_set *b, uint64_t skip)
{
    const struct nr_balance_host *hosts = b->hosts;
    uint32_t count = b->count;
    uint32_t least = NR_BALANCE_NONE;
    uint64_t in_flight = UINT32_MAX, weight = 1; /* more than any */

    for (uint32_t i = 0; i < count; i++) {
        if (!nr_balance_takes(&hosts[i], i, skip))
            continue;
        if (least != NR_BALANCE_NONE && !is_less(&hosts[i], in_flight, weight))
            continue;
        least = i;
        in_flight = hosts[i].in_flight;
        weight = hosts[i].weight;
    }
    return least;
}

uint32_t nr_balance_pick_least(struct nr_balance_set *b, uint64_t skip)
{
    struct nr_balance_host *hosts = b->hosts;
    uint32_t count = b->count;
    uint32_t least = least_loaded(b, skip);
    uint32_t best = least;
    uint64_t in_flight, weight;
    int64_t best_turn = INT64_MIN;
    int64_t total = 0;

    if (least == NR_BALANCE_NONE)
        return NR_BALANCE_NONE;
    in_flight = hosts[least].in_flight;
    weight = hosts[least].weight;
    for (uint32_t i = least; i < count; i++) { /* none before it is as good */
        if (!nr_balance_takes(&hosts[i], i, skip) || !is_equal(&hosts[i], in_flight, weight))
            continue;
        hosts[i].turn += hosts[i].weight;
        total += hosts[i].weight;
        if (hosts[i].turn > best_turn) {
            best_turn = hosts[i].turn;
            best = i;
        }
    }
    hosts[best].turn -= total;
    return best;
}
