/* SPDX-License-Identifier: Apache-2.0 */
/* siphash.h - SipHash (Aumasson & Bernstein 2012): 2-4 with 64 bits of result, 1-3 with 128.
 *
 * A keyed hash: who does not know the key can neither choose two texts that meet nor aim many
 * texts at one place of a table. For table keys that strangers write. The key is drawn once per
 * process through io; a fixed one belongs into tests and simulations only.
 *
 * 1-3, with one round a word and three at the end, takes half the time of 2-4. It is for tables
 * that nobody sees the hashes of, as in the hash tables of Rust and Python; a token that is shown
 * to a client is made with 2-4.
 *
 * Pure; the streaming form takes a text in any pieces, and the pieces do not show in the result,
 * so whoever hashes several fields puts their lengths in between. */
#ifndef NR_BASE_SIPHASH_H
#define NR_BASE_SIPHASH_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "base/copy.h"
#include "naru/span.h"

struct nr_hash128 {
    uint64_t lo;
    uint64_t hi;
};

/* SipHash-2-4, 64 bits of result: for tokens. */
uint64_t nr_siphash(const uint64_t key[2], struct nr_span text);

/* SipHash-1-3, 128 bits: no two texts meet, so the hash can stand for the text. */
struct nr_hash128 nr_siphash128(const uint64_t key[2], struct nr_span text);

/* The latter piece by piece. */
struct nr_siphash {
    uint64_t v[4];
    uint64_t tail;  /* bytes that do not fill a word yet, lowest first */
    uint64_t bytes; /* taken so far */
};

/* ---- inlined, so that the state of a short key stays in registers ---- */

static inline uint64_t nr_sip_rotate(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

/* Figure 2.1 of the paper. */
static inline __attribute__((always_inline)) void nr_sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = nr_sip_rotate(v[1], 13) ^ v[0];
    v[3] = nr_sip_rotate(v[3], 16) ^ v[2];
    v[0] = nr_sip_rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = nr_sip_rotate(v[1], 17) ^ v[2];
    v[3] = nr_sip_rotate(v[3], 21) ^ v[0];
    v[2] = nr_sip_rotate(v[2], 32);
}

static inline __attribute__((always_inline)) void nr_sip_compress(uint64_t v[4], uint64_t word,
                                                                  int rounds)
{
    v[3] ^= word;
    for (int i = 0; i < rounds; i++)
        nr_sip_round(v);
    v[0] ^= word;
}

static inline __attribute__((always_inline)) uint64_t nr_sip_finish(uint64_t v[4], int rounds)
{
    for (int i = 0; i < rounds; i++)
        nr_sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* "somepseudorandomlygeneratedbytes", as the paper puts it. */
static inline void nr_sip_start(uint64_t v[4], const uint64_t key[2])
{
    v[0] = key[0] ^ 0x736f6d6570736575u;
    v[1] = key[1] ^ 0x646f72616e646f6du;
    v[2] = key[0] ^ 0x6c7967656e657261u;
    v[3] = key[1] ^ 0x7465646279746573u;
}

static inline uint64_t nr_sip_word(const char *bytes)
{
    uint64_t word;

    memcpy(&word, bytes, sizeof(word));
    return le64toh(word);
}

static inline void nr_siphash_init(struct nr_siphash *hash, const uint64_t key[2])
{
    nr_sip_start(hash->v, key);
    hash->v[1] ^= 0xee;
    hash->tail = 0;
    hash->bytes = 0;
}

/* A whole word behind `held` bits of the tail. */
static inline __attribute__((always_inline)) void nr_sip_add_word(struct nr_siphash *hash,
                                                                  uint64_t word, unsigned held)
{
    nr_sip_compress(hash->v, hash->tail | word << held, 1);
    hash->tail = held > 0 ? word >> (64 - held) : 0;
}

static inline __attribute__((always_inline)) void nr_siphash_add(struct nr_siphash *hash,
                                                                 struct nr_span text)
{
    unsigned held = (unsigned)(hash->bytes % 8) * 8;
    size_t at = 0, left;
    uint64_t rest;

    if (text.len == 0)
        return;
    hash->bytes += text.len;
    for (; text.len - at >= 8; at += 8)
        nr_sip_add_word(hash, nr_sip_word(text.ptr + at), held);
    left = text.len - at;
    rest = nr_load_part(text.ptr + at, left);
    if (held + 8 * left < 64)
        hash->tail |= rest << held;
    else
        nr_sip_add_word(hash, rest, held); /* held > 0; what does not fit is the new tail */
}

static inline __attribute__((always_inline)) void nr_siphash_add_u64(struct nr_siphash *hash,
                                                                     uint64_t value)
{
    unsigned held = (unsigned)(hash->bytes % 8) * 8;

    hash->bytes += 8;
    nr_sip_add_word(hash, value, held);
}

static inline __attribute__((always_inline)) struct nr_hash128
nr_siphash_end(struct nr_siphash *hash)
{
    struct nr_hash128 result;

    nr_sip_compress(hash->v, hash->tail | hash->bytes << 56, 1);
    hash->v[2] ^= 0xee;
    result.lo = nr_sip_finish(hash->v, 3);
    hash->v[1] ^= 0xdd;
    result.hi = nr_sip_finish(hash->v, 3);
    return result;
}

#endif
