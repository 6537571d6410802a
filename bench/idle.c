/* SPDX-License-Identifier: Apache-2.0 */
/* idle.c - open many keep-alive connections, make one request on each, and hold them.
 *
 *     bench-idle PORT COUNT     says "held N" when all have been answered; ends with its stdin */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static int open_one(int port)
{
    static const char request[] = "GET /1024 HTTP/1.1\r\nHost: bench\r\n\r\n";
    struct sockaddr_in address = {.sin_family = AF_INET};
    char answer[4096];
    size_t have = 0;
    char *head_end = NULL;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        write(fd, request, sizeof(request) - 1) < 0)
        return -1;
    while (head_end == NULL || have < (size_t)(head_end - answer) + 4 + 1024) {
        ssize_t got = read(fd, answer + have, sizeof(answer) - 1 - have);

        if (got <= 0)
            return -1;
        have += (size_t)got;
        answer[have] = '\0';
        head_end = strstr(answer, "\r\n\r\n");
    }
    return fd;
}

int main(int argc, char **argv)
{
    struct rlimit files;
    int count;

    if (argc != 3) {
        fprintf(stderr, "usage: bench-idle PORT COUNT\n");
        return 2;
    }
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    count = atoi(argv[2]);
    for (int i = 0; i < count; i++) {
        if (open_one(atoi(argv[1])) < 0) {
            perror("bench-idle");
            return 1;
        }
    }
    printf("held %d\n", count);
    fflush(stdout);
    while (getchar() != EOF)
        continue;
    return 0;
}
