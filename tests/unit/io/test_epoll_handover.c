/* SPDX-License-Identifier: Apache-2.0 */
/* Engines that stop and start waiting for connections all the time, while others send them
 * some: none may get lost between them. Meant for TSan too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "io/epoll_engine.h"

enum { SERVERS = 3, PARALLEL = 32, CONNECTIONS = 3000 };

static const uint64_t ms_ns = 1000 * 1000;

struct server {
    struct nr_io *io;
    struct nr_listener *listener;
    struct nr_accept accept;
    struct nr_timer flicker;
    struct nr_op leave;
    bool closes_listener;
    uint32_t served;
};

static void on_accept(struct nr_op *op)
{
    struct server *s = nr_container_of(op, struct server, accept.op);

    if (op->result != NR_OK)
        return; /* cancelled: the flicker comes back to it */
    s->served++;
    nr_sock_close(s->accept.sock, NR_CLOSE_GRACEFUL);
    nr_listener_accept(s->listener, s->io, &s->accept);
}

static void on_flicker(struct nr_op *op)
{
    struct server *s = nr_container_of(op, struct server, flicker.op);

    if (nr_op_idle(&s->accept.op))
        nr_listener_accept(s->listener, s->io, &s->accept);
    else
        nr_op_cancel(s->io, &s->accept.op);
    nr_timer_arm(s->io, &s->flicker,
                 nr_io_now_ns(s->io) + nr_random_below(nr_io_random(s->io), 3 * ms_ns));
}

static void on_leave(struct nr_op *op)
{
    struct server *s = nr_container_of(op, struct server, leave);

    nr_timer_disarm(s->io, &s->flicker);
    nr_op_cancel(s->io, &s->accept.op);
    if (s->closes_listener)
        nr_listener_close(s->listener);
    nr_io_stop(s->io);
}

struct client;

struct slot {
    struct nr_connect connect;
    struct nr_recv recv;
    struct client *client;
};

struct client {
    struct nr_io *io;
    struct nr_addr to;
    struct slot slots[PARALLEL];
    uint32_t started, ended;
};

static void slot_next(struct slot *slot)
{
    struct client *c = slot->client;

    if (c->started == CONNECTIONS)
        return;
    c->started++;
    slot->connect.to = c->to;
    nr_sock_connect(c->io, &slot->connect);
}

static void on_connected(struct nr_op *op)
{
    struct slot *slot = nr_container_of(op, struct slot, connect.op);

    assert_int_equal(op->result, NR_OK);
    slot->recv.buf = NULL;
    nr_sock_recv(slot->connect.sock, &slot->recv);
}

static void on_end(struct nr_op *op)
{
    struct slot *slot = nr_container_of(op, struct slot, recv.op);

    assert_int_equal(op->result, 0); /* somebody has accepted and closed */
    nr_sock_close(slot->connect.sock, NR_CLOSE_RESET);
    if (++slot->client->ended == CONNECTIONS)
        nr_io_stop(slot->client->io);
    slot_next(slot);
}

static const struct nr_op_kind accept_kind = {on_accept, "test.accept"};
static const struct nr_op_kind flicker_kind = {on_flicker, "test.flicker"};
static const struct nr_op_kind leave_kind = {on_leave, "test.leave"};
static const struct nr_op_kind connected_kind = {on_connected, "test.connected"};
static const struct nr_op_kind end_kind = {on_end, "test.end"};

static struct nr_io *engine_new(void)
{
    struct nr_epoll_conf conf = {.work_threads = 1};
    struct nr_io *io;

    assert_int_equal(nr_io_new_epoll(&conf, &io, NULL), NR_OK);
    return io;
}

static void run_engine(void *ctx)
{
    nr_io_run(ctx);
}

static void server_init(struct server *s, struct nr_listener *listener)
{
    s->listener = listener;
    nr_op_init(&s->accept.op, &accept_kind);
    nr_op_init(&s->leave, &leave_kind);
    nr_timer_init(&s->flicker, &flicker_kind);
    nr_timer_arm(s->io, &s->flicker, 0);
}

