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

#include <stdint.h>

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

void nr_siphash_init(struct nr_siphash *hash, const uint64_t key[2]);
void nr_siphash_add(struct nr_siphash *hash, struct nr_span text);
void nr_siphash_add_u64(struct nr_siphash *hash, uint64_t value);
struct nr_hash128 nr_siphash_end(struct nr_siphash *hash);

#endif
