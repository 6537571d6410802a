/* SPDX-License-Identifier: Apache-2.0 */
/* service_conf.c - the tables of `services` and `dns`. The rules of `naru check` that concern them
 * are in service_check.c. */
#include "service/service_conf.h"

#include <string.h>

#include "base/record.h"
#include "codec/head.h"
#include "config/text.h"

/* service_conf.h gives the list two names. */
_Static_assert(offsetof(struct nr_service_conf, found.list) ==
                       offsetof(struct nr_service_conf, instances) &&
                   offsetof(struct nr_service_conf, found.count) ==
                       offsetof(struct nr_service_conf, instance_count),
               "both members of the union begin alike");

/* clang-format off */

static const struct nr_schema_field instance_fields[] = {
    {.name = "address", .type = NR_SCHEMA_ADDRESS, .flags = NR_SCHEMA_REQUIRED,
     NR_SCHEMA_AT(struct nr_instance_conf, address),
     .doc = "Where the instance listens."},
    {.name = "weight", .type = NR_SCHEMA_U32, NR_SCHEMA_AT(struct nr_instance_conf, weight),
     .value = "1", .min = "1", .max = "1000",
     .doc = "Its share of the requests, relative to the others."},
    {.name = "zone", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_instance_conf, zone),
     .min = "1", .max = "64",
     .doc = "The failure zone that it stands in."},
    {.name = "priority", .type = NR_SCHEMA_U32, NR_SCHEMA_AT(struct nr_instance_conf, priority),
     .value = "0", .max = "15",
     .doc = "0 serves first; the next stand by until too few of it are healthy."},
};

static const struct nr_schema instance_schema = {
    .title = "Instance", NR_SCHEMA_FIELDS(instance_fields, struct nr_instance_conf),
    .shorthand = "address",
};

static const struct nr_schema_word by_ttl[] = {
    {"auto", 0, "when the TTL of the answer is over"},
    {NULL, 0, NULL},
};

static const struct nr_schema_field instances_fields[] = {
    {.name = "list", .type = NR_SCHEMA_SECTIONS,
     NR_SCHEMA_MANY(struct nr_instances_conf, list, count), .section = &instance_schema,
     .doc = "The instances themselves: addresses, or mappings."},
    {.name = "dns", .type = NR_SCHEMA_ADDRESS, NR_SCHEMA_AT(struct nr_instances_conf, dns),
     .doc = "A name with a port: each address that it has is an instance."},
    {.name = "refresh", .type = NR_SCHEMA_DURATION,
     NR_SCHEMA_AT(struct nr_instances_conf, refresh_ns),
     .value = "auto", .min = "1s", .max = "1d", .words = by_ttl,
     .doc = "How often the name is looked up."},
    {.name = "file", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_instances_conf, file),
     .min = "1", .max = "4096",
     .doc = "A YAML file with a list of instances, relative to this one; changes take effect within two seconds."},
};

/* Like an include, the file is named relative to who names it. */
static void beside(struct nr_instances_conf *conf, struct nr_arena *arena)
{
    const char *slash = conf->at.place.file == NULL ? NULL : strrchr(conf->at.place.file, '/');
    size_t dir = slash == NULL ? 0 : (size_t)(slash - conf->at.place.file) + 1;
    char *path;

    if (dir == 0 || conf->file.ptr[0] == '/')
        return;
    path = nr_arena_alloc(arena, dir + conf->file.len + 1);
    memcpy(path, conf->at.place.file, dir);
    memcpy(path + dir, conf->file.ptr, conf->file.len + 1);
    conf->file = (struct nr_span){path, dir + conf->file.len};
}

