/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/serve.h"

#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/load.h"
#include "io/notify.h"

enum { CONFIG, TO, LISTEN, ADMIN }; /* serve_options in commands.c */

static int load(struct nr_serve *serve, const struct nr_args *args, struct nr_cli_files *files)
{
    struct nr_config **ret_config = &serve->config;

    if (args->values[TO] != NULL) {
        if (args->values[CONFIG] != NULL) {
            fputs("naru serve: --to stands for a file: give one of --to and --config\n", stderr);
            return NR_EXIT_USAGE;
        }
        return nr_cli_load_to(args->values[TO], args->values[LISTEN], args->values[ADMIN], files,
                              ret_config);
    }
    if (args->values[LISTEN] != NULL || args->values[ADMIN] != NULL) {
        fputs("naru serve: --listen and --admin go with --to; in a file they are "
              "gateway.listen and admin.listen\n",
              stderr);
        return NR_EXIT_USAGE;
    }
    serve->reload.path = args->values[CONFIG];
    if (serve->reload.path == NULL)
        serve->reload.path = NR_CONFIG_PATH_DEFAULT;
    if (strcmp(serve->reload.path, "-") == 0) /* standard input is read once */
        serve->reload.path = NULL;
    return nr_cli_load_files(args->values[CONFIG], files, ret_config);
}

int nr_cmd_serve(const struct nr_args *args)
{
    struct nr_serve *serve = calloc(1, sizeof(*serve));
    struct nr_cli_files files = {0};
    int code;

    if (serve == NULL)
        return NR_EXIT_FAILURE;
    nr_process_keep_no_memory();
    serve->notify = getenv("NOTIFY_SOCKET");
    serve->inherited = calloc(NR_INHERITED_MAX, sizeof(*serve->inherited));
    if (serve->inherited == NULL) {
        free(serve);
        return NR_EXIT_FAILURE;
    }
    serve->inherited_count = nr_inherited_sockets(serve->inherited, NR_INHERITED_MAX);
    serve->ready_fd = nr_inherited_ready_fd();
    files.original = nr_original_new();
    code = load(serve, args, &files);
    if (code == NR_EXIT_OK) {
        nr_serve_reload_init(serve, files.original);
        code = nr_serve_start(serve);
    }
    if (code == NR_EXIT_OK) {
        nr_serve_watch_files(serve, &files);
        nr_notify_ready(serve->notify);
        nr_inherited_report_ready(serve->ready_fd);
        nr_io_run(serve->control);
        for (uint32_t i = 0; i < serve->thread_count; i++)
            nr_thread_join(serve->workers[i].thread);
    }
    nr_cli_files_done(&files);
    nr_serve_free(serve);
    nr_config_unref(serve->config);
    free(serve);
    return code;
}
