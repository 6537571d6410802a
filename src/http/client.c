/* SPDX-License-Identifier: Apache-2.0 */
/* client.c - the pool: who may connect, who waits, what is kept.
 *
 *   open() --one is idle--------------------------------------> exchange
 *     |----fewer than connections_max are open---> connecting -----^  ^
 *     '----else, in line--> WAITING --one is gone--> connecting ------|
 *                              '------one is free, handed over--------'
 *
 * A connection carries its exchange within itself, so one that waits is a connection without a
 * socket. It gets a socket in the order of the line: that of an exchange that has ended, or one of
 * its own as soon as another connection is gone. So nobody waits while something is idle or may
 * be opened, save for the moment in which a connection is on its way out.
 *
 * Without a descriptor for another connection the same line serves: who is in it for that tries
 * again now and then, because the one that comes free may be anybody's.
 * While descriptors are short, every pool gives up half of what is idle, and then half of the rest.
 */
#include "http/client.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/cell.h"
#include "base/compiler.h"
#include "http/h1_client.h"

static const uint64_t files_retry_ns = 50000000u;

const struct nr_client_conf nr_client_conf_default = {
    .limits = {.head_bytes_max = 32 * 1024,
               .target_bytes_max = 8 * 1024,
               .fields_max = 100,
               .trailer_bytes_max = 8 * 1024},
    .idle_max = 256,
    .connections_max = 0,
    .waiting_max = 1024,
    .connect_timeout_ns = 1000000000u,
    .idle_timeout_ns = 60000000000u,
    .lifetime_ns = 0,
    .write_timeout_ns = 5000000000u,
    .body_timeout_ns = 30000000000u,
    .tunnel_timeout_ns = 3600000000000u,
};

static void asked(struct nr_shortage *shortage);

struct nr_client *nr_client_new(struct nr_io *io, const struct nr_addr *address,
                                const struct nr_client_conf *conf)
{
    struct nr_client *client = malloc(sizeof(*client));

    nr_assert(client != NULL);
    nr_assert(conf->limits.head_bytes_max <= 56 * 1024);
    *client = (struct nr_client){
        .io = io,
        .address = *address,
        .conf = conf,
        .common = {.limits = &conf->limits,
                   .body_timeout_ns = conf->body_timeout_ns,
                   .write_timeout_ns = conf->write_timeout_ns,
                   .tunnel_timeout_ns = conf->tunnel_timeout_ns},
    };
    if (conf->transport != NULL)
        client->route = conf->transport->attach(conf->transport, address, conf->connect_timeout_ns);
    client->counts = &client->own_counts;
    client->shortage.asked = asked;
    nr_shortage_watch(io, &client->shortage);
    for (int i = 0; i < NR_CLIENT_PLACES; i++)
        nr_link_init(&client->places[i]);
    return client;
}

void nr_client_count_into(struct nr_client *client, struct nr_client_counts *counts)
{
    nr_assert(client->conns == 0);
    client->counts = counts;
}

static void free_if_over(struct nr_client *client)
{
    if (client->closing && client->conns == 0)
        free(client);
}

/* ---- places ---- */

static struct nr_client_conn *first_in(struct nr_client *client, enum nr_client_place place)
{
    struct nr_link *list = &client->places[place];

    return nr_list_empty(list) ? NULL : nr_container_of(list->next, struct nr_client_conn, link);
}

static void count_place(struct nr_client *client, enum nr_client_place place, int32_t n)
{
    client->in_place[place] += (uint32_t)n;
    if (place == NR_CLIENT_IDLE)
        nr_cell32_add(&client->counts->idle, n);
    else if (place == NR_CLIENT_WAITING)
        nr_cell32_add(&client->counts->waiting, n);
}

static void place(struct nr_client_conn *cc, enum nr_client_place where)
{
    struct nr_link *list = &cc->client->places[where];

    nr_assert(cc->place == NR_CLIENT_NOWHERE);
    cc->place = where;
    if (where == NR_CLIENT_IDLE)
        nr_list_push_front(list, &cc->link);
    else
        nr_list_push_back(list, &cc->link);
    count_place(cc->client, where, 1);
}

