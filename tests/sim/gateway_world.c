/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway_world.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "config/config.h"
#include "gateway/gateway_conf.h"
#include "observe/observe_conf.h"
#include "policy/deadline.h"
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

/* A message between two hosts takes half a millisecond at most, and a gateway's timer one. */
enum { GRACE_MS = 10, WIRE_MS = 3 };

struct serving {
    struct nr_link link; /* instance->serving */
    struct instance *instance;
    struct nr_exchange *x;
    struct nr_timer timer;
    uint64_t key;
    uint64_t body_bytes;
    uint64_t sent;
    uint64_t received;
    uint64_t delay_ns;
    uint64_t began_ns;
    uint64_t until_ns; /* the deadline that it was told; NR_TIME_NEVER: none */
    bool chunked;
    bool answered;
};

/* Errors of all kinds, some with a word of when to come back. */
static void answer_sorry(struct serving *serving)
{
    static const uint16_t statuses[] = {500, 502, 503, 503, 504, 429};
    struct nr_random *random = nr_sim_random(serving->instance->world->sim);
    struct nr_exchange *x = serving->x;
    struct nr_head head;

    serving->body_bytes = 0;
    nr_head_init_response(&head, x->arena, statuses[nr_random_below(random, NR_COUNT(statuses))]);
    nr_head_add(&head, x->arena, NR_SPAN("X-Body"), NR_SPAN("sorry"));
    if (head.status == 503 && nr_random_below(random, 4) == 0)
        nr_head_add(&head, x->arena, NR_SPAN("Retry-After"), NR_SPAN("1"));
    if (nr_random_below(random, 8) == 0)
        nr_head_add(&head, x->arena, NR_SPAN("X-Naru-Retry"), NR_SPAN("no"));
    nr_exchange_send_head(x, &head, true);
}

static void answer(struct serving *serving)
{
    struct world *world = serving->instance->world;
    struct nr_head head;

    serving->answered = true;
    serving->instance->served++;
    if (serving->key != 0 && serving->instance->error_pct > 0 &&
        nr_random_below(nr_sim_random(world->sim), 100) < serving->instance->error_pct) {
        answer_sorry(serving);
        return;
    }
    nr_head_init_response(&head, serving->x->arena, 200);
    nr_head_add(&head, serving->x->arena, NR_SPAN("X-Body"), NR_SPAN("pattern"));
    head.body_length = serving->chunked ? NR_BODY_CHUNKED : (int64_t)serving->body_bytes;
    nr_exchange_send_head(serving->x, &head, false);
    send_pattern(world, serving->x, serving->key, serving->body_bytes, &serving->sent);
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
    nr_list_remove(&serving->link);
}

static const struct nr_exchange_events serving_events = {
    .body = serving_body,
    .trailers = serving_trailers,
    .writable = serving_writable,
    .end = serving_end,
};

static struct serving *serving_new(struct instance *instance, struct nr_exchange *x)
{
    struct serving *serving = nr_arena_zalloc(x->arena, sizeof(*serving));

    serving->instance = instance;
    serving->x = x;
    serving->began_ns = nr_sim_now_ns(instance->world->sim);
    serving->until_ns = NR_TIME_NEVER;
    nr_link_init(&serving->link);
    nr_list_push_back(&instance->serving, &serving->link);
    nr_timer_init(&serving->timer, &delay_kind);
    x->events = &serving_events;
    x->owner = serving;
    return serving;
}

/* What is left of the deadline, in milliseconds: naru says so to the service. */
static uint64_t told_deadline_ns(const struct nr_head *head, uint64_t now_ns)
{
    struct nr_span text = nr_head_get(head, NR_FIELD_X_REQUEST_DEADLINE);
    uint64_t ms = 0;

    for (size_t i = 0; i < text.len; i++)
        ms = ms * 10 + (uint64_t)(text.ptr[i] - '0');
    return text.len == 0 ? NR_TIME_NEVER : now_ns + ms * 1000000;
}

static void instance_request(struct nr_handler *handler, struct nr_exchange *x,
                             struct nr_head *head, bool ended)
{
    struct instance *instance = nr_container_of(handler, struct instance, handler);
    struct serving *serving = serving_new(instance, x);
    struct nr_span path = nr_head_text(head, head->path);
    unsigned long long key = 0, bytes = 2, delay_ms = 0;
    char text[64] = "";

    memcpy(text, path.ptr, path.len < sizeof(text) - 1 ? path.len : sizeof(text) - 1);
    if (strcmp(text, "/healthz") != 0)
        check(instance->world, sscanf(text, "/%llu/%llu/%llu", &key, &bytes, &delay_ms) == 3,
              "an instance got a path that no client sent");
    if (key != 0)
        instance->world->fates[key].reached = true;
    serving->until_ns = told_deadline_ns(head, serving->began_ns);
    serving->key = key;
    serving->body_bytes = bytes;
    serving->delay_ns = delay_ms * 1000000;
    serving->chunked = key % 2 == 1;
    if (ended)
        request_complete(serving);
}

