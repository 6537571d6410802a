/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/pages.h"

#include <stdlib.h>

#include "admin/requests.h"
#include "base/assert.h"
#include "base/compiler.h"
#include "base/json.h"
#include "io/process.h"
#include "observe/expo.h"
#include "observe/record_json.h"

#define JSON_TYPE NR_SPAN("application/json")

/* ---- making answers ---- */

static void json_answer(struct nr_admin_answer *ret, uint16_t status, struct nr_json *json)
{
    struct nr_strbuf out = {0};
    char *text = nr_json_dump(json, 2);

    nr_strbuf_printf(&out, "%s\n", text);
    free(text);
    nr_json_free(json);
    ret->status = status;
    ret->content_type = JSON_TYPE;
    ret->body = nr_strbuf_take(&out, &ret->len);
}

void nr_admin_problem(struct nr_admin_answer *ret, uint16_t status, const char *reason,
                      const char *detail)
{
    struct nr_json *json = nr_json_object();

    nr_json_set(json, "type", nr_json_string(NR_SPAN("about:blank")));
    nr_json_set(json, "title", nr_json_string(nr_status_phrase(status)));
    nr_json_set(json, "status", nr_json_integer(status));
    nr_json_set(json, "detail", nr_json_string(nr_span_of(detail)));
    nr_json_set(json, "reason", nr_json_string(nr_span_of(reason)));
    json_answer(ret, status, json);
    ret->content_type = NR_SPAN("application/problem+json");
}

struct nr_span nr_admin_param(struct nr_span query, struct nr_span name)
{
    while (query.len > 0) {
        const char *end = memchr(query.ptr, '&', query.len);
        struct nr_span pair = {query.ptr, end == NULL ? query.len : (size_t)(end - query.ptr)};

        if (pair.len > name.len && nr_span_starts_with(pair, name) && pair.ptr[name.len] == '=')
            return nr_span_from(pair, name.len + 1);
        query = nr_span_from(query, end == NULL ? query.len : pair.len + 1);
    }
    return (struct nr_span){NULL, 0};
}

/* ---- pages ---- */

static void index_page(struct nr_admin *admin, const struct nr_head *head,
                       struct nr_admin_answer *ret)
{
    static const char *const links[] = {"/health",      "/ready",       "/metrics",
                                        "/v1/services", "/v1/requests", "/v1/requests?failed=1",
                                        "/v1/config"};
    struct nr_strbuf out = {0};

    nr_strbuf_printf(&out,
                     "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">"
                     "<title>naru</title><style>body{font:16px/1.6 system-ui;margin:3em auto;"
                     "max-width:40em;padding:0 1em}</style><h1>naru %s</h1><ul>",
                     admin->setup.sources.version);
    for (size_t i = 0; i < NR_COUNT(links); i++)
        nr_strbuf_printf(&out, "<li><a href=\"%s\">%s</a>", links[i], links[i]);
    NR_STRBUF_LIT(&out, "<li>/v1/requests/{id}: one request, by its X-Request-Id</ul>\n");
    ret->content_type = NR_SPAN("text/html; charset=utf-8");
    ret->body = nr_strbuf_take(&out, &ret->len);
}

static void health(struct nr_admin *admin, const struct nr_head *head, struct nr_admin_answer *ret)
{
    struct nr_json *json = nr_json_object();

    nr_json_set(json, "status", nr_json_string(NR_SPAN("ok")));
    nr_json_set(json, "version", nr_json_string(nr_span_of(admin->setup.sources.version)));
    json_answer(ret, 200, json);
}

static void ready(struct nr_admin *admin, const struct nr_head *head, struct nr_admin_answer *ret)
{
    struct nr_json *json;

    if (admin->phase == NR_ADMIN_STARTING) {
        nr_admin_problem(ret, 503, "starting", "naru has not finished starting");
        return;
    }
    if (admin->phase == NR_ADMIN_DRAINING) {
        nr_admin_problem(ret, 503, "draining", "naru is shutting down and takes no new work");
        return;
    }
    json = nr_json_object();
    nr_json_set(json, "status", nr_json_string(NR_SPAN("ready")));
    json_answer(ret, 200, json);
}

static void metrics(struct nr_admin *admin, const struct nr_head *head, struct nr_admin_answer *ret)
{
    struct nr_exposition of = admin->setup.sources;
    bool open_metrics = nr_expo_wants_open_metrics(nr_head_get(head, NR_FIELD_ACCEPT));

    if (!admin->setup.metrics) {
        nr_admin_problem(ret, 404, "metrics_off", "observe.metrics is off in the configuration");
        return;
    }
    of.ready = admin->phase == NR_ADMIN_READY;
    of.now_ns = nr_io_now_ns(admin->setup.io);
    ret->content_type = nr_expo_content_type(open_metrics);
    ret->body = nr_exposition_text(&of, open_metrics, &ret->len);
}

