/* SPDX-License-Identifier: Apache-2.0 */
/* circuits_api.c - the circuit breakers of a service, and what an operator says of them: refuse
 * everything now, let everything pass, decide by yourself again. */
#include "admin/pages.h"
#include "base/compiler.h"
#include "gateway/routes.h"
#include "observe/policies.h"
#include "service/service_conf.h"

static const char *const scopes[] = {[NR_BREAKER_PER_INSTANCE] = "instance",
                                     [NR_BREAKER_PER_SERVICE] = "service",
                                     [NR_BREAKER_PER_ROUTE] = "route",
                                     NULL};
static const char *const states[] = {"closed", "open", "half_open", NULL};
static const char *const modes[] = {"auto",     "forced_open", "forced_closed",
                                    "disabled", "observe",     NULL};
static const char *const forces[] = {"open", "closed", "disabled", "auto", NULL};

/* clang-format off */

static const struct nr_admin_field circuit_fields[] = {
    {.name = "instance", .type = NR_ADMIN_STRING, .optional = true, .doc = "Whose it is, with scope instance."},
    {.name = "route", .type = NR_ADMIN_STRING, .optional = true, .doc = "Whose it is, with scope route."},
    {.name = "state", .type = NR_ADMIN_STRING, .words = states, .doc = "open: it refuses."},
    {.name = "mode", .type = NR_ADMIN_STRING, .words = modes,
     .doc = "auto, or observe by the configuration; the others by hand."},
    {.name = "force", .type = NR_ADMIN_STRING, .words = forces, .doc = "By hand; auto: nothing."},
    {.name = "calls", .type = NR_ADMIN_INTEGER, .doc = "In the window."},
    {.name = "failed", .type = NR_ADMIN_INTEGER, .doc = "Of them."},
    {.name = "slow", .type = NR_ADMIN_INTEGER, .doc = "Of them."},
    {.name = "failure_rate", .type = NR_ADMIN_NUMBER, .nullable = true, .doc = "null: too few calls to tell."},
    {.name = "slow_rate", .type = NR_ADMIN_NUMBER, .nullable = true, .doc = "null: too few calls to tell."},
    {.name = "refused", .type = NR_ADMIN_INTEGER, .doc = "Times that it let no call pass (or would not have)."},
    {.name = "opens_to_probes_in_ms", .type = NR_ADMIN_INTEGER, .optional = true,
     .doc = "Of one that has opened by itself."},
};

static const struct nr_admin_shape circuit_shape = {
    "Circuit", "A circuit breaker.", circuit_fields, NR_COUNT(circuit_fields)};

static const struct nr_admin_field circuits_fields[] = {
    {.name = "service", .type = NR_ADMIN_STRING, .doc = "Its name."},
    {.name = "scope", .type = NR_ADMIN_STRING, .words = scopes, .nullable = true,
     .doc = "What has a circuit of its own; null: the service has no breaker."},
    {.name = "force", .type = NR_ADMIN_STRING, .words = forces,
     .doc = "Of all, those to come included; auto: nothing, or not of all."},
    {.name = "circuits", .type = NR_ADMIN_LIST, .shape = &circuit_shape,
     .doc = "With scope route: of those that have called."},
};

const struct nr_admin_shape nr_admin_circuits_shape = {
    "Circuits", "The circuit breakers of a service.", circuits_fields, NR_COUNT(circuits_fields)};

static const struct nr_admin_field change_fields[] = {
    {.name = "force", .type = NR_ADMIN_STRING, .words = forces,
     .doc = "open: no call passes; closed: every call passes, results are counted; disabled: every "
            "call passes, nothing is counted; auto: as configured, begun anew."},
    {.name = "instance", .type = NR_ADMIN_STRING, .optional = true,
     .doc = "With scope instance: only the circuit of this address."},
    {.name = "route", .type = NR_ADMIN_STRING, .optional = true,
     .doc = "With scope route: only the circuit of this route."},
};

const struct nr_admin_shape nr_admin_circuits_change_shape = {
    "CircuitsChange", "Without instance and route: all, those to come included.", change_fields,
    NR_COUNT(change_fields)};

/* clang-format on */

/* ---- telling ---- */

static void tell(struct nr_admin_call *call, uint32_t number)
{
    const struct nr_gateway *gateway = call->admin->setup.gateway;
    struct nr_service *service = nr_gateway_service(gateway, number);
    const struct nr_service_breaker_conf *conf = nr_service_conf(service)->breaker;
    enum nr_breaker_mode all = nr_service_breaker_forced(service);
    struct nr_json *json = nr_json_object();

    nr_json_set(json, "service", nr_json_string(nr_gateway_service_name(gateway, number)));
    nr_json_set(json, "scope",
                conf == NULL ? nr_json_null() : nr_json_string(nr_span_of(scopes[conf->scope])));
    nr_json_set(json, "force", nr_json_string(nr_span_of(nr_policies_force_name(all))));
    nr_json_set(json, "circuits",
                nr_policies_circuits_json(gateway, number, nr_io_now_ns(call->admin->setup.io)));
    nr_admin_json(call, 200, json);
}

