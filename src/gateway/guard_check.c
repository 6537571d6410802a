/* SPDX-License-Identifier: Apache-2.0 */
/* guard_check.c - what `naru check` says about rate limits and faults. */
#include "gateway/gateway_conf.h"
#include "service/service_conf.h"

static void find_faults(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_gateway_conf *gateway = nr_gateway_conf_of(config);
    const struct nr_services_conf *services = nr_services_conf_of(config);
    const char *fix = "remove them after the exercise";

    for (uint32_t i = 0; i < gateway->route_count; i++)
        if (gateway->routes[i].fault_count > 0)
            nr_check_found(finder, &gateway->routes[i].at, "faults", fix,
                           "route '%s' makes requests fail on purpose",
                           gateway->routes[i].name.ptr);
    for (uint32_t i = 0; i < services->count; i++)
        if (services->items[i].fault_count > 0)
            nr_check_found(finder, &services->items[i].at, "faults", fix,
                           "service '%s' is made to fail on purpose", services->items[i].name.ptr);
}

static bool trusts_somebody(const struct nr_gateway_conf *gateway)
{
    for (uint32_t i = 0; i < gateway->listen_count; i++)
        if (gateway->listen[i].trusted_proxy_count > 0)
            return true;
    return false;
}

static bool is_told(struct nr_span key)
{
    return nr_span_starts_with(key, NR_SPAN("header:")) ||
           nr_span_starts_with(key, NR_SPAN("cookie:")) ||
           nr_span_starts_with(key, NR_SPAN("query:"));
}

static void untold_tier(const struct nr_rate_limit_conf *limit, struct nr_check_finder *finder)
{
    if (limit->tier_count > 0 && is_told(limit->tier_key))
        nr_check_found(finder, &limit->at, "tier_key",
                       "name who sets it in the listener's trusted_proxies",
                       "no tier will ever be used: '%s' is believed from trusted_proxies only, and "
                       "there are none",
                       limit->tier_key.ptr);
}

static void find_untold_tiers(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_gateway_conf *gateway = nr_gateway_conf_of(config);
    const struct nr_limits_conf *limits = nr_limits_conf_of(config);

    if (trusts_somebody(gateway))
        return;
    for (uint32_t i = 0; limits != NULL && i < limits->count; i++)
        untold_tier(&limits->items[i], finder);
    for (uint32_t i = 0; i < gateway->route_count; i++)
        for (uint32_t j = 0; j < gateway->routes[i].rate_count; j++)
            untold_tier(&gateway->routes[i].rates[j], finder);
}

static const struct nr_check_rule rules[] = {
    {"limit-tier-untold", NR_DIAG_WARNING,
     "A tier that a field tells is believed from trusted proxies only.", find_untold_tiers},
    {"faults-on", NR_DIAG_WARNING, "Faults on purpose are for exercises.", find_faults},
};

const struct nr_check_rules nr_guard_check_rules = {rules, NR_COUNT(rules)};
