/* SPDX-License-Identifier: Apache-2.0 */
/* route_conf.c - the tables of one route. Rules between its fields are in route_check.c, rules of
 * `naru check` in gateway_check.c. */
#include "gateway/route_conf.h"

#include "codec/head.h"
#include "gateway/gateway_conf.h"

/* clang-format off */

static const struct nr_schema_field condition_fields[] = {
    {.name = "exact", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_condition_conf, exact),
     .max = "4096", .doc = "The value, with case."},
    {.name = "prefix", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_condition_conf, prefix),
     .min = "1", .max = "4096", .doc = "What the value begins with."},
    {.name = "regex", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_condition_conf, regex),
     .min = "1", .max = "1024", .doc = "A regular expression (PCRE2) that all of the value matches."},
    {.name = "present", .type = NR_SCHEMA_BOOL, NR_SCHEMA_AT(struct nr_condition_conf, present),
     .doc = "It is there with any value; false: it is not there."},
};

static const struct nr_schema condition_schema = {
    .title = "Condition",
    .doc = "One of the four; a text alone is `exact`. Of a name that comes several times, one value must fit.",
    NR_SCHEMA_FIELDS(condition_fields, struct nr_condition_conf),
    .name_offset = offsetof(struct nr_condition_conf, name),
    .shorthand = "exact", .check = nr_route_check_condition,
};

static const struct nr_schema_word methods[] = {
    {"GET", NR_METHOD_GET, "HEAD too"},
    {"HEAD", NR_METHOD_HEAD, NULL},
    {"POST", NR_METHOD_POST, NULL},
    {"PUT", NR_METHOD_PUT, NULL},
    {"PATCH", NR_METHOD_PATCH, NULL},
    {"DELETE", NR_METHOD_DELETE, NULL},
    {"OPTIONS", NR_METHOD_OPTIONS, NULL},
    {NULL, 0, NULL},
};

static const struct nr_schema_field match_fields[] = {
    {.name = "host", .type = NR_SCHEMA_LIST, .element = NR_SCHEMA_STRING,
     NR_SCHEMA_MANY(struct nr_match_conf, hosts, host_count),
     .min = "1", .max = "255",
     .doc = "Host names without port; *.example.com matches every name below. Without it: any host."},
    {.name = "path", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_match_conf, path),
     .value = "/*", .min = "1", .max = "4096",
     .doc = "/a matches exactly, /a/* also everything below, /a/{id} with any one segment for {id}."},
    {.name = "path_regex", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_match_conf, path_regex),
     .min = "1", .max = "1024",
     .doc = "A regular expression (PCRE2) that all of the path matches, too. The last resort."},
    {.name = "methods", .type = NR_SCHEMA_SET, NR_SCHEMA_AT(struct nr_match_conf, methods),
     .words = methods,
     .doc = "Without it: any method."},
    {.name = "headers", .type = NR_SCHEMA_MAP,
     NR_SCHEMA_MANY(struct nr_match_conf, headers, header_count), .section = &condition_schema,
     .doc = "Fields of the request that must fit."},
    {.name = "query", .type = NR_SCHEMA_MAP,
     NR_SCHEMA_MANY(struct nr_match_conf, query, query_count), .section = &condition_schema,
     .doc = "Parameters of the query that must fit, compared decoded."},
    {.name = "cookies", .type = NR_SCHEMA_MAP,
     NR_SCHEMA_MANY(struct nr_match_conf, cookies, cookie_count), .section = &condition_schema,
     .doc = "Cookies that must fit."},
    {.name = "version", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_match_conf, version),
     .min = "1", .max = "32",
     .doc = "The version of the API that the request asks for; see gateway.api_version."},
};

static const struct nr_schema match_schema = {
    .title = "Match", .doc = "The most specific route wins; between equals the one written first.",
    NR_SCHEMA_FIELDS(match_fields, struct nr_match_conf),
    .shorthand = "path", .check = nr_route_check_match,
};

static const struct nr_schema_field value_fields[] = {
    {.name = "value", .type = NR_SCHEMA_STRING, .flags = NR_SCHEMA_REQUIRED,
     NR_SCHEMA_AT(struct nr_value_conf, value), .max = "4096",
     .doc = "Text; {names} of the request are replaced."},
};

static const struct nr_schema value_schema = {
    .title = "Value", NR_SCHEMA_FIELDS(value_fields, struct nr_value_conf),
    .name_offset = offsetof(struct nr_value_conf, name), .shorthand = "value",
};

