/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "../death.h"
#include "policy/breaker.h"

#define MS ((uint64_t)1000000)
#define S  (1000 * MS)

/* One step of a story. Calls are named by digits: CALL asks for call `n`, the others end it.
 * ONE is a call that starts and ends at once. */
enum op { CALL, GOOD, BAD, SLOW, LEFT, ONE_GOOD, ONE_BAD, ONE_SLOW, FORCE, END };

enum { NO = -1, ANY = -2, WOULD = -3 };

struct step {
    const char *what;
    uint32_t at_ms;
    enum op op;
    int n;        /* which call; for ONE_…: how many; for FORCE: the mode */
    int admitted; /* 1, NO, WOULD, or ANY for ends and when it is not looked at */
    int state;    /* after the step; ANY */
};

struct world {
    struct nr_breaker b;
    const struct nr_breaker_conf *conf;
    struct nr_random random;
    uint32_t tickets[10];
};

static const uint64_t start_ns = 1000 * S + 200; /* a clock does not begin at 0 */

static void report(struct world *w, uint32_t ticket, uint64_t now_ns, enum op op)
{
    bool bad = op == BAD || op == ONE_BAD, slow = op == SLOW || op == ONE_SLOW;

    nr_breaker_report(&w->b, w->conf, ticket, now_ns, &w->random,
                      op == LEFT ? NR_BREAKER_IGNORED
                      : bad      ? NR_BREAKER_FAILED
                                 : NR_BREAKER_OK,
                      slow ? w->conf->slow_ns + 1 : w->conf->slow_ns / 40);
}

static void play_step(struct world *w, const struct step *step)
{
    uint64_t now_ns = start_ns + step->at_ms * MS;
    enum nr_breaker_verdict verdict = NR_BREAKER_PASS;
    uint32_t ticket = 0;

    if (step->op == FORCE) {
        nr_breaker_force(&w->b, (enum nr_breaker_mode)step->n, now_ns);
    } else if (step->op == CALL) {
        verdict = nr_breaker_allow(&w->b, w->conf, now_ns, &w->random, &w->tickets[step->n]);
    } else if (step->op < ONE_GOOD) {
        report(w, w->tickets[step->n], now_ns, step->op);
    } else {
        for (int i = 0; i < step->n; i++) {
            verdict = nr_breaker_allow(&w->b, w->conf, now_ns, &w->random, &ticket);
            if (verdict != NR_BREAKER_REFUSE)
                report(w, ticket, now_ns, step->op);
        }
    }
    if (step->admitted != ANY)
        assert_int_equal(verdict, step->admitted == NO      ? NR_BREAKER_REFUSE
                                  : step->admitted == WOULD ? NR_BREAKER_WOULD_REFUSE
                                                            : NR_BREAKER_PASS);
    if (step->state != ANY)
        assert_int_equal(w->b.state, step->state);
}

static void play(const struct nr_breaker_conf *conf, const struct step *story, struct world *w)
{
    *w = (struct world){.conf = conf};
    nr_random_init(&w->random, 1);
    nr_breaker_init(&w->b, start_ns);
    for (; story->op != END; story++) {
        if (story->what != NULL)
            print_message("# %s\n", story->what);
        play_step(w, story);
    }
}

enum { C = NR_BREAKER_CLOSED, O = NR_BREAKER_OPEN, H = NR_BREAKER_HALF_OPEN };

/* Source: resilience4j, CircuitBreakerStateMachineTest: 20 s window, minimum 5, 50 %, slow > 4 s at
 * 50 %, 4 permits, open 5 s growing (factor 2). */
static const struct nr_breaker_conf resilience4j = {
    .window = NR_BREAKER_BY_TIME,
    .size = 20,
    .minimum = 5,
    .failure_rate = 0.5,
    .slow_rate = 0.5,
    .slow_ns = 4 * S,
    .open_ns = 5 * S,
    .open_factor = 2,
    .probes = 4,
};

