/* SPDX-License-Identifier: Apache-2.0 */
/* limit_conf.h - rate limits as loaded: the section `limits`, and the lists by which a route, a
 * listener or the whole gateway is put under some of them.
 *
 * An entry of such a list names a limit (`per_user`), says what a request costs there
 * (`{ use: per_user, cost: 10 }`), or is a limit of its own: a rate alone (`100/15min`, by the
 * client's address) or a mapping with the fields of the section.
 *
 * Immutable, owned by the snapshot (config/config.h). Spans are NUL-terminated. */
#ifndef NR_GATEWAY_LIMIT_CONF_H
#define NR_GATEWAY_LIMIT_CONF_H

#include <stdint.h>

#include "config/config.h"
#include "config/schema.h"
#include "policy/limit.h"

enum nr_limit_mode {
    NR_LIMIT_MODE_QUEUE,  /* a leaky bucket holds requests until their turn */
    NR_LIMIT_MODE_REJECT, /* … or only counts them */
};

/* What becomes of a request that lacks a part of the key. */
enum nr_limit_missing {
    NR_LIMIT_MISSING_IP,    /* the client's address stands for that part */
    NR_LIMIT_MISSING_ALLOW, /* the limit does not apply */
    NR_LIMIT_MISSING_DENY,  /* it is refused */
};

/* What becomes of what is beyond the rate. */
enum nr_limit_over {
    NR_LIMIT_OVER_BLOCK,
    NR_LIMIT_OVER_CHARGE, /* it passes and is counted apart: somebody will pay for it */
};

struct nr_limit_tier_conf {
    struct nr_section at;
    struct nr_span name;
    struct nr_rate rate;
    uint32_t burst; /* NR_LIMIT_AUTO: follows from rate and algorithm */
    uint32_t over;  /* enum nr_limit_over; NR_LIMIT_AUTO: as the limit */
};

#define NR_LIMIT_AUTO UINT32_MAX

struct nr_rate_limit_conf {
    struct nr_section at;
    struct nr_span name; /* of a limit in `limits`; of one of its own: written, or empty */
    struct nr_span use;  /* in lists: the name of a limit in `limits`; empty: one of its own */
    struct nr_span *key;
    uint32_t key_count;
    uint32_t algorithm; /* enum nr_limit_algorithm */
    struct nr_rate rate;
    uint32_t burst; /* NR_LIMIT_AUTO */
    uint32_t mode;  /* enum nr_limit_mode */
    uint32_t smooth_after;
    struct nr_limit_tier_conf *tiers;
    uint32_t tier_count;
    struct nr_span tier_key; /* empty: none */
    uint32_t cost;           /* NR_LIMIT_AUTO, in lists: that of the limit, or 1 */
    uint32_t keys;           /* NR_LIMIT_AUTO */
    uint32_t missing;        /* enum nr_limit_missing */
    uint32_t ipv4_prefix_bits;
    uint32_t ipv6_prefix_bits;
    uint32_t over;         /* enum nr_limit_over */
    uint32_t meter;        /* keys whose usage is kept by name; 0: none */
    double under_pressure; /* the share of all rates that is left then; 1: all */
    bool headers;
    bool observe_only;
};

struct nr_limits_conf {
    struct nr_rate_limit_conf *items;
    uint32_t count;
};

enum { NR_LIMIT_CONF_TIERS_MAX = 32, NR_LIMIT_KEY_PARTS_MAX = 8, NR_LIMIT_LIST_MAX = 8 };

extern const struct nr_schema_root nr_limits_conf_root;

/* Of the lists. */
extern const struct nr_schema nr_limit_entry_schema;

/* NULL if the section was not among those loaded. */
const struct nr_limits_conf *nr_limits_conf_of(const struct nr_config *config);
const struct nr_rate_limit_conf *nr_limit_conf_find(const struct nr_limits_conf *limits,
                                                    struct nr_span name);

/* What a key or `tier_key` is made from, as text: "ip", "header:X-User". */
enum nr_limit_by {
    NR_LIMIT_BY_GLOBAL, /* all requests together */
    NR_LIMIT_BY_IP,
    NR_LIMIT_BY_ROUTE,
    NR_LIMIT_BY_PATH,
    NR_LIMIT_BY_HOST,
    NR_LIMIT_BY_METHOD,
    NR_LIMIT_BY_HEADER,
    NR_LIMIT_BY_COOKIE,
    NR_LIMIT_BY_QUERY,
    NR_LIMIT_BY_PARAM, /* of the route's path */
};

/* *ret_name is a span of text. False if it is none of them. */
bool nr_limit_part_parse(struct nr_span text, enum nr_limit_by *ret_part, struct nr_span *ret_name);

/* The policy's configuration, tier 0 being the limit itself and i + 1 its tiers[i]. `to` has room
 * for tier_count + 1. */
void nr_limit_conf_tiers(const struct nr_rate_limit_conf *conf, struct nr_limit_conf *to);

/* One tier with another rate and burst. */
struct nr_limit_conf nr_limit_conf_tier(const struct nr_rate_limit_conf *conf, struct nr_rate rate,
                                        uint32_t burst);

/* Do they count alike? */
bool nr_limit_conf_same(const struct nr_limit_conf *a, const struct nr_limit_conf *b);

/* The same tier with this share of its rate and burst. */
struct nr_limit_conf nr_limit_conf_share(struct nr_limit_conf tier, double share);

/* Is what is beyond the rate of this tier charged? */
bool nr_limit_conf_charges(const struct nr_rate_limit_conf *conf, uint32_t tier);

/* How many keys its table is made for, `auto` resolved. */
uint32_t nr_limit_conf_keys(const struct nr_rate_limit_conf *conf);

/* Rules of one list of entries: names exist, nothing twice, parameters are the route's, somebody
 * says what pressure is. `pattern` is the path of the route, empty for a listener or the gateway.
 */
void nr_limit_check_list(const struct nr_limits_conf *limits,
                         const struct nr_rate_limit_conf *entries, uint32_t count,
                         struct nr_span pattern, bool sheds, const struct nr_section *at,
                         struct nr_diags *diags);

#endif
