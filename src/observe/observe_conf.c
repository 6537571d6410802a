/* SPDX-License-Identifier: Apache-2.0 */
#include "observe/observe_conf.h"

static const struct nr_schema_field access_log_fields[] = {
    {.name = "enabled",
     .type = NR_SCHEMA_BOOL,
     NR_SCHEMA_AT(struct nr_access_log_conf, enabled),
     .value = "true",
     .doc = "Write one JSON line for every request to standard output."},
    {.name = "buffer",
     .type = NR_SCHEMA_SIZE,
     NR_SCHEMA_AT(struct nr_access_log_conf, buffer_bytes),
     .value = "1MiB",
     .min = "64KiB",
     .max = "1GiB",
     .doc =
         "Lines that wait while standard output stalls; beyond it lines are dropped and counted, "
         "and no request waits."},
};

static const struct nr_schema access_log_schema = {
    .title = "Access log",
    NR_SCHEMA_FIELDS(access_log_fields, struct nr_access_log_conf),
    .shorthand = "enabled",
};

static const struct nr_schema_word log_levels[] = {
    {"debug", NR_LOG_DEBUG, NULL},
    {"info", NR_LOG_INFO, NULL},
    {"warn", NR_LOG_WARN, NULL},
    {"error", NR_LOG_ERROR, NULL},
    {NULL, 0, NULL},
};

static const struct nr_schema_field observe_fields[] = {
    {.name = "metrics",
     .type = NR_SCHEMA_BOOL,
     NR_SCHEMA_AT(struct nr_observe_conf, metrics),
     .value = "true",
     .doc = "Count requests, and answer /metrics on the admin listener."},
    {.name = "max_metric_routes",
     .type = NR_SCHEMA_U32,
     NR_SCHEMA_AT(struct nr_observe_conf, max_metric_routes),
     .value = "1000",
     .min = "0",
     .max = "100000",
     .doc = "Routes that have metrics of their own, the first ones loaded; all further ones are "
            "counted together as the route `other`. Each costs up to 8 KiB a worker."},
    {.name = "access_log",
     .type = NR_SCHEMA_SECTION,
     NR_SCHEMA_AT(struct nr_observe_conf, access_log),
     .section = &access_log_schema,
     .doc = "One JSON line for every request; true or false, or a mapping."},
    {.name = "log_level",
     .type = NR_SCHEMA_ENUM,
     NR_SCHEMA_AT(struct nr_observe_conf, log_level),
     .value = "info",
     .words = log_levels,
     .doc = "The least severe of naru's own messages that is written."},
};

static const struct nr_schema observe_schema = {
    .title = "Observation",
    .doc = "What naru tells about the requests that it carries, and about itself.",
    NR_SCHEMA_FIELDS(observe_fields, struct nr_observe_conf),
};

const struct nr_schema_root nr_observe_conf_root = {
    .field = {.name = "observe",
              .type = NR_SCHEMA_SECTION,
              .section = &observe_schema,
              .doc = "Metrics and logs."},
    .bytes = sizeof(struct nr_observe_conf),
};

const struct nr_observe_conf *nr_observe_conf_of(const struct nr_config *config)
{
    return nr_config_get(config, &nr_observe_conf_root);
}
