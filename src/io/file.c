/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a file at once. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "io/epoll_engine.h"

static enum nr_code explain(const char *path, int error, struct nr_err *err)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR: return nr_err_set(err, NR_ENOENT, "cannot read %s: no such file", path);
    case EACCES:
    case EPERM: return nr_err_set(err, NR_EACCESS, "cannot read %s: permission denied", path);
    case EMFILE:
    case ENFILE: return nr_err_set(err, NR_EFILES, "cannot read %s: out of file descriptors", path);
    default: return nr_err_set(err, NR_EIO, "cannot read %s: %s", path, strerror(error));
    }
}

/* Reads until the end or until room is full. -1: errno. */
static ssize_t read_all(int fd, char *to, size_t room)
{
    size_t len = 0;

    while (len < room) {
        ssize_t n = read(fd, to + len, room - len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    return (ssize_t)len;
}

/* The size that stat tells is where to begin: files in /proc say 0, and a file may grow. */
static enum nr_code read_fd(int fd, const char *path, size_t bytes_max, char **ret_bytes,
                            size_t *ret_len, struct nr_err *err)
{
    struct stat st;
    size_t len = 0, room;
    char *bytes = NULL;

    if (fstat(fd, &st) != 0)
        return explain(path, errno, err);
    if (S_ISDIR(st.st_mode))
        return nr_err_set(err, NR_EIO, "cannot read %s: it is a directory", path);
    room = st.st_size > 0 && (uint64_t)st.st_size < bytes_max ? (size_t)st.st_size + 1 : 4096;
    for (;;) {
        ssize_t n;

        bytes = realloc(bytes, room + 1);
        nr_assert(bytes != NULL);
        n = read_all(fd, bytes + len, room - len);
        if (n < 0) {
            int error = errno;

            free(bytes);
            return explain(path, error, err);
        }
        len += (size_t)n;
        if (len > bytes_max) {
            free(bytes);
            return nr_err_set(err, NR_ELIMIT, "cannot read %s: it is larger than %zu bytes", path,
                              bytes_max);
        }
        if (len < room)
            break;
        room *= 2;
    }
    bytes[len] = '\0';
    *ret_bytes = bytes;
    *ret_len = len;
    return NR_OK;
}

enum nr_code nr_file_read(struct nr_io *io, const char *path, size_t bytes_max, char **ret_bytes,
                          size_t *ret_len, struct nr_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum nr_code code;

    if (fd < 0)
        return explain(path, errno, err);
    code = read_fd(fd, path, bytes_max, ret_bytes, ret_len, err);
    close(fd);
    return code;
}
