/* SPDX-License-Identifier: Apache-2.0 */
/* hedge.c - the tail at scale.
 *
 * Most late answers are late by accident: a pause, a packet lost, a queue behind a large request.
 * Asking a second instance as soon as an answer is later than 95 % of them costs 5 % more calls and
 * turns the tail of one instance into the tail of two at once (Dean and Barroso, The Tail at Scale,
 * CACM 2013). It is a repeat, so the rules of retry.c hold: idempotent, nothing of an answer passed
 * on, the body at hand, an attempt left; and it is paid from the same budget, because when all are
 * slow, all calls are late and hedging would double the load.
 *
 * What "late" is comes from a histogram of the first attempts: four buckets per power of two in
 * microseconds, so the bound is at most 25 % above the true quantile and never below (never earlier
 * than asked for). Two generations: one is filled, the one before is full and still counts; when
 * the first is full, they change. So at least `window` latencies are remembered once so many came,
 * and nothing older than twice that. An answer that lost against its hedge counts with the time
 * that it had taken until then: left out, the late ones would vanish, the quantile would sink, and
 * more and more would be hedged.
 *
 * The quantile is worked out every 32 samples: a decision only compares. */
#include "policy/hedge.h"

#include <string.h>

#include "policy/deadline.h"
#include "policy/retry.h"

enum { QUARTER_BITS = 2, QUARTERS = 1 << QUARTER_BITS, REWORK_EVERY = 32 };

const struct nr_hedge_conf nr_hedge_conf_default = {
    .quantile = 0.95, .least_ns = 1000000, .minimum = 100, .window = 1000};

static uint32_t bucket_of(uint64_t us)
{
    uint32_t bits;

    if (us < QUARTERS)
        return (uint32_t)us;
    if (us > UINT32_MAX)
        us = UINT32_MAX;
    bits = 63 - (uint32_t)__builtin_clzll(us);
    return (bits - QUARTER_BITS) * QUARTERS + (uint32_t)(us >> (bits - QUARTER_BITS));
}

_Static_assert((31 - QUARTER_BITS) * QUARTERS + 2 * QUARTERS == NR_HEDGE_BUCKETS,
               "the largest 32-bit number has the last bucket");

/* The least number above the bucket. */
static uint64_t bucket_end_us(uint32_t bucket)
{
    if (bucket < QUARTERS)
        return bucket + 1;
    return (uint64_t)(QUARTERS + bucket % QUARTERS + 1) << (bucket / QUARTERS - 1);
}

void nr_hedge_init(struct nr_hedge *hedge)
{
    *hedge = (struct nr_hedge){.after_ns = NR_TIME_NEVER};
}

static void rework(struct nr_hedge *hedge, const struct nr_hedge_conf *conf)
{
    uint32_t count = hedge->now_count + hedge->before_count, seen = 0, bucket = 0;
    double rank = conf->quantile * (double)count;

    hedge->after_ns = NR_TIME_NEVER;
    if (count == 0 || count < conf->minimum)
        return;
    for (;; bucket++) {
        seen += hedge->now[bucket] + hedge->before[bucket];
        if ((double)seen >= rank || bucket + 1 == NR_HEDGE_BUCKETS)
            break;
    }
    hedge->after_ns = bucket_end_us(bucket) * 1000;
    if (hedge->after_ns < conf->least_ns)
        hedge->after_ns = conf->least_ns;
}

void nr_hedge_observe(struct nr_hedge *hedge, const struct nr_hedge_conf *conf, uint64_t took_ns)
{
    hedge->now[bucket_of(took_ns / 1000)]++;
    hedge->now_count++;
    if (hedge->now_count % REWORK_EVERY == 0 || hedge->now_count == conf->minimum)
        rework(hedge, conf);
    if (hedge->now_count < conf->window)
        return;
    memcpy(hedge->before, hedge->now, sizeof(hedge->before));
    hedge->before_count = hedge->now_count;
    memset(hedge->now, 0, sizeof(hedge->now));
    hedge->now_count = 0;
}

enum nr_hedge_verdict nr_hedge_decide(const struct nr_hedge *hedge,
                                      const struct nr_hedge_facts *facts,
                                      struct nr_retry_budget *budget,
                                      const struct nr_retry_budget_conf *budget_conf,
                                      uint64_t now_ns)
{
    if (!facts->idempotent || facts->committed || !facts->body_whole || !facts->other_instance ||
        facts->attempts >= facts->attempts_max)
        return NR_HEDGE_NOT;
    if (facts->waited_ns < hedge->after_ns)
        return NR_HEDGE_EARLY;
    if (facts->left_ns < NR_RETRY_LEFT_NS_MIN)
        return NR_HEDGE_NO_TIME;
    if (!nr_retry_budget_take(budget, budget_conf, now_ns))
        return NR_HEDGE_NO_BUDGET;
    return NR_HEDGE_GO;
}
