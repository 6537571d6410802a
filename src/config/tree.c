/* SPDX-License-Identifier: Apache-2.0 */
/* tree.c - libyaml's events into a tree, one file.
 *
 * A stack of open collections stands in for recursion, so hostile nesting costs 32 pointers and
 * then an error. Within a mapping scalars are keys and values by turns: `key` holds the key that
 * waits for its value. Where libyaml itself gives up we stop; what only we refuse (anchors,
 * tags, duplicates) is reported and passed over, so that one run shows as much as it can. */
#include "config/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#include "base/assert.h"
#include "config/text.h"

struct builder {
    struct nr_arena *arena;
    const struct nr_config_source *source;
    struct nr_diags *diags;
    const char *file;
    struct nr_span bytes;
    struct nr_node *open[NR_NODE_DEPTH_MAX];
    uint32_t depth;
    struct nr_span key; /* ptr NULL: none waits */
    struct nr_place key_place;
    struct nr_node *root;
    bool seen_document;
};

static struct nr_place place_of(const struct builder *b, yaml_mark_t mark)
{
    return (struct nr_place){b->file, (uint32_t)mark.line + 1, (uint32_t)mark.column + 1};
}

void nr_node_append(struct nr_node *parent, struct nr_node *child)
{
    child->next = NULL;
    if (parent->last == NULL)
        parent->first = child;
    else
        parent->last->next = child;
    parent->last = child;
    parent->count++;
}

/* Put the node where the stack says; takes the waiting key. */
static struct nr_node *attach(struct builder *b, enum nr_node_kind kind, yaml_mark_t mark)
{
    struct nr_node *node = nr_arena_zalloc(b->arena, sizeof(*node));
    struct nr_node *parent = b->depth == 0 ? NULL : b->open[b->depth - 1];

    node->kind = kind;
    node->place = place_of(b, mark);
    if (parent == NULL) {
        b->root = node;
        return node;
    }
    if (parent->kind == NR_NODE_MAPPING) {
        node->key = b->key;
        node->key_place = b->key_place;
        b->key = (struct nr_span){NULL, 0};
    }
    nr_node_append(parent, node);
    return node;
}

static bool key_is_due(const struct builder *b)
{
    return b->depth > 0 && b->open[b->depth - 1]->kind == NR_NODE_MAPPING && b->key.ptr == NULL;
}

static void refuse_decoration(struct builder *b, const unsigned char *anchor,
                              const unsigned char *tag, yaml_mark_t mark)
{
    if (anchor != NULL)
        nr_diags_error(b->diags, place_of(b, mark),
                       "anchors ('&%.40s') are not supported, write the value where it is needed",
                       (const char *)anchor);
    if (tag != NULL)
        nr_diags_error(b->diags, place_of(b, mark), "tags ('%.40s') are not supported",
                       (const char *)tag);
}

static bool plain_null(struct nr_span text)
{
    return text.len == 0 || nr_span_eq(text, NR_SPAN("~")) || nr_span_eq(text, NR_SPAN("null")) ||
           nr_span_eq(text, NR_SPAN("Null")) || nr_span_eq(text, NR_SPAN("NULL"));
}

static void on_scalar(struct builder *b, const yaml_event_t *event)
{
    struct nr_place place = place_of(b, event->start_mark);
    struct nr_span raw = {(const char *)event->data.scalar.value, event->data.scalar.length};
    struct nr_span text;
    struct nr_node *node;

    refuse_decoration(b, event->data.scalar.anchor, event->data.scalar.tag, event->start_mark);
    if (memchr(raw.ptr, '\0', raw.len) != NULL) {
        nr_diags_error(b->diags, place, "a NUL character ('\\0') is not allowed");
        raw.len = strlen(raw.ptr);
    }
    text = nr_arena_dup(b->arena, raw);
    if (key_is_due(b)) {
        b->key = text;
        b->key_place = place;
        return;
    }
    node = attach(b, NR_NODE_SCALAR, event->start_mark);
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->null = !node->quoted && plain_null(text);
    node->text = nr_tree_interpolate(b->arena, b->source, place, text, b->diags);
    node->variable = strstr(text.ptr, "${") != NULL && strstr(text.ptr, ":-") == NULL;
}

/* Returns false to stop: there is no way to go on below a key that is no text, or deeper. */
static bool on_open(struct builder *b, enum nr_node_kind kind, yaml_mark_t mark)
{
    if (key_is_due(b)) {
        nr_diags_error(b->diags, place_of(b, mark), "a key must be text, got a %s",
                       kind == NR_NODE_MAPPING ? "mapping" : "list");
        return false;
    }
    if (b->depth == NR_NODE_DEPTH_MAX) {
        nr_diags_error(b->diags, place_of(b, mark), "nested more than %d levels deep",
                       NR_NODE_DEPTH_MAX);
        return false;
    }
    b->open[b->depth] = attach(b, kind, mark);
    b->depth++;
    return true;
}

static int by_key(const void *left, const void *right)
{
    const struct nr_node *a = *(struct nr_node *const *)left, *b = *(struct nr_node *const *)right;
    int order;

    order = strcmp(a->key.ptr, b->key.ptr);
    if (order != 0)
        return order;
    if (a->key_place.line != b->key_place.line)
        return a->key_place.line < b->key_place.line ? -1 : 1;
    return a->key_place.column < b->key_place.column ? -1 : 1;
}

