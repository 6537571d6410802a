/* SPDX-License-Identifier: Apache-2.0 */
#include "foresight/simulate.h"

#include <stdlib.h>

#include "base/assert.h"
#include "cli/command.h"
#include "cli/load.h"
#include "cli/sections.h"
#include "config/units.h"
#include "foresight/included.h"
#include "io/process.h"

enum { CONFIG, SEED, SET, JSON, HTML, TRANSPORT, LIST }; /* simulate_options in commands.c */

enum { PATH_BYTES = 4096, NAME_BYTES = 64, NAMES_MAX = 64, COLUMNS = 110 };

static const char scenario_prefix[] = "scenario.";

/* ---- what is asked for ---- */

struct simulation {
    const struct nr_args *args;
    const struct nr_included *included; /* NULL: the scenario is a file */
    struct nr_config *scenario_file;
    struct nr_config *config;
    struct nr_scenario scenario;
    const char *scenario_sets[NR_MANY_MAX];
    const char *config_sets[NR_MANY_MAX];
    uint32_t scenario_set_count;
    uint32_t config_set_count;
};

static void sort_sets(struct simulation *s)
{
    size_t prefix = sizeof(scenario_prefix) - 1;

    for (uint32_t i = 0; i < s->args->many_count; i++) {
        const char *set = s->args->many[i];

        if (strncmp(set, scenario_prefix, prefix) == 0)
            s->scenario_sets[s->scenario_set_count++] = set + prefix;
        else
            s->config_sets[s->config_set_count++] = set;
    }
}

/* Names and files share the word, so that a slip in a name looks like a file that is not there. */
struct included_names {
    char names[NAMES_MAX][NAME_BYTES];
    uint32_t count;
};

static const char *included_name(const void *ctx, uint32_t i)
{
    const struct included_names *all = ctx;

    return i < all->count ? all->names[i] : NULL;
}

static int unknown_name(const char *word)
{
    struct included_names all = {.count = 0};
    char hint[128];

    for (const struct nr_included *at = nr_included; at->name != NULL; at++)
        if (nr_included_is_scenario(at) && all.count < NAMES_MAX)
            snprintf(all.names[all.count++], NAME_BYTES, "%.*s", (int)strcspn(at->name, "."),
                     at->name);
    nr_did_you_mean(word, included_name, &all, hint, sizeof(hint));
    fprintf(stderr, "naru simulate: no scenario '%s' and no such file%s\n", word,
            hint[0] != '\0' ? hint : "; naru simulate --list names those that there are");
    return NR_EXIT_CONFIG;
}

static const char *transport_name(const void *ctx, uint32_t i)
{
    (void)ctx;
    return nr_scenario_transport_name(i);
}

static int choose_transport(struct simulation *s, const char *word)
{
    char hint[64];

    for (uint32_t i = 0; nr_scenario_transport_name(i) != NULL; i++)
        if (strcmp(nr_scenario_transport_name(i), word) == 0) {
            s->scenario.transport = i;
            return NR_EXIT_OK;
        }
    nr_did_you_mean(word, transport_name, NULL, hint, sizeof(hint));
    fprintf(stderr, "naru simulate: --transport takes wire or model, got '%s'%s\n", word, hint);
    return NR_EXIT_USAGE;
}

static int load_scenario(struct simulation *s)
{
    struct nr_cli_load load = {
        .roots = nr_scenario_roots,
        .root_count = NR_SCENARIO_ROOTS,
        .path = s->args->words[0],
        .sets = s->scenario_sets,
        .set_count = s->scenario_set_count,
    };
    const char *seed = s->args->values[SEED];
    int code;

    s->included = nr_included_scenario(s->args->words[0]);
    if (s->included != NULL) {
        load.path = s->included->name;
        load.text = s->included->text;
    } else if (strpbrk(s->args->words[0], "./") == NULL &&
               nr_process_file_stamp(s->args->words[0]) == 0) {
        return unknown_name(s->args->words[0]);
    }
    code = nr_cli_load_as(&load, &s->scenario_file);

    if (code != NR_EXIT_OK)
        return code;
    s->scenario = nr_scenario_of(s->scenario_file);
    if (seed != NULL && !nr_units_integer(nr_span_of(seed), 10, &s->scenario.seed)) {
        fprintf(stderr, "naru simulate: --seed takes a number, got '%s'\n", seed);
        return NR_EXIT_USAGE;
    }
    if (s->args->values[TRANSPORT] != NULL)
        return choose_transport(s, s->args->values[TRANSPORT]);
    return NR_EXIT_OK;
}

/* Relative to the scenario, like an include. */
static void beside_scenario(const struct simulation *s, char *to, size_t room)
{
    const char *path = s->args->words[0], *slash = strrchr(path, '/');
    struct nr_span naru = s->scenario.naru;
    int dir =
        slash == NULL || nr_span_starts_with(naru, NR_SPAN("/")) ? 0 : (int)(slash - path) + 1;

    snprintf(to, room, "%.*s%.*s", dir, path, (int)naru.len, naru.len > 0 ? naru.ptr : "");
}

static int load_config(struct simulation *s)
{
    char beside[PATH_BYTES];
    struct nr_cli_load load = {
        .roots = nr_section_roots,
        .root_count = NR_SECTION_COUNT,
        .path = s->args->values[CONFIG],
        .sets = s->config_sets,
        .set_count = s->config_set_count,
    };

    beside_scenario(s, beside, sizeof(beside));
    if (load.path == NULL && s->included != NULL)
        load.text = nr_included_file(s->scenario.naru);
    if (load.path == NULL)
        load.path = s->scenario.naru.len > 0 ? beside : NR_CONFIG_PATH_DEFAULT;
    return nr_cli_load_as(&load, &s->config);
}