static void check_instances(void *section, struct nr_arena *arena, struct nr_diags *diags)
{
    struct nr_instances_conf *conf = section;
    int ways = (conf->count > 0) + (conf->dns.kind != NR_CONFIG_ADDRESS_NONE) +
               (conf->file.len > 0);

    if (ways != 1)
        nr_section_error(&conf->at, NULL, diags,
                         "instances: [\"127.0.0.1:7001\"], or { dns: \"app.internal:8080\" }, or "
                         "{ file: instances.yaml }",
                         ways == 0 ? "'instances' must not be empty"
                                   : "'list', 'dns' and 'file' exclude each other");
    else if (conf->dns.kind != NR_CONFIG_ADDRESS_NONE && conf->dns.kind != NR_CONFIG_ADDRESS_NAME)
        nr_section_error(&conf->at, "dns", diags, "instances: [...] takes addresses",
                         "'dns' needs a name and a port, got '%s'", conf->dns.text.ptr);
    if (conf->file.len > 0)
        beside(conf, arena);
}

static const struct nr_schema instances_schema = {
    .title = "Instances",
    .doc = "A list of them, or where they are found: `{ dns: \"app.internal:8080\" }` or "
           "`{ file: instances.yaml }`. What is found may change at any time, without a reload.",
    NR_SCHEMA_FIELDS(instances_fields, struct nr_instances_conf),
    .shorthand = "list", .check = check_instances,
};

const struct nr_schema_root nr_instances_file_root = {
    .field = {.name = "instances", .type = NR_SCHEMA_SECTIONS,
              NR_SCHEMA_MANY(struct nr_instances_conf, list, count),
              .section = &instance_schema, .doc = "The instances that a file lists."},
    .bytes = sizeof(struct nr_instances_conf),
};

static const struct nr_schema_word rest_of_deadline[] = {
    {"auto", 0, "what is left of the deadline"},
    {NULL, 0, NULL},
};

static const struct nr_schema_field timeouts_fields[] = {
    {.name = "connect", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_timeouts_conf, connect_ns),
     .value = "3s", .min = "1ms", .max = "5m",
     .doc = "Until a connection to an instance is open."},
    {.name = "attempt", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_timeouts_conf, attempt_ns),
     .value = "auto", .min = "1ms", .max = "1h", .words = rest_of_deadline,
     .doc = "One attempt, from its start to the head of its answer."},
    {.name = "first_byte", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_timeouts_conf, first_byte_ns),
     .value = "auto", .min = "1ms", .max = "1h", .words = rest_of_deadline,
     .doc = "From the end of the request to the first byte of the answer."},
    {.name = "idle", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_timeouts_conf, idle_ns),
     .value = "60s", .min = "1ms", .max = "24h",
     .doc = "Without a byte while the body of the answer is due, or in a tunnel."},
    {.name = "write", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_timeouts_conf, write_ns),
     .value = "5s", .min = "1ms", .max = "1h",
     .doc = "Without progress while the request is sent."},
};

static const struct nr_schema timeouts_schema = {
    .title = "Timeouts", NR_SCHEMA_FIELDS(timeouts_fields, struct nr_timeouts_conf),
};

static const struct nr_schema_word unlimited[] = {
    {"none", UINT64_MAX, "no limit"},
    {NULL, 0, NULL},
};

static const struct nr_schema_field pool_fields[] = {
    {.name = "max_idle", .type = NR_SCHEMA_U32, NR_SCHEMA_AT(struct nr_pool_conf, max_idle),
     .value = "1024", .max = "65536",
     .doc = "Idle connections kept per instance and worker."},
    {.name = "max_connections", .type = NR_SCHEMA_U32, NR_SCHEMA_AT(struct nr_pool_conf, max_connections),
     .value = "1024", .min = "1", .max = "65536",
     .doc = "Connections in all per instance and worker."},
    {.name = "max_waiting", .type = NR_SCHEMA_U32, NR_SCHEMA_AT(struct nr_pool_conf, max_waiting),
     .value = "1024", .max = "65536",
     .doc = "Requests that may wait, each for timeouts.connect at most, while max_connections are in use."},
    {.name = "prewarm", .type = NR_SCHEMA_U32, NR_SCHEMA_AT(struct nr_pool_conf, prewarm),
     .value = "0", .max = "1024",
     .doc = "Connections that each worker opens to an instance when it starts or comes up, before they are needed."},
    {.name = "idle_timeout", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_pool_conf, idle_timeout_ns),
     .value = "50s", .min = "1ms", .max = "24h",
     .doc = "How long an idle connection is kept; best below the service's own limit."},
    {.name = "max_lifetime", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_pool_conf, max_lifetime_ns),
     .value = "1h", .min = "1s", .max = "30d", .words = unlimited,
     .doc = "A connection older than this, or up to a tenth less at random, is closed after its exchange."},
};

