/* SPDX-License-Identifier: Apache-2.0 */
/* pages.h - what stands behind each path of the admin surface. Internal to src/admin. */
#ifndef NR_ADMIN_PAGES_H
#define NR_ADMIN_PAGES_H

#include "admin/admin.h"
#include "codec/head.h"

struct nr_admin {
    struct nr_handler handler;
    struct nr_admin_setup setup;
    enum nr_admin_phase phase;
};

/* An answer: whoever makes one hands over the body. */
struct nr_admin_answer {
    uint16_t status;
    struct nr_span content_type; /* a constant */
    struct nr_span allow;        /* with 405 */
    char *body;                  /* malloc'ed */
    size_t len;
};

/* Answer a request for path and query. Always fills *ret. */
void nr_admin_answer(struct nr_admin *admin, const struct nr_head *head,
                     struct nr_admin_answer *ret);

/* problem+json (RFC 9457). */
void nr_admin_problem(struct nr_admin_answer *ret, uint16_t status, const char *reason,
                      const char *detail);

/* The value of a parameter in a query, as it stands; an empty span if there is none. */
struct nr_span nr_admin_param(struct nr_span query, struct nr_span name);

#endif
