/* SPDX-License-Identifier: Apache-2.0 */
/* review_times.c - do the time limits fit together?
 *
 * Time limits are layers: who is further outside gives up first, so that nobody works on what
 * nobody waits for any more (client 3 s < gateway 5 s < service 15 s < its database 20 s). What
 * lies outside naru and beneath it is known by what the configuration declares: callers.timeout,
 * own_timeout, calls. */
#include "foresight/review_rules.h"

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

/* Call each(index of the route, service) once for every pair that is worth a word of its own. */
static void for_routes(const struct nr_config *config, struct nr_check_finder *finder,
                       void (*each)(const struct nr_config *config, const struct nr_route_conf *,
                                    const struct nr_service_conf *, struct nr_check_finder *))
{
    const struct nr_gateway_conf *gateway = nr_gateway_conf_of(config);
    const struct nr_services_conf *services = nr_services_conf_of(config);

    for (uint32_t i = 0; i < gateway->route_count; i++)
        for (uint32_t j = 0; j < nr_route_service_count(&gateway->routes[i]); j++) {
            struct nr_span name = nr_route_service_name(&gateway->routes[i], j);

            if (!said_before(gateway, i, name))
                each(config, &gateway->routes[i], nr_service_conf_find(services, name), finder);
        }
}

/* ---- layers ---- */

static void compare_with_service(const struct nr_config *config, const struct nr_route_conf *route,
                                 const struct nr_service_conf *service,
                                 struct nr_check_finder *finder)
{
    bool endless = route->deadline_ns == NR_CONF_NONE;

    if (service->own_timeout_ns == 0 || route->deadline_ns < service->own_timeout_ns)
        return;
    nr_check_found(finder, &service->at, "own_timeout", "make the outer limit the shorter one",
                   "timeouts are inverted: route '%s' waits %s%llums, service '%s' gives up "
                   "after %llums",
                   route->name.ptr, endless ? "beyond " : "",
                   nr_review_ms(endless ? service->own_timeout_ns : route->deadline_ns),
                   service->name.ptr, nr_review_ms(service->own_timeout_ns));
}

static void compare_callees(const struct nr_services_conf *services,
                            const struct nr_service_conf *caller, struct nr_check_finder *finder)
{
    for (uint32_t i = 0; i < caller->call_count; i++) {
        const struct nr_service_conf *callee = nr_service_conf_find(services, caller->calls[i]);

        if (caller->own_timeout_ns == 0 || callee->own_timeout_ns == 0 || callee == caller ||
            caller->own_timeout_ns < callee->own_timeout_ns)
            continue;
        nr_check_found(finder, &callee->at, "own_timeout", "make the outer limit the shorter one",
                       "timeouts are inverted: service '%s' waits %llums, service '%s', which it "
                       "calls, gives up after %llums",
                       caller->name.ptr, nr_review_ms(caller->own_timeout_ns), callee->name.ptr,
                       nr_review_ms(callee->own_timeout_ns));
    }
}

static void compare_with_clients(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_gateway_conf *gateway = nr_gateway_conf_of(config);
    uint64_t client_ns = nr_callers_conf_of(config)->timeout_ns;
    bool gateway_told = false;

    for (uint32_t i = 0; i < gateway->route_count; i++) {
        const struct nr_route_conf *route = &gateway->routes[i];
        const struct nr_section *at = deadline_at(gateway, route);
        bool inherits = at == &gateway->at;

        if (nr_route_service_count(route) == 0 || client_ns == 0 ||
            route->deadline_ns > client_ns || (inherits && gateway_told))
            continue;
        gateway_told = gateway_told || inherits;
        nr_check_found(finder, at, "deadline", "make the outer limit the shorter one",
                       "timeouts are inverted: clients wait %llums, the gateway only %llums",
                       nr_review_ms(client_ns), nr_review_ms(route->deadline_ns));
    }
}

static void find_inverted(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_services_conf *services = nr_services_conf_of(config);

    compare_with_clients(config, finder);
    for_routes(config, finder, compare_with_service);
    for (uint32_t i = 0; i < services->count; i++)
        compare_callees(services, &services->items[i], finder);
}

/* ---- attempts within the deadline ---- */

/* The longest pause before attempt `number` (from 2 on): the first repeat finds another instance
 * and comes at once, if there is one. Mirrors call/repeat.c and policy/backoff.c. */
