/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "config/node.h"

/* A small world of files and variables. */
struct file {
    const char *path;
    const char *text;
};

static const struct file *files;

static enum nr_code read_file(void *arg, const char *path, size_t bytes_max, struct nr_arena *arena,
                              struct nr_span *ret_bytes, struct nr_err *err)
{
    for (const struct file *file = files; file != NULL && file->path != NULL; file++)
        if (strcmp(file->path, path) == 0) {
            *ret_bytes = nr_span_of(file->text);
            return NR_OK;
        }
    return nr_err_set(err, NR_ENOENT, "no such file");
}

static enum nr_code list_files(void *arg, const char *directory, struct nr_arena *arena,
                               struct nr_span **ret_names, uint32_t *ret_count, struct nr_err *err)
{
    struct nr_span *names = nr_arena_alloc(arena, 16 * sizeof(*names));
    uint32_t count = 0;

    for (const struct file *file = files; file->path != NULL; file++)
        if (strncmp(file->path, directory, strlen(directory)) == 0)
            names[count++] = nr_span_of(file->path + strlen(directory));
    if (count == 0)
        return nr_err_set(err, NR_ENOENT, "no such directory");
    *ret_names = names;
    *ret_count = count;
    return NR_OK;
}

static const char *get_variable(void *arg, const char *name)
{
    if (strcmp(name, "PORT") == 0)
        return "8080";
    if (strcmp(name, "EMPTY") == 0)
        return "";
    if (strcmp(name, "TRICK") == 0)
        return "${PORT}: [";
    return strcmp(name, "LATIN") == 0 ? "\xe9" : NULL;
}

static const struct nr_config_source source = {
    .read = read_file, .list = list_files, .getenv = get_variable};

struct world {
    struct nr_arena arena;
    struct nr_diags diags;
    struct nr_node *root;
    enum nr_code code;
};

static void open_world(struct world *w)
{
    *w = (struct world){0};
    nr_arena_init(&w->arena, NULL, 0);
    nr_diags_init(&w->diags, &w->arena, 0);
}

static void parse(struct world *w, struct nr_span text)
{
    open_world(w);
    w->code = nr_node_parse(&w->arena, &source, "naru.yaml", text, &w->diags, &w->root);
}

/* Every diagnostic, one a line. */
static void assert_diags(const struct world *w, const char *expected)
{
    char all[4096] = "", line[512];

    for (uint32_t i = 0; i < w->diags.count; i++) {
        nr_diag_format(&w->diags.items[i], line, sizeof(line));
        snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i == 0 ? "" : "\n", line);
    }
    assert_string_equal(all, expected);
}

