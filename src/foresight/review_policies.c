/* SPDX-License-Identifier: Apache-2.0 */
/* review_policies.c - do breaker and bulkhead fit the service that they stand before?
 *
 * Little's law ties them together: a service that answers R requests/s with C calls in progress
 * takes C/R seconds for each. So a bulkhead of C before a service that bears R is full only when
 * calls take C/R; if they are given up before that, it never speaks. */
#include "foresight/review_rules.h"
#include "io/epoll.h"

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

/* ---- bulkhead ---- */

/* After how long naru gives a call up at the latest; 0: not known. */
static uint64_t given_up_ns(const struct nr_gateway_conf *gateway,
                            const struct nr_service_conf *service)
{
    uint64_t longest_ns = 0;

    if (service->timeouts.attempt_ns != 0)
        return service->timeouts.attempt_ns;
    for (uint32_t i = 0; i < gateway->route_count; i++)
        if (nr_route_leads_to(&gateway->routes[i], service->name) &&
            gateway->routes[i].deadline_ns > longest_ns)
            longest_ns = gateway->routes[i].deadline_ns;
    return longest_ns;
}

static void find_wide_bulkhead(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_gateway_conf *gateway = nr_gateway_conf_of(config);
    const struct nr_services_conf *services = nr_services_conf_of(config);

    for (uint32_t i = 0; i < services->count; i++) {
        const struct nr_service_conf *service = &services->items[i];
        uint64_t limit_ns = given_up_ns(gateway, service);
        double bears, full_ms;

        if (service->bulkhead == NULL || nr_bulkhead_is_adaptive(service->bulkhead) ||
            service->capacity.per_ns == 0 || service->instance_count == 0 || limit_ns == 0)
            continue;
        bears = nr_review_per_s(service->capacity) * service->instance_count;
        full_ms = service->bulkhead->policy.concurrent / bears * 1000;
        if (full_ms > (double)nr_review_ms(limit_ns))
            nr_check_found(finder, &service->bulkhead->at, "concurrent",
                           "concurrent: capacity x instances x the time that a call may take",
                           "%u concurrent calls at %.4g/s, which service '%s' bears, take %.0fms "
                           "each, but calls end after %llums: the bulkhead is never full in time",
                           service->bulkhead->policy.concurrent, bears, service->name.ptr, full_ms,
                           nr_review_ms(limit_ns));
    }
}

static void find_narrow_bulkhead(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_services_conf *services = nr_services_conf_of(config);

    for (uint32_t i = 0; i < services->count; i++) {
        const struct nr_service_conf *service = &services->items[i];

        if (service->bulkhead != NULL && !nr_bulkhead_is_adaptive(service->bulkhead) &&
            service->bulkhead->policy.concurrent < service->instance_count)
            nr_check_found(
                finder, &service->bulkhead->at, "concurrent",
                "at least one call for each instance, usually many",
                "%u concurrent call%s for %u instances of service '%s': some always idle",
                service->bulkhead->policy.concurrent,
                service->bulkhead->policy.concurrent == 1 ? "" : "s", service->instance_count,
                service->name.ptr);
    }
}

static void find_narrow_pool(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_services_conf *services = nr_services_conf_of(config);
    uint32_t workers = nr_gateway_conf_of(config)->workers;

    workers = workers == 0 ? nr_io_cores() : workers;
    for (uint32_t i = 0; i < services->count; i++) {
        const struct nr_service_conf *service = &services->items[i];
        uint64_t connections =
            (uint64_t)service->pool.max_connections * service->instance_count * workers;

        if (service->bulkhead != NULL && service->instance_count > 0 &&
            connections < service->bulkhead->policy.concurrent)
            nr_check_found(finder,
                           nr_section_has(&service->pool.at, "max_connections")
                               ? &service->pool.at
                               : &service->bulkhead->at,
                           nr_section_has(&service->pool.at, "max_connections") ? "max_connections"
                                                                                : "concurrent",
                           "raise pool.max_connections, or lower bulkhead.concurrent",
                           "%u calls may be in progress to service '%s', but there are %llu "
                           "connections: %u instances x %u worker%s x %u",
                           service->bulkhead->policy.concurrent, service->name.ptr,
                           (unsigned long long)connections, service->instance_count, workers,
                           workers == 1 ? "" : "s", service->pool.max_connections);
    }
}

static void find_long_queue(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_gateway_conf *gateway = nr_gateway_conf_of(config);
    const struct nr_services_conf *services = nr_services_conf_of(config);

    for (uint32_t i = 0; i < services->count; i++) {
        const struct nr_service_conf *service = &services->items[i];

        for (uint32_t j = 0; service->bulkhead != NULL && j < gateway->route_count; j++) {
            const struct nr_route_conf *route = &gateway->routes[j];

            if (!nr_route_leads_to(route, service->name) || service->bulkhead->policy.queue == 0 ||
                service->bulkhead->policy.wait_ns < route->deadline_ns)
                continue;
            nr_check_found(finder, &service->bulkhead->at, "wait",
                           "a small share of the deadline, such as 500ms",
                           "calls of service '%s' may wait %llums for a permit, the deadline of "
                           "route '%s' is %llums",
                           service->name.ptr, nr_review_ms(service->bulkhead->policy.wait_ns),
                           route->name.ptr, nr_review_ms(route->deadline_ns));
            break;
        }
    }
}

static const struct nr_check_rule rules[] = {
    {"breaker-opens-all", NR_DIAG_WARNING,
     "A circuit of a whole service or route that one dead instance opens.", find_opening_all},
    {"breaker-slow-unseen", NR_DIAG_HINT, "A breaker's limit for slow calls that no call reaches.",
     find_unseen_slowness},
    {"bulkhead-above-capacity", NR_DIAG_WARNING,
     "A bulkhead that cannot be full before its calls are given up.", find_wide_bulkhead},
    {"bulkhead-below-instances", NR_DIAG_WARNING, "Fewer concurrent calls than instances.",
     find_narrow_bulkhead},
    {"pool-below-bulkhead", NR_DIAG_WARNING, "Fewer connections than concurrent calls.",
     find_narrow_pool},
    {"queue-beyond-deadline", NR_DIAG_WARNING,
     "A wait for a permit that is as long as the deadline.", find_long_queue},
};

const struct nr_check_rules nr_review_policy_rules = {rules, NR_COUNT(rules)};