/* clang-format off */
static const struct step r4j_opens[] = {
    {"three failures", 0, ONE_BAD, 3, 1, C},
    {"FFFS: four calls are too few to tell", 0, ONE_GOOD, 1, 1, C},
    {"FFFSS: 60 %", 0, ONE_GOOD, 1, 1, O},
    {"the next is refused", 0, ONE_GOOD, 1, NO, O},
    {"still at +3 s", 3000, CALL, 0, NO, O},
    {"permitted at +6 s", 6000, CALL, 0, 1, H},
    {NULL, 6000, CALL, 1, 1, H},
    {NULL, 6000, CALL, 2, 1, H},
    {NULL, 6000, CALL, 3, 1, H},
    {"four are, the fifth is not", 6000, CALL, 4, NO, H},
    {"one is released", 6000, LEFT, 3, ANY, H},
    {"which permits one more", 6000, CALL, 3, 1, H},
    {"and only one", 6000, CALL, 4, NO, H},
    {"FFSF", 6000, BAD, 0, ANY, H},
    {"two of four cannot become less than 50 %: no need to wait for the others", 6000, BAD, 1, ANY, O},
    {"the others are of an earlier epoch", 6000, GOOD, 2, ANY, O},
    {NULL, 6000, BAD, 3, ANY, O},
    {"the second opening lasts longer: refused after 6 s", 12000, CALL, 0, NO, O},
    {"permitted after 11 s", 17000, CALL, 0, 1, H},
    {NULL, 17000, CALL, 1, 1, H}, {NULL, 17000, CALL, 2, 1, H}, {NULL, 17000, CALL, 3, 1, H},
    {"FSSS", 17000, BAD, 0, ANY, H}, {NULL, 17000, GOOD, 1, ANY, H}, {NULL, 17000, GOOD, 2, ANY, H},
    {"closes", 17000, GOOD, 3, ANY, C},
    {"with metrics reset: four failures are too few", 17000, ONE_BAD, 4, 1, C},
    {"five are not", 17000, ONE_BAD, 1, 1, O},
    {.op = END},
};
static const struct step r4j_at_the_limit[] = {
    {"SSSFF, one second apart: 40 %", 0, ONE_GOOD, 1, 1, C}, {NULL, 1000, ONE_GOOD, 1, 1, C},
    {NULL, 2000, ONE_GOOD, 1, 1, C}, {NULL, 3000, ONE_BAD, 1, 1, C}, {NULL, 4000, ONE_BAD, 1, 1, C},
    {"one more F: 50 %", 5000, ONE_BAD, 1, 1, O},
    {.op = END},
};
static const struct step r4j_slow[] = {
    {"5 s, 5 s", 0, ONE_SLOW, 2, 1, C}, {"0.1 s, 0.1 s", 0, ONE_GOOD, 2, 1, C},
    {"5 s: 60 % are slow", 0, ONE_SLOW, 1, 1, O},
    {.op = END},
};
static const struct step r4j_ignored[] = {
    {NULL, 0, ONE_BAD, 5, 1, O},
    {"four ignored results stay half-open", 6000, CALL, 0, 1, H},
    {NULL, 6000, LEFT, 0, ANY, H}, {NULL, 6000, CALL, 0, 1, H}, {NULL, 6000, LEFT, 0, ANY, H},
    {NULL, 6000, CALL, 0, 1, H}, {NULL, 6000, LEFT, 0, ANY, H},
    {NULL, 6000, CALL, 0, 1, H}, {NULL, 6000, LEFT, 0, ANY, H},
    {"and all permits are there", 6000, CALL, 0, 1, H}, {NULL, 6000, CALL, 1, 1, H},
    {NULL, 6000, CALL, 2, 1, H}, {NULL, 6000, CALL, 3, 1, H}, {NULL, 6000, CALL, 4, NO, H},
    {.op = END},
};

/* Source: gobreaker, gobreaker_test.go: defaults open after more than 5 failures in a row, for 60 s. */
static const struct nr_breaker_conf gobreaker = {
    .window = NR_BREAKER_BY_COUNT, .size = 256, .consecutive = 6, .open_ns = 60 * S, .probes = 1,
    .slow_ns = S,
};
static const struct step gobreaker_default[] = {
    {"five failures", 0, ONE_BAD, 5, 1, C},
    {"a success, a failure", 0, ONE_GOOD, 1, 1, C}, {NULL, 0, ONE_BAD, 1, 1, C},
    {"four more are five in a row", 0, ONE_BAD, 4, 1, C},
    {"six", 0, ONE_BAD, 1, 1, O},
    {"open at 59 s", 59000, CALL, 0, NO, O},
    {"half-open at 60 s", 60000, CALL, 0, 1, H},
    {"the probe fails", 60000, BAD, 0, ANY, O},
    {"the next minute", 119999, CALL, 0, NO, O},
    {"the next probe", 120000, CALL, 0, 1, H},
    {"is good", 120000, GOOD, 0, ANY, C},
    {.op = END},
};

