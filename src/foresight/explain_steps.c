/* SPDX-License-Identifier: Apache-2.0 */
/* explain_steps.c - the chain of decisions, in the order in which they are made.
 *
 * A table says which member of the record is told at which step. What the table does not know is
 * told too, under its own name, behind the rest: so a fact that a module adds to the record is
 * seen at once, and gets better words when somebody adds a row. */
#include <stdio.h>

#include "base/compiler.h"
#include "base/reason.h"
#include "foresight/explain_parts.h"

struct step {
    const char *key;  /* of the record */
    const char *name; /* of the step; NULL: told elsewhere */
    /* NULL: by nr_explain_value. */
    void (*put)(const struct nr_json *record, const struct nr_json *value, struct nr_strbuf *to);
};

static void begin(struct nr_strbuf *to, const char *name)
{
    nr_strbuf_printf(to, "  %-12s ", name);
}

static void put_quoted(struct nr_strbuf *to, struct nr_span text)
{
    NR_STRBUF_LIT(to, "'");
    nr_explain_text(to, text);
    NR_STRBUF_LIT(to, "'");
}

/* ---- members of members that have no words of their own ---- */

struct remainder {
    struct nr_strbuf *to;
    const char *const *known; /* ended by NULL */
};

static void put_unknown(void *ctx, const char *key, const struct nr_json *value)
{
    struct remainder *rest = ctx;

    for (const char *const *known = rest->known; *known != NULL; known++)
        if (strcmp(key, *known) == 0)
            return;
    NR_STRBUF_LIT(rest->to, ", ");
    nr_explain_key(rest->to, key);
    NR_STRBUF_LIT(rest->to, " ");
    nr_explain_value(rest->to, key, value);
}

static void put_remainder(const struct nr_json *object, const char *const *known,
                          struct nr_strbuf *to)
{
    nr_json_each(object, put_unknown, &(struct remainder){to, known});
}

/* ---- steps ---- */

static void put_route(const struct nr_json *record, const struct nr_json *value,
                      struct nr_strbuf *to)
{
    struct nr_span service = nr_json_text(nr_json_get(record, "service"));

    begin(to, "route");
    put_quoted(to, nr_json_text(value));
    if (service.len > 0) {
        NR_STRBUF_LIT(to, ", to service ");
        put_quoted(to, service);
    }
    NR_STRBUF_LIT(to, "\n");
}

/* The first one refused, if one did. */
static void put_limits(const struct nr_json *record, const struct nr_json *value,
                       struct nr_strbuf *to)
{
    static const char *const known[] = {"name", "left", NULL};
    bool refused = nr_span_eq(nr_json_text(nr_json_get(record, "reason")), NR_SPAN("rate_limited"));

    for (size_t i = 0; i < nr_json_count(value); i++) {
        const struct nr_json *limit = nr_json_at(value, i), *left = nr_json_get(limit, "left");

        begin(to, i == 0 ? "limits" : "");
        put_quoted(to, nr_json_text(nr_json_get(limit, "name")));
        nr_strbuf_printf(to, "%s", refused && i == 0 ? " refused it" : " let it pass");
        if (left != NULL)
            nr_strbuf_printf(to, ", %lld left", (long long)nr_json_integer_value(left));
        put_remainder(limit, known, to);
        NR_STRBUF_LIT(to, "\n");
    }
}

static void put_queue(const struct nr_json *record, const struct nr_json *value,
                      struct nr_strbuf *to)
{
    double ms = nr_json_number(nr_json_get(value, "queue_ms"));

    if (ms <= 0)
        return;
    begin(to, "queue");
    NR_STRBUF_LIT(to, "waited ");
    nr_explain_ms(to, ms);
    NR_STRBUF_LIT(to, " for its turn: a permit, a connection, a place in a limit\n");
}

static const struct {
    const char *result, *phrase;
} phrases[] = {
    {"answered", "answered"},
    {"connect_refused", "refused the connection"},
    {"connect_failed", "could not be reached"},
    {"connect_timeout", "did not take the connection in time"},
    {"closed", "closed the connection without an answer"},
    {"reset", "broke the connection"},
    {"protocol", "answered something that is not HTTP"},
    {"timeout", "did not answer in time"},
    {"canceled", "was given up, nobody waited any more"},
    {"connected", "took the connection"},
    {"pool_exhausted", "had no connection free in time"},
};

