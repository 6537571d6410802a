/* SPDX-License-Identifier: Apache-2.0 */
/* model_client.c - the people before the gateway: they come whether it is well or not.
 *
 * An open loop: new visits begin by the curve however slow the answers are, as in life, and unlike
 * a load generator that waits for its own. Each visit is one request, and more when the client is
 * told to retry; it ends with the first answer below 500 that is not a 429. Connections are kept
 * alive and shared by the clients of one address. */
#include <math.h>
#include <stdlib.h>

#include "base/assert.h"
#include "foresight/model.h"

enum { ARENA_BYTES = 2048 };

struct nr_model_visit {
    struct nr_link link; /* clients->visits or ->free */
    struct nr_model_clients *clients;
    const struct nr_request_conf *what; /* NULL: GET / */
    uint32_t kind;                      /* its number */
    struct nr_exchange *x;              /* NULL: between two requests */
    struct nr_sim_event timer;          /* the client's patience, or its back-off */
    uint64_t began_ns;                  /* the visit */
    uint64_t asked_ns;                  /* the request */
    uint64_t sent_bytes;
    uint32_t requests;
    uint16_t status;
    bool complete;
    struct nr_arena arena;
    _Alignas(16) char block[ARENA_BYTES];
};

static void ask(struct nr_model_visit *visit);

static uint64_t now_ns(const struct nr_model_clients *clients)
{
    return nr_sim_now_ns(clients->world->sim);
}

/* ---- the end of a visit ---- */

static void leave(struct nr_model_visit *visit, bool ok)
{
    struct nr_model_clients *clients = visit->clients;
    uint64_t at_ns = now_ns(clients);

    nr_report_visit(clients->world->report, at_ns, visit->kind, ok,
                    (at_ns - visit->began_ns) / 1000);
    nr_list_remove(&visit->link);
    nr_list_push_front(&clients->free, &visit->link);
}

static void back_off(struct nr_model_visit *visit)
{
    struct nr_model_clients *clients = visit->clients;
    const struct nr_client_retry_conf *retry = &clients->world->scenario->traffic->clients.retry;
    double pause_ns = (double)retry->backoff_ns * pow(retry->factor, visit->requests - 1.0);

    if (retry->jitter)
        pause_ns *= nr_random_unit(&clients->random);
    nr_sim_at(clients->world->sim, &visit->timer, now_ns(clients) + (uint64_t)pause_ns);
}

/* A request is over, well or not. */
static void conclude(struct nr_model_visit *visit)
{
    struct nr_model_clients *clients = visit->clients;
    const struct nr_scenario *scenario = clients->world->scenario;
    bool ok = visit->complete && visit->status < 500 && visit->status != 429;

    nr_hist_add(&clients->world->report->all, (now_ns(clients) - visit->asked_ns) / 1000);
    if (ok || visit->requests >= scenario->traffic->clients.retry.attempts)
        leave(visit, ok);
    else
        back_off(visit);
}

/* ---- one request ---- */

static void on_head(struct nr_exchange *x, struct nr_head *head, bool ended)
{
    struct nr_model_visit *visit = x->owner;

    if (head->status < 200)
        return;
    visit->status = head->status;
    visit->complete = ended;
}

static void on_body(struct nr_exchange *x, bool ended)
{
    struct nr_model_visit *visit = x->owner;

    nr_exchange_consume(x, nr_exchange_pending(x).len);
    visit->complete = ended;
}

static void on_trailers(struct nr_exchange *x, struct nr_head *trailers)
{
    (void)trailers;
    on_body(x, true);
}

static const char filler[16 * 1024];

static void send_rest(struct nr_model_visit *visit)
{
    uint64_t total = visit->what == NULL ? 0 : visit->what->body_bytes;

    while (visit->sent_bytes < total) {
        uint64_t left = total - visit->sent_bytes;
        struct nr_span piece = {filler, left < sizeof(filler) ? (size_t)left : sizeof(filler)};
        size_t taken = nr_exchange_send_body(visit->x, piece, piece.len == left);

        visit->sent_bytes += taken;
        if (taken < piece.len)
            return;
    }
}

