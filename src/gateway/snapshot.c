/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot.c - from a configuration to what requests are served by, and what is taken over. */
#include <stdlib.h>

#include "base/assert.h"
#include "config/section.h"
#include "gateway/living.h"

enum { INSTANCES_RETIRED_MAX = 64 };

static void *zeroed(size_t count, size_t bytes)
{
    void *memory = calloc(count > 0 ? count : 1, bytes);

    nr_assert(memory != NULL);
    return memory;
}

/* ---- services ---- */

static const struct nr_schema *service_schema(void)
{
    return nr_services_conf_root.field.section;
}

/* Written out once, not in the middle of an outage. */
static void render_fallback(struct nr_gateway_service *service)
{
    const struct nr_service_fallback_conf *conf = service->conf->fallback;
    struct nr_json *json;
    char *text;

    if (conf == NULL)
        return;
    service->fallback = conf->body;
    if (conf->json == NULL)
        return;
    json = nr_node_json(conf->json);
    text = nr_json_dump(json, 0);
    service->fallback = nr_arena_dup(&service->memory, nr_span_of(text));
    free(text);
    nr_json_free(json);
}

static enum nr_code service_new(const struct nr_service_conf *conf,
                                struct nr_gateway_service **ret_service, struct nr_err *err)
{
    struct nr_gateway_service *service = zeroed(1, sizeof(*service));
    enum nr_code code;

    atomic_init(&service->refs, 1);
    nr_arena_init(&service->memory, NULL, 0);
    service->conf = nr_section_copy(service_schema(), conf, &service->memory);
    render_fallback(service);
    service->id = NR_ID_NONE;
    code = nr_service_new(service->conf, 0, &service->service, err);
    if (code != NR_OK) {
        nr_gateway_service_unref(service);
        return nr_err_wrap(err, "service '%s'", conf->name.ptr);
    }
    *ret_service = service;
    return NR_OK;
}

struct nr_gateway_service *nr_gateway_service_ref(struct nr_gateway_service *service)
{
    atomic_fetch_add_explicit(&service->refs, 1, memory_order_relaxed);
    return service;
}

void nr_gateway_service_unref(struct nr_gateway_service *service)
{
    if (atomic_fetch_sub_explicit(&service->refs, 1, memory_order_acq_rel) != 1)
        return;
    nr_service_free(service->service);
    nr_arena_done(&service->memory);
    free(service);
}

bool nr_snapshot_uses(const struct nr_gateway_snapshot *snapshot,
                      const struct nr_gateway_service *service)
{
    for (uint32_t i = 0; snapshot != NULL && i < snapshot->service_count; i++)
        if (snapshot->services[i] == service)
            return true;
    return false;
}

/* Configurations are mostly edited in place: look at the same index first. */
static struct nr_gateway_service *service_named(const struct nr_gateway_snapshot *before,
                                                struct nr_span name, uint32_t index)
{
    if (before == NULL)
        return NULL;
    if (index < before->service_count && nr_span_eq(before->services[index]->conf->name, name))
        return before->services[index];
    for (uint32_t i = 0; i < before->service_count; i++)
        if (nr_span_eq(before->services[i]->conf->name, name))
            return before->services[i];
    return NULL;
}

static enum nr_code make_services(struct nr_gateway_snapshot *snapshot,
                                  const struct nr_gateway_snapshot *before,
                                  struct nr_gateway_changes *changes, struct nr_err *err)
{
    const struct nr_services_conf *conf = nr_services_conf_of(snapshot->config);
    uint32_t known = 0;

    snapshot->services = zeroed(conf->count, sizeof(struct nr_gateway_service *));
    for (uint32_t i = 0; i < conf->count; i++) {
        const struct nr_service_conf *one = &conf->items[i];
        struct nr_gateway_service *old = service_named(before, one->name, i);

        if (old != NULL)
            known++;
        if (old != NULL && nr_section_equal(service_schema(), one, old->conf)) {
            snapshot->services[i] = nr_gateway_service_ref(old);
            changes->services_kept++;
        } else {
            if (service_new(one, &snapshot->services[i], err) != NR_OK)
                return err->code;
            if (old != NULL)
                changes->services_changed++;
            else
                changes->services_added++;
        }
        snapshot->service_count++;
    }
    changes->services_removed = before != NULL ? before->service_count - known : 0;
    return NR_OK;
}

static void find_stand_ins(struct nr_gateway_snapshot *snapshot)
{
    const struct nr_services_conf *conf = nr_services_conf_of(snapshot->config);

    snapshot->stand_ins = zeroed(conf->count, sizeof(*snapshot->stand_ins));
    for (uint32_t i = 0; i < conf->count; i++) {
        struct nr_span name = nr_service_stand_in(&conf->items[i]);

        snapshot->stand_ins[i] =
            name.len == 0 ? NR_ID_NONE : (uint32_t)(nr_service_conf_find(conf, name) - conf->items);
    }
}

/* ---- routes ---- */

static void compare_routes(const struct nr_gateway_conf *conf, const struct nr_gateway_conf *before,
                           struct nr_gateway_changes *changes)
{
    const struct nr_schema *schema = nr_schema_of(nr_gateway_conf_root.field.section, "routes");

    changes->routes = conf->route_count;
    changes->routes_before = before->route_count;
    for (uint32_t i = 0; i < conf->route_count && i < before->route_count; i++)
        changes->routes_kept += nr_span_eq(conf->routes[i].name, before->routes[i].name) &&
                                nr_section_equal(schema, &conf->routes[i], &before->routes[i]);
}

