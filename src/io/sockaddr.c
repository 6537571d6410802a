/* SPDX-License-Identifier: Apache-2.0 */
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include "base/assert.h"
#include "io/epoll_engine.h"

static socklen_t from_unix(const char *path, struct sockaddr_un *un)
{
    size_t len = strlen(path);

    nr_assert(len < sizeof(un->sun_path));
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, len);
    if (path[0] != '@')
        return (socklen_t)sizeof(*un);
    un->sun_path[0] = '\0'; /* abstract: the length is part of the name, unix(7) */
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

void nr_sockaddr_from(const struct nr_addr *addr, struct sockaddr_storage *ret_sa,
                      socklen_t *ret_len)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)ret_sa;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)ret_sa;

    memset(ret_sa, 0, sizeof(*ret_sa));
    switch (addr->family) {
    case NR_ADDR_V4:
        v4->sin_family = AF_INET;
        v4->sin_port = htons(addr->port);
        memcpy(&v4->sin_addr, addr->ip, 4);
        *ret_len = sizeof(*v4);
        break;
    case NR_ADDR_V6:
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(addr->port);
        v6->sin6_scope_id = addr->scope;
        memcpy(&v6->sin6_addr, addr->ip, 16);
        *ret_len = sizeof(*v6);
        break;
    default:
        nr_assert(addr->family == NR_ADDR_UNIX && addr->path != NULL);
        *ret_len = from_unix(addr->path, (struct sockaddr_un *)(void *)ret_sa);
    }
}

struct nr_addr nr_sockaddr_to(const struct sockaddr *sa)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)sa;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)sa;
    struct nr_addr addr = {.family = NR_ADDR_NONE};

    switch (sa->sa_family) {
    case AF_INET:
        addr.family = NR_ADDR_V4;
        addr.port = ntohs(v4->sin_port);
        memcpy(addr.ip, &v4->sin_addr, 4);
        break;
    case AF_INET6:
        addr.port = ntohs(v6->sin6_port);
        if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
            addr.family = NR_ADDR_V4;
            memcpy(addr.ip, v6->sin6_addr.s6_addr + 12, 4);
        } else {
            addr.family = NR_ADDR_V6;
            addr.scope = v6->sin6_scope_id;
            memcpy(addr.ip, &v6->sin6_addr, 16);
        }
        break;
    case AF_UNIX: addr.family = NR_ADDR_UNIX; break;
    default: break;
    }
    return addr;
}
