/* SPDX-License-Identifier: Apache-2.0 */
/* One calling HTTP/1.1 connection.
 *
 *   connecting ──▶ exchange ──▶ idle (pooled) ──▶ exchange ──▶ … ──▶ closed
 *
 * An exchange may start before there is a connection: the head waits in the out buffer and
 * send_body takes nothing (`blocked`), until the connect is through.
 *
 * The receive is pending all the time: while idle it notices the upstream's close (or bytes that
 * nobody asked for, which end the connection), during the exchange an answer that comes before the
 * request has been sent. An upstream that answers early and closes makes our writes fail; the
 * answer is in our receive buffer all the same. So a failed write only stops the sending
 * (out_failed), and what the receive brings decides how the exchange ends. */
#include <stdlib.h>

#include "http/h1_client.h"

#include "base/assert.h"
#include "base/cell.h"
#include "base/compiler.h"

enum { INTERIMS_MAX = 32 };

static struct nr_client_conn *conn_of(struct nr_h1_conn *c)
{
    return (struct nr_client_conn *)c;
}

/* ---- sending the head ---- */

static void send_head(struct nr_exchange *x, const struct nr_head *head, bool ended)
{
    struct nr_h1_msg *m = (struct nr_h1_msg *)x;
    struct nr_h1_conn *c = m->conn;
    struct nr_h1_framing framing = {.upgrade = head->upgrade};
    size_t room = nr_h1_head_bytes(head);
    char *to;

    if (m->ending || m->told)
        return;
    nr_assert(!m->out_head);
    m->method = head->method;
    m->upgrade = head->upgrade;
    m->out_head = true;
    m->out_done = ended;
    framing.body_length = nr_h1_out_frame(m, head->body_length, ended, true);
    if (c->out_failed) {
        nr_h1_kick(c);
        return;
    }
    to = nr_h1_out_reserve(c, room);
    if (to == NULL || (ended && m->out == NR_H1_OUT_LENGTH && m->out_left > 0)) {
        nr_h1_end(m, NR_END_RESET);
        return;
    }
    nr_h1_out_commit(c, nr_h1_write_request(to, room, head, &framing));
    if (ended)
        nr_h1_out_flush(c);
    if (!ended || c->out_failed)
        nr_h1_kick(c);
}

static void release(struct nr_exchange *x)
{
    nr_assert(x->holds > 0);
    x->holds--;
}

static const struct nr_exchange_verbs verbs = {
    .send_head = send_head,
    .send_body = nr_h1_send_body,
    .send_trailers = nr_h1_send_trailers,
    .pending = nr_h1_pending,
    .consume = nr_h1_consume,
    .reset = nr_h1_reset,
    .release = release,
};

/* ---- receiving heads ---- */

static void protocol_error(struct nr_h1_msg *m, enum nr_h1_reason reason)
{
    m->x.refusal = (uint8_t)reason;
    nr_h1_end(m, NR_END_PROTOCOL);
}

/* Closed a second before the upstream would, so that no request meets its FIN; with a single
 * second, half of it. */
static uint64_t idle_hint_ns(struct nr_span value)
{
    uint32_t s;

    if (!nr_h1_keep_alive_timeout(value, &s))
        return UINT64_MAX;
    return s > 1 ? (s - 1) * (uint64_t)1000000000 : s * (uint64_t)500000000;
}

/* The final head: the body follows. */
static void take_final(struct nr_client_conn *cc, struct nr_head *head)
{
    struct nr_h1_msg *m = &cc->m;
    int64_t length = nr_h1_response_body(head, (enum nr_method)m->method);
    const struct nr_field *hint = nr_head_find(head, NR_FIELD_KEEP_ALIVE, NULL);
    bool ended;

    if (hint != NULL)
        cc->idle_max_ns = idle_hint_ns(nr_head_value(head, hint));
    m->x.times.head_ns = nr_io_now_ns(cc->h.io);
    cc->keep = head->keep_alive;
    cc->until_close = length == NR_BODY_CLOSE || length == NR_BODY_TUNNEL;
    if (head->status == 101) {
        m->tunnel = true;
        m->out = NR_H1_OUT_RAW;
        m->out_done = false;
    }
    nr_h1_in_start(m, length);
    nr_h1_in_decode(m);
    if (m->in_done)
        nr_h1_read_deadline(&cc->h, 0);
    if (m->ending)
        return;
    ended = m->in_done && m->trailers == NULL && m->x.received_bytes == 0;
    m->in_told = ended;
    m->x.events->head(&m->x, head, ended);
}

