/* SPDX-License-Identifier: Apache-2.0 */
/* The peers of a stage: byte streams without an opinion. */
#include "base/compiler.h"
#include "stage.h"

/* ---- the pattern: byte i is table[i % PERIOD] ---- */

enum { PERIOD = 251, TABLE_BYTES = PERIOD * 1024 };

/* The table, a few periods long so that pieces of it can be sent and compared as they stand. */
static const char *pattern_table(void)
{
    static char table[TABLE_BYTES];

    if (table[1] == 0)
        for (size_t i = 0; i < TABLE_BYTES; i++)
            table[i] = (char)(i % PERIOD);
    return table;
}

static bool is_pattern(const char *bytes, size_t len, uint64_t at)
{
    const char *table = pattern_table() + at % PERIOD;
    size_t step = TABLE_BYTES - PERIOD - (TABLE_BYTES - PERIOD) % PERIOD;

    for (size_t done = 0; done < len; done += step)
        if (memcmp(bytes + done, table, len - done < step ? len - done : step) != 0)
            return false;
    return true;
}

/* ---- receiving ---- */

static void compare(struct peer *p, struct nr_span *bytes)
{
    uint64_t left = p->pattern_in_total - p->pattern_in;
    size_t len = bytes->len < left ? bytes->len : (size_t)left;

    assert_true(is_pattern(bytes->ptr, len, p->pattern_in));
    p->pattern_in += len;
    p->takes_pattern = p->pattern_in < p->pattern_in_total;
    *bytes = nr_span_from(*bytes, len);
}

static void keep(struct peer *p, struct nr_span bytes)
{
    p->in_bytes += bytes.len;
    p->at_ns = stage_now_ns(p->stage);
    if (p->takes_pattern)
        compare(p, &bytes);
    if (bytes.len == 0)
        return;
    if (p->in_len + bytes.len + 1 > p->in_cap) {
        p->in_cap = (p->in_len + bytes.len + 1) * 2;
        p->in = realloc(p->in, p->in_cap);
        assert_non_null(p->in);
    }
    memcpy(p->in + p->in_len, bytes.ptr, bytes.len);
    p->in_len += bytes.len;
    p->in[p->in_len] = '\0';
}

static void drop(struct peer *p, size_t bytes)
{
    memmove(p->in, p->in + bytes, p->in_len - bytes + 1);
    p->in_len -= bytes;
}

static void receive(struct peer *p)
{
    if (p->sock == NULL || p->deaf || p->end != PEER_OPEN || !nr_op_idle(&p->recv.op))
        return;
    p->recv.buf = NULL;
    nr_sock_recv(p->sock, &p->recv);
}

static void on_recv(struct nr_op *op)
{
    struct peer *p = nr_container_of(op, struct peer, recv.op);

    if (op->result > 0) {
        keep(p, nr_buf_span(p->recv.buf));
        nr_buf_put(nr_io_bufs(p->io), p->recv.buf);
    } else if (op->result == NR_ECANCELED) {
        return;
    } else {
        p->end = op->result == 0 ? PEER_FIN : PEER_RESET;
        p->end_ns = stage_now_ns(p->stage);
    }
    receive(p);
}

static const struct nr_op_kind recv_kind = {on_recv, "test.recv"};

void peer_stop_reading(struct peer *p)
{
    p->deaf = true;
    nr_op_cancel(p->io, &p->recv.op);
}

void peer_read_on(struct peer *p)
{
    p->deaf = false;
    receive(p);
}

/* ---- sending ---- */

/* Write from `bytes`; false when no more is taken now. */
static bool write_some(struct peer *p, const char *bytes, size_t len, size_t *ret_taken)
{
    struct iovec part = {(void *)(uintptr_t)bytes, len};
    int64_t taken = nr_sock_write(p->sock, &part, 1);

    *ret_taken = taken < 0 ? len : (size_t)taken; /* broken: the end is for the script to expect */
    return *ret_taken == len;
}

