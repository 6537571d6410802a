/* SPDX-License-Identifier: Apache-2.0 */
/* call.h - one request to the admin side, and the table of what may be asked. Internal to
 * src/admin.
 *
 *   request --guard--> found in the table --> parameters --> body, if it takes one --> answer
 *      '--- refused: 401 403 404 405 413 415 421 --'----- 400 -----'                     '-> ended
 *
 * An endpoint's function fills call->answer before it returns, or it calls nr_admin_wait and
 * answers later, once, with nr_admin_answer_now; the client may have left meanwhile. Whatever
 * changes something, or would have, leaves one line in the log when it is answered (audit.c).
 *
 * Dispatch, the checks of parameters and bodies, and the OpenAPI document are all made from the one
 * table of endpoints.c, so they cannot disagree. */
#ifndef NR_ADMIN_CALL_H
#define NR_ADMIN_CALL_H

#include "admin/admin.h"
#include "admin/token.h"
#include "base/json.h"
#include "base/strbuf.h"
#include "codec/head.h"
#include "http/reply.h"

struct nr_admin_call;

/* ---- what things look like ---- */

enum nr_admin_type {
    NR_ADMIN_STRING,
    NR_ADMIN_INTEGER,
    NR_ADMIN_NUMBER,
    NR_ADMIN_BOOL,
    NR_ADMIN_OBJECT,  /* of `shape`; without one: any */
    NR_ADMIN_LIST,    /* of objects of `shape` */
    NR_ADMIN_STRINGS, /* list of strings */
};

struct nr_admin_shape;

/* A member of an object, or a parameter of a query. */
struct nr_admin_field {
    const char *name;
    enum nr_admin_type type;
    bool optional;
    bool nullable;
    const char *const *words; /* the only strings allowed, ended by NULL; NULL: any */
    int64_t min, max;         /* of an integer in a request; both 0: any */
    const struct nr_admin_shape *shape;
    const char *doc;
};

struct nr_admin_shape {
    const char *name;
    const char *doc;
    const struct nr_admin_field *fields;
    uint32_t count;
};

/* ---- endpoints ---- */

enum nr_admin_body {
    NR_ADMIN_NO_BODY,
    NR_ADMIN_JSON, /* of the endpoint's shape `takes` */
    NR_ADMIN_YAML, /* a configuration */
};

struct nr_admin_endpoint {
    enum nr_method method; /* GET is HEAD, too */
    const char *path;      /* gateway/pattern.h; a star is the parameter `tail` */
    const char *tail;
    const char *id; /* of the operation, for generated clients */
    const char *summary;
    void (*answer)(struct nr_admin_call *call);
    bool open;    /* asks for no token */
    bool mutates; /* audited */
    bool if_match;
    uint16_t gives_status; /* 0: 200 */
    const struct nr_admin_field *query;
    uint32_t query_count;
    enum nr_admin_body body;
    const struct nr_admin_shape *takes;
    const struct nr_admin_shape *gives; /* NULL: text of the type `gives_type` */
    const char *gives_type;
    const char *problems; /* "404 409": what else it may answer of its own accord */
};

extern const struct nr_admin_endpoint nr_admin_endpoints[];
extern const uint32_t nr_admin_endpoint_count;

/* The endpoint for method and path, its parameters set in params (spans into path, not decoded).
 * NULL: *ret_allowed has the methods that the path knows, bit 1 << enum nr_method; 0: no such
 * path. */
enum { NR_ADMIN_PARAMS_MAX = 2 };
const struct nr_admin_endpoint *nr_admin_find(enum nr_method method, struct nr_span path,
                                              struct nr_span params[NR_ADMIN_PARAMS_MAX],
                                              uint64_t *ret_allowed);

/* The whole surface as OpenAPI 3.1; the caller frees. */
struct nr_json *nr_admin_openapi(const char *version);

/* ---- a request ---- */

struct nr_admin {
    struct nr_handler handler;
    struct nr_admin_setup setup;
    enum nr_admin_phase phase;
    struct nr_admin_token token;
    struct {
        uint64_t done, refused; /* changes */
        uint64_t second;        /* in which strangers' lines are counted */
        uint32_t lines;
        uint32_t left_out; /* since the last line that was written */
    } audit;
};