static const struct nr_schema_field fields_fields[] = {
    {.name = "remove", .type = NR_SCHEMA_LIST, .element = NR_SCHEMA_STRING,
     NR_SCHEMA_MANY(struct nr_fields_conf, remove, remove_count), .min = "1", .max = "128",
     .doc = "First: these fields go."},
    {.name = "set", .type = NR_SCHEMA_MAP,
     NR_SCHEMA_MANY(struct nr_fields_conf, set, set_count), .section = &value_schema,
     .doc = "Then: these replace all of their name."},
    {.name = "add", .type = NR_SCHEMA_MAP,
     NR_SCHEMA_MANY(struct nr_fields_conf, add, add_count), .section = &value_schema,
     .doc = "Last: these are added to what is there."},
};

static const struct nr_schema fields_schema = {
    .title = "Header transform",
    .doc = "A value whose variables are all empty adds no field.",
    NR_SCHEMA_FIELDS(fields_fields, struct nr_fields_conf),
};

static const struct nr_schema_field query_fields[] = {
    {.name = "remove", .type = NR_SCHEMA_LIST, .element = NR_SCHEMA_STRING,
     NR_SCHEMA_MANY(struct nr_query_conf, remove, remove_count), .min = "1", .max = "128",
     .doc = "First: these parameters go."},
    {.name = "rename", .type = NR_SCHEMA_MAP,
     NR_SCHEMA_MANY(struct nr_query_conf, rename, rename_count), .section = &value_schema,
     .doc = "Then: these get the name given."},
    {.name = "set", .type = NR_SCHEMA_MAP,
     NR_SCHEMA_MANY(struct nr_query_conf, set, set_count), .section = &value_schema,
     .doc = "Then: these replace all of their name."},
    {.name = "add", .type = NR_SCHEMA_MAP,
     NR_SCHEMA_MANY(struct nr_query_conf, add, add_count), .section = &value_schema,
     .doc = "Last: these are added to what is there."},
};

static const struct nr_schema query_schema = {
    .title = "Query transform",
    .doc = "What is not named stays as it is, byte by byte.",
    NR_SCHEMA_FIELDS(query_fields, struct nr_query_conf),
};

static const struct nr_schema_field request_fields[] = {
    {.name = "headers", .type = NR_SCHEMA_SECTION,
     NR_SCHEMA_AT(struct nr_route_request_conf, headers), .section = &fields_schema,
     .doc = "Fields that the service sees."},
    {.name = "query", .type = NR_SCHEMA_SECTION,
     NR_SCHEMA_AT(struct nr_route_request_conf, query), .section = &query_schema,
     .doc = "Parameters that the service sees."},
};

static const struct nr_schema request_schema = {
    .title = "Request transform", NR_SCHEMA_FIELDS(request_fields, struct nr_route_request_conf),
};

static const struct nr_schema_field response_fields[] = {
    {.name = "headers", .type = NR_SCHEMA_SECTION,
     NR_SCHEMA_AT(struct nr_route_response_conf, headers), .section = &fields_schema,
     .doc = "Fields that the client sees, in naru's own answers on this route, too."},
};

static const struct nr_schema response_schema = {
    .title = "Response transform", NR_SCHEMA_FIELDS(response_fields, struct nr_route_response_conf),
};

static const struct nr_schema_field target_fields[] = {
    {.name = "name", .type = NR_SCHEMA_STRING, .flags = NR_SCHEMA_REQUIRED,
     NR_SCHEMA_AT(struct nr_target_conf, name), .min = "1", .max = "64",
     .doc = "The service."},
    {.name = "weight", .type = NR_SCHEMA_U32, NR_SCHEMA_AT(struct nr_target_conf, weight),
     .value = "1", .max = "1000000",
     .doc = "Its share, in parts of the sum of all; 0: none."},
};

static const struct nr_schema target_schema = {
    .title = "Weighted service", NR_SCHEMA_FIELDS(target_fields, struct nr_target_conf),
    .shorthand = "name",
};

static const struct nr_schema_field split_fields[] = {
    {.name = "header", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_split_conf, header),
     .min = "1", .max = "128", .doc = "The field whose value decides."},
    {.name = "cookie", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_split_conf, cookie),
     .min = "1", .max = "128", .doc = "The cookie whose value decides."},
};

static const struct nr_schema split_schema = {
    .title = "Split", .doc = "Equal values get the same service as long as the weights stay.",
    NR_SCHEMA_FIELDS(split_fields, struct nr_split_conf),
};

static const struct nr_schema_word redirect_statuses[] = {
    {"301", 301, "moved for good; clients may change POST to GET"},
    {"302", 302, "found elsewhere for now; likewise"},
    {"303", 303, "see other, with GET"},
    {"307", 307, "elsewhere for now, with the same method and body"},
    {"308", 308, "moved for good, with the same method and body"},
    {NULL, 0, NULL},
};

