/* SPDX-License-Identifier: Apache-2.0 */
/* gateway.h - the gateway: listeners, routes and proxying, from one configuration after the other.
 *
 * struct nr_gateway is what all workers share; struct nr_gateway_worker is what one engine's thread
 * owns: servers, connection pools, requests. How a program runs it (`control` is the engine of the
 * thread that makes it, which may be a worker's):
 *
 *     nr_gateway_new(config)                     services, router
 *     nr_gateway_listen(gateway, engines, n)     bind every listener, before the engines run
 *     nr_gateway_resolve(gateway, control, …)    names of instances
 *     nr_gateway_worker_new(gateway, engine)     once per engine; serving starts with the engine
 *     nr_gateway_start(gateway, control)         health checks
 *     … run; nr_gateway_prepare and nr_gateway_switch: another configuration …
 *     nr_gateway_worker_drain on each engine's thread; drained is called there
 *     nr_gateway_stop                            health checks end
 *     nr_gateway_worker_free, nr_gateway_free
 *
 * All but the worker's own verbs is for control's thread. */
#ifndef NR_GATEWAY_GATEWAY_H
#define NR_GATEWAY_GATEWAY_H

#include <stdint.h>

#include "base/intern.h"
#include "base/record.h"
#include "config/config.h"
#include "gateway/limiter.h"
#include "gateway/meter.h"
#include "http/server.h"
#include "io/handover.h"
#include "io/io.h"
#include "naru/err.h"
#include "policy/shed.h"
#include "service/fault_conf.h"
#include "service/service.h"

struct nr_gateway;
struct nr_gateway_worker;

/* Holds a reference to the configuration. */
enum nr_code nr_gateway_new(struct nr_config *config, struct nr_gateway **ret_gateway,
                            struct nr_err *err) NR_MUST_USE;
void nr_gateway_free(struct nr_gateway *gateway);

/* Bind every listener of the configuration for these engines, or listen on the inherited socket
 * (NULL: there are none) of that address. On failure none stays open. */
enum nr_code nr_gateway_listen(struct nr_gateway *gateway, struct nr_io *const *engines,
                               uint32_t count, struct nr_inherited *inherited,
                               uint32_t inherited_count, struct nr_err *err) NR_MUST_USE;

/* Look up instances that are given by name. done(ctx, err) from the queue of control: NULL, or the
 * first that failed. */
void nr_gateway_resolve(struct nr_gateway *gateway, struct nr_io *control,
                        void (*done)(void *ctx, const struct nr_err *err), void *ctx);

/* Start the health checks; they follow the configuration from here on. changed may be NULL. */
void nr_gateway_start(struct nr_gateway *gateway, struct nr_io *control,
                      nr_service_change_fn changed, void *ctx);

/* Who is told of how instances are found; before nr_gateway_start. */
void nr_gateway_on_news(struct nr_gateway *gateway, nr_service_news_fn news, void *ctx);

/* End them; stopped(ctx) from the queue. No switch may be under way or come any more. */
void nr_gateway_stop(struct nr_gateway *gateway, void (*stopped)(void *ctx), void *ctx);

/* What a simulation may put in the place of sockets. All services call through this transport,
 * those of a later configuration excepted; before there are workers. */
void nr_gateway_carry_by(struct nr_gateway *gateway, struct nr_transport *transport);

/* Whoever speaks to this handler has come in by that listener, which is one for HTTP: on the
 * worker's thread, with exchanges of his own. He ends them before the worker is freed. */
struct nr_handler *nr_gateway_worker_handler(struct nr_gateway_worker *worker, uint32_t listener);

/* Stop listening on all; once, on a worker's thread, when every worker has begun to drain. */
void nr_gateway_close_listeners(struct nr_gateway *gateway);

/* ---- another configuration ---- */

struct nr_gateway_changes {
    uint32_t services_added, services_removed, services_changed, services_kept;
    uint32_t listeners_added, listeners_removed, listeners_kept;
    uint32_t routes, routes_before, routes_kept; /* kept: the same at the same place */
};

struct nr_gateway_plan;

/* Make a configuration ready beside the one that serves: services, router, names, listeners bound.
 * prepared(ctx, plan, err) comes once from control's queue: a plan, to be switched to or freed, or
 * NULL and what stands against it; nothing has changed then. */
typedef void (*nr_gateway_prepared_fn)(void *ctx, struct nr_gateway_plan *plan,
                                       const struct nr_err *err);
