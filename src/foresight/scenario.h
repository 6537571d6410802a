/* SPDX-License-Identifier: Apache-2.0 */
/* scenario.h - what `naru simulate` plays: traffic, models of the services, what fails and when.
 *
 * A scenario is a YAML file of its own beside a configuration, read by the same loader with the
 * same diagnostics. Immutable once loaded; everything here lives as long as the nr_config that it
 * was loaded into. Spans are NUL-terminated. */
#ifndef NR_FORESIGHT_SCENARIO_H
#define NR_FORESIGHT_SCENARIO_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "config/schema.h"

/* ---- traffic ---- */

struct nr_point_conf {
    struct nr_section at;
    uint64_t at_ns;
    struct nr_rate rate;
};

enum nr_shape {
    NR_SHAPE_STEADY,
    NR_SHAPE_SALE, /* calm, `peak` times as much within seconds, a long tail */
};

struct nr_client_retry_conf {
    struct nr_section at;
    uint32_t attempts; /* in all; 1: none */
    uint64_t backoff_ns;
    double factor; /* of the back-off, from one to the next */
    bool jitter;   /* a random share of the back-off */
};

struct nr_clients_conf {
    struct nr_section at;
    uint32_t addresses;  /* IP addresses that they come from */
    uint64_t timeout_ns; /* then they leave; UINT64_MAX: they wait for ever */
    struct nr_client_retry_conf retry;
};

enum { NR_SCENARIO_FIELDS_MAX = 100 }; /* of a request, as the gateway takes them */

struct nr_request_field_conf {
    struct nr_section at;
    struct nr_span name;
    struct nr_span value;
};

struct nr_request_conf {
    struct nr_section at;
    uint32_t method; /* enum nr_method */
    struct nr_span path;
    struct nr_span host;
    uint32_t weight;
    uint64_t body_bytes;
    struct nr_request_field_conf *headers;
    uint32_t header_count;
};

struct nr_traffic_conf {
    struct nr_section at;
    struct nr_rate rate;
    uint32_t shape; /* enum nr_shape */
    double peak;
    struct nr_point_conf *curve; /* instead of rate and shape, when there is one */
    uint32_t curve_count;
    bool even; /* arrivals at equal distances, not at random */
    struct nr_clients_conf clients;
    struct nr_request_conf *requests;
    uint32_t request_count; /* 0: GET / */
};

/* ---- services ---- */

struct nr_percentile_conf {
    struct nr_section at;
    double share; /* of all requests … */
    uint64_t within_ns;
};

/* How long an instance works on a request; exactly one way is written, or none: 0. */
struct nr_latency_conf {
    struct nr_section at;
    uint64_t fixed_ns;
    uint64_t min_ns, max_ns; /* uniform */
    uint64_t mean_ns;        /* exponential */
    uint64_t p50_ns, p99_ns; /* lognormal */
    struct nr_percentile_conf *percentiles;
    uint32_t percentile_count;
};

/* One instance that differs; what is not written is as in the service. */
struct nr_model_instance_conf {
    struct nr_section at;
    struct nr_span name; /* its number */
    struct nr_latency_conf *latency;
    uint32_t capacity;
    double errors;
};

struct nr_model_conf {
    struct nr_section at;
    struct nr_span name;
    struct nr_latency_conf latency;
    uint32_t capacity; /* requests worked on at once per instance; 0: any number */
    uint32_t queue;    /* that wait for it; beyond: 503 */
    double errors;     /* share answered with a 500 */
    bool notices;      /* stops working on what nobody waits for any more */
    uint64_t answer_bytes;
    uint32_t found; /* instances behind a name in DNS or a file */
    struct nr_model_instance_conf *instances;
    uint32_t instance_count;
};

/* ---- what goes wrong ---- */

enum nr_failure {
    NR_FAILURE_REFUSE,    /* the process is dead: connections are refused */
    NR_FAILURE_BLACKHOLE, /* the host is silent: no answer, no refusal */
    NR_FAILURE_RESET,     /* every request is answered with a RST */
    NR_FAILURE_SLOW,      /* everything takes `factor` times as long */
    NR_FAILURE_STATUS,    /* a share of the requests is answered with `status` */
};

struct nr_failure_conf {
    struct nr_section at;
    uint64_t at_ns;
    uint64_t for_ns;         /* UINT64_MAX: to the end */
    struct nr_span instance; // "payment/0", or "payment" for all of them
    uint32_t fail;           /* enum nr_failure */
    double factor;
    uint32_t status;
    double share;
};

struct nr_link_conf {
    struct nr_section at;
    struct nr_span to; // "payment/0", "payment", or "clients"
    uint64_t at_ns;
    uint64_t for_ns;
    uint64_t latency_ns; /* one way */
    uint64_t jitter_ns;  /* on top, at random */
    double loss;
    struct nr_rate rate; /* bytes; count 0: any */
};

/* What carries exchanges between clients, gateway and instances. */
enum nr_scenario_transport {
    NR_TRANSPORT_WIRE,  /* HTTP/1.1 over simulated connections */
    NR_TRANSPORT_MODEL, /* see model_transport.h */
};

/* "wire", "model"; NULL beyond them. */
const char *nr_scenario_transport_name(uint32_t transport);

struct nr_scenario {
    const struct nr_config *config; /* the loaded file */
    struct nr_span about;
    struct nr_span naru; /* the configuration that it is meant for; empty: naru.yaml */
    uint64_t duration_ns;
    uint64_t seed;
    uint32_t transport; /* enum nr_scenario_transport */
    const struct nr_traffic_conf *traffic;
    const struct nr_model_conf *services;
    uint32_t service_count;
    const struct nr_failure_conf *failures;
    uint32_t failure_count;
    const struct nr_link_conf *links;
    uint32_t link_count;
};

enum { NR_SCENARIO_ROOTS = 9 };
extern const struct nr_schema_root *const nr_scenario_roots[NR_SCENARIO_ROOTS];

/* The parts of a configuration loaded with nr_scenario_roots; borrows it. */
struct nr_scenario nr_scenario_of(const struct nr_config *config);

/* ---- the arithmetic of traffic ---- */

/* Requests per second at this time of the scenario. */
double nr_scenario_rate(const struct nr_scenario *scenario, uint64_t at_ns);

/* "payment/2" → the name and 2; UINT32_MAX when there is no number. False: neither. */
bool nr_scenario_target(struct nr_span text, struct nr_span *ret_service, uint32_t *ret_instance);

#endif
