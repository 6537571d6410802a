/* SPDX-License-Identifier: Apache-2.0 */
/* The status line (RFC 9112, 4), and what follows an answer (RFC 9112, 6.3). */
#include "codec/chars.h"
#include "codec/field_id.h"
#include "codec/h1_parse.h"

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "HTTP/1." DIGIT SP 3DIGIT [ SP [ reason-phrase ] ] CRLF. The SP behind the status is demanded
 * by the grammar; real servers leave it out together with the phrase, and nothing can be read
 * into that, so it may be missing. Statuses outside 100 to 599 are invalid: RFC 9110, 15. */
static enum nr_h1_reason read_status_line(struct nr_head *head, const char *end, const char **at)
{
    const char *text = *at, *stop;

    if (end - text < 16 || memcmp(text, "HTTP/", 5) != 0 || !digit(text[5]) || text[6] != '.' ||
        !digit(text[7]) || text[8] != ' ')
        return NR_H1_BAD_STATUS_LINE;
    if (text[5] != '1')
        return NR_H1_UNSUPPORTED_VERSION;
    head->version = text[7] == '0' ? 10 : 11;
    if (!digit(text[9]) || !digit(text[10]) || !digit(text[11]) || text[9] < '1' || text[9] > '5')
        return NR_H1_BAD_STATUS_LINE;
    text += 12;
    if (*text != ' ' && *text != '\r')
        return nr_h1_line_fault(text, NR_H1_BAD_STATUS_LINE);
    if (*text == ' ')
        text++;
    stop = nr_chars_to_control(text, end);
    while (*stop == '\t')
        stop = nr_chars_to_control(stop + 1, end);
    if (stop[0] != '\r' || stop[1] != '\n')
        return nr_h1_line_fault(stop, NR_H1_BAD_STATUS_LINE);
    head->status = (uint16_t)(((*at)[9] - '0') * 100 + ((*at)[10] - '0') * 10 + ((*at)[11] - '0'));
    head->reason = nr_h1_text(head, text, stop);
    *at = stop + 2;
    return NR_H1_OK;
}

static bool never_has_body(uint16_t status)
{
    return status < 200 || status == 204;
}

/* nr_h1_settle has read the fields; now the status and the method of the request have their say. */
static void settle_response(struct nr_head *head, enum nr_method request_method)
{
    if (head->status == 101) {
        head->body_length = head->upgrade ? NR_BODY_TUNNEL : NR_BODY_NONE;
        return;
    }
    if (never_has_body(head->status)) {
        /* Announcing content here is a server's error (RFC 9110, 8.6; RFC 9112, 6.1). There is
         * none; in case it was sent all the same, nothing more is read from this connection. */
        if (head->body_length != NR_BODY_NONE && head->body_length != 0 && head->status >= 200)
            head->keep_alive = false;
        head->body_length = NR_BODY_NONE;
        return;
    }
    if (head->body_length == NR_BODY_NONE && request_method != NR_METHOD_HEAD &&
        head->status != 304) {
        head->body_length = NR_BODY_CLOSE;
        head->keep_alive = false;
    }
}

int64_t nr_h1_response_body(const struct nr_head *head, enum nr_method request_method)
{
    if (request_method == NR_METHOD_HEAD && head->status != 101)
        return NR_BODY_NONE;
    return head->status == 304 ? NR_BODY_NONE : head->body_length;
}

static enum nr_h1_reason parse_response(struct nr_h1_parse *parse, const char *at,
                                        enum nr_method request_method, uint16_t field_cap)
{
    enum nr_h1_reason reason;

    reason = read_status_line(parse->head, parse->end, &at);
    if (reason != NR_H1_OK)
        return reason;
    reason = nr_h1_parse_fields(parse, at, field_cap);
    if (reason != NR_H1_OK)
        return reason;
    reason = nr_h1_settle(parse);
    if (reason != NR_H1_OK)
        return reason;
    settle_response(parse->head, request_method);
    return NR_H1_OK;
}

enum nr_h1_reason nr_h1_parse_response(char *bytes, size_t len, const struct nr_h1_limits *limits,
                                       enum nr_method request_method, struct nr_field *fields,
                                       uint16_t field_cap, struct nr_head *ret_head)
{
    struct nr_h1_parse parse = {
        .head = ret_head, .limits = limits, .end = bytes + len, .kind = NR_H1_RESPONSE};

    *ret_head = (struct nr_head){.text = bytes,
                                 .text_len = (uint32_t)len,
                                 .text_cap = (uint32_t)len,
                                 .fields = fields,
                                 .field_cap = field_cap,
                                 .body_length = NR_BODY_NONE};
    if (len > limits->head_bytes_max)
        return NR_H1_HEAD_TOO_LARGE;
    if (len < 4 || memcmp(bytes + len - 4, "\r\n\r\n", 4) != 0)
        return NR_H1_BAD_STATUS_LINE;
    return parse_response(&parse, bytes, request_method, field_cap);
}
