/* SPDX-License-Identifier: Apache-2.0 */
/* balance_rr.c - smooth weighted round robin.
 *
 * Each host that may be taken earns its weight as credit; the one with the most credit is taken
 * and pays the sum of all weights. Over one cycle (the sum of the weights) every host is taken
 * exactly `weight` times, and, unlike in plain weighted round robin, never in a burst: weights
 * {5, 1, 1} give a a b a c a a. Credits add up to zero, so they are bounded by the sum of weights,
 * and after a host came or went the order settles within one cycle.
 *
 * A pick that skips hosts (a retry) neither credits nor charges those, so the share that they
 * are owed stays.
 *
 * Source: nginx, "Upstream: smooth weighted round-robin balancing" (2012), the published method
 * and vector. */
#include "policy/balance.h"

uint32_t nr_balance_pick_rr(struct nr_balance_set *b, uint64_t skip)
{
    struct nr_balance_host *hosts = b->hosts; /* in registers: writing turns may not reload them */
    uint32_t count = b->count;
    uint32_t best = NR_BALANCE_NONE;
    int64_t best_turn = INT64_MIN;
    int64_t total = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (!nr_balance_takes(&hosts[i], i, skip))
            continue;
        hosts[i].turn += hosts[i].weight;
        total += hosts[i].weight;
        if (hosts[i].turn > best_turn) {
            best_turn = hosts[i].turn;
            best = i;
        }
    }
    if (best != NR_BALANCE_NONE)
        hosts[best].turn -= total;
    return best;
}
