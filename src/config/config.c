/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/assert.h"
#include "config/load.h"
#include "config/tree.h"

static struct nr_span root_name(const void *arg, uint32_t index)
{
    return nr_span_of(((const struct nr_config *)arg)->roots[index]->field.name);
}

static struct nr_config *config_new(const struct nr_schema_root *const *roots, uint32_t root_count)
{
    struct nr_config *config = calloc(1, sizeof(*config));

    nr_assert(config != NULL);
    atomic_init(&config->refs, 1);
    nr_arena_init(&config->arena, NULL, 0);
    config->roots = roots;
    config->root_count = root_count;
    config->structs = nr_arena_zalloc(&config->arena, root_count * sizeof(void *));
    return config;
}

/* What the command line says instead of the files. */
static enum nr_code set_all(struct nr_config *config, const struct nr_config_source *source,
                            struct nr_diags *diags)
{
    uint32_t errors = diags->errors;

    for (uint32_t i = 0; source != NULL && i < source->set_count; i++)
        nr_node_set(&config->arena, source, config->tree, source->sets[i], diags);
    return diags->errors == errors ? NR_OK : NR_ECONFIG;
}

/* Tree to structs. Takes the reference over. */
static enum nr_code finish(struct nr_config *config, enum nr_code code, struct nr_diags *diags,
                           struct nr_config **ret_config)
{
    uint32_t errors = diags->errors;

    if (code == NR_OK) {
        nr_load_unknown(&config->arena, diags, config->tree, "", "section", root_name, config,
                        config->root_count);
        for (uint32_t i = 0; i < config->root_count; i++) {
            const struct nr_schema_root *root = config->roots[i];

            config->structs[i] = nr_arena_zalloc(&config->arena, root->bytes);
            nr_load_root(&config->arena, diags, root, config->tree, config->structs[i]);
        }
        for (uint32_t i = 0; i < config->root_count && diags->errors == errors; i++)
            if (config->roots[i]->check != NULL)
                config->roots[i]->check(config, diags);
    }
    nr_diags_sort(diags);
    if (code == NR_OK && diags->errors == errors) {
        *ret_config = config;
        return NR_OK;
    }
    nr_config_unref(config);
    return NR_ECONFIG;
}

enum nr_code nr_config_load(const struct nr_schema_root *const *roots, uint32_t root_count,
                            const struct nr_config_source *source, const char *path,
                            struct nr_diags *diags, struct nr_config **ret_config)
{
    struct nr_config *config = config_new(roots, root_count);
    enum nr_code code = nr_node_load(&config->arena, source, path, diags, &config->tree);

    if (code == NR_OK)
        code = set_all(config, source, diags);
    return finish(config, code, diags, ret_config);
}

enum nr_code nr_config_load_bytes(const struct nr_schema_root *const *roots, uint32_t root_count,
                                  const struct nr_config_source *source, const char *name,
                                  struct nr_span bytes, struct nr_diags *diags,
                                  struct nr_config **ret_config)
{
    struct nr_config *config = config_new(roots, root_count);
    enum nr_code code = nr_node_parse(&config->arena, source, name, bytes, diags, &config->tree);

    if (code == NR_OK)
        code = set_all(config, source, diags);
    return finish(config, code, diags, ret_config);
}

/* A mapping of one entry around a value. */
static struct nr_node *wrapped(struct nr_arena *arena, const char *file, const char *key,
                               struct nr_node *value)
{
    struct nr_node *mapping = nr_arena_zalloc(arena, sizeof(*mapping));

    mapping->kind = NR_NODE_MAPPING;
    mapping->place = (struct nr_place){file, 1, 1};
    if (value == NULL)
        return mapping;
    value->key = nr_span_of(key);
    value->key_place = value->place;
    nr_node_append(mapping, value);
    return mapping;
}

enum nr_code nr_config_load_value(const struct nr_schema_root *const *root,
                                  const struct nr_config_source *source, const char *name,
                                  struct nr_span bytes, struct nr_diags *diags,
                                  struct nr_config **ret_config)
{
    struct nr_config *config = config_new(root, 1);
    const char *file = nr_arena_dup(&config->arena, nr_span_of(name)).ptr;
    uint32_t errors = diags->errors;

    nr_tree_build(&config->arena, source, file, bytes, diags, &config->tree);
    if (config->tree == NULL || config->tree->kind != NR_NODE_MAPPING)
        config->tree = wrapped(&config->arena, file, (*root)->field.name, config->tree);
    return finish(config, diags->errors > errors ? NR_ECONFIG : NR_OK, diags, ret_config);
}

struct nr_config *nr_config_ref(struct nr_config *config)
{
    atomic_fetch_add_explicit(&config->refs, 1, memory_order_relaxed);
    return config;
}

void nr_config_unref(struct nr_config *config)
{
    if (config == NULL || atomic_fetch_sub_explicit(&config->refs, 1, memory_order_acq_rel) != 1)
        return;
    nr_arena_done(&config->arena);
    free(config);
}

bool nr_config_alone(const struct nr_config *config)
{
    return atomic_load_explicit(&config->refs, memory_order_acquire) == 1;
}

const void *nr_config_get(const struct nr_config *config, const struct nr_schema_root *root)
{
    for (uint32_t i = 0; i < config->root_count; i++)
        if (config->roots[i] == root)
            return config->structs[i];
    return NULL;
}

uint32_t nr_config_root_count(const struct nr_config *config)
{
    return config->root_count;
}

const struct nr_schema_root *nr_config_root(const struct nr_config *config, uint32_t index)
{
    nr_assert(index < config->root_count);
    return config->roots[index];
}

const struct nr_node *nr_config_tree(const struct nr_config *config)
{
    return config->tree;
}

struct nr_place nr_config_where(const struct nr_config *config, const char *path)
{
    char shorter[512];
    size_t len = strlen(path);

    while (len > 0 && len < sizeof(shorter)) {
        const struct nr_node *node;

        memcpy(shorter, path, len);
        shorter[len] = '\0';
        node = nr_node_find(config->tree, shorter);
        if (node != NULL)
            return nr_node_place(node);
        while (len > 0 && path[len - 1] != '.' && path[len - 1] != '[')
            len--;
        if (len > 0)
            len--;
    }
    return config->tree->place;
}

static const struct nr_node *written(const struct nr_section *at, const char *field)
{
    return field == NULL ? NULL : nr_node_get(at->node, nr_span_of(field));
}

struct nr_place nr_section_where(const struct nr_section *at, const char *field)
{
    const struct nr_node *node = written(at, field);

    return node == NULL ? at->place : node->place;
}

bool nr_section_has(const struct nr_section *at, const char *field)
{
    const struct nr_node *node = written(at, field);

    return node != NULL && !node->null;
}

void nr_section_error(const struct nr_section *at, const char *field, struct nr_diags *diags,
                      const char *fix, const char *format, ...)
{
    char text[NR_ERR_TEXT_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    nr_diags_add(diags, NR_DIAG_ERROR, NULL, nr_section_where(at, field), at->path, fix, "%s",
                 text);
}
