/* SPDX-License-Identifier: Apache-2.0 */
/* guard.h - what stands between the route and the call: the filters that may hold or refuse a
 * request, in their fixed order. Internal to src/gateway.
 *
 * A route that none of them concerns has no guard, and its requests pay one pointer test. Its place
 * in `routes` is there all the same: an operator may want it later. */
#ifndef NR_GATEWAY_GUARD_H
#define NR_GATEWAY_GUARD_H

#include "base/arena.h"
#include "call/call.h"
#include "gateway/hand.h"
#include "gateway/limits.h"

struct nr_hold; /* a request that waits */

struct nr_guard {
    struct nr_limit_list limits;
    const struct nr_call_fault *faults; /* the route's own and those of its services, in order */
    uint32_t fault_count;
    struct nr_route_hand *_Atomic hand; /* our reference; NULL: nothing was ever said by hand */
};

/* The guards of one configuration. */
struct nr_guards {
    struct nr_limits *limits;
    struct nr_guard *routes; /* per route */
    uint32_t route_count;
    bool *guarded; /* … and whether it has one */
    struct nr_arena memory;
};

/* Of a snapshot that has its services; before: of the one before, or NULL. */
struct nr_gateway_snapshot;
struct nr_guards *nr_guards_new(const struct nr_gateway_snapshot *snapshot,
                                const struct nr_guards *before);
void nr_guards_free(struct nr_guards *guards); /* NULL is fine */

/* The route's; NULL: none. */
const struct nr_guard *nr_guards_of(const struct nr_guards *guards, uint32_t route);

/* The route has just been found: what can be asked of memory early is asked for. */
void nr_guard_aim(struct nr_request *request, const struct nr_peer *peer);

/* May the request go on now? If not, it has been answered, or it is held and goes on by itself
 * (nr_proxy_resume). */
bool nr_guard_admit(struct nr_request *request, const struct nr_peer *peer);

/* The request is over, or answered, while it was held. */
void nr_guard_let_go(struct nr_request *request);

#endif
