/* SPDX-License-Identifier: Apache-2.0 */
/* endpoints.c - all that may be asked of the admin side, in one table. */
#include "admin/call.h"
#include "admin/pages.h"
#include "base/compiler.h"
#include "gateway/pattern.h"

/* clang-format off */

static const struct nr_admin_field requests_query[] = {
    {.name = "failed", .type = NR_ADMIN_BOOL, .optional = true,
     .doc = "Only failures, of which more are kept."},
    {.name = "limit", .type = NR_ADMIN_INTEGER, .optional = true, .min = 1, .max = 1000,
     .doc = "At most so many; 50 unless said."},
    {.name = "status", .type = NR_ADMIN_STRING, .optional = true, .doc = "503, 5xx or 500-504."},
    {.name = "reason", .type = NR_ADMIN_STRING, .optional = true, .doc = "As in docs/reference/reasons.md."},
    {.name = "service", .type = NR_ADMIN_STRING, .optional = true, .doc = "Its name."},
    {.name = "route", .type = NR_ADMIN_STRING, .optional = true, .doc = "Its name."},
    {.name = "since", .type = NR_ADMIN_STRING, .optional = true,
     .doc = "How long ago at most (5m), or a moment (2026-01-31T12:00:00Z)."},
};

static const struct nr_admin_field usage_query[] = {
    {.name = "limit", .type = NR_ADMIN_INTEGER, .optional = true, .min = 1, .max = 1000000,
     .doc = "At most so many keys; 1000 unless said."},
    {.name = "offset", .type = NR_ADMIN_INTEGER, .optional = true, .min = 0, .max = 1000000,
     .doc = "Leave out so many first."},
};

static const struct nr_admin_field routes_query[] = {
    {.name = "service", .type = NR_ADMIN_STRING, .optional = true, .doc = "Only those that lead there."},
    {.name = "limit", .type = NR_ADMIN_INTEGER, .optional = true, .min = 1, .max = 1000000,
     .doc = "At most so many; 1000 unless said."},
    {.name = "offset", .type = NR_ADMIN_INTEGER, .optional = true, .min = 0, .max = 1000000,
     .doc = "Leave out so many first."},
};

static const struct nr_admin_field explain_query[] = {
    {.name = "request", .type = NR_ADMIN_STRING, .doc = "GET http://host/path; or a URL or a path alone."},
    {.name = "header", .type = NR_ADMIN_STRING, .optional = true, .doc = "Name: value; may be repeated."},
};

static const struct nr_admin_field dry_run_query[] = {
    {.name = "dry_run", .type = NR_ADMIN_BOOL, .optional = true,
     .doc = "Say what is wrong with it and what it would change; change nothing."},
};

