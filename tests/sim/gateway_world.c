/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway_world.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "config/config.h"
#include "gateway/gateway_conf.h"
#include "observe/observe_conf.h"
#include "service/service_conf.h"

static const char gateway_host[] = "10.0.0.1";
static const char *const instance_hosts[INSTANCES] = {"10.0.1.1", "10.0.1.2", "10.0.1.3"};
static const char *const client_hosts[CLIENTS] = {"10.0.2.1", "10.0.2.2", "10.0.2.3", "10.0.2.4",
                                                  "10.0.2.5", "10.0.2.6", "10.0.2.7", "10.0.2.8"};

/* Idle connections go within a second, so that the calm behind the faults (2 s) does not start on
 * one whose end was lost in a cut: a POST on such a one fails, rightly, and is not repeated. */
static const char config_text[] =
    "gateway:\n"
    "  deadline: 2s\n"
    "  listen: [{ address: \"10.0.0.1:8080\" }]\n"
    "  routes: [{ match: { path: \"/*\" }, service: app }]\n"
    "services:\n"
    "  app:\n"
    "    instances: [\"10.0.1.1:7000\", \"10.0.1.2:7000\", \"10.0.1.3:7000\"]\n"
    "    balance: p2c\n"
    "    health: { path: /healthz, interval: 200ms, timeout: 150ms, rise: 1, fall: 2 }\n"
    "    timeouts: { connect: 300ms, attempt: 900ms, idle: 1s }\n"
    "    pool: { idle_timeout: 1s }\n";

const char *world_gateway_host(void)
{
    return gateway_host;
}

static void check(struct world *world, bool right, const char *what)
{
    if (!right)
        simtest_fail(world->test, world->sim, "%s", what);
}

/* ---- bodies: byte i of the body with this key is pattern[(key + i) % PATTERN_PERIOD] ---- */

static const char *pattern_at(const struct world *world, uint64_t key, uint64_t at)
{
    return world->pattern + (key + at) % PATTERN_PERIOD;
}

static void pattern_init(struct world *world)
{
    for (int i = 0; i < PATTERN_PERIOD + PIECE_BYTES; i++)
        world->pattern[i] = (char)(i % PATTERN_PERIOD);
}

/* Send from *at on; true when all of it has been taken. */
static bool send_pattern(const struct world *world, struct nr_exchange *x, uint64_t key,
                         uint64_t total, uint64_t *at)
{
    do {
        size_t len = total - *at < PIECE_BYTES ? (size_t)(total - *at) : PIECE_BYTES;
        struct nr_span piece = {pattern_at(world, key, *at), len};
        size_t taken = nr_exchange_send_body(x, piece, *at + len == total);

        *at += taken;
        if (taken < len)
            return false;
    } while (*at < total);
    return true;
}

static void check_pattern(struct world *world, struct nr_exchange *x, uint64_t key, uint64_t *at)
{
    struct nr_span bytes = nr_exchange_pending(x);

    while (bytes.len > 0) {
        size_t len = bytes.len < PIECE_BYTES ? bytes.len : PIECE_BYTES;

        check(world, memcmp(bytes.ptr, pattern_at(world, key, *at), len) == 0,
              "a byte of a body is wrong");
        nr_exchange_consume(x, len);
        *at += len;
        bytes = nr_exchange_pending(x);
    }
}

/* ---- an instance: "/KEY/BYTES/DELAY_MS" answers that body after that time ---- */

struct serving {
    struct instance *instance;
    struct nr_exchange *x;
    struct nr_timer timer;
    uint64_t key;
    uint64_t body_bytes;
    uint64_t sent;
    uint64_t received;
    uint64_t delay_ns;
    bool chunked;
    bool answered;
};

static void answer(struct serving *serving)
{
    struct nr_head head;

    serving->answered = true;
    serving->instance->served++;
    nr_head_init_response(&head, serving->x->arena, 200);
    nr_head_add(&head, serving->x->arena, NR_SPAN("X-Body"), NR_SPAN("pattern"));
    head.body_length = serving->chunked ? NR_BODY_CHUNKED : (int64_t)serving->body_bytes;
    nr_exchange_send_head(serving->x, &head, false);
    send_pattern(serving->instance->world, serving->x, serving->key, serving->body_bytes,
                 &serving->sent);
}

