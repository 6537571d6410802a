/* SPDX-License-Identifier: Apache-2.0 */
/* router.h - which route serves a request.
 *
 * Built once from the configuration, then immutable: any thread may ask. A look-up costs the same
 * with 10 routes as with 100,000: a trie over the host and the path's segments, in one hash table.
 *
 * Which route wins
 *
 * 1. Hosts: an exact one before a wildcard, the longer wildcard before the shorter, before any
 *    host.
 * 2. Within a host the path, compared segment by segment from the left; the first difference
 *    decides: a literal segment before a parameter ({id}), a parameter before the star that takes
 *    all the rest. So an exact path wins over a prefix, and the longer prefix over the shorter.
 * 3. With the same host and path: more conditions before fewer. A header, a query parameter, a
 *    cookie, a version and a regular expression are one each, and a list of methods is one.
 * 4. Between equals: the order of the configuration.
 *
 * A route whose method or conditions do not fit is passed over, and the search goes on with the
 * next one in this order, down to those of less specific hosts.
 *
 * A regular expression over the path is one of the conditions: its route stands where its path
 * pattern puts it. Without one that is "/" and a star, so it is asked after every route that says
 * more about the path, and before a plain catch-all: the last resort.
 *
 * A parameter takes exactly one segment, which is not empty. */
#ifndef NR_GATEWAY_ROUTER_H
#define NR_GATEWAY_ROUTER_H

#include <stdint.h>

#include "codec/head.h"
#include "gateway/match.h"
#include "naru/span.h"

enum { NR_ROUTER_SEGMENTS_MAX = 64 };

/* One route as the router sees it; spans and conditions are borrowed for the router's life. */
struct nr_router_rule {
    const struct nr_span *hosts; /* lower case; "*.example.com" is a wildcard; none: any host */
    uint32_t host_count;
    struct nr_span path;          /* "/a" exact, "/a/" followed by '*' prefix; "/a/{id}/b" */
    uint64_t methods;             /* bit 1 << enum nr_method; 0: any */
    const struct nr_match *match; /* further conditions; NULL: none */
};

enum nr_router_verdict {
    NR_ROUTER_FOUND,
    NR_ROUTER_NO_ROUTE,
    NR_ROUTER_NO_METHOD, /* the path has routes; *ret_methods is what they allow */
};

struct nr_router;

/* Paths must have passed nr_pattern_check (pattern.h). */
struct nr_router *nr_router_new(const struct nr_router_rule *rules, uint32_t count);
void nr_router_free(struct nr_router *router);

/* authority as in the request ("Host:8080" is fine), path canonical; head is what conditions are
 * asked about, NULL: none of them holds. *ret_rule is an index into the rules. Allocates
 * nothing. */
enum nr_router_verdict nr_router_find(const struct nr_router *router, struct nr_span authority,
                                      struct nr_span path, enum nr_method method,
                                      const struct nr_head *head, uint32_t *ret_rule,
                                      uint64_t *ret_methods);

/* ---- why ---- */

enum nr_router_outcome {
    NR_ROUTER_WON,
    NR_ROUTER_LOST_METHOD,    /* would come before the winner, but not with this method */
    NR_ROUTER_LOST_CONDITION, /* likewise; `failed` does not hold */
    NR_ROUTER_LOST_HOST,      /* fits; the winner's host is more specific */
    NR_ROUTER_LOST_PATH,      /* fits; the winner's path is more specific */
    NR_ROUTER_LOST_COUNT,     /* fits; the winner has more conditions */
    NR_ROUTER_LOST_ORDER,     /* fits; the winner was written first */
};

struct nr_router_candidate {
    uint32_t rule;
    enum nr_router_outcome outcome;
    const struct nr_condition *failed;
};

/* All routes whose host and path fit, in the order in which the search asks them. Returns how many
 * there are, of which at most max are written. The same code as nr_router_find. */
uint32_t nr_router_explain(const struct nr_router *router, struct nr_span authority,
                           struct nr_span path, enum nr_method method, const struct nr_head *head,
                           struct nr_router_candidate *to, uint32_t max);

#endif
