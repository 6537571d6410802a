/* SPDX-License-Identifier: Apache-2.0 */
/* A finished request becomes counters, a ring entry and a log line, and they agree. */
#include "observe/observe.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/json.h"
#include "io/addr.h"
#include "observe/access_log.h"

static const struct nr_span routes[] = {NR_SPAN("/api/*"), NR_SPAN("/a\"b\\c")};
static struct nr_observe_service services[] = {{.name = NR_SPAN("orders")},
                                               {.name = NR_SPAN("users")}};
static const struct nr_observe_names names = {.route_count = 2,
                                              .counted_routes = 2,
                                              .routes = routes,
                                              .service_count = 2,
                                              .services = services};

static int open_rosters(void **state)
{
    static const char *const orders[] = {"127.0.0.1:7001", "127.0.0.1:7002"};
    struct nr_roster *first = nr_roster_new(1), *second = nr_roster_new(1);

    (void)state;
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(nr_roster_take(first, nr_span_of(orders[i])), i);
    assert_int_equal(nr_roster_take(second, NR_SPAN("127.0.0.1:7003")), 0);
    services[0].instances = first;
    services[1].instances = second;
    return 0;
}

static int close_rosters(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2; i++)
        nr_roster_unref((struct nr_roster *)services[i].instances);
    return 0;
}

#define TRACE       "4bf92f3577b34da6a3ce929d0e0e4736"
#define TRACEPARENT "00-" TRACE "-00f067aa0ba902b7-01"

static const struct nr_record_view view = {
    .method = NR_SPAN("GET"),
    .path = NR_SPAN("/api/x?q=\"\r\n\xff"),
    .host = NR_SPAN("shop.example"),
    .user_agent = NR_SPAN("curl/8 \xed\x95\x9c"),
    .request_id = NR_SPAN("00000000000000070000000000000008"),
};

/* Two attempts: the first instance refused, the second answered 200 after 1.5 ms. */
static struct nr_record retried(void)
{
    struct nr_record record;

    memset(&record, 0, sizeof(record));
    record.id[0] = 7;
    record.id[1] = 8;
    record.wall_ns = 1795228817123456789u; /* 2026-11-21T02:40:17.123Z */
    record.received_bytes = 10;
    record.sent_bytes = 2000;
    record.total_us = 2345;
    record.route = 0;
    record.service = 0;
    record.status = 200;
    record.method = NR_METHOD_GET;
    record.attempt_count = 2;
    record.client_family = NR_ADDR_V4;
    memcpy(record.client_ip, (uint8_t[4]){10, 1, 2, 3}, 4);
    record.attempts[0] =
        (struct nr_record_attempt){.instance = 0, .result = NR_ATTEMPT_CONNECT_REFUSED};
    record.attempts[1] = (struct nr_record_attempt){
        .instance = 1, .result = NR_ATTEMPT_ANSWERED, .status = 200, .took_us = 1500, .reused = 1};
    return record;
}

static struct nr_record refused(void)
{
    struct nr_record record;

    memset(&record, 0, sizeof(record));
    record.id[0] = 9;
    record.start_ns = 1000;
    record.status = 400;
    record.route = NR_ID_NONE;
    record.service = NR_ID_NONE;
    record.reason = NR_REASON_BAD_REQUEST;
    record.refusal = NR_H1_OBS_FOLD;
    record.client_family = NR_ADDR_V6;
    record.client_ip[15] = 1;
    return record;
}

static const char *text_of(const struct nr_json *json, const char *key)
{
    return nr_json_text(nr_json_get(json, key)).ptr;
}

static void a_request_as_one_json_line(void **state)
{
    static char line[NR_ACCESS_LINE_BYTES];
    struct nr_timestamp timestamp = {0};
    struct nr_record record = retried();
    size_t len = nr_access_log_line(line, &names, &timestamp, &record, &view);
    struct nr_json *json = nr_json_parse((struct nr_span){line, len - 1}, NULL);

    (void)state;
    assert_int_equal(line[len - 1], '\n');
    assert_null(memchr(line, '\n', len - 1));
    assert_non_null(json);
    assert_string_equal(text_of(json, "timestamp"), "2026-11-21T02:40:17.123Z");
    assert_string_equal(text_of(json, "level"), "info");
    assert_string_equal(text_of(json, "service"), "naru");
    assert_string_equal(text_of(json, "request_id"), "00000000000000070000000000000008");
    assert_string_equal(text_of(json, "path"), "/api/x?q=\"\r\n\xef\xbf\xbd");
    assert_string_equal(text_of(json, "user_agent"), "curl/8 \xed\x95\x9c");
    assert_string_equal(text_of(json, "ip"), "10.1.2.3");
    assert_string_equal(text_of(json, "route"), "/api/*");
    assert_string_equal(text_of(json, "upstream"), "orders");
    assert_string_equal(text_of(json, "instance"), "127.0.0.1:7002");
    assert_null(nr_json_get(json, "reason"));
    assert_int_equal(nr_json_integer_value(nr_json_get(json, "status")), 200);
    assert_int_equal(nr_json_integer_value(nr_json_get(json, "attempts")), 2);
    assert_non_null(strstr(line, "\"duration_ms\":2.345,"));
    assert_int_equal(nr_json_integer_value(nr_json_get(json, "bytes_out")), 2000);
    nr_json_free(json);
}

