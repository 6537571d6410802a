/* SPDX-License-Identifier: Apache-2.0 */
/* logpipe.c - rings of bytes, and the thread that empties them into a descriptor.
 *
 * A ring's head counts bytes ever put (written by its producer), its tail bytes ever taken (written
 * by the writer thread): both only grow, so full and empty need no third variable. The head moves
 * by whole lines, so whatever the writer takes ends with a line.
 *
 * Going to sleep. The writer sets `asleep`, looks once more at all heads, and only then waits on
 * the eventfd. A producer stores its head, then looks at `asleep`. Both pairs are sequentially
 * consistent, so one of the two sees the other (Dekker), and no line waits for the next.
 *
 * Never blocking for ever. The descriptor is shared with other processes, so it must not be made
 * non-blocking. A pipe or socket is therefore polled and given at most PIPE_BUF bytes, which a pipe
 * that polls writable takes without blocking (pipe(7)); so a stalled reader holds the thread in
 * poll, where it can be told to stop. A regular file takes all at once. */
#include "io/logpipe.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/compiler.h"

enum {
    RING_BYTES_MIN = 4096,
    NAP_US = 4000, /* between batches: how much later a line may be, and how many go at once */
    POLL_MS = 50,  /* how often a stalled writer looks whether it shall stop */
};

struct ring {
    uint64_t head __attribute__((aligned(NR_CACHE_LINE_BYTES))); /* the producer's */
    uint64_t dropped;
    uint64_t tail __attribute__((aligned(NR_CACHE_LINE_BYTES))); /* the writer's */
    pthread_mutex_t lock;                                        /* for put_shared */
    size_t mask;
    char *bytes;
};

struct nr_logpipe {
    struct nr_logpipe_conf conf;
    int wake_fd;
    bool regular; /* a file: takes everything, never polls */
    pthread_t thread;
    bool asleep;
    bool stop;
    uint64_t lost; /* lines of batches that failed */

    /* The writer's own. */
    bool mid_line; /* the last byte that was taken did not end a line */
    bool torn;     /* and what should have followed it was lost: a newline is owed */
    bool failing;  /* in a spell of failures: reported already */
    uint64_t give_up_ns;

    pthread_mutex_t done_lock;
    pthread_cond_t done_cond;
    bool done;

    struct ring rings[];
};

static uint64_t clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- producers ---- */

static bool ring_put(struct ring *ring, struct nr_span line)
{
    uint64_t head = ring->head;
    uint64_t tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
    size_t at = head & ring->mask;
    size_t first = ring->mask + 1 - at;

    if (line.len > ring->mask + 1 - (size_t)(head - tail)) {
        __atomic_store_n(&ring->dropped, ring->dropped + 1, __ATOMIC_RELAXED);
        return false;
    }
    if (first > line.len)
        first = line.len;
    memcpy(ring->bytes + at, line.ptr, first);
    memcpy(ring->bytes, line.ptr + first, line.len - first);
    __atomic_store_n(&ring->head, head + line.len, __ATOMIC_SEQ_CST);
    return true;
}

static void wake(struct nr_logpipe *pipe)
{
    uint64_t one = 1;

    if (__atomic_load_n(&pipe->asleep, __ATOMIC_SEQ_CST) &&
        __atomic_exchange_n(&pipe->asleep, false, __ATOMIC_SEQ_CST)) {
        ssize_t written = write(pipe->wake_fd, &one, sizeof(one));

        nr_assert(written == sizeof(one));
    }
}

bool nr_logpipe_put(struct nr_logpipe *pipe, uint32_t producer, struct nr_span line)
{
    nr_assert(producer < pipe->conf.producers);
    if (line.len == 0)
        return true;
    if (!ring_put(&pipe->rings[producer], line))
        return false;
    wake(pipe);
    return true;
}

bool nr_logpipe_put_shared(struct nr_logpipe *pipe, uint32_t producer, struct nr_span line)
{
    bool ok;

    nr_assert(producer < pipe->conf.producers);
    pthread_mutex_lock(&pipe->rings[producer].lock);
    ok = nr_logpipe_put(pipe, producer, line);
    pthread_mutex_unlock(&pipe->rings[producer].lock);
    return ok;
}

uint64_t nr_logpipe_dropped(const struct nr_logpipe *pipe)
{
    uint64_t dropped = __atomic_load_n(&pipe->lost, __ATOMIC_RELAXED);

    for (uint32_t i = 0; i < pipe->conf.producers; i++)
        dropped += __atomic_load_n(&pipe->rings[i].dropped, __ATOMIC_RELAXED);
    return dropped;
}

/* ---- the writer ---- */

