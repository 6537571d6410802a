/* SPDX-License-Identifier: Apache-2.0 */
/* service_check.c - what `naru check` says about services by themselves. */
#include "service/service_conf.h"

static void find_unchecked(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_services_conf *services = nr_services_conf_of(config);

    for (uint32_t i = 0; i < services->count; i++) {
        const struct nr_service_conf *service = &services->items[i];

        if (service->health == NULL)
            nr_check_found(finder, &service->at, NULL, "add health: { path: /healthz }",
                           "service '%s' has no health check: a dead instance is found by the "
                           "requests that fail on it",
                           service->name.ptr);
    }
}

static void find_single(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_services_conf *services = nr_services_conf_of(config);

    for (uint32_t i = 0; i < services->count; i++) {
        const struct nr_service_conf *service = &services->items[i];

        if (service->instance_count == 1)
            nr_check_found(
                finder, &service->at, "instances", "run a second instance and list it here",
                "service '%s' has one instance, a single point of failure", service->name.ptr);
    }
}

/* An instance listed twice gets twice its share, and a retry "elsewhere" comes back to it. */
static void find_repeated(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_services_conf *services = nr_services_conf_of(config);

    for (uint32_t i = 0; i < services->count; i++) {
        const struct nr_service_conf *service = &services->items[i];

        for (uint32_t j = 1; j < service->instance_count; j++)
            for (uint32_t k = 0; k < j; k++)
                if (nr_span_eq(service->instances[j].address.text,
                               service->instances[k].address.text)) {
                    nr_check_found(finder, &service->instances[j].at, NULL,
                                   "write it once, with a weight",
                                   "instance %s of service '%s' is listed twice",
                                   service->instances[j].address.text.ptr, service->name.ptr);
                    break;
                }
    }
}

/* Settings of `balance` that do nothing, or not what they seem to. */
static void find_idle_balance(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_services_conf *services = nr_services_conf_of(config);

    for (uint32_t i = 0; i < services->count; i++) {
        const struct nr_service_conf *service = &services->items[i];
        const struct nr_balance_conf *balance = &service->balance;
        bool local = balance->zone.len == 0 || service->instance_count == 0;

        if (balance->key != NR_KEY_NONE && service->instance_count == 1)
            nr_check_found(finder, &service->at, "balance", "list more instances, or leave it out",
                           "service '%s' has one instance: every key goes there",
                           service->name.ptr);
        for (uint32_t n = 0; n < service->instance_count; n++)
            local |= nr_span_eq(service->instances[n].zone, balance->zone);
        if (!local)
            nr_check_found(finder, &balance->at, "zone", "give the instances their zones",
                           "no instance of service '%s' is in zone '%s'", service->name.ptr,
                           balance->zone.ptr);
        if (service->health == NULL && (balance->slow_start_ns > 0 || balance->panic > 0))
            nr_check_found(
                finder, &balance->at, balance->panic > 0 ? "panic" : "slow_start",
                "add health: { path: /healthz }",
                "without health checks no instance of service '%s' is ever down, or back",
                service->name.ptr);
    }
}

static void find_forgetful_cookie(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_services_conf *services = nr_services_conf_of(config);

    for (uint32_t i = 0; i < services->count; i++) {
        const struct nr_service_conf *service = &services->items[i];

        if (service->balance.algorithm == NR_BALANCE_STICKY &&
            service->balance.cookie.secret.len == 0)
            nr_check_found(
                finder, &service->at, "balance",
                "balance: { algorithm: sticky, cookie: { secret: \"${STICKY_SECRET}\" } }",
                "the sticky cookies of service '%s' have no secret: they end with this "
                "process, and other gateways do not know them",
                service->name.ptr);
    }
}

static const struct nr_check_rule rules[] = {
    {"no-health-check", NR_DIAG_WARNING,
     "A service without active checks: a dead instance is noticed only by requests that fail.",
     find_unchecked},
    {"single-instance", NR_DIAG_WARNING, "A service with one instance dies with it.", find_single},
    {"instance-repeated", NR_DIAG_WARNING,
     "An instance listed twice gets a double share and defeats retries on another one.",
     find_repeated},
    {"balance-idle", NR_DIAG_WARNING,
     "A setting of balance that has no effect: a key with one instance, a zone without any.",
     find_idle_balance},
    {"sticky-without-secret", NR_DIAG_WARNING,
     "Sticky cookies without a secret do not survive a restart and are not shared.",
     find_forgetful_cookie},
};

const struct nr_check_rules nr_service_check_rules = {rules, NR_COUNT(rules)};
