/* SPDX-License-Identifier: Apache-2.0 */
/* services.c - services and their instances, and what an operator says of them. What is said holds
 * for as long as the instance takes part: through reloads, by its address as configured, not
 * through a restart. */
#include "admin/pages.h"
#include "base/compiler.h"
#include "observe/policies.h"
#include "service/service_conf.h"

/* ---- shapes ---- */

static const char *const health_names[] = {"unknown", "up", "down", NULL};
static const char *const force_names[] = {
    [NR_FORCE_AUTO] = "auto", [NR_FORCE_UP] = "up", [NR_FORCE_DOWN] = "down", NULL};

static const char *const fallback_names[] = {
    [NR_SAID_NOTHING] = "auto", [NR_SAID_YES] = "on", [NR_SAID_NO] = "off", NULL};

enum { WEIGHT_MAX = 1000, CONCURRENT_MAX = 1000000 };

/* clang-format off */

static const struct nr_admin_field instance_fields[] = {
    {.name = "address", .type = NR_ADMIN_STRING, .doc = "As configured, or as found; names the instance."},
    {.name = "takes", .type = NR_ADMIN_BOOL,
     .doc = "It takes new calls now: by its health, what operators say, its priority and its zone."},
    {.name = "health", .type = NR_ADMIN_STRING, .words = health_names,
     .doc = "What its checks say; unknown counts as up."},
    {.name = "force", .type = NR_ADMIN_STRING, .words = force_names,
     .doc = "up: takes calls whatever its checks say; down: takes none; auto: as checks say."},
    {.name = "draining", .type = NR_ADMIN_BOOL,
     .doc = "Takes no new calls but those of clients that a cookie binds to it."},
    {.name = "weight", .type = NR_ADMIN_INTEGER, .doc = "In force."},
    {.name = "configured_weight", .type = NR_ADMIN_INTEGER, .doc = "As configured."},
    {.name = "priority", .type = NR_ADMIN_INTEGER, .doc = "0 serves first."},
    {.name = "in_flight", .type = NR_ADMIN_INTEGER, .doc = "Calls under way."},
    {.name = "picks", .type = NR_ADMIN_INTEGER, .doc = "Calls that it was chosen for."},
    {.name = "failures", .type = NR_ADMIN_INTEGER, .doc = "Calls that failed there, or were answered with 5xx."},
    {.name = "latency_ms", .type = NR_ADMIN_NUMBER, .doc = "Moving average of the time to the answer's head."},
    {.name = "leaving", .type = NR_ADMIN_BOOL, .optional = true,
     .doc = "It has left the service, and its last calls go on."},
};

const struct nr_admin_shape nr_admin_instance_shape = {
    "Instance", "An instance of a service.", instance_fields, NR_COUNT(instance_fields)};

static const struct nr_admin_field service_fields[] = {
    {.name = "name", .type = NR_ADMIN_STRING, .doc = "As configured."},
    {.name = "instances", .type = NR_ADMIN_LIST, .shape = &nr_admin_instance_shape, .doc = "All of them."},
    {.name = "fallback", .type = NR_ADMIN_STRING, .words = fallback_names,
     .doc = "By hand: on: its fallback answers, nobody is asked; off: it never does; auto: when it is needed."},
    {.name = "policies", .type = NR_ADMIN_OBJECT, .doc = "What its policies know now: retries, circuits."},
};

const struct nr_admin_shape nr_admin_service_shape = {
    "Service", "A service that naru calls.", service_fields, NR_COUNT(service_fields)};

static const struct nr_admin_field services_fields[] = {
    {.name = "services", .type = NR_ADMIN_LIST, .shape = &nr_admin_service_shape, .doc = "In the order of the configuration."},
};

const struct nr_admin_shape nr_admin_services_shape = {
    "Services", "All services.", services_fields, NR_COUNT(services_fields)};

static const struct nr_admin_field change_fields[] = {
    {.name = "draining", .type = NR_ADMIN_BOOL, .optional = true,
     .doc = "true: no new calls, those under way end; false: calls again."},
    {.name = "weight", .type = NR_ADMIN_INTEGER, .optional = true, .nullable = true, .max = WEIGHT_MAX,
     .doc = "Instead of the configured weight; 0: as if it were not there; null: as configured."},
    {.name = "force", .type = NR_ADMIN_STRING, .optional = true, .words = force_names,
     .doc = "up or down, whatever its checks say; auto: as they say."},
};

const struct nr_admin_shape nr_admin_instance_change_shape = {
    "InstanceChange", "What is left out stays as it is.", change_fields, NR_COUNT(change_fields)};

static const struct nr_admin_field bulkhead_fields[] = {
    {.name = "concurrent", .type = NR_ADMIN_INTEGER, .optional = true, .nullable = true, .min = 1, .max = CONCURRENT_MAX,
     .doc = "Permits, instead of those configured or learnt; null: as configured."},
};

