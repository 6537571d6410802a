/* SPDX-License-Identifier: Apache-2.0 */
/* Health checks and names, in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "../call/fake_client.h"
#include "base/reason.h"
#include "service/check.h"
#include "service/service_conf.h"

enum { INSTANCES = 3, CHANGES_MAX = 16 };

struct bench {
    struct nr_sim *sim;
    struct nr_io *io;
    struct fake_world world;
    struct nr_instance_conf instances[INSTANCES];
    char addresses[INSTANCES][24];
    struct nr_health_conf health;
    struct nr_status_range expect[2];
    struct nr_service_conf conf;
    struct nr_service *service;
    struct nr_health_checker *checker;
    uint64_t start_ns;
    char changes[CHANGES_MAX][32]; /* "1 up at 0" in milliseconds, rounded down to 10 */
    uint32_t change_count;
    uint32_t stopped;
    uint32_t resolved;
    struct nr_err err;
};

static void on_change(void *ctx, struct nr_service *service, uint32_t instance, enum nr_health from,
                      enum nr_health to)
{
    struct bench *b = ctx;
    uint64_t ms = (nr_sim_now_ns(b->sim) - b->start_ns) / MS;

    assert_ptr_equal(service, b->service);
    assert_int_not_equal(from, to);
    assert_true(b->change_count < CHANGES_MAX);
    snprintf(b->changes[b->change_count++], sizeof(b->changes[0]), "%u %s at %u", instance,
             to == NR_HEALTH_UP ? "up" : "down", (unsigned)(ms / 10 * 10));
}

static void bench_init(struct bench *b)
{
    memset(b, 0, sizeof(*b));
    fake = &b->world;
    b->world.first_port = 8000;
    b->sim = nr_sim_new(&(struct nr_sim_conf){.seed = 1});
    b->io = nr_sim_engine(b->sim, "10.0.0.1");
    b->start_ns = nr_sim_now_ns(b->sim);
    for (uint32_t i = 0; i < INSTANCES; i++) {
        snprintf(b->addresses[i], sizeof(b->addresses[i]), "10.0.1.%u:%u", i + 1, 8000 + i);
        b->instances[i].weight = 1;
        b->instances[i].address.kind = NR_CONFIG_ADDRESS_IP;
        b->instances[i].address.text = nr_span_of(b->addresses[i]);
        b->world.scripts[i] =
            (struct fake_script){.does = FAKE_ANSWERS, .after_ms = 1, .status = 200, .body = "ok"};
    }
    b->expect[0] = (struct nr_status_range){200, 299};
    b->expect[1] = (struct nr_status_range){418, 418};
    b->health = (struct nr_health_conf){.path = NR_SPAN("/healthz"),
                                        .interval_ns = 2000 * MS,
                                        .timeout_ns = 500 * MS,
                                        .rise = 2,
                                        .fall = 3,
                                        .expect = b->expect,
                                        .expect_count = 2};
    b->conf = (struct nr_service_conf){.name = NR_SPAN("orders"),
                                       .instances = b->instances,
                                       .instance_count = INSTANCES,
                                       .health = &b->health};
}

static void start(struct bench *b)
{
    assert_int_equal(nr_service_new(&b->conf, 0, &b->service, NULL), NR_OK);
    nr_service_on_change(b->service, on_change, b);
    b->checker = nr_health_start(b->service, b->io);
}

static void run_ms(struct bench *b, uint64_t ms)
{
    nr_sim_run(b->sim, b->start_ns + ms * MS);
}

static void on_stopped(void *ctx)
{
    struct bench *b = ctx;

    b->stopped++;
}

static void stop(struct bench *b)
{
    nr_health_stop(b->checker, on_stopped, b);
    assert_int_equal(b->stopped, 0); /* never from inside */
    nr_sim_run(b->sim, UINT64_MAX);
    assert_int_equal(b->stopped, 1);
    assert_int_equal(b->world.clients, 0);
    fake_done();
    nr_service_free(b->service);
    nr_sim_free(b->sim);
}

static enum nr_health health_of(struct bench *b, uint32_t instance)
{
    struct nr_instance_view view;

    nr_service_instance(b->service, instance, &view);
    return view.health;
}

