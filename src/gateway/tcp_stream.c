/* SPDX-License-Identifier: Apache-2.0 */
/* tcp_stream.c - one stream from accept to its record: PROXY header, instance, connect, end.
 *
 * Nothing is read from the client before there is an instance to pass it to, so a failed connect
 * loses nothing and the next instance may be tried. After the last one the client gets a RST, as if
 * it had been refused late: an orderly FIN would look like an answer. */
#include "gateway/tcp_stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/cell.h"
#include "base/compiler.h"
#include "service/service_conf.h"

#define US(ns) ((uint32_t)((ns) / 1000))

static struct nr_io *io_of(const struct nr_tcp_stream *stream)
{
    return stream->tcp->io;
}

/* The present attempt's place in the record; beyond the last the latest overwrites. */
static struct nr_record_attempt *slot_of(struct nr_tcp_stream *stream)
{
    uint32_t index = stream->record.attempt_count - 1u;

    return &stream->record.attempts[index < NR_RECORD_ATTEMPTS ? index : NR_RECORD_ATTEMPTS - 1];
}

/* ---- the end ---- */

static void make_record(struct nr_tcp_stream *stream, enum nr_reason reason)
{
    struct nr_record *record = &stream->record;
    struct nr_record_view view = {.method = {NULL, 0}};
    char id[33];

    record->reason = (uint16_t)reason;
    record->total_us = US(nr_io_now_ns(io_of(stream)) - record->start_ns);
    record->client_family = stream->peer.family;
    memcpy(record->client_ip, stream->peer.ip, sizeof(record->client_ip));
    snprintf(id, sizeof(id), "%016llx%016llx", (unsigned long long)record->id[0],
             (unsigned long long)record->id[1]);
    view.request_id = (struct nr_span){id, 32};
    stream->tcp->owner->over(stream->tcp->owner, stream->lease, record, &view);
}

/* The instance is no longer ours. ok: the connection to it stood. */
static void let_go(struct nr_tcp_stream *stream, uint64_t connect_ns, bool ok)
{
    if (stream->instance != NR_INSTANCE_NONE)
        nr_service_end_stream(stream->of, stream->instance, nr_io_now_ns(io_of(stream)), connect_ns,
                              ok);
    stream->instance = NR_INSTANCE_NONE;
}

void nr_tcp_stream_end(struct nr_tcp_stream *stream, enum nr_reason reason, enum nr_close how)
{
    if (stream->state == NR_TCP_OVER)
        return;
    if (stream->state == NR_TCP_CONNECTING && slot_of(stream)->result == NR_ATTEMPT_NONE)
        slot_of(stream)->result = NR_ATTEMPT_CANCELED;
    stream->state = NR_TCP_OVER;
    nr_timer_disarm(io_of(stream), &stream->timer);
    nr_op_cancel(io_of(stream), &stream->connect.op);
    nr_sock_close(stream->client.sock, how);
    nr_sock_close(stream->service.sock, how);
    stream->client.sock = NULL;
    stream->service.sock = NULL;
    let_go(stream, stream->connect_ns, true);
    make_record(stream, reason);
}

void nr_tcp_stream_settle(struct nr_tcp_stream *stream)
{
    struct nr_tcp *tcp = stream->tcp;

    if (stream->state != NR_TCP_OVER || !nr_tcp_end_idle(&stream->client) ||
        !nr_tcp_end_idle(&stream->service) || !nr_op_idle(&stream->connect.op))
        return;
    nr_buf_put(nr_io_bufs(tcp->io), stream->client.buf);
    nr_buf_put(nr_io_bufs(tcp->io), stream->service.buf);
    nr_list_remove(&stream->link);
    if (stream->counted)
        nr_crowd_leave(tcp->conf->crowd, &stream->peer);
    free(stream);
    nr_tcp_stream_gone(tcp);
}

/* ---- time ---- */

void nr_tcp_stream_bound(struct nr_tcp_stream *stream)
{
    uint64_t idle_ns = stream->tcp->conf->idle_timeout_ns;
    uint64_t at_ns = stream->deadline_ns;

    if (stream->state == NR_TCP_JOINED)
        at_ns = idle_ns != 0 ? stream->active_ns + idle_ns : 0;
    if (at_ns != 0)
        nr_timer_arm(io_of(stream), &stream->timer, at_ns);
    else
        nr_timer_disarm(io_of(stream), &stream->timer);
}

