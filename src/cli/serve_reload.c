/* SPDX-License-Identifier: Apache-2.0 */
/* serve_reload.c - other configurations for a running naru: config/control.h, implemented.
 *
 *   QUEUED --turn--> LOADING --sound--> PREPARING --ready--> SWITCHING --all workers--> in force
 *      '- not tried     '----- refused -----'---- refused: the old one stays, one line says why
 *
 * Loading reads files and parses on a pool thread, because control has health checks to run; the
 * rest is control's. What it was read from is kept for ten versions (serve_versions.c). */
#include <stdlib.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "base/strbuf.h"
#include "cli/config_diff.h"
#include "cli/load.h"
#include "cli/sections.h"
#include "cli/serve.h"
#include "config/section.h"
#include "foresight/review.h"
#include "io/notify.h"
#include "service/service_conf.h"

enum { FINDINGS_MAX = 100 };

struct nr_reload_job {
    struct nr_link link;
    struct nr_serve *serve;
    struct nr_config_change change;
    char *text; /* owned; NULL: the file */
    nr_config_changed_fn done;
    void *ctx;
    struct nr_work work;
    struct nr_original *original; /* our reference: to load from, if one was there before */
    struct nr_config *config;     /* our reference, once loaded */
    struct nr_config *before;     /* our reference, once it is its turn */
    struct nr_admin_token token;  /* that the configuration names */
    struct nr_cli_files files;
    struct nr_arena arena; /* of the diagnostics */
    struct nr_diags diags;
    struct nr_diags findings;
    struct nr_strbuf changes;
    uint64_t started_ns;
    bool renaming;
};

static void start_next(struct nr_serve *serve);

/* What no line of a file is to blame for. */
static void add_error(struct nr_reload_job *job, const char *text)
{
    nr_diags_error(&job->diags, (struct nr_place){NULL, 0, 0}, "%s", text);
}

static void drop_config(struct nr_reload_job *job)
{
    nr_config_unref(job->config);
    job->config = NULL;
}

/* ---- the end of a job ---- */

static void finish(struct nr_reload_job *job, enum nr_config_result result)
{
    struct nr_serve *serve = job->serve;
    struct nr_config_outcome outcome = {
        .result = result,
        .version = nr_serve_version(serve),
        .changes = job->changes.ptr != NULL ? job->changes.ptr : "",
        .diags = &job->diags,
        .findings = job->change.dry_run ? &job->findings : NULL,
        .config = job->config,
        .before = job->before,
    };

    if (!serve->draining && !job->change.look)
        nr_notify_ready(serve->notify);
    if (job->done != NULL)
        job->done(job->ctx, &outcome);
    serve->reload.running = NULL;
    if (job->before != NULL) /* something was loaded, or tried to be */
        nr_serve_tidy(serve, NULL);
    nr_config_unref(job->config);
    nr_config_unref(job->before);
    nr_original_unref(job->original);
    nr_cli_files_done(&job->files);
    nr_strbuf_done(&job->changes);
    nr_arena_done(&job->arena);
    free(job->text);
    free(job);
    start_next(serve);
}

static const char *first_error(const struct nr_diags *diags, char *to, size_t room)
{
    to[0] = '\0';
    for (uint32_t i = 0; i < diags->count; i++)
        if (diags->items[i].level == NR_DIAG_ERROR) {
            nr_diag_format(&diags->items[i], to, room);
            break;
        }
    return to;
}

static void refuse(struct nr_reload_job *job)
{
    struct nr_serve *serve = job->serve;
    const struct nr_log_field fields[] = {
        {"source", nr_span_of(job->change.source), 0},
        {"version", {NULL, 0}, nr_serve_version(serve)},
        {NULL, {NULL, 0}, 0},
    };
    char line[NR_ERR_TEXT_BYTES], more[32] = "";

    drop_config(job);
    if (job->diags.errors > 1)
        snprintf(more, sizeof(more), " (and %u more)", job->diags.errors - 1);
    if (!job->change.dry_run && !job->change.look)
        nr_log_write(&serve->log, NR_LOG_ERROR, fields,
                     "configuration refused, the old one stays: %s%s",
                     first_error(&job->diags, line, sizeof(line)), more);
    finish(job, NR_CONFIG_REFUSED);
}