static void the_first_check_is_at_once_and_decides(void **state)
{
    struct bench b;
    int reason;
    struct nr_random random;

    nr_random_init(&random, 1);
    bench_init(&b);
    b.world.scripts[1].status = 500;
    b.world.scripts[2] = (struct fake_script){.does = FAKE_FAILS, .end = NR_END_CONNECT_REFUSED};
    start(&b);
    assert_int_equal(health_of(&b, 0), NR_HEALTH_UNKNOWN);
    run_ms(&b, 100);
    assert_int_equal(health_of(&b, 0), NR_HEALTH_UP);
    assert_int_equal(health_of(&b, 1), NR_HEALTH_DOWN);
    assert_int_equal(health_of(&b, 2), NR_HEALTH_DOWN);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(nr_service_pick(b.service, &random, 0, 0, &reason), 0);
        nr_service_report(b.service, 0, 0, 0, true);
    }
    stop(&b);
}

static void fall_and_rise_by_the_interval(void **state)
{
    struct bench b;

    bench_init(&b);
    start(&b);
    run_ms(&b, 1000);
    assert_int_equal(b.change_count, 3); /* all up */
    b.world.scripts[1] = (struct fake_script){.does = FAKE_FAILS, .end = NR_END_PEER_CLOSED};
    run_ms(&b, 10000); /* checks at 2, and two more to confirm it: the third decides */
    assert_int_equal(b.change_count, 4);
    assert_string_equal(b.changes[3], "1 down at 2500");
    b.world.scripts[1] = b.world.scripts[0];
    run_ms(&b, 20000); /* good at 10.5, and one more */
    assert_int_equal(b.change_count, 5);
    assert_non_null(strstr(b.changes[4], "1 up at 1"));
    assert_int_equal(b.world.open_count, 2 * 11 + 12); /* at 0, 2, … 20 s: one each */
    stop(&b);
}

static void what_counts_as_healthy(void **state)
{
    static const struct {
        const char *name;
        struct fake_script script;
        enum nr_health health;
    } cases[] = {
        /* clang-format off */
        {"204", {.does = FAKE_ANSWERS, .status = 204}, NR_HEALTH_UP},
        {"418, which is expected", {.does = FAKE_ANSWERS, .status = 418}, NR_HEALTH_UP},
        {"302", {.does = FAKE_ANSWERS, .status = 302}, NR_HEALTH_DOWN},
        {"503", {.does = FAKE_ANSWERS, .status = 503, .body = "no"}, NR_HEALTH_DOWN},
        {"103, then 200", {.does = FAKE_ANSWERS, .status = 200, .interim = true, .after_ms = 4}, NR_HEALTH_UP},
        {"just in time", {.does = FAKE_ANSWERS, .status = 200, .after_ms = 490}, NR_HEALTH_UP},
        {"too late", {.does = FAKE_ANSWERS, .status = 200, .after_ms = 510}, NR_HEALTH_DOWN},
        {"no answer", {.does = FAKE_HANGS}, NR_HEALTH_DOWN},
        {"200, but its body breaks off", {.does = FAKE_TRUNCATES, .status = 200, .body = "half", .end = NR_END_PEER_RESET}, NR_HEALTH_DOWN},
        {"not HTTP", {.does = FAKE_FAILS, .end = NR_END_PROTOCOL}, NR_HEALTH_DOWN},
        /* clang-format on */
    };

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        struct bench b;

        print_message("# %s\n", cases[i].name);
        bench_init(&b);
        b.world.scripts[0] = cases[i].script;
        start(&b);
        run_ms(&b, 1500);
        assert_int_equal(health_of(&b, 0), cases[i].health);
        assert_true(b.world.opens[0].fresh); /* a new connection each time */
        stop(&b);
    }
}

static void the_body_counts_too(void **state)
{
    static const struct {
        const char *name;
        struct fake_script script;
        enum nr_health health;
    } cases[] = {
        /* clang-format off */
        {"it says so", {.does = FAKE_ANSWERS, .status = 200, .body = "{\"state\":\"ready\"}"}, NR_HEALTH_UP},
        {"at the very end", {.does = FAKE_ANSWERS, .status = 200, .body = "already"}, NR_HEALTH_UP},
        {"it does not", {.does = FAKE_ANSWERS, .status = 200, .body = "read"}, NR_HEALTH_DOWN},
        {"no body", {.does = FAKE_ANSWERS, .status = 204}, NR_HEALTH_DOWN},
        {"it does, with a status that is not expected", {.does = FAKE_ANSWERS, .status = 503, .body = "ready"}, NR_HEALTH_DOWN},
        /* clang-format on */
    };

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        struct bench b;

        print_message("# %s\n", cases[i].name);
        bench_init(&b);
        b.health.expect_body = NR_SPAN("ready");
        b.world.scripts[0] = cases[i].script;
        start(&b);
        run_ms(&b, 1500);
        assert_int_equal(health_of(&b, 0), cases[i].health);
        stop(&b);
    }
}

