/* SPDX-License-Identifier: Apache-2.0 */
/* router.c - a host table, and per host a compressed trie over path bytes.
 *
 * Every node owns the bytes that lead to it from its parent; no two children of a node begin with
 * the same byte. A rule for "/a/b" hangs as `exact` at the node for "/a/b"; one for "/a/b/" + "*"
 * hangs as `prefix` at that same node, and matches there only if the path ends or goes on with '/',
 * which is how it matches "/a/b" itself but not "/a/bc". "/" + "*" hangs at the root, the empty
 * path.
 *
 * The search walks down once and notes the prefix candidates on its way in a small stack, deepest
 * last, so that a rule refused for its method falls back to the next shorter one. */
#include "gateway/router.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/assert.h"

enum {
    HOST_BYTES_MAX = 255,
    DEPTH_MAX =
        64, /* prefix candidates remembered; the shallowest beyond are never needed in practice */
};

struct leaf {
    struct leaf *next; /* in the order of the configuration */
    uint64_t methods;
    uint32_t rule;
};

struct node {
    struct nr_span label;
    unsigned char *first; /* of each child's label, ascending */
    struct node **children;
    uint32_t child_count;
    uint32_t child_cap;
    struct leaf *exact;
    struct leaf *prefix;
};

struct host {
    struct nr_span name; /* for a wildcard: ".example.com" */
    struct node *root;
};

struct nr_router {
    struct nr_arena arena;
    struct host *exact; /* sorted by name */
    uint32_t exact_count;
    struct host *wildcards; /* longest first */
    uint32_t wildcard_count;
    struct node *any; /* NULL: every rule names its hosts */
};

/* ---- building ---- */

static struct node *node_new(struct nr_arena *arena, struct nr_span label)
{
    struct node *node = nr_arena_zalloc(arena, sizeof(*node));

    node->label = label;
    return node;
}

/* Where the child that begins with byte is, or would be. */
static uint32_t child_at(const struct node *node, unsigned char byte)
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

static struct node *child_of(const struct node *node, unsigned char byte)
{
    uint32_t at = child_at(node, byte);

    return at < node->child_count && node->first[at] == byte ? node->children[at] : NULL;
}

static void grow_children(struct nr_arena *arena, struct node *node)
{
    uint32_t cap = node->child_cap == 0 ? 2 : node->child_cap * 2;
    struct node **children = nr_arena_alloc(arena, cap * sizeof(*children));
    unsigned char *first = nr_arena_alloc(arena, cap);

    if (node->child_count > 0) {
        memcpy(children, node->children, node->child_count * sizeof(*children));
        memcpy(first, node->first, node->child_count);
    }
    node->children = children;
    node->first = first;
    node->child_cap = cap;
}

static void add_child(struct nr_arena *arena, struct node *node, struct node *child)
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
static void split(struct nr_arena *arena, struct node *node, size_t keep)
{
    struct node *below = nr_arena_alloc(arena, sizeof(*below));

    *below = *node;
    below->label = nr_span_from(node->label, keep);
    *node = (struct node){.label = {node->label.ptr, keep}};
    add_child(arena, node, below);
}

static size_t common_bytes(struct nr_span a, struct nr_span b)
{
    size_t n = a.len < b.len ? a.len : b.len, i = 0;

    while (i < n && a.ptr[i] == b.ptr[i])
        i++;
    return i;
}

static struct node *node_for(struct nr_arena *arena, struct node *node, struct nr_span path)
{
    while (path.len > 0) {
        struct node *child = child_of(node, (unsigned char)path.ptr[0]);
        size_t common;

        if (child == NULL) {
            child = node_new(arena, path);
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

static void add_leaf(struct nr_arena *arena, struct leaf **list, uint64_t methods, uint32_t rule)
{
    struct leaf *leaf = nr_arena_alloc(arena, sizeof(*leaf));

    *leaf = (struct leaf){.methods = methods == 0 ? UINT64_MAX : methods, .rule = rule};
    while (*list != NULL)
        list = &(*list)->next;
    *list = leaf;
}

static void add_rule(struct nr_arena *arena, struct node *root, const struct nr_router_rule *rule,
                     uint32_t index)
{
    struct nr_span path = rule->path;
    bool prefix = path.len >= 2 && memcmp(path.ptr + path.len - 2, "/*", 2) == 0;

    if (prefix)
        path.len -= 2;
    struct node *node = node_for(arena, root, path);
    add_leaf(arena, prefix ? &node->prefix : &node->exact, rule->methods, index);
}

static int compare_spans(struct nr_span a, struct nr_span b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = memcmp(a.ptr, b.ptr, n);

    if (order != 0)
        return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

static int by_name(const void *a, const void *b)
{
    return compare_spans(((const struct host *)a)->name, ((const struct host *)b)->name);
}

static int by_length_then_name(const void *a, const void *b)
{
    const struct host *x = a, *y = b;

    if (x->name.len != y->name.len)
        return x->name.len > y->name.len ? -1 : 1;
    return compare_spans(x->name, y->name);
}

static bool is_wildcard(struct nr_span host)
{
    return host.len > 2 && host.ptr[0] == '*' && host.ptr[1] == '.';
}

static void collect_hosts(struct nr_router *router, const struct nr_router_rule *rules,
                          uint32_t count)
{
    size_t total = 0;

    for (uint32_t i = 0; i < count; i++)
        total += rules[i].host_count;
    router->exact = nr_arena_alloc(&router->arena, total * sizeof(struct host));
    router->wildcards = nr_arena_alloc(&router->arena, total * sizeof(struct host));
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < rules[i].host_count; j++) {
            struct nr_span name = rules[i].hosts[j];

            if (is_wildcard(name))
                router->wildcards[router->wildcard_count++].name = nr_span_from(name, 1);
            else
                router->exact[router->exact_count++].name = name;
        }
    }
}

/* Sort, keep one of each name, give each its trie. */
static uint32_t settle_hosts(struct nr_arena *arena, struct host *hosts, uint32_t count,
                             int (*compare)(const void *, const void *))
{
    uint32_t kept = 0;

    if (count == 0)
        return 0;
    qsort(hosts, count, sizeof(*hosts), compare);
    for (uint32_t i = 0; i < count; i++)
        if (kept == 0 || !nr_span_eq(hosts[kept - 1].name, hosts[i].name))
            hosts[kept++] = hosts[i];
    for (uint32_t i = 0; i < kept; i++)
        hosts[i].root = node_new(arena, NR_SPAN(""));
    return kept;
}

static struct host *find_host(struct host *hosts, uint32_t count, struct nr_span name,
                              int (*compare)(const void *, const void *))
{
    struct host key = {.name = name};

    return count == 0 ? NULL : bsearch(&key, hosts, count, sizeof(*hosts), compare);
}

static struct node *root_for(struct nr_router *router, struct nr_span host)
{
    struct host *found = is_wildcard(host)
                             ? find_host(router->wildcards, router->wildcard_count,
                                         nr_span_from(host, 1), by_length_then_name)
                             : find_host(router->exact, router->exact_count, host, by_name);

    nr_assert(found != NULL);
    return found->root;
}

struct nr_router *nr_router_new(const struct nr_router_rule *rules, uint32_t count)
{
    struct nr_router *router = calloc(1, sizeof(*router));

    nr_assert(router != NULL);
    nr_arena_init(&router->arena, NULL, 0);
    collect_hosts(router, rules, count);
    router->exact_count = settle_hosts(&router->arena, router->exact, router->exact_count, by_name);
    router->wildcard_count = settle_hosts(&router->arena, router->wildcards, router->wildcard_count,
                                          by_length_then_name);
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < rules[i].host_count; j++)
            add_rule(&router->arena, root_for(router, rules[i].hosts[j]), &rules[i], i);
        if (rules[i].host_count > 0)
            continue;
        if (router->any == NULL)
            router->any = node_new(&router->arena, NR_SPAN(""));
        add_rule(&router->arena, router->any, &rules[i], i);
    }
    return router;
}

