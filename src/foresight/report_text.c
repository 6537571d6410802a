/* SPDX-License-Identifier: Apache-2.0 */
/* report_text.c - the report for a terminal: the answer first, then curves, then rows. */
#include <stdio.h>

#include "base/compiler.h"
#include "foresight/report.h"

enum { ROWS_MAX = 30, SPARK_MAX = 100, LABEL_COLUMNS = 40 };

struct sheet {
    const struct nr_report *report;
    const struct nr_report_style *style;
    struct nr_strbuf *to;
};

static const char *color(const struct sheet *sheet, const char *code)
{
    return sheet->style->color ? code : "";
}

#define BOLD(sheet)  color(sheet, "\x1b[1m")
#define DIM(sheet)   color(sheet, "\x1b[2m")
#define PLAIN(sheet) color(sheet, "\x1b[0m")

static const char *tone_color(const struct sheet *sheet, enum nr_event_tone tone)
{
    return tone == NR_TONE_BAD    ? color(sheet, "\x1b[31m")
           : tone == NR_TONE_GOOD ? color(sheet, "\x1b[32m")
                                  : "";
}

const char *nr_report_time_text(uint64_t us, char *to, size_t room)
{
    if (us < 1000)
        snprintf(to, room, "%llu µs", (unsigned long long)us);
    else if (us < 10000)
        snprintf(to, room, "%.1f ms", (double)us / 1e3);
    else if (us < 1000000)
        snprintf(to, room, "%.0f ms", (double)us / 1e3);
    else
        snprintf(to, room, "%.2f s", (double)us / 1e6);
    return to;
}

/* Columns of a text on a terminal: every character that is not a continuation byte. */
static int columns_of(const char *text)
{
    int columns = 0;

    for (; *text != '\0'; text++)
        columns += ((unsigned char)*text & 0xc0) != 0x80;
    return columns;
}

static void put_right(struct nr_strbuf *to, const char *text, int columns)
{
    nr_strbuf_printf(to, "%*s%s", columns - columns_of(text) > 0 ? columns - columns_of(text) : 0,
                     "", text);
}

static void put_time(struct nr_strbuf *to, uint64_t us, int columns)
{
    char text[32];

    put_right(to, us == 0 ? "·" : nr_report_time_text(us, text, sizeof(text)), columns);
}

/* ---- the answer ---- */

static void put_summary(const struct sheet *sheet)
{
    const struct nr_report *report = sheet->report;
    struct nr_strbuf *to = sheet->to;
    char p50[32], p95[32], p99[32];
    double work_s = (double)report->busy_ns / 1e9;

    nr_report_time_text(nr_hist_quantile(&report->latency, 0.50), p50, sizeof(p50));
    nr_report_time_text(nr_hist_quantile(&report->latency, 0.95), p95, sizeof(p95));
    nr_report_time_text(nr_hist_quantile(&report->latency, 0.99), p99, sizeof(p99));
    nr_strbuf_printf(to,
                     "  %savailability   %.3f %%%s   %llu visits, %llu answered well, %llu not\n",
                     BOLD(sheet), nr_report_availability(report) * 100, PLAIN(sheet),
                     (unsigned long long)report->visits, (unsigned long long)report->ok,
                     (unsigned long long)(report->visits - report->ok));
    nr_strbuf_printf(to, "  latency        p50 %s   p95 %s   p99 %s\n", p50, p95, p99);
    nr_strbuf_printf(to, "  load           %.2f attempts per request, %.2f per visit\n",
                     nr_report_attempts_per_request(report), nr_report_load_factor(report));
    if (report->client_requests > report->visits)
        nr_strbuf_printf(
            to, "  clients        %.2f requests per visit, %llu left after their timeout\n",
            (double)report->client_requests / (double)report->visits,
            (unsigned long long)report->client_timeouts);
    if (report->orphans > 0)
        nr_strbuf_printf(
            to, "  orphaned work  %llu requests finished for nobody: %.1f s of %.1f s (%.0f %%)\n",
            (unsigned long long)report->orphans, (double)report->orphaned_ns / 1e9, work_s,
            work_s > 0 ? (double)report->orphaned_ns / 1e7 / work_s : 0);
    NR_STRBUF_LIT(to, "\n");
}

/* ---- curves ---- */

typedef double (*value_fn)(const struct nr_report *report, uint32_t second);

static double offered(const struct nr_report *r, uint32_t s)
{
    return r->seconds[s].offered;
}
static double well(const struct nr_report *r, uint32_t s)
{
    return r->seconds[s].ok;
}
static double failed(const struct nr_report *r, uint32_t s)
{
    return r->seconds[s].failed;
}
static double attempts(const struct nr_report *r, uint32_t s)
{
    return r->seconds[s].attempts;
}
static double p99_ms(const struct nr_report *r, uint32_t s)
{
    return r->seconds[s].p99_us / 1e3;
}
static double in_flight(const struct nr_report *r, uint32_t s)
{
    return r->seconds[s].in_flight;
}
static double queued(const struct nr_report *r, uint32_t s)
{
    return r->seconds[s].queued;
}

