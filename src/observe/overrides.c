/* SPDX-License-Identifier: Apache-2.0 */
#include "observe/overrides.h"

#include "config/units.h"
#include "observe/policies.h"

struct teller {
    nr_override_fn each;
    void *ctx;
    uint64_t now_ns;
    struct nr_arena arena; /* of values, until the end */
};

static void tell(struct teller *t, const char *kind, struct nr_span name, struct nr_span part,
                 struct nr_span value)
{
    t->each(t->ctx,
            &(struct nr_override){.kind = kind, .name = name, .part = part, .value = value});
}

/* ---- limits ---- */

static struct nr_span rate_text(struct teller *t, const struct nr_limit_conf *conf)
{
    struct nr_rate rate = {conf->limit, conf->period_ns};
    struct nr_span text = nr_units_rate_text(rate, false, &t->arena);

    if (conf->burst == 0)
        return text;
    return nr_arena_printf(&t->arena, "%.*s, burst %u", (int)text.len, text.ptr, conf->burst);
}

static void limits(struct teller *t, const struct nr_gateway *gateway)
{
    const struct nr_span whole = {NULL, 0};

    for (uint32_t i = 0; i < nr_gateway_limit_count(gateway); i++) {
        struct nr_gateway_limit limit;

        nr_gateway_limit(gateway, i, &limit);
        for (uint32_t k = 0; k < limit.tier_count; k++)
            if ((limit.by_hand >> k & 1) != 0)
                tell(t, "limit", limit.name, k == 0 ? whole : limit.conf->tiers[k - 1].name,
                     rate_text(t, &limit.tiers[k]));
        if (limit.observe_by_hand)
            tell(t, "limit_observe_only", limit.name, whole,
                 limit.observe_only ? NR_SPAN("true") : NR_SPAN("false"));
    }
}

/* ---- instances ---- */

static void instance(struct teller *t, struct nr_span service, const struct nr_instance_view *view)
{
    static const char *const forces[] = {
        [NR_FORCE_AUTO] = "", [NR_FORCE_UP] = "force up", [NR_FORCE_DOWN] = "force down"};
    struct nr_span text = {"", 0};

    if (view->draining)
        text = NR_SPAN("draining");
    if (view->weight != view->configured_weight)
        text = nr_arena_printf(&t->arena, "%.*s%sweight %u", (int)text.len, text.ptr,
                               text.len > 0 ? ", " : "", view->weight);
    if (view->force != NR_FORCE_AUTO)
        text = nr_arena_printf(&t->arena, "%.*s%s%s", (int)text.len, text.ptr,
                               text.len > 0 ? ", " : "", forces[view->force]);
    if (text.len > 0)
        tell(t, "instance", service, nr_span_of(view->text), text);
}

static void instances(struct teller *t, struct nr_service *service, struct nr_span name)
{
    for (uint32_t i = 0; i < nr_service_instance_count(service); i++) {
        struct nr_instance_view view;

        nr_service_instance(service, i, &view);
        if (view.present)
            instance(t, name, &view);
    }
}

/* ---- circuits ---- */

static void circuit(struct teller *t, const struct nr_gateway *gateway, struct nr_service *service,
                    struct nr_span name, const struct nr_circuit_view *view)
{
    struct nr_instance_view instance;
    struct nr_label of = nr_policies_subject(gateway, service, view, &instance);

    tell(t, "circuit", name, of.name != NULL ? of.value : (struct nr_span){NULL, 0},
         nr_span_of(nr_policies_force_name(view->mode)));
}

/* What was said of all is one thing, not one for each. */
static void circuits(struct teller *t, const struct nr_gateway *gateway, struct nr_service *service,
                     struct nr_span name)
{
    enum nr_breaker_mode all = nr_service_breaker_forced(service);

    if (all != NR_BREAKER_AUTO) {
        tell(t, "circuit", name, (struct nr_span){NULL, 0},
             nr_span_of(nr_policies_force_name(all)));
        return;
    }
    for (uint32_t i = 0; i < nr_service_circuit_count(service); i++) {
        struct nr_circuit_view view;

        nr_service_circuit(service, i, t->now_ns, &view);
        if (view.present && nr_breaker_by_hand(view.mode))
            circuit(t, gateway, service, name, &view);
    }
}

static void services(struct teller *t, const struct nr_gateway *gateway)
{
    const struct nr_span whole = {NULL, 0};

    for (uint32_t s = 0; s < nr_gateway_service_count(gateway); s++) {
        struct nr_service *service = nr_gateway_service(gateway, s);
        struct nr_span name = nr_gateway_service_name(gateway, s);
        struct nr_service_view view;

        instances(t, service, name);
        circuits(t, gateway, service, name);
        nr_service_look(service, t->now_ns, &view);
        if (view.limit_by_hand)
            tell(t, "bulkhead", name, whole,
                 nr_arena_printf(&t->arena, "concurrent %llu", (unsigned long long)view.limit));
        if (nr_gateway_fallback_said(gateway, s) != NR_SAID_NOTHING)
            tell(t, "fallback", name, whole,
                 nr_gateway_fallback_said(gateway, s) == NR_SAID_YES ? NR_SPAN("on")
                                                                     : NR_SPAN("off"));
    }
}

/* ---- routes and shedding ---- */

static void routes(struct teller *t, const struct nr_gateway *gateway)
{
    for (uint32_t i = 0; i < nr_gateway_route_hand_count(gateway); i++) {
        struct nr_span name = nr_gateway_route_hand(gateway, i);
        struct nr_gateway_route_view view;

        if (!nr_gateway_route(gateway, name, t->now_ns, &view))
            continue;
        if (view.enabled_said != NR_SAID_NOTHING)
            tell(t, "route_enabled", name, (struct nr_span){NULL, 0},
                 view.enabled ? NR_SPAN("true") : NR_SPAN("false"));
        if (view.faults.len > 0)
            t->each(t->ctx, &(struct nr_override){.kind = "route_faults",
                                                  .name = name,
                                                  .value = view.faults,
                                                  .ends_ns = view.faults_until_ns});
    }
}

static void shedding(struct teller *t, const struct nr_gateway *gateway)
{
    const struct nr_span none = {NULL, 0};
    struct nr_gateway_guards guards;

    nr_gateway_guards(gateway, &guards);
    if (guards.shedding && guards.forced != NR_SHED_AUTO)
        tell(t, "shedding", none, none, nr_arena_printf(&t->arena, "level %d", guards.forced));
}

/* ---- all ---- */

void nr_overrides_each(const struct nr_gateway *gateway, uint64_t now_ns, nr_override_fn each,
                       void *ctx)
{
    struct teller t = {.each = each, .ctx = ctx, .now_ns = now_ns};

    nr_arena_init(&t.arena, NULL, 0);
    services(&t, gateway);
    limits(&t, gateway);
    routes(&t, gateway);
    shedding(&t, gateway);
    nr_arena_done(&t.arena);
}

static void put(void *ctx, const struct nr_override *override)
{
    const struct nr_label labels[] = {
        {"kind", nr_span_of(override->kind)}, {"name", override->name}, {"part", override->part}};

    nr_expo_u64(ctx, labels, 3, 1);
}

void nr_overrides_metrics(struct nr_expo *expo, const struct nr_gateway *gateway, uint64_t now_ns)
{
    nr_expo_family(expo, "naru_override", NR_EXPO_GAUGE,
                   "1 for whatever an operator has set by hand, by the admin API, and not taken "
                   "back.");
    nr_overrides_each(gateway, now_ns, put, expo);
}
