/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - one walk over tree and tables at once.
 *
 * The tables lead: every field of a section gets its value from the node of that name, or from its
 * default, by the same code (a default is text in the same notation, and becomes a node). What no
 * field asked for is unknown and an error. A section that is not written is loaded from nothing, so
 * defaults hold at every depth. Nothing stops at the first mistake; what is wrong stays zero. */
#include "config/load.h"

#include "base/assert.h"
#include "config/text.h"
#include "config/tree.h"
#include "config/value.h"

enum { NAME_BYTES_MAX = 64 };

struct loader {
    struct nr_arena *arena;
    struct nr_diags *diags;
};

/* Where in the document we are: for the children that are not written, and for what is to be said.
 * The path is put together only when somebody asks: thousands of fields are loaded and few err. */
struct here {
    struct nr_place place;
    const char *outer; /* the path of the section that this is in; empty: the document */
    const char *name;  /* in it; NULL: outer is the path */
};

static void load_section(struct loader *l, const struct nr_schema *schema,
                         const struct nr_node *node, struct here here, void *to);
static void load_field(struct loader *l, const struct nr_schema_field *field,
                       const struct nr_node *node, struct here here, void *section);

static struct here inside(const char *outer, struct nr_place place, const struct nr_node *node,
                          const char *name)
{
    return (struct here){node != NULL ? node->place : place, outer, name};
}

static const char *path_of(struct loader *l, const struct here *here)
{
    size_t outer = strlen(here->outer), inner;
    char *path;

    if (here->name == NULL || outer == 0)
        return here->name == NULL ? here->outer : here->name;
    inner = strlen(here->name);
    path = nr_arena_alloc(l->arena, outer + inner + 2);
    memcpy(path, here->outer, outer);
    path[outer] = '.';
    memcpy(path + outer + 1, here->name, inner + 1);
    return path;
}

static const char *got(struct loader *l, const struct nr_node *node)
{
    if (node->kind != NR_NODE_SCALAR)
        return node->kind == NR_NODE_SEQUENCE ? "a list" : "a mapping";
    return node->null ? "nothing" : nr_text_quote(node->text, l->arena);
}

static void wrong(struct loader *l, const struct nr_node *node, struct here here,
                  const char *expected, const char *hint)
{
    nr_diags_add(l->diags, NR_DIAG_ERROR, NULL, node->place, path_of(l, &here), NULL,
                 "expected %s, got %s%s", expected, got(l, node), hint);
}

/* ---- scalars ---- */

static const char *word_hint(struct loader *l, const struct nr_schema_field *field,
                             const struct nr_node *node)
{
    struct nr_suggest suggest;

    if (field->words == NULL || node->kind != NR_NODE_SCALAR)
        return "";
    nr_suggest_init(&suggest, node->text);
    for (const struct nr_schema_word *word = field->words; word->name != NULL; word++)
        nr_suggest_try(&suggest, nr_span_of(word->name));
    return nr_suggest_text(&suggest, l->arena);
}

static bool load_scalar(struct loader *l, const struct nr_schema_field *field,
                        enum nr_schema_type type, const struct nr_node *node, struct here here,
                        struct nr_value *ret_value)
{
    if (node->kind != NR_NODE_SCALAR || (node->null && type != NR_SCHEMA_STRING) ||
        !nr_value_parse(field, type, node->text, l->arena, ret_value)) {
        wrong(l, node, here, nr_value_expected(field, type, l->arena), word_hint(l, field, node));
        return false;
    }
    if (nr_value_in_range(field, type, ret_value, l->arena))
        return true;
    if ((field->flags & NR_SCHEMA_SECRET) != 0) {
        nr_diags_add(l->diags, NR_DIAG_ERROR, NULL, node->place, path_of(l, &here), NULL,
                     "must be %s bytes long, and has %zu", nr_value_range(field, l->arena),
                     node->text.len);
        return false;
    }
    nr_diags_add(l->diags, NR_DIAG_ERROR, NULL, node->place, path_of(l, &here), NULL,
                 type == NR_SCHEMA_STRING ? "must be %s bytes long, got %s" : "must be %s, got %s",
                 nr_value_range(field, l->arena), got(l, node));
    return false;
}

/* A list may be written as its only element. Calls each(…) in order. */
static const struct nr_node *first_of(const struct nr_node *node)
{
    return node->kind == NR_NODE_SEQUENCE ? node->first : node;
}

static uint32_t count_of(const struct nr_node *node)
{
    return node->kind == NR_NODE_SEQUENCE ? node->count : 1;
}

static void load_list(struct loader *l, const struct nr_schema_field *field,
                      const struct nr_node *node, struct here here, void *section)
{
    size_t bytes = nr_value_bytes(field->element);
    uint32_t count = count_of(node);
    char *items = nr_arena_zalloc(l->arena, count * bytes);
    const struct nr_node *child = first_of(node);
    struct nr_value value;

    for (uint32_t i = 0; i < count; i++, child = child->next)
        if (load_scalar(l, field, field->element, child, here, &value))
            nr_value_store(field->element, &value, items + i * bytes);
    memcpy((char *)section + field->offset, &items, sizeof(items));
    memcpy((char *)section + field->count_offset, &count, sizeof(count));
}