struct nr_span nr_explain_result(const struct nr_json *attempt)
{
    struct nr_span result = nr_json_text(nr_json_get(attempt, "result"));

    for (size_t i = 0; i < NR_COUNT(phrases); i++)
        if (nr_span_eq(result, nr_span_of(phrases[i].result)))
            return nr_span_of(phrases[i].phrase);
    return result;
}

static void put_attempt(const struct nr_json *attempt, int64_t number, struct nr_strbuf *to)
{
    static const char *const known[] = {"instance", "service",  "result",  "status",
                                        "fault",    "start_ms", "took_ms", "reused_connection",
                                        NULL};
    struct nr_span instance = nr_json_text(nr_json_get(attempt, "instance"));
    struct nr_span fault = nr_json_text(nr_json_get(attempt, "fault"));
    struct nr_span service = nr_json_text(nr_json_get(attempt, "service"));
    const struct nr_json *status = nr_json_get(attempt, "status");
    char name[32];

    snprintf(name, sizeof(name), "attempt %lld", (long long)number);
    begin(to, name);
    nr_explain_text(to, instance.len > 0 ? instance : NR_SPAN("an instance"));
    if (service.len > 0) {
        NR_STRBUF_LIT(to, " of ");
        put_quoted(to, service);
    }
    NR_STRBUF_LIT(to, " ");
    nr_explain_text(to, nr_explain_result(attempt));
    if (status != NULL)
        nr_strbuf_printf(to, " %lld", (long long)nr_json_integer_value(status));
    NR_STRBUF_LIT(to, " after ");
    nr_explain_ms(to, nr_json_number(nr_json_get(attempt, "took_ms")));
    if (nr_json_bool_value(nr_json_get(attempt, "reused_connection")))
        NR_STRBUF_LIT(to, ", on a pooled connection");
    if (fault.len > 0) {
        NR_STRBUF_LIT(to, ", on purpose: ");
        nr_explain_text(to, fault);
    }
    put_remainder(attempt, known, to);
    NR_STRBUF_LIT(to, "\n");
}

/* There would have been one more. */
static void put_refused_repeat(const struct nr_json *record, int64_t attempts, struct nr_strbuf *to)
{
    static const struct {
        enum nr_reason reason;
        const char *why;
    } refusals[] = {
        {NR_REASON_CIRCUIT_OPEN, "the circuit had opened"},
        {NR_REASON_BULKHEAD_FULL, "no permit was free, and repeats do not queue"},
        {NR_REASON_OVERLOADED, "no permit was free, and repeats do not queue"},
        {NR_REASON_NO_HEALTHY, "no instance was healthy any more"},
        {NR_REASON_NO_INSTANCE, "there was no instance any more"},
    };
    struct nr_span reason = nr_json_text(nr_json_get(record, "reason"));

    for (size_t i = 0; i < NR_COUNT(refusals); i++) {
        char name[32];

        if (!nr_span_eq(reason, nr_span_of(nr_reason_name(refusals[i].reason))))
            continue;
        snprintf(name, sizeof(name), "attempt %lld", (long long)attempts + 1);
        begin(to, name);
        nr_strbuf_printf(to, "was refused: %s\n", refusals[i].why);
    }
}

/* The record keeps the first attempts and the last. */
static void put_attempts(const struct nr_json *record, const struct nr_json *value,
                         struct nr_strbuf *to)
{
    int64_t all = nr_json_integer_value(nr_json_get(record, "attempt_count"));
    int64_t kept = (int64_t)nr_json_count(value);

    if (kept == 0) {
        begin(to, "no attempt");
        NR_STRBUF_LIT(to, "no service was asked\n");
    }
    for (int64_t i = 0; i < kept; i++) {
        bool last = i == kept - 1;

        if (last && all > kept) {
            begin(to, "...");
            nr_strbuf_printf(to, "%lld more attempts, not recorded\n", (long long)(all - kept));
        }
        put_attempt(nr_json_at(value, (size_t)i), last && all > kept ? all : i + 1, to);
    }
    if (kept > 0)
        put_refused_repeat(record, all, to);
}

