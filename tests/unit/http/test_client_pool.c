/* SPDX-License-Identifier: Apache-2.0 */
/* The pool of a client: who waits for whom, what is kept and for how long. Over the simulator,
 * against an upstream that answers when it is told to. */
#include <stdio.h>

#include "http/client.h"
#include "wire.h"

enum { MS = 1000000, FARS_MAX = 64, ASKS_MAX = 64 };

/* One accepted connection, on the upstream's side. */
struct far {
    struct nr_io *io;
    struct nr_sock *sock;
    struct nr_recv recv;
    uint32_t requests;
    bool fin;
};

struct ask {
    struct nr_exchange *x;
    uint16_t status;
    bool over;
    bool reused;
    enum nr_end end;
    uint64_t waited_ns;
    uint64_t over_ns;
};

struct stage {
    struct nr_sim *sim;
    struct nr_client_conf conf;
    struct nr_client *client;
    struct nr_client_counts counts;
    struct nr_io *io, *far_io;
    struct nr_listener *listener;
    struct nr_accept accept;
    struct far fars[FARS_MAX];
    uint32_t far_count;
    struct ask asks[ASKS_MAX];
    uint32_t ask_count;
    struct nr_arena arena;
};

/* ---- the upstream ---- */

static void far_read(struct far *far)
{
    far->recv.buf = NULL;
    far->recv.want = 0;
    nr_sock_recv(far->sock, &far->recv);
}

static void far_on_recv(struct nr_op *op)
{
    struct far *far = nr_container_of(op, struct far, recv.op);

    if (op->result == NR_ECANCELED)
        return;
    far->fin = op->result <= 0;
    if (op->result <= 0)
        return;
    far->requests++;
    nr_buf_put(nr_io_bufs(far->io), far->recv.buf);
    far_read(far);
}

static const struct nr_op_kind far_recv_kind = {far_on_recv, "far.recv"};

static void far_on_accept(struct nr_op *op)
{
    struct stage *stage = nr_container_of(op, struct stage, accept.op);
    struct far *far = &stage->fars[stage->far_count++];

    if (op->result != NR_OK)
        return;
    assert_true(stage->far_count < FARS_MAX);
    far->io = stage->far_io;
    far->sock = stage->accept.sock;
    nr_op_init(&far->recv.op, &far_recv_kind);
    far_read(far);
    nr_listener_accept(stage->listener, stage->far_io, &stage->accept);
}

static const struct nr_op_kind far_accept_kind = {far_on_accept, "far.accept"};

static void far_send(struct stage *stage, uint32_t number, const char *text)
{
    struct iovec part = {(void *)(uintptr_t)text, strlen(text)};

    assert_int_equal(nr_sock_write(stage->fars[number].sock, &part, 1), (int64_t)part.iov_len);
}

#define OK       "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define OK_CLOSE "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

/* ---- who asks ---- */

static void on_head(struct nr_exchange *x, struct nr_head *head, bool ended)
{
    ((struct ask *)x->owner)->status = head->status;
}

static void on_body(struct nr_exchange *x, bool ended)
{
}

static void on_trailers(struct nr_exchange *x, struct nr_head *trailers)
{
}

static void on_writable(struct nr_exchange *x)
{
}

static struct stage *the_stage; /* for the time */

static void on_end(struct nr_exchange *x, enum nr_end end)
{
    struct ask *ask = x->owner;

    ask->over = true;
    ask->end = end;
    ask->reused = x->reused;
    ask->waited_ns = x->times.waited_ns;
    ask->over_ns = nr_sim_now_ns(the_stage->sim);
}

static const struct nr_exchange_events events = {on_head, on_body, on_trailers, on_writable,
                                                 on_end};

static struct ask *ask_as(struct stage *stage, bool fresh)
{
    struct ask *ask = &stage->asks[stage->ask_count++];
    struct nr_head head;