static void on_writable(struct nr_exchange *x)
{
    send_rest(x->owner);
}

static void on_end(struct nr_exchange *x, enum nr_end end)
{
    struct nr_model_visit *visit = x->owner;

    (void)end;
    visit->x = NULL;
    visit->clients->in_flight--;
    nr_sim_cancel(visit->clients->world->sim, &visit->timer);
    nr_arena_done(&visit->arena);
    conclude(visit);
}

static const struct nr_exchange_events events = {
    .head = on_head,
    .body = on_body,
    .trailers = on_trailers,
    .writable = on_writable,
    .end = on_end,
};

/* Its patience is over, or its back-off. */
static void on_timer(struct nr_sim *sim, struct nr_sim_event *event)
{
    struct nr_model_visit *visit = nr_container_of(event, struct nr_model_visit, timer);

    (void)sim;
    if (visit->x == NULL) {
        ask(visit);
        return;
    }
    visit->clients->world->report->client_timeouts++;
    visit->complete = false;
    visit->status = 0;
    nr_exchange_reset(visit->x);
}

static void ask(struct nr_model_visit *visit)
{
    struct nr_model_clients *clients = visit->clients;
    uint64_t patience_ns = clients->world->scenario->traffic->clients.timeout_ns;
    struct nr_model_host *host = &clients->hosts[clients->next_host++ % clients->host_count];
    const struct nr_request_conf *what = visit->what;
    struct nr_head head;

    visit->requests++;
    visit->asked_ns = now_ns(clients);
    visit->status = 0;
    visit->complete = false;
    visit->sent_bytes = 0;
    clients->in_flight++;
    clients->world->report->client_requests++;
    nr_arena_init(&visit->arena, visit->block, sizeof(visit->block));
    if (what == NULL) {
        nr_head_init_request(&head, &visit->arena, NR_SPAN("GET"), NR_SPAN("simulated.example"),
                             NR_SPAN("/"));
    } else {
        nr_head_init_request(&head, &visit->arena, nr_method_name((enum nr_method)what->method),
                             what->host, what->path);
        for (uint32_t i = 0; i < what->header_count; i++)
            nr_head_add(&head, &visit->arena, what->headers[i].name, what->headers[i].value);
        if (what->body_bytes > 0)
            head.body_length = (int64_t)what->body_bytes;
    }
    visit->x = nr_client_open(host->pool, &visit->arena, &events, visit, false);
    nr_exchange_send_head(visit->x, &head, what == NULL || what->body_bytes == 0);
    if (what != NULL && what->body_bytes > 0)
        send_rest(visit);
    if (patience_ns != UINT64_MAX)
        nr_sim_at(clients->world->sim, &visit->timer, visit->asked_ns + patience_ns);
}

/* ---- visits come ---- */

static void choose(struct nr_model_clients *clients, struct nr_model_visit *visit)
{
    const struct nr_traffic_conf *traffic = clients->world->scenario->traffic;
    uint64_t at;

    visit->what = NULL;
    visit->kind = 0;
    if (traffic->request_count == 0)
        return;
    at = nr_random_below(&clients->random, clients->weights);
    for (; at >= traffic->requests[visit->kind].weight; visit->kind++)
        at -= traffic->requests[visit->kind].weight;
    visit->what = &traffic->requests[visit->kind];
}

static void visit_new(struct nr_model_clients *clients)
{
    struct nr_link *link = nr_list_pop_front(&clients->free);
    struct nr_model_visit *visit =
        link != NULL ? nr_container_of(link, struct nr_model_visit, link) : malloc(sizeof(*visit));

    nr_assert(visit != NULL);
    nr_link_init(&visit->link);
    nr_list_push_back(&clients->visits, &visit->link);
    visit->clients = clients;
    visit->timer = (struct nr_sim_event){.fire = on_timer};
    visit->began_ns = now_ns(clients);
    visit->requests = 0;
    choose(clients, visit);
    nr_report_at(clients->world->report, visit->began_ns)->offered++;
    ask(visit);
}

