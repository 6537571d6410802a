/* SPDX-License-Identifier: Apache-2.0 */
/* config.h - a configuration: loaded once, immutable, shared by reference.
 *
 * A snapshot holds the tree as written and the structs of every root in one arena. Nothing in it
 * changes after loading, so any thread may read it; only the reference count is atomic, and a
 * worker takes one reference for many requests. State never lives here: it is keyed by name and
 * survives a reload. */
#ifndef NR_CONFIG_CONFIG_H
#define NR_CONFIG_CONFIG_H

#include <stdio.h>

#include "config/diag.h"
#include "config/node.h"
#include "config/schema.h"
#include "naru/err.h"

struct nr_config; /* opaque */

/* Load a file, or bytes called `name`, against the roots (borrowed for the snapshot's life, an
 * array of pointers to constants). Collects what is wrong in diags, warnings too; on NR_ECONFIG the
 * snapshot is not made. diags must have been init-ed with an arena that the caller keeps. */
enum nr_code nr_config_load(const struct nr_schema_root *const *roots, uint32_t root_count,
                            const struct nr_config_source *source, const char *path,
                            struct nr_diags *diags, struct nr_config **ret_config) NR_MUST_USE;
enum nr_code nr_config_load_bytes(const struct nr_schema_root *const *roots, uint32_t root_count,
                                  const struct nr_config_source *source, const char *name,
                                  struct nr_span bytes, struct nr_diags *diags,
                                  struct nr_config **ret_config) NR_MUST_USE;

/* The same for bytes that are the value of the root's field itself (a list, say) rather than a
 * mapping that holds it; such a mapping is taken too. Without includes. */
enum nr_code nr_config_load_value(const struct nr_schema_root *const *root,
                                  const struct nr_config_source *source, const char *name,
                                  struct nr_span bytes, struct nr_diags *diags,
                                  struct nr_config **ret_config) NR_MUST_USE;

struct nr_config *nr_config_ref(struct nr_config *config);
void nr_config_unref(struct nr_config *config); /* NULL is fine */

/* Is the caller's reference the only one? Then it stays that until the caller gives another. */
bool nr_config_alone(const struct nr_config *config);

/* The root's struct, always there and filled with defaults; NULL if the root was not among
 * those loaded. Modules wrap it: nr_gateway_conf_of(config). */
const void *nr_config_get(const struct nr_config *config, const struct nr_schema_root *root);

/* What it was loaded against. */
uint32_t nr_config_root_count(const struct nr_config *config);
const struct nr_schema_root *nr_config_root(const struct nr_config *config, uint32_t index);

/* All of it as written, includes merged and variables replaced. Never NULL. */
const struct nr_node *nr_config_tree(const struct nr_config *config);

/* Where "services.orders.retry" was written, or the nearest that encloses it. */
struct nr_place nr_config_where(const struct nr_config *config, const char *path);

/* ---- generators, from the same tables ---- */

/* JSON Schema, draft 2020-12, for editors. The caller frees. */
struct nr_json *nr_schema_json(const struct nr_schema_root *const *roots, uint32_t root_count);

/* The reference page, Markdown. */
void nr_schema_docs(const struct nr_schema_root *const *roots, uint32_t root_count, FILE *to);

/* The effective configuration with defaults, as YAML that loads to the same. Secrets are left
 * out (a comment stands there). */
void nr_config_print(const struct nr_config *config, FILE *to);

#endif
