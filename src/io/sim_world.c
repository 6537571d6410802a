/* SPDX-License-Identifier: Apache-2.0 */
/* The world: made, stepped, unmade.
 *
 * A step is one callback of one engine while any engine has something ready; which of them
 * goes is drawn. Only when all are idle does time move, to the earliest of the events and the
 * engines' timers. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "io/sim_world.h"

enum { STEPS_AT_ONE_INSTANT_MAX = 10 * 1000 * 1000 };

static const uint64_t wall_start_ns_default = 1767225600u * (uint64_t)1000000000; /* 2026-01-01 */

/* ---- memory ---- */

void *sim_zalloc(size_t bytes)
{
    void *memory = calloc(1, bytes);

    nr_assert(memory != NULL);
    return memory;
}

const char *sim_intern(struct nr_sim *sim, const char *text)
{
    size_t bytes = strlen(text) + 1;
    struct sim_text *own;

    for (own = sim->texts; own != NULL; own = own->next)
        if (strcmp(own->text, text) == 0)
            return own->text;
    own = sim_zalloc(sizeof(*own) + bytes);
    memcpy(own->text, text, bytes);
    own->next = sim->texts;
    sim->texts = own;
    return own->text;
}

/* Each chunk begins with the pointer to the one before; 16 bytes keep the rest aligned. */
static void pool_grow(struct sim_pool *pool)
{
    char *chunk = sim_zalloc(16 + (size_t)pool->bytes * SIM_POOL_CHUNK);

    *(void **)(void *)chunk = pool->chunks;
    pool->chunks = chunk;
    for (uint32_t i = SIM_POOL_CHUNK; i-- > 0;)
        sim_pool_put(pool, chunk + 16 + (size_t)i * pool->bytes);
}

void *sim_pool_get(struct sim_pool *pool)
{
    void *memory;

    if (pool->free == NULL)
        pool_grow(pool);
    memory = pool->free;
    pool->free = *(void **)memory;
    return memory;
}

void sim_pool_put(struct sim_pool *pool, void *memory)
{
    *(void **)memory = pool->free;
    pool->free = memory;
}

void sim_pool_done(struct sim_pool *pool)
{
    while (pool->chunks != NULL) {
        void *chunk = pool->chunks;

        pool->chunks = *(void **)chunk;
        free(chunk);
    }
}

/* ---- making ---- */

struct nr_sim *nr_sim_new(const struct nr_sim_conf *conf)
{
    struct nr_sim *sim = sim_zalloc(sizeof(*sim));
    struct nr_random seeds;

    sim->conf = *conf;
    if (sim->conf.wall_start_ns == 0)
        sim->conf.wall_start_ns = wall_start_ns_default;
    sim->now_ns = SIM_START_NS;
    nr_random_init(&seeds, conf->seed);
    nr_random_init(&sim->choice, nr_random_u64(&seeds));
    nr_random_init(&sim->net, nr_random_u64(&seeds));
    nr_random_init(&sim->test, nr_random_u64(&seeds));
    nr_link_init(&sim->hosts);
    nr_link_init(&sim->links);
    nr_link_init(&sim->conns);
    nr_link_init(&sim->listeners);
    nr_link_init(&sim->names);
    sim->segments.bytes = sizeof(struct sim_segment);
    sim->conn_pool.bytes = sizeof(struct sim_conn);
    return sim;
}

struct nr_io *nr_sim_engine(struct nr_sim *sim, const char *host_ip)
{
    if (sim->engine_count == sim->engine_cap) {
        sim->engine_cap = sim->engine_cap == 0 ? 8 : sim->engine_cap * 2;
        sim->engines = realloc(sim->engines, sim->engine_cap * sizeof(struct sim_engine *));
        nr_assert(sim->engines != NULL);
    }
    sim->engines[sim->engine_count] = sim_engine_new(sim, sim_host_get(sim, host_ip));
    return &sim->engines[sim->engine_count++]->io;
}

static void free_net(struct nr_sim *sim)
{
    struct nr_link *at;

    while (!nr_list_empty(&sim->conns)) {
        struct sim_conn *conn = nr_container_of(sim->conns.next, struct sim_conn, link);

        /* All handles are gone, so it can but be on its way into a backlog that is gone too. */
        nr_assert(!conn->end[0].attached && conn->end[1].attached);
        sim_conn_free(conn);
    }
    while ((at = nr_list_pop_front(&sim->links)) != NULL)
        free(nr_container_of(at, struct sim_link, link));
    while ((at = nr_list_pop_front(&sim->hosts)) != NULL)
        sim_host_free(nr_container_of(at, struct sim_host, link));
    for (int class = 0; class < SIM_RING_CLASSES; class ++)
        while (sim->rings[class] != NULL) {
            void *ring = sim->rings[class];

            sim->rings[class] = *(void **)ring;
            free(ring);
        }
    sim_pool_done(&sim->segments);
    sim_pool_done(&sim->conn_pool);
}

