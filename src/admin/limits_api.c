/* SPDX-License-Identifier: Apache-2.0 */
/* limits_api.c - the rate limits: what they say, what they have decided, how many keys they know;
 * and other rates than the configured ones, for all workers at once. What is set holds until it is
 * taken back, or until a reload says something else of the very same. */
#include "admin/pages.h"
#include "base/compiler.h"
#include "config/text.h"
#include "config/units.h"

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
    {.name = "rate", .type = NR_ADMIN_STRING, .doc = "As the configuration would say it: 200/min."},
    {.name = "by_hand", .type = NR_ADMIN_BOOL, .doc = "That is not what the configuration says."},
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
    {.name = "by_hand", .type = NR_ADMIN_BOOL, .doc = "Some of it is not what the configuration says."},
    {.name = "observe_only", .type = NR_ADMIN_BOOL, .doc = "It refuses nobody."},
    {.name = "allowed", .type = NR_ADMIN_INTEGER, .doc = "Requests."},
    {.name = "refused", .type = NR_ADMIN_INTEGER, .doc = "Requests."},
    {.name = "would_refuse", .type = NR_ADMIN_INTEGER, .doc = "Requests that observe_only has let pass."},
    {.name = "charged", .type = NR_ADMIN_INTEGER, .doc = "Requests beyond the rate that passed for a charge."},
    {.name = "waited", .type = NR_ADMIN_INTEGER, .doc = "Of the allowed: held until their turn."},
    {.name = "keys", .type = NR_ADMIN_INTEGER, .doc = "Keys that it remembers."},
    {.name = "evicted", .type = NR_ADMIN_INTEGER, .doc = "Keys that lost what was remembered of them to a new one."},
};

const struct nr_admin_shape nr_admin_limit_shape = {
    "Limit", "A rate limit.", limit_fields, NR_COUNT(limit_fields)};

static const struct nr_admin_field limits_fields[] = {
    {.name = "limits", .type = NR_ADMIN_LIST, .shape = &nr_admin_limit_shape,
     .doc = "Those of the section `limits`, then those of the gateway, listeners and routes."},
};

const struct nr_admin_shape nr_admin_limits_shape = {
    "Limits", "All rate limits.", limits_fields, NR_COUNT(limits_fields)};

static const struct nr_admin_field change_fields[] = {
    {.name = "rate", .type = NR_ADMIN_STRING, .optional = true, .nullable = true,
     .doc = "From now on, as the configuration would say it: \"200/min\"; null: as configured."},
    {.name = "burst", .type = NR_ADMIN_INTEGER, .optional = true, .max = UINT32_MAX - 1,
     .doc = "Beside `rate`; without it it follows from the rate."},
    {.name = "tier", .type = NR_ADMIN_STRING, .optional = true,
     .doc = "Whose `rate` it is; without: the limit's own."},
    {.name = "observe_only", .type = NR_ADMIN_BOOL, .optional = true, .nullable = true,
     .doc = "true: refuse nobody, only count; null: as configured."},
};

const struct nr_admin_shape nr_admin_limit_change_shape = {
    "LimitChange", "What is left out stays as it is.", change_fields, NR_COUNT(change_fields)};

/* clang-format on */

static struct nr_json *tiers_json(struct nr_admin_call *call, const struct nr_gateway_limit *limit)
{
    struct nr_json *list = nr_json_array();

    for (uint32_t i = 0; i < limit->tier_count; i++) {
        struct nr_rate rate = {limit->tiers[i].limit, limit->tiers[i].period_ns};
        struct nr_json *json = nr_json_object();

        if (i > 0)
            nr_json_set(json, "tier", nr_json_string(limit->conf->tiers[i - 1].name));
        nr_json_set(json, "rate", nr_json_string(nr_units_rate_text(rate, false, call->x->arena)));
        nr_json_set(json, "by_hand", nr_json_bool((limit->by_hand >> i & 1) != 0));
        nr_json_set(json, "limit", nr_json_integer(limit->tiers[i].limit));
        nr_json_set(json, "period_ms", nr_json_real((double)limit->tiers[i].period_ns / 1e6));
        nr_json_set(json, "burst", nr_json_integer(limit->tiers[i].burst));
        nr_json_push(list, json);
    }
    return list;
}

static struct nr_json *limit_json(struct nr_admin_call *call, const struct nr_gateway_limit *limit)
{
    const struct nr_limiter_counts *counts = &limit->counts;
    struct nr_json *json = nr_json_object(), *key = nr_json_array();

    for (uint32_t i = 0; i < limit->conf->key_count; i++)
        nr_json_push(key, nr_json_string(limit->conf->key[i]));
    nr_json_set(json, "name", nr_json_string(limit->name));
    nr_json_set(json, "algorithm", nr_json_string(nr_span_of(algorithms[limit->conf->algorithm])));
    nr_json_set(json, "key", key);
    nr_json_set(json, "tiers", tiers_json(call, limit));
    nr_json_set(json, "by_hand", nr_json_bool(limit->by_hand != 0 || limit->observe_by_hand));
    nr_json_set(json, "observe_only", nr_json_bool(limit->observe_only));
    nr_json_set(json, "allowed", nr_json_integer((int64_t)counts->allowed));
    nr_json_set(json, "refused", nr_json_integer((int64_t)counts->refused));
    nr_json_set(json, "would_refuse", nr_json_integer((int64_t)counts->would_refuse));
    nr_json_set(json, "charged", nr_json_integer((int64_t)counts->charged));
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
        nr_json_push(list, limit_json(call, &limit));
    }
    nr_json_set(json, "limits", list);
    nr_admin_json(call, 200, json);
}

