/* SPDX-License-Identifier: Apache-2.0 */
/* buf.h - receive and send buffers, pooled last-in first-out.
 *
 * A buffer is a window [begin, end) into `data`. Two sizes exist: small for
 * everything, large for bodies that have shown to be big. The pool keeps a
 * bounded number of free ones per size and hands out the most recently used
 * first, because that one is still in the cache. One pool per engine: not
 * thread-safe. */
#ifndef NR_BASE_BUF_H
#define NR_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "naru/span.h"

enum {
    NR_BUF_SMALL_BYTES = 16 * 1024,       /* whole allocation, this header included */
    NR_BUF_LARGE_BYTES = 64 * 1024 + 512, /* room for a 64 KiB body and its head */
};

struct nr_buf {
    struct nr_buf *next; /* free list, or a chain that the owner keeps */
    uint32_t cap;        /* bytes in data */
    uint32_t begin;      /* first byte not yet consumed */
    uint32_t end;        /* one past the last byte received */
    uint32_t large;      /* 1: belongs to the large free list */
    char data[];
};

struct nr_buf_pool {
    struct nr_buf *free[2]; /* small, large */
    uint32_t free_count[2];
    uint32_t free_max[2]; /* beyond these, freed to the heap */
    uint32_t live;        /* handed out and not yet returned: 0 at a clean exit */
};

void nr_buf_pool_init(struct nr_buf_pool *pool);
void nr_buf_pool_done(struct nr_buf_pool *pool);

/* An empty buffer with room for at least want bytes if want fits the large size,
 * else a large one. want 0 gives a small one. Never NULL. */
struct nr_buf *nr_buf_get(struct nr_buf_pool *pool, size_t want);

/* NULL is fine. */
void nr_buf_put(struct nr_buf_pool *pool, struct nr_buf *buf);

static inline size_t nr_buf_len(const struct nr_buf *buf)
{
    return buf->end - buf->begin;
}

static inline size_t nr_buf_room(const struct nr_buf *buf)
{
    return buf->cap - buf->end;
}

static inline struct nr_span nr_buf_span(const struct nr_buf *buf)
{
    return (struct nr_span){buf->data + buf->begin, nr_buf_len(buf)};
}

#endif
