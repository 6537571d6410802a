/* SPDX-License-Identifier: Apache-2.0 */
/* Connections: from the handshake to the end of life.
 *
 *   SYN_SENT --SYN arrives, somebody listens--> ACCEPTED --arrives at client--> ESTABLISHED
 *      '------ nobody listens ----> REFUSED --arrives at client--> gone
 *
 * The handshake's third step is the first segment of the client's pipe: when it arrives the
 * connection enters the listener's backlog, and no byte can come before it.
 *
 * An end is `attached` while somebody holds a handle to it or will get one (it waits in a
 * backlog, or the step that puts it there is under way). An end that was closed lives on
 * without a handle: what it wrote goes out; bytes that still come to it are answered with
 * RST. With the second end detached nothing that is under way can matter: the connection is freed.
 *
 * A RST is sent once and may be lost to a cut. The other side then knows nothing, until it sends:
 * so does the real thing. Only when it repeats bytes, or probes a window that is shut, will it
 * hear after the cut. */
#include "base/assert.h"
#include "io/sim_world.h"

enum { SYN_RETRY_NS = 1000 * 1000 * 1000 }; /* RFC 6298, 2.1 */

static void handshake(struct nr_sim *sim, struct nr_sim_event *event);
static void rst_arrive(struct sim_conn *conn, int at);

static void rst_arrive_0(struct nr_sim *sim, struct nr_sim_event *event)
{
    rst_arrive(nr_container_of(event, struct sim_conn, end[0].rst), 0);
}

static void rst_arrive_1(struct nr_sim *sim, struct nr_sim_event *event)
{
    rst_arrive(nr_container_of(event, struct sim_conn, end[1].rst), 1);
}

static struct sim_conn *conn_new(struct nr_sim *sim, struct sim_engine *client,
                                 struct sim_host *server)
{
    struct sim_conn *conn = sim_pool_get(&sim->conn_pool);

    *conn = (struct sim_conn){
        .sim = sim,
        .client = client,
        .way = sim_link_get(sim, client->host, server),
        .state = SIM_CONN_SYN_SENT,
        .handshake = {.fire = handshake},
        .end = {{.host = client->host, .rst = {.fire = rst_arrive_0}, .attached = true},
                {.host = server, .rst = {.fire = rst_arrive_1}}},
    };
    nr_link_init(&conn->connecting);
    nr_link_init(&conn->waiting);
    sim_pipe_init(&conn->pipe[0], 0);
    sim_pipe_init(&conn->pipe[1], 1);
    nr_list_push_back(&sim->conns, &conn->link);
    return conn;
}

void sim_conn_free(struct sim_conn *conn)
{
    struct nr_sim *sim = conn->sim;

    nr_assert(nr_list_empty(&conn->connecting));
    nr_list_remove(&conn->link);
    nr_list_remove(&conn->waiting);
    nr_sim_cancel(sim, &conn->handshake);
    for (int i = 0; i < 2; i++) {
        nr_sim_cancel(sim, &conn->end[i].rst);
        sim_pipe_done(sim, &conn->pipe[i]);
        if (conn->end[i].holds_file)
            conn->end[i].host->files--;
    }
    sim_pool_put(&sim->conn_pool, conn);
}

/* ---- the handshake ---- */

static void send_handshake(struct sim_conn *conn, const struct sim_host *from)
{
    nr_sim_at(conn->sim, &conn->handshake, sim_link_arrival_ns(conn->sim, conn->way, from, 0));
}

void sim_conn_open(struct sim_engine *engine, struct nr_connect *connect)
{
    struct nr_sim *sim = engine->sim;
    struct sim_host *host = engine->host;
    struct sim_host *server = sim_host_find(sim, host, &connect->to);
    struct sim_conn *conn;

    if (!host->up || !sim_host_has_file_left(host)) {
        nr_engine_ready(&engine->io, &connect->op, host->up ? NR_EFILES : NR_ERESET);
        return;
    }
    if (server == NULL) {
        nr_engine_ready(&engine->io, &connect->op, NR_EUNREACHABLE);
        return;
    }
    conn = conn_new(sim, engine, server);
    conn->end[0].holds_file = true;
    host->files++;
    if (connect->to.family == NR_ADDR_UNIX) {
        conn->end[0].address = (struct nr_addr){.family = NR_ADDR_UNIX};
        conn->end[1].address = connect->to;
        conn->end[1].address.path = sim_intern(sim, connect->to.path);
    } else {
        conn->end[0].address = sim_host_addr(host, sim_host_port(host));
        conn->end[1].address = sim_host_addr(server, connect->to.port);
    }
    nr_list_push_back(&conn->connecting, &connect->op.link);
    send_handshake(conn, host);
}

/* Complete the client's operation, if it still waits. */
static struct nr_connect *connect_done(struct sim_conn *conn, int32_t result)
{
    struct nr_link *link = conn->connecting.next;
    struct nr_connect *connect;

