/* SPDX-License-Identifier: Apache-2.0 */
/* handover.c - sockets in, sockets out.
 *
 * Between fork and exec of a process with threads only async-signal-safe functions may be called
 * (fork(2)), so everything is laid out before: arguments, environment with room for the child's
 * process id, and the numbers of the descriptors. */
#include "io/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "io/epoll_engine.h"
#include "io/process.h"

enum {
    FIRST_FD = 3, /* SD_LISTEN_FDS_START */
    PID_DIGITS = 10,
    ARGUMENT_BYTES_MAX = 256 * 1024,
};

extern char **environ;

/* ---- in ---- */

/* -1: no number. */
static long number_of(const char *name)
{
    const char *text = getenv(name);
    char *end;
    long number;

    if (text == NULL || *text < '0' || *text > '9')
        return -1;
    errno = 0;
    number = strtol(text, &end, 10);
    return errno == 0 && *end == '\0' ? number : -1;
}

static bool look_at(int fd, struct nr_inherited *to)
{
    struct sockaddr_storage sa;
    struct sockaddr_un *un = (struct sockaddr_un *)(void *)&sa;
    socklen_t len = sizeof(sa);
    size_t path_len;

    memset(&sa, 0, sizeof(sa));
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
        return false;
    *to = (struct nr_inherited){.fd = fd};
    if (sa.ss_family != AF_UNIX) {
        to->address = nr_sockaddr_to((const struct sockaddr *)&sa);
        return true;
    }
    path_len = len - offsetof(struct sockaddr_un, sun_path);
    if (path_len > sizeof(un->sun_path))
        path_len = sizeof(un->sun_path);
    memcpy(to->path, un->sun_path, path_len);
    if (path_len > 0 && to->path[0] == '\0')
        to->path[0] = '@';
    to->address.family = NR_ADDR_UNIX;
    to->address.path = to->path;
    return true;
}

uint32_t nr_inherited_sockets(struct nr_inherited *to, uint32_t max)
{
    long pid = number_of("LISTEN_PID"), fds = number_of("LISTEN_FDS");
    uint32_t count = 0;

    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    if (pid != (long)getpid() || fds <= 0)
        return 0;
    for (long i = 0; i < fds && count < max; i++) {
        if (!look_at(FIRST_FD + (int)i, &to[count]))
            continue;
        if (to[count].address.family == NR_ADDR_UNIX)
            to[count].address.path = to[count].path;
        count++;
    }
    return count;
}

int nr_inherited_ready_fd(void)
{
    long fd = number_of("NARU_READY_FD");

    unsetenv("NARU_READY_FD");
    if (fd < FIRST_FD || fd > 65535 || fcntl((int)fd, F_SETFD, FD_CLOEXEC) != 0)
        return -1;
    return (int)fd;
}

void nr_inherited_report_ready(int ready_fd)
{
    if (ready_fd < 0)
        return;
    (void)!write(ready_fd, "1", 1);
    close(ready_fd);
}

int nr_inherited_take(struct nr_inherited *sockets, uint32_t count, const struct nr_addr *address)
{
    for (uint32_t i = 0; i < count; i++) {
        struct nr_addr have = sockets[i].address;
        int fd = sockets[i].fd;

        if (address->port == 0) /* whichever was chosen when it was bound first */
            have.port = 0;
        if (fd < 0 || !nr_addr_eq(&have, address))
            continue;
        sockets[i].fd = -1;
        return fd;
    }
    return -1;
}

/* ---- out ---- */

struct launch {
    char path[4096];
    char *arguments; /* as /proc/self/cmdline has them */
    char **argv;
    char **envp;
    char pid[32]; /* "LISTEN_PID=…": the child writes its own */
    char fds[32];
    char ready[32];
    int *from; /* descriptors to hand over, the pipe last */
    uint32_t count;
};

static void launch_done(struct launch *launch)
{
    free(launch->arguments);
    free(launch->argv);
    free(launch->envp);
    free(launch->from);
}

/* When the file was replaced by another, the link says so behind the path, which is the new one's.
 */
static bool find_program(struct launch *launch)
{
    static const char gone[] = " (deleted)";
    ssize_t len = readlink("/proc/self/exe", launch->path, sizeof(launch->path) - 1);
    size_t cut = sizeof(gone) - 1;

    if (len <= 0)
        return false;
    launch->path[len] = '\0';
    if ((size_t)len > cut && strcmp(launch->path + len - cut, gone) == 0)
        launch->path[(size_t)len - cut] = '\0';
    return access(launch->path, X_OK) == 0;
}

static bool copy_arguments(struct launch *launch)
{
    size_t len = 0, count = 0;

    if (nr_process_read_file("/proc/self/cmdline", ARGUMENT_BYTES_MAX, &launch->arguments, &len,
                             NULL) != NR_OK ||
        len == 0)
        return false;
    launch->argv = calloc(len + 1, sizeof(char *));
    nr_assert(launch->argv != NULL);
    for (size_t at = 0; at < len; at += strlen(launch->arguments + at) + 1)
        launch->argv[count++] = launch->arguments + at;
    return true;
}