/* The same file's custom breaker: 3 in half-open, interval 30 s, timeout 90 s, trips at >= 3 calls and
 * a share of 0.6. */
static const struct nr_breaker_conf gobreaker_custom_conf = {
    .window = NR_BREAKER_BY_TIME, .size = 30, .minimum = 3, .failure_rate = 0.6, .open_ns = 90 * S,
    .probes = 3, .slow_ns = S,
};
static const struct step gobreaker_custom[] = {
    {"(SF) x 5: 50 %", 0, ONE_GOOD, 1, 1, C}, {NULL, 0, ONE_BAD, 1, 1, C}, {NULL, 0, ONE_GOOD, 1, 1, C},
    {NULL, 0, ONE_BAD, 1, 1, C}, {NULL, 0, ONE_GOOD, 1, 1, C}, {NULL, 0, ONE_BAD, 1, 1, C},
    {NULL, 0, ONE_GOOD, 1, 1, C}, {NULL, 0, ONE_BAD, 1, 1, C}, {NULL, 0, ONE_GOOD, 1, 1, C},
    {NULL, 0, ONE_BAD, 1, 1, C},
    {"a call of the old time", 0, CALL, 9, 1, C},
    {"the counts are gone at 30 s: F is one of one", 30000, ONE_BAD, 1, 1, C},
    {"FS", 30000, ONE_GOOD, 1, 1, C},
    {"FSF: 67 % of three", 30000, ONE_BAD, 1, 1, O},
    {"a result of an older generation is ignored", 30000, GOOD, 9, ANY, O},
    {NULL, 119999, CALL, 0, NO, O},
    {"after 90 s three probes at once", 120000, CALL, 0, 1, H}, {NULL, 120000, CALL, 1, 1, H},
    {NULL, 120000, CALL, 2, 1, H},
    {"a fourth is refused", 120000, CALL, 3, NO, H},
    {NULL, 120000, GOOD, 0, ANY, H}, {NULL, 120000, GOOD, 1, ANY, H},
    {"three are good", 120000, GOOD, 2, ANY, C},
    {.op = END},
};

