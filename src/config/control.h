/* SPDX-License-Identifier: Apache-2.0 */
/* control.h - how a running process is given another configuration.
 *
 * Whoever runs the gateway implements it (cli/serve_reload.c), whoever offers it to operators (the
 * admin surface) calls it. One change is made at a time; others wait for their turn. Everything on
 * the thread of the engine that the implementation stands on. */
#ifndef NR_CONFIG_CONTROL_H
#define NR_CONFIG_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "naru/span.h"

enum { NR_CONFIG_VERSIONS_MAX = 10 };

/* Where the configuration comes from: exactly one of text, version, or neither: the file again. */
struct nr_config_change {
    const char
        *source; /* who asks, for the log and the list of versions: "SIGHUP", "api"; a constant */
    struct nr_span text; /* YAML; copied. ptr NULL: none */
    uint32_t version;    /* not 0: back to this one, as it was loaded then */
    bool dry_run;        /* find out whether it would do, and what it would change; no more */
};

struct nr_config_outcome {
    bool ok;             /* the configuration is sound, and with !dry_run it is in force */
    uint32_t version;    /* in force now */
    const char *changes; /* ok: "services: 1 added, 2 changed; routes: …"; "nothing" */
    const char
        *problems; /* a line each, "naru.yaml:14:7: …", warnings too; "" when there are none */
};

/* Called once per change, from the queue; what outcome points to lives until it returns. */
typedef void (*nr_config_changed_fn)(void *ctx, const struct nr_config_outcome *outcome);

struct nr_config_version {
    uint32_t number;  /* from 1; never used twice */
    uint64_t wall_ns; /* when it came into force */
    const char *source;
    struct nr_config *config; /* borrowed until the next change */
};

struct nr_config_control {
    void (*change)(struct nr_config_control *control, const struct nr_config_change *change,
                   nr_config_changed_fn done, void *ctx);
    /* The latest, newest first: the first is in force. Returns how many. */
    uint32_t (*versions)(struct nr_config_control *control, struct nr_config_version *to,
                         uint32_t max);
};

#endif
