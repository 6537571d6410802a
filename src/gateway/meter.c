/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/meter.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/spinlock.h"
#include "io/pages.h"

enum { PLACES = 16 }; /* of a set */

struct set {
    struct nr_spinlock lock;
    uint64_t rest[NR_METERED_KINDS];
    struct nr_metered_key keys[PLACES];
};

struct nr_meter {
    _Atomic uint32_t refs;
    uint32_t keys;
    uint32_t set_count; /* a power of two */
    size_t bytes;
    struct set *sets;
};

/* Room for a quarter more than asked for: sets do not fill evenly. */
static uint32_t sets_for(uint32_t keys)
{
    uint64_t sets = 1;

    while (sets * PLACES < (uint64_t)keys + keys / 4)
        sets *= 2;
    return (uint32_t)sets;
}

struct nr_meter *nr_meter_new(uint32_t keys)
{
    struct nr_meter *meter = calloc(1, sizeof(*meter));

    nr_assert(meter != NULL && keys > 0);
    atomic_init(&meter->refs, 1);
    meter->keys = keys;
    meter->set_count = sets_for(keys);
    meter->bytes = meter->set_count * sizeof(struct set);
    meter->sets = nr_pages_new(meter->bytes); /* a lock of zeros is open */
    return meter;
}

struct nr_meter *nr_meter_ref(struct nr_meter *meter)
{
    atomic_fetch_add_explicit(&meter->refs, 1, memory_order_relaxed);
    return meter;
}

void nr_meter_unref(struct nr_meter *meter)
{
    if (meter == NULL || atomic_fetch_sub_explicit(&meter->refs, 1, memory_order_acq_rel) != 1)
        return;
    nr_pages_free(meter->sets, meter->bytes);
    free(meter);
}

uint32_t nr_meter_keys(const struct nr_meter *meter)
{
    return meter->keys;
}

/* Taken from other bits than the limiter's table takes. */
static struct set *set_of(const struct nr_meter *meter, struct nr_hash128 key)
{
    return &meter->sets[key.hi & (meter->set_count - 1)];
}

static bool is_free(const struct nr_metered_key *place)
{
    return place->name_len == 0;
}

/* The key's place, else the first free one, else NULL. Places are never given back, so behind a
 * free one there is nothing. */
static struct nr_metered_key *place_of(struct set *set, struct nr_hash128 key)
{
    for (int i = 0; i < PLACES; i++) {
        struct nr_metered_key *place = &set->keys[i];

        if (is_free(place) || (place->key.lo == key.lo && place->key.hi == key.hi))
            return place;
    }
    return NULL;
}

bool nr_meter_count(struct nr_meter *meter, struct nr_hash128 key, uint8_t tier,
                    enum nr_metered what, uint32_t units)
{
    struct set *set = set_of(meter, key);
    struct nr_metered_key *place;
    bool known;

    nr_spinlock_lock(&set->lock);
    place = place_of(set, key);
    known = place == NULL || !is_free(place);
    if (place == NULL) {
        set->rest[what] += units;
    } else if (known) {
        place->units[what] += units;
        place->tier = tier;
    }
    nr_spinlock_unlock(&set->lock);
    return known;
}

void nr_meter_enter(struct nr_meter *meter, struct nr_hash128 key, struct nr_span name,
                    uint64_t now_ns, uint8_t tier, enum nr_metered what, uint32_t units)
{
    struct set *set = set_of(meter, key);
    struct nr_metered_key *place;

    nr_assert(name.len > 0);
    nr_spinlock_lock(&set->lock);
    place = place_of(set, key);
    if (place == NULL) {
        set->rest[what] += units;
    } else {
        if (is_free(place)) { /* else another worker was faster */
            place->key = key;
            place->since_ns = now_ns;
            place->name_len =
                (uint8_t)(name.len < sizeof(place->name) ? name.len : sizeof(place->name));
            memcpy(place->name, name.ptr, place->name_len);
        }
        place->units[what] += units;
        place->tier = tier;
    }
    nr_spinlock_unlock(&set->lock);
}

uint32_t nr_meter_read(struct nr_meter *meter, struct nr_metered_key *to, uint32_t max,
                       uint64_t ret_rest[NR_METERED_KINDS])
{
    uint32_t count = 0;

    memset(ret_rest, 0, NR_METERED_KINDS * sizeof(*ret_rest));
    for (uint32_t i = 0; i < meter->set_count; i++) {
        struct set *set = &meter->sets[i];

        nr_spinlock_lock(&set->lock);
        for (int k = 0; k < NR_METERED_KINDS; k++)
            ret_rest[k] += set->rest[k];
        for (int k = 0; k < PLACES && !is_free(&set->keys[k]); k++) {
            if (count < max)
                to[count] = set->keys[k];
            count++;
        }
        nr_spinlock_unlock(&set->lock);
    }
    return count;
}
