/* SPDX-License-Identifier: Apache-2.0 */
/* service.h - the services that naru calls: instances, health, pools, balance.
 *
 * struct nr_service is shared by all workers; what decides (balancer, in-flight counts, health)
 * stands under one short lock without system calls. Each worker has its own connection pools
 * (struct nr_service_pools), because connections belong to an engine. State is keyed by stable ids
 * (service name, instance address) and outlives a reload. */
#ifndef NR_SERVICE_SERVICE_H
#define NR_SERVICE_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"
#include "http/client.h"
#include "io/io.h"
#include "policy/breaker.h"
#include "policy/bulkhead.h"
#include "policy/health.h"
#include "policy/retry.h"

struct nr_service_conf; /* service_conf.h: the configuration section */
struct nr_service;
struct nr_service_pools;

enum { NR_INSTANCES_MAX = 1024, NR_INSTANCE_NONE = 0xffffffff };

/* conf is borrowed and outlives the service. Fails when an address cannot be understood. Instances
 * whose address is a name take part only after nr_service_resolve. */
enum nr_code nr_service_new(const struct nr_service_conf *conf, uint32_t id,
                            struct nr_service **ret_service, struct nr_err *err) NR_MUST_USE;
/* When its pools, checkers and every exchange over them are over. NULL is fine. */
void nr_service_free(struct nr_service *service);

/* What a person should know of how instances are found and what policies have decided: one line
 * without full stop, said once per change for the worse (bad) or the better. On the thread of the
 * engine that discovery runs on. Set before it starts. */
typedef void (*nr_service_news_fn)(void *ctx, struct nr_service *service, bool bad,
                                   const char *text);
void nr_service_on_news(struct nr_service *service, nr_service_news_fn fn, void *ctx);

/* Keep the instances of a service with `dns` or `file` up to date, on the engine that also runs its
 * health checks: at once, then by TTL, or each second. What fails keeps the last answer. One that
 * lists its instances has nothing to find; starting and stopping are the same. */
struct nr_discovery;
struct nr_discovery *nr_discovery_start(struct nr_service *service, struct nr_io *io);
/* stopped(ctx) is called from the queue when nothing of it is outstanding; then it is freed. */
void nr_discovery_stop(struct nr_discovery *discovery, void (*stopped)(void *ctx), void *ctx);

/* One round of discovery, before the service is used, then the names; done(ctx, err) is called
 * once. A name in DNS that does not resolve is no failure (it may be back in a minute, and other
 * services shall be served), a file that cannot be used is one.
 *
 * Look up the instances that are given by name; done(ctx, err) is called once from the queue of io:
 * err NULL when each has an address, else the first failure, saying which and what to do. Those
 * that failed stay without calls. The caller keeps the service alive until then. Without names: at
 * once (still from the queue). */
void nr_service_resolve(struct nr_service *service, struct nr_io *io,
                        void (*done)(void *ctx, const struct nr_err *err), void *ctx);

/* Calls and health checks over HTTP go through this transport instead of connections. Before the
 * service has pools or a checker. */
void nr_service_carry_by(struct nr_service *service, struct nr_transport *transport);

const struct nr_service_conf *nr_service_conf(const struct nr_service *service);
uint32_t nr_service_id(const struct nr_service *service);

/* Instances are numbered 0 to count - 1. An instance keeps its number while it takes part and until
 * its last call is over; then another may get it. So some numbers may stand for none at the moment.
 * The count grows and shrinks with nr_service_set_instances. */
uint32_t nr_service_instance_count(struct nr_service *service);

/* One instance that shall be there. `text` is what it is known by ("10.0.0.1:8080",
 * "unix:/run/x.sock", "app.internal:8080") and is copied. addr.family NR_ADDR_NONE: text is a name
 * that nr_service_resolve looks up. */
struct nr_instance_spec {
    const char *text;
    struct nr_addr addr;
    uint32_t weight;   /* 0 counts as 1 */
    uint32_t priority; /* 0 to 15: 0 serves first */
    const char *zone;  /* NULL: none */
};

