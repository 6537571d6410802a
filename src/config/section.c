/* SPDX-License-Identifier: Apache-2.0 */
#include "config/section.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "config/node.h"
#include "config/value.h"

static const void *at(const void *section, size_t offset)
{
    return (const char *)section + offset;
}

static uint32_t count_of(const struct nr_schema_field *field, const void *section)
{
    return *(const uint32_t *)at(section, field->count_offset);
}

/* Lists, maps and optional sections are pointers in the struct. */
static const void *pointee(const struct nr_schema_field *field, const void *section)
{
    return *(const void *const *)at(section, field->offset);
}

const struct nr_schema *nr_schema_of(const struct nr_schema *schema, const char *name)
{
    for (uint32_t i = 0; i < schema->count; i++)
        if (strcmp(schema->fields[i].name, name) == 0 && schema->fields[i].section != NULL)
            return schema->fields[i].section;
    nr_assert(!"a field of sections of that name");
    return NULL;
}

/* ---- equal ---- */

static bool equal_cidr(const struct nr_cidr *a, const struct nr_cidr *b)
{
    return a->network.family == b->network.family && a->prefix_bits == b->prefix_bits &&
           memcmp(a->network.ip, b->network.ip, sizeof(a->network.ip)) == 0;
}

static bool equal_scalar(enum nr_schema_type type, const void *a, const void *b)
{
    const struct nr_config_address *left = a, *right = b;

    switch (type) {
    case NR_SCHEMA_STRING:
        return nr_span_eq(*(const struct nr_span *)a, *(const struct nr_span *)b);
    case NR_SCHEMA_ADDRESS:
        return left->kind == right->kind && left->port == right->port &&
               nr_span_eq(left->text, right->text);
    case NR_SCHEMA_CIDR: return equal_cidr(a, b);
    default: return memcmp(a, b, nr_value_bytes(type)) == 0;
    }
}

static bool equal_json(const struct nr_node *a, const struct nr_node *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    if (a->kind != b->kind || a->count != b->count || a->null != b->null ||
        a->quoted != b->quoted || !nr_span_eq(a->text, b->text) || !nr_span_eq(a->key, b->key))
        return false;
    a = a->first;
    b = b->first;
    while (a != NULL && b != NULL && equal_json(a, b)) {
        a = a->next;
        b = b->next;
    }
    return a == NULL && b == NULL;
}

static bool equal_list(const struct nr_schema_field *field, const void *a, const void *b)
{
    size_t bytes = nr_value_bytes(field->element);
    uint32_t count = count_of(field, a);

    if (count != count_of(field, b))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!equal_scalar(field->element, at(pointee(field, a), i * bytes),
                          at(pointee(field, b), i * bytes)))
            return false;
    return true;
}

static bool equal_sections(const struct nr_schema_field *field, const void *a, const void *b)
{
    const struct nr_schema *schema = field->section;
    uint32_t count = count_of(field, a);

    if (count != count_of(field, b))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const void *left = at(pointee(field, a), i * schema->bytes);
        const void *right = at(pointee(field, b), i * schema->bytes);

        if (field->type == NR_SCHEMA_MAP &&
            !nr_span_eq(*(const struct nr_span *)at(left, schema->name_offset),
                        *(const struct nr_span *)at(right, schema->name_offset)))
            return false;
        if (!nr_section_equal(schema, left, right))
            return false;
    }
    return true;
}

static bool equal_section(const struct nr_schema_field *field, const void *a, const void *b)
{
    const void *left = at(a, field->offset), *right = at(b, field->offset);

    if ((field->flags & NR_SCHEMA_OPTIONAL) != 0) {
        left = pointee(field, a);
        right = pointee(field, b);
        if (left == NULL || right == NULL)
            return left == right;
    }
    return nr_section_equal(field->section, left, right);
}

static bool equal_field(const struct nr_schema_field *field, const void *a, const void *b)
{
    switch (field->type) {
    case NR_SCHEMA_SECTION: return equal_section(field, a, b);
    case NR_SCHEMA_SECTIONS:
    case NR_SCHEMA_MAP: return equal_sections(field, a, b);
    case NR_SCHEMA_LIST: return equal_list(field, a, b);
    case NR_SCHEMA_JSON: return equal_json(pointee(field, a), pointee(field, b));
    default: return equal_scalar(field->type, at(a, field->offset), at(b, field->offset));
    }
}

bool nr_section_equal(const struct nr_schema *schema, const void *a, const void *b)
{
    for (uint32_t i = 0; i < schema->count; i++)
        if (!equal_field(&schema->fields[i], a, b))
            return false;
    return true;
}