static bool stopping(const struct nr_logpipe *pipe)
{
    return __atomic_load_n(&pipe->stop, __ATOMIC_ACQUIRE);
}

/* Told to stop, and the time for the rest is over. */
static bool given_up(const struct nr_logpipe *pipe)
{
    return stopping(pipe) && clock_ns() >= __atomic_load_n(&pipe->give_up_ns, __ATOMIC_ACQUIRE);
}

/* How many bytes the descriptor took: 0 when it is time to give up, -1 on an error (errno). */
static ssize_t write_some(struct nr_logpipe *pipe, const char *bytes, size_t len)
{
    for (;;) {
        struct pollfd ready = {.fd = pipe->conf.fd, .events = POLLOUT};
        ssize_t taken;

        if (!pipe->regular && poll(&ready, 1, POLL_MS) == 0) {
            if (given_up(pipe))
                return 0;
            continue;
        }
        taken = write(pipe->conf.fd, bytes, pipe->regular || len < PIPE_BUF ? len : PIPE_BUF);
        if (taken > 0)
            return taken;
        /* Another process may have made the descriptor non-blocking: then poll again. */
        if (taken < 0 && errno != EAGAIN && errno != EINTR)
            return -1;
        if (given_up(pipe))
            return 0;
    }
}

static enum nr_code code_of(int error)
{
    switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return NR_ENOSPC;
    case EPIPE: return NR_ECLOSED;
    default: return NR_EIO;
    }
}

/* Count the lines that end in these bytes; report the error (0: none) that begins a spell. */
static void lose(struct nr_logpipe *pipe, const char *bytes, size_t len, int error)
{
    uint64_t lines = 0;

    for (size_t i = 0; i < len; i++)
        lines += bytes[i] == '\n';
    __atomic_store_n(&pipe->lost, pipe->lost + lines, __ATOMIC_RELAXED);
    if (error == 0 || pipe->failing)
        return;
    pipe->failing = true;
    if (pipe->conf.failed != NULL)
        pipe->conf.failed(pipe->conf.ctx, code_of(error), strerror(error));
}

/* Write all of it; false when some was lost. */
static bool write_run(struct nr_logpipe *pipe, const char *bytes, size_t len)
{
    size_t at = 0;

    if (pipe->torn && write_some(pipe, "\n", 1) == 1)
        pipe->torn = false;
    while (at < len) {
        ssize_t taken = write_some(pipe, bytes + at, len - at);

        if (taken <= 0) {
            lose(pipe, bytes + at, len - at, taken < 0 ? errno : 0);
            pipe->torn = pipe->mid_line;
            return false;
        }
        at += (size_t)taken;
        pipe->mid_line = bytes[at - 1] != '\n';
    }
    pipe->failing = false;
    return true;
}

/* Take what this ring holds at the moment; false when it holds nothing. */
static bool drain_ring(struct nr_logpipe *pipe, struct ring *ring)
{
    uint64_t head = __atomic_load_n(&ring->head, __ATOMIC_SEQ_CST);
    size_t len = (size_t)(head - ring->tail);
    size_t at = ring->tail & ring->mask;
    size_t first = ring->mask + 1 - at < len ? ring->mask + 1 - at : len;

    if (len == 0)
        return false;
    /* A run that wraps is cut anywhere: its second part is no use without the first. */
    if (!write_run(pipe, ring->bytes + at, first))
        lose(pipe, ring->bytes, len - first, 0);
    else
        write_run(pipe, ring->bytes, len - first);
    __atomic_store_n(&ring->tail, head, __ATOMIC_RELEASE);
    return true;
}

static bool drain(struct nr_logpipe *pipe)
{
    bool any = false;

    for (uint32_t i = 0; i < pipe->conf.producers; i++)
        any |= drain_ring(pipe, &pipe->rings[i]);
    return any;
}

/* Wait until a producer or the end calls. */
static void sleep_until_woken(struct nr_logpipe *pipe)
{
    uint64_t count;

    __atomic_store_n(&pipe->asleep, true, __ATOMIC_SEQ_CST);
    if (drain(pipe) || stopping(pipe)) {
        /* A producer that took `asleep` back has written to the eventfd or is about to: the
         * next sleep then ends early, which is harmless. */
        __atomic_store_n(&pipe->asleep, false, __ATOMIC_SEQ_CST);
        return;
    }
    while (read(pipe->wake_fd, &count, sizeof(count)) < 0 && errno == EINTR)
        ;
    __atomic_store_n(&pipe->asleep, false, __ATOMIC_SEQ_CST);
}

