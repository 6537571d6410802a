/* SPDX-License-Identifier: Apache-2.0 */
/* crowd.c - thousands of connections at once: some idle, some each with a request under way.
 *
 *     bench-crowd PORT IDLE BUSY
 *
 * Opens IDLE connections, each of which makes one request and keeps still, then BUSY ones that ask
 * for /hold, which bench-origin answers when somebody asks it for /release. Says "idle N" when the
 * idle ones have been answered and "busy N" when the requests are out; then waits for a line on
 * its stdin, which means that they are to be released by whoever sent it, reads all answers, asks
 * once more on every connection, and prints one JSON object: answered (of BUSY), alive (of all that
 * were opened: that answered again), and what was lost. Client addresses are 127.0.0.1 and up, so
 * that ports do not run out. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PER_ADDRESS = 10000, BODY_BYTES = 64, RECEIVE_S_MAX = 60 };

static int port;

static int connect_from(int number)
{
    struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
    struct timeval limit = {.tv_sec = RECEIVE_S_MAX};
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(number / PER_ADDRESS));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((uint16_t)port);
    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (bind(fd, (struct sockaddr *)&from, sizeof(from)) != 0 ||
        connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int ask(int fd, const char *path)
{
    char request[64];
    int len = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: crowd\r\n\r\n", path);

    return fd >= 0 && send(fd, request, (size_t)len, MSG_NOSIGNAL) == len;
}

/* One whole answer of BODY_BYTES with status 200. */
static int answered(int fd)
{
    char answer[2048];
    size_t have = 0;
    char *end = NULL;

    while (end == NULL || have < (size_t)(end - answer) + 4 + BODY_BYTES) {
        ssize_t got = fd < 0 || have == sizeof(answer) - 1
                          ? 0
                          : read(fd, answer + have, sizeof(answer) - 1 - have);

        if (got <= 0)
            return 0;
        have += (size_t)got;
        answer[have] = '\0';
        end = strstr(answer, "\r\n\r\n");
    }
    return strncmp(answer, "HTTP/1.1 200", 12) == 0;
}

int main(int argc, char **argv)
{
    struct rlimit files;
    int idle, busy, open_count = 0, done = 0, alive = 0;
    char path[16];
    int *fds;

    if (argc != 4) {
        fprintf(stderr, "usage: bench-crowd PORT IDLE BUSY\n");
        return 2;
    }
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    port = atoi(argv[1]);
    idle = atoi(argv[2]);
    busy = atoi(argv[3]);
    fds = calloc((size_t)(idle + busy) + 1, sizeof(*fds));
    if (fds == NULL)
        return 1;
    snprintf(path, sizeof(path), "/%d", BODY_BYTES);
    for (int i = 0; i < idle; i++) {
        fds[i] = connect_from(i);
        open_count += ask(fds[i], path) && answered(fds[i]);
    }
    printf("idle %d\n", open_count);
    fflush(stdout);
    for (int i = idle; i < idle + busy; i++) {
        fds[i] = connect_from(i);
        open_count += ask(fds[i], "/hold");
    }
    printf("busy %d\n", open_count - idle);
    fflush(stdout);
    while (getchar() != '\n' && !feof(stdin))
        continue;
    for (int i = idle; i < idle + busy; i++)
        done += answered(fds[i]);
    for (int i = 0; i < idle + busy; i++)
        alive += ask(fds[i], path) && answered(fds[i]);
    printf("{\"opened\": %d, \"answered\": %d, \"alive\": %d, \"lost\": %d}\n", open_count, done,
           alive, idle + busy - alive);
    free(fds);
    return 0;
}
