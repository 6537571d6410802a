/* SPDX-License-Identifier: Apache-2.0 */
/* Service times have the distribution that was asked for: 200,000 draws each. */
#include "foresight/model.h"
#include "play.h"

enum { DRAWS = 200000 };

struct quantiles {
    double p10_ms, p50_ms, p99_ms, mean_ms;
};

static struct quantiles draw(const struct nr_latency_conf *conf)
{
    static struct nr_hist hist;
    struct nr_random random;

    hist = (struct nr_hist){0};
    nr_random_init(&random, 7);
    for (int i = 0; i < DRAWS; i++)
        nr_hist_add(&hist, nr_model_latency_ns(conf, &random) / 1000);
    return (struct quantiles){
        (double)nr_hist_quantile(&hist, 0.10) / 1e3, (double)nr_hist_quantile(&hist, 0.50) / 1e3,
        (double)nr_hist_quantile(&hist, 0.99) / 1e3, (double)hist.sum / 1e3 / DRAWS};
}

#define MS UINT64_C(1000000)

static void what_is_asked_for_is_drawn(void **state)
{
    static struct nr_percentile_conf measured[] = {
        {.share = 0.5, .within_ns = 10 * MS},
        {.share = 0.9, .within_ns = 50 * MS},
        {.share = 1.0, .within_ns = 100 * MS},
    };
    /* Exponential: p50 is mean · ln 2, p99 mean · ln 100. Lognormal of p50 20, p99 80: sigma
     * 0.5959, so the mean is 20 · exp(sigma²/2) = 23.9, p10 20 · exp(-1.2816 sigma) = 9.32. */
    static const struct {
        const char *name;
        struct nr_latency_conf conf;
        struct quantiles want;
    } cases[] = {
        {"fixed", {.fixed_ns = 20 * MS}, {20, 20, 20, 20}},
        {"uniform", {.min_ns = 10 * MS, .max_ns = 30 * MS}, {12, 20, 29.8, 20}},
        {"exponential", {.mean_ns = 10 * MS}, {1.054, 6.931, 46.05, 10}},
        {"lognormal", {.p50_ns = 20 * MS, .p99_ns = 80 * MS}, {9.32, 20, 80, 23.9}},
        {"measured", {.percentiles = measured, .percentile_count = 3}, {2, 10, 95, 22}},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct quantiles got = draw(&cases[i].conf);

        print_message("# %s\n", cases[i].name);
        assert_near(got.p10_ms, cases[i].want.p10_ms, 0.03);
        assert_near(got.p50_ms, cases[i].want.p50_ms, 0.03);
        assert_near(got.p99_ms, cases[i].want.p99_ms, 0.03);
        assert_near(got.mean_ms, cases[i].want.mean_ms, 0.02);
    }
}

static void nothing_takes_longer_than_an_hour(void **state)
{
    const struct nr_latency_conf wild = {.p50_ns = 1000 * MS, .p99_ns = 3600000 * MS};
    struct nr_random random;

    nr_random_init(&random, 7);
    for (int i = 0; i < DRAWS; i++)
        assert_true(nr_model_latency_ns(&wild, &random) <= 3600000 * MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_asked_for_is_drawn),
        cmocka_unit_test(nothing_takes_longer_than_an_hour),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
