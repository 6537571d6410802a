/* SPDX-License-Identifier: Apache-2.0 */
#include "foresight/simulate.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "foresight/model.h"
#include "gateway/gateway_conf.h"
#include "service/service_conf.h"

enum { WORKERS_MAX = 16, PATIENCE_S = 150 };

static const uint64_t second_ns = 1000000000u;

/* ---- does it fit? ---- */

/* "payment/2": is there such a service, and so many instances? */
static void check_target(const struct nr_config *config, const struct nr_section *at,
                         const char *field, struct nr_span target, struct nr_diags *diags)
{
    const struct nr_service_conf *service;
    struct nr_span name;
    uint32_t number;

    if (!nr_scenario_target(target, &name, &number)) {
        nr_section_error(at, field, diags, NULL,
                         "an instance is written as service/number, got '%s'", target.ptr);
        return;
    }
    service = nr_service_conf_find(nr_services_conf_of(config), name);
    if (service == NULL)
        nr_section_error(at, field, diags, NULL, "the configuration has no service '%.*s'",
                         (int)name.len, name.ptr);
    else if (number != UINT32_MAX && !nr_instances_are_found(&service->found) &&
             number >= service->instance_count)
        nr_section_error(at, field, diags, NULL,
                         "service '%s' has %u instances, numbered from 0, got %u",
                         service->name.ptr, service->instance_count, number);
}

static void check_models(const struct nr_scenario *scenario, const struct nr_config *config,
                         struct nr_diags *diags)
{
    const struct nr_services_conf *services = nr_services_conf_of(config);

    for (uint32_t i = 0; i < scenario->service_count; i++)
        if (nr_service_conf_find(services, scenario->services[i].name) == NULL)
            nr_section_error(&scenario->services[i].at, NULL, diags, NULL,
                             "the configuration has no service '%s'",
                             scenario->services[i].name.ptr);
    for (uint32_t i = 0; i < services->count; i++)
        if (nr_model_conf_find(scenario, services->items[i].name) == NULL)
            nr_diags_add(diags, NR_DIAG_WARNING, NULL,
                         nr_config_where(scenario->config, "services"), "services", NULL,
                         "service '%s' has no model: its instances answer at once",
                         services->items[i].name.ptr);
}

/* What connections would make of it, and the model transport does not. */
static void check_transport(const struct nr_scenario *scenario, const struct nr_config *config,
                            struct nr_diags *diags)
{
    const struct nr_services_conf *services = nr_services_conf_of(config);
    struct nr_arena arena;
    struct nr_head head;

    nr_arena_init(&arena, NULL, 0);
    for (uint32_t i = 0; i < scenario->traffic->request_count; i++) {
        const struct nr_request_conf *what = &scenario->traffic->requests[i];
        enum nr_h1_reason reason = nr_model_head_make(what, &arena, &head);

        if (reason != NR_H1_OK)
            nr_section_error(&what->at, "path", diags, "--transport wire",
                             "the gateway's parser refuses this request (%s), and the model "
                             "transport has none",
                             nr_h1_reason_text(reason));
    }
    for (uint32_t i = 0; i < services->count; i++)
        if (nr_section_has(&services->items[i].pool.at, "max_connections"))
            nr_diags_add(diags, NR_DIAG_WARNING, NULL,
                         nr_section_where(&services->items[i].pool.at, "max_connections"),
                         services->items[i].pool.at.path, "--transport wire",
                         "service '%s' limits its connections (pool.max_connections), and the "
                         "model transport has none",
                         services->items[i].name.ptr);
    nr_arena_done(&arena);
}

void nr_simulate_check(const struct nr_scenario *scenario, const struct nr_config *config,
                       struct nr_diags *diags)
{
    check_models(scenario, config, diags);
    if (scenario->transport == NR_TRANSPORT_MODEL)
        check_transport(scenario, config, diags);
    for (uint32_t i = 0; i < scenario->failure_count; i++)
        check_target(config, &scenario->failures[i].at, "instance", scenario->failures[i].instance,
                     diags);
    for (uint32_t i = 0; i < scenario->link_count; i++)
        if (!nr_span_eq(scenario->links[i].to, NR_SPAN("clients")))
            check_target(config, &scenario->links[i].at, "to", scenario->links[i].to, diags);
}

/* ---- what the gateway tells ---- */