static void delay_over(struct nr_op *op)
{
    answer(nr_container_of(op, struct serving, timer.op));
}

static const struct nr_op_kind delay_kind = {delay_over, "test.delay"};

static void request_complete(struct serving *serving)
{
    struct nr_io *io = serving->instance->io;

    nr_timer_arm(io, &serving->timer, nr_io_now_ns(io) + serving->delay_ns);
}

static void serving_body(struct nr_exchange *x, bool ended)
{
    struct serving *serving = x->owner;

    check_pattern(serving->instance->world, x, serving->key, &serving->received);
    if (ended && !nr_timer_armed(&serving->timer) && !serving->answered)
        request_complete(serving);
}

static void serving_trailers(struct nr_exchange *x, struct nr_head *trailers)
{
    (void)trailers;
    serving_body(x, true);
}

static void serving_writable(struct nr_exchange *x)
{
    struct serving *serving = x->owner;

    if (serving->answered && serving->sent < serving->body_bytes)
        send_pattern(serving->instance->world, x, serving->key, serving->body_bytes,
                     &serving->sent);
}

static void serving_end(struct nr_exchange *x, enum nr_end end)
{
    struct serving *serving = x->owner;

    (void)end;
    nr_timer_disarm(serving->instance->io, &serving->timer);
}

static const struct nr_exchange_events serving_events = {
    .body = serving_body,
    .trailers = serving_trailers,
    .writable = serving_writable,
    .end = serving_end,
};

static void instance_request(struct nr_handler *handler, struct nr_exchange *x,
                             struct nr_head *head, bool ended)
{
    struct instance *instance = nr_container_of(handler, struct instance, handler);
    struct serving *serving = nr_arena_zalloc(x->arena, sizeof(*serving));
    struct nr_span path = nr_head_text(head, head->path);
    unsigned long long key = 0, bytes = 2, delay_ms = 0;
    char text[64] = "";

    memcpy(text, path.ptr, path.len < sizeof(text) - 1 ? path.len : sizeof(text) - 1);
    if (strcmp(text, "/healthz") != 0)
        check(instance->world, sscanf(text, "/%llu/%llu/%llu", &key, &bytes, &delay_ms) == 3,
              "an instance got a path that no client sent");
    serving->instance = instance;
    serving->x = x;
    serving->key = key;
    serving->body_bytes = bytes;
    serving->delay_ns = delay_ms * 1000000;
    serving->chunked = key % 2 == 1;
    nr_timer_init(&serving->timer, &delay_kind);
    x->events = &serving_events;
    x->owner = serving;
    if (ended)
        request_complete(serving);
}

/* Only a head whose rest was lost on the way: nobody waits for an answer to it any more. */
static void instance_refused(struct nr_handler *handler, struct nr_exchange *x,
                             struct nr_head *head, uint16_t status, const char *reason)
{
    struct instance *instance = nr_container_of(handler, struct instance, handler);
    struct serving *serving = nr_arena_zalloc(x->arena, sizeof(*serving));

    (void)head;
    (void)status;
    check(instance->world, strcmp(reason, "header_timeout") == 0,
          "the gateway sent an instance what is not HTTP");
    serving->instance = instance;
    serving->x = x;
    nr_timer_init(&serving->timer, &delay_kind);
    x->events = &serving_events;
    x->owner = serving;
    nr_exchange_reset(x);
}

static void instance_start(struct instance *instance)
{
    struct nr_listen_conf listen = {.inherited_fd = -1};
    char address[64];

    snprintf(address, sizeof(address), "%s:7000", instance->host);
    check(instance->world, nr_addr_parse(address, &listen.address, NULL) == NR_OK, "address");
    check(instance->world,
          nr_listener_open(&instance->io, 1, &listen, &instance->listener, NULL) == NR_OK,
          "an instance cannot listen");
    instance->server =
        nr_server_new(instance->io, instance->listener, &instance->conf, &instance->handler);
    instance->alive = true;
}

