/* SPDX-License-Identifier: Apache-2.0 */
/* What the simulated world promises beyond the engine's contract: seeds, links, ends of
 * connections, leaks. */
#include "../death.h"
#include "pair.h"

/* ---- seeds ---- */

static void hash_in(uint64_t *hash, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;

    for (size_t i = 0; i < len; i++)
        *hash = (*hash ^ at[i]) * 0x100000001b3u; /* FNV-1a */
}

static void hash_trace(void *ctx, uint64_t now_ns, const char *host, const char *op_name,
                       int32_t result)
{
    hash_in(ctx, &now_ns, sizeof(now_ns));
    hash_in(ctx, host, strlen(host));
    hash_in(ctx, op_name, strlen(op_name));
    hash_in(ctx, &result, sizeof(result));
}

/* A transfer both ways over a bad line, with a partition in the middle. */
static uint64_t run_hash(uint64_t seed)
{
    uint64_t hash = 0xcbf29ce484222325u;
    struct nr_sim_conf conf = {
        .seed = seed,
        .trace = hash_trace,
        .trace_ctx = &hash,
        .link = {.latency_min_ns = MS,
                 .latency_max_ns = 9 * MS,
                 .loss_ppm = 50000,
                 .split_randomly = true},
    };
    struct source up, down;
    struct sink at_server, at_client;
    struct pair p;

    pair_open(&p, &conf);
    sink_start(&at_server, p.server);
    sink_start(&at_client, p.client);
    source_start(&up, p.client, 50000, 3000, nr_sim_random(p.sim));
    source_start(&down, p.server, 70000, 500, nr_io_random(p.server_io));
    nr_sim_run(p.sim, nr_sim_now_ns(p.sim) + 20 * MS);
    nr_sim_partition(p.sim, CLIENT, SERVER, true);
    nr_sim_run(p.sim, nr_sim_now_ns(p.sim) + S);
    nr_sim_partition(p.sim, CLIENT, SERVER, false);
    nr_sim_run(p.sim, UINT64_MAX);
    assert_true(at_server.ended && at_client.ended);
    assert_int_equal(at_server.got, 50000);
    assert_int_equal(at_client.got, 70000);
    pair_close(&p);
    return hash;
}

static void the_same_seed_is_the_same_world(void **state)
{
    uint64_t one = run_hash(1), two = run_hash(2), three = run_hash(3);

    assert_true(one == run_hash(1));
    assert_true(two == run_hash(2));
    assert_true(one != two && two != three && one != three);
}

static void engines_draw_from_the_seed(void **state)
{
    uint64_t drawn[3][2];
    static const uint64_t seeds[3] = {1, 1, 2};

    for (int i = 0; i < 3; i++) {
        struct nr_sim *sim = nr_sim_new(&(struct nr_sim_conf){.seed = seeds[i]});

        nr_io_entropy(nr_sim_engine(sim, CLIENT), &drawn[i][0], sizeof(uint64_t));
        nr_io_entropy(nr_sim_engine(sim, CLIENT), &drawn[i][1], sizeof(uint64_t));
        nr_sim_free(sim);
    }
    assert_memory_equal(drawn[0], drawn[1], sizeof(drawn[0]));
    assert_true(drawn[0][0] != drawn[0][1] && drawn[0][0] != drawn[2][0]);
}

struct racer {
    struct nr_op op;
    int *arrivals;
    int place;
};

static void on_arrival(struct nr_op *op)
{
    struct racer *racer = nr_container_of(op, struct racer, op);

    racer->place = ++*racer->arrivals;
}

/* Engines of one host run side by side: which of them goes first is for the seed to say. */
static void engines_race(void **state)
{
    static const struct nr_op_kind kind = {on_arrival, "test.race"};
    int first_wins = 0;

    for (uint64_t seed = 0; seed < 40; seed++) {
        struct nr_sim *sim = nr_sim_new(&(struct nr_sim_conf){.seed = seed});
        struct racer racers[2];
        int arrivals = 0;

        for (int i = 0; i < 2; i++) {
            racers[i] = (struct racer){.arrivals = &arrivals};
            nr_op_init(&racers[i].op, &kind);
            nr_io_defer(nr_sim_engine(sim, CLIENT), &racers[i].op);
        }
        assert_true(nr_sim_step(sim));
        assert_int_equal(arrivals, 1); /* one callback per step */
        assert_true(nr_sim_step(sim));
        assert_false(nr_sim_step(sim));
        first_wins += racers[0].place == 1;
        nr_sim_free(sim);
    }
    assert_in_range(first_wins, 8, 32);
}

