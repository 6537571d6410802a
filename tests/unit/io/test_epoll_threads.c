/* SPDX-License-Identifier: Apache-2.0 */
/* Engines on threads of their own: what one thread cannot show. Meant for TSan too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "io/epoll.h"

static const uint64_t ms_ns = 1000 * 1000;

static struct nr_io *engine_new(const struct nr_epoll_conf *conf)
{
    static const struct nr_epoll_conf plain = {.work_threads = 2};
    struct nr_io *io;

    assert_int_equal(nr_io_new_epoll(conf != NULL ? conf : &plain, &io, NULL), NR_OK);
    return io;
}

static void run_engine(void *ctx)
{
    nr_io_run(ctx);
}

static struct nr_thread *thread_start(void (*run)(void *ctx), void *ctx)
{
    struct nr_thread *thread;

    assert_int_equal(nr_thread_start("test", run, ctx, &thread, NULL), NR_OK);
    return thread;
}

static void sleep_us(long us)
{
    const struct timespec t = {.tv_nsec = us * 1000};

    nanosleep(&t, NULL);
}

/* ---- posts ---- */

enum { POSTERS = 4, POSTS = 5000 };

struct inbox {
    struct nr_io *io;
    uint32_t next[POSTERS]; /* which post of each thread must come next */
    uint32_t received;
    bool in_order;
};

struct letter {
    struct nr_op op;
    struct inbox *inbox;
    uint32_t from, number;
};

struct poster {
    struct inbox *inbox;
    struct letter *letters;
};

static void on_letter(struct nr_op *op)
{
    struct letter *letter = nr_container_of(op, struct letter, op);
    struct inbox *inbox = letter->inbox;

    inbox->in_order &= letter->number == inbox->next[letter->from]++;
    if (++inbox->received == POSTERS * POSTS)
        nr_io_stop(inbox->io);
}

static const struct nr_op_kind letter_kind = {on_letter, "test.letter"};

static void post_all(void *ctx)
{
    struct poster *poster = ctx;

    for (int i = 0; i < POSTS; i++) {
        nr_io_post(poster->inbox->io, &poster->letters[i].op);
        if (i % 97 == 0)
            sleep_us(50); /* let the engine fall asleep between */
    }
}

static void posts_of_each_thread_keep_their_order(void **state)
{
    struct inbox inbox = {.io = engine_new(NULL), .in_order = true};
    struct poster posters[POSTERS];
    struct nr_thread *threads[POSTERS];

    for (uint32_t p = 0; p < POSTERS; p++) {
        posters[p] = (struct poster){&inbox, calloc(POSTS, sizeof(struct letter))};
        for (uint32_t i = 0; i < POSTS; i++) {
            posters[p].letters[i] = (struct letter){.inbox = &inbox, .from = p, .number = i};
            nr_op_init(&posters[p].letters[i].op, &letter_kind);
        }
    }
    for (int p = 0; p < POSTERS; p++)
        threads[p] = thread_start(post_all, &posters[p]);
    nr_io_run(inbox.io);
    for (int p = 0; p < POSTERS; p++) {
        nr_thread_join(threads[p]);
        free(posters[p].letters);
    }
    assert_true(inbox.in_order);
    assert_int_equal(inbox.received, POSTERS * POSTS);
    nr_io_free(inbox.io);
}

/* ---- waking: each rally is lost for ever if one wake-up is ---- */

enum { RALLIES = 20000 };

struct ball {
    struct nr_op op;
    struct nr_io *side[2];
    int hits;
};

static void on_ball(struct nr_op *op)
{
    struct ball *ball = nr_container_of(op, struct ball, op);

    if (++ball->hits == RALLIES) {
        nr_io_stop(ball->side[0]);
        nr_io_stop(ball->side[1]);
        return;
    }
    nr_io_post(ball->side[ball->hits % 2], op);
}

