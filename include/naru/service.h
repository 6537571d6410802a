/* SPDX-License-Identifier: Apache-2.0 */
/* service.h - write an HTTP service on naru's own server.
 *
 *     #include "naru/service.h"
 *
 *     static void greet(struct nr_app_request *r, void *ctx)
 *     {
 *         struct nr_span who = nr_app_param(r, "name");
 *
 *         nr_app_reply_json(r, nr_app_printf(r, "{\"hello\":%s}", nr_app_quote(r, who)));
 *     }
 *
 *     int main(void)
 *     {
 *         struct nr_app *app = nr_app_new();
 *         struct nr_err err;
 *
 *         nr_app_route(app, "GET", "/greet/{name}", greet, NULL);
 *         return nr_app_run(app, "127.0.0.1:7001", &err) == NR_OK ? 0 : 1;
 *     }
 *
 * Handlers run on a pool of threads and may block: one call per request, with the whole body
 * at hand. Several run at once, so what they share needs its own lock. Strict HTTP/1.1, keep-alive,
 * pipelining, limits and time-outs are the server's business; so are HEAD (answered by the GET
 * route), 404, 405, 413 and 100-continue, which is sent once a route wants the body.
 *
 * Every span that these functions return lives until the handler returns; decoded ones
 * (parameters) have a NUL behind them. */
#ifndef NARU_SERVICE_H
#define NARU_SERVICE_H

#include <stddef.h>
#include <stdint.h>

#include "naru/err.h"
#include "naru/span.h"

#define NR_EXPORT __attribute__((visibility("default")))

struct nr_app;
struct nr_app_request;

typedef void (*nr_app_handler)(struct nr_app_request *request, void *ctx);

/* ---- the service ---- */

NR_EXPORT struct nr_app *nr_app_new(void);

/* NULL is fine. Not while it runs. */
NR_EXPORT void nr_app_free(struct nr_app *app);

/* Answer method and path with handler. A segment {name} takes any one segment; a last segment *
 * takes all that follows. Routes are tried in the order in which they were added; texts are
 * borrowed. Before nr_app_run. */
NR_EXPORT void nr_app_route(struct nr_app *app, const char *method, const char *path,
                            nr_app_handler handler, void *ctx);

/* Handlers that may run at once: 1 to 64, 16 unless told. */
NR_EXPORT void nr_app_set_threads(struct nr_app *app, uint32_t threads);

/* The largest body taken, 1 MiB unless told; larger ones are answered with 413. */
NR_EXPORT void nr_app_set_body_max(struct nr_app *app, size_t bytes);

/* Listen on "127.0.0.1:7001", "[::1]:7001", ":7001" or "unix:/path" and serve until SIGTERM or
 * SIGINT; then listen no more, let requests in flight finish for at most 10 s, and return. Call it
 * from main before other threads are started: it blocks those signals. err may be NULL. */
NR_EXPORT enum nr_code nr_app_run(struct nr_app *app, const char *address,
                                  struct nr_err *err) NR_MUST_USE;

/* ---- the request ---- */

NR_EXPORT struct nr_span nr_app_method(const struct nr_app_request *request);

/* Canonical, still percent-encoded, without the query. */
NR_EXPORT struct nr_span nr_app_path(const struct nr_app_request *request);

/* What a {name} of the route's path took, decoded; an empty span if it has none. */
NR_EXPORT struct nr_span nr_app_param(struct nr_app_request *request, const char *name);

/* A parameter of the query, decoded; ptr is NULL if there is none. */
NR_EXPORT struct nr_span nr_app_query(struct nr_app_request *request, const char *name);

/* A header field, by name without case; ptr is NULL if there is none. */
NR_EXPORT struct nr_span nr_app_header(const struct nr_app_request *request, const char *name);

NR_EXPORT struct nr_span nr_app_body(const struct nr_app_request *request);

/* ---- the answer: a handler that sets nothing answers 204 ---- */

/* 200 unless set. 200 to 599. */
NR_EXPORT void nr_app_status(struct nr_app_request *request, uint16_t status);

/* Add a field. NR_EINVAL, and nothing is added, when name or value cannot stand in one (a line
 * break in a value, say) or belongs to the server (Content-Length, Connection …). */
NR_EXPORT enum nr_code nr_app_add_header(struct nr_app_request *request, const char *name,
                                         struct nr_span value) NR_MUST_USE;

/* The body; bytes are copied. The last call counts. */
NR_EXPORT void nr_app_reply(struct nr_app_request *request, const char *content_type,
                            struct nr_span body);
NR_EXPORT void nr_app_reply_text(struct nr_app_request *request, struct nr_span text);
NR_EXPORT void nr_app_reply_json(struct nr_app_request *request, const char *json);

/* ---- memory of the request ---- */

NR_EXPORT const char *nr_app_printf(struct nr_app_request *request, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* text as a JSON string with its quotes; what is not UTF-8 becomes U+FFFD. */
NR_EXPORT const char *nr_app_quote(struct nr_app_request *request, struct nr_span text);

#endif
