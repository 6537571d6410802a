/* SPDX-License-Identifier: Apache-2.0 */
/* h1_client.h - what client.c and h1_client.c share. Internal to http. */
#ifndef NR_HTTP_H1_CLIENT_H
#define NR_HTTP_H1_CLIENT_H

#include "base/list.h"
#include "http/client.h"
#include "http/h1_conn.h"

/* A connection to the upstream. It carries at most one exchange, which is therefore part of it. */
struct nr_client_conn {
    struct nr_h1_conn h; /* first */
    struct nr_client *client;
    struct nr_link link; /* client->idle, while idle */
    struct nr_connect connect;
    uint64_t born_ns;
    uint32_t interims; /* 1xx heads of this answer */
    bool until_close;  /* the answer ends when the connection does */
    bool keep;         /* the answer leaves the connection usable */
    struct nr_h1_msg m;
};

struct nr_client {
    struct nr_io *io;
    struct nr_addr address;
    const struct nr_client_conf *conf;
    struct nr_h1_common common;
    struct nr_client_counts counts;
    struct nr_link idle; /* last used first */
    bool closing;
};

/* ---- h1_client.c ---- */

/* Begin connecting. */
struct nr_client_conn *nr_client_conn_new(struct nr_client *client);

/* Start an exchange on an idle or a new connection. */
struct nr_exchange *nr_client_conn_open(struct nr_client_conn *cc, struct nr_arena *arena,
                                        const struct nr_exchange_events *events, void *owner,
                                        bool reused);

/* Close an idle connection from outside its turn. */
void nr_client_conn_shut(struct nr_client_conn *cc);

/* ---- client.c ---- */

/* Keep the connection for the next exchange? If so it is in the pool. */
bool nr_client_pool(struct nr_client_conn *cc);
void nr_client_unpool(struct nr_client_conn *cc);

/* The connection is gone. May free the client. */
void nr_client_conn_gone(struct nr_client *client);

#endif
