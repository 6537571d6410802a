/* SPDX-License-Identifier: Apache-2.0 */
/* What will happen, in the order of (time, sequence).
 *
 *   near      a heap: all that happens in the present bucket or before its end
 *   buckets   a ring of short stretches of time behind that, each an unordered list; a bit each
 *             tells which are not empty
 *   far       a heap: what happens behind the ring
 *
 * When `near` is empty, the next bucket's events move there, and those of `far` that are due by
 * then. So in a busy world an event is put on a list, moved once, and sorted among a few; and in a
 * quiet one it costs a heap of few.
 *
 * The heaps have four children per node, so that they are shallow, and the keys lie in the array,
 * so that sifting touches no event but those that move. An event knows its place, so it can be
 * moved and taken back. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "io/sim_world.h"

enum { NOWHERE, NEAR, FAR, IN_BUCKET }; /* nr_sim_event.where */

_Static_assert(SIM_BUCKETS == 64 * 64, "a word of bits tells which words have any");

/* ---- a heap ---- */

static bool earlier(const struct sim_heap_entry *a, const struct sim_heap_entry *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->sequence < b->sequence;
}

static void put(struct sim_heap *heap, uint32_t at, struct sim_heap_entry entry)
{
    heap->entries[at] = entry;
    entry.event->heap_at = at;
}

/* Node i has its children at 4i-2 … 4i+1, its parent at (i+2)/4. */
static void sift_up(struct sim_heap *heap, uint32_t at, struct sim_heap_entry entry)
{
    while (at > 1) {
        uint32_t parent = (at + 2) / 4;

        if (!earlier(&entry, &heap->entries[parent]))
            break;
        put(heap, at, heap->entries[parent]);
        at = parent;
    }
    put(heap, at, entry);
}

static void sift_down(struct sim_heap *heap, uint32_t at, struct sim_heap_entry entry)
{
    for (;;) {
        uint32_t first = 4 * at - 2, end = first + 4, best;

        if (first > heap->count)
            break;
        if (end > heap->count + 1)
            end = heap->count + 1;
        best = first;
        for (uint32_t child = first + 1; child < end; child++)
            if (earlier(&heap->entries[child], &heap->entries[best]))
                best = child;
        if (!earlier(&heap->entries[best], &entry))
            break;
        put(heap, at, heap->entries[best]);
        at = best;
    }
    put(heap, at, entry);
}

static void take(struct sim_heap *heap, uint32_t at)
{
    struct sim_heap_entry last = heap->entries[heap->count--];

    if (at > heap->count)
        return; /* it was the last itself */
    if (at > 1 && earlier(&last, &heap->entries[(at + 2) / 4]))
        sift_up(heap, at, last);
    else
        sift_down(heap, at, last);
}

static void add(struct sim_heap *heap, struct nr_sim_event *event, uint8_t where)
{
    const struct sim_heap_entry entry = {event->at_ns, event->sequence, event};

    event->where = where;
    if (heap->count + 2 > heap->cap) {
        heap->cap = heap->cap == 0 ? 256 : heap->cap * 2;
        heap->entries = realloc(heap->entries, heap->cap * sizeof(*heap->entries));
        nr_assert(heap->entries != NULL);
    }
    sift_up(heap, ++heap->count, entry);
}

/* ---- the ring ---- */

static uint64_t bucket_of(uint64_t at_ns)
{
    return at_ns >> SIM_BUCKET_SHIFT;
}

static void bucket_put(struct sim_queue *queue, struct nr_sim_event *event)
{
    uint32_t slot = (uint32_t)bucket_of(event->at_ns) % SIM_BUCKETS;
    struct nr_sim_event *first = queue->buckets[slot];

    event->where = IN_BUCKET;
    event->next = first;
    event->prev = NULL;
    if (first != NULL)
        first->prev = event;
    queue->buckets[slot] = event;
    queue->used[slot / 64] |= UINT64_C(1) << slot % 64;
    queue->used_words |= UINT64_C(1) << slot / 64;
}

static void bucket_unmark(struct sim_queue *queue, uint32_t slot)
{
    queue->used[slot / 64] &= ~(UINT64_C(1) << slot % 64);
    if (queue->used[slot / 64] == 0)
        queue->used_words &= ~(UINT64_C(1) << slot / 64);
}

