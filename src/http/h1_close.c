/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a serving connection behind an answer, or instead of one.
 *
 * The trouble with closing: when bytes of the peer are unread or still come in after close(), the
 * kernel answers with RST, and the RST may destroy the answer in the peer's receive buffer
 * before it has been read (RFC 9112, 9.6). So:
 *
 *   the request was read, the client asked to close    close
 *   the rest of its body is small, keep-alive          DISCARD: read it, then the next request
 *   anything else that was answered                    LINGER: FIN, drop what comes, then close
 *   nothing was answered, or only a part               RST: it must not look like an end
 *
 * A request that broke down in its body (malformed, too slow) before any answer gets a bare one
 * from here, because its exchange has ended and the handler can no longer speak. */
#include "http/h1_server.h"

#include <stdio.h>

#include "base/assert.h"

enum {
    DISCARD_BYTES_MAX = 64 * 1024,
    LINGER_BYTES_MAX = 1024 * 1024,
};

static const uint64_t linger_ns = 5000000000u;
static const uint64_t discard_ns = 5000000000u;

void nr_server_conn_detach(struct nr_server_conn *sc)
{
    struct nr_h1_msg *m = sc->h.m;

    nr_h1_in_drop(m);
    sc->h.m = NULL;
    sc->h.scanned = 0;
    sc->started_ns = 0;
    sc->closing = NR_SERVER_OPEN;
    nr_server_exchange_drop((struct nr_server_exchange *)m);
}

void nr_server_conn_linger(struct nr_server_conn *sc)
{
    struct nr_h1_conn *c = &sc->h;

    if (c->m != NULL)
        nr_server_conn_detach(sc);
    if (c->out_failed || !nr_h1_out_flushed(c)) {
        nr_h1_close(c, NR_CLOSE_RESET);
        return;
    }
    sc->closing = NR_SERVER_LINGER;
    sc->drop_left = LINGER_BYTES_MAX;
    nr_sock_shutdown(c->sock);
    if (c->in != NULL && nr_op_idle(&c->recv.op)) {
        c->in->begin = c->in->end;
        nr_h1_in_release(c);
    }
    c->write_deadline_ns = 0;
    nr_h1_read_deadline(c, nr_io_now_ns(c->io) + linger_ns);
    nr_h1_recv(c, 0);
}

/* Read the rest of the body, if that is worth the connection. */
static void discard(struct nr_server_conn *sc, struct nr_h1_msg *m)
{
    struct nr_h1_conn *c = &sc->h;

    if (sc->close_after || sc->server->draining || m->expecting ||
        m->body.left > DISCARD_BYTES_MAX) {
        nr_server_conn_linger(sc);
        return;
    }
    sc->closing = NR_SERVER_DISCARD;
    sc->drop_left = DISCARD_BYTES_MAX;
    nr_h1_in_drop(m);
    nr_h1_in_arm(m);
    nr_h1_read_deadline(c, nr_io_now_ns(c->io) + discard_ns);
}

static void after_answer(struct nr_server_conn *sc, struct nr_h1_msg *m)
{
    struct nr_h1_conn *c = &sc->h;
    bool gently = sc->server->gently; /* the client may not know yet */
    bool closing = sc->close_after || (sc->server->draining && !gently);

    if (m->tunnel) {
        nr_server_conn_detach(sc);
        nr_h1_close(c, NR_CLOSE_GRACEFUL);
    } else if (m->refused) {
        nr_server_conn_linger(sc);
    } else if (!m->in_done) {
        discard(sc, m);
    } else {
        bool clean;

        nr_server_conn_detach(sc);
        clean = c->in == NULL && (sc->client_closes || sc->peer_fin);
        if (closing && clean)
            nr_h1_close(c, NR_CLOSE_GRACEFUL);
        else if (closing)
            nr_server_conn_linger(sc);
        else
            nr_h1_read_deadline(c, gently ? nr_io_now_ns(c->io) + NR_SERVER_GENTLY_NS
                                          : 0); /* the next request sets its own */
    }
}

