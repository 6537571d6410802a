/* SPDX-License-Identifier: Apache-2.0 */
/* explain_ledger.c - where the time went: slices of a request, each as a line with its milliseconds
 * and a bar that shows when it was.
 *
 *     receiving the head      0.12 ms  |##                            |
 *     attempt 1: 10.0.0.7:80   250 ms  |  ##################          |
 *     before attempt 2        25.0 ms  |                    ##        |
 *
 * The slices come from the record: what lies between two of them is a slice too (back-off, routing,
 * passing on the body), so that they add up to the whole. */
#include <stdio.h>

#include "base/compiler.h"
#include "foresight/explain_parts.h"

enum { SLICES_MAX = 48, LABEL_BYTES = 56, BAR_WIDTH = 40 };

static const double worth_ms = 0.005; /* a shorter gap is rounding */

struct slice {
    char label[LABEL_BYTES];
    double from_ms, took_ms;
};

struct slices {
    struct slice items[SLICES_MAX];
    uint32_t count;
    double at_ms; /* the end of the last one */
    double total_ms;
};

static void add(struct slices *slices, double from_ms, double took_ms, const char *label)
{
    struct slice *slice = &slices->items[slices->count];

    if (slices->count == SLICES_MAX || took_ms < worth_ms)
        return;
    slices->count++;
    snprintf(slice->label, sizeof(slice->label), "%s", label);
    slice->from_ms = from_ms;
    slice->took_ms = took_ms;
    if (from_ms + took_ms > slices->at_ms)
        slices->at_ms = from_ms + took_ms;
}

/* What lies between the end of the last slice and this moment. */
static void gap(struct slices *slices, double until_ms, const char *label)
{
    add(slices, slices->at_ms, until_ms - slices->at_ms, label);
}

static void attempts(const struct nr_json *record, struct slices *slices)
{
    const struct nr_json *list = nr_json_get(record, "attempts");
    int64_t all = nr_json_integer_value(nr_json_get(record, "attempt_count"));
    size_t kept = nr_json_count(list);

    for (size_t i = 0; i < kept; i++) {
        const struct nr_json *attempt = nr_json_at(list, i);
        struct nr_span instance = nr_json_text(nr_json_get(attempt, "instance"));
        double start_ms = nr_json_number(nr_json_get(attempt, "start_ms"));
        long long number = i == kept - 1 ? (long long)all : (long long)i + 1;
        char label[LABEL_BYTES];

        snprintf(label, sizeof(label), "before attempt %lld", number);
        gap(slices, start_ms, i == 0 ? "deciding: route, limits, permit" : label);
        snprintf(label, sizeof(label), "attempt %lld: %.*s", number, (int)instance.len,
                 instance.ptr);
        add(slices, start_ms, nr_json_number(nr_json_get(attempt, "took_ms")), label);
    }
}

/* Waiting for a connection is a part of its attempt; what came before the first is the queue. */
static double queued_ms(const struct nr_json *record, const struct slices *slices)
{
    const struct nr_json *first = nr_json_at(nr_json_get(record, "attempts"), 0);
    double ms = nr_json_number(nr_json_get(nr_json_get(record, "ledger"), "queue_ms"));
    double most_ms = nr_json_number(nr_json_get(first, "start_ms")) - slices->at_ms;

    return first == NULL || ms < most_ms ? ms : most_ms;
}

/* What followed the last attempt: its answer, or, if naru answered, its thinking it over: a pause
 * before a repeat that then was refused. */
static const char *last_words(const struct nr_json *record)
{
    const struct nr_json *attempts = nr_json_get(record, "attempts");
    size_t count = nr_json_count(attempts);
    const struct nr_json *last = count == 0 ? NULL : nr_json_at(attempts, count - 1);

    if (count == 0)
        return "answering";
    if (nr_json_integer_value(nr_json_get(last, "status")) ==
            nr_json_integer_value(nr_json_get(record, "status")) &&
        nr_json_number(nr_json_get(nr_json_get(record, "ledger"), "backoff_ms")) <= 0)
        return "passing the answer on";
    return nr_json_text(nr_json_get(record, "reason")).len > 0 ? "then, until naru answered"
                                                               : "passing the answer on";
}

