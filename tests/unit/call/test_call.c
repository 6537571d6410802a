/* SPDX-License-Identifier: Apache-2.0 */
/* Calls against scripted exchanges: every failure at an exact time. The same over real connections
 * of the simulator: test_call_h1.c; with bodies that are sent twice: test_replay.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "call_bench.h"
#include "service/state.h"

/* ---- one attempt ---- */

static void a_plain_get(void **state)
{
    struct bench b;

    bench_init(&b, 3);
    script(&b, 0, answers_200);
    call(&b, "GET", no_body, 6000);
    assert_string_equal(b.events, "hbE");
    assert_int_equal(b.status, 200);
    assert_memory_equal(b.answer, "hello", 5);
    assert_int_equal(b.end, NR_END_DONE);
    assert_int_equal(b.reason, NR_REASON_NONE);
    assert_int_equal(b.world.open_count, 1);
    assert_string_equal(b.world.opens[0].deadline, "6000");
    assert_string_equal(b.world.opens[0].attempt, "");
    assert_int_equal(b.record.service, 7);
    assert_int_equal(b.record.attempt_count, 1);
    assert_int_equal(b.record.attempts[0].instance, 0);
    assert_int_equal(b.record.attempts[0].result, NR_ATTEMPT_ANSWERED);
    assert_int_equal(b.record.attempts[0].status, 200);
    assert_in_range(b.record.attempts[0].took_us, 5000, 6000);
    assert_int_equal(b.record.upstream_us, b.record.attempts[0].took_us);
    assert_int_equal(b.record.flags, 0);
    bench_done(&b);
}

static void without_a_deadline_no_field_is_sent(void **state)
{
    struct bench b;

    bench_init(&b, 1);
    script(&b, 0, answers_200);
    call(&b, "GET", no_body, 0);
    assert_string_equal(b.world.opens[0].deadline, "");
    bench_done(&b);
}

static void interim_heads_pass_through(void **state)
{
    struct bench b;

    bench_init(&b, 1);
    script(&b, 0, answers_200);
    b.world.scripts[0].interim = true;
    call(&b, "GET", no_body, 100);
    assert_string_equal(b.events, "ihbE");
    bench_done(&b);
}

static void an_early_answer_lets_the_body_go_on(void **state)
{
    struct bench b;

    bench_init(&b, 1);
    script(&b, 0,
           (struct fake_script){.does = FAKE_ANSWERS,
                                .early = true,
                                .after_ms = 2,
                                .status = 200,
                                .body = "early",
                                .step_bytes = 3});
    call(&b, "PUT", NR_SPAN("0123456789abcdefghij"), 6000);
    assert_int_equal(b.end, NR_END_DONE);
    assert_int_equal(b.reason, NR_REASON_NONE);
    assert_int_equal(b.world.opens[0].body_bytes, 20);
    assert_memory_equal(b.world.opens[0].body, "0123456789abcdefghij", 20);
    assert_non_null(strchr(strchr(b.events, 'h'), 'w')); /* still sending behind the head */
    bench_done(&b);
}

/* A 413 before the body is through, and the owner does not go on: that is an answer, not an error.
 */
static void a_complete_answer_stands_whatever_follows(void **state)
{
    struct bench b;

    bench_init(&b, 1);
    script(&b, 0,
           (struct fake_script){
               .does = FAKE_ANSWERS, .early = true, .after_ms = 2, .status = 413, .step_bytes = 1});
    b.reset_at_ms = 5;
    call(&b, "PUT", NR_SPAN("0123456789abcdefghij"), 6000);
    assert_int_equal(b.end, NR_END_RESET);
    assert_int_equal(b.reason, NR_REASON_NONE);
    assert_int_equal(b.record.attempts[0].status, 413);
    bench_done(&b);
}

static void no_instance_and_none_up(void **state)
{
    struct bench b;

    bench_init(&b, 0);
    call(&b, "GET", no_body, 6000);
    assert_string_equal(b.events, "E");
    assert_int_equal(b.reason, NR_REASON_NO_INSTANCE);
    assert_int_equal(b.record.attempt_count, 0);
    bench_done(&b);

    bench_init(&b, 1);
    b.instances[0].address.kind = NR_CONFIG_ADDRESS_NAME; /* never resolved */
    b.instances[0].address.host = NR_SPAN("orders.test");
    call(&b, "PUT", NR_SPAN("body"), 6000);
    assert_string_equal(b.events, "E");
    assert_int_equal(b.reason, NR_REASON_NO_HEALTHY);
    bench_done(&b);
}

