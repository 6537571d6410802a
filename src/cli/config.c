/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/json.h"
#include "cli/command.h"
#include "cli/config_diff.h"
#include "cli/load.h"
#include "cli/pages.h"
#include "cli/sections.h"
#include "foresight/scenario.h"

static int print_schema(const char *page)
{
    bool scenario = page != NULL && strcmp(page, "scenario") == 0;
    struct nr_json *schema = scenario ? nr_schema_json(nr_scenario_roots, NR_SCENARIO_ROOTS)
                                      : nr_schema_json(nr_section_roots, NR_SECTION_COUNT);
    char *text;

    if (page != NULL && !scenario) {
        fprintf(stderr, "naru config schema: no '%s'; there is scenario\n", page);
        nr_json_free(schema);
        return NR_EXIT_USAGE;
    }
    if (scenario)
        nr_json_set(schema, "title", nr_json_string(NR_SPAN("a scenario of naru simulate")));
    text = nr_json_dump(schema, 2);
    puts(text);
    free(text);
    nr_json_free(schema);
    return NR_EXIT_OK;
}

static int print_docs(const char *page)
{
    if (page == NULL || strcmp(page, "config") == 0) {
        nr_schema_docs(nr_section_roots, NR_SECTION_COUNT, stdout);
        return NR_EXIT_OK;
    }
    if (strcmp(page, "reasons") == 0) {
        nr_page_reasons(stdout);
        return NR_EXIT_OK;
    }
    if (strcmp(page, "findings") == 0) {
        nr_page_findings(stdout);
        return NR_EXIT_OK;
    }
    if (strcmp(page, "cli") == 0) {
        nr_page_cli(stdout);
        return NR_EXIT_OK;
    }
    fprintf(stderr, "naru config docs: no page '%s'; there are config, reasons, findings and cli\n",
            page);
    return NR_EXIT_USAGE;
}

static int print_effective(const char *path)
{
    struct nr_config *config = NULL;
    int code = nr_cli_load(path, &config);

    if (code != NR_EXIT_OK)
        return code;
    nr_config_print(config, stdout);
    nr_config_unref(config);
    return NR_EXIT_OK;
}

static int diff(const struct nr_args *args)
{
    if (args->word_count < 2) {
        fprintf(stderr,
                "naru config diff: against which file? naru config diff OLD.yaml -c NEW.yaml\n");
        return NR_EXIT_USAGE;
    }
    return nr_cli_config_diff(args->words[1], args->values[0]);
}

int nr_cmd_config(const struct nr_args *args)
{
    bool docs = strcmp(args->words[0], "docs") == 0;

    if (strcmp(args->words[0], "schema") == 0)
        return print_schema(args->words[1]);
    if (strcmp(args->words[0], "diff") == 0)
        return diff(args);
    if (!docs && args->word_count > 1) {
        fprintf(stderr, "naru config %s: '%s' is one word too many\n", args->words[0],
                args->words[1]);
        return NR_EXIT_USAGE;
    }
    if (docs)
        return print_docs(args->words[1]);
    return print_effective(args->values[0]);
}
