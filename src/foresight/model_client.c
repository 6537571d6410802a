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
#include "base/compiler.h"
#include "foresight/model.h"

enum { ARENA_BYTES = 2048 };

struct nr_model_visit {
    struct nr_link link;   /* clients->visits or ->free */
    struct nr_link asking; /* clients->asking */
    struct nr_model_clients *clients;
    const struct nr_request_conf *what; /* NULL: GET / */
    uint32_t kind;                      /* its number */
    struct nr_exchange *x;              /* NULL: between two requests */
    struct nr_sim_event back_off;
    uint64_t began_ns; /* the visit */
    uint64_t asked_ns; /* the request */
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

static void pause_before_next(struct nr_model_visit *visit)
{
    struct nr_model_clients *clients = visit->clients;
    const struct nr_client_retry_conf *retry = &clients->world->scenario->traffic->clients.retry;
    double pause_ns = (double)retry->backoff_ns * pow(retry->factor, visit->requests - 1.0);

    if (retry->jitter)
        pause_ns *= nr_random_unit(&clients->whims);
    nr_sim_at(clients->world->sim, &visit->back_off, now_ns(clients) + (uint64_t)pause_ns);
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
        pause_before_next(visit);
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
    nr_list_remove(&visit->asking);
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

static void back_off_over(struct nr_sim *sim, struct nr_sim_event *event)
{
    (void)sim;
    ask(nr_container_of(event, struct nr_model_visit, back_off));
}

static struct nr_exchange *open_exchange(struct nr_model_visit *visit)
{
    struct nr_model_clients *clients = visit->clients;
    struct nr_model_host *host = &clients->hosts[clients->next_host++ % clients->host_count];
    struct nr_model_route *route;

    if (host->pool != NULL)
        return nr_client_open(host->pool, &visit->arena, &events, visit, false);
    route = host->routes[host->next_route++ % clients->world->worker_count];
    return nr_model_open(route, &visit->arena, &events, visit, false);
}

static void ask(struct nr_model_visit *visit)
{
    struct nr_model_clients *clients = visit->clients;
    uint64_t patience_ns = clients->world->scenario->traffic->clients.timeout_ns;
    bool has_body = visit->what != NULL && visit->what->body_bytes > 0;

    visit->requests++;
    visit->asked_ns = now_ns(clients);
    visit->status = 0;
    visit->complete = false;
    visit->sent_bytes = 0;
    clients->in_flight++;
    clients->world->report->client_requests++;
    nr_arena_init(&visit->arena, visit->block, sizeof(visit->block));
    visit->x = open_exchange(visit);
    nr_exchange_send_head(visit->x, &clients->heads[visit->kind], !has_body);
    if (has_body)
        send_rest(visit);
    nr_list_push_back(&clients->asking, &visit->asking);
    if (patience_ns != UINT64_MAX && !nr_sim_scheduled(&clients->patience))
        nr_sim_at(clients->world->sim, &clients->patience, visit->asked_ns + patience_ns);
}

/* Everybody has the same patience, so whoever asked first loses it first. One event follows the
 * oldest request: most are answered before it gets to them. */
static void on_patience(struct nr_sim *sim, struct nr_sim_event *event)
{
    struct nr_model_clients *clients = nr_container_of(event, struct nr_model_clients, patience);
    uint64_t patience_ns = clients->world->scenario->traffic->clients.timeout_ns;

    while (!nr_list_empty(&clients->asking)) {
        struct nr_model_visit *visit =
            nr_container_of(clients->asking.next, struct nr_model_visit, asking);

        if (visit->asked_ns + patience_ns > now_ns(clients)) {
            nr_sim_at(sim, event, visit->asked_ns + patience_ns);
            return;
        }
        nr_list_remove(&visit->asking);
        clients->world->report->client_timeouts++;
        visit->complete = false;
        visit->status = 0;
        nr_exchange_reset(visit->x);
    }
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
    nr_link_init(&visit->asking);
    visit->back_off = (struct nr_sim_event){.fire = back_off_over};
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

/* ---- what they ask for ---- */

enum nr_h1_reason nr_model_head_make(const struct nr_request_conf *what, struct nr_arena *arena,
                                     struct nr_head *ret_head)
{
    struct nr_field fields[NR_SCENARIO_FIELDS_MAX];
    struct nr_head head;
    enum nr_h1_reason reason;
    size_t room;
    char *text;

    nr_head_init_request(&head, arena, nr_method_name((enum nr_method)what->method), what->host,
                         what->path);
    for (uint32_t i = 0; i < what->header_count; i++)
        nr_head_add(&head, arena, what->headers[i].name, what->headers[i].value);
    if (what->body_bytes > 0)
        head.body_length = (int64_t)what->body_bytes;
    *ret_head = head;
    room = nr_h1_head_bytes(&head);
    text = nr_arena_alloc(arena, room);
    room = nr_h1_write_request(text, room, &head,
                               &(struct nr_h1_framing){.body_length = head.body_length});
    reason = nr_h1_parse_request(text, room, &nr_server_conf_default.limits, fields,
                                 NR_COUNT(fields), &head);
    if (reason == NR_H1_OK)
        nr_head_copy(ret_head, &head, arena);
    return reason;
}

static void make_heads(struct nr_model_clients *clients)
{
    static const struct nr_request_conf any = {
        .method = NR_METHOD_GET, .path = NR_SPAN("/"), .host = NR_SPAN("simulated.example")};
    const struct nr_traffic_conf *traffic = clients->world->scenario->traffic;
    uint32_t count = traffic->request_count == 0 ? 1 : traffic->request_count;

    clients->heads = calloc(count, sizeof(*clients->heads));
    nr_assert(clients->heads != NULL);
    for (uint32_t i = 0; i < count; i++) {
        const struct nr_request_conf *what =
            traffic->request_count == 0 ? &any : &traffic->requests[i];

        (void)nr_model_head_make(what, &clients->world->arena, &clients->heads[i]);
    }
}

/* ---- life ---- */

static void make_host(struct nr_model_clients *clients, struct nr_model_host *host, uint32_t number,
                      const struct nr_addr *gateway)
{
    struct nr_world *world = clients->world;
    struct nr_addr own = {.family = NR_ADDR_V4, .ip = {198, 19, (uint8_t)(number >> 8)}};

    own.ip[3] = (uint8_t)number;
    nr_addr_format_ip(&own, host->ip, sizeof(host->ip));
    if (!world->modelled) {
        host->pool = nr_client_new(nr_sim_engine(world->sim, host->ip), gateway, &clients->conf);
        return;
    }
    host->routes = calloc(world->worker_count, sizeof(struct nr_model_route *));
    nr_assert(host->routes != NULL);
    for (uint32_t i = 0; i < world->worker_count; i++) {
        host->routes[i] =
            nr_model_route_new(&world->transport, &world->gates[i], host->ip, nr_model_gateway_host,
                               clients->conf.connect_timeout_ns);
        host->routes[i]->wants_fields = false;
        host->routes[i]->peer = (struct nr_peer){
            .addr = own, .local = world->gates[i].address, .connection_id = number, .requests = 1};
    }
}

void nr_model_clients_start(struct nr_model_clients *clients, struct nr_world *world,
                            const struct nr_addr *gateway)
{
    const struct nr_traffic_conf *traffic = world->scenario->traffic;

    clients->world = world;
    clients->conf = nr_client_conf_default;
    clients->conf.idle_max = UINT32_MAX;
    clients->arrival.fire = on_arrival;
    clients->patience.fire = on_patience;
    nr_random_init(&clients->random, world->scenario->seed);
    nr_random_init(&clients->whims, ~world->scenario->seed);
    nr_link_init(&clients->visits);
    nr_link_init(&clients->free);
    nr_link_init(&clients->asking);
    for (uint32_t i = 0; i < traffic->request_count; i++)
        clients->weights += traffic->requests[i].weight;
    make_heads(clients);
    clients->host_count = traffic->clients.addresses;
    clients->hosts = calloc(clients->host_count, sizeof(*clients->hosts));
    nr_assert(clients->hosts != NULL);
    for (uint32_t i = 0; i < clients->host_count; i++)
        make_host(clients, &clients->hosts[i], i, gateway);
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
        nr_sim_cancel(clients->world->sim, &visit->back_off);
        leave(visit, false);
    }
}

void nr_model_clients_close(struct nr_model_clients *clients)
{
    nr_sim_cancel(clients->world->sim, &clients->patience);
    for (uint32_t i = 0; i < clients->host_count; i++) {
        struct nr_model_host *host = &clients->hosts[i];

        nr_client_close(host->pool);
        for (uint32_t k = 0; host->routes != NULL && k < clients->world->worker_count; k++)
            nr_model_route_free(host->routes[k]);
        free(host->routes);
    }
}

void nr_model_clients_done(struct nr_model_clients *clients)
{
    struct nr_link *link;

    if (clients->world == NULL) /* they have never started */
        return;
    while ((link = nr_list_pop_front(&clients->free)) != NULL)
        free(nr_container_of(link, struct nr_model_visit, link));
    free(clients->hosts);
    free(clients->heads);
}
