/* SPDX-License-Identifier: Apache-2.0 */
/* model_world.c - a host for each instance that the configuration names.
 *
 * The gateway connects to the addresses as they are written; the world sends it to the instance's
 * own host (nr_sim_stand_in), so that 127.0.0.1:7001 and 127.0.0.1:7002 can fail apart. A name gets
 * an address of its own first, whatever the real one is. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "foresight/model.h"
#include "gateway/gateway_conf.h"
#include "io/process.h"
#include "service/service_conf.h"

const char nr_model_gateway_host[] = "100.64.0.1";
const struct nr_sim_link nr_model_link_default = {.latency_min_ns = 100000,
                                                  .latency_max_ns = 200000};

enum { FILE_BYTES_MAX = 1024 * 1024 };

static const struct nr_model_conf unknown_service = {
    .queue = UINT32_MAX, .answer_bytes = 512, .found = 2};

const struct nr_model_conf *nr_model_conf_find(const struct nr_scenario *scenario,
                                               struct nr_span service)
{
    for (uint32_t i = 0; i < scenario->service_count; i++)
        if (nr_span_eq(scenario->services[i].name, service))
            return &scenario->services[i];
    return NULL;
}

/* ---- one instance ---- */

/* What the scenario says of this one alone. */
static void differ(struct nr_model_instance *instance)
{
    for (uint32_t i = 0; i < instance->conf->instance_count; i++) {
        const struct nr_model_instance_conf *own = &instance->conf->instances[i];

        if (strtoul(own->name.ptr, NULL, 10) != instance->number)
            continue;
        if (own->latency != NULL)
            instance->latency = own->latency;
        if (nr_section_has(&own->at, "capacity"))
            instance->capacity = own->capacity;
        if (nr_section_has(&own->at, "errors"))
            instance->errors = own->errors;
    }
}

static void add_instance(struct nr_world *world, const struct nr_service_conf *service,
                         uint32_t number, struct nr_addr address)
{
    uint32_t index = world->instance_count++;
    struct nr_model_instance *instance = &world->instances[index];
    const struct nr_model_conf *conf = nr_model_conf_find(world->scenario, service->name);

    conf = conf == NULL ? &unknown_service : conf;
    *instance = (struct nr_model_instance){
        .world = world,
        .conf = conf,
        .latency = &conf->latency,
        .capacity = conf->capacity,
        .errors = conf->errors,
        .number = number,
        .index = index,
        .health_path = service->health != NULL ? service->health->path.ptr : "",
        .server_conf = nr_server_conf_default,
        .faults = {.slow = 1},
    };
    if (instance->health_path == NULL)
        instance->health_path = ""; /* checked by a connection alone */
    instance->server_conf.connections_max = UINT32_MAX;
    instance->name = nr_arena_printf(&world->arena, "%s/%u", service->name.ptr, number);
    snprintf(instance->host, sizeof(instance->host), "100.64.%u.%u", (1 + (index >> 8)) & 255,
             index & 255);
    nr_sim_stand_in(world->sim, &address, instance->host);
    instance->wired = !world->modelled || (service->health != NULL && service->health->tcp);
    if (instance->wired)
        instance->io = nr_sim_engine(world->sim, instance->host);
    if (world->modelled) {
        nr_model_target_init(&instance->target, &world->transport, instance->host);
        instance->target.address = address;
    }
    instance->listen = address;
    if (address.family != NR_ADDR_UNIX)
        instance->listen = (struct nr_addr){.family = NR_ADDR_V4, .port = address.port};
    differ(instance);
    nr_random_init(&instance->random, world->scenario->seed ^ (uint64_t)(index + 1) << 32);
    nr_link_init(&instance->queue);
    nr_link_init(&instance->working);
    nr_model_instance_start(instance);
}

/* ---- where they are said to be ---- */

static struct nr_addr name_address(uint32_t number, uint16_t port)
{
    return (struct nr_addr){.family = NR_ADDR_V4,
                            .ip = {198, 18, (uint8_t)(number >> 8), (uint8_t)number},
                            .port = port};
}

/* The address that this name has in the world: the same for each port. */
static struct nr_addr named(struct nr_world *world, const struct nr_config_address *address)
{
    struct nr_addr addr = name_address(world->name_count, address->port);
    char text[NR_ADDR_TEXT_BYTES];

    for (uint32_t i = 0; i < world->name_count; i++)
        if (nr_span_eq(world->names[i], address->host))
            return name_address(i, address->port);
    world->names = realloc(world->names, (world->name_count + 1) * sizeof(*world->names));
    nr_assert(world->names != NULL);
    world->names[world->name_count++] = address->host;
    nr_addr_format_ip(&addr, text, sizeof(text));
    nr_sim_name(world->sim, address->host.ptr, text, 60);
    return addr;
}

