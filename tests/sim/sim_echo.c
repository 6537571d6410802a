/* SPDX-License-Identifier: Apache-2.0 */
/* sim_echo.c - echo servers and their clients, directly on io, in a world that goes wrong.
 *
 * Clients connect to one of two servers, send a stream of a pattern in random pieces, end it with
 * FIN and read it back, again and again. Meanwhile links lose and stall, hosts fall silent, servers
 * are killed and come back, connections are reset, descriptors run out. Checked:
 *
 *   after every event: what came back is what was sent, in order, and never more than that
 *   every round ends exactly once: whole, or with an error, or by the client's own patience
 *   a round that ends with FIN was whole, unless its server died or the line was reset
 *   once the faults are over, every client completes a round
 *   at the end nothing is outstanding, on any host (nr_sim_free aborts) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "io/io.h"
#include "simtest.h"

#define MS ((uint64_t)1000 * 1000)
#define S  (1000 * MS)

enum {
    SERVERS = 2,
    CLIENTS = 4,
    ROUNDS = 6,
    FAULTS = 12,
    PORT = 7,
    ROUND_BYTES_MAX = 30000,
    PIECE_BYTES_MAX = 4096,
};

static const uint64_t client_patience_ns = 5 * S;
static const uint64_t server_patience_ns = 20 * S;

static const char *const server_ips[SERVERS] = {"10.0.1.1", "10.0.1.2"};
static const char *const client_ips[CLIENTS] = {"10.0.2.1", "10.0.2.2", "10.0.2.3", "10.0.2.4"};

struct world;

struct server {
    struct world *world;
    const char *ip;
    struct nr_io *io;
    struct nr_listener *listener; /* NULL while it is dead */
    struct nr_accept accept;
    uint32_t conns;
};

/* One accepted connection: reads, writes the same back, ends when the peer ends. */
struct conn {
    struct server *server;
    struct nr_sock *sock;
    struct nr_recv recv;
    struct nr_op writable;
    struct nr_timer patience;
    bool closing; /* freed when its operations have called back */
};

struct client {
    struct world *world;
    const char *ip;
    struct nr_io *io;
    struct nr_connect connect;
    struct nr_sock *sock;
    struct nr_recv recv;
    struct nr_op writable;
    struct nr_timer timer; /* patience during a round, a pause between two */
    bool in_round;
    bool ending; /* the round is over, its operations call back yet */
    bool whole;
    uint64_t salt; /* the pattern differs from round to round */
    uint32_t total, sent, got;
    uint32_t rounds, rounds_whole, rounds_whole_after_faults;
};

struct world {
    struct simtest *test;
    struct nr_sim *sim;
    struct nr_random *random;
    struct server servers[SERVERS];
    struct client clients[CLIENTS];
    bool faults_over;
    bool stopping;
};

static uint64_t below(struct world *world, uint64_t bound)
{
    return nr_random_below(world->random, bound);
}

/* ---- the server ---- */

static void conn_close(struct conn *conn, enum nr_close how)
{
    if (conn->sock != NULL) {
        nr_sock_close(conn->sock, how);
        conn->sock = NULL;
        nr_timer_disarm(conn->server->io, &conn->patience);
        conn->closing = true;
    }
    if (!nr_op_idle(&conn->recv.op) || !nr_op_idle(&conn->writable))
        return;
    nr_buf_put(nr_io_bufs(conn->server->io), conn->recv.buf);
    conn->server->conns--;
    free(conn);
}

static void conn_patient(struct conn *conn)
{
    struct nr_io *io = conn->server->io;

    nr_timer_arm(io, &conn->patience, nr_io_now_ns(io) + server_patience_ns);
}

/* Write what was received; then receive again. */
static void conn_go(struct conn *conn)
{
    struct nr_buf *buf = conn->recv.buf;
    struct iovec part = {.iov_base = buf->data + buf->begin, .iov_len = nr_buf_len(buf)};
    int64_t taken = nr_sock_write(conn->sock, &part, 1);

    if (taken < 0) {
        conn_close(conn, NR_CLOSE_RESET);
        return;
    }
    if (taken > 0)
        conn_patient(conn);
    buf->begin += (uint32_t)taken;
    if (nr_buf_len(buf) > 0) {
        nr_sock_when_writable(conn->sock, &conn->writable);
        return;
    }
    nr_buf_put(nr_io_bufs(conn->server->io), buf);
    conn->recv.buf = NULL;
    nr_sock_recv(conn->sock, &conn->recv);
}

