/* SPDX-License-Identifier: Apache-2.0 */
/* config_diff.c - services, routes and listeners by name; the rest by its top-level section.
 *
 * Names are sorted, so that a hundred thousand routes are compared as fast as they are read. Routes
 * may share a name: then the first of one meets the first of the other, and so on. */
#include "admin/config_diff.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "config/section.h"
#include "gateway/gateway_conf.h"
#include "service/service_conf.h"

enum { NAMES_MAX = 1000 }; /* told; a list of more is for nobody to read */

/* clang-format off */

static const struct nr_admin_field names_fields[] = {
    {.name = "added", .type = NR_ADMIN_STRINGS, .doc = "Names that were not there."},
    {.name = "changed", .type = NR_ADMIN_STRINGS, .doc = "Names that mean something else now."},
    {.name = "removed", .type = NR_ADMIN_STRINGS, .doc = "Names that are gone."},
    {.name = "more", .type = NR_ADMIN_INTEGER, .optional = true, .doc = "So many more are not listed."},
};

static const struct nr_admin_shape names_shape = {
    "NameChanges", "What became of the names of one kind.", names_fields, NR_COUNT(names_fields)};

static const struct nr_admin_field diff_fields[] = {
    {.name = "services", .type = NR_ADMIN_OBJECT, .shape = &names_shape, .doc = "By name."},
    {.name = "routes", .type = NR_ADMIN_OBJECT, .shape = &names_shape, .doc = "By name, or path."},
    {.name = "listeners", .type = NR_ADMIN_OBJECT, .shape = &names_shape, .doc = "By address."},
    {.name = "sections", .type = NR_ADMIN_STRINGS, .doc = "Top-level sections in which anything is different."},
};

const struct nr_admin_shape nr_admin_config_diff_shape = {
    "ConfigChanges", "One configuration against another.", diff_fields, NR_COUNT(diff_fields)};

/* clang-format on */

struct named {
    struct nr_span name;
    const void *section;
    uint32_t place;
};

struct names {
    struct named *items;
    uint32_t count;
};

static int by_name(const void *left, const void *right)
{
    const struct named *a = left, *b = right;
    size_t len = a->name.len < b->name.len ? a->name.len : b->name.len;
    int order = len == 0 ? 0 : memcmp(a->name.ptr, b->name.ptr, len);

    if (order != 0)
        return order;
    if (a->name.len != b->name.len)
        return a->name.len < b->name.len ? -1 : 1;
    return a->place < b->place ? -1 : 1;
}

static struct names names_of(const void *sections, uint32_t count, size_t bytes,
                             struct nr_span (*name_of)(const void *section))
{
    struct names names = {calloc((size_t)count + 1, sizeof(struct named)), count};

    nr_assert(names.items != NULL);
    for (uint32_t i = 0; i < count; i++) {
        const void *section = (const char *)sections + i * bytes;

        names.items[i] = (struct named){name_of(section), section, i};
    }
    qsort(names.items, count, sizeof(*names.items), by_name);
    return names;
}

struct told {
    struct nr_json *added, *changed, *removed;
    uint32_t count;
};

static void tell(struct told *told, struct nr_json *list, struct nr_span name)
{
    if (told->count++ < NAMES_MAX)
        nr_json_push(list, nr_json_string(name));
}

static struct nr_json *told_json(const struct told *told)
{
    struct nr_json *json = nr_json_object();

    nr_json_set(json, "added", told->added);
    nr_json_set(json, "changed", told->changed);
    nr_json_set(json, "removed", told->removed);
    if (told->count > NAMES_MAX)
        nr_json_set(json, "more", nr_json_integer(told->count - NAMES_MAX));
    return json;
}

/* Takes both over. */
static struct nr_json *compare(const struct nr_schema *schema, struct names before,
                               struct names after)
{
    struct told told = {nr_json_array(), nr_json_array(), nr_json_array(), 0};
    uint32_t b = 0, a = 0;

    while (b < before.count || a < after.count) {
        const struct named *old = &before.items[b], *new = &after.items[a];
        int order = b == before.count                  ? 1
                    : a == after.count                 ? -1
                    : nr_span_eq(old->name, new->name) ? 0
                                                       : by_name(old, new);

        if (order < 0) {
            tell(&told, told.removed, old->name);
        } else if (order > 0) {
            tell(&told, told.added, new->name);
        } else if (!nr_section_equal(schema, old->section, new->section)) {
            tell(&told, told.changed, new->name);
        }
        b += order <= 0;
        a += order >= 0;
    }
    free(before.items);
    free(after.items);
    return told_json(&told);
}

/* ---- the kinds ---- */

static struct nr_span route_name(const void *section)
{
    return ((const struct nr_route_conf *)section)->name;
}

static struct nr_span listener_name(const void *section)
{
    return ((const struct nr_gateway_listen_conf *)section)->address.text;
}

static struct nr_span service_name(const void *section)
{
    return ((const struct nr_service_conf *)section)->name;
}

static struct names routes(const struct nr_config *config)
{
    const struct nr_gateway_conf *conf = nr_gateway_conf_of(config);

    return names_of(conf->routes, conf->route_count, sizeof(*conf->routes), route_name);
}

static struct names listeners(const struct nr_config *config)
{
    const struct nr_gateway_conf *conf = nr_gateway_conf_of(config);

    return names_of(conf->listen, conf->listen_count, sizeof(*conf->listen), listener_name);
}

static struct names services(const struct nr_config *config)
{
    const struct nr_services_conf *conf = nr_services_conf_of(config);

    return names_of(conf->items, conf->count, sizeof(*conf->items), service_name);
}

static struct nr_json *sections(const struct nr_config *before, const struct nr_config *after)
{
    struct nr_json *list = nr_json_array();

    for (uint32_t i = 0; i < nr_config_root_count(after); i++) {
        const struct nr_schema_root *root = nr_config_root(after, i);

        if (!nr_section_root_equal(root, nr_config_get(before, root), nr_config_get(after, root)))
            nr_json_push(list, nr_json_string(nr_span_of(root->field.name)));
    }
    return list;
}

struct nr_json *nr_admin_config_diff(const struct nr_config *before, const struct nr_config *after)
{
    const struct nr_schema *gateway = nr_gateway_conf_root.field.section;
    const struct nr_schema *service = nr_services_conf_root.field.section;
    struct nr_json *json = nr_json_object();

    nr_json_set(json, "services", compare(service, services(before), services(after)));
    nr_json_set(json, "routes",
                compare(nr_schema_of(gateway, "routes"), routes(before), routes(after)));
    nr_json_set(json, "listeners",
                compare(nr_schema_of(gateway, "listen"), listeners(before), listeners(after)));
    nr_json_set(json, "sections", sections(before, after));
    return json;
}
