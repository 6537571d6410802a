/* SPDX-License-Identifier: Apache-2.0 */
/* serve_stop.c - from the first signal to nothing left: see the states in serve.h. */
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "cli/command.h"
#include "cli/serve.h"
#include "io/notify.h"

enum {
    SETTLE_NS = 1000000,    /* between looks whether an engine has nothing outstanding */
    LOG_FLUSH_MS = 1000,    /* what a stalled reader of a log may cost at the end */
    LOG_FLUSH_NOW_MS = 100, /* the same when a second signal wants us gone */
};

/* ---- CLOSING: workers free what they own and turn until they are empty ---- */

static void worker_settle(struct nr_op *op)
{
    struct nr_serve_worker *worker = nr_container_of(op, struct nr_serve_worker, settle.op);

    if (nr_io_outstanding(worker->io) == 0)
        nr_io_stop(worker->io);
    else
        nr_timer_arm(worker->io, &worker->settle, nr_io_now_ns(worker->io) + SETTLE_NS);
}

static void worker_close(struct nr_op *op)
{
    struct nr_serve_worker *worker = nr_container_of(op, struct nr_serve_worker, close);

    nr_gateway_worker_free(worker->gateway);
    nr_timer_arm(worker->io, &worker->settle, nr_io_now_ns(worker->io));
}

static void control_settle(struct nr_op *op)
{
    struct nr_serve *serve = nr_container_of(op, struct nr_serve, settle.op);

    if (nr_io_outstanding(serve->control) == 0)
        nr_io_stop(serve->control);
    else
        nr_timer_arm(serve->control, &serve->settle, nr_io_now_ns(serve->control) + SETTLE_NS);
}

/* Nobody reads the workers' counters any more. */
static void admin_gone(void *ctx)
{
    struct nr_serve *serve = ctx;

    nr_server_free(serve->admin_server);
    serve->admin_server = NULL;
    for (uint32_t i = 0; i < serve->worker_count; i++)
        nr_io_post(serve->workers[i].io, &serve->workers[i].close);
    for (uint32_t i = 0; i < NR_SIGNALS; i++)
        nr_op_cancel(serve->control, &serve->signals[i].signal.op);
    nr_timer_arm(serve->control, &serve->settle, nr_io_now_ns(serve->control));
}

static void close_admin(struct nr_serve *serve)
{
    if (serve->admin_server == NULL) {
        admin_gone(serve);
        return;
    }
    if (serve->admin_drained) {
        admin_gone(serve);
        return;
    }
    if (serve->admin_listener != NULL)
        nr_listener_close(serve->admin_listener);
    serve->admin_listener = NULL;
    nr_server_on_drained(serve->admin_server, admin_gone, serve);
    nr_server_drain(serve->admin_server);
    nr_server_abort(serve->admin_server);
}

static void health_stopped(void *ctx)
{
    close_admin(ctx);
}

static void all_drained(struct nr_serve *serve)
{
    nr_timer_disarm(serve->control, &serve->drain_limit);
    nr_log_write(&serve->log, NR_LOG_INFO, NULL, "drained%s",
                 serve->broken_off ? "; the drain timeout cut off what was left" : "");
    nr_gateway_stop(serve->gateway, health_stopped, serve);
}

/* ---- DRAINING ---- */

static void worker_is_drained(struct nr_op *op)
{
    struct nr_serve_worker *worker = nr_container_of(op, struct nr_serve_worker, drained);

    if (--worker->serve->waiting == 0)
        all_drained(worker->serve);
}

/* On the worker's thread. */
static void on_drained(void *ctx)
{
    struct nr_serve_worker *worker = ctx;

    nr_io_post(worker->serve->control, &worker->drained);
}

