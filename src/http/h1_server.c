/* SPDX-License-Identifier: Apache-2.0 */
/* One serving HTTP/1.1 connection.
 *
 *           first byte          head complete            answered, body read
 *   idle ──────────────▶ head ────────────────▶ exchange ──────────────────▶ idle, or the next
 *    ▲                    │ malformed, late        │                          head, if it is here
 *    │                    ▼                        ▼
 *    │                 refused ──answered──▶  h1_close.c  ──▶ closed
 *    └───────────────────────────────────────────┘
 *
 * One request at a time: what a client pipelines stays in the receive buffer, and in the kernel,
 * until the answer before it is complete.
 *
 * A vanishing client. `watch` is pending from accept on. RST cancels whatever is under way. FIN
 * cancels the exchange too, unless half_close is allowed: for nginx and for us a client that
 * shuts its side has left. The FIN may stand behind requests that have not been read yet (three
 * pipelined requests, then shutdown): each of them is still handed to the handler, and what
 * it answers at once, inside request(), is sent; what has to wait is cancelled. So local answers go
 * out, no upstream works for nobody, and every request has its record. Behind a FIN that half_close
 * allows, the watch is spent: a later RST shows when we write. */
#include <stdlib.h>

#include "http/h1_server.h"

#include "base/assert.h"
#include "base/cell.h"
#include "base/compiler.h"

static struct nr_server_conn *conn_of(struct nr_h1_conn *c)
{
    return (struct nr_server_conn *)c;
}

/* ---- sending heads ---- */

static bool bodyless(const struct nr_h1_msg *m, uint16_t status)
{
    return m->method == NR_METHOD_HEAD || status == 204 || status == 304;
}

/* What the answer says about the connection. */
static void decide_close(struct nr_server_conn *sc, const struct nr_h1_msg *m)
{
    const struct nr_server *server = sc->server;
    uint32_t max = server->conf->requests_max;

    if (sc->client_closes || m->refused || m->expecting || server->draining || sc->peer_fin ||
        (max != 0 && sc->requests >= max) || m->out == NR_H1_OUT_RAW)
        sc->close_after = true;
}

static struct nr_h1_framing frame(struct nr_server_conn *sc, struct nr_h1_msg *m,
                                  const struct nr_head *head, bool ended)
{
    struct nr_h1_framing framing = {.body_length = NR_BODY_NONE};

    if (head->status == 101) {
        m->out = NR_H1_OUT_RAW;
        m->tunnel = true;
        framing.upgrade = true;
        framing.omit_length = true;
        return framing;
    }
    if (bodyless(m, head->status)) {
        m->out = NR_H1_OUT_DROP;
        framing.body_length = head->body_length;
        framing.omit_length = head->body_length < 0;
    } else {
        framing.body_length = nr_h1_out_frame(m, head->body_length, ended, m->version != 10);
        framing.omit_length = framing.body_length == NR_BODY_CLOSE;
    }
    decide_close(sc, m);
    framing.close = sc->close_after;
    framing.keep_alive_10 = m->version == 10 && !sc->close_after;
    return framing;
}

static bool put_head(struct nr_h1_conn *c, const struct nr_head *head,
                     const struct nr_h1_framing *framing)
{
    size_t room = nr_h1_head_bytes(head);
    char *to = nr_h1_out_reserve(c, room);

    if (to == NULL)
        return false;
    nr_h1_out_commit(c, nr_h1_write_response(to, room, head, framing));
    return true;
}

/* Interim answers: RFC 9110, 15.2 forbids them towards HTTP/1.0. */
static void send_interim(struct nr_h1_msg *m, const struct nr_head *head)
{
    struct nr_h1_framing framing = {.body_length = NR_BODY_NONE, .omit_length = true};

    if (m->version == 10)
        return;
    if (head->status == 100)
        m->expecting = false;
    if (!put_head(m->conn, head, &framing))
        nr_h1_end(m, NR_END_RESET);
    nr_h1_kick(m->conn);
}

/* After a 101 both directions carry bytes. */
static void start_tunnel(struct nr_h1_msg *m)
{
    if (!m->upgrade || !m->in_done) {
        nr_h1_end(m, NR_END_RESET); /* nobody asked, or a body is still on its way */
        return;
    }
    nr_h1_in_start(m, NR_BODY_TUNNEL);
    nr_h1_in_decode(m);
}

