/* SPDX-License-Identifier: Apache-2.0 */
/* shed_filter.h - shedding as a filter: the least critical requests go first. Internal to
 * src/gateway.
 *
 * What decides is the process's, not the configuration's: one level, to which every worker adds
 * its readings some fifty times a second while it has requests, and which every request reads with
 * one relaxed load. */
#ifndef NR_GATEWAY_SHED_FILTER_H
#define NR_GATEWAY_SHED_FILTER_H

#include <stdatomic.h>

#include "base/compiler.h"
#include "base/spinlock.h"
#include "gateway/shed_conf.h"
#include "io/io.h"

struct nr_request;
struct nr_peer;
struct nr_gateway_worker;

/* What one worker has seen last; a cache line of its own. Cells (base/cell.h). */
struct nr_shed_reading {
    uint64_t delay_ns;
    uint64_t in_flight;
    uint64_t at_ns; /* of the reading: an old one, of a worker that sleeps, has no say */
} __attribute__((aligned(NR_CACHE_LINE_BYTES)));

/* Shared by all workers. */
struct nr_shedder {
    struct nr_spinlock lock;
    struct nr_shed shed;    /* under the lock */
    _Atomic uint8_t level;  /* in force: enum nr_shed_level */
    _Atomic uint8_t forced; /* 1 + the level, by hand; 0: it isn't. Written under the lock */
};

/* A level by hand, or NR_SHED_AUTO. */
void nr_shedder_force(struct nr_shedder *shedder, int level);

/* Of one worker. */
struct nr_shed_watch {
    struct nr_timer timer;
    struct nr_shed_reading reading;
    uint64_t shed[NR_CRITICALITIES];       /* cells */
    uint64_t would_shed[NR_CRITICALITIES]; /* observe_only */
};

void nr_shed_watch_init(struct nr_shed_watch *watch);
void nr_shed_watch_done(struct nr_shed_watch *watch, struct nr_io *io);

/* How much pressure there is now, as the last reading had it. */
static inline enum nr_shed_level nr_shed_level_of(const struct nr_shedder *shedder)
{
    return (enum nr_shed_level)atomic_load_explicit(&shedder->level, memory_order_relaxed);
}

/* May the request go on? If not, it has been answered. */
bool nr_shed_filter(struct nr_request *request, const struct nr_peer *peer);

#endif
