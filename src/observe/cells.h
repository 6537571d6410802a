/* SPDX-License-Identifier: Apache-2.0 */
/* cells.h - one worker's counters: rate, errors and duration per route and per instance.
 *
 * Cardinality is bounded by the configuration: every index is an id of its tables or an enum,
 * never a byte of a request. What has no route (or an id out of range) counts in a row "none", and
 * routes beyond observe.max_metric_routes share a row "other", so no request is missing from the
 * totals. Histograms are made when their row is first used.
 *
 * Instances may come and go without a configuration. Each has a row at its place in the service's
 * roster (roster.h); when the place goes to another name, the row begins anew, and so the rows are
 * bounded as the roster is. An attempt at an instance whose name is forgotten by then (a tunnel's
 * of last week) is not counted.
 *
 * Written by the worker only, read by any thread while it writes: relaxed atomics, no lock. A
 * reader sees each counter at some recent moment; counters never go back but with the row's name.
 */
#ifndef NR_OBSERVE_CELLS_H
#define NR_OBSERVE_CELLS_H

#include <stdint.h>

#include "base/hist.h"
#include "base/reason.h"
#include "base/record.h"
#include "base/roster.h"
#include "codec/h1.h"
#include "codec/head.h"
#include "observe/log_rules.h"

/* The tables of names behind the ids of a record. Borrowed, immutable. An empty name stands for an
 * id that means nothing at present. */
struct nr_observe_names {
    uint32_t route_count;
    uint32_t counted_routes; /* the first of them, each with a row of its own; the rest share one */
    const struct nr_span *routes;
    uint32_t service_count;
    const struct nr_observe_service {
        struct nr_span name;
        const struct nr_roster *instances; /* NULL: none. It says at any time who is known */
    } * services;
    uint32_t limit_count;
    const struct nr_span *limits;
    const struct nr_log_rules *log; /* what goes with them; NULL: every line, as it is */
};

enum { NR_CLASSES = 6 }; /* index: first digit of the status; 0: none */

static inline uint32_t nr_status_class(uint16_t status)
{
    return status >= 100 && status < 600 ? status / 100u : 0;
}

struct nr_route_cells {
    uint64_t requests[NR_METHODS][NR_CLASSES];
    uint64_t received_bytes;
    uint64_t sent_bytes;
    struct nr_hist *duration_us; /* published with release; NULL: no request yet */
};

enum { NR_ATTEMPT_RESULTS = NR_ATTEMPT_CONNECTED + 1 };

struct nr_instance_cells {
    uint32_t
        id; /* of the roster: whose they are; NR_ID_NONE while they are being emptied. Atomic */
    uint64_t results[NR_ATTEMPT_RESULTS];
    uint64_t answers[NR_CLASSES]; /* of ANSWERED */
    uint64_t reused;
    struct nr_hist *duration_us; /* to the head, of ANSWERED */
};

/* Of a service. The rows of its instances by place in its roster; each level is published with
 * release. */
struct nr_service_cells {
    uint64_t requests[NR_CLASSES]; /* that were meant for it, whoever answered */
    struct nr_hist *duration_us;   /* as of a route */
    struct nr_instance_cells **chunks[NR_ROSTER_CHUNKS];
};

/* Connections passed on as bytes, that are over. */
struct nr_tcp_cells {
    uint64_t connections;
    uint64_t failed; /* for a reason */
    uint64_t received_bytes;
    uint64_t sent_bytes;
};

struct nr_cells {
    const struct nr_observe_names *names;
    /* Rows are made when first used, and published with release; NULL: all zero. */
    struct nr_route_cells **routes;     /* nr_cells_route_rows() */
    struct nr_service_cells **services; /* by id */
    struct nr_tcp_cells *tcp;           /* per service, + 1 */
    uint64_t reasons[NR_REASONS];
    uint64_t refusals[NR_H1_REASONS];
    uint64_t tunnels;
    uint64_t retries; /* attempts beyond the first */
};

/* names is borrowed for the cells' life. */
struct nr_cells *nr_cells_new(const struct nr_observe_names *names);
void nr_cells_free(struct nr_cells *cells);

/* Count a finished request. The worker's thread only. */
void nr_cells_count(struct nr_cells *cells, const struct nr_record *record);

/* What is counted in this row, or of this instance; zeros for what is not used yet. */
const struct nr_route_cells *nr_cells_of_route(const struct nr_cells *cells, uint32_t row);
const struct nr_instance_cells *nr_cells_of_instance(const struct nr_cells *cells, uint32_t service,
                                                     uint32_t instance);

/* Other names: `to` is fresh and takes over every row of `from` whose id still means the same name
 * (the same pointer). The worker's thread; readers may go on with either. */
void nr_cells_adopt(struct nr_cells *to, const struct nr_cells *from);

/* Free `from` after its rows have been adopted by `to`: only what was not. */
void nr_cells_free_adopted(struct nr_cells *from, const struct nr_cells *to);

/* Rows of routes: those counted by name, then "none", then "other". */
static inline uint32_t nr_cells_route_rows(const struct nr_observe_names *names)
{
    return names->counted_routes + 2;
}

/* The row of a route, or of "none" or "other". */
uint32_t nr_cells_route(const struct nr_cells *cells, uint32_t route);

/* Add all of `from` to `to`, which is the caller's alone. Rows are told by their ids; routes that
 * `to` does not have count as "none", and instances that nobody knows any more are left out. Any
 * thread. */
void nr_cells_merge(struct nr_cells *to, const struct nr_cells *from);

#endif
