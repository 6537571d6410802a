/* SPDX-License-Identifier: Apache-2.0 */
/* h1_client.h - what client.c and h1_client.c share. Internal to http. */
#ifndef NR_HTTP_H1_CLIENT_H
#define NR_HTTP_H1_CLIENT_H

#include "base/list.h"
#include "http/client.h"
#include "http/h1_conn.h"

enum nr_client_place {
    NR_CLIENT_NOWHERE, /* carries an exchange, or is gone */
    NR_CLIENT_IDLE,
    NR_CLIENT_WARMING, /* connecting, for nobody yet */
    NR_CLIENT_WAITING, /* has an exchange, and no socket: there may be no more */
    NR_CLIENT_PLACES
};

/* A connection to the upstream. It carries at most one exchange, which is therefore part of it. */
struct nr_client_conn {
    struct nr_h1_conn h; /* first */
    struct nr_client *client;
    struct nr_link link; /* in one of the client's lists: see place */
    struct nr_connect connect;
    uint64_t expires_ns;  /* its lifetime is over then */
    uint64_t idle_max_ns; /* as the upstream says; UINT64_MAX: it has not */
    enum nr_client_place place;
    bool counted;      /* among the open ones */
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
    struct nr_client_counts *counts; /* for whoever reads them; own_counts, or its owner's */
    struct nr_client_counts own_counts;
    struct nr_link places[NR_CLIENT_PLACES]; /* IDLE: last used first; WAITING: in their order */
    uint32_t in_place[NR_CLIENT_PLACES];
    struct nr_shortage shortage;
    uint32_t open;  /* have a socket, or will have */
    uint32_t conns; /* in memory */
    void *route;    /* of the transport; NULL: there are connections */
    bool closing;
};

/* ---- h1_client.c ---- */

/* One without a socket. */
struct nr_client_conn *nr_client_conn_new(struct nr_client *client);

/* Take a place among the open ones and begin connecting. */
void nr_client_conn_connect(struct nr_client_conn *cc);

/* Give the socket of one that has just become free to one that waits. */
void nr_client_conn_hand_over(struct nr_client_conn *from, struct nr_client_conn *to);

/* Start an exchange on an idle or a new connection. */
struct nr_exchange *nr_client_conn_open(struct nr_client_conn *cc, struct nr_arena *arena,
                                        const struct nr_exchange_events *events, void *owner,
                                        bool reused);

/* Close a connection without exchange from outside its turn. */
void nr_client_conn_shut(struct nr_client_conn *cc);

/* ---- client.c ---- */

/* What becomes of a connection that is free: in the pool (true), or not to be kept (false): then it
 * has to be closed, if it has not been handed over to who waits. */
bool nr_client_pool(struct nr_client_conn *cc);

/* There is no descriptor for it now: it waits for one. False when it has had its time. */
bool nr_client_wait_for_files(struct nr_client_conn *cc);

/* Its wait is over, one way or the other. */
void nr_client_waited(struct nr_client_conn *cc);

/* Out of its list, if it is in one. */
void nr_client_displace(struct nr_client_conn *cc);

/* It is gone: whoever waits may connect. May free the client. */
void nr_client_conn_gone(struct nr_client_conn *cc);

#endif
