/* SPDX-License-Identifier: Apache-2.0 */
/* The wheel.
 *
 * A timer's tick is its time rounded up to a millisecond, so it never fires early. Its level
 * is the highest group of six bits in which its tick differs from the present tick, its slot is
 * the value of that group. Hence:
 *
 *   1. Everything at level L happens before anything at level L + 1, because the groups above
 *      are equal to the present tick's.
 *   2. In a level the slots in use lie above the present tick's own value in that group, so the
 *      lowest bit of `used` is the earliest slot.
 *   3. A slot above level 0 is spread over the lower levels exactly when the present tick enters
 *      it; at that moment the lower levels are empty (1). So a list always holds its timers in
 *      the order in which they were armed, and a stable sort by at_ns settles the rest. */
#include "io/timers.h"

#include "base/assert.h"
#include "base/compiler.h"

enum { GROUP_BITS = 6, DUE = 0xffff };

_Static_assert(1 << GROUP_BITS == NR_TIMERS_SLOTS, "a group of bits selects a slot");
_Static_assert(UINT64_MAX / NR_TIMERS_TICK_NS < 1ull << (GROUP_BITS * NR_TIMERS_LEVELS),
               "every time has a level");

static struct nr_timer *timer_of(struct nr_link *link)
{
    return nr_container_of(link, struct nr_timer, op.link);
}

static uint64_t tick_of(uint64_t at_ns)
{
    return at_ns / NR_TIMERS_TICK_NS + (at_ns % NR_TIMERS_TICK_NS != 0);
}

void nr_timers_init(struct nr_timers *timers, uint64_t now_ns)
{
    timers->tick = now_ns / NR_TIMERS_TICK_NS;
    nr_link_init(&timers->due);
    for (int level = 0; level < NR_TIMERS_LEVELS; level++) {
        timers->used[level] = 0;
        for (int slot = 0; slot < NR_TIMERS_SLOTS; slot++)
            nr_link_init(&timers->slots[level][slot]);
    }
}

void nr_timers_add(struct nr_timers *timers, struct nr_timer *timer)
{
    uint64_t tick = tick_of(timer->at_ns);
    unsigned level, slot;

    if (tick <= timers->tick) {
        timer->op.flags = DUE;
        nr_list_push_back(&timers->due, &timer->op.link);
        return;
    }
    level = (unsigned)(63 - __builtin_clzll(tick ^ timers->tick)) / GROUP_BITS;
    slot = (unsigned)(tick >> (level * GROUP_BITS)) % NR_TIMERS_SLOTS;
    timer->op.flags = (uint16_t)(level << GROUP_BITS | slot);
    timers->used[level] |= 1ull << slot;
    nr_list_push_back(&timers->slots[level][slot], &timer->op.link);
}

void nr_timers_remove(struct nr_timers *timers, struct nr_timer *timer)
{
    unsigned flags = timer->op.flags;
    unsigned level = flags >> GROUP_BITS, slot = flags % NR_TIMERS_SLOTS;

    nr_list_remove(&timer->op.link);
    if (flags != DUE && nr_list_empty(&timers->slots[level][slot]))
        timers->used[level] &= ~(1ull << slot);
}

/* Merge two sorted lists into `to`; on equal times those of `a`, armed earlier, go first. */
static void merge(struct nr_link *to, struct nr_link *a, struct nr_link *b)
{
    while (!nr_list_empty(a) && !nr_list_empty(b)) {
        bool from_b = timer_of(b->next)->at_ns < timer_of(a->next)->at_ns;

        nr_list_push_back(to, nr_list_pop_front(from_b ? b : a));
    }
    nr_list_splice_back(to, a);
    nr_list_splice_back(to, b);
}

/* A stable merge sort of the list, bottom up: runs[i] is empty or holds 2^i timers, and a higher
 * run was armed before a lower one. */
static void sort(struct nr_link *list)
{
    enum { RUNS = 32 };
    struct nr_link runs[RUNS];
    struct nr_link carry, merged;
    int used = 0;

    if (list->next == list->prev)
        return; /* none or one */
    nr_link_init(&carry);
    nr_link_init(&merged);
    while (!nr_list_empty(list)) {
        int i = 0;

        nr_list_push_back(&carry, nr_list_pop_front(list));
        for (; i < used && !nr_list_empty(&runs[i]); i++) {
            merge(&merged, &runs[i], &carry);
            nr_list_splice_back(&carry, &merged);
        }
        if (i == used) {
            nr_assert(used < RUNS);
            nr_link_init(&runs[used++]);
        }
        nr_list_splice_back(&runs[i], &carry);
    }
    for (int i = 0; i < used; i++) {
        merge(&merged, &runs[i], &carry);
        nr_list_splice_back(&carry, &merged);
    }
    nr_list_splice_back(list, &carry);
}

/* The first slot in use and the tick at which it begins. False: the wheel is empty. */
static bool first_slot(const struct nr_timers *timers, unsigned *ret_level, unsigned *ret_slot,
                       uint64_t *ret_tick)
{
    for (unsigned level = 0; level < NR_TIMERS_LEVELS; level++) {
        unsigned shift = level * GROUP_BITS;
        unsigned slot;

        if (timers->used[level] == 0)
            continue;
        slot = (unsigned)__builtin_ctzll(timers->used[level]);
        *ret_level = level;
        *ret_slot = slot;
        *ret_tick = (timers->tick >> shift >> GROUP_BITS << GROUP_BITS | slot) << shift;
        return true;
    }
    return false;
}

void nr_timers_expire(struct nr_timers *timers, uint64_t now_ns, struct nr_link *expired)
{
    uint64_t now_tick = now_ns / NR_TIMERS_TICK_NS;
    uint64_t tick;
    unsigned level, slot;
    struct nr_link moved;

    nr_link_init(&moved);
    for (;;) {
        sort(&timers->due);
        nr_list_splice_back(expired, &timers->due);
        if (!first_slot(timers, &level, &slot, &tick) || tick > now_tick)
            break;
        timers->tick = tick;
        timers->used[level] &= ~(1ull << slot);
        nr_list_splice_back(&moved, &timers->slots[level][slot]);
        /* From level 0 all are due now; from above they go one or more levels down. */
        while (!nr_list_empty(&moved))
            nr_timers_add(timers, timer_of(nr_list_pop_front(&moved)));
    }
    if (now_tick > timers->tick)
        timers->tick = now_tick;
}

uint64_t nr_timers_next_ns(const struct nr_timers *timers)
{
    uint64_t tick;
    unsigned level, slot;

    if (!nr_list_empty(&timers->due))
        return 0;
    if (!first_slot(timers, &level, &slot, &tick))
        return UINT64_MAX;
    return tick * NR_TIMERS_TICK_NS;
}
