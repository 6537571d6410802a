/* SPDX-License-Identifier: Apache-2.0 */
/* state.h - what a service is made of. Internal to src/service.
 *
 * Three kinds of memory, by who touches them how often:
 *   - constant after nr_service_new: conf, client_conf. No lock.
 *   - hot, written by every worker for every call: the lock, in_flight and hosts. The lock and what
 *     every pick needs share a cache line of their own; nothing in it makes a system call.
 *   - cold: struct nr_instance, written when health or an address changes; its counters with
 *     each report. Under the lock, too.
 *
 * Slots. An instance stands in a slot of two parallel arrays (instances, hosts), and its number is
 * the slot's for as long as it lives:
 *
 *      FREE --set_instances: new--> PRESENT --set_instances: gone--> LEAVING --in_flight 0--> FREE
 *                                     ^                                 |
 *                                     '------set_instances: back--------'
 *
 * LEAVING and FREE are both !present; LEAVING still has calls in flight, whose reports need the
 * slot. A call in flight also holds the slot's generation, so what a worker keeps by number (a
 * pool) is good as long as the generation is the same. Both arrays may move when they grow: read
 * them under the lock. Only the control thread (the one that calls nr_service_set_instances) writes
 * texts, `present` and generations, so that thread may read those without it. */
#ifndef NR_SERVICE_STATE_H
#define NR_SERVICE_STATE_H

#include <stdatomic.h>

#include "base/compiler.h"
#include "base/roster.h"
#include "base/spinlock.h"
#include "policy/balance.h"
#include "policy/breaker.h"
#include "policy/deadline.h"
#include "policy/hash_table.h"
#include "policy/retry_budget.h"
#include "policy/select.h"
#include "service/service.h"
#include "service/service_conf.h"

/* Balancers see weights in thousandths, so that a share can grow and be divided. */
enum { NR_WEIGHT_UNIT = 1000 };

#define NR_WARM_NEXT UINT64_MAX

struct nr_instance {
    struct nr_addr addr; /* NR_ADDR_NONE until resolved; then it never changes */
    struct nr_health_track health;
    const char *verdict; /* of the last check, in words; NULL: none yet */
    uint16_t status;     /* … and its answer's status; 0: there was none */
    uint32_t weight;     /* as configured; at least 1 */
    uint32_t own_weight; /* as an operator says; NR_WEIGHT_CONFIGURED: nothing */
    uint32_t priority;
    bool local; /* in our own zone */
    enum nr_force force;
    bool draining;
    bool doubted;          /* a call has failed since its last check: the next shall come soon */
    bool able;             /* could take calls by itself: see steer.c */
    bool ejected;          /* left out by outlier.c */
    uint8_t hidden;        /* within one pick: see circuit.c */
    uint64_t warm_from_ns; /* slow start: since when; 0: none; NR_WARM_NEXT: from the next pick */
    uint32_t warm_weight;  /* … and its weight meanwhile, in NR_WEIGHT_UNIT */
    uint64_t token;        /* sticky; 0: no key was drawn yet */
    uint64_t picks;
    uint64_t failures;
    uint32_t name;       /* in records: an id of the roster; without one the number of the slot */
    char *text;          /* its identity: as configured, or the address found; owned */
    uint32_t generation; /* counts the instances that this slot has had */
    bool present;        /* takes part; false: LEAVING or FREE */
};

/* Whoever keeps something per instance is told, on its own thread, that the set has changed.
 *
 * The operation is posted once, however many changes come before it runs. Watches are added and
 * removed on their engine's thread; that engine turns until the operation has run. */
struct nr_service_watch {
    struct nr_link link; /* service->watches */
    struct nr_service *service;
    struct nr_io *io;
    struct nr_op op;
    void (*changed)(struct nr_service_watch *watch);
    void (*removed)(struct nr_service_watch *watch); /* the memory is the owner's again */
    uint32_t epoch; /* of the set that it has been told of; under the service's lock, as posted */
    bool posted;
    bool removing;
};

/* ---- circuit.c ---- */

struct nr_circuit {
    struct nr_breaker breaker;
    uint64_t refused;
    uint64_t moves[NR_BREAKER_STATES]; /* into each state */
};

