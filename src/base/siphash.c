/* SPDX-License-Identifier: Apache-2.0 */
#include "base/siphash.h"

/* SipHash-2-4, figure 2.2. */
uint64_t nr_siphash(const uint64_t key[2], struct nr_span text)
{
    uint64_t v[4];
    size_t at = 0;

    nr_sip_start(v, key);
    for (; text.len - at >= 8; at += 8)
        nr_sip_compress(v, nr_sip_word(text.ptr + at), 2);
    nr_sip_compress(v,
                    (uint64_t)text.len << 56 |
                        (text.len > at ? nr_load_part(text.ptr + at, text.len - at) : 0),
                    2);
    v[2] ^= 0xff;
    return nr_sip_finish(v, 4);
}

struct nr_hash128 nr_siphash128(const uint64_t key[2], struct nr_span text)
{
    struct nr_siphash hash;

    nr_siphash_init(&hash, key);
    nr_siphash_add(&hash, text);
    return nr_siphash_end(&hash);
}
