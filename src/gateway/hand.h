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

#include "gateway/limiter.h"

struct nr_gateway;
struct nr_gateway_snapshot;

struct nr_route_hand {
    _Atomic uint32_t refs;
    char *name;              /* of the routes; owned */
    _Atomic uint8_t enabled; /* enum nr_said */
};

void nr_route_hand_unref(struct nr_route_hand *hand); /* NULL is fine */

static inline enum nr_said nr_route_hand_enabled(const struct nr_route_hand *hand)
{
    return (enum nr_said)atomic_load_explicit(&hand->enabled, memory_order_relaxed);
}

/* On control. The snapshot is about to serve: what was said goes on there, but for what the file
 * now says otherwise than `before` did, and for routes that are no more. */
void nr_hands_adopt(struct nr_gateway *gateway, const struct nr_gateway_snapshot *snapshot,
                    const struct nr_gateway_snapshot *before);

/* With the gateway's end. */
void nr_hands_free(struct nr_gateway *gateway);

#endif
