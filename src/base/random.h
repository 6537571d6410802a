/* SPDX-License-Identifier: Apache-2.0 */
/* random.h - seeded random numbers (xoshiro256**, Blackman & Vigna 2018).
 *
 * Deterministic by seed, for jitter, balancing and simulation. Never for
 * secrets: those come from the operating system through io. */
#ifndef NR_BASE_RANDOM_H
#define NR_BASE_RANDOM_H

#include <stdint.h>

struct nr_random {
    uint64_t state[4];
};

/* Any seed is good, 0 too: splitmix64 spreads it over the state. */
void nr_random_init(struct nr_random *random, uint64_t seed);

uint64_t nr_random_u64(struct nr_random *random);

/* Uniform in [0, bound); bound > 0. */
uint64_t nr_random_below(struct nr_random *random, uint64_t bound);

/* Uniform in [0, 1), 53 bits. */
double nr_random_unit(struct nr_random *random);

#endif
