/* SPDX-License-Identifier: Apache-2.0 */
/* query.c - what a request asks with: parameters of its path and query, conditions, JSON bodies.
 * Strict: what is not known is refused with what was probably meant, because a filter that is
 * silently ignored answers another question. */
#include <stdlib.h>

#include "admin/call.h"
#include "codec/pairs.h"
#include "config/text.h"

/* ---- parameters ---- */

struct nr_span nr_admin_path_param(const struct nr_admin_call *call, uint32_t number)
{
    struct nr_span text = call->params[number];
    char *to = nr_arena_alloc(call->x->arena, text.len + 1);
    size_t len = nr_percent_decode(text, to);

    to[len] = '\0';
    return (struct nr_span){to, len};
}

static struct nr_span decoded(const struct nr_admin_call *call, struct nr_span text)
{
    char *to = nr_arena_alloc(call->x->arena, text.len + 1);
    size_t len = nr_query_decode(text, to);

    to[len] = '\0';
    return (struct nr_span){to, len};
}

struct nr_span nr_admin_query(const struct nr_admin_call *call, const char *name, uint32_t after)
{
    struct nr_span rest = nr_head_text(call->head, call->head->query);
    struct nr_pair pair;

    while (nr_query_find(&rest, nr_span_of(name), &pair))
        if (after-- == 0)
            return decoded(call, pair.value);
    return (struct nr_span){NULL, 0};
}

static bool parse_bool(struct nr_span text, bool *ret)
{
    *ret = text.len == 0 || nr_span_eq(text, NR_SPAN("true")) || nr_span_eq(text, NR_SPAN("1"));
    return *ret || nr_span_eq(text, NR_SPAN("false")) || nr_span_eq(text, NR_SPAN("0"));
}

static bool parse_integer(struct nr_span text, int64_t *ret)
{
    int64_t value = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        value = value * 10 + (text.ptr[i] - '0');
    }
    *ret = value;
    return text.len > 0 && text.len <= 18;
}

bool nr_admin_query_bool(const struct nr_admin_call *call, const char *name)
{
    struct nr_span text = nr_admin_query(call, name, 0);
    bool value;

    return text.ptr != NULL && parse_bool(text, &value) && value;
}

int64_t nr_admin_query_integer(const struct nr_admin_call *call, const char *name,
                               int64_t otherwise)
{
    struct nr_span text = nr_admin_query(call, name, 0);
    int64_t value;

    return text.ptr != NULL && parse_integer(text, &value) ? value : otherwise;
}

/* ---- are they known and sound? ---- */

static const struct nr_admin_field *find(const struct nr_admin_field *fields, uint32_t count,
                                         struct nr_span name)
{
    for (uint32_t i = 0; i < count; i++)
        if (nr_span_eq(nr_span_of(fields[i].name), name))
            return &fields[i];
    return NULL;
}

static void refuse_unknown(struct nr_admin_call *call, const char *what,
                           const struct nr_admin_field *fields, uint32_t count, struct nr_span name)
{
    struct nr_arena *arena = call->x->arena;
    struct nr_suggest suggest;
    struct nr_span known = {"", 0};

    nr_suggest_init(&suggest, name);
    for (uint32_t i = 0; i < count; i++) {
        nr_suggest_try(&suggest, nr_span_of(fields[i].name));
        known = nr_arena_printf(arena, "%.*s%s%s", (int)known.len, known.ptr, i == 0 ? "" : ", ",
                                fields[i].name);
    }
    nr_admin_problem(call, 400, "bad_request", "unknown %s %s%s; known here: %.*s", what,
                     nr_text_quote(name, arena), nr_suggest_text(&suggest, arena),
                     (int)(known.len > 0 ? known.len : 4), known.len > 0 ? known.ptr : "none");
}

void nr_admin_unknown(struct nr_admin_call *call, const char *what, const char *reason,
                      struct nr_span name, uint32_t count,
                      struct nr_span (*name_of)(const void *ctx, uint32_t i), const void *ctx)
{
    struct nr_suggest suggest;

