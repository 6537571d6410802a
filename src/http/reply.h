/* SPDX-License-Identifier: Apache-2.0 */
/* reply.h - answer an exchange with a body that is already whole, in memory.
 *
 * For handlers that make answers (admin, service.h) rather than pass them on. The owner embeds a
 * struct nr_reply, starts it once, and hands it the exchange's `writable` events; what the request
 * still sends is read and dropped with nr_reply_drop. The body stays the owner's and must
 * live until the exchange ends. */
#ifndef NR_HTTP_REPLY_H
#define NR_HTTP_REPLY_H

#include "http/exchange.h"

struct nr_reply {
    struct nr_span rest; /* not yet taken by the carrier */
    bool started;
    bool finished;
};

/* Send head and body. head_only: the request's method is HEAD, so the length is told and no
 * body sent. Statuses without content (204, 304) drop the body. */
void nr_reply_start(struct nr_reply *reply, struct nr_exchange *x, struct nr_head *head,
                    struct nr_span body, bool head_only);

/* The exchange is writable again. */
void nr_reply_writable(struct nr_reply *reply, struct nr_exchange *x);

/* Drop what has come of the request's body, so that the next request can be read. */
static inline void nr_reply_drop(struct nr_exchange *x)
{
    nr_exchange_consume(x, nr_exchange_pending(x).len);
}

#endif
