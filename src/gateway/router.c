/* SPDX-License-Identifier: Apache-2.0 */
/* router.c - a host table, and per host a compressed trie over path bytes.
 *
 * Every node owns the bytes that lead to it from its parent; no two children of a node begin with
 * the same byte. A rule for "/a/b" hangs as `exact` at the node for "/a/b"; one for "/a/b/" + "*"
 * hangs as `prefix` at that same node, and matches there only if the path ends or goes on with '/',
 * which is how it matches "/a/b" itself but not "/a/bc". "/" + "*" hangs at the root, the empty
 * path. What follows a parameter hangs below `param` of the node where the parameter's segment
 * begins; that node has no bytes of its own.
 *
 * The search goes down by literal bytes first. Every parameter and every prefix that it passes is
 * noted in a stack of turns; when the way ends, or the rules at its end refuse the request, the
 * latest turn is taken. So candidates come in the order that router.h states, the most specific
 * first. A request passes at most two turns for each segment that some rule has.
 *
 * The trie is grown from `sprouts`, which can be split, and then laid out for reading: a node is
 * one cache line that holds its label and its children's first bytes where they fit, and its
 * children lie side by side. So each step costs one line of memory, and with 100,000 routes all but
 * the last few steps find theirs in the cache. */
#include "gateway/router.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/assert.h"
#include "base/compiler.h"
#include "gateway/hosts.h"
#include "gateway/pattern.h"

enum { TURNS_MAX = 2 * (NR_ROUTER_SEGMENTS_MAX + 1) };

struct leaf {
    struct leaf *next; /* more conditions first, then the order of the configuration */
    const struct nr_match *match;
    uint64_t methods;
    uint32_t rule;
    uint32_t conditions;
};

/* A node that still grows. */
struct sprout {
    struct nr_span label;
    unsigned char *first; /* of each child's label, ascending */
    struct sprout **children;
    uint32_t child_count;
    uint32_t child_cap;
    struct leaf *exact;
    struct leaf *prefix;
    struct sprout *param; /* what follows a parameter that begins here */
};

enum { INLINE_BYTES = 24 };

struct node {
    const struct leaf *exact;
    const struct leaf *prefix;
    const struct node *param;
    const struct node *children;
    union {
        char bytes[INLINE_BYTES]; /* the label, then the first byte of each child's, ascending */
        const char *outside;      /* the same, when they do not fit */
    };
    uint16_t label_len;
    uint16_t child_count;
};

_Static_assert(sizeof(struct node) == NR_CACHE_LINE_BYTES, "one step, one line");

struct nr_router {
    struct nr_arena arena;
    struct nr_hosts hosts;
    struct node *any;    /* NULL: every rule names its hosts */
    struct node *nodes;  /* all of them */
    uint32_t node_count; /* laid out so far */
};

/* ---- building ---- */

static struct sprout *sprout_new(struct nr_arena *arena, struct nr_span label)
{
    struct sprout *node = nr_arena_zalloc(arena, sizeof(*node));

    node->label = label;
    return node;
}

