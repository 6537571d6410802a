/* SPDX-License-Identifier: Apache-2.0 */
#include "observe/access_log.h"

#include "base/assert.h"
#include "base/json_text.h"
#include "base/reason.h"
#include "codec/h1.h"
#include "io/addr.h"

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
    return nr_names_instance(names, record->service, record->attempts[kept - 1].instance, to);
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

static void about_the_request(struct nr_json_text *to, const struct nr_record *record,
                              const struct nr_record_view *view)
{
    char ip[64];

    member(to, NR_SPAN(",\"request_id\":"), view->request_id, NR_ACCESS_ID_BYTES);
    member(to, NR_SPAN(",\"method\":"), view->method, NR_ACCESS_NAME_BYTES);
    member(to, NR_SPAN(",\"path\":"), view->path, NR_ACCESS_PATH_BYTES);
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
    about_the_request(&line, record, view);
    about_the_way(&line, names, record);
    NR_JSON_TEXT_LIT(&line, "}\n");
    nr_assert(!line.cut); /* NR_ACCESS_LINE_BYTES is the worst case */
    return (size_t)(line.at - to);
}
