/* SPDX-License-Identifier: Apache-2.0 */
#include "observe/access_log.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/json_text.h"
#include "base/reason.h"
#include "codec/h1.h"
#include "io/addr.h"
#include "observe/record_json.h"

struct nr_span nr_record_reason(const struct nr_record *record)
{
    if (record->reason == NR_REASON_NONE || record->reason >= NR_REASONS)
        return NR_SPAN("");
    if (record->reason == NR_REASON_BAD_REQUEST && record->refusal != NR_H1_OK &&
        record->refusal < NR_H1_REASONS)
        return nr_span_of(nr_h1_reason_text((enum nr_h1_reason)record->refusal));
    return nr_span_of(nr_reason_name((enum nr_reason)record->reason));
}

bool nr_record_failed(const struct nr_record *record)
{
    if (record->reason == NR_REASON_RATE_LIMITED)
        return false; /* works as it should, and comes in floods that would wash the rest away */
    return record->reason != NR_REASON_NONE || record->status >= 500;
}

struct nr_span nr_record_ip(const struct nr_record *record, char *to)
{
    struct nr_addr addr = {.family = record->client_family};

    memcpy(addr.ip, record->client_ip, sizeof(addr.ip));
    if (addr.family == NR_ADDR_NONE)
        return NR_SPAN("");
    if (addr.family == NR_ADDR_UNIX)
        return NR_SPAN("unix");
    return (struct nr_span){to, nr_addr_format_ip(&addr, to, 64)};
}

struct nr_span nr_names_route(const struct nr_observe_names *names, uint32_t route)
{
    return route < names->route_count ? names->routes[route] : NR_SPAN("");
}

struct nr_span nr_names_service(const struct nr_observe_names *names, uint32_t service)
{
    return service < names->service_count ? names->services[service].name : NR_SPAN("");
}

struct nr_span nr_names_instance(const struct nr_observe_names *names, uint32_t service,
                                 uint32_t instance, char to[NR_ROSTER_TEXT_BYTES])
{
    if (service >= names->service_count || names->services[service].instances == NULL)
        return NR_SPAN("");
    return nr_roster_text(names->services[service].instances, instance, to);
}

struct nr_span nr_names_limit(const struct nr_observe_names *names, const struct nr_record *record)
{
    if (record->limit == 0 || record->limit > names->limit_count)
        return NR_SPAN("");
    return names->limits[record->limit - 1];
}

static bool attempt_failed(const struct nr_record_attempt *attempt)
{
    switch (attempt->result) {
    case NR_ATTEMPT_NONE:
    case NR_ATTEMPT_CONNECTED:
    case NR_ATTEMPT_CANCELED: return false;
    case NR_ATTEMPT_ANSWERED: return attempt->status >= 500;
    default: return true;
    }
}

static bool is_tcp(const struct nr_record *record)
{
    return (record->flags & NR_RECORD_TCP) != 0;
}

static const char *level_of(const struct nr_record *record)
{
    uint16_t status = record->status;

    if (is_tcp(record) && record->reason < NR_REASONS)
        status = nr_reason_status((enum nr_reason)record->reason);
    if (status >= 500)
        return "error";
    return record->reason != NR_REASON_NONE ? "warn" : "info";
}

static struct nr_span message_of(const struct nr_record *record)
{
    if (record->reason != NR_REASON_NONE && record->reason < NR_REASONS)
        return nr_span_of(nr_reason_detail((enum nr_reason)record->reason));
    if (is_tcp(record))
        return NR_SPAN("connection closed");
    return record->flags & NR_RECORD_TUNNEL ? NR_SPAN("tunnel closed") : NR_SPAN("answered");
}

/* The instance of the last attempt: who answered, or who failed last. */
static struct nr_span instance_of(const struct nr_observe_names *names,
                                  const struct nr_record *record, char *to)
{
    uint32_t kept =
        record->attempt_count < NR_RECORD_ATTEMPTS ? record->attempt_count : NR_RECORD_ATTEMPTS;

    if (kept == 0)
        return NR_SPAN("");
    return nr_names_instance(names, nr_record_service_of(record, &record->attempts[kept - 1]),
                             record->attempts[kept - 1].instance, to);
}