enum { CROWD = 64 };

/* What is scheduled for the same instant happens in the order in which it was scheduled. */
static void equal_times_go_in_order(void **state)
{
    struct nr_sim_conf conf = {.seed = 2, .link = {.latency_min_ns = MS, .latency_max_ns = MS}};
    struct nr_connect connects[CROWD];
    struct nr_accept accepts[CROWD];
    struct pair p;

    pair_world(&p, &conf);
    for (int i = 0; i < CROWD; i++) {
        nr_op_init(&connects[i].op, &connect_kind);
        nr_op_init(&accepts[i].op, &accept_kind);
        connects[i].to = p.address;
        nr_sock_connect(p.client_io, &connects[i]);
        nr_listener_accept(p.listener, p.server_io, &accepts[i]);
    }
    nr_sim_run(p.sim, UINT64_MAX);
    for (int i = 0; i < CROWD; i++) {
        struct nr_addr local = nr_sock_local(connects[i].sock);

        assert_true(nr_addr_eq(&local, &accepts[i].peer));
        nr_sock_close(connects[i].sock, NR_CLOSE_GRACEFUL);
        nr_sock_close(accepts[i].sock, NR_CLOSE_GRACEFUL);
    }
    pair_close(&p);
}

/* ---- links ---- */

static void latency_stays_within_its_bounds(void **state)
{
    struct nr_sim_conf conf = {.seed = 7,
                               .link = {.latency_min_ns = 10 * MS, .latency_max_ns = 20 * MS}};
    uint64_t least_ns = UINT64_MAX, most_ns = 0;
    struct sink sink;
    struct pair p;

    pair_open(&p, &conf);
    sink_start(&sink, p.server);
    for (int i = 0; i < 500; i++) {
        uint64_t sent_ns = nr_sim_now_ns(p.sim), took_ns;
        char byte = pattern((uint64_t)i);

        assert_int_equal(write_bytes(p.client, &byte, 1), 1);
        nr_sim_run(p.sim, UINT64_MAX);
        took_ns = sink.last_ns - sent_ns;
        least_ns = took_ns < least_ns ? took_ns : least_ns;
        most_ns = took_ns > most_ns ? took_ns : most_ns;
    }
    assert_in_range(least_ns, 10 * MS, 11 * MS);
    assert_in_range(most_ns, 19 * MS, 20 * MS);
    nr_sock_close(p.client, NR_CLOSE_GRACEFUL);
    p.client = NULL;
    nr_sim_run(p.sim, UINT64_MAX);
    assert_true(sink.ended && sink.end == 0);
    pair_close(&p);
}

static void bandwidth_takes_its_time(void **state)
{
    static const struct {
        const char *name;
        uint64_t bytes;
        uint64_t bytes_per_s;
        uint32_t window_bytes;
        uint64_t least_ns;
        uint64_t most_ns;
    } cases[] = {
        {"500 KB at 1 MB/s", 500000, 1000000, 1 << 20, 500 * MS, 503 * MS},
        {"1 KB at 1 KB/s", 1000, 1000, 1 << 20, S, S + 3 * MS},
        {"unlimited, one window", 65536, 0, 65536, MS, 2 * MS},
        {"ten windows of 10 KB: ten round trips of 2 ms", 100000, 0, 10000, 19 * MS, 22 * MS},
    };

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        struct nr_sim_conf conf = {
            .seed = i,
            .link = {.latency_min_ns = MS,
                     .latency_max_ns = MS,
                     .bytes_per_s = cases[i].bytes_per_s,
                     .window_bytes = cases[i].window_bytes},
        };
        struct source source;
        struct sink sink;
        uint64_t from_ns;
        struct pair p;

        pair_open(&p, &conf);
        from_ns = nr_sim_now_ns(p.sim);
        sink_start(&sink, p.server);
        source_start(&source, p.client, cases[i].bytes, 65536, nr_sim_random(p.sim));
        nr_sim_run(p.sim, UINT64_MAX);
        assert_int_equal(sink.got, cases[i].bytes);
        assert_in_range(sink.last_ns - from_ns, cases[i].least_ns, cases[i].most_ns);
        pair_close(&p);
    }
}

