/* SPDX-License-Identifier: Apache-2.0 */
/* config_api.c - the configuration: shown, tried, changed, taken back. A change goes the way of
 * every reload (config/control.h), so it is answered when all workers have it.
 *
 * What is put in force here is in memory, like every version: the file stays as it is, and a
 * restart or the next SIGHUP reads the file. */
#include <stdlib.h>

#include "admin/config_diff.h"
#include "admin/pages.h"
#include "base/compiler.h"
#include "io/process.h"
#include "observe/timestamp.h"

/* ---- shapes ---- */

static const char *const levels[] = {"error", "warning", "hint", NULL};

/* clang-format off */

static const struct nr_admin_field diagnostic_fields[] = {
    {.name = "level", .type = NR_ADMIN_STRING, .words = levels, .doc = "Only errors refuse a configuration."},
    {.name = "code", .type = NR_ADMIN_STRING, .doc = "Stable; config for what the loader finds."},
    {.name = "text", .type = NR_ADMIN_STRING, .doc = "As the command line prints it: FILE:LINE:COLUMN: what."},
    {.name = "message", .type = NR_ADMIN_STRING, .doc = "What is wrong."},
    {.name = "fix", .type = NR_ADMIN_STRING, .optional = true, .doc = "What to write instead."},
    {.name = "path", .type = NR_ADMIN_STRING, .optional = true, .doc = "services.orders.retry"},
    {.name = "file", .type = NR_ADMIN_STRING, .optional = true, .doc = "configuration: the body of the request."},
    {.name = "line", .type = NR_ADMIN_INTEGER, .optional = true, .doc = "From 1."},
    {.name = "column", .type = NR_ADMIN_INTEGER, .optional = true, .doc = "From 1, in characters."},
};

static const struct nr_admin_shape diagnostic_shape = {
    "Diagnostic", "What is wrong with a configuration, and where.", diagnostic_fields, NR_COUNT(diagnostic_fields)};

static const struct nr_admin_field result_fields[] = {
    {.name = "version", .type = NR_ADMIN_INTEGER, .doc = "In force now."},
    {.name = "dry_run", .type = NR_ADMIN_BOOL, .doc = "true: nothing was changed."},
    {.name = "summary", .type = NR_ADMIN_STRING, .doc = "The changes in a line, as in the log."},
    {.name = "changes", .type = NR_ADMIN_OBJECT, .shape = &nr_admin_config_diff_shape, .doc = "Against what was in force."},
    {.name = "warnings", .type = NR_ADMIN_LIST, .shape = &diagnostic_shape,
     .doc = "What does not stand against it, such as what takes effect with a restart only."},
    {.name = "findings", .type = NR_ADMIN_LIST, .optional = true, .shape = &diagnostic_shape,
     .doc = "Of a dry run: what naru check says of it."},
};

const struct nr_admin_shape nr_admin_config_result_shape = {
    "ConfigResult", "What a change of the configuration did, or would do.", result_fields, NR_COUNT(result_fields)};

static const struct nr_admin_field version_fields[] = {
    {.name = "version", .type = NR_ADMIN_INTEGER, .doc = "Never used twice."},
    {.name = "in_force", .type = NR_ADMIN_BOOL, .doc = "It is the one that serves."},
    {.name = "since", .type = NR_ADMIN_STRING, .doc = "When it came into force."},
    {.name = "source", .type = NR_ADMIN_STRING, .doc = "start, SIGHUP, file, api …"},
};

static const struct nr_admin_shape version_shape = {
    "ConfigVersion", "A configuration that is, or was, in force.", version_fields, NR_COUNT(version_fields)};

static const struct nr_admin_field versions_fields[] = {
    {.name = "versions", .type = NR_ADMIN_LIST, .shape = &version_shape, .doc = "Newest first; the last ten are kept."},
};

const struct nr_admin_shape nr_admin_config_versions_shape = {
    "ConfigVersions", "What can be gone back to.", versions_fields, NR_COUNT(versions_fields)};

static const struct nr_admin_field rollback_fields[] = {
    {.name = "version", .type = NR_ADMIN_INTEGER, .min = 1, .max = UINT32_MAX, .doc = "As in /v1/config/versions."},
};

const struct nr_admin_shape nr_admin_rollback_shape = {
    "Rollback", "Back to this version, under a new number.", rollback_fields, NR_COUNT(rollback_fields)};

/* clang-format on */

/* ---- showing ---- */

static uint32_t versions_of(const struct nr_admin_call *call, struct nr_config_version *to)
{
    struct nr_config_control *control = call->admin->setup.control;

    return control == NULL ? 0 : control->versions(control, to, NR_CONFIG_VERSIONS_MAX);
}

static void print_config(void *config, FILE *to)
{
    nr_config_print(config, to);
}

