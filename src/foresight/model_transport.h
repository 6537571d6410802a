/* SPDX-License-Identifier: Apache-2.0 */
/* model_transport.h - exchanges without bytes: what stands in the place of connections when a
 * scenario asks for `transport: model`. Internal to foresight's simulate.c, model_*.c.
 *
 *     caller ──up── pair ──down── target's handler
 *
 * A pair is one exchange with both its ends, up (who calls) and down (who serves). What one end
 * sends reaches the other after the time that the link between their hosts takes: heads as they
 * are, bodies as a number of bytes. Nothing is written or parsed, no socket is opened. So gateway,
 * calls and instances run as they do over connections, several times as fast.
 *
 * Kept of connections: a caller has as many idle ones as it has had exchanges at one time, and
 * without an idle one an exchange begins a round trip later, or is refused, or waits in vain; the
 * idle ones of an instance that dies are gone. Left out: limits and ages of pools, listeners'
 * limits and timeouts, back-pressure, how bytes are cut into pieces.
 *
 * A target's exchanges end on its engine, when it has one (the gateway does), else when their
 * answer has arrived. One thread. */
#ifndef NR_FORESIGHT_MODEL_TRANSPORT_H
#define NR_FORESIGHT_MODEL_TRANSPORT_H

#include "base/list.h"
#include "http/client.h"
#include "io/sim.h"

struct nr_model_transport;
struct nr_model_pair;

/* Whom exchanges reach: an instance, or a listener of the gateway on one worker. */
struct nr_model_target {
    struct nr_link link; /* of the transport's */
    struct nr_model_transport *transport;
    struct nr_handler *handler; /* NULL: nobody listens, callers are refused */
    struct nr_io *io;           /* NULL: none of its own */
    struct nr_addr address;     /* that clients of the gateway connect to; NR_ADDR_NONE: none do */
    const char *host;
    bool silent;           /* nothing passes to or from it */
    bool wants_fields;     /* of request heads; else it sees method and path */
    uint32_t epoch;        /* counts its deaths */
    struct nr_link pairs;  /* that have reached it */
    struct nr_link parked; /* that wait for the silence to end */
};

/* From one host to one target: what a pool of connections is otherwise. */
struct nr_model_route {
    struct nr_model_target *target;
    struct nr_sim_way there, back;
    struct nr_peer peer; /* how the target sees it */
    uint64_t connect_timeout_ns;
    uint32_t idle;     /* connections that would be, … */
    uint32_t epoch;    /* … since this epoch of the target */
    uint32_t pairs;    /* under way */
    bool wants_fields; /* of answers; else it sees the status */
    bool detached;
};

struct nr_model_transport {
    struct nr_transport base; /* for clients of the gateway */
    struct nr_sim *sim;
    const char *host;       /* of the gateway */
    struct nr_link targets; /* in the order of making */
    struct nr_model_target nobody;
    struct nr_model_pair *free;
    uint64_t live; /* pairs that are not free */
};

void nr_model_transport_init(struct nr_model_transport *transport, struct nr_sim *sim,
                             const char *gateway_host);
/* When every exchange is over. */
void nr_model_transport_done(struct nr_model_transport *transport);

/* Its handler, address and the rest are set by the caller, and may change. */
void nr_model_target_init(struct nr_model_target *target, struct nr_model_transport *transport,
                          const char *host);
/* Its process dies: whoever it served hears of it, idle connections are gone. Its handler is told
 * of every exchange's end before this returns. Set `handler` to NULL before, or more will come. */
void nr_model_target_abort(struct nr_model_target *target);
void nr_model_target_silence(struct nr_model_target *target, bool silent);

/* connect_timeout_ns 0: none. Freed when the last exchange over it has ended. */
struct nr_model_route *nr_model_route_new(struct nr_model_transport *transport,
                                          struct nr_model_target *target, const char *from_host,
                                          const char *to_host, uint64_t connect_timeout_ns);
void nr_model_route_free(struct nr_model_route *route); /* NULL is fine */

struct nr_exchange *nr_model_open(struct nr_model_route *route, struct nr_arena *arena,
                                  const struct nr_exchange_events *events, void *owner, bool fresh);

/* ---- model_pair.c ---- */

/* The last exchange of a death has ended. */
void nr_model_pair_abort(struct nr_model_target *target);
void nr_model_pair_heal(struct nr_model_target *target);
void nr_model_pair_free_all(struct nr_model_transport *transport);

#endif