/* Whatever is lost and however it is cut: every byte, once, in order, then the FIN. The sink
 * checks the bytes. */
static void loss_delays_and_nothing_else(void **state)
{
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct nr_sim_conf conf = {
            .seed = seed,
            .link = {.latency_max_ns = (seed % 4) * MS,
                     .loss_ppm = (uint32_t)(seed % 5) * 100000,
                     .window_bytes = 1 + (uint32_t)(seed * 7919 % 20000),
                     .segment_bytes = 1 + (uint32_t)(seed * 31 % 997),
                     .bytes_per_s = seed % 3 == 0 ? 1000000 : 0,
                     .split_randomly = seed % 2 == 0},
        };
        struct source source;
        struct sink sink;
        struct pair p;

        pair_open(&p, &conf);
        sink_start(&sink, p.client);
        source_start(&source, p.server, 20000, 1 + (uint32_t)(seed * 131 % 9000),
                     nr_sim_random(p.sim));
        nr_sim_run(p.sim, UINT64_MAX);
        assert_true(sink.ended);
        assert_int_equal(sink.end, 0);
        assert_int_equal(sink.got, 20000);
        assert_true(sink.largest <= conf.link.segment_bytes);
        pair_close(&p);
    }
}

static void a_lost_segment_costs_its_rto(void **state)
{
    struct nr_sim_conf conf = {
        .seed = 3, .link = {.latency_min_ns = MS, .latency_max_ns = MS, .rto_ns = 300 * MS}};
    struct nr_sim_link half_lost;
    uint32_t late = 0;
    struct sink sink;
    struct pair p;

    pair_open(&p, &conf);
    sink_start(&sink, p.server);
    half_lost = conf.link;
    half_lost.loss_ppm = 500000;
    nr_sim_set_link(p.sim, CLIENT, SERVER, &half_lost);
    for (uint64_t i = 0; i < 200; i++) {
        uint64_t sent_ns = nr_sim_now_ns(p.sim);
        char byte = pattern(i);

        write_bytes(p.client, &byte, 1);
        nr_sim_run(p.sim, UINT64_MAX);
        assert_int_equal((sink.last_ns - sent_ns - MS) % (300 * MS), 0);
        late += sink.last_ns - sent_ns > MS;
    }
    assert_in_range(late, 70, 130);
    nr_sock_close(p.client, NR_CLOSE_GRACEFUL);
    p.client = NULL;
    nr_sim_run(p.sim, UINT64_MAX);
    pair_close(&p);
}

static void an_unread_window_holds_the_writer(void **state)
{
    struct nr_sim_conf conf = {.seed = 1, .link = {.window_bytes = 10000}};
    static char bytes[20000];
    struct nr_op writable;
    struct sink sink;
    struct pair p;

    pair_open(&p, &conf);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = pattern(i);
    nr_op_init(&writable, &op_kind);
    assert_int_equal(write_bytes(p.client, bytes, sizeof(bytes)), 10000);
    assert_int_equal(write_bytes(p.client, bytes, 1), 0);
    nr_sock_when_writable(p.client, &writable);
    nr_sim_run(p.sim, nr_sim_now_ns(p.sim) + 60 * S);
    assert_false(nr_op_idle(&writable));
    sink_start(&sink, p.server);
    nr_sim_run(p.sim, nr_sim_now_ns(p.sim) + S);
    assert_true(nr_op_idle(&writable));
    assert_int_equal(sink.got, 10000);
    assert_int_equal(write_bytes(p.client, bytes + 10000, 10000), 10000);
    nr_sock_shutdown(p.client);
    nr_sim_run(p.sim, UINT64_MAX);
    assert_int_equal(sink.got, 20000);
    pair_close(&p);
}

/* ---- ends ---- */

