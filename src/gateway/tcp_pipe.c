/* SPDX-License-Identifier: Apache-2.0 */
/* tcp_pipe.c - two sockets joined, so that each peer sees the other as if nobody stood between.
 *
 * Each direction by itself: read once, write at once, and while bytes wait to be taken read no
 * more. The buffer is lent when bytes come and put back when the last one is written, so an idle or
 * a healthy stream owns none, and a slow reader holds one buffer, not a queue.
 *
 * The end of one direction (FIN) travels behind its last byte; the other direction goes on. When
 * both have ended and all is written, both sockets close.
 *
 * A broken connection (RST) is passed on as a RST: nobody must take what came for the whole. Who is
 * told of it first depends on what is pending. A pending read tells, behind the bytes that came
 * before; a write that fails only makes the end deaf, because what the peer said before it broke
 * may still wait to be read; and while back-pressure keeps us from reading, the watch tells. A RST
 * behind a FIN shows when we write, as on a direct connection. */
#include "base/assert.h"
#include "base/compiler.h"
#include "gateway/tcp_stream.h"

static struct nr_tcp_end *other(struct nr_tcp_end *end)
{
    struct nr_tcp_stream *stream = end->stream;

    return end == &stream->client ? &stream->service : &stream->client;
}

static void broken(struct nr_tcp_end *end)
{
    bool client = end == &end->stream->client;

    nr_tcp_stream_end(end->stream, client ? NR_REASON_CLIENT_CLOSED : NR_REASON_UPSTREAM_RESET,
                      NR_CLOSE_RESET);
}

void nr_tcp_end_recv(struct nr_tcp_end *end)
{
    if (!nr_op_idle(&end->recv.op))
        return;
    end->recv.buf = end->buf;
    end->recv.want = end->big ? NR_BUF_SMALL_BYTES : 0;
    nr_sock_recv(end->sock, &end->recv);
}

static void count(struct nr_tcp_end *from, size_t bytes)
{
    struct nr_tcp_stream *stream = from->stream;

    stream->active_ns = nr_io_now_ns(stream->tcp->io);
    if (from == &stream->service)
        stream->record.sent_bytes += bytes;
}

/* Write what came from `from`; true when nothing is left. */
static bool flush(struct nr_tcp_end *from, struct nr_tcp_end *to)
{
    struct nr_buf *buf = from->buf;

    while (!to->deaf && nr_buf_len(buf) > 0) {
        const struct iovec part = {buf->data + buf->begin, nr_buf_len(buf)};
        int64_t taken = nr_sock_write(to->sock, &part, 1);

        if (taken < 0) {
            to->deaf = true;
        } else if (taken == 0) {
            if (nr_op_idle(&to->writable))
                nr_sock_when_writable(to->sock, &to->writable);
            return false;
        } else {
            buf->begin += (uint32_t)taken;
            count(from, (size_t)taken);
        }
    }
    nr_buf_put(nr_io_bufs(from->stream->tcp->io), buf);
    from->buf = NULL;
    return true;
}

/* Move one direction as far as it goes. May end the stream. */
static void pump(struct nr_tcp_end *from, struct nr_tcp_end *to)
{
    if (from->buf != NULL && !flush(from, to))
        return;
    if (to->deaf) {
        if (to->fin) /* nothing more to be read there that could tell why */
            broken(to);
        else if (to->buf == NULL)
            nr_tcp_end_recv(to);
        return;
    }
    if (!from->fin) {
        nr_tcp_end_recv(from);
        return;
    }
    if (!to->shut) {
        to->shut = true;
        nr_sock_shutdown(to->sock);
    }
    if (from->shut && to->fin)
        nr_tcp_stream_end(from->stream, NR_REASON_NONE, NR_CLOSE_GRACEFUL);
}

static void on_recv(struct nr_op *op)
{
    struct nr_tcp_end *end = nr_container_of(op, struct nr_tcp_end, recv.op);
    struct nr_tcp_stream *stream = end->stream;

    if (op->result > 0) {
        end->buf = end->recv.buf;
        end->big = nr_buf_room(end->buf) == 0;
        if (end == &stream->client && stream->state == NR_TCP_JOINED)
            stream->record.received_bytes += (uint64_t)op->result;
    }
    if (stream->state == NR_TCP_HEADER) {
        nr_tcp_stream_header(stream, op->result);
    } else if (stream->state == NR_TCP_JOINED) {
        end->fin = end->fin || op->result == 0;
        stream->active_ns = nr_io_now_ns(stream->tcp->io);
        if (op->result < 0)
            broken(end);
        else
            pump(end, other(end));
    }
    nr_tcp_stream_settle(stream);
}

static void on_writable(struct nr_op *op)
{
    struct nr_tcp_end *end = nr_container_of(op, struct nr_tcp_end, writable);
    struct nr_tcp_stream *stream = end->stream;

    if (stream->state == NR_TCP_JOINED) {
        end->deaf = end->deaf || op->result < 0;
        pump(other(end), end);
    }
    nr_tcp_stream_settle(stream);
}

static void on_watch(struct nr_op *op)
{
    struct nr_tcp_end *end = nr_container_of(op, struct nr_tcp_end, watch);
    struct nr_tcp_stream *stream = end->stream;

    if (op->result < 0 && op->result != NR_ECLOSED && op->result != NR_ECANCELED &&
        nr_op_idle(&end->recv.op))
        broken(end);
    nr_tcp_stream_settle(stream);
}

static const struct nr_op_kind recv_kind = {on_recv, "tcp.recv"};
static const struct nr_op_kind writable_kind = {on_writable, "tcp.writable"};
static const struct nr_op_kind watch_kind = {on_watch, "tcp.watch"};

void nr_tcp_end_init(struct nr_tcp_end *end, struct nr_tcp_stream *stream)
{
    end->stream = stream;
    nr_op_init(&end->recv.op, &recv_kind);
    nr_op_init(&end->writable, &writable_kind);
    nr_op_init(&end->watch, &watch_kind);
}

void nr_tcp_end_attach(struct nr_tcp_end *end, struct nr_sock *sock)
{
    end->sock = sock;
    nr_sock_watch_close(sock, &end->watch);
}

bool nr_tcp_end_idle(const struct nr_tcp_end *end)
{
    return nr_op_idle(&end->recv.op) && nr_op_idle(&end->writable) && nr_op_idle(&end->watch);
}

void nr_tcp_join(struct nr_tcp_stream *stream)
{
    pump(&stream->client, &stream->service);
    if (stream->state == NR_TCP_JOINED)
        pump(&stream->service, &stream->client);
}
