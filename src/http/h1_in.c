/* SPDX-License-Identifier: Apache-2.0 */
/* The peer's message: from the receive buffer to events. See the drawing in h1_conn.h. */
#include "http/h1_conn.h"

#include "base/assert.h"

enum {
    ROOM_BYTES_MIN = 1024, /* less than this behind what is there, and it is moved or a larger
                              buffer taken */
};

/* ---- the buffer ---- */

void nr_h1_in_release(struct nr_h1_conn *c)
{
    if (c->in == NULL || nr_buf_len(c->in) > 0 || !nr_op_idle(&c->recv.op))
        return;
    nr_buf_put(nr_io_bufs(c->io), c->in);
    c->in = NULL;
}

static void compact(struct nr_buf *buf)
{
    memmove(buf->data, buf->data + buf->begin, nr_buf_len(buf));
    buf->end -= buf->begin;
    buf->begin = 0;
}

void nr_h1_in_room(struct nr_h1_conn *c)
{
    struct nr_buf *larger;

    if (nr_buf_room(c->in) >= ROOM_BYTES_MIN)
        return;
    if (c->in->begin > 0)
        compact(c->in);
    if (nr_buf_room(c->in) >= ROOM_BYTES_MIN)
        return;
    nr_assert(!c->in->large); /* no limit on heads is that high: see nr_server_new */
    larger = nr_buf_get(nr_io_bufs(c->io), NR_BUF_SMALL_BYTES);
    larger->end = (uint32_t)nr_buf_len(c->in);
    memcpy(larger->data, c->in->data, larger->end);
    nr_buf_put(nr_io_bufs(c->io), c->in);
    c->in = larger;
}

/* ---- decoding ---- */

void nr_h1_in_start(struct nr_h1_msg *m, int64_t body_length)
{
    nr_h1_body_init(&m->body, body_length);
    m->content_end = m->conn->in != NULL ? m->conn->in->begin : 0;
    m->raw_at = m->content_end;
    m->in_head = true;
    m->in_done = nr_h1_body_ended(&m->body);
    m->in_trailers = false;
    m->in_told = false;
    m->rate_from_ns = nr_io_now_ns(m->conn->io);
    if (m->in_done)
        nr_h1_in_release(m->conn);
}

/* Content that was found at raw bytes: it joins what waits already. */
static void add_content(struct nr_h1_msg *m, struct nr_span content)
{
    struct nr_buf *in = m->conn->in;
    uint32_t at = (uint32_t)(content.ptr - in->data);

    if (in->begin == m->content_end) {
        in->begin = at; /* nothing waits: no need to move */
        m->content_end = at;
    } else if (at != m->content_end) {
        memmove(in->data + m->content_end, content.ptr, content.len);
    }
    m->content_end += (uint32_t)content.len;
    m->x.received_bytes += content.len;
    m->in_news = true;
}

static void refuse(struct nr_h1_msg *m, uint8_t reason)
{
    m->x.refusal = reason;
    nr_h1_end(m, NR_END_PROTOCOL);
}

static void complete(struct nr_h1_msg *m)
{
    m->in_done = true;
    m->in_news = true;
    nr_h1_read_deadline(m->conn, 0);
    if (m->x.received_bytes < NR_BUF_SMALL_BYTES)
        m->conn->big = false;
}

/* Collect the trailer section and keep its fields. */
static void decode_trailers(struct nr_h1_msg *m)
{
    struct nr_buf *in = m->conn->in;
    const struct nr_h1_limits *limits = m->conn->common->limits;
    struct nr_span raw = {in->data + m->raw_at, in->end - m->raw_at};
    struct nr_field fields[NR_H1_FIELDS_MAX];
    struct nr_head parsed;
    enum nr_h1_reason reason = NR_H1_OK;
    uint32_t bytes = 0;

    switch (nr_h1_scan_trailers(raw, limits, &m->scanned, &bytes, &reason)) {
    case NR_H1_SCAN_MORE: return;
    case NR_H1_SCAN_BAD: refuse(m, (uint8_t)reason); return;
    case NR_H1_SCAN_DONE: break;
    }
    reason = nr_h1_parse_trailers(in->data + m->raw_at, bytes, limits, fields, NR_H1_FIELDS_MAX,
                                  &parsed);
    if (reason != NR_H1_OK) {
        refuse(m, (uint8_t)reason);
        return;
    }
    m->raw_at += bytes;
    nr_h1_body_finish_trailers(&m->body);
    if (parsed.field_count > 0 && !m->told)
        m->trailers = nr_head_dup(&parsed, m->x.arena);
    complete(m);
}

