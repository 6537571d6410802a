/* SPDX-License-Identifier: Apache-2.0 */
/* router.h - which route serves host, path and method.
 *
 * Built once from the configuration, then immutable: any thread may ask. A look-up costs the same
 * with 10 routes as with 100,000: a sorted host table, then a compressed trie over the path.
 *
 * The most specific wins: an exact host before a wildcard (the longer wildcard first) before any
 * host; then an exact path before a prefix, the longer prefix before the shorter; then the
 * order of the configuration. A route whose method does not fit is passed over, and the search goes
 * on with the less specific ones. */
#ifndef NR_GATEWAY_ROUTER_H
#define NR_GATEWAY_ROUTER_H

#include <stdint.h>

#include "codec/head.h"
#include "naru/span.h"

/* One route as the router sees it; spans are borrowed for the router's life. */
struct nr_router_rule {
    const struct nr_span *hosts; /* lower case; "*.example.com" is a wildcard; none: any host */
    uint32_t host_count;
    struct nr_span path; /* "/a" exact, "/a/" followed by '*' prefix */
    uint64_t methods;    /* bit 1 << enum nr_method; 0: any */
};

enum nr_router_verdict {
    NR_ROUTER_FOUND,
    NR_ROUTER_NO_ROUTE,
    NR_ROUTER_NO_METHOD, /* the path has routes; *ret_methods is what they allow */
};

struct nr_router;

struct nr_router *nr_router_new(const struct nr_router_rule *rules, uint32_t count);
void nr_router_free(struct nr_router *router);

/* authority as in the request ("Host:8080" is fine), path canonical. *ret_rule is an index into
 * the rules. Allocates nothing. */
enum nr_router_verdict nr_router_find(const struct nr_router *router, struct nr_span authority,
                                      struct nr_span path, enum nr_method method,
                                      uint32_t *ret_rule, uint64_t *ret_methods);

#endif
