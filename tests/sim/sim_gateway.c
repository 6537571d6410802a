/* SPDX-License-Identifier: Apache-2.0 */
/* sim_gateway.c - a gateway serves while instances die, links lose, stall and are cut.
 *
 * Whatever happens, every request gets exactly one end, what is whole is right, and nothing lives
 * past its deadline (see gateway_world.h). When the faults are over, everything is served again.
 * Replay a failure with: ./dev sim gateway --seed N */
#include "gateway_world.h"
#include "simtest.h"

enum { REQUESTS_EACH = 40, CALM_REQUESTS_EACH = 5 };

#define MS ((uint64_t)1000000)

static const struct nr_sim_link lossy = {
    .latency_min_ns = 1 * MS, .latency_max_ns = 20 * MS, .loss_ppm = 50000, .split_randomly = true};
static const struct nr_sim_link slow = {.latency_min_ns = 1 * MS,
                                        .latency_max_ns = 2 * MS,
                                        .bytes_per_s = 200000,
                                        .window_bytes = 8192};
static const struct nr_sim_link fine = {.latency_min_ns = MS / 20, .latency_max_ns = MS / 2};

static void break_something(struct world *world)
{
    struct nr_random *random = nr_sim_random(world->sim);
    struct instance *instance = &world->instances[nr_random_below(random, INSTANCES)];
    struct client *client = &world->clients[nr_random_below(random, CLIENTS)];
    const char *gateway = world_gateway_host();
    uint64_t what = nr_random_below(random, 10);

    if (what == 4 || what == 6 || what == 7)
        world_bad_link(world, instance);
    switch (what) {
    case 0:
    case 1: world_kill(world, instance); break;
    case 2:
    case 3: world_restart(world, instance); break;
    case 4: nr_sim_partition(world->sim, gateway, instance->host, true); break;
    case 5: nr_sim_partition(world->sim, gateway, instance->host, false); break;
    case 6: nr_sim_set_link(world->sim, gateway, instance->host, &lossy); break;
    case 7: nr_sim_set_link(world->sim, gateway, instance->host, &slow); break;
    case 8: nr_sim_reset_one(world->sim, gateway, instance->host); break;
    default: nr_sim_reset_one(world->sim, gateway, client->host); break;
    }
}

static void heal(struct world *world)
{
    for (int i = 0; i < INSTANCES; i++) {
        nr_sim_partition(world->sim, world_gateway_host(), world->instances[i].host, false);
        nr_sim_set_link(world->sim, world_gateway_host(), world->instances[i].host, &fine);
        while (world->instances[i].stopping && nr_sim_step(world->sim))
            continue;
        world_restart(world, &world->instances[i]);
        world_good_link(world, &world->instances[i]);
    }
}

static void step(struct world *world)
{
    simtest_check(world->test, world->sim, nr_sim_step(world->sim),
                  "a request waits for what will never happen");
    world_check(world);
}

static void run(struct simtest *test)
{
    struct world world;
    struct verdict calm;
    uint64_t next_fault_ns = 0;

    world_init(&world, test, &(struct world_conf){0});
    world_load(&world, REQUESTS_EACH);
    while (world_busy(&world)) {
        if (nr_sim_now_ns(world.sim) >= next_fault_ns) {
            next_fault_ns =
                nr_sim_now_ns(world.sim) + nr_random_below(nr_sim_random(world.sim), 200) * MS;
            break_something(&world);
        }
        step(&world);
    }
    heal(&world);
    nr_sim_run(world.sim, nr_sim_now_ns(world.sim) + 2000 * MS); /* the checks see it */
    calm = world.verdict;
    world_load(&world, CALM_REQUESTS_EACH);
    while (world_busy(&world))
        step(&world);
    simtest_check(test, world.sim, world.verdict.broken == calm.broken,
                  "an answer broke off in the calm");
    simtest_check(test, world.sim,
                  world.verdict.problems - calm.problems == world.verdict.late - calm.late,
                  "in the calm a request failed that was not late by its own wish");
    simtest_check(test, world.sim, world.verdict.records > 0, "no request reached the gateway");
    world_done(&world);
}

int main(int argc, char **argv)
{
    return simtest_main(argc, argv, "gateway", 20, run);
}
