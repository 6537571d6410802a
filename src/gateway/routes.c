/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/routes.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/record.h"

/* Who serves GET serves HEAD: RFC 9110, 9.3.2. */
static uint64_t with_head(uint64_t methods)
{
    return methods & ((uint64_t)1 << NR_METHOD_GET) ? methods | (uint64_t)1 << NR_METHOD_HEAD
                                                    : methods;
}

static uint32_t condition_count(const struct nr_match_conf *match)
{
    return match->header_count + match->query_count + match->cookie_count +
           (match->version.len > 0) + (match->path_regex.len > 0);
}

static struct nr_regex *regex_of(struct nr_routes *routes, struct nr_span pattern)
{
    struct nr_regex *regex = NULL;
    struct nr_err err = {0};

    if (nr_regex_new(pattern, &regex, &err) != NR_OK)
        nr_assert(!"the loader has checked the patterns");
    routes->regexes[routes->regex_count++] = regex;
    return regex;
}

static struct nr_condition condition_of(struct nr_routes *routes,
                                        const struct nr_condition_conf *conf,
                                        enum nr_condition_source source)
{
    struct nr_condition condition = {.source = (uint8_t)source, .name = conf->name};

    if (conf->exact.ptr != NULL) {
        condition.kind = NR_CONDITION_EXACT;
        condition.value = conf->exact;
    } else if (conf->prefix.ptr != NULL) {
        condition.kind = NR_CONDITION_PREFIX;
        condition.value = conf->prefix;
    } else if (conf->regex.ptr != NULL) {
        condition.kind = NR_CONDITION_REGEX;
        condition.value = conf->regex;
        condition.regex = regex_of(routes, conf->regex);
    } else {
        condition.kind = conf->present ? NR_CONDITION_PRESENT : NR_CONDITION_ABSENT;
    }
    return condition;
}

/* The cheap ones first: regular expressions are asked only when all else holds. */
static const struct nr_match *match_of(struct nr_routes *routes, const struct nr_match_conf *conf,
                                       const struct nr_version_rules *versions,
                                       struct nr_regex **ret_regex)
{
    uint32_t count = condition_count(conf), at = 0;
    struct nr_match *match;
    struct nr_condition *conditions;

    if (count == 0)
        return NULL;
    match = nr_arena_zalloc(&routes->arena, sizeof(*match));
    conditions = nr_arena_zalloc(&routes->arena, count * sizeof(*conditions));
    if (conf->version.len > 0)
        conditions[at++] = (struct nr_condition){
            .source = NR_CONDITION_VERSION, .kind = NR_CONDITION_EXACT, .value = conf->version};
    for (uint32_t i = 0; i < conf->header_count; i++)
        conditions[at++] = condition_of(routes, &conf->headers[i], NR_CONDITION_HEADER);
    for (uint32_t i = 0; i < conf->query_count; i++)
        conditions[at++] = condition_of(routes, &conf->query[i], NR_CONDITION_QUERY);
    for (uint32_t i = 0; i < conf->cookie_count; i++)
        conditions[at++] = condition_of(routes, &conf->cookies[i], NR_CONDITION_COOKIE);
    if (conf->path_regex.len > 0) {
        *ret_regex = regex_of(routes, conf->path_regex);
        conditions[at++] = (struct nr_condition){.source = NR_CONDITION_PATH,
                                                 .kind = NR_CONDITION_REGEX,
                                                 .value = conf->path_regex,
                                                 .regex = *ret_regex};
    }
    nr_assert(at == count);
    *match = (struct nr_match){.conditions = conditions, .count = count, .versions = versions};
    return match;
}

static const struct nr_version_rules *versions_of(struct nr_routes *routes)
{
    const struct nr_api_version_conf *conf = &routes->conf->api_version;
    struct nr_version_rules *versions = nr_arena_zalloc(&routes->arena, sizeof(*versions));

    *versions = (struct nr_version_rules){.query = conf->query,
                                          .header = conf->header,
                                          .accept = conf->accept,
                                          .fallback = conf->fallback};
    if (versions->fallback.len > 1 && nr_ascii_lower(versions->fallback.ptr[0]) == 'v')
        versions->fallback = nr_span_from(versions->fallback, 1);
    return versions;
}

static void make_route(struct nr_routes *routes, const struct nr_services_conf *services,
                       const struct nr_version_rules *versions, uint32_t index,
                       struct nr_router_rule *ret_rule)
{
    const struct nr_route_conf *conf = &routes->conf->routes[index];
    struct nr_gateway_route *route = &routes->items[index];
    struct nr_regex *regex = NULL;

    *ret_rule = (struct nr_router_rule){
        .hosts = conf->match.hosts,
        .host_count = conf->match.host_count,
        .path = conf->match.path,
        .methods = with_head(conf->match.methods),
        .match = match_of(routes, &conf->match, versions, &regex),
    };
    *route = (struct nr_gateway_route){
        .conf = conf,
        .service = NR_ID_NONE,
        .id = NR_ID_NONE,
        .strip_prefix = conf->strip_prefix,
        .deadline_ns = conf->deadline_ns == NR_CONF_NONE ? 0 : conf->deadline_ns,
    };
    routes->matches[index] = ret_rule->match;
    if (conf->service.len > 0) {
        const struct nr_service_conf *service = nr_service_conf_find(services, conf->service);

        nr_assert(service != NULL); /* the loader checked it */
        route->service = (uint32_t)(service - services->items);
    }
    route->plan = nr_plan_new(routes->conf, services, conf, regex, &routes->arena);
}

struct nr_routes *nr_routes_new(const struct nr_config *config)
{
    const struct nr_services_conf *services = nr_services_conf_of(config);
    struct nr_routes *routes = calloc(1, sizeof(*routes));
    const struct nr_version_rules *versions;
    struct nr_router_rule *rules;
    size_t regexes = 0;

    nr_assert(routes != NULL);
    nr_arena_init(&routes->arena, NULL, 0);
    routes->conf = nr_gateway_conf_of(config);
    routes->count = routes->conf->route_count;
    for (uint32_t i = 0; i < routes->count; i++)
        regexes += condition_count(&routes->conf->routes[i].match);
    routes->matches =
        nr_arena_zalloc(&routes->arena, (routes->count + 1u) * sizeof(*routes->matches));
    routes->regexes = calloc(regexes + 1, sizeof(struct nr_regex *));
    routes->items =
        aligned_alloc(NR_CACHE_LINE_BYTES, (routes->count + 1u) * sizeof(*routes->items));
    rules = calloc(routes->count + 1u, sizeof(*rules));
    nr_assert(routes->regexes != NULL && routes->items != NULL && rules != NULL);
    versions = versions_of(routes);
    for (uint32_t i = 0; i < routes->count; i++)
        make_route(routes, services, versions, i, &rules[i]);
    routes->router = nr_router_new(rules, routes->count);
    free(rules);
    return routes;
}

void nr_routes_free(struct nr_routes *routes)
{
    if (routes == NULL)
        return;
    nr_router_free(routes->router);
    for (uint32_t i = 0; i < routes->regex_count; i++)
        nr_regex_free(routes->regexes[i]);
    free(routes->regexes);
    free(routes->items);
    nr_arena_done(&routes->arena);
    free(routes);
}
