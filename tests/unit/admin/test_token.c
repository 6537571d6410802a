/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "admin/token.h"

static enum nr_code load(const char *text, struct nr_admin_token *token, struct nr_err *err)
{
    const struct nr_admin_conf conf = {.token = nr_span_of(text)};

    *err = (struct nr_err){0};
    return nr_admin_token_load(&conf, token, err);
}

static void test_only_the_very_token_is_it(void **state)
{
    static const struct {
        const char *given;
        bool is;
    } cases[] = {
        {"0123456789abcdef", true},
        {"0123456789abcdeF", false},
        {"1123456789abcdef", false},
        {"0123456789abcde", false},
        {"0123456789abcdef0", false},
        {"0123456789abcdef0123456789abcdef", false}, /* twice over meets every byte again */
        {"", false},
        {"0", false},
    };
    struct nr_admin_token token = {0};
    struct nr_err err;

    assert_false(nr_admin_token_is(&token, NR_SPAN("")));
    assert_false(nr_admin_token_is(&token, NR_SPAN("0123456789abcdef")));
    assert_int_equal(load("0123456789abcdef", &token, &err), NR_OK);
    for (size_t i = 0; i < NR_COUNT(cases); i++)
        assert_int_equal(nr_admin_token_is(&token, nr_span_of(cases[i].given)), cases[i].is);
}

static void test_what_can_be_a_token(void **state)
{
    struct nr_admin_token token = {0}, other = {0};
    struct nr_err err;

    assert_int_equal(load("", &token, &err), NR_OK);
    assert_int_equal(token.len, 0);
    assert_int_equal(load("too-short", &token, &err), NR_ECONFIG);
    assert_int_equal(load("with a blank in it", &token, &err), NR_ECONFIG);
    assert_int_equal(load("with\x80"
                          "bytes-of-none",
                          &token, &err),
                     NR_ECONFIG);
    assert_int_equal(token.len, 0);
    assert_int_equal(load("0123456789abcdef", &token, &err), NR_OK);
    assert_int_equal(load("0123456789abcdeg", &other, &err), NR_OK);
    assert_int_equal(strlen(token.print), 8);
    assert_string_not_equal(token.print, other.print);
}

static void test_a_token_from_a_file(void **state)
{
    struct nr_admin_conf conf = {0};
    struct nr_admin_token token = {0};
    struct nr_err err = {0};
    char path[] = "/tmp/naru-token-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "0123456789abcdef\r\n", 18), 18);
    conf.token_file = nr_span_of(path);
    assert_int_equal(nr_admin_token_load(&conf, &token, &err), NR_OK);
    assert_true(nr_admin_token_is(&token, NR_SPAN("0123456789abcdef")));
    assert_int_equal(ftruncate(fd, 4), 0);
    assert_int_equal(nr_admin_token_load(&conf, &token, &err), NR_ECONFIG);
    assert_non_null(strstr(err.text, "has 4 bytes: it must have 16 to 512"));
    close(fd);
    unlink(path);
    err = (struct nr_err){0};
    assert_int_equal(nr_admin_token_load(&conf, &token, &err), NR_ENOENT);
    assert_true(nr_admin_token_is(&token, NR_SPAN("0123456789abcdef"))); /* untouched */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_the_very_token_is_it),
        cmocka_unit_test(test_what_can_be_a_token),
        cmocka_unit_test(test_a_token_from_a_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