const struct nr_admin_endpoint nr_admin_endpoints[] = {
    {NR_METHOD_GET, "/", NULL, "index", "A page of links.", nr_admin_index,
     .gives_type = "text/html"},
    {NR_METHOD_GET, "/health", NULL, "health", "Does the process live?", nr_admin_health,
     .open = true, .gives = &nr_admin_status_shape},
    {NR_METHOD_GET, "/ready", NULL, "ready", "Does it take new work?", nr_admin_ready,
     .open = true, .gives = &nr_admin_status_shape, .problems = "503"},
    {NR_METHOD_GET, "/metrics", NULL, "metrics", "All metrics, for Prometheus (or as OpenMetrics).",
     nr_admin_metrics, .gives_type = "text/plain", .problems = "404"},
    {NR_METHOD_POST, "/v1/drain", NULL, "drain",
     "End as by SIGTERM: no new connections, what has begun ends, then the process does.",
     nr_admin_drain, .mutates = true, .gives = &nr_admin_status_shape, .gives_status = 202,
     .problems = "404"},
    {NR_METHOD_GET, "/v1/openapi.json", NULL, "openapi", "This document.", nr_admin_openapi_page,
     .gives_type = "application/json"},
    {NR_METHOD_GET, "/v1/services", NULL, "listServices", "All services with their instances.",
     nr_admin_services, .gives = &nr_admin_services_shape},
    {NR_METHOD_GET, "/v1/services/{service}", NULL, "getService", "One service.",
     nr_admin_service, .gives = &nr_admin_service_shape, .problems = "404"},
    {NR_METHOD_PATCH, "/v1/services/{service}", NULL, "changeService",
     "Give a service's bulkhead more or fewer permits, force its fallback; answers the new state.",
     nr_admin_change_service, .mutates = true, .body = NR_ADMIN_JSON,
     .takes = &nr_admin_service_change_shape, .gives = &nr_admin_service_shape,
     .problems = "404 422"},
    {NR_METHOD_GET, "/v1/services/{service}/instances/*", "address", "getInstance",
     "One instance.", nr_admin_instance, .gives = &nr_admin_instance_shape, .problems = "404"},
    {NR_METHOD_PATCH, "/v1/services/{service}/instances/*", "address", "changeInstance",
     "Drain an instance, give it another weight, force it up or down; answers its new state.",
     nr_admin_change_instance, .mutates = true, .body = NR_ADMIN_JSON,
     .takes = &nr_admin_instance_change_shape, .gives = &nr_admin_instance_shape,
     .problems = "404"},
    {NR_METHOD_GET, "/v1/services/{service}/circuits", NULL, "listCircuits",
     "The circuit breakers of a service.", nr_admin_circuits, .gives = &nr_admin_circuits_shape,
     .problems = "404"},
    {NR_METHOD_PATCH, "/v1/services/{service}/circuits", NULL, "forceCircuits",
     "Force the circuits of a service, or one of them, open or closed; answers their new state.",
     nr_admin_force_circuits, .mutates = true, .body = NR_ADMIN_JSON,
     .takes = &nr_admin_circuits_change_shape, .gives = &nr_admin_circuits_shape,
     .problems = "404 422"},
    {NR_METHOD_GET, "/v1/routes", NULL, "listRoutes",
     "The listeners, and the routes in the order in which they are asked.", nr_admin_routes,
     .query = routes_query, .query_count = NR_COUNT(routes_query),
     .gives = &nr_admin_routes_shape},
    {NR_METHOD_GET, "/v1/routes/explain", NULL, "explainRoute",
     "Which route a request would take, and why not the others.", nr_admin_explain_route,
     .query = explain_query, .query_count = NR_COUNT(explain_query),
     .gives = &nr_admin_explained_shape},
    {NR_METHOD_GET, "/v1/routes/*", "route", "getRoute",
     "What can be changed of a route, as it is now.", nr_admin_route,
     .gives = &nr_admin_route_state_shape, .problems = "404"},
    {NR_METHOD_PATCH, "/v1/routes/*", "route", "changeRoute",
     "Switch a route on or off, put faults on it for a while; answers its new state.",
     nr_admin_change_route, .mutates = true, .body = NR_ADMIN_JSON,
     .takes = &nr_admin_route_change_shape, .gives = &nr_admin_route_state_shape,
     .problems = "404 422"},
    {NR_METHOD_GET, "/v1/shedding", NULL, "getShedding", "What is refused under pressure now.",
     nr_admin_shedding, .gives = &nr_admin_shedding_shape},
    {NR_METHOD_PATCH, "/v1/shedding", NULL, "forceShedding",
     "Force the level of shedding, or take that back; answers the new state.",
     nr_admin_force_shedding, .mutates = true, .body = NR_ADMIN_JSON,
     .takes = &nr_admin_shedding_change_shape, .gives = &nr_admin_shedding_shape,
     .problems = "422"},
    {NR_METHOD_GET, "/v1/limits", NULL, "listLimits",
     "All rate limits: their rates as they count now, and what they have decided.",
     nr_admin_limits, .gives = &nr_admin_limits_shape},
    {NR_METHOD_GET, "/v1/limits/*", "limit", "getLimit", "One rate limit.", nr_admin_limit,
     .gives = &nr_admin_limit_shape, .problems = "404"},
    {NR_METHOD_PATCH, "/v1/limits/*", "limit", "changeLimit",
     "Give a rate limit other rates, let it only observe, or take that back; answers its new state.",
     nr_admin_change_limit, .mutates = true, .body = NR_ADMIN_JSON,
     .takes = &nr_admin_limit_change_shape, .gives = &nr_admin_limit_shape, .problems = "404 422"},
    {NR_METHOD_GET, "/v1/usage/*", "limit", "getUsage",
     "What each key of a metered rate limit has used since it was first seen, most first.",
     nr_admin_usage, .query = usage_query, .query_count = NR_COUNT(usage_query),
     .gives = &nr_admin_usage_shape, .problems = "404"},
    {NR_METHOD_GET, "/v1/overrides", NULL, "listOverrides",
     "All that was set by hand and is in force now, whatever the configuration says.",
     nr_admin_overrides, .gives = &nr_admin_overrides_shape},
    {NR_METHOD_GET, "/v1/requests", NULL, "listRequests", "The latest requests, newest first.",
     nr_admin_requests, .query = requests_query, .query_count = NR_COUNT(requests_query),
     .gives = &nr_admin_requests_shape},
    {NR_METHOD_GET, "/v1/requests/{id}", NULL, "getRequest",
     "The decision record of one request, by its X-Request-Id.", nr_admin_request,
     .gives = &nr_admin_request_shape, .problems = "404"},
    {NR_METHOD_GET, "/v1/config", NULL, "getConfig",
     "The configuration in force, with defaults and without secrets.", nr_admin_config,
     .gives_type = "application/yaml", .problems = "404"},
    {NR_METHOD_POST, "/v1/config", NULL, "putConfig",
     "Put the configuration in the body in force, whole; a bad one changes nothing.",
     nr_admin_put_config, .mutates = true, .if_match = true, .query = dry_run_query,
     .query_count = NR_COUNT(dry_run_query), .body = NR_ADMIN_YAML,
     .gives = &nr_admin_config_result_shape, .problems = "404 412 422 503"},
    {NR_METHOD_POST, "/v1/config/reload", NULL, "reloadConfig",
     "Read the configuration file again, as SIGHUP does.", nr_admin_reload_config,
     .mutates = true, .if_match = true, .query = dry_run_query,
     .query_count = NR_COUNT(dry_run_query), .gives = &nr_admin_config_result_shape,
     .problems = "404 409 412 422 503"},
    {NR_METHOD_POST, "/v1/config/rollback", NULL, "rollbackConfig",
     "Put an earlier version in force again, under a new number.", nr_admin_rollback_config,
     .mutates = true, .if_match = true, .query = dry_run_query,
     .query_count = NR_COUNT(dry_run_query), .body = NR_ADMIN_JSON,
     .takes = &nr_admin_rollback_shape, .gives = &nr_admin_config_result_shape,
     .problems = "404 412 422 503"},
    {NR_METHOD_GET, "/v1/config/versions", NULL, "listConfigVersions",
     "The versions that can be gone back to.", nr_admin_config_versions,
     .gives = &nr_admin_config_versions_shape},
    {NR_METHOD_GET, "/v1/config/versions/{version}", NULL, "getConfigVersion",
     "One version, with defaults and without secrets.", nr_admin_config_version,
     .gives_type = "application/yaml", .problems = "404 503"},
};

