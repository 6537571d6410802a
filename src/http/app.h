/* SPDX-License-Identifier: Apache-2.0 */
/* app.h - behind include/naru/service.h. Internal to src/http.
 *
 *   request() --no route, too large--> answer of our own --.
 *       '--body whole--> WORKING on the pool --> answer ---+--> end: freed
 *
 * While WORKING the handler's thread owns everything but `over`; the exchange is held, because its
 * head is read, and if the client leaves meanwhile the request is freed when the work is done. */
#ifndef NR_HTTP_APP_H
#define NR_HTTP_APP_H

#include "base/arena.h"
#include "http/date.h"
#include "http/reply.h"
#include "http/server.h"
#include "io/io.h"
#include "naru/service.h"

struct nr_app_entry {
    struct nr_span method;
    struct nr_span path; /* pattern */
    nr_app_handler handler;
    void *ctx;
};

struct nr_app {
    struct nr_app_entry *routes;
    uint32_t route_count;
    uint32_t threads;
    size_t body_bytes_max;

    /* While it runs. */
    struct nr_handler handler;
    struct nr_io *io;
    struct nr_listener *listener;
    struct nr_server *server;
    struct nr_signal signals[2];
    struct nr_timer drain_limit;
    struct nr_timer settle;
    struct nr_date date;
    bool draining;
};

struct nr_app_field {
    struct nr_app_field *next;
    struct nr_span name;
    struct nr_span value;
};

struct nr_app_request {
    struct nr_app *app;
    struct nr_exchange *x;
    const struct nr_head *head;
    const struct nr_app_entry *route;
    struct nr_work work;
    struct nr_reply reply;
    struct nr_arena memory; /* of the handler */
    char *body;
    size_t body_len, body_cap;
    bool working;
    bool over;

    uint16_t status; /* 0: not set */
    struct nr_app_field *fields;
    struct nr_app_field **last_field;
    struct nr_span content_type;
    struct nr_span answer;
};

/* Does the pattern fit the path? name, if not NULL: set *ret_value to what {name} took. */
bool nr_app_path_match(struct nr_span pattern, struct nr_span path, const char *name,
                       struct nr_span *ret_value);

/* Percent-decode into the arena; plus: '+' is a space. */
struct nr_span nr_app_decode(struct nr_arena *arena, struct nr_span text, bool plus);

/* An answer of our own: problem+json. */
void nr_app_problem(struct nr_app_request *request, uint16_t status, const char *reason);

#endif
