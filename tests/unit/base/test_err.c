/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "naru/err.h"

enum { LAST_CODE = NR_EUNSUPPORTED };

static void context_collects_on_the_way_up(void **state)
{
    struct nr_err err;

    assert_int_equal(nr_err_set(&err, NR_ECONFIG, "unknown field '%s'", "retires"), NR_ECONFIG);
    assert_string_equal(err.text, "unknown field 'retires'");
    assert_int_equal(nr_err_wrap(&err, "%d:%d", 12, 5), NR_ECONFIG);
    assert_int_equal(nr_err_wrap(&err, "naru.yaml"), NR_ECONFIG);
    assert_string_equal(err.text, "naru.yaml: 12:5: unknown field 'retires'");
    assert_int_equal(err.code, NR_ECONFIG);
}

static void setting_replaces(void **state)
{
    struct nr_err err;

    (void)nr_err_set(&err, NR_EIO, "first");
    (void)nr_err_set(&err, NR_ENAME, "second");
    assert_int_equal(err.code, NR_ENAME);
    assert_string_equal(err.text, "second");
}

static void nobody_has_to_listen(void **state)
{
    assert_int_equal(nr_err_set(NULL, NR_ENOSPC, "full"), NR_ENOSPC);
    assert_true(nr_err_wrap(NULL, "outer") < 0);
}

/* The outermost context is the place, so the end is what goes. */
static void what_does_not_fit_is_cut_at_the_end(void **state)
{
    char longest[2 * NR_ERR_TEXT_BYTES];
    struct nr_err err;

    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    (void)nr_err_set(&err, NR_EIO, "%s", longest);
    assert_int_equal(strlen(err.text), NR_ERR_TEXT_BYTES - 1);
    (void)nr_err_wrap(&err, "place");
    assert_int_equal(strlen(err.text), NR_ERR_TEXT_BYTES - 1);
    assert_memory_equal(err.text, "place: xxx", 10);
    (void)nr_err_wrap(&err, "%s", longest);
    assert_int_equal(strlen(err.text), NR_ERR_TEXT_BYTES - 1);
    assert_int_equal(err.code, NR_EIO);
}

static void every_code_has_words_of_its_own(void **state)
{
    for (int code = LAST_CODE; code <= NR_OK; code++) {
        const char *text = nr_code_text((enum nr_code)code);

        assert_string_not_equal(text, "unknown error");
        for (int other = LAST_CODE; other < code; other++)
            assert_string_not_equal(text, nr_code_text((enum nr_code)other));
        for (const char *at = text; *at != '\0'; at++)
            assert_true((*at >= 'a' && *at <= 'z') || strchr(" /", *at) != NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(context_collects_on_the_way_up),
        cmocka_unit_test(setting_replaces),
        cmocka_unit_test(nobody_has_to_listen),
        cmocka_unit_test(what_does_not_fit_is_cut_at_the_end),
        cmocka_unit_test(every_code_has_words_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
