/* SPDX-License-Identifier: Apache-2.0 */
/* sections.h - which sections of the configuration this program knows: every module declares its
 * own, here they are joined. Constant. */
#ifndef NR_CLI_SECTIONS_H
#define NR_CLI_SECTIONS_H

#include "config/config.h"

enum { NR_SECTION_COUNT = 7 };

/* In the order in which reference page and printout show them. */
extern const struct nr_schema_root *const nr_section_roots[NR_SECTION_COUNT];
#endif
