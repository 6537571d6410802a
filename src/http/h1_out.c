/* SPDX-License-Identifier: Apache-2.0 */
/* Our message: from verbs to the socket.
 *
 * A head is serialised into the out buffer, which is borrowed until it has been written. It is not
 * written at once when a body may follow in the same turn: the body's first bytes then take it
 * along in one write of several parts, without being copied. If nothing follows, settle flushes it.
 *
 * Bytes of a body are never kept. What the kernel does not take stays the caller's. With chunks
 * that makes a promise outlive a call: the line that has been written (if only its first byte)
 * announces a number of bytes. So out_left counts what is still owed to the chunk; the next bytes
 * that come pay for it first, without a line of their own. A rest of the line itself, or of the
 * CRLF behind the data, goes to the out buffer, which precedes everything else. */
#include "http/h1_conn.h"

#include "base/assert.h"
#include "base/compiler.h"

/* ---- the out buffer ---- */

char *nr_h1_out_reserve(struct nr_h1_conn *c, size_t bytes)
{
    struct nr_buf_pool *pool = nr_io_bufs(c->io);
    struct nr_buf *larger;
    size_t len = c->out == NULL ? 0 : nr_buf_len(c->out);

    if (c->out == NULL)
        c->out = nr_buf_get(pool, bytes);
    if (nr_buf_room(c->out) >= bytes)
        return c->out->data + c->out->end;
    larger = nr_buf_get(pool, len + bytes);
    if (nr_buf_room(larger) < len + bytes) {
        nr_buf_put(pool, larger);
        return NULL;
    }
    memcpy(larger->data, c->out->data + c->out->begin, len);
    larger->end = (uint32_t)len;
    nr_buf_put(pool, c->out);
    c->out = larger;
    return larger->data + larger->end;
}

static void release_if_empty(struct nr_h1_conn *c)
{
    if (c->out == NULL || nr_buf_len(c->out) > 0)
        return;
    nr_buf_put(nr_io_bufs(c->io), c->out);
    c->out = NULL;
}

void nr_h1_out_commit(struct nr_h1_conn *c, size_t bytes)
{
    c->out->end += (uint32_t)bytes;
    release_if_empty(c);
}

bool nr_h1_out_append(struct nr_h1_conn *c, struct nr_span bytes)
{
    char *to;

    if (bytes.len == 0)
        return true;
    to = nr_h1_out_reserve(c, bytes.len);
    if (to == NULL)
        return false;
    memcpy(to, bytes.ptr, bytes.len);
    nr_h1_out_commit(c, bytes.len);
    return true;
}

/* ---- writing ---- */

void nr_h1_out_fail(struct nr_h1_conn *c)
{
    c->out_failed = true;
    nr_buf_put(nr_io_bufs(c->io), c->out);
    c->out = NULL;
    c->role->write_failed(c);
}

/* The kernel took less than it was given. */
static void block(struct nr_h1_conn *c, bool progress)
{
    if (!c->blocked || progress) {
        c->write_deadline_ns = c->common->write_timeout_ns == 0
                                   ? 0
                                   : nr_io_now_ns(c->io) + c->common->write_timeout_ns;
        nr_h1_deadlines(c);
    }
    c->blocked = true;
    if (nr_op_idle(&c->writable))
        nr_sock_when_writable(c->sock, &c->writable);
}

/* A small body behind its head is cheaper copied than handed over as a part of its own: one
 * contiguous send costs the kernel less than a gathering sendmsg, by more than the copy. The copies
 * stand behind out->end, uncommitted: what is not taken stays the caller's. */
enum { GATHER_BYTES_MAX = 4096 };

static int gather(struct nr_buf *out, size_t parts_len, struct iovec *parts, int count)
{
    char *to = out->data + out->end;

    if (parts_len > GATHER_BYTES_MAX || parts_len > nr_buf_room(out))
        return count;
    for (int i = 1; i <= count; i++) {
        if (parts[i].iov_len > 0)
            memcpy(to, parts[i].iov_base, parts[i].iov_len);
        to += parts[i].iov_len;
    }
    parts[0].iov_len += parts_len;
    return 0;
}

/* One write of `total` bytes. Returns what was taken, or -1. Afterwards the connection may be
 * blocked or failed. */
