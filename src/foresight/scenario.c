/* SPDX-License-Identifier: Apache-2.0 */
#include "foresight/scenario.h"

#include <string.h>

#include "codec/head.h"
#include "config/units.h"

/* clang-format off */

/* ---- traffic ---- */

static const struct nr_schema_field point_fields[] = {
    {.name = "at", .type = NR_SCHEMA_DURATION, .flags = NR_SCHEMA_REQUIRED,
     NR_SCHEMA_AT(struct nr_point_conf, at_ns), .max = "1d",
     .doc = "Time since the start."},
    {.name = "rate", .type = NR_SCHEMA_RATE, .flags = NR_SCHEMA_REQUIRED,
     NR_SCHEMA_AT(struct nr_point_conf, rate),
     .doc = "Requests at that time; between two points it changes evenly."},
};

static const struct nr_schema point_schema = {
    .title = "Point of the curve", NR_SCHEMA_FIELDS(point_fields, struct nr_point_conf),
};

static const struct nr_schema_field client_retry_fields[] = {
    {.name = "attempts", .type = NR_SCHEMA_U32, NR_SCHEMA_AT(struct nr_client_retry_conf, attempts),
     .value = "1", .min = "1", .max = "100",
     .doc = "How often a client asks in all, when it gets a 5xx, a 429, none in time, or half an answer."},
    {.name = "backoff", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_client_retry_conf, backoff_ns),
     .value = "100ms", .max = "1h",
     .doc = "Pause before the second request."},
    {.name = "factor", .type = NR_SCHEMA_RATIO, NR_SCHEMA_AT(struct nr_client_retry_conf, factor),
     .value = "2", .min = "1", .max = "100",
     .doc = "By what the pause grows each time."},
    {.name = "jitter", .type = NR_SCHEMA_BOOL, NR_SCHEMA_AT(struct nr_client_retry_conf, jitter),
     .value = "true",
     .doc = "Pause a random part of it, so that clients do not return all at once."},
};

static const struct nr_schema client_retry_schema = {
    .title = "Retries of clients", NR_SCHEMA_FIELDS(client_retry_fields, struct nr_client_retry_conf),
    .shorthand = "attempts",
};

static const struct nr_schema_word for_ever[] = {
    {"none", UINT64_MAX, "they wait"},
    {NULL, 0, NULL},
};

static const struct nr_schema_field clients_fields[] = {
    {.name = "addresses", .type = NR_SCHEMA_U32, NR_SCHEMA_AT(struct nr_clients_conf, addresses),
     .value = "4", .min = "1", .max = "1000",
     .doc = "IP addresses that the requests come from, in turn."},
    {.name = "timeout", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_clients_conf, timeout_ns),
     .value = "none", .min = "1ms", .max = "1h", .words = for_ever,
     .doc = "A client that has waited so long leaves."},
    {.name = "retry", .type = NR_SCHEMA_SECTION, NR_SCHEMA_AT(struct nr_clients_conf, retry),
     .section = &client_retry_schema,
     .doc = "What clients do that got no good answer."},
};

static const struct nr_schema clients_schema = {
    .title = "Clients", NR_SCHEMA_FIELDS(clients_fields, struct nr_clients_conf),
};

static const struct nr_schema_word methods[] = {
    {"GET", NR_METHOD_GET, NULL}, {"HEAD", NR_METHOD_HEAD, NULL},
    {"POST", NR_METHOD_POST, NULL}, {"PUT", NR_METHOD_PUT, NULL},
    {"DELETE", NR_METHOD_DELETE, NULL}, {"OPTIONS", NR_METHOD_OPTIONS, NULL},
    {"PATCH", NR_METHOD_PATCH, NULL},
    {NULL, 0, NULL},
};

