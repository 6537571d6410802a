/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/explain.h"

#include <stdlib.h>

#include "base/assert.h"
#include "codec/h1.h"

enum { CANDIDATES_MAX = 256, FIELDS_MAX = 128, WHY_BYTES = 512 };

struct asked {
    const struct nr_routes *routes;
    struct nr_strbuf text;
    struct nr_field fields[FIELDS_MAX];
    struct nr_head head;
    struct nr_router_candidate candidates[CANDIDATES_MAX];
    uint32_t count; /* may exceed CANDIDATES_MAX */
    enum nr_router_verdict verdict;
    uint32_t rule;
    uint64_t methods;
};

/* ---- the request ---- */

static bool put_request_line(struct nr_strbuf *to, const char *request)
{
    const char *blank = strchr(request, ' ');
    struct nr_span method =
        blank == NULL ? NR_SPAN("GET") : (struct nr_span){request, (size_t)(blank - request)};
    const char *url = blank == NULL ? request : blank + 1;
    const char *authority = strstr(url, "://"), *path;

    if (url[0] != '/' && authority == NULL)
        return false;
    authority = url[0] == '/' ? url : authority + 3;
    path = authority + strcspn(authority, "/?#");
    nr_strbuf_add(to, method);
    NR_STRBUF_LIT(to, " ");
    if (*path != '/')
        NR_STRBUF_LIT(to, "/");
    nr_strbuf_add(to, (struct nr_span){path, strcspn(path, "#")});
    NR_STRBUF_LIT(to, " HTTP/1.1\r\nHost: ");
    nr_strbuf_add(to, path == authority ? NR_SPAN("localhost")
                                        : (struct nr_span){authority, (size_t)(path - authority)});
    NR_STRBUF_LIT(to, "\r\n");
    return true;
}

static bool is_field(struct nr_span line)
{
    return line.len > 0 && memchr(line.ptr, ':', line.len) != NULL &&
           memchr(line.ptr, '\r', line.len) == NULL && memchr(line.ptr, '\n', line.len) == NULL;
}

static enum nr_code make_request(struct asked *asked, const char *request,
                                 const struct nr_span *fields, uint32_t count, struct nr_err *err)
{
    enum nr_h1_reason reason;

    if (!put_request_line(&asked->text, request) || strpbrk(request, "\r\n") != NULL)
        return nr_err_set(err, NR_EINVAL, "expected a method and a URL: '%s'", request);
    for (uint32_t i = 0; i < count; i++) {
        if (!is_field(fields[i]))
            return nr_err_set(err, NR_EINVAL, "expected 'Name: value': '%.*s'", (int)fields[i].len,
                              fields[i].ptr);
        nr_strbuf_add(&asked->text, fields[i]);
        NR_STRBUF_LIT(&asked->text, "\r\n");
    }
    NR_STRBUF_LIT(&asked->text, "\r\n");
    reason = nr_h1_parse_request(asked->text.ptr, asked->text.len, &nr_h1_limits_default,
                                 asked->fields, FIELDS_MAX, &asked->head);
    if (reason == NR_H1_OK)
        return NR_OK;
    return nr_err_set(err, NR_EINVAL, "the gateway refuses this request: '%s'",
                      nr_h1_reason_text(reason));
}

static void ask(struct asked *asked)
{
    const struct nr_head *head = &asked->head;
    struct nr_span authority = nr_head_text(head, head->authority);
    struct nr_span path = nr_head_text(head, head->path);

    asked->verdict = nr_router_find(asked->routes->router, authority, path, head->method, head,
                                    &asked->rule, &asked->methods);
    asked->count = nr_router_explain(asked->routes->router, authority, path, head->method, head,
                                     asked->candidates, CANDIDATES_MAX);
}

/* ---- words for it ---- */

static const struct nr_route_conf *route_of(const struct asked *asked, uint32_t rule)
{
    return asked->routes->items[rule].conf;
}

static void why(const struct nr_router_candidate *candidate, char *to)
{
    static const char *const texts[] = {
        [NR_ROUTER_WON] = "takes the request",
        [NR_ROUTER_LOST_METHOD] = "not for this method",
        [NR_ROUTER_LOST_HOST] = "fits, but its host is less specific",
        [NR_ROUTER_LOST_PATH] = "fits, but its path is less specific",
        [NR_ROUTER_LOST_COUNT] = "fits, but it has fewer conditions",
        [NR_ROUTER_LOST_ORDER] = "fits, but stands later in the configuration",
    };
    char condition[WHY_BYTES - 32];

    if (candidate->outcome != NR_ROUTER_LOST_CONDITION) {
        snprintf(to, WHY_BYTES, "%s", texts[candidate->outcome]);
        return;
    }
    nr_condition_text(candidate->failed, condition, sizeof(condition));
    snprintf(to, WHY_BYTES, "does not hold: %s", condition);
}

