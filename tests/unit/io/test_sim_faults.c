/* SPDX-License-Identifier: Apache-2.0 */
/* Faults of the simulated world, and what its hosts have: names, files, signals. */
#include <signal.h>
#include <stdlib.h>

#include "pair.h"

/* ---- faults ---- */

static void a_partition_holds_and_heals(void **state)
{
    struct nr_sim_conf conf = {.seed = 9, .link = {.latency_min_ns = MS, .latency_max_ns = MS}};
    struct source source;
    struct nr_connect late;
    struct sink sink;
    struct pair p;

    pair_open(&p, &conf);
    sink_start(&sink, p.server);
    nr_sim_partition(p.sim, CLIENT, SERVER, true);
    source_start(&source, p.client, 100000, 1000, nr_sim_random(p.sim));
    nr_op_init(&late.op, &connect_kind);
    late.to = p.address;
    nr_sock_connect(p.client_io, &late);
    nr_listener_accept(p.listener, p.server_io, &p.accept);
    nr_sim_run(p.sim, nr_sim_now_ns(p.sim) + 3600 * S);
    assert_int_equal(sink.got, 0);
    assert_false(nr_op_idle(&late.op));
    nr_sim_partition(p.sim, CLIENT, SERVER, false);
    nr_sim_run(p.sim, UINT64_MAX);
    assert_int_equal(sink.got, 100000);
    assert_true(nr_op_idle(&late.op) && nr_op_idle(&p.accept.op));
    assert_int_equal(late.op.result, NR_OK);
    nr_sock_close(late.sock, NR_CLOSE_GRACEFUL);
    nr_sock_close(p.accept.sock, NR_CLOSE_GRACEFUL);
    pair_close(&p);
}

/* The reader has read, but the news of it meets the cut: it must come after. */
static void a_window_opens_after_the_cut(void **state)
{
    struct nr_sim_conf conf = {.seed = 10, .link = {.latency_max_ns = MS, .window_bytes = 1000}};
    struct source source;
    struct sink sink;
    struct pair p;

    pair_open(&p, &conf);
    source_start(&source, p.client, 5000, 5000, nr_sim_random(p.sim));
    nr_sim_run(p.sim, nr_sim_now_ns(p.sim) + S);
    nr_sim_partition(p.sim, CLIENT, SERVER, true);
    sink_start(&sink, p.server);
    nr_sim_run(p.sim, nr_sim_now_ns(p.sim) + 60 * S);
    assert_int_equal(sink.got, 1000);
    nr_sim_partition(p.sim, CLIENT, SERVER, false);
    nr_sim_run(p.sim, UINT64_MAX);
    assert_int_equal(sink.got, 5000);
    assert_true(sink.ended);
    pair_close(&p);
}

static void a_link_that_loses_all_is_a_stall(void **state)
{
    struct nr_sim_conf conf = {.seed = 9};
    struct nr_sim_link dead = {.loss_ppm = 1000000};
    struct sink sink;
    struct pair p;
    char byte = pattern(0);

    pair_open(&p, &conf);
    sink_start(&sink, p.server);
    nr_sim_set_link(p.sim, CLIENT, SERVER, &dead);
    write_bytes(p.client, &byte, 1);
    nr_sim_run(p.sim, nr_sim_now_ns(p.sim) + 60 * S);
    assert_int_equal(sink.got, 0);
    nr_sim_set_link(p.sim, CLIENT, SERVER, &conf.link);
    nr_sim_run(p.sim, UINT64_MAX);
    assert_int_equal(sink.got, 1);
    nr_sock_close(p.client, NR_CLOSE_GRACEFUL);
    p.client = NULL;
    nr_sim_run(p.sim, UINT64_MAX);
    pair_close(&p);
}