    assert_true(stage->ask_count <= ASKS_MAX);
    ask->x = nr_client_open(stage->client, &stage->arena, &events, ask, fresh);
    nr_head_init_request(&head, &stage->arena, NR_SPAN("GET"), NR_SPAN("up"), NR_SPAN("/"));
    nr_exchange_send_head(ask->x, &head, true);
    return ask;
}

static struct ask *ask(struct stage *stage)
{
    return ask_as(stage, false);
}

static void stage_open(struct stage *stage)
{
    struct nr_sim_conf sim = {.seed = 7,
                              .link = {.latency_min_ns = 100000, .latency_max_ns = 200000}};
    struct nr_listen_conf listen = {.inherited_fd = -1};
    struct nr_addr address;

    the_stage = stage;
    memset(stage, 0, sizeof(*stage));
    stage->conf = nr_client_conf_default;
    stage->conf.connections_max = 2;
    stage->conf.waiting_max = 3;
    stage->sim = nr_sim_new(&sim);
    stage->io = nr_sim_engine(stage->sim, "10.0.0.1");
    stage->far_io = nr_sim_engine(stage->sim, "10.0.0.2");
    nr_arena_init(&stage->arena, NULL, 0);
    nr_op_init(&stage->accept.op, &far_accept_kind);
    assert_int_equal(nr_addr_parse("10.0.0.2:80", &listen.address, NULL), NR_OK);
    assert_int_equal(nr_listener_open(&stage->far_io, 1, &listen, &stage->listener, NULL), NR_OK);
    nr_listener_accept(stage->listener, stage->far_io, &stage->accept);
    address = nr_listener_address(stage->listener);
    stage->client = nr_client_new(stage->io, &address, &stage->conf);
    nr_client_count_into(stage->client, &stage->counts);
}

static void turn(struct stage *stage, uint64_t ms)
{
    nr_sim_run(stage->sim, nr_sim_now_ns(stage->sim) + ms * MS);
}

static void stage_close(struct stage *stage)
{
    for (uint32_t i = 0; i < stage->ask_count; i++)
        if (!stage->asks[i].over)
            nr_exchange_reset(stage->asks[i].x);
    nr_client_close(stage->client);
    assert_int_equal(stage->counts.open, 0);
    assert_int_equal(stage->counts.idle, 0);
    assert_int_equal(stage->counts.waiting, 0);
    nr_listener_close(stage->listener);
    for (uint32_t i = 0; i < FARS_MAX; i++)
        if (stage->fars[i].sock != NULL)
            nr_sock_close(stage->fars[i].sock, NR_CLOSE_RESET);
    while (nr_sim_step(stage->sim))
        ;
    for (uint32_t i = 0; i < stage->ask_count; i++)
        assert_true(stage->asks[i].over);
    nr_arena_done(&stage->arena);
    nr_sim_free(stage->sim);
}

/* ---- in line ---- */

static void who_waits_gets_the_connection_that_comes_free(void **state)
{
    struct ask *a, *b, *c, *d;
    struct stage s;

    stage_open(&s);
    a = ask(&s);
    b = ask(&s);
    c = ask(&s);
    d = ask(&s);
    turn(&s, 10);
    assert_int_equal(s.far_count, 2);
    assert_int_equal(s.counts.open, 2);
    assert_int_equal(s.counts.waiting, 2);
    far_send(&s, 1, OK);
    turn(&s, 10);
    assert_int_equal(b->end, NR_END_DONE);
    assert_int_equal(s.fars[1].requests, 2); /* c's, over the same one */
    far_send(&s, 1, OK);
    turn(&s, 10);
    assert_true(c->over && c->reused && c->status == 200);
    assert_in_range(c->waited_ns, 10 * MS, 11 * MS);
    far_send(&s, 1, OK);
    turn(&s, 1);
    assert_true(d->over && !a->over); /* in their order */
    far_send(&s, 0, OK);
    turn(&s, 1);
    assert_int_equal(a->waited_ns, 0);
    assert_int_equal(s.far_count, 2);
    assert_int_equal(s.counts.waits, 2);
    assert_int_equal(s.counts.exhausted, 0);
    assert_int_equal(s.counts.idle, 2);
    stage_close(&s);
}

