/* SPDX-License-Identifier: Apache-2.0 */
/* Signals, by signalfd. Its mask is what is waited for at the moment: a signal that
 * nobody waits for stays pending in the process until somebody does. When several engines wait for
 * the same signal, one of them gets it. */
#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "io/epoll_engine.h"

static struct nr_signal *signal_of(struct nr_link *link)
{
    return nr_container_of(link, struct nr_signal, op.link);
}

/* Make the descriptor's mask the signals that are waited for. False: no descriptor. */
static bool update_mask(struct nr_epoll *e)
{
    int fd = e->signal_watch.fd;
    sigset_t set;

    sigemptyset(&set);
    for (struct nr_link *link = e->signals.next; link != &e->signals; link = link->next)
        sigaddset(&set, signal_of(link)->signo);
    if (fd >= 0)
        return signalfd(fd, &set, 0) >= 0;
    e->signal_watch.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return e->signal_watch.fd >= 0 && nr_watch_add(e, &e->signal_watch, EPOLLIN) == 0;
}

static void on_signals(struct nr_op *op)
{
    struct nr_epoll *e = nr_container_of(op, struct nr_epoll, signal_watch.turn);
    struct signalfd_siginfo info;

    while (read(e->signal_watch.fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        struct nr_link *link = e->signals.next;

        while (link != &e->signals) {
            struct nr_signal *signal = signal_of(link);

            link = link->next;
            if (signal->signo == (int)info.ssi_signo)
                nr_engine_ready(&e->base, &signal->op, NR_OK);
        }
        update_mask(e);
    }
}

static const struct nr_op_kind signals_kind = {on_signals, "io.signal"};

void nr_epoll_signal_init(struct nr_epoll *e)
{
    nr_link_init(&e->signals);
    nr_watch_init(&e->signal_watch, -1, &signals_kind);
}

void nr_epoll_signal(struct nr_io *io, struct nr_signal *signal)
{
    struct nr_epoll *e = nr_epoll_of(io);

    nr_list_push_back(&e->signals, &signal->op.link);
    if (!update_mask(e))
        nr_engine_ready(io, &signal->op, NR_EFILES);
}

void nr_epoll_signal_cancel(struct nr_epoll *e, struct nr_op *op)
{
    nr_engine_ready(&e->base, op, NR_ECANCELED);
    update_mask(e);
}

void nr_epoll_signal_done(struct nr_epoll *e)
{
    if (e->signal_watch.fd >= 0)
        close(e->signal_watch.fd);
}