void nr_gateway_prepare(struct nr_gateway *gateway, struct nr_config *config,
                        nr_gateway_prepared_fn prepared, void *ctx);

/* The end has begun: whatever is still prepared will be refused. */
void nr_gateway_no_more_plans(struct nr_gateway *gateway);

struct nr_gateway_changes nr_gateway_plan_changes(const struct nr_gateway_plan *plan);
void nr_gateway_plan_free(struct nr_gateway_plan *plan); /* NULL is fine */

/* Is this plan made from what serves now? Another switch since then makes it stale. */
bool nr_gateway_plan_current(const struct nr_gateway_plan *plan);

/* Give ids to what the plan names, so that records of it can be read. Cannot fail; then switch. */
void nr_gateway_publish(struct nr_gateway_plan *plan);

/* Every worker goes over to the plan: requests that have begun end as they began, connections stay.
 * done(ctx) from the queue when all of them have. Takes the plan over, which is published and
 * current. One at a time. */
void nr_gateway_switch(struct nr_gateway_plan *plan, void (*done)(void *ctx), void *ctx);

/* ---- what there is ---- */

/* Of the present configuration. */
struct nr_config *nr_gateway_config(const struct nr_gateway *gateway);
uint32_t nr_gateway_service_count(const struct nr_gateway *gateway);
struct nr_service *nr_gateway_service(const struct nr_gateway *gateway, uint32_t service);
struct nr_span nr_gateway_service_name(const struct nr_gateway *gateway, uint32_t service);
/* Answer with the service's fallback without asking the service (YES), or never with it (NO), until
 * it is taken back or the service has no fallback any more. NR_EINVAL: it has none. On control. */
enum nr_code nr_gateway_fallback_force(struct nr_gateway *gateway, uint32_t service,
                                       enum nr_said said, struct nr_err *err) NR_MUST_USE;
enum nr_said nr_gateway_fallback_said(const struct nr_gateway *gateway, uint32_t service);
uint32_t nr_gateway_listener_count(const struct nr_gateway *gateway);
struct nr_listener *nr_gateway_listener(const struct nr_gateway *gateway, uint32_t listener);
struct nr_addr nr_gateway_listener_address(const struct nr_gateway *gateway, uint32_t listener);

/* ---- rate limits ---- */

struct nr_gateway_limit {
    struct nr_span name; /* lives as long as the configuration */
    const struct nr_rate_limit_conf *conf;
    uint32_t tier_count; /* with the limit itself, which is tier 0 */
    struct nr_limit_conf tiers[NR_LIMIT_CONF_TIERS_MAX + 1]; /* as they count now */
    uint64_t by_hand;     /* … bit of each tier of which that is not what the file says */
    bool observe_only;    /* as it is now */
    bool observe_by_hand; /* … likewise */
    struct nr_limiter_counts counts;
};

/* Of the present configuration: those of `limits` in its order, then those of listeners and routes.
 */
uint32_t nr_gateway_limit_count(const struct nr_gateway *gateway);
void nr_gateway_limit(const struct nr_gateway *gateway, uint32_t limit,
                      struct nr_gateway_limit *ret_limit);

/* What its keys have used (see meter.h), or NULL: it is not metered. Lives until the next reload.
 */
struct nr_meter *nr_gateway_limit_meter(const struct nr_gateway *gateway, uint32_t limit);

/* From now on this tier (0: the limit itself) has this rate and burst (NR_LIMIT_AUTO: follows from
 * it), until it is restored or a configuration with other rates for this limit comes. What keys
 * have used stays used. NR_ENOENT: no such limit or tier; NR_EINVAL: it cannot be kept. On
 * control. */
enum nr_code nr_gateway_limit_set_rate(struct nr_gateway *gateway, struct nr_span name,
                                       uint32_t tier, struct nr_rate rate, uint32_t burst,
                                       struct nr_err *err) NR_MUST_USE;
enum nr_code nr_gateway_limit_restore(struct nr_gateway *gateway, struct nr_span name,
                                      uint32_t tier, struct nr_err *err) NR_MUST_USE;

/* The same for observe_only. */
enum nr_code nr_gateway_limit_observe(struct nr_gateway *gateway, struct nr_span name,
                                      enum nr_said said, struct nr_err *err) NR_MUST_USE;

/* ---- routes by hand ---- */

struct nr_route_conf;

struct nr_gateway_route_view {
    const struct nr_route_conf *conf; /* of the first route of that name */
    bool enabled;                     /* as it is now */
    enum nr_said enabled_said;        /* by hand */
    struct nr_span faults;            /* by hand, JSON; empty: as configured */
    uint64_t faults_until_ns;
};

