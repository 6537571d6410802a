/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"

enum {
    CANARY_BYTES = 8,
    HEAP_BLOCK_BYTES_MIN = 2048,
    HEAP_BLOCK_BYTES_MAX = 64 * 1024,
};

static const uint64_t canary = 0x6e617275c0a1a1a5u;

struct nr_arena_block {
    struct nr_arena_block *next;
    size_t bytes; /* usable ones in data */
    char data[];
};

static void plant(char *at)
{
    memcpy(at, &canary, CANARY_BYTES);
}

static void inspect(const char *at)
{
    nr_assert(memcmp(at, &canary, CANARY_BYTES) == 0);
}

void nr_arena_init(struct nr_arena *arena, void *memory, size_t bytes)
{
    size_t skip = -(uintptr_t)memory % NR_ARENA_ALIGN_BYTES; /* to the first aligned byte */

    *arena = (struct nr_arena){0};
    if (bytes < skip + NR_ARENA_ALIGN_BYTES + CANARY_BYTES)
        return;
    arena->at = (char *)memory + skip;
    arena->first = arena->at;
    arena->first_limit =
        arena->at + ((bytes - skip - CANARY_BYTES) & ~(size_t)(NR_ARENA_ALIGN_BYTES - 1));
    arena->limit = arena->first_limit;
    arena->used_bytes = bytes;
    plant(arena->first_limit);
}

/* Which of the spares a block of this size may be; NR_ARENA_SPARES: none. */
static uint32_t spare_of(size_t bytes)
{
    uint32_t i = 0;

    while (i < NR_ARENA_SPARES && bytes != (size_t)HEAP_BLOCK_BYTES_MIN << i)
        i++;
    return i;
}

static void empty(struct nr_arena *arena, bool keep)
{
    struct nr_arena_block *block = arena->heap;

    while (block != NULL) {
        struct nr_arena_block *older = block->next;
        uint32_t spare = spare_of(block->bytes);

        inspect(block->data + block->bytes);
        if (keep && spare < NR_ARENA_SPARES && arena->spares[spare] == NULL)
            arena->spares[spare] = block;
        else
            free(block);
        block = older;
    }
    if (arena->first_limit != NULL)
        inspect(arena->first_limit);
}

void nr_arena_done(struct nr_arena *arena)
{
    empty(arena, false);
    for (uint32_t i = 0; i < NR_ARENA_SPARES; i++)
        free(arena->spares[i]);
    *arena = (struct nr_arena){0};
}

void nr_arena_reset(struct nr_arena *arena)
{
    empty(arena, true);
    arena->heap = NULL;
    arena->at = arena->first;
    arena->limit = arena->first_limit;
    arena->used_bytes = arena->first == NULL ? 0 : (size_t)(arena->first_limit - arena->first);
}

/* The smallest spare that suffices; NULL: none does. */
static struct nr_arena_block *take_spare(struct nr_arena *arena, size_t bytes)
{
    for (uint32_t i = 0; i < NR_ARENA_SPARES; i++) {
        struct nr_arena_block *spare = arena->spares[i];

        if (spare == NULL || spare->bytes < bytes)
            continue;
        arena->spares[i] = NULL;
        return spare;
    }
    return NULL;
}

void *nr_arena_alloc_more(struct nr_arena *arena, size_t bytes)
{
    size_t block_bytes = arena->heap == NULL ? HEAP_BLOCK_BYTES_MIN : arena->heap->bytes * 2;
    struct nr_arena_block *block = take_spare(arena, bytes);

    if (block_bytes > HEAP_BLOCK_BYTES_MAX)
        block_bytes = HEAP_BLOCK_BYTES_MAX;
    if (block_bytes < bytes)
        block_bytes = bytes;
    if (block != NULL) {
        block_bytes = block->bytes;
    } else {
        block = malloc(sizeof(*block) + block_bytes + CANARY_BYTES);
        nr_assert(block != NULL);
    }
    block->bytes = block_bytes;
    block->next = arena->heap;
    plant(block->data + block_bytes);
    arena->heap = block;
    arena->used_bytes += block_bytes;
    arena->at = block->data + bytes;
    arena->limit = block->data + block_bytes;
    return block->data;
}

void *nr_arena_zalloc(struct nr_arena *arena, size_t bytes)
{
    return memset(nr_arena_alloc(arena, bytes), 0, bytes);
}

struct nr_span nr_arena_dup(struct nr_arena *arena, struct nr_span text)
{
    char *copy = nr_arena_alloc(arena, text.len + 1);

    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return (struct nr_span){copy, text.len};
}

struct nr_span nr_arena_printf(struct nr_arena *arena, const char *format, ...)
{
    va_list args, again;
    int len;
    char *text;

    va_start(args, format);
    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    nr_assert(len >= 0);
    text = nr_arena_alloc(arena, (size_t)len + 1);
    vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    return (struct nr_span){text, (size_t)len};
}
