/* SPDX-License-Identifier: Apache-2.0 */
/* explain.h - routes for people: which one a request takes and why the others do not, and all of
 * them in the order in which they are asked. By the router's own code; any thread. */
#ifndef NR_GATEWAY_EXPLAIN_H
#define NR_GATEWAY_EXPLAIN_H

#include "base/json.h"
#include "base/strbuf.h"
#include "gateway/routes.h"
#include "naru/err.h"

/* Ask on paper. request: "GET http://host/path", or a URL or a path alone; fields: "Name: value".
 *
 *     verdict     "route", "no_route", "method_not_allowed"
 *     path        canonical
 *     route, index, file, line, answer     of the winner
 *     allow       with method_not_allowed
 *     candidates  in the order in which they are asked: route, index, line, outcome, why
 *     more        so many more candidates
 *
 * NR_EINVAL: not a request that the gateway would take, and err says why. The caller frees. */
enum nr_code nr_routes_explain(const struct nr_routes *routes, const char *request,
                               const struct nr_span *fields, uint32_t count,
                               struct nr_json **ret_json, struct nr_err *err) NR_MUST_USE;

/* "service orders", "redirect with 308". */
void nr_route_describe(const struct nr_route_conf *route, struct nr_strbuf *to);

/* "GET, POST" */
void nr_methods_text(uint64_t methods, struct nr_strbuf *to);

/* In route_order.c: one route under one of its hosts. */
struct nr_route_place {
    uint32_t route;      /* index */
    struct nr_span host; /* empty: any */
};

/* All of them so that of two which would both take a request the first does; malloc'ed. A route
 * with several hosts is there once for each. */
struct nr_route_place *nr_routes_order(const struct nr_routes *routes, uint32_t *ret_count);

#endif