/* Progress only moves a number; the timer looks at it when it fires. */
static void on_timer(struct nr_op *op)
{
    struct nr_tcp_stream *stream = nr_container_of(op, struct nr_tcp_stream, timer.op);
    uint64_t now_ns = nr_io_now_ns(io_of(stream));

    if (stream->state == NR_TCP_HEADER) {
        nr_cell_add(&stream->tcp->counts.proxy_refused, 1);
        nr_tcp_stream_end(stream, NR_REASON_PROXY_HEADER, NR_CLOSE_GRACEFUL);
    } else if (stream->state == NR_TCP_CONNECTING) {
        stream->timed_out = true;
        nr_op_cancel(io_of(stream), &stream->connect.op); /* on_connect goes on */
    } else if (now_ns < stream->active_ns + stream->tcp->conf->idle_timeout_ns) {
        nr_tcp_stream_bound(stream);
    } else {
        nr_tcp_stream_end(stream, NR_REASON_IDLE, NR_CLOSE_RESET);
    }
    nr_tcp_stream_settle(stream);
}

/* ---- connecting ---- */

/* Pick an instance and connect to it, or end. */
static void connect_to_one(struct nr_tcp_stream *stream, enum nr_reason last)
{
    struct nr_io *io = io_of(stream);
    uint64_t now_ns = nr_io_now_ns(io);
    struct nr_instance_view view;
    struct nr_pick pick = {.now_ns = now_ns, .tried = stream->tried, .stream = true};
    uint32_t instance = nr_service_pick_by(stream->of, nr_io_random(io), &pick);

    if (instance == NR_INSTANCE_NONE) {
        nr_tcp_stream_end(stream, last != NR_REASON_NONE ? last : (enum nr_reason)pick.reason,
                          NR_CLOSE_RESET);
        return;
    }
    stream->instance = instance;
    stream->record.flags |= pick.flags;
    if (instance < 64)
        stream->tried |= (uint64_t)1 << instance;
    if (stream->record.attempt_count < UINT8_MAX)
        stream->record.attempt_count++;
    *slot_of(stream) = (struct nr_record_attempt){.instance = pick.name,
                                                  .start_us = US(now_ns - stream->record.start_ns)};
    stream->state = NR_TCP_CONNECTING;
    stream->timed_out = false;
    stream->connect_started_ns = now_ns;
    stream->deadline_ns = now_ns + nr_service_conf(stream->of)->timeouts.connect_ns;
    nr_service_instance(stream->of, instance, &view);
    stream->connect.to = view.addr;
    nr_sock_connect(io, &stream->connect);
    nr_tcp_stream_bound(stream);
}

static void put_ip(uint8_t *to, const struct nr_addr *addr, enum nr_proxy_family family)
{
    if (family == NR_PROXY_V6 && addr->family == NR_ADDR_V4) {
        to[10] = to[11] = 0xff; /* ::ffff:192.0.2.1 */
        memcpy(to + 12, addr->ip, 4);
    } else if (addr->family == NR_ADDR_V4 || addr->family == NR_ADDR_V6) {
        memcpy(to, addr->ip, family == NR_PROXY_V4 ? 4 : 16);
    }
}

/* A header has one family for both addresses: with the client's IPv4 and our IPv6, or the other way
 * round (it came through another proxy), both are written as IPv6. */
static void proxy_header(const struct nr_tcp_stream *stream, struct nr_proxy_header *header)
{
    const struct nr_addr *from = &stream->peer;
    struct nr_addr to = nr_sock_local(stream->client.sock);
    bool v6 = from->family == NR_ADDR_V6 || to.family == NR_ADDR_V6;

    if (from->family != NR_ADDR_V4 && from->family != NR_ADDR_V6)
        return; /* a Unix peer has no name: UNSPEC */
    header->family = v6 ? NR_PROXY_V6 : NR_PROXY_V4;
    put_ip(header->source, from, (enum nr_proxy_family)header->family);
    put_ip(header->destination, &to, (enum nr_proxy_family)header->family);
    header->source_port = from->port;
    header->destination_port = to.port;
}

