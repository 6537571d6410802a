/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/pages.h"

#include "base/reason.h"
#include "cli/command.h"
#include "codec/h1.h"
#include "foresight/review.h"

static const char generated[] =
    "<!-- Made by `naru config docs %s`; edit the tables in the source, not this page. -->\n\n";

void nr_page_reasons(FILE *to)
{
    fputs("# Reasons\n\n", to);
    fprintf(to, generated, "reasons");
    fputs("When naru answers a request itself, or loses one, it says why in one stable word: as\n"
          "`reason` in the answer (`application/problem+json`), in the access log, in\n"
          "`naru_reasons_total` and in the decision record (`/v1/requests/{id}` on the admin\n"
          "listener). Words are added, never changed. `naru explain --reason CODE` prints the "
          "same.\n\n"
          "499 appears in records and logs only: the client had left and got no answer.\n\n"
          "| reason | status | meaning | what to do |\n|---|---|---|---|\n",
          to);
    for (int i = NR_REASON_NONE + 1; i < NR_REASONS; i++) {
        enum nr_reason reason = (enum nr_reason)i;

        if (nr_reason_status(reason) != 0)
            fprintf(to, "| `%s` | %u | %s | %s |\n", nr_reason_name(reason),
                    nr_reason_status(reason), nr_reason_detail(reason), nr_reason_advice(reason));
        else
            fprintf(to, "| `%s` | – | %s | %s |\n", nr_reason_name(reason),
                    nr_reason_detail(reason), nr_reason_advice(reason));
    }
    fputs("\n## Requests that are not HTTP\n\n"
          "A request that naru cannot read in exactly one way is refused, and the connection\n"
          "closed. The metric counts it as `bad_request` with its cause\n"
          "(`naru_bad_requests_total`); answer and log name the cause itself.\n\n"
          "| reason | status |\n|---|---|\n",
          to);
    for (int i = NR_H1_OK + 1; i < NR_H1_REASONS; i++) {
        enum nr_h1_reason reason = (enum nr_h1_reason)i;

        if (nr_h1_reason_status(reason) != 0)
            fprintf(to, "| `%s` | %u |\n", nr_h1_reason_text(reason), nr_h1_reason_status(reason));
        else
            fprintf(to, "| `%s` | – |\n", nr_h1_reason_text(reason));
    }
}

void nr_page_findings(FILE *to)
{
    fputs("# Findings of naru check\n\n", to);
    fprintf(to, generated, "findings");
    nr_review_page(to);
}

void nr_page_cli(FILE *to)
{
    fputs("# Command line\n\n", to);
    fprintf(to, generated, "cli");
    fputs("```\n", to);
    nr_help_print(NULL, to);
    fputs("```\n\n## Exit codes\n\n| code | meaning |\n|---|---|\n", to);
    nr_help_exit_codes(to, "| %d | %s |\n");
    for (const struct nr_command *const *at = nr_commands; *at != NULL; at++) {
        fprintf(to, "\n## naru %s\n\n```\n", (*at)->name);
        nr_help_print(*at, to);
        fputs("```\n", to);
    }
}
