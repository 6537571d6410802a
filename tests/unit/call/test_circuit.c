/* SPDX-License-Identifier: Apache-2.0 */
/* Circuit breakers in the chain: who is skipped, who is refused, what counts. The breaker by
 * itself: policy/test_breaker.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "call_bench.h"

static const struct fake_script says_500 = {
    .does = FAKE_ANSWERS, .after_ms = 2, .status = 500, .body = "broken"};

struct circuit_bench {
    struct bench b;
    struct nr_service_breaker_conf conf;
};

/* Scripts belong to instances here. The section of the issue: 10 calls, at least 5, 50 %, 3 probes.
 */
static void init(struct circuit_bench *c, uint32_t instances, enum nr_breaker_scope scope)
{
    bench_init(&c->b, instances);
    c->conf = (struct nr_service_breaker_conf){.scope = scope, .policy = nr_breaker_conf_default};
    c->conf.policy.jitter = 0;
    c->b.conf.breaker = &c->conf;
    c->b.conf.retry.attempts = 1;
    c->b.world.first_port = 8000;
    for (uint32_t i = 0; i < instances; i++)
        script(&c->b, i, answers_200);
}

static void get(struct circuit_bench *c)
{
    call(&c->b, "GET", no_body, 6000);
}

static void gets(struct circuit_bench *c, int n)
{
    for (int i = 0; i < n; i++)
        get(c);
}

static void rest_ms(struct circuit_bench *c, uint64_t ms)
{
    nr_sim_run(c->b.sim, nr_io_now_ns(c->b.io) + ms * MS);
}

static enum nr_breaker_state state_of(struct circuit_bench *c, uint32_t which)
{
    struct nr_circuit_view view;

    nr_service_circuit(c->b.service, which, nr_io_now_ns(c->b.io), &view);
    assert_true(view.present);
    return view.state;
}

static struct nr_instance_view instance_of(struct circuit_bench *c, uint32_t which)
{
    struct nr_instance_view view;

    nr_service_instance(c->b.service, which, &view);
    return view;
}

/* It opens at 50 % of 10 calls, refuses at once, probes with 3, closes. */
static void the_story_of_one_breaker(void **state)
{
    struct circuit_bench c;
    struct nr_circuit_view view;
    uint64_t wait_ns;

    init(&c, 1, NR_BREAKER_PER_INSTANCE);
    gets(&c, 5);
    script(&c.b, 0, says_500);
    gets(&c, 4);
    assert_int_equal(state_of(&c, 0), NR_BREAKER_CLOSED); /* 4 of 9 */
    get(&c);
    assert_int_equal(c.b.status, 500); /* the tenth is an answer, too: 5 of 10 */
    assert_int_equal(state_of(&c, 0), NR_BREAKER_OPEN);

    get(&c);
    assert_string_equal(c.b.events, "E");
    assert_int_equal(c.b.reason, NR_REASON_CIRCUIT_OPEN);
    assert_int_equal(c.b.end_ns, 0);            /* no time has passed, and < 1 ms is allowed */
    assert_int_equal(c.b.world.open_count, 10); /* the service saw nothing of it */
    assert_int_equal(c.b.record.attempt_count, 0);
    nr_service_circuit(c.b.service, 0, nr_io_now_ns(c.b.io), &view);
    wait_ns = view.wait_ns;
    assert_in_range(wait_ns, 29900 * MS, 30000 * MS);
    assert_int_equal(view.refused, 1);

    rest_ms(&c, 30000);
    script(&c.b, 0, answers_200);
    gets(&c, 2);
    assert_int_equal(c.b.record.flags, NR_RECORD_PROBE);
    assert_int_equal(state_of(&c, 0), NR_BREAKER_HALF_OPEN);
    get(&c);
    assert_int_equal(state_of(&c, 0), NR_BREAKER_CLOSED);
    get(&c);
    assert_int_equal(c.b.record.flags, 0);
    nr_service_circuit(c.b.service, 0, nr_io_now_ns(c.b.io), &view);
    assert_int_equal(view.moves[NR_BREAKER_OPEN], 1);
    assert_int_equal(view.moves[NR_BREAKER_HALF_OPEN], 1);
    assert_int_equal(view.moves[NR_BREAKER_CLOSED], 1);
    bench_done(&c.b);
}