/* Where the child that begins with byte is, or would be. */
static uint32_t child_at(const struct sprout *node, unsigned char byte)
{
    uint32_t low = 0, high = node->child_count;

    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (node->first[middle] < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct sprout *child_of(const struct sprout *node, unsigned char byte)
{
    uint32_t at = child_at(node, byte);

    return at < node->child_count && node->first[at] == byte ? node->children[at] : NULL;
}

static void grow_children(struct nr_arena *arena, struct sprout *node)
{
    uint32_t cap = node->child_cap == 0 ? 2 : node->child_cap * 2;
    struct sprout **children = nr_arena_alloc(arena, cap * sizeof(*children));
    unsigned char *first = nr_arena_alloc(arena, cap);

    if (node->child_count > 0) {
        memcpy(children, node->children, node->child_count * sizeof(*children));
        memcpy(first, node->first, node->child_count);
    }
    node->children = children;
    node->first = first;
    node->child_cap = cap;
}

static void add_child(struct nr_arena *arena, struct sprout *node, struct sprout *child)
{
    unsigned char byte = (unsigned char)child->label.ptr[0];
    uint32_t at = child_at(node, byte);
    uint32_t behind = node->child_count - at;

    if (node->child_count == node->child_cap)
        grow_children(arena, node);
    memmove(node->children + at + 1, node->children + at, behind * sizeof(*node->children));
    memmove(node->first + at + 1, node->first + at, behind);
    node->children[at] = child;
    node->first[at] = byte;
    node->child_count++;
}

/* Cut node's label after `keep` bytes: what stood at the node moves to a child below. */
static void split(struct nr_arena *arena, struct sprout *node, size_t keep)
{
    struct sprout *below = nr_arena_alloc(arena, sizeof(*below));

    *below = *node;
    below->label = nr_span_from(node->label, keep);
    *node = (struct sprout){.label = {node->label.ptr, keep}};
    add_child(arena, node, below);
}

static size_t common_bytes(struct nr_span a, struct nr_span b)
{
    size_t n = a.len < b.len ? a.len : b.len, i = 0;

    while (i < n && a.ptr[i] == b.ptr[i])
        i++;
    return i;
}

static struct sprout *node_for(struct nr_arena *arena, struct sprout *node, struct nr_span path)
{
    while (path.len > 0) {
        struct sprout *child = child_of(node, (unsigned char)path.ptr[0]);
        size_t common;

        if (child == NULL) {
            child = sprout_new(arena, path);
            add_child(arena, node, child);
            return child;
        }
        common = common_bytes(child->label, path);
        if (common < child->label.len)
            split(arena, child, common);
        node = child;
        path = nr_span_from(path, common);
    }
    return node;
}

static void add_leaf(struct nr_arena *arena, struct leaf **list, const struct nr_router_rule *rule,
                     uint32_t index)
{
    struct leaf *leaf = nr_arena_alloc(arena, sizeof(*leaf));

    *leaf = (struct leaf){
        .match = rule->match,
        .methods = rule->methods == 0 ? UINT64_MAX : rule->methods,
        .rule = index,
        .conditions = (rule->methods != 0) + (rule->match == NULL ? 0 : rule->match->count),
    };
    while (*list != NULL && (*list)->conditions >= leaf->conditions)
        list = &(*list)->next;
    leaf->next = *list;
    *list = leaf;
}

/* The trie grows in one arena, leaves are made in the other and stay. */
static void add_rule(struct nr_arena *arena, struct nr_arena *leaves, struct sprout *node,
                     const struct nr_router_rule *rule, uint32_t index)
{
    struct nr_span path = rule->path;
    bool prefix = path.len >= 2 && memcmp(path.ptr + path.len - 2, "/*", 2) == 0;
    const char *brace;

    nr_assert(nr_pattern_segments(path) <= NR_ROUTER_SEGMENTS_MAX);
    if (prefix)
        path.len -= 2;
    while (path.len > 0 && (brace = memchr(path.ptr, '{', path.len)) != NULL) {
        size_t literal = (size_t)(brace - path.ptr);
        const char *close = memchr(brace, '}', path.len - literal);

        nr_assert(literal > 0 && brace[-1] == '/' && close != NULL);
        node = node_for(arena, node, (struct nr_span){path.ptr, literal});
        if (node->param == NULL)
            node->param = sprout_new(arena, NR_SPAN(""));
        node = node->param;
        path = nr_span_from(path, (size_t)(close + 1 - path.ptr));
        nr_assert(path.len == 0 || path.ptr[0] == '/');
    }
    node = node_for(arena, node, path);
    add_leaf(leaves, prefix ? &node->prefix : &node->exact, rule, index);
}

static struct sprout *trie_of(struct nr_router *router, struct nr_arena *arena, struct nr_span name)
{
    struct nr_host *host = nr_hosts_add(&router->hosts, name);

    if (host->trie == NULL)
        host->trie = sprout_new(arena, NR_SPAN(""));
    return host->trie;
}

/* ---- laying out ---- */

static uint32_t count_nodes(const struct sprout *sprout)
{
    uint32_t count = 1;

    if (sprout->param != NULL)
        count += count_nodes(sprout->param);
    for (uint32_t i = 0; i < sprout->child_count; i++)
        count += count_nodes(sprout->children[i]);
    return count;
}

static struct node *take_nodes(struct nr_router *router, uint32_t count)
{
    struct node *nodes = router->nodes + router->node_count;

    router->node_count += count;
    return nodes;
}

static const char *text_of(const struct node *node)
{
    return (size_t)node->label_len + node->child_count <= INLINE_BYTES ? node->bytes
                                                                       : node->outside;
}

static void lay_out(struct nr_router *router, const struct sprout *sprout, struct node *node)
{
    size_t bytes = sprout->label.len + sprout->child_count;
    struct node *children = take_nodes(router, sprout->child_count);
    char *text = node->bytes;

    nr_assert(sprout->label.len <= UINT16_MAX);
    *node = (struct node){.exact = sprout->exact,
                          .prefix = sprout->prefix,
                          .children = children,
                          .label_len = (uint16_t)sprout->label.len,
                          .child_count = (uint16_t)sprout->child_count};
    if (bytes > INLINE_BYTES)
        node->outside = text = nr_arena_alloc(&router->arena, bytes);
    if (sprout->label.len > 0)
        memcpy(text, sprout->label.ptr, sprout->label.len);
    if (sprout->child_count > 0)
        memcpy(text + sprout->label.len, sprout->first, sprout->child_count);
    for (uint32_t i = 0; i < sprout->child_count; i++)
        lay_out(router, sprout->children[i], &children[i]);
    if (sprout->param != NULL) {
        struct node *param = take_nodes(router, 1);

        node->param = param;
        lay_out(router, sprout->param, param);
    }
}

static void lay_out_all(struct nr_router *router, const struct sprout *any)
{
    size_t count = any == NULL ? 0 : count_nodes(any);

    for (uint32_t i = 0; i <= router->hosts.mask; i++)
        if (router->hosts.slots[i].trie != NULL)
            count += count_nodes(router->hosts.slots[i].trie);
    router->nodes = aligned_alloc(NR_CACHE_LINE_BYTES, (count + 1) * sizeof(struct node));
    nr_assert(router->nodes != NULL);
    if (any != NULL) {
        router->any = take_nodes(router, 1);
        lay_out(router, any, router->any);
    }
    for (uint32_t i = 0; i <= router->hosts.mask; i++) {
        const struct sprout *sprout = router->hosts.slots[i].trie;
        struct node *node;

        if (sprout == NULL)
            continue;
        node = take_nodes(router, 1);
        lay_out(router, sprout, node);
        router->hosts.slots[i].trie = node;
    }
    nr_assert(router->node_count == count);
}

struct nr_router *nr_router_new(const struct nr_router_rule *rules, uint32_t count)
{
    struct nr_router *router = calloc(1, sizeof(*router));
    struct sprout *any = NULL;
    struct nr_arena growing;
    size_t names = 0;

    nr_assert(router != NULL);
    nr_arena_init(&router->arena, NULL, 0);
    nr_arena_init(&growing, NULL, 0);
    for (uint32_t i = 0; i < count; i++)
        names += rules[i].host_count;
    nr_hosts_init(&router->hosts, &router->arena, names);
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < rules[i].host_count; j++)
            add_rule(&growing, &router->arena, trie_of(router, &growing, rules[i].hosts[j]),
                     &rules[i], i);
        if (rules[i].host_count > 0)
            continue;
        if (any == NULL)
            any = sprout_new(&growing, NR_SPAN(""));
        add_rule(&growing, &router->arena, any, &rules[i], i);
    }
    lay_out_all(router, any);
    nr_arena_done(&growing);
    return router;
}