static bool flush_text(struct peer *p)
{
    size_t taken;

    if (p->out_len == 0)
        return true;
    write_some(p, p->out, p->out_len, &taken);
    memmove(p->out, p->out + taken, p->out_len - taken);
    p->out_len -= taken;
    return p->out_len == 0;
}

static bool flush_pattern(struct peer *p)
{
    while (p->pattern_out < p->pattern_out_total) {
        uint64_t left = p->pattern_out_total - p->pattern_out;
        size_t len = left < TABLE_BYTES - PERIOD ? (size_t)left : TABLE_BYTES - PERIOD, taken;
        bool all = write_some(p, pattern_table() + p->pattern_out % PERIOD, len, &taken);

        p->pattern_out += taken;
        if (!all)
            return false;
    }
    return true;
}

static void flush(struct peer *p)
{
    if (p->sock == NULL || !nr_op_idle(&p->writable))
        return;
    if (!flush_text(p) || !flush_pattern(p))
        nr_sock_when_writable(p->sock, &p->writable);
    else if (p->fin_after)
        nr_sock_shutdown(p->sock);
}

static void on_writable(struct nr_op *op)
{
    struct peer *p = nr_container_of(op, struct peer, writable);

    if (op->result == NR_OK)
        flush(p);
}

static const struct nr_op_kind writable_kind = {on_writable, "test.writable"};

void peer_send_bytes(struct peer *p, const void *bytes, size_t len)
{
    assert_int_equal(p->pattern_out, p->pattern_out_total); /* or the order would be lost */
    p->out = realloc(p->out, p->out_len + len + 1);
    assert_non_null(p->out);
    memcpy(p->out + p->out_len, bytes, len);
    p->out_len += len;
    flush(p);
}

void peer_send(struct peer *p, const char *text)
{
    peer_send_bytes(p, text, strlen(text));
}

void peer_send_pattern(struct peer *p, uint64_t bytes)
{
    p->pattern_out_total += bytes;
    flush(p);
}

void peer_fin(struct peer *p)
{
    p->fin_after = true;
    flush(p);
}

static void end(struct peer *p, enum nr_close how)
{
    nr_sock_close(p->sock, how);
    p->sock = NULL;
}

void peer_reset(struct peer *p)
{
    end(p, NR_CLOSE_RESET);
}

void peer_close(struct peer *p)
{
    end(p, NR_CLOSE_GRACEFUL);
}

/* ---- coming and going ---- */

static void on_connect(struct nr_op *op)
{
    struct peer *p = nr_container_of(op, struct peer, connect.op);

    assert_int_equal(op->result, NR_OK);
    peer_start(p, p->connect.sock);
}

static const struct nr_op_kind connect_kind = {on_connect, "test.connect"};

struct peer *peer_new(struct stage *s, struct nr_io *io, int instance)
{
    struct peer *p = calloc(1, sizeof(*p));

    assert_non_null(p);
    assert_true(s->peer_count < STAGE_PEERS);
    s->peers[s->peer_count++] = p;
    p->stage = s;
    p->io = io;
    p->instance = instance;
    nr_op_init(&p->recv.op, &recv_kind);
    nr_op_init(&p->writable, &writable_kind);
    nr_op_init(&p->connect.op, &connect_kind);
    return p;
}

void peer_start(struct peer *p, struct nr_sock *sock)
{
    p->sock = sock;
    receive(p);
}

void peer_free(struct peer *p)
{
    free(p->in);
    free(p->out);
    free(p);
}

struct peer *stage_client_at(struct stage *s, const char *file, int line)
{
    struct peer *p = peer_new(s, s->client_io, -1);
    uint64_t until_ns = stage_patience_ns(s);

    assert_int_equal(nr_addr_parse("10.0.0.1:8080", &p->connect.to, NULL), NR_OK);
    nr_sock_connect(p->io, &p->connect);
    while (p->sock == NULL)
        stage_step(s, until_ns, "the client connects", file, line);
    return p;
}

/* ---- expecting ---- */