static void a_fin_comes_behind_the_data(void **state)
{
    struct nr_sim_conf conf = {
        .seed = 5, .link = {.latency_min_ns = MS, .latency_max_ns = 50 * MS, .loss_ppm = 300000}};
    struct source source, answer;
    struct sink sink, client;
    struct nr_op watch;
    struct pair p;

    pair_open(&p, &conf);
    nr_op_init(&watch, &op_kind);
    nr_sock_watch_close(p.server, &watch);
    sink_start(&client, p.client);
    source_start(&source, p.client, 30000, 700, nr_sim_random(p.sim));
    nr_sim_run(p.sim, UINT64_MAX);
    assert_true(nr_op_idle(&watch)); /* behind data that nobody has read yet */
    assert_int_equal(watch.result, NR_ECLOSED);
    sink_start(&sink, p.server);
    nr_sim_run(p.sim, UINT64_MAX);
    assert_true(sink.ended && sink.end == 0);
    assert_int_equal(sink.got, 30000);
    source_start(&answer, p.server, 5000, 100, nr_sim_random(p.sim)); /* half-closed: still ours */
    nr_sim_run(p.sim, UINT64_MAX);
    assert_true(client.ended && client.end == 0);
    assert_int_equal(client.got, 5000);
    pair_close(&p);
}

static void closing_over_unread_bytes_resets(void **state)
{
    struct nr_sim_conf conf = {.seed = 5};
    struct sink sink;
    struct pair p;

    pair_open(&p, &conf);
    sink_start(&sink, p.client);
    write_bytes(p.client, "never read", 10);
    nr_sim_run(p.sim, UINT64_MAX);
    nr_sock_close(p.server, NR_CLOSE_GRACEFUL);
    p.server = NULL;
    nr_sim_run(p.sim, UINT64_MAX);
    assert_true(sink.ended);
    assert_int_equal(sink.end, NR_ERESET);
    assert_int_equal(write_bytes(p.client, "x", 1), NR_ERESET);
    pair_close(&p);
}

static void a_backlog_dies_with_its_listener(void **state)
{
    struct nr_sim_conf conf = {.seed = 6};
    struct sink sink;
    struct pair p;

    pair_world(&p, &conf);
    nr_sock_connect(p.client_io, &p.connect);
    nr_sim_run(p.sim, UINT64_MAX);
    p.client = p.connect.sock;
    sink_start(&sink, p.client);
    nr_sim_run(p.sim, UINT64_MAX);
    assert_false(sink.ended);
    nr_listener_close(p.listener);
    p.listener = NULL;
    nr_sim_run(p.sim, UINT64_MAX);
    assert_true(sink.ended);
    assert_int_equal(sink.end, NR_ERESET);
    pair_close(&p);
}

/* A Unix path is a listener of its host; there is no other way to reset it than to leave bytes
 * unread. */
static void unix_paths_are_of_one_host(void **state)
{
    struct nr_sim_conf conf = {.seed = 6};
    struct nr_listener *path;
    struct nr_addr address;
    struct sink sink;
    struct pair p;

    pair_world(&p, &conf);
    path = listen_on(p.server_io, "unix:/run/naru.sock", &address);
    p.connect.to = address;
    nr_sock_connect(p.client_io, &p.connect); /* the other host has no such path */
    nr_sim_run(p.sim, UINT64_MAX);
    assert_int_equal(p.connect.op.result, NR_EREFUSED);
    nr_sock_connect(p.server_io, &p.connect);
    nr_listener_accept(path, p.server_io, &p.accept);
    nr_sim_run(p.sim, UINT64_MAX);
    assert_int_equal(p.connect.op.result, NR_OK);
    p.client = p.connect.sock;
    p.server = p.accept.sock;
    sink_start(&sink, p.client);
    nr_sock_close(p.server, NR_CLOSE_RESET);
    p.server = NULL;
    nr_sim_run(p.sim, UINT64_MAX);
    assert_true(sink.ended && sink.end == 0);
    nr_listener_close(path);
    pair_close(&p);
}

static void bytes_for_a_closed_peer_are_answered_with_reset(void **state)
{
    struct nr_sim_conf conf = {.seed = 5};
    struct sink sink;
    struct pair p;

    pair_open(&p, &conf);
    sink_start(&sink, p.client);
    nr_sock_close(p.server, NR_CLOSE_GRACEFUL);
    p.server = NULL;
    nr_sim_run(p.sim, UINT64_MAX);
    assert_true(sink.ended && sink.end == 0);
    assert_int_equal(write_bytes(p.client, "hello?", 6), 6);
    nr_sim_run(p.sim, UINT64_MAX);
    assert_int_equal(write_bytes(p.client, "hello?", 6), NR_ERESET);
    pair_close(&p);
}

/* ---- stand-ins, and events of the test's own ---- */

