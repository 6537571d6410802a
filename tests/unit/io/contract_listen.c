/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of listening. */
#include "contract.h"

void listen_waits_in_the_backlog(void **state)
{
    struct world *world = *state;
    struct waiter connected = waiter_make(), accepted = waiter_make();
    struct nr_listener *listener = world_listen(world, &world->b, 1, &connected.connect.to);
    struct nr_addr address = nr_listener_address(listener);

    assert_true(nr_addr_eq(&address, &connected.connect.to));
    assert_true(address.port != 0);
    nr_sock_connect(world->a, &connected.connect);
    until(world, &connected);
    assert_int_equal(connected.result, NR_OK); /* nobody has accepted yet */
    settle(world);
    assert_int_equal(nr_io_socket_count(world->b), 0);
    nr_listener_accept(listener, world->b, &accepted.accept);
    assert_int_equal(accepted.calls, 0);
    until(world, &accepted);
    assert_int_equal(accepted.result, NR_OK);
    assert_int_equal(nr_io_socket_count(world->b), 1);
    address = nr_sock_local(connected.connect.sock);
    assert_true(nr_addr_eq(&accepted.accept.peer, &address));
    nr_sock_close(connected.connect.sock, NR_CLOSE_GRACEFUL);
    nr_sock_close(accepted.accept.sock, NR_CLOSE_GRACEFUL);
    nr_listener_close(listener);
}

enum { SHARED_CONNECTIONS = 20 };

struct acceptor {
    struct waiter waiter; /* first */
    struct nr_listener *listener;
    struct nr_io *io;
    struct nr_sock *socks[SHARED_CONNECTIONS];
    int count;
};

static void accept_on(struct waiter *w)
{
    struct acceptor *a = nr_container_of(w, struct acceptor, waiter);

    if (w->result == NR_ECANCELED)
        return;
    assert_int_equal(w->result, NR_OK);
    assert_ptr_equal(nr_sock_io(w->accept.sock), a->io);
    a->socks[a->count++] = w->accept.sock;
    nr_listener_accept(a->listener, a->io, &w->accept);
}

static void acceptor_start(struct acceptor *a, struct nr_listener *listener, struct nr_io *io)
{
    *a = (struct acceptor){.waiter = waiter_make(), .listener = listener, .io = io};
    a->waiter.then = accept_on;
    nr_listener_accept(listener, io, &a->waiter.accept);
}

void listen_shares_evenly(void **state)
{
    struct world *world = *state;
    struct nr_io *engines[2] = {world->b, world_engine_on_b(world)};
    struct acceptor acceptors[2];
    struct waiter connected[SHARED_CONNECTIONS];
    struct nr_addr address;
    struct nr_listener *listener = world_listen(world, engines, 2, &address);

    acceptor_start(&acceptors[0], listener, engines[0]);
    acceptor_start(&acceptors[1], listener, engines[1]);
    for (int i = 0; i < SHARED_CONNECTIONS; i++) {
        connected[i] = waiter_make();
        connected[i].connect.to = address;
        nr_sock_connect(world->a, &connected[i].connect);
    }
    for (int i = 0; i < SHARED_CONNECTIONS; i++)
        until(world, &connected[i]);
    for (int i = 0; i < 100 && acceptors[0].count + acceptors[1].count < SHARED_CONNECTIONS; i++)
        settle(world);
    assert_in_range(acceptors[0].count, SHARED_CONNECTIONS / 2 - 1, SHARED_CONNECTIONS / 2 + 1);
    assert_int_equal(acceptors[0].count + acceptors[1].count, SHARED_CONNECTIONS);
    nr_listener_close(listener);
    settle(world);
    for (int e = 0; e < 2; e++) {
        assert_int_equal(acceptors[e].waiter.result, NR_ECANCELED);
        for (int i = 0; i < acceptors[e].count; i++)
            nr_sock_close(acceptors[e].socks[i], NR_CLOSE_GRACEFUL);
    }
    for (int i = 0; i < SHARED_CONNECTIONS; i++)
        nr_sock_close(connected[i].connect.sock, NR_CLOSE_GRACEFUL);
}

void listen_close_cancels(void **state)
{
    struct world *world = *state;
    struct nr_io *engines[2] = {world->b, world_engine_on_b(world)};
    struct waiter w[2] = {waiter_make(), waiter_make()};
    struct nr_addr address;
    struct nr_listener *listener = world_listen(world, engines, 2, &address);

    for (int i = 0; i < 2; i++)
        nr_listener_accept(listener, engines[i], &w[i].accept);
    nr_listener_close(listener);
    assert_int_equal(w[0].calls + w[1].calls, 0);
    for (int i = 0; i < 2; i++) {
        until(world, &w[i]);
        assert_int_equal(w[i].result, NR_ECANCELED);
        assert_null(w[i].accept.sock);
    }
}

void listen_cancelled_accept(void **state)
{
    struct world *world = *state;
    struct waiter accepted = waiter_make(), connected = waiter_make();
    struct nr_listener *listener = world_listen(world, &world->b, 1, &connected.connect.to);

    nr_listener_accept(listener, world->b, &accepted.accept);
    nr_op_cancel(world->b, &accepted.op);
    nr_sock_connect(world->a, &connected.connect);
    until(world, &connected);
    until(world, &accepted);
    assert_int_equal(accepted.result, NR_ECANCELED);
    settle(world);
    accepted = waiter_make(); /* the connection has waited for the next */
    nr_listener_accept(listener, world->b, &accepted.accept);
    until(world, &accepted);
    assert_int_equal(accepted.result, NR_OK);
    nr_sock_close(accepted.accept.sock, NR_CLOSE_GRACEFUL);
    nr_sock_close(connected.connect.sock, NR_CLOSE_GRACEFUL);
    nr_listener_close(listener);
}

/* Out of descriptors: said once per accept, no spinning, and over when it is over. */
void listen_out_of_files(void **state)
{
    struct world *world = *state;
    struct waiter accepted = waiter_make(), connected = waiter_make();
    struct nr_listener *listener = world_listen(world, &world->b, 1, &connected.connect.to);

    nr_sock_connect(world->a, &connected.connect);
    until(world, &connected);
    world_exhaust_files(world, true);
    nr_listener_accept(listener, world->b, &accepted.accept);
    until(world, &accepted);
    world_exhaust_files(world, false);
    assert_int_equal(accepted.result, NR_EFILES);
    assert_null(accepted.accept.sock);
    accepted = waiter_make();
    nr_listener_accept(listener, world->b, &accepted.accept);
    until(world, &accepted);
    assert_int_equal(accepted.result, NR_OK);
    nr_sock_close(accepted.accept.sock, NR_CLOSE_GRACEFUL);
    nr_sock_close(connected.connect.sock, NR_CLOSE_GRACEFUL);
    nr_listener_close(listener);
}

void listen_address_in_use(void **state)
{
    struct world *world = *state;
    struct nr_listen_conf conf = {.inherited_fd = -1};
    struct nr_listener *first = world_listen(world, &world->b, 1, &conf.address), *second;
    struct nr_err err;

    assert_int_equal(nr_listener_open(&world->b, 1, &conf, &second, &err), NR_EADDRINUSE);
    assert_non_null(strstr(err.text, "address in use"));
    nr_listener_close(first);
}
