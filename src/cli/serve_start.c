/* SPDX-License-Identifier: Apache-2.0 */
/* serve_start.c - from a configuration to a gateway that is ready. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/strbuf.h"
#include "cli/command.h"
#include "cli/serve.h"
#include "io/process.h"
#include "service/service_conf.h"

enum {
    STDOUT = 1,
    STDERR = 2,
    PROGRAM_LOG_BYTES = 256 * 1024,
    FILES_BESIDES = 64, /* logs, engines, libraries, health checks */
    FILES_OF_ENGINE = 3,
    FILES_IN_RESERVE = 16,         /* for the admin listener, health checks, files, names */
    FILES_RESERVED_UPSTREAM = 1024 /* … and for connections to services, or a sixteenth */
};

#define STARVED_LOG_NS ((uint64_t)60 * 1000000000)

static void *zeroed(size_t count, size_t bytes)
{
    void *memory = calloc(count > 0 ? count : 1, bytes);

    nr_assert(memory != NULL);
    return memory;
}

static int failed(const struct nr_err *err)
{
    fprintf(stderr, "naru: %s\n", err->text);
    switch (err->code) {
    case NR_EADDRINUSE:
    case NR_EACCESS:
    case NR_EINVAL:
    case NR_ENOENT:
    case NR_EEXIST:
    case NR_EUNSUPPORTED: return NR_EXIT_LISTEN;
    default: return NR_EXIT_FAILURE;
    }
}

/* ---- logs ---- */

/* On the writer's thread of the access log. */
static void access_log_failed(void *ctx, enum nr_code code, const char *text)
{
    struct nr_serve *serve = ctx;

    nr_log_write(&serve->log, NR_LOG_WARN, NULL,
                 "access log: cannot write to standard output: %s; lines are dropped and counted "
                 "(naru_log_dropped_total)%s",
                 text, code == NR_ENOSPC ? ": make room on that disk" : "");
}

static enum nr_code open_logs(struct nr_serve *serve, struct nr_err *err)
{
    const struct nr_observe_conf *conf = nr_observe_conf_of(serve->config);
    struct nr_logpipe_conf program = {
        .fd = STDERR, .producers = 1, .bytes = PROGRAM_LOG_BYTES, .name = "naru-log"};
    struct nr_logpipe_conf access = {.fd = STDOUT,
                                     .producers = serve->worker_count,
                                     .bytes = conf->access_log.buffer_bytes / serve->worker_count,
                                     .name = "naru-access",
                                     .failed = access_log_failed,
                                     .ctx = serve};

    if (nr_logpipe_new(&program, &serve->program_pipe, err) != NR_OK)
        return err->code;
    serve->log = (struct nr_log){.pipe = serve->program_pipe,
                                 .level = (enum nr_log_level)conf->log_level,
                                 .wall_ns = nr_process_wall_ns};
    return conf->access_log.enabled ? nr_logpipe_new(&access, &serve->access_pipe, err) : NR_OK;
}

/* ---- engines ---- */

/* On the watchdog's thread. */
static void stalled(void *ctx, const char *op_name, uint64_t held_ns)
{
    struct nr_serve *serve = ctx;
    const struct nr_log_field fields[] = {
        {"operation", nr_span_of(op_name), 0},
        {"held_ms", {NULL, 0}, (int64_t)(held_ns / 1000000)},
        {NULL, {NULL, 0}, 0},
    };

    nr_observe_stalled(serve->observe);
    nr_log_write(&serve->log, NR_LOG_WARN, fields, "one callback holds a worker's loop");
}

static char *dns_servers(const struct nr_config *config)
{
    const struct nr_dns_conf *dns = nr_dns_conf_of(config);
    struct nr_strbuf text = {0};

    if (dns->server_count == 0)
        return NULL;
    for (uint32_t i = 0; i < dns->server_count; i++)
        nr_strbuf_printf(&text, "%s%s", i == 0 ? "" : ",", dns->servers[i].text.ptr);
    return nr_strbuf_take(&text, NULL);
}

