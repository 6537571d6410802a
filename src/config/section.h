/* SPDX-License-Identifier: Apache-2.0 */
/* section.h - two loaded sections side by side: equal or not, and a copy that outlives its
 * configuration.
 *
 * A reload leaves alone what did not change, so it must be able to tell, and what lives on keeps
 * its own copy: a listener that never changes must not hold on to the file of a year ago. Both
 * follow the schema's tables, so a new field takes part without a line here. What a section holds
 * beside the fields of its table is copied bit by bit and not compared.
 *
 * Pure. The copy knows nothing of where it was written (nr_section_has is false for each field). */
#ifndef NR_CONFIG_SECTION_H
#define NR_CONFIG_SECTION_H

#include <stdbool.h>

#include "base/arena.h"
#include "config/schema.h"

/* The schema of the sections behind `name` in this one; aborts if there is no such field. */
const struct nr_schema *nr_schema_of(const struct nr_schema *schema, const char *name);

/* Would both print the same, apart from where they stand and what they are called? */
bool nr_section_equal(const struct nr_schema *schema, const void *a, const void *b);

/* The same for a top-level section, by what nr_config_get gives of it. */
bool nr_section_root_equal(const struct nr_schema_root *root, const void *a, const void *b);

/* A copy with everything that it points to. */
void *nr_section_copy(const struct nr_schema *schema, const void *from, struct nr_arena *arena);

#endif
