/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead_conf.h - how many calls at once, and who may wait: the section `bulkhead`, as loaded. */
#ifndef NR_SERVICE_BULKHEAD_CONF_H
#define NR_SERVICE_BULKHEAD_CONF_H

#include "config/schema.h"
#include "policy/adaptive.h"
#include "policy/bulkhead.h"

struct nr_service_adaptive_conf {
    struct nr_section at;
    bool enabled;
    uint32_t start;
    uint32_t min;
    uint32_t max;
};

struct nr_service_bulkhead_conf {
    struct nr_section at;
    bool observe_only;
    struct nr_bulkhead_conf policy;
    struct nr_service_adaptive_conf *adaptive; /* NULL: `concurrent` holds */
};

extern const struct nr_schema nr_bulkhead_schema;

/* Without the section: more calls than this at one time mean that the service hangs. */
extern const struct nr_bulkhead_conf nr_bulkhead_net;

/* Is the number of concurrent calls learnt? */
static inline bool nr_bulkhead_is_adaptive(const struct nr_service_bulkhead_conf *conf)
{
    return conf != NULL && conf->adaptive != NULL && conf->adaptive->enabled;
}

/* The rules for that. */
struct nr_adaptive_conf nr_bulkhead_adaptive(const struct nr_service_adaptive_conf *conf);

#endif
