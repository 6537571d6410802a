/* SPDX-License-Identifier: Apache-2.0 */
/* live_routes_api.c - what an operator says of a route while it serves. */
#include "admin/pages.h"
#include "base/compiler.h"
#include "config/text.h"
#include "config/units.h"
#include "gateway/routes.h"

#include <stdlib.h>

#define SECOND_NS ((uint64_t)1000000000)

/* An exercise that nobody ends, ends. */
static const uint64_t faults_last_ns = 600 * SECOND_NS, faults_last_ns_max = 86400 * SECOND_NS;

/* clang-format off */

static const struct nr_admin_shape fault_shape = {
    "Fault", "As an entry of `faults` in the configuration: { \"abort\": 503, \"percent\": \"10%\" }.", NULL, 0};

static const struct nr_admin_field state_fields[] = {
    {.name = "route", .type = NR_ADMIN_STRING, .doc = "Its name."},
    {.name = "enabled", .type = NR_ADMIN_BOOL, .doc = "In force; false: its requests get 503 feature_off."},
    {.name = "configured_enabled", .type = NR_ADMIN_BOOL, .doc = "As configured."},
    {.name = "configured_faults", .type = NR_ADMIN_INTEGER, .doc = "How many the configuration has on this route."},
    {.name = "faults", .type = NR_ADMIN_LIST, .optional = true, .shape = &fault_shape,
     .doc = "By hand, in place of the configured ones. Without: as configured."},
    {.name = "faults_end_in_ms", .type = NR_ADMIN_INTEGER, .optional = true, .doc = "When they end by themselves."},
    {.name = "by_hand", .type = NR_ADMIN_BOOL, .doc = "Some of it was set by hand."},
};

const struct nr_admin_shape nr_admin_route_state_shape = {
    "RouteState", "What can be changed of a route.", state_fields, NR_COUNT(state_fields)};

static const struct nr_admin_field change_fields[] = {
    {.name = "enabled", .type = NR_ADMIN_BOOL, .optional = true, .nullable = true,
     .doc = "false: its requests are answered with 503 feature_off; null: as configured."},
    {.name = "faults", .type = NR_ADMIN_LIST, .optional = true, .nullable = true, .shape = &fault_shape,
     .doc = "In place of the configured ones, until `for` is over; null or none: as configured."},
    {.name = "for", .type = NR_ADMIN_STRING, .optional = true,
     .doc = "Beside `faults`: when they end by themselves, 1s to 24h; 10m unless said."},
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

static struct nr_json *state_json(struct nr_admin_call *call,
                                  const struct nr_gateway_route_view *view)
{
    uint64_t now_ns = nr_io_now_ns(call->admin->setup.io);
    struct nr_json *json = nr_json_object();
    struct nr_err err;

    nr_json_set(json, "route", nr_json_string(view->conf->name));
    nr_json_set(json, "enabled", nr_json_bool(view->enabled));
    nr_json_set(json, "configured_enabled", nr_json_bool(view->conf->enabled));
    nr_json_set(json, "configured_faults", nr_json_integer(view->conf->fault_count));
    if (view->faults.len > 0) {
        nr_json_set(json, "faults", nr_json_parse(view->faults, &err));
        nr_json_set(json, "faults_end_in_ms",
                    nr_json_integer((int64_t)((view->faults_until_ns - now_ns) / 1000000)));
    }
    nr_json_set(json, "by_hand",
                nr_json_bool(view->enabled_said != NR_SAID_NOTHING || view->faults.len > 0));
    return json;
}

static bool find_route(struct nr_admin_call *call, struct nr_gateway_route_view *ret_view)
{
    struct nr_span name = nr_admin_path_param(call, 0);

    if (nr_gateway_route(call->admin->setup.gateway, name, nr_io_now_ns(call->admin->setup.io),
                         ret_view))
        return true;
    nr_admin_unknown_route(call, name);
    return false;
}

void nr_admin_route(struct nr_admin_call *call)
{
    struct nr_gateway_route_view view;

    if (find_route(call, &view))
        nr_admin_json(call, 200, state_json(call, &view));
}

/* ---- changing ---- */

static bool lasts(struct nr_admin_call *call, const struct nr_json *text, uint64_t *ret_ns)
{
    *ret_ns = faults_last_ns;
    if (text == NULL || (nr_units_duration(nr_json_text(text), ret_ns) && *ret_ns >= SECOND_NS &&
                         *ret_ns <= faults_last_ns_max))
        return true;
    nr_admin_problem(call, 400, "bad_request",
                     "field 'for' must be a time from 1s to 24h, such as 90s or 10m; got %s",
                     nr_text_quote(nr_json_text(text), call->x->arena));
    return false;
}

static bool put_faults(struct nr_admin_call *call, struct nr_span route,
                       const struct nr_json *faults, uint64_t last_ns)
{
    char *text = nr_json_count(faults) > 0 ? nr_json_dump(faults, 0) : NULL;
    struct nr_err err = {0};
    enum nr_code code =
        nr_gateway_route_fault(call->admin->setup.gateway, route,
                               text == NULL ? (struct nr_span){"", 0} : nr_span_of(text),
                               nr_io_now_ns(call->admin->setup.io) + last_ns, &err);

    free(text);
    if (code != NR_OK)
        nr_admin_problem(call, 422, "bad_faults", "%s", err.text);
    return code == NR_OK;
}

static bool change(struct nr_admin_call *call, struct nr_span route, const struct nr_json *body)
{
    const struct nr_json *enabled = nr_json_get(body, "enabled");
    const struct nr_json *faults = nr_json_get(body, "faults"), *last = nr_json_get(body, "for");
    struct nr_err err = {0};
    uint64_t last_ns;

    if (last != NULL && faults == NULL) {
        nr_admin_problem(call, 400, "bad_request", "field 'for' goes with 'faults'");
        return false;
    }
    if (!lasts(call, last, &last_ns) ||
        (faults != NULL && !put_faults(call, route, faults, last_ns)))
        return false;
    return enabled == NULL || nr_gateway_route_enable(call->admin->setup.gateway, route,
                                                      nr_admin_said(enabled), &err) == NR_OK;
}

void nr_admin_change_route(struct nr_admin_call *call)
{
    struct nr_json *body = nr_admin_body_json(call);
    struct nr_gateway_route_view view;

    if (body == NULL)
        return;
    nr_admin_tell_body(call, body);
    if (find_route(call, &view) && change(call, view.conf->name, body))
        nr_admin_route(call);
    nr_json_free(body);
}
