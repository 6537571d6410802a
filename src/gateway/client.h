/* SPDX-License-Identifier: Apache-2.0 */
/* client.h - what a request says of itself and who sent it, for whoever picks or counts by it.
 * Internal to src/gateway. */
#ifndef NR_GATEWAY_CLIENT_H
#define NR_GATEWAY_CLIENT_H

#include "gateway/request.h"

/* Is this one of the listener's trusted proxies? */
bool nr_client_trusted(const struct nr_request *request, const struct nr_addr *addr);

/* The client's address. Behind trusted proxies it is the last one in X-Forwarded-For that is not a
 * trusted proxy's itself: what stands before that anybody can write. Only before the head is
 * changed for the service. */
struct nr_addr nr_client_address(const struct nr_request *request, const struct nr_peer *peer);

/* Values as they were sent; ptr NULL: none. */
struct nr_span nr_client_header(const struct nr_head *head, struct nr_span name);
struct nr_span nr_client_query(const struct nr_head *head, struct nr_span name);

#endif
