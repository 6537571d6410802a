/* SPDX-License-Identifier: Apache-2.0 */
/* balance_conf.h - how a service picks an instance: the section `balance`, as loaded. */
#ifndef NR_SERVICE_BALANCE_CONF_H
#define NR_SERVICE_BALANCE_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "config/schema.h"

enum nr_balance {
    NR_BALANCE_ROUND_ROBIN,
    NR_BALANCE_LEAST_REQUESTS,
    NR_BALANCE_P2C,
    NR_BALANCE_RANDOM,
    NR_BALANCE_IP_HASH,
    NR_BALANCE_HASH,
    NR_BALANCE_STICKY,
    NR_BALANCES
};

/* What of a request decides where it goes. */
enum nr_balance_key {
    NR_KEY_NONE,
    NR_KEY_HEADER,
    NR_KEY_COOKIE,
    NR_KEY_QUERY,
    NR_KEY_PATH,
    NR_KEY_HOST,
    NR_KEY_CLIENT_IP,
    NR_KEY_CLIENT_NET, /* ip_hash: the first 24 bits of an IPv4 address, 64 of an IPv6 */
    NR_KEY_STICKY,     /* our own cookie */
};

enum nr_same_site {
    NR_SAME_SITE_LAX,
    NR_SAME_SITE_STRICT,
    NR_SAME_SITE_NONE,
};

struct nr_cookie_conf {
    struct nr_section at;
    struct nr_span name;
    struct nr_span path;
    struct nr_span domain; /* empty: none */
    uint64_t ttl_ns;       /* 0: until the browser closes */
    bool http_only;
    bool secure;
    uint32_t same_site;    /* enum nr_same_site */
    struct nr_span secret; /* empty: random, new with each start */
};

struct nr_balance_conf {
    struct nr_section at;
    uint32_t algorithm;      /* enum nr_balance */
    struct nr_span key_text; /* as written */
    uint32_t key;            /* enum nr_balance_key, from key_text and algorithm */
    struct nr_span key_name; /* of the header, cookie or parameter; NUL-terminated */
    uint32_t table;          /* enum nr_hash_kind */
    double bounded_load;     /* 1.25: at most 125 % of the fair share; 0: no bound */
    struct nr_cookie_conf cookie;
    uint64_t slow_start_ns;
    double panic;
    struct nr_span zone; /* ours; empty: we do not know */
    double zone_threshold;
    double overprovisioning;
};

extern const struct nr_schema nr_balance_schema;

#endif
