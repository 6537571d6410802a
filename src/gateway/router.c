/* SPDX-License-Identifier: Apache-2.0 */
/* router.c - the search in a trie over path segments (router_table.h).
 *
 * A rule for "/a/b" ends as `exact` at the node for a, b; one for "/a/b/" + "*" as `prefix` at that
 * same node. "/" + "*" is a prefix at the root, the empty path. What follows a parameter hangs
 * below `param` of the node where the parameter's segment begins.
 *
 * The search goes down by literal segments first. Every parameter and every prefix that it passes
 * is noted in a stack of turns; when the way ends, or the rules at its end refuse the request, the
 * latest turn is taken. So candidates come in the order that router.h states, the most specific
 * first. A request passes at most two turns for each segment that some rule has.
 *
 * Each step reads one cache line. In a table that is larger than the caches, all lines that the way
 * is likely to read are asked for before the first is looked at, so that the search waits for
 * memory once and not once for each segment. Likely is what the rules have at that segment: a
 * literal, a parameter, or, if both, the literal. */
#include "gateway/router.h"

#include "base/compiler.h"
#include "gateway/hosts.h"
#include "gateway/router_table.h"

enum { TURNS_MAX = 2 * (NR_ROUTER_SEGMENTS_MAX + 1) };
enum { BIG_TABLE = 4096, AHEAD_MAX = 8 }; /* slots; segments */

_Static_assert(NR_ROUTER_SEGMENTS_MAX <= 64, "levels are bits");

/* ---- searching ---- */

/* What nr_router_explain collects while the search runs through all candidates. */
struct explanation {
    struct nr_router_candidate *to;
    uint32_t max;
    uint32_t count;
    const struct nr_router_node *trie; /* being searched */
    const uint32_t *list;              /* whose rules are being asked */
    bool won;
    const struct nr_router_node *winner_trie;
    const uint32_t *winner_list;
    uint32_t winner_conditions;
};

/* The hash of a child that has been looked ahead to. */
struct ahead {
    uint64_t from;
    uint64_t hash;
};

struct search {
    const struct nr_router *router;
    struct nr_span path;
    const struct nr_head *head;
    uint64_t method_bit;
    uint64_t allowed;            /* methods of rules that were passed over only for theirs */
    struct explanation *explain; /* NULL: the first that fits will do */
    struct ahead *ahead;         /* by the number of the segment … */
    uint32_t ahead_known;        /* … a bit for each that is known */
};

static enum nr_router_outcome outcome_of_fit(struct explanation *explain,
                                             const struct nr_router_leaf *leaf)
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

