/* SPDX-License-Identifier: Apache-2.0 */
/* hist.h - a histogram of durations in microseconds, at most 1.6 % wrong anywhere.
 *
 * Log-linear: values below 64 have a bucket each, then every power of two is cut into 32 equal
 * buckets, so a bucket is never wider than 1/32 of what it holds and its middle never
 * further than 1/64 from any value in it. Values from 2^32 µs (71 minutes) on count in the last
 * bucket. Source: G. Tene's HdrHistogram, reduced to what is needed.
 *
 * Recording is for one thread; others may read meanwhile (relaxed atomics): what they see is each
 * bucket at some recent moment. */
#ifndef NR_BASE_HIST_H
#define NR_BASE_HIST_H

#include <stdint.h>

#include "base/cell.h"

enum {
    NR_HIST_SUB_BITS = 5,
    NR_HIST_SUBS = 1 << NR_HIST_SUB_BITS,
    NR_HIST_LINEAR = 2 * NR_HIST_SUBS, /* values with a bucket of their own */
    NR_HIST_MAX_BITS = 32,
    NR_HIST_BUCKETS = NR_HIST_LINEAR + (NR_HIST_MAX_BITS - NR_HIST_SUB_BITS - 1) * NR_HIST_SUBS,
};

struct nr_hist {
    uint64_t count;
    uint64_t sum; /* of the values as given, not of the buckets' middles */
    uint64_t buckets[NR_HIST_BUCKETS];
};

/* The bucket of a value. */
static inline uint32_t nr_hist_bucket(uint64_t value)
{
    uint32_t bits;

    if (value < NR_HIST_LINEAR)
        return (uint32_t)value;
    if (value >= (uint64_t)1 << NR_HIST_MAX_BITS)
        return NR_HIST_BUCKETS - 1;
    bits = 63 - (uint32_t)__builtin_clzll(value); /* 2^bits <= value, bits >= 6 */
    return (bits - NR_HIST_SUB_BITS) * NR_HIST_SUBS +
           (uint32_t)(value >> (bits - NR_HIST_SUB_BITS));
}

/* The least value of a bucket; bucket < NR_HIST_BUCKETS. */
uint64_t nr_hist_bucket_low(uint32_t bucket);

static inline void nr_hist_add(struct nr_hist *hist, uint64_t value_us)
{
    nr_cell_add(&hist->buckets[nr_hist_bucket(value_us)], 1);
    nr_cell_add(&hist->sum, value_us);
    nr_cell_add(&hist->count, 1);
}

/* Add all of `from` (which may be in use) to `to` (which is the caller's alone). count becomes
 * the sum of the buckets, so that the two agree whatever was recorded meanwhile. */
void nr_hist_merge(struct nr_hist *to, const struct nr_hist *from);

/* How many values were below `value` (counting whole buckets whose middle is below it). */
uint64_t nr_hist_count_below(const struct nr_hist *hist, uint64_t value);

/* The value at quantile q (0 to 1), by the nearest rank: the middle of its bucket. 0 when empty. */
uint64_t nr_hist_quantile(const struct nr_hist *hist, double q);

#endif