static void send_head(struct nr_exchange *x, const struct nr_head *head, bool ended)
{
    struct nr_h1_msg *m = (struct nr_h1_msg *)x;
    struct nr_h1_conn *c = m->conn;
    struct nr_h1_framing framing;

    if (m->ending || m->told)
        return;
    nr_assert(!m->out_head);
    if (head->status < 200 && head->status != 101) {
        send_interim(m, head);
        return;
    }
    framing = frame(conn_of(c), m, head, ended);
    m->out_head = true;
    m->out_done = ended;
    if (!c->out_failed && !put_head(c, head, &framing))
        nr_h1_end(m, NR_END_RESET);
    if (ended && m->out == NR_H1_OUT_LENGTH && m->out_left > 0)
        nr_h1_end(m, NR_END_RESET);
    if (m->tunnel)
        start_tunnel(m);
    if (ended && !m->ending)
        nr_h1_out_flush(c);
    nr_h1_kick(c);
}

static const struct nr_peer *peer_of(const struct nr_exchange *x)
{
    const struct nr_h1_msg *m = (const struct nr_h1_msg *)x;
    const struct nr_server_conn *sc = conn_of(m->conn);

    sc->server->peer = (struct nr_peer){
        .addr = sc->peer,
        .local = sc->server->local,
        .connection_id = sc->server->id_base + sc->number,
        .requests = sc->requests,
    };
    return &sc->server->peer;
}

static const struct nr_exchange_verbs verbs = {
    .send_head = send_head,
    .send_body = nr_h1_send_body,
    .send_trailers = nr_h1_send_trailers,
    .pending = nr_h1_pending,
    .consume = nr_h1_consume,
    .reset = nr_h1_reset,
    .release = nr_server_exchange_release,
    .peer = peer_of,
};

/* ---- receiving heads ---- */

static struct nr_h1_msg *begin(struct nr_server_conn *sc, const struct nr_head *parsed,
                               struct nr_head **ret_head)
{
    struct nr_server_exchange *sx = nr_server_exchange_get(sc->server);
    struct nr_h1_msg *m = &sx->m;

    m->x.verbs = &verbs;
    m->x.arena = &sx->arena;
    m->x.times.started_ns = sc->started_ns;
    m->x.times.head_ns = nr_io_now_ns(sc->h.io);
    m->conn = &sc->h;
    m->method = parsed->method;
    m->version = parsed->version;
    m->upgrade = parsed->upgrade && parsed->version == 11;
    m->expecting = parsed->expect_continue;
    sc->h.m = m;
    sc->h.scanned = 0;
    sc->requests++;
    sc->client_closes = !parsed->keep_alive;
    *ret_head = nr_head_dup(parsed, &sx->arena);
    return m;
}

static void refuse(struct nr_server_conn *sc, const struct nr_head *parsed, uint16_t status,
                   const char *reason, enum nr_h1_reason refusal)
{
    struct nr_server *server = sc->server;
    struct nr_h1_conn *c = &sc->h;
    struct nr_head *head;
    struct nr_h1_msg *m = begin(sc, parsed, &head);

    m->refused = true;
    m->expecting = false;
    m->upgrade = false;
    m->x.refusal = (uint8_t)refusal;
    m->in_head = true;
    m->in_done = true;
    m->in_told = true;
    c->in->begin = c->in->end; /* what follows cannot be told apart from it */
    m->raw_at = m->content_end = c->in->end;
    nr_h1_in_release(c);
    nr_h1_read_deadline(c, 0);
    nr_cell_add(&server->counts.refused, 1);
    server->handler->refused(server->handler, &m->x, head, status, reason);
}

static const struct nr_head nothing = {.body_length = NR_BODY_NONE};

