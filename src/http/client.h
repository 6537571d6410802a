/* SPDX-License-Identifier: Apache-2.0 */
/* client.h - exchanges towards one upstream address, over a pool of connections.
 *
 * One per upstream instance and engine. Idle connections are reused last-in first-out, watched for
 * close, and closed when idle or old for too long. */
#ifndef NR_HTTP_CLIENT_H
#define NR_HTTP_CLIENT_H

#include "http/exchange.h"
#include "io/io.h"

struct nr_client_conf {
    struct nr_h1_limits limits; /* of responses */
    uint32_t idle_max;          /* idle connections kept */
    uint64_t connect_timeout_ns;
    uint64_t idle_timeout_ns;  /* of a pooled connection */
    uint64_t lifetime_ns;      /* of a connection; 0: unlimited */
    uint64_t write_timeout_ns; /* without the peer taking a byte */
    uint64_t body_timeout_ns;  /* without a byte of the response's body (the head is bounded by the
                                  caller) */
    uint64_t tunnel_timeout_ns;
};

extern const struct nr_client_conf nr_client_conf_default;

struct nr_client_counts {
    uint64_t connects;
    uint64_t connect_failures;
    uint64_t reuses;
    uint32_t open;
    uint32_t idle;
    uint32_t active;
};

struct nr_client;

/* conf is borrowed and must outlive the client; address is copied (a unix path stays borrowed). */
struct nr_client *nr_client_new(struct nr_io *io, const struct nr_addr *address,
                                const struct nr_client_conf *conf);

/* Open an exchange. Verbs may be used at once: the head is kept until there is a connection,
 * send_body takes 0 until then. The response's heads go to arena. `head` event: 1xx, then the final
 * one. fresh: do not take a pooled connection (a retry after one had gone stale). */
struct nr_exchange *nr_client_open(struct nr_client *client, struct nr_arena *arena,
                                   const struct nr_exchange_events *events, void *owner,
                                   bool fresh);

/* No new exchange; idle connections close; freed when the last exchange has ended. NULL is
 * fine. */
void nr_client_close(struct nr_client *client);

const struct nr_client_counts *nr_client_counts(const struct nr_client *client);

#endif
