/* SPDX-License-Identifier: Apache-2.0 */
#include "observe/names.h"

#include <stdlib.h>

#include "base/assert.h"

static struct nr_span *texts_of(const struct nr_intern *table, uint32_t *ret_count)
{
    uint32_t count = nr_intern_count(table);
    struct nr_span *texts = calloc(count + 1, sizeof(*texts));

    nr_assert(texts != NULL);
    for (uint32_t i = 0; i < count; i++)
        texts[i] = nr_intern_text(table, i);
    *ret_count = count;
    return texts;
}

struct nr_observe_names *nr_observe_names_new(const struct nr_gateway *gateway,
                                              const struct nr_observe_conf *conf)
{
    struct nr_gateway_names from = nr_gateway_names(gateway);
    struct nr_observe_names *names = calloc(1, sizeof(*names));
    uint32_t count = nr_intern_count(from.services);
    struct nr_observe_service *services = calloc(count + 1, sizeof(*services));

    nr_assert(names != NULL && services != NULL);
    names->routes = texts_of(from.routes, &names->route_count);
    names->limits = texts_of(from.limits, &names->limit_count);
    names->counted_routes =
        names->route_count < conf->max_metric_routes ? names->route_count : conf->max_metric_routes;
    names->log = nr_log_rules_new(&conf->access_log);
    names->service_count = count;
    names->services = services;
    for (uint32_t i = 0; i < count; i++) {
        services[i].name = nr_intern_text(from.services, i);
        services[i].instances = from.instances[i];
    }
    return names;
}

void nr_observe_names_free(struct nr_observe_names *names)
{
    if (names == NULL)
        return;
    free((void *)names->services);
    free((void *)names->routes);
    free((void *)names->limits);
    free((void *)names->log);
    free(names);
}

static bool same_texts(const struct nr_span *a, uint32_t a_count, const struct nr_span *b,
                       uint32_t b_count)
{
    if (a_count != b_count)
        return false;
    for (uint32_t i = 0; i < a_count; i++)
        if (a[i].ptr != b[i].ptr)
            return false;
    return true;
}

bool nr_observe_names_same(const struct nr_observe_names *a, const struct nr_observe_names *b)
{
    if (!same_texts(a->routes, a->route_count, b->routes, b->route_count) ||
        !same_texts(a->limits, a->limit_count, b->limits, b->limit_count) ||
        a->counted_routes != b->counted_routes || a->service_count != b->service_count ||
        !nr_log_rules_equal(a->log, b->log))
        return false;
    for (uint32_t i = 0; i < a->service_count; i++)
        if (a->services[i].name.ptr != b->services[i].name.ptr ||
            a->services[i].instances != b->services[i].instances)
            return false;
    return true;
}
