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
    cells->services = zeroed(names->service_count + 1, sizeof(struct nr_service_cells *));
    cells->tcp = zeroed(names->service_count + 1, sizeof(*cells->tcp));
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

static void free_service(struct nr_service_cells *service)
{
    if (service == NULL)
        return;
    free(service->duration_us);
    for (uint32_t chunk = 0; chunk < NR_ROSTER_CHUNKS; chunk++) {
        for (uint32_t i = 0; service->chunks[chunk] != NULL && i < nr_roster_chunk_places(chunk);
             i++)
            free_instance(service->chunks[chunk][i]);
        free(service->chunks[chunk]);
    }
    free(service);
}

static void free_tables(struct nr_cells *cells)
{
    free(cells->routes);
    free(cells->services);
    free(cells->tcp);
    free(cells);
}

void nr_cells_free(struct nr_cells *cells)
{
    if (cells == NULL)
        return;
    for (uint32_t i = 0; i < nr_cells_route_rows(cells->names); i++)
        free_route(cells->routes[i]);
    for (uint32_t i = 0; i < cells->names->service_count; i++)
        free_service(cells->services[i]);
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

/* Does this service's id mean the same service, with the same roster, in both? */
static bool same_service(const struct nr_cells *to, const struct nr_cells *from, uint32_t service)
{
    const struct nr_observe_service *left = &to->names->services[service];
    const struct nr_observe_service *right = &from->names->services[service];

    return service < to->names->service_count && service < from->names->service_count &&
           left->name.ptr == right->name.ptr && left->instances == right->instances;
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

void nr_cells_adopt(struct nr_cells *to, const struct nr_cells *from)
{
    for (uint32_t i = 0; i < nr_cells_route_rows(from->names); i++) {
        uint32_t at = same_route(to, from, i);

        if (at != UINT32_MAX)
            to->routes[at] = from->routes[i];
    }
    for (uint32_t i = 0; i < from->names->service_count; i++)
        if (same_service(to, from, i))
            to->services[i] = from->services[i];
    merge_tcp(to, from);
    memcpy(to->reasons, from->reasons, sizeof(to->reasons));
    memcpy(to->refusals, from->refusals, sizeof(to->refusals));
    to->tunnels = from->tunnels;
    to->retries = from->retries;
}

void nr_cells_free_adopted(struct nr_cells *from, const struct nr_cells *to)
{
    for (uint32_t i = 0; i < nr_cells_route_rows(from->names); i++)
        if (same_route(to, from, i) == UINT32_MAX)
            free_route(from->routes[i]);
    for (uint32_t i = 0; i < from->names->service_count; i++)
        if (!same_service(to, from, i))
            free_service(from->services[i]);
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

/* NULL: not used yet. */
static struct nr_instance_cells *row_at(const struct nr_cells *cells, uint32_t service,
                                        uint32_t place)
{
    const struct nr_service_cells *of;
    struct nr_instance_cells **rows;
    uint32_t chunk = nr_roster_chunk(place);

    if (service >= cells->names->service_count || place >= NR_ROSTER_PLACES_MAX)
        return NULL;
    of = __atomic_load_n(&cells->services[service], __ATOMIC_ACQUIRE);
    rows = of != NULL ? __atomic_load_n(&of->chunks[chunk], __ATOMIC_ACQUIRE) : NULL;
    if (rows == NULL)
        return NULL;
    return __atomic_load_n(&rows[place - nr_roster_chunk_first(chunk)], __ATOMIC_ACQUIRE);
}

static uint32_t id_of(const struct nr_instance_cells *row)
{
    return __atomic_load_n(&row->id, __ATOMIC_ACQUIRE);
}

const struct nr_instance_cells *nr_cells_of_instance(const struct nr_cells *cells, uint32_t service,
                                                     uint32_t instance)
{
    const struct nr_instance_cells *row = row_at(cells, service, nr_roster_place(instance));

    return row != NULL && id_of(row) == instance ? row : &no_instance;
}

static struct nr_route_cells *use_route(struct nr_cells *cells, uint32_t row)
{
    if (nr_unlikely(cells->routes[row] == NULL))
        __atomic_store_n(&cells->routes[row], zeroed(1, sizeof(struct nr_route_cells)),
                         __ATOMIC_RELEASE);
    return cells->routes[row];
}

static struct nr_service_cells *use_service(struct nr_cells *cells, uint32_t service)
{
    if (nr_unlikely(cells->services[service] == NULL))
        __atomic_store_n(&cells->services[service], zeroed(1, sizeof(struct nr_service_cells)),
                         __ATOMIC_RELEASE);
    return cells->services[service];
}

static struct nr_instance_cells *make_row(struct nr_cells *cells, uint32_t service, uint32_t id)
{
    uint32_t place = nr_roster_place(id), chunk = nr_roster_chunk(place);
    struct nr_service_cells *of = use_service(cells, service);
    struct nr_instance_cells *row = zeroed(1, sizeof(*row)), **rows;

    rows = of->chunks[chunk];
    if (rows == NULL) {
        rows = zeroed(nr_roster_chunk_places(chunk), sizeof(struct nr_instance_cells *));
        __atomic_store_n(&of->chunks[chunk], rows, __ATOMIC_RELEASE);
    }
    row->id = id;
    __atomic_store_n(&rows[place - nr_roster_chunk_first(chunk)], row, __ATOMIC_RELEASE);
    return row;
}

static void empty(uint64_t *cells, size_t count)
{
    for (size_t i = 0; i < count; i++)
        __atomic_store_n(&cells[i], 0, __ATOMIC_RELEASE);
}

/* The row's place has another name now. A reader that saw the one id before and the same id after
 * has seen nothing of this. */
static void begin_anew(struct nr_instance_cells *row, uint32_t id)
{
    __atomic_store_n(&row->id, NR_ID_NONE, __ATOMIC_RELAXED);
    empty(row->results, NR_ATTEMPT_RESULTS);
    empty(row->answers, NR_CLASSES);
    empty(&row->reused, 1);
    if (row->duration_us != NULL) {
        empty(row->duration_us->buckets, NR_HIST_BUCKETS);
        empty(&row->duration_us->sum, 1);
        empty(&row->duration_us->count, 1);
    }
    __atomic_store_n(&row->id, id, __ATOMIC_RELEASE);
}

/* Of two ids at one place: which was given first? */
static bool is_older(uint32_t id, uint32_t than)
{
    return (int16_t)(uint16_t)((id >> 16) - (than >> 16)) < 0;
}

/* NULL: the row belongs to somebody who came later, or there can be none. */
static struct nr_instance_cells *use_instance(struct nr_cells *cells, uint32_t service, uint32_t id)
{
    struct nr_instance_cells *row;

    if (nr_unlikely(service >= cells->names->service_count ||
                    nr_roster_place(id) >= NR_ROSTER_PLACES_MAX))
        return NULL;
    row = row_at(cells, service, nr_roster_place(id));
    if (nr_unlikely(row == NULL))
        return make_row(cells, service, id);
    if (nr_unlikely(row->id != id)) {
        if (is_older(id, row->id))
            return NULL;
        begin_anew(row, id);
    }
    return row;
}

uint32_t nr_cells_route(const struct nr_cells *cells, uint32_t route)
{
    const struct nr_observe_names *names = cells->names;

    if (route < names->counted_routes)
        return route;
    return names->counted_routes + (route < names->route_count);
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
    struct nr_instance_cells *row = use_instance(cells, service, attempt->instance);
    uint32_t result = attempt->result < NR_ATTEMPT_RESULTS ? attempt->result : NR_ATTEMPT_NONE;

    if (nr_unlikely(row == NULL))
        return;
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

/* A tunnel's length is its users' business; it would drown the answers' times. */
static bool is_timed(const struct nr_record *record)
{
    return (record->flags & NR_RECORD_TUNNEL) == 0;
}

static void count_of_service(struct nr_cells *cells, const struct nr_record *record)
{
    struct nr_service_cells *row;

    if (record->service >= cells->names->service_count)
        return;
    row = use_service(cells, record->service);
    nr_cell_add(&row->requests[nr_status_class(record->status)], 1);
    if (is_timed(record))
        add_duration(&row->duration_us, record->total_us);
}

static void count_request(struct nr_cells *cells, const struct nr_record *record)
{
    struct nr_route_cells *row = use_route(cells, nr_cells_route(cells, record->route));
    uint32_t method = record->method < NR_METHODS ? record->method : NR_METHOD_OTHER;

    nr_cell_add(&row->requests[method][nr_status_class(record->status)], 1);
    nr_cell_add(&row->received_bytes, record->received_bytes);
    nr_cell_add(&row->sent_bytes, record->sent_bytes);
    count_of_service(cells, record);
    if (is_timed(record))
        add_duration(&row->duration_us, record->total_us);
    else
        nr_cell_add(&cells->tunnels, 1);
}

/* The first attempt on a service that stands in repeats nothing. */
static uint32_t repeats_of(const struct nr_record *record, uint32_t kept)
{
    uint32_t repeats = record->attempt_count - 1u;

    for (uint32_t i = 1; i < kept; i++)
        repeats -= record->attempts[i].hop != record->attempts[i - 1].hop;
    return repeats;
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
        count_attempt(cells, nr_record_service_of(record, &record->attempts[i]),
                      &record->attempts[i]);
    if (record->attempt_count > 1)
        nr_cell_add(&cells->retries, repeats_of(record, kept));
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

static void merge_route(struct nr_cells *to, const struct nr_cells *from, uint32_t row)
{
    uint32_t at = same_route(to, from, row);
    const struct nr_route_cells *cells = nr_cells_of_route(from, row);
    struct nr_route_cells *sum = use_route(to, at != UINT32_MAX ? at : to->names->counted_routes);

    merge(&sum->requests[0][0], &cells->requests[0][0], (size_t)NR_METHODS * NR_CLASSES);
    merge(&sum->received_bytes, &cells->received_bytes, 1);
    merge(&sum->sent_bytes, &cells->sent_bytes, 1);
    merge_duration(&sum->duration_us, &cells->duration_us);
}

static void add_instance(struct nr_instance_cells *to, const struct nr_instance_cells *from)
{
    merge(to->results, from->results, NR_ATTEMPT_RESULTS);
    merge(to->answers, from->answers, NR_CLASSES);
    merge(&to->reused, &from->reused, 1);
    merge_duration(&to->duration_us, &from->duration_us);
}

/* The row may be emptied while it is read: then it has no name, or another, afterwards. */
static void merge_instance(struct nr_cells *to, const struct nr_instance_cells *from,
                           uint32_t service, uint32_t id)
{
    struct nr_instance_cells copy = {.id = NR_ID_NONE}, *sum;

    if (id == NR_ID_NONE || id_of(from) != id)
        return;
    add_instance(&copy, from);
    sum = id_of(from) == id ? use_instance(to, service, id) : NULL;
    if (sum != NULL)
        add_instance(sum, &copy);
    free(copy.duration_us);
}

static void merge_service(struct nr_cells *to, const struct nr_cells *from, uint32_t service)
{
    const struct nr_service_cells *cells =
        __atomic_load_n(&from->services[service], __ATOMIC_ACQUIRE);
    const struct nr_roster *roster = from->names->services[service].instances;
    uint32_t count = roster != NULL ? nr_roster_count(roster) : 0;

    if (cells == NULL)
        return;
    merge(use_service(to, service)->requests, cells->requests, NR_CLASSES);
    merge_duration(&use_service(to, service)->duration_us, &cells->duration_us);

    for (uint32_t place = 0; place < count; place++) {
        const struct nr_instance_cells *row = row_at(from, service, place);

        if (row != NULL)
            merge_instance(to, row, service, nr_roster_at(roster, place));
    }
}

void nr_cells_merge(struct nr_cells *to, const struct nr_cells *from)
{
    for (uint32_t i = 0; i < nr_cells_route_rows(from->names); i++)
        if (__atomic_load_n(&from->routes[i], __ATOMIC_RELAXED) != NULL)
            merge_route(to, from, i);
    for (uint32_t i = 0; i < from->names->service_count; i++)
        if (same_service(to, from, i))
            merge_service(to, from, i);
    merge_tcp(to, from);
    merge(to->reasons, from->reasons, NR_REASONS);
    merge(to->refusals, from->refusals, NR_H1_REASONS);
    merge(&to->tunnels, &from->tunnels, 1);
    merge(&to->retries, &from->retries, 1);
}
