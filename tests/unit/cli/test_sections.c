/* SPDX-License-Identifier: Apache-2.0 */
/* What is committed about the configuration must be what the program would say today. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/pages.h"
#include "cli/sections.h"

/* From the place of this file, so that it works wherever the build directory is. */
static char *read_source(const char *path)
{
    char whole[1024];
    char *text = calloc(1, 1 << 20);
    FILE *from;

    snprintf(whole, sizeof(whole), "%.*s/../../../%s", (int)(strrchr(__FILE__, '/') - &__FILE__[0]),
             __FILE__, path);
    from = fopen(whole, "r");
    if (from == NULL)
        fail_msg("cannot read %s", whole);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 20) - 1, from) > 0);
    fclose(from);
    return text;
}

static void test_the_reference_page_is_current(void **state)
{
    char *committed = read_source("docs/reference/config.md");
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);

    nr_schema_docs(nr_section_roots, NR_SECTION_COUNT, to);
    fclose(to);
    if (strcmp(text, committed) != 0)
        fail_msg("docs/reference/config.md is stale: naru config docs > docs/reference/config.md");
    free(text);
    free(committed);
}

static void test_the_schema_is_current(void **state)
{
    char *committed = read_source("docs/reference/naru.schema.json");
    struct nr_json *schema = nr_schema_json(nr_section_roots, NR_SECTION_COUNT);
    char *text = nr_json_dump(schema, 2);
    size_t len = strlen(text);

    if (strncmp(text, committed, len) != 0 || strcmp(committed + len, "\n") != 0)
        fail_msg("docs/reference/naru.schema.json is stale: naru config schema > "
                 "docs/reference/naru.schema.json");
    free(text);
    nr_json_free(schema);
    free(committed);
}

static void page_is_current(void (*page)(FILE *to), const char *path, const char *name)
{
    char *committed = read_source(path);
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);

    page(to);
    fclose(to);
    if (strcmp(text, committed) != 0)
        fail_msg("%s is stale: naru config docs %s > %s", path, name, path);
    free(text);
    free(committed);
}

static void test_the_other_pages_are_current(void **state)
{
    page_is_current(nr_page_reasons, "docs/reference/reasons.md", "reasons");
    page_is_current(nr_page_findings, "docs/reference/findings.md", "findings");
    page_is_current(nr_page_cli, "docs/reference/cli.md", "cli");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_reference_page_is_current),
        cmocka_unit_test(test_the_other_pages_are_current),
        cmocka_unit_test(test_the_schema_is_current),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
