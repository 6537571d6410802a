/* SPDX-License-Identifier: Apache-2.0 */
/* What the framing fields of a head mean together.
 *
 * Connection may name fields that are meant for this hop only, and those are not forwarded
 * (RFC 9110, 7.6.1). A sender can turn that against the next hop: name Authorization,
 * Cookie or a Forwarded field that somebody before us added, and it never arrives. So a field that
 * naru knows to be meant for all recipients is forwarded even when it is named (no sender may
 * name those: same section); naming Host is refused, because no honest sender does. Fields
 * that naru does not know are stripped, as the RFC demands. */
#include "codec/chars.h"
#include "codec/field_id.h"
#include "codec/h1_parse.h"

enum {
    NOMINATIONS_MAX = 32,   /* each costs a walk over the fields */
    LENGTH_DIGITS_MAX = 19, /* as many as INT64_MAX has */
};

enum nr_h1_reason nr_h1_read_connection(struct nr_h1_parse *parse, struct nr_span value)
{
    while (value.len > 0) {
        struct nr_span option = nr_h1_next_member(&value);

        switch (option.len) {
        case 0: /* a recipient accepts empty members: RFC 9110, 5.6.1.2 */ continue;
        case 5:
            if (nr_field_is(option.ptr, "close", 5)) {
                parse->close = true;
                continue;
            }
            break;
        case 7:
            if (nr_field_is(option.ptr, "upgrade", 7)) {
                parse->upgrade = true;
                continue;
            }
            break;
        case 10:
            if (nr_field_is(option.ptr, "keep-alive", 10)) {
                parse->keep_alive = true;
                continue;
            }
            break;
        default: break;
        }
        if (!nr_field_name_valid(option))
            return NR_H1_BAD_CONNECTION;
        parse->nominates = true;
    }
    return NR_H1_OK;
}

static void mark(struct nr_head *head, struct nr_span name)
{
    for (uint16_t i = 0; i < head->field_count; i++) {
        struct nr_field *field = &head->fields[i];

        if (field->id == NR_FIELD_OTHER && nr_span_eq_nocase(nr_head_name(head, field), name))
            field->flags |= NR_FIELD_HOP;
    }
}

enum nr_h1_reason nr_h1_mark_nominated(struct nr_h1_parse *parse)
{
    const struct nr_field *field = NULL;
    unsigned nominations = 0;

    while ((field = nr_head_find(parse->head, NR_FIELD_CONNECTION, field)) != NULL) {
        struct nr_span value = nr_head_value(parse->head, field);

        while (value.len > 0) {
            struct nr_span option = nr_h1_next_member(&value);
            enum nr_field_id id = nr_field_lookup(option.ptr, option.len);

            if (id == NR_FIELD_HOST)
                return NR_H1_BAD_CONNECTION;
            if (id != NR_FIELD_OTHER || option.len == 0)
                continue;
            if (++nominations > NOMINATIONS_MAX)
                return NR_H1_BAD_CONNECTION;
            mark(parse->head, option);
        }
    }
    return NR_H1_OK;
}

/* 1*DIGIT that fits (RFC 9110, 8.6). A list of equal lengths may be accepted by that section; to
 * refuse it is allowed too, and leaves nothing to interpret. */
static bool read_length(struct nr_span value, int64_t *ret_length)
{
    uint64_t length = 0;

    if (value.len == 0 || value.len > LENGTH_DIGITS_MAX)
        return false;
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9')
            return false;
        length = length * 10 + (uint64_t)(value.ptr[i] - '0'); /* 19 digits fit 64 bits */
    }
    if (length > INT64_MAX)
        return false;
    *ret_length = (int64_t)length;
    return true;
}

/* Only "chunked" is spoken. Another coding below a final chunked is well-formed and merely
 * not implemented: 501. All else has no certain end: 400. RFC 9112, 6.1 and 6.3. */
static enum nr_h1_reason read_coding(struct nr_span value)
{
    static const struct nr_span chunked = {"chunked", 7};
    struct nr_span rest = value;

    if (nr_span_eq_nocase(value, chunked))
        return NR_H1_OK;
    while (rest.len > 0) {
        struct nr_span member = nr_h1_next_member(&rest);

        if (!nr_field_name_valid(member))
            return NR_H1_BAD_CODING;
        if (nr_span_eq_nocase(member, chunked))
            return rest.len == 0 && value.ptr[value.len - 1] != ',' ? NR_H1_UNKNOWN_CODING
                                                                    : NR_H1_BAD_CODING;
    }
    return NR_H1_BAD_CODING;
}

static enum nr_h1_reason settle_body(struct nr_h1_parse *parse)
{
    struct nr_head *head = parse->head;
    bool length = nr_field_in(NR_FIELD_CONTENT_LENGTH, parse->seen);

    head->body_length = NR_BODY_NONE;
    if (nr_field_in(NR_FIELD_TRANSFER_ENCODING, parse->seen)) {
        if (length)
            return NR_H1_LENGTH_AND_CODING;
        if (head->version == 10)
            return NR_H1_CODING_IN_10;
        head->body_length = NR_BODY_CHUNKED;
        return read_coding(nr_head_text(head, parse->coding));
    }
    if (length && !read_length(nr_head_text(head, parse->length), &head->body_length))
        return NR_H1_BAD_LENGTH;
    return NR_H1_OK;
}

enum nr_h1_reason nr_h1_settle(struct nr_h1_parse *parse)
{
    struct nr_head *head = parse->head;

    if (parse->nominates) {
        enum nr_h1_reason reason = nr_h1_mark_nominated(parse);

        if (reason != NR_H1_OK)
            return reason;
    }
    head->keep_alive = !parse->close && (head->version != 10 || parse->keep_alive);
    head->upgrade =
        parse->upgrade && head->version != 10 && nr_field_in(NR_FIELD_UPGRADE, parse->seen);
    return settle_body(parse);
}

enum { KEEP_ALIVE_S_MAX = 24 * 60 * 60 };

static bool seconds(struct nr_span digits, uint32_t *ret_s)
{
    uint32_t s = 0;

    for (size_t i = 0; i < digits.len; i++) {
        if (digits.ptr[i] < '0' || digits.ptr[i] > '9')
            return false;
        if (s < KEEP_ALIVE_S_MAX)
            s = s * 10 + (uint32_t)(digits.ptr[i] - '0');
    }
    *ret_s = s < KEEP_ALIVE_S_MAX ? s : KEEP_ALIVE_S_MAX;
    return digits.len > 0;
}

bool nr_h1_keep_alive_timeout(struct nr_span value, uint32_t *ret_s)
{
    const struct nr_span name = NR_SPAN("timeout=");

    while (value.len > 0) {
        struct nr_span member = nr_h1_next_member(&value);

        if (member.len > name.len &&
            nr_span_eq_nocase((struct nr_span){member.ptr, name.len}, name))
            return seconds(nr_span_from(member, name.len), ret_s);
    }
    return false;
}
