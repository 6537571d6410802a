/* SPDX-License-Identifier: Apache-2.0 */
/* balance_hash.c - consistent hashing with bounded load.
 *
 * The table (hash_table.h) says where a key belongs. With a bound c, a host takes a call only while
 *
 *     in_flight + 1  <=  ceil(c × (all in flight + 1) × weight / weight of all)
 *
 * else the walk goes on to the next place, so a key that everybody wants does not drown its host,
 * and a key that overflows always does so to the same few others (Mirrokni, Thorup, Zadimoghaddam,
 * "Consistent Hashing with Bounded Loads", 2016). There is always a host under the bound.
 *
 * `weight` is what the host may have now: while it starts slowly (slow_start.h) its bound is low,
 * and its keys overflow to others without any table being rebuilt.
 *
 * The walk is short: in Maglev's table neighbouring slots are as good as random, in the ring the
 * next point is another host with probability 1 - 1/n. When it has met 128 hosts that are full, it
 * gives up and takes the least loaded.
 *
 * A few calls say nothing about load: with one in flight and three hosts the bound of 125 % would
 * be one, and a browser that opens two connections would lose its instance. So the fair share
 * counts as at least NR_BALANCE_BOUND_FREE calls. */
#include "policy/balance_hash.h"

enum { FULL_MAX = 128 };

static bool has_room(const struct nr_balance_set *b, const struct nr_balance_host *host,
                     uint32_t bound_pct, uint32_t in_flight)
{
    uint64_t few = (uint64_t)NR_BALANCE_BOUND_FREE * b->count;
    uint64_t calls = (uint64_t)in_flight + 1 > few ? (uint64_t)in_flight + 1 : few;

    return bound_pct == 0 ||
           host->in_flight * 100 * b->weight_up < bound_pct * calls * host->weight;
}

uint32_t nr_balance_pick_hash(struct nr_balance_set *b, const struct nr_hash_table *table,
                              uint64_t key, uint64_t skip, uint32_t bound_pct, uint32_t in_flight)
{
    uint32_t place = nr_hash_table_start(table, key);
    uint32_t full = 0;

    for (uint32_t i = 0; i < table->size && full < FULL_MAX; i++) {
        uint32_t host = nr_hash_table_at(table, place);

        if (host < b->count && nr_balance_takes(&b->hosts[host], host, skip)) {
            if (has_room(b, &b->hosts[host], bound_pct, in_flight))
                return host;
            full++;
        }
        place = place + 1 < table->size ? place + 1 : 0;
    }
    return nr_balance_pick_least(b, skip);
}