/* On a worker's thread. Once a minute is enough. */
static void starved(void *ctx)
{
    struct nr_serve *serve = ctx;
    uint64_t now_ns = nr_process_wall_ns(), last_ns = atomic_load(&serve->starved_ns);

    if (now_ns - last_ns < STARVED_LOG_NS ||
        !atomic_compare_exchange_strong(&serve->starved_ns, &last_ns, now_ns))
        return;
    nr_log_write(&serve->log, NR_LOG_WARN, NULL,
                 "out of file descriptors: new connections wait until others close; raise the "
                 "limit (ulimit -Hn, or LimitNOFILE= in the unit)");
}

/* How many sockets workers may have open before they stop accepting. Those that are accepted need
 * connections to services, and operators need to see what is the matter. */
static uint32_t sockets_max(const struct nr_serve *serve)
{
    uint64_t limit = nr_io_raise_file_limit();
    uint64_t upstream =
        limit / 16 < FILES_RESERVED_UPSTREAM ? limit / 16 + 1 : FILES_RESERVED_UPSTREAM;
    struct nr_process_stats stats;
    uint64_t used;

    nr_process_stats(&stats);
    used = stats.open_files + serve->conf->listen_count + 1 + FILES_IN_RESERVE + upstream +
           FILES_OF_ENGINE * ((uint64_t)serve->worker_count + 1);
    if (limit == 0 || limit > UINT32_MAX)
        return 0;
    return limit > used + 1 ? (uint32_t)(limit - used) : 1;
}

static enum nr_code make_engines(struct nr_serve *serve, struct nr_err *err)
{
    struct nr_epoll_conf conf = {.stalled = stalled, .stalled_ctx = serve};

    serve->dns_servers = dns_servers(serve->config);
    conf.dns_servers = serve->dns_servers;
    if (nr_io_new_epoll(&conf, &serve->control, err) != NR_OK)
        return err->code;
    conf.sockets_max = sockets_max(serve);
    conf.starved = starved;
    conf.starved_ctx = serve;
    for (uint32_t i = 0; i < serve->worker_count; i++) {
        struct nr_serve_worker *worker = &serve->workers[i];

        if (nr_io_new_epoll(&conf, &worker->io, err) != NR_OK)
            return err->code;
        serve->engines[i] = worker->io;
    }
    return NR_OK;
}

/* A proxied connection needs two descriptors. What the limit cannot bear is only said: not every
 * naru gets as many connections as it would take. And said only of a number that somebody wrote:
 * the default is meant to be out of the way, not a promise. */
static void check_file_limit(struct nr_serve *serve)
{
    uint64_t limit = nr_io_raise_file_limit();
    uint64_t connections = 0, needed;

    for (uint32_t i = 0; i < serve->conf->listen_count; i++) {
        const struct nr_listen_limits_conf *limits = &serve->conf->listen[i].limits;

        if (nr_section_has(&limits->at, "max_connections"))
            connections += limits->max_connections;
    }
    if (connections == 0)
        return;
    needed = connections * 2 + FILES_BESIDES;
    if (limit == 0 || limit >= needed)
        return;
    nr_log_write(&serve->log, NR_LOG_WARN, NULL,
                 "the limit of open files is %llu, but %llu connections may need %llu: raise it "
                 "(ulimit -Hn, or LimitNOFILE= in the unit) or lower limits.max_connections",
                 (unsigned long long)limit, (unsigned long long)connections,
                 (unsigned long long)needed);
}

/* ---- listening ---- */

static enum nr_code listen_admin(struct nr_serve *serve, struct nr_err *err)
{
    const struct nr_admin_conf *conf = nr_admin_conf_of(serve->config);
    struct nr_listen_conf listen = {.inherited_fd = -1};

    if (conf->listen.kind == NR_CONFIG_ADDRESS_NONE)
        return NR_OK;
    if (nr_addr_parse(conf->listen.text.ptr, &listen.address, err) != NR_OK)
        return nr_err_wrap(err, "admin");
    listen.inherited_fd =
        nr_inherited_take(serve->inherited, serve->inherited_count, &listen.address);
    if (nr_listener_open(&serve->control, 1, &listen, &serve->admin_listener, err) != NR_OK)
        return nr_err_wrap(err, "admin");
    serve->admin_address = nr_listener_address(serve->admin_listener);
    return NR_OK;
}

