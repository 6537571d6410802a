/* SPDX-License-Identifier: Apache-2.0 */
#include "observe/record_json.h"

#include <stdio.h>

#include "base/compiler.h"
#include "observe/access_log.h"
#include "observe/timestamp.h"

const char *nr_attempt_result_name(uint32_t result)
{
    static const char *const names[NR_ATTEMPT_RESULTS] = {
        [NR_ATTEMPT_NONE] = "none",
        [NR_ATTEMPT_ANSWERED] = "answered",
        [NR_ATTEMPT_CONNECT_REFUSED] = "connect_refused",
        [NR_ATTEMPT_CONNECT_FAILED] = "connect_failed",
        [NR_ATTEMPT_CONNECT_TIMEOUT] = "connect_timeout",
        [NR_ATTEMPT_CLOSED] = "closed",
        [NR_ATTEMPT_RESET] = "reset",
        [NR_ATTEMPT_PROTOCOL] = "protocol",
        [NR_ATTEMPT_TIMEOUT] = "timeout",
        [NR_ATTEMPT_CANCELED] = "canceled",
        [NR_ATTEMPT_POOL_EXHAUSTED] = "pool_exhausted",
        [NR_ATTEMPT_CONNECTED] = "connected",
    };

    return result < NR_ATTEMPT_RESULTS ? names[result] : "none";
}

static const struct {
    uint32_t flag;
    const char *text;
} notes_of_flags[] = {
    {NR_RECORD_RETRY_UNSAFE, "not retried: the request may have been processed and its method is "
                             "not idempotent"},
    {NR_RECORD_RETRY_NO_BODY, "not retried: the request's body was no longer at hand"},
    {NR_RECORD_RETRY_NO_TIME, "not retried: no time was left"},
    {NR_RECORD_RETRY_COMMITTED, "not retried: the answer had begun"},
    {NR_RECORD_RETRY_SPENT, "not retried: all attempts were used"},
    {NR_RECORD_RETRY_OVERLOADED, "not retried: the service said that it is overloaded"},
    {NR_RECORD_RETRY_BUDGET, "not retried: the service's retry budget was used up"},
    {NR_RECORD_RETRY_AFTER, "waited as long as the service's Retry-After said"},
    {NR_RECORD_PROBE, "an attempt was a probe of a half-open circuit"},
    {NR_RECORD_FALLBACK, "answered by the service's fallback"},
    {NR_RECORD_NO_STAND_IN, "the service that is its fallback was not asked, for the same reason"},
    {NR_RECORD_WOULD_OPEN, "observed only: the circuit breaker would have refused"},
    {NR_RECORD_WOULD_QUEUE, "observed only: the bulkhead had no permit free"},
    {NR_RECORD_WOULD_EJECT, "observed only: went to an instance that would be ejected"},
    {NR_RECORD_WOULD_SHED, "observed only: it would have been shed"},
    {NR_RECORD_FAULT_DELAY, "an exercise: held on purpose, by a fault of the route"},
    {NR_RECORD_FAULT_ATTEMPT, "an exercise: attempts failed or were late on purpose"},
    {NR_RECORD_FAULT_SLOW, "an exercise: answered slowly on purpose"},
    {NR_RECORD_WOULD_LIMIT, "observed only: a rate limit would have refused it"},
    {NR_RECORD_CHARGED, "beyond the limit, and let pass because its tier is charged for more"},
    {NR_RECORD_STALE, "a pooled connection had gone stale; repeated at once on a fresh one"},
    {NR_RECORD_PANIC, "panic: too few instances were healthy, so health was ignored"},
    {NR_RECORD_STANDBY, "instances of a lower priority took part"},
    {NR_RECORD_BY_HAND, "by hand: what an operator has set while naru runs decided; "
                        "/v1/overrides lists it"},
    {NR_RECORD_FIELD_DROPPED, "a field was left out: its value had a character that none may have"},
};

static void set_text(struct nr_json *object, const char *key, struct nr_span text)
{
    if (text.len > 0)
        nr_json_set(object, key, nr_json_string(text));
}

static void set_ms(struct nr_json *object, const char *key, uint64_t value_us)
{
    nr_json_set(object, key, nr_json_real((double)value_us / 1000));
}

/* What was done to it on purpose. */
static struct nr_span fault_text(const struct nr_record_attempt *attempt)
{
    switch ((enum nr_attempt_fault)attempt->fault) {
    case NR_ATTEMPT_ABORTED: return attempt->late ? NR_SPAN("delay, abort") : NR_SPAN("abort");
    case NR_ATTEMPT_BROKEN: return attempt->late ? NR_SPAN("delay, reset") : NR_SPAN("reset");
    case NR_ATTEMPT_NO_FAULT: break;
    }
    return NR_SPAN("delay");
}

