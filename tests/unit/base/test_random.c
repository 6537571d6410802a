/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "../death.h"
#include "base/compiler.h"
#include "base/random.h"

/* From the definition alone: xoshiro256** with the state {1, 2, 3, 4}. The first
 * is rotl(2 * 5, 7) * 9 = 11520; then s[1] becomes 1 ^ 2 ^ 3 = 0, hence 0. */
static void the_first_numbers_are_the_published_ones(void **state)
{
    static const uint64_t want[] = {11520u, 0u, 1509978240u, 1215971899390074240u};
    struct nr_random random = {{1, 2, 3, 4}};

    for (size_t i = 0; i < NR_COUNT(want); i++)
        assert_int_equal(nr_random_u64(&random), want[i]);
}

/* splitmix64 of seed 0 (Vigna's reference): the state after initialising. */
static void a_seed_is_spread_over_the_state(void **state)
{
    struct nr_random random;

    nr_random_init(&random, 0);
    assert_int_equal(random.state[0], 0xe220a8397b1dcdafu);
    assert_int_equal(random.state[1], 0x6e789e6aa1b965f4u);
    assert_int_equal(random.state[2], 0x06c45d188009454fu);
    assert_int_equal(random.state[3], 0xf88bb8a8724c81ecu);
}

static void the_same_seed_gives_the_same_world(void **state)
{
    struct nr_random a, b, c;
    int equal = 0;

    nr_random_init(&a, 42);
    nr_random_init(&b, 42);
    nr_random_init(&c, 43);
    for (int i = 0; i < 1000; i++) {
        uint64_t value = nr_random_u64(&a);

        assert_int_equal(value, nr_random_u64(&b));
        equal += value == nr_random_u64(&c);
    }
    assert_int_equal(equal, 0);
}

/* Chi-square with bound - 1 degrees of freedom: beyond the mean by six standard
 * deviations is no accident. The seed is fixed, so neither is a failure. */
static void below_is_uniform(void **state)
{
    static const uint64_t bounds[] = {2, 3, 7, 10, 100};

    for (size_t b = 0; b < NR_COUNT(bounds); b++) {
        const uint64_t bound = bounds[b];
        const int draws = 100000;
        const double expected = (double)draws / (double)bound;
        const double freedom = (double)bound - 1;
        uint32_t counts[100] = {0};
        struct nr_random random;
        double chi = 0;

        nr_random_init(&random, bound);
        for (int i = 0; i < draws; i++) {
            uint64_t value = nr_random_below(&random, bound);

            assert_true(value < bound);
            counts[value]++;
        }
        for (uint64_t i = 0; i < bound; i++)
            chi += (counts[i] - expected) * (counts[i] - expected) / expected;
        /* The variance of chi-square is twice its degrees of freedom. */
        assert_true((chi - freedom) * (chi - freedom) < 36 * 2 * freedom);
    }
}

static void below_knows_its_ends(void **state)
{
    struct nr_random random;
    uint64_t largest = 0;

    nr_random_init(&random, 1);
    for (int i = 0; i < 1000; i++) {
        uint64_t value = nr_random_below(&random, UINT64_MAX);

        assert_int_equal(nr_random_below(&random, 1), 0);
        assert_true(value < UINT64_MAX);
        largest = value > largest ? value : largest;
    }
    assert_true(largest > UINT64_MAX / 100 * 99);
}

static void unit_is_uniform_and_never_one(void **state)
{
    struct nr_random random;
    int tenths[10] = {0};

    nr_random_init(&random, 5);
    for (int i = 0; i < 100000; i++) {
        double value = nr_random_unit(&random);

        assert_true(value >= 0 && value < 1);
        tenths[(int)(value * 10)]++;
    }
    for (int i = 0; i < 10; i++)
        assert_in_range(tenths[i], 9400, 10600); /* six standard deviations of 95 */
}

static void every_bit_turns(void **state)
{
    struct nr_random random;
    int ones[64] = {0};

    nr_random_init(&random, 9);
    for (int i = 0; i < 10000; i++) {
        uint64_t value = nr_random_u64(&random);

        for (int bit = 0; bit < 64; bit++)
            ones[bit] += (int)(value >> bit & 1);
    }
    for (int bit = 0; bit < 64; bit++)
        assert_in_range(ones[bit], 4700, 5300); /* six standard deviations of 50 */
}

static void below_nothing(void *argument)
{
    (void)nr_random_below(argument, 0);
}

static void nothing_lies_below_zero(void **state)
{
    struct nr_random random;

    nr_random_init(&random, 0);
    assert_true(aborts(below_nothing, &random));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_numbers_are_the_published_ones),
        cmocka_unit_test(a_seed_is_spread_over_the_state),
        cmocka_unit_test(the_same_seed_gives_the_same_world),
        cmocka_unit_test(below_is_uniform),
        cmocka_unit_test(below_knows_its_ends),
        cmocka_unit_test(unit_is_uniform_and_never_one),
        cmocka_unit_test(every_bit_turns),
        cmocka_unit_test(nothing_lies_below_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
