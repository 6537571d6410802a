/* SPDX-License-Identifier: Apache-2.0 */
/* meter.h - what each key of a rate limit has used, by name, for whoever writes the bills.
 *
 * A limiter forgets keys that are idle, and never knows their names: a meter keeps both, for as
 * many keys as it was made for. Counters only grow, as long as the process lives; whoever reads
 * them takes differences. A key that finds all places of its set taken is counted with the rest, so
 * that the sum of all is right however many keys there are.
 *
 * Shared by all workers: a lock a set, held for a few instructions. Any thread. */
#ifndef NR_GATEWAY_METER_H
#define NR_GATEWAY_METER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/siphash.h"

enum nr_metered {
    NR_METERED_USED,    /* within the rate */
    NR_METERED_CHARGED, /* beyond it, and let pass for a charge */
    NR_METERED_REFUSED,
    NR_METERED_KINDS
};

enum { NR_METER_NAME_BYTES = 78 };

struct nr_metered_key {
    struct nr_hash128 key;
    uint64_t units[NR_METERED_KINDS];
    uint64_t since_ns; /* the first request, wall clock */
    uint8_t tier;      /* of the latest request */
    uint8_t name_len;  /* 0: the place is free */
    char name[NR_METER_NAME_BYTES];
};

_Static_assert(sizeof(struct nr_metered_key) == 128, "two cache lines a key");

struct nr_meter;

struct nr_meter *nr_meter_new(uint32_t keys);
struct nr_meter *nr_meter_ref(struct nr_meter *meter);
void nr_meter_unref(struct nr_meter *meter);          /* NULL is fine */
uint32_t nr_meter_keys(const struct nr_meter *meter); /* that it was made for */

/* False: a key that is not known yet; nothing is counted, and nr_meter_enter is due. */
bool nr_meter_count(struct nr_meter *meter, struct nr_hash128 key, uint8_t tier,
                    enum nr_metered what, uint32_t units);

/* The same with the key's name, which is copied, cut if need be, and not empty. */
void nr_meter_enter(struct nr_meter *meter, struct nr_hash128 key, struct nr_span name,
                    uint64_t now_ns, uint8_t tier, enum nr_metered what, uint32_t units);

/* Copy up to max keys, in no order; returns how many there are. *ret_rest: the sums of those that
 * had no place. */
uint32_t nr_meter_read(struct nr_meter *meter, struct nr_metered_key *to, uint32_t max,
                       uint64_t ret_rest[NR_METERED_KINDS]);

#endif
