/* SPDX-License-Identifier: Apache-2.0 */
/* diag.h - what is wrong with a configuration, and where: diagnostics and findings.
 *
 * A list has room for a bounded number of entries, so that a file that is wrong
 * everywhere stays readable; what did not fit is counted. Texts live in the arena that
 * the list was made with. Prints as `naru.yaml:14:7: unknown field 'retires', did you
 * mean 'retries'?`. Not thread-safe. */
#ifndef NR_CONFIG_DIAG_H
#define NR_CONFIG_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "naru/err.h"

/* Where something was written: 1-based, columns count characters. file is NUL-terminated and
 * lives as long as the configuration; NULL when nothing was written anywhere. */
struct nr_place {
    const char *file;
    uint32_t line;
    uint32_t column;
};

enum nr_diag_level {
    NR_DIAG_ERROR,   /* the configuration is refused */
    NR_DIAG_WARNING, /* it works, and will hurt */
    NR_DIAG_HINT,    /* it works, and could be better */
};

struct nr_diag {
    enum nr_diag_level level;
    const char *code; /* stable: "timeouts-inverted"; "config" for what the loader finds */
    struct nr_place place;
    const char *path; /* "services.orders.retry.attempts"; "" when none */
    const char *text; /* one line, no full stop */
    const char *fix;  /* what to write instead; NULL when the text says it all */
};

enum { NR_DIAGS_MAX = 20 };

struct nr_diags {
    struct nr_arena *arena; /* borrowed */
    struct nr_diag *items;  /* in the arena */
    uint32_t count;
    uint32_t max;
    uint32_t dropped; /* did not fit; still counted below */
    uint32_t errors;
    uint32_t warnings;
    uint32_t hints;
};

/* max 0 means NR_DIAGS_MAX. The arena must outlive the list. */
void nr_diags_init(struct nr_diags *diags, struct nr_arena *arena, uint32_t max);

/* code, path and fix may be NULL and are copied. */
void nr_diags_add(struct nr_diags *diags, enum nr_diag_level level, const char *code,
                  struct nr_place place, const char *path, const char *fix, const char *format, ...)
    __attribute__((format(printf, 7, 8)));

/* An error of the loader, without path and fix. */
void nr_diags_error(struct nr_diags *diags, struct nr_place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* By file, line and column, as a reader goes through them. */
void nr_diags_sort(struct nr_diags *diags);

/* "FILE:LINE:COLUMN: TEXT" (without the place when there is none), NUL-terminated, cut to room.
 * Returns the length of what was written. */
size_t nr_diag_format(const struct nr_diag *diag, char *to, size_t room);

/* "error", "warning", "hint" */
const char *nr_diag_level_name(enum nr_diag_level level);

/* Turn the first error into err and return NR_ECONFIG; NR_OK when there is no error. */
enum nr_code nr_diags_code(const struct nr_diags *diags, struct nr_err *err) NR_MUST_USE;

#endif
