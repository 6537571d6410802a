/* SPDX-License-Identifier: Apache-2.0 */
/* gateway_conf.c - the tables of `gateway` and `callers`. The rules of `naru check` that concern
 * them are in gateway_check.c. */
#include "gateway/gateway_conf.h"

#include "codec/head.h"
#include "config/text.h"
#include "http/proxy_in.h"
#include "service/service_conf.h"

/* clang-format off */

static const struct nr_schema_word none_word[] = {
    {"none", NR_CONF_NONE, "no limit"},
    {NULL, 0, NULL},
};

static const struct nr_schema_word auto_client_connections[] = {
    {"auto", 0, "half of max_connections, at least 1024"},
    {NULL, 0, NULL},
};

static const struct nr_schema_field limits_fields[] = {
    {.name = "max_connections", .type = NR_SCHEMA_U32,
     NR_SCHEMA_AT(struct nr_listen_limits_conf, max_connections),
     .value = "65536", .min = "1", .max = "4194304",
     .doc = "Connections open at once; further ones wait in the system's queue."},
    {.name = "max_client_connections", .type = NR_SCHEMA_U32,
     NR_SCHEMA_AT(struct nr_listen_limits_conf, max_client_connections),
     .value = "auto", .min = "1", .max = "4194304", .words = auto_client_connections,
     .doc = "Those of them that one IPv4 address, or one IPv6 network of 64 bits, may have; further ones are "
            "closed. trusted_proxies have no such bound."},
    {.name = "max_head", .type = NR_SCHEMA_SIZE,
     NR_SCHEMA_AT(struct nr_listen_limits_conf, max_head_bytes),
     .value = "16KiB", .min = "1KiB", .max = "64KiB",
     .doc = "Request line and header fields together."},
    {.name = "max_fields", .type = NR_SCHEMA_U32,
     NR_SCHEMA_AT(struct nr_listen_limits_conf, max_fields),
     .value = "100", .min = "1", .max = "1000",
     .doc = "Header fields of a request."},
    {.name = "max_body", .type = NR_SCHEMA_SIZE,
     NR_SCHEMA_AT(struct nr_listen_limits_conf, max_body_bytes),
     .value = "none", .words = none_word,
     .doc = "Body of a request. Bodies are streamed, so even unlimited ones cost no memory."},
    {.name = "header_timeout", .type = NR_SCHEMA_DURATION,
     NR_SCHEMA_AT(struct nr_listen_limits_conf, header_timeout_ns),
     .value = "10s", .min = "10ms", .max = "10m",
     .doc = "From the first byte of a head to its end; for the first of a connection, from its opening."},
    {.name = "idle_timeout", .type = NR_SCHEMA_DURATION,
     NR_SCHEMA_AT(struct nr_listen_limits_conf, idle_timeout_ns),
     .value = "60s", .min = "10ms", .max = "24h",
     .doc = "Without a further request on an open connection."},
    {.name = "body_timeout", .type = NR_SCHEMA_DURATION,
     NR_SCHEMA_AT(struct nr_listen_limits_conf, body_timeout_ns),
     .value = "30s", .min = "10ms", .max = "1h",
     .doc = "Without a byte while a body is sent or taken by the client."},
    {.name = "min_rate", .type = NR_SCHEMA_BYTE_RATE,
     NR_SCHEMA_AT(struct nr_listen_limits_conf, min_rate),
     .value = "240B/s",
     .doc = "A client whose body comes more slowly than this, once body_timeout has passed, is cut off."},
    {.name = "rates", .type = NR_SCHEMA_SECTIONS,
     NR_SCHEMA_MANY(struct nr_listen_limits_conf, rates, rate_count),
     .section = &nr_limit_entry_schema,
     .doc = "Rate limits for all requests that come here; see docs/limits.md."},
};

