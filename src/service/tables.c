/* SPDX-License-Identifier: Apache-2.0 */
/* tables.c - the hash table of a service, and the tokens of its sticky cookies.
 *
 * A table of 65,537 slots takes a millisecond or two to build: too long for the lock. So whoever
 * has changed something builds aside: it copies the hosts under the lock together with the number
 * of changes so far, builds, and puts the table in place if nothing has changed meanwhile; else it
 * starts over. Of several that build at once the last change wins, and picks, which look at the
 * table under the lock, never wait for any of them. Until then the old table serves: hosts in it
 * that take no calls any more are passed. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/siphash.h"
#include "service/state.h"

struct plan {
    uint32_t count;
    uint32_t wanted;
    bool any;                          /* somebody takes calls */
    uint16_t slots[NR_HASH_HOSTS_MAX]; /* … of the hosts, which have no gaps */
    struct nr_hash_host hosts[NR_HASH_HOSTS_MAX];
    struct nr_hash_work work[NR_HASH_HOSTS_MAX];
};

_Static_assert((int)NR_INSTANCES_MAX == (int)NR_HASH_HOSTS_MAX, "all instances fit into a table");

static void copy_hosts(struct nr_service *service, struct plan *plan)
{
    nr_spinlock_lock(&service->lock);
    plan->wanted = service->tables_wanted;
    plan->count = 0;
    plan->any = false;
    for (uint32_t i = 0; i < service->set.count; i++) {
        const struct nr_instance *instance = &service->instances[i];
        uint32_t weight = nr_instance_weight(instance);

        if (!instance->present)
            continue;
        plan->slots[plan->count] = (uint16_t)i;
        plan->hosts[plan->count++] = (struct nr_hash_host){
            .id = nr_hash_bytes(nr_span_of(instance->text)),
            .weight = weight > 0 ? weight : 1,
            .takes = service->hosts[i].up,
        };
        plan->any |= service->hosts[i].up;
    }
    nr_spinlock_unlock(&service->lock);
}

static struct nr_hash_table *build(struct plan *plan, enum nr_hash_kind kind)
{
    uint32_t size = nr_hash_table_size(kind, plan->hosts, plan->count);
    struct nr_hash_table *table = malloc(sizeof(*table) + nr_hash_table_bytes(kind, size));

    nr_assert(table != NULL);
    nr_hash_table_build(table, kind, size, table + 1, plan->hosts, plan->count, plan->work);
    for (uint32_t i = 0; i < size && kind == NR_HASH_MAGLEV; i++)
        table->slots[i] = plan->slots[table->slots[i]];
    for (uint32_t i = 0; i < size && kind == NR_HASH_RING; i++)
        table->points[i].host = plan->slots[table->points[i].host];
    return table;
}

/* Returns what is to be freed. */
static struct nr_hash_table *put_in_place(struct nr_service *service, const struct plan *plan,
                                          struct nr_hash_table *table, bool *ret_done)
{
    struct nr_hash_table *other = table;

    nr_spinlock_lock(&service->lock);
    *ret_done = service->tables_wanted == plan->wanted;
    if (*ret_done) {
        other = service->table;
        service->table = table;
    }
    nr_spinlock_unlock(&service->lock);
    return other;
}

void nr_service_tables(struct nr_service *service)
{
    const struct nr_balance_conf *conf = &service->conf->balance;
    struct plan *plan;
    bool done = false;

    if (conf->algorithm != NR_BALANCE_HASH && conf->algorithm != NR_BALANCE_IP_HASH)
        return;
    plan = malloc(sizeof(*plan));
    nr_assert(plan != NULL);
    while (!done) {
        copy_hosts(service, plan);
        if (!plan->any)
            break; /* nobody to pick, whatever the table says */
        free(put_in_place(service, plan, build(plan, (enum nr_hash_kind)conf->table), &done));
    }
    free(plan);
}

/* ---- sticky tokens ---- */

/* Two halves of a key from a text of any length; the constants only set the halves apart. */
static void derive_key(struct nr_span secret, uint64_t ret_key[2])
{
    ret_key[0] = nr_siphash((const uint64_t[]){0, 1}, secret);
    ret_key[1] = nr_siphash((const uint64_t[]){2, 3}, secret);
}

void nr_service_make_token(const struct nr_service *service, struct nr_instance *instance)
{
    uint64_t token;

    if (!service->token_key_known)
        return;
    token = nr_siphash(service->token_key, nr_span_of(instance->text));
    instance->token = token != 0 ? token : 1;
}

void nr_service_make_tokens(struct nr_service *service)
{
    for (uint32_t i = 0; i < service->set.count; i++)
        if (service->instances[i].text != NULL)
            nr_service_make_token(service, &service->instances[i]);
}

void nr_service_draw_key(struct nr_service *service, struct nr_io *io)
{
    struct nr_span secret = service->conf->balance.cookie.secret;
    uint64_t key[2];

    if (secret.len > 0)
        derive_key(secret, key);
    else
        nr_io_entropy(io, key, sizeof(key));
    nr_spinlock_lock(&service->lock);
    if (!service->token_key_known) {
        memcpy(service->token_key, key, sizeof(key));
        service->token_key_known = true;
        nr_service_make_tokens(service);
    }
    nr_spinlock_unlock(&service->lock);
}

uint64_t nr_service_token(struct nr_service *service, uint32_t instance)
{
    uint64_t token;

    nr_spinlock_lock(&service->lock);
    nr_assert(instance < service->room);
    token = service->instances[instance].token;
    nr_spinlock_unlock(&service->lock);
    return token;
}
