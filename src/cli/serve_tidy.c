/* SPDX-License-Identifier: Apache-2.0 */
/* serve_tidy.c - what a change of the configuration needed goes back to the system.
 *
 * The configuration before, and all that was made of it, lives as long as requests that began with
 * it. The last of them frees it, on whichever worker, and the allocator keeps the pieces for the
 * next who asks, which in a process that needs little memory is nobody. So control holds each
 * configuration that is on its way out, looks now and then whether it is the last who does, and
 * then has what is free given back, on a pool thread; and once more when removed listeners and the
 * connections of old services should have gone, too. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "cli/serve.h"

enum { FIRST_LOOK_MS = 50, PAUSE_MS_MAX = 1000, LAST_LOOK_MS = 10000 };

static void look_in(struct nr_serve *serve, uint32_t pause_ms)
{
    struct nr_tidy_state *tidy = &serve->tidy;

    tidy->pause_ms = pause_ms;
    nr_timer_arm(serve->control, &tidy->look,
                 nr_io_now_ns(serve->control) + (uint64_t)tidy->pause_ms * 1000000);
}

/* ---- giving back ---- */

/* On a pool thread. */
static void trim(struct nr_work *work)
{
    (void)work;
    nr_process_trim_memory();
}

static void trimmed(struct nr_op *op)
{
    (void)op; /* when it was not done, the next time does it */
}

static void trim_if_free(struct nr_serve *serve)
{
    static const struct nr_op_kind trimmed_kind = {trimmed, "serve.trim"};
    struct nr_tidy_state *tidy = &serve->tidy;

    if (!tidy->freed || !nr_op_idle(&tidy->trim.op))
        return;
    tidy->freed = false;
    nr_op_init(&tidy->trim.op, &trimmed_kind);
    tidy->trim.run = trim;
    nr_io_work(serve->control, &tidy->trim);
}

/* ---- on their way out ---- */

static void drop_lonely(struct nr_tidy_state *tidy)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < tidy->count; i++) {
        if (!nr_config_alone(tidy->leaving[i])) {
            tidy->leaving[kept++] = tidy->leaving[i];
            continue;
        }
        nr_config_unref(tidy->leaving[i]);
        tidy->freed = true;
    }
    tidy->count = kept;
}

static void look(struct nr_op *op)
{
    struct nr_serve *serve = nr_container_of(op, struct nr_serve, tidy.look.op);
    struct nr_tidy_state *tidy = &serve->tidy;

    drop_lonely(tidy);
    tidy->freed = tidy->freed || tidy->last;
    trim_if_free(serve);
    if (tidy->count > 0 || tidy->freed) {
        look_in(serve, tidy->pause_ms * 2 < PAUSE_MS_MAX ? tidy->pause_ms * 2 : PAUSE_MS_MAX);
    } else if (!tidy->last) {
        tidy->last = true;
        look_in(serve, LAST_LOOK_MS);
    }
}

static void add(struct nr_tidy_state *tidy, struct nr_config *config)
{
    if (tidy->count == tidy->cap) {
        tidy->cap = tidy->cap == 0 ? 4 : tidy->cap * 2;
        tidy->leaving = realloc(tidy->leaving, tidy->cap * sizeof(struct nr_config *));
        nr_assert(tidy->leaving != NULL);
    }
    tidy->leaving[tidy->count++] = config;
}

/* ---- the interface ---- */

void nr_serve_tidy_init(struct nr_serve *serve)
{
    static const struct nr_op_kind look_kind = {look, "serve.tidy"};

    nr_timer_init(&serve->tidy.look, &look_kind);
}

void nr_serve_tidy(struct nr_serve *serve, struct nr_config *config)
{
    struct nr_tidy_state *tidy = &serve->tidy;

    if (serve->draining) {
        nr_config_unref(config);
        return;
    }
    if (config != NULL)
        add(tidy, config);
    else
        tidy->freed = true;
    tidy->last = false;
    if (!nr_timer_armed(&tidy->look) || tidy->pause_ms > FIRST_LOOK_MS)
        look_in(serve, FIRST_LOOK_MS);
}

void nr_serve_tidy_stop(struct nr_serve *serve)
{
    nr_timer_disarm(serve->control, &serve->tidy.look);
}

void nr_serve_tidy_done(struct nr_serve *serve)
{
    for (uint32_t i = 0; i < serve->tidy.count; i++)
        nr_config_unref(serve->tidy.leaving[i]);
    free(serve->tidy.leaving);
}