static void accept_request(struct nr_server_conn *sc, uint32_t head_bytes)
{
    struct nr_server *server = sc->server;
    struct nr_h1_conn *c = &sc->h;
    struct nr_field fields[NR_H1_FIELDS_MAX];
    struct nr_head parsed, *head;
    struct nr_h1_msg *m;
    enum nr_h1_reason reason =
        nr_h1_parse_request(c->in->data + c->in->begin, head_bytes, c->common->limits, fields,
                            NR_H1_FIELDS_MAX, &parsed);
    bool ended;

    if (reason != NR_H1_OK) {
        refuse(sc, &parsed, nr_h1_reason_status(reason), nr_h1_reason_text(reason), reason);
        return;
    }
    m = begin(sc, &parsed, &head);
    c->in->begin += head_bytes;
    nr_h1_in_start(m, head->body_length);
    nr_h1_in_decode(m);
    nr_cell_add(&server->counts.requests, 1);
    if (m->x.received_bytes > 0 || m->in_done)
        m->expecting = false; /* it did not wait: RFC 9110, 10.1.1 */
    ended = m->in_done && m->trailers == NULL && m->x.received_bytes == 0;
    m->in_told = ended;
    if (m->in_done)
        nr_h1_read_deadline(c, 0);
    server->handler->request(server->handler, &m->x, head, ended);
}

/* RFC 9112, 2.2: an empty line before a request is ignored. */
static void skip_empty_lines(struct nr_h1_conn *c)
{
    while (c->in != NULL && c->scanned == 0 && nr_buf_len(c->in) >= 2 &&
           memcmp(c->in->data + c->in->begin, "\r\n", 2) == 0)
        c->in->begin += 2;
    nr_h1_in_release(c);
}

/* Scan for the end of the head. A CR alone may yet become an empty line. */
static enum nr_h1_scan scan(struct nr_h1_conn *c, uint32_t *ret_head_bytes,
                            enum nr_h1_reason *ret_reason)
{
    struct nr_span bytes = nr_buf_span(c->in);

    if (bytes.len == 1 && bytes.ptr[0] == '\r')
        return NR_H1_SCAN_MORE;
    return nr_h1_scan_head(bytes, c->common->limits, &c->scanned, ret_head_bytes, ret_reason);
}

static void refuse_proxy(struct nr_server_conn *sc)
{
    nr_cell_add(&sc->server->counts.proxy_refused, 1);
    nr_h1_close(&sc->h, NR_CLOSE_GRACEFUL);
}

/* Who it comes from is known: has that client too many connections? */
static bool is_crowded(struct nr_server_conn *sc)
{
    const struct nr_server_conf *conf = sc->server->conf;

    return conf->crowd != NULL && !nr_proxy_in_trusts(&conf->proxy_in, &sc->peer) &&
           !nr_crowd_enter(conf->crowd, &sc->peer, conf->client_connections_max, &sc->counted);
}

/* No answer: whoever does this shall cost as little as can be. */
static void turn_away(struct nr_server_conn *sc)
{
    nr_cell_add(&sc->server->counts.crowded, 1);
    nr_h1_close(&sc->h, NR_CLOSE_RESET);
}

/* Take the PROXY header off, before anything else. False: it is not complete, or was refused. The
 * header timeout of the first request, armed at accept, covers it. */
static bool take_proxy_header(struct nr_server_conn *sc)
{
    struct nr_h1_conn *c = &sc->h;
    size_t used = 0;

    if (c->in == NULL || nr_buf_len(c->in) == 0) {
        nr_h1_recv(c, 0);
        return false;
    }
    switch (nr_proxy_in_take(sc->proxy_in, nr_buf_span(c->in), &sc->peer, &used)) {
    case NR_PROXY_DONE: break;
    case NR_PROXY_MORE: nr_h1_recv(c, 0); return false;
    default: refuse_proxy(sc); return false;
    }
    c->in->begin += (uint32_t)used;
    nr_h1_in_release(c);
    sc->proxy_in = NR_PROXY_IN_OFF;
    if (!is_crowded(sc))
        return true;
    turn_away(sc);
    return false;
}