static void *writer(void *arg)
{
    struct nr_logpipe *pipe = arg;

    while (!stopping(pipe)) {
        if (drain(pipe))
            usleep(NAP_US);
        else
            sleep_until_woken(pipe);
    }
    while (drain(pipe) && !given_up(pipe))
        ;
    pthread_mutex_lock(&pipe->done_lock);
    pipe->done = true;
    pthread_cond_signal(&pipe->done_cond);
    pthread_mutex_unlock(&pipe->done_lock);
    return NULL;
}

/* ---- life ---- */

static void free_memory(struct nr_logpipe *pipe)
{
    for (uint32_t i = 0; i < pipe->conf.producers; i++) {
        pthread_mutex_destroy(&pipe->rings[i].lock);
        free(pipe->rings[i].bytes);
    }
    pthread_mutex_destroy(&pipe->done_lock);
    pthread_cond_destroy(&pipe->done_cond);
    free(pipe);
}

/* No signal is ever handled on the writer's thread. */
static int start_thread(struct nr_logpipe *pipe)
{
    sigset_t all, before;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&pipe->thread, NULL, writer, pipe);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0 && pipe->conf.name != NULL)
        pthread_setname_np(pipe->thread, pipe->conf.name);
    return error;
}

enum nr_code nr_logpipe_new(const struct nr_logpipe_conf *conf, struct nr_logpipe **ret_pipe,
                            struct nr_err *err)
{
    struct nr_logpipe *pipe;
    pthread_condattr_t monotonic;
    struct stat status;
    size_t bytes = RING_BYTES_MIN;
    int error;

    nr_assert(conf->producers > 0);
    pipe =
        aligned_alloc(NR_CACHE_LINE_BYTES, sizeof(*pipe) + conf->producers * sizeof(struct ring));
    nr_assert(pipe != NULL);
    memset(pipe, 0, sizeof(*pipe) + conf->producers * sizeof(struct ring));
    pipe->conf = *conf;
    while (bytes < conf->bytes)
        bytes *= 2;
    for (uint32_t i = 0; i < conf->producers; i++) {
        pipe->rings[i].bytes = malloc(bytes);
        nr_assert(pipe->rings[i].bytes != NULL);
        pipe->rings[i].mask = bytes - 1;
        pthread_mutex_init(&pipe->rings[i].lock, NULL);
    }
    pipe->regular = fstat(conf->fd, &status) == 0 && S_ISREG(status.st_mode);
    pthread_mutex_init(&pipe->done_lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&pipe->done_cond, &monotonic);
    pthread_condattr_destroy(&monotonic);

    pipe->wake_fd = eventfd(0, EFD_CLOEXEC);
    if (pipe->wake_fd < 0) {
        error = errno;
        free_memory(pipe);
        return nr_err_set(err, error == EMFILE || error == ENFILE ? NR_EFILES : NR_EIO,
                          "log pipe: %s", strerror(error));
    }
    error = start_thread(pipe);
    if (error != 0) {
        close(pipe->wake_fd);
        free_memory(pipe);
        return nr_err_set(err, NR_EIO, "log thread: %s", strerror(error));
    }
    *ret_pipe = pipe;
    return NR_OK;
}

bool nr_logpipe_stop(struct nr_logpipe *pipe, uint32_t wait_ms)
{
    uint64_t give_up_ns, hang_ns;
    struct timespec until;
    bool done;

    if (pipe == NULL)
        return true;
    give_up_ns = clock_ns() + (uint64_t)wait_ms * 1000000u;
    hang_ns = give_up_ns + 4 * POLL_MS * 1000000ull; /* what poll and scheduling may add */
    until.tv_sec = (time_t)(hang_ns / 1000000000u);
    until.tv_nsec = (long)(hang_ns % 1000000000u);
    __atomic_store_n(&pipe->give_up_ns, give_up_ns, __ATOMIC_RELEASE);
    __atomic_store_n(&pipe->stop, true, __ATOMIC_SEQ_CST);
    wake(pipe);

    pthread_mutex_lock(&pipe->done_lock);
    while (!pipe->done && pthread_cond_timedwait(&pipe->done_cond, &pipe->done_lock, &until) == 0)
        ;
    done = pipe->done;
    pthread_mutex_unlock(&pipe->done_lock);
    return done;
}

void nr_logpipe_free(struct nr_logpipe *pipe, uint32_t wait_ms)
{
    if (pipe == NULL)
        return;
    if (!nr_logpipe_stop(pipe, wait_ms)) {
        pthread_detach(pipe->thread);
        return;
    }
    pthread_join(pipe->thread, NULL);
    close(pipe->wake_fd);
    free_memory(pipe);
}
