/* SPDX-License-Identifier: Apache-2.0 */
/* ring.c - consistent hashing on a ring.
 *
 * Each host stands on the ring at many points, in proportion to its weight; a key belongs to the
 * first point behind it whose host takes calls (Karger et al. 1997). When a host goes, in health or
 * out of the configuration, exactly its keys move, each to the next host on the ring; that is the
 * ring's advantage over Maglev, paid with memory and with shares that are less even: with 1,024
 * points a host they differ by some 3 %.
 *
 * A lookup does not search: the ring is cut into about as many buckets as there are points, and
 * each knows its first, so it takes a step or two from there. */
#include <stdlib.h>

#include "base/assert.h"
#include "policy/hash_table.h"

enum { POINTS_PER_HOST = 1024, POINTS_LEAST = 16, POINTS_MAX = 131072 };

static uint64_t total_weight(const struct nr_hash_host *hosts, uint32_t count)
{
    uint64_t total = 0;

    for (uint32_t i = 0; i < count; i++)
        total += hosts[i].weight;
    return total;
}

static uint32_t wanted_points(uint32_t count)
{
    return count * POINTS_PER_HOST < POINTS_MAX ? count * POINTS_PER_HOST : POINTS_MAX;
}

/* Of one host; never none, so that even the lightest is on the ring. */
static uint32_t points_of(const struct nr_hash_host *host, uint32_t count, uint64_t total)
{
    uint64_t points = (uint64_t)wanted_points(count) * host->weight / total;

    return points > POINTS_LEAST ? (uint32_t)points : POINTS_LEAST;
}

uint32_t nr_ring_size(const struct nr_hash_host *hosts, uint32_t count)
{
    uint64_t total = total_weight(hosts, count);
    uint32_t size = 0;

    for (uint32_t i = 0; i < count; i++)
        size += points_of(&hosts[i], count, total);
    return size;
}

static int by_place(const void *a, const void *b)
{
    const struct nr_hash_point *x = a, *y = b;

    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return x->host < y->host ? -1 : x->host > y->host;
}

static void index_buckets(struct nr_hash_table *table)
{
    uint32_t buckets = 1u << table->bucket_bits;
    uint32_t place = 0;

    for (uint32_t i = 0; i < buckets; i++) {
        while (place < table->size && table->points[place].at >> (32 - table->bucket_bits) < i)
            place++;
        table->starts[i] = place;
    }
}

void nr_ring_build(struct nr_hash_table *table, const struct nr_hash_host *hosts, uint32_t count)
{
    uint64_t total = total_weight(hosts, count);
    uint32_t place = 0;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t points = points_of(&hosts[i], count, total);

        for (uint32_t n = 0; n < points; n++)
            table->points[place++] = (struct nr_hash_point){
                .at = (uint32_t)(nr_hash_mix(hosts[i].id + n * 0x9e3779b97f4a7c15u) >> 32),
                .host = (uint16_t)i,
            };
    }
    nr_assert(place == table->size);
    qsort(table->points, table->size, sizeof(table->points[0]), by_place);
    index_buckets(table);
}