static void show(struct nr_admin_call *call, struct nr_config *config, uint32_t version)
{
    call->answer.status = 200;
    call->answer.version = version;
    call->answer.content_type = NR_SPAN("application/yaml");
    call->answer.body = nr_process_capture(print_config, config, &call->answer.len);
}

void nr_admin_config(struct nr_admin_call *call)
{
    struct nr_config_version versions[NR_CONFIG_VERSIONS_MAX];
    uint32_t count = versions_of(call, versions);

    if (call->admin->setup.config == NULL)
        nr_admin_problem(call, 404, "no_config", "naru runs without a configuration");
    else
        show(call, call->admin->setup.config, count > 0 ? versions[0].number : 0);
}

void nr_admin_config_versions(struct nr_admin_call *call)
{
    struct nr_config_version versions[NR_CONFIG_VERSIONS_MAX];
    uint32_t count = versions_of(call, versions);
    struct nr_json *list = nr_json_array(), *json = nr_json_object();

    for (uint32_t i = 0; i < count; i++) {
        struct nr_json *one = nr_json_object();
        struct nr_timestamp timestamp = {0};

        nr_json_set(one, "version", nr_json_integer(versions[i].number));
        nr_json_set(one, "in_force", nr_json_bool(i == 0));
        nr_json_set(one, "since",
                    nr_json_string(nr_timestamp_text(&timestamp, versions[i].wall_ns)));
        nr_json_set(one, "source", nr_json_string(nr_span_of(versions[i].source)));
        nr_json_push(list, one);
    }
    nr_json_set(json, "versions", list);
    nr_admin_json(call, 200, json);
}

static void refuse_version(struct nr_admin_call *call, struct nr_span version)
{
    nr_admin_problem(call, 404, "unknown_version",
                     "version %.*s is not kept: /v1/config/versions lists those that are",
                     (int)version.len, version.ptr);
}

/* The version's configuration is there again, for as long as this takes. */
static void seen(void *ctx, const struct nr_config_outcome *outcome)
{
    struct nr_admin_call *call = ctx;
    struct nr_span wanted = nr_admin_path_param(call, 0);

    if (outcome->config != NULL)
        show(call, outcome->config, (uint32_t)strtoul(wanted.ptr, NULL, 10));
    else if (outcome->result == NR_CONFIG_UNKNOWN) /* it went while we waited */
        refuse_version(call, wanted);
    else
        nr_admin_problem(call, 503, "not_now", "the version cannot be loaded now: ask again");
    nr_admin_answer_now(call);
}

static void look_at(struct nr_admin_call *call, uint32_t number)
{
    struct nr_config_control *control = call->admin->setup.control;
    const struct nr_config_change change = {.source = "api", .version = number, .look = true};

    nr_admin_wait(call);
    control->change(control, &change, seen, call);
}

void nr_admin_config_version(struct nr_admin_call *call)
{
    struct nr_config_version versions[NR_CONFIG_VERSIONS_MAX];
    uint32_t count = versions_of(call, versions);
    struct nr_span wanted = nr_admin_path_param(call, 0);
    uint32_t number = 0; /* that no version has */

    for (uint32_t i = 0; i < count; i++) {
        char text[16];

        snprintf(text, sizeof(text), "%u", versions[i].number);
        if (nr_span_eq(nr_span_of(text), wanted))
            number = versions[i].number;
    }
    if (number == 0)
        refuse_version(call, wanted);
    else if (number == versions[0].number)
        show(call, call->admin->setup.config, number);
    else
        look_at(call, number);
}

/* ---- diagnostics ---- */

static struct nr_json *diagnostic_json(const struct nr_diag *diag)
{
    struct nr_json *json = nr_json_object();
    char text[2048];

    nr_diag_format(diag, text, sizeof(text));
    nr_json_set(json, "level", nr_json_string(nr_span_of(levels[diag->level])));
    nr_json_set(json, "code", nr_json_string(nr_span_of(diag->code)));
    nr_json_set(json, "text", nr_json_string(nr_span_of(text)));
    nr_json_set(json, "message", nr_json_string(nr_span_of(diag->text)));
    if (diag->fix != NULL)
        nr_json_set(json, "fix", nr_json_string(nr_span_of(diag->fix)));
    if (diag->path[0] != '\0')
        nr_json_set(json, "path", nr_json_string(nr_span_of(diag->path)));
    if (diag->place.file != NULL) {
        nr_json_set(json, "file", nr_json_string(nr_span_of(diag->place.file)));
        nr_json_set(json, "line", nr_json_integer(diag->place.line));
        nr_json_set(json, "column", nr_json_integer(diag->place.column));
    }
    return json;
}

