/* SPDX-License-Identifier: Apache-2.0 */
/* balance_hash.h - the host that a key belongs to, unless it has too much to do. Pure. */
#ifndef NR_POLICY_BALANCE_HASH_H
#define NR_POLICY_BALANCE_HASH_H

#include "policy/balance.h"
#include "policy/hash_table.h"

enum { NR_BALANCE_BOUND_FREE = 8 }; /* calls in flight that are anybody's fair share */

/* bound_pct: how much of its fair share a host may have in flight, at least 100; 0: any. in_flight:
 * of all hosts. See nr_balance_pick_rr for skip and the result. */
uint32_t nr_balance_pick_hash(struct nr_balance_set *b, const struct nr_hash_table *table,
                              uint64_t key, uint64_t skip, uint32_t bound_pct, uint32_t in_flight);

#endif