static struct nr_head *parse_head(struct nr_client_conn *cc, uint32_t head_bytes)
{
    struct nr_h1_conn *c = &cc->h;
    struct nr_h1_msg *m = &cc->m;
    struct nr_field fields[NR_H1_FIELDS_MAX];
    struct nr_head parsed, *head;
    enum nr_h1_reason reason =
        nr_h1_parse_response(c->in->data + c->in->begin, head_bytes, c->common->limits,
                             (enum nr_method)m->method, fields, NR_H1_FIELDS_MAX, &parsed);

    if (reason == NR_H1_OK && parsed.status == 101 &&
        (!m->upgrade || !m->out_done || parsed.body_length != NR_BODY_TUNNEL))
        reason = NR_H1_BAD_STATUS_LINE; /* switching to what nobody asked for: RFC 9110, 15.2.2 */
    if (reason == NR_H1_OK && parsed.status < 200 && parsed.status != 101 &&
        ++cc->interims > INTERIMS_MAX)
        reason = NR_H1_HEAD_TOO_LARGE; /* an endless stream of them would fill the arena */
    if (reason != NR_H1_OK) {
        protocol_error(m, reason);
        return NULL;
    }
    c->scanned = 0;
    head = nr_head_dup(&parsed, m->x.arena);
    c->in->begin += head_bytes;
    return head;
}

static void read_heads(struct nr_client_conn *cc)
{
    struct nr_h1_conn *c = &cc->h;
    struct nr_h1_msg *m = &cc->m;

    while (!m->in_head && !m->ending && c->in != NULL && nr_buf_len(c->in) > 0) {
        enum nr_h1_reason reason = NR_H1_OK;
        uint32_t head_bytes = 0;
        struct nr_head *head;

        switch (nr_h1_scan_head(nr_buf_span(c->in), c->common->limits, &c->scanned, &head_bytes,
                                &reason)) {
        case NR_H1_SCAN_MORE: nr_h1_in_room(c); return;
        case NR_H1_SCAN_BAD: protocol_error(m, reason); return;
        case NR_H1_SCAN_DONE: break;
        }
        head = parse_head(cc, head_bytes);
        if (head == NULL)
            return;
        if (head->status < 200 && head->status != 101)
            m->x.events->head(&m->x, head, false);
        else
            take_final(cc, head);
    }
}

/* ---- the role ---- */

/* The upstream's FIN, or a broken connection. */
static void lost(struct nr_client_conn *cc, int32_t result)
{
    struct nr_h1_msg *m = &cc->m;

    cc->keep = false;
    cc->h.out_failed = cc->h.out_failed || result < 0;
    if (m->in_done)
        return;
    if (result == 0 && m->in_head && cc->until_close) {
        m->in_done = true;
        m->in_news = true;
        nr_h1_read_deadline(&cc->h, 0);
    } else if (!m->sent) {
        nr_h1_end(m, NR_END_UNPROCESSED);
    } else {
        nr_h1_end(m, result == 0 ? NR_END_PEER_CLOSED : NR_END_PEER_RESET);
    }
    if (m->ending && m->x.reused && !m->x.heard)
        nr_cell_add(&cc->client->counts->stale, 1);
}

static void heard(struct nr_client_conn *cc)
{
    struct nr_h1_msg *m = &cc->m;

    if (!m->out_head) {
        protocol_error(m, NR_H1_BAD_STATUS_LINE); /* an answer to nothing */
    } else if (!m->in_head) {
        read_heads(cc);
    } else {
        nr_h1_in_decode(m);
    }
}