static const struct nr_schema limits_schema = {
    .title = "Listener limits",
    .doc = "What one listener bears from its clients. All of them are on by default.",
    NR_SCHEMA_FIELDS(limits_fields, struct nr_listen_limits_conf),
};

static const struct nr_schema_word half_close_words[] = {
    {"cancel", NR_HALF_CLOSE_CANCEL, "the client has gone, its request is cancelled"},
    {"allow", NR_HALF_CLOSE_ALLOW, "the client has only finished sending"},
    {NULL, 0, NULL},
};

static const struct nr_schema_word proxy_protocol_words[] = {
    {"off", NR_PROXY_IN_OFF, "what looks like a PROXY header is no request and refused"},
    {"accept", NR_PROXY_IN_ACCEPT, "a trusted proxy may begin with one"},
    {"require", NR_PROXY_IN_REQUIRE, "every connection begins with one, from a trusted proxy"},
    {NULL, 0, NULL},
};

static const struct nr_schema_field tcp_fields[] = {
    {.name = "service", .type = NR_SCHEMA_STRING, .flags = NR_SCHEMA_REQUIRED,
     NR_SCHEMA_AT(struct nr_tcp_listen_conf, service), .min = "1", .max = "64",
     .doc = "The service whose instances get the connections."},
    {.name = "idle_timeout", .type = NR_SCHEMA_DURATION,
     NR_SCHEMA_AT(struct nr_tcp_listen_conf, idle_timeout_ns),
     .value = "1h", .min = "10ms", .max = "30d", .words = none_word,
     .doc = "Without a byte either way; then both sides are reset."},
};

static const struct nr_schema tcp_schema = {
    .title = "TCP",
    .doc = "Each connection is passed to one instance, byte by byte, whatever it speaks. Of the "
           "limits, max_connections and max_client_connections hold, and header_timeout for a PROXY header.",
    NR_SCHEMA_FIELDS(tcp_fields, struct nr_tcp_listen_conf),
    .shorthand = "service",
};

static const struct nr_schema_field listen_fields[] = {
    {.name = "address", .type = NR_SCHEMA_ADDRESS, .flags = NR_SCHEMA_REQUIRED | NR_SCHEMA_BIND,
     NR_SCHEMA_AT(struct nr_gateway_listen_conf, address),
     .doc = "Where to listen: IP and port, or a Unix socket."},
    {.name = "mode", .type = NR_SCHEMA_OCTAL, NR_SCHEMA_AT(struct nr_gateway_listen_conf, unix_mode),
     .doc = "Permission bits of a Unix socket. Default: 0660."},
    {.name = "half_close", .type = NR_SCHEMA_ENUM, NR_SCHEMA_AT(struct nr_gateway_listen_conf, half_close),
     .value = "cancel", .words = half_close_words,
     .doc = "What it means when a client closes its side before the answer."},
    {.name = "deadline", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_gateway_listen_conf, deadline_ns),
     .min = "1ms", .max = "24h",
     .doc = "The most that any request has here; what its route and its client say may be less."},
    {.name = "trusted_proxies", .type = NR_SCHEMA_LIST, .element = NR_SCHEMA_CIDR,
     NR_SCHEMA_MANY(struct nr_gateway_listen_conf, trusted_proxies, trusted_proxy_count),
     .doc = "Networks whose X-Forwarded-* fields and PROXY headers are believed; from others they are replaced or refused."},
    {.name = "proxy_protocol", .type = NR_SCHEMA_ENUM, NR_SCHEMA_AT(struct nr_gateway_listen_conf, proxy_protocol),
     .value = "off", .words = proxy_protocol_words,
     .doc = "The client's address from a PROXY header, version 1 or 2, before the first byte."},
    {.name = "tcp", .type = NR_SCHEMA_SECTION, .flags = NR_SCHEMA_OPTIONAL,
     NR_SCHEMA_AT(struct nr_gateway_listen_conf, tcp), .section = &tcp_schema,
     .doc = "Pass bytes to a service instead of serving HTTP by the routes."},
    {.name = "limits", .type = NR_SCHEMA_SECTION, NR_SCHEMA_AT(struct nr_gateway_listen_conf, limits),
     .section = &limits_schema,
     .doc = "Sizes, times and counts."},
};