static const struct nr_schema_field request_field_fields[] = {
    {.name = "name", .type = NR_SCHEMA_STRING, .flags = NR_SCHEMA_REQUIRED,
     NR_SCHEMA_AT(struct nr_request_field_conf, name), .min = "1", .max = "256",
     .doc = "Name of the field."},
    {.name = "value", .type = NR_SCHEMA_STRING, .flags = NR_SCHEMA_REQUIRED,
     NR_SCHEMA_AT(struct nr_request_field_conf, value), .max = "4096",
     .doc = "Its value."},
};

static const struct nr_schema request_field_schema = {
    .title = "Field of a request", NR_SCHEMA_FIELDS(request_field_fields, struct nr_request_field_conf),
};

static const struct nr_schema_field request_fields[] = {
    {.name = "method", .type = NR_SCHEMA_ENUM, NR_SCHEMA_AT(struct nr_request_conf, method),
     .value = "GET", .words = methods, .doc = "Its method."},
    {.name = "path", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_request_conf, path),
     .value = "/", .min = "1", .max = "4096", .doc = "Its path, with a query if need be."},
    {.name = "host", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_request_conf, host),
     .value = "simulated.example", .min = "1", .max = "255", .doc = "Its Host."},
    {.name = "weight", .type = NR_SCHEMA_U32, NR_SCHEMA_AT(struct nr_request_conf, weight),
     .value = "1", .min = "1", .max = "1000000", .doc = "How often it comes, against the others."},
    {.name = "body", .type = NR_SCHEMA_SIZE, NR_SCHEMA_AT(struct nr_request_conf, body_bytes),
     .value = "0", .max = "64MiB", .doc = "Size of its body."},
    {.name = "headers", .type = NR_SCHEMA_SECTIONS,
     NR_SCHEMA_MANY(struct nr_request_conf, headers, header_count),
     .section = &request_field_schema, .doc = "Further fields."},
};

static void check_request(void *section, struct nr_arena *arena, struct nr_diags *diags)
{
    const struct nr_request_conf *request = section;

    if (request->path.ptr[0] != '/')
        nr_section_error(&request->at, "path", diags, NULL, "a path starts with '/', got '%s'",
                         request->path.ptr);
}

static const struct nr_schema request_schema = {
    .title = "Kind of request", NR_SCHEMA_FIELDS(request_fields, struct nr_request_conf),
    .shorthand = "path", .check = check_request,
};

static const struct nr_schema_word shapes[] = {
    {"steady", NR_SHAPE_STEADY, "the same all the time"},
    {"sale", NR_SHAPE_SALE, "calm for a fifth of the time, `peak` times as much within seconds, then less and less"},
    {NULL, 0, NULL},
};

static const struct nr_schema_field traffic_fields[] = {
    {.name = "rate", .type = NR_SCHEMA_RATE, NR_SCHEMA_AT(struct nr_traffic_conf, rate),
     .value = "100/s", .doc = "Requests, in calm times."},
    {.name = "shape", .type = NR_SCHEMA_ENUM, NR_SCHEMA_AT(struct nr_traffic_conf, shape),
     .value = "steady", .words = shapes, .doc = "How traffic goes."},
    {.name = "peak", .type = NR_SCHEMA_RATIO, NR_SCHEMA_AT(struct nr_traffic_conf, peak),
     .value = "10", .min = "1", .max = "1000", .doc = "How many times `rate` a sale brings."},
    {.name = "curve", .type = NR_SCHEMA_SECTIONS,
     NR_SCHEMA_MANY(struct nr_traffic_conf, curve, curve_count), .section = &point_schema,
     .doc = "Points of a curve, instead of rate and shape."},
    {.name = "even", .type = NR_SCHEMA_BOOL, NR_SCHEMA_AT(struct nr_traffic_conf, even),
     .value = "false",
     .doc = "Requests at equal distances; else they come by chance, as people do (Poisson)."},
    {.name = "clients", .type = NR_SCHEMA_SECTION, NR_SCHEMA_AT(struct nr_traffic_conf, clients),
     .section = &clients_schema, .doc = "How clients behave. New ones come however slow the answers are."},
    {.name = "requests", .type = NR_SCHEMA_SECTIONS,
     NR_SCHEMA_MANY(struct nr_traffic_conf, requests, request_count), .section = &request_schema,
     .doc = "What is asked for; without it GET /."},
};

