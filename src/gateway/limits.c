/* SPDX-License-Identifier: Apache-2.0 */
/* limits.c - from the configuration's limits to rules with limiters, and what a reload keeps.
 *
 * Names. A limit of the section `limits` has its own. One that a route, a listener or the gateway
 * declares in place is called as it says, else after its place: the route's name, the listener's
 * address, "gateway"; when that is taken, "#2" and so on are put behind. The name is what keeps its
 * state across reloads, so whoever reorders nameless limits of one route swaps them. */
#include "gateway/limits.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/record.h"
#include "codec/limit_fields.h"

struct maker {
    struct nr_limits *limits;
    const struct nr_limits *before;
    const struct nr_limits_conf *conf;
    struct nr_intern *names; /* taken so far */
};

/* ---- rules ---- */

static uint32_t count_own(const struct nr_rate_limit_conf *entries, uint32_t count)
{
    uint32_t own = 0;

    for (uint32_t i = 0; i < count; i++)
        own += entries[i].use.len == 0;
    return own;
}

static bool take_name(struct maker *m, struct nr_span name)
{
    uint32_t known = nr_intern_count(m->names);

    return nr_intern_id(m->names, name) == known;
}

static struct nr_span free_name(struct maker *m, struct nr_span name)
{
    struct nr_span with_number = name;

    for (uint32_t i = 2; !take_name(m, with_number); i++)
        with_number =
            nr_arena_printf(&m->limits->arena, "%.*s#%u", (int)name.len, name.ptr, (unsigned)i);
    return with_number;
}

/* Configurations are mostly edited in place: look at the same index first. */
static struct nr_limiter *limiter_before(const struct maker *m, const char *identity)
{
    const struct nr_limits *before = m->before;
    uint32_t index = m->limits->rule_count;

    if (before == NULL)
        return NULL;
    if (index < before->rule_count && strcmp(before->rules[index].limiter->identity, identity) == 0)
        return before->rules[index].limiter;
    for (uint32_t i = 0; i < before->rule_count; i++)
        if (strcmp(before->rules[i].limiter->identity, identity) == 0)
            return before->rules[i].limiter;
    return NULL;
}

static void set_limiter(struct maker *m, struct nr_limit_rule *rule)
{
    char *identity = nr_limiter_identity(rule->name, rule->conf);
    struct nr_limiter *old = limiter_before(m, identity);

    if (old == NULL) {
        rule->limiter = nr_limiter_new(identity, rule->conf, m->limits->orders++);
        return;
    }
    free(identity);
    rule->limiter = nr_limiter_ref(old);
}

/* A meter goes on where its limiter does. */
static void set_meter(const struct maker *m, struct nr_limit_rule *rule)
{
    const struct nr_limit_rule *old = NULL;

    if (rule->conf->meter == 0)
        return;
    for (uint32_t i = 0; m->before != NULL && i < m->before->rule_count && old == NULL; i++)
        if (m->before->rules[i].limiter == rule->limiter)
            old = &m->before->rules[i];
    if (old != NULL && old->meter != NULL && nr_meter_keys(old->meter) == rule->conf->meter)
        rule->meter = nr_meter_ref(old->meter);
    else
        rule->meter = nr_meter_new(rule->conf->meter);
}

static struct nr_limit_key_part part_of(struct nr_span text)
{
    struct nr_limit_key_part part;
    bool known = nr_limit_part_parse(text, &part.part, &part.name);

    nr_assert(known); /* the loader has looked */
    part.field = part.part == NR_LIMIT_BY_HEADER ? nr_field_id_of(part.name) : NR_FIELD_OTHER;
    return part;
}

_Static_assert(NR_LIMIT_CONF_TIERS_MAX + 1 <= 64, "charges has a bit per tier");

static void set_tiers(struct nr_arena *arena, struct nr_limit_rule *rule)
{
    uint32_t count = rule->conf->tier_count + 1;
    struct nr_limit_conf *tiers = nr_arena_zalloc(arena, count * sizeof(*tiers));
    double share = 1;

    nr_limit_conf_tiers(rule->conf, tiers);
    rule->tiers = tiers;
    rule->tier_count = (uint8_t)count;
    for (uint32_t i = 0; i < count; i++)
        rule->charges |= (uint64_t)nr_limit_conf_charges(rule->conf, i) << i;
    for (int level = 0; rule->conf->under_pressure < 1 && level < NR_SHED_NORMAL; level++) {
        struct nr_limit_conf *tight = nr_arena_zalloc(arena, count * sizeof(*tight));

        share *= rule->conf->under_pressure;
        for (uint32_t i = 0; i < count; i++)
            tight[i] = nr_limit_conf_share(tiers[i], share);
        rule->tight[level] = tight;
    }
}

