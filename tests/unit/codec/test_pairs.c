/* SPDX-License-Identifier: Apache-2.0 */
/* Pairs of a query, and escapes both ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "codec/pairs.h"

static void test_escapes_are_decoded(void **state)
{
    static const struct {
        const char *escaped, *query, *path; /* what it is in either */
    } cases[] = {
        {"", "", ""},
        {"plain", "plain", "plain"},
        {"a+b", "a b", "a+b"}, /* a form's blank, a path's plus */
        {"a%2Bb", "a+b", "a+b"},
        {"%5b%3A%3a1%5D:7003", "[::1]:7003", "[::1]:7003"},
        {"%41%7e", "A~", "A~"},
        {"%", "%", "%"}, /* malformed ones stand for themselves */
        {"%4", "%4", "%4"},
        {"%4g%", "%4g%", "%4g%"},
        {"%25%32%35", "%25", "%25"}, /* once, not twice */
    };

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        struct nr_span escaped = nr_span_of(cases[i].escaped);
        char to[64];

        assert_true(nr_span_eq((struct nr_span){to, nr_query_decode(escaped, to)},
                               nr_span_of(cases[i].query)));
        assert_true(nr_span_eq((struct nr_span){to, nr_percent_decode(escaped, to)},
                               nr_span_of(cases[i].path)));
    }
}

static void test_what_is_encoded_decodes_to_the_same(void **state)
{
    char plain[256], to[256];
    struct nr_arena arena;
    struct nr_span escaped;

    for (int c = 0; c < 256; c++)
        plain[c] = (char)c;
    nr_arena_init(&arena, NULL, 0);
    escaped = nr_percent_encode((struct nr_span){plain, sizeof(plain)}, &arena);
    assert_int_equal(nr_percent_decode(escaped, to), 256);
    assert_memory_equal(to, plain, 256);
    assert_int_equal(nr_query_decode(escaped, to), 256);
    assert_memory_equal(to, plain, 256);
    nr_arena_done(&arena);
}

static void test_pairs_are_found_by_their_decoded_name(void **state)
{
    struct nr_span rest = NR_SPAN("a=1&&%61=2&b&c=&a+b=3");
    struct nr_pair pair;

    assert_true(nr_query_find(&rest, NR_SPAN("a"), &pair));
    assert_true(nr_span_eq(pair.value, NR_SPAN("1")));
    assert_true(nr_query_find(&rest, NR_SPAN("a"), &pair));
    assert_true(nr_span_eq(pair.value, NR_SPAN("2")));
    assert_true(nr_query_next(&rest, &pair));
    assert_false(pair.has_value);
    assert_true(nr_query_next(&rest, &pair));
    assert_true(pair.has_value && pair.value.len == 0);
    assert_true(nr_query_find(&rest, NR_SPAN("a b"), &pair));
    assert_false(nr_query_next(&rest, &pair));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escapes_are_decoded),
        cmocka_unit_test(test_what_is_encoded_decodes_to_the_same),
        cmocka_unit_test(test_pairs_are_found_by_their_decoded_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
