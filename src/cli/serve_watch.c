/* SPDX-License-Identifier: Apache-2.0 */
/* serve_watch.c - `gateway.reload: on_change`: look at the files now and then.
 *
 * Polling sees what inotify does not: network file systems, and the symbolic links by which
 * Kubernetes swaps a whole ConfigMap. A change must stand still for one look before it counts, so
 * that a file is not read while an editor still writes it. */
#include "base/assert.h"
#include "base/compiler.h"
#include "cli/serve.h"

static const uint64_t look_ns = 500u * 1000 * 1000;

/* Everything that was read, as it is now, in one number. */
static uint64_t stamp_of(const struct nr_cli_files *files)
{
    uint64_t stamp = 14695981039346656037u;

    for (uint32_t i = 0; i < files->count; i++)
        stamp = (stamp ^ nr_process_file_stamp(files->paths[i])) * 1099511628211u;
    return stamp;
}

static void look(struct nr_op *op)
{
    struct nr_serve *serve = nr_container_of(op, struct nr_serve, reload.look.op);
    struct nr_reload_state *reload = &serve->reload;
    uint64_t stamp = stamp_of(&reload->watched);
    bool still = stamp == reload->stamp_seen;

    reload->stamp_seen = stamp;
    nr_timer_arm(serve->control, &reload->look, nr_io_now_ns(serve->control) + look_ns);
    if (!still || stamp == reload->stamp_loaded || reload->running != NULL)
        return;
    reload->stamp_loaded = stamp; /* also when it is refused: it is said once */
    nr_serve_reload_file(serve, "file changed");
}

void nr_serve_watch_files(struct nr_serve *serve, struct nr_cli_files *files)
{
    static const struct nr_op_kind look_kind = {look, "serve.look"};
    struct nr_reload_state *reload = &serve->reload;

    nr_serve_watch_stop(serve);
    nr_cli_files_done(&reload->watched);
    reload->watched = *files;
    *files = (struct nr_cli_files){0};
    nr_original_unref(reload->watched.original); /* the versions hold it */
    reload->watched.original = NULL;
    if (serve->conf->reload != NR_RELOAD_ON_CHANGE || reload->path == NULL || serve->draining)
        return;
    reload->stamp_loaded = reload->stamp_seen = stamp_of(&reload->watched);
    nr_timer_init(&reload->look, &look_kind);
    nr_timer_arm(serve->control, &reload->look, nr_io_now_ns(serve->control) + look_ns);
    reload->looking = true;
}

void nr_serve_watch_stop(struct nr_serve *serve)
{
    if (serve->reload.looking)
        nr_timer_disarm(serve->control, &serve->reload.look);
    serve->reload.looking = false;
}