void nr_router_free(struct nr_router *router)
{
    if (router == NULL)
        return;
    nr_arena_done(&router->arena);
    free(router);
}

/* ---- searching ---- */

struct search {
    uint64_t method_bit;
    uint64_t allowed; /* methods of rules that were passed over */
};

static const struct leaf *fitting(const struct leaf *leaf, struct search *search)
{
    for (; leaf != NULL; leaf = leaf->next) {
        if (leaf->methods & search->method_bit)
            return leaf;
        search->allowed |= leaf->methods;
    }
    return NULL;
}

static const struct leaf *search_trie(const struct node *node, struct nr_span path,
                                      struct search *search)
{
    const struct leaf *prefixes[DEPTH_MAX];
    const struct leaf *found;
    uint32_t depth = 0;

    while (node != NULL) {
        if (node->prefix != NULL && (path.len == 0 || path.ptr[0] == '/'))
            prefixes[depth++ % DEPTH_MAX] = node->prefix;
        if (path.len == 0) {
            found = fitting(node->exact, search);
            if (found != NULL)
                return found;
            break;
        }
        node = child_of(node, (unsigned char)path.ptr[0]);
        if (node == NULL || !nr_span_starts_with(path, node->label))
            break;
        path = nr_span_from(path, node->label.len);
    }
    for (uint32_t left = depth < DEPTH_MAX ? depth : DEPTH_MAX; left > 0; left--) {
        found = fitting(prefixes[--depth % DEPTH_MAX], search);
        if (found != NULL)
            return found;
    }
    return NULL;
}

/* The host in lower case, without port and a final dot; empty when it is too long to be one. */
static struct nr_span plain_host(struct nr_span authority, char *to)
{
    size_t len = 0;

    for (size_t i = 0; i < authority.len && i < HOST_BYTES_MAX; i++) {
        if (authority.ptr[i] == ':' && authority.ptr[0] != '[')
            break;
        to[len++] = nr_ascii_lower(authority.ptr[i]);
        if (authority.ptr[i] == ']')
            break;
    }
    if (len > 1 && to[len - 1] == '.')
        len--;
    return (struct nr_span){to, len};
}

static const struct leaf *search_hosts(const struct nr_router *router, struct nr_span authority,
                                       struct nr_span path, struct search *search)
{
    char text[HOST_BYTES_MAX];
    struct nr_span host = plain_host(authority, text);
    struct host *exact = find_host(router->exact, router->exact_count, host, by_name);
    const struct leaf *found = NULL;

    if (exact != NULL)
        found = search_trie(exact->root, path, search);
    for (uint32_t i = 0; found == NULL && i < router->wildcard_count; i++) {
        struct nr_span suffix = router->wildcards[i].name;

        if (host.len > suffix.len &&
            memcmp(host.ptr + host.len - suffix.len, suffix.ptr, suffix.len) == 0)
            found = search_trie(router->wildcards[i].root, path, search);
    }
    return found;
}

enum nr_router_verdict nr_router_find(const struct nr_router *router, struct nr_span authority,
                                      struct nr_span path, enum nr_method method,
                                      uint32_t *ret_rule, uint64_t *ret_methods)
{
    struct search search = {.method_bit = (uint64_t)1 << method};
    const struct leaf *found = NULL;

    if (router->exact_count + router->wildcard_count > 0)
        found = search_hosts(router, authority, path, &search);
    if (found == NULL && router->any != NULL)
        found = search_trie(router->any, path, &search);
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