static void instance_drained(void *ctx)
{
    ((struct instance *)ctx)->stopping = false;
}

static void instance_stop(struct instance *instance)
{
    instance->alive = false;
    instance->stopping = true;
    nr_server_on_drained(instance->server, instance_drained, instance);
    nr_server_drain(instance->server);
    nr_server_abort(instance->server);
    nr_listener_close(instance->listener);
}

void world_kill(struct world *world, struct instance *instance)
{
    if (!instance->alive)
        return;
    nr_sim_kill(world->sim, instance->host);
    instance_stop(instance);
}

void world_restart(struct world *world, struct instance *instance)
{
    if (instance->alive || instance->stopping)
        return;
    nr_server_free(instance->server);
    instance->server = NULL;
    nr_sim_revive(world->sim, instance->host);
    instance_start(instance);
}

/* ---- a client ---- */

struct asking {
    struct client *client;
    struct nr_exchange *x;
    struct nr_arena arena;
    uint64_t key;
    uint64_t body_bytes; /* of the answer */
    uint64_t got;
    uint64_t upload_bytes;
    uint64_t uploaded;
    uint16_t status;
    bool pattern; /* the instance's own answer, not naru's */
    bool complete;
};

static void ask(struct client *client);

static void asking_head(struct nr_exchange *x, struct nr_head *head, bool ended)
{
    struct asking *asking = x->owner;
    struct world *world = asking->client->world;

    check(world, asking->status == 0, "two answers to one request");
    if (head->status < 200)
        return;
    asking->status = head->status;
    asking->complete = ended;
    asking->pattern = nr_head_find_name(head, NR_SPAN("X-Body"), NULL) != NULL;
    check(world, asking->pattern == (head->status == 200), "an answer that nobody gave");
    if (!asking->pattern)
        check(world,
              nr_span_eq(nr_head_get(head, NR_FIELD_CONTENT_TYPE),
                         NR_SPAN("application/problem+json")),
              "a refusal without problem+json");
}

static void asking_body(struct nr_exchange *x, bool ended)
{
    struct asking *asking = x->owner;

    asking->complete = ended;
    if (asking->pattern)
        check_pattern(asking->client->world, x, asking->key, &asking->got);
    else
        nr_exchange_consume(x, nr_exchange_pending(x).len);
}

static void asking_trailers(struct nr_exchange *x, struct nr_head *trailers)
{
    (void)trailers;
    asking_body(x, true);
}

static void asking_writable(struct nr_exchange *x)
{
    struct asking *asking = x->owner;

    if (asking->uploaded < asking->upload_bytes)
        send_pattern(asking->client->world, x, asking->key, asking->upload_bytes,
                     &asking->uploaded);
}

static void asking_end(struct nr_exchange *x, enum nr_end end)
{
    struct asking *asking = x->owner;
    struct client *client = asking->client;
    struct verdict *verdict = &client->world->verdict;

    verdict->ended++;
    if (asking->complete && asking->pattern) {
        check(client->world, asking->got == asking->body_bytes, "a 200 with too few bytes");
        verdict->whole++;
    } else if (asking->complete) {
        verdict->problems++;
    } else {
        check(client->world, end != NR_END_DONE && end != NR_END_PROTOCOL,
              "an incomplete exchange that calls itself done, or naru broke HTTP");
        verdict->broken++;
    }
    client->busy = false;
    nr_arena_done(&asking->arena);
    free(asking);
    if (client->left > 0)
        ask(client);
}

static const struct nr_exchange_events asking_events = {
    .head = asking_head,
    .body = asking_body,
    .trailers = asking_trailers,
    .writable = asking_writable,
    .end = asking_end,
};

static uint64_t random_size(struct nr_random *random)
{
    switch (nr_random_below(random, 8)) {
    case 0: return 200000 + nr_random_below(random, 100000);
    case 1: return 20000 + nr_random_below(random, 20000);
    default: return 1 + nr_random_below(random, 3000);
    }
}