/* One dead instance of three never opens the circuit of all: five calls find out, and then nobody
 * is sent there any more. */
static void one_dead_instance_of_three(void **state)
{
    struct circuit_bench c;
    uint32_t failed = 0;

    init(&c, 3, NR_BREAKER_PER_INSTANCE);
    script(&c.b, 1, (struct fake_script){.does = FAKE_FAILS, .end = NR_END_CONNECT_REFUSED});
    for (int i = 0; i < 300; i++) {
        get(&c);
        failed += c.b.status != 200;
    }
    assert_int_equal(failed, 5);
    assert_int_equal(state_of(&c, 0), NR_BREAKER_CLOSED);
    assert_int_equal(state_of(&c, 1), NR_BREAKER_OPEN);
    assert_int_equal(state_of(&c, 2), NR_BREAKER_CLOSED);
    bench_done(&c.b);
}

/* All are open: refused at once, without asking each of them each time. */
static void all_open(void **state)
{
    struct circuit_bench c;
    struct nr_circuit_view view;

    init(&c, 3, NR_BREAKER_PER_INSTANCE);
    for (uint32_t i = 0; i < 3; i++)
        script(&c.b, i, (struct fake_script){.does = FAKE_FAILS, .end = NR_END_CONNECT_REFUSED});
    gets(&c, 15);
    gets(&c, 10);
    assert_int_equal(c.b.reason, NR_REASON_CIRCUIT_OPEN);
    assert_int_equal(c.b.world.open_count, 15);
    nr_service_circuit(c.b.service, 2, 0, &view);
    assert_int_equal(view.refused, 1);
    rest_ms(&c, 30000);
    script(&c.b, 2, answers_200);
    gets(&c, 9);
    assert_int_equal(c.b.status, 200);
    assert_int_equal(state_of(&c, 0), NR_BREAKER_OPEN);
    assert_int_equal(state_of(&c, 2), NR_BREAKER_CLOSED);
    bench_done(&c.b);
}

static const struct count_case {
    const char *name;
    struct fake_script script;
    uint64_t attempt_ms;
    uint64_t reset_ms;
    bool counts;
} counted[] = {
    /* clang-format off */
    {"500", {.does = FAKE_ANSWERS, .after_ms = 2, .status = 500}, 0, 0, true},
    {"404", {.does = FAKE_ANSWERS, .after_ms = 2, .status = 404}, 0, 0, false},
    {"429", {.does = FAKE_ANSWERS, .after_ms = 2, .status = 429}, 0, 0, false},
    {"a timeout", {.does = FAKE_HANGS}, 50, 0, true},
    {"the client leaves", {.does = FAKE_HANGS}, 0, 20, false},
    {"reset", {.does = FAKE_FAILS, .after_ms = 2, .end = NR_END_PEER_RESET}, 0, 0, true},
    {"we shut down", {.does = FAKE_FAILS, .end = NR_END_SHUTDOWN}, 0, 0, false},
    {"slow, but good: 3 s", {.does = FAKE_ANSWERS, .after_ms = 3000, .status = 200}, 0, 0, true},
    /* clang-format on */
};

static void what_counts(void **state)
{
    for (size_t i = 0; i < NR_COUNT(counted); i++) {
        struct circuit_bench c;

        print_message("# %s\n", counted[i].name);
        init(&c, 1, NR_BREAKER_PER_INSTANCE);
        c.b.conf.timeouts.attempt_ns = counted[i].attempt_ms * MS;
        c.b.reset_at_ms = counted[i].reset_ms;
        script(&c.b, 0, counted[i].script);
        gets(&c, 12);
        assert_int_equal(state_of(&c, 0), counted[i].counts ? NR_BREAKER_OPEN : NR_BREAKER_CLOSED);
        bench_done(&c.b);
    }
}

