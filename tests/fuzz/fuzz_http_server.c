/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes, cut anywhere, against a server in the simulator.
 *
 * input   seed (cuts and delays), flags, then what the client sends
 *
 * Whatever it is: each exchange ends exactly once, no event follows its end, every answer goes
 * out in the order of the requests, and behind the drain nothing is left (nr_sim_free aborts on
 * operations, timers, sockets and buffers that leaked). */
#include <stdint.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "http/server.h"
#include "io/sim.h"

enum { MS = 1000000, HALF_CLOSE = 1, FIN = 2, RST = 4, DRAIN = 8, PAUSE = 16, ONE_BYTE = 32 };

struct run {
    struct nr_handler handler;
    struct nr_io *io;
    struct nr_server *server;
    struct nr_connect connect;
    struct nr_recv recv;
    struct nr_io *peer_io;
    bool drained;
    int begun, ended;
};

struct visit {
    struct run *run;
    bool over, in_ended, echo;
};

static void flow(struct nr_exchange *x)
{
    struct visit *visit = x->owner;
    struct nr_span bytes = nr_exchange_pending(x);
    size_t taken = bytes.len;

    if (visit->echo && (bytes.len > 0 || visit->in_ended))
        taken = nr_exchange_send_body(x, bytes, visit->in_ended);
    nr_exchange_consume(x, taken);
}

static void on_body(struct nr_exchange *x, bool ended)
{
    struct visit *visit = x->owner;

    nr_assert(!visit->over && !visit->in_ended);
    visit->in_ended = ended;
    flow(x);
}

static void on_trailers(struct nr_exchange *x, struct nr_head *trailers)
{
    on_body(x, true);
}

static void on_writable(struct nr_exchange *x)
{
    nr_assert(!((struct visit *)x->owner)->over);
    flow(x);
}

static void on_end(struct nr_exchange *x, enum nr_end end)
{
    struct visit *visit = x->owner;

    nr_assert(!visit->over);
    visit->over = true;
    visit->run->ended++;
}

static const struct nr_exchange_events events = {
    .body = on_body, .trailers = on_trailers, .writable = on_writable, .end = on_end};

static struct visit *begin(struct nr_handler *handler, struct nr_exchange *x)
{
    struct visit *visit = nr_arena_zalloc(x->arena, sizeof(*visit));

    visit->run = nr_container_of(handler, struct run, handler);
    visit->run->begun++;
    x->events = &events;
    x->owner = visit;
    return visit;
}

/* The last letter of the path chooses how it is answered. */
static void on_request(struct nr_handler *handler, struct nr_exchange *x, struct nr_head *head,
                       bool ended)
{
    struct visit *visit = begin(handler, x);
    struct nr_span path = nr_head_text(head, head->path);
    char how = path.len > 0 ? path.ptr[path.len - 1] : '/';
    struct nr_head answer;

    visit->in_ended = ended;
    if (how == 'n')
        return;
    if (how == 'r') {
        nr_exchange_reset(x);
        return;
    }
    if (how == 'i') {
        nr_head_init_response(&answer, x->arena, 100);
        nr_exchange_send_head(x, &answer, false);
    }
    nr_head_init_response(&answer, x->arena, how == 'u' ? 101 : 200);
    answer.body_length = how == 'u' ? NR_BODY_TUNNEL : how == 'l' ? 3 : NR_BODY_CHUNKED;
    visit->echo = how != 'l';
    visit->in_ended = ended && how != 'u'; /* a tunnel's bytes come behind the request's end */
    nr_exchange_send_head(x, &answer, false);
    if (how == 'l')
        nr_exchange_send_body(x, NR_SPAN("abc"), true);
    else if (ended && how != 'u')
        flow(x);
}

static void on_refused(struct nr_handler *handler, struct nr_exchange *x, struct nr_head *head,
                       uint16_t status, const char *reason)
{
    struct nr_head answer;

    begin(handler, x);
    nr_head_init_response(&answer, x->arena, status);
    nr_exchange_send_head(x, &answer, true);
}

