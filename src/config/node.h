/* SPDX-License-Identifier: Apache-2.0 */
/* node.h - a YAML file as a small tree that knows where each thing was written.
 *
 * Only what a configuration needs: scalars, sequences and mappings with text keys, in
 * UTF-8. Refused, each with its place: duplicate keys, anchors, aliases, tags,
 * several documents, nesting beyond NR_NODE_DEPTH_MAX, files beyond
 * NR_NODE_FILE_BYTES_MAX. All memory is the caller's arena. Pure but for the
 * callbacks of nr_config_source, by which files and the environment come in.
 *
 * Scalars carry text: what it means is the schema's business, so `9` is text where a
 * text is expected and a number where a number is. ${NAME} and ${NAME:-default} in
 * values are replaced from the environment ($$ is a dollar sign); keys are not.
 *
 * `include: FILE`, or a list of files, at top level merges the top-level sections of other files,
 * named relative to the file that says so; the last part of a name may hold wildcards (*.yaml).
 * The same entry in two files is refused with both places, and so are cycles. */
#ifndef NR_CONFIG_NODE_H
#define NR_CONFIG_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/json.h"
#include "config/diag.h"
#include "naru/err.h"
#include "naru/span.h"

enum {
    NR_NODE_DEPTH_MAX = 32,
    NR_NODE_FILE_BYTES_MAX = 64 * 1024 * 1024, /* 100,000 routes are 5 MiB */
    NR_NODE_FILES_MAX = 256,                   /* with includes */
};

/* Read the whole file into the arena (bytes need no NUL). More than bytes_max is an error. The
 * error text says only what went wrong ("no such file"): the loader adds where it was asked for. */
typedef enum nr_code (*nr_config_read_fn)(void *arg, const char *path, size_t bytes_max,
                                          struct nr_arena *arena, struct nr_span *ret_bytes,
                                          struct nr_err *err);

/* The names (not paths) of the files in a directory, in the arena, NUL-terminated; any order. */
typedef enum nr_code (*nr_config_list_fn)(void *arg, const char *directory, struct nr_arena *arena,
                                          struct nr_span **ret_names, uint32_t *ret_count,
                                          struct nr_err *err);

/* The variable's value, NULL when it is not set. Only used before the next call. */
typedef const char *(*nr_config_getenv_fn)(void *arg, const char *name);

/* Where configuration comes from. Any callback may be NULL: there are then no files, no
 * wildcards in includes, no variables. */
struct nr_config_source {
    void *arg;
    nr_config_read_fn read;
    nr_config_list_fn list;
    nr_config_getenv_fn getenv;
    const char *const *sets; /* "services.orders.retry.attempts=1": what stands instead of what is
                                written, from a command line */
    uint32_t set_count;
};

enum nr_node_kind { NR_NODE_SCALAR, NR_NODE_SEQUENCE, NR_NODE_MAPPING };

struct nr_node {
    enum nr_node_kind kind;
    bool quoted;   /* a scalar in quotes or a block: always text, never null, bool or number */
    bool variable; /* a scalar with ${NAME} whose value does not stand in the file */
    bool null;     /* a plain scalar that is empty, ~ or null: as if it had not been written */
    struct nr_place place;
    struct nr_span text; /* scalar: NUL-terminated in the arena, variables replaced */
    struct nr_span key;  /* of this entry in its mapping, NUL-terminated; ptr NULL elsewhere */
    struct nr_place key_place;
    struct nr_node *first; /* children of a sequence or mapping, in the order written */
    struct nr_node *last;
    struct nr_node *next; /* sibling */
    uint32_t count;       /* children */
};

/* Parse bytes that are called `name` in diagnostics, includes followed through source. *ret_root is
 * a mapping (an empty file gives an empty one). All that is wrong goes to diags; NR_ECONFIG
 * when there is an error, and *ret_root is then untouched. */
enum nr_code nr_node_parse(struct nr_arena *arena, const struct nr_config_source *source,
                           const char *name, struct nr_span bytes, struct nr_diags *diags,
                           struct nr_node **ret_root) NR_MUST_USE;

/* The same for a file. */
enum nr_code nr_node_load(struct nr_arena *arena, const struct nr_config_source *source,
                          const char *path, struct nr_diags *diags,
                          struct nr_node **ret_root) NR_MUST_USE;

/* The entry of a mapping; NULL when node is NULL, not a mapping, or has none. */
const struct nr_node *nr_node_get(const struct nr_node *node, struct nr_span key);

/* "services.orders.instances[1]"; NULL when there is nothing there. */
const struct nr_node *nr_node_find(const struct nr_node *root, const char *path);

/* Put what is written behind '=' (YAML) at the path before it, which names an entry of mappings
 * ("services.orders.retry.attempts") or an element that there is ("gateway.listen[0].address").
 * Mappings on the way are made. What is wrong goes to diags, under the name "--set". */
void nr_node_set(struct nr_arena *arena, const struct nr_config_source *source,
                 struct nr_node *root, const char *set, struct nr_diags *diags);

/* Where the entry begins: its key in a mapping, itself elsewhere. */
struct nr_place nr_node_place(const struct nr_node *node);

/* As JSON; plain scalars by the core schema of YAML 1.2 (null, true, false, numbers). The caller
 * frees. */
struct nr_json *nr_node_json(const struct nr_node *node);

#endif
