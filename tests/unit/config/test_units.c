/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "config/units.h"

#define S 1000000000ull

enum kind { DURATION, SIZE, INTEGER, OCTAL };

static bool parse(enum kind kind, const char *text, uint64_t *ret)
{
    struct nr_span span = nr_span_of(text);

    switch (kind) {
    case DURATION: return nr_units_duration(span, ret);
    case SIZE: return nr_units_size(span, ret);
    case INTEGER: return nr_units_integer(span, 10, ret);
    case OCTAL: return nr_units_integer(span, 8, ret);
    }
    return false;
}

static void test_numbers_with_units(void **state)
{
    static const struct {
        enum kind kind;
        const char *text;
        uint64_t number;
    } good[] = {
        {DURATION, "0s", 0},
        {DURATION, "1ns", 1},
        {DURATION, "10us", 10000},
        {DURATION, "250ms", 250000000},
        {DURATION, "2s", 2 * S},
        {DURATION, "1.5s", S + S / 2},
        {DURATION, "0.25m", 15 * S},
        {DURATION, "1m", 60 * S},
        {DURATION, "1h", 3600 * S},
        {DURATION, "30d", 30 * 86400 * S},
        {DURATION, "213503d", 213503 * 86400ull * S},
        {SIZE, "0", 0},
        {SIZE, "4096", 4096},
        {SIZE, "512B", 512},
        {SIZE, "64KiB", 65536},
        {SIZE, "1.5MiB", 1572864},
        {SIZE, "2GiB", 2147483648},
        {SIZE, "1TiB", 1099511627776},
        {INTEGER, "18446744073709551615", UINT64_MAX},
        {INTEGER, "007", 7},
        {OCTAL, "0660", 0660},
    };
    static const struct {
        enum kind kind;
        const char *text;
    } bad[] = {
        {DURATION, ""},
        {DURATION, "250"},
        {DURATION, "ms"},
        {DURATION, "-1s"},
        {DURATION, "1 s"},
        {DURATION, "1s "},
        {DURATION, "1.s"},
        {DURATION, ".5s"},
        {DURATION, "1S"},
        {DURATION, "1sec"},
        {DURATION, "1m30s"},
        {DURATION, "213504d"},
        {DURATION, "0.5ns"},
        {DURATION, "1e3s"},
        {DURATION, "abc"},
        {DURATION, "1.0000000001s"},
        {SIZE, ""},
        {SIZE, "64K"},
        {SIZE, "64KB"},
        {SIZE, "64kib"},
        {SIZE, "-1"},
        {SIZE, "KiB"},
        {SIZE, "0.5B"},
        {SIZE, "16777216TiB"},
        {INTEGER, ""},
        {INTEGER, "+1"},
        {INTEGER, "1.0"},
        {INTEGER, "0x10"},
        {INTEGER, "18446744073709551616"},
        {OCTAL, "0680"},
    };

    for (size_t i = 0; i < NR_COUNT(good); i++) {
        uint64_t number = 99;

        assert_true(parse(good[i].kind, good[i].text, &number));
        assert_int_equal(number, good[i].number);
    }
    for (size_t i = 0; i < NR_COUNT(bad); i++) {
        uint64_t number = 99;

        if (parse(bad[i].kind, bad[i].text, &number))
            fail_msg("'%s' was taken as %llu", bad[i].text, (unsigned long long)number);
        assert_int_equal(number, 99);
    }
}

static void test_rates(void **state)
{
    static const struct {
        const char *text;
        bool bytes;
        struct nr_rate rate;
        const char *back;
    } good[] = {
        {"10/s", false, {10, S}, "10/s"},
        {"100/min", false, {100, 60 * S}, "100/min"},
        {"100/15min", false, {100, 900 * S}, "100/15min"},
        {"1000/h", false, {1000, 3600 * S}, "1000/h"},
        {"5/d", false, {5, 86400 * S}, "5/d"},
        {"3/60s", false, {3, 60 * S}, "3/min"},
        {"64KiB/s", true, {65536, S}, "64KiB/s"},
        {"240/s", true, {240, S}, "240B/s"},
    };
    static const char *const bad[] = {"",      "10",      "10/",     "/s",    "0/s",
                                      "10/0s", "10/m",    "10/ms",   "1.5/s", "10 / s",
                                      "-1/s",  "10/min ", "64KiB/s", "10/s/s"};
    struct nr_arena arena;
    struct nr_rate rate;

    nr_arena_init(&arena, NULL, 0);
    for (size_t i = 0; i < NR_COUNT(good); i++) {
        assert_true(nr_units_rate(nr_span_of(good[i].text), good[i].bytes, &rate));
        assert_int_equal(rate.count, good[i].rate.count);
        assert_int_equal(rate.per_ns, good[i].rate.per_ns);
        assert_string_equal(nr_units_rate_text(rate, good[i].bytes, &arena).ptr, good[i].back);
    }
    for (size_t i = 0; i < NR_COUNT(bad); i++)
        assert_false(nr_units_rate(nr_span_of(bad[i]), false, &rate));
    nr_arena_done(&arena);
}