/* By sorting, so that a mapping of 100,000 keys is no attack. */
static void refuse_duplicates(struct builder *b, const struct nr_node *mapping)
{
    struct nr_node **sorted;
    uint32_t count = 0;

    if (mapping->count < 2)
        return;
    sorted = nr_arena_alloc(b->arena, mapping->count * sizeof(struct nr_node *));
    for (struct nr_node *entry = mapping->first; entry != NULL; entry = entry->next)
        sorted[count++] = entry;
    qsort(sorted, count, sizeof(struct nr_node *), by_key);
    for (uint32_t i = 1, first = 0; i < count; i++) {
        if (!nr_span_eq(sorted[i]->key, sorted[first]->key)) {
            first = i;
            continue;
        }
        nr_diags_error(b->diags, sorted[i]->key_place, "%s is there twice, first at line %u",
                       nr_text_quote(sorted[i]->key, b->arena), sorted[first]->key_place.line);
    }
}

static void on_close(struct builder *b)
{
    struct nr_node *closed;

    nr_assert(b->depth > 0);
    closed = b->open[--b->depth];
    if (closed->kind == NR_NODE_MAPPING)
        refuse_duplicates(b, closed);
}

static void on_alias(struct builder *b, const yaml_event_t *event)
{
    nr_diags_error(b->diags, place_of(b, event->start_mark),
                   "aliases ('*%.40s') are not supported%s", (const char *)event->data.alias.anchor,
                   key_is_due(b) ? "" : ", write the value itself, or quote the text");
    if (key_is_due(b)) {
        b->key = NR_SPAN("*");
        b->key_place = place_of(b, event->start_mark);
        return;
    }
    attach(b, NR_NODE_SCALAR, event->start_mark)->text = NR_SPAN("");
}

/* Returns false to stop. */
static bool on_event(struct builder *b, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (b->seen_document) {
            nr_diags_error(b->diags, place_of(b, event->start_mark),
                           "a second document starts here: one file is one document");
            return false;
        }
        b->seen_document = true;
        return true;
    case YAML_ALIAS_EVENT: on_alias(b, event); return true;
    case YAML_SCALAR_EVENT: on_scalar(b, event); return true;
    case YAML_SEQUENCE_START_EVENT:
        refuse_decoration(b, event->data.sequence_start.anchor, event->data.sequence_start.tag,
                          event->start_mark);
        return on_open(b, NR_NODE_SEQUENCE, event->start_mark);
    case YAML_MAPPING_START_EVENT:
        refuse_decoration(b, event->data.mapping_start.anchor, event->data.mapping_start.tag,
                          event->start_mark);
        return on_open(b, NR_NODE_MAPPING, event->start_mark);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: on_close(b); return true;
    case YAML_STREAM_END_EVENT: return false;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_END_EVENT: return true;
    }
    return true;
}

static void report_syntax(struct builder *b, const yaml_parser_t *parser)
{
    size_t at = parser->problem_mark.index;
    struct nr_place place = place_of(b, parser->problem_mark);

    /* The most common slip has the least helpful text. index counts characters, so it is only a
     * hint in files with others than ASCII; the column still is right. */
    if (at < b->bytes.len && b->bytes.ptr[at] == '\t') {
        nr_diags_error(b->diags, place, "a tab cannot indent YAML, use spaces");
        return;
    }
    nr_diags_error(b->diags, place, "not valid YAML: %s%s%s",
                   parser->problem == NULL ? "out of memory" : parser->problem,
                   parser->context == NULL ? "" : " ",
                   parser->context == NULL ? "" : parser->context);
}

static bool sound(struct builder *b)
{
    uint32_t line, column;
    const char *what;

    if (b->bytes.len > NR_NODE_FILE_BYTES_MAX) {
        nr_diags_error(b->diags, (struct nr_place){b->file, 1, 1}, "the file is larger than 64MiB");
        return false;
    }
    if (nr_span_starts_with(b->bytes, NR_SPAN("\xef\xbb\xbf")))
        b->bytes = nr_span_from(b->bytes, 3); /* byte order mark */
    if (nr_text_sound(b->bytes, &line, &column, &what))
        return true;
    nr_diags_error(b->diags, (struct nr_place){b->file, line, column}, "%s is not allowed here",
                   what[0] == 'n' ? "a byte that is not UTF-8" : what);
    return false;
}

void nr_tree_build(struct nr_arena *arena, const struct nr_config_source *source, const char *file,
                   struct nr_span bytes, struct nr_diags *diags, struct nr_node **ret_root)
{
    struct builder b = {
        .arena = arena, .source = source, .diags = diags, .file = file, .bytes = bytes};
    yaml_parser_t parser;
    yaml_event_t event;
    bool more = true;

    *ret_root = NULL;
    if (!sound(&b))
        return;
    if (!yaml_parser_initialize(&parser)) {
        nr_diags_error(diags, (struct nr_place){file, 1, 1}, "out of memory");
        return;
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)b.bytes.ptr, b.bytes.len);
    while (more) {
        if (!yaml_parser_parse(&parser, &event)) {
            report_syntax(&b, &parser);
            break;
        }
        more = on_event(&b, &event);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    *ret_root = b.root;
}
