/* SPDX-License-Identifier: Apache-2.0 */
#include "foresight/model_transport.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/compiler.h"

/* ---- routes ---- */

struct nr_model_route *nr_model_route_new(struct nr_model_transport *transport,
                                          struct nr_model_target *target, const char *from_host,
                                          const char *to_host, uint64_t connect_timeout_ns)
{
    struct nr_model_route *route = calloc(1, sizeof(*route));

    nr_assert(route != NULL);
    route->target = target;
    route->there = nr_sim_way(transport->sim, from_host, to_host);
    route->back = nr_sim_way(transport->sim, to_host, from_host);
    route->connect_timeout_ns = connect_timeout_ns;
    route->wants_fields = true;
    return route;
}

void nr_model_route_free(struct nr_model_route *route)
{
    if (route == NULL)
        return;
    route->detached = true;
    if (route->pairs == 0)
        free(route);
}

/* ---- the transport of the gateway's clients ---- */

static struct nr_model_target *target_at(struct nr_model_transport *transport,
                                         const struct nr_addr *address)
{
    for (struct nr_link *at = transport->targets.next; at != &transport->targets; at = at->next) {
        struct nr_model_target *target = nr_container_of(at, struct nr_model_target, link);

        if (nr_addr_eq(&target->address, address))
            return target;
    }
    return &transport->nobody;
}

static void *attach(struct nr_transport *base, const struct nr_addr *address,
                    uint64_t connect_timeout_ns)
{
    struct nr_model_transport *transport = nr_container_of(base, struct nr_model_transport, base);
    struct nr_model_target *target = target_at(transport, address);

    return nr_model_route_new(transport, target, transport->host, target->host, connect_timeout_ns);
}

static struct nr_exchange *open_route(void *route, struct nr_arena *arena,
                                      const struct nr_exchange_events *events, void *owner,
                                      bool fresh)
{
    return nr_model_open(route, arena, events, owner, fresh);
}

static void detach(void *route)
{
    nr_model_route_free(route);
}

void nr_model_transport_init(struct nr_model_transport *transport, struct nr_sim *sim,
                             const char *gateway_host)
{
    *transport = (struct nr_model_transport){
        .base = {attach, open_route, detach}, .sim = sim, .host = gateway_host};
    nr_link_init(&transport->targets);
    nr_model_target_init(&transport->nobody, transport, gateway_host);
    nr_list_remove(&transport->nobody.link);
}

void nr_model_transport_done(struct nr_model_transport *transport)
{
    nr_assert(transport->live == 0);
    nr_model_pair_free_all(transport);
}

/* ---- targets ---- */

void nr_model_target_init(struct nr_model_target *target, struct nr_model_transport *transport,
                          const char *host)
{
    *target = (struct nr_model_target){.transport = transport, .host = host};
    nr_link_init(&target->pairs);
    nr_link_init(&target->parked);
    nr_link_init(&target->link);
    nr_list_push_back(&transport->targets, &target->link);
}

void nr_model_target_abort(struct nr_model_target *target)
{
    target->epoch++;
    nr_model_pair_abort(target);
}

void nr_model_target_silence(struct nr_model_target *target, bool silent)
{
    target->silent = silent;
    if (!silent)
        nr_model_pair_heal(target);
}
