/* SPDX-License-Identifier: Apache-2.0 */
/* Calls over real HTTP/1.1 connections of a simulated world: three instances on hosts of their own,
 * which live, die, stall, and answer by script. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "call/call.h"
#include "io/sim.h"
#include "service/service_conf.h"

enum { INSTANCES = 3, SEEN_BYTES_MAX = 200 * 1024, CALLS = 40 };

#define MS     ((uint64_t)1000000)
#define BIT(n) ((uint64_t)1 << (n))

/* ---- an instance ---- */

enum answers {
    ANSWERS,        /* 200, "hello", keep-alive */
    ANSWERS_CLOSES, /* likewise, then FIN */
    CLOSES,         /* FIN instead of an answer */
    RESETS,
    GARBAGE,
    NEVER,
    EARLY,      /* answers when the head is there, and reads on */
    TRUNCATES,  /* half of what it announces, then FIN */
    UPGRADES,   /* 101, then echoes */
    STATUS_500, /* answers 500 */
};

struct instance {
    struct nr_io *io;
    char host[16];
    struct nr_listener *listener;
    struct nr_accept accept;
    enum answers answers;
    uint64_t delay_ms;
    uint32_t requests; /* complete ones */
    uint32_t *posts;   /* of "post 07": how often number 7 was seen, by all instances together */
    char *seen;        /* bytes of the last request, with its head */
    size_t seen_bytes;
    uint32_t conns;
};

struct conn {
    struct instance *owner;
    struct nr_sock *sock;
    struct nr_recv recv;
    struct nr_timer timer;
    char *in;
    size_t in_bytes;
    bool answering, upgraded, closed;
};

static void conn_free(struct conn *c)
{
    c->owner->conns--;
    free(c->in);
    free(c);
}

static void conn_close(struct conn *c, enum nr_close how)
{
    if (c->closed)
        return;
    c->closed = true;
    nr_timer_disarm(c->owner->io, &c->timer);
    nr_sock_close(c->sock, how);
    if (nr_op_idle(&c->recv.op))
        conn_free(c); /* else its callback does */
}

static void say(struct conn *c, const char *text)
{
    struct iovec part = {(void *)(uintptr_t)text, strlen(text)};

    (void)!nr_sock_write(c->sock, &part, 1);
}

