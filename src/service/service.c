/* SPDX-License-Identifier: Apache-2.0 */
/* service.c - the shared state of one service: who is up, who is busy, whose turn it is.
 *
 * Every worker asks here before each attempt and reports behind it, so the critical sections are a
 * few additions over an array of at most some dozen hosts that lies together. in_flight is counted
 * here, under the same lock as the choice: two workers that pick at the same instant see each
 * other's calls.
 *
 * Which instances take calls is worked out in steer.c whenever something about one changes; a pick
 * only sees the outcome. */
#include "service/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/reason.h"
#include "policy/balance_hash.h"
#include "service/state.h"

/* A check needs one connection at a time, and finds that of before only if so configured. */
static struct nr_client_conf check_conf(const struct nr_service_conf *conf)
{
    struct nr_client_conf client = nr_client_conf_default;

    client.idle_max = 0;
    if (conf->health == NULL)
        return client;
    client.connect_timeout_ns = conf->health->timeout_ns;
    if (conf->health->reuse) {
        client.idle_max = 1;
        client.idle_timeout_ns = 3 * conf->health->interval_ns;
    }
    return client;
}

static struct nr_client_conf client_conf(const struct nr_service_conf *conf)
{
    struct nr_client_conf client = nr_client_conf_default;

    client.idle_max = conf->pool.max_idle;
    client.connections_max = conf->pool.max_connections;
    client.waiting_max = conf->pool.max_waiting;
    client.connect_timeout_ns = conf->timeouts.connect_ns;
    client.idle_timeout_ns = conf->pool.idle_timeout_ns;
    client.lifetime_ns = conf->pool.max_lifetime_ns == UINT64_MAX ? 0 : conf->pool.max_lifetime_ns;
    client.write_timeout_ns = conf->timeouts.write_ns;
    client.body_timeout_ns = conf->timeouts.idle_ns;
    client.tunnel_timeout_ns = conf->timeouts.idle_ns;
    return client;
}

/* The instances that the configuration lists, as a set to begin with. */
static enum nr_code add_configured(struct nr_service *service, struct nr_err *err)
{
    const struct nr_service_conf *conf = service->conf;
    struct nr_instance_spec *specs = calloc(conf->instance_count + 1, sizeof(*specs));
    enum nr_code code = NR_OK;

    nr_assert(specs != NULL);
    for (uint32_t i = 0; i < conf->instance_count && code == NR_OK; i++)
        code = nr_instance_spec_of(&conf->instances[i], &specs[i], err);
    if (code == NR_OK)
        code = nr_service_set_instances(service, specs, conf->instance_count, err);
    free(specs);
    return code;
}

enum nr_code nr_service_new(const struct nr_service_conf *conf, uint32_t id,
                            struct nr_service **ret_service, struct nr_err *err)
{
    struct nr_service *service;
    struct nr_err own = {0};

    service = aligned_alloc(NR_CACHE_LINE_BYTES, sizeof(*service));
    nr_assert(service != NULL);
    memset(service, 0, sizeof(*service));
    service->conf = conf;
    service->id = id;
    service->client_conf = client_conf(conf);
    service->check_conf = check_conf(conf);
    nr_link_init(&service->watches);
    nr_link_init(&service->pools);
    nr_spinlock_init(&service->lock);
    nr_balance_init(&service->set, NULL, 0);
    service->warm_next_ns = NR_TIME_NEVER;
    service->budgeted = conf->retry.attempts > 1;
    service->guarded = conf->breaker != NULL;
    service->ejects = conf->eject != NULL;
    service->adaptive = nr_bulkhead_is_adaptive(conf->bulkhead);
    nr_permits_init(service);
    service->by_route = conf->breaker != NULL && conf->breaker->scope == NR_BREAKER_PER_ROUTE;
    if (conf->breaker != NULL)
        nr_circuit_init(service, &service->circuits.one, 0);
    nr_retry_budget_init(&service->retry_budget, &conf->retry.budget.policy, 0);
    if (add_configured(service, err != NULL ? err : &own) != NR_OK) {
        nr_service_free(service);
        return err != NULL ? err->code : own.code;
    }
    *ret_service = service;
    return NR_OK;
}

