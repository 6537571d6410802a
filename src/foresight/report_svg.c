/* SPDX-License-Identifier: Apache-2.0 */
#include "foresight/report_svg.h"

#include <math.h>
#include <stdio.h>

enum { LEFT = 54, RIGHT = 10, TOP = 16, BOTTOM = 20, TICKS = 4, MARKS_MAX = 40 };

struct plot {
    const struct nr_report *report;
    const struct nr_svg_chart *chart;
    struct nr_strbuf *to;
    double low, high; /* of the axis */
    double right;     /* where the curves end */
};

/* ---- scales ---- */

static double x_of(const struct plot *p, double second)
{
    return LEFT + second * (p->right - LEFT) / p->report->second_count;
}

static double y_of(const struct plot *p, double value)
{
    double height = p->chart->height - TOP - BOTTOM, share;

    if (p->chart->log)
        share = value <= p->low ? 0 : log(value / p->low) / log(p->high / p->low);
    else
        share = value / p->high;
    return TOP + height * (1 - (share > 1 ? 1 : share));
}

static double value_at(const struct plot *p, uint32_t series, uint32_t second)
{
    return p->chart->series[series].value(p->report, p->chart->instance, second);
}

/* 1, 2 or 5 times a power of ten, at least `value`. */
static double nice(double value)
{
    double power = pow(10, floor(log10(value))), digit = value / power;

    return power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
}

static void scale(struct plot *p)
{
    double least = INFINITY, most = p->chart->mark;

    for (uint32_t s = 0; s < p->chart->count; s++)
        for (uint32_t i = 0; i < p->report->second_count; i++) {
            double value = value_at(p, s, i);

            if (value > most)
                most = value;
            if (value > 0 && value < least)
                least = value;
        }
    if (most <= 0)
        most = 1;
    if (least > most)
        least = most;
    p->low = pow(10, floor(log10(least)));
    p->high = p->chart->log ? pow(10, ceil(log10(most) - 1e-9)) : nice(most / TICKS) * TICKS;
    if (p->high <= p->low)
        p->high = p->low * 10;
}

/* ---- axes ---- */

static void put_number(struct nr_strbuf *to, double value, const char *unit)
{
    char text[32];

    if (strcmp(unit, "µs") == 0)
        nr_strbuf_printf(to, "%s", nr_report_time_text((uint64_t)value, text, sizeof(text)));
    else if (value >= 10000)
        nr_strbuf_printf(to, "%.3g k%s", value / 1000, unit);
    else
        nr_strbuf_printf(to, "%.4g%s", value, unit);
}

static void put_tick(struct plot *p, double value)
{
    double y = y_of(p, value);

    nr_strbuf_printf(p->to,
                     "<line class=grid x1=%d x2=%.0f y1=%.1f y2=%.1f /><text x=%d y=%.1f "
                     "text-anchor=end>",
                     LEFT, p->right, y, y, LEFT - 6, y + 4);
    put_number(p->to, value, p->chart->unit);
    NR_STRBUF_LIT(p->to, "</text>");
}

static void put_axes(struct plot *p)
{
    static const uint32_t steps[] = {1, 2, 5, 10, 15, 30, 60, 120, 300, 600};
    uint32_t step = 1;
    int ticks = p->chart->log ? (int)lround(log10(p->high / p->low)) : TICKS;

    for (int i = 0; i <= ticks; i++)
        put_tick(p, p->chart->log ? p->low * pow(10, i) : p->high * i / TICKS);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        if (p->report->second_count / step > p->chart->width / 68)
            step = steps[i];
    for (uint32_t second = 0; second < p->report->second_count; second += step)
        nr_strbuf_printf(p->to, "<text x=%.1f y=%u text-anchor=middle>%u s</text>", x_of(p, second),
                         p->chart->height - 4, second);
}

/* ---- what happened ---- */

