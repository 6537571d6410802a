/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 over the simulator: two hosts, a link that cuts the bytes by seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "carrier.h"
#include "http/client.h"
#include "http/server.h"
#include "io/sim.h"

struct carrier_sim {
    struct carrier base;
    struct nr_sim *sim;
    struct nr_server *server;
    struct nr_client *client;
    struct nr_listener *listener;
    struct nr_server_conf server_conf;
    struct nr_client_conf client_conf;
};

static bool step(struct carrier *carrier)
{
    return nr_sim_step(((struct carrier_sim *)carrier)->sim);
}

static struct nr_exchange *open_exchange(struct carrier *carrier, struct nr_arena *arena,
                                         const struct nr_exchange_events *events, void *owner)
{
    return nr_client_open(((struct carrier_sim *)carrier)->client, arena, events, owner, false);
}

static void on_drained(void *ctx)
{
    *(bool *)ctx = true;
}

static void free_carrier(struct carrier *carrier)
{
    struct carrier_sim *s = (struct carrier_sim *)carrier;
    bool drained = false;

    nr_client_close(s->client);
    nr_server_on_drained(s->server, on_drained, &drained);
    nr_server_drain(s->server);
    nr_listener_close(s->listener);
    while (nr_sim_step(s->sim))
        ;
    assert_true(drained);
    nr_server_free(s->server);
    nr_sim_free(s->sim);
    free(s);
}

struct carrier *carrier_new(uint64_t seed, struct nr_handler *handler)
{
    static const uint32_t segments[] = {1460, 1, 7, 300, 0};
    struct carrier_sim *s = calloc(1, sizeof(*s));
    struct nr_listen_conf listen = {.inherited_fd = -1};
    struct nr_sim_conf conf = {.seed = seed,
                               .link = {.latency_min_ns = 10000,
                                        .latency_max_ns = 1000000,
                                        .segment_bytes = segments[seed % 5],
                                        .split_randomly = seed % 3 == 1,
                                        .window_bytes = seed % 4 == 3 ? 4096 : 0}};
    struct nr_io *io;
    struct nr_addr address;

    assert_non_null(s);
    s->base = (struct carrier){.name = "h1 over sim",
                               .runs = 20,
                               .half_close = true,
                               .step = step,
                               .open = open_exchange,
                               .free = free_carrier};
    s->server_conf = nr_server_conf_default;
    s->client_conf = nr_client_conf_default;
    s->sim = nr_sim_new(&conf);
    io = nr_sim_engine(s->sim, "10.0.0.2");
    assert_int_equal(nr_addr_parse("10.0.0.2:80", &listen.address, NULL), NR_OK);
    assert_int_equal(nr_listener_open(&io, 1, &listen, &s->listener, NULL), NR_OK);
    address = nr_listener_address(s->listener);
    s->server = nr_server_new(io, s->listener, &s->server_conf, handler);
    s->client = nr_client_new(nr_sim_engine(s->sim, "10.0.0.1"), &address, &s->client_conf);
    return &s->base;
}