void nr_client_displace(struct nr_client_conn *cc)
{
    if (cc->place == NR_CLIENT_NOWHERE)
        return;
    nr_list_remove(&cc->link);
    count_place(cc->client, cc->place, -1);
    cc->place = NR_CLIENT_NOWHERE;
}

/* ---- reuse ---- */

static bool too_old(const struct nr_client_conn *cc)
{
    return nr_io_now_ns(cc->client->io) >= cc->expires_ns;
}

bool nr_client_pool(struct nr_client_conn *cc)
{
    struct nr_client *client = cc->client;
    struct nr_client_conn *heir = first_in(client, NR_CLIENT_WAITING);

    if (too_old(cc) || cc->idle_max_ns == 0)
        return false;
    if (nr_unlikely(heir != NULL)) {
        if (nr_op_idle(&cc->h.recv.op) && nr_op_idle(&cc->h.writable))
            nr_client_conn_hand_over(cc, heir);
        return false;
    }
    if (client->closing || client->in_place[NR_CLIENT_IDLE] >= client->conf->idle_max)
        return false;
    place(cc, NR_CLIENT_IDLE);
    return true;
}

/* The one used last that is still good. Something that waits in the queue for an idle connection
 * can only be its end, or an answer to nothing: either way it must not meet a new request. */
static struct nr_client_conn *take_idle(struct nr_client *client)
{
    struct nr_client_conn *cc;

    while ((cc = first_in(client, NR_CLIENT_IDLE)) != NULL) {
        nr_client_displace(cc);
        if (cc->h.recv.op.state == NR_OP_PENDING && !too_old(cc))
            return cc;
        nr_client_conn_shut(cc);
    }
    return NULL;
}

/* ---- room ---- */

static bool is_full(const struct nr_client *client)
{
    return client->conf->connections_max != 0 && client->open >= client->conf->connections_max;
}

/* Whoever wants a fresh one does not take what is idle; then the one idle longest makes room. */
static void make_room(struct nr_client *client)
{
    struct nr_link *list = &client->places[NR_CLIENT_IDLE];
    struct nr_client_conn *cc;

    if (nr_list_empty(list))
        return;
    cc = nr_container_of(list->prev, struct nr_client_conn, link);
    nr_client_displace(cc);
    nr_client_conn_shut(cc);
}

/* Descriptors are short. */
static void asked(struct nr_shortage *shortage)
{
    struct nr_client *client = nr_container_of(shortage, struct nr_client, shortage);

    for (uint32_t n = (client->in_place[NR_CLIENT_IDLE] + 1) / 2; n > 0; n--)
        make_room(client);
}

static void get_in_line(struct nr_client_conn *cc)
{
    struct nr_client *client = cc->client;
    uint64_t within_ns = client->conf->connect_timeout_ns;

    nr_cell_add(&client->counts->waits, 1);
    if (client->in_place[NR_CLIENT_WAITING] >= client->conf->waiting_max) {
        nr_h1_end(&cc->m, NR_END_POOL_EXHAUSTED);
        return;
    }
    place(cc, NR_CLIENT_WAITING);
    if (within_ns != 0)
        nr_h1_read_deadline(&cc->h, nr_io_now_ns(client->io) + within_ns);
    make_room(client);
}

static void give_up_place(struct nr_client_conn *cc)
{
    if (!cc->counted)
        return;
    cc->counted = false;
    cc->client->open--;
    nr_cell32_add(&cc->client->counts->open, -1);
}

static bool has_time(const struct nr_client_conn *cc, uint64_t now_ns)
{
    uint64_t within_ns = cc->client->conf->connect_timeout_ns;

    return within_ns == 0 || now_ns - cc->m.x.times.started_ns < within_ns;
}