/* Our own defaults, without jitter. */
static const struct nr_breaker_conf ours = {
    .window = NR_BREAKER_BY_COUNT, .size = 10, .minimum = 5, .failure_rate = 0.5, .slow_rate = 0.8,
    .slow_ns = 2 * S, .open_ns = 30 * S, .open_factor = 2, .open_max_ns = 100 * S, .probes = 3,
    .probe_wait_ns = 10 * S,
};
static const struct step payment_is_down[] = {
    {"five of ten fail", 0, ONE_GOOD, 5, 1, C}, {NULL, 100, ONE_BAD, 4, 1, C},
    {"a call that will hang", 100, CALL, 9, 1, C},
    {NULL, 200, ONE_BAD, 1, 1, O},
    {"its timeout is late news", 5000, BAD, 9, ANY, O},
    {"refused", 30199, CALL, 0, NO, O},
    {"after 30 s, three probes", 30200, CALL, 0, 1, H}, {NULL, 30200, CALL, 1, 1, H},
    {NULL, 30200, CALL, 2, 1, H},
    {"not one more", 30201, CALL, 3, NO, H},
    {"one is good", 30300, GOOD, 0, ANY, H},
    {"the others hang: not overdue yet", 40199, CALL, 3, NO, H},
    {"overdue", 40200, CALL, 3, NO, O},
    {"and their late success is stale", 40300, GOOD, 1, ANY, O},
    {"60 s this time", 100199, CALL, 0, NO, O}, {NULL, 100200, CALL, 0, 1, H},
    {"fails; one more could still save it", 100200, BAD, 0, ANY, H},
    {NULL, 100200, CALL, 1, 1, H}, {"no longer", 100200, BAD, 1, ANY, O},
    {"120 s, but never more than 100", 200199, CALL, 0, NO, O}, {NULL, 200200, CALL, 0, 1, H},
    {"a rarely used service has time for its probes", 200200, GOOD, 0, ANY, H},
    {NULL, 260000, CALL, 1, 1, H}, {NULL, 260000, GOOD, 1, ANY, H},
    {NULL, 320000, CALL, 2, 1, H}, {NULL, 320000, GOOD, 2, ANY, C},
    {"trips again at once: it goes on growing", 321000, ONE_BAD, 5, 1, O},
    {NULL, 420999, CALL, 0, NO, O}, {NULL, 421000, ONE_GOOD, 3, 1, C},
    {"healthy for as long as it was open: starts at 30 s again", 521000, ONE_BAD, 5, 1, O},
    {NULL, 550999, CALL, 0, NO, O}, {NULL, 551000, CALL, 0, 1, H},
    {.op = END},
};
static const struct step by_hand[] = {
    {"a client that leaves says nothing", 0, CALL, 0, 1, C}, {NULL, 0, LEFT, 0, ANY, C},
    {"forced open refuses", 0, FORCE, NR_BREAKER_FORCED_OPEN, ANY, C}, {NULL, 1, CALL, 0, NO, ANY},
    {"for ever", 999999, CALL, 0, NO, ANY},
    {"forced closed passes whatever happens", 0, FORCE, NR_BREAKER_FORCED_CLOSED, ANY, C},
    {NULL, 10, ONE_BAD, 50, 1, C},
    {"disabled does too", 20, FORCE, NR_BREAKER_DISABLED, ANY, C}, {NULL, 20, ONE_BAD, 50, 1, C},
    {"observing decides", 30, FORCE, NR_BREAKER_OBSERVE, ANY, C}, {NULL, 30, ONE_BAD, 5, 1, O},
    {"and lets pass", 40, ONE_BAD, 3, WOULD, O},
    {"what it lets pass does not prove it healthy", 40, ONE_GOOD, 50, WOULD, O},
    {"it probes like the real one", 30030, ONE_GOOD, 2, 1, H},
    {NULL, 30030, CALL, 0, 1, H}, {NULL, 30030, CALL, 1, WOULD, H}, {NULL, 30031, GOOD, 1, ANY, H},
    {NULL, 30040, GOOD, 0, ANY, C},
    {"a call from before", 30050, CALL, 5, 1, C},
    {"back to automatic: nothing is remembered", 30060, FORCE, NR_BREAKER_AUTO, ANY, C},
    {NULL, 30060, ONE_BAD, 4, 1, C},
    {"not even that call", 30060, BAD, 5, ANY, C},
    {NULL, 30060, ONE_BAD, 1, 1, O},
    {.op = END},
};
static const struct nr_breaker_conf five_in_ten_seconds = {
    .window = NR_BREAKER_BY_TIME, .size = 10, .failures = 5, .open_ns = S, .probes = 1, .slow_ns = S};
static const struct step plain_count[] = {
    {"4 failures among many successes", 0, ONE_BAD, 4, 1, C}, {NULL, 1000, ONE_GOOD, 1000, 1, C},
    {"the fifth after they left the window", 10000, ONE_BAD, 1, 1, C},
    {NULL, 19000, ONE_BAD, 3, 1, C}, {"5 in 10 s", 19500, ONE_BAD, 1, 1, O},
    {.op = END},
};
/* clang-format on */

static void stories(void **state)
{
    static const struct {
        const struct nr_breaker_conf *conf;
        const struct step *story;
    } all[] = {
        {&resilience4j, r4j_opens},
        {&resilience4j, r4j_at_the_limit},
        {&resilience4j, r4j_slow},
        {&resilience4j, r4j_ignored},
        {&gobreaker, gobreaker_default},
        {&gobreaker_custom_conf, gobreaker_custom},
        {&ours, payment_is_down},
        {&ours, by_hand},
        {&five_in_ten_seconds, plain_count},
    };
    struct world w;

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        play(all[i].conf, all[i].story, &w);
}

/* Source: resilience4j, SlidingTimeWindowMetricsTest (5 s). */
static void a_time_window_forgets_by_the_second(void **state)
{
    static const struct {
        uint32_t at_ms, total;
    } rows[] = {{0, 1},    {100, 2},  {200, 3},  {1200, 4}, {2200, 5},
                {3200, 6}, {4200, 7}, {5200, 5}, {6200, 5}, {11200, 1}};
    struct nr_breaker_conf conf = {.window = NR_BREAKER_BY_TIME, .size = 5, .slow_ns = S};
    struct nr_breaker b;
    struct nr_random random;
    uint32_t ticket;

    nr_random_init(&random, 1);
    nr_breaker_init(&b, 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t now_ns = 1000 * S + rows[i].at_ms * MS;

        nr_breaker_allow(&b, &conf, now_ns, &random, &ticket);
        nr_breaker_report(&b, &conf, ticket, now_ns, &random, NR_BREAKER_OK, 0);
        assert_int_equal(nr_breaker_look(&b, &conf, now_ns).sums.calls, rows[i].total);
    }
    assert_int_equal(nr_breaker_look(&b, &conf, 2000 * S).sums.calls, 0);
}

