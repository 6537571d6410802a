/* SPDX-License-Identifier: Apache-2.0 */
/* shedding_api.c - who is let in under pressure, and the level of it by hand. */
#include "admin/pages.h"
#include "base/compiler.h"

/* clang-format off */

static const struct nr_admin_field shedding_fields[] = {
    {.name = "configured", .type = NR_ADMIN_BOOL, .doc = "There is a section gateway.shedding."},
    {.name = "level", .type = NR_ADMIN_INTEGER,
     .doc = "In force; 0: all are let in; 1: the sheddable are not; 2: only the critical are."},
    {.name = "by_hand", .type = NR_ADMIN_BOOL, .doc = "The level does not follow from the readings."},
    {.name = "observe_only", .type = NR_ADMIN_BOOL, .doc = "It refuses nobody."},
    {.name = "in_flight", .type = NR_ADMIN_INTEGER, .doc = "Requests, as they were read last."},
    {.name = "delay_ms", .type = NR_ADMIN_NUMBER, .doc = "Of the slowest worker's loop, likewise."},
    {.name = "refused", .type = NR_ADMIN_INTEGER, .doc = "Requests so far."},
    {.name = "would_refuse", .type = NR_ADMIN_INTEGER, .doc = "Requests that observe_only has let pass."},
};

const struct nr_admin_shape nr_admin_shedding_shape = {
    "Shedding", "Who is let in under pressure.", shedding_fields, NR_COUNT(shedding_fields)};

static const struct nr_admin_field change_fields[] = {
    {.name = "level", .type = NR_ADMIN_INTEGER, .nullable = true, .max = NR_SHED_LEVELS - 1,
     .doc = "0: all are let in; 1: the sheddable are not; 2: only the critical are; null: as the "
            "readings say."},
};

const struct nr_admin_shape nr_admin_shedding_change_shape = {
    "SheddingChange", "The level by hand.", change_fields, NR_COUNT(change_fields)};

/* clang-format on */

static int64_t sum(const uint64_t counts[NR_CRITICALITIES])
{
    uint64_t all = 0;

    for (int i = 0; i < NR_CRITICALITIES; i++)
        all += counts[i];
    return (int64_t)all;
}

void nr_admin_shedding(struct nr_admin_call *call)
{
    struct nr_json *json = nr_json_object();
    struct nr_gateway_guards guards;

    nr_gateway_guards(call->admin->setup.gateway, &guards);
    nr_json_set(json, "configured", nr_json_bool(guards.shedding));
    nr_json_set(json, "level", nr_json_integer(guards.level));
    nr_json_set(json, "by_hand", nr_json_bool(guards.forced != NR_SHED_AUTO));
    nr_json_set(json, "observe_only", nr_json_bool(guards.observe_only));
    nr_json_set(json, "in_flight", nr_json_integer((int64_t)guards.in_flight));
    nr_json_set(json, "delay_ms", nr_json_real((double)guards.delay_ns / 1e6));
    nr_json_set(json, "refused", nr_json_integer(sum(guards.shed)));
    nr_json_set(json, "would_refuse", nr_json_integer(sum(guards.would_shed)));
    nr_admin_json(call, 200, json);
}

void nr_admin_force_shedding(struct nr_admin_call *call)
{
    struct nr_json *body = nr_admin_body_json(call);
    const struct nr_json *level;
    struct nr_err err = {0};

    if (body == NULL)
        return;
    nr_admin_tell_body(call, body);
    level = nr_json_get(body, "level");
    if (nr_gateway_shed_force(
            call->admin->setup.gateway,
            nr_json_kind(level) == NR_JSON_NULL ? NR_SHED_AUTO : (int)nr_json_integer_value(level),
            &err) == NR_OK)
        nr_admin_shedding(call);
    else
        nr_admin_problem(call, 422, "no_shedding", "%s: add a section 'shedding' to it", err.text);
    nr_json_free(body);
}
