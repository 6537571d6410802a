/* SPDX-License-Identifier: Apache-2.0 */
/* breaker_conf.h - when to stop calling: the section `breaker`, as loaded. */
#ifndef NR_SERVICE_BREAKER_CONF_H
#define NR_SERVICE_BREAKER_CONF_H

#include "config/schema.h"
#include "policy/breaker.h"

enum nr_breaker_scope {
    NR_BREAKER_PER_INSTANCE,
    NR_BREAKER_PER_SERVICE,
    NR_BREAKER_PER_ROUTE,
};

struct nr_service_breaker_conf {
    struct nr_section at;
    uint32_t scope;        /* enum nr_breaker_scope */
    struct nr_span window; /* as written: "10" or "10s" */
    bool observe_only;
    struct nr_breaker_conf policy; /* window and size from the text */
};

extern const struct nr_schema nr_breaker_schema;

#endif
