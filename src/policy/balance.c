/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/balance.h"

#include "base/assert.h"

/* Sums over all hosts. */
static void count_up(struct nr_balance_set *b)
{
    b->up = 0;
    b->weight_up = 0;
    b->equal = b->count > 0 ? b->hosts[0].weight : 1;
    for (uint32_t i = 0; i < b->count; i++) {
        const struct nr_balance_host *host = &b->hosts[i];

        nr_assert(host->weight > 0);
        if (host->weight != b->equal)
            b->equal = 0;
        if (!host->up)
            continue;
        b->up++;
        b->weight_up += host->weight;
    }
}

void nr_balance_init(struct nr_balance_set *b, struct nr_balance_host *hosts, uint32_t count)
{
    *b = (struct nr_balance_set){.hosts = hosts, .count = count};
    for (uint32_t i = 0; i < count; i++)
        hosts[i] = (struct nr_balance_host){.weight = hosts[i].weight,
                                            .up = hosts[i].up,
                                            .penalty = 1,
                                            .burden = 1.0f / (float)hosts[i].weight};
    count_up(b);
}

void nr_balance_settle(struct nr_balance_set *b, bool restart)
{
    count_up(b);

    /* Everybody starts anew. Were only one host's credit dropped, the credits would no longer add
     * up to zero, and after many comings and goings a newcomer would have to wait for ages. */
    for (uint32_t i = 0; i < b->count && restart; i++)
        b->hosts[i].turn = 0;
}

void nr_balance_mark(struct nr_balance_set *b, uint32_t host, bool up)
{
    nr_assert(host < b->count);
    if (b->hosts[host].up == up)
        return;
    b->hosts[host].up = up;
    nr_balance_settle(b, true);
}
