/* SPDX-License-Identifier: Apache-2.0 */
/* Repeats: which failures, when, and how many. What a failure is called: test_call.c; with bodies
 * that are sent twice: test_replay.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "call_bench.h"

static const struct fake_script says_503 = {
    .does = FAKE_ANSWERS, .after_ms = 5, .status = 503, .body = "not now"};

#define ON_STATUS(b) (b).conf.retry.on |= BIT(NR_RETRY_ON_503) | BIT(NR_RETRY_ON_429)

/* ---- answers ---- */

static void an_answer_that_is_repeated_is_not_seen(void **state)
{
    struct bench b;

    bench_init(&b, 3);
    ON_STATUS(b);
    script(&b, 0, says_503);
    script(&b, 1, answers_200);
    call(&b, "GET", no_body, 6000);
    assert_string_equal(b.events, "hbE");
    assert_int_equal(b.status, 200);
    assert_memory_equal(b.answer, "hello", 5);
    assert_false(b.world.opens[0].reset); /* read to its end: the connection is kept */
    assert_int_not_equal(b.world.opens[0].port, b.world.opens[1].port);
    assert_in_range(b.world.opens[1].at_ns - b.world.opens[0].at_ns, 5 * MS, 6 * MS); /* at once */
    assert_int_equal(b.record.attempts[0].status, 503);
    assert_int_equal(b.record.attempts[0].result, NR_ATTEMPT_ANSWERED);
    assert_int_equal(b.record.attempts[1].status, 200);
    assert_int_equal(b.record.backoff_us, 0);
    assert_int_equal(b.record.flags, 0);
    bench_done(&b);
}

static void the_last_answer_is_passed_on_as_it_is(void **state)
{
    struct bench b;

    bench_init(&b, 3);
    ON_STATUS(b);
    b.conf.retry.attempts = 3;
    for (uint32_t i = 0; i < 3; i++)
        script(&b, i, says_503);
    call(&b, "GET", no_body, 6000);
    assert_string_equal(b.events, "hbE");
    assert_int_equal(b.status, 503);
    assert_memory_equal(b.answer, "not now", 7);
    assert_int_equal(b.world.open_count, 3);
    assert_int_equal(b.record.flags, NR_RECORD_RETRY_SPENT);
    assert_true(b.told_not_to_repeat);
    assert_int_equal(b.reason, NR_REASON_NONE);
    assert_true(b.record.backoff_us > 0 && b.record.backoff_us <= 26000); /* before the third */
    bench_done(&b);
}

static void what_is_not_listed_is_an_answer(void **state)
{
    struct bench b;

    bench_init(&b, 3);
    ON_STATUS(b);
    script(&b, 0, says_503);
    b.world.scripts[0].status = 500;
    call(&b, "GET", no_body, 6000);
    assert_int_equal(b.status, 500);
    assert_int_equal(b.record.flags, 0);
    assert_false(b.told_not_to_repeat);
    bench_done(&b);
}

/* Whoever waits for a big body of a refusal could as well have asked somebody else. */
static void a_discarded_answer_that_does_not_end_is_cut_off(void **state)
{
    struct bench b;

    bench_init(&b, 3);
    ON_STATUS(b);
    script(&b, 0,
           (struct fake_script){.does = FAKE_TRUNCATES,
                                .after_ms = 5,
                                .status = 503,
                                .body = "0123456789",
                                .end = NR_END_PEER_CLOSED});
    script(&b, 1, answers_200);
    call(&b, "GET", no_body, 6000);
    assert_int_equal(b.status, 200);
    bench_done(&b);
}

static const struct answer_case {
    const char *name;
    const char *method;
    const char *request_field, *request_value;
    uint16_t status;
    const char *field, *value;
    uint64_t limit_ms;
    bool repeated;
    uint32_t flag;
} answers[] = {
    /* clang-format off */
    {"GET", "GET", NULL, NULL, 503, NULL, NULL, 6000, true, 0},
    {"POST is not sent twice", "POST", NULL, NULL, 503, NULL, NULL, 6000, false, NR_RECORD_RETRY_UNSAFE},
    {"POST with a key that tells the two apart", "POST", "Idempotency-Key", "7", 503, NULL, NULL, 6000, true, 0},
    {"429 alone means no", "GET", NULL, NULL, 429, NULL, NULL, 6000, false, 0},
    {"429 with a time", "GET", NULL, NULL, 429, "Retry-After", "1", 6000, true, NR_RECORD_RETRY_AFTER},
    {"503 with a time", "GET", NULL, NULL, 503, "Retry-After", "1", 6000, true, NR_RECORD_RETRY_AFTER},
    {"a time beyond the deadline", "GET", NULL, NULL, 503, "Retry-After", "6", 6000, false, NR_RECORD_RETRY_NO_TIME},
    {"overloaded, do not retry", "GET", NULL, NULL, 503, "X-Naru-Retry", "no", 6000, false, NR_RECORD_RETRY_OVERLOADED},
    {"whoever asks is repeating already", "GET", "X-Request-Attempt", "2", 503, NULL, NULL, 6000, false, NR_RECORD_RETRY_OVERLOADED},
    /* clang-format on */
};

