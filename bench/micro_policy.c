/* SPDX-License-Identifier: Apache-2.0 */
/* micro_policy.c - nanoseconds per decision of the policies, alone on a core: the smallest of
 * several rounds, because noise only adds. `meson compile bench-micro-policy`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "policy/adaptive.h"
#include "policy/breaker.h"
#include "policy/bulkhead.h"
#include "policy/deadline.h"
#include "policy/eject.h"
#include "policy/retry_budget.h"

enum { ROUNDS = 15, REPEATS = 200000 };

#define S ((uint64_t)1000000000)

struct bench {
    struct nr_random random;
    struct nr_breaker_conf conf;
    struct nr_breaker breaker;
    struct nr_retry_budget budget;
    struct nr_bulkhead bulkhead;
    struct nr_bulkhead_node node;
    struct nr_adaptive adaptive;
    struct nr_eject eject;
    struct nr_eject_host hosts[3];
    uint64_t now_ns;
};

static double clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void run(const char *name, struct bench *bench, void (*once)(struct bench *bench))
{
    double best = 1e18;

    for (int round = 0; round < ROUNDS; round++) {
        double start = clock_ns(), each;

        for (int i = 0; i < REPEATS; i++)
            once(bench);
        each = (clock_ns() - start) / REPEATS;
        best = each < best ? each : best;
    }
    printf("%-40s %6.1f ns%s\n", name, best, strncmp(name, "breaker", 7) == 0 ? ", goal 50" : "");
}

/* A call asked for and reported; 1 of 16 fails; a millisecond passes. */
static void breaker_call(struct bench *bench)
{
    uint32_t ticket;

    bench->now_ns += S / 1000;
    if (nr_breaker_allow(&bench->breaker, &bench->conf, bench->now_ns, &bench->random, &ticket) !=
        NR_BREAKER_PASS)
        abort();
    nr_breaker_report(&bench->breaker, &bench->conf, ticket, bench->now_ns, &bench->random,
                      bench->now_ns / (S / 1000) % 16 == 0 ? NR_BREAKER_FAILED : NR_BREAKER_OK,
                      S / 1000);
}

static void breaker_refuse(struct bench *bench)
{
    uint32_t ticket;

    if (nr_breaker_allow(&bench->breaker, &bench->conf, bench->now_ns, &bench->random, &ticket) !=
        NR_BREAKER_REFUSE)
        abort();
}

static void breakers(struct bench *bench)
{
    bench->conf = nr_breaker_conf_default;
    bench->now_ns = 1000 * S;
    nr_breaker_init(&bench->breaker, bench->now_ns);
    run("breaker: allow + report, by count", bench, breaker_call);
    bench->conf.window = NR_BREAKER_BY_TIME;
    run("breaker: allow + report, by time", bench, breaker_call);
    nr_breaker_force(&bench->breaker, NR_BREAKER_FORCED_OPEN, bench->now_ns);
    run("breaker: refuse", bench, breaker_refuse);
}

static void bulkhead_call(struct bench *bench)
{
    enum nr_bulkhead_verdict verdict;

    bench->now_ns += 1000;
    if (nr_bulkhead_enter(&bench->bulkhead, &nr_bulkhead_conf_default, &bench->node, bench->now_ns,
                          NR_TIME_NEVER, true) != NR_BULKHEAD_GRANTED)
        abort();
    nr_bulkhead_leave(&bench->bulkhead, &bench->node);
    if (nr_bulkhead_next(&bench->bulkhead, &nr_bulkhead_conf_default, bench->now_ns, &verdict))
        abort();
}

static void budget_request(struct bench *bench)
{
    bench->now_ns += 1000;
    nr_retry_budget_request(&bench->budget, &nr_retry_budget_conf_default, bench->now_ns);
}

static void budget_take(struct bench *bench)
{
    bench->now_ns += 1000;
    nr_retry_budget_take(&bench->budget, &nr_retry_budget_conf_default, bench->now_ns);
}

static void adaptive_report(struct bench *bench)
{
    bench->now_ns += 1000;
    nr_adaptive_report(&bench->adaptive, &nr_adaptive_conf_default, bench->now_ns, S / 100, 10,
                       false);
}

static void eject_report(struct bench *bench)
{
    bench->now_ns += 1000;
    nr_eject_report(&bench->eject, &nr_eject_conf_default, (uint32_t)(bench->now_ns / 1000 % 3),
                    bench->now_ns, &bench->random, NR_EJECT_OK, S / 100);
}

static void others(struct bench *bench)
{
    nr_bulkhead_init(&bench->bulkhead);
    nr_bulkhead_node_init(&bench->node);
    run("bulkhead: enter + leave + next", bench, bulkhead_call);
    nr_retry_budget_init(&bench->budget, &nr_retry_budget_conf_default, bench->now_ns);
    run("retry budget: request", bench, budget_request);
    run("retry budget: take", bench, budget_take);
    nr_adaptive_init(&bench->adaptive, &nr_adaptive_conf_default, bench->now_ns);
    run("adaptive limit: report", bench, adaptive_report);
    nr_eject_init(&bench->eject, bench->hosts, 3);
    run("ejection: report", bench, eject_report);
}

int main(void)
{
    struct bench bench = {.now_ns = 0};

    nr_random_init(&bench.random, 1);
    breakers(&bench);
    others(&bench);
    return 0;
}