static int64_t write_out(struct nr_h1_conn *c, const struct iovec *parts, int count, size_t total)
{
    int64_t taken = nr_sock_write(c->sock, parts, count);

    if (nr_unlikely(taken < 0)) {
        nr_h1_out_fail(c);
        return -1;
    }
    if (taken > 0 && c->m != NULL)
        c->m->sent = true;
    if (nr_unlikely((size_t)taken < total))
        block(c, taken > 0);
    return taken;
}

/* Write the out buffer and then `count` parts in parts[1 …]. Returns how many bytes of the parts
 * were taken. */
static size_t push(struct nr_h1_conn *c, struct iovec *parts, int count)
{
    struct nr_buf *out = c->out;
    size_t out_len = out == NULL ? 0 : nr_buf_len(out), total = out_len;
    int skip = out_len == 0;
    int64_t taken;

    if (c->blocked || c->out_failed)
        return 0;
    for (int i = 1; i <= count; i++)
        total += parts[i].iov_len;
    if (total == 0)
        return 0;
    if (out_len > 0) {
        parts[0] = (struct iovec){out->data + out->begin, out_len};
        count = gather(out, total - out_len, parts, count);
    }
    taken = write_out(c, parts + skip, count + 1 - skip, total);
    if (taken < 0)
        return 0;
    if ((size_t)taken < out_len) {
        out->begin += (uint32_t)taken;
        return 0;
    }
    if (out != NULL) {
        out->begin = out->end;
        release_if_empty(c);
    }
    return (size_t)taken - out_len;
}

void nr_h1_out_flush(struct nr_h1_conn *c)
{
    struct iovec part;
    int64_t taken;

    if (c->out == NULL || c->blocked || c->out_failed)
        return;
    part = (struct iovec){c->out->data + c->out->begin, nr_buf_len(c->out)};
    taken = write_out(c, &part, 1, part.iov_len);
    if (taken < 0)
        return;
    c->out->begin += (uint32_t)taken;
    release_if_empty(c);
}

/* ---- bodies ---- */

int64_t nr_h1_out_frame(struct nr_h1_msg *m, int64_t body_length, bool ended, bool chunks)
{
    m->out_left = 0;
    m->out = NR_H1_OUT_NONE;
    if (ended && body_length < 0)
        return body_length == NR_BODY_NONE ? NR_BODY_NONE : 0;
    if (body_length >= 0) {
        m->out = NR_H1_OUT_LENGTH;
        m->out_left = (uint64_t)body_length;
        return body_length;
    }
    if (body_length == NR_BODY_TUNNEL) {
        m->out = NR_H1_OUT_RAW;
        return body_length;
    }
    m->out = chunks ? NR_H1_OUT_CHUNKED : NR_H1_OUT_RAW;
    return chunks ? NR_BODY_CHUNKED : NR_BODY_CLOSE;
}

static size_t push_plain(struct nr_h1_conn *c, struct nr_span bytes)
{
    struct iovec parts[2];

    parts[1] = (struct iovec){(void *)(uintptr_t)bytes.ptr, bytes.len};
    return push(c, parts, 1);
}

/* A whole new chunk, or what is owed to the one under way; last: then the end of the body. */
static size_t push_chunk(struct nr_h1_msg *m, struct nr_span data, bool last)
{
    static const char ends[] = "\r\n0\r\n\r\n";
    char line[NR_H1_CHUNK_LINE_BYTES];
    size_t line_len = m->out_left == 0 ? nr_h1_write_chunk_line(line, data.len) : 0;
    size_t owed = m->out_left == 0 ? data.len : (size_t)m->out_left;
    size_t end_len = data.len < owed ? 0 : last ? sizeof(ends) - 1 : 2;
    struct iovec parts[4];
    size_t taken, taken_data;
    bool kept = true;

    parts[1] = (struct iovec){line, line_len};
    parts[2] = (struct iovec){(void *)(uintptr_t)data.ptr, data.len};
    parts[3] = (struct iovec){(void *)(uintptr_t)ends, end_len};
    taken = push(m->conn, parts, 3);
    if (taken == 0)
        return 0; /* not a byte of the line: nothing is promised */
    if (taken < line_len)
        kept = nr_h1_out_append(m->conn, (struct nr_span){line + taken, line_len - taken});
    taken = taken < line_len ? 0 : taken - line_len;
    taken_data = taken < data.len ? taken : data.len;
    m->out_left = owed - taken_data;
    if (taken_data == data.len && end_len > 0)
        kept = nr_h1_out_append(
            m->conn, (struct nr_span){ends + (taken - data.len), end_len - (taken - data.len)});
    nr_assert(kept); /* the out buffer was empty */
    return taken_data;
}