static void check_traffic(void *section, struct nr_arena *arena, struct nr_diags *diags)
{
    const struct nr_traffic_conf *traffic = section;

    for (uint32_t i = 1; i < traffic->curve_count; i++)
        if (traffic->curve[i].at_ns <= traffic->curve[i - 1].at_ns)
            nr_section_error(&traffic->curve[i].at, "at", diags, NULL,
                             "the points of a curve stand in the order of their times");
    if (traffic->curve_count > 0 &&
        (nr_section_has(&traffic->at, "rate") || nr_section_has(&traffic->at, "shape")))
        nr_section_error(&traffic->at, "curve", diags, NULL,
                         "'curve' stands instead of 'rate' and 'shape'");
}

static const struct nr_schema traffic_schema = {
    .title = "Traffic", NR_SCHEMA_FIELDS(traffic_fields, struct nr_traffic_conf),
    .check = check_traffic,
};

/* ---- services ---- */

static const struct nr_schema_field percentile_fields[] = {
    {.name = "share", .type = NR_SCHEMA_RATIO, .flags = NR_SCHEMA_REQUIRED,
     NR_SCHEMA_AT(struct nr_percentile_conf, share), .max = "100%",
     .doc = "This share of requests …"},
    {.name = "within", .type = NR_SCHEMA_DURATION, .flags = NR_SCHEMA_REQUIRED,
     NR_SCHEMA_AT(struct nr_percentile_conf, within_ns), .max = "1h",
     .doc = "… takes at most so long."},
};

static const struct nr_schema percentile_schema = {
    .title = "Percentile", NR_SCHEMA_FIELDS(percentile_fields, struct nr_percentile_conf),
};

static const struct nr_schema_field latency_fields[] = {
    {.name = "fixed", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_latency_conf, fixed_ns),
     .max = "1h", .doc = "Always the same."},
    {.name = "min", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_latency_conf, min_ns),
     .max = "1h", .doc = "Between min and max, evenly."},
    {.name = "max", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_latency_conf, max_ns),
     .min = "1ns", .max = "1h", .doc = "See min."},
    {.name = "mean", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_latency_conf, mean_ns),
     .min = "1ns", .max = "1h", .doc = "Exponential, as a queueing textbook has it."},
    {.name = "p50", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_latency_conf, p50_ns),
     .min = "1us", .max = "1h", .doc = "Lognormal, as most services are: half are faster …"},
    {.name = "p99", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_latency_conf, p99_ns),
     .min = "1us", .max = "1h", .doc = "… and one in a hundred is slower."},
    {.name = "percentiles", .type = NR_SCHEMA_SECTIONS,
     NR_SCHEMA_MANY(struct nr_latency_conf, percentiles, percentile_count),
     .section = &percentile_schema, .doc = "As measured; between two points evenly."},
};

static void check_percentiles(const struct nr_latency_conf *latency, struct nr_diags *diags)
{
    for (uint32_t i = 1; i < latency->percentile_count; i++)
        if (latency->percentiles[i].share <= latency->percentiles[i - 1].share ||
            latency->percentiles[i].within_ns < latency->percentiles[i - 1].within_ns)
            nr_section_error(&latency->percentiles[i].at, NULL, diags, NULL,
                             "percentiles grow from one to the next");
}