static void make_environment(struct launch *launch)
{
    static const char *const ours[] = {
        "LISTEN_PID=", "LISTEN_FDS=", "LISTEN_FDNAMES=", "NARU_READY_FD="};
    size_t count = 0, kept = 0;

    while (environ[count] != NULL)
        count++;
    launch->envp = calloc(count + 4, sizeof(char *));
    nr_assert(launch->envp != NULL);
    for (size_t i = 0; i < count; i++) {
        bool replaced = false;

        for (size_t k = 0; k < NR_COUNT(ours); k++)
            replaced = replaced || strncmp(environ[i], ours[k], strlen(ours[k])) == 0;
        if (!replaced)
            launch->envp[kept++] = environ[i];
    }
    snprintf(launch->pid, sizeof(launch->pid), "LISTEN_PID=%0*d", PID_DIGITS, 0);
    snprintf(launch->fds, sizeof(launch->fds), "LISTEN_FDS=%u", launch->count - 1);
    snprintf(launch->ready, sizeof(launch->ready), "NARU_READY_FD=%u",
             FIRST_FD + launch->count - 1);
    launch->envp[kept++] = launch->pid;
    launch->envp[kept++] = launch->fds;
    launch->envp[kept] = launch->ready;
}

/* In the child: nothing but system calls. */
static void become(struct launch *launch)
{
    uint32_t last = FIRST_FD + launch->count;
    size_t at = strlen("LISTEN_PID=") + PID_DIGITS;
    sigset_t none;
    int pid = getpid();

    for (; pid > 0; pid /= 10)
        launch->pid[--at] = (char)('0' + pid % 10);
    for (uint32_t i = 0; i < launch->count; i++) { /* out of the way of their new numbers */
        launch->from[i] = fcntl(launch->from[i], F_DUPFD_CLOEXEC, (int)last);
        if (launch->from[i] < 0)
            _exit(127);
    }
    for (uint32_t i = 0; i < launch->count; i++)
        if (dup2(launch->from[i], FIRST_FD + (int)i) < 0)
            _exit(127);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(launch->path, launch->argv, launch->envp);
    _exit(127);
}

static enum nr_code launch_it(struct launch *launch, int write_end, int *ret_pid,
                              struct nr_err *err)
{
    int pid;

    launch->from[launch->count - 1] = write_end;
    if (!find_program(launch))
        return nr_err_set(err, NR_ENOENT, "there is no program at %s", launch->path);
    if (!copy_arguments(launch))
        return nr_err_set(err, NR_EIO, "cannot read /proc/self/cmdline");
    make_environment(launch);
    pid = fork();
    if (pid == 0)
        become(launch);
    if (pid < 0)
        return nr_err_set(err, NR_ELIMIT, "cannot start a process: %s", strerror(errno));
    *ret_pid = pid;
    return NR_OK;
}

enum nr_code nr_successor_start(const int *fds, uint32_t count, struct nr_successor *ret_successor,
                                struct nr_err *err)
{
    struct launch launch = {.count = count + 1};
    enum nr_code code;
    int ends[2], pid = 0;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return nr_err_set(err, NR_EFILES, "cannot open a pipe: %s", strerror(errno));
    launch.from = calloc(count + 1, sizeof(int));
    nr_assert(launch.from != NULL);
    memcpy(launch.from, fds, count * sizeof(int));
    code = launch_it(&launch, ends[1], &pid, err);
    launch_done(&launch);
    close(ends[1]); /* ours: the child's end is what keeps the pipe open */
    if (code != NR_OK) {
        close(ends[0]);
        return code;
    }
    *ret_successor = (struct nr_successor){.pid = pid, .ready_fd = ends[0]};
    return NR_OK;
}

static enum nr_code reap(struct nr_successor *successor, bool in_time, struct nr_err *err)
{
    int status = 0;

    kill(successor->pid, SIGKILL);
    while (waitpid(successor->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (!in_time)
        return nr_err_set(err, NR_ETIMEOUT, "it did not get ready in time and was killed");
    if (WIFEXITED(status))
        return nr_err_set(err, NR_EIO, "it ended with exit code %d: see what it wrote",
                          WEXITSTATUS(status));
    return nr_err_set(err, NR_EIO, "it ended by signal %d", WTERMSIG(status));
}

enum nr_code nr_successor_wait(struct nr_successor *successor, uint32_t timeout_ms,
                               struct nr_err *err)
{
    struct pollfd end = {.fd = successor->ready_fd, .events = POLLIN};
    int polled;
    ssize_t got = 0;
    char byte;

    do
        polled = poll(&end, 1, (int)timeout_ms);
    while (polled < 0 && errno == EINTR);
    if (polled > 0)
        got = read(successor->ready_fd, &byte, 1);
    close(successor->ready_fd);
    successor->ready_fd = -1;
    if (got == 1)
        return NR_OK;
    if (polled > 0) /* it closed its end, so it is about to end: let it say with what code */
        usleep(100000);
    return reap(successor, polled > 0, err);
}

void nr_successor_cancel(const struct nr_successor *successor)
{
    kill(successor->pid, SIGTERM);
}
