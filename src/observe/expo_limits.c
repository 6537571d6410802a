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
                        {"would_refuse", limit.counts.would_refuse},
                        {"charged", limit.counts.charged}};

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

static void by_priority(struct nr_expo *expo, const uint64_t counts[NR_CRITICALITIES])
{
    static const char *const names[NR_CRITICALITIES] = {
        [NR_SHEDDABLE] = "sheddable", [NR_NORMAL] = "normal", [NR_CRITICAL] = "critical"};

    for (int i = 0; i < NR_CRITICALITIES; i++)
        nr_expo_u64(expo, &(struct nr_label){"priority", nr_span_of(names[i])}, 1, counts[i]);
}

static void shedding(struct nr_expo *expo, const struct nr_gateway_guards *guards)
{
    nr_expo_family(expo, "naru_shed", NR_EXPO_COUNTER, "Requests refused under pressure.");
    by_priority(expo, guards->shed);
    nr_expo_family(expo, "naru_would_shed", NR_EXPO_COUNTER,
                   "Requests that observe_only has let pass.");
    by_priority(expo, guards->would_shed);
    nr_expo_family(expo, "naru_shed_level", NR_EXPO_GAUGE,
                   "0: all are let in; 1: the sheddable are not; 2: only the critical are.");
    nr_expo_u64(expo, NULL, 0, guards->level);
    nr_expo_family(expo, "naru_in_flight", NR_EXPO_GAUGE,
                   "Requests in flight, as shedding has read them last.");
    nr_expo_u64(expo, NULL, 0, guards->in_flight);
    nr_expo_family(expo, "naru_loop_delay_seconds", NR_EXPO_GAUGE,
                   "How late the slowest worker's loop was, as shedding has read it last.");
    nr_expo_real(expo, NULL, 0, (double)guards->delay_ns / 1e9);
}

void nr_expo_guards(struct nr_expo *expo, const struct nr_gateway *gateway)
{
    struct nr_gateway_guards guards;

    nr_gateway_guards(gateway, &guards);
    if (guards.shedding)
        shedding(expo, &guards);
    if (!guards.faults)
        return;
    nr_expo_family(expo, "naru_faults", NR_EXPO_COUNTER,
                   "Faults put in on purpose, into requests or attempts.");
    for (int i = 0; i < NR_FAULTS; i++)
        nr_expo_u64(expo,
                    &(struct nr_label){"kind", nr_span_of(nr_fault_name((enum nr_fault_kind)i))}, 1,
                    guards.struck[i]);
}
