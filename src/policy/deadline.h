/* SPDX-License-Identifier: Apache-2.0 */
/* deadline.h - one deadline per request; everything spends from it.
 *
 * Pure: the caller passes the time. The deadline is the least of what route, client and
 * listener allow, fixed at the start; a ledger entry says where the time went. */
#ifndef NR_POLICY_DEADLINE_H
#define NR_POLICY_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

enum { NR_TIME_NEVER_NS_SHIFT = 63 };
#define NR_TIME_NEVER ((uint64_t)1 << NR_TIME_NEVER_NS_SHIFT)

struct nr_deadline {
    uint64_t start_ns;
    uint64_t at_ns; /* NR_TIME_NEVER: none */
};

/* limit_ns 0 means that this party sets none. */
struct nr_deadline nr_deadline_start(uint64_t now_ns, uint64_t limit_ns);

/* Tighten to at most limit_ns after the start; never loosens. */
void nr_deadline_tighten(struct nr_deadline *deadline, uint64_t limit_ns);

/* What is left; 0 when it has passed. */
uint64_t nr_deadline_left_ns(const struct nr_deadline *deadline, uint64_t now_ns);

/* The moment at which a step that wants want_ns (0: as long as it likes) must stop: never
 * behind the deadline. */
uint64_t nr_deadline_bound_ns(const struct nr_deadline *deadline, uint64_t now_ns,
                              uint64_t want_ns);

#endif
