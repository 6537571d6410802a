/* SPDX-License-Identifier: Apache-2.0 */
/* logpipe.h - lines to a file descriptor, by a thread that may stall while nobody else does.
 *
 * Each producer has a ring of bytes; one writer thread empties them in turn. A line is put whole or
 * not at all: when the ring has no room, because the reader of stdout has stopped or the disk is
 * slow, the line is dropped and counted, and the producer goes on. Lines of one producer keep their
 * order, and lines of different producers never mix.
 *
 * Putting is a copy and two atomic stores. The thread is woken by a system call only when it was
 * asleep, and it naps a few milliseconds between batches, so under load it is never woken at
 * all; a line may reach the descriptor that much later.
 *
 * A write that fails (ENOSPC, EPIPE) loses the batch: its lines are counted as dropped. Writing
 * goes on, so that logging recovers when the disk does; a line torn by the failure is closed
 * with a newline first. */
#ifndef NR_IO_LOGPIPE_H
#define NR_IO_LOGPIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "naru/err.h"
#include "naru/span.h"

struct nr_logpipe;

struct nr_logpipe_conf {
    int fd;             /* borrowed */
    uint32_t producers; /* rings; one thread each */
    size_t bytes;       /* of each ring; rounded up to a power of two, at least 4 KiB */
    const char *name;   /* of the thread, 15 bytes */
    /* Called on the writer thread when writing fails after it had worked: once per spell. NULL:
     * none. */
    void (*failed)(void *ctx, enum nr_code code, const char *text);
    void *ctx;
};

enum nr_code nr_logpipe_new(const struct nr_logpipe_conf *conf, struct nr_logpipe **ret_pipe,
                            struct nr_err *err) NR_MUST_USE;

/* Put a line, its newline included, from the thread of this producer. False: dropped. */
bool nr_logpipe_put(struct nr_logpipe *pipe, uint32_t producer, struct nr_span line);

/* The same from any thread, on a ring that is only used in this way. */
bool nr_logpipe_put_shared(struct nr_logpipe *pipe, uint32_t producer, struct nr_span line);

/* Lines that were lost, in all. Any thread. */
uint64_t nr_logpipe_dropped(const struct nr_logpipe *pipe);

/* Write what is left, for at most wait_ms, then stop; false: the thread hangs in the kernel even
 * then. Producers may go on putting, for nobody. NULL is fine. */
bool nr_logpipe_stop(struct nr_logpipe *pipe, uint32_t wait_ms);

/* The same, and no producer is left. A thread that hangs stays behind with the memory: the process
 * is about to end. NULL is fine. */
void nr_logpipe_free(struct nr_logpipe *pipe, uint32_t wait_ms);

#endif
