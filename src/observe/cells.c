/* SPDX-License-Identifier: Apache-2.0 */
#include "observe/cells.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/compiler.h"

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
    cells->routes = zeroed(nr_cells_route_rows(names), sizeof(struct nr_route_cells *));
    cells->tcp = zeroed(names->service_count + 1, sizeof(*cells->tcp));
    cells->first_instance = zeroed(names->service_count + 1, sizeof(*cells->first_instance));
    for (uint32_t i = 0; i < names->service_count; i++) {
        cells->first_instance[i] = cells->instance_count;
        cells->instance_count += names->services[i].instance_count;
    }
    cells->instances = zeroed(cells->instance_count + 1, sizeof(struct nr_instance_cells *));
    return cells;
}

static void free_route(struct nr_route_cells *row)
{
    if (row == NULL)
        return;
    free(row->duration_us);
    free(row);
}

static void free_instance(struct nr_instance_cells *row)
{
    if (row == NULL)
        return;
    free(row->duration_us);
    free(row);
}

static void free_tables(struct nr_cells *cells)
{
    free(cells->routes);
    free(cells->instances);
    free(cells->first_instance);
    free(cells->tcp);
    free(cells);
}

void nr_cells_free(struct nr_cells *cells)
{
    if (cells == NULL)
        return;
    for (uint32_t i = 0; i < nr_cells_route_rows(cells->names); i++)
        free_route(cells->routes[i]);
    for (uint32_t i = 0; i <= cells->instance_count; i++)
        free_instance(cells->instances[i]);
    free_tables(cells);
}

/* ---- other names ---- */

/* The row of `to` for the same route; UINT32_MAX: it means something else there. */
static uint32_t same_route(const struct nr_cells *to, const struct nr_cells *from, uint32_t row)
{
    if (row >= from->names->counted_routes)
        return to->names->counted_routes + (row - from->names->counted_routes);
    if (row >= to->names->counted_routes ||
        to->names->routes[row].ptr != from->names->routes[row].ptr)
        return UINT32_MAX;
    return row;
}

static uint32_t same_instance(const struct nr_cells *to, const struct nr_cells *from,
                              uint32_t service, uint32_t instance)
{
    const struct nr_observe_service *left, *right;

    if (service >= to->names->service_count)
        return UINT32_MAX;
    left = &to->names->services[service];
    right = &from->names->services[service];
    if (left->name.ptr != right->name.ptr || instance >= left->instance_count ||
        left->instances[instance].ptr != right->instances[instance].ptr)
        return UINT32_MAX;
    return to->first_instance[service] + instance;
}

enum { TCP_CELLS = sizeof(struct nr_tcp_cells) / sizeof(uint64_t) };

static void merge(uint64_t *to, const uint64_t *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] += nr_cell_get(&from[i]);
}

/* What means another service in `to`, or none, goes to the last row. */
static void merge_tcp(struct nr_cells *to, const struct nr_cells *from)
{
    uint32_t known = to->names->service_count;

    for (uint32_t i = 0; i <= from->names->service_count; i++) {
        bool same = i < known && i < from->names->service_count &&
                    to->names->services[i].name.ptr == from->names->services[i].name.ptr;

        merge(&to->tcp[same ? i : known].connections, &from->tcp[i].connections, TCP_CELLS);
    }
}

/* For every row of `from`: its row in `to`. */
static void each_row(const struct nr_cells *to, const struct nr_cells *from, void *ctx,
                     void (*route)(void *ctx, uint32_t row, uint32_t at),
                     void (*instance)(void *ctx, uint32_t row, uint32_t at))
{
    for (uint32_t i = 0; i < nr_cells_route_rows(from->names); i++)
        if (__atomic_load_n(&from->routes[i], __ATOMIC_RELAXED) != NULL)
            route(ctx, i, same_route(to, from, i));
    for (uint32_t s = 0; s < from->names->service_count; s++)
        for (uint32_t i = 0; i < from->names->services[s].instance_count; i++)
            if (__atomic_load_n(&from->instances[from->first_instance[s] + i], __ATOMIC_RELAXED) !=
                NULL)
                instance(ctx, from->first_instance[s] + i, same_instance(to, from, s, i));
    if (__atomic_load_n(&from->instances[from->instance_count], __ATOMIC_RELAXED) != NULL)
        instance(ctx, from->instance_count, to->instance_count);
}

