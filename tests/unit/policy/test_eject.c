/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "policy/eject.h"

#define MS ((uint64_t)1000000)
#define S  (1000 * MS)

enum { HOSTS_MAX = 24 };

struct world {
    struct nr_eject e;
    struct nr_eject_host hosts[HOSTS_MAX];
    struct nr_eject_conf conf;
    struct nr_random random;
    uint64_t now_ns;
};

static void begin(struct world *w, uint32_t hosts)
{
    *w = (struct world){.conf = nr_eject_conf_default, .now_ns = 1000 * S};
    w->conf.jitter = 0;
    nr_random_init(&w->random, 1);
    nr_eject_init(&w->e, w->hosts, hosts);
}

/* '.' good, 'x' a 500, 'g' a 503 or a reset; true when the last one has ejected. */
static bool answers(struct world *w, uint32_t host, const char *results)
{
    bool ejected = false;

    for (; *results != '\0'; results++)
        ejected = nr_eject_report(&w->e, &w->conf, host, w->now_ns, &w->random,
                                  *results == '.'   ? NR_EJECT_OK
                                  : *results == 'x' ? NR_EJECT_5XX
                                                    : NR_EJECT_GATEWAY,
                                  10 * MS);
    return ejected;
}

/* Source: Envoy, outlier detection: 5 in a row; a gateway failure is a 5xx, too. */
static void a_row_of_failures(void **state)
{
    static const struct {
        const char *name, *results;
        enum nr_eject_why why;
    } rows[] = {
        {"four", "xxxx", NR_EJECT_NOT},
        {"five", "xxxxx", NR_EJECT_BY_5XX},
        {"a success begins anew", "xxxx.xxxx", NR_EJECT_NOT},
        {"five of the gateway's", "ggggg", NR_EJECT_BY_GATEWAY},
        {"mixed, they are five 5xx", "gxgxg", NR_EJECT_BY_5XX},
        {"a 500 is an answer: no row of gateway failures", "ggggx", NR_EJECT_BY_5XX},
        {"half of all: another matter", "x.x.x.x.x.x.x.x.x.", NR_EJECT_NOT},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world w;

        print_message("# %s\n", rows[i].name);
        begin(&w, 3);
        assert_int_equal(answers(&w, 1, rows[i].results), rows[i].why != NR_EJECT_NOT);
        assert_int_equal(w.hosts[1].ejected, rows[i].why != NR_EJECT_NOT);
        assert_int_equal(w.hosts[1].why, rows[i].why);
    }
}

/* Source: Envoy: base 30 s × the number of ejections, at most 300 s. */
static void ejections_grow_and_are_forgiven(void **state)
{
    struct world w;

    begin(&w, 3);
    for (uint64_t times = 1; times <= 12; times++) {
        uint64_t lasts_s = times < 10 ? 30 * times : 300;

        assert_true(answers(&w, 0, "xxxxx"));
        assert_false(answers(&w, 0, "xxxxx")); /* calls that were on their way */
        w.now_ns += (lasts_s - 1) * S;
        assert_int_equal(nr_eject_tick(&w.e, &w.conf, w.now_ns, &w.random), 0);
        w.now_ns += S;
        assert_int_equal(nr_eject_tick(&w.e, &w.conf, w.now_ns, &w.random), 1);
        assert_false(w.hosts[0].ejected);
        assert_false(answers(&w, 0, "xxxx")); /* its row begins anew */
        assert_false(answers(&w, 0, "."));
    }
    for (int calm = 0; calm < 11; calm++)
        nr_eject_tick(&w.e, &w.conf, w.now_ns, &w.random);
    assert_true(answers(&w, 0, "xxxxx"));
    assert_int_equal(w.hosts[0].until_ns - w.now_ns, 60 * S);
}

/* Source: Envoy: 10 %, but at least one. Here also: never the last. */
static void the_share(void **state)
{
    static const struct {
        uint32_t hosts, may;
    } rows[] = {{1, 0}, {2, 1}, {3, 1}, {10, 1}, {19, 1}, {20, 2}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world w;

        begin(&w, rows[i].hosts);
        for (uint32_t h = 0; h < rows[i].hosts; h++)
            answers(&w, h, "xxxxxxxxx");
        assert_int_equal(w.e.ejected, rows[i].may);
        assert_int_equal(w.hosts[0].ejected, rows[i].may > 0);
    }
}

