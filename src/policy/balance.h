/* SPDX-License-Identifier: Apache-2.0 */
/* balance.h - which instance takes the next call.
 *
 * Pure: time and randomness are arguments, nothing is allocated. Not thread-safe: the service that
 * embeds it holds its lock. One host array serves all algorithms, so a reload may change the
 * algorithm and keep what was learnt.
 *
 * A pick considers hosts that are up and whose bit in `skip` is clear (bits are hosts 0 to 63; a
 * later host is never skipped). It returns the host's index or NR_BALANCE_NONE, and changes no
 * in_flight: that is the caller's, together with nr_balance_observe. */
#ifndef NR_POLICY_BALANCE_H
#define NR_POLICY_BALANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"

enum { NR_BALANCE_NONE = 0xffffffff };

struct nr_balance_host {
    uint32_t weight;    /* its share of what is handed out; at least 1 */
    uint32_t in_flight; /* calls now; the caller's */
    int64_t turn;       /* balance_rr: credit towards the next turn */
    float ewma_ns;      /* balance_p2c: peak-sensitive latency; 0: nothing known */
    float penalty;      /* balance_p2c: factor >= 1 from recent failures */
    uint64_t stamp_ns;  /* when ewma_ns and penalty were written */
    float burden;       /* what one call in flight weighs: 1 / weight as configured */
    bool up;            /* nr_balance_mark or nr_balance_settle follow a change */
};

struct nr_balance_set {
    struct nr_balance_host *hosts; /* borrowed */
    uint32_t count;
    uint32_t up;        /* how many are up */
    uint32_t equal;     /* the weight that all share; 0: they differ */
    uint64_t weight_up; /* of all that are up */
};

/* hosts[].weight and .up are set by the caller; everything else is zeroed here. */
void nr_balance_init(struct nr_balance_set *b, struct nr_balance_host *hosts, uint32_t count);

void nr_balance_mark(struct nr_balance_set *b, uint32_t host, bool up);

/* The caller has written weight, burden or up of any hosts, or hosts, count: some have come or
 * gone. restart: who is up has changed, so turns begin anew. A newcomer has everything zero but
 * weight, burden, up and penalty 1. */
void nr_balance_settle(struct nr_balance_set *b, bool restart);

static inline bool nr_balance_takes(const struct nr_balance_host *host, uint32_t index,
                                    uint64_t skip)
{
    return host->up && (index > 63 || (skip >> index & 1) == 0);
}

/* Smooth weighted round robin. */
uint32_t nr_balance_pick_rr(struct nr_balance_set *b, uint64_t skip);

/* The fewest calls in flight for its weight; equals take turns. */
uint32_t nr_balance_pick_least(struct nr_balance_set *b, uint64_t skip);

/* One at random, by weight. */
uint32_t nr_balance_pick_random(const struct nr_balance_set *b, uint64_t skip,
                                struct nr_random *random);

/* The same, but never `except` (NR_BALANCE_NONE: anyone). */
uint32_t nr_balance_draw(const struct nr_balance_set *b, uint64_t skip, uint32_t except,
                         struct nr_random *random);

/* The better of two chosen at random by weight. */
uint32_t nr_balance_pick_p2c(struct nr_balance_set *b, uint64_t skip, struct nr_random *random,
                             uint64_t now_ns);

/* All hosts up, none skipped, equal weights: a random index is a fair draw. */
static inline bool nr_balance_is_plain(const struct nr_balance_set *b, uint64_t skip)
{
    return skip == 0 && b->equal != 0 && b->up == b->count && b->count > 1;
}

/* What balance_p2c thinks a further call on this host costs now: lower is better. */
float nr_balance_cost(const struct nr_balance_host *host, uint64_t now_ns);

/* What was learnt of this host no longer holds. */
void nr_balance_forget(struct nr_balance_host *host);

/* A call is over: latency_ns to its head or its failure. */
void nr_balance_observe(struct nr_balance_host *host, uint64_t now_ns, uint64_t latency_ns,
                        bool ok);

#endif