/* Visits come by chance, with a rate that changes (a Poisson process): after each a random share of
 * 1 is owed, which the passing time pays with the rate of the moment, in slices that follow any
 * curve. `even` owes 1 each time. */
static void draw(struct nr_model_clients *clients)
{
    clients->owed = clients->world->scenario->traffic->even
                        ? 1.0
                        : -log(1.0 - nr_random_unit(&clients->random));
}

static void arrive_next(struct nr_model_clients *clients)
{
    const struct nr_world *world = clients->world;
    const double slice_ns = 10e6;
    uint64_t at_ns = now_ns(clients);
    double per_ns = nr_scenario_rate(world->scenario, at_ns - world->start_ns) / 1e9;
    double pause_ns = slice_ns;

    clients->due = per_ns * slice_ns >= clients->owed;
    if (clients->due)
        pause_ns = clients->owed / per_ns;
    else
        clients->owed -= per_ns * slice_ns;
    at_ns += (uint64_t)pause_ns;
    if (at_ns < world->end_ns)
        nr_sim_at(world->sim, &clients->arrival, at_ns);
}

static void on_arrival(struct nr_sim *sim, struct nr_sim_event *event)
{
    struct nr_model_clients *clients = nr_container_of(event, struct nr_model_clients, arrival);

    (void)sim;
    if (clients->due) {
        visit_new(clients);
        draw(clients);
    }
    arrive_next(clients);
}

/* ---- life ---- */

void nr_model_clients_start(struct nr_model_clients *clients, struct nr_world *world,
                            const struct nr_addr *gateway)
{
    const struct nr_traffic_conf *traffic = world->scenario->traffic;

    clients->world = world;
    clients->conf = nr_client_conf_default;
    clients->conf.idle_max = UINT32_MAX;
    clients->arrival.fire = on_arrival;
    nr_random_init(&clients->random, world->scenario->seed);
    nr_link_init(&clients->visits);
    nr_link_init(&clients->free);
    for (uint32_t i = 0; i < traffic->request_count; i++)
        clients->weights += traffic->requests[i].weight;
    clients->host_count = traffic->clients.addresses;
    clients->hosts = calloc(clients->host_count, sizeof(*clients->hosts));
    nr_assert(clients->hosts != NULL);
    for (uint32_t i = 0; i < clients->host_count; i++) {
        struct nr_model_host *host = &clients->hosts[i];

        snprintf(host->ip, sizeof(host->ip), "198.19.%u.%u", (i >> 8) & 255, i & 255);
        host->io = nr_sim_engine(world->sim, host->ip);
        host->pool = nr_client_new(host->io, gateway, &clients->conf);
    }
    draw(clients);
    arrive_next(clients);
}

bool nr_model_clients_waiting(const struct nr_model_clients *clients)
{
    return !nr_list_empty(&clients->visits) || nr_sim_scheduled(&clients->arrival);
}

void nr_model_clients_abandon(struct nr_model_clients *clients)
{
    struct nr_link *next;

    for (struct nr_link *at = clients->visits.next; at != &clients->visits; at = next) {
        struct nr_model_visit *visit = nr_container_of(at, struct nr_model_visit, link);

        next = at->next;
        clients->world->report->unfinished++;
        visit->requests = UINT32_MAX - 1; /* no more of them */
        if (visit->x != NULL) {
            nr_exchange_reset(visit->x);
            continue;
        }
        nr_sim_cancel(clients->world->sim, &visit->timer);
        leave(visit, false);
    }
}

void nr_model_clients_done(struct nr_model_clients *clients)
{
    struct nr_link *link;

    while ((link = nr_list_pop_front(&clients->free)) != NULL)
        free(nr_container_of(link, struct nr_model_visit, link));
    free(clients->hosts);
}
