/* SPDX-License-Identifier: Apache-2.0 */
/* sections.h - which sections of the configuration this program knows, and which rules it checks:
 * every module declares its own, here they are joined. Constant. */
#ifndef NR_CLI_SECTIONS_H
#define NR_CLI_SECTIONS_H

#include "config/check.h"
#include "config/config.h"

enum { NR_SECTION_COUNT = 7 };

/* In the order in which reference page and printout show them. */
extern const struct nr_schema_root *const nr_section_roots[NR_SECTION_COUNT];

/* Run all rules of all modules (nr_check_run). */
void nr_section_check(const struct nr_config *config, struct nr_diags *diags);

#endif