/* Who was asked in place of the service. */
static void put_fallback(const struct nr_json *record, const struct nr_json *value,
                         struct nr_strbuf *to)
{
    static const char *const known[] = {"services", "answered", NULL};
    const struct nr_json *asked = nr_json_get(value, "services");
    bool answered = nr_json_bool_value(nr_json_get(value, "answered"));
    size_t count = nr_json_count(asked);

    for (size_t i = 0; i < count; i++) {
        begin(to, i == 0 ? "fallback" : "");
        NR_STRBUF_LIT(to, "service ");
        put_quoted(to, nr_json_text(nr_json_at(asked, i)));
        NR_STRBUF_LIT(to, " was asked in place of ");
        put_quoted(
            to, nr_json_text(i == 0 ? nr_json_get(record, "service") : nr_json_at(asked, i - 1)));
        nr_strbuf_printf(to, "%s",
                         i + 1 == count && answered ? ", and answered" : ", and had no answer");
        if (i + 1 == count)
            put_remainder(value, known, to);
        NR_STRBUF_LIT(to, "\n");
    }
}

static void put_notes(const struct nr_json *record, const struct nr_json *value,
                      struct nr_strbuf *to)
{
    for (size_t i = 0; i < nr_json_count(value); i++) {
        begin(to, i == 0 ? "notes" : "");
        nr_explain_text(to, nr_json_text(nr_json_at(value, i)));
        NR_STRBUF_LIT(to, "\n");
    }
}

static void put_tunnel(const struct nr_json *record, const struct nr_json *value,
                       struct nr_strbuf *to)
{
    if (!nr_json_bool_value(value))
        return;
    begin(to, "tunnel");
    NR_STRBUF_LIT(to, "the connection was upgraded and passed on as bytes\n");
}

/* In the order of the chain; the first ones are the head's, which is told before. */
static const struct step steps[] = {
    {"request_id", NULL, NULL},
    {"timestamp", NULL, NULL},
    {"method", NULL, NULL},
    {"path", NULL, NULL},
    {"path_cut", NULL, NULL},
    {"protocol", NULL, NULL},
    {"status", NULL, NULL},
    {"reason", NULL, NULL},
    {"detail", NULL, NULL},
    {"ip", NULL, NULL},
    {"bytes_in", NULL, NULL},
    {"bytes_out", NULL, NULL},
    {"service", NULL, NULL},
    {"attempt_count", NULL, NULL},
    {"route", "route", put_route},
    {"limits", "limits", put_limits},
    {"shedding", "shedding", NULL},
    {"ledger", "queue", put_queue},
    {"bulkhead", "bulkhead", NULL},
    {"breaker", "breaker", NULL},
    {"attempts", "attempts", put_attempts},
    {"backoff_ms", "back-off", NULL},
    {"fallback", NULL, NULL},
    {"stand_ins", "fallback", put_fallback},
    {"tunnel", "tunnel", put_tunnel},
    {"notes", "notes", put_notes},
};

static void put_value(const char *name, const char *key, const struct nr_json *value,
                      struct nr_strbuf *to)
{
    bool list = nr_json_kind(value) == NR_JSON_ARRAY;
    size_t lines = list ? nr_json_count(value) : 1;

    for (size_t i = 0; i < lines; i++) {
        begin(to, i == 0 ? name : "");
        nr_explain_value(to, key, list ? nr_json_at(value, i) : value);
        NR_STRBUF_LIT(to, "\n");
    }
}

static void put_rest(void *ctx, const char *key, const struct nr_json *value)
{
    struct nr_strbuf name = {0};

    for (size_t i = 0; i < NR_COUNT(steps); i++)
        if (strcmp(key, steps[i].key) == 0)
            return;
    nr_explain_key(&name, key);
    put_value(name.ptr == NULL ? "" : name.ptr, key, value, ctx);
    nr_strbuf_done(&name);
}

void nr_explain_steps(const struct nr_json *record, struct nr_strbuf *to)
{
    for (size_t i = 0; i < NR_COUNT(steps); i++) {
        const struct nr_json *value = nr_json_get(record, steps[i].key);

        if (value == NULL || steps[i].name == NULL)
            continue;
        if (steps[i].put != NULL)
            steps[i].put(record, value, to);
        else
            put_value(steps[i].name, steps[i].key, value, to);
    }
    nr_json_each(record, put_rest, to);
}
