/* SPDX-License-Identifier: Apache-2.0 */
/* replay.c - the front of a request's body, kept for the next attempt.
 *
 * Up to 64 KiB, in buffers of the engine's pool that are charged to one budget for all calls. When
 * a body outgrows either, all that was kept is given back at once: half a body is of no use, and
 * the decision record will say why there was no retry (NR_RECORD_RETRY_NO_BODY), if it comes to
 * that. A body that is announced to be longer is not kept from its first byte. */
#include "base/assert.h"
#include "call/state.h"

void nr_replay_init(struct nr_replay *replay, bool keep, int64_t body_length)
{
    *replay = (struct nr_replay){.keep = keep};
    if (body_length > NR_REPLAY_BYTES_MAX)
        replay->keep = false;
    else if (body_length > 0)
        replay->want_bytes = (uint32_t)body_length;
}

static void free_chain(struct nr_replay *replay, struct nr_io *io, struct nr_call_budget *budget)
{
    while (replay->first != NULL) {
        struct nr_buf *next = replay->first->next;

        nr_buf_put(nr_io_bufs(io), replay->first);
        replay->first = next;
    }
    if (replay->budget_bytes > 0)
        budget->replay_bytes -= replay->budget_bytes;
    replay->budget_bytes = 0;
    replay->kept_bytes = 0;
    replay->last = NULL;
    replay->at = NULL;
    replay->at_bytes = 0;
}

static bool add_buffer(struct nr_replay *replay, struct nr_io *io, struct nr_call_budget *budget)
{
    struct nr_buf *buf;

    if (budget == NULL || budget->replay_bytes >= budget->replay_bytes_max)
        return false;
    buf = nr_buf_get(nr_io_bufs(io), replay->want_bytes);
    if (buf->cap > budget->replay_bytes_max - budget->replay_bytes) {
        nr_buf_put(nr_io_bufs(io), buf);
        return false;
    }
    budget->replay_bytes += buf->cap;
    replay->budget_bytes += buf->cap;
    buf->next = NULL;
    if (replay->last != NULL)
        replay->last->next = buf;
    else
        replay->first = buf;
    replay->last = buf;
    return true;
}

static bool keep(struct nr_replay *replay, struct nr_io *io, struct nr_call_budget *budget,
                 struct nr_span bytes)
{
    if (bytes.len > NR_REPLAY_BYTES_MAX - replay->kept_bytes)
        return false;
    while (bytes.len > 0) {
        struct nr_buf *buf = replay->last;
        size_t n;

        if (buf == NULL || nr_buf_room(buf) == 0) {
            if (!add_buffer(replay, io, budget))
                return false;
            buf = replay->last;
        }
        n = bytes.len < nr_buf_room(buf) ? bytes.len : nr_buf_room(buf);
        memcpy(buf->data + buf->end, bytes.ptr, n);
        buf->end += (uint32_t)n;
        replay->kept_bytes += (uint32_t)n;
        bytes = nr_span_from(bytes, n);
    }
    return true;
}

void nr_replay_sent(struct nr_replay *replay, struct nr_io *io, struct nr_call_budget *budget,
                    struct nr_span bytes)
{
    nr_assert(replay->at == NULL);
    if (bytes.len == 0)
        return;
    if (replay->keep && keep(replay, io, budget, bytes))
        return;
    replay->keep = false;
    replay->lost = true;
    free_chain(replay, io, budget);
}

void nr_replay_rewind(struct nr_replay *replay)
{
    nr_assert(!replay->lost);
    replay->at = replay->first;
    replay->at_bytes = 0;
    replay->end_sent = false;
}

void nr_replay_flush(struct nr_replay *replay, struct nr_exchange *up)
{
    bool ended = replay->ended && replay->trailers == NULL;

    while (replay->at != NULL) {
        struct nr_span rest = nr_span_from(nr_buf_span(replay->at), replay->at_bytes);
        bool last = replay->at->next == NULL;
        size_t taken = nr_exchange_send_body(up, rest, last && ended);

        replay->at_bytes += (uint32_t)taken;
        if (taken < rest.len)
            return;
        replay->at = replay->at->next;
        replay->at_bytes = 0;
        if (last && ended)
            replay->end_sent = true;
    }
    if (!replay->ended || replay->end_sent)
        return;
    if (replay->trailers != NULL)
        nr_exchange_send_trailers(up, replay->trailers);
    else
        nr_exchange_send_body(up, (struct nr_span){NULL, 0}, true);
    replay->end_sent = true;
}

void nr_replay_commit(struct nr_replay *replay, struct nr_io *io, struct nr_call_budget *budget)
{
    replay->keep = false;
    if (replay->at == NULL && replay->first != NULL)
        nr_replay_drop(replay, io, budget);
}

void nr_replay_drop(struct nr_replay *replay, struct nr_io *io, struct nr_call_budget *budget)
{
    free_chain(replay, io, budget);
    replay->keep = false;
}
