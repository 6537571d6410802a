/* SPDX-License-Identifier: Apache-2.0 */
/* Where does a head end? Only line ends are looked at here: they are found faster than
 * any loop over bytes could, and the parser sees every byte anyway. So a bare LF is
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

/* `*scanned` is the start of the first line whose end was not seen yet, or a place in it. */
static enum nr_h1_scan scan(struct nr_span bytes, uint32_t bytes_max, enum nr_h1_reason too_large,
                            uint32_t *scanned, uint32_t *ret_bytes, enum nr_h1_reason *ret_reason)
{
    size_t len = bytes.len < bytes_max ? bytes.len : bytes_max;
    const char *end = bytes.ptr + len;
    const char *at = bytes.ptr + *scanned;

    nr_assert(*scanned <= len);
    while (at < end) {
        const char *lf = nr_chars_find(at, end, '\n');
        ptrdiff_t before = lf - bytes.ptr;

        if (lf == end)
            break;
        if (before == 0 || lf[-1] != '\r') {
            *ret_reason = NR_H1_BARE_LF;
            return NR_H1_SCAN_BAD;
        }
        if (before == 1 || lf[-2] == '\n') {
            *ret_bytes = (uint32_t)before + 1;
            *scanned = *ret_bytes;
            return NR_H1_SCAN_DONE;
        }
        at = lf + 1;
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
