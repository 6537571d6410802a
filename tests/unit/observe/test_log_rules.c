/* SPDX-License-Identifier: Apache-2.0 */
/* Which requests have a line in the access log, and what it does not show. */
#include "observe/log_rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/reason.h"
#include "observe/access_log.h"
#include "observe/observe_conf.h"

static struct nr_span secrets[] = {NR_SPAN("token"), NR_SPAN("sig")};

static void queries(void **state)
{
    static const struct {
        const char *query, *shown;
    } rows[] = {
        {"", ""},
        {"b=c", "b=c"},
        {"token=secret", "token=***"},
        {"Token=secret&b=c", "Token=***&b=c"},
        {"b=c&token=x&sig=y&d", "b=c&token=***&sig=***&d"},
        {"token=", "token="}, /* there is nothing to hide */
        {"token", "token"},
        {"mytoken=x&tokens=y", "mytoken=x&tokens=y"},
        {"token=a=b&&token=c?d&", "token=***&&token=***&"},
        {"b=c?token=x", "b=c?token=x"}, /* a part of b's value */
    };
    struct nr_log_rules rules = {.redact_count = 2, .redact = secrets}, none = {.left_out = 0};
    char to[256];

    (void)state;
    for (size_t i = 0; i < NR_COUNT(rows); i++) {
        struct nr_span query = nr_span_of(rows[i].query);
        struct nr_span shown = nr_log_rules_query(&rules, query, to, sizeof(to));

        if (!nr_span_eq(shown, nr_span_of(rows[i].shown)))
            fail_msg("%s: %.*s", rows[i].query, (int)shown.len, shown.ptr);
        assert_ptr_equal(nr_log_rules_query(&none, query, to, sizeof(to)).ptr, query.ptr);
    }
}

/* Whatever the room, no byte beyond it and none of the secret within. */
static void queries_in_little_room(void **state)
{
    struct nr_log_rules rules = {.redact_count = 2, .redact = secrets};
    struct nr_span query = NR_SPAN("token=SSSSSSSSSS&b=c&sig=SSSS");
    char to[64];

    (void)state;
    for (size_t room = 1; room < sizeof(to); room++) {
        struct nr_span shown;

        memset(to, '#', sizeof(to));
        shown = nr_log_rules_query(&rules, query, to, room);
        assert_ptr_equal(shown.ptr, to);
        assert_true(shown.len <= room);
        assert_null(memchr(shown.ptr, 'S', shown.len));
        assert_int_equal(to[room], '#');
    }
}

static struct nr_log_rules *rules_of(double sample, uint64_t slow_ns)
{
    struct nr_access_log_conf conf = {.sample = sample,
                                      .slow_ns = slow_ns,
                                      .redact = secrets,
                                      .redact_count = 2,
                                      .user = NR_SPAN("X-User")};

    return nr_log_rules_new(&conf);
}

static uint32_t count_of(const struct nr_log_rules *rules, struct nr_record record, bool counters)
{
    struct nr_random random;
    uint32_t count = 0;

    nr_random_init(&random, 7);
    for (uint32_t i = 0; i < 100000; i++) {
        record.id[0] = counters ? 0 : nr_random_u64(&random);
        record.id[1] = counters ? i : nr_random_u64(&random);
        count += nr_log_rules_want(rules, &record);
    }
    return count;
}

static void samples(void **state)
{
    const struct nr_record good = {.status = 200, .total_us = 10};
    const struct nr_record slow = {.status = 200, .total_us = 2000000};
    const struct nr_record failed = {.status = 503};
    const struct nr_record left = {.status = 200, .reason = NR_REASON_CLIENT_CLOSED};
    struct nr_log_rules *all = rules_of(1, 0), *tenth = rules_of(0.1, 1000000000),
                        *none = rules_of(0, 0), zeros = {.left_out = 0};

    (void)state;
    assert_int_equal(count_of(&zeros, good, false), 100000);
    assert_int_equal(count_of(all, good, false), 100000);
    assert_in_range(count_of(tenth, good, false), 9600, 10400);
    assert_in_range(count_of(tenth, good, true), 9600, 10400); /* ids that clients count up */
    assert_int_equal(count_of(none, good, false), 0);
    assert_int_equal(count_of(tenth, slow, false), 100000);
    assert_int_equal(count_of(none, slow, false), 0); /* slow: none */
    assert_int_equal(count_of(none, failed, false), 100000);
    assert_int_equal(count_of(none, left, false), 100000);
    free(all);
    free(tenth);
    free(none);
}

static void rules_are_copies(void **state)
{
    struct nr_log_rules *a = rules_of(0.5, 7), *b = rules_of(0.5, 7), *c = rules_of(0.5, 7000);

    (void)state;
    assert_true(nr_log_rules_equal(a, b));
    assert_false(nr_log_rules_equal(a, c));
    assert_ptr_not_equal(a->redact[0].ptr, secrets[0].ptr);
    assert_true(nr_span_eq(a->redact[1], secrets[1]));
    assert_true(nr_span_eq(a->user, NR_SPAN("X-User")));
    b->redact_count = 1;
    assert_false(nr_log_rules_equal(a, b));
    free(a);
    free(b);
    free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries),
        cmocka_unit_test(queries_in_little_room),
        cmocka_unit_test(samples),
        cmocka_unit_test(rules_are_copies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
