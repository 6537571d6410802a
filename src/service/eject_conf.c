/* SPDX-License-Identifier: Apache-2.0 */
/* eject_conf.c - the table of `eject`. */
#include "service/eject_conf.h"

/* clang-format off */

#define POLICY(member) NR_SCHEMA_AT(struct nr_service_eject_conf, policy.member)

static const struct nr_schema_field eject_fields[] = {
    {.name = "consecutive_5xx", .type = NR_SCHEMA_U32, POLICY(consecutive_5xx),
     .value = "5", .max = "1000000",
     .doc = "5xx (and calls without an answer) in a row. 0: not by this."},
    {.name = "consecutive_gateway", .type = NR_SCHEMA_U32, POLICY(consecutive_gateway),
     .value = "5", .max = "1000000",
     .doc = "502, 503, 504 and calls without an answer in a row. 0: not by this."},
    {.name = "success_rate", .type = NR_SCHEMA_RATIO, POLICY(rate_sigmas),
     .value = "1.9", .max = "10",
     .doc = "Worse than the mean of all by so many standard deviations. 0: not by this."},
    {.name = "latency", .type = NR_SCHEMA_RATIO, POLICY(latency_factor),
     .value = "3", .max = "1000",
     .doc = "So many times slower than the median of all. 0: not by this."},
    {.name = "latency_least", .type = NR_SCHEMA_DURATION, POLICY(latency_least_ns),
     .value = "50ms", .max = "1h",
     .doc = "Nobody who is faster is slow."},
    {.name = "hosts", .type = NR_SCHEMA_U32, POLICY(hosts_min),
     .value = "5", .min = "2", .max = "1024",
     .doc = "Comparing takes so many instances …"},
    {.name = "calls", .type = NR_SCHEMA_U32, POLICY(calls_min),
     .value = "100", .min = "1", .max = "1000000",
     .doc = "… with so many calls in an interval."},
    {.name = "interval", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_service_eject_conf, interval_ns),
     .value = "10s", .min = "100ms", .max = "1h",
     .doc = "How often instances are compared, and let back."},
    {.name = "base", .type = NR_SCHEMA_DURATION, POLICY(base_ns),
     .value = "30s", .min = "100ms", .max = "1h",
     .doc = "How long the first ejection lasts; the second twice as long, and so on."},
    {.name = "max", .type = NR_SCHEMA_DURATION, POLICY(max_ns),
     .value = "5m", .min = "100ms", .max = "24h",
     .doc = "The longest one, before jitter."},
    {.name = "max_share", .type = NR_SCHEMA_RATIO, POLICY(share),
     .value = "10%", .max = "100%",
     .doc = "Of the instances that may be ejected at once; one of several always may."},
    {.name = "jitter", .type = NR_SCHEMA_RATIO, POLICY(jitter),
     .value = "10%", .max = "100%",
     .doc = "Ejections are stretched by up to this share at random."},
    {.name = "observe_only", .type = NR_SCHEMA_BOOL,
     NR_SCHEMA_AT(struct nr_service_eject_conf, observe_only), .value = "false",
     .doc = "Decide, record and log, but leave nobody out."},
};

/* clang-format on */

static void check_eject(void *section, struct nr_arena *arena, struct nr_diags *diags)
{
    const struct nr_service_eject_conf *conf = section;

    (void)arena;
    if (conf->policy.max_ns < conf->policy.base_ns)
        nr_section_error(&conf->at, "max", diags, NULL, "'max' is less than 'base'");
}

const struct nr_schema nr_eject_schema = {
    .title = "Ejection",
    NR_SCHEMA_FIELDS(eject_fields, struct nr_service_eject_conf),
    .shorthand = "consecutive_5xx",
    .check = check_eject,
};
