/* SPDX-License-Identifier: Apache-2.0 */
/* fallback_conf.c - the table of `fallback`. */
#include "service/fallback_conf.h"

#include "codec/head.h"

/* clang-format off */

#define AT(member) NR_SCHEMA_AT(struct nr_service_fallback_conf, member)

static const struct nr_schema_field fallback_fields[] = {
    {.name = "service", .type = NR_SCHEMA_STRING, AT(service), .min = "1", .max = "64",
     .doc = "Another service that is asked instead, within the same deadline."},
    {.name = "status", .type = NR_SCHEMA_U32, AT(status), .value = "200", .min = "200", .max = "599",
     .doc = "Of the answer."},
    {.name = "json", .type = NR_SCHEMA_JSON, AT(json),
     .doc = "Its body, as JSON."},
    {.name = "body", .type = NR_SCHEMA_STRING, AT(body), .max = "65536",
     .doc = "Its body, as it is."},
    {.name = "content_type", .type = NR_SCHEMA_STRING, AT(content_type), .min = "1", .max = "256",
     .doc = "Its Content-Type; without it application/json for json, text/plain for body."},
};

/* clang-format on */

static void check_fallback(void *section, struct nr_arena *arena, struct nr_diags *diags)
{
    const struct nr_service_fallback_conf *conf = section;

    static const char *const own[] = {"status", "json", "body", "content_type"};

    (void)arena;
    for (size_t i = 0; conf->service.len > 0 && i < NR_COUNT(own); i++)
        if (nr_section_has(&conf->at, own[i]))
            nr_section_error(&conf->at, own[i], diags, "fallback: { service: other }",
                             "'service' and '%s' exclude each other: the other service answers",
                             own[i]);
    if (conf->json != NULL && conf->body.len > 0)
        nr_section_error(&conf->at, NULL, diags, "fallback: { status: 200, json: { orders: [] } }",
                         "'json' and 'body' exclude each other");
    if (conf->content_type.len > 0 && !nr_field_value_valid(conf->content_type))
        nr_section_error(&conf->at, "content_type", diags, NULL,
                         "a field cannot hold control characters");
}

const struct nr_schema nr_fallback_schema = {
    .title = "Fallback",
    NR_SCHEMA_FIELDS(fallback_fields, struct nr_service_fallback_conf),
    .check = check_fallback,
};