void nr_router_free(struct nr_router *router)
{
    if (router == NULL)
        return;
    free(router->nodes);
    nr_arena_done(&router->arena);
    free(router);
}

/* ---- searching ---- */

/* What nr_router_explain collects while the search runs through all candidates. */
struct explanation {
    struct nr_router_candidate *to;
    uint32_t max;
    uint32_t count;
    const struct node *trie; /* being searched */
    const struct leaf *list; /* whose rules are being asked */
    bool won;
    const struct node *winner_trie;
    const struct leaf *winner_list;
    uint32_t winner_conditions;
};

struct search {
    struct nr_span path;
    const struct nr_head *head;
    uint64_t method_bit;
    uint64_t allowed;            /* methods of rules that were passed over only for theirs */
    struct explanation *explain; /* NULL: the first that fits will do */
};

static enum nr_router_outcome outcome_of_fit(struct explanation *explain, const struct leaf *leaf)
{
    if (!explain->won) {
        explain->won = true;
        explain->winner_trie = explain->trie;
        explain->winner_list = explain->list;
        explain->winner_conditions = leaf->conditions;
        return NR_ROUTER_WON;
    }
    if (explain->trie != explain->winner_trie)
        return NR_ROUTER_LOST_HOST;
    if (explain->list != explain->winner_list)
        return NR_ROUTER_LOST_PATH;
    return leaf->conditions < explain->winner_conditions ? NR_ROUTER_LOST_COUNT
                                                         : NR_ROUTER_LOST_ORDER;
}

static void note(struct explanation *explain, const struct leaf *leaf, bool method,
                 const struct nr_condition *failed)
{
    struct nr_router_candidate candidate = {.rule = leaf->rule, .failed = failed};

    if (!method)
        candidate.outcome = NR_ROUTER_LOST_METHOD;
    else if (failed != NULL)
        candidate.outcome = NR_ROUTER_LOST_CONDITION;
    else
        candidate.outcome = outcome_of_fit(explain, leaf);
    if (explain->count < explain->max)
        explain->to[explain->count] = candidate;
    explain->count++;
}

static const struct leaf *fitting(const struct leaf *leaf, struct search *search)
{
    if (search->explain != NULL)
        search->explain->list = leaf;
    for (; leaf != NULL; leaf = leaf->next) {
        bool method = (leaf->methods & search->method_bit) != 0;
        const struct nr_condition *failed = NULL;

        if (leaf->match != NULL)
            failed = nr_match_failed(leaf->match, search->head, search->path);
        if (search->explain != NULL)
            note(search->explain, leaf, method, failed);
        else if (method && failed == NULL)
            return leaf;
        if (!method && failed == NULL)
            search->allowed |= leaf->methods;
    }
    return NULL;
}

