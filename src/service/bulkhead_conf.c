/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead_conf.c - the table of `bulkhead`. */
#include "service/bulkhead_conf.h"

#define SECOND_NS ((uint64_t)1000000000)

/* A net, not a policy: thousands of clients that ask again as soon as they are answered make a
 * queue that stands, and none of them is to be refused while a service that is well works it off.
 * But one that only grew would serve everybody when it is too late: `naru simulate sale`. */
const struct nr_bulkhead_conf nr_bulkhead_net = {
    .concurrent = 1024,
    .queue = 8192,
    .wait_ns = 2 * SECOND_NS,
    .useful_ns = SECOND_NS / 1000,
    .codel_target_ns = SECOND_NS / 2,
    .codel_interval_ns = SECOND_NS,
};

struct nr_adaptive_conf nr_bulkhead_adaptive(const struct nr_service_adaptive_conf *conf)
{
    struct nr_adaptive_conf policy = nr_adaptive_conf_default;

    policy.start = conf->start;
    policy.min = conf->min;
    policy.max = conf->max;
    return policy;
}

/* clang-format off */

#define ADAPTIVE(member) NR_SCHEMA_AT(struct nr_service_adaptive_conf, member)

static const struct nr_schema_field adaptive_fields[] = {
    {.name = "enabled", .type = NR_SCHEMA_BOOL, ADAPTIVE(enabled), .value = "true",
     .doc = "Learn it from latency and errors."},
    {.name = "start", .type = NR_SCHEMA_U32, ADAPTIVE(start),
     .value = "20", .min = "1", .max = "100000",
     .doc = "What to begin with."},
    {.name = "min", .type = NR_SCHEMA_U32, ADAPTIVE(min),
     .value = "20", .min = "1", .max = "100000",
     .doc = "Never less than this."},
    {.name = "max", .type = NR_SCHEMA_U32, ADAPTIVE(max),
     .value = "200", .min = "1", .max = "100000",
     .doc = "Never more than this."},
};

/* clang-format on */

static void check_adaptive(void *section, struct nr_arena *arena, struct nr_diags *diags)
{
    const struct nr_service_adaptive_conf *conf = section;

    (void)arena;
    if (conf->min > conf->max)
        nr_section_error(&conf->at, "max", diags, NULL, "'max' is less than 'min'");
}

static const struct nr_schema adaptive_schema = {
    .title = "Adaptive concurrency",
    NR_SCHEMA_FIELDS(adaptive_fields, struct nr_service_adaptive_conf),
    .shorthand = "enabled",
    .check = check_adaptive,
};

/* clang-format off */

#define POLICY(member) NR_SCHEMA_AT(struct nr_service_bulkhead_conf, policy.member)

static const struct nr_schema_field bulkhead_fields[] = {
    {.name = "concurrent", .type = NR_SCHEMA_U32, POLICY(concurrent),
     .value = "30", .min = "1", .max = "100000",
     .doc = "Calls at one time."},
    {.name = "queue", .type = NR_SCHEMA_U32, POLICY(queue),
     .value = "100", .max = "1000000",
     .doc = "Calls that may wait for one of them to end. 0: none."},
    {.name = "wait", .type = NR_SCHEMA_DURATION, POLICY(wait_ns),
     .value = "500ms", .min = "1ms", .max = "1h",
     .doc = "Nobody waits longer, and nobody beyond its deadline."},
    {.name = "target", .type = NR_SCHEMA_DURATION, POLICY(codel_target_ns),
     .value = "5ms", .max = "1h",
     .doc = "A wait that is fine for ever; when each is longer for an `interval`, the queue is cut back and the newest go first. 0s: first come, first served."},
    {.name = "interval", .type = NR_SCHEMA_DURATION, POLICY(codel_interval_ns),
     .value = "100ms", .min = "1ms", .max = "1h",
     .doc = "See target."},
    {.name = "adaptive", .type = NR_SCHEMA_SECTION, .flags = NR_SCHEMA_OPTIONAL,
     NR_SCHEMA_AT(struct nr_service_bulkhead_conf, adaptive), .section = &adaptive_schema,
     .doc = "Learn the number of calls that the service bears, instead of `concurrent`."},
    {.name = "observe_only", .type = NR_SCHEMA_BOOL,
     NR_SCHEMA_AT(struct nr_service_bulkhead_conf, observe_only), .value = "false",
     .doc = "Count and record, but let every call pass."},
};

/* clang-format on */

static void check_bulkhead(void *section, struct nr_arena *arena, struct nr_diags *diags)
{
    struct nr_service_bulkhead_conf *conf = section;

    (void)arena;
    (void)diags;
    conf->policy.useful_ns = nr_bulkhead_conf_default.useful_ns;
}

const struct nr_schema nr_bulkhead_schema = {
    .title = "Bulkhead",
    NR_SCHEMA_FIELDS(bulkhead_fields, struct nr_service_bulkhead_conf),
    .shorthand = "concurrent",
    .check = check_bulkhead,
};