static void complain(const struct peer *p, const char *want, const char *file, int line)
{
    static const char *const ends[] = {"open", "closed", "reset"};

    print_error("%s:%d: expected\n---\n%s\n--- but got %zu bytes, %s\n%.*s\n---\n", file, line,
                want, p->in_len, ends[p->end], (int)(p->in_len < 4000 ? p->in_len : 4000),
                p->in_len > 0 ? p->in : "");
    _fail(file, line);
}

enum match { MATCH_NO, MATCH_MORE, MATCH_YES };

/* Is the pattern a prefix of the bytes? *ret_len: how many bytes it covers, from `at` on. */
static enum match match(const char *pattern, const char *bytes, size_t at, size_t len,
                        size_t *ret_len)
{
    for (; *pattern != '\0' && *pattern != '*'; pattern++, at++) {
        if (at == len)
            return MATCH_MORE;
        if (bytes[at] != *pattern)
            return MATCH_NO;
    }
    if (*pattern == '\0') {
        *ret_len = at;
        return MATCH_YES;
    }
    for (;; at++) {
        enum match rest = match(pattern + 1, bytes, at, len, ret_len);

        if (rest != MATCH_NO)
            return rest;
        if (at == len || bytes[at] == '\r' || bytes[at] == '\n')
            return MATCH_NO;
    }
}

void peer_expect_at(struct peer *p, const char *text, const char *file, int line)
{
    uint64_t until_ns = stage_patience_ns(p->stage);
    size_t len = 0;

    for (;;) {
        switch (match(text, p->in, 0, p->in_len, &len)) {
        case MATCH_YES: drop(p, len); return;
        case MATCH_NO: complain(p, text, file, line); return;
        case MATCH_MORE: break;
        }
        if (p->end != PEER_OPEN || stage_now_ns(p->stage) > until_ns)
            complain(p, text, file, line);
        if (!nr_sim_step(p->stage->sim))
            complain(p, text, file, line);
    }
}

void peer_expect_head_at(struct peer *p, const char *file, int line)
{
    uint64_t until_ns = stage_patience_ns(p->stage);

    while (p->in == NULL || strstr(p->in, "\r\n\r\n") == NULL) {
        if (p->end != PEER_OPEN)
            complain(p, "a head", file, line);
        stage_step(p->stage, until_ns, "a head", file, line);
    }
    drop(p, (size_t)(strstr(p->in, "\r\n\r\n") - p->in) + 4);
}

void peer_takes_pattern(struct peer *p, uint64_t bytes)
{
    size_t here = p->in_len < bytes ? p->in_len : (size_t)bytes;

    assert_false(p->takes_pattern);
    assert_true(is_pattern(p->in, here, p->pattern_in));
    p->pattern_in_total = p->pattern_in + bytes;
    p->pattern_in += here;
    if (here > 0)
        drop(p, here);
    p->takes_pattern = p->pattern_in < p->pattern_in_total;
}

void peer_expect_pattern_at(struct peer *p, uint64_t bytes, const char *file, int line)
{
    uint64_t until_ns = stage_patience_ns(p->stage);

    if (bytes > 0)
        peer_takes_pattern(p, bytes);
    while (p->pattern_in < p->pattern_in_total) {
        if (p->end != PEER_OPEN)
            complain(p, "more of the pattern", file, line);
        stage_step(p->stage, until_ns, "more of the pattern", file, line);
    }
    assert_int_equal(p->pattern_in, p->pattern_in_total);
}

void peer_expect_end_at(struct peer *p, enum peer_end how, const char *file, int line)
{
    uint64_t until_ns = stage_patience_ns(p->stage);
    const char *what = how == PEER_FIN ? "the gateway closes" : "the gateway resets";

    while (p->end == PEER_OPEN)
        stage_step(p->stage, until_ns, what, file, line);
    if (p->end != how || p->in_len > 0)
        complain(p, what, file, line);
}

void peer_expect_silence_at(struct peer *p, uint64_t ms, const char *file, int line)
{
    uint64_t bytes = p->in_bytes;

    stage_wait_ms(p->stage, ms);
    if (p->in_bytes != bytes || p->in_len > 0 || p->end != PEER_OPEN)
        complain(p, "silence", file, line);
}
