/* SPDX-License-Identifier: Apache-2.0 */
/* load.h - the program's configuration: where it comes from. */
#ifndef NR_CLI_LOAD_H
#define NR_CLI_LOAD_H

#include "config/config.h"

#define NR_CONFIG_PATH_DEFAULT "naru.yaml"

/* Load a file (NULL: the default; "-": standard input), or print on stderr what is wrong with it, a
 * line for each, and return NR_EXIT_CONFIG. Warnings are printed, too. */
int nr_cli_load(const char *path, struct nr_config **ret_config);

/* The configuration that --to stands for. */
int nr_cli_load_to(const char *to, const char *listen, const char *admin,
                   struct nr_config **ret_config);

/* Print diagnostics on stderr; how many there are of each kind, when there are many. */
void nr_cli_print_diags(const struct nr_diags *diags);

#endif
