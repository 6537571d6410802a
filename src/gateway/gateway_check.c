/* SPDX-License-Identifier: Apache-2.0 */
/* gateway_check.c - what `naru check` says about which services are in use. How times, attempts and
 * services fit together is src/foresight's matter. */
#include "gateway/gateway_conf.h"
#include "service/service_conf.h"

static void find_unused(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_gateway_conf *gateway = nr_gateway_conf_of(config);
    const struct nr_services_conf *services = nr_services_conf_of(config);

    for (uint32_t i = 0; i < services->count; i++) {
        bool used = false;

        for (uint32_t j = 0; j < gateway->route_count && !used; j++)
            used = nr_route_leads_to(&gateway->routes[j], services->items[i].name);
        for (uint32_t j = 0; j < gateway->listen_count && !used; j++)
            used = gateway->listen[j].tcp != NULL &&
                   nr_span_eq(gateway->listen[j].tcp->service, services->items[i].name);
        for (uint32_t j = 0; j < services->count && !used; j++)
            used = nr_span_eq(nr_service_stand_in(&services->items[j]), services->items[i].name);
        for (uint32_t j = 0; j < services->count && !used; j++)
            for (uint32_t k = 0; k < services->items[j].call_count && !used; k++)
                used = nr_span_eq(services->items[j].calls[k], services->items[i].name);
        if (!used)
            nr_check_found(finder, &services->items[i].at, NULL, "add a route, or remove it",
                           "service '%s' is in no route", services->items[i].name.ptr);
    }
}

static const struct nr_check_rule rules[] = {
    {"service-unused", NR_DIAG_WARNING, "A service that no route leads to.", find_unused},
};

const struct nr_check_rules nr_gateway_check_rules = {rules, NR_COUNT(rules)};
