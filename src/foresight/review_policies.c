/* SPDX-License-Identifier: Apache-2.0 */
/* review_policies.c - do breaker and bulkhead fit the service that they stand before?
 *
 * Little's law ties them together: a service that answers R requests/s with C calls in progress
 * takes C/R seconds for each. So a bulkhead of C before a service that bears R is full only when
 * calls take C/R; if they are given up before that, it never speaks. */
#include "foresight/review_rules.h"

/* ---- breaker ---- */

/* One instance of n that is dead fails one call of n. */
static void find_opening_all(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_services_conf *services = nr_services_conf_of(config);

    for (uint32_t i = 0; i < services->count; i++) {
        const struct nr_service_conf *service = &services->items[i];
        const struct nr_service_breaker_conf *breaker = service->breaker;

        if (breaker == NULL || breaker->scope == NR_BREAKER_PER_INSTANCE ||
            service->instance_count < 2 || breaker->policy.failure_rate <= 0 ||
            breaker->policy.failure_rate * service->instance_count > 1)
            continue;
        nr_check_found(finder, &breaker->at, "scope", "scope: instance, which is the default",
                       "one dead instance of %u fails %.0f%% of the calls and opens the circuit of "
                       "service '%s' for all",
                       service->instance_count, 100.0 / service->instance_count, service->name.ptr);
    }
}

static void find_unseen_slowness(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_services_conf *services = nr_services_conf_of(config);

    for (uint32_t i = 0; i < services->count; i++) {
        const struct nr_service_conf *service = &services->items[i];
        const struct nr_service_breaker_conf *breaker = service->breaker;

        if (breaker == NULL || breaker->policy.slow_rate <= 0 ||
            service->timeouts.attempt_ns == 0 ||
            breaker->policy.slow_ns < service->timeouts.attempt_ns)
            continue;
        nr_check_found(finder, &breaker->at, "slow", "make slow shorter than timeouts.attempt",
                       "no call of service '%s' is ever slow: that begins at %llums, and attempts "
                       "end after %llums",
                       service->name.ptr, nr_review_ms(breaker->policy.slow_ns),
                       nr_review_ms(service->timeouts.attempt_ns));
    }
}

static const struct nr_check_rule rules[] = {
    {"breaker-opens-all", NR_DIAG_WARNING,
     "A circuit of a whole service or route that one dead instance opens.", find_opening_all},
    {"breaker-slow-unseen", NR_DIAG_HINT, "A breaker's limit for slow calls that no call reaches.",
     find_unseen_slowness},
};

const struct nr_check_rules nr_review_policy_rules = {rules, NR_COUNT(rules)};