static void run_client(struct client *c, struct nr_addr to)
{
    c->io = engine_new();
    c->to = to;
    for (int i = 0; i < PARALLEL; i++) {
        c->slots[i].client = c;
        nr_op_init(&c->slots[i].connect.op, &connected_kind);
        nr_op_init(&c->slots[i].recv.op, &end_kind);
        slot_next(&c->slots[i]);
    }
    nr_io_run(c->io);
    nr_io_free(c->io);
}

static void no_connection_is_lost_between_engines(void **state)
{
    struct nr_listen_conf conf = {.inherited_fd = -1};
    struct server servers[SERVERS] = {{.io = NULL}};
    struct nr_io *engines[SERVERS];
    struct nr_thread *threads[SERVERS];
    struct client *client = calloc(1, sizeof(*client));
    struct nr_listener *listener;
    uint32_t served = 0;

    for (int i = 0; i < SERVERS; i++)
        engines[i] = servers[i].io = engine_new();
    assert_int_equal(nr_addr_parse("127.0.0.1:0", &conf.address, NULL), NR_OK);
    assert_int_equal(nr_listener_open(engines, SERVERS, &conf, &listener, NULL), NR_OK);
    for (int i = 0; i < SERVERS; i++) {
        server_init(&servers[i], listener);
        assert_int_equal(nr_thread_start("server", run_engine, engines[i], &threads[i], NULL),
                         NR_OK);
    }
    run_client(client, nr_listener_address(listener));
    servers[SERVERS - 1].closes_listener = true; /* the last to be told: none accepts after it */
    for (int i = 0; i < SERVERS; i++)
        nr_io_post(engines[i], &servers[i].leave);
    for (int i = 0; i < SERVERS; i++)
        nr_thread_join(threads[i]);
    for (int i = 0; i < SERVERS; i++) {
        nr_epoll_turn(engines[i], 0); /* what was cancelled calls back */
        served += servers[i].served;
    }
    for (int i = 0; i < SERVERS; i++)
        nr_io_free(engines[i]);
    assert_int_equal(served, CONNECTIONS);
    free(client);
}

struct taken {
    struct nr_accept accept;
    int calls;
};

static void on_nothing(struct nr_op *op)
{
}

static const struct nr_op_kind nothing_kind = {on_nothing, "test.nothing"};

static void on_taken(struct nr_op *op)
{
    nr_container_of(op, struct taken, accept.op)->calls++;
}

static void wait_for_one(struct nr_listener *listener, struct nr_io *io, struct taken *t)
{
    static const struct nr_op_kind kind = {on_taken, "test.taken"};

    nr_op_init(&t->accept.op, &kind);
    t->calls = 0;
    nr_listener_accept(listener, io, &t->accept);
}

/* The first engine accepts for the second, which takes its accept back while the connection is in
 * its mailbox. It goes to whoever waits then: the first, or the second's own next accept. */