static void check_listen(void *section, struct nr_arena *arena, struct nr_diags *diags)
{
    struct nr_gateway_listen_conf *listen = section;

    if (listen->address.kind == NR_CONFIG_ADDRESS_UNIX && !nr_section_has(&listen->at, "mode"))
        listen->unix_mode = 0660;
    if (listen->address.kind == NR_CONFIG_ADDRESS_NAME)
        nr_section_error(&listen->at, "address", diags, "127.0.0.1 for localhost, 0.0.0.0 for all",
                         "a listener needs an IP address, not the name '%s'",
                         listen->address.host.ptr);
    if (listen->address.kind != NR_CONFIG_ADDRESS_UNIX && nr_section_has(&listen->at, "mode"))
        nr_section_error(&listen->at, "mode", diags, NULL, "'mode' is for Unix sockets only");
    if (listen->proxy_protocol != NR_PROXY_IN_OFF && listen->trusted_proxy_count == 0 &&
        listen->address.kind != NR_CONFIG_ADDRESS_UNIX)
        nr_section_error(&listen->at, "proxy_protocol", diags, "trusted_proxies: [10.0.0.0/8]",
                         "'proxy_protocol' needs 'trusted_proxies': whoever may send a PROXY "
                         "header chooses the client's address");
    if (listen->tcp != NULL && listen->proxy_protocol == NR_PROXY_IN_ACCEPT)
        nr_section_error(&listen->at, "proxy_protocol", diags, "proxy_protocol: require",
                         "a TCP listener cannot wait and see: a client may expect the service to "
                         "speak first");
    if (listen->tcp != NULL && listen->limits.rate_count > 0)
        nr_section_error(&listen->limits.at, "rates", diags, NULL,
                         "'rates' counts requests, and a TCP listener has none");
    if (listen->tcp != NULL && nr_section_has(&listen->at, "half_close"))
        nr_section_error(&listen->at, "half_close", diags, NULL,
                         "'half_close' is for HTTP: a TCP listener always passes it on");
    if (listen->tcp != NULL && nr_section_has(&listen->at, "deadline"))
        nr_section_error(&listen->at, "deadline", diags, "tcp: { service: db, idle_timeout: 10m }",
                         "'deadline' is for requests, and a TCP listener has none");
}

static const struct nr_schema listen_schema = {
    .title = "Listener", NR_SCHEMA_FIELDS(listen_fields, struct nr_gateway_listen_conf),
    .shorthand = "address", .check = check_listen,
};

static void check_gateway(void *section, struct nr_arena *arena, struct nr_diags *diags);

static const struct nr_schema_word auto_workers[] = {
    {"auto", 0, "one for each core"},
    {NULL, 0, NULL},
};

static const struct nr_schema_word reload_words[] = {
    {"on_signal", NR_RELOAD_ON_SIGNAL, "with SIGHUP, or by the admin API"},
    {"on_change", NR_RELOAD_ON_CHANGE, "when it or a file that it includes changes, too"},
    {NULL, 0, NULL},
};

