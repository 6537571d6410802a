/* SPDX-License-Identifier: Apache-2.0 */
/* spinlock.h - one word that guards a handful of cache lines for a handful of instructions.
 *
 * For state that all workers share and that is only held for tens of nanoseconds: no system call,
 * no allocation, no loop over what a peer can size may run inside. There are about as many
 * workers as cores, so a holder is nearly always running; if it was preempted, a waiter burns at
 * most its own time slice. C11 atomics with acquire and release, so ThreadSanitizer sees the
 * order that they make. */
#ifndef NR_BASE_SPINLOCK_H
#define NR_BASE_SPINLOCK_H

#include <stdatomic.h>
#include <stdbool.h>

struct nr_spinlock {
    atomic_bool held;
};

static inline void nr_spinlock_init(struct nr_spinlock *lock)
{
    atomic_init(&lock->held, false);
}

/* Tell the core that this is a spin: it saves power and leaves the sibling thread its share. */
static inline void nr_spinlock_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static inline void nr_spinlock_lock(struct nr_spinlock *lock)
{
    while (atomic_exchange_explicit(&lock->held, true, memory_order_acquire)) {
        /* Wait on a plain read: the line stays shared until the holder writes it. */
        while (atomic_load_explicit(&lock->held, memory_order_relaxed))
            nr_spinlock_pause();
    }
}

static inline void nr_spinlock_unlock(struct nr_spinlock *lock)
{
    atomic_store_explicit(&lock->held, false, memory_order_release);
}

#endif
