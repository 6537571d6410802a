/* SPDX-License-Identifier: Apache-2.0 */
/* Paths and parameters of service.h. What it does over sockets: tests/integration/it_app.py. */
#include "http/app.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct {
    const char *pattern, *path;
    bool fits;
    const char *id; /* what {id} took */
} paths[] = {
    {"/", "/", true, ""},
    {"/", "/a", false, ""},
    {"/a", "/a", true, ""},
    {"/a", "/a/", false, ""},
    {"/a", "/ab", false, ""},
    {"/a/{id}", "/a/7", true, "7"},
    {"/a/{id}", "/a/", false, ""},
    {"/a/{id}", "/a/7/b", false, ""},
    {"/a/{id}/b", "/a/7/b", true, "7"},
    {"/a/*", "/a/b/c", true, ""},
    {"/a/*", "/a/", true, ""},
    {"/a/*", "/b/c", false, ""},
    {"/{id}/*", "/x/y/z", true, "x"},
    {"/a", "*", false, ""}, /* OPTIONS * */
};

static void patterns_fit_paths(void **state)
{
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct nr_span id = NR_SPAN("");

        if (nr_app_path_match(nr_span_of(paths[i].pattern), nr_span_of(paths[i].path), "id", &id) !=
            paths[i].fits)
            fail_msg("%s for %s", paths[i].pattern, paths[i].path);
        if (paths[i].fits)
            assert_true(nr_span_eq(id, nr_span_of(paths[i].id)));
    }
}

static void escapes_are_decoded_once(void **state)
{
    static const struct {
        const char *text, *plain, *form;
    } rows[] = {
        {"a%20b+c", "a b+c", "a b c"}, {"%2541", "%41", "%41"},
        {"100%", "100%", "100%"},      {"%4", "%4", "%4"},
        {"%zz", "%zz", "%zz"},         {"", "", ""},
    };
    struct nr_arena arena;

    nr_arena_init(&arena, NULL, 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_string_equal(nr_app_decode(&arena, nr_span_of(rows[i].text), false).ptr,
                            rows[i].plain);
        assert_string_equal(nr_app_decode(&arena, nr_span_of(rows[i].text), true).ptr,
                            rows[i].form);
    }
    nr_arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_fit_paths),
        cmocka_unit_test(escapes_are_decoded_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
