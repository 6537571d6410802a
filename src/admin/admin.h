/* SPDX-License-Identifier: Apache-2.0 */
/* admin.h - the operators' HTTP surface: health, readiness, metrics, records, services, config.
 *
 * A handler for a server on the admin listener. Its engine's thread only; what it shows of the
 * workers it reads through snapshots that any thread may take.
 *
 * It stands on loopback, and browsers run on the same machine: a page of any site could have
 * its own name resolve to 127.0.0.1 and read along (DNS rebinding). So a request whose Host is
 * neither an IP nor localhost is refused with 421. Everything here only reads. */
#ifndef NR_ADMIN_ADMIN_H
#define NR_ADMIN_ADMIN_H

#include "config/config.h"
#include "gateway/gateway.h"
#include "http/exchange.h"
#include "observe/exposition.h"

enum nr_admin_phase {
    NR_ADMIN_STARTING, /* /ready answers 503 */
    NR_ADMIN_READY,
    NR_ADMIN_DRAINING, /* 503 again: balancers in front look elsewhere while requests finish */
};

struct nr_admin_setup {
    struct nr_io *io;
    struct nr_exposition sources; /* `ready` is filled in; pointers borrowed */
    struct nr_config *config;     /* borrowed; NULL: /v1/config answers 404 */
    bool metrics;                 /* false: /metrics answers 404 */
};

struct nr_admin;

struct nr_admin *nr_admin_new(const struct nr_admin_setup *setup);

/* After the server that uses the handler is gone. NULL is fine. */
void nr_admin_free(struct nr_admin *admin);

struct nr_handler *nr_admin_handler(struct nr_admin *admin);

/* Another configuration is in force; borrowed likewise. */
void nr_admin_set_config(struct nr_admin *admin, struct nr_config *config);

void nr_admin_set_phase(struct nr_admin *admin, enum nr_admin_phase phase);

/* May a request with this Host be answered? */
bool nr_admin_host_allowed(struct nr_span authority);

#endif
