/* SPDX-License-Identifier: Apache-2.0 */
/* text.h - small questions about text that the loader, and others who refuse what they do not know,
 * ask. Pure. */
#ifndef NR_CONFIG_TEXT_H
#define NR_CONFIG_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "naru/span.h"

/* The first character that a YAML file may not hold: bytes that are not UTF-8, or control
 * characters. Returns false when there is one, with its line and column (1-based) and what it is.
 */
bool nr_text_sound(struct nr_span bytes, uint32_t *ret_line, uint32_t *ret_column,
                   const char **ret_what);

/* Is the whole of it UTF-8 without NUL? */
bool nr_text_utf8(struct nr_span bytes);

/* The candidate that was probably meant: at most two slips away (a letter more, less,
 * other, or two swapped: Damerau-Levenshtein, restricted), fewer for short words. Feed
 * candidates one by one; `best` is empty until one is near enough. */
struct nr_suggest {
    struct nr_span word;
    struct nr_span best;
    uint32_t distance;
};

void nr_suggest_init(struct nr_suggest *suggest, struct nr_span word);
void nr_suggest_try(struct nr_suggest *suggest, struct nr_span candidate);

/* ", did you mean 'retries'?" in the arena, or "". */
const char *nr_suggest_text(const struct nr_suggest *suggest, struct nr_arena *arena);

/* For messages: 'text' in quotes, cut when long, line breaks shown as \n. In the arena. */
const char *nr_text_quote(struct nr_span text, struct nr_arena *arena);

#endif
