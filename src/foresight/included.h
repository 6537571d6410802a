/* SPDX-License-Identifier: Apache-2.0 */
/* included.h - the files of examples/scenarios, carried in the program. Constant. */
#ifndef NR_FORESIGHT_INCLUDED_H
#define NR_FORESIGHT_INCLUDED_H

#include "naru/span.h"

struct nr_included {
    const char *name; /* "dead-instance.yaml" */
    const char *text;
};

/* By name, ended by a NULL one. */
extern const struct nr_included nr_included[];

/* A file; NULL when there is none of that name. */
const char *nr_included_file(struct nr_span name);

/* The file of the scenario "dead-instance"; NULL likewise. */
const struct nr_included *nr_included_scenario(const char *name);

/* Is it a scenario (and not the configuration of one)? */
bool nr_included_is_scenario(const struct nr_included *file);

#endif
