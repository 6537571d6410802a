/* SPDX-License-Identifier: Apache-2.0 */
/* report_html.c - the report as a page: the answer in tiles, then pictures on one time axis with
 * what happened marked in each, then who did what. No script, no font, no other file. */
#include <stdio.h>

#include "base/compiler.h"
#include "foresight/report_svg.h"

enum { EVENTS_FIRST_MAX = 10 }; /* more of them stand behind the pictures */

static const char style[] =
    ":root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#1c2430;--soft:#667085;"
    "--edge:#e3e7ed;--grid:#e9edf2;--ok:#2f9e63;--bad:#d9443f;--blue:#3d74d8;--amber:#d98e04;"
    "--grape:#8a4fd0;--grey:#8793a5}\n"
    "@media(prefers-color-scheme:dark){:root{--bg:#12161c;--card:#1a2029;--ink:#e7ebf1;"
    "--soft:#96a1b1;--edge:#2a323e;--grid:#262e39;--ok:#46be7e;--bad:#f06a63;--blue:#6d9df0;"
    "--amber:#f0b03c;--grape:#b184ee;--grey:#8b97a8}}\n"
    "*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);"
    "font:15px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif}\n"
    "main{max-width:1080px;margin:0 auto;padding:32px 20px 64px}h1{font-size:26px;margin:0}\n"
    "h2{font-size:16px;margin:0}p{margin:4px 0 0;color:var(--soft)}\n"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;"
    "margin:22px 0}\n"
    ".card{background:var(--card);border:1px solid var(--edge);border-radius:10px;padding:14px "
    "16px}\n"
    ".tile b{display:block;font-size:24px;line-height:1.25;font-variant-numeric:tabular-nums}\n"
    ".tile b.good{color:var(--ok)}.tile b.bad{color:var(--bad)}.tile span{color:var(--soft);"
    "font-size:13px}\n"
    "section.card{margin:12px 0}.head{display:flex;flex-wrap:wrap;gap:4px "
    "18px;align-items:baseline;"
    "margin-bottom:6px}\n"
    ".key{font-size:13px;color:var(--soft)}.key i{display:inline-block;width:11px;height:11px;"
    "border-radius:3px;margin-right:5px;vertical-align:-1px;background:var(--c)}\n"
    "svg{display:block;width:100%;height:auto}svg text{font:11px system-ui,sans-serif;"
    "fill:var(--soft)}\n"
    ".grid{stroke:var(--grid)}.line{fill:none;stroke:var(--c);stroke-width:1.8;"
    "stroke-linejoin:round}.area{fill:var(--c);opacity:.16}.hit{fill:transparent}\n"
    ".hit:hover{fill:var(--soft);opacity:.14}.level{stroke:var(--soft);stroke-dasharray:2 4}\n"
    ".mark{stroke:var(--grey);stroke-dasharray:4 3}.mark.bad{stroke:var(--bad)}"
    ".mark.good{stroke:var(--ok)}\n"
    "text.mark{stroke:none!important;font-weight:600}text.mark.bad{fill:var(--bad)}text.mark.good{"
    "fill:var(--ok)}\n"
    ".ok{--c:var(--ok)}.failed{--c:var(--bad)}.offered{--c:var(--grey)}.p50{--c:var(--blue)}"
    ".p95{--c:var(--amber)}.p99{--c:var(--bad)}.load{--c:var(--grape)}.queue{--c:var(--amber)}"
    ".flight{--c:var(--blue)}\n"
    "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}"
    "th{font-weight:500;color:var(--soft);font-size:13px}th,td{padding:5px 10px;text-align:right;"
    "border-bottom:1px solid var(--grid)}\n"
    "th:first-child,td:first-child,td.text{text-align:left;padding-left:0}tr:last-child "
    "td{border-bottom:0}\n"
    ".scroll{overflow-x:auto}.small+.scroll{margin-top:14px}td.bad{color:var(--bad)}td.good{color:"
    "var(--ok)}code{font:13px "
    "ui-monospace,monospace}.small{display:grid;grid-template-columns:repeat(auto-fit,"
    "minmax(420px,1fr));gap:10px 22px}.small h3{font-size:13px;margin:6px 0 0;font-weight:600}\n"
    ".log td{width:1%;white-space:nowrap}.log td.text{width:auto;white-space:normal;"
    "padding-left:14px}.log td:first-child{color:var(--soft);text-align:right}\n"
    "footer{color:var(--soft);font-size:13px;margin-top:24px}\n";

