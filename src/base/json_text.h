/* SPDX-License-Identifier: Apache-2.0 */
/* json_text.h - JSON written without a tree: log lines, one after the other, by the thousand.
 *
 * Writes into a fixed room and never beyond it; what does not fit makes the text `cut`, and the
 * caller then writes something smaller. No allocation. Not thread-safe. */
#ifndef NR_BASE_JSON_TEXT_H
#define NR_BASE_JSON_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "naru/span.h"

struct nr_json_text {
    char *at;
    char *end; /* one past the room */
    bool cut;
};

/* Bytes as they are: punctuation, names, numbers made elsewhere. */
void nr_json_text_raw(struct nr_json_text *to, struct nr_span bytes);

#define NR_JSON_TEXT_LIT(to, literal) nr_json_text_raw((to), NR_SPAN(literal))

void nr_json_text_u64(struct nr_json_text *to, uint64_t value);

/* value / 1000 with three decimals: microseconds as milliseconds. */
void nr_json_text_milli(struct nr_json_text *to, uint64_t value);

/* A string with its quotes. Quote, backslash and control characters are escaped; each byte that is
 * not part of well-formed UTF-8 (RFC 3629: no surrogates, nothing overlong) becomes \ufffd, so
 * a line is valid whatever a client sent. Beyond bytes_max bytes of text: cut at a character, with
 * an ellipsis. Source: RFC 8259, section 7. */
void nr_json_text_string(struct nr_json_text *to, struct nr_span text, size_t bytes_max);

/* Length in bytes of the well-formed UTF-8 character at the start of text (len > 0); 0: none. */
size_t nr_utf8_char(struct nr_span text);

#endif
