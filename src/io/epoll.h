/* SPDX-License-Identifier: Apache-2.0 */
/* epoll.h - engines of the real world. */
#ifndef NR_IO_EPOLL_H
#define NR_IO_EPOLL_H

#include "io/io.h"

struct nr_epoll_conf {
    uint32_t work_threads; /* shared by engines that are given the same pool; 0: 4 */
    /* A listener of this engine takes no connection while its engines together have so many sockets
     * open: what is left of the process's descriptors is for connections that those need to others.
     * 0: take until there are none left. */
    uint32_t sockets_max;
    uint64_t watchdog_ns; /* 0: 50 ms */
    /* Called on the watchdog's thread: which operation kind holds the loop, for how long. NULL:
     * none. */
    void (*stalled)(void *ctx, const char *op_name, uint64_t held_ns);
    void *stalled_ctx;
    /* Called on the engine's thread, each time it pauses accepting for want of descriptors. NULL:
     * none. */
    void (*starved)(void *ctx);
    void *starved_ctx;
    const char *dns_servers; /* "10.0.0.2,10.0.0.3:5353"; NULL: the system's */
};

/* Block the signals that engines wait for, in the calling thread and those it starts; ignore
 * SIGPIPE. Once, first thing in main. */
void nr_io_block_signals(void);

enum nr_code nr_io_new_epoll(const struct nr_epoll_conf *conf, struct nr_io **ret_io,
                             struct nr_err *err) NR_MUST_USE;

/* Frees what the engine owns. Asserts that nothing is outstanding. NULL is fine. */
void nr_io_free(struct nr_io *io);

/* For a process that hands its sockets over; listeners of these engines only. The descriptor; */
int nr_listener_fd(const struct nr_listener *listener);
/* its Unix socket's file stays when it closes, because somebody else listens there; */
void nr_listener_keep_file(struct nr_listener *listener);
/* and no engine takes another connection from it: what comes stays in the backlog. An engine that
 * has just taken one passes it on by a post, so a post from each engine and back tells that all
 * have arrived. Any thread. */
void nr_listener_pause(struct nr_listener *listener);

/* Raise the soft limit of open files to the hard one; returns the limit now in force. */
uint64_t nr_io_raise_file_limit(void);

/* Start `run(ctx)` on a thread of its own named name (15 bytes); join waits for its end. For
 * workers. */
struct nr_thread;
enum nr_code nr_thread_start(const char *name, void (*run)(void *ctx), void *ctx,
                             struct nr_thread **ret_thread, struct nr_err *err) NR_MUST_USE;
void nr_thread_join(struct nr_thread *thread);

/* Cores this process may use. */
uint32_t nr_io_cores(void);

#endif