/* Turn the set of instances into this one, comparing by text. Those that stay keep number, calls in
 * flight, health, latency and counters (their weight may change); new ones start with nothing
 * known; those not listed get no new call, finish the ones they have, and their pools close. Calls
 * under way are never disturbed. Fails, and changes nothing, with more than NR_INSTANCES_MAX (or
 * when as many are still leaving): NR_ELIMIT.
 *
 * One thread at a time, the one whose engine runs the service's health checks; workers go on. */
enum nr_code nr_service_set_instances(struct nr_service *service,
                                      const struct nr_instance_spec *specs, uint32_t count,
                                      struct nr_err *err) NR_MUST_USE;

/* From now on instances are known in records by ids of this roster, of which the service keeps a
 * reference; before, by their numbers. On the thread that changes the set, before workers pick.
 * With the roster that it has already, nothing happens. */
struct nr_roster;
void nr_service_enrol(struct nr_service *service, struct nr_roster *roster);

/* What an operator says of an instance, whatever its checks say. */
enum nr_force { NR_FORCE_AUTO, NR_FORCE_UP, NR_FORCE_DOWN };

/* Snapshot of one instance for admin and metrics. Any thread. A number that is not in use gives
 * an empty one. */
struct nr_instance_view {
    struct nr_addr addr;
    char text[NR_ADDR_TEXT_BYTES]; /* "" when the number stands for no instance */
    bool present;                  /* false: it has left the set, and its last calls go on */
    uint32_t weight;               /* in force */
    uint32_t configured_weight;
    uint32_t in_flight;
    enum nr_health health;
    const char *verdict; /* of the last check, in words; NULL: none yet */
    uint16_t check_status;
    enum nr_force force;
    bool draining;
    bool ejected; /* its answers are worse than the others' */
    bool takes;   /* takes new calls now: by all of the above, its tier and its zone */
    uint32_t priority;
    uint64_t picks;
    uint64_t failures;
    uint64_t ewma_us;
};
void nr_service_instance(struct nr_service *service, uint32_t instance,
                         struct nr_instance_view *ret_view);

/* `to` takes the place of `from` with another configuration: it starts with what is known of each
 * instance of the same address (health, latency, counters). On the thread that changes their sets;
 * both stay as usable. */
void nr_service_inherit(struct nr_service *to, struct nr_service *from);

/* Choose an instance and count the call as in flight there. `tried` is a bit set of instances not
 * to take (bits beyond 63 are never excluded) unless nothing else is left. NR_INSTANCE_NONE: there
 * is none; *ret_reason says why (enum nr_reason: no_instance, no_healthy, overloaded). Any thread.
 */
uint32_t nr_service_pick(struct nr_service *service, struct nr_random *random, uint64_t now_ns,
                         uint64_t tried, int *ret_reason);

/* One of the calls that a service may have at one time; see permit.c. It stays where it is from its
 * first use until it is back outside. */
struct nr_permit {
    struct nr_bulkhead_node node; /* .place tells where it is */
    struct nr_op op; /* comes once, on its own engine, for a pick that was queued: inside now, or
                        `reason` says why it was taken out of the queue */
    struct nr_service *service;
    struct nr_io *io;
    struct nr_permit *next; /* the service's */
    int reason;
};
void nr_permit_init(struct nr_permit *permit, struct nr_service *service, struct nr_io *io,
                    const struct nr_op_kind *kind);

/* Stop waiting; at node.expires_ns (timeout) or because nobody wants it any more. False: its fate
 * is decided, and op is on its way. */
bool nr_permit_cancel(struct nr_permit *permit, bool timeout);

/* One that is inside and not given back by a report. */
void nr_permit_give_back(struct nr_permit *permit);

enum nr_permit_refusal { NR_PERMIT_FULL, NR_PERMIT_TIMEOUT, NR_PERMIT_SHED, NR_PERMIT_REFUSALS };

/* Snapshot of what the policies of a service know, for admin and metrics. Any thread. now_ns: of
 * any engine. */
struct nr_service_view {
    uint64_t in_flight; /* calls that hold a permit */
    uint64_t queued;    /* calls that wait for one */
    uint64_t limit;     /* permits */
    bool limit_by_hand;
    uint64_t refused[NR_PERMIT_REFUSALS];
    uint64_t fallbacks;         /* answered instead of the service */
    uint64_t ejections;         /* since the start */
    uint64_t repeats;           /* attempts beyond the first, paid from the budget */
    uint64_t repeats_unpaid;    /* not made, because the budget was spent */
    uint64_t retry_budget_left; /* repeats that could be made now */
};
void nr_service_look(struct nr_service *service, uint64_t now_ns, struct nr_service_view *ret_view);

