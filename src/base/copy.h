/* SPDX-License-Identifier: Apache-2.0 */
/* copy.h - memcpy and loads for what is usually short, and digits.
 *
 * Heads are made of pieces of a few bytes. A call of memcpy costs more than the piece; two words
 * that overlap copy any length from one to two words without a loop. */
#ifndef NR_BASE_COPY_H
#define NR_BASE_COPY_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "naru/span.h"

/* Copy len bytes that do not overlap; from may be NULL when len is 0. Returns the end of the copy.
 */
static inline char *nr_copy(char *to, const char *from, size_t len)
{
    char first16[16], last16[16];
    uint64_t first8, last8;
    uint32_t first4, last4;
    uint16_t first2, last2;

    if (len > 32 || (__builtin_constant_p(len) && len > 0)) {
        memcpy(to, from, len);
    } else if (len >= 16) {
        memcpy(first16, from, 16);
        memcpy(last16, from + len - 16, 16);
        memcpy(to, first16, 16);
        memcpy(to + len - 16, last16, 16);
    } else if (len >= 8) {
        memcpy(&first8, from, 8);
        memcpy(&last8, from + len - 8, 8);
        memcpy(to, &first8, 8);
        memcpy(to + len - 8, &last8, 8);
    } else if (len >= 4) {
        memcpy(&first4, from, 4);
        memcpy(&last4, from + len - 4, 4);
        memcpy(to, &first4, 4);
        memcpy(to + len - 4, &last4, 4);
    } else if (len >= 2) {
        memcpy(&first2, from, 2);
        memcpy(&last2, from + len - 2, 2);
        memcpy(to, &first2, 2);
        memcpy(to + len - 2, &last2, 2);
    } else if (len == 1) {
        *to = *from;
    }
    return to + len;
}

/* Up to seven bytes as a word, the first one lowest: two pieces that overlap. */
static inline uint64_t nr_load_part(const char *from, size_t len)
{
    uint32_t first4, last4;
    uint16_t first2;

    if (len >= 4) {
        memcpy(&first4, from, 4);
        memcpy(&last4, from + len - 4, 4);
        return (uint64_t)le32toh(first4) | (uint64_t)le32toh(last4) << (8 * (len - 4));
    }
    if (len >= 2) {
        memcpy(&first2, from, 2);
        return (uint64_t)le16toh(first2) | (uint64_t)(unsigned char)from[len - 1]
                                               << (8 * (len - 1));
    }
    return len == 1 ? (unsigned char)from[0] : 0;
}

enum { NR_DECIMAL_BYTES = 20 }; /* of the largest number */

/* How many digits the number has: by its bits, which may be one too many. */
static inline unsigned nr_decimal_digits(uint64_t value)
{
    static const uint64_t least[NR_DECIMAL_BYTES] = {
        0,
        10,
        100,
        1000,
        10000,
        100000,
        1000000,
        10000000,
        100000000,
        1000000000,
        10000000000,
        100000000000,
        1000000000000,
        10000000000000,
        100000000000000,
        1000000000000000,
        10000000000000000,
        100000000000000000,
        1000000000000000000,
        10000000000000000000u,
    };
    unsigned bits = 64 - (unsigned)__builtin_clzll(value | 1);
    unsigned digits = (bits * 1233) >> 12; /* log10(2) is 1233/4096 */

    return digits + (value >= least[digits]);
}

/* value in decimal; returns the end of the digits. */
static inline char *nr_copy_decimal(char *to, uint64_t value)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    char *end, *at;

    if (value < 10) {
        *to = (char)('0' + value);
        return to + 1;
    }
    at = end = to + nr_decimal_digits(value);
    for (; value >= 100; value /= 100)
        memcpy(at -= 2, pairs + value % 100 * 2, 2);
    if (value >= 10)
        memcpy(at - 2, pairs + value * 2, 2);
    else
        at[-1] = (char)('0' + value);
    return end;
}

/* The same as a span in `room`, which has NR_DECIMAL_BYTES. */
static inline struct nr_span nr_decimal(char *room, uint64_t value)
{
    size_t len = (size_t)(nr_copy_decimal(room, value) - room);

    if (len > NR_DECIMAL_BYTES)
        __builtin_unreachable(); /* tells the compiler that the room is large enough */
    return (struct nr_span){room, len};
}

/* value as 16 lower-case hexadecimal digits; returns their end. All at a time where the processor
 * has SSE2: each byte is split into its nibbles, and to those above 9 is added what is between '9'
 * and 'a'. */
static inline char *nr_copy_hex(char *to, uint64_t value)
{
#ifdef __SSE2__
    const __m128i low = _mm_set1_epi8(15), nine = _mm_set1_epi8(9), zero = _mm_set1_epi8('0');
    const __m128i to_letters = _mm_set1_epi8('a' - '0' - 10);
    const uint64_t in_order = htobe64(value);
    __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)&in_order);
    __m128i nibbles =
        _mm_unpacklo_epi8(_mm_and_si128(_mm_srli_epi16(bytes, 4), low), _mm_and_si128(bytes, low));
    __m128i letters = _mm_and_si128(_mm_cmpgt_epi8(nibbles, nine), to_letters);

    _mm_storeu_si128((__m128i *)(void *)to, _mm_add_epi8(_mm_add_epi8(nibbles, zero), letters));
#else
    for (int i = 0; i < 16; i++)
        to[i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
#endif
    return to + 16;
}

#endif
