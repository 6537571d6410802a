/* SPDX-License-Identifier: Apache-2.0 */
#include "http/app.h"

#include <signal.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "io/epoll.h"

enum {
    THREADS_DEFAULT = 16,
    THREADS_MAX = 64,
    BODY_BYTES_DEFAULT = 1024 * 1024,
    FIRST_BODY_BYTES = 4096,
};

static const uint64_t drain_limit_ns = 10000000000u;
static const uint64_t settle_ns = 1000000;

/* ---- answering ---- */

static void request_free(struct nr_app_request *request)
{
    nr_arena_done(&request->memory);
    free(request->body);
    free(request);
}

static void send_answer(struct nr_app_request *request)
{
    struct nr_exchange *x = request->x;
    struct nr_app *app = request->app;
    struct nr_head head;
    uint16_t status = request->status;

    if (status == 0)
        status = request->content_type.len > 0 ? 200 : 204;
    nr_head_init_response(&head, x->arena, status);
    if (request->content_type.len > 0 && status != 204)
        nr_head_add(&head, x->arena, NR_SPAN("Content-Type"), request->content_type);
    nr_head_add(&head, x->arena, NR_SPAN("Date"), nr_date_text(&app->date, nr_io_wall_ns(app->io)));
    for (const struct nr_app_field *field = request->fields; field != NULL; field = field->next)
        nr_head_add(&head, x->arena, field->name, field->value);
    nr_reply_start(&request->reply, x, &head, request->answer,
                   request->head != NULL && request->head->method == NR_METHOD_HEAD);
}

void nr_app_problem(struct nr_app_request *request, uint16_t status, const char *reason)
{
    struct nr_span title = nr_status_phrase(status);

    request->status = status;
    nr_app_reply(request, "application/problem+json",
                 nr_span_of(nr_app_printf(request,
                                          "{\"type\":\"about:blank\",\"title\":\"%.*s\","
                                          "\"status\":%u,\"reason\":\"%s\"}\n",
                                          (int)title.len, title.ptr, status, reason)));
    send_answer(request);
}

/* ---- work ---- */

static void run_handler(struct nr_work *work)
{
    struct nr_app_request *request = nr_container_of(work, struct nr_app_request, work);

    request->route->handler(request, request->route->ctx);
}

static void handler_done(struct nr_op *op)
{
    struct nr_work *work = nr_container_of(op, struct nr_work, op);
    struct nr_app_request *request = nr_container_of(work, struct nr_app_request, work);
    struct nr_exchange *x = request->x;

    request->working = false;
    if (request->over) {
        request_free(request);
        nr_exchange_release(x);
        return;
    }
    if (op->result == NR_OK)
        send_answer(request);
    else
        nr_app_problem(request, 503, "overloaded");
    nr_exchange_release(x);
}

static const struct nr_op_kind work_kind = {handler_done, "app.handler"};

static void start_work(struct nr_app_request *request)
{
    nr_exchange_hold(request->x);
    request->working = true;
    request->work.run = run_handler;
    nr_op_init(&request->work.op, &work_kind);
    nr_io_work(request->app->io, &request->work);
}

/* ---- the exchange's events ---- */

/* Keep the bytes; false: they are more than the service takes. */
static bool take_body(struct nr_app_request *request, struct nr_span bytes)
{
    size_t cap = request->body_cap > 0 ? request->body_cap : FIRST_BODY_BYTES;

    if (bytes.len > request->app->body_bytes_max - request->body_len)
        return false;
    while (cap < request->body_len + bytes.len)
        cap *= 2;
    if (cap > request->body_cap) {
        request->body = realloc(request->body, cap);
        nr_assert(request->body != NULL);
        request->body_cap = cap;
    }
    if (bytes.len > 0)
        memcpy(request->body + request->body_len, bytes.ptr, bytes.len);
    request->body_len += bytes.len;
    return true;
}

static void on_body(struct nr_exchange *x, bool ended)
{
    struct nr_app_request *request = x->owner;

    if (!request->reply.started && !take_body(request, nr_exchange_pending(x)))
        nr_app_problem(request, 413, "body_too_large");
    nr_reply_drop(x);
    if (ended && !request->reply.started)
        start_work(request);
}

