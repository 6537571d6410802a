/* SPDX-License-Identifier: Apache-2.0 */
/* check.h - the machinery of `naru check`: rules that read a sound configuration and say what will
 * hurt in operation.
 *
 * A rule has a stable code that users can look up and cite; the module that knows the matter
 * exports its rules as a constant table, and the program lists the tables. Findings are
 * diagnostics: level, code, place, text, fix. */
#ifndef NR_CONFIG_CHECK_H
#define NR_CONFIG_CHECK_H

#include <stdint.h>

#include "config/config.h"
#include "config/diag.h"

struct nr_check_finder; /* what a rule reports to */

struct nr_check_rule {
    const char *code; /* "timeouts-inverted" */
    enum nr_diag_level level;
    const char *doc; /* one line: what it looks for, and why */
    void (*run)(const struct nr_config *config, struct nr_check_finder *finder);
};

struct nr_check_rules {
    const struct nr_check_rule *rules;
    uint32_t count;
};

/* Run all rules in order; findings go to diags, sorted by place. */
void nr_check_run(const struct nr_config *config, const struct nr_check_rules *sets,
                  uint32_t set_count, struct nr_diags *diags);

/* For rules: report at a field of a section (NULL: at the section). fix may be NULL. */
void nr_check_found(struct nr_check_finder *finder, const struct nr_section *at, const char *field,
                    const char *fix, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The same for what stands somewhere in the tree, rather than in a section. */
void nr_check_found_at(struct nr_check_finder *finder, struct nr_place place, const char *path,
                       const char *fix, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

#endif