static const struct {
    const char *name;
    value_fn value;
    const char *unit;
} curves[] = {
    {"offered", offered, "/s"},   {"answered well", well, "/s"}, {"failed", failed, "/s"},
    {"attempts", attempts, "/s"}, {"p99", p99_ms, " ms"},        {"in flight", in_flight, ""},
    {"queued", queued, ""},
};

/* The greatest of a stretch of seconds: what hurts shall not be averaged away. */
static double peak_of(const struct nr_report *report, value_fn value, uint32_t from, uint32_t to)
{
    double peak = 0;

    for (uint32_t i = from; i < to; i++)
        if (value(report, i) > peak)
            peak = value(report, i);
    return peak;
}

static void put_curve(const struct sheet *sheet, uint32_t curve, uint32_t width)
{
    static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    const struct nr_report *report = sheet->report;
    double top = peak_of(report, curves[curve].value, 0, report->second_count);

    if (top == 0)
        return;
    nr_strbuf_printf(sheet->to, "  %-14s ", curves[curve].name);
    for (uint32_t i = 0; i < width; i++) {
        double value = peak_of(report, curves[curve].value, i * report->second_count / width,
                               (i + 1) * report->second_count / width);
        uint32_t level = value == 0 ? 0 : 1 + (uint32_t)(value / top * 7.0);

        nr_strbuf_add(sheet->to, nr_span_of(blocks[level > 8 ? 8 : level]));
    }
    nr_strbuf_printf(sheet->to, " %smax %.0f%s%s\n", DIM(sheet), top, curves[curve].unit,
                     PLAIN(sheet));
}

static void put_curves(const struct sheet *sheet)
{
    uint32_t width = sheet->report->second_count, room;

    room = sheet->style->columns > LABEL_COLUMNS + 20 ? sheet->style->columns - LABEL_COLUMNS : 20;
    if (room > SPARK_MAX)
        room = SPARK_MAX;
    if (width > room)
        width = room;
    for (uint32_t i = 0; i < NR_COUNT(curves) && width > 0; i++)
        put_curve(sheet, i, width);
    NR_STRBUF_LIT(sheet->to, "\n");
}

/* ---- rows ---- */

static void put_events(const struct sheet *sheet, uint32_t *next, uint64_t before_ns)
{
    const struct nr_report *report = sheet->report;

    for (; *next < report->event_count && report->events[*next].at_ns < before_ns; (*next)++) {
        const struct nr_report_event *event = &report->events[*next];

        nr_strbuf_printf(sheet->to, "  %s%7.1f s  ▸ %s%s\n", tone_color(sheet, event->tone),
                         (double)event->at_ns / 1e9, event->text, PLAIN(sheet));
    }
}

static void put_row(const struct sheet *sheet, uint32_t from, uint32_t to_s)
{
    const struct nr_report *report = sheet->report;
    uint64_t sums[5] = {0};
    uint32_t span = to_s - from, p50 = 0, p95 = 0, p99 = 0;

    for (uint32_t i = from; i < to_s; i++) {
        const struct nr_report_second *second = &report->seconds[i];

        sums[0] += second->offered;
        sums[1] += second->ok;
        sums[2] += second->failed;
        sums[3] += second->attempts;
        sums[4] += second->requests;
        p50 = second->p50_us > p50 ? second->p50_us : p50;
        p95 = second->p95_us > p95 ? second->p95_us : p95;
        p99 = second->p99_us > p99 ? second->p99_us : p99;
    }
    nr_strbuf_printf(sheet->to, "  %5u s %8.0f %8.0f ", from, (double)sums[0] / span,
                     (double)sums[1] / span);
    nr_strbuf_printf(sheet->to, "%s%8.0f%s ", sums[2] > 0 ? tone_color(sheet, NR_TONE_BAD) : "",
                     (double)sums[2] / span, PLAIN(sheet));
    put_time(sheet->to, p50, 9);
    put_time(sheet->to, p95, 9);
    put_time(sheet->to, p99, 9);
    nr_strbuf_printf(sheet->to, " %8.2f %9u %8u\n",
                     sums[4] > 0 ? (double)sums[3] / (double)sums[4] : 0,
                     report->seconds[to_s - 1].in_flight, report->seconds[to_s - 1].queued);
}