static void slice_up(const struct nr_json *record, struct slices *slices)
{
    const struct nr_json *ledger = nr_json_get(record, "ledger");

    slices->total_ms = nr_json_number(nr_json_get(ledger, "total_ms"));
    add(slices, 0, nr_json_number(nr_json_get(ledger, "head_ms")), "receiving the head");
    add(slices, slices->at_ms, queued_ms(record, slices), "waiting in the queue");
    attempts(record, slices);
    gap(slices, slices->total_ms, last_words(record));
}

/* How many marks of the bar this time is; records may hold anything. */
static int marks(double ms, double total_ms)
{
    double share = total_ms <= 0 ? 0 : ms / total_ms;

    return share <= 0 ? 0 : share >= 1 ? BAR_WIDTH : (int)(share * BAR_WIDTH + 0.5);
}

/* At least one mark for each slice, and never beyond the end. */
static void put_bar(const struct slice *slice, double total_ms, struct nr_strbuf *to)
{
    int from = marks(slice->from_ms, total_ms), len = marks(slice->took_ms, total_ms);

    from = from < BAR_WIDTH ? from : BAR_WIDTH - 1;
    len = len < 1 ? 1 : len;
    NR_STRBUF_LIT(to, "|");
    for (int i = 0; i < BAR_WIDTH; i++)
        nr_strbuf_printf(to, "%c", i >= from && i < from + len ? '#' : ' ');
    NR_STRBUF_LIT(to, "|");
}

static void put_line(const char *label, double ms, struct nr_strbuf *to)
{
    struct nr_strbuf clean = {0}, time = {0};

    nr_explain_text(&clean, nr_span_of(label));
    nr_explain_ms(&time, ms);
    nr_strbuf_printf(to, "  %-32s %10s", clean.ptr == NULL ? "" : clean.ptr, time.ptr);
    nr_strbuf_done(&clean);
    nr_strbuf_done(&time);
}

static void put_deadline(const struct nr_json *deadline, double total_ms, struct nr_strbuf *to)
{
    double given_ms = nr_json_number(deadline);

    if (given_ms <= 0) {
        NR_STRBUF_LIT(to, "  no deadline\n");
        return;
    }
    put_line("deadline", given_ms, to);
    NR_STRBUF_LIT(to, "  ");
    if (total_ms <= given_ms) {
        nr_explain_ms(to, given_ms - total_ms);
        NR_STRBUF_LIT(to, " were left\n");
        return;
    }
    nr_explain_ms(to, total_ms - given_ms);
    NR_STRBUF_LIT(to, " over\n");
}

static void put_longest(const struct slices *slices, struct nr_strbuf *to)
{
    const struct slice *longest = NULL;

    for (uint32_t i = 0; i < slices->count; i++)
        if (longest == NULL || slices->items[i].took_ms > longest->took_ms)
            longest = &slices->items[i];
    if (longest == NULL || slices->count < 2 || slices->total_ms <= 0)
        return;
    NR_STRBUF_LIT(to, "  most of it: ");
    nr_explain_text(to, nr_span_of(longest->label));
    nr_strbuf_printf(to, " (%.0f %%)\n", longest->took_ms / slices->total_ms * 100);
}

void nr_explain_ledger(const struct nr_json *record, struct nr_strbuf *to)
{
    struct slices slices = {.count = 0};

    slice_up(record, &slices);
    for (uint32_t i = 0; i < slices.count; i++) {
        put_line(slices.items[i].label, slices.items[i].took_ms, to);
        NR_STRBUF_LIT(to, "  ");
        put_bar(&slices.items[i], slices.total_ms, to);
        NR_STRBUF_LIT(to, "\n");
    }
    put_line("all of it", slices.total_ms, to);
    NR_STRBUF_LIT(to, "\n");
    put_deadline(nr_json_get(nr_json_get(record, "ledger"), "deadline_ms"), slices.total_ms, to);
    put_longest(&slices, to);
}
