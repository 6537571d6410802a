/* SPDX-License-Identifier: Apache-2.0 */
/* model.h - the world around the gateway of a simulation: instances, clients, faults. Internal to
 * foresight's simulate.c, model_*.c.
 *
 *   clients ──http──▶ the real gateway, of the user's configuration ──http──▶ instances
 *
 * Clients and instances stand on naru's own HTTP code, each instance on a host of its own. Their
 * times are exact (nr_sim_at), so that a service of 300 µs takes 300 µs; the gateway keeps time as
 * it does in reality. One thread; every random number comes from the scenario's seed. */
#ifndef NR_FORESIGHT_MODEL_H
#define NR_FORESIGHT_MODEL_H

#include "base/compiler.h"
#include "base/list.h"
#include "foresight/model_transport.h"
#include "foresight/report.h"
#include "foresight/scenario.h"
#include "gateway/gateway.h"
#include "http/client.h"
#include "http/server.h"
#include "io/sim.h"

struct nr_world;
struct nr_model_job;
struct nr_simulate_progress;

/* ---- an instance ---- */

/* How it fails at the moment: several failures may overlap. */
struct nr_model_faults {
    uint32_t dead;   /* refusing */
    uint32_t silent; /* black-holed */
    double reset;    /* share of requests that end in a RST */
    double slow;     /* factor */
    double share;    /* of requests answered with … */
    uint16_t status; /* … this; 0: none */
};

struct nr_model_instance {
    struct nr_world *world;
    const struct nr_model_conf *conf;
    const struct nr_latency_conf *latency;
    uint32_t capacity;
    double errors;
    uint32_t number; /* within the service */
    uint32_t index;  /* within the world */
    struct nr_span name;
    const char *health_path; /* answered at once; "" for none */
    char host[24];
    struct nr_addr listen;
    struct nr_io *io; /* wired */
    struct nr_random random;
    struct nr_handler handler;
    struct nr_model_target target; /* of the model transport */
    bool wired;                    /* it listens: calls come that way, or only checks over TCP */
    struct nr_listener *listener;
    struct nr_server *server;
    struct nr_server_conf server_conf;
    struct nr_model_faults faults;
    bool up;       /* serving */
    bool stopping; /* its server has not drained yet */
    struct nr_link queue;
    uint32_t queued;
    struct nr_link working;
    uint32_t busy;
};

void nr_model_instance_start(struct nr_model_instance *instance);
/* As kill -9 does: connections are reset, what it worked on is lost. */
void nr_model_instance_kill(struct nr_model_instance *instance);
/* After a kill, once it is down altogether; until then nothing happens: ask again. */
bool nr_model_instance_revive(struct nr_model_instance *instance);
void nr_model_instance_stop(struct nr_model_instance *instance);
void nr_model_instance_silence(struct nr_model_instance *instance, bool silent);

/* A job that lay on world->free_jobs. */
void nr_model_job_free(struct nr_link *link);

/* How long one request takes. */
uint64_t nr_model_latency_ns(const struct nr_latency_conf *conf, struct nr_random *random);

/* ---- clients ---- */

struct nr_model_visit;

struct nr_model_host {
    char ip[24];
    struct nr_client *pool;         /* NULL: … */
    struct nr_model_route **routes; /* … to each of the gateway's workers, in turn */
    uint32_t next_route;
};

struct nr_model_clients {
    struct nr_world *world;
    struct nr_model_host *hosts;
    uint32_t host_count;
    uint32_t next_host;
    struct nr_client_conf conf;
    struct nr_head *heads;        /* of each kind of request */
    struct nr_random random;      /* who comes, and when: the same whatever becomes of them */
    struct nr_random whims;       /* what they do then */
    struct nr_link asking;        /* visits with a request under way, the oldest first */
    struct nr_sim_event patience; /* of the oldest is over, or was */
    struct nr_sim_event arrival;
    double owed;      /* until the next visit, in visits */
    bool due;         /* the next arrival is one; else time has only to be looked at again */
    uint64_t weights; /* of all kinds of request */
    struct nr_link visits;
    struct nr_link free;
    uint32_t in_flight; /* requests under way */
};

/* A request's head as the gateway has it from its parser, paths made canonical and all: over the
 * model transport nobody else does that. One that the parser refuses stays as it is written. */
enum nr_h1_reason nr_model_head_make(const struct nr_request_conf *what, struct nr_arena *arena,
                                     struct nr_head *ret_head);

/* gateway: where they connect, on the wire. */
void nr_model_clients_start(struct nr_model_clients *clients, struct nr_world *world,
                            const struct nr_addr *gateway);
/* Whoever still waits gives up. */
void nr_model_clients_abandon(struct nr_model_clients *clients);
bool nr_model_clients_waiting(const struct nr_model_clients *clients);
/* Their connections. */
void nr_model_clients_close(struct nr_model_clients *clients);
void nr_model_clients_done(struct nr_model_clients *clients);

/* ---- what goes wrong, and when ---- */

struct nr_model_faults_plan;
struct nr_model_faults_plan *nr_model_faults_new(struct nr_world *world);
/* What has not happened yet will not. */
void nr_model_faults_free(struct nr_world *world);

/* ---- where the instances stand ---- */

/* All instances of the configuration, listening. Fails when a file of instances cannot be used. */
enum nr_code nr_model_instances_new(struct nr_world *world, struct nr_err *err) NR_MUST_USE;
/* When the simulator holds nothing of them any more. */
void nr_model_instances_free(struct nr_world *world);

/* NULL: the scenario says nothing of this service. */
const struct nr_model_conf *nr_model_conf_find(const struct nr_scenario *scenario,
                                               struct nr_span service);

/* ---- the world ---- */

struct nr_world {
    const struct nr_scenario *scenario;
    const struct nr_simulate_progress *progress;
    struct nr_config *config;
    struct nr_report *report;
    struct nr_sim *sim;
    bool modelled; /* exchanges go over `transport`, not over connections */
    struct nr_model_transport transport;
    struct nr_model_target *gates; /* modelled: of the gateway, one a worker */
    uint64_t start_ns;             /* when traffic begins */
    uint64_t end_ns;               /* when the last visit begins */
    struct nr_model_instance *instances;
    uint32_t instance_count;
    struct nr_model_clients clients;
    struct nr_model_faults_plan *faults;
    struct nr_link free_jobs;
    struct nr_arena arena; /* names of instances */
    struct nr_span *names; /* that the configuration uses, each with an address in the world */
    uint32_t name_count;
    struct nr_config **files; /* of instances, per service; NULL: none */
    struct nr_io **engines;   /* of the gateway's workers */
    struct nr_gateway_worker **workers;
    uint32_t worker_count;
    struct nr_gateway *gateway;
    struct nr_record_sink sink;
    struct nr_sim_event tick;
    uint32_t drains; /* still under way */
    bool resolved;
};

extern const char nr_model_gateway_host[];
extern const struct nr_sim_link nr_model_link_default;

#endif