struct nr_circuits {
    uint64_t shut_until_ns;     /* per instance: all refuse until then; 0: not known */
    uint64_t due_ns;            /* per instance: nobody is to be probed before then */
    struct nr_circuit *slots;   /* per instance; NULL: other scopes */
    struct nr_circuit **routes; /* per route, by its id; NULL: it has not called yet */
    uint32_t route_room;
    struct nr_circuit one;    /* per service */
    enum nr_breaker_mode all; /* as forced for all, those to come included; AUTO: nothing */
};

/* ---- permit.c ---- */

struct nr_permits {
    struct nr_bulkhead bulkhead;
    struct nr_bulkhead_conf conf; /* as configured, but for what was learnt or said by hand */
    uint32_t own;                 /* permits as an operator says; 0: nothing */
    struct nr_adaptive adaptive;
    struct nr_adaptive_conf adaptive_conf;
    uint64_t refused[NR_PERMIT_REFUSALS];
    uint64_t told_ns; /* when the log heard of a refusal; 0: never */
};

/* ---- outlier.c ---- */

struct nr_outliers {
    struct nr_eject eject; /* hosts: per slot; NULL: no section */
    bool *told;            /* per slot: ejected, as far as steer.c and the log know */
    uint64_t ejections;
};

/* ---- notice.c ---- */

enum nr_notice_kind {
    NR_NOTICE_CIRCUIT,
    NR_NOTICE_FORCED,  /* state: enum nr_breaker_mode; observed: all of them */
    NR_NOTICE_FULL,    /* instance: calls in flight; route: waiting */
    NR_NOTICE_EJECTED, /* state: enum nr_eject_why */
    NR_NOTICE_BACK,
};

struct nr_notice {
    uint8_t kind;  /* enum nr_notice_kind */
    uint8_t state; /* enum nr_breaker_state, now */
    bool observed; /* decided, but calls go on */
    uint32_t instance;
    uint32_t route;
    uint64_t lasts_ns;
};

enum { NR_NOTICES_MAX = 32 };

struct nr_notices {
    struct nr_notice ring[NR_NOTICES_MAX];
    uint32_t first;
    uint32_t count;
    uint32_t lost;
    bool rung;        /* op is posted, or about to be */
    struct nr_io *io; /* control's; NULL: nobody listens */
    struct nr_op op;
    void (*silenced)(void *ctx);
    void *silenced_ctx;
};

/* Padded on purpose: the lock begins a cache line of its own. */
/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding) */
struct nr_service {
    const struct nr_service_conf *conf;
    uint32_t id;
    struct nr_client_conf client_conf; /* of all pools */
    struct nr_client_conf check_conf;  /* of health checks */
    nr_service_change_fn changed;
    void *changed_ctx;
    nr_service_news_fn news;
    void *news_ctx;
    struct nr_roster *roster; /* our reference; NULL: none */
    struct nr_instance *instances;
    struct nr_balance_host *hosts;
    struct nr_select_host *select; /* for steer.c, under the lock */
    uint64_t token_key[2];         /* of sticky cookies, under the lock */
    bool token_key_known;
    uint32_t tables_wanted;           /* counts changes that ask for a new table; see tables.c */
    uint32_t room;                    /* of the three arrays */
    uint32_t present;                 /* instances that take part */
    struct nr_link watches;           /* struct nr_service_watch */
    struct nr_link pools;             /* struct nr_service_pools; under the lock */
    struct nr_service_watch *checker; /* who is told of doubts; NULL: nobody. Under the lock */
    char **old_paths; /* of Unix sockets in slots given away: a closing client may borrow one */
    uint32_t old_path_count;

