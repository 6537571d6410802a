/* SPDX-License-Identifier: Apache-2.0 */
/* The simulator itself: the same seed, queueing as the textbooks have it, faults, orphans. */
#include "play.h"

static const char one_instance[] = "gateway:\n"
                                   "  deadline: 5s\n"
                                   "  listen: [{ address: \"127.0.0.1:8080\" }]\n"
                                   "  routes: [{ match: { path: \"/*\" }, service: app }]\n"
                                   "services:\n"
                                   "  app:\n"
                                   "    instances: [\"127.0.0.1:7001\"]\n"
                                   "    retry: { attempts: 1 }\n";

static const char one_service[] = "duration: 200s\n"
                                  "traffic: { rate: 50/s }\n"
                                  "services: { app: { latency: 10ms } }\n";

/* ---- seeds ---- */

static char *all_of(const struct nr_report *report)
{
    const struct nr_report_style style = {.columns = 100};
    struct nr_json *json = nr_report_json(report);
    char *dump = nr_json_dump(json, 2);
    struct nr_strbuf text = {0};

    nr_report_text(report, &style, &text);
    nr_report_html(report, &text);
    nr_strbuf_printf(&text, "%s", dump);
    free(dump);
    nr_json_free(json);
    return nr_strbuf_take(&text, NULL);
}

static char *told(uint64_t seed)
{
    struct played played;
    char *text = all_of(play(&played, &(struct play){.scenario = "dead-instance", .seed = seed}));

    play_done(&played);
    return text;
}

static void the_same_seed_gives_the_same_bytes(void **state)
{
    char *one = told(1), *again = told(1), *two = told(2);

    assert_string_equal(one, again);
    assert_string_not_equal(one, two);
    free(one);
    free(again);
    free(two);
}

static uint32_t count(const char *text, const char *what)
{
    uint32_t found = 0;

    for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
        found++;
    return found;
}

/* It needs no other file, and what people write in a scenario stays text. */
static void the_page_stands_alone(void **state)
{
    struct played played;
    const struct nr_report *report =
        play(&played, &(struct play){"dead-instance", NULL, {"about=\"<b>&amp;\\\"\""}, {0}, 0});
    struct nr_strbuf page = {0};

    nr_report_html(report, &page);
    assert_int_equal(count(page.ptr, "<svg "), 4 + report->instance_count);
    assert_int_equal(count(page.ptr, "</svg>"), 4 + report->instance_count);
    assert_int_equal(count(page.ptr, "http://") + count(page.ptr, "https://"), 0);
    assert_int_equal(count(page.ptr, "<script") + count(page.ptr, "src=") + count(page.ptr, "url("),
                     0);
    assert_int_equal(count(page.ptr, "nan") + count(page.ptr, "inf,"), 0);
    assert_non_null(strstr(page.ptr, "<p>&lt;b&gt;&amp;amp;&quot;</p>"));
    nr_strbuf_done(&page);
    play_done(&played);
}

/* Two hours: a point for ten seconds, with the most of them, and minutes on the axis. */
static void a_long_run_is_drawn_in_stretches(void **state)
{
    struct played played;
    const struct nr_report *report =
        play(&played,
             &(struct play){one_service,
                            one_instance,
                            {"duration=2h", "traffic={ rate: 1/s, even: true }", "transport=model"},
                            {0},
                            0});
    struct nr_strbuf page = {0};

    assert_int_equal(report->ok, report->visits);
    nr_report_html(report, &page);
    assert_true(count(page.ptr, "<rect ") <= 720 * (4 + report->instance_count));
    assert_true(count(page.ptr, "<rect ") > 600 * (4 + report->instance_count));
    assert_non_null(strstr(page.ptr, "<title>0 to 10 s, the most\noffered 1/s\n"));
    assert_non_null(strstr(page.ptr, ">60 min</text>"));
    nr_strbuf_done(&page);
    play_done(&played);
}

/* ---- queues ---- */

/* With random arrivals at rate λ and one worker of rate μ: M/M/1, sojourn 1/(μ-λ); with a fixed
 * service time M/D/1, its wait half as long (Pollaczek and Khinchine). Below a millisecond is added
 * by network and gateway. */
static void queues_are_as_long_as_in_the_textbook(void **state)
{
    static const struct {
        const char *latency;
        const char *capacity;
        double want_ms;
    } cases[] = {
        {"services.app.queue=0", "services.app.capacity=0", 10},            /* no queue at all */
        {"services.app.latency.fixed=10ms", "services.app.capacity=1", 15}, /* 10 + 0.5·10 */
        {"services.app.latency={mean: 10ms}", "services.app.capacity=1", 20},
        {"services.app.latency={mean: 15ms}", "services.app.capacity=1", 60},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct played played;
        struct play what = {
            one_service, one_instance, {cases[i].capacity, cases[i].latency}, {0}, 3};
        const struct nr_report *report;

        report = play(&played, &what);
        assert_int_equal(report->ok, report->visits);
        assert_near((double)report->visits, 10000, 0.03);
        assert_near(mean_ms(report) - 0.6, cases[i].want_ms, 0.12);
        play_done(&played);
    }
}

static void a_full_queue_refuses(void **state)
{
    struct played played;
    const struct nr_report *report =
        play(&played, &(struct play){one_service,
                                     one_instance,
                                     {"services.app.capacity=1", "services.app.queue=0"},
                                     {0},
                                     0});

    /* Erlang's loss formula: 50/s of 10 ms on one worker lose 0.5/1.5 = a third. */
    assert_near((double)report->failed, (double)report->visits / 3, 0.05);
    assert_int_equal(report->instances[0].total.refused, report->failed);
    assert_int_equal(report->causes[NR_CAUSE_STATUS], report->failed);
    play_done(&played);
}

