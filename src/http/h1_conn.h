/* SPDX-License-Identifier: Apache-2.0 */
/* h1_conn.h - what HTTP/1.1 connections of servers and clients share. Internal to http.
 *
 * A connection (struct nr_h1_conn) carries one message pair at a time (struct nr_h1_msg, which is
 * the exchange). What is only needed while a message is under way lives in the latter, so that an
 * idle connection stays small.
 *
 * The turn. Every callback of a connection's operations runs as
 *
 *   enter -> the role's reaction (bytes decoded, a flag set) -> settle -> leave
 *
 * and settle is the one place that emits events, ends exchanges, starts the next one and arms the
 * next read. Verbs only change state: when they are called from elsewhere they kick the
 * connection, which defers one `turn` operation, and settle runs there. So no event is ever
 * emitted from inside a verb, and nothing is freed below an owner's feet: a message is freed
 * behind its `end`, a connection when it is closed and its last operation has called back.
 *
 * The receive buffer, while a message is under way:
 *
 *   data   ...|content, not yet consumed|...gap...|raw, not yet decoded|
 *             ^in->begin                ^content_end                   ^in->end
 *                                                 ^raw_at
 *
 * Chunk framing is taken out when the bytes arrive, by moving what follows it forward; so `pending`
 * is always one run of bytes and the body's end is known as soon as it has arrived. Behind the
 * message's end the raw bytes are the next message's. */
#ifndef NR_HTTP_H1_CONN_H
#define NR_HTTP_H1_CONN_H

#include "http/exchange.h"
#include "io/io.h"

enum { NR_H1_FIELDS_MAX = 256 };

/* What a connection needs to know of its server's or client's configuration. */
struct nr_h1_common {
    const struct nr_h1_limits *limits;
    uint64_t body_timeout_ns;
    uint64_t body_bytes_per_s_min;
    uint64_t write_timeout_ns;
    uint64_t tunnel_timeout_ns;
};

/* How the body that we send is framed. */
enum nr_h1_out {
    NR_H1_OUT_NONE,    /* no head yet, or nothing may follow it */
    NR_H1_OUT_LENGTH,  /* out_left bytes to come */
    NR_H1_OUT_CHUNKED, /* out_left bytes to come of the chunk that was announced */
    NR_H1_OUT_RAW,     /* as it is: until closed */
    NR_H1_OUT_DROP,    /* taken and dropped: the answer to HEAD, 204, 304 */
};

struct nr_h1_conn;

struct nr_h1_msg {
    struct nr_exchange x; /* first: verbs get this */
    struct nr_h1_conn *conn;
    struct nr_head *trailers; /* received; told once the content is consumed */
    struct nr_h1_body body;   /* coming in */
    uint64_t rate_from_ns;    /* the start of the average rate; moves while the owner pauses us */
    uint64_t paused_ns;       /* since when the owner pauses us; 0: not */
    uint64_t out_left;
    uint32_t content_end;
    uint32_t raw_at;
    uint32_t scanned; /* of the trailer section */
    uint8_t method;   /* of the request */
    uint8_t version;  /* of the request (serving side) */
    uint8_t out;      /* enum nr_h1_out */
    uint8_t end;      /* enum nr_end, once ending */
    bool ending;      /* the end is decided */
    bool told;        /* `end` was emitted */
    bool in_head;     /* the peer's (final) head has come */
    bool in_trailers; /* the trailer section is being collected */
    bool in_done;     /* the peer's message is complete */
    bool in_news;     /* content or the end came since the last body event */
    bool in_told;     /* the owner knows that the peer's message is complete */
    bool out_head;    /* our (final) head was given */
    bool out_done;    /* our message is complete, though maybe not yet flushed */
    bool out_shut;    /* FIN sent behind a tunnel's last byte */
    bool want_writable;
    bool tunnel;
    bool upgrade;   /* the request asks for one */
    bool expecting; /* Expect: 100-continue, not answered yet */
    bool refused;   /* serving side: through handler->refused */
    bool sent;      /* bytes of this message have been written */
};

/* What servers and clients do differently. */
struct nr_h1_role {
    void (*received)(struct nr_h1_conn *c, int32_t result); /* bytes are in c->in; or 0; or error */
    void (*settle)(struct nr_h1_conn *c);
    void (*expired)(struct nr_h1_conn *c, bool writing);
    void (*write_failed)(struct nr_h1_conn *c);
    bool (*idle)(const struct nr_h1_conn *c); /* the role's own operations have all called back */
    void (*free)(struct nr_h1_conn *c);
};