/* The PROXY header goes before what the client sends: in front of what may already be there. */
static void prepend_proxy_header(struct nr_tcp_stream *stream)
{
    uint32_t mode = nr_service_conf(stream->of)->proxy_protocol;
    struct nr_proxy_header header = {.version = mode == NR_PROXY_OUT_V1 ? 1 : 2, .checksum = true};
    struct nr_buf *rest = stream->client.buf, *buf;

    if (mode == NR_PROXY_OUT_OFF)
        return;
    proxy_header(stream, &header);
    buf = nr_buf_get(nr_io_bufs(io_of(stream)),
                     NR_PROXY_WRITE_BYTES_MAX + (rest != NULL ? nr_buf_len(rest) : 0));
    buf->end = (uint32_t)nr_proxy_write(buf->data, &header);
    if (rest != NULL) {
        memcpy(buf->data + buf->end, rest->data + rest->begin, nr_buf_len(rest));
        buf->end += (uint32_t)nr_buf_len(rest);
        nr_buf_put(nr_io_bufs(io_of(stream)), rest);
    }
    stream->client.buf = buf;
}

static void connected(struct nr_tcp_stream *stream)
{
    uint64_t now_ns = nr_io_now_ns(io_of(stream));
    struct nr_record_attempt *slot = slot_of(stream);

    stream->connect_ns = now_ns - stream->connect_started_ns;
    stream->connect_ns += stream->connect_ns == 0; /* 0 would say nothing */
    slot->result = NR_ATTEMPT_CONNECTED;
    slot->took_us = US(stream->connect_ns);
    stream->record.upstream_us =
        slot->start_us + slot->took_us - stream->record.attempts[0].start_us;
    stream->state = NR_TCP_JOINED;
    stream->active_ns = now_ns;
    nr_tcp_end_attach(&stream->service, stream->connect.sock);
    prepend_proxy_header(stream);
    nr_tcp_stream_bound(stream);
    nr_tcp_join(stream);
}

static enum nr_reason connect_reason(const struct nr_tcp_stream *stream, int32_t result,
                                     uint8_t *ret_result)
{
    if (stream->timed_out || result == NR_ETIMEOUT) {
        *ret_result = NR_ATTEMPT_CONNECT_TIMEOUT;
        return NR_REASON_CONNECT_TIMEOUT;
    }
    *ret_result = result == NR_EREFUSED ? NR_ATTEMPT_CONNECT_REFUSED : NR_ATTEMPT_CONNECT_FAILED;
    return result == NR_EREFUSED ? NR_REASON_CONNECT_REFUSED : NR_REASON_CONNECT_FAILED;
}

static void connect_failed(struct nr_tcp_stream *stream, int32_t result)
{
    const struct nr_retry_conf *retry = &nr_service_conf(stream->of)->retry;
    struct nr_record_attempt *slot = slot_of(stream);
    uint64_t took_ns = nr_io_now_ns(io_of(stream)) - stream->connect_started_ns;
    enum nr_reason reason = connect_reason(stream, result, &slot->result);

    slot->took_us = US(took_ns);
    if (result != NR_EFILES)
        nr_service_doubt(stream->of, stream->instance);
    /* Out of descriptors: nothing to blame the instance for. */
    let_go(stream, result == NR_EFILES ? 0 : took_ns + (took_ns == 0), false);
    if ((retry->on >> NR_RETRY_ON_CONNECT & 1) != 0) {
        if (stream->record.attempt_count < retry->attempts) {
            connect_to_one(stream, reason);
            return;
        }
        stream->record.flags |= NR_RECORD_RETRY_SPENT;
    }
    nr_tcp_stream_end(stream, reason, NR_CLOSE_RESET);
}

static void on_connect(struct nr_op *op)
{
    struct nr_tcp_stream *stream = nr_container_of(op, struct nr_tcp_stream, connect.op);

    if (stream->state == NR_TCP_OVER) {
        if (op->result == NR_OK)
            nr_sock_close(stream->connect.sock, NR_CLOSE_RESET);
    } else if (op->result == NR_OK) {
        connected(stream);
    } else {
        connect_failed(stream, op->result);
    }
    nr_tcp_stream_settle(stream);
}

/* ---- the beginning ---- */

