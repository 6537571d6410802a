/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../death.h"
#include "base/buf.h"
#include "base/compiler.h"

static void the_size_follows_the_wish(void **state)
{
    const size_t small_max = NR_BUF_SMALL_BYTES - sizeof(struct nr_buf);
    static const uint32_t large_cap = NR_BUF_LARGE_BYTES - sizeof(struct nr_buf);
    const struct {
        size_t want;
        uint32_t large;
    } cases[] = {
        {0, 0}, {1, 0}, {small_max, 0}, {small_max + 1, 1}, {65536, 1}, {1000000, 1},
    };
    struct nr_buf_pool pool;

    nr_buf_pool_init(&pool);
    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        struct nr_buf *buf = nr_buf_get(&pool, cases[i].want);

        assert_int_equal(buf->large, cases[i].large);
        assert_int_equal(buf->cap, cases[i].large ? large_cap : small_max);
        assert_int_equal(nr_buf_len(buf), 0);
        assert_int_equal(nr_buf_room(buf), buf->cap);
        memset(buf->data, 1, buf->cap); /* every byte of it is ours: ASan */
        nr_buf_put(&pool, buf);
    }
    nr_buf_pool_done(&pool);
}

static void the_last_returned_is_the_next_given(void **state)
{
    struct nr_buf_pool pool;
    struct nr_buf *a, *b, *large;

    nr_buf_pool_init(&pool);
    a = nr_buf_get(&pool, 0);
    b = nr_buf_get(&pool, 0);
    large = nr_buf_get(&pool, 65536);
    nr_buf_put(&pool, a);
    nr_buf_put(&pool, large);
    nr_buf_put(&pool, b);
    assert_ptr_equal(nr_buf_get(&pool, 0), b);
    assert_ptr_equal(nr_buf_get(&pool, 0), a);
    assert_ptr_equal(nr_buf_get(&pool, 65536), large);
    nr_buf_put(&pool, a);
    nr_buf_put(&pool, b);
    nr_buf_put(&pool, large);
    nr_buf_pool_done(&pool);
}

static void a_reused_buffer_is_empty(void **state)
{
    struct nr_buf_pool pool;
    struct nr_buf *buf, *again;

    nr_buf_pool_init(&pool);
    buf = nr_buf_get(&pool, 0);
    buf->begin = 5;
    buf->end = 10;
    buf->next = buf;
    assert_int_equal(nr_buf_len(buf), 5);
    assert_ptr_equal(nr_buf_span(buf).ptr, buf->data + 5);
    nr_buf_put(&pool, buf);
    again = nr_buf_get(&pool, 0);
    assert_ptr_equal(again, buf);
    assert_int_equal(nr_buf_len(again), 0);
    assert_null(again->next);
    nr_buf_put(&pool, again);
    nr_buf_pool_done(&pool);
}

static void the_pool_keeps_a_bounded_number(void **state)
{
    struct nr_buf_pool pool;
    struct nr_buf *bufs[8];

    nr_buf_pool_init(&pool);
    pool.free_max[0] = 3;
    for (int i = 0; i < 8; i++)
        bufs[i] = nr_buf_get(&pool, 0);
    assert_int_equal(pool.live, 8);
    for (int i = 0; i < 8; i++)
        nr_buf_put(&pool, bufs[i]);
    nr_buf_put(&pool, NULL);
    assert_int_equal(pool.live, 0);
    assert_int_equal(pool.free_count[0], 3);
    nr_buf_pool_done(&pool);
    assert_int_equal(pool.free_count[0], 0);
}

static void put_to_another_pool(void *argument)
{
    struct nr_buf_pool other;

    nr_buf_pool_init(&other);
    nr_buf_put(&other, argument);
}

static void returning_what_was_never_given_aborts(void **state)
{
    struct nr_buf_pool pool;
    struct nr_buf *buf;

    nr_buf_pool_init(&pool);
    buf = nr_buf_get(&pool, 0);
    assert_true(aborts(put_to_another_pool, buf));
    nr_buf_put(&pool, buf);
    nr_buf_pool_done(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_size_follows_the_wish),
        cmocka_unit_test(the_last_returned_is_the_next_given),
        cmocka_unit_test(a_reused_buffer_is_empty),
        cmocka_unit_test(the_pool_keeps_a_bounded_number),
        cmocka_unit_test(returning_what_was_never_given_aborts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