static const struct nr_op_kind ball_kind = {on_ball, "test.ball"};

static void a_sleeping_engine_wakes_for_every_post(void **state)
{
    struct ball ball = {.side = {engine_new(NULL), engine_new(NULL)}};
    struct nr_thread *threads[2];

    nr_op_init(&ball.op, &ball_kind);
    for (int i = 0; i < 2; i++)
        threads[i] = thread_start(run_engine, ball.side[i]);
    nr_io_post(ball.side[0], &ball.op);
    for (int i = 0; i < 2; i++)
        nr_thread_join(threads[i]);
    assert_int_equal(ball.hits, RALLIES);
    for (int i = 0; i < 2; i++)
        nr_io_free(ball.side[i]);
}

/* ---- one listener, several engines ---- */

enum { SERVERS = 3, CLIENTS = 240 };

struct server {
    struct nr_op close; /* posted: close the listener */
    struct nr_op leave; /* posted: close all sockets and stop */
    struct nr_io *io;
    struct nr_listener *listener;
    struct nr_accept accept;
    struct nr_sock *socks[CLIENTS];
    uint32_t count;
    _Atomic uint32_t accepted; /* the same for the eyes of others */
    _Atomic bool listens_no_more;
};

static void on_accept(struct nr_op *op)
{
    struct server *s = nr_container_of(op, struct server, accept.op);

    if (op->result != NR_OK) { /* the listener was closed */
        atomic_store(&s->listens_no_more, true);
        return;
    }
    s->socks[s->count++] = s->accept.sock;
    atomic_store(&s->accepted, s->count);
    nr_listener_accept(s->listener, s->io, &s->accept);
}

static void on_leave(struct nr_op *op)
{
    struct server *s = nr_container_of(op, struct server, leave);

    for (uint32_t i = 0; i < s->count; i++)
        nr_sock_close(s->socks[i], NR_CLOSE_GRACEFUL);
    nr_io_stop(s->io);
}

static void on_close_listener(struct nr_op *op)
{
    struct server *s = nr_container_of(op, struct server, close);

    nr_listener_close(s->listener);
}

static const struct nr_op_kind accept_kind = {on_accept, "test.accept"};
static const struct nr_op_kind leave_kind = {on_leave, "test.leave"};
static const struct nr_op_kind close_kind = {on_close_listener, "test.close_listener"};

struct client {
    struct nr_connect connect;
    struct nr_recv recv;
    struct clients *all;
};

struct clients {
    struct nr_io *io;
    struct nr_listener *listener;
    struct server *servers;
    struct client client[CLIENTS];
    int closed;
};

static void on_client_end(struct nr_op *op)
{
    struct client *c = nr_container_of(op, struct client, recv.op);

    assert_true(op->result == 0 || op->result == NR_ERESET);
    nr_sock_close(c->connect.sock, NR_CLOSE_GRACEFUL);
    if (++c->all->closed == CLIENTS)
        nr_io_stop(c->all->io);
}

static void on_client_open(struct nr_op *op)
{
    static const struct nr_op_kind end_kind = {on_client_end, "test.client_end"};
    struct client *c = nr_container_of(op, struct client, connect.op);

    assert_int_equal(op->result, NR_OK);
    c->recv.buf = NULL;
    nr_op_init(&c->recv.op, &end_kind);
    nr_sock_recv(c->connect.sock, &c->recv);
}

static const struct nr_op_kind client_kind = {on_client_open, "test.client"};

struct ticker {
    struct nr_timer timer;
    struct clients *all;
    bool closing;
};

/* When all are in: the first server closes the listener; when all have heard of it, they leave. Not
 * earlier: a connection may be counted for a server and still be on its way to it. */
