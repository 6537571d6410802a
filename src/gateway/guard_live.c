/* SPDX-License-Identifier: Apache-2.0 */
/* guard_live.c - the filters as operators see them, and what they may turn while it runs. */
#include "base/assert.h"
#include "base/cell.h"
#include "gateway/living.h"

static const struct nr_limits *limits_of(const struct nr_gateway *gateway)
{
    return gateway->current->guards->limits;
}

uint32_t nr_gateway_limit_count(const struct nr_gateway *gateway)
{
    return limits_of(gateway)->rule_count;
}

_Static_assert(NR_LIMIT_CONF_TIERS_MAX + 1 <= 64, "a bit for each tier");

/* As they count now; returns a bit for each that is not as configured. */
static uint64_t tiers_now(const struct nr_limit_rule *rule,
                          struct nr_limit_conf ret_tiers[NR_LIMIT_CONF_TIERS_MAX + 1])
{
    bool forced = nr_limiter_forced(rule->limiter, ret_tiers) > 0;
    uint64_t by_hand = 0;

    for (uint32_t i = 0; i < rule->tier_count; i++) {
        if (!forced)
            ret_tiers[i] = rule->tiers[i];
        by_hand |= (uint64_t)!nr_limit_conf_same(&ret_tiers[i], &rule->tiers[i]) << i;
    }
    return by_hand;
}

void nr_gateway_limit(const struct nr_gateway *gateway, uint32_t limit,
                      struct nr_gateway_limit *ret_limit)
{
    const struct nr_limit_rule *rule = &limits_of(gateway)->rules[limit];

    nr_assert(limit < nr_gateway_limit_count(gateway));
    *ret_limit = (struct nr_gateway_limit){.name = rule->name,
                                           .conf = rule->conf,
                                           .tier_count = rule->tier_count,
                                           .counts = nr_limiter_counts(rule->limiter)};
    ret_limit->by_hand = tiers_now(rule, ret_limit->tiers);
    ret_limit->observe_only = nr_limit_observes(rule);
    ret_limit->observe_by_hand = nr_limiter_observe_said(rule->limiter) != NR_SAID_NOTHING;
}

struct nr_meter *nr_gateway_limit_meter(const struct nr_gateway *gateway, uint32_t limit)
{
    nr_assert(limit < nr_gateway_limit_count(gateway));
    return limits_of(gateway)->rules[limit].meter;
}

static const struct nr_limit_rule *find(const struct nr_gateway *gateway, struct nr_span name,
                                        struct nr_err *err)
{
    const struct nr_limit_rule *rule = nr_limits_find(limits_of(gateway), name);

    if (rule == NULL)
        (void)nr_err_set(err, NR_ENOENT, "no limit '%.*s'", (int)name.len, name.ptr);
    return rule;
}

enum nr_code nr_gateway_limit_set_rate(struct nr_gateway *gateway, struct nr_span name,
                                       uint32_t tier, struct nr_rate rate, uint32_t burst,
                                       struct nr_err *err)
{
    const struct nr_limit_rule *rule = find(gateway, name, err);
    struct nr_limit_conf tiers[NR_LIMIT_CONF_TIERS_MAX + 1];
    struct nr_limit_conf next;

    if (rule == NULL)
        return err->code;
    if (tier >= rule->tier_count)
        return nr_err_set(err, NR_ENOENT, "limit '%s' has no tier %u", rule->name.ptr, tier);
    if (rate.count > UINT32_MAX)
        return nr_err_set(err, NR_EINVAL, "a rate is at most %u", UINT32_MAX);
    next = nr_limit_conf_tier(rule->conf, rate, burst);
    next.log_units = rule->tiers[0].log_units;
    if (next.log_units > 0 && next.limit > next.log_units)
        return nr_err_set(err, NR_EINVAL, "the logs of '%s' have room for %u only", rule->name.ptr,
                          next.log_units);
    if (!nr_limit_conf_ok(&next))
        return nr_err_set(err, NR_EINVAL, "limit '%s' cannot keep this rate", rule->name.ptr);
    (void)tiers_now(rule, tiers);
    tiers[tier] = next;
    nr_limiter_force(rule->limiter, tiers, rule->tier_count);
    return NR_OK;
}