static void worker_drain(struct nr_op *op)
{
    struct nr_serve_worker *worker = nr_container_of(op, struct nr_serve_worker, drain);
    struct nr_serve *serve = worker->serve;

    /* A listener is closed by one of the engines that share it, and control is none of them. */
    if (worker->number == 0)
        nr_gateway_close_listeners(worker->serve->gateway);
    if (serve->handed_over)
        nr_gateway_worker_drain_gently(worker->gateway, on_drained, worker);
    else
        nr_gateway_worker_drain(worker->gateway, on_drained, worker);
    if (atomic_fetch_sub(&serve->accepting, 1) == 1) /* now no worker asks them any more */
        nr_gateway_close_listeners(serve->gateway);
}

static void worker_abort(struct nr_op *op)
{
    struct nr_serve_worker *worker = nr_container_of(op, struct nr_serve_worker, abort);

    nr_gateway_worker_abort(worker->gateway);
}

static void drain_over(struct nr_op *op)
{
    struct nr_serve *serve = nr_container_of(op, struct nr_serve, drain_limit.op);

    serve->broken_off = true;
    for (uint32_t i = 0; i < serve->worker_count; i++)
        nr_io_post(serve->workers[i].io, &serve->workers[i].abort);
}

static void admin_drained(void *ctx)
{
    ((struct nr_serve *)ctx)->admin_drained = true;
}

/* Whoever asks how naru is means our successor. */
static void leave_admin(struct nr_serve *serve)
{
    if (serve->admin_server == NULL)
        return;
    nr_server_on_drained(serve->admin_server, admin_drained, serve);
    nr_server_drain_gently(serve->admin_server);
    nr_listener_close(serve->admin_listener);
    serve->admin_listener = NULL;
}

/* Every worker has turned once since nobody accepts any more: what was on its way has arrived. */
static void workers_are_quiet(struct nr_serve *serve)
{
    serve->waiting = serve->worker_count;
    atomic_store(&serve->accepting, serve->worker_count);
    for (uint32_t i = 0; i < serve->worker_count; i++)
        nr_io_post(serve->workers[i].io, &serve->workers[i].drain);
}

static void worker_is_quiet(struct nr_op *op)
{
    struct nr_serve_worker *worker = nr_container_of(op, struct nr_serve_worker, quiet);

    if (--worker->serve->waiting == 0)
        workers_are_quiet(worker->serve);
}

static void worker_quiet(struct nr_op *op)
{
    static const struct nr_op_kind back_kind = {worker_is_quiet, "serve.quiet"};
    struct nr_serve_worker *worker = nr_container_of(op, struct nr_serve_worker, quiet);

    nr_op_init(&worker->quiet, &back_kind);
    nr_io_post(worker->serve->control, &worker->quiet);
}

void nr_serve_begin_drain(struct nr_serve *serve)
{
    serve->draining = true;
    nr_notify_stopping(serve->notify);
    nr_serve_watch_stop(serve);
    nr_serve_tidy_stop(serve);
    nr_gateway_no_more_plans(serve->gateway);
    nr_admin_set_phase(serve->admin, NR_ADMIN_DRAINING);
    nr_log_write(&serve->log, NR_LOG_INFO, NULL,
                 "draining: no new connections; a second signal ends at once");
    nr_serve_cancel_upgrade(serve);
    for (uint32_t i = 0; i < nr_gateway_listener_count(serve->gateway); i++)
        nr_listener_pause(nr_gateway_listener(serve->gateway, i));
    if (serve->handed_over)
        leave_admin(serve);
    serve->waiting = serve->worker_count;
    for (uint32_t i = 0; i < serve->worker_count; i++)
        nr_io_post(serve->workers[i].io, &serve->workers[i].quiet);
    nr_timer_arm(serve->control, &serve->drain_limit,
                 nr_io_now_ns(serve->control) + serve->conf->drain_timeout_ns);
}

