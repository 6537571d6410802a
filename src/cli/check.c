/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "cli/command.h"
#include "cli/load.h"
#include "cli/sections.h"

int nr_cmd_check(const struct nr_args *args)
{
    struct nr_config *config = NULL;
    struct nr_arena arena;
    struct nr_diags diags;
    int code = nr_cli_load(args->values[0], &config);

    if (code != NR_EXIT_OK)
        return code;
    nr_arena_init(&arena, NULL, 0);
    nr_diags_init(&diags, &arena, 200);
    nr_section_check(config, &diags);
    nr_cli_print_diags(&diags);
    if (diags.errors == 0 && diags.warnings == 0)
        printf("%s: no findings\n",
               args->values[0] != NULL ? args->values[0] : NR_CONFIG_PATH_DEFAULT);
    else
        fprintf(stderr, "naru check: %u %s, %u %s\n", diags.errors,
                diags.errors == 1 ? "error" : "errors", diags.warnings,
                diags.warnings == 1 ? "warning" : "warnings");
    code = diags.errors > 0 ? NR_EXIT_FAILURE : NR_EXIT_OK;
    nr_arena_done(&arena);
    nr_config_unref(config);
    return code;
}