static void check_pool(void *section, struct nr_arena *arena, struct nr_diags *diags)
{
    const struct nr_pool_conf *pool = section;

    (void)arena;
    if (pool->prewarm > pool->max_idle)
        nr_section_error(&pool->at, "prewarm", diags, "max_idle: 64",
                         "'prewarm' must not be greater than 'max_idle' (%u)", pool->max_idle);
    if (pool->prewarm > pool->max_connections)
        nr_section_error(&pool->at, "prewarm", diags, NULL,
                         "'prewarm' must not be greater than 'max_connections' (%u)",
                         pool->max_connections);
}

static const struct nr_schema pool_schema = {
    .title = "Connection pool", NR_SCHEMA_FIELDS(pool_fields, struct nr_pool_conf),
    .check = check_pool,
};

static const struct nr_schema_word proxy_out_words[] = {
    {"off", NR_PROXY_OUT_OFF, NULL},
    {"v1", NR_PROXY_OUT_V1, "a line of text"},
    {"v2", NR_PROXY_OUT_V2, "binary, with a checksum"},
    {NULL, 0, NULL},
};

static const struct nr_schema_field service_fields[] = {
    {.name = "instances", .type = NR_SCHEMA_SECTION, .flags = NR_SCHEMA_REQUIRED,
     NR_SCHEMA_AT(struct nr_service_conf, found), .section = &instances_schema,
     .doc = "The instances, or where they are found."},
    {.name = "own_timeout", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_service_conf, own_timeout_ns),
     .min = "1ms", .max = "24h",
     .doc = "After how long the service gives up by itself, for `naru check`."},
    {.name = "own_idle_timeout", .type = NR_SCHEMA_DURATION,
     NR_SCHEMA_AT(struct nr_service_conf, own_idle_timeout_ns), .min = "1ms", .max = "24h",
     .doc = "After how long the service closes an idle connection (its keep-alive timeout), for `naru check`."},
    {.name = "capacity", .type = NR_SCHEMA_RATE, NR_SCHEMA_AT(struct nr_service_conf, capacity),
     .doc = "Requests that one instance bears, such as 200/s, for `naru check`."},
    {.name = "calls", .type = NR_SCHEMA_LIST, .element = NR_SCHEMA_STRING,
     NR_SCHEMA_MANY(struct nr_service_conf, calls, call_count), .min = "1", .max = "64",
     .doc = "Services of this file that the service itself calls, for `naru check`."},
    {.name = "balance", .type = NR_SCHEMA_SECTION, NR_SCHEMA_AT(struct nr_service_conf, balance),
     .section = &nr_balance_schema,
     .doc = "How an instance is picked: an algorithm, or a mapping."},
    {.name = "proxy_protocol", .type = NR_SCHEMA_ENUM, NR_SCHEMA_AT(struct nr_service_conf, proxy_protocol),
     .value = "off", .words = proxy_out_words,
     .doc = "Connections begin with a PROXY header that names the client. For TCP listeners; services of routes learn it from X-Forwarded-For."},
    {.name = "health", .type = NR_SCHEMA_SECTION, .flags = NR_SCHEMA_OPTIONAL,
     NR_SCHEMA_AT(struct nr_service_conf, health), .section = &nr_health_schema,
     .doc = "Active checks of every instance."},
    {.name = "timeouts", .type = NR_SCHEMA_SECTION, NR_SCHEMA_AT(struct nr_service_conf, timeouts),
     .section = &timeouts_schema, .doc = "How long each step of a call may take."},
    {.name = "retry", .type = NR_SCHEMA_SECTION, NR_SCHEMA_AT(struct nr_service_conf, retry),
     .section = &nr_retry_schema, .doc = "Second chances on another instance."},
    {.name = "breaker", .type = NR_SCHEMA_SECTION, .flags = NR_SCHEMA_OPTIONAL,
     NR_SCHEMA_AT(struct nr_service_conf, breaker), .section = &nr_breaker_schema,
     .doc = "Stop calling what fails."},
    {.name = "bulkhead", .type = NR_SCHEMA_SECTION, .flags = NR_SCHEMA_OPTIONAL,
     NR_SCHEMA_AT(struct nr_service_conf, bulkhead), .section = &nr_bulkhead_schema,
     .doc = "So many calls at once, and a queue before them. Without it: 1024 and 8192."},
    {.name = "eject", .type = NR_SCHEMA_SECTION, .flags = NR_SCHEMA_OPTIONAL,
     NR_SCHEMA_AT(struct nr_service_conf, eject), .section = &nr_eject_schema,
     .doc = "Leave out instances that answer worse than the others (passive health)."},
    {.name = "fallback", .type = NR_SCHEMA_SECTION, .flags = NR_SCHEMA_OPTIONAL,
     NR_SCHEMA_AT(struct nr_service_conf, fallback), .section = &nr_fallback_schema,
     .doc = "What is answered when no attempt brings an answer."},
    {.name = "faults", .type = NR_SCHEMA_SECTIONS,
     NR_SCHEMA_MANY(struct nr_service_conf, faults, fault_count), .section = &nr_fault_schema,
     .doc = "Faults on purpose in attempts on this service, whatever route they come from."},
    {.name = "pool", .type = NR_SCHEMA_SECTION, NR_SCHEMA_AT(struct nr_service_conf, pool),
     .section = &pool_schema, .doc = "Connections kept open to the instances."},
};