void nr_service_free(struct nr_service *service)
{
    if (service == NULL)
        return;
    nr_assert(service->in_flight == 0);
    nr_assert(nr_list_empty(&service->watches));
    nr_service_strike(service);
    for (uint32_t i = 0; i < service->room; i++)
        free(service->instances[i].text);
    for (uint32_t i = 0; i < service->old_path_count; i++)
        free(service->old_paths[i]);
    nr_circuits_free(&service->circuits);
    free(service->old_paths);
    free(service->instances);
    free(service->hosts);
    free(service->select);
    free(service->outliers.eject.hosts);
    free(service->outliers.told);
    free(service->table);
    free(service);
}

void nr_service_carry_by(struct nr_service *service, struct nr_transport *transport)
{
    service->client_conf.transport = transport;
    service->check_conf.transport = transport;
}

const struct nr_service_conf *nr_service_conf(const struct nr_service *service)
{
    return service->conf;
}

uint32_t nr_service_id(const struct nr_service *service)
{
    return service->id;
}

void nr_service_on_change(struct nr_service *service, nr_service_change_fn fn, void *ctx)
{
    service->changed = fn;
    service->changed_ctx = ctx;
}

/* With the lock held. */
static void look_at(const struct nr_service *service, uint32_t instance,
                    struct nr_instance_view *ret_view)
{
    const struct nr_instance *from = &service->instances[instance];
    const struct nr_balance_host *host = &service->hosts[instance];

    if (!from->present && host->in_flight == 0)
        return;
    snprintf(ret_view->text, sizeof(ret_view->text), "%s", from->text);
    ret_view->addr = from->addr;
    ret_view->present = from->present;
    ret_view->weight = nr_instance_weight(from);
    ret_view->configured_weight = from->weight;
    ret_view->force = from->force;
    ret_view->draining = from->draining;
    ret_view->ejected = service->outliers.told != NULL && service->outliers.told[instance];
    ret_view->takes = host->up;
    ret_view->priority = from->priority;
    ret_view->in_flight = host->in_flight;
    ret_view->health = from->health.state;
    ret_view->verdict = from->verdict;
    ret_view->check_status = from->status;
    ret_view->picks = from->picks;
    ret_view->failures = from->failures;
    ret_view->ewma_us = (uint64_t)(host->ewma_ns / 1000.0f);
}

void nr_service_instance(struct nr_service *service, uint32_t instance,
                         struct nr_instance_view *ret_view)
{
    *ret_view = (struct nr_instance_view){0};
    nr_spinlock_lock(&service->lock);
    if (instance < service->set.count)
        look_at(service, instance, ret_view);
    nr_spinlock_unlock(&service->lock);
}

/* ---- the hot path ---- */

/* The instance that a cookie names, as long as it answers; draining or not. */
static uint32_t choose_sticky(const struct nr_service *service, const struct nr_pick *pick)
{
    for (uint32_t i = 0; i < service->set.count; i++) {
        const struct nr_instance *instance = &service->instances[i];

        if (instance->token != pick->key || !instance->present || instance->hidden != 0 ||
            instance->ejected)
            continue;
        if (instance->addr.family == NR_ADDR_NONE || instance->force == NR_FORCE_DOWN ||
            (instance->health.state == NR_HEALTH_DOWN && instance->force != NR_FORCE_UP) ||
            (i < 64 && pick->tried >> i & 1))
            break;
        return i;
    }
    return NR_BALANCE_NONE;
}

static uint32_t choose_by_key(struct nr_service *service, const struct nr_pick *pick)
{
    const struct nr_balance_conf *conf = &service->conf->balance;

    if (conf->algorithm == NR_BALANCE_STICKY)
        return choose_sticky(service, pick);
    if (service->table == NULL)
        return NR_BALANCE_NONE;
    return nr_balance_pick_hash(&service->set, service->table, pick->key, pick->tried,
                                (uint32_t)(conf->bounded_load * 100 + 0.5),
                                service->in_flight + service->streams);
}

