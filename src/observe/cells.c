/* SPDX-License-Identifier: Apache-2.0 */
#include "observe/cells.h"

#include <stdlib.h>

#include "base/assert.h"

static void *zeroed(size_t count, size_t bytes)
{
    void *memory = calloc(count, bytes);

    nr_assert(memory != NULL);
    return memory;
}

struct nr_cells *nr_cells_new(const struct nr_observe_names *names)
{
    struct nr_cells *cells = zeroed(1, sizeof(*cells));

    cells->names = names;
    cells->routes = zeroed(names->route_count + 1, sizeof(*cells->routes));
    cells->first_instance = zeroed(names->service_count + 1, sizeof(*cells->first_instance));
    for (uint32_t i = 0; i < names->service_count; i++) {
        cells->first_instance[i] = cells->instance_count;
        cells->instance_count += names->services[i].instance_count;
    }
    cells->instances = zeroed(cells->instance_count + 1, sizeof(*cells->instances));
    return cells;
}

void nr_cells_free(struct nr_cells *cells)
{
    if (cells == NULL)
        return;
    for (uint32_t i = 0; i <= cells->names->route_count; i++)
        free(cells->routes[i].duration_us);
    for (uint32_t i = 0; i <= cells->instance_count; i++)
        free(cells->instances[i].duration_us);
    free(cells->routes);
    free(cells->instances);
    free(cells->first_instance);
    free(cells);
}

uint32_t nr_cells_route(const struct nr_cells *cells, uint32_t route)
{
    return route < cells->names->route_count ? route : cells->names->route_count;
}

uint32_t nr_cells_instance(const struct nr_cells *cells, uint32_t service, uint32_t instance)
{
    const struct nr_observe_names *names = cells->names;

    if (service >= names->service_count || instance >= names->services[service].instance_count)
        return cells->instance_count;
    return cells->first_instance[service] + instance;
}

static void add_duration(struct nr_hist **at, uint64_t value_us)
{
    if (*at == NULL)
        __atomic_store_n(at, zeroed(1, sizeof(struct nr_hist)), __ATOMIC_RELEASE);
    nr_hist_add(*at, value_us);
}

static void count_attempt(struct nr_cells *cells, uint32_t service,
                          const struct nr_record_attempt *attempt)
{
    struct nr_instance_cells *row =
        &cells->instances[nr_cells_instance(cells, service, attempt->instance)];
    uint32_t result = attempt->result < NR_ATTEMPT_RESULTS ? attempt->result : NR_ATTEMPT_NONE;

    nr_cell_add(&row->results[result], 1);
    if (attempt->reused != 0)
        nr_cell_add(&row->reused, 1);
    if (result == NR_ATTEMPT_ANSWERED) {
        nr_cell_add(&row->answers[nr_status_class(attempt->status)], 1);
        add_duration(&row->duration_us, attempt->took_us);
    }
}

void nr_cells_count(struct nr_cells *cells, const struct nr_record *record)
{
    struct nr_route_cells *row = &cells->routes[nr_cells_route(cells, record->route)];
    uint32_t method = record->method < NR_METHODS ? record->method : NR_METHOD_OTHER;
    uint32_t kept =
        record->attempt_count < NR_RECORD_ATTEMPTS ? record->attempt_count : NR_RECORD_ATTEMPTS;

    nr_cell_add(&row->requests[method][nr_status_class(record->status)], 1);
    nr_cell_add(&row->received_bytes, record->received_bytes);
    nr_cell_add(&row->sent_bytes, record->sent_bytes);
    /* A tunnel's length is its users' business; it would drown the answers' times. */
    if ((record->flags & NR_RECORD_TUNNEL) == 0)
        add_duration(&row->duration_us, record->total_us);
    else
        nr_cell_add(&cells->tunnels, 1);
    for (uint32_t i = 0; i < kept; i++)
        count_attempt(cells, record->service, &record->attempts[i]);
    if (record->attempt_count > 1)
        nr_cell_add(&cells->retries, record->attempt_count - 1u);
    if (record->reason < NR_REASONS)
        nr_cell_add(&cells->reasons[record->reason], 1);
    if (record->reason == NR_REASON_BAD_REQUEST && record->refusal < NR_H1_REASONS)
        nr_cell_add(&cells->refusals[record->refusal], 1);
}

static void merge(uint64_t *to, const uint64_t *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] += nr_cell_get(&from[i]);
}

static void merge_duration(struct nr_hist **to, struct nr_hist *const *at)
{
    const struct nr_hist *from = __atomic_load_n(at, __ATOMIC_ACQUIRE);

    if (from == NULL)
        return;
    if (*to == NULL)
        *to = zeroed(1, sizeof(struct nr_hist));
    nr_hist_merge(*to, from);
}

void nr_cells_merge(struct nr_cells *to, const struct nr_cells *from)
{
    for (uint32_t i = 0; i <= from->names->route_count; i++) {
        merge(&to->routes[i].requests[0][0], &from->routes[i].requests[0][0],
              (size_t)NR_METHODS * NR_CLASSES);
        merge(&to->routes[i].received_bytes, &from->routes[i].received_bytes, 1);
        merge(&to->routes[i].sent_bytes, &from->routes[i].sent_bytes, 1);
        merge_duration(&to->routes[i].duration_us, &from->routes[i].duration_us);
    }
    for (uint32_t i = 0; i <= from->instance_count; i++) {
        merge(to->instances[i].results, from->instances[i].results, NR_ATTEMPT_RESULTS);
        merge(to->instances[i].answers, from->instances[i].answers, NR_CLASSES);
        merge(&to->instances[i].reused, &from->instances[i].reused, 1);
        merge_duration(&to->instances[i].duration_us, &from->instances[i].duration_us);
    }
    merge(to->reasons, from->reasons, NR_REASONS);
    merge(to->refusals, from->refusals, NR_H1_REASONS);
    merge(&to->tunnels, &from->tunnels, 1);
    merge(&to->retries, &from->retries, 1);
}
