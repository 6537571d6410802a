/* SPDX-License-Identifier: Apache-2.0 */
/* inherit.c - what a changed service keeps of its predecessor: all that was learnt of an instance
 * that stays, told by its address as configured. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "service/state.h"

struct heritage {
    struct nr_instance instance;
    struct nr_balance_host host;
    struct nr_circuit *circuit; /* owned; NULL: none */
    struct nr_eject_host eject;
};

static struct heritage *read_all(struct nr_service *from, uint32_t *ret_count)
{
    struct heritage *all = calloc(from->room + 1, sizeof(*all));
    uint32_t count = 0;

    nr_assert(all != NULL);
    nr_spinlock_lock(&from->lock);
    for (uint32_t i = 0; i < from->set.count; i++)
        if (from->instances[i].present) {
            all[count] = (struct heritage){from->instances[i], from->hosts[i], NULL, {0}};
            if (from->outliers.eject.hosts != NULL)
                all[count].eject = from->outliers.eject.hosts[i];
            count++;
        }
    nr_spinlock_unlock(&from->lock);
    *ret_count = count;
    return all;
}

/* The circuits of the instances, in the order of read_all: a second round, because they are big.
 * Only this thread changes who is present. */
static void read_circuits(struct nr_service *from, struct heritage *all)
{
    uint32_t n = 0;

    for (uint32_t i = 0; from->circuits.slots != NULL && i < from->set.count; i++) {
        if (!from->instances[i].present)
            continue;
        all[n].circuit = malloc(sizeof(*all[n].circuit));
        nr_assert(all[n].circuit != NULL);
        nr_spinlock_lock(&from->lock);
        *all[n++].circuit = from->circuits.slots[i];
        nr_spinlock_unlock(&from->lock);
    }
}

static const struct heritage *find(const struct heritage *all, uint32_t count, uint32_t guess,
                                   const char *text)
{
    if (guess < count && strcmp(all[guess].instance.text, text) == 0)
        return &all[guess];
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(all[i].instance.text, text) == 0)
            return &all[i];
    return NULL;
}

/* With the lock of `to` held. Calls in flight stay with the predecessor, which they report to.
 * Without health checks nobody would ever lift a verdict, so none is taken over then. */
static void take_over(struct nr_service *to, uint32_t i, const struct heritage *from)
{
    struct nr_instance *instance = &to->instances[i];
    struct nr_balance_host *host = &to->hosts[i];

    instance->picks += from->instance.picks;
    instance->failures += from->instance.failures;
    host->ewma_ns = from->host.ewma_ns;
    host->penalty = from->host.penalty;
    host->stamp_ns = from->host.stamp_ns;
    instance->force = from->instance.force;
    instance->draining = from->instance.draining;
    instance->own_weight = from->instance.own_weight;
    instance->warm_from_ns = from->instance.warm_from_ns;
    instance->warm_weight = from->instance.warm_weight;
    if (to->conf->health != NULL)
        instance->health = from->instance.health;
    nr_outlier_inherit(to, i, &from->eject);
    if (from->circuit != NULL)
        nr_circuit_inherit(to, i, from->circuit);
}

/* What requests have earned is still owed to them. */
static void take_over_budget(struct nr_service *to, struct nr_service *from)
{
    struct nr_retry_budget budget;
    uint64_t repeats, unpaid;

    nr_spinlock_lock(&from->lock);
    budget = from->retry_budget;
    repeats = from->repeats;
    unpaid = from->repeats_unpaid;
    nr_spinlock_unlock(&from->lock);
    nr_spinlock_lock(&to->lock);
    to->retry_budget = budget;
    to->repeats += repeats;
    to->repeats_unpaid += unpaid;
    nr_spinlock_unlock(&to->lock);
}

/* Cookies given out stay good, unless their key is configured. */
static void take_over_key(struct nr_service *to, struct nr_service *from)
{
    uint64_t key[2];
    bool known;

    nr_spinlock_lock(&from->lock);
    known = from->token_key_known;
    memcpy(key, from->token_key, sizeof(key));
    nr_spinlock_unlock(&from->lock);
    if (!known || to->conf->balance.cookie.secret.len > 0)
        return;
    nr_spinlock_lock(&to->lock);
    memcpy(to->token_key, key, sizeof(key));
    to->token_key_known = true;
    nr_service_make_tokens(to);
    nr_spinlock_unlock(&to->lock);
}

/* Whoever finds its instances where the predecessor did begins with what that one had found, unless
 * something has been found already: name servers may be away just now. */
static void take_instances(struct nr_service *to, const struct nr_service *from,
                           const struct heritage *all, uint32_t count)
{
    struct nr_instance_spec *specs;
    struct nr_err err;

    if (to->present > 0 || !nr_instances_are_found(&to->conf->found) ||
        !nr_span_eq(to->conf->found.dns.text, from->conf->found.dns.text) ||
        !nr_span_eq(to->conf->found.file, from->conf->found.file))
        return;
    specs = calloc(count + 1, sizeof(*specs));
    nr_assert(specs != NULL);
    for (uint32_t i = 0; i < count; i++)
        specs[i] = (struct nr_instance_spec){.text = all[i].instance.text,
                                             .addr = all[i].instance.addr,
                                             .weight = all[i].instance.weight,
                                             .priority = all[i].instance.priority};
    if (nr_service_set_instances(to, specs, count, &err) != NR_OK)
        nr_assert(!"as many had room before");
    free(specs);
}

void nr_service_inherit(struct nr_service *to, struct nr_service *from)
{
    uint32_t count;
    struct heritage *all = read_all(from, &count);

    if (nr_circuits_alike(to, from))
        read_circuits(from, all);
    take_instances(to, from, all, count);
    nr_spinlock_lock(&to->lock);
    for (uint32_t i = 0; i < to->set.count; i++) {
        const struct heritage *one = NULL;

        if (to->instances[i].present)
            one = find(all, count, i, to->instances[i].text);
        if (one != NULL)
            take_over(to, i, one);
        else
            to->instances[i].able = false; /* new: it starts slowly, if that is configured */
    }
    to->warm_next_ns = to->conf->balance.slow_start_ns > 0 ? 0 : NR_TIME_NEVER;
    nr_service_steer(to);
    nr_spinlock_unlock(&to->lock);
    nr_service_tables(to);
    take_over_key(to, from);
    take_over_budget(to, from);
    nr_circuits_inherit(to, from);
    nr_permits_inherit(to, from);
    for (uint32_t i = 0; i < count; i++)
        free(all[i].circuit);
    free(all);
}