    _Alignas(NR_CACHE_LINE_BYTES) struct nr_spinlock lock;
    uint32_t in_flight; /* calls on all hosts, without streams */
    uint32_t streams;
    _Atomic uint32_t epoch; /* counts changes of the set; written under the lock */
    uint32_t flags;         /* of every pick, as in struct nr_pick */
    bool budgeted;          /* requests earn repeats */
    bool by_route;          /* circuits per route */
    bool guarded;           /* there are circuits */
    bool ejects;            /* outliers are left out */
    bool adaptive;          /* the number of permits is learnt */
    bool noticed;           /* there are notices, and nobody is on the way */
    uint64_t warm_next_ns;  /* when shares must be worked out anew; NR_TIME_NEVER: not at all */
    struct nr_hash_table *table; /* NULL: the balancer has none */
    struct nr_balance_set set;   /* count: slots up to the last that is not FREE */
    struct nr_permits permits;
    struct nr_outliers outliers;
    struct nr_retry_budget retry_budget;
    uint64_t repeats; /* as in struct nr_service_view */
    uint64_t repeats_unpaid;
    uint64_t fallbacks;
    struct nr_circuits circuits;
    struct nr_notices notices;
};

void nr_permits_init(struct nr_service *service);
void nr_permits_inherit(struct nr_service *to, struct nr_service *from);

/* With the lock held: a permit for the pick. False: pick->queued, or pick->reason says why not. */
bool nr_permit_enter(struct nr_service *service, struct nr_pick *pick);

/* With the lock held: give it back (NULL: only look who is next). Returns those whose fate that
 * decides, to be told without the lock. own: the engine of this thread. */
struct nr_permit *nr_permit_leave(struct nr_service *service, struct nr_permit *permit,
                                  uint64_t now_ns);
void nr_permit_tell(struct nr_permit *first, const struct nr_io *own);

/* With the lock held: a call is over, before its permit is given back. */
void nr_permit_learn(struct nr_service *service, const struct nr_outcome *outcome);

/* With the lock held: true if it has ejected somebody; unlocked, the caller owes
 * nr_service_tables. */
bool nr_outlier_report(struct nr_service *service, const struct nr_outcome *outcome,
                       struct nr_random *random);

/* Without the lock, once per interval. */
void nr_outlier_tick(struct nr_service *service, uint64_t now_ns, struct nr_random *random);

/* With the lock held: the slot has another instance, or none. */
void nr_outlier_clear(struct nr_service *service, uint32_t slot);
void nr_outlier_inherit(struct nr_service *to, uint32_t slot, const struct nr_eject_host *from);

/* With the lock held: a circuit as it begins. */
void nr_circuit_init(struct nr_service *service, struct nr_circuit *circuit, uint64_t now_ns);
void nr_circuits_free(struct nr_circuits *circuits);

/* Without the lock: the circuit of this route, if there is to be one, is there. */
void nr_circuit_prepare(struct nr_service *service, uint32_t route, uint64_t now_ns);

typedef uint32_t (*nr_service_choose_fn)(struct nr_service *service, struct nr_random *random,
                                         const struct nr_pick *pick);

/* With the lock held: is it certain that every circuit refuses? Then pick->reason is set. */
bool nr_circuit_is_shut(struct nr_service *service, struct nr_pick *pick);

/* With the lock held: an instance whose circuit lets the call pass, of those that `choose` offers.
 * NR_BALANCE_NONE: none; pick->reason is set if that is because of circuits. */
uint32_t nr_circuit_choose(struct nr_service *service, struct nr_random *random,
                           struct nr_pick *pick, nr_service_choose_fn choose);
void nr_circuit_report(struct nr_service *service, const struct nr_outcome *report,
                       struct nr_random *random);

/* A successor takes over what is known, if circuits are made of the same; slot by slot with the
 * lock of `to` held, and all others without. */
bool nr_circuits_alike(const struct nr_service *to, const struct nr_service *from);
void nr_circuit_inherit(struct nr_service *to, uint32_t instance, const struct nr_circuit *from);
void nr_circuits_inherit(struct nr_service *to, struct nr_service *from);

/* With the lock held. */
void nr_service_notice(struct nr_service *service, const struct nr_notice *notice);

/* With the lock held: whom to wake for what has been noticed; NULL: nobody. Unlocked, ring. */
struct nr_io *nr_service_bell(struct nr_service *service);
void nr_service_ring(struct nr_service *service, struct nr_io *bell);

/* On control: listen to notices, until silenced. True: at once; else silenced(ctx) comes from the
 * queue. */
