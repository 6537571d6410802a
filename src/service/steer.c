/* SPDX-License-Identifier: Apache-2.0 */
/* steer.c - who takes calls, and how many: from health, operators, tiers, zones and slow starts to
 * the `up` and `weight` that balancers look at.
 *
 * An instance is *able* when it has an address, is not DOWN (UNKNOWN counts as up: see
 * policy/health.h) and no operator has taken it out. Of these policy/select.h chooses those that
 * take calls. Worked out when something changes, with the lock held: some microseconds for a
 * hundred instances, and never for a pick.
 *
 * An instance that becomes able after the service was in use starts slowly. Its window begins with
 * the next pick, which brings the time along; from then on every 1/64 of the window one pick works
 * out the weights anew. Without a slow start that costs a pick one comparison. */
#include "base/assert.h"
#include "base/record.h"
#include "policy/slow_start.h"
#include "service/state.h"

static uint32_t percent(double ratio)
{
    return (uint32_t)(ratio * 100 + 0.5);
}

static bool is_usable(const struct nr_instance *instance)
{
    return instance->present && instance->addr.family != NR_ADDR_NONE &&
           instance->force != NR_FORCE_DOWN && !instance->draining &&
           nr_instance_weight(instance) > 0;
}

static bool is_healthy(const struct nr_instance *instance)
{
    return instance->force == NR_FORCE_UP ||
           (instance->health.state != NR_HEALTH_DOWN && !instance->ejected);
}

/* Was any call ever made? Before that nobody is newer than the others. */
static bool in_use(const struct nr_service *service)
{
    for (uint32_t i = 0; i < service->set.count; i++)
        if (service->instances[i].picks > 0)
            return true;
    return false;
}

/* The weight that balancers see; the tier's share is applied to what is handed out, not to what a
 * call in flight weighs. */
static void weigh(struct nr_service *service, uint32_t i)
{
    const struct nr_instance *instance = &service->instances[i];
    struct nr_balance_host *host = &service->hosts[i];
    uint32_t weight = nr_instance_weight(instance);
    uint32_t whole = (weight > 0 ? weight : 1) * NR_WEIGHT_UNIT;
    uint32_t now = whole;

    if (instance->warm_from_ns != 0 && instance->warm_weight < whole)
        now = instance->warm_weight;
    host->burden = (float)NR_WEIGHT_UNIT / (float)now;
    host->weight = (uint32_t)((uint64_t)now * service->select[i].share / NR_SELECT_WHOLE);
    if (host->weight == 0)
        host->weight = 1;
}

static void begin_slowly(struct nr_service *service, struct nr_instance *instance)
{
    instance->warm_from_ns = NR_WARM_NEXT;
    instance->warm_weight = nr_slow_start_weight(nr_instance_weight(instance) * NR_WEIGHT_UNIT, 0,
                                                 0, service->conf->balance.slow_start_ns);
    service->warm_next_ns = 0;
}

static void fill(struct nr_service *service, uint32_t i)
{
    struct nr_instance *instance = &service->instances[i];
    struct nr_select_host *host = &service->select[i];
    bool able;

    *host = (struct nr_select_host){
        .weight = instance->present ? nr_instance_weight(instance) * NR_WEIGHT_UNIT : 0,
        .priority = (uint8_t)instance->priority,
        .usable = is_usable(instance),
        .healthy = is_healthy(instance),
        .local = instance->local,
    };
    able = host->usable && host->healthy;
    if (able && !instance->able && service->conf->balance.slow_start_ns > 0 && in_use(service))
        begin_slowly(service, instance);
    instance->able = able;
}

void nr_service_steer(struct nr_service *service)
{
    const struct nr_balance_conf *conf = &service->conf->balance;
    const struct nr_select_rule rule = {
        .over_pct = percent(conf->overprovisioning),
        .panic_pct = percent(conf->panic),
        .zone_pct = percent(conf->zone_threshold),
        .zones = conf->zone.len > 0,
    };
    struct nr_select_result result;
    bool changed = false;

    for (uint32_t i = 0; i < service->set.count; i++)
        fill(service, i);
    result = nr_select(service->select, service->set.count, &rule);
    for (uint32_t i = 0; i < service->set.count; i++) {
        changed |= service->hosts[i].up != service->select[i].takes;
        service->hosts[i].up = service->select[i].takes;
        weigh(service, i);
    }
    nr_balance_settle(&service->set, changed);
    service->flags =
        (uint32_t)((result.panic ? NR_RECORD_PANIC : 0) | (result.standby ? NR_RECORD_STANDBY : 0));
    service->circuits.shut_until_ns = 0; /* others may take calls now */
    service->tables_wanted++;
}

void nr_service_warm(struct nr_service *service, uint64_t now_ns)
{
    const uint64_t window_ns = service->conf->balance.slow_start_ns;
    bool any = false;

    for (uint32_t i = 0; i < service->set.count; i++) {
        struct nr_instance *instance = &service->instances[i];

        if (instance->warm_from_ns == 0)
            continue;
        if (instance->warm_from_ns == NR_WARM_NEXT)
            instance->warm_from_ns = now_ns > 0 ? now_ns : 1;
        if (nr_slow_start_over(instance->warm_from_ns, now_ns, window_ns))
            instance->warm_from_ns = 0;
        else
            any = true;
        instance->warm_weight = nr_slow_start_weight(instance->weight * NR_WEIGHT_UNIT,
                                                     instance->warm_from_ns, now_ns, window_ns);
        weigh(service, i);
    }
    nr_balance_settle(&service->set, false);
    service->warm_next_ns = any ? now_ns + window_ns / NR_SLOW_START_STEPS : NR_TIME_NEVER;
}

/* ---- what operators do ---- */

static struct nr_instance *begin_change(struct nr_service *service, uint32_t instance)
{
    nr_spinlock_lock(&service->lock);
    nr_assert(instance < service->room);
    return &service->instances[instance];
}

static void end_change(struct nr_service *service)
{
    nr_service_steer(service);
    nr_spinlock_unlock(&service->lock);
    nr_service_tables(service);
}

void nr_service_force(struct nr_service *service, uint32_t instance, enum nr_force force)
{
    begin_change(service, instance)->force = force;
    end_change(service);
}

void nr_service_drain(struct nr_service *service, uint32_t instance, bool draining)
{
    begin_change(service, instance)->draining = draining;
    end_change(service);
}

void nr_service_set_weight(struct nr_service *service, uint32_t instance, uint32_t weight)
{
    nr_assert(weight <= 1000 || weight == NR_WEIGHT_CONFIGURED);
    begin_change(service, instance)->own_weight = weight;
    end_change(service);
}
