/* SPDX-License-Identifier: Apache-2.0 */
/* sim_reload.c - a gateway is given other configurations, at any moment of its requests.
 *
 * Nothing else is wrong in this world, so no request may fail: not one whose service is replaced
 * under it, not one that comes while a listener goes. A configuration that cannot be had changes
 * nothing. What is left behind at the end would be found by nr_sim_free and the leak checker.
 * Replay a failure with: ./dev sim reload --seed N */
#include "base/compiler.h"
#include "gateway_world.h"
#include "simtest.h"

enum { REQUESTS_EACH = 30, RELOADS_MIN = 20 };

#define MS ((uint64_t)1000000)

#define HEALTH "    health: { path: /healthz, interval: 200ms, timeout: 150ms, rise: 1, fall: 2 }\n"
#define TIMES  "    timeouts: { connect: 300ms, attempt: 900ms, idle: 1s }\n"
#define ONE    "\"10.0.1.1:7000\""
#define TWO    "\"10.0.1.2:7000\""
#define THREE  "\"10.0.1.3:7000\""

static const struct {
    const char *text;
    bool good;
} configurations[] = {
    {"gateway:\n  deadline: 2s\n  listen: [{ address: \"10.0.0.1:8080\" }]\n"
     "  routes: [{ match: { path: \"/*\" }, service: app }]\n"
     "services:\n  app:\n    instances: [" ONE ", " TWO ", " THREE "]\n" HEALTH TIMES,
     true},
    {"gateway:\n  deadline: 2s\n  listen: [{ address: \"10.0.0.1:8080\" }]\n"
     "  routes: [{ match: { path: \"/*\" }, service: app }]\n"
     "services:\n  app:\n    instances: [" THREE ", " ONE "]\n    balance: round_robin\n" TIMES,
     true},
    {"gateway:\n  deadline: 2s\n"
     "  listen: [{ address: \"10.0.0.1:8081\" }, { address: \"10.0.0.1:8080\" }]\n"
     "  routes: [{ match: { path: \"/1/*\" }, service: other },\n"
     "           { match: { path: \"/*\" }, service: app }]\n"
     "services:\n  other:\n    instances: [" TWO "]\n" TIMES "  app:\n    instances: [" ONE ", " TWO
     ", " THREE "]\n" HEALTH TIMES,
     true},
    {"gateway:\n  deadline: 2s\n  listen: [{ address: \"10.0.0.1:8080\" }]\n"
     "  routes: [{ match: { path: \"/*\" }, service: renamed }]\n"
     "services:\n  renamed:\n    instances: [" TWO "]\n" HEALTH TIMES,
     true},
    {"gateway:\n  deadline: 2s\n"
     "  listen: [{ address: \"10.0.0.1:8080\" }, { address: \"10.0.0.1:8082\" },\n"
     "           { address: \"10.0.1.1:8080\" }]\n" /* another host's address */
     "  routes: [{ match: { path: \"/*\" }, service: app }]\n"
     "services:\n  app:\n    instances: [" ONE "]\n",
     false},
};

static void step(struct world *world)
{
    simtest_check(world->test, world->sim, nr_sim_step(world->sim),
                  "a request waits for what will never happen");
}

static void reload_once(struct world *world)
{
    size_t which = nr_random_below(nr_sim_random(world->sim), NR_COUNT(configurations));

    world_reload(world, configurations[which].text);
    while (world->reloading)
        step(world);
    simtest_check(world->test, world->sim, world->reload_applied == configurations[which].good,
                  "a configuration was applied or refused where the opposite was right");
}

static void run(struct simtest *test)
{
    struct world world;
    uint64_t next_ns = 0;
    uint32_t reloads = 0;

    world_init(&world, test, &(struct world_conf){0});
    world_load(&world, REQUESTS_EACH);
    while (world_busy(&world) || reloads < RELOADS_MIN) {
        if (nr_sim_now_ns(world.sim) >= next_ns) {
            next_ns = nr_sim_now_ns(world.sim) + nr_random_below(nr_sim_random(world.sim), 60) * MS;
            reload_once(&world);
            reloads++;
        }
        step(&world);
    }
    simtest_check(test, world.sim, world.verdict.broken == 0, "an answer broke off");
    simtest_check(test, world.sim, world.verdict.problems == world.verdict.late,
                  "a request failed that was not late by its own wish");
    world_done(&world);
}

int main(int argc, char **argv)
{
    return simtest_main(argc, argv, "reload", 20, run);
}