/* The owner has had its `end`, so nobody else answers: problem+json (RFC 9457) of our own. */
static void answer_broken(struct nr_server_conn *sc, const struct nr_h1_msg *m, bool protocol)
{
    uint16_t status = protocol ? nr_h1_reason_status(m->x.refusal) : 408;
    struct nr_span phrase = nr_status_phrase(status), id = m->x.id;
    char body[384], head[512];
    int body_len =
        snprintf(body, sizeof(body),
                 "{\"type\":\"about:blank\",\"title\":\"%.*s\",\"status\":%u,\"detail\":\"The "
                 "request's body "
                 "%s.\",\"reason\":\"%s\",\"request_id\":\"%.*s\"}\n",
                 (int)phrase.len, phrase.ptr, status,
                 protocol ? "is not valid HTTP" : "did not arrive in time",
                 protocol ? nr_h1_reason_text(m->x.refusal) : "body_timeout", (int)id.len, id.ptr);
    int head_len = snprintf(head, sizeof(head),
                            "HTTP/1.1 %u %.*s\r\nContent-Type: application/problem+json\r\n"
                            "%s%.*s%sConnection: close\r\nContent-Length: %d\r\n\r\n",
                            status, (int)phrase.len, phrase.ptr, id.len > 0 ? "X-Request-Id: " : "",
                            (int)id.len, id.ptr, id.len > 0 ? "\r\n" : "", body_len);

    nr_assert(body_len > 0 && (size_t)body_len < sizeof(body));
    nr_assert(head_len > 0 && (size_t)head_len < sizeof(head));
    if (nr_h1_out_append(&sc->h, (struct nr_span){head, (size_t)head_len}) &&
        nr_h1_out_append(&sc->h, (struct nr_span){body, (size_t)body_len}))
        nr_h1_out_flush(&sc->h);
}

void nr_server_conn_after(struct nr_server_conn *sc, struct nr_h1_msg *m, enum nr_end end)
{
    struct nr_h1_conn *c = &sc->h;
    bool broken =
        (end == NR_END_PROTOCOL || end == NR_END_BODY_TIMEOUT) && !m->out_head && !m->refused;

    if (end == NR_END_DONE) {
        after_answer(sc, m);
        return;
    }
    if (broken) {
        answer_broken(sc, m, end == NR_END_PROTOCOL);
        nr_server_conn_linger(sc);
        return;
    }
    nr_server_conn_detach(sc);
    nr_h1_close(c, NR_CLOSE_RESET);
}

static void drop(struct nr_server_conn *sc, int32_t bytes)
{
    struct nr_h1_conn *c = &sc->h;

    if ((uint32_t)bytes >= sc->drop_left) {
        nr_h1_close(c, NR_CLOSE_GRACEFUL);
        return;
    }
    sc->drop_left -= (uint32_t)bytes;
    c->in->begin = c->in->end;
    nr_h1_in_release(c);
    nr_h1_recv(c, 0);
}

static void discard_more(struct nr_server_conn *sc, int32_t bytes)
{
    struct nr_h1_conn *c = &sc->h;
    struct nr_h1_msg *m = c->m;

    nr_h1_in_decode(m);
    if (m->body.reason != NR_H1_OK || m->x.refusal != NR_H1_OK ||
        (uint32_t)bytes >= sc->drop_left) {
        nr_server_conn_linger(sc);
        return;
    }
    sc->drop_left -= (uint32_t)bytes;
    nr_h1_in_drop(m);
    if (m->in_done) {
        after_answer(sc, m);
    } else {
        uint64_t at_ns = c->read_deadline_ns; /* absolute, whatever trickles in */

        nr_h1_in_arm(m);
        nr_h1_read_deadline(c, at_ns);
    }
}

void nr_server_conn_dropped(struct nr_server_conn *sc, int32_t result)
{
    if (result <= 0) {
        if (sc->h.m != NULL)
            nr_server_conn_detach(sc);
        nr_h1_close(&sc->h, NR_CLOSE_GRACEFUL);
    } else if (sc->closing == NR_SERVER_DISCARD) {
        discard_more(sc, result);
    } else {
        drop(sc, result);
    }
}
