/* SPDX-License-Identifier: Apache-2.0 */
/* schema_json.c - the tables as JSON Schema (draft 2020-12), for editors.
 *
 * Every section becomes a definition of its own, referred to by a name made from its title. An
 * editor sees the file before variables are replaced, so wherever a scalar may stand, text with
 * ${…} may stand too. The loader stays the judge: rules between fields are not in here. */
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/units.h"
#include "config/value.h"

#define VARIABLE "#/$defs/variable"

struct writer {
    struct nr_arena arena;
    struct nr_json *definitions;
};

static struct nr_json *text(const char *value)
{
    return nr_json_string(nr_span_of(value));
}

static struct nr_json *typed(const char *type)
{
    struct nr_json *json = nr_json_object();

    nr_json_set(json, "type", text(type));
    return json;
}

static struct nr_json *pattern(const char *regex)
{
    struct nr_json *json = typed("string");

    nr_json_set(json, "pattern", text(regex));
    return json;
}

static struct nr_json *reference(const char *to)
{
    struct nr_json *json = nr_json_object();

    nr_json_set(json, "$ref", text(to));
    return json;
}

static struct nr_json *integer(int64_t min, int64_t max)
{
    struct nr_json *json = typed("integer");

    nr_json_set(json, "minimum", nr_json_integer(min));
    if (max > min)
        nr_json_set(json, "maximum", nr_json_integer(max));
    return json;
}

/* min and max of a whole number, as text in the table. */
static struct nr_json *ranged(const struct nr_schema_field *field)
{
    uint64_t min = 0, max = 0;

    if (field->min != NULL)
        (void)nr_units_integer(nr_span_of(field->min), 10, &min);
    if (field->max != NULL)
        (void)nr_units_integer(nr_span_of(field->max), 10, &max);
    return integer((int64_t)min, (int64_t)max);
}

static struct nr_json *bounded_string(const struct nr_schema_field *field)
{
    struct nr_json *json = typed("string");
    uint64_t bytes;

    /* The loader counts bytes, a schema characters: an upper bound is one for both. */
    if (field->max != NULL && nr_units_integer(nr_span_of(field->max), 10, &bytes))
        nr_json_set(json, "maxLength", nr_json_integer((int64_t)bytes));
    if (field->min != NULL && strcmp(field->min, "0") != 0)
        nr_json_set(json, "minLength", nr_json_integer(1));
    return json;
}

static struct nr_json *words(const struct nr_schema_field *field)
{
    struct nr_json *json = nr_json_object(), *list = nr_json_array();

    for (const struct nr_schema_word *word = field->words; word->name != NULL; word++) {
        nr_json_push(list, text(word->name));
        if (word->name[strspn(word->name, "0123456789")] == '\0') /* YAML reads a number */
            nr_json_push(list, nr_json_integer(strtol(word->name, NULL, 10)));
    }
    nr_json_set(json, "enum", list);
    return json;
}

static struct nr_json *truth(void)
{
    static const char *const names[] = {"yes", "no", "on", "off"};
    struct nr_json *json = nr_json_object(), *list = nr_json_array();

    nr_json_push(list, nr_json_bool(true));
    nr_json_push(list, nr_json_bool(false));
    for (size_t i = 0; i < NR_COUNT(names); i++)
        nr_json_push(list, text(names[i]));
    nr_json_set(json, "enum", list);
    return json;
}