/* Start the request that stands in the buffer, if it is complete; else read on. */
static void next_request(struct nr_server_conn *sc)
{
    struct nr_h1_conn *c = &sc->h;
    enum nr_h1_reason reason = NR_H1_OK;
    uint32_t head_bytes = 0;

    if (nr_unlikely(sc->proxy_in != NR_PROXY_IN_OFF) && !take_proxy_header(sc))
        return;
    skip_empty_lines(c);
    if (c->in == NULL || nr_buf_len(c->in) == 0) {
        if (c->read_deadline_ns == 0)
            nr_h1_read_deadline(c, nr_io_now_ns(c->io) + sc->server->conf->idle_timeout_ns);
        nr_h1_recv(c, 0);
        return;
    }
    if (sc->started_ns == 0)
        sc->started_ns = nr_io_now_ns(c->io);
    switch (scan(c, &head_bytes, &reason)) {
    case NR_H1_SCAN_DONE: accept_request(sc, head_bytes); break;
    case NR_H1_SCAN_BAD:
        refuse(sc, &nothing, nr_h1_reason_status(reason), nr_h1_reason_text(reason), reason);
        break;
    case NR_H1_SCAN_MORE:
        if (!nr_op_idle(&c->recv.op))
            return;
        nr_h1_in_room(c);
        nr_h1_recv(c, 0);
        if (sc->requests > 0 || c->read_deadline_ns == 0)
            nr_h1_read_deadline(c, sc->started_ns + sc->server->conf->header_timeout_ns);
        return;
    }
    c->again = true;
}

/* ---- the role ---- */

static void received(struct nr_h1_conn *c, int32_t result)
{
    struct nr_server_conn *sc = conn_of(c);
    struct nr_h1_msg *m = c->m;

    if (sc->closing != NR_SERVER_OPEN) {
        nr_server_conn_dropped(sc, result);
    } else if (m == NULL) {
        if (result <= 0) /* idle, or within a head: nothing to answer */
            nr_h1_close(c, NR_CLOSE_GRACEFUL);
    } else if (m->ending) {
        return;
    } else if (result > 0) {
        m->expecting = false;
        nr_h1_in_decode(m);
    } else if (result == 0 && m->tunnel) {
        m->in_done = true;
        m->in_news = true;
    } else {
        nr_h1_end(m, result == 0 ? NR_END_PEER_CLOSED : NR_END_PEER_RESET);
    }
}

static bool complete(struct nr_h1_conn *c, struct nr_h1_msg *m)
{
    if (!m->out_done || !nr_h1_out_flushed(c))
        return false;
    if (!m->tunnel)
        return true;
    if (!m->out_shut) {
        m->out_shut = true;
        nr_sock_shutdown(c->sock);
    }
    return m->in_done && m->in_told && !nr_h1_in_waits(m);
}

/* See the top of this file. */
static bool left(const struct nr_server_conn *sc, const struct nr_h1_msg *m)
{
    return sc->peer_fin && !sc->server->conf->half_close && !m->tunnel && !m->out_done;
}

static void drive(struct nr_server_conn *sc, struct nr_h1_msg *m)
{
    struct nr_h1_conn *c = &sc->h;

    if (!m->ending)
        nr_h1_in_events(m);
    if (!m->ending && m->want_writable && !c->blocked) {
        m->want_writable = false;
        m->x.events->writable(&m->x);
    }
    if (!m->ending)
        nr_h1_out_flush(c);
    if (!m->ending && complete(c, m))
        nr_h1_end(m, NR_END_DONE);
    if (!m->ending && left(sc, m))
        nr_h1_end(m, NR_END_PEER_CLOSED);
    if (!m->ending) {
        nr_h1_in_arm(m);
        return;
    }
    m->told = true;
    nr_cell32_add(&sc->server->counts.active, -1);
    m->x.events->end(&m->x, (enum nr_end)m->end);
    nr_server_conn_after(sc, m, (enum nr_end)m->end);
    c->again = true;
}

static void settle(struct nr_h1_conn *c)
{
    struct nr_server_conn *sc = conn_of(c);

    if (sc->closing != NR_SERVER_OPEN)
        return;
    if (c->m == NULL)
        next_request(sc);
    else
        drive(sc, c->m);
}

static void expired(struct nr_h1_conn *c, bool writing)
{
    struct nr_server_conn *sc = conn_of(c);
    struct nr_h1_msg *m = c->m;

    if (sc->closing != NR_SERVER_OPEN) {
        if (m != NULL)
            nr_server_conn_detach(sc);
        nr_h1_close(c, NR_CLOSE_GRACEFUL);
    } else if (writing) {
        if (m != NULL)
            nr_h1_end(m, NR_END_WRITE_TIMEOUT);
    } else if (m != NULL) {
        nr_h1_end(m, m->tunnel ? NR_END_IDLE_TIMEOUT : NR_END_BODY_TIMEOUT);
    } else if (sc->proxy_in != NR_PROXY_IN_OFF && c->in != NULL) {
        refuse_proxy(sc); /* the rest of its header did not come */
    } else if (c->in != NULL && nr_buf_len(c->in) > 0 && !sc->peer_fin) {
        if (!nr_op_idle(&c->recv.op)) /* the answer waits until its buffer is back */
            nr_op_cancel(c->io, &c->recv.op);
        refuse(sc, &nothing, 408, "header_timeout", NR_H1_OK);
    } else {
        nr_h1_close(c, NR_CLOSE_GRACEFUL);
    }
}