enum nr_code nr_gateway_limit_restore(struct nr_gateway *gateway, struct nr_span name,
                                      uint32_t tier, struct nr_err *err)
{
    const struct nr_limit_rule *rule = find(gateway, name, err);
    struct nr_limit_conf tiers[NR_LIMIT_CONF_TIERS_MAX + 1];

    if (rule == NULL)
        return err->code;
    if (tier >= rule->tier_count)
        return nr_err_set(err, NR_ENOENT, "limit '%s' has no tier %u", rule->name.ptr, tier);
    if ((tiers_now(rule, tiers) & ~((uint64_t)1 << tier)) == 0) {
        nr_limiter_force(rule->limiter, NULL, 0); /* no other is left */
        return NR_OK;
    }
    tiers[tier] = rule->tiers[tier];
    nr_limiter_force(rule->limiter, tiers, rule->tier_count);
    return NR_OK;
}

enum nr_code nr_gateway_limit_observe(struct nr_gateway *gateway, struct nr_span name,
                                      enum nr_said said, struct nr_err *err)
{
    const struct nr_limit_rule *rule = find(gateway, name, err);

    if (rule == NULL)
        return err->code;
    nr_limiter_observe(rule->limiter, said);
    return NR_OK;
}

/* ---- shedding and faults ---- */

enum nr_code nr_gateway_shed_force(struct nr_gateway *gateway, int level, struct nr_err *err)
{
    nr_assert(level == NR_SHED_AUTO || (level >= 0 && level < NR_SHED_LEVELS));
    if (gateway->current->conf->shedding == NULL)
        return nr_err_set(err, NR_EINVAL, "gateway.shedding is not configured");
    nr_shedder_force(&gateway->shedder, level);
    return NR_OK;
}

/* ---- fallbacks ---- */

enum nr_code nr_gateway_fallback_force(struct nr_gateway *gateway, uint32_t service,
                                       enum nr_said said, struct nr_err *err)
{
    struct nr_gateway_service *of = gateway->current->services[service];

    nr_assert(service < gateway->current->service_count);
    if (of->conf->fallback == NULL)
        return nr_err_set(err, NR_EINVAL, "service '%s' has no fallback", of->conf->name.ptr);
    atomic_store_explicit(&of->fallback_said, (uint8_t)said, memory_order_relaxed);
    return NR_OK;
}

enum nr_said nr_gateway_fallback_said(const struct nr_gateway *gateway, uint32_t service)
{
    return nr_fallback_said(gateway->current->services[service]);
}

static void add_worker(const struct nr_gateway_worker *worker, struct nr_gateway_guards *to)
{
    const struct nr_shed_watch *watch = &worker->watch;
    uint64_t delay_ns = nr_cell_get(&watch->reading.delay_ns);

    to->in_flight += nr_cell_get(&watch->reading.in_flight);
    to->delay_ns = delay_ns > to->delay_ns ? delay_ns : to->delay_ns;
    for (int i = 0; i < NR_CRITICALITIES; i++) {
        to->shed[i] += nr_cell_get(&watch->shed[i]);
        to->would_shed[i] += nr_cell_get(&watch->would_shed[i]);
    }
    for (int i = 0; i < NR_FAULTS; i++)
        to->struck[i] += nr_cell_get(&worker->faults[i]);
}

void nr_gateway_guards(const struct nr_gateway *gateway, struct nr_gateway_guards *ret_guards)
{
    const struct nr_gateway_conf *conf = gateway->current->conf;

    *ret_guards = (struct nr_gateway_guards){.shedding = conf->shedding != NULL};
    ret_guards->level = atomic_load_explicit(&gateway->shedder.level, memory_order_relaxed);
    ret_guards->forced =
        (int)atomic_load_explicit(&gateway->shedder.forced, memory_order_relaxed) - 1;
    ret_guards->observe_only = conf->shedding != NULL && conf->shedding->observe_only;
    for (uint32_t i = 0; i < gateway->worker_count; i++)
        add_worker(gateway->workers[i], ret_guards);
    ret_guards->faults = gateway->faults_said;
    for (uint32_t i = 0; i < conf->route_count; i++)
        ret_guards->faults =
            ret_guards->faults || gateway->current->guards->routes[i].fault_count > 0;
}