/* Cut any text anywhere: it is found in the pieces if and only if it is in the whole. */
static void a_text_is_found_however_it_is_cut(void **state)
{
    struct nr_random random;

    nr_random_init(&random, 9);
    for (int round = 0; round < 20000; round++) {
        char text[64], hay[400];
        size_t text_len = 1 + nr_random_below(&random, round % 2 ? 4 : sizeof(text));
        size_t hay_len = nr_random_below(&random, sizeof(hay));
        struct nr_needle needle;

        for (size_t i = 0; i < text_len; i++)
            text[i] = (char)('a' + nr_random_below(&random, 2));
        for (size_t i = 0; i < hay_len; i++)
            hay[i] = (char)('a' + nr_random_below(&random, 2));
        if (hay_len > text_len && round % 3 == 0)
            memcpy(hay + nr_random_below(&random, hay_len - text_len), text, text_len);
        nr_needle_init(&needle, (struct nr_span){text, text_len});
        for (size_t at = 0; at < hay_len;) {
            size_t piece = nr_random_below(&random, round % 5 ? 8 : 300);

            piece = piece < hay_len - at ? piece : hay_len - at;
            nr_needle_see(&needle, (struct nr_span){hay + at, piece});
            at += piece;
        }
        assert_int_equal(needle.found, memmem(hay, hay_len, text, text_len) != NULL);
    }
}

static void one_that_is_down_is_asked_more_often(void **state)
{
    struct bench b;

    bench_init(&b);
    b.health.unhealthy_interval_ns = 500 * MS;
    b.world.scripts[1].status = 500;
    start(&b);
    run_ms(&b, 4100);
    assert_int_equal(b.world.open_count, 2 * 3 + 9); /* 0, 2, 4 s against every half second */
    b.world.scripts[1].status = 200;                 /* good at 4.5 and at 5 s */
    run_ms(&b, 9000);
    assert_string_equal(b.changes[b.change_count - 1], "1 up at 5000");
    stop(&b);
}

static void one_that_must_prove_itself_first(void **state)
{
    struct nr_instance_view view;
    struct bench b;

    bench_init(&b);
    b.health.initial = NR_HEALTH_INITIAL_DOWN;
    b.world.scripts[0].after_ms = 100;
    b.world.scripts[1].status = 500;
    start(&b);
    assert_int_equal(b.service->set.up, 0);
    run_ms(&b, 50);
    assert_int_equal(b.service->set.up, 1); /* the third */
    run_ms(&b, 150);
    assert_int_equal(b.service->set.up, 2); /* one check is enough, though rise is 2 */
    nr_service_instance(b.service, 1, &view);
    assert_string_equal(view.verdict, "its status is none of the expected");
    assert_int_equal(view.check_status, 500);
    stop(&b);
}

/* G5: a dead instance gets no new request within one check interval. It dies at any moment; a call
 * that finds it dead does not wait for the next check's time, nor do the checks that confirm it. */
static void a_dead_instance_gets_nothing_within_an_interval(void **state)
{
    for (uint64_t dies_ms = 10000; dies_ms < 12000; dies_ms += 37) {
        uint64_t last_ms = 0, found_dead = 0;
        struct nr_random random;
        struct bench b;

        bench_init(&b);
        nr_random_init(&random, dies_ms);
        b.health.jitter = 0.1;
        start(&b);
        for (uint64_t now_ms = 10; now_ms < 16000; now_ms += 10) {
            uint32_t instance;
            bool dead;

            run_ms(&b, now_ms);
            if (now_ms >= dies_ms)
                b.world.scripts[1] =
                    (struct fake_script){.does = FAKE_FAILS, .end = NR_END_CONNECT_REFUSED};
            instance = nr_service_pick(b.service, &random, now_ms * MS, 0, &(int){0});
            dead = instance == 1 && now_ms >= dies_ms;
            if (dead) { /* as a call does it */
                nr_service_doubt(b.service, instance);
                last_ms = now_ms;
                found_dead++;
            }
            nr_service_report(b.service, instance, now_ms * MS, MS, !dead);
        }
        assert_int_equal(health_of(&b, 1), NR_HEALTH_DOWN);
        assert_true(found_dead > 0);
        assert_in_range(last_ms - dies_ms, 0, 1000); /* half of the interval */
        stop(&b);
    }
}

