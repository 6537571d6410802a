/* SPDX-License-Identifier: Apache-2.0 */
/* review_failures.c - what a single fault takes with it, and how long it goes unnoticed. */
#include "foresight/review_rules.h"

#define SECOND_NS 1000000000ull

/* A service whose instances are known and stand in one failure zone. */
static void find_single_zone(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_services_conf *services = nr_services_conf_of(config);

    for (uint32_t i = 0; i < services->count; i++) {
        const struct nr_service_conf *service = &services->items[i];
        bool one = service->instance_count > 1 && service->instances[0].zone.len > 0;

        for (uint32_t j = 1; j < service->instance_count && one; j++)
            one = nr_span_eq(service->instances[j].zone, service->instances[0].zone);
        if (one)
            nr_check_found(finder, &service->at, "instances", "run one of them in another zone",
                           "all %u instances of service '%s' stand in zone '%s' and fail with it",
                           service->instance_count, service->name.ptr,
                           service->instances[0].zone.ptr);
    }
}

static bool loopback(const struct nr_config_address *address)
{
    return address->kind == NR_CONFIG_ADDRESS_UNIX ||
           nr_span_starts_with(address->host, NR_SPAN("127.")) ||
           nr_span_eq(address->host, NR_SPAN("::1")) ||
           nr_span_eq(address->host, NR_SPAN("localhost"));
}

/* On loopback naru itself dies with the machine: there the instances are the least of it. */
static void find_single_host(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_services_conf *services = nr_services_conf_of(config);

    for (uint32_t i = 0; i < services->count; i++) {
        const struct nr_service_conf *service = &services->items[i];
        bool one = service->instance_count > 1 && !loopback(&service->instances[0].address);

        for (uint32_t j = 1; j < service->instance_count && one; j++)
            one =
                nr_span_eq(service->instances[j].address.host, service->instances[0].address.host);
        if (one)
            nr_check_found(finder, &service->at, "instances", "run one of them on another machine",
                           "all %u instances of service '%s' are on %s and fail with it",
                           service->instance_count, service->name.ptr,
                           service->instances[0].address.host.ptr);
    }
}

/* How long an instance that hangs may go on being asked: until its next check, and then as many as
 * `fall` asks for, which follow fast but each have their time. */
static void find_slow_health(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_services_conf *services = nr_services_conf_of(config);

    for (uint32_t i = 0; i < services->count; i++) {
        const struct nr_health_conf *health = services->items[i].health;
        uint64_t blind_ns;

        if (health == NULL)
            continue;
        blind_ns = health->interval_ns + health->fall * health->timeout_ns;
        if (blind_ns > 15 * SECOND_NS)
            nr_check_found(finder, &health->at, "interval",
                           "shorten interval, timeout or fall: 2s, 1s and 3 find it within 5 s",
                           "an instance of service '%s' that dies is asked for up to %llus more: "
                           "a check every %llums, then %u that may take %llums each",
                           services->items[i].name.ptr, (unsigned long long)(blind_ns / SECOND_NS),
                           nr_review_ms(health->interval_ns), health->fall,
                           nr_review_ms(health->timeout_ns));
    }
}

static bool is_called(const struct nr_services_conf *services, const struct nr_service_conf *callee)
{
    for (uint32_t i = 0; i < services->count; i++)
        for (uint32_t j = 0; j < services->items[i].call_count; j++)
            if (nr_span_eq(services->items[i].calls[j], callee->name))
                return true;
    return false;
}

/* Repeats are what hides one dead instance; beneath another service it may be that one's task. */
static void find_no_second_chance(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_services_conf *services = nr_services_conf_of(config);

    for (uint32_t i = 0; i < services->count; i++) {
        const struct nr_service_conf *service = &services->items[i];

        if (service->instance_count > 1 && service->retry.attempts == 1 &&
            !is_called(services, service))
            nr_check_found(finder, &service->retry.at, "attempts", "attempts: 2",
                           "service '%s' has %u instances, but a request that meets a dead one "
                           "fails",
                           service->name.ptr, service->instance_count);
    }
}

static const struct nr_check_rule rules[] = {
    {"single-zone", NR_DIAG_WARNING, "All instances of a service stand in one zone.",
     find_single_zone},
    {"single-host", NR_DIAG_HINT, "All instances of a service are on one machine.",
     find_single_host},
    {"health-slow", NR_DIAG_WARNING,
     "Health checks that find a dead instance only after more than 15 seconds.", find_slow_health},
    {"no-second-chance", NR_DIAG_HINT,
     "A service with several instances whose requests are never repeated.", find_no_second_chance},
};

const struct nr_check_rules nr_review_failure_rules = {rules, NR_COUNT(rules)};