static void push_instance(struct nr_json *list, struct nr_service *service, uint32_t number)
{
    static const char *const health_names[] = {"unknown", "up", "down"};
    struct nr_instance_view view;
    struct nr_json *json;

    nr_service_instance(service, number, &view);
    if (view.text[0] == '\0')
        return; /* a number without an instance */
    json = nr_json_object();
    nr_json_set(json, "address", nr_json_string(nr_span_of(view.text)));
    nr_json_set(json, "health", nr_json_string(nr_span_of(health_names[view.health])));
    nr_json_set(json, "weight", nr_json_integer(view.weight));
    nr_json_set(json, "in_flight", nr_json_integer(view.in_flight));
    nr_json_set(json, "picks", nr_json_integer((int64_t)view.picks));
    nr_json_set(json, "failures", nr_json_integer((int64_t)view.failures));
    nr_json_set(json, "latency_ms", nr_json_real((double)view.ewma_us / 1000));
    if (!view.present)
        nr_json_set(json, "leaving", nr_json_bool(true));
    nr_json_push(list, json);
}

static void services(struct nr_admin *admin, const struct nr_head *head,
                     struct nr_admin_answer *ret)
{
    const struct nr_gateway *gateway = admin->setup.sources.gateway;
    uint32_t count = gateway == NULL ? 0 : nr_gateway_service_count(gateway);
    struct nr_json *list = nr_json_array();
    struct nr_json *json = nr_json_object();

    for (uint32_t i = 0; i < count; i++) {
        struct nr_service *service = nr_gateway_service(gateway, i);
        struct nr_json *entry = nr_json_object();
        struct nr_json *instances = nr_json_array();

        for (uint32_t k = 0; k < nr_service_instance_count(service); k++)
            push_instance(instances, service, k);
        nr_json_set(entry, "name", nr_json_string(nr_gateway_service_name(gateway, i)));
        nr_json_set(entry, "instances", instances);
        nr_json_push(list, entry);
    }
    nr_json_set(json, "services", list);
    json_answer(ret, 200, json);
}

static void requests(struct nr_admin *admin, const struct nr_head *head,
                     struct nr_admin_answer *ret)
{
    struct nr_json *json = nr_json_object(), *list;
    struct nr_admin_filter filter;
    struct nr_err err = {0};

    if (nr_admin_filter_parse(nr_head_text(head, head->query), &filter, &err) != NR_OK) {
        nr_json_free(json);
        nr_admin_problem(ret, 400, "bad_filter", err.text);
        return;
    }
    list = nr_admin_filter_records(admin->setup.sources.observe, &filter);
    nr_json_set(json, "requests", list);
    json_answer(ret, 200, json);
}

static void request_by_id(struct nr_admin *admin, struct nr_span id, struct nr_admin_answer *ret)
{
    const struct nr_observe *observe = admin->setup.sources.observe;
    struct nr_record record;
    uint64_t key[2];
    char detail[160];

    nr_record_id_of(id, key);
    if (!nr_observe_find(observe, key, &record)) {
        nr_admin_memory_text(observe, detail, sizeof(detail));
        nr_admin_problem(ret, 404, "unknown_request", detail);
        return;
    }
    json_answer(ret, 200, nr_record_json(nr_observe_names(observe), &record));
}

static void print_config(void *config, FILE *to)
{
    nr_config_print(config, to);
}

static void config(struct nr_admin *admin, const struct nr_head *head, struct nr_admin_answer *ret)
{
    if (admin->setup.config == NULL) {
        nr_admin_problem(ret, 404, "no_config", "naru runs without a configuration");
        return;
    }
    ret->content_type = NR_SPAN("application/yaml");
    ret->body = nr_process_capture(print_config, admin->setup.config, &ret->len);
}

/* ---- finding them ---- */

static const struct {
    struct nr_span path;
    void (*answer)(struct nr_admin *admin, const struct nr_head *head, struct nr_admin_answer *ret);
} pages[] = {
    {NR_SPAN("/"), index_page},          {NR_SPAN("/health"), health},
    {NR_SPAN("/ready"), ready},          {NR_SPAN("/metrics"), metrics},
    {NR_SPAN("/v1/services"), services}, {NR_SPAN("/v1/requests"), requests},
    {NR_SPAN("/v1/config"), config},
};

static bool method_allowed(const struct nr_head *head, struct nr_admin_answer *ret)
{
    if (head->method == NR_METHOD_GET || head->method == NR_METHOD_HEAD)
        return true;
    nr_admin_problem(ret, 405, "method_not_allowed", "everything here is read with GET");
    ret->allow = NR_SPAN("GET, HEAD");
    return false;
}

void nr_admin_answer(struct nr_admin *admin, const struct nr_head *head,
                     struct nr_admin_answer *ret)
{
    const struct nr_span one_request = NR_SPAN("/v1/requests/");
    struct nr_span path = nr_head_text(head, head->path);

    *ret = (struct nr_admin_answer){.status = 200};
    if (!nr_admin_host_allowed(nr_head_text(head, head->authority))) {
        nr_admin_problem(ret, 421, "foreign_host",
                         "the admin side answers to an IP address or localhost as Host only");
        return;
    }
    for (size_t i = 0; i < NR_COUNT(pages); i++)
        if (nr_span_eq(path, pages[i].path)) {
            if (method_allowed(head, ret))
                pages[i].answer(admin, head, ret);
            return;
        }
    if (nr_span_starts_with(path, one_request) && path.len > one_request.len) {
        if (method_allowed(head, ret))
            request_by_id(admin, nr_span_from(path, one_request.len), ret);
        return;
    }
    nr_admin_problem(ret, 404, "not_found", "nothing here; / lists what there is");
}
