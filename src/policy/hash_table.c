/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/hash_table.h"

#include "base/assert.h"

uint64_t nr_hash_bytes(struct nr_span bytes)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < bytes.len; i++)
        hash = (hash ^ (uint8_t)bytes.ptr[i]) * 0x100000001b3u;
    return nr_hash_mix(hash);
}

uint32_t nr_hash_table_size(enum nr_hash_kind kind, const struct nr_hash_host *hosts,
                            uint32_t count)
{
    return kind == NR_HASH_MAGLEV ? NR_MAGLEV_SLOTS : nr_ring_size(hosts, count);
}

/* About one point a bucket. */
static uint32_t bucket_bits(uint32_t size)
{
    uint32_t bits = 1;

    while (bits < 20 && (1u << bits) < size)
        bits++;
    return bits;
}

size_t nr_hash_table_bytes(enum nr_hash_kind kind, uint32_t size)
{
    if (kind == NR_HASH_MAGLEV)
        return size * sizeof(uint16_t);
    return size * sizeof(struct nr_hash_point) +
           ((size_t)1 << bucket_bits(size)) * sizeof(uint32_t);
}

void nr_hash_table_build(struct nr_hash_table *table, enum nr_hash_kind kind, uint32_t size,
                         void *memory, const struct nr_hash_host *hosts, uint32_t count,
                         struct nr_hash_work *work)
{
    nr_assert(count > 0 && count <= NR_HASH_HOSTS_MAX);
    *table = (struct nr_hash_table){.kind = kind, .size = size};
    if (kind == NR_HASH_MAGLEV) {
        table->slots = memory;
        nr_maglev_build(table, hosts, count, work);
        return;
    }
    table->points = memory;
    table->bucket_bits = bucket_bits(size);
    table->starts = (uint32_t *)(table->points + size);
    nr_ring_build(table, hosts, count);
}

/* The first point not before the key's, or the very first behind the last. */
static uint32_t ring_start(const struct nr_hash_table *table, uint64_t key)
{
    uint32_t at = (uint32_t)(nr_hash_mix(key) >> 32);
    uint32_t place = table->starts[at >> (32 - table->bucket_bits)];

    while (place < table->size && table->points[place].at < at)
        place++;
    return place < table->size ? place : 0;
}

uint32_t nr_hash_table_start(const struct nr_hash_table *table, uint64_t key)
{
    if (table->kind == NR_HASH_RING)
        return ring_start(table, key);
    return (uint32_t)(((nr_hash_mix(key) >> 32) * table->size) >> 32);
}
