/* SPDX-License-Identifier: Apache-2.0 */
/* origin.c - the service behind the proxies under measurement: as cheap as can be, so that the
 * load generator and it together keep one core ahead of the proxy on the other.
 *
 *     bench-origin PORT
 *
 * GET /N answers N bytes (GET / answers 1,024). GET /hold is answered (64 bytes) when somebody asks
 * for /release, with all that are held, and the answer to that is their number. A request body of
 * announced length is read and dropped, then answered. A request to upgrade gets 101, then its
 * bytes back. Requests are taken on trust: it only ever meets proxies. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { EVENTS_MAX = 256, HEAD_BYTES_MAX = 8192, BODY_BYTES_MAX = 1 << 20 };

struct conn {
    int fd;
    struct conn *next_held;
    size_t have; /* bytes in head */
    size_t skip; /* body bytes still to be dropped */
    int echo;    /* upgraded */
    char head[HEAD_BYTES_MAX + 1];
};

static struct conn *held; /* none of them closes meanwhile: naru keeps its side */
static char body[BODY_BYTES_MAX];
static char sink[256 * 1024];

static void answer(const struct conn *conn, size_t bytes)
{
    char head[128];
    int head_bytes = snprintf(head, sizeof(head),
                              "HTTP/1.1 200 OK\r\nServer: origin\r\nContent-Type: text/plain\r\n"
                              "Content-Length: %zu\r\n\r\n",
                              bytes);
    struct iovec parts[2] = {{head, (size_t)head_bytes}, {body, bytes}};

    if (writev(conn->fd, parts, 2) < 0) /* blocking, so it takes all; an error shows at the read */
        return;
}

static void upgrade(struct conn *conn)
{
    static const char head[] = "HTTP/1.1 101 Switching Protocols\r\n"
                               "Connection: Upgrade\r\nUpgrade: bench\r\n\r\n";

    conn->echo = 1;
    if (write(conn->fd, head, sizeof(head) - 1) < 0)
        return;
}

static void hold(struct conn *conn)
{
    conn->next_held = held;
    held = conn;
}

static void release(const struct conn *asker)
{
    char text[64];
    int count = 0, len;

    for (; held != NULL; held = held->next_held, count++)
        answer(held, 64);
    len = snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n%9d\n", count);
    if (write(asker->fd, text, (size_t)len) < 0)
        return;
}

static size_t content_length(const char *head)
{
    const char *field = strcasestr(head, "\r\ncontent-length:");

    return field == NULL ? 0 : (size_t)strtoul(field + 17, NULL, 10);
}

/* Serve every complete head that is there. */
static void serve(struct conn *conn)
{
    char *end;

    conn->head[conn->have] = '\0';
    while ((end = strstr(conn->head, "\r\n\r\n")) != NULL) {
        size_t head_bytes = (size_t)(end - conn->head) + 4;
        size_t behind = conn->have - head_bytes, length, want;
        const char *path = strchr(conn->head, ' ');
        int is_hold, is_release;

        *end = '\0';
        if (strcasestr(conn->head, "\r\nupgrade:") != NULL) {
            upgrade(conn);
            return;
        }
        is_hold = path != NULL && strncmp(path, " /hold ", 7) == 0;
        is_release = path != NULL && strncmp(path, " /release ", 10) == 0;
        length = content_length(conn->head);
        want = path != NULL && path[1] == '/' ? (size_t)strtoul(path + 2, NULL, 10) : 0;
        if (length > behind) {
            conn->skip = length - behind;
            length = behind;
        }
        memmove(conn->head, conn->head + head_bytes + length, behind - length + 1);
        conn->have = behind - length;
        conn->head[conn->have] = '\0';
        if (is_hold)
            hold(conn);
        else if (is_release)
            release(conn);
        else if (conn->skip == 0)
            answer(conn, want == 0 ? 1024 : want <= BODY_BYTES_MAX ? want : BODY_BYTES_MAX);
    }
}

static int receive(struct conn *conn)
{
    ssize_t got;

    if (conn->echo) {
        got = read(conn->fd, sink, sizeof(sink));
        return got > 0 && write(conn->fd, sink, (size_t)got) == got ? 0 : -1;
    }
    if (conn->skip > 0) {
        got = read(conn->fd, sink, conn->skip < sizeof(sink) ? conn->skip : sizeof(sink));
        if (got <= 0)
            return -1;
        conn->skip -= (size_t)got;
        if (conn->skip == 0)
            answer(conn, 2);
        return 0;
    }
    got = read(conn->fd, conn->head + conn->have, HEAD_BYTES_MAX - conn->have);
    if (got <= 0)
        return -1;
    conn->have += (size_t)got;
    serve(conn);
    return 0;
}

static void take_in(int epoll_fd, int listener)
{
    struct conn *conn = calloc(1, sizeof(*conn));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
    int one = 1;

    if (conn == NULL)
        abort();
    conn->fd = accept(listener, NULL, NULL);
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, conn->fd, &event);
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct epoll_event events[EVENTS_MAX], event = {.events = EPOLLIN};
    struct rlimit files;
    int listener = socket(AF_INET, SOCK_STREAM, 0), epoll_fd = epoll_create1(0), one = 1;

    if (argc != 2) {
        fprintf(stderr, "usage: bench-origin PORT\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    memset(body, 'x', sizeof(body));
    address.sin_port = htons((uint16_t)atoi(argv[1]));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(listener, 4096) != 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event) != 0) {
        perror("bench-origin: listen");
        return 1;
    }
    for (;;) {
        int count = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);

        for (int i = 0; i < count; i++) {
            struct conn *conn = events[i].data.ptr;

            if (conn == NULL) {
                take_in(epoll_fd, listener);
            } else if (receive(conn) != 0) {
                close(conn->fd);
                free(conn);
            }
        }
    }
}