/* The trace that the client says it belongs to; empty if there is none, or it is malformed.
 *
 *     version-trace id-parent id-flags: 2, 32, 16 and 2 digits, lower case; "Vendors MUST ignore
 * the traceparent when the trace-id is invalid", and so for all zeros. More may follow in later
 *     versions.
 *
 * Source: W3C Trace Context, 3.2. */
static struct nr_span trace_of(const struct nr_head *head)
{
    struct nr_span text = nr_head_get(head, NR_FIELD_TRACEPARENT);
    bool zeros = true;

    if (text.len < 55 || (text.len > 55 && (text.ptr[55] != '-' || memcmp(text.ptr, "00", 2) == 0)))
        return NR_SPAN("");
    for (size_t i = 0; i < 55; i++) {
        bool dash = i == 2 || i == 35 || i == 52;
        char c = text.ptr[i];

        if (dash ? c != '-' : !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return NR_SPAN("");
        zeros = zeros && (i < 3 || i >= 35 || c == '0');
    }
    return zeros || memcmp(text.ptr, "ff", 2) == 0 ? NR_SPAN("")
                                                   : (struct nr_span){text.ptr + 3, 32};
}

static struct nr_span user_of(const struct nr_log_rules *rules, const struct nr_head *head)
{
    const struct nr_field *field;

