/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/limiter.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/cell.h"
#include "base/strbuf.h"
#include "io/pages.h"

/* ---- life ---- */

char *nr_limiter_identity(struct nr_span name, const struct nr_rate_limit_conf *conf)
{
    struct nr_limit_conf tiers[NR_LIMIT_CONF_TIERS_MAX + 1];
    struct nr_strbuf text = {0};
    size_t len;

    nr_limit_conf_tiers(conf, tiers);
    nr_strbuf_add(&text, name);
    nr_strbuf_printf(&text, "\n%u %u %u %u %u %u", conf->algorithm, tiers[0].log_units,
                     nr_limit_conf_keys(conf), conf->missing, conf->ipv4_prefix_bits,
                     conf->ipv6_prefix_bits);
    for (uint32_t i = 0; i < conf->key_count; i++)
        nr_strbuf_printf(&text, "\n%s", conf->key[i].ptr);
    return nr_strbuf_take(&text, &len);
}

struct nr_limiter *nr_limiter_new(char *identity, const struct nr_rate_limit_conf *conf,
                                  uint32_t order)
{
    struct nr_limiter *limiter = aligned_alloc(NR_CACHE_LINE_BYTES, sizeof(*limiter));
    struct nr_limit_conf tiers[NR_LIMIT_CONF_TIERS_MAX + 1];

    nr_assert(limiter != NULL);
    nr_limit_conf_tiers(conf, tiers);
    memset(limiter, 0, sizeof(*limiter));
    atomic_init(&limiter->refs, 1);
    limiter->identity = identity;
    limiter->order = order;
    limiter->memory_bytes = nr_limit_table_bytes(nr_limit_conf_keys(conf), tiers[0].log_units);
    limiter->memory = nr_pages_new(limiter->memory_bytes);
    nr_limit_table_init(&limiter->table, limiter->memory, limiter->memory_bytes,
                        tiers[0].log_units);
    for (int i = 0; i < NR_LIMITER_SHARDS; i++)
        nr_spinlock_init(&limiter->shards[i].lock);
    return limiter;
}

struct nr_limiter *nr_limiter_ref(struct nr_limiter *limiter)
{
    atomic_fetch_add_explicit(&limiter->refs, 1, memory_order_relaxed);
    return limiter;
}

void nr_limiter_unref(struct nr_limiter *limiter)
{
    if (limiter == NULL || atomic_fetch_sub_explicit(&limiter->refs, 1, memory_order_acq_rel) != 1)
        return;
    nr_pages_free(limiter->memory, limiter->memory_bytes);
    free(limiter->identity);
    free(limiter);
}

/* ---- deciding ---- */

void nr_limiter_use(struct nr_limiter_use *to, struct nr_limiter *limiter, struct nr_hash128 key,
                    const struct nr_limit_conf *tiers, uint8_t tier_count, uint8_t tier,
                    uint32_t cost, uint64_t wait_ns_max)
{
    to->limiter = limiter;
    to->forced = false;
    to->use.table = &limiter->table;
    to->use.key = key;
    to->use.tiers = tiers;
    to->use.tier_count = tier_count;
    to->use.tier = tier;
    to->use.cost = cost;
    to->use.wait_ns_max = wait_ns_max;
    nr_limit_table_aim(&to->use);
    to->shard = &limiter->shards[to->use.set % NR_LIMITER_SHARDS];
    __builtin_prefetch(to->shard, 1);
}

/* A worker that began with an older configuration may know of more tiers. */
static void force_conf(struct nr_limiter_use *use)
{
    const struct nr_limiter *limiter = use->limiter;
    const struct nr_limit_conf *own = use->conf;

    use->use.tiers = limiter->forced;
    use->use.tier_count = limiter->forced_count;
    if (use->use.tier >= limiter->forced_count)
        use->use.tier = 0;
    use->by_hand = limiter->forced[use->use.tier];
    use->conf = &use->by_hand;
    use->forced = !nr_limit_conf_same(own, &use->by_hand);
}

/* Under its lock. */
static void settle_conf(struct nr_limiter_use *use)
{
    use->conf = &use->use.tiers[use->use.tier];
    if (nr_unlikely(use->limiter->forced_count > 0))
        force_conf(use);
}