static void a_deadline_that_has_passed_starts_nothing(void **state)
{
    struct bench b;

    bench_init(&b, 1);
    open_service(&b);
    nr_arena_init(&b.arena, NULL, 0);
    nr_head_init_request(&b.head, &b.arena, NR_SPAN("GET"), NR_SPAN("shop"), NR_SPAN("/a"));
    b.call = nr_call_open(b.io, &(struct nr_call_conf){.pools = b.pools,
                                                       .head = &b.head,
                                                       .arena = &b.arena,
                                                       .deadline = {.at_ns = nr_io_now_ns(b.io)},
                                                       .record = &b.record,
                                                       .budget = &b.budget,
                                                       .events = &owner_events,
                                                       .owner = &b,
                                                       .ended = true});
    run(&b);
    assert_string_equal(b.events, "E");
    assert_int_equal(b.reason, NR_REASON_DEADLINE);
    assert_int_equal(b.world.open_count, 0);
    bench_done(&b);
}

/* ---- failures: what they are called, and whether they are repeated ---- */

static const struct failure_case {
    const char *name;
    const char *method;
    const char *body;
    struct fake_script script;
    bool repeated;
    enum nr_attempt_result result;
    enum nr_reason reason; /* when not repeated */
    uint16_t flag;
} failures[] = {
    /* clang-format off */
    {"GET refused", "GET", NULL, {.does = FAKE_FAILS, .end = NR_END_CONNECT_REFUSED},
     true, NR_ATTEMPT_CONNECT_REFUSED, 0, 0},
    {"POST refused: nobody has seen it", "POST", "pay", {.does = FAKE_FAILS, .connect_ms = 9, .end = NR_END_CONNECT_REFUSED},
     true, NR_ATTEMPT_CONNECT_REFUSED, 0, 0},
    {"GET unreachable", "GET", NULL, {.does = FAKE_FAILS, .end = NR_END_CONNECT_FAILED},
     true, NR_ATTEMPT_CONNECT_FAILED, 0, 0},
    {"POST connect timeout", "POST", "pay", {.does = FAKE_FAILS, .connect_ms = 9, .after_ms = 3, .end = NR_END_CONNECT_TIMEOUT},
     true, NR_ATTEMPT_CONNECT_TIMEOUT, 0, 0},
    {"GET reset", "GET", NULL, {.does = FAKE_FAILS, .after_ms = 3, .end = NR_END_PEER_RESET},
     true, NR_ATTEMPT_RESET, 0, 0},
    {"PUT reset, body sent", "PUT", "put", {.does = FAKE_FAILS, .after_ms = 3, .end = NR_END_PEER_RESET},
     true, NR_ATTEMPT_RESET, 0, 0},
    {"POST reset: RFC 9110, 9.2.2", "POST", "pay", {.does = FAKE_FAILS, .after_ms = 3, .end = NR_END_PEER_RESET},
     false, NR_ATTEMPT_RESET, NR_REASON_UPSTREAM_RESET, NR_RECORD_RETRY_UNSAFE},
    {"POST closed", "POST", NULL, {.does = FAKE_FAILS, .after_ms = 3, .end = NR_END_PEER_CLOSED},
     false, NR_ATTEMPT_CLOSED, NR_REASON_UPSTREAM_CLOSED, NR_RECORD_RETRY_UNSAFE},
    {"POST over a stale connection, written", "POST", NULL, {.does = FAKE_FAILS, .reused = true, .end = NR_END_PEER_CLOSED},
     false, NR_ATTEMPT_CLOSED, NR_REASON_UPSTREAM_CLOSED, NR_RECORD_RETRY_UNSAFE},
    {"POST not processed, but its body went out", "POST", "pay", {.does = FAKE_FAILS, .after_ms = 3, .end = NR_END_UNPROCESSED},
     false, NR_ATTEMPT_CLOSED, NR_REASON_UPSTREAM_CLOSED, NR_RECORD_RETRY_NO_BODY},
    {"GET answered with garbage", "GET", NULL, {.does = FAKE_FAILS, .after_ms = 3, .end = NR_END_PROTOCOL},
     true, NR_ATTEMPT_PROTOCOL, 0, 0},
    {"GET, upstream takes no bytes: not listed in `on`", "GET", NULL, {.does = FAKE_FAILS, .after_ms = 3, .end = NR_END_WRITE_TIMEOUT},
     false, NR_ATTEMPT_TIMEOUT, NR_REASON_ATTEMPT_TIMEOUT, 0},
    {"GET while we shut down", "GET", NULL, {.does = FAKE_FAILS, .after_ms = 3, .end = NR_END_SHUTDOWN},
     false, NR_ATTEMPT_CANCELED, NR_REASON_DRAINING, 0},
    /* clang-format on */
};