/* Calls that fail while checks pass hurry them, but not without end. */
static void doubts_are_bounded(void **state)
{
    struct bench b;
    uint32_t opened;

    bench_init(&b);
    start(&b);
    run_ms(&b, 10000);
    opened = b.world.open_count;
    for (uint64_t now_ms = 10000; now_ms < 20000; now_ms++) {
        nr_service_doubt(b.service, 1);
        run_ms(&b, now_ms);
    }
    /* 5 each for the two others, one in 250 ms for this one */
    assert_in_range(b.world.open_count - opened, 2 * 5 + 35, 2 * 5 + 42);
    assert_int_equal(health_of(&b, 1), NR_HEALTH_UP);
    stop(&b);
}

/* A thousand gateways that started together must not check in step for ever. */
static void checks_drift_apart(void **state)
{
    struct bench b;
    uint64_t off_ns = 0;

    bench_init(&b);
    b.health.jitter = 0.1;
    start(&b);
    run_ms(&b, 100000);
    assert_in_range(b.world.open_count, 3 * 47, 3 * 54);
    for (uint32_t i = 0; i < FAKE_OPENS_MAX; i++)
        off_ns += (b.world.opens[i].at_ns - b.start_ns) % (2000 * MS);
    assert_true(off_ns > 100 * MS);
    stop(&b);
}

static void stopping_in_the_middle_of_checks(void **state)
{
    for (uint64_t at_ms = 0; at_ms < 12; at_ms++) {
        struct bench b;

        bench_init(&b);
        b.world.scripts[0].after_ms = 5;
        b.world.scripts[1] = (struct fake_script){.does = FAKE_HANGS};
        start(&b);
        run_ms(&b, at_ms);
        stop(&b);
    }
}

static void without_a_section_nothing_is_checked(void **state)
{
    struct bench b;

    bench_init(&b);
    b.conf.health = NULL;
    start(&b);
    run_ms(&b, 10000);
    assert_int_equal(b.world.open_count, 0);
    assert_int_equal(health_of(&b, 0), NR_HEALTH_UNKNOWN);
    stop(&b);
}

/* ---- TCP ---- */

struct listening {
    struct nr_accept accept;
    struct nr_listener *listener;
    struct nr_io *io;
    uint32_t accepted;
};

static void on_accept(struct nr_op *op)
{
    struct listening *l = nr_container_of(op, struct listening, accept.op);

    if (op->result != NR_OK)
        return;
    l->accepted++;
    nr_sock_close(l->accept.sock, NR_CLOSE_GRACEFUL);
    nr_listener_accept(l->listener, l->io, &l->accept);
}

static const struct nr_op_kind accept_kind = {on_accept, "test.accept"};

static void listen_on(struct bench *b, struct listening *l, const char *host, const char *address)
{
    struct nr_listen_conf conf = {.inherited_fd = -1};

    memset(l, 0, sizeof(*l));
    l->io = nr_sim_engine(b->sim, host);
    assert_int_equal(nr_addr_parse(address, &conf.address, NULL), NR_OK);
    assert_int_equal(nr_listener_open(&l->io, 1, &conf, &l->listener, NULL), NR_OK);
    nr_op_init(&l->accept.op, &accept_kind);
    nr_listener_accept(l->listener, l->io, &l->accept);
}

static void tcp_checks_only_connect(void **state)
{
    struct listening up;
    struct bench b;

    bench_init(&b);
    b.health.tcp = true;
    b.health.path = (struct nr_span){NULL, 0};
    listen_on(&b, &up, "10.0.1.1", "10.0.1.1:8000");
    (void)nr_sim_engine(b.sim, "10.0.1.2"); /* a host where nobody listens */
    (void)nr_sim_engine(b.sim, "10.0.1.3"); /* and one that has gone dark */
    nr_sim_silence(b.sim, "10.0.1.3", true);
    start(&b);
    run_ms(&b, 1000);
    assert_int_equal(health_of(&b, 0), NR_HEALTH_UP);
    assert_int_equal(health_of(&b, 1), NR_HEALTH_DOWN);
    assert_int_equal(health_of(&b, 2), NR_HEALTH_DOWN);
    run_ms(&b, 7000);
    assert_int_equal(up.accepted, 4);
    nr_sim_silence(b.sim, "10.0.1.1", true);
    run_ms(&b, 15000);
    assert_int_equal(health_of(&b, 0), NR_HEALTH_DOWN);
    nr_sim_silence(b.sim, "10.0.1.1", false);
    run_ms(&b, 25000);
    assert_int_equal(health_of(&b, 0), NR_HEALTH_UP);
    nr_listener_close(up.listener);
    stop(&b);
}