struct nr_admin_answer {
    uint16_t status;
    struct nr_span content_type; /* a constant */
    uint64_t allow;              /* with 405: methods */
    uint32_t version;            /* of the configuration, as ETag; 0: none */
    bool authenticate;           /* with 401 */
    char *body;                  /* malloc'ed, ours */
    size_t len;
    const char *reason; /* of a problem, a constant; for the audit */
};

struct nr_admin_call {
    struct nr_admin *admin;
    const struct nr_admin_endpoint *endpoint; /* NULL: refused before it was found */
    struct nr_exchange *x;
    const struct nr_head *head; /* in the exchange's arena */
    struct nr_span params[NR_ADMIN_PARAMS_MAX];
    struct nr_strbuf body;
    struct nr_admin_answer answer;
    struct nr_strbuf told; /* what was done, for the audit: "draining: true; weight: 3" */
    struct nr_reply reply;
    char remote[NR_ADDR_TEXT_BYTES];
    char request_id[33];
    char print[9]; /* of the token that it came with, which the call itself may change */
    bool known;    /* showed the token */
    bool waiting;  /* an answer comes later */
    bool over;     /* the exchange has ended */
    void *own;     /* an endpoint's that waits */
};

/* ---- for endpoints: answering ---- */

/* Takes json over. */
void nr_admin_json(struct nr_admin_call *call, uint16_t status, struct nr_json *json);

/* problem+json (RFC 9457). reason is a constant. */
void nr_admin_problem(struct nr_admin_call *call, uint16_t status, const char *reason,
                      const char *detail, ...) __attribute__((format(printf, 4, 5)));

/* The same, with more members: takes `more`, an object, over. */
void nr_admin_problem_with(struct nr_admin_call *call, struct nr_json *more, uint16_t status,
                           const char *reason, const char *detail, ...)
    __attribute__((format(printf, 5, 6)));

/* The answer is not there yet. */
void nr_admin_wait(struct nr_admin_call *call);
/* … and now it is: call is gone when this returns, or when its exchange ends. */
void nr_admin_answer_now(struct nr_admin_call *call);

/* ---- for endpoints: asking ---- */

/* A parameter of the path by its number, decoded; in the exchange's arena, NUL-terminated. */
struct nr_span nr_admin_path_param(const struct nr_admin_call *call, uint32_t number);

/* The first parameter of that name, or the one after `after` of them, decoded likewise; ptr NULL:
 * none. */
struct nr_span nr_admin_query(const struct nr_admin_call *call, const char *name, uint32_t after);
bool nr_admin_query_bool(const struct nr_admin_call *call, const char *name);
int64_t nr_admin_query_integer(const struct nr_admin_call *call, const char *name,
                               int64_t otherwise);

/* If-Match: "7". False: it says something else than one version; then a problem is answered. 0 when
 * there is none. */
bool nr_admin_if_match(struct nr_admin_call *call, uint32_t *ret_version);

/* The body as an object of the endpoint's shape, or NULL when it is none; then a problem is
 * answered. The caller frees. */
struct nr_json *nr_admin_body_json(struct nr_admin_call *call);

/* What the body says is what the audit line says was changed. */
void nr_admin_tell_body(struct nr_admin_call *call, const struct nr_json *body);

/* 404: nothing is called so; with what was probably meant. `what` is "service", the reason
 * "unknown_service". name_of(ctx, i) for i below count are the names that there are. */
void nr_admin_unknown(struct nr_admin_call *call, const char *what, const char *reason,
                      struct nr_span name, uint32_t count,
                      struct nr_span (*name_of)(const void *ctx, uint32_t i), const void *ctx);

/* What true, false or null of a member says. NULL: nothing. */
enum nr_said nr_admin_said(const struct nr_json *value);

/* ---- the stages ---- */

/* guard.c: may this client speak at all? And: may it speak this way? Else a problem is answered. */
bool nr_admin_guard(struct nr_admin_call *call, bool open);
bool nr_admin_guard_body(struct nr_admin_call *call);

/* query.c: are all parameters of the query known and sound? Else a problem is answered. */
bool nr_admin_check_query(struct nr_admin_call *call);

/* audit.c */
void nr_admin_audit(const struct nr_admin_call *call);
uint32_t nr_admin_config_now(const struct nr_admin *admin); /* version in force; 0: none */

#endif
