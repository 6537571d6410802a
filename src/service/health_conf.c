/* SPDX-License-Identifier: Apache-2.0 */
/* health_conf.c - the table of `health`. */
#include "codec/head.h"
#include "service/service_conf.h"

/* clang-format off */

static const struct nr_schema_word same_interval[] = {
    {"auto", 0, "as interval"},
    {NULL, 0, NULL},
};

static const struct nr_schema_word initial_words[] = {
    {"up", NR_HEALTH_INITIAL_UP, "it takes requests at once"},
    {"down", NR_HEALTH_INITIAL_DOWN, "it waits for its first check to pass"},
    {NULL, 0, NULL},
};

static const struct nr_schema_field health_fields[] = {
    {.name = "path", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_health_conf, path),
     .min = "1", .max = "1024",
     .doc = "Ask for this path."},
    {.name = "method", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_health_conf, method),
     .value = "GET", .min = "1", .max = "32",
     .doc = "With this method."},
    {.name = "host", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_health_conf, host),
     .min = "1", .max = "255",
     .doc = "The Host that is asked for; without it the instance's address."},
    {.name = "headers", .type = NR_SCHEMA_LIST, .element = NR_SCHEMA_STRING,
     NR_SCHEMA_MANY(struct nr_health_conf, headers, header_count),
     .doc = "Further header fields, as `Name: value`."},
    {.name = "tcp", .type = NR_SCHEMA_BOOL, NR_SCHEMA_AT(struct nr_health_conf, tcp),
     .value = "false",
     .doc = "A connection that opens is proof enough; instead of path."},
    {.name = "send", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_health_conf, send),
     .min = "1", .max = "1024",
     .doc = "With tcp: bytes to send first (\"PING\\r\\n\")."},
    {.name = "receive", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_health_conf, receive),
     .min = "1", .max = "256",
     .doc = "With tcp: text that must come back (\"+PONG\"), within the first 64 KiB."},
    {.name = "interval", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_health_conf, interval_ns),
     .value = "2s", .min = "100ms", .max = "1h",
     .doc = "Time from one check to the next."},
    {.name = "unhealthy_interval", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_health_conf, unhealthy_interval_ns),
     .value = "auto", .min = "100ms", .max = "1h", .words = same_interval,
     .doc = "The same for an instance that is down."},
    {.name = "timeout", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_health_conf, timeout_ns),
     .value = "1s", .min = "10ms", .max = "1m",
     .doc = "A check that takes longer has failed."},
    {.name = "rise", .type = NR_SCHEMA_U32, NR_SCHEMA_AT(struct nr_health_conf, rise),
     .value = "2", .min = "1", .max = "100",
     .doc = "Checks passed in a row until an instance counts as healthy again."},
    {.name = "fall", .type = NR_SCHEMA_U32, NR_SCHEMA_AT(struct nr_health_conf, fall),
     .value = "3", .min = "1", .max = "100",
     .doc = "Checks failed in a row until an instance gets no more requests."},
    {.name = "expect", .type = NR_SCHEMA_LIST, .element = NR_SCHEMA_STATUS,
     NR_SCHEMA_MANY(struct nr_health_conf, expect, expect_count),
     .value = "[2xx]",
     .doc = "Answers that count as healthy."},
    {.name = "expect_body", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_health_conf, expect_body),
     .min = "1", .max = "256",
     .doc = "Text that the answer's body must contain, within its first 64 KiB."},
    {.name = "initial", .type = NR_SCHEMA_ENUM, NR_SCHEMA_AT(struct nr_health_conf, initial),
     .value = "up", .words = initial_words,
     .doc = "What an instance counts as before its first check."},
    {.name = "reuse", .type = NR_SCHEMA_BOOL, NR_SCHEMA_AT(struct nr_health_conf, reuse),
     .value = "false",
     .doc = "Check over a connection that is kept, instead of a new one each time."},
    {.name = "jitter", .type = NR_SCHEMA_RATIO, NR_SCHEMA_AT(struct nr_health_conf, jitter),
     .value = "10%", .max = "100%",
     .doc = "Share of the interval by which checks are spread at random."},
};

/* clang-format on */

bool nr_health_header(struct nr_span text, struct nr_span *ret_name, struct nr_span *ret_value)
{
    size_t colon = 0;
    struct nr_span value;

    while (colon < text.len && text.ptr[colon] != ':')
        colon++;
    if (colon == text.len)
        return false;
    value = nr_span_from(text, colon + 1);
    while (value.len > 0 && value.ptr[0] == ' ')
        value = nr_span_from(value, 1);
    *ret_name = (struct nr_span){text.ptr, colon};
    *ret_value = value;
    return true;
}

/* http frames and names the host itself. */
static bool is_field(struct nr_span text)
{
    struct nr_span name, value;

    if (!nr_health_header(text, &name, &value) || !nr_field_name_valid(name) ||
        !nr_field_value_valid(value))
        return false;
    switch (nr_field_id_of(name)) {
    case NR_FIELD_HOST:
    case NR_FIELD_CONNECTION:
    case NR_FIELD_CONTENT_LENGTH:
    case NR_FIELD_TRANSFER_ENCODING:
    case NR_FIELD_UPGRADE:
    case NR_FIELD_EXPECT:
    case NR_FIELD_TE:
    case NR_FIELD_KEEP_ALIVE: return false;
    default: return true;
    }
}

static void check_health(void *section, struct nr_arena *arena, struct nr_diags *diags)
{
    const struct nr_health_conf *health = section;

    if (health->tcp == (health->path.len > 0))
        nr_section_error(&health->at, NULL, diags, "health: { path: /healthz }, or { tcp: true }",
                         health->tcp ? "'path' and 'tcp' exclude each other"
                                     : "a health check needs a 'path', or 'tcp: true'");
    else if (health->path.len > 0 && health->path.ptr[0] != '/')
        nr_section_error(&health->at, "path", diags, NULL, "a path starts with '/', got '%s'",
                         health->path.ptr);
    if (!nr_field_name_valid(health->method) || nr_span_eq(health->method, NR_SPAN("CONNECT")))
        nr_section_error(&health->at, "method", diags, NULL, "not a method: '%s'",
                         health->method.ptr);
    if (!nr_field_value_valid(health->host))
        nr_section_error(&health->at, "host", diags, NULL, "not a host: '%s'", health->host.ptr);
    for (uint32_t i = 0; i < health->header_count; i++)
        if (!is_field(health->headers[i]))
            nr_section_error(&health->at, "headers", diags, "headers: [\"X-Check: naru\"]",
                             "not a header field: '%s'", health->headers[i].ptr);
    if (!health->tcp && health->send.len + health->receive.len > 0)
        nr_section_error(&health->at, NULL, diags, "tcp: true",
                         "'send' and 'receive' belong to checks with 'tcp'");
    if (health->tcp && health->expect_body.len > 0)
        nr_section_error(&health->at, "expect_body", diags, "receive: \"...\"",
                         "a check with 'tcp' has no body");
    if (health->timeout_ns > health->interval_ns)
        nr_section_error(&health->at, "timeout", diags, NULL,
                         "'timeout' must not be longer than 'interval'");
    if (health->expect_count == 0)
        nr_section_error(&health->at, "expect", diags, NULL, "'expect' must not be empty");
}

const struct nr_schema nr_health_schema = {
    .title = "Health check",
    NR_SCHEMA_FIELDS(health_fields, struct nr_health_conf),
    .shorthand = "path",
    .check = check_health,
};
