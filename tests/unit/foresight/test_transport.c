/* SPDX-License-Identifier: Apache-2.0 */
/* The model transport beside the wire: what it predicts is the same, whatever happens on the way.
 * The tolerance is that of bench/predict: 10 % or 5 ms for times, and half a percent of all visits
 * for availability. */
#include "play.h"

#include "../sanitized.h"
#include "base/compiler.h"

#define TOLERANCE    0.10
#define TOLERANCE_MS 5.0

enum { WIRE, MODEL, TRANSPORTS };

/* Under a sanitizer a play takes ten times as long, so only each fifth is played. */
enum { EVERY = SANITIZED ? 5 : 1 };

static const char *const transports[TRANSPORTS] = {"transport=wire", "transport=model"};

/* The same, with one more set for the transport. */
static struct nr_report *play_over(struct played *played, const struct play *what, int transport)
{
    struct play with = *what;
    int i = 0;

    while (with.scenario_sets[i] != NULL)
        i++;
    with.scenario_sets[i] = transports[transport];
    return play(played, &with);
}

/* ---- they agree ---- */

static void assert_close_ms(const char *what, double wire_ms, double model_ms)
{
    double off_ms = wire_ms > model_ms ? wire_ms - model_ms : model_ms - wire_ms;

    if (off_ms > TOLERANCE_MS && off_ms > wire_ms * TOLERANCE)
        fail_msg("%s: %.1f ms on the wire, %.1f ms by the model", what, wire_ms, model_ms);
}

/* share: by how much of all visits availability may differ. times: are they to be compared? */
static void compare(const struct nr_report *wire, const struct nr_report *model, double share,
                    bool times)
{
    double before = nr_report_availability(wire), after = nr_report_availability(model);

    if (before - after > share || after - before > share)
        fail_msg("availability: %.4f on the wire, %.4f by the model", before, after);
    assert_near(nr_report_attempts_per_request(model), nr_report_attempts_per_request(wire),
                TOLERANCE);
    assert_near(nr_report_load_factor(model), nr_report_load_factor(wire), TOLERANCE);
    assert_int_equal(wire->visits, model->visits); /* the same people come */
    if (!times)
        return;
    assert_close_ms("p50", p_ms(wire, 0.50), p_ms(model, 0.50));
    assert_close_ms("p99", p_ms(wire, 0.99), p_ms(model, 0.99));
}

static void both_transports_predict_the_same(void **state)
{
    static const struct {
        struct play play;
        bool by_chance; /* how long the storm lasts: over the wire alone p99 is between 165 and 533
                           ms and availability between 86 and 90 %, from one seed to the next */
    } cases[] = {
        {{.scenario = "breaker-flapping"}, false},
        {{.scenario = "dead-instance"}, false},
        {{.scenario = "dead-instance", .scenario_sets = {"failures[0].fail=blackhole"}}, false},
        {{.scenario = "dead-instance", .scenario_sets = {"failures[0].fail=reset"}}, false},
        {{.scenario = "herd"}, false},
        {{.scenario = "inverted-timeouts"}, false},
        {{.scenario = "inverted-timeouts", .scenario_sets = {"services.reports.notices=true"}},
         false},
        {{.scenario = "retry-storm"}, true},
        {{.scenario = "retry-storm-unbounded"}, false},
        {{.scenario = "sale"}, false},
        {{.scenario = "sale", .config_sets = {"gateway.shedding="}}, false},
        {{.scenario = "slow-dependency"}, false},
    };

    for (size_t i = 0; i < NR_COUNT(cases); i += EVERY) {
        struct played wire, model;

        print_message("# %s %s\n", cases[i].play.scenario,
                      cases[i].play.scenario_sets[0] != NULL ? cases[i].play.scenario_sets[0] : "");
        play_over(&wire, &cases[i].play, WIRE);
        play_over(&model, &cases[i].play, MODEL);
        compare(&wire.report, &model.report, cases[i].by_chance ? 0.05 : 0.005,
                !cases[i].by_chance);
        play_done(&wire);
        play_done(&model);
    }
}