static void check_latency(void *section, struct nr_arena *arena, struct nr_diags *diags)
{
    const struct nr_latency_conf *latency = section;
    int ways = nr_section_has(&latency->at, "fixed") + (latency->max_ns > 0) +
               (latency->mean_ns > 0) + (latency->p50_ns > 0 || latency->p99_ns > 0) +
               (latency->percentile_count > 0);

    if (latency->at.node == NULL || latency->at.node->kind != NR_NODE_MAPPING)
        return; /* not written, or a lone duration */
    if (ways != 1)
        nr_section_error(&latency->at, NULL, diags, "latency: { p50: 20ms, p99: 80ms }",
                         "a latency is one of fixed, min and max, mean, p50 and p99, percentiles");
    else if (latency->min_ns > latency->max_ns)
        nr_section_error(&latency->at, "min", diags, NULL, "'min' must not be longer than 'max'");
    else if ((latency->p50_ns > 0) != (latency->p99_ns > 0) || latency->p50_ns > latency->p99_ns)
        nr_section_error(&latency->at, NULL, diags, NULL,
                         "'p50' and 'p99' stand together, the longer one last");
    check_percentiles(latency, diags);
}

static const struct nr_schema latency_schema = {
    .title = "Latency", NR_SCHEMA_FIELDS(latency_fields, struct nr_latency_conf),
    .shorthand = "fixed", .check = check_latency,
};

static const struct nr_schema_field model_instance_fields[] = {
    {.name = "latency", .type = NR_SCHEMA_SECTION, .flags = NR_SCHEMA_OPTIONAL,
     NR_SCHEMA_AT(struct nr_model_instance_conf, latency), .section = &latency_schema,
     .doc = "Its own latency."},
    {.name = "capacity", .type = NR_SCHEMA_U32, NR_SCHEMA_AT(struct nr_model_instance_conf, capacity),
     .min = "1", .max = "100000", .doc = "Its own capacity."},
    {.name = "errors", .type = NR_SCHEMA_RATIO, NR_SCHEMA_AT(struct nr_model_instance_conf, errors),
     .max = "100%", .doc = "Its own share of errors."},
};

static const struct nr_schema model_instance_schema = {
    .title = "Model of an instance",
    .doc = "One instance that differs, by its number in the configuration, from 0. What is not "
           "written is as in its service.",
    NR_SCHEMA_FIELDS(model_instance_fields, struct nr_model_instance_conf),
    .name_offset = offsetof(struct nr_model_instance_conf, name),
};

static const struct nr_schema_field model_fields[] = {
    {.name = "latency", .type = NR_SCHEMA_SECTION, NR_SCHEMA_AT(struct nr_model_conf, latency),
     .section = &latency_schema, .doc = "How long an instance works on a request."},
    {.name = "capacity", .type = NR_SCHEMA_U32, NR_SCHEMA_AT(struct nr_model_conf, capacity),
     .value = "0", .max = "100000",
     .doc = "Requests that one instance works on at once (threads, database connections); 0: any number."},
    {.name = "queue", .type = NR_SCHEMA_U32, NR_SCHEMA_AT(struct nr_model_conf, queue),
     .value = "1000000", .max = "1000000",
     .doc = "Requests that wait in an instance for their turn, first come first served; beyond, it answers 503."},
    {.name = "errors", .type = NR_SCHEMA_RATIO, NR_SCHEMA_AT(struct nr_model_conf, errors),
     .value = "0", .max = "100%", .doc = "Share of requests that it answers with a 500."},
    {.name = "notices", .type = NR_SCHEMA_BOOL, NR_SCHEMA_AT(struct nr_model_conf, notices),
     .value = "false",
     .doc = "It stops working on a request when the caller has gone. Most services do not."},
    {.name = "answer", .type = NR_SCHEMA_SIZE, NR_SCHEMA_AT(struct nr_model_conf, answer_bytes),
     .value = "512", .max = "64MiB", .doc = "Size of an answer's body."},
    {.name = "found", .type = NR_SCHEMA_U32, NR_SCHEMA_AT(struct nr_model_conf, found),
     .value = "2", .min = "1", .max = "128",
     .doc = "How many instances there are, when the configuration finds them by DNS."},
    {.name = "instances", .type = NR_SCHEMA_MAP,
     NR_SCHEMA_MANY(struct nr_model_conf, instances, instance_count),
     .section = &model_instance_schema, .doc = "Instances that differ."},
};