static struct nr_json *diagnostics_json(const struct nr_diags *diags)
{
    struct nr_json *list = nr_json_array();

    for (uint32_t i = 0; i < diags->count; i++)
        nr_json_push(list, diagnostic_json(&diags->items[i]));
    return list;
}

/* ---- changing ---- */

static void tell_applied(struct nr_admin_call *call, const struct nr_config_outcome *outcome)
{
    struct nr_json *json = nr_json_object();

    nr_json_set(json, "version", nr_json_integer(outcome->version));
    nr_json_set(json, "dry_run", nr_json_bool(outcome->findings != NULL));
    nr_json_set(json, "summary", nr_json_string(nr_span_of(outcome->changes)));
    nr_json_set(json, "changes", nr_admin_config_diff(outcome->before, outcome->config));
    nr_json_set(json, "warnings", diagnostics_json(outcome->diags));
    if (outcome->findings != NULL)
        nr_json_set(json, "findings", diagnostics_json(outcome->findings));
    call->answer.version = outcome->version;
    nr_strbuf_printf(&call->told, "%s%s", outcome->findings != NULL ? "dry run; " : "",
                     outcome->changes);
    nr_admin_json(call, 200, json);
}

static void tell_refused(struct nr_admin_call *call, const struct nr_config_outcome *outcome)
{
    struct nr_json *json = nr_json_object();
    char text[512] = "";

    for (uint32_t i = outcome->diags->count; i-- > 0;) /* ends with the first */
        if (outcome->diags->items[i].level == NR_DIAG_ERROR)
            nr_diag_format(&outcome->diags->items[i], text, sizeof(text));
    nr_json_set(json, "version", nr_json_integer(outcome->version));
    nr_json_set(json, "diagnostics", diagnostics_json(outcome->diags));
    nr_admin_problem_with(call, json, 422, "bad_config",
                          "%u %s, and version %u stays in force: %s%s", outcome->diags->errors,
                          outcome->diags->errors == 1 ? "error" : "errors", outcome->version, text,
                          outcome->diags->errors > 1 ? " …" : "");
}

static void tell_stale(struct nr_admin_call *call, const struct nr_config_outcome *outcome)
{
    struct nr_json *json = nr_json_object();

    nr_json_set(json, "version", nr_json_integer(outcome->version));
    nr_admin_problem_with(call, json, 412, "stale_version",
                          "another change came first: version %u is in force, not the one of "
                          "If-Match",
                          outcome->version);
}

static void changed(void *ctx, const struct nr_config_outcome *outcome)
{
    struct nr_admin_call *call = ctx;

    switch (outcome->result) {
    case NR_CONFIG_APPLIED: tell_applied(call, outcome); break;
    case NR_CONFIG_REFUSED: tell_refused(call, outcome); break;
    case NR_CONFIG_STALE: tell_stale(call, outcome); break;
    case NR_CONFIG_UNKNOWN:
        nr_admin_problem(call, 404, "unknown_version",
                         "that version is not kept: /v1/config/versions lists those that are");
        break;
    case NR_CONFIG_NOWHERE:
        nr_admin_problem(call, 409, "no_file",
                         "there is no file to read again: the configuration came from the command "
                         "line");
        break;
    }
    nr_admin_answer_now(call);
}

static void begin(struct nr_admin_call *call, struct nr_config_change change)
{
    struct nr_config_control *control = call->admin->setup.control;

    change.source = "api";
    change.remote = true;
    change.dry_run = nr_admin_query_bool(call, "dry_run");
    if (control == NULL) {
        nr_admin_problem(call, 404, "no_config", "the configuration cannot be changed here");
        return;
    }
    if (call->admin->phase == NR_ADMIN_DRAINING) {
        nr_admin_problem(call, 503, "draining", "naru is shutting down and changes no more");
        return;
    }
    if (!nr_admin_if_match(call, &change.if_version))
        return;
    nr_admin_wait(call);
    control->change(control, &change, changed, call);
}

void nr_admin_put_config(struct nr_admin_call *call)
{
    if (call->body.len == 0) /* which would be a configuration without anything, and an accident */
        nr_admin_problem(call, 400, "bad_request", "the body is empty: send the configuration");
    else
        begin(call, (struct nr_config_change){.text = nr_strbuf_span(&call->body)});
}

void nr_admin_reload_config(struct nr_admin_call *call)
{
    begin(call, (struct nr_config_change){.version = 0});
}

void nr_admin_rollback_config(struct nr_admin_call *call)
{
    struct nr_json *body = nr_admin_body_json(call);
    struct nr_config_change change = {.version = 0};

    if (body == NULL)
        return;
    change.version = (uint32_t)nr_json_integer_value(nr_json_get(body, "version"));
    nr_json_free(body);
    begin(call, change);
}
