/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of sockets. */
#include <stdlib.h>

#include "contract.h"

void sock_recv_lends_only_with_data(void **state)
{
    struct world *world = *state;
    struct pair pair = pair_make(world);
    struct nr_buf_pool *pool = nr_io_bufs(world->b);
    struct waiter w = waiter_make();

    nr_sock_recv(pair.b, &w.recv);
    settle(world);
    assert_int_equal(w.calls, 0);
    assert_int_equal(pool->live, 0); /* an idle connection owns no buffer */
    say(pair.a, "hello");
    until(world, &w);
    assert_int_equal(w.result, 5);
    assert_int_equal(pool->live, 1);
    assert_int_equal(w.recv.buf->large, 0);
    assert_memory_equal(nr_buf_span(w.recv.buf).ptr, "hello", 5);
    nr_buf_put(pool, w.recv.buf);
    pair_close(&pair);
}

void sock_recv_appends(void **state)
{
    struct world *world = *state;
    struct pair pair = pair_make(world);
    struct nr_buf_pool *pool = nr_io_bufs(world->b);
    struct waiter w = waiter_make();

    say(pair.a, "one");
    nr_sock_recv(pair.b, &w.recv);
    until(world, &w);
    say(pair.a, "two");
    w.calls = 0;
    while (nr_buf_len(w.recv.buf) < 6) {
        w.calls = 0;
        nr_sock_recv(pair.b, &w.recv);
        until(world, &w);
    }
    assert_memory_equal(nr_buf_span(w.recv.buf).ptr, "onetwo", 6);
    assert_int_equal(pool->live, 1);
    nr_buf_put(pool, w.recv.buf);
    pair_close(&pair);
}

void sock_recv_large(void **state)
{
    struct world *world = *state;
    struct pair pair = pair_make(world);
    struct waiter w = waiter_make();

    say(pair.a, "x");
    w.recv.want = 16 * 1024;
    nr_sock_recv(pair.b, &w.recv);
    until(world, &w);
    assert_int_equal(w.recv.buf->large, 1);
    nr_buf_put(nr_io_bufs(world->b), w.recv.buf);
    pair_close(&pair);
}

/* FIN is 0 and stays 0; RST is an error and stays one, also for a reader who asks twice. */
void sock_fin_and_reset(void **state)
{
    struct world *world = *state;
    struct pair pair = pair_make(world);

    say(pair.a, "last words");
    nr_sock_close(pair.a, NR_CLOSE_GRACEFUL);
    pair.a = NULL;
    hear(world, pair.b, "last words");
    assert_int_equal(recv_once(world, pair.b), 0);
    assert_int_equal(recv_once(world, pair.b), 0);
    pair_close(&pair);

    pair = pair_make(world);
    nr_sock_close(pair.a, NR_CLOSE_RESET);
    pair.a = NULL;
    assert_int_equal(recv_once(world, pair.b), NR_ERESET);
    assert_int_equal(recv_once(world, pair.b), NR_ERESET);
    pair_close(&pair);
}

void sock_half_close(void **state)
{
    struct world *world = *state;
    struct pair pair = pair_make(world);

    say(pair.a, "question");
    nr_sock_shutdown(pair.a);
    hear(world, pair.b, "question");
    assert_int_equal(recv_once(world, pair.b), 0);
    say(pair.b, "answer");
    hear(world, pair.a, "answer");
    pair_close(&pair);
}

/* Fill the direction from a until nothing more goes. */
static size_t fill(struct world *world, struct nr_sock *sock, const char *bytes, size_t len)
{
    size_t sent = 0;
    int refusals = 0;

    while (refusals < 3) {
        struct iovec parts[2] = {{(void *)bytes, len / 2}, {(void *)(bytes + len / 2), len / 2}};
        int64_t n = nr_sock_write(sock, parts, 2);

        assert_true(n >= 0);
        sent += (size_t)n;
        if (n == 0) {
            refusals++;
            settle(world);
        }
    }
    return sent;
}

