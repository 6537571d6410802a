/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/pairs.h"

#include "codec/chars.h"

static bool next_pair(struct nr_span *rest, char separator, struct nr_pair *ret_pair)
{
    while (rest->len > 0) {
        const char *end = memchr(rest->ptr, separator, rest->len);
        size_t len = end == NULL ? rest->len : (size_t)(end - rest->ptr);
        struct nr_span all = {rest->ptr, len};
        const char *equals = memchr(all.ptr, '=', len);

        *rest = nr_span_from(*rest, end == NULL ? len : len + 1);
        if (separator == ';')
            all = nr_span_trim(all);
        if (all.len == 0)
            continue;
        *ret_pair = (struct nr_pair){.name = all, .has_value = equals != NULL};
        if (equals != NULL) {
            ret_pair->name.len = (size_t)(equals - all.ptr);
            ret_pair->value = nr_span_from(all, ret_pair->name.len + 1);
        }
        return true;
    }
    return false;
}

bool nr_query_next(struct nr_span *rest, struct nr_pair *ret_pair)
{
    return next_pair(rest, '&', ret_pair);
}

bool nr_cookie_next(struct nr_span *rest, struct nr_pair *ret_pair)
{
    return next_pair(rest, ';', ret_pair);
}

/* One decoded character off the front of *text, which is not empty. plus: what a '+' stands for. */
static char take_as(struct nr_span *text, char plus)
{
    char c = text->ptr[0];

    if (c == '%' && text->len >= 3 && nr_char_hex(text->ptr[1]) >= 0 &&
        nr_char_hex(text->ptr[2]) >= 0) {
        c = (char)(nr_char_hex(text->ptr[1]) << 4 | nr_char_hex(text->ptr[2]));
        *text = nr_span_from(*text, 3);
        return c;
    }
    *text = nr_span_from(*text, 1);
    return c == '+' ? plus : c;
}

static char take_char(struct nr_span *text)
{
    return take_as(text, ' ');
}

bool nr_query_text_starts_with(struct nr_span escaped, struct nr_span plain)
{
    for (size_t i = 0; i < plain.len; i++)
        if (escaped.len == 0 || take_char(&escaped) != plain.ptr[i])
            return false;
    return true;
}

bool nr_query_text_eq(struct nr_span escaped, struct nr_span plain)
{
    for (size_t i = 0; i < plain.len; i++)
        if (escaped.len == 0 || take_char(&escaped) != plain.ptr[i])
            return false;
    return escaped.len == 0;
}

bool nr_query_find(struct nr_span *rest, struct nr_span name, struct nr_pair *ret_pair)
{
    while (nr_query_next(rest, ret_pair))
        if (nr_query_text_eq(ret_pair->name, name))
            return true;
    return false;
}

struct nr_span nr_cookie_get(const struct nr_head *head, struct nr_span name)
{
    const struct nr_field *field = NULL;
    struct nr_pair pair;

    while ((field = nr_head_find(head, NR_FIELD_COOKIE, field)) != NULL) {
        struct nr_span rest = nr_head_value(head, field);

        while (nr_cookie_next(&rest, &pair))
            if (pair.has_value && nr_span_eq(pair.name, name))
                return pair.value;
    }
    return (struct nr_span){NULL, 0};
}

size_t nr_query_decode(struct nr_span escaped, char *to)
{
    size_t len = 0;

    while (escaped.len > 0)
        to[len++] = take_char(&escaped);
    return len;
}

size_t nr_percent_decode(struct nr_span escaped, char *to)
{
    size_t len = 0;

    while (escaped.len > 0)
        to[len++] = take_as(&escaped, '+');
    return len;
}

struct nr_span nr_percent_encode(struct nr_span plain, struct nr_arena *arena)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t escapes = 0, len = 0;
    char *to;

    for (size_t i = 0; i < plain.len; i++)
        escapes += !nr_char_is(plain.ptr[i], NR_CHAR_UNRESERVED);
    if (escapes == 0)
        return plain;
    to = nr_arena_alloc(arena, plain.len + 2 * escapes);
    for (size_t i = 0; i < plain.len; i++) {
        unsigned char c = (unsigned char)plain.ptr[i];

        if (nr_char_is((char)c, NR_CHAR_UNRESERVED)) {
            to[len++] = (char)c;
            continue;
        }
        to[len++] = '%';
        to[len++] = digits[c >> 4];
        to[len++] = digits[c & 15];
    }
    return (struct nr_span){to, len};
}