static void a_killed_host_resets_refuses_and_comes_back(void **state)
{
    struct nr_sim_conf conf = {.seed = 11, .link = {.latency_min_ns = MS, .latency_max_ns = MS}};
    struct sink client, server;
    struct pair p;

    pair_open(&p, &conf);
    sink_start(&client, p.client);
    sink_start(&server, p.server);
    assert_int_equal(nr_sim_connections(p.sim, CLIENT, SERVER), 1);
    nr_sim_kill(p.sim, SERVER);
    assert_int_equal(nr_sim_connections(p.sim, CLIENT, SERVER), 0);
    nr_sim_run(p.sim, nr_sim_now_ns(p.sim) + S);
    assert_true(client.ended && client.end == NR_ERESET);
    assert_true(server.ended && server.end == NR_ERESET);
    nr_sock_close(p.client, NR_CLOSE_GRACEFUL);
    nr_sock_close(p.server, NR_CLOSE_GRACEFUL);

    nr_sock_connect(p.client_io, &p.connect);
    nr_sim_run(p.sim, UINT64_MAX);
    assert_int_equal(p.connect.op.result, NR_EREFUSED);

    nr_listener_close(p.listener);
    nr_sim_revive(p.sim, SERVER);
    p.listener = listen_on(p.server_io, "0.0.0.0:8080", &p.address);
    p.connect.to.port = 8080;
    pair_connect(&p);
    assert_int_equal(nr_sim_connections(p.sim, SERVER, CLIENT), 1);
    pair_close(&p);
}

/* The other side hears nothing, not even a reset, until it says something itself. */
static void a_reset_behind_a_cut_is_lost(void **state)
{
    struct nr_sim_conf conf = {.seed = 12};
    struct sink client;
    struct pair p;

    pair_open(&p, &conf);
    sink_start(&client, p.client);
    nr_sim_silence(p.sim, SERVER, true);
    nr_sim_kill(p.sim, SERVER);
    nr_sim_run(p.sim, nr_sim_now_ns(p.sim) + 60 * S);
    nr_sim_silence(p.sim, SERVER, false);
    nr_sim_run(p.sim, nr_sim_now_ns(p.sim) + 60 * S);
    assert_false(client.ended);
    write_bytes(p.client, "anybody?", 8);
    nr_sim_run(p.sim, UINT64_MAX);
    assert_true(client.ended && client.end == NR_ERESET);
    pair_close(&p);
}

/* Who has something to repeat, or a shut window to probe, does hear of it. */
static void who_speaks_again_hears_of_the_death(void **state)
{
    static const struct {
        const char *name;
        bool before_the_cut; /* arrived and unread, so that the window is shut */
    } cases[] = {{"a shut window is probed", true}, {"bytes under way are repeated", false}};

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        struct nr_sim_conf conf = {.seed = i, .link = {.window_bytes = 1000}};
        static const char bytes[1000];
        struct nr_op writable;
        struct pair p;

        pair_open(&p, &conf);
        nr_op_init(&writable, &op_kind);
        if (cases[i].before_the_cut)
            assert_int_equal(write_bytes(p.client, bytes, sizeof(bytes)), sizeof(bytes));
        nr_sim_run(p.sim, nr_sim_now_ns(p.sim) + S);
        nr_sim_partition(p.sim, CLIENT, SERVER, true);
        if (!cases[i].before_the_cut)
            assert_int_equal(write_bytes(p.client, bytes, sizeof(bytes)), sizeof(bytes));
        nr_sock_when_writable(p.client, &writable);
        nr_sim_kill(p.sim, SERVER);
        nr_sim_run(p.sim, nr_sim_now_ns(p.sim) + 60 * S);
        assert_false(nr_op_idle(&writable));
        nr_sim_partition(p.sim, CLIENT, SERVER, false);
        nr_sim_run(p.sim, UINT64_MAX);
        assert_true(nr_op_idle(&writable));
        assert_int_equal(writable.result, NR_ERESET);
        pair_close(&p);
    }
}

