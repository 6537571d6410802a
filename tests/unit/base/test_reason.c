/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <ctype.h>
#include <string.h>

#include "base/reason.h"

static void names_are_unique_snake_case_words(void **state)
{
    for (int a = 0; a < NR_REASONS; a++) {
        const char *name = nr_reason_name((enum nr_reason)a);

        assert_non_null(name);
        assert_true(strlen(name) > 0);
        assert_true(islower((unsigned char)name[0]));
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(name));
        assert_null(strstr(name, "__"));
        for (int b = 0; b < a; b++)
            assert_string_not_equal(name, nr_reason_name((enum nr_reason)b));
    }
}

static void statuses_are_errors_and_fit_their_kind(void **state)
{
    static const struct {
        enum nr_reason reason;
        uint16_t status;
    } cases[] = {
        {NR_REASON_NONE, 0},
        {NR_REASON_BAD_REQUEST, 400},
        {NR_REASON_NO_ROUTE, 404},
        {NR_REASON_METHOD_NOT_ALLOWED, 405},
        {NR_REASON_HEADER_TIMEOUT, 408},
        {NR_REASON_BODY_TOO_LARGE, 413},
        {NR_REASON_NO_HEALTHY, 503},
        {NR_REASON_OVERLOADED, 503},
        {NR_REASON_CONNECT_REFUSED, 502},
        {NR_REASON_CONNECT_TIMEOUT, 504},
        {NR_REASON_UPSTREAM_PROTOCOL, 502},
        {NR_REASON_ATTEMPT_TIMEOUT, 504},
        {NR_REASON_DEADLINE, 504},
        {NR_REASON_CLIENT_CLOSED, 499},
        {NR_REASON_CLIENT_SLOW, 499},
        {NR_REASON_LOOP, 508},
        {NR_REASON_INTERNAL, 500},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(nr_reason_status(cases[i].reason), cases[i].status);
    for (int r = 1; r < NR_REASONS; r++) {
        assert_true(nr_reason_status((enum nr_reason)r) >= 400);
        assert_true(nr_reason_status((enum nr_reason)r) <= 599);
    }
}

static void details_are_one_sentence(void **state)
{
    for (int r = 0; r < NR_REASONS; r++) {
        const char *detail = nr_reason_detail((enum nr_reason)r);

        assert_true(isupper((unsigned char)detail[0]));
        assert_int_equal(detail[strlen(detail) - 1], '.');
        assert_null(strchr(detail, '\n'));
        assert_null(strpbrk(detail, "\"\\")); /* goes into JSON as it stands */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_unique_snake_case_words),
        cmocka_unit_test(statuses_are_errors_and_fit_their_kind),
        cmocka_unit_test(details_are_one_sentence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
