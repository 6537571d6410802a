/* SPDX-License-Identifier: Apache-2.0 */
/* pages.h - the reference pages that are made from tables of the program. */
#ifndef NR_CLI_PAGES_H
#define NR_CLI_PAGES_H

#include <stdio.h>

/* Every reason for which naru answers by itself: docs/reference/reasons.md. */
void nr_page_reasons(FILE *to);

/* Everything that naru check looks for: docs/reference/findings.md. */
void nr_page_findings(FILE *to);

/* Commands, options, exit codes: docs/reference/cli.md. */
void nr_page_cli(FILE *to);

#endif