static void test_shares(void **state)
{
    static const struct {
        const char *text;
        double ratio;
        const char *back;
    } good[] = {{"50%", 0.5, "50%"},
                {"0.5", 0.5, "50%"},
                {"0%", 0, "0%"},
                {"100%", 1, "100%"},
                {"12.5%", 0.125, "12.5%"},
                {"20%", 0.2, "20%"},
                {"125%", 1.25, "125%"},
                {"0.123456789", 0.123456789, "12.3456789%"},
                {"12.123456789%", 0.12123456789, "12.123456789%"}};
    static const char *const bad[] = {"1000000", "310000000000000031000000031442",
                                      "",        "%",
                                      "-1%",     "50 %",
                                      "half",    "nan",
                                      "inf",     "1e-3",
                                      "5%%"};
    struct nr_arena arena;
    double ratio;

    nr_arena_init(&arena, NULL, 0);
    for (size_t i = 0; i < NR_COUNT(good); i++) {
        assert_true(nr_units_ratio(nr_span_of(good[i].text), &ratio));
        assert_float_equal(ratio, good[i].ratio, 1e-12);
        assert_string_equal(nr_units_ratio_text(ratio, &arena).ptr, good[i].back);
    }
    for (size_t i = 0; i < NR_COUNT(bad); i++)
        assert_false(nr_units_ratio(nr_span_of(bad[i]), &ratio));
    nr_arena_done(&arena);
}

static void test_statuses(void **state)
{
    static const struct {
        const char *text;
        uint16_t first, last;
    } good[] = {{"200", 200, 200}, {"2xx", 200, 299}, {"200-399", 200, 399}, {"599", 599, 599}};
    static const char *const bad[] = {"",    "20",   "2000",    "600",     "099",
                                      "0xx", "6xx",  "399-200", "200-600", "200 399",
                                      "2XX", "-200", "abc",     "200-2xx"};
    struct nr_status_range range;
    struct nr_arena arena;

    nr_arena_init(&arena, NULL, 0);
    for (size_t i = 0; i < NR_COUNT(good); i++) {
        assert_true(nr_units_status(nr_span_of(good[i].text), &range));
        assert_int_equal(range.first, good[i].first);
        assert_int_equal(range.last, good[i].last);
        assert_string_equal(nr_units_status_text(range, &arena).ptr, good[i].text);
    }
    for (size_t i = 0; i < NR_COUNT(bad); i++)
        assert_false(nr_units_status(nr_span_of(bad[i]), &range));
    nr_arena_done(&arena);
}

static void test_the_shortest_text_means_exactly_the_same(void **state)
{
    static const struct {
        uint64_t number;
        const char *duration;
        const char *size;
    } cases[] = {
        {0, "0s", "0B"},          {1, "1ns", "1B"},
        {1024, "1024ns", "1KiB"}, {1500000000, "1500ms", "1500000000B"},
        {60 * S, "1m", NULL},     {90 * S, "90s", NULL},
        {86400 * S, "1d", NULL},
    };
    struct nr_arena arena;
    uint64_t back;

    nr_arena_init(&arena, NULL, 0);
    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        struct nr_span duration = nr_units_duration_text(cases[i].number, &arena);
        struct nr_span size = nr_units_size_text(cases[i].number, &arena);

        assert_string_equal(duration.ptr, cases[i].duration);
        assert_true(nr_units_duration(duration, &back));
        assert_int_equal(back, cases[i].number);
        assert_true(nr_units_size(size, &back));
        assert_int_equal(back, cases[i].number);
        if (cases[i].size != NULL)
            assert_string_equal(size.ptr, cases[i].size);
    }
    nr_arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_with_units),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_the_shortest_text_means_exactly_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
