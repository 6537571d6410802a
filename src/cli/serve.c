/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/serve.h"

#include <stdlib.h>

#include "cli/command.h"
#include "cli/load.h"

enum { CONFIG, TO, LISTEN, ADMIN }; /* serve_options in commands.c */

static int load(const struct nr_args *args, struct nr_config **ret_config)
{
    if (args->values[TO] != NULL) {
        if (args->values[CONFIG] != NULL) {
            fputs("naru serve: --to stands for a file: give one of --to and --config\n", stderr);
            return NR_EXIT_USAGE;
        }
        return nr_cli_load_to(args->values[TO], args->values[LISTEN], args->values[ADMIN],
                              ret_config);
    }
    if (args->values[LISTEN] != NULL || args->values[ADMIN] != NULL) {
        fputs("naru serve: --listen and --admin go with --to; in a file they are "
              "gateway.listen and admin.listen\n",
              stderr);
        return NR_EXIT_USAGE;
    }
    return nr_cli_load(args->values[CONFIG], ret_config);
}

int nr_cmd_serve(const struct nr_args *args)
{
    struct nr_serve *serve = calloc(1, sizeof(*serve));
    int code;

    if (serve == NULL)
        return NR_EXIT_FAILURE;
    code = load(args, &serve->config);
    if (code == NR_EXIT_OK)
        code = nr_serve_start(serve);
    if (code == NR_EXIT_OK) {
        nr_io_run(serve->control);
        for (uint32_t i = 0; i < serve->thread_count; i++)
            nr_thread_join(serve->workers[i].thread);
    }
    nr_serve_free(serve);
    nr_config_unref(serve->config);
    free(serve);
    return code;
}
