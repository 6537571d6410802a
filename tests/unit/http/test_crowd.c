/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "base/random.h"
#include "http/crowd.h"

static const uint64_t key[2] = {1, 2};

static struct nr_addr addr_of(const char *text)
{
    struct nr_addr addr;

    assert_int_equal(nr_addr_parse(text, &addr, NULL), NR_OK);
    return addr;
}

static void each_client_has_its_number(void **state)
{
    enum { ENTER, LEAVE };
    static const struct {
        const char *name;
        int what;
        const char *who;
        bool let_in;
    } rows[] = {
        {"the first", ENTER, "192.0.2.1:1000", true},
        {"and the second", ENTER, "192.0.2.1:1001", true},
        {"a third is too many", ENTER, "192.0.2.1:1002", false},
        {"its neighbour is somebody else", ENTER, "192.0.2.2:1000", true},
        {"the same address, written as IPv6", ENTER, "[::ffff:192.0.2.1]:1", false},
        {"one has gone", LEAVE, "192.0.2.1:1000", true},
        {"so there is room again", ENTER, "192.0.2.1:1003", true},
        {"for one", ENTER, "192.0.2.1:1004", false},
        {"IPv6: one customer", ENTER, "[2001:db8:0:1::1]:1", true},
        {"with many addresses", ENTER, "[2001:db8:0:1:ffff::2]:1", true},
        {"is one client", ENTER, "[2001:db8:0:1::3]:1", false},
        {"the next network is the next one", ENTER, "[2001:db8:0:2::3]:1", true},
        {"a Unix peer has no address", ENTER, "unix:/a", true},
        {"and no bound", ENTER, "unix:/a", true},
        {NULL, ENTER, "unix:/a", true},
    };
    struct nr_crowd *crowd = nr_crowd_new(key);

    for (size_t i = 0; i < NR_COUNT(rows); i++) {
        struct nr_addr who = addr_of(rows[i].who);
        bool counted = true;

        if (rows[i].name != NULL)
            print_message("# %s\n", rows[i].name);
        if (rows[i].what == LEAVE) {
            nr_crowd_leave(crowd, &who);
            continue;
        }
        assert_int_equal(nr_crowd_enter(crowd, &who, 2, &counted), rows[i].let_in);
        assert_int_equal(counted, rows[i].let_in && who.family != NR_ADDR_UNIX);
    }
    nr_crowd_free(crowd);
}

enum { ADDRESSES = 40000, STEPS = 1000000, MAX = 3 };

/* Against plain counters: addresses come and go in any order, more than there are places in some
 * buckets. Who is counted never has more than MAX; who is not counted is let in. */
static void any_order_of_coming_and_going(void **state)
{
    struct nr_crowd *crowd = nr_crowd_new(key);
    uint8_t *counted_of = calloc(ADDRESSES, 1);
    struct nr_random random;
    uint32_t uncounted = 0;

    assert_non_null(counted_of);
    nr_random_init(&random, 7);
    for (uint32_t i = 0; i < STEPS; i++) {
        uint32_t number = (uint32_t)(nr_random_u64(&random) % ADDRESSES);
        struct nr_addr who = {.family = NR_ADDR_V4,
                              .ip = {10, (uint8_t)(number >> 8), (uint8_t)number}};
        bool counted;

        if (nr_random_u64(&random) % 3 == 0 && counted_of[number] > 0) {
            nr_crowd_leave(crowd, &who);
            counted_of[number]--;
            continue;
        }
        if (nr_crowd_enter(crowd, &who, MAX, &counted)) {
            counted_of[number] = (uint8_t)(counted_of[number] + counted);
            uncounted += !counted;
            assert_true(counted_of[number] <= MAX);
        } else {
            assert_int_equal(counted_of[number], MAX);
        }
    }
    print_message("# let in uncounted: %u of %u\n", uncounted, STEPS);
    assert_true(uncounted < STEPS / 1000);
    for (uint32_t number = 0; number < ADDRESSES; number++) {
        struct nr_addr who = {.family = NR_ADDR_V4,
                              .ip = {10, (uint8_t)(number >> 8), (uint8_t)number}};

        for (; counted_of[number] > 0; counted_of[number]--)
            nr_crowd_leave(crowd, &who);
    }
    free(counted_of);
    nr_crowd_free(crowd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_client_has_its_number),
        cmocka_unit_test(any_order_of_coming_and_going),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
