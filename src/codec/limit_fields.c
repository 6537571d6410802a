/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/limit_fields.h"

#include "base/copy.h"

static const uint64_t second_ns = 1000000000;

/* Once something did not fit, `at` stays NULL. */
struct writer {
    char *at;
    char *end;
};

static void put(struct writer *w, char c)
{
    if (w->at == NULL || w->at == w->end)
        w->at = NULL;
    else
        *w->at++ = c;
}

static void put_text(struct writer *w, struct nr_span text)
{
    for (size_t i = 0; i < text.len; i++)
        put(w, text.ptr[i]);
}

static void put_number(struct writer *w, uint64_t value)
{
    char digits[NR_DECIMAL_BYTES];

    put_text(w, nr_decimal(digits, value));
}

static void put_parameter(struct writer *w, struct nr_span name, uint64_t value)
{
    put(w, ';');
    put_text(w, name);
    put(w, '=');
    put_number(w, value);
}

/* RFC 9651, 3.3.3: a String is printable ASCII, with DQUOTE and backslash escaped. What a name has
 * beyond that is shown as '?'. */
static void put_string(struct writer *w, struct nr_span text)
{
    put(w, '"');
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (c == '"' || c == '\\')
            put(w, '\\');
        put(w, c >= 0x20 && c < 0x7f ? c : '?');
    }
    put(w, '"');
}

static uint64_t seconds(uint64_t ns)
{
    return ns / second_ns + (ns % second_ns != 0);
}

static void put_member(struct writer *w, struct nr_span name, size_t index)
{
    if (index > 0)
        put_text(w, NR_SPAN(", "));
    put_string(w, name);
}

size_t nr_limit_field_policy(char *room, size_t room_bytes, const struct nr_limit_told *told,
                             size_t count)
{
    struct writer w = {room, room + room_bytes};

    for (size_t i = 0; i < count; i++) {
        put_member(&w, told[i].name, i);
        put_parameter(&w, NR_SPAN("q"), told[i].conf->limit);
        if (told[i].conf->period_ns % second_ns == 0)
            put_parameter(&w, NR_SPAN("w"), told[i].conf->period_ns / second_ns);
    }
    return w.at != NULL ? (size_t)(w.at - room) : 0;
}

size_t nr_limit_field_state(char *room, size_t room_bytes, const struct nr_limit_told *told,
                            size_t count)
{
    struct writer w = {room, room + room_bytes};

    for (size_t i = 0; i < count; i++) {
        const struct nr_limit_verdict *v = &told[i].verdict;
        bool waits = !v->allowed && v->retry_ns != NR_LIMIT_NEVER;

        put_member(&w, told[i].name, i);
        put_parameter(&w, NR_SPAN("r"), v->remaining);
        put_parameter(&w, NR_SPAN("t"), seconds(waits ? v->retry_ns : v->reset_ns));
    }
    return w.at != NULL ? (size_t)(w.at - room) : 0;
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
