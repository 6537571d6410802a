/* SPDX-License-Identifier: Apache-2.0 */
/* balance_random.c - one at random, by weight.
 *
 * Knows nothing and remembers nothing, so it needs no agreement between gateways and cannot be led
 * astray by what it has seen. Over many calls every host gets its share; over few, chance rules:
 * of n calls on m equal hosts the busiest has about n/m + sqrt(2 n/m ln m). Where that matters,
 * balance_p2c draws twice and takes the better. */
#include "base/assert.h"
#include "policy/balance.h"

static uint64_t weight_of_all(const struct nr_balance_set *b, uint64_t skip, uint32_t except)
{
    uint64_t total = 0;

    for (uint32_t i = 0; i < b->count; i++)
        if (i != except && nr_balance_takes(&b->hosts[i], i, skip))
            total += b->hosts[i].weight;
    return total;
}

uint32_t nr_balance_draw(const struct nr_balance_set *b, uint64_t skip, uint32_t except,
                         struct nr_random *random)
{
    uint64_t total =
        skip == 0 && except == NR_BALANCE_NONE ? b->weight_up : weight_of_all(b, skip, except);
    uint64_t at;

    if (total == 0)
        return NR_BALANCE_NONE;
    at = nr_random_below(random, total);
    for (uint32_t i = 0; i < b->count; i++) {
        if (i == except || !nr_balance_takes(&b->hosts[i], i, skip))
            continue;
        if (at < b->hosts[i].weight)
            return i;
        at -= b->hosts[i].weight;
    }
    nr_assert(!"the weights add up");
    return NR_BALANCE_NONE;
}

uint32_t nr_balance_pick_random(const struct nr_balance_set *b, uint64_t skip,
                                struct nr_random *random)
{
    if (nr_balance_is_plain(b, skip))
        return (uint32_t)nr_random_below(random, b->count);
    return nr_balance_draw(b, skip, NR_BALANCE_NONE, random);
}