static void set_words(struct maker *m, struct nr_limit_rule *rule)
{
    struct nr_arena *arena = &m->limits->arena;
    struct nr_limit_words *words = nr_arena_zalloc(arena, rule->tier_count * sizeof(*words));
    char *quoted = nr_arena_alloc(arena, NR_LIMIT_NAME_BYTES(rule->name.len));

    rule->quoted = (struct nr_span){quoted, nr_limit_field_name(quoted, rule->name)};
    for (uint8_t i = 0; i < rule->tier_count; i++)
        words[i] = nr_limit_words(arena, rule->quoted, &rule->tiers[i]);
    rule->words = words;
}

static const struct nr_limit_rule *add_rule(struct maker *m, const struct nr_rate_limit_conf *conf,
                                            struct nr_span name)
{
    struct nr_arena *arena = &m->limits->arena;
    struct nr_limit_rule *rule = &m->limits->rules[m->limits->rule_count];
    struct nr_limit_key_part *parts = nr_arena_zalloc(arena, conf->key_count * sizeof(*parts));

    *rule = (struct nr_limit_rule){.conf = conf, .id = NR_ID_NONE};
    rule->name = free_name(m, name);
    set_tiers(arena, rule);
    set_words(m, rule);
    for (uint32_t i = 0; i < conf->key_count; i++) {
        parts[i] = part_of(conf->key[i]);
        if (parts[i].part != NR_LIMIT_BY_GLOBAL)
            rule->part_count++;
    }
    rule->parts = parts;
    if (conf->tier_count > 0)
        rule->tier_part = part_of(conf->tier_key);
    set_limiter(m, rule);
    set_meter(m, rule);
    m->limits->rule_count++;
    return rule;
}

/* ---- lists ---- */

static bool listed(const struct nr_limit_bind *items, uint32_t count,
                   const struct nr_limit_rule *rule)
{
    for (uint32_t i = 0; i < count; i++)
        if (items[i].rule == rule)
            return true;
    return false;
}

/* What the first list says of a limit that is in both holds: it is the nearer one. */
static struct nr_limit_list join(struct maker *m, struct nr_limit_list near,
                                 struct nr_limit_list far)
{
    struct nr_limit_bind *items;
    uint32_t count = near.count;

    if (far.count == 0)
        return near;
    if (near.count == 0)
        return far;
    items = nr_arena_zalloc(&m->limits->arena, (near.count + far.count) * sizeof(*items));
    memcpy(items, near.items, near.count * sizeof(*items));
    for (uint32_t i = 0; i < far.count; i++)
        if (!listed(items, near.count, far.items[i].rule))
            items[count++] = far.items[i];
    return (struct nr_limit_list){items, count};
}

static struct nr_limit_list list_of(struct maker *m, const struct nr_rate_limit_conf *entries,
                                    uint32_t count, struct nr_span place)
{
    struct nr_limit_bind *items;

    if (count == 0)
        return (struct nr_limit_list){NULL, 0};
    items = nr_arena_zalloc(&m->limits->arena, count * sizeof(*items));
    for (uint32_t i = 0; i < count; i++) {
        const struct nr_rate_limit_conf *entry = &entries[i];

        items[i].cost = entry->cost;
        if (entry->use.len > 0) {
            items[i].rule = nr_limits_find(m->limits, entry->use);
            nr_assert(items[i].rule != NULL); /* the loader has looked */
            if (entry->cost == NR_LIMIT_AUTO)
                items[i].cost = items[i].rule->conf->cost;
        } else {
            items[i].rule = add_rule(m, entry, entry->name.len > 0 ? entry->name : place);
            if (entry->cost == NR_LIMIT_AUTO)
                items[i].cost = 1;
        }
    }
    return (struct nr_limit_list){items, count};
}