/* An attempt that began before the circuit opened says nothing to those that prove it later. */
static void a_probe_that_the_client_leaves_gives_its_permit_back(void **state)
{
    struct circuit_bench c;

    init(&c, 1, NR_BREAKER_PER_INSTANCE);
    script(&c.b, 0, says_500);
    gets(&c, 5);
    assert_int_equal(state_of(&c, 0), NR_BREAKER_OPEN);
    rest_ms(&c, 30000);
    script(&c.b, 0, (struct fake_script){.does = FAKE_HANGS});
    c.b.reset_at_ms = 5;
    gets(&c, 7);
    assert_int_equal(state_of(&c, 0), NR_BREAKER_HALF_OPEN);
    c.b.reset_at_ms = 0;
    script(&c.b, 0, answers_200);
    gets(&c, 3);
    assert_int_equal(state_of(&c, 0), NR_BREAKER_CLOSED);
    bench_done(&c.b);
}

/* P2C tries one that fails again with single calls, long after. */
static void until_open(struct circuit_bench *c, uint32_t which)
{
    get(c);
    for (int i = 0; i < 200 && state_of(c, which) == NR_BREAKER_CLOSED; i++) {
        get(c);
        if (state_of(c, which) == NR_BREAKER_CLOSED)
            rest_ms(c, 20000);
    }
    assert_int_equal(state_of(c, which), NR_BREAKER_OPEN);
}

/* P2C remembers how slow it was, and another one is idle: it is probed all the same as soon as it
 * may be, and has its share again when its circuit has closed. */
static void who_is_well_again_is_asked(void **state)
{
    struct circuit_bench c;
    uint64_t before;

    init(&c, 2, NR_BREAKER_PER_INSTANCE);
    c.b.conf.balance.algorithm = NR_BALANCE_P2C;
    c.b.conf.timeouts.attempt_ns = 300 * MS;
    script(&c.b, 1, (struct fake_script){.does = FAKE_HANGS});
    until_open(&c, 1);
    for (int i = 0; i < 280; i++) {
        get(&c);
        assert_int_equal(c.b.record.attempts[0].instance, 0);
        rest_ms(&c, 30);
    }
    script(&c.b, 1, answers_200);
    rest_ms(&c, 30000);
    gets(&c, 3);
    assert_int_equal(c.b.record.attempts[0].instance, 1);
    assert_int_equal(state_of(&c, 1), NR_BREAKER_CLOSED);
    before = instance_of(&c, 1).picks;
    gets(&c, 40);
    assert_in_range(instance_of(&c, 1).picks - before, 10, 30);
    bench_done(&c.b);
}

/* Whose circuit may be probed, but who takes no calls. */
static void who_is_down_as_well_is_not_probed(void **state)
{
    struct circuit_bench c;

    init(&c, 3, NR_BREAKER_PER_INSTANCE);
    c.b.conf.balance.algorithm = NR_BALANCE_P2C;
    script(&c.b, 1, says_500);
    until_open(&c, 1);
    nr_service_force(c.b.service, 1, NR_FORCE_DOWN);
    rest_ms(&c, 31000);
    gets(&c, 20);
    assert_int_equal(state_of(&c, 1), NR_BREAKER_OPEN); /* somebody has taken it out */
    bench_done(&c.b);
}

