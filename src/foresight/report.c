/* SPDX-License-Identifier: Apache-2.0 */
#include "foresight/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/compiler.h"

enum { TAIL_S = 180 }; /* seconds behind the last arrival that have a row of their own */

static const uint64_t second_ns = 1000000000u;

const char *nr_cause_name(uint32_t cause)
{
    if (cause == NR_CAUSE_STATUS)
        return "upstream_5xx";
    return nr_reason_name((enum nr_reason)cause);
}

void nr_report_init(struct nr_report *report, uint64_t start_ns, uint64_t duration_ns,
                    uint32_t instances, uint32_t kinds)
{
    *report = (struct nr_report){.start_ns = start_ns, .duration_ns = duration_ns};
    report->second_max = (uint32_t)((duration_ns + second_ns - 1) / second_ns) + TAIL_S;
    report->seconds = calloc(report->second_max, sizeof(*report->seconds));
    report->instances = calloc(instances + 1, sizeof(*report->instances));
    report->kinds = calloc(kinds, sizeof(*report->kinds));
    nr_assert(report->seconds != NULL && report->instances != NULL && report->kinds != NULL);
    report->kind_count = kinds;
    report->instance_count = instances;
    for (uint32_t i = 0; i < instances; i++) {
        report->instances[i].seconds =
            calloc(report->second_max, sizeof(*report->instances[i].seconds));
        nr_assert(report->instances[i].seconds != NULL);
    }
}

void nr_report_done(struct nr_report *report)
{
    for (uint32_t i = 0; i < report->instance_count; i++) {
        free(report->instances[i].seconds);
        free(report->instances[i].name);
    }
    for (uint32_t i = 0; i < report->event_count; i++)
        free(report->events[i].text);
    for (uint32_t i = 0; i < report->kind_count; i++)
        free(report->kinds[i].name);
    free(report->kinds);
    free(report->instances);
    free(report->events);
    free(report->seconds);
}

/* ---- while it runs ---- */

static uint32_t index_of(struct nr_report *report, uint64_t now_ns)
{
    uint64_t index = now_ns < report->start_ns ? 0 : (now_ns - report->start_ns) / second_ns;

    if (index >= report->second_max)
        index = report->second_max - 1;
    if (index >= report->second_count)
        report->second_count = (uint32_t)index + 1;
    return (uint32_t)index;
}

struct nr_report_second *nr_report_at(struct nr_report *report, uint64_t now_ns)
{
    return &report->seconds[index_of(report, now_ns)];
}

struct nr_report_load *nr_report_load_at(struct nr_report *report, uint32_t instance,
                                         uint64_t now_ns)
{
    return &report->instances[instance].seconds[index_of(report, now_ns)];
}

void nr_report_visit(struct nr_report *report, uint64_t now_ns, uint32_t kind, bool ok,
                     uint64_t took_us)
{
    struct nr_report_second *second = nr_report_at(report, now_ns);

    report->kinds[kind].visits++;
    if (!ok) {
        second->failed++;
        return;
    }
    second->ok++;
    report->kinds[kind].ok++;
    nr_hist_add(&report->kinds[kind].latency, took_us);
    nr_hist_add(&report->second, took_us);
    nr_hist_add(&report->latency, took_us);
}

void nr_report_tick(struct nr_report *report, uint64_t now_ns, uint32_t in_flight, uint32_t queued)
{
    struct nr_report_second *second = nr_report_at(report, now_ns - 1);

    second->in_flight = in_flight;
    second->queued = queued;
    second->p50_us = (uint32_t)nr_hist_quantile(&report->second, 0.50);
    second->p95_us = (uint32_t)nr_hist_quantile(&report->second, 0.95);
    second->p99_us = (uint32_t)nr_hist_quantile(&report->second, 0.99);
    report->second = (struct nr_hist){0};
}

void nr_report_event(struct nr_report *report, uint64_t now_ns, enum nr_event_tone tone,
                     const char *format, ...)
{
    struct nr_report_event *event;
    va_list args;

    report->events = realloc(report->events, (report->event_count + 1) * sizeof(*event));
    nr_assert(report->events != NULL);
    event = &report->events[report->event_count];
    event->number = report->event_count++;
    event->at_ns = now_ns < report->start_ns ? 0 : now_ns - report->start_ns;
    event->tone = tone;
    va_start(args, format);
    if (vasprintf(&event->text, format, args) < 0)
        nr_assert_failed("out of memory", __FILE__, __LINE__);
    va_end(args);
}

/* ---- afterwards ---- */

static void sum_second(struct nr_report *report, const struct nr_report_second *second)
{
    report->visits += second->offered;
    report->ok += second->ok;
    report->failed += second->failed;
    report->requests += second->requests;
    report->attempts += second->attempts;
    report->arrived += second->arrived;
    for (uint32_t cause = 0; cause < NR_CAUSES; cause++)
        report->causes[cause] += second->causes[cause];
}

static void sum_instance(struct nr_report *report, struct nr_report_instance *instance)
{
    struct nr_report_load *total = &instance->total;

    for (uint32_t i = 0; i < report->second_count; i++) {
        const struct nr_report_load *load = &instance->seconds[i];

        total->answered += load->answered;
        total->failed += load->failed;
        total->refused += load->refused;
        total->orphans += load->orphans;
        total->busy_ns += load->busy_ns;
        if (load->queued > total->queued)
            total->queued = load->queued;
        report->seconds[i].orphans += load->orphans;
    }
    report->orphans += total->orphans;
    report->busy_ns += total->busy_ns;
    report->orphaned_ns += instance->orphaned_ns;
}

/* What the gateway answered itself, from when to when: two seconds without it end an episode. */
static void tell_cause(struct nr_report *report, uint32_t cause)
{
    const uint32_t gap_s = 2;
    uint32_t first = 0, last = 0;
    uint64_t count = 0;

    for (uint32_t i = 0; i <= report->second_count + gap_s; i++) {
        uint32_t here = i < report->second_count ? report->seconds[i].causes[cause] : 0;

        if (here > 0) {
            first = count == 0 ? i : first;
            last = i;
            count += here;
        } else if (count > 0 && i > last + gap_s) {
            nr_report_event(report, report->start_ns + first * second_ns, NR_TONE_BAD,
                            "%llu × %s, until %u s", (unsigned long long)count,
                            nr_cause_name(cause), last + 1);
            count = 0;
        }
    }
}

static int by_time(const void *a, const void *b)
{
    const struct nr_report_event *x = a, *y = b;

    if (x->at_ns != y->at_ns)
        return x->at_ns < y->at_ns ? -1 : 1;
    return x->number < y->number ? -1 : 1;
}

void nr_report_finish(struct nr_report *report)
{
    for (uint32_t i = 0; i < report->second_count; i++)
        sum_second(report, &report->seconds[i]);
    for (uint32_t i = 0; i < report->instance_count; i++)
        sum_instance(report, &report->instances[i]);
    for (uint32_t cause = NR_REASON_NONE + 1; cause < NR_CAUSES; cause++)
        tell_cause(report, cause);
    if (report->event_count > 0)
        qsort(report->events, report->event_count, sizeof(*report->events), by_time);
}

double nr_report_availability(const struct nr_report *report)
{
    return report->visits == 0 ? 1 : (double)report->ok / (double)report->visits;
}

double nr_report_attempts_per_request(const struct nr_report *report)
{
    return report->requests == 0 ? 0 : (double)report->attempts / (double)report->requests;
}

double nr_report_load_factor(const struct nr_report *report)
{
    return report->visits == 0 ? 0 : (double)report->attempts / (double)report->visits;
}
