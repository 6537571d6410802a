/* SPDX-License-Identifier: Apache-2.0 */
/* A TCP listener between raw peers: bytes, ends, times, instances, PROXY headers. Every link takes
 * 1 ms, so a connection takes 2 and a byte is at the other side after as many. */
#include "stage.h"

static const struct stage_record *expect_over(struct stage *s, enum nr_reason reason)
{
    const struct stage_record *record = stage_record(s, 0, reason);

    assert_true((record->r.flags & NR_RECORD_TCP) != 0);
    assert_int_equal(record->r.route, NR_ID_NONE);
    return record;
}

static void test_bytes_and_ends_pass(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){.listen = "tcp: app"});
    struct peer *client = stage_client(s), *up = stage_upstream(s);
    const struct stage_record *record;

    (void)state;
    peer_send(up, "220 ready\r\n");
    peer_expect(client, "220 ready\r\n");
    peer_send(client, "QUIT\r\n");
    peer_expect(up, "QUIT\r\n");
    peer_fin(client);
    peer_expect_fin(up);
    peer_send(up, "221 bye\r\n"); /* the other direction is still open */
    peer_expect(client, "221 bye\r\n");
    peer_fin(up);
    peer_expect_fin(client);
    record = expect_over(s, NR_REASON_NONE);
    assert_int_equal(record->r.received_bytes, 6);
    assert_int_equal(record->r.sent_bytes, 20);
    assert_int_equal(record->r.attempts[0].result, NR_ATTEMPT_CONNECTED);
    stage_done(s);
}

static void test_resets_pass(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){.listen = "tcp: app"});
    struct peer *client = stage_client(s), *up = stage_upstream(s);

    (void)state;
    peer_send(client, "x");
    peer_expect(up, "x");
    peer_reset(client);
    peer_expect_reset(up);
    expect_over(s, NR_REASON_CLIENT_CLOSED);
    client = stage_client(s);
    up = stage_upstream(s);
    peer_send(up, "half an ans");
    peer_reset(up);
    peer_expect(client, "half an ans");
    peer_expect_reset(client);
    expect_over(s, NR_REASON_UPSTREAM_RESET);
    stage_done(s);
}

static void test_a_slow_reader_slows_the_sender(void **state)
{
    enum { MUCH = 2 * 1024 * 1024 };
    struct stage *s = stage_new(&(struct stage_conf){.listen = "tcp: app"});
    struct peer *client = stage_client(s), *up = stage_upstream(s);

    (void)state;
    peer_stop_reading(up);
    peer_takes_pattern(up, MUCH);
    peer_send_pattern(client, MUCH);
    stage_wait_ms(s, 1000);
    assert_true(client->pattern_out < 300 * 1024); /* two windows and one buffer */
    assert_true(s->bufs_peak <= 1);
    peer_read_on(up);
    peer_expect_pattern(up, 0);
    peer_reset(up);
    peer_expect_reset(client);
    assert_int_equal(expect_over(s, NR_REASON_UPSTREAM_RESET)->r.received_bytes, MUCH);
    stage_done(s);
}

/* Back-pressure keeps us from reading, and still the reset is seen. */
static void test_a_reset_behind_back_pressure(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){.listen = "tcp: app"});
    struct peer *client = stage_client(s), *up = stage_upstream(s);

    (void)state;
    peer_stop_reading(up);
    peer_send_pattern(client, 1024 * 1024);
    stage_wait_ms(s, 1000);
    peer_reset(client);
    stage_wait_ms(s, 10);
    expect_over(s, NR_REASON_CLIENT_CLOSED);
    peer_close(up);
    stage_done(s);
}

static void test_another_instance(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){.listen = "tcp: app", .instances = 2});
    const struct stage_record *record;
    struct peer *client, *up;

    (void)state;
    stage_refuse(s, 0);
    client = stage_client(s);
    peer_send(client, "early"); /* waits unread until somebody is there to take it */
    up = stage_upstream(s);
    peer_expect(up, "early");
    assert_int_equal(up->instance, 1);
    peer_fin(up);
    peer_expect_fin(client);
    peer_fin(client);
    record = expect_over(s, NR_REASON_NONE);
    assert_int_equal(record->r.attempt_count, 2);
    assert_int_equal(record->r.attempts[0].result, NR_ATTEMPT_CONNECT_REFUSED);
    assert_int_equal(record->r.attempts[1].result, NR_ATTEMPT_CONNECTED);
    stage_done(s);
}

static void test_nobody_answers(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){
        .listen = "tcp: app", .service = "timeouts: { connect: 500ms }, retry: { attempts: 2 }"});
    struct peer *client;
    uint64_t since_ns;

    (void)state;
    stage_silence(s, 0, true);
    since_ns = stage_now_ns(s);
    client = stage_client(s);
    peer_expect_reset(client);
    expect_after(client->end_ns, since_ns, 2 * 500 + 3);
    expect_over(s, NR_REASON_CONNECT_TIMEOUT);
    stage_done(s);
}

static void test_silence_ends_it(void **state)
{
    struct stage *s =
        stage_new(&(struct stage_conf){.listen = "tcp: { service: app, idle_timeout: 300ms }"});
    struct peer *client = stage_client(s), *up = stage_upstream(s);

    (void)state;
    for (int i = 0; i < 3; i++) {
        stage_wait_ms(s, 200);
        peer_send(i % 2 ? client : up, ".");
        peer_expect(i % 2 ? up : client, ".");
    }
    peer_expect_silence(up, 250);
    peer_expect_reset(client);
    peer_expect_reset(up);
    expect_over(s, NR_REASON_IDLE);
    stage_done(s);
}

/* Taken off byte by byte, even when the data stands right behind it. */
static void test_a_proxy_header_names_the_client(void **state)
{
    static const char header[] = "PROXY TCP4 203.0.113.7 198.51.100.1 40000 443\r\nHELO";
    struct stage *s = stage_new(&(struct stage_conf){
        .listen = "tcp: app, proxy_protocol: require, trusted_proxies: [10.0.2.1]"});
    struct peer *client = stage_client(s), *up;
    const struct stage_record *record;

    (void)state;
    for (size_t i = 0; i + 1 < sizeof(header); i++) {
        peer_send_bytes(client, header + i, 1);
        stage_wait_ms(s, 3);
    }
    up = stage_upstream(s);
    peer_expect(up, "HELO");
    peer_reset(client);
    peer_expect_reset(up);
    record = expect_over(s, NR_REASON_CLIENT_CLOSED);
    assert_memory_equal(record->r.client_ip, "\xcb\x00\x71\x07", 4);
    assert_int_equal(record->r.received_bytes, 4);
    client = stage_client(s);
    peer_send(client, "HELO without\r\n");
    stage_wait_ms(s, 10);
    expect_over(s, NR_REASON_PROXY_HEADER);
    stage_done(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_and_ends_pass),
        cmocka_unit_test(test_resets_pass),
        cmocka_unit_test(test_a_slow_reader_slows_the_sender),
        cmocka_unit_test(test_a_reset_behind_back_pressure),
        cmocka_unit_test(test_another_instance),
        cmocka_unit_test(test_nobody_answers),
        cmocka_unit_test(test_silence_ends_it),
        cmocka_unit_test(test_a_proxy_header_names_the_client),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