/* One that carries nothing. */
static void drop(struct nr_client_conn *cc)
{
    nr_client_displace(cc);
    if (!nr_op_idle(&cc->connect.op))
        nr_op_cancel(cc->h.io, &cc->connect.op);
    nr_h1_close(&cc->h, NR_CLOSE_GRACEFUL);
}

static void received(struct nr_h1_conn *c, int32_t result)
{
    struct nr_client_conn *cc = conn_of(c);
    struct nr_h1_msg *m = c->m;

    if (m == NULL) { /* idle: its end, or bytes that nobody asked for */
        drop(cc);
    } else if (m->ending) {
        return;
    } else if (result <= 0) {
        lost(cc, result);
    } else {
        m->x.heard = true;
        heard(cc);
    }
}

static void count_end(struct nr_client_conn *cc, enum nr_end end)
{
    struct nr_client_counts *counts = cc->client->counts;

    if (end >= NR_END_CONNECT_REFUSED && end <= NR_END_CONNECT_TIMEOUT)
        nr_cell_add(&counts->connect_failures, 1);
    else if (end == NR_END_POOL_EXHAUSTED)
        nr_cell_add(&counts->exhausted, 1);
}

/* Until when an idle connection is kept. */
static uint64_t idle_until_ns(const struct nr_client_conn *cc)
{
    uint64_t for_ns = cc->client->conf->idle_timeout_ns;
    uint64_t at_ns;

    if (cc->idle_max_ns < for_ns)
        for_ns = cc->idle_max_ns;
    at_ns = nr_io_now_ns(cc->client->io) + for_ns;
    return at_ns < cc->expires_ns ? at_ns : cc->expires_ns;
}

static void rest(struct nr_client_conn *cc)
{
    nr_h1_in_release(&cc->h);
    nr_h1_recv(&cc->h, 0);
    nr_h1_read_deadline(&cc->h, idle_until_ns(cc));
}

/* How long an exchange has waited until now. */
static void note_wait(struct nr_client_conn *cc, uint64_t now_ns)
{
    if (cc->h.m != NULL)
        cc->m.x.times.waited_ns = now_ns - cc->m.x.times.started_ns;
}

static void finish(struct nr_client_conn *cc)
{
    struct nr_h1_conn *c = &cc->h;
    struct nr_h1_msg *m = &cc->m;
    bool done = m->end == NR_END_DONE;
    bool surplus;

    if (done)
        nr_h1_in_drop(m); /* framing behind the content: the last chunk, that came by itself */
    surplus = c->in != NULL && nr_buf_len(c->in) > 0;
    if (!nr_op_idle(&cc->connect.op))
        nr_op_cancel(c->io, &cc->connect.op);
    if (nr_unlikely(cc->place == NR_CLIENT_WAITING)) {
        nr_client_displace(cc);
        note_wait(cc, nr_io_now_ns(c->io));
    }
    if (nr_unlikely(!done))
        count_end(cc, (enum nr_end)m->end);
    m->told = true;
    m->x.events->end(&m->x, (enum nr_end)m->end);
    c->m = NULL;
    c->scanned = 0;
    if (!done || m->tunnel || !cc->keep || surplus || c->out_failed || !nr_client_pool(cc)) {
        nr_h1_close(c, done ? NR_CLOSE_GRACEFUL : NR_CLOSE_RESET);
        return;
    }
    rest(cc);
}

/* The answer is complete, and the owner has had all of it. */
static bool answered(const struct nr_h1_msg *m)
{
    return m->in_done && m->in_told && !nr_h1_in_waits(m);
}

static bool complete(struct nr_h1_conn *c, struct nr_h1_msg *m)
{
    bool out_over = m->out_done && nr_h1_out_flushed(c);

    if (m->tunnel && out_over && !m->out_shut && !c->out_failed) {
        m->out_shut = true;
        nr_sock_shutdown(c->sock);
    }
    return out_over && answered(m);
}

