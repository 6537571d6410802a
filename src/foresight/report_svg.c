/* SPDX-License-Identifier: Apache-2.0 */
#include "foresight/report_svg.h"

#include <math.h>
#include <stdio.h>

#include "base/compiler.h"

enum { LEFT = 54, RIGHT = 10, TOP = 16, BOTTOM = 20, TICKS = 4, MARKS_MAX = 40, POINTS_MAX = 720 };

struct plot {
    const struct nr_report *report;
    const struct nr_svg_chart *chart;
    struct nr_strbuf *to;
    double low, high; /* of the axis */
    double right;     /* where the curves end */
    uint32_t seconds; /* shown */
    uint32_t stretch; /* seconds that one point stands for, … */
    uint32_t points;  /* … and how many points there are */
};

/* ---- scales ---- */

static double x_of(const struct plot *p, double second)
{
    return LEFT + second * (p->right - LEFT) / p->seconds;
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

/* The most of a stretch: what hurts shall not be averaged away. */
static double value_at(const struct plot *p, uint32_t series, uint32_t point)
{
    uint32_t from = point * p->stretch, to = from + p->stretch;
    double most = 0;

    for (uint32_t i = from; i < to && i < p->seconds; i++) {
        double value = p->chart->series[series].value(p->report, p->chart->instance, i);

        most = value > most ? value : most;
    }
    return most;
}

static double x_of_point(const struct plot *p, uint32_t point)
{
    return x_of(p, (point + 0.5) * p->stretch);
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
        for (uint32_t i = 0; i < p->points; i++) {
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

/* Labels that far apart are whole minutes, or hours. */
static uint32_t unit_s(uint32_t step_s)
{
    return step_s >= 3600 ? 3600 : step_s >= 120 ? 60 : 1;
}

static void put_axes(struct plot *p)
{
    static const uint32_t steps[] = {1,   2,   5,   10,   15,   30,   60,
                                     120, 300, 600, 1200, 3600, 7200, 14400};
    uint32_t step = 1;
    int ticks = p->chart->log ? (int)lround(log10(p->high / p->low)) : TICKS;

    for (int i = 0; i <= ticks; i++)
        put_tick(p, p->chart->log ? p->low * pow(10, i) : p->high * i / TICKS);
    for (size_t i = 0; i < NR_COUNT(steps); i++)
        if (p->seconds / step > p->chart->width / 68)
            step = steps[i];
    for (uint32_t second = 0; second < p->seconds; second += step)
        nr_strbuf_printf(p->to, "<text x=%.1f y=%u text-anchor=middle>%u %s</text>",
                         x_of(p, second), p->chart->height - 4, second / unit_s(step),
                         unit_s(step) == 3600 ? "h"
                         : unit_s(step) == 60 ? "min"
                                              : "s");
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
                     p->chart->series[series].class, x_of_point(p, 0), zero);
    for (uint32_t i = 0; i < p->points; i++)
        nr_strbuf_printf(p->to, "L%.1f %.1f", x_of_point(p, i), y_of(p, value_at(p, series, i)));
    nr_strbuf_printf(p->to, "L%.1f %.1fZ\"/>", x_of_point(p, p->points - 1), zero);
}

static void put_line(struct plot *p, uint32_t series)
{
    bool down = false;

    nr_strbuf_printf(p->to, "<path class=\"line %s\" d=\"", p->chart->series[series].class);
    for (uint32_t i = 0; i < p->points; i++) {
        double value = value_at(p, series, i);

        if (p->chart->log && value <= 0) {
            down = false;
            continue;
        }
        nr_strbuf_printf(p->to, "%c%.1f %.1f", down ? 'L' : 'M', x_of_point(p, i), y_of(p, value));
        down = true;
    }
    NR_STRBUF_LIT(p->to, "\"/>");
}

/* A rectangle a point, over all, that tells the values to who points at it. */
static void put_hints(struct plot *p)
{
    for (uint32_t i = 0; i < p->points; i++) {
        uint32_t from = i * p->stretch;

        nr_strbuf_printf(p->to, "<rect class=hit x=%.1f y=%d width=%.2f height=%u><title>%u",
                         x_of(p, from), TOP, x_of(p, from + p->stretch) - x_of(p, from),
                         p->chart->height - TOP - BOTTOM, from);
        if (p->stretch > 1)
            nr_strbuf_printf(p->to, " to %u s, the most", from + p->stretch);
        else
            NR_STRBUF_LIT(p->to, " s");
        for (uint32_t s = 0; s < p->chart->count; s++) {
            nr_strbuf_printf(p->to, "\n%s ", p->chart->series[s].name);
            put_number(p->to, value_at(p, s, i), p->chart->unit);
        }
        NR_STRBUF_LIT(p->to, "</title></rect>");
    }
}

/* The second in which the last visit ended is not over: it would look like a fall. */
static uint32_t whole_seconds(const struct nr_report *report)
{
    bool has_tail = (uint64_t)report->second_count * 1000000000u > report->duration_ns;

    return has_tail && report->second_count > 1 ? report->second_count - 1 : report->second_count;
}

void nr_svg_chart(const struct nr_report *report, const struct nr_svg_chart *chart,
                  struct nr_strbuf *to)
{
    struct plot p = {.report = report, .chart = chart, .to = to, .right = chart->width - RIGHT};

    p.seconds = whole_seconds(report);
    if (p.seconds == 0)
        return;
    p.stretch = (p.seconds + POINTS_MAX - 1) / POINTS_MAX;
    p.points = (p.seconds + p.stretch - 1) / p.stretch;
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