static const struct nr_admin_shape bulkhead_change_shape = {
    "BulkheadChange", "The bulkhead of a service.", bulkhead_fields, NR_COUNT(bulkhead_fields)};

static const struct nr_admin_field service_change_fields[] = {
    {.name = "bulkhead", .type = NR_ADMIN_OBJECT, .optional = true, .shape = &bulkhead_change_shape,
     .doc = "How many calls at once."},
    {.name = "fallback", .type = NR_ADMIN_STRING, .optional = true, .words = fallback_names,
     .doc = "on: answer with the fallback, ask nobody; off: never answer with it; auto: as configured."},
};

const struct nr_admin_shape nr_admin_service_change_shape = {
    "ServiceChange", "What is left out stays as it is.", service_change_fields,
    NR_COUNT(service_change_fields)};

/* clang-format on */

/* ---- telling ---- */

static struct nr_json *instance_json(const struct nr_instance_view *view)
{
    struct nr_json *json = nr_json_object();

    nr_json_set(json, "address", nr_json_string(nr_span_of(view->text)));
    nr_json_set(json, "takes", nr_json_bool(view->takes));
    nr_json_set(json, "health", nr_json_string(nr_span_of(health_names[view->health])));
    nr_json_set(json, "force", nr_json_string(nr_span_of(force_names[view->force])));
    nr_json_set(json, "draining", nr_json_bool(view->draining));
    nr_json_set(json, "weight", nr_json_integer(view->weight));
    nr_json_set(json, "configured_weight", nr_json_integer(view->configured_weight));
    nr_json_set(json, "priority", nr_json_integer(view->priority));
    nr_json_set(json, "in_flight", nr_json_integer(view->in_flight));
    nr_json_set(json, "picks", nr_json_integer((int64_t)view->picks));
    nr_json_set(json, "failures", nr_json_integer((int64_t)view->failures));
    nr_json_set(json, "latency_ms", nr_json_real((double)view->ewma_us / 1000));
    if (!view->present)
        nr_json_set(json, "leaving", nr_json_bool(true));
    return json;
}

static struct nr_json *service_json(const struct nr_gateway *gateway, uint32_t number,
                                    uint64_t now_ns)
{
    struct nr_service *service = nr_gateway_service(gateway, number);
    struct nr_json *json = nr_json_object(), *instances = nr_json_array();
    struct nr_instance_view view;

    for (uint32_t i = 0; i < nr_service_instance_count(service); i++) {
        nr_service_instance(service, i, &view);
        if (view.text[0] != '\0') /* else a number without an instance */
            nr_json_push(instances, instance_json(&view));
    }
    nr_json_set(json, "name", nr_json_string(nr_gateway_service_name(gateway, number)));
    nr_json_set(json, "instances", instances);
    nr_json_set(
        json, "fallback",
        nr_json_string(nr_span_of(fallback_names[nr_gateway_fallback_said(gateway, number)])));
    nr_json_set(json, "policies", nr_policies_json(gateway, number, now_ns));
    return json;
}

void nr_admin_services(struct nr_admin_call *call)
{
    const struct nr_gateway *gateway = call->admin->setup.sources.gateway;
    uint32_t count = gateway == NULL ? 0 : nr_gateway_service_count(gateway);
    struct nr_json *list = nr_json_array(), *json = nr_json_object();

    for (uint32_t i = 0; i < count; i++)
        nr_json_push(list, service_json(gateway, i, nr_io_now_ns(call->admin->setup.io)));
    nr_json_set(json, "services", list);
    nr_admin_json(call, 200, json);
}

/* ---- finding ---- */

static struct nr_span service_name(const void *ctx, uint32_t i)
{
    return nr_gateway_service_name(ctx, i);
}

/* The service that the path names; false: there is none, and a problem is answered. */
bool nr_admin_find_service(struct nr_admin_call *call, uint32_t *ret_number)
{
    const struct nr_gateway *gateway = call->admin->setup.sources.gateway;
    uint32_t count = gateway == NULL ? 0 : nr_gateway_service_count(gateway);
    struct nr_span name = nr_admin_path_param(call, 0);

    for (uint32_t i = 0; i < count; i++)
        if (nr_span_eq(nr_gateway_service_name(gateway, i), name)) {
            *ret_number = i;
            return true;
        }
    nr_admin_unknown(call, "service", "unknown_service", name, count, service_name,
                     call->admin->setup.sources.gateway);
    return false;
}

/* An address may be listed twice: then both are meant, and told of is the first. Those that leave
 * cannot be told anything any more. */
static uint32_t next_instance(struct nr_service *service, struct nr_span address, uint32_t from)
{
    struct nr_instance_view view;

    for (uint32_t i = from; i < nr_service_instance_count(service); i++) {
        nr_service_instance(service, i, &view);
        if (view.present && nr_span_eq(nr_span_of(view.text), address))
            return i;
    }
    return NR_INSTANCE_NONE;
}