static void answer(struct nr_op *op)
{
    struct conn *c = nr_container_of(op, struct conn, timer.op);

    switch (c->owner->answers) {
    case ANSWERS:
    case EARLY: say(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"); break;
    case STATUS_500: say(c, "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"); break;
    case ANSWERS_CLOSES:
        say(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        conn_close(c, NR_CLOSE_GRACEFUL);
        return;
    case CLOSES: conn_close(c, NR_CLOSE_GRACEFUL); return;
    case RESETS: conn_close(c, NR_CLOSE_RESET); return;
    case GARBAGE: say(c, "what?\r\n\r\n"); break;
    case NEVER: break;
    case TRUNCATES:
        say(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
        conn_close(c, NR_CLOSE_GRACEFUL);
        return;
    case UPGRADES:
        say(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
        c->upgraded = true;
        break;
    }
    c->in_bytes = 0;
    c->answering = false;
}

/* Bytes of a complete request at the front; 0: not yet. */
static size_t complete(const struct conn *c)
{
    const char *end = memmem(c->in, c->in_bytes, "\r\n\r\n", 4);
    const char *length, *chunked;
    size_t head;

    if (end == NULL)
        return 0;
    head = (size_t)(end - c->in) + 4;
    if (c->owner->answers == EARLY)
        return head;
    length = memmem(c->in, head, "Content-Length: ", 16);
    chunked = memmem(c->in, head, "chunked", 7);
    if (chunked != NULL)
        return memmem(c->in, c->in_bytes, "\r\n0\r\n\r\n", 7) != NULL ? c->in_bytes : 0;
    if (length == NULL)
        return head;
    head += strtoul(length + 16, NULL, 10);
    return c->in_bytes >= head ? head : 0;
}

static void take(struct conn *c)
{
    struct instance *o = c->owner;
    const char *post;

    if (c->answering || complete(c) == 0)
        return;
    o->requests++;
    c->in[c->in_bytes] = '\0';
    post = memmem(c->in, c->in_bytes, "post ", 5);
    if (post != NULL)
        o->posts[strtoul(post + 5, NULL, 10)]++;
    memcpy(o->seen, c->in, c->in_bytes);
    o->seen_bytes = c->in_bytes;
    o->seen[o->seen_bytes] = '\0';
    c->answering = true;
    nr_timer_arm(o->io, &c->timer, nr_io_now_ns(o->io) + o->delay_ms * MS);
}

static void on_recv(struct nr_op *op)
{
    struct conn *c = nr_container_of(op, struct conn, recv.op);
    int32_t result = op->result;

    if (result > 0) {
        struct nr_span bytes = nr_buf_span(c->recv.buf);

        if (!c->closed && c->upgraded) {
            struct iovec part = {(void *)(uintptr_t)bytes.ptr, bytes.len};

            (void)!nr_sock_write(c->sock, &part, 1);
        } else if (c->in_bytes + bytes.len < SEEN_BYTES_MAX) {
            memcpy(c->in + c->in_bytes, bytes.ptr, bytes.len);
            c->in_bytes += bytes.len;
        }
        nr_buf_put(nr_io_bufs(c->owner->io), c->recv.buf);
        c->recv.buf = NULL;
    }
    if (c->closed) {
        conn_free(c);
        return;
    }
    if (result <= 0) {
        conn_close(c, NR_CLOSE_GRACEFUL);
        return;
    }
    if (!c->upgraded)
        take(c);
    if (c->closed)
        return;
    nr_sock_recv(c->sock, &c->recv);
}

static const struct nr_op_kind recv_kind = {on_recv, "instance.recv"};
static const struct nr_op_kind answer_kind = {answer, "instance.answer"};

static void on_accept(struct nr_op *op)
{
    struct instance *o = nr_container_of(op, struct instance, accept.op);
    struct conn *c;

    if (op->result != NR_OK)
        return;
    c = calloc(1, sizeof(*c));
    c->owner = o;
    c->sock = o->accept.sock;
    c->in = malloc(SEEN_BYTES_MAX);
    o->conns++;
    nr_op_init(&c->recv.op, &recv_kind);
    nr_timer_init(&c->timer, &answer_kind);
    nr_sock_recv(c->sock, &c->recv);
    nr_listener_accept(o->listener, o->io, &o->accept);
}

static const struct nr_op_kind accept_kind = {on_accept, "instance.accept"};

/* ---- the bench: three instances, a service, many calls ---- */

struct one_call {
    struct bench *bench;
    struct nr_arena arena;
    struct nr_head head;
    struct nr_record record;
    struct nr_exchange *call;
    struct nr_span body;
    uint16_t status;
    char answer[64];
    size_t answer_bytes;
    uint32_t ends;
    enum nr_end end;
    enum nr_reason reason;
    uint64_t end_ns;
};

struct bench {
    struct nr_sim *sim;
    struct nr_io *io;
    struct instance instances[INSTANCES];
    struct nr_instance_conf conf_instances[INSTANCES];
    char addresses[INSTANCES][24];
    struct nr_service_conf conf;
    struct nr_service *service;
    struct nr_service_pools *pools;
    struct nr_call_budget budget;
    struct one_call calls[CALLS];
    uint32_t posts[CALLS];
};

static void send_on(struct one_call *o)
{
    if (o->body.ptr == NULL)
        return;
    o->body = nr_span_from(o->body, nr_exchange_send_body(o->call, o->body, true));
    if (o->body.len == 0)
        o->body.ptr = NULL;
}

static void on_head(struct nr_exchange *x, struct nr_head *head, bool ended)
{
    struct one_call *o = x->owner;

    (void)ended;
    o->status = head->status;
    if (head->status == 101)
        nr_exchange_send_body(x, NR_SPAN("ping"), false);
}

static void on_body(struct nr_exchange *x, bool ended)
{
    struct one_call *o = x->owner;
    struct nr_span bytes = nr_exchange_pending(x);

    (void)ended;
    assert_true(o->answer_bytes + bytes.len < sizeof(o->answer));
    if (bytes.len > 0)
        memcpy(o->answer + o->answer_bytes, bytes.ptr, bytes.len);
    o->answer_bytes += bytes.len;
    nr_exchange_consume(x, bytes.len);
}

static void on_trailers(struct nr_exchange *x, struct nr_head *trailers)
{
    (void)x;
    (void)trailers;
}

static void on_writable(struct nr_exchange *x)
{
    send_on(x->owner);
}

static void on_end(struct nr_exchange *x, enum nr_end end)
{
    struct one_call *o = x->owner;

    o->ends++;
    o->end = end;
    o->reason = nr_call_reason(x);
    o->end_ns = nr_io_now_ns(o->bench->io) - o->record.start_ns;
    o->call = NULL;
    nr_arena_done(&o->arena);
}

static const struct nr_exchange_events owner_events = {on_head, on_body, on_trailers, on_writable,
                                                       on_end};

static void listen_again(struct bench *b, uint32_t i)
{
    struct instance *o = &b->instances[i];
    struct nr_listen_conf conf = {.inherited_fd = -1};

    assert_int_equal(nr_addr_parse(b->addresses[i], &conf.address, NULL), NR_OK);
    assert_int_equal(nr_listener_open(&o->io, 1, &conf, &o->listener, NULL), NR_OK);
    nr_op_init(&o->accept.op, &accept_kind);
    nr_listener_accept(o->listener, o->io, &o->accept);
}

static void bench_init(struct bench *b, uint64_t seed)
{
    memset(b, 0, sizeof(*b));
    b->sim = nr_sim_new(&(struct nr_sim_conf){
        .seed = seed, .link = {.latency_min_ns = 100000, .latency_max_ns = 500000}});
    b->io = nr_sim_engine(b->sim, "10.0.0.1");
    for (uint32_t i = 0; i < INSTANCES; i++) {
        struct instance *o = &b->instances[i];

        snprintf(o->host, sizeof(o->host), "10.0.1.%u", i + 1);
        snprintf(b->addresses[i], sizeof(b->addresses[i]), "%s:80", o->host);
        o->io = nr_sim_engine(b->sim, o->host);
        o->seen = malloc(SEEN_BYTES_MAX + 1);
        o->posts = b->posts;
        listen_again(b, i);
        b->conf_instances[i].weight = 1;
        b->conf_instances[i].address.kind = NR_CONFIG_ADDRESS_IP;
        b->conf_instances[i].address.text = nr_span_of(b->addresses[i]);
    }
    b->conf = (struct nr_service_conf){
        .name = NR_SPAN("orders"),
        .instances = b->conf_instances,
        .instance_count = INSTANCES,
        .balance = {.algorithm = NR_BALANCE_ROUND_ROBIN},
        .timeouts = {.connect_ns = 300 * MS,
                     .attempt_ns = 500 * MS,
                     .idle_ns = 10000 * MS,
                     .write_ns = 5000 * MS},
        .retry = {.attempts = 2,
                  .on = BIT(NR_RETRY_ON_CONNECT) | BIT(NR_RETRY_ON_RESET),
                  .methods = BIT(NR_METHOD_GET) | BIT(NR_METHOD_PUT),
                  .backoff = {.policy = {25 * MS, 2, 1000 * MS, NR_BACKOFF_FULL}},
                  .budget = {.policy = {0.2, 100}}},
        .pool = {.max_idle = 8, .idle_timeout_ns = 30000 * MS, .max_lifetime_ns = UINT64_MAX},
    };
    b->budget.replay_bytes_max = 1024 * 1024;
}

static void start_call(struct bench *b, uint32_t n, const char *method, struct nr_span body,
                       uint64_t limit_ms)
{
    struct one_call *o = &b->calls[n];

    if (b->service == NULL) {
        assert_int_equal(nr_service_new(&b->conf, 0, &b->service, NULL), NR_OK);
        b->pools = nr_service_pools_new(b->service, b->io);
    }
    memset(o, 0, sizeof(*o));
    o->bench = b;
    nr_arena_init(&o->arena, NULL, 0);
    nr_head_init_request(&o->head, &o->arena, nr_span_of(method), NR_SPAN("shop"), NR_SPAN("/a"));
    if (body.ptr != NULL)
        o->head.body_length = (int64_t)body.len;
    o->record.start_ns = nr_io_now_ns(b->io);
    o->call = nr_call_open(b->io, &(struct nr_call_conf){.pools = b->pools,
                                                         .head = &o->head,
                                                         .arena = &o->arena,
                                                         .deadline = nr_deadline_start(
                                                             nr_io_now_ns(b->io), limit_ms * MS),
                                                         .record = &o->record,
                                                         .budget = &b->budget,
                                                         .events = &owner_events,
                                                         .owner = o,
                                                         .ended = body.ptr == NULL});
    o->body = body;
    send_on(o);
}

static void run_ms(struct bench *b, uint64_t ms)
{
    nr_sim_run(b->sim, nr_sim_now_ns(b->sim) + ms * MS);
}

/* One call to its end. */
static struct one_call *call(struct bench *b, const char *method, struct nr_span body,
                             uint64_t limit_ms)
{
    start_call(b, 0, method, body, limit_ms);
    while (b->calls[0].ends == 0)
        assert_true(nr_sim_step(b->sim));
    return &b->calls[0];
}

static void bench_done(struct bench *b)
{
    nr_service_pools_free(b->pools);
    for (uint32_t i = 0; i < INSTANCES; i++)
        if (b->instances[i].listener != NULL)
            nr_listener_close(b->instances[i].listener);
    run_ms(b, 10000);
    for (uint32_t i = 0; i < INSTANCES; i++) {
        struct nr_instance_view view;

        nr_service_instance(b->service, i, &view);
        assert_int_equal(view.in_flight, 0);
        assert_int_equal(b->instances[i].conns, 0);
        free(b->instances[i].seen);
    }
    assert_int_equal(b->budget.replay_bytes, 0);
    nr_service_free(b->service);
    nr_sim_free(b->sim);
}

static const struct nr_span no_body = {NULL, 0};

/* ---- stories ---- */

static void each_takes_its_turn_over_kept_connections(void **state)
{
    struct bench b;

    bench_init(&b, 1);
    for (int i = 0; i < 9; i++) {
        struct one_call *o = call(&b, "GET", no_body, 6000);

        assert_int_equal(o->status, 200);
        assert_memory_equal(o->answer, "hello", 5);
        assert_int_equal(o->end, NR_END_DONE);
        assert_int_equal(o->reason, NR_REASON_NONE);
        assert_int_equal(o->record.attempts[0].reused, i >= 3);
        run_ms(&b, 5);
    }
    for (uint32_t i = 0; i < INSTANCES; i++) {
        assert_int_equal(b.instances[i].requests, 3);
        assert_non_null(strstr(b.instances[i].seen, "X-Request-Deadline: 6000\r\n"));
        assert_null(strstr(b.instances[i].seen, "X-Request-Attempt"));
    }
    bench_done(&b);
}

/* What becomes of one call when instance 0, whose turn it is, does this, and the others are well.
 */
static void one_bad_instance(void **state)
{
    static const struct {
        const char *name, *method, *body;
        enum answers answers;
        uint16_t status; /* 0: none */
        enum nr_attempt_result first;
        enum nr_reason reason;
        uint16_t flags;
    } cases[] = {
        /* clang-format off */
        {"GET closed", "GET", NULL, CLOSES, 200, NR_ATTEMPT_CLOSED, 0, 0},
        {"GET reset", "GET", NULL, RESETS, 200, NR_ATTEMPT_RESET, 0, 0},
        {"GET garbage", "GET", NULL, GARBAGE, 200, NR_ATTEMPT_PROTOCOL, 0, 0},
        {"PUT reset", "PUT", "exact bytes", RESETS, 200, NR_ATTEMPT_RESET, 0, 0},
        {"POST reset", "POST", "pay", RESETS, 0, NR_ATTEMPT_RESET, NR_REASON_UPSTREAM_RESET, NR_RECORD_RETRY_UNSAFE},
        {"POST closed", "POST", "pay", CLOSES, 0, NR_ATTEMPT_CLOSED, NR_REASON_UPSTREAM_CLOSED, NR_RECORD_RETRY_UNSAFE},
        {"GET unanswered", "GET", NULL, NEVER, 0, NR_ATTEMPT_TIMEOUT, NR_REASON_ATTEMPT_TIMEOUT, 0},
        {"GET truncated", "GET", NULL, TRUNCATES, 200, NR_ATTEMPT_ANSWERED, NR_REASON_UPSTREAM_TRUNCATED, NR_RECORD_RETRY_COMMITTED},
        {"GET 500: an answer is an answer", "GET", NULL, STATUS_500, 500, NR_ATTEMPT_ANSWERED, 0, 0},
        {"GET answered, then closed", "GET", NULL, ANSWERS_CLOSES, 200, NR_ATTEMPT_ANSWERED, 0, 0},
        {"POST answered", "POST", "pay", ANSWERS, 200, NR_ATTEMPT_ANSWERED, 0, 0},
        /* clang-format on */
    };

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        struct one_call *o;
        struct bench b;

        print_message("# %s\n", cases[i].name);
        bench_init(&b, 2);
        b.instances[0].answers = cases[i].answers;
        o = call(&b, cases[i].method, cases[i].body != NULL ? nr_span_of(cases[i].body) : no_body,
                 6000);
        assert_int_equal(o->status, cases[i].status);
        assert_int_equal(o->record.attempts[0].result, cases[i].first);
        assert_int_equal(o->reason, cases[i].reason);
        assert_int_equal(o->record.flags, cases[i].flags);
        assert_int_equal(b.instances[0].requests, 1);
        if (cases[i].first != NR_ATTEMPT_ANSWERED && cases[i].status == 200) {
            assert_int_equal(o->record.attempt_count, 2);
            assert_int_equal(o->record.attempts[1].instance, 1);
            assert_non_null(strstr(b.instances[1].seen, "X-Request-Attempt: 2\r\n"));
            if (cases[i].body != NULL)
                assert_string_equal(strstr(b.instances[1].seen, "\r\n\r\n") + 4, cases[i].body);
        } else {
            assert_int_equal(o->record.attempt_count, 1);
            assert_int_equal(b.instances[1].requests, 0);
        }
        bench_done(&b);
    }
}

static void a_dead_instance_is_routed_around(void **state)
{
    struct bench b;

    bench_init(&b, 3);
    nr_sim_kill(b.sim, b.instances[0].host);
    run_ms(&b, 10);
    for (int i = 0; i < 12; i++) {
        const char *method = i % 2 == 0 ? "GET" : "POST"; /* refused: nobody has seen it */
        struct one_call *o = call(&b, method, i % 2 == 0 ? no_body : NR_SPAN("pay"), 6000);

        assert_int_equal(o->status, 200);
        assert_int_equal(o->end, NR_END_DONE);
        if (o->record.attempts[0].instance == 0) {
            assert_int_equal(o->record.attempts[0].result, NR_ATTEMPT_CONNECT_REFUSED);
            assert_int_not_equal(o->record.attempts[1].instance, 0);
        }
    }
    assert_int_equal(b.instances[0].requests, 0);
    bench_done(&b);
}

/* kill -9 in the middle of everything: in flight, pooled and new connections at once. */
static void killed_under_load_no_idempotent_call_fails(void **state)
{
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct bench b;

        bench_init(&b, seed);
        for (uint32_t i = 0; i < INSTANCES; i++)
            b.instances[i].delay_ms = 3;
        for (uint32_t n = 0; n < CALLS; n++) {
            if (n == CALLS / 2)
                nr_sim_kill(b.sim, b.instances[seed % INSTANCES].host);
            start_call(&b, n, "GET", no_body, 6000);
            run_ms(&b, 1);
        }
        run_ms(&b, 6000);
        for (uint32_t n = 0; n < CALLS; n++) {
            assert_int_equal(b.calls[n].ends, 1);
            assert_int_equal(b.calls[n].status, 200);
            assert_int_equal(b.calls[n].reason, NR_REASON_NONE);
        }
        bench_done(&b);
    }
}

static void an_unreachable_instance_costs_the_connect_timeout(void **state)
{
    struct one_call *o;
    struct bench b;

    bench_init(&b, 4);
    nr_sim_silence(b.sim, b.instances[0].host, true);
    o = call(&b, "POST", NR_SPAN("pay"), 6000);
    assert_int_equal(o->status, 200); /* never connected: safe to repeat even so */
    assert_int_equal(o->record.attempts[0].result, NR_ATTEMPT_CONNECT_TIMEOUT);
    assert_in_range(o->end_ns, 300 * MS, 320 * MS);
    nr_sim_silence(b.sim, b.instances[0].host, false);
    bench_done(&b);
}

static void the_deadline_holds_across_attempts(void **state)
{
    struct one_call *o;
    struct bench b;

    bench_init(&b, 5);
    b.conf.retry.on |= BIT(NR_RETRY_ON_TIMEOUT);
    for (uint32_t i = 0; i < INSTANCES; i++)
        b.instances[i].answers = NEVER;
    o = call(&b, "GET", no_body, 700);
    assert_int_equal(o->status, 0);
    assert_int_equal(o->reason, NR_REASON_DEADLINE);
    assert_in_range(o->end_ns, 700 * MS, 703 * MS);
    assert_int_equal(o->record.attempt_count, 2);
    assert_in_range(atoi(strstr(b.instances[1].seen, "X-Request-Deadline: ") + 20), 190, 200);
    bench_done(&b);
}

static void a_client_that_leaves_takes_the_request_along(void **state)
{
    struct bench b;

    bench_init(&b, 6);
    b.instances[0].answers = NEVER;
    start_call(&b, 0, "GET", no_body, 6000);
    run_ms(&b, 20);
    assert_int_equal(b.instances[0].conns, 1);
    nr_exchange_reset(b.calls[0].call);
    assert_int_equal(b.calls[0].ends, 0);
    run_ms(&b, 20);
    assert_int_equal(b.calls[0].ends, 1);
    assert_int_equal(b.calls[0].reason, NR_REASON_CLIENT_CLOSED);
    assert_int_equal(b.calls[0].record.attempts[0].result, NR_ATTEMPT_CANCELED);
    assert_int_equal(b.instances[0].conns, 0); /* the service sees it, too */
    bench_done(&b);
}

static void large_bodies(void **state)
{
    static char bytes[150000];
    static const struct {
        size_t len;
        uint16_t status;
        uint16_t flags;
    } cases[] = {{1, 200, 0},
                 {20000, 200, 0},
                 {65536, 200, 0},
                 {65537, 0, NR_RECORD_RETRY_NO_BODY},
                 {150000, 0, NR_RECORD_RETRY_NO_BODY}};

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)('a' + i * 7 % 26);
    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        struct one_call *o;
        struct bench b;

        bench_init(&b, 7);
        b.instances[0].answers = RESETS;
        o = call(&b, "PUT", (struct nr_span){bytes, cases[i].len}, 6000);
        assert_int_equal(o->status, cases[i].status);
        assert_int_equal(o->record.flags, cases[i].flags);
        if (o->status == 200) {
            const char *body = strstr(b.instances[1].seen, "\r\n\r\n") + 4;

            assert_int_equal(b.instances[1].seen + b.instances[1].seen_bytes - body, cases[i].len);
            assert_memory_equal(body, bytes, cases[i].len);
        }
        bench_done(&b);
    }
}