    if (rules == NULL || rules->user.len == 0)
        return NR_SPAN("");
    field = nr_head_find_name(head, rules->user, NULL);
    return field != NULL ? nr_head_value(head, field) : NR_SPAN("");
}

/* ,"name":"text" unless the text is empty. */
static void member(struct nr_json_text *to, struct nr_span prefix, struct nr_span text,
                   size_t bytes_max)
{
    if (text.len == 0)
        return;
    nr_json_text_raw(to, prefix);
    nr_json_text_string(to, text, bytes_max);
}

static void number(struct nr_json_text *to, struct nr_span prefix, uint64_t value)
{
    nr_json_text_raw(to, prefix);
    nr_json_text_u64(to, value);
}

static void about_the_asker(struct nr_json_text *to, const struct nr_log_rules *rules,
                            const struct nr_record_view *view)
{
    member(to, NR_SPAN(",\"request_id\":"), view->request_id, NR_ACCESS_ID_BYTES);
    if (view->head == NULL)
        return;
    member(to, NR_SPAN(",\"trace_id\":"), trace_of(view->head), NR_ACCESS_NAME_BYTES);
    member(to, NR_SPAN(",\"user_id\":"), user_of(rules, view->head), NR_ACCESS_USER_BYTES);
}

static void query_member(struct nr_json_text *to, const struct nr_log_rules *rules,
                         const struct nr_head *head)
{
    char redacted[NR_ACCESS_PATH_BYTES + 1]; /* one more: then it is seen to be cut */
    struct nr_span query;

    if (rules == NULL || !rules->query || head == NULL)
        return;
    query = nr_head_text(head, head->query);
    member(to, NR_SPAN(",\"query\":"), nr_log_rules_query(rules, query, redacted, sizeof(redacted)),
           NR_ACCESS_PATH_BYTES);
}

static void about_the_request(struct nr_json_text *to, const struct nr_log_rules *rules,
                              const struct nr_record *record, const struct nr_record_view *view)
{
    char ip[64];

    about_the_asker(to, rules, view);
    member(to, NR_SPAN(",\"method\":"), view->method, NR_ACCESS_NAME_BYTES);
    member(to, NR_SPAN(",\"path\":"), view->path, NR_ACCESS_PATH_BYTES);
    query_member(to, rules, view->head);
    member(to, NR_SPAN(",\"host\":"), view->host, NR_ACCESS_HOST_BYTES);
    if (is_tcp(record))
        NR_JSON_TEXT_LIT(to, ",\"protocol\":\"tcp\"");
    else
        number(to, NR_SPAN(",\"status\":"), record->status);
    NR_JSON_TEXT_LIT(to, ",\"duration_ms\":");
    nr_json_text_milli(to, record->total_us);
    member(to, NR_SPAN(",\"reason\":"), nr_record_reason(record), NR_ACCESS_NAME_BYTES);
    member(to, NR_SPAN(",\"ip\":"), nr_record_ip(record, ip), sizeof(ip));
    member(to, NR_SPAN(",\"user_agent\":"), view->user_agent, NR_ACCESS_AGENT_BYTES);
}

/* Only of what was refused, or would have been: else it is every line of a route. */
static void about_the_limit(struct nr_json_text *to, const struct nr_observe_names *names,
                            const struct nr_record *record)
{
    bool observed = (record->flags & NR_RECORD_WOULD_LIMIT) != 0;

    bool charged = (record->flags & NR_RECORD_CHARGED) != 0;

    if (record->reason == NR_REASON_RATE_LIMITED || observed || charged)
        member(to, NR_SPAN(",\"limit\":"), nr_names_limit(names, record), NR_ACCESS_NAME_BYTES);
    if (observed)
        NR_JSON_TEXT_LIT(to, ",\"limit_would_refuse\":true");
    if (charged)
        NR_JSON_TEXT_LIT(to, ",\"limit_charged\":true");
}

/* What went wrong last, even if another attempt made it good: at whom, and how. Without an attempt
 * the message has said it. */
static void about_the_error(struct nr_json_text *to, const struct nr_observe_names *names,
                            const struct nr_record *record)
{
    const struct nr_record_attempt *failed = NULL;
    char instance[NR_ROSTER_TEXT_BYTES], text[NR_ACCESS_NAME_BYTES];
    struct nr_span name;
    int len;

    for (uint32_t i = 0; i < record->attempt_count && i < NR_RECORD_ATTEMPTS; i++)
        if (attempt_failed(&record->attempts[i]))
            failed = &record->attempts[i];
    if (failed == NULL) {
        if (record->reason != NR_REASON_NONE && record->reason < NR_REASONS)
            member(to, NR_SPAN(",\"error\":"), nr_record_reason(record), NR_ACCESS_NAME_BYTES);
        return;
    }
    name = nr_names_instance(names, record->service, failed->instance, instance);
    if (failed->result == NR_ATTEMPT_ANSWERED)
        len = snprintf(text, sizeof(text), "%.*s answered %u", (int)name.len, name.ptr,
                       failed->status);
    else
        len = snprintf(text, sizeof(text), "%.*s: %s", (int)name.len, name.ptr,
                       nr_attempt_result_name(failed->result));
    member(to, NR_SPAN(",\"error\":"), (struct nr_span){text, (size_t)len}, NR_ACCESS_NAME_BYTES);
}

static void about_the_way(struct nr_json_text *to, const struct nr_observe_names *names,
                          const struct nr_record *record)
{
    char instance[NR_ROSTER_TEXT_BYTES];

    member(to, NR_SPAN(",\"route\":"), nr_names_route(names, record->route), NR_ACCESS_NAME_BYTES);
    member(to, NR_SPAN(",\"upstream\":"), nr_names_service(names, record->service),
           NR_ACCESS_NAME_BYTES);
    member(to, NR_SPAN(",\"instance\":"), instance_of(names, record, instance),
           NR_ACCESS_NAME_BYTES);
    about_the_limit(to, names, record);
    number(to, NR_SPAN(",\"attempts\":"), record->attempt_count);
    number(to, NR_SPAN(",\"bytes_in\":"), record->received_bytes);
    number(to, NR_SPAN(",\"bytes_out\":"), record->sent_bytes);
}

size_t nr_access_log_line(char *to, const struct nr_observe_names *names,
                          struct nr_timestamp *timestamp, const struct nr_record *record,
                          const struct nr_record_view *view)
{
    struct nr_json_text line = {.at = to, .end = to + NR_ACCESS_LINE_BYTES};

    NR_JSON_TEXT_LIT(&line, "{\"timestamp\":\"");
    nr_json_text_raw(&line, nr_timestamp_text(timestamp, record->wall_ns));
    NR_JSON_TEXT_LIT(&line, "\",\"level\":\"");
    nr_json_text_raw(&line, nr_span_of(level_of(record)));
    NR_JSON_TEXT_LIT(&line, "\",\"service\":\"naru\"");
    member(&line, NR_SPAN(",\"message\":"), message_of(record), NR_ACCESS_NAME_BYTES);
    about_the_error(&line, names, record);
    about_the_request(&line, names->log, record, view);
    about_the_way(&line, names, record);
    NR_JSON_TEXT_LIT(&line, "}\n");
    nr_assert(!line.cut); /* NR_ACCESS_LINE_BYTES is the worst case */
    return (size_t)(line.at - to);
}