static size_t push_chunks(struct nr_h1_msg *m, struct nr_span bytes, bool ended)
{
    size_t taken = 0;

    while (taken < bytes.len && !m->conn->blocked && !m->conn->out_failed) {
        struct nr_span data = nr_span_from(bytes, taken);
        size_t got;

        if (m->out_left > 0 && data.len > m->out_left)
            data.len = (size_t)m->out_left; /* the debt first */
        got = push_chunk(m, data, ended && taken + data.len == bytes.len);
        taken += got;
        if (got < data.len)
            break;
    }
    return taken;
}

/* The direction ends without a byte of content in this call. */
static void end_empty(struct nr_h1_msg *m)
{
    if (m->out_left > 0) {
        nr_h1_end(m, NR_END_RESET); /* less than announced: never let it pass for the whole */
        return;
    }
    if (m->out == NR_H1_OUT_CHUNKED && !nr_h1_out_append(m->conn, NR_SPAN("0\r\n\r\n")))
        nr_h1_end(m, NR_END_RESET);
}

static size_t push_body(struct nr_h1_msg *m, struct nr_span bytes, bool ended)
{
    size_t taken;

    switch ((enum nr_h1_out)m->out) {
    case NR_H1_OUT_CHUNKED: return push_chunks(m, bytes, ended);
    case NR_H1_OUT_LENGTH:
        nr_assert(bytes.len <= m->out_left);
        taken = push_plain(m->conn, bytes);
        m->out_left -= taken;
        return taken;
    case NR_H1_OUT_RAW: return push_plain(m->conn, bytes);
    default: nr_assert(bytes.len == 0); return 0;
    }
}

size_t nr_h1_send_body(struct nr_exchange *x, struct nr_span bytes, bool ended)
{
    struct nr_h1_msg *m = (struct nr_h1_msg *)x;
    struct nr_h1_conn *c = m->conn;
    size_t taken = bytes.len;

    if (m->ending || m->told || m->out_done)
        return bytes.len;
    nr_assert(m->out_head);
    if (!c->out_failed && m->out != NR_H1_OUT_DROP) {
        if (bytes.len > 0)
            taken = push_body(m, bytes, ended);
        else if (ended)
            end_empty(m);
        if (c->out_failed)
            taken = bytes.len;
    }
    x->sent_bytes += taken;
    m->want_writable = taken < bytes.len;
    if (ended && taken == bytes.len) {
        m->out_done = true;
        if (m->out == NR_H1_OUT_LENGTH && m->out_left > 0 && !c->out_failed)
            nr_h1_end(m, NR_END_RESET);
        if (!c->blocked && !c->busy)
            nr_h1_out_flush(c);
        nr_h1_kick(c);
    }
    return taken;
}

void nr_h1_send_trailers(struct nr_exchange *x, const struct nr_head *trailers)
{
    struct nr_h1_msg *m = (struct nr_h1_msg *)x;
    struct nr_h1_conn *c = m->conn;
    size_t room = nr_h1_head_bytes(trailers) + 3;
    char *to;

    if (m->ending || m->told || m->out_done)
        return;
    if (m->out != NR_H1_OUT_CHUNKED || m->out_left > 0 || c->out_failed) {
        nr_h1_send_body(x, (struct nr_span){NULL, 0}, true);
        return;
    }
    to = nr_h1_out_reserve(c, room);
    if (to == NULL) {
        nr_h1_end(m, NR_END_RESET);
        return;
    }
    memcpy(to, "0\r\n", 3);
    nr_h1_out_commit(c, 3 + nr_h1_write_trailers(to + 3, room - 3, trailers));
    m->out_done = true;
    nr_h1_out_flush(c);
    nr_h1_kick(c);
}
