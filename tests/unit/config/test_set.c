/* SPDX-License-Identifier: Apache-2.0 */
/* Values from a command line take the place of what is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "config/node.h"

static const char file[] = "a: { b: 1, list: [x, y], short: 5 }\nn:\n";

static const struct {
    const char *set;
    const char *want; /* the tree as JSON, or the diagnostic */
} cases[] = {
    {"a.b=2", "{\"a\":{\"b\":2,\"list\":[\"x\",\"y\"],\"short\":5},\"n\":null}"},
    {"a.list[1]=z", "{\"a\":{\"b\":1,\"list\":[\"x\",\"z\"],\"short\":5},\"n\":null}"},
    {"a.list=[]", "{\"a\":{\"b\":1,\"list\":[],\"short\":5},\"n\":null}"},
    {"a.b={ c: [1] }", "{\"a\":{\"b\":{\"c\":[1]},\"list\":[\"x\",\"y\"],\"short\":5},\"n\":null}"},
    {"a.short.c=1", "{\"a\":{\"b\":1,\"list\":[\"x\",\"y\"],\"short\":{\"c\":1}},\"n\":null}"},
    {"n.m.o=1", "{\"a\":{\"b\":1,\"list\":[\"x\",\"y\"],\"short\":5},\"n\":{\"m\":{\"o\":1}}}"},
    {"p=1", "{\"a\":{\"b\":1,\"list\":[\"x\",\"y\"],\"short\":5},\"n\":null,\"p\":1}"},
    {"a.b=", "{\"a\":{\"b\":null,\"list\":[\"x\",\"y\"],\"short\":5},\"n\":null}"},
    {"a", "--set:1:1: expected path=value, got 'a'"},
    {"=1", "--set:1:1: expected path=value, got '=1'"},
    {"a.list[2]=z", "--set:1:7: there is nothing at 'a.list[2]'"},
    {"a.list[x]=z", "--set:1:7: there is nothing at 'a.list[x]'"},
    {"a.list[1=z", "--set:1:7: there is nothing at 'a.list[1'"},
    {"a..b=1", "--set:1:2: there is nothing at 'a..b'"},
    {"a.b[0]=1", "--set:1:4: there is nothing at 'a.b[0]'"},
};

static void what_is_set_stands(void **state)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct nr_node *root = NULL;
        struct nr_arena arena;
        struct nr_diags diags;
        char line[256];

        nr_arena_init(&arena, NULL, 0);
        nr_diags_init(&diags, &arena, 0);
        assert_int_equal(nr_node_parse(&arena, NULL, "f.yaml", nr_span_of(file), &diags, &root),
                         NR_OK);
        nr_node_set(&arena, NULL, root, cases[i].set, &diags);
        if (diags.count > 0) {
            nr_diag_format(&diags.items[0], line, sizeof(line));
            assert_string_equal(line, cases[i].want);
        } else {
            struct nr_json *json = nr_node_json(root);
            char *text = nr_json_dump(json, 0);

            assert_string_equal(text, cases[i].want);
            free(text);
            nr_json_free(json);
        }
        nr_arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_set_stands)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