/* The alternatives that a scalar type allows, pushed to any. */
static void push_scalar(struct nr_json *any, const struct nr_schema_field *field,
                        enum nr_schema_type type)
{
    switch (type) {
    case NR_SCHEMA_BOOL: nr_json_push(any, truth()); break;
    case NR_SCHEMA_U32:
    case NR_SCHEMA_U64: nr_json_push(any, ranged(field)); break;
    case NR_SCHEMA_OCTAL:
        nr_json_push(any, integer(0, 7777));
        nr_json_push(any, pattern("^[0-7]+$"));
        break;
    case NR_SCHEMA_SIZE:
        nr_json_push(any, integer(0, 0));
        nr_json_push(any, pattern("^[0-9]+(\\.[0-9]+)?(B|KiB|MiB|GiB|TiB)$"));
        break;
    case NR_SCHEMA_DURATION:
        nr_json_push(any, pattern("^[0-9]+(\\.[0-9]+)?(ns|us|ms|s|m|h|d)$"));
        break;
    case NR_SCHEMA_RATE: nr_json_push(any, pattern("^[0-9]+/[0-9]*(s|min|h|d)$")); break;
    case NR_SCHEMA_BYTE_RATE:
        nr_json_push(any, pattern("^[0-9]+(\\.[0-9]+)?(B|KiB|MiB|GiB|TiB)?/[0-9]*(s|min|h|d)$"));
        break;
    case NR_SCHEMA_RATIO:
        nr_json_push(any, typed("number"));
        nr_json_push(any, pattern("^[0-9]+(\\.[0-9]+)?%?$"));
        break;
    case NR_SCHEMA_STATUS:
        nr_json_push(any, integer(100, 599));
        nr_json_push(any, pattern("^([1-5]xx|[1-5][0-9]{2}(-[1-5][0-9]{2})?)$"));
        break;
    case NR_SCHEMA_STRING:
        nr_json_push(any, bounded_string(field));
        if ((field->flags & NR_SCHEMA_NUMBER) != 0)
            nr_json_push(any, typed("number"));
        break;
    case NR_SCHEMA_ADDRESS:
    case NR_SCHEMA_CIDR: nr_json_push(any, typed("string")); break;
    case NR_SCHEMA_ENUM:
    case NR_SCHEMA_SET:
    case NR_SCHEMA_LIST:
    case NR_SCHEMA_SECTION:
    case NR_SCHEMA_SECTIONS:
    case NR_SCHEMA_MAP:
    case NR_SCHEMA_JSON:
    case NR_SCHEMA_TYPES: break;
    }
}

static struct nr_json *scalar(const struct nr_schema_field *field, enum nr_schema_type type)
{
    struct nr_json *json = nr_json_object(), *any = nr_json_array();

    push_scalar(any, field, type);
    if (field->words != NULL)
        nr_json_push(any, words(field));
    nr_json_push(any, reference(VARIABLE));
    nr_json_set(json, "anyOf", any);
    return json;
}

/* A list, or one element in its place. */
static struct nr_json *list_of(const struct nr_schema_field *field, enum nr_schema_type element)
{
    struct nr_json *json = nr_json_object(), *any = nr_json_array(), *list = typed("array");

    nr_json_set(list, "items", scalar(field, element));
    nr_json_push(any, list);
    nr_json_push(any, scalar(field, element));
    nr_json_set(json, "anyOf", any);
    return json;
}

static const char *define(struct writer *w, const struct nr_schema *schema);

static struct nr_json *field_json(struct writer *w, const struct nr_schema_field *field)
{
    struct nr_json *json;

    switch (field->type) {
    case NR_SCHEMA_LIST: return list_of(field, field->element);
    case NR_SCHEMA_SET: return list_of(field, NR_SCHEMA_ENUM);
    case NR_SCHEMA_SECTION: return reference(define(w, field->section));
    case NR_SCHEMA_SECTIONS:
        json = typed("array");
        nr_json_set(json, "items", reference(define(w, field->section)));
        if ((field->flags & NR_SCHEMA_REQUIRED) != 0)
            nr_json_set(json, "minItems", nr_json_integer(1));
        return json;
    case NR_SCHEMA_MAP: {
        struct nr_json *names = pattern("^[A-Za-z0-9_.-]{1,64}$");

        json = typed("object");
        nr_json_set(json, "propertyNames", names);
        nr_json_set(json, "additionalProperties", reference(define(w, field->section)));
        return json;
    }
    case NR_SCHEMA_JSON: return nr_json_object();
    default: return scalar(field, field->type);
    }
}

