/* SPDX-License-Identifier: Apache-2.0 */
/* Blocking work: a queue under a lock and a few threads, started when they are first needed.
 *
 * A work op's link is on the pool's queue until a thread takes it, then nowhere, then in the
 * engine's mailbox. Its flags are written under the lock; the engine's thread reads them
 * when the op comes home, ordered by the mailbox. */
#include <pthread.h>
#include <stdlib.h>

#include "base/assert.h"
#include "io/epoll_engine.h"

enum {
    THREADS_DEFAULT = 4,
    THREADS_MAX = 64,
    QUEUE_MAX = 1024,
    RUNNING = 1 << 0, /* op.flags */
    CANCELLED = 1 << 1,
};

struct nr_workpool {
    struct nr_epoll *engine;
    pthread_mutex_t lock;
    pthread_cond_t wanted;
    struct nr_link queue; /* of struct nr_work */
    uint32_t queued;
    uint32_t idle; /* threads that wait */
    bool ending;
    uint32_t threads_max;
    uint32_t thread_count; /* the engine's thread only, as the next */
    struct nr_thread *threads[THREADS_MAX];
};

static struct nr_work *take(struct nr_workpool *pool)
{
    struct nr_link *link;
    struct nr_work *work = NULL;

    pthread_mutex_lock(&pool->lock);
    pool->idle++;
    while ((link = nr_list_pop_front(&pool->queue)) == NULL && !pool->ending)
        pthread_cond_wait(&pool->wanted, &pool->lock);
    pool->idle--;
    if (link != NULL) {
        pool->queued--;
        work = nr_container_of(link, struct nr_work, op.link);
        work->op.flags |= RUNNING;
    }
    pthread_mutex_unlock(&pool->lock);
    return work;
}

static void thread_main(void *ctx)
{
    struct nr_workpool *pool = ctx;
    struct nr_work *work;

    while ((work = take(pool)) != NULL) {
        work->run(work);
        nr_epoll_post(&pool->engine->base, &work->op);
    }
}

static struct nr_workpool *pool_new(struct nr_epoll *e)
{
    struct nr_workpool *pool = calloc(1, sizeof(*pool));
    uint32_t threads = e->conf.work_threads > 0 ? e->conf.work_threads : THREADS_DEFAULT;

    nr_assert(pool != NULL);
    pool->engine = e;
    pool->threads_max = threads < THREADS_MAX ? threads : THREADS_MAX;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wanted, NULL);
    nr_link_init(&pool->queue);
    return pool;
}

void nr_workpool_free(struct nr_workpool *pool)
{
    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->ending = true;
    pthread_cond_broadcast(&pool->wanted);
    pthread_mutex_unlock(&pool->lock);
    for (uint32_t i = 0; i < pool->thread_count; i++)
        nr_thread_join(pool->threads[i]);
    pthread_cond_destroy(&pool->wanted);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

/* False: the queue is full. *ret_spare: threads that will not be busy with what is queued. */
static bool enqueue(struct nr_workpool *pool, struct nr_work *work, bool *ret_spare)
{
    bool fits;

    pthread_mutex_lock(&pool->lock);
    fits = pool->queued < QUEUE_MAX;
    if (fits) {
        nr_list_push_back(&pool->queue, &work->op.link);
        pool->queued++;
        pthread_cond_signal(&pool->wanted);
    }
    *ret_spare = pool->idle >= pool->queued;
    pthread_mutex_unlock(&pool->lock);
    return fits;
}

static bool withdraw(struct nr_workpool *pool, struct nr_work *work)
{
    bool queued;

    pthread_mutex_lock(&pool->lock);
    queued = (work->op.flags & RUNNING) == 0;
    if (queued) {
        nr_list_remove(&work->op.link);
        pool->queued--;
    } else {
        work->op.flags |= CANCELLED;
    }
    pthread_mutex_unlock(&pool->lock);
    return queued;
}

void nr_workpool_submit(struct nr_io *io, struct nr_work *work)
{
    struct nr_epoll *e = nr_epoll_of(io);
    struct nr_workpool *pool;
    bool spare;

    if (e->pool == NULL)
        e->pool = pool_new(e);
    pool = e->pool;
    if (!enqueue(pool, work, &spare)) {
        nr_engine_ready(io, &work->op, NR_ELIMIT);
        return;
    }
    if (!spare && pool->thread_count < pool->threads_max &&
        nr_thread_start("naru-work", thread_main, pool, &pool->threads[pool->thread_count], NULL) ==
            NR_OK)
        pool->thread_count++;
    if (pool->thread_count == 0 && withdraw(pool, work))
        nr_engine_ready(io, &work->op, NR_ELIMIT); /* the system gives us no thread at all */
}

void nr_workpool_cancel(struct nr_epoll *e, struct nr_work *work)
{
    if (withdraw(e->pool, work))
        nr_engine_ready(&e->base, &work->op, NR_ECANCELED);
}

void nr_workpool_arrived(struct nr_epoll *e, struct nr_op *op)
{
    nr_engine_ready(&e->base, op, op->flags & CANCELLED ? NR_ECANCELED : NR_OK);
}