bool nr_client_wait_for_files(struct nr_client_conn *cc)
{
    struct nr_client *client = cc->client;
    uint64_t now_ns = nr_io_now_ns(client->io);

    cc->m.x.no_files = true;
    if (client->in_place[NR_CLIENT_WAITING] >= client->conf->waiting_max || !has_time(cc, now_ns))
        return false;
    nr_io_short_of_files(client->io);
    give_up_place(cc);
    nr_cell_add(&client->counts->waits, 1);
    place(cc, NR_CLIENT_WAITING);
    nr_h1_read_deadline(&cc->h, now_ns + files_retry_ns);
    make_room(client);
    return true;
}

void nr_client_waited(struct nr_client_conn *cc)
{
    if (!cc->m.x.no_files) {
        nr_h1_end(&cc->m, NR_END_POOL_EXHAUSTED);
    } else if (!has_time(cc, nr_io_now_ns(cc->client->io))) {
        nr_h1_end(&cc->m, NR_END_CONNECT_FAILED);
    } else {
        nr_client_displace(cc);
        nr_client_conn_connect(cc);
    }
}

struct nr_exchange *nr_client_open(struct nr_client *client, struct nr_arena *arena,
                                   const struct nr_exchange_events *events, void *owner, bool fresh)
{
    struct nr_client_conn *cc;
    struct nr_exchange *x;

    nr_assert(!client->closing);
    if (nr_unlikely(client->route != NULL))
        return client->conf->transport->open(client->route, arena, events, owner, fresh);
    cc = fresh ? NULL : take_idle(client);
    if (cc != NULL) {
        nr_cell_add(&client->counts->reuses, 1);
        return nr_client_conn_open(cc, arena, events, owner, true);
    }
    cc = nr_client_conn_new(client);
    x = nr_client_conn_open(cc, arena, events, owner, false);
    if (nr_unlikely(is_full(client)))
        get_in_line(cc);
    else
        nr_client_conn_connect(cc);
    return x;
}

void nr_client_prewarm(struct nr_client *client, uint32_t connections)
{
    nr_assert(!client->closing);
    while (client->route == NULL && client->open < connections && !is_full(client)) {
        struct nr_client_conn *cc = nr_client_conn_new(client);

        place(cc, NR_CLIENT_WARMING);
        nr_client_conn_connect(cc);
    }
}

void nr_client_conn_gone(struct nr_client_conn *cc)
{
    struct nr_client *client = cc->client;
    struct nr_client_conn *heir;
    bool more = true;

    client->conns--;
    give_up_place(cc);
    while (more && !is_full(client) && (heir = first_in(client, NR_CLIENT_WAITING)) != NULL) {
        more = !heir->m.x.no_files; /* one descriptor has come free, not one for each */
        nr_client_displace(heir);
        nr_client_conn_connect(heir);
    }
    free_if_over(client);
}

/* ---- the end ---- */

static void shut_all(struct nr_client *client, enum nr_client_place where)
{
    struct nr_client_conn *cc;

    while ((cc = first_in(client, where)) != NULL) {
        nr_client_displace(cc);
        nr_client_conn_shut(cc);
    }
}

/* What still runs is no longer its owner's. */
static void count_apart(struct nr_client *client)
{
    nr_cell32_add(&client->counts->open, -(int32_t)client->open);
    nr_cell32_add(&client->counts->waiting, -(int32_t)client->in_place[NR_CLIENT_WAITING]);
    client->counts = &client->own_counts;
    client->own_counts = (struct nr_client_counts){.open = client->open,
                                                   .waiting = client->in_place[NR_CLIENT_WAITING]};
}

void nr_client_close(struct nr_client *client)
{
    if (client == NULL)
        return;
    nr_assert(!client->closing);
    client->closing = true;
    nr_shortage_unwatch(&client->shortage);
    shut_all(client, NR_CLIENT_IDLE);
    shut_all(client, NR_CLIENT_WARMING);
    if (client->route != NULL)
        client->conf->transport->detach(client->route);
    count_apart(client);
    free_if_over(client);
}

const struct nr_client_counts *nr_client_counts(const struct nr_client *client)
{
    return client->counts;
}
