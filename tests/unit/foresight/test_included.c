/* SPDX-License-Identifier: Apache-2.0 */
/* Each scenario that comes with the program teaches something: here it is, as a test. */
#include "play.h"

#include "../sanitized.h"

/* Visits that ended well, of all that ended from one second to the next, and the worst p99. */
static double well_between(const struct nr_report *report, uint32_t from_s, uint32_t to_s)
{
    double ok = 0, all = 0;

    for (uint32_t i = from_s; i < to_s; i++) {
        ok += report->seconds[i].ok;
        all += report->seconds[i].ok + report->seconds[i].failed;
    }
    return all == 0 ? 1 : ok / all;
}

static double p99_between(const struct nr_report *report, uint32_t from_s, uint32_t to_s)
{
    double worst_ms = 0;

    for (uint32_t i = from_s; i < to_s; i++)
        if (report->seconds[i].p99_us / 1e3 > worst_ms)
            worst_ms = report->seconds[i].p99_us / 1e3;
    return worst_ms;
}

static double per_second(const struct nr_report *report, uint32_t from_s, uint32_t to_s)
{
    double ok = 0;

    for (uint32_t i = from_s; i < to_s; i++)
        ok += report->seconds[i].ok;
    return ok / (to_s - from_s);
}

static double orphaned(const struct nr_report *report)
{
    return (double)report->orphaned_ns / (double)report->busy_ns;
}

#define REPORT(...) play(&played, &(struct play){__VA_ARGS__})

static void one_dead_of_three_is_not_noticed(void **state)
{
    static const char *const ways[] = {"failures[0].fail=refuse", "failures[0].fail=blackhole",
                                       "failures[0].fail=reset"};
    struct played played;

    for (int i = 0; i < 3; i++) {
        const struct nr_report *report =
            REPORT(.scenario = "dead-instance", .scenario_sets = {ways[i]});

        print_message("# %s\n", ways[i]);
        assert_true(nr_report_availability(report) >= 0.999);
        assert_true(report->attempts > report->requests);
        assert_true(nr_report_load_factor(report) < 1.01);
        assert_int_equal(report->seconds[35].attempts, report->seconds[35].requests);
        play_done(&played);
    }
    /* It is the second attempt that saves them. */
    const struct nr_report *report =
        REPORT(.scenario = "dead-instance", .config_sets = {"services.payment.retry.attempts=1"});
    assert_true(report->failed >= 1); /* a failed call hurries the checks, so they are few */
    play_done(&played);
}

static void a_slow_service_touches_nobody_else(void **state)
{
    struct played played;
    const struct nr_report *report = REPORT(.scenario = "slow-dependency");
    const struct nr_report_kind *orders = &report->kinds[0], *slow = &report->kinds[1];

    assert_int_equal(orders->ok, orders->visits);
    assert_true(nr_hist_quantile(&orders->latency, 0.99) < 70000);
    assert_true((double)slow->ok / (double)slow->visits < 0.75);
    play_done(&played);
}

static void a_sale_sheds_what_matters_least(void **state)
{
    enum { PRODUCTS, IDEAS, ORDERS };
    struct played played;
    const struct nr_report *report = REPORT(.scenario = "sale");
    const struct nr_report_kind *orders = &report->kinds[ORDERS];

    assert_int_equal(orders->ok, orders->visits);
    assert_true(nr_hist_quantile(&orders->latency, 0.99) < 200000);
    assert_near((double)report->kinds[PRODUCTS].ok, (double)report->kinds[PRODUCTS].visits, 0.001);
    assert_int_equal(report->causes[NR_REASON_SHED], report->failed);
    assert_int_equal(report->orphans, 0);
    play_done(&played);
    /* Without it whoever comes is refused by chance, and everybody waits: the 1,024 calls that a
     * service is given at one time take half a second there, and the queue before them is kept
     * short. Three instances of 16 workers, 24 ms each on average, are 2,000 a second. */
    report = REPORT(.scenario = "sale", .config_sets = {"gateway.shedding="});
    orders = &report->kinds[ORDERS];
    assert_true((double)orders->ok < 0.95 * (double)orders->visits);
    assert_true(nr_hist_quantile(&orders->latency, 0.99) > 500000);
    assert_true(per_second(report, 25, 60) > 1900);
    play_done(&played);
}

static void a_budget_ends_a_retry_storm(void **state)
{
    struct played played;
    const struct nr_report *report;

    for (uint64_t seed = 1; seed <= (SANITIZED ? 1 : 4); seed++) { /* not by luck */
        report = REPORT(.scenario = "retry-storm", .seed = seed);
        assert_true(nr_report_load_factor(report) <= 1.2);
        for (uint32_t i = 25; i < 60; i++)
            assert_true(report->seconds[i].attempts <= 1.25 * report->seconds[i].requests + 12);
        assert_true(well_between(report, 40, 60) > 0.999);
        play_done(&played);
    }
    report = REPORT(.scenario = "retry-storm-unbounded");
    assert_true(nr_report_load_factor(report) > 2);
    assert_true(well_between(report, 35, 60) < 0.5);
    assert_true(orphaned(report) > 0.5);
    play_done(&played);
}

