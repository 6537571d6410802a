/* SPDX-License-Identifier: Apache-2.0 */
/* fault_conf.h - faults on purpose, of a route or of a service: the entries of `faults`, as
 * loaded. */
#ifndef NR_SERVICE_FAULT_CONF_H
#define NR_SERVICE_FAULT_CONF_H

#include "config/schema.h"

enum nr_fault_kind {
    NR_FAULT_DELAY,
    NR_FAULT_ABORT,
    NR_FAULT_RESET,
    NR_FAULT_BANDWIDTH,
    NR_FAULTS
};

/* Where a fault strikes. */
enum nr_fault_where {
    NR_FAULT_IN_ATTEMPT, /* behind breaker and balancer, as if the chosen instance behaved so */
    NR_FAULT_IN_REQUEST, /* before the call: nothing behind it sees it */
};

/* Exactly one of delay, abort, reset and bandwidth is written. */
struct nr_fault_conf {
    struct nr_section at;
    uint32_t where;    /* enum nr_fault_where: `at` */
    uint64_t delay_ns; /* 0: none */
    uint32_t abort;    /* status; 0: none */
    bool reset;
    struct nr_rate bandwidth; /* count 0: none */
    double share;             /* of the attempts, or requests */
    struct nr_span header;    /* only requests with "Name" or "Name: value"; empty: all */
};

extern const struct nr_schema nr_fault_schema;

enum nr_fault_kind nr_fault_kind_of(const struct nr_fault_conf *fault);
const char *nr_fault_name(enum nr_fault_kind kind);

/* Its header, as name and value; value.ptr NULL: any. */
void nr_fault_header(const struct nr_fault_conf *fault, struct nr_span *ret_name,
                     struct nr_span *ret_value);

#endif
