/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - `naru check`: the review of src/foresight, printed as compilers print, or as JSON. */
#include <stdlib.h>

#include "base/arena.h"
#include "cli/command.h"
#include "cli/load.h"
#include "foresight/review.h"

enum { CONFIG, FAIL_ON, JSON, EXPLAIN, LIST }; /* as check_options */

enum { FINDINGS_MAX = 500 };

static const char *rule_code(const void *ctx, uint32_t i)
{
    const struct nr_check_rule *rule = nr_review_rule(i);

    return rule == NULL ? NULL : rule->code;
}

static int explain(const char *code)
{
    const struct nr_check_rule *rule = nr_review_rule_find(code);
    struct nr_strbuf text = {0};
    char hint[128];

    if (rule == NULL) {
        nr_did_you_mean(code, rule_code, NULL, hint, sizeof(hint));
        fprintf(stderr, "naru check: no finding '%s'%s; 'naru check --list' lists them\n", code,
                hint);
        return NR_EXIT_FAILURE;
    }
    nr_review_explain(rule, &text);
    fputs(text.ptr, stdout);
    nr_strbuf_done(&text);
    return NR_EXIT_OK;
}

static int list(void)
{
    const struct nr_check_rule *rule;

    for (uint32_t i = 0; (rule = nr_review_rule(i)) != NULL; i++)
        printf("%-26s %-8s %s\n", rule->code, nr_diag_level_name(rule->level), rule->doc);
    return NR_EXIT_OK;
}

static void print_json(const char *path, const struct nr_diags *diags)
{
    struct nr_json *json = nr_review_json(path, diags);
    char *text = nr_json_dump(json, 2);

    puts(text);
    free(text);
    nr_json_free(json);
}

static void print_count(const char *before, uint32_t count, const char *what)
{
    printf("%s%u %s%s", before, count, what, count == 1 ? "" : "s");
}

static void print_text(const char *path, const struct nr_diags *diags)
{
    for (uint32_t i = 0; i < diags->count; i++) {
        const struct nr_diag *diag = &diags->items[i];

        if (diag->place.file != NULL)
            printf("%s:%u:%u: ", diag->place.file, diag->place.line, diag->place.column);
        printf("%s: %s [%s]\n", nr_diag_level_name(diag->level), diag->text, diag->code);
        if (diag->fix != NULL)
            printf("    fix: %s\n", diag->fix);
    }
    if (diags->errors + diags->warnings + diags->hints == 0) {
        printf("%s: no findings\n", path);
        return;
    }
    printf("%s: ", path);
    print_count("", diags->errors, "error");
    print_count(", ", diags->warnings, "warning");
    print_count(", ", diags->hints, "hint");
    puts("; naru check --explain CODE says more");
}

static bool fails(const struct nr_diags *diags, const char *level)
{
    return diags->errors > 0 || (strcmp(level, "warning") == 0 && diags->warnings > 0);
}

static int review(const struct nr_args *args, const char *level)
{
    bool json = args->values[JSON] != NULL;
    const char *path = args->values[CONFIG] != NULL ? args->values[CONFIG] : NR_CONFIG_PATH_DEFAULT;
    struct nr_config *config = NULL;
    struct nr_arena arena;
    struct nr_diags diags;
    int code;

    nr_arena_init(&arena, NULL, 0);
    nr_diags_init(&diags, &arena, FINDINGS_MAX);
    code = nr_cli_load_quietly(path, &diags, &config);
    if (code == NR_EXIT_OK) {
        nr_review(config, &diags);
        code = fails(&diags, level) ? NR_EXIT_FAILURE : NR_EXIT_OK;
    }
    if (json)
        print_json(path, &diags);
    else if (config == NULL)
        nr_cli_print_diags(&diags);
    else
        print_text(path, &diags);
    nr_config_unref(config);
    nr_arena_done(&arena);
    return code;
}

int nr_cmd_check(const struct nr_args *args)
{
    const char *level = args->values[FAIL_ON] == NULL ? "error" : args->values[FAIL_ON];

    if (strcmp(level, "error") != 0 && strcmp(level, "warning") != 0) {
        fprintf(stderr, "naru check: --fail-on is error or warning, not '%s'\n", level);
        return NR_EXIT_USAGE;
    }
    if (args->values[EXPLAIN] != NULL)
        return explain(args->values[EXPLAIN]);
    if (args->values[LIST] != NULL)
        return list();
    return review(args, level);
}
