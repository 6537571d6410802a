/* SPDX-License-Identifier: Apache-2.0 */
/* retry_budget.h - how many repeats a service bears, whoever asks for them.
 *
 * One per service. Pure: the time is an argument, nothing is allocated. Not thread-safe: the
 * service that embeds it holds its lock. The configuration is passed per call, because state
 * outlives a reload. Hedges are paid from it too. */
#ifndef NR_POLICY_RETRY_BUDGET_H
#define NR_POLICY_RETRY_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

enum { NR_RETRY_BUDGET_SECONDS = 10, NR_RETRY_BUDGET_TOKEN = 1000000 };

struct nr_retry_budget_conf {
    double ratio;       /* repeats that each request earns, 0 to 10: 0.2 is 20 % */
    uint32_t min_per_s; /* repeats per second that are free, so that rare requests have some */
};

/* 20 % and 10 per second. */
extern const struct nr_retry_budget_conf nr_retry_budget_conf_default;

struct nr_retry_budget {
    uint64_t earned[NR_RETRY_BUDGET_SECONDS]; /* by second, unspent; in millionths of a repeat */
    uint64_t second;                          /* of the newest slot */
    uint64_t free;                            /* in millionths of a repeat */
    uint64_t free_at_ns;                      /* when `free` was brought up to date */
};

/* Starts with one second's worth of free repeats. */
void nr_retry_budget_init(struct nr_retry_budget *budget, const struct nr_retry_budget_conf *conf,
                          uint64_t now_ns);

/* A request (not a repeat) has arrived for the service. */
void nr_retry_budget_request(struct nr_retry_budget *budget,
                             const struct nr_retry_budget_conf *conf, uint64_t now_ns);

/* May one repeat be made? It is paid then; there is no giving back. */
bool nr_retry_budget_take(struct nr_retry_budget *budget, const struct nr_retry_budget_conf *conf,
                          uint64_t now_ns);

/* Whole repeats that could be made now. */
uint64_t nr_retry_budget_left(struct nr_retry_budget *budget,
                              const struct nr_retry_budget_conf *conf, uint64_t now_ns);

#endif