static const struct nr_schema model_schema = {
    .title = "Model of a service", NR_SCHEMA_FIELDS(model_fields, struct nr_model_conf),
    .name_offset = offsetof(struct nr_model_conf, name),
};

/* ---- what goes wrong ---- */

static const struct nr_schema_word failures[] = {
    {"refuse", NR_FAILURE_REFUSE, "its process is dead"},
    {"blackhole", NR_FAILURE_BLACKHOLE, "its host is silent"},
    {"reset", NR_FAILURE_RESET, "it breaks every connection on which a request comes"},
    {"slow", NR_FAILURE_SLOW, "everything takes `factor` times as long"},
    {"status", NR_FAILURE_STATUS, "it answers `share` of the requests with `status`, at once"},
    {NULL, 0, NULL},
};

static const struct nr_schema_word to_the_end[] = {
    {"ever", UINT64_MAX, "to the end"},
    {NULL, 0, NULL},
};

static const struct nr_schema_field failure_fields[] = {
    {.name = "at", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_failure_conf, at_ns),
     .value = "0s", .max = "1d", .doc = "When it begins."},
    {.name = "for", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_failure_conf, for_ns),
     .value = "ever", .min = "1ms", .max = "1d", .words = to_the_end, .doc = "How long it lasts."},
    {.name = "instance", .type = NR_SCHEMA_STRING, .flags = NR_SCHEMA_REQUIRED,
     NR_SCHEMA_AT(struct nr_failure_conf, instance), .min = "1", .max = "255",
     .doc = "`payment/0` is the first instance of payment, `payment` all of them."},
    {.name = "fail", .type = NR_SCHEMA_ENUM, NR_SCHEMA_AT(struct nr_failure_conf, fail),
     .value = "refuse", .words = failures, .doc = "How it fails."},
    {.name = "factor", .type = NR_SCHEMA_RATIO, NR_SCHEMA_AT(struct nr_failure_conf, factor),
     .value = "10", .max = "100000", .doc = "With slow: how many times as long."},
    {.name = "status", .type = NR_SCHEMA_U32, NR_SCHEMA_AT(struct nr_failure_conf, status),
     .value = "503", .min = "200", .max = "599", .doc = "With status: which."},
    {.name = "share", .type = NR_SCHEMA_RATIO, NR_SCHEMA_AT(struct nr_failure_conf, share),
     .value = "100%", .max = "100%", .doc = "With status and reset: of how many requests."},
};

static void check_failure(void *section, struct nr_arena *arena, struct nr_diags *diags)
{
    const struct nr_failure_conf *failure = section;
    struct nr_span service;
    uint32_t instance;

    if (!nr_scenario_target(failure->instance, &service, &instance))
        nr_section_error(&failure->at, "instance", diags, NULL,
                         "an instance is written as service/number, got '%s'",
                         failure->instance.ptr);
}

static const struct nr_schema failure_schema = {
    .title = "Failure", NR_SCHEMA_FIELDS(failure_fields, struct nr_failure_conf),
    .check = check_failure,
};

static const struct nr_schema_field link_fields[] = {
    {.name = "to", .type = NR_SCHEMA_STRING, .flags = NR_SCHEMA_REQUIRED,
     NR_SCHEMA_AT(struct nr_link_conf, to), .min = "1", .max = "255",
     .doc = "From the gateway to `payment/0`, to all of `payment`, or to the `clients`."},
    {.name = "at", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_link_conf, at_ns),
     .value = "0s", .max = "1d", .doc = "When it begins."},
    {.name = "for", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_link_conf, for_ns),
     .value = "ever", .min = "1ms", .max = "1d", .words = to_the_end,
     .doc = "How long it lasts; then the link is as good as the others."},
    {.name = "latency", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_link_conf, latency_ns),
     .value = "100us", .max = "1m", .doc = "One way, without jitter."},
    {.name = "jitter", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_link_conf, jitter_ns),
     .value = "100us", .max = "1m", .doc = "What may come on top, at random."},
    {.name = "loss", .type = NR_SCHEMA_RATIO, NR_SCHEMA_AT(struct nr_link_conf, loss),
     .value = "0", .max = "90%", .doc = "Share of segments that are lost, and sent again after 200 ms."},
    {.name = "rate", .type = NR_SCHEMA_BYTE_RATE, NR_SCHEMA_AT(struct nr_link_conf, rate),
     .doc = "Bytes that pass; without it any number."},
};

