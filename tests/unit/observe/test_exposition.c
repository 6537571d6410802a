/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics as text, for Prometheus and for OpenMetrics. */
#include "observe/exposition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "io/addr.h"
#include "observe/expo.h"

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

static void exposition_in_both_dialects(void **state)
{
    static const char *const want_plain[] = {
        "# TYPE naru_requests_total counter\n",
        "naru_requests_total{route=\"/api/*\",method=\"GET\",class=\"2xx\"} 1\n",
        "naru_request_body_bytes_total{route=\"/a\\\"b\\\\c\"} 0\n",
        "naru_request_duration_seconds_bucket{route=\"/api/*\",le=\"0.0025\"} 1\n",
        "naru_request_duration_seconds_bucket{route=\"/api/*\",le=\"0.001\"} 0\n",
        "naru_request_duration_seconds_sum{route=\"/api/*\"} 0.002345\n",
        "naru_upstream_attempts_total{service=\"orders\",instance=\"127.0.0.1:7001\","
        "result=\"connect_refused\",class=\"none\"} 1\n",
        "naru_upstream_attempts_total{service=\"orders\",instance=\"127.0.0.1:7002\","
        "result=\"answered\",class=\"2xx\"} 1\n",
        "naru_build_info{version=\"1.2.3\"} 1\n",
        "naru_watchdog_stalls_total 1\n",
    };
    struct nr_observe_setup setup = {.names = &names, .workers = 1};
    struct nr_observe *observe = nr_observe_new(&setup);
    struct nr_exposition of = {.observe = observe, .version = "1.2.3", .ready = true};
    struct nr_record record = retried();
    size_t len;
    char *text;

    (void)state;
    nr_observe_sink(observe, 0)->done(nr_observe_sink(observe, 0), &record, &view);
    nr_observe_stalled(observe);
    text = nr_exposition_text(&of, false, &len);
    for (size_t i = 0; i < sizeof(want_plain) / sizeof(want_plain[0]); i++)
        if (strstr(text, want_plain[i]) == NULL)
            fail_msg("no %s in\n%s", want_plain[i], text);
    assert_null(strstr(text, "# EOF"));
    free(text);
    text = nr_exposition_text(&of, true, &len);
    assert_non_null(strstr(text, "# TYPE naru_requests counter\n"));
    assert_non_null(strstr(text, "naru_requests_total{"));
    assert_string_equal(text + len - 6, "# EOF\n");
    free(text);
    nr_observe_free(observe);
}

/* With 100,000 routes there are not 100,000 histograms: those beyond the limit share one row. */
static void further_routes_are_other(void **state)
{
    static const struct nr_observe_names limited = {.route_count = 2,
                                                    .counted_routes = 1,
                                                    .routes = routes,
                                                    .service_count = 2,
                                                    .services = services};
    struct nr_observe_setup setup = {.names = &limited, .workers = 1};
    struct nr_observe *observe = nr_observe_new(&setup);
    struct nr_exposition of = {.observe = observe, .version = "1.2.3", .ready = true};
    struct nr_record record = retried();
    size_t len;
    char *text;

    (void)state;
    for (uint32_t route = 0; route < 3; route++) { /* the last is none */
        record.route = route;
        for (uint32_t i = 0; i <= route; i++)
            nr_observe_sink(observe, 0)->done(nr_observe_sink(observe, 0), &record, &view);
    }
    text = nr_exposition_text(&of, false, &len);
    assert_non_null(
        strstr(text, "naru_requests_total{route=\"/api/*\",method=\"GET\",class=\"2xx\"} 1\n"));
    assert_non_null(
        strstr(text, "naru_requests_total{route=\"other\",method=\"GET\",class=\"2xx\"} 2\n"));
    assert_non_null(
        strstr(text, "naru_requests_total{route=\"none\",method=\"GET\",class=\"2xx\"} 3\n"));
    free(text);
    nr_observe_free(observe);
}

static void accept_decides(void **state)
{
    (void)state;
    assert_true(nr_expo_wants_open_metrics(
        NR_SPAN("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3")));
    assert_false(nr_expo_wants_open_metrics(NR_SPAN("text/plain, */*")));
    assert_false(nr_expo_wants_open_metrics((struct nr_span){NULL, 0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exposition_in_both_dialects),
        cmocka_unit_test(further_routes_are_other),
        cmocka_unit_test(accept_decides),
    };

    return cmocka_run_group_tests(tests, open_rosters, close_rosters);
}