static const struct nr_schema_field redirect_fields[] = {
    {.name = "to", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_redirect_conf, to),
     .min = "1", .max = "4096",
     .doc = "A path or a whole URL; {names} of the request are replaced. Default: the path asked for."},
    {.name = "status", .type = NR_SCHEMA_ENUM, NR_SCHEMA_AT(struct nr_redirect_conf, status),
     .value = "308", .words = redirect_statuses, .doc = "The kind of redirect."},
    {.name = "https", .type = NR_SCHEMA_BOOL, NR_SCHEMA_AT(struct nr_redirect_conf, https),
     .doc = "To https, on its usual port."},
    {.name = "host", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_redirect_conf, host),
     .min = "1", .max = "255", .doc = "To this host; a port may follow."},
    {.name = "keep_query", .type = NR_SCHEMA_BOOL, NR_SCHEMA_AT(struct nr_redirect_conf, keep_query),
     .value = "true", .doc = "The query of the request goes along."},
};

static const struct nr_schema redirect_schema = {
    .title = "Redirect", NR_SCHEMA_FIELDS(redirect_fields, struct nr_redirect_conf),
    .shorthand = "to",
};

static const struct nr_schema_field respond_fields[] = {
    {.name = "status", .type = NR_SCHEMA_U32, NR_SCHEMA_AT(struct nr_respond_conf, status),
     .value = "200", .min = "200", .max = "599", .doc = "Of the answer."},
    {.name = "body", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_respond_conf, body),
     .max = "65536", .doc = "Text, sent as it is; text/plain unless `headers` say otherwise."},
    {.name = "json", .type = NR_SCHEMA_JSON, NR_SCHEMA_AT(struct nr_respond_conf, json),
     .doc = "A JSON document instead of `body`."},
    {.name = "headers", .type = NR_SCHEMA_MAP,
     NR_SCHEMA_MANY(struct nr_respond_conf, headers, header_count), .section = &value_schema,
     .doc = "Further fields; {names} of the request are replaced."},
};

static const struct nr_schema respond_schema = {
    .title = "Direct response", NR_SCHEMA_FIELDS(respond_fields, struct nr_respond_conf),
    .shorthand = "status",
};

static const struct nr_schema_field deprecated_fields[] = {
    {.name = "since", .type = NR_SCHEMA_STRING, .flags = NR_SCHEMA_REQUIRED,
     NR_SCHEMA_AT(struct nr_deprecated_conf, since), .min = "1", .max = "20",
     .doc = "The date, as in 2026-01-31, told by `Deprecation` (RFC 9745)."},
    {.name = "sunset", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_deprecated_conf, sunset),
     .min = "1", .max = "20",
     .doc = "When it stops to work, told by `Sunset` (RFC 8594)."},
    {.name = "link", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_deprecated_conf, link),
     .min = "1", .max = "1024",
     .doc = "A page that says what to do, told by `Link` with rel=deprecation."},
};

static const struct nr_schema deprecated_schema = {
    .title = "Deprecated route", NR_SCHEMA_FIELDS(deprecated_fields, struct nr_deprecated_conf),
    .shorthand = "since",
};

static const struct nr_schema_word no_deadline[] = {
    {"none", NR_CONF_NONE, "no limit"},
    {NULL, 0, NULL},
};