struct moving {
    struct nr_cells *to;
    struct nr_cells *from;
};

static void adopt_route(void *ctx, uint32_t row, uint32_t at)
{
    const struct moving *m = ctx;

    if (at != UINT32_MAX)
        m->to->routes[at] = m->from->routes[row];
}

static void adopt_instance(void *ctx, uint32_t row, uint32_t at)
{
    const struct moving *m = ctx;

    if (at != UINT32_MAX)
        m->to->instances[at] = m->from->instances[row];
}

void nr_cells_adopt(struct nr_cells *to, const struct nr_cells *from)
{
    struct moving m = {to, (struct nr_cells *)from};

    each_row(to, from, &m, adopt_route, adopt_instance);
    merge_tcp(to, from);
    memcpy(to->reasons, from->reasons, sizeof(to->reasons));
    memcpy(to->refusals, from->refusals, sizeof(to->refusals));
    to->tunnels = from->tunnels;
    to->retries = from->retries;
}

static void drop_route(void *ctx, uint32_t row, uint32_t at)
{
    const struct moving *m = ctx;

    if (at == UINT32_MAX)
        free_route(m->from->routes[row]);
}

static void drop_instance(void *ctx, uint32_t row, uint32_t at)
{
    const struct moving *m = ctx;

    if (at == UINT32_MAX)
        free_instance(m->from->instances[row]);
}

void nr_cells_free_adopted(struct nr_cells *from, const struct nr_cells *to)
{
    struct moving m = {NULL, from};

    each_row(to, from, &m, drop_route, drop_instance);
    free_tables(from);
}

/* ---- rows ---- */

static const struct nr_route_cells no_route;
static const struct nr_instance_cells no_instance;

const struct nr_route_cells *nr_cells_of_route(const struct nr_cells *cells, uint32_t row)
{
    const struct nr_route_cells *at = __atomic_load_n(&cells->routes[row], __ATOMIC_ACQUIRE);

    return at != NULL ? at : &no_route;
}

const struct nr_instance_cells *nr_cells_of_instance(const struct nr_cells *cells, uint32_t row)
{
    const struct nr_instance_cells *at = __atomic_load_n(&cells->instances[row], __ATOMIC_ACQUIRE);

    return at != NULL ? at : &no_instance;
}

static struct nr_route_cells *use_route(struct nr_cells *cells, uint32_t row)
{
    if (nr_unlikely(cells->routes[row] == NULL))
        __atomic_store_n(&cells->routes[row], zeroed(1, sizeof(struct nr_route_cells)),
                         __ATOMIC_RELEASE);
    return cells->routes[row];
}

static struct nr_instance_cells *use_instance(struct nr_cells *cells, uint32_t row)
{
    if (nr_unlikely(cells->instances[row] == NULL))
        __atomic_store_n(&cells->instances[row], zeroed(1, sizeof(struct nr_instance_cells)),
                         __ATOMIC_RELEASE);
    return cells->instances[row];
}

uint32_t nr_cells_route(const struct nr_cells *cells, uint32_t route)
{
    const struct nr_observe_names *names = cells->names;

    if (route < names->counted_routes)
        return route;
    return names->counted_routes + (route < names->route_count);
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
        use_instance(cells, nr_cells_instance(cells, service, attempt->instance));
    uint32_t result = attempt->result < NR_ATTEMPT_RESULTS ? attempt->result : NR_ATTEMPT_NONE;

    nr_cell_add(&row->results[result], 1);
    if (attempt->reused != 0)
        nr_cell_add(&row->reused, 1);
    if (result == NR_ATTEMPT_ANSWERED) {
        nr_cell_add(&row->answers[nr_status_class(attempt->status)], 1);
        add_duration(&row->duration_us, attempt->took_us);
    }
}

