/* SPDX-License-Identifier: Apache-2.0 */
/* The fake: proves that the interface carries more than HTTP/1.1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "carrier.h"
#include "fake_http.h"

struct carrier_fake {
    struct carrier base;
    struct fake_http *fake;
};

static bool step(struct carrier *carrier)
{
    return fake_http_step(((struct carrier_fake *)carrier)->fake);
}

static struct nr_exchange *open_exchange(struct carrier *carrier, struct nr_arena *arena,
                                         const struct nr_exchange_events *events, void *owner)
{
    return fake_http_open(((struct carrier_fake *)carrier)->fake, arena, events, owner);
}

static void free_carrier(struct carrier *carrier)
{
    while (step(carrier))
        ;
    fake_http_free(((struct carrier_fake *)carrier)->fake);
    free(carrier);
}

struct carrier *carrier_new(uint64_t seed, struct nr_handler *handler)
{
    struct carrier_fake *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->base = (struct carrier){
        .name = "fake", .runs = 50, .step = step, .open = open_exchange, .free = free_carrier};
    f->fake = fake_http_new(seed, handler);
    return &f->base;
}
