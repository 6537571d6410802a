/* SPDX-License-Identifier: Apache-2.0 */
/* explain.h - a decision record in the words of a colleague, for whoever is woken by it.
 *
 * Works on the JSON of the admin surface (/v1/requests), not on struct nr_record: what is printed
 * is what naru tells about itself, a saved record can be explained later, and members that this
 * version has no words for are shown by their names instead of being lost. Pure: JSON in, text
 * out. Text is plain ASCII but for what the record itself holds; control characters are not passed
 * on to the terminal. */
#ifndef NR_FORESIGHT_EXPLAIN_H
#define NR_FORESIGHT_EXPLAIN_H

#include <stdbool.h>

#include "base/json.h"
#include "base/strbuf.h"
#include "naru/span.h"

/* One record: the request, the answer and why in a sentence, what to do, the chain step by step,
 * where the time went. */
void nr_explain_record(const struct nr_json *record, struct nr_strbuf *to);

/* Many, newest first, a line for each; an array of records. */
void nr_explain_list(const struct nr_json *records, struct nr_strbuf *to);

/* What a reason means and what to do: naru's own, or the codec's for what is not HTTP. false: there
 * is no such reason, and nothing was added. */
bool nr_explain_reason(struct nr_span name, struct nr_strbuf *to);
struct nr_json *nr_explain_reason_json(struct nr_span name); /* NULL: none; the caller frees */

/* The i-th of all reasons, for a hint at what was meant; NULL behind the last. */
const char *nr_explain_reason_name(uint32_t i);

#endif
