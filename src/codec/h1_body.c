/* SPDX-License-Identifier: Apache-2.0 */
/* A message body on its way in (RFC 9112, 6 and 7).
 *
 *   chunk-size [ chunk-ext ] CRLF  data CRLF  …  0 [ chunk-ext ] CRLF  trailers CRLF
 *
 * Content is skipped over in whole spans; only framing is looked at byte by byte, by one
 * state machine, so that any split gives the same answer:
 *
 *   SIZE ─digits─▶ SIZE_MORE ─CR─▶ SIZE_LF ─LF─▶ DATA ─▶ DATA_CR ─▶ DATA_LF ─▶ SIZE
 *                   │ ;      ▲                    └ size 0: TRAILERS ─▶ END
 *                   ▼        │ CR
 *               extension states
 *
 * Extensions mean nothing to naru and are not forwarded, but they are parsed all the same:
 * a lenient reader may see a line end, and with it a chunk, inside what a strict one skips. White
 * space is taken where the grammar has BWS, which is never directly before the CR. */
#include "base/assert.h"
#include "codec/chars.h"
#include "codec/h1.h"

enum state {
    END,
    BAD,
    LENGTH, /* `left` bytes of content, then END */
    UNTIL_CLOSE,
    SIZE,      /* the first digit of a chunk size */
    SIZE_MORE, /* further digits */
    SIZE_LF,
    EXT_BEFORE, /* BWS before ";" */
    EXT_NAME_FIRST,
    EXT_NAME,
    EXT_NAME_AFTER, /* BWS before "=" or ";" */
    EXT_VALUE_FIRST,
    EXT_TOKEN,
    EXT_QUOTED,
    EXT_ESCAPED,
    EXT_QUOTED_AFTER,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILERS,
};

enum {
    SIZE_DIGITS_MAX = 16,
    LINE_BYTES_MAX = 256,           /* of one chunk line */
    EXT_DEBT_BYTES_MAX = 16 * 1024, /* by which extensions may outweigh content in one body */
};

void nr_h1_body_init(struct nr_h1_body *body, int64_t body_length)
{
    *body = (struct nr_h1_body){.state = END};
    if (body_length > 0) {
        body->state = LENGTH;
        body->left = (uint64_t)body_length;
    } else if (body_length == NR_BODY_CHUNKED) {
        body->state = SIZE;
    } else if (body_length == NR_BODY_CLOSE || body_length == NR_BODY_TUNNEL) {
        body->state = UNTIL_CLOSE;
    }
}

bool nr_h1_body_ended(const struct nr_h1_body *body)
{
    return body->state == END;
}

void nr_h1_body_finish_trailers(struct nr_h1_body *body)
{
    nr_assert(body->state == TRAILERS);
    body->state = END;
}

static bool quotable(char c)
{
    return nr_char_is(c, NR_CHAR_VALUE);
}

/* The place in an extension after c, or BAD: RFC 9112, 7.1.1. CR is not taken here. */
static enum state next_in_extension(enum state state, char c)
{
    bool token = nr_char_is(c, NR_CHAR_TOKEN);
    bool white = c == ' ' || c == '\t';

    switch (state) {
    case EXT_BEFORE: return c == ';' ? EXT_NAME_FIRST : white ? EXT_BEFORE : BAD;
    case EXT_NAME_FIRST: return token ? EXT_NAME : white ? EXT_NAME_FIRST : BAD;
    case EXT_NAME:
        if (token)
            return EXT_NAME;
        return c == '='   ? EXT_VALUE_FIRST
               : c == ';' ? EXT_NAME_FIRST
               : white    ? EXT_NAME_AFTER
                          : BAD;
    case EXT_NAME_AFTER:
        return c == '='   ? EXT_VALUE_FIRST
               : c == ';' ? EXT_NAME_FIRST
               : white    ? EXT_NAME_AFTER
                          : BAD;
    case EXT_VALUE_FIRST:
        return c == '"' ? EXT_QUOTED : token ? EXT_TOKEN : white ? EXT_VALUE_FIRST : BAD;
    case EXT_TOKEN: return token ? EXT_TOKEN : c == ';' ? EXT_NAME_FIRST : white ? EXT_BEFORE : BAD;
    case EXT_QUOTED:
        return c == '"'      ? EXT_QUOTED_AFTER
               : c == '\\'   ? EXT_ESCAPED
               : quotable(c) ? EXT_QUOTED
                             : BAD;
    case EXT_ESCAPED: return quotable(c) ? EXT_QUOTED : BAD;
    case EXT_QUOTED_AFTER: return c == ';' ? EXT_NAME_FIRST : white ? EXT_BEFORE : BAD;
    default: return BAD;
    }
}