static void an_early_answer(void **state)
{
    static char bytes[150000];
    struct one_call *o;
    struct bench b;

    memset(bytes, 'x', sizeof(bytes));
    bench_init(&b, 8);
    b.instances[0].answers = EARLY;
    o = call(&b, "PUT", (struct nr_span){bytes, sizeof(bytes)}, 6000);
    assert_int_equal(o->status, 200);
    assert_memory_equal(o->answer, "hello", 5);
    assert_int_equal(o->reason, NR_REASON_NONE);
    assert_int_equal(o->record.attempt_count, 1);
    bench_done(&b);
}

static void a_tunnel(void **state)
{
    struct one_call *o;
    struct bench b;

    bench_init(&b, 9);
    b.instances[0].answers = UPGRADES;
    start_call(&b, 0, "GET", no_body, 300);
    o = &b.calls[0];
    nr_exchange_reset(o->call); /* without an Upgrade field: just to end it */
    run_ms(&b, 10);
    assert_int_equal(o->ends, 1);

    b.instances[1].answers = UPGRADES; /* whose turn it is */
    memset(o, 0, sizeof(*o));
    o->bench = &b;
    nr_arena_init(&o->arena, NULL, 0);
    nr_head_init_request(&o->head, &o->arena, NR_SPAN("GET"), NR_SPAN("shop"), NR_SPAN("/a"));
    nr_head_add(&o->head, &o->arena, NR_SPAN("Upgrade"), NR_SPAN("echo"));
    o->head.upgrade = true;
    o->record.start_ns = nr_io_now_ns(b.io);
    o->call = nr_call_open(
        b.io, &(struct nr_call_conf){.pools = b.pools,
                                     .head = &o->head,
                                     .arena = &o->arena,
                                     .deadline = nr_deadline_start(nr_io_now_ns(b.io), 300 * MS),
                                     .record = &o->record,
                                     .budget = &b.budget,
                                     .events = &owner_events,
                                     .owner = o,
                                     .ended = true});
    run_ms(&b, 5000); /* far behind deadline and attempt timeout */
    assert_int_equal(o->status, 101);
    assert_int_equal(o->ends, 0);
    assert_int_equal(o->answer_bytes, 4);
    assert_memory_equal(o->answer, "ping", 4);
    assert_int_equal(o->record.flags, NR_RECORD_TUNNEL);
    nr_exchange_reset(o->call);
    run_ms(&b, 10);
    assert_int_equal(o->ends, 1);
    bench_done(&b);
}

