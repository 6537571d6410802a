/* SPDX-License-Identifier: Apache-2.0 */
/* json.c - jansson behind names of ours. struct nr_json is json_t: nothing is wrapped. */
#include "base/json.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "base/assert.h"

static struct nr_json *made(json_t *json)
{
    nr_assert(json != NULL); /* only when memory is out */
    return (struct nr_json *)json;
}

static json_t *inner(struct nr_json *json)
{
    return (json_t *)json;
}

static const json_t *peek(const struct nr_json *json)
{
    return (const json_t *)json;
}

struct nr_json *nr_json_object(void)
{
    return made(json_object());
}

struct nr_json *nr_json_array(void)
{
    return made(json_array());
}

struct nr_json *nr_json_null(void)
{
    return made(json_null());
}

struct nr_json *nr_json_bool(bool value)
{
    return made(json_boolean(value));
}

struct nr_json *nr_json_integer(int64_t value)
{
    return made(json_integer(value));
}

struct nr_json *nr_json_real(double value)
{
    return made(isfinite(value) ? json_real(value) : json_null());
}

/* Every byte above ASCII becomes U+FFFD. Only for text that is known to be broken. */
static struct nr_json *mended(struct nr_span text)
{
    char *out = malloc(text.len * 3 + 1);
    size_t to = 0;
    json_t *json;

    nr_assert(out != NULL);
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < 0x80) {
            out[to++] = text.ptr[i];
            continue;
        }
        memcpy(out + to, "\xef\xbf\xbd", 3);
        to += 3;
    }
    json = json_stringn(out, to);
    free(out);
    return made(json);
}

struct nr_json *nr_json_string(struct nr_span text)
{
    json_t *json = json_stringn(text.len == 0 ? "" : text.ptr, text.len);

    return json != NULL ? made(json) : mended(text);
}

void nr_json_set(struct nr_json *object, const char *key, struct nr_json *value)
{
    /* Fails for a key that is not UTF-8; the value is released all the same. */
    (void)json_object_set_new(inner(object), key, inner(value));
}

void nr_json_push(struct nr_json *array, struct nr_json *value)
{
    int result = json_array_append_new(inner(array), inner(value));

    nr_assert(result == 0);
}

void nr_json_free(struct nr_json *json)
{
    json_decref(inner(json));
}

enum nr_json_kind nr_json_kind(const struct nr_json *json)
{
    switch (json_typeof(peek(json))) {
    case JSON_NULL: return NR_JSON_NULL;
    case JSON_TRUE:
    case JSON_FALSE: return NR_JSON_BOOL;
    case JSON_INTEGER: return NR_JSON_INTEGER;
    case JSON_REAL: return NR_JSON_REAL;
    case JSON_STRING: return NR_JSON_STRING;
    case JSON_ARRAY: return NR_JSON_ARRAY;
    case JSON_OBJECT: break;
    }
    return NR_JSON_OBJECT;
}

size_t nr_json_count(const struct nr_json *json)
{
    if (json_is_array(peek(json)))
        return json_array_size(peek(json));
    return json_is_object(peek(json)) ? json_object_size(peek(json)) : 0;
}

const struct nr_json *nr_json_get(const struct nr_json *object, const char *key)
{
    if (object == NULL || !json_is_object(peek(object)))
        return NULL;
    return (const struct nr_json *)json_object_get(peek(object), key);
}

const struct nr_json *nr_json_at(const struct nr_json *array, size_t index)
{
    if (array == NULL || !json_is_array(peek(array)))
        return NULL;
    return (const struct nr_json *)json_array_get(peek(array), index);
}

struct nr_span nr_json_name(const struct nr_json *object, size_t index)
{
    /* Iterating takes no const, and changes nothing. */
    json_t *of = json_is_object(peek(object)) ? (json_t *)(uintptr_t)object : NULL;
    void *at = of == NULL ? NULL : json_object_iter(of);

    while (at != NULL && index-- > 0)
        at = json_object_iter_next(of, at);
    return at == NULL ? (struct nr_span){"", 0} : nr_span_of(json_object_iter_key(at));
}

struct nr_span nr_json_text(const struct nr_json *json)
{
    if (json == NULL || !json_is_string(peek(json)))
        return (struct nr_span){"", 0};
    return (struct nr_span){json_string_value(peek(json)), json_string_length(peek(json))};
}

int64_t nr_json_integer_value(const struct nr_json *json)
{
    return json == NULL ? 0 : json_integer_value(peek(json));
}

double nr_json_number(const struct nr_json *json)
{
    return json == NULL ? 0 : json_number_value(peek(json));
}

bool nr_json_bool_value(const struct nr_json *json)
{
    return json != NULL && json_is_true(peek(json));
}

void nr_json_each(const struct nr_json *object,
                  void (*each)(void *ctx, const char *key, const struct nr_json *value), void *ctx)
{
    /* jansson's iterator takes no const, though it changes nothing. */
    json_t *of = (json_t *)(uintptr_t)peek(object);

    if (object == NULL || !json_is_object(of))
        return;
    for (void *at = json_object_iter(of); at != NULL; at = json_object_iter_next(of, at))
        each(ctx, json_object_iter_key(at), (const struct nr_json *)json_object_iter_value(at));
}

char *nr_json_dump(const struct nr_json *json, unsigned indent)
{
    char *text = json_dumps(peek(json), JSON_ENCODE_ANY | JSON_REAL_PRECISION(15) |
                                            (indent == 0 ? JSON_COMPACT : JSON_INDENT(indent)));

    nr_assert(text != NULL);
    return text;
}

struct nr_json *nr_json_parse(struct nr_span text, struct nr_err *err)
{
    json_error_t error;
    json_t *json = json_loadb(text.len == 0 ? "" : text.ptr, text.len,
                              JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);

    if (json == NULL)
        nr_err_set(err, NR_EINVAL, "line %d, column %d: %s", error.line, error.column, error.text);
    return (struct nr_json *)json;
}
