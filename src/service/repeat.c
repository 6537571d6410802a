/* SPDX-License-Identifier: Apache-2.0 */
/* repeat.c - what all calls of a service share when they fail: the retry budget, and whether there
 * is anybody else to ask. */
#include <string.h>

#include "service/state.h"

enum nr_retry_verdict nr_service_repeat(struct nr_service *service,
                                        const struct nr_retry_facts *facts, uint64_t now_ns,
                                        uint16_t *ret_flag)
{
    const struct nr_retry_budget_conf *conf = &service->conf->retry.budget.policy;
    struct nr_retry_facts with_budget = *facts;
    enum nr_retry_verdict verdict;

    nr_spinlock_lock(&service->lock);
    with_budget.budget_spent = nr_retry_budget_left(&service->retry_budget, conf, now_ns) == 0;
    verdict = nr_retry_decide(&with_budget, ret_flag);
    if (verdict == NR_RETRY_GO) {
        (void)nr_retry_budget_take(&service->retry_budget, conf, now_ns);
        service->repeats++;
    } else if (verdict == NR_RETRY_NO && *ret_flag == NR_RECORD_RETRY_BUDGET) {
        service->repeats_unpaid++;
    }
    nr_spinlock_unlock(&service->lock);
    return verdict;
}

void nr_service_fell_back(struct nr_service *service)
{
    nr_spinlock_lock(&service->lock);
    service->fallbacks++;
    nr_spinlock_unlock(&service->lock);
}

bool nr_service_has_other(struct nr_service *service, uint64_t tried)
{
    bool found = false;

    nr_spinlock_lock(&service->lock);
    for (uint32_t i = 0; i < service->set.count && !found; i++)
        found = nr_balance_takes(&service->hosts[i], i, tried);
    nr_spinlock_unlock(&service->lock);
    return found;
}

void nr_service_look(struct nr_service *service, uint64_t now_ns, struct nr_service_view *ret_view)
{
    struct nr_service_view view = {0};

    nr_spinlock_lock(&service->lock);
    view.in_flight = service->permits.bulkhead.in_flight;
    view.queued = service->permits.bulkhead.queued;
    view.limit = service->permits.conf.concurrent;
    view.limit_by_hand = service->permits.own > 0;
    memcpy(view.refused, service->permits.refused, sizeof(view.refused));
    view.ejections = service->outliers.ejections;
    view.fallbacks = service->fallbacks;
    view.repeats = service->repeats;
    view.repeats_unpaid = service->repeats_unpaid;
    view.retry_budget_left =
        nr_retry_budget_left(&service->retry_budget, &service->conf->retry.budget.policy, now_ns);
    nr_spinlock_unlock(&service->lock);
    *ret_view = view;
}