static void an_address_may_be_anothers(void **state)
{
    static const char *const addresses[] = {"127.0.0.1:7001", "192.0.2.9:80", "unix:/run/x.sock"};
    struct nr_sim *sim = nr_sim_new(&(struct nr_sim_conf){.seed = 1});
    struct nr_io *client = nr_sim_engine(sim, CLIENT), *server = nr_sim_engine(sim, SERVER);

    for (size_t i = 0; i < NR_COUNT(addresses); i++) {
        struct nr_connect connect = {0};
        struct nr_listener *listener;

        nr_op_init(&connect.op, &connect_kind);
        assert_int_equal(nr_addr_parse(addresses[i], &connect.to, NULL), NR_OK);
        nr_sock_connect(client, &connect);
        nr_sim_run(sim, UINT64_MAX);
        assert_int_not_equal(connect.op.result, NR_OK);
        nr_sim_stand_in(sim, &connect.to, SERVER);
        listener = listen_on(server, addresses[i], &connect.to);
        assert_int_equal(nr_addr_parse(addresses[i], &connect.to, NULL), NR_OK);
        nr_sock_connect(client, &connect);
        nr_sim_run(sim, UINT64_MAX);
        assert_int_equal(connect.op.result, NR_OK);
        nr_sock_close(connect.sock, NR_CLOSE_GRACEFUL);
        nr_listener_close(listener);
        nr_sim_run(sim, UINT64_MAX);
    }
    nr_sim_free(sim);
}

struct tick {
    struct nr_sim_event event;
    uint64_t fired_ns;
};

static void note_time(struct nr_sim *sim, struct nr_sim_event *event)
{
    nr_container_of(event, struct tick, event)->fired_ns = nr_sim_now_ns(sim);
}

static void events_fire_at_their_nanosecond(void **state)
{
    struct nr_sim *sim = nr_sim_new(&(struct nr_sim_conf){.seed = 1});
    struct tick first = {.event = {.fire = note_time}}, moved = first, canceled = first;
    uint64_t now_ns = nr_sim_now_ns(sim);

    nr_sim_at(sim, &first.event, now_ns + 1234567);
    nr_sim_at(sim, &moved.event, now_ns + 1);
    nr_sim_at(sim, &moved.event, now_ns + 7654321);
    nr_sim_at(sim, &canceled.event, now_ns + 5);
    assert_true(nr_sim_scheduled(&canceled.event));
    nr_sim_cancel(sim, &canceled.event);
    assert_false(nr_sim_scheduled(&canceled.event));
    nr_sim_run(sim, UINT64_MAX);
    assert_int_equal(first.fired_ns, now_ns + 1234567);
    assert_int_equal(moved.fired_ns, now_ns + 7654321);
    assert_int_equal(canceled.fired_ns, 0);
    nr_sim_free(sim);
}

enum { FIRES_MAX = 2000 };

struct fires {
    struct nr_sim_event events[FIRES_MAX];
    uint64_t at_ns[FIRES_MAX]; /* 0: canceled */
    uint64_t
        moved[FIRES_MAX]; /* when it was scheduled last: of equal times, the first goes first */
    uint64_t moves;
    uint64_t last_ns, last_moved;
    uint32_t fired;
};

static struct fires fires;

static uint64_t some_time(struct nr_random *random, uint64_t now_ns)
{
    static const uint64_t within_ns[] = {1, 1000, 100000, 50000000, 200000000, 60000000000};

    return now_ns + nr_random_below(random, within_ns[nr_random_below(random, 6)] + 1);
}

static void fire_at(struct nr_sim *sim, uint32_t i)
{
    fires.at_ns[i] = some_time(nr_sim_random(sim), nr_sim_now_ns(sim));
    fires.moved[i] = ++fires.moves;
    nr_sim_at(sim, &fires.events[i], fires.at_ns[i]);
}

/* Moves or cancels another one, too. */
static void fire_in_order(struct nr_sim *sim, struct nr_sim_event *event)
{
    uint32_t i = (uint32_t)(event - fires.events), other;

    assert_int_equal(nr_sim_now_ns(sim), fires.at_ns[i]);
    assert_true(fires.at_ns[i] > fires.last_ns || fires.moved[i] > fires.last_moved);
    fires.last_ns = fires.at_ns[i];
    fires.last_moved = fires.moved[i];
    fires.at_ns[i] = 0;
    if (++fires.fired > 20 * FIRES_MAX)
        return;
    other = (uint32_t)nr_random_below(nr_sim_random(sim), FIRES_MAX);
    if (nr_random_below(nr_sim_random(sim), 4) == 0) {
        nr_sim_cancel(sim, &fires.events[other]);
        fires.at_ns[other] = 0;
    } else {
        fire_at(sim, other);
    }
}