static void check_service(void *section, struct nr_arena *arena, struct nr_diags *diags)
{
    const struct nr_service_conf *service = section;

    (void)arena;
    for (uint32_t i = 0; i < service->fault_count; i++)
        if (service->faults[i].where != NR_FAULT_IN_ATTEMPT)
            nr_section_error(&service->faults[i].at, "at", diags,
                             "leave it out, or write the fault at a route",
                             "a service's faults strike its attempts; 'at: request' is for routes");
}

static const struct nr_schema service_schema = {
    .title = "Service", NR_SCHEMA_FIELDS(service_fields, struct nr_service_conf),
    .name_offset = offsetof(struct nr_service_conf, name), .check = check_service,
};

static void unknown_service(const struct nr_services_conf *services, const struct nr_section *at,
                            const char *field, struct nr_span name, struct nr_diags *diags)
{
    struct nr_suggest suggest;

    nr_suggest_init(&suggest, name);
    for (uint32_t k = 0; k < services->count; k++)
        nr_suggest_try(&suggest, services->items[k].name);
    nr_section_error(at, field, diags, NULL, "unknown service '%s'%s", name.ptr,
                     nr_suggest_text(&suggest, diags->arena));
}

static void check_calls(const struct nr_services_conf *services,
                        const struct nr_service_conf *service, struct nr_diags *diags)
{
    for (uint32_t j = 0; j < service->call_count; j++)
        if (nr_service_conf_find(services, service->calls[j]) == NULL)
            unknown_service(services, &service->at, "calls", service->calls[j], diags);
}