static void a_connection_that_comes_too_late(bool first_waits_by_then)
{
    struct nr_io *io[2] = {engine_new(), engine_new()};
    struct nr_listen_conf conf = {.inherited_fd = -1};
    struct nr_connect connect = {.sock = NULL};
    struct nr_listener *listener;
    struct taken taken[2], again;
    struct taken *winner = first_waits_by_then ? &taken[0] : &again;

    assert_int_equal(nr_addr_parse("127.0.0.1:0", &conf.address, NULL), NR_OK);
    assert_int_equal(nr_listener_open(io, 2, &conf, &listener, NULL), NR_OK);
    wait_for_one(listener, io[0], &taken[0]); /* in its epoll now, and still after this: */
    nr_op_cancel(io[0], &taken[0].accept.op);
    wait_for_one(listener, io[1], &taken[1]);
    nr_op_init(&connect.op, &nothing_kind);
    connect.to = nr_listener_address(listener);
    nr_sock_connect(io[0], &connect);
    nr_epoll_turn(io[0], 10 * ms_ns); /* accepts, sends it over */
    nr_epoll_turn(io[0], 0);
    assert_int_equal(nr_io_socket_count(io[1]), 1);
    nr_op_cancel(io[1], &taken[1].accept.op);
    if (first_waits_by_then)
        wait_for_one(listener, io[0], &taken[0]);
    nr_epoll_turn(io[1], 0);
    assert_int_equal(taken[1].accept.op.result, NR_ECANCELED);
    wait_for_one(listener, io[1], &again);
    for (int i = 0; i < 4; i++)
        nr_epoll_turn(io[i % 2], 0);
    assert_int_equal(winner->calls, 1);
    assert_int_equal(winner->accept.op.result, NR_OK);
    nr_sock_close(winner->accept.sock, NR_CLOSE_GRACEFUL);
    nr_sock_close(connect.sock, NR_CLOSE_GRACEFUL);
    nr_listener_close(listener);
    for (int i = 0; i < 4; i++)
        nr_epoll_turn(io[i % 2], 0);
    nr_io_free(io[0]);
    nr_io_free(io[1]);
}

static void too_late_and_nobody_waits(void **state)
{
    a_connection_that_comes_too_late(false);
}

static void too_late_and_another_waits(void **state)
{
    a_connection_that_comes_too_late(true);
}

/* ---- connections that stayed in the backlog ---- */

/* Waits once; the test asks from outside whether it has been served. */
struct shy {
    struct nr_op start;  /* posted: accept once */
    struct nr_op finish; /* posted: close and stop */
    struct nr_io *io;
    struct nr_listener *listener;
    struct nr_accept accept;
    struct nr_sock *sock;
    _Atomic bool served;
};

static void on_shy_accept(struct nr_op *op)
{
    struct shy *s = nr_container_of(op, struct shy, accept.op);

    assert_int_equal(op->result, NR_OK);
    s->sock = s->accept.sock;
    atomic_store(&s->served, true);
}

static void on_shy_start(struct nr_op *op)
{
    struct shy *s = nr_container_of(op, struct shy, start);

    nr_listener_accept(s->listener, s->io, &s->accept);
}

static void on_shy_finish(struct nr_op *op)
{
    struct shy *s = nr_container_of(op, struct shy, finish);

    nr_sock_close(s->sock, NR_CLOSE_GRACEFUL);
    nr_io_stop(s->io);
}

static const struct nr_op_kind shy_accept_kind = {on_shy_accept, "test.shy_accept"};
static const struct nr_op_kind shy_start_kind = {on_shy_start, "test.shy_start"};
static const struct nr_op_kind shy_finish_kind = {on_shy_finish, "test.shy_finish"};

static void sleep_ms(long ms)
{
    const struct timespec t = {.tv_nsec = ms * 1000 * 1000};

    nanosleep(&t, NULL);
}

static void connect_one(struct nr_io *io, struct nr_connect *connect, struct nr_addr to)
{
    connect->to = to;
    nr_op_init(&connect->op, &nothing_kind);
    nr_sock_connect(io, connect);
    while (!nr_op_idle(&connect->op))
        nr_epoll_turn(io, ms_ns);
    assert_int_equal(connect->op.result, NR_OK);
}

static bool turn_until(struct nr_io *io, const int *calls)
{
    for (int i = 0; i < 2000 && *calls == 0; i++)
        nr_epoll_turn(io, ms_ns);
    return *calls > 0;
}

/* The first engine sleeps in epoll_wait, has been served and waits no more; nor does the second.
 * The kernel tells the first alone of the next connection. Later the second, which is registered
 * and was never told, has room again: it must find the connection without a third one's help. */
