/* SPDX-License-Identifier: Apache-2.0 */
/* retry_conf.c - the table of `retry`. */
#include "service/retry_conf.h"

#include "codec/head.h"

#define SECOND_NS ((uint64_t)1000000000)

/* clang-format off */

static const struct nr_schema_word on_words[] = {
    {"connect", NR_RETRY_ON_CONNECT, "no connection came about"},
    {"reset", NR_RETRY_ON_RESET, "it broke before the first byte of the answer was forwarded"},
    {"timeout", NR_RETRY_ON_TIMEOUT, "the time limit of the attempt passed"},
    {"429", NR_RETRY_ON_429, "the service limits us and says with Retry-After when to come back"},
    {"500", NR_RETRY_ON_500, "answers with this status"},
    {"501", NR_RETRY_ON_501, "likewise"},
    {"502", NR_RETRY_ON_502, "likewise"},
    {"503", NR_RETRY_ON_503, "likewise; a Retry-After is waited for if the deadline allows"},
    {"504", NR_RETRY_ON_504, "likewise"},
    {NULL, 0, NULL},
};

static const struct nr_schema_word methods[] = {
    {"GET", NR_METHOD_GET, NULL},
    {"HEAD", NR_METHOD_HEAD, NULL},
    {"OPTIONS", NR_METHOD_OPTIONS, NULL},
    {"PUT", NR_METHOD_PUT, NULL},
    {"DELETE", NR_METHOD_DELETE, NULL},
    {"POST", NR_METHOD_POST, "not idempotent: only if the service bears it"},
    {"PATCH", NR_METHOD_PATCH, "not idempotent: only if the service bears it"},
    {NULL, 0, NULL},
};

static const struct nr_schema_word jitters[] = {
    {"full", NR_BACKOFF_FULL, "anything between 0 and the delay"},
    {"additive", NR_BACKOFF_ADDITIVE, "the delay and up to as much again"},
    {"none", NR_BACKOFF_EXACT, "the delay: callers that failed together come back together"},
    {NULL, 0, NULL},
};

#define BACKOFF(member) NR_SCHEMA_AT(struct nr_retry_backoff_conf, policy.member)

static const struct nr_schema_field backoff_fields[] = {
    {.name = "base", .type = NR_SCHEMA_DURATION, BACKOFF(base_ns),
     .value = "25ms", .min = "1ms", .max = "1m",
     .doc = "The first pause. The first repeat on another instance comes at once."},
    {.name = "factor", .type = NR_SCHEMA_RATIO, BACKOFF(factor),
     .value = "2", .min = "1", .max = "10",
     .doc = "Each further pause is so many times longer."},
    {.name = "max", .type = NR_SCHEMA_DURATION, BACKOFF(max_ns),
     .value = "30s", .min = "1ms", .max = "1h",
     .doc = "The longest pause, before jitter."},
    {.name = "jitter", .type = NR_SCHEMA_ENUM, BACKOFF(jitter),
     .value = "full", .words = jitters,
     .doc = "How chance spreads the pauses."},
};

static const struct nr_schema backoff_schema = {
    .title = "Back-off", NR_SCHEMA_FIELDS(backoff_fields, struct nr_retry_backoff_conf),
    .shorthand = "base",
};

static const struct nr_schema_field budget_fields[] = {
    {.name = "ratio", .type = NR_SCHEMA_RATIO,
     NR_SCHEMA_AT(struct nr_retry_spending_conf, policy.ratio),
     .value = "20%", .max = "10",
     .doc = "Repeats that the service bears, as a share of its requests of the last ten seconds."},
    {.name = "min", .type = NR_SCHEMA_RATE, NR_SCHEMA_AT(struct nr_retry_spending_conf, min),
     .value = "10/s",
     .doc = "Repeats beyond that share, so that a service that is rarely called has some; at least 1/s."},
};

/* clang-format on */

static void check_budget(void *section, struct nr_arena *arena, struct nr_diags *diags)
{
    struct nr_retry_spending_conf *conf = section;
    uint64_t per_s = conf->min.count / ((conf->min.per_ns + SECOND_NS - 1) / SECOND_NS);

    (void)arena;
    if (per_s == 0 || per_s > UINT32_MAX)
        nr_section_error(&conf->at, "min", diags, "min: 10/s", "'min' is at least 1/s");
    conf->policy.min_per_s = (uint32_t)per_s;
}

static const struct nr_schema budget_schema = {
    .title = "Retry budget",
    .doc = "What all requests together may spend on repeats, so that a service that fails is not "
           "called three times as often as usual just then.",
    NR_SCHEMA_FIELDS(budget_fields, struct nr_retry_spending_conf),
    .shorthand = "ratio",
    .check = check_budget,
};

/* clang-format off */

static const struct nr_schema_field retry_fields[] = {
    {.name = "attempts", .type = NR_SCHEMA_U32, NR_SCHEMA_AT(struct nr_retry_conf, attempts),
     .value = "2", .min = "1", .max = "3",
     .doc = "Attempts in all; 1 means no retry."},
    {.name = "on", .type = NR_SCHEMA_SET, NR_SCHEMA_AT(struct nr_retry_conf, on),
     .value = "[connect, reset, 502, 503, 504]", .words = on_words,
     .doc = "Failures after which another instance is asked."},
    {.name = "methods", .type = NR_SCHEMA_SET, NR_SCHEMA_AT(struct nr_retry_conf, methods),
     .value = "[GET, HEAD, OPTIONS, PUT, DELETE]", .words = methods,
     .doc = "Methods that may be sent twice; others only with an Idempotency-Key, or when the service has certainly not seen the request."},
    {.name = "backoff", .type = NR_SCHEMA_SECTION, NR_SCHEMA_AT(struct nr_retry_conf, backoff),
     .section = &backoff_schema,
     .doc = "The pause before a repeat."},
    {.name = "budget", .type = NR_SCHEMA_SECTION, NR_SCHEMA_AT(struct nr_retry_conf, budget),
     .section = &budget_schema,
     .doc = "How many repeats the service bears."},
};

/* clang-format on */

const struct nr_schema nr_retry_schema = {
    .title = "Retry",
    NR_SCHEMA_FIELDS(retry_fields, struct nr_retry_conf),
};

uint32_t nr_retry_on_status(uint16_t status)
{
    switch (status) {
    case 429: return 1u << NR_RETRY_ON_429;
    case 500: return 1u << NR_RETRY_ON_500;
    case 501: return 1u << NR_RETRY_ON_501;
    case 502: return 1u << NR_RETRY_ON_502;
    case 503: return 1u << NR_RETRY_ON_503;
    case 504: return 1u << NR_RETRY_ON_504;
    default: return 0;
    }
}