static void on_record(struct nr_record_sink *sink, const struct nr_record *record,
                      const struct nr_record_view *view)
{
    struct nr_world *world = nr_container_of(sink, struct nr_world, sink);
    struct nr_report_second *second = nr_report_at(world->report, nr_sim_now_ns(world->sim));

    (void)view;
    second->requests++;
    second->attempts += record->attempt_count;
    if (record->reason != NR_REASON_NONE)
        second->causes[record->reason]++;
    else if (record->status >= 500)
        second->causes[NR_CAUSE_STATUS]++;
}

static void on_health(void *ctx, struct nr_service *service, uint32_t instance, enum nr_health from,
                      enum nr_health to)
{
    struct nr_world *world = ctx;

    if (from == NR_HEALTH_UNKNOWN && to == NR_HEALTH_UP)
        return;
    nr_report_event(world->report, nr_sim_now_ns(world->sim),
                    to == NR_HEALTH_DOWN ? NR_TONE_BAD : NR_TONE_GOOD, "health checks: %s/%u is %s",
                    nr_service_conf(service)->name.ptr, instance,
                    to == NR_HEALTH_DOWN ? "down" : "up");
}

/* What naru's own log would say of instances and policies: circuits that open, and the like. */
static void on_news(void *ctx, struct nr_service *service, bool bad, const char *text)
{
    struct nr_world *world = ctx;

    nr_report_event(world->report, nr_sim_now_ns(world->sim), bad ? NR_TONE_BAD : NR_TONE_GOOD,
                    "%s: %s", nr_service_conf(service)->name.ptr, text);
}

static void tick(struct nr_world *world)
{
    uint32_t queued = 0;

    for (uint32_t i = 0; i < world->instance_count; i++)
        queued += world->instances[i].queued;
    nr_report_tick(world->report, nr_sim_now_ns(world->sim), world->clients.in_flight, queued);
}

static void tell_progress(const struct nr_world *world)
{
    double share = (double)(nr_sim_now_ns(world->sim) - world->start_ns) /
                   (double)world->scenario->duration_ns;

    if (world->progress != NULL)
        world->progress->played(world->progress->ctx, share < 1 ? share : 1);
}

static void on_tick(struct nr_sim *sim, struct nr_sim_event *event)
{
    struct nr_world *world = nr_container_of(event, struct nr_world, tick);

    tick(world);
    nr_sim_at(sim, event, nr_sim_now_ns(sim) + second_ns);
    tell_progress(world);
}

/* ---- the beginning ---- */

static void on_resolved(void *ctx, const struct nr_err *err)
{
    struct nr_world *world = ctx;

    (void)err; /* a name that does not resolve is said by the requests that want it */
    world->resolved = true;
}

/* The gateway's host answers for every address that it is told to listen on. */
static void own_addresses(struct nr_world *world, const struct nr_gateway_conf *conf)
{
    for (uint32_t i = 0; i < conf->listen_count; i++) {
        struct nr_addr address;

        if (nr_addr_parse(conf->listen[i].address.text.ptr, &address, NULL) == NR_OK &&
            conf->listen[i].address.kind != NR_CONFIG_ADDRESS_ANY)
            nr_sim_stand_in(world->sim, &address, nr_model_gateway_host);
    }
}

/* Where the clients connect: the first listener that takes plain HTTP. */
static enum nr_code entrance(struct nr_world *world, const struct nr_gateway_conf *conf,
                             struct nr_addr *ret_address, uint32_t *ret_listener,
                             struct nr_err *err)
{
    for (uint32_t i = 0; i < conf->listen_count; i++) {
        if (conf->listen[i].tcp != NULL || conf->listen[i].proxy_protocol == NR_PROXY_IN_REQUIRE)
            continue;
        *ret_address = nr_gateway_listener_address(world->gateway, i);
        if (ret_address->family != NR_ADDR_UNIX) {
            struct nr_addr at;

            if (nr_addr_parse("100.64.0.1:1", &at, NULL) != NR_OK)
                nr_assert_failed("an address", __FILE__, __LINE__);
            at.port = ret_address->port;
            *ret_address = at;
        }
        *ret_listener = i;
        return NR_OK;
    }
    return nr_err_set(err, NR_ECONFIG,
                      "gateway.listen has no listener for HTTP without a PROXY header");
}

