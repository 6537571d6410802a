/* SPDX-License-Identifier: Apache-2.0 */
/* router_table.h - what router_build.c lays out and router.c reads. Private to these two.
 *
 * A trie over path segments, all of whose edges lie in one open-addressing hash table. A node is a
 * slot of that table and one cache line. Its hash is that of the whole way to it: the parent's hash
 * mixed with the segment; so a search can ask memory for every node of a literal path at once,
 * before it has seen the first. A host is a node too, its text the name (".example.com" for a
 * wildcard). */
#ifndef NR_GATEWAY_ROUTER_TABLE_H
#define NR_GATEWAY_ROUTER_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/copy.h"
#include "gateway/match.h"
#include "naru/span.h"

#define NR_ROUTER_NONE UINT32_MAX

/* Parents of nodes that have none: of a host's, and of those that are not found by their text (what
 * follows a parameter, and the root for any host). */
#define NR_ROUTER_OF_HOSTS (UINT32_MAX - 1)
#define NR_ROUTER_UNNAMED  (UINT32_MAX - 2)

enum { NR_ROUTER_INLINE_BYTES = 24 };
enum nr_router_end { NR_ROUTER_EXACT, NR_ROUTER_PREFIX };

/* A rule that ends at a node where others do or that has conditions. */
struct nr_router_leaf {
    const struct nr_match *match; /* NULL: none */
    uint64_t methods;
    uint32_t next; /* more conditions first, then the order of the configuration */
    uint32_t rule;
    uint32_t conditions;
};

struct nr_router_node {
    /* Of the rules that end here, by enum nr_router_end: the methods of the only one, which has no
     * condition, and its number; or 0 and the first of a list of leaves; or NR_ROUTER_NONE. */
    uint64_t methods[2];
    uint32_t rule[2];
    uint32_t param;  /* the node after a parameter that begins here */
    uint32_t parent; /* or one of the following */
    uint32_t hash;   /* the lower half */
    uint16_t text_len;
    bool used;
    bool literals; /* it has children that are no parameter */
    union {
        char bytes[NR_ROUTER_INLINE_BYTES];
        const char *outside; /* when it does not fit */
    };
};

_Static_assert(sizeof(struct nr_router_node) == NR_CACHE_LINE_BYTES, "one step, one line");

struct nr_router {
    struct nr_router_node *slots;
    struct nr_router_leaf *leaves;
    char *texts; /* those that are outside */
    /* Bits by the number of a segment: some rule has a literal there, or a parameter. */
    uint64_t literal_levels;
    uint64_t param_levels;
    uint32_t mask;
    uint32_t any; /* the root for rules that name no host; NR_ROUTER_NONE: every rule names some */
    bool hosts;
    bool wildcards;
};

enum nr_router_seed { NR_ROUTER_SEED_HOST = 1, NR_ROUTER_SEED_ANY, NR_ROUTER_SEED_PARAM };

static inline uint64_t nr_router_mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

/* Words of eight bytes; the texts in the table are the operator's, and requests only look up, so
 * no request can make it degenerate. */
static inline uint64_t nr_router_hash(uint64_t parent, struct nr_span text)
{
    uint64_t hash = nr_router_mix(parent, text.len), word;

    for (; text.len >= 8; text = nr_span_from(text, 8)) {
        memcpy(&word, text.ptr, 8);
        hash = nr_router_mix(hash, word);
    }
    hash = nr_router_mix(hash, text.len > 0 ? nr_load_part(text.ptr, text.len) : 0);
    return hash ^ hash >> 32;
}

static inline uint64_t nr_router_hash_param(uint64_t parent)
{
    return nr_router_mix(nr_router_mix(parent, NR_ROUTER_SEED_PARAM), 0);
}

/* What stands between the slash at `at` and the next one, or the end. */
static inline struct nr_span nr_router_segment(struct nr_span path, size_t at)
{
    struct nr_span rest = nr_span_from(path, at + 1);
    const char *slash = rest.len == 0 ? NULL : memchr(rest.ptr, '/', rest.len);

    return slash == NULL ? rest : (struct nr_span){rest.ptr, (size_t)(slash - rest.ptr)};
}

static inline const char *nr_router_text(const struct nr_router_node *node)
{
    return node->text_len <= NR_ROUTER_INLINE_BYTES ? node->bytes : node->outside;
}

#endif
