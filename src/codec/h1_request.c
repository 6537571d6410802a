/* SPDX-License-Identifier: Apache-2.0 */
/* The request line (RFC 9112, 3), and what makes a request head one. */
#include "base/compiler.h"
#include "codec/chars.h"
#include "codec/field_id.h"
#include "codec/h1_parse.h"
#include "codec/uri.h"

/* Each of these moves *at behind what it took; the head's members are set as they are read. */

static enum nr_h1_reason read_method(struct nr_head *head, char **at)
{
    char *stop = *at;

    while (nr_char_is(*stop, NR_CHAR_TOKEN))
        stop++;
    if (*stop != ' ')
        return nr_h1_line_fault(stop, *stop == '\r' ? NR_H1_BAD_REQUEST_LINE : NR_H1_BAD_METHOD);
    if (stop == *at)
        return NR_H1_BAD_METHOD;
    head->method_name = nr_h1_text(head, *at, stop);
    head->method = (uint8_t)nr_method_of(nr_head_text(head, head->method_name));
    if (head->method == NR_METHOD_CONNECT || head->method == NR_METHOD_TRACE)
        return NR_H1_METHOD_REFUSED;
    *at = stop + 1;
    return NR_H1_OK;
}

/* Stopped inside a target at a byte that has no place there. */
static enum nr_h1_reason target_fault(const char *at)
{
    if (*at == '\r' && at[1] == '\n')
        return NR_H1_BAD_REQUEST_LINE; /* no version: HTTP/0.9, or half a line */
    return nr_h1_line_fault(at, *at == '\\' ? NR_H1_BAD_PATH : NR_H1_BAD_TARGET);
}

static enum nr_h1_reason read_query(struct nr_head *head, char **at)
{
    char *stop = *at;

    while (nr_char_is(*stop, NR_CHAR_QUERY) || *stop == '%')
        stop++;
    if (*stop != ' ')
        return nr_h1_line_fault(stop, *stop == '\r' ? NR_H1_BAD_REQUEST_LINE : NR_H1_BAD_TARGET);
    head->has_query = true;
    head->query = nr_h1_text(head, *at, stop);
    if (memchr(*at, '%', (size_t)(stop - *at)) != NULL &&
        !nr_uri_query_valid(nr_head_text(head, head->query)))
        return NR_H1_BAD_TARGET;
    *at = stop;
    return NR_H1_OK;
}

/* The path shrank by `gap` bytes: draw the query up to it, so that the target is one run. */
static void close_gap(struct nr_head *head, uint32_t gap)
{
    if (head->has_query) {
        char *mark = head->text + head->query.at - 1;

        memmove(mark - gap, mark, head->query.len + 1u);
        head->query.at -= gap;
    }
    head->target.len -= gap;
}

/* path-absolute [ "?" query ] from *at to the SP behind it. */
static enum nr_h1_reason read_path(struct nr_head *head, char **at)
{
    char *path = *at, *stop = path;
    bool look_again = false;
    size_t path_len, canonical_len;
    enum nr_h1_reason reason = NR_H1_OK;

    for (;; stop++) {
        while (nr_char_is(*stop, NR_CHAR_PATH))
            stop++;
        if (*stop == '%')
            look_again = true;
        else if (*stop != '.')
            break;
        else if (stop[-1] == '/') /* stop > path: a path starts with '/' */
            look_again = true;
    }
    if (*stop != ' ' && *stop != '?')
        return target_fault(stop);
    head->path = nr_h1_text(head, path, stop);
    path_len = canonical_len = head->path.len;
    if (*stop == '?') {
        stop++;
        reason = read_query(head, &stop);
        if (reason != NR_H1_OK)
            return reason;
    }
    head->target = nr_h1_text(head, head->text + head->target.at, stop);
    if (nr_unlikely(look_again)) {
        if (!nr_uri_canonical_path(path, path_len, &canonical_len))
            return NR_H1_BAD_PATH;
        head->path.len = (uint32_t)canonical_len;
        if (canonical_len < path_len)
            close_gap(head, (uint32_t)(path_len - canonical_len));
    }
    *at = stop;
    return NR_H1_OK;
}

/* absolute-form with no path: "/" is meant, or, when all of a server's options are asked for,
 * "*" (RFC 9112, 3.2.1 and 3.2.4). The text must hold the byte: the second slash of "//"
 * is one, and the SP behind the target is of no use any more. */
static enum nr_h1_reason read_no_path(struct nr_head *head, char **at)
{
    char *stop = *at;
    enum nr_h1_reason reason;

    head->path = (struct nr_text){head->authority.at - 1, 1};
    if (*stop == '?') {
        stop++;
        reason = read_query(head, &stop);
        if (reason != NR_H1_OK)
            return reason;
    }
    head->target = nr_h1_text(head, head->text + head->target.at, stop);
    if (!head->has_query && head->method == NR_METHOD_OPTIONS) {
        *stop = '*';
        head->path = nr_h1_text(head, stop, stop + 1);
    }
    *at = stop;
    return NR_H1_OK;
}

static enum nr_h1_reason read_absolute(struct nr_head *head, char **at)
{
    char *scheme = *at, *stop = scheme, *authority;