static void on_trailers(struct nr_exchange *x, struct nr_head *trailers)
{
    struct nr_app_request *request = x->owner;

    if (!request->reply.started)
        start_work(request);
}

static void on_writable(struct nr_exchange *x)
{
    struct nr_app_request *request = x->owner;

    nr_reply_writable(&request->reply, x);
}

static void on_end(struct nr_exchange *x, enum nr_end end)
{
    struct nr_app_request *request = x->owner;

    request->over = true;
    if (!request->working)
        request_free(request);
}

static const struct nr_exchange_events events = {
    .body = on_body,
    .trailers = on_trailers,
    .writable = on_writable,
    .end = on_end,
};

static struct nr_app_request *request_new(struct nr_handler *handler, struct nr_exchange *x,
                                          const struct nr_head *head)
{
    struct nr_app_request *request = calloc(1, sizeof(*request));

    nr_assert(request != NULL);
    request->app = nr_container_of(handler, struct nr_app, handler);
    request->x = x;
    request->head = head;
    request->last_field = &request->fields;
    nr_arena_init(&request->memory, NULL, 0);
    x->events = &events;
    x->owner = request;
    return request;
}

/* HEAD is GET without the body: RFC 9110, 9.3.2. */
static bool method_fits(const struct nr_app_entry *route, const struct nr_head *head)
{
    return nr_span_eq(route->method, nr_head_text(head, head->method_name)) ||
           (head->method == NR_METHOD_HEAD && nr_span_eq(route->method, NR_SPAN("GET")));
}

static const struct nr_app_entry *find_route(const struct nr_app *app, const struct nr_head *head,
                                             bool *ret_path_known)
{
    *ret_path_known = false;
    for (uint32_t i = 0; i < app->route_count; i++) {
        if (!nr_app_path_match(app->routes[i].path, nr_head_text(head, head->path), NULL, NULL))
            continue;
        *ret_path_known = true;
        if (method_fits(&app->routes[i], head))
            return &app->routes[i];
    }
    return NULL;
}

static void send_continue(struct nr_exchange *x)
{
    struct nr_head head;

    nr_head_init_response(&head, x->arena, 100);
    nr_exchange_send_head(x, &head, false);
}

/* A 405 must say what would do: RFC 9110, 15.5.6. */
static void refuse_method(struct nr_app_request *request)
{
    const struct nr_app *app = request->app;
    const char *allow = "";

    for (uint32_t i = 0; i < app->route_count; i++)
        if (nr_app_path_match(app->routes[i].path, nr_app_path(request), NULL, NULL))
            allow = nr_app_printf(request, "%s%s%.*s", allow, allow[0] != '\0' ? ", " : "",
                                  (int)app->routes[i].method.len, app->routes[i].method.ptr);
    if (nr_app_add_header(request, "Allow", nr_span_of(allow)) == NR_OK)
        nr_app_problem(request, 405, "method_not_allowed");
    else
        nr_app_problem(request, 404, "no_route");
}

static void on_request(struct nr_handler *handler, struct nr_exchange *x, struct nr_head *head,
                       bool ended)
{
    struct nr_app_request *request = request_new(handler, x, head);
    bool path_known;

    request->route = find_route(request->app, head, &path_known);
    if (request->route == NULL) {
        if (path_known)
            refuse_method(request);
        else
            nr_app_problem(request, 404, "no_route");
        return;
    }
    if (head->body_length > 0 && (uint64_t)head->body_length > request->app->body_bytes_max) {
        nr_app_problem(request, 413, "body_too_large");
        return;
    }
    if (ended) {
        start_work(request);
        return;
    }
    if (head->expect_continue)
        send_continue(x);
}

static void on_refused(struct nr_handler *handler, struct nr_exchange *x, struct nr_head *head,
                       uint16_t status, const char *reason)
{
    nr_app_problem(request_new(handler, x, head), status, reason);
}

/* ---- life ---- */

struct nr_app *nr_app_new(void)
{
    struct nr_app *app = calloc(1, sizeof(*app));

    nr_assert(app != NULL);
    app->threads = THREADS_DEFAULT;
    app->body_bytes_max = BODY_BYTES_DEFAULT;
    app->handler = (struct nr_handler){on_request, on_refused};
    return app;
}