/* Only a head whose rest was lost on the way: nobody waits for an answer to it any more. */
static void instance_refused(struct nr_handler *handler, struct nr_exchange *x,
                             struct nr_head *head, uint16_t status, const char *reason)
{
    struct instance *instance = nr_container_of(handler, struct instance, handler);

    (void)head;
    (void)status;
    check(instance->world, strcmp(reason, "header_timeout") == 0,
          "the gateway sent an instance what is not HTTP");
    serving_new(instance, x);
    nr_exchange_reset(x);
}

void world_bad_link(struct world *world, struct instance *instance)
{
    (void)world;
    instance->fine_ns = NR_TIME_NEVER;
}

/* What waited at a cut, or was lost and is sent again, comes through now; the RST behind it was
 * lost for good. */
void world_good_link(struct world *world, struct instance *instance)
{
    instance->fine_ns = nr_sim_now_ns(world->sim) + 1000 * (uint64_t)1000000;
}

/* Somebody must still want it: the client, within the deadline. Where the link is bad, an instance
 * cannot hear that nobody does. */
static void check_serving(struct world *world, const struct serving *serving)
{
    uint64_t now_ns = nr_sim_now_ns(world->sim);
    uint64_t over_ns = serving->key == 0 ? 0 : world->fates[serving->key].over_ns;

    if (serving->began_ns < serving->instance->fine_ns)
        return;
    check(world,
          serving->until_ns == NR_TIME_NEVER ||
              now_ns <= serving->until_ns + (GRACE_MS + WIRE_MS) * (uint64_t)1000000,
          "an instance works on what has met its deadline");
    if (over_ns != 0 && now_ns > over_ns + WIRE_MS * (uint64_t)1000000)
        simtest_fail(world->test, world->sim,
                     "%s works on request %llu, which came %.1f ms ago and is over since %.1f ms: "
                     "%llu bytes received, %s, %llu of %llu sent",
                     serving->instance->host, (unsigned long long)serving->key,
                     (double)(now_ns - serving->began_ns) / 1e6, (double)(now_ns - over_ns) / 1e6,
                     (unsigned long long)serving->received,
                     serving->answered ? "answered" : "not answered",
                     (unsigned long long)serving->sent, (unsigned long long)serving->body_bytes);
}

