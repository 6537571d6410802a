/* SPDX-License-Identifier: Apache-2.0 */
/* openloop.c - latency as a user sees it: requests leave when they are due, not when the one before
 * has been answered.
 *
 *     bench-openloop PORT CONNECTIONS RATE SECONDS PATH
 *
 * A closed loop waits for a slow answer and asks nothing meanwhile, so the worst times are the
 * least counted. Here arrivals are a Poisson process of RATE a second, always the same one (fixed
 * seed), and a request's latency runs from the instant at which it was due, be it that no
 * connection was free or that this very program was late. Connections take turns, so each is used.
 *
 * Prints one JSON object: requests (answered with 200), failed (sent, but not answered or
 * otherwise; or no connection), closed (connections that the proxy closed while nothing was asked
 * on them; opened again), and the latency in microseconds. Ends early, with what it has, on
 * SIGTERM. */
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_MAX = 256, HEAD_BYTES_MAX = 4096, WAIT_MAX_NS = 100 * 1000 * 1000 };

struct conn {
    int fd;
    struct conn *next; /* of the idle ones */
    bool busy;
    uint64_t due_ns;    /* of the request under way */
    uint64_t body_left; /* once the head is there */
    size_t have;        /* bytes in head; 0 again in the body */
    char head[HEAD_BYTES_MAX + 1];
};

struct bench {
    int epoll_fd;
    struct sockaddr_in to;
    char request[1024];
    size_t request_len;
    struct conn *conns;
    struct conn *idle_first, *idle_last;
    uint64_t requests, failed, closed;
    uint32_t *latencies_ns;
    uint64_t latencies_max;
    uint64_t random;
};

static volatile sig_atomic_t stop_asked;

static void on_term(int signo)
{
    (void)signo;
    stop_asked = 1;
}

static uint64_t clock_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t next_gap_ns(struct bench *b, double rate)
{
    double uniform;

    b->random ^= b->random << 13; /* xorshift64, Marsaglia 2003 */
    b->random ^= b->random >> 7;
    b->random ^= b->random << 17;
    uniform = (double)(b->random >> 11) / 9007199254740992.0;
    return (uint64_t)(-log(1.0 - uniform) * 1e9 / rate);
}

static void put_idle(struct bench *b, struct conn *conn)
{
    conn->busy = false;
    conn->next = NULL;
    if (b->idle_last != NULL)
        b->idle_last->next = conn;
    else
        b->idle_first = conn;
    b->idle_last = conn;
}

static struct conn *take_idle(struct bench *b)
{
    struct conn *conn = b->idle_first;

    if (conn != NULL) {
        b->idle_first = conn->next;
        if (b->idle_first == NULL)
            b->idle_last = NULL;
    }
    return conn;
}

static bool open_conn(struct bench *b, struct conn *conn)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
    int one = 1;

    conn->have = 0;
    conn->body_left = 0;
    conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (conn->fd < 0 || connect(conn->fd, (struct sockaddr *)&b->to, sizeof(b->to)) != 0) {
        if (conn->fd >= 0)
            close(conn->fd);
        conn->fd = -1;
        return false;
    }
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return epoll_ctl(b->epoll_fd, EPOLL_CTL_ADD, conn->fd, &event) == 0;
}

/* The connection is of no use any more: a new one takes its place. */
static void reopen(struct bench *b, struct conn *conn)
{
    if (conn->fd >= 0)
        close(conn->fd);
    if (!open_conn(b, conn))
        b->failed++; /* tried again when its turn comes */
}

static void fail(struct bench *b, struct conn *conn)
{
    b->failed++;
    reopen(b, conn);
    put_idle(b, conn);
}

static void ask(struct bench *b, struct conn *conn, uint64_t due_ns)
{
    conn->busy = true;
    conn->due_ns = due_ns;
    if (conn->fd < 0 && !open_conn(b, conn)) {
        b->failed++;
        put_idle(b, conn);
        return;
    }
    if (send(conn->fd, b->request, b->request_len, MSG_NOSIGNAL) != (ssize_t)b->request_len)
        fail(b, conn);
}

static void answered(struct bench *b, struct conn *conn, bool last)
{
    uint64_t took_ns = clock_ns() - conn->due_ns;

    if (b->requests < b->latencies_max)
        b->latencies_ns[b->requests] = took_ns < UINT32_MAX ? (uint32_t)took_ns : UINT32_MAX;
    b->requests++;
    conn->have = 0;
    if (last)
        reopen(b, conn); /* "Connection: close" was said, in good time: nothing is lost */
    put_idle(b, conn);
}

/* Bytes are in conn->head. False: not an answer as wanted. */
static bool read_head(struct bench *b, struct conn *conn)
{
    char *end, *length;
    size_t head_bytes, behind;
    bool last;

    conn->head[conn->have] = '\0';
    end = strstr(conn->head, "\r\n\r\n");
    if (end == NULL)
        return conn->have < HEAD_BYTES_MAX;
    *end = '\0';
    length = strcasestr(conn->head, "\r\ncontent-length:");
    if (strncmp(conn->head, "HTTP/1.1 200", 12) != 0 || length == NULL)
        return false;
    last = strcasestr(conn->head, "\r\nconnection: close") != NULL;
    head_bytes = (size_t)(end - conn->head) + 4;
    behind = conn->have - head_bytes;
    conn->body_left = strtoull(length + 17, NULL, 10);
    if (behind > conn->body_left || last)
        return last && behind == conn->body_left ? (answered(b, conn, true), true) : false;
    conn->body_left -= behind;
    if (conn->body_left == 0)
        answered(b, conn, false);
    else
        conn->have = 0;
    return true;
}

