/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../death.h"
#include "base/arena.h"
#include "base/compiler.h"

static bool inside(const void *pointer, const void *memory, size_t bytes)
{
    return (const char *)pointer >= (const char *)memory &&
           (const char *)pointer < (const char *)memory + bytes;
}

static void the_first_block_is_the_owners(void **state)
{
    _Alignas(8) char memory[256];
    struct nr_arena arena;

    nr_arena_init(&arena, memory, sizeof(memory));
    assert_int_equal(arena.used_bytes, sizeof(memory));
    for (int i = 0; i < 31; i++) /* 256 less the canary */
        assert_true(inside(nr_arena_alloc(&arena, 8), memory, sizeof(memory)));
    assert_null(arena.heap);
    assert_false(inside(nr_arena_alloc(&arena, 1), memory, sizeof(memory)));
    assert_non_null(arena.heap);
    nr_arena_done(&arena);
}

/* Too small to hold anything beside its canary: then the heap serves from the start. */
static void a_tiny_or_absent_first_block_is_left_alone(void **state)
{
    _Alignas(8) char memory[15];
    struct nr_arena arena;

    memset(memory, 'x', sizeof(memory));
    for (size_t bytes = 0; bytes <= sizeof(memory); bytes++) {
        nr_arena_init(&arena, bytes == 0 ? NULL : memory, bytes);
        assert_false(inside(nr_arena_alloc(&arena, 1), memory, sizeof(memory)));
        nr_arena_done(&arena);
    }
    for (size_t i = 0; i < sizeof(memory); i++)
        assert_int_equal(memory[i], 'x');
}

static void every_allocation_is_aligned_and_its_own(void **state)
{
    _Alignas(16) char memory[200];
    unsigned char *pieces[200];

    for (size_t shift = 0; shift < 8; shift++) {
        struct nr_arena arena;

        nr_arena_init(&arena, memory + shift, sizeof(memory) - shift);
        for (size_t i = 0; i < 200; i++) {
            pieces[i] = nr_arena_alloc(&arena, i);
            assert_int_equal((uintptr_t)pieces[i] % 8, 0);
            memset(pieces[i], (int)i, i);
        }
        for (size_t i = 0; i < 200; i++)
            for (size_t at = 0; at < i; at++)
                assert_int_equal(pieces[i][at], i);
        nr_arena_done(&arena);
    }
}

static void heap_blocks_double_up_to_a_limit(void **state)
{
    struct nr_arena arena;
    size_t before, grown, last = 1024;

    nr_arena_init(&arena, NULL, 0);
    for (int i = 0; i < 8; i++) {
        before = arena.used_bytes;
        while (arena.used_bytes == before)
            nr_arena_alloc(&arena, 512);
        grown = arena.used_bytes - before;
        assert_int_equal(grown, last < 65536 ? last * 2 : 65536);
        last = grown;
    }
    nr_arena_done(&arena);
    assert_int_equal(arena.used_bytes, 0);
}

static void more_than_a_block_gets_a_block_of_its_size(void **state)
{
    struct nr_arena arena;
    char *big;

    nr_arena_init(&arena, NULL, 0);
    big = nr_arena_alloc(&arena, 1000000);
    memset(big, 1, 1000000);
    assert_int_equal(arena.used_bytes, 1000000);
    nr_arena_done(&arena);
}

