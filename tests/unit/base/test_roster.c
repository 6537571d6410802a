/* SPDX-License-Identifier: Apache-2.0 */
/* Names of instances that come and go: an old id never means somebody else. */
#include "base/roster.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/record.h"

static struct nr_span name_of(uint32_t number, char to[32])
{
    int len = snprintf(to, 32, "10.%u.%u.%u:80", number >> 16, number >> 8 & 255, number & 255);

    return (struct nr_span){to, (size_t)len};
}

static uint32_t take(struct nr_roster *roster, uint32_t number)
{
    char name[32];

    return nr_roster_take(roster, name_of(number, name));
}

static void is_named(const struct nr_roster *roster, uint32_t id, const char *want)
{
    char text[NR_ROSTER_TEXT_BYTES];
    struct nr_span name = nr_roster_text(roster, id, text);

    if (!nr_span_eq(name, nr_span_of(want)))
        fail_msg("%08x is '%.*s', not '%s'", id, (int)name.len, name.ptr, want);
}

/* Two instances; the second goes, comes back, goes for good, and its place goes to a third. */
static void a_life(void **state)
{
    struct nr_roster *roster = nr_roster_new(1);
    uint32_t a = take(roster, 1), b = take(roster, 2), c, d;

    (void)state;
    assert_int_equal(a, 0);
    assert_int_equal(b, 1);
    is_named(roster, b, "10.0.0.2:80");
    nr_roster_release(roster, b);
    is_named(roster, b, "10.0.0.2:80"); /* gone, but records tell of it */
    assert_int_equal(take(roster, 2), b);
    assert_int_equal(take(roster, 2), b); /* held twice */
    nr_roster_release(roster, b);
    nr_roster_release(roster, b);
    c = take(roster, 3);
    assert_int_equal(c, 2);
    is_named(roster, b, "10.0.0.2:80");
    nr_roster_release(roster, c); /* one may be remembered: it is the latest */
    is_named(roster, b, "");
    is_named(roster, c, "10.0.0.3:80");
    d = take(roster, 4);
    assert_int_equal(nr_roster_place(d), nr_roster_place(b));
    assert_int_not_equal(d, b);
    is_named(roster, b, ""); /* not the one who has its place */
    is_named(roster, d, "10.0.0.4:80");
    assert_int_not_equal(take(roster, 2), b); /* it is somebody new, too */
    assert_int_equal(nr_roster_count(roster), 4);
    assert_int_equal(nr_roster_at(roster, 1), d);
    is_named(roster, NR_ID_NONE, "");
    nr_roster_release(roster, NR_ID_NONE);
    nr_roster_unref(roster);
}

/* New addresses for ever: 8 at a time, a hundred thousand in all. */
static void it_is_bounded(void **state)
{
    struct nr_roster *roster = nr_roster_new(64);
    uint32_t held[8], gone = NR_ID_NONE;
    char want[32];

    (void)state;
    for (uint32_t i = 0; i < 8; i++)
        held[i] = take(roster, i);
    for (uint32_t i = 8; i < 100000; i++) {
        gone = held[i % 8];
        nr_roster_release(roster, gone);
        held[i % 8] = take(roster, i);
    }
    assert_true(nr_roster_count(roster) <= 8 + 64 + 1);
    name_of(99999 - 8, want);
    is_named(roster, gone, want);
    for (uint32_t i = 0; i < 8; i++) {
        name_of(99992 + i, want);
        is_named(roster, held[(99992 + i) % 8], want);
    }
    nr_roster_unref(roster);
}

static void a_full_roster_names_nobody(void **state)
{
    struct nr_roster *roster = nr_roster_new(0);

    (void)state;
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(take(roster, i), i); /* over the borders of chunks */
    for (uint32_t i = 0; i < 1000; i++) {
        char want[32];

        name_of(i, want);
        is_named(roster, i, want);
    }
    assert_int_equal(nr_roster_chunk(NR_ROSTER_PLACES_MAX - 1), NR_ROSTER_CHUNKS - 1);
    assert_int_equal(nr_roster_chunk(NR_ROSTER_PLACES_MAX), NR_ROSTER_CHUNKS);
    assert_int_equal(nr_roster_at(roster, NR_ROSTER_PLACES_MAX), NR_ID_NONE);
    nr_roster_unref(roster);
}

