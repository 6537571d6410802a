/* SPDX-License-Identifier: Apache-2.0 */
/* slow_start.h - the share of a host that is new or back.
 *
 * Pure. A host with cold caches and an empty connection pool that gets its full share at once may
 * fail under it and be taken out again. So its share grows linearly from a tenth to the whole over
 * the window, in steps of 1/64 of it. */
#ifndef NR_POLICY_SLOW_START_H
#define NR_POLICY_SLOW_START_H

#include <stdbool.h>
#include <stdint.h>

enum { NR_SLOW_START_STEPS = 64 };

/* The weight at now_ns of a host that began at from_ns: at least 1, at most weight. */
uint32_t nr_slow_start_weight(uint32_t weight, uint64_t from_ns, uint64_t now_ns,
                              uint64_t window_ns);

static inline bool nr_slow_start_over(uint64_t from_ns, uint64_t now_ns, uint64_t window_ns)
{
    return now_ns >= from_ns && now_ns - from_ns >= window_ns;
}

#endif
