/* SPDX-License-Identifier: Apache-2.0 */
/* overrides_api.c - what is in force by hand, all of it in one list: the first thing to look at in
 * a strange night, and what an alert about a forgotten override leads to. */
#include "admin/pages.h"
#include "base/compiler.h"
#include "observe/overrides.h"

/* clang-format off */

static const struct nr_admin_field override_fields[] = {
    {.name = "kind", .type = NR_ADMIN_STRING, .doc = "What is overridden: limit, instance …"},
    {.name = "name", .type = NR_ADMIN_STRING, .doc = "Of the limit, service or route."},
    {.name = "part", .type = NR_ADMIN_STRING, .optional = true,
     .doc = "Of it: a tier, an instance, a route. Without: the whole."},
    {.name = "value", .type = NR_ADMIN_STRING, .doc = "In force now, in words."},
    {.name = "ends_in_ms", .type = NR_ADMIN_INTEGER, .optional = true,
     .doc = "When it ends by itself. Without: when it is taken back."},
};

static const struct nr_admin_shape override_shape = {
    "Override", "Something that an operator has set by hand.", override_fields, NR_COUNT(override_fields)};

static const struct nr_admin_field overrides_fields[] = {
    {.name = "overrides", .type = NR_ADMIN_LIST, .shape = &override_shape,
     .doc = "Of services, limits, routes and shedding, in this order."},
};

const struct nr_admin_shape nr_admin_overrides_shape = {
    "Overrides", "All that is in force by hand.", overrides_fields, NR_COUNT(overrides_fields)};

/* clang-format on */

struct listing {
    struct nr_json *list;
    uint64_t now_ns;
};

static void put(void *ctx, const struct nr_override *override)
{
    struct listing *listing = ctx;
    struct nr_json *json = nr_json_object();

    nr_json_set(json, "kind", nr_json_string(nr_span_of(override->kind)));
    nr_json_set(json, "name", nr_json_string(override->name));
    if (override->part.len > 0)
        nr_json_set(json, "part", nr_json_string(override->part));
    nr_json_set(json, "value", nr_json_string(override->value));
    if (override->ends_ns > listing->now_ns)
        nr_json_set(json, "ends_in_ms",
                    nr_json_integer((int64_t)((override->ends_ns - listing->now_ns) / 1000000)));
    nr_json_push(listing->list, json);
}

void nr_admin_overrides(struct nr_admin_call *call)
{
    const struct nr_gateway *gateway = call->admin->setup.sources.gateway;
    struct listing listing = {nr_json_array(), nr_io_now_ns(call->admin->setup.io)};
    struct nr_json *json = nr_json_object();

    if (gateway != NULL)
        nr_overrides_each(gateway, listing.now_ns, put, &listing);
    nr_json_set(json, "overrides", listing.list);
    nr_admin_json(call, 200, json);
}
