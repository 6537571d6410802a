/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/chars.h"

/* Classes that hold together, so that each byte is listed once. */
#define ANY    (NR_CHAR_QUERY | NR_CHAR_VALUE)                           /* any VCHAR but # and % */
#define SUB    (ANY | NR_CHAR_PATH | NR_CHAR_HOST)                       /* sub-delims */
#define NAME   (ANY | NR_CHAR_TOKEN | NR_CHAR_UNRESERVED | NR_CHAR_HOST) /* unreserved */
#define LETTER (NAME | NR_CHAR_PATH)

/* clang-format off */
const uint8_t nr_char_table[256] = {
    ['\t'] = NR_CHAR_VALUE,
    [' ']  = NR_CHAR_VALUE,
    ['!']  = SUB | NR_CHAR_TOKEN,
    ['"']  = ANY,
    ['#']  = NR_CHAR_VALUE | NR_CHAR_TOKEN,
    ['$']  = SUB | NR_CHAR_TOKEN,
    ['%']  = NR_CHAR_VALUE | NR_CHAR_TOKEN,
    ['&']  = SUB | NR_CHAR_TOKEN,
    ['\''] = SUB | NR_CHAR_TOKEN,
    ['(']  = SUB,
    [')']  = SUB,
    ['*']  = SUB | NR_CHAR_TOKEN,
    ['+']  = SUB | NR_CHAR_TOKEN,
    [',']  = ANY | NR_CHAR_PATH,
    ['-']  = LETTER,
    ['.']  = NAME,
    ['/']  = ANY | NR_CHAR_PATH,
    ['0' ... '9'] = LETTER,
    [':']  = ANY | NR_CHAR_PATH,
    [';']  = SUB,
    ['<']  = ANY,
    ['=']  = SUB,
    ['>']  = ANY,
    ['?']  = ANY,
    ['@']  = ANY | NR_CHAR_PATH,
    ['A' ... 'Z'] = LETTER,
    ['[']  = ANY,
    ['\\'] = ANY,
    [']']  = ANY,
    ['^']  = ANY | NR_CHAR_TOKEN,
    ['_']  = LETTER,
    ['`']  = ANY | NR_CHAR_TOKEN,
    ['a' ... 'z'] = LETTER,
    ['{']  = ANY,
    ['|']  = ANY | NR_CHAR_TOKEN,
    ['}']  = ANY,
    ['~']  = LETTER,
    [0x80 ... 0xff] = NR_CHAR_VALUE,
};
/* clang-format on */