void nr_sim_free(struct nr_sim *sim)
{
    struct nr_link *at;

    if (sim == NULL)
        return;
    sim_leak_check(sim);
    for (uint32_t i = 0; i < sim->engine_count; i++)
        sim_engine_free(sim->engines[i]);
    free_net(sim);
    while ((at = nr_list_pop_front(&sim->names)) != NULL)
        free(nr_container_of(at, struct sim_name, link));
    while (sim->texts != NULL) {
        struct sim_text *text = sim->texts;

        sim->texts = text->next;
        free(text);
    }
    sim_queue_done(&sim->queue);
    free(sim->stand_ins);
    free(sim->engines);
    free(sim);
}

/* ---- stepping ---- */

static bool runnable(const struct sim_engine *engine)
{
    return !nr_list_empty(&engine->io.ready);
}

/* One of the engines that have something to do; NULL: all are idle. */
static struct sim_engine *choose(struct nr_sim *sim)
{
    struct sim_engine *first = NULL;
    uint32_t count = 0, chosen;

    if (sim->engine_count == 1)
        return runnable(sim->engines[0]) ? sim->engines[0] : NULL;
    for (uint32_t i = 0; i < sim->engine_count; i++)
        if (runnable(sim->engines[i])) {
            first = first == NULL ? sim->engines[i] : first;
            count++;
        }
    if (count <= 1)
        return first;
    chosen = (uint32_t)nr_random_below(&sim->choice, count);
    for (uint32_t i = first->index;; i++)
        if (runnable(sim->engines[i]) && chosen-- == 0)
            return sim->engines[i];
}

static void stands_still(const struct nr_sim *sim, const struct sim_engine *engine)
{
    const struct nr_op *op = nr_container_of(engine->io.ready.next, const struct nr_op, link);

    fprintf(
        stderr,
        "simulation: %d callbacks and time has not moved (seed %llu, %.6f s, host %s, now %s)\n",
        STEPS_AT_ONE_INSTANT_MAX, (unsigned long long)sim->conf.seed, (double)sim->now_ns / 1e9,
        engine->host->name, op->kind->name);
    abort();
}

static uint64_t next_timer_ns(const struct nr_sim *sim)
{
    uint64_t next_ns = UINT64_MAX;

    for (uint32_t i = 0; i < sim->engine_count; i++) {
        uint64_t at_ns = nr_timers_next_ns(&sim->engines[i]->io.timers);

        if (at_ns < next_ns)
            next_ns = at_ns;
    }
    return next_ns;
}

static void set_now(struct nr_sim *sim, uint64_t now_ns)
{
    if (now_ns <= sim->now_ns)
        return;
    sim->now_ns = now_ns;
    sim->steps_at_now = 0;
    for (uint32_t i = 0; i < sim->engine_count; i++) {
        sim->engines[i]->io.now_ns = now_ns;
        sim->engines[i]->io.wall_ns = sim->conf.wall_start_ns + now_ns;
    }
}

static void expire_timers(struct nr_sim *sim)
{
    for (uint32_t i = 0; i < sim->engine_count; i++)
        if (nr_timers_next_ns(&sim->engines[i]->io.timers) <= sim->now_ns)
            nr_engine_expire(&sim->engines[i]->io);
}

/* One event that is not later than until_ns; false: there is none. */
static bool step(struct nr_sim *sim, uint64_t until_ns)
{
    for (;;) {
        struct sim_engine *engine = choose(sim);
        uint64_t event_ns, timer_ns;

        if (engine != NULL) {
            if (++sim->steps_at_now > STEPS_AT_ONE_INSTANT_MAX)
                stands_still(sim, engine);
            return nr_engine_run_one(&engine->io);
        }
        event_ns = sim_event_next_ns(sim);
        timer_ns = next_timer_ns(sim);
        if (event_ns == UINT64_MAX && timer_ns == UINT64_MAX)
            return false;
        if ((event_ns < timer_ns ? event_ns : timer_ns) > until_ns)
            return false;
        if (timer_ns < event_ns ||
            (timer_ns == event_ns && nr_random_below(&sim->choice, 2) == 0)) {
            set_now(sim, timer_ns);
            expire_timers(sim);
            continue; /* the timer's callback is the event */
        }
        set_now(sim, event_ns);
        {
            struct nr_sim_event *event = sim_event_pop(sim);

            event->fire(sim, event);
        }
        return true;
    }
}

bool nr_sim_step(struct nr_sim *sim)
{
    return step(sim, UINT64_MAX);
}

void nr_sim_run(struct nr_sim *sim, uint64_t until_ns)
{
    while (step(sim, until_ns))
        ;
    if (until_ns != UINT64_MAX)
        set_now(sim, until_ns);
}

uint64_t nr_sim_now_ns(const struct nr_sim *sim)
{
    return sim->now_ns;
}

struct nr_random *nr_sim_random(struct nr_sim *sim)
{
    return &sim->test;
}
