/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a listening socket, with an error text that says what to do. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/epoll_engine.h"

static const uint32_t unix_mode_default = 0660;

static enum nr_code explain(const struct nr_addr *address, int error, struct nr_err *err)
{
    char text[NR_ADDR_TEXT_BYTES];
    bool local = address->family == NR_ADDR_UNIX;

    nr_addr_format(address, text, sizeof(text));
    switch (error) {
    case EADDRINUSE:
        if (local)
            return nr_err_set(err, NR_EADDRINUSE,
                              "cannot listen on %s: address in use; another process listens there: "
                              "ss -lxp 'src = %s' shows it",
                              text, address->path);
        return nr_err_set(err, NR_EADDRINUSE,
                          "cannot listen on %s: address in use; another process listens there: "
                          "ss -ltnp 'sport = :%u' shows it",
                          text, (unsigned)address->port);
    case EACCES:
    case EPERM:
        if (local)
            return nr_err_set(err, NR_EACCESS,
                              "cannot listen on %s: permission denied; its directory must be "
                              "writable for the user that naru runs as",
                              text);
        return nr_err_set(err, NR_EACCESS,
                          "cannot listen on %s: permission denied; use a port above 1023 or give "
                          "the binary CAP_NET_BIND_SERVICE",
                          text);
    case EADDRNOTAVAIL:
        return nr_err_set(err, NR_EINVAL,
                          "cannot listen on %s: this machine has no such address; 'ip addr' lists "
                          "those it has",
                          text);
    case EMFILE:
    case ENFILE:
        return nr_err_set(err, NR_EFILES,
                          "cannot listen on %s: out of file descriptors; raise the limit "
                          "(ulimit -n, or LimitNOFILE= in the unit)",
                          text);
    case ENOENT:
    case ENOTDIR:
        return nr_err_set(err, NR_ENOENT, "cannot listen on %s: its directory does not exist",
                          text);
    case EEXIST:
        return nr_err_set(err, NR_EEXIST,
                          "cannot listen on %s: there is something that is not a socket; remove it "
                          "or use another path",
                          text);
    case EAFNOSUPPORT:
        return nr_err_set(err, NR_EUNSUPPORTED, "cannot listen on %s: this machine has no IPv6",
                          text);
    default: return nr_err_set(err, NR_EIO, "cannot listen on %s: %s", text, strerror(error));
    }
}

/* A socket file that nobody listens on is left over from a process that died: remove it.
 * 0, or the errno that tells why bind would be wrong. */
static int remove_stale(const char *path, const struct sockaddr *sa, socklen_t len)
{
    struct stat st;
    int fd, error;

    if (lstat(path, &st) != 0)
        return errno == ENOENT ? 0 : errno;
    if (!S_ISSOCK(st.st_mode))
        return EEXIST;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    error = connect(fd, sa, len) == 0 ? 0 : errno;
    close(fd);
    if (error != ECONNREFUSED)
        return error == EACCES ? EACCES : EADDRINUSE;
    return unlink(path) == 0 || errno == ENOENT ? 0 : errno;
}

static int bind_unix(int fd, const struct nr_listen_conf *conf, const struct sockaddr *sa,
                     socklen_t len, bool *ret_created)
{
    const char *path = conf->address.path;
    mode_t mode = (mode_t)(conf->unix_mode != 0 ? conf->unix_mode : unix_mode_default);
    int error;

    if (path[0] == '@')
        return bind(fd, sa, len) == 0 ? 0 : errno;
    error = remove_stale(path, sa, len);
    if (error != 0)
        return error;
    /* bind(2) makes the file with the mode of the socket's inode less the umask: set it before,
     * so that at no moment more is permitted, and again after, for what the umask took. */
    if (fchmod(fd, mode) != 0 || bind(fd, sa, len) != 0)
        return errno;
    *ret_created = true;
    return chmod(path, mode) == 0 ? 0 : errno;
}

static int bind_ip(int fd, const struct nr_addr *address, const struct sockaddr *sa, socklen_t len)
{
    const int on = 1, off = 0;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    /* Accepted sockets inherit it, which saves a call for each. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (address->family == NR_ADDR_V6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    return bind(fd, sa, len) == 0 ? 0 : errno;
}

/* "Every address" is [::] with v4 mapped, or 0.0.0.0 on a machine without IPv6. */
static int open_socket(struct nr_addr *address, struct sockaddr_storage *sa, socklen_t *len)
{
    static const uint8_t any[16];
    int fd;

    nr_sockaddr_from(address, sa, len);
    fd = socket(sa->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 && errno == EAFNOSUPPORT && memcmp(address->ip, any, sizeof(any)) == 0) {
        address->family = NR_ADDR_V4;
        nr_sockaddr_from(address, sa, len);
        fd = socket(sa->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    }
    return fd;
}

static enum nr_code adopt(const struct nr_listen_conf *conf, struct nr_err *err)
{
    int flags = fcntl(conf->inherited_fd, F_GETFL);
    const int off = 0;
    int listens = 0;
    socklen_t len = sizeof(listens);

    if (flags < 0 ||
        getsockopt(conf->inherited_fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) != 0 || !listens)
        return nr_err_set(err, NR_EINVAL,
                          "inherited descriptor %d is not a listening socket; pass it as systemd "
                          "does (LISTEN_FDS) or drop the setting",
                          conf->inherited_fd);
    fcntl(conf->inherited_fd, F_SETFL, flags | O_NONBLOCK);
    fcntl(conf->inherited_fd, F_SETFD, FD_CLOEXEC);
    /* Whoever had it before may have wished otherwise: see nr_listener_client_first. */
    setsockopt(conf->inherited_fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &off, sizeof(off));
    return NR_OK;
}

static struct nr_addr bound_address(int fd, const struct nr_addr *asked)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    struct nr_addr bound;

    if (asked->family == NR_ADDR_UNIX || getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
        return *asked;
    bound = nr_sockaddr_to((const struct sockaddr *)&sa);
    return bound;
}

enum nr_code nr_epoll_bind(const struct nr_listen_conf *conf, int *ret_fd,
                           struct nr_addr *ret_address, bool *ret_created, struct nr_err *err)
{
    struct nr_addr address = conf->address;
    struct sockaddr_storage sa;
    socklen_t len;
    bool created = false;
    int fd, error;

    if (conf->inherited_fd >= 0) {
        enum nr_code code = adopt(conf, err);

        if (code != NR_OK)
            return code;
        *ret_fd = conf->inherited_fd;
        *ret_address = bound_address(conf->inherited_fd, &address);
        *ret_created = false;
        return NR_OK;
    }
    fd = open_socket(&address, &sa, &len);
    if (fd < 0)
        return explain(&address, errno, err);
    if (address.family == NR_ADDR_UNIX)
        error = bind_unix(fd, conf, (struct sockaddr *)&sa, len, &created);
    else
        error = bind_ip(fd, &address, (struct sockaddr *)&sa, len);
    /* The kernel cuts the backlog to net.core.somaxconn. */
    if (error == 0 && listen(fd, conf->backlog > 0 ? conf->backlog : INT_MAX) != 0)
        error = errno;
    if (error != 0) {
        if (created)
            unlink(address.path);
        close(fd);
        return explain(&address, error, err);
    }
    *ret_fd = fd;
    *ret_address = bound_address(fd, &address);
    *ret_created = created;
    return NR_OK;
}