static uint32_t choose(struct nr_service *service, struct nr_random *random,
                       const struct nr_pick *pick)
{
    uint32_t instance = NR_BALANCE_NONE;

    if (service->set.count == 1 && nr_balance_takes(&service->hosts[0], 0, pick->tried))
        return 0; /* nothing to choose from */
    switch ((enum nr_balance)service->conf->balance.algorithm) {
    case NR_BALANCE_ROUND_ROBIN: return nr_balance_pick_rr(&service->set, pick->tried);
    case NR_BALANCE_LEAST_REQUESTS: return nr_balance_pick_least(&service->set, pick->tried);
    case NR_BALANCE_RANDOM: return nr_balance_pick_random(&service->set, pick->tried, random);
    case NR_BALANCE_P2C:
        if (nr_unlikely(pick->stream))
            return nr_balance_pick_least(&service->set, pick->tried);
        return nr_balance_pick_p2c(&service->set, pick->tried, random, pick->now_ns);
    default:
        if (pick->has_key)
            instance = choose_by_key(service, pick);
        if (instance != NR_BALANCE_NONE)
            return instance;
        /* Evenly: where a client is put now, it may stay for long. */
        return nr_balance_pick_least(&service->set, pick->tried);
    }
}

/* All that take calls were tried. Better one that stands by, or is in another zone, than one of
 * them once more. */
static uint32_t choose_spare(const struct nr_service *service, uint64_t tried)
{
    uint32_t best = NR_BALANCE_NONE;

    for (uint32_t i = 0; i < service->set.count; i++) {
        if (!service->instances[i].able || (i < 64 && tried >> i & 1))
            continue;
        if (best == NR_BALANCE_NONE ||
            service->instances[i].priority < service->instances[best].priority)
            best = i;
    }
    return best;
}

static uint32_t choose_again(struct nr_service *service, struct nr_random *random,
                             const struct nr_pick *pick)
{
    struct nr_pick any = *pick;
    uint32_t instance = choose_spare(service, pick->tried);

    any.tried = 0;
    return instance != NR_BALANCE_NONE ? instance : choose(service, random, &any);
}

/* One that has not been tried, or, if there is none, one once more. */
static uint32_t choose_any(struct nr_service *service, struct nr_random *random,
                           const struct nr_pick *pick)
{
    uint32_t instance = choose(service, random, pick);

    if (nr_unlikely(instance == NR_BALANCE_NONE) && pick->tried != 0)
        instance = choose_again(service, random, pick);
    return instance;
}

static uint32_t choose_guarded(struct nr_service *service, struct nr_random *random,
                               struct nr_pick *pick)
{
    if (service->guarded && !pick->stream)
        return nr_circuit_choose(service, random, pick, choose_any);
    return choose_any(service, random, pick);
}

/* With the lock held. */
static uint32_t take(struct nr_service *service, struct nr_random *random, struct nr_pick *pick)
{
    uint32_t instance;

    pick->flags = service->flags;
    pick->reason = NR_REASON_NONE;
    if (service->guarded && !pick->stream && nr_circuit_is_shut(service, pick))
        return NR_INSTANCE_NONE; /* waiting for a permit would be in vain */
    if (pick->permit != NULL && !nr_permit_enter(service, pick))
        return NR_INSTANCE_NONE;
    if (nr_unlikely(pick->now_ns >= service->warm_next_ns))
        nr_service_warm(service, pick->now_ns);
    instance = choose_guarded(service, random, pick);
    if (nr_unlikely(instance == NR_BALANCE_NONE)) {
        if (pick->reason != NR_REASON_NONE)
            return NR_INSTANCE_NONE;
        pick->reason = service->present == 0 ? NR_REASON_NO_INSTANCE : NR_REASON_NO_HEALTHY;
        return NR_INSTANCE_NONE;
    }
    if (service->budgeted && !pick->repeat && !pick->stream)
        nr_retry_budget_request(&service->retry_budget, &service->conf->retry.budget.policy,
                                pick->now_ns);
    if (nr_unlikely(service->outliers.eject.ejected > 0) && service->outliers.told[instance] &&
        !service->instances[instance].ejected)
        pick->flags |= NR_RECORD_WOULD_EJECT;
    service->in_flight += !pick->stream;
    service->streams += pick->stream;
    service->hosts[instance].in_flight++;
    service->instances[instance].picks++;
    pick->name = service->instances[instance].name;
    return instance;
}

