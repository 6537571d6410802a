/* SPDX-License-Identifier: Apache-2.0 */
/* admin.c - a request's way through the admin side: see call.h. */
#include "admin/admin.h"

#include <inttypes.h>
#include <stdlib.h>

#include "admin/call.h"
#include "base/assert.h"
#include "base/compiler.h"
#include "http/date.h"
#include "io/io.h"
#include "observe/observe_conf.h"

/* What a body may have. Whoever sends one has passed the guard. */
enum { JSON_BYTES_MAX = 64 * 1024, YAML_BYTES_MAX = 16 * 1024 * 1024 };

static void call_free(struct nr_admin_call *call)
{
    nr_strbuf_done(&call->body);
    nr_strbuf_done(&call->told);
    free(call->answer.body);
    free(call);
}

/* ---- answering ---- */

static void add_allow(struct nr_head *head, struct nr_arena *arena, uint64_t methods)
{
    struct nr_span text = {"", 0};

    if ((methods >> NR_METHOD_GET & 1) != 0)
        methods |= 1ull << NR_METHOD_HEAD;
    for (int method = NR_METHOD_GET; method < NR_METHODS; method++) {
        struct nr_span name = nr_method_name((enum nr_method)method);

        if ((methods >> method & 1) != 0)
            text = nr_arena_printf(arena, "%.*s%s%.*s", (int)text.len, text.ptr,
                                   text.len > 0 ? ", " : "", (int)name.len, name.ptr);
    }
    nr_head_add(head, arena, NR_SPAN("Allow"), text);
}

static void make_head(struct nr_admin_call *call, struct nr_head *head)
{
    const struct nr_admin_answer *answer = &call->answer;
    struct nr_arena *arena = call->x->arena;
    struct nr_date date = {0};

    nr_head_init_response(head, arena, answer->status);
    nr_head_add(head, arena, NR_SPAN("Content-Type"), answer->content_type);
    nr_head_add(head, arena, NR_SPAN("Date"),
                nr_date_text(&date, nr_io_wall_ns(call->admin->setup.io)));
    nr_head_add(head, arena, NR_SPAN("Cache-Control"), NR_SPAN("no-store"));
    nr_head_add(head, arena, NR_SPAN("X-Content-Type-Options"), NR_SPAN("nosniff"));
    nr_head_add(head, arena, NR_SPAN("X-Request-Id"), nr_span_of(call->request_id));
    if (answer->status == 405)
        add_allow(head, arena, answer->allow);
    if (answer->authenticate)
        nr_head_add(head, arena, NR_SPAN("WWW-Authenticate"), NR_SPAN("Bearer realm=\"naru\""));
    if (answer->version != 0)
        nr_head_add(head, arena, NR_SPAN("ETag"),
                    nr_arena_printf(arena, "\"%u\"", answer->version));
}

static void finish(struct nr_admin_call *call)
{
    struct nr_head head;

    nr_assert(call->answer.status != 0);
    if (call->endpoint != NULL && call->endpoint->mutates)
        nr_admin_audit(call);
    if (call->over)
        return;
    make_head(call, &head);
    nr_reply_start(&call->reply, call->x, &head,
                   (struct nr_span){call->answer.body, call->answer.len},
                   call->head != NULL && call->head->method == NR_METHOD_HEAD);
}

static void run(struct nr_admin_call *call)
{
    call->endpoint->answer(call);
    if (!call->waiting)
        finish(call);
}

void nr_admin_wait(struct nr_admin_call *call)
{
    call->waiting = true;
    nr_exchange_hold(call->x); /* its head is read when the answer comes */
}

void nr_admin_answer_now(struct nr_admin_call *call)
{
    struct nr_exchange *x = call->x;

    nr_assert(call->waiting);
    call->waiting = false;
    finish(call);
    if (call->over)
        call_free(call);
    nr_exchange_release(x);
}

/* ---- the exchange's events ---- */

static size_t body_max(const struct nr_admin_call *call)
{
    return call->endpoint->body == NR_ADMIN_YAML ? YAML_BYTES_MAX : JSON_BYTES_MAX;
}

static void refuse_size(struct nr_admin_call *call)
{
    nr_admin_problem(call, 413, "body_too_large", "the body may have %zu bytes", body_max(call));
    finish(call);
}

static void on_body(struct nr_exchange *x, bool ended)
{
    struct nr_admin_call *call = x->owner;
    struct nr_span bytes = nr_exchange_pending(x);

    if (!call->reply.started && !call->waiting) {
        if (bytes.len > body_max(call) - call->body.len) {
            refuse_size(call);
        } else {
            nr_strbuf_add(&call->body, bytes);
            if (ended)
                run(call);
        }
    }
    nr_reply_drop(x);
}

