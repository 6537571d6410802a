/* SPDX-License-Identifier: Apache-2.0 */
#include "config/text.h"

enum {
    WORD_BYTES_MAX = 64,
    QUOTE_BYTES_MAX = 48,
    TOO_FAR = 99,
};

/* Length of the UTF-8 character at p, 0 if it is none. Sets *ret_point. Overlong forms,
 * surrogates and what lies beyond U+10FFFF are refused: RFC 3629, section 4. */
static size_t utf8_char(const unsigned char *p, size_t room, uint32_t *ret_point)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = p[0] < 0x80       ? 1
                 : p[0] >> 5 == 6  ? 2
                 : p[0] >> 4 == 14 ? 3
                 : p[0] >> 3 == 30 ? 4
                                   : 0;
    uint32_t point;

    if (len == 0 || len > room)
        return 0;
    point = len == 1 ? p[0] : p[0] & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if (p[i] >> 6 != 2)
            return 0;
        point = point << 6 | (p[i] & 0x3fu);
    }
    if (point < least[len] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
        return 0;
    *ret_point = point;
    return len;
}

/* c-printable of YAML 1.1, section 5.1, which is what the parser beneath takes. */
static bool printable(uint32_t point)
{
    if (point < 0x20)
        return point == '\t' || point == '\n' || point == '\r';
    if (point < 0xa0)
        return point < 0x7f || point == 0x85;
    return point != 0xfeff && point != 0xfffe && point != 0xffff;
}

bool nr_text_sound(struct nr_span bytes, uint32_t *ret_line, uint32_t *ret_column,
                   const char **ret_what)
{
    uint32_t line = 1, column = 1, point = 0;

    for (size_t at = 0; at < bytes.len; column++) {
        size_t len = utf8_char((const unsigned char *)bytes.ptr + at, bytes.len - at, &point);

        if (len == 0 || !printable(point)) {
            *ret_line = line;
            *ret_column = column;
            *ret_what = len == 0 ? "not UTF-8" : "a control character";
            return false;
        }
        at += len;
        if (point == '\n') {
            line++;
            column = 0;
        }
    }
    return true;
}

bool nr_text_utf8(struct nr_span bytes)
{
    uint32_t point = 0;

    for (size_t at = 0; at < bytes.len;) {
        size_t len = utf8_char((const unsigned char *)bytes.ptr + at, bytes.len - at, &point);

        if (len == 0 || point == 0)
            return false;
        at += len;
    }
    return true;
}

static uint32_t least3(uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t ab = a < b ? a : b;

    return ab < c ? ab : c;
}

/* Optimal string alignment: three rows of the table are enough. */
static uint32_t distance(struct nr_span a, struct nr_span b)
{
    uint32_t rows[3][WORD_BYTES_MAX + 1];

    if (a.len > WORD_BYTES_MAX || b.len > WORD_BYTES_MAX)
        return TOO_FAR;
    for (uint32_t j = 0; j <= b.len; j++)
        rows[0][j] = j;
    for (uint32_t i = 1; i <= a.len; i++) {
        uint32_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];

        row[0] = i;
        for (uint32_t j = 1; j <= b.len; j++) {
            char x = nr_ascii_lower(a.ptr[i - 1]), y = nr_ascii_lower(b.ptr[j - 1]);

            row[j] = least3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == nr_ascii_lower(b.ptr[j - 2]) &&
                nr_ascii_lower(a.ptr[i - 2]) == y && above2[j - 2] + 1 < row[j])
                row[j] = above2[j - 2] + 1;
        }
    }
    return rows[a.len % 3][b.len];
}

void nr_suggest_init(struct nr_suggest *suggest, struct nr_span word)
{
    /* Few slips in short words: 'ip' is no misspelling of 'dns'. */
    *suggest = (struct nr_suggest){.word = word,
                                   .distance = (word.len >= 5   ? 2
                                                : word.len >= 3 ? 1
                                                                : 0) +
                                               1};
}

void nr_suggest_try(struct nr_suggest *suggest, struct nr_span candidate)
{
    uint32_t found = distance(suggest->word, candidate);

    if (found >= suggest->distance)
        return;
    suggest->distance = found;
    suggest->best = candidate;
}

const char *nr_suggest_text(const struct nr_suggest *suggest, struct nr_arena *arena)
{
    if (suggest->best.len == 0)
        return "";
    return nr_arena_printf(arena, ", did you mean '%.*s'?", (int)suggest->best.len,
                           suggest->best.ptr)
        .ptr;
}

const char *nr_text_quote(struct nr_span text, struct nr_arena *arena)
{
    char out[QUOTE_BYTES_MAX * 2 + 8];
    size_t len = text.len, to = 0;

    if (len > QUOTE_BYTES_MAX) {
        len = QUOTE_BYTES_MAX;
        while (len > 0 && ((unsigned char)text.ptr[len] >> 6) == 2)
            len--; /* never half a character */
    }
    out[to++] = '\'';
    for (size_t i = 0; i < len; i++) {
        char c = text.ptr[i];

        if (c == '\n' || c == '\r' || c == '\t') {
            out[to++] = '\\';
            c = c == '\n' ? 'n' : c == '\r' ? 'r' : 't';
        } else if ((unsigned char)c < 0x20 || c == 0x7f) {
            c = '?';
        }
        out[to++] = c;
    }
    if (len < text.len)
        for (int i = 0; i < 3; i++)
            out[to++] = '.';
    out[to++] = '\'';
    return nr_arena_dup(arena, (struct nr_span){out, to}).ptr;
}