void nr_admin_circuits(struct nr_admin_call *call)
{
    uint32_t number;

    if (nr_admin_find_service(call, &number))
        tell(call, number);
}

/* ---- which one ---- */

static struct nr_span instance_name(const void *ctx, uint32_t i)
{
    return nr_span_of(((const struct nr_instance_view *)ctx)[i].text);
}

static bool find_instance(struct nr_admin_call *call, struct nr_service *service,
                          struct nr_span address, uint32_t *ret_which)
{
    uint32_t count = nr_service_instance_count(service);
    struct nr_instance_view *views = nr_arena_zalloc(call->x->arena, count * sizeof(*views));

    for (uint32_t i = 0; i < count; i++) {
        nr_service_instance(service, i, &views[i]);
        *ret_which = i;
        if (views[i].present && nr_span_eq(nr_span_of(views[i].text), address))
            return true;
    }
    nr_admin_unknown(call, "instance", "unknown_instance", address, count, instance_name, views);
    return false;
}

static bool find_route(struct nr_admin_call *call, struct nr_service *service, struct nr_span name,
                       uint32_t *ret_which)
{
    const struct nr_routes *routes = nr_gateway_routes(call->admin->setup.gateway);
    struct nr_span to = nr_service_conf(service)->name;
    bool known = false;

    for (uint32_t i = 0; i < routes->count; i++) {
        if (!nr_span_eq(routes->items[i].conf->name, name))
            continue;
        known = true;
        *ret_which = routes->items[i].id;
        if (nr_route_leads_to(routes->items[i].conf, to))
            return true;
    }
    if (known)
        nr_admin_problem(call, 422, "wrong_route", "route '%.*s' does not lead to service '%s'",
                         (int)name.len, name.ptr, to.ptr);
    else
        nr_admin_unknown_route(call, name);
    return false;
}

/* The circuit that the body names, or all; false: a problem is answered. */
static bool find(struct nr_admin_call *call, struct nr_service *service, const struct nr_json *body,
                 uint32_t *ret_which)
{
    const struct nr_service_breaker_conf *conf = nr_service_conf(service)->breaker;
    const struct nr_json *instance = nr_json_get(body, "instance");
    const struct nr_json *route = nr_json_get(body, "route");

    *ret_which = NR_CIRCUIT_ALL;
    if (conf == NULL) {
        nr_admin_problem(call, 422, "no_breaker",
                         "service '%s' has no circuits: give it a section 'breaker'",
                         nr_service_conf(service)->name.ptr);
        return false;
    }
    if ((instance != NULL && conf->scope != NR_BREAKER_PER_INSTANCE) ||
        (route != NULL && conf->scope != NR_BREAKER_PER_ROUTE)) {
        nr_admin_problem(call, 422, "wrong_scope",
                         "the circuits of service '%s' are by %s: leave '%s' out, or change its "
                         "breaker's scope",
                         nr_service_conf(service)->name.ptr, scopes[conf->scope],
                         instance != NULL && conf->scope != NR_BREAKER_PER_INSTANCE ? "instance"
                                                                                    : "route");
        return false;
    }
    if (instance != NULL)
        return find_instance(call, service, nr_json_text(instance), ret_which);
    return route == NULL || find_route(call, service, nr_json_text(route), ret_which);
}

/* ---- changing ---- */

static enum nr_breaker_mode mode_of(struct nr_span force)
{
    if (nr_span_eq(force, NR_SPAN("open")))
        return NR_BREAKER_FORCED_OPEN;
    if (nr_span_eq(force, NR_SPAN("closed")))
        return NR_BREAKER_FORCED_CLOSED;
    return nr_span_eq(force, NR_SPAN("disabled")) ? NR_BREAKER_DISABLED : NR_BREAKER_AUTO;
}

void nr_admin_force_circuits(struct nr_admin_call *call)
{
    struct nr_json *body = nr_admin_body_json(call);
    struct nr_service *service;
    uint32_t number, which;

    if (body == NULL)
        return;
    nr_admin_tell_body(call, body);
    if (nr_admin_find_service(call, &number)) {
        service = nr_gateway_service(call->admin->setup.gateway, number);
        if (find(call, service, body, &which)) {
            (void)nr_service_breaker_force(service, which,
                                           mode_of(nr_json_text(nr_json_get(body, "force"))),
                                           nr_io_now_ns(call->admin->setup.io));
            tell(call, number);
        }
    }
    nr_json_free(body);
}