/* ---- seeds ---- */

static char *told(uint64_t seed, int transport)
{
    const struct nr_report_style style = {.columns = 100};
    struct played played;
    const struct nr_report *report =
        play_over(&played, &(struct play){.scenario = "breaker-flapping", .seed = seed}, transport);
    struct nr_json *json = nr_report_json(report);
    char *dump = nr_json_dump(json, 2);
    struct nr_strbuf text = {0};

    nr_report_text(report, &style, &text);
    nr_report_html(report, &text);
    nr_strbuf_printf(&text, "%s", dump);
    free(dump);
    nr_json_free(json);
    play_done(&played);
    return nr_strbuf_take(&text, NULL);
}

static void the_same_seed_gives_the_same_bytes(void **state)
{
    char *first[TRANSPORTS];

    for (int i = 0; i < TRANSPORTS; i++) {
        char *again = told(1, i), *other = told(2, i);

        first[i] = told(1, i);
        assert_string_equal(first[i], again);
        assert_string_not_equal(first[i], other);
        free(again);
        free(other);
    }
    assert_string_not_equal(first[WIRE], first[MODEL]);
    free(first[WIRE]);
    free(first[MODEL]);
}

/* ---- whatever happens on the way ---- */

static const char gateway[] = "gateway:\n"
                              "  deadline: 3s\n"
                              "  workers: 2\n"
                              "  listen: [{ address: \"127.0.0.1:8080\" }]\n"
                              "  routes: [{ match: { path: \"/*\" }, service: app }]\n"
                              "services:\n"
                              "  app:\n"
                              "    instances: [\"127.0.0.1:7001\", \"app.internal:7001\"]\n"
                              "    timeouts: { connect: 200ms, attempt: 1s }\n"
                              "    retry: { attempts: 2, on: [connect, reset, timeout, 503] }\n";

static const char traffic[] = "duration: 60s\n"
                              "traffic: { rate: 50/s, clients: { timeout: 4s } }\n"
                              "services: { app: { latency: 10ms } }\n";

#define ALL_FAIL(how) "failures=[{ at: 20s, for: 20s, instance: app, fail: " how " }]"

static const struct journey {
    const char *scenario_set;
    const char *other_set;
    const char *config_set;
} journeys[] = {
    {"traffic.requests=[{ path: /, method: PUT, body: 300KiB }]", NULL, NULL},
    {"services.app.answer=300KiB", NULL, NULL},
    {"services.app.answer=0", "traffic.requests=[{ path: /, method: HEAD }]", NULL},
    {"traffic.requests=[{ path: \"/%62?c\" }, { path: /b, body: 9KiB, method: POST }]", NULL,
     "gateway.routes[0].match.path=/b"},
    {"links=[{ to: app, latency: 20ms, jitter: 10ms, loss: 5% }]", NULL, NULL},
    {"links=[{ to: clients, latency: 5ms, rate: 100KiB/s }]", NULL, NULL},
    {ALL_FAIL("refuse"), NULL, NULL},
    {ALL_FAIL("refuse"), NULL, "services.app.health={ tcp: true, interval: 1s }"},
    {ALL_FAIL("refuse"), NULL, "services.app.health={ path: /healthz, interval: 1s }"},
    {ALL_FAIL("blackhole"), NULL, NULL},
    {ALL_FAIL("blackhole"), "traffic.requests=[{ path: /, method: PUT, body: 9KiB }]",
     "services.app.health={ path: /healthz, interval: 1s }"},
    {ALL_FAIL("reset"), NULL, NULL},
    {ALL_FAIL("reset, share: 50%"), "services.app.answer=300KiB", NULL},
    {ALL_FAIL("slow, factor: 500"), "services.app.notices=true", NULL},
    {ALL_FAIL("slow, factor: 500"), "traffic.clients.timeout=800ms", NULL},
    {ALL_FAIL("status, share: 70%"), NULL, NULL},
    {"services.app.errors=20%", "traffic.clients.retry.attempts=3", NULL},
    {"services.app.capacity=1", "services.app.queue=2", "services.app.bulkhead={ concurrent: 2 }"},
    {"traffic.rate=200/s", "traffic.requests=[{ path: /, method: POST, body: 5KiB }]",
     "gateway.routes[0].limits=[{ rate: 60/s, key: ip }]"},
    {"traffic.requests=[{ path: /, method: PUT, body: 5KiB }]", NULL,
     "gateway.listen[0].limits.max_body=1KiB"},
    {"services.app.answer=900KiB", NULL, "gateway.routes[0].faults=[{ bandwidth: 1MiB/s }]"},
    {"services.app.errors=0", NULL, "gateway.routes[0].faults=[{ reset: true, percent: 50% }]"},
};

