/* SPDX-License-Identifier: Apache-2.0 */
/* A ring of records: what it keeps, what it forgets, and that a reader never sees a mixture. */
#include "base/record.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct nr_record numbered(uint64_t n)
{
    struct nr_record record;

    memset(&record, 0, sizeof(record));
    record.id[0] = n;
    record.id[1] = ~n;
    record.received_bytes = n * 3;
    record.total_us = (uint32_t)n;
    record.attempts[NR_RECORD_ATTEMPTS - 1].took_us = (uint32_t)n;
    return record;
}

static void keeps_the_latest_newest_first(void **state)
{
    struct nr_record_ring *ring = nr_record_ring_new(4);
    struct nr_record to[8];

    (void)state;
    assert_int_equal(nr_record_ring_latest(ring, to, 8), 0);
    for (uint64_t n = 1; n <= 6; n++) {
        struct nr_record record = numbered(n);

        nr_record_ring_put(ring, &record);
    }
    assert_int_equal(nr_record_ring_latest(ring, to, 8), 4);
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(to[i].id[0], 6 - i);
    assert_int_equal(nr_record_ring_latest(ring, to, 2), 2);
    assert_int_equal(to[1].id[0], 5);
    nr_record_ring_free(ring);
}

static void finds_by_both_words_of_the_id(void **state)
{
    struct nr_record_ring *ring = nr_record_ring_new(4);
    struct nr_record found = numbered(99);

    (void)state;
    for (uint64_t n = 1; n <= 5; n++) {
        struct nr_record record = numbered(n);

        nr_record_ring_put(ring, &record);
    }
    assert_true(nr_record_ring_find(ring, (uint64_t[2]){4, ~(uint64_t)4}, &found));
    assert_int_equal(found.received_bytes, 12);
    assert_false(nr_record_ring_find(ring, (uint64_t[2]){4, 4}, &found));
    assert_false(
        nr_record_ring_find(ring, (uint64_t[2]){1, ~(uint64_t)1}, &found)); /* washed away */
    assert_int_equal(found.received_bytes, 12);                             /* untouched */
    nr_record_ring_free(ring);
}

/* An id that naru made is found by its hex text, a client's own by a hash of it. */
static void ids_from_text(void **state)
{
    uint64_t id[2], again[2], other[2];

    (void)state;
    nr_record_id_of(NR_SPAN("0123456789abcdefFEDCBA9876543210"), id);
    assert_int_equal(id[0], 0x0123456789abcdefu);
    assert_int_equal(id[1], 0xfedcba9876543210u);
    nr_record_id_of(NR_SPAN("order-42"), id);
    nr_record_id_of(NR_SPAN("order-42"), again);
    nr_record_id_of(NR_SPAN("order-43"), other);
    assert_memory_equal(id, again, sizeof(id));
    assert_true(id[0] != other[0] && id[1] != other[1] && id[0] != id[1]);
    nr_record_id_of(NR_SPAN("0123456789abcdefFEDCBA987654321g"), other); /* not hex: hashed */
    assert_true(other[0] != 0x0123456789abcdefu);
}

static void *write_many(void *arg)
{
    for (uint64_t n = 1; n <= 200000; n++) {
        struct nr_record record = numbered(n);

        nr_record_ring_put(arg, &record);
    }
    return NULL;
}

static void readers_never_see_a_mixture(void **state)
{
    struct nr_record_ring *ring = nr_record_ring_new(2); /* small: every read meets the writer */
    struct nr_record to[2];
    pthread_t writer;
    uint64_t last = 0;

    (void)state;
    assert_int_equal(pthread_create(&writer, NULL, write_many, ring), 0);
    while (last < 200000) {
        uint32_t count = nr_record_ring_latest(ring, to, 2);

        for (uint32_t i = 0; i < count; i++) {
            struct nr_record whole = numbered(to[i].id[0]);

            assert_memory_equal(&to[i], &whole, sizeof(whole));
            last = to[i].id[0] > last ? to[i].id[0] : last;
        }
    }
    pthread_join(writer, NULL);
    nr_record_ring_free(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_latest_newest_first),
        cmocka_unit_test(finds_by_both_words_of_the_id),
        cmocka_unit_test(ids_from_text),
        cmocka_unit_test(readers_never_see_a_mixture),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
