/* SPDX-License-Identifier: Apache-2.0 */
/* How far the window of two counters is from the exact log, over random traffic: what
 * docs/limits.md says of it is printed and held here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "../property.h"
#include "base/random.h"
#include "policy/limit.h"

#define S ((uint64_t)1000000000)

enum { LIMIT_MAX = 200, PERIODS = 20, ADMITTED_MAX = 2 * LIMIT_MAX * (PERIODS + 1) };

enum shape { EVEN, POISSON, BURSTS, ON_OFF, WAVES, SHAPES };

static const char *const names[SHAPES] = {"even", "Poisson", "bursts", "on and off", "waves"};

struct traffic {
    struct nr_random random;
    enum shape shape;
    double gap_ns;  /* on average */
    uint32_t burst; /* BURSTS: requests at once */
    uint32_t left;  /* of them */
    double on_ns;   /* ON_OFF, WAVES: how long a phase lasts … */
    double duty;    /* ON_OFF: … and which share of it is busy */
    double pace;    /* WAVES: of this phase */
    uint64_t phase_end_ns;
    uint64_t now_ns;
};

static double exponential(struct nr_random *random)
{
    return -log(1 - nr_random_unit(random));
}

static void begin_traffic(struct traffic *t, uint64_t seed, uint32_t limit)
{
    double load;

    memset(t, 0, sizeof(*t));
    nr_random_init(&t->random, seed);
    t->shape = (enum shape)(seed % SHAPES);
    load = 0.3 * pow(10, nr_random_unit(&t->random)); /* 0.3 to 3 times the limit */
    t->gap_ns = 60e9 / (limit * load);
    t->burst = 2 + (uint32_t)nr_random_below(&t->random, limit);
    t->on_ns = 60e9 * (0.1 + 3 * nr_random_unit(&t->random));
    t->duty = 0.1 + 0.8 * nr_random_unit(&t->random);
    t->pace = 1;
    t->now_ns = S;
}

/* The moment of the next request. */
static uint64_t next_request(struct traffic *t)
{
    double gap_ns = t->gap_ns;

    switch (t->shape) {
    case EVEN: break;
    case BURSTS:
        gap_ns = t->left == 0 ? gap_ns * t->burst * exponential(&t->random) : 0;
        t->left = t->left == 0 ? t->burst - 1 : t->left - 1;
        break;
    case ON_OFF: gap_ns *= t->duty * exponential(&t->random); break;
    case WAVES: gap_ns *= exponential(&t->random) / t->pace; break;
    default: gap_ns *= exponential(&t->random); break;
    }
    t->now_ns += (uint64_t)gap_ns;
    if (t->shape >= ON_OFF && t->now_ns >= t->phase_end_ns) {
        t->now_ns += t->shape == ON_OFF ? (uint64_t)(t->on_ns * (1 - t->duty)) : 0;
        t->phase_end_ns = t->now_ns + (uint64_t)(t->on_ns * (t->shape == ON_OFF ? t->duty : 1));
        t->pace = 0.1 + 2 * nr_random_unit(&t->random);
    }
    return t->now_ns;
}

struct outcome {
    uint32_t offered, two, exact; /* requests, and what each allowed */
    uint32_t over;                /* allowed, and one too many for the minute before it */
    uint32_t most;                /* in any minute */
    uint32_t limit;
};

static struct outcome play(uint64_t seed)
{
    static struct {
        union nr_limit_state state;
        uint64_t stamps[LIMIT_MAX];
    } log;
    static uint64_t at_ns[ADMITTED_MAX];
    struct outcome o = {.limit = 10 + (uint32_t)(seed / SHAPES % (LIMIT_MAX - 9))};
    struct nr_limit_conf two = {
        .algorithm = NR_LIMIT_SLIDING_WINDOW, .limit = o.limit, .period_ns = 60 * S};
    struct nr_limit_conf exact = {.algorithm = NR_LIMIT_SLIDING_LOG,
                                  .limit = o.limit,
                                  .log_units = LIMIT_MAX,
                                  .period_ns = 60 * S};
    union nr_limit_state state = {0};
    struct traffic t;
    uint32_t first = 0;

    memset(&log, 0, sizeof(log));
    begin_traffic(&t, seed, o.limit);
    for (uint64_t now_ns = next_request(&t); now_ns < S + PERIODS * 60 * S;
         now_ns = next_request(&t)) {
        struct nr_limit_verdict a, b;

        o.offered++;
        o.exact += nr_limit_take(&log.state, &exact, now_ns, 1, &b);
        if (!nr_limit_take(&state, &two, now_ns, 1, &a))
            continue;
        assert_true(o.two < ADMITTED_MAX);
        at_ns[o.two++] = now_ns;
        while (at_ns[first] + 60 * S <= now_ns)
            first++;
        o.over += o.two - first > o.limit;
        o.most = o.two - first > o.most ? o.two - first : o.most;
    }
    return o;
}

struct errors {
    uint32_t runs;
    double sum, sum_abs, least, greatest; /* allowed against the exact log, in % of it */
    double over, over_worst;              /* in % of what was allowed */
    double most, most_worst;              /* in % of the limit */
};

static void add(struct errors *e, const struct outcome *o)
{
    double error = 100.0 * ((double)o->two - o->exact) / o->exact;
    double over = 100.0 * o->over / o->two, most = 100.0 * o->most / o->limit;

    e->runs++;
    e->sum += error;
    e->sum_abs += fabs(error);
    e->least = fmin(e->least, error);
    e->greatest = fmax(e->greatest, error);
    e->over += over;
    e->over_worst = fmax(e->over_worst, over);
    e->most += most;
    e->most_worst = fmax(e->most_worst, most);
}

static void tell(const char *name, const struct errors *e)
{
    double n = e->runs > 0 ? e->runs : 1;

    print_message("# %-10s allowed %+6.2f %% (|%.2f|, %+.1f to %+.1f), too many %5.2f %% (%.1f), "
                  "fullest minute %5.1f %% (%.1f)\n",
                  name, e->sum / n, e->sum_abs / n, e->least, e->greatest, e->over / n,
                  e->over_worst, e->most / n, e->most_worst);
}

static void against_the_exact_log(void **state)
{
    struct errors all = {0}, by_shape[SHAPES] = {{0}};

    PROPERTY_FOR_ANY (seed) {
        struct outcome o = play(seed);

        if (o.offered == 0)
            continue;
        assert_true(o.most <= 2 * o.limit);
        assert_true(o.two >= 1 && o.exact >= 1);
        add(&all, &o);
        add(&by_shape[seed % SHAPES], &o);
    }
    for (int shape = 0; shape < SHAPES; shape++)
        tell(names[shape], &by_shape[shape]);
    tell("all", &all);
    if (property.count >= 1000) { /* or chance rules */
        assert_true(fabs(all.sum) / all.runs < 1 && all.sum_abs / all.runs < 2.5);
        assert_true(by_shape[POISSON].greatest < 10 && by_shape[POISSON].most_worst < 140);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        property_test(against_the_exact_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