void nr_app_free(struct nr_app *app)
{
    if (app == NULL)
        return;
    free(app->routes);
    free(app);
}

void nr_app_route(struct nr_app *app, const char *method, const char *path, nr_app_handler handler,
                  void *ctx)
{
    nr_assert(path[0] == '/' && handler != NULL && app->io == NULL);
    app->routes = realloc(app->routes, (app->route_count + 1) * sizeof(*app->routes));
    nr_assert(app->routes != NULL);
    app->routes[app->route_count++] =
        (struct nr_app_entry){nr_span_of(method), nr_span_of(path), handler, ctx};
}

void nr_app_set_threads(struct nr_app *app, uint32_t threads)
{
    app->threads = threads < 1 ? 1 : threads > THREADS_MAX ? THREADS_MAX : threads;
}

void nr_app_set_body_max(struct nr_app *app, size_t bytes)
{
    app->body_bytes_max = bytes;
}

/* ---- running ---- */

static void settle(struct nr_op *op)
{
    struct nr_app *app = nr_container_of(op, struct nr_app, settle.op);

    if (nr_io_outstanding(app->io) == 0)
        nr_io_stop(app->io);
    else
        nr_timer_arm(app->io, &app->settle, nr_io_now_ns(app->io) + settle_ns);
}

static void drained(void *ctx)
{
    struct nr_app *app = ctx;

    nr_server_free(app->server);
    app->server = NULL;
    nr_timer_disarm(app->io, &app->drain_limit);
    for (size_t i = 0; i < NR_COUNT(app->signals); i++)
        nr_op_cancel(app->io, &app->signals[i].op);
    nr_timer_arm(app->io, &app->settle, nr_io_now_ns(app->io));
}

static void drain_over(struct nr_op *op)
{
    struct nr_app *app = nr_container_of(op, struct nr_app, drain_limit.op);

    nr_server_abort(app->server);
}

static void on_signal(struct nr_op *op)
{
    struct nr_signal *signal = nr_container_of(op, struct nr_signal, op);
    struct nr_app *app =
        nr_container_of(signal, struct nr_app, signals[signal->signo == SIGTERM ? 0 : 1]);

    if (op->result != NR_OK || app->draining)
        return;
    app->draining = true;
    nr_listener_close(app->listener);
    nr_server_on_drained(app->server, drained, app);
    nr_server_drain(app->server);
    nr_timer_arm(app->io, &app->drain_limit, nr_io_now_ns(app->io) + drain_limit_ns);
}

static void start(struct nr_app *app)
{
    static const struct nr_op_kind signal_kind = {on_signal, "app.signal"};
    static const struct nr_op_kind limit_kind = {drain_over, "app.drain_limit"};
    static const struct nr_op_kind settle_kind = {settle, "app.settle"};

    app->draining = false;
    nr_timer_init(&app->drain_limit, &limit_kind);
    nr_timer_init(&app->settle, &settle_kind);
    for (size_t i = 0; i < NR_COUNT(app->signals); i++) {
        nr_op_init(&app->signals[i].op, &signal_kind);
        app->signals[i].signo = i == 0 ? SIGTERM : SIGINT;
        nr_io_signal(app->io, &app->signals[i]);
    }
    app->server = nr_server_new(app->io, app->listener, &nr_server_conf_default, &app->handler);
}

enum nr_code nr_app_run(struct nr_app *app, const char *address, struct nr_err *err)
{
    struct nr_epoll_conf conf = {.work_threads = app->threads};
    struct nr_listen_conf listen = {.inherited_fd = -1};
    enum nr_code code;

    nr_io_block_signals();
    code = nr_addr_parse(address, &listen.address, err);
    if (code != NR_OK)
        return code;
    code = nr_io_new_epoll(&conf, &app->io, err);
    if (code != NR_OK)
        return code;
    code = nr_listener_open(&app->io, 1, &listen, &app->listener, err);
    if (code == NR_OK) {
        start(app);
        nr_io_run(app->io);
    }
    nr_io_free(app->io);
    app->io = NULL;
    return code;
}
