/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/balance.h"

#include "base/assert.h"

void nr_balance_init(struct nr_balance_set *b, struct nr_balance_host *hosts, uint32_t count)
{
    *b = (struct nr_balance_set){.hosts = hosts, .count = count};
    b->equal = count > 0 ? hosts[0].weight : 1;
    for (uint32_t i = 0; i < count; i++) {
        struct nr_balance_host *host = &hosts[i];

        nr_assert(host->weight > 0);
        *host = (struct nr_balance_host){.weight = host->weight, .up = host->up, .penalty = 1};
        b->up += host->up;
        if (host->weight != b->equal)
            b->equal = 0;
    }
}

void nr_balance_mark(struct nr_balance_set *b, uint32_t host, bool up)
{
    nr_assert(host < b->count);
    if (b->hosts[host].up == up)
        return;
    b->hosts[host].up = up;
    b->up = up ? b->up + 1 : b->up - 1;

    /* Everybody starts anew. Were only this host's credit dropped, the credits would no longer add
     * up to zero, and after many comings and goings a newcomer would have to wait for ages. */
    for (uint32_t i = 0; i < b->count; i++)
        b->hosts[i].turn = 0;
}
