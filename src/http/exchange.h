/* SPDX-License-Identifier: Apache-2.0 */
/* exchange.h - one request and its answer, whatever carries them.
 *
 * `http` offers exchanges, never connections: HTTP/1.1, HTTP/2 and the test's fake
 * stand behind the same table of verbs, on the serving side and on the calling side.
 *
 * Events come to the owner from the engine's turn, never from inside a verb:
 *
 *   head      the other side's head. On the calling side also each interim (1xx) one:
 *             the final head is the first with status >= 200, or a 101
 *   body      bytes are there. They stay (nr_exchange_pending) until consumed, and no more
 *             are read beyond what the carrier's window holds: that is the back-pressure
 *   trailers  after the last body byte
 *   writable  a send_body that took less than it was given may be repeated
 *   end       last event, exactly once, whatever happened; the exchange is gone when it returns
 *
 * The two directions run independently: an answer may come, and even finish, before the
 * request's body has been sent; the owner of the calling side may go on sending or reset.
 * A direction's end is told by `ended` in body (or head, or by trailers).
 *
 * An exchange ends by itself (NR_END_DONE) when both directions are finished, else
 * by the peer or by a limit of the carrier, or by nr_exchange_reset. After a reset
 * no event but `end` follows. */
#ifndef NR_HTTP_EXCHANGE_H
#define NR_HTTP_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "codec/h1.h"
#include "codec/head.h"
#include "io/addr.h"
#include "naru/span.h"

/* How an exchange ended. */
enum nr_end {
    NR_END_DONE,            /* both directions complete */
    NR_END_RESET,           /* the owner's own nr_exchange_reset */
    NR_END_CONNECT_REFUSED, /* calling side: nothing was sent */
    NR_END_CONNECT_FAILED,  /* unreachable, or out of descriptors: nothing was sent */
    NR_END_CONNECT_TIMEOUT, /* nothing was sent */
    NR_END_POOL_EXHAUSTED,  /* every connection allowed is in use, and none came free in time:
                               nothing was sent */
    NR_END_UNPROCESSED,     /* the peer certainly did not process it (nothing was written; H2
                               REFUSED_STREAM) */
    NR_END_PEER_CLOSED,     /* FIN before the message was complete */
    NR_END_PEER_RESET,      /* RST, or a broken connection */
    NR_END_PROTOCOL,        /* the peer broke HTTP; nr_exchange_refusal says how */
    NR_END_HEAD_TIMEOUT,    /* serving side: the head took too long */
    NR_END_BODY_TIMEOUT,    /* no progress (or too slow) in the peer's body */
    NR_END_WRITE_TIMEOUT,   /* the peer took no bytes for too long */
    NR_END_IDLE_TIMEOUT,    /* a tunnel was silent too long */
    NR_END_SHUTDOWN,        /* the carrier is being closed (drain over) */
    NR_ENDS
};

const char *nr_end_text(enum nr_end end);

/* May the peer have processed the request? False only when that is certain. */
bool nr_end_may_have_processed(enum nr_end end);

struct nr_exchange;
struct nr_peer;

struct nr_exchange_events {
    void (*head)(struct nr_exchange *x, struct nr_head *head, bool ended);
    void (*body)(struct nr_exchange *x, bool ended);
    void (*trailers)(struct nr_exchange *x, struct nr_head *trailers);
    void (*writable)(struct nr_exchange *x);
    void (*end)(struct nr_exchange *x, enum nr_end end);
};

struct nr_exchange_verbs {
    void (*send_head)(struct nr_exchange *x, const struct nr_head *head, bool ended);
    size_t (*send_body)(struct nr_exchange *x, struct nr_span bytes, bool ended);
    void (*send_trailers)(struct nr_exchange *x, const struct nr_head *trailers);
    struct nr_span (*pending)(const struct nr_exchange *x);
    void (*consume)(struct nr_exchange *x, size_t bytes);
    void (*reset)(struct nr_exchange *x);
    void (*release)(struct nr_exchange *x);
    const struct nr_peer *(*peer)(const struct nr_exchange *x); /* serving side; else NULL */
};

/* Times of the exchange on the engine's monotonic clock, for the record; 0: not yet. */
struct nr_exchange_times {
    uint64_t started_ns;   /* serving: first byte of the head; calling: opened */
    uint64_t connected_ns; /* calling: a connection was there */
    uint64_t head_ns;      /* the head was complete */
    uint64_t waited_ns;    /* calling: how long, for a place in the pool */
};

