/* SPDX-License-Identifier: Apache-2.0 */
/* explain.h - the ways to ask `naru explain`. Internal to src/cli. */
#ifndef NR_CLI_EXPLAIN_H
#define NR_CLI_EXPLAIN_H

#include "cli/command.h"

/* As explain_options in commands.c. */
enum nr_explain_option {
    NR_EXPLAIN_ROUTE,
    NR_EXPLAIN_HEADER,
    NR_EXPLAIN_CONFIG,
    NR_EXPLAIN_JSON,
    NR_EXPLAIN_LAST,
    NR_EXPLAIN_STATUS,
    NR_EXPLAIN_REASON,
    NR_EXPLAIN_SERVICE,
    NR_EXPLAIN_ADMIN,
    NR_EXPLAIN_TOKEN_FILE,
};

/* A request on paper (explain_route.c); --route was given. */
int nr_explain_route(const struct nr_args *args);

#endif