static void or_a_new_one_in_the_place_of_one_that_is_gone(void **state)
{
    struct ask *b, *c;
    struct stage s;

    stage_open(&s);
    ask(&s);
    b = ask(&s);
    c = ask(&s);
    turn(&s, 5);
    far_send(&s, 0, OK_CLOSE);
    turn(&s, 5);
    assert_int_equal(s.far_count, 3);
    assert_int_equal(s.fars[2].requests, 1);
    assert_int_equal(s.counts.open, 2);
    far_send(&s, 2, OK);
    turn(&s, 5);
    assert_true(c->over && !c->reused && c->status == 200 && !b->over);
    stage_close(&s);
}

static void nobody_waits_longer_than_for_a_connect(void **state)
{
    struct ask *c;
    struct stage s;

    stage_open(&s);
    ask(&s);
    ask(&s);
    turn(&s, 100);
    c = ask(&s);
    turn(&s, 990);
    assert_false(c->over);
    turn(&s, 20);
    assert_int_equal(c->end, NR_END_POOL_EXHAUSTED);
    assert_false(nr_end_may_have_processed(c->end));
    assert_in_range(c->waited_ns, 1000 * (uint64_t)MS, 1010 * (uint64_t)MS);
    assert_int_equal(s.counts.exhausted, 1);
    assert_int_equal(s.counts.waiting, 0);
    stage_close(&s);
}

static void the_line_is_bounded(void **state)
{
    struct ask *last;
    struct stage s;

    stage_open(&s);
    for (int i = 0; i < 5; i++)
        ask(&s);
    last = ask(&s);
    assert_false(last->over); /* never from inside a verb */
    turn(&s, 0);
    assert_int_equal(last->end, NR_END_POOL_EXHAUSTED);
    assert_int_equal(s.counts.waiting, 3);
    stage_close(&s);
}

static void who_leaves_the_line_is_not_served(void **state)
{
    struct ask *c, *d;
    struct stage s;

    stage_open(&s);
    ask(&s);
    ask(&s);
    c = ask(&s);
    d = ask(&s);
    turn(&s, 5);
    nr_exchange_reset(c->x);
    turn(&s, 5);
    assert_int_equal(c->end, NR_END_RESET);
    far_send(&s, 0, OK);
    turn(&s, 5);
    far_send(&s, 0, OK);
    turn(&s, 5);
    assert_int_equal(d->end, NR_END_DONE);
    assert_int_equal(s.fars[0].requests, 2);
    stage_close(&s);
}

/* Two idle ones, and somebody who trusts neither. */
static void a_fresh_one_takes_the_place_of_an_idle_one(void **state)
{
    struct ask *c;
    struct stage s;

    stage_open(&s);
    ask(&s);
    ask(&s);
    turn(&s, 5);
    far_send(&s, 0, OK);
    turn(&s, 5);
    far_send(&s, 1, OK);
    turn(&s, 5);
    c = ask_as(&s, true);
    turn(&s, 5);
    assert_true(s.fars[0].fin && !s.fars[1].fin); /* the one idle longest */
    assert_int_equal(s.far_count, 3);
    far_send(&s, 2, OK);
    turn(&s, 5);
    assert_true(c->over && !c->reused);
    assert_int_equal(s.counts.open, 2);
    stage_close(&s);
}

/* Its instance has left the set: those in line are still served. */
static void a_closing_client_serves_who_is_in_line(void **state)
{
    struct ask *c;
    struct stage s;

    stage_open(&s);
    ask(&s);
    ask(&s);
    c = ask(&s);
    turn(&s, 5);
    nr_client_close(s.client);
    far_send(&s, 0, OK);
    turn(&s, 5);
    far_send(&s, 0, OK);
    far_send(&s, 1, OK);
    turn(&s, 5);
    assert_int_equal(c->end, NR_END_DONE);
    assert_true(s.fars[0].fin && s.fars[1].fin);
    assert_int_equal(s.counts.open, 0);
    s.client = NULL; /* freed by its last exchange */
    stage_close(&s);
}

