/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes, cut anywhere, as an upstream's answers, in the simulator.
 *
 * input   seed (cuts and delays), flags, then what the upstream sends as soon as it is connected to
 *
 * Three exchanges in a row. Each ends exactly once, nothing follows its end, a final head comes at
 * most once, and in the end nothing is left (nr_sim_free aborts on leaks). */
#include <stdint.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "http/client.h"
#include "io/sim.h"

enum { MS = 1000000, EXCHANGES = 3, HEAD = 1, POST = 2, UPGRADE = 4, FIN = 8, RST = 16, LAZY = 32 };

struct asked {
    struct nr_exchange *x; /* NULL: over */
    bool final, in_ended, lazy;
};

struct run {
    struct nr_io *io;
    struct nr_listener *listener;
    struct nr_accept accept;
    struct nr_sock *socks[EXCHANGES + 1];
    int accepted;
    uint8_t flags;
    struct nr_span bytes;
};

static void on_head(struct nr_exchange *x, struct nr_head *head, bool ended)
{
    struct asked *asked = x->owner;

    nr_assert(asked->x == x && !asked->final);
    asked->final = head->status >= 200 || head->status == 101;
    asked->in_ended = ended;
}

static void on_body(struct nr_exchange *x, bool ended)
{
    struct asked *asked = x->owner;

    nr_assert(asked->x == x && asked->final && !asked->in_ended);
    asked->in_ended = ended;
    if (!asked->lazy || ended)
        nr_exchange_consume(x, nr_exchange_pending(x).len);
    else
        nr_exchange_consume(x, nr_exchange_pending(x).len / 2);
}

static void on_trailers(struct nr_exchange *x, struct nr_head *trailers)
{
    on_body(x, true);
}

static void on_writable(struct nr_exchange *x)
{
}

static void on_end(struct nr_exchange *x, enum nr_end end)
{
    struct asked *asked = x->owner;

    nr_assert(asked->x == x);
    nr_assert(end != NR_END_DONE || asked->in_ended);
    asked->x = NULL;
}

static const struct nr_exchange_events events = {on_head, on_body, on_trailers, on_writable,
                                                 on_end};

static void on_accept(struct nr_op *op)
{
    struct run *run = nr_container_of(op, struct run, accept.op);
    struct iovec part = {(void *)(uintptr_t)run->bytes.ptr, run->bytes.len};

    if (op->result != NR_OK)
        return;
    nr_assert(run->accepted <= EXCHANGES);
    run->socks[run->accepted++] = run->accept.sock;
    nr_sock_write(run->accept.sock, &part, 1);
    if (run->flags & FIN)
        nr_sock_shutdown(run->accept.sock);
    if (run->flags & RST) {
        nr_sock_close(run->accept.sock, NR_CLOSE_RESET);
        run->socks[run->accepted - 1] = NULL;
    }
    nr_listener_accept(run->listener, run->io, &run->accept);
}

static const struct nr_op_kind accept_kind = {on_accept, "fuzz.accept"};

static void ask(struct nr_client *client, struct nr_arena *arena, struct asked *asked,
                uint8_t flags)
{
    struct nr_head head;
    struct nr_span method = flags & HEAD ? NR_SPAN("HEAD") : NR_SPAN("POST");

    asked->lazy = flags & LAZY;
    asked->x = nr_client_open(client, arena, &events, asked, false);
    nr_head_init_request(&head, arena, method, NR_SPAN("up"), NR_SPAN("/"));
    if (flags & UPGRADE) {
        nr_head_add(&head, arena, NR_SPAN("Upgrade"), NR_SPAN("x"));
        head.upgrade = true;
    }
    head.body_length = flags & POST ? NR_BODY_CHUNKED : NR_BODY_NONE;
    nr_exchange_send_head(asked->x, &head, !(flags & POST));
    if (flags & POST)
        nr_exchange_send_body(asked->x, NR_SPAN("hello"), false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run run = {0};
    struct nr_sim_conf sim_conf = {.link = {.split_randomly = true}};
    struct nr_listen_conf listen = {.inherited_fd = -1};
    struct nr_client_conf conf = nr_client_conf_default;
    struct asked asked[EXCHANGES] = {0};
    struct nr_client *client;
    struct nr_addr address;
    struct nr_arena arena;
    struct nr_sim *sim;

    if (size < 2 || size > 60000)
        return 0;
    sim_conf.seed = data[0];
    run.flags = data[1];
    run.bytes = (struct nr_span){(const char *)data + 2, size - 2};
    sim = nr_sim_new(&sim_conf);
    run.io = nr_sim_engine(sim, "10.0.0.2");
    nr_op_init(&run.accept.op, &accept_kind);
    if (nr_addr_parse("10.0.0.2:80", &listen.address, NULL) != NR_OK ||
        nr_listener_open(&run.io, 1, &listen, &run.listener, NULL) != NR_OK)
        abort();
    nr_listener_accept(run.listener, run.io, &run.accept);
    address = nr_listener_address(run.listener);
    client = nr_client_new(nr_sim_engine(sim, "10.0.0.1"), &address, &conf);
    nr_arena_init(&arena, NULL, 0);
    for (int i = 0; i < EXCHANGES; i++) {
        ask(client, &arena, &asked[i], run.flags);
        nr_sim_run(sim, nr_sim_now_ns(sim) + 50 * MS);
        if (asked[i].x != NULL)
            nr_exchange_reset(asked[i].x);
    }
    nr_client_close(client);
    nr_listener_close(run.listener);
    for (int i = 0; i < run.accepted; i++)
        nr_sock_close(run.socks[i], NR_CLOSE_GRACEFUL);
    while (nr_sim_step(sim))
        ;
    for (int i = 0; i < EXCHANGES; i++)
        nr_assert(asked[i].x == NULL);
    nr_arena_done(&arena);
    nr_sim_free(sim);
    return 0;
}
