/* SPDX-License-Identifier: Apache-2.0 */
/* micro_policy.c - nanoseconds per decision of the policies, alone on a core: the smallest of
 * several rounds, because noise only adds. `meson compile bench-micro-policy`. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "policy/breaker.h"

enum { ROUNDS = 15, REPEATS = 200000 };

#define S ((uint64_t)1000000000)

struct bench {
    struct nr_random random;
    struct nr_breaker_conf conf;
    struct nr_breaker breaker;
    uint64_t now_ns;
};

static double clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
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
    printf("%-40s %6.1f ns\n", name, best);
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

int main(void)
{
    struct bench bench = {.now_ns = 0};

    nr_random_init(&bench.random, 1);
    breakers(&bench);
    return 0;
}
