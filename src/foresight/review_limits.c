/* SPDX-License-Identifier: Apache-2.0 */
/* review_limits.c - do rate limits protect what is behind them, and are they used at all?
 *
 * What a service bears is declared: capacity of one instance, times the instances that are listed.
 * A limit that lets more through than that - for all requests together, or even for a single client
 * - does not protect the service. */
#include "foresight/review_rules.h"
#include "gateway/limit_conf.h"

/* Per second; 0: not known. */
static double capacity_of(const struct nr_service_conf *service)
{
    if (service->capacity.per_ns == 0 || nr_instances_are_found(&service->found))
        return 0;
    return nr_review_per_s(service->capacity) * service->instance_count;
}

/* Requests per second that a key may make, by the widest of its tiers; 0: as many as it likes. */
static double rate_of(const struct nr_rate_limit_conf *limit, uint32_t cost)
{
    double rate = nr_review_per_s(limit->rate);

    for (uint32_t i = 0; i < limit->tier_count; i++)
        if (nr_review_per_s(limit->tiers[i].rate) > rate)
            rate = nr_review_per_s(limit->tiers[i].rate);
    return cost == 0 ? 0 : rate / cost;
}

static bool for_all_together(const struct nr_rate_limit_conf *limit)
{
    for (uint32_t i = 0; i < limit->key_count; i++)
        if (!nr_span_eq(limit->key[i], NR_SPAN("global")) &&
            !nr_span_eq(limit->key[i], NR_SPAN("route")))
            return false;
    return limit->key_count > 0;
}

static void compare(const struct nr_limits_conf *limits, const struct nr_rate_limit_conf *entry,
                    const struct nr_route_conf *route, const struct nr_service_conf *service,
                    struct nr_check_finder *finder)
{
    const struct nr_rate_limit_conf *limit =
        entry->use.len > 0 ? nr_limit_conf_find(limits, entry->use) : entry;
    double capacity = capacity_of(service), rate;
    uint32_t cost = entry->cost != NR_LIMIT_AUTO   ? entry->cost
                    : limit->cost != NR_LIMIT_AUTO ? limit->cost
                                                   : 1;

    rate = rate_of(limit, cost);
    if (capacity == 0 || rate <= capacity)
        return;
    nr_check_found(finder, &entry->at, NULL, "lower the rate, or add instances",
                   "limit %.60s lets %s send %.4g requests/s to route '%s', service '%s' bears "
                   "%.4g/s: %u x %.4g/s",
                   limit->name.len > 0 ? limit->name.ptr : limit->at.path,
                   for_all_together(limit) ? "all clients together" : "a single client", rate,
                   route->name.ptr, service->name.ptr, capacity, service->instance_count,
                   nr_review_per_s(service->capacity));
}

static void find_above_capacity(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_gateway_conf *gateway = nr_gateway_conf_of(config);
    const struct nr_services_conf *services = nr_services_conf_of(config);
    const struct nr_limits_conf *limits = nr_limits_conf_of(config);

    for (uint32_t i = 0; limits != NULL && i < gateway->route_count; i++) {
        const struct nr_route_conf *route = &gateway->routes[i];

        for (uint32_t j = 0; j < nr_route_service_count(route); j++)
            for (uint32_t k = 0; k < route->rate_count; k++)
                compare(limits, &route->rates[k], route,
                        nr_service_conf_find(services, nr_route_service_name(route, j)), finder);
    }
}

/* ---- limits that nobody is under ---- */

static bool names(const struct nr_rate_limit_conf *entries, uint32_t count, struct nr_span name)
{
    for (uint32_t i = 0; i < count; i++)
        if (nr_span_eq(entries[i].use, name))
            return true;
    return false;
}

static void find_unused(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_gateway_conf *gateway = nr_gateway_conf_of(config);
    const struct nr_limits_conf *limits = nr_limits_conf_of(config);

    for (uint32_t i = 0; limits != NULL && i < limits->count; i++) {
        struct nr_span name = limits->items[i].name;
        bool used = names(gateway->rates, gateway->rate_count, name);

        for (uint32_t j = 0; j < gateway->route_count && !used; j++)
            used = names(gateway->routes[j].rates, gateway->routes[j].rate_count, name);
        for (uint32_t j = 0; j < gateway->listen_count && !used; j++)
            used =
                names(gateway->listen[j].limits.rates, gateway->listen[j].limits.rate_count, name);
        if (!used)
            nr_check_found(
                finder, &limits->items[i].at, NULL,
                "add it to the limits of a route, a listener or the gateway, or remove it",
                "limit '%s' limits nothing: no list of limits names it", name.ptr);
    }
}

static void tell_observing(const struct nr_section *at, const char *what, struct nr_span name,
                           struct nr_check_finder *finder)
{
    nr_check_found(finder, at, "observe_only",
                   "take observe_only out when metrics and records look right",
                   "%s '%s' decides, and lets pass all the same", what, name.ptr);
}

static void find_observing(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_limits_conf *limits = nr_limits_conf_of(config);
    const struct nr_services_conf *services = nr_services_conf_of(config);

    for (uint32_t i = 0; limits != NULL && i < limits->count; i++)
        if (limits->items[i].observe_only)
            tell_observing(&limits->items[i].at, "limit", limits->items[i].name, finder);
    for (uint32_t i = 0; i < services->count; i++) {
        const struct nr_service_conf *service = &services->items[i];

        if (service->breaker != NULL && service->breaker->observe_only)
            tell_observing(&service->breaker->at, "the breaker of", service->name, finder);
        if (service->bulkhead != NULL && service->bulkhead->observe_only)
            tell_observing(&service->bulkhead->at, "the bulkhead of", service->name, finder);
    }
}

static const struct nr_check_rule rules[] = {
    {"limit-above-capacity", NR_DIAG_WARNING,
     "A rate limit that lets more through than the service is declared to bear.",
     find_above_capacity},
    {"limit-unused", NR_DIAG_WARNING, "A limit that no route, listener or gateway is under.",
     find_unused},
    {"observe-only", NR_DIAG_HINT, "A policy that decides and lets pass all the same.",
     find_observing},
};

const struct nr_check_rules nr_review_limit_rules = {rules, NR_COUNT(rules)};
