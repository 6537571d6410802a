/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "config/text.h"

static void test_guesses_what_was_meant(void **state)
{
    static const char *const known[] = {"retries", "retry", "routes", "dns", "admin", "timeouts"};
    static const char *const cases[][2] = {
        {"retires", "retries"}, /* two letters swapped */
        {"retrys", "retry"},
        {"rotues", "routes"},
        {"Routes", "routes"},
        {"timeout", "timeouts"},
        {"tmeouts", "timeouts"},
        {"adnim", "admin"},
        {"dsn", "dns"},
        {"dn", ""},
        {"ip", ""},
        {"rooutes", "routes"},
        {"breaker", ""},
        {"", ""},
    };
    struct nr_arena arena;

    nr_arena_init(&arena, NULL, 0);
    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        struct nr_suggest suggest;

        nr_suggest_init(&suggest, nr_span_of(cases[i][0]));
        for (size_t j = 0; j < NR_COUNT(known); j++)
            nr_suggest_try(&suggest, nr_span_of(known[j]));
        assert_string_equal(nr_arena_dup(&arena, suggest.best).ptr, cases[i][1]);
    }
    nr_arena_done(&arena);
}

/* RFC 3629, section 4, and Unicode 15, table 3-7. */
static void test_utf8(void **state)
{
    static const struct {
        struct nr_span bytes;
        bool sound;
    } cases[] = {
        {NR_SPAN("plain"), true},
        {NR_SPAN("\xc2\x80"), true},
        {NR_SPAN("\xdf\xbf"), true},
        {NR_SPAN("\xe0\xa0\x80"), true},
        {NR_SPAN("\xed\x9f\xbf"), true},
        {NR_SPAN("\xef\xbf\xbd"), true},
        {NR_SPAN("\xf0\x90\x80\x80"), true},
        {NR_SPAN("\xf4\x8f\xbf\xbf"), true},
        {NR_SPAN("\x80"), false},
        {NR_SPAN("\xc1\xbf"), false},         /* overlong */
        {NR_SPAN("\xe0\x9f\xbf"), false},     /* overlong */
        {NR_SPAN("\xed\xa0\x80"), false},     /* surrogate */
        {NR_SPAN("\xf0\x8f\xbf\xbf"), false}, /* overlong */
        {NR_SPAN("\xf4\x90\x80\x80"), false}, /* beyond U+10FFFF */
        {NR_SPAN("\xe2\x82"), false},         /* cut */
        {NR_SPAN("\xff"), false},
        {NR_SPAN("a\0b"), false},
    };

    for (size_t i = 0; i < NR_COUNT(cases); i++)
        assert_int_equal(nr_text_utf8(cases[i].bytes), cases[i].sound);
}

static void test_quotes_never_split_a_character(void **state)
{
    char text[64];
    struct nr_arena arena;

    nr_arena_init(&arena, NULL, 0);
    memset(text, 'a', sizeof(text));
    memcpy(text + 46, "\xea\xb0\x80", 3); /* the limit of 48 falls inside */
    assert_string_equal(nr_text_quote((struct nr_span){text, sizeof(text)}, &arena),
                        "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...'");
    assert_string_equal(nr_text_quote(NR_SPAN("a\x1b[0m\tb"), &arena), "'a?[0m\\tb'");
    nr_arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guesses_what_was_meant),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_quotes_never_split_a_character),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