struct nr_h1_conn {
    const struct nr_h1_role *role;
    const struct nr_h1_common *common;
    struct nr_io *io;
    struct nr_sock *sock; /* NULL before connected and after close */
    struct nr_h1_msg *m;  /* NULL: idle */
    struct nr_buf *in;
    struct nr_buf *out;         /* heads, chunk lines and their ends, not yet written */
    uint64_t read_deadline_ns;  /* 0: none; the timer may be armed earlier: see nr_h1_deadlines */
    uint64_t write_deadline_ns; /* 0: none */
    struct nr_recv recv;
    struct nr_op writable;
    struct nr_op turn;
    struct nr_timer timer;
    uint32_t scanned; /* of a head that is not complete yet */
    bool busy;        /* inside one of its callbacks: settle will run */
    bool again;       /* settle has more to do */
    bool closed;
    bool blocked;    /* a write was short; waiting for the peer (or for being connected) */
    bool out_failed; /* the peer takes no more: output is dropped */
    bool big;        /* bodies here fill small buffers: borrow large ones */
};

/* ---- h1_conn.c: life, turns, time ---- */

void nr_h1_conn_init(struct nr_h1_conn *c, struct nr_io *io, const struct nr_h1_role *role,
                     const struct nr_h1_common *common);

/* Around a callback of any operation of c. leave may free c. */
void nr_h1_enter(struct nr_h1_conn *c);
void nr_h1_leave(struct nr_h1_conn *c);

/* settle has something to do, now or in a turn of its own. */
void nr_h1_kick(struct nr_h1_conn *c);

/* The exchange ends; the first reason counts. */
void nr_h1_end(struct nr_h1_msg *m, enum nr_end end);

/* Close the socket and give the buffers back. Freed by the last callback. */
void nr_h1_close(struct nr_h1_conn *c, enum nr_close how);

/* Submit the receive, into what c->in has room for. No-op when it is pending. */
void nr_h1_recv(struct nr_h1_conn *c, uint64_t want);

/* Arm the timer for the nearer of the two deadlines, unless it fires before anyway: then it looks
 * again. So moving a deadline away, as every request does, is a store. */
void nr_h1_deadlines(struct nr_h1_conn *c);
void nr_h1_read_deadline(struct nr_h1_conn *c, uint64_t at_ns);

/* ---- h1_in.c: the peer's message ---- */

/* Give the buffer back if nothing is left in it. */
void nr_h1_in_release(struct nr_h1_conn *c);

/* Make room behind the bytes at c->in->begin for a head of up to head_bytes_max. */
void nr_h1_in_room(struct nr_h1_conn *c);

/* The head was taken off; a body of this length follows at c->in->begin. */
void nr_h1_in_start(struct nr_h1_msg *m, int64_t body_length);

/* Decode what is new in c->in. May end the exchange with NR_END_PROTOCOL. */
void nr_h1_in_decode(struct nr_h1_msg *m);

/* Emit body and trailers, as due. The owner may do anything in them. */
void nr_h1_in_events(struct nr_h1_msg *m);

/* Receive more of the body if there is a place for it, and bound the time. */
void nr_h1_in_arm(struct nr_h1_msg *m);

/* Drop unconsumed content; what is left in c->in belongs to the next message. */
void nr_h1_in_drop(struct nr_h1_msg *m);

/* Content waits for the owner. */
static inline bool nr_h1_in_waits(const struct nr_h1_msg *m)
{
    return m->conn->in != NULL && m->conn->in->begin < m->content_end;
}

struct nr_span nr_h1_pending(const struct nr_exchange *x);
void nr_h1_consume(struct nr_exchange *x, size_t bytes);
void nr_h1_reset(struct nr_exchange *x);

/* ---- h1_out.c: our message ---- */

/* Room in the out buffer; NULL when the head is larger than any buffer. */
char *nr_h1_out_reserve(struct nr_h1_conn *c, size_t bytes);
void nr_h1_out_commit(struct nr_h1_conn *c, size_t bytes);
bool nr_h1_out_append(struct nr_h1_conn *c, struct nr_span bytes);

/* The peer takes no more: drop what is to be written, and tell the role. */
void nr_h1_out_fail(struct nr_h1_conn *c);

/* Write what stands in the out buffer. */
void nr_h1_out_flush(struct nr_h1_conn *c);

/* Nothing is left to write. */
static inline bool nr_h1_out_flushed(const struct nr_h1_conn *c)
{
    return c->out == NULL;
}

/* How a body of this length is framed; `chunks`: the peer understands them. Sets m->out. */
int64_t nr_h1_out_frame(struct nr_h1_msg *m, int64_t body_length, bool ended, bool chunks);

size_t nr_h1_send_body(struct nr_exchange *x, struct nr_span bytes, bool ended);
void nr_h1_send_trailers(struct nr_exchange *x, const struct nr_head *trailers);

#endif