static void by_service(void **state)
{
    struct circuit_bench c;

    init(&c, 3, NR_BREAKER_PER_SERVICE);
    script(&c.b, 0, says_500);
    script(&c.b, 1, says_500);
    gets(&c, 5);
    get(&c);
    assert_int_equal(c.b.reason, NR_REASON_CIRCUIT_OPEN);
    assert_int_equal(c.b.world.open_count, 5);
    assert_int_equal(nr_service_circuit_count(c.b.service), 1);
    assert_int_equal(state_of(&c, 0), NR_BREAKER_OPEN);
    bench_done(&c.b);
}

static void by_route(void **state)
{
    struct circuit_bench c;
    struct nr_circuit_view view;

    init(&c, 1, NR_BREAKER_PER_ROUTE);
    script(&c.b, 0, says_500);
    c.b.route = 5;
    gets(&c, 6);
    assert_int_equal(c.b.reason, NR_REASON_CIRCUIT_OPEN);
    script(&c.b, 0, answers_200);
    c.b.route = 300;
    get(&c);
    assert_int_equal(c.b.status, 200);
    c.b.route = NR_ID_NONE;
    get(&c);
    assert_int_equal(c.b.status, 200);
    assert_int_equal(state_of(&c, 5), NR_BREAKER_OPEN);
    assert_int_equal(state_of(&c, 300), NR_BREAKER_CLOSED);
    nr_service_circuit(c.b.service, 7, 0, &view);
    assert_false(view.present);
    bench_done(&c.b);
}

static void an_open_circuit_ends_the_repeats(void **state)
{
    struct circuit_bench c;

    init(&c, 1, NR_BREAKER_PER_INSTANCE);
    c.conf.policy.consecutive = 2;
    c.b.conf.retry.attempts = 3;
    c.b.conf.retry.on |= BIT(NR_RETRY_ON_500);
    script(&c.b, 0, says_500);
    get(&c);
    assert_int_equal(c.b.world.open_count, 2);
    assert_int_equal(c.b.reason, NR_REASON_CIRCUIT_OPEN);
    bench_done(&c.b);
}

static void observed_only(void **state)
{
    struct circuit_bench c;
    struct nr_circuit_view view;

    init(&c, 2, NR_BREAKER_PER_INSTANCE);
    c.conf.observe_only = true;
    script(&c.b, 0, says_500);
    gets(&c, 12);
    assert_int_equal(c.b.world.open_count, 12); /* nobody is refused, nobody is skipped */
    assert_int_equal(state_of(&c, 0), NR_BREAKER_OPEN);
    nr_service_circuit(c.b.service, 0, 0, &view);
    assert_int_equal(view.mode, NR_BREAKER_OBSERVE);
    assert_int_equal(view.refused, 1);
    get(&c);
    assert_int_equal(c.b.record.flags, NR_RECORD_WOULD_OPEN);
    bench_done(&c.b);
}

static void by_hand(void **state)
{
    struct circuit_bench c;

    init(&c, 2, NR_BREAKER_PER_INSTANCE);
    get(&c);
    assert_true(nr_service_breaker_force(c.b.service, NR_CIRCUIT_ALL, NR_BREAKER_FORCED_OPEN, 0));
    get(&c);
    assert_int_equal(c.b.reason, NR_REASON_CIRCUIT_OPEN);
    assert_int_equal(c.b.record.flags & NR_RECORD_BY_HAND, NR_RECORD_BY_HAND);
    assert_int_equal(state_of(&c, 0), NR_BREAKER_OPEN); /* what it does, not what it has counted */
    assert_int_equal(nr_service_breaker_forced(c.b.service), NR_BREAKER_FORCED_OPEN);
    assert_true(nr_service_breaker_force(c.b.service, 1, NR_BREAKER_AUTO, 0));
    assert_int_equal(nr_service_breaker_forced(c.b.service), NR_BREAKER_AUTO);
    for (int i = 0; i < 4; i++) {
        get(&c);
        assert_int_equal(c.b.record.attempts[0].instance, 1);
        assert_int_equal(c.b.record.flags & NR_RECORD_BY_HAND, 0);
    }
    assert_false(nr_service_breaker_force(c.b.service, 7, NR_BREAKER_AUTO, 0));
    bench_done(&c.b);
}