/* ---- without descriptors ---- */

static void who_gets_no_descriptor_waits_for_one(void **state)
{
    struct ask *b, *c;
    struct stage s;

    stage_open(&s);
    s.conf.connections_max = 0;
    nr_sim_limit_files(s.sim, "10.0.0.1", 1);
    ask(&s);
    turn(&s, 5);
    b = ask(&s);
    c = ask(&s);
    turn(&s, 500); /* tried again and again */
    assert_false(b->over);
    assert_int_equal(s.far_count, 1);
    assert_int_equal(s.counts.open, 1);
    far_send(&s, 0, OK);
    turn(&s, 60); /* handed over */
    assert_int_equal(s.fars[0].requests, 2);
    nr_sim_limit_files(s.sim, "10.0.0.1", 2); /* somebody else has closed one */
    turn(&s, 60);
    assert_int_equal(s.far_count, 2);
    far_send(&s, 0, OK);
    far_send(&s, 1, OK);
    turn(&s, 5);
    assert_true(b->over && b->status == 200 && c->over && c->status == 200);
    assert_false(b->x == c->x);
    stage_close(&s);
}

static void but_not_for_ever(void **state)
{
    struct ask *b;
    struct stage s;

    stage_open(&s);
    s.conf.connections_max = 0;
    nr_sim_limit_files(s.sim, "10.0.0.1", 1);
    ask(&s);
    turn(&s, 5);
    b = ask(&s);
    turn(&s, 990);
    assert_false(b->over);
    turn(&s, 70);
    assert_int_equal(b->end, NR_END_CONNECT_FAILED);
    assert_int_equal(s.counts.open, 1);
    stage_close(&s);
}

/* ---- prewarmed ---- */

static void the_first_call_finds_a_connection(void **state)
{
    struct ask *a;
    struct stage s;

    stage_open(&s);
    nr_client_prewarm(s.client, 4); /* more than are allowed */
    turn(&s, 5);
    assert_int_equal(s.far_count, 2);
    assert_int_equal(s.counts.idle, 2);
    nr_client_prewarm(s.client, 2);
    turn(&s, 5);
    assert_int_equal(s.far_count, 2);
    a = ask(&s);
    turn(&s, 1);
    far_send(&s, 1, OK);
    turn(&s, 1);
    assert_true(a->over && a->reused);
    assert_int_equal(s.far_count, 2);
    stage_close(&s);
}

static void a_prewarmed_one_goes_to_who_waits(void **state)
{
    struct ask *a;
    struct stage s;

    stage_open(&s);
    nr_client_prewarm(s.client, 2);
    a = ask(&s); /* both are still connecting */
    turn(&s, 5);
    assert_int_equal(s.far_count, 2);
    assert_int_equal(s.fars[0].requests + s.fars[1].requests, 1);
    far_send(&s, s.fars[0].requests == 1 ? 0 : 1, OK);
    turn(&s, 5);
    assert_true(a->over && !a->reused && a->status == 200);
    stage_close(&s);
}

static void nobody_is_told_of_prewarming_that_fails(void **state)
{
    struct stage s;

    stage_open(&s);
    nr_sim_kill(s.sim, "10.0.0.2");
    nr_client_prewarm(s.client, 2);
    turn(&s, 5);
    assert_int_equal(s.counts.connect_failures, 2);
    assert_int_equal(s.counts.open, 0);
    nr_sim_revive(s.sim, "10.0.0.2");
    nr_sim_partition(s.sim, "10.0.0.1", "10.0.0.2", true);
    nr_client_prewarm(s.client, 2);
    turn(&s, 1100);
    assert_int_equal(s.counts.open, 0); /* timed out */
    nr_client_prewarm(s.client, 2);
    turn(&s, 5);
    nr_client_close(s.client); /* at once, though connects are under way */
    s.client = NULL;
    stage_close(&s);
}

/* ---- how long one is kept ---- */