static const char *outcome_name(enum nr_router_outcome outcome)
{
    static const char *const names[] = {
        [NR_ROUTER_WON] = "won",
        [NR_ROUTER_LOST_METHOD] = "method",
        [NR_ROUTER_LOST_CONDITION] = "condition",
        [NR_ROUTER_LOST_HOST] = "host",
        [NR_ROUTER_LOST_PATH] = "path",
        [NR_ROUTER_LOST_COUNT] = "conditions",
        [NR_ROUTER_LOST_ORDER] = "order",
    };

    return names[outcome];
}

void nr_route_describe(const struct nr_route_conf *route, struct nr_strbuf *to)
{
    if (route->redirect != NULL)
        nr_strbuf_printf(to, "redirect with %u", route->redirect->status);
    else if (route->respond != NULL)
        nr_strbuf_printf(to, "answered with %u", route->respond->status);
    else if (route->service.len > 0)
        nr_strbuf_printf(to, "service %s", route->service.ptr);
    for (uint32_t i = 0; i < route->target_count; i++)
        nr_strbuf_printf(to, "%sservice %s (weight %u)", i == 0 ? "" : ", ",
                         route->targets[i].name.ptr, route->targets[i].weight);
}

void nr_methods_text(uint64_t methods, struct nr_strbuf *to)
{
    for (int method = NR_METHOD_GET; method < NR_METHODS; method++)
        if ((methods >> method & 1) != 0 && method != NR_METHOD_CONNECT &&
            method != NR_METHOD_TRACE)
            nr_strbuf_printf(to, "%s%.*s", to->len == 0 ? "" : ", ",
                             (int)nr_method_name((enum nr_method)method).len,
                             nr_method_name((enum nr_method)method).ptr);
}

/* ---- the answer ---- */

static struct nr_json *candidate_json(const struct asked *asked,
                                      const struct nr_router_candidate *candidate)
{
    const struct nr_route_conf *route = route_of(asked, candidate->rule);
    struct nr_json *json = nr_json_object();
    char text[WHY_BYTES];

    why(candidate, text);
    nr_json_set(json, "route", nr_json_string(route->name));
    nr_json_set(json, "index", nr_json_integer(candidate->rule));
    nr_json_set(json, "line", nr_json_integer(route->at.place.line));
    nr_json_set(json, "outcome", nr_json_string(nr_span_of(outcome_name(candidate->outcome))));
    nr_json_set(json, "why", nr_json_string(nr_span_of(text)));
    return json;
}

static void put_verdict(const struct asked *asked, struct nr_json *json)
{
    static const char *const verdicts[] = {[NR_ROUTER_FOUND] = "route",
                                           [NR_ROUTER_NO_ROUTE] = "no_route",
                                           [NR_ROUTER_NO_METHOD] = "method_not_allowed"};
    struct nr_strbuf text = {0};

    nr_json_set(json, "verdict", nr_json_string(nr_span_of(verdicts[asked->verdict])));
    nr_json_set(json, "path", nr_json_string(nr_head_text(&asked->head, asked->head.path)));
    if (asked->verdict == NR_ROUTER_FOUND) {
        const struct nr_route_conf *route = route_of(asked, asked->rule);

        nr_route_describe(route, &text);
        nr_json_set(json, "route", nr_json_string(route->name));
        nr_json_set(json, "index", nr_json_integer(asked->rule));
        nr_json_set(json, "file", nr_json_string(nr_span_of(route->at.place.file)));
        nr_json_set(json, "line", nr_json_integer(route->at.place.line));
        nr_json_set(json, "answer", nr_json_string(nr_strbuf_span(&text)));
    } else if (asked->verdict == NR_ROUTER_NO_METHOD) {
        nr_methods_text(asked->methods, &text);
        nr_json_set(json, "allow", nr_json_string(nr_strbuf_span(&text)));
    }
    nr_strbuf_done(&text);
}

static struct nr_json *answer(const struct asked *asked)
{
    struct nr_json *json = nr_json_object(), *list = nr_json_array();

    put_verdict(asked, json);
    for (uint32_t i = 0; i < asked->count && i < CANDIDATES_MAX; i++)
        nr_json_push(list, candidate_json(asked, &asked->candidates[i]));
    nr_json_set(json, "candidates", list);
    if (asked->count > CANDIDATES_MAX)
        nr_json_set(json, "more", nr_json_integer(asked->count - CANDIDATES_MAX));
    return json;
}

enum nr_code nr_routes_explain(const struct nr_routes *routes, const char *request,
                               const struct nr_span *fields, uint32_t count,
                               struct nr_json **ret_json, struct nr_err *err)
{
    struct asked *asked = calloc(1, sizeof(*asked));
    enum nr_code code;

    nr_assert(asked != NULL);
    asked->routes = routes;
    code = make_request(asked, request, fields, count, err);
    if (code == NR_OK) {
        ask(asked);
        *ret_json = answer(asked);
    }
    nr_strbuf_done(&asked->text);
    free(asked);
    return code;
}
