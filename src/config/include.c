/* SPDX-License-Identifier: Apache-2.0 */
/* include.c - several files into one tree.
 *
 * The top level of every file is a mapping of sections. A section that two files write
 * is merged by its entries, so that each team keeps its services in a file of its own; an
 * entry that two files write is refused, because whichever won would surprise someone.
 * Deeper levels are never merged, for the same reason. Files are visited depth first, in the
 * order written; names that a wildcard finds are sorted, so that the order is the same
 * everywhere. */
#include <fnmatch.h>
#include <stdlib.h>

#include "config/text.h"
#include "config/tree.h"

struct merge {
    struct nr_arena *arena;
    const struct nr_config_source *source;
    struct nr_diags *diags;
    struct nr_node *root;                 /* the result: a mapping */
    const char *files[NR_NODE_FILES_MAX]; /* all visited */
    bool open[NR_NODE_FILES_MAX];         /* still being visited: finding it again is a cycle */
    uint32_t file_count;
};

static void visit_bytes(struct merge *m, const char *file, struct nr_span bytes);

/* Where two entries meet, in words that name both places. */
static void refuse_double(struct merge *m, const struct nr_node *again, const struct nr_node *first)
{
    nr_diags_error(m->diags, again->key_place, "%s is already defined at %s:%u:%u",
                   nr_text_quote(again->key, m->arena), first->key_place.file,
                   first->key_place.line, first->key_place.column);
}

static void merge_section(struct merge *m, struct nr_node *into, struct nr_node *from)
{
    struct nr_node *entry = from->first, *next;

    if (from->null)
        return;
    if (into->kind != NR_NODE_MAPPING || from->kind != NR_NODE_MAPPING) {
        refuse_double(m, from, into);
        return;
    }
    for (; entry != NULL; entry = next) {
        const struct nr_node *there = nr_node_get(into, entry->key);

        next = entry->next;
        if (there != NULL)
            refuse_double(m, entry, there);
        else
            nr_node_append(into, entry);
    }
}

static void merge_file(struct merge *m, const struct nr_node *top)
{
    bool first = m->root->count == 0; /* keys of one file are known to differ: no search needed */
    struct nr_node *section = top->first, *next;

    for (; section != NULL; section = next) {
        struct nr_node *there = first ? NULL : (struct nr_node *)nr_node_get(m->root, section->key);

        next = section->next;
        if (nr_span_eq(section->key, NR_SPAN("include")))
            continue;
        if (there == NULL) {
            nr_node_append(m->root, section);
        } else if (there->null) {
            section->next = there->next;
            *there = *section;
        } else {
            merge_section(m, there, section);
        }
    }
}

static void visit_file(struct merge *m, const char *path, struct nr_place asked)
{
    struct nr_err err = {0};
    struct nr_span bytes;

    for (uint32_t i = 0; i < m->file_count; i++) {
        if (strcmp(m->files[i], path) != 0)
            continue;
        nr_diags_error(m->diags, asked, "'%s' is included %s", path,
                       m->open[i] ? "by itself: a cycle" : "twice");
        return;
    }
    if (m->source == NULL || m->source->read == NULL) {
        nr_diags_error(m->diags, asked, "cannot read '%s': there are no files here", path);
        return;
    }
    if (m->file_count == NR_NODE_FILES_MAX) {
        nr_diags_error(m->diags, asked, "more than %d files", NR_NODE_FILES_MAX);
        return;
    }
    if (m->source->read(m->source->arg, path, NR_NODE_FILE_BYTES_MAX, m->arena, &bytes, &err) !=
        NR_OK) {
        nr_diags_error(m->diags, asked, "cannot read '%s': %s", path,
                       err.text[0] != '\0' ? err.text : "no such file");
        return;
    }
    visit_bytes(m, path, bytes);
}

static int by_name(const void *left, const void *right)
{
    return strcmp(((const struct nr_span *)left)->ptr, ((const struct nr_span *)right)->ptr);
}

/* `directory` ends in '/', or is empty. */
static void visit_wildcard(struct merge *m, struct nr_span directory, const char *pattern,
                           struct nr_place asked)
{
    const char *path = nr_arena_dup(m->arena, directory.len == 0 ? NR_SPAN("./") : directory).ptr;
    struct nr_err err = {0};
    struct nr_span *names = NULL;
    uint32_t count = 0, used = 0;

