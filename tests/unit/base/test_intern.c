/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/intern.h"

static void round_of(struct nr_intern *table, const char *prefix, uint32_t count)
{
    nr_intern_begin(table);
    for (uint32_t i = 0; i < count; i++) {
        char name[32];

        snprintf(name, sizeof(name), "%s%u", prefix, i);
        nr_intern_id(table, nr_span_of(name));
    }
}

static void a_name_keeps_its_number(void **state)
{
    struct nr_intern *table = nr_intern_new(4);
    const char *text;

    nr_intern_begin(table);
    assert_int_equal(nr_intern_id(table, NR_SPAN("a")), 0);
    assert_int_equal(nr_intern_id(table, NR_SPAN("b")), 1);
    assert_int_equal(nr_intern_id(table, NR_SPAN("a")), 0);
    text = nr_intern_text(table, 0).ptr;
    nr_intern_begin(table);
    assert_int_equal(nr_intern_id(table, NR_SPAN("c")), 2);
    nr_intern_begin(table);
    assert_int_equal(nr_intern_id(table, NR_SPAN("b")), 1); /* away for a round, and back */
    assert_int_equal(nr_intern_id(table, NR_SPAN("a")), 0);
    assert_ptr_equal(nr_intern_text(table, 0).ptr, text);
    nr_intern_free(table);
}

static void what_was_away_longest_gives_its_number(void **state)
{
    struct nr_intern *table = nr_intern_new(1);

    round_of(table, "old", 1);    /* 0 */
    round_of(table, "middle", 1); /* 1 */
    round_of(table, "new", 1);    /* 2 */
    nr_intern_begin(table);
    assert_string_equal(nr_intern_text(table, 1).ptr, "middle0");
    assert_int_equal(nr_intern_text(table, 0).len, 0);
    assert_int_equal(nr_intern_id(table, NR_SPAN("x")), 0);
    assert_int_equal(nr_intern_id(table, NR_SPAN("middle0")), 1);
    assert_string_equal(nr_intern_text(table, 0).ptr, "x");
    nr_intern_free(table);
}

static void always_new_names_do_not_grow_it(void **state)
{
    struct nr_intern *table = nr_intern_new(100);

    for (uint32_t i = 0; i < 50; i++) {
        char prefix[16];

        snprintf(prefix, sizeof(prefix), "%u-", i);
        round_of(table, prefix, 200);
        assert_in_range(nr_intern_count(table), 200, 3 * 200 + 100);
    }
    nr_intern_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_keeps_its_number),
        cmocka_unit_test(what_was_away_longest_gives_its_number),
        cmocka_unit_test(always_new_names_do_not_grow_it),
    };

    return cmocka_run_group_tests_name("intern", tests, NULL, NULL);
}
