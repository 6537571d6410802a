/* SPDX-License-Identifier: Apache-2.0 */
/* explain_list.c - many records as a table; the id at the end of a line is what `naru explain`
 * takes.
 */
#include "foresight/explain.h"

#include <stdio.h>

#include "foresight/explain_parts.h"

/* "05:12:33.120" of "2026-11-21T05:12:33.120Z"; the whole if it looks otherwise. */
static struct nr_span clock_of(struct nr_span timestamp)
{
    if (timestamp.len < 13 || timestamp.ptr[10] != 'T')
        return timestamp;
    timestamp = nr_span_from(timestamp, 11);
    if (timestamp.ptr[timestamp.len - 1] == 'Z')
        timestamp.len--;
    return timestamp;
}

static void put_cell(struct nr_strbuf *to, struct nr_span text, int width)
{
    struct nr_strbuf clean = {0};

    nr_explain_text(&clean, text);
    nr_strbuf_printf(to, "%-*s ", width, clean.ptr == NULL ? "" : clean.ptr);
    nr_strbuf_done(&clean);
}

static void put_row(const struct nr_json *record, struct nr_strbuf *to)
{
    struct nr_span reason = nr_json_text(nr_json_get(record, "reason"));
    struct nr_span service = nr_json_text(nr_json_get(record, "service"));
    struct nr_span method = nr_json_text(nr_json_get(record, "method"));
    bool tcp = nr_span_eq(nr_json_text(nr_json_get(record, "protocol")), NR_SPAN("tcp"));
    struct nr_strbuf time = {0};
    char status[24] = "-";

    if (!tcp)
        snprintf(status, sizeof(status), "%lld",
                 (long long)nr_json_integer_value(nr_json_get(record, "status")));
    put_cell(to, clock_of(nr_json_text(nr_json_get(record, "timestamp"))), 12);
    put_cell(to, nr_span_of(status), 6);
    nr_explain_ms(&time, nr_json_number(nr_json_get(nr_json_get(record, "ledger"), "total_ms")));
    nr_strbuf_printf(to, "%10s ", time.ptr);
    nr_strbuf_done(&time);
    nr_strbuf_printf(to, "%5lld  ",
                     (long long)nr_json_integer_value(nr_json_get(record, "attempt_count")));
    put_cell(to, reason.len > 0 ? reason : NR_SPAN("-"), 18);
    put_cell(to, service.len > 0 ? service : NR_SPAN("-"), 14);
    put_cell(to, nr_json_text(nr_json_get(record, "request_id")), 32);
    nr_explain_text(to, tcp ? NR_SPAN("TCP") : method);
    NR_STRBUF_LIT(to, " ");
    nr_explain_text(to, nr_json_text(nr_json_get(record, "path")));
    NR_STRBUF_LIT(to, "\n");
}

void nr_explain_list(const struct nr_json *records, struct nr_strbuf *to)
{
    size_t count = nr_json_count(records);

    if (count == 0) {
        NR_STRBUF_LIT(to, "no requests like that are in naru's memory\n");
        return;
    }
    nr_strbuf_printf(to, "%-12s %-6s %10s %5s  %-18s %-14s %-32s %s\n", "time (UTC)", "status",
                     "took", "tries", "reason", "service", "id", "request");
    for (size_t i = 0; i < count; i++)
        put_row(nr_json_at(records, i), to);
}