static void long_names_are_known_by_their_beginning(void **state)
{
    struct nr_roster *roster = nr_roster_new(0);
    char name[300], text[NR_ROSTER_TEXT_BYTES];
    uint32_t id;

    (void)state;
    memset(name, 'x', sizeof(name));
    id = nr_roster_take(roster, (struct nr_span){name, sizeof(name)});
    assert_int_equal(nr_roster_text(roster, id, text).len, NR_ROSTER_TEXT_BYTES - 1);
    assert_int_equal(nr_roster_take(roster, (struct nr_span){name, 127}), id);
    assert_int_not_equal(nr_roster_take(roster, (struct nr_span){name, 126}), id);
    nr_roster_unref(roster);
}

/* ---- many threads ---- */

enum { ROUNDS = 20000, TAKERS = 2 };

struct crowd {
    struct nr_roster *roster;
    uint32_t id[TAKERS]; /* atomic: someone who is there, or was a moment ago */
    bool over;
};

struct taker {
    struct crowd *crowd;
    uint32_t number;
};

/* An id carries its name here, so that a reader can tell whether it is right: 10.hi.mid.lo is made
 * of nothing but the taker's own numbers. */
static void *comes_and_goes(void *arg)
{
    const struct taker *taker = arg;
    struct crowd *crowd = taker->crowd;
    uint32_t before = NR_ID_NONE;

    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint32_t id = take(crowd->roster, taker->number << 20 | (i & 0xff));

        __atomic_store_n(&crowd->id[taker->number], id, __ATOMIC_RELEASE);
        nr_roster_release(crowd->roster, before);
        before = id;
    }
    nr_roster_release(crowd->roster, before);
    return NULL;
}

static void *reads(void *arg)
{
    struct crowd *crowd = arg;
    uint32_t seen = 0;

    while (!__atomic_load_n(&crowd->over, __ATOMIC_ACQUIRE))
        for (uint32_t i = 0; i < TAKERS; i++) {
            char text[NR_ROSTER_TEXT_BYTES], prefix[16];
            uint32_t id = __atomic_load_n(&crowd->id[i], __ATOMIC_ACQUIRE);
            struct nr_span name = nr_roster_text(crowd->roster, id, text);

            snprintf(prefix, sizeof(prefix), "10.%u.0.", i << 4);
            if (name.len > 0 && strncmp(text, prefix, strlen(prefix)) != 0)
                fail_msg("%s does not begin with %s", text, prefix);
            seen += name.len > 0;
        }
    return seen > 0 ? crowd : NULL;
}

static void readers_never_see_a_mixture(void **state)
{
    struct crowd crowd = {.roster = nr_roster_new(1)};
    struct taker takers[TAKERS];
    pthread_t threads[TAKERS], reader;
    void *seen;

    (void)state;
    for (uint32_t i = 0; i < TAKERS; i++) {
        crowd.id[i] = take(crowd.roster, i << 20 | 0xff);
        takers[i] = (struct taker){&crowd, i};
    }
    assert_int_equal(pthread_create(&reader, NULL, reads, &crowd), 0);
    for (uint32_t i = 0; i < TAKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, comes_and_goes, &takers[i]), 0);
    for (uint32_t i = 0; i < TAKERS; i++)
        pthread_join(threads[i], NULL);
    __atomic_store_n(&crowd.over, true, __ATOMIC_RELEASE);
    pthread_join(reader, &seen);
    assert_non_null(seen);
    assert_true(nr_roster_count(crowd.roster) <= 2 * TAKERS + TAKERS + 2);
    nr_roster_unref(crowd.roster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_life),
        cmocka_unit_test(it_is_bounded),
        cmocka_unit_test(a_full_roster_names_nobody),
        cmocka_unit_test(long_names_are_known_by_their_beginning),
        cmocka_unit_test(readers_never_see_a_mixture),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
