/* SPDX-License-Identifier: Apache-2.0 */
/* h1.h - HTTP/1.1 between bytes and values: strict, incremental, pure.
 *
 * Heads. The caller collects bytes in one contiguous buffer and asks
 * nr_h1_scan_head whether the head is complete; the scanner remembers how far it
 * looked, so a head that arrives byte by byte costs linear time. A complete head
 * is then parsed once, in place: the resulting struct nr_head points into the
 * caller's buffer and field array until nr_head_copy moves it to an arena. Any
 * split of the same bytes gives the same result.
 *
 * Bodies. struct nr_h1_body steps over received bytes and says which of them are
 * content. It allocates nothing and looks at each byte once.
 *
 * Strictness (RFC 9112, and S1 of the specification): bare CR or LF, obs-fold,
 * white space before the colon, empty or invalid names, control characters in values,
 * Content-Length with Transfer-Encoding, differing or malformed or repeated
 * lengths, a final coding other than chunked, more than one Host or none in
 * HTTP/1.1, invalid chunk sizes and everything else that two parsers could read in two
 * ways is refused with a stable reason. */
#ifndef NR_CODEC_H1_H
#define NR_CODEC_H1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/head.h"
#include "naru/err.h"
#include "naru/span.h"

/* Why a message was refused. The names (nr_h1_reason_text) are stable: they appear as
 * `reason` in answers, logs and metrics. */
enum nr_h1_reason {
    NR_H1_OK,
    NR_H1_HEAD_TOO_LARGE,      /* 431 head_too_large: bytes of the whole head */
    NR_H1_TARGET_TOO_LONG,     /* 414 target_too_long */
    NR_H1_TOO_MANY_FIELDS,     /* 431 too_many_fields */
    NR_H1_BAD_REQUEST_LINE,    /* 400 bad_request_line */
    NR_H1_BAD_METHOD,          /* 400 bad_method: not a token */
    NR_H1_METHOD_REFUSED,      /* 501 method_refused: CONNECT or TRACE */
    NR_H1_BAD_TARGET,          /* 400 bad_target: form or character */
    NR_H1_BAD_PATH,            /* 400 bad_path: encoded slash, backslash, NUL, dot segment, bad % */
    NR_H1_BAD_VERSION,         /* 400 bad_version */
    NR_H1_UNSUPPORTED_VERSION, /* 505 unsupported_version: well-formed, not 1.x */
    NR_H1_BAD_STATUS_LINE,     /* bad_status_line (responses) */
    NR_H1_BARE_LF,             /* 400 bare_lf */
    NR_H1_BARE_CR,             /* 400 bare_cr */
    NR_H1_OBS_FOLD,            /* 400 obs_fold */
    NR_H1_BAD_FIELD_NAME,      /* 400 bad_field_name: empty, space before colon, not a token */
    NR_H1_BAD_FIELD_VALUE,     /* 400 bad_field_value */
    NR_H1_MISSING_HOST,        /* 400 missing_host */
    NR_H1_DUPLICATE_HOST,      /* 400 duplicate_host */
    NR_H1_BAD_HOST,            /* 400 bad_host */
    NR_H1_BAD_CONNECTION,      /* 400 bad_connection: not tokens, names Host, or names very many */
    NR_H1_BAD_LENGTH,          /* 400 bad_content_length */
    NR_H1_DUPLICATE_LENGTH,    /* 400 duplicate_content_length */
    NR_H1_LENGTH_AND_CODING,   /* 400 length_with_transfer_encoding */
    NR_H1_BAD_CODING,          /* 400 bad_transfer_encoding */
    NR_H1_UNKNOWN_CODING,      /* 501 bad_transfer_encoding: chunked, but over another coding */
    NR_H1_CODING_IN_10,        /* 400 transfer_encoding_in_http10 */
    NR_H1_BAD_EXPECT,          /* 417 bad_expectation */
    NR_H1_BAD_CHUNK_SIZE,      /* 400 bad_chunk_size */
    NR_H1_BAD_CHUNK_EXT,       /* 400 bad_chunk_extension: or too long */
    NR_H1_BAD_CHUNK_END,       /* 400 bad_chunk_end: no CRLF after the data */
    NR_H1_BAD_TRAILER,         /* 400 bad_trailer */
    NR_H1_TRAILERS_TOO_LARGE,  /* 431 trailers_too_large */
    NR_H1_REASONS
};