/* The same with a key. Written by the caller up to has_key, the rest by the pick. */
struct nr_pick {
    uint64_t now_ns;
    uint64_t tried;
    uint64_t key;   /* nr_hash_bytes of the key, or a sticky token */
    bool has_key;   /* without it the algorithms by key take the least loaded */
    bool stream;    /* of bytes (TCP), for the whole of its life: see below */
    bool repeat;    /* not the request's first attempt: it was paid for, see nr_service_repeat */
    uint32_t route; /* as in records: for circuits per route */
    struct nr_permit *permit; /* taken if it is outside; back there if there is no instance, and not
                                 `queued`. NULL: no bulkhead is asked */
    uint64_t deadline_ns;     /* of the call: nobody waits beyond it */
    bool queued; /* NR_INSTANCE_NONE means: wait for the permit's op, then pick again */
    int reason;
    uint32_t flags;   /* enum nr_record_flag: what the record should say of this pick */
    uint32_t ticket;  /* for the report */
    uint32_t name;    /* of the instance, in records: see nr_service_enrol */
    uint64_t wait_ns; /* with circuit_open: for how long that is certain to last; 0: not known */
};
uint32_t nr_service_pick_by(struct nr_service *service, struct nr_random *random,
                            struct nr_pick *pick);

/* May a failed attempt be repeated? As nr_retry_decide, but for budget_spent, which is looked up
 * here: with NR_RETRY_GO the repeat is paid from the service's budget. Any thread. */
enum nr_retry_verdict nr_service_repeat(struct nr_service *service,
                                        const struct nr_retry_facts *facts, uint64_t now_ns,
                                        uint16_t *ret_flag);

/* A request was answered by the service's fallback. Any thread. */
void nr_service_fell_back(struct nr_service *service);

/* Is there an instance that takes calls and stands not in `tried` (as in struct nr_pick)? */
bool nr_service_has_other(struct nr_service *service, uint64_t tried);

/* A stream is over: once per pick of one, instead of _report. Streams are in flight for the
 * balancer, but not against the safety net of concurrent calls: thousands of them may be idle, and
 * their number is the listener's to bound. P2C weighs how fast answers come, and a stream has none:
 * it gets the instance with the least in flight. connect_ns 0: connecting says nothing. */
void nr_service_end_stream(struct nr_service *service, uint32_t instance, uint64_t now_ns,
                           uint64_t connect_ns, bool ok);

/* The token of an instance for a sticky cookie, never 0: a keyed hash, so that clients cannot name
 * an instance that they were not given. Known once there are pools (the key is drawn then, unless
 * it is configured). */
uint64_t nr_service_token(struct nr_service *service, uint32_t instance);

/* The call on that instance is over: exactly once per pick. latency_ns to the head or the failure;
 * ok false for a transport failure or a 5xx. latency_ns 0: the call says nothing about the
 * instance (the client left, a pooled connection had gone stale); ok is then ignored. */
void nr_service_report(struct nr_service *service, uint32_t instance, uint64_t now_ns,
                       uint64_t latency_ns, bool ok);

/* The same with all that policies want to know. */
struct nr_outcome {
    uint32_t instance;
    uint32_t ticket; /* the pick's */
    uint32_t route;  /* the pick's */
    uint16_t status; /* 0: not answered */
    bool ok;
    uint64_t now_ns;
    uint64_t latency_ns;
    struct nr_permit *permit; /* given back; NULL: none */
};
void nr_service_report_by(struct nr_service *service, struct nr_random *random,
                          const struct nr_outcome *report);

/* A circuit breaker, for admin and metrics: numbered 0 to count - 1, of which some may stand for
 * none at the moment. Without a breaker section there are none. Any thread. */
