/* SPDX-License-Identifier: Apache-2.0 */
/* What a handler sees: the request, and the answer that it makes. On the handler's thread. */
#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/json_text.h"
#include "http/app.h"

/* ---- paths and parameters ---- */

static struct nr_span next_segment(struct nr_span *rest)
{
    const char *slash;
    struct nr_span segment;

    *rest = nr_span_from(*rest, 1); /* the slash in front */
    slash = memchr(rest->ptr, '/', rest->len);
    segment = (struct nr_span){rest->ptr, slash == NULL ? rest->len : (size_t)(slash - rest->ptr)};
    *rest = nr_span_from(*rest, segment.len);
    return segment;
}

static bool is_name(struct nr_span segment)
{
    return segment.len > 2 && segment.ptr[0] == '{' && segment.ptr[segment.len - 1] == '}';
}

bool nr_app_path_match(struct nr_span pattern, struct nr_span path, const char *name,
                       struct nr_span *ret_value)
{
    while (pattern.len > 0 && path.len > 0 && path.ptr[0] == '/') {
        struct nr_span want = next_segment(&pattern);
        struct nr_span have;

        if (nr_span_eq(want, NR_SPAN("*")) && pattern.len == 0)
            return true;
        have = next_segment(&path);
        if (is_name(want)) {
            struct nr_span called = {want.ptr + 1, want.len - 2};

            if (have.len == 0)
                return false;
            if (name != NULL && nr_span_eq(called, nr_span_of(name)))
                *ret_value = have;
        } else if (!nr_span_eq(want, have)) {
            return false;
        }
    }
    return pattern.len == 0 && path.len == 0;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = nr_ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

struct nr_span nr_app_decode(struct nr_arena *arena, struct nr_span text, bool plus)
{
    char *to = nr_arena_alloc(arena, text.len + 1);
    size_t len = 0;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (c == '%' && i + 2 < text.len && hex(text.ptr[i + 1]) >= 0 &&
            hex(text.ptr[i + 2]) >= 0) {
            c = (char)(hex(text.ptr[i + 1]) * 16 + hex(text.ptr[i + 2]));
            i += 2;
        } else if (plus && c == '+') {
            c = ' ';
        }
        to[len++] = c;
    }
    to[len] = '\0';
    return (struct nr_span){to, len};
}

struct nr_span nr_app_method(const struct nr_app_request *request)
{
    return nr_head_text(request->head, request->head->method_name);
}

struct nr_span nr_app_path(const struct nr_app_request *request)
{
    return nr_head_text(request->head, request->head->path);
}

struct nr_span nr_app_param(struct nr_app_request *request, const char *name)
{
    struct nr_span value = {NULL, 0};

    nr_app_path_match(request->route->path, nr_app_path(request), name, &value);
    return nr_app_decode(&request->memory, value, false);
}

struct nr_span nr_app_query(struct nr_app_request *request, const char *name)
{
    struct nr_span query = nr_head_text(request->head, request->head->query);

    while (query.len > 0) {
        const char *end = memchr(query.ptr, '&', query.len);
        struct nr_span pair = {query.ptr, end == NULL ? query.len : (size_t)(end - query.ptr)};
        const char *equals = memchr(pair.ptr, '=', pair.len);
        struct nr_span key = {pair.ptr, equals == NULL ? pair.len : (size_t)(equals - pair.ptr)};
        struct nr_span value = nr_span_from(pair, equals == NULL ? pair.len : key.len + 1);

        if (nr_span_eq(nr_app_decode(&request->memory, key, true), nr_span_of(name)))
            return nr_app_decode(&request->memory, value, true);
        query = nr_span_from(query, end == NULL ? query.len : pair.len + 1);
    }
    return (struct nr_span){NULL, 0};
}

struct nr_span nr_app_header(const struct nr_app_request *request, const char *name)
{
    const struct nr_field *field = nr_head_find_name(request->head, nr_span_of(name), NULL);

    return field == NULL ? (struct nr_span){NULL, 0} : nr_head_value(request->head, field);
}

struct nr_span nr_app_body(const struct nr_app_request *request)
{
    return (struct nr_span){request->body, request->body_len};
}

/* ---- the answer ---- */

void nr_app_status(struct nr_app_request *request, uint16_t status)
{
    nr_assert(status >= 200 && status <= 599);
    request->status = status;
}

/* Fields by which the server frames the message, or that it writes itself. */
static bool belongs_to_the_server(struct nr_span name)
{
    switch (nr_field_id_of(name)) {
    case NR_FIELD_CONNECTION:
    case NR_FIELD_CONTENT_LENGTH:
    case NR_FIELD_CONTENT_TYPE: /* nr_app_reply says it */
    case NR_FIELD_DATE:
    case NR_FIELD_KEEP_ALIVE:
    case NR_FIELD_TE:
    case NR_FIELD_TRAILER:
    case NR_FIELD_TRANSFER_ENCODING:
    case NR_FIELD_UPGRADE: return true;
    default: return false;
    }
}

enum nr_code nr_app_add_header(struct nr_app_request *request, const char *name,
                               struct nr_span value)
{
    struct nr_span span = nr_span_of(name);
    struct nr_app_field *field;

    if (!nr_field_name_valid(span) || !nr_field_value_valid(value) || belongs_to_the_server(span))
        return NR_EINVAL;
    field = nr_arena_alloc(&request->memory, sizeof(*field));
    *field = (struct nr_app_field){NULL, nr_arena_dup(&request->memory, span),
                                   nr_arena_dup(&request->memory, value)};
    *request->last_field = field;
    request->last_field = &field->next;
    return NR_OK;
}

void nr_app_reply(struct nr_app_request *request, const char *content_type, struct nr_span body)
{
    nr_assert(nr_field_value_valid(nr_span_of(content_type)));
    request->content_type = nr_arena_dup(&request->memory, nr_span_of(content_type));
    request->answer = nr_arena_dup(&request->memory, body);
}

void nr_app_reply_text(struct nr_app_request *request, struct nr_span text)
{
    nr_app_reply(request, "text/plain; charset=utf-8", text);
}

void nr_app_reply_json(struct nr_app_request *request, const char *json)
{
    nr_app_reply(request, "application/json", nr_span_of(json));
}

/* ---- memory ---- */

const char *nr_app_printf(struct nr_app_request *request, const char *format, ...)
{
    va_list args;
    char *text;
    int len;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    nr_assert(len >= 0);
    text = nr_arena_alloc(&request->memory, (size_t)len + 1);
    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return text;
}

const char *nr_app_quote(struct nr_app_request *request, struct nr_span text)
{
    size_t room = text.len * 6 + 3; /* a byte becomes at most \u00xx */
    char *bytes = nr_arena_alloc(&request->memory, room);
    struct nr_json_text to = {.at = bytes, .end = bytes + room - 1};

    nr_json_text_string(&to, text, text.len);
    *to.at = '\0';
    return bytes;
}