/* Where the clients' exchanges go without connections: to each worker, by that listener. */
static void gates_open(struct nr_world *world, uint32_t listener, const struct nr_addr *address)
{
    nr_assert(world->worker_count > 0);
    world->gates = calloc(world->worker_count, sizeof(*world->gates));
    nr_assert(world->gates != NULL);
    for (uint32_t i = 0; i < world->worker_count; i++) {
        struct nr_model_target *gate = &world->gates[i];

        nr_model_target_init(gate, &world->transport, nr_model_gateway_host);
        gate->handler = nr_gateway_worker_handler(world->workers[i], listener);
        gate->io = world->engines[i];
        gate->address = *address;
        gate->wants_fields = true;
    }
}

static enum nr_code gateway_start(struct nr_world *world, struct nr_addr *ret_address,
                                  struct nr_err *err)
{
    const struct nr_gateway_conf *conf = nr_gateway_conf_of(world->config);
    enum nr_code code = nr_gateway_new(world->config, &world->gateway, err);
    uint32_t listener = 0;

    if (code != NR_OK)
        return code;
    own_addresses(world, conf);
    code = nr_gateway_listen(world->gateway, world->engines, world->worker_count, NULL, 0, err);
    if (code == NR_OK)
        code = entrance(world, conf, ret_address, &listener, err);
    if (code != NR_OK)
        return code;
    nr_gateway_resolve(world->gateway, world->engines[0], on_resolved, world);
    while (!world->resolved && nr_sim_step(world->sim))
        continue;
    world->sink.done = on_record;
    if (world->modelled)
        nr_gateway_carry_by(world->gateway, &world->transport.base);
    for (uint32_t i = 0; i < world->worker_count; i++)
        world->workers[i] = nr_gateway_worker_new(world->gateway, world->engines[i], &world->sink,
                                                  world->worker_count);
    if (world->modelled)
        gates_open(world, listener, ret_address);
    nr_gateway_on_news(world->gateway, on_news, world);
    nr_gateway_start(world->gateway, world->engines[0], on_health, world);
    return NR_OK;
}

static void world_init(struct nr_world *world, const struct nr_scenario *scenario,
                       struct nr_config *config, struct nr_report *report)
{
    uint32_t workers = nr_gateway_conf_of(config)->workers;
    const struct nr_sim_conf conf = {.seed = scenario->seed, .link = nr_model_link_default};

    *world = (struct nr_world){.scenario = scenario, .config = config, .report = report};
    world->worker_count = workers == 0 ? 1 : workers > WORKERS_MAX ? WORKERS_MAX : workers;
    world->engines = calloc(world->worker_count, sizeof(struct nr_io *));
    world->workers = calloc(world->worker_count, sizeof(struct nr_gateway_worker *));
    nr_assert(world->engines != NULL && world->workers != NULL);
    nr_arena_init(&world->arena, NULL, 0);
    nr_link_init(&world->free_jobs);
    world->tick.fire = on_tick;
    world->sim = nr_sim_new(&conf);
    world->modelled = scenario->transport == NR_TRANSPORT_MODEL;
    nr_model_transport_init(&world->transport, world->sim, nr_model_gateway_host);
    for (uint32_t i = 0; i < world->worker_count; i++)
        world->engines[i] = nr_sim_engine(world->sim, nr_model_gateway_host);
}

/* ---- the end ---- */

static void on_drained(void *ctx)
{
    ((struct nr_world *)ctx)->drains--;
}

static bool all_down(const struct nr_world *world)
{
    for (uint32_t i = 0; i < world->instance_count; i++)
        if (world->instances[i].stopping)
            return false;
    return world->drains == 0 && world->transport.live == 0;
}

static void gateway_stop(struct nr_world *world)
{
    if (world->workers[0] == NULL) { /* it has never started */
        if (world->gateway != NULL)
            nr_gateway_close_listeners(world->gateway);
        return;
    }
    world->drains = world->worker_count + 1;
    for (uint32_t i = 0; i < world->worker_count; i++)
        nr_gateway_worker_drain(world->workers[i], on_drained, world);
    nr_gateway_close_listeners(world->gateway);
    nr_gateway_stop(world->gateway, on_drained, world);
    for (uint32_t i = 0; i < world->worker_count; i++) {
        nr_gateway_worker_abort(world->workers[i]);
        if (world->modelled) {
            world->gates[i].handler = NULL;
            nr_model_target_abort(&world->gates[i]);
        }
    }
}

