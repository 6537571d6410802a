/* SPDX-License-Identifier: Apache-2.0 */
/* limit_algorithm.h - what limit.c and the six algorithms share; nobody else's business.
 *
 * Each algorithm is a pair: _check leaves the state alone, _consume takes what was allowed. */
#ifndef NR_POLICY_LIMIT_ALGORITHM_H
#define NR_POLICY_LIMIT_ALGORITHM_H

#include "policy/limit.h"

#define NR_LIMIT_ALGORITHM(name)                                                                   \
    void nr_limit_##name##_check(const union nr_limit_state *state,                                \
                                 const struct nr_limit_conf *conf, uint64_t now_ns, uint32_t cost, \
                                 struct nr_limit_verdict *ret_verdict);                            \
    void nr_limit_##name##_consume(union nr_limit_state *state, const struct nr_limit_conf *conf,  \
                                   uint64_t now_ns, uint32_t cost)

NR_LIMIT_ALGORITHM(bucket);
NR_LIMIT_ALGORITHM(leaky);
NR_LIMIT_ALGORITHM(fixed);
NR_LIMIT_ALGORITHM(sliding);
NR_LIMIT_ALGORITHM(log);
NR_LIMIT_ALGORITHM(gcra);

#undef NR_LIMIT_ALGORITHM

/* a × b / c rounded down; c > 0 and the result must fit. Division of 128 bits is a library call,
 * and nearly always not needed. */
static inline uint64_t nr_limit_scale_down(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t product;

    if (!__builtin_mul_overflow(a, b, &product))
        return product / c;
    return (uint64_t)((unsigned __int128)a * b / c);
}

/* The same, rounded up. */
static inline uint64_t nr_limit_scale_up(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t product;

    if (!__builtin_mul_overflow(a, b, &product))
        return product / c + (product % c != 0);
    return (uint64_t)(((unsigned __int128)a * b + (c - 1)) / c);
}

/* From one unit to the next, in whole nanoseconds: rounded up, so never too fast; at 1,000,000
 * units a second the error is below 0.1 %, at 1,000 below 0.0001 %. */
static inline uint64_t nr_limit_interval_ns(const struct nr_limit_conf *conf)
{
    return (conf->period_ns + conf->limit - 1) / conf->limit;
}

static inline uint64_t nr_limit_since(uint64_t then_ns, uint64_t now_ns)
{
    return now_ns > then_ns ? now_ns - then_ns : 0;
}

#endif