/* Sockets that the configuration does not mention: clients must not queue up there for nobody. */
static void close_leftovers(struct nr_serve *serve)
{
    for (uint32_t i = 0; i < serve->inherited_count; i++) {
        struct nr_inherited *left = &serve->inherited[i];
        char text[NR_ADDR_TEXT_BYTES];

        if (left->fd < 0)
            continue;
        nr_addr_format(&left->address, text, sizeof(text));
        nr_log_write(&serve->log, NR_LOG_WARN, NULL,
                     "the inherited socket on %s is closed: no listener has this address", text);
        nr_process_close(left->fd);
        left->fd = -1;
    }
}

static void drain(void *ctx)
{
    nr_serve_begin_drain(ctx);
}

static void start_admin(struct nr_serve *serve)
{
    struct nr_admin_setup setup = {
        .io = serve->control,
        .gateway = serve->gateway,
        .sources = {.observe = serve->observe,
                    .workers = serve->gateways,
                    .engines = serve->engines,
                    .worker_count = serve->worker_count,
                    .access_log = serve->access_pipe,
                    .program_log = serve->program_pipe,
                    .version = NR_VERSION},
        .config = serve->config,
        .token = &serve->admin_token,
        .local = nr_admin_conf_is_local(nr_admin_conf_of(serve->config)),
        .log = &serve->log,
        .control = &serve->reload.control,
        .drain = drain,
        .drain_ctx = serve,
        .metrics = nr_observe_conf_of(serve->config)->metrics,
    };

    serve->admin = nr_admin_new(&setup);
    if (serve->admin_listener != NULL)
        serve->admin_server =
            nr_server_new(serve->control, serve->admin_listener, &nr_server_conf_default,
                          nr_admin_handler(serve->admin));
}

/* ---- names ---- */

static void resolved(void *ctx, const struct nr_err *err)
{
    struct nr_serve *serve = ctx;

    if (err != NULL)
        serve->name_err = *err;
    nr_io_stop(serve->control);
}

static int resolve_names(struct nr_serve *serve)
{
    nr_gateway_resolve(serve->gateway, serve->control, resolved, serve);
    nr_io_run(serve->control);
    if (serve->name_err.code == NR_OK)
        return NR_EXIT_OK;
    fprintf(stderr, "naru: %s\n", serve->name_err.text);
    return NR_EXIT_NAME;
}

/* ---- workers and health ---- */

static void run_worker(void *ctx)
{
    struct nr_serve_worker *worker = ctx;

    nr_io_run(worker->io);
}

static enum nr_code start_workers(struct nr_serve *serve, struct nr_err *err)
{
    for (uint32_t i = 0; i < serve->worker_count; i++) {
        struct nr_serve_worker *worker = &serve->workers[i];

        worker->serve = serve;
        worker->number = i;
        nr_serve_worker_init_ops(worker);
        worker->gateway = nr_gateway_worker_new(
            serve->gateway, worker->io, nr_observe_sink(serve->observe, i), serve->worker_count);
        serve->gateways[i] = worker->gateway;
    }
    for (uint32_t i = 0; i < serve->worker_count; i++) {
        char name[16];

        snprintf(name, sizeof(name), "naru-%u", i);
        if (nr_thread_start(name, run_worker, &serve->workers[i], &serve->workers[i].thread, err) !=
            NR_OK)
            return err->code;
        serve->thread_count++;
    }
    return NR_OK;
}

static void health_changed(void *ctx, struct nr_service *service, uint32_t instance,
                           enum nr_health from, enum nr_health to)
{
    struct nr_serve *serve = ctx;
    struct nr_instance_view view;
    struct nr_log_field fields[] = {
        {"upstream", nr_service_conf(service)->name, 0},
        {"instance", {NULL, 0}, 0},
        {NULL, {NULL, 0}, 0},
    };

    nr_service_instance(service, instance, &view);
    fields[1].text = nr_span_of(view.text);
    if (to == NR_HEALTH_DOWN)
        nr_log_write(&serve->log, NR_LOG_WARN, fields,
                     "instance is down: its health checks fail (%s; status %u)",
                     view.verdict != NULL ? view.verdict : "?", view.check_status);
    else if (from == NR_HEALTH_DOWN)
        nr_log_write(&serve->log, NR_LOG_INFO, fields, "instance is up again");
    else
        nr_log_write(&serve->log, NR_LOG_DEBUG, fields, "instance is up");
}

