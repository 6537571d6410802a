/* SPDX-License-Identifier: Apache-2.0 */
#include "simtest.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    BLOCKS_MAX = 20,
    SEED_SECONDS_MAX = 120, /* real ones, under sanitizers on a busy machine: else it hangs */
};

struct run {
    const char *name;
    simtest_world *world;
    uint64_t first;
    uint64_t count;
    bool tracing;
    bool single;
    volatile uint64_t *seed_now; /* shared with the children */
};

/* ---- one world ---- */

static void hash_in(uint64_t *hash, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;

    for (size_t i = 0; i < len; i++)
        *hash = (*hash ^ at[i]) * 0x100000001b3u; /* FNV-1a */
}

static void on_trace(void *ctx, uint64_t now_ns, const char *host, const char *op_name,
                     int32_t result)
{
    struct simtest *test = ctx;

    if (test->tracing)
        fprintf(stderr, "%14.6f ms %-12s %-24s %d\n", (double)now_ns / 1e6, host, op_name,
                (int)result);
    hash_in(&test->hash, &now_ns, sizeof(now_ns));
    hash_in(&test->hash, host, strlen(host));
    hash_in(&test->hash, op_name, strlen(op_name));
    hash_in(&test->hash, &result, sizeof(result));
}

void simtest_hash(struct simtest *test, struct nr_span what)
{
    hash_in(&test->hash, what.ptr, what.len);
}

void simtest_conf(struct simtest *test, struct nr_sim_conf *conf)
{
    conf->seed = test->seed;
    if (!test->hashing && !test->tracing)
        return;
    conf->trace = on_trace;
    conf->trace_ctx = test;
}

void simtest_fail(const struct simtest *test, const struct nr_sim *sim, const char *format, ...)
{
    va_list args;

    printf("# seed %llu", (unsigned long long)test->seed);
    if (sim != NULL)
        printf(", %.6f s", (double)nr_sim_now_ns(sim) / 1e9);
    printf(": ");
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    fflush(stdout);
    abort();
}

static uint64_t run_seed(const struct run *run, uint64_t seed, bool hashing)
{
    struct simtest test = {
        .seed = seed, .hash = 0xcbf29ce484222325u, .hashing = hashing, .tracing = run->tracing};

    alarm(run->single ? 0 : SEED_SECONDS_MAX);
    run->world(&test);
    return test.hash;
}

/* ---- blocks ---- */

static void run_block(const struct run *run, uint64_t from, uint64_t to)
{
    for (uint64_t seed = from; seed < to; seed++) {
        *run->seed_now = seed;
        if (seed == from && run_seed(run, seed, true) != run_seed(run, seed, true)) {
            printf("# seed %llu: two runs of it differ\n", (unsigned long long)seed);
            fflush(stdout);
            abort();
        }
        if (seed != from)
            run_seed(run, seed, false);
    }
}

static bool block_passes(const struct run *run, uint64_t from, uint64_t to)
{
    int status = 0;
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child < 0)
        return false;
    if (child == 0) {
        run_block(run, from, to);
        exit(0); /* not _exit: LeakSanitizer looks now */
    }
    while (waitpid(child, &status, 0) < 0)
        ;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        printf("# seed %llu does not end\n", (unsigned long long)*run->seed_now);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int run_blocks(const struct run *run)
{
    uint64_t per_block = (run->count + BLOCKS_MAX - 1) / BLOCKS_MAX;
    uint64_t blocks = (run->count + per_block - 1) / per_block;
    bool passed = true;

    printf("1..%llu\n", (unsigned long long)blocks);
    for (uint64_t i = 0; i < blocks; i++) {
        uint64_t from = run->first + i * per_block, to = from + per_block;
        bool ok;

        if (to > run->first + run->count)
            to = run->first + run->count;
        ok = block_passes(run, from, to);
        printf("%s %llu - %s: seeds %llu..%llu\n", ok ? "ok" : "not ok",
               (unsigned long long)(i + 1), run->name, (unsigned long long)from,
               (unsigned long long)(to - 1));
        if (!ok)
            printf("# replay: ./dev sim %s --seed %llu\n", run->name,
                   (unsigned long long)*run->seed_now);
        passed = passed && ok;
    }
    return passed ? 0 : 1;
}

static int run_single(const struct run *run)
{
    *run->seed_now = run->first;
    printf("1..1\n");
    fflush(stdout);
    run_seed(run, run->first, false);
    printf("ok 1 - %s: seed %llu\n", run->name, (unsigned long long)run->first);
    return 0;
}

/* ---- arguments ---- */

static bool parse_number(const char *text, uint64_t *ret_number)
{
    char *end = NULL;

    if (text == NULL || text[0] < '0' || text[0] > '9')
        return false;
    *ret_number = strtoull(text, &end, 10);
    return *end == '\0';
}

static bool parse(int argc, char **argv, struct run *run)
{
    bool seed_given = false, count_given = false;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--trace") == 0) {
            run->tracing = true;
        } else if (strcmp(argv[i], "--seed") == 0 && parse_number(argv[i + 1], &run->first)) {
            seed_given = true;
            i++;
        } else if (strcmp(argv[i], "--seeds") == 0 && parse_number(argv[i + 1], &run->count) &&
                   run->count > 0) {
            count_given = true;
            i++;
        } else {
            return false;
        }
    }
    run->single = seed_given && !count_given;
    return true;
}

int simtest_main(int argc, char **argv, const char *name, uint64_t seeds_default,
                 simtest_world *world)
{
    struct run run = {.name = name, .world = world, .first = 1, .count = seeds_default};
    int status;
    void *shared;

    if (!parse(argc, argv, &run)) {
        fprintf(stderr, "usage: %s [--seed N] [--seeds COUNT] [--trace]\n", argv[0]);
        return 2;
    }
    shared =
        mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        perror("mmap");
        return 2;
    }
    run.seed_now = shared;
    status = run.single ? run_single(&run) : run_blocks(&run);
    munmap(shared, sizeof(uint64_t));
    return status;
}