static void bucket_take(struct sim_queue *queue, struct nr_sim_event *event)
{
    uint32_t slot = (uint32_t)bucket_of(event->at_ns) % SIM_BUCKETS;

    if (event->next != NULL)
        event->next->prev = event->prev;
    if (event->prev != NULL)
        event->prev->next = event->next;
    else
        queue->buckets[slot] = event->next;
    if (queue->buckets[slot] == NULL)
        bucket_unmark(queue, slot);
}

/* The first bucket behind the present one that is not empty; UINT64_MAX: all are. */
static uint64_t next_bucket(const struct sim_queue *queue)
{
    uint32_t start = (uint32_t)(queue->present + 1) % SIM_BUCKETS, word = start / 64, slot;
    uint64_t bits = queue->used[word] & (UINT64_MAX << start % 64), words;

    if (bits == 0) {
        words = queue->used_words & ~(UINT64_MAX >> (63 - word));
        words = words != 0 ? words : queue->used_words; /* around the end */
        if (words == 0)
            return UINT64_MAX;
        word = (uint32_t)__builtin_ctzll(words);
        bits = queue->used[word];
    }
    slot = word * 64 + (uint32_t)__builtin_ctzll(bits);
    return queue->present + 1 + (slot - start) % SIM_BUCKETS;
}

/* ---- the three together ---- */

/* `near` is empty: the next events that there are. */
static void refill(struct sim_queue *queue)
{
    uint64_t ring = next_bucket(queue);
    uint64_t far = queue->far.count == 0 ? UINT64_MAX : bucket_of(queue->far.entries[1].at_ns);
    struct nr_sim_event *event;

    if (ring == UINT64_MAX && far == UINT64_MAX)
        return;
    queue->present = ring < far ? ring : far;
    if (ring == queue->present) {
        uint32_t slot = (uint32_t)ring % SIM_BUCKETS;

        event = queue->buckets[slot];
        queue->buckets[slot] = NULL;
        bucket_unmark(queue, slot);
        for (struct nr_sim_event *next; event != NULL; event = next) {
            next = event->next;
            add(&queue->near, event, NEAR);
        }
    }
    while (queue->far.count > 0 && bucket_of(queue->far.entries[1].at_ns) <= queue->present) {
        event = queue->far.entries[1].event;
        take(&queue->far, 1);
        add(&queue->near, event, NEAR);
    }
}

void nr_sim_at(struct nr_sim *sim, struct nr_sim_event *event, uint64_t at_ns)
{
    struct sim_queue *queue = &sim->queue;
    uint64_t bucket;

    nr_sim_cancel(sim, event);
    event->at_ns = at_ns < sim->now_ns ? sim->now_ns : at_ns;
    event->sequence = queue->sequence_next++;
    bucket = bucket_of(event->at_ns);
    if (bucket <= queue->present)
        add(&queue->near, event, NEAR);
    else if (bucket - queue->present < SIM_BUCKETS)
        bucket_put(queue, event);
    else
        add(&queue->far, event, FAR);
}

void nr_sim_cancel(struct nr_sim *sim, struct nr_sim_event *event)
{
    struct sim_queue *queue = &sim->queue;

    switch (event->where) {
    case NEAR: take(&queue->near, event->heap_at); break;
    case FAR: take(&queue->far, event->heap_at); break;
    case IN_BUCKET: bucket_take(queue, event); break;
    default: return;
    }
    event->where = NOWHERE;
}

struct nr_sim_event *sim_event_pop(struct nr_sim *sim)
{
    struct nr_sim_event *event;

    nr_assert(sim->queue.near.count > 0);
    event = sim->queue.near.entries[1].event;
    event->where = NOWHERE;
    take(&sim->queue.near, 1);
    return event;
}

uint64_t sim_event_next_ns(struct nr_sim *sim)
{
    if (sim->queue.near.count == 0)
        refill(&sim->queue);
    return sim->queue.near.count == 0 ? UINT64_MAX : sim->queue.near.entries[1].at_ns;
}

void sim_queue_done(struct sim_queue *queue)
{
    free(queue->near.entries);
    free(queue->far.entries);
}