/* ---- in force ---- */

static void describe(struct nr_strbuf *to, const struct nr_gateway_changes *c)
{
    const struct {
        const char *what;
        uint32_t added, changed, removed;
    } kinds[] = {
        {"services", c->services_added, c->services_changed, c->services_removed},
        {"listeners", c->listeners_added, 0, c->listeners_removed},
    };

    for (size_t i = 0; i < NR_COUNT(kinds); i++)
        if (kinds[i].added + kinds[i].changed + kinds[i].removed > 0)
            nr_strbuf_printf(to, "%s%s: %u added, %u changed, %u removed", to->len > 0 ? "; " : "",
                             kinds[i].what, kinds[i].added, kinds[i].changed, kinds[i].removed);
    if (c->routes != c->routes_before || c->routes_kept != c->routes)
        nr_strbuf_printf(to, "%sroutes: %u before, %u now, %u as they were",
                         to->len > 0 ? "; " : "", c->routes_before, c->routes, c->routes_kept);
    if (to->len == 0)
        NR_STRBUF_LIT(to, "nothing");
}

/* What only a new process takes up. */
static void warn_of_restart(struct nr_reload_job *job)
{
    const char *fields[NR_RESTART_FIELDS_MAX];
    uint32_t count = nr_cli_restart_fields(job->before, job->config, fields);

    for (uint32_t i = 0; i < count; i++)
        nr_diags_add(&job->diags, NR_DIAG_WARNING, "restart",
                     nr_config_where(job->config, fields[i]), fields[i], NULL,
                     "%s has changed: that takes effect with a restart, or an upgrade in place "
                     "(SIGUSR2)",
                     fields[i]);
}

static void tell_of_restart(const struct nr_reload_job *job)
{
    for (uint32_t i = 0; i < job->diags.count; i++)
        if (strcmp(job->diags.items[i].code, "restart") == 0)
            nr_log_write(&job->serve->log, NR_LOG_WARN, NULL, "%s", job->diags.items[i].text);
}

static void tell_applied(struct nr_reload_job *job)
{
    struct nr_serve *serve = job->serve;
    uint64_t took_ns = nr_io_clock_ns(serve->control) - job->started_ns;
    const struct nr_log_field fields[] = {
        {"source", nr_span_of(job->change.source), 0},
        {"version", {NULL, 0}, nr_serve_version(serve)},
        {"took_us", {NULL, 0}, (int64_t)(took_ns / 1000)},
        {NULL, {NULL, 0}, 0},
    };

    nr_log_write(&serve->log, NR_LOG_INFO, fields, "configuration applied; changed: %s",
                 job->changes.ptr);
}

static void switched(void *ctx)
{
    struct nr_reload_job *job = ctx;
    struct nr_serve *serve = job->serve;
    struct nr_config *before = serve->config;

    if (job->renaming) {
        nr_observe_rename_commit(serve->observe);
        nr_observe_names_free(serve->names);
        serve->names = serve->next_names;
        serve->next_names = NULL;
    }
    serve->config = nr_config_ref(job->config);
    serve->conf = nr_gateway_conf_of(serve->config);
    __atomic_store_n(&serve->log.level,
                     (enum nr_log_level)nr_observe_conf_of(serve->config)->log_level,
                     __ATOMIC_RELAXED);
    if (!nr_admin_set_config(serve->admin, serve->config, &job->token))
        nr_log_write(&serve->log, NR_LOG_WARN, NULL,
                     "admin.token is gone, but other machines reach the admin listener until a "
                     "restart: the token before stays");
    nr_serve_note_version(serve, job->change.source,
                          job->original != NULL ? job->original : job->files.original);
    tell_applied(job);
    tell_of_restart(job);
    nr_serve_tidy(serve, before);
    if (job->text == NULL && job->change.version == 0)
        nr_serve_watch_files(serve, &job->files);
    finish(job, NR_CONFIG_APPLIED);
}

