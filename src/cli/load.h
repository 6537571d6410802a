/* SPDX-License-Identifier: Apache-2.0 */
/* load.h - the program's configuration: where it comes from. */
#ifndef NR_CLI_LOAD_H
#define NR_CLI_LOAD_H

#include "base/strbuf.h"
#include "config/config.h"
#include "config/original.h"

#define NR_CONFIG_PATH_DEFAULT "naru.yaml"

/* What a configuration was read from: files, and the directories that were searched. */
struct nr_cli_files {
    char **paths; /* owned */
    uint32_t count;
    struct nr_original
        *original; /* owned; set beforehand: keeps what is read. NULL: nothing does */
};
void nr_cli_files_done(struct nr_cli_files *files);

/* Load a file (NULL: the default; "-": standard input), or print on stderr what is wrong with it, a
 * line for each, and return NR_EXIT_CONFIG. Warnings are printed, too. */
int nr_cli_load(const char *path, struct nr_config **ret_config);

/* What to load, if it is not simply the program's configuration from a file. */
struct nr_cli_load {
    const struct nr_schema_root *const *roots;
    uint32_t root_count;
    const char *path;
    const char *text;        /* NULL: the file at path; else path is only its name */
    const char *const *sets; /* "path=value", instead of what is written */
    uint32_t set_count;
};
int nr_cli_load_as(const struct nr_cli_load *load, struct nr_config **ret_config);

/* The same, printing nothing: what is wrong is in diags, which the caller has init-ed. */
int nr_cli_load_quietly(const char *path, struct nr_diags *diags, struct nr_config **ret_config);

/* The same, telling what was read; files may be NULL. */
int nr_cli_load_files(const char *path, struct nr_cli_files *files, struct nr_config **ret_config);

/* Load again for a process that runs: text (NULL: the file at path), printing nothing. diags gets
 * errors and warnings, sorted; files what was read. On failure *ret_config stays. Any thread, one
 * at a time. */
enum nr_code nr_cli_reload(const char *path, const struct nr_span *text, struct nr_cli_files *files,
                           struct nr_diags *diags, struct nr_config **ret_config) NR_MUST_USE;

/* Load one that was loaded before, as it was then. */
enum nr_code nr_cli_load_original(const struct nr_original *original, struct nr_diags *diags,
                                  struct nr_config **ret_config) NR_MUST_USE;

/* The configuration that --to stands for. */
int nr_cli_load_to(const char *to, const char *listen, const char *admin,
                   struct nr_cli_files *files, struct nr_config **ret_config);

/* Print diagnostics on stderr; how many there are of each kind, when there are many. */
void nr_cli_print_diags(const struct nr_diags *diags);

#endif