static void settle(struct nr_h1_conn *c)
{
    struct nr_client_conn *cc = conn_of(c);
    struct nr_h1_msg *m = c->m;

    if (m == NULL)
        return;
    if (!m->ending && m->in_head)
        nr_h1_in_events(m);
    if (!m->ending && m->want_writable && !c->blocked && (!c->out_failed || m->in_done)) {
        m->want_writable = false;
        m->x.events->writable(&m->x);
    }
    if (!m->ending)
        nr_h1_out_flush(c);
    if (!m->ending && complete(c, m))
        nr_h1_end(m, NR_END_DONE);
    if (!m->ending && c->out_failed && answered(m)) /* no receive is left that would tell */
        nr_h1_end(m, NR_END_PEER_RESET);
    if (m->ending) {
        finish(cc);
    } else if (m->in_head) {
        nr_h1_in_arm(m);
    } else if (c->sock != NULL) {
        nr_h1_in_release(c);
        nr_h1_recv(c, 0);
    }
}

static void expired(struct nr_h1_conn *c, bool writing)
{
    struct nr_client_conn *cc = conn_of(c);
    struct nr_h1_msg *m = c->m;

    if (m == NULL) {
        drop(cc);
    } else if (writing) {
        nr_h1_end(m, NR_END_WRITE_TIMEOUT);
    } else if (cc->place == NR_CLIENT_WAITING) {
        nr_client_waited(cc);
    } else if (c->sock == NULL) {
        nr_h1_end(m, NR_END_CONNECT_TIMEOUT);
    } else {
        nr_h1_end(m, m->tunnel ? NR_END_IDLE_TIMEOUT : NR_END_BODY_TIMEOUT);
    }
}

/* Not a byte has gone out: nothing can come back either. Otherwise the receive will tell: either
 * the end, or the answer of an upstream that did not want the rest. Once that is complete, whoever
 * waits to send is asked for the rest after all, and it is dropped (settle): nothing else would
 * ever end the exchange. */
static void write_failed(struct nr_h1_conn *c)
{
    struct nr_h1_msg *m = c->m;

    if (m == NULL)
        return;
    if (!m->sent)
        nr_h1_end(m, NR_END_UNPROCESSED);
    nr_h1_kick(c);
}

static bool idle(const struct nr_h1_conn *c)
{
    return nr_op_idle(&((const struct nr_client_conn *)c)->connect.op);
}

static void gone(struct nr_h1_conn *c)
{
    struct nr_client_conn *cc = conn_of(c);

    nr_client_conn_gone(cc);
    free(cc);
}

static const struct nr_h1_role role = {
    .received = received,
    .settle = settle,
    .expired = expired,
    .write_failed = write_failed,
    .idle = idle,
    .free = gone,
};

/* ---- connecting ---- */

static enum nr_end connect_end(int32_t result)
{
    switch (result) {
    case NR_EREFUSED: return NR_END_CONNECT_REFUSED;
    case NR_ETIMEOUT: return NR_END_CONNECT_TIMEOUT;
    default: return NR_END_CONNECT_FAILED;
    }
}

/* A prewarmed one is there: the first who wants it may have it. */
static void warmed(struct nr_client_conn *cc)
{
    nr_client_displace(cc);
    if (nr_client_pool(cc))
        rest(cc);
    else
        nr_h1_close(&cc->h, NR_CLOSE_GRACEFUL);
}

static void connected(struct nr_client_conn *cc)
{
    cc->m.x.times.connected_ns = nr_io_now_ns(cc->h.io);
    cc->m.x.no_files = false;
}

