/* SPDX-License-Identifier: Apache-2.0 */
/* tcp_stream.h - what tcp.c, tcp_stream.c and tcp_pipe.c share. Internal to src/gateway.
 *
 *             PROXY header, if one is due      connected
 *   accepted ──▶ HEADER ──────▶ CONNECTING ──────────────▶ JOINED ──▶ OVER
 *                  │             │     ▲ another instance             ▲ freed when the last
 *                  │             └─────┘                              │ operation has called back
 *                  └── refused, timed out, nobody to connect to ──────┘ */
#ifndef NR_GATEWAY_TCP_STREAM_H
#define NR_GATEWAY_TCP_STREAM_H

#include "gateway/tcp.h"

#include "base/list.h"
#include "base/reason.h"

enum nr_tcp_state { NR_TCP_HEADER, NR_TCP_CONNECTING, NR_TCP_JOINED, NR_TCP_OVER };

struct nr_tcp_stream;

/* One side. `buf` holds what came from it and the other side has not taken; while there is
 * something in it nothing more is read here, so one side's back-pressure reaches the other. */
struct nr_tcp_end {
    struct nr_tcp_stream *stream;
    struct nr_sock *sock; /* NULL: not yet, or no longer */
    struct nr_buf *buf;   /* NULL while nothing waits: an idle stream owns none */
    struct nr_recv recv;
    struct nr_op writable;
    struct nr_op watch; /* for a RST while nothing is read here */
    bool fin;           /* it has ended its direction, and all that came before was read */
    bool shut;          /* we have sent it FIN */
    bool deaf;          /* it takes no more: reading will say why */
    bool big;           /* the last read filled its buffer */
};

/* Less than 900 bytes, and two sockets of 96: what an idle stream costs. */
struct nr_tcp_stream {
    struct nr_tcp *tcp;
    struct nr_link link; /* tcp->streams */
    struct nr_tcp_end client;
    struct nr_tcp_end service;
    struct nr_connect connect;
    struct nr_timer timer;
    struct nr_service *of;
    void *lease;
    struct nr_addr peer;  /* the client's, by the PROXY header if there was one */
    uint64_t deadline_ns; /* HEADER, CONNECTING */
    uint64_t active_ns;   /* JOINED: the last progress */
    uint64_t connect_started_ns;
    uint64_t connect_ns; /* how long the connect took that came through */
    uint64_t tried;      /* instances */
    uint32_t instance;   /* NR_INSTANCE_NONE: none is held */
    uint8_t state;       /* enum nr_tcp_state */
    uint8_t proxy_in;    /* enum nr_proxy_in_mode, in HEADER */
    bool counted;        /* in the crowd */
    bool timed_out;      /* the connect under way was cancelled by the timer */
    struct nr_record record;
};

_Static_assert(sizeof(struct nr_tcp_stream) <= 900, "an idle stream");

struct nr_tcp {
    struct nr_io *io;
    struct nr_listener *listener;
    const struct nr_tcp_conf *conf;
    struct nr_tcp_owner *owner;
    struct nr_server_counts counts;
    struct nr_accept accept;
    struct nr_op drained_op;
    struct nr_link streams;
    void (*drained)(void *ctx);
    void *drained_ctx;
    bool draining;
    bool told_drained;
};

/* ---- tcp.c ---- */

/* A stream has been freed: accept again, or report the drain. */
void nr_tcp_stream_gone(struct nr_tcp *tcp);

/* ---- tcp_stream.c ---- */

/* Take over a fresh socket. */
void nr_tcp_stream_open(struct nr_tcp *tcp, struct nr_sock *sock, const struct nr_addr *peer);

/* It is over: sockets close, the record is made. Its memory goes with its last operation. No-op
 * when it is over already. */
void nr_tcp_stream_end(struct nr_tcp_stream *stream, enum nr_reason reason, enum nr_close how);

/* At the end of each callback: free the stream if nothing of it is outstanding. */
void nr_tcp_stream_settle(struct nr_tcp_stream *stream);

/* Arm the timer for what holds now. */
void nr_tcp_stream_bound(struct nr_tcp_stream *stream);

/* ---- tcp_pipe.c ---- */

void nr_tcp_end_init(struct nr_tcp_end *end, struct nr_tcp_stream *stream);

/* The end has its socket. */
void nr_tcp_end_attach(struct nr_tcp_end *end, struct nr_sock *sock);

/* Read into what there is of a buffer. */
void nr_tcp_end_recv(struct nr_tcp_end *end);

/* Both ends are attached: let the bytes flow. */
void nr_tcp_join(struct nr_tcp_stream *stream);

/* All its operations have called back. */
bool nr_tcp_end_idle(const struct nr_tcp_end *end);

/* In state HEADER: something came (or 0, or an error). In tcp_stream.c. */
void nr_tcp_stream_header(struct nr_tcp_stream *stream, int32_t result);

#endif