static const struct nr_schema_field gateway_fields[] = {
    {.name = "workers", .type = NR_SCHEMA_U32, NR_SCHEMA_AT(struct nr_gateway_conf, workers),
     .value = "auto", .min = "1", .max = "256", .words = auto_workers,
     .doc = "Threads that carry requests."},
    {.name = "listen", .type = NR_SCHEMA_SECTIONS, .flags = NR_SCHEMA_REQUIRED,
     NR_SCHEMA_MANY(struct nr_gateway_conf, listen, listen_count), .section = &listen_schema,
     .doc = "Where clients connect: addresses, or mappings."},
    {.name = "deadline", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_gateway_conf, deadline_ns),
     .value = "5s", .min = "1ms", .max = "24h", .words = none_word,
     .doc = "The whole request, retries included, unless its route says otherwise."},
    {.name = "drain_timeout", .type = NR_SCHEMA_DURATION,
     NR_SCHEMA_AT(struct nr_gateway_conf, drain_timeout_ns),
     .value = "30s", .min = "0s", .max = "1h",
     .doc = "How long requests in flight may finish when naru stops, or a listener is removed."},
    {.name = "reload", .type = NR_SCHEMA_ENUM, NR_SCHEMA_AT(struct nr_gateway_conf, reload),
     .value = "on_signal", .words = reload_words,
     .doc = "When the file is loaded again while naru runs."},
    {.name = "limits", .type = NR_SCHEMA_SECTIONS,
     NR_SCHEMA_MANY(struct nr_gateway_conf, rates, rate_count), .section = &nr_limit_entry_schema,
     .doc = "Rate limits for the requests of all routes; see docs/limits.md."},
    {.name = "shedding", .type = NR_SCHEMA_SECTION, .flags = NR_SCHEMA_OPTIONAL,
     NR_SCHEMA_AT(struct nr_gateway_conf, shedding), .section = &nr_shedding_schema,
     .doc = "Refuse the least critical requests under pressure; see docs/overload.md."},
    {.name = "routes", .type = NR_SCHEMA_SECTIONS,
     NR_SCHEMA_MANY(struct nr_gateway_conf, routes, route_count), .section = &nr_route_schema,
     .doc = "Which service answers which requests."},
    {.name = "api_version", .type = NR_SCHEMA_SECTION,
     NR_SCHEMA_AT(struct nr_gateway_conf, api_version), .section = &nr_api_version_schema,
     .doc = "How requests name the version of an API."},
};

static const struct nr_schema gateway_schema = {
    .title = "Gateway", .doc = "Listeners and routes for the traffic of users.",
    NR_SCHEMA_FIELDS(gateway_fields, struct nr_gateway_conf), .check = check_gateway,
};

static const struct nr_schema_field callers_fields[] = {
    {.name = "timeout", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_callers_conf, timeout_ns),
     .min = "1ms", .max = "24h",
     .doc = "After how long the clients give up."},
    {.name = "attempts", .type = NR_SCHEMA_U32, NR_SCHEMA_AT(struct nr_callers_conf, attempts),
     .value = "1", .min = "1", .max = "100",
     .doc = "How often the clients try, all in all."},
};

static const struct nr_schema callers_schema = {
    .title = "Callers", .doc = "What is known of the clients. Only `naru check` looks at it.",
    NR_SCHEMA_FIELDS(callers_fields, struct nr_callers_conf),
};

/* clang-format on */

static void check_gateway(void *section, struct nr_arena *arena, struct nr_diags *diags)
{
    struct nr_gateway_conf *gateway = section;

    for (uint32_t i = 0; i < gateway->route_count; i++)
        if (gateway->routes[i].deadline_ns == 0)
            gateway->routes[i].deadline_ns = gateway->deadline_ns;
}

static void unknown_service(const struct nr_services_conf *services, const struct nr_section *at,
                            const char *field, struct nr_span name, struct nr_diags *diags)
{
    struct nr_suggest suggest;

    nr_suggest_init(&suggest, name);
    for (uint32_t j = 0; j < services->count; j++)
        nr_suggest_try(&suggest, services->items[j].name);
    nr_section_error(at, field, diags, NULL, "unknown service '%s'%s", name.ptr,
                     nr_suggest_text(&suggest, diags->arena));
}