/* False: no route is called so. */
bool nr_gateway_route(const struct nr_gateway *gateway, struct nr_span name, uint64_t now_ns,
                      struct nr_gateway_route_view *ret_view);

/* Switch the routes of this name on or off at once, until it is taken back, the file says something
 * else of `enabled` than it did, or has no such route any more. NR_ENOENT: there is none. On
 * control. */
enum nr_code nr_gateway_route_enable(struct nr_gateway *gateway, struct nr_span name,
                                     enum nr_said said, struct nr_err *err) NR_MUST_USE;

/* Put these faults (a list as in the configuration, JSON) on the routes of this name, in place of
 * their configured ones, until that moment, or until the file says something else of `faults` than
 * it did. An empty text or list: as configured. NR_ENOENT: no such route; NR_EINVAL: what is wrong
 * with the list. On control. */
enum nr_code nr_gateway_route_fault(struct nr_gateway *gateway, struct nr_span name,
                                    struct nr_span faults, uint64_t until_ns,
                                    struct nr_err *err) NR_MUST_USE;

/* Names of routes of which something was once said by hand; what is in force is in the view. */
uint32_t nr_gateway_route_hand_count(const struct nr_gateway *gateway);
struct nr_span nr_gateway_route_hand(const struct nr_gateway *gateway, uint32_t hand);

/* ---- shedding and faults ---- */

enum { NR_SHED_AUTO = -1 };

/* This level of shedding at once, whatever the readings say; NR_SHED_AUTO: as they say. Until it is
 * taken back or the configuration has no shedding any more. NR_EINVAL: it has none. On control. */
enum nr_code nr_gateway_shed_force(struct nr_gateway *gateway, int level,
                                   struct nr_err *err) NR_MUST_USE;

struct nr_gateway_guards {
    bool shedding;  /* configured */
    uint32_t level; /* enum nr_shed_level, in force */
    int forced;     /* … by hand; NR_SHED_AUTO: it isn't */
    bool observe_only;
    uint64_t in_flight;
    uint64_t delay_ns; /* of the slowest worker's loop, when it was last looked at */
    uint64_t shed[NR_CRITICALITIES];
    uint64_t would_shed[NR_CRITICALITIES];
    bool faults; /* some route has any, or a service that one leads to */
    uint64_t struck[NR_FAULTS];
};
void nr_gateway_guards(const struct nr_gateway *gateway, struct nr_gateway_guards *ret_guards);

/* ---- names ---- */

/* The routes, as requests are asked now; until the next switch. */
struct nr_routes;
const struct nr_routes *nr_gateway_routes(const struct nr_gateway *gateway);

/* The names behind the ids of a record, which stay the same from one configuration to the next. The
 * spans live until the publish after the next one. */
struct nr_gateway_names {
    const struct nr_intern *routes;
    const struct nr_intern *services;
    const struct nr_intern *limits;
    struct nr_roster *const
        *instances; /* per service id; NULL: none yet; the gateway's life long */
};
struct nr_gateway_names nr_gateway_names(const struct nr_gateway *gateway);

/* ---- one worker ---- */

/* sink is told of every finished request; borrowed. `workers` share the listeners' limits. Before
 * its engine runs. */
struct nr_gateway_worker *nr_gateway_worker_new(struct nr_gateway *gateway, struct nr_io *io,
                                                struct nr_record_sink *sink, uint32_t workers);

/* No new connections and no keep-alive; when the last has gone, drained(ctx) from the queue. */
void nr_gateway_worker_drain(struct nr_gateway_worker *worker, void (*drained)(void *ctx),
                             void *ctx);

/* The same, but a client that has just been answered may send one more request on its connection:
 * it is served, and told to close. For a drain beside which somebody else serves already. */
void nr_gateway_worker_drain_gently(struct nr_gateway_worker *worker, void (*drained)(void *ctx),
                                    void *ctx);

/* Break off what the drain still waits for. */
void nr_gateway_worker_abort(struct nr_gateway_worker *worker);

/* Only after drained. The pools' idle connections close here; let the engine turn until nothing is
 * outstanding. NULL is fine. */
void nr_gateway_worker_free(struct nr_gateway_worker *worker);

/* Sum over this worker's listeners; on control (values may be a moment old). */
struct nr_server_counts nr_gateway_worker_counts(const struct nr_gateway_worker *worker);

#endif