static void a_refusal_names_its_cause(void **state)
{
    static char line[NR_ACCESS_LINE_BYTES];
    struct nr_timestamp timestamp = {0};
    struct nr_record record = refused();
    size_t len = nr_access_log_line(line, &names, &timestamp, &record, &view);
    struct nr_json *json = nr_json_parse((struct nr_span){line, len - 1}, NULL);

    (void)state;
    assert_string_equal(text_of(json, "reason"), "obs_fold");
    assert_string_equal(text_of(json, "level"), "warn");
    assert_string_equal(text_of(json, "ip"), "::1");
    assert_null(nr_json_get(json, "upstream"));
    nr_json_free(json);
}

/* The longest line that a client can cause fits the room set aside for it. */
static void the_worst_line_fits(void **state)
{
    static char line[NR_ACCESS_LINE_BYTES], bad[16384];
    struct nr_timestamp timestamp = {0};
    struct nr_record record = retried();
    struct nr_span all = {bad, sizeof(bad)};
    struct nr_record_view worst = {NULL, all, all, all, all, all};
    struct nr_log_rules rules = {.user = NR_SPAN("X-User"), .query = true};
    struct nr_observe_names long_names = names;
    const struct nr_field *user;
    struct nr_arena arena;
    struct nr_head head;
    size_t len;

    (void)state;
    memset(bad, 0xff, sizeof(bad));
    nr_arena_init(&arena, NULL, 0);
    nr_head_init_request(&head, &arena, NR_SPAN("GET"), NR_SPAN("a"), NR_SPAN("/"));
    nr_head_add(&head, &arena, NR_SPAN("X-User"), all);
    user = nr_head_find_name(&head, NR_SPAN("X-User"), NULL);
    head.query = (struct nr_text){user->value_at, user->value_len}; /* as bad as can be, too */
    nr_head_add(&head, &arena, NR_SPAN("traceparent"), NR_SPAN(TRACEPARENT));
    worst.head = &head;
    long_names.log = &rules;
    record.sent_bytes = record.received_bytes = UINT64_MAX;
    memset(bad, 1, sizeof(bad));
    len = nr_access_log_line(line, &long_names, &timestamp, &record, &worst);
    assert_true(len < sizeof(line));
    nr_arena_done(&arena);
}

/* ---- who asks, and what went wrong ---- */

/* The member `key` of the line for a request with this traceparent and user; "" without one. */
static const char *member_of(const struct nr_record *record, const char *traceparent,
                             const char *key)
{
    static char line[NR_ACCESS_LINE_BYTES], value[256];
    struct nr_log_rules rules = {.user = NR_SPAN("X-User")};
    struct nr_observe_names with_rules = names;
    struct nr_timestamp timestamp = {0};
    struct nr_record_view whole = view;
    struct nr_arena arena;
    struct nr_json *json;
    struct nr_head head;
    size_t len;

    nr_arena_init(&arena, NULL, 0);
    nr_head_init_request(&head, &arena, NR_SPAN("GET"), NR_SPAN("a"), NR_SPAN("/"));
    nr_head_add(&head, &arena, NR_SPAN("x-user"), NR_SPAN("u-17"));
    nr_head_add(&head, &arena, NR_SPAN("traceparent"), nr_span_of(traceparent));
    whole.head = &head;
    with_rules.log = &rules;
    len = nr_access_log_line(line, &with_rules, &timestamp, record, &whole);
    json = nr_json_parse((struct nr_span){line, len - 1}, NULL);
    assert_non_null(json);
    snprintf(value, sizeof(value), "%s", nr_json_get(json, key) != NULL ? text_of(json, key) : "");
    nr_json_free(json);
    nr_arena_done(&arena);
    return value;
}

