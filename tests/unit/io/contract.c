/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of io.h as stories that every back end must live up to. This file has the main
 * program and the helpers; contract_ops.c, contract_sock.c and contract_listen.c the stories. */
#include "contract.h"

enum { STEPS_MAX = 20000, SETTLE_STEPS = 40 };

static void on_done(struct nr_op *op)
{
    struct waiter *w = nr_container_of(op, struct waiter, op);

    assert_true(nr_op_idle(op)); /* io.h, rule 2 */
    w->calls++;
    w->result = op->result;
    if (w->counter != NULL)
        w->place = ++*w->counter;
    if (w->then != NULL)
        w->then(w);
}

struct waiter waiter_make(void)
{
    static const struct nr_op_kind kind = {on_done, "test.waiter"};
    struct waiter w;

    memset(&w, 0, sizeof(w));
    nr_op_init(&w.op, &kind);
    return w;
}

void until(struct world *world, const struct waiter *w)
{
    for (int i = 0; i < STEPS_MAX && w->calls == 0; i++)
        world_step(world);
    assert_int_equal(w->calls, 1);
}

void until_true(struct world *world, const bool *flag)
{
    for (int i = 0; i < STEPS_MAX && !*flag; i++)
        world_step(world);
    assert_true(*flag);
}

void settle(struct world *world)
{
    for (int i = 0; i < SETTLE_STEPS; i++)
        world_step(world);
}

struct pair pair_make(struct world *world)
{
    struct waiter accepted = waiter_make(), connected = waiter_make();
    struct nr_listener *listener;

    listener = world_listen(world, &world->b, 1, &connected.connect.to);
    nr_listener_client_first(listener, world->client_first);
    nr_listener_accept(listener, world->b, &accepted.accept);
    nr_sock_connect(world->a, &connected.connect);
    until(world, &connected);
    if (world->client_first)
        say(connected.connect.sock, "!");
    until(world, &accepted);
    if (world->client_first)
        hear(world, accepted.accept.sock, "!");
    assert_int_equal(connected.result, NR_OK);
    assert_int_equal(accepted.result, NR_OK);
    nr_listener_close(listener);
    return (struct pair){connected.connect.sock, accepted.accept.sock};
}

void pair_close(struct pair *pair)
{
    nr_sock_close(pair->a, NR_CLOSE_GRACEFUL);
    nr_sock_close(pair->b, NR_CLOSE_GRACEFUL);
    *pair = (struct pair){NULL, NULL};
}

void say(struct nr_sock *sock, const char *text)
{
    struct iovec part = {(void *)text, strlen(text)};

    assert_int_equal(nr_sock_write(sock, &part, 1), strlen(text));
}

void hear(struct world *world, struct nr_sock *sock, const char *text)
{
    struct nr_buf_pool *pool = nr_io_bufs(nr_sock_io(sock));
    struct waiter w = waiter_make();

    w.recv.buf = nr_buf_get(pool, 0);
    while (nr_buf_len(w.recv.buf) < strlen(text)) {
        w.calls = 0;
        nr_sock_recv(sock, &w.recv);
        until(world, &w);
        assert_true(w.result > 0);
    }
    assert_int_equal(nr_buf_len(w.recv.buf), strlen(text));
    assert_memory_equal(nr_buf_span(w.recv.buf).ptr, text, strlen(text));
    nr_buf_put(pool, w.recv.buf);
}

int32_t recv_once(struct world *world, struct nr_sock *sock)
{
    struct nr_buf_pool *pool = nr_io_bufs(nr_sock_io(sock));
    struct waiter w = waiter_make();

    nr_sock_recv(sock, &w.recv);
    until(world, &w);
    assert_int_equal(w.recv.buf != NULL, w.result > 0);
    nr_buf_put(pool, w.recv.buf);
    return w.result;
}

int world_setup(void **state)
{
    *state = world_new();
    return 0;
}

/* Whatever a story left outstanding fails here. */
int world_teardown(void **state)
{
    world_free(*state);
    return 0;
}

#define STORY(function) cmocka_unit_test_setup_teardown(function, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(ops_submit_never_calls_back),
        STORY(ops_cancel_calls_back_once_later),
        STORY(ops_cancel_of_ready_keeps_its_result),
        STORY(ops_cancel_of_idle_is_nothing),
        STORY(ops_drain_in_order),
        STORY(ops_post_keeps_order),
        STORY(ops_timers_fire_in_order),
        STORY(ops_timer_moves),
        STORY(ops_timer_disarmed_in_its_turn),
        STORY(ops_many_timers),
        STORY(ops_resolve),
        STORY(ops_work),
        STORY(sock_recv_lends_only_with_data),
        STORY(sock_recv_appends),
        STORY(sock_recv_large),
        STORY(sock_fin_and_reset),
        STORY(sock_half_close),
        STORY(sock_close_cancels),
        STORY(sock_write_until_full),
        STORY(sock_watch_behind_unread_data),
        STORY(sock_watch_sees_reset),
        STORY(sock_connect_refused),
        STORY(sock_connect_cancelled),
        STORY(sock_addresses),
        STORY(sock_busy_one_starves_nobody),
        STORY(listen_waits_in_the_backlog),
        STORY(listen_shares_evenly),
        STORY(listen_close_cancels),
        STORY(listen_cancelled_accept),
        STORY(listen_out_of_files),
        STORY(listen_address_in_use),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
