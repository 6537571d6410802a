/* SPDX-License-Identifier: Apache-2.0 */
/* hedge.h - when an answer is late, ask a second instance.
 *
 * Pure: nothing is allocated. Not thread-safe: the service that embeds it holds its lock. The
 * configuration is passed per call, because state outlives a reload. */
#ifndef NR_POLICY_HEDGE_H
#define NR_POLICY_HEDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/retry_budget.h"

enum { NR_HEDGE_BUCKETS = 124 };

struct nr_hedge_conf {
    double quantile;   /* 0 to 1: hedge the calls that take longer than this share of all */
    uint64_t least_ns; /* never earlier */
    uint32_t minimum;  /* samples before it hedges at all */
    uint32_t window;   /* latencies are remembered for one to two times so many; 0 is 1 */
};

/* 95 %, not before 1 ms, from 100 samples, 1,000 of them. */
extern const struct nr_hedge_conf nr_hedge_conf_default;

struct nr_hedge {
    uint32_t now[NR_HEDGE_BUCKETS];    /* being filled */
    uint32_t before[NR_HEDGE_BUCKETS]; /* full */
    uint32_t now_count;
    uint32_t before_count;
    uint64_t after_ns; /* NR_TIME_NEVER: not enough is known */
};

struct nr_hedge_facts {
    uint64_t waited_ns; /* since the first attempt began */
    uint64_t left_ns;   /* until the deadline */
    uint32_t attempts;  /* made so far */
    uint32_t attempts_max;
    bool idempotent;
    bool committed;      /* a part of an answer has reached whoever asked */
    bool body_whole;     /* all of the request's body can be sent again */
    bool other_instance; /* there is one that has not been tried */
};

enum nr_hedge_verdict {
    NR_HEDGE_GO,
    NR_HEDGE_NOT,     /* this request is never hedged */
    NR_HEDGE_EARLY,   /* not late, or it is not known what late is */
    NR_HEDGE_NO_TIME, /* it could not answer before the deadline, as far as is known */
    NR_HEDGE_NO_BUDGET,
};

void nr_hedge_init(struct nr_hedge *hedge);

/* A first attempt has been answered after took_ns. Those that lost against a hedge, too, with the
 * time until they were cancelled; failures are not observed. */
void nr_hedge_observe(struct nr_hedge *hedge, const struct nr_hedge_conf *conf, uint64_t took_ns);

/* When to look, counted from the first attempt's start; NR_TIME_NEVER: do not. */
static inline uint64_t nr_hedge_after_ns(const struct nr_hedge *hedge)
{
    return hedge->after_ns;
}

/* Start a second attempt now? With NR_HEDGE_GO it is paid from the service's retry budget. */
enum nr_hedge_verdict nr_hedge_decide(const struct nr_hedge *hedge,
                                      const struct nr_hedge_facts *facts,
                                      struct nr_retry_budget *budget,
                                      const struct nr_retry_budget_conf *budget_conf,
                                      uint64_t now_ns);

#endif