static struct nr_json *attempts(const struct nr_observe_names *names,
                                const struct nr_record *record)
{
    struct nr_json *list = nr_json_array();

    for (uint32_t i = 0; i < record->attempt_count && i < NR_RECORD_ATTEMPTS; i++) {
        const struct nr_record_attempt *attempt = &record->attempts[i];
        uint32_t service = nr_record_service_of(record, attempt);
        struct nr_json *object = nr_json_object();
        char instance[NR_ROSTER_TEXT_BYTES];

        set_text(object, "instance",
                 nr_names_instance(names, service, attempt->instance, instance));
        if (attempt->hop != 0)
            set_text(object, "service", nr_names_service(names, service));
        nr_json_set(object, "result",
                    nr_json_string(nr_span_of(nr_attempt_result_name(attempt->result))));
        if (attempt->status != 0)
            nr_json_set(object, "status", nr_json_integer(attempt->status));
        set_ms(object, "start_ms", attempt->start_us);
        set_ms(object, "took_ms", attempt->took_us);
        nr_json_set(object, "reused_connection", nr_json_bool(attempt->reused != 0));
        if (attempt->late != 0 || attempt->fault != NR_ATTEMPT_NO_FAULT)
            nr_json_set(object, "fault", nr_json_string(fault_text(attempt)));
        nr_json_push(list, object);
    }
    return list;
}

static struct nr_json *ledger(const struct nr_record *record)
{
    struct nr_json *object = nr_json_object();

    nr_json_set(object, "deadline_ms",
                record->deadline_ms == 0 ? nr_json_null() : nr_json_integer(record->deadline_ms));
    set_ms(object, "total_ms", record->total_us);
    set_ms(object, "head_ms", record->head_us);
    set_ms(object, "queue_ms", record->queue_us);
    set_ms(object, "backoff_ms", record->backoff_us);
    set_ms(object, "upstream_ms", record->upstream_us);
    return object;
}

/* The tightest one. */
static struct nr_json *limits(const struct nr_observe_names *names, const struct nr_record *record)
{
    struct nr_json *list = nr_json_array();
    struct nr_json *object = nr_json_object();

    set_text(object, "name", nr_names_limit(names, record));
    nr_json_set(object, "left", nr_json_integer(record->limit_left));
    nr_json_push(list, object);
    return list;
}

/* Which services were asked in place of the record's, and whether the last one's answer went out.
 */
static struct nr_json *stand_ins(const struct nr_observe_names *names,
                                 const struct nr_record *record)
{
    struct nr_json *object = nr_json_object(), *asked = nr_json_array();

    for (int i = 0; i < NR_RECORD_HOPS && record->fallbacks[i] != 0; i++)
        nr_json_push(asked, nr_json_string(nr_names_service(names, record->fallbacks[i] - 1)));
    nr_json_set(object, "services", asked);
    nr_json_set(object, "answered", nr_json_bool((record->flags & NR_RECORD_STOOD_IN) != 0));
    return object;
}

static void about_the_request(struct nr_json *object, const struct nr_record *record)
{
    struct nr_timestamp timestamp = {0};
    char id[33], ip[64];
    struct nr_span path = {record->path, record->path_len};

    snprintf(id, sizeof(id), "%016llx%016llx", (unsigned long long)record->id[0],
             (unsigned long long)record->id[1]);
    nr_json_set(object, "request_id", nr_json_string(nr_span_of(id)));
    nr_json_set(object, "timestamp",
                nr_json_string(nr_timestamp_text(&timestamp, record->wall_ns)));
    if (record->method != NR_METHOD_OTHER && record->method < NR_METHODS)
        set_text(object, "method", nr_method_name((enum nr_method)record->method));
    set_text(object, "path", path);
    if ((record->flags & NR_RECORD_PATH_CUT) != 0)
        nr_json_set(object, "path_cut", nr_json_bool(true));
    if ((record->flags & NR_RECORD_TCP) != 0)
        nr_json_set(object, "protocol", nr_json_string(NR_SPAN("tcp")));
    else
        nr_json_set(object, "status", nr_json_integer(record->status));
    set_text(object, "reason", nr_record_reason(record));
    if (record->reason != NR_REASON_NONE && record->reason < NR_REASONS)
        set_text(object, "detail", nr_span_of(nr_reason_detail((enum nr_reason)record->reason)));
    set_text(object, "ip", nr_record_ip(record, ip));
}

struct nr_json *nr_record_json(const struct nr_observe_names *names, const struct nr_record *record)
{
    struct nr_json *object = nr_json_object();
    struct nr_json *notes = nr_json_array();

    about_the_request(object, record);
    set_text(object, "route", nr_names_route(names, record->route));
    set_text(object, "service", nr_names_service(names, record->service));
    if (nr_names_limit(names, record).len > 0)
        nr_json_set(object, "limits", limits(names, record));
    nr_json_set(object, "bytes_in", nr_json_integer((int64_t)record->received_bytes));
    nr_json_set(object, "bytes_out", nr_json_integer((int64_t)record->sent_bytes));
    nr_json_set(object, "tunnel", nr_json_bool((record->flags & NR_RECORD_TUNNEL) != 0));
    if ((record->flags & NR_RECORD_FALLBACK) != 0)
        nr_json_set(object, "fallback", nr_json_bool(true));
    nr_json_set(object, "ledger", ledger(record));
    nr_json_set(object, "attempt_count", nr_json_integer(record->attempt_count));
    nr_json_set(object, "attempts", attempts(names, record));
    if (record->fallbacks[0] != 0)
        nr_json_set(object, "stand_ins", stand_ins(names, record));
    for (size_t i = 0; i < NR_COUNT(notes_of_flags); i++)
        if ((record->flags & notes_of_flags[i].flag) != 0)
            nr_json_push(notes, nr_json_string(nr_span_of(notes_of_flags[i].text)));
    nr_json_set(object, "notes", notes);
    return object;
}
