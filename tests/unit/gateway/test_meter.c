/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "gateway/meter.h"

static const uint64_t secret[2] = {3, 4};

static struct nr_span name_of(uint32_t number, char room[16])
{
    return (struct nr_span){room, (size_t)snprintf(room, 16, "user-%u", number)};
}

static void use(struct nr_meter *meter, uint32_t number, enum nr_metered what, uint32_t units)
{
    char room[16];
    struct nr_span name = name_of(number, room);
    struct nr_hash128 key = nr_siphash128(secret, name);

    if (!nr_meter_count(meter, key, (uint8_t)(number % 3), what, units))
        nr_meter_enter(meter, key, name, 1000 + number, (uint8_t)(number % 3), what, units);
}

static void test_who_has_used_what(void **state)
{
    struct nr_meter *meter = nr_meter_new(10);
    struct nr_metered_key keys[16];
    uint64_t rest[NR_METERED_KINDS];

    (void)state;
    assert_int_equal(nr_meter_read(meter, keys, 16, rest), 0);
    use(meter, 7, NR_METERED_USED, 2);
    use(meter, 7, NR_METERED_USED, 3);
    use(meter, 7, NR_METERED_CHARGED, 10);
    use(meter, 8, NR_METERED_REFUSED, 1);
    assert_int_equal(nr_meter_read(meter, NULL, 0, rest), 2);
    assert_int_equal(nr_meter_read(meter, keys, 16, rest), 2);
    for (int i = 0; i < 2; i++) {
        bool seven = memcmp(keys[i].name, "user-7", keys[i].name_len) == 0;

        assert_int_equal(keys[i].name_len, 6);
        assert_int_equal(keys[i].since_ns, seven ? 1007 : 1008);
        assert_int_equal(keys[i].tier, seven ? 1 : 2);
        assert_int_equal(keys[i].units[NR_METERED_USED], seven ? 5 : 0);
        assert_int_equal(keys[i].units[NR_METERED_CHARGED], seven ? 10 : 0);
        assert_int_equal(keys[i].units[NR_METERED_REFUSED], seven ? 0 : 1);
    }
    nr_meter_unref(meter);
}

/* A long name is cut, and stays one key. */
static void test_a_long_name(void **state)
{
    struct nr_meter *meter = nr_meter_new(1);
    struct nr_metered_key key;
    uint64_t rest[NR_METERED_KINDS];
    char text[200];

    (void)state;
    memset(text, 'x', sizeof(text));
    nr_meter_enter(meter, (struct nr_hash128){1, 2}, (struct nr_span){text, sizeof(text)}, 5, 0,
                   NR_METERED_USED, 1);
    assert_true(nr_meter_count(meter, (struct nr_hash128){1, 2}, 0, NR_METERED_USED, 1));
    assert_int_equal(nr_meter_read(meter, &key, 1, rest), 1);
    assert_int_equal(key.name_len, NR_METER_NAME_BYTES);
    assert_int_equal(key.units[NR_METERED_USED], 2);
    nr_meter_unref(meter);
}

enum { THREADS = 4, USERS = 3000, ROUNDS = 20 };

static void *push(void *ctx)
{
    for (uint32_t i = 0; i < USERS * ROUNDS; i++)
        use(ctx, i % USERS, i % 5 == 0 ? NR_METERED_CHARGED : NR_METERED_USED, 1);
    return NULL;
}

/* More keys than it was made for, by four threads at once: not a unit is lost, nobody is there
 * twice, and those that have a place have all that is theirs. */
static void test_nothing_is_lost(void **state)
{
    struct nr_meter *meter = nr_meter_new(1000);
    struct nr_metered_key *keys = calloc(USERS, sizeof(*keys));
    uint64_t rest[NR_METERED_KINDS], used = 0, charged = 0;
    pthread_t threads[THREADS];
    uint8_t *seen = calloc(USERS, 1);
    uint32_t count;

    (void)state;
    assert_non_null(keys);
    assert_non_null(seen);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, push, meter), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    count = nr_meter_read(meter, keys, USERS, rest);
    assert_in_range(count, 1000, USERS - 1);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = (uint32_t)atoi(keys[i].name + 5);

        assert_int_equal(seen[number]++, 0);
        assert_int_equal(keys[i].units[NR_METERED_USED] + keys[i].units[NR_METERED_CHARGED],
                         THREADS * ROUNDS);
        used += keys[i].units[NR_METERED_USED];
        charged += keys[i].units[NR_METERED_CHARGED];
    }
    assert_int_equal(used + rest[NR_METERED_USED], THREADS * USERS * ROUNDS / 5 * 4);
    assert_int_equal(charged + rest[NR_METERED_CHARGED], THREADS * USERS * ROUNDS / 5);
    assert_true(rest[NR_METERED_USED] > 0);
    free(keys);
    free(seen);
    nr_meter_unref(meter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_has_used_what),
        cmocka_unit_test(test_a_long_name),
        cmocka_unit_test(test_nothing_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