/* ---- on the way ---- */

static void prepared(void *ctx, struct nr_gateway_plan *plan, const struct nr_err *err)
{
    struct nr_reload_job *job = ctx;
    struct nr_serve *serve = job->serve;
    struct nr_gateway_changes changes;

    if (plan == NULL) {
        add_error(job, err->text);
        refuse(job);
        return;
    }
    changes = nr_gateway_plan_changes(plan);
    describe(&job->changes, &changes);
    warn_of_restart(job);
    if (job->change.dry_run) {
        nr_gateway_plan_free(plan);
        finish(job, NR_CONFIG_APPLIED);
        return;
    }
    nr_gateway_publish(plan);
    serve->next_names = nr_observe_names_new(serve->gateway, nr_observe_conf_of(job->config));
    job->renaming = !nr_observe_names_same(serve->names, serve->next_names);
    if (job->renaming) {
        nr_observe_rename_begin(serve->observe, serve->next_names);
    } else {
        nr_observe_names_free(serve->next_names);
        serve->next_names = NULL;
    }
    nr_gateway_switch(plan, switched, job);
}

static enum nr_code read_config(struct nr_reload_job *job)
{
    const struct nr_span *text = job->change.text.ptr != NULL ? &job->change.text : NULL;

    if (job->original != NULL)
        return nr_cli_load_original(job->original, &job->diags, &job->config);
    job->files.original = nr_original_new();
    return nr_cli_reload(job->serve->reload.path, text, &job->files, &job->diags, &job->config);
}

/* On a pool thread: whatever reads files or takes long. */
static void load(struct nr_work *work)
{
    struct nr_reload_job *job = nr_container_of(work, struct nr_reload_job, work);
    struct nr_err err = {0};

    if (read_config(job) != NR_OK) {
        job->config = NULL;
        return;
    }
    if (job->change.look)
        return;
    if (nr_admin_token_load(nr_admin_conf_of(job->config), &job->token, &err) != NR_OK) {
        add_error(job, err.text);
        drop_config(job);
    } else if (job->change.dry_run) {
        nr_review(job->config, &job->findings);
    } else if (job->original == NULL) {
        nr_original_pack(job->files.original);
    }
}

/* Whoever commands naru from afar could otherwise lose the key, or be left without a lock. */
static bool takes_token_away(const struct nr_reload_job *job)
{
    return job->change.remote && job->token.len == 0 && nr_admin_has_token(job->serve->admin);
}

static void loaded(struct nr_op *op)
{
    struct nr_reload_job *job = nr_container_of(op, struct nr_reload_job, work.op);

    if (op->result != NR_OK) {
        add_error(job, "cannot load now: the process is busy or ending");
        drop_config(job);
    } else if (job->config != NULL && takes_token_away(job)) {
        add_error(job, "the admin token would be gone: this way it can be changed, not taken away. "
                       "Add admin.token or admin.token_file (what /v1/config shows is without "
                       "secrets)");
        drop_config(job);
    }
    if (job->config == NULL)
        refuse(job);
    else if (job->change.look)
        finish(job, NR_CONFIG_APPLIED);
    else
        nr_gateway_prepare(job->serve->gateway, job->config, prepared, job);
}

/* What stands against it before anything is read; NR_CONFIG_APPLIED: nothing. */
static enum nr_config_result look(struct nr_reload_job *job)
{
    const struct nr_config_change *change = &job->change;

