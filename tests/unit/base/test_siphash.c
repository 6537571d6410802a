/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "base/random.h"
#include "base/siphash.h"

/* Key 00 01 … 0f, text 00 01 … n-1, as in appendix A of the paper. 64 bits: the
 * authors' reference vectors of 2-4. 128 bits of 1-3: openssl mac -macopt size:16 -macopt
 * c-rounds:1 -macopt d-rounds:3 … SIPHASH. Results are bytes in little-endian order, read as words
 * here. */
static const uint64_t paper_key[2] = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};

static struct nr_span first_bytes(size_t count)
{
    static char bytes[64];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)i;
    return (struct nr_span){bytes, count};
}

static void known_vectors(void **state)
{
    static const struct {
        size_t bytes;
        uint64_t hash_64, lo, hi;
    } cases[] = {
        /* clang-format off */
        {0,  0x726fdb47dd0e0e31u, 0xbea58827b2bc7ee7u, 0x013030dd6adb62fdu},
        {1,  0x74f839c593dc67fdu, 0xa8edd36004376ffcu, 0x63f02f2bcc73055eu},
        {2,  0x0d6c8009d9a94f5au, 0x9b836905097f7875u, 0x95ea6a8c54c95b85u},
        {7,  0xab0200f58b01d137u, 0xc3e0aaf223b98410u, 0x77ab4808c82e2fa6u},
        {8,  0x93f5f5799a932462u, 0xb4dae3d5e1fe12aau, 0x99c7f935ab164f72u},
        {9,  0x9e0082df0ba9e4b0u, 0x9439f32c04b8dd81u, 0x427c1394000e72f4u},
        {15, 0xa129ca6149be45e5u, 0x6c52bdb205557ec1u, 0x09017e1eeccd2129u},
        {16, 0x3f2acc7f57c29bdbu, 0xeb8e511557d9a8d0u, 0x93179e3df8b013b5u},
        {63, 0x958a324ceb064572u, 0x6f42fe4ee300584cu, 0xad6052a70a6b9f07u},
        /* clang-format on */
    };

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        struct nr_span text = first_bytes(cases[i].bytes);
        struct nr_hash128 hash = nr_siphash128(paper_key, text);

        print_message("# %zu bytes\n", cases[i].bytes);
        assert_true(nr_siphash(paper_key, text) == cases[i].hash_64);
        assert_true(hash.lo == cases[i].lo);
        assert_true(hash.hi == cases[i].hi);
    }
}

static void pieces_do_not_show(void **state)
{
    struct nr_random random;

    nr_random_init(&random, 3);
    for (int round = 0; round < 10000; round++) {
        struct nr_span text = first_bytes(nr_random_below(&random, 65));
        struct nr_hash128 whole = nr_siphash128(paper_key, text);
        struct nr_siphash hash;
        struct nr_hash128 pieces;

        nr_siphash_init(&hash, paper_key);
        for (struct nr_span rest = text; rest.len > 0;) {
            size_t count = 1 + nr_random_below(&random, rest.len);

            nr_siphash_add(&hash, (struct nr_span){rest.ptr, count});
            rest = nr_span_from(rest, count);
        }
        pieces = nr_siphash_end(&hash);
        assert_true(pieces.lo == whole.lo && pieces.hi == whole.hi);
    }
}

static void numbers_are_eight_bytes_lowest_first(void **state)
{
    struct nr_hash128 whole = nr_siphash128(paper_key, first_bytes(8));
    struct nr_siphash hash;
    struct nr_hash128 number;

    nr_siphash_init(&hash, paper_key);
    nr_siphash_add_u64(&hash, 0x0706050403020100u);
    number = nr_siphash_end(&hash);
    assert_true(number.lo == whole.lo && number.hi == whole.hi);
}

static void another_key_is_another_hash(void **state)
{
    const uint64_t other[2] = {paper_key[0], paper_key[1] ^ 1};

    assert_true(nr_siphash(paper_key, first_bytes(8)) != nr_siphash(other, first_bytes(8)));
    assert_true(nr_siphash128(paper_key, first_bytes(8)).lo !=
                nr_siphash128(other, first_bytes(8)).lo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_vectors),
        cmocka_unit_test(pieces_do_not_show),
        cmocka_unit_test(numbers_are_eight_bytes_lowest_first),
        cmocka_unit_test(another_key_is_another_hash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
