/* SPDX-License-Identifier: Apache-2.0 */
/* limits_api.c - the rate limits: what they say, what they have decided, how many keys they know.
 */
#include "admin/pages.h"
#include "base/compiler.h"

static const char *const algorithms[] = {[NR_LIMIT_TOKEN_BUCKET] = "token_bucket",
                                         [NR_LIMIT_LEAKY_BUCKET] = "leaky_bucket",
                                         [NR_LIMIT_FIXED_WINDOW] = "fixed_window",
                                         [NR_LIMIT_SLIDING_WINDOW] = "sliding_window",
                                         [NR_LIMIT_SLIDING_LOG] = "sliding_log",
                                         [NR_LIMIT_GCRA] = "gcra",
                                         NULL};

/* clang-format off */

static const struct nr_admin_field tier_fields[] = {
    {.name = "tier", .type = NR_ADMIN_STRING, .optional = true, .doc = "Without: the limit itself."},
    {.name = "limit", .type = NR_ADMIN_INTEGER, .doc = "Units in a period."},
    {.name = "period_ms", .type = NR_ADMIN_NUMBER, .doc = "The period."},
    {.name = "burst", .type = NR_ADMIN_INTEGER, .doc = "Of buckets and gcra; else 0."},
};

static const struct nr_admin_shape tier_shape = {
    "LimitTier", "A rate as it counts now.", tier_fields, NR_COUNT(tier_fields)};

static const struct nr_admin_field limit_fields[] = {
    {.name = "name", .type = NR_ADMIN_STRING, .doc = "As configured, or after its place."},
    {.name = "algorithm", .type = NR_ADMIN_STRING, .words = algorithms, .doc = "How it counts."},
    {.name = "key", .type = NR_ADMIN_STRINGS, .doc = "By what it counts."},
    {.name = "tiers", .type = NR_ADMIN_LIST, .shape = &tier_shape, .doc = "The limit itself first."},
    {.name = "by_hand", .type = NR_ADMIN_BOOL, .doc = "These rates are not those of the file."},
    {.name = "observe_only", .type = NR_ADMIN_BOOL, .doc = "It refuses nobody."},
    {.name = "allowed", .type = NR_ADMIN_INTEGER, .doc = "Requests."},
    {.name = "refused", .type = NR_ADMIN_INTEGER, .doc = "Requests."},
    {.name = "would_refuse", .type = NR_ADMIN_INTEGER, .doc = "Requests that observe_only has let pass."},
    {.name = "waited", .type = NR_ADMIN_INTEGER, .doc = "Of the allowed: held until their turn."},
    {.name = "keys", .type = NR_ADMIN_INTEGER, .doc = "Keys that it remembers."},
    {.name = "evicted", .type = NR_ADMIN_INTEGER, .doc = "Keys that lost what was remembered of them to a new one."},
};

static const struct nr_admin_shape limit_shape = {
    "Limit", "A rate limit.", limit_fields, NR_COUNT(limit_fields)};

static const struct nr_admin_field limits_fields[] = {
    {.name = "limits", .type = NR_ADMIN_LIST, .shape = &limit_shape,
     .doc = "Those of the section `limits`, then those of the gateway, listeners and routes."},
};

const struct nr_admin_shape nr_admin_limits_shape = {
    "Limits", "All rate limits.", limits_fields, NR_COUNT(limits_fields)};

/* clang-format on */

static struct nr_json *tiers_json(const struct nr_gateway_limit *limit)
{
    struct nr_json *list = nr_json_array();

    for (uint32_t i = 0; i < limit->tier_count; i++) {
        struct nr_json *json = nr_json_object();

        if (i > 0)
            nr_json_set(json, "tier", nr_json_string(limit->conf->tiers[i - 1].name));
        nr_json_set(json, "limit", nr_json_integer(limit->tiers[i].limit));
        nr_json_set(json, "period_ms", nr_json_real((double)limit->tiers[i].period_ns / 1e6));
        nr_json_set(json, "burst", nr_json_integer(limit->tiers[i].burst));
        nr_json_push(list, json);
    }
    return list;
}

static struct nr_json *limit_json(const struct nr_gateway_limit *limit)
{
    const struct nr_limiter_counts *counts = &limit->counts;
    struct nr_json *json = nr_json_object(), *key = nr_json_array();

    for (uint32_t i = 0; i < limit->conf->key_count; i++)
        nr_json_push(key, nr_json_string(limit->conf->key[i]));
    nr_json_set(json, "name", nr_json_string(limit->name));
    nr_json_set(json, "algorithm", nr_json_string(nr_span_of(algorithms[limit->conf->algorithm])));
    nr_json_set(json, "key", key);
    nr_json_set(json, "tiers", tiers_json(limit));
    nr_json_set(json, "by_hand", nr_json_bool(limit->by_hand));
    nr_json_set(json, "observe_only", nr_json_bool(limit->conf->observe_only));
    nr_json_set(json, "allowed", nr_json_integer((int64_t)counts->allowed));
    nr_json_set(json, "refused", nr_json_integer((int64_t)counts->refused));
    nr_json_set(json, "would_refuse", nr_json_integer((int64_t)counts->would_refuse));
    nr_json_set(json, "waited", nr_json_integer((int64_t)counts->waited));
    nr_json_set(json, "keys", nr_json_integer((int64_t)counts->keys));
    nr_json_set(json, "evicted", nr_json_integer((int64_t)counts->evicted));
    return json;
}

void nr_admin_limits(struct nr_admin_call *call)
{
    const struct nr_gateway *gateway = call->admin->setup.sources.gateway;
    uint32_t count = gateway == NULL ? 0 : nr_gateway_limit_count(gateway);
    struct nr_json *list = nr_json_array(), *json = nr_json_object();

    for (uint32_t i = 0; i < count; i++) {
        struct nr_gateway_limit limit;

        nr_gateway_limit(gateway, i, &limit);
        nr_json_push(list, limit_json(&limit));
    }
    nr_json_set(json, "limits", list);
    nr_admin_json(call, 200, json);
}