static const struct {
    const char *name, *field;
    uint64_t kept_ms;
} hints[] = {
    {"nothing said: the pool's own limit", "", 10000},
    {"closed a second before", "Keep-Alive: timeout=5\r\n", 4000},
    {"among other things", "keep-alive: max=100, Timeout=3\r\n", 2000},
    {"more than the pool's own limit", "Keep-Alive: timeout=60\r\n", 10000},
    {"one second leaves half of it", "Keep-Alive: timeout=1\r\n", 500},
    {"no number says nothing", "Keep-Alive: timeout=soon\r\n", 10000},
    {"nor does nothing", "Keep-Alive: timeout=\r\n", 10000},
    {"huge", "Keep-Alive: timeout=99999999999999999999\r\n", 10000},
    {"not kept at all", "Keep-Alive: timeout=0\r\n", 0},
};

static void the_upstream_says_how_long(void **state)
{
    for (size_t i = 0; i < NR_COUNT(hints); i++) {
        char answer[256];
        struct stage s;

        print_message("# %s\n", hints[i].name);
        stage_open(&s);
        s.conf.idle_timeout_ns = 10000 * (uint64_t)MS;
        ask(&s);
        turn(&s, 5);
        snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\n%sContent-Length: 0\r\n\r\n",
                 hints[i].field);
        far_send(&s, 0, answer);
        if (hints[i].kept_ms > 0) {
            turn(&s, hints[i].kept_ms - 10);
            assert_int_equal(s.counts.idle, 1);
        }
        turn(&s, 20);
        assert_int_equal(s.counts.idle, 0);
        assert_true(s.fars[0].fin);
        stage_close(&s);
    }
}

/* Opened together, not closed together: between nine tenths of the lifetime and the whole. */
static void lifetimes_differ(void **state)
{
    uint64_t open_at_s[11] = {0};
    struct stage s;

    stage_open(&s);
    s.conf.connections_max = 40;
    s.conf.lifetime_ns = 100000 * (uint64_t)MS;
    s.conf.idle_timeout_ns = 200000 * (uint64_t)MS;
    nr_client_prewarm(s.client, 40);
    turn(&s, 89990);
    for (int i = 0; i <= 10; i++) {
        open_at_s[i] = s.counts.idle;
        turn(&s, 1000);
    }
    assert_int_equal(open_at_s[0], 40);
    assert_int_equal(s.counts.idle, 0);
    for (int i = 1; i <= 10; i++) /* about 4 in each second */
        assert_in_range(open_at_s[i - 1] - open_at_s[i], 0, 12);
    stage_close(&s);
}

static void stale_ones_are_counted(void **state)
{
    struct ask *b;
    struct stage s;

    stage_open(&s);
    ask(&s);
    turn(&s, 5);
    far_send(&s, 0, OK);
    turn(&s, 5);
    b = ask(&s);
    nr_sock_close(s.fars[0].sock, NR_CLOSE_GRACEFUL); /* at the very same moment */
    s.fars[0].sock = NULL;
    turn(&s, 5);
    assert_true(b->over && b->reused && b->end != NR_END_DONE);
    assert_int_equal(s.counts.stale, 1);
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_waits_gets_the_connection_that_comes_free),
        cmocka_unit_test(or_a_new_one_in_the_place_of_one_that_is_gone),
        cmocka_unit_test(nobody_waits_longer_than_for_a_connect),
        cmocka_unit_test(the_line_is_bounded),
        cmocka_unit_test(who_leaves_the_line_is_not_served),
        cmocka_unit_test(a_fresh_one_takes_the_place_of_an_idle_one),
        cmocka_unit_test(a_closing_client_serves_who_is_in_line),
        cmocka_unit_test(who_gets_no_descriptor_waits_for_one),
        cmocka_unit_test(but_not_for_ever),
        cmocka_unit_test(the_first_call_finds_a_connection),
        cmocka_unit_test(a_prewarmed_one_goes_to_who_waits),
        cmocka_unit_test(nobody_is_told_of_prewarming_that_fails),
        cmocka_unit_test(the_upstream_says_how_long),
        cmocka_unit_test(lifetimes_differ),
        cmocka_unit_test(stale_ones_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
