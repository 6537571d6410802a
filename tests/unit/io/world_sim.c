/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated world for the contract suite: hosts a and b on one link. */
#include <stdlib.h>

#include "contract.h"
#include "io/sim.h"

struct world_sim {
    struct world base;
    struct nr_sim *sim;
};

static const char host_a[] = "10.0.0.1";
static const char host_b[] = "10.0.0.2";

static struct world_sim *of(struct world *world)
{
    return (struct world_sim *)(void *)world;
}

struct world *world_new(void)
{
    static const struct nr_sim_conf conf = {
        .seed = 1,
        /* Segments as large as loopback's, so that the stories' steps go as far as there. */
        .link = {.latency_min_ns = 20 * 1000,
                 .latency_max_ns = 20 * 1000,
                 .window_bytes = 1024 * 1024,
                 .segment_bytes = 32 * 1024},
    };
    struct world_sim *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    w->sim = nr_sim_new(&conf);
    w->base = (struct world){
        .a = nr_sim_engine(w->sim, host_a),
        .b = nr_sim_engine(w->sim, host_b),
        .name = "sim",
        .host_b = host_b,
        .name_b = "b.test",
        .name_bad = "nowhere.test",
    };
    nr_sim_name(w->sim, "b.test", host_b, 60);
    return &w->base;
}

void world_free(struct world *world)
{
    nr_sim_free(of(world)->sim);
    free(world);
}

void world_step(struct world *world)
{
    nr_sim_step(of(world)->sim);
}

struct nr_listener *world_listen(struct world *world, struct nr_io *const *engines, uint32_t count,
                                 struct nr_addr *ret_address)
{
    struct nr_listen_conf conf = {.inherited_fd = -1};
    struct nr_listener *listener;

    assert_int_equal(nr_addr_parse("10.0.0.2:0", &conf.address, NULL), NR_OK);
    assert_int_equal(nr_listener_open(engines, count, &conf, &listener, NULL), NR_OK);
    *ret_address = nr_listener_address(listener);
    return listener;
}

struct nr_io *world_engine_on_b(struct world *world)
{
    return nr_sim_engine(of(world)->sim, host_b);
}

/* One is what the listener itself holds. */
void world_exhaust_files(struct world *world, bool exhausted)
{
    nr_sim_limit_files(of(world)->sim, host_b, exhausted ? 1 : 0);
}
