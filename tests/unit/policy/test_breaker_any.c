/* SPDX-License-Identifier: Apache-2.0 */
/* The breaker against a model that remembers everything: each result with its time, each probe,
 * each trip. Whatever is asked and answered, in whatever order, the two agree on every state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../property.h"
#include "policy/breaker.h"

#define S ((uint64_t)1000000000)

enum { OUT_MAX = 64, LOG_MAX = 256, STEPS = 200 };

struct result {
    uint64_t second;
    bool failed, slow;
};

struct world {
    struct nr_breaker b;
    struct nr_breaker_conf conf;
    struct nr_random random;
    uint64_t now_ns;
    uint32_t out[OUT_MAX]; /* tickets, of any epoch */
    uint32_t out_count;

    /* The model. */
    enum nr_breaker_state state;
    uint64_t since_ns, until_ns, open_ns; /* of OPEN: as the breaker has drawn it, within bounds */
    uint32_t trips;
    struct result log[LOG_MAX]; /* CLOSED: all of this state; HALF_OPEN: of the probes */
    uint32_t count;
    uint32_t run;
    uint32_t probes_out;
    uint64_t last_probe_ns;
    uint32_t moves[NR_BREAKER_STATES];
};

static uint32_t at_least_one(uint32_t n)
{
    return n > 0 ? n : 1;
}

static void random_conf(struct nr_random *random, struct nr_breaker_conf *conf)
{
    *conf = (struct nr_breaker_conf){
        .window = (enum nr_breaker_window)nr_random_below(random, 2),
        .size = (uint32_t)nr_random_below(random, 20),
        .minimum = (uint32_t)nr_random_below(random, 8),
        .failure_rate = nr_random_below(random, 4) == 0 ? 0 : nr_random_unit(random),
        .slow_rate = nr_random_below(random, 4) == 0 ? 0 : nr_random_unit(random),
        .slow_ns = S,
        .consecutive = (uint32_t)nr_random_below(random, 8),
        .failures = (uint32_t)nr_random_below(random, 8),
        .open_ns = 1 + nr_random_below(random, 10 * S),
        .open_factor = 2 * nr_random_unit(random),
        .open_max_ns = nr_random_below(random, 20 * S),
        .jitter = nr_random_unit(random),
        .probes = (uint32_t)nr_random_below(random, 5),
        .probe_wait_ns = nr_random_below(random, 5 * S),
    };
}

/* ---- what the model expects */

static struct nr_breaker_sums sums_of(const struct world *w)
{
    uint32_t size = at_least_one(w->conf.size);
    struct nr_breaker_sums sums = {0};

    for (uint32_t i = 0; i < w->count; i++) {
        if (w->state == NR_BREAKER_CLOSED &&
            (w->conf.window == NR_BREAKER_BY_COUNT ? i + size < w->count
                                                   : w->log[i].second + size <= w->now_ns / S))
            continue;
        sums.calls++;
        sums.failed += w->log[i].failed;
        sums.slow += w->log[i].slow;
    }
    return sums;
}

static bool reaches(uint32_t part, uint32_t all, double rate)
{
    return rate > 0 && part > 0 && part >= rate * all - 1e-9;
}

static bool trips(const struct world *w)
{
    struct nr_breaker_sums sums = sums_of(w);

    if (w->state == NR_BREAKER_HALF_OPEN) { /* as if all that are missing were good */
        uint32_t probes = at_least_one(w->conf.probes);

        return (w->conf.failure_rate == 0 && sums.failed > 0) ||
               reaches(sums.failed, probes, w->conf.failure_rate) ||
               reaches(sums.slow, probes, w->conf.slow_rate);
    }
    return (w->conf.consecutive > 0 && w->run >= w->conf.consecutive) ||
           (w->conf.failures > 0 && sums.failed >= w->conf.failures) ||
           (sums.calls >= w->conf.minimum &&
            (reaches(sums.failed, sums.calls, w->conf.failure_rate) ||
             reaches(sums.slow, sums.calls, w->conf.slow_rate)));
}

static void go(struct world *w, enum nr_breaker_state next)
{
    w->state = next;
    w->since_ns = w->now_ns;
    w->count = 0;
    w->run = 0;
    w->probes_out = 0;
    w->moves[next]++;
}

/* The breaker has opened, and for how long is within what the configuration says. */
static void go_open(struct world *w)
{
    double least = (double)w->conf.open_ns;
    double most = w->conf.open_max_ns > 0 ? (double)w->conf.open_max_ns : 1e18;

    if (w->state == NR_BREAKER_CLOSED && w->now_ns >= w->since_ns + w->open_ns)
        w->trips = 0;
    for (uint32_t i = 0; i < w->trips && w->conf.open_factor > 1; i++)
        least *= w->conf.open_factor;
    least = least < most ? least : most;
    w->trips++;
    w->open_ns = w->b.until_ns - w->now_ns;
    w->until_ns = w->b.until_ns;
    assert_true((double)w->open_ns >= least - 1);
    assert_true((double)w->open_ns <= least * (1 + w->conf.jitter) + 1);
    go(w, NR_BREAKER_OPEN);
}

/* ---- the two, side by side */

