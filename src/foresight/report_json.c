/* SPDX-License-Identifier: Apache-2.0 */
/* report_json.c - the report for programs. Times are milliseconds, shares 0 to 1; numbers are
 * rounded, so that the text is short and the same everywhere. */
#include <math.h>

#include "foresight/report.h"

static struct nr_json *integer(uint64_t value)
{
    return nr_json_integer((int64_t)value);
}

static struct nr_json *rounded(double value)
{
    return nr_json_real(round(value * 1e6) / 1e6);
}

static struct nr_json *ms(uint64_t us)
{
    return rounded((double)us / 1e3);
}

static struct nr_json *latency(const struct nr_hist *hist)
{
    struct nr_json *json = nr_json_object();

    nr_json_set(json, "p50", ms(nr_hist_quantile(hist, 0.50)));
    nr_json_set(json, "p95", ms(nr_hist_quantile(hist, 0.95)));
    nr_json_set(json, "p99", ms(nr_hist_quantile(hist, 0.99)));
    nr_json_set(json, "mean",
                rounded(hist->count == 0 ? 0 : (double)hist->sum / 1e3 / (double)hist->count));
    return json;
}

static struct nr_json *summary(const struct nr_report *report)
{
    struct nr_json *json = nr_json_object(), *reasons = nr_json_object();

    nr_json_set(json, "availability", rounded(nr_report_availability(report)));
    nr_json_set(json, "visits", integer(report->visits));
    nr_json_set(json, "ok", integer(report->ok));
    nr_json_set(json, "failed", integer(report->failed));
    nr_json_set(json, "latency_ms", latency(&report->latency));
    nr_json_set(json, "request_latency_ms", latency(&report->all));
    nr_json_set(json, "client_requests", integer(report->client_requests));
    nr_json_set(json, "client_timeouts", integer(report->client_timeouts));
    nr_json_set(json, "requests", integer(report->requests));
    nr_json_set(json, "attempts", integer(report->attempts));
    nr_json_set(json, "attempts_per_request", rounded(nr_report_attempts_per_request(report)));
    nr_json_set(json, "attempts_per_visit", rounded(nr_report_load_factor(report)));
    nr_json_set(json, "orphans", integer(report->orphans));
    nr_json_set(json, "orphaned_work_s", rounded((double)report->orphaned_ns / 1e9));
    nr_json_set(json, "work_s", rounded((double)report->busy_ns / 1e9));
    for (uint32_t cause = NR_REASON_NONE + 1; cause < NR_CAUSES; cause++)
        if (report->causes[cause] > 0)
            nr_json_set(reasons, nr_cause_name(cause), integer(report->causes[cause]));
    nr_json_set(json, "reasons", reasons);
    return json;
}

static struct nr_json *second_json(const struct nr_report_second *second, uint32_t number)
{
    struct nr_json *json = nr_json_object(), *reasons = nr_json_object();

    nr_json_set(json, "second", integer(number));
    nr_json_set(json, "offered", integer(second->offered));
    nr_json_set(json, "ok", integer(second->ok));
    nr_json_set(json, "failed", integer(second->failed));
    nr_json_set(json, "p50_ms", ms(second->p50_us));
    nr_json_set(json, "p95_ms", ms(second->p95_us));
    nr_json_set(json, "p99_ms", ms(second->p99_us));
    nr_json_set(json, "requests", integer(second->requests));
    nr_json_set(json, "attempts", integer(second->attempts));
    nr_json_set(json, "arrived", integer(second->arrived));
    nr_json_set(json, "in_flight", integer(second->in_flight));
    nr_json_set(json, "queued", integer(second->queued));
    nr_json_set(json, "orphans", integer(second->orphans));
    for (uint32_t cause = NR_REASON_NONE + 1; cause < NR_CAUSES; cause++)
        if (second->causes[cause] > 0)
            nr_json_set(reasons, nr_cause_name(cause), integer(second->causes[cause]));
    nr_json_set(json, "reasons", reasons);
    return json;
}

static struct nr_json *instance_json(const struct nr_report *report,
                                     const struct nr_report_instance *instance)
{
    struct nr_json *json = nr_json_object(), *busy = nr_json_array(), *queued = nr_json_array();

    nr_json_set(json, "name", nr_json_string(nr_span_of(instance->name)));
    nr_json_set(json, "capacity", integer(instance->capacity));
    nr_json_set(json, "answered", integer(instance->total.answered));
    nr_json_set(json, "failed", integer(instance->total.failed));
    nr_json_set(json, "refused", integer(instance->total.refused));
    nr_json_set(json, "orphans", integer(instance->total.orphans));
    nr_json_set(json, "most_queued", integer(instance->total.queued));
    nr_json_set(json, "orphaned_work_s", rounded((double)instance->orphaned_ns / 1e9));
    for (uint32_t i = 0; i < report->second_count; i++) {
        nr_json_push(busy, rounded((double)instance->seconds[i].busy_ns / 1e9));
        nr_json_push(queued, integer(instance->seconds[i].queued));
    }
    nr_json_set(json, "busy", busy);
    nr_json_set(json, "queued", queued);
    return json;
}

static struct nr_json *kind_json(const struct nr_report_kind *kind)
{
    struct nr_json *json = nr_json_object();

    nr_json_set(json, "request", nr_json_string(nr_span_of(kind->name)));
    nr_json_set(json, "visits", integer(kind->visits));
    nr_json_set(json, "ok", integer(kind->ok));
    nr_json_set(json, "latency_ms", latency(&kind->latency));
    return json;
}

static struct nr_json *event_json(const struct nr_report_event *event)
{
    static const char *const tones[] = {
        [NR_TONE_NEUTRAL] = "neutral", [NR_TONE_BAD] = "bad", [NR_TONE_GOOD] = "good"};
    struct nr_json *json = nr_json_object();

    nr_json_set(json, "at_s", rounded((double)event->at_ns / 1e9));
    nr_json_set(json, "tone", nr_json_string(nr_span_of(tones[event->tone])));
    nr_json_set(json, "text", nr_json_string(nr_span_of(event->text)));
    return json;
}

struct nr_json *nr_report_json(const struct nr_report *report)
{
    struct nr_json *json = nr_json_object(), *timeline = nr_json_array(),
                   *instances = nr_json_array(), *events = nr_json_array(),
                   *kinds = nr_json_array();

    nr_json_set(json, "scenario", nr_json_string(report->name));
    nr_json_set(json, "about", nr_json_string(report->about));
    nr_json_set(json, "seed", integer(report->seed));
    nr_json_set(json, "transport", nr_json_string(nr_span_of(report->transport)));
    nr_json_set(json, "duration_s", rounded((double)report->duration_ns / 1e9));
    nr_json_set(json, "summary", summary(report));
    for (uint32_t i = 0; i < report->kind_count; i++)
        nr_json_push(kinds, kind_json(&report->kinds[i]));
    nr_json_set(json, "requests", kinds);
    for (uint32_t i = 0; i < report->event_count; i++)
        nr_json_push(events, event_json(&report->events[i]));
    nr_json_set(json, "events", events);
    for (uint32_t i = 0; i < report->instance_count; i++)
        nr_json_push(instances, instance_json(report, &report->instances[i]));
    nr_json_set(json, "instances", instances);
    for (uint32_t i = 0; i < report->second_count; i++)
        nr_json_push(timeline, second_json(&report->seconds[i], i));
    nr_json_set(json, "timeline", timeline);
    return json;
}
