/* SPDX-License-Identifier: Apache-2.0 */
/* gateway.h - the gateway: listeners, routes and proxying, from one configuration snapshot.
 *
 * struct nr_gateway is shared by all workers and holds what is immutable (router, tables of names)
 * or guarded (services). struct nr_gateway_worker is what one engine's thread owns: servers,
 * connection pools, requests. How a program runs it:
 *
 *     nr_gateway_new(config)                     services, router
 *     nr_gateway_listen(gateway, engines, n)     bind every listener, before the engines run
 *     nr_gateway_worker_new(gateway, engine)     once per engine; serving starts with the engine
 *     nr_health_start(…) for each service        on one engine
 *     … run …
 *     nr_gateway_worker_drain on each engine's thread; drained is called there
 *     nr_gateway_worker_free, nr_gateway_free */
#ifndef NR_GATEWAY_GATEWAY_H
#define NR_GATEWAY_GATEWAY_H

#include <stdint.h>

#include "base/record.h"
#include "config/config.h"
#include "http/server.h"
#include "io/io.h"
#include "naru/err.h"
#include "service/service.h"

struct nr_gateway;
struct nr_gateway_worker;

/* Holds a reference to the snapshot. */
enum nr_code nr_gateway_new(struct nr_config *config, struct nr_gateway **ret_gateway,
                            struct nr_err *err) NR_MUST_USE;
void nr_gateway_free(struct nr_gateway *gateway);

/* Bind every listener of the configuration for these engines. On failure none stays open. */
enum nr_code nr_gateway_listen(struct nr_gateway *gateway, struct nr_io *const *engines,
                               uint32_t count, struct nr_err *err) NR_MUST_USE;

/* Stop listening on all; once, on a worker's thread, when every worker has begun to drain. */
void nr_gateway_close_listeners(struct nr_gateway *gateway);

uint32_t nr_gateway_service_count(const struct nr_gateway *gateway);
struct nr_service *nr_gateway_service(const struct nr_gateway *gateway, uint32_t service);

/* The tables of names behind the ids of a record; "" for NR_ID_NONE. */
uint32_t nr_gateway_route_count(const struct nr_gateway *gateway);
struct nr_span nr_gateway_route_name(const struct nr_gateway *gateway, uint32_t route);
struct nr_span nr_gateway_service_name(const struct nr_gateway *gateway, uint32_t service);
uint32_t nr_gateway_listener_count(const struct nr_gateway *gateway);
struct nr_addr nr_gateway_listener_address(const struct nr_gateway *gateway, uint32_t listener);

/* sink is told of every finished request; borrowed. `workers` share the listeners' limits. */
struct nr_gateway_worker *nr_gateway_worker_new(struct nr_gateway *gateway, struct nr_io *io,
                                                struct nr_record_sink *sink, uint32_t workers);

/* No new connections and no keep-alive; when the last has gone, drained(ctx) from the queue. */
void nr_gateway_worker_drain(struct nr_gateway_worker *worker, void (*drained)(void *ctx),
                             void *ctx);

/* Break off what the drain still waits for. */
void nr_gateway_worker_abort(struct nr_gateway_worker *worker);

/* Only after drained. The pools' idle connections close here; let the engine turn until nothing is
 * outstanding. NULL is fine. */
void nr_gateway_worker_free(struct nr_gateway_worker *worker);

/* Sum over this worker's listeners; any thread (values may be a moment old). */
struct nr_server_counts nr_gateway_worker_counts(const struct nr_gateway_worker *worker);

#endif
