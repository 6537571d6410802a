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

static const struct nr_check_rule rules[] = {
    {"no-health-check", NR_DIAG_WARNING,
     "A service without active checks: a dead instance is noticed only by requests that fail.",
     find_unchecked},
    {"single-instance", NR_DIAG_WARNING, "A service with one instance dies with it.", find_single},
    {"instance-repeated", NR_DIAG_WARNING,
     "An instance listed twice gets a double share and defeats retries on another one.",
     find_repeated},
};

const struct nr_check_rules nr_service_check_rules = {rules, NR_COUNT(rules)};