static void failures_by_table(void **state)
{
    for (size_t i = 0; i < NR_COUNT(failures); i++) {
        const struct failure_case *f = &failures[i];
        struct bench b;

        print_message("# %s\n", f->name);
        bench_init(&b, 3);
        script(&b, 0, f->script);
        script(&b, 1, answers_200);
        call(&b, f->method, f->body != NULL ? nr_span_of(f->body) : no_body, 6000);
        assert_int_equal(b.record.attempts[0].result, f->result);
        assert_int_equal(b.record.attempts[0].status, 0);
        assert_int_equal(b.record.flags, f->flag);
        assert_int_equal(b.world.open_count, f->repeated ? 2 : 1);
        if (f->repeated) {
            assert_int_equal(b.status, 200);
            assert_int_equal(b.end, NR_END_DONE);
            assert_int_equal(b.reason, NR_REASON_NONE);
            assert_int_not_equal(b.world.opens[0].port, b.world.opens[1].port);
            assert_string_equal(b.world.opens[1].attempt, "2");
            assert_int_equal(b.record.attempt_count, 2);
            assert_int_equal(b.record.attempts[1].result, NR_ATTEMPT_ANSWERED);
            assert_int_equal(b.record.attempts[0].reused, f->script.reused);
            if (f->body != NULL)
                assert_memory_equal(b.world.opens[1].body, f->body, strlen(f->body));
        } else {
            assert_string_equal(strpbrk(b.events, "ihbtE"), "E"); /* no head reached the owner */
            assert_int_equal(b.reason, f->reason);
            assert_int_equal(b.end, f->script.end);
        }
        bench_done(&b);
    }
}

static void both_attempts_fail(void **state)
{
    struct bench b;

    bench_init(&b, 3);
    script(&b, 0,
           (struct fake_script){.does = FAKE_FAILS, .end = NR_END_PEER_RESET, .after_ms = 2});
    script(&b, 1, (struct fake_script){.does = FAKE_FAILS, .end = NR_END_CONNECT_REFUSED});
    call(&b, "GET", no_body, 6000);
    assert_string_equal(b.events, "E");
    assert_int_equal(b.reason, NR_REASON_CONNECT_REFUSED); /* the last one's */
    assert_int_equal(b.record.attempt_count, 2);
    assert_int_equal(b.record.flags, NR_RECORD_RETRY_SPENT);
    bench_done(&b);
}

static void with_one_instance_the_same_is_asked_again(void **state)
{
    struct bench b;

    bench_init(&b, 1);
    script(&b, 0, (struct fake_script){.does = FAKE_FAILS, .end = NR_END_PEER_CLOSED});
    script(&b, 1, answers_200);
    call(&b, "GET", no_body, 6000);
    assert_int_equal(b.status, 200);
    assert_int_equal(b.world.opens[1].port, b.world.opens[0].port);
    bench_done(&b);
}

/* What an instance has closed while it was idle costs no attempt, whatever the number of them. */
static const struct {
    const char *name, *method, *body;
    enum nr_end end;
} stale_cases[] = {
    {"GET, closed", "GET", NULL, NR_END_PEER_CLOSED},
    {"GET, reset", "GET", NULL, NR_END_PEER_RESET},
    {"PUT with its body", "PUT", "put", NR_END_PEER_CLOSED},
    {"POST, when nothing was written", "POST", NULL, NR_END_UNPROCESSED},
};

