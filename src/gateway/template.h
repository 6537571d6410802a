/* SPDX-License-Identifier: Apache-2.0 */
/* template.h - text with variables of the request: "/v2/users/{id}", "{client_ip}".
 *
 * Compiled when the configuration is loaded, so that an unknown name is an error there; filling one
 * in only copies. "{{" and "}}" are braces. Variables:
 *
 *   {client_ip} {request_id} {method} {scheme} {host} {authority} {path} {query} {route} {service}
 *   {NAME}        a parameter of the route's path; {*} what its star took
 *   {NAME} {1}    a group of the route's path_regex
 *   {header:NAME} {query:NAME} {cookie:NAME}
 *
 * What is not there is empty. Where the text becomes part of a URI, what a client sent in fields,
 * cookies and the query is percent-encoded, so that it stays within its place. */
#ifndef NR_GATEWAY_TEMPLATE_H
#define NR_GATEWAY_TEMPLATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "codec/head.h"
#include "gateway/pattern.h"
#include "gateway/regex.h"
#include "naru/err.h"
#include "naru/span.h"

enum nr_template_use {
    NR_TEMPLATE_FIELD, /* the value of a field: as it is */
    NR_TEMPLATE_URI,   /* a path, or a whole reference; behind a '?' as QUERY */
    NR_TEMPLATE_QUERY, /* one name or value of a query */
};

struct nr_template_part {
    uint8_t kind;   /* private */
    uint8_t use;    /* enum nr_template_use */
    uint16_t index; /* of the parameter or group */
    struct nr_span text;
};

struct nr_template {
    const struct nr_template_part *parts; /* NULL: not configured */
    uint32_t count;
    bool variable; /* has variables */
};

/* What names may refer to: the path pattern and the regular expression of the route. */
struct nr_template_scope {
    struct nr_span pattern;
    const struct nr_regex *regex; /* NULL: none */
};

/* parts and texts are made in the arena. */
enum nr_code nr_template_compile(struct nr_span text, enum nr_template_use use,
                                 const struct nr_template_scope *scope, struct nr_arena *arena,
                                 struct nr_template *ret_template, struct nr_err *err) NR_MUST_USE;

struct nr_template_values {
    const struct nr_head *head; /* the request's */
    struct nr_span path;        /* as received, canonical */
    struct nr_span client_ip;
    struct nr_span request_id;
    struct nr_span scheme;
    struct nr_span route;
    struct nr_span service;
    struct nr_captures captures;
    struct nr_span groups[NR_REGEX_GROUPS_MAX];
};

/* The text; in the arena, or a span of the values or of the template. */
struct nr_span nr_template_fill(const struct nr_template *template,
                                const struct nr_template_values *values, struct nr_arena *arena);

#endif