/* clang-format on */

const uint32_t nr_admin_endpoint_count = NR_COUNT(nr_admin_endpoints);

static bool fits(const struct nr_admin_endpoint *endpoint, struct nr_span path,
                 struct nr_span params[NR_ADMIN_PARAMS_MAX])
{
    struct nr_captures captures = {0};
    uint32_t count = 0;

    if (!nr_pattern_match(nr_span_of(endpoint->path), path, &captures) ||
        (endpoint->tail != NULL && captures.tail.len == 0))
        return false;
    for (const char *at = strchr(endpoint->path, '{'); at != NULL; at = strchr(at + 1, '{')) {
        params[count] = captures.params[count];
        count++;
    }
    if (endpoint->tail != NULL)
        params[count] = captures.tail;
    return true;
}

const struct nr_admin_endpoint *nr_admin_find(enum nr_method method, struct nr_span path,
                                              struct nr_span params[NR_ADMIN_PARAMS_MAX],
                                              uint64_t *ret_allowed)
{
    enum nr_method asked = method == NR_METHOD_HEAD ? NR_METHOD_GET : method;

    const char *first = NULL; /* path that fits is the one, whatever its methods are */

    *ret_allowed = 0;
    for (uint32_t i = 0; i < nr_admin_endpoint_count; i++) {
        const struct nr_admin_endpoint *endpoint = &nr_admin_endpoints[i];

        if ((first != NULL && strcmp(first, endpoint->path) != 0) || !fits(endpoint, path, params))
            continue;
        first = endpoint->path;
        if (endpoint->method == asked)
            return endpoint;
        *ret_allowed |= 1ull << endpoint->method;
    }
    return NULL;
}
