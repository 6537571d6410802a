/* SPDX-License-Identifier: Apache-2.0 */
/* report.h - what a simulation has shown: collected while it runs, then told as text, JSON or HTML.
 *
 * Three views are kept apart. A *visit* is what a person wanted: one or more requests of a client,
 * until one is answered well or the client gives up; availability and latency are theirs. A
 * *request* is what reached the gateway; reasons come from its decision records. An *attempt* is
 * what the gateway sent to an instance.
 *
 * Everything counts in the second in which it ended. One thread. */
#ifndef NR_FORESIGHT_REPORT_H
#define NR_FORESIGHT_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hist.h"
#include "base/json.h"
#include "base/reason.h"
#include "base/strbuf.h"
#include "naru/span.h"

/* Causes are enum nr_reason, and behind them: */
enum {
    NR_CAUSE_STATUS = NR_REASONS, /* the service's own 5xx */
    NR_CAUSES
};

const char *nr_cause_name(uint32_t cause);

struct nr_report_second {
    uint32_t offered;  /* visits that began */
    uint32_t ok;       /* visits that ended well … */
    uint32_t failed;   /* … and that did not */
    uint32_t requests; /* that the gateway finished */
    uint32_t attempts; /* that it made for them */
    uint32_t arrived;  /* at the instances, from the gateway */
    uint32_t in_flight;
    uint32_t queued; /* in the instances, at the second's end */
    uint32_t orphans;
    uint32_t causes[NR_CAUSES];
    uint32_t p50_us, p95_us, p99_us; /* of the visits that ended well */
};

/* One instance in one second. */
struct nr_report_load {
    uint32_t answered;
    uint32_t failed;  /* of them with 5xx */
    uint32_t refused; /* its queue was full */
    uint32_t orphans; /* finished for nobody */
    uint32_t queued;  /* the most that waited */
    uint64_t busy_ns; /* sum over what it worked on */
};

struct nr_report_instance {
    char *name;        // "payment/0"; owned
    uint32_t capacity; /* 0: any */
    struct nr_report_load *seconds;
    struct nr_report_load total;
    uint64_t orphaned_ns; /* work for nobody */
};

/* One kind of request of the scenario. */
struct nr_report_kind {
    char *name; /* "GET /api/orders"; owned */
    uint64_t visits, ok;
    struct nr_hist latency; /* of those that ended well */
};

enum nr_event_tone { NR_TONE_NEUTRAL, NR_TONE_BAD, NR_TONE_GOOD };

struct nr_report_event {
    uint64_t at_ns;  /* since the start */
    uint32_t number; /* of equal times, the one told first stands first: a cause, then its effect */
    enum nr_event_tone tone;
    char *text; /* owned */
};

struct nr_report {
    struct nr_span name; /* of the scenario; borrowed, as the next */
    struct nr_span about;
    const char *transport; /* of the scenario */
    uint64_t seed;
    uint64_t duration_ns;
    uint64_t start_ns; /* of the world's clock */
    struct nr_report_second *seconds;
    uint32_t second_count; /* in use */
    uint32_t second_max;
    struct nr_report_instance *instances;
    uint32_t instance_count;
    struct nr_report_kind *kinds;
    uint32_t kind_count;
    struct nr_report_event *events;
    uint32_t event_count;
    /* sums */
    uint64_t visits, ok, failed, unfinished;
    uint64_t client_requests; /* with the clients' own retries */
    uint64_t client_timeouts;
    uint64_t requests, attempts, arrived, orphans;
    uint64_t orphaned_ns, busy_ns;
    uint64_t causes[NR_CAUSES];
    struct nr_hist latency; /* of the visits that ended well, in µs */
    struct nr_hist all;     /* of every request of a client, whatever came of it */
    struct nr_hist second;  /* of the second under way */
};

void nr_report_init(struct nr_report *report, uint64_t start_ns, uint64_t duration_ns,
                    uint32_t instances, uint32_t kinds);
void nr_report_done(struct nr_report *report);

/* The second that now_ns falls into. */
struct nr_report_second *nr_report_at(struct nr_report *report, uint64_t now_ns);
struct nr_report_load *nr_report_load_at(struct nr_report *report, uint32_t instance,
                                         uint64_t now_ns);

/* A visit of this kind is over; took_us counts if it ended well. */
void nr_report_visit(struct nr_report *report, uint64_t now_ns, uint32_t kind, bool ok,
                     uint64_t took_us);

/* The second that ends at now_ns is complete. */
void nr_report_tick(struct nr_report *report, uint64_t now_ns, uint32_t in_flight, uint32_t queued);

void nr_report_event(struct nr_report *report, uint64_t now_ns, enum nr_event_tone tone,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));

/* All has been collected: sums, and what the seconds tell as events. */
void nr_report_finish(struct nr_report *report);

/* ---- telling ---- */

/* "350 µs", "21 ms", "1.20 s". Returns to. */
const char *nr_report_time_text(uint64_t us, char *to, size_t room);

/* Share of visits that ended well, 0 to 1; 1 without visits. */
double nr_report_availability(const struct nr_report *report);
/* Attempts per request of the gateway, and per visit. */
double nr_report_attempts_per_request(const struct nr_report *report);
double nr_report_load_factor(const struct nr_report *report);

struct nr_report_style {
    bool color;
    uint32_t columns; /* of the terminal */
};

void nr_report_text(const struct nr_report *report, const struct nr_report_style *style,
                    struct nr_strbuf *to);
struct nr_json *nr_report_json(const struct nr_report *report);
/* One page that needs no other file. */
void nr_report_html(const struct nr_report *report, struct nr_strbuf *to);

#endif