void world_check(struct world *world)
{
    for (int i = 0; i < INSTANCES; i++)
        for (struct nr_link *at = world->instances[i].serving.next;
             at != &world->instances[i].serving; at = at->next)
            check_serving(world, nr_container_of(at, struct serving, link));
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
    world_bad_link(world, instance);
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

enum answer { FROM_NARU, FROM_FALLBACK, PATTERN, SORRY };

struct asking {
    struct client *client;
    struct nr_exchange *x;
    struct nr_timer patience;
    struct nr_arena arena;
    uint64_t key;
    uint64_t body_bytes; /* of the answer */
    uint64_t got;
    uint64_t upload_bytes;
    uint64_t uploaded;
    uint16_t status;
    enum answer answer;
    bool complete;
    bool left; /* by itself */
};

static void ask(struct client *client);

static enum answer whose(const struct nr_head *head)
{
    const struct nr_field *body = nr_head_find_name(head, NR_SPAN("X-Body"), NULL);

    if (body != NULL)
        return nr_span_eq(nr_head_value(head, body), NR_SPAN("pattern")) ? PATTERN : SORRY;
    return nr_head_find_name(head, NR_SPAN("X-Naru-Fallback"), NULL) != NULL ? FROM_FALLBACK
                                                                             : FROM_NARU;
}

static void asking_head(struct nr_exchange *x, struct nr_head *head, bool ended)
{
    struct asking *asking = x->owner;
    struct world *world = asking->client->world;

    check(world, asking->status == 0, "two answers to one request");
    if (head->status < 200)
        return;
    asking->status = head->status;
    asking->complete = ended;
    asking->answer = whose(head);
    check(world, (asking->answer == PATTERN) == (head->status == 200),
          "an answer that nobody gave");
    if (asking->answer == FROM_NARU)
        check(world,
              nr_span_eq(nr_head_get(head, NR_FIELD_CONTENT_TYPE),
                         NR_SPAN("application/problem+json")),
              "a refusal without problem+json");
}

static void asking_body(struct nr_exchange *x, bool ended)
{
    struct asking *asking = x->owner;

    asking->complete = ended;
    if (asking->answer == PATTERN)
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

/* Answered before its upload was through, a connection may close although it was to be kept: who
 * uses it again meets that, and may ask once more (RFC 9110, 9.2.2). */
static bool was_closed_meanwhile(const struct asking *asking, enum nr_end end)
{
    return asking->x->reused && asking->status == 0 &&
           (end == NR_END_PEER_CLOSED || end == NR_END_PEER_RESET);
}

static void asking_end(struct nr_exchange *x, enum nr_end end)
{
    struct asking *asking = x->owner;
    struct client *client = asking->client;
    struct verdict *verdict = &client->world->verdict;

    verdict->ended++;
    nr_timer_disarm(client->io, &asking->patience);
    client->world->fates[asking->key].over_ns = nr_sim_now_ns(client->world->sim);
    if (asking->complete && asking->answer == PATTERN) {
        check(client->world, asking->got == asking->body_bytes, "a 200 with too few bytes");
        verdict->whole++;
    } else if (asking->complete) {
        verdict->problems += asking->answer == FROM_NARU;
        verdict->fallbacks += asking->answer == FROM_FALLBACK;
        verdict->sorry += asking->answer == SORRY;
    } else if (asking->left) {
        verdict->left++;
    } else if (was_closed_meanwhile(asking, end)) {
        verdict->stale++;
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

static uint64_t random_delay_ms(const struct world *world, struct nr_random *random)
{
    if (world->quick)
        return 0;
    switch (nr_random_below(random, 40)) {
    case 0: return 3000; /* beyond every deadline */
    case 1: return 700;
    default: return nr_random_below(random, 10);
    }
}

static void lose_patience(struct nr_op *op)
{
    struct asking *asking = nr_container_of(op, struct asking, patience.op);

    asking->left = true;
    nr_exchange_reset(asking->x);
}

static const struct nr_op_kind patience_kind = {lose_patience, "test.patience"};

/* One of eight leaves before long. */
static void be_patient(struct asking *asking, struct nr_random *random)
{
    const struct world *world = asking->client->world;
    struct nr_io *io = asking->client->io;

    nr_timer_init(&asking->patience, &patience_kind);
    if (world->impatient && !world->quick && nr_random_below(random, 8) == 0)
        nr_timer_arm(io, &asking->patience,
                     nr_io_now_ns(io) + nr_random_below(random, 100) * 1000000);
}

static uint64_t key_new(struct world *world)
{
    uint64_t key = ++world->verdict.started;

    if (key >= world->fate_room) {
        world->fate_room = key * 2 + 16;
        world->fates = realloc(world->fates, world->fate_room * sizeof(*world->fates));
        nr_assert(world->fates != NULL);
    }
    world->fates[key] = (struct fate){0};
    return key;
}

static void ask(struct client *client)
{
    struct world *world = client->world;
    struct nr_random *random = nr_sim_random(world->sim);
    struct asking *asking = calloc(1, sizeof(*asking));
    static const struct nr_span methods[] = {{"GET", 3}, {"GET", 3}, {"PUT", 3}, {"POST", 4}};
    struct nr_span method = methods[nr_random_below(random, NR_COUNT(methods))];
    uint64_t delay_ms = random_delay_ms(world, random);
    struct nr_head head;

    nr_assert(asking != NULL);
    client->left--;
    client->busy = true;
    nr_arena_init(&asking->arena, NULL, 0);
    asking->client = client;
    asking->key = key_new(world);
    world->verdict.late += delay_ms > DEADLINE_MS;
    asking->body_bytes = random_size(random);
    asking->upload_bytes = method.ptr[0] == 'P' ? random_size(random) : 0;
    struct nr_span path = nr_arena_printf(
        &asking->arena, "%s/%llu/%llu/%llu", world->path_prefix, (unsigned long long)asking->key,
        (unsigned long long)asking->body_bytes, (unsigned long long)delay_ms);
    nr_head_init_request(&head, &asking->arena, method, NR_SPAN("shop"), path);
    if (asking->upload_bytes > 0)
        head.body_length =
            nr_random_below(random, 2) ? (int64_t)asking->upload_bytes : (int64_t)NR_BODY_CHUNKED;
    asking->x = nr_client_open(client->pool, &asking->arena, &asking_events, asking, false);
    nr_exchange_send_head(asking->x, &head, asking->upload_bytes == 0);
    if (asking->upload_bytes > 0)
        send_pattern(world, asking->x, asking->key, asking->upload_bytes, &asking->uploaded);
    be_patient(asking, random);
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

static void check_attempts(struct world *world, const struct nr_record *record)
{
    uint32_t kept =
        record->attempt_count < NR_RECORD_ATTEMPTS ? record->attempt_count : NR_RECORD_ATTEMPTS;

    for (uint32_t i = 0; i < kept; i++)
        check(world,
              record->attempts[i].start_us + record->attempts[i].took_us <=
                  (DEADLINE_MS + GRACE_MS) * 1000,
              "an attempt outlived the deadline");
}

/* One record for one request: told by its key, behind the prefix of its path. */
static void check_key(struct world *world, const struct nr_record *record)
{
    char path[NR_RECORD_PATH_BYTES + 1] = "";
    size_t prefix = 0;
    unsigned long long key = 0;

    memcpy(path, record->path, record->path_len);
    while (path[prefix] != '\0' && (path[prefix + 1] < '0' || path[prefix + 1] > '9'))
        prefix++;
    if (sscanf(path + prefix, "/%llu/", &key) != 1 || key == 0 || key > world->verdict.started)
        return; /* a head that did not arrive */
    check(world, !world->fates[key].recorded, "two records of one request");
    world->fates[key].recorded = true;
}

static void record_done(struct nr_record_sink *sink, const struct nr_record *record,
                        const struct nr_record_view *view)
{
    struct world *world = nr_container_of(sink, struct world, sink);

    (void)view;
    world->verdict.records++;
    check(world, record->total_us <= (DEADLINE_MS + GRACE_MS) * 1000,
          "a request outlived its deadline");
    check(world, record->status != 0, "a record without a status");
    check_attempts(world, record);
    check_key(world, record);
    if (world->on_record != NULL)
        world->on_record(world, record);
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

static void gateway_start(struct world *world, const char *text)
{
    struct nr_err err = {0};
    enum nr_code code;

    world->config = load_config(world, text);
    code = nr_gateway_new(world->config, &world->gateway, &err);
    check(world, code == NR_OK, err.text);
    code =
        nr_gateway_listen(world->gateway, world->gateway_ios, world->worker_count, NULL, 0, &err);
    check(world, code == NR_OK, err.text);
    world->sink.done = record_done;
    for (uint32_t i = 0; i < world->worker_count; i++)
        world->workers[i] = nr_gateway_worker_new(world->gateway, world->gateway_ios[i],
                                                  &world->sink, world->worker_count);
    nr_gateway_start(world->gateway, world->gateway_ios[0], NULL, NULL);
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
    ((struct world *)ctx)->draining--;
}

static void health_stopped(void *ctx)
{
    ((struct world *)ctx)->health_stopped = true;
}

/* ---- the world ---- */

void world_init(struct world *world, struct simtest *test, const struct world_conf *what)
{
    struct nr_sim_conf conf = {
        .link = {.latency_min_ns = 50000,
                 .latency_max_ns = 500000,
                 .segment_bytes = test->seed % 5 == 0 ? 97 : 1460,
                 .split_randomly = true},
    };

    *world = (struct world){.test = test,
                            .worker_count = what->workers == 0 ? 1 : what->workers,
                            .impatient = what->impatient,
                            .path_prefix = ""};
    pattern_init(world);
    simtest_conf(test, &conf);
    world->sim = nr_sim_new(&conf);
    for (uint32_t i = 0; i < world->worker_count; i++)
        world->gateway_ios[i] = nr_sim_engine(world->sim, gateway_host);
    for (int i = 0; i < INSTANCES; i++) {
        struct instance *instance = &world->instances[i];

        *instance = (struct instance){.world = world,
                                      .host = instance_hosts[i],
                                      .io = nr_sim_engine(world->sim, instance_hosts[i]),
                                      .conf = nr_server_conf_default,
                                      .handler = {instance_request, instance_refused}};
        nr_link_init(&instance->serving);
        instance_start(instance);
    }
    gateway_start(world, what->config != NULL ? what->config : config_text);
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
    bool over = world->draining == 0 && world->health_stopped;

    for (int i = 0; i < INSTANCES; i++)
        over = over && !world->instances[i].stopping;
    return over;
}

void world_done(struct world *world)
{
    for (int i = 0; i < CLIENTS; i++)
        nr_client_close(world->clients[i].pool);
    world->draining = world->worker_count;
    for (uint32_t i = 0; i < world->worker_count; i++)
        nr_gateway_worker_drain(world->workers[i], gateway_drained, world);
    nr_gateway_close_listeners(world->gateway);
    nr_gateway_stop(world->gateway, health_stopped, world);
    for (int i = 0; i < INSTANCES; i++)
        if (world->instances[i].alive)
            instance_stop(&world->instances[i]);
    while (!all_over(world))
        check(world, nr_sim_step(world->sim), "the shutdown hangs");
    for (uint32_t i = 0; i < world->worker_count; i++)
        nr_gateway_worker_free(world->workers[i]);
    for (int i = 0; i < INSTANCES; i++)
        nr_server_free(world->instances[i].server);
    while (nr_sim_step(world->sim))
        continue;
    nr_gateway_free(world->gateway);
    nr_config_unref(world->config);
    check(world, world->verdict.ended == world->verdict.started, "a request without an end");
    free(world->fates);
    nr_sim_free(world->sim);
}