/* Everybody goes home, in the order of a real shutdown; then the simulator looks for leaks. */
static void world_done(struct nr_world *world)
{
    if (world->faults != NULL)
        nr_model_faults_free(world);
    nr_sim_cancel(world->sim, &world->tick);
    for (uint32_t i = 0; i < world->instance_count; i++)
        nr_model_instance_silence(&world->instances[i], false);
    if (world->clients.world != NULL)
        nr_model_clients_close(&world->clients);
    gateway_stop(world);
    for (uint32_t i = 0; i < world->instance_count; i++)
        nr_model_instance_stop(&world->instances[i]);
    while (!all_down(world) && nr_sim_step(world->sim))
        continue;
    nr_assert(all_down(world));
    for (uint32_t i = 0; i < world->worker_count; i++)
        nr_gateway_worker_free(world->workers[i]);
    for (uint32_t i = 0; i < world->instance_count; i++)
        nr_server_free(world->instances[i].server);
    while (nr_sim_step(world->sim))
        continue;
    nr_gateway_free(world->gateway);
    nr_model_instances_free(world);
    nr_model_clients_done(&world->clients);
    nr_model_transport_done(&world->transport);
    nr_sim_free(world->sim);
    nr_arena_done(&world->arena);
    free(world->gates);
    free(world->engines);
    free(world->workers);
}

/* ---- the run ---- */

static char *name_of(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *name_of(const char *format, ...)
{
    char *name = NULL;
    va_list args;

    va_start(args, format);
    if (vasprintf(&name, format, args) < 0)
        nr_assert_failed("out of memory", __FILE__, __LINE__);
    va_end(args);
    return name;
}

static void report_init(struct nr_world *world)
{
    const struct nr_traffic_conf *traffic = world->scenario->traffic;
    struct nr_report *report = world->report;

    nr_report_init(report, world->start_ns, world->scenario->duration_ns, world->instance_count,
                   traffic->request_count == 0 ? 1 : traffic->request_count);
    for (uint32_t i = 0; i < traffic->request_count; i++)
        report->kinds[i].name =
            name_of("%s %s", nr_method_name((enum nr_method)traffic->requests[i].method).ptr,
                    traffic->requests[i].path.ptr);
    if (traffic->request_count == 0)
        report->kinds[0].name = name_of("GET /");
    report->about = world->scenario->about;
    report->seed = world->scenario->seed;
    report->transport = nr_scenario_transport_name(world->scenario->transport);
    for (uint32_t i = 0; i < world->instance_count; i++) {
        report->instances[i].name = name_of("%s", world->instances[i].name.ptr);
        report->instances[i].capacity = world->instances[i].capacity;
    }
}

static bool anybody_works(const struct nr_world *world)
{
    for (uint32_t i = 0; i < world->instance_count; i++)
        if (world->instances[i].busy > 0)
            return true;
    return false;
}

static void play(struct nr_world *world)
{
    uint64_t give_up_ns = world->end_ns + PATIENCE_S * second_ns;

    nr_sim_at(world->sim, &world->tick, world->start_ns + second_ns);
    while (nr_model_clients_waiting(&world->clients) && nr_sim_now_ns(world->sim) < give_up_ns)
        nr_sim_step(world->sim);
    nr_model_clients_abandon(&world->clients);
    while (nr_model_clients_waiting(&world->clients))
        nr_sim_step(world->sim);
    tick(world); /* the second under way is the last */
    /* What instances still work on, for nobody, is part of the price. */
    while (anybody_works(world) && nr_sim_now_ns(world->sim) < give_up_ns)
        nr_sim_step(world->sim);
}

enum nr_code nr_simulate(const struct nr_scenario *scenario, struct nr_config *config,
                         const struct nr_simulate_progress *progress, struct nr_report *ret_report,
                         struct nr_err *err)
{
    struct nr_report report = {0};
    struct nr_world world;
    struct nr_addr gateway;
    enum nr_code code;

    world_init(&world, scenario, config, &report);
    world.progress = progress;
    code = nr_model_instances_new(&world, err);
    world.start_ns = nr_sim_now_ns(world.sim) + 2 * second_ns; /* the first checks have been */
    world.end_ns = world.start_ns + scenario->duration_ns;
    report_init(&world);
    if (code == NR_OK)
        code = gateway_start(&world, &gateway, err);
    if (code == NR_OK) {
        nr_sim_run(world.sim, world.start_ns);
        nr_model_clients_start(&world.clients, &world, &gateway);
        world.faults = nr_model_faults_new(&world);
        play(&world);
    }
    world_done(&world);
    if (code != NR_OK) {
        nr_report_done(&report);
        return code;
    }
    nr_report_finish(&report);
    *ret_report = report;
    return NR_OK;
}