static void put_text(struct nr_strbuf *to, struct nr_span text)
{
    for (size_t i = 0; i < text.len; i++)
        switch (text.ptr[i]) {
        case '<': NR_STRBUF_LIT(to, "&lt;"); break;
        case '>': NR_STRBUF_LIT(to, "&gt;"); break;
        case '&': NR_STRBUF_LIT(to, "&amp;"); break;
        case '"': NR_STRBUF_LIT(to, "&quot;"); break;
        default: nr_strbuf_add(to, (struct nr_span){text.ptr + i, 1});
        }
}

/* 1,234,567 */
static const char *grouped(uint64_t value, char *to, size_t room)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
    size_t at = 0;

    for (int i = 0; i < len && at + 2 < room; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            to[at++] = ',';
        to[at++] = digits[i];
    }
    to[at] = '\0';
    return to;
}

static void put_count_cell(struct nr_strbuf *to, uint64_t value)
{
    char text[32];

    nr_strbuf_printf(to, "<td>%s", grouped(value, text, sizeof(text)));
}

/* ---- tiles ---- */

static void put_tile(struct nr_strbuf *to, const char *class, const char *value, const char *what)
{
    nr_strbuf_printf(to, "<div class=\"card tile\"><b class=\"%s\">%s</b><span>%s</span></div>\n",
                     class, value, what);
}

static void put_time_tile(struct nr_strbuf *to, const struct nr_report *report, double q,
                          const char *what)
{
    char text[32];

    put_tile(to, "", nr_report_time_text(nr_hist_quantile(&report->latency, q), text, sizeof(text)),
             what);
}

static void put_tiles(struct nr_strbuf *to, const struct nr_report *report)
{
    double available = nr_report_availability(report), load = nr_report_load_factor(report);
    char text[64], what[96], ok[32], visits[32];

    NR_STRBUF_LIT(to, "<div class=tiles>\n");
    snprintf(text, sizeof(text), "%.3f %%", available * 100);
    snprintf(what, sizeof(what), "availability: %s of %s visits",
             grouped(report->ok, ok, sizeof(ok)), grouped(report->visits, visits, sizeof(visits)));
    put_tile(to, available >= 0.999 ? "good" : available < 0.99 ? "bad" : "", text, what);
    put_time_tile(to, report, 0.50, "p50 of what was answered well");
    put_time_tile(to, report, 0.95, "p95");
    put_time_tile(to, report, 0.99, "p99");
    snprintf(text, sizeof(text), "%.2f", load);
    put_tile(to, load > 1.2 ? "bad" : "", text, "attempts per visit: the load on services");
    snprintf(text, sizeof(text), "%.0f %%",
             report->busy_ns == 0 ? 0
                                  : (double)report->orphaned_ns * 100 / (double)report->busy_ns);
    put_tile(to, report->orphaned_ns * 20 > report->busy_ns ? "bad" : "", text,
             "of all work was for nobody");
    NR_STRBUF_LIT(to, "</div>\n");
}

/* ---- pictures ---- */

#define SECOND_VALUE(name, field)                                                                  \
    static double name(const struct nr_report *r, uint32_t instance, uint32_t s)                   \
    {                                                                                              \
        (void)instance;                                                                            \
        return r->seconds[s].field;                                                                \
    }

SECOND_VALUE(offered, offered)
SECOND_VALUE(well, ok)
SECOND_VALUE(failed, failed)
SECOND_VALUE(arrived, arrived)
SECOND_VALUE(p50, p50_us)
SECOND_VALUE(p95, p95_us)
SECOND_VALUE(p99, p99_us)
SECOND_VALUE(in_flight, in_flight)
SECOND_VALUE(queued, queued)

static double busy(const struct nr_report *r, uint32_t instance, uint32_t s)
{
    return (double)r->instances[instance].seconds[s].busy_ns / 1e9;
}