/* Who it comes from is known. */
static void begin(struct nr_tcp_stream *stream)
{
    const struct nr_tcp_conf *conf = stream->tcp->conf;

    if (conf->crowd != NULL && !nr_proxy_in_trusts(&conf->proxy_in, &stream->peer) &&
        !nr_crowd_enter(conf->crowd, &stream->peer, conf->client_connections_max,
                        &stream->counted)) {
        nr_cell_add(&stream->tcp->counts.crowded, 1);
        nr_tcp_stream_end(stream, NR_REASON_TOO_MANY_CONNECTIONS, NR_CLOSE_RESET);
        return;
    }
    connect_to_one(stream, NR_REASON_NONE);
}

void nr_tcp_stream_header(struct nr_tcp_stream *stream, int32_t result)
{
    struct nr_tcp_end *client = &stream->client;
    enum nr_proxy_step step = NR_PROXY_BAD;
    size_t used = 0;

    if (result > 0)
        step = nr_proxy_in_take((enum nr_proxy_in_mode)stream->proxy_in, nr_buf_span(client->buf),
                                &stream->peer, &used);
    if (step == NR_PROXY_MORE) {
        nr_tcp_end_recv(client);
        return;
    }
    if (step != NR_PROXY_DONE && client->buf == NULL) { /* a look whether we live */
        nr_tcp_stream_end(stream, NR_REASON_CLIENT_CLOSED, NR_CLOSE_GRACEFUL);
        return;
    }
    if (step != NR_PROXY_DONE) {
        nr_cell_add(&stream->tcp->counts.proxy_refused, 1);
        nr_tcp_stream_end(stream, NR_REASON_PROXY_HEADER, NR_CLOSE_GRACEFUL);
        return;
    }
    client->buf->begin += (uint32_t)used;
    stream->record.received_bytes = nr_buf_len(client->buf);
    stream->record.head_us = US(nr_io_now_ns(io_of(stream)) - stream->record.start_ns);
    if (nr_buf_len(client->buf) == 0) {
        nr_buf_put(nr_io_bufs(io_of(stream)), client->buf);
        client->buf = NULL;
    }
    begin(stream);
}

static void begin_record(struct nr_tcp_stream *stream)
{
    struct nr_record *record = &stream->record;
    struct nr_io *io = io_of(stream);

    record->id[0] = nr_random_u64(nr_io_random(io));
    record->id[1] = nr_random_u64(nr_io_random(io));
    record->start_ns = nr_io_now_ns(io);
    record->wall_ns = nr_io_wall_ns(io);
    record->route = NR_ID_NONE;
    record->service = nr_service_id(stream->of);
    record->flags = NR_RECORD_TCP | NR_RECORD_TUNNEL;
}

void nr_tcp_stream_open(struct nr_tcp *tcp, struct nr_sock *sock, const struct nr_addr *peer)
{
    static const struct nr_op_kind connect_kind = {on_connect, "tcp.connect"};
    static const struct nr_op_kind timer_kind = {on_timer, "tcp.timer"};
    struct nr_tcp_stream *stream = calloc(1, sizeof(*stream));

    nr_assert(stream != NULL);
    stream->tcp = tcp;
    stream->peer = *peer;
    stream->instance = NR_INSTANCE_NONE;
    stream->of = tcp->owner->lend(tcp->owner, &stream->lease);
    nr_tcp_end_init(&stream->client, stream);
    nr_tcp_end_init(&stream->service, stream);
    nr_op_init(&stream->connect.op, &connect_kind);
    nr_timer_init(&stream->timer, &timer_kind);
    nr_list_push_back(&tcp->streams, &stream->link);
    begin_record(stream);
    nr_tcp_end_attach(&stream->client, sock);
    stream->proxy_in = (uint8_t)nr_proxy_in_from(&tcp->conf->proxy_in, peer);
    if (stream->proxy_in == NR_PROXY_IN_REFUSE) {
        nr_cell_add(&tcp->counts.proxy_refused, 1);
        nr_tcp_stream_end(stream, NR_REASON_PROXY_HEADER, NR_CLOSE_RESET);
    } else if (stream->proxy_in == NR_PROXY_IN_OFF) {
        begin(stream);
    } else {
        stream->deadline_ns = nr_io_now_ns(tcp->io) + tcp->conf->header_timeout_ns;
        nr_tcp_end_recv(&stream->client);
        nr_tcp_stream_bound(stream);
    }
}
