/* SPDX-License-Identifier: Apache-2.0 */
/* usage_api.c - what the keys of a metered rate limit have used. */
#include <stdlib.h>
#include <string.h>

#include "admin/pages.h"
#include "base/assert.h"
#include "base/compiler.h"
#include "observe/timestamp.h"

enum { KEYS_GIVEN = 1000 };

/* clang-format off */

static const struct nr_admin_field key_fields[] = {
    {.name = "key", .type = NR_ADMIN_STRING,
     .doc = "The parts of the key with a blank between, cut at 78 bytes."},
    {.name = "tier", .type = NR_ADMIN_STRING, .optional = true, .doc = "Of the latest request."},
    {.name = "used", .type = NR_ADMIN_INTEGER, .doc = "Units within the rate."},
    {.name = "charged", .type = NR_ADMIN_INTEGER, .doc = "Units beyond it that passed for a charge."},
    {.name = "refused", .type = NR_ADMIN_INTEGER, .doc = "Units that this limit refused."},
    {.name = "since", .type = NR_ADMIN_STRING, .doc = "When the key was first seen."},
};

static const struct nr_admin_shape key_shape = {
    "UsageOfKey", "What one key has used.", key_fields, NR_COUNT(key_fields)};

static const struct nr_admin_field rest_fields[] = {
    {.name = "used", .type = NR_ADMIN_INTEGER, .doc = "Units."},
    {.name = "charged", .type = NR_ADMIN_INTEGER, .doc = "Units."},
    {.name = "refused", .type = NR_ADMIN_INTEGER, .doc = "Units."},
};

static const struct nr_admin_shape rest_shape = {
    "UsageOfRest", "What keys without a place of their own have used together.", rest_fields,
    NR_COUNT(rest_fields)};

static const struct nr_admin_field usage_fields[] = {
    {.name = "limit", .type = NR_ADMIN_STRING, .doc = "The name of the limit."},
    {.name = "known", .type = NR_ADMIN_INTEGER, .doc = "Keys in all."},
    {.name = "keys", .type = NR_ADMIN_LIST, .shape = &key_shape, .doc = "Those asked for, most used first."},
    {.name = "rest", .type = NR_ADMIN_OBJECT, .shape = &rest_shape,
     .doc = "All keys beyond `meter`; not 0: raise it."},
};

const struct nr_admin_shape nr_admin_usage_shape = {
    "Usage", "What the keys of a metered limit have used.", usage_fields, NR_COUNT(usage_fields)};

/* clang-format on */

static uint64_t passed(const struct nr_metered_key *key)
{
    return key->units[NR_METERED_USED] + key->units[NR_METERED_CHARGED];
}

/* Most first; then in some fixed order, so that pages fit together. */
static int by_use(const void *a, const void *b)
{
    const struct nr_metered_key *one = a, *other = b;

    if (passed(one) != passed(other))
        return passed(one) < passed(other) ? 1 : -1;
    if (one->name_len != other->name_len)
        return one->name_len < other->name_len ? -1 : 1;
    return memcmp(one->name, other->name, one->name_len);
}

static void set_units(struct nr_json *json, const uint64_t units[NR_METERED_KINDS])
{
    static const char *const names[NR_METERED_KINDS] = {[NR_METERED_USED] = "used",
                                                        [NR_METERED_CHARGED] = "charged",
                                                        [NR_METERED_REFUSED] = "refused"};

    for (int i = 0; i < NR_METERED_KINDS; i++)
        nr_json_set(json, names[i], nr_json_integer((int64_t)units[i]));
}

static struct nr_json *key_json(const struct nr_metered_key *key,
                                const struct nr_rate_limit_conf *conf)
{
    struct nr_json *json = nr_json_object();
    struct nr_timestamp timestamp = {0};

    nr_json_set(json, "key", nr_json_string((struct nr_span){key->name, key->name_len}));
    if (key->tier > 0 && key->tier <= conf->tier_count)
        nr_json_set(json, "tier", nr_json_string(conf->tiers[key->tier - 1].name));
    set_units(json, key->units);
    nr_json_set(json, "since", nr_json_string(nr_timestamp_text(&timestamp, key->since_ns)));
    return json;
}

static struct nr_json *usage_json(struct nr_admin_call *call, const struct nr_gateway_limit *limit,
                                  struct nr_meter *meter)
{
    struct nr_json *json = nr_json_object(), *list = nr_json_array(), *rest = nr_json_object();
    uint64_t others[NR_METERED_KINDS];
    uint32_t count, room = nr_meter_read(meter, NULL, 0, others);
    struct nr_metered_key *keys = calloc(room + 1, sizeof(*keys));
    int64_t skip = nr_admin_query_integer(call, "offset", 0);
    int64_t give = nr_admin_query_integer(call, "limit", KEYS_GIVEN);

    nr_assert(keys != NULL);
    count = nr_meter_read(meter, keys, room, others);
    count = count < room ? count : room; /* the latest may have come in between */
    qsort(keys, count, sizeof(*keys), by_use);
    for (int64_t i = skip; i < count && i < skip + give; i++)
        nr_json_push(list, key_json(&keys[i], limit->conf));
    free(keys);
    nr_json_set(json, "limit", nr_json_string(limit->name));
    nr_json_set(json, "known", nr_json_integer(count));
    nr_json_set(json, "keys", list);
    set_units(rest, others);
    nr_json_set(json, "rest", rest);
    return json;
}

void nr_admin_usage(struct nr_admin_call *call)
{
    const struct nr_gateway *gateway = call->admin->setup.sources.gateway;
    struct nr_gateway_limit limit;
    struct nr_meter *meter;
    uint32_t number;

    if (!nr_admin_find_limit(call, &limit, &number))
        return;
    meter = nr_gateway_limit_meter(gateway, number);
    if (meter == NULL)
        nr_admin_problem(call, 404, "not_metered",
                         "limit '%.*s' keeps no usage: give it `meter`, the number of keys",
                         (int)limit.name.len, limit.name.ptr);
    else
        nr_admin_json(call, 200, usage_json(call, &limit, meter));
}
