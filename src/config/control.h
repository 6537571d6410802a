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
    uint32_t if_version; /* not 0: only if this one is in force when the change's turn comes */
    bool dry_run;        /* find out whether it would do, and what it would change; no more */
    bool look;           /* load the version to be looked at; no more, not even a plan */
    bool remote;         /* asked by the admin side: may not take the admin token away */
};

enum nr_config_result {
    NR_CONFIG_APPLIED, /* in force, or would be */
    NR_CONFIG_REFUSED, /* the diagnostics say why; the one before stays in force */
    NR_CONFIG_STALE,   /* not tried: another than if_version is in force */
    NR_CONFIG_UNKNOWN, /* not tried: the version is not kept */
    NR_CONFIG_NOWHERE, /* not tried: there is no file to load again */
};

struct nr_config_outcome {
    enum nr_config_result result;
    uint32_t version;                /* in force now */
    const char *changes;             /* "services: 1 added, 2 changed; routes: …"; "nothing" */
    const struct nr_diags *diags;    /* errors and warnings, sorted */
    const struct nr_diags *findings; /* of a dry run: what `naru check` says; NULL: not looked */
    struct nr_config *config;        /* the new one; NULL: it was refused */
    struct nr_config *before;        /* that was in force when it was asked for */
};

/* Called once per change, from the queue; what outcome points to lives until it returns. */
typedef void (*nr_config_changed_fn)(void *ctx, const struct nr_config_outcome *outcome);

/* Kept as what it was read from, so its configuration is loaded again when it is asked for. */
struct nr_config_version {
    uint32_t number;  /* from 1; never used twice */
    uint64_t wall_ns; /* when it came into force */
    const char *source;
};

struct nr_config_control {
    void (*change)(struct nr_config_control *control, const struct nr_config_change *change,
                   nr_config_changed_fn done, void *ctx);
    /* The latest, newest first: the first is in force. Returns how many. */
    uint32_t (*versions)(struct nr_config_control *control, struct nr_config_version *to,
                         uint32_t max);
};

#endif
