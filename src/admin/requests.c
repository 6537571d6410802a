/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/requests.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/reason.h"
#include "config/units.h"
#include "gateway/route_conf.h"
#include "io/io.h"
#include "observe/access_log.h"
#include "observe/record_json.h"
#include "observe/timestamp.h"

/* ---- what is asked for ---- */

static bool copy(const struct nr_admin_call *call, const char *name, char to[NR_ADMIN_NAME_BYTES])
{
    struct nr_span text = nr_admin_query(call, name, 0);

    if (text.len >= NR_ADMIN_NAME_BYTES)
        return false;
    snprintf(to, NR_ADMIN_NAME_BYTES, "%s", text.len > 0 ? text.ptr : "");
    return true;
}

/* "5m" ago, or a moment: "2026-01-31T12:00:00Z". */
static bool parse_since(struct nr_span text, uint64_t now_ns, uint64_t *ret_ns)
{
    uint64_t ago_ns;
    int64_t at_s;

    if (nr_units_duration(text, &ago_ns)) {
        *ret_ns = ago_ns < now_ns ? now_ns - ago_ns : 1;
        return true;
    }
    if (!nr_route_date(text, &at_s) || at_s < 0)
        return false;
    *ret_ns = (uint64_t)at_s * 1000000000u + 1;
    return true;
}

bool nr_admin_filter_parse(struct nr_admin_call *call, struct nr_admin_filter *ret_filter)
{
    struct nr_admin_filter filter = {
        .limit = (uint32_t)nr_admin_query_integer(call, "limit", NR_ADMIN_REQUESTS_DEFAULT),
        .failed = nr_admin_query_bool(call, "failed"),
    };
    struct nr_span status = nr_admin_query(call, "status", 0);
    struct nr_span since = nr_admin_query(call, "since", 0);
    const char *wrong = NULL;

    if (status.ptr != NULL && !nr_units_status(status, &filter.status))
        wrong = "status: expected 503, 5xx or 500-504";
    else if (since.ptr != NULL &&
             !parse_since(since, nr_io_wall_ns(call->admin->setup.io), &filter.since_ns))
        wrong = "since: expected how long ago (5m), or a moment (2026-01-31T12:00:00Z)";
    else if (!copy(call, "reason", filter.reason) || !copy(call, "service", filter.service) ||
             !copy(call, "route", filter.route))
        wrong = "no name is as long as that";
    if (wrong != NULL) {
        nr_admin_problem(call, 400, "bad_filter", "%s", wrong);
        return false;
    }
    *ret_filter = filter;
    return true;
}

/* ---- who passes ---- */

static bool name_fits(const char *wanted, struct nr_span name)
{
    return wanted[0] == '\0' || nr_span_eq(nr_span_of(wanted), name);
}

static bool passes(const struct nr_admin_filter *filter, const struct nr_observe_names *names,
                   const struct nr_record *record)
{
    if ((filter->failed && !nr_record_failed(record)) || record->wall_ns < filter->since_ns)
        return false;
    if (filter->status.first != 0 &&
        ((record->flags & NR_RECORD_TCP) != 0 || record->status < filter->status.first ||
         record->status > filter->status.last))
        return false;
    return name_fits(filter->reason, nr_record_reason(record)) &&
           name_fits(filter->service, nr_names_service(names, record->service)) &&
           name_fits(filter->route, nr_names_route(names, record->route));
}

/* Do only failures pass? Then their own ring, which reaches further back, has all of them; but not
 * what a rate limit has refused, which counts as none (nr_record_failed). */
static bool only_failures(const struct nr_admin_filter *filter)
{
    bool by_limit = name_fits(filter->reason, nr_span_of(nr_reason_name(NR_REASON_RATE_LIMITED)));

    return filter->failed || !by_limit || filter->status.first >= 500;
}

static bool any_passes(const struct nr_admin_filter *filter)
{
    return filter->status.first == 0 && filter->reason[0] == '\0' && filter->service[0] == '\0' &&
           filter->route[0] == '\0' && filter->since_ns == 0;
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
