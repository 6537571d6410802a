/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"

#include "base/assert.h"

static uint64_t splitmix64(uint64_t *x)
{
    uint64_t z = (*x += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t rotate_left(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

void nr_random_init(struct nr_random *random, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        random->state[i] = splitmix64(&seed);
}

uint64_t nr_random_u64(struct nr_random *random)
{
    uint64_t *s = random->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

/* Multiply-shift (Lemire 2019): the bias is below bound / 2^64, which no
 * balancer or jitter can notice. */
uint64_t nr_random_below(struct nr_random *random, uint64_t bound)
{
    nr_assert(bound > 0);
    return (uint64_t)(((unsigned __int128)nr_random_u64(random) * bound) >> 64);
}

double nr_random_unit(struct nr_random *random)
{
    return (double)(nr_random_u64(random) >> 11) * 0x1.0p-53;
}
