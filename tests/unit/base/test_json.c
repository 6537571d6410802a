/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/json.h"

static void assert_dump(struct nr_json *json, const char *expected)
{
    char *text = nr_json_dump(json, 0);

    assert_string_equal(text, expected);
    free(text);
    nr_json_free(json);
}

static void test_keeps_the_order_in_which_it_was_built(void **state)
{
    struct nr_json *json = nr_json_object(), *list = nr_json_array();

    nr_json_set(json, "z", nr_json_integer(-3));
    nr_json_set(json, "a", nr_json_bool(true));
    nr_json_set(json, "m", nr_json_null());
    nr_json_push(list, nr_json_real(0.5));
    nr_json_push(list, nr_json_string(NR_SPAN("\"\n")));
    nr_json_set(json, "list", list);
    nr_json_set(json, "z", nr_json_integer(4)); /* replaces, in place */
    assert_dump(json, "{\"z\":4,\"a\":true,\"m\":null,\"list\":[0.5,\"\\\"\\n\"]}");
}

static void test_answers_even_when_bytes_are_broken(void **state)
{
    assert_dump(nr_json_string(NR_SPAN("a\xff")), "\"a\xef\xbf\xbd\"");
    assert_dump(nr_json_string((struct nr_span){NULL, 0}), "\"\"");
    assert_dump(nr_json_real((double)NAN), "null");
    assert_dump(nr_json_real((double)INFINITY), "null");
}

static void test_parses_one_value_and_lends_its_parts(void **state)
{
    struct nr_err err = {0};
    struct nr_json *json =
        nr_json_parse(NR_SPAN("{\"n\": 12, \"t\": \"x\", \"l\": [true, 1.5]}"), &err);

    assert_non_null(json);
    assert_int_equal(nr_json_kind(json), NR_JSON_OBJECT);
    assert_int_equal(nr_json_count(json), 3);
    assert_int_equal(nr_json_integer_value(nr_json_get(json, "n")), 12);
    assert_true(nr_span_eq(nr_json_text(nr_json_get(json, "t")), NR_SPAN("x")));
    assert_true(nr_json_bool_value(nr_json_at(nr_json_get(json, "l"), 0)));
    assert_int_equal(nr_json_kind(nr_json_at(nr_json_get(json, "l"), 1)), NR_JSON_REAL);
    assert_null(nr_json_get(json, "absent"));
    assert_null(nr_json_at(json, 0));
    assert_null(nr_json_at(nr_json_get(json, "l"), 2));
    assert_int_equal(nr_json_integer_value(NULL), 0);
    assert_int_equal(nr_json_text(NULL).len, 0);
    nr_json_free(json);
}

static void test_refuses_what_is_not_one_value(void **state)
{
    static const char *const broken[] = {"", "{", "1 2", "{\"a\":1,\"a\":2}", "\"\xff\"", "nul"};
    struct nr_err err;

    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        err = (struct nr_err){0};
        assert_null(nr_json_parse(nr_span_of(broken[i]), &err));
        assert_int_equal(err.code, NR_EINVAL);
        assert_non_null(strstr(err.text, "line 1"));
    }
}

static void test_members_have_names_in_their_order(void **state)
{
    struct nr_json *json = nr_json_parse(NR_SPAN("{\"b\": 1, \"a\": 2}"), NULL);

    assert_true(nr_span_eq(nr_json_name(json, 0), NR_SPAN("b")));
    assert_true(nr_span_eq(nr_json_name(json, 1), NR_SPAN("a")));
    assert_int_equal(nr_json_name(json, 2).len, 0);
    assert_int_equal(nr_json_name(nr_json_get(json, "a"), 0).len, 0);
    nr_json_free(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeps_the_order_in_which_it_was_built),
        cmocka_unit_test(test_answers_even_when_bytes_are_broken),
        cmocka_unit_test(test_parses_one_value_and_lends_its_parts),
        cmocka_unit_test(test_refuses_what_is_not_one_value),
        cmocka_unit_test(test_members_have_names_in_their_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