/* An interval: for each host so many calls, so many of them good, each of so many ms. */
static const struct {
    const char *name;
    uint32_t hosts;
    struct {
        uint32_t calls, good, ms;
    } is[6];
    int ejected; /* -1: nobody */
    enum nr_eject_why why;
} outlier_rows[] = {
    /* rates 1 1 1 1 0.5: mean 0.9, σ 0.2, limit 0.52 */
    {"half fail on one of five",
     5,
     {{100, 100, 10}, {100, 100, 10}, {100, 50, 10}, {100, 100, 10}, {100, 100, 10}},
     2,
     NR_EJECT_BY_RATE},
    {"nobody compares four hosts",
     4,
     {{100, 100, 10}, {100, 100, 10}, {100, 0, 10}, {100, 100, 10}},
     -1,
     0},
    {"or 99 calls",
     5,
     {{100, 100, 10}, {100, 100, 10}, {99, 0, 10}, {100, 100, 10}, {100, 100, 10}},
     -1,
     0},
    {"all fail alike: it is not the host",
     5,
     {{100, 50, 10}, {100, 50, 10}, {100, 50, 10}, {100, 50, 10}, {100, 50, 10}},
     -1,
     0},
    /* rates 1 1 1 0.5 0.4: mean 0.78, σ 0.272, limit 0.263 */
    {"two that are bad hide behind each other",
     5,
     {{100, 100, 10}, {100, 100, 10}, {100, 100, 10}, {100, 50, 10}, {100, 40, 10}},
     -1,
     0},
    /* rates 1 1 1 1 0.7 0.5: mean 0.867, σ 0.197, limit 0.492 */
    {"1.86 σ",
     6,
     {{100, 100, 10}, {100, 100, 10}, {100, 100, 10}, {100, 70, 10}, {100, 50, 10}, {100, 100, 10}},
     -1,
     0},
    {"ten times as slow as the others",
     5,
     {{100, 100, 20}, {100, 100, 21}, {100, 100, 22}, {200, 200, 200}, {100, 100, 23}},
     3,
     NR_EJECT_BY_LATENCY},
    {"just under three times the median",
     5,
     {{100, 100, 20}, {100, 100, 21}, {100, 100, 22}, {200, 200, 65}, {100, 100, 23}},
     -1,
     0},
    {"one that would move any mean",
     5,
     {{100, 100, 20}, {100, 100, 21}, {100, 100, 22}, {200, 200, 10000}, {100, 100, 23}},
     3,
     NR_EJECT_BY_LATENCY},
    {"ten times as slow, but still fast",
     5,
     {{100, 100, 2}, {100, 100, 2}, {100, 100, 2}, {200, 200, 20}, {100, 100, 2}},
     -1,
     0},
    {"all slow alike",
     5,
     {{100, 100, 2000}, {100, 100, 2000}, {100, 100, 2000}, {200, 200, 2000}, {100, 100, 2000}},
     -1,
     0},
    {"the slowest goes if only one may",
     6,
     {{100, 100, 20},
      {100, 100, 20},
      {100, 100, 20},
      {200, 200, 400},
      {100, 100, 20},
      {100, 100, 500}},
     5,
     NR_EJECT_BY_LATENCY},
};

static void outliers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(outlier_rows) / sizeof(outlier_rows[0]); i++) {
        struct world w;

        print_message("# %s\n", outlier_rows[i].name);
        begin(&w, outlier_rows[i].hosts);
        w.conf.consecutive_5xx = 0;
        for (uint32_t h = 0; h < outlier_rows[i].hosts; h++)
            for (uint32_t c = 0; c < outlier_rows[i].is[h].calls; c++)
                nr_eject_report(&w.e, &w.conf, h, w.now_ns, &w.random,
                                c < outlier_rows[i].is[h].good ? NR_EJECT_OK : NR_EJECT_5XX,
                                outlier_rows[i].is[h].ms * MS);
        assert_int_equal(nr_eject_tick(&w.e, &w.conf, w.now_ns, &w.random),
                         outlier_rows[i].ejected >= 0);
        for (uint32_t h = 0; h < outlier_rows[i].hosts; h++)
            assert_int_equal(w.hosts[h].ejected, (int)h == outlier_rows[i].ejected);
        if (outlier_rows[i].ejected >= 0)
            assert_int_equal(w.hosts[outlier_rows[i].ejected].why, outlier_rows[i].why);
        assert_int_equal(nr_eject_tick(&w.e, &w.conf, w.now_ns, &w.random), 0); /* a new interval */
    }
}

static void any_schedule(void **state)
{
    uint32_t ejections = 0;

    for (uint64_t seed = 0; seed < 10000; seed++) {
        struct world w;
        uint32_t hosts, most;

        begin(&w, 1);
        nr_random_init(&w.random, seed);
        hosts = 1 + (uint32_t)nr_random_below(&w.random, HOSTS_MAX);
        nr_eject_init(&w.e, w.hosts, hosts);
        w.conf.share = nr_random_unit(&w.random);
        w.conf.jitter = nr_random_unit(&w.random);
        w.conf.calls_min = (uint32_t)nr_random_below(&w.random, 10);
        w.conf.hosts_min = (uint32_t)nr_random_below(&w.random, 6);
        most = (uint32_t)(w.conf.share * hosts + 1e-9);
        most = most < 1 ? 1 : most;
        most = most > hosts - 1 ? hosts - 1 : most;
        for (int i = 0; i < 300; i++) {
            uint32_t h = (uint32_t)nr_random_below(&w.random, hosts), out = 0;

            w.now_ns += nr_random_below(&w.random, S);
            if (nr_random_below(&w.random, 20) == 0) {
                nr_eject_tick(&w.e, &w.conf, w.now_ns, &w.random);
                for (uint32_t o = 0; o < hosts; o++) /* nobody is forgotten */
                    assert_true(!w.hosts[o].ejected || w.hosts[o].until_ns > w.now_ns);
            } else if (nr_eject_report(&w.e, &w.conf, h, w.now_ns, &w.random,
                                       (enum nr_eject_result)nr_random_below(&w.random, 3),
                                       nr_random_below(&w.random, S))) {
                double lasts = (double)(w.hosts[h].until_ns - w.now_ns);
                double base = 30e9 * w.hosts[h].times < 300e9 ? 30e9 * w.hosts[h].times : 300e9;

                ejections++;
                assert_true(lasts >= base - 1 && lasts <= base * (1 + w.conf.jitter));
            }
            for (uint32_t o = 0; o < hosts; o++)
                out += w.hosts[o].ejected;
            assert_int_equal(w.e.ejected, out);
            assert_true(out <= most);
        }
    }
    assert_true(ejections > 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_of_failures), cmocka_unit_test(ejections_grow_and_are_forgiven),
        cmocka_unit_test(the_share),         cmocka_unit_test(outliers),
        cmocka_unit_test(any_schedule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