static void note(struct explanation *explain, const struct nr_router_leaf *leaf, bool method,
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

/* The first rule of those that end here which takes the request. */
static uint32_t fitting(const struct nr_router_node *node, enum nr_router_end end,
                        struct search *search)
{
    const struct nr_router_leaf *leaves = search->router->leaves;
    struct nr_router_leaf only = {.methods = node->methods[end],
                                  .next = NR_ROUTER_NONE,
                                  .rule = node->rule[end],
                                  .conditions = node->methods[end] != UINT64_MAX};
    const struct nr_router_leaf *leaf;

    if (node->rule[end] == NR_ROUTER_NONE)
        return NR_ROUTER_NONE;
    if (search->explain != NULL)
        search->explain->list = &node->rule[end];
    leaf = node->methods[end] != 0 ? &only : &leaves[node->rule[end]];
    for (;; leaf = &leaves[leaf->next]) {
        bool method = (leaf->methods & search->method_bit) != 0;
        const struct nr_condition *failed = NULL;

        if (leaf->match != NULL)
            failed = nr_match_failed(leaf->match, search->head, search->path);
        if (search->explain != NULL)
            note(search->explain, leaf, method, failed);
        else if (method && failed == NULL)
            return leaf->rule;
        if (!method && failed == NULL)
            search->allowed |= leaf->methods;
        if (leaf->next == NR_ROUTER_NONE)
            return NR_ROUTER_NONE;
    }
}

/* A node and the hash of the way to it. */
struct place {
    const struct nr_router_node *node; /* NULL: there is none */
    uint64_t hash;
};

static struct place child_by_hash(const struct nr_router *router, uint32_t parent, uint64_t hash,
                                  struct nr_span text)
{
    struct place place = {.hash = hash};
    uint32_t at = (uint32_t)hash & router->mask;

    for (; router->slots[at].used; at = (at + 1) & router->mask) {
        const struct nr_router_node *node = &router->slots[at];

        if (node->hash == (uint32_t)hash && node->parent == parent &&
            nr_span_eq((struct nr_span){nr_router_text(node), node->text_len}, text)) {
            place.node = node;
            break;
        }
    }
    return place;
}

/* level: the number of the segment. */
static struct place child_of(const struct search *search, struct place parent, uint32_t level,
                             struct nr_span segment)
{
    const struct nr_router *router = search->router;
    uint64_t hash;

    if (level < AHEAD_MAX && (search->ahead_known >> level & 1) != 0 &&
        search->ahead[level].from == parent.hash)
        hash = search->ahead[level].hash;
    else
        hash = nr_router_hash(parent.hash, segment);
    return child_by_hash(router, (uint32_t)(parent.node - router->slots), hash, segment);
}

/* A way not taken yet: the prefix of a node, or what follows a parameter. */
struct turn {
    struct place place;
    size_t at; /* of the path: where the parameter ends */
    uint32_t level;
    bool param;
};

static void prefetch(const struct nr_router *router, uint64_t hash)
{
    __builtin_prefetch(&router->slots[(uint32_t)hash & router->mask]);
}

/* Ask memory for what the way is likely to read from the segment at `at` on. */
static void look_ahead(struct search *search, uint64_t hash, size_t at, uint32_t level)
{
    const struct nr_router *router = search->router;

    if (router->mask < BIG_TABLE)
        return;
    for (; level < AHEAD_MAX && at < search->path.len; level++) {
        struct nr_span segment = nr_router_segment(search->path, at);
        bool param = (router->param_levels >> level & 1) != 0;
        uint64_t from = hash;

        if (param)
            prefetch(router, nr_router_hash_param(hash));
        if ((router->literal_levels >> level & 1) != 0) {
            hash = nr_router_hash(from, segment);
            prefetch(router, hash);
            search->ahead[level] = (struct ahead){from, hash};
            search->ahead_known |= 1u << level;
        } else if (param) {
            hash = nr_router_hash_param(hash);
        } else {
            return; /* no rule goes on as far */
        }
        at += 1 + segment.len;
    }
}

static struct turn turn_at_param(struct search *search, struct place place, size_t behind,
                                 uint32_t level)
{
    const struct nr_router *router = search->router;
    struct turn turn = {.at = behind, .level = level + 1, .param = true};

    turn.place.node = &router->slots[place.node->param];
    turn.place.hash = nr_router_hash_param(place.hash);
    if (level >= AHEAD_MAX || (router->literal_levels >> level & 1) != 0) { /* else it has been */
        __builtin_prefetch(turn.place.node);
        look_ahead(search, turn.place.hash, behind, level + 1);
    }
    return turn;
}

/* Go on with the latest turn: returns the rule that ends there, or NR_ROUTER_NONE with the place
 * behind a parameter in *place, or with no node there when no turn is left. */
static uint32_t turn_back(struct search *search, struct turn *turns, uint32_t *depth,
                          struct place *place, size_t *at, uint32_t *level)
{
    while (*depth > 0) {
        const struct turn *turn = &turns[--*depth];
        uint32_t found;

        if (turn->param) {
            *place = turn->place;
            *at = turn->at;
            *level = turn->level;
            return NR_ROUTER_NONE;
        }
        found = fitting(turn->place.node, NR_ROUTER_PREFIX, search);
        if (found != NR_ROUTER_NONE)
            return found;
    }
    place->node = NULL;
    return NR_ROUTER_NONE;
}

static uint32_t search_trie(struct place place, struct search *search)
{
    struct nr_span path = search->path;
    struct turn turns[TURNS_MAX];
    uint32_t depth = 0, level = 0, found;
    size_t at = 0;

    if (path.len > 0 && path.ptr[0] != '/')
        return NR_ROUTER_NONE; /* the asterisk of OPTIONS */
    if (search->explain != NULL)
        search->explain->trie = place.node;
    while (place.node != NULL) {
        const struct nr_router_node *node = place.node;

        if (node->rule[NR_ROUTER_PREFIX] != NR_ROUTER_NONE)
            turns[depth++] = (struct turn){.place = place};
        if (at == path.len) {
            found = fitting(node, NR_ROUTER_EXACT, search);
            if (found != NR_ROUTER_NONE)
                return found;
            place.node = NULL;
        } else {
            struct nr_span segment = nr_router_segment(path, at);

            at += 1 + segment.len;
            if (node->param != NR_ROUTER_NONE && segment.len > 0)
                turns[depth++] = turn_at_param(search, place, at, level);
            place = node->literals ? child_of(search, place, level, segment) : (struct place){0};
            level++;
        }
        if (place.node == NULL) {
            found = turn_back(search, turns, &depth, &place, &at, &level);
            if (found != NR_ROUTER_NONE)
                return found;
        }
    }
    return NR_ROUTER_NONE;
}

static uint32_t search_wildcards(struct nr_span host, struct search *search)
{
    uint32_t found = NR_ROUTER_NONE;

    for (size_t i = 1; found == NR_ROUTER_NONE && i < host.len; i++) {
        struct nr_span name = nr_span_from(host, i);
        struct place place;

        if (host.ptr[i] != '.')
            continue;
        place = child_by_hash(search->router, NR_ROUTER_OF_HOSTS,
                              nr_router_hash(NR_ROUTER_SEED_HOST, name), name);
        if (place.node == NULL)
            continue;
        look_ahead(search, place.hash, 0, 0);
        found = search_trie(place, search);
    }
    return found;
}

static uint32_t search_hosts(struct nr_span authority, struct search *search)
{
    const struct nr_router *router = search->router;
    char text[NR_HOST_BYTES_MAX];
    struct nr_span host = nr_hosts_plain(authority, text);
    uint64_t hash = nr_router_hash(NR_ROUTER_SEED_HOST, host);
    uint32_t found;

    /* A name with a dot in front is no host; in the table it would be a wildcard. */
    if (host.len == 0 || host.ptr[0] == '.')
        return NR_ROUTER_NONE;
    prefetch(router, hash);
    look_ahead(search, hash, 0, 0);
    found = search_trie(child_by_hash(router, NR_ROUTER_OF_HOSTS, hash, host), search);
    return router->wildcards && found == NR_ROUTER_NONE ? search_wildcards(host, search) : found;
}

static uint32_t search_all(struct nr_span authority, struct search *search)
{
    const struct nr_router *router = search->router;
    uint32_t found = NR_ROUTER_NONE;

    if (router->hosts)
        found = search_hosts(authority, search);
    if (found == NR_ROUTER_NONE && router->any != NR_ROUTER_NONE) {
        look_ahead(search, NR_ROUTER_SEED_ANY, 0, 0);
        found =
            search_trie((struct place){&router->slots[router->any], NR_ROUTER_SEED_ANY}, search);
    }
    return found;
}

enum nr_router_verdict nr_router_find(const struct nr_router *router, struct nr_span authority,
                                      struct nr_span path, enum nr_method method,
                                      const struct nr_head *head, uint32_t *ret_rule,
                                      uint64_t *ret_methods)
{
    struct ahead ahead[AHEAD_MAX];
    struct search search = {.router = router,
                            .path = path,
                            .head = head,
                            .method_bit = (uint64_t)1 << method,
                            .ahead = ahead};
    uint32_t found = search_all(authority, &search);

    if (found != NR_ROUTER_NONE) {
        *ret_rule = found;
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
    struct ahead ahead[AHEAD_MAX];
    struct search search = {.router = router,
                            .path = path,
                            .head = head,
                            .method_bit = (uint64_t)1 << method,
                            .explain = &explain,
                            .ahead = ahead};

    (void)search_all(authority, &search);
    return explain.count;
}
