/* SPDX-License-Identifier: Apache-2.0 */
#include "observe/observe.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "observe/access_log.h"
#include "observe/timestamp.h"

struct worker {
    struct nr_record_sink sink;
    struct nr_observe *observe;
    uint32_t number;
    struct nr_cells *cells; /* published with release: others read them */
    struct nr_cells *next;  /* with the names to come; NULL: none */
    struct nr_cells *old;   /* adopted, until all workers have gone over */
    struct nr_record_ring *recent;
    struct nr_record_ring *failures;
    struct nr_timestamp timestamp;
    char line[NR_ACCESS_LINE_BYTES];
};

struct nr_observe {
    const struct nr_observe_names *names;
    const struct nr_observe_names *next_names; /* NULL: no renaming under way */
    struct nr_logpipe *access_log;
    uint64_t stalls;
    uint32_t worker_count;
    struct worker *workers[];
};

static void done(struct nr_record_sink *sink, const struct nr_record *record,
                 const struct nr_record_view *view)
{
    struct worker *worker = nr_container_of(sink, struct worker, sink);

    nr_cells_count(worker->cells, record);
    nr_record_ring_put(worker->recent, record);
    if (nr_record_failed(record))
        nr_record_ring_put(worker->failures, record);
    if (worker->observe->access_log != NULL &&
        (worker->cells->names->log == NULL ||
         nr_log_rules_want(worker->cells->names->log, record))) {
        size_t len = nr_access_log_line(worker->line, worker->cells->names, &worker->timestamp,
                                        record, view);

        /* A line that is dropped is counted by the pipe. */
        (void)nr_logpipe_put(worker->observe->access_log, worker->number,
                             (struct nr_span){worker->line, len});
    }
}

/* On the worker. */
static void renamed(struct nr_record_sink *sink)
{
    struct worker *worker = nr_container_of(sink, struct worker, sink);

    if (worker->next == NULL)
        return;
    nr_cells_adopt(worker->next, worker->cells);
    worker->old = worker->cells;
    __atomic_store_n(&worker->cells, worker->next, __ATOMIC_RELEASE);
    worker->next = NULL;
}

void nr_observe_rename_begin(struct nr_observe *observe, const struct nr_observe_names *names)
{
    nr_assert(observe->next_names == NULL);
    observe->next_names = names;
    for (uint32_t i = 0; i < observe->worker_count; i++)
        observe->workers[i]->next = nr_cells_new(names);
}

void nr_observe_rename_commit(struct nr_observe *observe)
{
    nr_assert(observe->next_names != NULL);
    for (uint32_t i = 0; i < observe->worker_count; i++) {
        struct worker *worker = observe->workers[i];

        nr_assert(worker->next == NULL && worker->old != NULL);
        nr_cells_free_adopted(worker->old, worker->cells);
        worker->old = NULL;
    }
    observe->names = observe->next_names;
    observe->next_names = NULL;
}

struct nr_observe *nr_observe_new(const struct nr_observe_setup *setup)
{
    struct nr_observe *observe =
        calloc(1, sizeof(*observe) + setup->workers * sizeof(struct worker *));

    nr_assert(observe != NULL && setup->workers > 0);
    observe->names = setup->names;
    observe->access_log = setup->access_log;
    observe->worker_count = setup->workers;
    for (uint32_t i = 0; i < setup->workers; i++) {
        struct worker *worker = calloc(1, sizeof(*worker));

        nr_assert(worker != NULL);
        worker->sink.done = done;
        worker->sink.renamed = renamed;
        worker->observe = observe;
        worker->number = i;
        worker->cells = nr_cells_new(setup->names);
        worker->recent = nr_record_ring_new(NR_OBSERVE_RECENT);
        worker->failures = nr_record_ring_new(NR_OBSERVE_FAILURES);
        observe->workers[i] = worker;
    }
    return observe;
}

void nr_observe_free(struct nr_observe *observe)
{
    if (observe == NULL)
        return;
    for (uint32_t i = 0; i < observe->worker_count; i++) {
        nr_cells_free(observe->workers[i]->cells);
        nr_record_ring_free(observe->workers[i]->recent);
        nr_record_ring_free(observe->workers[i]->failures);
        free(observe->workers[i]);
    }
    free(observe);
}