static void on_tick(struct nr_op *op)
{
    struct ticker *t = nr_container_of(op, struct ticker, timer.op);
    struct clients *all = t->all;
    uint32_t accepted = 0, closed = 0;

    for (int i = 0; i < SERVERS; i++) {
        accepted += atomic_load(&all->servers[i].accepted);
        closed += atomic_load(&all->servers[i].listens_no_more);
    }
    if (accepted == CLIENTS && !t->closing) {
        t->closing = true;
        nr_io_post(all->servers[0].io, &all->servers[0].close);
    }
    if (closed < SERVERS) {
        nr_timer_arm(all->io, &t->timer, nr_io_now_ns(all->io) + ms_ns);
        return;
    }
    for (int i = 0; i < SERVERS; i++)
        nr_io_post(all->servers[i].io, &all->servers[i].leave);
}

static const struct nr_op_kind tick_kind = {on_tick, "test.tick"};

static void connections_go_to_the_least_loaded_engine(void **state)
{
    struct nr_listen_conf conf = {.inherited_fd = -1};
    struct server *servers = calloc(SERVERS, sizeof(*servers));
    struct clients *all = calloc(1, sizeof(*all));
    struct ticker ticker = {.all = all};
    struct nr_io *engines[SERVERS];
    struct nr_thread *threads[SERVERS];

    for (int i = 0; i < SERVERS; i++)
        engines[i] = servers[i].io = engine_new(NULL);
    assert_int_equal(nr_addr_parse("127.0.0.1:0", &conf.address, NULL), NR_OK);
    assert_int_equal(nr_listener_open(engines, SERVERS, &conf, &all->listener, NULL), NR_OK);
    for (int i = 0; i < SERVERS; i++) {
        servers[i].listener = all->listener;
        nr_op_init(&servers[i].close, &close_kind);
        nr_op_init(&servers[i].leave, &leave_kind);
        nr_op_init(&servers[i].accept.op, &accept_kind);
        nr_listener_accept(all->listener, servers[i].io, &servers[i].accept);
        threads[i] = thread_start(run_engine, servers[i].io);
    }
    all->io = engine_new(NULL);
    all->servers = servers;
    for (int i = 0; i < CLIENTS; i++) {
        struct client *c = &all->client[i];

        c->all = all;
        nr_op_init(&c->connect.op, &client_kind);
        c->connect.to = nr_listener_address(all->listener);
        nr_sock_connect(all->io, &c->connect);
    }
    nr_timer_init(&ticker.timer, &tick_kind);
    nr_timer_arm(all->io, &ticker.timer, 0);
    nr_io_run(all->io);
    for (int i = 0; i < SERVERS; i++)
        nr_thread_join(threads[i]);
    for (int i = 0; i < SERVERS; i++) {
        /* An even share is 80; who has just been given one does not wait for a moment. */
        assert_in_range(servers[i].count, CLIENTS / SERVERS - 30, CLIENTS / SERVERS + 30);
        nr_io_free(servers[i].io);
    }
    nr_io_free(all->io);
    free(all);
    free(servers);
}

/* ---- blocking work ---- */

struct nap {
    struct nr_work work;
    _Atomic bool *go;
    _Atomic int *started;
    int *left;
    struct nr_io *io;
};

static void take_nap(struct nr_work *work)
{
    struct nap *nap = nr_container_of(work, struct nap, work);

    atomic_fetch_add(nap->started, 1);
    while (!atomic_load(nap->go))
        sleep_us(100);
}

static void on_nap(struct nr_op *op)
{
    struct nap *nap = nr_container_of(op, struct nap, work.op);

    if (--*nap->left == 0)
        nr_io_stop(nap->io);
}

static const struct nr_op_kind nap_kind = {on_nap, "test.nap"};

struct starter {
    struct nr_timer timer;
    _Atomic bool *go;
};

static void on_start(struct nr_op *op)
{
    atomic_store(nr_container_of(op, struct starter, timer.op)->go, true);
}

/* Two threads are stuck; the third job waits and can be taken back, the running ones cannot: their
 * callback comes when they have finished. The queue is bounded. */
