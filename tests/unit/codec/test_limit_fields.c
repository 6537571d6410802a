/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "codec/limit_fields.h"

#define MS ((uint64_t)1000000)
#define S  (1000 * MS)

static const struct nr_limit_conf per_minute = {
    .algorithm = NR_LIMIT_GCRA, .limit = 100, .burst = 20, .period_ns = 60 * S};
static const struct nr_limit_conf per_tick = {
    .algorithm = NR_LIMIT_GCRA, .limit = 5, .burst = 5, .period_ns = 250 * MS};

static void fields(void **state)
{
    static const struct {
        const char *name;
        struct nr_limit_told told;
        const char *policy, *now;
    } cases[] = {
        /* clang-format off */
        {"one, allowed", {{"per_user", 8}, &per_minute, {true, 100, 37, 0, 11001 * MS, 0}},
         "\"per_user\";q=100;w=60", "\"per_user\";r=37;t=12"},
        {"refused: when it may pass", {{"u", 1}, &per_minute, {false, 100, 0, 0, 60 * S, 600 * MS}},
         "\"u\";q=100;w=60", "\"u\";r=0;t=1"},
        {"refused for ever: when all is back", {{"u", 1}, &per_minute, {false, 100, 9, 0, 55 * S, NR_LIMIT_NEVER}},
         "\"u\";q=100;w=60", "\"u\";r=9;t=55"},
        {"a window that seconds can't say", {{"b", 1}, &per_tick, {true, 5, 4, 0, 1, 0}},
         "\"b\";q=5", "\"b\";r=4;t=1"},
        {"a name is never more than a string", {{"a\"\\\r\n\xc3", 6}, &per_minute, {true, 100, 1, 0, 0, 0}},
         "\"a\\\"\\\\???\";q=100;w=60", "\"a\\\"\\\\???\";r=1;t=0"},
        /* clang-format on */
    };

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        struct nr_limit_told told = cases[i].told;
        char name[NR_LIMIT_NAME_BYTES(8)], room[NR_LIMIT_FIELD_BYTES(sizeof(name))];
        size_t len;

        print_message("# %s\n", cases[i].name);
        told.name = (struct nr_span){name, nr_limit_field_name(name, cases[i].told.name)};
        len = nr_limit_field_policy(room, &told);
        assert_int_equal(len, strlen(cases[i].policy));
        assert_memory_equal(room, cases[i].policy, len);
        len = nr_limit_field_state(room, &told);
        assert_int_equal(len, strlen(cases[i].now));
        assert_memory_equal(room, cases[i].now, len);
    }
}

/* Never too early: 1 ns over a second is two seconds. */
static void seconds_are_rounded_up(void **state)
{
    static const struct {
        uint64_t retry_ns, delay_s;
    } cases[] = {{1, 1}, {S, 1}, {S + 1, 2}, {59 * S + 999 * MS, 60}, {3600 * S, 3600}};

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        struct nr_limit_verdict v = {.limit = 7,
                                     .remaining = 3,
                                     .reset_ns = cases[i].retry_ns,
                                     .retry_ns = cases[i].retry_ns};
        struct nr_limit_numbers numbers = nr_limit_field_numbers(&v);
        uint64_t delay_s;

        assert_true(nr_limit_field_retry_after(&v, &delay_s));
        assert_int_equal(delay_s, cases[i].delay_s);
        assert_int_equal(numbers.limit, 7);
        assert_int_equal(numbers.remaining, 3);
        assert_int_equal(numbers.reset_s, cases[i].delay_s);
    }
}

static void no_retry_after(void **state)
{
    struct nr_limit_verdict allowed = {.allowed = true};
    struct nr_limit_verdict never = {.retry_ns = NR_LIMIT_NEVER};
    uint64_t delay_s = 77;

    assert_false(nr_limit_field_retry_after(&allowed, &delay_s));
    assert_false(nr_limit_field_retry_after(&never, &delay_s));
    assert_int_equal(delay_s, 77);
}

/* The macro's room is enough for the longest numbers and a name that is all quotes. */
static void room_enough(void **state)
{
    struct nr_limit_conf conf = {.limit = UINT32_MAX, .period_ns = NR_LIMIT_PERIOD_NS_MAX};
    struct nr_limit_told told = {
        {NULL, 0}, &conf, {true, UINT32_MAX, UINT32_MAX, 0, UINT64_MAX - 1, 0}};
    char name[NR_LIMIT_NAME_BYTES(4)], room[NR_LIMIT_FIELD_BYTES(sizeof(name))];

    told.name = (struct nr_span){name, nr_limit_field_name(name, NR_SPAN("\"\"\"\""))};
    assert_int_equal(told.name.len, sizeof(name));
    assert_in_range(nr_limit_field_policy(room, &told), 1, sizeof(room));
    assert_in_range(nr_limit_field_state(room, &told), 1, sizeof(room));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields),
        cmocka_unit_test(seconds_are_rounded_up),
        cmocka_unit_test(no_retry_after),
        cmocka_unit_test(room_enough),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
