/* SPDX-License-Identifier: Apache-2.0 */
/* h1_parse.h - what request, response and trailer parsing share.
 *
 * Private to src/codec. All of it leans on one fact that the entry points check: the text
 * ends in CRLF, and no class of characters contains CR or LF, so a scan always stops inside. */
#ifndef NR_CODEC_H1_PARSE_H
#define NR_CODEC_H1_PARSE_H

#include "codec/h1.h"

enum nr_h1_kind { NR_H1_REQUEST, NR_H1_RESPONSE, NR_H1_TRAILERS };

struct nr_h1_parse {
    struct nr_head *head;
    const struct nr_h1_limits *limits;
    const char *end; /* of the text */
    enum nr_h1_kind kind;
    uint64_t seen;         /* a bit per enum nr_field_id that matters here */
    struct nr_text length; /* the values of Content-Length, Transfer-Encoding, Host */
    struct nr_text coding;
    struct nr_text host;
    bool close; /* options of Connection */
    bool keep_alive;
    bool upgrade;
    bool nominates; /* Connection has options that may name fields */
    bool expects;
};

/* Fields from `at` to the empty line, which must be the end of the text. */
enum nr_h1_reason nr_h1_parse_fields(struct nr_h1_parse *parse, const char *at, uint16_t field_cap);

/* After the fields: what Connection, Content-Length and Transfer-Encoding mean together. Sets
 * keep_alive, upgrade and body_length (NR_BODY_NONE when neither length nor coding is there). */
enum nr_h1_reason nr_h1_settle(struct nr_h1_parse *parse);

/* Connection (RFC 9110, 7.6.1): read the options of one field; afterwards mark what they named. */
enum nr_h1_reason nr_h1_read_connection(struct nr_h1_parse *parse, struct nr_span value);
enum nr_h1_reason nr_h1_mark_nominated(struct nr_h1_parse *parse);

/* Take the next member off a comma-separated list (RFC 9110, 5.6.1), trimmed, maybe empty. */
struct nr_span nr_h1_next_member(struct nr_span *list);

/* Which of the two evils is this CR or LF that stands where none may? */
static inline enum nr_h1_reason nr_h1_line_fault(const char *at, enum nr_h1_reason otherwise)
{
    if (*at == '\n')
        return NR_H1_BARE_LF;
    if (*at == '\r' && at[1] != '\n')
        return NR_H1_BARE_CR;
    return otherwise;
}

static inline struct nr_text nr_h1_text(const struct nr_head *head, const char *from,
                                        const char *to)
{
    return (struct nr_text){(uint32_t)(from - head->text), (uint32_t)(to - from)};
}

#endif