static void put_marks(struct plot *p)
{
    static const char *const classes[] = {
        [NR_TONE_NEUTRAL] = "mark", [NR_TONE_BAD] = "mark bad", [NR_TONE_GOOD] = "mark good"};
    double last_label_x = -100;

    for (uint32_t i = 0; i < p->report->event_count && i < MARKS_MAX; i++) {
        const struct nr_report_event *event = &p->report->events[i];
        double x = x_of(p, (double)event->at_ns / 1e9);

        if (x > p->right)
            continue;
        nr_strbuf_printf(p->to, "<line class=\"%s\" x1=%.1f x2=%.1f y1=%d y2=%u />",
                         classes[event->tone], x, x, TOP - 2, p->chart->height - BOTTOM);
        if (x - last_label_x < 14)
            continue;
        nr_strbuf_printf(p->to, "<text class=\"%s\" x=%.1f y=%d text-anchor=middle>%u</text>",
                         classes[event->tone], x, TOP - 5, i + 1);
        last_label_x = x;
    }
}

/* ---- curves ---- */

static void put_area(struct plot *p, uint32_t series)
{
    double zero = y_of(p, p->chart->log ? p->low : 0);

    nr_strbuf_printf(p->to, "<path class=\"area %s\" d=\"M%.1f %.1f",
                     p->chart->series[series].class, x_of(p, 0.5), zero);
    for (uint32_t i = 0; i < p->report->second_count; i++)
        nr_strbuf_printf(p->to, "L%.1f %.1f", x_of(p, i + 0.5), y_of(p, value_at(p, series, i)));
    nr_strbuf_printf(p->to, "L%.1f %.1fZ\"/>", x_of(p, p->report->second_count - 0.5), zero);
}

static void put_line(struct plot *p, uint32_t series)
{
    bool down = false;

    nr_strbuf_printf(p->to, "<path class=\"line %s\" d=\"", p->chart->series[series].class);
    for (uint32_t i = 0; i < p->report->second_count; i++) {
        double value = value_at(p, series, i);

        if (p->chart->log && value <= 0) {
            down = false;
            continue;
        }
        nr_strbuf_printf(p->to, "%c%.1f %.1f", down ? 'L' : 'M', x_of(p, i + 0.5), y_of(p, value));
        down = true;
    }
    NR_STRBUF_LIT(p->to, "\"/>");
}

/* A rectangle a second, over all, that tells the values to who points at it. */
static void put_hints(struct plot *p)
{
    for (uint32_t i = 0; i < p->report->second_count; i++) {
        nr_strbuf_printf(p->to, "<rect class=hit x=%.1f y=%d width=%.2f height=%u><title>%u s",
                         x_of(p, i), TOP, x_of(p, i + 1) - x_of(p, i),
                         p->chart->height - TOP - BOTTOM, i);
        for (uint32_t s = 0; s < p->chart->count; s++) {
            nr_strbuf_printf(p->to, "\n%s ", p->chart->series[s].name);
            put_number(p->to, value_at(p, s, i), p->chart->unit);
        }
        NR_STRBUF_LIT(p->to, "</title></rect>");
    }
}

void nr_svg_chart(const struct nr_report *report, const struct nr_svg_chart *chart,
                  struct nr_strbuf *to)
{
    struct plot p = {.report = report, .chart = chart, .to = to, .right = chart->width - RIGHT};

    if (report->second_count == 0)
        return;
    scale(&p);
    nr_strbuf_printf(to, "<svg viewBox=\"0 0 %u %u\" role=img>", chart->width, chart->height);
    put_axes(&p);
    if (chart->mark > 0)
        nr_strbuf_printf(to, "<line class=level x1=%d x2=%.0f y1=%.1f y2=%.1f />", LEFT, p.right,
                         y_of(&p, chart->mark), y_of(&p, chart->mark));
    for (uint32_t s = 0; s < chart->count; s++)
        if (chart->series[s].area)
            put_area(&p, s);
    put_marks(&p);
    for (uint32_t s = 0; s < chart->count; s++)
        put_line(&p, s);
    put_hints(&p);
    NR_STRBUF_LIT(to, "</svg>\n");
}