/* A pooled connection carries the requests of many clients, but a PROXY header names one. */
static void check_proxy_out(const struct nr_service_conf *service, const struct nr_section *at,
                            const char *field, struct nr_diags *diags)
{
    if (service->proxy_protocol != NR_PROXY_OUT_OFF)
        nr_section_error(at, field, diags,
                         "remove it: the service finds the client in X-Forwarded-For",
                         "service '%s' has 'proxy_protocol', which is for TCP listeners: requests "
                         "of different clients share its connections",
                         service->name.ptr);
}

static void check_service_of_route(const struct nr_services_conf *services,
                                   const struct nr_route_conf *route, uint32_t index,
                                   struct nr_diags *diags)
{
    struct nr_span name = nr_route_service_name(route, index);
    const struct nr_service_conf *service = nr_service_conf_find(services, name);
    bool single = route->service.len > 0;
    const struct nr_section *at = single ? &route->at : &route->targets[index].at;
    const char *field = single ? "service" : "name";

    if (service != NULL)
        check_proxy_out(service, at, field, diags);
    else
        unknown_service(services, at, field, name, diags);
}

static void check_limits_exist(const struct nr_config *config, struct nr_diags *diags)
{
    const struct nr_gateway_conf *gateway = nr_gateway_conf_of(config);
    const struct nr_limits_conf *limits = nr_limits_conf_of(config);
    bool sheds = gateway->shedding != NULL;

    nr_limit_check_list(limits, gateway->rates, gateway->rate_count, NR_SPAN(""), sheds,
                        &gateway->at, diags);
    for (uint32_t i = 0; i < gateway->listen_count; i++) {
        const struct nr_listen_limits_conf *listen = &gateway->listen[i].limits;

        nr_limit_check_list(limits, listen->rates, listen->rate_count, NR_SPAN(""), sheds,
                            &listen->at, diags);
    }
    for (uint32_t i = 0; i < gateway->route_count; i++) {
        const struct nr_route_conf *route = &gateway->routes[i];

        nr_limit_check_list(limits, route->rates, route->rate_count, route->match.path, sheds,
                            &route->at, diags);
    }
}

static void check_services_exist(const struct nr_config *config, struct nr_diags *diags)
{
    const struct nr_gateway_conf *gateway = nr_gateway_conf_of(config);
    const struct nr_services_conf *services = nr_services_conf_of(config);

    for (uint32_t i = 0; services != NULL && i < gateway->route_count; i++)
        for (uint32_t j = 0; j < nr_route_service_count(&gateway->routes[i]); j++)
            check_service_of_route(services, &gateway->routes[i], j, diags);
    for (uint32_t i = 0; services != NULL && i < gateway->listen_count; i++) {
        const struct nr_tcp_listen_conf *tcp = gateway->listen[i].tcp;

        if (tcp != NULL && nr_service_conf_find(services, tcp->service) == NULL)
            unknown_service(services, &tcp->at, "service", tcp->service, diags);
    }
}

static void check_names(const struct nr_config *config, struct nr_diags *diags)
{
    check_services_exist(config, diags);
    check_limits_exist(config, diags);
}

const struct nr_schema_root nr_gateway_conf_root = {
    .field = {.name = "gateway",
              .type = NR_SCHEMA_SECTION,
              .section = &gateway_schema,
              .doc = "Listeners and routes."},
    .bytes = sizeof(struct nr_gateway_conf),
    .check = check_names,
};

const struct nr_schema_root nr_callers_conf_root = {
    .field = {.name = "callers",
              .type = NR_SCHEMA_SECTION,
              .section = &callers_schema,
              .doc = "What is known of the clients."},
    .bytes = sizeof(struct nr_callers_conf),
};

const struct nr_gateway_conf *nr_gateway_conf_of(const struct nr_config *config)
{
    return nr_config_get(config, &nr_gateway_conf_root);
}

const struct nr_callers_conf *nr_callers_conf_of(const struct nr_config *config)
{
    return nr_config_get(config, &nr_callers_conf_root);
}
