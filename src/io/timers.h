/* SPDX-License-Identifier: Apache-2.0 */
/* timers.h - a hierarchical timing wheel: 100,000 armed timers cost what one costs.
 *
 * Internal to io. Ticks of one millisecond; eight levels of 64 slots, so any time
 * that fits 64 bits of nanoseconds has a slot. Arming and disarming are O(1); expiry
 * costs O(1) per timer plus at most seven cascades in its life.
 *
 * Expired timers come out ordered by (at_ns, order of arming), whatever the wheel's
 * inner order: the simulator's determinism depends on it.
 *
 * The structure must not move (its slots are list heads). Not thread-safe. */
#ifndef NR_IO_TIMERS_H
#define NR_IO_TIMERS_H

#include <stdint.h>

#include "base/list.h"
#include "io/io.h"

enum {
    NR_TIMERS_LEVELS = 8,
    NR_TIMERS_SLOTS = 64,
    NR_TIMERS_TICK_NS = 1000 * 1000,
};

struct nr_timers {
    uint64_t tick;                   /* every timer of a tick up to this one has been handed out */
    uint64_t used[NR_TIMERS_LEVELS]; /* bit s: slot s is not empty */
    struct nr_link due;              /* armed for a tick that has passed already */
    struct nr_link slots[NR_TIMERS_LEVELS][NR_TIMERS_SLOTS];
};

void nr_timers_init(struct nr_timers *timers, uint64_t now_ns);

/* Uses op.link and op.flags; the op's link must be on no list. */
void nr_timers_add(struct nr_timers *timers, struct nr_timer *timer);

void nr_timers_remove(struct nr_timers *timers, struct nr_timer *timer);

/* Append the ops of all timers that are due at now_ns to `expired`, in order. now_ns must not
 * run backwards. */
void nr_timers_expire(struct nr_timers *timers, uint64_t now_ns, struct nr_link *expired);

/* When to call expire next: no timer is due before that. It may be earlier than the first timer
 * (the beginning of its slot): then expire yields nothing and the question is asked anew, at most
 * seven times per timer. UINT64_MAX: no timer is armed. */
uint64_t nr_timers_next_ns(const struct nr_timers *timers);

#endif