static void load_set(struct loader *l, const struct nr_schema_field *field,
                     const struct nr_node *node, struct here here, void *section)
{
    uint32_t count = count_of(node);
    const struct nr_node *child = first_of(node);
    uint64_t set = 0;
    struct nr_value value;

    for (uint32_t i = 0; i < count; i++, child = child->next)
        if (load_scalar(l, field, NR_SCHEMA_ENUM, child, here, &value)) {
            nr_assert(value.number < 64);
            set |= 1ull << value.number;
        }
    memcpy((char *)section + field->offset, &set, sizeof(set));
}

/* ---- sections ---- */

static struct nr_span field_name(const void *arg, uint32_t index)
{
    return nr_span_of(((const struct nr_schema *)arg)->fields[index].name);
}

void nr_load_unknown(struct nr_arena *arena, struct nr_diags *diags, const struct nr_node *mapping,
                     const char *path, const char *what,
                     struct nr_span (*name_at)(const void *arg, uint32_t index), const void *arg,
                     uint32_t count)
{
    for (const struct nr_node *entry = mapping->first; entry != NULL; entry = entry->next) {
        struct nr_suggest suggest;
        const char *known = "known here:";
        bool found = false;

        for (uint32_t i = 0; i < count && !found; i++)
            found = nr_span_eq(name_at(arg, i), entry->key);
        if (found)
            continue;
        nr_suggest_init(&suggest, entry->key);
        for (uint32_t i = 0; i < count; i++)
            nr_suggest_try(&suggest, name_at(arg, i));
        if (diags->count < diags->max) /* not worth the memory beyond */
            for (uint32_t i = 0; i < count; i++)
                known =
                    nr_arena_printf(arena, "%s%s %s", known, i == 0 ? "" : ",", name_at(arg, i).ptr)
                        .ptr;
        nr_diags_add(diags, NR_DIAG_ERROR, NULL, entry->key_place, path,
                     suggest.best.len > 0 ? NULL : known, "unknown %s %s%s", what,
                     nr_text_quote(entry->key, arena), nr_suggest_text(&suggest, arena));
    }
}

static void load_sections(struct loader *l, const struct nr_schema_field *field,
                          const struct nr_node *node, struct here here, void *section)
{
    size_t bytes = field->section->bytes;
    const struct nr_node *child;
    const char *list;
    uint32_t i = 0;
    char *items;

    if (node->kind != NR_NODE_SEQUENCE) {
        wrong(l, node, here, "a list", "");
        return;
    }
    items = nr_arena_zalloc(l->arena, node->count * bytes);
    list = path_of(l, &here);
    for (child = node->first; child != NULL; child = child->next, i++) {
        struct here at = {child->place, nr_arena_printf(l->arena, "%s[%u]", list, i).ptr, NULL};

        if (child->null)
            wrong(l, child, at, "an entry", "");
        else
            load_section(l, field->section, child, at, items + i * bytes);
    }
    memcpy((char *)section + field->offset, &items, sizeof(items));
    memcpy((char *)section + field->count_offset, &node->count, sizeof(node->count));
}

static bool name_sound(struct nr_span name)
{
    if (name.len == 0 || name.len > NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = nr_ascii_lower(name.ptr[i]);

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.'))
            return false;
    }
    return true;
}

static void load_map(struct loader *l, const struct nr_schema_field *field,
                     const struct nr_node *node, struct here here, void *section)
{
    size_t bytes = field->section->bytes;
    const struct nr_node *child;
    const char *map;
    uint32_t i = 0;
    char *items;

    if (node->kind != NR_NODE_MAPPING) {
        wrong(l, node, here, "a mapping of names", "");
        return;
    }
    items = nr_arena_zalloc(l->arena, node->count * bytes);
    map = path_of(l, &here);
    for (child = node->first; child != NULL; child = child->next, i++) {
        struct here at = inside(map, here.place, child, child->key.ptr);
        char *item = items + i * bytes;

        if (!name_sound(child->key))
            nr_diags_add(l->diags, NR_DIAG_ERROR, NULL, child->key_place, map, NULL,
                         "a name is 1 to %d letters, digits, '_', '-' and '.', got %s",
                         NAME_BYTES_MAX, nr_text_quote(child->key, l->arena));
        /* Before the section, whose own rules may want to speak of it by name. */
        memcpy(item + field->section->name_offset, &child->key, sizeof(child->key));
        load_section(l, field->section, child->null ? NULL : child, at, item);
        if (child->null)
            wrong(l, child, at, "a mapping", "");
    }
    memcpy((char *)section + field->offset, &items, sizeof(items));
    memcpy((char *)section + field->count_offset, &node->count, sizeof(node->count));
}

static void load_nested(struct loader *l, const struct nr_schema_field *field,
                        const struct nr_node *node, struct here here, void *section)
{
    void *to = (char *)section + field->offset;

    if ((field->flags & NR_SCHEMA_OPTIONAL) != 0) {
        if (node == NULL)
            return;
        to = nr_arena_zalloc(l->arena, field->section->bytes);
        memcpy((char *)section + field->offset, &to, sizeof(to));
    }
    load_section(l, field->section, node, here, to);
}

