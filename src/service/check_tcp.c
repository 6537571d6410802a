/* SPDX-License-Identifier: Apache-2.0 */
/* check_tcp.c - a health check over TCP: connect, say something, hear something.
 *
 *      CONNECTING --open--> (send) --nothing to hear--> over
 *                              '--> HEARING --text found, FIN, 64 KiB--> over
 *
 * What is sent is small and the connection new, so the kernel takes it in one go or something is
 * wrong. Exactly one operation is outstanding at a time, and its callback ends the check. */
#include <string.h>

#include "base/assert.h"
#include "codec/proxy_protocol.h"
#include "service/check.h"

void nr_needle_init(struct nr_needle *needle, struct nr_span text)
{
    nr_assert(text.len <= NR_NEEDLE_BYTES_MAX);
    needle->text = text;
    needle->found = text.len == 0;
    needle->kept = 0;
}

/* The end of what came before and the beginning of this piece may hold it together. */
static bool found_across(struct nr_needle *needle, struct nr_span piece)
{
    char both[2 * NR_NEEDLE_BYTES_MAX];
    size_t more = piece.len < NR_NEEDLE_BYTES_MAX ? piece.len : NR_NEEDLE_BYTES_MAX;

    memcpy(both, needle->end, needle->kept);
    memcpy(both + needle->kept, piece.ptr, more);
    return memmem(both, needle->kept + more, needle->text.ptr, needle->text.len) != NULL;
}

static void keep_end(struct nr_needle *needle, struct nr_span piece)
{
    size_t want = needle->text.len - 1;
    size_t before = piece.len >= want ? 0 : want - piece.len;

    if (before > needle->kept)
        before = needle->kept;
    memmove(needle->end, needle->end + needle->kept - before, before);
    if (piece.len > want - before)
        piece = nr_span_from(piece, piece.len - (want - before));
    memcpy(needle->end + before, piece.ptr, piece.len);
    needle->kept = (uint32_t)(before + piece.len);
}

void nr_needle_see(struct nr_needle *needle, struct nr_span piece)
{
    if (needle->found || piece.len == 0)
        return;
    needle->found = found_across(needle, piece) ||
                    memmem(piece.ptr, piece.len, needle->text.ptr, needle->text.len) != NULL;
    if (!needle->found)
        keep_end(needle, piece);
}

/* ---- the check ---- */

static void finish(struct check *check, bool ok, const char *verdict)
{
    check->ok = ok;
    check->verdict = verdict;
    nr_sock_close(check->connect.sock, ok ? NR_CLOSE_GRACEFUL : NR_CLOSE_RESET);
    check->connect.sock = NULL;
    nr_timer_disarm(check->checker->io, &check->timer);
    nr_check_conclude(check);
}

static void hear(struct check *check)
{
    check->recv.buf = NULL;
    check->recv.want = 0;
    nr_sock_recv(check->connect.sock, &check->recv);
}

static void heard(struct nr_op *op)
{
    struct check *check = nr_container_of(op, struct check, recv.op);
    struct nr_buf *buf = check->recv.buf;

    if (op->result > 0) {
        check->heard_bytes += (uint32_t)op->result;
        nr_needle_see(&check->needle, (struct nr_span){buf->data + buf->begin, nr_buf_len(buf)});
        nr_buf_put(nr_io_bufs(check->checker->io), buf);
    }
    if (check->needle.found)
        finish(check, true, "passed");
    else if (op->result == NR_ECANCELED)
        finish(check, false, "timeout");
    else if (op->result <= 0 || check->heard_bytes > CHECK_BODY_BYTES_MAX)
        finish(check, false, "what was expected did not come");
    else
        hear(check);
}

/* An instance that waits for a PROXY header gets one that names nobody, or it would call us a
 * broken proxy. Whether it takes it is not the question: its kernel has answered. */
static void send_proxy_header(struct check *check)
{
    uint32_t mode = check->checker->service->conf->proxy_protocol;
    struct nr_proxy_header header = {.version = mode == NR_PROXY_OUT_V1 ? 1 : 2, .local = true};
    char bytes[NR_PROXY_WRITE_BYTES_MAX];
    struct iovec part = {bytes, 0};

    if (mode == NR_PROXY_OUT_OFF)
        return;
    part.iov_len = nr_proxy_write(bytes, &header);
    (void)nr_sock_write(check->connect.sock, &part, 1);
}

static bool say(struct check *check)
{
    struct nr_span text = check->checker->conf->send;
    struct iovec part = {(void *)(uintptr_t)text.ptr, text.len};

    send_proxy_header(check);
    return text.len == 0 || nr_sock_write(check->connect.sock, &part, 1) == (int64_t)text.len;
}

static void connected(struct nr_op *op)
{
    struct check *check = nr_container_of(op, struct check, connect.op);

    check->unknown = op->result == NR_EFILES;
    if (op->result != NR_OK)
        finish(check, false, op->result == NR_ECANCELED ? "timeout" : "no connection");
    else if (!say(check))
        finish(check, false, "the connection broke");
    else if (check->needle.found)
        finish(check, true, "passed");
    else
        hear(check);
}

static const struct nr_op_kind connect_kind = {connected, "health.connect"};
static const struct nr_op_kind recv_kind = {heard, "health.recv"};

void nr_check_tcp_init(struct check *check)
{
    nr_op_init(&check->connect.op, &connect_kind);
    nr_op_init(&check->recv.op, &recv_kind);
}

void nr_check_tcp_start(struct check *check, const struct nr_addr *addr)
{
    check->heard_bytes = 0;
    nr_needle_init(&check->needle, check->checker->conf->receive);
    nr_op_init(&check->connect.op, &connect_kind);
    check->connect.to = *addr;
    check->connect.sock = NULL;
    nr_sock_connect(check->checker->io, &check->connect);
}

bool nr_check_tcp_busy(const struct check *check)
{
    return !nr_op_idle(&check->connect.op) || !nr_op_idle(&check->recv.op);
}

void nr_check_tcp_give_up(struct check *check)
{
    struct nr_op *op = nr_op_idle(&check->connect.op) ? &check->recv.op : &check->connect.op;

    nr_op_cancel(check->checker->io, op);
}