static void discovery_news(void *ctx, struct nr_service *service, bool bad, const char *text)
{
    struct nr_serve *serve = ctx;
    const struct nr_log_field fields[] = {
        {"upstream", nr_service_conf(service)->name, 0},
        {NULL, {NULL, 0}, 0},
    };

    nr_log_write(&serve->log, bad ? NR_LOG_WARN : NR_LOG_INFO, fields, "%s", text);
}

/* ---- what a person is told ---- */

static void announce(struct nr_serve *serve)
{
    char listen[NR_ADDR_TEXT_BYTES] = "", admin[NR_ADDR_TEXT_BYTES] = "none";
    const struct nr_log_field fields[] = {
        {"version", NR_SPAN(NR_VERSION), 0},
        {"workers", {NULL, 0}, serve->worker_count},
        {"listen", {listen, 0}, 0},
        {"admin", {admin, 0}, 0},
        {NULL, {NULL, 0}, 0},
    };
    struct nr_log_field told[5];
    struct nr_addr address;

    if (nr_gateway_listener_count(serve->gateway) > 0) {
        address = nr_gateway_listener_address(serve->gateway, 0);
        nr_addr_format(&address, listen, sizeof(listen));
    }
    if (serve->admin_listener != NULL)
        nr_addr_format(&serve->admin_address, admin, sizeof(admin));
    memcpy(told, fields, sizeof(told));
    told[2].text = nr_span_of(listen);
    told[3].text = nr_span_of(admin);
    nr_log_write(&serve->log, NR_LOG_INFO, told, "serving");
    if (!nr_process_is_terminal(STDERR))
        return;
    fprintf(stderr, "naru %s: requests to http://%s", NR_VERSION, listen);
    if (serve->admin_listener != NULL)
        fprintf(stderr, "; metrics and records on http://%s/", admin);
    fputs("; Ctrl-C drains and stops\n", stderr);
}

/* ---- all of it ---- */

static enum nr_code make_parts(struct nr_serve *serve, struct nr_err *err)
{
    struct nr_observe_setup setup;

    serve->engines = zeroed(serve->worker_count, sizeof(struct nr_io *));
    serve->gateways = zeroed(serve->worker_count, sizeof(struct nr_gateway_worker *));
    serve->workers = zeroed(serve->worker_count, sizeof(*serve->workers));
    if (open_logs(serve, err) != NR_OK)
        return err->code;
    if (nr_gateway_new(serve->config, &serve->gateway, err) != NR_OK)
        return err->code;
    serve->names = nr_observe_names_new(serve->gateway, nr_observe_conf_of(serve->config));
    setup = (struct nr_observe_setup){
        .names = serve->names, .workers = serve->worker_count, .access_log = serve->access_pipe};
    serve->observe = nr_observe_new(&setup);
    return make_engines(serve, err);
}

int nr_serve_start(struct nr_serve *serve)
{
    struct nr_err err = {0};
    int code;

    if (nr_admin_token_load(nr_admin_conf_of(serve->config), &serve->admin_token, &err) != NR_OK) {
        fprintf(stderr, "naru: %s\n", err.text);
        return NR_EXIT_CONFIG;
    }
    serve->conf = nr_gateway_conf_of(serve->config);
    serve->worker_count = serve->conf->workers > 0 ? serve->conf->workers : nr_io_cores();
    if (make_parts(serve, &err) != NR_OK) {
        fprintf(stderr, "naru: %s\n", err.text);
        return NR_EXIT_FAILURE;
    }
    if (nr_gateway_listen(serve->gateway, serve->engines, serve->worker_count, serve->inherited,
                          serve->inherited_count, &err) != NR_OK ||
        listen_admin(serve, &err) != NR_OK)
        return failed(&err);
    close_leftovers(serve);
    code = resolve_names(serve);
    if (code != NR_EXIT_OK)
        return code;
    if (start_workers(serve, &err) != NR_OK) {
        /* Some run already, and no request has been promised an answer yet. */
        fprintf(stderr, "naru: %s\n", err.text);
        exit(NR_EXIT_FAILURE);
    }
    check_file_limit(serve);
    start_admin(serve);
    nr_gateway_on_news(serve->gateway, discovery_news, serve);
    nr_gateway_start(serve->gateway, serve->control, health_changed, serve);
    nr_serve_watch_signals(serve);
    nr_admin_set_phase(serve->admin, NR_ADMIN_READY);
    announce(serve);
    return NR_EXIT_OK;
}
