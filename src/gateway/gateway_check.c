/* SPDX-License-Identifier: Apache-2.0 */
/* gateway_check.c - what `naru check` says about routes and how their times fit together.
 *
 * Time limits are layers: who is further outside gives up first, so that nobody works on
 * what nobody waits for any more (client < gateway < service). Attempts must fit into the
 * deadline that contains them, or the last ones are only written, never made. */
#include "gateway/gateway_conf.h"
#include "service/service_conf.h"

enum { MS_IN_NS = 1000000 };

static unsigned long long ms(uint64_t ns)
{
    return ns / MS_IN_NS;
}

/* Where the route's deadline was written: at the route, or at the gateway. */
static const struct nr_section *deadline_at(const struct nr_gateway_conf *gateway,
                                            const struct nr_route_conf *route)
{
    return nr_section_has(&route->at, "deadline") ? &route->at : &gateway->at;
}

/* Routes that inherit speak once per service, through the first of them. */
static bool said_before(const struct nr_gateway_conf *gateway, uint32_t index,
                        struct nr_span service)
{
    const struct nr_route_conf *route = &gateway->routes[index];

    for (uint32_t i = 0; i < index; i++)
        if (nr_route_leads_to(&gateway->routes[i], service) &&
            gateway->routes[i].deadline_ns == route->deadline_ns &&
            !nr_section_has(&gateway->routes[i].at, "deadline") &&
            !nr_section_has(&route->at, "deadline"))
            return true;
    return false;
}

static void compare_with_service(const struct nr_config *config, uint32_t index,
                                 const struct nr_service_conf *service,
                                 struct nr_check_finder *finder)
{
    const struct nr_gateway_conf *gateway = nr_gateway_conf_of(config);
    const struct nr_route_conf *route = &gateway->routes[index];

    if (service->own_timeout_ns == 0 || route->deadline_ns < service->own_timeout_ns ||
        said_before(gateway, index, service->name))
        return;
    nr_check_found(finder, &service->at, "own_timeout", "make the outer limit the shorter one",
                   "timeouts are inverted: route '%s' waits %s%llums, service '%s' gives "
                   "up after %llums",
                   route->name.ptr, route->deadline_ns == NR_CONF_NONE ? "beyond " : "",
                   route->deadline_ns == NR_CONF_NONE ? ms(service->own_timeout_ns)
                                                      : ms(route->deadline_ns),
                   service->name.ptr, ms(service->own_timeout_ns));
}

static void find_inverted(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_gateway_conf *gateway = nr_gateway_conf_of(config);
    const struct nr_services_conf *services = nr_services_conf_of(config);
    uint64_t client_ns = nr_callers_conf_of(config)->timeout_ns;
    bool gateway_told = false;

    for (uint32_t i = 0; i < gateway->route_count; i++) {
        const struct nr_route_conf *route = &gateway->routes[i];
        const struct nr_section *at = deadline_at(gateway, route);
        uint32_t count = nr_route_service_count(route);
        bool inherits = at == &gateway->at;

        if (count > 0 && client_ns > 0 && route->deadline_ns <= client_ns &&
            !(inherits && gateway_told)) {
            gateway_told = gateway_told || inherits;
            nr_check_found(finder, at, "deadline", "make the outer limit the shorter one",
                           "timeouts are inverted: clients wait %llums, the gateway only %llums",
                           ms(client_ns), ms(route->deadline_ns));
        }
        for (uint32_t j = 0; j < count; j++)
            compare_with_service(
                config, i, nr_service_conf_find(services, nr_route_service_name(route, j)), finder);
    }
}

static void fit_attempts(const struct nr_gateway_conf *gateway, uint32_t index,
                         const struct nr_service_conf *service, struct nr_check_finder *finder)
{
    const struct nr_route_conf *route = &gateway->routes[index];
    uint64_t each_ns = service->timeouts.attempt_ns;

    if (each_ns == 0 || route->deadline_ns == NR_CONF_NONE ||
        said_before(gateway, index, service->name) ||
        each_ns * service->retry.attempts <= route->deadline_ns)
        return;
    nr_check_found(finder, &service->timeouts.at, "attempt",
                   "shorten timeouts.attempt, lower retry.attempts, or lengthen the deadline",
                   "%u attempts of %llums on service '%s' can't fit into the deadline of route "
                   "'%s', %llums",
                   service->retry.attempts, ms(each_ns), service->name.ptr, route->name.ptr,
                   ms(route->deadline_ns));
}

static void find_unfit(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_gateway_conf *gateway = nr_gateway_conf_of(config);
    const struct nr_services_conf *services = nr_services_conf_of(config);

    for (uint32_t i = 0; i < gateway->route_count; i++) {
        const struct nr_route_conf *route = &gateway->routes[i];

        for (uint32_t j = 0; j < nr_route_service_count(route); j++)
            fit_attempts(gateway, i,
                         nr_service_conf_find(services, nr_route_service_name(route, j)), finder);
    }
}

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
        if (!used)
            nr_check_found(finder, &services->items[i].at, NULL, "add a route, or remove it",
                           "service '%s' is in no route", services->items[i].name.ptr);
    }
}

static const struct nr_check_rule rules[] = {
    {"timeouts-inverted", NR_DIAG_ERROR,
     "Time limits must grow from outside to inside: client, gateway, service.", find_inverted},
    {"attempts-beyond-deadline", NR_DIAG_ERROR,
     "All attempts together must fit into the deadline that contains them.", find_unfit},
    {"service-unused", NR_DIAG_WARNING, "A service that no route leads to.", find_unused},
};

const struct nr_check_rules nr_gateway_check_rules = {rules, NR_COUNT(rules)};
