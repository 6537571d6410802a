/* SPDX-License-Identifier: Apache-2.0 */
/* Short copies of any length and place; digits as printf writes them. */
#include "base/copy.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"

enum { LEN_MAX = 70 };

/* Exactly the bytes, and not one beside them. The source is a block of its own, so that reading
 * beyond it is found by AddressSanitizer. */
static void copies_exactly(void **state)
{
    char nothing = '#';

    (void)state;
    assert_ptr_equal(nr_copy(&nothing, NULL, 0), &nothing);
    assert_int_equal(nothing, '#');
    for (size_t len = 0; len <= LEN_MAX; len++) {
        char to[LEN_MAX + 2], *from = malloc(len + 1);

        assert_non_null(from);
        for (size_t i = 0; i < len; i++)
            from[i + 1] = (char)(i + 1);
        memset(to, '#', sizeof(to));
        assert_ptr_equal(nr_copy(to + 1, from + 1, len), to + 1 + len);
        assert_memory_equal(to + 1, from + 1, len);
        assert_int_equal(to[0], '#');
        assert_int_equal(to[1 + len], '#');
        free(from);
    }
}

static void writes_hex_as_printf(void **state)
{
    uint64_t corners[] = {0, 1, 9, 10, 15, 16, 0x0123456789abcdef, 0xfedcba9876543210, UINT64_MAX};
    struct nr_random random;

    (void)state;
    nr_random_init(&random, 1);
    for (size_t i = 0; i < 10000; i++) {
        uint64_t value =
            i < sizeof(corners) / sizeof(corners[0]) ? corners[i] : nr_random_u64(&random);
        char want[17], got[17] = {0};

        snprintf(want, sizeof(want), "%016" PRIx64, value);
        assert_ptr_equal(nr_copy_hex(got, value), got + 16);
        assert_string_equal(got, want);
    }
}

static void writes_decimal_as_printf(void **state)
{
    uint64_t power = 1;
    struct nr_random random;

    (void)state;
    nr_random_init(&random, 2);
    for (int i = 0; i < 10000; i++) {
        uint64_t value = i < 60 ? power - 1 + (uint64_t)(i % 3)
                                : nr_random_u64(&random) >> nr_random_below(&random, 64);
        char want[NR_DECIMAL_BYTES + 1], got[NR_DECIMAL_BYTES + 1] = {0};
        struct nr_span text;

        if (i % 3 == 2)
            power *= 10; /* 9, 10, 11, 99, … and beyond 64 bits: what wraps will do, too */
        snprintf(want, sizeof(want), "%" PRIu64, value);
        text = nr_decimal(got, value);
        assert_string_equal(got, want);
        assert_int_equal(text.len, strlen(want));
    }
}

static void loads_a_part_of_a_word(void **state)
{
    static const char bytes[] = {1, 2, (char)0x83, 4, 5, (char)0x86, 7};
    uint64_t want = 0;

    (void)state;
    assert_true(nr_load_part(bytes, 0) == 0);
    for (size_t len = 1; len <= sizeof(bytes); len++) {
        want |= (uint64_t)(unsigned char)bytes[len - 1] << (8 * (len - 1));
        assert_true(nr_load_part(bytes, len) == want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_exactly),
        cmocka_unit_test(loads_a_part_of_a_word),
        cmocka_unit_test(writes_hex_as_printf),
        cmocka_unit_test(writes_decimal_as_printf),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
