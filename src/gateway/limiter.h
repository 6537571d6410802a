/* SPDX-License-Identifier: Apache-2.0 */
/* limiter.h - one rate limit of the process: a table of keys (policy/limit_table.h) that all
 * workers share, exactly.
 *
 * Sets of the table are guarded by shards, each a cache line with a lock and what was counted under
 * it; a decision takes no system call. A hierarchy locks its limiters in the order in which they
 * were made, asks all, then charges all; so no two workers wait for each other, and what one
 * refuses costs nothing with the others.
 *
 * A limiter outlives the configuration that made it as long as the next one has a limit with the
 * same name, algorithm, key and size: rates, tiers and bursts may change without anybody getting
 * his allowance back.
 *
 * Thread-safe but for _new. */
#ifndef NR_GATEWAY_LIMITER_H
#define NR_GATEWAY_LIMITER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/spinlock.h"
#include "gateway/limit_conf.h"
#include "policy/limit_table.h"

enum { NR_LIMITER_SHARDS = 64, NR_LIMITER_USES_MAX = 3 * NR_LIMIT_LIST_MAX };

/* What an operator says of something that the configuration says, too. */
enum nr_said { NR_SAID_NOTHING, NR_SAID_YES, NR_SAID_NO };

/* Decisions so far. Cells: written under the shard's lock, read by anybody. */
struct nr_limiter_counts {
    uint64_t allowed;
    uint64_t refused;
    uint64_t would_refuse; /* observe_only */
    uint64_t waited;       /* of the allowed: held for a while */
    uint64_t evicted;      /* keys that lost what was remembered of them to a new one */
    uint64_t keys;         /* slots taken: keys that the table has a place for now */
    uint64_t charged;      /* beyond the rate, and let pass for it */
};

struct nr_limiter_shard {
    struct nr_spinlock lock;
    struct nr_limiter_counts counts;
} __attribute__((aligned(NR_CACHE_LINE_BYTES)));

_Static_assert(sizeof(struct nr_limiter_shard) == NR_CACHE_LINE_BYTES, "one line a shard");

struct nr_limiter {
    _Atomic uint32_t refs;
    uint32_t order; /* of making: that of locking */
    char *identity; /* what must stay for it to stay */
    struct nr_limit_table table;
    void *memory;
    size_t memory_bytes;
    /* Rates set by hand; written under all locks, read under any. forced_count 0: none. */
    uint8_t forced_count;
    struct nr_limit_conf forced[NR_LIMIT_CONF_TIERS_MAX + 1];
    _Atomic uint8_t observe; /* enum nr_said of observe_only, by hand */
    struct nr_limiter_shard shards[NR_LIMITER_SHARDS];
};

/* The text that tells limiters apart, besides the name that it begins with. The caller frees. */
char *nr_limiter_identity(struct nr_span name, const struct nr_rate_limit_conf *conf);

/* Takes the identity over. */
struct nr_limiter *nr_limiter_new(char *identity, const struct nr_rate_limit_conf *conf,
                                  uint32_t order);
struct nr_limiter *nr_limiter_ref(struct nr_limiter *limiter);
void nr_limiter_unref(struct nr_limiter *limiter);

/* One level of a hierarchy. */
struct nr_limiter_use {
    struct nr_limiter *limiter;
    struct nr_limiter_shard *shard; /* of the key */
    struct nr_limit_use use;
    const struct nr_limit_conf *conf; /* set by a decision: what it was made by */
    bool forced;                      /* … which was set by hand, and is kept here: */
    struct nr_limit_conf by_hand;
};

/* Fill in; the key's cache line is asked for. tiers must live as long as it. */
void nr_limiter_use(struct nr_limiter_use *to, struct nr_limiter *limiter, struct nr_hash128 key,
                    const struct nr_limit_conf *tiers, uint8_t tier_count, uint8_t tier,
                    uint32_t cost, uint64_t wait_ns_max);

/* What a refusal is counted as. */
enum nr_limiter_refusal {
    NR_LIMITER_REFUSED,
    NR_LIMITER_WOULD_REFUSE,
    NR_LIMITER_CHARGED,
};

/* All or nothing. The pointers are sorted by this; no two uses with the same limiter. Each gets its
 * verdict, and *ret_tightest is the one to tell of. */
bool nr_limiter_take_all(struct nr_limiter_use **uses, size_t count, uint64_t now_ns,
                         enum nr_limiter_refusal refusal, size_t *ret_tightest);

/* The sum of all shards, a moment old. */
struct nr_limiter_counts nr_limiter_counts(const struct nr_limiter *limiter);

/* Other rates from now on, whatever the configuration says, until the same with count 0. The
 * algorithm and log_units stay, and so does the number of tiers. */
void nr_limiter_force(struct nr_limiter *limiter, const struct nr_limit_conf *tiers, uint8_t count);

/* Only observe, or decide in earnest, whatever the configuration says. */
void nr_limiter_observe(struct nr_limiter *limiter, enum nr_said said);

static inline enum nr_said nr_limiter_observe_said(const struct nr_limiter *limiter)
{
    return (enum nr_said)atomic_load_explicit(&limiter->observe, memory_order_relaxed);
}

/* Copies what is forced; returns the count. */
uint8_t nr_limiter_forced(struct nr_limiter *limiter,
                          struct nr_limit_conf ret_tiers[NR_LIMIT_CONF_TIERS_MAX + 1]);

#endif