/* Nothing is left to decode: what the gap and the framing took is room again. */
static void reclaim(struct nr_h1_msg *m)
{
    struct nr_buf *in = m->conn->in;

    if (m->raw_at < in->end || m->in_done)
        return;
    if (in->begin == m->content_end) {
        in->begin = 0;
        m->content_end = 0;
    }
    in->end = m->content_end;
    m->raw_at = m->content_end;
}

void nr_h1_in_decode(struct nr_h1_msg *m)
{
    struct nr_h1_conn *c = m->conn;

    if (c->in == NULL)
        return;
    while (!m->in_done && !m->in_trailers) {
        struct nr_span raw = {c->in->data + m->raw_at, c->in->end - m->raw_at};
        struct nr_span content;
        size_t used = 0;
        enum nr_h1_step step = nr_h1_body_step(&m->body, raw, c->common->limits, &used, &content);

        m->raw_at += (uint32_t)used;
        if (step == NR_H1_STEP_CONTENT)
            add_content(m, content);
        else if (step == NR_H1_STEP_TRAILERS)
            m->in_trailers = true;
        else if (step == NR_H1_STEP_END)
            complete(m);
        else
            break;
        /* A body of known length has ended with its last byte, not with the next read. */
        if (step == NR_H1_STEP_CONTENT && nr_h1_body_ended(&m->body))
            complete(m);
    }
    if (m->body.reason != NR_H1_OK) {
        refuse(m, m->body.reason);
        return;
    }
    if (m->in_trailers && !m->in_done)
        decode_trailers(m);
    reclaim(m);
}

void nr_h1_in_drop(struct nr_h1_msg *m)
{
    struct nr_h1_conn *c = m->conn;

    if (c->in == NULL)
        return;
    c->in->begin = m->raw_at;
    m->content_end = m->raw_at;
    reclaim(m);
    nr_h1_in_release(c);
}

/* ---- events ---- */

void nr_h1_in_events(struct nr_h1_msg *m)
{
    if (m->in_news && !m->in_told) {
        bool ended = m->in_done && m->trailers == NULL;

        m->in_news = false;
        m->in_told = ended;
        if (ended || nr_h1_in_waits(m))
            m->x.events->body(&m->x, ended);
    }
    if (m->in_done && m->trailers != NULL && !m->ending && !nr_h1_in_waits(m)) {
        struct nr_head *trailers = m->trailers;

        m->trailers = NULL;
        m->in_told = true;
        m->x.events->trailers(&m->x, trailers);
    }
}

/* ---- reading on ---- */

/* When the body must have got on: a byte within body_timeout, and on average the minimum rate. */
static uint64_t body_deadline_ns(const struct nr_h1_msg *m)
{
    const struct nr_h1_common *common = m->conn->common;
    uint64_t now_ns = nr_io_now_ns(m->conn->io);
    uint64_t at_ns = common->body_timeout_ns == 0 ? 0 : now_ns + common->body_timeout_ns;
    uint64_t rate = common->body_bytes_per_s_min, rate_at_ns;

    if (m->expecting)
        return 0; /* it waits for our 100, as it should */
    if (rate == 0)
        return at_ns;
    rate_at_ns = m->rate_from_ns + common->body_timeout_ns +
                 m->x.received_bytes / rate * 1000000000u +
                 m->x.received_bytes % rate * 1000000000u / rate;
    return at_ns == 0 || rate_at_ns < at_ns ? rate_at_ns : at_ns;
}

