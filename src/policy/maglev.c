/* SPDX-License-Identifier: Apache-2.0 */
/* maglev.c - Maglev's lookup table: near perfect balance, one memory access per key.
 *
 * Each host has a permutation of the slots of its own: offset, offset + step, … modulo a prime. By
 * turns each claims the first slot of its permutation that is still free, until none is. So every
 * host gets the same number of slots, give or take one, and most slots go to the same host whoever
 * else takes part (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer",
 * NSDI 2016, 3.4).
 *
 * Weights. A round belongs to a level; a host may claim while
 *
 *     filled / weight  <  level / weight_max
 *
 * so the heaviest claims once a round and the others in proportion. Equal weights make this the
 * published method.
 *
 * A host that leaves for a while. In the published method the table is filled anew without it, and
 * some slots of hosts that stay change hands too. Here the
 * table is always filled for all hosts first, and then the slots of those that do not take calls
 * are freed and claimed again in the same manner by those that have the least. So exactly the keys
 * of the hosts that left move, balance holds, and when they come back everything is as it was. A
 * host that is taken out of the configuration still moves a little more than its share.
 *
 * The size is always the same prime. A smaller one would do for few hosts, but a size that followed
 * their number would move nearly every key when it changed, and the more slots a host has, the
 * fewer move beyond its share: with 65,537 and up to twenty hosts, less than a tenth more.
 *
 * Hosts take their turns in the order of their ids, not of their listing. */
#include <stdlib.h>

#include "base/assert.h"
#include "policy/hash_table.h"

enum { NO_HOST = 0xffff };

_Static_assert((int)NR_HASH_HOSTS_MAX < (int)NO_HOST, "an index and `none` fit into a slot");

static int by_id(const void *a, const void *b)
{
    const struct nr_hash_work *x = a, *y = b;

    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return x->host < y->host ? -1 : x->host > y->host;
}

static void prepare(struct nr_hash_work *work, const struct nr_hash_host *hosts, uint32_t count,
                    uint32_t size)
{
    nr_assert(size > 1);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t id = hosts[i].id;

        nr_assert(hosts[i].weight > 0);
        work[i] = (struct nr_hash_work){
            .id = id,
            .host = i,
            .offset = (uint32_t)(nr_hash_mix(id + 0x9e3779b97f4a7c15u) % size),
            .step = (uint32_t)(nr_hash_mix(id + 0x3c6ef372fe94f82au) % (size - 1)) + 1,
        };
    }
    qsort(work, count, sizeof(*work), by_id);
}

/* The first free slot of this host's permutation. There is one. */
static void claim(const struct nr_hash_table *table, struct nr_hash_work *work)
{
    for (;;) {
        uint32_t slot = work->next;

        work->next = (uint32_t)(((uint64_t)work->next + work->step) % table->size);
        if (table->slots[slot] != NO_HOST)
            continue;
        table->slots[slot] = (uint16_t)work->host;
        work->filled++;
        return;
    }
}

static uint32_t heaviest(const struct nr_hash_host *hosts, uint32_t count, bool all)
{
    uint32_t weight = 0;

    for (uint32_t i = 0; i < count; i++)
        if ((all || hosts[i].takes) && hosts[i].weight > weight)
            weight = hosts[i].weight;
    return weight;
}

/* Let the hosts (all, or those that take) claim what is free, those that have the least first. */
static void fill(const struct nr_hash_table *table, const struct nr_hash_host *hosts,
                 uint32_t count, struct nr_hash_work *work, uint32_t unclaimed, bool all)
{
    const uint64_t weight_max = heaviest(hosts, count, all);
    uint64_t level = UINT64_MAX;

    for (uint32_t i = 0; i < count; i++) {
        const struct nr_hash_host *host = &hosts[work[i].host];
        uint64_t reached = work[i].filled * weight_max / host->weight;

        work[i].next = work[i].offset;
        if ((all || host->takes) && reached < level)
            level = reached;
    }
    while (unclaimed > 0) {
        level++;
        for (uint32_t i = 0; i < count && unclaimed > 0; i++) {
            const struct nr_hash_host *host = &hosts[work[i].host];

            if (!all && !host->takes)
                continue;
            if (work[i].filled * weight_max >= level * host->weight)
                continue;
            claim(table, &work[i]);
            unclaimed--;
        }
    }
}

static uint32_t free_slots(const struct nr_hash_table *table, const struct nr_hash_host *hosts)
{
    uint32_t freed = 0;

    for (uint32_t i = 0; i < table->size; i++) {
        if (hosts[table->slots[i]].takes)
            continue;
        table->slots[i] = NO_HOST;
        freed++;
    }
    return freed;
}

void nr_maglev_build(struct nr_hash_table *table, const struct nr_hash_host *hosts, uint32_t count,
                     struct nr_hash_work *work)
{
    uint32_t freed;

    for (uint32_t i = 0; i < table->size; i++)
        table->slots[i] = NO_HOST;
    prepare(work, hosts, count, table->size);
    fill(table, hosts, count, work, table->size, true);
    nr_assert(heaviest(hosts, count, false) > 0);
    freed = free_slots(table, hosts);
    fill(table, hosts, count, work, freed, false);
}
