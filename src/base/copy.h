/* SPDX-License-Identifier: Apache-2.0 */
/* copy.h - memcpy for what is usually short, and digits.
 *
 * Heads are made of pieces of a few bytes. A call of memcpy costs more than the piece; two words
 * that overlap copy any length from one to two words without a loop. */
#ifndef NR_BASE_COPY_H
#define NR_BASE_COPY_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "naru/span.h"

/* Copy len bytes that do not overlap; from may be NULL when len is 0. Returns the end of the copy.
 */
static inline char *nr_copy(char *to, const char *from, size_t len)
{
    char first16[16], last16[16];
    uint64_t first8, last8;
    uint32_t first4, last4;
    uint16_t first2, last2;

    if (__builtin_constant_p(len) || len > 32) {
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

enum { NR_DECIMAL_BYTES = 20 }; /* of the largest number */

/* value in decimal; returns the end of the digits. */
static inline char *nr_copy_decimal(char *to, uint64_t value)
{
    unsigned count = 1;
    char *end;

    for (uint64_t limit = 10; count < NR_DECIMAL_BYTES && value >= limit; limit *= 10)
        count++;
    end = to + count;
    for (char *at = end; at > to; value /= 10)
        *--at = (char)('0' + value % 10);
    return end;
}

/* The same as a span in `room`, which has NR_DECIMAL_BYTES. */
static inline struct nr_span nr_decimal(char *room, uint64_t value)
{
    return (struct nr_span){room, (size_t)(nr_copy_decimal(room, value) - room)};
}

/* value as 16 lower-case hexadecimal digits; returns their end. Eight at a time: the nibbles are
 * spread over the bytes of a word, and one above 9 shows by carrying when 6 is added. */
static inline char *nr_copy_hex(char *to, uint64_t value)
{
    const uint64_t ones = 0x0101010101010101u;

    for (int half = 1; half >= 0; half--, to += 8) {
        uint64_t x = (uint32_t)(value >> (32 * half));

        x = (x | x << 16) & 0x0000ffff0000ffffu;
        x = (x | x << 8) & 0x00ff00ff00ff00ffu;
        x = (x | x << 4) & 0x0f0f0f0f0f0f0f0fu;
        x += ones * '0' + ((x + ones * 6) >> 4 & ones) * ('a' - '0' - 10);
        x = htobe64(x);
        memcpy(to, &x, 8);
    }
    return to;
}

#endif
