/* SPDX-License-Identifier: Apache-2.0 */
/* The field section of a head or of trailers (RFC 9112, 5), in one pass: to the colon and to the
 * end of the line many bytes at a time, and a second look only at the few fields that frame the
 * message. A name that naru knows needs no look at its characters. */
#include "base/compiler.h"
#include "codec/chars.h"
#include "codec/field_id.h"
#include "codec/h1_parse.h"

/* Fields that change how the message is read. */
#define LOOKED_AT                                                                                  \
    (NR_FIELD_BIT(NR_FIELD_CONNECTION) | NR_FIELD_BIT(NR_FIELD_CONTENT_LENGTH) |                   \
     NR_FIELD_BIT(NR_FIELD_EXPECT) | NR_FIELD_BIT(NR_FIELD_HOST) | NR_FIELD_BIT(NR_FIELD_TE) |     \
     NR_FIELD_BIT(NR_FIELD_TRANSFER_ENCODING) | NR_FIELD_BIT(NR_FIELD_UPGRADE))

/* Refused in trailers: whoever merges trailers into the head would read another message, or
 * another sender, than we did. RFC 9110, 6.5.1. */
#define NOT_IN_TRAILERS                                                                            \
    (NR_FIELDS_HOP | NR_FIELD_BIT(NR_FIELD_HOST) | NR_FIELD_BIT(NR_FIELD_EXPECT) |                 \
     NR_FIELD_BIT(NR_FIELD_AUTHORIZATION) | NR_FIELD_BIT(NR_FIELD_COOKIE) |                        \
     NR_FIELD_BIT(NR_FIELD_CONTENT_ENCODING) | NR_FIELD_BIT(NR_FIELD_CONTENT_TYPE) |               \
     NR_FIELD_BIT(NR_FIELD_CACHE_CONTROL) | NR_FIELD_BIT(NR_FIELD_FORWARDED) |                     \
     NR_FIELD_BIT(NR_FIELD_X_FORWARDED_FOR) | NR_FIELD_BIT(NR_FIELD_X_FORWARDED_HOST) |            \
     NR_FIELD_BIT(NR_FIELD_X_FORWARDED_PROTO))

static bool refused_in_trailers(const struct nr_head *head, const struct nr_field *field)
{
    static const struct nr_span names[] = {
        {"content-range", 13},       {"max-forwards", 12}, {"proxy-authenticate", 18},
        {"proxy-authorization", 19}, {"range", 5},         {"set-cookie", 10},
        {"www-authenticate", 16},
    };

    if (nr_field_in(field->id, NOT_IN_TRAILERS))
        return true;
    if (field->id != NR_FIELD_OTHER)
        return false;
    for (size_t i = 0; i < NR_COUNT(names); i++)
        if (nr_span_eq_nocase(nr_head_name(head, field), names[i]))
            return true;
    return false;
}

struct nr_span nr_h1_next_member(struct nr_span *list)
{
    const char *comma = memchr(list->ptr, ',', list->len);
    size_t len = comma == NULL ? list->len : (size_t)(comma - list->ptr);
    struct nr_span member = nr_span_trim((struct nr_span){list->ptr, len});

    *list = nr_span_from(*list, comma == NULL ? len : len + 1);
    return member;
}

static void read_te(struct nr_h1_parse *parse, struct nr_span value)
{
    while (value.len > 0)
        if (nr_span_eq_nocase(nr_h1_next_member(&value), NR_SPAN("trailers")))
            parse->head->te_trailers = true;
}

/* RFC 9110, 10.1.1: 100-continue is the only expectation there is. */
static enum nr_h1_reason read_expect(struct nr_h1_parse *parse, struct nr_span value)
{
    if (parse->kind != NR_H1_REQUEST)
        return NR_H1_OK;
    if (!nr_span_eq_nocase(value, NR_SPAN("100-continue")))
        return NR_H1_BAD_EXPECT;
    parse->expects = true;
    return NR_H1_OK;
}

static enum nr_h1_reason look_at(struct nr_h1_parse *parse, const struct nr_field *field)
{
    struct nr_span value = nr_head_value(parse->head, field);
    struct nr_text text = {field->value_at, field->value_len};
    bool again = nr_field_in(field->id, parse->seen);

    parse->seen |= NR_FIELD_BIT(field->id);
    switch (field->id) {
    case NR_FIELD_HOST:
        if (again && parse->kind == NR_H1_REQUEST)
            return NR_H1_DUPLICATE_HOST;
        parse->host = text;
        return NR_H1_OK;
    case NR_FIELD_CONTENT_LENGTH:
        parse->length = text;
        return again ? NR_H1_DUPLICATE_LENGTH : NR_H1_OK;
    case NR_FIELD_TRANSFER_ENCODING:
        parse->coding = text;
        return again ? NR_H1_BAD_CODING : NR_H1_OK;
    case NR_FIELD_CONNECTION: return nr_h1_read_connection(parse, value);
    case NR_FIELD_TE: read_te(parse, value); return NR_H1_OK;
    case NR_FIELD_EXPECT: return read_expect(parse, value);
    default: /* Upgrade counts once it says something */
        if (value.len == 0 && !again)
            parse->seen &= ~NR_FIELD_BIT(NR_FIELD_UPGRADE);
        return NR_H1_OK;
    }
}