void nr_notices_listen(struct nr_service *service, struct nr_io *io);
bool nr_notices_silence(struct nr_service *service, void (*silenced)(void *ctx), void *ctx);

/* Tell who listens, in printf's words. */
void nr_service_tell(struct nr_service *service, bool bad, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Look up those instances that are known by a name only; see nr_service_resolve. */
void nr_service_resolve_names(struct nr_service *service, struct nr_io *io,
                              void (*done)(void *ctx, const struct nr_err *err), void *ctx);

/* ---- discovery_file.c: on any thread, touches nothing but its arguments ---- */

/* Instances as a file lists them. */
struct nr_found {
    struct nr_config *config; /* what the specs point into; NULL: nothing */
    struct nr_instance_spec *specs;
    uint32_t count;
};
/* An empty file is an empty list. On failure err says file, line and what is wrong. */
enum nr_code nr_found_parse(const char *path, struct nr_span bytes, struct nr_found *ret_found,
                            struct nr_err *err) NR_MUST_USE;
void nr_found_done(struct nr_found *found);

/* What the configuration says of one instance; the text is borrowed. */
enum nr_code nr_instance_spec_of(const struct nr_instance_conf *conf, struct nr_instance_spec *ret,
                                 struct nr_err *err) NR_MUST_USE;

/* The service is going: it gives back all that it has of its roster. */
void nr_service_strike(struct nr_service *service);

/* Tell when the set changes; `changed` is called once soon for what has been missed. io NULL:
 * never (for tests without an engine). */
void nr_service_watch(struct nr_service *service, struct nr_io *io, struct nr_service_watch *watch);

/* Counts changes of the set, and with prewarm of who is up. Whoever has picked an instance sees the
 * change that brought it. */
static inline uint32_t nr_service_epoch(struct nr_service *service)
{
    return atomic_load_explicit(&service->epoch, memory_order_relaxed);
}

/* This watch is the health checker's: told of doubts, too. NULL: none any more. */
void nr_service_set_checker(struct nr_service *service, struct nr_service_watch *watch);

/* Not told any more. `removed` is called from the queue if a change is under way, else at once. */
void nr_service_unwatch(struct nr_service_watch *watch);

/* What is known of one slot, for who keeps something by its number. */
struct nr_slot {
    uint32_t generation;
    bool present;
    bool up; /* takes calls */
    bool doubted;
    struct nr_addr addr;
    enum nr_health health;
};
struct nr_slot nr_service_slot(struct nr_service *service, uint32_t instance);

static inline uint32_t nr_instance_weight(const struct nr_instance *instance)
{
    return instance->own_weight != NR_WEIGHT_CONFIGURED ? instance->own_weight : instance->weight;
}

/* With the lock held: something has changed that decides who takes calls. Unlocked afterwards, the
 * caller owes nr_service_tables. */
void nr_service_steer(struct nr_service *service);

/* With the lock held: shares of instances that start slowly, at this moment. */
void nr_service_warm(struct nr_service *service, uint64_t now_ns);

/* Without the lock: bring the hash table up to date if it is not. */
void nr_service_tables(struct nr_service *service);

/* Draw or derive the key of sticky tokens, once. */
void nr_service_draw_key(struct nr_service *service, struct nr_io *io);

/* With the lock held: the token of an instance that is new, or of all, if the key is known. */
void nr_service_make_token(const struct nr_service *service, struct nr_instance *instance);
void nr_service_make_tokens(struct nr_service *service);

/* Give an instance that was named its address. */
void nr_service_set_address(struct nr_service *service, uint32_t instance,
                            const struct nr_addr *addr);

/* What is about to be reported: why, for people. verdict lives as long as the program. */
void nr_service_check_note(struct nr_service *service, uint32_t instance, const char *verdict,
                           uint16_t status);

/* A check of this instance has ended. */
void nr_service_check_result(struct nr_service *service, uint32_t instance,
                             const struct nr_health_rule *rule, bool ok);

/* The address if the instance has one. */
bool nr_service_address(struct nr_service *service, uint32_t instance, struct nr_addr *ret_addr);

#endif
