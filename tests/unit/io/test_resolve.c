/* SPDX-License-Identifier: Apache-2.0 */
/* Names, asked of a small server of our own: it answers by the first label of the question. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "io/epoll_engine.h"

static const uint64_t ms_ns = 1000 * 1000;

enum {
    HEADER_BYTES = 12, /* RFC 1035, 4.1.1 */
    TYPE_A = 1,
    TYPE_CNAME = 5,
    TYPE_AAAA = 28,
    RCODE_SERVFAIL = 2,
    RCODE_NXDOMAIN = 3,
};

struct server {
    struct nr_io *io;
    int fd;
    int questions;
    bool silent;
};

struct message {
    uint8_t bytes[512];
    size_t len;
};

static void put16(struct message *m, unsigned value)
{
    m->bytes[m->len++] = (uint8_t)(value >> 8);
    m->bytes[m->len++] = (uint8_t)value;
}

/* A record for the name at `name_at`, RFC 1035, 4.1.3 and 4.1.4. */
static void put_record(struct message *m, unsigned name_at, unsigned type, unsigned ttl_s,
                       const void *data, size_t len)
{
    put16(m, 0xc000 | name_at);
    put16(m, type);
    put16(m, 1); /* IN */
    put16(m, ttl_s >> 16);
    put16(m, ttl_s & 0xffff);
    put16(m, (unsigned)len);
    memcpy(m->bytes + m->len, data, len);
    m->len += len;
    m->bytes[7]++; /* ANCOUNT */
}

static void answer(struct message *m, const char *label, unsigned type)
{
    static const uint8_t v4[4] = {10, 0, 0, 1}, v4_other[4] = {10, 0, 0, 2};
    static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
    static const uint8_t alias[] = "\5other\4test";

    if (strcmp(label, "one") == 0 && type == TYPE_A) {
        put_record(m, HEADER_BYTES, TYPE_A, 30, v4, sizeof(v4));
    } else if (strcmp(label, "many") == 0 && type == TYPE_A) {
        for (uint8_t i = 1; i <= 20; i++)
            put_record(m, HEADER_BYTES, TYPE_A, 100u + i, (uint8_t[]){10, 0, 1, i}, 4);
    } else if (strcmp(label, "both") == 0 && type == TYPE_A) {
        put_record(m, HEADER_BYTES, TYPE_A, 60, v4, sizeof(v4));
        put_record(m, HEADER_BYTES, TYPE_A, 50, v4_other, sizeof(v4_other));
    } else if (strcmp(label, "both") == 0 && type == TYPE_AAAA) {
        put_record(m, HEADER_BYTES, TYPE_AAAA, 40, v6, sizeof(v6));
    } else if (strcmp(label, "alias") == 0 && type == TYPE_A) {
        unsigned target_at = (unsigned)m->len + 12;

        put_record(m, HEADER_BYTES, TYPE_CNAME, 7, alias, sizeof(alias));
        put_record(m, target_at, TYPE_A, 300, v4, sizeof(v4));
    } else if (strcmp(label, "broken") == 0) {
        m->bytes[3] |= RCODE_SERVFAIL;
    } else if (strcmp(label, "missing") == 0) {
        m->bytes[3] |= RCODE_NXDOMAIN;
    }
}

static void serve(struct server *s)
{
    struct sockaddr_storage from;
    socklen_t from_len = sizeof(from);
    struct message m;
    char label[64] = "";
    ssize_t n = recvfrom(s->fd, m.bytes, sizeof(m.bytes), MSG_DONTWAIT, (struct sockaddr *)&from,
                         &from_len);
    size_t at = HEADER_BYTES;

    if (n <= HEADER_BYTES)
        return;
    s->questions++;
    if (s->silent)
        return;
    memcpy(label, m.bytes + at + 1, m.bytes[at] < 63 ? m.bytes[at] : 63);
    while (m.bytes[at] != 0)
        at += m.bytes[at] + 1u;
    m.len = at + 5;    /* the question stays, additional records do not */
    m.bytes[2] = 0x81; /* QR, RD */
    m.bytes[3] = 0x80; /* RA */
    memset(m.bytes + 6, 0, 6);
    answer(&m, label, (unsigned)m.bytes[at + 1] << 8 | m.bytes[at + 2]);
    sendto(s->fd, m.bytes, m.len, 0, (struct sockaddr *)&from, from_len);
}