/* What stands before the first colon, or all that is left, is not a name. */
static enum nr_h1_reason name_fault(const char *name)
{
    const char *stop = name;

    while (nr_char_is(*stop, NR_CHAR_TOKEN))
        stop++;
    return *name == ' ' || *name == '\t' ? NR_H1_OBS_FOLD
                                         : nr_h1_line_fault(stop, NR_H1_BAD_FIELD_NAME);
}

/* One field line: field-name ":" OWS field-value OWS CRLF (RFC 9112, 5). *at moves behind it. */
static inline enum nr_h1_reason field_line(struct nr_head *head, const char *end,
                                           struct nr_field *field, const char **at)
{
    const char *name = *at, *colon = nr_chars_find(name, end, ':'), *value = colon + 1, *stop,
               *last;
    size_t name_len = (size_t)(colon - name);
    enum nr_field_id id = nr_field_lookup(name, name_len);

    if (nr_unlikely(colon == end || name_len > UINT16_MAX))
        return name_fault(name);
    if (id == NR_FIELD_OTHER && nr_unlikely(!nr_field_name_valid((struct nr_span){name, name_len})))
        return name_fault(name);
    while (*value == ' ' || *value == '\t')
        value++;
    stop = nr_chars_to_control(value, end);
    while (nr_unlikely(*stop == '\t'))
        stop = nr_chars_to_control(stop + 1, end);
    if (nr_unlikely(*stop != '\r' || stop[1] != '\n'))
        return nr_h1_line_fault(stop, NR_H1_BAD_FIELD_VALUE);
    last = stop;
    while (last > value && (uint8_t)last[-1] <= ' ') /* SP or HTAB: no other control is in there */
        last--;
    *field = (struct nr_field){
        .name_at = (uint32_t)(name - head->text),
        .name_len = (uint16_t)name_len,
        .value_at = (uint32_t)(value - head->text),
        .value_len = (uint32_t)(last - value),
        .id = (uint8_t)id,
    };
    if (nr_unlikely(value != colon + 2 || colon[1] != ' ' || last != stop))
        field->flags = NR_FIELD_SPACED;
    *at = stop + 2;
    return NR_H1_OK;
}

enum nr_h1_reason nr_h1_parse_fields(struct nr_h1_parse *parse, const char *at, uint16_t field_cap)
{
    struct nr_head *head = parse->head;
    uint32_t fields_max =
        parse->limits->fields_max < field_cap ? parse->limits->fields_max : field_cap;
    uint64_t looked_at = parse->kind == NR_H1_TRAILERS ? 0 : LOOKED_AT;
    enum nr_h1_reason reason;

    while (*at != '\r') {
        struct nr_field *field = &head->fields[head->field_count];
        uint64_t bit;

        if (nr_unlikely(head->field_count >= fields_max))
            return NR_H1_TOO_MANY_FIELDS;
        reason = field_line(head, parse->end, field, &at);
        if (nr_unlikely(reason != NR_H1_OK))
            return reason;
        head->field_count++;
        bit = NR_FIELD_BIT(field->id);
        head->known |= bit;
        if ((bit & (NR_FIELDS_HOP | LOOKED_AT)) == 0)
            continue;
        if ((bit & NR_FIELDS_HOP) != 0)
            field->flags |= NR_FIELD_HOP;
        if ((bit & looked_at) != 0) {
            reason = look_at(parse, field);
            if (nr_unlikely(reason != NR_H1_OK))
                return reason;
        }
    }
    /* The scanner ends a head at its first empty line, so anything behind it is a caller's slip. */
    return at + 2 == parse->end ? NR_H1_OK : nr_h1_line_fault(at, NR_H1_BAD_FIELD_NAME);
}

static enum nr_h1_reason parse_trailers(struct nr_h1_parse *parse, char *bytes, size_t len,
                                        uint16_t field_cap)
{
    enum nr_h1_reason reason;

    if (len > parse->limits->trailer_bytes_max)
        return NR_H1_TRAILERS_TOO_LARGE;
    if (len != 2 && (len < 4 || memcmp(bytes + len - 4, "\r\n", 2) != 0))
        return NR_H1_BAD_TRAILER;
    if (memcmp(bytes + len - 2, "\r\n", 2) != 0)
        return NR_H1_BAD_TRAILER;
    reason = nr_h1_parse_fields(parse, bytes, field_cap);
    for (uint16_t i = 0; reason == NR_H1_OK && i < parse->head->field_count; i++)
        if (refused_in_trailers(parse->head, &parse->head->fields[i]))
            return NR_H1_BAD_TRAILER;
    return reason;
}

enum nr_h1_reason nr_h1_parse_trailers(char *bytes, size_t len, const struct nr_h1_limits *limits,
                                       struct nr_field *fields, uint16_t field_cap,
                                       struct nr_head *ret_head)
{
    struct nr_h1_parse parse = {
        .head = ret_head, .limits = limits, .end = bytes + len, .kind = NR_H1_TRAILERS};

    *ret_head = (struct nr_head){.text = bytes,
                                 .text_len = (uint32_t)len,
                                 .text_cap = (uint32_t)len,
                                 .fields = fields,
                                 .field_cap = field_cap,
                                 .version = 11,
                                 .body_length = NR_BODY_NONE};
    return parse_trailers(&parse, bytes, len, field_cap);
}