/* What is said of all holds for a route that calls for the first time; what was said of one before
 * its first call, too. */
static void by_hand_before_the_first_call(void **state)
{
    struct circuit_bench c;
    struct nr_circuit_view view;

    init(&c, 1, NR_BREAKER_PER_ROUTE);
    c.b.route = 3;
    get(&c);
    c.b.route = 4;
    assert_true(nr_service_breaker_force(c.b.service, NR_CIRCUIT_ALL, NR_BREAKER_FORCED_OPEN, 0));
    get(&c);
    assert_int_equal(c.b.reason, NR_REASON_CIRCUIT_OPEN);
    assert_true(nr_service_breaker_force(c.b.service, NR_CIRCUIT_ALL, NR_BREAKER_AUTO, 0));
    get(&c);
    assert_int_equal(c.b.reason, NR_REASON_NONE);
    assert_true(nr_service_breaker_force(c.b.service, 9, NR_BREAKER_DISABLED, 0));
    nr_service_circuit(c.b.service, 9, 0, &view);
    assert_true(view.present);
    assert_int_equal(view.mode, NR_BREAKER_DISABLED);
    bench_done(&c.b);
}

/* A reload with another section keeps what is known, and takes the new rules. */
static void a_successor_goes_on(void **state)
{
    struct circuit_bench c;
    struct nr_service_breaker_conf harder;
    struct nr_service_conf conf;
    struct nr_service *next;
    struct nr_circuit_view view;

    init(&c, 2, NR_BREAKER_PER_INSTANCE);
    script(&c.b, 1, says_500);
    gets(&c, 10);
    assert_int_equal(state_of(&c, 1), NR_BREAKER_OPEN);
    nr_service_breaker_force(c.b.service, 0, NR_BREAKER_DISABLED, 0);
    conf = c.b.conf;
    harder = c.conf;
    harder.policy.probes = 1;
    conf.breaker = &harder;
    assert_int_equal(nr_service_new(&conf, 7, &next, NULL), NR_OK);
    nr_service_inherit(next, c.b.service);
    nr_service_circuit(next, 1, nr_io_now_ns(c.b.io), &view);
    assert_int_equal(view.state, NR_BREAKER_OPEN);
    assert_true(view.wait_ns > 0);
    nr_service_circuit(next, 0, nr_io_now_ns(c.b.io), &view);
    assert_int_equal(view.mode, NR_BREAKER_DISABLED);
    nr_service_free(next);
    nr_service_breaker_force(c.b.service, NR_CIRCUIT_ALL, NR_BREAKER_FORCED_CLOSED, 0);
    assert_int_equal(nr_service_new(&conf, 7, &next, NULL), NR_OK);
    nr_service_inherit(next, c.b.service);
    assert_int_equal(nr_service_breaker_forced(next), NR_BREAKER_FORCED_CLOSED);
    nr_service_circuit(next, 1, 0, &view);
    assert_int_equal(view.mode, NR_BREAKER_FORCED_CLOSED);
    nr_service_free(next);
    bench_done(&c.b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_story_of_one_breaker),
        cmocka_unit_test(one_dead_instance_of_three),
        cmocka_unit_test(all_open),
        cmocka_unit_test(what_counts),
        cmocka_unit_test(a_probe_that_the_client_leaves_gives_its_permit_back),
        cmocka_unit_test(who_is_well_again_is_asked),
        cmocka_unit_test(who_is_down_as_well_is_not_probed),
        cmocka_unit_test(by_service),
        cmocka_unit_test(by_route),
        cmocka_unit_test(an_open_circuit_ends_the_repeats),
        cmocka_unit_test(observed_only),
        cmocka_unit_test(by_hand),
        cmocka_unit_test(by_hand_before_the_first_call),
        cmocka_unit_test(a_successor_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
