/* SPDX-License-Identifier: Apache-2.0 */
/* What a test does to the world: faults, names, files, signals. */
#include <stdlib.h>

#include "base/assert.h"
#include "io/sim_world.h"

/* ---- links ---- */

/* Something may have opened: set going again what had come to a cut. */
static void unpark_all(struct nr_sim *sim)
{
    for (struct nr_link *at = sim->conns.next; at != &sim->conns; at = at->next)
        sim_conn_unpark(nr_container_of(at, struct sim_conn, link));
}

static struct sim_link *link_of(struct nr_sim *sim, const char *a, const char *b)
{
    struct sim_host *host_a = sim_host_get(sim, a);

    return sim_link_get(sim, host_a, sim_host_get(sim, b));
}

void nr_sim_set_link(struct nr_sim *sim, const char *a, const char *b,
                     const struct nr_sim_link *link)
{
    link_of(sim, a, b)->conf = *link;
    unpark_all(sim);
}

void nr_sim_partition(struct nr_sim *sim, const char *a, const char *b, bool cut)
{
    link_of(sim, a, b)->cut = cut;
    unpark_all(sim);
}

void nr_sim_silence(struct nr_sim *sim, const char *host_ip, bool silent)
{
    sim_host_get(sim, host_ip)->silent = silent;
    unpark_all(sim);
}

/* ---- death ---- */

static void kill_conn(struct sim_conn *conn, const struct sim_host *host)
{
    bool dies[2] = {conn->end[0].host == host, conn->end[1].host == host};

    if (conn->state != SIM_CONN_ESTABLISHED) {
        if (dies[0])
            sim_conn_fail(conn, NR_ERESET);
        return; /* a server that dies meanwhile: the handshake will find nobody */
    }
    for (int i = 0; i < 2; i++) {
        if (!dies[i])
            continue;
        if (conn->end[i].holds_file)
            conn->end[i].host->files--;
        conn->end[i].holds_file = false;
        if (conn->end[i].sock != NULL && conn->end[i].error == NR_OK)
            sim_conn_send_rst(conn, 1 - i);
    }
    for (int i = 0; i < 2; i++)
        if (dies[i] && conn->end[i].sock != NULL)
            sim_conn_reset(conn, i);
}

void nr_sim_kill(struct nr_sim *sim, const char *host_ip)
{
    struct sim_host *host = sim_host_get(sim, host_ip);
    struct nr_link *at, *next;

    host->up = false;
    host->signals = 0;
    while (!nr_list_empty(&host->listeners))
        sim_listener_kill(nr_container_of(host->listeners.next, struct sim_listener, link));
    for (at = sim->conns.next; at != &sim->conns; at = next) {
        next = at->next;
        kill_conn(nr_container_of(at, struct sim_conn, link), host);
    }
}

void nr_sim_revive(struct nr_sim *sim, const char *host_ip)
{
    sim_host_get(sim, host_ip)->up = true;
}

/* ---- connections ---- */

static bool between(const struct sim_conn *conn, const struct sim_host *a, const struct sim_host *b)
{
    const struct sim_host *from = conn->end[0].host, *to = conn->end[1].host;

    return sim_conn_alive(conn) && ((from == a && to == b) || (from == b && to == a));
}

static uint32_t count(const struct nr_sim *sim, const struct sim_host *a, const struct sim_host *b)
{
    uint32_t found = 0;

    for (struct nr_link *at = sim->conns.next; at != &sim->conns; at = at->next)
        found += between(nr_container_of(at, const struct sim_conn, link), a, b);
    return found;
}

