/* SPDX-License-Identifier: Apache-2.0 */
/* shed_conf.h - the section `gateway.shedding`, as loaded. */
#ifndef NR_GATEWAY_SHED_CONF_H
#define NR_GATEWAY_SHED_CONF_H

#include "config/schema.h"
#include "policy/shed.h"

/* When one class of requests is no longer let in. */
struct nr_shed_level_conf {
    struct nr_section at;
    double use;        /* of the capacity */
    uint64_t delay_ns; /* of a worker's loop */
};

struct nr_shedding_conf {
    struct nr_section at;
    uint32_t capacity; /* requests in flight; 0: not said */
    struct nr_shed_level_conf sheddable;
    struct nr_shed_level_conf normal;
    uint64_t rise_ns;
    uint64_t fall_ns;
    struct nr_span header; /* empty: none */
    uint64_t retry_after_ns;
    bool observe_only;
};

extern const struct nr_schema nr_shedding_schema;

/* Of a route: enum nr_criticality. */
extern const struct nr_schema_word nr_priority_words[];

/* What the policy is given. */
struct nr_shed_conf nr_shedding_policy(const struct nr_shedding_conf *conf);

#endif
