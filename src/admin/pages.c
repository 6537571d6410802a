/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/pages.h"

#include <stdlib.h>

#include "admin/requests.h"
#include "base/assert.h"
#include "base/compiler.h"
#include "observe/expo.h"
#include "observe/policies.h"
#include "observe/record_json.h"

static const struct nr_admin_field status_fields[] = {
    {.name = "status", .type = NR_ADMIN_STRING, .doc = "ok, ready or draining."},
    {.name = "version", .type = NR_ADMIN_STRING, .doc = "Of naru."},
};

const struct nr_admin_shape nr_admin_status_shape = {"Status", "How naru is.", status_fields,
                                                     NR_COUNT(status_fields)};

const struct nr_admin_shape nr_admin_request_shape = {
    "Record", "What naru decided about a request, and why. Members come and go with what happened.",
    NULL, 0};

static const struct nr_admin_field requests_fields[] = {
    {.name = "requests",
     .type = NR_ADMIN_LIST,
     .shape = &nr_admin_request_shape,
     .doc = "Newest first."},
};

const struct nr_admin_shape nr_admin_requests_shape = {"Requests", "Records of requests.",
                                                       requests_fields, NR_COUNT(requests_fields)};

/* ---- pages ---- */

void nr_admin_index(struct nr_admin_call *call)
{
    struct nr_strbuf out = {0};

    nr_strbuf_printf(&out,
                     "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">"
                     "<title>naru</title><style>body{font:16px/1.6 system-ui;margin:3em auto;"
                     "max-width:46em;padding:0 1em}dt{font-family:monospace}</style>"
                     "<h1>naru %s</h1><dl>",
                     call->admin->setup.sources.version);
    for (uint32_t i = 0; i < nr_admin_endpoint_count; i++) {
        const struct nr_admin_endpoint *endpoint = &nr_admin_endpoints[i];
        bool plain = endpoint->method == NR_METHOD_GET && strpbrk(endpoint->path, "{*") == NULL;

        nr_strbuf_printf(&out, "<dt>%s ", nr_method_name(endpoint->method).ptr);
        if (plain)
            nr_strbuf_printf(&out, "<a href=\"%s\">%s</a>", endpoint->path, endpoint->path);
        else
            nr_strbuf_printf(&out, "%s", endpoint->path);
        nr_strbuf_printf(&out, "<dd>%s", endpoint->summary);
    }
    NR_STRBUF_LIT(&out, "</dl>\n");
    call->answer.status = 200;
    call->answer.content_type = NR_SPAN("text/html; charset=utf-8");
    call->answer.body = nr_strbuf_take(&out, &call->answer.len);
}

static void status(struct nr_admin_call *call, const char *text)
{
    struct nr_json *json = nr_json_object();

    nr_json_set(json, "status", nr_json_string(nr_span_of(text)));
    nr_json_set(json, "version", nr_json_string(nr_span_of(call->admin->setup.sources.version)));
    nr_admin_json(call, 200, json);
}

void nr_admin_health(struct nr_admin_call *call)
{
    status(call, "ok");
}

void nr_admin_ready(struct nr_admin_call *call)
{
    switch (call->admin->phase) {
    case NR_ADMIN_STARTING:
        nr_admin_problem(call, 503, "starting", "naru has not finished starting");
        break;
    case NR_ADMIN_DRAINING:
        nr_admin_problem(call, 503, "draining", "naru is shutting down and takes no new work");
        break;
    case NR_ADMIN_READY: status(call, "ready"); break;
    }
}

void nr_admin_drain(struct nr_admin_call *call)
{
    struct nr_json *json;

    if (call->admin->setup.drain == NULL) {
        nr_admin_problem(call, 404, "not_here", "this process is not ended from here");
        return;
    }
    if (call->admin->phase != NR_ADMIN_DRAINING)
        call->admin->setup.drain(call->admin->setup.drain_ctx);
    json = nr_json_object();
    nr_json_set(json, "status", nr_json_string(NR_SPAN("draining")));
    nr_json_set(json, "version", nr_json_string(nr_span_of(call->admin->setup.sources.version)));
    nr_admin_json(call, 202, json);
}

void nr_admin_metrics(struct nr_admin_call *call)
{
    struct nr_exposition of = call->admin->setup.sources;
    bool open_metrics = nr_expo_wants_open_metrics(nr_head_get(call->head, NR_FIELD_ACCEPT));

    if (!call->admin->setup.metrics) {
        nr_admin_problem(call, 404, "metrics_off", "observe.metrics is off in the configuration");
        return;
    }
    of.ready = call->admin->phase == NR_ADMIN_READY;
    of.now_ns = nr_io_now_ns(call->admin->setup.io);
    of.config_version = nr_admin_config_now(call->admin);
    of.changes_done = call->admin->audit.done;
    of.changes_refused = call->admin->audit.refused;
    call->answer.status = 200;
    call->answer.content_type = nr_expo_content_type(open_metrics);
    call->answer.body = nr_exposition_text(&of, open_metrics, &call->answer.len);
}

void nr_admin_openapi_page(struct nr_admin_call *call)
{
    nr_admin_json(call, 200, nr_admin_openapi(call->admin->setup.sources.version));
}

/* ---- records ---- */

void nr_admin_requests(struct nr_admin_call *call)
{
    struct nr_json *json = nr_json_object();
    struct nr_admin_filter filter;

    if (!nr_admin_filter_parse(call, &filter)) {
        nr_json_free(json);
        return;
    }
    nr_json_set(json, "requests",
                nr_admin_filter_records(call->admin->setup.sources.observe, &filter));
    nr_admin_json(call, 200, json);
}

void nr_admin_request(struct nr_admin_call *call)
{
    const struct nr_observe *observe = call->admin->setup.sources.observe;
    struct nr_record record;
    uint64_t key[2];
    char detail[160];

    nr_record_id_of(nr_admin_path_param(call, 0), key);
    if (!nr_observe_find(observe, key, &record)) {
        nr_admin_memory_text(observe, detail, sizeof(detail));
        nr_admin_problem(call, 404, "unknown_request", "%s", detail);
        return;
    }
    nr_admin_json(call, 200, nr_record_json(nr_observe_names(observe), &record));
}
