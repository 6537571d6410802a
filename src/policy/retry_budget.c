/* SPDX-License-Identifier: Apache-2.0 */
/* retry_budget.c - repeats are paid for by requests.
 *
 * With three attempts each, a service that fails gets three times its load at the very moment at
 * which it bears least. A limit per request cannot prevent that; one per service can: each request
 * earns `ratio` of a repeat, and a repeat costs a whole one. What was earned is kept for ten
 * seconds, then it is gone, or a quiet night would pay for a storm in the morning. So in any
 * stretch of time
 *
 *     repeats <= ratio × requests in it and the 10 s before it
 *                + min_per_s × (its seconds + 1)
 *
 * The second part is a bucket that fills by time and holds one second's worth (at least one
 * repeat): without it a service called once a minute would never see a repeat. It is spent first
 * because it does not last: full, it gains nothing.
 *
 * Amounts are whole millionths of a repeat. In floating point thousands of small deposits would
 * drift, and the bound above is to hold exactly.
 *
 * Sources: Finagle's RetryBudget (deposits that expire after 10 s) and Linkerd's default of 20 %
 * and 10 per second. Finagle adds its reserve to the same sum, where 10/s become a burst of 100;
 * the bucket here gives 10. */
#include "policy/retry_budget.h"

#include <string.h>

#define SECOND_NS ((uint64_t)1000000000)

const struct nr_retry_budget_conf nr_retry_budget_conf_default = {.ratio = 0.2, .min_per_s = 10};

static uint64_t free_max(const struct nr_retry_budget_conf *conf)
{
    return (uint64_t)conf->min_per_s * NR_RETRY_BUDGET_TOKEN;
}

static void forget(struct nr_retry_budget *budget, uint64_t now_ns)
{
    uint64_t second = now_ns / SECOND_NS;

    if (second <= budget->second) /* the same; or a clock read before somebody else's */
        return;
    if (second - budget->second >= NR_RETRY_BUDGET_SECONDS)
        memset(budget->earned, 0, sizeof(budget->earned));
    else
        for (uint64_t s = budget->second + 1; s <= second; s++)
            budget->earned[s % NR_RETRY_BUDGET_SECONDS] = 0;
    budget->second = second;
}

static void fill(struct nr_retry_budget *budget, const struct nr_retry_budget_conf *conf,
                 uint64_t now_ns)
{
    uint64_t most = free_max(conf), passed_ns;

    if (budget->free > most)
        budget->free = most;
    if (now_ns <= budget->free_at_ns)
        return;
    passed_ns = now_ns - budget->free_at_ns;
    if (conf->min_per_s == 0 || passed_ns >= SECOND_NS) {
        budget->free = most;
        budget->free_at_ns = now_ns;
        return;
    }
    /* Whole thousands of nanoseconds only: the rest stays in free_at_ns, and nothing is lost. */
    passed_ns -= passed_ns % (SECOND_NS / NR_RETRY_BUDGET_TOKEN);
    budget->free += passed_ns / (SECOND_NS / NR_RETRY_BUDGET_TOKEN) * conf->min_per_s;
    budget->free = budget->free < most ? budget->free : most;
    budget->free_at_ns += passed_ns;
}

void nr_retry_budget_init(struct nr_retry_budget *budget, const struct nr_retry_budget_conf *conf,
                          uint64_t now_ns)
{
    *budget = (struct nr_retry_budget){
        .second = now_ns / SECOND_NS, .free = free_max(conf), .free_at_ns = now_ns};
}

void nr_retry_budget_request(struct nr_retry_budget *budget,
                             const struct nr_retry_budget_conf *conf, uint64_t now_ns)
{
    forget(budget, now_ns);
    budget->earned[budget->second % NR_RETRY_BUDGET_SECONDS] +=
        (uint64_t)(conf->ratio * NR_RETRY_BUDGET_TOKEN + 0.5);
}

static uint64_t sum(const struct nr_retry_budget *budget)
{
    uint64_t all = budget->free;

    for (int i = 0; i < NR_RETRY_BUDGET_SECONDS; i++)
        all += budget->earned[i];
    return all;
}

/* Up to `want` from one place; what is still wanted after that. */
static uint64_t draw(uint64_t *from, uint64_t want)
{
    uint64_t part = *from < want ? *from : want;

    *from -= part;
    return want - part;
}

bool nr_retry_budget_take(struct nr_retry_budget *budget, const struct nr_retry_budget_conf *conf,
                          uint64_t now_ns)
{
    uint64_t want = NR_RETRY_BUDGET_TOKEN;

    forget(budget, now_ns);
    fill(budget, conf, now_ns);
    if (sum(budget) < want)
        return false;
    want = draw(&budget->free, want);
    for (uint64_t i = 1; want > 0 && i <= NR_RETRY_BUDGET_SECONDS; i++) /* the oldest first */
        want = draw(&budget->earned[(budget->second + i) % NR_RETRY_BUDGET_SECONDS], want);
    return true;
}

uint64_t nr_retry_budget_left(struct nr_retry_budget *budget,
                              const struct nr_retry_budget_conf *conf, uint64_t now_ns)
{
    forget(budget, now_ns);
    fill(budget, conf, now_ns);
    return sum(budget) / NR_RETRY_BUDGET_TOKEN;
}