static void write_failed(struct nr_h1_conn *c)
{
    if (c->m != NULL)
        nr_h1_end(c->m, NR_END_PEER_RESET);
}

static bool idle(const struct nr_h1_conn *c)
{
    return nr_op_idle(&((const struct nr_server_conn *)c)->watch);
}

static void gone(struct nr_h1_conn *c)
{
    struct nr_server_conn *sc = conn_of(c);

    if (sc->counted)
        nr_crowd_leave(sc->server->conf->crowd, &sc->peer);
    nr_server_conn_gone(sc);
    free(sc);
}

static const struct nr_h1_role role = {
    .received = received,
    .settle = settle,
    .expired = expired,
    .write_failed = write_failed,
    .idle = idle,
    .free = gone,
};

static void on_watch(struct nr_op *op)
{
    struct nr_server_conn *sc = nr_container_of(op, struct nr_server_conn, watch);
    struct nr_h1_conn *c = &sc->h;

    nr_h1_enter(c);
    if (!c->closed) {
        sc->peer_fin = true;
        if (op->result != NR_ECLOSED && sc->closing == NR_SERVER_OPEN && c->m != NULL)
            nr_h1_end(c->m, NR_END_PEER_RESET);
    }
    nr_h1_leave(c);
}

static const struct nr_op_kind watch_kind = {on_watch, "h1.watch"};

/* Freed in a turn of its own, as accepting goes on. */
static void close_unserved(struct nr_server_conn *sc, void (*how)(struct nr_server_conn *sc))
{
    nr_h1_enter(&sc->h);
    how(sc);
    sc->h.busy = false;
    nr_h1_kick(&sc->h);
}

void nr_server_conn_open(struct nr_server *server, struct nr_sock *sock, const struct nr_addr *peer)
{
    struct nr_server_conn *sc = malloc(sizeof(*sc));
    struct nr_h1_conn *c;

    nr_assert(sc != NULL);
    *sc = (struct nr_server_conn){.server = server, .peer = *peer, .number = server->number++};
    c = &sc->h;
    nr_h1_conn_init(c, server->io, &role, &server->common);
    nr_op_init(&sc->watch, &watch_kind);
    c->sock = sock;
    nr_list_push_back(&server->conns, &sc->link);
    nr_cell_add(&server->counts.accepted, 1);
    nr_cell32_add(&server->counts.open, 1);
    sc->proxy_in = (uint8_t)nr_proxy_in_from(&server->conf->proxy_in, peer);
    if (nr_unlikely(sc->proxy_in == NR_PROXY_IN_REFUSE)) {
        close_unserved(sc, refuse_proxy);
        return;
    }
    if (sc->proxy_in == NR_PROXY_IN_OFF && nr_unlikely(is_crowded(sc))) {
        close_unserved(sc, turn_away);
        return;
    }
    nr_sock_watch_close(sock, &sc->watch);
    nr_h1_recv(c, 0);
    nr_h1_read_deadline(c, nr_io_now_ns(server->io) + server->conf->header_timeout_ns);
}

bool nr_server_conn_idle(const struct nr_server_conn *sc)
{
    return sc->h.m == NULL && sc->h.in == NULL && sc->closing == NR_SERVER_OPEN &&
           sc->h.recv.op.state == NR_OP_PENDING;
}

void nr_server_conn_shut(struct nr_server_conn *sc, enum nr_close how)
{
    struct nr_h1_conn *c = &sc->h;

    if (c->busy) /* asked for from within an event: what follows it sees the drain */
        return;
    nr_h1_enter(c);
    if (c->m != NULL && c->m->told)
        nr_server_conn_detach(sc);
    if (c->m == NULL)
        nr_h1_close(c, how);
    c->busy = false;
    nr_h1_kick(c); /* freed in its own turn, so that a walk over the connections stays valid */
}
