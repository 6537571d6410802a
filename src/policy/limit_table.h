/* SPDX-License-Identifier: Apache-2.0 */
/* limit_table.h - the limiter states of very many keys in memory of fixed size.
 *
 * A key is the SipHash-128 (base/siphash.h, with a secret) of whatever the limit is kept by: an
 * address, a user, a route and a header. The texts themselves are not kept; 120 bits stand for
 * them. One table holds one limit with all its tiers; a new algorithm or log size needs a new one.
 *
 * Pure policy: no allocation, the memory is the caller's and is never grown. 64 bytes per key that
 * the table was asked for (a sliding log needs 16 bytes per unit more).
 *
 * Full is not an error: a new key takes the place of a key in the same set of 16 whose allowance
 * is fullest, preferably one that had nothing to remember any more. So a flood of new keys
 * pushes out those who used least, and never frees who is blocked before all others are.
 *
 * Locking is the caller's. Sets share nothing, so sets can be guarded by any number of locks:
 * a use says which set its key lives in; a hierarchy locks in ascending order. There
 * are no counters in the table; what is worth counting is in the results. */
#ifndef NR_POLICY_LIMIT_TABLE_H
#define NR_POLICY_LIMIT_TABLE_H

#include "base/siphash.h"
#include "policy/limit.h"

enum { NR_LIMIT_TIERS_MAX = 250 };

struct nr_limit_table {
    unsigned char *slots; /* borrowed */
    uint32_t sets;
    uint32_t slot_bytes;
};

/* Memory for `keys` live keys: half of the slots, so that sets overflow rarely (1 key in 1,000).
 * log_units is that of the configuration, 0 unless it is a sliding log. */
size_t nr_limit_table_bytes(uint32_t keys, uint32_t log_units);

/* The memory must be all zero, aligned to a cache line, and outlive the table. */
void nr_limit_table_init(struct nr_limit_table *table, void *memory, size_t bytes,
                         uint32_t log_units);

/* One level of a hierarchy. */
struct nr_limit_use {
    struct nr_limit_table *table;
    struct nr_hash128 key; /* no two uses with the same table and key */
    const struct nr_limit_conf *tiers;
    uint64_t wait_ns_max; /* a leaky bucket that would hold it longer refuses it; 0: any time */
    uint32_t cost;
    uint8_t tier_count; /* 1 to NR_LIMIT_TIERS_MAX */
    uint8_t tier;       /* < tier_count */
    uint32_t set;       /* by nr_limit_table_aim() */
    /* Set by nr_limit_table_take_all(): */
    bool evicted; /* a key that still had something to remember made room for this one */
    bool settled; /* a slot that was never used before has been taken */
    struct nr_limit_verdict verdict;
};

/* Once table and key are set: where the key lives. Its cache line is asked for, so do it early,
 * while there is other work to do, and for all keys before the first is decided on. */
void nr_limit_table_aim(struct nr_limit_use *use);

/* All or nothing, as nr_limit_take_all(). A refusal writes nothing: no key appears, none goes. */
bool nr_limit_table_take_all(struct nr_limit_use *const *uses, size_t count, uint64_t now_ns,
                             size_t *ret_tightest);

/* How a key stands, without any effect: cost 0. */
void nr_limit_table_look(const struct nr_limit_use *use, uint64_t now_ns,
                         struct nr_limit_verdict *ret_verdict);

/* The key is as if never used: an operator's pardon. */
void nr_limit_table_forget(struct nr_limit_table *table, struct nr_hash128 key);

#endif