/* ---- listeners ---- */

static void take_listeners(struct nr_gateway_snapshot *snapshot,
                           const struct nr_gateway_snapshot *before,
                           struct nr_gateway_changes *changes)
{
    const struct nr_gateway_conf *conf = snapshot->conf;
    uint32_t kept = 0;

    snapshot->listeners = zeroed(conf->listen_count, sizeof(struct nr_gateway_listener *));
    for (uint32_t i = 0; i < conf->listen_count; i++) {
        struct nr_span text = conf->listen[i].address.text;

        for (uint32_t k = 0; before != NULL && k < before->conf->listen_count; k++) {
            struct nr_gateway_listener *old = before->listeners[k];

            if (old == NULL || !nr_span_eq(nr_span_of(old->text), text))
                continue;
            atomic_fetch_add_explicit(&old->refs, 1, memory_order_relaxed);
            snapshot->listeners[i] = old;
            kept++;
            break;
        }
    }
    changes->listeners_kept = kept;
    changes->listeners_added = conf->listen_count - kept;
    changes->listeners_removed = before != NULL ? before->conf->listen_count - kept : 0;
}

/* ---- all of it ---- */

enum nr_code nr_snapshot_new(struct nr_config *config, const struct nr_gateway_snapshot *before,
                             struct nr_gateway_snapshot **ret_snapshot,
                             struct nr_gateway_changes *changes, struct nr_err *err)
{
    struct nr_gateway_snapshot *snapshot = zeroed(1, sizeof(*snapshot));

    *changes = (struct nr_gateway_changes){0};
    atomic_init(&snapshot->refs, 1);
    snapshot->config = nr_config_ref(config);
    snapshot->conf = nr_gateway_conf_of(config);
    take_listeners(snapshot, before, changes);
    if (make_services(snapshot, before, changes, err) != NR_OK) {
        nr_snapshot_unref(snapshot);
        return err->code;
    }
    find_stand_ins(snapshot);
    snapshot->table = nr_routes_new(config);
    snapshot->router = snapshot->table->router;
    snapshot->routes = snapshot->table->items;
    snapshot->guards = nr_guards_new(snapshot, before != NULL ? before->guards : NULL);
    for (uint32_t i = 0; i < snapshot->conf->route_count; i++)
        atomic_init(&snapshot->routes[i].guard, nr_guards_of(snapshot->guards, i));
    if (before != NULL)
        compare_routes(snapshot->conf, before->conf, changes);
    *ret_snapshot = snapshot;
    return NR_OK;
}

struct nr_gateway_snapshot *nr_snapshot_ref(struct nr_gateway_snapshot *snapshot)
{
    atomic_fetch_add_explicit(&snapshot->refs, 1, memory_order_relaxed);
    return snapshot;
}

void nr_snapshot_unref(struct nr_gateway_snapshot *snapshot)
{
    if (snapshot == NULL ||
        atomic_fetch_sub_explicit(&snapshot->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < snapshot->service_count; i++)
        nr_gateway_service_unref(snapshot->services[i]);
    for (uint32_t i = 0; i < snapshot->conf->listen_count; i++)
        nr_gateway_listener_unref(snapshot->listeners[i]);
    free(snapshot->services);
    free(snapshot->stand_ins);
    free(snapshot->listeners);
    nr_routes_free(snapshot->table);
    nr_guards_free(snapshot->guards);
    nr_config_unref(snapshot->config);
    free(snapshot);
}

/* ---- ids ---- */

static struct nr_roster *roster_of(struct nr_gateway_ids *ids, uint32_t service)
{
    if (service >= ids->instances_cap) {
        uint32_t cap = service + 16;

        ids->instances = realloc(ids->instances, cap * sizeof(struct nr_roster *));
        nr_assert(ids->instances != NULL);
        memset(ids->instances + ids->instances_cap, 0,
               (cap - ids->instances_cap) * sizeof(struct nr_roster *));
        ids->instances_cap = cap;
    }
    if (ids->instances[service] == NULL)
        ids->instances[service] = nr_roster_new(INSTANCES_RETIRED_MAX);
    return ids->instances[service];
}

static void publish_service(struct nr_gateway_service *service, struct nr_gateway_ids *ids)
{
    uint32_t id = nr_intern_id(ids->services, service->conf->name);

    nr_assert(service->id == NR_ID_NONE || service->id == id);
    if (service->id == NR_ID_NONE) /* else workers read it already, and it is the same */
        service->id = id;
    nr_service_enrol(service->service, roster_of(ids, id));
}

void nr_snapshot_publish(struct nr_gateway_snapshot *snapshot, struct nr_gateway_ids *ids)
{
    nr_intern_begin(ids->services);
    nr_intern_begin(ids->routes);
    nr_intern_begin(ids->listeners);
    nr_limits_publish(snapshot->guards->limits, ids->limits);
    for (uint32_t i = 0; i < snapshot->service_count; i++)
        publish_service(snapshot->services[i], ids);
    for (uint32_t i = 0; i < snapshot->conf->route_count; i++)
        snapshot->routes[i].id = nr_intern_id(ids->routes, snapshot->conf->routes[i].name);
    for (uint32_t i = 0; i < snapshot->conf->listen_count; i++)
        if (snapshot->listeners[i] != NULL)
            snapshot->listeners[i]->id =
                nr_intern_id(ids->listeners, nr_span_of(snapshot->listeners[i]->text));
}