static void a_stale_connection_is_no_attempt(void **state)
{
    for (size_t i = 0; i < NR_COUNT(stale_cases); i++) {
        const char *body = stale_cases[i].body;
        struct bench b;

        print_message("# %s\n", stale_cases[i].name);
        bench_init(&b, 3);
        b.conf.retry.attempts = 1;
        script(&b, 0,
               (struct fake_script){
                   .does = FAKE_FAILS, .reused = true, .after_ms = 1, .end = stale_cases[i].end});
        script(&b, 1, answers_200);
        call(&b, stale_cases[i].method, body != NULL ? nr_span_of(body) : no_body, 6000);
        assert_int_equal(b.status, 200);
        assert_int_equal(b.end, NR_END_DONE);
        assert_int_equal(b.reason, NR_REASON_NONE);
        assert_int_equal(b.world.open_count, 2);
        assert_true(b.world.opens[1].fresh); /* not over another stale connection */
        assert_int_equal(b.world.opens[1].port, b.world.opens[0].port);
        assert_string_equal(b.world.opens[1].attempt,
                            "2"); /* it may have been seen, all the same */
        if (body != NULL)
            assert_memory_equal(b.world.opens[1].body, body, strlen(body));
        assert_int_equal(b.record.attempt_count, 1);
        assert_int_equal(b.record.attempts[0].result, NR_ATTEMPT_ANSWERED);
        assert_int_equal(b.record.attempts[0].reused, 0);
        assert_int_equal(b.record.flags, NR_RECORD_STALE);
        bench_done(&b);
    }
}

/* The fresh one fails as well: that is an attempt, and the next goes elsewhere. */
static void a_stale_connection_to_who_is_dead(void **state)
{
    struct bench b;

    bench_init(&b, 2);
    script(&b, 0,
           (struct fake_script){.does = FAKE_FAILS, .reused = true, .end = NR_END_PEER_CLOSED});
    script(&b, 1, (struct fake_script){.does = FAKE_FAILS, .end = NR_END_CONNECT_REFUSED});
    script(&b, 2, answers_200);
    call(&b, "GET", no_body, 6000);
    assert_int_equal(b.status, 200);
    assert_int_equal(b.world.opens[1].port, b.world.opens[0].port);
    assert_int_not_equal(b.world.opens[2].port, b.world.opens[1].port);
    assert_int_equal(b.record.attempt_count, 2);
    assert_int_equal(b.record.attempts[0].result, NR_ATTEMPT_CONNECT_REFUSED);
    bench_done(&b);
}

struct doubter {
    struct nr_service_watch watch;
    uint32_t told;
};

static void on_doubt(struct nr_service_watch *watch)
{
    nr_container_of(watch, struct doubter, watch)->told++;
}

static void on_unwatched(struct nr_service_watch *watch)
{
    (void)watch;
}

/* Who checks the instance's health is told at once of a call without an answer, and only of such.
 */
static void a_failed_call_casts_doubt(void **state)
{
    static const struct {
        struct fake_script script;
        bool doubt;
    } cases[] = {
        {{.does = FAKE_ANSWERS, .status = 500}, false},
        {{.does = FAKE_FAILS, .end = NR_END_CONNECT_REFUSED}, true},
        {{.does = FAKE_FAILS, .end = NR_END_PEER_RESET}, true},
        {{.does = FAKE_FAILS, .end = NR_END_POOL_EXHAUSTED}, false},
    };

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        struct doubter d = {.watch = {.changed = on_doubt, .removed = on_unwatched}};
        struct bench b;

        bench_init(&b, 1);
        b.conf.retry.attempts = 1;
        script(&b, 0, cases[i].script);
        open_service(&b);
        nr_service_watch(b.service, b.io, &d.watch);
        nr_service_set_checker(b.service, &d.watch);
        call(&b, "GET", no_body, 6000);
        assert_int_equal(d.told, cases[i].doubt);
        assert_int_equal(nr_service_slot(b.service, 0).doubted, cases[i].doubt);
        nr_service_set_checker(b.service, NULL);
        nr_service_unwatch(&d.watch);
        bench_done(&b);
    }
}