static void events_fire_in_the_order_of_their_times(void **state)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct nr_sim *sim = nr_sim_new(&(struct nr_sim_conf){.seed = seed});

        fires = (struct fires){0};
        for (uint32_t i = 0; i < FIRES_MAX; i++) {
            fires.events[i].fire = fire_in_order;
            fire_at(sim, i);
        }
        nr_sim_run(sim, UINT64_MAX);
        for (uint32_t i = 0; i < FIRES_MAX; i++) {
            assert_int_equal(fires.at_ns[i], 0); /* every one has fired, or was canceled */
            assert_false(nr_sim_scheduled(&fires.events[i]));
        }
        nr_sim_free(sim);
    }
}

/* ---- leaks ---- */

enum leak { LEAK_NONE, LEAK_SOCKET, LEAK_OP, LEAK_TIMER, LEAK_BUFFER, LEAK_LISTENER };

static void leave(void *argument)
{
    enum leak what = *(enum leak *)argument;
    struct nr_sim_conf conf = {.seed = 1};
    struct nr_timer timer;
    struct sink sink;
    struct pair p;

    pair_open(&p, &conf);
    nr_timer_init(&timer, &op_kind);
    if (what == LEAK_OP)
        sink_start(&sink, p.client);
    if (what == LEAK_TIMER)
        nr_timer_arm(p.client_io, &timer, nr_sim_now_ns(p.sim) + S);
    if (what == LEAK_BUFFER)
        nr_buf_get(nr_io_bufs(p.server_io), 0);
    if (what != LEAK_SOCKET && what != LEAK_OP)
        nr_sock_close(p.client, NR_CLOSE_GRACEFUL);
    nr_sock_close(p.server, NR_CLOSE_GRACEFUL);
    if (what != LEAK_LISTENER)
        nr_listener_close(p.listener);
    nr_sim_free(p.sim);
}

static void what_is_left_over_aborts(void **state)
{
    for (enum leak what = LEAK_NONE; what <= LEAK_LISTENER; what++)
        assert_int_equal(aborts(leave, &what), what != LEAK_NONE);
}

static struct nr_io *spinning_io;

static void spin_again(struct nr_op *op)
{
    nr_io_defer(spinning_io, op);
}

static void spin(void *argument)
{
    static const struct nr_op_kind spin_kind = {spin_again, "test.spin"};
    struct nr_sim *sim = nr_sim_new(&(struct nr_sim_conf){.seed = 1});
    struct nr_op op;

    spinning_io = nr_sim_engine(sim, CLIENT);
    nr_op_init(&op, &spin_kind);
    nr_io_defer(spinning_io, &op);
    nr_sim_run(sim, UINT64_MAX);
}

static void a_world_that_stands_still_aborts(void **state)
{
    assert_true(aborts(spin, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_is_the_same_world),
        cmocka_unit_test(engines_draw_from_the_seed),
        cmocka_unit_test(engines_race),
        cmocka_unit_test(equal_times_go_in_order),
        cmocka_unit_test(latency_stays_within_its_bounds),
        cmocka_unit_test(bandwidth_takes_its_time),
        cmocka_unit_test(loss_delays_and_nothing_else),
        cmocka_unit_test(a_lost_segment_costs_its_rto),
        cmocka_unit_test(an_unread_window_holds_the_writer),
        cmocka_unit_test(a_fin_comes_behind_the_data),
        cmocka_unit_test(closing_over_unread_bytes_resets),
        cmocka_unit_test(a_backlog_dies_with_its_listener),
        cmocka_unit_test(unix_paths_are_of_one_host),
        cmocka_unit_test(bytes_for_a_closed_peer_are_answered_with_reset),
        cmocka_unit_test(an_address_may_be_anothers),
        cmocka_unit_test(events_fire_at_their_nanosecond),
        cmocka_unit_test(events_fire_in_the_order_of_their_times),
        cmocka_unit_test(what_is_left_over_aborts),
        cmocka_unit_test(a_world_that_stands_still_aborts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
