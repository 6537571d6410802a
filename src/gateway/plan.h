/* SPDX-License-Identifier: Apache-2.0 */
/* plan.h - what becomes of a request on a route that does more than pass it on.
 *
 * A route without rewrites, transforms, weighted services or an answer of its own has no plan, and
 * its requests pay one pointer test. Plans are compiled once from the configuration and immutable;
 * spans point into the configuration. Internal to src/gateway.
 *
 * Order, for a request: the service is picked, naru's own fields are set (forward.c), the path, the
 * host and the query are rewritten, then fields are removed, set and added; so the configuration
 * has the last word. For an answer: naru's fields, then Deprecation and its like, then the
 * route's. */
#ifndef NR_GATEWAY_PLAN_H
#define NR_GATEWAY_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"
#include "gateway/gateway_conf.h"
#include "gateway/regex.h"
#include "gateway/template.h"
#include "service/service_conf.h"

struct nr_request;

/* One field or parameter to be set or added. */
struct nr_plan_value {
    struct nr_span name;
    struct nr_template value;
    bool add; /* to what is there, instead of replacing it */
};

struct nr_plan_values {
    const struct nr_span *remove;
    uint32_t remove_count;
    const struct nr_plan_value *items; /* set before add */
    uint32_t count;
};

struct nr_plan_target {
    uint32_t service;
    uint64_t up_to; /* the weights up to and including this one */
};

struct nr_plan {
    const struct nr_route_conf *conf;
    const struct nr_regex *path_regex; /* whose groups templates use; NULL: none */
    bool captures;                     /* some template uses parameters, the star or groups */
    const struct nr_plan_target *targets;
    uint32_t target_count;
    uint64_t split_seed; /* of this route, so that routes split independently */
    struct nr_template rewrite;
    struct nr_template rewrite_host;
    struct nr_template redirect_to;
    struct nr_template redirect_host;
    struct nr_plan_values fields; /* towards the service */
    struct nr_plan_values query;
    struct nr_plan_values answer_fields; /* towards the client */
    struct nr_plan_values respond_fields;
    struct nr_span body; /* of a direct response */
    struct nr_span content_type;
    struct nr_span deprecation;
    struct nr_span sunset;
    struct nr_span link;
    bool vary_accept; /* the version may have come from Accept */
};

/* In plan.c. NULL for a plain route; in the arena. regex is that of the route's path, borrowed. */
struct nr_plan *nr_plan_new(const struct nr_gateway_conf *gateway,
                            const struct nr_services_conf *services,
                            const struct nr_route_conf *route, const struct nr_regex *regex,
                            struct nr_arena *arena);

/* The request has found this route: pick its service, or answer. False if it was answered. */
bool nr_plan_take(struct nr_request *request);

/* Change the head on its way to the service. False if the request was refused instead. */
bool nr_plan_request(struct nr_request *request);

/* Change the head of an answer, the service's or our own. */
void nr_plan_response(struct nr_request *request, struct nr_head *head);

/* What templates are filled in with; texts in the request's arena. */
void nr_plan_template_values(struct nr_request *request, struct nr_template_values *ret);

/* In split.c: which target, by the field or cookie of the configuration, else by chance. Equal
 * keys stay with a target while the weights before it and its own do. */
uint32_t nr_split_pick(const struct nr_plan *plan, const struct nr_head *head,
                       struct nr_random *random);

/* In rewrite.c. */
bool nr_rewrite_request(const struct nr_plan *plan, const struct nr_template_values *values,
                        struct nr_head *head, struct nr_arena *arena);

/* The target of a redirect; an empty span when what was filled in makes no valid one. */
struct nr_span nr_rewrite_location(const struct nr_plan *plan,
                                   const struct nr_template_values *values,
                                   const struct nr_head *head, struct nr_arena *arena);

/* In transform.c: remove, set and add. Returns how many values were left out because they hold a
 * character that no field may have. */
uint32_t nr_transform_fields(const struct nr_plan_values *fields,
                             const struct nr_template_values *values, struct nr_head *head,
                             struct nr_arena *arena);
void nr_transform_query(const struct nr_plan *plan, const struct nr_template_values *values,
                        struct nr_head *head, struct nr_arena *arena);

/* In respond.c: send an answer of our own. _sign adds what `head` lacks of naru's fields, _respond
 * does so, too. The body must live as long as the request. */
void nr_respond_sign(struct nr_request *request, struct nr_head *head);
void nr_respond(struct nr_request *request, struct nr_head *head, struct nr_span body);

#endif
