/* SPDX-License-Identifier: Apache-2.0 */
/* explain_parts.h - the chapters of an explanation, and how values are written. Internal to
 * src/foresight. */
#ifndef NR_FORESIGHT_EXPLAIN_PARTS_H
#define NR_FORESIGHT_EXPLAIN_PARTS_H

#include "base/json.h"
#include "base/strbuf.h"

/* What happened, in order. */
void nr_explain_steps(const struct nr_json *record, struct nr_strbuf *to);

/* Where the time went. */
void nr_explain_ledger(const struct nr_json *record, struct nr_strbuf *to);

/* "refused the connection"; the result's own word when there is no phrase for it. */
struct nr_span nr_explain_result(const struct nr_json *attempt);

/* Text without control characters. */
void nr_explain_text(struct nr_strbuf *to, struct nr_span text);

/* "0.30 ms", "12.5 ms", "1534 ms" */
void nr_explain_ms(struct nr_strbuf *to, double ms);

/* Any value: scalars as they are, objects as "key value, key value" with units from their names
 * ("wait_ms": 3 is "wait 3.00 ms"), lists with "; " between. */
void nr_explain_value(struct nr_strbuf *to, const char *key, const struct nr_json *value);

/* "half_open_probes" → "half open probes"; a unit at its end is left out. */
void nr_explain_key(struct nr_strbuf *to, const char *key);

#endif