static uint32_t times(const struct nr_report *report, const char *text)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < report->event_count; i++)
        count += strstr(report->events[i].text, text) != NULL;
    return count;
}

static void a_flapping_instance_is_left_alone(void **state)
{
    struct played played;
    const struct nr_report *report = REPORT(.scenario = "breaker-flapping");
    uint64_t failed = report->failed;

    /* Eight times it fails for five seconds; longer pauses meet ever fewer of them. */
    assert_true(nr_report_availability(report) >= 0.998);
    assert_true(times(report, "opened for") >= 3 && times(report, "opened for") <= 8);
    assert_int_equal(report->causes[NR_REASON_CIRCUIT_OPEN], 0); /* two others are well */
    play_done(&played);
    report = REPORT(.scenario = "breaker-flapping", .config_sets = {"services.orders.breaker="});
    assert_int_equal(times(report, "opened for"), 0);
    assert_true(report->failed > 20 * failed);
    play_done(&played);
}

static void a_herd_is_through_in_time(void **state)
{
    struct played played;
    const struct nr_report *report = REPORT(.scenario = "herd");

    /* 15 s of 400/s are 6,000 visits too many for a service with 600/s to spare: ten seconds. */
    assert_true(well_between(report, 50, 75) == 1);
    assert_true(p99_between(report, 50, 75) < 200);
    assert_true(per_second(report, 36, 44) > 900);
    assert_true(nr_report_availability(report) > 0.99);
    play_done(&played);
}

static void inverted_timeouts_work_for_nobody(void **state)
{
    struct played played;
    const struct nr_report *report = REPORT(.scenario = "inverted-timeouts");

    assert_true(orphaned(report) > 0.3);
    assert_true(report->causes[NR_REASON_CLIENT_CLOSED] > 1000);
    play_done(&played);
    /* Clients that wait as long as the gateway does. */
    report =
        REPORT(.scenario = "inverted-timeouts", .scenario_sets = {"traffic.clients.timeout=7s"});
    assert_true(orphaned(report) < 0.1);
    assert_int_equal(report->causes[NR_REASON_CLIENT_CLOSED], 0);
    play_done(&played);
    /* Or a service that notices. */
    report =
        REPORT(.scenario = "inverted-timeouts", .scenario_sets = {"services.reports.notices=true"});
    assert_int_equal(report->orphans, 0);
    play_done(&played);
}

static uint32_t answered_between(const struct nr_report *report, uint32_t instance, uint32_t from_s,
                                 uint32_t to_s)
{
    uint32_t answered = 0;

    for (uint32_t i = from_s; i < to_s; i++)
        answered += report->instances[instance].seconds[i].answered;
    return answered;
}

/* Both of priority 0 are dead from 20 s to 40 s; those of priority 1 are 2 and 3. */
static void the_standby_serves_and_gives_back(void **state)
{
    struct played played;
    const struct nr_report *report = REPORT(.scenario = "standby");

    assert_int_equal(report->failed, 0);
    for (uint32_t i = 0; i < 4; i++) {
        bool first = i < 2;

        assert_int_equal(answered_between(report, i, 1, 20) > 0, first);
        assert_int_equal(answered_between(report, i, 21, 40) > 0, !first);
        assert_int_equal(answered_between(report, i, 43, 60) > 0, first);
    }
    play_done(&played);
    /* Without one nobody serves meanwhile. */
    report = REPORT(.scenario = "standby",
                    .config_sets = {"services.stock.instances=[127.0.0.1:7001, 127.0.0.1:7002]"});
    assert_true(well_between(report, 22, 39) == 0);
    play_done(&played);
}

/* Instance 0 is back at 30 s, and four times as slow until 60 s. */
static void a_cold_instance_is_given_time(void **state)
{
    struct played played;
    const struct nr_report *report = REPORT(.scenario = "cold-start");
    uint32_t at_first, later, warm, other;

    at_first = answered_between(report, 0, 33, 38);
    later = answered_between(report, 0, 48, 53);
    warm = answered_between(report, 0, 70, 75);
    other = answered_between(report, 1, 70, 75);
    assert_int_equal(report->failed, 0);
    assert_true(at_first > 0 && 2 * at_first < later && later < warm);
    assert_near(warm, other, 0.05 * other); /* in the end it has its whole share */
    play_done(&played);
    report =
        REPORT(.scenario = "cold-start", .config_sets = {"services.search.balance.slow_start=0s"});
    assert_true(well_between(report, 33, 60) < 0.9);
    assert_true(well_between(report, 65, 90) == 1);
    play_done(&played);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_dead_of_three_is_not_noticed),
        cmocka_unit_test(the_standby_serves_and_gives_back),
        cmocka_unit_test(a_cold_instance_is_given_time),
        cmocka_unit_test(a_slow_service_touches_nobody_else),
        cmocka_unit_test(a_sale_sheds_what_matters_least),
        cmocka_unit_test(a_budget_ends_a_retry_storm),
        cmocka_unit_test(a_flapping_instance_is_left_alone),
        cmocka_unit_test(a_herd_is_through_in_time),
        cmocka_unit_test(inverted_timeouts_work_for_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