static struct nr_json *property(struct writer *w, const struct nr_schema_field *field)
{
    struct nr_json *json = field_json(w, field);

    if (field->doc != NULL)
        nr_json_set(json, "description", text(field->doc));
    if (field->value != NULL && field->value[0] != '[')
        nr_json_set(json, "default", text(field->value));
    return json;
}

static struct nr_json *section_json(struct writer *w, const struct nr_schema *schema)
{
    struct nr_json *json = typed("object"), *properties = nr_json_object(),
                   *required = nr_json_array();

    for (uint32_t i = 0; i < schema->count; i++) {
        nr_json_set(properties, schema->fields[i].name, property(w, &schema->fields[i]));
        if ((schema->fields[i].flags & NR_SCHEMA_REQUIRED) != 0)
            nr_json_push(required, text(schema->fields[i].name));
    }
    nr_json_set(json, "additionalProperties", nr_json_bool(false));
    nr_json_set(json, "properties", properties);
    nr_json_set(json, "required", required);
    return json;
}

/* The field that a scalar or list stands for. */
static const struct nr_schema_field *short_field(const struct nr_schema *schema)
{
    for (uint32_t i = 0; i < schema->count; i++)
        if (schema->shorthand != NULL && strcmp(schema->fields[i].name, schema->shorthand) == 0)
            return &schema->fields[i];
    return NULL;
}

/* "#/$defs/connection_pool", defined at its first mention. */
static const char *define(struct writer *w, const struct nr_schema *schema)
{
    struct nr_span name = nr_arena_dup(&w->arena, nr_span_of(schema->title));
    const struct nr_schema_field *brief = short_field(schema);
    struct nr_json *json;

    for (size_t i = 0; i < name.len; i++)
        ((char *)name.ptr)[i] = name.ptr[i] == ' ' ? '_' : nr_ascii_lower(name.ptr[i]);
    if (nr_json_get(w->definitions, name.ptr) == NULL) {
        json = section_json(w, schema);
        if (brief != NULL) {
            struct nr_json *any = nr_json_array();

            nr_json_push(any, json);
            nr_json_push(any, field_json(w, brief));
            json = nr_json_object();
            nr_json_set(json, "anyOf", any);
        }
        nr_json_set(json, "title", text(schema->title));
        if (schema->doc != NULL)
            nr_json_set(json, "description", text(schema->doc));
        nr_json_set(w->definitions, name.ptr, json);
    }
    return nr_arena_printf(&w->arena, "#/$defs/%s", name.ptr).ptr;
}

struct nr_json *nr_schema_json(const struct nr_schema_root *const *roots, uint32_t root_count)
{
    struct writer w = {.definitions = nr_json_object()};
    struct nr_json *json = typed("object"), *properties = nr_json_object();
    struct nr_schema_field include = {.type = NR_SCHEMA_LIST,
                                      .element = NR_SCHEMA_STRING,
                                      .doc = "Other files whose sections are merged in."};

    nr_arena_init(&w.arena, NULL, 0);
    nr_json_set(json, "$schema", text("https://json-schema.org/draft/2020-12/schema"));
    nr_json_set(json, "title", text("naru.yaml"));
    nr_json_set(json, "additionalProperties", nr_json_bool(false));
    nr_json_set(w.definitions, "variable", pattern("\\$\\{[A-Za-z_]"));
    nr_json_set(properties, "include", property(&w, &include));
    for (uint32_t i = 0; i < root_count; i++)
        nr_json_set(properties, roots[i]->field.name, property(&w, &roots[i]->field));
    nr_json_set(json, "properties", properties);
    nr_json_set(json, "$defs", w.definitions);
    nr_arena_done(&w.arena);
    return json;
}