static void on_connect(struct nr_op *op)
{
    struct nr_client_conn *cc = nr_container_of(op, struct nr_client_conn, connect.op);
    struct nr_h1_conn *c = &cc->h;

    nr_h1_enter(c);
    if (op->result == NR_OK && c->closed) {
        nr_sock_close(cc->connect.sock, NR_CLOSE_GRACEFUL);
    } else if (op->result == NR_OK) {
        c->sock = cc->connect.sock;
        c->blocked = false;
        nr_h1_read_deadline(c, 0);
        if (c->m != NULL)
            connected(cc);
        else
            warmed(cc);
    } else if (!c->closed && c->m != NULL) {
        if (op->result != NR_EFILES || !nr_client_wait_for_files(cc))
            nr_h1_end(c->m, connect_end(op->result));
    } else if (!c->closed) {
        count_end(cc, connect_end(op->result));
        drop(cc);
    }
    nr_h1_leave(c);
}

static const struct nr_op_kind connect_kind = {on_connect, "client.connect"};

struct nr_client_conn *nr_client_conn_new(struct nr_client *client)
{
    struct nr_client_conn *cc = malloc(sizeof(*cc));
    struct nr_h1_conn *c;

    nr_assert(cc != NULL);
    memset(cc, 0, sizeof(*cc));
    c = &cc->h;
    nr_h1_conn_init(c, client->io, &role, &client->common);
    nr_link_init(&cc->link);
    nr_op_init(&cc->connect.op, &connect_kind);
    cc->client = client;
    cc->connect.to = client->address;
    cc->idle_max_ns = UINT64_MAX;
    c->blocked = true; /* until connected */
    client->conns++;
    return cc;
}

void nr_client_conn_connect(struct nr_client_conn *cc)
{
    struct nr_client *client = cc->client;
    const struct nr_client_conf *conf = client->conf;
    uint64_t now_ns = nr_io_now_ns(client->io);

    cc->expires_ns = UINT64_MAX;
    if (conf->lifetime_ns != 0)
        cc->expires_ns = now_ns + conf->lifetime_ns -
                         nr_random_below(nr_io_random(client->io), conf->lifetime_ns / 10 + 1);
    cc->counted = true;
    client->open++;
    nr_cell32_add(&client->counts->open, 1);
    nr_cell_add(&client->counts->connects, 1);
    note_wait(cc, now_ns);
    nr_sock_connect(client->io, &cc->connect);
    if (conf->connect_timeout_ns != 0)
        nr_h1_read_deadline(&cc->h, now_ns + conf->connect_timeout_ns);
}

void nr_client_conn_hand_over(struct nr_client_conn *from, struct nr_client_conn *to)
{
    uint64_t now_ns = nr_io_now_ns(to->h.io);

    nr_client_displace(to);
    to->h.sock = from->h.sock;
    from->h.sock = NULL;
    to->counted = true;
    from->counted = false;
    to->expires_ns = from->expires_ns;
    to->idle_max_ns = from->idle_max_ns;
    to->m.x.reused = from->m.told; /* else it was prewarmed, this very moment */
    connected(to);
    note_wait(to, now_ns);
    to->h.blocked = false;
    nr_h1_read_deadline(&to->h, 0);
    nr_h1_kick(&to->h);
}

struct nr_exchange *nr_client_conn_open(struct nr_client_conn *cc, struct nr_arena *arena,
                                        const struct nr_exchange_events *events, void *owner,
                                        bool reused)
{
    struct nr_h1_msg *m = &cc->m;
    struct nr_h1_conn *c = &cc->h;

    *m = (struct nr_h1_msg){.conn = c};
    m->x.verbs = &verbs;
    m->x.events = events;
    m->x.owner = owner;
    m->x.arena = arena;
    m->x.reused = reused;
    m->x.times.started_ns = nr_io_now_ns(c->io);
    c->m = m;
    cc->keep = false;
    cc->interims = 0;
    if (reused) {
        m->x.times.connected_ns = m->x.times.started_ns;
        c->read_deadline_ns = 0;
    }
    return &m->x;
}

void nr_client_conn_shut(struct nr_client_conn *cc)
{
    struct nr_h1_conn *c = &cc->h;

    nr_h1_enter(c);
    drop(cc);
    c->busy = false;
    nr_h1_kick(c);
}
