/* SPDX-License-Identifier: Apache-2.0 */
/* micro_limit.c - nanoseconds per rate limit decision, of CPU time: single states, then keys at
 * random in a table of 1,000,000 live ones (the smallest of several rounds, because noise only
 * adds); and the accuracy of the two-counter window against the exact log.
 * `meson compile bench-micro-limit`. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/compiler.h"
#include "base/random.h"
#include "policy/limit_table.h"

#define S ((uint64_t)1000000000)

enum { ROUNDS = 21, REPEATS = 100000, REQUESTS = 1000000, KEYS = 1000000, STAMPS = 100 };

static const struct nr_limit_conf confs[] = {
    {NR_LIMIT_TOKEN_BUCKET, 100, 100, 0, 0, 60 * S},
    {NR_LIMIT_GCRA, 100, 100, 0, 0, 60 * S},
    {NR_LIMIT_LEAKY_BUCKET, 100, 100, 0, 0, 60 * S},
    {NR_LIMIT_FIXED_WINDOW, 100, 0, 0, 0, 60 * S},
    {NR_LIMIT_SLIDING_WINDOW, 100, 0, 0, 0, 60 * S},
    {NR_LIMIT_SLIDING_LOG, 100, 0, 0, STAMPS, 60 * S},
};
static const char *const names[] = {"token bucket", "gcra",           "leaky bucket",
                                    "fixed window", "sliding window", "sliding log"};

static double clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* One key, offered 1.5 times its limit. */
static void single(const char *name, const struct nr_limit_conf *conf)
{
    static struct {
        union nr_limit_state state;
        uint64_t stamps[STAMPS];
    } room;
    double best = 1e18;
    uint64_t now_ns = S, allowed = 0;

    memset(&room, 0, sizeof(room));
    for (int round = 0; round < ROUNDS; round++) {
        double start = clock_ns(), took;

        for (int i = 0; i < REPEATS; i++) {
            struct nr_limit_verdict v;

            now_ns += 400000000;
            allowed += nr_limit_take(&room.state, conf, now_ns, 1, &v);
        }
        took = (clock_ns() - start) / REPEATS;
        best = took < best ? took : best;
    }
    printf("one key, %-15s %28.1f ns   (%.0f %% allowed)\n", name, best,
           100.0 * (double)allowed / REPEATS / ROUNDS);
}

/* The n-th key, computed: an array of keys would cost a cache miss of its own. */
static struct nr_hash128 key_of(uint64_t n)
{
    uint64_t z = (n + 1) * 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z ^= z >> 27;
    return (struct nr_hash128){z * 0x94d049bb133111ebu, z ^ (z << 17)};
}

static void *map(size_t bytes, bool huge)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        abort();
    madvise(memory, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    return memory;
}

/* A decision whose key depends on the one before, so that no two misses overlap: latency. Without,
 * they may: what a busy worker sees. */
static double live_keys(struct nr_limit_table *table, const struct nr_limit_conf *conf,
                        size_t levels, bool chained)
{
    struct nr_random random;
    double best = 1e18;
    uint64_t now_ns = 100 * S, carry = 0;

    nr_random_init(&random, 7);
    for (int round = 0; round < ROUNDS; round++) {
        double start = clock_ns(), took;

        for (int i = 0; i < REPEATS; i++) {
            struct nr_limit_use uses[3], *all[3] = {&uses[0], &uses[1], &uses[2]};
            size_t tightest;

            for (size_t level = 0; level < levels; level++) {
                uses[level] = (struct nr_limit_use){
                    .table = table,
                    .key = key_of(nr_random_below(&random, KEYS) ^ (carry & 1)),
                    .tiers = conf,
                    .tier_count = 1,
                    .cost = 1};
                nr_limit_table_aim(&uses[level]);
            }
            now_ns += 100;
            nr_limit_table_take_all(all, levels, now_ns, &tightest);
            carry = chained ? uses[0].verdict.remaining : 0;
        }
        took = (clock_ns() - start) / REPEATS;
        best = took < best ? took : best;
    }
    return best;
}

/* Some work of a request that depends on what was before: steps of about a nanosecond. */
static uint64_t work(uint64_t carry, int steps)
{
    for (int i = 0; i < steps; i++)
        carry = (carry ^ carry >> 29) * 0xbf58476d1ce4e5b9u;
    return carry;
}

