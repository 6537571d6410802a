/* SPDX-License-Identifier: Apache-2.0 */
#include "http/client.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "http/h1_client.h"

const struct nr_client_conf nr_client_conf_default = {
    .limits = {.head_bytes_max = 32 * 1024,
               .target_bytes_max = 8 * 1024,
               .fields_max = 100,
               .trailer_bytes_max = 8 * 1024},
    .idle_max = 256,
    .connect_timeout_ns = 1000000000u,
    .idle_timeout_ns = 60000000000u,
    .lifetime_ns = 0,
    .write_timeout_ns = 5000000000u,
    .body_timeout_ns = 30000000000u,
    .tunnel_timeout_ns = 3600000000000u,
};

static void free_if_over(struct nr_client *client)
{
    if (client->closing && client->counts.open == 0)
        free(client);
}

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
    nr_link_init(&client->idle);
    return client;
}

static bool too_old(const struct nr_client_conn *cc)
{
    const struct nr_client *client = cc->client;

    return client->conf->lifetime_ns != 0 &&
           nr_io_now_ns(client->io) - cc->born_ns >= client->conf->lifetime_ns;
}

bool nr_client_pool(struct nr_client_conn *cc)
{
    struct nr_client *client = cc->client;

    if (client->closing || client->counts.idle >= client->conf->idle_max || too_old(cc))
        return false;
    nr_list_push_front(&client->idle, &cc->link);
    client->counts.idle++;
    return true;
}

void nr_client_unpool(struct nr_client_conn *cc)
{
    if (!nr_link_linked(&cc->link))
        return;
    nr_list_remove(&cc->link);
    cc->client->counts.idle--;
}

/* The one used last that is still good. Something that waits in the queue for an idle connection
 * can only be its end, or an answer to nothing: either way it must not meet a new request. */
static struct nr_client_conn *take_idle(struct nr_client *client)
{
    while (!nr_list_empty(&client->idle)) {
        struct nr_client_conn *cc = nr_container_of(client->idle.next, struct nr_client_conn, link);

        nr_client_unpool(cc);
        if (cc->h.recv.op.state == NR_OP_PENDING && !too_old(cc))
            return cc;
        nr_client_conn_shut(cc);
    }
    return NULL;
}

struct nr_exchange *nr_client_open(struct nr_client *client, struct nr_arena *arena,
                                   const struct nr_exchange_events *events, void *owner, bool fresh)
{
    struct nr_client_conn *cc = fresh ? NULL : take_idle(client);
    bool reused = cc != NULL;

    nr_assert(!client->closing);
    if (reused)
        client->counts.reuses++;
    else
        cc = nr_client_conn_new(client);
    return nr_client_conn_open(cc, arena, events, owner, reused);
}

void nr_client_conn_gone(struct nr_client *client)
{
    client->counts.open--;
    free_if_over(client);
}

void nr_client_close(struct nr_client *client)
{
    if (client == NULL)
        return;
    nr_assert(!client->closing);
    client->closing = true;
    while (!nr_list_empty(&client->idle)) {
        struct nr_client_conn *cc = nr_container_of(client->idle.next, struct nr_client_conn, link);

        nr_client_unpool(cc);
        nr_client_conn_shut(cc);
    }
    free_if_over(client);
}

const struct nr_client_counts *nr_client_counts(const struct nr_client *client)
{
    return &client->counts;
}
