/* SPDX-License-Identifier: Apache-2.0 */
/* pools.c - one worker's connections to each instance of a service.
 *
 * Clients stand by the instances' numbers. A number may mean another instance later, so each client
 * is kept together with the generation for which it was made: one that is of another generation is
 * closed, and its exchanges end by themselves. The watch does that soon after every change of the
 * set; a call that comes first does it too, because its number may be a newcomer's already.
 *
 * With `prewarm` the watch is also told when an instance comes up, and the first calls to it find
 * connections open. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/cell.h"
#include "service/state.h"

struct pool {
    struct nr_client *client; /* NULL until first asked for */
    uint32_t generation;
    bool warm; /* was up when last looked at, so it has been prewarmed */
};

struct nr_service_pools {
    struct nr_service *service;
    struct nr_io *io;
    struct nr_service_watch watch;
    struct nr_link link; /* service->pools, under its lock */
    struct nr_client_counts counts;
    uint32_t epoch; /* of the set that the pools are made for */
    uint32_t room;
    struct pool *pools;
};

static void make_room(struct nr_service_pools *pools, uint32_t room)
{
    if (room <= pools->room)
        return;
    pools->pools = realloc(pools->pools, room * sizeof(pools->pools[0]));
    nr_assert(pools->pools != NULL);
    memset(&pools->pools[pools->room], 0, (room - pools->room) * sizeof(pools->pools[0]));
    pools->room = room;
}

static void pool_close(struct pool *pool)
{
    nr_client_close(pool->client);
    pool->client = NULL;
}

static struct pool *pool_open(struct nr_service_pools *pools, uint32_t instance,
                              const struct nr_slot *slot)
{
    struct pool *pool;

    make_room(pools, instance + 1);
    pool = &pools->pools[instance];
    nr_assert(slot->addr.family != NR_ADDR_NONE);
    pool_close(pool);
    pool->client = nr_client_new(pools->io, &slot->addr, &pools->service->client_conf);
    nr_client_count_into(pool->client, &pools->counts);
    pool->generation = slot->generation;
    return pool;
}

/* Each time that an instance comes up. */
static void warm(struct nr_service_pools *pools, uint32_t instance)
{
    struct nr_slot slot = nr_service_slot(pools->service, instance);
    struct pool *pool = &pools->pools[instance];
    bool up = slot.present && slot.up && slot.health != NR_HEALTH_DOWN;

    if (up && (!pool->warm || pool->client == NULL)) {
        if (pool->client == NULL)
            pool = pool_open(pools, instance, &slot);
        nr_client_prewarm(pool->client, pools->service->conf->pool.prewarm);
    }
    pool->warm = up;
}

static void warm_all(struct nr_service_pools *pools)
{
    uint32_t count = nr_service_instance_count(pools->service);

    if (pools->service->conf->pool.prewarm == 0)
        return;
    make_room(pools, count);
    for (uint32_t i = 0; i < count; i++)
        warm(pools, i);
}

static void follow(struct nr_service_pools *pools)
{
    pools->epoch = nr_service_epoch(pools->service);
    for (uint32_t i = 0; i < pools->room; i++) {
        struct nr_slot slot = nr_service_slot(pools->service, i);

        if (!slot.present || slot.generation != pools->pools[i].generation)
            pool_close(&pools->pools[i]);
    }
    warm_all(pools);
}

static void set_changed(struct nr_service_watch *watch)
{
    follow(nr_container_of(watch, struct nr_service_pools, watch));
}

static void pools_free(struct nr_service_watch *watch)
{
    struct nr_service_pools *pools = nr_container_of(watch, struct nr_service_pools, watch);

    free(pools->pools);
    free(pools);
}

struct nr_service_pools *nr_service_pools_new(struct nr_service *service, struct nr_io *io)
{
    struct nr_service_pools *pools = calloc(1, sizeof(*pools));

    nr_assert(pools != NULL);
    pools->service = service;
    pools->io = io;
    pools->epoch = nr_service_epoch(service);
    pools->watch.changed = set_changed;
    pools->watch.removed = pools_free;
    nr_link_init(&pools->link);
    nr_spinlock_lock(&service->lock);
    nr_list_push_back(&service->pools, &pools->link);
    nr_spinlock_unlock(&service->lock);
    make_room(pools, nr_service_instance_count(service) + 1);
    nr_service_watch(service, io, &pools->watch);
    if (service->conf->balance.algorithm == NR_BALANCE_STICKY)
        nr_service_draw_key(service, io);
    warm_all(pools);
    return pools;
}

/* Whoever asks has picked the instance, so it has an address, which never changes. */
static void pool_make(struct nr_service_pools *pools, uint32_t instance)
{
    struct nr_slot slot = nr_service_slot(pools->service, instance);

    pool_open(pools, instance, &slot);
}

struct nr_client *nr_service_client(struct nr_service_pools *pools, uint32_t instance)
{
    if (nr_unlikely(pools->epoch != nr_service_epoch(pools->service)))
        follow(pools);
    if (nr_unlikely(instance >= pools->room || pools->pools[instance].client == NULL))
        pool_make(pools, instance);
    return pools->pools[instance].client;
}

struct nr_service *nr_service_of(struct nr_service_pools *pools)
{
    return pools->service;
}

struct nr_client_counts nr_service_counts(struct nr_service *service)
{
    struct nr_client_counts sum = {0};

    nr_spinlock_lock(&service->lock);
    for (struct nr_link *link = service->pools.next; link != &service->pools; link = link->next) {
        const struct nr_client_counts *one =
            &nr_container_of(link, struct nr_service_pools, link)->counts;

        sum.connects += nr_cell_get(&one->connects);
        sum.connect_failures += nr_cell_get(&one->connect_failures);
        sum.reuses += nr_cell_get(&one->reuses);
        sum.waits += nr_cell_get(&one->waits);
        sum.exhausted += nr_cell_get(&one->exhausted);
        sum.stale += nr_cell_get(&one->stale);
        sum.open += nr_cell32_get(&one->open);
        sum.idle += nr_cell32_get(&one->idle);
        sum.waiting += nr_cell32_get(&one->waiting);
    }
    nr_spinlock_unlock(&service->lock);
    return sum;
}

void nr_service_pools_free(struct nr_service_pools *pools)
{
    if (pools == NULL)
        return;
    for (uint32_t i = 0; i < pools->room; i++)
        pool_close(&pools->pools[i]);
    nr_spinlock_lock(&pools->service->lock);
    nr_list_remove(&pools->link);
    nr_spinlock_unlock(&pools->service->lock);
    nr_service_unwatch(&pools->watch);
}
