/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/admin.h"

#include <stdlib.h>

#include "admin/pages.h"
#include "base/assert.h"
#include "base/compiler.h"
#include "codec/uri.h"
#include "http/date.h"
#include "http/reply.h"
#include "io/io.h"
#include "observe/observe_conf.h"

/* One request; lives in the exchange's arena. */
struct exchange {
    struct nr_reply reply;
    char *body; /* owned */
};

bool nr_admin_host_allowed(struct nr_span authority)
{
    struct nr_span host, port;
    struct nr_addr addr;
    char text[80];
    int len;

    if (authority.len == 0)
        return true; /* HTTP/1.0 without Host: no browser sends that */
    nr_uri_split_authority(authority, &host, &port);
    if (nr_span_eq_nocase(host, NR_SPAN("localhost")))
        return true;
    if (host.len == 0 || host.len > 60)
        return false;
    if (host.ptr[0] == '[' || memchr(host.ptr, ':', host.len) == NULL)
        len = snprintf(text, sizeof(text), "%.*s:1", (int)host.len, host.ptr);
    else
        len = snprintf(text, sizeof(text), "[%.*s]:1", (int)host.len, host.ptr);
    return len < (int)sizeof(text) && text[0] != '*' && nr_addr_parse(text, &addr, NULL) == NR_OK &&
           (addr.family == NR_ADDR_V4 || addr.family == NR_ADDR_V6);
}

static void on_body(struct nr_exchange *x, bool ended)
{
    nr_reply_drop(x);
}

static void on_trailers(struct nr_exchange *x, struct nr_head *trailers)
{
}

static void on_writable(struct nr_exchange *x)
{
    struct exchange *mine = x->owner;

    nr_reply_writable(&mine->reply, x);
}

static void on_end(struct nr_exchange *x, enum nr_end end)
{
    struct exchange *mine = x->owner;

    free(mine->body);
}

static const struct nr_exchange_events events = {
    .body = on_body,
    .trailers = on_trailers,
    .writable = on_writable,
    .end = on_end,
};

static void answer(struct nr_admin *admin, struct nr_exchange *x, const struct nr_head *request,
                   struct nr_admin_answer *with)
{
    struct exchange *mine = nr_arena_zalloc(x->arena, sizeof(*mine));
    struct nr_date date = {0};
    struct nr_head head;

    x->events = &events;
    x->owner = mine;
    mine->body = with->body;
    nr_head_init_response(&head, x->arena, with->status);
    nr_head_add(&head, x->arena, NR_SPAN("Content-Type"), with->content_type);
    nr_head_add(&head, x->arena, NR_SPAN("Date"),
                nr_date_text(&date, nr_io_wall_ns(admin->setup.io)));
    nr_head_add(&head, x->arena, NR_SPAN("Cache-Control"), NR_SPAN("no-store"));
    nr_head_add(&head, x->arena, NR_SPAN("X-Content-Type-Options"), NR_SPAN("nosniff"));
    if (with->allow.len > 0)
        nr_head_add(&head, x->arena, NR_SPAN("Allow"), with->allow);
    nr_reply_start(&mine->reply, x, &head, (struct nr_span){with->body, with->len},
                   request->method == NR_METHOD_HEAD);
}

static void on_request(struct nr_handler *handler, struct nr_exchange *x, struct nr_head *head,
                       bool ended)
{
    struct nr_admin *admin = nr_container_of(handler, struct nr_admin, handler);
    struct nr_admin_answer with;

    nr_admin_answer(admin, head, &with);
    answer(admin, x, head, &with);
}

static void on_refused(struct nr_handler *handler, struct nr_exchange *x, struct nr_head *head,
                       uint16_t status, const char *reason)
{
    struct nr_admin *admin = nr_container_of(handler, struct nr_admin, handler);
    struct nr_admin_answer with = {0};

    nr_admin_problem(&with, status, reason, "the request is not HTTP as naru wants it");
    answer(admin, x, head, &with);
}

struct nr_admin *nr_admin_new(const struct nr_admin_setup *setup)
{
    struct nr_admin *admin = calloc(1, sizeof(*admin));

    nr_assert(admin != NULL && setup->sources.observe != NULL);
    admin->handler = (struct nr_handler){on_request, on_refused};
    admin->setup = *setup;
    admin->phase = NR_ADMIN_STARTING;
    return admin;
}

void nr_admin_free(struct nr_admin *admin)
{
    free(admin);
}

struct nr_handler *nr_admin_handler(struct nr_admin *admin)
{
    return &admin->handler;
}

void nr_admin_set_config(struct nr_admin *admin, struct nr_config *config)
{
    admin->setup.config = config;
    admin->setup.metrics = nr_observe_conf_of(config)->metrics;
}

void nr_admin_set_phase(struct nr_admin *admin, enum nr_admin_phase phase)
{
    admin->phase = phase;
}
