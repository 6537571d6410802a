/* SPDX-License-Identifier: Apache-2.0 */
/* routes.h - the routes of one configuration, ready to be asked: router, conditions, plans.
 *
 * Immutable once made; any thread may ask. Needs no services and no engine, so `naru explain`
 * asks the very same. */
#ifndef NR_GATEWAY_ROUTES_H
#define NR_GATEWAY_ROUTES_H

#include <stdatomic.h>

#include "base/compiler.h"
#include "config/config.h"
#include "gateway/gateway_conf.h"
#include "gateway/plan.h"
#include "gateway/router.h"

struct nr_guard;

/* All that a request reads of its route in one cache line: with 100,000 of them few are in the
 * cache. */
struct nr_gateway_route {
    const struct nr_route_conf *conf;
    uint32_t service; /* index into the configuration's services; NR_ID_NONE: the plan knows */
    uint32_t id;      /* in records; the snapshot's business */
    const struct nr_plan *plan; /* NULL: requests are passed on as they are */
    /* NULL: nothing holds or refuses them. The snapshot's business; hand.h may put one in later. */
    const struct nr_guard *_Atomic guard;
    struct nr_span strip_prefix; /* the conf's; empty: none */
    uint64_t deadline_ns;        /* likewise; 0: none */
} __attribute__((aligned(NR_CACHE_LINE_BYTES)));

static inline const struct nr_guard *nr_route_guard(const struct nr_gateway_route *route)
{
    return atomic_load_explicit(&route->guard, memory_order_acquire);
}

struct nr_routes {
    struct nr_arena arena;
    const struct nr_gateway_conf *conf;
    struct nr_router *router;
    struct nr_gateway_route *items; /* in the order of the configuration */
    uint32_t count;
    const struct nr_match **matches; /* per route, NULL: no further conditions; to be explained */
    struct nr_regex **regexes;       /* owned */
    uint32_t regex_count;
};

/* The configuration must outlive it. */
struct nr_routes *nr_routes_new(const struct nr_config *config);
void nr_routes_free(struct nr_routes *routes); /* NULL is fine */

#endif