struct nr_circuit_view {
    bool present;
    uint32_t instance;           /* NR_INSTANCE_NONE: not of one */
    uint32_t route;              /* NR_ID_NONE: not of one */
    enum nr_breaker_state state; /* forced open is open */
    enum nr_breaker_mode mode;
    struct nr_breaker_view window;
    uint64_t wait_ns;                  /* for how long it is certain to refuse */
    uint64_t refused;                  /* calls; or that would have been, if it only observes */
    uint64_t moves[NR_BREAKER_STATES]; /* into each state, since the start */
};
uint32_t nr_service_circuit_count(struct nr_service *service);
void nr_service_circuit(struct nr_service *service, uint32_t which, uint64_t now_ns,
                        struct nr_circuit_view *ret_view);

/* A call to the instance got no answer (no connection, it broke, it took too long): if it has
 * health checks, the next one comes at once, or soon if the last was a moment ago. Any thread. */
void nr_service_doubt(struct nr_service *service, uint32_t instance);

/* ---- what operators do: any thread, at once, for as long as the instance takes part ---- */

/* UP: takes calls whatever its checks say. DOWN: takes none at all. AUTO: as checks say. */
void nr_service_force(struct nr_service *service, uint32_t instance, enum nr_force force);

/* A draining instance takes no new calls, but for those of clients that a cookie binds to it. */
void nr_service_drain(struct nr_service *service, uint32_t instance, bool draining);

/* Force a circuit (`which`: instance or route by its scope, not looked at with scope service), or
 * all of them, into a mode; it starts afresh in it. AUTO: back to what the configuration says. What
 * is said of all holds for those that come later, too, until something is said of one of them.
 * Survives a reload that leaves the scope. False: there is none. */
enum { NR_CIRCUIT_ALL = 0xffffffff };
bool nr_service_breaker_force(struct nr_service *service, uint32_t which, enum nr_breaker_mode mode,
                              uint64_t now_ns);

/* What was said of all; AUTO: nothing, or something of one since then. */
enum nr_breaker_mode nr_service_breaker_forced(struct nr_service *service);

/* Another weight than the configured one, up to 1000; 0: as if it were not there.
 * NR_WEIGHT_CONFIGURED: back. */
enum { NR_WEIGHT_CONFIGURED = 0xffffffff };
void nr_service_set_weight(struct nr_service *service, uint32_t instance, uint32_t weight);

/* So many permits in the bulkhead, whatever is configured or learnt, at least 1; 0: as that says.
 * Calls that have one keep it; who waits gets one at once, if there are more now. On the thread of
 * io. Survives a reload that leaves `concurrent` and `adaptive` as they are. */
void nr_service_set_concurrent(struct nr_service *service, uint32_t concurrent, struct nr_io *io);

/* Called after an instance's health has changed, on the thread of the checker's engine, outside the
 * lock. One function per service; set before a checker starts. */
typedef void (*nr_service_change_fn)(void *ctx, struct nr_service *service, uint32_t instance,
                                     enum nr_health from, enum nr_health to);
void nr_service_on_change(struct nr_service *service, nr_service_change_fn fn, void *ctx);

/* Run discovery (see above) and active health checks of this service on `io` (one engine of the
 * process): all at once first, then each at its interval. A service without a health section has
 * none; starting and stopping are the same. */
struct nr_health_checker;
struct nr_health_checker *nr_health_start(struct nr_service *service, struct nr_io *io);
/* stopped(ctx) is called from the queue when nothing of it is outstanding; then it is freed. */
void nr_health_stop(struct nr_health_checker *checker, void (*stopped)(void *ctx), void *ctx);

/* This worker's connections to the service's instances. Clients are made when first asked for, and
 * closed soon after their instance has left the set. Freeing closes all; exchanges that still run
 * end by themselves, and the engine turns until nothing is outstanding. An instance may be asked
 * for while a call that was picked for it is not reported. */
struct nr_service_pools *nr_service_pools_new(struct nr_service *service, struct nr_io *io);
struct nr_client *nr_service_client(struct nr_service_pools *pools, uint32_t instance);
struct nr_service *nr_service_of(struct nr_service_pools *pools);

/* Sums over the pools of all workers, for metrics. Any thread; counters fall when a worker's pools
 * are freed. */
struct nr_client_counts nr_service_counts(struct nr_service *service);
void nr_service_pools_free(struct nr_service_pools *pools);

#endif
