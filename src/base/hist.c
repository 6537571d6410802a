/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hist.h"

#include <math.h>

#include "base/assert.h"

uint64_t nr_hist_bucket_low(uint32_t bucket)
{
    uint32_t shift;

    nr_assert(bucket < NR_HIST_BUCKETS);
    if (bucket < NR_HIST_LINEAR)
        return bucket;
    shift = bucket / NR_HIST_SUBS - 1;
    return (uint64_t)(NR_HIST_SUBS + bucket % NR_HIST_SUBS) << shift;
}

static uint64_t middle(uint32_t bucket)
{
    uint64_t width = bucket < NR_HIST_LINEAR ? 1 : (uint64_t)1 << (bucket / NR_HIST_SUBS - 1);

    return nr_hist_bucket_low(bucket) + width / 2;
}

void nr_hist_merge(struct nr_hist *to, const struct nr_hist *from)
{
    for (uint32_t i = 0; i < NR_HIST_BUCKETS; i++) {
        uint64_t n = nr_cell_get(&from->buckets[i]);

        to->buckets[i] += n;
        to->count += n;
    }
    to->sum += nr_cell_get(&from->sum);
}

uint64_t nr_hist_count_below(const struct nr_hist *hist, uint64_t value)
{
    uint64_t below = 0;

    for (uint32_t i = 0; i < NR_HIST_BUCKETS && middle(i) < value; i++)
        below += hist->buckets[i];
    return below;
}

uint64_t nr_hist_quantile(const struct nr_hist *hist, double q)
{
    uint64_t rank, seen = 0;

    if (hist->count == 0)
        return 0;
    rank = (uint64_t)ceil(q * (double)hist->count);
    rank = rank < 1 ? 1 : rank > hist->count ? hist->count : rank;
    for (uint32_t i = 0; i < NR_HIST_BUCKETS; i++) {
        seen += hist->buckets[i];
        if (seen >= rank)
            return middle(i);
    }
    return middle(NR_HIST_BUCKETS - 1); /* the count was read before a bucket */
}