static void on_trailers(struct nr_exchange *x, struct nr_head *trailers)
{
    struct nr_admin_call *call = x->owner;

    if (!call->reply.started && !call->waiting)
        run(call);
}

static void on_writable(struct nr_exchange *x)
{
    struct nr_admin_call *call = x->owner;

    nr_reply_writable(&call->reply, x);
}

static void on_end(struct nr_exchange *x, enum nr_end end)
{
    struct nr_admin_call *call = x->owner;

    call->over = true;
    if (!call->waiting)
        call_free(call);
}

static const struct nr_exchange_events events = {
    .body = on_body,
    .trailers = on_trailers,
    .writable = on_writable,
    .end = on_end,
};

/* ---- a request begins ---- */

static struct nr_admin_call *call_new(struct nr_handler *handler, struct nr_exchange *x,
                                      const struct nr_head *head)
{
    struct nr_admin_call *call = calloc(1, sizeof(*call));
    const struct nr_peer *peer = nr_exchange_peer(x);
    uint64_t id[2];

    nr_assert(call != NULL);
    call->admin = nr_container_of(handler, struct nr_admin, handler);
    call->x = x;
    call->head = head;
    if (peer != NULL)
        nr_addr_format(&peer->addr, call->remote, sizeof(call->remote));
    for (int i = 0; i < 2; i++)
        id[i] = nr_random_u64(nr_io_random(call->admin->setup.io));
    snprintf(call->request_id, sizeof(call->request_id), "%016" PRIx64 "%016" PRIx64, id[0], id[1]);
    x->events = &events;
    x->owner = call;
    return call;
}

static void refuse_path(struct nr_admin_call *call, uint64_t allowed)
{
    if (allowed == 0) {
        nr_admin_problem(call, 404, "not_found",
                         "nothing here; /v1/openapi.json lists what there is");
        return;
    }
    nr_admin_problem(call, 405, "method_not_allowed", "this path does not know the method");
    call->answer.allow = allowed;
}

static void send_continue(struct nr_exchange *x)
{
    struct nr_head head;

    nr_head_init_response(&head, x->arena, 100);
    nr_exchange_send_head(x, &head, false);
}

static void begin(struct nr_admin_call *call, const struct nr_head *head, bool ended)
{
    uint64_t allowed = 0;

    call->endpoint = nr_admin_find((enum nr_method)head->method, nr_head_text(head, head->path),
                                   call->params, &allowed);
    if (!nr_admin_guard(call, call->endpoint != NULL && call->endpoint->open)) {
        finish(call);
    } else if (call->endpoint == NULL) {
        refuse_path(call, allowed);
        finish(call);
    } else if (!nr_admin_check_query(call) || !nr_admin_guard_body(call)) {
        finish(call);
    } else if (call->endpoint->body == NR_ADMIN_NO_BODY || ended) {
        run(call);
    } else if (head->body_length > 0 && (uint64_t)head->body_length > body_max(call)) {
        refuse_size(call);
    } else if (head->expect_continue) {
        send_continue(call->x);
    }
}

static void on_request(struct nr_handler *handler, struct nr_exchange *x, struct nr_head *head,
                       bool ended)
{
    begin(call_new(handler, x, head), head, ended);
}

static void on_refused(struct nr_handler *handler, struct nr_exchange *x, struct nr_head *head,
                       uint16_t status, const char *reason)
{
    struct nr_admin_call *call = call_new(handler, x, head);

    nr_admin_problem(call, status, reason, "the request is not HTTP as naru wants it");
    finish(call);
}

/* ---- life ---- */

struct nr_admin *nr_admin_new(const struct nr_admin_setup *setup)
{
    struct nr_admin *admin = calloc(1, sizeof(*admin));

    nr_assert(admin != NULL && setup->sources.observe != NULL);
    admin->handler = (struct nr_handler){on_request, on_refused};
    admin->setup = *setup;
    admin->setup.sources.gateway = setup->gateway;
    admin->phase = NR_ADMIN_STARTING;
    if (setup->token != NULL)
        admin->token = *setup->token;
    admin->setup.token = NULL;
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

bool nr_admin_set_config(struct nr_admin *admin, struct nr_config *config,
                         const struct nr_admin_token *token)
{
    admin->setup.config = config;
    admin->setup.metrics = nr_observe_conf_of(config)->metrics;
    if (token->len == 0 && !admin->setup.local)
        return false;
    admin->token = *token;
    return true;
}

bool nr_admin_has_token(const struct nr_admin *admin)
{
    return admin->token.len > 0;
}

void nr_admin_set_phase(struct nr_admin *admin, enum nr_admin_phase phase)
{
    admin->phase = phase;
}
