/* SPDX-License-Identifier: Apache-2.0 */
#include "base/siphash.h"

#include <endian.h>

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

static inline void compress(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    sip_round(v);
    v[0] ^= word;
}

static inline uint64_t finish(uint64_t v[4])
{
    for (int i = 0; i < 4; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* "somepseudorandomlygeneratedbytes", as the paper puts it. */
static void start(uint64_t v[4], const uint64_t key[2])
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

static inline uint64_t partial_word(const char *bytes, size_t count)
{
    uint64_t word = 0;

    for (size_t i = 0; i < count; i++)
        word |= (uint64_t)(unsigned char)bytes[i] << (8 * i);
    return word;
}

static void whole_text(uint64_t v[4], struct nr_span text)
{
    size_t at = 0;

    for (; text.len - at >= 8; at += 8)
        compress(v, word_at(text.ptr + at));
    compress(v, (uint64_t)text.len << 56 |
                    (text.len > at ? partial_word(text.ptr + at, text.len - at) : 0));
}

static struct nr_hash128 finish_128(uint64_t v[4])
{
    struct nr_hash128 result;

    v[2] ^= 0xee;
    result.lo = finish(v);
    v[1] ^= 0xdd;
    result.hi = finish(v);
    return result;
}

uint64_t nr_siphash(const uint64_t key[2], struct nr_span text)
{
    uint64_t v[4];

    start(v, key);
    whole_text(v, text);
    v[2] ^= 0xff;
    return finish(v);
}

struct nr_hash128 nr_siphash128(const uint64_t key[2], struct nr_span text)
{
    uint64_t v[4];

    start(v, key);
    v[1] ^= 0xee;
    whole_text(v, text);
    return finish_128(v);
}

void nr_siphash_init(struct nr_siphash *hash, const uint64_t key[2])
{
    start(hash->v, key);
    hash->v[1] ^= 0xee;
    hash->tail = 0;
    hash->bytes = 0;
}

void nr_siphash_add(struct nr_siphash *hash, struct nr_span text)
{
    size_t held = hash->bytes % 8;
    size_t at = 0;

    if (text.len == 0)
        return;
    hash->bytes += text.len;
    if (held > 0) {
        size_t room = 8 - held;

        at = text.len < room ? text.len : room;
        hash->tail |= partial_word(text.ptr, at) << (8 * held);
        if (at < room)
            return;
        compress(hash->v, hash->tail);
    }
    for (; text.len - at >= 8; at += 8)
        compress(hash->v, word_at(text.ptr + at));
    hash->tail = partial_word(text.ptr + at, text.len - at);
}

void nr_siphash_add_u64(struct nr_siphash *hash, uint64_t value)
{
    char bytes[8];

    value = htole64(value);
    memcpy(bytes, &value, sizeof(bytes));
    nr_siphash_add(hash, (struct nr_span){bytes, sizeof(bytes)});
}

struct nr_hash128 nr_siphash_end(struct nr_siphash *hash)
{
    compress(hash->v, hash->tail | hash->bytes << 56);
    return finish_128(hash->v);
}