static const struct nr_svg_series traffic_series[] = {
    {"offered", "offered", false, offered},
    {"answered well", "ok", true, well},
    {"failed", "failed", true, failed},
};
static const struct nr_svg_series latency_series[] = {
    {"p99", "p99", false, p99},
    {"p95", "p95", false, p95},
    {"p50", "p50", false, p50},
};
static const struct nr_svg_series load_series[] = {
    {"visits", "offered", false, offered},
    {"requests at the services", "load", true, arrived},
};
static const struct nr_svg_series waiting_series[] = {
    {"in flight", "flight", true, in_flight},
    {"queued in instances", "queue", true, queued},
};
static const struct nr_svg_series instance_series[] = {
    {"requests at work", "load", true, busy},
};

static void put_keys(struct nr_strbuf *to, const struct nr_svg_chart *chart)
{
    for (uint32_t i = 0; i < chart->count; i++)
        nr_strbuf_printf(to, "<span class=\"key %s\"><i></i>%s</span>", chart->series[i].class,
                         chart->series[i].name);
}

static void put_charts(struct nr_strbuf *to, const struct nr_report *report)
{
    static const struct {
        const char *title;
        struct nr_svg_chart chart;
    } charts[] = {
        {"Traffic",
         {.unit = "/s",
          .width = 960,
          .height = 240,
          .series = traffic_series,
          .count = NR_COUNT(traffic_series)}},
        {"Latency",
         {.unit = "µs",
          .log = true,
          .width = 960,
          .height = 220,
          .series = latency_series,
          .count = NR_COUNT(latency_series)}},
        {"Load on the services",
         {.unit = "/s",
          .width = 960,
          .height = 190,
          .series = load_series,
          .count = NR_COUNT(load_series)}},
        {"Waiting",
         {.unit = "",
          .width = 960,
          .height = 170,
          .series = waiting_series,
          .count = NR_COUNT(waiting_series)}},
    };

    for (size_t i = 0; i < NR_COUNT(charts); i++) {
        nr_strbuf_printf(to, "<section class=card><div class=head><h2>%s</h2>", charts[i].title);
        put_keys(to, &charts[i].chart);
        NR_STRBUF_LIT(to, "</div>");
        nr_svg_chart(report, &charts[i].chart, to);
        NR_STRBUF_LIT(to, "</section>\n");
    }
}

static void put_instances(struct nr_strbuf *to, const struct nr_report *report)
{
    enum { CHARTS_MAX = 24 };
    struct nr_svg_chart chart = {.unit = "",
                                 .width = 470,
                                 .height = 120,
                                 .series = instance_series,
                                 .count = NR_COUNT(instance_series)};

    NR_STRBUF_LIT(to, "<section class=card><div class=head><h2>Instances</h2>");
    put_keys(to, &chart);
    NR_STRBUF_LIT(to, "</div><div class=small>");
    for (uint32_t i = 0; i < report->instance_count && i < CHARTS_MAX; i++) {
        NR_STRBUF_LIT(to, "<div><h3>");
        put_text(to, nr_span_of(report->instances[i].name));
        NR_STRBUF_LIT(to, "</h3>");
        chart.instance = i;
        chart.mark = report->instances[i].capacity;
        nr_svg_chart(report, &chart, to);
        NR_STRBUF_LIT(to, "</div>");
    }
    NR_STRBUF_LIT(to,
                  "</div><div class=scroll><table><tr><th>instance<th>answered<th>5xx<th>refused"
                  "<th>finished for nobody<th>most queued<th>at work\n");
    for (uint32_t i = 0; i < report->instance_count; i++) {
        const struct nr_report_instance *instance = &report->instances[i];

        NR_STRBUF_LIT(to, "<tr><td>");
        put_text(to, nr_span_of(instance->name));
        put_count_cell(to, instance->total.answered);
        put_count_cell(to, instance->total.failed);
        put_count_cell(to, instance->total.refused);
        put_count_cell(to, instance->total.orphans);
        put_count_cell(to, instance->total.queued);
        nr_strbuf_printf(to, "<td>%.1f",
                         (double)instance->total.busy_ns / (double)report->duration_ns);
        if (instance->capacity > 0)
            nr_strbuf_printf(to, " of %u", instance->capacity);
        NR_STRBUF_LIT(to, "\n");
    }
    NR_STRBUF_LIT(to, "</table></div></section>\n");
}

/* ---- words ---- */