static void work_that_blocks(void **state)
{
    enum { JOBS = 1200 };
    static const struct nr_op_kind start_kind = {on_start, "test.start"};
    struct nr_io *io = engine_new(NULL);
    struct nap *naps = calloc(JOBS, sizeof(*naps));
    _Atomic bool go = false;
    _Atomic int started = 0;
    struct starter starter = {.go = &go};
    int left = JOBS, refused = 0;

    for (int i = 0; i < JOBS; i++) {
        naps[i] = (struct nap){.go = &go, .started = &started, .left = &left, .io = io};
        naps[i].work.run = take_nap;
        nr_op_init(&naps[i].work.op, &nap_kind);
        nr_io_work(io, &naps[i].work);
        while (i == 1 && atomic_load(&started) < 2)
            sleep_us(100);
    }
    for (int i = 0; i < 3; i++)
        nr_op_cancel(io, &naps[i].work.op);
    assert_int_equal(naps[0].work.op.state, NR_OP_PENDING);
    assert_int_equal(naps[2].work.op.state, NR_OP_READY);
    nr_timer_init(&starter.timer, &start_kind);
    nr_timer_arm(io, &starter.timer, nr_io_now_ns(io) + 5 * ms_ns);
    nr_io_run(io);
    assert_int_equal(naps[0].work.op.result, NR_ECANCELED);
    assert_int_equal(naps[2].work.op.result, NR_ECANCELED);
    assert_int_equal(naps[3].work.op.result, NR_OK);
    for (int i = 0; i < JOBS; i++)
        refused += naps[i].work.op.result == NR_ELIMIT;
    assert_in_range(refused, JOBS - 1024 - 3, JOBS - 1024);
    nr_io_free(io);
    free(naps);
}

/* ---- the watchdog ---- */

struct report {
    _Atomic int count;
    _Atomic uint64_t held_ns;
};

/* On a busy machine any operation may be held up, so only the hog counts. */
static void on_stall(void *ctx, const char *op_name, uint64_t held_ns)
{
    struct report *report = ctx;

    if (strcmp(op_name, "test.hog") != 0)
        return;
    atomic_fetch_add(&report->count, 1);
    atomic_store(&report->held_ns, held_ns);
}

static void on_hog(struct nr_op *op)
{
    sleep_us(120000);
}

struct stopper {
    struct nr_timer timer;
    struct nr_io *io;
};

static void on_stopper(struct nr_op *op)
{
    nr_io_stop(nr_container_of(op, struct stopper, timer.op)->io);
}

static void the_watchdog_names_who_holds_the_loop_once(void **state)
{
    static const struct nr_op_kind hog_kind = {on_hog, "test.hog"};
    static const struct nr_op_kind stop_kind = {on_stopper, "test.stop"};
    struct report report = {.count = 0};
    struct nr_epoll_conf conf = {
        .watchdog_ns = 20 * ms_ns, .stalled = on_stall, .stalled_ctx = &report};
    struct nr_io *io = engine_new(&conf);
    struct nr_op hog;
    struct stopper stopper = {.io = io};

    nr_op_init(&hog, &hog_kind);
    nr_io_defer(io, &hog);
    nr_timer_init(&stopper.timer, &stop_kind);
    nr_timer_arm(io, &stopper.timer, nr_io_now_ns(io) + 200 * ms_ns); /* idle is no stall */
    nr_io_run(io);
    assert_int_equal(atomic_load(&report.count), 1);
    assert_true(atomic_load(&report.held_ns) >= 20 * ms_ns);
    nr_io_free(io);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(posts_of_each_thread_keep_their_order),
        cmocka_unit_test(a_sleeping_engine_wakes_for_every_post),
        cmocka_unit_test(connections_go_to_the_least_loaded_engine),
        cmocka_unit_test(work_that_blocks),
        cmocka_unit_test(the_watchdog_names_who_holds_the_loop_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