static int setup(void **state)
{
    struct server *s = calloc(1, sizeof(*s));
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sa);
    char servers[64];
    struct nr_epoll_conf conf = {.dns_servers = servers};

    assert_non_null(s);
    s->fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&sa, &len), 0);
    snprintf(servers, sizeof(servers), "127.0.0.1:%u", (unsigned)ntohs(sa.sin_port));
    assert_int_equal(nr_io_new_epoll(&conf, &s->io, NULL), NR_OK);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct server *s = *state;

    nr_io_free(s->io);
    close(s->fd);
    free(s);
    return 0;
}

struct lookup {
    struct nr_resolve resolve;
    int calls;
};

static void on_resolved(struct nr_op *op)
{
    nr_container_of(op, struct lookup, resolve.op)->calls++;
}

static void start(struct server *s, struct lookup *l, const char *name)
{
    static const struct nr_op_kind kind = {on_resolved, "test.resolve"};

    memset(l, 0, sizeof(*l));
    nr_op_init(&l->resolve.op, &kind);
    l->resolve.name = name;
    l->resolve.port = 443;
    nr_io_resolve(s->io, &l->resolve);
    assert_int_equal(l->calls, 0);
}

static void finish(struct server *s, struct lookup *l)
{
    for (int i = 0; i < 3000 && l->calls == 0; i++) {
        nr_epoll_turn(s->io, ms_ns);
        serve(s);
    }
    assert_int_equal(l->calls, 1);
}

static void answers_become_addresses(void **state)
{
    static const struct {
        const char *name;
        enum nr_code code;
        uint32_t count, ttl_s;
    } cases[] = {
        {"one.test", NR_OK, 1, 30},         {"both.test", NR_OK, 3, 40},
        {"alias.test", NR_OK, 1, 7}, /* the alias expires first */
        {"many.test", NR_OK, 20, 101},      {"missing.test", NR_ENAME, 0, 0},
        {"empty.test", NR_ENAME, 0, 0},     /* it exists, without an address */
        {"broken.test", NR_ETIMEOUT, 0, 0}, /* the servers' trouble says nothing of the name */
    };
    struct server *s = *state;

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        struct lookup l;

        start(s, &l, cases[i].name);
        finish(s, &l);
        if (l.resolve.op.result != (int32_t)cases[i].code || l.resolve.count != cases[i].count ||
            l.resolve.ttl_s != cases[i].ttl_s)
            fail_msg("%s: code %d, %u addresses, ttl %u", cases[i].name, l.resolve.op.result,
                     l.resolve.count, l.resolve.ttl_s);
        for (uint32_t a = 0; a < l.resolve.count; a++)
            assert_int_equal(l.resolve.addrs[a].port, 443);
    }
}

static void many_at_once(void **state)
{
    enum { COUNT = 50 };
    struct server *s = *state;
    struct lookup *l = calloc(COUNT, sizeof(*l));

    for (int i = 0; i < COUNT; i++)
        start(s, &l[i], i % 2 == 0 ? "one.test" : "missing.test");
    for (int i = 0; i < COUNT; i++) {
        finish(s, &l[i]);
        assert_int_equal(l[i].resolve.op.result, i % 2 == 0 ? NR_OK : NR_ENAME);
    }
    free(l);
}

/* The answer comes after its question was taken back: nobody may be hurt. */
static void cancelled_then_answered(void **state)
{
    struct server *s = *state;
    struct lookup *l = calloc(1, sizeof(*l)), other;

    start(s, l, "one.test");
    nr_op_cancel(s->io, &l->resolve.op);
    assert_int_equal(l->calls, 0);
    nr_epoll_turn(s->io, 0);
    assert_int_equal(l->calls, 1);
    assert_int_equal(l->resolve.op.result, NR_ECANCELED);
    free(l);
    start(s, &other, "both.test");
    finish(s, &other);
    assert_true(s->questions >= 3);
}

/* A server that never answers, and an engine that ends meanwhile. */
static void cancelled_and_freed(void **state)
{
    struct server *s = *state;
    struct lookup l;

    s->silent = true;
    start(s, &l, "one.test");
    for (int i = 0; i < 10; i++) {
        nr_epoll_turn(s->io, ms_ns);
        serve(s);
    }
    assert_true(s->questions > 0);
    assert_int_equal(l.calls, 0);
    nr_op_cancel(s->io, &l.resolve.op);
    finish(s, &l);
    assert_int_equal(l.resolve.op.result, NR_ECANCELED);
}

#define STORY(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(answers_become_addresses),
        STORY(many_at_once),
        STORY(cancelled_then_answered),
        STORY(cancelled_and_freed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