static void on_conn_recv(struct nr_op *op)
{
    struct conn *conn = nr_container_of(op, struct conn, recv.op);

    if (conn->closing || op->result <= 0) {
        conn_close(conn, op->result == 0 ? NR_CLOSE_GRACEFUL : NR_CLOSE_RESET);
        return;
    }
    conn_patient(conn);
    conn_go(conn);
}

static void on_conn_writable(struct nr_op *op)
{
    struct conn *conn = nr_container_of(op, struct conn, writable);

    if (conn->closing || op->result != NR_OK)
        conn_close(conn, NR_CLOSE_RESET);
    else
        conn_go(conn);
}

static void on_conn_patience(struct nr_op *op)
{
    conn_close(nr_container_of(op, struct conn, patience.op), NR_CLOSE_RESET);
}

static void on_accept(struct nr_op *op)
{
    static const struct nr_op_kind recv_kind = {on_conn_recv, "server.recv"};
    static const struct nr_op_kind writable_kind = {on_conn_writable, "server.writable"};
    static const struct nr_op_kind patience_kind = {on_conn_patience, "server.patience"};
    struct server *server = nr_container_of(op, struct server, accept.op);

    if (op->result == NR_OK) {
        struct conn *conn = calloc(1, sizeof(*conn));

        conn->server = server;
        conn->sock = server->accept.sock;
        nr_op_init(&conn->recv.op, &recv_kind);
        nr_op_init(&conn->writable, &writable_kind);
        nr_timer_init(&conn->patience, &patience_kind);
        server->conns++;
        conn_patient(conn);
        nr_sock_recv(conn->sock, &conn->recv);
    }
    if (server->listener != NULL)
        nr_listener_accept(server->listener, server->io, &server->accept);
}

static void server_start(struct server *server)
{
    static const struct nr_op_kind accept_kind = {on_accept, "server.accept"};
    struct world *world = server->world;
    struct nr_listen_conf conf = {.inherited_fd = -1,
                                  .address = {.family = NR_ADDR_V4, .port = PORT}};
    struct nr_err err;

    simtest_check(world->test, world->sim, nr_op_idle(&server->accept.op), "accept still pending");
    if (nr_listener_open(&server->io, 1, &conf, &server->listener, &err) != NR_OK)
        simtest_fail(world->test, world->sim, "%s", err.text);
    nr_op_init(&server->accept.op, &accept_kind);
    nr_listener_accept(server->listener, server->io, &server->accept);
}

static void server_stop(struct server *server)
{
    nr_listener_close(server->listener);
    server->listener = NULL;
}

/* ---- the client ---- */

static void round_begin(struct client *client);

static char pattern(const struct client *client, uint32_t at)
{
    return (char)(client->salt + at * 13 + (at >> 8) * 7);
}

static void round_pause(struct client *client)
{
    uint64_t pause_ns = 1 + below(client->world, 2 * S);

    nr_timer_arm(client->io, &client->timer, nr_io_now_ns(client->io) + pause_ns);
}

/* The round is over, well or badly; what is pending calls back first. */
static void round_end(struct client *client, enum nr_close how)
{
    if (!client->ending) {
        client->ending = true;
        nr_timer_disarm(client->io, &client->timer);
        nr_sock_close(client->sock, how);
        client->sock = NULL;
        nr_op_cancel(client->io, &client->connect.op);
    }
    if (!nr_op_idle(&client->connect.op) || !nr_op_idle(&client->recv.op) ||
        !nr_op_idle(&client->writable))
        return;
    client->ending = false;
    client->in_round = false;
    client->rounds++;
    client->rounds_whole += client->whole;
    client->rounds_whole_after_faults += client->whole && client->world->faults_over;
    if (!client->world->stopping)
        round_pause(client);
}

static void client_send(struct client *client)
{
    char bytes[PIECE_BYTES_MAX];

    while (client->sent < client->total) {
        uint32_t piece = 1 + (uint32_t)below(client->world, PIECE_BYTES_MAX);
        struct iovec part = {.iov_base = bytes};
        int64_t taken;

        if (piece > client->total - client->sent)
            piece = client->total - client->sent;
        for (uint32_t i = 0; i < piece; i++)
            bytes[i] = pattern(client, client->sent + i);
        part.iov_len = piece;
        taken = nr_sock_write(client->sock, &part, 1);
        if (taken < 0) {
            round_end(client, NR_CLOSE_RESET);
            return;
        }
        client->sent += (uint32_t)taken;
        if (taken < piece) {
            nr_sock_when_writable(client->sock, &client->writable);
            return;
        }
    }
    nr_sock_shutdown(client->sock);
}

