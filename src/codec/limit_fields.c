/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/limit_fields.h"

#include "base/copy.h"

static const uint64_t second_ns = 1000000000;

static char *put(char *at, struct nr_span text)
{
    return nr_copy(at, text.ptr, text.len);
}

/* RFC 9651, 3.3.3: a String is printable ASCII, with DQUOTE and backslash escaped. What a name has
 * beyond that is shown as '?'. */
size_t nr_limit_field_name(char *room, struct nr_span name)
{
    char *at = room;

    *at++ = '"';
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        if (c == '"' || c == '\\')
            *at++ = '\\';
        *at++ = c >= 0x20 && c < 0x7f ? c : '?';
    }
    *at++ = '"';
    return (size_t)(at - room);
}

static uint64_t seconds(uint64_t ns)
{
    return ns / second_ns + (ns % second_ns != 0);
}

size_t nr_limit_field_policy(char *room, const struct nr_limit_told *told)
{
    char *at = put(room, told->name);

    at = nr_copy_decimal(put(at, NR_SPAN(";q=")), told->conf->limit);
    if (told->conf->period_ns % second_ns == 0)
        at = nr_copy_decimal(put(at, NR_SPAN(";w=")), told->conf->period_ns / second_ns);
    return (size_t)(at - room);
}

size_t nr_limit_field_state(char *room, const struct nr_limit_told *told)
{
    const struct nr_limit_verdict *v = &told->verdict;
    bool waits = !v->allowed && v->retry_ns != NR_LIMIT_NEVER;
    char *at = put(room, told->name);

    at = nr_copy_decimal(put(at, NR_SPAN(";r=")), v->remaining);
    at = nr_copy_decimal(put(at, NR_SPAN(";t=")), seconds(waits ? v->retry_ns : v->reset_ns));
    return (size_t)(at - room);
}

struct nr_limit_numbers nr_limit_field_numbers(const struct nr_limit_verdict *verdict)
{
    return (struct nr_limit_numbers){
        .limit = verdict->limit,
        .remaining = verdict->remaining,
        .reset_s = seconds(verdict->reset_ns),
    };
}

bool nr_limit_field_retry_after(const struct nr_limit_verdict *verdict, uint64_t *ret_delay_s)
{
    if (verdict->allowed || verdict->retry_ns == NR_LIMIT_NEVER)
        return false;
    *ret_delay_s = verdict->retry_ns > 0 ? seconds(verdict->retry_ns) : 1;
    return true;
}