static void receive(struct bench *b, struct conn *conn)
{
    static char sink[256 * 1024];
    bool body = conn->body_left > 0;
    ssize_t got = body ? read(conn->fd, sink, sizeof(sink))
                       : read(conn->fd, conn->head + conn->have, HEAD_BYTES_MAX - conn->have);

    if (!conn->busy) { /* closed while idle; it stays in the line with a new connection */
        b->closed++;
        reopen(b, conn);
        return;
    }
    if (got <= 0) {
        fail(b, conn);
    } else if (!body) {
        conn->have += (size_t)got;
        if (!read_head(b, conn))
            fail(b, conn);
    } else if ((uint64_t)got > conn->body_left) {
        fail(b, conn);
    } else {
        conn->body_left -= (uint64_t)got;
        if (conn->body_left == 0)
            answered(b, conn, false);
    }
}

static void wait_until(struct bench *b, uint64_t until_ns)
{
    struct epoll_event events[EVENTS_MAX];
    uint64_t now_ns = clock_ns();
    uint64_t wait_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    struct timespec timeout;
    int count;

    if (wait_ns > WAIT_MAX_NS)
        wait_ns = WAIT_MAX_NS;
    timeout = (struct timespec){.tv_nsec = (long)wait_ns};
    count = epoll_pwait2(b->epoll_fd, events, EVENTS_MAX, &timeout, NULL);
    for (int i = 0; i < count; i++)
        receive(b, events[i].data.ptr);
}

static void run(struct bench *b, double rate, double seconds)
{
    uint64_t due_ns = clock_ns() + 1000000u;
    uint64_t end_ns = due_ns + (uint64_t)(seconds * 1e9);
    uint64_t unasked = 0;

    while (!stop_asked && due_ns < end_ns) {
        struct conn *conn;

        if (clock_ns() < due_ns || b->idle_first == NULL) {
            /* With all connections busy the request waits, and its clock runs. */
            wait_until(b, b->idle_first == NULL ? clock_ns() + WAIT_MAX_NS : due_ns);
            if (clock_ns() > end_ns + 2000000000u) {
                unasked = (uint64_t)((double)(end_ns - due_ns) / 1e9 * rate);
                break;
            }
            continue;
        }
        conn = take_idle(b);
        ask(b, conn, due_ns);
        due_ns += next_gap_ns(b, rate);
    }
    b->failed += unasked;
}

/* Answers that are still due. */
static void finish(struct bench *b, int connections)
{
    uint64_t until_ns = clock_ns() + 2000000000u;
    int busy = 1;

    while (busy > 0 && clock_ns() < until_ns) {
        busy = 0;
        for (int i = 0; i < connections; i++)
            busy += b->conns[i].busy;
        if (busy > 0)
            wait_until(b, until_ns);
    }
    b->failed += (uint64_t)busy;
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static double quantile_us(const struct bench *b, double share)
{
    uint64_t count = b->requests < b->latencies_max ? b->requests : b->latencies_max;
    uint64_t index = (uint64_t)(share * (double)count);

    if (count == 0)
        return 0;
    return b->latencies_ns[index < count ? index : count - 1] / 1e3;
}

int main(int argc, char **argv)
{
    struct bench b = {.random = 88172645463325252u};
    int connections;
    double rate, seconds;

    if (argc != 6) {
        fprintf(stderr, "usage: bench-openloop PORT CONNECTIONS RATE SECONDS PATH\n");
        return 2;
    }
    connections = atoi(argv[2]);
    rate = atof(argv[3]);
    seconds = atof(argv[4]);
    signal(SIGTERM, on_term);
    prctl(PR_SET_TIMERSLACK, 1000); /* the default of 50 us would be most of what we measure */
    b.to = (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)atoi(argv[1])),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    b.request_len = (size_t)snprintf(b.request, sizeof(b.request),
                                     "GET %s HTTP/1.1\r\nHost: bench\r\n\r\n", argv[5]);
    b.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    b.latencies_max = (uint64_t)(rate * seconds * 1.2) + 1000;
    b.latencies_ns = calloc(b.latencies_max, sizeof(b.latencies_ns[0]));
    b.conns = calloc((size_t)connections, sizeof(b.conns[0]));
    if (b.latencies_ns == NULL || b.conns == NULL || b.epoll_fd < 0)
        abort();
    for (int i = 0; i < connections; i++) {
        if (!open_conn(&b, &b.conns[i])) {
            perror("bench-openloop: connect");
            return 1;
        }
        put_idle(&b, &b.conns[i]);
    }
    run(&b, rate, seconds);
    finish(&b, connections);
    qsort(b.latencies_ns, b.requests < b.latencies_max ? b.requests : b.latencies_max,
          sizeof(b.latencies_ns[0]), ascending);
    printf("{\"requests\": %llu, \"failed\": %llu, \"closed\": %llu, \"p50_us\": %.1f, "
           "\"p90_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f}\n",
           (unsigned long long)b.requests, (unsigned long long)b.failed,
           (unsigned long long)b.closed, quantile_us(&b, 0.5), quantile_us(&b, 0.9),
           quantile_us(&b, 0.99), quantile_us(&b, 0.999), quantile_us(&b, 1.0));
    return 0;
}