/* The status a server answers a request with, and the stable name. (A response that is refused
 * is a 502 towards the client, whatever the reason.) */
uint16_t nr_h1_reason_status(enum nr_h1_reason reason);
const char *nr_h1_reason_text(enum nr_h1_reason reason);

struct nr_h1_limits {
    uint32_t head_bytes_max; /* start line and fields */
    uint32_t target_bytes_max;
    uint32_t fields_max; /* not above the caller's array */
    uint32_t trailer_bytes_max;
};

/* 32 KiB, 8 KiB, 100, 8 KiB. */
extern const struct nr_h1_limits nr_h1_limits_default;

enum nr_h1_scan { NR_H1_SCAN_MORE, NR_H1_SCAN_DONE, NR_H1_SCAN_BAD };

/* Is there a complete head at the start of bytes? *scanned is 0 at first and keeps
 * the progress between calls with more bytes. On DONE, *ret_head_bytes counts
 * the start line to the empty line, both included. On BAD, *ret_reason says why (too large,
 * bare LF): found at once, not when the head is complete. A bare CR is found by the parser.
 * A head that is an empty line only is DONE with 2 bytes: a server skips one before
 * a request line (RFC 9112, 2.2), the parsers refuse it. */
enum nr_h1_scan nr_h1_scan_head(struct nr_span bytes, const struct nr_h1_limits *limits,
                                uint32_t *scanned, uint32_t *ret_head_bytes,
                                enum nr_h1_reason *ret_reason);

/* Parse a complete head (what the scanner measured) in place. `bytes` must be writable:
 * the head's text is one block, so a path that is not canonical is rewritten inside
 * it. It never grows.
 *
 * fields, field_cap   the caller's array, usually on the stack
 * returns             NR_H1_OK, else the reason; *ret_head is then only good for
 *                     its method, target and version as far as they were read
 *
 * Which fields are marked NR_FIELD_HOP: those of head.h, and what Connection names if naru does
 * not know it. A field that naru knows to be meant for all recipients stays although it is named
 * (Connection: Authorization is an attack, not a wish), and naming Host is refused.
 *
 * Source: RFC 9112, sections 3 to 6. */
enum nr_h1_reason nr_h1_parse_request(char *bytes, size_t len, const struct nr_h1_limits *limits,
                                      struct nr_field *fields, uint16_t field_cap,
                                      struct nr_head *ret_head);

/* The response to a request of this method. ret_head->body_length is what was announced, so that
 * it can be passed on: an answer to HEAD and a 304 have the length that GET and 200 would have.
 * What really follows on the connection is nr_h1_response_body. 1xx and 204 are NONE whatever
 * their fields say, a 101 with Upgrade is a TUNNEL. Source: RFC 9112, 6.3. */
enum nr_h1_reason nr_h1_parse_response(char *bytes, size_t len, const struct nr_h1_limits *limits,
                                       enum nr_method request_method, struct nr_field *fields,
                                       uint16_t field_cap, struct nr_head *ret_head);

/* What to give nr_h1_body_init for a parsed response: its body_length, but NONE for an answer to
 * HEAD and for a 304. */
int64_t nr_h1_response_body(const struct nr_head *head, enum nr_method request_method);

/* A message body on its way in. */
struct nr_h1_body {
    uint64_t left;       /* content bytes left of the length or of the chunk */
    uint8_t state;       /* private */
    uint8_t reason;      /* enum nr_h1_reason once refused */
    uint16_t line_bytes; /* of the chunk line so far */
    uint32_t ext_debt;   /* bytes of chunk extensions that no content has paid for yet */
};

