/* SPDX-License-Identifier: Apache-2.0 */
/* fault_conf.c - the table of `faults`. */
#include "service/fault_conf.h"

#include <string.h>

#include "codec/head.h"

/* clang-format off */

static const struct nr_schema_word where_words[] = {
    {"attempt", NR_FAULT_IN_ATTEMPT,
     "behind the circuit breaker and the balancer, as if the chosen instance behaved so"},
    {"request", NR_FAULT_IN_REQUEST, "before the call: no policy of the service sees it"},
    {NULL, 0, NULL},
};

static const struct nr_schema_field fault_fields[] = {
    {.name = "at", .type = NR_SCHEMA_ENUM, NR_SCHEMA_AT(struct nr_fault_conf, where),
     .value = "attempt", .words = where_words, .doc = "Where it strikes."},
    {.name = "delay", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_fault_conf, delay_ns),
     .min = "1ms", .max = "1h",
     .doc = "The answer comes so much later; at the request: it is held, at most until its deadline."},
    {.name = "abort", .type = NR_SCHEMA_U32, NR_SCHEMA_AT(struct nr_fault_conf, abort),
     .min = "400", .max = "599", .doc = "Answered with this status; the instance, or the service, is not asked."},
    {.name = "reset", .type = NR_SCHEMA_BOOL, NR_SCHEMA_AT(struct nr_fault_conf, reset),
     .value = "false", .doc = "The connection to the instance breaks; at the request: the client's."},
    {.name = "bandwidth", .type = NR_SCHEMA_BYTE_RATE,
     NR_SCHEMA_AT(struct nr_fault_conf, bandwidth),
     .doc = "Pass the answer's body on no faster than this."},
    {.name = "percent", .type = NR_SCHEMA_RATIO, NR_SCHEMA_AT(struct nr_fault_conf, share),
     .value = "100%", .min = "0%", .max = "100%", .doc = "Of the attempts, or of the requests, by chance."},
    {.name = "header", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_fault_conf, header),
     .min = "1", .max = "256",
     .doc = "Only requests that have this field: \"X-Chaos\", or with this value: \"X-Chaos: slow\"."},
};

/* clang-format on */

void nr_fault_header(const struct nr_fault_conf *fault, struct nr_span *ret_name,
                     struct nr_span *ret_value)
{
    const char *colon = memchr(fault->header.ptr, ':', fault->header.len);

    *ret_name = fault->header;
    *ret_value = (struct nr_span){NULL, 0};
    if (colon == NULL)
        return;
    ret_name->len = (size_t)(colon - fault->header.ptr);
    *ret_value = nr_span_from(fault->header, ret_name->len + 1);
    while (ret_value->len > 0 && ret_value->ptr[0] == ' ')
        *ret_value = nr_span_from(*ret_value, 1);
}

static void check_fault(void *section, struct nr_arena *arena, struct nr_diags *diags)
{
    const struct nr_fault_conf *fault = section;
    int kinds =
        (fault->delay_ns > 0) + (fault->abort > 0) + fault->reset + (fault->bandwidth.count > 0);
    struct nr_span name, value;

    (void)arena;
    if (kinds != 1)
        nr_section_error(&fault->at, NULL, diags, "faults: [{ delay: 2s, percent: 10% }]",
                         "a fault is one of delay, abort, reset and bandwidth");
    if (fault->header.len == 0)
        return;
    nr_fault_header(fault, &name, &value);
    if (!nr_field_name_valid(name))
        nr_section_error(&fault->at, "header", diags, "header: \"X-Chaos: slow\"",
                         "'%s' is no header field", fault->header.ptr);
}

const struct nr_schema nr_fault_schema = {
    .title = "Fault",
    .doc = "What goes wrong on purpose. Each fault decides for itself whether it strikes.",
    NR_SCHEMA_FIELDS(fault_fields, struct nr_fault_conf),
    .check = check_fault,
};

enum nr_fault_kind nr_fault_kind_of(const struct nr_fault_conf *fault)
{
    if (fault->delay_ns > 0)
        return NR_FAULT_DELAY;
    if (fault->abort > 0)
        return NR_FAULT_ABORT;
    return fault->reset ? NR_FAULT_RESET : NR_FAULT_BANDWIDTH;
}

const char *nr_fault_name(enum nr_fault_kind kind)
{
    static const char *const names[NR_FAULTS] = {[NR_FAULT_DELAY] = "delay",
                                                 [NR_FAULT_ABORT] = "abort",
                                                 [NR_FAULT_RESET] = "reset",
                                                 [NR_FAULT_BANDWIDTH] = "bandwidth"};

    return names[kind];
}
