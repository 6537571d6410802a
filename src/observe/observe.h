/* SPDX-License-Identifier: Apache-2.0 */
/* observe.h - what naru remembers and tells of the requests that it has carried.
 *
 * Each worker has a record sink of its own: a finished request becomes counters (cells.h), an entry
 * in the ring of the latest (and of the failures), and a line of the access log. All three
 * are made from the same record, so they never disagree. Nothing on this path locks, allocates
 * (but a row's histogram, once) or calls the system.
 *
 * Reading (find, latest, sum) is for any thread, at any time. */
#ifndef NR_OBSERVE_OBSERVE_H
#define NR_OBSERVE_OBSERVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/record.h"
#include "io/logpipe.h"
#include "observe/cells.h"

enum { NR_OBSERVE_RECENT = 4096, NR_OBSERVE_FAILURES = 1024 };

struct nr_observe_setup {
    const struct nr_observe_names *names; /* borrowed */
    uint32_t workers;
    struct nr_logpipe *access_log; /* borrowed, one producer per worker; NULL: no access log */
};

struct nr_observe;

struct nr_observe *nr_observe_new(const struct nr_observe_setup *setup);

/* After the workers have ended. NULL is fine. */
void nr_observe_free(struct nr_observe *observe);

/* The sink of one worker, for its thread alone. */
struct nr_record_sink *nr_observe_sink(struct nr_observe *observe, uint32_t worker);

/* Other names for the ids of records, in three steps: begin hands them to the workers, each of
 * which takes them when its sink is told (renamed); commit, when all have been told, lets go of the
 * old ones, which are the caller's to free. Borrowed until then. What was counted stays with its
 * id as long as the id means the same text. On control; one at a time. */
void nr_observe_rename_begin(struct nr_observe *observe, const struct nr_observe_names *names);
void nr_observe_rename_commit(struct nr_observe *observe);

const struct nr_observe_names *nr_observe_names(const struct nr_observe *observe);

/* The record with this id, failures kept longest. */
bool nr_observe_find(const struct nr_observe *observe, const uint64_t id[2],
                     struct nr_record *ret_record);

/* Up to max latest of all workers, newest first; returns how many. */
uint32_t nr_observe_latest(const struct nr_observe *observe, bool failed, struct nr_record *to,
                           uint32_t max);

/* How many records are kept at most, of all workers. */
uint32_t nr_observe_room(const struct nr_observe *observe, bool failed);

/* From when on no record is missing, since the epoch; 0: there is none yet. */
uint64_t nr_observe_oldest_ns(const struct nr_observe *observe);

/* The sum of all workers' cells; the caller frees with nr_cells_free. */
struct nr_cells *nr_observe_sum(const struct nr_observe *observe);

/* The watchdog found a loop held. Any thread. */
void nr_observe_stalled(struct nr_observe *observe);
uint64_t nr_observe_stalls(const struct nr_observe *observe);

#endif