static void assert_same_causes(const struct nr_report *wire, const struct nr_report *model)
{
    for (uint32_t cause = NR_REASON_NONE + 1; cause < NR_CAUSES; cause++) {
        double a = (double)wire->causes[cause], b = (double)model->causes[cause];

        if ((a - b > 30 || b - a > 30) && (b > a * 1.15 || b < a * 0.85))
            fail_msg("%s: %g on the wire, %g by the model", nr_cause_name(cause), a, b);
    }
}

/* A health check each second finds out at once or a second later that 20 of 60 seconds are over:
 * 2 % of all visits. */
static void every_journey_ends_the_same(void **state)
{
    for (size_t i = 0; i < NR_COUNT(journeys); i += EVERY) {
        struct play what = {traffic,
                            gateway,
                            {journeys[i].scenario_set, journeys[i].other_set},
                            {journeys[i].config_set},
                            0};
        struct played wire, model;

        print_message("# %s %s\n", journeys[i].scenario_set,
                      journeys[i].config_set != NULL ? journeys[i].config_set : "");
        play_over(&wire, &what, WIRE);
        play_over(&model, &what, MODEL);
        compare(&wire.report, &model.report, 0.02, true);
        assert_same_causes(&wire.report, &model.report);
        play_done(&wire);
        play_done(&model);
    }
}

/* ---- what it has no answer for ---- */

static void what_needs_connections_is_said(void **state)
{
    static const struct {
        const char *scenario_set;
        const char *config_set;
        const char *text; /* NULL: nothing */
        bool is_error;
    } cases[] = {
        {NULL, NULL, NULL, false},
        {"traffic.requests=[{ path: /a/../../b }]", NULL,
         "the gateway's parser refuses this request (", true},
        {NULL, "services.app.pool.max_connections=8",
         "service 'app' limits its connections (pool.max_connections)", false},
    };

    for (size_t i = 0; i < NR_COUNT(cases); i++)
        for (int transport = 0; transport < TRANSPORTS; transport++) {
            const char *sets[PLAY_SETS_MAX] = {transports[transport], cases[i].scenario_set};
            const char *config_sets[PLAY_SETS_MAX] = {cases[i].config_set};
            struct nr_config *file = play_load(nr_scenario_roots, NR_SCENARIO_ROOTS, traffic, sets);
            struct nr_config *config =
                play_load(nr_section_roots, NR_SECTION_COUNT, gateway, config_sets);
            struct nr_scenario scenario = nr_scenario_of(file);
            bool said = transport == MODEL && cases[i].text != NULL;
            struct nr_arena arena;
            struct nr_diags diags;

            nr_arena_init(&arena, NULL, 0);
            nr_diags_init(&diags, &arena, 0);
            nr_simulate_check(&scenario, config, &diags);
            assert_int_equal(diags.errors, said && cases[i].is_error);
            assert_int_equal(diags.warnings, said && !cases[i].is_error);
            if (said)
                assert_non_null(strstr(diags.items[0].text, cases[i].text));
            nr_arena_done(&arena);
            nr_config_unref(config);
            nr_config_unref(file);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_transports_predict_the_same),
        cmocka_unit_test(the_same_seed_gives_the_same_bytes),
        cmocka_unit_test(every_journey_ends_the_same),
        cmocka_unit_test(what_needs_connections_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