static const struct nr_schema link_schema = {
    .title = "Link", NR_SCHEMA_FIELDS(link_fields, struct nr_link_conf),
};

/* ---- the roots ---- */

struct text_root { struct nr_span text; };
struct time_root { uint64_t ns; };
struct number_root { uint64_t number; };
struct word_root { uint32_t word; };
struct services_root { struct nr_model_conf *items; uint32_t count; };
struct failures_root { struct nr_failure_conf *items; uint32_t count; };
struct links_root { struct nr_link_conf *items; uint32_t count; };

static const struct nr_schema_root about_root = {
    .field = {.name = "about", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct text_root, text),
              .value = "", .max = "4096", .doc = "What it shows, for people."},
    .bytes = sizeof(struct text_root),
};

static const struct nr_schema_root naru_root = {
    .field = {.name = "config", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct text_root, text),
              .value = "", .max = "4096",
              .doc = "The configuration that it is played with, relative to this file, unless -c names another; without both naru.yaml."},
    .bytes = sizeof(struct text_root),
};

static const struct nr_schema_root duration_root = {
    .field = {.name = "duration", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct time_root, ns),
              .value = "1m", .min = "1s", .max = "1d", .doc = "How long requests come."},
    .bytes = sizeof(struct time_root),
};

static const struct nr_schema_root seed_root = {
    .field = {.name = "seed", .type = NR_SCHEMA_U64, NR_SCHEMA_AT(struct number_root, number),
              .value = "1", .doc = "The same seed gives the same bytes."},
    .bytes = sizeof(struct number_root),
};

static const struct nr_schema_word transports[] = {
    {"wire", NR_TRANSPORT_WIRE, "HTTP/1.1 over simulated connections"},
    {"model", NR_TRANSPORT_MODEL,
     "exchanges as a whole, without connections, parser and bytes: several times as fast"},
    {NULL, 0, NULL},
};

static const struct nr_schema_root transport_root = {
    .field = {.name = "transport", .type = NR_SCHEMA_ENUM, NR_SCHEMA_AT(struct word_root, word),
              .value = "wire", .words = transports,
              .doc = "What carries requests and answers; --transport goes before it."},
    .bytes = sizeof(struct word_root),
};

static const struct nr_schema_root traffic_root = {
    .field = {.name = "traffic", .type = NR_SCHEMA_SECTION, .section = &traffic_schema,
              .doc = "What comes in."},
    .bytes = sizeof(struct nr_traffic_conf),
};

static const struct nr_schema_root services_root = {
    .field = {.name = "services", .type = NR_SCHEMA_MAP,
              NR_SCHEMA_MANY(struct services_root, items, count), .section = &model_schema,
              .doc = "How the services behave, by their names in the configuration."},
    .bytes = sizeof(struct services_root),
};

static const struct nr_schema_root failures_root = {
    .field = {.name = "failures", .type = NR_SCHEMA_SECTIONS,
              NR_SCHEMA_MANY(struct failures_root, items, count), .section = &failure_schema,
              .doc = "What fails, and when."},
    .bytes = sizeof(struct failures_root),
};

static const struct nr_schema_root links_root = {
    .field = {.name = "links", .type = NR_SCHEMA_SECTIONS,
              NR_SCHEMA_MANY(struct links_root, items, count), .section = &link_schema,
              .doc = "Links that are not like the others (0.1 to 0.2 ms, nothing lost)."},
    .bytes = sizeof(struct links_root),
};

/* clang-format on */