/* The pool had no connection to give: another instance may have, and this one is not to blame. */
static void an_exhausted_pool(void **state)
{
    struct nr_instance_view view;
    struct bench b;

    bench_init(&b, 2);
    script(&b, 0, (struct fake_script){.does = FAKE_FAILS, .end = NR_END_POOL_EXHAUSTED});
    script(&b, 1, answers_200);
    call(&b, "POST", no_body, 6000);
    assert_int_equal(b.status, 200);
    assert_int_equal(b.record.attempts[0].result, NR_ATTEMPT_POOL_EXHAUSTED);
    nr_service_instance(b.service, b.record.attempts[0].instance, &view);
    assert_int_equal(view.failures, 0);
    bench_done(&b);

    bench_init(&b, 1);
    b.conf.retry.attempts = 1;
    script(&b, 0, (struct fake_script){.does = FAKE_FAILS, .end = NR_END_POOL_EXHAUSTED});
    call(&b, "GET", no_body, 6000);
    assert_int_equal(b.reason, NR_REASON_POOL_EXHAUSTED);
    bench_done(&b);
}

static void attempts_1_means_no_retry(void **state)
{
    struct bench b;

    bench_init(&b, 3);
    b.conf.retry.attempts = 1;
    script(&b, 0, (struct fake_script){.does = FAKE_FAILS, .end = NR_END_CONNECT_REFUSED});
    call(&b, "GET", no_body, 6000);
    assert_int_equal(b.world.open_count, 1);
    assert_int_equal(b.record.flags, NR_RECORD_RETRY_SPENT);
    bench_done(&b);
}

static void more_attempts_than_the_record_has_room_for(void **state)
{
    struct bench b;

    bench_init(&b, 3);
    b.conf.retry.attempts = 6;
    for (uint32_t i = 0; i < 5; i++)
        script(&b, i,
               (struct fake_script){.does = FAKE_FAILS, .after_ms = 1, .end = NR_END_PEER_RESET});
    script(&b, 5, answers_200);
    call(&b, "GET", no_body, 6000);
    assert_int_equal(b.record.attempt_count, 6);
    assert_int_equal(b.record.attempts[NR_RECORD_ATTEMPTS - 2].result, NR_ATTEMPT_RESET);
    assert_int_equal(b.record.attempts[NR_RECORD_ATTEMPTS - 1].result, NR_ATTEMPT_ANSWERED);
    assert_string_equal(b.world.opens[5].attempt, "6");
    bench_done(&b);
}

static void an_answer_that_breaks_off_is_not_repeated(void **state)
{
    struct bench b;

    bench_init(&b, 3);
    script(&b, 0,
           (struct fake_script){.does = FAKE_TRUNCATES,
                                .after_ms = 2,
                                .status = 200,
                                .body = "0123456789",
                                .end = NR_END_PEER_CLOSED});
    call(&b, "GET", no_body, 6000);
    assert_string_equal(b.events, "hbE");
    assert_int_equal(b.answer_bytes, 5);
    assert_int_equal(b.end, NR_END_PEER_CLOSED);
    assert_int_equal(b.reason, NR_REASON_UPSTREAM_TRUNCATED);
    assert_int_equal(b.record.flags, NR_RECORD_RETRY_COMMITTED);
    assert_int_equal(b.record.attempt_count, 1);
    bench_done(&b);
}

/* ---- time ---- */

static void the_attempt_has_its_time(void **state)
{
    struct bench b;

    bench_init(&b, 3);
    b.conf.timeouts.attempt_ns = 100 * MS;
    script(&b, 0, (struct fake_script){.does = FAKE_HANGS});
    call(&b, "GET", no_body, 6000);
    assert_string_equal(b.events, "E");
    assert_int_equal(b.reason, NR_REASON_ATTEMPT_TIMEOUT);
    assert_int_equal(nr_reason_status(b.reason), 504);
    assert_true(b.world.opens[0].reset);
    assert_int_equal(b.record.attempts[0].result, NR_ATTEMPT_TIMEOUT);
    assert_in_range(b.end_ns, 100 * MS, 102 * MS);
    bench_done(&b);
}