/* A way not taken yet: the prefix of a node, or what follows a parameter. */
struct turn {
    const struct node *node;
    size_t at; /* of the path: where the parameter ends */
    bool param;
};

static size_t segment_end(struct nr_span path, size_t at)
{
    const char *slash = memchr(path.ptr + at, '/', path.len - at);

    return slash == NULL ? path.len : (size_t)(slash - path.ptr);
}

/* The child that the path goes on with at *at, which moves behind its label; NULL: none. */
static const struct node *step(const struct node *node, struct nr_span path, size_t *at)
{
    const char *firsts = text_of(node) + node->label_len;
    const char *hit = memchr(firsts, path.ptr[*at], node->child_count);
    const struct node *child;

    if (hit == NULL)
        return NULL;
    child = &node->children[hit - firsts];
    if (path.len - *at < child->label_len ||
        memcmp(path.ptr + *at, text_of(child), child->label_len) != 0)
        return NULL;
    *at += child->label_len;
    return child;
}

static const struct leaf *search_trie(const struct node *node, struct search *search)
{
    struct nr_span path = search->path;
    struct turn turns[TURNS_MAX];
    const struct leaf *found;
    uint32_t depth = 0;
    size_t at = 0;

    if (search->explain != NULL)
        search->explain->trie = node;
    for (;;) {
        if (node->prefix != NULL && (at == path.len || path.ptr[at] == '/'))
            turns[depth++] = (struct turn){.node = node};
        if (at == path.len) {
            found = fitting(node->exact, search);
            if (found != NULL)
                return found;
            node = NULL;
        } else {
            if (node->param != NULL && path.ptr[at] != '/')
                turns[depth++] = (struct turn){node->param, segment_end(path, at), true};
            node = step(node, path, &at);
        }
        while (node == NULL) {
            const struct turn *turn;

            if (depth == 0)
                return NULL;
            turn = &turns[--depth];
            if (turn->param) {
                node = turn->node;
                at = turn->at;
                continue;
            }
            found = fitting(turn->node->prefix, search);
            if (found != NULL)
                return found;
        }
    }
}

static const struct leaf *search_hosts(const struct nr_router *router, struct nr_span authority,
                                       struct search *search)
{
    char text[NR_HOST_BYTES_MAX];
    struct nr_span host = nr_hosts_plain(authority, text);
    const struct leaf *found = NULL;
    const struct node *trie;

    /* A name with a dot in front is no host; in the table it would be a wildcard. */
    if (host.len == 0 || host.ptr[0] == '.')
        return NULL;
    trie = nr_hosts_find(&router->hosts, host);
    if (trie != NULL)
        found = search_trie(trie, search);
    for (size_t i = 1; router->hosts.wildcards && found == NULL && i < host.len; i++) {
        if (host.ptr[i] != '.')
            continue;
        trie = nr_hosts_find(&router->hosts, nr_span_from(host, i));
        if (trie != NULL)
            found = search_trie(trie, search);
    }
    return found;
}

static const struct leaf *search_all(const struct nr_router *router, struct nr_span authority,
                                     struct search *search)
{
    const struct leaf *found = NULL;

    if (router->hosts.count > 0)
        found = search_hosts(router, authority, search);
    if (found == NULL && router->any != NULL)
        found = search_trie(router->any, search);
    return found;
}

enum nr_router_verdict nr_router_find(const struct nr_router *router, struct nr_span authority,
                                      struct nr_span path, enum nr_method method,
                                      const struct nr_head *head, uint32_t *ret_rule,
                                      uint64_t *ret_methods)
{
    struct search search = {.path = path, .head = head, .method_bit = (uint64_t)1 << method};
    const struct leaf *found = search_all(router, authority, &search);

    if (found != NULL) {
        *ret_rule = found->rule;
        return NR_ROUTER_FOUND;
    }
    if (search.allowed != 0) {
        *ret_methods = search.allowed;
        return NR_ROUTER_NO_METHOD;
    }
    return NR_ROUTER_NO_ROUTE;
}

uint32_t nr_router_explain(const struct nr_router *router, struct nr_span authority,
                           struct nr_span path, enum nr_method method, const struct nr_head *head,
                           struct nr_router_candidate *to, uint32_t max)
{
    struct explanation explain = {.to = to, .max = max};
    struct search search = {
        .path = path, .head = head, .method_bit = (uint64_t)1 << method, .explain = &explain};

    (void)search_all(router, authority, &search);
    return explain.count;
}
