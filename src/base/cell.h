/* SPDX-License-Identifier: Apache-2.0 */
/* cell.h - a counter that one thread writes and any other reads.
 *
 * Atomics without a locked instruction: for the machine plain additions and loads, for the language
 * no data race. A reader sees a value of a moment ago, and whatever was written before it. */
#ifndef NR_BASE_CELL_H
#define NR_BASE_CELL_H

#include <stdint.h>

static inline void nr_cell_add(uint64_t *cell, uint64_t n)
{
    __atomic_store_n(cell, *cell + n, __ATOMIC_RELAXED);
}

static inline uint64_t nr_cell_get(const uint64_t *cell)
{
    return __atomic_load_n(cell, __ATOMIC_ACQUIRE);
}

/* For gauges: n may be negative. */
static inline void nr_cell32_add(uint32_t *cell, int32_t n)
{
    __atomic_store_n(cell, *cell + (uint32_t)n, __ATOMIC_RELAXED);
}

static inline uint32_t nr_cell32_get(const uint32_t *cell)
{
    return __atomic_load_n(cell, __ATOMIC_RELAXED);
}

#endif
