/* SPDX-License-Identifier: Apache-2.0 */
/* process.h - what the program asks the machine about itself and its files, outside any engine.
 *
 * For the command line, logs and metrics of the real process; what runs in the simulator asks its
 * engine instead. Any thread. */
#ifndef NR_IO_PROCESS_H
#define NR_IO_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "naru/err.h"
#include "naru/span.h"

/* Wall clock since the epoch, UTC. */
uint64_t nr_process_wall_ns(void);

struct nr_process_stats {
    double cpu_s;     /* user and system */
    double started_s; /* since the epoch; 0: unknown */
    uint64_t resident_bytes;
    uint64_t virtual_bytes;
    uint32_t open_files;
    uint64_t files_max; /* soft limit; UINT64_MAX: none */
};

/* What cannot be learnt (no /proc) stays 0. */
void nr_process_stats(struct nr_process_stats *ret_stats);

/* Is this descriptor a terminal: does a person read it? */
bool nr_process_is_terminal(int fd);

/* Read a whole file into malloc'ed *ret_bytes (NUL behind it); "-" is standard input. The error
 * says only what went wrong ("no such file"). */
enum nr_code nr_process_read_file(const char *path, size_t bytes_max, char **ret_bytes,
                                  size_t *ret_len, struct nr_err *err) NR_MUST_USE;

/* Write a whole file, made or emptied first; "-" is standard output. The error says only what went
 * wrong. */
enum nr_code nr_process_write_file(const char *path, struct nr_span bytes,
                                   struct nr_err *err) NR_MUST_USE;

void nr_process_close(int fd);

/* Before threads start: let the allocator give large pieces back when they are freed. Left alone it
 * takes the first large one that is freed as a sign that more will come, and keeps as much in every
 * thread's share for ever. */
void nr_process_keep_no_memory(void);

/* Give back what the allocator keeps of freed memory. Takes a millisecond or so for each ten
 * mebibytes, during which other threads may have to wait for theirs: never on a hot path. */
void nr_process_trim_memory(void);

/* A number that changes when the file (or what a symbolic link points to) is replaced, written to
 * or removed. For a directory: when an entry comes or goes. */
uint64_t nr_process_file_stamp(const char *path);

/* Call entry(ctx, name) for every regular file in a directory, in any order. */
enum nr_code nr_process_list_files(const char *directory,
                                   void (*entry)(void *ctx, const char *name), void *ctx,
                                   struct nr_err *err) NR_MUST_USE;

/* What print writes, as malloc'ed text. */
char *nr_process_capture(void (*print)(void *ctx, FILE *to), void *ctx, size_t *ret_len);

#endif
