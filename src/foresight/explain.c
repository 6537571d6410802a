/* SPDX-License-Identifier: Apache-2.0 */
/* explain.c - the head of an explanation: what was asked, what was answered, why, what to do. */
#include "foresight/explain.h"

#include "base/reason.h"
#include "foresight/explain_parts.h"

/* ---- values ---- */

void nr_explain_text(struct nr_strbuf *to, struct nr_span text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        /* U+0080 to U+009F are controls to a terminal, too. */
        bool c1 = c == 0xc2 && i + 1 < text.len && (unsigned char)text.ptr[i + 1] < 0xa0;

        if (c < 0x20 || c == 0x7f || c1)
            NR_STRBUF_LIT(to, "?");
        else
            nr_strbuf_add(to, (struct nr_span){text.ptr + i, 1});
        i += c1;
    }
}

void nr_explain_ms(struct nr_strbuf *to, double ms)
{
    nr_strbuf_printf(to, "%.*f ms", ms < 10 ? 2 : ms < 100 ? 1 : 0, ms);
}

static bool ends_in_ms(const char *key)
{
    size_t len = strlen(key);

    return len > 3 && strcmp(key + len - 3, "_ms") == 0;
}

void nr_explain_key(struct nr_strbuf *to, const char *key)
{
    size_t len = strlen(key) - (ends_in_ms(key) ? 3 : 0);

    for (size_t i = 0; i < len; i++) {
        char c = key[i] == '_' ? ' ' : key[i];

        nr_explain_text(to, (struct nr_span){&c, 1});
    }
}

struct flattening {
    struct nr_strbuf *to;
    uint32_t count;
};

static void put_member(void *ctx, const char *key, const struct nr_json *value)
{
    struct flattening *flat = ctx;

    if (flat->count++ > 0)
        NR_STRBUF_LIT(flat->to, ", ");
    nr_explain_key(flat->to, key);
    NR_STRBUF_LIT(flat->to, " ");
    nr_explain_value(flat->to, key, value);
}

void nr_explain_value(struct nr_strbuf *to, const char *key, const struct nr_json *value)
{
    struct flattening flat = {to, 0};

    switch (nr_json_kind(value)) {
    case NR_JSON_NULL: NR_STRBUF_LIT(to, "none"); break;
    case NR_JSON_BOOL: nr_strbuf_printf(to, "%s", nr_json_bool_value(value) ? "yes" : "no"); break;
    case NR_JSON_INTEGER:
    case NR_JSON_REAL:
        if (ends_in_ms(key))
            nr_explain_ms(to, nr_json_number(value));
        else
            nr_strbuf_printf(to, "%.10g", nr_json_number(value));
        break;
    case NR_JSON_STRING: nr_explain_text(to, nr_json_text(value)); break;
    case NR_JSON_ARRAY:
        for (size_t i = 0; i < nr_json_count(value); i++) {
            nr_strbuf_printf(to, "%s", i == 0 ? "" : "; ");
            nr_explain_value(to, key, nr_json_at(value, i));
        }
        break;
    case NR_JSON_OBJECT: nr_json_each(value, put_member, &flat); break;
    }
}

/* ---- the head ---- */

static struct nr_span text_of(const struct nr_json *record, const char *key)
{
    return nr_json_text(nr_json_get(record, key));
}

static bool is_tcp(const struct nr_json *record)
{
    return nr_span_eq(text_of(record, "protocol"), NR_SPAN("tcp"));
}

static void put_request(const struct nr_json *record, struct nr_strbuf *to)
{
    struct nr_span method = text_of(record, "method"), path = text_of(record, "path");
    struct nr_span ip = text_of(record, "ip");

    if (is_tcp(record)) {
        NR_STRBUF_LIT(to, "TCP connection");
    } else {
        nr_explain_text(to, method.len == 0 ? NR_SPAN("?") : method);
        NR_STRBUF_LIT(to, " ");
        nr_explain_text(to, path.len == 0 ? NR_SPAN("(no path)") : path);
        if (nr_json_bool_value(nr_json_get(record, "path_cut")))
            NR_STRBUF_LIT(to, "...");
        nr_strbuf_printf(to, " -> %lld",
                         (long long)nr_json_integer_value(nr_json_get(record, "status")));
    }
    NR_STRBUF_LIT(to, " in ");
    nr_explain_ms(to, nr_json_number(nr_json_get(nr_json_get(record, "ledger"), "total_ms")));
    NR_STRBUF_LIT(to, "\n  ");
    nr_explain_text(to, text_of(record, "timestamp"));
    if (ip.len > 0) {
        NR_STRBUF_LIT(to, ", from ");
        nr_explain_text(to, ip);
    }
    nr_strbuf_printf(to, ", %lld bytes in, %lld out, id ",
                     (long long)nr_json_integer_value(nr_json_get(record, "bytes_in")),
                     (long long)nr_json_integer_value(nr_json_get(record, "bytes_out")));
    nr_explain_text(to, text_of(record, "request_id"));
    NR_STRBUF_LIT(to, "\n");
}

/* "service 'orders' (127.0.0.1:7003)": who answered last. */
static void put_service(const struct nr_json *record, struct nr_strbuf *to)
{
    const struct nr_json *attempts = nr_json_get(record, "attempts");
    size_t count = nr_json_count(attempts);
    struct nr_span instance =
        count == 0 ? (struct nr_span){"", 0} : text_of(nr_json_at(attempts, count - 1), "instance");
    struct nr_span service = text_of(record, "service");

    NR_STRBUF_LIT(to, "service");
    if (service.len > 0) {
        NR_STRBUF_LIT(to, " '");
        nr_explain_text(to, service);
        NR_STRBUF_LIT(to, "'");
    }
    if (instance.len > 0) {
        NR_STRBUF_LIT(to, " (");
        nr_explain_text(to, instance);
        NR_STRBUF_LIT(to, ")");
    }
}