static void answers_by_table(void **state)
{
    for (size_t i = 0; i < NR_COUNT(answers); i++) {
        const struct answer_case *a = &answers[i];
        struct bench b;

        print_message("# %s\n", a->name);
        bench_init(&b, 3);
        ON_STATUS(b);
        b.field = a->request_field;
        b.value = a->request_value;
        script(&b, 0, says_503);
        b.world.scripts[0].status = a->status;
        b.world.scripts[0].field = a->field;
        b.world.scripts[0].value = a->value;
        script(&b, 1, answers_200);
        call(&b, a->method, no_body, a->limit_ms);
        assert_int_equal(b.record.flags, a->flag);
        assert_int_equal(b.world.open_count, a->repeated ? 2 : 1);
        assert_int_equal(b.status, a->repeated ? 200 : a->status);
        if (a->flag == NR_RECORD_RETRY_AFTER) {
            assert_in_range(b.world.opens[1].at_ns - b.world.opens[0].at_ns, 1005 * MS, 1007 * MS);
            assert_in_range(b.record.backoff_us, 998000, 1002000);
        }
        bench_done(&b);
    }
}

/* A connection that did not come about is nobody's attempt yet. */
static void a_repeat_from_above_still_finds_another_instance(void **state)
{
    struct bench b;

    bench_init(&b, 3);
    b.field = "X-Request-Attempt";
    b.value = "2";
    script(&b, 0, (struct fake_script){.does = FAKE_FAILS, .end = NR_END_CONNECT_REFUSED});
    script(&b, 1, answers_200);
    call(&b, "GET", no_body, 6000);
    assert_int_equal(b.status, 200);
    bench_done(&b);

    bench_init(&b, 3);
    b.field = "X-Request-Attempt";
    b.value = "2";
    script(&b, 0,
           (struct fake_script){.does = FAKE_FAILS, .after_ms = 1, .end = NR_END_PEER_RESET});
    call(&b, "GET", no_body, 6000);
    assert_int_equal(b.reason, NR_REASON_UPSTREAM_RESET);
    assert_int_equal(b.record.flags, NR_RECORD_RETRY_OVERLOADED);
    bench_done(&b);
}

/* ---- pauses ---- */

/* A. Brooker, Exponential Backoff And Jitter: full jitter is anything up to the delay, so over many
 * rounds both ends are seen, and nothing beyond. */
static void with_nobody_else_to_ask_the_first_repeat_waits_too(void **state)
{
    uint64_t least = UINT64_MAX, most = 0;

    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct bench b;
        uint64_t pause;

        bench_init(&b, 1);
        for (uint64_t i = 0; i < seed; i++)
            (void)nr_random_u64(nr_io_random(b.io));
        script(&b, 0, (struct fake_script){.does = FAKE_FAILS, .end = NR_END_CONNECT_REFUSED});
        script(&b, 1, answers_200);
        call(&b, "GET", no_body, 6000);
        assert_int_equal(b.status, 200);
        pause = b.world.opens[1].at_ns - b.world.opens[0].at_ns;
        least = pause < least ? pause : least;
        most = pause > most ? pause : most;
        bench_done(&b);
    }
    assert_true(least < 5 * MS);
    assert_in_range(most, 15 * MS, 27 * MS); /* (2^1 - 1) × 25 ms, and the timer's tick */
}

static void a_client_that_leaves_in_a_pause(void **state)
{
    struct bench b;

    bench_init(&b, 1);
    b.conf.retry.backoff.policy = (struct nr_backoff_conf){500 * MS, 1, 500 * MS, NR_BACKOFF_EXACT};
    script(&b, 0, (struct fake_script){.does = FAKE_FAILS, .end = NR_END_CONNECT_REFUSED});
    b.reset_at_ms = 100;
    call(&b, "GET", no_body, 6000);
    assert_string_equal(b.events, "E");
    assert_int_equal(b.end, NR_END_RESET);
    assert_int_equal(b.reason, NR_REASON_CLIENT_CLOSED);
    assert_in_range(b.end_ns, 100 * MS, 102 * MS);
    assert_int_equal(b.world.open_count, 1);
    assert_in_range(b.record.backoff_us, 98000, 102000);
    bench_done(&b);
}

