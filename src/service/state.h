/* SPDX-License-Identifier: Apache-2.0 */
/* state.h - what a service is made of. Internal to src/service.
 *
 * Three kinds of memory, by who touches them how often:
 *   - constant after nr_service_new: conf, client_conf. No lock.
 *   - hot, written by every worker for every call: the lock, in_flight and hosts. The lock and what
 *     every pick needs share a cache line of their own; nothing in it makes a system call.
 *   - cold: struct nr_instance, written when health or an address changes; its counters with
 *     each report. Under the lock, too. */
#ifndef NR_SERVICE_STATE_H
#define NR_SERVICE_STATE_H

#include "base/compiler.h"
#include "base/spinlock.h"
#include "policy/balance.h"
#include "service/service.h"
#include "service/service_conf.h"

/* Without a bulkhead section: more calls than this at one time mean that the service hangs. */
enum { NR_SERVICE_CALLS_MAX = 1024 };

struct nr_instance {
    struct nr_addr addr; /* NR_ADDR_NONE until resolved; then it never changes */
    struct nr_health_track health;
    uint64_t picks;
    uint64_t failures;
    char text[NR_ADDR_TEXT_BYTES]; /* as configured */
};

struct nr_service {
    const struct nr_service_conf *conf;
    uint32_t id;
    struct nr_client_conf client_conf; /* of all pools */
    struct nr_client_conf check_conf;  /* of health checks */
    nr_service_change_fn changed;
    void *changed_ctx;
    struct nr_instance *instances;
    struct nr_balance_host *hosts;

    _Alignas(NR_CACHE_LINE_BYTES) struct nr_spinlock lock;
    uint32_t in_flight; /* sum of all hosts */
    struct nr_balance_set set;
};

/* Give an instance that was named its address. */
void nr_service_set_address(struct nr_service *service, uint32_t instance,
                            const struct nr_addr *addr);

/* A check of this instance has ended. */
void nr_service_check_result(struct nr_service *service, uint32_t instance,
                             const struct nr_health_rule *rule, bool ok);

/* The address if the instance has one. */
bool nr_service_address(struct nr_service *service, uint32_t instance, struct nr_addr *ret_addr);

#endif
