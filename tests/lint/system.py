# SPDX-License-Identifier: Apache-2.0
"""Which calls belong to src/io alone, so that everything else runs in the simulator."""

import re

GROUPS = {
    "time": """clock_gettime clock_getres gettimeofday time times clock ftime timespec_get
        localtime localtime_r nanosleep clock_nanosleep usleep sleep alarm timer_create
        timer_settime setitimer timerfd_create timerfd_settime""",
    "randomness": """rand srand rand_r random srandom drand48 lrand48 mrand48 erand48 getrandom
        getentropy arc4random arc4random_uniform arc4random_buf""",
    "network": """socket socketpair bind listen accept accept4 connect shutdown send sendto sendmsg
        sendmmsg recv recvfrom recvmsg recvmmsg setsockopt getsockopt getsockname getpeername
        sendfile splice tee vmsplice poll ppoll select pselect epoll_create epoll_create1
        epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd eventfd_read eventfd_write""",
    "names": """getaddrinfo freeaddrinfo getnameinfo gethostbyname gethostbyname_r gethostbyaddr
        gethostname if_nametoindex""",
    "files": """open open64 openat openat64 creat fopen fopen64 fdopen freopen fclose fread fgets
        getline fscanf read pread pread64 readv write pwrite pwrite64 writev close lseek lseek64
        fsync fdatasync ftruncate truncate unlink unlinkat rename renameat mkdir rmdir stat stat64
        fstat fstat64 lstat lstat64 opendir readdir readdir64 closedir scandir mmap mmap64 munmap
        dup dup2 dup3 fcntl fcntl64 ioctl access chmod fchmod chown getcwd chdir realpath readlink
        symlink link pipe pipe2 inotify_init1 inotify_add_watch mkstemp flock tmpfile syscall""",
    "processes": """fork vfork execve execv execvp execl execlp posix_spawn posix_spawnp waitpid
        wait wait4 kill raise system popen pclose signal sigaction sigprocmask signalfd prctl
        getrlimit setrlimit setuid setgid daemon""",
    "threads": """sem_init sem_wait sem_post thrd_create mtx_lock cnd_wait sched_yield
        sched_setaffinity""",
}
PREFIXES = {"threads": ("pthread_",), "names": ("ares_",)}

# The program may talk to its terminal and look at its environment; a library may not. It may
# print to a stream that it is given, unless it is pure.
TERMINAL = """printf vprintf puts putchar putchar_unlocked perror dprintf vdprintf stdin stdout
    stderr""".split()
STREAM = "fprintf vfprintf fputs fputc putc fwrite fflush".split()
ENVIRONMENT = "getenv secure_getenv setenv putenv unsetenv".split()
HEAP = """malloc calloc realloc reallocarray free strdup strndup asprintf vasprintf aligned_alloc
    posix_memalign memalign""".split()

# (path below src/) -> what it may use all the same, and why.
EXCEPTIONS = {
    "base/assert.c": set(TERMINAL),     # the last words of a broken program
}
PURE = ("policy", "codec")              # memory comes from the caller

_CALLS = {name: group for group, names in GROUPS.items() for name in names.split()}


def why_not(folder, file, name):
    """Why src/`file`, in the layer `folder`, may not call `name`; None when it may."""
    if folder == "io" or name in EXCEPTIONS.get(file, ()):
        return None
    if folder in PURE and name in HEAP:
        return "allocates: policy and codec are pure"
    if folder in PURE and name in STREAM:
        return "prints: policy and codec are pure"
    if folder != "cli" and name in TERMINAL:
        return "is the terminal's: only the program talks to it"
    if folder != "cli" and name in ENVIRONMENT:
        return "looks at the environment: only the program does"
    group = _CALLS.get(name)
    for prefixed, prefixes in PREFIXES.items():
        if name.startswith(prefixes):
            group = prefixed
    return f"{group}: goes through src/io" if group else None


# A member's call (io->ops->read) and a nr_read are other names.
CALL = re.compile(r"(?<![\w.>])(?:([a-z_]\w*)\s*\(|(std(?:in|out|err))\b)")
STATIC = re.compile(r"^static\b[^;={]*?\b(\w+)\s*\(", re.M)