struct nr_exchange {
    const struct nr_exchange_verbs *verbs;
    const struct nr_exchange_events *events; /* the owner's, set before the first event */
    void *owner;                             /* the owner's */
    struct nr_arena *arena; /* heads are copied here; the serving side's belongs to the exchange and
                               goes with it after `end` and the last release; the calling side's is
                               the opener's */
    struct nr_exchange_times times;
    uint64_t received_bytes; /* body bytes in */
    uint64_t sent_bytes;     /* body bytes out */
    struct nr_span id;       /* serving side: the owner's name for it, from the arena; stands in an
                                answer that http must give itself, because the request broke */
    uint8_t refusal;         /* enum nr_h1_reason when the peer broke HTTP */
    bool reused;             /* calling side: went over a pooled connection */
    bool no_files;           /* calling side: there was no descriptor for it, so far */
    bool heard;              /* calling side: bytes have come back */
    uint8_t holds;           /* see nr_exchange_hold */
};

/* ---- verbs; see nr_exchange_verbs ---- */

/* Send a head; once, after any number of 1xx ones (serving side). head->body_length says what
 * follows; http frames it as version and method demand. Nothing of head is kept. ended: no body and
 * no trailers follow. Serving side, final head: the request's body need not have been read. */
static inline void nr_exchange_send_head(struct nr_exchange *x, const struct nr_head *head,
                                         bool ended)
{
    x->verbs->send_head(x, head, ended);
}

/* Send bytes of the body. Returns how many were taken; the rest stays the caller's: send it again
 * on `writable`. `ended` counts only if all were taken (an empty span may carry it; then 0 is
 * success). More bytes than announced, or an end before the announced length, is a programmer's
 * error unless the exchange is reset. After the exchange has broken, everything is taken and
 * dropped: `end` is on its way. */
static inline size_t nr_exchange_send_body(struct nr_exchange *x, struct nr_span bytes, bool ended)
{
    return x->verbs->send_body(x, bytes, ended);
}

/* Ends the direction, like `ended`. Falls back to a plain end where trailers cannot be sent. */
static inline void nr_exchange_send_trailers(struct nr_exchange *x, const struct nr_head *trailers)
{
    x->verbs->send_trailers(x, trailers);
}

/* Received and not yet consumed bytes; valid until the next consume or the end of the exchange. */
static inline struct nr_span nr_exchange_pending(const struct nr_exchange *x)
{
    return x->verbs->pending(x);
}

/* These bytes at the front of pending are done with: the carrier may receive as many more. */
static inline void nr_exchange_consume(struct nr_exchange *x, size_t bytes)
{
    x->verbs->consume(x, bytes);
}

/* Give up at once; `end` follows from the queue. Calling side: the request is cancelled at the
 * upstream (H1: the connection is closed). Serving side: the client sees the connection break off.
 * Repeating it is harmless. */
static inline void nr_exchange_reset(struct nr_exchange *x)
{
    x->verbs->reset(x);
}

/* Serving side: keep the exchange's memory (itself and its arena, not its connection) beyond `end`,
 * because something that the request started still points into it. Each hold is given back by one
 * release, which may be the moment at which the memory goes. */
static inline void nr_exchange_hold(struct nr_exchange *x)
{
    x->holds++;
}

static inline void nr_exchange_release(struct nr_exchange *x)
{
    x->verbs->release(x);
}

/* ---- what serves ---- */

/* One handler interface for the gateway, the admin API and include/naru/service.h. */
struct nr_handler {
    /* A request head is there. The handler sets x->events and x->owner and may use verbs at once;
     * later events go to x->events. `ended`: no body follows. head lives in x->arena until after
     * `end`. */
    void (*request)(struct nr_handler *handler, struct nr_exchange *x, struct nr_head *head,
                    bool ended);

    /* A request that cannot be served as HTTP: too large, malformed, too slow. The handler answers
     * with `status` and may name the reason; the carrier closes the connection behind the answer.
     * head has what could be read (maybe no method and no target). Sets events and owner, as above.
     */
    void (*refused)(struct nr_handler *handler, struct nr_exchange *x, struct nr_head *head,
                    uint16_t status, const char *reason);
};

/* Facts about the connection that carries a serving-side exchange. */
struct nr_peer {
    struct nr_addr addr;
    struct nr_addr local;   /* the listener's */
    uint64_t connection_id; /* unique in the process */
    uint32_t requests;      /* on this connection, this one included */
    bool tls;
};

/* Borrowed; valid during request() and refused(). Copy what you keep. */
const struct nr_peer *nr_exchange_peer(const struct nr_exchange *x);

#endif