static int check(const struct simulation *s)
{
    struct nr_arena arena;
    struct nr_diags diags;
    uint32_t errors;

    nr_arena_init(&arena, NULL, 0);
    nr_diags_init(&diags, &arena, 0);
    nr_simulate_check(&s->scenario, s->config, &diags);
    nr_diags_sort(&diags);
    nr_cli_print_diags(&diags);
    errors = diags.errors;
    nr_arena_done(&arena);
    return errors == 0 ? NR_EXIT_OK : NR_EXIT_CONFIG;
}

/* ---- the report ---- */

static int write_file(const char *path, struct nr_span bytes)
{
    struct nr_err err = {0};

    if (nr_process_write_file(path, bytes, &err) == NR_OK)
        return NR_EXIT_OK;
    fprintf(stderr, "naru simulate: cannot write %s: %s\n", path, err.text);
    return NR_EXIT_FAILURE;
}

static int write_json(const struct nr_report *report, const char *path)
{
    struct nr_json *json = nr_report_json(report);
    char *text = nr_json_dump(json, 2);
    struct nr_strbuf line = {0};
    int code;

    nr_strbuf_printf(&line, "%s\n", text);
    code = write_file(path, nr_strbuf_span(&line));
    nr_strbuf_done(&line);
    free(text);
    nr_json_free(json);
    return code;
}

static int write_html(const struct nr_report *report, const char *path)
{
    struct nr_strbuf page = {0};
    int code;

    nr_report_html(report, &page);
    code = write_file(path, nr_strbuf_span(&page));
    nr_strbuf_done(&page);
    return code;
}

static int print_text(const struct nr_report *report)
{
    const char *columns = getenv("COLUMNS");
    struct nr_report_style style = {nr_process_is_terminal(1) && getenv("NO_COLOR") == NULL,
                                    COLUMNS};
    struct nr_strbuf text = {0};
    int code;

    if (columns != NULL && atoi(columns) > 0)
        style.columns = (uint32_t)atoi(columns);
    nr_report_text(report, &style, &text);
    code = write_file("-", nr_strbuf_span(&text));
    nr_strbuf_done(&text);
    return code;
}

static int tell(const struct simulation *s, const struct nr_report *report)
{
    const char *json = s->args->values[JSON];
    int code = NR_EXIT_OK;

    if (json != NULL)
        code = write_json(report, json);
    if (code == NR_EXIT_OK && s->args->values[HTML] != NULL)
        code = write_html(report, s->args->values[HTML]);
    if (code == NR_EXIT_OK && (json == NULL || strcmp(json, "-") != 0))
        code = print_text(report);
    return code;
}

/* ---- the run ---- */

/* A line that a person may watch; who needs no longer than a moment sees nothing of it. */
struct progress {
    uint64_t began_ns;
    uint64_t told_ns; /* 0: not yet */
};

static void show_progress(void *ctx, double share)
{
    const uint64_t second_ns = 1000000000u;
    struct progress *progress = ctx;
    uint64_t now_ns = nr_process_wall_ns();
    double took_s = (double)(now_ns - progress->began_ns) / 1e9;

    if (now_ns - progress->began_ns < second_ns || now_ns - progress->told_ns < second_ns / 5)
        return;
    progress->told_ns = now_ns;
    fprintf(stderr, "\rnaru simulate: %3.0f %%, %.0f s to go\x1b[K", share * 100,
            share > 0 ? took_s / share - took_s : 0);
}

static void hide_progress(const struct progress *progress)
{
    if (progress->told_ns != 0)
        fputs("\r\x1b[K", stderr);
}

static int play(struct simulation *s)
{
    struct progress progress = {.began_ns = nr_process_wall_ns()};
    const struct nr_simulate_progress told = {show_progress, &progress};
    struct nr_report report;
    struct nr_err err = {0};
    enum nr_code played = nr_simulate(&s->scenario, s->config,
                                      nr_process_is_terminal(2) ? &told : NULL, &report, &err);
    int code;

    hide_progress(&progress);
    if (played != NR_OK) {
        fprintf(stderr, "naru simulate: %s\n", err.text);
        return NR_EXIT_CONFIG;
    }
    report.name = nr_span_of(s->args->words[0]);
    code = tell(s, &report);
    nr_report_done(&report);
    return code;
}

static int list(void)
{
    for (const struct nr_included *at = nr_included; at->name != NULL; at++) {
        const struct nr_cli_load load = {.roots = nr_scenario_roots,
                                         .root_count = NR_SCENARIO_ROOTS,
                                         .path = at->name,
                                         .text = at->text};
        struct nr_config *file = NULL;

        if (!nr_included_is_scenario(at) || nr_cli_load_as(&load, &file) != NR_EXIT_OK)
            continue;
        printf("%-24.*s %s\n", (int)strcspn(at->name, "."), at->name,
               nr_scenario_of(file).about.ptr);
        nr_config_unref(file);
    }
    return NR_EXIT_OK;
}

int nr_cmd_simulate(const struct nr_args *args)
{
    struct simulation s = {.args = args};
    int code;

    if (args->values[LIST] != NULL)
        return list();
    if (args->word_count == 0) {
        fputs("naru simulate: which scenario? naru simulate --list names those that come with the "
              "program\n",
              stderr);
        return NR_EXIT_USAGE;
    }
    sort_sets(&s);
    code = load_scenario(&s);
    if (code == NR_EXIT_OK)
        code = load_config(&s);
    if (code == NR_EXIT_OK)
        code = check(&s);
    if (code == NR_EXIT_OK)
        code = play(&s);
    nr_config_unref(s.config);
    nr_config_unref(s.scenario_file);
    return code;
}
