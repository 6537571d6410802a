/* SPDX-License-Identifier: Apache-2.0 */
/* siphash.h - SipHash-2-4 with 64 and 128 bits of result (Aumasson & Bernstein 2012).
 *
 * A keyed hash: who does not know the key can neither choose two texts that meet nor aim many
 * texts at one place of a table. For table keys that strangers write. The key is drawn once per
 * process through io; a fixed one belongs into tests and simulations only.
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

/* 64 bits of result: for tables that are checked by the whole text too, and for tokens. */
uint64_t nr_siphash(const uint64_t key[2], struct nr_span text);

/* 128 bits: no two texts meet, so the hash can stand for the text. */
struct nr_hash128 nr_siphash128(const uint64_t key[2], struct nr_span text);

/* 128 bits of result, piece by piece. */
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
