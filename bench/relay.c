/* SPDX-License-Identifier: Apache-2.0 */
/* relay.c - the floor: what any proxy on epoll must pay.
 *
 *     bench-relay LISTEN_PORT UPSTREAM_PORT
 *
 * One upstream connection per client connection; bytes go over as they come, unparsed. A request
 * and its answer cost four system calls and a share of epoll_wait. No timeouts, no limits: it is a
 * ruler, not a proxy. Plain C on purpose, without naru's own engine, so that the engine's cost
 * shows in the difference. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_MAX = 256, BUFFER_BYTES = 64 * 1024 };

struct half {
    int fd;
    struct half *other;
};

static int epoll_fd;
static char buffer[BUFFER_BYTES];

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void watch(struct half *half)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = half};

    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, half->fd, &event) != 0)
        perror("bench-relay: epoll_ctl");
}

static int listen_on(int port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 4096) != 0) {
        perror("bench-relay: listen");
        exit(1);
    }
    return fd;
}

static void pair_up(int client, int upstream_port)
{
    struct sockaddr_in address = loopback(upstream_port);
    struct half *pair = calloc(2, sizeof(*pair));
    int upstream = socket(AF_INET, SOCK_STREAM, 0), one = 1;

    if (pair == NULL || connect(upstream, (struct sockaddr *)&address, sizeof(address)) != 0) {
        perror("bench-relay: connect");
        exit(1);
    }
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(upstream, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    pair[0] = (struct half){client, &pair[1]};
    pair[1] = (struct half){upstream, &pair[0]};
    watch(&pair[0]);
    watch(&pair[1]);
}

/* Blocking writes: fine for a ruler whose peers always read. A closed pair's memory is left to
 * the exit, because its other half may stand in the same batch of events. */
static void relay(struct half *from)
{
    ssize_t got = read(from->fd, buffer, sizeof(buffer)), put = 0;

    while (put < got) {
        ssize_t n = write(from->other->fd, buffer + put, (size_t)(got - put));

        if (n <= 0)
            break;
        put += n;
    }
    if (got > 0 && put == got)
        return;
    close(from->fd);
    close(from->other->fd);
    from->fd = from->other->fd = -1;
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS_MAX];
    struct half listener;

    if (argc != 3) {
        fprintf(stderr, "usage: bench-relay LISTEN_PORT UPSTREAM_PORT\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    epoll_fd = epoll_create1(0);
    listener = (struct half){.fd = listen_on(atoi(argv[1]))};
    watch(&listener);
    for (;;) {
        int count = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);

        for (int i = 0; i < count; i++) {
            struct half *half = events[i].data.ptr;

            if (half == &listener)
                pair_up(accept(listener.fd, NULL, NULL), atoi(argv[2]));
            else if (half->fd >= 0)
                relay(half);
        }
    }
}
