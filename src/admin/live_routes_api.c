/* SPDX-License-Identifier: Apache-2.0 */
/* live_routes_api.c - what an operator says of a route while it serves. */
#include "admin/pages.h"
#include "base/compiler.h"
#include "gateway/routes.h"

/* clang-format off */

static const struct nr_admin_field state_fields[] = {
    {.name = "route", .type = NR_ADMIN_STRING, .doc = "Its name."},
    {.name = "enabled", .type = NR_ADMIN_BOOL, .doc = "In force; false: its requests get 503 feature_off."},
    {.name = "configured_enabled", .type = NR_ADMIN_BOOL, .doc = "As configured."},
    {.name = "by_hand", .type = NR_ADMIN_BOOL, .doc = "Some of it was set by hand."},
};

const struct nr_admin_shape nr_admin_route_state_shape = {
    "RouteState", "What can be changed of a route.", state_fields, NR_COUNT(state_fields)};

static const struct nr_admin_field change_fields[] = {
    {.name = "enabled", .type = NR_ADMIN_BOOL, .optional = true, .nullable = true,
     .doc = "false: its requests are answered with 503 feature_off; null: as configured."},
};

const struct nr_admin_shape nr_admin_route_change_shape = {
    "RouteChange", "What is left out stays as it is.", change_fields, NR_COUNT(change_fields)};

/* clang-format on */

static struct nr_span route_name(const void *ctx, uint32_t i)
{
    return ((const struct nr_routes *)ctx)->items[i].conf->name;
}

void nr_admin_unknown_route(struct nr_admin_call *call, struct nr_span name)
{
    const struct nr_routes *routes = nr_gateway_routes(call->admin->setup.gateway);

    nr_admin_unknown(call, "route", "unknown_route", name, routes->count, route_name, routes);
}

void nr_admin_route(struct nr_admin_call *call)
{
    struct nr_span name = nr_admin_path_param(call, 0);
    struct nr_gateway_route_view view;
    struct nr_json *json;

    if (!nr_gateway_route(call->admin->setup.gateway, name, &view)) {
        nr_admin_unknown_route(call, name);
        return;
    }
    json = nr_json_object();
    nr_json_set(json, "route", nr_json_string(view.conf->name));
    nr_json_set(json, "enabled", nr_json_bool(view.enabled));
    nr_json_set(json, "configured_enabled", nr_json_bool(view.conf->enabled));
    nr_json_set(json, "by_hand", nr_json_bool(view.enabled_said != NR_SAID_NOTHING));
    nr_admin_json(call, 200, json);
}

void nr_admin_change_route(struct nr_admin_call *call)
{
    struct nr_json *body = nr_admin_body_json(call);
    struct nr_span name = nr_admin_path_param(call, 0);
    const struct nr_json *enabled;
    struct nr_err err = {0};

    if (body == NULL)
        return;
    nr_admin_tell_body(call, body);
    enabled = nr_json_get(body, "enabled");
    if (enabled != NULL && nr_gateway_route_enable(call->admin->setup.gateway, name,
                                                   nr_admin_said(enabled), &err) != NR_OK)
        nr_admin_unknown_route(call, name);
    else
        nr_admin_route(call);
    nr_json_free(body);
}
