/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of operations, timers, names and work. */
#include <stdlib.h>

#include "contract.h"

static const uint64_t ms_ns = 1000 * 1000;

/* Rule 1: everything here could complete at once, and nothing does. */
void ops_submit_never_calls_back(void **state)
{
    struct world *world = *state;
    struct pair pair = pair_make(world);
    struct waiter deferred = waiter_make(), timer = waiter_make(), writable = waiter_make(),
                  received = waiter_make(), resolved = waiter_make(), work = waiter_make();

    say(pair.a, "x");
    settle(world);
    nr_io_defer(world->b, &deferred.op);
    nr_timer_arm(world->b, &timer.timer, 0);
    nr_sock_when_writable(pair.b, &writable.op);
    nr_sock_recv(pair.b, &received.recv);
    resolved.resolve.name = "127.0.0.1";
    nr_io_resolve(world->b, &resolved.resolve);
    nr_op_cancel(world->b, &resolved.op);
    assert_int_equal(deferred.calls + timer.calls + writable.calls + received.calls +
                         resolved.calls + work.calls,
                     0);
    settle(world);
    assert_int_equal(deferred.calls, 1);
    assert_int_equal(timer.calls, 1);
    assert_int_equal(writable.calls, 1);
    assert_int_equal(resolved.calls, 1);
    until(world, &received);
    nr_buf_put(nr_io_bufs(world->b), received.recv.buf);
    pair_close(&pair);
}

void ops_cancel_calls_back_once_later(void **state)
{
    struct world *world = *state;
    struct pair pair = pair_make(world);
    struct waiter received = waiter_make(), watched = waiter_make();

    nr_sock_recv(pair.b, &received.recv);
    nr_sock_watch_close(pair.b, &watched.op);
    nr_op_cancel(world->b, &received.op);
    nr_op_cancel(world->b, &received.op); /* twice is once */
    nr_op_cancel(world->b, &watched.op);
    assert_int_equal(received.calls + watched.calls, 0);
    say(pair.a, "too late");
    settle(world);
    assert_int_equal(received.calls, 1);
    assert_int_equal(received.result, NR_ECANCELED);
    assert_null(received.recv.buf);
    assert_int_equal(watched.calls, 1);
    assert_int_equal(watched.result, NR_ECANCELED);
    hear(world, pair.b, "too late"); /* a cancelled recv has eaten nothing */
    pair_close(&pair);
}

void ops_cancel_of_ready_keeps_its_result(void **state)
{
    struct world *world = *state;
    struct waiter deferred = waiter_make();

    nr_io_defer(world->a, &deferred.op);
    nr_op_cancel(world->a, &deferred.op);
    until(world, &deferred);
    assert_int_equal(deferred.result, NR_OK);
}

void ops_cancel_of_idle_is_nothing(void **state)
{
    struct world *world = *state;
    struct waiter w = waiter_make();

    nr_op_cancel(world->a, &w.op);
    settle(world);
    assert_int_equal(w.calls, 0);
}

static void defer_again(struct waiter *w)
{
    if (w->calls == 1)
        nr_io_defer(w->ctx, &w->op);
}

/* Rule 3; what is submitted in a callback goes behind what was there before. */
void ops_drain_in_order(void **state)
{
    struct world *world = *state;
    struct waiter w[5];
    int counter = 0;

    for (int i = 0; i < 5; i++) {
        w[i] = waiter_make();
        w[i].counter = &counter;
    }
    w[0].then = defer_again;
    w[0].ctx = world->a;
    for (int i = 0; i < 5; i++)
        nr_io_defer(world->a, &w[i].op);
    settle(world);
    for (int i = 1; i < 5; i++)
        assert_int_equal(w[i].place, i + 1);
    assert_int_equal(w[0].calls, 2);
    assert_int_equal(w[0].place, 6);
}

void ops_post_keeps_order(void **state)
{
    enum { COUNT = 100 };
    struct world *world = *state;
    struct waiter *w = calloc(COUNT, sizeof(*w));
    int counter = 0;

    for (int i = 0; i < COUNT; i++) {
        w[i] = waiter_make();
        w[i].counter = &counter;
        nr_io_post(i % 2 == 0 ? world->b : world->a, &w[i].op);
    }
    assert_int_equal(counter, 0);
    settle(world);
    until(world, &w[COUNT - 1]);
    until(world, &w[COUNT - 2]);
    for (int i = 2; i < COUNT; i++)
        assert_true(w[i].place > w[i - 2].place);
    free(w);
}

void ops_timers_fire_in_order(void **state)
{
    static const struct {
        uint64_t after_us;
        int place;
    } cases[] = {
        {5000, 4}, {3000, 2}, {3000, 3}, {70000, 6}, {1001, 1}, {69999, 5},
    };
    struct world *world = *state;
    struct waiter w[NR_COUNT(cases)];
    uint64_t start_ns = nr_io_now_ns(world->a);
    int counter = 0;

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        w[i] = waiter_make();
        w[i].counter = &counter;
        nr_timer_arm(world->a, &w[i].timer, start_ns + cases[i].after_us * 1000);
    }
    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        until(world, &w[i]);
        assert_int_equal(w[i].place, cases[i].place);
    }
    assert_true(nr_io_now_ns(world->a) >= start_ns + 70 * ms_ns);
    assert_true(nr_io_wall_ns(world->a) > 1577836800u * 1000000000ull); /* 2020 */
}

