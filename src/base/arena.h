/* SPDX-License-Identifier: Apache-2.0 */
/* arena.h - memory that is freed all at once: one per request.
 *
 * Allocation bumps a pointer. The first block may live inside the owner (see
 * nr_arena_init), further ones come from the heap and double in size. Each
 * block ends in a canary that nr_arena_done checks: an overrun aborts at the
 * end of the request that made it, not three requests later.
 *
 * Not thread-safe. Allocation never returns NULL: what a peer can size must be
 * bounded before it gets here (nr_arena_used_bytes tells how much is in use). */
#ifndef NR_BASE_ARENA_H
#define NR_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "naru/span.h"

enum { NR_ARENA_ALIGN_BYTES = 8 };

enum { NR_ARENA_SPARES = 2 };

struct nr_arena_block;

struct nr_arena {
    char *at;                    /* next free byte */
    char *limit;                 /* one past the last usable byte of the current block */
    struct nr_arena_block *heap; /* newest heap block first; NULL while the first suffices */
    struct nr_arena_block *spares[NR_ARENA_SPARES]; /* kept by a reset, not in use; by size */
    char *first;       /* start of the embedded block; NULL without one */
    char *first_limit; /* where its canary stands */
    size_t used_bytes; /* sum of all blocks, for budgets */
};

/* Use `bytes` at `memory` as the first block; memory may be NULL with bytes 0,
 * and aligned to anything. */
void nr_arena_init(struct nr_arena *arena, void *memory, size_t bytes);

/* Free the heap blocks and check every canary. The arena may be init-ed again. */
void nr_arena_done(struct nr_arena *arena);

/* Empty the arena for its next use. The first block stays, and so do the two smallest sizes of heap
 * blocks (2 and 4 KiB): a user that needs a little more than the first block each time goes to the
 * heap only once. */
void nr_arena_reset(struct nr_arena *arena);

/* The same from a block of the heap: what nr_arena_alloc does when the present block is full. */
void *nr_arena_alloc_more(struct nr_arena *arena, size_t bytes);

/* Aligned to 8 bytes, not zeroed. bytes may be 0. */
static inline void *nr_arena_alloc(struct nr_arena *arena, size_t bytes)
{
    size_t rounded = (bytes + NR_ARENA_ALIGN_BYTES - 1) & ~(size_t)(NR_ARENA_ALIGN_BYTES - 1);
    char *at = arena->at;

    if (nr_unlikely(rounded > (size_t)(arena->limit - at) || at == NULL))
        return nr_arena_alloc_more(arena, rounded);
    arena->at = at + rounded;
    return at;
}

/* As nr_arena_alloc, zeroed. */
void *nr_arena_zalloc(struct nr_arena *arena, size_t bytes);

/* A copy that lives as long as the arena; NUL-terminated for the debugger's sake. */
struct nr_span nr_arena_dup(struct nr_arena *arena, struct nr_span text);

/* printf into the arena; the result is NUL-terminated. */
struct nr_span nr_arena_printf(struct nr_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
