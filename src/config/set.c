/* SPDX-License-Identifier: Apache-2.0 */
/* set.c - "path=value" from a command line, put into the tree before the tables see it: so a value
 * of it is checked as any other, and its diagnostics say where it came from. */
#include "config/text.h"
#include "config/tree.h"

struct setting {
    struct nr_arena *arena;
    struct nr_diags *diags;
    struct nr_place place; /* "--set", column of the path's part */
    const char *text;
};

static struct nr_node *mapping_new(struct setting *s)
{
    struct nr_node *node = nr_arena_zalloc(s->arena, sizeof(*node));

    node->kind = NR_NODE_MAPPING;
    node->place = s->place;
    return node;
}

/* Put `node` where `there` is, in the same list of siblings. */
static void replace(struct nr_node *there, const struct nr_node *node)
{
    struct nr_node *next = there->next;
    struct nr_span key = there->key;
    struct nr_place key_place = there->key_place;

    *there = *node;
    there->next = next;
    there->key = key;
    there->key_place = key_place;
}

static struct nr_node *entry(struct setting *s, struct nr_node *parent, struct nr_span key)
{
    struct nr_node *there = (struct nr_node *)nr_node_get(parent, key);

    if (there != NULL)
        return there;
    if (parent->kind != NR_NODE_MAPPING)
        replace(parent, mapping_new(s)); /* a shorthand, or nothing, gives way */
    there = mapping_new(s);
    there->null = true;
    there->key = nr_arena_dup(s->arena, key);
    there->key_place = s->place;
    nr_node_append(parent, there);
    parent->null = false;
    return there;
}

/* "[2]" behind a name. NULL: there is no such element. */
static struct nr_node *element(struct nr_node *parent, struct nr_span number)
{
    struct nr_node *at = parent->kind == NR_NODE_SEQUENCE ? parent->first : NULL;
    uint32_t index = 0;

    for (size_t i = 0; i < number.len; i++) {
        if (number.ptr[i] < '0' || number.ptr[i] > '9' || index > 100000)
            return NULL;
        index = index * 10 + (uint32_t)(number.ptr[i] - '0');
    }
    while (at != NULL && index-- > 0)
        at = at->next;
    return number.len == 0 ? NULL : at;
}

/* One step down the path; *at moves behind it. */
static struct nr_node *step(struct setting *s, struct nr_node *node, const char **at,
                            const char *end)
{
    const char *from = *at;
    size_t len;

    s->place.column = (uint32_t)(from - s->text) + 1;
    if (*from == '[') {
        len = strcspn(from, "]=");
        if (from + len >= end)
            return NULL;
        *at = from + len + 1;
        return element(node, (struct nr_span){from + 1, len - 1});
    }
    from += *from == '.' && from > s->text;
    len = strcspn(from, ".[=");
    *at = from + len;
    return len == 0 ? NULL : entry(s, node, (struct nr_span){from, len});
}

void nr_node_set(struct nr_arena *arena, const struct nr_config_source *source,
                 struct nr_node *root, const char *set, struct nr_diags *diags)
{
    struct setting s = {arena, diags, {"--set", 1, 1}, set};
    const char *equals = strchr(set, '='), *at = set;
    struct nr_node *node = root, *value = NULL;
    uint32_t errors = diags->errors;

    if (equals == NULL || equals == set) {
        nr_diags_error(diags, s.place, "expected path=value, got %s",
                       nr_text_quote(nr_span_of(set), arena));
        return;
    }
    nr_tree_build(arena, source, "--set", nr_span_of(equals + 1), diags, &value);
    if (diags->errors > errors)
        return;
    while (node != NULL && at < equals)
        node = step(&s, node, &at, equals);
    if (node == NULL) {
        nr_diags_error(diags, s.place, "there is nothing at %s",
                       nr_text_quote((struct nr_span){set, (size_t)(equals - set)}, arena));
        return;
    }
    if (value == NULL) {
        node->null = true;
        return;
    }
    value->place = s.place;
    replace(node, value);
}