static uint64_t pause_ns(const struct nr_service_conf *service, uint32_t number)
{
    const struct nr_backoff_conf *backoff = &service->retry.backoff.policy;
    bool others = nr_instances_are_found(&service->found) || service->instance_count > 1;
    uint32_t pauses = number - (others ? 2 : 1); /* up to and with this one */
    double ns = (double)backoff->base_ns;

    if (pauses == 0)
        return 0;
    for (uint32_t i = 1; i < pauses; i++)
        ns *= backoff->factor < 1 ? 1 : backoff->factor;
    if (backoff->max_ns != 0 && ns > (double)backoff->max_ns)
        ns = (double)backoff->max_ns;
    return (uint64_t)(backoff->jitter == NR_BACKOFF_ADDITIVE ? 2 * ns : ns);
}

static void fit_attempts(const struct nr_config *config, const struct nr_route_conf *route,
                         const struct nr_service_conf *service, struct nr_check_finder *finder)
{
    uint64_t each_ns = service->timeouts.attempt_ns, need_ns = 0, pauses_ns = 0;
    uint32_t fit = 0;

    if (each_ns == 0 || route->deadline_ns == NR_CONF_NONE)
        return;
    for (uint32_t number = 1; number <= service->retry.attempts; number++) {
        uint64_t pause = number == 1 ? 0 : pause_ns(service, number);

        pauses_ns += pause;
        need_ns += pause + each_ns;
        fit += need_ns <= route->deadline_ns;
    }
    if (fit < service->retry.attempts)
        nr_check_found(finder, &service->timeouts.at, "attempt",
                       "shorten timeouts.attempt, lower retry.attempts, or lengthen the deadline",
                       "%u attempts of %llums with %llums of back-off on service '%s' can't fit "
                       "into the deadline of route '%s', %llums: %u %s",
                       service->retry.attempts, nr_review_ms(each_ns), nr_review_ms(pauses_ns),
                       service->name.ptr, route->name.ptr, nr_review_ms(route->deadline_ns), fit,
                       fit == 1 ? "fits" : "fit");
}

/* What is left for the service that stands in when all attempts before it have taken their time? */
static void leave_time(const struct nr_config *config, const struct nr_route_conf *route,
                       const struct nr_service_conf *service, struct nr_check_finder *finder)
{
    struct nr_span stand_in = nr_service_stand_in(service);
    uint64_t each_ns = service->timeouts.attempt_ns, need_ns = 0;

    if (stand_in.len == 0 || route->deadline_ns == NR_CONF_NONE)
        return;
    for (uint32_t number = 1; number <= service->retry.attempts; number++)
        need_ns += each_ns + (number == 1 ? 0 : pause_ns(service, number));
    if (each_ns != 0 && need_ns < route->deadline_ns)
        return;
    nr_check_found(
        finder, &service->fallback->at, "service",
        "set timeouts.attempt so that all attempts take less than the deadline",
        "when service '%s' is slow, its attempts take all of the deadline of route '%s', "
        "%llums, and '%s' is never asked",
        service->name.ptr, route->name.ptr, nr_review_ms(route->deadline_ns), stand_in.ptr);
}

static void find_late_stand_ins(const struct nr_config *config, struct nr_check_finder *finder)
{
    for_routes(config, finder, leave_time);
}

static void find_unfit(const struct nr_config *config, struct nr_check_finder *finder)
{
    for_routes(config, finder, fit_attempts);
}

/* ---- idle connections ---- */

static void find_stale_connections(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_services_conf *services = nr_services_conf_of(config);

    for (uint32_t i = 0; i < services->count; i++) {
        const struct nr_service_conf *service = &services->items[i];

        if (service->own_idle_timeout_ns == 0 ||
            service->pool.idle_timeout_ns < service->own_idle_timeout_ns)
            continue;
        nr_check_found(
            finder,
            nr_section_has(&service->pool.at, "idle_timeout") ? &service->pool.at : &service->at,
            nr_section_has(&service->pool.at, "idle_timeout") ? "idle_timeout" : "own_idle_timeout",
            "set pool.idle_timeout a few seconds below own_idle_timeout",
            "idle connections to service '%s' are kept %llums, but it closes them after "
            "%llums: a request may meet the close",
            service->name.ptr, nr_review_ms(service->pool.idle_timeout_ns),
            nr_review_ms(service->own_idle_timeout_ns));
    }
}

static const struct nr_check_rule rules[] = {
    {"timeouts-inverted", NR_DIAG_ERROR,
     "Time limits must grow from outside to inside: client, gateway, service, what it calls.",
     find_inverted},
    {"attempts-beyond-deadline", NR_DIAG_ERROR,
     "All attempts and their back-off must fit into the deadline that contains them.", find_unfit},
    {"fallback-without-time", NR_DIAG_WARNING,
     "A service that stands in for another needs a part of the deadline.", find_late_stand_ins},
    {"idle-outlives-service", NR_DIAG_WARNING,
     "Idle connections kept for longer than the service itself keeps them.",
     find_stale_connections},
};

const struct nr_check_rules nr_review_time_rules = {rules, NR_COUNT(rules)};