static void test_refuses_with_the_place(void **state)
{
    static const struct {
        const char *text;
        const char *expected;
    } cases[] = {
        {"a: 1\nb: 2\na: 3\n", "naru.yaml:3:1: 'a' is there twice, first at line 1"},
        {"a:\n  x: 1\n  y: 2\n  x: 3\n", "naru.yaml:4:3: 'x' is there twice, first at line 2"},
        {"a: {\"x\": 1, x: 2}\n", "naru.yaml:1:13: 'x' is there twice, first at line 1"},
        {"a: &base 1\n", "naru.yaml:1:4: anchors ('&base') are not supported, write the value "
                         "where it is needed"},
        {"a: &m {x: 1}\nb: &l [1]\n",
         "naru.yaml:1:4: anchors ('&m') are not supported, write the value where it is needed\n"
         "naru.yaml:2:4: anchors ('&l') are not supported, write the value where it is needed"},
        {"a: *base\n",
         "naru.yaml:1:4: aliases ('*base') are not supported, write the value itself, or quote the "
         "text"},
        {"<<: *x\n", "naru.yaml:1:5: aliases ('*x') are not supported, write the value itself, or "
                     "quote the text"},
        {"a: !!int 3\n", "naru.yaml:1:4: tags ('tag:yaml.org,2002:int') are not supported"},
        {"a: !mine {x: 1}\n", "naru.yaml:1:4: tags ('!mine') are not supported"},
        {"a: 1\n---\nb: 2\n",
         "naru.yaml:2:1: a second document starts here: one file is one document"},
        {"[a, b]\n", "naru.yaml:1:1: expected sections such as 'gateway:', got a list"},
        {"just text\n", "naru.yaml:1:1: expected sections such as 'gateway:', got 'just text'"},
        {"? [a]\n: 1\n", "naru.yaml:1:3: a key must be text, got a list"},
        {"a:\n\t- b\n", "naru.yaml:2:1: a tab cannot indent YAML, use spaces"},
        {"a: [1, 2\n",
         "naru.yaml:2:1: not valid YAML: did not find expected ',' or ']' while parsing a flow "
         "sequence"},
        {"a: \"x\\0y\"\n", "naru.yaml:1:4: a NUL character ('\\0') is not allowed"},
        {"a: 1\nb: caf\xe9\n", "naru.yaml:2:7: a byte that is not UTF-8 is not allowed here"},
        {"a: \xc0\xaf\n", "naru.yaml:1:4: a byte that is not UTF-8 is not allowed here"},
        {"a: \xed\xa0\x80\n", "naru.yaml:1:4: a byte that is not UTF-8 is not allowed here"},
        {"\xc3\xa9: \x01\n", "naru.yaml:1:4: a control character is not allowed here"},
        {"a: ${NOT_SET}\n", "naru.yaml:1:4: environment variable 'NOT_SET' is not set"},
        {"a: ${PORT\n", "naru.yaml:1:4: '${' without '}' (a literal dollar sign is written '$$')"},
        {"a: ${1X}\n",
         "naru.yaml:1:4: expected a variable such as ${NAME} or ${NAME:-default}, got '1X'"},
        {"a: ${}\n",
         "naru.yaml:1:4: expected a variable such as ${NAME} or ${NAME:-default}, got ''"},
        {"a: ${LATIN}\n",
         "naru.yaml:1:4: environment variable 'LATIN' is not UTF-8, or beyond 64KiB"},
    };

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        struct world w;

        parse(&w, nr_span_of(cases[i].text));
        assert_int_equal(w.code, NR_ECONFIG);
        assert_null(w.root);
        assert_diags(&w, cases[i].expected);
        nr_arena_done(&w.arena);
    }
}

static void test_nesting_ends_at_32(void **state)
{
    char text[256] = "a: ";
    struct world w;

    memset(text + 3, '[', 31);
    memset(text + 34, ']', 31);
    parse(&w, nr_span_of(text));
    assert_int_equal(w.code, NR_OK);
    nr_arena_done(&w.arena);

    memset(text + 3, '[', 32);
    parse(&w, nr_span_of(text));
    assert_diags(&w, "naru.yaml:1:35: nested more than 32 levels deep");
    nr_arena_done(&w.arena);
}

static void test_size_ends_at_64_mib(void **state)
{
    size_t bytes = NR_NODE_FILE_BYTES_MAX + 1;
    char *text = malloc(bytes);
    struct world w;

    assert_non_null(text);
    memset(text, '#', bytes);
    parse(&w, (struct nr_span){text, bytes});
    assert_diags(&w, "naru.yaml:1:1: the file is larger than 64MiB");
    nr_arena_done(&w.arena);
    parse(&w, (struct nr_span){text, bytes - 1});
    assert_int_equal(w.code, NR_OK);
    nr_arena_done(&w.arena);
    free(text);
}

