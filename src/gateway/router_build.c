/* SPDX-License-Identifier: Apache-2.0 */
/* router_build.c - from rules to the table that router.c searches.
 *
 * Nodes are first grown as `sprouts` in the order in which rules need them, with an index of their
 * own; when their number is known, each gets its slot, parents before children, because a child
 * remembers its parent's. */
#include <stdlib.h>

#include "base/assert.h"
#include "gateway/pattern.h"
#include "gateway/router.h"
#include "gateway/router_table.h"
#include "io/pages.h"

struct sprout {
    struct nr_span text;
    uint64_t hash;
    uint32_t parent;  /* a sprout, NR_ROUTER_OF_HOSTS or NR_ROUTER_UNNAMED */
    uint32_t param;   /* a sprout */
    uint32_t ends[2]; /* lists of leaves */
    uint32_t slot;
    bool literals;
};

struct builder {
    struct nr_router *router;
    struct sprout *sprouts;
    uint32_t *index; /* of sprouts by hash, open addressing */
    uint32_t index_mask;
    uint32_t sprout_count;
    uint32_t leaf_count;
};

static void *array_of(size_t count, size_t bytes)
{
    void *memory = calloc(count == 0 ? 1 : count, bytes);

    nr_assert(memory != NULL);
    return memory;
}

static uint32_t power_of_two(size_t least)
{
    size_t size = 4;

    while (size < least)
        size *= 2;
    nr_assert(size <= UINT32_MAX / 4);
    return (uint32_t)size;
}

/* ---- growing ---- */

static uint32_t sprout_new(struct builder *b, struct nr_span text, uint64_t hash, uint32_t parent)
{
    b->sprouts[b->sprout_count] = (struct sprout){.text = text,
                                                  .hash = hash,
                                                  .parent = parent,
                                                  .param = NR_ROUTER_NONE,
                                                  .ends = {NR_ROUTER_NONE, NR_ROUTER_NONE}};
    return b->sprout_count++;
}

/* The sprout of this text below the parent, made if need be. */
static uint32_t sprout_of(struct builder *b, uint32_t parent, uint64_t parent_hash,
                          struct nr_span text)
{
    uint64_t hash = nr_router_hash(parent_hash, text);
    uint32_t at = (uint32_t)hash & b->index_mask;

    for (; b->index[at] != 0; at = (at + 1) & b->index_mask) {
        const struct sprout *sprout = &b->sprouts[b->index[at] - 1];

        if (sprout->hash == hash && sprout->parent == parent && nr_span_eq(sprout->text, text))
            return b->index[at] - 1;
    }
    b->index[at] = sprout_new(b, text, hash, parent) + 1;
    return b->index[at] - 1;
}

static uint32_t host_of(struct builder *b, struct nr_span name)
{
    bool wildcard = name.len > 2 && name.ptr[0] == '*' && name.ptr[1] == '.';

    b->router->hosts = true;
    b->router->wildcards = b->router->wildcards || wildcard;
    return sprout_of(b, NR_ROUTER_OF_HOSTS, NR_ROUTER_SEED_HOST,
                     wildcard ? nr_span_from(name, 1) : name);
}

static uint32_t any_host(struct builder *b)
{
    if (b->router->any == NR_ROUTER_NONE)
        b->router->any = sprout_new(b, NR_SPAN(""), NR_ROUTER_SEED_ANY, NR_ROUTER_UNNAMED);
    return b->router->any;
}

static uint32_t param_of(struct builder *b, uint32_t node)
{
    if (b->sprouts[node].param == NR_ROUTER_NONE)
        b->sprouts[node].param = sprout_new(
            b, NR_SPAN(""), nr_router_hash_param(b->sprouts[node].hash), NR_ROUTER_UNNAMED);
    return b->sprouts[node].param;
}

static void add_leaf(struct builder *b, uint32_t *list, const struct nr_router_rule *rule,
                     uint32_t number)
{
    struct nr_router_leaf *leaves = b->router->leaves, *leaf = &leaves[b->leaf_count];

    *leaf = (struct nr_router_leaf){
        .match = rule->match,
        .methods = rule->methods == 0 ? UINT64_MAX : rule->methods,
        .rule = number,
        .conditions = (rule->methods != 0) + (rule->match == NULL ? 0 : rule->match->count),
    };
    while (*list != NR_ROUTER_NONE && leaves[*list].conditions >= leaf->conditions)
        list = &leaves[*list].next;
    leaf->next = *list;
    *list = b->leaf_count++;
}

static void add_rule(struct builder *b, uint32_t node, const struct nr_router_rule *rule,
                     uint32_t number)
{
    struct nr_span path = rule->path;
    bool prefix = nr_pattern_is_prefix(path);
    uint64_t level = 1; /* a bit */

    nr_assert(nr_pattern_segments(path) <= NR_ROUTER_SEGMENTS_MAX);
    if (prefix)
        path.len -= 2;
    while (path.len > 0) {
        struct nr_span segment = nr_router_segment(path, 0);

        nr_assert(path.ptr[0] == '/');
        if (segment.len > 0 && segment.ptr[0] == '{') {
            b->router->param_levels |= level;
            node = param_of(b, node);
        } else {
            b->router->literal_levels |= level;
            b->sprouts[node].literals = true;
            node = sprout_of(b, node, b->sprouts[node].hash, segment);
        }
        path = nr_span_from(path, 1 + segment.len);
        level <<= 1;
    }
    add_leaf(b, &b->sprouts[node].ends[prefix ? NR_ROUTER_PREFIX : NR_ROUTER_EXACT], rule, number);
}

