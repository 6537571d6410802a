/* SPDX-License-Identifier: Apache-2.0 */
/* pools.c - one worker's connections to each instance of a service.
 *
 * Clients stand by the instances' numbers. A number may mean another instance later, so each client
 * is kept together with the generation for which it was made: one that is of another generation is
 * closed, and its exchanges end by themselves. The watch does that soon after every change of the
 * set; a call that comes first does it too, because its number may be a newcomer's already. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "service/state.h"

struct pool {
    struct nr_client *client; /* NULL until first asked for */
    uint32_t generation;
};

struct nr_service_pools {
    struct nr_service *service;
    struct nr_io *io;
    struct nr_service_watch watch;
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

static void follow(struct nr_service_pools *pools)
{
    pools->epoch = nr_service_epoch(pools->service);
    for (uint32_t i = 0; i < pools->room; i++) {
        struct nr_slot slot = nr_service_slot(pools->service, i);

        if (!slot.present || slot.generation != pools->pools[i].generation)
            pool_close(&pools->pools[i]);
    }
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
    make_room(pools, nr_service_instance_count(service) + 1);
    nr_service_watch(service, io, &pools->watch);
    if (service->conf->balance.algorithm == NR_BALANCE_STICKY)
        nr_service_draw_key(service, io);
    return pools;
}

/* Whoever asks has picked the instance, so it has an address, which never changes. */
static void pool_open(struct nr_service_pools *pools, uint32_t instance)
{
    struct nr_slot slot = nr_service_slot(pools->service, instance);
    struct pool *pool;

    make_room(pools, instance + 1);
    pool = &pools->pools[instance];
    nr_assert(slot.addr.family != NR_ADDR_NONE);
    pool_close(pool);
    pool->client = nr_client_new(pools->io, &slot.addr, &pools->service->client_conf);
    pool->generation = slot.generation;
}

struct nr_client *nr_service_client(struct nr_service_pools *pools, uint32_t instance)
{
    if (nr_unlikely(pools->epoch != nr_service_epoch(pools->service)))
        follow(pools);
    if (nr_unlikely(instance >= pools->room || pools->pools[instance].client == NULL))
        pool_open(pools, instance);
    return pools->pools[instance].client;
}

struct nr_service *nr_service_of(struct nr_service_pools *pools)
{
    return pools->service;
}

struct nr_client_counts nr_service_pools_counts(const struct nr_service_pools *pools)
{
    struct nr_client_counts sum = {0};

    for (uint32_t i = 0; i < pools->room; i++) {
        const struct nr_client_counts *one;

        if (pools->pools[i].client == NULL)
            continue;
        one = nr_client_counts(pools->pools[i].client);
        sum.connects += one->connects;
        sum.connect_failures += one->connect_failures;
        sum.reuses += one->reuses;
        sum.open += one->open;
        sum.idle += one->idle;
        sum.active += one->active;
    }
    return sum;
}

void nr_service_pools_free(struct nr_service_pools *pools)
{
    if (pools == NULL)
        return;
    for (uint32_t i = 0; i < pools->room; i++)
        pool_close(&pools->pools[i]);
    nr_service_unwatch(&pools->watch);
}
