/* SPDX-License-Identifier: Apache-2.0 */
/* limits.h - the rate limits of one configuration, ready to be asked: which limiter (limiter.h),
 * what it counts by, and which lists of them hold for a route or a listener. Internal to
 * src/gateway.
 *
 * Part of a snapshot: immutable once published, but for the limiters, which are taken over from
 * the configuration before. */
#ifndef NR_GATEWAY_LIMITS_H
#define NR_GATEWAY_LIMITS_H

#include "base/arena.h"
#include "base/intern.h"
#include "codec/head.h"
#include "gateway/gateway_conf.h"
#include "gateway/limiter.h"
#include "gateway/meter.h"
#include "policy/shed.h"

struct nr_request;
struct nr_peer;
struct nr_head;

struct nr_limit_key_part {
    enum nr_limit_by part;
    enum nr_field_id field; /* of a header */
    struct nr_span name;
};

/* What answers say of a tier, as far as it is always the same. */
struct nr_limit_words {
    struct nr_span limit;  /* X-RateLimit-Limit */
    struct nr_span policy; /* RateLimit-Policy */
};

struct nr_limit_rule {
    const struct nr_rate_limit_conf *conf;
    struct nr_span name;   /* tells it apart from all others of its configuration */
    struct nr_span quoted; /* … as answers say it */
    struct nr_limiter *limiter;
    struct nr_meter *meter;            /* NULL: none */
    const struct nr_limit_conf *tiers; /* tier 0 is the limit itself */
    /* The same at the levels of shedding above calm; NULL: it does not tighten. */
    const struct nr_limit_conf *tight[NR_SHED_NORMAL];
    const struct nr_limit_words *words; /* by tier */
    uint8_t tier_count;
    uint64_t charges;                      /* bit per tier: what is beyond its rate is charged */
    const struct nr_limit_key_part *parts; /* 0 parts: one counter for all */
    uint32_t part_count;
    struct nr_limit_key_part tier_part; /* if there are tiers */
    uint32_t id;                        /* in records; set when it is published */
};

/* Does it only observe? By hand or as configured. */
static inline bool nr_limit_observes(const struct nr_limit_rule *rule)
{
    enum nr_said said = nr_limiter_observe_said(rule->limiter);

    return nr_unlikely(said != NR_SAID_NOTHING) ? said == NR_SAID_YES : rule->conf->observe_only;
}

/* One rule at one place. */
struct nr_limit_bind {
    const struct nr_limit_rule *rule;
    uint32_t cost;
};

struct nr_limit_list {
    const struct nr_limit_bind *items;
    uint32_t count;
};

struct nr_limits {
    struct nr_arena arena;
    struct nr_limit_rule *rules;
    uint32_t rule_count;
    struct nr_limit_list *routes;    /* per route: its own and the gateway's */
    struct nr_limit_list *listeners; /* per listener */
    bool by_listener;                /* some listener has any */
    uint32_t orders;                 /* limiters made so far, in all configurations */
};

/* before may be NULL. The configuration must outlive it. */
struct nr_limits *nr_limits_new(const struct nr_config *config, const struct nr_limits *before);
void nr_limits_free(struct nr_limits *limits); /* NULL is fine */

/* Give ids to the rules. */
void nr_limits_publish(struct nr_limits *limits, struct nr_intern *names);

/* It serves from now on: where the file says something else of a limit's rates or its observe_only
 * than `before` did, that counts again, whatever was set by hand. */
void nr_limits_adopt(struct nr_limits *limits, const struct nr_limits *before);

const struct nr_limit_rule *nr_limits_find(const struct nr_limits *limits, struct nr_span name);

/* ---- limit_key.c ---- */

enum nr_limit_keyed {
    NR_LIMIT_KEYED,
    NR_LIMIT_NOT_HERE,    /* a part is missing, and so the limit does not apply */
    NR_LIMIT_KEY_MISSING, /* a part is missing, and so the request is refused */
};

/* A request whose keys are taken; what several limits ask for is found once. */
struct nr_limit_asker {
    const struct nr_request *request;
    const struct nr_peer *peer;
    struct nr_addr client;
    bool client_known;
};

enum nr_limit_keyed nr_limit_key(struct nr_limit_asker *asker, const struct nr_limit_rule *rule,
                                 const uint64_t secret[2], struct nr_hash128 *ret_key);

/* The same key for people: its parts with a blank between, at most `room` bytes, not empty. Only if
 * nr_limit_key has found it. */
struct nr_span nr_limit_key_name(struct nr_limit_asker *asker, const struct nr_limit_rule *rule,
                                 char *to, size_t room);

/* Which of its tiers the request is in; 0 unless it says so and may. */
uint8_t nr_limit_tier_told(const struct nr_limit_asker *asker, const struct nr_limit_rule *rule);

static inline uint8_t nr_limit_tier(const struct nr_limit_asker *asker,
                                    const struct nr_limit_rule *rule)
{
    return nr_likely(rule->tier_count == 1) ? 0 : nr_limit_tier_told(asker, rule);
}

/* ---- limit_filter.c ---- */

/* What an answer shall tell of limits; in the request's arena. */
struct nr_limit_notice {
    struct nr_span name; /* quoted */
    struct nr_limit_words words;
    struct nr_limit_verdict verdict;
};

struct nr_limit_words nr_limit_words(struct nr_arena *arena, struct nr_span quoted,
                                     const struct nr_limit_conf *conf);

enum nr_limit_outcome {
    NR_LIMIT_PASS,
    NR_LIMIT_HOLD,     /* for *ret_wait_ns */
    NR_LIMIT_ANSWERED, /* refused */
};

/* The route is known: find the key of its first limit and ask memory for it, while there is other
 * work to do. A request with one limit waits for little else. */
void nr_limit_aim(struct nr_request *request, const struct nr_peer *peer,
                  struct nr_limit_list route);

/* Ask all limits of the route and its listener. */
enum nr_limit_outcome nr_limit_filter(struct nr_request *request, const struct nr_peer *peer,
                                      struct nr_limit_list route, struct nr_limit_list listener,
                                      uint64_t *ret_wait_ns);

/* Put what request->told says into an answer. */
void nr_limit_answer(struct nr_request *request, struct nr_head *head);

#endif