    while (nr_char_is(*stop, NR_CHAR_UNRESERVED))
        stop++;
    head->scheme = nr_h1_text(head, scheme, stop);
    if (!nr_span_eq_nocase(nr_head_text(head, head->scheme), NR_SPAN("http")) &&
        !nr_span_eq_nocase(nr_head_text(head, head->scheme), NR_SPAN("https")))
        return target_fault(stop);
    if (stop[0] != ':' || stop[1] != '/' || stop[2] != '/')
        return target_fault(stop);
    authority = stop += 3;
    while (nr_char_is(*stop, NR_CHAR_HOST) || *stop == ':' || *stop == '[' || *stop == ']')
        stop++;
    if (*stop != '/' && *stop != '?' && *stop != ' ')
        return target_fault(stop);
    head->authority = nr_h1_text(head, authority, stop);
    if (!nr_uri_authority_valid(nr_head_text(head, head->authority)))
        return NR_H1_BAD_TARGET;
    *at = stop;
    return *stop == '/' ? read_path(head, at) : read_no_path(head, at);
}

/* The four forms of RFC 9112, 3.2; authority-form is CONNECT's alone. */
static enum nr_h1_reason read_target(struct nr_head *head, const struct nr_h1_limits *limits,
                                     char **at)
{
    char *target = *at;
    enum nr_h1_reason reason = NR_H1_OK;

    head->target = nr_h1_text(head, target, target);
    if (nr_likely(*target == '/')) {
        reason = read_path(head, at);
    } else if (target[0] == '*' && target[1] == ' ') {
        if (head->method != NR_METHOD_OPTIONS)
            return NR_H1_BAD_TARGET;
        head->target = head->path = nr_h1_text(head, target, target + 1);
        *at = target + 1;
    } else if (*target == ' ') {
        return NR_H1_BAD_REQUEST_LINE;
    } else {
        reason = read_absolute(head, at);
    }
    if (reason == NR_H1_OK && *at - target > (ptrdiff_t)limits->target_bytes_max)
        return NR_H1_TARGET_TOO_LONG;
    return reason;
}

/* "HTTP/" DIGIT "." DIGIT CRLF. A higher minor version of 1 is understood as 1.1, the
 * highest that we know: RFC 9110, 2.5. */
static enum nr_h1_reason read_version(struct nr_head *head, const char *end, char **at)
{
    const char *text = *at;

    if (nr_likely(end - text > 10 && memcmp(text, "HTTP/1.1\r\n", 10) == 0)) {
        head->version = 11;
        *at += 10;
        return NR_H1_OK;
    }
    if (end - text <= 10 || memcmp(text, "HTTP/", 5) != 0 || text[5] < '0' || text[5] > '9' ||
        text[6] != '.' || text[7] < '0' || text[7] > '9' || text[8] != '\r' || text[9] != '\n') {
        const char *stop = nr_chars_to_control(text, end);

        if (memchr(text, ' ', (size_t)(stop - text)) != NULL)
            return nr_h1_line_fault(stop, NR_H1_BAD_REQUEST_LINE);
        return nr_h1_line_fault(stop, NR_H1_BAD_VERSION);
    }
    if (text[5] != '1')
        return NR_H1_UNSUPPORTED_VERSION;
    head->version = text[7] == '0' ? 10 : 11;
    *at += 10;
    return NR_H1_OK;
}

/* RFC 9112, 3.2.2: the authority of an absolute-form wins over Host, which must be there and
 * be valid all the same. */
static enum nr_h1_reason settle_host(struct nr_h1_parse *parse)
{
    struct nr_head *head = parse->head;

    if (!nr_field_in(NR_FIELD_HOST, parse->seen))
        return head->version == 10 ? NR_H1_OK : NR_H1_MISSING_HOST;
    if (!nr_uri_authority_valid(nr_head_text(head, parse->host)))
        return NR_H1_BAD_HOST;
    if (head->authority.len == 0)
        head->authority = parse->host;
    return NR_H1_OK;
}

static enum nr_h1_reason parse_request(struct nr_h1_parse *parse, char *at, uint16_t field_cap)
{
    struct nr_head *head = parse->head;
    enum nr_h1_reason reason;

    reason = read_method(head, &at);
    if (reason != NR_H1_OK)
        return reason;
    reason = read_target(head, parse->limits, &at);
    if (reason != NR_H1_OK)
        return reason;
    at++; /* the SP: what was read of the target stops at one */
    reason = read_version(head, parse->end, &at);
    if (reason != NR_H1_OK)
        return reason;
    reason = nr_h1_parse_fields(parse, at, field_cap);
    if (reason != NR_H1_OK)
        return reason;
    reason = settle_host(parse);
    if (reason != NR_H1_OK)
        return reason;
    reason = nr_h1_settle(parse);
    if (reason != NR_H1_OK)
        return reason;
    /* 100-continue is ignored in HTTP/1.0 and idle without a body: RFC 9110, 10.1.1. */
    head->expect_continue = parse->expects && head->version != 10 &&
                            head->body_length != NR_BODY_NONE && head->body_length != 0;
    return NR_H1_OK;
}

enum nr_h1_reason nr_h1_parse_request(char *bytes, size_t len, const struct nr_h1_limits *limits,
                                      struct nr_field *fields, uint16_t field_cap,
                                      struct nr_head *ret_head)
{
    struct nr_h1_parse parse = {
        .head = ret_head, .limits = limits, .end = bytes + len, .kind = NR_H1_REQUEST};

    *ret_head = (struct nr_head){.text = bytes,
                                 .text_len = (uint32_t)len,
                                 .text_cap = (uint32_t)len,
                                 .fields = fields,
                                 .field_cap = field_cap,
                                 .body_length = NR_BODY_NONE};
    if (len > limits->head_bytes_max)
        return NR_H1_HEAD_TOO_LARGE;
    if (len < 4 || memcmp(bytes + len - 4, "\r\n\r\n", 4) != 0)
        return NR_H1_BAD_REQUEST_LINE;
    return parse_request(&parse, bytes, field_cap);
}
