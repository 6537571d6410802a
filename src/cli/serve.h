/* SPDX-License-Identifier: Apache-2.0 */
/* serve.h - the running gateway: its parts, and the order in which they come and go.
 * Internal to src/cli.
 *
 * One engine on the main thread is `control`: signals, names, health checks, the admin listener.
 * Each worker has an engine on a thread of its own. They talk by posting operations.
 *
 *   STARTING  names are resolved, listeners bound, workers made     (nothing is served)
 *   READY     /ready answers 200
 *   DRAINING  a signal: /ready 503, listeners closed, each worker drains; when the drain
 *             timeout passes, what is left is broken off
 *   CLOSING   all workers have drained: health checks and the admin listener go, then each
 *             worker frees what it owns, turns until nothing is outstanding, and ends
 *
 * The admin listener outlives the drain, because /metrics and /ready matter most then; workers are
 * freed only when it is gone, because it reads their counters. */
#ifndef NR_CLI_SERVE_H
#define NR_CLI_SERVE_H

#include <stdatomic.h>

#include "admin/admin.h"
#include "admin/admin_conf.h"
#include "admin/token.h"
#include "cli/load.h"
#include "config/config.h"
#include "config/control.h"
#include "gateway/gateway.h"
#include "gateway/gateway_conf.h"
#include "io/epoll.h"
#include "io/handover.h"
#include "io/io.h"
#include "io/logpipe.h"
#include "io/process.h"
#include "observe/log.h"
#include "observe/names.h"
#include "observe/observe.h"

enum { NR_SIGNALS = 4 };

struct nr_reload_job;

struct nr_serve_version {
    struct nr_config_version told;
    struct nr_original *original; /* our reference */
};

/* Other configurations: serve_reload.c, serve_watch.c. */
struct nr_reload_state {
    struct nr_config_control control;
    const char *path;       /* the file; NULL: there is none to load again */
    struct nr_link waiting; /* jobs */
    struct nr_reload_job *running;
    struct nr_serve_version versions[NR_CONFIG_VERSIONS_MAX]; /* newest first */
    uint32_t version_count;
    struct nr_cli_files watched; /* what the configuration in force was read from */
    struct nr_timer look;
    uint64_t stamp_seen, stamp_loaded;
    bool looking;
};

/* Memory of what was: serve_tidy.c. */
struct nr_tidy_state {
    struct nr_config **leaving; /* our references */
    uint32_t count, cap;
    struct nr_timer look;
    uint32_t pause_ms; /* before that look */
    struct nr_work trim;
    bool freed; /* something was, since the last trim began */
    bool last;  /* that look is the last */
};

struct nr_serve;

struct nr_serve_signal {
    struct nr_signal signal;
    struct nr_serve *serve;
};

struct nr_serve_worker {
    struct nr_serve *serve;
    uint32_t number;
    struct nr_io *io;
    struct nr_gateway_worker *gateway;
    struct nr_thread *thread;
    struct nr_op quiet;     /* control → worker and back: nothing is on its way to it any more */
    struct nr_op drain;     /* control → worker */
    struct nr_op abort;     /* control → worker */
    struct nr_op close;     /* control → worker */
    struct nr_op drained;   /* worker → control */
    struct nr_timer settle; /* the worker's: until nothing is outstanding */
};

struct nr_serve {
    struct nr_config *config;
    const struct nr_gateway_conf *conf;
    _Atomic uint64_t starved_ns; /* when it was last said that descriptors are short */
    struct nr_observe_names *names;
    struct nr_observe_names *next_names; /* while workers go over to another configuration */
    const char *notify;                  /* the service manager's socket; NULL: nobody listens */
    struct nr_reload_state reload;
    struct nr_tidy_state tidy;
    struct nr_inherited *inherited; /* sockets that we were started with */
    uint32_t inherited_count;
    int ready_fd;                   /* our predecessor waits there; -1: nobody does */
    struct nr_upgrade *upgrade;     /* NULL: none under way */
    bool handed_over;               /* a successor serves: we drain for it */
    bool admin_drained;             /* the admin server has, because of that */
    struct nr_logpipe *access_pipe; /* NULL: no access log */
    struct nr_logpipe *program_pipe;
    struct nr_log log;
    struct nr_observe *observe;
    struct nr_gateway *gateway;
    char *dns_servers;

    struct nr_io *control;
    struct nr_io **engines; /* of the workers */
    struct nr_gateway_worker **gateways;
    struct nr_serve_worker *workers;
    uint32_t worker_count;
    uint32_t thread_count; /* started */

    struct nr_admin *admin;
    struct nr_admin_token admin_token; /* at the start */
    struct nr_listener *admin_listener;
    struct nr_server *admin_server;
    struct nr_addr admin_address;

    uint32_t waiting; /* workers to drain */
    struct nr_err name_err;

    struct nr_serve_signal signals[NR_SIGNALS];
    uint32_t signals_waiting;
    _Atomic uint32_t accepting; /* workers that have not begun to drain */
    struct nr_timer drain_limit;
    struct nr_timer settle; /* control's own */
    bool draining;
    bool broken_off;
};

/* serve_start.c: everything up to READY. Prints what is wrong; the exit code. */
int nr_serve_start(struct nr_serve *serve);

/* serve_stop.c: wait for signals, and the way down. */
void nr_serve_watch_signals(struct nr_serve *serve);

/* serve_reload.c. _init when there is a configuration; _done when control has ended. */
void nr_serve_reload_init(struct nr_serve *serve, struct nr_original *original);
void nr_serve_reload_done(struct nr_serve *serve);
void nr_serve_reload_file(struct nr_serve *serve, const char *source);

/* serve_versions.c. A version found is the caller's reference; NULL: not kept. */
uint32_t nr_serve_version(const struct nr_serve *serve); /* in force */
void nr_serve_note_version(struct nr_serve *serve, const char *source,
                           struct nr_original *original); /* PACKED */
struct nr_original *nr_serve_find_version(const struct nr_serve *serve, uint32_t number);
uint32_t nr_serve_list_versions(const struct nr_serve *serve, struct nr_config_version *to,
                                uint32_t max);
void nr_serve_forget_versions(struct nr_serve *serve);

/* serve_tidy.c: give memory back, soon, when nobody uses this configuration any more (takes the
 * reference over), or when something large was freed (NULL). */
void nr_serve_tidy_init(struct nr_serve *serve);
void nr_serve_tidy(struct nr_serve *serve, struct nr_config *config);
void nr_serve_tidy_stop(struct nr_serve *serve);
void nr_serve_tidy_done(struct nr_serve *serve);

/* serve_watch.c: these are the files now, taken over; look at them if the configuration says so. */
void nr_serve_watch_files(struct nr_serve *serve, struct nr_cli_files *files);
void nr_serve_watch_stop(struct nr_serve *serve);

void nr_serve_begin_drain(struct nr_serve *serve);

/* serve_upgrade.c */
void nr_serve_upgrade(struct nr_serve *serve);
void nr_serve_cancel_upgrade(struct nr_serve *serve);

/* Free what nr_serve_start made, in whatever state it stopped; engines must not run. */
void nr_serve_free(struct nr_serve *serve);

/* Make a post-able operation that belongs to a worker. */
void nr_serve_worker_init_ops(struct nr_serve_worker *worker);

#endif
