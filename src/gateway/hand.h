/* SPDX-License-Identifier: Apache-2.0 */
/* hand.h - what operators have said of a route by hand, whatever the configuration says. Internal
 * to src/gateway.
 *
 * There is one for each name of a route of which something was ever said, and every route of that
 * name shares it, in whichever snapshot. Control makes it and writes it; workers find it behind the
 * route's guard and read it with relaxed loads, so what is said holds for all of them at once. A
 * route of which nothing was ever said, and that nothing else guards, still pays one pointer test.
 *
 * Life: the gateway holds it as long as its configuration has a route of that name, and so does
 * every snapshot that it was put into. */
#ifndef NR_GATEWAY_HAND_H
#define NR_GATEWAY_HAND_H

#include <stdatomic.h>

#include "base/spinlock.h"
#include "config/config.h"
#include "gateway/limiter.h"
#include "service/fault_conf.h"

struct nr_arena;
struct nr_gateway;
struct nr_gateway_snapshot;
struct nr_route_conf;

/* Faults that stand in for those of the route's configuration until a moment. */
struct nr_hand_faults {
    struct nr_config *config;          /* what the items point into; NULL: nothing was said */
    const struct nr_fault_conf *items; /* at least one */
    uint32_t count;
    uint64_t until_ns;
    struct nr_span text; /* the list as it was said, JSON; malloc'ed */
};

struct nr_route_hand {
    _Atomic uint32_t refs;
    char *name;              /* of the routes; owned */
    _Atomic uint8_t enabled; /* enum nr_said */
    _Atomic bool faulty;     /* look at the faults */
    struct nr_spinlock lock; /* of the faults, for those who are not control */
    struct nr_hand_faults faults;
};

void nr_route_hand_unref(struct nr_route_hand *hand); /* NULL is fine */

static inline enum nr_said nr_route_hand_enabled(const struct nr_route_hand *hand)
{
    return (enum nr_said)atomic_load_explicit(&hand->enabled, memory_order_relaxed);
}

static inline bool nr_route_hand_faulty(const struct nr_route_hand *hand)
{
    return atomic_load_explicit(&hand->faulty, memory_order_relaxed);
}

/* ---- hand_faults.c ---- */

/* On a worker: a copy of the faults for one request, which outlives what operators say next; NULL:
 * there are none any more. */
const struct nr_fault_conf *nr_hand_faults_copy(struct nr_route_hand *hand, uint64_t now_ns,
                                                struct nr_arena *arena, uint32_t *ret_count);

/* On control: put others in their place. */
void nr_hand_faults_set(struct nr_route_hand *hand, const struct nr_hand_faults *faults);

/* Does the file say of faults what it did? */
bool nr_hand_faults_same(const struct nr_route_conf *a, const struct nr_route_conf *b);

/* The hand of a name, made if need be; NULL: there is no such route. On control. */
struct nr_route_hand *nr_hand_of(struct nr_gateway *gateway, struct nr_span name);

/* ---- hand.c ---- */

/* On control. The snapshot is about to serve: what was said goes on there, but for what the file
 * now says otherwise than `before` did, and for routes that are no more. */
void nr_hands_adopt(struct nr_gateway *gateway, const struct nr_gateway_snapshot *snapshot,
                    const struct nr_gateway_snapshot *before);

/* With the gateway's end. */
void nr_hands_free(struct nr_gateway *gateway);

#endif
