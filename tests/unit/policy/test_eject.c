/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../property.h"
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

/* Source: Envoy, outlier_detection_impl_test.cc: five 500s after a good answer eject, an interval
 * at 9,999 ms lets nobody back, one at 30,001 ms does, and the row begins anew. */
static void an_ejection_as_published(void **state)
{
    struct world w;
    uint64_t start_ns;

    begin(&w, 2);
    start_ns = w.now_ns;
    assert_false(answers(&w, 0, "x.xxxx"));
    assert_true(answers(&w, 0, "x"));
    w.now_ns = start_ns + 9999 * MS;
    assert_int_equal(nr_eject_tick(&w.e, &w.conf, w.now_ns, &w.random), 0);
    assert_true(w.hosts[0].ejected);
    w.now_ns = start_ns + 30001 * MS;
    assert_int_equal(nr_eject_tick(&w.e, &w.conf, w.now_ns, &w.random), 1);
    assert_false(w.hosts[0].ejected);
    assert_false(answers(&w, 0, "xxxx"));
    w.now_ns = start_ns + 40000 * MS;
    assert_true(answers(&w, 0, "x"));
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
    /* Source: Envoy, outlier_detection_impl_test.cc: rates 100 100 100 100 50 %: mean 90 %, σ 20 %,
     * threshold 52 % with 1.9. */
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

/* ---- any schedule, against a model that keeps every answer of the interval */

enum { ANSWERS_MAX = 300 };

struct model {
    struct {
        uint32_t host;
        bool good;
        uint64_t us;
    } answers[ANSWERS_MAX];
    uint32_t count;
    uint32_t run[HOSTS_MAX], run_gateway[HOSTS_MAX], times[HOSTS_MAX];
    bool out[HOSTS_MAX];
    uint32_t out_count;
    uint32_t by[NR_EJECT_BY_LATENCY + 1];
};

struct sums {
    uint32_t calls, good;
    uint64_t us; /* mean latency of the good ones, rounded up; 0: too few */
    double rate; /* -1: too few calls */
};

static struct sums sums_of(const struct model *m, const struct nr_eject_conf *conf, uint32_t host)
{
    struct sums sums = {.rate = -1};
    uint64_t us = 0;

    for (uint32_t i = 0; i < m->count; i++) {
        if (m->answers[i].host != host)
            continue;
        sums.calls++;
        sums.good += m->answers[i].good;
        us += m->answers[i].good ? m->answers[i].us : 0;
    }
    if (sums.calls > 0 && sums.calls >= conf->calls_min)
        sums.rate = (double)sums.good / sums.calls;
    if (sums.good > 0 && sums.good >= conf->calls_min)
        sums.us = us / sums.good + 1;
    return sums;
}

static bool may_go(const struct world *w, const struct model *m)
{
    uint32_t most = (uint32_t)(w->conf.share * w->e.count + 1e-9);

    return m->out_count < (most > 1 ? most : 1) && m->out_count + 1 < w->e.count;
}

static void goes(struct world *w, struct model *m, uint32_t host, enum nr_eject_why why)
{
    uint64_t base_ns = w->conf.base_ns * ++m->times[host];
    uint64_t lasts_ns = w->hosts[host].until_ns - w->now_ns;

    base_ns = base_ns < w->conf.max_ns ? base_ns : w->conf.max_ns;
    assert_true(lasts_ns + 1 >= base_ns);
    assert_true((double)lasts_ns <= (double)base_ns * (1 + w->conf.jitter));
    assert_int_equal(w->hosts[host].why, why);
    m->out[host] = true;
    m->out_count++;
    m->by[why]++;
}

static void any_answer(struct world *w, struct model *m)
{
    enum nr_eject_result result = (enum nr_eject_result)nr_random_below(&w->random, 3);
    uint32_t host = (uint32_t)nr_random_below(&w->random, w->e.count);
    uint64_t took_ns = nr_random_below(&w->random, host % 3 == 0 ? 4 * S : S);
    enum nr_eject_why why = NR_EJECT_NOT;
    bool ejected = nr_eject_report(&w->e, &w->conf, host, w->now_ns, &w->random, result, took_ns);

    if (!m->out[host]) {
        m->answers[m->count].host = host;
        m->answers[m->count].good = result == NR_EJECT_OK;
        m->answers[m->count++].us = took_ns / 1000;
        m->run[host] = result == NR_EJECT_OK ? 0 : m->run[host] + 1;
        m->run_gateway[host] = result == NR_EJECT_GATEWAY ? m->run_gateway[host] + 1 : 0;
        if (w->conf.consecutive_5xx > 0 && m->run[host] >= w->conf.consecutive_5xx)
            why = NR_EJECT_BY_5XX;
        if (w->conf.consecutive_gateway > 0 && m->run_gateway[host] >= w->conf.consecutive_gateway)
            why = NR_EJECT_BY_GATEWAY;
        if (result == NR_EJECT_OK || !may_go(w, m))
            why = NR_EJECT_NOT;
    }
    assert_int_equal(ejected, why != NR_EJECT_NOT);
    if (ejected)
        goes(w, m, host, why);
}

static double rate_limit(const struct world *w, const struct model *m)
{
    double sum = 0, squares = 0;
    uint32_t n = 0;

    for (uint32_t h = 0; h < w->e.count; h++) {
        double rate = sums_of(m, &w->conf, h).rate;

        n += rate >= 0;
        sum += rate >= 0 ? rate : 0;
    }
    if (n == 0 || n < w->conf.hosts_min)
        return -1;
    for (uint32_t h = 0; h < w->e.count; h++) {
        double rate = sums_of(m, &w->conf, h).rate;

        squares += rate >= 0 ? (rate - sum / n) * (rate - sum / n) : 0;
    }
    return sum / n - w->conf.rate_sigmas * sqrt(squares / n);
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static double latency_limit_us(const struct world *w, const struct model *m)
{
    double least = (double)w->conf.latency_least_ns / 1000, limit;
    uint64_t all[HOSTS_MAX];
    uint32_t n = 0;

    for (uint32_t h = 0; h < w->e.count; h++) {
        all[n] = sums_of(m, &w->conf, h).us;
        n += all[n] > 0;
    }
    if (n == 0 || n < w->conf.hosts_min)
        return 1e18;
    qsort(all, n, sizeof(all[0]), by_size);
    limit = w->conf.latency_factor * (double)all[(n - 1) / 2];
    return limit < least ? least : limit;
}

/* The worst by rate, else the slowest, of those that are in. */
static uint32_t worst(const struct world *w, const struct model *m, double rate_min, double us_max,
                      enum nr_eject_why *ret_why)
{
    uint32_t bad = HOSTS_MAX, slow = HOSTS_MAX;

    for (uint32_t h = 0; h < w->e.count; h++) {
        struct sums sums = sums_of(m, &w->conf, h);

        if (m->out[h])
            continue;
        if (sums.rate >= 0 && sums.rate < rate_min &&
            (bad == HOSTS_MAX || sums.rate < sums_of(m, &w->conf, bad).rate))
            bad = h;
        if ((double)sums.us > floor(us_max) &&
            (slow == HOSTS_MAX || sums.us > sums_of(m, &w->conf, slow).us))
            slow = h;
    }
    *ret_why = bad < HOSTS_MAX ? NR_EJECT_BY_RATE : NR_EJECT_BY_LATENCY;
    return bad < HOSTS_MAX ? bad : slow;
}

static void interval_ends(struct world *w, struct model *m)
{
    double rate_min = rate_limit(w, m), us_max = latency_limit_us(w, m);
    struct nr_eject_host before[HOSTS_MAX];
    uint32_t changed, expected = 0, host;
    enum nr_eject_why why;

    memcpy(before, w->hosts, sizeof(before));
    changed = nr_eject_tick(&w->e, &w->conf, w->now_ns, &w->random);
    for (uint32_t h = 0; h < w->e.count; h++) {
        if (!m->out[h]) {
            m->times[h] -= m->times[h] > 0;
        } else if (w->now_ns >= before[h].until_ns) { /* back at the first tick after its time */
            m->out[h] = false;
            m->out_count--;
            m->run[h] = m->run_gateway[h] = 0;
            expected++;
        }
    }
    while ((host = worst(w, m, rate_min, us_max, &why)) < HOSTS_MAX && may_go(w, m)) {
        goes(w, m, host, why);
        expected++;
    }
    assert_int_equal(changed, expected);
    m->count = 0;
}

static void any_schedule(void **state)
{
    uint64_t by[NR_EJECT_BY_LATENCY + 1] = {0};

    PROPERTY_FOR_ANY (seed) {
        struct model m = {.count = 0};
        struct world w;

        begin(&w, 1);
        nr_random_init(&w.random, seed);
        nr_eject_init(&w.e, w.hosts, 1 + (uint32_t)nr_random_below(&w.random, HOSTS_MAX));
        w.conf.share = nr_random_unit(&w.random);
        w.conf.jitter = nr_random_unit(&w.random);
        w.conf.calls_min = (uint32_t)nr_random_below(&w.random, 10);
        w.conf.hosts_min = (uint32_t)nr_random_below(&w.random, 6);
        w.conf.rate_sigmas = 0.5 + 2 * nr_random_unit(&w.random);
        w.conf.latency_factor = 1 + 2 * nr_random_unit(&w.random);
        for (int i = 0; i < ANSWERS_MAX; i++) {
            w.now_ns += nr_random_below(&w.random, S);
            if (nr_random_below(&w.random, 20) == 0)
                interval_ends(&w, &m);
            else
                any_answer(&w, &m);
            assert_int_equal(w.e.ejected, m.out_count);
            for (uint32_t h = 0; h < w.e.count; h++)
                assert_int_equal(w.hosts[h].ejected, m.out[h]);
        }
        for (int why = 0; why <= NR_EJECT_BY_LATENCY; why++)
            by[why] += m.by[why];
    }
    for (int why = NR_EJECT_BY_5XX; why <= NR_EJECT_BY_LATENCY; why++)
        property_covers(by[why], 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_of_failures),
        cmocka_unit_test(ejections_grow_and_are_forgiven),
        cmocka_unit_test(an_ejection_as_published),
        cmocka_unit_test(the_share),
        cmocka_unit_test(outliers),
        property_test(any_schedule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