/* ---- the peer ---- */

static void on_recv(struct nr_op *op)
{
    struct run *run = nr_container_of(op, struct run, recv.op);

    if (op->result <= 0)
        return;
    nr_buf_put(nr_io_bufs(run->peer_io), run->recv.buf);
    run->recv.buf = NULL;
    nr_sock_recv(run->connect.sock, &run->recv);
}

static void on_connect(struct nr_op *op)
{
    struct run *run = nr_container_of(op, struct run, connect.op);

    nr_assert(op->result == NR_OK);
    nr_sock_recv(run->connect.sock, &run->recv);
}

static void on_drained(void *ctx)
{
    ((struct run *)ctx)->drained = true;
}

static const struct nr_op_kind recv_kind = {on_recv, "fuzz.recv"};
static const struct nr_op_kind connect_kind = {on_connect, "fuzz.connect"};

static void talk(struct nr_sim *sim, struct run *run, uint8_t flags, const char *bytes, size_t len)
{
    size_t half = flags & PAUSE ? len / 2 : len;
    struct iovec part = {(void *)(uintptr_t)bytes, half};

    nr_sim_run(sim, nr_sim_now_ns(sim) + 5 * MS);
    if (run->connect.sock == NULL)
        return;
    nr_sock_write(run->connect.sock, &part, 1);
    if (half < len) {
        nr_sim_run(sim, nr_sim_now_ns(sim) + 20 * MS);
        part = (struct iovec){(void *)(uintptr_t)(bytes + half), len - half};
        nr_sock_write(run->connect.sock, &part, 1);
    }
    if (flags & DRAIN)
        nr_server_drain(run->server);
    if (flags & FIN)
        nr_sock_shutdown(run->connect.sock);
    if (flags & RST) {
        nr_sock_close(run->connect.sock, NR_CLOSE_RESET);
        run->connect.sock = NULL;
    }
    nr_sim_run(sim, nr_sim_now_ns(sim) + 100 * MS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run run = {.handler = {on_request, on_refused}};
    struct nr_server_conf conf = nr_server_conf_default;
    struct nr_listen_conf listen = {.inherited_fd = -1};
    struct nr_sim_conf sim_conf = {.link = {.split_randomly = true}};
    struct nr_listener *listener;
    struct nr_sim *sim;

    if (size < 2 || size > 60000)
        return 0;
    sim_conf.seed = data[0];
    if (data[1] & ONE_BYTE && size < 2000)
        sim_conf.link.segment_bytes = 1;
    conf.half_close = data[1] & HALF_CLOSE;
    sim = nr_sim_new(&sim_conf);
    run.io = nr_sim_engine(sim, "10.0.0.2");
    run.peer_io = nr_sim_engine(sim, "10.0.0.1");
    if (nr_addr_parse("10.0.0.2:80", &listen.address, NULL) != NR_OK ||
        nr_listener_open(&run.io, 1, &listen, &listener, NULL) != NR_OK)
        abort();
    run.server = nr_server_new(run.io, listener, &conf, &run.handler);
    nr_server_on_drained(run.server, on_drained, &run);
    nr_op_init(&run.recv.op, &recv_kind);
    nr_op_init(&run.connect.op, &connect_kind);
    run.connect.to = nr_listener_address(listener);
    nr_sock_connect(run.peer_io, &run.connect);
    talk(sim, &run, data[1], (const char *)data + 2, size - 2);
    nr_sock_close(run.connect.sock, NR_CLOSE_GRACEFUL);
    nr_listener_close(listener);
    nr_server_abort(run.server);
    while (nr_sim_step(sim))
        ;
    nr_assert(run.drained && run.begun == run.ended);
    nr_server_free(run.server);
    nr_sim_free(sim);
    return 0;
}
