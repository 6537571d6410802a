/* SPDX-License-Identifier: Apache-2.0 */
/* review_retries.c - what repeats do to those who are called.
 *
 * Attempts multiply along a chain: clients that try twice, a gateway that tries three times and a
 * service that tries twice make twelve requests of one at the database, just when it is in trouble.
 * The chain is what the configuration declares: callers.attempts, the routes, services.x.calls. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/strbuf.h"
#include "codec/head.h"
#include "foresight/review_rules.h"

enum { MULTIPLIER_MAX = 4, NONE = -1 };

/* ---- chains ---- */

struct chain {
    uint64_t worst; /* requests of one at the end of the worst chain from here; 0: not known yet */
    int next;       /* index of the service that it goes on with */
    bool open;      /* on the way that is being followed: to meet it again is a cycle */
};

struct chains {
    const struct nr_services_conf *services;
    struct chain *items;            /* as services */
    struct nr_check_finder *cycles; /* NULL: not wanted */
};

static int index_of(const struct nr_services_conf *services, struct nr_span name)
{
    return (int)(nr_service_conf_find(services, name) - services->items);
}

/* Follow what a service calls. Each service is followed once, so this is linear in what is
 * declared; depth is bounded by the number of services. */
static void follow(struct chains *chains, int index)
{
    const struct nr_service_conf *service = &chains->services->items[index];
    struct chain *chain = &chains->items[index];

    if (chain->worst != 0)
        return;
    chain->open = true;
    chain->worst = 1;
    chain->next = NONE;
    for (uint32_t i = 0; i < service->call_count; i++) {
        int callee = index_of(chains->services, service->calls[i]);

        if (chains->items[callee].open) {
            if (chains->cycles != NULL)
                nr_check_found(chains->cycles, &service->at, "calls",
                               "remove the edge that does not exist, or break the cycle",
                               "services call each other in a circle: '%s' calls '%s'",
                               service->name.ptr, service->calls[i].ptr);
            continue;
        }
        follow(chains, callee);
        if (chain->next == NONE || chains->items[callee].worst > chain->worst) {
            chain->worst = chains->items[callee].worst;
            chain->next = callee;
        }
    }
    if (chain->worst < UINT32_MAX) /* enough to say that it is too much */
        chain->worst *= service->retry.attempts;
    chain->open = false;
}

static struct chains chains_of(const struct nr_config *config, struct nr_check_finder *cycles)
{
    struct chains chains = {.services = nr_services_conf_of(config), .cycles = cycles};

    chains.items = calloc(chains.services->count + 1u, sizeof(*chains.items));
    nr_assert(chains.items != NULL);
    for (uint32_t i = 0; i < chains.services->count; i++)
        follow(&chains, (int)i);
    return chains;
}

static void find_cycles(const struct nr_config *config, struct nr_check_finder *finder)
{
    free(chains_of(config, finder).items);
}

static void tell_multiplier(const struct chains *chains, int index, uint32_t callers,
                            struct nr_check_finder *finder)
{
    const struct nr_service_conf *service = &chains->services->items[index];
    uint64_t all = chains->items[index].worst * callers;
    struct nr_strbuf way = {0};

    if (all <= MULTIPLIER_MAX)
        return;
    nr_strbuf_printf(&way, "clients x%u", callers);
    for (int at = index; at != NONE; at = chains->items[at].next)
        nr_strbuf_printf(&way, ", %s x%u", chains->services->items[at].name.ptr,
                         chains->services->items[at].retry.attempts);
    nr_check_found(finder, &service->at, NULL,
                   "let one layer retry: retry: { attempts: 1 } in the others",
                   "one request may become %llu (%.300s)", (unsigned long long)all, way.ptr);
    nr_strbuf_done(&way);
}

static void find_multiplied(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_gateway_conf *gateway = nr_gateway_conf_of(config);
    struct chains chains = chains_of(config, NULL);

    for (uint32_t i = 0; i < chains.services->count; i++) {
        bool entry = false;

        for (uint32_t j = 0; j < gateway->route_count && !entry; j++)
            entry = nr_route_leads_to(&gateway->routes[j], chains.services->items[i].name);
        if (entry)
            tell_multiplier(&chains, (int)i, nr_callers_conf_of(config)->attempts, finder);
    }
    free(chains.items);
}

/* ---- a retry section by itself ---- */

static void find_unsafe(const struct nr_config *config, struct nr_check_finder *finder)
{
    const uint64_t unsafe = 1ull << NR_METHOD_POST | 1ull << NR_METHOD_PATCH;
    const struct nr_services_conf *services = nr_services_conf_of(config);

    for (uint32_t i = 0; i < services->count; i++)
        if ((services->items[i].retry.methods & unsafe) != 0 &&
            services->items[i].retry.attempts > 1)
            nr_check_found(finder, &services->items[i].retry.at, "methods",
                           "leave POST and PATCH out; clients that send Idempotency-Key are "
                           "repeated all the same",
                           "service '%s' may be sent a POST or PATCH twice",
                           services->items[i].name.ptr);
}

static void find_timeless(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_services_conf *services = nr_services_conf_of(config);

    for (uint32_t i = 0; i < services->count; i++) {
        const struct nr_service_conf *service = &services->items[i];

        if ((service->retry.on & 1u << NR_RETRY_ON_TIMEOUT) != 0 &&
            nr_section_has(&service->retry.at, "on") && service->retry.attempts > 1 &&
            service->timeouts.attempt_ns == 0)
            nr_check_found(finder, &service->retry.at, "on",
                           "set timeouts.attempt to a share of the deadline",
                           "service '%s' is to be asked again after a timeout, but its first "
                           "attempt may take all of the deadline",
                           service->name.ptr);
    }
}

static void find_lockstep(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_services_conf *services = nr_services_conf_of(config);

    for (uint32_t i = 0; i < services->count; i++)
        if (services->items[i].retry.backoff.policy.jitter == NR_BACKOFF_EXACT &&
            services->items[i].retry.attempts > 1)
            nr_check_found(finder, &services->items[i].retry.backoff.at, "jitter",
                           "jitter: full, which is the default",
                           "calls of service '%s' that fail together come back together",
                           services->items[i].name.ptr);
}

static void find_generous_budget(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_services_conf *services = nr_services_conf_of(config);

    for (uint32_t i = 0; i < services->count; i++)
        if (services->items[i].retry.budget.policy.ratio > 0.5 &&
            services->items[i].retry.attempts > 1)
            nr_check_found(finder, &services->items[i].retry.budget.at, "ratio", "ratio: 20%",
                           "repeats may add %.0f%% to the load of service '%s' when it is down",
                           services->items[i].retry.budget.policy.ratio * 100,
                           services->items[i].name.ptr);
}

static const struct nr_check_rule rules[] = {
    {"retries-multiply", NR_DIAG_WARNING,
     "Attempts multiply along a chain of callers: more than four requests of one.",
     find_multiplied},
    {"calls-in-circle", NR_DIAG_WARNING, "Services that are declared to call each other.",
     find_cycles},
    {"retry-unsafe", NR_DIAG_WARNING, "Repeats of methods that are not idempotent.", find_unsafe},
    {"retry-without-time", NR_DIAG_WARNING,
     "A retry after a timeout, without a limit for the first attempt.", find_timeless},
    {"retry-in-lockstep", NR_DIAG_WARNING, "A back-off without jitter.", find_lockstep},
    {"retry-budget-wide", NR_DIAG_WARNING, "A retry budget of more than half of the requests.",
     find_generous_budget},
};

const struct nr_check_rules nr_review_retry_rules = {rules, NR_COUNT(rules)};
