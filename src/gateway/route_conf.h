/* SPDX-License-Identifier: Apache-2.0 */
/* route_conf.h - one route as loaded: which requests it takes, what becomes of them, who answers.
 *
 * Immutable, owned by the snapshot (config/config.h): every pointer and span here lives as long as
 * the reference to it. Spans are NUL-terminated; a span whose ptr is NULL was not written. */
#ifndef NR_GATEWAY_ROUTE_CONF_H
#define NR_GATEWAY_ROUTE_CONF_H

#include <stdint.h>

#include "config/schema.h"
#include "gateway/limit_conf.h"
#include "gateway/shed_conf.h"
#include "naru/span.h"
#include "service/fault_conf.h"

/* One header, query parameter or cookie that must be there; exactly one of the four is written. */
struct nr_condition_conf {
    struct nr_section at;
    struct nr_span name;
    struct nr_span exact;
    struct nr_span prefix;
    struct nr_span regex;
    bool present; /* false: must be absent */
};

struct nr_match_conf {
    struct nr_section at;
    struct nr_span *hosts; /* lower case; "*.example.com" matches below; none: any host */
    uint32_t host_count;
    struct nr_span path;       // pattern.h: "/a" exact; "/a/*" below it and "/a" itself; "/*" all
    struct nr_span path_regex; /* all of the path must match, too; empty: none */
    uint64_t methods;          /* bit 1 << enum nr_method; 0: any. GET allows HEAD */
    struct nr_condition_conf *headers;
    uint32_t header_count;
    struct nr_condition_conf *query;
    uint32_t query_count;
    struct nr_condition_conf *cookies;
    uint32_t cookie_count;
    struct nr_span version; /* without a leading 'v'; empty: any */
};

/* A name and what it becomes. */
struct nr_value_conf {
    struct nr_section at;
    struct nr_span name;
    struct nr_span value; /* a template, or the new name */
};

struct nr_fields_conf {
    struct nr_section at;
    struct nr_value_conf *set;
    uint32_t set_count;
    struct nr_value_conf *add;
    uint32_t add_count;
    struct nr_span *remove;
    uint32_t remove_count;
};

struct nr_query_conf {
    struct nr_section at;
    struct nr_value_conf *set;
    uint32_t set_count;
    struct nr_value_conf *add;
    uint32_t add_count;
    struct nr_span *remove;
    uint32_t remove_count;
    struct nr_value_conf *rename;
    uint32_t rename_count;
};

struct nr_route_request_conf {
    struct nr_section at;
    struct nr_fields_conf headers;
    struct nr_query_conf query;
};

struct nr_route_response_conf {
    struct nr_section at;
    struct nr_fields_conf headers;
};

struct nr_target_conf {
    struct nr_section at;
    struct nr_span name; /* of a service */
    uint32_t weight;
};

/* By what the choice among weighted services is stable; one of the two is written. */
struct nr_split_conf {
    struct nr_section at;
    struct nr_span header;
    struct nr_span cookie;
};

struct nr_redirect_conf {
    struct nr_section at;
    struct nr_span to; /* template: a path, or a whole reference; empty: the request's path */
    uint32_t status;
    bool https;
    struct nr_span host; /* template; empty: the request's */
    bool keep_query;
};

struct nr_respond_conf {
    struct nr_section at;
    uint32_t status;
    struct nr_span body;
    const struct nr_node *json; /* NULL: none */
    struct nr_value_conf *headers;
    uint32_t header_count;
};

struct nr_deprecated_conf {
    struct nr_section at;
    struct nr_span since; /* dates: 2026-01-31 */
    struct nr_span sunset;
    struct nr_span link;
};

struct nr_route_conf {
    struct nr_section at;
    struct nr_span name; // as written, else the path of its match: "/api/orders/*"
    struct nr_match_conf match;
    struct nr_span service;         /* exists: checked at load; empty when one of the next stands */
    struct nr_target_conf *targets; /* weighted services */
    uint32_t target_count;
    struct nr_split_conf *split; /* NULL: by chance */
    struct nr_redirect_conf *redirect;
    struct nr_respond_conf *respond;
    struct nr_span strip_prefix; /* without a trailing slash; empty: nothing is stripped */
    struct nr_span rewrite;      /* template of the path; empty: none */
    struct nr_span rewrite_host; /* template; empty: none */
    struct nr_route_request_conf *request;   /* NULL: as it is */
    struct nr_route_response_conf *response; /* NULL: as it is */
    struct nr_deprecated_conf *deprecated;   /* NULL: it isn't */
    struct nr_rate_limit_conf *rates;        /* `limits` */
    uint32_t rate_count;
    uint32_t priority; /* enum nr_criticality */
    bool enabled;
    struct nr_fault_conf *faults;
    uint32_t fault_count;
    uint64_t deadline_ns; /* the route's own, or the gateway's; never 0; NR_CONF_NONE: none */
};

/* How requests name the version of the API that they want. */
struct nr_api_version_conf {
    struct nr_section at;
    struct nr_span query;
    struct nr_span header;
    bool accept;
    struct nr_span fallback;
};

/* Of the gateway's list `routes`, and of `api_version`. */
extern const struct nr_schema nr_route_schema;
extern const struct nr_schema nr_api_version_schema;

/* The services that may answer: `service`, or those of `services`; none for a redirect and the
 * like. */
uint32_t nr_route_service_count(const struct nr_route_conf *route);
struct nr_span nr_route_service_name(const struct nr_route_conf *route, uint32_t index);
bool nr_route_leads_to(const struct nr_route_conf *route, struct nr_span service);

/* In route_check.c: rules within one match and one route, for the schema. */
void nr_route_check_condition(void *section, struct nr_arena *arena, struct nr_diags *diags);
void nr_route_check_match(void *section, struct nr_arena *arena, struct nr_diags *diags);
void nr_route_check_route(void *section, struct nr_arena *arena, struct nr_diags *diags);

/* "2026-01-31" or "2026-01-31T12:00:00Z" → seconds since the epoch; false for anything else. */
bool nr_route_date(struct nr_span text, int64_t *ret_s);

#endif