static void a_timeout_is_repeated_where_it_is_listed(void **state)
{
    struct bench b;

    bench_init(&b, 3);
    b.conf.timeouts.attempt_ns = 100 * MS;
    b.conf.retry.on |= BIT(NR_RETRY_ON_TIMEOUT);
    script(&b, 0, (struct fake_script){.does = FAKE_HANGS});
    script(&b, 1, answers_200);
    call(&b, "GET", no_body, 6000);
    assert_int_equal(b.status, 200);
    assert_int_equal(b.record.attempts[0].result, NR_ATTEMPT_TIMEOUT);
    assert_in_range(strtoul(b.world.opens[1].deadline, NULL, 10), 5890, 5900); /* what is left */
    bench_done(&b);
}

/* Two attempts of 400 ms in 600 ms: the second one has what is left, and not a moment more. */
static void the_deadline_is_shared_by_all_attempts(void **state)
{
    struct bench b;

    bench_init(&b, 3);
    b.conf.timeouts.attempt_ns = 400 * MS;
    b.conf.retry.on |= BIT(NR_RETRY_ON_TIMEOUT);
    script(&b, 0, (struct fake_script){.does = FAKE_HANGS});
    script(&b, 1, (struct fake_script){.does = FAKE_HANGS});
    call(&b, "GET", no_body, 600);
    assert_string_equal(b.events, "E");
    assert_int_equal(b.reason, NR_REASON_DEADLINE);
    assert_in_range(b.end_ns, 600 * MS, 602 * MS);
    assert_int_equal(b.record.attempt_count, 2);
    assert_int_equal(b.record.attempts[1].result, NR_ATTEMPT_TIMEOUT);
    assert_true(b.record.flags & NR_RECORD_RETRY_NO_TIME);
    bench_done(&b);
}

static void a_failure_just_before_the_deadline_is_not_repeated(void **state)
{
    struct bench b;

    bench_init(&b, 3);
    script(&b, 0,
           (struct fake_script){.does = FAKE_FAILS, .after_ms = 50, .end = NR_END_PEER_RESET});
    call(&b, "GET", no_body, 50);
    assert_string_equal(b.events, "E");
    assert_int_equal(b.world.open_count, 1);
    assert_true(b.record.flags & NR_RECORD_RETRY_NO_TIME);
    bench_done(&b);
}

static void the_deadline_holds_for_the_answers_body_too(void **state)
{
    struct bench b;

    bench_init(&b, 3);
    b.conf.timeouts.attempt_ns = 100 * MS;
    script(&b, 0, answers_200);
    b.hold_answer = true; /* the owner's client is slow */
    call(&b, "GET", no_body, 300);
    assert_string_equal(b.events, "hbE");
    assert_int_equal(b.end, NR_END_RESET);
    assert_int_equal(b.reason, NR_REASON_DEADLINE);
    assert_int_equal(b.record.attempts[0].result, NR_ATTEMPT_ANSWERED);
    assert_in_range(b.end_ns, 300 * MS, 302 * MS);
    bench_done(&b);
}

static void the_first_byte_is_due_after_the_request(void **state)
{
    struct bench b;

    bench_init(&b, 3);
    b.conf.timeouts.attempt_ns = 1000 * MS;
    b.conf.timeouts.first_byte_ns = 50 * MS;
    script(&b, 0, (struct fake_script){.does = FAKE_HANGS, .step_bytes = 1});
    call(&b, "POST", NR_SPAN("01234567890123456789"), 6000); /* takes 20 ms to send */
    assert_int_equal(b.reason, NR_REASON_ATTEMPT_TIMEOUT);
    assert_in_range(b.end_ns, 69 * MS, 75 * MS);
    bench_done(&b);

    /* A 103 is a first byte; the attempt's own time still holds. */
    bench_init(&b, 3);
    b.conf.timeouts.attempt_ns = 1000 * MS;
    b.conf.timeouts.first_byte_ns = 50 * MS;
    script(&b, 0, answers_200);
    b.world.scripts[0].interim = true;
    b.world.scripts[0].after_ms = 80;
    call(&b, "GET", no_body, 6000);
    assert_string_equal(b.events, "ihbE");
    bench_done(&b);
}