static void zalloc_zeroes_what_was_used_before(void **state)
{
    _Alignas(8) char memory[128];
    struct nr_arena arena;
    const char *zeroed;

    memset(memory, 0xff, sizeof(memory));
    nr_arena_init(&arena, memory, sizeof(memory));
    zeroed = nr_arena_zalloc(&arena, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(zeroed[i], 0);
    nr_arena_done(&arena);
}

static void dup_and_printf_end_in_nul(void **state)
{
    struct nr_arena arena;
    char source[] = "a\0b";
    struct nr_span copy, text;

    nr_arena_init(&arena, NULL, 0);
    copy = nr_arena_dup(&arena, (struct nr_span){source, 3});
    source[0] = 'z';
    assert_memory_equal(copy.ptr, "a\0b", 4);
    copy = nr_arena_dup(&arena, (struct nr_span){NULL, 0});
    assert_int_equal(copy.len, 0);
    assert_string_equal(copy.ptr, "");
    text = nr_arena_printf(&arena, "%s:%d", "port", 80);
    assert_int_equal(text.len, 7);
    assert_string_equal(text.ptr, "port:80");
    text = nr_arena_printf(&arena, "%5000d", 1); /* longer than a block */
    assert_int_equal(text.len, 5000);
    assert_int_equal(text.ptr[4999], '1');
    nr_arena_done(&arena);
}

static void an_arena_may_be_used_again(void **state)
{
    struct nr_arena arena;

    for (int round = 0; round < 3; round++) {
        nr_arena_init(&arena, NULL, 0);
        nr_arena_alloc(&arena, 5000);
        nr_arena_done(&arena);
        nr_arena_done(&arena); /* and ending twice is harmless */
    }
}

struct overrun {
    size_t first_bytes; /* of the embedded block; 0: the heap */
    size_t past_bytes;  /* written beyond the block's last usable byte */
};

/* Fills the current block to its end and writes on. */
static void fill_and_write_past(void *argument)
{
    const struct overrun *o = argument;
    _Alignas(8) char memory[64];
    struct nr_arena arena;
    char *all;
    size_t room;

    nr_arena_init(&arena, o->first_bytes > 0 ? memory : NULL, o->first_bytes);
    if (o->first_bytes == 0)
        nr_arena_alloc(&arena, 8);
    room = (size_t)(arena.limit - arena.at);
    all = nr_arena_alloc(&arena, room);
    memset(all, 'A', room + o->past_bytes);
    nr_arena_done(&arena);
}

static void an_overrun_aborts_at_the_end(void **state)
{
    static const struct {
        struct overrun overrun;
        bool dies;
    } cases[] = {
        {{64, 0}, false}, {{64, 1}, true}, {{64, 8}, true},
        {{0, 0}, false},  {{0, 1}, true},  {{0, 8}, true},
    };

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        struct overrun overrun = cases[i].overrun;

        assert_int_equal(aborts(fill_and_write_past, &overrun), cases[i].dies);
    }
}

static void reset_keeps_small_heap_blocks(void **state)
{
    _Alignas(8) char first[64];
    struct nr_arena arena;
    char *inside, *overflow, *more;

    (void)state;
    nr_arena_init(&arena, first, sizeof(first));
    inside = nr_arena_alloc(&arena, 16);
    overflow = nr_arena_alloc(&arena, 200);
    nr_arena_alloc(&arena, 10000);
    nr_arena_reset(&arena);
    assert_ptr_equal(nr_arena_alloc(&arena, 16), inside);
    assert_ptr_equal(nr_arena_alloc(&arena, 200), overflow);
    nr_arena_reset(&arena);
    nr_arena_alloc(&arena, 5000); /* larger than what was kept: the kept one stays */
    nr_arena_reset(&arena);
    nr_arena_alloc(&arena, 48);
    assert_ptr_equal(nr_arena_alloc(&arena, 200), overflow);
    more = nr_arena_alloc(&arena, 2000); /* the next size */
    nr_arena_alloc(&arena, 6000);
    nr_arena_reset(&arena);
    nr_arena_alloc(&arena, 48);
    assert_ptr_equal(nr_arena_alloc(&arena, 200), overflow);
    assert_ptr_equal(nr_arena_alloc(&arena, 2000), more);
    nr_arena_reset(&arena);
    assert_ptr_equal(nr_arena_alloc(&arena, 3000), more); /* too much for the smaller one */
    nr_arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reset_keeps_small_heap_blocks),
        cmocka_unit_test(the_first_block_is_the_owners),
        cmocka_unit_test(a_tiny_or_absent_first_block_is_left_alone),
        cmocka_unit_test(every_allocation_is_aligned_and_its_own),
        cmocka_unit_test(heap_blocks_double_up_to_a_limit),
        cmocka_unit_test(more_than_a_block_gets_a_block_of_its_size),
        cmocka_unit_test(zalloc_zeroes_what_was_used_before),
        cmocka_unit_test(dup_and_printf_end_in_nul),
        cmocka_unit_test(an_arena_may_be_used_again),
        cmocka_unit_test(an_overrun_aborts_at_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