/* The owner goes on sending while nobody is there to take it. */
static void a_body_waits_for_the_pause(void **state)
{
    struct bench b;

    bench_init(&b, 1);
    b.conf.retry.backoff.policy = (struct nr_backoff_conf){50 * MS, 1, 50 * MS, NR_BACKOFF_EXACT};
    b.chunked = true;
    b.later = NR_SPAN(" and the second");
    b.push_at_ms = 20;
    script(&b, 0,
           (struct fake_script){.does = FAKE_FAILS, .after_ms = 5, .end = NR_END_PEER_RESET});
    script(&b, 1, answers_200);
    call(&b, "PUT", NR_SPAN("the first part"), 6000);
    assert_int_equal(b.status, 200);
    assert_int_equal(b.world.opens[1].body_bytes, strlen("the first part and the second"));
    assert_memory_equal(b.world.opens[1].body, "the first part and the second",
                        b.world.opens[1].body_bytes);
    bench_done(&b);
}

static void a_pause_never_outlives_the_deadline(void **state)
{
    struct bench b;

    bench_init(&b, 1);
    b.conf.retry.backoff.policy = (struct nr_backoff_conf){80 * MS, 1, 80 * MS, NR_BACKOFF_EXACT};
    script(&b, 0, (struct fake_script){.does = FAKE_FAILS, .end = NR_END_CONNECT_REFUSED});
    call(&b, "GET", no_body, 60);
    assert_int_equal(b.reason, NR_REASON_CONNECT_REFUSED); /* at once: waiting would be in vain */
    assert_in_range(b.end_ns, 0, 2 * MS);
    assert_int_equal(b.record.flags, NR_RECORD_RETRY_NO_TIME);
    bench_done(&b);
}

/* ---- the budget ---- */

static void a_spent_budget_is_the_reason(void **state)
{
    struct nr_service_view view;
    struct bench b;

    bench_init(&b, 3);
    ON_STATUS(b);
    b.conf.retry.budget.policy = (struct nr_retry_budget_conf){.ratio = 0, .min_per_s = 1};
    for (uint32_t i = 0; i < 4; i++)
        script(&b, i, says_503);
    call(&b, "GET", no_body, 6000);
    assert_int_equal(b.world.open_count, 2);
    call(&b, "GET", no_body, 6000);
    assert_int_equal(b.world.open_count, 3);
    assert_int_equal(b.status, 503);
    assert_int_equal(b.record.flags, NR_RECORD_RETRY_BUDGET);
    assert_true(b.told_not_to_repeat);
    nr_service_look(b.service, nr_io_now_ns(b.io), &view);
    assert_int_equal(view.repeats, 1);
    assert_int_equal(view.repeats_unpaid, 1);
    assert_int_equal(view.retry_budget_left, 0);
    bench_done(&b);
}

/* That a connection had gone stale is no sign of trouble: such a repeat is free. */
static void a_stale_connection_costs_no_budget(void **state)
{
    struct bench b;

    bench_init(&b, 3);
    b.conf.retry.budget.policy = (struct nr_retry_budget_conf){.ratio = 0, .min_per_s = 0};
    script(&b, 0,
           (struct fake_script){.does = FAKE_FAILS, .reused = true, .end = NR_END_PEER_CLOSED});
    script(&b, 1, answers_200);
    call(&b, "GET", no_body, 6000);
    assert_int_equal(b.status, 200);
    bench_done(&b);
}

/* A service that is down: 1,000 clients, each with three attempts. Without a budget that would be
 * three times its load. */
static void a_thousand_clients_stay_under_1_2_times_the_load(void **state)
{
    struct bench b;

    bench_init(&b, 3);
    ON_STATUS(b);
    b.conf.retry.attempts = 3;
    b.conf.retry.budget.policy = (struct nr_retry_budget_conf){.ratio = 0.2, .min_per_s = 1};
    b.world.first_port = 8000;
    for (uint32_t i = 0; i < 3; i++)
        script(&b, i, says_503);
    for (int i = 0; i < 1000; i++)
        call(&b, "GET", no_body, 6000);
    assert_true(b.world.open_count > 1150); /* it is used */
    assert_true(b.world.open_count <= 1200 + nr_io_now_ns(b.io) / (1000 * MS) + 1);
    bench_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_that_is_repeated_is_not_seen),
        cmocka_unit_test(the_last_answer_is_passed_on_as_it_is),
        cmocka_unit_test(what_is_not_listed_is_an_answer),
        cmocka_unit_test(a_discarded_answer_that_does_not_end_is_cut_off),
        cmocka_unit_test(answers_by_table),
        cmocka_unit_test(a_repeat_from_above_still_finds_another_instance),
        cmocka_unit_test(with_nobody_else_to_ask_the_first_repeat_waits_too),
        cmocka_unit_test(a_client_that_leaves_in_a_pause),
        cmocka_unit_test(a_body_waits_for_the_pause),
        cmocka_unit_test(a_pause_never_outlives_the_deadline),
        cmocka_unit_test(a_spent_budget_is_the_reason),
        cmocka_unit_test(a_stale_connection_costs_no_budget),
        cmocka_unit_test(a_thousand_clients_stay_under_1_2_times_the_load),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
