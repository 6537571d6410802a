/* SPDX-License-Identifier: Apache-2.0 */
/* What a scenario file may say, and the arithmetic of its traffic. */
#include "play.h"

static const char naru[] = "gateway:\n"
                           "  listen: [{ address: \"127.0.0.1:8080\" }]\n"
                           "  routes: [{ match: { path: \"/*\" }, service: app }]\n"
                           "services:\n"
                           "  app: { instances: [\"127.0.0.1:7001\", \"127.0.0.1:7002\"] }\n";

static const char *const no_sets[] = {NULL};

/* The first diagnostic of loading and fitting this scenario; "" when there is none. */
static const char *problem(const char *text)
{
    static char line[512];
    struct nr_config *config = play_load(nr_section_roots, NR_SECTION_COUNT, naru, no_sets), *file;
    struct nr_arena arena;
    struct nr_diags diags;

    line[0] = '\0';
    nr_arena_init(&arena, NULL, 0);
    nr_diags_init(&diags, &arena, 0);
    if (nr_config_load_bytes(nr_scenario_roots, NR_SCENARIO_ROOTS, NULL, "s.yaml", nr_span_of(text),
                             &diags, &file) == NR_OK) {
        struct nr_scenario scenario = nr_scenario_of(file);

        nr_simulate_check(&scenario, config, &diags);
        nr_config_unref(file);
    }
    if (diags.count > 0)
        nr_diag_format(&diags.items[0], line, sizeof(line));
    nr_arena_done(&arena);
    nr_config_unref(config);
    return line;
}

static void what_is_wrong_is_said_with_its_place(void **state)
{
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        {"services: { app: { latency: 10ms } }\n", ""},
        {"servises: {}\n", "s.yaml:1:1: unknown section 'servises', did you mean 'services'?"},
        {"duration: 2d\n", "s.yaml:1:11: must be between 1s and 1d, got '2d'"},
        {"services: { app: { latency: { p50: 20ms } } }\n",
         "s.yaml:1:29: 'p50' and 'p99' stand together, the longer one last"},
        {"services: { app: { latency: { p50: 20ms, p99: 80ms, mean: 1ms } } }\n",
         "s.yaml:1:29: a latency is one of fixed, min and max, mean, p50 and p99, percentiles"},
        {"services: { apps: { latency: 10ms } }\n",
         "s.yaml:1:19: the configuration has no service 'apps'"},
        {"services: { app: { latency: 10ms } }\nfailures: [{ instance: app/2 }]\n",
         "s.yaml:2:24: service 'app' has 2 instances, numbered from 0, got 2"},
        {"services: { app: { latency: 10ms } }\nfailures: [{ instance: pay }]\n",
         "s.yaml:2:24: the configuration has no service 'pay'"},
        {"services: { app: { latency: 10ms } }\nfailures: [{ instance: app/x }]\n",
         "s.yaml:2:24: an instance is written as service/number, got 'app/x'"},
        {"services: { app: { latency: 10ms } }\nlinks: [{ to: client }]\n",
         "s.yaml:2:15: the configuration has no service 'client'"},
        {"traffic: { rate: 5/s, curve: [{ at: 0s, rate: 1/s }] }\n",
         "s.yaml:1:30: 'curve' stands instead of 'rate' and 'shape'"},
        {"traffic: { curve: [{ at: 1s, rate: 1/s }, { at: 1s, rate: 2/s }] }\n",
         "s.yaml:1:49: the points of a curve stand in the order of their times"},
        {"traffic: { requests: [orders] }\n", "s.yaml:1:23: a path starts with '/', got 'orders'"},
        {"duration: 5s\n", "s.yaml:1:1: service 'app' has no model: its instances answer at once"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(problem(cases[i].text), cases[i].want);
}

static double rate_at(const char *text, uint64_t at_s)
{
    struct nr_config *file = play_load(nr_scenario_roots, NR_SCENARIO_ROOTS, text, no_sets);
    struct nr_scenario scenario = nr_scenario_of(file);
    double rate = nr_scenario_rate(&scenario, at_s * UINT64_C(1000000000));

    nr_config_unref(file);
    return rate;
}

static void traffic_follows_its_curve(void **state)
{
    static const char curve[] =
        "traffic: { curve: [{ at: 10s, rate: 100/s }, { at: 20s, rate: 300/s }] }\n";
    static const char sale[] = "duration: 100s\ntraffic: { rate: 60/min, shape: sale, peak: 30 }\n";

    assert_near(rate_at("traffic: { rate: 600/min }\n", 7), 10, 1e-9);
    assert_near(rate_at(curve, 0), 100, 1e-9);
    assert_near(rate_at(curve, 15), 200, 1e-9);
    assert_near(rate_at(curve, 90), 300, 1e-9);
    assert_near(rate_at(sale, 10), 1, 1e-9);
    assert_near(rate_at(sale, 21), 15.5, 1e-9);
    assert_near(rate_at(sale, 40), 30, 1e-9);
    assert_near(rate_at(sale, 75), 20, 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wrong_is_said_with_its_place),
        cmocka_unit_test(traffic_follows_its_curve),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
