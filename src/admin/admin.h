/* SPDX-License-Identifier: Apache-2.0 */
/* admin.h - the operators' HTTP surface: health, readiness, metrics, and /v1: services, requests,
 * configuration.
 *
 * A handler for a server on the admin listener. Its engine's thread only, which is control's: it
 * looks at workers through snapshots that any thread may take, and what it changes is shared by
 * them under the locks of src/service, or goes the way of every reload (config/control.h).
 *
 * Who may speak. With a token (admin.token), whoever shows it; only /health and /ready are for
 * everybody. Without one the listener must be on loopback or a Unix socket, which the loader sees
 * to. Browsers run on the same machine: a page of any site could have its own name resolve to
 * 127.0.0.1 (DNS rebinding), so without a token a Host that is neither an IP nor localhost nor
 * listed in admin.hosts is refused with 421; and it could send forms here, so a request with the
 * Origin of another site, or a change in a media type that forms can have, is refused. */
#ifndef NR_ADMIN_ADMIN_H
#define NR_ADMIN_ADMIN_H

#include "config/config.h"
#include "config/control.h"
#include "gateway/gateway.h"
#include "http/exchange.h"
#include "observe/exposition.h"
#include "observe/log.h"

enum nr_admin_phase {
    NR_ADMIN_STARTING, /* /ready answers 503 */
    NR_ADMIN_READY,
    NR_ADMIN_DRAINING, /* 503 again: balancers in front look elsewhere while requests finish */
};

struct nr_admin_token;

struct nr_admin_setup {
    struct nr_io *io;
    struct nr_exposition sources;       /* `gateway` and `ready` are filled in; pointers borrowed */
    struct nr_gateway *gateway;         /* what is looked at and changed; borrowed */
    struct nr_config *config;           /* borrowed; NULL: /v1/config answers 404 */
    const struct nr_admin_token *token; /* copied; NULL: none */
    bool local;               /* nobody but this machine reaches the listener: no token is needed */
    const struct nr_log *log; /* of changes; borrowed; NULL: nowhere */
    struct nr_config_control *control; /* borrowed; NULL: the configuration cannot be changed */
    void (*drain)(void *ctx);          /* end as by SIGTERM; NULL: it cannot be asked for here */
    void *drain_ctx;
    bool metrics; /* false: /metrics answers 404 */
};

struct nr_admin;

struct nr_admin *nr_admin_new(const struct nr_admin_setup *setup);

/* After the server that uses the handler is gone. NULL is fine. */
void nr_admin_free(struct nr_admin *admin);

struct nr_handler *nr_admin_handler(struct nr_admin *admin);

/* Another configuration is in force, and with it another token; borrowed and copied likewise. A
 * listener that is not local is not left without one: then the old token stays (false). */
bool nr_admin_set_config(struct nr_admin *admin, struct nr_config *config,
                         const struct nr_admin_token *token);

/* Is a token asked for? */
bool nr_admin_has_token(const struct nr_admin *admin);

void nr_admin_set_phase(struct nr_admin *admin, enum nr_admin_phase phase);

#endif
