/* SPDX-License-Identifier: Apache-2.0 */
/* The heap of events: four children per node, so that it is shallow, and the keys lie in the
 * array, so that sifting touches no event but those that move. An event knows its place, so
 * it can be moved and taken back. */
#include <stdlib.h>

#include "base/assert.h"
#include "io/sim_world.h"

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

void nr_sim_at(struct nr_sim *sim, struct nr_sim_event *event, uint64_t at_ns)
{
    struct sim_heap *heap = &sim->heap;
    struct sim_heap_entry entry = {
        .at_ns = at_ns < sim->now_ns ? sim->now_ns : at_ns,
        .sequence = heap->sequence_next++,
        .event = event,
    };

    nr_sim_cancel(sim, event);
    if (heap->count + 2 > heap->cap) {
        heap->cap = heap->cap == 0 ? 256 : heap->cap * 2;
        heap->entries = realloc(heap->entries, heap->cap * sizeof(*heap->entries));
        nr_assert(heap->entries != NULL);
    }
    sift_up(heap, ++heap->count, entry);
}

void nr_sim_cancel(struct nr_sim *sim, struct nr_sim_event *event)
{
    uint32_t at = event->heap_at;

    if (at == 0)
        return;
    event->heap_at = 0;
    take(&sim->heap, at);
}

struct nr_sim_event *sim_event_pop(struct nr_sim *sim)
{
    struct nr_sim_event *event;

    nr_assert(sim->heap.count > 0);
    event = sim->heap.entries[1].event;
    event->heap_at = 0;
    take(&sim->heap, 1);
    return event;
}

uint64_t sim_event_next_ns(const struct nr_sim *sim)
{
    return sim->heap.count == 0 ? UINT64_MAX : sim->heap.entries[1].at_ns;
}
