/* SPDX-License-Identifier: Apache-2.0 */
#include "config/check.h"

#include <stdarg.h>
#include <stdio.h>

struct nr_check_finder {
    const struct nr_check_rule *rule;
    struct nr_diags *diags;
};

void nr_check_run(const struct nr_config *config, const struct nr_check_rules *sets,
                  uint32_t set_count, struct nr_diags *diags)
{
    for (uint32_t i = 0; i < set_count; i++)
        for (uint32_t j = 0; j < sets[i].count; j++) {
            struct nr_check_finder finder = {&sets[i].rules[j], diags};

            finder.rule->run(config, &finder);
        }
    nr_diags_sort(diags);
}

void nr_check_found(struct nr_check_finder *finder, const struct nr_section *at, const char *field,
                    const char *fix, const char *format, ...)
{
    char text[NR_ERR_TEXT_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    nr_diags_add(finder->diags, finder->rule->level, finder->rule->code,
                 nr_section_where(at, field), at->path, fix, "%s", text);
}

void nr_check_found_at(struct nr_check_finder *finder, struct nr_place place, const char *path,
                       const char *fix, const char *format, ...)
{
    char text[NR_ERR_TEXT_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    nr_diags_add(finder->diags, finder->rule->level, finder->rule->code, place, path, fix, "%s",
                 text);
}
