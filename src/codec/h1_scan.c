/* SPDX-License-Identifier: Apache-2.0 */
/* Where does a head end? Only line ends are looked at here, 16 bytes at a time where the
 * processor has SSE2: the parser sees every byte anyway. So a bare LF is
 * found here, as soon as it arrives, and a bare CR by the parser. For a complete head the
 * answer is the same whatever pieces it came in: the first bare LF before the end of the head
 * or the limit, else the end, else the limit. */
#include "codec/h1.h"

#include "base/assert.h"
#include "codec/chars.h"

const struct nr_h1_limits nr_h1_limits_default = {
    .head_bytes_max = 32 * 1024,
    .target_bytes_max = 8 * 1024,
    .fields_max = 100,
    .trailer_bytes_max = 8 * 1024,
};

/* The first LF in [at, end) that does more than end a line: one without its CR, or behind another
 * line's end and a CR. end if there is none. Nothing before `start` is looked at. */
static const char *telling_lf(const char *start, const char *at, const char *end)
{
    for (; at < end && at - start < 2; at++)
        if (*at == '\n')
            return at;
#ifdef __SSE2__
    const __m128i cr = _mm_set1_epi8('\r'), lf = _mm_set1_epi8('\n');

    for (; end - at >= 16; at += 16) {
        const __m128i *here = (const __m128i *)(const void *)at;
        const __m128i *one_before = (const __m128i *)(const void *)(at - 1);
        const __m128i *two_before = (const __m128i *)(const void *)(at - 2);
        __m128i ends = _mm_cmpeq_epi8(_mm_loadu_si128(here), lf);
        __m128i after_cr = _mm_cmpeq_epi8(_mm_loadu_si128(one_before), cr);
        __m128i plain = _mm_andnot_si128(_mm_cmpeq_epi8(_mm_loadu_si128(two_before), lf), after_cr);
        unsigned hits = (unsigned)_mm_movemask_epi8(_mm_andnot_si128(plain, ends));

        if (hits != 0)
            return at + __builtin_ctz(hits);
    }
#endif
    for (; at < end; at++)
        if (*at == '\n' && (at[-1] != '\r' || at[-2] == '\n'))
            return at;
    return end;
}

/* `*scanned` bytes have been looked at and were no end. */
static enum nr_h1_scan scan(struct nr_span bytes, uint32_t bytes_max, enum nr_h1_reason too_large,
                            uint32_t *scanned, uint32_t *ret_bytes, enum nr_h1_reason *ret_reason)
{
    size_t len = bytes.len < bytes_max ? bytes.len : bytes_max, at;

    nr_assert(*scanned <= len);
    at = (size_t)(telling_lf(bytes.ptr, bytes.ptr + *scanned, bytes.ptr + len) - bytes.ptr);
    if (at < len) {
        if (at == 0 || bytes.ptr[at - 1] != '\r') {
            *ret_reason = NR_H1_BARE_LF;
            return NR_H1_SCAN_BAD;
        }
        *ret_bytes = (uint32_t)at + 1;
        *scanned = *ret_bytes;
        return NR_H1_SCAN_DONE;
    }
    *scanned = (uint32_t)len;
    if (len == bytes_max) {
        *ret_reason = too_large;
        return NR_H1_SCAN_BAD;
    }
    return NR_H1_SCAN_MORE;
}

enum nr_h1_scan nr_h1_scan_head(struct nr_span bytes, const struct nr_h1_limits *limits,
                                uint32_t *scanned, uint32_t *ret_head_bytes,
                                enum nr_h1_reason *ret_reason)
{
    return scan(bytes, limits->head_bytes_max, NR_H1_HEAD_TOO_LARGE, scanned, ret_head_bytes,
                ret_reason);
}

enum nr_h1_scan nr_h1_scan_trailers(struct nr_span bytes, const struct nr_h1_limits *limits,
                                    uint32_t *scanned, uint32_t *ret_bytes,
                                    enum nr_h1_reason *ret_reason)
{
    return scan(bytes, limits->trailer_bytes_max, NR_H1_TRAILERS_TOO_LARGE, scanned, ret_bytes,
                ret_reason);
}
