/* SPDX-License-Identifier: Apache-2.0 */
/* review_sizes.c - do counts and rates fit the machine and what services bear, and is any default
 * limit switched off? */
#include "foresight/review_rules.h"
#include "io/epoll.h"

#define SECOND_NS 1000000000ull

static void find_many_workers(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_gateway_conf *gateway = nr_gateway_conf_of(config);
    uint32_t cores = nr_io_cores();

    if (gateway->workers > cores)
        nr_check_found(finder, &gateway->at, "workers", "workers: auto",
                       "%u workers share the %u %s of this machine", gateway->workers, cores,
                       cores == 1 ? "core" : "cores");
}

static void find_no_deadline(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_gateway_conf *gateway = nr_gateway_conf_of(config);

    if (gateway->deadline_ns == NR_CONF_NONE)
        nr_check_found(finder, &gateway->at, "deadline",
                       "set one here, and deadline: none at the routes that stream",
                       "no route has a deadline: a service that hangs keeps its requests for ever");
}

static void find_slow_heads(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_gateway_conf *gateway = nr_gateway_conf_of(config);

    for (uint32_t i = 0; i < gateway->listen_count; i++) {
        const struct nr_listen_limits_conf *limits = &gateway->listen[i].limits;

        if (gateway->listen[i].tcp == NULL && limits->header_timeout_ns > 60 * SECOND_NS)
            nr_check_found(finder, &limits->at, "header_timeout", "header_timeout: 10s",
                           "a client may take %llus for the head of a request: a few thousand such "
                           "clients hold all connections of %s",
                           (unsigned long long)(limits->header_timeout_ns / SECOND_NS),
                           gateway->listen[i].address.text.ptr);
    }
}

static const struct nr_check_rule rules[] = {
    {"deadline-off", NR_DIAG_WARNING, "The gateway's deadline is switched off for all routes.",
     find_no_deadline},
    {"heads-slow", NR_DIAG_WARNING,
     "A header timeout of more than a minute, which slow clients can use to hold connections.",
     find_slow_heads},
    {"workers-above-cores", NR_DIAG_HINT, "More workers than this machine has cores.",
     find_many_workers},
};

const struct nr_check_rules nr_review_size_rules = {rules, NR_COUNT(rules)};
