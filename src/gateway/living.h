/* SPDX-License-Identifier: Apache-2.0 */
/* living.h - what of a gateway outlives a configuration, and what does not. Internal to
 * src/gateway.
 *
 *   snapshot   one configuration made ready: router, routes, which services and listeners it uses.
 *              Immutable once published; counted by whoever uses it, freed by the last.
 *   service    the living part of a service: the state that all workers share, and its health
 *              checks. A reload that leaves the service's section as it is takes it over into the
 *              next snapshot; one that changes it makes a new one, which inherits what is known of
 *              each instance that stays.
 *   listener   a listening socket. Kept as long as its address is configured.
 *
 * and on each worker:
 *
 *   view       one snapshot on one worker. Each request holds the view that it began with, by a
 *              plain counter of this worker's own; a tunnel lets go of it when it begins. The
 *              snapshot's atomic counter is touched only when a view comes or goes.
 *   pools      the worker's connections to one living service; shared by the views that use it.
 *   port       a listener on a worker, with its server. Kept with all its connections as long as
 *              the listener is; a new configuration only changes what it points to.
 *
 * Who owns what: control (the thread that reloads) makes and frees ports, because it reads their
 * counters; a worker opens their servers and drains them. Views and pools are the worker's own. */
#ifndef NR_GATEWAY_LIVING_H
#define NR_GATEWAY_LIVING_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/intern.h"
#include "base/list.h"
#include "base/roster.h"
#include "call/call.h"
#include "gateway/gateway.h"
#include "gateway/gateway_conf.h"
#include "gateway/guard.h"
#include "gateway/router.h"
#include "gateway/routes.h"
#include "gateway/shed_filter.h"
#include "gateway/tcp.h"
#include "http/date.h"
#include "service/service_conf.h"

struct nr_gateway_service {
    _Atomic uint32_t refs;
    struct nr_arena memory;
    const struct nr_service_conf *conf; /* our own copy: no configuration is kept for it */
    struct nr_service *service;
    struct nr_span fallback;           /* its body; in memory */
    _Atomic uint8_t fallback_said;     /* enum nr_said: always, or never, by hand */
    uint32_t id;                       /* in records; set when it is published, then constant */
    struct nr_health_checker *checker; /* control's; NULL: not running */
};

struct nr_gateway_listener {
    _Atomic uint32_t refs;
    char *text; /* as configured, in normal form: what tells listeners apart */
    struct nr_listener *listener;
    struct nr_addr address; /* bound; a Unix path points into text */
    struct nr_crowd *crowd; /* owned; shared by the workers */
    uint32_t id;
    _Atomic uint32_t accepting; /* workers that may still ask it for connections */
};

struct nr_gateway_snapshot {
    _Atomic uint32_t refs;
    struct nr_config *config; /* our reference */
    const struct nr_gateway_conf *conf;
    struct nr_routes *table; /* owned; the next two are its */
    const struct nr_router *router;
    struct nr_gateway_route *routes;
    struct nr_guards *guards; /* owned */
    struct nr_gateway_service **services;
    uint32_t *stand_ins; /* per service: which one stands in for it; NR_ID_NONE: none */
    uint32_t service_count;
    struct nr_gateway_listener **listeners; /* as conf->listen; NULL: not opened yet */
};

struct nr_gateway_ids {
    struct nr_intern *routes;
    struct nr_intern *services;
    struct nr_intern *listeners;
    struct nr_intern *limits;
    struct nr_roster **instances; /* per service id */
    uint32_t instances_cap;
};

struct nr_gateway {
    struct nr_gateway_snapshot *current;
    struct nr_gateway_ids ids;
    uint64_t secret[2]; /* of hashed keys; drawn before workers run */
    struct nr_shedder shedder;
    struct nr_route_hand **hands; /* control's */
    uint32_t hand_count;
    bool faults_said; /* some were put on a route by hand, now or before */
    struct nr_gateway_worker **workers;
    uint32_t worker_count;
    struct nr_io **engines; /* of the listeners */
    uint32_t engine_count;

    struct nr_io *control; /* NULL until started */
    nr_service_change_fn health_changed;
    void *health_ctx;
    nr_service_news_fn news;
    void *news_ctx;
    uint32_t checkers; /* running or about to stop */
    void (*stopped)(void *ctx);
    void *stopped_ctx;
    struct nr_op stopped_op;

    struct nr_gateway_plan *plan; /* being switched to */
    bool ending;                  /* no plan is accepted any more */
    uint32_t switching;           /* workers that have not done it yet */
};

/* ---- on a worker ---- */

struct nr_gateway_pools {
    struct nr_io *io;
    struct nr_gateway_service *service; /* our reference */
    struct nr_service_pools *pools;
    uint32_t refs;
    struct nr_op op; /* lets go of the service behind the last of its connections */
};

struct nr_gateway_view {
    struct nr_io *io;
    struct nr_gateway_snapshot *snapshot; /* our reference */
    uint32_t refs;
    struct nr_op op;                  /* frees it, outside of any request's callbacks */
    struct nr_gateway_pools *pools[]; /* per service of the snapshot */
};

/* One listener on one worker. */
struct nr_gateway_port {
    struct nr_handler handler;
    struct nr_gateway_worker *worker;
    struct nr_gateway_listener *listener;      /* our reference */
    const struct nr_gateway_listen_conf *conf; /* of the worker's present view */
    struct nr_server_conf server_conf;
    struct nr_server *server; /* NULL: TCP, or not begun */
    struct nr_tcp_owner tcp_owner;
    struct nr_tcp_conf tcp_conf;
    struct nr_tcp *tcp;                    /* NULL: HTTP, or not begun */
    uint32_t tcp_service;                  /* index into the worker's present view */
    uint32_t number;                       /* of the listener in its configuration */
    bool is_tcp;                           /* constant */
    bool removed;                          /* the worker's; control looks between two switches */
    const struct nr_server_counts *counts; /* published with release: control reads them */
    uint32_t id;                           /* in records */
    struct nr_link of_control;
    struct nr_op gone;        /* worker → control: drained, free it */
    struct nr_link of_worker; /* on the worker's `removed` */
    struct nr_timer limit;    /* removed: when what is left of it is broken off */
    bool stays;               /* the worker's, while it switches */
};

