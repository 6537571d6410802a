/* SPDX-License-Identifier: Apache-2.0 */
/* routes_api.c - the routes in the order in which they are asked, and which one a request takes. */
#include <stdlib.h>

#include "admin/pages.h"
#include "base/compiler.h"
#include "gateway/explain.h"

enum { ROUTES_DEFAULT = 1000, FIELDS_MAX = 32, CONDITION_BYTES = 512 };

/* ---- shapes ---- */

static const char *const protocols[] = {"http", "tcp", NULL};
static const char *const verdicts[] = {"route", "no_route", "method_not_allowed", NULL};
static const char *const outcomes[] = {"won",  "method",     "condition", "host",
                                       "path", "conditions", "order",     NULL};

/* clang-format off */

static const struct nr_admin_field listener_fields[] = {
    {.name = "address", .type = NR_ADMIN_STRING, .doc = "As configured."},
    {.name = "bound", .type = NR_ADMIN_STRING, .doc = "As the system has it."},
    {.name = "protocol", .type = NR_ADMIN_STRING, .words = protocols,
     .doc = "All routes serve every http listener; tcp passes bytes to its service."},
    {.name = "service", .type = NR_ADMIN_STRING, .optional = true, .doc = "Of a tcp listener."},
};

static const struct nr_admin_shape listener_shape = {
    "Listener", "Where clients connect.", listener_fields, NR_COUNT(listener_fields)};

static const struct nr_admin_field route_fields[] = {
    {.name = "route", .type = NR_ADMIN_STRING, .doc = "Its name."},
    {.name = "index", .type = NR_ADMIN_INTEGER, .doc = "Its place in the configuration, from 0."},
    {.name = "host", .type = NR_ADMIN_STRING, .optional = true, .doc = "Without: any."},
    {.name = "path", .type = NR_ADMIN_STRING, .doc = "Pattern."},
    {.name = "methods", .type = NR_ADMIN_STRING, .optional = true, .doc = "Without: any."},
    {.name = "conditions", .type = NR_ADMIN_STRINGS, .doc = "What else must hold, in words."},
    {.name = "answer", .type = NR_ADMIN_STRING, .doc = "What becomes of the request."},
    {.name = "file", .type = NR_ADMIN_STRING, .doc = "Where it is written."},
    {.name = "line", .type = NR_ADMIN_INTEGER, .doc = "From 1."},
};

static const struct nr_admin_shape route_shape = {
    "Route", "A route under one of its hosts.", route_fields, NR_COUNT(route_fields)};

static const struct nr_admin_field routes_fields[] = {
    {.name = "listeners", .type = NR_ADMIN_LIST, .shape = &listener_shape, .doc = "All of them."},
    {.name = "total", .type = NR_ADMIN_INTEGER, .doc = "Entries there are, shown or not."},
    {.name = "routes", .type = NR_ADMIN_LIST, .shape = &route_shape,
     .doc = "In the order in which they are asked: of two that fit, the first takes the request."},
};

const struct nr_admin_shape nr_admin_routes_shape = {
    "Routes", "What is served.", routes_fields, NR_COUNT(routes_fields)};

static const struct nr_admin_field candidate_fields[] = {
    {.name = "route", .type = NR_ADMIN_STRING, .doc = "Its name."},
    {.name = "index", .type = NR_ADMIN_INTEGER, .doc = "Its place in the configuration, from 0."},
    {.name = "line", .type = NR_ADMIN_INTEGER, .doc = "Where it is written."},
    {.name = "outcome", .type = NR_ADMIN_STRING, .words = outcomes, .doc = "won, or by what it lost."},
    {.name = "why", .type = NR_ADMIN_STRING, .doc = "The same in words."},
};

static const struct nr_admin_shape candidate_shape = {
    "RouteCandidate", "A route whose host and path fit.", candidate_fields, NR_COUNT(candidate_fields)};

static const struct nr_admin_field explained_fields[] = {
    {.name = "verdict", .type = NR_ADMIN_STRING, .words = verdicts, .doc = "What comes of the request."},
    {.name = "path", .type = NR_ADMIN_STRING, .doc = "Of the request, canonical."},
    {.name = "route", .type = NR_ADMIN_STRING, .optional = true, .doc = "That takes it."},
    {.name = "index", .type = NR_ADMIN_INTEGER, .optional = true, .doc = "Its place in the configuration, from 0."},
    {.name = "file", .type = NR_ADMIN_STRING, .optional = true, .doc = "Where it is written."},
    {.name = "line", .type = NR_ADMIN_INTEGER, .optional = true, .doc = "From 1."},
    {.name = "answer", .type = NR_ADMIN_STRING, .optional = true, .doc = "What becomes of the request."},
    {.name = "allow", .type = NR_ADMIN_STRING, .optional = true, .doc = "With method_not_allowed."},
    {.name = "candidates", .type = NR_ADMIN_LIST, .shape = &candidate_shape,
     .doc = "In the order in which they are asked."},
    {.name = "more", .type = NR_ADMIN_INTEGER, .optional = true, .doc = "So many more candidates."},
};

