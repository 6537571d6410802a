/* SPDX-License-Identifier: Apache-2.0 */
/* crowd.h - how many connections of one listener belong to each client address.
 *
 * One address, or one customer's IPv6 network (the first 64 bits), may hold only so many
 * connections, or a single machine that opens and keeps them shuts everybody else out.
 *
 * Shared by the workers of a listener; asked twice in a connection's life. A table of fixed size:
 * an address belongs to one bucket by a keyed hash, so nobody can aim at a bucket. When all places
 * of a bucket have connections, a further address there is let in without being counted: the table
 * errs on the side of strangers, and it takes more addresses than a listener has connections by
 * default before that is likely. */
#ifndef NR_HTTP_CROWD_H
#define NR_HTTP_CROWD_H

#include <stdbool.h>
#include <stdint.h>

#include "io/addr.h"

struct nr_crowd;

/* key: unpredictable. Memory is touched only as addresses come. */
struct nr_crowd *nr_crowd_new(const uint64_t key[2]);
void nr_crowd_free(struct nr_crowd *crowd); /* NULL is fine */

/* A connection from this address: false if it has `max` of them already. *ret_counted: it owes one
 * _leave with the same address. Unix peers have no address and are let in. Any thread. */
bool nr_crowd_enter(struct nr_crowd *crowd, const struct nr_addr *who, uint32_t max,
                    bool *ret_counted);
void nr_crowd_leave(struct nr_crowd *crowd, const struct nr_addr *who);

#endif
