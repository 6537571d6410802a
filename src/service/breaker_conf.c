/* SPDX-License-Identifier: Apache-2.0 */
/* breaker_conf.c - the table of `breaker`. */
#include "service/breaker_conf.h"

#include "config/units.h"

#define SECOND_NS ((uint64_t)1000000000)

/* clang-format off */

static const struct nr_schema_word scopes[] = {
    {"instance", NR_BREAKER_PER_INSTANCE, "one each: a dead instance of three never opens the circuit of all"},
    {"service", NR_BREAKER_PER_SERVICE, "one for all instances"},
    {"route", NR_BREAKER_PER_ROUTE, "one for each route that leads here: a broken endpoint does not take the others along"},
    {NULL, 0, NULL},
};

#define POLICY(member) NR_SCHEMA_AT(struct nr_service_breaker_conf, policy.member)

static const struct nr_schema_field breaker_fields[] = {
    {.name = "scope", .type = NR_SCHEMA_ENUM, NR_SCHEMA_AT(struct nr_service_breaker_conf, scope),
     .value = "instance", .words = scopes,
     .doc = "What a circuit is made of."},
    {.name = "window", .type = NR_SCHEMA_STRING, .flags = NR_SCHEMA_NUMBER,
     NR_SCHEMA_AT(struct nr_service_breaker_conf, window), .value = "10",
     .doc = "The calls that count: the latest `10` (at most 256), or those of the last `10s` (at most 60s)."},
    {.name = "minimum", .type = NR_SCHEMA_U32, POLICY(minimum),
     .value = "5", .min = "1", .max = "1000000",
     .doc = "Calls in the window before a rate is believed."},
    {.name = "failure_rate", .type = NR_SCHEMA_RATIO, POLICY(failure_rate),
     .value = "50%", .max = "100%",
     .doc = "Opens from this share of failures on. 0%: not by this."},
    {.name = "slow_rate", .type = NR_SCHEMA_RATIO, POLICY(slow_rate),
     .value = "80%", .max = "100%",
     .doc = "Opens from this share of slow calls on. 0%: not by this."},
    {.name = "slow", .type = NR_SCHEMA_DURATION, POLICY(slow_ns),
     .value = "2s", .min = "1ms", .max = "1h",
     .doc = "A call that takes longer to the head of its answer is slow."},
    {.name = "consecutive", .type = NR_SCHEMA_U32, POLICY(consecutive),
     .value = "0", .max = "1000000",
     .doc = "Opens after so many failures in a row. 0: not by this."},
    {.name = "failures", .type = NR_SCHEMA_U32, POLICY(failures),
     .value = "0", .max = "1000000",
     .doc = "Opens after so many failures in the window. 0: not by this."},
    {.name = "open", .type = NR_SCHEMA_DURATION, POLICY(open_ns),
     .value = "30s", .min = "10ms", .max = "1h",
     .doc = "How long it stays open, the first time."},
    {.name = "open_factor", .type = NR_SCHEMA_RATIO, POLICY(open_factor),
     .value = "2", .min = "1", .max = "10",
     .doc = "Each trip that follows another lasts so many times longer."},
    {.name = "open_max", .type = NR_SCHEMA_DURATION, POLICY(open_max_ns),
     .value = "5m", .min = "10ms", .max = "24h",
     .doc = "The longest time open, before jitter."},
    {.name = "jitter", .type = NR_SCHEMA_RATIO, POLICY(jitter),
     .value = "10%", .max = "100%",
     .doc = "The time open is stretched by up to this share at random."},
    {.name = "probes", .type = NR_SCHEMA_U32, POLICY(probes),
     .value = "3", .min = "1", .max = "1000",
     .doc = "Calls that are let through then, and decide whether it closes."},
    {.name = "probe_wait", .type = NR_SCHEMA_DURATION, POLICY(probe_wait_ns),
     .value = "10s", .min = "10ms", .max = "1h",
     .doc = "Probes that are out longer count as failed."},
    {.name = "observe_only", .type = NR_SCHEMA_BOOL,
     NR_SCHEMA_AT(struct nr_service_breaker_conf, observe_only), .value = "false",
     .doc = "Decide, record and log, but let every call pass."},
};

/* clang-format on */

static bool parse_window(struct nr_service_breaker_conf *conf)
{
    uint64_t value, most;

    if (nr_units_integer(conf->window, 10, &value)) {
        conf->policy.window = NR_BREAKER_BY_COUNT;
        most = NR_BREAKER_CALLS_MAX;
    } else if (nr_units_duration(conf->window, &value) && value % SECOND_NS == 0) {
        conf->policy.window = NR_BREAKER_BY_TIME;
        value /= SECOND_NS;
        most = NR_BREAKER_SECONDS_MAX;
    } else {
        return false;
    }
    conf->policy.size = (uint32_t)value;
    return value >= 1 && value <= most;
}

static void check_breaker(void *section, struct nr_arena *arena, struct nr_diags *diags)
{
    struct nr_service_breaker_conf *conf = section;
    const struct nr_breaker_conf *policy = &conf->policy;

    (void)arena;
    if (!parse_window(conf)) {
        nr_section_error(&conf->at, "window", diags, NULL,
                         "a window is 1 to 256 calls, or 1s to 60s, got '%s'", conf->window.ptr);
        return;
    }
    if (policy->window == NR_BREAKER_BY_COUNT && policy->minimum > policy->size)
        nr_section_error(&conf->at, "minimum", diags, NULL,
                         "'minimum' is more than the %u calls of the window, so no rate would ever "
                         "be believed",
                         policy->size);
    if (policy->open_max_ns < policy->open_ns)
        nr_section_error(&conf->at, "open_max", diags, NULL, "'open_max' is less than 'open'");
    if (policy->failure_rate <= 0 && policy->slow_rate <= 0 && policy->consecutive == 0 &&
        policy->failures == 0)
        nr_section_error(&conf->at, NULL, diags, "failure_rate: 50%",
                         "nothing would ever open this breaker");
}

const struct nr_schema nr_breaker_schema = {
    .title = "Circuit breaker",
    NR_SCHEMA_FIELDS(breaker_fields, struct nr_service_breaker_conf),
    .check = check_breaker,
};
