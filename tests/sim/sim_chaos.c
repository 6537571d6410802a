/* SPDX-License-Identifier: Apache-2.0 */
/* sim_chaos.c - an exercise from its beginning to its end, with whatever clients send meanwhile.
 *
 *   1. Every attempt on `app` fails on purpose, in one of several ways. Nobody may notice: its
 *      circuits open, and `spare` answers all that is not late by its own wish.
 *   2. Some attempts fail, some are late, some answers are slow, on both services. Whatever comes
 * of it, what gateway_world.h says holds.
 *   3. The faults are taken out by a reload. The circuits, which have survived it, close by their
 *      probes, and `spare` has nothing to do any more.
 *
 * Replay a failure with: ./dev sim chaos --seed N */
#include <stdio.h>

#include "base/compiler.h"
#include "gateway_world.h"
#include "simtest.h"

enum { REQUESTS_EACH = 15, CALM_REQUESTS_EACH = 3, ROUNDS_MAX = 40, APP = 0, SPARE_INSTANCE = 2 };

#define MS ((uint64_t)1000000)

/* Ways in which every attempt fails, and what the service needs to notice. */
static const struct {
    const char *faults;
    const char *timeouts;
} ways[] = {
    {"{ abort: 503 }", "connect: 300ms"},
    {"{ reset: true }", "connect: 300ms"},
    {"{ abort: 502, percent: 50% }, { delay: 20ms, percent: 50% }, { reset: true }",
     "connect: 300ms"},
    {"{ delay: 10s }", "connect: 300ms, attempt: 200ms"},
};

static const char *const mixed =
    "{ abort: 503, percent: 10% }, { reset: true, percent: 10% }, { delay: 30ms, percent: 20% }, "
    "{ bandwidth: 2MiB/s, percent: 20% }";

static void step(struct world *world)
{
    simtest_check(world->test, world->sim, nr_sim_step(world->sim),
                  "a request waits for what will never happen");
}

static void reload(struct world *world, const char *timeouts, const char *app, const char *spare)
{
    char text[2048];

    snprintf(text, sizeof(text),
             "gateway:\n  deadline: 2s\n  listen: [{ address: \"10.0.0.1:8080\" }]\n"
             "  routes: [{ match: { path: \"/*\" }, service: app }]\n"
             "services:\n"
             "  app:\n"
             "    instances: [\"10.0.1.1:7000\", \"10.0.1.2:7000\"]\n"
             "    timeouts: { %s }\n"
             "    retry: { attempts: 2, on: [connect, reset, timeout, 502, 503],\n"
             "             methods: [GET, PUT, POST], budget: { ratio: 100%%, min: 1000/s } }\n"
             "    breaker: { open: 300ms, open_max: 300ms, jitter: 0%% }\n"
             "    fallback: { service: spare }\n"
             "    faults: [%s]\n"
             "  spare: { instances: [\"10.0.1.3:7000\"], faults: [%s] }\n",
             timeouts, app, spare);
    world_reload(world, text);
    while (world->reloading)
        step(world);
    simtest_check(world->test, world->sim, world->reload_applied, "a reload was refused");
}

static void load(struct world *world, uint32_t requests)
{
    world_load(world, requests);
    while (world_busy(world))
        step(world);
}

static uint32_t circuits_closed(struct world *world)
{
    struct nr_service *service = nr_gateway_service(world->gateway, APP);
    uint32_t count = nr_service_circuit_count(service), closed = 0;

    for (uint32_t i = 0; i < count; i++) {
        struct nr_circuit_view view;

        nr_service_circuit(service, i, nr_sim_now_ns(world->sim), &view);
        closed += view.present && view.state == NR_BREAKER_CLOSED;
    }
    return closed;
}

static uint64_t served_by_app(const struct world *world)
{
    return world->instances[0].served + world->instances[1].served;
}

static void nobody_notices(struct world *world)
{
    simtest_check(world->test, world->sim, world->verdict.broken == 0, "an answer broke off");
    simtest_check(world->test, world->sim, world->verdict.problems == world->verdict.late,
                  "a request failed that was not late by its own wish");
}

static void the_service_is_gone(struct world *world)
{
    size_t way = nr_random_below(nr_sim_random(world->sim), NR_COUNT(ways));
    uint64_t served;

    reload(world, ways[way].timeouts, ways[way].faults, "");
    served = served_by_app(world);
    load(world, REQUESTS_EACH);
    nobody_notices(world);
    simtest_check(world->test, world->sim, served_by_app(world) == served,
                  "an instance was asked although every attempt is struck");
    simtest_check(world->test, world->sim, circuits_closed(world) == 0, "a circuit is closed");
}

static void the_exercise_is_over(struct world *world)
{
    uint64_t spare;

    reload(world, "connect: 300ms", "", "");
    for (int i = 0; i < ROUNDS_MAX && circuits_closed(world) < 2; i++) {
        nr_sim_run(world->sim, nr_sim_now_ns(world->sim) + 400 * MS);
        load(world, CALM_REQUESTS_EACH);
    }
    simtest_check(world->test, world->sim, circuits_closed(world) == 2, "a circuit stays open");
    spare = world->instances[SPARE_INSTANCE].served;
    load(world, CALM_REQUESTS_EACH);
    simtest_check(world->test, world->sim,
                  circuits_closed(world) < 2 || world->instances[SPARE_INSTANCE].served == spare,
                  "who stands in is asked although all is well");
}

static void run(struct simtest *test)
{
    struct world world;

    world_init(&world, test, &(struct world_conf){0});
    the_service_is_gone(&world);
    reload(&world, "connect: 300ms", mixed, mixed);
    load(&world, REQUESTS_EACH);
    the_exercise_is_over(&world);
    world_done(&world);
}

int main(int argc, char **argv)
{
    return simtest_main(argc, argv, "chaos", 20, run);
}
