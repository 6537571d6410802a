/* SPDX-License-Identifier: Apache-2.0 */
/* Request bodies that are needed a second time; and calls under any schedule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "call_bench.h"

/* ---- the body, twice ---- */

static struct nr_span some_bytes(size_t len)
{
    char *bytes = malloc(len + 1);

    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)('a' + i * 7 % 26 + i / 1000 % 5);
    return (struct nr_span){bytes, len};
}

/* Sizes around every border, steps that leave the first attempt anywhere, and a second one that
 * takes them in other steps. The second instance sees exactly what the owner sent. */
static void the_second_attempt_sees_every_byte(void **state)
{
    static const size_t sizes[] = {0, 1, 100, 16000, 16384, 20000, 65535, 65536};
    static const struct {
        size_t first_step, second_step;
        bool chunked, trailers;
    } ways[] = {
        {0, 0, false, false},      {700, 0, false, false},   {0, 700, false, false},
        {20000, 999, true, false}, {999, 20000, true, true}, {0, 0, true, true},
    };

    for (size_t s = 0; s < NR_COUNT(sizes); s++) {
        for (size_t w = 0; w < NR_COUNT(ways); w++) {
            struct nr_span body = some_bytes(sizes[s]);
            struct bench b;

            bench_init(&b, 3);
            b.trailers = ways[w].trailers;
            script(&b, 0,
                   (struct fake_script){.does = FAKE_FAILS,
                                        .after_ms = 20,
                                        .end = NR_END_PEER_RESET,
                                        .step_bytes = ways[w].first_step});
            script(&b, 1, answers_200);
            b.world.scripts[1].connect_ms = 2;
            b.world.scripts[1].step_bytes = ways[w].second_step;
            b.chunked = ways[w].chunked;
            b.pushes = w % 2 == 1;
            call(&b, "PUT", body, 600000);
            assert_int_equal(b.status, 200);
            assert_int_equal(b.world.opens[1].body_bytes, body.len);
            assert_memory_equal(b.world.opens[1].body, body.ptr, body.len);
            assert_true(b.world.opens[1].ended);
            assert_int_equal(b.world.opens[1].trailers, ways[w].trailers);
            assert_int_equal(b.record.flags, 0);
            bench_done(&b);
            free((void *)(uintptr_t)body.ptr);
        }
    }
}

static void a_body_over_64_kib_is_not_kept(void **state)
{
    struct nr_span body = some_bytes(65537);
    struct bench b;

    for (int chunked = 0; chunked < 2; chunked++) {
        bench_init(&b, 3);
        script(
            &b, 0,
            (struct fake_script){
                .does = FAKE_FAILS, .after_ms = 40, .end = NR_END_PEER_RESET, .step_bytes = 4000});
        b.chunked = chunked;
        call(&b, "PUT", body, 6000);
        assert_int_equal(b.reason, NR_REASON_UPSTREAM_RESET);
        assert_int_equal(b.record.flags, NR_RECORD_RETRY_NO_BODY);
        assert_int_equal(b.world.opens[0].body_bytes, 65537);
        bench_done(&b);
    }

    /* Refused before a byte went out: nothing is lost, however large it is. */
    bench_init(&b, 3);
    script(
        &b, 0,
        (struct fake_script){.does = FAKE_FAILS, .connect_ms = 5, .end = NR_END_CONNECT_REFUSED});
    script(&b, 1, answers_200);
    call(&b, "PUT", body, 6000);
    assert_int_equal(b.status, 200);
    assert_memory_equal(b.world.opens[1].body, body.ptr, body.len);
    bench_done(&b);
    free((void *)(uintptr_t)body.ptr);
}

static void the_budget_of_all_calls_is_kept(void **state)
{
    struct nr_span body = some_bytes(40000);
    struct bench b;

    bench_init(&b, 3);
    b.budget.replay_bytes_max = 30000;
    script(&b, 0,
           (struct fake_script){.does = FAKE_FAILS, .after_ms = 20, .end = NR_END_PEER_RESET});
    call(&b, "PUT", body, 6000);
    assert_int_equal(b.record.flags, NR_RECORD_RETRY_NO_BODY);
    bench_done(&b);
    free((void *)(uintptr_t)body.ptr);
}

/* The first attempt has been given up and has not ended yet: what the client sends then waits, and
 * its sender is called when it may go on. Likewise while the second one is still connecting. */
static void bytes_that_come_between_two_attempts(void **state)
{
    static const uint64_t at_ms[] = {90, 105, 112, 125};

    for (size_t i = 0; i < NR_COUNT(at_ms); i++) {
        struct bench b;

        bench_init(&b, 3);
        b.conf.timeouts.attempt_ns = 100 * MS;
        b.conf.retry.on |= BIT(NR_RETRY_ON_TIMEOUT);
        b.chunked = true;
        b.later = NR_SPAN("the second half");
        b.push_at_ms = at_ms[i];
        script(&b, 0, (struct fake_script){.does = FAKE_HANGS, .linger_ms = 10});
        script(&b, 1, answers_200);
        b.world.scripts[1].connect_ms = 10;
        call(&b, "PUT", NR_SPAN("the first half, "), 6000);
        assert_int_equal(b.status, 200);
        assert_int_equal(b.world.opens[0].body_bytes, at_ms[i] == 90 ? 31 : 16);
        assert_int_equal(b.world.opens[1].body_bytes, 31);
        assert_memory_equal(b.world.opens[1].body, "the first half, the second half", 31);
        bench_done(&b);
    }
}

