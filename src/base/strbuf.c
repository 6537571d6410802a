/* SPDX-License-Identifier: Apache-2.0 */
#include "base/strbuf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/copy.h"

enum { FIRST_BYTES = 256 };

static void make_room(struct nr_strbuf *buf, size_t more)
{
    size_t cap = buf->cap > 0 ? buf->cap : FIRST_BYTES;

    if (buf->cap - buf->len > more) /* one byte stays for the NUL */
        return;
    while (cap - buf->len <= more)
        cap *= 2;
    buf->ptr = realloc(buf->ptr, cap);
    nr_assert(buf->ptr != NULL);
    buf->cap = cap;
}

void nr_strbuf_add(struct nr_strbuf *buf, struct nr_span text)
{
    make_room(buf, text.len);
    if (text.len > 0)
        memcpy(buf->ptr + buf->len, text.ptr, text.len);
    buf->len += text.len;
    buf->ptr[buf->len] = '\0';
}

void nr_strbuf_add_u64(struct nr_strbuf *buf, uint64_t value)
{
    char digits[NR_DECIMAL_BYTES];

    nr_strbuf_add(buf, nr_decimal(digits, value));
}

void nr_strbuf_printf(struct nr_strbuf *buf, const char *format, ...)
{
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    nr_assert(len >= 0);
    make_room(buf, (size_t)len);
    va_start(args, format);
    vsnprintf(buf->ptr + buf->len, (size_t)len + 1, format, args);
    va_end(args);
    buf->len += (size_t)len;
}

char *nr_strbuf_take(struct nr_strbuf *buf, size_t *ret_len)
{
    char *bytes;

    make_room(buf, 0);
    buf->ptr[buf->len] = '\0';
    bytes = buf->ptr;
    if (ret_len != NULL)
        *ret_len = buf->len;
    *buf = (struct nr_strbuf){0};
    return bytes;
}

void nr_strbuf_done(struct nr_strbuf *buf)
{
    free(buf->ptr);
    *buf = (struct nr_strbuf){0};
}