void ops_timer_moves(void **state)
{
    struct world *world = *state;
    struct waiter moved = waiter_make(), mark = waiter_make();
    uint64_t now_ns = nr_io_now_ns(world->a);
    int counter = 0;

    moved.counter = &counter;
    mark.counter = &counter;
    nr_timer_arm(world->a, &moved.timer, now_ns + 1 * ms_ns);
    nr_timer_arm(world->a, &mark.timer, now_ns + 20 * ms_ns);
    nr_timer_arm(world->a, &moved.timer, now_ns + 40 * ms_ns);
    assert_true(nr_timer_armed(&moved.timer));
    until(world, &moved);
    assert_int_equal(mark.place, 1);
    assert_int_equal(moved.place, 2);
    nr_timer_disarm(world->a, &moved.timer); /* idle: nothing */
    assert_false(nr_timer_armed(&moved.timer));
}

static void disarm_other(struct waiter *w)
{
    struct waiter *other = w->ctx;

    nr_timer_disarm((struct nr_io *)other->ctx, &other->timer);
}

/* Both are due at the same instant; the first takes the second back. */
void ops_timer_disarmed_in_its_turn(void **state)
{
    struct world *world = *state;
    struct waiter first = waiter_make(), second = waiter_make();
    uint64_t at_ns = nr_io_now_ns(world->a) + 2 * ms_ns;

    first.then = disarm_other;
    first.ctx = &second;
    second.ctx = world->a;
    nr_timer_arm(world->a, &first.timer, at_ns);
    nr_timer_arm(world->a, &second.timer, at_ns);
    until(world, &first);
    settle(world);
    assert_int_equal(second.calls, 0);
    assert_int_equal(nr_io_outstanding(world->a), 0);
}

void ops_many_timers(void **state)
{
    enum { COUNT = 100 * 1000 };
    struct world *world = *state;
    struct waiter *w = calloc(COUNT, sizeof(*w));
    uint64_t now_ns = nr_io_now_ns(world->a);

    for (uint64_t i = 0; i < COUNT; i++) {
        w[i] = waiter_make();
        nr_timer_arm(world->a, &w[i].timer, now_ns + 3600u * 1000 * ms_ns + i * 1000);
    }
    nr_timer_arm(world->a, &w[COUNT / 2].timer, now_ns + ms_ns);
    assert_int_equal(nr_io_outstanding(world->a), COUNT);
    until(world, &w[COUNT / 2]);
    for (int i = 0; i < COUNT; i++)
        nr_timer_disarm(world->a, &w[i].timer);
    assert_int_equal(nr_io_outstanding(world->a), 0);
    free(w);
}

static void resolve(struct world *world, const char *name, struct waiter *w)
{
    *w = waiter_make();
    w->resolve.name = name;
    w->resolve.port = 8080;
    nr_io_resolve(world->a, &w->resolve);
    until(world, w);
}

void ops_resolve(void **state)
{
    struct world *world = *state;
    struct waiter w;
    char text[NR_ADDR_TEXT_BYTES];

    resolve(world, "10.1.2.3", &w);
    assert_int_equal(w.result, NR_OK);
    assert_int_equal(w.resolve.count, 1);
    nr_addr_format(&w.resolve.addrs[0], text, sizeof(text));
    assert_string_equal(text, "10.1.2.3:8080");
    resolve(world, world->name_bad, &w);
    assert_int_equal(w.result, NR_ENAME);
    if (world->name_b == NULL)
        return;
    resolve(world, world->name_b, &w);
    assert_int_equal(w.result, NR_OK);
    assert_true(w.resolve.count >= 1);
    assert_int_equal(w.resolve.addrs[0].port, 8080);
}

struct job {
    struct waiter waiter; /* first: work.run gets its nr_work */
    int ran;
};

static void run_job(struct nr_work *work)
{
    struct waiter *w = nr_container_of(work, struct waiter, work);

    nr_container_of(w, struct job, waiter)->ran++;
}

void ops_work(void **state)
{
    enum { COUNT = 50 };
    struct world *world = *state;
    struct job *jobs = calloc(COUNT, sizeof(*jobs));

    for (int i = 0; i < COUNT; i++) {
        jobs[i].waiter = waiter_make();
        jobs[i].waiter.work.run = run_job;
        nr_io_work(world->a, &jobs[i].waiter.work);
        assert_int_equal(jobs[i].waiter.calls, 0);
        if (i % 3 == 0)
            nr_op_cancel(world->a, &jobs[i].waiter.op);
    }
    for (int i = 0; i < COUNT; i++) {
        until(world, &jobs[i].waiter);
        if (i % 3 == 0)
            assert_true(jobs[i].waiter.result == NR_OK || jobs[i].waiter.result == NR_ECANCELED);
        else
            assert_int_equal(jobs[i].waiter.result, NR_OK);
        if (jobs[i].waiter.result == NR_OK)
            assert_int_equal(jobs[i].ran, 1);
    }
    settle(world);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(jobs[i].waiter.calls, 1);
    free(jobs);
}