static void put_events(struct nr_strbuf *to, const struct nr_report *report)
{
    static const char *const classes[] = {
        [NR_TONE_NEUTRAL] = "text", [NR_TONE_BAD] = "text bad", [NR_TONE_GOOD] = "text good"};

    if (report->event_count == 0)
        return;
    NR_STRBUF_LIT(
        to, "<section class=card><div class=head><h2>What happened</h2></div><table class=log>\n");
    for (uint32_t i = 0; i < report->event_count; i++) {
        nr_strbuf_printf(to, "<tr><td>%u<td>%.1f s<td class=\"%s\">", i + 1,
                         (double)report->events[i].at_ns / 1e9, classes[report->events[i].tone]);
        put_text(to, nr_span_of(report->events[i].text));
        NR_STRBUF_LIT(to, "\n");
    }
    NR_STRBUF_LIT(to, "</table></section>\n");
}

static void put_time_cell(struct nr_strbuf *to, const struct nr_hist *hist, double q)
{
    char text[32];

    nr_strbuf_printf(to, "<td>%s",
                     hist->count == 0
                         ? "–"
                         : nr_report_time_text(nr_hist_quantile(hist, q), text, sizeof(text)));
}

static void put_kinds(struct nr_strbuf *to, const struct nr_report *report)
{
    if (report->kind_count < 2)
        return;
    NR_STRBUF_LIT(to,
                  "<section class=card><div class=head><h2>Requests</h2></div><div class=scroll>"
                  "<table><tr><th>request<th>visits<th>answered well<th>p50<th>p95<th>p99\n");
    for (uint32_t i = 0; i < report->kind_count; i++) {
        const struct nr_report_kind *kind = &report->kinds[i];

        NR_STRBUF_LIT(to, "<tr><td><code>");
        put_text(to, nr_span_of(kind->name));
        NR_STRBUF_LIT(to, "</code>");
        put_count_cell(to, kind->visits);
        nr_strbuf_printf(to, "<td>%.3f %%",
                         kind->visits == 0 ? 100 : (double)kind->ok * 100 / (double)kind->visits);
        put_time_cell(to, &kind->latency, 0.50);
        put_time_cell(to, &kind->latency, 0.95);
        put_time_cell(to, &kind->latency, 0.99);
        NR_STRBUF_LIT(to, "\n");
    }
    NR_STRBUF_LIT(to, "</table></div></section>\n");
}

static void put_causes(struct nr_strbuf *to, const struct nr_report *report)
{
    uint64_t all = 0;

    for (uint32_t cause = NR_REASON_NONE + 1; cause < NR_CAUSES; cause++)
        all += report->causes[cause];
    if (all == 0)
        return;
    NR_STRBUF_LIT(to, "<section class=card><div class=head><h2>Why the gateway answered so</h2>"
                      "</div><table><tr><th>reason<th>requests<th>of all\n");
    for (uint32_t cause = NR_REASON_NONE + 1; cause < NR_CAUSES; cause++)
        if (report->causes[cause] > 0) {
            nr_strbuf_printf(to, "<tr><td><code>%s</code>", nr_cause_name(cause));
            put_count_cell(to, report->causes[cause]);
            nr_strbuf_printf(to, "<td>%.2f %%\n",
                             (double)report->causes[cause] * 100 / (double)report->requests);
        }
    NR_STRBUF_LIT(to, "</table></section>\n");
}

void nr_report_html(const struct nr_report *report, struct nr_strbuf *to)
{
    NR_STRBUF_LIT(to, "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
                      "content=\"width=device-width,initial-scale=1\"><title>");
    put_text(to, report->name);
    NR_STRBUF_LIT(to, " · naru simulate</title><style>\n");
    nr_strbuf_add(to, nr_span_of(style));
    NR_STRBUF_LIT(to, "</style><main><h1>");
    put_text(to, report->name);
    NR_STRBUF_LIT(to, "</h1><p>");
    put_text(to, report->about);
    NR_STRBUF_LIT(to, "</p>\n");
    put_tiles(to, report);
    if (report->event_count <= EVENTS_FIRST_MAX)
        put_events(to, report);
    put_charts(to, report);
    if (report->event_count > EVENTS_FIRST_MAX)
        put_events(to, report);
    put_kinds(to, report);
    put_causes(to, report);
    put_instances(to, report);
    nr_strbuf_printf(to,
                     "<footer>naru simulate: %.0f s of virtual time, seed %llu, transport %s. The "
                     "gateway's code is the real one; services, clients and network are models."
                     "</footer></main></html>\n",
                     (double)report->duration_ns / 1e9, (unsigned long long)report->seed,
                     report->transport);
}