const struct nr_schema_root *const nr_scenario_roots[NR_SCENARIO_ROOTS] = {
    &about_root,   &naru_root,     &duration_root, &seed_root,  &transport_root,
    &traffic_root, &services_root, &failures_root, &links_root,
};

const char *nr_scenario_transport_name(uint32_t transport)
{
    return transport <= NR_TRANSPORT_MODEL ? transports[transport].name : NULL;
}

struct nr_scenario nr_scenario_of(const struct nr_config *config)
{
    const struct text_root *about = nr_config_get(config, &about_root);
    const struct text_root *naru = nr_config_get(config, &naru_root);
    const struct time_root *duration = nr_config_get(config, &duration_root);
    const struct number_root *seed = nr_config_get(config, &seed_root);
    const struct word_root *transport = nr_config_get(config, &transport_root);
    const struct services_root *services = nr_config_get(config, &services_root);
    const struct failures_root *failed = nr_config_get(config, &failures_root);
    const struct links_root *links = nr_config_get(config, &links_root);

    return (struct nr_scenario){
        .config = config,
        .about = about->text,
        .naru = naru->text,
        .duration_ns = duration->ns,
        .seed = seed->number,
        .transport = transport->word,
        .traffic = nr_config_get(config, &traffic_root),
        .services = services->items,
        .service_count = services->count,
        .failures = failed->items,
        .failure_count = failed->count,
        .links = links->items,
        .link_count = links->count,
    };
}

/* ---- arithmetic ---- */

static double per_s(struct nr_rate rate)
{
    return rate.per_ns == 0 ? 0 : (double)rate.count * 1e9 / (double)rate.per_ns;
}

static double between(double from, double to, double share)
{
    return from + (to - from) * share;
}

static double on_curve(const struct nr_traffic_conf *traffic, uint64_t at_ns)
{
    const struct nr_point_conf *points = traffic->curve;
    uint32_t next = 0;

    while (next < traffic->curve_count && points[next].at_ns <= at_ns)
        next++;
    if (next == 0)
        return per_s(points[0].rate);
    if (next == traffic->curve_count)
        return per_s(points[next - 1].rate);
    return between(per_s(points[next - 1].rate), per_s(points[next].rate),
                   (double)(at_ns - points[next - 1].at_ns) /
                       (double)(points[next].at_ns - points[next - 1].at_ns));
}

/* A fifth calm, a rise within a fiftieth, the peak to the half, down to a third of it at the end.
 */
static double in_sale(double calm, double peak, double passed)
{
    if (passed < 0.20)
        return calm;
    if (passed < 0.22)
        return between(calm, calm * peak, (passed - 0.20) / 0.02);
    if (passed < 0.50)
        return calm * peak;
    return between(calm * peak, calm * (peak > 3 ? peak / 3 : 1), (passed - 0.50) / 0.50);
}

double nr_scenario_rate(const struct nr_scenario *scenario, uint64_t at_ns)
{
    const struct nr_traffic_conf *traffic = scenario->traffic;

    if (traffic->curve_count > 0)
        return on_curve(traffic, at_ns);
    if (traffic->shape == NR_SHAPE_SALE)
        return in_sale(per_s(traffic->rate), traffic->peak,
                       (double)at_ns / (double)scenario->duration_ns);
    return per_s(traffic->rate);
}

bool nr_scenario_target(struct nr_span text, struct nr_span *ret_service, uint32_t *ret_instance)
{
    const char *slash = memchr(text.ptr, '/', text.len);
    size_t len = slash == NULL ? text.len : (size_t)(slash - text.ptr);
    uint64_t number = UINT32_MAX;

    if (len == 0)
        return false;
    if (slash != NULL &&
        (!nr_units_integer((struct nr_span){slash + 1, text.len - len - 1}, 10, &number) ||
         number >= UINT32_MAX))
        return false;
    *ret_service = (struct nr_span){text.ptr, len};
    *ret_instance = (uint32_t)number;
    return true;
}