void sock_close_cancels(void **state)
{
    struct world *world = *state;
    struct pair pair = pair_make(world);
    struct waiter received = waiter_make(), watched = waiter_make(), writable = waiter_make();
    char *bytes = calloc(1, 1024 * 1024);

    fill(world, pair.a, bytes, 1024 * 1024);
    nr_sock_recv(pair.a, &received.recv);
    nr_sock_watch_close(pair.a, &watched.op);
    nr_sock_when_writable(pair.a, &writable.op);
    settle(world);
    assert_int_equal(received.calls + watched.calls + writable.calls, 0);
    nr_sock_close(pair.a, NR_CLOSE_RESET);
    pair.a = NULL;
    assert_int_equal(received.calls + watched.calls + writable.calls, 0);
    settle(world);
    assert_int_equal(received.calls, 1);
    assert_int_equal(watched.calls, 1);
    assert_int_equal(writable.calls, 1);
    assert_int_equal(received.result, NR_ECANCELED);
    assert_int_equal(watched.result, NR_ECANCELED);
    assert_int_equal(writable.result, NR_ECANCELED);
    pair_close(&pair);
    free(bytes);
}

/* A stream of known bytes that is read somewhere and written elsewhere. */
static uint8_t stream_byte(size_t at)
{
    return (uint8_t)(at * 31 + (at >> 8) * 7);
}

struct reader {
    struct waiter waiter; /* first */
    struct nr_sock *sock;
    size_t got;
    bool intact;
    bool ended;
};

static void read_on(struct waiter *w)
{
    struct reader *r = nr_container_of(w, struct reader, waiter);
    struct nr_buf *buf = w->recv.buf;

    if (w->result <= 0) {
        r->ended = true;
        return;
    }
    for (uint32_t i = buf->begin; i < buf->end; i++)
        r->intact &= (uint8_t)buf->data[i] == stream_byte(r->got++);
    nr_buf_put(nr_io_bufs(nr_sock_io(r->sock)), buf);
    w->recv.buf = NULL;
    nr_sock_recv(r->sock, &w->recv);
}

static void reader_start(struct reader *r, struct nr_sock *sock)
{
    *r = (struct reader){.waiter = waiter_make(), .sock = sock, .intact = true};
    r->waiter.then = read_on;
    nr_sock_recv(sock, &r->waiter.recv);
}

struct writer {
    struct waiter waiter; /* first */
    struct nr_sock *sock;
    uint8_t *bytes;
    size_t len, sent;
    int waits;
    bool finished;
};

static void write_on(struct waiter *w)
{
    struct writer *x = nr_container_of(w, struct writer, waiter);

    while (x->sent < x->len) {
        struct iovec part = {x->bytes + x->sent, x->len - x->sent};
        int64_t n = nr_sock_write(x->sock, &part, 1);

        assert_true(n >= 0);
        x->sent += (size_t)n;
        if (x->sent < x->len && n < (int64_t)part.iov_len) {
            x->waits++;
            nr_sock_when_writable(x->sock, &w->op);
            return;
        }
    }
    x->finished = true;
    nr_sock_shutdown(x->sock);
}

static void writer_start(struct writer *x, struct nr_sock *sock, size_t len)
{
    *x = (struct writer){.waiter = waiter_make(), .sock = sock, .len = len};
    x->bytes = malloc(len);
    assert_non_null(x->bytes);
    for (size_t i = 0; i < len; i++)
        x->bytes[i] = stream_byte(i);
    x->waiter.then = write_on;
    write_on(&x->waiter);
}

/* Writing takes what goes, the rest waits, and nothing is lost or doubled on the way. */
void sock_write_until_full(void **state)
{
    enum { BYTES = 8 * 1024 * 1024 };
    struct world *world = *state;
    struct pair pair = pair_make(world);
    struct writer writer;
    struct reader reader;

    writer_start(&writer, pair.a, BYTES);
    settle(world);
    assert_false(writer.finished); /* back-pressure: nobody reads */
    assert_int_equal(writer.waiter.op.state, NR_OP_PENDING);
    reader_start(&reader, pair.b);
    for (int i = 0; i < 1000 && !reader.ended; i++)
        settle(world);
    assert_true(writer.finished);
    assert_true(reader.ended);
    assert_int_equal(reader.waiter.result, 0);
    assert_int_equal(reader.got, BYTES);
    assert_true(reader.intact);
    assert_true(writer.waits > 0);
    free(writer.bytes);
    pair_close(&pair);
}