static void test_replaces_variables(void **state)
{
    static const char *const cases[][2] = {
        {"${PORT}", "8080"},
        {"127.0.0.1:${PORT}", "127.0.0.1:8080"},
        {"${NOT_SET:-9}", "9"},
        {"${NOT_SET:-}", ""},
        {"${EMPTY:-full}", "full"},
        {"x${EMPTY}y", "xy"},
        {"$${PORT}", "${PORT}"},
        {"^/a$", "^/a$"},
        {"$1 $$", "$1 $"},
        {"${PORT}${PORT}", "80808080"},
        {"'${TRICK}'", "${PORT}: ["}, /* what a variable holds is not looked at again */
    };

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        char text[128];
        struct world w;

        snprintf(text, sizeof(text), "a: %s\n", cases[i][0]);
        parse(&w, nr_span_of(text));
        assert_int_equal(w.code, NR_OK);
        assert_string_equal(nr_node_find(w.root, "a")->text.ptr, cases[i][1]);
        nr_arena_done(&w.arena);
    }
}

static void test_finds_by_path_and_knows_places(void **state)
{
    const struct nr_node *node;
    struct world w;

    parse(&w, NR_SPAN("\xef\xbb\xbf# a byte order mark is fine\n"
                      "services:\n"
                      "  orders: { instances: [a, {address: b, weight: 2}] }\n"
                      "empty:\n"));
    assert_int_equal(w.code, NR_OK);
    node = nr_node_find(w.root, "services.orders.instances[1].weight");
    assert_non_null(node);
    assert_string_equal(node->text.ptr, "2");
    assert_int_equal(node->place.line, 3);
    assert_int_equal(node->place.column, 49);
    assert_int_equal(nr_node_place(node).column, 41);
    assert_true(nr_node_find(w.root, "empty")->null);
    assert_null(nr_node_find(w.root, "services.orders.instances[2]"));
    assert_null(nr_node_find(w.root, "services[0]"));
    assert_null(nr_node_find(w.root, "services.x.y"));
    nr_arena_done(&w.arena);
}

static void test_an_empty_file_is_an_empty_mapping(void **state)
{
    static const char *const texts[] = {"", "\n# nothing\n", "---\n", "~\n"};

    for (size_t i = 0; i < NR_COUNT(texts); i++) {
        struct world w;

        parse(&w, nr_span_of(texts[i]));
        assert_int_equal(w.code, NR_OK);
        assert_int_equal(w.root->kind, NR_NODE_MAPPING);
        assert_int_equal(w.root->count, 0);
        nr_arena_done(&w.arena);
    }
}

static void test_free_values_become_json(void **state)
{
    struct nr_json *json;
    struct world w;
    char *text;

    parse(&w,
          NR_SPAN("j: {n: 1, m: -2, f: 1.5, e: 1e3, t: true, s: yes, q: \"1\", z: ~, l: [null], "
                  "v: 1.2.3, d: -, h: 0x1f}\n"));
    json = nr_node_json(nr_node_find(w.root, "j"));
    text = nr_json_dump(json, 0);
    assert_string_equal(text, "{\"n\":1,\"m\":-2,\"f\":1.5,\"e\":1000.0,\"t\":true,\"s\":\"yes\","
                              "\"q\":\"1\",\"z\":null,\"l\":[null],\"v\":\"1.2.3\",\"d\":\"-\","
                              "\"h\":\"0x1f\"}");
    free(text);
    nr_json_free(json);
    nr_arena_done(&w.arena);
}

static void load(struct world *w, const struct file *all)
{
    files = all;
    open_world(w);
    w->code = nr_node_load(&w->arena, &source, all[0].path, &w->diags, &w->root);
}