void nr_h1_body_init(struct nr_h1_body *body, int64_t body_length);

enum nr_h1_step {
    NR_H1_STEP_MORE,     /* all bytes were used, give more */
    NR_H1_STEP_CONTENT,  /* *ret_content is content; call again with what follows it */
    NR_H1_STEP_TRAILERS, /* bytes from *used on start the trailer section: a head without start
                            line, to be collected until nr_h1_scan_trailers is done */
    NR_H1_STEP_END,      /* the body is complete; *used bytes belonged to it */
    NR_H1_STEP_BAD,      /* body->reason says why */
};

/* Advance over bytes (limits are those of the head, for chunk lines see h1_body.c). *ret_used
 * counts the bytes that are done with, framing and returned content both. Content is a span into
 * bytes; never empty. For a CLOSE or TUNNEL body everything is content and END never comes: the
 * owner sees the close. After TRAILERS, END and BAD the same is returned again, with nothing used.
 */
enum nr_h1_step nr_h1_body_step(struct nr_h1_body *body, struct nr_span bytes,
                                const struct nr_h1_limits *limits, size_t *ret_used,
                                struct nr_span *ret_content);

/* Trailers: fields and an empty line. As nr_h1_scan_head / _parse; framing, routing and
 * authentication fields are refused in them (RFC 9110, 6.5.1). Then tell the body, with
 * nr_h1_body_finish_trailers, that it has ended. */
enum nr_h1_scan nr_h1_scan_trailers(struct nr_span bytes, const struct nr_h1_limits *limits,
                                    uint32_t *scanned, uint32_t *ret_bytes,
                                    enum nr_h1_reason *ret_reason);
enum nr_h1_reason nr_h1_parse_trailers(char *bytes, size_t len, const struct nr_h1_limits *limits,
                                       struct nr_field *fields, uint16_t field_cap,
                                       struct nr_head *ret_head);

void nr_h1_body_finish_trailers(struct nr_h1_body *body);

/* Is the body over (also for one that never had bytes)? Before the trailer section has been read,
 * it is not. */
bool nr_h1_body_ended(const struct nr_h1_body *body);

/* The seconds in `Keep-Alive: timeout=5, max=100` (RFC 2068, 19.7.1.1), a day at most: how long the
 * peer keeps an idle connection. False, and *ret_s untouched, if it does not say. */
bool nr_h1_keep_alive_timeout(struct nr_span value, uint32_t *ret_s);

/* Serialising. Bytes that head or trailers need at most, framing included: what the writers
 * below want as room. */
size_t nr_h1_head_bytes(const struct nr_head *head);

/* How the sender frames, decided by `http`. */
struct nr_h1_framing {
    int64_t body_length; /* as in nr_head, after http's decision */
    bool close;          /* Connection: close */
    bool keep_alive_10;  /* Connection: keep-alive, towards an HTTP/1.0 peer */
    bool upgrade;        /* Connection: upgrade, and the head's Upgrade field is kept */
    bool omit_length;    /* HEAD, 204, 304 where no length is known: say nothing */
};

/* Write start line, live end-to-end fields, framing fields and the empty line. Returns the
 * bytes written; room must be at least nr_h1_head_bytes. Requests are written with
 * the canonical path in origin-form and Host first: RFC 9112, 3.2. */
size_t nr_h1_write_request(char *to, size_t room, const struct nr_head *head,
                           const struct nr_h1_framing *framing);
size_t nr_h1_write_response(char *to, size_t room, const struct nr_head *head,
                            const struct nr_h1_framing *framing);

/* The fields and the empty line; the line of the last chunk, "0 CRLF", comes before them. */
size_t nr_h1_write_trailers(char *to, size_t room, const struct nr_head *trailers);

/* "1f4\r\n" for a chunk of that size; at most NR_H1_CHUNK_LINE_BYTES. */
enum { NR_H1_CHUNK_LINE_BYTES = 18 };
size_t nr_h1_write_chunk_line(char *to, uint64_t size);

#endif