void sock_watch_behind_unread_data(void **state)
{
    struct world *world = *state;
    struct pair pair = pair_make(world);
    struct waiter watched = waiter_make();

    nr_sock_watch_close(pair.b, &watched.op);
    say(pair.a, "unread");
    settle(world);
    assert_int_equal(watched.calls, 0); /* data is not a close */
    nr_sock_close(pair.a, NR_CLOSE_GRACEFUL);
    pair.a = NULL;
    until(world, &watched);
    assert_int_equal(watched.result, NR_ECLOSED);
    watched.calls = 0;
    nr_sock_watch_close(pair.b, &watched.op); /* asked late, answered all the same */
    until(world, &watched);
    assert_int_equal(watched.result, NR_ECLOSED);
    hear(world, pair.b, "unread");
    assert_int_equal(recv_once(world, pair.b), 0);
    pair_close(&pair);
}

void sock_watch_sees_reset(void **state)
{
    struct world *world = *state;
    struct pair pair = pair_make(world);
    struct waiter watched = waiter_make();

    nr_sock_watch_close(pair.b, &watched.op);
    nr_sock_close(pair.a, NR_CLOSE_RESET);
    pair.a = NULL;
    until(world, &watched);
    assert_int_equal(watched.result, NR_ERESET);
    pair_close(&pair);
}

void sock_connect_refused(void **state)
{
    struct world *world = *state;
    struct waiter w = waiter_make();
    struct nr_listener *listener = world_listen(world, &world->b, 1, &w.connect.to);

    nr_listener_close(listener); /* a free port that nobody listens on */
    settle(world);
    nr_sock_connect(world->a, &w.connect);
    until(world, &w);
    assert_int_equal(w.result, NR_EREFUSED);
    assert_null(w.connect.sock);
    assert_int_equal(nr_io_socket_count(world->a), 0);
}

void sock_connect_cancelled(void **state)
{
    struct world *world = *state;
    struct waiter w = waiter_make();
    struct nr_listener *listener = world_listen(world, &world->b, 1, &w.connect.to);

    nr_sock_connect(world->a, &w.connect);
    nr_op_cancel(world->a, &w.op);
    assert_int_equal(w.calls, 0);
    until(world, &w);
    assert_int_equal(w.result, NR_ECANCELED);
    assert_null(w.connect.sock);
    assert_int_equal(nr_io_socket_count(world->a), 0);
    nr_listener_close(listener);
    settle(world);
}

void sock_addresses(void **state)
{
    struct world *world = *state;
    struct pair pair = pair_make(world);
    struct nr_addr local = nr_sock_local(pair.a), peer = nr_sock_peer(pair.b);
    char ip[NR_ADDR_TEXT_BYTES];

    assert_true(nr_addr_eq(&local, &peer));
    local = nr_sock_local(pair.b);
    peer = nr_sock_peer(pair.a);
    assert_true(nr_addr_eq(&local, &peer));
    nr_addr_format_ip(&peer, ip, sizeof(ip));
    assert_string_equal(ip, world->host_b);
    assert_ptr_equal(nr_sock_io(pair.b), world->b);
    pair_close(&pair);
}

/* A connection that has always more to read, and one that has a word to say. */
void sock_busy_one_starves_nobody(void **state)
{
    enum { BYTES = 16 * 1024 * 1024 };
    struct world *world = *state;
    struct pair busy = pair_make(world), quiet = pair_make(world);
    struct writer writer;
    struct reader reader;
    struct waiter heard = waiter_make();

    reader_start(&reader, busy.b);
    writer_start(&writer, busy.a, BYTES);
    while (reader.got < BYTES / 8)
        world_step(world);
    nr_sock_recv(quiet.b, &heard.recv);
    say(quiet.a, "?");
    until(world, &heard);
    assert_true(reader.got < BYTES / 2);
    nr_buf_put(nr_io_bufs(world->b), heard.recv.buf);
    for (int i = 0; i < 1000 && !reader.ended; i++)
        settle(world);
    assert_true(reader.intact);
    assert_int_equal(reader.got, BYTES);
    free(writer.bytes);
    pair_close(&busy);
    pair_close(&quiet);
}