/* Who comes is checked at once, and who has gone not any more, also in the middle of a check. */
static void checks_follow_the_set(void **state)
{
    struct nr_instance_spec specs[2] = {{.text = "10.0.1.1:8000", .weight = 1},
                                        {.text = "10.0.1.3:8002", .weight = 1}};
    struct bench b;

    bench_init(&b);
    b.conf.instance_count = 2;
    b.world.scripts[1] = (struct fake_script){.does = FAKE_HANGS};
    start(&b);
    run_ms(&b, 100);
    assert_int_equal(b.change_count, 1);
    assert_string_equal(b.changes[0], "0 up at 0");
    for (int i = 0; i < 2; i++)
        assert_int_equal(nr_addr_parse(specs[i].text, &specs[i].addr, NULL), NR_OK);
    assert_int_equal(nr_service_set_instances(b.service, specs, 2, NULL), NR_OK);
    run_ms(&b, 200);
    assert_int_equal(b.change_count, 2);
    assert_string_equal(b.changes[1], "1 up at 100"); /* the number of who hung */
    run_ms(&b, 10000);
    assert_int_equal(b.change_count, 2); /* nobody is told of who has gone */
    assert_int_equal(b.world.clients, 2);
    stop(&b);
}

/* ---- names ---- */

static void on_resolved(void *ctx, const struct nr_err *err)
{
    struct bench *b = ctx;

    b->resolved++;
    if (err != NULL)
        b->err = *err;
}

static void by_name(struct bench *b, uint32_t instance, const char *name)
{
    b->instances[instance].address.kind = NR_CONFIG_ADDRESS_NAME;
    b->instances[instance].address.host = nr_span_of(name);
    b->instances[instance].address.port = 7003;
    snprintf(b->addresses[instance], sizeof(b->addresses[0]), "%s:7003", name);
    b->instances[instance].address.text = nr_span_of(b->addresses[instance]);
}

static void names_become_addresses(void **state)
{
    struct nr_instance_view view;
    struct bench b;

    bench_init(&b);
    by_name(&b, 0, "orders.test");
    by_name(&b, 1, "missing.test");
    nr_sim_name(b.sim, "orders.test", "10.0.9.9", 60);
    assert_int_equal(nr_service_new(&b.conf, 0, &b.service, NULL), NR_OK);
    assert_int_equal(b.service->set.up, 1); /* only the third has an address */
    nr_service_resolve(b.service, b.io, on_resolved, &b);
    assert_int_equal(b.resolved, 0);
    nr_sim_run(b.sim, UINT64_MAX);
    assert_int_equal(b.resolved, 1);
    assert_int_equal(b.err.code, NR_ENAME);
    assert_non_null(strstr(b.err.text, "missing.test"));
    assert_int_equal(b.service->set.up, 2);
    nr_service_instance(b.service, 0, &view);
    assert_int_equal(view.addr.ip[3], 9);
    assert_int_equal(view.addr.port, 7003);

    nr_sim_name(b.sim, "missing.test", "10.0.9.10", 60); /* a second try only asks what is left */
    b.err.code = NR_OK;
    nr_service_resolve(b.service, b.io, on_resolved, &b);
    nr_sim_run(b.sim, UINT64_MAX);
    assert_int_equal(b.resolved, 2);
    assert_int_equal(b.err.code, NR_OK);
    assert_int_equal(b.service->set.up, 3);

    nr_service_resolve(b.service, b.io, on_resolved, &b); /* nothing to do: still from the queue */
    assert_int_equal(b.resolved, 2);
    nr_sim_run(b.sim, UINT64_MAX);
    assert_int_equal(b.resolved, 3);
    nr_service_free(b.service);
    nr_sim_free(b.sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_check_is_at_once_and_decides),
        cmocka_unit_test(fall_and_rise_by_the_interval),
        cmocka_unit_test(what_counts_as_healthy),
        cmocka_unit_test(the_body_counts_too),
        cmocka_unit_test(a_text_is_found_however_it_is_cut),
        cmocka_unit_test(one_that_is_down_is_asked_more_often),
        cmocka_unit_test(one_that_must_prove_itself_first),
        cmocka_unit_test(a_dead_instance_gets_nothing_within_an_interval),
        cmocka_unit_test(doubts_are_bounded),
        cmocka_unit_test(checks_drift_apart),
        cmocka_unit_test(stopping_in_the_middle_of_checks),
        cmocka_unit_test(without_a_section_nothing_is_checked),
        cmocka_unit_test(tcp_checks_only_connect),
        cmocka_unit_test(checks_follow_the_set),
        cmocka_unit_test(names_become_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