static uint64_t random_delay_ms(struct nr_random *random)
{
    switch (nr_random_below(random, 40)) {
    case 0: return 3000; /* beyond every deadline */
    case 1: return 700;
    default: return nr_random_below(random, 10);
    }
}

static void ask(struct client *client)
{
    struct world *world = client->world;
    struct nr_random *random = nr_sim_random(world->sim);
    struct asking *asking = calloc(1, sizeof(*asking));
    static const struct nr_span methods[] = {{"GET", 3}, {"GET", 3}, {"PUT", 3}, {"POST", 4}};
    struct nr_span method = methods[nr_random_below(random, NR_COUNT(methods))];
    uint64_t delay_ms = random_delay_ms(random);
    struct nr_head head;

    nr_assert(asking != NULL);
    client->left--;
    client->busy = true;
    nr_arena_init(&asking->arena, NULL, 0);
    asking->client = client;
    asking->key = ++world->verdict.started;
    world->verdict.late += delay_ms > DEADLINE_MS;
    asking->body_bytes = random_size(random);
    asking->upload_bytes = method.ptr[0] == 'P' ? random_size(random) : 0;
    struct nr_span path =
        nr_arena_printf(&asking->arena, "/%llu/%llu/%llu", (unsigned long long)asking->key,
                        (unsigned long long)asking->body_bytes, (unsigned long long)delay_ms);
    nr_head_init_request(&head, &asking->arena, method, NR_SPAN("shop"), path);
    if (asking->upload_bytes > 0)
        head.body_length =
            nr_random_below(random, 2) ? (int64_t)asking->upload_bytes : (int64_t)NR_BODY_CHUNKED;
    asking->x = nr_client_open(client->pool, &asking->arena, &asking_events, asking, false);
    nr_exchange_send_head(asking->x, &head, asking->upload_bytes == 0);
    if (asking->upload_bytes > 0)
        send_pattern(world, asking->x, asking->key, asking->upload_bytes, &asking->uploaded);
}

void world_load(struct world *world, uint32_t requests)
{
    for (int i = 0; i < CLIENTS; i++) {
        world->clients[i].left += requests;
        if (!world->clients[i].busy && world->clients[i].left > 0)
            ask(&world->clients[i]);
    }
}

bool world_busy(const struct world *world)
{
    for (int i = 0; i < CLIENTS; i++)
        if (world->clients[i].busy)
            return true;
    return false;
}

/* ---- the gateway ---- */

static void record_done(struct nr_record_sink *sink, const struct nr_record *record,
                        const struct nr_record_view *view)
{
    struct world *world = nr_container_of(sink, struct world, sink);

    (void)view;
    world->verdict.records++;
    check(world, record->total_us <= (DEADLINE_MS + 10) * 1000, "a request outlived its deadline");
    check(world, record->status != 0, "a record without a status");
}

static struct nr_config *load_config(struct world *world, const char *text)
{
    static const struct nr_schema_root *const roots[] = {
        &nr_gateway_conf_root, &nr_callers_conf_root, &nr_services_conf_root,
        &nr_observe_conf_root};
    struct nr_config *config = NULL;
    struct nr_arena arena;
    struct nr_diags diags;
    enum nr_code code;

    nr_arena_init(&arena, NULL, 0);
    nr_diags_init(&diags, &arena, 0);
    code = nr_config_load_bytes(roots, NR_COUNT(roots), NULL, "world.yaml", nr_span_of(text),
                                &diags, &config);
    check(world, code == NR_OK, diags.count > 0 ? diags.items[0].text : "configuration");
    nr_arena_done(&arena);
    return config;
}

