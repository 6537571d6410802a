/* SPDX-License-Identifier: Apache-2.0 */
/* fake_http.h - exchanges without a network: what HTTP/2 will be like for its users.
 *
 * One connection with FAKE_SLOTS slots. Exchanges beyond that wait for one. Bodies are limited by
 * a window per exchange and direction, which consume opens again; events of all exchanges
 * are shuffled by seed, but each exchange keeps its order. Answers may overtake the request's body,
 * trailers go both ways, a reset of one exchange touches no other. */
#ifndef TESTS_HTTP_FAKE_HTTP_H
#define TESTS_HTTP_FAKE_HTTP_H

#include "base/random.h"
#include "http/exchange.h"

enum { FAKE_SLOTS = 100, FAKE_WINDOW_BYTES = 4096 };

struct fake_http;

struct fake_http *fake_http_new(uint64_t seed, struct nr_handler *handler);

/* Like nr_client_open. */
struct nr_exchange *fake_http_open(struct fake_http *fake, struct nr_arena *arena,
                                   const struct nr_exchange_events *events, void *owner);

/* Emit one event of one exchange, chosen at random. False: nothing is left to happen. */
bool fake_http_step(struct fake_http *fake);

/* Fails when an exchange has not ended. */
void fake_http_free(struct fake_http *fake);

#endif