static uint32_t count_rules(const struct maker *m, const struct nr_gateway_conf *gateway)
{
    uint32_t count = m->conf != NULL ? m->conf->count : 0;

    count += count_own(gateway->rates, gateway->rate_count);
    for (uint32_t i = 0; i < gateway->listen_count; i++)
        count += count_own(gateway->listen[i].limits.rates, gateway->listen[i].limits.rate_count);
    for (uint32_t i = 0; i < gateway->route_count; i++)
        count += count_own(gateway->routes[i].rates, gateway->routes[i].rate_count);
    return count;
}

static void make_lists(struct maker *m, const struct nr_gateway_conf *gateway)
{
    struct nr_limits *limits = m->limits;
    struct nr_limit_list all = list_of(m, gateway->rates, gateway->rate_count, NR_SPAN("gateway"));

    for (uint32_t i = 0; i < gateway->listen_count; i++) {
        const struct nr_gateway_listen_conf *listen = &gateway->listen[i];

        limits->listeners[i] =
            list_of(m, listen->limits.rates, listen->limits.rate_count, listen->address.text);
        limits->by_listener = limits->by_listener || limits->listeners[i].count > 0;
    }
    for (uint32_t i = 0; i < gateway->route_count; i++) {
        const struct nr_route_conf *route = &gateway->routes[i];

        limits->routes[i] = join(m, list_of(m, route->rates, route->rate_count, route->name), all);
    }
}

struct nr_limits *nr_limits_new(const struct nr_config *config, const struct nr_limits *before)
{
    const struct nr_gateway_conf *gateway = nr_gateway_conf_of(config);
    struct nr_limits *limits = calloc(1, sizeof(*limits));
    struct maker m = {.limits = limits, .before = before, .conf = nr_limits_conf_of(config)};
    uint32_t rules = count_rules(&m, gateway);

    nr_assert(limits != NULL);
    nr_arena_init(&limits->arena, NULL, 0);
    m.names = nr_intern_new(0);
    nr_intern_begin(m.names);
    limits->orders = before != NULL ? before->orders : 0;
    limits->rules = nr_arena_zalloc(&limits->arena, rules * sizeof(*limits->rules));
    limits->listeners =
        nr_arena_zalloc(&limits->arena, gateway->listen_count * sizeof(*limits->listeners));
    limits->routes =
        nr_arena_zalloc(&limits->arena, gateway->route_count * sizeof(*limits->routes));
    for (uint32_t i = 0; m.conf != NULL && i < m.conf->count; i++)
        (void)add_rule(&m, &m.conf->items[i], m.conf->items[i].name);
    make_lists(&m, gateway);
    nr_assert(limits->rule_count == rules);
    nr_intern_free(m.names);
    return limits;
}

void nr_limits_free(struct nr_limits *limits)
{
    if (limits == NULL)
        return;
    for (uint32_t i = 0; i < limits->rule_count; i++) {
        nr_limiter_unref(limits->rules[i].limiter);
        nr_meter_unref(limits->rules[i].meter);
    }
    nr_arena_done(&limits->arena);
    free(limits);
}

void nr_limits_publish(struct nr_limits *limits, struct nr_intern *names)
{
    nr_intern_begin(names);
    for (uint32_t i = 0; i < limits->rule_count; i++)
        limits->rules[i].id = nr_intern_id(names, limits->rules[i].name);
}

const struct nr_limit_rule *nr_limits_find(const struct nr_limits *limits, struct nr_span name)
{
    for (uint32_t i = 0; i < limits->rule_count; i++)
        if (nr_span_eq(limits->rules[i].name, name))
            return &limits->rules[i];
    return NULL;
}

static bool same_rates(const struct nr_limit_rule *a, const struct nr_limit_rule *b)
{
    if (a->tier_count != b->tier_count)
        return false;
    for (uint8_t i = 0; i < a->tier_count; i++)
        if (!nr_limit_conf_same(&a->tiers[i], &b->tiers[i]))
            return false;
    return true;
}

void nr_limits_adopt(struct nr_limits *limits, const struct nr_limits *before)
{
    for (uint32_t i = 0; i < limits->rule_count; i++) {
        const struct nr_limit_rule *rule = &limits->rules[i];
        const struct nr_limit_rule *old = nr_limits_find(before, rule->name);

        if (old == NULL || old->limiter != rule->limiter)
            continue;
        if (!same_rates(rule, old))
            nr_limiter_force(rule->limiter, NULL, 0);
        if (rule->conf->observe_only != old->conf->observe_only)
            nr_limiter_observe(rule->limiter, NR_SAID_NOTHING);
    }
}
