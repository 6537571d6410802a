/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead.h - at most so many calls at once, a bounded queue before them, and who goes next.
 *
 * Pure: the time is an argument, nothing is allocated: a waiting call is a node that its owner
 * embeds, and the node stays where it is until the call has left. Not thread-safe: the service that
 * embeds the bulkhead holds its lock. The configuration is passed per call, because state outlives
 * a reload; the permits that an adaptive limit grants go into `concurrent`.
 *
 * The caller's part:
 *  - after nr_bulkhead_leave, after `concurrent` grew, and after nothing else, call
 * nr_bulkhead_next until it returns NULL, and tell each node's owner what became of it;
 *  - let each queued node's timer fire at node->expires_ns and call nr_bulkhead_cancel then. */
#ifndef NR_POLICY_BULKHEAD_H
#define NR_POLICY_BULKHEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

enum nr_bulkhead_place {
    NR_BULKHEAD_OUTSIDE,
    NR_BULKHEAD_WAITING,
    NR_BULKHEAD_INSIDE, /* holds a permit */
    NR_BULKHEAD_PLACES
};

struct nr_bulkhead_node {
    struct nr_link link;
    enum nr_bulkhead_place place;
    uint64_t since_ns;   /* waiting since */
    uint64_t expires_ns; /* WAITING: not worth waiting beyond this */
};

struct nr_bulkhead_conf {
    uint32_t concurrent;        /* permits */
    uint32_t queue;             /* calls that may wait; 0: none */
    uint64_t wait_ns;           /* nobody waits longer */
    uint64_t useful_ns;         /* with less than this until its deadline a call is not begun */
    uint64_t codel_target_ns;   /* a wait that is fine for ever; 0: neither CoDel nor LIFO */
    uint64_t codel_interval_ns; /* for how long it may be more before that is a standing queue */
};

/* 30 permits, 100 waiting at most 500 ms, CoDel 5 ms and 100 ms. */
extern const struct nr_bulkhead_conf nr_bulkhead_conf_default;

struct nr_codel {
    uint64_t above_at_ns; /* when the wait has been above target for an interval; 0: is not above */
    uint64_t drop_at_ns;  /* dropping: the next one */
    uint32_t count;       /* dropped since dropping began */
    uint32_t last_count;  /* the same of the last time */
    bool dropping;        /* a standing queue: overload */
};

struct nr_bulkhead {
    struct nr_link waiting; /* oldest first */
    uint32_t queued;
    uint32_t in_flight;
    struct nr_codel codel;
};

enum nr_bulkhead_verdict {
    NR_BULKHEAD_GRANTED,
    NR_BULKHEAD_QUEUED,
    NR_BULKHEAD_FULL,    /* neither a permit nor a place in the queue */
    NR_BULKHEAD_NO_TIME, /* its deadline is too near */
    NR_BULKHEAD_EXPIRED, /* waited for as long as it may */
    NR_BULKHEAD_SHED,    /* CoDel: the queue stands, and this is who waited longest */
};

void nr_bulkhead_init(struct nr_bulkhead *bulkhead);
void nr_bulkhead_node_init(struct nr_bulkhead_node *node);

/* GRANTED: the caller owes one nr_bulkhead_leave. QUEUED: the node must stay where it is until
 * nr_bulkhead_next or nr_bulkhead_cancel hands it back. Else nothing has happened.
 * deadline_ns is a moment (NR_TIME_NEVER: none). may_queue false: now or not at all. */
enum nr_bulkhead_verdict nr_bulkhead_enter(struct nr_bulkhead *bulkhead,
                                           const struct nr_bulkhead_conf *conf,
                                           struct nr_bulkhead_node *node, uint64_t now_ns,
                                           uint64_t deadline_ns, bool may_queue);

/* Give the permit back. */
void nr_bulkhead_leave(struct nr_bulkhead *bulkhead, struct nr_bulkhead_node *node);

/* The next waiting call whose fate is decided, taken off the queue, with GRANTED (it owes a leave),
 * EXPIRED or SHED; NULL when there is none at this moment, and *ret_verdict is untouched. */
struct nr_bulkhead_node *nr_bulkhead_next(struct nr_bulkhead *bulkhead,
                                          const struct nr_bulkhead_conf *conf, uint64_t now_ns,
                                          enum nr_bulkhead_verdict *ret_verdict);

/* Stop waiting. True if it was: then it is outside, and nobody hands it back any more. */
bool nr_bulkhead_cancel(struct nr_bulkhead *bulkhead, struct nr_bulkhead_node *node);

/* A standing queue: the newest go first now. An input of shedding. */
static inline bool nr_bulkhead_overloaded(const struct nr_bulkhead *bulkhead)
{
    return bulkhead->codel.dropping;
}

/* How long the oldest has been waiting; 0 when nobody is. */
uint64_t nr_bulkhead_oldest_ns(const struct nr_bulkhead *bulkhead, uint64_t now_ns);

#endif
