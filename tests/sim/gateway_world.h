/* SPDX-License-Identifier: Apache-2.0 */
/* gateway_world.h - a gateway, the instances behind it and the clients before it, simulated.
 *
 * The gateway is the real one: configuration, http, router, call, service. Instances and clients
 * stand on the same http code, each on a host of its own, and check what they see:
 *
 *   - every request of a client ends exactly once, and a complete answer has the bytes that its
 *     instance meant for it
 *   - a problem that naru reports has its shape
 *   - no record of the gateway says that a request, or an attempt of it, lived longer than its
 *     deadline and 10 ms
 *   - each request that reached the gateway left one record
 *   - no instance works on what is answered already, has met its deadline, or is wanted by nobody
 *   - nothing is outstanding when the world ends (nr_sim_free aborts otherwise) */
#ifndef NR_TESTS_SIM_GATEWAY_WORLD_H
#define NR_TESTS_SIM_GATEWAY_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/gateway.h"
#include "http/client.h"
#include "http/server.h"
#include "io/sim.h"
#include "simtest.h"

enum {
    INSTANCES = 3,
    CLIENTS = 8,
    WORKERS_MAX = 2,
    DEADLINE_MS = 2000,
    PATTERN_PERIOD = 251,
    PIECE_BYTES = 4096,
};

struct world;

struct instance {
    struct world *world;
    const char *host;
    struct nr_io *io;
    struct nr_listener *listener;
    struct nr_server *server;
    struct nr_server_conf conf;
    struct nr_handler handler;
    bool alive;         /* listening */
    bool stopping;      /* its server has not drained yet */
    uint32_t error_pct; /* of its answers */
    uint64_t fine_ns;   /* nothing is wrong with its link since then; NR_TIME_NEVER: something is */
    uint64_t served;
    struct nr_link serving; /* struct serving: what it works on */
};

struct client {
    struct world *world;
    const char *host;
    struct nr_io *io;
    struct nr_client *pool;
    struct nr_client_conf conf;
    uint32_t left; /* requests still to be started */
    bool busy;
};

struct verdict {
    uint64_t started;
    uint64_t ended;
    uint64_t late;     /* asked for more time than the deadline gives */
    uint64_t whole;    /* 200, and every byte right */
    uint64_t problems; /* naru's own answers */
    uint64_t sorry;    /* the services' own errors */
    uint64_t fallbacks;
    uint64_t left;   /* by the client */
    uint64_t stale;  /* went out over a connection that was closing */
    uint64_t broken; /* the answer broke off, or none came */
    uint64_t records;
};

/* What is known of one request, by its key. */
struct fate {
    uint64_t over_ns; /* nobody waits for it any more; 0: somebody does */
    bool recorded;
    bool reached; /* an instance */
};

struct world {
    struct simtest *test;
    struct nr_sim *sim;
    struct nr_io *gateway_ios[WORKERS_MAX];
    struct nr_config *config;
    bool impatient;
    struct nr_gateway *gateway;
    struct nr_gateway_worker *workers[WORKERS_MAX];
    uint32_t worker_count;
    const char *path_prefix; /* of the next requests */
    bool quick;              /* they ask for no time of their instance, and nobody leaves */
    void (*on_record)(struct world *world, const struct nr_record *record); /* may be NULL */
    struct nr_record_sink sink;
    struct instance instances[INSTANCES];
    struct client clients[CLIENTS];
    struct verdict verdict;
    struct fate *fates; /* by key, which begins at 1 */
    uint64_t fate_room;
    char pattern[PATTERN_PERIOD + PIECE_BYTES];
    bool reloading;
    bool reload_applied;
    uint32_t draining; /* workers */
    bool health_stopped;
};

/* config NULL: three instances behind p2c, with health checks. Clients leave in the middle of some
 * requests if `impatient`. */
struct world_conf {
    const char *config;
    uint32_t workers; /* 0: 1 */
    bool impatient;
};
void world_init(struct world *world, struct simtest *test, const struct world_conf *conf);

/* Let every client make `requests` more, one after the other. */
void world_load(struct world *world, uint32_t requests);

bool world_busy(const struct world *world);

/* After each event: nothing is worked on in vain. */
void world_check(struct world *world);

/* The link to an instance is about to change, or to be as it should. */
void world_bad_link(struct world *world, struct instance *instance);
void world_good_link(struct world *world, struct instance *instance);

/* kill -9 of an instance, and its restart on the same address. */
void world_kill(struct world *world, struct instance *instance);
void world_restart(struct world *world, struct instance *instance);

/* Give the gateway this configuration; steps until !reloading, then reload_applied tells. One at a
 * time. */
void world_reload(struct world *world, const char *text);

/* Drain everything, in the order a real shutdown has, and check for leaks. */
void world_done(struct world *world);

const char *world_gateway_host(void);

#endif