static void who_asks(void **state)
{
    static const struct {
        const char *traceparent, *id;
    } rows[] = {
        {TRACEPARENT, TRACE},
        {"01-" TRACE "-00f067aa0ba902b7-01-later", TRACE},
        {"00-" TRACE "-00f067aa0ba902b7-01-later", ""}, /* not in version 00 */
        {"00-" TRACE "-00f067aa0ba902b7-0", ""},
        {"ff-" TRACE "-00f067aa0ba902b7-01", ""},
        {"00-00000000000000000000000000000000-00f067aa0ba902b7-01", ""},
        {"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", ""},
        {"00_" TRACE "-00f067aa0ba902b7-01", ""},
        {"", ""},
    };
    struct nr_record record = retried();

    (void)state;
    for (size_t i = 0; i < NR_COUNT(rows); i++)
        assert_string_equal(member_of(&record, rows[i].traceparent, "trace_id"), rows[i].id);
    assert_string_equal(member_of(&record, "", "user_id"), "u-17");
}

static void what_went_wrong(void **state)
{
    struct nr_record record = retried();

    (void)state;
    assert_string_equal(member_of(&record, "", "error"), "127.0.0.1:7001: connect_refused");
    record.attempts[1].status = 503;
    assert_string_equal(member_of(&record, "", "error"), "127.0.0.1:7002 answered 503");
    record.attempts[0].result = NR_ATTEMPT_CANCELED;
    record.attempts[1].status = 404;
    assert_string_equal(member_of(&record, "", "error"), "");
    record.reason = NR_REASON_RATE_LIMITED;
    record.attempt_count = 0;
    assert_string_equal(member_of(&record, "", "error"), "rate_limited");
}

static void rings_and_counters_agree(void **state)
{
    struct nr_observe_setup setup = {.names = &names, .workers = 2};
    struct nr_observe *observe = nr_observe_new(&setup);
    struct nr_record first = retried(), second = refused(), found, list[8];
    struct nr_cells *sum;

    (void)state;
    nr_observe_sink(observe, 0)->done(nr_observe_sink(observe, 0), &first, &view);
    nr_observe_sink(observe, 1)->done(nr_observe_sink(observe, 1), &second, &view);

    assert_true(nr_observe_find(observe, (uint64_t[2]){7, 8}, &found));
    assert_int_equal(found.total_us, 2345);
    assert_false(nr_observe_find(observe, (uint64_t[2]){7, 9}, &found));
    assert_int_equal(nr_observe_latest(observe, false, list, 8), 2);
    assert_int_equal(list[0].id[0], 7); /* it ended later */
    assert_int_equal(nr_observe_latest(observe, true, list, 8), 1);
    assert_int_equal(list[0].id[0], 9);

    sum = nr_observe_sum(observe);
    assert_int_equal(sum->routes[0]->requests[NR_METHOD_GET][2], 1);
    assert_int_equal(sum->routes[2]->requests[NR_METHOD_OTHER][4], 1); /* no route */
    assert_int_equal(sum->routes[0]->duration_us->count, 1);
    assert_int_equal(nr_cells_of_instance(sum, 0, 0)->results[NR_ATTEMPT_CONNECT_REFUSED], 1);
    assert_int_equal(nr_cells_of_instance(sum, 0, 1)->answers[2], 1);
    assert_int_equal(sum->retries, 1);
    assert_int_equal(sum->reasons[NR_REASON_BAD_REQUEST], 1);
    assert_int_equal(sum->refusals[NR_H1_OBS_FOLD], 1);
    nr_cells_free(sum);
    nr_observe_free(observe);
}

/* Ids that no table has (a reload, a bug) count in the last row and are nobody's name. */
static void ids_out_of_range_are_nobody(void **state)
{
    struct nr_cells *cells = nr_cells_new(&names);
    struct nr_record record = retried();
    char text[NR_ROSTER_TEXT_BYTES];

    (void)state;
    record.route = 2;
    record.service = 1;
    record.attempts[0].instance = 1;
    record.attempts[1].instance = NR_ID_NONE;
    record.method = 200;
    record.status = 777;
    nr_cells_count(cells, &record);
    assert_int_equal(cells->routes[2]->requests[NR_METHOD_OTHER][0], 1);
    assert_int_equal(nr_names_instance(&names, 1, 1, text).len, 0);
    assert_int_equal(nr_names_instance(&names, 2, 0, text).len, 0);
    assert_int_equal(nr_names_route(&names, NR_ID_NONE).len, 0);
    nr_cells_free(cells);
}