static void who_has_room_again_finds_what_was_left(void **state)
{
    struct nr_io *io[2] = {engine_new(), engine_new()};
    struct nr_io *own = engine_new();
    struct nr_listen_conf conf = {.inherited_fd = -1};
    struct nr_connect connects[2];
    struct shy first = {.io = io[0]};
    struct nr_thread *thread;
    struct taken second, again;

    assert_int_equal(nr_addr_parse("127.0.0.1:0", &conf.address, NULL), NR_OK);
    assert_int_equal(nr_listener_open(io, 2, &conf, &first.listener, NULL), NR_OK);
    nr_op_init(&first.start, &shy_start_kind);
    nr_op_init(&first.finish, &shy_finish_kind);
    nr_op_init(&first.accept.op, &shy_accept_kind);
    nr_listener_accept(first.listener, io[0], &first.accept); /* registered before the second */
    wait_for_one(first.listener, io[1], &second); /* or the first would leave the listener */
    assert_int_equal(nr_thread_start("first", run_engine, io[0], &thread, NULL), NR_OK);
    connect_one(own, &connects[0], nr_listener_address(first.listener));
    while (!atomic_load(&first.served))
        sleep_ms(1);
    sleep_ms(20); /* back in epoll_wait */
    nr_op_cancel(io[1], &second.accept.op);
    nr_epoll_turn(io[1], 0);
    assert_int_equal(second.accept.op.result, NR_ECANCELED);
    connect_one(own, &connects[1], nr_listener_address(first.listener));
    sleep_ms(50); /* the first is told, and nobody waits */
    wait_for_one(first.listener, io[1], &again);
    assert_true(turn_until(io[1], &again.calls));
    assert_int_equal(again.accept.op.result, NR_OK);
    nr_sock_close(again.accept.sock, NR_CLOSE_GRACEFUL);
    nr_io_post(io[0], &first.finish);
    nr_thread_join(thread);
    for (int i = 0; i < 2; i++)
        nr_sock_close(connects[i].sock, NR_CLOSE_GRACEFUL);
    nr_listener_close(first.listener);
    for (int i = 0; i < 2; i++)
        nr_io_free(io[i]);
    nr_epoll_turn(own, 0);
    nr_io_free(own);
}

/* Parked with the second engine, which waits no more; the first begins to wait. */
static void what_is_parked_goes_to_who_waits_later(void **state)
{
    struct nr_io *io[2] = {engine_new(), engine_new()};
    struct nr_listen_conf conf = {.inherited_fd = -1};
    struct nr_listener *listener;
    struct nr_connect connect;
    struct taken first, second;

    assert_int_equal(nr_addr_parse("127.0.0.1:0", &conf.address, NULL), NR_OK);
    assert_int_equal(nr_listener_open(io, 2, &conf, &listener, NULL), NR_OK);
    wait_for_one(listener, io[0], &first);
    nr_op_cancel(io[0], &first.accept.op);
    wait_for_one(listener, io[1], &second);
    connect_one(io[0], &connect, nr_listener_address(listener));
    for (int i = 0; i < 1000 && nr_io_socket_count(io[1]) == 0; i++)
        nr_epoll_turn(io[0], ms_ns);
    nr_op_cancel(io[1], &second.accept.op);
    nr_epoll_turn(io[1], 0); /* the mail finds nobody */
    assert_int_equal(nr_io_socket_count(io[1]), 1);
    wait_for_one(listener, io[0], &first);
    for (int i = 0; i < 1000 && first.calls == 0; i++) {
        nr_epoll_turn(io[1], ms_ns);
        nr_epoll_turn(io[0], 0);
    }
    assert_int_equal(first.calls, 1);
    assert_int_equal(first.accept.op.result, NR_OK);
    assert_int_equal(nr_io_socket_count(io[1]), 0);
    nr_sock_close(first.accept.sock, NR_CLOSE_GRACEFUL);
    nr_sock_close(connect.sock, NR_CLOSE_GRACEFUL);
    nr_listener_close(listener);
    for (int i = 0; i < 2; i++)
        nr_io_free(io[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_connection_is_lost_between_engines),
        cmocka_unit_test(too_late_and_nobody_waits),
        cmocka_unit_test(too_late_and_another_waits),
        cmocka_unit_test(who_has_room_again_finds_what_was_left),
        cmocka_unit_test(what_is_parked_goes_to_who_waits_later),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