static void put_rows(const struct sheet *sheet)
{
    static const uint32_t steps[] = {1, 2, 5, 10, 15, 30, 60, 120, 300};
    const struct nr_report *report = sheet->report;
    uint32_t step = 600, next = 0;

    for (size_t i = NR_COUNT(steps); i-- > 0;)
        if ((report->second_count + steps[i] - 1) / steps[i] <= ROWS_MAX)
            step = steps[i];
    nr_strbuf_printf(sheet->to,
                     "  %s   time  offered     well   failed      p50      p95      p99  "
                     "att/req in flight   queued%s\n",
                     DIM(sheet), PLAIN(sheet));
    for (uint32_t from = 0; from < report->second_count; from += step) {
        uint32_t to_s = from + step;

        put_events(sheet, &next, (uint64_t)to_s * 1000000000u);
        put_row(sheet, from, to_s < report->second_count ? to_s : report->second_count);
    }
    put_events(sheet, &next, UINT64_MAX);
    NR_STRBUF_LIT(sheet->to, "\n");
}

/* ---- who did what ---- */

static void put_causes(const struct sheet *sheet)
{
    const struct nr_report *report = sheet->report;
    bool any = false;

    for (uint32_t cause = NR_REASON_NONE + 1; cause < NR_CAUSES; cause++) {
        if (report->causes[cause] == 0)
            continue;
        if (!any)
            NR_STRBUF_LIT(sheet->to, "  the gateway's reasons\n");
        any = true;
        nr_strbuf_printf(sheet->to, "    %-22s %8llu  (%.2f %% of its requests)\n",
                         nr_cause_name(cause), (unsigned long long)report->causes[cause],
                         (double)report->causes[cause] * 100 / (double)report->requests);
    }
    if (any)
        NR_STRBUF_LIT(sheet->to, "\n");
}

static void put_kinds(const struct sheet *sheet)
{
    const struct nr_report *report = sheet->report;

    if (report->kind_count < 2)
        return;
    nr_strbuf_printf(sheet->to, "  %s%-36s   visits      well      p50      p95      p99%s\n",
                     DIM(sheet), "request", PLAIN(sheet));
    for (uint32_t i = 0; i < report->kind_count; i++) {
        const struct nr_report_kind *kind = &report->kinds[i];

        nr_strbuf_printf(sheet->to, "  %-36s %8llu %8.3f%% ", kind->name,
                         (unsigned long long)kind->visits,
                         kind->visits == 0 ? 100 : (double)kind->ok * 100 / (double)kind->visits);
        put_time(sheet->to, nr_hist_quantile(&kind->latency, 0.50), 8);
        put_time(sheet->to, nr_hist_quantile(&kind->latency, 0.95), 9);
        put_time(sheet->to, nr_hist_quantile(&kind->latency, 0.99), 9);
        NR_STRBUF_LIT(sheet->to, "\n");
    }
    NR_STRBUF_LIT(sheet->to, "\n");
}

static void put_instances(const struct sheet *sheet)
{
    const struct nr_report *report = sheet->report;

    nr_strbuf_printf(sheet->to,
                     "  %s%-20s answered   5xx  refused  orphans  most queued   busy%s\n",
                     DIM(sheet), "instance", PLAIN(sheet));
    for (uint32_t i = 0; i < report->instance_count; i++) {
        const struct nr_report_instance *instance = &report->instances[i];
        double busy = (double)instance->total.busy_ns / (double)report->duration_ns;

        nr_strbuf_printf(sheet->to, "  %-20s %8u %5u %8u %8u %12u ", instance->name,
                         instance->total.answered, instance->total.failed, instance->total.refused,
                         instance->total.orphans, instance->total.queued);
        if (instance->capacity > 0)
            nr_strbuf_printf(sheet->to, "%4.0f %% of %u\n", busy * 100 / instance->capacity,
                             instance->capacity);
        else
            nr_strbuf_printf(sheet->to, "%6.1f at once\n", busy);
    }
}

void nr_report_text(const struct nr_report *report, const struct nr_report_style *style,
                    struct nr_strbuf *to)
{
    const struct sheet sheet = {report, style, to};

    nr_strbuf_printf(to, "%s%.*s%s   %.0f s, seed %llu, transport %s\n", BOLD(&sheet),
                     (int)report->name.len, report->name.ptr, PLAIN(&sheet),
                     (double)report->duration_ns / 1e9, (unsigned long long)report->seed,
                     report->transport);
    if (report->about.len > 0)
        nr_strbuf_printf(to, "%.*s\n", (int)report->about.len, report->about.ptr);
    NR_STRBUF_LIT(to, "\n");
    put_summary(&sheet);
    put_curves(&sheet);
    put_rows(&sheet);
    put_kinds(&sheet);
    put_causes(&sheet);
    put_instances(&sheet);
}