/* Padded on purpose: what other threads read has cache lines of its own. */
/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding) */
struct nr_gateway_worker {
    struct nr_gateway *gateway;
    struct nr_io *io;
    struct nr_record_sink *sink;
    uint32_t share; /* workers that share the listeners' limits */
    struct nr_gateway_view *view;
    struct nr_call_budget budget;
    struct nr_date date;
    uint32_t in_flight; /* requests, without tunnels */
    struct nr_shed_watch watch;
    uint64_t faults[NR_FAULTS];     /* put in on purpose; cells */
    struct nr_gateway_port **ports; /* of the present view, per listener */
    uint32_t port_count;
    struct nr_link removed; /* ports of removed listeners, draining */
    uint32_t undrained;     /* servers, those of removed listeners too */
    bool draining;
    struct nr_op drained_op; /* for a worker that has no port to wait for */
    void (*drained)(void *ctx);
    void *drained_ctx;

    struct nr_link all_ports;            /* control's: also those that drain */
    struct nr_server_counts gone_counts; /* control's: of the ports that are no more */

    /* A reload. Control fills it in and posts the one; the worker posts the other. */
    struct nr_gateway_snapshot *next;
    struct nr_gateway_port **next_ports;
    struct nr_op switch_op;
    struct nr_op switched_op;
};

/* ---- snapshot.c ---- */

struct nr_gateway_changes;

/* Make a configuration ready, taking over from `before` (NULL: nothing) what stays. */
enum nr_code nr_snapshot_new(struct nr_config *config, const struct nr_gateway_snapshot *before,
                             struct nr_gateway_snapshot **ret_snapshot,
                             struct nr_gateway_changes *changes, struct nr_err *err) NR_MUST_USE;
struct nr_gateway_snapshot *nr_snapshot_ref(struct nr_gateway_snapshot *snapshot);
void nr_snapshot_unref(struct nr_gateway_snapshot *snapshot);

/* Give ids to all that it names. On control, when nothing can go wrong any more. */
void nr_snapshot_publish(struct nr_gateway_snapshot *snapshot, struct nr_gateway_ids *ids);

bool nr_snapshot_uses(const struct nr_gateway_snapshot *snapshot,
                      const struct nr_gateway_service *service);

struct nr_gateway_service *nr_gateway_service_ref(struct nr_gateway_service *service);
void nr_gateway_service_unref(struct nr_gateway_service *service);

/* ---- gateway.c ---- */

void nr_gateway_add_worker(struct nr_gateway *gateway, struct nr_gateway_worker *worker);

void nr_gateway_listener_unref(struct nr_gateway_listener *listener);

/* Open those listeners of the snapshot that are not open yet. On failure those that were opened
 * stay in the snapshot, whose end closes them. */
enum nr_code nr_gateway_open_listeners(struct nr_gateway *gateway,
                                       struct nr_gateway_snapshot *snapshot,
                                       struct nr_inherited *inherited, uint32_t count,
                                       struct nr_err *err) NR_MUST_USE;

/* Resolve the names of the services that `before` (may be NULL) does not have. */
void nr_gateway_resolve_snapshot(struct nr_gateway_snapshot *snapshot,
                                 const struct nr_gateway_snapshot *before, struct nr_io *io,
                                 void (*done)(void *ctx, const struct nr_err *err), void *ctx);

/* The health checks of what `to` uses and `from` does not begin, and the other way round end.
 * Either may be NULL. */
void nr_gateway_move_health(struct nr_gateway *gateway, const struct nr_gateway_snapshot *from,
                            const struct nr_gateway_snapshot *to);

/* ---- port.c ---- */

/* Begin to serve, or go on with other values. conf is that of the listener with this number in the
 * worker's present view. True the first time: it will have to be drained. */
bool nr_port_serve(struct nr_gateway_port *port, const struct nr_gateway_listen_conf *conf,
                   uint32_t number);

void nr_port_drain(struct nr_gateway_port *port, bool gently, void (*drained)(void *ctx),
                   void *ctx);
void nr_port_abort(struct nr_gateway_port *port);

/* After it has drained, on control: free what it carried. */
void nr_port_done(struct nr_gateway_port *port);

static inline enum nr_said nr_fallback_said(const struct nr_gateway_service *service)
{
    return (enum nr_said)atomic_load_explicit(&service->fallback_said, memory_order_relaxed);
}

/* ---- worker.c ---- */

/* On control: which ports the worker will have with this snapshot, new ones made. */
struct nr_gateway_port **nr_worker_plan_ports(struct nr_gateway_worker *worker,
                                              const struct nr_gateway_snapshot *snapshot);

/* On the worker. Takes both over; the snapshot's reference, too. */
void nr_worker_switch(struct nr_gateway_worker *worker, struct nr_gateway_snapshot *snapshot,
                      struct nr_gateway_port **ports);

static inline struct nr_gateway_view *nr_view_hold(struct nr_gateway_worker *worker)
{
    worker->view->refs++;
    return worker->view;
}
void nr_view_release(struct nr_gateway_view *view);
void nr_pools_release(struct nr_gateway_pools *pools);

#endif