static void client_check(struct client *client, const struct nr_buf *buf)
{
    const struct world *world = client->world;

    for (uint32_t i = buf->begin; i < buf->end; i++, client->got++)
        simtest_check(world->test, world->sim, buf->data[i] == pattern(client, client->got),
                      "%s: byte %u of %u is wrong", client->ip, client->got, client->total);
    simtest_check(world->test, world->sim, client->got <= client->sent,
                  "%s: %u bytes came back of %u sent", client->ip, client->got, client->sent);
}

static void on_client_recv(struct nr_op *op)
{
    struct client *client = nr_container_of(op, struct client, recv.op);

    if (op->result > 0) {
        client_check(client, client->recv.buf);
        nr_buf_put(nr_io_bufs(client->io), client->recv.buf);
        client->recv.buf = NULL;
    }
    if (client->ending || op->result <= 0) {
        const struct world *world = client->world;

        client->whole = !client->ending && op->result == 0 && client->got == client->total;
        simtest_check(world->test, world->sim, client->ending || op->result != 0 || client->whole,
                      "%s: FIN after %u of %u bytes", client->ip, client->got, client->total);
        round_end(client, NR_CLOSE_GRACEFUL);
        return;
    }
    nr_sock_recv(client->sock, &client->recv);
}

static void on_client_writable(struct nr_op *op)
{
    struct client *client = nr_container_of(op, struct client, writable);

    if (client->ending || op->result != NR_OK)
        round_end(client, NR_CLOSE_RESET);
    else
        client_send(client);
}

static void on_connect(struct nr_op *op)
{
    struct client *client = nr_container_of(op, struct client, connect.op);

    if (op->result == NR_OK && !client->ending) {
        client->sock = client->connect.sock;
        nr_sock_recv(client->sock, &client->recv);
        client_send(client);
        return;
    }
    if (op->result == NR_OK)
        nr_sock_close(client->connect.sock, NR_CLOSE_RESET);
    round_end(client, NR_CLOSE_RESET);
}

static void on_client_timer(struct nr_op *op)
{
    struct client *client = nr_container_of(op, struct client, timer.op);

    if (client->in_round)
        round_end(client, NR_CLOSE_RESET);
    else
        round_begin(client);
}

static void round_begin(struct client *client)
{
    struct world *world = client->world;
    const struct server *server = &world->servers[below(world, SERVERS)];
    char text[NR_ADDR_TEXT_BYTES];

    client->in_round = true;
    client->whole = false;
    client->salt = below(world, 256);
    client->total = (uint32_t)below(world, ROUND_BYTES_MAX);
    client->sent = client->got = 0;
    snprintf(text, sizeof(text), "%s:%d", server->ip, PORT);
    if (nr_addr_parse(text, &client->connect.to, NULL) != NR_OK)
        simtest_fail(world->test, world->sim, "%s is no address", text);
    nr_timer_arm(client->io, &client->timer, nr_io_now_ns(client->io) + client_patience_ns);
    nr_sock_connect(client->io, &client->connect);
}

static void client_start(struct client *client)
{
    static const struct nr_op_kind connect_kind = {on_connect, "client.connect"};
    static const struct nr_op_kind recv_kind = {on_client_recv, "client.recv"};
    static const struct nr_op_kind writable_kind = {on_client_writable, "client.writable"};
    static const struct nr_op_kind timer_kind = {on_client_timer, "client.timer"};

    nr_op_init(&client->connect.op, &connect_kind);
    nr_op_init(&client->recv.op, &recv_kind);
    nr_op_init(&client->writable, &writable_kind);
    nr_timer_init(&client->timer, &timer_kind);
    round_pause(client);
}

/* ---- what goes wrong ---- */

static struct nr_sim_link random_link(struct world *world)
{
    static const uint32_t segment_bytes[] = {0, 0, 1, 7, 100, 9000};
    static const uint32_t loss_ppm[] = {0, 0, 1000, 50000, 400000, 1000000};

    return (struct nr_sim_link){
        .latency_min_ns = below(world, 2 * MS),
        .latency_max_ns = 2 * MS + below(world, 20 * MS),
        .bytes_per_s = below(world, 3) == 0 ? 20000 + below(world, 1000000) : 0,
        .loss_ppm = loss_ppm[below(world, NR_COUNT(loss_ppm))],
        .window_bytes = 1 + (uint32_t)below(world, 20000),
        .segment_bytes = segment_bytes[below(world, NR_COUNT(segment_bytes))],
        .split_randomly = below(world, 2) == 0,
    };
}

