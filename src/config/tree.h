/* SPDX-License-Identifier: Apache-2.0 */
/* tree.h - the steps of which node.h is made. Private to config. */
#ifndef NR_CONFIG_TREE_H
#define NR_CONFIG_TREE_H

#include "config/node.h"

/* One file without its includes: YAML events to a tree. *ret_root may be of any kind, NULL for an
 * empty file. What is wrong goes to diags; the tree is then incomplete. `file` must live in
 * the arena. */
void nr_tree_build(struct nr_arena *arena, const struct nr_config_source *source, const char *file,
                   struct nr_span bytes, struct nr_diags *diags, struct nr_node **ret_root);

/* Replace ${NAME}, ${NAME:-default} and $$. The result is in the arena and NUL-terminated. On
 * failure reports at place and returns text as it was. */
struct nr_span nr_tree_interpolate(struct nr_arena *arena, const struct nr_config_source *source,
                                   struct nr_place place, struct nr_span text,
                                   struct nr_diags *diags);

void nr_node_append(struct nr_node *parent, struct nr_node *child);

#endif