static void a_tunnel_outlives_deadline_and_attempt(void **state)
{
    struct bench b;

    bench_init(&b, 3);
    b.conf.timeouts.attempt_ns = 100 * MS;
    script(&b, 0, (struct fake_script){.does = FAKE_TUNNELS, .after_ms = 5});
    b.reset_at_ms = 60000;
    call(&b, "GET", no_body, 300);
    assert_string_equal(b.events, "hE");
    assert_int_equal(b.status, 101);
    assert_in_range(b.end_ns, 60000 * MS, 60002 * MS);
    assert_true(b.record.flags & NR_RECORD_TUNNEL);
    bench_done(&b);
}

/* ---- the owner leaves ---- */

static void when_the_owner_leaves_the_upstream_is_cancelled(void **state)
{
    static const struct {
        struct fake_script script;
        const char *events;
    } cases[] = {
        {{.does = FAKE_HANGS, .connect_ms = 100}, "E"}, /* still connecting */
        {{.does = FAKE_HANGS}, "E"},                    /* before the head */
        {{.does = FAKE_FAILS, .after_ms = 40, .end = NR_END_PEER_RESET}, "E"},
    };

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        struct nr_instance_view view;
        struct bench b;

        bench_init(&b, 3);
        script(&b, 0, cases[i].script);
        b.reset_at_ms = 20;
        call(&b, "GET", no_body, 6000);
        assert_string_equal(b.events, cases[i].events);
        assert_true(b.world.opens[0].reset);
        assert_int_equal(b.world.open_count, 1);
        assert_int_equal(b.end, NR_END_RESET);
        assert_int_equal(b.reason, NR_REASON_CLIENT_CLOSED);
        assert_int_equal(b.record.attempts[0].result, NR_ATTEMPT_CANCELED);
        assert_in_range(b.end_ns, 20 * MS, 22 * MS);
        nr_service_instance(b.service, 0, &view);
        assert_int_equal(view.failures, 0); /* no fault of the instance */
        bench_done(&b);
    }
}

static void reset_at_once_still_ends_once(void **state)
{
    struct bench b;

    bench_init(&b, 1);
    script(&b, 0, answers_200);
    open_call(&b, "GET", no_body, 6000);
    nr_exchange_reset(b.call);
    assert_int_equal(b.event_count, 0);
    run(&b);
    assert_string_equal(b.events, "E");
    bench_done(&b);

    bench_init(&b, 0); /* and when it had failed at once */
    open_call(&b, "GET", no_body, 6000);
    nr_exchange_reset(b.call);
    run(&b);
    assert_string_equal(b.events, "E");
    assert_int_equal(b.reason, NR_REASON_NO_INSTANCE);
    bench_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_get),
        cmocka_unit_test(without_a_deadline_no_field_is_sent),
        cmocka_unit_test(interim_heads_pass_through),
        cmocka_unit_test(an_early_answer_lets_the_body_go_on),
        cmocka_unit_test(a_complete_answer_stands_whatever_follows),
        cmocka_unit_test(no_instance_and_none_up),
        cmocka_unit_test(a_deadline_that_has_passed_starts_nothing),
        cmocka_unit_test(failures_by_table),
        cmocka_unit_test(both_attempts_fail),
        cmocka_unit_test(with_one_instance_the_same_is_asked_again),
        cmocka_unit_test(a_stale_connection_is_no_attempt),
        cmocka_unit_test(a_stale_connection_to_who_is_dead),
        cmocka_unit_test(an_exhausted_pool),
        cmocka_unit_test(a_failed_call_casts_doubt),
        cmocka_unit_test(attempts_1_means_no_retry),
        cmocka_unit_test(more_attempts_than_the_record_has_room_for),
        cmocka_unit_test(an_answer_that_breaks_off_is_not_repeated),
        cmocka_unit_test(the_attempt_has_its_time),
        cmocka_unit_test(a_timeout_is_repeated_where_it_is_listed),
        cmocka_unit_test(the_deadline_is_shared_by_all_attempts),
        cmocka_unit_test(a_failure_just_before_the_deadline_is_not_repeated),
        cmocka_unit_test(the_deadline_holds_for_the_answers_body_too),
        cmocka_unit_test(the_first_byte_is_due_after_the_request),
        cmocka_unit_test(a_tunnel_outlives_deadline_and_attempt),
        cmocka_unit_test(when_the_owner_leaves_the_upstream_is_cancelled),
        cmocka_unit_test(reset_at_once_still_ends_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
