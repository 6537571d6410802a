/* SPDX-License-Identifier: Apache-2.0 */
#include "observe/log_rules.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "observe/access_log.h"
#include "observe/observe_conf.h"

static struct nr_span keep(char **at, struct nr_span text)
{
    struct nr_span copy = {*at, text.len};

    if (text.len > 0)
        memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return copy;
}

/* One block: the rules, the spans, their bytes. */
struct nr_log_rules *nr_log_rules_new(const struct nr_access_log_conf *conf)
{
    size_t bytes = sizeof(struct nr_log_rules) + conf->redact_count * sizeof(struct nr_span);
    size_t texts = conf->user.len;
    struct nr_log_rules *rules;
    struct nr_span *spans;
    char *at;

    for (uint32_t i = 0; i < conf->redact_count; i++)
        texts += conf->redact[i].len;
    rules = calloc(1, bytes + texts);
    nr_assert(rules != NULL);
    spans = (struct nr_span *)(void *)(rules + 1);
    at = (char *)rules + bytes;
    rules->left_out = (uint32_t)((1 - conf->sample) * UINT32_MAX);
    rules->slow_us = conf->slow_ns / 1000;
    rules->query = conf->query;
    rules->user = keep(&at, conf->user);
    rules->redact_count = conf->redact_count;
    rules->redact = spans;
    for (uint32_t i = 0; i < conf->redact_count; i++)
        spans[i] = keep(&at, conf->redact[i]);
    return rules;
}

bool nr_log_rules_equal(const struct nr_log_rules *a, const struct nr_log_rules *b)
{
    if (a->left_out != b->left_out || a->slow_us != b->slow_us || a->query != b->query ||
        !nr_span_eq(a->user, b->user) || a->redact_count != b->redact_count)
        return false;
    for (uint32_t i = 0; i < a->redact_count; i++)
        if (!nr_span_eq(a->redact[i], b->redact[i]))
            return false;
    return true;
}

bool nr_log_rules_want(const struct nr_log_rules *rules, const struct nr_record *record)
{
    /* Fibonacci hashing: ids that clients make may be counters. */
    uint64_t hash = (record->id[0] ^ record->id[1]) * 0x9e3779b97f4a7c15u;

    if (rules->left_out == 0 || (uint32_t)(hash >> 32) >= rules->left_out)
        return true;
    if (record->reason != NR_REASON_NONE || record->status >= 500)
        return true;
    return rules->slow_us != 0 && record->total_us >= rules->slow_us;
}

/* ---- redaction ---- */

static bool is_secret(const struct nr_log_rules *rules, struct nr_span name)
{
    for (uint32_t i = 0; i < rules->redact_count; i++)
        if (nr_span_eq_nocase(rules->redact[i], name))
            return true;
    return false;
}

/* One parameter of the query, up to the next & or the end. */
static struct nr_span next_pair(struct nr_span rest)
{
    const char *end = memchr(rest.ptr, '&', rest.len);

    return (struct nr_span){rest.ptr, end != NULL ? (size_t)(end - rest.ptr) : rest.len};
}

/* How much of it may be shown: all, or up to its =. */
static size_t shown(const struct nr_log_rules *rules, struct nr_span pair)
{
    const char *equals = memchr(pair.ptr, '=', pair.len);
    struct nr_span name = pair;

    if (equals == NULL)
        return pair.len;
    name.len = (size_t)(equals - pair.ptr);
    return is_secret(rules, name) ? name.len + 1 : pair.len;
}

static char *put(char *at, const char *end, struct nr_span bytes)
{
    size_t len = bytes.len < (size_t)(end - at) ? bytes.len : (size_t)(end - at);

    if (len > 0)
        memcpy(at, bytes.ptr, len);
    return at + len;
}

struct nr_span nr_log_rules_query(const struct nr_log_rules *rules, struct nr_span query, char *to,
                                  size_t bytes)
{
    const char *end = to + bytes;
    struct nr_span rest = query;
    bool hidden = false;
    char *at = to;

    if (rules->redact_count == 0)
        return query;
    while (rest.len > 0 && at < end) {
        struct nr_span pair = next_pair(rest);
        size_t len = shown(rules, pair);

        at = put(at, end, (struct nr_span){pair.ptr, len});
        if (len < pair.len) {
            at = put(at, end, NR_SPAN("***"));
            hidden = true;
        }
        rest = nr_span_from(rest, pair.len);
        if (rest.len > 0) {
            at = put(at, end, NR_SPAN("&"));
            rest = nr_span_from(rest, 1);
        }
    }
    return hidden || rest.len > 0 ? (struct nr_span){to, (size_t)(at - to)} : query;
}