static void test_includes_merge_sections(void **state)
{
    static const struct file all[] = {
        {"conf/naru.yaml", "include: [services/*.yaml, extra.yaml]\nservices:\n  c: 3\n"},
        {"conf/services/b.yaml", "services:\n  b: 2\n"},
        {"conf/services/a.yaml", "services:\n  a: 1\n"},
        {"conf/services/.hidden.yaml", "services:\n  a: hidden\n"},
        {"conf/services/notes.txt", "]["},
        {"conf/extra.yaml", "services:\nadmin:\n  listen: ${PORT}\n"},
        {NULL, NULL},
    };
    static const char *const order[] = {"a", "b", "c"};
    const struct nr_node *entry;
    struct world w;

    load(&w, all);
    assert_diags(&w, "");
    assert_int_equal(w.code, NR_OK);
    entry = nr_node_find(w.root, "services")->first;
    for (size_t i = 0; i < NR_COUNT(order); i++, entry = entry->next)
        assert_string_equal(entry->key.ptr, order[i]);
    assert_null(entry);
    assert_string_equal(nr_node_find(w.root, "admin.listen")->text.ptr, "8080");
    assert_string_equal(nr_node_find(w.root, "services.a")->place.file, "conf/services/a.yaml");
    assert_null(nr_node_find(w.root, "include"));
    nr_arena_done(&w.arena);
}

static void test_includes_that_cannot_be(void **state)
{
    static const struct {
        struct file all[4];
        const char *expected;
    } cases[] = {
        {{{"n.yaml", "include: a.yaml\ns:\n  x: 1\n"}, {"a.yaml", "s:\n  x: 2\n"}},
         "n.yaml:3:3: 'x' is already defined at a.yaml:2:3"},
        {{{"n.yaml", "include: a.yaml\ns: [1]\n"}, {"a.yaml", "s: [2]\n"}},
         "n.yaml:2:1: 's' is already defined at a.yaml:1:1"},
        {{{"n.yaml", "include: a.yaml\n"}, {"a.yaml", "include: n.yaml\n"}},
         "a.yaml:1:10: 'n.yaml' is included by itself: a cycle"},
        {{{"n.yaml", "include: n.yaml\n"}}, "n.yaml:1:10: 'n.yaml' is included by itself: a cycle"},
        {{{"n.yaml", "include: [a.yaml, a.yaml]\n"}, {"a.yaml", "s: 1\n"}},
         "n.yaml:1:19: 'a.yaml' is included twice"},
        {{{"n.yaml", "include: gone.yaml\n"}},
         "n.yaml:1:10: cannot read 'gone.yaml': no such file"},
        {{{"n.yaml", "include: {a: b}\n"}},
         "n.yaml:1:10: expected a file or a list of files to include"},
        {{{"n.yaml", "include: [[a]]\n"}}, "n.yaml:1:11: expected the name of a file to include"},
        {{{"n.yaml", "include: '*/a.yaml'\n"}},
         "n.yaml:1:10: only the last part of a name may hold a wildcard"},
        {{{"n.yaml", "include: a.yaml\n"}, {"a.yaml", "x: [\n"}},
         "a.yaml:2:1: not valid YAML: did not find expected node content while parsing a flow "
         "node"},
    };

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        struct world w;

        load(&w, cases[i].all);
        assert_int_equal(w.code, NR_ECONFIG);
        assert_diags(&w, cases[i].expected);
        nr_arena_done(&w.arena);
    }
}

static void test_a_missing_file_has_no_place(void **state)
{
    struct world w;

    files = NULL;
    open_world(&w);
    assert_int_equal(nr_node_load(&w.arena, &source, "naru.yaml", &w.diags, &w.root), NR_ECONFIG);
    assert_diags(&w, "cannot read 'naru.yaml': no such file");
    nr_arena_done(&w.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refuses_with_the_place),
        cmocka_unit_test(test_nesting_ends_at_32),
        cmocka_unit_test(test_size_ends_at_64_mib),
        cmocka_unit_test(test_replaces_variables),
        cmocka_unit_test(test_finds_by_path_and_knows_places),
        cmocka_unit_test(test_an_empty_file_is_an_empty_mapping),
        cmocka_unit_test(test_free_values_become_json),
        cmocka_unit_test(test_includes_merge_sections),
        cmocka_unit_test(test_includes_that_cannot_be),
        cmocka_unit_test(test_a_missing_file_has_no_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