/* ---- fields ---- */

/* The default as a node, so that it takes the same way as what is written; in *scalar if it can be,
 * for nobody keeps that. NULL: there is none. */
static const struct nr_node *default_node(struct loader *l, const struct nr_schema_field *field,
                                          struct nr_place place, struct nr_node *scalar)
{
    struct nr_node *node = scalar;
    struct nr_diags diags;

    if (field->value == NULL)
        return NULL;
    if (field->value[0] != '[' && field->value[0] != '{' && field->type != NR_SCHEMA_JSON) {
        *scalar = (struct nr_node){.quoted = true, .text = nr_span_of(field->value)};
    } else {
        nr_diags_init(&diags, l->arena, 1);
        nr_tree_build(l->arena, NULL, place.file, nr_span_of(field->value), &diags, &node);
        nr_assert(diags.errors == 0 && node != NULL); /* the table is wrong */
    }
    node->place = place;
    return node;
}

static bool is_required(const struct nr_schema_field *field, const struct nr_node *node,
                        const struct nr_node *section)
{
    if ((field->flags & NR_SCHEMA_REQUIRED) == 0 || section == NULL)
        return false;
    return node == NULL || (node->kind != NR_NODE_SCALAR && node->count == 0);
}

static void load_present(struct loader *l, const struct nr_schema_field *field,
                         const struct nr_node *node, struct here here, void *section)
{
    struct nr_value value;

    switch (field->type) {
    case NR_SCHEMA_LIST: load_list(l, field, node, here, section); return;
    case NR_SCHEMA_SET: load_set(l, field, node, here, section); return;
    case NR_SCHEMA_SECTIONS: load_sections(l, field, node, here, section); return;
    case NR_SCHEMA_MAP: load_map(l, field, node, here, section); return;
    case NR_SCHEMA_JSON: memcpy((char *)section + field->offset, &node, sizeof(node)); return;
    default: break;
    }
    nr_assert(field->bytes == nr_value_bytes(field->type)); /* the table is wrong */
    if (load_scalar(l, field, field->type, node, here, &value))
        nr_value_store(field->type, &value, (char *)section + field->offset);
}

static void load_field(struct loader *l, const struct nr_schema_field *field,
                       const struct nr_node *node, struct here here, void *section)
{
    struct nr_node scalar;

    if (field->type == NR_SCHEMA_SECTION) {
        load_nested(l, field, node, here, section);
        return;
    }
    if (node == NULL)
        node = default_node(l, field, here.place, &scalar);
    if (node != NULL)
        load_present(l, field, node, here, section);
}

static void load_fields(struct loader *l, const struct nr_schema *schema,
                        const struct nr_node *node, const struct nr_section *at, void *to)
{
    /* A scalar or list that stands for one field of the section. */
    bool shorthand = node != NULL && node->kind != NR_NODE_MAPPING;

    for (uint32_t i = 0; i < schema->count; i++) {
        const struct nr_schema_field *field = &schema->fields[i];
        const struct nr_node *child = nr_node_get(node, nr_span_of(field->name));

        if (shorthand && strcmp(field->name, schema->shorthand) == 0)
            child = node;
        if (child != NULL && child->null && field->type != NR_SCHEMA_JSON &&
            field->type != NR_SCHEMA_STRING)
            child = NULL; /* `retry:` with nothing behind it is as if it were not there */
        if (is_required(field, child, node))
            nr_diags_add(l->diags, NR_DIAG_ERROR, NULL, at->place, at->path, NULL,
                         child == NULL ? "missing field '%s'" : "'%s' must not be empty",
                         field->name);
        else
            load_field(l, field, child, inside(at->path, at->place, child, field->name), to);
    }
}

static void load_section(struct loader *l, const struct nr_schema *schema,
                         const struct nr_node *node, struct here here, void *to)
{
    uint32_t errors = l->diags->errors;
    struct nr_section *at = to;

    *at = (struct nr_section){.node = node, .place = here.place, .path = path_of(l, &here)};
    if (node != NULL && node->kind != NR_NODE_MAPPING &&
        (schema->shorthand == NULL || node->null)) {
        wrong(l, node, here, "a mapping", "");
        return;
    }
    load_fields(l, schema, node, at, to);
    if (node != NULL && node->kind == NR_NODE_MAPPING)
        nr_load_unknown(l->arena, l->diags, node, at->path, "field", field_name, schema,
                        schema->count);
    if (l->diags->errors == errors && schema->check != NULL)
        schema->check(to, l->arena, l->diags);
}

void nr_load_root(struct nr_arena *arena, struct nr_diags *diags, const struct nr_schema_root *root,
                  const struct nr_node *tree, void *to)
{
    struct loader l = {arena, diags};
    const struct nr_node *node = nr_node_get(tree, nr_span_of(root->field.name));

    if (node != NULL && node->null)
        node = NULL;
    load_field(&l, &root->field, node, inside("", tree->place, node, root->field.name), to);
}