static void server_kill(struct server *server)
{
    if (server->listener == NULL)
        return;
    nr_sim_kill(server->world->sim, server->ip);
    server_stop(server);
}

static void server_revive(struct server *server)
{
    if (server->listener != NULL)
        return;
    nr_sim_revive(server->world->sim, server->ip);
    server_start(server);
}

static void one_fault(struct world *world)
{
    struct server *server = &world->servers[below(world, SERVERS)];
    const struct client *client = &world->clients[below(world, CLIENTS)];
    struct nr_sim_link link;

    switch (below(world, 7)) {
    case 0:
        link = random_link(world);
        nr_sim_set_link(world->sim, client->ip, server->ip, &link);
        break;
    case 1: nr_sim_partition(world->sim, client->ip, server->ip, below(world, 2) == 0); break;
    case 2: server_kill(server); break;
    case 3: server_revive(server); break;
    case 4: nr_sim_silence(world->sim, server->ip, below(world, 2) == 0); break;
    case 5: nr_sim_reset_one(world->sim, client->ip, server->ip); break;
    default: nr_sim_limit_files(world->sim, server->ip, (uint32_t)below(world, 4)); break;
    }
}

static void heal(struct world *world)
{
    static const struct nr_sim_link good = {.latency_min_ns = MS, .latency_max_ns = 2 * MS};

    for (int i = 0; i < SERVERS; i++) {
        nr_sim_silence(world->sim, server_ips[i], false);
        nr_sim_limit_files(world->sim, server_ips[i], 0);
        server_revive(&world->servers[i]);
        for (int k = 0; k < CLIENTS; k++) {
            nr_sim_partition(world->sim, client_ips[k], server_ips[i], false);
            nr_sim_set_link(world->sim, client_ips[k], server_ips[i], &good);
        }
    }
}

/* ---- the world ---- */

static void make(struct world *world)
{
    for (int i = 0; i < SERVERS; i++) {
        struct server *server = &world->servers[i];

        *server = (struct server){.world = world, .ip = server_ips[i]};
        server->io = nr_sim_engine(world->sim, server->ip);
        server_start(server);
    }
    for (int i = 0; i < CLIENTS; i++) {
        struct client *client = &world->clients[i];

        *client = (struct client){.world = world, .ip = client_ips[i]};
        client->io = nr_sim_engine(world->sim, client->ip);
        client_start(client);
    }
}

static void run_faults(struct world *world)
{
    for (int i = 0; i < FAULTS; i++) {
        nr_sim_run(world->sim, nr_sim_now_ns(world->sim) + below(world, 3 * S));
        one_fault(world);
    }
    nr_sim_run(world->sim, nr_sim_now_ns(world->sim)); /* who was just killed has to notice */
    heal(world);
}

static bool all_served(const struct world *world)
{
    for (int i = 0; i < CLIENTS; i++)
        if (world->clients[i].rounds_whole_after_faults < ROUNDS)
            return false;
    return true;
}

static void stop(struct world *world)
{
    world->stopping = true;
    for (int i = 0; i < CLIENTS; i++) {
        struct client *client = &world->clients[i];

        if (!client->in_round)
            nr_timer_disarm(client->io, &client->timer);
    }
    for (int i = 0; i < SERVERS; i++)
        server_stop(&world->servers[i]);
    nr_sim_run(world->sim, UINT64_MAX);
}

static void run_world(struct simtest *test)
{
    struct nr_sim_conf conf = {.link = {.latency_min_ns = MS, .latency_max_ns = 2 * MS}};
    struct world world = {.test = test};
    uint64_t limit_ns;

    simtest_conf(test, &conf);
    world.sim = nr_sim_new(&conf);
    world.random = nr_sim_random(world.sim);
    make(&world);
    run_faults(&world);
    limit_ns = nr_sim_now_ns(world.sim) + 300 * S;
    nr_sim_run(world.sim, nr_sim_now_ns(world.sim) + client_patience_ns); /* let wounds heal */
    world.faults_over = true;
    while (!all_served(&world))
        simtest_check(test, world.sim,
                      nr_sim_step(world.sim) && nr_sim_now_ns(world.sim) < limit_ns,
                      "the faults are over and yet some client gets no service");
    stop(&world);
    for (int i = 0; i < SERVERS; i++)
        simtest_check(test, world.sim, world.servers[i].conns == 0, "%s keeps %u connections",
                      world.servers[i].ip, world.servers[i].conns);
    nr_sim_free(world.sim);
}

int main(int argc, char **argv)
{
    return simtest_main(argc, argv, "echo", 100, run_world);
}