bool nr_sim_reset_one(struct nr_sim *sim, const char *a, const char *b)
{
    struct sim_host *host_a = sim_host_get(sim, a), *host_b = sim_host_get(sim, b);
    uint32_t found = count(sim, host_a, host_b);
    uint64_t chosen;

    if (found == 0)
        return false;
    chosen = nr_random_below(&sim->net, found);
    for (struct nr_link *at = sim->conns.next;; at = at->next) {
        struct sim_conn *conn = nr_container_of(at, struct sim_conn, link);

        if (!between(conn, host_a, host_b) || chosen-- > 0)
            continue;
        sim_conn_reset(conn, 0); /* end 0 has a handle or an error: the connection stays */
        sim_conn_reset(conn, 1);
        return true;
    }
}

static const struct sim_host *find(const struct nr_sim *sim, const char *ip_text)
{
    for (struct nr_link *at = sim->hosts.next; at != &sim->hosts; at = at->next) {
        const struct sim_host *host = nr_container_of(at, const struct sim_host, link);

        if (strcmp(host->name, ip_text) == 0)
            return host;
    }
    return NULL;
}

uint32_t nr_sim_connections(const struct nr_sim *sim, const char *a, const char *b)
{
    const struct sim_host *host_a = find(sim, a), *host_b = find(sim, b);

    return host_a == NULL || host_b == NULL ? 0 : count(sim, host_a, host_b);
}

/* ---- what a host has ---- */

void nr_sim_limit_files(struct nr_sim *sim, const char *host_ip, uint32_t files_max)
{
    sim_host_get(sim, host_ip)->files_max = files_max;
}

void nr_sim_name(struct nr_sim *sim, const char *name, const char *addresses, uint32_t ttl_s)
{
    const char *own = sim_intern(sim, name);
    struct sim_name *entry = NULL;

    for (struct nr_link *at = sim->names.next; at != &sim->names; at = at->next)
        if (nr_container_of(at, struct sim_name, link)->name == own)
            entry = nr_container_of(at, struct sim_name, link);
    if (entry == NULL) {
        entry = sim_zalloc(sizeof(*entry));
        entry->name = own;
        nr_list_push_back(&sim->names, &entry->link);
    }
    entry->addresses = addresses == NULL ? NULL : sim_intern(sim, addresses);
    entry->ttl_s = ttl_s;
}

static void file_remove(struct sim_host *host, const char *path)
{
    for (struct nr_link *at = host->disk.next; at != &host->disk; at = at->next) {
        struct sim_file *file = nr_container_of(at, struct sim_file, link);

        if (strcmp(file->path, path) != 0)
            continue;
        nr_list_remove(&file->link);
        free(file->bytes);
        free(file);
        return;
    }
}

void nr_sim_file(struct nr_sim *sim, const char *host_ip, const char *path, struct nr_span bytes)
{
    struct sim_host *host = sim_host_get(sim, host_ip);
    struct sim_file *file;

    file_remove(host, path);
    if (bytes.ptr == NULL)
        return;
    file = sim_zalloc(sizeof(*file));
    file->path = sim_intern(sim, path);
    file->bytes = sim_zalloc(bytes.len + 1);
    memcpy(file->bytes, bytes.ptr, bytes.len);
    file->len = bytes.len;
    nr_list_push_back(&host->disk, &file->link);
}

/* One that nobody waits for stays pending, as a blocked signal does. */
void nr_sim_raise(struct nr_sim *sim, const char *host_ip, int signo)
{
    struct sim_host *host = sim_host_get(sim, host_ip);
    bool heard = false;

    nr_assert(signo > 0 && signo < 64);
    for (uint32_t i = 0; i < sim->engine_count; i++) {
        struct sim_engine *engine = sim->engines[i];
        struct nr_link *at, *next;

        for (at = engine->signals.next; engine->host == host && at != &engine->signals; at = next) {
            struct nr_signal *signal = nr_container_of(at, struct nr_signal, op.link);

            next = at->next;
            if (signal->signo != signo)
                continue;
            nr_engine_ready(&engine->io, &signal->op, NR_OK);
            heard = true;
        }
    }
    if (!heard)
        host->signals |= (uint64_t)1 << signo;
}