/* The answer has begun while the second attempt is still being given what the first had seen. */
static void an_early_answer_in_the_middle_of_a_replay(void **state)
{
    struct nr_span body = some_bytes(30000);
    struct bench b;

    bench_init(&b, 3);
    script(&b, 0,
           (struct fake_script){.does = FAKE_FAILS, .after_ms = 20, .end = NR_END_PEER_RESET});
    script(&b, 1,
           (struct fake_script){.does = FAKE_ANSWERS,
                                .early = true,
                                .after_ms = 3,
                                .status = 200,
                                .body = "early",
                                .step_bytes = 2000});
    call(&b, "PUT", body, 6000);
    assert_int_equal(b.end, NR_END_DONE);
    assert_int_equal(b.world.opens[1].body_bytes, body.len);
    assert_memory_equal(b.world.opens[1].body, body.ptr, body.len);
    bench_done(&b);
    free((void *)(uintptr_t)body.ptr);
}

/* ---- anything ---- */

static struct fake_script random_script(struct nr_random *random)
{
    static const enum nr_end ends[] = {NR_END_CONNECT_REFUSED, NR_END_CONNECT_TIMEOUT,
                                       NR_END_UNPROCESSED,     NR_END_PEER_CLOSED,
                                       NR_END_PEER_RESET,      NR_END_PROTOCOL};
    struct fake_script s = {
        .does = (enum fake_does)nr_random_below(random, 5),
        .connect_ms = nr_random_below(random, 3) * 4,
        .after_ms = nr_random_below(random, 60),
        .status = nr_random_below(random, 4) == 0 ? 503 : 200,
        .body = nr_random_below(random, 3) == 0 ? NULL : "0123456789",
        .end = ends[nr_random_below(random, NR_COUNT(ends))],
        .early = nr_random_below(random, 3) == 0,
        .reused = nr_random_below(random, 2) == 0,
        .interim = nr_random_below(random, 4) == 0,
        .step_bytes = nr_random_below(random, 3) == 0 ? 0 : 100 + nr_random_below(random, 2000),
    };

    return s;
}

/* Whatever upstream and owner do: one `end`, nothing after the deadline, nothing left over, and a
 * POST is seen at most by one instance that may have acted on it. */
static void any_schedule_keeps_the_promises(void **state)
{
    static const char *const methods[] = {"GET", "PUT", "POST"};
    struct nr_random random;

    nr_random_init(&random, 2026);
    for (int round = 0; round < 3000; round++) {
        const char *method = methods[nr_random_below(&random, 3)];
        uint64_t limit_ms = 1 + nr_random_below(&random, 100);
        bool with_body = strcmp(method, "GET") != 0;
        struct nr_span body = with_body ? some_bytes(nr_random_below(&random, 20000)) : no_body;
        bool tunnel, last_acted;
        struct bench b;

        bench_init(&b, 1 + (uint32_t)nr_random_below(&random, 3));
        b.conf.retry.attempts = 1 + (uint32_t)nr_random_below(&random, 3);
        if (nr_random_below(&random, 2) == 0)
            b.conf.retry.on |= BIT(NR_RETRY_ON_TIMEOUT);
        b.conf.timeouts.attempt_ns = nr_random_below(&random, 3) * 20 * MS;
        b.conf.timeouts.first_byte_ns = nr_random_below(&random, 3) * 10 * MS;
        b.budget.replay_bytes_max = nr_random_below(&random, 3) * 40000;
        b.chunked = nr_random_below(&random, 2) == 0;
        b.pushes = nr_random_below(&random, 2) == 0;
        b.trailers = b.chunked && nr_random_below(&random, 2) == 0;
        b.reset_at_ms = nr_random_below(&random, 2) == 0 ? 200 : 1 + nr_random_below(&random, 60);
        for (uint32_t i = 0; i < 8; i++)
            script(&b, i, random_script(&random));
        call(&b, method, body, limit_ms);
        tunnel = (b.record.flags & NR_RECORD_TUNNEL) != 0;
        assert_true(tunnel || b.end_ns <= (limit_ms + 2) * MS);
        assert_true(b.record.attempt_count <= b.conf.retry.attempts);
        assert_true(b.world.open_count <=
                    2 * b.record.attempt_count); /* stale ones are made up for */
        for (uint32_t i = 0; i < b.world.open_count; i++) {
            const struct fake_script *s = &b.world.scripts[i];

            assert_memory_equal(b.world.opens[i].body, body.ptr, b.world.opens[i].body_bytes);
            last_acted = s->does != FAKE_FAILS || nr_end_may_have_processed(s->end);
            if (strcmp(method, "POST") == 0 && i + 1 < b.world.open_count &&
                b.world.opens[i].body_bytes > 0)
                assert_false(last_acted);
        }
        if (b.end == NR_END_DONE)
            assert_int_equal(b.reason, NR_REASON_NONE);
        bench_done(&b);
        free((void *)(uintptr_t)body.ptr);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_attempt_sees_every_byte),
        cmocka_unit_test(a_body_over_64_kib_is_not_kept),
        cmocka_unit_test(the_budget_of_all_calls_is_kept),
        cmocka_unit_test(bytes_that_come_between_two_attempts),
        cmocka_unit_test(an_early_answer_in_the_middle_of_a_replay),
        cmocka_unit_test(any_schedule_keeps_the_promises),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
