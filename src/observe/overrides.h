/* SPDX-License-Identifier: Apache-2.0 */
/* overrides.h - all that operators have set by hand and that is in force now, whatever the
 * configuration says: for a metric that raises an alert when one is forgotten, and for the list of
 * the admin API. Control's thread. */
#ifndef NR_OBSERVE_OVERRIDES_H
#define NR_OBSERVE_OVERRIDES_H

#include "gateway/gateway.h"
#include "observe/expo.h"

struct nr_override {
    const char *kind;     /* "limit" */
    struct nr_span name;  /* of the limit, service or route; empty: there is only one */
    struct nr_span part;  /* of it: a tier, an instance, a route; empty: the whole */
    struct nr_span value; /* in words: "200/min" */
    uint64_t ends_ns;     /* when it ends by itself; 0: it does not */
};

/* Spans live until each returns. */
typedef void (*nr_override_fn)(void *ctx, const struct nr_override *override);
void nr_overrides_each(const struct nr_gateway *gateway, uint64_t now_ns, nr_override_fn each,
                       void *ctx);

void nr_overrides_metrics(struct nr_expo *expo, const struct nr_gateway *gateway, uint64_t now_ns);

#endif
