/* SPDX-License-Identifier: Apache-2.0 */
/* outlier.c - instances that answer worse than the others are left out for a while.
 *
 * What calls report is judged under the lock, at once for rows of failures and once per interval
 * for comparisons; who is ejected counts as unhealthy for steer.c, so priorities, zones and panic
 * see it like a failed health check. Slots that stand for no instance are in the policy's table,
 * too, but never called: the share and the last one are reckoned by the instances that are present.
 */
#include "base/record.h"
#include "service/state.h"

static enum nr_eject_result result_of(const struct nr_outcome *outcome)
{
    if (outcome->ok)
        return NR_EJECT_OK;
    switch (outcome->status) {
    case 0:
    case 502:
    case 503:
    case 504: return NR_EJECT_GATEWAY;
    default: return outcome->status >= 500 ? NR_EJECT_5XX : NR_EJECT_GATEWAY;
    }
}

/* The policy's rules for a table in which some slots are free. */
static struct nr_eject_conf rules(const struct nr_service *service)
{
    const struct nr_outliers *outliers = &service->outliers;
    struct nr_eject_conf conf = service->conf->eject->policy;

    if (outliers->eject.count > 0)
        conf.share *= (double)service->present / (double)outliers->eject.count;
    if (outliers->eject.ejected + 1 >= service->present)
        conf.share = 0;
    return conf;
}

/* The last one that is in stays in, whatever it does. */
static bool is_last(const struct nr_service *service)
{
    return service->outliers.eject.ejected + 1 >= service->present;
}

/* Carry over what the policy has decided to what steer.c looks at. */
static void apply(struct nr_service *service)
{
    bool observe = service->conf->eject->observe_only;

    for (uint32_t i = 0; i < service->set.count; i++) {
        const struct nr_eject_host *host = &service->outliers.eject.hosts[i];
        struct nr_instance *instance = &service->instances[i];

        if (host->ejected == service->outliers.told[i])
            continue;
        service->outliers.told[i] = host->ejected;
        service->outliers.ejections += host->ejected;
        instance->ejected = host->ejected && !observe;
        nr_service_notice(service, &(struct nr_notice){
                                       .kind = host->ejected ? NR_NOTICE_EJECTED : NR_NOTICE_BACK,
                                       .state = host->why,
                                       .observed = observe,
                                       .instance = i,
                                       .route = NR_ID_NONE,
                                   });
    }
    nr_service_steer(service);
}

bool nr_outlier_report(struct nr_service *service, const struct nr_outcome *outcome,
                       struct nr_random *random)
{
    enum nr_eject_result result = result_of(outcome);
    struct nr_eject_conf conf;

    if (outcome->latency_ns == 0 || !service->instances[outcome->instance].present)
        return false;
    if (nr_likely(result == NR_EJECT_OK)) /* no rule is asked for what is good */
        return nr_eject_report(&service->outliers.eject, &service->conf->eject->policy,
                               outcome->instance, outcome->now_ns, random, result,
                               outcome->latency_ns);
    conf = rules(service);
    if (is_last(service))
        conf.consecutive_5xx = conf.consecutive_gateway = 0;
    if (!nr_eject_report(&service->outliers.eject, &conf, outcome->instance, outcome->now_ns,
                         random, result, outcome->latency_ns))
        return false;
    apply(service);
    return true;
}

void nr_outlier_tick(struct nr_service *service, uint64_t now_ns, struct nr_random *random)
{
    struct nr_eject_conf conf;
    struct nr_io *bell;

    nr_spinlock_lock(&service->lock);
    conf = rules(service);
    if (is_last(service))
        conf.rate_sigmas = conf.latency_factor = 0;
    if (nr_eject_tick(&service->outliers.eject, &conf, now_ns, random) > 0)
        apply(service);
    bell = nr_service_bell(service);
    nr_spinlock_unlock(&service->lock);
    nr_service_ring(service, bell);
    nr_service_tables(service);
}

void nr_outlier_clear(struct nr_service *service, uint32_t slot)
{
    struct nr_outliers *outliers = &service->outliers;

    if (outliers->eject.hosts == NULL)
        return;
    outliers->eject.ejected -= outliers->eject.hosts[slot].ejected;
    outliers->eject.hosts[slot] = (struct nr_eject_host){0};
    outliers->told[slot] = false;
    service->instances[slot].ejected = false;
}

void nr_outlier_inherit(struct nr_service *to, uint32_t slot, const struct nr_eject_host *from)
{
    struct nr_outliers *outliers = &to->outliers;

    if (outliers->eject.hosts == NULL)
        return;
    outliers->eject.ejected += (uint32_t)from->ejected - outliers->eject.hosts[slot].ejected;
    outliers->eject.hosts[slot] = *from;
    outliers->told[slot] = from->ejected;
    to->instances[slot].ejected = from->ejected && !to->conf->eject->observe_only;
}
