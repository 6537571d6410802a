/* SPDX-License-Identifier: Apache-2.0 */
#include "observe/observe_conf.h"

#include "codec/head.h"

static const struct nr_schema_word no_time[] = {
    {"none", 0, "no time is slow"},
    {NULL, 0, NULL},
};

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
    {.name = "sample",
     .type = NR_SCHEMA_RATIO,
     NR_SCHEMA_AT(struct nr_access_log_conf, sample),
     .value = "100%",
     .min = "0%",
     .max = "100%",
     .doc = "Of the requests that went well, so many have a line, chosen by their id. What failed "
            "always has one."},
    {.name = "slow",
     .type = NR_SCHEMA_DURATION,
     NR_SCHEMA_AT(struct nr_access_log_conf, slow_ns),
     .value = "1s",
     .min = "1ms",
     .max = "24h",
     .words = no_time,
     .doc = "Requests that took this long have a line, too, whatever `sample` says."},
    {.name = "query",
     .type = NR_SCHEMA_BOOL,
     NR_SCHEMA_AT(struct nr_access_log_conf, query),
     .value = "false",
     .doc = "Write the query, too, which may hold what nobody should read in a log."},
    {.name = "redact",
     .type = NR_SCHEMA_LIST,
     .element = NR_SCHEMA_STRING,
     NR_SCHEMA_MANY(struct nr_access_log_conf, redact, redact_count),
     .value = "[access_token, api_key, apikey, client_secret, code, id_token, key, passwd, "
              "password, refresh_token, secret, sig, signature, token]",
     .min = "1",
     .max = "128",
     .doc = "Parameters of the query whose values are written as ***, in any case of letters."},
    {.name = "user",
     .type = NR_SCHEMA_STRING,
     NR_SCHEMA_AT(struct nr_access_log_conf, user),
     .min = "1",
     .max = "128",
     .doc = "The field of requests that says who asks, as X-User-Id: written as user_id. A client "
            "may send what it likes, unless somebody before naru sets it."},
};

static void check_access_log(void *section, struct nr_arena *arena, struct nr_diags *diags)
{
    const struct nr_access_log_conf *conf = section;

    (void)arena;
    if (conf->user.len > 0 && !nr_field_name_valid(conf->user))
        nr_section_error(&conf->at, "user", diags, "user: X-User-Id", "'%s' is no name of a field",
                         conf->user.ptr);
}

static const struct nr_schema access_log_schema = {
    .title = "Access log",
    NR_SCHEMA_FIELDS(access_log_fields, struct nr_access_log_conf),
    .check = check_access_log,
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
