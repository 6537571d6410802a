/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdlib.h>

#include "base/assert.h"

static const uint32_t allocation_bytes[2] = {NR_BUF_SMALL_BYTES, NR_BUF_LARGE_BYTES};

void nr_buf_pool_init(struct nr_buf_pool *pool)
{
    *pool = (struct nr_buf_pool){.free_max = {256, 64}};
}

void nr_buf_pool_done(struct nr_buf_pool *pool)
{
    for (int size = 0; size < 2; size++) {
        while (pool->free[size] != NULL) {
            struct nr_buf *buf = pool->free[size];

            pool->free[size] = buf->next;
            free(buf);
        }
        pool->free_count[size] = 0;
    }
}

struct nr_buf *nr_buf_get(struct nr_buf_pool *pool, size_t want)
{
    uint32_t large = want > NR_BUF_SMALL_BYTES - sizeof(struct nr_buf);
    struct nr_buf *buf = pool->free[large];

    if (buf != NULL) {
        pool->free[large] = buf->next;
        pool->free_count[large]--;
    } else {
        buf = malloc(allocation_bytes[large]);
        nr_assert(buf != NULL);
        buf->cap = (uint32_t)(allocation_bytes[large] - sizeof(struct nr_buf));
        buf->large = large;
    }
    buf->next = NULL;
    buf->begin = 0;
    buf->end = 0;
    pool->live++;
    return buf;
}

void nr_buf_put(struct nr_buf_pool *pool, struct nr_buf *buf)
{
    if (buf == NULL)
        return;
    nr_assert(pool->live > 0);
    pool->live--;
    if (pool->free_count[buf->large] >= pool->free_max[buf->large]) {
        free(buf);
        return;
    }
    buf->next = pool->free[buf->large];
    pool->free[buf->large] = buf;
    pool->free_count[buf->large]++;
}