uint32_t nr_service_pick_by(struct nr_service *service, struct nr_random *random,
                            struct nr_pick *pick)
{
    struct nr_io *bell = NULL;
    struct nr_permit *permit = pick->permit, *told = NULL;
    uint32_t instance;

    if (nr_unlikely(service->by_route) && !pick->stream)
        nr_circuit_prepare(service, pick->route, pick->now_ns);
    nr_spinlock_lock(&service->lock);
    instance = take(service, random, pick);
    if (nr_unlikely(instance == NR_INSTANCE_NONE) && permit != NULL &&
        permit->node.place == NR_BULKHEAD_INSIDE)
        told = nr_permit_leave(service, permit, pick->now_ns);
    if (nr_unlikely(service->noticed))
        bell = nr_service_bell(service);
    nr_spinlock_unlock(&service->lock);
    nr_service_ring(service, bell);
    if (nr_unlikely(told != NULL))
        nr_permit_tell(told, permit->io);
    return instance;
}

uint32_t nr_service_pick(struct nr_service *service, struct nr_random *random, uint64_t now_ns,
                         uint64_t tried, int *ret_reason)
{
    struct nr_pick pick = {.now_ns = now_ns, .tried = tried};
    uint32_t instance = nr_service_pick_by(service, random, &pick);

    if (instance == NR_INSTANCE_NONE)
        *ret_reason = pick.reason;
    return instance;
}

/* With the lock held. */
static void give_back(struct nr_service *service, uint32_t instance, uint64_t now_ns,
                      uint64_t latency_ns, bool ok)
{
    struct nr_balance_host *host;

    nr_assert(instance < service->set.count);
    host = &service->hosts[instance];
    nr_assert(host->in_flight > 0);
    host->in_flight--;
    if (latency_ns > 0) {
        nr_balance_observe(host, now_ns, latency_ns, ok);
        service->instances[instance].failures += !ok;
    }
}

void nr_service_report(struct nr_service *service, uint32_t instance, uint64_t now_ns,
                       uint64_t latency_ns, bool ok)
{
    const struct nr_outcome report = {
        .instance = instance, .ok = ok, .now_ns = now_ns, .latency_ns = latency_ns};

    nr_service_report_by(service, NULL, &report);
}

void nr_service_report_by(struct nr_service *service, struct nr_random *random,
                          const struct nr_outcome *report)
{
    struct nr_permit *told = NULL;
    struct nr_io *bell = NULL;
    bool ejected = false;

    nr_spinlock_lock(&service->lock);
    nr_assert(service->in_flight > 0);
    service->in_flight--;
    give_back(service, report->instance, report->now_ns, report->latency_ns, report->ok);
    if (service->guarded)
        nr_circuit_report(service, report, random);
    if (service->ejects)
        ejected = nr_outlier_report(service, report, random);
    if (service->adaptive)
        nr_permit_learn(service, report);
    if (report->permit != NULL)
        told = nr_permit_leave(service, report->permit, report->now_ns);
    if (nr_unlikely(service->noticed))
        bell = nr_service_bell(service);
    nr_spinlock_unlock(&service->lock);
    nr_service_ring(service, bell);
    if (nr_unlikely(told != NULL))
        nr_permit_tell(told, report->permit->io);
    if (nr_unlikely(ejected))
        nr_service_tables(service);
}

void nr_service_end_stream(struct nr_service *service, uint32_t instance, uint64_t now_ns,
                           uint64_t connect_ns, bool ok)
{
    nr_spinlock_lock(&service->lock);
    nr_assert(service->streams > 0);
    service->streams--;
    give_back(service, instance, now_ns, connect_ns, ok);
    nr_spinlock_unlock(&service->lock);
}