static bool extension_may_end(enum state state)
{
    return state == EXT_NAME || state == EXT_TOKEN || state == EXT_QUOTED_AFTER;
}

static enum state refuse(struct nr_h1_body *body, enum nr_h1_reason reason)
{
    body->reason = (uint8_t)reason;
    return BAD;
}

static enum state step_size(struct nr_h1_body *body, char c)
{
    int digit = nr_char_hex(c);

    if (digit >= 0) {
        if (body->line_bytes >= SIZE_DIGITS_MAX || body->left > (uint64_t)INT64_MAX >> 4)
            return refuse(body, NR_H1_BAD_CHUNK_SIZE);
        body->left = body->left << 4 | (uint64_t)digit;
        body->line_bytes++;
        return SIZE_MORE;
    }
    if (c == '\n')
        return refuse(body, NR_H1_BARE_LF);
    if (body->state == SIZE)
        return refuse(body, NR_H1_BAD_CHUNK_SIZE);
    if (c == '\r')
        return SIZE_LF;
    if (c == ';' || c == ' ' || c == '\t') {
        body->line_bytes++;
        body->ext_debt++;
        return c == ';' ? EXT_NAME_FIRST : EXT_BEFORE;
    }
    return refuse(body, NR_H1_BAD_CHUNK_SIZE);
}

static enum state step_extension(struct nr_h1_body *body, char c)
{
    enum state next;

    if (c == '\n')
        return refuse(body, NR_H1_BARE_LF);
    if (c == '\r')
        return extension_may_end(body->state) ? SIZE_LF : refuse(body, NR_H1_BAD_CHUNK_EXT);
    next = next_in_extension(body->state, c);
    if (next == BAD || ++body->line_bytes > LINE_BYTES_MAX || ++body->ext_debt > EXT_DEBT_BYTES_MAX)
        return refuse(body, NR_H1_BAD_CHUNK_EXT);
    return next;
}

/* The end of a chunk line. Content pays for extensions: a sender of honest chunks never
 * runs out, one that sends a byte of content for a line of extension soon does. */
static enum state step_size_lf(struct nr_h1_body *body, char c)
{
    if (c != '\n')
        return refuse(body, NR_H1_BARE_CR);
    body->line_bytes = 0;
    if (body->left == 0)
        return TRAILERS;
    body->ext_debt -= body->left < body->ext_debt ? (uint32_t)body->left : body->ext_debt;
    return DATA;
}

/* One byte of framing. */
static enum state step_framing(struct nr_h1_body *body, char c)
{
    switch ((enum state)body->state) {
    case SIZE:
    case SIZE_MORE: return step_size(body, c);
    case SIZE_LF: return step_size_lf(body, c);
    case DATA_CR: return c == '\r' ? DATA_LF : refuse(body, NR_H1_BAD_CHUNK_END);
    case DATA_LF: return c == '\n' ? SIZE : refuse(body, NR_H1_BAD_CHUNK_END);
    default: return step_extension(body, c);
    }
}

/* Hand out as much of the content as is there. */
static enum nr_h1_step take_content(struct nr_h1_body *body, struct nr_span bytes, size_t at,
                                    size_t *ret_used, struct nr_span *ret_content)
{
    size_t there = bytes.len - at;

    if (body->state != UNTIL_CLOSE) {
        if (there >= body->left) {
            there = (size_t)body->left;
            body->state = body->state == LENGTH ? END : DATA_CR;
            body->left = 0;
        } else {
            body->left -= there;
        }
    }
    *ret_content = (struct nr_span){bytes.ptr + at, there};
    *ret_used = at + there;
    return NR_H1_STEP_CONTENT;
}

enum nr_h1_step nr_h1_body_step(struct nr_h1_body *body, struct nr_span bytes,
                                const struct nr_h1_limits *limits, size_t *ret_used,
                                struct nr_span *ret_content)
{
    size_t at = 0;

    for (;;) {
        switch ((enum state)body->state) {
        case END: *ret_used = at; return NR_H1_STEP_END;
        case TRAILERS: *ret_used = at; return NR_H1_STEP_TRAILERS;
        case BAD: *ret_used = at; return NR_H1_STEP_BAD;
        case LENGTH:
        case UNTIL_CLOSE:
        case DATA:
            if (at < bytes.len)
                return take_content(body, bytes, at, ret_used, ret_content);
            break;
        default:
            if (at < bytes.len) {
                body->state = (uint8_t)step_framing(body, bytes.ptr[at++]);
                continue;
            }
        }
        *ret_used = at;
        return NR_H1_STEP_MORE;
    }
}