/* ---- one of them ---- */

static struct nr_span limit_name(const void *ctx, uint32_t i)
{
    struct nr_gateway_limit limit;

    nr_gateway_limit(ctx, i, &limit);
    return limit.name;
}

bool nr_admin_find_limit(struct nr_admin_call *call, struct nr_gateway_limit *ret_limit,
                         uint32_t *ret_number)
{
    const struct nr_gateway *gateway = call->admin->setup.sources.gateway;
    uint32_t count = gateway == NULL ? 0 : nr_gateway_limit_count(gateway);
    struct nr_span name = nr_admin_path_param(call, 0);

    for (uint32_t i = 0; i < count; i++) {
        nr_gateway_limit(gateway, i, ret_limit);
        *ret_number = i;
        if (nr_span_eq(ret_limit->name, name))
            return true;
    }
    nr_admin_unknown(call, "limit", "unknown_limit", name, count, limit_name, gateway);
    return false;
}

void nr_admin_limit(struct nr_admin_call *call)
{
    struct nr_gateway_limit limit;
    uint32_t number;

    if (nr_admin_find_limit(call, &limit, &number))
        nr_admin_json(call, 200, limit_json(call, &limit));
}

/* ---- changing ---- */

static bool find_tier(struct nr_admin_call *call, const struct nr_gateway_limit *limit,
                      const struct nr_json *tier, uint32_t *ret_tier)
{
    struct nr_suggest suggest;

    *ret_tier = 0;
    if (tier == NULL)
        return true;
    nr_suggest_init(&suggest, nr_json_text(tier));
    for (uint32_t i = 1; i < limit->tier_count; i++) {
        *ret_tier = i;
        if (nr_span_eq(limit->conf->tiers[i - 1].name, nr_json_text(tier)))
            return true;
        nr_suggest_try(&suggest, limit->conf->tiers[i - 1].name);
    }
    nr_admin_problem(call, 422, "unknown_tier", "limit '%s' has no tier %s%s", limit->name.ptr,
                     nr_text_quote(nr_json_text(tier), call->x->arena),
                     nr_suggest_text(&suggest, call->x->arena));
    return false;
}

static bool change_rate(struct nr_admin_call *call, const struct nr_gateway_limit *limit,
                        const struct nr_json *body, uint32_t tier)
{
    const struct nr_json *text = nr_json_get(body, "rate"), *burst = nr_json_get(body, "burst");
    struct nr_gateway *gateway = call->admin->setup.gateway;
    struct nr_err err = {0};
    struct nr_rate rate;
    enum nr_code code;

    if (nr_json_kind(text) == NR_JSON_NULL) {
        code = nr_gateway_limit_restore(gateway, limit->name, tier, &err);
    } else if (nr_units_rate(nr_json_text(text), false, &rate)) {
        code = nr_gateway_limit_set_rate(
            gateway, limit->name, tier, rate,
            burst != NULL ? (uint32_t)nr_json_integer_value(burst) : NR_LIMIT_AUTO, &err);
    } else {
        nr_admin_problem(call, 400, "bad_request",
                         "field 'rate' must be a number in a time, such as 200/min or 50/10s, or "
                         "null; got %s",
                         nr_text_quote(nr_json_text(text), call->x->arena));
        return false;
    }
    if (code == NR_OK)
        return true;
    nr_admin_problem(call, 422, "impossible_rate", "%s", err.text);
    return false;
}

static bool change(struct nr_admin_call *call, const struct nr_gateway_limit *limit,
                   const struct nr_json *body)
{
    const struct nr_json *rate = nr_json_get(body, "rate"), *tier = nr_json_get(body, "tier");
    const struct nr_json *observe = nr_json_get(body, "observe_only");
    struct nr_err err = {0};
    uint32_t number;

    if (rate == NULL && (tier != NULL || nr_json_get(body, "burst") != NULL)) {
        nr_admin_problem(call, 400, "bad_request", "fields 'burst' and 'tier' go with 'rate'");
        return false;
    }
    if (!find_tier(call, limit, tier, &number) ||
        (rate != NULL && !change_rate(call, limit, body, number)))
        return false;
    if (observe == NULL)
        return true;
    return nr_gateway_limit_observe(call->admin->setup.gateway, limit->name, nr_admin_said(observe),
                                    &err) == NR_OK;
}

void nr_admin_change_limit(struct nr_admin_call *call)
{
    struct nr_json *body = nr_admin_body_json(call);
    struct nr_gateway_limit limit;
    uint32_t number;

    if (body == NULL)
        return;
    nr_admin_tell_body(call, body);
    if (nr_admin_find_limit(call, &limit, &number) && change(call, &limit, body))
        nr_admin_limit(call);
    nr_json_free(body);
}