/* Whoever asks twice does not want to wait: no clean-up, only the lines already written. */
static void end_at_once(struct nr_serve *serve)
{
    nr_log_write(&serve->log, NR_LOG_WARN, NULL, "second signal: ending at once");
    (void)nr_logpipe_stop(serve->access_pipe, LOG_FLUSH_NOW_MS);
    (void)nr_logpipe_stop(serve->program_pipe, LOG_FLUSH_NOW_MS);
    _Exit(NR_EXIT_FAILURE);
}

static void on_signal(struct nr_op *op)
{
    struct nr_serve_signal *signal = nr_container_of(op, struct nr_serve_signal, signal.op);
    struct nr_serve *serve = signal->serve;

    if (op->result != NR_OK)
        return; /* cancelled: we are closing */
    if (signal->signal.signo == SIGHUP) {
        nr_io_signal(serve->control, &signal->signal);
        if (!serve->draining)
            nr_serve_reload_file(serve, "SIGHUP");
        return;
    }
    if (signal->signal.signo == SIGUSR2) {
        nr_io_signal(serve->control, &signal->signal);
        nr_serve_upgrade(serve);
        return;
    }
    if (serve->draining)
        end_at_once(serve);
    nr_io_signal(serve->control, &signal->signal);
    nr_serve_begin_drain(serve);
}

void nr_serve_watch_signals(struct nr_serve *serve)
{
    static const int watched[NR_SIGNALS] = {SIGTERM, SIGINT, SIGHUP, SIGUSR2};
    static const struct nr_op_kind signal_kind = {on_signal, "serve.signal"};
    static const struct nr_op_kind limit_kind = {drain_over, "serve.drain_limit"};
    static const struct nr_op_kind settle_kind = {control_settle, "serve.settle"};

    nr_timer_init(&serve->drain_limit, &limit_kind);
    nr_timer_init(&serve->settle, &settle_kind);
    for (uint32_t i = 0; i < NR_SIGNALS; i++) {
        struct nr_serve_signal *signal = &serve->signals[i];

        signal->serve = serve;
        signal->signal.signo = watched[i];
        nr_op_init(&signal->signal.op, &signal_kind);
        nr_io_signal(serve->control, &signal->signal);
    }
}

void nr_serve_worker_init_ops(struct nr_serve_worker *worker)
{
    static const struct nr_op_kind quiet_kind = {worker_quiet, "worker.quiet"};
    static const struct nr_op_kind drain_kind = {worker_drain, "worker.drain"};
    static const struct nr_op_kind abort_kind = {worker_abort, "worker.abort"};
    static const struct nr_op_kind close_kind = {worker_close, "worker.close"};
    static const struct nr_op_kind drained_kind = {worker_is_drained, "serve.drained"};
    static const struct nr_op_kind settle_kind = {worker_settle, "worker.settle"};

    nr_op_init(&worker->quiet, &quiet_kind);
    nr_op_init(&worker->drain, &drain_kind);
    nr_op_init(&worker->abort, &abort_kind);
    nr_op_init(&worker->close, &close_kind);
    nr_op_init(&worker->drained, &drained_kind);
    nr_timer_init(&worker->settle, &settle_kind);
}

/* ---- memory ---- */

void nr_serve_free(struct nr_serve *serve)
{
    nr_admin_free(serve->admin);
    if (serve->admin_listener != NULL)
        nr_listener_close(serve->admin_listener);
    nr_gateway_free(serve->gateway);
    for (uint32_t i = 0; i < serve->worker_count; i++)
        nr_io_free(serve->workers[i].io);
    nr_io_free(serve->control);
    nr_logpipe_free(serve->access_pipe, LOG_FLUSH_MS);
    nr_logpipe_free(serve->program_pipe, LOG_FLUSH_MS);
    nr_observe_free(serve->observe);
    nr_observe_names_free(serve->names);
    nr_serve_tidy_done(serve);
    nr_serve_reload_done(serve);
    free(serve->engines);
    free(serve->inherited);
    free(serve->gateways);
    free(serve->workers);
    free(serve->dns_servers);
}
