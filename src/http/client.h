/* SPDX-License-Identifier: Apache-2.0 */
/* client.h - exchanges towards one upstream address, over a pool of connections.
 *
 * One per upstream instance and engine. Idle connections are reused last-in first-out, watched for
 * close, and closed when idle or old for too long, or a second before the upstream said that it
 * would (Keep-Alive: timeout). When as many connections are open as may be, exchanges wait in line
 * for one to come free. */
#ifndef NR_HTTP_CLIENT_H
#define NR_HTTP_CLIENT_H

#include "http/exchange.h"
#include "io/io.h"

/* What carries exchanges instead of connections: the models of a simulation. It makes a route for
 * each client, opens exchanges over it, and lets go of it when the last of them has ended behind
 * the client's close. Pools, and all that is counted of them, are its own business. */
struct nr_transport {
    void *(*attach)(struct nr_transport *transport, const struct nr_addr *address,
                    uint64_t connect_timeout_ns);
    struct nr_exchange *(*open)(void *route, struct nr_arena *arena,
                                const struct nr_exchange_events *events, void *owner, bool fresh);
    void (*detach)(void *route);
};

struct nr_client_conf {
    struct nr_transport *transport; /* NULL: connections */
    struct nr_h1_limits limits;     /* of responses */
    uint32_t idle_max;              /* idle connections kept */
    uint32_t connections_max;       /* 0: unlimited */
    uint32_t waiting_max;        /* exchanges that may wait for a connection when all are in use */
    uint64_t connect_timeout_ns; /* also of the wait before it */
    uint64_t idle_timeout_ns;    /* of a pooled connection */
    uint64_t lifetime_ns; /* of a connection, which ends up to a tenth earlier, at random, so that
                             not all end at once; 0: unlimited */
    uint64_t write_timeout_ns; /* without the peer taking a byte */
    uint64_t body_timeout_ns;  /* without a byte of the response's body (the head is bounded by the
                                  caller) */
    uint64_t tunnel_timeout_ns;
};

extern const struct nr_client_conf nr_client_conf_default;

/* Written by the engine as cells (base/cell.h). */
struct nr_client_counts {
    uint64_t connects;
    uint64_t connect_failures;
    uint64_t reuses;
    uint64_t waits;     /* exchanges that found all connections in use */
    uint64_t exhausted; /* … and got none */
    uint64_t stale;     /* pooled connections that broke before any byte of an answer */
    uint32_t open;      /* with those that are still connecting */
    uint32_t idle;
    uint32_t waiting;
};

struct nr_client;

/* conf is borrowed and must outlive the client; address is copied (a unix path stays borrowed). */
struct nr_client *nr_client_new(struct nr_io *io, const struct nr_addr *address,
                                const struct nr_client_conf *conf);

/* Count there and not by itself: what belongs together, on one engine. Before the client is used;
 * `counts` lives until it is closed. */
void nr_client_count_into(struct nr_client *client, struct nr_client_counts *counts);

/* Open connections until there are as many, as far as is allowed: the first calls shall find them.
 */
void nr_client_prewarm(struct nr_client *client, uint32_t connections);

/* Open an exchange. Verbs may be used at once: the head is kept until there is a connection,
 * send_body takes 0 until then. The response's heads go to arena. `head` event: 1xx, then the final
 * one. fresh: do not take a pooled connection (a retry after one had gone stale). */
struct nr_exchange *nr_client_open(struct nr_client *client, struct nr_arena *arena,
                                   const struct nr_exchange_events *events, void *owner,
                                   bool fresh);

/* No new exchange; idle connections close; freed when the last exchange has ended. NULL is
 * fine. */
void nr_client_close(struct nr_client *client);

/* Its own, or those that it counts into. */
const struct nr_client_counts *nr_client_counts(const struct nr_client *client);

#endif