/* Connections break, instances stall and say nonsense, links are cut: whatever happens, each call
 * ends once and in time, and no POST is seen twice. */
static void any_weather(void **state)
{
    for (uint64_t seed = 1; seed <= 100; seed++) {
        char posts[CALLS][16];
        struct nr_random *random;
        struct bench b;

        bench_init(&b, seed);
        random = nr_sim_random(b.sim);
        b.conf.retry.on |= BIT(NR_RETRY_ON_TIMEOUT);
        for (uint32_t n = 0; n < CALLS; n++) {
            struct instance *o = &b.instances[nr_random_below(random, INSTANCES)];

            o->answers = (enum answers)nr_random_below(random, EARLY);
            o->delay_ms = nr_random_below(random, 30);
            if (nr_random_below(random, 4) == 0)
                nr_sim_reset_one(b.sim, "10.0.0.1", o->host);
            if (nr_random_below(random, 8) == 0)
                nr_sim_partition(b.sim, "10.0.0.1", o->host, nr_random_below(random, 2) == 0);
            snprintf(posts[n], sizeof(posts[n]), "post %02u", n);
            if (nr_random_below(random, 2) == 0)
                start_call(&b, n, "GET", no_body, 1 + nr_random_below(random, 900));
            else
                start_call(&b, n, "POST", nr_span_of(posts[n]), 1 + nr_random_below(random, 900));
            run_ms(&b, nr_random_below(random, 12));
            if (nr_random_below(random, 8) == 0 && b.calls[n].call != NULL)
                nr_exchange_reset(b.calls[n].call);
        }
        run_ms(&b, 1000);
        for (uint32_t n = 0; n < CALLS; n++) {
            assert_int_equal(b.calls[n].ends, 1);
            assert_true(b.calls[n].end_ns <= 905 * MS);
            assert_true(b.posts[n] <= 1);
            if (b.calls[n].reason == NR_REASON_NONE && b.calls[n].end == NR_END_DONE)
                assert_memory_equal(b.calls[n].answer, "hello", 5);
        }
        for (uint32_t i = 0; i < INSTANCES; i++) { /* a RST may have been lost to the cut */
            nr_sim_partition(b.sim, "10.0.0.1", b.instances[i].host, false);
            nr_sim_kill(b.sim, b.instances[i].host);
        }
        bench_done(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_takes_its_turn_over_kept_connections),
        cmocka_unit_test(one_bad_instance),
        cmocka_unit_test(a_dead_instance_is_routed_around),
        cmocka_unit_test(killed_under_load_no_idempotent_call_fails),
        cmocka_unit_test(an_unreachable_instance_costs_the_connect_timeout),
        cmocka_unit_test(the_deadline_holds_across_attempts),
        cmocka_unit_test(a_client_that_leaves_takes_the_request_along),
        cmocka_unit_test(large_bodies),
        cmocka_unit_test(an_early_answer),
        cmocka_unit_test(a_tunnel),
        cmocka_unit_test(any_weather),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
