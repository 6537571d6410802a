/* SPDX-License-Identifier: Apache-2.0 */
#include "foresight/review.h"

#include <string.h>

#include "base/compiler.h"
#include "foresight/review_rules.h"

static const struct nr_check_rules *const sets[] = {
    &nr_review_time_rules,   &nr_review_retry_rules,  &nr_review_failure_rules,
    &nr_review_size_rules,   &nr_review_limit_rules,  &nr_review_policy_rules,
    &nr_service_check_rules, &nr_gateway_check_rules, &nr_gateway_shadow_rules,
    &nr_review_secret_rules, &nr_guard_check_rules,
};

void nr_review(const struct nr_config *config, struct nr_diags *diags)
{
    for (size_t i = 0; i < NR_COUNT(sets); i++)
        nr_check_run(config, sets[i], 1, diags);
}

const struct nr_check_rule *nr_review_rule(uint32_t i)
{
    for (size_t set = 0; set < NR_COUNT(sets); set++) {
        if (i < sets[set]->count)
            return &sets[set]->rules[i];
        i -= sets[set]->count;
    }
    return NULL;
}

const struct nr_check_rule *nr_review_rule_find(const char *code)
{
    const struct nr_check_rule *rule;

    for (uint32_t i = 0; (rule = nr_review_rule(i)) != NULL; i++)
        if (strcmp(rule->code, code) == 0)
            return rule;
    return NULL;
}

/* ---- for programs ---- */

static void set_text(struct nr_json *object, const char *key, const char *text)
{
    if (text != NULL && text[0] != '\0')
        nr_json_set(object, key, nr_json_string(nr_span_of(text)));
}

static struct nr_json *finding_json(const struct nr_diag *diag)
{
    struct nr_json *object = nr_json_object();

    set_text(object, "code", diag->code);
    set_text(object, "level", nr_diag_level_name(diag->level));
    if (diag->place.file != NULL) {
        set_text(object, "file", diag->place.file);
        nr_json_set(object, "line", nr_json_integer(diag->place.line));
        nr_json_set(object, "column", nr_json_integer(diag->place.column));
    }
    set_text(object, "path", diag->path);
    set_text(object, "reason", diag->text);
    set_text(object, "fix", diag->fix);
    return object;
}

struct nr_json *nr_review_json(const char *file, const struct nr_diags *diags)
{
    struct nr_json *json = nr_json_object(), *list = nr_json_array();

    for (uint32_t i = 0; i < diags->count; i++)
        nr_json_push(list, finding_json(&diags->items[i]));
    set_text(json, "file", file);
    nr_json_set(json, "errors", nr_json_integer(diags->errors));
    nr_json_set(json, "warnings", nr_json_integer(diags->warnings));
    nr_json_set(json, "hints", nr_json_integer(diags->hints));
    nr_json_set(json, "findings", list);
    return json;
}

/* ---- for people ---- */

/* In lines of at most 96 characters, each behind two blanks. */
static void put_wrapped(const char *text, struct nr_strbuf *to)
{
    while (*text != '\0') {
        size_t len = strlen(text);

        if (len > 96)
            for (len = 96; len > 1 && text[len] != ' '; len--) {}
        nr_strbuf_printf(to, "  %.*s\n", (int)len, text);
        text += len;
        text += strspn(text, " ");
    }
}

static void put_lines(const char *text, struct nr_strbuf *to)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");

        nr_strbuf_printf(to, "    %.*s\n", (int)len, text);
        text += len + (text[len] == '\n');
    }
}

void nr_review_explain(const struct nr_check_rule *rule, struct nr_strbuf *to)
{
    const struct nr_review_essay *essay = nr_review_essay(rule->code);

    nr_strbuf_printf(to, "%s (%s)\n\n", rule->code, nr_diag_level_name(rule->level));
    put_wrapped(rule->doc, to);
    if (essay == NULL)
        return;
    NR_STRBUF_LIT(to, "\nWhy it hurts\n");
    put_wrapped(essay->why, to);
    NR_STRBUF_LIT(to, "\nHow to mend it\n");
    put_wrapped(essay->mend, to);
    NR_STRBUF_LIT(to, "\n");
    put_lines(essay->example, to);
}

void nr_review_page(FILE *to)
{
    const struct nr_check_rule *rule;

    fputs("`naru check` loads a configuration and says what will hurt in operation. Every finding "
          "has\n"
          "a stable code, a level, its place, a reason and a fix; `naru check --explain CODE` "
          "prints\n"
          "what stands here.\n\n"
          "| code | level | what it looks for |\n|---|---|---|\n",
          to);
    for (uint32_t i = 0; (rule = nr_review_rule(i)) != NULL; i++)
        fprintf(to, "| [`%s`](#%s) | %s | %s |\n", rule->code, rule->code,
                nr_diag_level_name(rule->level), rule->doc);
    for (uint32_t i = 0; (rule = nr_review_rule(i)) != NULL; i++) {
        const struct nr_review_essay *essay = nr_review_essay(rule->code);

        fprintf(to, "\n## %s\n\n%s, %s\n", rule->code, nr_diag_level_name(rule->level), rule->doc);
        if (essay != NULL)
            fprintf(to, "\n%s\n\n**Mend it:** %s\n\n```yaml\n%s\n```\n", essay->why, essay->mend,
                    essay->example);
    }
}