    nr_suggest_init(&suggest, name);
    for (uint32_t i = 0; i < count; i++)
        nr_suggest_try(&suggest, name_of(ctx, i));
    nr_admin_problem(call, 404, reason, "no %s is called %s%s", what,
                     nr_text_quote(name, call->x->arena),
                     nr_suggest_text(&suggest, call->x->arena));
}

static bool is_word(const struct nr_admin_field *field, struct nr_span text)
{
    for (const char *const *word = field->words; *word != NULL; word++)
        if (nr_span_eq(nr_span_of(*word), text))
            return true;
    return false;
}

/* What a value of the field looks like, for a message. */
static const char *wanted(const struct nr_admin_call *call, const struct nr_admin_field *field)
{
    struct nr_arena *arena = call->x->arena;
    const char *null = field->nullable ? ", or null" : "";
    const char *text = "one of";

    if (field->words != NULL) {
        for (const char *const *word = field->words; *word != NULL; word++)
            text =
                nr_arena_printf(arena, "%s%s %s", text, word == field->words ? "" : ",", *word).ptr;
        return nr_arena_printf(arena, "%s%s", text, null).ptr;
    }
    if (field->type == NR_ADMIN_INTEGER && field->max > 0)
        return nr_arena_printf(arena, "a whole number from %lld to %lld%s", (long long)field->min,
                               (long long)field->max, null)
            .ptr;
    text = field->type == NR_ADMIN_BOOL      ? "true or false"
           : field->type == NR_ADMIN_INTEGER ? "a whole number"
           : field->type == NR_ADMIN_STRING  ? "a text"
           : field->type == NR_ADMIN_LIST    ? "a list"
           : field->type == NR_ADMIN_OBJECT  ? "an object"
                                             : "something else";
    return nr_arena_printf(arena, "%s%s", text, null).ptr;
}

static bool in_range(const struct nr_admin_field *field, int64_t value)
{
    return (field->min == 0 && field->max == 0) || (value >= field->min && value <= field->max);
}

static bool sound_text(const struct nr_admin_field *field, struct nr_span text)
{
    int64_t number;
    bool truth;

    switch (field->type) {
    case NR_ADMIN_BOOL: return parse_bool(text, &truth);
    case NR_ADMIN_INTEGER: return parse_integer(text, &number) && in_range(field, number);
    default: return field->words == NULL || is_word(field, text);
    }
}

bool nr_admin_check_query(struct nr_admin_call *call)
{
    const struct nr_admin_endpoint *endpoint = call->endpoint;
    struct nr_span rest = nr_head_text(call->head, call->head->query);
    struct nr_pair pair;

    while (nr_query_next(&rest, &pair)) {
        struct nr_span name = decoded(call, pair.name), value = decoded(call, pair.value);
        const struct nr_admin_field *field = find(endpoint->query, endpoint->query_count, name);

        if (field == NULL) {
            refuse_unknown(call, "parameter", endpoint->query, endpoint->query_count, name);
            return false;
        }
        if (!sound_text(field, value)) {
            nr_admin_problem(call, 400, "bad_request", "parameter '%s' must be %s, got %s",
                             field->name, wanted(call, field),
                             nr_text_quote(value, call->x->arena));
            return false;
        }
    }
    for (uint32_t i = 0; i < endpoint->query_count; i++)
        if (!endpoint->query[i].optional &&
            nr_admin_query(call, endpoint->query[i].name, 0).ptr == NULL) {
            nr_admin_problem(call, 400, "bad_request", "parameter '%s' is needed: %s",
                             endpoint->query[i].name, endpoint->query[i].doc);
            return false;
        }
    return true;
}

/* ---- conditions ---- */