static void silence_is_nothing_at_all(void **state)
{
    struct nr_sim_conf conf = {.seed = 13};
    struct nr_connect late;
    struct sink client;
    struct pair p;

    pair_open(&p, &conf);
    sink_start(&client, p.client);
    nr_sim_silence(p.sim, SERVER, true);
    nr_sock_close(p.server, NR_CLOSE_RESET);
    p.server = NULL;
    nr_op_init(&late.op, &connect_kind);
    late.to = p.address;
    nr_sock_connect(p.client_io, &late);
    nr_sim_run(p.sim, nr_sim_now_ns(p.sim) + 3600 * S);
    assert_false(client.ended);
    assert_false(nr_op_idle(&late.op));
    nr_op_cancel(p.client_io, &late.op);
    nr_sim_run(p.sim, UINT64_MAX);
    assert_int_equal(late.op.result, NR_ECANCELED);
    nr_sock_close(p.client, NR_CLOSE_GRACEFUL);
    p.client = NULL;
    nr_sim_run(p.sim, UINT64_MAX);
    pair_close(&p);
}

static void one_connection_can_be_reset(void **state)
{
    struct nr_sim_conf conf = {.seed = 14};
    struct sink client, server;
    struct pair p;

    pair_world(&p, &conf);
    assert_false(nr_sim_reset_one(p.sim, CLIENT, SERVER));
    pair_connect(&p);
    sink_start(&client, p.client);
    sink_start(&server, p.server);
    assert_true(nr_sim_reset_one(p.sim, SERVER, CLIENT));
    assert_false(nr_sim_reset_one(p.sim, CLIENT, SERVER));
    nr_sim_run(p.sim, UINT64_MAX);
    assert_true(client.ended && client.end == NR_ERESET);
    assert_true(server.ended && server.end == NR_ERESET);
    pair_close(&p);
}

static void descriptors_run_out(void **state)
{
    struct nr_sim_conf conf = {.seed = 15};
    struct nr_connect second;
    struct pair p;

    pair_world(&p, &conf);
    nr_op_init(&second.op, &connect_kind);
    second.to = p.address;
    nr_sim_limit_files(p.sim, CLIENT, 1);
    nr_sim_limit_files(p.sim, SERVER, 1); /* the listener */
    nr_sock_connect(p.client_io, &p.connect);
    nr_sock_connect(p.client_io, &second);
    nr_listener_accept(p.listener, p.server_io, &p.accept);
    nr_sim_run(p.sim, nr_sim_now_ns(p.sim) + S);
    assert_int_equal(p.connect.op.result, NR_OK); /* it is in the backlog */
    assert_int_equal(second.op.result, NR_EFILES);
    assert_true(nr_op_idle(&p.accept.op));
    assert_int_equal(p.accept.op.result, NR_EFILES);
    nr_sim_limit_files(p.sim, SERVER, 2);
    nr_listener_accept(p.listener, p.server_io, &p.accept);
    nr_sim_run(p.sim, nr_sim_now_ns(p.sim) + S);
    assert_true(nr_op_idle(&p.accept.op));
    assert_int_equal(p.accept.op.result, NR_OK);
    p.client = p.connect.sock;
    p.server = p.accept.sock;
    pair_close(&p);
}

/* ---- what a host has ---- */