/* Source: resilience4j, CircuitBreakerStateMachineTest: the rates that it tells. Forced closed, the
 * window is kept when it would have opened. F failed, S good, L took 5 s and was good. */
static void rates_as_published(void **state)
{
    static const struct {
        const char *results;
        double failed, slow; /* in all; -1: unknown */
    } rows[] = {
        {"FFFS", -1, -1},   {"FFFSS", 0.6, 0}, {"SSSFF", 0.4, 0},
        {"SSSFFF", 0.5, 0}, {"LLSSL", 0, 0.6}, {"LLSS", -1, -1},
        {"SSSSS", 0, 0},    {"FFFFF", 1, 0},   {"FFSFLLSSSS", 0.3, 0.2},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world w = {.conf = &resilience4j};
        struct nr_breaker_view view;

        nr_random_init(&w.random, 1);
        nr_breaker_init(&w.b, start_ns);
        nr_breaker_force(&w.b, NR_BREAKER_FORCED_CLOSED, start_ns);
        for (const char *c = rows[i].results; *c != '\0'; c++) {
            uint32_t ticket = 0;

            nr_breaker_allow(&w.b, w.conf, start_ns, &w.random, &ticket);
            report(&w, ticket, start_ns, *c == 'F' ? BAD : *c == 'L' ? SLOW : GOOD);
        }
        view = nr_breaker_look(&w.b, w.conf, start_ns);
        print_message("# %s: %g failed, %g slow\n", rows[i].results, view.failure_rate,
                      view.slow_rate);
        assert_true(view.failure_rate == rows[i].failed && view.slow_rate == rows[i].slow);
    }
}

static void rates_are_unknown_before_the_minimum(void **state)
{
    static const struct step four[] = {
        {NULL, 0, ONE_BAD, 3, 1, C}, {NULL, 0, ONE_SLOW, 1, 1, C}, {.op = END}};
    struct world w;

    play(&ours, four, &w);
    assert_true(nr_breaker_look(&w.b, &ours, start_ns).failure_rate == -1);
    assert_true(nr_breaker_look(&w.b, &ours, start_ns).slow_rate == -1);
    w.conf = &(struct nr_breaker_conf){.size = 10, .minimum = 4, .slow_ns = S};
    assert_true(nr_breaker_look(&w.b, w.conf, start_ns).failure_rate == 0.75);
    assert_true(nr_breaker_look(&w.b, w.conf, start_ns).slow_rate == 0.25);
}

static void open_times_are_spread(void **state)
{
    struct nr_breaker_conf conf = ours;
    uint64_t least = UINT64_MAX, most = 0;
    struct nr_random random;

    nr_random_init(&random, 3);
    conf.jitter = 0.2;
    conf.consecutive = 1;
    for (int i = 0; i < 10000; i++) {
        struct nr_breaker b;
        uint32_t ticket;

        nr_breaker_init(&b, 0);
        nr_breaker_allow(&b, &conf, S, &random, &ticket);
        nr_breaker_report(&b, &conf, ticket, S, &random, NR_BREAKER_FAILED, 0);
        least = b.open_ns < least ? b.open_ns : least;
        most = b.open_ns > most ? b.open_ns : most;
        assert_int_equal(nr_breaker_wait_ns(&b, S), b.open_ns);
    }
    assert_in_range(least, 30 * S, 30 * S + 10 * MS);
    assert_in_range(most, 36 * S - 10 * MS, 36 * S);
}

static void report_twice(void *argument)
{
    static const struct step twice[] = {{NULL, 0, CALL, 0, 1, C},
                                        {NULL, 0, GOOD, 0, ANY, C},
                                        {NULL, 0, GOOD, 0, ANY, C},
                                        {.op = END}};
    struct world w;

    play(&ours, twice, &w);
}

static void a_second_report_is_a_programmers_error(void **state)
{
    assert_true(aborts(report_twice, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stories),
        cmocka_unit_test(a_time_window_forgets_by_the_second),
        cmocka_unit_test(rates_as_published),
        cmocka_unit_test(rates_are_unknown_before_the_minimum),
        cmocka_unit_test(open_times_are_spread),
        cmocka_unit_test(a_second_report_is_a_programmers_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