static void ask(struct world *w)
{
    uint32_t ticket = 12345, probes = at_least_one(w->conf.probes);
    enum nr_breaker_verdict verdict, expected = NR_BREAKER_PASS;

    if (w->out_count == OUT_MAX)
        return;
    verdict = nr_breaker_allow(&w->b, &w->conf, w->now_ns, &w->random, &ticket);
    if (w->state == NR_BREAKER_OPEN && w->now_ns >= w->until_ns)
        go(w, NR_BREAKER_HALF_OPEN);
    else if (w->state == NR_BREAKER_HALF_OPEN && w->probes_out + w->count == probes &&
             w->conf.probe_wait_ns > 0 && w->now_ns >= w->last_probe_ns + w->conf.probe_wait_ns)
        go_open(w);
    if (w->state == NR_BREAKER_OPEN ||
        (w->state == NR_BREAKER_HALF_OPEN && w->probes_out + w->count == probes))
        expected = NR_BREAKER_REFUSE;
    assert_int_equal(verdict, expected);
    if (verdict == NR_BREAKER_REFUSE) {
        assert_int_equal(ticket, 12345);
        return;
    }
    assert_int_equal(ticket, w->b.epoch);
    w->out[w->out_count++] = ticket;
    if (w->state == NR_BREAKER_HALF_OPEN) {
        w->probes_out++;
        w->last_probe_ns = w->now_ns;
    }
}

static void count(struct world *w, bool failed, bool slow)
{
    assert_true(w->count < LOG_MAX);
    w->log[w->count++] = (struct result){w->now_ns / S, failed, slow};
    w->run = failed ? w->run + 1 : 0;
    if (trips(w))
        go_open(w);
    else if (w->state == NR_BREAKER_HALF_OPEN && w->count == at_least_one(w->conf.probes))
        go(w, NR_BREAKER_CLOSED);
}

static void answer(struct world *w)
{
    uint32_t kind = (uint32_t)nr_random_below(&w->random, 8), which, ticket, epoch = w->b.epoch;
    bool slow = nr_random_below(&w->random, 4) == 0, failed = kind < 3, ignored = kind == 7;
    struct nr_breaker before = w->b;

    if (w->out_count == 0)
        return;
    which = (uint32_t)nr_random_below(&w->random, w->out_count);
    ticket = w->out[which];
    w->out[which] = w->out[--w->out_count];
    nr_breaker_report(&w->b, &w->conf, ticket, w->now_ns, &w->random,
                      ignored  ? NR_BREAKER_IGNORED
                      : failed ? NR_BREAKER_FAILED
                               : NR_BREAKER_OK,
                      slow ? S + 1 : S);
    if (ticket != epoch) { /* stale: nothing at all has changed */
        assert_memory_equal(&before, &w->b, sizeof(before));
        return;
    }
    w->probes_out -= w->state == NR_BREAKER_HALF_OPEN;
    if (!ignored)
        count(w, failed, slow);
}

static void agree(struct world *w)
{
    struct nr_breaker_sums sums = sums_of(w), real;
    uint32_t of_epoch = 0;

    assert_int_equal(w->b.state, w->state);
    real = nr_breaker_look(&w->b, &w->conf, w->now_ns).sums;
    assert_memory_equal(&real, &sums, sizeof(sums));
    for (uint32_t i = 0; i < w->out_count; i++)
        of_epoch += w->out[i] == w->b.epoch;
    assert_int_equal(w->b.out, of_epoch);
    assert_int_equal(
        nr_breaker_wait_ns(&w->b, w->now_ns),
        w->state == NR_BREAKER_OPEN && w->now_ns < w->until_ns ? w->until_ns - w->now_ns : 0);
}

/* Whatever has happened, good answers close it; only where the wait for probes has no bound, one
 * that is never reported keeps it half-open. */
static void recovers(struct world *w)
{
    for (int i = 0; i < 10 && w->b.state != NR_BREAKER_CLOSED; i++) {
        uint32_t ticket;

        w->now_ns += 1000 * S;
        while (w->b.state != NR_BREAKER_CLOSED &&
               nr_breaker_allow(&w->b, &w->conf, w->now_ns, &w->random, &ticket) == NR_BREAKER_PASS)
            nr_breaker_report(&w->b, &w->conf, ticket, w->now_ns, &w->random, NR_BREAKER_OK, 0);
        if (w->conf.probe_wait_ns == 0 && w->b.state == NR_BREAKER_HALF_OPEN)
            return;
    }
    assert_int_equal(w->b.state, NR_BREAKER_CLOSED);
}

static void any_schedule(void **state)
{
    uint64_t opened = 0, closed = 0;

    PROPERTY_FOR_ANY (seed) {
        struct world w = {.now_ns = 5 * S, .since_ns = 5 * S};

        nr_random_init(&w.random, seed);
        random_conf(&w.random, &w.conf);
        nr_breaker_init(&w.b, w.now_ns);
        for (int i = 0; i < STEPS; i++) {
            bool pause = nr_random_below(&w.random, 20) == 0;

            w.now_ns += nr_random_below(&w.random, pause ? 20 * S : S / 5);
            if (nr_random_below(&w.random, 2) == 0)
                ask(&w);
            else
                answer(&w);
            agree(&w);
        }
        opened += w.moves[NR_BREAKER_OPEN];
        closed += w.moves[NR_BREAKER_CLOSED];
        recovers(&w);
    }
    property_covers(opened, 1000);
    property_covers(closed, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        property_test(any_schedule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
