/* SPDX-License-Identifier: Apache-2.0 */
/* handover.h - listening sockets from one process to the next.
 *
 * By systemd's protocol (sd_listen_fds(3)): sockets are descriptors 3 and up, LISTEN_FDS says how
 * many, LISTEN_PID for whom. So a socket that systemd opened and one that our predecessor hands
 * over come in by the same door. A successor also gets the write end of a pipe (NARU_READY_FD),
 * into which it writes a byte when it serves.
 *
 * For the real process only, on its main thread unless said otherwise. */
#ifndef NR_IO_HANDOVER_H
#define NR_IO_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "io/addr.h"
#include "naru/err.h"

enum { NR_INHERITED_MAX = 256 };

struct nr_inherited {
    struct nr_addr address; /* .path points to path here */
    char path[112];
    int fd; /* -1 once it was taken */
};

/* The sockets that this process was started with, then forgets where they came from: its children
 * will not take them for theirs. Returns how many, all close-on-exec; before threads start. */
uint32_t nr_inherited_sockets(struct nr_inherited *to, uint32_t max);

/* Where to report that we serve; -1: nobody waits. Before threads start. */
int nr_inherited_ready_fd(void);

/* Report it; closes the descriptor. -1 is fine. */
void nr_inherited_report_ready(int ready_fd);

/* Take the socket that listens on this address (port 0: on any port of it); -1: there is none. */
int nr_inherited_take(struct nr_inherited *sockets, uint32_t count, const struct nr_addr *address);

struct nr_successor {
    int pid;
    int ready_fd; /* the read end */
};

/* Start the program that now stands where this process's stood, with the same arguments, and hand
 * it these sockets. The caller waits for it. */
enum nr_code nr_successor_start(const int *fds, uint32_t count, struct nr_successor *ret_successor,
                                struct nr_err *err) NR_MUST_USE;

/* Wait until it serves. Else it is gone when this returns: it ended by itself or had no time left
 * and was killed. Blocks: on a pool thread. */
enum nr_code nr_successor_wait(struct nr_successor *successor, uint32_t timeout_ms,
                               struct nr_err *err) NR_MUST_USE;

/* Have _wait fail soon. Any thread. */
void nr_successor_cancel(const struct nr_successor *successor);

#endif
