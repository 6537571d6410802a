/* SPDX-License-Identifier: Apache-2.0 */
/* affinity.h - what of a request decides which instance it goes to, and the cookie that remembers.
 * Internal to src/gateway. Costs nothing for services that balance without a key. */
#ifndef NR_GATEWAY_AFFINITY_H
#define NR_GATEWAY_AFFINITY_H

#include "gateway/request.h"

/* Before the head is changed for the service: the key that the service's balance asks for. False:
 * it asks for none, or the request has none. */
bool nr_affinity_key(struct nr_request *request, const struct nr_peer *peer, uint64_t *ret_key);

/* An answer goes back: set the cookie if the client has no good one. */
void nr_affinity_answer(struct nr_request *request, struct nr_head *head);

#endif
