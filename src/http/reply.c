/* SPDX-License-Identifier: Apache-2.0 */
#include "http/reply.h"

#include "base/assert.h"

static void send(struct nr_reply *reply, struct nr_exchange *x)
{
    reply->rest = nr_span_from(reply->rest, nr_exchange_send_body(x, reply->rest, true));
    reply->finished = reply->rest.len == 0;
}

void nr_reply_start(struct nr_reply *reply, struct nr_exchange *x, struct nr_head *head,
                    struct nr_span body, bool head_only)
{
    bool bare = head->status == 204 || head->status == 304;

    nr_assert(!reply->started && head->status >= 200);
    reply->started = true;
    reply->rest = body;
    head->body_length = bare ? NR_BODY_NONE : (int64_t)body.len;
    reply->finished = bare || head_only || body.len == 0;
    nr_exchange_send_head(x, head, reply->finished);
    if (!reply->finished)
        send(reply, x);
}

void nr_reply_writable(struct nr_reply *reply, struct nr_exchange *x)
{
    if (reply->started && !reply->finished)
        send(reply, x);
}
