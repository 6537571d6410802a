/* SPDX-License-Identifier: Apache-2.0 */
/* simtest.h - the frame of a simulated world program: arguments, TAP, replay.
 *
 *   sim_NAME                    the default number of seeds, from 1
 *   sim_NAME --seeds COUNT      that many
 *   sim_NAME --seed N           one, in this very process, for the debugger
 *   sim_NAME --seed N --trace   and every operation that completes, on stderr
 *
 * Seeds run in blocks, one TAP line each; each block in a child process, so that an assertion, a
 * crash, a sanitizer's report and a hang all end as "not ok" with the seed that replays it. The
 * first seed of each block runs twice: a world that does not repeat itself is a failure as well. */
#ifndef TESTS_SIM_SIMTEST_H
#define TESTS_SIM_SIMTEST_H

#include "io/sim.h"

struct simtest {
    uint64_t seed;
    uint64_t hash; /* of everything that completed; meaningful while hashing */
    bool hashing;
    bool tracing;
};

/* One world from its beginning to its end (nr_sim_free). A failed check does not return. */
typedef void simtest_world(struct simtest *test);

/* Put the seed, and the trace if one is wanted, into conf. */
void simtest_conf(struct simtest *test, struct nr_sim_conf *conf);

/* A world without a simulator of its own to trace: what came of it stands for what completed. */
void simtest_hash(struct simtest *test, struct nr_span what);

/* Say what is wrong, with seed and virtual time (sim NULL: without), and abort. */
_Noreturn void simtest_fail(const struct simtest *test, const struct nr_sim *sim,
                            const char *format, ...) __attribute__((format(printf, 3, 4)));

#define simtest_check(test, sim, condition, ...)                                                   \
    ((condition) ? (void)0 : simtest_fail((test), (sim), __VA_ARGS__))

/* The whole of main. */
int simtest_main(int argc, char **argv, const char *name, uint64_t seeds_default,
                 simtest_world *world);

#endif