/* ---- clients ---- */

static void work_goes_on_for_nobody(void **state)
{
    struct played played;
    struct play what = {one_service,
                        one_instance,
                        {"services.app.latency=500ms", "traffic.clients.timeout=200ms"},
                        {0},
                        0};
    const struct nr_report *report = play(&played, &what);

    assert_int_equal(report->ok, 0);
    assert_int_equal(report->client_timeouts, report->visits);
    assert_int_equal(report->orphans, report->visits);
    assert_near((double)report->orphaned_ns / 1e9, (double)report->visits * 0.3, 0.02);
    assert_int_equal(report->causes[NR_REASON_CLIENT_CLOSED], report->visits);
    play_done(&played);
    what.scenario_sets[2] = "services.app.notices=true";
    report = play(&played, &what);
    assert_int_equal(report->orphans, 0);
    play_done(&played);
}

static void clients_retry(void **state)
{
    struct played played;
    const struct nr_report *report = play(
        &played, &(struct play){one_service,
                                one_instance,
                                {"services.app.errors=50%", "traffic.clients.retry.attempts=3"},
                                {0},
                                0});

    /* 1 + 1/2 + 1/4 requests a visit, and an eighth of the visits fails all the same. */
    assert_near((double)report->client_requests, (double)report->visits * 1.75, 0.02);
    assert_near((double)report->failed, (double)report->visits / 8, 0.08);
    assert_int_equal(report->requests, report->client_requests);
    play_done(&played);
}

/* ---- failures ---- */

static void every_failure_shows_as_its_reason(void **state)
{
    static const struct {
        const char *failure;
        uint32_t cause;
    } cases[] = {
        {"failures=[{ at: 50s, for: 50s, instance: app/0, fail: refuse }]",
         NR_REASON_CONNECT_REFUSED},
        {"failures=[{ at: 50s, for: 50s, instance: app, fail: blackhole }]",
         NR_REASON_CONNECT_TIMEOUT},
        {"failures=[{ at: 50s, for: 50s, instance: app, fail: reset }]", NR_REASON_UPSTREAM_RESET},
        {"failures=[{ at: 50s, for: 50s, instance: app, fail: slow, factor: 1000 }]",
         NR_REASON_DEADLINE},
        {"failures=[{ at: 50s, for: 50s, instance: app, fail: status, status: 500 }]",
         NR_CAUSE_STATUS},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct played played;
        const struct nr_report *report =
            play(&played, &(struct play){one_service, one_instance, {cases[i].failure}, {0}, 0});

        print_message("# %s\n", cases[i].failure);
        assert_near((double)report->failed, 2500, 0.15);
        assert_true(report->causes[cases[i].cause] > 2000);
        assert_true(happened(report, "is well again"));
        assert_int_equal(report->seconds[49].failed, 0);
        assert_int_equal(report->seconds[110].failed, 0);
        play_done(&played);
    }
}

static void a_bad_link_delays(void **state)
{
    struct played played;
    const struct nr_report *report =
        play(&played, &(struct play){one_service,
                                     one_instance,
                                     {"links=[{ to: app, at: 100s, latency: 50ms, jitter: 0s }]"},
                                     {0},
                                     0});

    assert_near(report->seconds[50].p50_us, 10600, 0.1);
    assert_near(report->seconds[150].p50_us, 110600, 0.1);
    play_done(&played);
}

/* ---- addresses of all kinds ---- */

static void names_and_paths_have_hosts_of_their_own(void **state)
{
    static const char config[] =
        "gateway:\n"
        "  listen: [{ address: \"unix:/run/in.sock\" }, { address: \"192.0.2.7:80\" }]\n"
        "  workers: 2\n"
        "  routes: [{ match: { path: \"/*\" }, service: app },\n"
        "           { match: { path: \"/found/*\" }, service: found }]\n"
        "services:\n"
        "  app: { instances: [\"app.internal:80\", \"app.internal:81\", \"unix:/run/app.sock\",\n"
        "                     \"10.1.2.3:80\"] }\n"
        "  found: { instances: { dns: \"found.internal:80\" } }\n";
    static const char scenario[] = "duration: 20s\n"
                                   "traffic: { rate: 200/s, requests: [/, /found/] }\n"
                                   "services: { app: { latency: 1ms }, found: { found: 3 } }\n";
    struct played played;
    const struct nr_report *report = play(&played, &(struct play){scenario, config, {0}, {0}, 0});

    assert_int_equal(report->ok, report->visits);
    assert_int_equal(report->instance_count, 7);
    for (uint32_t i = 0; i < report->instance_count; i++)
        assert_true(report->instances[i].total.answered > 50);
    play_done(&played);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_gives_the_same_bytes),
        cmocka_unit_test(the_page_stands_alone),
        cmocka_unit_test(a_long_run_is_drawn_in_stretches),
        cmocka_unit_test(queues_are_as_long_as_in_the_textbook),
        cmocka_unit_test(a_full_queue_refuses),
        cmocka_unit_test(work_goes_on_for_nobody),
        cmocka_unit_test(clients_retry),
        cmocka_unit_test(every_failure_shows_as_its_reason),
        cmocka_unit_test(a_bad_link_delays),
        cmocka_unit_test(names_and_paths_have_hosts_of_their_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
