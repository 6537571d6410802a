/* SPDX-License-Identifier: Apache-2.0 */
#include "base/siphash.h"

#include <endian.h>
#include <string.h>

#include "base/copy.h"

static uint64_t rotate_left(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

/* Figure 2.1 of the paper. */
static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate_left(v[1], 13) ^ v[0];
    v[3] = rotate_left(v[3], 16) ^ v[2];
    v[0] = rotate_left(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate_left(v[1], 17) ^ v[2];
    v[3] = rotate_left(v[3], 21) ^ v[0];
    v[2] = rotate_left(v[2], 32);
}

static inline void compress(uint64_t v[4], uint64_t word, int rounds)
{
    v[3] ^= word;
    for (int i = 0; i < rounds; i++)
        sip_round(v);
    v[0] ^= word;
}

static inline uint64_t finish(uint64_t v[4], int rounds)
{
    for (int i = 0; i < rounds; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* "somepseudorandomlygeneratedbytes", as the paper puts it. */
static inline void start(uint64_t v[4], const uint64_t key[2])
{
    v[0] = key[0] ^ 0x736f6d6570736575u;
    v[1] = key[1] ^ 0x646f72616e646f6du;
    v[2] = key[0] ^ 0x6c7967656e657261u;
    v[3] = key[1] ^ 0x7465646279746573u;
}

static inline uint64_t word_at(const char *bytes)
{
    uint64_t word;

    memcpy(&word, bytes, sizeof(word));
    return le64toh(word);
}

/* SipHash-2-4, figure 2.2. */
uint64_t nr_siphash(const uint64_t key[2], struct nr_span text)
{
    uint64_t v[4];
    size_t at = 0;

    start(v, key);
    for (; text.len - at >= 8; at += 8)
        compress(v, word_at(text.ptr + at), 2);
    compress(v,
             (uint64_t)text.len << 56 |
                 (text.len > at ? nr_load_part(text.ptr + at, text.len - at) : 0),
             2);
    v[2] ^= 0xff;
    return finish(v, 4);
}

struct nr_hash128 nr_siphash128(const uint64_t key[2], struct nr_span text)
{
    struct nr_siphash hash;

    nr_siphash_init(&hash, key);
    nr_siphash_add(&hash, text);
    return nr_siphash_end(&hash);
}

void nr_siphash_init(struct nr_siphash *hash, const uint64_t key[2])
{
    start(hash->v, key);
    hash->v[1] ^= 0xee;
    hash->tail = 0;
    hash->bytes = 0;
}

/* A whole word behind `held` bits of the tail. */
static inline void add_word(struct nr_siphash *hash, uint64_t word, unsigned held)
{
    compress(hash->v, hash->tail | word << held, 1);
    hash->tail = held > 0 ? word >> (64 - held) : 0;
}

void nr_siphash_add(struct nr_siphash *hash, struct nr_span text)
{
    unsigned held = (unsigned)(hash->bytes % 8) * 8;
    size_t at = 0, left;
    uint64_t rest;

    if (text.len == 0)
        return;
    hash->bytes += text.len;
    for (; text.len - at >= 8; at += 8)
        add_word(hash, word_at(text.ptr + at), held);
    left = text.len - at;
    rest = nr_load_part(text.ptr + at, left);
    if (held + 8 * left < 64)
        hash->tail |= rest << held;
    else
        add_word(hash, rest, held); /* held > 0; what does not fit is the new tail */
}

void nr_siphash_add_u64(struct nr_siphash *hash, uint64_t value)
{
    unsigned held = (unsigned)(hash->bytes % 8) * 8;

    hash->bytes += 8;
    add_word(hash, value, held);
}

struct nr_hash128 nr_siphash_end(struct nr_siphash *hash)
{
    struct nr_hash128 result;

    compress(hash->v, hash->tail | hash->bytes << 56, 1);
    hash->v[2] ^= 0xee;
    result.lo = finish(hash->v, 3);
    hash->v[1] ^= 0xdd;
    result.hi = finish(hash->v, 3);
    return result;
}
