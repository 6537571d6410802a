/* SPDX-License-Identifier: Apache-2.0 */
/* gateway_conf.h - the sections `gateway` and `callers`, as loaded.
 *
 * Immutable, owned by the snapshot (config/config.h): every pointer and span here lives as long as
 * the reference to it. Spans are NUL-terminated. */
#ifndef NR_GATEWAY_GATEWAY_CONF_H
#define NR_GATEWAY_GATEWAY_CONF_H

#include <stdint.h>

#include "config/check.h"
#include "config/config.h"
#include "config/schema.h"
#include "gateway/limit_conf.h"
#include "gateway/route_conf.h"

enum nr_half_close {
    NR_HALF_CLOSE_CANCEL, /* FIN before the answer cancels the request, as nginx does */
    NR_HALF_CLOSE_ALLOW,  /* the client has only finished sending */
};

enum nr_reload {
    NR_RELOAD_ON_SIGNAL, /* SIGHUP, or the admin API */
    NR_RELOAD_ON_CHANGE, /* when a file of the configuration changes, too */
};

#define NR_CONF_NONE UINT64_MAX /* the word `none` where a size or a time could stand */

/* What one listener bears from its clients. */
struct nr_listen_limits_conf {
    struct nr_section at;
    uint32_t max_connections;
    uint32_t max_client_connections; /* 0: auto */
    uint32_t max_fields;
    uint64_t max_head_bytes;
    uint64_t max_body_bytes;    /* NR_CONF_NONE: unlimited */
    uint64_t header_timeout_ns; /* from the first byte of a head (before the first: from accept) to
                                   its end */
    uint64_t idle_timeout_ns;   /* between requests */
    uint64_t
        body_timeout_ns; /* without a byte of a request body, or without taking one of the answer */
    struct nr_rate min_rate;          /* of a request body, applied after body_timeout */
    struct nr_rate_limit_conf *rates; /* for all requests that come here */
    uint32_t rate_count;
};

/* A listener that passes bytes instead of requests. */
struct nr_tcp_listen_conf {
    struct nr_section at;
    struct nr_span service;   /* exists: checked at load */
    uint64_t idle_timeout_ns; /* without a byte either way; NR_CONF_NONE: none */
};

struct nr_gateway_listen_conf {
    struct nr_section at;
    struct nr_config_address address; /* IP, ANY or UNIX; never a name */
    uint32_t unix_mode;               /* permission bits of the socket file */
    uint32_t half_close;              /* enum nr_half_close */
    uint64_t deadline_ns;             /* 0: as the routes say */
    uint32_t proxy_protocol;          /* enum nr_proxy_in_mode */
    struct nr_tcp_listen_conf *tcp;   /* NULL: HTTP */
    struct nr_listen_limits_conf limits;
    struct nr_cidr *trusted_proxies; /* whose X-Forwarded-* and PROXY headers are believed */
    uint32_t trusted_proxy_count;
};

struct nr_gateway_conf {
    struct nr_section at;
    uint32_t workers; /* 0: as many as cores */
    struct nr_gateway_listen_conf *listen;
    uint32_t listen_count;
    uint64_t deadline_ns; /* NR_CONF_NONE: none */
    uint64_t drain_timeout_ns;
    uint32_t reload;                  /* enum nr_reload */
    struct nr_rate_limit_conf *rates; /* `limits`: for all requests that have a route */
    uint32_t rate_count;
    struct nr_shedding_conf *shedding; /* NULL: nothing is shed */
    struct nr_route_conf *routes;
    uint32_t route_count;
    struct nr_api_version_conf api_version;
};

/* What is known of the clients, for `naru check`. */
struct nr_callers_conf {
    struct nr_section at;
    uint64_t timeout_ns; /* 0: not declared */
    uint32_t attempts;   /* of each request, at least 1 */
};

extern const struct nr_schema_root nr_gateway_conf_root;
extern const struct nr_schema_root nr_callers_conf_root;
extern const struct nr_check_rules nr_gateway_check_rules;
extern const struct nr_check_rules nr_guard_check_rules;    /* limits and faults */
extern const struct nr_check_rules nr_gateway_shadow_rules; /* shadow.c: who takes whose requests */

/* Never NULL: without the section its defaults stand (no listener, no route). */
const struct nr_gateway_conf *nr_gateway_conf_of(const struct nr_config *config);
const struct nr_callers_conf *nr_callers_conf_of(const struct nr_config *config);

#endif
