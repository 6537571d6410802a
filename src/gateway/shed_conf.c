/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/shed_conf.h"

#include "codec/head.h"

/* clang-format off */

const struct nr_schema_word nr_priority_words[] = {
    {"critical", NR_CRITICAL, "never shed"},
    {"normal", NR_NORMAL, "shed when shedding the rest does not suffice"},
    {"sheddable", NR_SHEDDABLE, "shed first"},
    {NULL, 0, NULL},
};

static const struct nr_schema_word no_capacity[] = {
    {"none", 0, "not looked at"},
    {NULL, 0, NULL},
};

#define LEVEL(name_, use_, delay_)                                                                 \
    static const struct nr_schema_field name_##_fields[] = {                                       \
        {.name = "use", .type = NR_SCHEMA_RATIO, NR_SCHEMA_AT(struct nr_shed_level_conf, use),     \
         .value = use_, .min = "1%", .max = "1000%",                                               \
         .doc = "Requests in flight, as a share of the capacity."},                                \
        {.name = "delay", .type = NR_SCHEMA_DURATION,                                              \
         NR_SCHEMA_AT(struct nr_shed_level_conf, delay_ns), .value = delay_, .min = "1ms",         \
         .max = "1m", .doc = "How late a worker's loop is."},                                      \
    };                                                                                             \
    static const struct nr_schema name_##_schema = {                                               \
        .title = "Level of shedding",                                                              \
        .doc = "It begins when one of both has been reached for `rise`, and ends when, for "       \
               "`fall`, use was below three quarters and delay below a quarter of it.",            \
        NR_SCHEMA_FIELDS(name_##_fields, struct nr_shed_level_conf),                               \
    }

LEVEL(sheddable, "90%", "50ms");
LEVEL(normal, "110%", "200ms");

static const struct nr_schema_field shedding_fields[] = {
    {.name = "capacity", .type = NR_SCHEMA_U32, NR_SCHEMA_AT(struct nr_shedding_conf, capacity),
     .value = "none", .min = "1", .words = no_capacity,
     .doc = "How many requests in flight the services bear, all together; tunnels do not count."},
    {.name = "sheddable", .type = NR_SCHEMA_SECTION,
     NR_SCHEMA_AT(struct nr_shedding_conf, sheddable), .section = &sheddable_schema,
     .doc = "From when on requests of priority sheddable are refused."},
    {.name = "normal", .type = NR_SCHEMA_SECTION,
     NR_SCHEMA_AT(struct nr_shedding_conf, normal), .section = &normal_schema,
     .doc = "… and those of priority normal, too."},
    {.name = "rise", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_shedding_conf, rise_ns),
     .value = "200ms", .min = "0s", .max = "1m",
     .doc = "For how long it must be bad before a level begins."},
    {.name = "fall", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_shedding_conf, fall_ns),
     .value = "2s", .min = "0s", .max = "10m",
     .doc = "For how long it must be good before a level ends."},
    {.name = "header", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_shedding_conf, header),
     .min = "1", .max = "128",
     .doc = "The field in which trusted_proxies say a request's priority, instead of its route's."},
    {.name = "retry_after", .type = NR_SCHEMA_DURATION,
     NR_SCHEMA_AT(struct nr_shedding_conf, retry_after_ns),
     .value = "5s", .min = "1s", .max = "1h",
     .doc = "Told to who is refused: so long, up to twice that, by chance."},
    {.name = "observe_only", .type = NR_SCHEMA_BOOL,
     NR_SCHEMA_AT(struct nr_shedding_conf, observe_only), .value = "false",
     .doc = "Count and record what would be shed, and shed nothing."},
};

/* clang-format on */

static void check_shedding(void *section, struct nr_arena *arena, struct nr_diags *diags)
{
    const struct nr_shedding_conf *conf = section;

    (void)arena;
    if (conf->header.len > 0 && !nr_field_name_valid(conf->header))
        nr_section_error(&conf->at, "header", diags, NULL, "'%s' is no name of a header field",
                         conf->header.ptr);
    if (conf->normal.use < conf->sheddable.use || conf->normal.delay_ns < conf->sheddable.delay_ns)
        nr_section_error(&conf->normal.at, NULL, diags, NULL,
                         "'normal' begins before 'sheddable': the least critical go first");
}

const struct nr_schema nr_shedding_schema = {
    .title = "Shedding",
    .doc = "Under pressure the least critical requests are refused, with 503 and the reason shed.",
    NR_SCHEMA_FIELDS(shedding_fields, struct nr_shedding_conf),
    .check = check_shedding,
};

static const double leave_use = 0.75, leave_delay = 0.25;

/* What has no reading is out of reach: nr_shed_update leaves it out anyway. */
static void set_level(struct nr_shed_conf *to, enum nr_shed_level level,
                      const struct nr_shed_level_conf *from)
{
    double delay_ms = (double)from->delay_ns / 1e6;

    to->enter[level] = (struct nr_shed_input){delay_ms, from->use, 2};
    to->leave[level] = (struct nr_shed_input){delay_ms * leave_delay, from->use * leave_use, 2};
}

struct nr_shed_conf nr_shedding_policy(const struct nr_shedding_conf *conf)
{
    struct nr_shed_conf policy = {.rise_ns = conf->rise_ns, .fall_ns = conf->fall_ns};

    set_level(&policy, NR_SHED_SHEDDABLE, &conf->sheddable);
    set_level(&policy, NR_SHED_NORMAL, &conf->normal);
    return policy;
}