const struct nr_admin_shape nr_admin_explained_shape = {
    "RouteExplained", "Which route a request takes, and why not the others.", explained_fields, NR_COUNT(explained_fields)};

/* clang-format on */

/* ---- the list ---- */

static struct nr_json *listeners_json(const struct nr_gateway *gateway)
{
    const struct nr_gateway_conf *conf = nr_gateway_conf_of(nr_gateway_config(gateway));
    struct nr_json *list = nr_json_array();

    for (uint32_t i = 0; i < conf->listen_count; i++) {
        const struct nr_gateway_listen_conf *listen = &conf->listen[i];
        struct nr_addr bound = nr_gateway_listener_address(gateway, i);
        struct nr_json *json = nr_json_object();
        char text[NR_ADDR_TEXT_BYTES];

        nr_addr_format(&bound, text, sizeof(text));
        nr_json_set(json, "address", nr_json_string(listen->address.text));
        nr_json_set(json, "bound", nr_json_string(nr_span_of(text)));
        nr_json_set(json, "protocol", nr_json_string(nr_span_of(protocols[listen->tcp != NULL])));
        if (listen->tcp != NULL)
            nr_json_set(json, "service", nr_json_string(listen->tcp->service));
        nr_json_push(list, json);
    }
    return list;
}

static struct nr_json *conditions_json(const struct nr_match *match)
{
    struct nr_json *list = nr_json_array();
    char text[CONDITION_BYTES];

    for (uint32_t i = 0; match != NULL && i < match->count; i++) {
        nr_condition_text(&match->conditions[i], text, sizeof(text));
        nr_json_push(list, nr_json_string(nr_span_of(text)));
    }
    return list;
}

static struct nr_json *route_json(const struct nr_routes *routes,
                                  const struct nr_route_place *place)
{
    const struct nr_route_conf *conf = routes->items[place->route].conf;
    struct nr_strbuf methods = {0}, answer = {0};
    struct nr_json *json = nr_json_object();

    nr_methods_text(conf->match.methods, &methods);
    nr_route_describe(conf, &answer);
    nr_json_set(json, "route", nr_json_string(conf->name));
    nr_json_set(json, "index", nr_json_integer(place->route));
    if (place->host.len > 0)
        nr_json_set(json, "host", nr_json_string(place->host));
    nr_json_set(json, "path", nr_json_string(conf->match.path));
    if (methods.len > 0)
        nr_json_set(json, "methods", nr_json_string(nr_strbuf_span(&methods)));
    nr_json_set(json, "conditions", conditions_json(routes->matches[place->route]));
    nr_json_set(json, "answer", nr_json_string(nr_strbuf_span(&answer)));
    nr_json_set(json, "file", nr_json_string(nr_span_of(conf->at.place.file)));
    nr_json_set(json, "line", nr_json_integer(conf->at.place.line));
    nr_strbuf_done(&methods);
    nr_strbuf_done(&answer);
    return json;
}

void nr_admin_routes(struct nr_admin_call *call)
{
    const struct nr_gateway *gateway = call->admin->setup.sources.gateway;
    const struct nr_routes *routes = nr_gateway_routes(gateway);
    struct nr_span service = nr_admin_query(call, "service", 0);
    int64_t skip = nr_admin_query_integer(call, "offset", 0);
    int64_t left = nr_admin_query_integer(call, "limit", ROUTES_DEFAULT);
    struct nr_json *json = nr_json_object(), *list = nr_json_array();
    uint32_t count, total = 0;
    struct nr_route_place *places = nr_routes_order(routes, &count);

    for (uint32_t i = 0; i < count; i++) {
        if (service.ptr != NULL && !nr_route_leads_to(routes->items[places[i].route].conf, service))
            continue;
        total++;
        if (skip-- <= 0 && left-- > 0)
            nr_json_push(list, route_json(routes, &places[i]));
    }
    free(places);
    nr_json_set(json, "listeners", listeners_json(gateway));
    nr_json_set(json, "total", nr_json_integer(total));
    nr_json_set(json, "routes", list);
    nr_admin_json(call, 200, json);
}

/* ---- one request ---- */

void nr_admin_explain_route(struct nr_admin_call *call)
{
    const struct nr_routes *routes = nr_gateway_routes(call->admin->setup.sources.gateway);
    struct nr_span request = nr_admin_query(call, "request", 0);
    struct nr_span fields[FIELDS_MAX];
    struct nr_json *json = NULL;
    struct nr_err err = {0};
    uint32_t count = 0;

    while (count < FIELDS_MAX &&
           (fields[count] = nr_admin_query(call, "header", count)).ptr != NULL)
        count++;
    if (strlen(request.ptr) != request.len)
        nr_admin_problem(call, 400, "bad_request", "a request has no NUL");
    else if (nr_routes_explain(routes, request.ptr, fields, count, &json, &err) != NR_OK)
        nr_admin_problem(call, 400, "bad_request", "%s", err.text);
    else
        nr_admin_json(call, 200, json);
}