static void count(const struct nr_limiter_use *use, bool taken, enum nr_limiter_refusal refusal)
{
    struct nr_limiter_counts *counts = &use->shard->counts;

    if (taken) {
        nr_cell_add(&counts->allowed, 1);
        if (use->use.verdict.wait_ns > 0)
            nr_cell_add(&counts->waited, 1);
        if (use->use.evicted)
            nr_cell_add(&counts->evicted, 1);
        if (use->use.settled)
            nr_cell_add(&counts->keys, 1);
    } else if (!use->use.verdict.allowed) {
        nr_cell_add(refusal == NR_LIMITER_REFUSED        ? &counts->refused
                    : refusal == NR_LIMITER_WOULD_REFUSE ? &counts->would_refuse
                                                         : &counts->charged,
                    1);
    }
}

/* Few, and nearly sorted already. */
static void sort(struct nr_limiter_use **uses, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t j = i; j > 0 && uses[j - 1]->limiter->order > uses[j]->limiter->order; j--) {
            struct nr_limiter_use *use = uses[j];

            uses[j] = uses[j - 1];
            uses[j - 1] = use;
        }
}

bool nr_limiter_take_all(struct nr_limiter_use **uses, size_t n, uint64_t now_ns,
                         enum nr_limiter_refusal refusal, size_t *ret_tightest)
{
    struct nr_limit_use *together[NR_LIMITER_USES_MAX];
    bool taken;

    nr_assert(n > 0 && n <= NR_LIMITER_USES_MAX);
    sort(uses, n);
    for (size_t i = 0; i < n; i++) {
        nr_assert(i == 0 || uses[i - 1]->limiter != uses[i]->limiter);
        nr_spinlock_lock(&uses[i]->shard->lock);
        settle_conf(uses[i]);
        together[i] = &uses[i]->use;
    }
    taken = nr_limit_table_take_all(together, n, now_ns, ret_tightest);
    for (size_t i = n; i > 0; i--) {
        count(uses[i - 1], taken, refusal);
        nr_spinlock_unlock(&uses[i - 1]->shard->lock);
    }
    return taken;
}

/* ---- from outside ---- */

struct nr_limiter_counts nr_limiter_counts(const struct nr_limiter *limiter)
{
    struct nr_limiter_counts sum = {0};

    for (int i = 0; i < NR_LIMITER_SHARDS; i++) {
        const struct nr_limiter_counts *counts = &limiter->shards[i].counts;

        sum.allowed += nr_cell_get(&counts->allowed);
        sum.refused += nr_cell_get(&counts->refused);
        sum.would_refuse += nr_cell_get(&counts->would_refuse);
        sum.waited += nr_cell_get(&counts->waited);
        sum.evicted += nr_cell_get(&counts->evicted);
        sum.keys += nr_cell_get(&counts->keys);
        sum.charged += nr_cell_get(&counts->charged);
    }
    return sum;
}

void nr_limiter_force(struct nr_limiter *limiter, const struct nr_limit_conf *tiers, uint8_t n)
{
    nr_assert(n <= NR_COUNT(limiter->forced));
    for (int i = 0; i < NR_LIMITER_SHARDS; i++)
        nr_spinlock_lock(&limiter->shards[i].lock);
    limiter->forced_count = n;
    if (n > 0)
        memcpy(limiter->forced, tiers, n * sizeof(*tiers));
    for (int i = NR_LIMITER_SHARDS; i > 0; i--)
        nr_spinlock_unlock(&limiter->shards[i - 1].lock);
}

void nr_limiter_observe(struct nr_limiter *limiter, enum nr_said said)
{
    atomic_store_explicit(&limiter->observe, (uint8_t)said, memory_order_relaxed);
}

uint8_t nr_limiter_forced(struct nr_limiter *limiter,
                          struct nr_limit_conf ret_tiers[NR_LIMIT_CONF_TIERS_MAX + 1])
{
    uint8_t n;

    nr_spinlock_lock(&limiter->shards[0].lock);
    n = limiter->forced_count;
    if (n > 0)
        memcpy(ret_tiers, limiter->forced, n * sizeof(*ret_tiers));
    nr_spinlock_unlock(&limiter->shards[0].lock);
    return n;
}
