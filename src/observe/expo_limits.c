/* SPDX-License-Identifier: Apache-2.0 */
#include "observe/expo_limits.h"

#include "base/compiler.h"

static void limit_decisions(struct nr_expo *expo, const struct nr_gateway *gateway)
{
    for (uint32_t i = 0; i < nr_gateway_limit_count(gateway); i++) {
        struct nr_gateway_limit limit;

        nr_gateway_limit(gateway, i, &limit);
        const struct {
            const char *verdict;
            uint64_t count;
        } verdicts[] = {{"allowed", limit.counts.allowed},
                        {"refused", limit.counts.refused},
                        {"would_refuse", limit.counts.would_refuse}};

        for (size_t k = 0; k < NR_COUNT(verdicts); k++) {
            const struct nr_label labels[] = {{"limit", limit.name},
                                              {"verdict", nr_span_of(verdicts[k].verdict)}};

            nr_expo_u64(expo, labels, NR_COUNT(labels), verdicts[k].count);
        }
    }
}

static void limit_cells(struct nr_expo *expo, const struct nr_gateway *gateway, size_t offset)
{
    for (uint32_t i = 0; i < nr_gateway_limit_count(gateway); i++) {
        struct nr_gateway_limit limit;

        nr_gateway_limit(gateway, i, &limit);
        nr_expo_u64(expo, &(struct nr_label){"limit", limit.name}, 1,
                    *(const uint64_t *)(const void *)((const char *)&limit.counts + offset));
    }
}

void nr_expo_limits(struct nr_expo *expo, const struct nr_gateway *gateway)
{
    if (nr_gateway_limit_count(gateway) == 0)
        return;
    nr_expo_family(expo, "naru_limit_decisions", NR_EXPO_COUNTER,
                   "What rate limits decided; would_refuse is observe_only.");
    limit_decisions(expo, gateway);
    nr_expo_family(expo, "naru_limit_waited", NR_EXPO_COUNTER,
                   "Requests that a leaky bucket held until their turn.");
    limit_cells(expo, gateway, offsetof(struct nr_limiter_counts, waited));
    nr_expo_family(expo, "naru_limit_evicted", NR_EXPO_COUNTER,
                   "Keys that lost what was remembered of them to a new one.");
    limit_cells(expo, gateway, offsetof(struct nr_limiter_counts, evicted));
    nr_expo_family(expo, "naru_limit_keys", NR_EXPO_GAUGE, "Keys that a limit remembers.");
    limit_cells(expo, gateway, offsetof(struct nr_limiter_counts, keys));
}
