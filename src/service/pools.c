/* SPDX-License-Identifier: Apache-2.0 */
/* pools.c - one worker's connections to each instance of a service. */
#include <stdlib.h>

#include "base/assert.h"
#include "service/state.h"

struct nr_service_pools {
    struct nr_service *service;
    struct nr_io *io;
    struct nr_client *clients[]; /* NULL until first asked for */
};

struct nr_service_pools *nr_service_pools_new(struct nr_service *service, struct nr_io *io)
{
    uint32_t count = service->conf->instance_count;
    struct nr_service_pools *pools = calloc(1, sizeof(*pools) + count * sizeof(pools->clients[0]));

    nr_assert(pools != NULL);
    pools->service = service;
    pools->io = io;
    return pools;
}

/* Whoever asks has picked the instance, so it has an address, which never changes. */
static struct nr_client *client_new(struct nr_service_pools *pools, uint32_t instance)
{
    struct nr_addr addr;
    bool known = nr_service_address(pools->service, instance, &addr);

    nr_assert(known);
    return nr_client_new(pools->io, &addr, &pools->service->client_conf);
}

struct nr_client *nr_service_client(struct nr_service_pools *pools, uint32_t instance)
{
    nr_assert(instance < pools->service->conf->instance_count);
    if (nr_unlikely(pools->clients[instance] == NULL))
        pools->clients[instance] = client_new(pools, instance);
    return pools->clients[instance];
}

struct nr_service *nr_service_of(struct nr_service_pools *pools)
{
    return pools->service;
}

struct nr_client_counts nr_service_pools_counts(const struct nr_service_pools *pools)
{
    struct nr_client_counts sum = {0};

    for (uint32_t i = 0; i < pools->service->conf->instance_count; i++) {
        const struct nr_client_counts *one;

        if (pools->clients[i] == NULL)
            continue;
        one = nr_client_counts(pools->clients[i]);
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
    for (uint32_t i = 0; i < pools->service->conf->instance_count; i++)
        if (pools->clients[i] != NULL)
            nr_client_close(pools->clients[i]);
    free(pools);
}
