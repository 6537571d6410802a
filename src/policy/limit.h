/* SPDX-License-Identifier: Apache-2.0 */
/* limit.h - how much a key may use, and how soon again: one interface over six algorithms.
 *
 *   algorithm       a fresh key gets    within any `period`         state
 *   TOKEN_BUCKET    burst at once       <= burst + limit            exact to 2^-32 unit
 *   GCRA            burst at once       <= burst + limit            8 bytes used
 *   LEAKY_BUCKET    1 + burst in line   <= burst + 1 + limit; the line leaves one by one
 *   FIXED_WINDOW    limit               <= 2 limit                  cheapest to explain
 *   SLIDING_WINDOW  limit               <= 2 limit, in practice a little over limit (measured in
 *                                       limit_sliding.c)
 *   SLIDING_LOG     limit               <= limit, exactly           8 bytes per unit more
 *
 * Pure policy: no clock, no allocation, no floating point. The time is an argument (monotonic
 * nanoseconds; when it runs backwards it counts as standing still), the state is the caller's and
 * so is its lock. State of all zero bytes is a key never seen. The configuration is passed per
 * call: a tier is simply another configuration with the same algorithm, and a limit that tightens
 * with load one with a smaller rate.
 *
 * check() only looks; consume() takes what a check at the same time has allowed. In between the
 * caller may ask other limits, so that all must allow and a refusal by one costs nothing
 * elsewhere. A cost of 0 asks how things stand and is always allowed. */
#ifndef NR_POLICY_LIMIT_H
#define NR_POLICY_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum nr_limit_algorithm {
    NR_LIMIT_TOKEN_BUCKET,
    NR_LIMIT_LEAKY_BUCKET,
    NR_LIMIT_FIXED_WINDOW,
    NR_LIMIT_SLIDING_WINDOW,
    NR_LIMIT_SLIDING_LOG,
    NR_LIMIT_GCRA,
};

struct nr_limit_conf {
    enum nr_limit_algorithm algorithm;
    uint32_t limit;        /* units per period, >= 1 */
    uint32_t burst;        /* buckets and GCRA, >= 1; leaky bucket: room in line, 0 is none */
    uint32_t smooth_after; /* leaky bucket: so many in line pass at once; burst or more: no waiting,
                              the bucket only rejects */
    uint32_t log_units;    /* sliding log: stamps behind the state, >= limit; the same in all tiers
                              that share a state */
    uint64_t period_ns;    /* 1 to NR_LIMIT_PERIOD_NS_MAX */
};

#define NR_LIMIT_PERIOD_NS_MAX ((uint64_t)366 * 24 * 3600 * 1000000000)

/* The cost is more than the limit can ever allow at once: waiting does not help. */
#define NR_LIMIT_NEVER UINT64_MAX

/* 16 bytes for every algorithm. The sliding log is followed in memory by conf->log_units stamps of
 * eight bytes: nr_limit_state_bytes() in all. */
union nr_limit_state {
    struct {
        uint64_t stamp_ns;
        uint64_t spent_q32; /* missing units as of stamp_ns, times 2^32 */
    } bucket;
    struct {
        uint64_t tat_ns; /* theoretical arrival time of the next unit */
    } gcra;
    struct {
        uint64_t empty_at_ns;
    } leaky;
    struct {
        uint64_t start_ns; /* meaningful while used > 0 */
        uint32_t used;
    } fixed;
    struct {
        uint64_t start_ns;
        uint32_t used;
        uint32_t used_before; /* in the window that ended at start_ns */
    } sliding;
    struct {
        uint32_t oldest; /* index of the first stamp */
        uint32_t count;
        uint64_t newest_ns;
    } log;
};

struct nr_limit_verdict {
    bool allowed;
    uint32_t limit;     /* the most that is ever allowed at once */
    uint32_t remaining; /* allowed at once after this decision */
    uint64_t wait_ns;   /* allowed by a leaky bucket: hold the request so long; else 0 */
    uint64_t reset_ns;  /* until the key is as if never used */
    uint64_t retry_ns;  /* refused: until the same cost may pass, or NR_LIMIT_NEVER; else 0 */
};

/* Is every field in range, so that no arithmetic overflows? For the configuration's check. */
bool nr_limit_conf_ok(const struct nr_limit_conf *conf);

size_t nr_limit_state_bytes(const struct nr_limit_conf *conf);

void nr_limit_check(const union nr_limit_state *state, const struct nr_limit_conf *conf,
                    uint64_t now_ns, uint32_t cost, struct nr_limit_verdict *ret_verdict);

/* Only after a check with the same arguments has allowed it. */
void nr_limit_consume(union nr_limit_state *state, const struct nr_limit_conf *conf,
                      uint64_t now_ns, uint32_t cost);

/* Check, and consume if allowed; returns whether it was. */
bool nr_limit_take(union nr_limit_state *state, const struct nr_limit_conf *conf, uint64_t now_ns,
                   uint32_t cost, struct nr_limit_verdict *ret_verdict);

/* One level of a hierarchy: the whole API, the user, the endpoint. */
struct nr_limit_part {
    union nr_limit_state *state; /* each part its own */
    const struct nr_limit_conf *conf;
    uint32_t cost;
    struct nr_limit_verdict verdict; /* set by nr_limit_take_all() */
};

/* All or nothing. Every part gets its verdict: when the whole was refused, those of parts that
 * would have allowed say what would remain, and nothing is taken. *ret_tightest is the part to
 * tell the client of: of the refusals the one that lasts longest, else the one with the smallest
 * share left. count > 0. */
bool nr_limit_take_all(struct nr_limit_part *parts, size_t count, uint64_t now_ns,
                       size_t *ret_tightest);

/* Is `a` the verdict to tell rather than `b`? */
static inline bool nr_limit_tighter(const struct nr_limit_verdict *a,
                                    const struct nr_limit_verdict *b)
{
    if (a->allowed != b->allowed)
        return !a->allowed;
    if (!a->allowed)
        return a->retry_ns > b->retry_ns;
    return (uint64_t)a->remaining * b->limit < (uint64_t)b->remaining * a->limit;
}

/* The most units that may arrive and be allowed within any window of that length, its start
 * excluded and its end included. What the tests hold every algorithm to. */
uint64_t nr_limit_bound(const struct nr_limit_conf *conf, uint64_t window_ns);

#endif