/* The same key, but not before the text of a name has been hashed. */
static struct nr_hash128 key_by_name(uint64_t n)
{
    static const uint64_t secret[2] = {1, 2};
    static volatile uint64_t nothing;
    struct nr_hash128 key = key_of(n), hash;
    char name[13] = "user-";

    memcpy(name + 5, &n, 8);
    hash = nr_siphash128(secret, (struct nr_span){name, sizeof(name)});
    key.lo ^= hash.lo & nothing;
    key.hi ^= hash.hi & nothing;
    return key;
}

/* As a request does it: the texts of its keys are hashed and their lines asked for; then other work
 * is done before the decision, which depends on all that. Nanoseconds without that work. */
static volatile uint64_t sink; /* what was worked out is needed */

static double request(struct nr_limit_table *table, const struct nr_limit_conf *conf, size_t levels,
                      int steps, bool decide)
{
    struct nr_random random;
    double start, took, best = 1e18;
    uint64_t now_ns = 200 * S, carry = 0;

    nr_random_init(&random, 9);
    for (int round = 0; round < ROUNDS; round++) {
        start = clock_ns();
        for (int i = 0; i < REPEATS; i++) {
            struct nr_limit_use uses[3], *all[3] = {&uses[0], &uses[1], &uses[2]};
            uint64_t users[3];
            size_t tightest;

            for (size_t level = 0; level < levels; level++) {
                users[level] = nr_random_below(&random, KEYS) ^ (carry & 1);
                if (!decide)
                    continue;
                uses[level] = (struct nr_limit_use){.table = table,
                                                    .key = key_by_name(users[level]),
                                                    .tiers = conf,
                                                    .tier_count = 1,
                                                    .cost = 1};
                nr_limit_table_aim(&uses[level]);
            }
            carry = work(carry ^ users[0], steps);
            now_ns += 100;
            if (!decide)
                continue;
            nr_limit_table_take_all(all, levels, now_ns + (carry & 1), &tightest);
            carry ^= uses[tightest].verdict.remaining;
        }
        took = (clock_ns() - start) / REPEATS;
        best = took < best ? took : best;
        sink = carry;
    }
    return best;
}

static void requests(struct nr_limit_table *table, const struct nr_limit_conf *conf, size_t levels)
{
    static const int steps[] = {0, 50, 100, 200};

    for (size_t i = 0; i < NR_COUNT(steps); i++) {
        double without = request(table, conf, levels, steps[i], false);
        double with = request(table, conf, levels, steps[i], true);
        char what[64];

        snprintf(what, sizeof(what), "%zu key%s of a request, %.0f ns of work between", levels,
                 levels > 1 ? "s" : "", without);
        printf("  %-45s %6.1f ns, %.1f a key\n", what, with - without,
               (with - without) / (double)levels);
    }
}

/* What the machine takes at least: one dependent load from anywhere in the table's memory. */
static double one_load(const unsigned char *memory, size_t bytes)
{
    struct nr_random random;
    double start = clock_ns(), took;
    uint64_t carry = 0;

    nr_random_init(&random, 5);
    for (int i = 0; i < REPEATS; i++)
        carry = memory[(nr_random_below(&random, bytes) & ~(uint64_t)63) | (carry & 1)];
    took = (clock_ns() - start) / REPEATS;
    return carry == 255 ? 0 : took; /* a byte that never comes: the loads are needed */
}

static void fill(struct nr_limit_table *table, uint64_t first, const struct nr_limit_conf *conf,
                 const char *what)
{
    double start = clock_ns();
    uint32_t evicted = 0;

    for (uint32_t i = 0; i < KEYS; i++) {
        struct nr_limit_use use = {
            .table = table, .key = key_of(first + i), .tiers = conf, .tier_count = 1, .cost = 20};
        struct nr_limit_use *all = &use;
        size_t tightest;

        nr_limit_table_aim(&use);
        nr_limit_table_take_all(&all, 1, S, &tightest);
        evicted += use.evicted;
    }
    printf("  %-45s %6.1f ns   (%u evicted another)\n", what, (clock_ns() - start) / KEYS, evicted);
}