    if (memchr(directory.ptr, '*', directory.len) != NULL) {
        nr_diags_error(m->diags, asked, "only the last part of a name may hold a wildcard");
        return;
    }
    if (m->source == NULL || m->source->list == NULL) {
        nr_diags_error(m->diags, asked, "wildcards are not possible here");
        return;
    }
    if (m->source->list(m->source->arg, path, m->arena, &names, &count, &err) != NR_OK) {
        nr_diags_error(m->diags, asked, "cannot read '%s': %s", path, err.text);
        return;
    }
    if (count > 1)
        qsort(names, count, sizeof(*names), by_name);
    for (uint32_t i = 0; i < count; i++) {
        if (fnmatch(pattern, names[i].ptr, FNM_PERIOD) != 0)
            continue;
        used++;
        visit_file(
            m,
            nr_arena_printf(m->arena, "%.*s%s", (int)directory.len, directory.ptr, names[i].ptr)
                .ptr,
            asked);
    }
    if (used == 0)
        nr_diags_add(m->diags, NR_DIAG_WARNING, "config", asked, "include", NULL,
                     "no file matches '%s%s'", directory.len == 0 ? "" : path, pattern);
}

static void visit_include(struct merge *m, const struct nr_node *node, const char *file)
{
    const char *slash = strrchr(file, '/');
    size_t folder_len = slash == NULL || node->text.ptr[0] == '/' ? 0 : (size_t)(slash - file) + 1;
    struct nr_span path;
    size_t directory_len;

    if (node->kind != NR_NODE_SCALAR || node->text.len == 0) {
        nr_diags_error(m->diags, node->place, "expected the name of a file to include");
        return;
    }
    path = nr_arena_printf(m->arena, "%.*s%s", (int)folder_len, file, node->text.ptr);
    directory_len = path.len;
    while (directory_len > 0 && path.ptr[directory_len - 1] != '/')
        directory_len--;
    if (memchr(path.ptr, '*', path.len) == NULL)
        visit_file(m, path.ptr, node->place);
    else
        visit_wildcard(m, (struct nr_span){path.ptr, directory_len}, path.ptr + directory_len,
                       node->place);
}

static void visit_includes(struct merge *m, const struct nr_node *top, const char *file)
{
    const struct nr_node *include = nr_node_get(top, NR_SPAN("include"));

    if (include == NULL || include->null)
        return;
    if (include->kind == NR_NODE_SCALAR) {
        visit_include(m, include, file);
    } else if (include->kind == NR_NODE_SEQUENCE) {
        for (const struct nr_node *each = include->first; each != NULL; each = each->next)
            visit_include(m, each, file);
    } else {
        nr_diags_error(m->diags, include->place, "expected a file or a list of files to include");
    }
}

static void visit_bytes(struct merge *m, const char *file, struct nr_span bytes)
{
    uint32_t index = m->file_count++;
    struct nr_node *top;

    m->files[index] = file;
    m->open[index] = true;
    nr_tree_build(m->arena, m->source, file, bytes, m->diags, &top);
    if (top != NULL && !(top->kind == NR_NODE_SCALAR && top->null)) {
        if (top->kind != NR_NODE_MAPPING) {
            nr_diags_error(m->diags, top->place, "expected sections such as 'gateway:', got %s",
                           top->kind == NR_NODE_SEQUENCE ? "a list"
                                                         : nr_text_quote(top->text, m->arena));
        } else {
            visit_includes(m, top, file);
            merge_file(m, top);
        }
    }
    m->open[index] = false;
}

static struct merge *merge_new(struct nr_arena *arena, const struct nr_config_source *source,
                               const char *file, struct nr_diags *diags)
{
    struct merge *m = nr_arena_zalloc(arena, sizeof(*m));

    m->arena = arena;
    m->source = source;
    m->diags = diags;
    m->root = nr_arena_zalloc(arena, sizeof(*m->root));
    m->root->kind = NR_NODE_MAPPING;
    m->root->place = (struct nr_place){file, 1, 1};
    return m;
}

enum nr_code nr_node_parse(struct nr_arena *arena, const struct nr_config_source *source,
                           const char *name, struct nr_span bytes, struct nr_diags *diags,
                           struct nr_node **ret_root)
{
    const char *file = nr_arena_dup(arena, nr_span_of(name)).ptr;
    struct merge *m = merge_new(arena, source, file, diags);
    uint32_t errors = diags->errors;

    visit_bytes(m, file, bytes);
    if (diags->errors > errors)
        return NR_ECONFIG;
    *ret_root = m->root;
    return NR_OK;
}

enum nr_code nr_node_load(struct nr_arena *arena, const struct nr_config_source *source,
                          const char *path, struct nr_diags *diags, struct nr_node **ret_root)
{
    const char *file = nr_arena_dup(arena, nr_span_of(path)).ptr;
    struct merge *m = merge_new(arena, source, file, diags);
    uint32_t errors = diags->errors;

    visit_file(m, file, (struct nr_place){NULL, 0, 0});
    if (diags->errors > errors)
        return NR_ECONFIG;
    *ret_root = m->root;
    return NR_OK;
}
