/* SPDX-License-Identifier: Apache-2.0 */
/* load.h - tree + tables → structs. Private to config. */
#ifndef NR_CONFIG_LOAD_H
#define NR_CONFIG_LOAD_H

#include <stdatomic.h>

#include "config/config.h"
#include "config/schema.h"

struct nr_config {
    _Atomic uint32_t refs;
    struct nr_arena arena;
    struct nr_node *tree;
    const struct nr_schema_root *const *roots;
    uint32_t root_count;
    void **structs; /* one per root */
};

/* Fill the struct of one root from the tree (its entry may be missing). */
void nr_load_root(struct nr_arena *arena, struct nr_diags *diags, const struct nr_schema_root *root,
                  const struct nr_node *tree, void *to);

/* Report entries of the mapping that are neither in the list of names nor allowed. `what` is
 * "field" or "section". */
void nr_load_unknown(struct nr_arena *arena, struct nr_diags *diags, const struct nr_node *mapping,
                     const char *path, const char *what,
                     struct nr_span (*name_at)(const void *arg, uint32_t index), const void *arg,
                     uint32_t count);

#endif
