/* SPDX-License-Identifier: Apache-2.0 */
/* service_conf.h - the sections `services` and `dns`, as loaded.
 *
 * Immutable, owned by the snapshot (config/config.h): every pointer and span here lives as long as
 * the reference to it. Spans are NUL-terminated. */
#ifndef NR_SERVICE_SERVICE_CONF_H
#define NR_SERVICE_SERVICE_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "config/check.h"
#include "config/config.h"
#include "config/schema.h"
#include "service/balance_conf.h"
#include "service/breaker_conf.h"
#include "service/bulkhead_conf.h"
#include "service/eject_conf.h"
#include "service/fallback_conf.h"
#include "service/fault_conf.h"
#include "service/retry_conf.h"

struct nr_instance_conf {
    struct nr_section at;
    struct nr_config_address address; /* a name, an IP or a Unix path */
    uint32_t weight;
    struct nr_span zone; /* empty: none */
    uint32_t priority;   /* 0 serves first */
};

/* How instances are told who the client is. */
enum nr_proxy_out {
    NR_PROXY_OUT_OFF,
    NR_PROXY_OUT_V1,
    NR_PROXY_OUT_V2,
};

enum nr_health_initial {
    NR_HEALTH_INITIAL_UP,
    NR_HEALTH_INITIAL_DOWN,
};

/* Active health checks; absent means that instances count as healthy until calls fail. */
struct nr_health_conf {
    struct nr_section at;
    struct nr_span path;     /* HTTP: ask for this; empty with tcp */
    struct nr_span method;   /* empty counts as GET */
    struct nr_span host;     /* empty: the instance's address */
    struct nr_span *headers; /* "Name: value": see nr_health_header */
    uint32_t header_count;
    bool tcp;               /* a connection is proof enough … */
    struct nr_span send;    /* … or this is sent first */
    struct nr_span receive; /* … and this must come */
    uint64_t interval_ns;
    uint64_t unhealthy_interval_ns; /* while it is down; 0: interval_ns */
    uint64_t timeout_ns;
    uint32_t rise; /* successes in a row until healthy */
    uint32_t fall; /* failures in a row until unhealthy */
    struct nr_status_range *expect;
    uint32_t expect_count; /* at least 1 */
    struct nr_span expect_body;
    uint32_t initial; /* enum nr_health_initial */
    bool reuse;       /* of one connection for all checks */
    double jitter;    /* share of the interval by which checks are spread, 0 to 1 */
};

struct nr_timeouts_conf {
    struct nr_section at;
    uint64_t connect_ns;
    uint64_t
        attempt_ns; /* one attempt until the head of its answer; 0: what is left of the deadline */
    uint64_t
        first_byte_ns; /* from the request's end to the answer's first byte; 0: as the attempt */
    uint64_t idle_ns;  /* without a byte while the answer's body is due */
    uint64_t write_ns; /* without progress while sending */
};

struct nr_pool_conf {
    struct nr_section at;
    uint32_t max_idle;        /* kept per instance and worker */
    uint32_t max_connections; /* per instance and worker */
    uint32_t max_waiting;     /* … and requests that wait for one of them */
    uint32_t prewarm;         /* opened before they are needed, per instance and worker */
    uint64_t idle_timeout_ns;
    uint64_t max_lifetime_ns; /* then closed after its exchange; UINT64_MAX: none */
};

/* Where the instances come from: exactly one of list, dns and file. */
struct nr_instances_conf {
    struct nr_section at;
    struct nr_instance_conf *list;
    uint32_t count;
    struct nr_config_address dns; /* a name with a port; kind NONE: not by DNS */
    uint64_t refresh_ns;          /* 0: by the TTL */
    struct nr_span file;          /* as naru opens it; empty: none */
};

struct nr_service_conf {
    struct nr_section at;
    struct nr_span name;
    union {
        struct nr_instances_conf found;
        struct { /* the same, for who only wants the list; empty with dns and file */
            struct nr_section instances_at;
            struct nr_instance_conf *instances;
            uint32_t instance_count;
        };
    };
    uint64_t own_timeout_ns;      /* what the service says of itself; 0: not declared */
    uint64_t own_idle_timeout_ns; /* likewise */
    struct nr_rate capacity;      /* of one instance; per_ns 0: not declared */
    struct nr_span *calls;        /* other services, by name; they exist: checked at load */
    uint32_t call_count;
    struct nr_balance_conf balance;
    uint32_t proxy_protocol;       /* enum nr_proxy_out; only for TCP listeners */
    struct nr_health_conf *health; /* NULL: none */
    struct nr_timeouts_conf timeouts;
    struct nr_retry_conf retry;
    struct nr_service_breaker_conf *breaker;   /* NULL: none */
    struct nr_service_bulkhead_conf *bulkhead; /* NULL: the safety net */
    struct nr_service_eject_conf *eject;       /* NULL: none */
    struct nr_service_fallback_conf *fallback; /* NULL: none */
    struct nr_fault_conf *faults;              /* all of them strike attempts */
    uint32_t fault_count;
    struct nr_pool_conf pool;
};

/* Do the instances come and go by themselves? */
static inline bool nr_instances_are_found(const struct nr_instances_conf *conf)
{
    return conf->dns.kind != NR_CONFIG_ADDRESS_NONE || conf->file.len > 0;
}

/* Which service stands in when this one has no answer; empty: none. */
static inline struct nr_span nr_service_stand_in(const struct nr_service_conf *conf)
{
    return conf->fallback != NULL ? conf->fallback->service : (struct nr_span){NULL, 0};
}

struct nr_services_conf {
    struct nr_service_conf *items; /* in the order written */
    uint32_t count;
};

struct nr_dns_conf {
    struct nr_section at;
    struct nr_config_address *servers; /* none: as the system has it */
    uint32_t server_count;
};

/* Take one of health.headers apart; false if it has no colon. */
bool nr_health_header(struct nr_span text, struct nr_span *ret_name, struct nr_span *ret_value);

extern const struct nr_schema nr_health_schema;
extern const struct nr_schema_root nr_services_conf_root;
extern const struct nr_schema_root nr_dns_conf_root;
extern const struct nr_schema_root nr_instances_file_root; /* what a file of instances holds */
extern const struct nr_check_rules nr_service_check_rules;

/* Never NULL. */
const struct nr_services_conf *nr_services_conf_of(const struct nr_config *config);
const struct nr_dns_conf *nr_dns_conf_of(const struct nr_config *config);

/* What such a file has given. */
const struct nr_instances_conf *nr_instances_file_of(const struct nr_config *config);

/* By name; NULL if there is none. */
const struct nr_service_conf *nr_service_conf_find(const struct nr_services_conf *services,
                                                   struct nr_span name);

#endif
