/* SPDX-License-Identifier: Apache-2.0 */
/* config_diff.h - one configuration against another. Internal to src/cli. */
#ifndef NR_CLI_CONFIG_DIFF_H
#define NR_CLI_CONFIG_DIFF_H

#include "config/config.h"

enum { NR_RESTART_FIELDS_MAX = 5 };

/* Which fields have changed that only a new process takes up; returns how many. */
uint32_t nr_cli_restart_fields(const struct nr_config *before, const struct nr_config *after,
                               const char *ret_fields[NR_RESTART_FIELDS_MAX]);

/* Print what changes from the one file to the other (NULL: the default). Exit code: 0 nothing,
 * 1 something, 3 one cannot be loaded. */
int nr_cli_config_diff(const char *old_path, const char *new_path);

#endif