    if (link == &conn->connecting)
        return NULL;
    connect = nr_container_of(link, struct nr_connect, op.link);
    nr_engine_ready(&conn->client->io, &connect->op, result);
    return connect;
}

void sim_conn_fail(struct sim_conn *conn, int32_t result)
{
    connect_done(conn, result);
    sim_conn_free(conn);
}

void sim_conn_cancel(struct nr_connect *connect)
{
    sim_conn_fail(nr_container_of(connect->op.link.next, struct sim_conn, connecting),
                  NR_ECANCELED);
}

static void syn_arrives(struct sim_conn *conn)
{
    struct sim_end *server = &conn->end[1];
    struct sim_listener *listener = sim_listener_find(server->host, &server->address);

    if (!server->host->up || listener == NULL) {
        conn->state = SIM_CONN_REFUSED;
        conn->refusal = NR_EREFUSED;
    } else if (listener->backlog_count >= listener->backlog_max) {
        nr_sim_at(conn->sim, &conn->handshake, conn->sim->now_ns + SYN_RETRY_NS);
        return;
    } else {
        conn->state = SIM_CONN_ACCEPTED;
    }
    send_handshake(conn, server->host);
}

static void handshake(struct nr_sim *sim, struct nr_sim_event *event)
{
    struct sim_conn *conn = nr_container_of(event, struct sim_conn, handshake);
    struct nr_connect *connect;

    if (!sim_link_open(conn->way)) {
        conn->parked = true;
        return;
    }
    switch (conn->state) {
    case SIM_CONN_SYN_SENT: syn_arrives(conn); break;
    case SIM_CONN_REFUSED: sim_conn_fail(conn, conn->refusal); break;
    case SIM_CONN_ACCEPTED:
        conn->state = SIM_CONN_ESTABLISHED;
        conn->end[1].attached = true;
        connect = connect_done(conn, NR_OK);
        nr_assert(connect != NULL);
        connect->sock = &sim_sock_new(conn->client, conn, 0)->base;
        sim_pipe_send_ack(sim, &conn->pipe[0]);
        break;
    case SIM_CONN_ESTABLISHED: nr_assert_failed("handshake is over", __FILE__, __LINE__);
    }
}

/* ---- resets ---- */

/* Will end `at` send by itself, and so learn that the other is gone? It repeats bytes that were
 * refused, and it probes a window that is shut. */
static bool speaks_again(struct sim_conn *conn, int at)
{
    struct sim_pipe *out = &conn->pipe[at];

    return out->refused || sim_pipe_room(conn->sim, out) == 0;
}

void sim_conn_send_rst(struct sim_conn *conn, int to)
{
    struct sim_end *end = &conn->end[to];

    if (!end->attached || end->error != NR_OK || end->rst_parked || nr_sim_scheduled(&end->rst))
        return;
    nr_sim_at(conn->sim, &end->rst,
              sim_link_arrival_ns(conn->sim, conn->way, conn->end[1 - to].host, 0));
}

static void rst_arrive(struct sim_conn *conn, int at)
{
    if (sim_link_open(conn->way))
        sim_conn_reset(conn, at);
    else
        conn->end[at].rst_parked = speaks_again(conn, at);
}

void sim_conn_reset(struct sim_conn *conn, int at)
{
    struct sim_end *end = &conn->end[at];

    if (!end->attached || end->error != NR_OK)
        return;
    end->error = NR_ERESET;
    end->rst_parked = false;
    nr_sim_cancel(conn->sim, &end->rst);
    if (end->sock != NULL) {
        sim_sock_stir(end->sock);
        sim_sock_stir_writer(end->sock);
    } else if (!nr_link_linked(&conn->waiting)) {
        sim_conn_detach(conn, at); /* the RST has overtaken the handshake: nobody will hear of it */
    }
}

void sim_conn_detach(struct sim_conn *conn, int at)
{
    struct sim_end *end = &conn->end[at];

    end->attached = false;
    end->sock = NULL;
    if (end->holds_file) {
        end->holds_file = false;
        end->host->files--;
    }
    if (!conn->end[1 - at].attached)
        sim_conn_free(conn);
}

void sim_conn_unpark(struct sim_conn *conn)
{
    if (!sim_link_open(conn->way))
        return;
    if (conn->parked) {
        conn->parked = false;
        send_handshake(conn, conn->end[conn->state != SIM_CONN_SYN_SENT].host);
    }
    for (int i = 0; i < 2; i++) {
        sim_pipe_unpark(conn->sim, &conn->pipe[i]);
        if (conn->end[i].rst_parked) {
            conn->end[i].rst_parked = false;
            sim_conn_send_rst(conn, i);
        }
    }
}

bool sim_conn_alive(const struct sim_conn *conn)
{
    return conn->state == SIM_CONN_ESTABLISHED && conn->end[0].attached && conn->end[1].attached &&
           conn->end[0].error == NR_OK && conn->end[1].error == NR_OK;
}
