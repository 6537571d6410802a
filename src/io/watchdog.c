/* SPDX-License-Identifier: Apache-2.0 */
/* Who holds the loop. The engine notes the kind of each operation it runs and counts
 * the runs: two plain stores. A thread looks twice per threshold, so that it costs an idle machine
 * little; when it has seen the same run for as long as the threshold, it reports the kind's name,
 * once per run. It starts counting at its first sight of the run, so what it reports is at most
 * half a threshold too little.
 *
 * Kinds are static, so a pointer that was just replaced may still be read. */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/assert.h"
#include "io/epoll_engine.h"

enum { LOOKS_PER_THRESHOLD = 2 };

static const uint64_t threshold_default_ns = 50u * 1000 * 1000;

struct nr_watchdog {
    struct nr_epoll *engine;
    uint64_t threshold_ns;
    struct nr_thread *thread;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool ending;
};

struct sight {
    uint32_t run;
    uint64_t since_ns; /* 0: nothing ran */
    bool reported;
};

static void look(struct nr_watchdog *w, struct sight *sight, uint64_t now_ns)
{
    struct nr_io *io = &w->engine->base;
    uint32_t run = atomic_load_explicit(&io->runs, memory_order_relaxed);
    const struct nr_op_kind *kind = atomic_load_explicit(&io->running, memory_order_relaxed);

    if (kind == NULL || sight->since_ns == 0 || run != sight->run) {
        *sight = (struct sight){.run = run, .since_ns = kind != NULL ? now_ns : 0};
        return;
    }
    if (sight->reported || now_ns - sight->since_ns < w->threshold_ns)
        return;
    sight->reported = true;
    w->engine->conf.stalled(w->engine->conf.stalled_ctx, kind->name, now_ns - sight->since_ns);
}

/* True until it is time to end. */
static bool sleep_a_while(struct nr_watchdog *w, uint64_t until_ns)
{
    struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000u),
                             .tv_nsec = (long)(until_ns % 1000000000u)};
    bool go_on;

    pthread_mutex_lock(&w->lock);
    if (!w->ending)
        pthread_cond_timedwait(&w->ended, &w->lock, &until);
    go_on = !w->ending;
    pthread_mutex_unlock(&w->lock);
    return go_on;
}

static void watch(void *ctx)
{
    struct nr_watchdog *w = ctx;
    struct sight sight = {.run = 0};
    uint64_t now_ns = nr_epoll_clock_ns(NULL);

    while (sleep_a_while(w, now_ns + w->threshold_ns / LOOKS_PER_THRESHOLD)) {
        now_ns = nr_epoll_clock_ns(NULL);
        look(w, &sight, now_ns);
    }
}

struct nr_watchdog *nr_watchdog_new(struct nr_epoll *e)
{
    struct nr_watchdog *w = calloc(1, sizeof(*w));
    pthread_condattr_t attributes;

    nr_assert(w != NULL);
    w->engine = e;
    w->threshold_ns = e->conf.watchdog_ns > 0 ? e->conf.watchdog_ns : threshold_default_ns;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&w->ended, &attributes);
    pthread_condattr_destroy(&attributes);
    if (nr_thread_start("naru-watchdog", watch, w, &w->thread, NULL) != NR_OK) {
        pthread_cond_destroy(&w->ended);
        pthread_mutex_destroy(&w->lock);
        free(w);
        return NULL;
    }
    return w;
}

void nr_watchdog_free(struct nr_watchdog *watchdog)
{
    if (watchdog == NULL)
        return;
    pthread_mutex_lock(&watchdog->lock);
    watchdog->ending = true;
    pthread_cond_signal(&watchdog->ended);
    pthread_mutex_unlock(&watchdog->lock);
    nr_thread_join(watchdog->thread);
    pthread_cond_destroy(&watchdog->ended);
    pthread_mutex_destroy(&watchdog->lock);
    free(watchdog);
}