static void resume(struct nr_h1_msg *m)
{
    uint64_t now_ns = nr_io_now_ns(m->conn->io);

    if (m->paused_ns != 0) {
        m->rate_from_ns += now_ns - m->paused_ns;
        m->paused_ns = 0;
    }
}

/* The owner does not consume: that is not the peer's fault, so no time runs. */
static void pause(struct nr_h1_msg *m)
{
    if (m->paused_ns == 0)
        m->paused_ns = nr_io_now_ns(m->conn->io);
    if (!m->tunnel)
        nr_h1_read_deadline(m->conn, 0);
}

/* Is there a place for more? Yes when nothing waits, and while what waits is little. */
static bool place_for_more(struct nr_h1_msg *m)
{
    struct nr_h1_conn *c = m->conn;

    if (c->in == NULL)
        return true;
    if (!nr_h1_in_waits(m)) {
        c->in->begin = m->raw_at;
        if (nr_buf_len(c->in) == 0)
            nr_h1_in_release(c);
        else
            nr_h1_in_room(c); /* a trailer section in pieces */
        m->raw_at = c->in == NULL ? 0 : c->in->begin;
        m->content_end = m->raw_at;
        return true;
    }
    return nr_buf_room(c->in) >= c->in->cap / 2;
}

/* Time runs from the peer's last byte, not from ours; in a tunnel from either's. */
static void restart_deadline(struct nr_h1_msg *m)
{
    struct nr_h1_conn *c = m->conn;
    uint64_t silence_ns = c->common->tunnel_timeout_ns;

    resume(m);
    if (!m->tunnel)
        nr_h1_read_deadline(c, body_deadline_ns(m));
    else if (silence_ns != 0)
        nr_h1_read_deadline(c, nr_io_now_ns(c->io) + silence_ns);
}

void nr_h1_in_arm(struct nr_h1_msg *m)
{
    struct nr_h1_conn *c = m->conn;

    if (c->sock == NULL || m->in_done)
        return;
    if (!nr_op_idle(&c->recv.op)) {
        if (m->tunnel || c->read_deadline_ns == 0)
            restart_deadline(m);
    } else if (place_for_more(m)) {
        nr_h1_recv(c, m->body.left);
        restart_deadline(m);
    } else {
        pause(m);
    }
}

/* ---- the owner's verbs ---- */

struct nr_span nr_h1_pending(const struct nr_exchange *x)
{
    const struct nr_h1_msg *m = (const struct nr_h1_msg *)x;
    const struct nr_buf *in = m->told ? NULL : m->conn->in;

    if (in == NULL || !m->in_head || in->begin >= m->content_end)
        return (struct nr_span){NULL, 0};
    return (struct nr_span){in->data + in->begin, m->content_end - in->begin};
}

void nr_h1_consume(struct nr_exchange *x, size_t bytes)
{
    struct nr_h1_msg *m = (struct nr_h1_msg *)x;
    struct nr_h1_conn *c = m->conn;

    if (bytes == 0)
        return;
    nr_assert(c->in != NULL && bytes <= m->content_end - c->in->begin);
    c->in->begin += (uint32_t)bytes;
    if (nr_h1_in_waits(m) || m->ending)
        return;
    if (m->in_done) {
        if (m->raw_at == c->in->end) {
            c->in->begin = c->in->end;
            nr_h1_in_release(c);
        } else {
            c->in->begin = m->content_end = m->raw_at;
        }
        nr_h1_kick(c); /* trailers, or the end */
        return;
    }
    if (!nr_op_idle(&c->recv.op)) {
        /* It waits with this buffer, which is empty now: an idle stream must own none. */
        nr_op_cancel(c->io, &c->recv.op);
        return;
    }
    c->in->begin = m->content_end = m->raw_at;
    reclaim(m);
    if (!c->busy) /* else settle does */
        nr_h1_in_arm(m);
}

void nr_h1_reset(struct nr_exchange *x)
{
    nr_h1_end((struct nr_h1_msg *)x, NR_END_RESET);
}
