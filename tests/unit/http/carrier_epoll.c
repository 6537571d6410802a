/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 over the kernel's sockets: two engines on loopback, stepped in one thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "carrier.h"
#include "http/client.h"
#include "http/server.h"
#include "io/epoll_engine.h"

struct carrier_epoll {
    struct carrier base;
    struct nr_io *io[2];
    struct nr_server *server;
    struct nr_client *client;
    struct nr_listener *listener;
    struct nr_server_conf server_conf;
    struct nr_client_conf client_conf;
};

static bool step(struct carrier *carrier)
{
    struct carrier_epoll *e = (struct carrier_epoll *)carrier;
    bool moved = false;

    for (int i = 0; i < 2; i++) {
        uint32_t runs = atomic_load(&e->io[i]->runs);

        nr_epoll_turn(e->io[i], 0);
        moved |= runs != atomic_load(&e->io[i]->runs);
    }
    for (int i = 0; i < 2 && !moved; i++)
        nr_epoll_turn(e->io[i], NR_TIMERS_TICK_NS);
    return true;
}

static struct nr_exchange *open_exchange(struct carrier *carrier, struct nr_arena *arena,
                                         const struct nr_exchange_events *events, void *owner)
{
    return nr_client_open(((struct carrier_epoll *)carrier)->client, arena, events, owner, false);
}

static void on_drained(void *ctx)
{
    *(bool *)ctx = true;
}

static void free_carrier(struct carrier *carrier)
{
    struct carrier_epoll *e = (struct carrier_epoll *)carrier;
    bool drained = false;

    nr_client_close(e->client);
    nr_server_on_drained(e->server, on_drained, &drained);
    nr_server_drain(e->server);
    nr_listener_close(e->listener);
    while (!drained || nr_io_outstanding(e->io[0]) > 0 || nr_io_outstanding(e->io[1]) > 0)
        step(carrier);
    nr_server_free(e->server);
    nr_io_free(e->io[0]);
    nr_io_free(e->io[1]);
    free(e);
}

struct carrier *carrier_new(uint64_t seed, struct nr_handler *handler)
{
    struct carrier_epoll *e = calloc(1, sizeof(*e));
    struct nr_epoll_conf conf = {.work_threads = 1};
    struct nr_listen_conf listen = {.inherited_fd = -1};
    struct nr_addr address;

    assert_non_null(e);
    e->base = (struct carrier){.name = "h1 over epoll",
                               .runs = 2,
                               .step = step,
                               .open = open_exchange,
                               .free = free_carrier};
    e->server_conf = nr_server_conf_default;
    e->client_conf = nr_client_conf_default;
    for (int i = 0; i < 2; i++)
        assert_int_equal(nr_io_new_epoll(&conf, &e->io[i], NULL), NR_OK);
    assert_int_equal(nr_addr_parse("127.0.0.1:0", &listen.address, NULL), NR_OK);
    assert_int_equal(nr_listener_open(&e->io[1], 1, &listen, &e->listener, NULL), NR_OK);
    address = nr_listener_address(e->listener);
    e->server = nr_server_new(e->io[1], e->listener, &e->server_conf, handler);
    e->client = nr_client_new(e->io[0], &address, &e->client_conf);
    return &e->base;
}