static const struct nr_schema_field route_fields[] = {
    {.name = "name", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_route_conf, name),
     .min = "1", .max = "128",
     .doc = "What metrics and logs call it. Default: the path of its match."},
    {.name = "match", .type = NR_SCHEMA_SECTION, NR_SCHEMA_AT(struct nr_route_conf, match),
     .section = &match_schema,
     .doc = "Which requests take this route; a path alone will do."},
    {.name = "service", .type = NR_SCHEMA_STRING,
     NR_SCHEMA_AT(struct nr_route_conf, service), .min = "1", .max = "64",
     .doc = "The service that answers; or else services, redirect or respond."},
    {.name = "services", .type = NR_SCHEMA_SECTIONS,
     NR_SCHEMA_MANY(struct nr_route_conf, targets, target_count), .section = &target_schema,
     .doc = "Several services that share the requests by weight."},
    {.name = "split", .type = NR_SCHEMA_SECTION, .flags = NR_SCHEMA_OPTIONAL,
     NR_SCHEMA_AT(struct nr_route_conf, split), .section = &split_schema,
     .doc = "What keeps a client with the same one of `services`. Default: chance."},
    {.name = "redirect", .type = NR_SCHEMA_SECTION, .flags = NR_SCHEMA_OPTIONAL,
     NR_SCHEMA_AT(struct nr_route_conf, redirect), .section = &redirect_schema,
     .doc = "Send the client elsewhere."},
    {.name = "respond", .type = NR_SCHEMA_SECTION, .flags = NR_SCHEMA_OPTIONAL,
     NR_SCHEMA_AT(struct nr_route_conf, respond), .section = &respond_schema,
     .doc = "Answer at once, without a service."},
    {.name = "strip_prefix", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_route_conf, strip_prefix),
     .min = "1", .max = "4096",
     .doc = "Taken off the path before the service sees it."},
    {.name = "rewrite", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_route_conf, rewrite),
     .min = "1", .max = "4096",
     .doc = "The path that the service sees; {names} of the request are replaced."},
    {.name = "rewrite_host", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_route_conf, rewrite_host),
     .min = "1", .max = "255",
     .doc = "The Host that the service sees."},
    {.name = "request", .type = NR_SCHEMA_SECTION, .flags = NR_SCHEMA_OPTIONAL,
     NR_SCHEMA_AT(struct nr_route_conf, request), .section = &request_schema,
     .doc = "What changes on the way to the service."},
    {.name = "response", .type = NR_SCHEMA_SECTION, .flags = NR_SCHEMA_OPTIONAL,
     NR_SCHEMA_AT(struct nr_route_conf, response), .section = &response_schema,
     .doc = "What changes on the way back."},
    {.name = "deprecated", .type = NR_SCHEMA_SECTION, .flags = NR_SCHEMA_OPTIONAL,
     NR_SCHEMA_AT(struct nr_route_conf, deprecated), .section = &deprecated_schema,
     .doc = "Answers say that this route is on its way out."},
    {.name = "limits", .type = NR_SCHEMA_SECTIONS,
     NR_SCHEMA_MANY(struct nr_route_conf, rates, rate_count), .section = &nr_limit_entry_schema,
     .doc = "Rate limits: names of `limits`, or rates such as 100/15min; see docs/limits.md."},
    {.name = "priority", .type = NR_SCHEMA_ENUM, NR_SCHEMA_AT(struct nr_route_conf, priority),
     .value = "normal", .words = nr_priority_words,
     .doc = "Who is refused first under pressure; see gateway.shedding."},
    {.name = "enabled", .type = NR_SCHEMA_BOOL, NR_SCHEMA_AT(struct nr_route_conf, enabled),
     .value = "true", .doc = "false: a feature that is switched off; 503 with the reason feature_off."},
    {.name = "faults", .type = NR_SCHEMA_SECTIONS,
     NR_SCHEMA_MANY(struct nr_route_conf, faults, fault_count), .section = &nr_fault_schema,
     .doc = "Faults on purpose: [{ delay: 2s, percent: 10% }, { abort: 503, percent: 1% }]."},
    {.name = "deadline", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_route_conf, deadline_ns),
     .min = "1ms", .max = "24h", .words = no_deadline,
     .doc = "The whole request, retries included. Default: the deadline of the gateway."},
};

const struct nr_schema nr_route_schema = {
    .title = "Route", NR_SCHEMA_FIELDS(route_fields, struct nr_route_conf),
    .check = nr_route_check_route,
};

static const struct nr_schema_field version_fields[] = {
    {.name = "query", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_api_version_conf, query),
     .value = "version", .max = "64",
     .doc = "First: this parameter of the query, as in ?version=2; empty: not looked at."},
    {.name = "header", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_api_version_conf, header),
     .max = "64",
     .doc = "Then: this field, as in X-Api-Version: 2."},
    {.name = "accept", .type = NR_SCHEMA_BOOL, NR_SCHEMA_AT(struct nr_api_version_conf, accept),
     .value = "true",
     .doc = "Then: Accept, as in application/vnd.shop.v2+json or application/json;version=2."},
    {.name = "default", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_api_version_conf, fallback),
     .max = "32",
     .doc = "Without any of them. Default: such a request takes no route with a version."},
};

const struct nr_schema nr_api_version_schema = {
    .title = "API version",
    .doc = "How requests name the version that `match.version` is compared with; a leading 'v' is left out.",
    NR_SCHEMA_FIELDS(version_fields, struct nr_api_version_conf),
};

/* clang-format on */

uint32_t nr_route_service_count(const struct nr_route_conf *route)
{
    return route->service.len > 0 ? 1 : route->target_count;
}

struct nr_span nr_route_service_name(const struct nr_route_conf *route, uint32_t index)
{
    return route->service.len > 0 ? route->service : route->targets[index].name;
}

bool nr_route_leads_to(const struct nr_route_conf *route, struct nr_span service)
{
    for (uint32_t i = 0; i < nr_route_service_count(route); i++)
        if (nr_span_eq(nr_route_service_name(route, i), service))
            return true;
    return false;
}
