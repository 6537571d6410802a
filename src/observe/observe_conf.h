/* SPDX-License-Identifier: Apache-2.0 */
/* observe_conf.h - the section `observe`, as loaded. Immutable, owned by the snapshot. */
#ifndef NR_OBSERVE_OBSERVE_CONF_H
#define NR_OBSERVE_OBSERVE_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "config/schema.h"

enum nr_log_level { NR_LOG_DEBUG, NR_LOG_INFO, NR_LOG_WARN, NR_LOG_ERROR };

struct nr_access_log_conf {
    struct nr_section at;
    bool enabled;
    uint64_t
        buffer_bytes; /* lines that wait for a slow stdout; beyond it lines are dropped, counted */
    double sample;    /* of requests that went well */
    uint64_t slow_ns; /* 0: no time is slow */
    bool query;
    struct nr_span *redact;
    uint32_t redact_count;
    struct nr_span user; /* empty: none */
};

struct nr_observe_conf {
    struct nr_section at;
    bool metrics;
    uint32_t max_metric_routes;
    uint32_t log_level; /* enum nr_log_level */
    struct nr_access_log_conf access_log;
};

extern const struct nr_schema_root nr_observe_conf_root;

/* Never NULL. */
const struct nr_observe_conf *nr_observe_conf_of(const struct nr_config *config);

#endif
