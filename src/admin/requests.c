/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/requests.h"

#include <stdio.h>
#include <stdlib.h>

#include "admin/pages.h"
#include "base/assert.h"
#include "config/units.h"
#include "observe/access_log.h"
#include "observe/record_json.h"
#include "observe/timestamp.h"

/* ---- what is asked for ---- */

static int hex_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = nr_ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The value of a parameter, escapes decoded; false when it is longer than any name. */
static bool value_of(struct nr_span query, struct nr_span name, char to[NR_ADMIN_NAME_BYTES])
{
    struct nr_span text = nr_admin_param(query, name);
    size_t len = 0;

    for (size_t i = 0; i < text.len; i++) {
        bool escape = text.ptr[i] == '%' && i + 2 < text.len && hex_of(text.ptr[i + 1]) >= 0 &&
                      hex_of(text.ptr[i + 2]) >= 0;

        if (len == NR_ADMIN_NAME_BYTES - 1)
            return false;
        to[len++] =
            escape ? (char)(hex_of(text.ptr[i + 1]) << 4 | hex_of(text.ptr[i + 2])) : text.ptr[i];
        i += escape ? 2 : 0;
    }
    to[len] = '\0';
    return true;
}

enum nr_code nr_admin_filter_parse(struct nr_span query, struct nr_admin_filter *ret_filter,
                                   struct nr_err *err)
{
    struct nr_admin_filter filter = {.limit = NR_ADMIN_REQUESTS_DEFAULT};
    struct nr_span limit = nr_admin_param(query, NR_SPAN("limit"));
    struct nr_span status = nr_admin_param(query, NR_SPAN("status"));
    struct nr_span failed = nr_admin_param(query, NR_SPAN("failed"));
    uint64_t number = 0;

    if (limit.len > 0 && (!nr_units_integer(limit, 10, &number) || number == 0))
        return nr_err_set(err, NR_EINVAL, "limit: expected a number from 1 to %d",
                          NR_ADMIN_REQUESTS_MAX);
    if (limit.len > 0)
        filter.limit =
            number < NR_ADMIN_REQUESTS_MAX ? (uint32_t)number : (uint32_t)NR_ADMIN_REQUESTS_MAX;
    if (status.len > 0 && !nr_units_status(status, &filter.status))
        return nr_err_set(err, NR_EINVAL, "status: expected 503, 5xx or 500-504");
    if (!value_of(query, NR_SPAN("reason"), filter.reason) ||
        !value_of(query, NR_SPAN("service"), filter.service) ||
        !value_of(query, NR_SPAN("route"), filter.route))
        return nr_err_set(err, NR_EINVAL, "no name is longer than %d bytes",
                          NR_ADMIN_NAME_BYTES - 1);
    filter.failed = failed.len > 0 && !nr_span_eq(failed, NR_SPAN("0"));
    *ret_filter = filter;
    return NR_OK;
}

/* ---- who passes ---- */

static bool name_fits(const char *wanted, struct nr_span name)
{
    return wanted[0] == '\0' || nr_span_eq(nr_span_of(wanted), name);
}

static bool passes(const struct nr_admin_filter *filter, const struct nr_observe_names *names,
                   const struct nr_record *record)
{
    if (filter->failed && !nr_record_failed(record))
        return false;
    if (filter->status.first != 0 &&
        ((record->flags & NR_RECORD_TCP) != 0 || record->status < filter->status.first ||
         record->status > filter->status.last))
        return false;
    return name_fits(filter->reason, nr_record_reason(record)) &&
           name_fits(filter->service, nr_names_service(names, record->service)) &&
           name_fits(filter->route, nr_names_route(names, record->route));
}

/* Do only failures pass? Then their own ring, which reaches further back, has all of them. */
static bool only_failures(const struct nr_admin_filter *filter)
{
    return filter->failed || filter->reason[0] != '\0' || filter->status.first >= 500;
}

static bool any_passes(const struct nr_admin_filter *filter)
{
    return filter->status.first == 0 && filter->reason[0] == '\0' && filter->service[0] == '\0' &&
           filter->route[0] == '\0';
}

struct nr_json *nr_admin_filter_records(const struct nr_observe *observe,
                                        const struct nr_admin_filter *filter)
{
    const struct nr_observe_names *names = nr_observe_names(observe);
    bool failures = only_failures(filter);
    uint32_t max = nr_observe_room(observe, failures);
    struct nr_json *list = nr_json_array();
    struct nr_record *records;
    uint32_t count, taken = 0;

    if (any_passes(filter) && filter->limit < max)
        max = filter->limit;
    records = calloc(max, sizeof(*records));
    nr_assert(records != NULL);
    count = nr_observe_latest(observe, failures, records, max);
    for (uint32_t i = 0; i < count && taken < filter->limit; i++)
        if (passes(filter, names, &records[i])) {
            nr_json_push(list, nr_record_json(names, &records[i]));
            taken++;
        }
    free(records);
    return list;
}

void nr_admin_memory_text(const struct nr_observe *observe, char *to, size_t room)
{
    struct nr_timestamp timestamp = {0};
    uint64_t oldest_ns = nr_observe_oldest_ns(observe);
    struct nr_span text;

    if (oldest_ns == 0) {
        snprintf(to, room, "no record of this id: naru has not carried any request yet");
        return;
    }
    text = nr_timestamp_text(&timestamp, oldest_ns);
    snprintf(to, room,
             "no record of this id: never seen, or overwritten; the oldest kept is of %.*s",
             (int)text.len, text.ptr);
}
