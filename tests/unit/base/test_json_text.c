/* SPDX-License-Identifier: Apache-2.0 */
/* JSON by hand: whatever bytes a client sends, the line stays one valid line. */
#include "base/json_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct {
    const char *what;
    struct nr_span text;
    size_t max;
    const char *want;
} strings[] = {
    /* clang-format off */
    {"plain",                       NR_SPAN("GET /a"),              99, "\"GET /a\""},
    {"empty",                       NR_SPAN(""),                    99, "\"\""},
    {"quote and backslash",         NR_SPAN("a\"b\\c"),             99, "\"a\\\"b\\\\c\""},
    {"a forged line",               NR_SPAN("x\"}\r\n{\"status\":200"), 99, "\"x\\\"}\\r\\n{\\\"status\\\":200\""},
    {"control, NUL and DEL",        NR_SPAN("\x01\0\x7f"),          99, "\"\\u0001\\u0000\\u007f\""},
    {"escape of a terminal",        NR_SPAN("\x1b[31m"),            99, "\"\\u001b[31m\""},
    {"Korean",                      NR_SPAN("\xeb\x82\x98\xeb\xa3\xa8"), 99, "\"\xeb\x82\x98\xeb\xa3\xa8\""},
    {"four bytes",                  NR_SPAN("\xf0\x9f\x98\x80"),    99, "\"\xf0\x9f\x98\x80\""},
    {"a lone continuation",         NR_SPAN("a\x80z"),              99, "\"a\\ufffdz\""},
    {"overlong slash",              NR_SPAN("\xc0\xaf"),            99, "\"\\ufffd\\ufffd\""},
    {"overlong in three",           NR_SPAN("\xe0\x80\xaf"),        99, "\"\\ufffd\\ufffd\\ufffd\""},
    {"a surrogate",                 NR_SPAN("\xed\xa0\x80"),        99, "\"\\ufffd\\ufffd\\ufffd\""},
    {"beyond U+10FFFF",             NR_SPAN("\xf4\x90\x80\x80"),    99, "\"\\ufffd\\ufffd\\ufffd\\ufffd\""},
    {"a character that breaks off", NR_SPAN("a\xe2\x82"),           99, "\"a\\ufffd\\ufffd\""},
    {"cut",                         NR_SPAN("abcdef"),               3, "\"abc\xe2\x80\xa6\""},
    {"not cut inside a character",  NR_SPAN("ab\xe2\x82\xac" "def"), 3, "\"ab\xe2\x80\xa6\""},
    /* clang-format on */
};

static void strings_are_escaped(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        char room[256];
        struct nr_json_text to = {.at = room, .end = room + sizeof(room)};

        nr_json_text_string(&to, strings[i].text, strings[i].max);
        *to.at = '\0';
        if (strcmp(room, strings[i].want) != 0)
            fail_msg("%s: %s, want %s", strings[i].what, room, strings[i].want);
        assert_false(to.cut);
    }
}

static void numbers(void **state)
{
    char room[64];
    struct nr_json_text to = {.at = room, .end = room + sizeof(room)};

    (void)state;
    nr_json_text_milli(&to, 12);
    NR_JSON_TEXT_LIT(&to, " ");
    nr_json_text_milli(&to, 1234567);
    NR_JSON_TEXT_LIT(&to, " ");
    nr_json_text_u64(&to, UINT64_MAX);
    *to.at = '\0';
    assert_string_equal(room, "0.012 1234.567 18446744073709551615");
}

static void never_beyond_the_room(void **state)
{
    char room[8] = "-------";
    struct nr_json_text to = {.at = room, .end = room + 4};

    (void)state;
    nr_json_text_string(&to, NR_SPAN("abcdef"), 99);
    assert_true(to.cut);
    assert_int_equal(room[4], '-');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_escaped),
        cmocka_unit_test(numbers),
        cmocka_unit_test(never_beyond_the_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