    if (change->if_version != 0 && change->if_version != nr_serve_version(job->serve))
        return NR_CONFIG_STALE;
    if (change->version != 0) {
        job->original = nr_serve_find_version(job->serve, change->version);
        return job->original == NULL ? NR_CONFIG_UNKNOWN : NR_CONFIG_APPLIED;
    }
    return change->text.ptr == NULL && job->serve->reload.path == NULL ? NR_CONFIG_NOWHERE
                                                                       : NR_CONFIG_APPLIED;
}

/* From the queue. */
static void begin(struct nr_op *op)
{
    static const struct nr_op_kind load_kind = {loaded, "serve.load"};
    struct nr_reload_job *job = nr_container_of(op, struct nr_reload_job, work.op);
    struct nr_serve *serve = job->serve;
    enum nr_config_result result = look(job);

    if (result != NR_CONFIG_APPLIED) {
        if (result == NR_CONFIG_NOWHERE)
            nr_log_write(&serve->log, NR_LOG_ERROR, NULL,
                         "there is no file to load again: the configuration came from the command "
                         "line");
        finish(job, result);
        return;
    }
    job->before = nr_config_ref(serve->config);
    if (!job->change.look)
        nr_notify_reloading(serve->notify, job->started_ns);
    nr_op_init(&job->work.op, &load_kind);
    job->work.run = load;
    nr_io_work(serve->control, &job->work);
}

static void start_next(struct nr_serve *serve)
{
    static const struct nr_op_kind begin_kind = {begin, "serve.change"};
    struct nr_link *first =
        serve->reload.running != NULL ? NULL : nr_list_pop_front(&serve->reload.waiting);
    struct nr_reload_job *job;

    if (first == NULL)
        return;
    job = nr_container_of(first, struct nr_reload_job, link);
    serve->reload.running = job;
    job->started_ns = nr_io_clock_ns(serve->control);
    nr_op_init(&job->work.op, &begin_kind); /* nobody is called back at once */
    nr_io_defer(serve->control, &job->work.op);
}

/* ---- the interface ---- */

static void change(struct nr_config_control *control, const struct nr_config_change *what,
                   nr_config_changed_fn done, void *ctx)
{
    struct nr_serve *serve = nr_container_of(control, struct nr_serve, reload.control);
    struct nr_reload_job *job = calloc(1, sizeof(*job));

    nr_assert(job != NULL);
    job->serve = serve;
    job->change = *what;
    job->done = done;
    job->ctx = ctx;
    nr_arena_init(&job->arena, NULL, 0);
    nr_diags_init(&job->diags, &job->arena, 0);
    nr_diags_init(&job->findings, &job->arena, FINDINGS_MAX);
    if (what->text.ptr != NULL) {
        job->text = strndup(what->text.ptr, what->text.len);
        nr_assert(job->text != NULL);
        job->change.text.ptr = job->text;
    }
    nr_list_push_back(&serve->reload.waiting, &job->link);
    start_next(serve);
}

static uint32_t versions(struct nr_config_control *control, struct nr_config_version *to,
                         uint32_t max)
{
    struct nr_serve *serve = nr_container_of(control, struct nr_serve, reload.control);

    return nr_serve_list_versions(serve, to, max);
}

void nr_serve_reload_init(struct nr_serve *serve, struct nr_original *original)
{
    serve->reload.control = (struct nr_config_control){change, versions};
    nr_link_init(&serve->reload.waiting);
    nr_original_pack(original);
    nr_serve_note_version(serve, "start", original);
    nr_serve_tidy_init(serve);
}

void nr_serve_reload_done(struct nr_serve *serve)
{
    nr_serve_forget_versions(serve);
    nr_cli_files_done(&serve->reload.watched);
}

void nr_serve_reload_file(struct nr_serve *serve, const char *source)
{
    const struct nr_config_change again = {.source = source};

    change(&serve->reload.control, &again, NULL, NULL);
}
