/* SPDX-License-Identifier: Apache-2.0 */
/* Serialising. Start line and framing are always our own words; fields are copied from the
 * head's text. Neighbours that stand there in canonical form, "Name: value CRLF", go out in one
 * copy: that is how an honest peer sends them, and how nr_head_add lays them out. */
#include "base/assert.h"
#include "codec/field_id.h"
#include "codec/h1.h"

enum {
    /* Start line without method and path, Host, Connection with all options, TE, the longest
     * Content-Length, the empty line. */
    FRAMING_BYTES_MAX = 256,
    REASON_BYTES_MAX = 64,
    FIELD_OVERHEAD_BYTES = 4, /* ": " and CRLF */
};

/* Without room checks: the entry points have made sure of nr_h1_head_bytes. */
static char *put_span(char *to, struct nr_span span)
{
    return nr_copy(to, span.ptr, span.len);
}

#define PUT(to, literal) nr_copy((to), (literal), sizeof(literal) - 1)

size_t nr_h1_head_bytes(const struct nr_head *head)
{
    /* All that is copied lies in the text, once; save that target and Host may share bytes. */
    return (size_t)head->text_len + head->authority.len + head->target.len +
           (size_t)head->field_count * FIELD_OVERHEAD_BYTES + FRAMING_BYTES_MAX + REASON_BYTES_MAX;
}

static char *put_field(char *to, const struct nr_head *head, const struct nr_field *field)
{
    to = put_span(to, nr_head_name(head, field));
    to = PUT(to, ": ");
    to = put_span(to, nr_head_value(head, field));
    return PUT(to, "\r\n");
}

/* Live end-to-end fields, without those in `skip`. */
static char *put_fields(char *to, const struct nr_head *head, uint64_t skip)
{
    const struct nr_field *end = head->fields + head->field_count;
    uint32_t run_at = 0, run_end = 0; /* text that goes out as it stands: the run so far */

    for (const struct nr_field *field = head->fields; field < end; field++) {
        if (!nr_field_goes_on(field) || nr_field_in(field->id, skip))
            continue;
        if (nr_unlikely(field->name_at != run_end || field->flags != 0)) {
            to = nr_copy(to, head->text + run_at, run_end - run_at);
            run_at = field->name_at;
        }
        run_end = field->value_at + field->value_len + 2;
        if (nr_unlikely(field->flags != 0)) {
            to = put_field(to, head, field);
            run_at = run_end;
        }
    }
    return nr_copy(to, head->text + run_at, run_end - run_at);
}

static char *put_option(char *to, bool *first, const char *option)
{
    to = *first ? PUT(to, "Connection: ") : PUT(to, ", ");
    *first = false;
    return put_span(to, nr_span_of(option));
}

static char *put_connection(char *to, const struct nr_h1_framing *framing, bool te)
{
    bool first = true;

    if (framing->close)
        to = put_option(to, &first, "close");
    else if (framing->keep_alive_10)
        to = put_option(to, &first, "keep-alive");
    if (framing->upgrade)
        to = put_option(to, &first, "upgrade");
    if (te)
        to = put_option(to, &first, "TE");
    return first ? to : PUT(to, "\r\n");
}

/* Upgrade belongs to the connection, but when an upgrade is passed on it says to what. */
static char *put_upgrade(char *to, const struct nr_head *head)
{
    const struct nr_field *field = NULL;

    while ((field = nr_head_find(head, NR_FIELD_UPGRADE, field)) != NULL)
        to = put_field(to, head, field);
    return to;
}

static char *put_length(char *to, int64_t body_length)
{
    if (body_length == NR_BODY_CHUNKED)
        return PUT(to, "Transfer-Encoding: chunked\r\n");
    if (body_length < 0)
        return to;
    to = PUT(to, "Content-Length: ");
    to = nr_copy_decimal(to, (uint64_t)body_length);
    return PUT(to, "\r\n");
}

size_t nr_h1_write_request(char *to, size_t room, const struct nr_head *head,
                           const struct nr_h1_framing *framing)
{
    char *at = to;

    nr_assert(room >= nr_h1_head_bytes(head));
    nr_assert(head->method_name.len > 0 && head->path.len > 0);
    at = put_span(at, nr_head_text(head, head->method_name));
    *at++ = ' ';
    at = put_span(at, nr_head_text(head, head->path));
    if (head->has_query) {
        *at++ = '?';
        at = put_span(at, nr_head_text(head, head->query));
    }
    at = PUT(at, " HTTP/1.1\r\nHost: ");
    at = put_span(at, nr_head_text(head, head->authority));
    at = PUT(at, "\r\n");
    at = put_fields(at, head, NR_FIELD_BIT(NR_FIELD_HOST));
    at = put_connection(at, framing, head->te_trailers);
    if (framing->upgrade)
        at = put_upgrade(at, head);
    if (head->te_trailers)
        at = PUT(at, "TE: trailers\r\n");
    if (!framing->omit_length)
        at = put_length(at, framing->body_length);
    at = PUT(at, "\r\n");
    return (size_t)(at - to);
}

/* RFC 9110, 8.6: no Content-Length, and RFC 9112, 6.1: no Transfer-Encoding, in 1xx and 204. */
static bool says_length(const struct nr_head *head, const struct nr_h1_framing *framing)
{
    return !framing->omit_length && head->status >= 200 && head->status != 204;
}

size_t nr_h1_write_response(char *to, size_t room, const struct nr_head *head,
                            const struct nr_h1_framing *framing)
{
    char *at = to;
    struct nr_span reason = nr_head_text(head, head->reason);

    nr_assert(room >= nr_h1_head_bytes(head));
    nr_assert(head->status >= 100 && head->status <= 999);
    if (reason.len == 0)
        reason = nr_status_phrase(head->status);
    at = PUT(at, "HTTP/1.1 ");
    at = nr_copy_decimal(at, head->status);
    *at++ = ' ';
    at = put_span(at, reason);
    at = PUT(at, "\r\n");
    at = put_fields(at, head, 0);
    at = put_connection(at, framing, false);
    if (framing->upgrade)
        at = put_upgrade(at, head);
    if (says_length(head, framing)) /* without one, the client would read until the close */
        at = put_length(at, framing->body_length == NR_BODY_NONE && head->status != 304
                                ? 0
                                : framing->body_length);
    at = PUT(at, "\r\n");
    return (size_t)(at - to);
}

size_t nr_h1_write_trailers(char *to, size_t room, const struct nr_head *trailers)
{
    char *at = to;

    nr_assert(room >= nr_h1_head_bytes(trailers));
    at = put_fields(at, trailers, 0);
    at = PUT(at, "\r\n");
    return (size_t)(at - to);
}

size_t nr_h1_write_chunk_line(char *to, uint64_t size)
{
    static const char digits[] = "0123456789abcdef";
    unsigned bits = size == 0 ? 4 : 64 - (unsigned)__builtin_clzll(size);
    unsigned count = (bits + 3) / 4;

    for (unsigned i = 0; i < count; i++)
        to[i] = digits[size >> (4 * (count - 1 - i)) & 15];
    to[count] = '\r';
    to[count + 1] = '\n';
    return count + 2;
}