static void names_resolve_as_told(void **state)
{
    struct nr_sim *sim = nr_sim_new(&(struct nr_sim_conf){.seed = 1});
    struct nr_io *io = nr_sim_engine(sim, CLIENT);
    static const struct {
        const char *name;
        int32_t result;
        uint32_t count;
        uint32_t ttl_s;
        const char *first;
    } cases[] = {
        {"orders", NR_OK, 2, 30, "10.0.0.5:80"},
        {"gone", NR_ENAME, 0, 0, NULL},
        {"unheard-of", NR_ENAME, 0, 0, NULL},
        {"10.9.8.7", NR_OK, 1, UINT32_MAX, "10.9.8.7:80"},
        {"::1", NR_OK, 1, UINT32_MAX, "[::1]:80"},
    };

    nr_sim_name(sim, "orders", "10.9.9.9", 1);
    nr_sim_name(sim, "orders", "10.0.0.5 10.0.0.6", 30);
    nr_sim_name(sim, "gone", "10.0.0.5", 30);
    nr_sim_name(sim, "gone", NULL, 0);
    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        struct nr_resolve resolve = {.name = cases[i].name, .port = 80};
        char text[NR_ADDR_TEXT_BYTES];

        nr_op_init(&resolve.op, &op_kind);
        nr_io_resolve(io, &resolve);
        nr_sim_run(sim, UINT64_MAX);
        assert_int_equal(resolve.op.result, cases[i].result);
        assert_int_equal(resolve.count, cases[i].count);
        assert_int_equal(resolve.ttl_s, cases[i].ttl_s);
        if (cases[i].first == NULL)
            continue;
        nr_addr_format(&resolve.addrs[0], text, sizeof(text));
        assert_string_equal(text, cases[i].first);
    }
    nr_sim_free(sim);
}

static void files_and_signals_reach_their_host(void **state)
{
    struct nr_sim *sim = nr_sim_new(&(struct nr_sim_conf){.seed = 1});
    struct nr_io *here = nr_sim_engine(sim, CLIENT), *there = nr_sim_engine(sim, SERVER);
    struct nr_signal signal = {.signo = SIGTERM};
    char *bytes = NULL;
    size_t len = 0;

    nr_sim_file(sim, CLIENT, "/etc/naru.yaml", NR_SPAN("a: 1\n"));
    assert_int_equal(nr_io_read_file(there, "/etc/naru.yaml", 100, &bytes, &len, NULL), NR_ENOENT);
    assert_int_equal(nr_io_read_file(here, "/etc/naru.yaml", 4, &bytes, &len, NULL), NR_ELIMIT);
    assert_int_equal(nr_io_read_file(here, "/etc/naru.yaml", 5, &bytes, &len, NULL), NR_OK);
    assert_int_equal(len, 5);
    assert_string_equal(bytes, "a: 1\n");
    free(bytes);
    nr_sim_file(sim, CLIENT, "/etc/naru.yaml", (struct nr_span){NULL, 0});
    assert_int_equal(nr_io_read_file(here, "/etc/naru.yaml", 5, &bytes, &len, NULL), NR_ENOENT);

    nr_op_init(&signal.op, &op_kind);
    nr_io_signal(here, &signal);
    nr_sim_raise(sim, SERVER, SIGTERM);
    nr_sim_raise(sim, CLIENT, SIGHUP);
    nr_sim_run(sim, UINT64_MAX);
    assert_false(nr_op_idle(&signal.op));
    nr_sim_raise(sim, CLIENT, SIGTERM);
    nr_sim_run(sim, UINT64_MAX);
    assert_true(nr_op_idle(&signal.op));
    signal.signo = SIGHUP; /* raised before anybody waited */
    nr_io_signal(here, &signal);
    nr_sim_run(sim, UINT64_MAX);
    assert_true(nr_op_idle(&signal.op));
    nr_sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_partition_holds_and_heals),
        cmocka_unit_test(a_window_opens_after_the_cut),
        cmocka_unit_test(a_link_that_loses_all_is_a_stall),
        cmocka_unit_test(a_killed_host_resets_refuses_and_comes_back),
        cmocka_unit_test(a_reset_behind_a_cut_is_lost),
        cmocka_unit_test(who_speaks_again_hears_of_the_death),
        cmocka_unit_test(silence_is_nothing_at_all),
        cmocka_unit_test(one_connection_can_be_reset),
        cmocka_unit_test(descriptors_run_out),
        cmocka_unit_test(names_resolve_as_told),
        cmocka_unit_test(files_and_signals_reach_their_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