static void gateway_start(struct world *world)
{
    struct nr_err err = {0};
    enum nr_code code;

    world->config = load_config(world, config_text);
    code = nr_gateway_new(world->config, &world->gateway, &err);
    check(world, code == NR_OK, err.text);
    code = nr_gateway_listen(world->gateway, &world->gateway_io, 1, NULL, 0, &err);
    check(world, code == NR_OK, err.text);
    world->sink.done = record_done;
    world->worker = nr_gateway_worker_new(world->gateway, world->gateway_io, &world->sink, 1);
    nr_gateway_start(world->gateway, world->gateway_io, NULL, NULL);
}

static void switched(void *ctx)
{
    struct world *world = ctx;

    world->reloading = false;
    world->reload_applied = true;
}

static void prepared(void *ctx, struct nr_gateway_plan *plan, const struct nr_err *err)
{
    struct world *world = ctx;

    check(world, (plan == NULL) == (err != NULL), "neither a plan nor what stands against it");
    if (plan == NULL) {
        world->reloading = false;
        return;
    }
    nr_gateway_publish(plan);
    nr_gateway_switch(plan, switched, world);
}

void world_reload(struct world *world, const char *text)
{
    struct nr_config *config = load_config(world, text);

    world->reloading = true;
    world->reload_applied = false;
    nr_gateway_prepare(world->gateway, config, prepared, world);
    nr_config_unref(config); /* the plan holds it */
}

static void gateway_drained(void *ctx)
{
    ((struct world *)ctx)->gateway_drained = true;
}

static void health_stopped(void *ctx)
{
    ((struct world *)ctx)->health_stopped = true;
}

/* ---- the world ---- */

void world_init(struct world *world, struct simtest *test)
{
    struct nr_sim_conf conf = {
        .link = {.latency_min_ns = 50000,
                 .latency_max_ns = 500000,
                 .segment_bytes = test->seed % 5 == 0 ? 97 : 1460,
                 .split_randomly = true},
    };

    *world = (struct world){.test = test};
    pattern_init(world);
    simtest_conf(test, &conf);
    world->sim = nr_sim_new(&conf);
    world->gateway_io = nr_sim_engine(world->sim, gateway_host);
    for (int i = 0; i < INSTANCES; i++) {
        struct instance *instance = &world->instances[i];

        *instance = (struct instance){.world = world,
                                      .host = instance_hosts[i],
                                      .io = nr_sim_engine(world->sim, instance_hosts[i]),
                                      .conf = nr_server_conf_default,
                                      .handler = {instance_request, instance_refused}};
        instance_start(instance);
    }
    gateway_start(world);
    for (int i = 0; i < CLIENTS; i++) {
        struct client *client = &world->clients[i];
        struct nr_addr address;

        *client = (struct client){.world = world,
                                  .host = client_hosts[i],
                                  .io = nr_sim_engine(world->sim, client_hosts[i]),
                                  .conf = nr_client_conf_default};
        check(world, nr_addr_parse("10.0.0.1:8080", &address, NULL) == NR_OK, "address");
        client->pool = nr_client_new(client->io, &address, &client->conf);
    }
}

static bool all_over(const struct world *world)
{
    bool over = world->gateway_drained && world->health_stopped;

    for (int i = 0; i < INSTANCES; i++)
        over = over && !world->instances[i].stopping;
    return over;
}

void world_done(struct world *world)
{
    for (int i = 0; i < CLIENTS; i++)
        nr_client_close(world->clients[i].pool);
    nr_gateway_worker_drain(world->worker, gateway_drained, world);
    nr_gateway_close_listeners(world->gateway);
    nr_gateway_stop(world->gateway, health_stopped, world);
    for (int i = 0; i < INSTANCES; i++)
        if (world->instances[i].alive)
            instance_stop(&world->instances[i]);
    while (!all_over(world))
        check(world, nr_sim_step(world->sim), "the shutdown hangs");
    nr_gateway_worker_free(world->worker);
    for (int i = 0; i < INSTANCES; i++)
        nr_server_free(world->instances[i].server);
    while (nr_sim_step(world->sim))
        continue;
    nr_gateway_free(world->gateway);
    nr_config_unref(world->config);
    check(world, world->verdict.ended == world->verdict.started, "a request without an end");
    nr_sim_free(world->sim);
}