/* ---- laying out ---- */

static uint32_t slot_of(const struct nr_router *router, uint64_t hash)
{
    uint32_t at = (uint32_t)hash & router->mask;

    while (router->slots[at].used)
        at = (at + 1) & router->mask;
    return at;
}

static void set_ends(const struct nr_router *router, const struct sprout *sprout,
                     struct nr_router_node *node)
{
    for (int end = NR_ROUTER_EXACT; end <= NR_ROUTER_PREFIX; end++) {
        uint32_t first = sprout->ends[end];
        const struct nr_router_leaf *leaf = &router->leaves[first];
        bool alone = first != NR_ROUTER_NONE && leaf->next == NR_ROUTER_NONE && leaf->match == NULL;

        node->methods[end] = alone ? leaf->methods : 0;
        node->rule[end] = alone ? leaf->rule : first;
    }
}

/* texts: where the next one that does not fit goes; moved behind it. */
static void lay_out(struct builder *b, struct sprout *sprout, char **texts)
{
    struct nr_router *router = b->router;
    struct nr_router_node *node;
    bool special = sprout->parent >= NR_ROUTER_UNNAMED;

    sprout->slot = slot_of(router, sprout->hash);
    node = &router->slots[sprout->slot];
    nr_assert(sprout->text.len <= UINT16_MAX);
    *node = (struct nr_router_node){
        .param = NR_ROUTER_NONE,
        .parent = special ? sprout->parent : b->sprouts[sprout->parent].slot,
        .hash = (uint32_t)sprout->hash,
        .text_len = (uint16_t)sprout->text.len,
        .used = true,
        .literals = sprout->literals,
    };
    set_ends(router, sprout, node);
    if (node->text_len <= NR_ROUTER_INLINE_BYTES) {
        memcpy(node->bytes, sprout->text.ptr, sprout->text.len);
        return;
    }
    node->outside = memcpy(*texts, sprout->text.ptr, sprout->text.len);
    *texts += sprout->text.len;
}

static size_t slots_bytes(const struct nr_router *router)
{
    return ((size_t)router->mask + 1) * sizeof(*router->slots);
}

static void lay_out_all(struct builder *b)
{
    struct nr_router *router = b->router;
    size_t outside = 0;
    char *texts;

    for (uint32_t i = 0; i < b->sprout_count; i++)
        if (b->sprouts[i].text.len > NR_ROUTER_INLINE_BYTES)
            outside += b->sprouts[i].text.len;
    texts = router->texts = array_of(outside, 1);
    router->mask = power_of_two((size_t)b->sprout_count * 3 / 2) - 1;
    router->slots = nr_pages_new(slots_bytes(router));
    for (uint32_t i = 0; i < b->sprout_count; i++)
        lay_out(b, &b->sprouts[i], &texts);
    for (uint32_t i = 0; i < b->sprout_count; i++)
        if (b->sprouts[i].param != NR_ROUTER_NONE)
            router->slots[b->sprouts[i].slot].param = b->sprouts[b->sprouts[i].param].slot;
    if (router->any != NR_ROUTER_NONE)
        router->any = b->sprouts[router->any].slot;
}

static void builder_init(struct builder *b, const struct nr_router_rule *rules, uint32_t count)
{
    size_t sprouts = 1, leaves = 0;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t times = rules[i].host_count > 0 ? rules[i].host_count : 1;

        leaves += times;
        sprouts += (size_t)times * (1 + nr_pattern_segments(rules[i].path));
    }
    nr_assert(leaves < NR_ROUTER_NONE);
    *b = (struct builder){.router = array_of(1, sizeof(struct nr_router)),
                          .sprouts = array_of(sprouts, sizeof(struct sprout)),
                          .index_mask = power_of_two(sprouts * 2) - 1};
    b->index = array_of((size_t)b->index_mask + 1, sizeof(*b->index));
    b->router->any = NR_ROUTER_NONE;
    b->router->leaves = array_of(leaves, sizeof(struct nr_router_leaf));
}

struct nr_router *nr_router_new(const struct nr_router_rule *rules, uint32_t count)
{
    struct builder b;

    builder_init(&b, rules, count);
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < rules[i].host_count; j++)
            add_rule(&b, host_of(&b, rules[i].hosts[j]), &rules[i], i);
        if (rules[i].host_count == 0)
            add_rule(&b, any_host(&b), &rules[i], i);
    }
    lay_out_all(&b);
    free(b.sprouts);
    free(b.index);
    return b.router;
}

void nr_router_free(struct nr_router *router)
{
    if (router == NULL)
        return;
    nr_pages_free(router->slots, slots_bytes(router));
    free(router->leaves);
    free(router->texts);
    free(router);
}