bool nr_admin_if_match(struct nr_admin_call *call, uint32_t *ret_version)
{
    const struct nr_field *field = nr_head_find_name(call->head, NR_SPAN("If-Match"), NULL);
    struct nr_span text = field == NULL ? NR_SPAN("*") : nr_head_value(call->head, field);
    int64_t version = 0;

    *ret_version = 0;
    if (nr_span_eq(text, NR_SPAN("*")))
        return true;
    if (text.len >= 2 && text.ptr[0] == '"' && text.ptr[text.len - 1] == '"')
        text = (struct nr_span){text.ptr + 1, text.len - 2};
    if (!parse_integer(text, &version) || version == 0 || version > UINT32_MAX) {
        nr_admin_problem(call, 400, "bad_request",
                         "If-Match must be the ETag of one version, such as \"7\"");
        return false;
    }
    *ret_version = (uint32_t)version;
    return true;
}

/* ---- bodies ---- */

static bool sound_value(const struct nr_admin_field *field, const struct nr_json *value)
{
    switch (nr_json_kind(value)) {
    case NR_JSON_NULL: return field->nullable;
    case NR_JSON_BOOL: return field->type == NR_ADMIN_BOOL;
    case NR_JSON_INTEGER:
        return field->type == NR_ADMIN_INTEGER && in_range(field, nr_json_integer_value(value));
    case NR_JSON_STRING:
        return field->type == NR_ADMIN_STRING &&
               (field->words == NULL || is_word(field, nr_json_text(value)));
    case NR_JSON_ARRAY: return field->type == NR_ADMIN_LIST; /* of what: for the endpoint to see */
    case NR_JSON_OBJECT: return field->type == NR_ADMIN_OBJECT;
    case NR_JSON_REAL: break;
    }
    return false;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the shapes of endpoints */
static bool sound_body(struct nr_admin_call *call, const struct nr_admin_shape *shape,
                       const struct nr_json *json)
{
    size_t known = 0;

    for (uint32_t i = 0; i < shape->count; i++) {
        const struct nr_admin_field *field = &shape->fields[i];
        const struct nr_json *value = nr_json_get(json, field->name);

        known += value != NULL;
        if (value == NULL && !field->optional) {
            nr_admin_problem(call, 400, "bad_request", "field '%s' is needed: %s", field->name,
                             field->doc);
            return false;
        }
        if (value != NULL && !sound_value(field, value)) {
            nr_admin_problem(call, 400, "bad_request", "field '%s' must be %s", field->name,
                             wanted(call, field));
            return false;
        }
        if (value != NULL && field->type == NR_ADMIN_OBJECT && field->shape != NULL &&
            nr_json_kind(value) == NR_JSON_OBJECT && !sound_body(call, field->shape, value))
            return false;
    }
    for (size_t i = 0; known < nr_json_count(json) && i < nr_json_count(json); i++) {
        struct nr_span name = nr_json_name(json, i);

        if (find(shape->fields, shape->count, name) != NULL)
            continue;
        refuse_unknown(call, "field", shape->fields, shape->count, name);
        return false;
    }
    return true;
}

struct nr_json *nr_admin_body_json(struct nr_admin_call *call)
{
    struct nr_err err = {0};
    struct nr_json *json = nr_json_parse(nr_strbuf_span(&call->body), &err);

    if (json == NULL) {
        nr_admin_problem(call, 400, "bad_request", "the body is no JSON: %s", err.text);
        return NULL;
    }
    if (nr_json_kind(json) != NR_JSON_OBJECT)
        nr_admin_problem(call, 400, "bad_request", "the body must be a JSON object");
    else if (sound_body(call, call->endpoint->takes, json))
        return json;
    nr_json_free(json);
    return NULL;
}

void nr_admin_tell_body(struct nr_admin_call *call, const struct nr_json *body)
{
    char *text = nr_json_dump(body, 0);

    nr_strbuf_printf(&call->told, "%s", text);
    free(text);
}

enum nr_said nr_admin_said(const struct nr_json *value)
{
    if (value == NULL || nr_json_kind(value) == NR_JSON_NULL)
        return NR_SAID_NOTHING;
    return nr_json_bool_value(value) ? NR_SAID_YES : NR_SAID_NO;
}
