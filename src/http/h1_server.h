/* SPDX-License-Identifier: Apache-2.0 */
/* h1_server.h - what server.c, h1_server.c and h1_close.c share. Internal to http. */
#ifndef NR_HTTP_H1_SERVER_H
#define NR_HTTP_H1_SERVER_H

#include "base/list.h"
#include "http/h1_conn.h"
#include "http/server.h"

/* The first block of a request's arena: the heads of an ordinary proxied request and what is made
 * from them fit in, so that no request of that kind goes to the heap. */
enum { NR_SERVER_ARENA_BYTES = 2048 };

struct nr_server_exchange {
    struct nr_h1_msg m; /* first */
    struct nr_server *server;
    struct nr_server_exchange *next_free;
    struct nr_arena arena;
    _Alignas(16) char block[NR_SERVER_ARENA_BYTES];
};

enum nr_server_closing {
    NR_SERVER_OPEN,
    NR_SERVER_DISCARD, /* answered; the rest of the request's body is read and dropped */
    NR_SERVER_LINGER, /* FIN sent; whatever comes is dropped, so that no RST overtakes the answer */
};

/* Without buffers and exchange this, a struct nr_sock and two malloc headers are all that an idle
 * connection costs: at most 500 bytes. */
struct nr_server_conn {
    struct nr_h1_conn h; /* first */
    struct nr_server *server;
    struct nr_link link; /* server->conns */
    struct nr_op watch;
    struct nr_addr peer;
    uint64_t started_ns; /* the first byte of the head under way; 0: none yet */
    uint32_t requests;
    uint32_t drop_left; /* bytes that DISCARD or LINGER still take */
    uint32_t number;    /* of the connection, within the server */
    uint8_t closing;    /* enum nr_server_closing */
    bool close_after;   /* the answer said, or will say, Connection: close */
    bool client_closes; /* the client asked for it, or speaks HTTP/1.0 */
    bool peer_fin;      /* perhaps behind unread bytes */
    uint8_t proxy_in;   /* enum nr_proxy_in_mode: a PROXY header is still due; OFF: none */
    bool counted;       /* in the crowd */
};

_Static_assert(sizeof(struct nr_server_conn) + 96 + 2 * 16 <= 500, "idle connection");

struct nr_server {
    struct nr_io *io;
    struct nr_listener *listener; /* not once we drain: it may be closed */
    struct nr_addr local;         /* … but where it listened is still asked for */
    const struct nr_server_conf *conf;
    struct nr_handler *handler;
    struct nr_h1_common common;
    struct nr_server_counts counts;
    struct nr_accept accept;
    struct nr_op drained_op;
    struct nr_link conns;
    struct nr_server_exchange *free; /* last-in first-out */
    uint32_t free_count;
    uint32_t held; /* exchanges that are held beyond their end */
    uint32_t number;
    uint64_t id_base;
    struct nr_peer peer; /* what nr_exchange_peer lends */
    void (*drained)(void *ctx);
    void *drained_ctx;
    bool draining;
    bool gently; /* … and who does not know yet may send one more request */
    bool told_drained;
};

/* ---- server.c ---- */

/* How long a gentle drain waits on a connection for a request that may be on its way. */
#define NR_SERVER_GENTLY_NS UINT64_C(3000000000)

struct nr_server_exchange *nr_server_exchange_get(struct nr_server *server);

/* After its `end`: the memory goes now, or with the last hold. */
void nr_server_exchange_drop(struct nr_server_exchange *x);
void nr_server_exchange_release(struct nr_exchange *x);

/* A connection is gone: accept again, or report the drain. */
void nr_server_conn_gone(struct nr_server_conn *sc);

/* ---- h1_server.c ---- */

/* Serve a fresh connection. Takes over the socket. */
void nr_server_conn_open(struct nr_server *server, struct nr_sock *sock,
                         const struct nr_addr *peer);

/* Nothing has been received since the last answer, nor is it about to be. */
bool nr_server_conn_idle(const struct nr_server_conn *sc);

/* Close from outside the connection's own turn. */
void nr_server_conn_shut(struct nr_server_conn *sc, enum nr_close how);

/* ---- h1_close.c ---- */

/* The exchange is told; see to the connection. The message may be kept for DISCARD. */
void nr_server_conn_after(struct nr_server_conn *sc, struct nr_h1_msg *m, enum nr_end end);

/* FIN now, and drop what comes, for a time. */
void nr_server_conn_linger(struct nr_server_conn *sc);

/* Bytes came (or 0, or an error) while closing. */
void nr_server_conn_dropped(struct nr_server_conn *sc, int32_t result);

/* The message is over and done with: take it off. The connection waits for the next request. */
void nr_server_conn_detach(struct nr_server_conn *sc);

#endif