static void tables(const struct nr_limit_conf *conf, const char *name, bool huge)
{
    size_t bytes = nr_limit_table_bytes(KEYS, conf->log_units);
    void *memory = map(bytes, huge);
    struct nr_limit_table table;

    nr_limit_table_init(&table, memory, bytes, conf->log_units);
    printf("%s, %d keys in %.1f MB (%.1f bytes per key)%s\n", name, KEYS, (double)bytes / 1e6,
           (double)bytes / KEYS, huge ? ", huge pages" : "");
    fill(&table, 0, conf, "a new key");
    printf("  %-45s %6.1f ns\n", "to compare: one load from that memory", one_load(memory, bytes));
    printf("  %-45s %6.1f ns\n", "a decision, one after the other",
           live_keys(&table, conf, 1, true));
    printf("  %-45s %6.1f ns\n", "a decision, misses overlap", live_keys(&table, conf, 1, false));
    printf("  %-45s %6.1f ns\n", "three levels", live_keys(&table, conf, 3, true));
    requests(&table, conf, 1);
    requests(&table, conf, 3);
    fill(&table, KEYS, conf, "another 1,000,000 new keys");
    munmap(memory, bytes);
}

static void hashing(void)
{
    static const uint64_t key[2] = {1, 2};
    double start = clock_ns();
    uint64_t sum = 0;
    char text[] = "user:0123456789abcdef";

    for (int i = 0; i < REPEATS; i++) {
        text[5] = (char)i;
        sum += nr_siphash128(key, NR_SPAN("")).lo + nr_siphash128(key, nr_span_of(text)).lo;
    }
    printf("SipHash-1-3 of 21 bytes and of none %24.1f ns   (%u)\n", (clock_ns() - start) / REPEATS,
           (unsigned)(sum & 1));
}

/* Poisson arrivals, or such in bursts, offered to both windows at once. */
static void accuracy(const char *what, double load, uint32_t burst)
{
    static struct {
        union nr_limit_state state;
        uint64_t stamps[STAMPS];
    } exact;
    static uint64_t at_ns[REQUESTS];
    union nr_limit_state two = {0};
    struct nr_random random;
    uint64_t now_ns = S, admitted = 0, by_exact = 0, differ = 0, first = 0, over = 0, most = 0;

    memset(&exact, 0, sizeof(exact));
    nr_random_init(&random, 11);
    for (int i = 0; i < REQUESTS; i++) {
        struct nr_limit_verdict a, b;
        double gap = -log(1 - nr_random_unit(&random)) * 60e9 / (100 * load) * burst;

        now_ns += i % (int)burst == 0 ? (uint64_t)gap : 0;
        nr_limit_take(&two, &confs[4], now_ns, 1, &a);
        by_exact += nr_limit_take(&exact.state, &confs[5], now_ns, 1, &b);
        differ += a.allowed != b.allowed;
        if (!a.allowed)
            continue;
        at_ns[admitted++] = now_ns;
        while (at_ns[first] + 60 * S <= now_ns)
            first++;
        over += admitted - first > 100;
        most = admitted - first > most ? admitted - first : most;
    }
    printf("  %-34s %7.3f %7.3f %7.3f %8.3f %6u\n", what, 100.0 * (double)admitted / REQUESTS,
           100.0 * (double)by_exact / REQUESTS, 100.0 * (double)differ / REQUESTS,
           100.0 * (double)over / REQUESTS, (unsigned)most);
}

int main(void)
{
    for (size_t i = 0; i < NR_COUNT(confs); i++)
        single(names[i], &confs[i]);
    hashing();
    tables(&confs[1], names[1], false);
    tables(&confs[1], names[1], true);
    tables(&confs[0], names[0], true);
    tables(&confs[4], names[4], true);
    printf("two counters against the exact log, 100/min, 1,000,000 requests; %% of them:\n"
           "  %-34s %7s %7s %7s %8s %6s\n",
           "offered", "allowed", "exactly", "differ", "over 100", "most");
    accuracy("half the limit", 0.5, 1);
    accuracy("90 % of the limit", 0.9, 1);
    accuracy("the limit", 1.0, 1);
    accuracy("twice the limit", 2.0, 1);
    accuracy("ten times the limit", 10.0, 1);
    accuracy("half the limit, bursts of 20", 0.5, 20);
    accuracy("the limit, bursts of 20", 1.0, 20);
    accuracy("twice the limit, bursts of 80", 2.0, 80);
    return 0;
}
