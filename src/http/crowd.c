/* SPDX-License-Identifier: Apache-2.0 */
#include "http/crowd.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/siphash.h"
#include "base/spinlock.h"

enum { BUCKETS = 8192, PLACES = 16, V6_CLIENT_BITS = 64 };

_Static_assert((BUCKETS & (BUCKETS - 1)) == 0, "a mask chooses the bucket");

/* A place with no connections is free, whatever address stands in it. */
struct bucket {
    struct nr_spinlock lock;
    uint32_t connections[PLACES];
    uint8_t address[PLACES][16];
};

struct nr_crowd {
    uint64_t key[2];
    struct bucket buckets[BUCKETS];
};

struct nr_crowd *nr_crowd_new(const uint64_t key[2])
{
    struct nr_crowd *crowd = calloc(1, sizeof(*crowd)); /* a lock of zeros is open */

    nr_assert(crowd != NULL);
    memcpy(crowd->key, key, sizeof(crowd->key));
    return crowd;
}

void nr_crowd_free(struct nr_crowd *crowd)
{
    free(crowd);
}

/* What stands for one client: its IPv4 address, or the network of its IPv6 one. */
static void client_of(const struct nr_addr *who, uint8_t ret_client[16])
{
    struct nr_addr network = nr_addr_network(who, 32, V6_CLIENT_BITS);

    memcpy(ret_client, network.ip, 16);
    if (network.family == NR_ADDR_V4)
        ret_client[15] = NR_ADDR_V4; /* no IPv6 network has anything there */
}

static struct bucket *bucket_of(struct nr_crowd *crowd, const uint8_t client[16])
{
    uint64_t hash = nr_siphash(crowd->key, (struct nr_span){(const char *)client, 16});

    return &crowd->buckets[hash & (BUCKETS - 1)];
}

/* The client's place, else a free one, else PLACES. */
static uint32_t place_of(const struct bucket *bucket, const uint8_t client[16])
{
    uint32_t place = PLACES;

    for (uint32_t i = 0; i < PLACES; i++) {
        if (bucket->connections[i] == 0)
            place = place == PLACES ? i : place;
        else if (memcmp(bucket->address[i], client, 16) == 0)
            return i;
    }
    return place;
}

static bool has_address(const struct nr_addr *who)
{
    return who->family == NR_ADDR_V4 || who->family == NR_ADDR_V6;
}

bool nr_crowd_enter(struct nr_crowd *crowd, const struct nr_addr *who, uint32_t max,
                    bool *ret_counted)
{
    uint8_t client[16];
    struct bucket *bucket;
    uint32_t place;
    bool full = false;

    *ret_counted = false;
    if (!has_address(who))
        return true;
    client_of(who, client);
    bucket = bucket_of(crowd, client);
    nr_spinlock_lock(&bucket->lock);
    place = place_of(bucket, client);
    if (place < PLACES) {
        full = bucket->connections[place] >= max;
        if (!full) {
            memcpy(bucket->address[place], client, 16);
            bucket->connections[place]++;
        }
        *ret_counted = !full;
    }
    nr_spinlock_unlock(&bucket->lock);
    return !full;
}

void nr_crowd_leave(struct nr_crowd *crowd, const struct nr_addr *who)
{
    uint8_t client[16];
    struct bucket *bucket;
    uint32_t place;

    client_of(who, client);
    bucket = bucket_of(crowd, client);
    nr_spinlock_lock(&bucket->lock);
    place = place_of(bucket, client);
    nr_assert(place < PLACES && bucket->connections[place] > 0);
    bucket->connections[place]--;
    nr_spinlock_unlock(&bucket->lock);
}
