/* SPDX-License-Identifier: Apache-2.0 */
/* server.h - accept connections and turn them into exchanges. One per listener and engine. */
#ifndef NR_HTTP_SERVER_H
#define NR_HTTP_SERVER_H

#include "http/crowd.h"
#include "http/exchange.h"
#include "http/proxy_in.h"
#include "io/io.h"

struct nr_server_conf {
    struct nr_h1_limits limits;
    uint32_t connections_max;   /* of this server on this engine; beyond it accepting waits */
    uint32_t requests_max;      /* per connection, then Connection: close; 0: unlimited */
    uint64_t header_timeout_ns; /* from the first byte (or accept) to the complete head: absolute */
    uint64_t body_timeout_ns;   /* without a byte of the body */
    uint64_t body_bytes_per_s_min; /* average since the head, after a grace of body_timeout_ns; 0:
                                      none */
    uint64_t write_timeout_ns;     /* without the client taking a byte */
    uint64_t idle_timeout_ns;      /* keep-alive between requests */
    uint64_t tunnel_timeout_ns;    /* silence both ways after an upgrade; 0: none */
    bool half_close;               /* a FIN behind a request does not cancel it */
    struct nr_proxy_in_conf proxy_in; /* a PROXY header before the first request */
    struct nr_crowd *crowd; /* borrowed: counts connections per client; NULL: nobody does */
    uint32_t client_connections_max; /* with crowd; its trusted proxies have no such bound */
};

/* 32 KiB heads, 10,000 connections, 10 s header, 30 s body, 5 s write, 75 s idle, 1 h tunnel. */
extern const struct nr_server_conf nr_server_conf_default;

/* Written by the server's engine as cells (base/cell.h): any thread may read them so. */
struct nr_server_counts {
    uint64_t accepted;
    uint64_t requests;
    uint64_t refused;       /* malformed, too large, too slow */
    uint64_t proxy_refused; /* connections closed for their PROXY header, or for the lack of it */
    uint64_t crowded;       /* connections closed because their client has too many */
    uint32_t open;          /* connections now */
    uint32_t active;        /* exchanges now */
};

struct nr_server;

/* Serve connections of `listener` on `io` with `handler`. conf is borrowed and must outlive the
 * server. */
struct nr_server *nr_server_new(struct nr_io *io, struct nr_listener *listener,
                                const struct nr_server_conf *conf, struct nr_handler *handler);

/* Stop accepting; idle connections close; the next answer on each other says Connection: close. */
void nr_server_drain(struct nr_server *server);

/* The same, but an idle connection has a few seconds to send one more request, which is served and
 * told to close: a client that writes at this moment does not lose it. */
void nr_server_drain_gently(struct nr_server *server);

/* The conf that was given to _new holds other values now: they apply from the next byte on. */
void nr_server_reconfigure(struct nr_server *server);

/* Break off what is still open (NR_END_SHUTDOWN). */
void nr_server_abort(struct nr_server *server);

/* drained(ctx) is called (from the queue) once no connection is left after a drain. */
void nr_server_on_drained(struct nr_server *server, void (*drained)(void *ctx), void *ctx);

/* Only after drained. NULL is fine. */
void nr_server_free(struct nr_server *server);

const struct nr_server_counts *nr_server_counts(const struct nr_server *server);

#endif