/* What two attempts at one instance, and then its successor at the same place, have counted. */
static void a_place_with_a_new_name_counts_anew(void **state)
{
    struct nr_roster *roster = nr_roster_new(0);
    struct nr_observe_service service = {NR_SPAN("found"), roster};
    struct nr_observe_names found = {.service_count = 1, .services = &service};
    struct nr_cells *cells[2] = {nr_cells_new(&found), nr_cells_new(&found)}, *sum;
    struct nr_record record = {.status = 200, .attempt_count = 1};
    struct nr_record_attempt *attempt = &record.attempts[0];
    uint32_t old = nr_roster_take(roster, NR_SPAN("10.0.0.1:80")), id;

    (void)state;
    *attempt = (struct nr_record_attempt){
        .instance = old, .result = NR_ATTEMPT_ANSWERED, .status = 200, .took_us = 7, .reused = 1};
    nr_cells_count(cells[0], &record);
    nr_cells_count(cells[1], &record);
    nr_cells_count(cells[1], &record);
    nr_roster_release(roster, old);
    id = nr_roster_take(roster, NR_SPAN("10.0.0.2:80"));
    assert_int_equal(nr_roster_place(id), nr_roster_place(old));
    attempt->instance = id;
    nr_cells_count(cells[0], &record);
    attempt->instance = old; /* a call that was long under way */
    nr_cells_count(cells[0], &record);

    sum = nr_cells_new(&found);
    nr_cells_merge(sum, cells[0]);
    nr_cells_merge(sum, cells[1]); /* this worker has not met the new one yet */
    assert_int_equal(nr_cells_of_instance(sum, 0, id)->answers[2], 1);
    assert_int_equal(nr_cells_of_instance(sum, 0, id)->reused, 1);
    assert_int_equal(nr_cells_of_instance(sum, 0, id)->duration_us->count, 1);
    assert_int_equal(nr_cells_of_instance(sum, 0, old)->answers[2], 0);
    nr_cells_free(sum);
    nr_cells_free(cells[0]);
    nr_cells_free(cells[1]);
    nr_roster_unref(roster);
}

static void the_log_line_goes_to_the_pipe(void **state)
{
    FILE *file = tmpfile();
    struct nr_logpipe_conf conf = {
        .fd = fileno(file), .producers = 1, .bytes = 1 << 16, .name = "log"};
    struct nr_logpipe *pipe = NULL;
    struct nr_observe_setup setup = {.names = &names, .workers = 1};
    struct nr_observe *observe;
    struct nr_record record = retried();
    char line[4096];

    (void)state;
    assert_int_equal(nr_logpipe_new(&conf, &pipe, NULL), NR_OK);
    setup.access_log = pipe;
    observe = nr_observe_new(&setup);
    nr_observe_sink(observe, 0)->done(nr_observe_sink(observe, 0), &record, &view);
    nr_logpipe_free(pipe, 1000);
    rewind(file);
    assert_non_null(fgets(line, sizeof(line), file));
    assert_non_null(strstr(line, "\"status\":200"));
    assert_null(fgets(line, sizeof(line), file));
    nr_observe_free(observe);
    fclose(file);
}

static void timestamps(void **state)
{
    static const struct {
        uint64_t second;
        const char *want;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000Z"},          {951782399, "2000-02-28T23:59:59.000Z"},
        {951782400, "2000-02-29T00:00:00.000Z"},  {4107542400, "2100-03-01T00:00:00.000Z"},
        {1735689599, "2024-12-31T23:59:59.000Z"}, {1735689600, "2025-01-01T00:00:00.000Z"},
    };
    struct nr_timestamp timestamp = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(nr_timestamp_text(&timestamp, rows[i].second * 1000000000u).ptr,
                            rows[i].want);
    assert_string_equal(nr_timestamp_text(&timestamp, 1735689600999999999u).ptr,
                        "2025-01-01T00:00:00.999Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_as_one_json_line),
        cmocka_unit_test(a_refusal_names_its_cause),
        cmocka_unit_test(the_worst_line_fits),
        cmocka_unit_test(who_asks),
        cmocka_unit_test(what_went_wrong),
        cmocka_unit_test(rings_and_counters_agree),
        cmocka_unit_test(ids_out_of_range_are_nobody),
        cmocka_unit_test(a_place_with_a_new_name_counts_anew),
        cmocka_unit_test(the_log_line_goes_to_the_pipe),
        cmocka_unit_test(timestamps),

    };

    return cmocka_run_group_tests(tests, open_rosters, close_rosters);
}
