/* SPDX-License-Identifier: Apache-2.0 */
/* What is left over when a world ends is a bug in what lived there: name it and abort. */
#include <stdio.h>
#include <stdlib.h>

#include "io/sim_world.h"

enum { KINDS_MAX = 32 };

struct tally {
    uint32_t kinds;
    struct {
        const char *name;
        uint32_t count;
    } kind[KINDS_MAX];
};

static void note(struct tally *tally, const struct nr_op *op)
{
    uint32_t i = 0;

    while (i < tally->kinds && strcmp(tally->kind[i].name, op->kind->name) != 0)
        i++;
    if (i == KINDS_MAX)
        return;
    if (i == tally->kinds) {
        tally->kinds++;
        tally->kind[i].name = op->kind->name;
        tally->kind[i].count = 0;
    }
    tally->kind[i].count++;
}

static void note_list(struct tally *tally, const struct nr_link *head)
{
    for (const struct nr_link *at = head->next; at != head; at = at->next)
        note(tally, nr_container_of(at, const struct nr_op, link));
}

static void note_sockets(struct tally *tally, const struct sim_engine *engine)
{
    for (const struct nr_link *at = engine->socks.next; at != &engine->socks; at = at->next) {
        const struct sim_sock *sock = nr_container_of(at, const struct sim_sock, link);

        note_list(tally, &sock->recv);
        note_list(tally, &sock->writable);
        note_list(tally, &sock->watch);
    }
}

static void note_net(struct tally *tally, const struct sim_engine *engine)
{
    const struct nr_sim *sim = engine->sim;

    for (const struct nr_link *at = sim->conns.next; at != &sim->conns; at = at->next) {
        const struct sim_conn *conn = nr_container_of(at, const struct sim_conn, link);

        if (conn->client == engine)
            note_list(tally, &conn->connecting);
    }
    for (const struct nr_link *at = sim->listeners.next; at != &sim->listeners; at = at->next) {
        const struct sim_listener *listener = nr_container_of(at, const struct sim_listener, all);

        for (uint32_t i = 0; i < listener->desk_count; i++)
            if (listener->desks[i].engine == engine)
                note_list(tally, &listener->desks[i].accepts);
    }
}

static void note_timers(struct tally *tally, const struct nr_timers *timers)
{
    note_list(tally, &timers->due);
    for (int level = 0; level < NR_TIMERS_LEVELS; level++)
        for (int slot = 0; slot < NR_TIMERS_SLOTS; slot++)
            note_list(tally, &timers->slots[level][slot]);
}

static void print(const struct sim_engine *engine)
{
    struct tally tally = {0};

    note_list(&tally, &engine->io.ready);
    note_sockets(&tally, engine);
    note_net(&tally, engine);
    note_timers(&tally, &engine->io.timers);
    note_list(&tally, &engine->signals);
    for (const struct nr_link *at = engine->jobs.next; at != &engine->jobs; at = at->next)
        note_list(&tally, &nr_container_of(at, const struct sim_job, link)->op);
    fprintf(stderr,
            "simulation leak: host %s engine %u: %u operations and timers, %u sockets, %u buffers",
            engine->host->name, engine->index, nr_io_outstanding(&engine->io),
            nr_io_socket_count(&engine->io), engine->io.bufs.live);
    for (uint32_t i = 0; i < tally.kinds; i++)
        fprintf(stderr, "%s%s x%u", i == 0 ? " (" : ", ", tally.kind[i].name, tally.kind[i].count);
    fprintf(stderr, "%s\n", tally.kinds > 0 ? ")" : "");
}

void sim_leak_check(const struct nr_sim *sim)
{
    bool leaks = false;

    for (uint32_t i = 0; i < sim->engine_count; i++) {
        const struct nr_io *io = &sim->engines[i]->io;

        if (nr_io_outstanding(io) + nr_io_socket_count(io) + io->bufs.live == 0)
            continue;
        print(sim->engines[i]);
        leaks = true;
    }
    for (const struct nr_link *at = sim->listeners.next; at != &sim->listeners; at = at->next) {
        const struct sim_listener *listener = nr_container_of(at, const struct sim_listener, all);
        char text[NR_ADDR_TEXT_BYTES];

        nr_addr_format(&listener->address, text, sizeof(text));
        fprintf(stderr, "simulation leak: host %s: listener on %s\n", listener->host->name, text);
        leaks = true;
    }
    if (leaks) {
        fprintf(stderr, "simulation leak: seed %llu, at %.6f s\n",
                (unsigned long long)sim->conf.seed, (double)sim->now_ns / 1e9);
        abort();
    }
}