/* Who stands in for whom, from this service on: no circle, and no more than a record can tell. */
static void check_stand_ins(const struct nr_services_conf *services,
                            const struct nr_service_conf *service, struct nr_diags *diags)
{
    const struct nr_service_conf *at = service;
    struct nr_span chain = service->name, name = nr_service_stand_in(service);

    if (name.len > 0 && nr_service_conf_find(services, name) == NULL) {
        unknown_service(services, &service->fallback->at, "service", name, diags);
        return;
    }
    for (uint32_t hop = 1; name.len > 0; hop++) {
        at = nr_service_conf_find(services, name);
        if (at == NULL)
            return; /* said at the service that names it */
        chain = nr_arena_printf(diags->arena, "%.*s -> %s", (int)chain.len, chain.ptr, name.ptr);
        if (at == service || hop > NR_RECORD_HOPS) {
            nr_section_error(&service->fallback->at, "service", diags,
                             at == service ? "end it with an answer: fallback: { status: 200, … }"
                                           : "at most two stand in, one after the other",
                             at == service ? "services stand in for each other in a circle: %.*s"
                                           : "too many services stand in one after the other: %.*s",
                             (int)chain.len, chain.ptr);
            return;
        }
        name = nr_service_stand_in(at);
    }
}

static void check_services(const struct nr_config *config, struct nr_diags *diags)
{
    const struct nr_services_conf *services = nr_services_conf_of(config);

    for (uint32_t i = 0; i < services->count; i++) {
        check_calls(services, &services->items[i], diags);
        check_stand_ins(services, &services->items[i], diags);
    }
}

const struct nr_schema_root nr_services_conf_root = {
    .field = {.name = "services", .type = NR_SCHEMA_MAP,
              NR_SCHEMA_MANY(struct nr_services_conf, items, count),
              .section = &service_schema, .doc = "The services that naru calls, by name."},
    .bytes = sizeof(struct nr_services_conf), .check = check_services,
};

static const struct nr_schema_field dns_fields[] = {
    {.name = "servers", .type = NR_SCHEMA_LIST, .element = NR_SCHEMA_ADDRESS, .default_port = 53,
     NR_SCHEMA_MANY(struct nr_dns_conf, servers, server_count),
     .doc = "Name servers; without them those of the system."},
};

static void check_dns(void *section, struct nr_arena *arena, struct nr_diags *diags)
{
    const struct nr_dns_conf *dns = section;

    for (uint32_t i = 0; i < dns->server_count; i++)
        if (dns->servers[i].kind != NR_CONFIG_ADDRESS_IP)
            nr_section_error(&dns->at, "servers", diags, NULL,
                             "a name server is given by its IP address, got '%s'",
                             dns->servers[i].text.ptr);
}

static const struct nr_schema dns_schema = {
    .title = "Names", NR_SCHEMA_FIELDS(dns_fields, struct nr_dns_conf), .check = check_dns,
};

const struct nr_schema_root nr_dns_conf_root = {
    .field = {.name = "dns", .type = NR_SCHEMA_SECTION, .section = &dns_schema,
              .doc = "How names of instances are resolved."},
    .bytes = sizeof(struct nr_dns_conf),
};

/* clang-format on */

const struct nr_services_conf *nr_services_conf_of(const struct nr_config *config)
{
    return nr_config_get(config, &nr_services_conf_root);
}

const struct nr_instances_conf *nr_instances_file_of(const struct nr_config *config)
{
    return nr_config_get(config, &nr_instances_file_root);
}

const struct nr_dns_conf *nr_dns_conf_of(const struct nr_config *config)
{
    return nr_config_get(config, &nr_dns_conf_root);
}

const struct nr_service_conf *nr_service_conf_find(const struct nr_services_conf *services,
                                                   struct nr_span name)
{
    for (uint32_t i = 0; i < services->count; i++)
        if (nr_span_eq(services->items[i].name, name))
            return &services->items[i];
    return NULL;
}