static void put_service_answer(const struct nr_json *record, int status, struct nr_strbuf *to)
{
    int64_t tries = nr_json_integer_value(nr_json_get(record, "attempt_count"));

    if (tries == 0) {
        NR_STRBUF_LIT(to, "Naru answered this itself: the route says so.\n");
        return;
    }
    NR_STRBUF_LIT(to, "The answer is the service's own: ");
    put_service(record, to);
    nr_strbuf_printf(to, " answered %d", status);
    if (tries > 1)
        nr_strbuf_printf(to, ", at attempt %lld", (long long)tries);
    NR_STRBUF_LIT(to, ".\n");
    if (status >= 500)
        NR_STRBUF_LIT(to, "What to do: ask the service: its log has the same request id.\n");
}

/* The service whose answer it is, in place of the record's; empty: none. */
static struct nr_span stood_in(const struct nr_json *record)
{
    const struct nr_json *fallback = nr_json_get(record, "stand_ins");
    const struct nr_json *asked = nr_json_get(fallback, "services");
    size_t count = nr_json_count(asked);

    if (count == 0 || !nr_json_bool_value(nr_json_get(fallback, "answered")))
        return (struct nr_span){"", 0};
    return nr_json_text(nr_json_at(asked, count - 1));
}

static void put_stand_in(const struct nr_json *record, int status, struct nr_strbuf *to)
{
    NR_STRBUF_LIT(to, "Service '");
    nr_explain_text(to, stood_in(record));
    nr_strbuf_printf(to, "' answered %d in place of '", status);
    nr_explain_text(to, text_of(record, "service"));
    NR_STRBUF_LIT(to, "'. ");
}

static bool is_answered(const struct nr_json *attempt, int status)
{
    return nr_span_eq(text_of(attempt, "result"), NR_SPAN("answered")) &&
           nr_json_integer_value(nr_json_get(attempt, "status")) == status;
}

/* What the service answered was on its way to the client when this happened: what naru answers
 * itself has the status of its reason. */
static bool broke_off(const struct nr_json *record, int status, enum nr_reason reason)
{
    const struct nr_json *attempts = nr_json_get(record, "attempts");
    size_t count = nr_json_count(attempts);

    return count > 0 && status != nr_reason_status(reason) &&
           !nr_json_bool_value(nr_json_get(record, "fallback")) &&
           is_answered(nr_json_at(attempts, count - 1), status);
}

/* "Naru answered 503. " */
static void put_whose_answer(const struct nr_json *record, int status, enum nr_reason reason,
                             struct nr_strbuf *to)
{
    if (is_tcp(record))
        return;
    if (status == 499)
        NR_STRBUF_LIT(to, "Nobody got an answer. ");
    else if (stood_in(record).len > 0)
        put_stand_in(record, status, to);
    else if (nr_json_bool_value(nr_json_get(record, "fallback")))
        nr_strbuf_printf(to, "The fallback answered %d in place of the service. ", status);
    else if (broke_off(record, status, reason))
        nr_strbuf_printf(to, "The client got a part of the service's %d, then it broke off. ",
                         status);
    else
        nr_strbuf_printf(to, "Naru answered %d. ", status);
}

/* One sentence, and what to do about it. */
static void put_verdict(const struct nr_json *record, struct nr_strbuf *to)
{
    struct nr_span name = text_of(record, "reason");
    struct nr_span detail = text_of(record, "detail");
    int status = (int)nr_json_integer_value(nr_json_get(record, "status"));
    enum nr_reason reason = NR_REASON_BAD_REQUEST; /* the codec's words stand for it */

    if (name.len == 0 && is_tcp(record)) {
        NR_STRBUF_LIT(to, "The connection was passed to ");
        put_service(record, to);
        NR_STRBUF_LIT(to, " and ended in order.\n");
        return;
    }
    if (name.len == 0) {
        put_service_answer(record, status, to);
        return;
    }
    (void)nr_reason_of(name, &reason);
    put_whose_answer(record, status, reason, to);
    if (reason == NR_REASON_CLIENT_CLOSED && broke_off(record, status, reason))
        detail = NR_SPAN("The client left before it had all of it.");
    nr_explain_text(to, detail.len > 0 ? detail : nr_span_of(nr_reason_detail(reason)));
    NR_STRBUF_LIT(to, " [");
    nr_explain_text(to, name);
    nr_strbuf_printf(to, "]\nWhat to do: %s\n", nr_reason_advice(reason));
}

/* Nobody shall look for a crash that was no crash. */
static void put_exercise(const struct nr_json *record, struct nr_strbuf *to)
{
    const struct nr_json *attempts = nr_json_get(record, "attempts");

    for (size_t i = 0; i < nr_json_count(attempts); i++)
        if (nr_json_get(nr_json_at(attempts, i), "fault") != NULL) {
            NR_STRBUF_LIT(to, "An exercise: faults on purpose struck its attempts.\n");
            return;
        }
}

void nr_explain_record(const struct nr_json *record, struct nr_strbuf *to)
{
    put_request(record, to);
    NR_STRBUF_LIT(to, "\n");
    put_verdict(record, to);
    put_exercise(record, to);
    NR_STRBUF_LIT(to, "\nWhat happened\n");
    nr_explain_steps(record, to);
    NR_STRBUF_LIT(to, "\nWhere the time went\n");
    nr_explain_ledger(record, to);
}
