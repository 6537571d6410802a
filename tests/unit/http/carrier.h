/* SPDX-License-Identifier: Apache-2.0 */
/* carrier.h - something that carries exchanges, for the conformance suite (exchange_suite.c).
 *
 * One program per carrier links the suite with its own carrier_new. A story may use nothing but
 * exchange.h and this, so that it cannot tell what carries it. */
#ifndef TESTS_HTTP_CARRIER_H
#define TESTS_HTTP_CARRIER_H

#include "http/exchange.h"

struct carrier {
    const char *name;
    uint32_t runs;   /* seeds that each story is told with */
    bool half_close; /* the peer's end of a direction is seen on the other side before the answer */
    bool (*step)(struct carrier *carrier); /* false: nothing is left to happen */
    struct nr_exchange *(*open)(struct carrier *carrier, struct nr_arena *arena,
                                const struct nr_exchange_events *events, void *owner);
    void (*free)(struct carrier *carrier); /* fails or aborts when something leaked */
};

struct carrier *carrier_new(uint64_t seed, struct nr_handler *handler);

#endif
