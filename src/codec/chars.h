/* SPDX-License-Identifier: Apache-2.0 */
/* chars.h - which byte may stand where, by table; and quick looks for one byte and for
 * control characters: 16 bytes at a time where the processor has SSE2, else one by one.
 *
 * Private to src/codec. */
#ifndef NR_CODEC_CHARS_H
#define NR_CODEC_CHARS_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum nr_char {
    NR_CHAR_TOKEN = 1, /* tchar: RFC 9110, 5.6.2 */
    NR_CHAR_PATH =
        2, /* pchar and '/', without '%' and '.', which need a second look: RFC 3986, 3.3 */
    NR_CHAR_QUERY = 4,      /* VCHAR without '#' and '%' */
    NR_CHAR_UNRESERVED = 8, /* RFC 3986, 2.3 */
    NR_CHAR_HOST = 16,  /* reg-name without escapes and without ',': see nr_uri_authority_valid */
    NR_CHAR_VALUE = 32, /* VCHAR, obs-text, SP, HTAB: RFC 9110, 5.5 */
};

extern const uint8_t nr_char_table[256];

static inline bool nr_char_is(char c, unsigned classes)
{
    return (nr_char_table[(uint8_t)c] & classes) != 0;
}

/* 0 to 15, or -1. */
static inline int nr_char_hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The first `c` in [at, end); end if there is none. Inlined, because in a head it is near: a call
 * of memchr costs more than the search. */
static inline const char *nr_chars_find(const char *at, const char *end, char c)
{
#ifdef __SSE2__
    const __m128i wanted = _mm_set1_epi8(c);

    for (; end - at >= 16; at += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        unsigned hits = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, wanted));

        if (hits != 0)
            return at + __builtin_ctz(hits);
    }
#endif
    while (at < end && *at != c)
        at++;
    return at;
}

/* The first control character (below SP, or DEL) from `at` on. One must be there before `end`:
 * a head ends in CRLF.
 *
 * Eight bytes at a time: a byte below 0x20 borrows when 0x20 is taken from it, which sets its
 * top bit; a byte with the top bit set already is obs-text and masked out. A borrow may
 * spill into the bytes above, so only the lowest hit is exact, and only that one is used. */
static inline const char *nr_chars_to_control(const char *at, const char *end)
{
    const uint64_t ones = 0x0101010101010101u;
#ifdef __SSE2__
    const __m128i below_space = _mm_set1_epi8(0x1f), del = _mm_set1_epi8(0x7f);

    for (; end - at >= 16; at += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i controls = _mm_cmpeq_epi8(_mm_min_epu8(bytes, below_space), bytes);
        unsigned hits =
            (unsigned)_mm_movemask_epi8(_mm_or_si128(controls, _mm_cmpeq_epi8(bytes, del)));

        if (hits != 0)
            return at + __builtin_ctz(hits);
    }
#endif
    for (; end - at >= 8; at += 8) {
        uint64_t word, not_del, hits;

        memcpy(&word, at, sizeof(word));
        word = le64toh(word);
        not_del = word ^ (ones * 0x7f);
        hits = (((word - ones * 0x20) & ~word) | ((not_del - ones) & ~not_del)) & (ones * 0x80);
        if (hits != 0)
            return at + (__builtin_ctzll(hits) >> 3);
    }
    while ((uint8_t)*at >= 0x20 && *at != 0x7f)
        at++;
    return at;
}

#endif