bool nr_section_root_equal(const struct nr_schema_root *root, const void *a, const void *b)
{
    return equal_field(&root->field, a, b);
}

/* ---- copy ---- */

static void copy_section(const struct nr_schema *schema, void *to, struct nr_arena *arena);

static void keep(struct nr_span *span, struct nr_arena *arena)
{
    if (span->ptr != NULL)
        *span = nr_arena_dup(arena, *span);
}

static void *copy_bytes(const void *from, size_t bytes, struct nr_arena *arena)
{
    void *to = nr_arena_alloc(arena, bytes);

    if (bytes > 0)
        memcpy(to, from, bytes);
    return to;
}

static struct nr_place place_copy(struct nr_place place, struct nr_arena *arena)
{
    if (place.file != NULL)
        place.file = nr_arena_dup(arena, nr_span_of(place.file)).ptr;
    return place;
}

/* A scalar that was copied bit by bit still points into the old arena. */
static void copy_scalar(enum nr_schema_type type, void *to, struct nr_arena *arena)
{
    if (type == NR_SCHEMA_STRING) {
        keep(to, arena);
    } else if (type == NR_SCHEMA_ADDRESS) {
        struct nr_config_address *address = to;

        keep(&address->host, arena);
        keep(&address->unix_path, arena);
        keep(&address->text, arena);
    }
}

static struct nr_node *copy_node(const struct nr_node *from, struct nr_arena *arena)
{
    struct nr_node *to, **tail;

    if (from == NULL)
        return NULL;
    to = copy_bytes(from, sizeof(*from), arena);
    keep(&to->text, arena);
    keep(&to->key, arena);
    to->place = place_copy(from->place, arena);
    to->key_place = place_copy(from->key_place, arena);
    to->first = to->last = to->next = NULL;
    tail = &to->first;
    for (const struct nr_node *child = from->first; child != NULL; child = child->next) {
        *tail = to->last = copy_node(child, arena);
        tail = &to->last->next;
    }
    return to;
}

static void copy_many(const struct nr_schema_field *field, void *section, struct nr_arena *arena)
{
    const struct nr_schema *schema = field->section;
    void **member = (void **)(void *)((char *)section + field->offset);
    uint32_t count = count_of(field, section);
    size_t bytes = field->type == NR_SCHEMA_LIST ? nr_value_bytes(field->element) : schema->bytes;

    if (*member == NULL)
        return;
    *member = copy_bytes(*member, count * bytes, arena);
    for (uint32_t i = 0; i < count; i++) {
        char *one = (char *)*member + i * bytes;

        if (field->type == NR_SCHEMA_LIST) {
            copy_scalar(field->element, one, arena);
            continue;
        }
        if (field->type == NR_SCHEMA_MAP)
            keep((struct nr_span *)(void *)(one + schema->name_offset), arena);
        copy_section(schema, one, arena);
    }
}

static void copy_field(const struct nr_schema_field *field, void *section, struct nr_arena *arena)
{
    char *member = (char *)section + field->offset;
    void **pointer = (void **)(void *)member;

    switch (field->type) {
    case NR_SCHEMA_SECTION:
        if ((field->flags & NR_SCHEMA_OPTIONAL) == 0)
            copy_section(field->section, member, arena);
        else if (*pointer != NULL)
            *pointer = nr_section_copy(field->section, *pointer, arena);
        break;
    case NR_SCHEMA_SECTIONS:
    case NR_SCHEMA_MAP:
    case NR_SCHEMA_LIST: copy_many(field, section, arena); break;
    case NR_SCHEMA_JSON: *pointer = copy_node(*pointer, arena); break;
    default: copy_scalar(field->type, member, arena); break;
    }
}

/* `to` holds the bits of the original: give it memory of its own behind every pointer. */
static void copy_section(const struct nr_schema *schema, void *to, struct nr_arena *arena)
{
    struct nr_section *where = to;

    where->node = NULL;
    where->place = place_copy(where->place, arena);
    if (where->path != NULL)
        where->path = nr_arena_dup(arena, nr_span_of(where->path)).ptr;
    for (uint32_t i = 0; i < schema->count; i++)
        copy_field(&schema->fields[i], to, arena);
}

void *nr_section_copy(const struct nr_schema *schema, const void *from, struct nr_arena *arena)
{
    void *to = copy_bytes(from, schema->bytes, arena);

    copy_section(schema, to, arena);
    if (schema->name_offset != 0)
        keep((struct nr_span *)(void *)((char *)to + schema->name_offset), arena);
    return to;
}
