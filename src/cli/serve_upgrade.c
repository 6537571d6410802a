/* SPDX-License-Identifier: Apache-2.0 */
/* serve_upgrade.c - SIGUSR2: the binary is replaced while it serves.
 *
 *   the new program is started with our listening sockets, and serves beside us;
 *   it says so by a pipe; from then on we drain, gently, because clients are welcome next door;
 *   it does not say so, or ends: nothing has happened, we go on.
 *
 * Both accept from the same backlog, so no connection is refused at any moment. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "cli/serve.h"
#include "io/notify.h"

enum { READY_MS = 60000 };

struct nr_upgrade {
    struct nr_serve *serve;
    struct nr_work work;
    struct nr_successor successor;
    struct nr_err err;
    enum nr_code code;
};

/* On a pool thread. */
static void wait_for_it(struct nr_work *work)
{
    struct nr_upgrade *upgrade = nr_container_of(work, struct nr_upgrade, work);

    upgrade->code = nr_successor_wait(&upgrade->successor, READY_MS, &upgrade->err);
}

static void refuse(struct nr_serve *serve, const struct nr_err *err)
{
    nr_log_write(&serve->log, NR_LOG_ERROR, NULL, "upgrade failed, this process goes on: %s",
                 err->text);
}

/* The main process is another one now: systemd follows it. */
static void hand_over(struct nr_serve *serve, int pid)
{
    const struct nr_log_field fields[] = {{"pid", {NULL, 0}, pid}, {NULL, {NULL, 0}, 0}};
    char state[48];

    snprintf(state, sizeof(state), "MAINPID=%d\nREADY=1", pid);
    nr_notify(serve->notify, state);
    serve->notify = NULL;
    nr_log_write(&serve->log, NR_LOG_INFO, fields, "upgraded: the new process serves");
    serve->handed_over = true;
    for (uint32_t i = 0; i < nr_gateway_listener_count(serve->gateway); i++)
        nr_listener_keep_file(nr_gateway_listener(serve->gateway, i));
    if (serve->admin_listener != NULL)
        nr_listener_keep_file(serve->admin_listener);
    nr_serve_begin_drain(serve);
}

static void waited(struct nr_op *op)
{
    struct nr_upgrade *upgrade = nr_container_of(op, struct nr_upgrade, work.op);
    struct nr_serve *serve = upgrade->serve;

    serve->upgrade = NULL;
    if (upgrade->code != NR_OK)
        refuse(serve, &upgrade->err);
    else if (serve->draining) /* we were to end, and what we started must, too */
        nr_successor_cancel(&upgrade->successor);
    else
        hand_over(serve, upgrade->successor.pid);
    free(upgrade);
}

static uint32_t collect(struct nr_serve *serve, int *to)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < nr_gateway_listener_count(serve->gateway); i++)
        to[count++] = nr_listener_fd(nr_gateway_listener(serve->gateway, i));
    if (serve->admin_listener != NULL)
        to[count++] = nr_listener_fd(serve->admin_listener);
    return count;
}

void nr_serve_upgrade(struct nr_serve *serve)
{
    static const struct nr_op_kind waited_kind = {waited, "serve.upgrade"};
    struct nr_upgrade *upgrade;
    struct nr_err err = {0};
    int *fds;

    if (serve->upgrade != NULL || serve->draining) {
        nr_log_write(&serve->log, NR_LOG_WARN, NULL, "an upgrade is under way already");
        return;
    }
    upgrade = calloc(1, sizeof(*upgrade));
    fds = calloc(nr_gateway_listener_count(serve->gateway) + 1, sizeof(int));
    nr_assert(upgrade != NULL && fds != NULL);
    upgrade->serve = serve;
    if (nr_successor_start(fds, collect(serve, fds), &upgrade->successor, &err) != NR_OK) {
        refuse(serve, &err);
        free(upgrade);
    } else {
        serve->upgrade = upgrade;
        upgrade->code = NR_EIO;
        nr_op_init(&upgrade->work.op, &waited_kind);
        upgrade->work.run = wait_for_it;
        nr_log_write(&serve->log, NR_LOG_INFO, NULL, "upgrade: the new process is starting");
        nr_io_work(serve->control, &upgrade->work);
    }
    free(fds);
}

void nr_serve_cancel_upgrade(struct nr_serve *serve)
{
    if (serve->upgrade != NULL)
        nr_successor_cancel(&serve->upgrade->successor);
}
