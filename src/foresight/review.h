/* SPDX-License-Identifier: Apache-2.0 */
/* review.h - `naru check`: a design review of a configuration that is sound by itself.
 *
 * Each module knows its own mistakes and exports rules for them (config/check.h); what lies between
 * modules - whether times, attempts, sizes and declared facts about services and callers fit
 * together - is found here. All rules run as one list, with one essay for each (essays.c), so a
 * finding has a code, a level, a place, a reason, a fix, and a page. */
#ifndef NR_FORESIGHT_REVIEW_H
#define NR_FORESIGHT_REVIEW_H

#include <stdio.h>

#include "base/json.h"
#include "base/strbuf.h"
#include "config/check.h"

/* Run all rules; findings go to diags, sorted by place. */
void nr_review(const struct nr_config *config, struct nr_diags *diags);

/* The i-th of all rules; NULL behind the last. */
const struct nr_check_rule *nr_review_rule(uint32_t i);
const struct nr_check_rule *nr_review_rule_find(const char *code); /* NULL: none */

/* What a rule is about, for people who meet it for the first time. */
struct nr_review_essay {
    const char *code;
    const char *why;     /* it hurts */
    const char *mend;    /* what to do */
    const char *example; /* YAML that has been mended, in lines */
};

const struct nr_review_essay *nr_review_essay(const char *code); /* NULL: none */

/* The essay as text. */
void nr_review_explain(const struct nr_check_rule *rule, struct nr_strbuf *to);

/* All findings, for programs. The caller frees. */
struct nr_json *nr_review_json(const char *file, const struct nr_diags *diags);

/* The reference page, Markdown. */
void nr_review_page(FILE *to);

#endif