static struct nr_service *find_instance(struct nr_admin_call *call, uint32_t *ret_instance)
{
    struct nr_span address = nr_admin_path_param(call, 1);
    struct nr_service *service;
    uint32_t number;

    if (!nr_admin_find_service(call, &number))
        return NULL;
    service = nr_gateway_service(call->admin->setup.sources.gateway, number);
    *ret_instance = next_instance(service, address, 0);
    if (*ret_instance != NR_INSTANCE_NONE)
        return service;
    nr_admin_problem(call, 404, "unknown_instance", "service '%s' has no instance '%.*s'",
                     nr_service_conf(service)->name.ptr, (int)address.len, address.ptr);
    return NULL;
}

static void tell_instance(struct nr_admin_call *call, struct nr_service *service, uint32_t instance)
{
    struct nr_instance_view view;

    nr_service_instance(service, instance, &view);
    nr_admin_json(call, 200, instance_json(&view));
}

void nr_admin_service(struct nr_admin_call *call)
{
    uint32_t number;

    if (nr_admin_find_service(call, &number))
        nr_admin_json(call, 200,
                      service_json(call->admin->setup.sources.gateway, number,
                                   nr_io_now_ns(call->admin->setup.io)));
}

void nr_admin_instance(struct nr_admin_call *call)
{
    uint32_t instance;
    struct nr_service *service = find_instance(call, &instance);

    if (service != NULL)
        tell_instance(call, service, instance);
}

/* ---- changing ---- */

static enum nr_force force_of(struct nr_span text)
{
    if (nr_span_eq(text, NR_SPAN("up")))
        return NR_FORCE_UP;
    return nr_span_eq(text, NR_SPAN("down")) ? NR_FORCE_DOWN : NR_FORCE_AUTO;
}

static void change(struct nr_service *service, uint32_t instance, const struct nr_json *body)
{
    const struct nr_json *draining = nr_json_get(body, "draining");
    const struct nr_json *weight = nr_json_get(body, "weight");
    const struct nr_json *force = nr_json_get(body, "force");

    if (draining != NULL)
        nr_service_drain(service, instance, nr_json_bool_value(draining));
    if (weight != NULL)
        nr_service_set_weight(service, instance,
                              nr_json_kind(weight) == NR_JSON_NULL
                                  ? NR_WEIGHT_CONFIGURED
                                  : (uint32_t)nr_json_integer_value(weight));
    if (force != NULL)
        nr_service_force(service, instance, force_of(nr_json_text(force)));
}

void nr_admin_change_instance(struct nr_admin_call *call)
{
    struct nr_json *body = nr_admin_body_json(call);
    struct nr_service *service;
    uint32_t first = NR_INSTANCE_NONE;

    if (body == NULL)
        return;
    nr_admin_tell_body(call, body);
    service = find_instance(call, &first);
    for (uint32_t i = first; service != NULL && i != NR_INSTANCE_NONE;
         i = next_instance(service, nr_admin_path_param(call, 1), i + 1))
        change(service, i, body);
    nr_json_free(body);
    if (service != NULL)
        tell_instance(call, service, first);
}

static enum nr_said fallback_of(struct nr_span text)
{
    if (nr_span_eq(text, NR_SPAN("on")))
        return NR_SAID_YES;
    return nr_span_eq(text, NR_SPAN("off")) ? NR_SAID_NO : NR_SAID_NOTHING;
}

static bool change_service(struct nr_admin_call *call, uint32_t number, const struct nr_json *body)
{
    const struct nr_json *fallback = nr_json_get(body, "fallback");
    const struct nr_json *concurrent = nr_json_get(nr_json_get(body, "bulkhead"), "concurrent");
    struct nr_gateway *gateway = call->admin->setup.gateway;
    struct nr_err err = {0};

    if (fallback != NULL &&
        nr_gateway_fallback_force(gateway, number, fallback_of(nr_json_text(fallback)), &err) !=
            NR_OK) {
        nr_admin_problem(call, 422, "no_fallback", "%s: give it a section 'fallback'", err.text);
        return false;
    }
    if (concurrent != NULL) /* null: 0 */
        nr_service_set_concurrent(nr_gateway_service(gateway, number),
                                  (uint32_t)nr_json_integer_value(concurrent),
                                  call->admin->setup.io);
    return true;
}

void nr_admin_change_service(struct nr_admin_call *call)
{
    struct nr_json *body = nr_admin_body_json(call);
    uint32_t number;

    if (body == NULL)
        return;
    nr_admin_tell_body(call, body);
    if (nr_admin_find_service(call, &number) && change_service(call, number, body))
        nr_admin_service(call);
    nr_json_free(body);
}