static void count_tcp(struct nr_cells *cells, const struct nr_record *record)
{
    uint32_t count = cells->names->service_count;
    struct nr_tcp_cells *row = &cells->tcp[record->service < count ? record->service : count];

    nr_cell_add(&row->connections, 1);
    nr_cell_add(&row->failed, record->reason != NR_REASON_NONE);
    nr_cell_add(&row->received_bytes, record->received_bytes);
    nr_cell_add(&row->sent_bytes, record->sent_bytes);
}

static void count_request(struct nr_cells *cells, const struct nr_record *record)
{
    struct nr_route_cells *row = use_route(cells, nr_cells_route(cells, record->route));
    uint32_t method = record->method < NR_METHODS ? record->method : NR_METHOD_OTHER;

    nr_cell_add(&row->requests[method][nr_status_class(record->status)], 1);
    nr_cell_add(&row->received_bytes, record->received_bytes);
    nr_cell_add(&row->sent_bytes, record->sent_bytes);
    /* A tunnel's length is its users' business; it would drown the answers' times. */
    if ((record->flags & NR_RECORD_TUNNEL) == 0)
        add_duration(&row->duration_us, record->total_us);
    else
        nr_cell_add(&cells->tunnels, 1);
}

void nr_cells_count(struct nr_cells *cells, const struct nr_record *record)
{
    uint32_t kept =
        record->attempt_count < NR_RECORD_ATTEMPTS ? record->attempt_count : NR_RECORD_ATTEMPTS;

    if ((record->flags & NR_RECORD_TCP) != 0)
        count_tcp(cells, record);
    else
        count_request(cells, record);
    for (uint32_t i = 0; i < kept; i++)
        count_attempt(cells, record->service, &record->attempts[i]);
    if (record->attempt_count > 1)
        nr_cell_add(&cells->retries, record->attempt_count - 1u);
    if (record->reason < NR_REASONS)
        nr_cell_add(&cells->reasons[record->reason], 1);
    if (record->reason == NR_REASON_BAD_REQUEST && record->refusal < NR_H1_REASONS)
        nr_cell_add(&cells->refusals[record->refusal], 1);
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

static void merge_route(void *ctx, uint32_t row, uint32_t at)
{
    const struct moving *m = ctx;
    const struct nr_route_cells *from = nr_cells_of_route(m->from, row);
    struct nr_route_cells *to = use_route(
        m->to, at < nr_cells_route_rows(m->to->names) ? at : m->to->names->counted_routes);

    merge(&to->requests[0][0], &from->requests[0][0], (size_t)NR_METHODS * NR_CLASSES);
    merge(&to->received_bytes, &from->received_bytes, 1);
    merge(&to->sent_bytes, &from->sent_bytes, 1);
    merge_duration(&to->duration_us, &from->duration_us);
}

static void merge_instance(void *ctx, uint32_t row, uint32_t at)
{
    const struct moving *m = ctx;
    const struct nr_instance_cells *from = nr_cells_of_instance(m->from, row);
    struct nr_instance_cells *to =
        use_instance(m->to, at < m->to->instance_count ? at : m->to->instance_count);

    merge(to->results, from->results, NR_ATTEMPT_RESULTS);
    merge(to->answers, from->answers, NR_CLASSES);
    merge(&to->reused, &from->reused, 1);
    merge_duration(&to->duration_us, &from->duration_us);
}

void nr_cells_merge(struct nr_cells *to, const struct nr_cells *from)
{
    struct moving m = {to, (struct nr_cells *)from};

    each_row(to, from, &m, merge_route, merge_instance);
    merge_tcp(to, from);
    merge(to->reasons, from->reasons, NR_REASONS);
    merge(to->refusals, from->refusals, NR_H1_REASONS);
    merge(&to->tunnels, &from->tunnels, 1);
    merge(&to->retries, &from->retries, 1);
}