struct nr_record_sink *nr_observe_sink(struct nr_observe *observe, uint32_t worker)
{
    nr_assert(worker < observe->worker_count);
    return &observe->workers[worker]->sink;
}

const struct nr_observe_names *nr_observe_names(const struct nr_observe *observe)
{
    return observe->names;
}

bool nr_observe_find(const struct nr_observe *observe, const uint64_t id[2],
                     struct nr_record *ret_record)
{
    for (uint32_t i = 0; i < observe->worker_count; i++)
        if (nr_record_ring_find(observe->workers[i]->recent, id, ret_record) ||
            nr_record_ring_find(observe->workers[i]->failures, id, ret_record))
            return true;
    return false;
}

static int newest_first(const void *left, const void *right)
{
    const struct nr_record *a = left, *b = right;
    uint64_t a_ns = a->start_ns + (uint64_t)a->total_us * 1000;
    uint64_t b_ns = b->start_ns + (uint64_t)b->total_us * 1000;

    return (a_ns < b_ns) - (a_ns > b_ns);
}

uint32_t nr_observe_latest(const struct nr_observe *observe, bool failed, struct nr_record *to,
                           uint32_t max)
{
    uint32_t capacity = failed ? NR_OBSERVE_FAILURES : NR_OBSERVE_RECENT;
    uint32_t each = max < capacity ? max : capacity;
    struct nr_record *all = calloc((size_t)observe->worker_count * each + 1, sizeof(*all));
    uint32_t count = 0;

    nr_assert(all != NULL);
    for (uint32_t i = 0; i < observe->worker_count; i++)
        count += nr_record_ring_latest(failed ? observe->workers[i]->failures
                                              : observe->workers[i]->recent,
                                       all + count, each);
    qsort(all, count, sizeof(*all), newest_first);
    count = count < max ? count : max;
    memcpy(to, all, count * sizeof(*all));
    free(all);
    return count;
}

uint32_t nr_observe_room(const struct nr_observe *observe, bool failed)
{
    return observe->worker_count *
           (failed ? (uint32_t)NR_OBSERVE_FAILURES : (uint32_t)NR_OBSERVE_RECENT);
}

uint64_t nr_observe_oldest_ns(const struct nr_observe *observe)
{
    struct nr_record *records = calloc(NR_OBSERVE_RECENT, sizeof(*records));
    uint64_t first_ns = 0, since_ns = 0; /* since: by those that have forgotten something */

    nr_assert(records != NULL);
    for (uint32_t i = 0; i < observe->worker_count; i++) {
        uint32_t count =
            nr_record_ring_latest(observe->workers[i]->recent, records, NR_OBSERVE_RECENT);
        uint64_t oldest_ns = count == 0 ? 0 : records[count - 1].wall_ns;

        if (count == NR_OBSERVE_RECENT && oldest_ns > since_ns)
            since_ns = oldest_ns;
        if (oldest_ns != 0 && (first_ns == 0 || oldest_ns < first_ns))
            first_ns = oldest_ns;
    }
    free(records);
    return since_ns != 0 ? since_ns : first_ns;
}

struct nr_cells *nr_observe_sum(const struct nr_observe *observe)
{
    const struct nr_observe_names *names =
        observe->next_names != NULL ? observe->next_names : observe->names;
    struct nr_cells *sum = nr_cells_new(names);

    for (uint32_t i = 0; i < observe->worker_count; i++)
        nr_cells_merge(sum, __atomic_load_n(&observe->workers[i]->cells, __ATOMIC_ACQUIRE));
    return sum;
}

void nr_observe_stalled(struct nr_observe *observe)
{
    __atomic_add_fetch(&observe->stalls, 1, __ATOMIC_RELAXED);
}

uint64_t nr_observe_stalls(const struct nr_observe *observe)
{
    return __atomic_load_n(&observe->stalls, __ATOMIC_RELAXED);
}
