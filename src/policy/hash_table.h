/* SPDX-License-Identifier: Apache-2.0 */
/* hash_table.h - which host a key belongs to: Maglev's table and the ring.
 *
 * Pure: the caller brings the memory. Tables depend only on the hosts' ids, weights and on which of
 * them take calls, never on their order or on history, so gateways that see the same hosts agree
 * without talking to each other. A table is built aside and then put in place; nothing here is
 * called for a request but nr_hash_table_at. */
#ifndef NR_POLICY_HASH_TABLE_H
#define NR_POLICY_HASH_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "naru/span.h"

enum { NR_HASH_HOSTS_MAX = 1024, NR_MAGLEV_SLOTS = 65537 };

enum nr_hash_kind {
    NR_HASH_MAGLEV,
    NR_HASH_RING,
};

struct nr_hash_host {
    uint64_t id;     /* nr_hash_bytes of its name; equal ids are the same place twice */
    uint32_t weight; /* at least 1 */
    bool takes;      /* gets keys now; else its keys are given to the others */
};

struct nr_hash_point {
    uint32_t at;
    uint16_t host;
};

struct nr_hash_table {
    uint32_t kind;                /* enum nr_hash_kind */
    uint32_t size;                /* slots, or points */
    uint16_t *slots;              /* Maglev: slot → host */
    struct nr_hash_point *points; /* the ring, in order */
    uint32_t *starts;             /* … and where the points of each bucket begin */
    uint32_t bucket_bits;
};

/* One host's progress while a table is built. */
struct nr_hash_work {
    uint64_t id;
    uint32_t host;
    uint32_t offset; /* its permutation of the slots: offset, offset + step, … */
    uint32_t step;
    uint32_t next;
    uint32_t filled;
};

/* What must be known before memory is taken: how many slots or points, and how many bytes. */
uint32_t nr_hash_table_size(enum nr_hash_kind kind, const struct nr_hash_host *hosts,
                            uint32_t count);
size_t nr_hash_table_bytes(enum nr_hash_kind kind, uint32_t size);

/* Build into `memory` (of nr_hash_table_bytes, aligned for any type). count is 1 to
 * NR_HASH_HOSTS_MAX, at least one host takes; work has room for count. */
void nr_hash_table_build(struct nr_hash_table *table, enum nr_hash_kind kind, uint32_t size,
                         void *memory, const struct nr_hash_host *hosts, uint32_t count,
                         struct nr_hash_work *work);

/* The two kinds behind it. */
void nr_maglev_build(struct nr_hash_table *table, const struct nr_hash_host *hosts, uint32_t count,
                     struct nr_hash_work *work);
uint32_t nr_ring_size(const struct nr_hash_host *hosts, uint32_t count);
void nr_ring_build(struct nr_hash_table *table, const struct nr_hash_host *hosts, uint32_t count);

/* Where the walk for this key starts, and the host at a place of the walk. A walk goes on by adding
 * one, modulo size. In a ring it may pass hosts that do not take. */
uint32_t nr_hash_table_start(const struct nr_hash_table *table, uint64_t key);

static inline uint32_t nr_hash_table_at(const struct nr_hash_table *table, uint32_t place)
{
    return table->kind == NR_HASH_MAGLEV ? table->slots[place] : table->points[place].host;
}

/* A key's or a name's hash: FNV-1a with a finaliser that spreads it over all 64 bits. Not for
 * secrets. */
uint64_t nr_hash_bytes(struct nr_span bytes);

/* splitmix64's finaliser (Steele, Lea, Flood 2014): any two inputs give independent outputs. */
static inline uint64_t nr_hash_mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

#endif