static void add_list(struct nr_world *world, const struct nr_service_conf *service,
                     const struct nr_instance_conf *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct nr_config_address *address = &list[i].address;
        struct nr_addr addr;

        if (address->kind == NR_CONFIG_ADDRESS_NAME)
            addr = named(world, address);
        else if (nr_addr_parse(address->text.ptr, &addr, NULL) != NR_OK)
            nr_assert_failed("the loader has seen this address", __FILE__, __LINE__);
        add_instance(world, service, i, addr);
    }
}

/* One name, as many addresses as the scenario says. */
static void add_found(struct nr_world *world, const struct nr_service_conf *service)
{
    const struct nr_model_conf *conf = nr_model_conf_find(world->scenario, service->name);
    uint32_t count = conf == NULL ? unknown_service.found : conf->found;
    struct nr_strbuf addresses = {0};

    for (uint32_t i = 0; i < count; i++) {
        struct nr_addr addr = name_address(world->name_count, service->found.dns.port);
        char text[NR_ADDR_TEXT_BYTES];

        world->names = realloc(world->names, (world->name_count + 1) * sizeof(*world->names));
        nr_assert(world->names != NULL);
        world->names[world->name_count++] = NR_SPAN(""); /* taken, under no name of its own */
        nr_addr_format_ip(&addr, text, sizeof(text));
        nr_strbuf_printf(&addresses, "%s%s", i > 0 ? " " : "", text);
        add_instance(world, service, i, addr);
    }
    nr_sim_name(world->sim, service->found.dns.host.ptr, addresses.ptr, 60);
    nr_strbuf_done(&addresses);
}

/* The file is read once, and lies in the world as it is. */
static enum nr_code load_file(struct nr_world *world, const struct nr_service_conf *service,
                              struct nr_config **ret_file, struct nr_err *err)
{
    static const struct nr_schema_root *const root = &nr_instances_file_root;
    static const struct nr_config_source no_source = {0};
    const char *path = service->found.file.ptr;
    struct nr_diags diags;
    char *bytes = NULL;
    size_t len;
    enum nr_code code = nr_process_read_file(path, FILE_BYTES_MAX, &bytes, &len, err);

    if (code != NR_OK)
        return nr_err_wrap(err, "instances of %s: %s", service->name.ptr, path);
    nr_sim_file(world->sim, nr_model_gateway_host, path, (struct nr_span){bytes, len});
    nr_diags_init(&diags, &world->arena, 1);
    code = nr_config_load_value(&root, &no_source, path, (struct nr_span){bytes, len}, &diags,
                                ret_file);
    free(bytes);
    return code == NR_OK ? NR_OK : nr_diags_code(&diags, err);
}

static uint32_t instances_of(const struct nr_world *world, const struct nr_service_conf *service,
                             const struct nr_config *file)
{
    const struct nr_model_conf *conf = nr_model_conf_find(world->scenario, service->name);

    if (file != NULL)
        return nr_instances_file_of(file)->count;
    if (service->found.dns.kind != NR_CONFIG_ADDRESS_NONE)
        return conf == NULL ? unknown_service.found : conf->found;
    return service->instance_count;
}

enum nr_code nr_model_instances_new(struct nr_world *world, struct nr_err *err)
{
    const struct nr_services_conf *services = nr_services_conf_of(world->config);
    uint32_t total = 0;

    world->files = calloc(services->count + 1, sizeof(struct nr_config *));
    nr_assert(world->files != NULL);
    for (uint32_t i = 0; i < services->count; i++) {
        if (services->items[i].found.file.len > 0 &&
            load_file(world, &services->items[i], &world->files[i], err) != NR_OK)
            return err->code;
        total += instances_of(world, &services->items[i], world->files[i]);
    }
    world->instances = calloc(total + 1, sizeof(*world->instances));
    nr_assert(world->instances != NULL);
    for (uint32_t i = 0; i < services->count; i++) {
        const struct nr_service_conf *service = &services->items[i];
        const struct nr_instances_conf *file =
            world->files[i] == NULL ? NULL : nr_instances_file_of(world->files[i]);

        if (file != NULL)
            add_list(world, service, file->list, file->count);
        else if (service->found.dns.kind != NR_CONFIG_ADDRESS_NONE)
            add_found(world, service);
        else
            add_list(world, service, service->instances, service->instance_count);
    }
    return NR_OK;
}

void nr_model_instances_free(struct nr_world *world)
{
    const struct nr_services_conf *services = nr_services_conf_of(world->config);
    struct nr_link *link;

    for (uint32_t i = 0; world->files != NULL && i < services->count; i++)
        nr_config_unref(world->files[i]);
    while ((link = nr_list_pop_front(&world->free_jobs)) != NULL)
        nr_model_job_free(link);
    free(world->files);
    free(world->names);
    free(world->instances);
}
